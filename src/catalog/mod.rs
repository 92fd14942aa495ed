//! The catalog: what every blob on the shelf is, and who holds it. Bytes live while somebody holds them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::formats::{self, Facts};
use crate::ids::Digest;
use crate::store::table::{Read, Table, WriteTx};
use crate::store::{Staged, Store};

mod check;
mod downloads;
mod figures;
mod holder;
mod scrub;
mod search;

pub use check::Rows;
pub use downloads::Downloads;
pub use figures::{Figures, figures};
pub use holder::Holder;
pub use scrub::{Scrubbed, scrub};
pub use search::{Cursor, Found, Listed, Place, Query, find, largest, newest, search};

const ARTIFACTS: Table<Digest, Artifact> = Table::new("catalog.artifact");
const HOLDERS: Table<(Digest, Holder), Hold> = Table::new("catalog.holder");
/// The same relation from the other side.
const HELD: Table<(Holder, Digest), ()> = Table::new("catalog.held");
/// The claims that are public.
const PUBLIC: Table<(Digest, Holder), ()> = Table::new("catalog.public");

/// A blob with catalog facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Bytes.
    pub size: u64,
    /// What the bytes say of themselves.
    pub facts: Facts,
    /// The file name it first came under.
    pub first_name: String,
    /// When it first came.
    pub created: Time,
}

impl Artifact {
    /// The name people know it by: the package's own, else the file's.
    pub fn name(&self) -> &str {
        self.facts.name.as_deref().unwrap_or(&self.first_name)
    }
}

/// One claim on an artifact, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The file name this holder knows it by.
    pub file_name: String,
    /// Whether anonymous callers may learn of the artifact through this holder.
    #[serde(default)]
    pub public: bool,
    /// Since when.
    pub since: Time,
    /// The principal that made the claim.
    pub by: String,
}

/// One claim on an artifact, with its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who holds.
    pub label: Holder,
    /// How.
    pub hold: Hold,
}

/// What the bytes of a file that came under this name say of themselves; one that cannot be read again is still a file.
pub fn inspect(staged: &Staged, name: &str) -> Facts {
    match staged.open() {
        Ok(mut file) => formats::inspect(&mut file, name),
        Err(_) => Facts::default(),
    }
}

/// Makes the artifact's row when these bytes are new; a known artifact keeps its first name, facts and time.
/// Without a holder in the same transaction the row is as good as unheld.
pub fn admit(tx: &WriteTx, digest: &Digest, size: u64, facts: &Facts, first_name: &str, now: Time) -> Result<()> {
    if ARTIFACTS.has(tx, digest)? {
        return Ok(());
    }
    let artifact = Artifact { size, facts: facts.clone(), first_name: first_name.to_owned(), created: now };
    search::index(tx, digest, &artifact)?;
    ARTIFACTS.put(tx, digest, &artifact)
}

/// Claims an admitted artifact for `holder`; claiming again renews file name, visibility, time and claimant.
/// `NotFound` when the artifact is not in the catalog.
pub fn hold(
    tx: &WriteTx,
    digest: &Digest,
    file_name: &str,
    holder: &Holder,
    public: bool,
    who: &str,
    now: Time,
) -> Result<()> {
    if !ARTIFACTS.has(tx, digest)? {
        return Err(Error::not_found("unknown artifact"));
    }
    let hold = Hold { file_name: file_name.to_owned(), public, since: now, by: who.to_owned() };
    HOLDERS.put(tx, (digest, holder), &hold)?;
    match public {
        true => PUBLIC.put(tx, (digest, holder), &())?,
        false => drop(PUBLIC.remove(tx, (digest, holder))?),
    }
    HELD.put(tx, (holder, digest), &())
}

/// Gives a claim up; with the last one the bytes go after this commit. Nothing happens when there was no claim.
pub fn release(store: &Store, tx: &WriteTx, digest: &Digest, holder: &Holder) -> Result<()> {
    if HOLDERS.remove(tx, (digest, holder))? {
        HELD.remove(tx, (holder, digest))?;
        PUBLIC.remove(tx, (digest, holder))?;
        if !is_held(tx, digest)? {
            store.release(tx, *digest);
        }
    }
    Ok(())
}

/// Gives up every claim of one holder; answers how many there were.
pub fn release_all(store: &Store, tx: &WriteTx, holder: &Holder) -> Result<usize> {
    let all = HELD.all(tx, (holder,))?;
    for ((_, digest), ()) in &all {
        release(store, tx, digest, holder)?;
    }
    Ok(all.len())
}

