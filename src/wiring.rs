//! What the core asks of the floors above it, registered once at start: who holds a blob, what to do when one is
//! damaged, which jobs there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Time};
use crate::error::Result;
use crate::feeds::sync::Syncs;
use crate::feeds::{Desk, follow, housekeeping};
use crate::jobs::Jobs;
use crate::store::Store;
use crate::{audit, catalog};

/// How often every stored byte is read again.
const SCRUB_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often past generations of repos are looked at, and dates that run out.
const FEEDS_PERIOD: Duration = Duration::from_secs(3600);
/// How often old events are looked for in the audit trail.
const AUDIT_PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Seconds an event stays in the trail: two years.
const AUDIT_KEPT: i64 = 2 * 365 * 24 * 3600;
/// Seconds since the newest event within which the clock is believed. A clock that ran ahead must not empty the trail.
const AUDIT_QUIET: i64 = 90 * 24 * 3600;
/// Events removed in one transaction.
const AUDIT_BATCH: usize = 1000;

/// Registers the catalog's rules with the store.
pub fn register_rules(store: &Arc<Store>, clock: &Arc<Clock>) {
    store.set_unheld(catalog::drop_if_unheld);
    store.set_known(catalog::size_of);
    let (weak, clock) = (Arc::downgrade(store), clock.clone());
    store.on_damage(move |digest| {
        let Some(store) = weak.upgrade() else { return };
        log::error!("blob {digest} is damaged");
        let (now, subject) = (clock.now(), digest.to_hex());
        let noted = store.commit(move |tx| audit::note(tx, now, "packhouse", "blob.damaged", &subject, None));
        if let Err(e) = noted {
            log::warn!("the damage was not written to the audit trail: {e:?}");
        }
    });
}

/// The queue with every kind of job, and the desk of syncs, which lets upstreams be directories below `roots` only
/// (anywhere when there are none) and never `data`; both take up what an earlier run left.
///
/// # Errors
/// When the store cannot be read.
pub fn start_jobs(
    store: &Arc<Store>,
    clock: &Arc<Clock>,
    desk: &Arc<Desk>,
    roots: Vec<PathBuf>,
    data: &Path,
) -> Result<(Jobs, Arc<Syncs>)> {
    let jobs = Jobs::new(store.clone(), clock.clone());
    let weak = Arc::downgrade(store);
    jobs.register("scrub", 3, move |context| {
        let Some(store) = weak.upgrade() else { return Ok("the server stopped".to_owned()) };
        let total = store.read(catalog::count)?;
        let found = catalog::scrub(&store, &mut |found| {
            context.progress(found.artifacts, Some(total), "reading");
            context.check()
        })?;
        for digest in &found.damaged {
            context.log(&format!("damaged: {digest}"));
        }
        Ok(format!("{} artifacts read, {} damaged", found.artifacts, found.damaged.len()))
    });
    crate::winget::sweep::register(&jobs, store, clock);
    crate::winget::texts::register(&jobs, store);
    let weak = Arc::downgrade(store);
    let time = clock.clone();
    jobs.register("audit-expire", 3, move |context| {
        let Some(store) = weak.upgrade() else { return Ok("the server stopped".to_owned()) };
        let gone = expire_audit(&store, time.now(), || context.check())?;
        Ok(format!("{gone} events removed"))
    });
    jobs.every(AUDIT_PERIOD, "audit-expire", "audit");
    jobs.every(SCRUB_PERIOD, "scrub", "shelf");
    let weak = Arc::downgrade(desk);
    jobs.register("feeds", 3, move |_| {
        let Some(desk) = weak.upgrade() else { return Ok("the server stopped".to_owned()) };
        let removed = housekeeping::expire(&desk, "packhouse")?;
        let renewed = housekeeping::renew(&desk, "packhouse")?;
        follow::catch_up(&desk)?;
        Ok(format!("{} files of past generations removed, {renewed} repos published anew", removed.files))
    });
    jobs.every(FEEDS_PERIOD, "feeds", "generations");
    follow::register(&jobs, desk);
    let syncs = Syncs::open(store, clock, &jobs, roots, data.to_owned())?;
    jobs.start()?;
    crate::winget::texts::ask(&jobs, store, clock)?;
    if let Err(error) = follow::catch_up(desk) {
        log::warn!("repos that follow others were not looked at: {error:?}");
    }
    syncs.start_schedule();
    Ok((jobs, syncs))
}

/// Removes the events that are older than they are kept, the oldest first, in small transactions.
fn expire_audit(store: &Store, now: Time, mut check: impl FnMut() -> Result<()>) -> Result<usize> {
    let newest = store.read(|tx| audit::list(tx, None, 1))?.0.pop();
    if newest.is_none_or(|event| event.at.plus_seconds(AUDIT_QUIET) < now) {
        return Ok(0);
    }
    let mut gone = 0;
    loop {
        check()?;
        let batch = store.commit(move |tx| audit::expire(tx, now.plus_seconds(-AUDIT_KEPT), AUDIT_BATCH))?;
        gone += batch;
        if batch < AUDIT_BATCH {
            return Ok(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[test]
    fn old_events_go_unless_the_clock_looks_wrong() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path(), Options::default()).map_err(|e| e.message).unwrap();
        let day = 24 * 3600;
        let now = Time(0).plus_seconds(20_000 * day);
        store
            .commit(move |tx| {
                for age in [1, 700, 729, 731, 900, 1500] {
                    audit::note(tx, now.plus_seconds(-age * day), "x", "y", &age.to_string(), None)?;
                }
                Ok(())
            })
            .unwrap();
        let far = now.plus_seconds(100 * day);
        assert_eq!(expire_audit(&store, far, || Ok(())).unwrap(), 0);
        assert_eq!(expire_audit(&store, now, || Ok(())).unwrap(), 3);
        let left = store.read(|tx| audit::list(tx, None, 9)).unwrap().0;
        assert_eq!(left.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["1", "700", "729"]);
        assert_eq!(expire_audit(&store, now, || Ok(())).unwrap(), 0);
        store.close();
    }
}
