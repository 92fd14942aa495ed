//! Removes blobs that nobody holds: row first, file second, in small batches under the gate uploads take.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::disk::lock;
use super::{Inner, crash, sys};
use crate::error::Result;
use crate::ids::Digest;

/// Digests looked at while uploads wait; together with one commit this stays well below 50 ms.
const BATCH: usize = 16;
/// Blobs larger than this are moved aside under the gate and removed after it: freeing many blocks takes time.
const LARGE: u64 = 16 << 20;
/// How often the ballast is tried again while there is no room for it.
const BALLAST_EVERY: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The queue of the collecting thread.
#[derive(Default)]
pub(super) struct Collector {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
struct Work {
    digests: VecDeque<Digest>,
    busy: bool,
    /// After a failure nothing is tried before this time.
    not_before: Option<Instant>,
    stopping: bool,
}

enum Next {
    Collect(Vec<Digest>),
    Ballast,
    Stop,
}

impl Collector {
    /// Has these digests looked at soon.
    pub(super) fn ask(&self, digests: &[Digest]) {
        lock(&self.work).digests.extend(digests);
        self.changed.notify_all();
    }

    /// Has the thread look whether the ballast is there.
    pub(super) fn wake(&self) {
        // Under the lock, so that the thread is either waiting or has yet to look.
        let _work = lock(&self.work);
        self.changed.notify_all();
    }

    /// Waits until nothing is left to look at, at most `limit`; answers whether that is so.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut work = lock(&self.work);
        while work.busy || !work.digests.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || work.stopping {
                return false;
            }
            work = self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends the thread; what is not looked at is found by the next start's sweep.
    pub(super) fn stop(&self) {
        lock(&self.work).stopping = true;
        self.changed.notify_all();
    }

    /// Whether the store is being closed.
    pub(super) fn is_stopping(&self) -> bool {
        lock(&self.work).stopping
    }

    /// Sleeps for `time` (the sweep's second look); answers false when the store is stopping.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut work = lock(&self.work);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if work.stopping || left.is_zero() {
                return !work.stopping;
            }
            work = self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn next(&self, wants_ballast: impl Fn() -> bool, last_try: Option<Instant>) -> Next {
        let mut work = lock(&self.work);
        loop {
            if work.stopping {
                return Next::Stop;
            }
            let now = Instant::now();
            let ready = work.not_before.is_none_or(|at| at <= now);
            if !work.digests.is_empty() && ready {
                let count = work.digests.len().min(BATCH);
                work.busy = true;
                work.not_before = None;
                return Next::Collect(work.digests.drain(..count).collect());
            }
            let due = wants_ballast().then(|| last_try.map_or(now, |at| at + BALLAST_EVERY));
            if due.is_some_and(|due| due <= now) {
                return Next::Ballast;
            }
            let retry = work.not_before.filter(|_| !work.digests.is_empty());
            work = match due.into_iter().chain(retry).min() {
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(work).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn done(&self, failed: Option<(Vec<Digest>, Duration)>) {
        let mut work = lock(&self.work);
        work.busy = false;
        if let Some((digests, pause)) = failed {
            work.digests.extend(digests);
            work.not_before = Some(Instant::now() + pause);
        }
        drop(work);
        self.changed.notify_all();
    }
}

impl Inner {
    /// The collecting thread; it also makes the ballast, which no start has to wait for.
    pub(super) fn run_collector(self: &Arc<Self>) {
        let mut pause = SHORTEST_PAUSE;
        let mut last_try = None;
        loop {
            match self.collector.next(|| self.shelf.disk.wants_ballast(), last_try) {
                Next::Stop => return,
                Next::Ballast => {
                    if let Err(e) = self.shelf.disk.take_ballast() {
                        log::warn!("the reserve cannot be made: {e}");
                    }
                    last_try = Some(Instant::now());
                }
                Next::Collect(digests) => match self.collect(&digests) {
                    Ok(()) => {
                        pause = SHORTEST_PAUSE;
                        self.collector.done(None);
                    }
                    Err(error) => {
                        log::warn!("unheld blobs cannot be removed now: {error:?}");
                        self.collector.done(Some((digests, pause)));
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                },
            }
        }
    }

    /// Asks the catalog about each digest and removes the blobs it lets go. Reads go on meanwhile; uploads wait.
    pub(super) fn collect(self: &Arc<Self>, digests: &[Digest]) -> Result<()> {
        if self.unheld.get().is_none() {
            return Ok(());
        }
        let mut aside = Vec::new();
        let result = {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.remove_unheld(digests.to_vec(), &mut aside)
        };
        for path in aside {
            if let Err(e) = sys::remove(&path) {
                log::warn!("a deleted blob is left to the next start: {e}");
            }
        }
        result
    }

    fn remove_unheld(self: &Arc<Self>, digests: Vec<Digest>, aside: &mut Vec<std::path::PathBuf>) -> Result<()> {
        let inner = self.clone();
        let gone = self.committer.commit(move |tx| {
            let mut gone = Vec::new();
            if let Some(unheld) = inner.unheld.get() {
                for digest in &digests {
                    if unheld(tx, digest)? {
                        gone.push(*digest);
                    }
                }
            }
            Ok(gone)
        })?;
        if !gone.is_empty() {
            crash::point("row-deleted");
        }
        for digest in gone {
            self.shelf.forget(&digest);
            let path = self.shelf.path(&digest);
            // On Windows the name of a removed file stays taken until its last reader is done: it must be another.
            let move_first = cfg!(windows) || path.metadata().is_ok_and(|found| found.len() > LARGE);
            let name = self.shelf.fresh_name();
            if move_first && sys::rename(&path, &name).is_ok() {
                aside.push(name);
            } else if let Err(e) = sys::remove(&path) {
                // Without a row it is found by the next start's sweep.
                log::warn!("an unheld blob cannot be removed: {e}");
            }
        }
        Ok(())
    }
}
