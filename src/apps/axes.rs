//! Channels, platforms and architectures: the same four routes thrice (`faynosync.md` §4).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::apps::actor::{Actor, Errand};
use crate::apps::form::{self, Fields};
use crate::apps::model::{self, Axis, Object};
use crate::apps::{refused_deletion, rules};
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::{Principal, accounts};
use crate::ids::ObjectId;
use crate::store::table::Read;

const WORDS: &str = "Invalid request body";

/// The kind with a capital, as keys of answers have it.
const fn capital(object: Object) -> &'static str {
    match object {
        Object::App => "App",
        Object::Channel => "Channel",
        Object::Platform => "Platform",
        Object::Arch => "Arch",
    }
}

/// The handlers of one kind, for the route map.
macro_rules! handlers {
    ($module:ident, $object:expr, $what:literal) => {
        #[doc = concat!("Handlers of ", $what, ".")]
        pub mod $module {
            use super::*;

            #[doc = concat!("Makes one of the ", $what, ".")]
            pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
                super::create($object, app, who, request)
            }

            #[doc = concat!("Lists the ", $what, ".")]
            pub fn list(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
                super::list($object, app, who)
            }

            #[doc = concat!("Renames one of the ", $what, ".")]
            pub fn update(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
                super::update($object, app, who, request)
            }

            #[doc = concat!("Deletes one of the ", $what, ".")]
            pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
                super::delete($object, app, who, request)
            }
        }
    };
}

handlers!(channels, Object::Channel, "channels");
handlers!(platforms, Object::Platform, "platforms");
handlers!(archs, Object::Arch, "architectures");

/// The name in a body, judged.
fn name(object: Object, body: &Fields) -> Result<String> {
    let name = body.required(object.word())?;
    object.check_name(name)?;
    Ok(name.to_owned())
}

/// The updaters in a body; none when the key is absent or its list empty.
fn updaters(object: Object, body: &Fields) -> Result<Option<Vec<rules::Offered>>> {
    let list = match body.value("updaters") {
        Some(_) if object != Object::Platform => return Ok(None),
        None => return Ok(None),
        Some(Value::Array(list)) if list.is_empty() => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(body.wrong()),
    };
    let mut given = Vec::new();
    for entry in list {
        let entry = entry.as_object().ok_or_else(|| body.wrong())?;
        let word = entry.get("type").and_then(Value::as_str).ok_or_else(|| body.wrong())?;
        let default = match entry.get("default") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(default)) => *default,
            Some(_) => return Err(body.wrong()),
        };
        given.push((word.to_owned(), default));
    }
    rules::updaters(&given).map(Some)
}

fn create(object: Object, app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(object, |rights| rights.create)?;
    let body = Fields::of_body(request, WORDS)?;
    let (name, updaters) = (name(object, &body)?, updaters(object, &body)?.unwrap_or_default());
    let id = ObjectId::random()?;
    Errand::new(app, &actor, request).commit("app.create", move |errand, tx| {
        let (tenant, now) = (errand.actor.tenant, errand.now);
        let axis = Axis { tenant, name: name.clone(), updaters: updaters.clone(), created: now, updated: now };
        model::create_axis(tx, object, id, &axis)?;
        if let Some(creator) = errand.actor.creator() {
            accounts::allow(tx, creator, |permissions| object.rights_mut(permissions), id)?;
        }
        Ok(((), format!("{} {name}", object.word())))
    })?;
    let key = format!("create{}Result.Created", capital(object));
    Ok(Response::json(200, &json!({ key: id })))
}

fn list(object: Object, app: &App, who: &Principal) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let shown = app.store.read(|tx| {
        let mut shown = Vec::new();
        for (_, id) in model::names(tx, actor.tenant, object)? {
            if actor.sees(object, id)
                && let Some(axis) = model::axis(tx, object, id)?
            {
                shown.push(show(object, id, &axis, &actor));
            }
        }
        Ok(shown)
    })?;
    Ok(Response::json(200, &json!({ format!("{}s", object.word()): shown })))
}

fn show(object: Object, id: ObjectId, axis: &Axis, actor: &Actor) -> Value {
    let name_key = if object == Object::Arch { "ArchID".to_owned() } else { format!("{}Name", capital(object)) };
    let mut shown = Map::new();
    shown.insert("ID".into(), json!(id));
    shown.insert(name_key, axis.name.as_str().into());
    shown.insert("Owner".into(), actor.owner_name.as_str().into());
    shown.insert("Updated_at".into(), axis.updated.rfc3339_millis().into());
    if object == Object::Platform {
        shown.insert("Updaters".into(), json!(model::offered(axis)));
    }
    Value::Object(shown)
}

/// The object a change names, if it is the tenant's and the actor may touch it.
fn changeable(tx: &impl Read, object: Object, id: ObjectId, actor: &Actor, verb: &str) -> Result<Axis> {
    let word = object.word();
    let axis = model::axis(tx, object, id)?.ok_or_else(|| Error::not_found(format!("{word} not found")))?;
    if axis.tenant != actor.tenant {
        return Err(Error::forbidden(format!("you don't have permission to {verb} this {word}")));
    }
    actor.allowed(object, id, verb)?;
    Ok(axis)
}

fn update(object: Object, app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(object, |rights| rights.edit)?;
    let body = Fields::of_body(request, WORDS)?;
    let (id, name) = (body.text("id")?.unwrap_or_default().to_owned(), name(object, &body)?);
    let updaters = updaters(object, &body)?;
    let id = form::id(&id)?;
    Errand::new(app, &actor, request).commit("app.rename", move |errand, tx| {
        let old = changeable(tx, object, id, &errand.actor, "update")?;
        let new = Axis {
            name: name.clone(),
            updaters: updaters.clone().unwrap_or_else(|| old.updaters.clone()),
            updated: errand.now,
            ..old.clone()
        };
        model::update_axis(tx, object, id, &old, &new)?;
        Ok(((), format!("{} {} to {name}", object.word(), old.name)))
    })?;
    let key = format!("update{}Result.Updated", capital(object));
    Ok(Response::json(200, &json!({ key: true })))
}

fn delete(object: Object, app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(object, |rights| rights.delete)?;
    let id = form::id(request.query()?.get("id").unwrap_or_default())?;
    let done = Errand::new(app, &actor, request).commit("app.delete", move |errand, tx| {
        let axis = changeable(tx, object, id, &errand.actor, "delete")?;
        if model::is_used(tx, id)? {
            return Err(Error::conflict("you can't delete this item because it is related to other items"));
        }
        model::remove_axis(tx, object, id, &axis)?;
        accounts::forget_object(tx, errand.actor.owner, id)?;
        Ok(((), format!("{} {}", object.word(), axis.name)))
    });
    match done {
        Ok(()) => Ok(Response::json(200, &json!({ format!("delete{}Result.DeletedCount", capital(object)): 1 }))),
        Err(error) => refused_deletion(object.word(), error),
    }
}
