//! `products.md` §4: products are created, listed, read and deleted.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files::{Form, fingerprint, sha256};
use crate::server::{ADMIN, Packhouse};

use super::{PERMISSIONS, delete_path, fetch_path, permissions};

#[test]
fn the_creator_may_do_everything() {
    let server = Packhouse::start();
    let plain = server.register(false);
    for (name, creator) in [("mine", plain.as_str()), ("chief's", ADMIN)] {
        server.create(creator, name);
        let expected = json!({ "name": name, "tokens": { creator: permissions(&PERMISSIONS) }, "versions": {} });
        assert_eq!(server.view(creator, name), expected);
    }
}

#[test]
fn other_keys_of_a_create_are_ignored() {
    let server = Packhouse::start();
    let (plain, other) = (server.register(false), server.register(false));
    let body = json!({
        "name": "mine",
        "tokens": { &other: permissions(&PERMISSIONS), fingerprint(&other): permissions(&PERMISSIONS) },
        "versions": { "v1": {} }, "admin": true, "x": [null],
    });
    server.put_json(&plain, "/product/create", body).is_empty(201);
    let expected = json!({ "name": "mine", "tokens": { &plain: permissions(&PERMISSIONS) }, "versions": {} });
    assert_eq!(server.view(&plain, "mine"), expected);
    server.get(&other, &fetch_path("mine")).is_text(403, "permission denied");
    assert_eq!(server.get(&other, "/product/access").text(), "[]");
}

