//! One sync from its beginning to its end: read what there is, fetch what is missing, swap the set in one commit
//! (`repos.md` §3.1).

use std::path::PathBuf;
use std::sync::Arc;

use super::failure::{Failure, Outcome};
use super::place::{Place, base_name};
use super::plan::{Plan, Reading, WantedExtra, believable, fetch_index, open_digest};
use super::progress::Progress;
use super::source::Source;
use super::transfer::{Gathered, Left, Transfer};
use super::web::Credentials;
use super::{apt, dir, yum};
use crate::audit;
use crate::catalog;
use crate::clock::{Clock, Time};
use crate::error::Error;
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::{Extra, Extras, Set, Type, absent, packages};
use crate::feeds::package::{self, Said};
use crate::feeds::upstream::{self, Definition, Outcome as Good, Sync, Upstream};
use crate::formats::Facts;
use crate::formats::index::{Algorithm, release};
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::WriteTx;

/// What one run works with.
pub(super) struct Run<'a> {
    /// Metadata and bytes.
    pub(super) store: &'a Arc<Store>,
    /// The time source.
    pub(super) clock: &'a Clock,
    /// The upstream's name.
    pub(super) name: &'a str,
    /// The upstream as it was when the run began.
    pub(super) upstream: &'a Upstream,
    /// Told how far it is.
    pub(super) progress: &'a Progress,
    /// The record of this run.
    pub(super) record: &'a Sync,
}

/// Where an upstream lies, and for apt what is read there.
pub(in crate::feeds) fn place(definition: &Definition) -> Result<(Place, Option<release::Line>), Error> {
    if definition.kind != Type::Apt {
        return Ok((Place::read(definition.path.trim())?, None));
    }
    let line = release::read_line(&definition.path).map_err(|problem| Error::invalid(format!("path: {problem}")))?;
    Ok((Place::read(&line.root)?, Some(line)))
}

/// What is sent to an upstream.
///
/// # Errors
/// `Invalid` when a field cannot stand in a request.
pub(in crate::feeds) fn credentials(definition: &Definition) -> Result<Credentials, Error> {
    use base64::Engine as _;
    let mut credentials = Credentials::default();
    if definition.username.is_some() || definition.password.is_some() {
        let user = definition.username.as_deref().unwrap_or_default();
        let password = definition.password.as_ref().map_or("", |password| &password.0);
        let value = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        credentials.add("Authorization", &format!("Basic {value}"));
    }
    for (name, value) in &definition.headers {
        const OURS: [&str; 9] = [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "range",
            "if-range",
            "if-none-match",
            "if-modified-since",
            "accept-encoding",
        ];
        if OURS.contains(&name.to_ascii_lowercase().as_str()) || !credentials.add(name, &value.0) {
            return Err(Error::invalid(format!("the header {} cannot be sent", crate::feeds::rules::shown(name))));
        }
    }
    Ok(credentials)
}

/// Opens what is to be read; directories only where that is allowed.
pub(super) fn open(definition: &Definition, roots: &[PathBuf], data: &std::path::Path) -> Outcome<Source> {
    let (place, _) = place(definition)?;
    let source = Source::open(&place, credentials(definition)?)?;
    if let Some(local) = source.local() {
        if !roots.is_empty() && !local.is_below(roots) {
            return Err(Failure::Failed("the directory lies outside of what PACKHOUSE_LOCAL_ROOTS allows".to_owned()));
        }
        if local.touches(data) {
            return Err(Failure::Failed("the directory holds the data of this server".to_owned()));
        }
    }
    Ok(source)
}

