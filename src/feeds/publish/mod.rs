//! Publishes a repo: judges what changes, builds and signs the files of the next generation, and switches to it in one
//! commit (`repos.md` §11). Whoever calls it is alone with the repo ([`crate::feeds::Desk::alone`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::audit;
use crate::catalog;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::follow as followers;
use crate::feeds::model::history::{self, Step};
use crate::feeds::model::packages::{self, Prepared};
use crate::feeds::model::repos::{self, Import, Options, Repo};
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::trees::{self, Edition, File, Gone};
use crate::feeds::model::{Change, Counts, Extras, Member, Package, Set, Type, absent};
use crate::feeds::{Desk, follow, rules};
use crate::formats::Facts;
use crate::ids::Digest;
use crate::store::table::Read;
use crate::store::{Loose, Staged, Store};

mod apt;
mod blocks;
mod dir;
pub mod paths;
mod retain;
mod xz;
mod yum;

pub(in crate::feeds) use apt::{axes, shape};

/// What is to happen to a repo.
pub struct Wanted {
    /// The repo's name.
    pub name: String,
    /// The repo as it is; none makes it.
    pub old: Option<Repo>,
    /// What it is for.
    pub kind: Type,
    /// How it is to be published.
    pub options: Options,
    /// What happens to its packages.
    pub change: Change,
    /// The metadata it is to pass through.
    pub extras: Extras,
    /// Packages that come and are not on record yet.
    pub prepared: BTreeMap<Digest, Prepared>,
    /// Their bytes, as far as they are not on the shelf yet.
    pub staged: Vec<Staged>,
    /// Packages that were uploaded by hand, with their file names: they stay when the repo lets go of them.
    pub uploaded: Vec<(Digest, String)>,
    /// What it is taken from, when that is a bundle.
    pub arrival: Option<Arrival>,
    /// Whether a new generation is made even if nothing changes.
    pub always: bool,
    /// Who asks.
    pub who: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// From where else, when changes of several clients are published together.
    pub beside: BTreeSet<IpAddr>,
}

impl Wanted {
    /// A publication by `who` that changes nothing yet; `old` is the repo as it is.
    pub fn new(
        name: &str,
        old: Option<Repo>,
        kind: Type,
        options: Options,
        who: &str,
        address: Option<IpAddr>,
    ) -> Wanted {
        Wanted {
            name: name.to_owned(),
            old,
            kind,
            options,
            change: Change::default(),
            extras: Extras::new(),
            prepared: BTreeMap::new(),
            staged: Vec::new(),
            uploaded: Vec::new(),
            arrival: None,
            always: false,
            who: who.to_owned(),
            address,
            beside: BTreeSet::new(),
        }
    }
}

/// What comes with a bundle beside packages.
pub struct Arrival {
    /// The state that is taken.
    pub import: Import,
    /// Other files among [`Wanted::staged`], for the catalog: digest, bytes, name.
    pub files: Vec<(Digest, u64, String)>,
}

/// What came of it.
pub struct Outcome {
    /// The repo as it is now.
    pub repo: Repo,
    /// What changed.
    pub counts: Counts,
    /// Whether there is a new generation.
    pub changed: bool,
}

/// A generation while it is made.
pub(super) struct Draft<'a> {
    pub(super) desk: &'a Desk,
    pub(super) name: &'a str,
    /// The repo as it was.
    pub(super) old: Option<&'a Repo>,
    /// The repo as it will be.
    pub(super) repo: Repo,
    pub(super) extras: &'a Extras,
    pub(super) prepared: &'a BTreeMap<Digest, Prepared>,
    /// Packages that come, stay under other names, or go, with how the repo knew and will know them.
    pub(super) moved: BTreeMap<Digest, Moved>,
    pub(super) edition: Edition,
    /// Index files that were made; they are flushed together.
    pub(super) staged: Vec<Loose>,
    /// Their digests, sizes and names, for the catalog.
    pub(super) made: Vec<(Digest, u64, String)>,
}

/// A package that changes its place.
pub(super) struct Moved {
    pub(super) package: Package,
    pub(super) was: Option<Member>,
    pub(super) will: Option<Member>,
}

