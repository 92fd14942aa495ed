//! Handlers of `/repo` and `/repo/NAME` (`repos.md` §7), and of the key (§15).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::feeds::bundle::import;
use crate::feeds::links::{Base, segment};
use crate::feeds::model::follow as followers;
use crate::feeds::model::repos::{self, Options, Repo};
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::{Set, Type, trees};
use crate::feeds::publish::{self, Wanted};
use crate::feeds::{clients, desk, options, rules};
use crate::formats::openpgp::SigningKey;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// The largest body that describes a repo, in bytes.
const BODY: u64 = 1 << 20;

/// `GET /repo`.
pub fn list(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let repos = app.store.read(repos::all)?;
    let shown: Map<String, Value> =
        repos.into_iter().map(|(name, _)| (name.clone(), json!(base.repo(&name)))).collect();
    Ok(Response::json(200, &shown))
}

/// `POST /repo`.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let given = object(request)?;
    let name = match given.get("name") {
        Some(Value::String(name)) => name.clone(),
        _ => return Err(Error::invalid("name is missing")),
    };
    rules::check_name(&name)?;
    let kind = kind(&given)?.ok_or_else(|| Error::invalid("type is missing: it is yum, apt or dir"))?;
    let options = options::read(kind, &given, Options::default())?;
    desk(app)?.alone(&name, || {
        if app.store.read(|tx| repos::get(tx, &name))?.is_some() {
            return Err(Error::conflict(format!("there is a repo {name} already")));
        }
        make(app, who, request, &name, kind, options)
    })?;
    let uri = base.repo(&name);
    Ok(Response::json(201, &json!({ "uri": uri })).header("Location", uri))
}

fn make(app: &App, who: &Principal, request: &Request, name: &str, kind: Type, options: Options) -> Result<()> {
    let wanted = Wanted::new(name, None, kind, options, &who.label(), Some(request.peer.ip()));
    publish::publish(desk(app)?, wanted).map(drop)
}

/// `GET /repo/NAME`.
pub fn get(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let base = Base::of(app, request)?;
    Ok(Response::json(200, &look(app, &base, &name)?))
}

/// `PUT /repo/NAME`: makes it, or publishes it with other options.
pub fn put(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    rules::check_name(&name)?;
    let base = Base::of(app, request)?;
    let body = request.bytes(BODY)?;
    let given = match body.iter().all(u8::is_ascii_whitespace) {
        true => None,
        false => Some(parse(&body)?),
    };
    let fields = given.clone().unwrap_or_default();
    if fields.get("name").is_some_and(|given| given.as_str() != Some(&name)) {
        return Err(Error::invalid("the name in the body is not that of the address"));
    }
    let kind = kind(&fields)?;
    let status = desk(app)?.alone(&name, || match app.store.read(|tx| repos::get(tx, &name))? {
        Some(old) => {
            if kind.is_some_and(|kind| kind != old.kind) {
                let sentence = format!("repo {name} is of type {}, which cannot be changed", old.kind.word());
                return Err(Error::conflict(sentence));
            }
            let options = options::read(old.kind, &fields, old.options.clone())?;
            let kind = old.kind;
            let extras = app.store.read(|tx| sets::extras(tx, &Set::Repo(name.clone())))?;
            let wanted = Wanted {
                extras,
                ..Wanted::new(&name, Some(old), kind, options, &who.label(), Some(request.peer.ip()))
            };
            publish::publish(desk(app)?, wanted).map(|_| 200)
        }
        None => {
            let kind = kind.ok_or_else(|| Error::invalid("type is missing: it is yum, apt or dir"))?;
            let options = options::read(kind, &fields, Options::default())?;
            make(app, who, request, &name, kind, options).map(|()| 201)
        }
    })?;
    let response = Response::json(status, &look(app, &base, &name)?);
    Ok(if status == 201 { response.header("Location", base.repo(&name)) } else { response })
}

