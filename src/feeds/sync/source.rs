//! One upstream as its readers see it: files by path, wherever it lies, with tries and limits.

use std::io::Read;
use std::time::Duration;

use super::failure::{Failure, Outcome};
use super::local::Local;
use super::place::{Place, Url};
use super::web::{Credentials, Web};
use crate::feeds::model::absent::Origin;
use crate::feeds::upstream::Mark;
use crate::formats::index::Checksum;
use crate::ids::Digest;

/// Most bytes of a top file.
pub(super) const TOP: u64 = 16 << 20;
/// How often a file is asked for.
pub(super) const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// An upstream that can be read.
pub(super) struct Source {
    base: Base,
    web: Web,
}

enum Base {
    Web(Url),
    Local(Local),
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Below the upstream's root: the path decoded, and as it was written when that is something else.
    Path(String, Option<String>),
    /// At an address of its own.
    Url(Url),
}

impl At {
    /// Below the upstream's root.
    pub(super) fn path(path: impl Into<String>) -> At {
        At::Path(path.into(), None)
    }

    /// As it is noted for a package that is fetched later.
    pub(super) fn origin(&self, upstream: &str) -> Origin {
        let upstream = upstream.to_owned();
        match self {
            At::Path(path, written) => Origin { upstream, path: path.clone(), written: written.clone(), url: None },
            At::Url(url) => Origin { upstream, path: String::new(), written: None, url: Some(url.text()) },
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            At::Path(path, _) => path.clone(),
            At::Url(url) => url.text(),
        }
    }
}

/// A small file in memory.
pub(super) struct Small {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// What it is known by.
    pub(super) mark: Mark,
}

/// An open file.
pub(super) struct Opened {
    /// Bytes, when the other end says so: those of the rest, when `start` is not 0.
    pub(super) length: Option<u64>,
    /// Where it begins.
    pub(super) start: u64,
    /// What a later part may be asked for with.
    pub(super) validator: Option<String>,
    /// A stamp by which an unchanged file is known.
    pub(super) stamp: Option<String>,
    /// The bytes.
    pub(super) body: Box<dyn Read + Send>,
}

impl Source {
    /// The upstream at `place`; credentials go there and nowhere else.
    pub(super) fn open(place: &Place, credentials: Credentials) -> Outcome<Source> {
        let (base, home) = match place {
            Place::Web(url) => (Base::Web(url.clone()), Some(url.clone())),
            Place::Directory(path) => (Base::Local(Local::open(path)?), None),
        };
        Ok(Source { base, web: Web::new(home, credentials)? })
    }

    /// The directory, when it is one of this machine.
    pub(super) fn local(&self) -> Option<&Local> {
        match &self.base {
            Base::Local(local) => Some(local),
            Base::Web(_) => None,
        }
    }

    /// The address, when it is not a directory of this machine.
    pub(super) fn url(&self) -> Option<&Url> {
        match &self.base {
            Base::Web(url) => Some(url),
            Base::Local(_) => None,
        }
    }

    /// Breaks off whatever is under way, from another thread.
    pub(super) fn stop(&self) {
        self.web.stop();
    }

