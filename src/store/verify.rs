//! `packhouse verify`: re-reads every blob of a stopped server and compares catalog and shelf both ways.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::blob::hash_file;
use super::disk::{human, lock};
use super::overlay::Overlay;
use super::table::ReadTx;
use super::{database, fault, open, schema, sys};
use crate::error::{Error, Result};
use crate::ids::Digest;

/// What to do beside reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Move files with wrong bytes to `DATA/lost+found/`; nothing is ever deleted.
    pub repair: bool,
    /// Read only this part of the blobs, by chance: 0.05 for 5 %. Presence and size are checked for all.
    pub sample: Option<f64>,
}

/// How it ended, and with it the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it should be (0).
    Sound,
    /// There are faults; each has its line (1).
    Faults,
    /// It could not run (2).
    CouldNotRun,
}

/// What the catalog tells about its rows.
pub trait Catalog {
    /// Digest and size of up to `limit` artifacts, in digest order, after `after`.
    fn page(&self, tx: &ReadTx, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>>;
    /// Every place that uses the artifact, in words.
    fn uses(&self, tx: &ReadTx, digest: &Digest) -> Result<Vec<String>>;
    /// Faults in the rows themselves (a holder without an artifact), one line each.
    fn faults(&self, tx: &ReadTx) -> Result<Vec<String>>;
}

/// Rows asked for at once.
const PAGE: usize = 1000;
/// Threads that read blobs.
const READERS: usize = 2;

/// Checks the data directory and prints one line per fault. The database file is not written to.
///
/// # Errors
/// Only those of `out`.
pub fn verify(
    directory: &Path,
    options: VerifyOptions,
    catalog: &dyn Catalog,
    out: &mut dyn Write,
) -> io::Result<Verdict> {
    let path = directory.join("packhouse.redb");
    if !path.is_file() {
        writeln!(out, "cannot verify: there is no database in {}", directory.display())?;
        return Ok(Verdict::CouldNotRun);
    }
    let _lock = match open::lock_directory(directory) {
        Ok(lock) => lock,
        Err(e) => {
            writeln!(out, "cannot verify: {e}")?;
            return Ok(Verdict::CouldNotRun);
        }
    };
    let mut check = Check { directory, options, out, faults: 0, blobs: 0, bytes: 0, moved: 0 };
    let database = check.database(&path)?;
    let tx = match database.as_ref().map(|database| database::caught(|| begin(database))) {
        Some(Ok(tx)) => Some(tx),
        Some(Err(error)) => {
            check.fault(&format!("database: {}", words(&error)))?;
            None
        }
        None => None,
    };
    if let Some(tx) = &tx {
        check.rows(tx)?;
        match database::caught(|| catalog.faults(tx)) {
            Ok(lines) => {
                for line in lines {
                    check.fault(&line)?;
                }
            }
            Err(error) => check.fault(&format!("database: {}", words(&error)))?,
        }
    }
    check.shelf(catalog, tx.as_ref())?;
    let Check { out, faults, blobs, bytes, moved, .. } = check;
    let end = if moved > 0 { format!(", {moved} moved to lost+found") } else { String::new() };
    writeln!(out, "{blobs} blobs, {} read, {faults} faults{end}", human(bytes))?;
    Ok(if faults == 0 { Verdict::Sound } else { Verdict::Faults })
}

fn begin(database: &redb::Database) -> Result<ReadTx> {
    let tx = ReadTx { tx: database.begin_read().map_err(fault::database)? };
    schema::installation(&tx)?;
    Ok(tx)
}

fn words(error: &Error) -> String {
    error.cause.as_ref().map_or_else(|| error.message.to_string(), ToString::to_string)
}

struct Check<'a> {
    directory: &'a Path,
    options: VerifyOptions,
    out: &'a mut dyn Write,
    faults: u64,
    blobs: u64,
    bytes: u64,
    moved: u64,
}

/// A file on the shelf and what became of reading it.
struct Item {
    digest: Digest,
    path: PathBuf,
    size: u64,
    outcome: Reading,
}

enum Reading {
    /// Left out by the sample, or its size is wrong already.
    NotRead,
    Right,
    Wrong,
    Failed(io::Error),
}

