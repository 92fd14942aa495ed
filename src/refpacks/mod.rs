//! The RefPack room: packages of reference data with versions, checked whole before they are taken (`refpack.md`).

pub mod api;
mod desk;
pub mod files;
pub mod index;
pub mod model;
pub mod rules;
pub mod search;
pub mod upload;

pub use desk::Desk;

use crate::error::{Error, Kind};
use crate::http::{self, Method, Response, allow_value};

/// Prints an [`Error`] the way this dialect does. Errors of the room carry their short word on the first line of the
/// message ([`rules::refuse`]); those of the core have none and get their kind's.
pub fn error_response(error: &Error) -> Response {
    let usual = match error.kind {
        Kind::Invalid => "Invalid parameter",
        Kind::Unauthenticated => "Unauthorized",
        Kind::Forbidden => "Forbidden",
        Kind::NotFound => "Not found",
        Kind::Conflict => "Conflict",
        Kind::TooLarge => "Package too large",
        Kind::Throttled => "Too many requests",
        Kind::Busy => "Busy",
        Kind::Gateway => "Bad gateway",
        Kind::Quota => "Insufficient storage",
        Kind::Internal => return json_error(500, "", &error.message),
    };
    let (short, sentence) = error.message.split_once('\n').unwrap_or((usual, &error.message));
    json_error(http::status(error.kind), short, sentence)
}

/// `{"error", "message"}`, or for a fault of the server `{"title", "detail", "status"}`.
pub fn json_error(status: u16, short: &str, sentence: &str) -> Response {
    match status {
        500 => Response::json(
            500,
            &serde_json::json!({ "title": "Internal Server Error", "detail": sentence, "status": 500 }),
        ),
        _ => Response::json(status, &serde_json::json!({ "error": short, "message": sentence })),
    }
}

/// The answer for a path below `/packages` that is no route.
pub fn nowhere() -> Response {
    json_error(404, "Not found", "There is no such address below /packages")
}

/// The answer for a path that has other methods.
pub fn wrong_method(allowed: &[Method]) -> Response {
    let allowed = allow_value(allowed);
    let sentence = format!("This address answers {allowed} only");
    json_error(405, "Method not allowed", &sentence).header("Allow", allowed)
}

/// The engine's own refusals, for paths of this dialect.
pub fn refusal(status: u16, message: &str) -> Response {
    let short = match status {
        400 => "Invalid request",
        408 => "Request timeout",
        413 => "Package too large",
        414 => "URI too long",
        431 => "Header too large",
        501 => "Not implemented",
        503 => "Busy",
        505 => "Version not supported",
        _ => "Refused",
    };
    json_error(status, short, message)
}
