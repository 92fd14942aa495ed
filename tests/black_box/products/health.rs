//! `products.md` §6: the two forms of `/health`.

use serde_json::json;

use crate::client::Request;
use crate::files::fingerprint;
use crate::server::{ADMIN, Packhouse, wait_for};

#[test]
fn plain_without_a_token() {
    let server = Packhouse::start();
    for path in ["/health", "/api/health"] {
        let answer = server.send(Request::get(path));
        answer.is_json(200);
        assert_eq!(answer.text(), r#"{"status":"healthy"}"#, "{path}");
    }
}

#[test]
fn checked_with_a_token() {
    let server = Packhouse::start();
    let plain = server.register(false);
    for path in ["/health", "/api/health"] {
        for token in [ADMIN, &plain] {
            let answer = server.get(token, path);
            answer.is_json(200);
            assert_eq!(answer.text(), r#"{"mongo":"Mongo is fine","redis":"Redis is fine"}"#, "{path}");
        }
        server.get("", path).is_error(401, "Authorization header missing");
        server.get("unknown", path).is_error(401, "Invalid api token");
        server.get(&fingerprint(&plain), path).is_error(401, "Invalid api token");
    }
    server.delete(ADMIN, &format!("/prune/{plain}")).is_empty(204);
    server.get(&plain, "/health").is_error(401, "Invalid api token");
}

#[test]
fn a_lost_artifact_directory_is_told() {
    let server = Packhouse::start();
    let (shelf, away) = (server.data().join("shelf"), server.data().join("shelf.away"));
    std::fs::rename(&shelf, &away).unwrap();
    let value = wait_for("a sick answer", || {
        let answer = server.get(ADMIN, "/health");
        (answer.status != 200).then(|| answer.is_json(500))
    });
    assert_eq!(value["mongo"], json!("Mongo is fine"));
    let told = value["redis"].as_str().unwrap();
    assert!(!told.is_empty() && told != "Redis is fine", "{told}");
    assert!(!told.contains(server.data().to_str().unwrap()), "a path of the server: {told}");
    assert_eq!(value.as_object().unwrap().len(), 2);
    std::fs::rename(&away, &shelf).unwrap();
    wait_for("a healthy answer", || (server.get(ADMIN, "/health").status == 200).then_some(()));
}
