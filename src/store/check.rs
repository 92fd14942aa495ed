//! Re-reads blobs in the background and tells who wants to know about damage.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use super::blob::hash_file;
use super::disk::lock;
use super::shelf::{Health, Shelf};
use super::sys::Mark;
use crate::ids::Digest;

/// Blobs that may wait for a check; more are checked when they are asked for again.
const WAITING: usize = 256;

type Hook = Box<dyn Fn(&Digest) + Send + Sync>;

/// The queue of the checking thread, and the hook for damage.
#[derive(Default)]
pub(super) struct Checker {
    queue: Mutex<Queue>,
    ready: Condvar,
    hook: OnceLock<Hook>,
    /// Missing blobs that the hook knows of.
    missing: Mutex<HashSet<Digest>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Digest>,
    stopping: bool,
}

impl Checker {
    /// Who is told about damage; the first call counts.
    pub(super) fn on_damage(&self, hook: Hook) {
        if self.hook.set(hook).is_err() {
            log::error!("the hook for damaged blobs was set twice");
        }
    }

    /// Has a blob read whole when there is time.
    pub(super) fn ask(&self, digest: Digest) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() < WAITING && !queue.waiting.contains(&digest) {
            queue.waiting.push_back(digest);
            self.ready.notify_one();
        }
    }

    /// Remembers the outcome of a whole reading; wrong bytes are told to the hook.
    pub(super) fn conclude(&self, shelf: &Shelf, digest: Digest, mark: Mark, right: bool) {
        let known = shelf.health(&digest, mark) == Health::Damaged;
        shelf.remember(digest, mark, right);
        if !right && !known {
            self.tell(&digest, "its bytes are not what they were");
        }
    }

    /// Tells the hook about a blob that is wrong or missing.
    fn tell(&self, digest: &Digest, what: &str) {
        log::error!("blob {digest} is damaged: {what}");
        if let Some(hook) = self.hook.get()
            && catch_unwind(AssertUnwindSafe(|| hook(digest))).is_err()
        {
            log::error!("the hook for damaged blobs panicked");
        }
    }

    /// Tells the hook, once, about a blob that is on record and not on the shelf.
    pub(super) fn tell_missing(&self, digest: &Digest) {
        let mut missing = lock(&self.missing);
        if missing.len() >= WAITING {
            missing.clear();
        }
        let first = missing.insert(*digest);
        drop(missing);
        if first {
            self.tell(digest, "its file is gone");
        }
    }

    /// The blob has its bytes again.
    pub(super) fn healed(&self, digest: &Digest) {
        lock(&self.missing).remove(digest);
    }

    /// The checking thread: one blob after the other until [`Checker::stop`].
    pub(super) fn run(&self, shelf: &Arc<Shelf>) {
        loop {
            let digest = {
                let mut queue = lock(&self.queue);
                loop {
                    if queue.stopping {
                        return;
                    }
                    match queue.waiting.pop_front() {
                        Some(digest) => break digest,
                        None => queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            self.check(shelf, digest);
        }
    }

    fn check(&self, shelf: &Shelf, digest: Digest) {
        // A blob that is gone by now was deleted; whoever reads it meets the reason.
        let Ok((file, mark)) = shelf.open_blob(&digest) else { return };
        if shelf.health(&digest, mark) != Health::Unknown {
            return;
        }
        match hash_file(&file, mark.size, &mut || !lock(&self.queue).stopping) {
            Ok(_) if lock(&self.queue).stopping => {}
            Ok(found) => self.conclude(shelf, digest, mark, found == Some(digest)),
            Err(e) => log::error!("blob {digest} cannot be read: {e}"),
        }
    }

    /// Ends the thread, in the middle of a blob if need be.
    pub(super) fn stop(&self) {
        lock(&self.queue).stopping = true;
        self.ready.notify_all();
    }
}
