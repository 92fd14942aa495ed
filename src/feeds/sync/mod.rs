//! Syncs of upstreams: the desk that starts, watches, waits for and calls off the jobs that copy other people's
//! repositories (`repos.md` §3).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::{Clock, Time};
use crate::error::{Error, Kind, Result};
use crate::feeds::follow;
use crate::feeds::model::Set;
use crate::feeds::upstream::{self, Counts, State, Sync, Upstream};
use crate::jobs::{Context, JobId, Jobs, NewJob};
use crate::store::Store;
use crate::store::table::WriteTx;

mod apt;
mod dir;
mod errand;
mod failure;
pub mod fetch;
mod local;
mod place;
mod plan;
mod progress;
mod promise;
mod proxy;
pub(super) mod run;
mod schedule;
pub(super) mod signature;
mod source;
mod transfer;
mod web;
mod yum;

use failure::{Failure, Outcome};
use progress::Progress;
use run::Run;
use source::Source;

/// What the queue of jobs calls a sync.
const KIND: &str = "sync";
/// Upstreams that sync at once.
const WIDTH: usize = 6;
/// How often a waiting job thread looks whether it was called off.
const LOOK: Duration = Duration::from_millis(100);
/// The longest anybody waits for a sync to end.
pub const LONGEST_WAIT: u64 = 600;
const STACK: usize = 4 << 20;

/// The desk of syncs; one per server.
pub struct Syncs {
    myself: Weak<Syncs>,
    store: Weak<Store>,
    clock: Arc<Clock>,
    jobs: Jobs,
    /// Where directories may lie; empty for anywhere.
    roots: Vec<PathBuf>,
    data: PathBuf,
    running: Mutex<HashMap<String, Arc<Progress>>>,
    ended: Condvar,
    schedule: schedule::Schedule,
    fetches: fetch::Fetches,
}

