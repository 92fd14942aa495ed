//! Tokens for build pipelines, which may upload to some apps and nothing else (`faynosync.md` §14.2).

use serde_json::{Value, json};

use crate::app::App;
use crate::apps::actor::Actor;
use crate::apps::form::{self, Fields};
use crate::apps::model;
use crate::audit;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::tokens::{self, ApiToken, Scope};
use crate::identity::{Principal, RawToken, TokenKey};
use crate::ids::{Digest, ObjectId, random};
use crate::store::table::Read;

const WORDS: &str = "Invalid request body";
/// Characters of a raw token that lists show, its mark included.
const PREFIX: usize = 12;
/// The longest name, in bytes.
const NAME_LIMIT: usize = 128;
/// Most tokens of one account, and most apps of one token.
const MOST: usize = 1000;

/// `POST /token/create`: a new token, shown this once.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, WORDS)?;
    let now = app.clock.now();
    let name = body.required("name")?.to_owned();
    if name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(body.wrong());
    }
    let apps = allowed_apps(&body)?;
    let expires = body.filled("expires_at")?.map(|text| parse_time(text).ok_or_else(|| body.wrong())).transpose()?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::invalid("expires_at must be in the future"));
    }
    let raw = RawToken::from_text(&format!("fns_{}", Digest(random()?).to_hex()));
    let prefix: String = raw.as_str().chars().take(PREFIX).collect();
    let scope = Scope { id: ObjectId::random()?, name, prefix, apps, expires };
    let token = ApiToken { account: Some(actor.account), scope: Some(scope.clone()), ..ApiToken::new(false, now) };
    let mut shown = show(&scope, now);
    shown["token"] = raw.as_str().into();
    let (key, label, address) = (raw.key(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        for id in &scope.apps {
            if model::app(tx, *id)?.is_none_or(|app| app.tenant != actor.tenant) {
                return Err(Error::not_found("app not found"));
            }
        }
        if of(tx, &actor)?.len() >= MOST {
            return Err(Error::conflict("too many tokens: delete some first"));
        }
        tokens::insert(tx, key, &token)?;
        audit::note(tx, now, &label, "token.create", &key.fingerprint(), Some(address))
    })?;
    Ok(Response::json(201, &shown).header("Cache-Control", "no-store"))
}

fn allowed_apps(body: &Fields) -> Result<Vec<ObjectId>> {
    let list = body.value("allowed_apps").and_then(Value::as_array).ok_or_else(|| body.wrong())?;
    if list.is_empty() || list.len() > MOST {
        return Err(body.wrong());
    }
    let id = |value: &Value| form::id(value.as_str().ok_or_else(|| body.wrong())?);
    let mut apps: Vec<ObjectId> = list.iter().map(id).collect::<Result<_>>()?;
    apps.sort_unstable();
    apps.dedup();
    Ok(apps)
}

/// A time in RFC 3339.
fn parse_time(text: &str) -> Option<Time> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Time(time.as_microsecond()))
}

/// The tokens of this kind that the actor's account has.
fn of(tx: &impl Read, actor: &Actor) -> Result<Vec<(TokenKey, Time, Scope)>> {
    let all = tokens::of_account(tx, actor.account)?.into_iter();
    Ok(all.filter_map(|(key, token)| Some((key, token.created, token.scope?))).collect())
}

fn show(scope: &Scope, created: Time) -> Value {
    json!({
        "id": scope.id,
        "name": scope.name,
        "token_prefix": scope.prefix,
        "allowed_apps": scope.apps,
        "expires_at": scope.expires.map(Time::rfc3339_millis),
        "created_at": created.rfc3339_millis(),
    })
}

/// `GET /token/list`.
pub fn list(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let all = app.store.read(|tx| of(tx, &actor))?;
    let shown: Vec<Value> = all.iter().map(|(_, created, scope)| show(scope, *created)).collect();
    Ok(Response::json(200, &json!({ "tokens": shown })))
}

/// `DELETE /token/delete`.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, WORDS)?;
    let id = form::id(body.text("id")?.unwrap_or_default())?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        let found = of(tx, &actor)?.into_iter().find(|(_, _, scope)| scope.id == id);
        let (key, ..) = found.ok_or_else(|| Error::not_found("token not found"))?;
        tokens::remove(tx, key)?;
        audit::note(tx, now, &label, "token.delete", &key.fingerprint(), Some(address))
    })?;
    Ok(Response::json(200, &json!({ "message": "Token deleted successfully" })))
}
