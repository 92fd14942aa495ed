//! `products.md` §4, `modify`: members come and go, versions are taken out by name.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files::fingerprint;
use crate::server::{ADMIN, Packhouse};

use super::{PERMISSIONS, fetch_path, permissions};

const ADD: &str = "/product/modify/addToken";
const DELETE: &str = "/product/modify/deleteToken";
const DELETE_VERSION: &str = "/product/modify/deleteVersion";

#[test]
fn a_member_gets_exactly_what_is_said() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    let token = server.register(false);
    let fp = fingerprint(&token);
    let upper = format!("fp:{}", fp[3..].to_uppercase());
    let add = |named: &str, permissions: Value| {
        server
            .put_json(ADMIN, ADD, json!({ "product": "lib", "token": named, "permissions": permissions, "x": 1 }))
            .is_empty(201);
        server.view(ADMIN, "lib")["tokens"][&fp].clone()
    };
    // Missing keys are false, unknown ones ignored; each time the permissions are replaced as a whole.
    assert_eq!(add(&token, json!({ "upload": true, "unknown": "x", "Download": true })), permissions(&["upload"]));
    assert_eq!(add(&fp, json!({ "download": true, "delete": false })), permissions(&["download"]));
    assert_eq!(add(&upper, permissions(&PERMISSIONS)), permissions(&PERMISSIONS));
    assert_eq!(add(&token, json!({})), permissions(&[]));
    assert_eq!(add(&token, json!({ "maintainer": true })), permissions(&["maintainer"]));
    assert_eq!(server.view(ADMIN, "lib")["tokens"].as_object().unwrap().len(), 2);
    // A maintainer lets others in, and an admin who is no member does too.
    let (other, admin) = (server.register(false), server.register(true));
    for who in [&token, &admin] {
        let body = json!({ "product": "lib", "token": other, "permissions": permissions(&["delete"]) });
        server.put_json(who, ADD, body).is_empty(201);
    }
    assert_eq!(server.view(&other, "lib")["tokens"][&other], permissions(&["delete"]));
}

#[test]
fn add_token_refuses_what_it_cannot_do() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    let token = server.register(false);
    let before = server.visible();
    let with = |permissions: Value| json!({ "product": "lib", "token": token, "permissions": permissions });
    let required = "permissions is required";
    server.put_json(ADMIN, ADD, json!({ "product": "lib", "token": token })).is_error(400, required);
    for permissions in [json!(null), json!("download"), json!(["download"]), json!(true), json!(1)] {
        server.put_json(ADMIN, ADD, with(permissions)).is_error(400, required);
    }
    for name in PERMISSIONS {
        for value in [json!("true"), json!(1), json!(0), json!(null), json!([]), json!({}), json!([true])] {
            server.put_json(ADMIN, ADD, with(json!({ name: value }))).is_error_like(400, "");
        }
    }
    for unknown in ["unknown", "fp:0123456789abcdef", &fingerprint(&token)[..18], &fingerprint(&token)[3..]] {
        let body = json!({ "product": "lib", "token": unknown, "permissions": {} });
        server.put_json(ADMIN, ADD, body).is_error(400, "token not found");
    }
    server
        .put_json(ADMIN, ADD, json!({ "product": "none", "token": token, "permissions": {} }))
        .is_text(404, "Product not found");
    server.is_as_before(&before, 0);
    let pruned = server.register(false);
    server.delete(ADMIN, &format!("/prune/{pruned}")).is_empty(204);
    let body = json!({ "product": "lib", "token": pruned, "permissions": {} });
    server.put_json(ADMIN, ADD, body).is_error(400, "token not found");
    server.is_as_before(&before, 0);
}

#[test]
fn members_are_taken_out() {
    let server = Packhouse::start();
    let owner = server.register(false);
    server.create(&owner, "lib");
    let delete =
        |who: &str, named: &str| server.delete_json(who, DELETE, json!({ "product": "lib", "token": named, "x": 1 }));
    // By its raw text, by its fingerprint in either case.
    for spelling in 0..3 {
        let member = server.member("lib", &["download"]);
        let fp = fingerprint(&member);
        let named = [member.clone(), fp.clone(), format!("fp:{}", fp[3..].to_uppercase())][spelling].clone();
        delete(&owner, &named).is_empty(204);
        server.get(&member, &fetch_path("lib")).is_text(403, "permission denied");
        for again in [&member, &fp] {
            delete(&owner, again).is_error(400, "token not found");
        }
    }
    let outsider = server.register(false);
    for named in [&outsider, &fingerprint(&outsider), "unknown", "fp:0123456789abcdef", ADMIN] {
        delete(&owner, named).is_error(400, "token not found");
    }
    // A maintainer removes another, and at last itself; the product stays and belongs to the admins.
    let second = server.member("lib", &["maintainer"]);
    delete(&second, &owner).is_empty(204);
    server.get(&owner, &fetch_path("lib")).is_text(403, "permission denied");
    delete(&second, &second).is_empty(204);
    assert_eq!(server.view(ADMIN, "lib")["tokens"], json!({}));
    assert_eq!(server.get(&second, "/product/access").text(), "[]");
    server.delete_json(ADMIN, DELETE, json!({ "product": "none", "token": owner })).is_text(404, "Product not found");
    let body = json!({ "product": "lib", "token": owner, "permissions": permissions(&PERMISSIONS) });
    server.put_json(ADMIN, ADD, body).is_empty(201);
    assert_eq!(server.view(&owner, "lib")["tokens"], json!({ &owner: permissions(&PERMISSIONS) }));
}

