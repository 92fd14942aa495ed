//! What the core asks of the floors above it, registered once at start: who holds a blob, what to do when one is
//! damaged, which jobs there are.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
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

/// The queue with every kind of job; takes up what an earlier run left.
///
/// # Errors
/// When the store cannot be read.
pub fn start_jobs(store: &Arc<Store>, clock: &Arc<Clock>) -> Result<Jobs> {
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
    jobs.every(SCRUB_PERIOD, "scrub", "shelf");
    jobs.start()?;
    Ok(jobs)
}
