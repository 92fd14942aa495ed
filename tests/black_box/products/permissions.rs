//! `products.md` §1: who may use which route, every cell of the table.

use serde_json::json;

use crate::client::{Answer, Request};
use crate::files::Form;
use crate::server::{ADMIN, Packhouse};

use super::{PERMISSIONS, delete_path, download_path, fetch_path, permissions};

/// A row of the table: what is asked of product `p` with version `v`, whose `helper` is a member.
struct Row {
    name: &'static str,
    /// The permissions of which one is enough; with none any member may.
    needs: &'static [&'static str],
    status: u16,
    ask: fn(&Packhouse, who: &str, product: &str, helper: &str) -> Answer,
}

const ROWS: &[Row] = &[
    Row { name: "fetch", needs: &[], status: 200, ask: |s, who, p, _| s.get(who, &fetch_path(p)) },
    Row {
        name: "addToken",
        needs: &["maintainer"],
        status: 201,
        ask: |s, who, p, helper| {
            s.put_json(
                who,
                "/product/modify/addToken",
                json!({ "product": p, "token": helper, "permissions": { "upload": true } }),
            )
        },
    },
    Row {
        name: "deleteToken",
        needs: &["maintainer"],
        status: 204,
        ask: |s, who, p, helper| {
            s.delete_json(who, "/product/modify/deleteToken", json!({ "product": p, "token": helper }))
        },
    },
    Row {
        name: "upload",
        needs: &["upload"],
        status: 201,
        ask: |s, who, p, _| s.upload(who, Form::upload(p, "new", "f", b"new bytes")),
    },
    Row {
        name: "upload, file first",
        needs: &["upload"],
        status: 201,
        ask: |s, who, p, _| s.upload(who, Form::new().file("f", b"first").text("version", "newer").text("product", p)),
    },
    Row { name: "download", needs: &["download"], status: 200, ask: |s, who, p, _| s.download(who, p, "v") },
    Row {
        name: "download, head",
        needs: &["download"],
        status: 200,
        ask: |s, who, p, _| s.send(Request::head(&download_path(p, "v")).token(who)),
    },
    Row {
        name: "download, conditional",
        needs: &["download"],
        status: 304,
        ask: |s, who, p, _| s.send(Request::get(&download_path(p, "v")).token(who).header("If-None-Match", "*")),
    },
    Row {
        name: "download, range",
        needs: &["download"],
        status: 206,
        ask: |s, who, p, _| s.send(Request::get(&download_path(p, "v")).token(who).header("Range", "bytes=0-0")),
    },
    Row {
        name: "deleteVersion",
        needs: &["maintainer", "delete"],
        status: 200,
        ask: |s, who, p, _| {
            s.delete_json(who, "/product/modify/deleteVersion", json!({ "product": p, "version": "w" }))
        },
    },
    Row {
        name: "delete version",
        needs: &["delete"],
        status: 204,
        ask: |s, who, p, _| s.delete(who, &delete_path(p, Some("v"))),
    },
    Row {
        name: "delete product",
        needs: &["maintainer"],
        status: 204,
        ask: |s, who, p, _| s.delete(who, &delete_path(p, None)),
    },
];

/// Every set of permissions.
fn sets() -> impl Iterator<Item = Vec<&'static str>> {
    (0..16).map(|bits| (0..4).filter(|n| bits >> n & 1 == 1).map(|n| PERMISSIONS[n]).collect())
}

#[test]
fn every_cell() {
    let server = Packhouse::start();
    let (stranger, helper, admin) = (server.register(false), server.register(false), server.register(true));
    let members: Vec<(Vec<&str>, String)> = sets().map(|set| (set, server.register(false))).collect();
    let check = |row: &Row, who: &str, label: &str, allowed: bool| {
        let product = format!("{} by {label}", row.name);
        println!("{product}");
        server.create(ADMIN, &product);
        server.add_version(&product, "v", b"v bytes");
        server.add_version(&product, "w", b"w bytes");
        server.let_in(&product, &helper, &["download"]);
        if let Some((set, _)) = members.iter().find(|(_, token)| token == who) {
            server.let_in(&product, who, set);
        }
        let before = server.view(ADMIN, &product);
        let answer = (row.ask)(&server, who, &product, &helper);
        if allowed {
            assert_eq!(answer.status, row.status, "{}", String::from_utf8_lossy(&answer.body));
        } else if row.name == "download, head" {
            assert_eq!(answer.status, 403);
        } else {
            answer.is_text(403, "permission denied");
        }
        if !allowed {
            assert_eq!(server.view(ADMIN, &product), before);
        }
    };
    for row in ROWS {
        for (set, token) in &members {
            let allowed = row.needs.is_empty() || row.needs.iter().any(|need| set.contains(need));
            check(row, token, &format!("a member with {}", permissions(set)), allowed);
        }
        check(row, &stranger, "a stranger", false);
        check(row, &admin, "an admin", true);
    }
}

#[test]
fn any_token_may() {
    let server = Packhouse::start();
    let plain = server.register(false);
    for who in [plain.as_str(), ADMIN] {
        server.get(who, "/health").is_json(200);
        server.get(who, &format!("/fetch/{plain}")).is_json(200);
        server.get(who, "/product/access").is_json(200);
        server.get(who, "/product/list").is_json(200);
        server.put_json(who, "/product/create", json!({ "name": format!("of {}", who.len()) })).is_empty(201);
    }
}

#[test]
fn a_stranger_learns_nothing_about_versions() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.add_version("p", "v", b"bytes");
    let stranger = server.register(false);
    let member = server.member("p", &["maintainer", "upload"]);
    for who in [&stranger, &member] {
        for version in ["v", "unknown"] {
            server.download(who, "p", version).is_text(403, "permission denied");
            server.delete(who, &delete_path("p", Some(version))).is_text(403, "permission denied");
        }
    }
    for version in ["v", "unknown"] {
        server.upload(&stranger, Form::upload("p", version, "f", b"x")).is_text(403, "permission denied");
        let body = json!({ "product": "p", "version": version });
        server.delete_json(&stranger, "/product/modify/deleteVersion", body).is_text(403, "permission denied");
        let body = json!({ "product": "p", "token": if version == "v" { ADMIN } else { "unknown" }, "permissions": permissions(&[]) });
        server.put_json(&stranger, "/product/modify/addToken", body).is_text(403, "permission denied");
    }
    server.has_version("p", "v", b"bytes");
}

#[test]
fn changed_permissions_count_at_once() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.add_version("p", "v", b"bytes");
    let member = server.register(false);
    let mut connection = server.connect();
    let mut ask = || connection.send(Request::get(&download_path("p", "v")).token(&member)).status;
    for _ in 0..3 {
        assert_eq!(ask(), 403);
        server.let_in("p", &member, &["download"]);
        assert_eq!(ask(), 200);
        server.let_in("p", &member, &["maintainer", "upload", "delete"]);
        assert_eq!(ask(), 403);
        server.let_in("p", &member, &["download"]);
        assert_eq!(ask(), 200);
        server
            .delete_json(ADMIN, "/product/modify/deleteToken", json!({ "product": "p", "token": member }))
            .is_empty(204);
    }
}
