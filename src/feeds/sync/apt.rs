//! What an apt upstream has: `InRelease` or `Release`, their signatures, and the `Packages` they name (`repos.md` §5).

use super::failure::{Failure, Outcome, in_file};
use super::place::{base_name, relative};
use super::plan::{Collector, Plan, Reading, Wanted, believable, fetch_index, open_index};
use super::promise::Promises;
use super::signature;
use super::source::{At, Small, TOP};
use crate::feeds::package::Said;
use crate::formats::index::packages::Packages;
use crate::formats::index::release::{IndexFile, Line, Part, Release, read_release};
use crate::formats::index::{Algorithm, Checksum};
use crate::store::Loose;

/// Endings of an index, in the order in which equally small ones are taken.
const ENDINGS: [&str; 5] = [".xz", ".zst", ".gz", ".bz2", ""];

/// What it has; none when that is what it had last time.
pub(super) fn plan(reading: &Reading, line: &Line) -> Outcome<Option<Plan>> {
    let directory = match &line.part {
        Part::Suite(suite, _) => format!("dists/{suite}/"),
        Part::Flat(directory) if directory.is_empty() => String::new(),
        Part::Flat(directory) => format!("{directory}/"),
    };
    let flat = matches!(line.part, Part::Flat(_));
    let top = match top(reading, &directory)? {
        Top::Same => return Ok(None),
        Top::None if flat && reading.upstream.definition.key.is_none() => return bare(reading, &directory).map(Some),
        Top::None => {
            return Err(Failure::Failed(format!("{directory}Release: the upstream has neither this nor InRelease")));
        }
        Top::Found(small) => small,
    };
    let (text, verified) = signed_text(reading, &directory, &top)?;
    let name = top.mark.path.clone();
    let release = read_release(&text).map_err(in_file(&name))?;
    let mut plan = Plan { mark: Some(top.mark), verified, ..Plan::default() };
    judge(reading, &release, &name, &mut plan)?;
    let mut files = Collector::default();
    let indexes = match &line.part {
        Part::Suite(_, components) => suite_indexes(reading, line, &release, components, &name)?,
        Part::Flat(_) => {
            let index = smallest(&release, "Packages");
            let index = index.ok_or_else(|| Failure::Failed(format!("{name}: it names no Packages file")))?;
            vec![(None, index)]
        }
    };
    for (component, index) in indexes {
        let loose = fetch(reading, &directory, &release, index)?;
        let path = format!("{directory}{}", index.path);
        let below = if flat { directory.as_str() } else { "" };
        read_packages(reading, &loose, &path, below, component, &mut files)?;
    }
    plan.wanted = files.finish();
    Ok(Some(plan))
}

enum Top {
    Same,
    None,
    Found(Small),
}

fn top(reading: &Reading, directory: &str) -> Outcome<Top> {
    for name in ["InRelease", "Release"] {
        match reading.source.top(&format!("{directory}{name}"), reading.known()) {
            Ok(Some(small)) => return Ok(Top::Found(small)),
            Ok(None) => return Ok(Top::Same),
            Err(Failure::Missing(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(Top::None)
}

/// The text that counts, and whether its signature was checked.
fn signed_text(reading: &Reading, directory: &str, top: &Small) -> Outcome<(String, bool)> {
    let path = &top.mark.path;
    let text = String::from_utf8(top.bytes.clone());
    let text = text.map_err(|_| Failure::Failed(format!("{path}: it is not UTF-8")))?;
    let inline = path.ends_with("InRelease");
    let Some(key) = &reading.upstream.definition.key else {
        return Ok((if inline { signature::unsigned_text(&text) } else { text }, false));
    };
    if inline {
        return Ok((signature::verify_inline(key, &text, reading.now, path)?, true));
    }
    let signature = reading.source.small(&format!("{directory}Release.gpg"), TOP).map_err(|failure| match failure {
        Failure::Missing(words) => Failure::Failed(format!("{words}: the metadata is not signed")),
        other => other,
    })?;
    signature::verify_detached(key, &top.bytes, &signature, reading.now, path)?;
    Ok((text, true))
}

/// Whether a `Release` may be believed now.
fn judge(reading: &Reading, release: &Release, name: &str, plan: &mut Plan) -> Outcome<()> {
    if release.weak {
        return Err(Failure::Failed(format!(
            "{name}: it states only MD5 and SHA-1 checksums, which are too weak to be believed"
        )));
    }
    if let (Some(date), Some(held)) = (release.date, reading.upstream.date)
        && date < held
    {
        return Err(Failure::Failed(format!("{name}: it is older than the copy we have")));
    }
    plan.date = release.date.or(reading.upstream.date);
    if release.valid_until.is_some_and(|until| until < reading.now) {
        if !reading.upstream.definition.allow_expired {
            return Err(Failure::Failed(format!(
                "{name}: it is no longer valid (Valid-Until has passed); allow_expired takes it all the same"
            )));
        }
        plan.warnings.push(format!("{name}: Valid-Until has passed"));
    }
    Ok(())
}

type Indexes<'a> = Vec<(Option<String>, &'a IndexFile)>;

fn suite_indexes<'a>(
    reading: &Reading,
    line: &Line,
    release: &'a Release,
    components: &[String],
    name: &str,
) -> Outcome<Indexes<'a>> {
    let mut architectures: Vec<&str> = reading.upstream.definition.arch.iter().map(String::as_str).collect();
    architectures.extend(line.arch.iter().map(String::as_str));
    if architectures.is_empty() {
        architectures.extend(release.architectures.iter().map(String::as_str));
    }
    // Packages for all architectures stand in the others' indexes when the release says so.
    if !release.all_in_each || architectures.is_empty() {
        architectures.push("all");
    }
    architectures.retain(|arch| !matches!(*arch, "source"));
    architectures.sort_unstable();
    architectures.dedup();
    let mut indexes = Vec::new();
    for component in components {
        let known = |listed: &String| listed == component || listed.ends_with(&format!("/{component}"));
        if !release.components.is_empty() && !release.components.iter().any(known) {
            let has = release.components.join(", ");
            return Err(Failure::Failed(format!("{name}: it has no component {component} (it has {has})")));
        }
        let before = indexes.len();
        for arch in &architectures {
            let index = smallest(release, &format!("{component}/binary-{arch}/Packages"));
            indexes.extend(index.map(|index| (Some(component.clone()), index)));
        }
        if indexes.len() == before {
            return Err(Failure::Failed(format!(
                "{name}: it names no index of {component} for {}",
                architectures.join(", ")
            )));
        }
    }
    Ok(indexes)
}

/// The smallest form of an index that the release names.
fn smallest<'a>(release: &'a Release, path: &str) -> Option<&'a IndexFile> {
    ENDINGS.iter().filter_map(|ending| release.file(&format!("{path}{ending}"))).min_by_key(|index| index.size)
}