impl Run<'_> {
    /// Does it. Answers the record as it is to be shown, `Done` and committed; on a failure nothing has changed.
    pub(super) fn sync(&self, source: &Source) -> Outcome<Sync> {
        let mut again = false;
        loop {
            match self.attempt(source, again) {
                // Metadata that was switched between two requests: from the top, once.
                Err(Failure::Changed(words)) if !again => {
                    log::info!("sync of {}: {words}; the upstream changes, begun anew", self.name);
                    again = true;
                }
                other => return other,
            }
        }
    }

    fn attempt(&self, source: &Source, again: bool) -> Outcome<Sync> {
        self.progress.phase("metadata");
        let (_, line) = place(&self.upstream.definition)?;
        let now = self.clock.now().seconds();
        let reading = Reading { source, name: self.name, upstream: self.upstream, store: self.store, now };
        let plan = match (self.upstream.definition.kind, &line) {
            (Type::Yum, _) => yum::plan(&reading),
            (Type::Apt, Some(line)) => apt::plan(&reading, line),
            (Type::Apt, None) => Err(Failure::Failed("the path is no apt source".to_owned())),
            (Type::Dir, _) => dir::plan(&reading, self.name),
        }?;
        let Some(mut plan) = plan else { return self.nothing_new() };
        self.progress.phase("packages");
        let (kind, on_demand) = (self.upstream.definition.kind, reading.on_demand());
        let (name, store, clock, progress) = (self.name, self.store, self.clock, self.progress);
        let transfer = Transfer { source, name, store, clock, kind, on_demand, progress };
        let fetched =
            transfer.gather(&plan.wanted).and_then(|gathered| Ok((gathered, self.extras(&reading, &plan.extras)?)));
        let (gathered, extras) = fetched.map_err(|failure| self.switched(source, &plan, failure, again))?;
        self.progress.phase("commit");
        source.check()?;
        let at_once = self.progress.look().0.downloaded_files;
        if on_demand && at_once > 0 {
            let files = if at_once == 1 { "1 file was" } else { &format!("{at_once} files were") };
            plan.warnings.push(format!("{files} fetched at once, because nothing states SHA-256 and size beforehand"));
        }
        self.commit(plan, gathered, extras)
    }

    /// A file that does not fit or is gone counts as switched metadata only when the top file is another one now.
    fn switched(&self, source: &Source, plan: &Plan, failure: Failure, again: bool) -> Failure {
        let (Failure::Changed(words) | Failure::Missing(words)) = failure else { return failure };
        let mark = plan.mark.as_ref().filter(|_| !again);
        match mark.map(|mark| source.top(&mark.path, Some(mark))) {
            Some(Ok(Some(_))) => Failure::Changed(words),
            _ => Failure::Failed(words),
        }
    }

    fn nothing_new(&self) -> Outcome<Sync> {
        let done = self.done(true, Vec::new());
        let (name, revision, now) = (self.name.to_owned(), self.upstream.revision, self.clock.now());
        let good = Good {
            mark: self.upstream.mark.clone(),
            date: self.upstream.date,
            verified: self.upstream.verified,
            packages: None,
            changed: false,
        };
        let record = done.clone();
        self.store.commit(move |tx| {
            still_ours(tx, &name, &record)?;
            upstream::note_good(tx, &name, revision, &good, now)?;
            upstream::note_sync(tx, &name, &record).map(drop)
        })?;
        Ok(done)
    }

    fn done(&self, not_modified: bool, warnings: Vec<String>) -> Sync {
        Sync {
            state: upstream::State::Done,
            phase: "commit".to_owned(),
            finished: Some(self.clock.now()),
            counts: self.progress.look().0,
            not_modified,
            warnings,
            ..self.record.clone()
        }
    }

    /// The metadata files that go with the set, on the shelf and held.
    fn extras(&self, reading: &Reading, wanted: &[WantedExtra]) -> Outcome<Extras> {
        let held = self.store.read(|tx| sets::extras(tx, &Set::Upstream(self.name.to_owned())))?;
        let mut extras = Extras::new();
        let mut batch = self.store.batch()?;
        let mut files = Vec::new();
        for file in wanted {
            let path = file.at.shown();
            let checksum = believable(&path, Some(file.checksum.clone()))?;
            let same =
                |extra: &&Extra| checksum.algorithm == Algorithm::Sha256 && extra.digest.to_hex() == checksum.hex;
            if let Some(extra) = held.get(&file.kind).filter(same) {
                extras.insert(file.kind.clone(), extra.clone());
                continue;
            }
            let loose = fetch_index(reading, &file.at, &checksum, file.size)?;
            let (open_size, open_digest) = open_digest(&loose, &path)?;
            let name = plain_name(base_name(&path)).to_owned();
            let extra = Extra { digest: loose.digest(), size: loose.size(), name, open_digest, open_size };
            extras.insert(file.kind.clone(), extra);
            files.push(loose);
        }
        if !files.is_empty() {
            let staged = batch.flush(files)?;
            let (name, now) = (self.name.to_owned(), self.clock.now());
            let new: Vec<Extra> = extras.values().cloned().collect();
            self.store.shelve(staged, move |tx| {
                for extra in &new {
                    catalog::admit(tx, &extra.digest, extra.size, &Facts::default(), &extra.name, now)?;
                    catalog::hold(tx, &extra.digest, &extra.name, &upstream::extras_holder(&name), true, "sync", now)?;
                }
                Ok(())
            })?;
        }
        Ok(extras)
    }

    /// Swaps the set: all of it, or nothing.
    fn commit(&self, plan: Plan, gathered: Gathered, extras: Extras) -> Outcome<Sync> {
        let tree = plan.mark.is_none();
        let fetched = self.progress.look().0.downloaded_files > 0;
        let record = self.done(false, plan.warnings);
        let (name, revision, now) = (self.name.to_owned(), self.upstream.revision, self.clock.now());
        let kind = self.upstream.definition.kind;
        let store = Arc::downgrade(self.store);
        let mut good =
            Good { mark: plan.mark, date: plan.date, verified: plan.verified, packages: None, changed: false };
        let set = Set::Upstream(name.clone());
        Ok(self.store.commit(move |tx| {
            let Some(store) = store.upgrade() else { return Err(Error::busy("the server stops", 1)) };
            still_ours(tx, &name, &record)?;
            let held = sets::members(tx, &set)?;
            let change = sets::difference(&held, &gathered.members);
            for digest in gathered.members.keys() {
                take_up(tx, &name, kind, digest, gathered.left.get(digest), now)?;
            }
            let hand = Hand { store: &store, who: "sync", now };
            sets::apply(tx, hand, &set, &change)?;
            for (digest, left) in &gathered.left {
                absent::note_origin(tx, digest, &left.at.origin(&name))?;
            }
            upstream::forget_promises(tx, &name)?;
            for digest in gathered.members.keys() {
                if upstream::is_cached(tx, digest)? {
                    upstream::uncache(&store, tx, digest)?;
                }
            }
            let extras_changed = sets::extras(tx, &set)? != extras;
            if extras_changed {
                sets::put_extras(tx, &set, &extras)?;
                upstream::release_extras(&store, tx, &name, &extras)?;
            }
            upstream::put_seen(tx, &name, &gathered.seen)?;
            upstream::put_aliases(tx, &name, &gathered.aliases)?;
            good.packages = Some(gathered.members.len() as u64);
            good.changed = !change.is_empty() || extras_changed;
            upstream::note_good(tx, &name, revision, &good, now)?;
            if good.changed {
                audit::note(tx, now, "sync", "upstream.synced", &name, None)?;
            }
            let done = Sync { not_modified: tree && !good.changed && !fetched, ..record.clone() };
            upstream::note_sync(tx, &name, &done)?;
            Ok(done)
        })?)
    }
}

