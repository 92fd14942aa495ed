//! The redb file: opened without creating, closed after an input/output error, opened again once the disk answers.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use redb::ReadableDatabase;
use uuid::Uuid;

use super::backend::{DataFile, Shared};
use super::disk::{Disk, lock};
use super::table::ReadTx;
use super::{fault, schema, sys};
use crate::error::{Error, Result};

/// How long nobody tries again after an opening that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often readers look whether the file is still the one at its path.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The open database, or the absence of one.
pub(super) struct Database {
    path: PathBuf,
    cache_bytes: usize,
    /// The id written into the database when it was made: what is opened again must carry it.
    installation: Uuid,
    pub(super) disk: Arc<Disk>,
    pub(super) shared: Shared,
    slot: RwLock<Slot>,
    /// When an opening last failed; the lock lets one thread try at a time.
    failed: Mutex<Option<Instant>>,
    started: Instant,
    /// Milliseconds after `started` at which a reader last looked at the path.
    looked: AtomicU64,
}

struct Slot {
    database: Option<redb::Database>,
    /// Counts openings, so that a late report about an old one does not close its successor.
    generation: u64,
    identity: (u64, u64),
    stopped: bool,
}

/// A write transaction and the opening it belongs to.
pub(super) struct Writing {
    pub(super) tx: redb::WriteTransaction,
    pub(super) generation: u64,
}

impl Database {
    /// Takes over a database that was opened at start.
    pub(super) fn new(path: &Path, cache_bytes: usize, disk: Arc<Disk>, opened: Opened) -> Database {
        Database {
            path: path.to_owned(),
            cache_bytes,
            installation: opened.installation,
            disk,
            shared: opened.shared,
            slot: RwLock::new(Slot {
                database: Some(opened.database),
                generation: 1,
                identity: opened.identity,
                stopped: false,
            }),
            failed: Mutex::new(None),
            started: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }

    /// The id this data directory was given when it was made.
    pub(super) fn installation(&self) -> Uuid {
        self.installation
    }

    /// Begins to read; opens the file again first when it was closed after an error.
    pub(super) fn begin_read(&self) -> Result<(ReadTx, u64)> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.looked.load(Ordering::Relaxed);
        if u128::from(now.saturating_sub(looked)) >= LOOK_EVERY.as_millis() {
            self.looked.store(now, Ordering::Relaxed);
            self.look()?;
        }
        self.begin(|database| Ok(ReadTx { tx: database.begin_read().map_err(fault::database)? }))
    }

    /// Begins to write: durable, and with what a start after a crash needs to be quick. Only the committer does this.
    pub(super) fn begin_write(&self) -> Result<Writing> {
        self.look()?;
        let (tx, generation) = self.begin(|database| {
            let mut tx = database.begin_write().map_err(fault::database)?;
            tx.set_quick_repair(true);
            Ok(tx)
        })?;
        Ok(Writing { tx, generation })
    }

    fn begin<T>(&self, begin: impl Fn(&redb::Database) -> Result<T>) -> Result<(T, u64)> {
        let mut first = true;
        loop {
            let (generation, error) = {
                let slot = self.read();
                match &slot.database {
                    None => (slot.generation, None),
                    Some(database) => match caught(|| begin(database)) {
                        Ok(begun) => return Ok((begun, slot.generation)),
                        Err(error) => (slot.generation, Some(error)),
                    },
                }
            };
            if let Some(error) = error {
                self.close_broken(generation, &error);
                if !first {
                    return Err(error);
                }
            }
            first = false;
            self.reopen()?;
        }
    }

    /// Looks at the path now; see [`Database::look`].
    pub(super) fn look_now(&self) -> Result<()> {
        self.look()
    }

    /// Is the file at the path still the one that is open? Writing into a file that was deleted or covered by a
    /// mount would lose every answer.
    fn look(&self) -> Result<()> {
        let (identity, generation) = {
            let slot = self.read();
            if slot.database.is_none() {
                return Ok(());
            }
            (slot.identity, slot.generation)
        };
        match self.path.metadata() {
            Ok(metadata) if sys::identity(&metadata) == identity => Ok(()),
            Ok(_) => {
                self.close_broken(generation, &Error::internal("another file has taken the database's place"));
                Ok(())
            }
            Err(e) => {
                let error = fault::disk(e);
                self.close_broken(generation, &error);
                Err(error)
            }
        }
    }

