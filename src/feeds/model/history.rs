//! The table of what each generation of a repo changed, so that what an earlier one held is known later (`repos.md`
//! §19.2).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::ids::Digest;
use crate::store::table::{Read, Table, WriteTx};

/// (repo, generation) → what came with it and what went.
const STEPS: Table<(String, u64), Stored> = Table::new("feeds.step");

/// The most generations a repo's history goes back.
const MOST_STEPS: usize = 1_000;
/// The most packages in all of them; the latest generation always stays.
const MOST_CHANGES: usize = 2_000_000;

/// What one generation changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Packages that came.
    pub added: Vec<Digest>,
    /// Packages that went.
    pub removed: Vec<Digest>,
}

/// The digests one after the other, in base 64: a first publication has very many.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "+")]
    added: String,
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "-")]
    removed: String,
}

fn pack(digests: &[Digest]) -> String {
    STANDARD_NO_PAD.encode(digests.iter().flat_map(|digest| digest.0).collect::<Vec<u8>>())
}

fn unpack(text: &str) -> Result<Vec<Digest>> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(Error::internal)?;
    Ok(bytes.as_chunks::<32>().0.iter().map(|digest| Digest(*digest)).collect())
}

/// Notes what a generation changed.
pub fn put(tx: &WriteTx, repo: &str, generation: u64, step: &Step) -> Result<()> {
    STEPS.put(tx, (repo, generation), &Stored { added: pack(&step.added), removed: pack(&step.removed) })
}

/// The packages a repo had in generation `then`, when it has `members` in generation `now`; none when that is no longer
/// on record.
pub fn members_at(
    tx: &impl Read,
    repo: &str,
    mut members: BTreeSet<Digest>,
    now: u64,
    then: u64,
) -> Result<Option<BTreeSet<Digest>>> {
    for generation in (then.saturating_add(1)..=now).rev() {
        let Some(step) = STEPS.get(tx, (repo, generation))? else { return Ok(None) };
        for digest in unpack(&step.added)? {
            members.remove(&digest);
        }
        members.extend(unpack(&step.removed)?);
    }
    Ok(Some(members))
}

/// How many of the oldest steps are too many; looked at before [`prune`].
pub fn surplus(tx: &impl Read, repo: &str) -> Result<Vec<u64>> {
    let steps = STEPS.all(tx, (repo,))?;
    let (mut kept, mut changes, mut surplus) = (0, 0, Vec::new());
    for ((_, generation), step) in steps.iter().rev() {
        changes += (step.added.len() + step.removed.len()) / 43;
        kept += 1;
        if kept > 1 && (kept > MOST_STEPS || changes > MOST_CHANGES) {
            surplus.push(*generation);
        }
    }
    Ok(surplus)
}

/// Forgets steps.
pub fn prune(tx: &WriteTx, repo: &str, generations: &[u64]) -> Result<()> {
    generations.iter().try_for_each(|generation| STEPS.remove(tx, (repo, *generation)).map(drop))
}

/// Forgets all of a repo.
pub(super) fn clear(tx: &WriteTx, repo: &str) -> Result<()> {
    for ((_, generation), _) in STEPS.all(tx, (repo,))? {
        STEPS.remove(tx, (repo, generation))?;
    }
    Ok(())
}

/// What stands for a set of packages: the SHA-256 of their shasums, one a line, in order.
pub fn fingerprint<'a>(members: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = Sha256::new();
    for digest in members {
        hasher.update(digest.to_hex());
        hasher.update(b"\n");
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_packed_and_come_back() {
        for count in [0, 1, 2, 5] {
            let digests: Vec<Digest> = (0..count).map(|n| Digest([n; 32])).collect();
            assert_eq!(unpack(&pack(&digests)).unwrap(), digests);
        }
        assert!(unpack("*").is_err());
    }

    #[test]
    fn a_set_is_known_by_its_fingerprint() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(fingerprint([]), Digest::of(b""));
        assert_ne!(fingerprint([&a]), fingerprint([&a, &b]));
        assert_eq!(fingerprint([&a]), Digest::of(format!("{a}\n").as_bytes()));
    }
}
