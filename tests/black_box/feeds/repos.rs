//! `/repo` and `/repo/NAME/packages` (`repos.md` §1, §7, §8, §19).

use serde_json::json;

use super::{ask, create, fetch_text, put, upload};
use crate::client::Request;
use crate::packages::{DebFile, RpmFile};
use crate::rig::{Home, stop};
use crate::server::{ADMIN, Packhouse};

#[test]
fn strangers_meet_the_gate_first() {
    let server = Packhouse::start();
    let doors = [
        ("POST", "/repo"),
        ("PUT", "/repo/nope"),
        ("DELETE", "/repo/nope"),
        ("PUT", "/repo/nope/packages"),
        ("PATCH", "/repo/nope/packages"),
        ("POST", "/package"),
        ("DELETE", "/package/nope"),
        ("POST", "/gc"),
        ("PUT", "/key"),
        ("POST", "/repo/nope/snapshots"),
        ("DELETE", "/repo/nope/snapshots/x"),
    ];
    for (method, target) in doors {
        for request in [Request::new(method, target), Request::new(method, target).token("wrong")] {
            server.send(request).is_error(401, "a valid admin token or login is needed");
        }
        let answer = server.send(Request::new(method, target).header("Authorization", &format!("Bearer {ADMIN}")));
        assert!(![401, 403].contains(&answer.status), "{method} {target}: {}", answer.status);
    }
    let wrong = server.send(Request::delete("/repo"));
    assert_eq!((wrong.status, wrong.header("Allow")), (405, Some("GET, HEAD, POST")));
}

