//! Finding artifacts: by the beginning of a name, or by words over name, version, kind and digest, a page at a time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::catalog::{Artifact, get, held_by_kind, held_by_kinds, is_held_by_kind, is_held_only_by, is_public, rows};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::formats::Kind;
use crate::ids::Digest;
use crate::store::table::{KeyFor, Newest, PrefixOf, Read, Table, WriteTx};

/// (lower-case name, digest) → the lower-case words that a search looks at, so that it never opens the artifact's row.
const NAMES: Table<(String, Digest), String> = Table::new("catalog.name");
/// (when it came, digest) → the same words, the newest first.
const ADDED: Table<(Newest, Digest), String> = Table::new("catalog.added");

/// Most rows of one page (`reliability.md` §11).
const MAX_PAGE: usize = 100;
/// Longest search text, characters.
const MAX_TEXT: usize = 1000;
/// Rows looked at in one go.
const BATCH: usize = 1000;

/// Where a page ended; the next one begins after it.
pub type Cursor = (String, Digest);

/// Artifacts with their digests.
pub type Listed = Vec<(Digest, Artifact)>;

/// Where a page of the newest or of the largest ended: the time's place in the order or the size, and the digest.
pub type Place = (u64, Digest);

/// What is looked for. Everything given has to fit.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Words, each of which must occur in name, file name, version, architecture or kind, or begin the digest.
    pub text: String,
    /// Only artifacts of this kind.
    pub kind: Option<Kind>,
    /// Only artifacts held by a holder of this kind (`product`, `repo` …).
    pub holder: Option<String>,
    /// Only artifacts for this architecture, without regard to case.
    pub arch: Option<String>,
    /// Only artifacts that no holder of another kind than these has a claim on.
    pub held_only_by: Option<&'static [&'static str]>,
    /// Leaves out artifacts that nobody but holders of these kinds has a claim on.
    pub not_only_by: Option<&'static [&'static str]>,
    /// Only what anonymous callers may know of.
    pub public_only: bool,
}

/// One page of artifacts, by name, and where the next one begins when there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The artifacts.
    pub rows: Listed,
    /// Given as `after`, it continues the list.
    pub next: Option<Cursor>,
}

pub(super) fn index(tx: &WriteTx, digest: &Digest, artifact: &Artifact) -> Result<()> {
    let words = words(artifact);
    ADDED.put(tx, (Newest(ordered(artifact.created)), digest), &words)?;
    NAMES.put(tx, (artifact.name().to_lowercase(), digest), &words)
}

/// The words that a search looks at, one a line: the name first, the kind last.
fn words(artifact: &Artifact) -> String {
    let facts = &artifact.facts;
    let name = artifact.name().to_lowercase();
    let file = artifact.first_name.to_lowercase();
    let mut words = name.clone();
    let others = [Some(file.as_str()), facts.version.as_deref(), facts.arch.as_deref(), Some(facts.kind.word())];
    for word in others.into_iter().flatten().filter(|word| *word != name) {
        words.push('\n');
        words.push_str(&word.to_lowercase());
    }
    words
}

/// Microseconds in an order that holds for times before 1970 too.
fn ordered(time: Time) -> u64 {
    time.0.cast_unsigned() ^ (1 << 63)
}

pub(super) fn unindex(tx: &WriteTx, digest: &Digest, artifact: &Artifact) -> Result<()> {
    NAMES.remove(tx, (artifact.name().to_lowercase(), digest))?;
    ADDED.remove(tx, (Newest(ordered(artifact.created)), digest))?;
    Ok(())
}

