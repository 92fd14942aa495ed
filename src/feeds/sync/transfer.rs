//! Fetches the files of a set: four at a time, each checked, in batches that reach the disk together; what is here
//! already is not asked for (`repos.md` §3).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::{Failure, Outcome};
use super::plan::{Wanted, disk};
use super::progress::Progress;
use super::promise::can_wait;
use super::source::{At, Opened, Source, TRIES, mismatch};
use super::web::CONNECTIONS;
use crate::clock::Clock;
use crate::feeds::model::packages::{self, Prepared};
use crate::feeds::model::{Member, PackageType, Type};
use crate::feeds::package::{self, Bytes, Depth};
use crate::feeds::upstream::{self, Seen};
use crate::formats::index::{Algorithm, Checksum, Hasher};
use crate::ids::Digest;
use crate::store::table::ReadTx;
use crate::store::{Batch, Loose, Stage, Store};

/// Files and bytes that reach the disk together at most.
const BATCH_FILES: usize = 1000;
const BATCH_BYTES: u64 = 256 << 20;
/// Files looked up in one transaction.
const LOOK_UP: usize = 500;

/// Size of a file and what tells one state of it from another.
type Stamp = (u64, String);

/// A checked file, and for files without a checksum how it is known later.
type Downloaded = (Loose, Option<Stamp>);

/// What the set is to be, once everything is here.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Its members.
    pub(super) members: BTreeMap<Digest, Member>,
    /// Checksums under which the upstream knows packages, when these are not their digests.
    pub(super) aliases: BTreeMap<String, Digest>,
    /// How a directory's files were read.
    pub(super) seen: BTreeMap<String, Seen>,
    /// Members whose bytes stay with the upstream until they are asked for.
    pub(super) left: BTreeMap<Digest, Left>,
}

/// A file that stays with the upstream.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// Where it is there.
    pub(super) at: At,
    /// Its bytes.
    pub(super) size: u64,
    /// Its name.
    pub(super) name: String,
}

impl Gathered {
    fn add(&mut self, wanted: &Wanted, digest: Digest, stamp: Option<Stamp>) {
        let member = self.members.entry(digest).or_default();
        member.filenames.extend(wanted.names.iter().cloned());
        member.filenames.sort();
        member.filenames.dedup();
        if member.component.is_none() {
            member.component.clone_from(&wanted.component);
        }
        if let Some(checksum) = wanted.checksum.as_ref().filter(|checksum| checksum.algorithm != Algorithm::Sha256) {
            self.aliases.insert(checksum.to_string(), digest);
        }
        if let (Some((size, stamp)), Some(path)) = (stamp, wanted.names.first()) {
            self.seen.insert(path.clone(), Seen { digest, size, stamp });
        }
    }
}

impl Gathered {
    fn leave(&mut self, wanted: &Wanted, digest: Digest, size: u64) {
        self.add(wanted, digest, None);
        let name = wanted.names.first().cloned().unwrap_or_default();
        self.left.insert(digest, Left { at: wanted.at.clone(), size, name });
    }
}

/// What fetching needs.
pub(super) struct Transfer<'a> {
    /// Where files come from.
    pub(super) source: &'a Source,
    /// What the upstream is called.
    pub(super) name: &'a str,
    /// Where they go.
    pub(super) store: &'a Arc<Store>,
    /// The time source.
    pub(super) clock: &'a Clock,
    /// What kind of packages they have to be.
    pub(super) kind: Type,
    /// Whether files stay where they are as far as they can.
    pub(super) on_demand: bool,
    /// Told how far it is.
    pub(super) progress: &'a Progress,
}

/// A file that is here and checked, and not yet on the shelf.
struct Fetched {
    index: usize,
    loose: Option<Loose>,
    digest: Digest,
    prepared: Option<Prepared>,
    stamp: Option<Stamp>,
    /// Its size, when it stays where it is.
    left: Option<u64>,
}

