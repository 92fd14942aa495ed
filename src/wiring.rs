//! What the core asks of the floors above it, registered once at start: who holds a blob, what to do when one is
//! damaged, which jobs there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::feeds::sync::Syncs;
use crate::jobs::Jobs;
use crate::store::Store;
use crate::{audit, catalog};

/// How often every stored byte is read again.
const SCRUB_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

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
    jobs.every(SCRUB_PERIOD, "scrub", "shelf");
    let syncs = Syncs::open(store, clock, &jobs, roots, data.to_owned())?;
    jobs.start()?;
    syncs.start_schedule();
    Ok((jobs, syncs))
}