/// Up to `limit` artifacts whose name begins with `prefix`, without regard to case.
pub fn find(tx: &impl Read, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Found> {
    let prefix = prefix.to_lowercase();
    walk(tx, NameStarts(&prefix), after, limit, |_, _| Ok(true))
}

/// Up to `limit` (at most 100) artifacts that fit `query`, by name. `Invalid` for a text of more than 1,000 characters.
pub fn search(tx: &impl Read, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found> {
    let text = folded(query)?;
    let filter = Filter::new(tx, query, &text)?;
    walk(tx, (), after, limit, |digest, line| filter.fits(tx, digest, line))
}

/// The newest of the artifacts that fit `query`, at most 100, and where the list goes on: its time's place and digest.
pub fn newest(tx: &impl Read, query: &Query, after: Option<Place>, limit: usize) -> Result<(Listed, Option<Place>)> {
    let text = folded(query)?;
    let filter = Filter::new(tx, query, &text)?;
    let limit = limit.clamp(1, MAX_PAGE);
    let mut after = after.map(|(time, digest)| (Newest(time), digest));
    let (mut rows, mut last) = (Vec::new(), None);
    loop {
        let batch = ADDED.page(tx, (), after.as_ref(), BATCH)?;
        let whole = batch.len() == BATCH;
        for ((time, digest), line) in batch {
            if filter.fits(tx, &digest, &line)? {
                // One more than asked for tells that there is a next page.
                if rows.len() == limit {
                    return Ok((rows, last));
                }
                rows.extend(get(tx, &digest)?.map(|artifact| (digest, artifact)));
                last = Some((time.0, digest));
            }
            after = Some((time, digest));
        }
        if !whole {
            return Ok((rows, None));
        }
    }
}

/// The largest of the artifacts that fit `query`, at most 100, and where the list goes on: its size and digest. Looks at
/// every artifact, some microseconds each.
pub fn largest(tx: &impl Read, query: &Query, after: Option<Place>, limit: usize) -> Result<(Listed, Option<Place>)> {
    let text = folded(query)?;
    let filter = Filter::new(tx, query, &text)?;
    let limit = limit.clamp(1, MAX_PAGE);
    let after = after.map(|(size, digest)| (Reverse(size), digest));
    let mut best: BTreeMap<(Reverse<u64>, Digest), Artifact> = BTreeMap::new();
    let mut seen: Option<Digest> = None;
    loop {
        let batch = rows(tx, seen.as_ref(), BATCH)?;
        let whole = batch.len() == BATCH;
        seen = batch.last().map(|(digest, _)| *digest);
        for (digest, artifact) in batch {
            let place = (Reverse(artifact.size), digest);
            let shown = after.is_some_and(|after| place <= after);
            // One more than asked for tells that there is a next page.
            let late = best.len() > limit && best.last_key_value().is_some_and(|(last, _)| *last < place);
            if !shown && !late && filter.fits(tx, &digest, &words(&artifact))? {
                best.insert(place, artifact);
                if best.len() > limit + 1 {
                    best.pop_last();
                }
            }
        }
        if !whole {
            break;
        }
    }
    let more = best.len() > limit && best.pop_last().is_some();
    let next = best.last_key_value().filter(|_| more).map(|((Reverse(size), digest), _)| (*size, *digest));
    Ok((best.into_iter().map(|((_, digest), artifact)| (digest, artifact)).collect(), next))
}

fn folded(query: &Query) -> Result<String> {
    if query.text.chars().count() > MAX_TEXT {
        return Err(Error::invalid("a search has at most 1000 characters"));
    }
    Ok(query.text.to_lowercase())
}

/// A query made ready for many lines.
struct Filter<'a> {
    query: &'a Query,
    words: Vec<Word<'a>>,
    kind: Option<String>,
    arch: Option<String>,
    /// Of a kind that holds little all is known beforehand; one that holds much fills a page soon.
    held: Option<HashSet<Digest>>,
    /// The same for those that only some kinds may hold: what can fit at all.
    loose: Option<HashSet<Digest>>,
}

impl<'a> Filter<'a> {
    fn new(tx: &impl Read, query: &'a Query, text: &'a str) -> Result<Self> {
        let held = match &query.holder {
            Some(kind) => held_by_kind(tx, kind, BATCH)?,
            None => None,
        };
        let loose = match query.held_only_by {
            Some(kinds) => held_by_kinds(tx, kinds, BATCH)?,
            None => None,
        };
        Ok(Filter {
            query,
            loose,
            words: text.split_whitespace().map(Word::new).collect(),
            // The kind is the line's last word, the architecture the one before it.
            kind: query.kind.map(|kind| format!("\n{}", kind.word())),
            arch: query.arch.as_ref().map(|arch| format!("\n{}\n", arch.to_lowercase())),
            held,
        })
    }

    fn fits(&self, tx: &impl Read, digest: &Digest, line: &str) -> Result<bool> {
        let kind_fits = self.kind.as_ref().is_none_or(|kind| line.ends_with(kind.as_str()));
        let arch_fits = self.arch.as_ref().is_none_or(|arch| line.contains(arch.as_str()));
        if !kind_fits || !arch_fits || !self.words.iter().all(|word| word.fits(digest, line)) {
            return Ok(false);
        }
        let holder_fits = match (&self.query.holder, &self.held) {
            (Some(_), Some(held)) => held.contains(digest),
            (Some(kind), None) => is_held_by_kind(tx, digest, kind)?,
            (None, _) => true,
        };
        let loose_fits = match (self.query.held_only_by, &self.loose) {
            (Some(kinds), found) => {
                found.as_ref().is_none_or(|found| found.contains(digest)) && is_held_only_by(tx, digest, kinds)?
            }
            (None, _) => true,
        };
        let shown = match self.query.not_only_by {
            Some(kinds) if holder_fits && loose_fits => !is_held_only_by(tx, digest, kinds)?,
            _ => true,
        };
        Ok(holder_fits && loose_fits && shown && (!self.query.public_only || is_public(tx, digest)?))
    }
}

fn walk(
    tx: &impl Read,
    prefix: impl PrefixOf<Cursor>,
    after: Option<&Cursor>,
    limit: usize,
    mut fits: impl FnMut(&Digest, &str) -> Result<bool>,
) -> Result<Found> {
    let limit = limit.clamp(1, MAX_PAGE);
    let prefix = Raw(prefix.bytes());
    let mut after = after.cloned();
    let mut fitting: Vec<Cursor> = Vec::new();
    'more: loop {
        let batch = NAMES.page(tx, &prefix, after.as_ref(), BATCH)?;
        let whole = batch.len() == BATCH;
        for (key, line) in batch {
            if fits(&key.1, &line)? {
                fitting.push(key.clone());
                // One more than asked for tells that there is a next page.
                if fitting.len() > limit {
                    break 'more;
                }
            }
            after = Some(key);
        }
        if !whole {
            break;
        }
    }
    let next = (fitting.len() > limit).then(|| fitting.swap_remove(limit)).and_then(|_| fitting.last().cloned());
    let mut rows = Vec::with_capacity(fitting.len());
    for (_, digest) in fitting {
        rows.extend(get(tx, &digest)?.map(|artifact| (digest, artifact)));
    }
    Ok(Found { rows, next })
}

