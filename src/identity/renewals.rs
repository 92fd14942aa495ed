//! Keeps the last use of logins in memory and writes it once a minute, so that no read waits for the disk.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::identity::logins::{self, Renewal};
use crate::identity::secrets::TokenKey;
use crate::store::Store;

const PERIOD: Duration = Duration::from_secs(60);

/// Renewals that the database does not know yet. There is one a living login at most, so their number is bounded.
#[derive(Default)]
pub(super) struct Renewals {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Default)]
struct State {
    pending: HashMap<TokenKey, Renewal>,
    /// A thread that will write them is under way.
    writer: bool,
    stopped: bool,
}

impl Renewals {
    /// What memory knows of a login.
    pub(super) fn get(&self, key: TokenKey) -> Option<Renewal> {
        self.state().pending.get(&key).copied()
    }

    /// Remembers a use; the first one after a quiet time has a thread write it a minute later.
    pub(super) fn put(self: &Arc<Self>, store: &Arc<Store>, key: TokenKey, renewal: Renewal) {
        let mut state = self.state();
        state.pending.insert(key, renewal);
        if state.writer || state.stopped {
            return;
        }
        let (renewals, store) = (Arc::clone(self), Arc::clone(store));
        let write = move || renewals.write_until_quiet(&store);
        state.writer = thread::Builder::new().name("logins".into()).stack_size(128 << 10).spawn(write).is_ok();
    }

    /// Forgets a login that ended.
    pub(super) fn forget(&self, key: TokenKey) {
        self.state().pending.remove(&key);
    }

    /// Writes what is pending. On an error it stays pending.
    pub(super) fn flush(&self, store: &Store) -> Result<()> {
        // The entries stay in memory until the commit is through: a request meanwhile must not see the old row alone.
        let written: Arc<Vec<_>> = Arc::new(self.state().pending.iter().map(|(key, value)| (*key, *value)).collect());
        if written.is_empty() {
            return Ok(());
        }
        let rows = Arc::clone(&written);
        store.commit(move |tx| rows.iter().try_for_each(|(key, renewal)| logins::renew(tx, *key, *renewal)))?;
        let mut state = self.state();
        for (key, renewal) in written.iter() {
            if state.pending.get(key) == Some(renewal) {
                state.pending.remove(key);
            }
        }
        Ok(())
    }

    /// Has the writing thread end; what is pending is for the caller to [`Renewals::flush`].
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.stop.notify_all();
    }

    fn write_until_quiet(&self, store: &Store) {
        loop {
            let end = Instant::now() + PERIOD;
            let mut state = self.state();
            while !state.stopped {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.stop.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.stopped || state.pending.is_empty() {
                state.writer = false;
                return;
            }
            drop(state);
            if let Err(error) = self.flush(store) {
                log::warn!("the last use of logins could not be written, another try follows: {error:?}");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
