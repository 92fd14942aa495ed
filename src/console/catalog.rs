//! The catalog for people: search over artifacts, one artifact with all that is known of it, its bytes.

use serde_json::{Value, json};

use crate::app::App;
use crate::audit;
use crate::catalog::{self, Artifact, Cursor, Held, Holder, Query};
use crate::console::rules::{self, Order, Wanted};
use crate::console::{Console, fresh, owner};
use crate::error::{Error, Kind, Result};
use crate::formats;
use crate::http::{FileAnswer, Request, Response, serve_file};
use crate::identity::{AccountRef, Principal};
use crate::ids::Digest;
use crate::store::table::Read;

/// Lines of the audit trail shown with an artifact.
const HISTORY: usize = 100;

/// `GET /ui/api/artifacts`: a page of the catalog. The owner of the installation sees all of it, other owners what is
/// public.
pub fn search(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let query = request.form_query()?;
    let wanted = rules::wanted(|name| query.get(name))?;
    let (rows, next) = app.store.read(|tx| {
        let (rows, next) = page(tx, &wanted, !me.operator)?;
        let rows = rows.iter().map(|(digest, artifact)| line(tx, digest, artifact)).collect::<Result<Vec<_>>>()?;
        Ok((rows, next))
    })?;
    Ok(fresh(&json!({ "rows": rows, "next": next })))
}

type Rows = Vec<(Digest, Artifact)>;

fn page(tx: &impl Read, wanted: &Wanted, public_only: bool) -> Result<(Rows, Option<String>)> {
    let kind = wanted.kind.as_deref().map(|word| formats::Kind::from_word(word).ok_or_else(|| unknown("kind")));
    let nowhere = wanted.held.as_deref() == Some(rules::NOWHERE);
    let query = Query {
        text: wanted.text.clone(),
        kind: kind.transpose()?,
        holder: wanted.held.clone().filter(|_| !nowhere),
        held_only_by: nowhere.then_some(rules::LOOSE),
        not_only_by: wanted.held.is_none().then_some(rules::BEHIND),
        arch: wanted.arch.clone(),
        public_only,
    };
    let digest = |text: &str| Digest::from_hex(text).ok_or_else(|| unknown("cursor"));
    let place = |after: &Option<(u64, String)>| {
        after.as_ref().map(|(place, at)| Ok::<_, Error>((*place, digest(at)?))).transpose()
    };
    match &wanted.order {
        Order::Name(after) => {
            let after: Option<Cursor> =
                after.as_ref().map(|(name, at)| Ok::<_, Error>((name.clone(), digest(at)?))).transpose()?;
            let found = catalog::search(tx, &query, after.as_ref(), wanted.limit)?;
            let next = found.next.map(|(name, digest)| rules::name_cursor(&name, &digest.to_hex()));
            Ok((found.rows, next))
        }
        Order::Newest(after) => {
            let (rows, next) = catalog::newest(tx, &query, place(after)?, wanted.limit)?;
            Ok((rows, next.map(|(time, digest)| rules::place_cursor(time, &digest.to_hex()))))
        }
        Order::Largest(after) => {
            let (rows, next) = catalog::largest(tx, &query, place(after)?, wanted.limit)?;
            Ok((rows, next.map(|(size, digest)| rules::place_cursor(size, &digest.to_hex()))))
        }
    }
}

fn unknown(what: &str) -> Error {
    Error::invalid(format!("{what} is not one this server knows"))
}

/// The name an artifact is shown by: its own, else its file's.
pub(super) fn shown_name<'a>(artifact: &'a Artifact, holders: &'a [Held]) -> &'a str {
    artifact.facts.name.as_deref().unwrap_or_else(|| shown_file(artifact, holders))
}

/// The file name it came by; where that was made up, what its first holder calls it.
fn shown_file<'a>(artifact: &'a Artifact, holders: &'a [Held]) -> &'a str {
    let called = holders.iter().map(|held| held.hold.file_name.as_str()).find(|called| !called.is_empty());
    called.filter(|_| rules::is_made_up(&artifact.first_name)).unwrap_or(&artifact.first_name)
}

/// A row of the catalog.
fn line(tx: &impl Read, digest: &Digest, artifact: &Artifact) -> Result<Value> {
    let mut held: Vec<String> = Vec::new();
    let holders = catalog::holders(tx, digest)?;
    for holder in &holders {
        let kind = holder.label.kind();
        if !held.iter().any(|known| known == kind) {
            held.push(kind.to_owned());
        }
    }
    Ok(json!({
        "digest": digest,
        "name": shown_name(artifact, &holders),
        "file": shown_file(artifact, &holders),
        "version": artifact.facts.version,
        "arch": artifact.facts.arch,
        "kind": artifact.facts.kind,
        "size": artifact.size,
        "created": artifact.created.rfc3339(),
        "held": held,
    }))
}

