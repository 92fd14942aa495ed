//! `GET /repo/NAME/export`: a bundle of a repo or a snapshot, made while it is sent (`repos.md` §19.2).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::layout::{Entry, Layout, Place};
use super::manifest::{Base, Line, Manifest, extra_lines, time};
use super::{BLOBS, EXTRA, MANIFEST, SIGNATURE};
use crate::app::App;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::repos::{self, Repo};
use crate::feeds::model::{Member, Set, absent, history, packages, sets};
use crate::feeds::{Desk, desk, options, rules};
use crate::http::{FileAnswer, Request, Response, Source, serve_file};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::table::ReadTx;
use crate::store::{Blob, Store};

/// So many new CRCs are noted in one commit.
const NOTE: usize = 1024;

/// What a file of a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Manifest,
    Signature,
    Extra(Digest),
    Package(Digest),
}

impl What {
    fn name(self) -> String {
        match self {
            What::Manifest => MANIFEST.to_owned(),
            What::Signature => SIGNATURE.to_owned(),
            What::Extra(digest) => format!("{EXTRA}{digest}"),
            What::Package(digest) => format!("{BLOBS}{digest}"),
        }
    }
}

/// A bundle before its bytes: what it holds and where.
#[derive(Debug)]
pub(in crate::feeds) struct Bundle {
    manifest: Vec<u8>,
    signature: Vec<u8>,
    layout: Layout<What>,
    /// The CRC-32 of each file, once known.
    crcs: Vec<OnceLock<u32>>,
    /// What stands for all of its bytes.
    tag: String,
    published: i64,
    download_name: String,
}

/// Which bundle: repo or snapshot as named, its generation, what it goes on from, who signs.
type Which = (String, u64, Option<u64>, String);

/// The bundles that are being sent.
#[derive(Debug, Default)]
pub(in crate::feeds) struct Bundles(Mutex<HashMap<Which, Weak<Bundle>>>);

impl Bundles {
    fn find(&self, which: &Which) -> Option<Arc<Bundle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(which)?.upgrade()
    }

    fn put(&self, which: Which, bundle: &Arc<Bundle>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, bundle| bundle.strong_count() > 0);
        known.insert(which, Arc::downgrade(bundle));
    }
}

/// `GET`, `HEAD /repo/NAME/export`.
pub fn export(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let since = match request.query()?.get("since") {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| Error::invalid("since is the number of a generation"))?),
    };
    let desk = desk(app)?;
    let (set, _, repo) = app.store.read(|tx| find(tx, &name))?;
    let key = desk.key()?;
    let created = repo.created.0.unsigned_abs();
    let which = (format!("{}:{created}", set.label()), repo.generation, since, key.fingerprint());
    let bundle = match desk.bundles.find(&which) {
        Some(bundle) => bundle,
        None => {
            let bundle = Arc::new(Bundle::new(desk, &name, since)?);
            desk.bundles.put(which, &bundle);
            bundle
        }
    };
    let file = FileAnswer {
        etag: format!("\"{}\"", bundle.tag),
        last_modified: Time(bundle.published.saturating_mul(1_000_000)).system(),
        content_type: "application/zip".to_owned(),
        download_name: Some(bundle.download_name.clone()),
        cache_control: "no-cache",
        extra: Vec::new(),
        source: Box::new(Sending { store: app.store.clone(), bundle, open: None, made: None, fresh: Vec::new() }),
    };
    Ok(serve_file(&request.head, file))
}

/// The repo or snapshot of this name: its set, the repo's own name, its row.
fn find(tx: &ReadTx, name: &str) -> Result<(Set, String, Repo)> {
    match name.split_once('@') {
        Some((repo, snapshot)) => {
            let unknown = || Error::not_found(format!("there is no snapshot {}", rules::shown(name)));
            let found = repos::snapshot(tx, repo, snapshot)?.ok_or_else(unknown)?;
            Ok((Set::Snapshot(repo.to_owned(), snapshot.to_owned()), repo.to_owned(), found.repo))
        }
        None => {
            let repo = repos::get(tx, name)?.ok_or_else(|| rules::unknown_repo(name))?;
            Ok((Set::Repo(name.to_owned()), name.to_owned(), repo))
        }
    }
}

/// The state that is gone on from: what stands for it, and its packages.
fn base(
    tx: &ReadTx,
    repo: &str,
    now: &Repo,
    members: &BTreeMap<Digest, Member>,
    since: u64,
) -> Result<(Base, BTreeSet<Digest>)> {
    if since == 0 || since > now.generation {
        let sentence = format!("repo {repo} has no generation {since}; it is at {}", now.generation);
        return Err(Error::not_found(sentence));
    }
    let members: BTreeSet<Digest> = members.keys().copied().collect();
    let had = history::members_at(tx, repo, members, now.generation, since)?.ok_or_else(|| {
        Error::conflict(format!("what repo {repo} had in generation {since} is no longer on record: export all of it"))
    })?;
    Ok((Base { generation: since, digest: history::fingerprint(&had) }, had))
}

