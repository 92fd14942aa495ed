//! The first owner in the browser: a one-time right turns the account made at the first start into somebody's own.

use serde_json::{Value, json};

use crate::app::App;
use crate::audit;
use crate::console::{Console, fresh};
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::accounts::{self, Change};
use crate::identity::{Password, Principal, check_new};

/// The largest body this room reads, in bytes.
const LIMIT: u64 = 64 * 1024;

/// `GET /ui/api/setup`: whether this installation still waits for its owner.
pub fn state(app: &App, _who: &Principal, _request: &mut Request) -> Result<Response> {
    let open = app.rooms.get::<Console>()?.setup_is_open(app.clock.now());
    Ok(fresh(&json!({ "open": open })))
}

/// `POST /ui/api/setup` `{"right", "username", "password"}`: names the first owner. The password is hashed, so this
/// takes its time.
pub fn finish(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let body = request.json(LIMIT)?;
    let text = |name: &'static str| match body.get(name) {
        Some(Value::String(text)) => Ok(text.to_owned()),
        _ => Err(Error::invalid(format!("{name} must be a text"))),
    };
    let (right, username, password) = (text("right")?, text("username")?, Password::new(text("password")?));
    check_new(&username, &password)?;
    let (now, address) = (app.clock.now(), request.peer.ip());
    app.rooms.get::<Console>()?.use_right(right.trim(), now, || {
        let password = app.identity.hash_password(&password)?;
        let change = Change { username: Some(username), password: Some(password), ..Change::default() };
        app.store.commit(move |tx| {
            let owner = accounts::operator(tx)?.ok_or_else(|| Error::new(Kind::Conflict, "there is no owner yet"))?;
            let account = accounts::update(tx, owner.id, &change, now)?;
            audit::note(tx, now, "setup", "account.claim", &account.username, Some(address))
        })
    })?;
    Ok(Response::empty(204))
}
