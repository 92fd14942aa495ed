//! Room on the disk: how much is free, what is kept back, and the ballast that is thrown off when there is none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use super::{fault, sys};
use crate::error::{Error, Kind, Result};

/// The data directory's disk as uploads and commits see it.
pub(super) struct Disk {
    directory: PathBuf,
    /// The setting; what is kept back is never more than 1 % of the disk.
    reserve: u64,
    ballast: PathBuf,
    /// Whether the ballast is on the disk; the lock keeps making and giving up apart.
    present: Mutex<bool>,
    /// Told when the ballast is given up, so that somebody makes it again.
    thrown: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Disk {
    pub(super) fn new(directory: &Path, reserve: u64) -> Disk {
        let ballast = directory.join("reserve");
        let present = ballast.metadata().is_ok_and(|found| found.len() > 0);
        Disk {
            directory: directory.to_owned(),
            reserve,
            ballast,
            present: Mutex::new(present),
            thrown: OnceLock::new(),
        }
    }

    /// The data directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes this user can still write.
    pub(super) fn free(&self) -> Result<u64> {
        fs4::available_space(&self.directory).map_err(fault::disk)
    }

    /// Bytes that uploads leave free: the setting, or 1 % of the disk when that is less.
    pub(super) fn reserve(&self) -> u64 {
        let hundredth = fs4::total_space(&self.directory).unwrap_or(u64::MAX) / 100;
        self.reserve.min(hundredth)
    }

    /// An error in words when `needed` more bytes would eat into the reserve. Answers what may still be written.
    pub(super) fn room_for(&self, needed: u64) -> Result<u64> {
        let (free, reserve) = (self.free()?, self.reserve());
        let usable = free.saturating_sub(reserve);
        if usable == 0 || usable < needed {
            let wanted = if needed > 1 { format!("{} needed, ", human(needed)) } else { String::new() };
            return Err(Error::new(
                Kind::Quota,
                format!(
                    "not enough room on the disk: {wanted}{} free, {} of it kept in reserve",
                    human(free),
                    human(reserve.min(free))
                ),
            ));
        }
        Ok(usable)
    }

    /// Frees the ballast, so that a commit or an open has room on a full disk. Answers whether there was one.
    pub(super) fn throw_ballast(&self) -> bool {
        let mut present = lock(&self.present);
        if !*present {
            return false;
        }
        log::warn!("the disk is full: giving up the reserve so that deletions go on working");
        *present = false;
        let removed = sys::remove(&self.ballast);
        drop(present);
        if let Some(thrown) = self.thrown.get() {
            thrown();
        }
        match removed {
            Ok(()) => true,
            Err(e) => {
                log::error!("the reserve cannot be removed: {e}");
                false
            }
        }
    }

    /// Registers who is told when the ballast was given up.
    pub(super) fn on_throw(&self, hook: impl Fn() + Send + Sync + 'static) {
        // Set once, by the opening.
        let _ = self.thrown.set(Box::new(hook));
    }

    /// Whether the ballast has to be made (again).
    pub(super) fn wants_ballast(&self) -> bool {
        !*lock(&self.present)
    }

    /// Makes the ballast when there is plenty of room for it. Its bytes do not compress, so the room is really taken.
    pub(super) fn take_ballast(&self) -> io::Result<()> {
        let mut present = lock(&self.present);
        let size = self.reserve();
        let free = fs4::available_space(&self.directory)?;
        if *present || free < size.saturating_mul(2) {
            return Ok(());
        }
        sys::remove(&self.ballast)?;
        let mut file = sys::create_private(&self.ballast)?;
        match fill(&mut file, size).and_then(|()| file.sync_all()) {
            Ok(()) => *present = true,
            Err(e) => {
                drop(file);
                sys::remove(&self.ballast)?;
                return Err(e);
            }
        }
        Ok(())
    }
}

fn fill(file: &mut impl Write, size: u64) -> io::Result<()> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut block = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let length = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        file.write_all(&block[..length])?;
        left -= length as u64;
    }
    Ok(())
}

/// A number of bytes as people read it: `512 bytes`, `1.5 MiB`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("PiB");
    if value >= 100.0 {
        return format!("{value:.0} {name}");
    }
    let digits = format!("{value:.1}");
    format!("{} {name}", digits.strip_suffix(".0").unwrap_or(&digits))
}

/// Locks, also after a panic elsewhere: what these locks guard is consistent between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_words() {
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (8 << 20, "8 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (2_684_354_560, "2.5 GiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn ballast_is_taken_and_thrown() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path(), 256 * 1024);
        assert!(disk.wants_ballast() && !disk.throw_ballast());
        disk.take_ballast().unwrap();
        assert_eq!(directory.path().join("reserve").metadata().unwrap().len(), 256 * 1024);
        assert!(!disk.wants_ballast());
        assert!(!Disk::new(directory.path(), 256 * 1024).wants_ballast());
        assert!(disk.throw_ballast());
        assert!(disk.wants_ballast() && !directory.path().join("reserve").exists());
    }

    #[test]
    fn too_little_room_is_said_in_words() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path(), 8 << 20);
        disk.room_for(1).unwrap();
        let refused = disk.room_for(1 << 60).unwrap_err();
        assert_eq!(refused.kind, Kind::Quota);
        assert!(refused.message.contains("1024 PiB needed"), "{refused}");
    }
}
