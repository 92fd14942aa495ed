//! The tenant's settings over the wire (`winget.md` A8).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::winget::form::Form;
use crate::winget::gate::{Admin, Visit};
use crate::winget::tenant::{self, OPERATOR_KEYS};
use crate::winget::{model, uploads};

/// Settings stay reachable from outside the tenant's addresses for whoever is logged in, so that nobody locks himself
/// out; others meet the address first.
fn enter(app: &App, request: &mut Request) -> Result<(Visit, Admin)> {
    let visit = Visit::from_anywhere(app, request)?;
    match visit.owner(app, request) {
        Ok(admin) => Ok((visit, admin)),
        Err(error) if error.kind == Kind::Internal => Err(error),
        Err(error) => {
            visit.judge_address()?;
            Err(error)
        }
    }
}

/// `GET get_settings`.
pub fn show(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (visit, _) = enter(app, request)?;
    let (used, reserved) =
        app.store.read(|tx| Ok((model::used(tx, visit.tenant)?, uploads::reserved(tx, visit.tenant)?)))?;
    let mut shown: Map<String, Value> =
        visit.settings.shown().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let measured = [
        ("TENANT_ID", visit.tenant.to_string()),
        ("STORAGE_USED", used.to_string()),
        ("STORAGE_RESERVED", reserved.to_string()),
    ];
    shown.extend(measured.map(|(key, value)| (key.to_owned(), value.into())));
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// `PATCH edit_settings`: all of the given keys, or none.
pub fn edit(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (visit, admin) = enter(app, request)?;
    let form = Form::fields(app, request)?;
    let given: Vec<(String, String)> =
        form.names().filter_map(|name| Some((name.to_owned(), form.get(name)?.to_owned()))).collect();
    let mut probe = visit.settings.clone();
    for (key, value) in &given {
        probe.set(key, value)?;
    }
    if !admin.operator && given.iter().any(|(key, _)| OPERATOR_KEYS.contains(&key.as_str())) {
        return Err(Error::forbidden("MAX_CLIENTS and STORAGE_QUOTA belong to the operator of this server"));
    }
    let by = admin.by(app);
    app.store.commit(move |tx| {
        let mut settings = tenant::settings(tx, visit.tenant)?;
        let mut changed = Vec::new();
        for (key, value) in &given {
            if settings.set(key, value)? {
                changed.push(key.as_str());
            }
        }
        tenant::put_settings(tx, visit.tenant, &settings)?;
        model::touch(tx, visit.tenant, "")?;
        audit::note(tx, by.now, &by.who, "winget.edit_settings", &changed.join(" "), Some(visit.address))
    })?;
    Ok(Response::json(200, &json!({ "Message": "Settings were updated successfully!" })))
}
