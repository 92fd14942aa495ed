//! What an on-demand upstream says of packages that stay there for now: noted page by page while the metadata is read,
//! taken up by the commit that ends the sync (`repos.md` §19.7).

use super::failure::Outcome;
use super::plan::{Reading, Wanted};
use crate::clock::Time;
use crate::feeds::model::packages;
use crate::feeds::package::{self, Said};
use crate::feeds::upstream;
use crate::formats::index::Algorithm;
use crate::ids::Digest;

/// Packages noted in one transaction.
const PAGE: usize = 250;

/// Packages whose facts are still to be noted.
pub(super) struct Promises<'a> {
    reading: &'a Reading<'a>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    digest: Digest,
    size: u64,
    name: String,
    said: Said,
}

/// The digest of a file that can stay where it is: it has to be known before a byte of the file was seen.
pub(super) fn can_wait(wanted: &Wanted) -> Option<Digest> {
    let checksum = wanted.checksum.as_ref().filter(|checksum| checksum.algorithm == Algorithm::Sha256)?;
    // Of an empty file nothing is left to check when it is asked for.
    Digest::from_hex(&checksum.hex).filter(|_| wanted.size != Some(0))
}

impl<'a> Promises<'a> {
    /// None so far.
    pub(super) fn new(reading: &'a Reading<'a>) -> Promises<'a> {
        Promises { reading, waiting: Vec::new() }
    }

    /// One more. What cannot wait is passed over: it is fetched with the sync.
    pub(super) fn add(&mut self, wanted: &Wanted, said: Said) -> Outcome<()> {
        let (Some(digest), Some(size)) = (can_wait(wanted), wanted.size) else { return Ok(()) };
        let name = wanted.names.first().cloned().unwrap_or_default();
        self.waiting.push(Waiting { digest, size, name, said });
        if self.waiting.len() >= PAGE { self.flush() } else { Ok(()) }
    }

    /// Notes what waits.
    pub(super) fn flush(&mut self) -> Outcome<()> {
        let page = std::mem::take(&mut self.waiting);
        let new = self.reading.store.read(|tx| {
            let mut new = Vec::new();
            for one in page {
                if !packages::is_known(tx, &one.digest)? {
                    new.push(one);
                }
            }
            Ok(new)
        })?;
        if new.is_empty() {
            return Ok(());
        }
        let now = Time(self.reading.now.saturating_mul(1_000_000));
        let mut prepared = Vec::with_capacity(new.len());
        for one in new {
            prepared.push(package::said(&one.said, &one.digest, one.size, &one.name, now)?);
        }
        let name = self.reading.name.to_owned();
        self.reading.store.commit(move |tx| prepared.iter().try_for_each(|new| upstream::promise(tx, &name, new)))?;
        Ok(())
    }
}
