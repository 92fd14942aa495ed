//! Handlers of products and their members (`products.md` §4) and of the dialect's health form (§6).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::{Principal, TokenRef, tokens};
use crate::products::keys::{caller, object, still_valid, token_not_found};
use crate::products::model::{self, Product};
use crate::products::rules::{self, Action, Permissions};

/// `GET /health` with `X-Api-Token`: the strings existing monitors compare.
pub fn health(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    caller(who)?;
    let (database, directory) = app.store.health();
    let status = if database.is_ok() && directory.is_ok() { 200 } else { 500 };
    let word = |outcome: Result<()>, fine: &str| match outcome {
        Ok(()) => fine.to_owned(),
        Err(e) => e.message.into_owned(),
    };
    let shown = json!({ "mongo": word(database, "Mongo is fine"), "redis": word(directory, "Redis is fine") });
    Ok(Response::json(status, &shown))
}

/// `GET /product/access` and `GET /product/list`: the names the caller may see.
pub fn access(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let me = caller(who)?;
    let names = app.store.read(|tx| if me.admin { model::names(tx) } else { model::names_of(tx, me.key) })?;
    Ok(Response::json(200, &names))
}

/// `PUT /product/create`: the caller becomes the only member.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = caller(who)?.clone();
    let name = match object(request)?.remove("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        _ => return Err(Error::invalid("name is required")),
    };
    rules::check_name(&name)?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        still_valid(tx, &me)?;
        model::create(tx, &name, me.key, now)?;
        audit::note(tx, now, &label, "product.create", &name, Some(address))
    })?;
    Ok(Response::empty(201))
}

/// `GET /product/fetch/{product}`: members and versions.
pub fn fetch(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = caller(who)?;
    let name = name_in_path(request, "product")?;
    let (product, versions) = app.store.read(|tx| {
        let product = model::product(tx, &name)?;
        judge(Action::Read, &product, me)?;
        let versions = model::versions(tx, &name)?;
        Ok((product, versions))
    })?;
    // The caller finds itself under its own raw token, as it sent it; nobody learns another's secret.
    let raw = request.head.headers.text("x-api-token").unwrap_or_default().trim();
    let tokens: Map<String, Value> = product
        .members
        .iter()
        .map(|(key, permissions)| {
            let shown = if *key == me.key && !raw.is_empty() { raw.to_owned() } else { key.fingerprint() };
            (shown, json!(permissions))
        })
        .collect();
    let versions: Map<String, Value> = versions
        .into_iter()
        .map(|(version, record)| {
            let shown = ShownVersion {
                path: rules::shown_path(&name, &version, &record.file_name),
                checksum: format!("sha256:{}", record.digest),
                size: record.size,
                uploaded_at: record.created.rfc3339(),
                filename: record.file_name,
            };
            Ok((version, serde_json::to_value(shown).map_err(Error::internal)?))
        })
        .collect::<Result<_>>()?;
    let shown = json!({ "name": product.name, "tokens": tokens, "versions": versions });
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// One entry of `versions` in the answer of `/product/fetch`.
#[derive(Serialize)]
struct ShownVersion {
    path: String,
    checksum: String,
    filename: String,
    size: u64,
    #[serde(rename = "uploadedAt")]
    uploaded_at: String,
}

/// `DELETE /product/delete/{product}`: the product with all its versions.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = name_in_path(request, "product")?;
    change(app, who, request, name, "product.delete", |change| {
        judge(Action::Maintain, &change.product, &change.me)?;
        model::remove_product(&change.app.store, change.tx, &change.product)
    })?;
    Ok(Response::empty(204))
}

/// `PUT /product/modify/addToken`: lets a token in, or replaces its permissions.
pub fn add_token(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let body = object(request)?;
    let name = name_in_body(&body, "product")?;
    let token = text(&body, "token")?;
    let permissions = match body.get("permissions") {
        Some(Value::Object(given)) => permissions(given)?,
        _ => return Err(Error::invalid("permissions is required")),
    };
    change(app, who, request, name, "product.addToken", move |change| {
        judge(Action::Maintain, &change.product, &change.me)?;
        let (key, _) = tokens::find(change.tx, &token)?.ok_or_else(token_not_found)?;
        model::set_member(change.tx, &mut change.product, key, permissions)
    })?;
    Ok(Response::empty(201))
}

/// `DELETE /product/modify/deleteToken`: takes a member out.
pub fn delete_token(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let body = object(request)?;
    let name = name_in_body(&body, "product")?;
    let token = text(&body, "token")?;
    change(app, who, request, name, "product.deleteToken", move |change| {
        judge(Action::Maintain, &change.product, &change.me)?;
        let (key, _) = tokens::find(change.tx, &token)?.ok_or_else(token_not_found)?;
        match model::remove_member(change.tx, &mut change.product, key)? {
            true => Ok(()),
            false => Err(token_not_found()),
        }
    })?;
    Ok(Response::empty(204))
}

/// `DELETE /product/modify/deleteVersion`: a version named in the body.
pub fn delete_version(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let body = object(request)?;
    let name = name_in_body(&body, "product")?;
    let version = name_in_body(&body, "version")?;
    change(app, who, request, name, "product.deleteVersion", move |change| {
        judge(Action::Prune, &change.product, &change.me)?;
        model::remove_version(&change.app.store, change.tx, &change.product.name, &version)
    })?;
    Ok(Response::empty(200))
}

/// Any other action below `/product/modify/`.
pub fn unknown_action(_app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    Err(Error::invalid(format!("unknown action: {}", request.params.get("action")?)))
}

/// What a closure that changes one product is given.
pub struct Change<'a> {
    pub(super) app: &'a App,
    pub(super) tx: &'a crate::store::table::WriteTx<'a>,
    pub(super) me: TokenRef,
    pub(super) product: Product,
}

/// One transaction that loads a product, lets `apply` judge and change it, and leaves an audit line.
pub(super) fn change(
    app: &App,
    who: &Principal,
    request: &Request,
    name: String,
    what: &'static str,
    mut apply: impl FnMut(&mut Change) -> Result<()> + Send + 'static,
) -> Result<()> {
    let me = caller(who)?.clone();
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let owned = app.clone();
    app.store.commit(move |tx| {
        still_valid(tx, &me)?;
        let product = model::product(tx, &name)?;
        apply(&mut Change { app: &owned, tx, me: me.clone(), product })?;
        audit::note(tx, now, &label, what, &name, Some(address))
    })
}

/// Whether `me` may do `action` with `product`.
pub(super) fn judge(action: Action, product: &Product, me: &TokenRef) -> Result<()> {
    rules::may(action, product.members.get(&me.key).copied(), me.admin)
}

/// A product or version name in the path.
pub(super) fn name_in_path(request: &Request, key: &str) -> Result<String> {
    let name = request.params.get(key)?;
    rules::check_name(&name)?;
    Ok(name)
}

fn name_in_body(body: &Map<String, Value>, key: &str) -> Result<String> {
    let name = text(body, key)?;
    rules::check_name(&name)?;
    Ok(name)
}

fn text(body: &Map<String, Value>, key: &str) -> Result<String> {
    match body.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Error::invalid(format!("{key} is required"))),
    }
}

fn permissions(given: &Map<String, Value>) -> Result<Permissions> {
    let flag = |key: &str| match given.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Error::invalid(format!("permission {key} must be true or false"))),
    };
    Ok(Permissions {
        maintainer: flag("maintainer")?,
        download: flag("download")?,
        upload: flag("upload")?,
        delete: flag("delete")?,
    })
}
