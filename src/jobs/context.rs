//! What a running job is given: its input, and ways to tell how far it is and to learn that it is called off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::jobs::{JOBS, Job, JobId, Progress};
use crate::store::Store;
use crate::store::table::Newest;

/// Lines of a job's log that are kept.
const MAX_LINES: usize = 100;
/// Longest line, bytes.
const MAX_LINE: usize = 500;
/// How often progress reaches the database.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// What a running job is given.
pub struct Context {
    pub(super) id: JobId,
    pub(super) job: Job,
    pub(super) live: Arc<Live>,
    pub(super) store: Arc<Store>,
}

/// What is known of a running job beyond its row.
#[derive(Default)]
pub(super) struct Live {
    told: Mutex<Told>,
    called_off: AtomicBool,
}

#[derive(Default)]
struct Told {
    progress: Progress,
    log: Vec<String>,
    /// When it last reached the row.
    written: Option<Instant>,
}

impl Live {
    /// Goes on from what earlier tries told.
    pub(super) fn begin(&self, job: &Job) {
        let written = Some(Instant::now());
        *self.told() = Told { progress: Progress::default(), log: job.log.clone(), written };
    }

    pub(super) fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }

    /// Puts what was told last into the row.
    pub(super) fn fill(&self, job: &mut Job) {
        let told = self.told();
        job.progress.clone_from(&told.progress);
        job.log.clone_from(&told.log);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// The job's number.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// What it is done to.
    pub fn target(&self) -> &str {
        &self.job.target
    }

    /// What it was told when it was queued.
    pub fn input(&self) -> &Value {
        &self.job.input
    }

    /// Tells how far the job is: kept in memory, written at most once a second.
    pub fn progress(&self, done: u64, total: Option<u64>, stage: &str) {
        self.live.told().progress = Progress { done, total, stage: cut(stage) };
        self.write_now_and_then();
    }

    /// Adds a line to the job's log, of which the last hundred are kept.
    pub fn log(&self, line: &str) {
        push_line(&mut self.live.told().log, line);
        self.write_now_and_then();
    }

    /// Whether the job was called off or the program ends. Long jobs look now and then.
    pub fn is_called_off(&self) -> bool {
        self.live.is_called_off()
    }

    /// An error to leave with when the job was called off.
    pub fn check(&self) -> Result<()> {
        if self.is_called_off() { Err(Error::conflict("called off")) } else { Ok(()) }
    }

    fn write_now_and_then(&self) {
        {
            let mut told = self.live.told();
            if told.written.is_some_and(|written| written.elapsed() < WRITE_EVERY) {
                return;
            }
            told.written = Some(Instant::now());
        }
        let (id, live) = (self.id, Arc::clone(&self.live));
        let written = self.store.commit(move |tx| match JOBS.get(tx, Newest(id.0))? {
            Some(mut job) => {
                live.fill(&mut job);
                JOBS.put(tx, Newest(id.0), &job)
            }
            None => Ok(()),
        });
        if let Err(error) = written {
            log::warn!("job {}: its progress could not be written: {error:?}", self.id);
        }
    }
}

pub(super) fn push_line(log: &mut Vec<String>, line: &str) {
    if log.len() >= MAX_LINES {
        log.drain(..=log.len() - MAX_LINES);
    }
    log.push(cut(line));
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_LINE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_bounded() {
        let mut log = Vec::new();
        for number in 0..250 {
            push_line(&mut log, &format!("{number}"));
        }
        assert_eq!(log.len(), MAX_LINES);
        assert_eq!((log[0].as_str(), log[99].as_str()), ("150", "249"));
        push_line(&mut log, &"é".repeat(400));
        assert_eq!(log[99], "é".repeat(250));
    }
}
