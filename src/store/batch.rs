//! Many files that reach the disk by one flush instead of one each.

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
