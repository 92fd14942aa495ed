//! Handlers of `/repo/NAME/packages`: the list of a repo, replaced, changed, or copied from another set (`repos.md` §8).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use crate::app::App;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::feeds::body::{self, Asked, Names, Wish};
use crate::feeds::model::packages::{self, Prepared};
use crate::feeds::model::repos::{self, Follow, Repo};
use crate::feeds::model::{Counts, Extras, Member, Package, PackageType, Set, Type, sets};
use crate::feeds::package::{self, Bytes, Depth};
use crate::feeds::publish::{self, Outcome, Wanted, paths};
use crate::feeds::together::{self, Asks, Entrant, Told};
use crate::feeds::{Desk, desk, entry, options, order, rules, upstream};
use crate::http::{Request, Response};
use crate::identity::{Principal, account_of};
use crate::ids::Digest;
use crate::store::table::{Read, ReadTx};

/// `GET /repo/NAME/packages`.
pub fn get(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let newest = match request.query()?.get("newest") {
        None | Some("0" | "false" | "") => false,
        Some("1" | "true") => true,
        Some(_) => return Err(Error::invalid("newest is 1 or 0")),
    };
    let set = Set::Repo(name.clone());
    entry::listing(&app.store, &set, |tx, rows| {
        repos::get(tx, &name)?.ok_or_else(|| rules::unknown_repo(&name))?;
        if newest { keep_newest(tx, rows) } else { Ok(rows) }
    })
}

/// Of each name and architecture the newest version.
fn keep_newest(tx: &ReadTx, rows: Vec<entry::Listed>) -> Result<Vec<entry::Listed>> {
    let mut best: HashMap<(String, String), (String, Digest)> = HashMap::new();
    for (digest, _) in &rows {
        if let Some(package) = packages::get(tx, digest)? {
            let version = (order::version_key(&package), *digest);
            let line = best.entry(order::line_of(&package)).or_insert_with(|| version.clone());
            if *line < version {
                *line = version;
            }
        }
    }
    let best: std::collections::HashSet<Digest> = best.into_values().map(|(_, digest)| digest).collect();
    Ok(rows.into_iter().filter(|(digest, _)| best.contains(digest)).collect())
}

/// `PUT /repo/NAME/packages`.
pub fn put(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    change(app, who, request, false)
}

/// `PATCH /repo/NAME/packages`.
pub fn patch(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    change(app, who, request, true)
}

fn change(app: &App, who: &Principal, request: &mut Request, patch: bool) -> Result<Response> {
    let name = request.params.get("name")?;
    app.store.read(|tx| repos::get(tx, &name))?.ok_or_else(|| rules::unknown_repo(&name))?;
    match body::read(request.body(), patch)? {
        Asked::List(list) if patch => {
            let entrant = Entrant { who: who.clone(), address: request.peer.ip(), asks: Asks::List(list) };
            match together::publish(app, &name, entrant)? {
                Told::Served(told) => Ok(answer(&name, &told.repo, told.counts, told.changed, &[])),
                Told::There(_) => Err(Error::internal("a list was taken for an upload")),
            }
        }
        asked => set(app, who, request, &name, asked),
    }
}

/// Makes the repo have what is asked for, whatever it has.
fn set(app: &App, who: &Principal, request: &Request, name: &str, asked: Asked) -> Result<Response> {
    let (outcome, warnings) = desk(app)?.alone(name, || {
        let repo = app.store.read(|tx| repos::get(tx, name))?.ok_or_else(|| rules::unknown_repo(name))?;
        let (kind, options) = (repo.kind, repo.options.clone());
        let mut wanted = Wanted::new(name, Some(repo.clone()), kind, options, &who.label(), Some(request.peer.ip()));
        let mut warnings = Vec::new();
        match asked {
            Asked::Sync { name, kind } => sync(desk(app)?, &mut wanted, &repo, &name, &kind)?,
            Asked::List(list) => {
                let extras = app.store.read(|tx| sets::extras(tx, &Set::Repo(wanted.name.clone())))?;
                by_hand(app, who, &mut wanted, &repo, list)?;
                if extras.is_empty() || wanted.change.is_empty() {
                    wanted.extras = extras;
                } else {
                    let names: Vec<String> = extras.into_keys().collect();
                    warnings.push(format!("{} was dropped because the list was set by hand", names.join(", ")));
                }
            }
        }
        Ok((publish::publish(desk(app)?, wanted)?, warnings))
    })?;
    Ok(answer(name, &outcome.repo, outcome.counts, outcome.changed, &warnings))
}

