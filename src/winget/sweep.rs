//! Drops uploads that nobody goes on with: at the start and once an hour (`winget.md` A7).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{Clock, Time};
use crate::error::Result;
use crate::jobs::Jobs;
use crate::store::Store;
use crate::store::table::{Read, Table};
use crate::winget::{tenant, uploads};

/// Name → when the last sweep was.
const STAMPS: Table<String, Time> = Table::new("winget.stamp");
const SWEPT: &str = "uploads";

/// The kind of job.
const KIND: &str = "winget-uploads";
/// How often.
const PERIOD: Duration = Duration::from_secs(3600);
/// Uploads dropped in one transaction.
const BATCH: usize = 200;
/// A clock that moved by more than this since the last sweep is not believed before the next one, in seconds.
const JUMP: i64 = 24 * 3600;

/// Registers the job; to be called before the queue starts.
pub fn register(jobs: &Jobs, store: &Arc<Store>, clock: &Arc<Clock>) {
    let (weak, clock) = (Arc::downgrade(store), clock.clone());
    jobs.register(KIND, 3, move |_| {
        let Some(store) = weak.upgrade() else { return Ok("the server stopped".to_owned()) };
        Ok(format!("{} uploads dropped", run(&store, clock.now())?))
    });
    jobs.every(PERIOD, KIND, "stage");
}

/// Whether the clock can be believed about ages.
fn is_steady(last: Option<Time>, now: Time) -> bool {
    last.is_some_and(|last| (-60..=JUMP).contains(&now.seconds().saturating_sub(last.seconds())))
}

/// One sweep. Answers how many uploads went.
///
/// # Errors
/// Those of the store.
pub fn run(store: &Arc<Store>, now: Time) -> Result<usize> {
    let last = store.read(|tx| STAMPS.get(tx, SWEPT))?;
    let mut total = 0;
    while is_steady(last, now) && store.read(|tx| is_due(tx, now))? {
        let inside = store.clone();
        let (stages, gone) = store.commit(move |tx| {
            let limits = limits(tx, now)?;
            uploads::expire(&inside, tx, &|tenant| limits.of(tenant), BATCH)
        })?;
        for stage in stages {
            store.remove_patchwork(&stage);
        }
        total += gone;
        if gone == 0 {
            break;
        }
    }
    store.commit(move |tx| STAMPS.put(tx, SWEPT, &now))?;
    Ok(total)
}

fn is_due(tx: &impl Read, now: Time) -> Result<bool> {
    let limits = limits(tx, now)?;
    uploads::any_before(tx, &|tenant| limits.of(tenant))
}

/// By tenant, the time before which uploads are over.
struct Limits {
    set: HashMap<Uuid, Time>,
    default: Time,
}

impl Limits {
    fn of(&self, tenant: Uuid) -> Time {
        self.set.get(&tenant).copied().unwrap_or(self.default)
    }
}

fn limits(tx: &impl Read, now: Time) -> Result<Limits> {
    let before = |hours: u64| now.plus_seconds(-i64::try_from(hours.saturating_mul(3600)).unwrap_or(i64::MAX));
    let settings = tenant::all_settings(tx)?;
    let set = settings.into_iter().map(|(tenant, settings)| (tenant, before(settings.upload_ttl_hours))).collect();
    Ok(Limits { set, default: before(tenant::Settings::default().upload_ttl_hours) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ObjectId;
    use crate::store::Options;
    use crate::winget::chunks::Piece;
    use crate::winget::uploads::{UploadKey, Written};

    #[test]
    fn old_uploads_go_unless_the_clock_has_jumped() {
        const HOUR: i64 = 3600;
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let start = Time(1_800_000_000_000_000);
        let begin = |name: &'static str, tenant: Uuid, at: Time| {
            let pieces = store.patchwork().unwrap();
            pieces.write_at(0, b"x").unwrap();
            pieces.keep();
            let written = Written { stage: pieces.name(), recorded: false };
            let key = UploadKey { tenant, account: ObjectId([1; 12]), file_id: name.into() };
            let piece = Piece { first: 0, last: 0, total: 9 };
            store.commit(move |tx| uploads::record(tx, &key, &written, piece, 0, at).map(drop)).unwrap();
        };
        let files = || std::fs::read_dir(directory.path().join("stage")).unwrap().count();
        let (patient, hasty) = (Uuid::nil(), Uuid::max());
        store
            .commit(move |tx| {
                let settings = tenant::Settings { upload_ttl_hours: 1, ..tenant::Settings::default() };
                tenant::put_settings(tx, hasty, &settings)
            })
            .unwrap();
        begin("a", patient, start);
        begin("b", hasty, start);
        let sweep = |hours: i64| run(&store, start.plus_seconds(hours * HOUR)).unwrap();
        assert_eq!(sweep(2), 0, "the first sweep has nothing to compare the clock with");
        assert_eq!((sweep(3), files()), (1, 1));
        assert_eq!(sweep(24 * 365), 0, "a jump");
        assert_eq!(sweep(3), 0, "and back again");
        assert_eq!(sweep(23), 0);
        begin("c", patient, start.plus_seconds(20 * HOUR));
        assert_eq!((sweep(25), files()), (1, 1));
        assert_eq!(store.read(|tx| uploads::reserved(tx, patient)).unwrap(), 9);
    }
}
