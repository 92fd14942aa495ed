//! Bytes on their way in: written to a private file and hashed at the same time, in constant memory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sha2::{Digest as _, Sha256};

use super::disk::human;
use super::shelf::Shelf;
use super::{crash, fault, sys};
use crate::error::{Error, Kind, Result};
use crate::ids::Digest;

/// Bytes read before they are written, for small bodies.
const BLOCK: usize = 256 * 1024;
/// The same for large ones, where a second thread hashes; there are three of these.
const LARGE_BLOCK: usize = 1024 * 1024;
const LARGE_BLOCKS: usize = 3;
/// Bodies beyond this are hashed by a second thread.
const OVERLAP_FROM: u64 = 4 * 1024 * 1024;
/// How much is written before the system is told to start writing it out.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// A file in the stage directory that is being written. Dropping it removes the file.
pub struct Stage {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    written: u64,
    expected: Option<u64>,
    /// The free room is looked at again when this much is written.
    look_at: u64,
    written_back: u64,
    failed: bool,
    finished: bool,
    shelf: Arc<Shelf>,
}

impl Stage {
    /// A new stage file; `expected` bytes (0 when unknown) must fit beside the reserve.
    pub(super) fn new(shelf: Arc<Shelf>, expected: Option<u64>) -> Result<Stage> {
        let usable = shelf.disk.room_for(expected.unwrap_or(0))?;
        let path = shelf.fresh_name();
        let file = sys::create_private(&path).map_err(fault::disk)?;
        crash::point("stage-created");
        Ok(Stage {
            file,
            path,
            hasher: Sha256::new(),
            written: 0,
            expected,
            look_at: next_look(usable),
            written_back: 0,
            failed: false,
            finished: false,
            shelf,
        })
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// A second handle, to read what is written so far.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Copies what `reader` still holds, at most `limit` bytes of it; answers how many there were.
    ///
    /// Errors: `TooLarge` beyond the limit, `Quota` when the disk has no room, `Busy` when it fails otherwise,
    /// `Invalid` when the reader breaks off. An [`Error`] inside the reader's error is passed on as it is.
    pub fn copy_from(&mut self, reader: &mut dyn Read, limit: Option<u64>) -> Result<u64> {
        let mut reader = Limited { reader, limit, read: 0 };
        let block = self.expected.map_or(BLOCK, |size| usize::try_from(size).unwrap_or(BLOCK).clamp(4096, BLOCK));
        if self.copy_inline(&mut reader, block, OVERLAP_FROM)? || self.copy_overlapped(&mut reader)? {
            return Ok(reader.read);
        }
        // No thread to be had: it is slower without.
        self.copy_inline(&mut reader, BLOCK, u64::MAX)?;
        Ok(reader.read)
    }

    /// Reads, hashes and writes on this thread until `until` bytes are read; answers whether the reader has ended.
    fn copy_inline(&mut self, reader: &mut Limited<'_>, block: usize, until: u64) -> Result<bool> {
        let mut buffer = vec![0; block];
        while reader.read < until {
            let count = reader.fill(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            self.hasher.update(bytes);
            self.write_block(bytes)?;
            if count < buffer.len() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads and writes on this thread, hashes on another, to the reader's end; answers no when there is no thread.
    fn copy_overlapped(&mut self, reader: &mut Limited<'_>) -> Result<bool> {
        let mut hasher = std::mem::take(&mut self.hasher);
        let result = thread::scope(|scope| {
            let (send, blocks) = sync_channel::<Arc<Block>>(LARGE_BLOCKS);
            let (done, back) = sync_channel::<()>(LARGE_BLOCKS);
            let hashing = &mut hasher;
            let worker = thread::Builder::new().name("hash".into()).stack_size(128 * 1024);
            match worker.spawn_scoped(scope, move || hash_blocks(hashing, &blocks, &done)) {
                Ok(_) => self.read_and_write(reader, send, &back).map(|()| true),
                Err(_) => Ok(false),
            }
        });
        self.hasher = hasher;
        self.failed |= result.is_err();
        result
    }

    fn read_and_write(
        &mut self,
        reader: &mut Limited<'_>,
        send: SyncSender<Arc<Block>>,
        back: &Receiver<()>,
    ) -> Result<()> {
        let lost = || Error::internal("the hashing thread is gone");
        let mut ring: [Arc<Block>; LARGE_BLOCKS] = std::array::from_fn(|_| Arc::new(Block::default()));
        let mut round = 0;
        loop {
            if round >= LARGE_BLOCKS {
                back.recv().map_err(|_| lost())?;
            }
            // The hashing thread lets go of a block before it says so: it is ours alone again.
            let slot = ring.get_mut(round % LARGE_BLOCKS).ok_or_else(lost)?;
            let block = Arc::get_mut(slot).ok_or_else(lost)?;
            block.bytes.resize(LARGE_BLOCK, 0);
            block.length = reader.fill(&mut block.bytes)?;
            let last = block.length < block.bytes.len();
            send.send(slot.clone()).map_err(|_| lost())?;
            let block = slot.clone();
            self.write_block(block.filled())?;
            drop(block);
            if last {
                return Ok(());
            }
            round += 1;
        }
    }

    /// Writes bytes that are, or will be, in the hash.
    fn write_block(&mut self, bytes: &[u8]) -> Result<()> {
        let result = self.try_write(bytes);
        self.failed |= result.is_err();
        result
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        if self.written + length > self.look_at {
            let usable = self.shelf.disk.room_for(length.max(self.to_come()))?;
            self.look_at = self.written + next_look(usable);
        }
        self.file
            .write_all(bytes)
            .map_err(|e| if fault::is_disk_full(&e) { self.no_room(e) } else { fault::disk(e) })?;
        self.written += length;
        if length > 0 && self.written >= self.expected.unwrap_or(0) / 2 {
            crash::point("body-half");
        }
        if self.written - self.written_back >= WRITE_BACK {
            sys::start_write_back(&self.file, self.written_back, self.written - self.written_back);
            self.written_back = self.written;
        }
        Ok(())
    }

    /// Bytes that are expected and have not come yet.
    fn to_come(&self) -> u64 {
        self.expected.unwrap_or(0).saturating_sub(self.written)
    }

    fn no_room(&self, cause: io::Error) -> Error {
        match self.shelf.disk.room_for(self.to_come().max(1)) {
            Err(error) if fault::is_full(&error) => error.because(cause),
            _ => fault::full().because(cause),
        }
    }

    /// Flushes and closes the file. A flush that fails is final: the bytes are dropped.
    pub fn finish(self) -> Result<Staged> {
        self.close(true)
    }

    /// Closes the file without a flush: for one of many that [`super::Batch::flush`] has on the disk together.
    pub fn finish_loose(self) -> Result<Loose> {
        self.close(false).map(Loose)
    }

    fn close(mut self, flush: bool) -> Result<Staged> {
        if self.failed {
            return Err(Error::internal("a stage file was finished after an error"));
        }
        crash::point("body-complete");
        if flush {
            self.file.sync_all().map_err(fault::disk)?;
        }
        self.finished = true;
        let staged = Staged {
            digest: Digest(std::mem::take(&mut self.hasher).finalize().into()),
            size: self.written,
            path: self.path.clone(),
            lies_there: true,
        };
        drop(self);
        if flush {
            crash::point("stage-flushed");
        }
        Ok(staged)
    }
}

impl Write for Stage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_block(bytes).map_err(io::Error::other)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.finished {
            remove(&self.path);
        }
    }
}

/// `16 hex digits-number`: what [`Shelf::fresh_name`] makes.
pub(super) fn is_stage_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(session, number)| {
        session.len() == 16
            && session.bytes().all(|c| c.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
    })
}

/// How much may be written before the free room is looked at again: less when there is little.
fn next_look(usable: u64) -> u64 {
    (usable / 128).clamp(64 * 1024, 64 * 1024 * 1024)
}

fn remove(path: &Path) {
    if let Err(e) = sys::remove(path) {
        log::warn!("a stage file cannot be removed and is left to the next start: {e}");
    }
}

#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    length: usize,
}

