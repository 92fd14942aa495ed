//! Handlers of snapshots (`repos.md` §19.1) and of the difference between two sets (§19.5).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::feeds::links::Base;
use crate::feeds::model::repos::{self, Snapshot};
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::{Member, Package, PackageType, Set, packages, trees};
use crate::feeds::{contents, desk, entry, order, rules};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::table::ReadTx;

/// The largest body, in bytes.
const BODY: u64 = 1 << 16;

/// `GET /repo/NAME/snapshots`.
pub fn list(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let base = Base::of(app, request)?;
    let snapshots = app.store.read(|tx| {
        repos::get(tx, &name)?.ok_or_else(|| rules::unknown_repo(&name))?;
        repos::snapshots(tx, &name)
    })?;
    let shown = snapshots.into_iter().map(|(snapshot, row)| {
        let shown = json!({
            "created_at": row.created.rfc3339(),
            "packages": row.repo.packages,
            "generation": row.repo.generation,
            "uri": base.snapshot(&name, &snapshot),
        });
        (snapshot, shown)
    });
    Ok(Response::json(200, &shown.collect::<Map<String, Value>>()))
}

/// `POST /repo/NAME/snapshots`.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let repo = request.params.get("name")?;
    let base = Base::of(app, request)?;
    let given = request.json(BODY)?;
    let name = match given.as_object().map(|given| given.get("name")) {
        Some(Some(Value::String(name))) => name.clone(),
        Some(_) => return Err(Error::invalid("name is missing")),
        None => return Err(Error::invalid("the body is not a JSON object")),
    };
    rules::check_name(&name)?;
    let uri = base.snapshot(&repo, &name);
    let (store, now, address, label) = (app.store.clone(), app.clock.now(), request.peer.ip(), who.label());
    desk(app)?.alone(&repo.clone(), || {
        app.store.commit(move |tx| {
            let row = repos::get(tx, &repo)?.ok_or_else(|| rules::unknown_repo(&repo))?;
            if repos::snapshot(tx, &repo, &name)?.is_some() {
                return Err(Error::conflict(format!("repo {repo} has a snapshot {name} already")));
            }
            let hand = Hand { store: &store, who: &label, now };
            trees::add_snapshot(tx, hand, &repo, &name, &Snapshot { created: now, repo: row })?;
            audit::note(tx, now, &label, "repo.snapshot", &format!("{repo}@{name}"), Some(address))
        })
    })?;
    Ok(Response::json(201, &json!({ "uri": uri })).header("Location", uri))
}

/// `DELETE /repo/NAME/snapshots/SNAPSHOT`.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let (repo, name) = (request.params.get("name")?, request.params.get("snapshot")?);
    let (store, now, address, label) = (app.store.clone(), app.clock.now(), request.peer.ip(), who.label());
    let deleted = name.clone();
    desk(app)?.alone(&repo.clone(), || {
        app.store.commit(move |tx| {
            repos::get(tx, &repo)?.ok_or_else(|| rules::unknown_repo(&repo))?;
            let hand = Hand { store: &store, who: &label, now };
            let full = format!("{repo}@{name}");
            if !trees::remove_snapshot(tx, hand, &repo, &name)? {
                return Err(Error::not_found(format!("there is no snapshot {}", rules::shown(&full))));
            }
            audit::note(tx, now, &label, "snapshot.delete", &full, Some(address))
        })
    })?;
    Ok(Response::json(200, &json!({ "deleted": deleted })))
}

/// `GET /repo/NAME/diff?with=repo/X`.
pub fn diff(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let query = request.query()?;
    let with =
        query.get("with").ok_or_else(|| Error::invalid("with is missing: repo/X, upstream/X or snapshot/X@S"))?;
    let (kind, other) =
        with.split_once('/').ok_or_else(|| Error::invalid("with is repo/X, upstream/X or snapshot/X@S"))?;
    let other = contents::set_of(kind, other)?;
    let shown = app.store.read(|tx| {
        repos::get(tx, &name)?.ok_or_else(|| rules::unknown_repo(&name))?;
        contents::source_type(tx, &other)?;
        let here = sets::members(tx, &Set::Repo(name.clone()))?;
        let there = sets::members(tx, &other)?;
        let same = here.keys().filter(|digest| there.contains_key(digest)).count();
        let only_here = only(tx, &here, &there)?;
        let only_there = only(tx, &there, &here)?;
        let upgraded = upgraded(&only_here, &only_there);
        let shown = |side: &[(Digest, Package, Member)]| -> Map<String, Value> {
            side.iter()
                .map(|(d, package, member)| (d.to_hex(), entry::entry(d, package, Some(member)).into()))
                .collect()
        };
        Ok(json!({
            "only_here": shown(&only_here),
            "only_there": shown(&only_there),
            "same": same,
            "upgraded": upgraded,
        }))
    })?;
    Ok(Response::json(200, &shown))
}

type Side = Vec<(Digest, Package, Member)>;

fn only(tx: &ReadTx, one: &BTreeMap<Digest, Member>, other: &BTreeMap<Digest, Member>) -> Result<Side> {
    let mut side = Vec::new();
    for (digest, member) in one.iter().filter(|(digest, _)| !other.contains_key(digest)) {
        if let Some(package) = packages::get(tx, digest)? {
            side.push((*digest, package, member.clone()));
        }
    }
    Ok(side)
}

/// Names and architectures whose newest version on the other side is newer.
fn upgraded(here: &Side, there: &Side) -> Vec<Value> {
    let newest = |side: &Side| {
        let mut newest: BTreeMap<(String, String), (String, String)> = BTreeMap::new();
        for (_, package, _) in side.iter().filter(|(_, package, _)| package.kind != PackageType::File) {
            let version = (order::version_key(package), full_version(package));
            let line = newest.entry(order::line_of(package)).or_insert_with(|| version.clone());
            if *line < version {
                *line = version;
            }
        }
        newest
    };
    let there = newest(there);
    let pairs = newest(here).into_iter().filter_map(|(line, from)| Some((there.get(&line)?.clone(), line, from)));
    let risen = pairs.filter(|(to, _, from)| to.0 > from.0);
    risen.map(|(to, (name, arch), from)| json!({ "name": name, "arch": arch, "from": from.1, "to": to.1 })).collect()
}

/// A version as people write it.
fn full_version(package: &Package) -> String {
    match package.kind {
        PackageType::Rpm if package.epoch > 0 => format!("{}:{}-{}", package.epoch, package.version, package.release),
        PackageType::Rpm => format!("{}-{}", package.version, package.release),
        _ => package.version.clone(),
    }
}
