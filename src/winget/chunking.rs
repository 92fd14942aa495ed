//! Takes chunks of uploads: each is written where it belongs while others of the same file arrive; the last one makes
//! the file whole (`winget.md` A7).
//!
//! A request books its run of bytes first, so no two write the same place; what is there already is compared instead of
//! written; what is on the disk is then noted in one commit, and only after that the chunk is answered.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::app::App;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::http::request::body_error;
use crate::ids::random;
use crate::store::{Blob, Patchwork, human};
use crate::winget::chunks::{Piece, Runs};
use crate::winget::rules;
use crate::winget::uploads::{self, Finished, Progress, UploadKey, Written};

/// Bytes read before they are written.
const BLOCK: usize = 256 << 10;
/// How long a chunk waits for another request that is sending some of the same bytes.
const WAIT: Duration = Duration::from_secs(60);

/// Uploads that requests are working on at this moment.
#[derive(Default)]
pub struct Desk {
    open: Mutex<HashMap<UploadKey, Arc<Slot>>>,
}

/// One upload that requests are working on.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Runs that requests are writing.
    busy: Vec<(u64, u64)>,
    /// The file they write to.
    work: Option<Arc<Work>>,
}

/// The stage file of an upload.
struct Work {
    patchwork: Patchwork,
    total: u64,
    /// Whether a row names it.
    recorded: AtomicBool,
}

/// A request's place at the desk; leaving it tidies up.
struct Seat<'d> {
    desk: &'d Desk,
    key: UploadKey,
    slot: Arc<Slot>,
}

/// A booked run.
struct Booking<'s> {
    slot: &'s Slot,
    run: (u64, u64),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn sit(&self, key: &UploadKey) -> Seat<'_> {
        let slot = lock(&self.open).entry(key.clone()).or_default().clone();
        Seat { desk: self, key: key.clone(), slot }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut open = lock(&self.desk.open);
        // The map's own and this one: nobody else sits here.
        if Arc::strong_count(&self.slot) <= 2 {
            open.remove(&self.key);
        }
    }
}

impl Slot {
    /// Waits until no other request writes any of this run.
    fn book(&self, first: u64, last: u64) -> Result<Booking<'_>> {
        let end = Instant::now() + WAIT;
        let mut state = lock(&self.state);
        while state.busy.iter().any(|(from, to)| *from <= last && first <= *to) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::busy("another request is sending these bytes", 5));
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.busy.push((first, last));
        Ok(Booking { slot: self, run: (first, last) })
    }
}

impl Drop for Booking<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.slot.state);
        if let Some(at) = state.busy.iter().position(|run| *run == self.run) {
            state.busy.swap_remove(at);
        }
        // A file no row names is nobody's once the last request that could have named it is gone.
        if state.busy.is_empty() && state.work.as_ref().is_some_and(|work| !work.recorded.load(Ordering::SeqCst)) {
            state.work = None;
        }
        drop(state);
        self.slot.freed.notify_all();
    }
}

/// A chunk and what it is judged by.
pub struct Chunk<'a> {
    /// Whose upload it belongs to.
    pub key: UploadKey,
    /// Where it belongs.
    pub piece: Piece,
    /// The tenant's quota; 0 is none.
    pub quota: u64,
    /// Who sends it.
    pub who: &'a str,
}

