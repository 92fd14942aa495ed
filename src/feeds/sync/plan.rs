//! What a sync wants, as the readers of the three kinds of repository find out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};

use super::failure::{Failure, Outcome};
use super::source::{At, Source, mismatch};
use crate::feeds::upstream::{Mark, Policy, Seen, Upstream};
use crate::formats::compress::{Bounds, Compression, Decoder};
use crate::formats::index::{Algorithm, Checksum, Hasher};
use crate::ids::Digest;
use crate::store::{Loose, Store};

/// Most packages of an upstream.
const MOST_PACKAGES: usize = 2_000_000;
/// Most bytes of an index as it is fetched.
pub(super) const LARGEST_INDEX: u64 = 4 << 30;

/// What the readers are given.
pub(super) struct Reading<'a> {
    /// Where it lies.
    pub(super) source: &'a Source,
    /// What it is called.
    pub(super) name: &'a str,
    /// What is known of it.
    pub(super) upstream: &'a Upstream,
    /// For files that are too large for memory.
    pub(super) store: &'a Store,
    /// Now, in seconds since 1970.
    pub(super) now: i64,
}

impl Reading<'_> {
    /// Whether packages stay where they are until they are asked for.
    pub(super) fn on_demand(&self) -> bool {
        self.upstream.definition.policy == Policy::OnDemand
    }

    /// Which top file would mean that nothing changed.
    pub(super) fn known(&self) -> Option<&Mark> {
        self.upstream.mark.as_ref().filter(|_| self.upstream.synced.is_some())
    }
}

/// A file that belongs to the set.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Where it is.
    pub(super) at: At,
    /// What the metadata says its bytes are.
    pub(super) checksum: Option<Checksum>,
    /// What the metadata says their number is.
    pub(super) size: Option<u64>,
    /// The names it has in the set.
    pub(super) names: Vec<String>,
    /// apt: its component.
    pub(super) component: Option<String>,
    /// A directory's file: how it was known last time.
    pub(super) seen: Option<Seen>,
    /// A directory's file: size and stamp it has now.
    pub(super) stamp: Option<(u64, String)>,
}

/// A metadata file that goes with the set.
#[derive(Clone, Debug)]
pub(super) struct WantedExtra {
    /// `updateinfo`, `group` …
    pub(super) kind: String,
    /// Where it is.
    pub(super) at: At,
    /// What its bytes are.
    pub(super) checksum: Checksum,
    /// Their number.
    pub(super) size: Option<u64>,
}

/// What a sync wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The files of the set.
    pub(super) wanted: Vec<Wanted>,
    /// What goes with them.
    pub(super) extras: Vec<WantedExtra>,
    /// The top file.
    pub(super) mark: Option<Mark>,
    /// apt: the `Date`.
    pub(super) date: Option<i64>,
    /// Whether signatures were checked.
    pub(super) verified: bool,
    /// What was odd and is borne.
    pub(super) warnings: Vec<String>,
}

/// Collects wanted files; those with the same bytes become one with several names.
#[derive(Default)]
pub(super) struct Collector {
    files: Vec<Wanted>,
    by_checksum: BTreeMap<String, usize>,
}