/// The artifact with this digest.
pub fn get(tx: &impl Read, digest: &Digest) -> Result<Option<Artifact>> {
    ARTIFACTS.get(tx, digest)
}

/// Every claim on an artifact, by label.
pub fn holders(tx: &impl Read, digest: &Digest) -> Result<Vec<Held>> {
    let rows = HOLDERS.all(tx, (digest,))?;
    Ok(rows.into_iter().map(|((_, label), hold)| Held { label, hold }).collect())
}

/// Whether `holder` has a claim on the artifact.
pub fn holds(tx: &impl Read, holder: &Holder, digest: &Digest) -> Result<bool> {
    HELD.has(tx, (holder, digest))
}

/// Up to `limit` digests that `holder` has a claim on, after `after` when given.
pub fn held_by(tx: &impl Read, holder: &Holder, after: Option<Digest>, limit: usize) -> Result<Vec<Digest>> {
    let after = after.map(|digest| (holder.clone(), digest));
    let rows = HELD.page(tx, (holder,), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, digest), ())| digest).collect())
}

/// Whether anybody has a claim on the artifact.
pub fn is_held(tx: &impl Read, digest: &Digest) -> Result<bool> {
    Ok(!HOLDERS.page(tx, (digest,), None, 1)?.is_empty())
}

/// Whether anonymous callers may learn of the artifact.
pub fn is_public(tx: &impl Read, digest: &Digest) -> Result<bool> {
    Ok(!PUBLIC.page(tx, (digest,), None, 1)?.is_empty())
}

/// Whether a holder of this kind has a claim on the artifact.
pub fn is_held_by_kind(tx: &impl Read, digest: &Digest, kind: &str) -> Result<bool> {
    let parted = HOLDERS.page(tx, holder::OfKind(Some(digest), kind), None, 1)?;
    Ok(!parted.is_empty() || HELD.has(tx, (&Holder::bare(kind), digest))?)
}

/// Whether somebody has a claim on the artifact, and nobody but holders of these kinds.
pub fn is_held_only_by(tx: &impl Read, digest: &Digest, kinds: &[&str]) -> Result<bool> {
    let held = HOLDERS.all(tx, (digest,))?;
    Ok(!held.is_empty() && held.iter().all(|((_, label), _)| kinds.contains(&label.kind())))
}

