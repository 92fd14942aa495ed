//! Logging in and out, the test route, and the way to the documentation (`winget.md` A3).

use serde_json::json;

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::identity::logins::Style;
use crate::identity::{Password, Principal, accounts};
use crate::winget::form::Form;
use crate::winget::gate::Visit;
use crate::winget::guide;

fn unauthorized() -> Error {
    Error::new(Kind::Unauthenticated, "Unauthorized")
}

/// `POST login`: a token that lives as long as it is used at least once an hour.
pub fn login(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let form = Form::fields(app, request)?;
    let (username, password) = (form.required(&["username"])?, form.required(&["password"])?);
    let password = Password::new(password);
    let logged_in = app.identity.login(username, &password, visit.address, Style::Opaque);
    let (token, account) = logged_in.map_err(|e| if e.kind == Kind::Unauthenticated { unauthorized() } else { e })?;
    if account.tenant != visit.tenant {
        // The right password of another tenant opens nothing here and tells nothing.
        app.identity.logout(token.as_str())?;
        return Err(unauthorized());
    }
    request.set_note(format!("user:{}", account.username));
    Ok(Response::json(200, &json!({ "message": token.as_str() })).header("Cache-Control", "no-store"))
}

/// `POST logout`: ends the login whose token is given; an unknown one has ended already.
pub fn logout(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let form = Form::fields(app, request)?;
    let token = form.required(&["token"])?;
    let credentials = crate::identity::Credentials { bearer: Some(token), ..Default::default() };
    // Only logins of this tenant end here.
    if let Some(admin) = visit.admin(app, &credentials)? {
        request.set_note(admin.label);
        app.identity.logout(token)?;
    }
    Ok(Response::json(200, &json!({ "message": "Logout Successful!" })))
}

/// `GET test`.
pub fn test(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    Visit::open(app, request)?.login(app, request)?;
    Ok(Response::json(200, &json!({ "Message": "Its working!" })))
}

/// `GET docs` of a tenant: the documentation for whoever is logged in, the login for others.
pub fn docs(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let inside = visit.bearer(app, &request.head)?;
    Ok(documentation(inside.is_some()))
}

/// `GET docs` without a tenant.
pub fn general_docs(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let inside = match app.login(&request.head) {
        Ok(who) => app.store.read(|tx| match &who {
            Principal::Account(account) => Ok(accounts::get(tx, account.id)?.is_some()),
            who => Ok(who.is_admin()),
        })?,
        Err(error) if error.kind == Kind::Unauthenticated => false,
        Err(error) => return Err(error),
    };
    Ok(documentation(inside))
}

fn documentation(inside: bool) -> Response {
    match inside {
        true => Response::text(200, guide::TEXT).header("Cache-Control", "private, no-cache"),
        false => Response::redirect(307, "/ui/").header("Cache-Control", "no-store"),
    }
}
