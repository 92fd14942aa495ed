//! The one writer: a thread that takes all waiting closures into one durable transaction and then answers them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::barrier::Barrier;
use super::database::{Database, caught, words};
use super::disk::lock;
use super::table::{AfterCommit, WriteTx};
use super::{crash, fault};
use crate::error::{Error, Result};

/// Closures that may wait; the worker pools are smaller than this.
const WAITING: usize = 1024;
/// Closures in one transaction.
const BATCH: usize = 256;
/// How many members may be taken out of a batch, one after the other, before the rest run singly.
const SPOILERS: usize = 3;
/// How often a failure that repeats itself is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The queue in front of the committer thread.
pub(super) struct Committer {
    queue: Mutex<Queue>,
    ready: Condvar,
    database: Arc<Database>,
    failures: Mutex<Failures>,
    /// Transactions that may have changed something.
    written: Arc<AtomicU64>,
}

/// Keeps a disk that stays away from filling the log.
#[derive(Default)]
struct Failures {
    logged: Option<Instant>,
    unlogged: u64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    stopping: bool,
}

impl Committer {
    pub(super) fn new(database: Arc<Database>) -> Committer {
        Committer {
            queue: Mutex::default(),
            ready: Condvar::new(),
            database,
            failures: Mutex::default(),
            written: Arc::default(),
        }
    }

    /// Goes up by one with every transaction that changed something, before anybody is told that it did.
    pub(super) fn written(&self) -> &Arc<AtomicU64> {
        &self.written
    }

    /// Has `work` run in the next transaction and waits until it is durable.
    pub(super) fn commit<T: Send + 'static>(
        &self,
        work: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        wait(&self.submit(work, None)?)
    }

    /// Has `work` run in the next transaction while `flush` runs here; that transaction becomes durable only when
    /// `flush` has succeeded.
    pub(super) fn commit_beside<T: Send + 'static>(
        &self,
        work: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static,
        flush: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<T> {
        let (barrier, lift) = Barrier::new();
        let answer = self.submit(work, Some(barrier))?;
        let flushed = flush();
        lift.lift(&flushed);
        let result = wait(&answer);
        flushed.map_err(fault::disk)?;
        result
    }

    fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static,
        barrier: Option<Barrier>,
    ) -> Result<Receiver<Result<T>>> {
        let (reply, answer) = sync_channel(1);
        {
            let mut queue = lock(&self.queue);
            if queue.stopping {
                return Err(Error::busy("the server is stopping", 5));
            }
            if queue.jobs.len() >= WAITING {
                return Err(Error::busy("too many changes are waiting", 1));
            }
            queue.jobs.push_back(Box::new(Task { work, outcome: None, barrier, reply }));
        }
        self.ready.notify_one();
        Ok(answer)
    }

    /// The committer thread: runs until [`Committer::stop`] and until nothing waits any more.
    pub(super) fn run(&self) {
        loop {
            let batch: Vec<_> = {
                let mut queue = lock(&self.queue);
                while queue.jobs.is_empty() {
                    if queue.stopping {
                        return;
                    }
                    queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                let count = queue.jobs.len().min(BATCH);
                queue.jobs.drain(..count).collect()
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.process(batch))) {
                log::error!("the committer panicked: {}", words(&*panic));
            }
        }
    }

    /// No more closures; those that wait are still carried out.
    pub(super) fn stop(&self) {
        lock(&self.queue).stopping = true;
        self.ready.notify_all();
    }

    fn process(&self, mut batch: Vec<Box<dyn Job>>) {
        // A member that failed after writing saw what its neighbours wrote: its error is told once that is durable.
        let mut refused = Vec::new();
        while refused.len() < SPOILERS {
            match self.attempt(&mut batch) {
                Ok(after) => {
                    finish(after);
                    answer(batch, None);
                    answer(refused, None);
                    return;
                }
                Err(Failure::Spoiled(index)) => refused.push(batch.remove(index)),
                Err(Failure::Fault(error)) => {
                    batch.append(&mut refused);
                    self.log(&error);
                    answer(batch, Some(&error));
                    return;
                }
            }
        }
        for job in refused.into_iter().chain(batch) {
            let mut single = vec![job];
            match self.attempt(&mut single) {
                Ok(after) => {
                    finish(after);
                    answer(single, None);
                }
                Err(Failure::Spoiled(_)) => answer(single, None),
                Err(Failure::Fault(error)) => {
                    self.log(&error);
                    answer(single, Some(&error));
                }
            }
        }
    }

    /// Logs a failed transaction; of many in a row one every ten seconds, with their number.
    fn log(&self, error: &Error) {
        let mut failures = lock(&self.failures);
        if failures.logged.is_some_and(|at| at.elapsed() < LOG_EVERY) {
            failures.unlogged += 1;
            return;
        }
        let others = std::mem::take(&mut failures.unlogged);
        failures.logged = Some(Instant::now());
        log::error!("a transaction failed, as did {others} before it that are not in this log: {error:?}");
    }

    /// One transaction with all of `batch`. On a full disk the ballast is given up and the same tried once more.
    fn attempt(&self, batch: &mut [Box<dyn Job>]) -> Result<Vec<AfterCommit>, Failure> {
        match self.try_once(batch) {
            Err(Failure::Fault(error)) if fault::is_full(&error) && self.database.disk.throw_ballast() => {
                self.try_once(batch)
            }
            other => other,
        }
    }

    fn try_once(&self, batch: &mut [Box<dyn Job>]) -> Result<Vec<AfterCommit>, Failure> {
        let writing = self.database.begin_write().map_err(Failure::Fault)?;
        let mut wrote = false;
        let mut after = Vec::new();
        for (index, job) in batch.iter_mut().enumerate() {
            let tx = WriteTx::new(&writing.tx);
            match job.run(&tx) {
                Outcome::Done => {
                    wrote |= tx.wrote();
                    after.append(&mut tx.take_after_commit());
                }
                Outcome::Refused => {
                    if tx.wrote() {
                        drop(tx);
                        self.roll_back(writing)?;
                        return Err(Failure::Spoiled(index));
                    }
                }
                Outcome::Broken(error) => {
                    drop(tx);
                    let generation = writing.generation;
                    let _ = self.roll_back(writing);
                    self.database.close_broken(generation, &error);
                    return Err(Failure::Fault(error));
                }
            }
        }
        if !wrote {
            self.roll_back(writing)?;
            return Ok(after);
        }
        crash::point("commit-begun");
        let barriers = batch.iter().filter_map(|job| job.barrier()).collect();
        self.database.shared.commit_begins(barriers);
        let generation = writing.generation;
        let committed = caught(|| writing.tx.commit().map_err(fault::database));
        let unguarded = self.database.shared.commit_ended();
        // A commit that failed may have reached the file all the same.
        self.written.fetch_add(1, Ordering::AcqRel);
        let committed = committed.and_then(|()| match unguarded {
            false => Ok(()),
            // Never seen: a commit without any flush. It must not be believed.
            true => Err(Error::internal("a commit went by without a flush")),
        });
        if let Err(error) = committed {
            // Whether it reached the disk is unknown until the file is opened again; nobody is told it did.
            self.database.close_broken(generation, &error);
            return Err(Failure::Fault(error));
        }
        crash::point("committed");
        Ok(after)
    }

    fn roll_back(&self, writing: super::database::Writing) -> Result<(), Failure> {
        caught(|| writing.tx.abort().map_err(fault::database)).map_err(|error| {
            self.database.close_broken(writing.generation, &error);
            Failure::Fault(error)
        })
    }
}

