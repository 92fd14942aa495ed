//! Who is signed in, for the page that shows it; and the end of a login.

use serde_json::json;

use crate::app::App;
use crate::audit;
use crate::console::fresh;
use crate::error::{Error, Result};
use crate::http::{Request, Response, bearer};
use crate::identity::{Principal, Role, TokenRef, accounts};

/// `GET /ui/api/session`: the person, what they may do, and what links begin with.
pub fn session(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let Principal::Account(account) = who else {
        return Err(Error::forbidden("the pages are for people: sign in with a name and a password"));
    };
    let owner = match account.role {
        Role::Owner => None,
        Role::Team { owner } => app.store.read(|tx| accounts::get(tx, owner))?.map(|owner| owner.username),
    };
    Ok(fresh(&json!({
        "id": account.id,
        "username": account.username,
        "role": if account.role == Role::Owner { "owner" } else { "team" },
        "operator": account.operator,
        "owner": owner.as_ref().unwrap_or(&account.username),
        "tenant": account.tenant,
        // What products call this person among their members.
        "fingerprint": TokenRef::of_person(account, app.clock.now()).key.fingerprint(),
        "permissions": account.permissions,
        "base": app.settings.public_url,
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// `POST /ui/api/sign-out`: ends this login; others of the account go on.
pub fn sign_out(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    if let Some(token) = bearer(&request.head)
        && app.identity.logout(token)?
    {
        let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
        app.store.commit(move |tx| audit::note(tx, now, &label, "account.sign-out", &label, Some(address)))?;
    }
    Ok(Response::empty(204))
}
