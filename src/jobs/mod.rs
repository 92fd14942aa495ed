//! Work that outlives a request: rows that are queued, run by two threads, retried, and run again after a crash.
//!
//! A job is written to be run again from its start. What runs when the program ends is queued at the next start. Jobs
//! of one target run one after the other. An idle server has no thread of this module.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Clock, Time};
use crate::error::{Error, Result};
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::{Newest, Read, Table, WriteTx};

mod context;
mod queue;

pub use context::Context;
use queue::Queue;

/// id → job, newest first.
const JOBS: Table<Newest, Job> = Table::new("jobs.job");
/// The jobs that are queued or running, so that a start looks at nothing else.
const OPEN: Table<u64, ()> = Table::new("jobs.open");
/// Digest of (kind, target, input) → the last open job of that wish.
const WISHES: Table<Digest, u64> = Table::new("jobs.wish");
/// (kind, target) → when a recurring job was last queued.
const SCHEDULE: Table<(String, String), Time> = Table::new("jobs.schedule");

/// Jobs that may be queued or running.
const MAX_OPEN: u64 = 1000;
/// Jobs remembered; beyond it the oldest finished ones go.
const MAX_JOBS: u64 = 2000;
/// Most rows of one page.
const MAX_PAGE: usize = 200;

/// Names a job; later jobs have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A job as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What is to be done: the name it was registered under.
    pub kind: String,
    /// What it is done to; of one target only one job runs at a time.
    pub target: String,
    /// What the job is told.
    #[serde(default)]
    pub input: Value,
    /// Where it stands.
    pub state: State,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    pub created: Time,
    /// When its last run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// How often it was begun.
    #[serde(default)]
    pub tries: u32,
    /// How far it is.
    #[serde(default)]
    pub progress: Progress,
    /// The last lines it wrote.
    #[serde(default)]
    pub log: Vec<String>,
    /// What came of it, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for its turn, or for its next try.
    Queued,
    /// Runs, or ran when the program ended.
    Running,
    /// Did what it was to do.
    Done,
    /// Gave up.
    Failed,
    /// Was called off.
    Cancelled,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is being done, in words.
    pub stage: String,
}

/// What a new job is made of.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// A registered kind.
    pub kind: &'static str,
    /// What it is done to.
    pub target: String,
    /// What the job is told.
    pub input: Value,
    /// Who asks for it: a principal's label.
    pub by: String,
}

/// The queue of jobs. Cheap to clone: all clones are one queue.
#[derive(Clone)]
pub struct Jobs {
    queue: Arc<Queue>,
}

impl Jobs {
    /// The queue of a store; nothing runs before [`Jobs::start`].
    pub fn new(store: Arc<Store>, clock: Arc<Clock>) -> Jobs {
        Jobs { queue: Arc::new(Queue::new(store, clock)) }
    }

    /// Says how jobs of `kind` are done. The answer of `run` is the outcome people read. After `Busy`, `Quota` or
    /// `Internal` it is tried again up to `retries` times, ten seconds later, then after ever longer pauses up to an hour.
    pub fn register(
        &self,
        kind: &'static str,
        retries: u32,
        run: impl Fn(&Context) -> Result<String> + Send + Sync + 'static,
    ) {
        self.queue.register(kind, retries, Box::new(run));
    }

    /// Says how jobs of a `kind` are done that has `width` threads of its own, so that it neither waits for other kinds
    /// nor holds them up. Such a job is neither tried again nor begun anew after a restart: whoever asked for it asks
    /// again.
    pub fn register_apart(
        &self,
        kind: &'static str,
        width: usize,
        run: impl Fn(&Context) -> Result<String> + Send + Sync + 'static,
    ) {
        self.queue.register_apart(kind, width, Box::new(run));
    }

    /// Has a registered kind done once every `period`, by [`Jobs::tick`]; for the first time after one period.
    pub fn every(&self, period: Duration, kind: &'static str, target: &str) {
        self.queue.every(period, kind, target);
    }