/// One word of a search.
struct Word<'a> {
    text: memchr::memmem::Finder<'a>,
    /// The digits, when it can be the beginning of a digest.
    digits: Option<&'a str>,
}

impl<'a> Word<'a> {
    fn new(word: &'a str) -> Self {
        let hex = (6..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        Word { text: memchr::memmem::Finder::new(word), digits: hex.then_some(word) }
    }

    fn fits(&self, digest: &Digest, line: &str) -> bool {
        self.text.find(line.as_bytes()).is_some() || self.digits.is_some_and(|digits| begins(digest, digits))
    }
}

/// Whether the hex form of `digest` begins with `digits`, without making that form.
fn begins(digest: &Digest, digits: &str) -> bool {
    digits
        .bytes()
        .zip(digest.0.iter().flat_map(|byte| [byte >> 4, byte & 15]))
        .all(|(digit, nibble)| char::from(digit).to_digit(16) == Some(u32::from(nibble)))
}

/// Names that begin with a text: its bytes without the mark that ends a text in a key.
struct NameStarts<'a>(&'a str);

impl PrefixOf<Cursor> for NameStarts<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = KeyFor::<String>::bytes(self.0);
        bytes.truncate(bytes.len().saturating_sub(2));
        bytes
    }
}

/// The beginning of a key, already in its stored form.
struct Raw(Vec<u8>);

