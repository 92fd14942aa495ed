//! Sign-up, login and the own account (`faynosync.md` §2).

use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::apps::actor::{Actor, Reach};
use crate::apps::form::{self, Fields};
use crate::apps::team;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::accounts::{self, Change, NewAccount};
use crate::identity::{Password, Principal, check_new, logins::Style};
use crate::ids::{ObjectId, random};

const WORDS: &str = "invalid request body";

/// `POST /signup`: a new owner with a new, empty tenant, for whoever knows the installation's key.
pub fn signup(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let body = Fields::of_body(request, WORDS)?;
    let (username, password) = (body.text("username")?, body.text("password")?);
    let (key, address) = (body.text("api_key")?.unwrap_or_default(), request.peer.ip());
    if !app.identity.check_signup_key(key, address)? {
        return Err(Error::new(Kind::Unauthenticated, "wrong api key"));
    }
    let username = username.unwrap_or_default().to_owned();
    let password = Password::new(password.unwrap_or_default());
    check_new(&username, &password).map_err(|_| body.wrong())?;
    let taken = || Error::conflict("user already exists");
    if app.store.read(|tx| accounts::by_username(tx, &username))?.is_some() {
        return Err(taken());
    }
    let new = NewAccount { id: ObjectId::random()?, username, password: app.identity.hash_password(&password)? };
    let tenant = uuid::Builder::from_random_bytes(random::<16>()?).into_uuid();
    create(app, new, tenant, request).map_err(|e| if e.kind == Kind::Conflict { taken() } else { e })?;
    Ok(Response::json(200, &json!({ "result": "Successfully created admin user." })))
}

fn create(app: &App, new: NewAccount, tenant: Uuid, request: &Request) -> Result<()> {
    let (now, address) = (app.clock.now(), request.peer.ip());
    app.store.commit(move |tx| {
        let account = accounts::create_owner(tx, &new, tenant, now)?;
        audit::note(tx, now, "signup", "account.create", &account.username, Some(address))
    })
}

/// `POST /login`: a token for 24 hours.
pub fn login(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let body = Fields::of_body(request, WORDS)?;
    let (username, password) = (body.required("username")?, body.required("password")?);
    let password = Password::new(password);
    let (token, account) = app.identity.login(username, &password, request.peer.ip(), Style::Signed)?;
    request.set_note(format!("user:{}", account.username));
    Ok(Response::json(200, &json!({ "token": token.as_str() })).header("Cache-Control", "no-store"))
}

/// `GET /whoami`.
pub fn whoami(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let shown = match &actor.reach {
        Reach::Team(permissions) => json!({
            "id": actor.account,
            "username": actor.username,
            "is_admin": false,
            "owner": actor.owner_name,
            "permissions": team::show(permissions),
        }),
        Reach::Owner | Reach::Upload(_) => {
            json!({ "id": actor.account, "username": actor.username, "is_admin": true })
        }
    };
    Ok(Response::json(200, &shown))
}

/// `POST /admin/update`: the caller's own password.
pub fn update(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::owner(app, who)?;
    let body = Fields::of_body(request, "Invalid request body")?;
    let password = body.filled("password")?.map(Password::new);
    let (id, username) = (body.required("id")?, body.required("username")?);
    if password.as_ref().is_some_and(|password| password.check().is_err()) {
        return Err(body.wrong());
    }
    let id = form::id(id).map_err(|_| Error::invalid("Invalid ID format"))?;
    if username != actor.username {
        return Err(Error::forbidden("Username mismatch"));
    }
    if id != actor.account {
        return Err(Error::not_found("Admin not found"));
    }
    if let Some(password) = password {
        let change = Change { password: Some(app.identity.hash_password(&password)?), ..Change::default() };
        let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
        app.store.commit(move |tx| {
            accounts::update(tx, id, &change, now)?;
            audit::note(tx, now, &label, "account.password", &id.to_hex(), Some(address))
        })?;
    }
    Ok(Response::json(200, &json!({ "message": "Admin updated successfully" })))
}
