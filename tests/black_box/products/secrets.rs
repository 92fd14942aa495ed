//! `products.md` §2, `reliability.md` §17: secrets are neither in the log nor in the data directory.

use serde_json::json;

use crate::client::Request;
use crate::files::{Form, files_with, fingerprint};
use crate::server::{ADMIN, ADMIN_PASSWORD, Packhouse, SIGNUP_KEY};

use super::{PERMISSIONS, permissions};

/// Uses every route with tokens in every place they may stand in. The server's own check of its log at the end of every
/// test does the rest.
fn use_everything(server: &Packhouse) -> Vec<String> {
    let (first, second, pruned) = (server.register(false), server.register(true), server.register(false));
    server.create(&first, "p");
    let body = json!({ "product": "p", "token": second, "permissions": permissions(&PERMISSIONS) });
    server.put_json(&first, "/product/modify/addToken", body).is_empty(201);
    server.upload(&second, Form::upload("p", "v", "f", b"bytes")).is_empty(201);
    server.view(&first, "p");
    server.download(&first, "p", "v");
    for prefix in ["", "/api"] {
        for raw in [&first, &second, &pruned] {
            let encoded: String = raw.bytes().map(|b| format!("%{b:02x}")).collect();
            let half = format!("%{:02x}{}", raw.as_bytes()[0], &raw[1..]);
            server.secret(&raw[1..]);
            for path in [raw.clone(), encoded, half, format!("{raw}/more"), format!("{raw}?x=y"), format!("%zz{raw}")] {
                for root in ["fetch", "prune"] {
                    for token in ["", "unknown", &first] {
                        for method in ["GET", "HEAD", "PUT", "POST", "OPTIONS"] {
                            server.send(Request::new(method, &format!("{prefix}/{root}/{path}")).token(token));
                        }
                    }
                }
            }
        }
    }
    server.delete(ADMIN, &format!("/prune/{pruned}")).is_empty(204);
    server.delete(ADMIN, &format!("/prune/{pruned}")).is_error(400, "token not found");
    let body = json!({ "product": "p", "token": second });
    server.delete_json(&first, "/product/modify/deleteToken", body).is_empty(204);
    server.send(
        Request::put("/product/create").token(ADMIN).body("application/json", format!("{{\"name\":\"{first}\" broken")),
    );
    vec![first, second, pruned]
}

#[test]
fn paths_with_secrets_are_masked_in_the_log() {
    let mut server = Packhouse::start();
    use_everything(&server);
    server.stop();
    let log = server.log();
    for shown in ["GET /fetch/*** ", "DELETE /prune/*** ", "GET /api/fetch/*** ", "GET /product/fetch/p "] {
        assert!(log.contains(shown), "{shown} is not in the log:\n{log}");
    }
    assert!(log.contains(&fingerprint(ADMIN)), "the log does not say who:\n{log}");
    assert!(!log.contains("%zz"), "{log}");
}

#[test]
fn nothing_at_the_most_talkative_level_either() {
    let server = Packhouse::with().env("RUST_LOG", "trace").start();
    use_everything(&server);
}

#[test]
fn the_data_directory_holds_no_secret() {
    let mut server = Packhouse::start();
    let mut secrets = use_everything(&server);
    secrets.extend([ADMIN, ADMIN_PASSWORD, SIGNUP_KEY].map(str::to_owned));
    for round in 0..2 {
        if round == 1 {
            server.stop();
        }
        for secret in &secrets {
            let found = files_with(server.data(), secret.as_bytes());
            assert!(found.is_empty(), "{secret:?} is in {found:?}");
        }
    }
    // The search does find what is there.
    assert!(!files_with(server.data(), &fingerprint(ADMIN).as_bytes()[3..]).is_empty());
}
