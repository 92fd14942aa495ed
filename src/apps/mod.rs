//! The app-update room: apps, their versions, and the checks of installed clients, in the FaynoSync dialect
//! (`faynosync.md`).

pub mod accounts;
pub mod actor;
pub mod axes;
pub mod catalogue;
pub mod devices;
pub mod downloads;
pub mod folder;
pub mod form;
pub mod links;
pub mod lists;
pub mod model;
pub mod offers;
pub mod pick;
pub mod prepared;
pub mod records;
pub mod releases;
pub mod removal;
pub mod rules;
pub mod sparkle;
pub mod statistics;
pub mod team;
pub mod telemetry;
pub mod tokens;
pub mod updaters;
pub mod updates;
pub mod velopack;
pub mod versions;

use std::sync::Arc;

use crate::app::App;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Response};
use crate::ids::random;
use crate::store::Store;
use crate::store::table::Table;
use links::Signer;
use prepared::Answers;
use telemetry::Telemetry;

/// What the room has once per installation.
const INFO: Table<String, [u8; 32]> = Table::new("apps.info");

/// What the room keeps in memory.
pub struct Apps {
    /// Prepared answers of the hot routes.
    pub prepared: Answers,
    /// Counters of checks.
    pub telemetry: Telemetry,
    /// Signs links of private apps.
    pub signer: Signer,
}

/// What this room keeps in memory.
///
/// # Errors
/// `Internal` when it was not opened.
pub fn memory(app: &App) -> Result<&Apps> {
    app.rooms.get::<Arc<Apps>>().map(|apps| &**apps)
}

impl Apps {
    /// Opens the room: its keys, made at the first start, and the thread that writes counters.
    ///
    /// # Errors
    /// Those of the store; `Internal` when no thread can be had.
    pub fn open(store: Arc<Store>, clock: Arc<Clock>) -> Result<Apps> {
        let key = |name: &'static str| -> Result<[u8; 32]> {
            if let Some(key) = store.read(|tx| INFO.get(tx, name))? {
                return Ok(key);
            }
            let key = random()?;
            store.commit(move |tx| INFO.put(tx, name, &key))?;
            Ok(key)
        };
        let (signer, devices) = (Signer::new(key("link-key")?), key("device-key")?);
        let telemetry = Telemetry::open(store, clock, devices)?;
        Ok(Apps { prepared: Answers::default(), telemetry, signer })
    }

    /// Writes what is only in memory and ends the room's thread. To be called once the last request is answered.
    pub fn stop(&self) {
        self.telemetry.stop();
    }
}

/// Prints an [`Error`] the way this dialect does: `{"error"}`.
pub fn error_response(error: &Error) -> Response {
    json_error(http::status(error.kind), &error.message)
}

/// `{"error": message}`.
pub fn json_error(status: u16, message: &str) -> Response {
    Response::json(status, &serde_json::json!({ "error": message }))
}

/// The form of a deletion that was refused: what failed, and why.
fn refused_deletion(what: &str, error: Error) -> Result<Response> {
    match error.kind {
        // Rights that are missing altogether are told as everywhere.
        Kind::Forbidden if error.message == "Permission denied" => Err(error),
        Kind::NotFound | Kind::Forbidden | Kind::Conflict => {
            let shown = serde_json::json!({ "error": format!("failed to delete {what}"), "details": error.message });
            Ok(Response::json(http::status(error.kind), &shown))
        }
        _ => Err(error),
    }
}
