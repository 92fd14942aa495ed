//! Where bytes live: `shelf/ab/abcd…` by digest, `stage/` for bytes in flight, and what is known about their health.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::blob::hash_file;
use super::disk::{Disk, lock};
use super::stage::Staged;
use super::sys::{self, Mark};
use super::{crash, fault};
use crate::error::Result;
use crate::ids::Digest;

/// Blobs whose health is remembered at most.
const REMEMBERED: usize = 32 * 1024;
/// From this many blobs placed at once the disk is flushed as a whole.
const MANY: usize = 32;
/// How long a whole check of a blob is believed.
const BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);

/// The two directories of bytes and the memory of what was checked.
pub(super) struct Shelf {
    root: PathBuf,
    stage: PathBuf,
    pub(super) disk: Arc<Disk>,
    /// Begins the names of this run's stage files; whatever else lies there was left by an earlier one.
    session: String,
    next: AtomicU64,
    health: Mutex<HashMap<Digest, Seen>>,
    #[cfg(test)]
    pub(super) flush_fails: std::sync::atomic::AtomicBool,
}

#[derive(Clone, Copy)]
struct Seen {
    mark: Mark,
    at: Instant,
    sound: bool,
}

/// What is known about a blob's bytes without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Read whole and found right, less than a day ago, and unchanged since.
    Sound,
    /// Read whole and found wrong, and unchanged since.
    Damaged,
    /// Not read whole since the start, or not lately, or changed.
    Unknown,
}

impl Shelf {
    /// Makes what is missing of the directories, and has them on the disk before it returns.
    pub(super) fn open(data: &Path, disk: Arc<Disk>) -> io::Result<Shelf> {
        let (root, stage) = (data.join("shelf"), data.join("stage"));
        let mut made = sys::make_directory(&root)? | sys::make_directory(&stage)?;
        for prefix in 0..=255_u8 {
            made |= sys::make_directory(&root.join(format!("{prefix:02x}")))?;
        }
        if made {
            sys::sync_directory(&root)?;
            sys::sync_directory(data)?;
        }
        let session: [u8; 8] = crate::ids::random().map_err(io::Error::other)?;
        let session = format!("{:016x}-", u64::from_le_bytes(session));
        Ok(Shelf {
            root,
            stage,
            disk,
            session,
            next: AtomicU64::new(0),
            health: Mutex::default(),
            #[cfg(test)]
            flush_fails: Default::default(),
        })
    }

