//! Figures of the whole installation for the first page.

use serde_json::json;

use crate::app::App;
use crate::catalog;
use crate::console::{fresh, owner};
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// `GET /ui/api/overview`.
pub fn overview(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    owner(who)?;
    let artifacts = app.store.read(catalog::count)?;
    let (free, reserve) = app.store.room()?;
    Ok(fresh(&json!({ "artifacts": artifacts, "free": free, "reserve": reserve })))
}