impl Draft<'_> {
    /// Gives a file its path in the new generation; its bytes are kept in memory until then.
    pub(super) fn put_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let mut stage = self.desk.store.stage(Some(bytes.len() as u64))?;
        stage.copy_from(&mut &*bytes, None)?;
        let staged = stage.finish_loose()?;
        let (digest, size) = (staged.digest(), staged.size());
        self.take(path, staged);
        let modified = self.repo.published;
        self.edition
            .files
            .insert(path.to_owned(), File { digest, size, modified, fixed: false, packed: None, retired: None });
        Ok(())
    }

    /// Takes bytes into the new generation.
    pub(super) fn take(&mut self, name: &str, staged: Loose) {
        let base = name.rsplit('/').next().unwrap_or(name);
        self.made.push((staged.digest(), staged.size(), base.to_owned()));
        self.staged.push(staged);
    }

    pub(super) fn store(&self) -> &std::sync::Arc<Store> {
        &self.desk.store
    }
}

/// Publishes a repo, if anything changes.
///
/// # Errors
/// `Invalid` and `Conflict` for what the repo cannot have; what the store answers.
pub fn publish(desk: &Desk, mut wanted: Wanted) -> Result<Outcome> {
    let now = desk.clock.now();
    let set = Set::Repo(wanted.name.clone());
    let arrived = leave_known(desk, &mut wanted)?;
    move_component(desk, &mut wanted, &set)?;
    if wanted.options.retain.is_some() {
        retain::apply(desk, &mut wanted, now)?;
    }
    if let Some(old) = &wanted.old {
        let same_extras = desk.store.read(|tx| sets::extras(tx, &set))? == wanted.extras;
        if !wanted.always && wanted.change.is_empty() && same_extras && old.options == wanted.options {
            let counts = Counts { packages: old.packages, ..Counts::default() };
            let outcome = Outcome { repo: old.clone(), counts, changed: false };
            return take_in(desk, wanted.staged, arrived, now).map(|()| outcome);
        }
    }
    let moved = desk.store.read(|tx| moved(tx, &wanted, &set))?;
    let repo = next(&wanted, &moved, now);
    let mut draft = Draft {
        desk,
        name: &wanted.name,
        old: wanted.old.as_ref(),
        repo,
        extras: &wanted.extras,
        prepared: &wanted.prepared,
        moved,
        edition: Edition::default(),
        staged: Vec::new(),
        made: Vec::new(),
    };
    let key = desk.key()?;
    match wanted.kind {
        Type::Yum => yum::build(&mut draft, &key)?,
        Type::Apt => apt::build(&mut draft, &key)?,
        Type::Dir => dir::build(&mut draft, &key)?,
    }
    let Draft { repo, edition, staged, mut made, moved, .. } = draft;
    let step = step(&moved);
    // Of a large change this is the larger part; the commit needs room of its own.
    drop(moved);
    let mut files = std::mem::take(&mut wanted.staged);
    files.extend(desk.store.flush(staged)?);
    let import = wanted.arrival.take().map(|arrival| {
        made.extend(arrival.files);
        arrival.import
    });
    let (name, followed) = (wanted.name.clone(), wanted.old.as_ref().and_then(|old| old.options.follow.clone()));
    let outcome = commit(desk, wanted, Next { repo, edition, made, arrived, step, import }, files, now)?;
    follow::published(desk, &name, outcome.repo.options.follow != followed);
    Ok(outcome)
}

/// Takes packages that are known already out of those to be made known: what is known of them stays. Answers them with
/// the number of their bytes, for those that were listed before they were here.
fn leave_known(desk: &Desk, wanted: &mut Wanted) -> Result<Vec<(Digest, u64)>> {
    let known = desk.store.read(|tx| {
        let mut known = Vec::new();
        for (digest, new) in &wanted.prepared {
            if packages::is_known(tx, digest)? {
                known.push((*digest, new.package.size));
            }
        }
        Ok(known)
    })?;
    for (digest, _) in &known {
        wanted.prepared.remove(digest);
    }
    Ok(known)
}

