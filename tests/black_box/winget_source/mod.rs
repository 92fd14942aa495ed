//! The Microsoft.Rest source, held to Part B of `winget.md`; every answer is read as the real client would read it.

mod checker;
mod corpus;
mod facts;
mod import;
mod information;
mod machine;
mod manifests;
mod restarts;
mod schema;
mod search;
mod writes;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{segment, sha256};
use crate::server::{ADMIN as ADMIN_TOKEN, ADMIN_USER, Packhouse};

/// A path below the first tenant's source.
fn at(path: &str) -> String {
    format!("/winget/{ADMIN_USER}{path}")
}

/// Asks as the administrator.
#[track_caller]
fn send(server: &Packhouse, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let request = Request::new(method, &at(path)).token(ADMIN_TOKEN);
    server.send(match body {
        Some(body) => request.json(body),
        None => request,
    })
}

/// Checks an error of this dialect: an array of one object.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, code: u32) {
    let value = answer.is_json(status);
    let message = value[0]["ErrorMessage"].as_str().unwrap_or_else(|| panic!("no message: {value}"));
    assert_eq!(value, json!([{ "ErrorCode": code, "ErrorMessage": message }]));
    assert!(!message.is_empty());
    schema::refusal(&value);
}

/// An installer document that is good for any version.
fn installer(arch: &str, kind: &str) -> Value {
    json!({
        "Architecture": arch,
        "InstallerType": kind,
        "InstallerUrl": format!("https://example.org/{arch}.{kind}"),
        "InstallerSha256": sha256(format!("{arch}.{kind}").as_bytes()),
    })
}

/// `document` with these members too.
fn with(mut document: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// A default locale document.
fn locale(name: &str) -> Value {
    json!({
        "PackageLocale": "en-US",
        "Publisher": "Contoso Ltd",
        "PackageName": name,
        "License": "Proprietary",
        "ShortDescription": "What it does",
    })
}

/// A version document.
fn version(text: &str, name: &str, installers: &[Value]) -> Value {
    json!({ "PackageVersion": text, "DefaultLocale": locale(name), "Installers": installers })
}

/// Adds a package with these versions.
#[track_caller]
fn add(server: &Packhouse, id: &str, versions: &[Value]) -> Value {
    let document = json!({ "PackageIdentifier": id, "Versions": versions });
    send(server, "POST", "/packageManifests", Some(&document)).is_json(201)["Data"].clone()
}

/// Searches; the answer is checked as the client would.
#[track_caller]
fn search(server: &Packhouse, body: &Value) -> Vec<Value> {
    let answer = send(server, "POST", "/manifestSearch", Some(body));
    if answer.status == 204 {
        answer.is_empty(204);
        return Vec::new();
    }
    let value = answer.is_json(200);
    checker::search(&value);
    schema::search(&value);
    value["Data"].as_array().unwrap().clone()
}

/// The ids a search finds.
#[track_caller]
fn ids(server: &Packhouse, body: &Value) -> Vec<String> {
    search(server, body).iter().map(|entry| entry["PackageIdentifier"].as_str().unwrap().to_owned()).collect()
}

/// One package's manifest; `None` when there is none. The answer is checked as the client would.
#[track_caller]
fn manifest(server: &Packhouse, id: &str, query: &str) -> Option<Value> {
    let answer = send(server, "GET", &format!("/packageManifests/{}{query}", segment(id)), None);
    if answer.status == 204 {
        answer.is_empty(204);
        return None;
    }
    let value = answer.is_json(200);
    checker::manifest(&value, id);
    schema::manifest(&value);
    Some(value["Data"].clone())
}

/// A condition on a field.
fn condition(field: &str, kind: &str, word: &str) -> Value {
    json!({ "PackageMatchField": field, "RequestMatch": { "KeyWord": word, "MatchType": kind } })
}

/// A search by one inclusion.
fn including(field: &str, kind: &str, word: &str) -> Value {
    json!({ "Inclusions": [condition(field, kind, word)] })
}