fn fetch(reading: &Reading, directory: &str, release: &Release, index: &IndexFile) -> Outcome<Loose> {
    let path = relative(&index.path)?;
    let checksum = believable(&path, Some(index.checksum.clone()))?;
    if release.by_hash {
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let kind = checksum.algorithm.name().to_uppercase();
        let by_hash = At::path(format!("{directory}{folder}by-hash/{kind}/{}", checksum.hex));
        match fetch_index(reading, &by_hash, &checksum, Some(index.size)) {
            // Some servers promise it and keep plain names only.
            Err(Failure::Missing(_)) => {}
            other => return other,
        }
    }
    let fetched = fetch_index(reading, &At::path(format!("{directory}{path}")), &checksum, Some(index.size));
    fetched.map_err(|failure| match failure {
        // Named and not there: it may just be replaced.
        Failure::Missing(words) => Failure::Changed(words),
        other => other,
    })
}

/// A flat repository without any `Release`: the first form of `Packages` that is there.
fn bare(reading: &Reading, directory: &str) -> Outcome<Plan> {
    for ending in ENDINGS {
        let path = format!("{directory}Packages{ending}");
        let opened = match reading.source.retry(|| reading.source.begin(&At::path(&*path), 0, None, None)) {
            Ok(Some(opened)) => opened,
            Ok(None) | Err(Failure::Missing(_)) => continue,
            Err(other) => return Err(other),
        };
        let mut body = opened.body;
        let mut stage = reading.store.stage(opened.length)?;
        stage.copy_from(&mut body, Some(super::plan::LARGEST_INDEX)).map_err(|error| match error.kind {
            crate::error::Kind::Invalid => Failure::Broken(format!("{path}: the transfer broke off")),
            _ => Failure::from(error),
        })?;
        let loose = stage.finish_loose()?;
        let mut files = Collector::default();
        read_packages(reading, &loose, &path, directory, None, &mut files)?;
        let warnings = vec!["the repository has no Release; nothing vouches for its list of packages".to_owned()];
        return Ok(Plan { wanted: files.finish(), warnings, ..Plan::default() });
    }
    Err(Failure::Failed(format!("{directory}Packages: the upstream has neither this nor a Release")))
}

fn read_packages(
    reading: &Reading,
    index: &Loose,
    name: &str,
    below: &str,
    component: Option<String>,
    files: &mut Collector,
) -> Outcome<()> {
    let arch = &reading.upstream.definition.arch;
    let on_demand = reading.on_demand();
    let mut promises = Promises::new(reading);
    let opened = open_index(index, name)?;
    for stanza in if on_demand { Packages::with_text(opened) } else { Packages::new(opened) } {
        let stanza = stanza.map_err(in_file(name))?;
        reading.source.check()?;
        if !arch.is_empty() && stanza.arch != "all" && !arch.contains(&stanza.arch) {
            continue;
        }
        let filename = relative(&stanza.filename)?;
        let written = (filename != stanza.filename).then(|| format!("{below}{}", stanza.filename));
        let checksum: Checksum = believable(&filename, stanza.checksum)?;
        if checksum.algorithm < Algorithm::Sha256 {
            return Err(Failure::Failed(format!("{filename}: the index states no SHA-256")));
        }
        let wanted = Wanted {
            at: At::Path(format!("{below}{filename}"), written),
            checksum: Some(checksum),
            size: stanza.size,
            names: vec![base_name(&filename).to_owned()],
            component: component.clone(),
            seen: None,
            stamp: None,
        };
        if on_demand {
            promises.add(&wanted, Said::Deb(stanza.text))?;
        }
        files.add(wanted)?;
    }
    promises.flush()
}