/// What holders of any of these kinds hold, when none of them holds more than `limit` artifacts.
fn held_by_kinds(tx: &impl Read, kinds: &[&str], limit: usize) -> Result<Option<HashSet<Digest>>> {
    let mut all = HashSet::new();
    for kind in kinds {
        match held_by_kind(tx, kind, limit)? {
            Some(some) => all.extend(some),
            None => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// What holders of one kind hold, when that is at most `limit` artifacts.
fn held_by_kind(tx: &impl Read, kind: &str, limit: usize) -> Result<Option<HashSet<Digest>>> {
    let mut rows = HELD.page(tx, (&Holder::bare(kind),), None, limit + 1)?;
    rows.extend(HELD.page(tx, holder::OfKind(None, kind), None, limit + 1)?);
    Ok((rows.len() <= limit).then(|| rows.into_iter().map(|((_, digest), ())| digest).collect()))
}

/// The rule the store's collector asks inside its own transaction: without a holder the artifact's row goes, and the
/// answer `true` says that the bytes may go after it.
pub fn drop_if_unheld(tx: &WriteTx, digest: &Digest) -> Result<bool> {
    if is_held(tx, digest)? {
        return Ok(false);
    }
    if let Some(artifact) = get(tx, digest)? {
        search::unindex(tx, digest, &artifact)?;
        ARTIFACTS.remove(tx, digest)?;
    }
    Ok(true)
}

/// The size on record of these bytes, none when nobody holds them: what the store asks before it serves a blob or
/// calls it litter. A row whose last holder went in a commit that a crash cut off from its collection is litter too.
pub fn size_of(tx: &impl Read, digest: &Digest) -> Result<Option<u64>> {
    match is_held(tx, digest)? {
        true => Ok(get(tx, digest)?.map(|artifact| artifact.size)),
        false => Ok(None),
    }
}

/// Up to `limit` artifacts in the order of their digests, after `after` when given: for checks of everything.
pub fn rows(tx: &impl Read, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, Artifact)>> {
    ARTIFACTS.page(tx, (), after, limit)
}

/// Number of artifacts.
pub fn count(tx: &impl Read) -> Result<u64> {
    ARTIFACTS.len(tx)
}

/// Every place that uses an artifact, for people: holder and the file name it knows.
pub fn uses(tx: &impl Read, digest: &Digest) -> Result<Vec<String>> {
    let held = holders(tx, digest)?.into_iter();
    Ok(held.map(|held| format!("{} ({})", held.label, held.hold.file_name.escape_debug())).collect())
}

#[cfg(test)]
mod on_disk;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Kind;
    use crate::store::table::scratch;

    pub(super) fn facts(name: Option<&str>) -> Facts {
        Facts { kind: Kind::Deb, name: name.map(str::to_owned), ..Facts::default() }
    }

    #[test]
    fn the_first_name_and_time_stay() {
        scratch(|tx| {
            let digest = Digest::of(b"x");
            admit(tx, &digest, 1, &facts(None), "a.deb", Time(1)).unwrap();
            admit(tx, &digest, 1, &facts(None), "b.deb", Time(2)).unwrap();
            let artifact = get(tx, &digest).unwrap().unwrap();
            assert_eq!((artifact.first_name.as_str(), artifact.created), ("a.deb", Time(1)));
            assert_eq!((artifact.name(), count(tx).unwrap()), ("a.deb", 1));
        });
    }

    #[test]
    fn claims_are_seen_from_both_sides() {
        scratch(|tx| {
            let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
            let (product, repo) = (Holder::product("x", "y/z"), Holder::repo("apt"));
            let refused = hold(tx, &one, "a", &product, false, "who", Time(1)).unwrap_err();
            assert_eq!(refused.kind, crate::error::Kind::NotFound);
            for digest in [&one, &two] {
                admit(tx, digest, 1, &facts(None), "a", Time(1)).unwrap();
                hold(tx, digest, "a", &repo, true, "who", Time(1)).unwrap();
            }
            hold(tx, &one, "b", &product, false, "who", Time(2)).unwrap();
            hold(tx, &one, "c", &product, false, "fp:1", Time(3)).unwrap();

            let held = holders(tx, &one).unwrap();
            assert_eq!(held.iter().map(|h| h.label.as_str()).collect::<Vec<_>>(), ["product/x/y%2Fz", "repo/apt"]);
            let renewed = Hold { file_name: "c".into(), public: false, since: Time(3), by: "fp:1".into() };
            assert_eq!(held[0].hold, renewed);
            assert!(holds(tx, &product, &one).unwrap() && !holds(tx, &product, &two).unwrap());
            assert!(!holds(tx, &Holder::product("x/y", "z"), &one).unwrap());
            assert!(is_public(tx, &one).unwrap());
            for (kind, held) in [("product", true), ("repo", true), ("prod", false), ("repo-index", false), ("", false)]
            {
                assert_eq!(is_held_by_kind(tx, &one, kind).unwrap(), held, "{kind}");
            }
            hold(tx, &two, "a", &repo, false, "who", Time(1)).unwrap();
            assert!(!is_public(tx, &two).unwrap());
            hold(tx, &two, "a", &Holder::package(), false, "who", Time(1)).unwrap();
            assert!(is_held_by_kind(tx, &two, "package").unwrap() && !is_held_by_kind(tx, &one, "package").unwrap());
            assert_eq!(uses(tx, &one).unwrap(), ["product/x/y%2Fz (c)", "repo/apt (a)"]);

            let mut both = [one, two];
            both.sort();
            assert_eq!(held_by(tx, &repo, None, 9).unwrap(), both);
            assert_eq!(held_by(tx, &repo, Some(both[0]), 9).unwrap(), both[1..]);
            assert_eq!(held_by(tx, &Holder::repo("ap"), None, 9).unwrap(), []);
        });
    }

    #[test]
    fn only_what_nobody_holds_is_dropped() {
        scratch(|tx| {
            let digest = Digest::of(b"x");
            assert!(drop_if_unheld(tx, &digest).unwrap(), "a blob without a row may go");
            admit(tx, &digest, 1, &facts(Some("pkg")), "a.deb", Time(1)).unwrap();
            let holder = Holder::package();
            hold(tx, &digest, "a.deb", &holder, true, "who", Time(1)).unwrap();
            assert!(!drop_if_unheld(tx, &digest).unwrap());
            assert_eq!(size_of(tx, &digest).unwrap(), Some(1));
            HOLDERS.remove(tx, (digest, &holder)).unwrap();
            HELD.remove(tx, (&holder, digest)).unwrap();
            assert_eq!(size_of(tx, &digest).unwrap(), None, "a row that nobody holds is litter");
            assert!(drop_if_unheld(tx, &digest).unwrap());
            assert!(rows(tx, None, 9).unwrap().is_empty());
            assert!(find(tx, "pkg", None, 9).unwrap().rows.is_empty());
        });
    }
}
