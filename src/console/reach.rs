//! Every address this server can be reached by, for whoever sets it up or looks for the right one.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::App;
use crate::certificates::{Certificates, of_this_machine};
use crate::console::{Console, fresh, owner, rules};
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// `GET /ui/api/addresses`: the public address and what the machine's own names and addresses make of the listeners, the
/// ones other machines can use first. For owners, and for everybody while the setup is open.
pub fn addresses(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    if !app.rooms.get::<Console>()?.setup_is_open(app.clock.now()) {
        owner(&app.login(&request.head)?)?;
    }
    let nobody: (Vec<SocketAddr>, Vec<SocketAddr>) = Default::default();
    let (plain, secure) = app.settings.listening.get().unwrap_or(&nobody);
    let names = of_this_machine();
    let mut found: Vec<rules::Reach> = Vec::new();
    for (scheme, listened) in [("https", secure), ("http", plain)] {
        found.extend(rules::reach(scheme, listened, &names));
    }
    found.sort_by_key(|one| one.rank);
    found.truncate(rules::MAX_ADDRESSES);
    let rows: Vec<Value> =
        found.iter().map(|one| json!({ "url": one.url, "secure": one.secure, "sort": one.sort() })).collect();
    let certificates = app.rooms.get::<Option<Arc<Certificates>>>()?;
    Ok(fresh(&json!({
        "public": app.settings.public_url,
        "rows": rows,
        "https": !secure.is_empty(),
        // Whether machines must be told to trust our own authority first.
        "ownRoot": certificates.as_ref().is_some_and(|certificates| certificates.root().is_some()),
    })))
}
