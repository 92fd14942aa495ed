//! What the operating systems do differently with files: owner-only rights, directory flushes, patient renames.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A new file that only this user may read.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A directory that only this user may enter; no error when it is there.
pub(super) fn make_directory(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    let made = std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(path);
    #[cfg(not(unix))]
    let made = fs::create_dir(path);
    match made {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Has the names in a directory reach the disk. Windows keeps names in its journal and offers no such call.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(path)?.sync_all();
    #[cfg(not(unix))]
    return path.metadata().map(|_| ());
}

/// A handle on the disk that holds `directory`, for [`flush_disk`], where the system can flush a whole disk and tell
/// whether a write failed since the handle was made.
pub(super) fn whole_disk(directory: &Path) -> io::Result<Option<File>> {
    #[cfg(target_os = "linux")]
    return File::open(directory).map(Some);
    #[cfg(not(target_os = "linux"))]
    return directory.metadata().map(|_| None);
}

/// Has everything written to the disk of this handle reach it.
pub(super) fn flush_disk(disk: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return rustix::fs::syncfs(disk).map_err(io::Error::from);
    #[cfg(not(target_os = "linux"))]
    return disk.sync_all();
}

/// Puts a small file that only this user may read in its place, whole or not at all, and on the disk.
pub(super) fn replace_private(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = directory.join(format!("{name}.new"));
    remove(&beside)?;
    let mut file = create_private(&beside)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    drop(file);
    rename(&beside, &directory.join(name))?;
    sync_directory(directory)
}

/// Renames over whatever is there. On Windows a scanner or indexer may hold a fresh file open: tries for a second.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    patiently(|| fs::rename(from, to))
}

/// Removes a file; one that is not there is removed already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match patiently(|| fs::remove_file(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(not(windows))]
fn patiently(action: impl Fn() -> io::Result<()>) -> io::Result<()> {
    action()
}

#[cfg(windows)]
fn patiently(action: impl Fn() -> io::Result<()>) -> io::Result<()> {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(1);
    loop {
        match action() {
            Err(e)
                if matches!(e.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION))
                    && std::time::Instant::now() < deadline =>
            {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Tells the system that this file is read from end to end.
pub(super) fn will_read_through(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Has the system start writing out what was just written, so that the flush at the end is short.
pub(super) fn start_write_back(file: &File, offset: u64, length: u64) {
    // Linux writes the range out and would drop pages that are clean already; these are not.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, length);
}

/// Reads at an offset, wherever the file's own position is.
pub fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, buf, offset);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, buf, offset);
}

/// Writes all of `bytes` at an offset, wherever the file's own position is.
pub(super) fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let count = std::os::windows::fs::FileExt::seek_write(file, rest, offset)?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(count..).unwrap_or_default();
            offset += count as u64;
        }
        Ok(())
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes.
    pub(super) size: u64,
    modified: i128,
    #[cfg(unix)]
    changed: (i64, i64),
    #[cfg(unix)]
    node: (u64, u64),
}

impl Mark {
    /// Of a file's metadata.
    pub(super) fn of(metadata: &fs::Metadata) -> Mark {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Mark {
            size: metadata.len(),
            modified: metadata.modified().map_or(0, nanoseconds),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            #[cfg(unix)]
            node: (metadata.dev(), metadata.ino()),
        }
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}

/// Which file a path or handle means, where the system can tell: device and number.
pub(super) fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    #[cfg(unix)]
    return (std::os::unix::fs::MetadataExt::dev(metadata), std::os::unix::fs::MetadataExt::ino(metadata));
    #[cfg(not(unix))]
    return (0, u64::from(metadata.is_file()));
}
