//! Handlers of `/upstream` (`repos.md` §2).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::feeds::entry;
use crate::feeds::links::Base;
use crate::feeds::model::sets::Hand;
use crate::feeds::model::{Set, absent, follow};
use crate::feeds::rules;
use crate::feeds::sync::{LONGEST_WAIT, Syncs, is_open};
use crate::feeds::upstream::{self, State, Sync, Upstream};
use crate::feeds::upstream_rules;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// The largest body of a definition, in bytes.
const LARGEST_BODY: u64 = 1 << 20;

/// `GET /upstream`: every upstream with its address.
pub fn list(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let names = app.store.read(upstream::names)?;
    let shown: Map<String, Value> = names.into_iter().map(|name| (name.clone(), base.upstream(&name).into())).collect();
    Ok(Response::json(200, &shown))
}

/// `POST /upstream`: makes one and starts its first sync.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let (base, wait) = (Base::of(app, request)?, wait(request)?);
    let given = body(request, false)?;
    let name = match given.get("name") {
        Some(Value::String(name)) => name.clone(),
        _ => return Err(Error::invalid("name is missing or not a text")),
    };
    rules::check_name(&name)?;
    let (_, id) = make(app, who, request, &name, &given)?;
    wait_for(app, &name, &id, wait)?;
    let uri = base.upstream(&name);
    Ok(Response::json(201, &json!({ "uri": uri })).header("Location", uri))
}

/// `GET /upstream/{name}`.
pub fn show(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    Ok(Response::json(200, &look(app, &name)?))
}

/// `PUT /upstream/{name}`: makes one, or changes one and syncs it again.
pub fn put(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let (base, wait) = (Base::of(app, request)?, wait(request)?);
    let name = request.params.get("name")?;
    let given = body(request, true)?;
    rules::check_name(&name)?;
    if given.get("name").is_some_and(|given| given.as_str() != Some(&name)) {
        return Err(Error::invalid("name differs from the one in the address"));
    }
    let known = app.store.read(|tx| upstream::get(tx, &name))?.is_some();
    let (made, id) = match known {
        true => change(app, who, request, &name, &given)?,
        false => make(app, who, request, &name, &given)?,
    };
    wait_for(app, &name, &id, wait)?;
    let shown = look(app, &name)?;
    let response = Response::json(if made { 201 } else { 202 }, &shown);
    Ok(if made { response.header("Location", base.upstream(&name)) } else { response })
}

/// `DELETE /upstream/{name}`: with its set; a running sync is called off first.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let (deleted, store, now) = (name.clone(), app.store.clone(), app.clock.now());
    let (label, address) = (who.label(), request.peer.ip());
    let (running, lost) = app.store.commit(move |tx| {
        let running = upstream::last_sync(tx, &deleted)?.filter(|sync| is_open(sync.state));
        let hand = Hand { store: &store, who: &label, now };
        let lost = upstream::delete(tx, hand, &deleted)?;
        follow::end(tx, hand, &Set::Upstream(deleted.clone()))?;
        audit::note(tx, now, &label, "upstream.delete", &deleted, Some(address))?;
        Ok((running.map(|sync| sync.id), lost))
    })?;
    let syncs = syncs(app)?;
    if let Some(id) = running {
        syncs.call_off(&id);
    }
    syncs.tell();
    let mut shown = json!({ "deleted": name });
    if lost > 0 {
        let packages = if lost == 1 { "1 package".to_owned() } else { format!("{lost} packages") };
        let words = format!("{packages} that others list were never fetched from it, and nobody else is known to have");
        shown["warnings"] = json!([format!("{words} {}", if lost == 1 { "it" } else { "them" })]);
    }
    Ok(Response::json(200, &shown))
}

/// `GET /upstream/{name}/packages`: the set of the last good sync.
pub fn packages(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    app.store.read(|tx| upstream::get(tx, &name))?.ok_or_else(|| upstream::unknown(&name))?;
    entry::listing(&app.store, &Set::Upstream(name), |_, rows| Ok(rows))
}

/// `GET /upstream/{name}/sync`: the latest job.
pub fn sync(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let wait = wait(request)?;
    let sync = app.store.read(|tx| upstream::last_sync(tx, &name))?.ok_or_else(|| upstream::unknown(&name))?;
    wait_for(app, &name, &sync.id, wait)?;
    let sync = app.store.read(|tx| upstream::last_sync(tx, &name))?.ok_or_else(|| upstream::unknown(&name))?;
    Ok(Response::json(200, &shown_sync(app, &name, sync)?))
}

/// `DELETE /upstream/{name}/sync`: calls the latest job off if it has not ended.
pub fn cancel(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let (cancelled, now) = (name.clone(), app.clock.now());
    let (label, address) = (who.label(), request.peer.ip());
    let (sync, open) = app.store.commit(move |tx| {
        let mut sync = upstream::last_sync(tx, &cancelled)?.ok_or_else(|| upstream::unknown(&cancelled))?;
        let open = is_open(sync.state);
        if open {
            sync.state = State::Cancelled;
            sync.finished = Some(now);
            sync.error = Some("cancelled".to_owned());
            upstream::note_sync(tx, &cancelled, &sync)?;
            audit::note(tx, now, &label, "upstream.cancel", &cancelled, Some(address))?;
        }
        Ok((sync, open))
    })?;
    let syncs = syncs(app)?;
    if open {
        syncs.call_off(&sync.id);
        syncs.tell();
    }
    Ok(Response::json(200, &shown_sync(app, &name, sync)?))
}