/// Has a member of the set among the packages: by its bytes, or by what is said of it while they stay where they are.
fn take_up(tx: &WriteTx, name: &str, kind: Type, digest: &Digest, left: Option<&Left>, now: Time) -> Result<(), Error> {
    if absent::is_absent(tx, digest)? {
        // This sync, or anybody else, brought what was only listed before.
        if upstream::may_reuse(tx, digest)? {
            absent::arrive(tx, digest)?;
        }
        return Ok(());
    }
    if packages::is_known(tx, digest)? {
        return Ok(());
    }
    if let Some(new) = upstream::prepared(tx, digest)? {
        return packages::admit(tx, &new, now);
    }
    let Some(left) = left else { return Ok(()) };
    let said = match kind {
        Type::Dir => Some(package::said(&Said::File, digest, left.size, &left.name, now)?),
        Type::Yum | Type::Apt => upstream::promised(tx, name, digest)?,
    };
    said.map_or(Ok(()), |new| packages::promise(tx, &new))
}

/// The run's record is still the upstream's, and nobody called it off.
fn still_ours(tx: &WriteTx, name: &str, record: &Sync) -> Result<(), Error> {
    let current = upstream::last_sync(tx, name)?;
    match current.is_some_and(|known| known.id == record.id && known.state == upstream::State::Running) {
        true => Ok(()),
        false => Err(Error::conflict("the sync was called off")),
    }
}

/// A metadata file's name without the checksum in front.
fn plain_name(name: &str) -> &str {
    match name.split_once('-') {
        Some((sum, rest)) if sum.len() >= 32 && !rest.is_empty() && sum.bytes().all(|c| c.is_ascii_hexdigit()) => rest,
        _ => name,
    }
}
