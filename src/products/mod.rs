//! The products room: versioned build artifacts by product, with permissions per API token (`products.md`).

pub mod api;
pub mod files;
pub mod keys;
pub mod model;
pub mod rules;

use crate::error::{Error, Kind};
use crate::http::{self, Response};

/// Prints an [`Error`] the way this dialect does: `Forbidden` and `NotFound` as text, the rest as `{"error"}`.
/// An unknown version is 400 wherever it is named, as the dialect documents it; an unknown product is 404 here.
pub fn error_response(error: &Error) -> Response {
    match error.kind {
        Kind::NotFound if error.message == model::VERSION_NOT_FOUND => Response::text(400, error.message.clone()),
        Kind::Forbidden => Response::text(403, error.message.clone()),
        Kind::NotFound => Response::text(404, error.message.clone()),
        kind => json_error(http::status(kind), &error.message),
    }
}

/// As [`error_response`], for uploads and for the routes that name a version in the path: there an unknown product is
/// 400 too (`products.md` §5).
pub fn version_error_response(error: &Error) -> Response {
    match error.kind {
        Kind::NotFound => Response::text(400, error.message.clone()),
        _ => error_response(error),
    }
}

/// `{"error": message}`.
pub fn json_error(status: u16, message: &str) -> Response {
    Response::json(status, &serde_json::json!({ "error": message }))
}
