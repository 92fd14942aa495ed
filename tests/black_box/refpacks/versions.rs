//! Which version is meant: `latest`, exact ones, archiving (`refpack.md` §5–§7).

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::{ADMIN, ADMIN_PASSWORD, ADMIN_USER, Packhouse, SIGNUP_KEY};

use super::pack::Pack;
use super::{archive, push, refused, upload};

fn version_of(server: &Packhouse, target: &str) -> String {
    let answer = server.send(Request::get(target));
    answer.is_json(200)["version"].as_str().unwrap().to_owned()
}

#[test]
fn latest_follows_precedence() {
    let server = Packhouse::start();
    let rising = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.9.0",
        "1.10.0",
    ];
    for version in rising {
        push(&server, &Pack::new("a", version));
        assert_eq!(version_of(&server, "/packages/a/meta"), version);
    }
    // Neither a lower version nor a pre-release moves it.
    for version in ["1.9.5", "0.1.0", "2.0.0-rc.1"] {
        push(&server, &Pack::new("a", version));
        assert_eq!(version_of(&server, "/packages/a/meta?version=latest"), "1.10.0");
    }
    let shown = server.send(Request::get("/packages/a/versions")).is_json(200);
    assert_eq!(shown["packageId"], "a");
    let listed: Vec<&str> =
        shown["versions"].as_array().unwrap().iter().map(|v| v["version"].as_str().unwrap()).collect();
    let mut expected = vec!["2.0.0-rc.1", "1.10.0", "1.9.5", "1.9.0"];
    expected.extend(rising[..8].iter().rev());
    expected.push("0.1.0");
    assert_eq!(listed, expected);
    for (asked, found) in [("1.0.0-beta.2", "1.0.0-beta.2"), ("1.10.0+any", "1.10.0"), ("0.1.0", "0.1.0")] {
        assert_eq!(version_of(&server, &format!("/packages/a/meta?version={asked}")), found);
    }
    for bad in ["1.0", "v1.0.0", "01.0.0", "1.0.0-01", "%5E1.0.0", "18446744073709551616.0.0", "Latest", "1.0.0-", "*"]
    {
        for target in ["/packages/a", "/packages/a/data", "/packages/none/meta"] {
            let answer = server.send(Request::get(&format!("{target}?version={bad}")));
            refused(&answer, 400, "Invalid version format", "Version must be a valid SemVer string");
        }
    }
    let message = "Package 'a' version '3.0.0' was not found";
    refused(&server.send(Request::get("/packages/a?version=3.0.0")), 404, "Package not found", message);
}

#[test]
fn build_metadata_is_kept_and_ignored() {
    let server = Packhouse::start();
    push(&server, &Pack::new("a", "1.0.0+build.7"));
    for asked in ["1.0.0", "1.0.0+build.7", "1.0.0%2Bbuild.7", "1.0.0+other", "1.0.0%20other", ""] {
        let answer = server.send(Request::get(&format!("/packages/a?version={asked}")));
        assert_eq!(answer.status, 200, "{asked}");
        assert_eq!(answer.header("Content-Disposition"), Some("attachment; filename=\"a-1.0.0+build.7.refpack.zip\""));
    }
    for version in ["1.0.0", "1.0.0+b", "1.0.0+build.7"] {
        let message = format!("Package 'a' version '{version}' already exists");
        refused(&server.send(upload(Pack::new("a", version).zip())), 409, "Package already exists", &message);
    }
    archive(&server, "/packages/a/archive");
    let answer = server.send(upload(Pack::new("a", "1.0.0").zip()));
    refused(&answer, 409, "Package already exists", "Package 'a' version '1.0.0' already exists");
}

