//! Several files that reach the disk together: many by one flush of the whole disk, a few by flushes side by side.

use std::fs::File;
use std::sync::Arc;

use super::shelf::Shelf;
use super::stage::{Loose, Staged};
use super::{crash, fault, sys};
use crate::error::Result;

/// The beginning of a batch; to be made before the first of its files is written, so that no failed write escapes its
/// flush.
pub struct Batch {
    shelf: Arc<Shelf>,
    disk: Option<File>,
}

impl Batch {
    pub(super) fn new(shelf: Arc<Shelf>) -> Result<Batch> {
        let disk = sys::whole_disk(shelf.stage()).map_err(fault::disk)?;
        Ok(Batch { shelf, disk })
    }

    /// Has the files on the disk and begins the next batch. A flush that fails is final: the bytes are dropped.
    ///
    /// # Errors
    /// `Busy` when the disk fails, `Quota` when it is full.
    pub fn flush(&mut self, files: Vec<Loose>) -> Result<Vec<Staged>> {
        match self.disk.take() {
            Some(disk) => sys::flush_disk(&disk).map_err(fault::disk)?,
            None => files.iter().try_for_each(|file| file.0.flush()).map_err(fault::disk)?,
        }
        crash::point("batch-flushed");
        self.disk = sys::whole_disk(self.shelf.stage()).map_err(fault::disk)?;
        Ok(files.into_iter().map(|file| file.0).collect())
    }
}

/// The most flushes that wait for the disk side by side.
const SIDE_BY_SIDE: usize = 8;

/// Has a few files on the disk, each by a flush of its own, all waiting at the same time: a journal writes down what came
/// together once. A flush that fails is final: the bytes are dropped.
pub(super) fn flush_side_by_side(files: Vec<Loose>) -> Result<Vec<Staged>> {
    for wave in files.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            let (last, others) = wave.split_last().map_or((None, wave), |(last, others)| (Some(last), others));
            let waiting: Vec<_> = others.iter().map(|file| scope.spawn(|| file.0.flush())).collect();
            let own = last.map_or(Ok(()), |file| file.0.flush());
            waiting.into_iter().fold(own, |outcome, thread| {
                let flushed = thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a flush panicked")));
                outcome.and(flushed)
            })
        })
        .map_err(fault::disk)?;
    }
    crash::point("stage-flushed");
    Ok(files.into_iter().map(|file| file.0).collect())
}