    /// Reports that `error` came out of the opening `generation`: it is closed, and opened again by whoever needs it.
    pub(super) fn close_broken(&self, generation: u64, error: &Error) {
        let broken = {
            let mut slot = self.write();
            if slot.generation != generation {
                return;
            }
            let broken = slot.database.take();
            slot.generation += u64::from(broken.is_some());
            broken
        };
        if broken.is_some() {
            log::error!("the database was closed after an error: {error:?}");
            let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        }
    }

    /// Opens the file again; one thread at a time, and not more often than the disk can bear.
    fn reopen(&self) -> Result<()> {
        let mut failed = lock(&self.failed);
        {
            let slot = self.read();
            if slot.stopped {
                return Err(Error::busy("the server is stopping", 5));
            }
            if slot.database.is_some() {
                return Ok(());
            }
        }
        if failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(fault::away());
        }
        match open(&self.path, self.cache_bytes, &self.disk, &self.shared) {
            Ok((database, identity, installation)) if installation == self.installation => {
                log::warn!("the database is open again");
                *failed = None;
                let mut slot = self.write();
                if slot.stopped {
                    return Err(Error::busy("the server is stopping", 5));
                }
                slot.database = Some(database);
                slot.identity = identity;
                slot.generation += 1;
                Ok(())
            }
            Ok((database, ..)) => {
                drop(database);
                *failed = Some(Instant::now());
                Err(fault::away().because("the database at this place is another one"))
            }
            Err(error) => {
                if failed.is_none() {
                    log::error!("the database cannot be opened again: {error:?}");
                }
                *failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    /// Closes it for good.
    pub(super) fn stop(&self) {
        let last = {
            let mut slot = self.write();
            slot.stopped = true;
            slot.database.take()
        };
        if catch_unwind(AssertUnwindSafe(|| drop(last))).is_err() {
            log::error!("the database could not be closed in order; the next start repairs it");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Slot> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What opening at start yields.
pub(super) struct Opened {
    pub(super) database: redb::Database,
    pub(super) identity: (u64, u64),
    pub(super) installation: Uuid,
    pub(super) shared: Shared,
}

/// Opens an existing, non-empty file. On a full disk the ballast is given up and the opening tried once more.
pub(super) fn open(
    path: &Path,
    cache_bytes: usize,
    disk: &Disk,
    shared: &Shared,
) -> Result<(redb::Database, (u64, u64), Uuid)> {
    match open_once(path, cache_bytes, shared) {
        // A full disk may also show itself as a panic inside redb, so any failure is worth the second try.
        Err(error) if disk.free().is_ok_and(|free| free < 1 << 20) && disk.throw_ballast() => {
            log::warn!("the database could not be opened on a full disk: {error:?}");
            open_once(path, cache_bytes, shared)
        }
        other => other,
    }
}

fn open_once(path: &Path, cache_bytes: usize, shared: &Shared) -> Result<(redb::Database, (u64, u64), Uuid)> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(fault::disk)?;
    let metadata = file.metadata().map_err(fault::disk)?;
    if metadata.len() == 0 {
        return Err(fault::away().because("the database file is empty"));
    }
    caught(|| {
        let backend = DataFile::new(file, shared).map_err(fault::database)?;
        let database =
            redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(backend).map_err(fault::database)?;
        let tx = ReadTx { tx: database.begin_read().map_err(fault::database)? };
        let installation = schema::installation(&tx)?;
        drop(tx);
        Ok((database, sys::identity(&metadata), installation))
    })
}

/// Runs what calls into redb; a panic in there is an error like any other.
pub(super) fn caught<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(result) => result,
        Err(panic) => Err(fault::away().because(format!("panic in the database: {}", words(&*panic)))),
    }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "no words".to_owned(),
    }
}