    /// An error when it was stopped.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.web.is_stopped() { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// A top file; none when it is as `known`.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub(super) fn top(&self, path: &str, known: Option<&Mark>) -> Outcome<Option<Small>> {
        let known = known.filter(|mark| mark.path == path);
        let mut fields = Vec::new();
        if let Some(mark) = known {
            fields.extend(mark.etag.as_deref().map(|etag| ("If-None-Match", etag)));
            fields.extend(mark.modified.as_deref().map(|modified| ("If-Modified-Since", modified)));
        }
        let small = self.retry(|| self.read_small(path, TOP, &fields))?;
        Ok(small.filter(|small| known.is_none_or(|mark| mark.digest != small.mark.digest)))
    }

    /// A small file, whole.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub(super) fn small(&self, path: &str, limit: u64) -> Outcome<Vec<u8>> {
        let small = self.retry(|| self.read_small(path, limit, &[]))?;
        Ok(small.map(|small| small.bytes).unwrap_or_default())
    }

    fn read_small(&self, path: &str, limit: u64, fields: &[(&'static str, &str)]) -> Outcome<Option<Small>> {
        let (etag, modified, mut body) = match &self.base {
            Base::Local(local) => (None, None, local.read(path)?.body),
            Base::Web(url) => {
                let url = url.below(path);
                let answer = self.web.get(&url, fields)?;
                match answer.status {
                    200 => (answer.etag, answer.modified, answer.body),
                    304 if !fields.is_empty() => return Ok(None),
                    status => return Err(refused(path, status)),
                }
            }
        };
        let mut bytes = Vec::new();
        let read = body.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| self.broken(path, &e))?;
        if bytes.len() as u64 > limit {
            return Err(Failure::Failed(format!("{path}: it is larger than {}", crate::store::human(limit))));
        }
        let mark = Mark { path: path.to_owned(), digest: Digest::of(&bytes), etag, modified };
        Ok(Some(Small { bytes, mark }))
    }

    /// Opens a file once, from `start` on when `validator` says that it is still the same; none when it is as `stamp`.
    pub(super) fn begin(
        &self,
        at: &At,
        start: u64,
        validator: Option<&str>,
        stamp: Option<&str>,
    ) -> Outcome<Option<Opened>> {
        let range = format!("bytes={start}-");
        let mut fields: Vec<(&'static str, &str)> = Vec::new();
        if let Some(validator) = validator.filter(|_| start > 0) {
            fields.extend([("Range", range.as_str()), ("If-Range", validator)]);
        }
        if let Some(stamp) = stamp {
            fields.push(if stamp.starts_with(['"', 'W']) {
                ("If-None-Match", stamp)
            } else {
                ("If-Modified-Since", stamp)
            });
        }
        match (at, &self.base) {
            (At::Path(path, written), Base::Local(local)) => match (local.read(path), written) {
                (Err(Failure::Missing(_)), Some(written)) => local.read(written).map(Some),
                (found, _) => found.map(Some),
            },
            (At::Path(path, written), Base::Web(base)) => match (self.ask(&base.below(path), &fields), written) {
                (Err(Failure::Missing(_)), Some(written)) => self.ask(&base.below(written), &fields),
                (found, _) => found,
            },
            (At::Url(url), _) => self.ask(url, &fields),
        }
    }

    /// How long a file is, without reading it; none when nobody says so.
    pub(super) fn length(&self, at: &At) -> Outcome<Option<u64>> {
        match (at, &self.base) {
            (At::Path(path, _), Base::Local(local)) => Ok(local.look(path).map(|(size, _)| size)),
            (At::Path(path, _), Base::Web(base)) => self.ask_length(&base.below(path)),
            (At::Url(url), _) => self.ask_length(url),
        }
    }

    fn ask_length(&self, url: &Url) -> Outcome<Option<u64>> {
        let answer = self.web.head(url)?;
        match answer.status {
            200 => Ok(answer.length),
            // Some servers know no such question.
            400 | 405 | 501 => Ok(None),
            status => Err(refused(&url.text(), status)),
        }
    }

    fn ask(&self, url: &Url, fields: &[(&'static str, &str)]) -> Outcome<Option<Opened>> {
        let answer = self.web.get(url, fields)?;
        let start = match answer.status {
            200 => 0,
            206 => answer.start.unwrap_or(0),
            304 if !fields.is_empty() => return Ok(None),
            status => return Err(refused(&url.text(), status)),
        };
        let strong = answer.etag.clone().filter(|etag| etag.starts_with('"'));
        Ok(Some(Opened {
            length: answer.length,
            start,
            validator: strong.or_else(|| answer.modified.clone()),
            stamp: answer.etag.or(answer.modified),
            body: answer.body,
        }))
    }

    /// What a failed read of a body means.
    pub(super) fn broken(&self, path: &str, error: &std::io::Error) -> Failure {
        match self.check() {
            Err(cancelled) => cancelled,
            Ok(()) => Failure::Broken(format!("{path}: the transfer broke off: {error}")),
        }
    }

    /// Tries again after pauses while it may help.
    pub(super) fn retry<T>(&self, mut ask: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        for round in 1.. {
            match ask() {
                Err(Failure::Broken(words)) if round < TRIES => {
                    log::debug!("sync: {words}; another try follows");
                    self.pause(round)?;
                }
                other => return other,
            }
        }
        Err(Failure::Cancelled)
    }

    /// Waits before another try; longer each time.
    pub(super) fn pause(&self, round: u32) -> Outcome<()> {
        let end = std::time::Instant::now() + FIRST_PAUSE * 3_u32.saturating_pow(round.saturating_sub(1));
        while std::time::Instant::now() < end {
            self.check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        self.check()
    }
}

fn refused(path: &str, status: u16) -> Failure {
    match status {
        404 | 410 => Failure::Missing(format!("{path}: the upstream does not have it (status {status})")),
        401 | 403 | 407 => Failure::Failed(format!("{path}: the upstream does not let us have it (status {status})")),
        500..=599 => Failure::Broken(format!("{path}: the upstream is in trouble (status {status})")),
        _ => Failure::Failed(format!("{path}: the upstream answers with status {status}")),
    }
}

/// The sentence about a checksum that does not fit.
pub(super) fn mismatch(name: &str, checksum: &Checksum, received: &str) -> String {
    format!(
        "{name}: checksum mismatch ({} in the metadata {}, received {received})",
        checksum.algorithm.name(),
        checksum.hex
    )
}
