//! A stage file that comes in pieces, in any order and over restarts: bytes are written where they belong and are on
//! the disk before anybody is told that they have arrived.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::blob::hash_file;
use super::disk::lock;
use super::shelf::Shelf;
use super::stage::{Staged, is_stage_name};
use super::{fault, sys};
use crate::error::{Error, Kind, Result};

/// How much is written before the free room is looked at again.
const LOOK_EVERY: u64 = 4 * 1024 * 1024;

/// A file in the stage directory whose pieces come in any order. Dropping it removes the file, unless [`keep`] was
/// called; what is kept over a restart is for the rule of `Store::set_keep_stage` to say.
///
/// [`keep`]: Patchwork::keep
pub struct Patchwork {
    file: File,
    path: PathBuf,
    kept: AtomicBool,
    /// Bytes written since the file was opened.
    written: AtomicU64,
    /// `written` when the free room was last looked at.
    looked: AtomicU64,
    /// `written` as it was before the last flush began; the lock makes writers share flushes.
    flushed: Mutex<u64>,
    shelf: Arc<Shelf>,
}

impl Patchwork {
    /// A new, empty one whose name is on the disk.
    pub(super) fn new(shelf: Arc<Shelf>) -> Result<Patchwork> {
        shelf.disk.room_for(1)?;
        let path = shelf.fresh_name();
        let file = sys::create_private(&path).map_err(fault::disk)?;
        let patchwork = Patchwork::over(file, path, shelf, false);
        sys::sync_directory(patchwork.shelf.stage()).map_err(fault::disk)?;
        Ok(patchwork)
    }

    /// One of an earlier time, kept when this goes.
    pub(super) fn open(shelf: Arc<Shelf>, name: &str) -> Result<Patchwork> {
        let gone = || Error::not_found("the stage file is gone");
        if !is_stage_name(name) {
            return Err(gone());
        }
        let path = shelf.stage().join(name);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Patchwork::over(file, path, shelf, true)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(e) => Err(fault::disk(e)),
        }
    }

    fn over(file: File, path: PathBuf, shelf: Arc<Shelf>, kept: bool) -> Patchwork {
        Patchwork {
            file,
            path,
            kept: AtomicBool::new(kept),
            written: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            flushed: Mutex::new(0),
            shelf,
        }
    }

    /// The file's name, by which it is found again.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The file stays when this is dropped: a row names it now.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::SeqCst);
    }

    /// Writes `bytes` at `offset`. They may be lost until [`Patchwork::flush`] has returned.
    ///
    /// # Errors
    /// `Quota` when the disk has no room, `Busy` when it fails otherwise.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        let before = self.written.load(Ordering::SeqCst);
        if before >= self.looked.load(Ordering::SeqCst) {
            self.shelf.disk.room_for(length)?;
            self.looked.store(before + LOOK_EVERY, Ordering::SeqCst);
        }
        sys::write_all_at(&self.file, offset, bytes).map_err(|e| match fault::is_disk_full(&e) {
            true => fault::full().because(e),
            // A place that no file of this system has.
            false if e.kind() == io::ErrorKind::FileTooLarge => {
                Error::new(Kind::Quota, "the file is too large").because(e)
            }
            false => fault::disk(e),
        })?;
        self.written.fetch_add(length, Ordering::SeqCst);
        Ok(())
    }

    /// Reads what was written at `offset`; where nothing was, zeros or nothing.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        sys::read_at(&self.file, offset, buffer).map_err(fault::disk)
    }

    /// Has everything written so far on the disk. Writers that come together share one flush.
    ///
    /// # Errors
    /// `Busy`: then nothing may be said to have arrived.
    pub fn flush(&self) -> Result<()> {
        let wanted = self.written.load(Ordering::SeqCst);
        let mut flushed = lock(&self.flushed);
        if *flushed >= wanted {
            return Ok(());
        }
        // Counted before the flush begins: what is written meanwhile waits for the next one.
        let now = self.written.load(Ordering::SeqCst);
        self.file.sync_data().map_err(fault::disk)?;
        *flushed = now;
        Ok(())
    }

    /// Hashes the whole file, which must have `size` bytes, and hands it on to be shelved. From then on it is the
    /// shelf's; this only reads.
    ///
    /// # Errors
    /// `Internal` when it has another size.
    pub fn finish(&self, size: u64) -> Result<Staged> {
        self.file.sync_all().map_err(fault::disk)?;
        let digest = hash_file(&self.file, size, &mut || true).map_err(fault::disk)?;
        let digest = digest.ok_or_else(|| Error::internal("a stage file of pieces has the wrong size"))?;
        self.keep();
        Ok(Staged::adopt(self.path.clone(), digest, size))
    }
}

impl Drop for Patchwork {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::SeqCst) {
            remove(&self.path);
        }
    }
}

/// Removes a stage file by its name.
pub(super) fn remove_named(shelf: &Shelf, name: &str) {
    if is_stage_name(name) {
        remove(&shelf.stage().join(name));
    }
}

fn remove(path: &Path) {
    if let Err(e) = sys::remove(path) {
        log::warn!("a stage file cannot be removed and is left to the next start: {e}");
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::Digest;
    use crate::store::{Options, Store};

    #[test]
    fn pieces_in_any_order_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let pieces = store.patchwork().unwrap();
        let name = pieces.name();
        pieces.write_at(6, b"world").unwrap();
        pieces.flush().unwrap();
        pieces.keep();
        drop(pieces);
        drop(store);

        let store = Store::open(directory.path(), Options::default()).unwrap();
        let kept = name.clone();
        store.set_keep_stage(move |_, name| Ok(name == kept));
        store.set_known(|_, _| Ok(None));
        store.set_unheld(|_, _| Ok(true));
        let other = store.patchwork().unwrap();
        other.keep();
        store.inner.sweep(true);
        let pieces = store.open_patchwork(&name).unwrap();
        pieces.write_at(0, b"hello ").unwrap();
        pieces.flush().unwrap();
        let mut back = [0; 5];
        assert_eq!(pieces.read_at(6, &mut back).unwrap(), 5);
        assert_eq!(&back, b"world");
        let staged = pieces.finish(11).unwrap();
        assert_eq!((staged.digest, staged.size), (Digest::of(b"hello world"), 11));
        store.shelve(vec![staged], |_| Ok(())).unwrap();
        drop(pieces);
        assert!(store.blob(&Digest::of(b"hello world")).is_ok());
        assert!(store.open_patchwork(&name).is_err(), "it is on the shelf now");
        assert!(store.open_patchwork("../packhouse.redb").is_err());
    }

    #[test]
    fn what_is_not_kept_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let stage = || std::fs::read_dir(directory.path().join("stage")).unwrap().count();
        let pieces = store.patchwork().unwrap();
        pieces.write_at(1 << 20, b"x").unwrap();
        assert!(pieces.finish(1).is_err(), "another size");
        pieces.kept.store(false, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(stage(), 1);
        drop(pieces);
        assert_eq!(stage(), 0);
        let pieces = store.patchwork().unwrap();
        pieces.keep();
        let name = pieces.name();
        drop(pieces);
        assert_eq!(stage(), 1);
        store.remove_patchwork(&name);
        store.remove_patchwork("../VERSION");
        assert_eq!(stage(), 0);
        assert!(directory.path().join("VERSION").exists());
    }
}
