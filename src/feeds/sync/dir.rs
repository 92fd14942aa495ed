//! What a directory upstream has: a tree of this machine, or what `index.json`, `SHA256SUMS` or HTML pages list
//! (`repos.md` §6).

use std::collections::BTreeMap;

use super::failure::{Failure, Outcome, in_file};
use super::local::Local;
use super::place::{Url, relative};
use super::plan::{Plan, Reading, Wanted};
use super::signature;
use super::source::{At, TOP};
use crate::feeds::upstream::{self, Mark, Seen};
use crate::formats::index::listing::{self, File};

const INDEX: &str = "index.json";
const SUMS: &str = "SHA256SUMS";
/// Most bytes of our own kind of index.
const LARGEST_INDEX: u64 = 64 << 20;
/// Most bytes of one page.
const LARGEST_PAGE: u64 = 8 << 20;
/// Most pages of one listing.
const MOST_PAGES: usize = 20_000;
const MOST_FILES: usize = 500_000;
const DEEPEST: usize = 64;

/// What it has; none when that is what it had last time.
pub(super) fn plan(reading: &Reading, name: &str) -> Outcome<Option<Plan>> {
    if let Some(local) = reading.source.local() {
        let seen = reading.store.read(|tx| upstream::seen(tx, name))?;
        return tree(reading, local, &seen).map(Some);
    }
    let signed = reading.upstream.definition.key.is_some();
    let tops: &[&str] = if signed { &[SUMS] } else { &[INDEX, SUMS] };
    for path in tops {
        let top = match reading.source.top(path, reading.known()) {
            Ok(Some(top)) => top,
            Ok(None) => return Ok(None),
            Err(Failure::Missing(_)) => continue,
            Err(other) => return Err(other),
        };
        let files = match *path {
            INDEX => match listing::read_index(&top.bytes) {
                Ok(files) => files,
                // Some servers have a page for every address.
                Err(problem) => {
                    log::debug!("sync: {INDEX}: {problem}");
                    continue;
                }
            },
            _ => {
                verify(reading, &top.bytes)?;
                let text = String::from_utf8_lossy(&top.bytes);
                listing::read_sums(&text).map_err(in_file(SUMS))?
            }
        };
        return listed(files, top.mark, signed).map(Some);
    }
    if signed {
        return Err(Failure::Failed(format!("{SUMS}: the upstream does not have it, so there is nothing signed")));
    }
    let seen = reading.store.read(|tx| upstream::seen(tx, name))?;
    pages(reading, &seen).map(Some)
}

fn verify(reading: &Reading, sums: &[u8]) -> Outcome<()> {
    let Some(key) = &reading.upstream.definition.key else { return Ok(()) };
    let signature = reading.source.small(&format!("{SUMS}.asc"), TOP).map_err(|failure| match failure {
        Failure::Missing(words) => Failure::Failed(format!("{words}: the list is not signed")),
        other => other,
    })?;
    signature::verify_detached(key, sums, &signature, reading.now, SUMS)
}

/// Whether a path is content: not a list of ours, a signature beside one, or hidden.
fn is_content(path: &str) -> bool {
    let beside = !path.contains('/') && path.ends_with(".asc");
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    path != INDEX && path != SUMS && !beside && !hidden
}

fn listed(files: Vec<File>, mark: Mark, verified: bool) -> Outcome<Plan> {
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for file in files {
        // These lists hold names, not addresses: nothing in them is percent-encoded.
        let path = relative(&file.name.replace('%', "%25"))?;
        if !is_content(&path) {
            continue;
        }
        let new = Wanted {
            at: At::path(&*path),
            checksum: file.checksum,
            size: file.size,
            names: vec![path.clone()],
            component: None,
            seen: None,
            stamp: None,
        };
        if wanted.get(&path).is_some_and(|known| known.checksum != new.checksum) {
            return Err(Failure::Failed(format!("{path}: it is listed twice, with two checksums")));
        }
        wanted.insert(path, new);
    }
    Ok(Plan { wanted: wanted.into_values().collect(), mark: Some(mark), verified, ..Plan::default() })
}

