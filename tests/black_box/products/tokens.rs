//! `products.md` §2: register, fetch, list and prune tokens; fingerprints.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files::{fingerprint, segment};
use crate::server::{ADMIN, Packhouse};

use super::permissions;

#[test]
fn the_fingerprint_of_the_contract() {
    assert_eq!(fingerprint("abc"), "fp:ba7816bf8f01cfea");
}

#[test]
fn register_shows_a_strong_token_once() {
    let server = Packhouse::start();
    let mut seen = Vec::new();
    for body in [json!({}), json!({ "admin": false }), json!({ "admin": true, "name": "x", "n": [1, {}] })] {
        let answer = server.put_json(ADMIN, "/register", body.clone());
        let raw = answer.text().to_owned();
        answer.is_text(201, &raw);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert!(raw.len() >= 32, "{} characters", raw.len());
        assert!(raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{raw}");
        assert!(!seen.contains(&raw));
        server.secret(&raw);
        let shown = server.get(&raw, &format!("/fetch/{raw}")).is_json(200);
        assert_eq!(shown["admin"], json!(body["admin"] == json!(true)));
        seen.push(raw);
    }
}

#[test]
fn register_takes_json_whatever_its_type_is_called() {
    let server = Packhouse::start();
    for kind in
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"]
    {
        let answer = server.send(Request::put("/register").token(ADMIN).body(kind, "{\"admin\":false}"));
        assert_eq!(answer.status, 201, "{kind}");
    }
    let chunked = Request::put("/register").token(ADMIN).chunked("application/json", |out| {
        out.write_all(b"{\"adm")?;
        out.write_all(b"in\":tr")?;
        out.write_all(b"ue}")
    });
    assert_eq!(server.send(chunked).status, 201);
    assert_eq!(server.get(ADMIN, "/tokens").is_json(200).as_array().unwrap().len(), 6);
}

#[test]
fn register_refuses_what_is_not_a_register_body() {
    let server = Packhouse::start();
    let request = || Request::put("/register").token(ADMIN);
    server.send(request()).is_error(400, "Missing request body");
    server.send(request().body("application/json", "")).is_error(400, "Missing request body");
    let deep = |n: usize| format!("{{\"x\":{}{}}}", "[".repeat(n), "]".repeat(n));
    let bad: Vec<Vec<u8>> = vec![
        b"[]".into(),
        b"\"x\"".into(),
        b"1".into(),
        b"null".into(),
        b"true".into(),
        b"{".into(),
        b"}".into(),
        b"{\"admin\":}".into(),
        b"{\"admin\":true".into(),
        b"{\"admin\":true}{}".into(),
        b"{\"admin\":true} x".into(),
        b"{'admin':true}".into(),
        b"{\"admin\":\"true\"}".into(),
        b"{\"admin\":1}".into(),
        b"{\"admin\":0}".into(),
        b"{\"admin\":null}".into(),
        b"{\"admin\":[]}".into(),
        b"{\"admin\":{}}".into(),
        b"{\"admin\":true,\"x\":\"\xff\"}".into(),
        b"{\"x\":\"\\ud800\"}".into(),
        b"admin=true".into(),
        deep(70).into(),
        deep(100_000).into(),
    ];
    for body in bad {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        println!("{shown}");
        server.send(request().body("application/json", body)).is_error_like(400, "");
    }
    let large = format!("{{\"admin\":false,\"x\":\"{}\"}}", "x".repeat(1 << 20));
    server.send(request().body("application/json", large)).is_error_like(413, "");
    assert_eq!(server.get(ADMIN, "/tokens").is_json(200).as_array().unwrap().len(), 1, "a token was made");
    let answer = server.send(request().body("application/json", deep(60)));
    assert_eq!(answer.status, 201, "sixty levels are not too deep");
}

#[test]
fn only_admins_register_list_and_prune() {
    let server = Packhouse::start();
    let (plain, other) = (server.register(false), server.register(false));
    for body in ["{\"admin\":true}", "{}", "", "not json"] {
        server
            .send(Request::put("/register").token(&plain).body("application/json", body))
            .is_text(401, "Only admin allowed to register new tokens");
    }
    server.get(&plain, "/tokens").is_text(401, "Only admin allowed to list tokens");
    for token in [plain.as_str(), &other, ADMIN, &fingerprint(&plain), "unknown", "fp:0123456789abcdef"] {
        server.delete(&plain, &format!("/prune/{token}")).is_text(401, "Only admin allowed to prune an api token");
    }
    assert_eq!(server.get(ADMIN, "/tokens").is_json(200).as_array().unwrap().len(), 3);
}

#[test]
fn fetch_tells_what_a_token_is() {
    let server = Packhouse::start();
    let before = now();
    let (plain, other, chief) = (server.register(false), server.register(false), server.register(true));
    let fp = fingerprint(&plain);
    let upper = format!("fp:{}", fp[3..].to_uppercase());
    // (who asks, what for, as it travels)
    let cases = [
        (plain.as_str(), plain.as_str(), plain.clone()),
        (&other, &plain, plain.clone()),
        (ADMIN, &plain, plain.clone()),
        (ADMIN, &plain, format!("%{:02x}{}", plain.as_bytes()[0], &plain[1..])),
        (&plain, &fp, fp.clone()),
        (&plain, &upper, upper.clone()),
        (&plain, &fp, segment(&fp)),
        (&chief, &fp, fp.clone()),
        (ADMIN, &upper, upper.clone()),
    ];
    for (who, shown, path) in cases {
        let answer = server.get(who, &format!("/fetch/{path}"));
        let mut value = answer.is_json(200);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let created = value.as_object_mut().unwrap().remove("createdAt").unwrap();
        assert_eq!(value, json!({ "token": shown, "admin": false, "fingerprint": fp }));
        assert!(between(&before, &created), "{created}");
    }
    assert_eq!(server.get(&plain, &format!("/fetch/{chief}")).is_json(200)["admin"], json!(true));
    assert_eq!(server.get(&plain, &format!("/fetch/{ADMIN}")).is_json(200)["admin"], json!(true));
    // A fingerprint of somebody else, whether or not there is such a token.
    for foreign in [fingerprint(&other), fingerprint(ADMIN), "fp:0123456789abcdef".into(), "fp:0123456789ABCDEF".into()]
    {
        server.get(&plain, &format!("/fetch/{foreign}")).is_text(403, "permission denied");
    }
    server.get(ADMIN, "/fetch/fp:0123456789abcdef").is_error(400, "token not found");
    // Not exactly a fingerprint: raw, and unknown.
    let nearly = [
        "unknown".to_owned(),
        fp[..18].to_owned(),
        format!("{fp}0"),
        format!("FP:{}", &fp[3..]),
        fp[3..].to_owned(),
        "fp:ghijklmnopqrstuv".to_owned(),
        "fp:".to_owned(),
        plain.to_lowercase() + "x",
    ];
    for raw in nearly {
        for who in [plain.as_str(), ADMIN] {
            server.get(who, &format!("/fetch/{}", segment(&raw))).is_error(400, "token not found");
        }
    }
}

#[test]
fn tokens_are_listed_oldest_first_and_never_raw() {
    let server = Packhouse::start();
    let raws: Vec<String> = (0..5).map(|n| server.register(n % 2 == 0)).collect();
    let answer = server.get(ADMIN, "/tokens");
    let list = answer.is_json(200);
    let list = list.as_array().unwrap();
    let mut expected = vec![(fingerprint(ADMIN), true)];
    expected.extend(raws.iter().enumerate().map(|(n, raw)| (fingerprint(raw), n % 2 == 0)));
    assert_eq!(list.len(), expected.len());
    for (shown, (fp, admin)) in list.iter().zip(&expected) {
        let created = &shown["createdAt"];
        assert_eq!(shown, &json!({ "token": fp, "fingerprint": fp, "admin": admin, "createdAt": created }));
        assert!(created.as_str().is_some_and(|text| text.ends_with('Z')), "{created}");
    }
    for raw in raws.iter().map(String::as_str).chain([ADMIN]) {
        assert!(!answer.text().contains(raw));
    }
}

#[test]
fn prune_takes_a_token_out_of_everything_at_once() {
    let server = Packhouse::start();
    let (first, second) = (server.register(false), server.register(false));
    server.create(&first, "only-mine");
    server.create(&second, "shared");
    server.create(&second, "not-mine");
    server.let_in("shared", &first, &["download"]);
    let mut connection = server.connect();
    assert_eq!(connection.send(Request::get("/product/access").token(&first)).status, 200);
    server.delete(ADMIN, &format!("/prune/{first}")).is_empty(204);
    // The connection that was open all the time learns it too.
    connection.send(Request::get("/product/access").token(&first)).is_error(401, "Invalid api token");
    server.get(ADMIN, &format!("/fetch/{first}")).is_error(400, "token not found");
    server.delete(ADMIN, &format!("/prune/{first}")).is_error(400, "token not found");
    server.delete(ADMIN, &format!("/prune/{}", fingerprint(&first))).is_error(400, "token not found");
    assert_eq!(server.view(ADMIN, "only-mine")["tokens"], json!({}));
    let all = permissions(&["maintainer", "download", "upload", "delete"]);
    assert_eq!(server.view(ADMIN, "shared")["tokens"], json!({ fingerprint(&second): all }));
    assert_eq!(server.get(ADMIN, "/product/access").is_json(200), json!(["not-mine", "only-mine", "shared"]));
    let mut left = server.get(ADMIN, "/tokens").is_json(200);
    assert_eq!(left.as_array_mut().unwrap().iter().filter(|token| token["token"] == fingerprint(&first)).count(), 0);
    // By fingerprint in either case.
    let upper = format!("fp:{}", fingerprint(&second)[3..].to_uppercase());
    server.delete(ADMIN, &format!("/prune/{upper}")).is_empty(204);
    server.get(&second, "/product/access").is_error(401, "Invalid api token");
    assert_eq!(server.view(ADMIN, "shared")["tokens"], json!({}));
    server.delete(ADMIN, "/prune/unknown").is_error(400, "token not found");
    server.delete(ADMIN, "/prune/fp:0123456789abcdef").is_error(400, "token not found");
}

#[test]
fn the_last_admin_stays() {
    let server = Packhouse::start();
    let plain = server.register(false);
    let refused = "cannot delete the last admin token";
    for path in [ADMIN.to_owned(), fingerprint(ADMIN)] {
        server.delete(ADMIN, &format!("/prune/{path}")).is_error(409, refused);
    }
    let second = server.register(true);
    // An admin may prune itself while there is another.
    server.delete(ADMIN, &format!("/prune/{ADMIN}")).is_empty(204);
    server.get(ADMIN, "/tokens").is_error(401, "Invalid api token");
    server.delete(&second, &format!("/prune/{second}")).is_error(409, refused);
    server.delete(&second, &format!("/prune/{plain}")).is_empty(204);
    assert_eq!(server.get(&second, "/tokens").is_json(200).as_array().unwrap().len(), 1);
}

#[test]
fn the_token_of_the_environment_is_taken_as_it_is() {
    for odd in ["8 signs!", "a/b%2Fc?d#e\"f\\", "fp:0123456789abcdeg", &"x".repeat(200)] {
        let server = Packhouse::with().env("PACKHOUSE_ADMIN_TOKEN", odd).start();
        server.secret(odd);
        let shown = server.get(odd, &format!("/fetch/{}", segment(odd))).is_json(200);
        assert_eq!((&shown["token"], &shown["admin"]), (&json!(odd), &json!(true)));
        assert_eq!(shown["fingerprint"], json!(fingerprint(odd)));
        server.put_json(odd, "/product/create", json!({ "name": "p" })).is_empty(201);
        assert!(server.view(odd, "p")["tokens"][odd].is_object(), "the caller finds itself by its own token");
    }
}

/// Now, to the second.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap()
}

/// Whether an RFC 3339 text in UTC lies between `earlier` and now.
fn between(earlier: &jiff::Timestamp, text: &Value) -> bool {
    let text = text.as_str().unwrap();
    let time: jiff::Timestamp = text.parse().unwrap();
    text.ends_with('Z') && *earlier <= time && time <= jiff::Timestamp::now()
}
