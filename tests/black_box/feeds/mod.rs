//! Repositories and packages, row by row (`repos.md`).

mod bundles;
mod habits;
mod hostile;
mod packages;
mod repos;
mod together;
mod trees;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::sha256;
use crate::server::{ADMIN, Packhouse};

/// Sends a request of the admin with a JSON body.
fn ask(server: &Packhouse, method: &str, target: &str, body: &Value) -> Answer {
    server.send(Request::new(method, target).token(ADMIN).json(body))
}

/// Makes a repo.
#[track_caller]
fn create(server: &Packhouse, body: &Value) {
    ask(server, "POST", "/repo", body).is_json(201);
}

/// Uploads a package that must be new; answers its shasum.
#[track_caller]
fn upload(server: &Packhouse, bytes: &[u8], query: &str) -> String {
    let request = Request::post(&format!("/package{query}")).token(ADMIN);
    let shown = server.send(request.body("application/octet-stream", bytes)).is_json(201);
    assert_eq!(shown["shasum"], json!(sha256(bytes)));
    sha256(bytes)
}

/// Replaces the list of a repo; answers what is told.
#[track_caller]
fn put(server: &Packhouse, repo: &str, list: &Value) -> Value {
    ask(server, "PUT", &format!("/repo/{repo}/packages"), list).is_json(200)
}

/// The bytes of a published file.
#[track_caller]
fn fetch(server: &Packhouse, target: &str) -> Vec<u8> {
    let answer = server.send(Request::get(target));
    assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
    answer.body
}

#[track_caller]
fn fetch_text(server: &Packhouse, target: &str) -> String {
    String::from_utf8(fetch(server, target)).unwrap()
}

/// What a gzip file holds, however many members it has.
fn gunzip(bytes: &[u8]) -> String {
    use std::io::Read;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}