impl Chunk<'_> {
    /// Takes the chunk from `body`, which must hold exactly its bytes.
    ///
    /// # Errors
    /// `Invalid` for another length or total, `Conflict` when bytes differ from those that are there, `Quota`, `Busy`.
    pub fn take(&self, app: &App, desk: &Desk, body: &mut dyn Read) -> Result<Progress> {
        let seat = desk.sit(&self.key);
        let booking = seat.slot.book(self.piece.first, self.piece.last)?;
        let before = app.store.read(|tx| uploads::progress(tx, &self.key))?;
        let mut source = Source { body, left: self.piece.length(), at: self.piece.first };
        let (work, runs) = match before {
            Some(Progress::Complete(name, file)) if file.size == self.piece.total => {
                let mut blob = app.store.blob(&file.digest)?;
                match source.compare(&mut blob)? {
                    None => return Ok(Progress::Complete(name, file)),
                    Some(block) => (self.begin_like(app, &seat.slot, &mut blob, &source, &block)?, Runs::default()),
                }
            }
            Some(Progress::Incomplete(upload)) => {
                if upload.total != self.piece.total {
                    return Err(uploads::another_total(upload.total));
                }
                match self.resume(app, &seat.slot, &upload.stage)? {
                    Some(work) => (work, upload.runs),
                    None => {
                        // Its file is gone: nothing has arrived after all.
                        remove(app, &self.key)?;
                        (self.begin(app, &seat.slot)?, Runs::default())
                    }
                }
            }
            _ => (self.begin(app, &seat.slot)?, Runs::default()),
        };
        source.write(&work.patchwork, &runs)?;
        work.patchwork.flush()?;
        let upload = self.record(app, &work)?;
        drop(booking);
        match upload.runs.is_whole(upload.total) {
            true => self.finish(app, &seat.slot, &work),
            false => Ok(Progress::Incomplete(upload)),
        }
    }

    /// The file the upload is being written to: the one others are writing to, or the one an earlier request left.
    fn resume(&self, app: &App, slot: &Slot, stage: &str) -> Result<Option<Arc<Work>>> {
        let mut state = lock(&slot.state);
        if let Some(work) = state.work.as_ref().filter(|work| work.patchwork.name() == stage) {
            return Ok(Some(work.clone()));
        }
        let patchwork = match app.store.open_patchwork(stage) {
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            opened => opened?,
        };
        let work = Arc::new(Work { patchwork, total: self.piece.total, recorded: AtomicBool::new(true) });
        state.work = Some(work.clone());
        Ok(Some(work))
    }

    /// A file for an upload that has no row yet: a new one, or the one another request has begun.
    fn begin(&self, app: &App, slot: &Slot) -> Result<Arc<Work>> {
        let mut state = lock(&slot.state);
        if let Some(work) = state.work.as_ref().filter(|work| !work.recorded.load(Ordering::SeqCst)) {
            return match work.total == self.piece.total {
                true => Ok(work.clone()),
                false => Err(uploads::another_total(work.total)),
            };
        }
        self.judge_room(app)?;
        let patchwork = app.store.patchwork()?;
        let work = Arc::new(Work { patchwork, total: self.piece.total, recorded: AtomicBool::new(false) });
        state.work = Some(work.clone());
        Ok(work)
    }

    /// A new file for an upload whose first bytes were equal to those of a finished one until `block`.
    fn begin_like(
        &self,
        app: &App,
        slot: &Slot,
        blob: &mut Blob,
        source: &Source<'_>,
        block: &[u8],
    ) -> Result<Arc<Work>> {
        let work = self.begin(app, slot)?;
        let same_until = source.at - block.len() as u64;
        let mut buffer = vec![0; BLOCK];
        let mut at = self.piece.first;
        while at < same_until {
            let wanted = usize::try_from(same_until - at).unwrap_or(BLOCK).min(BLOCK);
            let room = buffer.get_mut(..wanted).unwrap_or_default();
            let count = blob.read_at(at, room).map_err(Error::internal)?;
            if count == 0 {
                return Err(Error::internal("a finished upload is shorter than it was"));
            }
            work.patchwork.write_at(at, buffer.get(..count).unwrap_or_default())?;
            at += count as u64;
        }
        work.patchwork.write_at(same_until, block)?;
        Ok(work)
    }

    /// Whether the whole file fits limit, disk and quota.
    fn judge_room(&self, app: &App) -> Result<()> {
        let total = self.piece.total;
        if let Some(limit) = app.settings.max_upload.filter(|limit| total > *limit) {
            let words = format!("the file is larger than the limit of {}", human(limit));
            return Err(Error::new(Kind::TooLarge, words));
        }
        app.store.read(|tx| uploads::judge_quota(tx, self.key.tenant, self.quota, total))?;
        let (free, reserve) = app.store.room()?;
        if total > free.saturating_sub(reserve) {
            let words = format!("not enough room on the disk: {} needed, {} free", human(total), human(free));
            return Err(Error::new(Kind::Quota, words));
        }
        Ok(())
    }

    fn record(&self, app: &App, work: &Arc<Work>) -> Result<uploads::Upload> {
        let (key, piece, quota, now) = (self.key.clone(), self.piece, self.quota, app.clock.now());
        let (work, stage) = (work.clone(), work.patchwork.name());
        app.store.commit(move |tx| {
            let written = Written { stage: stage.clone(), recorded: work.recorded.load(Ordering::SeqCst) };
            let upload = uploads::record(tx, &key, &written, piece, quota, now)?;
            let work = work.clone();
            tx.after_commit(move || {
                work.recorded.store(true, Ordering::SeqCst);
                work.patchwork.keep();
            });
            Ok(upload)
        })
    }

    /// Hashes the whole file and puts it on the shelf, once.
    fn finish(&self, app: &App, slot: &Slot, work: &Arc<Work>) -> Result<Progress> {
        let _alone = slot.book(0, u64::MAX)?;
        match app.store.read(|tx| uploads::progress(tx, &self.key))? {
            Some(Progress::Incomplete(upload)) if upload.stage == work.patchwork.name() => {}
            Some(done @ Progress::Complete(..)) => return Ok(done),
            _ => return Err(Error::busy("the upload was removed meanwhile, begin again", 1)),
        }
        let staged = work.patchwork.finish(work.total)?;
        let extension = rules::upload_extension(&self.key.file_id).unwrap_or_default();
        let id = uuid::Builder::from_random_bytes(random::<16>()?).into_uuid();
        let name = if extension.is_empty() { id.to_string() } else { format!("{id}.{extension}") };
        let finished = Finished {
            digest: staged.digest,
            size: staged.size,
            account: self.key.account,
            file_id: self.key.file_id.clone(),
            extension: extension.to_owned(),
            touched: app.clock.now(),
        };
        let facts = catalog::inspect(&staged, &name);
        let (key, stage, who) = (self.key.clone(), work.patchwork.name(), self.who.to_owned());
        let (told, called) = (finished.clone(), name.clone());
        let shelved = app.store.shelve(vec![staged], move |tx| {
            catalog::admit(tx, &told.digest, told.size, &facts, &called, told.touched)?;
            uploads::finish(tx, &key, &stage, &called, &told, &who)
        });
        lock(&slot.state).work = None;
        shelved?;
        Ok(Progress::Complete(name, finished))
    }
}

