//! How far a running sync is, for everybody who asks while it runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::feeds::upstream::Counts;

/// What is told of a running sync.
#[derive(Debug, Default)]
pub(super) struct Progress {
    told: Mutex<(Counts, &'static str)>,
}

impl Progress {
    /// Changes the counts.
    pub(super) fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.told().0);
    }

    /// What it does now; each phase but the first begins with what was counted before.
    pub(super) fn phase(&self, phase: &'static str) {
        let mut told = self.told();
        if phase == "metadata" {
            told.0 = Counts::default();
        }
        told.1 = phase;
    }

    /// Counts and phase.
    pub(super) fn look(&self) -> (Counts, &'static str) {
        let told = self.told();
        (told.0, if told.1.is_empty() { "metadata" } else { told.1 })
    }

    fn told(&self) -> MutexGuard<'_, (Counts, &'static str)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
