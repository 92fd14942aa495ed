//! Prepared answers of the hot routes: kept whole, dropped when anything of their tenant changes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::apps::telemetry::Seen;
use crate::http::Response;
use crate::store::table::WriteTx;

const SHARDS: usize = 16;
/// Bytes all prepared answers may take.
const MAX_BYTES: usize = 16 << 20;
/// Bytes an entry costs beside its key and body.
const OVERHEAD: usize = 256;

/// An answer as it leaves, again and again.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where to go, for redirects.
    pub location: Option<Arc<str>>,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body; empty for redirects and 204.
    pub body: Arc<[u8]>,
}

impl Answer {
    /// JSON text with 200.
    pub fn json(value: &serde_json::Value) -> Self {
        // A value of JSON is always written.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Answer { status: 200, location: None, content_type: "application/json", body: body.into() }
    }

    /// XML text with 200.
    pub fn xml(text: String) -> Self {
        let body = text.into_bytes().into();
        Answer { status: 200, location: None, content_type: "application/xml", body }
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Answer { status, location: None, content_type: "", body: Arc::new([]) }
    }

    /// 302 to `location`.
    pub fn redirect(location: String) -> Self {
        Answer { location: Some(location.into()), ..Answer::empty(302) }
    }

    /// The answer on its way out.
    pub fn response(&self) -> Response {
        if let Some(location) = &self.location {
            return Response::redirect(self.status, location).header("Cache-Control", "no-cache");
        }
        let response = match self.content_type {
            "" => Response::empty(self.status),
            content_type => Response::bytes(self.status, content_type, self.body.clone()),
        };
        response.header("Cache-Control", "no-cache")
    }
}

/// What is kept under a question.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The answer.
    pub answer: Answer,
    /// What telemetry counts when a device asked; none when it counts nothing.
    pub seen: Option<Arc<Seen>>,
}

struct Entry {
    prepared: Arc<Prepared>,
    counter: Arc<AtomicU64>,
    generation: u64,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.counter.load(Ordering::Acquire) == self.generation
    }
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Box<[u8]>, Entry>,
    bytes: usize,
}

/// The state of a tenant before it was read: what is prepared from it is good until that changes.
#[derive(Clone)]
pub struct Generation {
    counter: Arc<AtomicU64>,
    number: u64,
}

/// All prepared answers.
pub struct Answers {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    counters: Mutex<HashMap<Uuid, Arc<AtomicU64>>>,
}

impl Default for Answers {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Answers { shards, hasher: RandomState::new(), counters: Mutex::default() }
    }
}

impl Answers {
    /// The answer to `question`, when one is prepared and still good.
    pub fn get(&self, question: &[u8]) -> Option<Arc<Prepared>> {
        let shard = lock(self.shard(question)?);
        shard.entries.get(question).filter(|entry| entry.is_fresh()).map(|entry| entry.prepared.clone())
    }

    /// The tenant's present generation. To be asked for before the tenant's records are read.
    pub fn generation(&self, tenant: Uuid) -> Generation {
        let counter = self.counter(tenant);
        let number = counter.load(Ordering::Acquire);
        Generation { counter, number }
    }

    /// Keeps an answer that was made from records read after `generation` was asked for.
    pub fn put(&self, question: Box<[u8]>, generation: Generation, prepared: Arc<Prepared>) {
        let cost = question.len() + prepared.answer.body.len() + OVERHEAD;
        let Some(shard) = self.shard(&question).filter(|_| cost <= MAX_BYTES / SHARDS / 4) else { return };
        let mut shard = lock(shard);
        if shard.bytes + cost > MAX_BYTES / SHARDS {
            shard.entries.retain(|_, entry| entry.is_fresh());
            shard.bytes = shard.entries.iter().map(|(key, entry)| price(key, entry)).sum();
            if shard.bytes + cost > MAX_BYTES / SHARDS {
                // Which ones will be asked for again is not known: all make room.
                *shard = Shard::default();
            }
        }
        let entry = Entry { prepared, counter: generation.counter, generation: generation.number };
        shard.bytes += cost;
        if let Some(old) = shard.entries.insert(question.clone(), entry) {
            shard.bytes = shard.bytes.saturating_sub(price(&question, &old));
        }
    }

    /// Makes the tenant's prepared answers stale once `tx` is durable.
    pub fn stale_after(&self, tx: &WriteTx<'_>, tenant: Uuid) {
        let counter = self.counter(tenant);
        tx.after_commit(move || _ = counter.fetch_add(1, Ordering::AcqRel));
    }

    fn counter(&self, tenant: Uuid) -> Arc<AtomicU64> {
        lock(&self.counters).entry(tenant).or_default().clone()
    }

    fn shard(&self, question: &[u8]) -> Option<&Mutex<Shard>> {
        let number = self.hasher.hash_one(question) as usize % SHARDS;
        self.shards.get(number)
    }
}

fn price(question: &[u8], entry: &Entry) -> usize {
    question.len() + entry.prepared.answer.body.len() + OVERHEAD
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(body: usize) -> Arc<Prepared> {
        let answer = Answer { body: vec![b'x'; body].into(), ..Answer::empty(200) };
        Arc::new(Prepared { answer, seen: None })
    }

    #[test]
    fn a_change_of_the_tenant_makes_its_answers_stale_and_no_others() {
        let answers = Answers::default();
        let (one, two) = (Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
        let before = answers.generation(one);
        answers.put((*b"a").into(), before.clone(), prepared(1));
        answers.put((*b"b").into(), answers.generation(two), prepared(1));
        assert!(answers.get(b"a").is_some() && answers.get(b"b").is_some() && answers.get(b"c").is_none());
        answers.counter(one).fetch_add(1, Ordering::AcqRel);
        assert!(answers.get(b"a").is_none() && answers.get(b"b").is_some());
        answers.put((*b"a").into(), before, prepared(1));
        assert!(answers.get(b"a").is_none(), "made from what was read before the change");
        answers.put((*b"a").into(), answers.generation(one), prepared(1));
        assert!(answers.get(b"a").is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let answers = Answers::default();
        for number in 0..200_000_u32 {
            let generation = answers.generation(Uuid::nil());
            answers.put(number.to_be_bytes().into(), generation, prepared(400));
        }
        let bytes: usize = answers.shards.iter().map(|shard| lock(shard).bytes).sum();
        assert!(bytes <= MAX_BYTES && bytes > MAX_BYTES / 4, "{bytes}");
        answers.put((*b"big").into(), answers.generation(Uuid::nil()), prepared(MAX_BYTES));
        assert!(answers.get(b"big").is_none());
    }
}