    /// Where the blob is, or would be.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_hex();
        self.prefix(digest).join(name)
    }

    fn prefix(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{:02x}", digest.0[0]))
    }

    /// Whether the directories are there at all: a disk that was pulled takes them along.
    pub(super) fn reachable(&self) -> Result<()> {
        for path in [self.root.join("00"), self.stage.clone()] {
            if !fs::metadata(&path).map_err(fault::disk)?.is_dir() {
                return Err(fault::away().because("a part of the data directory is not a directory"));
            }
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn stage(&self) -> &Path {
        &self.stage
    }

    /// A name in the stage directory that nobody has used.
    pub(super) fn fresh_name(&self) -> PathBuf {
        self.stage.join(format!("{}{}", self.session, self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Whether a stage file of this name belongs to this run.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        name.starts_with(&self.session)
    }

    /// What is remembered about the blob in the state `mark`.
    pub(super) fn health(&self, digest: &Digest, mark: Mark) -> Health {
        match lock(&self.health).get(digest) {
            Some(seen) if seen.mark == mark && !seen.sound => Health::Damaged,
            Some(seen) if seen.mark == mark && seen.at.elapsed() < BELIEVED => Health::Sound,
            _ => Health::Unknown,
        }
    }

    /// Remembers the outcome of reading the blob whole while it was in the state `mark`.
    pub(super) fn remember(&self, digest: Digest, mark: Mark, sound: bool) {
        let mut health = lock(&self.health);
        if health.len() >= REMEMBERED && !health.contains_key(&digest) {
            // Half of the sound ones go, whichever; they are checked again when next read.
            let mut keep = false;
            health.retain(|_, seen| {
                keep = !keep;
                keep || !seen.sound
            });
            if health.len() >= REMEMBERED {
                health.clear();
            }
        }
        health.insert(digest, Seen { mark, at: Instant::now(), sound });
    }

    /// Forgets what is known about a blob that is gone.
    pub(super) fn forget(&self, digest: &Digest) {
        lock(&self.health).remove(digest);
    }

    /// Opens a blob for reading.
    pub(super) fn open_blob(&self, digest: &Digest) -> io::Result<(File, Mark)> {
        let file = File::open(self.path(digest))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok((file, Mark::of(&metadata)))
    }

    /// Reads the blob whole and remembers the outcome.
    fn holds_right_bytes(&self, digest: &Digest) -> bool {
        let Ok((file, mark)) = self.open_blob(digest) else { return false };
        let right = hash_file(&file, mark.size, &mut || true).is_ok_and(|found| found == Some(*digest));
        self.remember(*digest, mark, right);
        right
    }

    /// Gives staged files their place. The caller holds the gate. An existing blob is believed only when it was read
    /// whole and has not changed since; else the staged file, which is known to be right, takes its place: that heals
    /// a damaged copy and costs no second reading. [`Shelf::flush`] and [`Shelf::remember_placed`] have
    /// to follow. Also after an error `placed` holds
    /// the digests whose file was moved.
    pub(super) fn place(&self, staged: &mut [Staged], placed: &mut Vec<Digest>) -> Result<()> {
        for file in staged.iter_mut() {
            let path = self.path(&file.digest);
            let there = fs::symlink_metadata(&path).ok().map(|found| Mark::of(&found));
            if there.is_some_and(|mark| mark.size == file.size && self.health(&file.digest, mark) == Health::Sound) {
                file.discard();
                continue;
            }
            self.forget(&file.digest);
            if let Err(e) = file.place(&path) {
                // Windows may refuse to replace a file that is being read: then its bytes decide.
                if there.is_none() {
                    return Err(fault::disk(e));
                }
                if self.holds_right_bytes(&file.digest) {
                    file.discard();
                    continue;
                }
                let aside = self.fresh_name();
                sys::rename(&path, &aside).map_err(fault::disk)?;
                file.place(&path).map_err(fault::disk)?;
                self.forget(&file.digest);
                // Its reader may keep it a while longer: then the next start removes it.
                let _ = sys::remove(&aside);
            }
            placed.push(file.digest);
            crash::point("renamed");
        }
        Ok(())
    }

    /// What [`Shelf::flush`] is to be given when `count` blobs are about to be placed.
    pub(super) fn before_placing(&self, count: usize) -> Result<Option<File>> {
        if count < MANY {
            return Ok(None);
        }
        sys::whole_disk(&self.root).map_err(fault::disk)
    }

    /// Has the names of newly placed blobs on the disk: directory by directory, or all at once when there are many.
    pub(super) fn flush(&self, placed: &[Digest], disk: Option<&File>) -> io::Result<()> {
        #[cfg(test)]
        if self.flush_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("asked to fail"));
        }
        if let Some(disk) = disk.filter(|_| placed.len() >= MANY) {
            sys::flush_disk(disk)?;
            crash::point("directory-flushed");
            return Ok(());
        }
        let touched: HashSet<PathBuf> = placed.iter().map(|digest| self.prefix(digest)).collect();
        for prefix in touched {
            sys::sync_directory(&prefix)?;
        }
        crash::point("directory-flushed");
        Ok(())
    }

    /// Remembers newly placed and flushed blobs as sound: their bytes were hashed on the way in.
    pub(super) fn remember_placed(&self, placed: &[Digest]) {
        for digest in placed {
            if let Ok(metadata) = self.path(digest).metadata() {
                self.remember(*digest, Mark::of(&metadata), true);
            }
        }
    }
}
