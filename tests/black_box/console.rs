//! The web UI's files and what it asks beyond the dialects (`ui.md` §2, §3, §9).

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{Form, sha256};
use crate::rig;
use crate::server::{ADMIN, ADMIN_PASSWORD, ADMIN_USER, Packhouse, SIGNUP_KEY, wait_for};

/// The password of everybody but the administrator.
pub(crate) const PASSWORD: &str = "a password of the console tests";

/// Logs in; answers the session's token.
#[track_caller]
pub(crate) fn log_in(server: &Packhouse, name: &str, password: &str) -> String {
    let body = json!({ "username": name, "password": password });
    let token = server.send(Request::post("/login").json(&body)).is_json(200)["token"].as_str().unwrap().to_owned();
    server.secret(&token);
    token
}

/// The administrator's session.
pub(crate) fn owner(server: &Packhouse) -> String {
    log_in(server, ADMIN_USER, ADMIN_PASSWORD)
}

/// Signs somebody up as an owner and logs in.
pub(crate) fn other_owner(server: &Packhouse) -> String {
    let body = json!({ "username": "other", "password": PASSWORD, "api_key": SIGNUP_KEY });
    server.send(Request::post("/signup").json(&body)).is_json(200);
    log_in(server, "other", PASSWORD)
}

fn ask(server: &Packhouse, bearer: &str, method: &str, path: &str) -> Answer {
    server.send(Request::new(method, path).header("Authorization", &format!("Bearer {bearer}")))
}

#[track_caller]
fn get(server: &Packhouse, bearer: &str, path: &str) -> Value {
    ask(server, bearer, "GET", path).is_json(200)
}

fn add(server: &Packhouse, version: &str, name: &str, bytes: &[u8]) -> String {
    let (kind, body) = Form::upload("tools", version, name, bytes).finish();
    let answer = server.send(Request::post("/product/upload").token(ADMIN).body(&kind, body));
    assert_eq!(answer.status, 201, "{}", answer.text());
    sha256(bytes)
}

#[test]
fn pages_are_served_with_a_strict_policy() {
    let server = Packhouse::start();
    let answer = server.send(Request::get("/ui"));
    assert_eq!((answer.status, answer.header("location")), (308, Some("/ui/")));
    let answer = server.send(Request::get("/").header("Accept", "text/html,application/xhtml+xml"));
    assert_eq!((answer.status, answer.header("location")), (302, Some("/ui/")));
    assert_eq!(server.send(Request::get("/")).status, 200, "programs get the text");

    let page = server.send(Request::get("/ui/"));
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().starts_with("<!doctype html>"));
    let policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    assert_eq!(page.header("content-security-policy"), Some(policy));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let etag = page.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", sha256(page.text().as_bytes())));
    assert_eq!(server.send(Request::get("/ui/").header("If-None-Match", &etag)).status, 304);
    assert_eq!(server.send(Request::head("/ui/")).status, 200);
    for (path, kind) in [
        ("/ui/js/main.js", "text/javascript; charset=utf-8"),
        ("/ui/css/tokens.css", "text/css; charset=utf-8"),
        ("/ui/icons.svg", "image/svg+xml"),
    ] {
        let answer = server.send(Request::get(path));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.header("content-security-policy"), Some(policy), "{path}");
    }
    for path in [
        "/ui/nope.js",
        "/ui/js",
        "/ui/js/",
        "/ui/../Cargo.toml",
        "/ui/js/../index.html",
        "/ui/%2e%2e/Cargo.toml",
        "/ui/..%2fCargo.toml",
        "/ui//index.html",
        "/ui/.gitignore",
        "/ui/api/nope",
    ] {
        server.send(Request::get(path)).is_error(404, "there is no such page");
    }
    assert_eq!(server.send(Request::post("/ui/")).status, 405);
}

#[test]
fn nothing_in_the_pages_is_inline_or_foreign() {
    let server = Packhouse::start();
    let page = server.send(Request::get("/ui/")).text().to_owned();
    for bad in ["<script>", "style=", "onclick", "http://", "https://"] {
        assert!(!page.contains(bad), "{bad}");
    }
    let main = server.send(Request::get("/ui/js/main.js")).text().to_owned();
    for bad in ["innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!main.contains(bad), "{bad}");
    }
}

