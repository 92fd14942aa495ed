//! The addresses two dialects share: `GET /` and `GET /health`.

use serde_json::json;

use crate::app::App;
use crate::apps;
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::products;

/// `GET /`: what this is, for somebody who opens the address in a browser; with an `Authorization` header the older
/// list of the app-update dialect (`faynosync.md` §7).
pub fn welcome(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    const TEXT: &str = concat!(
        "Packhouse ",
        env!("CARGO_PKG_VERSION"),
        "\n\nThe server is running. Its addresses are described in the README.\n"
    );
    let accepts = request.head.headers.text("accept").unwrap_or_default();
    if request.head.headers.get("authorization").is_none() && accepts.contains("text/html") {
        return Ok(Response::redirect(302, "/ui/").header("Vary", "Accept, Authorization"));
    }
    if request.head.headers.get("authorization").is_none() {
        return Ok(Response::text(200, TEXT));
    }
    let who = app.login(&request.head)?;
    request.set_note(who.label());
    apps::lists::all(app, &who, request)
}

/// `GET /health`: plain without `X-Api-Token`; with one, the products dialect's form after checking the token.
pub fn health(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    if request.head.headers.get("x-api-token").is_none() {
        return Ok(Response::json(200, &json!({ "status": "healthy" })));
    }
    let who = app.token(&request.head)?;
    request.set_note(who.label());
    products::api::health(app, &who, request)
}
