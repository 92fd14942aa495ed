//! `POST /import`: a bundle becomes the state of its repo here, all of it or nothing (`repos.md` §19.2).

use std::collections::BTreeMap;

use serde_json::json;

use super::incoming::{Asked, Incoming, Judged, Parcel, digest_of, judge_here};
use super::manifest::Line;
use super::unzip;
use crate::app::App;
use crate::audit;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::feeds::contents::check_types;
use crate::feeds::links::Base;
use crate::feeds::model::packages::{self, Prepared};
use crate::feeds::model::repos::{self, Import, Options, Repo};
use crate::feeds::model::{Member, PackageType, Set, Type, history, sets};
use crate::feeds::package::{self, Bytes, Depth};
use crate::feeds::publish::{self, Arrival, Outcome, Wanted, paths};
use crate::feeds::{desk, options, rules};
use crate::http::{Query, Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::{Loose, crash};

/// What came of it.
struct Done {
    outcome: Outcome,
    created: bool,
    import: Import,
    warnings: Vec<String>,
}

/// `POST /import`.
pub fn import(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let query = request.query()?;
    let asked = Asked { trust: flag(&query, "trust")?, replace: flag(&query, "replace")? };
    let parcel = receive(app, request, asked)?;
    crash::point("bundle-received");
    let name = parcel.judged.manifest.repo.clone();
    let done = desk(app)?.alone(&name, || settle(app, who, request, parcel, asked))?;
    let (repo, counts) = (&done.outcome.repo, done.outcome.counts);
    let uri = base.repo(&name);
    let shown = json!({
        "name": name,
        "type": repo.kind,
        "packages": counts.packages,
        "added": counts.added,
        "removed": counts.removed,
        "generation": repo.generation,
        "changed": done.outcome.changed,
        "imported": shown(&done.import),
        "warnings": done.warnings,
        "uri": uri,
    });
    let response = Response::json(if done.created { 201 } else { 200 }, &shown);
    Ok(if done.created { response.header("Location", uri) } else { response })
}

/// A state from a bundle as it is shown.
pub(in crate::feeds) fn shown(import: &Import) -> serde_json::Value {
    json!({
        "generation": import.generation,
        "created_at": import.created.rfc3339(),
        "imported_at": import.imported.rfc3339(),
        "signer": import.signer,
    })
}

fn flag(query: &Query, name: &str) -> Result<bool> {
    match query.get(name) {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(Error::invalid(format!("{name} is 1 or 0"))),
    }
}

/// Reads the bundle: the body, or the first file of a form.
fn receive(app: &App, request: &mut Request, asked: Asked) -> Result<Parcel> {
    let mut incoming = Incoming::new(desk(app)?, asked, app.settings.max_upload)?;
    if request.media_type() != "multipart/form-data" {
        unzip::walk(request.body(), &mut incoming)?;
        return incoming.finish();
    }
    let mut parts = request.multipart()?;
    let mut found = false;
    while let Some(mut part) = parts.next_part()? {
        if !found && part.file_name().is_some() {
            found = true;
            unzip::walk(&mut part, &mut incoming)?;
        }
    }
    match found {
        true => incoming.finish(),
        false => Err(Error::invalid("the form has no part with a file name")),
    }
}

/// Makes the repo what the bundle says. The caller is alone with the repo.
fn settle(app: &App, who: &Principal, request: &Request, mut parcel: Parcel, asked: Asked) -> Result<Done> {
    let manifest = &parcel.judged.manifest;
    let (name, kind, set) = (manifest.repo.clone(), manifest.kind, Set::Repo(manifest.repo.clone()));
    let digest = digest_of(manifest);
    let (old, held) = app.store.read(|tx| {
        judge_here(tx, manifest, &digest, asked.replace)?;
        Ok((repos::get(tx, &name)?, sets::members(tx, &set)?))
    })?;
    let import = import_of(&parcel.judged, digest, app.clock.now())?;
    let mut warnings = warnings(&parcel.judged, old.as_ref(), &history::fingerprint(held.keys()));
    let options = options_of(&parcel.judged, old.as_ref())?;
    let prepared = inspect(app, &parcel)?;
    let members = members(app, &parcel.judged, &options, &prepared)?;
    let extras = manifest.extras();
    let files = extras.values().map(|extra| (extra.digest, extra.size, extra.name.clone())).collect();
    let mut wanted = Wanted::new(&name, old.clone(), kind, options, &who.label(), Some(request.peer.ip()));
    wanted.change = sets::difference(&held, &members);
    wanted.extras = extras;
    wanted.prepared = prepared;
    wanted.staged = parcel.batch.flush(parcel.packages.into_values().chain(parcel.extra.into_values()).collect())?;
    wanted.arrival = Some(Arrival { import: import.clone(), files });
    let mut outcome = publish::publish(desk(app)?, wanted)?;
    if !outcome.changed {
        outcome.repo = note(app, who, request, &name, outcome.repo, &import)?;
    }
    if outcome.repo.packages != members.len() as u64 {
        warnings.push("the repo's own retention has left out packages of the bundle".to_owned());
    }
    Ok(Done { outcome, created: old.is_none(), import, warnings })
}

fn import_of(judged: &Judged, digest: Digest, now: Time) -> Result<Import> {
    let created = Time(judged.manifest.published()?.saturating_mul(1_000_000));
    let (generation, signer) = (judged.manifest.generation, judged.signer.clone());
    Ok(Import { generation, digest, created, imported: now, signer })
}

/// What the owner should know though nothing is wrong.
fn warnings(judged: &Judged, old: Option<&Repo>, state: &Digest) -> Vec<String> {
    let mut warnings = Vec::new();
    if judged.signer.is_none() {
        warnings.push("the bundle was taken on trust: nobody trusted here has signed it".to_owned());
    }
    if old.and_then(|old| old.imports.last()).is_some_and(|last| last.digest != *state) {
        warnings.push("the repo was changed here since its last import; it is now what the bundle says".to_owned());
    }
    warnings
}

/// How the repo is to be published. What it keeps and follows is decided here.
fn options_of(judged: &Judged, old: Option<&Repo>) -> Result<Options> {
    let ours = match old {
        Some(old) => Options { retain: old.options.retain, follow: old.options.follow.clone(), ..Options::default() },
        None => Options::default(),
    };
    let mut given = judged.manifest.options.clone();
    given.retain(|key, _| !matches!(key.as_str(), "retain" | "follow"));
    options::read(judged.manifest.kind, &given, ours)
}

/// Reads the packages that are new here.
fn inspect(app: &App, parcel: &Parcel) -> Result<BTreeMap<Digest, Prepared>> {
    let manifest = &parcel.judged.manifest;
    let lines = manifest.by_shasum();
    let mut prepared = BTreeMap::new();
    for (digest, loose) in &parcel.packages {
        if let Some(line) = lines.get(digest) {
            prepared.insert(*digest, inspect_one(loose, line, manifest.kind, app.clock.now())?);
        }
    }
    Ok(prepared)
}

fn inspect_one(loose: &Loose, line: &Line, kind: Type, now: Time) -> Result<Prepared> {
    let mut file = loose.open().map_err(Error::internal)?;
    let name = Some(line.name());
    let of = |plain| Bytes { digest: loose.digest(), size: loose.size(), name, plain };
    match package::inspect(&mut file, &of(false), Depth::Headers, now) {
        // A directory holds whatever it holds, broken packages too.
        Err(error) if kind == Type::Dir && error.kind == Kind::Invalid => {
            package::inspect(&mut file, &of(true), Depth::Headers, now)
        }
        Err(error) if error.kind == Kind::Invalid => {
            Err(Error::invalid(format!("{}: {}", rules::shown(&line.filename), error.message)))
        }
        other => other,
    }
}

/// The packages of the repo, as it is to know them.
fn members(
    app: &App,
    judged: &Judged,
    options: &Options,
    prepared: &BTreeMap<Digest, Prepared>,
) -> Result<BTreeMap<Digest, Member>> {
    let manifest = &judged.manifest;
    let own = paths::component(&Member::default(), &options.component).to_owned();
    let mut kinds: Vec<(Digest, PackageType)> = Vec::with_capacity(manifest.packages.len());
    let members = app.store.read(|tx| {
        let mut members = BTreeMap::new();
        for line in &manifest.packages {
            let known = match prepared.get(&line.shasum) {
                Some(new) => Some(new.package.clone()),
                None => packages::get(tx, &line.shasum)?,
            };
            let missing = || Error::conflict(format!("package {} was deleted meanwhile", line.shasum));
            let package = known.ok_or_else(missing)?;
            kinds.push((line.shasum, package.kind));
            let member = match manifest.kind {
                Type::Dir if line.names() == std::slice::from_ref(&package.filename) => Member::default(),
                Type::Dir => Member::named(line.names().to_vec()),
                Type::Apt => {
                    let component = line.component.clone().filter(|component| *component != own);
                    Member { component, ..Member::default() }
                }
                Type::Yum => Member::default(),
            };
            members.insert(line.shasum, member);
        }
        Ok(members)
    })?;
    check_types(&manifest.repo, manifest.kind, kinds.into_iter())?;
    Ok(members)
}

/// Notes that a state came that is the one there is already.
fn note(app: &App, who: &Principal, request: &Request, name: &str, repo: Repo, import: &Import) -> Result<Repo> {
    let same = |last: &Import| (last.generation, last.digest) == (import.generation, import.digest);
    if repo.imports.last().is_some_and(same) {
        return Ok(repo);
    }
    let (name, import) = (name.to_owned(), import.clone());
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        let mut repo = repos::get(tx, &name)?.ok_or_else(|| rules::unknown_repo(&name))?;
        repo.note_import(import.clone());
        repos::put(tx, &name, &repo)?;
        audit::note(tx, now, &label, "repo.import", &import.subject(&name), Some(address))?;
        Ok(repo)
    })
}