/// Every file of a tree of this machine.
fn tree(reading: &Reading, local: &Local, seen: &BTreeMap<String, Seen>) -> Outcome<Plan> {
    let files = local.walk(&|| reading.source.check().is_err())?;
    let indexed = files.iter().any(|file| file.path == INDEX || file.path == SUMS);
    let mut plan = Plan::default();
    for file in files {
        let list = file.path == INDEX || file.path == SUMS;
        if list || (indexed && !is_content(&file.path)) {
            continue;
        }
        let same = |known: &&Seen| known.size == file.size && known.stamp == file.stamp;
        plan.wanted.push(Wanted {
            at: At::path(&*file.path),
            checksum: None,
            size: Some(file.size),
            names: vec![file.path.clone()],
            component: None,
            seen: seen.get(&file.path).filter(same).cloned(),
            stamp: Some((file.size, file.stamp)),
        });
    }
    if reading.upstream.definition.key.is_some() {
        let sums = reading.source.small(SUMS, LARGEST_INDEX).map_err(|failure| match failure {
            Failure::Missing(words) => Failure::Failed(format!("{words}: so there is nothing signed")),
            other => other,
        })?;
        verify(reading, &sums)?;
        let mut sums = signed_sums(listing::read_sums(&String::from_utf8_lossy(&sums)).map_err(in_file(SUMS))?)?;
        for wanted in &plan.wanted {
            // One that is there and not named is no content; one that is named has to be there.
            if let Some(listed) = wanted.names.first().and_then(|name| sums.get_mut(name)) {
                listed.1 = true;
            }
        }
        if let Some((name, _)) = sums.iter().find(|(_, (_, there))| !there) {
            return Err(Failure::Failed(format!("{name}: {SUMS} names it, and it is not there")));
        }
        plan.wanted.retain(|wanted| wanted.names.first().is_some_and(|name| sums.contains_key(name)));
        for wanted in &mut plan.wanted {
            let listed = wanted.names.first().and_then(|name| sums.get(name));
            wanted.checksum = listed.and_then(|(file, _)| file.checksum.clone());
        }
        plan.verified = true;
    }
    Ok(plan)
}

/// The content that a list of sums names, by path, each still to be found.
fn signed_sums(files: Vec<File>) -> Outcome<BTreeMap<String, (File, bool)>> {
    let mut sums: BTreeMap<String, (File, bool)> = BTreeMap::new();
    for file in files {
        let path = relative(&file.name.replace('%', "%25"))?;
        if !is_content(&path) {
            continue;
        }
        if sums.get(&path).is_some_and(|(known, _)| known.checksum != file.checksum) {
            return Err(Failure::Failed(format!("{path}: it is listed twice, with two checksums")));
        }
        sums.insert(path, (file, false));
    }
    Ok(sums)
}

/// Every file that the pages of a web server link to.
fn pages(reading: &Reading, seen: &BTreeMap<String, Seen>) -> Outcome<Plan> {
    let Some(home) = reading.source.url() else { return Ok(Plan::default()) };
    let mut plan = Plan::default();
    let mut waiting = vec![(String::new(), 0)];
    let mut read = 0;
    while let Some((directory, depth)) = waiting.pop() {
        read += 1;
        if read > MOST_PAGES || depth > DEEPEST {
            return Err(Failure::Failed(format!("{directory}: there are too many directories")));
        }
        let page = page(reading, home, &directory)?;
        let path = home.below(&directory).path;
        let path = format!("{}/", path.trim_end_matches('/'));
        for name in listing::read_page(&page, &path) {
            let below = relative(&format!("{}{}", directory.replace('%', "%25"), name.trim_end_matches('/')))?;
            if !is_content(&below) {
                continue;
            }
            if name.ends_with('/') {
                waiting.push((format!("{below}/"), depth + 1));
                continue;
            }
            plan.wanted.push(Wanted {
                at: At::path(&*below),
                checksum: None,
                size: None,
                seen: seen.get(&below).cloned(),
                names: vec![below],
                component: None,
                stamp: None,
            });
            if plan.wanted.len() > MOST_FILES {
                return Err(Failure::Failed("there are too many files".to_owned()));
            }
        }
    }
    plan.wanted.sort_by(|a, b| a.names.cmp(&b.names));
    Ok(plan)
}

fn page(reading: &Reading, home: &Url, directory: &str) -> Outcome<String> {
    let bytes = reading.source.small(directory, LARGEST_PAGE).map_err(|failure| match failure {
        Failure::Missing(_) if directory.is_empty() => Failure::Failed(format!(
            "{}: the upstream has neither {INDEX} nor {SUMS} nor a page that lists its files",
            home.text()
        )),
        other => other,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_signatures_are_not_content() {
        for path in ["a", "a/b.asc", "a/SHA256SUMS", "b.txt"] {
            assert!(is_content(path), "{path}");
        }
        for path in ["index.json", "SHA256SUMS", "SHA256SUMS.asc", "key.asc", ".a", "a/.b", ".a/b"] {
            assert!(!is_content(path), "{path}");
        }
    }
}
