//! Tokens and authentication.

use crate::client::Request;
use crate::server::{ADMIN, Packhouse};

#[test]
fn health() {
    let server = Packhouse::start();
    server.send(Request::get("/health").token(ADMIN)).is_json(200);
}
