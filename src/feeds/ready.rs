//! Small index files kept in memory: what every client asks for first, at each of its updates (`performance.md` §3.3).

use std::sync::Arc;

use crate::app::App;
use crate::error::Result;
use crate::feeds::desk;
use crate::feeds::model::trees::File;
use crate::ids::Digest;
use crate::prepared::{Answers, Prepared};

/// The largest file that is kept, in bytes.
const LARGEST: u64 = 64 << 10;

/// The bytes of small files by their digest.
#[derive(Default)]
pub(super) struct Ready(Answers<Kept>);

/// Bytes of one file. They are what their digest says, for ever.
struct Kept(Arc<[u8]>);

impl Prepared for Kept {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn is_fresh(&self) -> bool {
        true
    }
}

/// Its bytes from memory, where they are kept from now on; none when it is large, or not what it should be.
///
/// # Errors
/// As [`crate::store::Store::blob`].
pub(super) fn bytes(app: &App, file: &File) -> Result<Option<Arc<[u8]>>> {
    let Some(size) = usize::try_from(file.size).ok().filter(|_| file.size <= LARGEST) else { return Ok(None) };
    let Ready(kept) = &desk(app)?.ready;
    if let Some(found) = kept.get(&file.digest.0) {
        return Ok(Some(found.0.clone()));
    }
    let mut blob = app.store.blob(&file.digest)?;
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match blob.read_at(filled as u64, rest) {
            Ok(0) | Err(_) => return Ok(None),
            Ok(count) => filled += count,
        }
    }
    if Digest::of(&bytes) != file.digest {
        return Ok(None);
    }
    let bytes: Arc<[u8]> = bytes.into();
    kept.put(file.digest.0.as_slice().into(), Arc::new(Kept(bytes.clone())));
    Ok(Some(bytes))
}