#[test]
fn archiving_hides_and_pins_stay() {
    let server = Packhouse::start();
    for version in ["1.0.0", "2.0.0+x", "3.0.0-rc.1"] {
        push(&server, &Pack::new("v/n", version));
    }
    let post = |target: &str| server.send(Request::post(target).header("X-API-Key", ADMIN));
    let one = json!({"success": true, "packageId": "v/n", "version": "2.0.0+x",
        "message": "Package 'v/n' version '2.0.0+x' has been archived"});
    assert_eq!(post("/packages/v/n/archive?version=2.0.0").is_json(200), one);
    assert_eq!(version_of(&server, "/packages/v/n/meta"), "1.0.0");
    assert_eq!(post("/packages/v%2Fn/archive?version=2.0.0+y").is_json(200), one);
    assert_eq!(version_of(&server, "/packages/v/n/meta?version=2.0.0"), "2.0.0+x");
    archive(&server, "/packages/v/n/archive?version=1.0.0");
    // Only a pre-release is left.
    assert_eq!(version_of(&server, "/packages/v/n/meta"), "3.0.0-rc.1");
    let all = json!({"success": true, "packageId": "v/n", "version": Value::Null, "message": "Package 'v/n' has been archived"});
    assert_eq!(post("/packages/v/n/archive").is_json(200), all);
    assert_eq!(post("/packages/v/n/archive?version=").is_json(200), all);
    let message = "Package 'v/n' version 'latest' was not found";
    refused(&server.send(Request::get("/packages/v/n/data")), 404, "Package not found", message);
    let shown = server.send(Request::get("/packages/v/n/versions")).is_json(200);
    assert!(shown["versions"].as_array().unwrap().iter().all(|version| version["isArchived"] == true), "{shown}");
    assert_eq!(version_of(&server, "/packages/v/n/meta?version=3.0.0-rc.1"), "3.0.0-rc.1");
    for bad in ["latest", "1.0", "v1.0.0"] {
        let answer = post(&format!("/packages/v/n/archive?version={bad}"));
        refused(&answer, 400, "Invalid version format", "Version must be a valid SemVer string");
    }
    let answer = post("/packages/v/n/archive?version=9.0.0");
    refused(&answer, 404, "Package not found", "Package 'v/n' version '9.0.0' was not found");
    refused(&post("/packages/none/archive"), 404, "Package not found", "Package 'none' was not found");
    let answer = post("/packages/none/archive?version=1.0.0");
    refused(&answer, 404, "Package not found", "Package 'none' version '1.0.0' was not found");
    // A version pushed later brings the package back; a body is ignored.
    push(&server, &Pack::new("v/n", "0.5.0"));
    assert_eq!(version_of(&server, "/packages/v/n/meta"), "0.5.0");
    let with_body = Request::post("/packages/v/n/archive?version=0.5.0").header("X-API-Key", ADMIN);
    assert_eq!(server.send(with_body.body("text/plain", "what?")).status, 200);
}

#[test]
fn everything_outlives_a_restart() {
    let mut server = Packhouse::start();
    let zip = push(&server, &Pack::new("v/n", "1.0.0"));
    push(&server, &Pack::new("v/n", "2.0.0"));
    archive(&server, "/packages/v/n/archive?version=2.0.0");
    let before = server.send(Request::get("/packages")).is_json(200);
    server.kill();
    server.restart();
    assert_eq!(server.send(Request::get("/packages")).is_json(200), before);
    assert_eq!(server.send(Request::get("/packages/v/n")).body, zip);
    let answer = server.send(upload(Pack::new("v/n", "2.0.0").zip()));
    refused(&answer, 409, "Package already exists", "Package 'v/n' version '2.0.0' already exists");
}

#[test]
fn the_pages_take_archiving_back() {
    let server = Packhouse::start();
    for version in ["1.0.0", "2.0.0"] {
        push(&server, &Pack::new("v/n", version));
    }
    archive(&server, "/packages/v/n/archive");
    let log_in = |name: &str, password: &str| {
        let body = json!({ "username": name, "password": password });
        let answer = server.send(Request::post("/login").json(&body)).is_json(200);
        let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
        server.secret(&bearer["Bearer ".len()..]);
        bearer
    };
    let owner = log_in(ADMIN_USER, ADMIN_PASSWORD);
    let restore = |bearer: &str, body: Value| {
        server.send(Request::post("/ui/api/refpacks/restore").header("Authorization", bearer).json(&body)).status
    };
    let one = |version: &str| json!({ "id": "v/n", "version": version });
    let signup = json!({ "username": "other", "password": "a password of its own", "api_key": SIGNUP_KEY });
    server.send(Request::post("/signup").json(&signup)).is_json(200);
    let other = log_in("other", "a password of its own");
    assert_eq!(restore("Bearer nonsense", one("1.0.0")), 401);
    assert_eq!(restore(&other, one("1.0.0")), 403);
    for (bad, status) in
        [(json!({}), 400), (one("latest"), 400), (one("3.0.0"), 404), (json!({ "id": "w", "version": "1.0.0" }), 404)]
    {
        assert_eq!(restore(&owner, bad), status);
    }
    assert_eq!(server.send(Request::get("/packages/v/n/meta")).status, 404);
    assert_eq!(restore(&owner, one("1.0.0")), 204);
    assert_eq!(version_of(&server, "/packages/v/n/meta"), "1.0.0");
    let listed = server.send(Request::get("/packages")).is_json(200);
    assert_eq!(listed["items"][0]["version"], "1.0.0");
    assert_eq!(restore(&owner, one("1.0.0")), 204, "again is no fault");
    assert_eq!(restore(&owner, one("2.0.0")), 204);
    assert_eq!(version_of(&server, "/packages/v/n/meta"), "2.0.0");
}