impl PrefixOf<Cursor> for &Raw {
    fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Holder, admit, hold};
    use crate::formats::Facts;
    use crate::store::table::scratch;

    fn add(tx: &WriteTx, number: u8, kind: Kind, name: &str, version: &str, file: &str) -> Digest {
        let digest = Digest([number; 32]);
        let facts = Facts {
            kind,
            name: Some(name.into()),
            version: Some(version.into()),
            arch: Some("amd64".into()),
            ..Facts::default()
        };
        admit(tx, &digest, 1, &facts, file, Time(0)).unwrap();
        digest
    }

    fn names(found: &Found) -> Vec<&str> {
        found.rows.iter().map(|(_, artifact)| artifact.name()).collect()
    }

    #[test]
    fn words_kinds_holders_and_digests() {
        scratch(|tx| {
            let curl = add(tx, 0xAB, Kind::Deb, "curl", "8.1-2", "curl_8.1-2_amd64.deb");
            let fox = add(tx, 0x12, Kind::Msi, "Firefox", "121.0", "Setup.msi");
            add(tx, 0x33, Kind::Exe, "Größe", "1", "groesse.exe");
            hold(tx, &curl, "x", &Holder::repo("apt"), true, "", Time(0)).unwrap();
            hold(tx, &fox, "x", &Holder::product("apt", "1"), false, "", Time(0)).unwrap();
            let all = Query::default;
            let words = |text: &str| Query { text: text.into(), ..all() };
            let cases = [
                (all(), vec!["curl", "Firefox", "Größe"]),
                (words("FIRE"), vec!["Firefox"]),
                (words("setup 121"), vec!["Firefox"]),
                (words("setup 122"), vec![]),
                (words("größe"), vec!["Größe"]),
                (words("GRÖSSE"), vec![]),
                (words("msi"), vec!["Firefox"]),
                (words("amd64 curl"), vec!["curl"]),
                (words("abABab"), vec!["curl"]),
                (words(&"12".repeat(32)), vec!["Firefox"]),
                (words(&"12".repeat(33)), vec![]),
                (words("ababa c"), vec![]),
                (words("ababa0"), vec![]),
                (words("\n"), vec!["curl", "Firefox", "Größe"]),
                (Query { kind: Some(Kind::Msi), ..all() }, vec!["Firefox"]),
                (Query { kind: Some(Kind::Zip), ..all() }, vec![]),
                (Query { holder: Some("product".into()), ..all() }, vec!["Firefox"]),
                (Query { holder: Some("prod".into()), ..all() }, vec![]),
                (Query { held_only_by: Some(&["repo"]), ..all() }, vec!["curl"]),
                (Query { held_only_by: Some(&["repo", "product"]), ..all() }, vec!["curl", "Firefox"]),
                (Query { held_only_by: Some(&["rep"]), ..all() }, vec![]),
                (Query { not_only_by: Some(&["repo"]), ..all() }, vec!["Firefox", "Größe"]),
                (Query { arch: Some("AMD64".into()), ..words("curl") }, vec!["curl"]),
                (Query { arch: Some("amd".into()), ..all() }, vec![]),
                (Query { public_only: true, ..all() }, vec!["curl"]),
                (Query { public_only: true, ..words("firefox") }, vec![]),
            ];
            for (query, expected) in cases {
                let found = search(tx, &query, None, 50).unwrap();
                assert_eq!(names(&found), expected, "{query:?}");
                assert_eq!(found.next, None);
            }
            assert!(search(tx, &words(&"x".repeat(1001)), None, 50).is_err());
        });
    }

    #[test]
    fn names_by_their_beginning() {
        scratch(|tx| {
            add(tx, 1, Kind::File, "lib", "", "a");
            add(tx, 2, Kind::File, "libcurl", "", "a");
            add(tx, 3, Kind::File, "LIBC", "", "a");
            add(tx, 4, Kind::File, "li", "", "a");
            add(tx, 5, Kind::File, "lic", "", "a");
            for (prefix, expected) in
                [("lib", vec!["lib", "LIBC", "libcurl"]), ("LIBC", vec!["LIBC", "libcurl"]), ("x", vec![])]
            {
                assert_eq!(names(&find(tx, prefix, None, 50).unwrap()), expected, "{prefix}");
            }
            assert_eq!(find(tx, "", None, 50).unwrap().rows.len(), 5);
        });
    }

    #[test]
    fn the_newest_come_first_page_by_page() {
        scratch(|tx| {
            for number in 0..=200_u8 {
                let facts = Facts { name: Some(format!("n{}", number % 7)), ..Facts::default() };
                let time = Time(i64::from(number) / 4 - 20);
                admit(tx, &Digest([number; 32]), 1, &facts, "a", time).unwrap();
            }
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (rows, next) = newest(tx, &Query::default(), after, 7).unwrap();
                seen.extend(rows.into_iter().map(|(digest, artifact)| (artifact.created, digest)));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), 201);
            assert!(seen.is_sorted_by(|a, b| a.0 > b.0 || a.0 == b.0 && a.1 < b.1));
            let few = newest(tx, &Query { text: "n3".into(), ..Query::default() }, None, 3).unwrap();
            assert!(few.1.is_some() && few.0.iter().all(|(_, artifact)| artifact.name() == "n3"));
            super::super::drop_if_unheld(tx, &Digest([9; 32])).unwrap();
            assert_eq!(ADDED.len(tx).unwrap(), 200);
        });
    }

    #[test]
    fn the_largest_come_first_page_by_page() {
        scratch(|tx| {
            for number in 0..=200_u8 {
                let facts = Facts { name: Some(format!("n{}", number % 7)), ..Facts::default() };
                admit(tx, &Digest([number; 32]), u64::from(number % 50) << 40, &facts, "a", Time(0)).unwrap();
            }
            for limit in [1, 7, 100] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let (rows, next) = largest(tx, &Query::default(), after, limit).unwrap();
                    assert!(rows.len() == limit || next.is_none());
                    seen.extend(rows.into_iter().map(|(digest, artifact)| (artifact.size, digest)));
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen.len(), 201);
                assert!(seen.is_sorted_by(|a, b| a.0 > b.0 || a.0 == b.0 && a.1 < b.1));
            }
            let few = largest(tx, &Query { text: "n3".into(), ..Query::default() }, None, 3).unwrap();
            assert!(few.1.is_some() && few.0.len() == 3 && few.0.iter().all(|(_, artifact)| artifact.name() == "n3"));
        });
    }

    #[test]
    fn pages_meet_without_gap_or_overlap() {
        scratch(|tx| {
            for number in 0..=249 {
                add(tx, number, Kind::File, &format!("name {:03}", number / 3), "1", "a");
            }
            for limit in [1, 7, 100, 1000] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let found = search(tx, &Query { text: "name".into(), ..Query::default() }, after.as_ref(), limit);
                    let found = found.unwrap();
                    assert!(found.rows.len() <= limit.min(MAX_PAGE));
                    seen.extend(found.rows.iter().map(|(digest, _)| digest.0[0]));
                    after = found.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, (0..=249).collect::<Vec<u8>>(), "{limit}");
            }
        });
    }
}
