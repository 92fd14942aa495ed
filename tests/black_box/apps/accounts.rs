//! `faynosync.md` §1 and §2: health, accounts, sessions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::Form;
use crate::server::{ADMIN_PASSWORD, ADMIN_USER, Packhouse, SIGNUP_KEY};

use super::{NOBODY, PASSWORD, Person, first, is_error_of, is_exactly, log_in, sign_up};

/// Every route that wants a session.
pub(super) const CLOSED: &[(&str, &str)] = &[
    ("GET", "/whoami"),
    ("POST", "/admin/update"),
    ("POST", "/channel/create"),
    ("GET", "/channel/list"),
    ("POST", "/channel/update"),
    ("DELETE", "/channel/delete?id=641459ffb8760d74164e7e3c"),
    ("POST", "/platform/create"),
    ("GET", "/platform/list"),
    ("POST", "/platform/update"),
    ("DELETE", "/platform/delete?id=641459ffb8760d74164e7e3c"),
    ("POST", "/arch/create"),
    ("GET", "/arch/list"),
    ("POST", "/arch/update"),
    ("DELETE", "/arch/delete?id=641459ffb8760d74164e7e3c"),
    ("POST", "/app/create"),
    ("GET", "/app/list"),
    ("POST", "/app/update"),
    ("DELETE", "/app/delete?id=641459ffb8760d74164e7e3c"),
    ("POST", "/upload"),
    ("POST", "/apps/update"),
    ("POST", "/artifact/delete"),
    ("DELETE", "/apps/delete?id=641459ffb8760d74164e7e3c"),
    ("GET", "/search?app_name=secondapp"),
    ("POST", "/user/create"),
    ("POST", "/user/update"),
    ("GET", "/users/list"),
    ("DELETE", "/user/delete"),
    ("GET", "/telemetry"),
];

/// Asks every closed route, and `/` with its header, with this `Authorization`.
#[track_caller]
fn everywhere(server: &Packhouse, authorization: Option<&str>, judge: impl Fn(&Answer)) {
    let root = authorization.map(|_| ("GET", "/"));
    for (method, path) in CLOSED.iter().copied().chain(root) {
        let request = Request::new(method, path);
        let request = match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        };
        eprintln!("{method} {path} {authorization:?}");
        judge(&server.send(request));
    }
}

/// Checks that this session is dead on every route.
#[track_caller]
pub(super) fn is_dead(person: &Person<'_>) {
    everywhere(person.server, Some(&format!("Bearer {}", person.token)), |answer| is_error_of(answer, 401));
}

#[test]
fn health() {
    let server = Packhouse::start();
    is_exactly(&server.send(Request::get("/health")), 200, &json!({ "status": "healthy" }));
}

#[test]
fn authorization_header() {
    let server = Packhouse::start();
    let admin = first(&server);
    everywhere(&server, None, |answer| {
        answer.is_error(401, "missing authorization header");
    });
    let token = &admin.token;
    let shapes = [
        "Bearer".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer {token} x"),
        format!("Token {token}"),
    ];
    for shape in &shapes {
        everywhere(&server, Some(shape), |answer| {
            answer.is_error(401, "invalid token format");
        });
    }
    // The session comes before shape, existence and conflict: nothing of the body is judged.
    server
        .send(Request::post("/channel/create").body("application/json", "{"))
        .is_error(401, "missing authorization header");
    let (kind, body) = Form::new().unfinished();
    server.send(Request::post("/upload").body(&kind, body)).is_error(401, "missing authorization header");
    admin.get("/whoami").is_json(200);
}

#[test]
fn forged_tokens() {
    let server = Packhouse::start();
    let admin = first(&server);
    let parts: Vec<&str> = admin.token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("not a JWT: {}", admin.token) };
    let decode = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(decode(head)["alg"], "HS256");
    let told = decode(claims);
    assert_eq!(told["username"], ADMIN_USER);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let lifetime = told["exp"].as_u64().unwrap() - now;
    assert!((23 * 3600..=24 * 3600 + 60).contains(&lifetime), "{lifetime} s");

    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let hmac = |head: &str, claims: &str, key: &[u8]| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{head}.{claims}").as_bytes());
        format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let none = encode(&json!({ "alg": "none", "typ": "JWT" }));
    let small = encode(&json!({ "alg": "hs256", "typ": "JWT" }));
    let other = encode(&json!({ "alg": "HS512", "typ": "JWT" }));
    let later = encode(&json!({ "username": ADMIN_USER, "exp": now + 10 * 24 * 3600 }));
    let forever = encode(&json!({ "username": ADMIN_USER }));
    let mut flipped = signature.as_bytes().to_vec();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let tokens = [
        "garbage".to_owned(),
        "..".to_owned(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}.{claims}.{}", String::from_utf8(flipped).unwrap()),
        format!("{head}.{later}.{signature}"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        hmac(&small, claims, b""),
        hmac(&other, claims, b"secret"),
        hmac(head, claims, b""),
        hmac(head, claims, b"secret"),
        hmac(head, &later, signature.as_bytes()),
        hmac(head, &forever, b"secret"),
        "a".repeat(4000),
        crate::server::ADMIN.chars().rev().collect(),
    ];
    for token in &tokens {
        is_error_of(&server.send(Request::get("/whoami").header("Authorization", &format!("Bearer {token}"))), 401);
    }
    everywhere(&server, Some(&format!("Bearer {}", tokens[6])), |answer| is_error_of(answer, 401));
    admin.get("/whoami").is_json(200);
}

