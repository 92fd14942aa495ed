//! Clients, what they do not see, and their logs (`winget.md` A8).

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::identity::addresses::AddressList;
use crate::identity::clients::{self, Change};
use crate::ids::random;
use crate::store::table::Read;
use crate::winget::form::Form;
use crate::winget::gate::{Visit, segment};
use crate::winget::shown::{ClientShown, LineShown};
use crate::winget::tenant::{self, Blacklist, Group};
use crate::winget::{memory, model, notes, rules};

fn no_client() -> Error {
    Error::not_found("Client not found")
}

fn no_group() -> Error {
    Error::not_found("Group not found")
}

fn id(request: &Request, name: &str, unknown: fn() -> Error) -> Result<Uuid> {
    segment(request, name)?.parse().map_err(|_| unknown())
}

fn fresh_id() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(random::<16>()?).into_uuid())
}

fn known(tx: &impl Read, tenant: Uuid, client: Uuid) -> Result<()> {
    clients::get(tx, tenant, client)?.map(drop).ok_or_else(no_client)
}

fn message(status: u16, text: &str) -> Response {
    Response::json(status, &json!({ "Message": text }))
}

/// `GET get_clients`.
pub fn list(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    visit.owner(app, request)?;
    memory(app)?.notes.flush()?;
    let found = app.store.read(|tx| {
        let names: HashMap<Uuid, String> =
            tenant::groups(tx, visit.tenant)?.into_iter().map(|(id, group)| (id, group.name)).collect();
        let mut found = Vec::new();
        for client in clients::list(tx, visit.tenant)? {
            let list = tenant::blacklist(tx, visit.tenant, client.id)?;
            let groups: Vec<String> = list.groups.iter().filter_map(|id| names.get(id).cloned()).collect();
            found.push((client, groups));
        }
        Ok(found)
    })?;
    let shown =
        found.iter().map(|(client, groups)| ClientShown::new(app, client, groups)).collect::<Result<Vec<_>>>()?;
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// `POST add_client`.
pub fn add(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let form = Form::fields(app, request)?;
    let name = clients::clean_name(form.required(&["client_name"])?)?;
    let (id, identity) = (fresh_id()?, app.identity.clone());
    let client = app.store.commit(move |tx| {
        let count = clients::count(tx, visit.tenant)? as u64;
        if clients::by_name(tx, visit.tenant, &name)?.is_some() {
            return Err(Error::conflict("Hostname already exists!"));
        }
        let most = tenant::settings(tx, visit.tenant)?.max_clients;
        if most > 0 && count >= most {
            return Err(Error::forbidden("Maximum number of clients exceeded!"));
        }
        let client = identity.add_client(tx, visit.tenant, id, &name, by.now)?;
        audit::note(tx, by.now, &by.who, "winget.add_client", &name, Some(visit.address))?;
        Ok(client)
    })?;
    let token = app.identity.client_token(&client)?;
    let told = json!({
        "Message": "Client was added successfully!",
        "client_id": client.id,
        "auth_token": token.as_str(),
    });
    Ok(Response::json(201, &told).header("Cache-Control", "no-store"))
}

/// `PATCH edit_client/{client_id}`.
pub fn edit(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = id(request, "client_id", no_client)?;
    let form = Form::fields(app, request)?;
    let blocked = form.has("blocked_ips").then(|| form.all("blocked_ips").collect::<Vec<_>>().join(","));
    let change = Change {
        name: form.get("client_name").map(clients::clean_name).transpose()?,
        enabled: form.get("enabled").map(|text| rules::flag("enabled", text)).transpose()?,
        blocked: blocked.map(|text| AddressList::parse(&text)).transpose()?,
        seen: None,
    };
    app.store.commit(move |tx| {
        known(tx, visit.tenant, id)?;
        let client = clients::update(tx, visit.tenant, id, &change)?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.edit_client", &client.name, Some(visit.address))
    })?;
    Ok(message(200, "Client was updated successfully!"))
}

/// `DELETE delete_client/{client_id}/{auth_token}`.
pub fn delete(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = id(request, "client_id", no_client)?;
    let token = segment(request, "auth_token")?;
    app.store.commit(move |tx| {
        known(tx, visit.tenant, id)?;
        clients::remove(tx, visit.tenant, id, &token).map_err(|_| no_client())?;
        tenant::put_blacklist(tx, visit.tenant, id, &Blacklist::default())?;
        notes::clear(tx, visit.tenant, &id.to_string())?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.delete_client", &id.to_string(), Some(visit.address))
    })?;
    Ok(message(200, "Client was removed successfully!"))
}

/// `GET get_blacklist/{client_id}`.
pub fn blacklist(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    visit.owner(app, request)?;
    let id = id(request, "client_id", no_client)?;
    let list = app.store.read(|tx| {
        known(tx, visit.tenant, id)?;
        tenant::blacklist(tx, visit.tenant, id)
    })?;
    Ok(Response::json(200, &json!({ "PACKAGES": list.packages, "GROUPS": list.groups })))
}

/// `PUT edit_blacklist/{client_id}`: replaces both lists.
pub fn edit_blacklist(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = id(request, "client_id", no_client)?;
    let form = Form::fields(app, request)?;
    let packages = form.entries("packages");
    tenant::check_ids(&packages)?;
    let bad = |_| Error::invalid("groups must be ids of groups");
    let groups = form.entries("groups").iter().map(|id| id.parse()).collect::<Result<Vec<Uuid>, _>>().map_err(bad)?;
    if groups.len() > tenant::MAX_ENTRIES {
        return Err(Error::invalid("groups has too many entries"));
    }
    let list = Blacklist { packages, groups };
    app.store.commit(move |tx| {
        known(tx, visit.tenant, id)?;
        tenant::put_blacklist(tx, visit.tenant, id, &list)?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.edit_blacklist", &id.to_string(), Some(visit.address))
    })?;
    Ok(message(200, "Blacklist was updated successfully!"))
}

/// `GET get_blacklist_groups`.
pub fn groups(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    visit.owner(app, request)?;
    let mut groups = app.store.read(|tx| tenant::groups(tx, visit.tenant))?;
    groups.sort_by_cached_key(|(_, group)| group.name.to_lowercase());
    let shown: Vec<_> =
        groups.iter().map(|(id, group)| json!({ "UID": id, "NAME": group.name, "PACKAGES": group.packages })).collect();
    Ok(Response::json(200, &shown))
}

/// What a form says of a group; `old` is what it was.
fn group(form: &Form, old: Option<Group>) -> Result<Group> {
    let name = match (form.get("group_name"), &old) {
        (Some(name), _) => rules::label("group_name", name)?.to_owned(),
        (None, Some(old)) => old.name.clone(),
        (None, None) => return Err(Error::invalid("group_name is required")),
    };
    let packages = match (form.has("packages"), old) {
        (false, Some(old)) => old.packages,
        _ => form.entries("packages"),
    };
    tenant::check_ids(&packages)?;
    Ok(Group { name, packages })
}

/// `POST add_blacklist_group`.
pub fn add_group(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let group = group(&Form::fields(app, request)?, None)?;
    let id = fresh_id()?;
    app.store.commit(move |tx| {
        tenant::put_group(tx, visit.tenant, id, &group)?;
        audit::note(tx, by.now, &by.who, "winget.add_group", &group.name, Some(visit.address))
    })?;
    Ok(Response::json(201, &json!({ "Message": "Group was added successfully!", "group_id": id })))
}

/// `PUT edit_blacklist_group/{id}`: what is left out stays.
pub fn edit_group(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = id(request, "id", no_group)?;
    let form = Form::fields(app, request)?;
    group(&form, Some(Group::default()))?;
    app.store.commit(move |tx| {
        let old = tenant::group(tx, visit.tenant, id)?.ok_or_else(no_group)?;
        let group = group(&form, Some(old))?;
        tenant::put_group(tx, visit.tenant, id, &group)?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.edit_group", &group.name, Some(visit.address))
    })?;
    Ok(message(200, "Group was updated successfully!"))
}

/// `DELETE delete_blacklist_group/{id}`.
pub fn delete_group(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = id(request, "id", no_group)?;
    app.store.commit(move |tx| {
        tenant::group(tx, visit.tenant, id)?.ok_or_else(no_group)?;
        tenant::remove_group(tx, visit.tenant, id)?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.delete_group", &id.to_string(), Some(visit.address))
    })?;
    Ok(message(200, "Group was removed successfully!"))
}

/// The log a path names: a client's, or that of callers who are none.
fn log_name(app: &App, visit: &Visit, request: &Request) -> Result<String> {
    let name = segment(request, "client_id")?;
    if name.eq_ignore_ascii_case(notes::EXTERN) {
        return Ok(notes::EXTERN.to_owned());
    }
    let id: Uuid = name.parse().map_err(|_| no_client())?;
    app.store.read(|tx| known(tx, visit.tenant, id))?;
    Ok(id.to_string())
}

/// `GET get_client_logs/{client_id}`.
pub fn logs(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    visit.owner(app, request)?;
    let name = log_name(app, &visit, request)?;
    memory(app)?.notes.flush()?;
    let lines = app.store.read(|tx| notes::lines(tx, visit.tenant, &name))?;
    let shown: Vec<_> = lines.iter().map(|line| LineShown::new(&name, line)).collect();
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// `DELETE clear_client_logs/{client_id}`.
pub fn clear_logs(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let name = log_name(app, &visit, request)?;
    memory(app)?.notes.flush()?;
    app.store.commit(move |tx| {
        notes::clear(tx, visit.tenant, &name)?;
        audit::note(tx, by.now, &by.who, "winget.clear_logs", &name, Some(visit.address))
    })?;
    Ok(message(200, "Logs were cleared successfully!"))
}
