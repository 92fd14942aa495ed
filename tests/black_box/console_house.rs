//! What the web UI asks of the house itself: addresses, downloads, people and keys, what is held nowhere, licences (`ui.md` §3).

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::console::{PASSWORD, log_in, other_owner, owner};
use crate::files::{Form, sha256};
use crate::rig;
use crate::server::{ADMIN, ADMIN_USER, Packhouse, wait_for};

/// A team user of whoever `bearer` is.
fn helper(server: &Packhouse, bearer: &str, name: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD, "permissions": {} });
    let made = Request::post("/user/create").header("Authorization", &format!("Bearer {bearer}")).json(&body);
    assert_eq!(server.send(made).status, 200);
    log_in(server, name, PASSWORD)
}

fn ask(server: &Packhouse, bearer: &str, method: &str, path: &str) -> Answer {
    server.send(Request::new(method, path).header("Authorization", &format!("Bearer {bearer}")))
}

#[track_caller]
fn get(server: &Packhouse, bearer: &str, path: &str) -> Value {
    ask(server, bearer, "GET", path).is_json(200)
}

fn add(server: &Packhouse, version: &str, bytes: &[u8]) -> String {
    let (kind, body) = Form::upload("tools", version, "tool.bin", bytes).finish();
    let answer = server.send(Request::post("/product/upload").token(ADMIN).body(&kind, body));
    assert_eq!(answer.status, 201, "{}", answer.text());
    sha256(bytes)
}

/// Downloads of the last week: a test that runs over midnight has them on two days.
fn today(server: &Packhouse, bearer: &str) -> u64 {
    let days = get(server, bearer, "/ui/api/overview")["downloads"].as_array().unwrap().clone();
    assert_eq!(days.len(), 7, "{days:?}");
    days.iter().map(|day| day["count"].as_u64().unwrap()).sum()
}

#[test]
fn every_address_of_the_machine_is_offered() {
    let server = Packhouse::with().arg("--tls-listen").arg("127.0.0.1:0").start();
    let first = owner(&server);
    assert_eq!(server.send(Request::get("/ui/api/addresses")).status, 401);
    let team = helper(&server, &first, "helper");
    assert_eq!(ask(&server, &team, "GET", "/ui/api/addresses").status, 403);
    let found = get(&server, &first, "/ui/api/addresses");
    let port = server.address().port();
    let urls: Vec<&str> = found["rows"].as_array().unwrap().iter().map(|row| row["url"].as_str().unwrap()).collect();
    // It listens on one address, so nothing else of the machine is offered.
    assert_eq!(urls.len(), 4, "{urls:?}");
    assert!(urls.contains(&format!("http://127.0.0.1:{port}").as_str()), "{urls:?}");
    assert!(urls.contains(&format!("http://localhost:{port}").as_str()), "{urls:?}");
    assert_eq!(found["rows"].as_array().unwrap().iter().filter(|row| row["secure"] == true).count(), 2);
    assert_eq!((&found["public"], &found["https"], &found["ownRoot"]), (&Value::Null, &json!(true), &json!(true)));
    assert_eq!(found["rows"][0]["sort"], "local");
    let ends = get(&server, &first, "/ui/api/overview")["certificateEnds"].as_str().unwrap().to_owned();
    assert!(ends.as_str() > "2027-01-01" && ends.ends_with('Z'), "{ends}");
}

#[test]
fn whoever_sets_the_server_up_sees_its_addresses() {
    let server = Packhouse::with()
        .without("PACKHOUSE_ADMIN_USER")
        .without("PACKHOUSE_ADMIN_PASSWORD")
        .without("PACKHOUSE_ADMIN_TOKEN")
        .arg("--public-url")
        .arg("https://packages.example")
        .start();
    let right = wait_for("the link", || {
        let log = server.log();
        let (_, rest) = log.split_once("/ui/#/setup?right=")?;
        rest.split_once('\n').map(|(right, _)| right.to_owned())
    });
    let found = server.send(Request::get("/ui/api/addresses")).is_json(200);
    assert_eq!((&found["public"], &found["https"]), (&json!("https://packages.example"), &json!(false)));
    let body = json!({ "right": right, "username": "ann", "password": PASSWORD });
    server.send(Request::post("/ui/api/setup").json(&body)).is_empty(204);
    assert_eq!(server.send(Request::get("/ui/api/addresses")).status, 401);
}