#[test]
fn the_first_owner_is_named_once_by_the_printed_link() {
    let server = Packhouse::with()
        .without("PACKHOUSE_ADMIN_USER")
        .without("PACKHOUSE_ADMIN_PASSWORD")
        .without("PACKHOUSE_ADMIN_TOKEN")
        .start();
    let right = wait_for("the link", || {
        let log = server.log();
        let (_, rest) = log.split_once("/ui/#/setup?right=")?;
        rest.split_once('\n').map(|(right, _)| right.to_owned())
    });
    let open = |server: &Packhouse| server.send(Request::get("/ui/api/setup")).is_json(200)["open"].as_bool().unwrap();
    let finish = |body: Value| server.send(Request::post("/ui/api/setup").json(&body));
    assert!(open(&server));
    let body =
        |right: &str, name: &str, password: &str| json!({ "right": right, "username": name, "password": password });
    for bad in [
        json!({}),
        json!([]),
        json!({ "right": right, "username": "ann" }),
        json!({ "right": 1, "username": "ann", "password": "x" }),
    ] {
        assert_eq!(finish(bad).status, 400);
    }
    assert_eq!(finish(body("guess", "ann", PASSWORD)).status, 403);
    assert_eq!(finish(body(&right, "no blanks", PASSWORD)).status, 400);
    assert_eq!(finish(body(&right, "ann", "")).status, 400);
    assert!(open(&server), "a mistyped name costs nothing");
    finish(body(&right, "ann", PASSWORD)).is_empty(204);
    assert!(!open(&server));
    assert_eq!(finish(body(&right, "eve", PASSWORD)).status, 403);
    let token = log_in(&server, "ann", PASSWORD);
    let session = get(&server, &token, "/ui/api/session");
    assert_eq!((&session["username"], &session["operator"]), (&json!("ann"), &json!(true)));
    let (what, who) = ("account.claim", "setup");
    let rows = get(&server, &token, "/ui/api/audit?what=claim")["rows"].clone();
    assert_eq!((&rows[0]["what"], &rows[0]["who"]), (&json!(what), &json!(who)));
}

#[test]
fn a_chosen_owner_leaves_no_setup() {
    let server = Packhouse::start();
    assert_eq!(server.send(Request::get("/ui/api/setup")).is_json(200), json!({ "open": false }));
    let body = json!({ "right": "", "username": "eve", "password": PASSWORD });
    assert_eq!(server.send(Request::post("/ui/api/setup").json(&body)).status, 403);
    assert!(!server.log().contains("right="));
}

