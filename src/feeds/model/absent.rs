//! Packages that are listed and whose bytes are not here yet: known by digest and size, with where to fetch them and
//! who is to hold them then (`repos.md` §19.7). The catalog knows nothing of them, because its rows never point at
//! missing bytes.

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::Result;
use crate::formats::Facts;
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};

/// Package → what is known of it while its bytes are not here.
const ABSENT: Table<Digest, Absent> = Table::new("feeds.absent");
/// Who holds it as soon as it is here.
const CLAIMS: Table<(Digest, Holder), Claim> = Table::new("feeds.claim");
/// The same relation from the other side.
const CLAIMED: Table<(Holder, Digest), ()> = Table::new("feeds.claimed");

/// Most places that are remembered for one package.
const MOST_ORIGINS: usize = 8;

/// A package whose bytes are not here yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    /// Bytes.
    pub size: u64,
    /// Its file name.
    pub filename: String,
    /// What the catalog is to note.
    pub facts: Facts,
    /// Where it can be fetched, the newest first.
    pub origins: Vec<Origin>,
}

/// A place of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The upstream.
    pub upstream: String,
    /// Where below its root, decoded; empty when it has an address of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The path as it was written, when that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// An address of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    file_name: String,
    since: Time,
    by: String,
}

/// The package, when its bytes are not here.
pub fn get(tx: &impl Read, digest: &Digest) -> Result<Option<Absent>> {
    ABSENT.get(tx, digest)
}

/// Whether its bytes are not here.
pub fn is_absent(tx: &impl Read, digest: &Digest) -> Result<bool> {
    ABSENT.has(tx, digest)
}

/// Notes a package whose bytes are not here; something must claim it in the same transaction. What is noted stays.
pub fn promise(tx: &WriteTx, digest: &Digest, size: u64, filename: &str, facts: &Facts) -> Result<()> {
    if ABSENT.has(tx, digest)? {
        return Ok(());
    }
    let absent = Absent { size, filename: filename.to_owned(), facts: facts.clone(), origins: Vec::new() };
    ABSENT.put(tx, digest, &absent)
}

/// Notes where a package can be fetched. Nothing happens when its bytes are here.
pub fn note_origin(tx: &WriteTx, digest: &Digest, origin: &Origin) -> Result<()> {
    let Some(mut absent) = ABSENT.get(tx, digest)? else { return Ok(()) };
    if absent.origins.first() == Some(origin) {
        return Ok(());
    }
    absent.origins.retain(|known| known.upstream != origin.upstream);
    absent.origins.insert(0, origin.clone());
    absent.origins.truncate(MOST_ORIGINS);
    ABSENT.put(tx, digest, &absent)
}

/// Claims a package for `holder`: in the catalog, or here as long as its bytes are not.
///
/// # Errors
/// As [`catalog::hold`].
pub fn hold(tx: &WriteTx, digest: &Digest, name: &str, holder: &Holder, who: &str, now: Time) -> Result<()> {
    if !ABSENT.has(tx, digest)? {
        return catalog::hold(tx, digest, name, holder, true, who, now);
    }
    CLAIMS.put(tx, (digest, holder), &Claim { file_name: name.to_owned(), since: now, by: who.to_owned() })?;
    CLAIMED.put(tx, (holder, digest), &())
}

/// Gives a claim up, wherever it is; a package whose bytes are not here is forgotten with its last one.
pub fn release(store: &Store, tx: &WriteTx, digest: &Digest, holder: &Holder) -> Result<()> {
    if !CLAIMS.remove(tx, (digest, holder))? {
        return catalog::release(store, tx, digest, holder);
    }
    CLAIMED.remove(tx, (holder, digest))?;
    if CLAIMS.page(tx, (digest,), None, 1)?.is_empty() {
        ABSENT.remove(tx, digest)?;
    }
    Ok(())
}

/// Gives up every claim of one holder, also those on what is here.
pub fn release_all(store: &Store, tx: &WriteTx, holder: &Holder) -> Result<()> {
    for ((_, digest), ()) in CLAIMED.all(tx, (holder,))? {
        release(store, tx, &digest, holder)?;
    }
    catalog::release_all(store, tx, holder).map(drop)
}

/// Whether `holder` has a claim on it.
pub fn holds(tx: &impl Read, holder: &Holder, digest: &Digest) -> Result<bool> {
    Ok(CLAIMED.has(tx, (holder, digest))? || catalog::holds(tx, holder, digest)?)
}

/// Who claims a package, wherever its bytes are.
pub fn holders(tx: &impl Read, digest: &Digest) -> Result<Vec<Holder>> {
    let mut found: Vec<Holder> = CLAIMS.all(tx, (digest,))?.into_iter().map(|((_, holder), _)| holder).collect();
    found.extend(catalog::holders(tx, digest)?.into_iter().map(|held| held.label));
    Ok(found)
}

/// Whether its bytes are not here and a holder of one of these kinds claims it.
pub fn is_claimed(tx: &impl Read, digest: &Digest, kinds: &[&str]) -> Result<bool> {
    Ok(CLAIMS.all(tx, (digest,))?.iter().any(|((_, holder), _)| kinds.contains(&holder.kind())))
}