impl Transfer<'_> {
    /// Has every file of `wanted` here.
    pub(super) fn gather(&self, wanted: &[Wanted]) -> Outcome<Gathered> {
        self.progress.change(|counts| {
            counts.files_total = wanted.len() as u64;
            counts.bytes_total = wanted.iter().filter_map(|file| file.size).sum();
        });
        let mut gathered = Gathered::default();
        let mut missing = Vec::new();
        let upstreams = self.store.read(upstream::names)?;
        for (page, files) in wanted.chunks(LOOK_UP).enumerate() {
            self.source.check()?;
            let look = |tx: &ReadTx, file: &Wanted| match self.known(tx, &upstreams, file)? {
                None => Ok((None, self.may_stay(tx, file)?)),
                found => Ok((found, None)),
            };
            let look_all =
                |tx: &ReadTx| files.iter().map(|file| look(tx, file)).collect::<crate::error::Result<Vec<_>>>();
            let found = self.store.read(look_all)?;
            for (at, (file, (found, left))) in files.iter().zip(found).enumerate() {
                if let Some((digest, size)) = left {
                    gathered.leave(file, digest, size);
                    self.count_left(file);
                    continue;
                }
                let Some((digest, size)) = found else {
                    missing.push(page * LOOK_UP + at);
                    continue;
                };
                gathered.add(file, digest, file.stamp.clone());
                self.progress.change(|counts| {
                    counts.files_done += 1;
                    counts.reused_files += 1;
                    counts.bytes_done += size;
                });
            }
        }
        if !missing.is_empty() {
            self.fetch_all(wanted, &missing, &mut gathered)?;
        }
        Ok(gathered)
    }

    /// The package that is here already, with its size.
    fn known(&self, tx: &ReadTx, upstreams: &[String], file: &Wanted) -> crate::error::Result<Option<(Digest, u64)>> {
        let digest = match (&file.checksum, &file.seen) {
            (Some(Checksum { algorithm: Algorithm::Sha256, hex }), _) => Digest::from_hex(hex),
            (Some(checksum), _) => upstream::alias(tx, upstreams, &checksum.to_string())?,
            // Behind an address the server still has to say that it is unchanged.
            (None, Some(seen)) if file.stamp.is_some() => Some(seen.digest),
            (None, _) => None,
        };
        let Some(digest) = digest else { return Ok(None) };
        if !upstream::may_reuse(tx, &digest)? {
            return Ok(None);
        }
        let package = match packages::get(tx, &digest)? {
            Some(package) => Some(package),
            None => upstream::cached(tx, &digest)?,
        };
        let fits = |size| file.size.is_none_or(|wanted| wanted == size);
        let package = package.filter(|package| self.kind.takes(package.kind) && fits(package.size));
        Ok(package.map(|package| (digest, package.size)))
    }

    /// Digest and size of a package that can be listed without its bytes: its metadata tells enough of it.
    fn may_stay(&self, tx: &ReadTx, file: &Wanted) -> crate::error::Result<Option<(Digest, u64)>> {
        let Some(digest) = can_wait(file).filter(|_| self.on_demand) else { return Ok(None) };
        let told = match packages::get(tx, &digest)? {
            Some(package) => Some(package),
            None => upstream::promised(tx, self.name, &digest)?.map(|new| new.package),
        };
        let fits = |size: u64| file.size.is_none_or(|wanted| wanted == size);
        Ok(match told {
            Some(package) if self.kind.takes(package.kind) && fits(package.size) => Some((digest, package.size)),
            // Of a file of a directory there is no more to know.
            None if self.kind == Type::Dir => file.size.map(|size| (digest, size)),
            _ => None,
        })
    }

    fn count_left(&self, file: &Wanted) {
        self.progress.change(|counts| {
            counts.left_files += 1;
            counts.files_total = counts.files_total.saturating_sub(1);
            counts.bytes_total = counts.bytes_total.saturating_sub(file.size.unwrap_or(0));
        });
    }

    /// The same for a file whose size only its server knows.
    fn measured(&self, file: &Wanted) -> Outcome<Option<(Digest, u64)>> {
        let asks = self.on_demand && self.kind == Type::Dir && file.size.is_none();
        let Some(digest) = can_wait(file).filter(|_| asks) else { return Ok(None) };
        let size = self.source.retry(|| self.source.length(&file.at))?;
        Ok(size.filter(|size| *size > 0).map(|size| (digest, size)))
    }

    fn fetch_all(&self, wanted: &[Wanted], missing: &[usize], gathered: &mut Gathered) -> Outcome<()> {
        let next = AtomicUsize::new(0);
        let enough = AtomicBool::new(false);
        let trouble: Mutex<Option<Failure>> = Mutex::new(None);
        let (send, fetched) = sync_channel::<Fetched>(CONNECTIONS * 4);
        let batch = self.store.batch()?;
        let kept = std::thread::scope(|scope| {
            for number in 0..CONNECTIONS.min(missing.len()) {
                let send = send.clone();
                let (next, enough, trouble) = (&next, &enough, &trouble);
                let work = move || {
                    if let Err(failure) = self.work(wanted, missing, next, enough, &send) {
                        enough.store(true, Ordering::Relaxed);
                        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                        // What happened first is told; that others were then stopped is not.
                        if trouble.is_none() {
                            *trouble = Some(failure);
                        }
                    }
                };
                let thread = std::thread::Builder::new().name(format!("fetch-{number}")).stack_size(2 << 20);
                if let Err(error) = thread.spawn_scoped(scope, work) {
                    log::warn!("sync: no thread for a transfer: {error}");
                }
            }
            drop(send);
            self.collect(wanted, &fetched, batch, gathered, &enough)
        });
        match trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => kept,
        }?;
        if next.load(Ordering::Relaxed) < missing.len() {
            return Err(Failure::Ours(crate::error::Error::busy("no thread could be started", 60)));
        }
        Ok(())
    }

    fn work(
        &self,
        wanted: &[Wanted],
        missing: &[usize],
        next: &AtomicUsize,
        enough: &AtomicBool,
        send: &SyncSender<Fetched>,
    ) -> Outcome<()> {
        while !enough.load(Ordering::Relaxed) {
            let Some(&index) = missing.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let Some(file) = wanted.get(index) else { break };
            let fetched = self.fetch(index, file, enough)?;
            if send.send(fetched).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Puts what arrives on the shelf, batch by batch; also what arrived before something failed is kept.
    fn collect(
        &self,
        wanted: &[Wanted],
        fetched: &Receiver<Fetched>,
        mut batch: Batch,
        gathered: &mut Gathered,
        enough: &AtomicBool,
    ) -> Outcome<()> {
        let mut waiting: Vec<(Loose, Prepared)> = Vec::new();
        let mut bytes = 0;
        let mut outcome = Ok(());
        // Read to the end in any case: senders wait for room.
        for one in fetched {
            match (wanted.get(one.index), one.left) {
                (Some(file), Some(size)) => gathered.leave(file, one.digest, size),
                (Some(file), None) => gathered.add(file, one.digest, one.stamp),
                (None, _) => {}
            }
            if let (Some(loose), Some(prepared)) = (one.loose, one.prepared) {
                bytes += loose.size();
                waiting.push((loose, prepared));
            }
            if outcome.is_ok() && (waiting.len() >= BATCH_FILES || bytes >= BATCH_BYTES) {
                outcome = self.keep(&mut batch, std::mem::take(&mut waiting));
                bytes = 0;
                if outcome.is_err() {
                    enough.store(true, Ordering::Relaxed);
                }
            }
        }
        outcome.and_then(|()| self.keep(&mut batch, waiting))
    }

    fn keep(&self, batch: &mut Batch, files: Vec<(Loose, Prepared)>) -> Outcome<()> {
        if files.is_empty() {
            return Ok(());
        }
        let (loose, prepared): (Vec<Loose>, Vec<Prepared>) = files.into_iter().unzip();
        let staged = batch.flush(loose)?;
        let now = self.clock.now();
        self.store.shelve(staged, move |tx| prepared.iter().try_for_each(|new| upstream::cache(tx, new, now)))?;
        Ok(())
    }

    /// Fetches one file and reads what it is.
    fn fetch(&self, index: usize, file: &Wanted, enough: &AtomicBool) -> Outcome<Fetched> {
        let name = file.at.shown();
        if let Some((digest, size)) = self.measured(file)? {
            self.count_left(file);
            return Ok(Fetched { index, loose: None, digest, prepared: None, stamp: None, left: Some(size) });
        }
        let Some((loose, stamp)) = self.download(file, enough)? else {
            let seen = file.seen.as_ref().ok_or_else(|| {
                Failure::Failed(format!("{name}: the upstream answers as if we had it, and we have not"))
            })?;
            self.progress.change(|counts| {
                counts.files_done += 1;
                counts.reused_files += 1;
                counts.bytes_done += seen.size;
            });
            let stamp = Some((seen.size, seen.stamp.clone()));
            return Ok(Fetched { index, loose: None, digest: seen.digest, prepared: None, stamp, left: None });
        };
        let prepared = self.inspect(&loose, file)?;
        self.progress.change(|counts| {
            counts.files_done += 1;
            counts.downloaded_files += 1;
        });
        let digest = loose.digest();
        Ok(Fetched { index, digest, loose: Some(loose), prepared: Some(prepared), stamp, left: None })
    }

    fn inspect(&self, loose: &Loose, file: &Wanted) -> Outcome<Prepared> {
        let name = file.at.shown();
        let mut opened = loose.open().map_err(|e| Failure::Ours(crate::error::Error::internal(e)))?;
        let bytes = Bytes {
            digest: loose.digest(),
            size: loose.size(),
            name: file.names.first().map(String::as_str),
            plain: false,
        };
        let now = self.clock.now();
        let read = package::inspect(&mut opened, &bytes, Depth::Headers, now);
        let prepared = match read {
            // A directory holds whatever it holds, broken packages too.
            Err(error) if self.kind == Type::Dir && error.kind == crate::error::Kind::Invalid => {
                package::inspect(&mut opened, &Bytes { plain: true, ..bytes }, Depth::Headers, now)
            }
            other => other,
        };
        let prepared = prepared.map_err(|error| match error.kind {
            crate::error::Kind::Invalid => Failure::Failed(format!("{name}: {}", error.message)),
            _ => Failure::Ours(error),
        })?;
        if !self.kind.takes(prepared.package.kind) {
            let wanted = if self.kind == Type::Yum { PackageType::Rpm } else { PackageType::Deb };
            return Err(Failure::Failed(format!("{name}: it is not an {} package", wanted.word())));
        }
        Ok(prepared)
    }

    /// The bytes of a file, checked; none when the server says that it is as it was.
    fn download(&self, file: &Wanted, enough: &AtomicBool) -> Outcome<Option<Downloaded>> {
        let mut partial: Option<Partial> = None;
        for round in 1.. {
            let failure = match self.attempt(file, &mut partial, enough) {
                Ok(Some(stamp)) => match partial.take().map(|partial| partial.finish(file)) {
                    Some(Ok(loose)) => return Ok(Some((loose, stamp))),
                    // A file that another program is writing: it is read again, once.
                    Some(Err(failure)) if file.stamp.is_none() || round > 1 => return Err(failure),
                    Some(Err(failure)) => failure,
                    None => Failure::Cancelled,
                },
                Ok(None) => return Ok(None),
                Err(failure @ Failure::Broken(_)) if round < TRIES => failure,
                Err(failure) => return Err(failure),
            };
            log::debug!("sync: {}; another try follows", failure.words());
            self.source.pause(round)?;
        }
        Ok(None)
    }

    /// One request for what is still missing of a file. Answers the stamp by which it is known later.
    fn attempt(
        &self,
        file: &Wanted,
        partial: &mut Option<Partial>,
        enough: &AtomicBool,
    ) -> Outcome<Option<Option<Stamp>>> {
        let name = file.at.shown();
        let (start, validator) = match partial {
            Some(partial) => (partial.stage.written(), partial.validator.clone()),
            None => (0, None),
        };
        let start = if validator.is_some() { start } else { 0 };
        let known = file.seen.as_ref().filter(|_| file.stamp.is_none() && file.checksum.is_none());
        let known = known.map(|seen| seen.stamp.as_str()).filter(|stamp| !stamp.is_empty());
        let Some(opened) = self.source.begin(&file.at, start, validator.as_deref(), known)? else { return Ok(None) };
        if opened.start != start || partial.is_none() || start == 0 {
            if opened.start != 0 {
                return Err(Failure::Broken(format!(
                    "{name}: the upstream answers with another part than was asked for"
                )));
            }
            *partial = Some(Partial::new(self.store, file, &opened)?);
        }
        let Some(current) = partial.as_mut() else { return Err(Failure::Cancelled) };
        let whole = opened.length.map(|length| length.saturating_add(opened.start));
        if let (Some(size), Some(whole), None) = (file.size, whole, &file.stamp)
            && size != whole
        {
            return Err(Failure::Changed(format!("{name}: {size} bytes in the metadata, {whole} at the upstream")));
        }
        let stamp = opened.stamp.clone().unwrap_or_default();
        let limit = file.size.filter(|_| file.stamp.is_none()).or(whole);
        self.copy(&name, opened, current, limit, enough)?;
        let size = current.stage.written();
        if whole.is_some_and(|whole| size < whole) {
            return Err(Failure::Broken(format!("{name}: only {size} bytes came")));
        }
        // A file of this machine must be after the reading what it was before.
        if let Some((_, before)) = &file.stamp
            && let (Some(local), Some(path)) = (self.source.local(), file.names.first())
            && let now = local.look(path)
            && (*before != stamp || now != Some((size, stamp.clone())))
        {
            *partial = None;
            let failure = format!("{name}: it changes while it is read");
            return if *before == stamp { Err(Failure::Broken(failure)) } else { Err(Failure::Changed(failure)) };
        }
        Ok(Some(file.checksum.is_none().then_some((size, stamp))))
    }

    fn copy(
        &self,
        name: &str,
        opened: Opened,
        current: &mut Partial,
        limit: Option<u64>,
        enough: &AtomicBool,
    ) -> Outcome<()> {
        let mut body = opened.body;
        let room =
            limit.map_or(64 << 10, |limit| usize::try_from(limit).unwrap_or(usize::MAX).clamp(4 << 10, 256 << 10));
        let mut block = vec![0; room];
        loop {
            let count = body.read(&mut block).map_err(|e| self.source.broken(name, &e))?;
            let bytes = block.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            if enough.load(Ordering::Relaxed) {
                return Err(Failure::Cancelled);
            }
            self.source.check()?;
            let written = current.stage.written() + count as u64;
            if limit.is_some_and(|limit| written > limit) {
                return Err(Failure::Changed(format!("{name}: it is longer than the metadata says")));
            }
            if let Some(hasher) = &mut current.hasher {
                hasher.update(bytes);
            }
            current.stage.write_all(bytes).map_err(disk)?;
            self.progress.change(|counts| {
                counts.bytes_done += count as u64;
                counts.downloaded_bytes += count as u64;
            });
        }
    }
}

/// What has come of a file so far.
struct Partial {
    stage: Stage,
    hasher: Option<Hasher>,
    validator: Option<String>,
}

impl Partial {
    fn new(store: &Store, file: &Wanted, opened: &Opened) -> Outcome<Partial> {
        // The store computes SHA-256 anyway.
        let other = file.checksum.as_ref().map(|sum| sum.algorithm).filter(|other| *other != Algorithm::Sha256);
        let hasher = other.and_then(Hasher::new);
        Ok(Partial { stage: store.stage(file.size.or(opened.length))?, hasher, validator: opened.validator.clone() })
    }

    /// The closed file, when its bytes are what the metadata says.
    fn finish(self, file: &Wanted) -> Outcome<Loose> {
        let name = file.at.shown();
        let written = self.stage.written();
        if let Some(size) = file.size
            && size != written
        {
            return Err(Failure::Changed(format!("{name}: {size} bytes in the metadata, {written} received")));
        }
        let loose = self.stage.finish_loose()?;
        let Some(checksum) = &file.checksum else { return Ok(loose) };
        let received = match self.hasher {
            Some(hasher) => hasher.finish(),
            None => loose.digest().to_hex(),
        };
        match received == checksum.hex {
            true => Ok(loose),
            false => Err(Failure::Changed(mismatch(&name, checksum, &received))),
        }
    }
}