#[test]
fn downloads_are_counted_when_bytes_leave_and_outlive_a_restart() {
    let mut server = Packhouse::start();
    let first = owner(&server);
    rig::create_product(server.address(), "tools");
    let digest = add(&server, "1", &[7; 100_000]);
    let fetch = || Request::get("/product/download/tools/1").token(ADMIN);
    assert_eq!(today(&server, &first), 0);
    assert_eq!(server.send(fetch()).status, 200);
    assert_eq!(server.send(fetch().header("Range", "bytes=0-9")).status, 206);
    // No bytes, or the middle of a file whose beginning was counted.
    assert_eq!(server.send(Request::head("/product/download/tools/1").token(ADMIN)).status, 200);
    assert_eq!(server.send(fetch().header("If-None-Match", &format!("\"{digest}\""))).status, 304);
    assert_eq!(server.send(fetch().header("Range", "bytes=50-59")).status, 206);
    assert_eq!(server.send(fetch().header("Range", "bytes=200000-")).status, 416);
    assert_eq!(today(&server, &first), 2);

    let made = Request::post("/repo").token(ADMIN).json(&json!({ "name": "files", "type": "dir" }));
    assert_eq!(server.send(made).status, 201);
    let list = Request::new("PATCH", "/repo/files/packages").token(ADMIN).json(&json!({ digest: true }));
    assert_eq!(server.send(list).status, 200);
    for index in ["SHA256SUMS", ""] {
        assert_eq!(server.send(Request::get(&format!("/repo/files/{index}"))).status, 200, "{index}");
    }
    assert_eq!(today(&server, &first), 2, "an index is no download");
    assert_eq!(server.send(Request::get("/repo/files/tool.bin")).status, 200);
    assert_eq!(today(&server, &first), 3);

    server.stop();
    server.restart();
    let first = owner(&server);
    assert_eq!(today(&server, &first), 3);
    assert_eq!(server.send(fetch()).status, 200);
    assert_eq!(today(&server, &first), 4);
}

#[test]
fn what_no_door_offers_can_be_found() {
    let server = Packhouse::start();
    let first = owner(&server);
    rig::create_product(server.address(), "tools");
    add(&server, "1", b"held by a product");
    let loose = |held: &str| {
        let rows = get(&server, &first, &format!("/ui/api/artifacts?held={held}"))["rows"].clone();
        rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let storage = || get(&server, &first, "/ui/api/storage")["loose"].clone();
    assert!(loose("none").is_empty());
    assert_eq!(storage(), json!({ "count": 0, "bytes": 0 }));
    let upload = Request::post("/package?filename=alone.bin").token(ADMIN).body("application/octet-stream", b"alone");
    assert_eq!(server.send(upload).status, 201);
    let digest = sha256(b"alone");
    assert_eq!(loose("none"), ["alone.bin"]);
    assert_eq!(storage(), json!({ "count": 1, "bytes": 5 }));
    let made = Request::post("/repo").token(ADMIN).json(&json!({ "name": "files", "type": "dir" }));
    assert_eq!(server.send(made).status, 201);
    let list = |on: bool| Request::new("PATCH", "/repo/files/packages").token(ADMIN).json(&json!({ &digest: on }));
    assert_eq!(server.send(list(true)).status, 200);
    assert!(loose("none").is_empty());
    assert_eq!(loose("package"), ["alone.bin"]);
    // What the repository made for itself is listed where it is asked for only.
    assert!(loose("repo-index").contains(&"SHA256SUMS".to_owned()));
    assert_eq!(loose(""), ["alone.bin", "tool.bin"]);
    let latest = get(&server, &first, "/ui/api/overview")["latest"].as_array().unwrap().len();
    assert_eq!(latest, 2);
    assert_eq!(server.send(list(false)).status, 200);
    assert_eq!(server.send(Request::delete(&format!("/package/{digest}")).token(ADMIN)).status, 200);
}

#[test]
fn keys_tell_when_and_from_where_they_were_used() {
    let mut server = Packhouse::start();
    let (first, second) = (owner(&server), other_owner(&server));
    let team = helper(&server, &first, "helper");
    assert_eq!(ask(&server, &team, "GET", "/ui/api/keys").status, 403);
    let made = server.send(Request::put("/register").token(ADMIN).json(&json!({ "admin": false })));
    assert_eq!(made.status, 201);
    let raw = made.text().to_owned();
    server.secret(&raw);
    let fingerprint = format!("FP:{}", &sha256(raw.as_bytes())[..16]);
    let used = |server: &Packhouse, bearer: &str| {
        let found = get(server, bearer, "/ui/api/keys")["server"].clone();
        let found = found.as_object().unwrap().clone();
        found.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&fingerprint)).map(|(_, used)| used)
    };
    assert_eq!(used(&server, &first), None, "never used");
    assert_eq!(server.send(Request::get("/product/list").token(&raw)).status, 200);
    let seen = used(&server, &first).unwrap();
    assert_eq!(seen["address"], "127.0.0.1");
    assert_eq!(used(&server, &second), None, "another owner does not see it");
    assert_eq!(get(&server, &second, "/ui/api/keys"), json!({ "server": {}, "uploads": {} }));

    server.stop();
    server.restart();
    let first = owner(&server);
    assert_eq!(used(&server, &first), Some(seen));
    assert_eq!(server.send(Request::delete(&format!("/prune/{raw}")).token(ADMIN)).status, 204);
    assert_eq!(used(&server, &first), None);
}

