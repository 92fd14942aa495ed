//! The repository room: yum, apt and directory repositories, mirrored and published (`repos.md`).

pub mod api;
mod body;
pub mod bundle;
mod clients;
pub mod contents;
pub mod desk;
pub mod entry;
pub mod follow;
pub mod housekeeping;
mod index_page;
mod line;
pub mod links;
pub mod model;
mod on_demand;
mod options;
pub mod order;
pub mod package;
mod pairs;
pub mod publish;
mod ready;
pub mod rules;
pub mod serve;
pub mod snapshots;
pub mod sync;
mod together;
pub mod uploads;
pub mod upstream;
pub mod upstream_api;
pub mod upstream_rules;

pub use desk::Desk;

use std::sync::Arc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::{self, Response};

/// Prints an [`Error`] the way this dialect does: `{"error"}`, and the names of what it is about.
pub fn error_response(error: &Error) -> Response {
    let mut shown = serde_json::Map::new();
    shown.insert("error".to_owned(), (*error.message).into());
    if let Some((word, names)) = &error.about {
        shown.insert((*word).to_owned(), names.clone().into());
    }
    Response::json(http::status(error.kind), &shown)
}

/// The room's memory.
fn desk(app: &App) -> Result<&Desk> {
    app.rooms.get::<Arc<Desk>>().map(|desk| &**desk)
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
                Error::conflict("in use").about("used_by", vec!["repo/x".to_owned()]),
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