#[test]
fn signup() {
    let server = Packhouse::start();
    server.secret(PASSWORD);
    let send = |body: &Value| server.send(Request::post("/signup").json(body));
    let body =
        |name: &str, password: &str, key: &str| json!({ "username": name, "password": password, "api_key": key });
    let done = json!({ "result": "Successfully created admin user." });

    // A wrong key comes before anything about the name.
    for key in ["", "wrong", &SIGNUP_KEY.to_uppercase()] {
        send(&body("somebody", PASSWORD, key)).is_error(401, "wrong api key");
        send(&body(ADMIN_USER, PASSWORD, key)).is_error(401, "wrong api key");
    }
    send(&json!({ "username": "somebody", "password": PASSWORD })).is_error(401, "wrong api key");

    for body in ["", "{", "[]", "null", "7", "\"text\"", "{\"username\":"] {
        let answer = server.send(Request::post("/signup").body("application/json", body));
        answer.is_error(400, "invalid request body");
    }
    let good = body("somebody", PASSWORD, SIGNUP_KEY);
    for (key, bad) in [
        ("username", json!("")),
        ("username", json!(7)),
        ("username", json!(null)),
        ("username", json!(["somebody"])),
        ("password", json!("")),
        ("password", json!(7)),
        ("password", json!(null)),
        ("password", json!("x".repeat(1025))),
    ] {
        send(&super::plus(&good, json!({ key: bad }))).is_error(400, "invalid request body");
    }
    for key in ["username", "password"] {
        send(&super::minus(&good, key)).is_error(400, "invalid request body");
    }
    let long = "n".repeat(65);
    for name in [long.as_str(), ".dot", "_line", "@at", "-dash", "a b", "a/b", "größe", "a\n", "a\u{0}", " a", "a "] {
        send(&body(name, PASSWORD, SIGNUP_KEY)).is_error(400, "invalid request body");
    }

    let long = "n".repeat(64);
    for name in ["somebody", "Somebody", "0", "a.b_c@d-e", &long] {
        is_exactly(&send(&body(name, PASSWORD, SIGNUP_KEY)), 200, &done);
        send(&body(name, "other", SIGNUP_KEY)).is_error(409, "user already exists");
        log_in(&server, name, PASSWORD);
    }
    send(&body(ADMIN_USER, PASSWORD, SIGNUP_KEY)).is_error(409, "user already exists");
    first(&server).hire("helper", &json!({}));
    send(&body("helper", PASSWORD, SIGNUP_KEY)).is_error(409, "user already exists");
    let (all, short) = (" \u{0}\n\"größe🦀", "x");
    let longest = "y".repeat(1024);
    for (name, password) in [("all", all), ("short", short), ("longest", longest.as_str())] {
        is_exactly(&send(&body(name, password, SIGNUP_KEY)), 200, &done);
        log_in(&server, name, password);
    }

    // Another start's key opens no door; a new tenant is empty.
    let view = sign_up(&server, "empty").view();
    let nothing = json!({ "lists": [[], [], [], []], "versions": { "apps": [] }, "users": { "users": [] } });
    assert_eq!(view, nothing);
}

#[test]
fn login() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.hire("helper", &json!({}));
    let send = |body: &Value| server.send(Request::post("/login").json(body));
    for (name, password) in [
        (ADMIN_USER, "wrong"),
        ("nobody-at-all", ADMIN_PASSWORD),
        ("helper", ADMIN_PASSWORD),
        (&ADMIN_USER.to_uppercase(), ADMIN_PASSWORD),
        (ADMIN_USER, &format!("{ADMIN_PASSWORD} ")),
    ] {
        send(&json!({ "username": name, "password": password })).is_error(401, "invalid username or password");
    }
    for body in ["", "{", "[]", "null", "{\"username\":7,\"password\":\"x\"}", "{\"username\":\"x\",\"password\":[]}"] {
        server.send(Request::post("/login").body("application/json", body)).is_error(400, "invalid request body");
    }
    let helper = log_in(&server, "helper", PASSWORD);
    helper.get("/whoami").is_json(200);
    // Two sessions of one account live side by side.
    let again = first(&server);
    again.get("/whoami").is_json(200);
    admin.get("/whoami").is_json(200);
}

