//! `faynosync.md` §13 and `reliability.md` §20: bad input of every kind, slow clients, CORS.

use serde_json::json;

use crate::client::Request;
use crate::files::Form;
use crate::server::{GUARD, Packhouse, wait_for};

use super::accounts::CLOSED;
use super::{ADMIN_USER, and, asks, check, first, is_error_of, is_exactly, release, with_query};

/// Routes without a session, beside [`CLOSED`].
const OPEN: &[(&str, &str)] =
    &[("POST", "/signup"), ("POST", "/login"), ("GET", "/checkVersion"), ("GET", "/apps/latest"), ("GET", "/download")];

/// Checks that this is an answer to a caller's mistake.
#[track_caller]
fn is_refusal(answer: &crate::client::Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
    is_error_of(answer, answer.status);
}

#[track_caller]
fn is_alive(server: &Packhouse) {
    is_exactly(&server.send(Request::get("/health")), 200, &json!({ "status": "healthy" }));
}

#[test]
fn routes_and_methods() {
    let server = Packhouse::start();
    let admin = first(&server);
    for (method, path) in CLOSED.iter().chain(OPEN) {
        let path = path.split('?').next().unwrap();
        for other in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let known = CLOSED.iter().chain(OPEN).any(|(m, p)| *m == other && p.split('?').next().unwrap() == path);
            if other == *method || known {
                continue;
            }
            let answer = admin.send(Request::new(other, path));
            assert_eq!(answer.status, 405, "{other} {path}");
            is_error_of(&answer, 405);
            assert!(answer.header("Allow").is_some_and(|allowed| allowed.contains(method)), "{other} {path}");
        }
    }
    for path in [
        "/channel",
        "/channel/",
        "/channel/unknown",
        "/channel/list/",
        "/channel//list",
        "/Channel/list",
        "/app/unknown",
        "/apps",
        "/apps/unknown",
        "/user",
        "/user/list",
        "/users",
        "/upload/x",
        "/search/x",
        "/checkversion",
        "/checkVersion/",
        "/checkVersion/x",
        "/telemetry/x",
        "/update",
        "/update/",
        "/update/a/b/c",
        "/admin",
        "/admin/unknown",
        "/whoami/x",
        "/artifact",
        "/artifact/list",
    ] {
        for request in [Request::get(path), Request::post(path)] {
            let answer = admin.send(request);
            assert_eq!(answer.status, 404, "{path}");
            is_error_of(&answer, 404);
        }
    }
    is_alive(&server);
}

