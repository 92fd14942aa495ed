//! Reading every stored byte again, slowly, while the server runs: finds what rots before somebody needs it.

use std::thread;
use std::time::Instant;

use crate::catalog::rows;
use crate::error::{Kind, Result};
use crate::ids::Digest;
use crate::store::Store;

const BLOCK: usize = 1 << 20;
/// Rows fetched in one go.
const BATCH: usize = 256;

/// How far a scrub is, and at its end what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Artifacts read.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Artifacts whose bytes are wrong or gone; the store's damage hook has heard of each.
    pub damaged: Vec<Digest>,
}

/// Reads every artifact whole and has the store compare it with its digest. Rests as long as it reads, so that others
/// hardly notice; `step` hears of each block and ends the scrub by an error.
pub fn scrub(store: &Store, step: &mut dyn FnMut(&Scrubbed) -> Result<()>) -> Result<Scrubbed> {
    let mut found = Scrubbed::default();
    let mut buffer = vec![0; BLOCK];
    let mut after = None;
    loop {
        let batch = store.read(|tx| rows(tx, after.as_ref(), BATCH))?;
        for (digest, _) in &batch {
            let sound = read_whole(store, digest, &mut buffer, &mut found, step)?;
            // An artifact that was let go of meanwhile is no damage.
            if !sound && store.read(|tx| super::is_held(tx, digest))? {
                found.damaged.push(*digest);
            }
            found.artifacts += 1;
            step(&found)?;
        }
        match batch.last() {
            Some((last, _)) if batch.len() == BATCH => after = Some(*last),
            _ => return Ok(found),
        }
    }
}

/// Whether the artifact could be read to its end and its bytes were right.
fn read_whole(
    store: &Store,
    digest: &Digest,
    buffer: &mut [u8],
    found: &mut Scrubbed,
    step: &mut dyn FnMut(&Scrubbed) -> Result<()>,
) -> Result<bool> {
    let mut blob = match store.blob(digest) {
        Ok(blob) => blob,
        Err(error) if error.kind == Kind::Busy => return Err(error),
        Err(_) => return Ok(false),
    };
    let mut offset = 0;
    while offset < blob.len() {
        let begun = Instant::now();
        match blob.read_at(offset, buffer) {
            Ok(0) | Err(_) => return Ok(false),
            Ok(count) => {
                offset += count as u64;
                found.bytes += count as u64;
            }
        }
        step(found)?;
        thread::sleep(begun.elapsed());
    }
    Ok(true)
}
