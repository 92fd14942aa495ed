//! Prepared answers of the hot routes: kept whole, dropped when anything of their tenant changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::apps::telemetry::Seen;
use crate::http::Response;
use crate::prepared;
use crate::store::table::WriteTx;

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
    generation: Generation,
}

impl prepared::Prepared for Entry {
    fn size(&self) -> usize {
        self.prepared.answer.body.len()
    }

    fn is_fresh(&self) -> bool {
        self.generation.is_fresh()
    }
}

/// The state of a tenant before it was read: what is prepared from it is good until that changes.
pub type Generation = prepared::Stamp;

/// All prepared answers.
#[derive(Default)]
pub struct Answers {
    kept: prepared::Answers<Entry>,
    counters: Mutex<HashMap<Uuid, Arc<AtomicU64>>>,
}

impl Answers {
    /// The answer to `question`, when one is prepared and still good.
    pub fn get(&self, question: &[u8]) -> Option<Arc<Prepared>> {
        self.kept.get(question).map(|entry| entry.prepared.clone())
    }

    /// The tenant's present generation. To be asked for before the tenant's records are read.
    pub fn generation(&self, tenant: Uuid) -> Generation {
        Generation::of(&self.counter(tenant))
    }

    /// Keeps an answer that was made from records read after `generation` was asked for.
    pub fn put(&self, question: Box<[u8]>, generation: Generation, prepared: Arc<Prepared>) {
        self.kept.put(question, Arc::new(Entry { prepared, generation }));
    }

    /// Makes the tenant's prepared answers stale once `tx` is durable.
    pub fn stale_after(&self, tx: &WriteTx<'_>, tenant: Uuid) {
        let counter = self.counter(tenant);
        tx.after_commit(move || _ = counter.fetch_add(1, Ordering::AcqRel));
    }

    fn counter(&self, tenant: Uuid) -> Arc<AtomicU64> {
        lock(&self.counters).entry(tenant).or_default().clone()
    }
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
}