impl Check<'_> {
    fn fault(&mut self, line: &str) -> io::Result<()> {
        self.faults += 1;
        writeln!(self.out, "FAULT {line}")
    }

    /// Opens the database through an overlay and has redb check all its pages.
    fn database(&mut self, path: &Path) -> io::Result<Option<redb::Database>> {
        let opened = database::caught(|| {
            let file = File::open(path).map_err(fault::disk)?;
            if file.metadata().map_err(fault::disk)?.len() == 0 {
                return Err(Error::internal("the file is empty"));
            }
            let overlay = Overlay::new(file).map_err(fault::disk)?;
            redb::Builder::new().set_cache_size(16 << 20).create_with_backend(overlay).map_err(fault::database)
        });
        let mut database = match opened {
            Ok(database) => database,
            Err(error) => {
                self.fault(&format!("database: cannot be opened: {}", words(&error)))?;
                return Ok(None);
            }
        };
        match database::caught(|| database.check_integrity().map_err(fault::database)) {
            Ok(true) => {}
            Ok(false) => self.fault("database: its structure is damaged; the server repairs it when it starts")?,
            Err(error) => self.fault(&format!("database: its structure is damaged: {}", words(&error)))?,
        }
        Ok(Some(database))
    }

    /// Reads every row of every table.
    fn rows(&mut self, tx: &ReadTx) -> io::Result<()> {
        let tables = database::caught(|| {
            let tables = tx.tx.list_tables().map_err(fault::database)?;
            Ok(tables.map(|handle| handle.name().to_owned()).collect::<Vec<_>>())
        });
        let tables = match tables {
            Ok(tables) => tables,
            Err(error) => return self.fault(&format!("database: {}", words(&error))),
        };
        for name in tables {
            let unreadable = database::caught(|| {
                let table = tx.tx.open_table(TableDefinition::<&[u8], &[u8]>::new(&name)).map_err(fault::database)?;
                let mut unreadable = 0_u64;
                for row in table.iter().map_err(fault::database)? {
                    let (_, value) = row.map_err(fault::database)?;
                    let json = serde_json::from_slice::<serde::de::IgnoredAny>(value.value());
                    unreadable += u64::from(json.is_err());
                }
                Ok(unreadable)
            });
            match unreadable {
                Ok(0) => {}
                Ok(count) => self.fault(&format!("database: {count} rows of {name} cannot be read"))?,
                Err(error) => self.fault(&format!("database: table {name}: {}", words(&error)))?,
            }
        }
        Ok(())
    }

    /// Compares rows and files, one of the 256 directories after the other.
    fn shelf(&mut self, catalog: &dyn Catalog, tx: Option<&ReadTx>) -> io::Result<()> {
        let mut rows =
            tx.map(|tx| Rows { catalog, tx, page: Vec::new().into_iter(), held: None, last: None, end: false });
        for prefix in 0..=255_u8 {
            let mut expected = match &mut rows {
                None => None,
                Some(reader) => match database::caught(|| reader.prefix(prefix)) {
                    Ok(found) => Some(found),
                    Err(error) => {
                        self.fault(&format!("database: {}", words(&error)))?;
                        rows = None;
                        None
                    }
                },
            };
            let mut items = self.list(prefix)?;
            self.read(&mut items, expected.as_ref());
            for item in items {
                let size = expected.as_mut().and_then(|expected| expected.remove(&item.digest));
                self.judge(&item, size, catalog, tx)?;
            }
            for digest in expected.unwrap_or_default().into_keys() {
                let line = format!("{digest} is missing{}", uses(catalog, tx, &digest));
                self.fault(&line)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, prefix: u8) -> io::Result<Vec<Item>> {
        let path = self.directory.join(format!("shelf/{prefix:02x}"));
        let mut items = Vec::new();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(items),
            Err(e) => {
                self.fault(&format!("{} cannot be read: {e}", path.display()))?;
                return Ok(items);
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = Digest::from_hex(&name).filter(|digest| digest.0.first() == Some(&prefix));
            match (digest, entry.metadata()) {
                (Some(digest), Ok(found)) if found.is_file() && digest.to_hex() == name => {
                    items.push(Item { digest, path: entry.path(), size: found.len(), outcome: Reading::NotRead });
                }
                _ => writeln!(self.out, "note: {} is not a file of ours", entry.path().display())?,
            }
        }
        items.sort_by_key(|item| item.digest);
        Ok(items)
    }

    /// Hashes the files by two threads; one of the wrong size needs no reading.
    fn read(&mut self, items: &mut [Item], expected: Option<&BTreeMap<Digest, u64>>) {
        let sample = self.options.sample;
        let queue = Mutex::new(items.iter_mut());
        let wanted = |item: &Item| {
            let size = expected.and_then(|expected| expected.get(&item.digest));
            size.is_none_or(|size| *size == item.size) && sample.is_none_or(chosen)
        };
        let work = || {
            loop {
                let Some(item) = lock(&queue).next() else { return };
                if wanted(item) {
                    item.outcome = hash(item);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..READERS {
                // Without a second thread the first does it all.
                let _ = thread::Builder::new().name("verify".into()).spawn_scoped(scope, work);
            }
            work();
        });
    }

    fn judge(
        &mut self,
        item: &Item,
        expected: Option<u64>,
        catalog: &dyn Catalog,
        tx: Option<&ReadTx>,
    ) -> io::Result<()> {
        let Item { digest, size, .. } = item;
        self.blobs += 1;
        if !matches!(item.outcome, Reading::NotRead) {
            self.bytes += size;
        }
        let fault = match (&item.outcome, expected) {
            (_, Some(expected)) if expected != *size => format!("has {size} bytes instead of {expected}"),
            (Reading::Wrong, _) => "has wrong bytes".to_owned(),
            (Reading::Failed(e), _) => format!("cannot be read: {e}"),
            (Reading::Right | Reading::NotRead, Some(_)) => return Ok(()),
            // Left by a crash; nobody misses it, and the server removes it.
            (Reading::Right | Reading::NotRead, None) if tx.is_some() => {
                return writeln!(self.out, "note: {digest} is in no use");
            }
            (Reading::Right | Reading::NotRead, None) => return Ok(()),
        };
        if tx.is_some() && expected.is_none() {
            writeln!(self.out, "note: {digest} {fault}, and is in no use")?;
        } else {
            self.fault(&format!("{digest} {fault}{}", uses(catalog, tx, digest)))?;
        }
        if self.options.repair && !matches!(item.outcome, Reading::Failed(_)) {
            self.set_aside(item)?;
        }
        Ok(())
    }

    /// Moves a wrong file to `lost+found`, under a name that is free.
    fn set_aside(&mut self, item: &Item) -> io::Result<()> {
        let place = self.directory.join("lost+found");
        let result = sys::make_directory(&place).and_then(|_| {
            let free = (0..1000).map(|number| place.join(format!("{}.{number}", item.digest))).find(|to| !to.exists());
            let to = free.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
            sys::rename(&item.path, &to)?;
            sys::sync_directory(&place)
        });
        match result {
            Ok(()) => {
                self.moved += 1;
                Ok(())
            }
            Err(e) => writeln!(self.out, "note: {} cannot be moved to lost+found: {e}", item.digest),
        }
    }
}

fn uses(catalog: &dyn Catalog, tx: Option<&ReadTx>, digest: &Digest) -> String {
    let Some(tx) = tx else { return String::new() };
    match database::caught(|| catalog.uses(tx, digest)) {
        Ok(uses) if uses.is_empty() => ", used by nobody".to_owned(),
        Ok(uses) => format!(", used by {}", uses.join(", ")),
        Err(_) => ", and its uses cannot be read".to_owned(),
    }
}

fn hash(item: &Item) -> Reading {
    let read = File::open(&item.path).and_then(|file| {
        sys::will_read_through(&file);
        hash_file(&file, item.size, &mut || true)
    });
    match read {
        Ok(Some(digest)) if digest == item.digest => Reading::Right,
        Ok(_) => Reading::Wrong,
        Err(e) => Reading::Failed(e),
    }
}

/// True with this probability.
fn chosen(part: f64) -> bool {
    let number = crate::ids::random().map_or(0, u32::from_le_bytes);
    f64::from(number) < part * f64::from(u32::MAX)
}

/// The catalog's rows in order, handed out prefix by prefix.
struct Rows<'a> {
    catalog: &'a dyn Catalog,
    tx: &'a ReadTx,
    page: std::vec::IntoIter<(Digest, u64)>,
    /// A row that was read and belongs to a later prefix.
    held: Option<(Digest, u64)>,
    last: Option<Digest>,
    end: bool,
}

impl Rows<'_> {
    fn prefix(&mut self, prefix: u8) -> Result<BTreeMap<Digest, u64>> {
        let mut found = BTreeMap::new();
        while let Some((digest, size)) = self.next()? {
            if digest.0.first().is_some_and(|first| *first > prefix) {
                self.held = Some((digest, size));
                break;
            }
            found.insert(digest, size);
        }
        Ok(found)
    }

    fn next(&mut self) -> Result<Option<(Digest, u64)>> {
        if let Some(row) = self.held.take().or_else(|| self.page.next()) {
            return Ok(Some(row));
        }
        if self.end {
            return Ok(None);
        }
        let rows = self.catalog.page(self.tx, self.last.as_ref(), PAGE)?;
        self.end = rows.len() < PAGE;
        self.last = rows.last().map(|(digest, _)| *digest).or(self.last);
        self.page = rows.into_iter();
        Ok(self.page.next())
    }
}
