//! What a commit must not overtake: the flush of a directory that is under way on an uploading thread.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::disk::lock;

/// The waiting side: held by the commit, asked between its two flushes.
#[derive(Clone, Debug, Default)]
pub(super) struct Barrier {
    shared: Arc<(Mutex<Option<Outcome>>, Condvar)>,
}

type Outcome = Result<(), io::ErrorKind>;

/// The side that does the work. Dropped unlifted, it counts as failed.
#[derive(Debug)]
pub(super) struct Lift {
    barrier: Barrier,
    lifted: bool,
}

impl Barrier {
    /// A barrier and the one handle that lifts it.
    pub(super) fn new() -> (Barrier, Lift) {
        let barrier = Barrier::default();
        (barrier.clone(), Lift { barrier, lifted: false })
    }

    /// Waits for the outcome.
    pub(super) fn wait(&self) -> io::Result<()> {
        let (outcome, changed) = &*self.shared;
        let mut outcome = lock(outcome);
        loop {
            match *outcome {
                Some(result) => return result.map_err(io::Error::from),
                None => outcome = changed.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Lift {
    /// Says how the work ended.
    pub(super) fn lift(mut self, outcome: &io::Result<()>) {
        self.settle(outcome.as_ref().copied().map_err(io::Error::kind));
    }

    fn settle(&mut self, result: Outcome) {
        self.lifted = true;
        let (outcome, changed) = &*self.barrier.shared;
        *lock(outcome) = Some(result);
        changed.notify_all();
    }
}

impl Drop for Lift {
    fn drop(&mut self) {
        if !self.lifted {
            self.settle(Err(io::ErrorKind::Other));
        }
    }
}