impl Collector {
    /// One more. Two entries with the same file are one package.
    pub(super) fn add(&mut self, new: Wanted) -> Outcome<()> {
        if let Some(checksum) = &new.checksum {
            let key = checksum.to_string();
            if let Some(known) = self.by_checksum.get(&key).and_then(|at| self.files.get_mut(*at)) {
                if known.size.is_some() && new.size.is_some() && known.size != new.size {
                    return Err(Failure::Failed(format!("{}: two sizes are stated for it", new.at.shown())));
                }
                known.names.extend(new.names);
                known.names.sort();
                known.names.dedup();
                return Ok(());
            }
            self.by_checksum.insert(key, self.files.len());
        }
        if self.files.len() >= MOST_PACKAGES {
            return Err(Failure::Failed("there are too many packages".to_owned()));
        }
        self.files.push(new);
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Wanted> {
        self.files
    }
}

/// Refuses what is too weak to be believed.
pub(super) fn believable(name: &str, checksum: Option<Checksum>) -> Outcome<Checksum> {
    match checksum {
        None => Err(Failure::Failed(format!("{name}: the metadata states no checksum"))),
        Some(checksum) if checksum.algorithm == Algorithm::Md5 => {
            Err(Failure::Failed(format!("{name}: the metadata states only MD5, which is too weak to be believed")))
        }
        Some(checksum) => Ok(checksum),
    }
}

/// Fetches a metadata file to the disk and checks it. What does not fit may have been replaced meanwhile: `Changed`.
pub(super) fn fetch_index(reading: &Reading, at: &At, checksum: &Checksum, size: Option<u64>) -> Outcome<Loose> {
    reading.source.retry(|| fetch_once(reading, at, checksum, size))
}

fn fetch_once(reading: &Reading, at: &At, checksum: &Checksum, size: Option<u64>) -> Outcome<Loose> {
    let name = at.shown();
    let limit = size.unwrap_or(LARGEST_INDEX);
    let Some(opened) = reading.source.begin(at, 0, None, None)? else {
        return Err(Failure::Failed(format!("{name}: the upstream answers as if we had it")));
    };
    if let (Some(size), Some(length)) = (size, opened.length)
        && size != length
    {
        return Err(Failure::Changed(format!("{name}: {size} bytes in the metadata, {length} at the upstream")));
    }
    let mut stage = reading.store.stage(size)?;
    let mut hasher = Hasher::new(checksum.algorithm)
        .ok_or_else(|| Failure::Failed(format!("{name}: its checksum is too weak to be believed")))?;
    let mut body = opened.body;
    let mut block = vec![0; 64 << 10];
    loop {
        let count = body.read(&mut block).map_err(|e| reading.source.broken(&name, &e))?;
        let bytes = block.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if stage.written() + bytes.len() as u64 > limit {
            return Err(Failure::Changed(format!("{name}: it is longer than the {limit} bytes of the metadata")));
        }
        hasher.update(bytes);
        stage.write_all(bytes).map_err(disk)?;
    }
    let received = hasher.finish();
    if size.is_some_and(|size| size != stage.written()) || received != checksum.hex {
        return Err(Failure::Changed(mismatch(&name, checksum, &received)));
    }
    Ok(stage.finish_loose()?)
}

/// A failed write of ours, as [`crate::store::Stage`] tells it.
pub(super) fn disk(error: std::io::Error) -> Failure {
    match error.downcast::<crate::error::Error>() {
        Ok(ours) => Failure::Ours(ours),
        Err(error) => Failure::Ours(crate::error::Error::internal(error)),
    }
}

/// The plain text of a fetched index.
pub(super) fn open_index(index: &Loose, name: &str) -> Outcome<BufReader<Decoder<File>>> {
    let file = index.open().map_err(|e| Failure::Ours(crate::error::Error::internal(e)))?;
    Ok(BufReader::with_capacity(128 << 10, Decoder::new(Compression::of_name(name), file, Bounds::default())))
}

/// The size and SHA-256 of a fetched metadata file once unpacked.
pub(super) fn open_digest(index: &Loose, name: &str) -> Outcome<(u64, Digest)> {
    let mut plain = open_index(index, name)?;
    let mut hasher = Hasher::new(Algorithm::Sha256).ok_or(Failure::Cancelled)?;
    let (mut size, mut block) = (0, vec![0; 64 << 10]);
    loop {
        let count = plain.read(&mut block).map_err(|e| Failure::Failed(format!("{name}: {e}")))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        hasher.update(block.get(..count).unwrap_or_default());
    }
    let digest = Digest::from_hex(&hasher.finish()).ok_or(Failure::Cancelled)?;
    Ok((size, digest))
}