/// Has the bytes of packages that were listed before they were here; nothing else changes.
fn take_in(desk: &Desk, mut files: Vec<Staged>, arrived: Vec<(Digest, u64)>, now: Time) -> Result<()> {
    files.retain(|file| arrived.iter().any(|(digest, _)| *digest == file.digest));
    if files.is_empty() {
        return Ok(());
    }
    desk.store
        .shelve(files, move |tx| arrived.iter().try_for_each(|(digest, size)| absent::admit(tx, digest, *size, now)))
}

/// Which packages come and which go.
fn step(moved: &BTreeMap<Digest, Moved>) -> Step {
    let mut step = Step::default();
    for (digest, moved) in moved {
        match (&moved.was, &moved.will) {
            (None, Some(_)) => step.added.push(*digest),
            (Some(_), None) => step.removed.push(*digest),
            _ => {}
        }
    }
    step
}

/// Packages that name no component follow the repo's own when that changes.
fn move_component(desk: &Desk, wanted: &mut Wanted, set: &Set) -> Result<()> {
    let Some(old) = wanted.old.as_ref().filter(|_| wanted.kind == Type::Apt) else { return Ok(()) };
    if shape(&old.options, &wanted.name).component == shape(&wanted.options, &wanted.name).component {
        return Ok(());
    }
    for (digest, member) in desk.store.read(|tx| sets::members(tx, set))? {
        if member.component.is_none() && !wanted.change.removed.contains(&digest) {
            wanted.change.put.entry(digest).or_insert(member);
        }
    }
    Ok(())
}

/// Publishes a repo anew though nothing has changed: with another key, with a later date. Answers whether it is there.
///
/// # Errors
/// As [`publish`].
pub fn republish(desk: &Desk, name: &str, who: &str, address: Option<IpAddr>) -> Result<bool> {
    desk.alone(name, || {
        let found = desk.store.read(|tx| match repos::get(tx, name)? {
            Some(repo) => Ok(Some((repo, sets::extras(tx, &Set::Repo(name.to_owned()))?))),
            None => Ok(None),
        })?;
        let Some((repo, extras)) = found else { return Ok(false) };
        let (kind, options) = (repo.kind, repo.options.clone());
        let wanted = Wanted::new(name, Some(repo), kind, options, who, address);
        let wanted = Wanted { extras, always: true, ..wanted };
        publish(desk, wanted).map(|_| true)
    })
}

/// The packages whose place changes.
fn moved(tx: &impl Read, wanted: &Wanted, set: &Set) -> Result<BTreeMap<Digest, Moved>> {
    let package = |digest: &Digest| -> Result<Package> {
        if let Some(new) = wanted.prepared.get(digest) {
            return Ok(new.package.clone());
        }
        packages::get(tx, digest)?.ok_or_else(|| Error::conflict(format!("package {digest} was deleted meanwhile")))
    };
    let mut moved = BTreeMap::new();
    for (digest, will) in &wanted.change.put {
        let was = sets::member(tx, set, digest)?;
        moved.insert(*digest, Moved { package: package(digest)?, was, will: Some(will.clone()) });
    }
    for digest in &wanted.change.removed {
        if let Some(was) = sets::member(tx, set, digest)? {
            moved.insert(*digest, Moved { package: package(digest)?, was: Some(was), will: None });
        }
    }
    Ok(moved)
}

/// The repo's row in its next generation.
fn next(wanted: &Wanted, moved: &BTreeMap<Digest, Moved>, now: Time) -> Repo {
    let mut repo = match &wanted.old {
        Some(old) => old.clone(),
        None => Repo {
            kind: wanted.kind,
            created: now,
            updated: now,
            generation: 0,
            published: i64::MIN,
            packages: 0,
            size: 0,
            options: Options::default(),
            shelves: BTreeMap::new(),
            imports: Vec::new(),
        },
    };
    if let Some(arrival) = &wanted.arrival {
        repo.note_import(arrival.import.clone());
    }
    repo.generation += 1;
    repo.updated = now.max(repo.updated);
    // Clients compare dates in whole seconds: each generation gets one of its own.
    repo.published = now.seconds().max(repo.published.saturating_add(1));
    repo.options = wanted.options.clone();
    for moved in moved.values() {
        let size = moved.package.size;
        match (&moved.was, &moved.will) {
            (None, Some(_)) => (repo.packages, repo.size) = (repo.packages + 1, repo.size.saturating_add(size)),
            (Some(_), None) => {
                (repo.packages, repo.size) = (repo.packages.saturating_sub(1), repo.size.saturating_sub(size));
            }
            _ => {}
        }
    }
    repo
}