impl Block {
    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn hash_blocks(hasher: &mut Sha256, blocks: &Receiver<Arc<Block>>, done: &SyncSender<()>) {
    while let Ok(block) = blocks.recv() {
        hasher.update(block.filled());
        drop(block);
        // The other side may have finished and gone; what is still queued is hashed all the same.
        let _ = done.send(());
    }
}

/// A reader with a limit, whose errors are the client's.
struct Limited<'a> {
    reader: &'a mut dyn Read,
    limit: Option<u64>,
    read: u64,
}

impl Limited<'_> {
    /// Reads until `buffer` is full or the reader has ended.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(reader_error(e)),
            }
        }
        self.read += filled as u64;
        match self.limit {
            Some(limit) if self.read > limit => {
                Err(Error::new(Kind::TooLarge, format!("the file is larger than the limit of {}", human(limit))))
            }
            _ => Ok(filled),
        }
    }
}

/// What a reader's failure means: the client's body ended early, was malformed, or came too slowly.
fn reader_error(error: io::Error) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(ours) => return ours,
        Err(error) => error,
    };
    let words = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "the body arrived too slowly",
        io::ErrorKind::InvalidData => "the body is malformed",
        _ => "the body ended early",
    };
    Error::invalid(words).because(error)
}

/// A whole, flushed and closed file that waits for its place. Dropping it removes the file.
#[derive(Debug)]
pub struct Staged {
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    path: PathBuf,
    lies_there: bool,
}

/// A whole and closed file that is not known to be on the disk. Dropping it removes the file.
#[derive(Debug)]
pub struct Loose(pub(super) Staged);

impl Loose {
    /// The SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Their number.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Opens it for reading.
    pub fn open(&self) -> io::Result<File> {
        self.0.open()
    }
}

impl Staged {
    /// Has the bytes on the disk, through a handle of its own.
    pub(super) fn flush(&self) -> io::Result<()> {
        File::options().write(true).open(&self.path)?.sync_all()
    }

    /// A file in the stage directory that is whole, flushed and hashed already.
    pub(super) fn adopt(path: PathBuf, digest: Digest, size: u64) -> Staged {
        Staged { digest, size, path, lies_there: true }
    }

    /// Opens it for reading.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Up to `limit` of its first bytes; none when it cannot be read.
    pub fn head(&self, limit: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.open().and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => bytes,
            Err(_) => Vec::new(),
        }
    }

    /// Moves it to its place on the shelf.
    pub(super) fn place(&mut self, to: &Path) -> io::Result<()> {
        sys::rename(&self.path, to)?;
        self.lies_there = false;
        Ok(())
    }

    /// Removes it: the same bytes are on the shelf already.
    pub(super) fn discard(&mut self) {
        if std::mem::take(&mut self.lies_there) {
            remove(&self.path);
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.discard();
    }
}