#[test]
fn broken_paths_and_queries() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"x")]);
    let odd = [
        "%",
        "%z",
        "%zz",
        "%2",
        "%00",
        "a%00b",
        "%ff",
        "%c3%28",
        "%ed%a0%80",
        "..",
        "%2e%2e",
        "%2e%2e%2f",
        "..%5c",
        "%2F",
        "%252e",
        ".",
        "%0d%0aX:y",
        "%0a",
        "%7f",
        "%e2%80%ae",
        "'",
        "%22",
        "%3Cscript%3E",
        "%F0%9F%A6%80",
        "$(id)",
        "*",
        "[",
        "{}",
        "a,b",
        ";",
        "~",
        "%20",
        "+",
        "-1",
        "0x10",
        "1e9",
    ];
    let queries = [
        ("/checkVersion", vec!["app_name", "version", "channel", "platform", "arch", "owner", "updater"]),
        ("/apps/latest", vec!["app_name", "channel", "platform", "arch", "package", "owner"]),
        ("/search", vec!["app_name", "channel", "platform", "arch", "published", "critical", "page", "limit"]),
        ("/telemetry", vec!["date", "range", "apps", "channels", "platforms", "architectures"]),
        ("/download", vec!["key", "owner", "expires", "signature", "redirect"]),
        ("/channel/delete", vec!["id"]),
        ("/platform/delete", vec!["id"]),
        ("/arch/delete", vec!["id"]),
        ("/app/delete", vec!["id"]),
        ("/apps/delete", vec!["id"]),
        ("/", vec!["limit"]),
    ];
    let mut connection = server.connect();
    for (path, names) in queries {
        let method = if path.ends_with("delete") { "DELETE" } else { "GET" };
        for name in names {
            let defaults = [
                ("app_name", "secondapp"),
                ("version", "1.0"),
                ("channel", "stable"),
                ("platform", "linux"),
                ("arch", "amd64"),
            ];
            let rest = match path {
                "/checkVersion" | "/apps/latest" | "/search" => {
                    with_query("", &super::without(&defaults, name)).replacen('?', "&", 1)
                }
                "/download" if name != "key" => "&key=secondapp/stable/linux/amd64/secondapp-1.0.deb".to_owned(),
                _ => String::new(),
            };
            for value in odd {
                let target = format!("{path}?{name}={value}{rest}");
                let answer = connection.send(admin.sign(Request::new(method, &target)));
                assert!(answer.status < 500, "{method} {target}: {}", answer.status);
                if answer.status >= 400 {
                    is_refusal(&answer, &target);
                    assert!(
                        !answer.text().contains("/src/") && !answer.text().contains(server.data().to_str().unwrap()),
                        "{target}"
                    );
                }
            }
        }
    }
    for value in odd {
        for path in [
            format!("/update/{value}/secondapp/stable/linux/amd64/1.0/latest.yml"),
            format!("/update/{ADMIN_USER}/{value}/stable/linux/amd64/1.0/latest.yml"),
            format!("/update/{ADMIN_USER}/secondapp/{value}/linux/amd64/1.0/latest.yml"),
            format!("/update/{ADMIN_USER}/secondapp/stable/linux/amd64/{value}/latest.yml"),
            format!("/update/{ADMIN_USER}/secondapp/stable/linux/amd64/1.0/{value}"),
            format!("/download/{value}"),
            format!("/download/secondapp/{value}/x"),
        ] {
            let answer = connection.send(Request::get(&path));
            assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
            is_error_of(&answer, answer.status);
        }
    }
    let long = "q".repeat(9 << 10);
    let answer = check(&server, &and(&asks("1.0"), "more", &long));
    assert_eq!(answer.status, 414);
    is_alive(&server);
}

#[test]
fn broken_json() {
    let server = Packhouse::start();
    let admin = first(&server);
    let id = admin.id();
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "null",
        "true",
        "0",
        "-0.0e999",
        "1e400",
        "\"",
        "\"\\ud800\"",
        "{\"a\"}",
        "{\"a\":}",
        "{,}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1}{\"a\":2}",
        "// x\n{}",
        "NaN",
        "{\"id\":1e400}",
        "[[[[[]]]]]",
        "{\"id\":{\"$ne\":null}}",
        "{\"username\":{\"$gt\":\"\"},\"password\":{\"$gt\":\"\"}}",
        "{\"username\":\"\\u0000\",\"password\":\"\\u0000\",\"api_key\":\"\\u0000\"}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        format!("{open}{close}").into_bytes(),
        format!("{{\"id\":{open}{close}}}").into_bytes(),
        "{\"a\":".repeat(50_000).into_bytes(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"{\"id\":\"\xc3\x28\"}".to_vec(),
        b"\0\0\0\0".to_vec(),
        vec![b' '; (1 << 20) + 1],
        vec![b'9'; 900_000],
    ])
    .collect();
    let paths = CLOSED.iter().map(|(_, path)| *path).chain(["/login", "/signup"]);
    let paths: Vec<&str> = paths
        .filter(|path| !path.starts_with("/app"))
        .filter(|path| ["create", "update", "login", "signup"].iter().any(|end| path.ends_with(end)))
        .chain(["/user/delete"])
        .collect();
    for path in paths {
        let method = if path == "/user/delete" { "DELETE" } else { "POST" };
        for (at, body) in bodies.iter().enumerate() {
            // Fewer failed sign-ups than the throttle allows.
            let answer = admin.send(Request::new(method, path).body("application/json", body.clone()));
            if answer.status == 429 {
                continue;
            }
            is_refusal(&answer, &format!("{method} {path} body {at}"));
            let expected = if body.len() > 1 << 20 { 413 } else { 400 };
            assert!(
                answer.status == expected || matches!((path, answer.status), ("/login" | "/signup", 401)),
                "{path} body {at}: {}",
                answer.status
            );
        }
        is_alive(&server);
    }
    for route in ["/app/create", "/app/update", "/upload", "/apps/update", "/artifact/delete"] {
        for (at, body) in bodies.iter().enumerate() {
            let form = Form::new().part("Content-Disposition: form-data; name=\"data\"", body).file("a.deb", b"x");
            let answer = admin.send_form(route, form);
            is_refusal(&answer, &format!("{route} data {at}"));
            assert_eq!(answer.status, if body.len() > 1 << 20 { 413 } else { 400 }, "{route} data {at}");
        }
        is_alive(&server);
    }
    assert_eq!(admin.id(), id);
    assert_eq!(admin.view()["lists"], json!([[], [], [], []]));
}