fn answer(name: &str, repo: &Repo, counts: Counts, changed: bool, warnings: &[String]) -> Response {
    let shown = json!({
        "name": name,
        "packages": counts.packages,
        "added": counts.added,
        "removed": counts.removed,
        "generation": repo.generation,
        "changed": changed,
        "warnings": warnings,
    });
    Response::json(200, &shown)
}

/// Fills in what a whole list given by hand changes.
fn by_hand(app: &App, who: &Principal, wanted: &mut Wanted, repo: &Repo, list: BTreeMap<String, Wish>) -> Result<()> {
    let listed = judge(app, who, &wanted.name, repo, list, &BTreeSet::new())?;
    let held = app.store.read(|tx| sets::members(tx, &Set::Repo(wanted.name.clone())))?;
    let will = listed.will(repo, &held)?;
    let target = will.into_iter().filter_map(|(digest, member)| Some((digest, member?))).collect();
    wanted.change = sets::difference(&held, &target);
    wanted.prepared = listed.prepared;
    wanted.prepared.retain(|digest, _| wanted.change.put.contains_key(digest));
    Ok(())
}

/// A list whose packages are known, or may become so, and fit the repo.
pub(super) struct Listed {
    /// What is asked for each.
    pub(super) wishes: BTreeMap<Digest, Wish>,
    /// Blobs of the server that become packages.
    pub(super) prepared: BTreeMap<Digest, Prepared>,
    facts: BTreeMap<Digest, Package>,
}

impl Listed {
    /// How the repo is to know each, none when not at all; `held` is how it knows them.
    pub(super) fn will(&self, repo: &Repo, held: &BTreeMap<Digest, Member>) -> Result<Vec<(Digest, Option<Member>)>> {
        let will = |(digest, wish): (&Digest, &Wish)| match wish {
            Wish::No => Ok((*digest, None)),
            Wish::Yes(names) => {
                let own = self.facts.get(digest).map(|package| package.filename.as_str());
                Ok((*digest, Some(member(repo, names.clone(), held.get(digest), own)?)))
            }
        };
        self.wishes.iter().map(will).collect()
    }
}

/// Judges a list; `coming` are packages that are about to become known.
///
/// # Errors
/// `Invalid`, naming what is unknown or of the wrong type.
pub(super) fn judge(
    app: &App,
    who: &Principal,
    name: &str,
    repo: &Repo,
    list: BTreeMap<String, Wish>,
    coming: &BTreeSet<Digest>,
) -> Result<Listed> {
    let set = Set::Repo(name.to_owned());
    let total = list.len();
    let mut unknown = Vec::new();
    let mut wishes: BTreeMap<Digest, Wish> = BTreeMap::new();
    for (key, wish) in list {
        match Digest::from_hex(&key) {
            Some(digest) => drop(wishes.insert(digest, wish)),
            None => unknown.push(key),
        }
    }
    let (mut facts, strangers) = app.store.read(|tx| known(tx, who, &wishes, &set, coming, &mut unknown))?;
    if !unknown.is_empty() {
        let verb = if unknown.len() == 1 { "is" } else { "are" };
        let plural = if total == 1 { "package" } else { "packages" };
        let sentence = format!("{} of {total} {plural} {verb} not known here", unknown.len());
        return Err(Error::invalid(sentence).about("unknown", unknown));
    }
    let mut prepared = BTreeMap::new();
    for (digest, first_name) in strangers {
        let new = become_package(app, &digest, &first_name)?;
        facts.insert(digest, new.package.clone());
        prepared.insert(digest, new);
    }
    check_types(name, repo.kind, facts.iter().map(|(digest, package)| (*digest, package.kind)))?;
    Ok(Listed { wishes, prepared, facts })
}

/// The known ones among what is wished for, and the blobs of the server that are to become packages; the rest is
/// unknown. What is to go need not be known.
type Known = (BTreeMap<Digest, Package>, Vec<(Digest, String)>);

