//! Packages of on-demand upstreams, fetched at their first request: one fetch however many ask, read by all of them
//! while it runs, except for the last bytes, which leave only once the whole is what it should be (`repos.md` §19.7).

use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Syncs;
use super::errand::Errand;
use crate::error::{Error, Kind, Result};
use crate::feeds::model::absent::{self, Absent};
use crate::ids::Digest;
use crate::store::read_file_at;

/// Fetches at a time; who asks for one more is told to come again.
const MOST: usize = 32;
/// How much of a file stays back until all of it was checked. A smaller file leaves only after that.
const TAIL: u64 = 64 << 10;
/// The longest a reader waits for the next bytes; the fetch itself gives up earlier.
const PATIENCE: Duration = Duration::from_secs(600);
const STACK: usize = 1 << 20;

/// What is being fetched, and who waits for it.
#[derive(Default)]
pub(super) struct Fetches {
    running: Mutex<HashMap<Digest, Arc<Fetch>>>,
    /// Answers that wait for fetches.
    waiting: Arc<Mutex<usize>>,
    /// Connections to upstreams, kept between fetches.
    pub(super) sources: super::errand::Sources,
}

/// One file on its way here.
pub struct Fetch {
    pub(super) digest: Digest,
    /// Its bytes in all.
    pub(super) size: u64,
    state: Mutex<Progress>,
    changed: Condvar,
    /// The file as far as it is here; none before it begins and from its last check on.
    file: RwLock<Option<File>>,
}

#[derive(Default)]
struct Progress {
    written: u64,
    /// All bytes have come: nothing more leaves before they are on the shelf.
    checking: bool,
    stopped: bool,
    end: Option<std::result::Result<(), (Kind, String)>>,
}

/// The permit of one answer to wait for a fetch.
pub struct Permit(Arc<Mutex<usize>>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(1);
    }
}

impl Fetches {
    fn running(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Fetch>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks off all of them.
    pub(super) fn stop(&self) {
        for fetch in self.running().values() {
            fetch.state().stopped = true;
        }
        self.sources.stop();
    }
}

impl Syncs {
    /// Lets an answer wait for a fetch, when fewer than `most` do.
    ///
    /// # Errors
    /// `Busy`.
    pub fn permit(&self, most: usize) -> Result<Permit> {
        let mut waiting = self.fetches.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if *waiting >= most {
            return Err(Error::busy("very many wait for packages of upstreams, try again in a moment", 5));
        }
        *waiting += 1;
        Ok(Permit(self.fetches.waiting.clone()))
    }

    /// Has a package fetched whose bytes are not here, or joins those that wait for it already; none when they are
    /// here. It goes on to its end also when everybody who asked is gone, and is kept.
    ///
    /// # Errors
    /// `Busy` when very many are fetched.
    pub fn fetch(&self, digest: &Digest) -> Result<Option<Arc<Fetch>>> {
        let stopping = || Error::busy("the server stops", 1);
        let store = self.store.upgrade().ok_or_else(stopping)?;
        let mut running = self.fetches.running();
        if let Some(fetch) = running.get(digest) {
            return Ok(Some(fetch.clone()));
        }
        // Looked up under the lock: a fetch that has just ended is in the database.
        let Some(absent) = store.read(|tx| absent::get(tx, digest))? else { return Ok(None) };
        let syncs = self.myself().filter(|_| !self.schedule.is_stopping()).ok_or_else(stopping)?;
        if running.len() >= MOST {
            return Err(Error::busy("very many packages are being fetched, try again in a moment", 5));
        }
        let fetch = Arc::new(Fetch::new(*digest, absent.size));
        let shared = fetch.clone();
        let work = move || syncs.carry_out(&store, &shared, &absent);
        let thread = std::thread::Builder::new().name("fetch".into()).stack_size(STACK);
        thread.spawn(work).map_err(|e| Error::busy("no thread is to be had, try again in a moment", 5).because(e))?;
        running.insert(*digest, fetch.clone());
        Ok(Some(fetch))
    }

    fn carry_out(&self, store: &Arc<crate::store::Store>, fetch: &Fetch, absent: &Absent) {
        let errand = Errand { syncs: self, store, fetch, absent };
        let ended = catch_unwind(AssertUnwindSafe(|| errand.run()));
        let ended = ended.unwrap_or_else(|_| Err((Kind::Internal, "internal error, see the log".to_owned())));
        match &ended {
            Ok(()) => log::info!("package {} ({}) was fetched", fetch.digest, absent.filename),
            Err((kind, words)) => log::warn!("package {} was not fetched ({kind:?}): {words}", fetch.digest),
        }
        // Nobody may join it any more before it is said to have ended: the next one who asks begins anew.
        self.fetches.running().remove(&fetch.digest);
        fetch.finish(ended);
    }
}

impl Fetch {
    fn new(digest: Digest, size: u64) -> Fetch {
        Fetch { digest, size, state: Mutex::default(), changed: Condvar::new(), file: RwLock::new(None) }
    }