/// How many of these are not here and come from upstreams that are gone: nobody can fetch them any more.
pub fn lost(tx: &impl Read, digests: &[Digest], upstream_is_there: impl Fn(&str) -> Result<bool>) -> Result<u64> {
    let mut lost = 0;
    for digest in digests {
        let Some(absent) = ABSENT.get(tx, digest)? else { continue };
        let mut origins = absent.origins.iter().map(|origin| upstream_is_there(&origin.upstream));
        lost += u64::from(!origins.try_fold(false, |any, there| there.map(|there| any || there))?);
    }
    Ok(lost)
}

/// What `holder` claims.
pub fn claimed(tx: &impl Read, holder: &Holder) -> Result<Vec<Digest>> {
    Ok(CLAIMED.all(tx, (holder,))?.into_iter().map(|((_, digest), ())| digest).collect())
}

/// How many of these are not here.
pub fn count_of<'a>(tx: &impl Read, digests: impl IntoIterator<Item = &'a Digest>) -> Result<u64> {
    let mut count = 0;
    for digest in digests {
        count += u64::from(ABSENT.has(tx, digest)?);
    }
    Ok(count)
}

/// How many packages `holder` claims whose bytes are not here.
pub fn count(tx: &impl Read, holder: &Holder) -> Result<u64> {
    Ok(CLAIMED.all(tx, (holder,))?.len() as u64)
}

/// The `size` bytes are on the shelf: they come into the catalog, and who claimed them holds them now. Nothing happens
/// when the package was not awaited.
pub fn admit(tx: &WriteTx, digest: &Digest, size: u64, now: Time) -> Result<()> {
    let Some(absent) = ABSENT.get(tx, digest)? else { return Ok(()) };
    catalog::admit(tx, digest, size, &absent.facts, &absent.filename, now)?;
    arrive(tx, digest)
}

/// The bytes are here and in the catalog: who claimed them holds them now.
pub fn arrive(tx: &WriteTx, digest: &Digest) -> Result<()> {
    if !ABSENT.remove(tx, digest)? {
        return Ok(());
    }
    for ((_, holder), claim) in CLAIMS.all(tx, (digest,))? {
        CLAIMS.remove(tx, (digest, &holder))?;
        CLAIMED.remove(tx, (&holder, digest))?;
        catalog::hold(tx, digest, &claim.file_name, &holder, true, &claim.by, claim.since)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::scratch;

    fn origin(upstream: &str, path: &str) -> Origin {
        Origin { upstream: upstream.to_owned(), path: path.to_owned(), written: None, url: None }
    }

    #[test]
    fn claims_become_holds_when_the_bytes_come() {
        scratch(|tx| {
            let (digest, upstream, repo) = (Digest::of(b"x"), Holder::upstream("u"), Holder::repo("r"));
            promise(tx, &digest, 9, "x.rpm", &Facts::default()).unwrap();
            hold(tx, &digest, "x.rpm", &upstream, "sync", Time(1)).unwrap();
            hold(tx, &digest, "y.rpm", &repo, "who", Time(2)).unwrap();
            assert!(catalog::get(tx, &digest).unwrap().is_none() && is_absent(tx, &digest).unwrap());
            assert!(holds(tx, &repo, &digest).unwrap() && is_claimed(tx, &digest, &["x", "repo"]).unwrap());
            assert_eq!((count(tx, &upstream).unwrap(), count_of(tx, [&digest]).unwrap()), (1, 1));
            note_origin(tx, &digest, &origin("u", "a")).unwrap();
            for (there, gone) in [(true, 0), (false, 1)] {
                assert_eq!(lost(tx, &claimed(tx, &repo).unwrap(), |_| Ok(there)).unwrap(), gone);
            }
            assert_eq!(holders(tx, &digest).unwrap(), [repo.clone(), upstream.clone()]);
            admit(tx, &digest, 9, Time(3)).unwrap();
            admit(tx, &digest, 8, Time(4)).unwrap();
            let held = catalog::holders(tx, &digest).unwrap();
            let names: Vec<&str> = held.iter().map(|held| held.hold.file_name.as_str()).collect();
            assert_eq!((names, held[0].hold.since), (vec!["y.rpm", "x.rpm"], Time(2)));
            assert_eq!(catalog::get(tx, &digest).unwrap().map(|artifact| artifact.size), Some(9));
            assert!(!is_absent(tx, &digest).unwrap() && count(tx, &upstream).unwrap() == 0);
            assert!(holds(tx, &upstream, &digest).unwrap());
        });
    }

    #[test]
    fn the_newest_origin_is_tried_first_and_each_upstream_has_one() {
        scratch(|tx| {
            let digest = Digest::of(b"x");
            note_origin(tx, &digest, &origin("u", "a")).unwrap();
            assert!(get(tx, &digest).unwrap().is_none(), "what is here needs no origin");
            promise(tx, &digest, 9, "x.rpm", &Facts::default()).unwrap();
            for (upstream, path) in [("u", "a"), ("v", "b"), ("u", "c"), ("u", "c")] {
                note_origin(tx, &digest, &origin(upstream, path)).unwrap();
            }
            for number in 0..MOST_ORIGINS {
                assert!(get(tx, &digest).unwrap().unwrap().origins.len() <= MOST_ORIGINS);
                if number == 0 {
                    assert_eq!(get(tx, &digest).unwrap().unwrap().origins, [origin("u", "c"), origin("v", "b")]);
                }
                note_origin(tx, &digest, &origin(&format!("w{number}"), "d")).unwrap();
            }
            assert_eq!(get(tx, &digest).unwrap().unwrap().origins.len(), MOST_ORIGINS);
        });
    }
}
