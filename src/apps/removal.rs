//! `POST /artifact/delete` and `DELETE /apps/delete`: artifacts and versions go (`faynosync.md` §6).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::App;
use crate::apps::actor::{Actor, Errand};
use crate::apps::form::{self, Fields, Form};
use crate::apps::model::{self, Object};
use crate::apps::records::{self, Release};
use crate::apps::releases::{record, record_id};
use crate::apps::{refused_deletion, rules};
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;

/// `POST /artifact/delete`: some artifacts of a version, by their positions.
pub fn artifacts(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.delete)?;
    let Form { data, .. } = Form::read(app, request, app.settings.max_upload, |_| Ok(()))?;
    let positions = positions(&data)?;
    let id = record_id(&data)?;
    let app_name = data.filled("app_name")?.filter(|name| rules::is_app_name(name)).map(str::to_owned);
    let app_name = app_name.ok_or_else(|| Error::invalid("invalid app_name parameter"))?;
    let version = rules::version(data.text("version")?.unwrap_or_default())?;
    Errand::new(app, &actor, request).commit("app.deleteArtifacts", move |errand, tx| {
        let (app_id, old, name) = record(tx, &errand.actor, id, &app_name, &version)?;
        errand.actor.access(Object::App, app_id)?;
        if positions.last().is_none_or(|last| *last >= old.artifacts.len()) {
            return Err(Error::invalid("artifacts_to_delete names an artifact that is not there"));
        }
        let kept = old.artifacts.iter().enumerate().filter(|(at, _)| !positions.contains(at));
        let new = Release {
            artifacts: kept.map(|(_, artifact)| artifact.clone()).collect(),
            updated: errand.now,
            ..old.clone()
        };
        errand.change().put(tx, id, Some(&old), &new)?;
        Ok(((), format!("{name} {}", old.version)))
    })?;
    Ok(Response::json(200, &json!({ "deleteSpecificArtifactResult": true })))
}

/// The positions named, as texts or numbers.
fn positions(data: &Fields) -> Result<BTreeSet<usize>> {
    let wrong = || Error::invalid("artifacts_to_delete must be a list of positions");
    let list = data.value("artifacts_to_delete").and_then(Value::as_array).filter(|list| !list.is_empty());
    let position = |value: &Value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let read = |value| position(value).and_then(|number| usize::try_from(number).ok()).ok_or_else(wrong);
    list.ok_or_else(wrong)?.iter().map(read).collect()
}

/// `DELETE /apps/delete?id=`: a version with all its artifacts.
pub fn version(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.delete)?;
    let id = form::id(request.query()?.get("id").unwrap_or_default())?;
    let done = Errand::new(app, &actor, request).commit("app.deleteVersion", move |errand, tx| {
        let release = records::get(tx, id)?.ok_or_else(|| Error::not_found("no version with this id"))?;
        if release.tenant != errand.actor.tenant {
            return Err(Error::forbidden("you don't have permission to delete this item"));
        }
        errand.actor.access(Object::App, release.app)?;
        let name = model::name_of(tx, Object::App, Some(release.app))?;
        errand.change().remove(tx, id, &release)?;
        Ok(((), format!("{name} {}", release.version)))
    });
    match done {
        Ok(()) => Ok(Response::json(200, &json!({ "deleteSpecificAppResult.DeletedCount": 1 }))),
        Err(error) => refused_deletion("specific version of app", error),
    }
}