    /// Takes up what an earlier run of the program left: what was running is queued again.
    pub fn start(&self) -> Result<()> {
        let now = self.queue.now();
        let open = self.queue.store().read(open_jobs)?;
        let cut_off = |job: &Job| job.state == State::Running && !self.queue.resumes(&job.kind);
        let (lost, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, job)| cut_off(job));
        if !lost.is_empty() {
            self.queue.store().commit(move |tx| {
                lost.iter().try_for_each(|(id, _)| finish(tx, *id, State::Failed, "interrupted", now))
            })?;
        }
        if open.iter().any(|(_, job)| job.state == State::Running) {
            self.queue.store().commit(move |tx| {
                for (id, mut job) in open_jobs(tx)? {
                    if job.state == State::Running {
                        job.state = State::Queued;
                        context::push_line(&mut job.log, "the program ended meanwhile; begun anew");
                        JOBS.put(tx, Newest(id.0), &job)?;
                    }
                }
                Ok(())
            })?;
        }
        let known = |job: &Job| self.queue.knows(&job.kind);
        let (known, strange): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, job)| known(job));
        if !strange.is_empty() {
            self.queue.store().commit(move |tx| {
                strange.iter().try_for_each(|(id, _)| finish(tx, *id, State::Failed, "unknown kind of job", now))
            })?;
        }
        self.queue.begin(known.into_iter().map(|(id, job)| (id, job.kind, job.target)));
        Ok(())
    }

    /// Queues a job as part of `tx`; it may run once that is committed. A job that is queued already with the same kind,
    /// target and input is the answer instead of a second one.
    ///
    /// # Errors
    /// `Busy` when very many jobs are waiting.
    pub fn enqueue(&self, tx: &WriteTx, new: &NewJob, now: Time) -> Result<JobId> {
        if !self.queue.knows(new.kind) {
            return Err(Error::internal(format!("no job of kind {} was registered", new.kind)));
        }
        let wish = wish(new.kind, &new.target, &new.input)?;
        if let Some(id) = WISHES.get(tx, wish)?
            && JOBS.get(tx, Newest(id))?.is_some_and(|job| job.state == State::Queued)
        {
            return Ok(JobId(id));
        }
        if OPEN.len(tx)? >= MAX_OPEN {
            return Err(Error::busy("too many jobs are waiting, try again later", 60));
        }
        let last = JOBS.page(tx, (), None, 1)?.pop().map_or(0, |(id, _)| id.0);
        let id = JobId(u64::try_from(now.0).unwrap_or(0).max(last.saturating_add(1)));
        let job = Job {
            kind: new.kind.to_owned(),
            target: new.target.clone(),
            input: new.input.clone(),
            state: State::Queued,
            by: new.by.clone(),
            created: now,
            started: None,
            ended: None,
            tries: 0,
            progress: Progress::default(),
            log: Vec::new(),
            outcome: None,
        };
        JOBS.put(tx, Newest(id.0), &job)?;
        OPEN.put(tx, id.0, &())?;
        WISHES.put(tx, wish, &id.0)?;
        forget_old(tx)?;
        let (queue, target) = (Arc::clone(&self.queue), job.target);
        let kind = job.kind;
        tx.after_commit(move || queue.add(id, kind, target));
        Ok(id)
    }

    /// One job, as it stands this moment.
    pub fn get(&self, id: JobId) -> Result<Option<Job>> {
        let job = self.queue.store().read(|tx| JOBS.get(tx, Newest(id.0)))?;
        Ok(job.map(|job| self.queue.freshen(id, job)))
    }

    /// Up to `limit` (at most 200) jobs, newest first, after `after` when given.
    pub fn list(&self, after: Option<JobId>, limit: usize) -> Result<Vec<(JobId, Job)>> {
        let after = after.map(|id| Newest(id.0));
        let rows = self.queue.store().read(|tx| JOBS.page(tx, (), after.as_ref(), limit.clamp(1, MAX_PAGE)))?;
        Ok(rows.into_iter().map(|(id, job)| (JobId(id.0), self.queue.freshen(JobId(id.0), job))).collect())
    }

    /// The jobs that are queued or running, oldest first.
    pub fn open(&self) -> Result<Vec<(JobId, Job)>> {
        let rows = self.queue.store().read(open_jobs)?;
        Ok(rows.into_iter().map(|(id, job)| (id, self.queue.freshen(id, job))).collect())
    }

    /// Calls a job off: a queued one at once, a running one as soon as it looks.
    ///
    /// # Errors
    /// `NotFound` for an unknown job, `Conflict` for one that has ended.
    pub fn cancel(&self, id: JobId) -> Result<()> {
        let now = self.queue.now();
        let running = self.queue.store().commit(move |tx| {
            let job = JOBS.get(tx, Newest(id.0))?.ok_or_else(|| Error::not_found("job not found"))?;
            match job.state {
                State::Running => Ok(true),
                State::Queued => finish(tx, id, State::Cancelled, "called off", now).map(|()| false),
                _ => Err(Error::conflict("the job has ended")),
            }
        })?;
        self.queue.call_off(id, running);
        Ok(())
    }

    /// Queues the recurring jobs whose time has come; to be called now and then. Reads, and writes only when one is due.
    pub fn tick(&self) -> Result<()> {
        let now = self.queue.now();
        for (period, kind, target) in self.queue.recurring() {
            let stamp = self.queue.store().read(|tx| SCHEDULE.get(tx, (kind, target.as_str())))?;
            let due = stamp.is_some_and(|last| now >= last.plus_seconds(period.as_secs().cast_signed()));
            // Never queued before, or the clock was ahead then: the period begins now.
            if !due && stamp.is_some_and(|last| last <= now) {
                continue;
            }
            let jobs = self.clone();
            self.queue.store().commit(move |tx| {
                SCHEDULE.put(tx, (kind, target.as_str()), &now)?;
                if due {
                    let new = NewJob { kind, target: target.clone(), input: Value::Null, by: "schedule".into() };
                    jobs.enqueue(tx, &new, now)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Begins nothing new, asks what runs to stop, and waits for it up to `grace`. Answers whether all threads ended;
    /// what did not come to its end runs again at the next start.
    pub fn stop(&self, grace: Duration) -> bool {
        self.queue.stop(grace)
    }
}

fn open_jobs(tx: &impl Read) -> Result<Vec<(JobId, Job)>> {
    let mut jobs = Vec::new();
    for (id, ()) in OPEN.all(tx, ())? {
        jobs.extend(JOBS.get(tx, Newest(id))?.map(|job| (JobId(id), job)));
    }
    Ok(jobs)
}

fn wish(kind: &str, target: &str, input: &Value) -> Result<Digest> {
    let text = serde_json::to_vec(&(kind, target, input)).map_err(Error::internal)?;
    Ok(Digest::of(&text))
}

/// Brings an open job to its end.
fn finish(tx: &WriteTx, id: JobId, state: State, outcome: &str, now: Time) -> Result<()> {
    if let Some(mut job) = JOBS.get(tx, Newest(id.0))? {
        job.state = state;
        job.ended = Some(now);
        job.outcome = Some(outcome.to_owned());
        close(tx, id, &job)?;
        JOBS.put(tx, Newest(id.0), &job)?;
    }
    Ok(())
}

/// Takes a job that has ended off the lists of open ones.
fn close(tx: &WriteTx, id: JobId, job: &Job) -> Result<()> {
    OPEN.remove(tx, id.0)?;
    let wish = wish(&job.kind, &job.target, &job.input)?;
    if WISHES.get(tx, wish)? == Some(id.0) {
        WISHES.remove(tx, wish)?;
    }
    Ok(())
}

fn forget_old(tx: &WriteTx) -> Result<()> {
    let surplus = JOBS.len(tx)?.saturating_sub(MAX_JOBS);
    for _ in 0..surplus {
        match JOBS.last(tx, ())? {
            Some((id, _)) if !OPEN.has(tx, id.0)? => JOBS.remove(tx, id)?,
            _ => break,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