#[test]
fn odd_headers() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"x")]);
    let path = with_query("/checkVersion", &asks("0.9"));
    for host in ["a b", "", "a/b", "a@b", "<script>", "a\"b", "größe", "a,b", "[::1", "x:99999", "%0d%0a"] {
        let mut connection = server.connect();
        connection
            .write(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let answer = connection.answer("GET");
        assert!(matches!(answer.status, 200 | 400), "{host}: {}", answer.status);
        if answer.status == 200 {
            let told: serde_json::Value = answer.is_json(200);
            assert_eq!(told["update_available"], true);
        }
    }
    for (name, value) in [
        ("X-Device-ID", "\u{1}".to_owned()),
        ("X-Device-ID", "größe".to_owned()),
        ("X-Device-ID", "d".repeat(20_000)),
        ("Accept", "text/html".to_owned()),
        ("X-Forwarded-Host", "evil.example".to_owned()),
        ("X-Forwarded-Proto", "https".to_owned()),
        ("Forwarded", "host=evil.example;proto=https".to_owned()),
        ("X-HTTP-Method-Override", "DELETE".to_owned()),
        ("X-Original-URL", "/whoami".to_owned()),
        ("Cookie", format!("token={}", admin.token)),
    ] {
        let mut connection = server.connect();
        let _ = connection.write(
            format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{name}: {value}\r\n\r\n").as_bytes(),
        );
        let answer = connection.answer("GET");
        assert!(matches!(answer.status, 200 | 400), "{name}: {}", answer.status);
        if answer.status == 200 {
            assert!(answer.text().contains("http://here/download"), "{name}: {}", answer.text());
        }
    }
    // No cookie and no query is a session.
    let cookie = format!("token={}; Authorization=Bearer {}", admin.token, admin.token);
    server.send(Request::get("/whoami").header("Cookie", &cookie)).is_error(401, "missing authorization header");
    server
        .send(Request::get(&format!("/whoami?token={}", admin.token.replace('.', "%2E"))))
        .is_error(401, "missing authorization header");
    is_alive(&server);
}

#[test]
fn slow_clients() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"bytes")]);
    let (kind, body) = super::form(&release("2.0"), &[("a.deb", &crate::files::noise(1, 4 << 20))]).finish();
    let mut held = Vec::new();
    for n in 0..24 {
        let mut connection = server.connect();
        let head = match n % 4 {
            0 => "POST /upload HTTP/1.1\r\nHost: x\r\n".to_owned(),
            1 => format!(
                "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                admin.token,
                body.len()
            ),
            2 => "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user".to_owned(),
            _ => format!(
                "POST /app/create HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n",
                admin.token
            ),
        };
        connection.write(head.as_bytes()).unwrap();
        if n % 4 == 1 {
            connection.write(&body[..100_000]).unwrap();
        }
        held.push(connection);
    }
    for n in 0..5 {
        is_alive(&server);
        assert_eq!(check(&server, &asks("0.9")).is_json(200)["update_available"], true);
        first(&server).get("/whoami").is_json(200);
        admin.release(&release(&format!("1.1.{n}")), &[("a.rpm", b"more")]);
    }
    drop(held);
    wait_for("what was half sent to go", || server.stage_files().is_empty().then_some(()));
    assert_eq!(admin.search("secondapp", &[])["total"], 6);
}