/// Makes an upstream and asks for its first sync; answers that it was made, and the sync's id.
fn make(
    app: &App,
    who: &Principal,
    request: &Request,
    name: &str,
    given: &Map<String, Value>,
) -> Result<(bool, String)> {
    let definition = upstream_rules::definition(given, None)?;
    let (name, now, label, address) = (name.to_owned(), app.clock.now(), who.label(), request.peer.ip());
    let syncs = syncs(app)?;
    let asked = syncs.clone();
    let id = app.store.commit(move |tx| {
        let upstream = upstream::create(tx, &name, &definition, now)?;
        audit::note(tx, now, &label, "upstream.create", &name, Some(address))?;
        asked.ask(tx, &name, &upstream, true, &label, now)
    })?;
    syncs.reschedule();
    Ok((true, id))
}

/// Changes an upstream and asks for a sync; one under way for the older definition is called off.
fn change(
    app: &App,
    who: &Principal,
    request: &Request,
    name: &str,
    given: &Map<String, Value>,
) -> Result<(bool, String)> {
    let (name, given, now) = (name.to_owned(), given.clone(), app.clock.now());
    let (label, address) = (who.label(), request.peer.ip());
    let syncs = syncs(app)?;
    let asked = syncs.clone();
    let (id, replaced) = app.store.commit(move |tx| {
        let old = upstream::get(tx, &name)?.ok_or_else(|| upstream::unknown(&name))?;
        let definition = upstream_rules::definition(&given, Some(&old.definition))?;
        let changed = definition != old.definition;
        let running = upstream::last_sync(tx, &name)?.filter(|sync| is_open(sync.state));
        let upstream = upstream::redefine(tx, &name, &definition, now)?;
        if changed {
            audit::note(tx, now, &label, "upstream.change", &name, Some(address))?;
        }
        let id = asked.ask(tx, &name, &upstream, changed, &label, now)?;
        Ok((id, running.map(|sync| sync.id).filter(|_| changed)))
    })?;
    if let Some(replaced) = replaced.filter(|replaced| *replaced != id) {
        syncs.call_off(&replaced);
        syncs.tell();
    }
    syncs.reschedule();
    Ok((false, id))
}

fn syncs(app: &App) -> Result<Arc<Syncs>> {
    app.rooms.get::<Arc<Syncs>>().cloned()
}

/// The body as an object; an empty one when it is empty and may be.
fn body(request: &mut Request, may_be_empty: bool) -> Result<Map<String, Value>> {
    let bytes = request.bytes(LARGEST_BODY)?;
    if may_be_empty && bytes.is_empty() {
        return Ok(Map::new());
    }
    match crate::http::parse_json(&bytes)? {
        Value::Object(given) => Ok(given),
        _ => Err(Error::invalid("the body must be a JSON object")),
    }
}

/// `?wait=SECONDS`.
fn wait(request: &Request) -> Result<Option<Duration>> {
    match request.query()?.get("wait") {
        None => Ok(None),
        Some(text) => {
            let seconds = text.parse::<u64>().map_err(|_| Error::invalid("wait must be a number of seconds"))?;
            Ok(Some(Duration::from_secs(seconds.min(LONGEST_WAIT))))
        }
    }
}

fn wait_for(app: &App, name: &str, id: &str, wait: Option<Duration>) -> Result<()> {
    match wait {
        Some(wait) => syncs(app)?.wait(name, id, wait),
        None => Ok(()),
    }
}

/// An upstream as it is shown: never its password or headers.
fn look(app: &App, name: &str) -> Result<Value> {
    let (upstream, sync, absent) = app.store.read(|tx| {
        let upstream = upstream::get(tx, name)?.ok_or_else(|| upstream::unknown(name))?;
        let absent = absent::count(tx, &Set::Upstream(name.to_owned()).holder())?;
        Ok((upstream, upstream::last_sync(tx, name)?, absent))
    })?;
    let definition = &upstream.definition;
    Ok(json!({
        "name": name,
        "path": definition.path,
        "type": definition.kind.word(),
        "created_at": upstream.created.rfc3339(),
        "updated_at": upstream.updated.rfc3339(),
        "status": status(&upstream, sync.as_ref()),
        "error": sync.as_ref().filter(|sync| sync.state == State::Failed).and_then(|sync| sync.error.clone()),
        "packages": upstream.packages,
        "synced_at": upstream.synced.map(|time| time.rfc3339()),
        "verified": upstream.verified,
        "has_key": definition.key.is_some(),
        "allow_expired": definition.allow_expired,
        "arch": definition.arch,
        "interval": definition.interval,
        "policy": definition.policy,
        "absent": absent,
    }))
}

fn status(upstream: &Upstream, sync: Option<&Sync>) -> &'static str {
    match (sync.map(|sync| sync.state), upstream.synced) {
        (Some(State::Queued | State::Running), _) => "syncing",
        (Some(State::Failed), _) => "failed",
        (_, Some(_)) => "ok",
        (_, None) => "new",
    }
}

fn shown_sync(app: &App, name: &str, mut sync: Sync) -> Result<Value> {
    if sync.state == State::Running
        && let Some((counts, phase)) = syncs(app)?.look(name)
    {
        sync.counts = counts;
        phase.clone_into(&mut sync.phase);
    }
    let mut shown = serde_json::to_value(sync.counts).map_err(Error::internal)?;
    let facts = json!({
        "id": sync.id,
        "state": sync.state,
        "phase": sync.phase,
        "started_at": sync.started.map(|time| time.rfc3339()),
        "finished_at": sync.finished.map(|time| time.rfc3339()),
        "not_modified": sync.not_modified,
        "error": sync.error,
        "warnings": sync.warnings,
    });
    match (&mut shown, facts) {
        (Value::Object(shown), Value::Object(facts)) => shown.extend(facts),
        _ => return Err(Error::new(Kind::Internal, "a sync cannot be shown")),
    }
    Ok(shown)
}
