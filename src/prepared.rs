//! What is kept ready to be sent: a map in shards, bounded by bytes, each entry with its own word on whether it is still
//! true (`performance.md` §3.3).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// Bytes of one shard.
const SHARD_BYTES: usize = 1 << 20;
/// Bytes an entry costs beside its question and what it says itself.
const OVERHEAD: usize = 256;

/// Something that was prepared.
pub trait Prepared {
    /// Bytes it takes.
    fn size(&self) -> usize;

    /// Whether what it was made from still holds, as far as it can tell by itself.
    fn is_fresh(&self) -> bool;
}

/// The state of something that is counted on at each change, before it was read: what is made from what was read
/// afterwards is good until that counter goes on.
#[derive(Clone, Debug)]
pub struct Stamp {
    counter: Arc<AtomicU64>,
    number: u64,
}

impl Stamp {
    /// Where `counter` stands now. To be taken before anything is read.
    pub fn of(counter: &Arc<AtomicU64>) -> Stamp {
        Stamp { counter: counter.clone(), number: counter.load(Ordering::Acquire) }
    }

    /// Whether nothing has changed since.
    pub fn is_fresh(&self) -> bool {
        self.counter.load(Ordering::Acquire) == self.number
    }
}

struct Shard<T> {
    entries: HashMap<Box<[u8]>, Arc<T>>,
    bytes: usize,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Shard { entries: HashMap::new(), bytes: 0 }
    }
}

/// Prepared things by the question they answer; at most 16 MiB of them.
pub struct Answers<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    hasher: RandomState,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Answers { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl<T: Prepared> Answers<T> {
    /// What was prepared for `question`, when there is something and it is fresh.
    pub fn get(&self, question: &[u8]) -> Option<Arc<T>> {
        let shard = lock(self.shard(question)?);
        shard.entries.get(question).filter(|entry| entry.is_fresh()).cloned()
    }

    /// Keeps `entry` in place of what was there; not when it alone would take a quarter of its shard.
    pub fn put(&self, question: Box<[u8]>, entry: Arc<T>) {
        let cost = price(&question, &*entry);
        let Some(shard) = self.shard(&question).filter(|_| cost <= SHARD_BYTES / 4) else { return };
        let mut shard = lock(shard);
        if shard.bytes + cost > SHARD_BYTES {
            shard.entries.retain(|_, entry| entry.is_fresh());
            shard.bytes = shard.entries.iter().map(|(question, entry)| price(question, &**entry)).sum();
            if shard.bytes + cost > SHARD_BYTES {
                // Which ones will be asked for again is not known: all make room.
                *shard = Shard::default();
            }
        }
        shard.bytes += cost;
        let length = question.len();
        if let Some(old) = shard.entries.insert(question, entry) {
            shard.bytes = shard.bytes.saturating_sub(length + old.size() + OVERHEAD);
        }
    }

    fn shard(&self, question: &[u8]) -> Option<&Mutex<Shard<T>>> {
        let number = self.hasher.hash_one(question) as usize % SHARDS;
        self.shards.get(number)
    }
}

fn price(question: &[u8], entry: &impl Prepared) -> usize {
    question.len() + entry.size() + OVERHEAD
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    struct Page(usize, AtomicBool);

    impl Prepared for Page {
        fn size(&self) -> usize {
            self.0
        }

        fn is_fresh(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    fn page(size: usize) -> Arc<Page> {
        Arc::new(Page(size, AtomicBool::new(true)))
    }

    fn bytes(answers: &Answers<Page>) -> usize {
        let mut sum = 0;
        for shard in &answers.shards {
            let shard = lock(shard);
            let real: usize = shard.entries.iter().map(|(question, entry)| price(question, &**entry)).sum();
            assert_eq!(shard.bytes, real);
            sum += real;
        }
        sum
    }

    #[test]
    fn a_stamp_is_fresh_until_the_next_change() {
        let counter = Arc::new(AtomicU64::new(7));
        let stamp = Stamp::of(&counter);
        assert!(stamp.is_fresh());
        counter.fetch_add(1, Ordering::AcqRel);
        assert!(!stamp.is_fresh() && Stamp::of(&counter).is_fresh());
    }

    #[test]
    fn memory_is_bounded_and_counted() {
        let answers = Answers::default();
        for number in 0..200_000_u32 {
            answers.put((number % 90_000).to_be_bytes().into(), page(400));
        }
        let taken = bytes(&answers);
        assert!(taken <= SHARDS * SHARD_BYTES && taken > SHARDS * SHARD_BYTES / 4, "{taken}");
        answers.put((*b"big").into(), page(SHARD_BYTES));
        assert!(answers.get(b"big").is_none());
        answers.put((*b"a").into(), page(10));
        answers.put((*b"a").into(), page(20));
        assert_eq!(answers.get(b"a").unwrap().0, 20);
        bytes(&answers);
    }

    #[test]
    fn what_is_stale_is_neither_told_nor_kept_when_room_is_needed() {
        let answers = Answers::default();
        let old = page(10);
        answers.put((*b"old").into(), old.clone());
        assert!(answers.get(b"old").is_some());
        old.1.store(false, Ordering::Relaxed);
        assert!(answers.get(b"old").is_none());
        for number in 0..100_000_u32 {
            answers.put(number.to_be_bytes().into(), page(1000));
        }
        assert!(answers.shards.iter().all(|shard| !lock(shard).entries.contains_key(&b"old"[..])));
    }
}
