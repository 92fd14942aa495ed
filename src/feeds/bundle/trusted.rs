//! Handlers of `/key/trusted`: certificates of other servers whose bundles are believed (`repos.md` §19.2).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::feeds::links::Base;
use crate::feeds::model::keys::{self, Trusted};
use crate::feeds::rules;
use crate::formats::openpgp::Certificates;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// The largest body, in bytes.
const BODY: u64 = 1 << 20;
/// The most certificates that are trusted.
const MOST: usize = 100;

fn shown(base: &Base, fingerprint: &str, key: &Trusted) -> Value {
    json!({
        "user": key.user,
        "added_at": key.added.rfc3339(),
        "uri": format!("{}/key/trusted/{fingerprint}", base.as_str()),
    })
}

/// `GET /key/trusted`.
pub fn list(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let keys = app.store.read(keys::trusted)?;
    let shown: Map<String, Value> = keys
        .into_iter()
        .map(|(fingerprint, key)| {
            let line = shown(&base, &fingerprint, &key);
            (fingerprint, line)
        })
        .collect();
    Ok(Response::json(200, &shown))
}

/// `POST /key/trusted`: the body is one or more certificates, armored or not.
pub fn add(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let bytes = request.bytes(BODY)?;
    let wrong = |fault| Error::invalid(format!("the body is not an OpenPGP public certificate: {fault}"));
    let certificates = Certificates::parse(&bytes).and_then(|found| found.each()).map_err(wrong)?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let keys: Vec<(String, Trusted)> = certificates
        .into_iter()
        .map(|key| (key.fingerprint, Trusted { user: key.user, armored: key.armored, added: now, by: label.clone() }))
        .collect();
    let rows = keys.clone();
    let new = app.store.commit(move |tx| {
        let known = keys::trusted(tx)?;
        let more = rows.iter().filter(|(fingerprint, _)| !known.iter().any(|(known, _)| known == fingerprint));
        if known.len() + more.count() > MOST {
            return Err(Error::conflict(format!("more than {MOST} certificates cannot be trusted; remove one first")));
        }
        let mut new = false;
        for (fingerprint, key) in &rows {
            if !known.iter().any(|(known, _)| known == fingerprint) {
                new = true;
                keys::trust(tx, fingerprint, key)?;
                audit::note(tx, now, &label, "key.trust", &format!("{fingerprint} {}", key.user), Some(address))?;
            }
        }
        Ok(new)
    })?;
    let shown: Map<String, Value> = keys.iter().map(|(print, key)| (print.clone(), shown(&base, print, key))).collect();
    Ok(Response::json(if new { 201 } else { 200 }, &shown))
}

/// `GET /key/trusted/FINGERPRINT`: the certificate.
pub fn get(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let fingerprint = request.params.get("fingerprint")?.to_ascii_uppercase();
    let keys = app.store.read(keys::trusted)?;
    let found = keys.into_iter().find(|(known, _)| *known == fingerprint).ok_or_else(|| unknown(&fingerprint))?;
    Ok(Response::bytes(200, "application/pgp-keys", found.1.armored.into_bytes()).header("Cache-Control", "no-cache"))
}

/// `DELETE /key/trusted/FINGERPRINT`.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let fingerprint = request.params.get("fingerprint")?.to_ascii_uppercase();
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let subject = fingerprint.clone();
    app.store.commit(move |tx| {
        if !keys::distrust(tx, &subject)? {
            return Err(unknown(&subject));
        }
        audit::note(tx, now, &label, "key.distrust", &subject, Some(address))
    })?;
    Ok(Response::json(200, &json!({ "deleted": fingerprint })))
}

fn unknown(fingerprint: &str) -> Error {
    Error::not_found(format!("no certificate {} is trusted", rules::shown(fingerprint)))
}
