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
pub(super) struct Renewals {
    period: Duration,
    state: Mutex<State>,
    stop: Condvar,
}

impl Default for Renewals {
    fn default() -> Self {
        Renewals::every(PERIOD)
    }
}

#[derive(Default)]
struct State {
    pending: HashMap<TokenKey, Renewal>,
    /// A thread that will write them is under way.
    writer: bool,
    stopped: bool,
}

impl Renewals {
    fn every(period: Duration) -> Self {
        Renewals { period, state: Mutex::default(), stop: Condvar::new() }
    }

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
        state.writer = thread::Builder::new().name("logins".into()).stack_size(256 << 10).spawn(write).is_ok();
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
            let end = Instant::now() + self.period;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::identity::accounts::{self, NewAccount};
    use crate::ids::ObjectId;
    use crate::store::Options;

    #[test]
    fn a_thread_writes_after_the_period_and_goes_when_all_is_quiet() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let key = TokenKey::of("x");
        store
            .commit(move |tx| {
                let new = NewAccount { id: ObjectId([1; 12]), username: "ann".into(), password: String::new() };
                let account = accounts::create_owner(tx, &new, uuid::Uuid::nil(), Time(0))?;
                let (_, login) = logins::begin(&[0; 32], &account, logins::Style::Opaque, Time(0))?;
                logins::insert(tx, key, &login, Time(0))
            })
            .unwrap();
        let row = || store.read(|tx| logins::get(tx, key)).unwrap().unwrap();
        let renewals = Arc::new(Renewals::every(Duration::from_millis(5)));
        let end = Instant::now() + Duration::from_secs(30);
        for second in 1..4 {
            let now = Time(0).plus_seconds(second);
            let renewal = logins::judge(&row(), None, now).unwrap().unwrap();
            renewals.put(&store, key, renewal);
            while row().used != now || renewals.state().writer {
                assert!(Instant::now() < end, "it never came");
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(renewals.get(key), None);
        }
        renewals.stop();
        let renewal = logins::judge(&row(), None, Time(0)).unwrap().unwrap();
        renewals.put(&store, key, renewal);
        assert!(!renewals.state().writer, "no thread begins after the stop");
    }
}
