//! The start-up sweep: removes what a crash left behind, in small slices after the server answers.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::stage::is_stage_name;
use super::{Inner, crash, sys};
use crate::error::Result;
use crate::ids::Digest;

/// A blob without a row is left alone for this long: its upload may be about to be tried again.
const GRACE: Duration = Duration::from_secs(60 * 60);
/// Names looked up in one read transaction.
const SLICE: usize = 256;
/// Strange files named in the log; the rest are counted.
const NAMED: usize = 20;
/// A clock that moved by more than this since the directory was last written is not believed.
const JUMP: Duration = Duration::from_secs(24 * 60 * 60);

/// What one pass found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Stage files of an earlier run that were removed.
    pub(super) stage_files: usize,
    /// Blobs without a row, old enough, handed to the collector's rule.
    pub(super) orphans: usize,
    /// Blobs without a row that are too young.
    pub(super) young: usize,
    /// Names that do not belong on the shelf or in the stage.
    pub(super) strange: usize,
}

impl Inner {
    /// The sweeping thread: one pass, and a second one an hour later when there was something too young.
    pub(super) fn run_sweep(self: &Arc<Self>, believe_ages: bool) {
        let found = self.sweep(believe_ages);
        if found.young == 0 || !self.collector.sleep(GRACE) {
            return;
        }
        // What was there an hour ago by the monotonic clock is old now, whatever its date says.
        let cutoff = self.started;
        let found = self.sweep_shelf(&|modified| modified <= cutoff || modified > SystemTime::now());
        if found.orphans > 0 {
            log::info!("{} leftover blobs removed", found.orphans);
        }
    }

    /// One pass over stage and shelf. `believe_ages`: the clock has not jumped, a file's date tells its age.
    pub(super) fn sweep(self: &Arc<Self>, believe_ages: bool) -> Found {
        let stage = self.sweep_stage();
        let shelf = self.sweep_shelf(&|modified| {
            believe_ages && SystemTime::now().duration_since(modified).is_ok_and(|age| age >= GRACE)
        });
        let found = Found {
            stage_files: stage.stage_files,
            orphans: shelf.orphans,
            young: shelf.young,
            strange: stage.strange + shelf.strange,
        };
        if found.stage_files + found.orphans > 0 {
            log::info!("{} unfinished uploads and {} leftover blobs removed", found.stage_files, found.orphans);
        }
        if found.strange > 0 {
            log::warn!("{} files in the data directory are not ours and are left alone", found.strange);
        }
        crash::point("sweep");
        found
    }

    fn sweep_stage(&self) -> Found {
        let mut found = Found::default();
        for (name, path, file) in entries(self.shelf.stage()) {
            if self.collector.is_stopping() {
                break;
            }
            if self.shelf.is_ours(&name) {
                continue;
            }
            if !file || !is_stage_name(&name) {
                report(&mut found, &path);
                continue;
            }
            match self.is_kept(&name) {
                Ok(false) => {}
                Ok(true) => continue,
                // Without an answer it stays; the next start asks again.
                Err(error) => {
                    log::warn!("the sweep cannot look up a stage file: {error:?}");
                    break;
                }
            }
            match sys::remove(&path) {
                Ok(()) => found.stage_files += 1,
                Err(e) => log::warn!("an unfinished upload cannot be removed: {e}"),
            }
            crash::point("sweep");
        }
        found
    }

    fn is_kept(&self, name: &str) -> Result<bool> {
        self.keep.get().map_or(Ok(false), |rule| self.read(|tx| rule(tx, name)))
    }

    fn sweep_shelf(self: &Arc<Self>, old: &dyn Fn(SystemTime) -> bool) -> Found {
        let mut found = Found::default();
        if self.known.get().is_none() || self.unheld.get().is_none() {
            log::error!("the sweep has no rules to go by and leaves the shelf alone");
            return found;
        }
        for (name, path, file) in entries(self.shelf.root()) {
            let prefix = (!file && name.len() == 2).then(|| u8::from_str_radix(&name, 16).ok()).flatten();
            match prefix {
                Some(prefix) if name == format!("{prefix:02x}") => self.sweep_prefix(prefix, &path, old, &mut found),
                _ => report(&mut found, &path),
            }
            if self.collector.is_stopping() {
                break;
            }
        }
        found
    }

    fn sweep_prefix(self: &Arc<Self>, prefix: u8, path: &Path, old: &dyn Fn(SystemTime) -> bool, found: &mut Found) {
        let mut digests = Vec::new();
        for (name, path, file) in entries(path) {
            match Digest::from_hex(&name) {
                Some(digest) if file && digest.0.first() == Some(&prefix) && digest.to_hex() == name => {
                    digests.push(digest);
                }
                _ => report(found, &path),
            }
        }
        for slice in digests.chunks(SLICE) {
            if self.collector.is_stopping() {
                return;
            }
            if let Err(error) = self.sweep_slice(slice, old, found) {
                log::warn!("the sweep leaves some blobs to the next start: {error:?}");
            }
        }
    }

    fn sweep_slice(
        self: &Arc<Self>,
        slice: &[Digest],
        old: &dyn Fn(SystemTime) -> bool,
        found: &mut Found,
    ) -> Result<()> {
        let Some(known) = self.known.get() else { return Ok(()) };
        let unknown: Vec<Digest> = self.read(|tx| {
            let mut unknown = Vec::new();
            for digest in slice {
                if known(tx, digest)?.is_none() {
                    unknown.push(*digest);
                }
            }
            Ok(unknown)
        })?;
        for digest in unknown {
            let Ok(modified) = self.shelf.path(&digest).metadata().and_then(|found| found.modified()) else { continue };
            if !old(modified) {
                found.young += 1;
                continue;
            }
            // Asked again under the gate: an upload of the same bytes may have found the blob by now.
            self.collect(&[digest])?;
            found.orphans += 1;
            crash::point("sweep");
        }
        Ok(())
    }
}

/// Whether the clock can be believed about ages: it is not before, nor a day after, the last write to the database.
pub(super) fn clock_is_steady(database: &Path) -> bool {
    let Ok(last) = database.metadata().and_then(|found| found.modified()) else { return false };
    SystemTime::now().duration_since(last).is_ok_and(|since| since < JUMP)
}

/// Name, path and whether it is a plain file, of everything in a directory; names that are not text are strange.
fn entries(directory: &Path) -> Vec<(String, std::path::PathBuf, bool)> {
    let read = match fs::read_dir(directory) {
        Ok(read) => read,
        Err(e) => {
            log::warn!("the sweep cannot read a directory: {e}");
            return Vec::new();
        }
    };
    read.filter_map(|entry| {
        let entry = entry.ok()?;
        let file = entry.file_type().ok()?.is_file();
        Some((entry.file_name().to_string_lossy().into_owned(), entry.path(), file))
    })
    .collect()
}

fn report(found: &mut Found, path: &Path) {
    found.strange += 1;
    if found.strange <= NAMED {
        log::warn!("{} is not a file of ours and is left alone", path.display());
    }
}
