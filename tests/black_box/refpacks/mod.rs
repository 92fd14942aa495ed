//! The RefPack dialect, row by row (`refpack.md`).

mod archives;
mod clients;
mod contents;
mod hostile;
mod lists;
mod pack;
mod paths;
mod real_data;
mod rights;
mod uploads;
mod versions;

use serde_json::Value;

use crate::client::{Answer, Request};
use crate::server::{ADMIN, Packhouse};
use pack::Pack;

/// What a refused package is told, whatever is wrong with it.
const REFUSED: (&str, &str) =
    ("Package validation failed", "The package does not conform to RefPack specification or validation failed");

/// A raw upload with the admin's key.
fn upload(zip: impl Into<Vec<u8>>) -> Request {
    Request::post("/packages").header("X-API-Key", ADMIN).body("application/zip", zip)
}

/// Publishes a package that must be good.
#[track_caller]
fn push(server: &Packhouse, pack: &Pack) -> Vec<u8> {
    let zip = pack.zip();
    push_zip(server, zip.clone());
    zip
}

#[track_caller]
fn push_zip(server: &Packhouse, zip: Vec<u8>) {
    let shown = server.send(upload(zip)).is_json(200);
    assert_eq!(shown["success"], Value::Bool(true), "{shown}");
}

#[track_caller]
fn archive(server: &Packhouse, target: &str) {
    let answer = server.send(Request::post(target).header("X-API-Key", ADMIN));
    assert_eq!(answer.is_json(200)["success"], Value::Bool(true));
}

/// Checks status and both texts of an error.
#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str, message: &str) {
    let shown = answer.is_json(status);
    assert_eq!((shown["error"].as_str(), shown["message"].as_str()), (Some(error), Some(message)), "{shown}");
}

/// Checks status and short text of an error whose sentence the contract leaves open; answers the sentence.
#[track_caller]
fn refused_like(answer: &Answer, status: u16, error: &str) -> String {
    let shown = answer.is_json(status);
    assert_eq!(shown["error"].as_str(), Some(error), "{shown}");
    let message = shown["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{shown}");
    message.to_owned()
}

/// The `code path` of every fault of a refused package.
#[track_caller]
fn faults(answer: &Answer) -> Vec<(String, String)> {
    let shown = answer.is_json(400);
    assert_eq!((shown["error"].as_str(), shown["message"].as_str()), (Some(REFUSED.0), Some(REFUSED.1)), "{shown}");
    let details = shown["details"].as_array().unwrap_or_else(|| panic!("no details: {shown}"));
    assert!((1..=20).contains(&details.len()), "{shown}");
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_else(|| panic!("no {key}: {shown}")).to_owned();
    assert!(details.iter().all(|fault| !text(fault, "message").is_empty()));
    details.iter().map(|fault| (text(fault, "code"), text(fault, "path"))).collect()
}

/// Checks that nothing was left of what was refused.
#[track_caller]
fn nothing_is_there(server: &Packhouse) {
    let shown = server.send(Request::get("/packages?includeArchived=true")).is_json(200);
    assert_eq!(shown["totalCount"], 0, "{shown}");
    assert_eq!(server.stage_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(server.shelf_files(), Vec::<std::path::PathBuf>::new());
}

/// A plain token, made through the products dialect.
#[track_caller]
fn token(server: &Packhouse) -> String {
    let answer = server.send(Request::put("/register").token(ADMIN).body("application/json", "{\"admin\":false}"));
    assert_eq!(answer.status, 201);
    answer.text().to_owned()
}
