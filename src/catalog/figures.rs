//! Sums over the whole catalog: how much of what, through which doors, the largest.

use std::collections::BTreeMap;

use crate::catalog::{holders, rows};
use crate::error::Result;
use crate::ids::Digest;
use crate::store::table::Read;

/// Artifacts looked at in one go.
const BATCH: usize = 1000;
/// How many of the largest are named.
const LARGEST: usize = 20;

/// Sums over the whole catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Artifacts.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Kind, artifacts, bytes; by bytes from the most on.
    pub kinds: Vec<(String, u64, u64)>,
    /// Kind of holder, artifacts, bytes; an artifact held through two doors counts at both.
    pub doors: Vec<(String, u64, u64)>,
    /// Artifacts and bytes that nobody but holders of the kinds asked about has a claim on.
    pub loose: (u64, u64),
    /// Artifacts that nobody but holders of the other kinds asked about has a claim on.
    pub behind: u64,
    /// Size, digest and name, the largest first.
    pub largest: Vec<(u64, Digest, String)>,
}

/// Looks at every artifact: some microseconds each. `loose` are the kinds of holders that offer nothing to anybody,
/// `behind` those of what the server makes for itself.
pub fn figures(tx: &impl Read, loose: &[&str], behind: &[&str]) -> Result<Figures> {
    let mut found = Figures::default();
    let (mut kinds, mut doors) = (BTreeMap::new(), BTreeMap::new());
    let mut after: Option<Digest> = None;
    loop {
        let batch = rows(tx, after.as_ref(), BATCH)?;
        let whole = batch.len() == BATCH;
        after = batch.last().map(|(digest, _)| *digest);
        for (digest, artifact) in batch {
            found.artifacts += 1;
            found.bytes += artifact.size;
            add(&mut kinds, artifact.facts.kind.word(), artifact.size);
            let held = holders(tx, &digest)?;
            let mut seen: Vec<&str> = held.iter().map(|held| held.label.kind()).collect();
            seen.dedup();
            let only = |kinds: &[&str]| !seen.is_empty() && seen.iter().all(|kind| kinds.contains(kind));
            found.behind += u64::from(only(behind));
            if only(loose) {
                found.loose = (found.loose.0 + 1, found.loose.1 + artifact.size);
            }
            seen.into_iter().for_each(|kind| add(&mut doors, kind, artifact.size));
            let full = found.largest.len() == LARGEST;
            if !full || found.largest.last().is_some_and(|(least, ..)| *least < artifact.size) {
                let place = found.largest.partition_point(|(size, ..)| *size >= artifact.size);
                found.largest.insert(place, (artifact.size, digest, artifact.name().to_owned()));
                found.largest.truncate(LARGEST);
            }
        }
        if !whole {
            break;
        }
    }
    (found.kinds, found.doors) = (sorted(kinds), sorted(doors));
    Ok(found)
}

fn add(sums: &mut BTreeMap<String, (u64, u64)>, name: &str, size: u64) {
    let sum = sums.entry(name.to_owned()).or_default();
    sum.0 += 1;
    sum.1 += size;
}

fn sorted(sums: BTreeMap<String, (u64, u64)>) -> Vec<(String, u64, u64)> {
    let mut sums: Vec<_> = sums.into_iter().map(|(name, (count, bytes))| (name, count, bytes)).collect();
    sums.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Holder, admit, hold};
    use crate::clock::Time;
    use crate::formats::{Facts, Kind};
    use crate::store::table::scratch;

    #[test]
    fn sums() {
        scratch(|tx| {
            assert_eq!(figures(tx, &[], &[]).unwrap(), Figures::default());
            for number in 1..=30_u8 {
                let kind = if number % 2 == 0 { Kind::Deb } else { Kind::Msi };
                let (digest, facts) = (Digest([number; 32]), Facts { kind, ..Facts::default() });
                admit(tx, &digest, number.into(), &facts, &format!("f{number}"), Time(0)).unwrap();
                for holder in
                    [Holder::repo("a"), Holder::repo("b"), Holder::product("x", "1")].iter().take(number.into())
                {
                    hold(tx, &digest, "f", holder, false, "", Time(0)).unwrap();
                }
            }
            let found = figures(tx, &["product"], &["repo"]).unwrap();
            assert_eq!((found.loose, found.behind), ((0, 0), 2));
            assert_eq!(figures(tx, &["product", "repo"], &[]).unwrap().loose, (30, 465));
            assert_eq!(figures(tx, &["repo"], &[]).unwrap().loose, (2, 3));
            assert_eq!((found.artifacts, found.bytes), (30, 465));
            assert_eq!(found.kinds, [("deb".to_owned(), 15, 240), ("msi".to_owned(), 15, 225)]);
            assert_eq!(found.doors, [("repo".to_owned(), 30, 465), ("product".to_owned(), 28, 462)]);
            assert_eq!(found.largest.len(), 20);
            assert_eq!((found.largest[0].0, found.largest[19].0), (30, 11));
        });
    }
}
