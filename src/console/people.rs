//! What the dialects do not tell of people and keys: who is signed in, the end of all sessions of somebody, the last use of
//! keys.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::console::{fresh, owner};
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::accounts::{self, Account, Role};
use crate::identity::{AccountRef, Principal, Use, logins, tokens};
use crate::ids::ObjectId;
use crate::store::table::Read;

/// Owners listed at most.
const MAX_OWNERS: usize = 1000;

/// `GET /ui/api/people`: this owner and its team with their sessions; for the owner of the installation every owner.
pub fn list(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let (owners, team) = app.store.read(|tx| {
        let owners = match me.operator {
            true => accounts::owners(tx, MAX_OWNERS)?,
            false => accounts::get(tx, me.id)?.into_iter().collect(),
        };
        Ok((lines(app, tx, owners)?, lines(app, tx, accounts::team_of(tx, me.id)?)?))
    })?;
    Ok(fresh(&json!({ "owners": owners, "team": team })))
}

fn lines(app: &App, tx: &impl Read, list: Vec<Account>) -> Result<Vec<Value>> {
    let line = |account: Account| {
        let (sessions, last) = app.identity.sessions(tx, &account)?;
        Ok(json!({
            "id": account.id,
            "username": account.username,
            "operator": account.operator,
            "created": account.created.rfc3339(),
            "sessions": sessions,
            "lastSignIn": last.map(|time| time.rfc3339()),
        }))
    };
    list.into_iter().map(line).collect()
}

/// `POST /ui/api/people/{id}/sign-out`: ends every session of this account, of one of its team users, or of anybody when
/// the owner of the installation asks. The password stays.
pub fn sign_out(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = owner(who)?.clone();
    let id = ObjectId::from_hex(&request.params.get("id")?).ok_or_else(|| Error::invalid("an id has 24 hex digits"))?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        let account = accounts::get(tx, id)?.filter(|account| may_sign_out(&me, account));
        let account = account.ok_or_else(|| Error::not_found("there is no such person"))?;
        audit::note(tx, now, &label, "account.sign-out-everywhere", &account.username, Some(address))?;
        logins::remove_all(tx, id)
    })?;
    Ok(Response::empty(204))
}

fn may_sign_out(me: &AccountRef, account: &Account) -> bool {
    me.operator || account.id == me.id || account.role == Role::Team { owner: me.id }
}

/// `GET /ui/api/keys`: when and from where keys were last used, by fingerprint; upload keys for apps by their id.
pub fn keys(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let (mut server, mut uploads) = (Map::new(), Map::new());
    app.store.read(|tx| {
        let all = match me.operator {
            true => tokens::list(tx)?,
            false => tokens::of_account(tx, me.id)?,
        };
        for (key, token) in all {
            let Some(used) = app.identity.last_use(tx, key)? else { continue };
            match token.scope {
                Some(scope) => uploads.insert(scope.id.to_hex(), shown(&used)),
                None => server.insert(key.fingerprint(), shown(&used)),
            };
        }
        Ok(())
    })?;
    Ok(fresh(&json!({ "server": server, "uploads": uploads })))
}

fn shown(used: &Use) -> Value {
    json!({ "at": used.at.rfc3339_millis(), "address": used.address })
}
