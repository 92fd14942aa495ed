//! A blob being read: hashed as it streams the first time, so that rot ends in a broken-off transfer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::check::Checker;
use super::shelf::{Health, Shelf};
use super::sys::{self, Mark};
use crate::error::{Error, Result};
use crate::ids::Digest;

/// Blobs up to this size are checked whole before a part of them is served.
const CHECK_FIRST: u64 = 64 * 1024 * 1024;

/// An open blob. What has been opened stays readable, also when it is deleted meanwhile.
pub struct Blob {
    file: File,
    mark: Mark,
    digest: Digest,
    state: State,
    shelf: Arc<Shelf>,
    checker: Arc<Checker>,
}

enum State {
    /// Read whole since the start and right.
    Sound,
    /// Read in order from the beginning, up to `next`.
    Hashing {
        hasher: Box<Sha256>,
        next: u64,
    },
    /// Too large to check before a part of it is served; the checker has it.
    Unchecked,
    Damaged,
}

impl Blob {
    pub(super) fn new(
        file: File,
        mark: Mark,
        digest: Digest,
        shelf: Arc<Shelf>,
        checker: Arc<Checker>,
    ) -> Result<Blob> {
        let state = match shelf.health(&digest, mark) {
            Health::Sound => State::Sound,
            Health::Damaged => return Err(damaged(&digest)),
            Health::Unknown if mark.size == 0 && digest != Digest::of(b"") => {
                checker.conclude(&shelf, digest, mark, false);
                return Err(damaged(&digest));
            }
            Health::Unknown => State::Hashing { hasher: Box::new(Sha256::new()), next: 0 },
        };
        if mark.size > 1 << 20 {
            sys::will_read_through(&file);
        }
        Ok(Blob { file, mark, digest, state, shelf, checker })
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.mark.size
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.mark.size == 0
    }

    /// The plain file, when its bytes were read whole lately and may leave unread (`sendfile`). The file's own position
    /// means nothing.
    pub fn file(&self) -> Option<&File> {
        matches!(self.state, State::Sound).then_some(&self.file)
    }

    /// To be called before a part of the blob is served: one of at most 64 MiB is checked now, a larger one in the
    /// background. `Internal` when the bytes are wrong.
    pub fn check_before_range(&mut self) -> Result<()> {
        self.check_first().map_err(|_| damaged(&self.digest))
    }

    /// Up to `buf.len()` bytes at `offset`; 0 at the end. An error means that the transfer must be broken off: the
    /// disk failed or the bytes are wrong.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match &self.state {
            State::Sound | State::Unchecked => return sys::read_at(&self.file, offset, buf),
            State::Damaged => return Err(wrong()),
            State::Hashing { next, .. } if *next != offset => {
                self.check_first()?;
                return sys::read_at(&self.file, offset, buf);
            }
            State::Hashing { .. } => {}
        }
        let count = sys::read_at(&self.file, offset, buf)?;
        let bytes = buf.get(..count).unwrap_or_default();
        let State::Hashing { hasher, next } = &mut self.state else { return Err(wrong()) };
        hasher.update(bytes);
        *next += count as u64;
        let ended = *next >= self.mark.size || (count == 0 && !buf.is_empty());
        if ended {
            let right = *next == self.mark.size && Digest(hasher.finalize_reset().into()) == self.digest;
            self.conclude(right)?;
        }
        Ok(count)
    }

    /// The blob as anything that reads and seeks takes it, from its beginning, checked as before a range.
    ///
    /// # Errors
    /// `Internal` when its bytes are wrong.
    pub fn reader(mut self) -> Result<BlobReader> {
        self.check_before_range()?;
        Ok(BlobReader { blob: self, at: 0 })
    }

    fn check_first(&mut self) -> io::Result<()> {
        match self.state {
            State::Sound | State::Unchecked => return Ok(()),
            State::Damaged => return Err(wrong()),
            State::Hashing { .. } => {}
        }
        if self.mark.size > CHECK_FIRST {
            self.checker.ask(self.digest);
            self.state = State::Unchecked;
            return Ok(());
        }
        let right = hash_file(&self.file, self.mark.size, &mut || true)? == Some(self.digest);
        self.conclude(right)
    }

    fn conclude(&mut self, right: bool) -> io::Result<()> {
        self.state = if right { State::Sound } else { State::Damaged };
        self.checker.conclude(&self.shelf, self.digest, self.mark, right);
        if right { Ok(()) } else { Err(wrong()) }
    }
}

/// A blob with a position of its own, for the readers of formats. Reads fail when the bytes are wrong.
pub struct BlobReader {
    blob: Blob,
    at: u64,
}

impl BlobReader {
    /// Bytes of the blob.
    pub fn len(&self) -> u64 {
        self.blob.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blob.is_empty()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Hashes a file of `size` bytes from its beginning; `None` when it has another size or `go_on` said no.
pub(super) fn hash_file(file: &File, size: u64, go_on: &mut dyn FnMut() -> bool) -> io::Result<Option<Digest>> {
    let mut hasher = Sha256::new();
    let block = usize::try_from(size).unwrap_or(usize::MAX).clamp(1, 256 * 1024);
    let mut buffer = vec![0; block];
    let mut offset = 0;
    loop {
        let count = sys::read_at(file, offset, &mut buffer)?;
        if count == 0 || !go_on() {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        offset += count as u64;
        if offset > size {
            break;
        }
    }
    Ok((offset == size).then(|| Digest(hasher.finalize().into())))
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stored bytes are damaged")
}

/// The stored bytes are not what they should be; the caller learns only that it is our fault.
pub(super) fn damaged(digest: &Digest) -> Error {
    Error::internal(format!("blob {digest} is damaged"))
}
