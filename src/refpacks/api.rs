//! Handlers of lists, versions and archiving, and the way from a path to its handler (`refpack.md` §2, §5, §7).

use serde_json::{Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::formats::refpack::File;
use crate::http::{Method, Request, Response, percent_decode};
use crate::identity::{Principal, Role};
use crate::refpacks::Desk;
use crate::refpacks::files::{self, version_not_found};
use crate::refpacks::model::{self, Signature};
use crate::refpacks::rules::{self, Action, Search, Target};
use crate::refpacks::upload::{Publishing, publishing};
use crate::refpacks::{nowhere, wrong_method};

/// The largest body of [`restore`], in bytes.
const RESTORE_LIMIT: u64 = 16 * 1024;

/// `GET /packages`.
pub fn list(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    page(app, request, false)
}

/// Everything below `/packages/`, by any method: ids may hold a slash, so the room reads its paths itself.
pub fn below(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let raw = request.params.raw("rest");
    // More segments than any route has; the rest need not be decoded.
    let segments = raw.split('/').take(4).map(percent_decode).collect::<Result<Vec<_>>>();
    let segments = segments.map_err(|_| rules::bad_parameter("id", "is not well encoded"))?;
    let target = rules::target(&segments);
    let reads = matches!(request.head.method, Method::Get | Method::Head);
    let writes = request.head.method == Method::Post;
    match target {
        Target::Nowhere => Ok(nowhere()),
        Target::List if reads => page(app, request, false),
        Target::List if writes => super::upload::upload(app, &app.api_key(&request.head)?, request),
        Target::List => Ok(wrong_method(&[Method::Get, Method::Head, Method::Post])),
        Target::Part(id, Action::Archive) if writes => archive(app, request, id),
        Target::Part(_, Action::Archive) => Ok(wrong_method(&[Method::Post])),
        _ if !reads => Ok(wrong_method(&[Method::Get, Method::Head])),
        Target::Search => page(app, request, true),
        Target::Package(id) => files::archive(app, request, &id),
        Target::Part(id, action) => match action {
            Action::Meta => files::file(app, request, &id, File::Meta),
            Action::Data => files::file(app, request, &id, File::Data),
            Action::Schema => files::file(app, request, &id, File::Schema),
            Action::Changelog => files::file(app, request, &id, File::Changelog),
            Action::Readme => files::file(app, request, &id, File::Readme),
            Action::Versions | Action::Archive => versions(app, &id),
        },
    }
}

/// A page of packages; the advanced search knows more parameters.
fn page(app: &App, request: &Request, advanced: bool) -> Result<Response> {
    let query = request.form_query().map_err(|_| rules::bad_parameter("query", "is not well encoded"))?;
    let page = rules::page(query.get("page"), query.get("pageSize"))?;
    let mut search = Search {
        text: rules::search_text(query.get("q"))?,
        archived: rules::include_archived(query.get("includeArchived"))?,
        ..Search::default()
    };
    if advanced {
        search.tags = rules::tags(query.all("tags").chain(query.all("tags[]")))?;
        search.owner = query.get("ownerId").filter(|owner| !owner.is_empty()).map(str::to_owned);
        search.filters = rules::filters(query.get("filters").into_iter().chain(query.get("customFilters")))?;
    }
    let desk = app.rooms.get::<Desk>()?;
    let listed = desk.search.page(&app.store, &search, page)?;
    let items: Vec<Value> = listed
        .items
        .into_iter()
        .map(|(id, package, manifest)| {
            let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
            json!({
                "id": id,
                "name": text("title"),
                "description": text("description"),
                "version": text("version"),
                "isArchived": package.latest.is_none(),
                "updatedAt": package.updated.rfc3339(),
                "ownerId": package.owner,
                "tags": manifest.get("tags").cloned().unwrap_or_else(|| json!([])),
            })
        })
        .collect();
    let shown = json!({
        "items": items,
        "totalCount": listed.total,
        "pageNumber": page.number,
        "pageSize": page.size,
        "totalPages": listed.total.div_ceil(page.size as usize),
    });
    Ok(Response::json(200, &shown).header("Cache-Control", "no-cache"))
}

/// `Package not found`, for the routes that name no version.
fn not_found(id: &str) -> Error {
    rules::refuse(Kind::NotFound, "Package not found", format!("Package '{id}' was not found"))
}

/// `GET /packages/{id}/versions`.
fn versions(app: &App, id: &str) -> Result<Response> {
    let versions = app.store.read(|tx| model::versions(tx, id))?;
    if versions.is_empty() {
        return Err(not_found(id));
    }
    let versions: Vec<Value> = versions
        .into_iter()
        .map(|(_, version)| {
            let signature = match version.signature {
                Signature::None => "none",
                Signature::Claims => "claims",
                Signature::Manifest => "manifest",
            };
            json!({
                "version": version.text,
                "createdAt": version.created.rfc3339(),
                "isArchived": version.archived,
                "signature": signature,
            })
        })
        .collect();
    let shown = json!({ "packageId": id, "versions": versions });
    Ok(Response::json(200, &shown).header("Cache-Control", "no-cache"))
}

/// `POST /ui/api/refpacks/restore` `{"id", "version"}`: takes the archiving of one version back. The dialect itself knows no
/// way back, so this is for the pages only; whoever may archive may do it.
pub fn restore(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let Publishing { publisher, admin, .. } = match who {
        Principal::Account(account) if account.role == Role::Owner => publishing(app, who)?,
        _ => return Err(Error::forbidden("only owners may do this")),
    };
    let body = request.json(RESTORE_LIMIT)?;
    let text = |name: &'static str| match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(Error::invalid(format!("{name} must be a text"))),
    };
    let (id, named) = (text("id")?, text("version")?);
    let key = rules::version_key(&rules::version(&named)?);
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let changing = app.rooms.get::<Desk>()?.search.change(&id);
    app.store.commit(move |tx| {
        let unknown = || version_not_found(&id, &named);
        let package = model::package(tx, &id)?.ok_or_else(unknown)?;
        let version = model::version(tx, &id, &key)?.ok_or_else(unknown)?.text;
        rules::may_change(package.publisher, publisher, admin, &id)?;
        model::restore(tx, &id, package, &key, now)?;
        audit::note(tx, now, &label, "refpack.restore", &format!("{id} {version}"), Some(address))
    })?;
    drop(changing);
    Ok(Response::empty(204))
}