fn known(
    tx: &ReadTx,
    who: &Principal,
    wishes: &BTreeMap<Digest, Wish>,
    set: &Set,
    coming: &BTreeSet<Digest>,
    unknown: &mut Vec<String>,
) -> Result<Known> {
    let (mut facts, mut strangers) = (BTreeMap::new(), Vec::new());
    let account = account_of(tx, who)?;
    let all = match (who, &account) {
        (Principal::Token(token), None) => token.admin,
        (_, account) => account.as_ref().is_some_and(|account| account.operator),
    };
    for (digest, wish) in wishes {
        if *wish == Wish::No {
            // What is not in the repo has to be at least something.
            let there = sets::member(tx, set, digest)?.is_some() || coming.contains(digest);
            if !there && !packages::is_known(tx, digest)? {
                unknown.push(digest.to_hex());
            }
            continue;
        }
        if let Some(package) = packages::get(tx, digest)? {
            facts.insert(*digest, package);
            continue;
        }
        match catalog::get(tx, digest)? {
            Some(artifact) if all || may_name(tx, who, account.as_ref().map(|a| &*a.username), digest)? => {
                strangers.push((*digest, artifact.first_name));
            }
            _ => unknown.push(digest.to_hex()),
        }
    }
    Ok((facts, strangers))
}

/// Whether somebody who does not run the server may name these bytes: everybody may learn of them, or he brought them.
fn may_name(tx: &impl Read, who: &Principal, username: Option<&str>, digest: &Digest) -> Result<bool> {
    if catalog::is_public(tx, digest)? {
        return Ok(true);
    }
    let labels = [Some(who.label()), username.map(|name| format!("user:{name}"))];
    let held = catalog::holders(tx, digest)?;
    Ok(held.iter().any(|held| labels.iter().flatten().any(|label| *label == held.hold.by)))
}

/// Reads bytes that came by another door.
fn become_package(app: &App, digest: &Digest, first_name: &str) -> Result<Prepared> {
    let hex = digest.to_hex();
    let name = rules::base_name(first_name).unwrap_or(&hex);
    let mut reader = app.store.blob(digest)?.reader()?;
    let now = app.clock.now();
    let size = reader.len();
    let of = |plain| Bytes { digest: *digest, size, name: Some(name), plain };
    match package::inspect(&mut reader, &of(false), Depth::Headers, now) {
        // What only looks like a package is a file like any other.
        Err(error) if error.kind == Kind::Invalid => package::inspect(&mut reader, &of(true), Depth::Headers, now),
        other => other,
    }
}