/// `DELETE /repo/NAME`.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let (store, now, address) = (app.store.clone(), app.clock.now(), request.peer.ip());
    let (label, subject) = (who.label(), name.clone());
    desk(app)?.alone(&name, || {
        app.store.commit(move |tx| {
            let repo = repos::get(tx, &subject)?.ok_or_else(|| rules::unknown_repo(&subject))?;
            let hand = Hand { store: &store, who: &label, now };
            followers::forget(tx, &subject, repo.options.follow.as_ref())?;
            followers::end(tx, hand, &Set::Repo(subject.clone()))?;
            trees::remove_repo(tx, hand, &subject, repo.generation)?;
            audit::note(tx, now, &label, "repo.delete", &subject, Some(address))
        })
    })?;
    Ok(Response::json(200, &json!({ "deleted": name })))
}

/// A repo as it is shown, and how its last copy of what it follows went.
fn look(app: &App, base: &Base, name: &str) -> Result<Map<String, Value>> {
    let (repo, copy) = app.store.read(|tx| {
        let repo = repos::get(tx, name)?.ok_or_else(|| rules::unknown_repo(name))?;
        Ok((repo, followers::last(tx, name)?))
    })?;
    let mut shown = shown(base, name, &repo);
    let copied = json!({ "at": copy.at.map(|time| time.rfc3339()), "error": copy.error });
    shown.insert("followed".to_owned(), if repo.options.follow.is_some() { copied } else { Value::Null });
    Ok(shown)
}

fn shown(base: &Base, name: &str, repo: &Repo) -> Map<String, Value> {
    let mut shown = Map::new();
    let fields = [
        ("name", json!(name)),
        ("type", json!(repo.kind)),
        ("created_at", json!(repo.created.rfc3339())),
        ("updated_at", json!(repo.updated.rfc3339())),
        ("generation", json!(repo.generation)),
        ("packages", json!(repo.packages)),
        ("size", json!(repo.size)),
        ("uri", json!(base.repo(name))),
    ];
    shown.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    shown.extend(options::shown(repo.kind, name, &repo.options));
    shown.insert("imported".to_owned(), repo.imports.last().map_or(Value::Null, import::shown));
    let tree = format!("{}/repo/{}", base.as_str(), segment(name));
    shown.insert("client".to_owned(), json!(clients::text(&tree, base.as_str(), name, repo)));
    shown
}

/// The body as a JSON object.
fn object(request: &mut Request) -> Result<Map<String, Value>> {
    parse(&request.bytes(BODY)?)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>> {
    match crate::http::parse_json(bytes)? {
        Value::Object(given) => Ok(given),
        _ => Err(Error::invalid("the body is not a JSON object")),
    }
}

fn kind(given: &Map<String, Value>) -> Result<Option<Type>> {
    match given.get("type") {
        None => Ok(None),
        Some(kind) => {
            let known = kind.as_str().and_then(Type::from_word);
            known.map(Some).ok_or_else(|| Error::invalid("type is yum, apt or dir"))
        }
    }
}

/// `GET /key.asc`.
pub fn key_armored(app: &App, _: &Principal, _: &mut Request) -> Result<Response> {
    Ok(clients::key_file(&*desk(app)?.key()?))
}

/// `GET /key.gpg`.
pub fn key_binary(app: &App, _: &Principal, _: &mut Request) -> Result<Response> {
    let key = desk(app)?.key()?;
    Ok(Response::bytes(200, "application/pgp-keys", key.binary().to_vec()).header("Cache-Control", "no-cache"))
}

/// `PUT /key`: another key signs from now on; every repo is published anew.
pub fn put_key(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let desk = desk(app)?;
    let bytes = request.bytes(BODY)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("the body is not an armored secret key"))?;
    let key = SigningKey::from_armored_secret(text, app.clock.now().seconds())
        .map_err(|e| Error::invalid(format!("the body is not a secret key that can sign: {e}")))?;
    let key = desk.replace_key(key)?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let subject = key.fingerprint();
    app.store.commit(move |tx| audit::note(tx, now, &label, "key.replace", &subject, Some(address)))?;
    let mut signed = Vec::new();
    for (name, _) in app.store.read(repos::all)? {
        if publish::republish(desk, &name, &who.label(), Some(request.peer.ip()))? {
            signed.push(name);
        }
    }
    Ok(Response::json(200, &json!({ "fingerprint": key.fingerprint(), "repos": signed })))
}