#[test]
fn a_create_needs_a_name() {
    let server = Packhouse::start();
    let request = || Request::put("/product/create").token(ADMIN);
    for body in [
        "{}",
        "{\"name\":\"\"}",
        "{\"name\":null}",
        "{\"name\":1}",
        "{\"name\":true}",
        "{\"name\":[\"a\"]}",
        "{\"name\":{}}",
        "{\"Name\":\"a\"}",
        "{\"product\":\"a\"}",
    ] {
        println!("{body}");
        server.send(request().body("application/json", body)).is_error(400, "name is required");
    }
    server.send(request()).is_error(400, "Missing request body");
    server.send(request().body("application/json", "")).is_error(400, "Missing request body");
    for body in [
        "not json",
        "[]",
        "\"a\"",
        "null",
        "{\"name\":\"a\"",
        "{\"name\":\"a\"}}",
        "name=a",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\\q\"}",
    ] {
        println!("{body}");
        server.send(request().body("application/json", body)).is_error_like(400, "");
    }
    server.send(request().body("application/json", &b"{\"name\":\"\xff\"}"[..])).is_error_like(400, "");
    let large = format!("{{\"name\":\"a\",\"x\":\"{}\"}}", "x".repeat(1 << 20));
    server.send(request().body("application/json", large)).is_error_like(413, "");
    assert_eq!(server.get(ADMIN, "/product/access").text(), "[]");
    // Escapes of JSON are ordinary characters of a name.
    server
        .send(request().body("application/json", "{\"name\":\"\\u0067r\\u00f6\\u00dfe\\/\\ud83d\\ude80\"}"))
        .is_empty(201);
    assert_eq!(server.get(ADMIN, "/product/access").is_json(200), json!(["größe/🚀"]));
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_changes() {
    let server = Packhouse::start();
    let (plain, other) = (server.register(false), server.register(false));
    server.create(&plain, "taken");
    server.let_in("taken", &other, &["download"]);
    server.add_version("taken", "v1", b"bytes");
    let before = server.visible();
    for token in [plain.as_str(), &other, ADMIN, &server.register(false)] {
        server.put_json(token, "/product/create", json!({ "name": "taken" })).is_error(409, "product already exists");
    }
    assert_eq!(server.visible()["products"], before["products"]);
    server.has_version("taken", "v1", b"bytes");
}

#[test]
fn access_lists_what_the_caller_may_see() {
    let server = Packhouse::start();
    let (plain, other) = (server.register(false), server.register(false));
    let access = |token: &str| {
        let answer = server.get(token, "/product/access");
        assert_eq!(server.get(token, "/product/list").body, answer.body);
        answer.is_json(200)
    };
    for token in [plain.as_str(), &other, ADMIN] {
        assert_eq!(access(token), json!([]));
        assert_eq!(server.get(token, "/product/access").text(), "[]");
    }
    // By code point, which is neither alphabetical nor the order of UTF-16.
    let names = ["b", "a", "B", "a/b", "a b", "ä", "z", "\u{fffd}", "🚀", "10", "9", "a-"];
    for name in names {
        server.create(&plain, name);
    }
    server.create(ADMIN, "chief's");
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(access(&plain), json!(sorted));
    assert_eq!(access(&other), json!([]));
    let mut all = names.to_vec();
    all.push("chief's");
    all.sort_unstable();
    assert_eq!(access(ADMIN), json!(all));
    // Membership counts, whatever it permits.
    server.let_in("chief's", &other, &[]);
    server.let_in("🚀", &other, &["download"]);
    assert_eq!(access(&other), json!(["chief's", "🚀"]));
    server.delete_json(ADMIN, "/product/modify/deleteToken", json!({ "product": "🚀", "token": other })).is_empty(204);
    assert_eq!(access(&other), json!(["chief's"]));
    server.delete(ADMIN, &delete_path("chief's", None)).is_empty(204);
    assert_eq!(access(&other), json!([]));
}

#[test]
fn fetch_shows_members_and_versions() {
    let server = Packhouse::start();
    let (plain, other, admin) = (server.register(false), server.register(false), server.register(true));
    let earlier = jiff::Timestamp::now();
    server.create(&plain, "my-lib");
    let none = server.member("my-lib", &[]);
    server.let_in("my-lib", &other, &["download"]);
    let bytes = b"one version".as_slice();
    server.upload(&plain, Form::upload("my-lib", "v1.0.0", "my-lib.tar.gz", bytes)).is_empty(201);
    server.upload(&plain, Form::upload("my-lib", "2/0", "größe.txt", b"")).is_empty(201);
    let entry = |set: &[&str]| permissions(set);
    // (who looks, who has which key in what it sees)
    let (fp, fo, fnone) = (fingerprint(&plain), fingerprint(&other), fingerprint(&none));
    let cases: [(&str, [&str; 3]); 5] = [
        (&plain, [&plain, &fo, &fnone]),
        (&other, [&fp, &other, &fnone]),
        (&none, [&fp, &fo, &none]),
        (ADMIN, [&fp, &fo, &fnone]),
        (&admin, [&fp, &fo, &fnone]),
    ];
    for (who, [of_plain, of_other, of_none]) in cases {
        let answer = server.get(who, "/product/fetch/my-lib");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let mut value = answer.is_json(200);
        for (version, file) in [("v1.0.0", "my-lib.tar.gz"), ("2/0", "größe.txt")] {
            let record = &mut value["versions"][version];
            let time = record["uploadedAt"].take();
            let text = time.as_str().unwrap();
            let parsed: jiff::Timestamp = text.parse().unwrap();
            assert!(
                text.ends_with('Z') && parsed.as_second() >= earlier.as_second() && parsed <= jiff::Timestamp::now(),
                "{text}"
            );
            record["uploadedAt"] = Value::from(file);
        }
        let expected = json!({
            "name": "my-lib",
            "tokens": { of_plain: entry(&PERMISSIONS), of_other: entry(&["download"]), of_none: entry(&[]) },
            "versions": {
                "v1.0.0": {
                    "path": "./products/my-lib/v1.0.0/my-lib.tar.gz", "checksum": format!("sha256:{}", sha256(bytes)),
                    "filename": "my-lib.tar.gz", "size": bytes.len(), "uploadedAt": "my-lib.tar.gz",
                },
                "2/0": {
                    "path": "./products/my-lib/2/0/größe.txt", "checksum": format!("sha256:{}", sha256(b"")),
                    "filename": "größe.txt", "size": 0, "uploadedAt": "größe.txt",
                },
            },
        });
        assert_eq!(value, expected);
        for raw in [&plain, &other, &none, &admin].into_iter().filter(|raw| *raw != who) {
            assert!(!answer.text().contains(raw.as_str()), "somebody else's secret");
        }
    }
    let stranger = server.register(false);
    server.get(&stranger, "/product/fetch/my-lib").is_text(403, "permission denied");
    for who in [stranger.as_str(), &plain, ADMIN] {
        server.get(who, "/product/fetch/unknown").is_text(404, "Product not found");
    }
}

#[test]
fn a_deleted_product_is_gone_whole() {
    let server = Packhouse::start();
    let plain = server.register(false);
    server.create(&plain, "gone");
    let member = server.member("gone", &["download", "upload", "delete"]);
    for n in 0..5 {
        server.add_version("gone", &format!("v{n}"), format!("bytes {n}").as_bytes());
    }
    server.create(&plain, "stays");
    server.add_version("stays", "v0", b"bytes 0");
    server.delete(&member, "/product/delete/gone").is_text(403, "permission denied");
    server.delete(&plain, "/product/delete/gone").is_empty(204);
    for token in [plain.as_str(), &member, ADMIN] {
        server.get(token, "/product/fetch/gone").is_text(404, "Product not found");
        server.delete(token, "/product/delete/gone").is_text(404, "Product not found");
        server.download(token, "gone", "v0").is_text(400, "Product not found");
    }
    assert_eq!(server.get(&member, "/product/access").text(), "[]");
    assert_eq!(server.get(&plain, "/product/access").is_json(200), json!(["stays"]));
    // The name is free at once, and what comes under it starts empty.
    let next = server.register(false);
    server.create(&next, "gone");
    let expected = json!({ "name": "gone", "tokens": { &next: permissions(&PERMISSIONS) }, "versions": {} });
    assert_eq!(server.view(&next, "gone"), expected);
    server.get(&plain, "/product/fetch/gone").is_text(403, "permission denied");
    server.get(&member, "/product/fetch/gone").is_text(403, "permission denied");
    server.download(&next, "gone", "v0").is_text(400, "Version not found");
    server.upload(&next, Form::upload("gone", "v0", "f", b"other bytes")).is_empty(201);
    server.has_version("gone", "v0", b"other bytes");
    server.has_version("stays", "v0", b"bytes 0");
    server.is_tidy(2);
}