/// Refuses packages that a repo of this type does not take.
///
/// # Errors
/// `Invalid`, naming them.
pub(super) fn check_types(name: &str, kind: Type, packages: impl Iterator<Item = (Digest, PackageType)>) -> Result<()> {
    let wrong: Vec<String> = packages.filter(|(_, package)| !kind.takes(*package)).map(|(d, _)| d.to_hex()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let takes = if kind == Type::Yum { "rpm" } else { "deb" };
    let sentence = format!("repo {name} is of type {} and takes {takes} packages only", kind.word());
    Err(Error::invalid(sentence).about("mismatched", wrong))
}

/// How a repo is to know a package; what is not said stays as it is.
fn member(repo: &Repo, names: Names, held: Option<&Member>, own: Option<&str>) -> Result<Member> {
    let mut member = held.cloned().unwrap_or_default();
    match repo.kind {
        Type::Dir => {
            if let Some(filenames) = names.filenames {
                filenames.iter().try_for_each(|name| rules::check_path(name))?;
                member = Member::named(filenames);
            }
            if matches!(member.filenames.as_slice(), [only] if Some(only.as_str()) == own) {
                member.filenames.clear();
            }
        }
        Type::Apt => {
            if let Some(component) = names.component {
                options::check_component(&component)?;
                let own = paths::component(&Member::default(), &repo.options.component) == component;
                member.component = (!own).then_some(component);
            }
        }
        Type::Yum => {}
    }
    Ok(member)
}

/// Fills in what it takes to become a copy of another set.
///
/// # Errors
/// `NotFound` for an unknown set, `Conflict` for an upstream that was never synced, `Invalid` for one of another type.
pub fn sync(desk: &Desk, wanted: &mut Wanted, repo: &Repo, name: &str, kind: &str) -> Result<()> {
    let source = set_of(kind, name)?;
    let set = Set::Repo(wanted.name.clone());
    let (change, extras, kinds) = desk.store.read(|tx| {
        let from = source_type(tx, &source)?;
        if matches!((from, repo.kind), (Type::Yum, Type::Apt) | (Type::Apt, Type::Yum)) {
            let sentence =
                format!("{kind} {name} is of type {}, repo {} of type {}", from.word(), wanted.name, repo.kind.word());
            return Err(Error::invalid(sentence));
        }
        let mut members = sets::members(tx, &source)?;
        for member in members.values_mut() {
            let Member { filenames, component } = std::mem::take(member);
            let own = Member { filenames, component: component.filter(|_| repo.kind == Type::Apt) };
            *member = if repo.kind == Type::Dir || from == repo.kind { own } else { Member::default() };
        }
        let extras = if from == repo.kind { sets::extras(tx, &source)? } else { Extras::new() };
        let mut kinds = Vec::new();
        let change = sets::difference(&sets::members(tx, &set)?, &members);
        for digest in change.put.keys() {
            kinds.extend(packages::get(tx, digest)?.map(|package| (*digest, package.kind)));
        }
        Ok((change, extras, kinds))
    })?;
    check_types(&wanted.name, repo.kind, kinds.into_iter())?;
    (wanted.change, wanted.extras) = (change, extras);
    Ok(())
}

/// The set that has this type and name.
///
/// # Errors
/// `Invalid` for another type, `NotFound` for what cannot be the name of one.
pub(super) fn set_of(kind: &str, name: &str) -> Result<Set> {
    match (kind, name.split_once('@')) {
        ("upstream", None) => Ok(Set::Upstream(name.to_owned())),
        ("repo", None) => Ok(Set::Repo(name.to_owned())),
        ("snapshot", Some((repo, snapshot))) => Ok(Set::Snapshot(repo.to_owned(), snapshot.to_owned())),
        ("upstream" | "repo" | "snapshot", _) => {
            Err(Error::not_found(format!("there is no {kind} {}", rules::shown(name))))
        }
        _ => Err(Error::invalid("the type is upstream, repo or snapshot")),
    }
}

/// What a set is for.
pub(super) fn source_type(tx: &ReadTx, source: &Set) -> Result<Type> {
    let unknown = |what: &str, name: &str| Error::not_found(format!("there is no {what} {}", rules::shown(name)));
    match source {
        Set::Repo(name) => Ok(repos::get(tx, name)?.ok_or_else(|| unknown("repo", name))?.kind),
        Set::Snapshot(repo, name) => {
            let full = format!("{repo}@{name}");
            Ok(repos::snapshot(tx, repo, name)?.ok_or_else(|| unknown("snapshot", &full))?.repo.kind)
        }
        Set::Upstream(name) => {
            let upstream = upstream::get(tx, name)?.ok_or_else(|| unknown("upstream", name))?;
            match upstream.synced {
                Some(_) => Ok(upstream.definition.kind),
                None => Err(Error::conflict(format!("upstream {name} has never been synced"))),
            }
        }
    }
}

/// A change of a repo by the server itself: it becomes a copy of the `source` it follows.
///
/// # Errors
/// As [`sync`]; `Conflict` when it follows something else by now.
pub fn copy(desk: &Desk, name: &str, source: &Follow, who: &str) -> Result<Outcome> {
    desk.alone(name, || {
        let repo = desk.store.read(|tx| repos::get(tx, name))?.ok_or_else(|| rules::unknown_repo(name))?;
        if repo.options.follow.as_ref() != Some(source) {
            return Err(Error::conflict(format!("repo {name} follows something else by now")));
        }
        let (kind, options) = (repo.kind, repo.options.clone());
        let mut wanted = Wanted::new(name, Some(repo.clone()), kind, options, who, None);
        sync(desk, &mut wanted, &repo, &source.name, &source.kind)?;
        publish::publish(desk, wanted)
    })
}