#[test]
fn sessions_are_counted_and_ended_by_whoever_may() {
    let server = Packhouse::start();
    let (first, second) = (owner(&server), other_owner(&server));
    let (mine, theirs) = (helper(&server, &first, "mine"), helper(&server, &second, "theirs"));
    let again = log_in(&server, "mine", PASSWORD);
    let people = get(&server, &first, "/ui/api/people");
    let names = |list: &Value| {
        list.as_array().unwrap().iter().map(|one| one["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut owners = names(&people["owners"]);
    owners.sort();
    let mut expected = [ADMIN_USER.to_owned(), "other".to_owned()];
    expected.sort();
    assert_eq!(owners, expected);
    assert_eq!(names(&people["team"]), ["mine"]);
    assert_eq!(people["team"][0]["sessions"], 2);
    assert!(people["team"][0]["lastSignIn"].as_str().unwrap().ends_with('Z'));
    let theirs_list = get(&server, &second, "/ui/api/people");
    assert_eq!(
        (names(&theirs_list["owners"]), names(&theirs_list["team"])),
        (vec!["other".into()], vec!["theirs".into()])
    );
    assert_eq!(ask(&server, &mine, "GET", "/ui/api/people").status, 403);

    let sign_out = |bearer: &str, id: &Value| {
        ask(&server, bearer, "POST", &format!("/ui/api/people/{}/sign-out", id.as_str().unwrap())).status
    };
    let (mine_id, theirs_id) = (&people["team"][0]["id"], &theirs_list["team"][0]["id"]);
    assert_eq!(sign_out(&second, mine_id), 404, "another owner's team");
    assert_eq!(sign_out(&mine, theirs_id), 403);
    assert_eq!(sign_out(&first, &json!("x")), 400);
    assert_eq!(sign_out(&first, &json!("0".repeat(24))), 404);
    assert_eq!(ask(&server, &again, "GET", "/ui/api/session").status, 200);
    assert_eq!(sign_out(&first, mine_id), 204);
    for bearer in [&mine, &again] {
        assert_eq!(ask(&server, bearer, "GET", "/ui/api/session").status, 401);
    }
    assert_eq!(get(&server, &first, "/ui/api/people")["team"][0]["sessions"], 0);
    log_in(&server, "mine", PASSWORD);
    // The owner of the installation reaches everybody; others themselves.
    assert_eq!(sign_out(&first, theirs_id), 204);
    assert_eq!(ask(&server, &theirs, "GET", "/ui/api/session").status, 401);
    assert_eq!(sign_out(&second, &theirs_list["owners"][0]["id"]), 204);
    assert_eq!(ask(&server, &second, "GET", "/ui/api/session").status, 401);
    let trail = get(&server, &first, "/ui/api/audit?what=sign-out-everywhere")["rows"].clone();
    assert_eq!(trail.as_array().unwrap().len(), 3);
}

#[test]
fn the_licences_of_the_libraries_are_told() {
    let server = Packhouse::start();
    let first = owner(&server);
    let about = get(&server, &first, "/ui/api/about");
    let libraries = about["libraries"].as_array().unwrap();
    let redb = libraries.iter().find(|one| one["name"] == "redb").unwrap();
    assert_eq!(redb["licence"], "MIT OR Apache-2.0");
    assert!(libraries.iter().all(|one| one["name"] != "tempfile"), "what only tests use is not inside");
    let texts = server.send(Request::get("/ui/licences.txt"));
    assert_eq!((texts.status, texts.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(texts.text().contains("redb ") && texts.text().contains("Apache License"));
}
