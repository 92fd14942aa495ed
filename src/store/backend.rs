//! The database's file as redb sees it: the plain file, and what must be on disk before a commit's second flush.
//!
//! A commit flushes twice: first the new pages and the slot that will name them, then the switch to that slot. The
//! directories of new blobs are flushed beside the first and waited for before the switch is written, so that no row
//! ever gets to the disk before the name of its blob.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use super::barrier::Barrier;
use super::crash;
use super::disk::lock;

/// The file, and in tests a switch that makes its operations fail.
#[derive(Debug)]
pub(super) struct DataFile {
    file: FileBackend,
    commit: Arc<Mutex<Option<Vec<Barrier>>>>,
    #[cfg(test)]
    pub(super) trouble: Arc<Trouble>,
}

/// Makes the file fail on request.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Error numbers of the system for the next writes and flushes; 0 is a success.
    pub(super) next: Mutex<std::collections::VecDeque<i32>>,
    /// This error number for everything, while not 0.
    pub(super) always: std::sync::atomic::AtomicI32,
}

impl DataFile {
    pub(super) fn new(file: File, shared: &Shared) -> Result<DataFile, DatabaseError> {
        Ok(DataFile {
            file: FileBackend::new(file)?,
            commit: shared.commit.clone(),
            #[cfg(test)]
            trouble: shared.trouble.clone(),
        })
    }

    fn may(&self) -> io::Result<()> {
        #[cfg(test)]
        {
            let always = self.trouble.always.load(std::sync::atomic::Ordering::SeqCst);
            let next = lock(&self.trouble.next).pop_front().unwrap_or(0);
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
    /// Set when a commit begins, taken by its first flush.
    commit: Arc<Mutex<Option<Vec<Barrier>>>>,
    #[cfg(test)]
    pub(super) trouble: Arc<Trouble>,
}

impl Shared {
    /// The next flush is the first of a commit, and ends only when these have been lifted.
    pub(super) fn commit_begins(&self, barriers: Vec<Barrier>) {
        *lock(&self.commit) = Some(barriers);
    }

    /// The commit has ended. Answers whether it went without the flush that waits: then nothing was waited for.
    pub(super) fn commit_ended(&self) -> bool {
        lock(&self.commit).take().is_some()
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
        let barriers = lock(&self.commit).take();
        self.file.sync_data()?;
        if let Some(barriers) = barriers {
            for barrier in barriers {
                barrier.wait()?;
            }
            crash::point("commit-half");
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
