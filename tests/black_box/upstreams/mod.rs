//! Upstreams and their syncs, row by row (`repos.md` §1–6, §10, §19.6).

mod apt;
mod dir;
mod doors;
mod follow;
mod hostile;
mod mirror;
mod on_demand;
mod on_demand_faults;
mod proxy;
mod repo;
mod runs;
mod yum;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::server::{ADMIN, Packhouse};

/// Makes an upstream and waits for its first sync.
#[track_caller]
fn make(server: &Packhouse, name: &str, kind: &str, path: &str, more: Value) -> Value {
    let mut body = json!({ "name": name, "type": kind, "path": path });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let answer = server.send(Request::post("/upstream?wait=50").token(ADMIN).json(&body));
    assert_eq!(answer.status, 201, "{}", answer.text());
    job(server, name)
}

/// Syncs again, with a changed definition if any, and waits.
#[track_caller]
fn again(server: &Packhouse, name: &str, change: Value) -> Value {
    let answer = server.send(Request::put(&format!("/upstream/{name}?wait=50")).token(ADMIN).json(&change));
    assert_eq!(answer.status, 202, "{}", answer.text());
    job(server, name)
}

/// The latest sync.
#[track_caller]
fn job(server: &Packhouse, name: &str) -> Value {
    server.send(Request::get(&format!("/upstream/{name}/sync"))).is_json(200)
}

/// The upstream.
#[track_caller]
fn look(server: &Packhouse, name: &str) -> Value {
    server.send(Request::get(&format!("/upstream/{name}"))).is_json(200)
}

/// The set: shasum to file name.
#[track_caller]
fn set(server: &Packhouse, name: &str) -> Vec<(String, String)> {
    let shown = server.send(Request::get(&format!("/upstream/{name}/packages"))).is_json(200);
    let files = shown.as_object().unwrap().iter();
    files.map(|(sum, entry)| (sum.clone(), entry["filename"].as_str().unwrap().to_owned())).collect()
}

/// The names in the set, in byte order.
#[track_caller]
fn names(server: &Packhouse, name: &str) -> Vec<String> {
    let mut names: Vec<String> = set(server, name).into_iter().map(|(_, name)| name).collect();
    names.sort();
    names
}

/// A sync that ended well.
#[track_caller]
fn is_done(job: &Value) {
    assert_eq!((job["state"].as_str(), &job["error"]), (Some("done"), &Value::Null), "{job}");
}

/// A sync that failed, with these words in its reason.
#[track_caller]
fn is_failed(job: &Value, words: &str) {
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job["error"].as_str().is_some_and(|error| error.contains(words)), "{words:?} is not in {job}");
}

/// Sends a JSON body as the admin.
#[track_caller]
fn send(server: &Packhouse, method: &str, target: &str, body: &str) -> Answer {
    server.send(Request::new(method, target).token(ADMIN).body("application/json", body))
}
