//! The store: the only code that names redb or touches the data directory.
//!
//! Bytes come in through [`Store::stage`] and [`Store::shelve`], rows through [`Store::commit`]; both are on stable
//! storage when these return. Blobs leave through [`Store::blob`], rows through [`Store::read`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::ids::Digest;
use table::{ReadTx, WriteTx};

mod backend;
mod barrier;
mod batch;
mod blob;
mod check;
mod collect;
mod commit;
mod copy;
pub mod crash;
mod database;
mod disk;
mod fault;
mod open;
mod overlay;
mod patchwork;
mod schema;
mod shelf;
mod stage;
mod sweep;
mod sys;
pub mod table;
mod verify;

pub use batch::Batch;
pub use blob::{Blob, BlobReader};
pub use disk::human;
pub use open::{OpenError, Options};
pub use patchwork::Patchwork;
pub use schema::INFO;
pub use stage::{Loose, Stage, Staged};
pub use sys::read_at as read_file_at;
pub use verify::{Catalog, Verdict, VerifyOptions, verify};

/// How long an upload waits for deleted blobs to go before it is told that there is no room.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(2);

type UnheldRule = Box<dyn Fn(&WriteTx<'_>, &Digest) -> Result<bool> + Send + Sync>;
type KnownRule = Box<dyn Fn(&ReadTx, &Digest) -> Result<Option<u64>> + Send + Sync>;
type KeepRule = Box<dyn Fn(&ReadTx, &str) -> Result<bool> + Send + Sync>;

/// Metadata and blobs of one data directory. Closed by [`Store::close`] or when the last handle goes.
pub struct Store {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the store's own threads share.
struct Inner {
    database: Arc<database::Database>,
    committer: commit::Committer,
    shelf: Arc<shelf::Shelf>,
    checker: Arc<check::Checker>,
    collector: collect::Collector,
    /// Shared while an upload gives blobs their place and commits, exclusive while unheld blobs are collected.
    gate: RwLock<()>,
    unheld: OnceLock<UnheldRule>,
    known: OnceLock<KnownRule>,
    keep: OnceLock<KeepRule>,
    /// When the store was opened, and whether the clock could be believed about ages then.
    started: SystemTime,
    steady: bool,
    /// Keeps other processes out for as long as it is open.
    lock: open::Lock,
}

impl Store {
    /// Opens the data directory, making it when it is new. Takes milliseconds; nothing is scanned.
    ///
    /// # Errors
    /// One clear line: in use, made by a newer release, not writable, its database missing.
    pub fn open(directory: &Path, options: Options) -> Result<Arc<Store>, OpenError> {
        open::open(directory, options)
    }

    /// Runs `f` on a consistent view of all tables. Keep it short, and never stream a body inside.
    ///
    /// # Errors
    /// Those of `f`; `Busy` while the database cannot be opened.
    pub fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        self.inner.read(f)
    }

    /// A counter that goes up with every transaction that changed something, before that is answered: what was made
    /// from a view begun after it was looked at holds while it stands still.
    pub fn written(&self) -> &Arc<AtomicU64> {
        self.inner.committer.written()
    }

    /// Runs `f` on the committer thread, in one transaction with whatever else waits, and returns when it is durable.
    ///
    /// `f` may run more than once, after a neighbour's failure, and must not consume its captures. It should judge
    /// before it writes: an error after a write costs its neighbours a second run. Never call it from inside `read`,
    /// `commit` or an after-commit action.
    ///
    /// # Errors
    /// Those of `f`, told once everything it saw is durable; `Busy` when the database fails, `Quota` when the disk is
    /// full, `Internal` when `f` panics.
    pub fn commit<T: Send + 'static>(&self, f: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static) -> Result<T> {
        self.inner.committer.commit(f)
    }

    /// Gives staged files their place on the shelf and commits `f`, all or nothing (architecture §7, steps 6–8).
    ///
    /// # Errors
    /// As [`Store::commit`]; the new blobs are gone again when nobody else holds them.
    pub fn shelve<T: Send + 'static>(
        &self,
        staged: Vec<Staged>,
        f: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.shelve(staged, f)
    }

    /// A new stage file for a body of `expected` bytes, or of unknown length.
    ///
    /// # Errors
    /// `Quota`, in words for the uploader, when it would eat into the reserve.
    pub fn stage(&self, expected: Option<u64>) -> Result<Stage> {
        match Stage::new(self.inner.shelf.clone(), expected) {
            Err(error) if error.kind == Kind::Quota && self.inner.collector.wait(WAIT_FOR_ROOM) => {
                Stage::new(self.inner.shelf.clone(), expected)
            }
            other => other,
        }
    }

    /// A batch of files that are flushed together; to be made before they are staged.
    ///
    /// # Errors
    /// `Busy` when the disk does not answer.
    pub fn batch(&self) -> Result<Batch> {
        Batch::new(self.inner.shelf.clone())
    }

    /// Has a few files on the disk, side by side; a flush that fails is final.
    ///
    /// # Errors
    /// `Busy` when the disk fails, `Quota` when it is full.
    pub fn flush(&self, files: Vec<Loose>) -> Result<Vec<Staged>> {
        batch::flush_side_by_side(files)
    }

    /// A new stage file that comes in pieces.
    ///
    /// # Errors
    /// `Quota` when the disk has no room, `Busy` when it does not answer.
    pub fn patchwork(&self) -> Result<Patchwork> {
        Patchwork::new(self.inner.shelf.clone())
    }

    /// One of an earlier time, by its name; it stays when the handle goes.
    ///
    /// # Errors
    /// `NotFound` when it is gone, `Busy` when the disk does not answer.
    pub fn open_patchwork(&self, name: &str) -> Result<Patchwork> {
        Patchwork::open(self.inner.shelf.clone(), name)
    }

    /// Removes a stage file that came in pieces, by its name.
    pub fn remove_patchwork(&self, name: &str) {
        patchwork::remove_named(&self.inner.shelf, name);
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// `NotFound` when there is none and none is on record, `Internal` when it should be there or has the wrong
    /// size or is known to be damaged, `Busy` when the disk does not answer.
    pub fn blob(&self, digest: &Digest) -> Result<Blob> {
        self.inner.blob(digest)
    }

    /// Registers the catalog's rule: drops the artifact's row when no holder is left, and answers whether the blob
    /// may go. Without it nothing is ever collected.
    pub fn set_unheld(&self, rule: impl Fn(&WriteTx<'_>, &Digest) -> Result<bool> + Send + Sync + 'static) {
        set(&self.inner.unheld, Box::new(rule), "unheld");
    }

    /// Registers the catalog's rule: the size on record of a blob, or `None` when no row names it. Sizes are compared
    /// with it, and the sweep leaves alone what it knows.
    pub fn set_known(&self, rule: impl Fn(&ReadTx, &Digest) -> Result<Option<u64>> + Send + Sync + 'static) {
        set(&self.inner.known, Box::new(rule), "known");
    }

    /// Registers a rule that says which stage files of an earlier run (by file name) are still wanted.
    pub fn set_keep_stage(&self, rule: impl Fn(&ReadTx, &str) -> Result<bool> + Send + Sync + 'static) {
        set(&self.inner.keep, Box::new(rule), "keep stage");
    }

    /// Has the collector look at `digest` once this transaction is durable; to be called when a holder goes.
    pub fn release(&self, tx: &WriteTx<'_>, digest: Digest) {
        let inner = Arc::downgrade(&self.inner);
        tx.after_commit(move || {
            if let Some(inner) = inner.upgrade() {
                inner.collector.ask(&[digest]);
            }
        });
    }

    /// Registers who is told about a blob whose bytes are wrong or gone. Runs on the thread that found out.
    pub fn on_damage(&self, hook: impl Fn(&Digest) + Send + Sync + 'static) {
        self.inner.checker.on_damage(Box::new(hook));
    }

    /// Starts the sweep of what an earlier run left behind, once all rules are registered; it runs in the background,
    /// in small slices, and removes nothing that a rule or a row still wants.
    pub fn begin_sweep(&self) {
        let inner = self.inner.clone();
        let thread = std::thread::Builder::new().name("sweep".into()).stack_size(open::STACK);
        match thread.spawn(move || guarded("sweep", || inner.run_sweep(inner.steady))) {
            Ok(handle) => disk::lock(&self.threads).push(handle),
            Err(e) => log::error!("the sweep is left to the next start: {e}"),
        }
    }

    /// Waits until everything released so far has been collected, at most `limit`; answers whether it has.
    pub fn wait_for_collection(&self, limit: Duration) -> bool {
        self.inner.collector.wait(limit)
    }

    /// Writes a text for the owner's eyes beside the database: readable by this user only, in its place whole or not
    /// at all. `name` is a plain file name of ours.
    ///
    /// # Errors
    /// `Quota` when the disk is full, `Busy` when it does not answer.
    pub fn write_private_file(&self, name: &'static str, text: &str) -> Result<()> {
        sys::replace_private(self.inner.shelf.disk.directory(), name, text.as_bytes()).map_err(fault::disk)
    }

    /// The state of the database and of the artifact directory.
    pub fn health(&self) -> (Result<()>, Result<()>) {
        let database = self.inner.database.look_now().and_then(|()| {
            let found = self.read(|tx| INFO.has(tx, "schema"))?;
            if found { Ok(()) } else { Err(Error::internal("the database has lost its schema number")) }
        });
        (database, self.inner.shelf.reachable())
    }

    /// The id this data directory was given when it was made.
    pub fn installation(&self) -> Uuid {
        self.inner.database.installation()
    }

    /// Bytes free on the disk for this user, and bytes kept back from uploads.
    pub fn room(&self) -> Result<(u64, u64)> {
        let disk = &self.inner.shelf.disk;
        Ok((disk.free()?, disk.reserve()))
    }

    /// Carries out what waits, ends the threads and closes the database. Calls after it get `Busy`.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *disk::lock(&self.threads));
        if threads.is_empty() {
            return;
        }
        self.inner.checker.stop();
        self.inner.collector.stop();
        self.inner.committer.stop();
        for thread in threads {
            // The last handle may go on a thread of our own, which ends by itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                log::error!("a thread of the store panicked");
            }
        }
        self.inner.database.stop();
        self.inner.lock.release();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        let (tx, generation) = self.database.begin_read()?;
        let result = f(&tx);
        drop(tx);
        if let Err(error) = &result
            && fault::is_broken(error)
        {
            self.database.close_broken(generation, error);
        }
        result
    }

    fn shelve<T: Send + 'static>(
        self: &Arc<Self>,
        mut staged: Vec<Staged>,
        f: impl FnMut(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut placed = Vec::new();
        let result = {
            let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            let disk = self.shelf.before_placing(staged.len())?;
            let there = self.shelf.place(&mut staged, &mut placed);
            let flush = || self.shelf.flush(&placed, disk.as_ref());
            let committed = there.and_then(|()| self.committer.commit_beside(f, flush));
            if committed.is_ok() {
                self.shelf.remember_placed(&placed);
            }
            committed
        };
        for digest in &placed {
            self.checker.healed(digest);
        }
        if result.is_err() && !placed.is_empty() {
            // The answer should find no trace of what was refused; what fails here is tried again by the collector.
            if let Err(error) = self.collect(&placed) {
                log::warn!("a refused upload's blob is left to the collector: {error:?}");
                self.collector.ask(&placed);
            }
        }
        result
    }

    fn blob(&self, digest: &Digest) -> Result<Blob> {
        let (file, mark) = match self.shelf.open_blob(digest) {
            Ok(opened) => opened,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(self.missing(digest)),
            Err(e) => return Err(fault::disk(e)),
        };
        // While the database is away there is nothing to compare with: the hash still tells.
        if self.shelf.health(digest, mark) == shelf::Health::Unknown
            && let Ok(Some(size)) = self.known(digest)
            && size != mark.size
        {
            self.checker.conclude(&self.shelf, *digest, mark, false);
            return Err(blob::damaged(digest));
        }
        Blob::new(file, mark, *digest, self.shelf.clone(), self.checker.clone())
    }

    fn missing(&self, digest: &Digest) -> Error {
        if let Err(error) = self.shelf.reachable() {
            return error;
        }
        match self.known(digest) {
            Ok(Some(_)) => {
                self.checker.tell_missing(digest);
                Error::internal(format!("blob {digest} is missing"))
            }
            Ok(None) => Error::not_found("no such file"),
            Err(error) => error,
        }
    }

    /// The size on record.
    fn known(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.known.get() {
            Some(rule) => self.read(|tx| rule(tx, digest)),
            None => Ok(None),
        }
    }
}

fn set<T>(cell: &OnceLock<T>, rule: T, name: &str) {
    if cell.set(rule).is_err() {
        log::error!("the rule '{name}' was registered twice; the first one stays");
    }
}

/// Runs a thread's work; a panic in it is logged instead of passing unseen.
fn guarded(name: &str, work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        log::error!("the {name} thread panicked: {}", database::words(&*panic));
    }
}

#[cfg(test)]
mod tests;