#[test]
fn a_repo_is_made_shown_changed_and_deleted() {
    let server = Packhouse::start();
    assert_eq!(server.send(Request::get("/repo")).is_json(200), json!({}));
    let made = ask(&server, "POST", "/repo", &json!({ "name": "prod", "type": "apt", "suite": "bookworm" }));
    let uri = made.is_json(201)["uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("http://") && uri.ends_with("/repo/prod"), "{uri}");
    assert_eq!(made.header("Location"), Some(uri.as_str()));
    assert_eq!(server.send(Request::get("/repo")).is_json(200), json!({ "prod": uri }));
    let shown = server.send(Request::get("/repo/prod")).is_json(200);
    let expected = [
        ("name", json!("prod")),
        ("type", json!("apt")),
        ("generation", json!(1)),
        ("packages", json!(0)),
        ("size", json!(0)),
        ("suite", json!("bookworm")),
        ("codename", json!("bookworm")),
        ("component", json!("main")),
        ("architectures", json!(["amd64", "arm64"])),
        ("flat", json!(false)),
        ("valid_days", json!(0)),
    ];
    for (key, value) in expected {
        assert_eq!(shown[key], value, "{key}");
    }
    assert!(shown["client"].as_str().unwrap().contains("bookworm main"));

    ask(&server, "POST", "/repo", &json!({ "name": "prod", "type": "apt" })).is_error_naming(409, "prod");
    let bad = [
        json!({ "name": "x" }),
        json!({ "type": "yum" }),
        json!({ "name": "x", "type": "zip" }),
        json!([]),
        json!({ "name": "a b", "type": "yum" }),
        json!({ "name": 3, "type": "yum" }),
        json!({ "name": "a@b", "type": "dir" }),
        json!({ "name": "x", "type": "apt", "suite": "../x" }),
    ];
    for body in bad {
        ask(&server, "POST", "/repo", &body).is_error_like(400, "");
    }
    let put = |name: &str, body: &str| {
        server.send(Request::put(&format!("/repo/{name}")).token(ADMIN).body("application/json", body))
    };
    assert_eq!(put("new", r#"{"type":"dir","path":"ignored"}"#).is_json(201)["name"], json!("new"));
    assert_eq!(put("prod", "").is_json(200)["generation"], json!(1));
    let changed = put("prod", r#"{"description":"ours"}"#).is_json(200);
    assert_eq!((&changed["generation"], &changed["suite"]), (&json!(2), &json!("bookworm")));
    put("prod", r#"{"type":"yum"}"#).is_error_like(409, "repo prod is of type apt");
    put("prod", r#"{"name":"other"}"#).is_error_like(400, "");
    put("fresh", "").is_error_like(400, "type is missing");

    let deleted = ask(&server, "DELETE", "/repo/prod", &json!({}));
    assert_eq!(deleted.is_json(200), json!({ "deleted": "prod" }));
    for target in ["/repo/prod", "/repo/prod/", "/repo/prod/dists/bookworm/InRelease", "/repo/prod/packages"] {
        server.send(Request::get(target)).is_error_naming(404, "prod");
    }
    ask(&server, "DELETE", "/repo/prod", &json!({})).is_error_naming(404, "prod");
}

#[test]
fn lists_are_replaced_changed_and_refused_whole() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "tools", "type": "yum" }));
    let one = upload(&server, &RpmFile::new("one", "1.0", "1").build(), "");
    let two = upload(&server, &RpmFile::new("two", "1.0", "1").build(), "");
    let deb = upload(&server, &DebFile::new("three", "1.0").build(), "");

    let told = put(&server, "tools", &json!({ one.clone(): true, two.clone(): {} }));
    let expected = json!({ "name": "tools", "packages": 2, "added": 2, "removed": 0, "generation": 2, "changed": true, "warnings": [] });
    assert_eq!(told, expected);
    let listed = server.send(Request::get("/repo/tools/packages")).is_json(200);
    assert_eq!(listed[&one]["filename"], json!("one-1.0-1.x86_64.rpm"));
    let again = put(&server, "tools", &listed);
    assert_eq!((&again["changed"], &again["generation"]), (&json!(false), &json!(2)));

    let unknown = "0".repeat(64);
    let refused = ask(&server, "PUT", "/repo/tools/packages", &json!({ unknown.clone(): true, one.clone(): true }));
    assert_eq!(refused.is_json(400), json!({ "error": "1 of 2 packages is not known here", "unknown": [unknown] }));
    let refused = ask(&server, "PUT", "/repo/tools/packages", &json!({ deb.clone(): true }));
    let sentence = "repo tools is of type yum and takes rpm packages only";
    assert_eq!(refused.is_json(400), json!({ "error": sentence, "mismatched": [deb] }));
    for body in
        [json!([]), json!({ one.clone(): 1 }), json!({ one.clone(): false }), json!({ one.clone(): { "shasum": two } })]
    {
        ask(&server, "PUT", "/repo/tools/packages", &body).is_error_like(400, "");
    }
    assert_eq!(server.send(Request::get("/repo/tools/packages")).is_json(200), listed);

    let patched =
        ask(&server, "PATCH", "/repo/tools/packages", &json!({ one.clone(): false, two.clone(): true })).is_json(200);
    assert_eq!((&patched["packages"], &patched["removed"], &patched["added"]), (&json!(1), &json!(1), &json!(0)));
    let used = server.send(Request::delete(&format!("/package/{two}")).token(ADMIN));
    assert_eq!(used.is_json(409), json!({ "error": "the package is still in use", "used_by": ["repo/tools"] }));
    assert_eq!(put(&server, "tools", &json!({}))["packages"], json!(0));
}

#[test]
fn sets_are_copied_pinned_and_compared() {
    let server = Packhouse::start();
    for name in ["a", "b"] {
        create(&server, &json!({ "name": name, "type": "yum" }));
    }
    create(&server, &json!({ "name": "apt", "type": "apt" }));
    let old = upload(&server, &RpmFile::new("tool", "1.9", "1").build(), "");
    let new = upload(&server, &RpmFile::new("tool", "1.10", "1").build(), "");
    put(&server, "a", &json!({ old.clone(): true }));
    let sync = |repo: &str, name: &str, kind: &str| {
        ask(&server, "PUT", &format!("/repo/{repo}/packages"), &json!({ "sync": { "name": name, "type": kind } }))
    };
    assert_eq!(sync("b", "a", "repo").is_json(200)["added"], json!(1));
    sync("b", "nope", "repo").is_error_naming(404, "nope");
    sync("b", "nope", "upstream").is_error_naming(404, "nope");
    sync("b", "a", "tree").is_error_like(400, "");
    sync("apt", "a", "repo").is_error_like(400, "");

    let uri = ask(&server, "POST", "/repo/a/snapshots", &json!({ "name": "s1" })).is_json(201)["uri"].clone();
    assert!(uri.as_str().unwrap().ends_with("/repo/a@s1/"), "{uri}");
    ask(&server, "POST", "/repo/a/snapshots", &json!({ "name": "s1" })).is_error_like(409, "");
    let pinned = fetch_text(&server, "/repo/a@s1/repodata/repomd.xml");
    put(&server, "a", &json!({ new.clone(): true }));
    assert_eq!(fetch_text(&server, "/repo/a@s1/repodata/repomd.xml"), pinned);
    assert_ne!(fetch_text(&server, "/repo/a/repodata/repomd.xml"), pinned);
    let diff = server.send(Request::get("/repo/b/diff?with=repo/a")).is_json(200);
    assert_eq!((&diff["same"], &diff["only_here"][&old]["version"]), (&json!(0), &json!("1.9")));
    assert_eq!(diff["upgraded"], json!([{ "name": "tool", "arch": "x86_64", "from": "1.9-1", "to": "1.10-1" }]));
    assert_eq!(sync("a", "a@s1", "snapshot").is_json(200)["packages"], json!(1));
    let newest = put(&server, "b", &json!({ old.clone(): true, new.clone(): true }));
    assert_eq!(newest["packages"], json!(2));
    let newest = server.send(Request::get("/repo/b/packages?newest=1")).is_json(200);
    assert_eq!(newest.as_object().unwrap().keys().collect::<Vec<_>>(), [&new]);

    let shown = server.send(Request::get("/repo/a/snapshots")).is_json(200);
    assert_eq!((&shown["s1"]["packages"], &shown["s1"]["generation"]), (&json!(1), &json!(2)));
    let gone = server.send(Request::delete("/repo/a/snapshots/s1").token(ADMIN));
    assert_eq!(gone.is_json(200), json!({ "deleted": "s1" }));
    server.send(Request::get("/repo/a@s1/repodata/repomd.xml")).is_error_like(404, "");
}

#[test]
fn old_versions_leave_by_themselves() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "r", "type": "apt", "retain": { "versions": 2 } }));
    let mut sums = Vec::new();
    for version in ["1.9", "1.10", "1.2"] {
        sums.push(upload(&server, &DebFile::new("tool", version).build(), "?repo=r"));
    }
    let listed = server.send(Request::get("/repo/r/packages")).is_json(200);
    assert!(listed.get(&sums[0]).is_some() && listed.get(&sums[1]).is_some() && listed.get(&sums[2]).is_none());
}

#[test]
fn repos_survive_a_restart() {
    let home = Home::new();
    let server = home.start();
    create(&server, &json!({ "name": "r", "type": "yum" }));
    let sum = upload(&server, &RpmFile::new("tool", "1.0", "1").build(), "?repo=r");
    let (repomd, key) = (fetch_text(&server, "/repo/r/repodata/repomd.xml"), fetch_text(&server, "/key.asc"));
    stop(server);
    let server = home.start();
    assert_eq!(fetch_text(&server, "/repo/r/repodata/repomd.xml"), repomd);
    assert_eq!(fetch_text(&server, "/key.asc"), key);
    assert_eq!(put(&server, "r", &json!({ sum: true }))["changed"], json!(false));
    stop(server);
    crate::rig::assert_sound(home.data(), "after a restart");
}