#[test]
fn a_silent_upload_is_closed() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let (kind, body) = super::form(&release("2.0"), &[("a.deb", &crate::files::noise(1, 4 << 20))]).finish();
    let mut connection = server.connect();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        admin.token,
        body.len()
    );
    connection.write(head.as_bytes()).unwrap();
    connection.write(&body[..50_000]).unwrap();
    // 30 s without progress end it: 408 or nothing, well before the guard.
    let rest = connection.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{GUARD:?}: {}", String::from_utf8_lossy(&rest));
    wait_for("its stage file to go", || server.stage_files().is_empty().then_some(()));
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
}

#[test]
fn cors() {
    let ours = ["https://dash.example", "http://localhost:5173"];
    let server = Packhouse::with().env("PACKHOUSE_ALLOWED_CORS", ours.join(",")).start();
    let admin = first(&server);
    for origin in ours {
        let answer = admin.send(Request::get("/app/list").header("Origin", origin));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(origin));
        assert_eq!(answer.header("Access-Control-Allow-Credentials"), Some("true"));
        assert!(answer.header("Vary").is_some_and(|vary| vary.to_lowercase().contains("origin")));
        // Refusals too, or the dashboard cannot read them.
        let answer = server.send(Request::get("/app/list").header("Origin", origin));
        assert_eq!((answer.status, answer.header("Access-Control-Allow-Origin")), (401, Some(origin)));
        for (method, path) in CLOSED.iter().chain(OPEN) {
            let path = path.split('?').next().unwrap();
            let request = Request::new("OPTIONS", path)
                .header("Origin", origin)
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", "authorization,content-type,x-device-id");
            let answer = server.send(request);
            assert_eq!(answer.status, 204, "{path}");
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(origin));
            assert!(
                answer.header("Access-Control-Allow-Methods").is_some_and(|methods| methods.contains(method)),
                "{path}"
            );
            let headers = answer.header("Access-Control-Allow-Headers").unwrap().to_lowercase();
            assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        }
    }
    for origin in [
        "https://dash.example.evil",
        "http://dash.example",
        "https://dash.example:443",
        "null",
        "",
        "*",
        "HTTPS://DASH.EXAMPLE",
        "https://dash.example, x",
    ] {
        for request in [
            Request::get("/app/list"),
            Request::new("OPTIONS", "/app/list").header("Access-Control-Request-Method", "GET"),
        ] {
            let answer = admin.send(request.header("Origin", origin));
            let told = answer.headers.iter().any(|(name, _)| name.to_lowercase().starts_with("access-control-"));
            assert!(!told, "{origin}: {:?}", answer.headers);
        }
    }
    // Without the setting there is none for anybody.
    let server = Packhouse::start();
    let answer = first(&server).send(Request::get("/app/list").header("Origin", ours[0]));
    assert!(answer.header("Access-Control-Allow-Origin").is_none());
}

#[test]
fn secrets_stay_secret() {
    // reliability.md §17: neither log nor data directory hold a password, a session or a signed link.
    let mut server = Packhouse::with().env("RUST_LOG", "trace").start();
    let secrets = {
        let admin = first(&server);
        let other = super::sign_up(&server, "other");
        let helper = other.hire("helper", &json!({ "apps": { "download": true } }));
        server.send(Request::post("/login").json(&json!({ "username": "other", "password": "wrong-PASSWORD-91" })));
        server.secret("wrong-PASSWORD-91");
        for person in [&admin, &other, &helper] {
            person.get("/whoami").is_json(200);
        }
        let signatures = |person: &super::Person<'_>| person.token.rsplit_once('.').unwrap().1.to_owned();
        let tokens = [&admin, &other, &helper].map(signatures);
        [super::PASSWORD.to_owned(), "wrong-PASSWORD-91".to_owned(), crate::server::ADMIN_PASSWORD.to_owned()]
            .into_iter()
            .chain(tokens)
            .collect::<Vec<_>>()
    };
    assert!(server.stop().success());
    for file in crate::server::files_below(server.data()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds the secret {secret:?}", file.display());
        }
    }
    let log = server.log();
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log holds {secret:?}");
    }
}