fn wait<T>(answer: &Receiver<Result<T>>) -> Result<T> {
    // A reply that is dropped unsent means that the batch went down with the thread's work on it.
    answer.recv().unwrap_or_else(|_| Err(Error::internal("the change was dropped without an answer")))
}

enum Failure {
    /// This member failed after it had written.
    Spoiled(usize),
    /// The database failed; nothing of the batch is known to be durable.
    Fault(Error),
}

fn finish(after: Vec<AfterCommit>) {
    for action in after {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(action)) {
            log::error!("an action after a commit panicked: {}", words(&*panic));
        }
    }
}

fn answer(batch: Vec<Box<dyn Job>>, fault: Option<&Error>) {
    for job in batch {
        job.answer(fault);
    }
}

/// One waiting closure, whatever it answers.
trait Job: Send {
    /// Runs the closure and keeps what it answered.
    fn run(&mut self, tx: &WriteTx<'_>) -> Outcome;
    /// What must be on the disk before the commit is.
    fn barrier(&self) -> Option<Barrier>;
    /// Tells the caller: what the closure answered, or that the transaction failed.
    fn answer(self: Box<Self>, fault: Option<&Error>);
}

enum Outcome {
    Done,
    Refused,
    /// The database failed under the closure.
    Broken(Error),
}

struct Task<T, F> {
    work: F,
    outcome: Option<Result<T>>,
    barrier: Option<Barrier>,
    reply: SyncSender<Result<T>>,
}

impl<T: Send, F: FnMut(&WriteTx<'_>) -> Result<T> + Send> Job for Task<T, F> {
    fn run(&mut self, tx: &WriteTx<'_>) -> Outcome {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx))).unwrap_or_else(|panic| {
            tx.spoil();
            Err(Error::internal(format!("panic in a transaction: {}", words(&*panic))))
        });
        let outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) if fault::is_broken(error) => {
                let cause = error.cause.as_ref().map_or_else(String::new, ToString::to_string);
                Outcome::Broken(fault::copy(error).because(cause))
            }
            Err(_) => Outcome::Refused,
        };
        self.outcome = Some(result);
        outcome
    }

    fn barrier(&self) -> Option<Barrier> {
        self.barrier.clone()
    }

    fn answer(self: Box<Self>, fault: Option<&Error>) {
        let Task { work, outcome, reply, .. } = *self;
        // What the closure captured goes before the caller goes on: it may count on that.
        drop(work);
        let result = match (fault, outcome) {
            (Some(error), _) => Err(fault::copy(error)),
            (None, Some(result)) => result,
            (None, None) => Err(Error::internal("a transaction was answered before it ran")),
        };
        // The caller waits for exactly this; if it is gone, nobody is left to tell.
        let _ = reply.send(result);
    }
}
