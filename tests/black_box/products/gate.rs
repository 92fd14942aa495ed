//! `products.md` §1, §2: who is let in at all, and what a stranger, a wrong path and a wrong method are answered.

use crate::client::Request;
use crate::files::fingerprint;
use crate::server::{ADMIN, Packhouse};

/// Every route of the dialect (but `/health`), on things that exist.
const ROUTES: &[(&str, &str)] = &[
    ("PUT", "/register"),
    ("GET", "/fetch/unknown"),
    ("GET", "/tokens"),
    ("DELETE", "/prune/unknown"),
    ("GET", "/product/access"),
    ("GET", "/product/list"),
    ("PUT", "/product/create"),
    ("GET", "/product/fetch/here"),
    ("DELETE", "/product/delete/here"),
    ("PUT", "/product/modify/addToken"),
    ("DELETE", "/product/modify/deleteToken"),
    ("DELETE", "/product/modify/deleteVersion"),
    ("POST", "/product/upload"),
    ("GET", "/product/download/here/v1"),
    ("HEAD", "/product/download/here/v1"),
    ("DELETE", "/product/delete/here/v1"),
];

const UNKNOWN: &[&str] = &[
    "/product/nope",
    "/product/nope/at/all",
    "/product/download",
    "/product/download/here",
    "/product/download/here/v1/more",
    "/product/fetch",
    "/product/fetch/here/v1",
    "/product/modify",
    "/product/modify/addToken/more",
    "/product/delete",
    "/product/delete/here/v1/more",
    "/product/upload/more",
    "/product/Create",
];

const PREFIXES: [&str; 2] = ["", "/api"];

#[test]
fn a_stranger_always_sees_401() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    let pruned = server.register(true);
    server.delete(ADMIN, &format!("/prune/{pruned}")).is_empty(204);
    let before = server.visible();
    let fp = fingerprint(ADMIN);
    let foreign = [
        "unknown",
        &pruned,
        &fp,
        &fp.to_uppercase(),
        &ADMIN[1..],
        &ADMIN.to_lowercase(),
        "Bearer black-box",
        "null",
        "größe",
        "\"",
        &"x".repeat(8000),
    ];
    let ask = |method: &str, path: &str| {
        let bare = || Request::new(method, path);
        for request in [bare(), bare().header("X-Api-Token", ""), bare().header("x-api-token", " \t ")] {
            let answer = server.send(request);
            match method {
                "HEAD" => assert_eq!(answer.status, 401, "{method} {path}"),
                _ => drop(answer.is_error(401, "Authorization header missing")),
            }
        }
        for token in foreign {
            println!("{method} {path} {token:.40}");
            let answer = server.send(bare().token(token));
            match method {
                "HEAD" => assert_eq!(answer.status, 401, "{method} {path}"),
                _ => drop(answer.is_error(401, "Invalid api token")),
            }
        }
        // Other credentials mean nothing here.
        let answer =
            server.send(bare().header("Authorization", &format!("Bearer {ADMIN}")).header("X-API-Key2", ADMIN));
        assert_eq!(answer.status, 401, "{method} {path}");
    };
    for prefix in PREFIXES {
        for (method, path) in ROUTES {
            ask(method, &format!("{prefix}{path}"));
        }
        for path in UNKNOWN {
            ask("GET", &format!("{prefix}{path}"));
        }
        for (method, path) in [
            ("POST", "/register"),
            ("DELETE", "/tokens"),
            ("POST", "/product/create"),
            ("PUT", "/product/upload"),
            ("POST", "/product/download/here/v1"),
            ("DELETE", "/product/modify/addToken"),
            ("PUT", "/product/modify/bogus"),
            ("GET", "/product/fetch/%zz"),
            ("GET", "/product/download/here/%00"),
            ("DELETE", "/product/delete/%ff"),
        ] {
            ask(method, &format!("{prefix}{path}"));
        }
    }
    assert_eq!(server.visible(), before);
}

#[test]
fn the_header_in_any_case_and_with_blanks_around() {
    let server = Packhouse::start();
    for name in ["X-Api-Token", "x-api-token", "X-API-TOKEN", "x-ApI-tOkEn"] {
        for value in [ADMIN.to_owned(), format!("   {ADMIN}"), format!("{ADMIN}  "), format!("\t {ADMIN}\t ")] {
            let answer = server.send(Request::get("/product/access").header(name, &value));
            assert_eq!(answer.status, 200, "{name}: {value:?}");
        }
    }
}

#[test]
fn unknown_paths_below_product() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    for prefix in PREFIXES {
        for path in UNKNOWN {
            for method in ["GET", "PUT", "DELETE", "POST"] {
                println!("{method} {prefix}{path}");
                server.send(Request::new(method, &format!("{prefix}{path}")).token(ADMIN)).is_error_like(404, "");
            }
        }
    }
    server.has_version("here", "v1", b"bytes");
}

#[test]
fn another_method_is_405_with_allow() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    let before = server.visible();
    for prefix in PREFIXES {
        for (_, path) in ROUTES {
            let right: Vec<&str> =
                ROUTES.iter().filter(|(method, known)| known == path && *method != "HEAD").map(|(m, _)| *m).collect();
            for method in ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
                if right.contains(&method) {
                    continue;
                }
                println!("{method} {prefix}{path}");
                let answer = server.send(Request::new(method, &format!("{prefix}{path}")).token(ADMIN));
                assert_eq!(answer.status, 405, "{}", answer.text());
                let allow = answer.header("Allow").expect("no Allow");
                let allowed: Vec<&str> = allow.split(',').map(str::trim).filter(|name| *name != "HEAD").collect();
                assert_eq!(allowed, right);
                assert!(!path.contains("/download/") || allow.contains("HEAD"), "{allow}");
                if path.contains("/modify/") {
                    answer.is_text(405, "Method Not Allowed");
                }
            }
        }
    }
    assert_eq!(server.visible(), before);
}

#[test]
fn a_refused_request_leaves_the_connection_in_order() {
    let server = Packhouse::start();
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.send(Request::get("/product/access")).is_error(401, "Authorization header missing");
        connection
            .send(Request::put("/register").token("no").body("application/json", "{\"admin\":true}"))
            .is_error(401, "Invalid api token");
        connection.send(Request::get("/product/nope").token(ADMIN)).is_error_like(404, "");
        assert_eq!(connection.send(Request::post("/register").token(ADMIN).body("text/plain", "x")).status, 405);
        connection.send(Request::get("/product/fetch/none").token(ADMIN)).is_text(404, "Product not found");
        assert_eq!(connection.send(Request::get("/product/access").token(ADMIN)).body, b"[]");
    }
}