/// A bundle is whole or none.
fn not_here(name: &str, missing: u64) -> Error {
    let (packages, them) = if missing == 1 { ("1 package", "it") } else { (&*format!("{missing} packages"), "them") };
    Error::conflict(format!(
        "{packages} of repo {} were never fetched from their upstream, so a bundle would not be whole: have the upstream \
         fetch {them} with its sync (policy immediate), then export again",
        rules::shown(name)
    ))
}

impl Bundle {
    fn new(desk: &Desk, name: &str, since: Option<u64>) -> Result<Bundle> {
        let (repo, manifest, had, crcs) = desk.store.read(|tx| {
            let (set, own, repo) = find(tx, name)?;
            let members = sets::members(tx, &set)?;
            let (base, had) = match since {
                Some(since) => base(tx, &own, &repo, &members, since).map(|(base, had)| (Some(base), had))?,
                None => (None, BTreeSet::new()),
            };
            let missing = absent::count_of(tx, members.keys().filter(|digest| !had.contains(digest)))?;
            if missing > 0 {
                return Err(not_here(name, missing));
            }
            let (mut lines, mut crcs) = (Vec::with_capacity(members.len()), HashMap::new());
            for (digest, member) in &members {
                let package = packages::get(tx, digest)?.ok_or_else(|| rules::unknown_package(&digest.to_hex()))?;
                lines.push(Line::new(digest, &package, member));
                if !had.contains(digest) {
                    crcs.extend(packages::crc(tx, digest)?.map(|crc| (*digest, crc)));
                }
            }
            let mut options = options::shown(repo.kind, &own, &repo.options);
            // What a repo follows and keeps is decided where it is.
            options.retain(|key, _| !matches!(key.as_str(), "follow" | "retain"));
            let manifest = Manifest {
                format: Manifest::FORMAT,
                repo: own,
                kind: repo.kind,
                options,
                generation: repo.generation,
                created_at: time(repo.published),
                base,
                packages: lines,
                extra: extra_lines(&sets::extras(tx, &set)?),
            };
            Ok((repo, manifest, had, crcs))
        })?;
        let text = manifest.text()?;
        let signature = desk.key()?.sign_as_of(&text, repo.published)?.into_bytes();
        let mut hasher = Sha256::new();
        hasher.update(&text);
        hasher.update(&signature);
        let entries = entries(&manifest, &had, text.len(), signature.len());
        let known = |what: What| match what {
            What::Manifest => Some(crc_of(&text)),
            What::Signature => Some(crc_of(&signature)),
            What::Extra(_) => None,
            What::Package(digest) => crcs.get(&digest).copied(),
        };
        let crcs = entries.iter().map(|entry| known(entry.what).map(OnceLock::from).unwrap_or_default()).collect();
        let from = since.map(|since| format!("-since-{since}")).unwrap_or_default();
        Ok(Bundle {
            crcs,
            layout: Layout::new(entries),
            tag: Digest(hasher.finalize().into()).to_hex(),
            published: repo.published,
            download_name: format!("{}-{}{from}.zip", name.replace('@', "-"), repo.generation),
            manifest: text,
            signature,
        })
    }

    fn what(&self, number: usize) -> Option<What> {
        self.layout.entries().get(number).map(|entry| entry.what)
    }
}

