//! What the room keeps between requests: the search index and the scales that keep the checking of archives within
//! bounds.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::refpacks::search::Shelf;

/// The room's memory; one per server.
#[derive(Default)]
pub struct Desk {
    /// What lists and searches look at.
    pub search: Shelf,
    /// How much memory the archives take that are being judged.
    pub scales: Scales,
}

/// The most memory that judging archives may take at once, in bytes. A larger one is judged alone.
const CAPACITY: u64 = 160 << 20;

/// Shares memory out among archives that are judged at once.
#[derive(Default)]
pub struct Scales {
    taken: Mutex<u64>,
    freed: Condvar,
}

/// A share of the memory; given back when dropped.
pub struct Share<'a> {
    scales: &'a Scales,
    weight: u64,
}

impl Scales {
    /// Waits until `weight` bytes are free. Whoever has a share lets go of it in bounded time.
    pub fn take(&self, weight: u64) -> Share<'_> {
        let weight = weight.min(CAPACITY);
        let mut taken = self.lock();
        while *taken + weight > CAPACITY {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += weight;
        Share { scales: self, weight }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.scales.lock() -= self.weight;
        self.scales.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn shares_never_exceed_the_capacity() {
        let (scales, now) = (Scales::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (scales, now) = (&scales, &now);
                scope.spawn(move || {
                    for round in 0..200 {
                        let weight = (thread + round) % 5 * (50 << 20);
                        let share = scales.take(weight);
                        let held = weight.min(CAPACITY);
                        assert!(now.fetch_add(held, Ordering::SeqCst) + held <= CAPACITY);
                        now.fetch_sub(held, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert_eq!(*scales.lock(), 0);
    }
}
