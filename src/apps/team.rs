//! Team users: handlers for owners, and the rights as they go over the wire (`faynosync.md` §9).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::apps::actor::Actor;
use crate::apps::form::{self, Fields};
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::accounts::{self, Account, Change, NewAccount, Role};
use crate::identity::permissions::Rights;
use crate::identity::{Password, Permissions, Principal, check_new};
use crate::ids::ObjectId;
use crate::store::table::Read;

const WORDS: &str = "Invalid request body";

/// Rights as answers show them.
pub fn show(permissions: &Permissions) -> Value {
    let group = |rights: &Rights, of_apps: bool| {
        let mut shown = Map::new();
        shown.insert("Create".into(), rights.create.into());
        shown.insert("Delete".into(), rights.delete.into());
        shown.insert("Edit".into(), rights.edit.into());
        if of_apps {
            shown.insert("Download".into(), rights.download.into());
            shown.insert("Upload".into(), rights.upload.into());
        }
        shown.insert("Allowed".into(), json!(rights.allowed));
        Value::Object(shown)
    };
    json!({
        "Apps": group(&permissions.apps, true),
        "Channels": group(&permissions.channels, false),
        "Platforms": group(&permissions.platforms, false),
        "Archs": group(&permissions.archs, false),
    })
}

/// Rights as requests bring them: keys in any letter case, absent flags and groups false. None for what has a wrong
/// type or is no id.
fn read(value: &Value) -> Option<Permissions> {
    let mut permissions = Permissions::default();
    for (key, group) in value.as_object()? {
        let slot = match key.to_ascii_lowercase().as_str() {
            "apps" => &mut permissions.apps,
            "channels" => &mut permissions.channels,
            "platforms" => &mut permissions.platforms,
            "archs" => &mut permissions.archs,
            _ => continue,
        };
        if !group.is_null() {
            *slot = read_group(group)?;
        }
    }
    permissions.fits().then_some(permissions)
}

fn read_group(value: &Value) -> Option<Rights> {
    let mut rights = Rights::default();
    for (key, value) in value.as_object()?.iter().filter(|(_, value)| !value.is_null()) {
        let flag = match key.to_ascii_lowercase().as_str() {
            "create" => &mut rights.create,
            "delete" => &mut rights.delete,
            "edit" => &mut rights.edit,
            "download" => &mut rights.download,
            "upload" => &mut rights.upload,
            "allowed" => {
                for id in value.as_array()? {
                    match id.as_str()? {
                        "" => {}
                        id => _ = rights.allowed.insert(form::id(id).ok()?),
                    }
                }
                continue;
            }
            _ => continue,
        };
        *flag = value.as_bool()?;
    }
    Some(rights)
}

/// The rights in a body.
fn permissions(body: &Fields) -> Result<Option<Permissions>> {
    body.value("permissions").map(|value| read(value).ok_or_else(|| body.wrong())).transpose()
}

fn taken(error: Error) -> Error {
    match error.kind {
        Kind::Conflict => Error::conflict("Username already exists"),
        _ => error,
    }
}

/// `POST /user/create`.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, WORDS)?;
    let username = body.required("username")?.to_owned();
    let password = Password::new(body.required("password")?);
    let permissions = permissions(&body)?.ok_or_else(|| body.wrong())?;
    check_new(&username, &password).map_err(|_| body.wrong())?;
    if app.store.read(|tx| accounts::by_username(tx, &username))?.is_some() {
        return Err(Error::conflict("Username already exists"));
    }
    let new = NewAccount { id: ObjectId::random()?, username, password: app.identity.hash_password(&password)? };
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let created = app.store.commit(move |tx| {
        let account = accounts::create_team_user(tx, actor.owner, &new, permissions.clone(), now)?;
        audit::note(tx, now, &label, "user.create", &account.username, Some(address))
    });
    created.map_err(taken)?;
    Ok(Response::json(200, &json!({ "message": "Team user created successfully" })))
}