#[test]
fn sessions_survive_a_restart() {
    let mut server = Packhouse::start();
    let token = first(&server).token;
    server.kill();
    server.start_again(|builder| builder);
    let admin = Person { server: &server, name: ADMIN_USER.to_owned(), token };
    admin.get("/whoami").is_json(200);
    // A token of another installation is worth nothing here.
    let other = Packhouse::start();
    let stranger = Person { server: &other, name: ADMIN_USER.to_owned(), token: admin.token.clone() };
    other.secret(&stranger.token);
    is_dead(&stranger);
}

#[test]
fn whoami() {
    let server = Packhouse::start();
    let admin = first(&server);
    let told = admin.get("/whoami").is_json(200);
    assert_eq!(told, json!({ "id": super::id_of(&told["id"]), "username": ADMIN_USER, "is_admin": true }));

    let app = admin.create_app("secondapp");
    let permissions = json!({ "apps": { "upload": true, "allowed": [app] } });
    let helper = admin.hire("helper", &permissions);
    let none = json!({ "Create": false, "Delete": false, "Edit": false, "Allowed": [] });
    let told = helper.get("/whoami").is_json(200);
    let permissions = json!({
        "Apps": { "Create": false, "Delete": false, "Edit": false, "Download": false, "Upload": true, "Allowed": [app] },
        "Channels": none, "Platforms": none, "Archs": none,
    });
    let expected = json!({
        "id": admin.user_id("helper"), "username": "helper", "is_admin": false, "owner": ADMIN_USER, "permissions": permissions,
    });
    assert_eq!(told, expected);
}

#[test]
fn admin_update() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let helper = admin.hire("helper", &json!({}));
    let change = |body: &Value| admin.post("/admin/update", body);
    let good = json!({ "id": admin.id(), "username": ADMIN_USER, "password": "a new password 9" });
    server.secret("a new password 9");
    let with = |key: &str, value: Value| super::plus(&good, json!({ key: value }));

    change(&with("username", json!("other"))).is_error(403, "Username mismatch");
    change(&with("username", json!("unknown"))).is_error(403, "Username mismatch");
    for id in ["x", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3cc", "641459ffb8760d74164e7e3g"] {
        change(&with("id", json!(id))).is_error(400, "Invalid ID format");
    }
    for id in [NOBODY, &other.id(), &admin.user_id("helper")] {
        change(&with("id", json!(id))).is_error(404, "Admin not found");
    }
    for key in ["id", "username"] {
        change(&super::minus(&good, key)).is_error(400, "Invalid request body");
        change(&with(key, json!(""))).is_error(400, "Invalid request body");
        change(&with(key, json!(7))).is_error(400, "Invalid request body");
    }
    for body in ["", "{", "[]", "null"] {
        let answer = admin.send(Request::post("/admin/update").body("application/json", body));
        answer.is_error(400, "Invalid request body");
    }
    helper.post("/admin/update", &good).is_error(403, "Admin access required");

    let done = json!({ "message": "Admin updated successfully" });
    is_exactly(&change(&super::minus(&good, "password")), 200, &done);
    is_exactly(&change(&with("password", json!(""))), 200, &done);
    admin.get("/whoami").is_json(200);
    let again = first(&server);

    is_exactly(&change(&good), 200, &done);
    is_dead(&admin);
    is_dead(&again);
    let login = json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD });
    server.send(Request::post("/login").json(&login)).is_error(401, "invalid username or password");
    log_in(&server, ADMIN_USER, "a new password 9").get("/whoami").is_json(200);
    // Nobody else's session is touched.
    helper.get("/whoami").is_json(200);
    other.get("/whoami").is_json(200);
}

#[test]
fn throttle() {
    // reliability.md §13: ten failures in a minute, then 429; sessions that exist go on.
    let server = Packhouse::start();
    let admin = first(&server);
    let login = json!({ "username": ADMIN_USER, "password": "wrong" });
    let send = |body: &Value| server.send(Request::post("/login").json(body));
    for _ in 0..10 {
        send(&login).is_error(401, "invalid username or password");
    }
    let answer = send(&login);
    is_error_of(&answer, 429);
    assert!(answer.header("Retry-After").is_some_and(|text| text.parse::<u64>().is_ok_and(|seconds| seconds > 0)));
    // The right password is not tried either, and the session made before still works.
    is_error_of(&send(&json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD })), 429);
    admin.get("/whoami").is_json(200);
}
