//! How many files were fetched on which day: counted in memory, written in the background.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Time;
use crate::error::Result;
use crate::store::Store;
use crate::store::table::Table;

/// Days since 1970 (UTC) → files fetched on that day.
const DAYS: Table<u32, u64> = Table::new("catalog.day");

/// Days kept, today included.
const KEPT: usize = 31;

const SECONDS_PER_DAY: i64 = 24 * 3600;

/// Counts fetches of whole files, or of their beginnings.
#[derive(Default)]
pub struct Downloads {
    pending: Mutex<BTreeMap<u32, u64>>,
    /// Held while counters move from memory into the database, so that a reader sees each of them once.
    settling: Mutex<()>,
}

impl Downloads {
    /// Counts one.
    pub fn count(&self, now: Time) {
        *lock(&self.pending).entry(day_of(now)).or_default() += 1;
    }

    /// The last `days` days (`2026-11-21`) with their counts, today last.
    ///
    /// # Errors
    /// What the store answers.
    pub fn last(&self, store: &Store, now: Time, days: u32) -> Result<Vec<(String, u64)>> {
        let _settled = lock(&self.settling);
        let pending = lock(&self.pending).clone();
        let today = day_of(now);
        store.read(|tx| {
            let wanted = (0..days).rev().map(|ago| today.saturating_sub(ago));
            wanted
                .map(|day| {
                    let count = DAYS.get(tx, day)?.unwrap_or(0) + pending.get(&day).copied().unwrap_or(0);
                    Ok((Time(0).plus_seconds(i64::from(day) * SECONDS_PER_DAY).date(), count))
                })
                .collect()
        })
    }

    /// Writes what was counted since the last time, and forgets days long past. On an error the counters stay.
    ///
    /// # Errors
    /// What the store answers.
    pub fn flush(&self, store: &Store) -> Result<()> {
        let _settled = lock(&self.settling);
        let counted = lock(&self.pending).clone();
        if counted.is_empty() {
            return Ok(());
        }
        let rows = counted.clone();
        store.commit(move |tx| {
            for (day, count) in &rows {
                let known = DAYS.get(tx, *day)?.unwrap_or(0);
                DAYS.put(tx, *day, &(known + count))?;
            }
            let all = DAYS.all(tx, ())?;
            for (day, _) in all.iter().take(all.len().saturating_sub(KEPT)) {
                DAYS.remove(tx, *day)?;
            }
            Ok(())
        })?;
        let mut pending = lock(&self.pending);
        for (day, written) in counted {
            if let Some(count) = pending.get_mut(&day) {
                *count = count.saturating_sub(written);
            }
        }
        pending.retain(|_, count| *count > 0);
        Ok(())
    }
}

/// The day a time falls on, counted from 1970; times before that count as the first day.
fn day_of(time: Time) -> u32 {
    u32::try_from(time.seconds().div_euclid(SECONDS_PER_DAY)).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[test]
    fn days_are_counted_once_whether_written_or_not_and_old_ones_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let downloads = Downloads::default();
        let day = |number: i64| Time(0).plus_seconds(number * SECONDS_PER_DAY + 7);
        for number in 100..140 {
            downloads.count(day(number));
            downloads.flush(&store).unwrap();
        }
        assert_eq!(store.read(|tx| DAYS.len(tx)).unwrap(), KEPT as u64);
        downloads.count(day(139));
        downloads.count(day(138));
        let shown = [("1970-05-18", 0), ("1970-05-19", 2), ("1970-05-20", 2), ("1970-05-21", 0)];
        let shown = shown.map(|(day, count)| (day.to_owned(), count));
        assert_eq!(downloads.last(&store, day(140), 3).unwrap(), shown[1..]);
        downloads.flush(&store).unwrap();
        downloads.flush(&store).unwrap();
        assert_eq!(Downloads::default().last(&store, day(140), 3).unwrap(), shown[1..]);
        assert_eq!(downloads.last(&store, Time(-5), 2).unwrap().len(), 2);
        store.close();
    }
}
