//! The tables of sets: which packages an upstream, a repo or a snapshot has, and the metadata that goes with them.

use std::collections::BTreeMap;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::{Change, Counts, Extra, Extras, Member, Set, absent, packages};
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::{KeyFor, PrefixOf, Read, Table, WriteTx};

/// (label of the set, package) → how the set knows it.
const MEMBERS: Table<(String, Digest), Member> = Table::new("feeds.member");
/// (label of the set, type) → a metadata file that goes with the set.
const EXTRAS: Table<(String, String), Extra> = Table::new("feeds.extra");

/// Every package of a set.
pub fn members(tx: &impl Read, set: &Set) -> Result<BTreeMap<Digest, Member>> {
    let rows = MEMBERS.all(tx, (set.label().as_str(),))?;
    Ok(rows.into_iter().map(|((_, digest), member)| (digest, member)).collect())
}

/// How a set knows a package, if it has it.
pub fn member(tx: &impl Read, set: &Set, digest: &Digest) -> Result<Option<Member>> {
    MEMBERS.get(tx, (set.label().as_str(), digest))
}

/// Whether the set has any package.
pub fn is_empty(tx: &impl Read, set: &Set) -> Result<bool> {
    Ok(MEMBERS.page(tx, (set.label().as_str(),), None, 1)?.is_empty())
}

/// The members of a set whose digest begins with `start`.
pub fn members_starting(tx: &impl Read, set: &Set, start: [u8; 6]) -> Result<Vec<(Digest, Member)>> {
    let rows = MEMBERS.page(tx, Starting { label: &set.label(), start }, None, 64)?;
    Ok(rows.into_iter().map(|((_, digest), member)| (digest, member)).collect())
}

/// The beginning of the key of a member.
pub(super) struct Starting<'a> {
    pub(super) label: &'a str,
    pub(super) start: [u8; 6],
}

impl PrefixOf<(String, Digest)> for Starting<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = KeyFor::<String>::bytes(self.label);
        bytes.extend_from_slice(&self.start);
        bytes
    }
}

/// What has to happen to a set that has `held` so that it has exactly `wanted`.
pub fn difference(held: &BTreeMap<Digest, Member>, wanted: &BTreeMap<Digest, Member>) -> Change {
    let put = wanted.iter().filter(|(digest, member)| held.get(digest) != Some(*member));
    let removed = held.keys().filter(|digest| !wanted.contains_key(digest));
    Change { put: put.map(|(digest, member)| (*digest, member.clone())).collect(), removed: removed.copied().collect() }
}

/// Who changes a set, and when.
#[derive(Clone, Copy)]
pub struct Hand<'a> {
    /// Where bytes go when nobody holds them any more.
    pub store: &'a Store,
    /// The label of the principal.
    pub who: &'a str,
    /// The time of the change.
    pub now: Time,
}

/// Changes a set. Every package that comes must be known ([`packages::admit`]).
///
/// # Errors
/// `Conflict` when one is not, because somebody deleted it meanwhile.
pub fn apply(tx: &WriteTx, hand: Hand, set: &Set, change: &Change) -> Result<Counts> {
    let (label, holder) = (set.label(), set.holder());
    let mut counts = Counts::default();
    for digest in change.put.keys() {
        if !packages::is_known(tx, digest)? {
            return Err(Error::conflict(format!("package {digest} was deleted meanwhile")));
        }
    }
    for (digest, member) in &change.put {
        let key = (label.as_str(), digest);
        if !MEMBERS.has(tx, key)? {
            counts.added += 1;
            let name = member.filenames.first().map(String::as_str);
            let own = match name {
                None => packages::get(tx, digest)?.map(|package| package.filename),
                Some(_) => None,
            };
            let name = name.or(own.as_deref()).unwrap_or_default();
            absent::hold(tx, digest, name, &holder, hand.who, hand.now)?;
        }
        MEMBERS.put(tx, key, member)?;
    }
    for digest in &change.removed {
        if MEMBERS.remove(tx, (label.as_str(), digest))? {
            counts.removed += 1;
            absent::release(hand.store, tx, digest, &holder)?;
            packages::drop_unlisted(tx, digest)?;
        }
    }
    Ok(counts)
}

/// Makes a set have exactly `wanted` and these extras; [`apply`] says what else.
pub fn replace(
    tx: &WriteTx,
    hand: Hand,
    set: &Set,
    wanted: &BTreeMap<Digest, Member>,
    extras: &Extras,
) -> Result<Counts> {
    let change = difference(&members(tx, set)?, wanted);
    let counts = apply(tx, hand, set, &change)?;
    put_extras(tx, set, extras)?;
    Ok(Counts { packages: wanted.len() as u64, ..counts })
}

/// Empties a set and forgets its extras. The caller lets go of what held the extras' bytes.
pub fn clear(tx: &WriteTx, hand: Hand, set: &Set) -> Result<Counts> {
    replace(tx, hand, set, &BTreeMap::new(), &Extras::new())
}

/// The extras of a set.
pub fn extras(tx: &impl Read, set: &Set) -> Result<Extras> {
    let rows = EXTRAS.all(tx, (set.label().as_str(),))?;
    Ok(rows.into_iter().map(|((_, kind), extra)| (kind, extra)).collect())
}

/// Gives a set these extras and no others. Whoever calls it holds their bytes for as long as they are the set's.
pub fn put_extras(tx: &WriteTx, set: &Set, extras: &Extras) -> Result<()> {
    let label = set.label();
    for kind in self::extras(tx, set)?.into_keys().filter(|kind| !extras.contains_key(kind)) {
        EXTRAS.remove(tx, (label.as_str(), kind.as_str()))?;
    }
    for (kind, extra) in extras {
        EXTRAS.put(tx, (label.as_str(), kind.as_str()), extra)?;
    }
    Ok(())
}
