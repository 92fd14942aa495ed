//! The winget room: the Winget-Repo API and the Microsoft.Rest source over one store of packages (`winget.md`).

pub mod chunking;
pub mod chunks;
pub mod downloads;
pub mod fields;
pub mod form;
pub mod gate;
pub mod guide;
pub mod installers;
pub mod keys;
pub mod links;
pub mod listing;
pub mod machines;
pub mod model;
pub mod names;
pub mod notes;
pub mod offers;
pub mod options;
pub mod packages;
pub mod rules;
pub mod sessions;
pub mod shown;
pub mod source;
pub mod sweep;
pub mod tenant;
pub mod texts;
pub mod transfers;
pub mod uploads;
pub mod versions;

use std::sync::Arc;

use serde_json::json;

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Method, Response, allow_value};
use crate::ids::random;
use crate::store::Store;
use crate::store::table::Table;
use chunking::Desk;
use links::Signer;
use notes::Notes;

/// What the room has once per installation.
const INFO: Table<String, [u8; 32]> = Table::new("winget.info");

/// Where Part A is served.
const API: &str = "/cloud/client/api";

/// What the room keeps in memory.
pub struct Winget {
    /// Signs links to installers.
    pub signer: Signer,
    /// What Part B searches in.
    pub index: source::Index,
    /// Manifests that are ready to be sent.
    pub manifests: source::prepared::Manifests,
    /// Whom Part B knows.
    pub visitors: source::visitor::Visitors,
    /// Uploads that are being worked on.
    pub desk: Desk,
    /// What is noted of clients in passing.
    pub notes: Arc<Notes>,
}

/// What this room keeps in memory.
///
/// # Errors
/// `Internal` when it was not opened.
pub fn memory(app: &App) -> Result<&Winget> {
    app.rooms.get::<Arc<Winget>>().map(|room| &**room)
}

impl Winget {
    /// Opens the room: its key, made at the first start, the thread that writes notes, and the rule that keeps
    /// unfinished uploads over a restart.
    ///
    /// # Errors
    /// Those of the store; `Internal` when no thread can be had.
    pub fn open(store: &Arc<Store>) -> Result<Winget> {
        const NAME: &str = "link-key";
        let key = match store.read(|tx| INFO.get(tx, NAME))? {
            Some(key) => key,
            None => {
                let key = random()?;
                store.commit(move |tx| INFO.put(tx, NAME, &key))?;
                key
            }
        };
        store.set_keep_stage(uploads::is_kept);
        let notes = Arc::new(Notes::new(store.clone()));
        notes.start()?;
        Ok(Winget {
            signer: Signer::new(key),
            index: source::Index::default(),
            manifests: source::prepared::Manifests::default(),
            visitors: source::visitor::Visitors::default(),
            desk: Desk::default(),
            notes,
        })
    }

    /// Writes what is only in memory and ends the room's thread. To be called once the last request is answered.
    pub fn stop(&self) {
        self.notes.stop();
    }
}

/// Prints an [`Error`] of a route for administrators: `{"detail"}`, and how to come back.
pub fn error_response(error: &Error) -> Response {
    let response = client_error_response(error);
    match error.kind {
        Kind::Unauthenticated => response.header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// Prints an [`Error`] of a route for clients: `{"detail"}`.
pub fn client_error_response(error: &Error) -> Response {
    match (error.kind, error.message.as_ref()) {
        (Kind::Forbidden, gate::IP_REFUSED) => {
            Response::json(403, &json!({ "detail": gate::IP_REFUSED, "error": gate::IP_REFUSED }))
        }
        (kind, message) => detail(status(kind), message),
    }
}

/// `{"detail": message}`.
fn detail(status: u16, message: &str) -> Response {
    Response::json(status, &json!({ "detail": message }))
}

const fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Quota => 407,
        kind => http::status(kind),
    }
}

/// Whether a path belongs to Part A.
pub fn is_api(path: &str) -> bool {
    path.strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path with a client's token in it as the log shows it; none when it has none.
pub fn masked(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    let place = match parts.as_slice() {
        ["", "cloud", "client", "api", _, "delete_client", _, _, ..] => 7,
        ["", "winget", _, "t", _, ..] => 4,
        _ => return None,
    };
    *parts.get_mut(place)? = "***";
    if place == 7 {
        parts.truncate(place + 1);
    }
    Some(parts.join("/"))
}

/// The answer for a path of Part A that is nowhere on the map.
pub fn nowhere() -> Response {
    detail(404, "Not Found")
}

/// The answer for a path of Part A that has other methods.
pub fn wrong_method(allowed: &[Method]) -> Response {
    detail(405, "Method Not Allowed").header("Allow", allow_value(allowed))
}

/// A refusal of the engine itself, on a path of Part A.
pub fn refusal(status: u16, message: &str) -> Response {
    detail(status, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_this_dialects_words() {
        let cases = [
            (Kind::Invalid, 400),
            (Kind::Unauthenticated, 401),
            (Kind::Forbidden, 403),
            (Kind::NotFound, 404),
            (Kind::Quota, 407),
            (Kind::Conflict, 409),
            (Kind::TooLarge, 413),
            (Kind::Throttled, 429),
            (Kind::Internal, 500),
            (Kind::Busy, 503),
        ];
        for (kind, status) in cases {
            let response = error_response(&Error::new(kind, "words"));
            assert_eq!(response.status, status);
            assert_eq!(response.has_header("WWW-Authenticate"), status == 401);
            assert!(!response.has_header("Proxy-Authenticate"));
        }
        assert!(is_api("/cloud/client/api") && is_api("/cloud/client/api/x") && !is_api("/cloud/client/apix"));
    }
}
