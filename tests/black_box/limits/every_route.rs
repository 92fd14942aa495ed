//! Bad input at every address of the route map: whatever is sent, the answer is no fault of the server's.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::client::{Connection, Request};
use crate::server::{ADMIN, ADMIN_PASSWORD, ADMIN_USER, Packhouse};
use crate::wire;

/// The map itself, so that a new route is tried without a word here.
const MAP: &str = include_str!("../../../src/routes.rs");
/// Requests for each route.
const TRIES: usize = 40;

/// What stands for a parameter of a path: names that exist, ids, and what no name may be.
const WORDS: &[&str] = &[
    "x",
    "x",
    "acme",
    "x@y",
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2F",
    "%00",
    "%ff",
    "%C3%28",
    "%0d%0a",
    "%22%3E%3Cscript%3E",
    "%E2%80%AE",
    "%F0%9F%98%80",
    "-1",
    "18446744073709551616",
    "00000000-0000-0000-0000-000000000000",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "con",
    "%20",
    "~",
    "*",
];

const QUERIES: &[&str] = &[
    "",
    "",
    "?",
    "?&&=&=%ff",
    "?page=-1&limit=99999999999999999999&pageSize=0&offset=abc",
    "?version=..%2f&app_name=%00&owner=admin&channel[]=x&platform=x&arch=x",
    "?since=99999999999999999999999&with=repo/..&filename=..%2f..",
    "?range=month&date=9999-99-99&days=-5&from=0000-00-00",
    "?token=%ff&part=18446744073709551615&chunk=-1&trust=2",
    "?sha256=zz&q=%F0%9F&filters=a:&tags=,,,",
];

/// Fields that lie; sent now and then.
const FIELDS: &[(&str, &str)] = &[
    ("Range", "bytes=5-1,99999999999999999999-"),
    ("If-None-Match", "\""),
    ("If-Modified-Since", "yesterday"),
    ("Content-Range", "bytes 9-1/*"),
    ("X-Forwarded-Proto", "javascript"),
    ("Accept-Language", "\u{7f}"),
];

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let form = |name: &str, text: &str| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"");
        format!("{head}\r\n\r\n{text}\r\n--b--\r\n").into_bytes()
    };
    let json = "application/json";
    let multipart = "multipart/form-data; boundary=b";
    vec![
        (json, b"".to_vec()),
        (json, b"{}".to_vec()),
        (json, b"[]".to_vec()),
        (json, b"null".to_vec()),
        (json, b"\xff\xfe".to_vec()),
        (json, b"{\"name\":1e999}".to_vec()),
        (json, b"{\"name\":null,\"data\":[{}],\"uri\":5,\"packages\":{\"x\":[]},\"type\":{}}".to_vec()),
        (json, "[".repeat(100_000).into_bytes()),
        (json, "{\"a\":".repeat(5_000).into_bytes()),
        (json, json!({ "name": "x".repeat(70_000), "username": "x".repeat(70_000) }).to_string().into_bytes()),
        (multipart, form("data", "{\"app_name\":5}")),
        (multipart, form("data\"; filename=\"../../x", "PK\u{3}\u{4}junk")),
        (multipart, b"--b\r\n".to_vec()),
        ("multipart/form-data", b"x".to_vec()),
        ("application/x-www-form-urlencoded", b"a=1&b=%zz&%00=%ff".to_vec()),
        ("application/zip", [b"PK\x05\x06".as_slice(), &[0; 18]].concat()),
        ("application/octet-stream", b"\xed\xab\xee\xdb\x03".repeat(50)),
    ]
}

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}

/// Methods and patterns of the map.
fn routes() -> Vec<(String, &'static str)> {
    let line = |line: &'static str| {
        let (method, rest) = line.trim().strip_prefix('(')?.split_once(',')?;
        let pattern = rest.trim().strip_prefix('"')?.split('"').next()?;
        pattern.starts_with('/').then(|| (method.to_uppercase(), pattern))
    };
    MAP.lines().filter_map(line).collect()
}

/// The pattern with something in place of each parameter.
fn filled(pattern: &str, dice: &mut Dice) -> String {
    let mut path = String::new();
    for (at, piece) in pattern.split(['{', '}']).enumerate() {
        path.push_str(if at % 2 == 0 { piece } else { dice.pick(WORDS) });
    }
    path
}

#[test]
fn bad_input_is_never_a_fault_of_the_server() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let login =
        server.send(Request::post("/login").json(&json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD })));
    let bearer = format!("Bearer {}", login.is_json(200)["token"].as_str().expect("a token"));
    let admin = format!("Bearer {ADMIN}");
    let things: [(&str, &str, Value); 5] = [
        ("PUT", "/product/create", json!({ "name": "x" })),
        ("POST", "/repo", json!({ "name": "x", "type": "apt" })),
        ("POST", "/channel/create", json!({ "channel": "x" })),
        ("POST", "/platform/create", json!({ "platform": "x", "updaters": [{ "type": "manual", "default": true }] })),
        ("POST", "/arch/create", json!({ "arch": "x" })),
    ];
    for (method, path, body) in things {
        let mut request = Request::new(method, path).json(&body);
        request =
            if path.starts_with("/product") { request.token(ADMIN) } else { request.header("Authorization", &bearer) };
        let made = server.send(request);
        assert!(made.status < 300, "{path}: {made:?}");
    }
    let routes = routes();
    assert!(routes.len() > 150, "the map was read: {}", routes.len());
    let bodies = bodies();
    let mut dice = Dice(20_261_121);
    let mut faults = String::new();
    for (method, pattern) in routes {
        for _ in 0..TRIES {
            let target = filled(pattern, &mut dice) + dice.pick(QUERIES);
            let mut request = Request::new(&method, &target);
            match dice.below(4) {
                0 => request = request.token(ADMIN).header("Authorization", &admin),
                1 | 2 => request = request.header("Authorization", &bearer),
                _ => {}
            }
            if dice.below(8) == 0 {
                let (name, value) = dice.pick(FIELDS);
                request = request.header(name, value);
            }
            let mut about = String::new();
            if dice.below(4) > 0 && method != "GET" && method != "HEAD" {
                let (kind, bytes) = &bodies[dice.below(bodies.len())];
                about = format!("{kind} {}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
                request = request.body(kind, bytes.clone());
            }
            let answer = Connection::open(server.address()).send(request);
            if answer.status >= 500 {
                let text = String::from_utf8_lossy(&answer.body);
                let _ = writeln!(faults, "{method} {target} {about}: {} {text}", answer.status);
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
    wire::healthy(server.address()).expect("the server is well");
    let log = server.log();
    assert!(!log.contains("panic") && !log.contains("ERROR"), "{log}");
}
