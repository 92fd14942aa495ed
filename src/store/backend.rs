//! The database's file as redb sees it: the plain file, with a crash point between the two flushes of a commit.

use std::fs::File;
use std::io;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

/// The file, and in tests a switch that makes its operations fail.
#[derive(Debug)]
pub(super) struct DataFile {
    file: FileBackend,
    #[cfg(feature = "crash-points")]
    commit: std::sync::Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(super) trouble: std::sync::Arc<Trouble>,
}

/// Makes the file fail on request.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Error numbers of the system for the next writes and flushes; 0 is a success.
    pub(super) next: std::sync::Mutex<std::collections::VecDeque<i32>>,
    /// This error number for everything, while not 0.
    pub(super) always: std::sync::atomic::AtomicI32,
}

impl DataFile {
    pub(super) fn new(file: File, shared: &Shared) -> Result<DataFile, DatabaseError> {
        let _ = shared;
        Ok(DataFile {
            file: FileBackend::new(file)?,
            #[cfg(feature = "crash-points")]
            commit: shared.commit.clone(),
            #[cfg(test)]
            trouble: shared.trouble.clone(),
        })
    }

    fn may(&self) -> io::Result<()> {
        #[cfg(test)]
        {
            let always = self.trouble.always.load(std::sync::atomic::Ordering::SeqCst);
            let next = super::disk::lock(&self.trouble.next).pop_front().unwrap_or(0);
            if always != 0 || next != 0 {
                return Err(io::Error::from_raw_os_error(if always != 0 { always } else { next }));
            }
        }
        Ok(())
    }
}

/// What outlives one opening of the file.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set when a commit begins, cleared by its first flush.
    #[cfg(feature = "crash-points")]
    commit: std::sync::Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(super) trouble: std::sync::Arc<Trouble>,
}

impl Shared {
    /// The next flush is the first of a commit.
    pub(super) fn commit_begins(&self) {
        #[cfg(feature = "crash-points")]
        self.commit.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

impl StorageBackend for DataFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(test)]
        match self.trouble.always.load(std::sync::atomic::Ordering::SeqCst) {
            0 => {}
            number => return Err(io::Error::from_raw_os_error(number)),
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.may()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.may()?;
        self.file.sync_data()?;
        #[cfg(feature = "crash-points")]
        if self.commit.swap(false, std::sync::atomic::Ordering::SeqCst) {
            super::crash::point("commit-half");
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.may()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
