//! What the room keeps between requests: one lock a repo, so that its writers come one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The room's memory; one per server.
#[derive(Default)]
pub struct Desk {
    locks: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl Desk {
    /// Runs `work` while nobody else changes the repo called `name`.
    pub fn alone<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those nobody waits for are forgotten before the map grows without bound.
            if locks.len() >= 1024 {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            locks.entry(name.to_owned()).or_default().clone()
        };
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}