#[test]
fn who_may_ask_what() {
    let server = Packhouse::start();
    let (first, second) = (owner(&server), other_owner(&server));
    let team = json!({ "username": "helper", "password": PASSWORD, "permissions": {} });
    let made = Request::post("/user/create").header("Authorization", &format!("Bearer {first}")).json(&team);
    assert_eq!(server.send(made).status, 200);
    let helper = log_in(&server, "helper", PASSWORD);
    let digest = "0".repeat(64);
    // Path, then the statuses for the first owner, another owner, a team user.
    let table = [
        ("/ui/api/session", [200, 200, 200]),
        ("/ui/api/about", [200, 200, 200]),
        ("/ui/api/overview", [200, 200, 403]),
        ("/ui/api/artifacts", [200, 200, 403]),
        (&format!("/ui/api/artifacts/{digest}"), [404, 404, 403]),
        ("/ui/api/artifacts/xyz", [400, 400, 403]),
        ("/ui/api/jobs", [200, 200, 403]),
        ("/ui/api/jobs/1", [404, 404, 403]),
        ("/ui/api/jobs/x", [400, 400, 403]),
        ("/ui/api/storage", [200, 403, 403]),
        ("/ui/api/audit", [200, 403, 403]),
        ("/ui/api/audit.csv", [200, 403, 403]),
    ];
    for (path, statuses) in table {
        assert_eq!(server.send(Request::get(path)).status, 401, "{path}");
        assert_eq!(ask(&server, "nonsense", "GET", path).status, 401, "{path}");
        for (bearer, status) in [&first, &second, &helper].into_iter().zip(statuses) {
            let answer = ask(&server, bearer, "GET", path);
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    assert_eq!(ask(&server, &second, "POST", "/ui/api/check").status, 403);
    assert_eq!(ask(&server, ADMIN, "GET", "/ui/api/session").status, 403, "pages are for people");
    let session = get(&server, &helper, "/ui/api/session");
    assert_eq!((&session["role"], &session["owner"]), (&json!("team"), &json!(ADMIN_USER)));
}

#[test]
fn an_owners_login_stands_in_for_a_token() {
    let server = Packhouse::start();
    let (first, second) = (owner(&server), other_owner(&server));
    let create = |bearer: &str, name: &str| {
        let request = Request::put("/product/create").header("Authorization", &format!("Bearer {bearer}"));
        server.send(request.json(&json!({ "name": name })))
    };
    assert_eq!(create(&first, "tools").status, 201);
    assert_eq!(create(&second, "theirs").status, 201);
    assert_eq!(get(&server, &first, "/product/list"), json!(["theirs", "tools"]));
    assert_eq!(get(&server, &second, "/product/list"), json!(["theirs"]));
    let fingerprint = get(&server, &second, "/ui/api/session")["fingerprint"].as_str().unwrap().to_owned();
    let members = get(&server, &second, "/product/fetch/theirs")["tokens"].clone();
    assert_eq!(members.as_object().unwrap().keys().collect::<Vec<_>>(), [&fingerprint]);
    // The same person after another login.
    let again = log_in(&server, "other", PASSWORD);
    assert_eq!(get(&server, &again, "/product/fetch/theirs")["tokens"], members);
    assert_eq!(ask(&server, &second, "GET", "/tokens").status, 401, "another owner is no admin");
    assert_eq!(ask(&server, &first, "GET", "/tokens").status, 200);
    let trail = get(&server, &first, "/ui/api/audit?what=product.create")["rows"].clone();
    assert_eq!((&trail[0]["who"], &trail[1]["who"]), (&json!("user:other"), &json!(format!("user:{ADMIN_USER}"))));
    // A signed-out login is nobody again.
    ask(&server, &second, "POST", "/ui/api/sign-out").is_empty(204);
    ask(&server, &second, "GET", "/product/list").is_error(401, "Authorization header missing");
    assert_eq!(ask(&server, &again, "GET", "/product/list").status, 200);
    // A fingerprint is no credential, and nothing a client can send has a person's digest.
    server.send(Request::get("/product/list").token(&fingerprint)).is_error(401, "Invalid api token");
}

#[test]
fn the_catalog_is_searched_page_by_page() {
    let server = Packhouse::start();
    let (first, second) = (owner(&server), other_owner(&server));
    rig::create_product(server.address(), "tools");
    for number in 0..7 {
        add(&server, &format!("1.{number}"), &format!("tool-{number}.bin"), format!("bytes {number}").as_bytes());
    }
    let markup = "<script>alert(1).txt";
    let digest = add(&server, "2", markup, b"MZ\x90 not really");
    let names = |page: &Value| {
        page["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = get(&server, &first, "/ui/api/artifacts?limit=3");
    assert_eq!(names(&page)[0], markup, "the newest first");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for sort in ["-created", "name", "-size"] {
        loop {
            let page = get(&server, &first, &format!("/ui/api/artifacts?limit=3&sort={sort}&cursor={cursor}"));
            seen.extend(names(&page));
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen.len(), 8, "{sort}");
        seen.clear();
        cursor.clear();
    }
    assert_eq!(names(&get(&server, &first, "/ui/api/artifacts?q=tool-3")), ["tool-3.bin"]);
    assert_eq!(names(&get(&server, &first, "/ui/api/artifacts?held=product&limit=1")).len(), 1);
    assert!(names(&get(&server, &first, "/ui/api/artifacts?held=repo")).is_empty());
    assert!(names(&get(&server, &second, "/ui/api/artifacts")).is_empty(), "others see what is public");
    assert_eq!(ask(&server, &second, "GET", &format!("/ui/api/artifacts/{digest}")).status, 404);
    for bad in ["limit=0", "limit=1000", "sort=size", "cursor=x", "kind=nope", "q=%zz"] {
        let answer = ask(&server, &first, "GET", &format!("/ui/api/artifacts?{bad}"));
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }

    let one = get(&server, &first, &format!("/ui/api/artifacts/{digest}"));
    assert_eq!((&one["file"], &one["size"], &one["public"]), (&json!(markup), &json!(14), &json!(false)));
    assert_eq!(one["holders"][0]["parts"], json!(["tools", "2"]));
    assert_eq!(one["history"][0]["what"], "product.upload");
    let link = ask(&server, &first, "POST", &format!("/ui/api/artifacts/{digest}/link")).is_json(200);
    let address = link["address"].as_str().unwrap();
    let file = server.send(Request::get(address));
    assert_eq!((file.status, file.body.as_slice()), (200, b"MZ\x90 not really".as_slice()));
    assert!(file.header("content-disposition").unwrap().starts_with("attachment"));
    server.secret(address.split_once('=').unwrap().1);
    assert_eq!(server.send(Request::get("/ui/api/file?ticket=guess")).status, 403);
    assert_eq!(server.send(Request::get("/ui/api/file")).status, 403);
}

#[test]
fn checks_jobs_storage_and_the_trail() {
    let server = Packhouse::start();
    let first = owner(&server);
    rig::create_product(server.address(), "tools");
    add(&server, "1", "a,\"b\".bin", &[7; 3000]);
    add(&server, "2", "b.bin", &[8; 1000]);
    let job = ask(&server, &first, "POST", "/ui/api/check").is_json(202)["id"].as_str().unwrap().to_owned();
    let done = wait_for("the check", || {
        let job = get(&server, &first, &format!("/ui/api/jobs/{job}"));
        (job["state"] == "done").then_some(job)
    });
    assert_eq!(done["outcome"], "2 artifacts read, 0 damaged");
    assert_eq!(done["by"], format!("user:{ADMIN_USER}"));
    assert_eq!(ask(&server, &first, "POST", &format!("/ui/api/jobs/{job}/cancel")).status, 409);
    assert_eq!(get(&server, &first, "/ui/api/jobs?kind=scrub")["rows"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, &first, "/ui/api/jobs?kind=other")["rows"], json!([]));
    assert_eq!(get(&server, &first, "/ui/api/jobs?open=1")["rows"], json!([]));

    let storage = get(&server, &first, "/ui/api/storage");
    assert_eq!((&storage["artifacts"], &storage["stored"]), (&json!(2), &json!(4000)));
    assert_eq!(storage["largest"][0]["size"], 3000);
    assert_eq!(storage["doors"], json!([{ "name": "product", "count": 2, "bytes": 4000 }]));
    assert_eq!(storage["check"]["state"], "done");
    let overview = get(&server, &first, "/ui/api/overview");
    assert_eq!((&overview["artifacts"], overview["latest"].as_array().unwrap().len()), (&json!(2), 2));

    let uploads = get(&server, &first, "/ui/api/audit?what=UPLOAD&q=tools%202");
    assert_eq!(uploads["rows"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, &first, "/ui/api/audit?until=2001-01-01")["rows"], json!([]));
    for bad in ["from=yesterday", "until=2026-1-1", "cursor=x", &format!("q={}", "x".repeat(201))] {
        assert_eq!(ask(&server, &first, "GET", &format!("/ui/api/audit?{bad}")).status, 400, "{bad}");
    }
    let csv = ask(&server, &first, "GET", "/ui/api/audit.csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = csv.text().lines().collect();
    assert_eq!(lines[0], "time,who,what,subject,address");
    assert!(lines.iter().any(|line| line.contains(",product.upload,tools 2,127.0.0.1")), "{lines:?}");
    let about = get(&server, &first, "/ui/api/about");
    assert!(about["libraries"].as_array().unwrap().iter().any(|one| one["name"] == "redb"));
}