impl Syncs {
    /// Takes up what an earlier run of the program left and says how syncs are done; before [`Jobs::start`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn open(
        store: &Arc<Store>,
        clock: &Arc<Clock>,
        jobs: &Jobs,
        roots: Vec<PathBuf>,
        data: PathBuf,
    ) -> Result<Arc<Syncs>> {
        let now = clock.now();
        store.commit(move |tx| upstream::end_interrupted(tx, now))?;
        let syncs = Arc::new_cyclic(|myself| Syncs {
            myself: myself.clone(),
            store: Arc::downgrade(store),
            clock: clock.clone(),
            jobs: jobs.clone(),
            roots,
            data,
            running: Mutex::default(),
            ended: Condvar::new(),
            schedule: schedule::Schedule::default(),
            fetches: fetch::Fetches::default(),
        });
        let weak = Arc::downgrade(&syncs);
        jobs.register_apart(KIND, WIDTH, move |context| match weak.upgrade() {
            Some(syncs) => syncs.work(context),
            None => Ok("the server stopped".to_owned()),
        });
        Ok(syncs)
    }

    /// Queues a sync as part of `tx`, and calls off one that is under way for an older definition. One that is under
    /// way for this definition serves instead. Answers the id of the sync that will tell.
    ///
    /// # Errors
    /// `Busy` when very many jobs are waiting.
    pub fn ask(
        &self,
        tx: &WriteTx,
        name: &str,
        upstream: &Upstream,
        changed: bool,
        who: &str,
        now: Time,
    ) -> Result<String> {
        let before = upstream::last_sync(tx, name)?.filter(|sync| is_open(sync.state));
        if let Some(sync) = before.as_ref().filter(|_| !changed) {
            return Ok(sync.id.clone());
        }
        let new = NewJob {
            kind: KIND,
            target: target(name),
            input: json!({ "upstream": name, "revision": upstream.revision, "asked": now.0 }),
            by: who.to_owned(),
        };
        let id = self.jobs.enqueue(tx, &new, now)?;
        let id = format!("{:x}", id.0);
        upstream::begin_sync(tx, name, &id)?;
        Ok(id)
    }

    /// Calls off the job of a sync whose record no longer counts.
    pub fn call_off(&self, id: &str) {
        let Ok(id) = u64::from_str_radix(id, 16) else { return };
        match self.jobs.cancel(JobId(id)) {
            Ok(()) => {}
            // It has ended by itself.
            Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => {}
            Err(error) => log::warn!("a sync could not be called off: {error:?}"),
        }
    }

    /// Counts and phase of a running sync.
    pub fn look(&self, name: &str) -> Option<(Counts, &'static str)> {
        self.running().get(name).map(|progress| progress.look())
    }

    /// Waits until the sync `id` of an upstream has ended or another has taken its place, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn wait(&self, name: &str, id: &str, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let Some(store) = self.store.upgrade() else { return Ok(()) };
            let running = self.running();
            let sync = store.read(|tx| upstream::last_sync(tx, name))?;
            if !sync.is_some_and(|sync| sync.id == id && is_open(sync.state)) {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // Looked at again now and then: a sync can also end without anybody telling.
            drop(self.ended.wait_timeout(running, left.min(Duration::from_millis(500))));
        }
    }

    /// Has whoever waits look again.
    pub fn tell(&self) {
        self.ended.notify_all();
    }

    /// For closures that outlive a call.
    pub fn myself(&self) -> Option<Arc<Syncs>> {
        self.myself.upgrade()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Progress>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job.
    fn work(&self, context: &Context) -> Result<String> {
        let Some(store) = self.store.upgrade() else { return Ok("the server stopped".to_owned()) };
        let name = context.input().get("upstream").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
        let id = format!("{:x}", context.id().0);
        let Some((upstream, record)) = self.begin(&store, &name, &id)? else {
            return Ok("nothing to do: another sync has taken its place".to_owned());
        };
        let progress = Arc::new(Progress::default());
        self.running().insert(name.clone(), progress.clone());
        let run = Run {
            store: &store,
            clock: &self.clock,
            name: &name,
            upstream: &upstream,
            progress: &progress,
            record: &record,
        };
        let outcome = self.watched(context, &run, &progress);
        let good = matches!(&outcome, Ok(done) if !done.not_modified);
        let outcome = self.conclude(&store, &name, &record, &progress, outcome);
        self.running().remove(&name);
        self.tell();
        self.schedule.wake();
        if good {
            follow::changed(&store, &self.jobs, &Set::Upstream(name), self.clock.now());
        }
        outcome
    }

    /// Notes that the sync runs; none when its record no longer counts.
    fn begin(&self, store: &Arc<Store>, name: &str, id: &str) -> Result<Option<(Upstream, Sync)>> {
        let (name, id, now) = (name.to_owned(), id.to_owned(), self.clock.now());
        store.commit(move |tx| {
            let Some(upstream) = upstream::get(tx, &name)? else { return Ok(None) };
            let Some(mut sync) = upstream::last_sync(tx, &name)? else { return Ok(None) };
            if sync.id != id || sync.state != State::Queued {
                return Ok(None);
            }
            sync.state = State::Running;
            sync.started = Some(now);
            upstream::note_sync(tx, &name, &sync)?;
            Ok(Some((upstream, sync)))
        })
    }

    /// Does the sync on a thread of its own, so that a call-off is noticed also while it waits for the other end.
    fn watched(&self, context: &Context, run: &Run<'_>, progress: &Progress) -> Outcome<Sync> {
        let source = run::open(&run.upstream.definition, &self.roots, &self.data)?;
        let (done, ended) = std::sync::mpsc::sync_channel::<()>(1);
        std::thread::scope(|scope| {
            let source: &Source = &source;
            let work = move || {
                let result = catch_unwind(AssertUnwindSafe(|| run.sync(source)));
                // Nobody waits when the watcher is gone.
                let _ = done.send(());
                result.unwrap_or_else(|_| Err(Failure::Ours(Error::internal("the sync panicked"))))
            };
            let thread = std::thread::Builder::new().name("sync".into()).stack_size(STACK);
            let thread = thread.spawn_scoped(scope, work).map_err(|e| Failure::Ours(Error::internal(e)))?;
            let mut stopped = false;
            while ended.recv_timeout(LOOK) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let (counts, phase) = progress.look();
                context.progress(counts.files_done, Some(counts.files_total), phase);
                if !stopped && context.is_called_off() {
                    source.stop();
                    stopped = true;
                }
            }
            thread.join().unwrap_or_else(|_| Err(Failure::Ours(Error::internal("the sync panicked"))))
        })
    }

    /// Notes how it ended, unless that is noted already or no longer counts.
    fn conclude(
        &self,
        store: &Arc<Store>,
        name: &str,
        record: &Sync,
        progress: &Progress,
        outcome: Outcome<Sync>,
    ) -> Result<String> {
        let failure = match outcome {
            Ok(done) if done.not_modified => return Ok("unchanged".to_owned()),
            Ok(done) => {
                let counts = done.counts;
                let (fetched, here) = (counts.downloaded_files, counts.reused_files);
                return Ok(format!("{fetched} files fetched, {here} were here already"));
            }
            Err(failure) => failure,
        };
        // Called off by the end of the program, not by anybody.
        let interrupted = matches!(failure, Failure::Cancelled) && self.schedule.is_stopping();
        let words = if interrupted { upstream::INTERRUPTED.to_owned() } else { failure.words() };
        let cancelled = matches!(failure, Failure::Cancelled) && !interrupted;
        let (counts, phase) = progress.look();
        let ended = Sync {
            state: if cancelled { State::Cancelled } else { State::Failed },
            phase: phase.to_owned(),
            finished: Some(self.clock.now()),
            counts,
            error: Some(words.clone()),
            ..record.clone()
        };
        let name = name.to_owned();
        let noted = store.commit(move |tx| match upstream::last_sync(tx, &name)? {
            Some(known) if known.id == ended.id && is_open(known.state) => {
                upstream::note_sync(tx, &name, &ended).map(drop)
            }
            _ => Ok(()),
        });
        if let Err(error) = noted {
            log::warn!("the end of a sync was not noted: {error:?}");
        }
        Err(Error::conflict(words))
    }
}

/// Whether a sync in this state has still to end.
pub fn is_open(state: State) -> bool {
    matches!(state, State::Queued | State::Running)
}

fn target(name: &str) -> String {
    format!("upstream/{name}")
}
