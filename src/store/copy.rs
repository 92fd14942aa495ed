//! A copy of all tables as one read transaction sees them, written beside its name and renamed whole.

use std::path::Path;

use redb::{ReadableDatabase, TableDefinition, TableHandle};

use super::backend::{DataFile, Shared};
use super::{fault, sys};
use crate::error::Result;

/// Rows in one step of the copy.
const STEP: usize = 50_000;

/// Copies every table of `database` into a new file at `to`, which replaces an older one only when it is complete.
pub(super) fn copy_database(database: &redb::Database, to: &Path) -> Result<()> {
    let tx = database.begin_read().map_err(fault::database)?;
    let beside = to.with_extension("redb.new");
    sys::remove(&beside).map_err(fault::disk)?;
    let file = sys::create_private(&beside).map_err(fault::disk)?;
    let backend = DataFile::new(file, &Shared::default()).map_err(fault::database)?;
    let copy = redb::Builder::new().set_cache_size(4 << 20).create_with_backend(backend).map_err(fault::database)?;
    for handle in tx.list_tables().map_err(fault::database)? {
        copy_table(&tx, &copy, handle.name())?;
    }
    let mut last = copy.begin_write().map_err(fault::database)?;
    last.set_quick_repair(true);
    last.commit().map_err(fault::database)?;
    drop(copy);
    sys::rename(&beside, to).map_err(fault::disk)?;
    to.parent().map_or(Ok(()), sys::sync_directory).map_err(fault::disk)
}

fn copy_table(from: &redb::ReadTransaction, copy: &redb::Database, name: &str) -> Result<()> {
    let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
    let source = from.open_table(definition).map_err(fault::database)?;
    let mut rows = source.range::<&[u8]>(..).map_err(fault::database)?;
    loop {
        let mut tx = copy.begin_write().map_err(fault::database)?;
        tx.set_durability(redb::Durability::None).map_err(fault::database)?;
        let mut count = 0;
        {
            let mut target = tx.open_table(definition).map_err(fault::database)?;
            for row in rows.by_ref().take(STEP) {
                let (key, value) = row.map_err(fault::database)?;
                target.insert(key.value(), value.value()).map_err(fault::database)?;
                count += 1;
            }
        }
        tx.commit().map_err(fault::database)?;
        if count < STEP {
            return Ok(());
        }
    }
}