    fn state(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file from which is read what comes from now on; only while nothing [has left](Fetch::has_given).
    pub(super) fn open(&self, file: File) {
        let mut state = self.state();
        (state.written, state.checking) = (0, false);
        drop(state);
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// So many bytes have come.
    pub(super) fn tell(&self, written: u64) {
        self.state().written = written;
        self.changed.notify_all();
    }

    /// All bytes have come and are to be moved to the shelf: nobody reads them from here any more. (A file that is open
    /// cannot be moved everywhere.)
    pub(super) fn close(&self) {
        self.state().checking = true;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether any byte may have left.
    pub(super) fn has_given(&self) -> bool {
        self.safe(self.state().written) > 0
    }

    /// How many of so many bytes may leave before all of them were checked.
    fn safe(&self, written: u64) -> u64 {
        written.min(self.size.saturating_sub(TAIL))
    }

    /// Whether it was called off.
    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    fn finish(&self, end: std::result::Result<(), (Kind, String)>) {
        self.state().end = Some(end);
        self.changed.notify_all();
    }

    /// Waits until bytes from `offset` on may leave; answers up to where, none when all are on the shelf.
    fn wait(&self, offset: u64) -> Result<Option<u64>> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            match &state.end {
                Some(Ok(())) => return Ok(None),
                Some(Err((Kind::Busy, words))) => return Err(Error::busy(words.clone(), 5)),
                Some(Err((kind, words))) => return Err(Error::new(*kind, words.clone())),
                None => {}
            }
            let safe = self.safe(state.written);
            if safe > offset && !state.checking {
                return Ok(Some(safe));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Gateway, "the package does not come from its upstream"));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until all of it is on the shelf.
    ///
    /// # Errors
    /// Why it does not come: `Gateway`, `Quota`, `Busy`, `Internal`.
    pub fn whole(&self) -> Result<()> {
        // No byte may leave from behind the end.
        while self.wait(self.size)?.is_some() {}
        Ok(())
    }

    /// Reads what may leave from `offset` on, waiting for the first of it; none when all of it is on the shelf and is
    /// to be read there.
    ///
    /// # Errors
    /// Why it does not come: `Gateway`, `Quota`, `Busy`, `Internal`.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            let Some(safe) = self.wait(offset)? else { return Ok(None) };
            let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
            // Closed just now: the next wait is for the end.
            let Some(file) = &*file else { continue };
            let room = usize::try_from(safe.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
            let count = read_file_at(file, offset, buffer.get_mut(..room).unwrap_or_default());
            return count.map(Some).map_err(Error::internal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn begun(size: u64, bytes: &[u8]) -> Fetch {
        let fetch = Fetch::new(Digest::of(b"x"), size);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        fetch.open(file);
        fetch.tell(bytes.len() as u64);
        fetch
    }

    #[test]
    fn the_last_bytes_stay_back_until_all_is_checked() {
        let size = TAIL + 100;
        let fetch = begun(size, &vec![7; usize::try_from(size).unwrap()]);
        let mut buffer = vec![0; 1000];
        assert_eq!(fetch.read_at(0, &mut buffer).unwrap(), Some(100));
        assert_eq!(fetch.read_at(40, &mut buffer).unwrap(), Some(60));
        std::thread::scope(|scope| {
            let fetch = &fetch;
            let readers = [100, size - 1]
                .map(|offset| (scope.spawn(|| fetch.whole()), scope.spawn(move || fetch.read_at(offset, &mut [0; 9]))));
            fetch.close();
            fetch.finish(Ok(()));
            for (whole, part) in readers {
                whole.join().unwrap().unwrap();
                assert_eq!(part.join().unwrap().unwrap(), None);
            }
        });
    }

    #[test]
    fn a_failure_is_told_to_all_who_wait() {
        let fetch = begun(1000, &[7; 1000]);
        std::thread::scope(|scope| {
            let small = scope.spawn(|| fetch.read_at(0, &mut [0; 9]));
            fetch.finish(Err((Kind::Gateway, "why".to_owned())));
            let error = small.join().unwrap().unwrap_err();
            assert_eq!((error.kind, &*error.message), (Kind::Gateway, "why"));
        });
        assert_eq!(fetch.whole().unwrap_err().kind, Kind::Gateway);
    }
}
