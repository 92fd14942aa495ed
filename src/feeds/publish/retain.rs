//! Retention: old packages leave by themselves when a repo changes (`repos.md` §19.4).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Time;
use crate::error::Result;
use crate::feeds::Desk;
use crate::feeds::model::packages;
use crate::feeds::model::{Set, sets};
use crate::feeds::order;
use crate::feeds::publish::Wanted;
use crate::ids::Digest;

const DAY: i64 = 24 * 3600;

/// Version (as text that sorts), when it became known, which.
type Row = (String, Time, Digest);

/// Adds to the change what the repo's retention sends away.
pub(super) fn apply(desk: &Desk, wanted: &mut Wanted, now: Time) -> Result<()> {
    let Some(retain) = wanted.options.retain else { return Ok(()) };
    // By name and architecture.
    let mut lines: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
    let mut held = BTreeSet::new();
    desk.store.read(|tx| {
        let mut members = sets::members(tx, &Set::Repo(wanted.name.clone()))?;
        held.extend(members.keys().copied());
        members.extend(wanted.change.put.iter().map(|(digest, member)| (*digest, member.clone())));
        for digest in &wanted.change.removed {
            members.remove(digest);
        }
        for digest in members.keys() {
            let package = match wanted.prepared.get(digest) {
                Some(new) => Some(new.package.clone()),
                None => packages::get(tx, digest)?,
            };
            if let Some(package) = package {
                let row = (order::version_key(&package), package.known_at, *digest);
                lines.entry(order::line_of(&package)).or_default().push(row);
            }
        }
        Ok(())
    })?;
    let oldest = retain.days.map(|days| now.plus_seconds(-DAY * i64::from(days)));
    for mut line in lines.into_values() {
        line.sort_by_cached_key(|(version, known, digest)| Reverse((version.clone(), *known, *digest)));
        let mut versions = 0;
        let mut last: Option<&str> = None;
        for (version, known, digest) in &line {
            if last != Some(version) {
                versions += 1;
                last = Some(version);
            }
            let surplus = retain.versions.is_some_and(|most| versions > most.max(1));
            let stale = versions > 1 && oldest.is_some_and(|oldest| *known < oldest);
            if surplus || stale {
                wanted.change.put.remove(digest);
                // What never was in the repo need not leave it: else a change that comes to nothing would publish.
                if held.contains(digest) {
                    wanted.change.removed.push(*digest);
                }
            }
        }
    }
    Ok(())
}