#[test]
fn versions_are_taken_out_by_name() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    for version in ["v1", "a/b", "größe"] {
        server.add_version("lib", version, version.as_bytes());
    }
    let delete = |version: &str| {
        server.delete_json(ADMIN, DELETE_VERSION, json!({ "product": "lib", "version": version, "x": 1 }))
    };
    delete("v2").is_text(400, "Version not found");
    delete("a%2Fb").is_text(400, "Version not found");
    for version in ["a/b", "v1", "größe"] {
        delete(version).is_empty(200);
        delete(version).is_text(400, "Version not found");
        server.download(ADMIN, "lib", version).is_text(400, "Version not found");
    }
    server
        .delete_json(ADMIN, DELETE_VERSION, json!({ "product": "none", "version": "v1" }))
        .is_text(404, "Product not found");
    assert_eq!(server.view(ADMIN, "lib")["versions"], json!({}));
    server.is_tidy(0);
}

#[test]
fn bodies_of_modify_are_read_strictly() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    server.add_version("lib", "v1", b"bytes");
    let token = server.register(false);
    let before = server.visible();
    let full = [
        ("PUT", ADD, json!({ "product": "lib", "token": token, "permissions": {} }), ["product", "token"]),
        ("DELETE", DELETE, json!({ "product": "lib", "token": ADMIN }), ["product", "token"]),
        ("DELETE", DELETE_VERSION, json!({ "product": "lib", "version": "v1" }), ["product", "version"]),
    ];
    for (method, path, body, needed) in full {
        let request = || Request::new(method, path).token(ADMIN);
        server.send(request()).is_error_like(400, "");
        for bad in ["", "not json", "[]", "null", "\"lib\"", "{", "{\"product\":\"lib\""] {
            println!("{method} {path} {bad}");
            server.send(request().body("application/json", bad)).is_error_like(400, "");
        }
        for key in needed {
            for value in
                [None, Some(json!(null)), Some(json!(1)), Some(json!(true)), Some(json!(["lib"])), Some(json!({}))]
            {
                println!("{method} {path} {key} {value:?}");
                let mut body = body.clone();
                match value {
                    Some(value) => body[key] = value,
                    None => drop(body.as_object_mut().unwrap().remove(key)),
                }
                server.send(request().json(&body)).is_error_like(400, "");
            }
        }
        let mut large = body.clone();
        large["x"] = json!("x".repeat(1 << 20));
        server.send(request().json(&large)).is_error_like(413, "");
        let mut deep = body.to_string();
        deep.truncate(deep.len() - 1);
        deep += &format!(",\"x\":{}{}}}", "[".repeat(70), "]".repeat(70));
        server.send(request().body("application/json", deep)).is_error_like(400, "");
    }
    server.is_as_before(&before, 1);
}

#[test]
fn a_delete_may_carry_a_chunked_body() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    server.add_version("lib", "v1", b"bytes");
    let request = Request::delete(DELETE_VERSION).token(ADMIN).chunked("application/json", |out| {
        for byte in b"{\"product\":\"lib\",\"version\":\"v1\"}" {
            out.write_all(&[*byte])?;
        }
        Ok(())
    });
    server.send(request).is_empty(200);
    assert_eq!(server.view(ADMIN, "lib")["versions"], json!({}));
}

#[test]
fn actions_and_their_methods() {
    let server = Packhouse::start();
    server.create(ADMIN, "lib");
    let before = server.visible();
    for method in ["PUT", "DELETE"] {
        for (travels, action) in [
            ("bogus", "bogus"),
            ("AddToken", "AddToken"),
            ("addtoken", "addtoken"),
            ("addToken%20", "addToken "),
            ("a%2Fb", "a/b"),
            ("gr%C3%B6%C3%9Fe", "größe"),
            ("%22", "\""),
        ] {
            let answer = server.send(Request::new(method, &format!("/product/modify/{travels}")).token(ADMIN));
            answer.is_error(400, &format!("unknown action: {action}"));
            let with_body = Request::new(method, &format!("/product/modify/{travels}")).token(ADMIN);
            server
                .send(with_body.json(&json!({ "product": "lib" })))
                .is_error(400, &format!("unknown action: {action}"));
        }
    }
    for (method, path, right) in [("DELETE", ADD, "PUT"), ("PUT", DELETE, "DELETE"), ("PUT", DELETE_VERSION, "DELETE")]
    {
        for body in ["", "{}", "{\"product\":\"none\"}", "not json"] {
            let answer = server.send(Request::new(method, path).token(ADMIN).body("application/json", body));
            answer.is_text(405, "Method Not Allowed");
            assert_eq!(answer.header("Allow"), Some(right));
        }
    }
    server.is_as_before(&before, 0);
}
