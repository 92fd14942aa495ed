//! When and from where API tokens were last used: kept in memory and written in the background, so that no read waits for
//! the disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::Result;
use crate::identity::secrets::TokenKey;
use crate::identity::tokens;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};

const USES: Table<TokenKey, Use> = Table::new("identity.token_use");

/// Uses that wait to be written at a time. Only tokens that exist are counted, so more than this takes as many of them.
const MAX_PENDING: usize = 100_000;

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// When.
    pub at: Time,
    /// From where.
    pub address: IpAddr,
}

/// Uses that the database does not know yet.
#[derive(Default)]
pub(super) struct Uses {
    pending: Mutex<HashMap<TokenKey, Use>>,
}

impl Uses {
    /// Remembers a use.
    pub(super) fn put(&self, key: TokenKey, used: Use) {
        let mut pending = self.pending();
        if pending.len() < MAX_PENDING || pending.contains_key(&key) {
            pending.insert(key, used);
        }
    }

    /// The last use of a token, as memory and `tx` know it.
    pub(super) fn get(&self, tx: &impl Read, key: TokenKey) -> Result<Option<Use>> {
        let pending = self.pending().get(&key).copied();
        Ok(match pending {
            Some(used) => Some(used),
            None => USES.get(tx, key)?,
        })
    }

    /// Writes what is pending. On an error it stays pending.
    pub(super) fn flush(&self, store: &Store) -> Result<()> {
        // The entries stay in memory until the commit is through: a reader meanwhile must not see the old row alone.
        let written: Arc<Vec<_>> = Arc::new(self.pending().iter().map(|(key, used)| (*key, *used)).collect());
        if written.is_empty() {
            return Ok(());
        }
        let rows = Arc::clone(&written);
        store.commit(move |tx| {
            for (key, used) in rows.iter() {
                // A token may have been removed since.
                if tokens::get(tx, *key)?.is_some() {
                    USES.put(tx, *key, used)?;
                }
            }
            Ok(())
        })?;
        let mut pending = self.pending();
        for (key, used) in written.iter() {
            if pending.get(key) == Some(used) {
                pending.remove(key);
            }
        }
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<TokenKey, Use>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the uses of a token that is removed.
pub(super) fn forget(tx: &WriteTx, key: TokenKey) -> Result<()> {
    USES.remove(tx, key)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tokens::ApiToken;
    use crate::store::Options;

    #[test]
    fn the_last_use_is_known_before_and_after_it_is_written_and_goes_with_the_token() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let (kept, gone) = (TokenKey::of("kept"), TokenKey::of("gone"));
        store
            .commit(move |tx| {
                tokens::insert(tx, kept, &ApiToken::new(false, Time(0)))?;
                tokens::insert(tx, gone, &ApiToken::new(false, Time(0)))
            })
            .unwrap();
        let uses = Uses::default();
        let at = |second: i64| Use { at: Time(second), address: [10, 0, 0, 7].into() };
        let last = |uses: &Uses, key| store.read(|tx| uses.get(tx, key)).unwrap();
        assert_eq!(last(&uses, kept), None);
        for key in [kept, gone] {
            uses.put(key, at(1));
            uses.put(key, at(2));
        }
        assert_eq!(last(&uses, kept), Some(at(2)));
        uses.flush(&store).unwrap();
        assert!(uses.pending().is_empty());
        assert_eq!(last(&Uses::default(), kept), Some(at(2)));
        uses.put(gone, at(3));
        store.commit(move |tx| tokens::remove(tx, gone)).unwrap();
        uses.flush(&store).unwrap();
        assert_eq!(last(&Uses::default(), gone), None);
        store.close();
    }
}