/// The body of a chunk, as far as it has been read.
struct Source<'b> {
    body: &'b mut dyn Read,
    left: u64,
    /// Where in the file the next byte belongs.
    at: u64,
}

impl Source<'_> {
    /// The next block; empty when the chunk is through. `Invalid` when the body is shorter or longer than the chunk.
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wrong = || Error::invalid("the body does not have the length that Content-Range says");
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let mut filled = 0;
        while filled < room {
            let free = buffer.get_mut(filled..room).unwrap_or_default();
            match self.body.read(free) {
                Ok(0) => return Err(wrong()),
                Ok(count) => filled += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(body_error(e)),
            }
        }
        self.left -= filled as u64;
        self.at += filled as u64;
        if filled == 0 {
            let mut more = [0];
            loop {
                match self.body.read(&mut more) {
                    Ok(0) => break,
                    Ok(_) => return Err(wrong()),
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(body_error(e)),
                }
            }
        }
        Ok(filled)
    }

    /// Reads on while the bytes are those of `blob`; the first block that is not, if there is one.
    fn compare(&mut self, blob: &mut Blob) -> Result<Option<Vec<u8>>> {
        let (mut buffer, mut there) = (vec![0; BLOCK], vec![0; BLOCK]);
        loop {
            let start = self.at;
            let count = self.next(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            let mut same = 0;
            while same < count {
                let room = there.get_mut(same..count).unwrap_or_default();
                match blob.read_at(start + same as u64, room).map_err(Error::internal)? {
                    0 => break,
                    read => same += read,
                }
            }
            if same != count || buffer.get(..count) != there.get(..count) {
                buffer.truncate(count);
                return Ok(Some(buffer));
            }
        }
    }

    /// Reads the rest and writes it; what is there already by `runs` must be equal.
    fn write(&mut self, patchwork: &Patchwork, runs: &Runs) -> Result<()> {
        let (mut buffer, mut there) = (vec![0; BLOCK], Vec::new());
        loop {
            let start = self.at;
            let count = self.next(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            for (first, last, known) in runs.split(start, self.at - 1) {
                let place = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
                let bytes = buffer.get(place(first)..place(last).saturating_add(1)).unwrap_or_default();
                match known {
                    true => same_bytes(patchwork, first, bytes, &mut there)?,
                    false => patchwork.write_at(first, bytes)?,
                }
            }
        }
    }
}

fn same_bytes(patchwork: &Patchwork, offset: u64, bytes: &[u8], there: &mut Vec<u8>) -> Result<()> {
    there.resize(bytes.len(), 0);
    let mut read = 0;
    while read < bytes.len() {
        let room = there.get_mut(read..).unwrap_or_default();
        match patchwork.read_at(offset + read as u64, room)? {
            0 => return Err(Error::internal("a stage file is shorter than its row says")),
            count => read += count,
        }
    }
    match there.as_slice() == bytes {
        true => Ok(()),
        false => Err(Error::conflict("the chunk differs from bytes that are there already")),
    }
}

/// Drops an upload and its bytes. `NotFound` for an unknown id.
pub fn remove(app: &App, key: &UploadKey) -> Result<()> {
    let (store, key) = (app.store.clone(), key.clone());
    let stage = app.store.commit(move |tx| uploads::remove(&store, tx, &key))?;
    if let Some(stage) = stage {
        app.store.remove_patchwork(&stage);
    }
    Ok(())
}

/// A tenant's finished file nobody has claimed: what a form names.
pub fn claimable(app: &App, tenant: Uuid, name: &str) -> Result<Finished> {
    let found = match name.contains(['/', '\\']) {
        true => None,
        false => app.store.read(|tx| uploads::finished(tx, tenant, name))?,
    };
    found.ok_or_else(uploads::not_claimable)
}