/// The files of a bundle, in their order.
fn entries(manifest: &Manifest, had: &BTreeSet<Digest>, text: usize, signature: usize) -> Vec<Entry<What>> {
    let entry = |what: What, size: u64| {
        let name = u16::try_from(what.name().len()).unwrap_or(u16::MAX);
        Entry { what, name, size }
    };
    let mut entries = vec![entry(What::Manifest, text as u64), entry(What::Signature, signature as u64)];
    let extra: BTreeMap<Digest, u64> = manifest.extra.iter().map(|extra| (extra.shasum, extra.size)).collect();
    entries.extend(extra.into_iter().map(|(digest, size)| entry(What::Extra(digest), size)));
    let wanted = manifest.packages.iter().filter(|line| !had.contains(&line.shasum));
    entries.extend(wanted.map(|line| entry(What::Package(line.shasum), line.size)));
    entries
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A bundle while it is sent to one client.
struct Sending {
    store: Arc<Store>,
    bundle: Arc<Bundle>,
    /// The file that was read last.
    open: Option<(usize, Blob)>,
    /// The head or line that was made last: a client may take it in small pieces.
    made: Option<(Made, Vec<u8>)>,
    /// CRCs that are not in the database yet.
    fresh: Vec<(Digest, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Head(usize),
    Line(usize),
    End,
}

impl Source for Sending {
    fn len(&self) -> u64 {
        self.bundle.layout.len()
    }

    fn read_at(&mut self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<usize> {
        let mut total = 0;
        while !buffer.is_empty() {
            let count = self.piece(offset, buffer)?;
            if count == 0 {
                break;
            }
            total += count;
            offset += count as u64;
            buffer = std::mem::take(&mut buffer).get_mut(count..).unwrap_or_default();
        }
        Ok(total)
    }
}

impl Sending {
    /// Reads no further than the end of what lies at `offset`.
    fn piece(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (made, within) = match self.bundle.layout.place(offset) {
            Place::Nothing => return Ok(0),
            Place::Bytes { number, within } => return self.bytes(number, within, buffer),
            Place::Head { number, within } => (Made::Head(number), within),
            Place::Line { number, within } => (Made::Line(number), within),
            Place::End { within } => (Made::End, within),
        };
        if self.made.as_ref().is_none_or(|(known, _)| *known != made) {
            let bytes = self.make(made)?;
            self.made = Some((made, bytes));
        }
        let bytes = self.made.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
        Ok(copy(bytes, within, buffer))
    }

    fn make(&mut self, made: Made) -> io::Result<Vec<u8>> {
        let number = match made {
            Made::End => {
                self.note()?;
                return Ok(self.bundle.layout.end());
            }
            Made::Head(number) | Made::Line(number) => number,
        };
        let crc = self.crc(number)?;
        let name = self.bundle.what(number).map(What::name).unwrap_or_default();
        Ok(match made {
            Made::Head(_) => self.bundle.layout.head(number, &name, crc),
            _ => self.bundle.layout.line(number, &name, crc),
        })
    }

    fn bytes(&mut self, number: usize, within: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let digest = match self.bundle.what(number) {
            Some(What::Manifest) => return Ok(copy(&self.bundle.manifest, within, buffer)),
            Some(What::Signature) => return Ok(copy(&self.bundle.signature, within, buffer)),
            Some(What::Extra(digest) | What::Package(digest)) => digest,
            None => return Ok(0),
        };
        let size = self.bundle.layout.entries().get(number).map_or(0, |entry| entry.size);
        let room = usize::try_from(size.saturating_sub(within)).unwrap_or(usize::MAX).min(buffer.len());
        let wanted = buffer.get_mut(..room).unwrap_or_default();
        let blob = self.blob(number, &digest)?;
        match blob.read_at(within, wanted)? {
            0 => Err(io::Error::other(format!("blob {digest} is shorter than its package"))),
            count => Ok(count),
        }
    }

    fn blob(&mut self, number: usize, digest: &Digest) -> io::Result<&mut Blob> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = Some((number, self.store.blob(digest).map_err(io::Error::other)?));
        }
        match &mut self.open {
            Some((_, blob)) => Ok(blob),
            None => Err(io::Error::other("no blob is open")),
        }
    }

    /// The CRC-32 of a file. Where it is not known yet, the file is read once more than it is sent; the system still
    /// has it in memory then.
    fn crc(&mut self, number: usize) -> io::Result<u32> {
        let bundle = self.bundle.clone();
        let (Some(place), Some(what)) = (bundle.crcs.get(number), bundle.what(number)) else { return Ok(0) };
        if let Some(crc) = place.get() {
            return Ok(*crc);
        }
        let (What::Extra(digest) | What::Package(digest)) = what else { return Ok(0) };
        let blob = self.blob(number, &digest)?;
        let (mut crc, mut at, mut block) = (Crc::new(), 0, vec![0; 256 << 10]);
        loop {
            let count = blob.read_at(at, &mut block)?;
            if count == 0 {
                break;
            }
            crc.update(block.get(..count).unwrap_or_default());
            at += count as u64;
        }
        let crc = *place.get_or_init(|| crc.sum());
        if matches!(what, What::Package(_)) {
            self.fresh.push((digest, crc));
            if self.fresh.len() >= NOTE {
                self.note()?;
            }
        }
        Ok(crc)
    }

    /// Notes what was computed, for the next export.
    fn note(&mut self) -> io::Result<()> {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        self.store.commit(move |tx| packages::put_crcs(tx, &fresh)).map_err(io::Error::other)
    }
}

fn copy(bytes: &[u8], within: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(within).ok().and_then(|within| bytes.get(within..)).unwrap_or_default();
    let count = rest.len().min(buffer.len());
    if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}