/// The next generation, ready to be written.
struct Next {
    repo: Repo,
    edition: Edition,
    made: Vec<(Digest, u64, String)>,
    /// Known packages whose bytes come now.
    arrived: Vec<(Digest, u64)>,
    step: Step,
    import: Option<Import>,
}

fn commit(desk: &Desk, wanted: Wanted, next: Next, files: Vec<Staged>, now: Time) -> Result<Outcome> {
    let store = desk.store.clone();
    let Next { repo, edition, made, arrived, step, import } = next;
    let outcome = repo.clone();
    let Wanted { name, old, change, extras, prepared, uploaded, who, address, beside, .. } = wanted;
    let counts = desk.store.shelve(files, move |tx| {
        let hand = Hand { store: &store, who: &who, now };
        let there = repos::get(tx, &name)?;
        if there.as_ref().map(|repo| repo.generation) != old.as_ref().map(|repo| repo.generation) {
            return Err(Error::conflict(format!("repo {name} was changed meanwhile")));
        }
        let mut repo = repo.clone();
        followers::settle(tx, &name, old.as_ref(), there.as_ref(), &mut repo)?;
        for digest in change.put.keys().filter(|digest| !prepared.contains_key(digest)) {
            if !packages::is_known(tx, digest)? {
                return Err(Error::conflict(format!("package {digest} was deleted meanwhile")));
            }
        }
        for new in prepared.values() {
            packages::admit(tx, new, now)?;
        }
        for (digest, size) in &arrived {
            absent::admit(tx, digest, *size, now)?;
        }
        for (digest, size, name) in &made {
            catalog::admit(tx, digest, *size, &Facts::default(), name, now)?;
        }
        let set = Set::Repo(name.clone());
        trees::publish(tx, hand, &name, old.as_ref().map(|repo| repo.generation), repo.generation, &edition)?;
        let counts = sets::apply(tx, hand, &set, &change)?;
        for (digest, filename) in &uploaded {
            packages::upload(tx, digest, filename, &who, now)?;
        }
        sets::put_extras(tx, &set, &extras)?;
        history::put(tx, &name, repo.generation, &step)?;
        repos::put(tx, &name, &repo)?;
        if let Some(import) = &import {
            audit::note(tx, now, &who, "repo.import", &import.subject(&name), address)?;
        }
        let subject = format!("{name} generation {}, +{} -{}", repo.generation, counts.added, counts.removed);
        audit::note(tx, now, &who, "repo.publish", &subject, address)?;
        for address in &beside {
            audit::note(tx, now, &who, "repo.publish", &subject, Some(*address))?;
        }
        Ok(counts)
    })?;
    Ok(Outcome { counts: Counts { packages: outcome.packages, ..counts }, repo: outcome, changed: true })
}

/// What has to be remembered of packages that leave, so that clients of the old generation still get them.
pub(super) fn remember_gone(draft: &mut Draft, path: impl Fn(&Digest, &Moved, &Member) -> String) {
    let Some(old) = draft.old else { return };
    let mut gone = BTreeMap::new();
    for (digest, moved) in &draft.moved {
        if let (Some(was), None) = (&moved.was, &moved.will) {
            let paths = vec![path(digest, moved, was)];
            let row = Gone {
                paths,
                size: moved.package.size,
                modified: moved.package.known_at.seconds(),
                generation: old.generation,
            };
            gone.insert(*digest, row);
        }
    }
    draft.edition.gone = gone;
}

/// The set of paths of one repo, for judging conflicts.
pub(super) type Paths = BTreeMap<String, Digest>;

/// Refuses paths that are also directories of others.
pub(super) fn check_tree(paths: &Paths) -> Result<()> {
    let mut directories = BTreeSet::new();
    for path in paths.keys() {
        directories.extend(path.match_indices('/').filter_map(|(at, _)| path.get(..at)));
    }
    match paths.keys().find(|path| directories.contains(path.as_str())) {
        Some(path) => Err(Error::invalid(format!("{} is both a file and a directory", rules::shown(path)))),
        None => Ok(()),
    }
}
