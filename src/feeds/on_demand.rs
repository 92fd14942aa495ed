//! The bytes of a package for an answer, wherever they are: on the shelf, or still with the upstream that listed them
//! (`repos.md` §19.7).

use std::io;
use std::sync::Arc;

use crate::app::{App, BlobSource, Counter};
use crate::error::{Error, Result};
use crate::feeds::model::absent;
use crate::feeds::sync::Syncs;
use crate::feeds::sync::fetch::{Fetch, Permit};
use crate::http::{Head, Source};
use crate::ids::Digest;

/// The bytes of `digest`, ready for an answer to `head`. What is not here is fetched when the answer is sent, so that one
/// without a body asks nobody; a part is promised only once all of it is here and checked.
///
/// # Errors
/// As [`App::bytes`].
pub(super) fn bytes(app: &App, digest: &Digest, head: &Head) -> Result<Box<dyn Source>> {
    let Some(absent) = app.store.read(|tx| absent::get(tx, digest))? else {
        return Ok(Box::new(app.bytes(digest, head)?));
    };
    let whole = head.headers.get("range").is_some();
    let (app, counter) = (app.clone(), app.counter(head));
    Ok(Box::new(Awaited { app, digest: *digest, size: absent.size, whole, counter, state: State::Unasked }))
}

/// A package that was not here when the answer began.
struct Awaited {
    app: App,
    digest: Digest,
    size: u64,
    /// Nothing leaves before all of it is here.
    whole: bool,
    counter: Counter,
    state: State,
}

enum State {
    Unasked,
    Coming {
        fetch: Arc<Fetch>,
        /// Held as long as it comes.
        _permit: Permit,
    },
    Here(BlobSource),
}

impl Awaited {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.state = match &mut self.state {
                State::Unasked => self.ask()?,
                State::Coming { fetch, .. } if self.whole => {
                    fetch.whole()?;
                    self.here()?
                }
                State::Coming { fetch, .. } => match fetch.read_at(offset, buffer)? {
                    Some(count) => return Ok(count),
                    None => self.here()?,
                },
                State::Here(blob) => return blob.read_at(offset, buffer).map_err(Error::internal),
            };
        }
    }

    fn ask(&self) -> Result<State> {
        let syncs = self.app.rooms.get::<Arc<Syncs>>()?;
        // Half of the threads that send are left to what is here.
        let permit = syncs.permit(self.app.settings.transfer_workers / 2)?;
        match syncs.fetch(&self.digest)? {
            Some(fetch) => Ok(State::Coming { fetch, _permit: permit }),
            None => self.here(),
        }
    }

    fn here(&self) -> Result<State> {
        let mut blob = self.app.store.blob(&self.digest)?;
        if blob.len() != self.size {
            return Err(Error::internal(format!("package {} has another size than its metadata says", self.digest)));
        }
        if self.whole {
            blob.check_before_range()?;
        }
        Ok(State::Here(BlobSource(blob)))
    }
}

impl Source for Awaited {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read(offset, buffer).map_err(io::Error::other)?;
        self.counter.count();
        Ok(count)
    }

    fn waits(&self) -> bool {
        !matches!(self.state, State::Here(_))
    }
}
