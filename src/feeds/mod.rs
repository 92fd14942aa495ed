//! The repository room: yum, apt and directory repositories, mirrored and published (`repos.md`).

pub mod desk;
pub mod entry;
pub mod links;
pub mod model;
pub mod order;
pub mod package;
pub mod publish;
pub mod rules;
pub mod sync;
pub mod upstream;
pub mod upstream_api;
pub mod upstream_rules;

pub use desk::Desk;

use serde_json::Value;

use crate::error::{Error, Kind};
use crate::http::Response;

/// Prints an [`Error`] the way this dialect does: `{"error"}`, and what [`listed`] added.
pub fn error_response(error: &Error) -> Response {
    let status = match error.kind {
        Kind::Invalid => 400,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Conflict => 409,
        Kind::TooLarge => 413,
        Kind::Throttled => 429,
        Kind::Internal => 500,
        Kind::Busy => 503,
        Kind::Quota => 507,
    };
    let (sentence, more) = match error.message.split_once('\n') {
        Some((sentence, more)) => (sentence, serde_json::from_str::<serde_json::Map<String, Value>>(more).ok()),
        None => (&*error.message, None),
    };
    let mut shown = serde_json::Map::new();
    let sentence = if more.is_some() { sentence } else { &*error.message };
    shown.insert("error".to_owned(), sentence.into());
    shown.extend(more.unwrap_or_default());
    Response::json(status, &shown)
}

/// An error that names what it is about under a key of its own: `{"error": sentence, key: values}`.
pub fn listed(kind: Kind, sentence: &str, key: &str, values: &[String]) -> Error {
    let sentence = sentence.replace('\n', " ");
    Error::new(kind, format!("{sentence}\n{}", serde_json::json!({ key: values })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Payload;

    #[test]
    fn errors_name_what_they_are_about() {
        let cases = [
            (Error::not_found("there is no repo x"), 404, r#"{"error":"there is no repo x"}"#),
            (Error::invalid("two\nlines"), 400, r#"{"error":"two\nlines"}"#),
            (
                listed(Kind::Conflict, "in use", "used_by", &["repo/x".to_owned()]),
                409,
                r#"{"error":"in use","used_by":["repo/x"]}"#,
            ),
        ];
        for (error, status, body) in cases {
            let response = error_response(&error);
            let Payload::Bytes(bytes) = response.payload() else { panic!("no body") };
            assert_eq!((response.status, std::str::from_utf8(bytes).unwrap()), (status, body));
        }
    }
}
