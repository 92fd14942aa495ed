//! One fetch of a package whose bytes are not here: where it may come from, the tries, the check, the place on the
//! shelf (`repos.md` §19.7).

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::failure::{Failure, Outcome};
use super::fetch::Fetch;
use super::place::Url;
use super::plan::disk;
use super::source::{At, Source, TRIES, mismatch};
use super::web::CONNECTIONS;
use super::{Syncs, run};
use crate::catalog;
use crate::error::{Error, Kind};
use crate::feeds::model::absent::{self, Absent, Origin};
use crate::feeds::model::packages::{self, Prepared};
use crate::feeds::model::{Package, PackageType};
use crate::feeds::package::{self, Bytes, Depth};
use crate::feeds::upstream::{self, Upstream};
use crate::formats::index::{Algorithm, Checksum};
use crate::store::{Stage, Staged, Store};

/// How often somebody who waits for a connection looks whether all is called off.
const LOOK: Duration = Duration::from_millis(200);

/// Upstreams that packages are fetched from, with their connections.
#[derive(Default)]
pub(super) struct Sources(Mutex<HashMap<String, Arc<Line>>>);

/// One upstream, and how many fetch from it now.
pub(super) struct Line {
    revision: u64,
    source: Source,
    busy: Mutex<usize>,
    free: Condvar,
}

impl Sources {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks off whatever is under way.
    pub(super) fn stop(&self) {
        for line in self.known().values() {
            line.source.stop();
            line.free.notify_all();
        }
    }

    /// The upstream as it is defined now.
    fn line(&self, syncs: &Syncs, name: &str, upstream: &Upstream) -> Outcome<Arc<Line>> {
        let mut known = self.known();
        if let Some(line) = known.get(name).filter(|line| line.revision == upstream.revision) {
            return Ok(line.clone());
        }
        // Those that nobody fetches from are opened again when they are wanted.
        known.retain(|_, line| Arc::strong_count(line) > 1);
        let source = run::open(&upstream.definition, &syncs.roots, &syncs.data)?;
        let line = Arc::new(Line { revision: upstream.revision, source, busy: Mutex::default(), free: Condvar::new() });
        known.insert(name.to_owned(), line.clone());
        Ok(line)
    }
}

/// One of the few connections to an upstream.
struct Turn<'a>(&'a Line);

impl Line {
    /// Waits for a connection.
    fn turn(&self) -> Outcome<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while *busy >= CONNECTIONS {
            self.source.check()?;
            busy = self.free.wait_timeout(busy, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *busy += 1;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.free.notify_one();
    }
}

/// What one fetch works with.
pub(super) struct Errand<'a> {
    /// Definitions, connections, the time.
    pub(super) syncs: &'a Syncs,
    /// Where the file goes.
    pub(super) store: &'a Arc<Store>,
    /// Whoever waits is told by it.
    pub(super) fetch: &'a Fetch,
    /// What is known of the package.
    pub(super) absent: &'a Absent,
}

