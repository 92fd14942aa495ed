//! The number of the data directory's form: made at first start, raised step by step, refused when it is newer.

use std::fs;
use std::path::Path;

use redb::ReadableDatabase;
use uuid::Uuid;

use super::backend::{DataFile, Shared};
use super::table::{Read, ReadTx, Table, WriteTx};
use super::{OpenError, fault, sys};
use crate::error::{Error, Result};

/// Facts about the data directory itself. Other modules may keep small facts of their own here (signing keys).
pub const INFO: Table<String, serde_json::Value> = Table::new("meta.info");

/// The schema this program writes.
pub(super) const SCHEMA: u64 = 1;

const DATABASE: &str = "packhouse.redb";
const VERSION: &str = "VERSION";

/// One step from schema n to n + 1; runs in a transaction of its own.
pub(super) type Step = fn(&WriteTx<'_>) -> Result<()>;

/// `STEPS[n]` leads from schema n + 1 to n + 2.
const STEPS: &[Step] = &[];

/// Reads the installation id; it tells this database from any other at the same path.
pub(super) fn installation(tx: &impl Read) -> Result<Uuid> {
    let value = INFO.get(tx, "installation")?;
    let id = value.as_ref().and_then(|value| value.as_str()).and_then(|text| Uuid::parse_str(text).ok());
    id.ok_or_else(|| Error::internal("the database carries no installation id"))
}

/// Refuses a directory of a newer release by its `VERSION`, before anything is written or locked.
pub(super) fn check_version_file(directory: &Path) -> Result<(), OpenError> {
    let path = directory.join(VERSION);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(OpenError::new(format!("cannot read {}: {e}", path.display()))),
    };
    let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match word("schema ").and_then(|number| number.parse::<u64>().ok()) {
        Some(number) if number > SCHEMA => Err(newer(directory, number, word("packhouse "))),
        Some(_) => Ok(()),
        None => Err(OpenError::new(format!("{} does not say which schema this directory has", path.display()))),
    }
}

/// Refuses a database of a newer release without writing to it. One that was not closed in order and cannot be
/// looked at that way is left to the real opening.
pub(super) fn check_database(directory: &Path) -> Result<(), OpenError> {
    let path = directory.join(DATABASE);
    if !path.exists() {
        return Ok(());
    }
    // One that is damaged, or was not closed in order, is left to the opening that may repair it.
    let opened = std::panic::catch_unwind(|| redb::Builder::new().set_cache_size(1 << 20).open_read_only(&path));
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::in_use(directory)),
        Ok(Err(_)) | Err(_) => return Ok(()),
    };
    let Ok(tx) = database.begin_read() else { return Ok(()) };
    match super::database::caught(|| Ok(refuse_newer(directory, &ReadTx { tx }))) {
        Ok(verdict) => verdict,
        Err(_) => Ok(()),
    }
}

/// Refuses a newer schema found in the database.
pub(super) fn refuse_newer(directory: &Path, tx: &impl Read) -> Result<(), OpenError> {
    let number = number(tx).map_err(|e| OpenError::new(format!("cannot read the database: {e:?}")))?;
    if number > SCHEMA {
        let release = INFO.get(tx, "release").ok().flatten();
        return Err(newer(directory, number, release.as_ref().and_then(|release| release.as_str())));
    }
    Ok(())
}

fn number(tx: &impl Read) -> Result<u64> {
    let value = INFO.get(tx, "schema")?;
    value.and_then(|value| value.as_u64()).ok_or_else(|| Error::internal("the database carries no schema number"))
}

fn newer(directory: &Path, number: u64, release: Option<&str>) -> OpenError {
    OpenError::new(format!(
        "{} has schema {number}, this is packhouse {} with schema {SCHEMA}: packhouse {} or later is needed",
        directory.display(),
        env!("CARGO_PKG_VERSION"),
        release.filter(|text| text.len() < 40 && !text.contains(char::is_control)).unwrap_or("of a newer release"),
    ))
}

/// Makes the database of a new data directory, beside its place and renamed whole, so that it is there or it is not.
pub(super) fn create(directory: &Path) -> Result<()> {
    let beside = directory.join("packhouse.redb.new");
    sys::remove(&beside).map_err(fault::disk)?;
    let file = sys::create_private(&beside).map_err(fault::disk)?;
    let backend = DataFile::new(file, &Shared::default()).map_err(fault::database)?;
    let database = redb::Builder::new().set_cache_size(1 << 20).create_with_backend(backend);
    let database = database.map_err(fault::database)?;
    let mut tx = database.begin_write().map_err(fault::database)?;
    tx.set_quick_repair(true);
    {
        let write = WriteTx::new(&tx);
        let id = Uuid::from_bytes(crate::ids::random()?).to_string();
        INFO.put(&write, "installation", &id.into())?;
        put_number(&write, SCHEMA)?;
    }
    tx.commit().map_err(fault::database)?;
    drop(database);
    sys::rename(&beside, &directory.join(DATABASE)).map_err(fault::disk)?;
    sys::sync_directory(directory).map_err(fault::disk)
}

fn put_number(tx: &WriteTx<'_>, number: u64) -> Result<()> {
    INFO.put(tx, "schema", &number.into())?;
    INFO.put(tx, "release", &env!("CARGO_PKG_VERSION").into())
}

/// Leads an older database to today's schema: a copy of all tables beside it first, then each step in a transaction
/// of its own.
pub(super) fn upgrade(directory: &Path, database: &redb::Database) -> Result<()> {
    upgrade_with(directory, database, STEPS)
}

pub(super) fn upgrade_with(directory: &Path, database: &redb::Database, steps: &[Step]) -> Result<()> {
    let current = number(&ReadTx { tx: database.begin_read().map_err(fault::database)? })?;
    let done = usize::try_from(current.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(left @ [_, ..]) = steps.get(done..) else { return Ok(()) };
    let copy = directory.join(format!("packhouse.schema-{current}.redb"));
    log::info!("raising the data directory from schema {current}; the old metadata is kept as {}", copy.display());
    super::copy::copy_database(database, &copy)?;
    for (step, next) in left.iter().zip(current + 1..) {
        let mut tx = database.begin_write().map_err(fault::database)?;
        tx.set_quick_repair(true);
        {
            let write = WriteTx::new(&tx);
            step(&write)?;
            put_number(&write, next)?;
        }
        tx.commit().map_err(fault::database)?;
    }
    Ok(())
}

/// Writes `VERSION` for humans and for older releases, when it does not say the same already.
pub(super) fn write_version_file(directory: &Path) -> std::io::Result<()> {
    let text = format!("schema {SCHEMA}\npackhouse {}\n", env!("CARGO_PKG_VERSION"));
    let path = directory.join(VERSION);
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found.lines().next() == text.lines().next() {
        return Ok(());
    }
    sys::replace_private(directory, VERSION, text.as_bytes())
}
