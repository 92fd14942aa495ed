//! A day of work through one connection, at the root and below `/api` (`products.md` §1): the same handlers.

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::files::{Form, fingerprint, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::{PERMISSIONS, permissions};

/// One connection, one prefix.
struct Walk<'a> {
    connection: Connection,
    prefix: &'a str,
}

impl Walk<'_> {
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, token: &str, body: Option<serde_json::Value>) -> Answer {
        let request = Request::new(method, &format!("{}{path}", self.prefix)).token(token);
        self.connection.send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
    }
}

#[test]
fn at_the_root_and_below_api() {
    let server = Packhouse::start();
    for prefix in ["", "/api"] {
        let mut walk = Walk { connection: server.connect(), prefix };
        assert_eq!(
            walk.ask("GET", "/health", ADMIN, None).text(),
            r#"{"mongo":"Mongo is fine","redis":"Redis is fine"}"#
        );
        let ci = walk.ask("PUT", "/register", ADMIN, Some(json!({}))).text().to_owned();
        server.secret(&ci);
        assert_eq!(walk.ask("GET", &format!("/fetch/{ci}"), &ci, None).is_json(200)["admin"], false);
        assert_eq!(walk.ask("GET", "/tokens", ADMIN, None).is_json(200).as_array().unwrap().len(), 2);
        walk.ask("PUT", "/product/create", ADMIN, Some(json!({ "name": "my lib" }))).is_empty(201);
        let add = json!({ "product": "my lib", "token": ci, "permissions": { "upload": true } });
        walk.ask("PUT", "/product/modify/addToken", ADMIN, Some(add)).is_empty(201);
        assert_eq!(walk.ask("GET", "/product/access", &ci, None).text(), "[\"my lib\"]");
        assert_eq!(walk.ask("GET", "/product/list", &ci, None).text(), "[\"my lib\"]");
        for version in ["1.0", "1.1", "1.2"] {
            let bytes = noise(version.len() as u64, 12_345);
            let (kind, body) = Form::upload("my lib", version, "lib.so", &bytes).finish();
            let upload = Request::post(&format!("{prefix}/product/upload")).token(&ci).body(&kind, body);
            let answer = walk.connection.send(upload);
            answer.is_empty(201);
            assert_eq!(answer.header("Location"), Some(format!("/product/download/my%20lib/{version}").as_str()));
            assert_eq!(answer.header("X-Checksum-Sha256"), Some(sha256(&bytes).as_str()));
            walk.ask("GET", &format!("/product/download/my%20lib/{version}"), &ci, None)
                .is_text(403, "permission denied");
            let download = walk.ask("GET", &format!("/product/download/my%20lib/{version}"), ADMIN, None);
            assert!(download.status == 200 && download.body == bytes);
            assert_eq!(walk.ask("HEAD", &format!("/product/download/my%20lib/{version}"), ADMIN, None).status, 200);
        }
        let view = walk.ask("GET", "/product/fetch/my%20lib", ADMIN, None).is_json(200);
        assert_eq!(view["versions"].as_object().unwrap().len(), 3);
        assert_eq!(
            view["tokens"],
            json!({ ADMIN: permissions(&PERMISSIONS), fingerprint(&ci): permissions(&["upload"]) })
        );
        let gone = json!({ "product": "my lib", "version": "1.0" });
        walk.ask("DELETE", "/product/modify/deleteVersion", ADMIN, Some(gone)).is_empty(200);
        walk.ask("DELETE", "/product/delete/my%20lib/1.1", ADMIN, None).is_empty(204);
        walk.ask("DELETE", "/product/delete/my%20lib/1.1", ADMIN, None).is_text(400, "Version not found");
        let out = json!({ "product": "my lib", "token": fingerprint(&ci) });
        walk.ask("DELETE", "/product/modify/deleteToken", ADMIN, Some(out)).is_empty(204);
        walk.ask("DELETE", &format!("/prune/{ci}"), ADMIN, None).is_empty(204);
        walk.ask("GET", "/product/access", &ci, None).is_error(401, "Invalid api token");
        walk.ask("PUT", "/product/modify/bogus", ADMIN, None).is_error(400, "unknown action: bogus");
        walk.ask("GET", "/product/nope", ADMIN, None).is_error_like(404, "");
        walk.ask("DELETE", "/product/delete/my%20lib", ADMIN, None).is_empty(204);
        walk.ask("DELETE", "/product/delete/my%20lib", ADMIN, None).is_text(404, "Product not found");
        server.is_tidy(0);
    }
}

#[test]
fn both_are_the_same_house() {
    let server = Packhouse::start();
    server.send(Request::put("/api/product/create").token(ADMIN).json(&json!({ "name": "p" }))).is_empty(201);
    server.add_version("p", "v", b"bytes");
    assert_eq!(server.get(ADMIN, "/api/product/download/p/v").body, b"bytes");
    assert_eq!(server.get(ADMIN, "/api/product/fetch/p").body, server.get(ADMIN, "/product/fetch/p").body);
    // The prefix is there once and is not a name.
    for path in ["/api/api/product/access", "/API/product/access", "/apiproduct/access"] {
        assert_eq!(server.get(ADMIN, path).status, 404, "{path}");
    }
}