impl Errand<'_> {
    /// Tries the places one after the other.
    ///
    /// # Errors
    /// What whoever asked is told.
    pub(super) fn run(&self) -> Result<(), (Kind, String)> {
        let mut last = (
            Kind::Gateway,
            format!("{} is not here yet, and no upstream is known any more that has it", self.absent.filename),
        );
        for origin in &self.absent.origins {
            match self.fetch_from(origin) {
                Ok(()) => return Ok(()),
                Err(failure) => last = told(&self.absent.filename, origin, failure),
            }
            // Readers have bytes of this try: another place would have to begin where it ended.
            if self.fetch.has_given() || self.fetch.is_stopped() {
                break;
            }
        }
        Err(last)
    }

    fn fetch_from(&self, origin: &Origin) -> Outcome<()> {
        let upstream = self.store.read(|tx| upstream::get(tx, &origin.upstream))?;
        let upstream = upstream.ok_or_else(|| Failure::Missing("it was deleted".to_owned()))?;
        let line = self.syncs.fetches.sources.line(self.syncs, &origin.upstream, &upstream)?;
        let _turn = line.turn()?;
        if self.fetch.is_stopped() {
            return Err(Failure::Cancelled);
        }
        let at = match &origin.url {
            Some(url) => At::Url(Url::read(url).ok_or_else(|| Failure::Failed("its address is none".to_owned()))?),
            None => At::Path(origin.path.clone(), origin.written.clone()),
        };
        let mut stage = self.store.stage(Some(self.fetch.size))?;
        self.fetch.open(stage.reader().map_err(disk)?);
        self.download(&line.source, &at, &mut stage)?;
        self.fetch.close();
        let staged = stage.finish()?;
        if staged.digest != self.fetch.digest {
            let stated = Checksum { algorithm: Algorithm::Sha256, hex: self.fetch.digest.to_hex() };
            return Err(Failure::Changed(mismatch(&at.shown(), &stated, &staged.digest.to_hex())));
        }
        self.keep(staged)
    }

    /// Copies the file into `stage`, going on after what broke off.
    fn download(&self, source: &Source, at: &At, stage: &mut Stage) -> Outcome<()> {
        let mut validator: Option<String> = None;
        for round in 1.. {
            match self.attempt(source, at, stage, &mut validator) {
                Err(Failure::Broken(words)) if round < TRIES => {
                    log::debug!("fetch of {}: {words}; another try follows", at.shown());
                    source.pause(round)?;
                }
                other => return other,
            }
        }
        Err(Failure::Cancelled)
    }

    fn attempt(&self, source: &Source, at: &At, stage: &mut Stage, validator: &mut Option<String>) -> Outcome<()> {
        let (name, size) = (at.shown(), self.fetch.size);
        let start = if validator.is_some() { stage.written() } else { 0 };
        let Some(opened) = source.begin(at, start, validator.as_deref(), None)? else {
            return Err(Failure::Failed(format!("{name}: the upstream answers as if we had it")));
        };
        // What comes again is passed over; the digest of the whole tells whether it was the same.
        let mut passed = stage.written().checked_sub(opened.start).ok_or_else(|| {
            Failure::Broken(format!("{name}: the upstream answers with another part than was asked for"))
        })?;
        let whole = opened.length.map(|length| length.saturating_add(opened.start));
        if let Some(whole) = whole.filter(|whole| *whole != size) {
            return Err(Failure::Changed(format!("{name}: {size} bytes in the metadata, {whole} at the upstream")));
        }
        *validator = opened.validator;
        let mut body = opened.body;
        let mut block = vec![0; 64 << 10];
        loop {
            let count = body.read(&mut block).map_err(|e| source.broken(&name, &e))?;
            if count == 0 && stage.written() < size {
                return Err(Failure::Broken(format!("{name}: only {} bytes came", stage.written())));
            }
            if count == 0 {
                return Ok(());
            }
            source.check()?;
            let skipped = usize::try_from(passed).unwrap_or(usize::MAX).min(count);
            passed -= skipped as u64;
            let bytes = block.get(skipped..count).unwrap_or_default();
            if stage.written() + bytes.len() as u64 > size {
                return Err(Failure::Changed(format!("{name}: it is longer than the metadata says")));
            }
            stage.write_all(bytes).map_err(disk)?;
            self.fetch.tell(stage.written());
        }
    }

    /// Puts the checked file on the shelf; who claimed it holds it from then on.
    fn keep(&self, staged: Staged) -> Outcome<()> {
        let now = self.syncs.clock.now();
        let recognised = self.recognise(&staged)?;
        let (digest, size) = (staged.digest, staged.size);
        self.store.shelve(vec![staged], move |tx| {
            absent::admit(tx, &digest, size, now)?;
            if let Some(new) = &recognised {
                packages::recognise(tx, new)?;
            }
            match catalog::is_held(tx, &digest)? {
                true => Ok(()),
                false => Err(Error::not_found("the package is not listed any more")),
            }
        })?;
        Ok(())
    }

    /// What the bytes say of a package of which nothing but its name was known.
    fn recognise(&self, staged: &Staged) -> Outcome<Option<Prepared>> {
        let known = self.store.read(|tx| packages::get(tx, &staged.digest))?;
        let Some(Package { filename, known_at, .. }) = known.filter(|known| known.kind == PackageType::File) else {
            return Ok(None);
        };
        let mut file = staged.open().map_err(|e| Failure::Ours(Error::internal(e)))?;
        let bytes = Bytes { digest: staged.digest, size: staged.size, name: Some(&filename), plain: false };
        match package::inspect(&mut file, &bytes, Depth::Headers, known_at) {
            Ok(new) => Ok(Some(new)),
            // A directory holds whatever it holds, broken packages too.
            Err(error) if error.kind == Kind::Invalid => Ok(None),
            Err(error) => Err(Failure::Ours(error)),
        }
    }
}

/// What a failure means for whoever asked.
fn told(filename: &str, origin: &Origin, failure: Failure) -> (Kind, String) {
    match failure {
        Failure::Cancelled => (Kind::Busy, "the server stops".to_owned()),
        Failure::Ours(error) => {
            let (kind, failure) = (error.kind, Failure::Ours(error));
            (kind, failure.words())
        }
        other => {
            let (upstream, words) = (&origin.upstream, other.words());
            (Kind::Gateway, format!("{filename} is not here yet, and upstream {upstream} does not give it: {words}"))
        }
    }
}
