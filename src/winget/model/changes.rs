//! What has changed in a tenant, change by change: by this whatever was made from an older view can be told from what is
//! true.

use uuid::Uuid;

use crate::error::Result;
use crate::store::table::{Read, Table, WriteTx};
use crate::winget::texts;

/// Tenant → number of its last change.
const GENERATIONS: Table<Uuid, u64> = Table::new("winget.generation");
/// (tenant, number of a change) → folded id of the package it was about; the last [`KEPT_CHANGES`].
const CHANGES: Table<(Uuid, u64), String> = Table::new("winget.change");

/// How many changes are remembered one by one.
pub(super) const KEPT_CHANGES: u64 = 1024;

/// Number of the tenant's last change; 0 before the first.
pub fn generation(tx: &impl Read, tenant: Uuid) -> Result<u64> {
    Ok(GENERATIONS.get(tx, tenant)?.unwrap_or(0))
}

/// Folded ids of the packages that changed after generation `since`, oldest change first; `None` when that is too long
/// ago to know.
pub fn changes(tx: &impl Read, tenant: Uuid, since: u64) -> Result<Option<Vec<String>>> {
    if generation(tx, tenant)?.saturating_sub(since) > KEPT_CHANGES {
        return Ok(None);
    }
    let rows = CHANGES.page(tx, (tenant,), Some(&(tenant, since)), usize::MAX)?;
    Ok(Some(rows.into_iter().map(|(_, id)| id).collect()))
}

/// Notes that something a reader of the tenant sees has changed; `id` is the folded id of the package, empty when it
/// is about none in particular.
pub fn touch(tx: &WriteTx, tenant: Uuid, id: &str) -> Result<()> {
    if !id.is_empty() {
        texts::refresh(tx, tenant, id)?;
    }
    let number = generation(tx, tenant)?.saturating_add(1);
    GENERATIONS.put(tx, tenant, &number)?;
    CHANGES.put(tx, (tenant, number), &id.to_owned())?;
    if let Some(old) = number.checked_sub(KEPT_CHANGES) {
        CHANGES.remove(tx, (tenant, old))?;
    }
    Ok(())
}
