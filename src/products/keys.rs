//! Handlers of the API token routes: register, fetch, list, prune (`products.md` §2).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::tokens::{self, ApiToken};
use crate::identity::{Principal, RawToken, TokenKey, TokenRef, accounts};
use crate::products::model;
use crate::store::table::Read;

/// The largest JSON body this dialect reads, in bytes.
pub const JSON_LIMIT: u64 = 1 << 20;

/// The token behind a request that passed the `Token` gate.
pub fn caller(who: &Principal) -> Result<&TokenRef> {
    match who {
        Principal::Token(token) => Ok(token),
        _ => Err(Error::new(Kind::Unauthenticated, "Invalid api token")),
    }
}

/// A token pruned since the gate, perhaps during a long upload, changes nothing any more.
pub fn still_valid(tx: &impl Read, me: &TokenRef) -> Result<()> {
    // A login that stands in for a token holds as long as its account.
    let known = match (&me.person, me.account) {
        (Some(_), Some(account)) => accounts::get(tx, account)?.is_some(),
        _ => tokens::get(tx, me.key)?.is_some(),
    };
    match known {
        true => Ok(()),
        false => Err(Error::new(Kind::Unauthenticated, "Invalid api token")),
    }
}

/// The body as a JSON object.
///
/// # Errors
/// `Invalid` when it is empty, not JSON or not an object.
pub fn object(request: &mut Request) -> Result<Map<String, Value>> {
    match request.json(JSON_LIMIT)? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::invalid("the request body must be a JSON object")),
    }
}

/// `PUT /register`: a new token, shown this once.
pub fn register(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    if !caller(who)?.admin {
        return Ok(Response::text(401, "Only admin allowed to register new tokens"));
    }
    let admin = match object(request)?.get("admin") {
        None => false,
        Some(Value::Bool(admin)) => *admin,
        Some(_) => return Err(Error::invalid("admin must be true or false")),
    };
    let raw = RawToken::random()?;
    let key = raw.key();
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let me = caller(who)?.clone();
    app.store.commit(move |tx| {
        still_valid(tx, &me)?;
        tokens::insert(tx, key, &ApiToken::new(admin, now))?;
        audit::note(tx, now, &label, "token.register", &key.fingerprint(), Some(address))
    })?;
    Ok(Response::text(201, raw.as_str().to_owned()).header("Cache-Control", "no-store"))
}

/// `GET /fetch/{token}`: what a token is, by its raw text or its fingerprint.
pub fn fetch(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = caller(who)?;
    let given = request.params.get("token")?;
    let by_fingerprint = tokens::is_fingerprint(&given);
    if by_fingerprint && !me.admin && !me.key.fingerprint().eq_ignore_ascii_case(&given) {
        return Err(Error::forbidden("permission denied"));
    }
    let (key, token) = app.store.read(|tx| tokens::find(tx, &given))?.ok_or_else(token_not_found)?;
    let mut shown = describe(key, &token);
    shown["token"] = Value::String(given);
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// `GET /tokens`: every token by its fingerprint, oldest first.
pub fn list(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    if !caller(who)?.admin {
        return Ok(Response::text(401, "Only admin allowed to list tokens"));
    }
    let tokens = app.store.read(tokens::list)?;
    let shown: Vec<Value> = tokens.iter().map(|(key, token)| describe(*key, token)).collect();
    Ok(Response::json(200, &shown))
}

/// `DELETE /prune/{token}`: the token and its memberships go together.
pub fn prune(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    if !caller(who)?.admin {
        return Ok(Response::text(401, "Only admin allowed to prune an api token"));
    }
    let given = request.params.get("token")?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let me = caller(who)?.clone();
    app.store.commit(move |tx| {
        still_valid(tx, &me)?;
        let (key, _) = tokens::find(tx, &given)?.ok_or_else(token_not_found)?;
        tokens::remove(tx, key)?;
        model::forget_token(tx, key)?;
        audit::note(tx, now, &label, "token.prune", &key.fingerprint(), Some(address))
    })?;
    Ok(Response::empty(204))
}

/// The answer for a token that does not exist: 400, as the dialect documents it.
pub fn token_not_found() -> Error {
    Error::invalid("token not found")
}

fn describe(key: TokenKey, token: &ApiToken) -> Value {
    let fingerprint = key.fingerprint();
    json!({ "token": fingerprint, "fingerprint": fingerprint, "admin": token.admin, "createdAt": token.created.rfc3339() })
}
