//! The Microsoft.Rest source: what an unmodified `winget` asks (`winget.md` Part B).

pub mod api;
mod desk;
pub mod documents;
pub mod filing;
pub mod import;
pub mod index;
pub mod manifest;
pub mod matching;
pub mod prepared;
pub mod shown;
pub mod visitor;
pub mod writes;

pub use index::Index;

use serde_json::json;

use crate::error::{Error, Kind};
use crate::http::{Method, Response, allow_value};
use crate::winget::gate;

/// Where the source is served.
const ROOT: &str = "/winget";

/// What a request for a version of the protocol that nobody speaks is told.
const BAD_DOCUMENT: u32 = 3;
const UNKNOWN_CONTRACT: u32 = 18;
const BAD_CONTINUATION: u32 = 19;

/// `[{"ErrorCode", "ErrorMessage"}]`.
fn refused(status: u16, code: u32, message: &str) -> Response {
    Response::json(status, &json!([{ "ErrorCode": code, "ErrorMessage": message }]))
}

/// Prints an [`Error`] in the source's words.
pub fn error_response(error: &Error) -> Response {
    let (status, code) = match error.kind {
        Kind::Invalid => (400, BAD_DOCUMENT),
        Kind::Unauthenticated => (401, 401),
        Kind::Forbidden => (403, 403),
        Kind::NotFound => (404, 404),
        Kind::Conflict => (409, 409),
        Kind::TooLarge => (413, BAD_DOCUMENT),
        Kind::Throttled => (429, 429),
        Kind::Busy => (503, 503),
        Kind::Quota => (507, 507),
        Kind::Gateway => (502, 502),
        Kind::Internal => (500, 1),
    };
    let response = refused(status, code, &error.message);
    match error.kind {
        Kind::Unauthenticated if error.message != gate::NO_CLIENT => response.header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// Whether a path belongs to the source.
pub fn is_source(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer for a path that is nowhere on the map.
pub fn nowhere() -> Response {
    refused(404, 404, "Not Found")
}

/// The answer for a path that has other methods.
pub fn wrong_method(allowed: &[Method]) -> Response {
    refused(405, 405, "Method Not Allowed").header("Allow", allow_value(allowed))
}

/// A refusal of the engine itself.
pub fn refusal(status: u16, message: &str) -> Response {
    refused(status, if status == 400 { BAD_DOCUMENT } else { u32::from(status) }, message)
}