/// `POST /packages/{id}/archive`: one version, or every present one.
fn archive(app: &App, request: &mut Request, id: String) -> Result<Response> {
    let who = app.api_key(&request.head)?;
    request.set_note(who.label());
    let Publishing { publisher, admin, .. } = publishing(app, &who)?;
    let query = request.form_query().map_err(|_| rules::bad_parameter("query", "is not well encoded"))?;
    let named = query.get("version").unwrap_or_default().replace(' ', "+");
    let key = match named.as_str() {
        "" => None,
        text => Some(rules::version_key(&rules::version(text)?)),
    };
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let desk = app.rooms.get::<Desk>()?;
    let changing = desk.search.change(&id);
    let shown_id = id.clone();
    let version = app.store.commit(move |tx| {
        let unknown = || match key {
            Some(_) => version_not_found(&id, &named),
            None => not_found(&id),
        };
        let package = model::package(tx, &id)?.ok_or_else(unknown)?;
        let version = match &key {
            Some(key) => Some(model::version(tx, &id, key)?.ok_or_else(unknown)?.text),
            None => None,
        };
        rules::may_change(package.publisher, publisher, admin, &id)?;
        model::archive(tx, &id, package, key.as_deref(), now)?;
        let subject = format!("{id} {}", version.as_deref().unwrap_or("(all versions)"));
        audit::note(tx, now, &label, "refpack.archive", &subject, Some(address))?;
        Ok(version)
    })?;
    drop(changing);
    let message = match &version {
        Some(version) => format!("Package '{shown_id}' version '{version}' has been archived"),
        None => format!("Package '{shown_id}' has been archived"),
    };
    let shown = json!({ "success": true, "packageId": shown_id, "version": version, "message": message });
    Ok(Response::json(200, &shown))
}
