//! Syncs that are due by themselves, and the end of what no sync has taken up (`repos.md` §19.6).

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Syncs, is_open};
use crate::clock::Time;
use crate::error::Result;
use crate::feeds::upstream::{self, Sync, Upstream};
use crate::store::Store;

/// How often the schedule is looked at when nothing is due before.
const LONGEST: Duration = Duration::from_secs(3600);
/// Pause when the database does not answer.
const AFTER_ERROR: Duration = Duration::from_secs(30);
const STACK: usize = 256 << 10;

/// What the scheduling thread waits for.
#[derive(Default)]
pub(super) struct Schedule {
    state: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Default)]
struct Signals {
    woken: bool,
    stopping: bool,
}

impl Schedule {
    /// Has the thread look anew: something changed.
    pub(super) fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_all();
    }

    /// Whether the program ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopping
    }

    /// Waits; answers whether to go on.
    fn wait(&self, limit: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |signals: &mut Signals| !signals.woken && !signals.stopping;
        let waited = self.changed.wait_timeout_while(state, limit, idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.woken = false;
        !state.stopping
    }
}

impl Syncs {
    /// Starts the thread that asks for syncs when they are due.
    pub fn start_schedule(self: &Arc<Self>) {
        let syncs = self.clone();
        let work = move || {
            let mut pause = Duration::ZERO;
            while syncs.schedule.wait(pause) {
                pause = syncs.look_at_schedule().unwrap_or_else(|error| {
                    log::warn!("the schedule of syncs was not looked at: {error:?}");
                    AFTER_ERROR
                });
            }
        };
        let thread = std::thread::Builder::new().name("schedule".into()).stack_size(STACK);
        if let Err(error) = thread.spawn(work) {
            log::error!("no upstream will sync by itself: {error}");
        }
    }

    /// Ends the thread; to be called before the jobs are stopped, so that syncs know why they end.
    pub fn stop_schedule(&self) {
        self.schedule.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.schedule.changed.notify_all();
        self.fetches.stop();
    }

    /// Has the schedule looked at anew: a definition changed.
    pub fn reschedule(&self) {
        self.schedule.wake();
    }

    /// Asks for what is due; answers when to look again.
    fn look_at_schedule(&self) -> Result<Duration> {
        let Some(store) = self.store.upgrade() else { return Ok(LONGEST) };
        let now = self.clock.now();
        let all = store.read(|tx| {
            let all = upstream::all(tx)?.into_iter().filter(|(_, upstream)| upstream.definition.interval > 0);
            let with_sync = |(name, upstream): (String, Upstream)| {
                let sync = upstream::last_sync(tx, &name)?;
                Ok((name, upstream, sync))
            };
            all.map(with_sync).collect::<Result<Vec<_>>>()
        })?;
        let mut pause = LONGEST;
        for (name, upstream, sync) in all {
            match seconds_left(&upstream, sync.as_ref(), now) {
                None => {}
                Some(0) => self.ask_by_itself(&store, name, now)?,
                Some(left) => pause = pause.min(Duration::from_secs(left)),
            }
        }
        drop_cache(&store, now)?;
        Ok(pause)
    }

    fn ask_by_itself(&self, store: &Arc<Store>, name: String, now: Time) -> Result<()> {
        let Some(syncs) = self.myself() else { return Ok(()) };
        store.commit(move |tx| match upstream::get(tx, &name)? {
            Some(upstream) => syncs.ask(tx, &name, &upstream, false, "schedule", now).map(drop),
            None => Ok(()),
        })
    }
}

/// Seconds until the next sync of an upstream is due; none while one is under way, which wakes the schedule at its end.
/// One that was interrupted is due at once.
fn seconds_left(upstream: &Upstream, sync: Option<&Sync>, now: Time) -> Option<u64> {
    let Some(sync) = sync else { return Some(0) };
    if is_open(sync.state) {
        return None;
    }
    if sync.error.as_deref() == Some(upstream::INTERRUPTED) {
        return Some(0);
    }
    let interval = i64::try_from(upstream.definition.interval).unwrap_or(i64::MAX);
    let last = sync.finished.unwrap_or(upstream.created);
    // A clock that was ahead must not put the next sync off for years.
    let left = last.plus_seconds(interval).seconds().saturating_sub(now.seconds()).min(interval);
    Some(u64::try_from(left).unwrap_or(0))
}

/// Lets go of what failed syncs fetched, after a week.
fn drop_cache(store: &Arc<Store>, now: Time) -> Result<()> {
    if !store.read(|tx| upstream::has_old_cache(tx, now))? {
        return Ok(());
    }
    loop {
        let weak = Arc::downgrade(store);
        let more = store.commit(move |tx| match weak.upgrade() {
            Some(store) => upstream::drop_old_cache(&store, tx, now),
            None => Ok(false),
        })?;
        if !more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::model::Type;
    use crate::feeds::upstream::{Counts, Definition, State};

    #[test]
    fn syncs_are_due_after_their_interval() {
        let definition = Definition {
            kind: Type::Yum,
            path: "/x".into(),
            key: None,
            allow_expired: false,
            arch: Vec::new(),
            interval: 100,
            policy: Default::default(),
            username: None,
            password: None,
            headers: Default::default(),
        };
        let at = |seconds: i64| Time(seconds * 1_000_000);
        let upstream = Upstream {
            definition,
            revision: 1,
            created: at(0),
            updated: at(0),
            synced: None,
            verified: false,
            packages: 0,
            changes: 0,
            mark: None,
            date: None,
        };
        let sync = |state, finished: Option<i64>, error: Option<&str>| Sync {
            id: "1".into(),
            state,
            phase: String::new(),
            started: None,
            finished: finished.map(at),
            counts: Counts::default(),
            not_modified: false,
            error: error.map(str::to_owned),
            warnings: Vec::new(),
        };
        let left = |sync: Option<Sync>, now| seconds_left(&upstream, sync.as_ref(), at(now));
        assert_eq!(left(None, 5), Some(0));
        assert_eq!(left(Some(sync(State::Running, None, None)), 500), None);
        assert_eq!(left(Some(sync(State::Done, Some(10), None)), 50), Some(60));
        assert_eq!(left(Some(sync(State::Failed, Some(10), Some("x"))), 110), Some(0));
        assert_eq!(left(Some(sync(State::Failed, Some(10), Some("interrupted"))), 11), Some(0));
        assert_eq!(left(Some(sync(State::Done, Some(9000), None)), 50), Some(100));
    }
}