/// `GET /ui/api/artifacts/{digest}`: its facts, everybody who holds it, and what happened to it.
pub fn one(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let digest = digest(request)?;
    let shown = app.store.read(|tx| {
        let artifact = seen(tx, me, &digest)?;
        let holders = catalog::holders(tx, &digest)?;
        let mut shown = line(tx, &digest, &artifact)?;
        shown["facts"] = serde_json::to_value(&artifact.facts).map_err(Error::internal)?;
        shown["public"] = catalog::is_public(tx, &digest)?.into();
        shown["holders"] = holders.iter().map(holder).collect();
        shown["history"] = match me.operator {
            true => history(tx, &digest, &holders)?,
            false => Value::Array(Vec::new()),
        };
        Ok(shown)
    })?;
    Ok(fresh(&shown))
}

fn digest(request: &Request) -> Result<Digest> {
    Digest::from_hex(&request.params.get("digest")?).ok_or_else(|| Error::invalid("a SHA-256 has 64 hex digits"))
}

/// The artifact, if `me` may know of it: the owner of the installation of any, another owner of what is public and of
/// what it brought itself.
fn seen(tx: &impl Read, me: &AccountRef, digest: &Digest) -> Result<Artifact> {
    let own = format!("user:{}", me.username);
    let may = me.operator
        || catalog::is_public(tx, digest)?
        || catalog::holders(tx, digest)?.iter().any(|held| held.hold.by == own);
    match catalog::get(tx, digest)? {
        Some(artifact) if may && catalog::is_held(tx, digest)? => Ok(artifact),
        _ => Err(Error::not_found("there is no such artifact")),
    }
}

fn holder(held: &Held) -> Value {
    json!({
        "kind": held.label.kind(),
        "parts": held.label.parts(),
        "label": held.label.as_str(),
        "file": held.hold.file_name,
        "public": held.hold.public,
        "since": held.hold.since.rfc3339(),
        "by": held.hold.by,
    })
}

/// Lines of the trail about the artifact or what holds it.
fn history(tx: &impl Read, digest: &Digest, holders: &[Held]) -> Result<Value> {
    let holders: Vec<String> = holders.iter().map(|held| subject(&held.label)).collect();
    let digest = digest.to_hex();
    let fits = |event: &audit::Event| rules::tells_of(&event.subject, &digest, &holders);
    let (events, _) = audit::search(tx, &fits, None, HISTORY)?;
    Ok(events.iter().map(super::trail::line).collect())
}

/// How the trail writes what a holder stands for: the parts with blanks between them.
fn subject(label: &Holder) -> String {
    label.parts().join(" ")
}

/// `POST /ui/api/artifacts/{digest}/link`: an address that a browser's own download can fetch for ten minutes.
pub fn link(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let digest = digest(request)?;
    let name = app.store.read(|tx| {
        let artifact = seen(tx, me, &digest)?;
        Ok(shown_file(&artifact, &catalog::holders(tx, &digest)?).to_owned())
    })?;
    let ticket = app.rooms.get::<Console>()?.issue_ticket(digest, name, app.clock.now())?;
    Ok(fresh(&json!({ "address": format!("/ui/api/file?ticket={}", ticket.as_str()) })))
}

/// `GET /ui/api/file?ticket=…`: the bytes a ticket was issued for. The query never reaches the log.
pub fn file(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let query = request.form_query()?;
    let ticket = query.get("ticket").unwrap_or_default();
    let found = app.rooms.get::<Console>()?.ticket(ticket, app.clock.now());
    let (digest, name) = found.ok_or_else(|| Error::new(Kind::Forbidden, "this link has ended: ask for it again"))?;
    let artifact = app.store.read(|tx| catalog::get(tx, &digest))?;
    let artifact = artifact.ok_or_else(|| Error::not_found("there is no such artifact any more"))?;
    let source = app.bytes(&digest, &request.head)?;
    let answer = FileAnswer {
        source: Box::new(source),
        etag: format!("\"{}\"", digest.to_hex()),
        last_modified: artifact.created.system(),
        content_type: "application/octet-stream".to_owned(),
        download_name: Some(name),
        cache_control: "private, no-store",
        extra: Vec::new(),
    };
    Ok(serve_file(&request.head, answer))
}
