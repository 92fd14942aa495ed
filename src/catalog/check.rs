//! What `packhouse verify` asks the catalog: its rows, who uses them, and whether they fit together.

use super::{ARTIFACTS, HELD, HOLDERS, rows, uses};
use crate::error::Result;
use crate::ids::Digest;
use crate::store::Catalog;
use crate::store::table::ReadTx;

/// The catalog's side of a check of everything.
pub struct Rows;

/// Rows looked at in one go.
const PAGE: usize = 1000;

impl Catalog for Rows {
    fn page(&self, tx: &ReadTx, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>> {
        Ok(rows(tx, after, limit)?.into_iter().map(|(digest, artifact)| (digest, artifact.size)).collect())
    }

    fn uses(&self, tx: &ReadTx, digest: &Digest) -> Result<Vec<String>> {
        uses(tx, digest)
    }

    fn faults(&self, tx: &ReadTx) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let mut after = None;
        loop {
            let page = HOLDERS.page(tx, (), after.as_ref(), PAGE)?;
            for ((digest, holder), _) in &page {
                if !ARTIFACTS.has(tx, digest)? {
                    faults.push(format!("catalog: {holder} holds {digest}, which has no row"));
                }
                if !HELD.has(tx, (holder, digest))? {
                    faults.push(format!("catalog: {holder} does not know that it holds {digest}"));
                }
            }
            match page.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(faults),
            }
        }
    }
}
