//! Opening a data directory: refusals before anything is written, then the lock, the shelf, the database, the threads.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::SystemTime;

use super::backend::Shared;
use super::check::Checker;
use super::collect::Collector;
use super::commit::Committer;
use super::database::{self, Database, Opened};
use super::disk::Disk;
use super::shelf::Shelf;
use super::{Inner, Store, fault, guarded, schema, sweep, sys};
use crate::error::Error;

/// Settings of the store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Memory for database pages, in bytes.
    pub cache_bytes: usize,
    /// Bytes that uploads leave free; never more than 1 % of the disk.
    pub reserve: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { cache_bytes: 16 << 20, reserve: 8 << 20 }
    }
}

/// Why a data directory cannot be opened: one line for the person who started the server.
#[derive(Debug)]
pub struct OpenError {
    /// The line.
    pub message: String,
}

impl OpenError {
    pub(super) fn new(message: String) -> OpenError {
        OpenError { message }
    }

    pub(super) fn in_use(directory: &Path) -> OpenError {
        OpenError::new(format!("another packhouse already uses {}", directory.display()))
    }

    fn io(action: &str, path: &Path, error: &io::Error) -> OpenError {
        OpenError::new(format!("cannot {action} {}: {error}", path.display()))
    }

    fn database(path: &Path, error: &Error) -> OpenError {
        let in_use = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<redb::Error>());
        if matches!(in_use, Some(redb::Error::DatabaseAlreadyOpen)) {
            return OpenError::in_use(path);
        }
        let words = error.cause.as_ref().map_or_else(|| error.message.to_string(), ToString::to_string);
        OpenError::new(format!("cannot open the database in {}: {words}", path.display()))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpenError {}

/// Keeps other processes out of a data directory.
pub(super) struct Lock(File);

impl Lock {
    /// Lets others in. Closing the file is not enough: a child process that is just being started may hold a copy of
    /// the handle.
    pub(super) fn release(&self) {
        if let Err(e) = self.0.unlock() {
            log::warn!("the data directory cannot be unlocked: {e}");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

/// Stack of the committer: it runs the rooms' closures.
const COMMITTER_STACK: usize = 2 << 20;
/// Stack of the other threads.
pub(super) const STACK: usize = 256 << 10;

pub(super) fn open(directory: &Path, options: Options) -> Result<Arc<Store>, OpenError> {
    let lock = lock_directory(directory)?;
    let disk = Arc::new(Disk::new(directory, options.reserve));
    let path = directory.join("packhouse.redb");
    let fresh = !path.exists();
    if fresh {
        refuse_orphan(directory)?;
    }
    let shelf = Shelf::open(directory, disk.clone()).map_err(|e| OpenError::io("write to", directory, &e))?;
    if fresh {
        owner_only(directory).map_err(|e| OpenError::io("protect", directory, &e))?;
        schema::create(directory).map_err(|e| OpenError::database(directory, &e))?;
    }
    // Before the opening writes to it.
    let steady = !fresh && sweep::clock_is_steady(&path);
    let shared = Shared::default();
    let (database, identity, installation) =
        database::open(&path, options.cache_bytes, &disk, &shared).map_err(|e| OpenError::database(directory, &e))?;
    {
        let tx = redb::ReadableDatabase::begin_read(&database).map_err(fault::database);
        let tx = tx.map_err(|e| OpenError::database(directory, &e))?;
        schema::refuse_newer(directory, &super::ReadTx { tx })?;
    }
    schema::upgrade(directory, &database).map_err(|e| OpenError::database(directory, &e))?;
    if let Err(e) = schema::write_version_file(directory)
        && (fresh || !fault::is_disk_full(&e))
    {
        return Err(OpenError::io("write to", directory, &e));
    }
    let opened = Opened { database, identity, installation, shared };
    let database = Arc::new(Database::new(&path, options.cache_bytes, disk, opened));
    start(Inner {
        committer: Committer::new(database.clone()),
        database,
        shelf: Arc::new(shelf),
        checker: Arc::new(Checker::default()),
        collector: Collector::default(),
        gate: RwLock::new(()),
        unheld: OnceLock::new(),
        known: OnceLock::new(),
        keep: OnceLock::new(),
        started: SystemTime::now(),
        steady,
        lock,
    })
    .map_err(|e| OpenError::new(format!("cannot start a thread: {e}")))
}

fn start(inner: Inner) -> io::Result<Arc<Store>> {
    let inner = Arc::new(inner);
    let collector = Arc::downgrade(&inner);
    inner.shelf.disk.on_throw(move || {
        if let Some(inner) = collector.upgrade() {
            inner.collector.wake();
        }
    });
    let store = Arc::new(Store { inner: inner.clone(), threads: Mutex::default() });
    let spawn = |name: &'static str, stack: usize, work: fn(&Arc<Inner>)| -> io::Result<()> {
        let inner = inner.clone();
        let thread = thread::Builder::new().name(name.into()).stack_size(stack);
        let handle = thread.spawn(move || guarded(name, || work(&inner)))?;
        super::disk::lock(&store.threads).push(handle);
        Ok(())
    };
    spawn("commit", COMMITTER_STACK, |inner| inner.committer.run())?;
    spawn("check", STACK, |inner| inner.checker.run(&inner.shelf))?;
    spawn("collect", STACK, |inner| inner.run_collector())?;
    Ok(store)
}

/// Makes the directory when it is missing and keeps every other process out of it. A directory of a newer release is
/// refused before a byte is written.
pub(super) fn lock_directory(directory: &Path) -> Result<Lock, OpenError> {
    schema::check_version_file(directory)?;
    let path = directory.join("lock");
    let found = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => Some(lock(directory, file)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(OpenError::io("write to", directory, &e)),
    };
    schema::check_database(directory)?;
    if let Some(lock) = found {
        return Ok(lock);
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|e| OpenError::io("make", parent, &e))?;
    }
    sys::make_directory(directory).map_err(|e| OpenError::io("make", directory, &e))?;
    let file = match sys::create_private(&path) {
        // Another process made it a moment ago.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => OpenOptions::new().read(true).write(true).open(&path),
        other => other,
    };
    lock(directory, file.map_err(|e| OpenError::io("write to", directory, &e))?)
}

fn lock(directory: &Path, file: File) -> Result<Lock, OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::in_use(directory)),
        // A file system without locks: the database's own lock is all there is.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(Lock(file)),
        Err(TryLockError::Error(e)) => Err(OpenError::io("lock", directory, &e)),
    }
}

/// A directory that has lost its database is not a new one.
fn refuse_orphan(directory: &Path) -> Result<(), OpenError> {
    let blobs = || (0..=255_u8).any(|prefix| holds_a_file(&directory.join(format!("shelf/{prefix:02x}"))));
    if directory.join("VERSION").exists() || blobs() {
        return Err(OpenError::new(format!(
            "{} is missing, but this directory was in use: restore it from a backup",
            directory.join("packhouse.redb").display()
        )));
    }
    Ok(())
}

fn holds_a_file(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

fn owner_only(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    #[cfg(not(unix))]
    return directory.metadata().map(|_| ());
}