/// The team user a change names.
fn find(tx: &impl Read, id: ObjectId, actor: &Actor) -> Result<Account> {
    let account = accounts::get(tx, id)?;
    match account.as_ref().map(|account| account.role) {
        Some(Role::Team { owner }) if owner != actor.owner => {
            Err(Error::forbidden("You are not the owner of this team user"))
        }
        Some(Role::Team { .. }) => account.ok_or_else(|| Error::not_found("Team user not found")),
        _ => Err(Error::not_found("Team user not found")),
    }
}

/// `POST /user/update`: name, password, rights; absent rights and an absent or empty password stay.
pub fn update(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, WORDS)?;
    let (id, username) = (body.text("id")?.unwrap_or_default(), body.required("username")?.to_owned());
    let password = body.filled("password")?.map(Password::new);
    let permissions = permissions(&body)?;
    if !accounts::is_username(&username) || password.as_ref().is_some_and(|password| password.check().is_err()) {
        return Err(body.wrong());
    }
    let id = form::id(id)?;
    app.store.read(|tx| find(tx, id, &actor))?;
    let password = password.map(|password| app.identity.hash_password(&password)).transpose()?;
    let change = Change { username: Some(username), password, permissions };
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let updated = app.store.commit(move |tx| {
        find(tx, id, &actor)?;
        let account = accounts::update(tx, id, &change, now)?;
        audit::note(tx, now, &label, "user.update", &account.username, Some(address))
    });
    updated.map_err(taken)?;
    Ok(Response::json(200, &json!({ "message": "Team user updated successfully" })))
}

/// `GET /users/list`.
pub fn list(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let users = app.store.read(|tx| accounts::team_of(tx, actor.owner))?;
    let entry = |user: &Account| {
        json!({
            "id": user.id,
            "username": user.username,
            "permissions": show(&user.permissions),
            "updated_at": user.updated.rfc3339_millis(),
        })
    };
    Ok(Response::json(200, &json!({ "users": users.iter().map(entry).collect::<Vec<_>>() })))
}

/// `DELETE /user/delete`: the user and every session of it.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, WORDS)?;
    let id = body.text("id")?.unwrap_or_default();
    let id = form::id(id).map_err(|_| Error::invalid("Invalid user ID format"))?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        let account = find(tx, id, &actor).map_err(|e| match e.kind {
            Kind::NotFound | Kind::Forbidden => {
                Error::not_found("Team user not found or you don't have permission to delete it")
            }
            _ => e,
        })?;
        accounts::remove(tx, id)?;
        audit::note(tx, now, &label, "user.delete", &account.username, Some(address))
    })?;
    Ok(Response::json(200, &json!({ "message": "Team user deleted successfully" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_come_in_any_case_and_go_out_in_one() {
        let id = "641459ffb8760d74164e7e3c";
        let given = json!({
            "APPS": { "create": true, "Upload": true, "allowed": ["", id, id] },
            "channels": { "EDIT": true },
            "archs": null,
            "other": 5,
        });
        let shown = show(&read(&given).unwrap());
        let none = json!({ "Create": false, "Delete": false, "Edit": false, "Allowed": [] });
        let apps = json!({
            "Create": true, "Delete": false, "Edit": false, "Download": false, "Upload": true, "Allowed": [id],
        });
        let channels = json!({ "Create": false, "Delete": false, "Edit": true, "Allowed": [] });
        assert_eq!(shown, json!({ "Apps": apps, "Channels": channels, "Platforms": none, "Archs": none }));
        assert_eq!(show(&read(&shown).unwrap()), shown);
        let bad = [
            json!([]),
            json!("x"),
            json!({ "apps": [] }),
            json!({ "apps": { "create": "yes" } }),
            json!({ "apps": { "allowed": "x" } }),
            json!({ "apps": { "allowed": [5] } }),
            json!({ "apps": { "allowed": ["x"] } }),
        ];
        for value in bad {
            assert!(read(&value).is_none(), "{value}");
        }
    }
}
