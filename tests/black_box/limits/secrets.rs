//! Secrets: whatever goes wrong, at the most talkative log level, none is ever in the log or the data directory.

use crate::rig;
use crate::server::{ADMIN_PASSWORD, Packhouse, SIGNUP_KEY, files_below};
use crate::wire::{self, Wire};

/// Asks and drops the answer; what is asked matters here.
fn say(server: &Packhouse, request: &str) {
    let _ = wire::ask(server.address(), request);
}

#[test]
fn no_secret_is_ever_written_down() {
    let mut server = Packhouse::with().env("RUST_LOG", "trace").start();
    let address = server.address();
    let mut secrets = vec![rig::TOKEN.to_owned(), ADMIN_PASSWORD.to_owned(), SIGNUP_KEY.to_owned()];
    let mut tokens = Vec::new();
    for body in ["{}", "{\"admin\":true}", "{\"admin\":false}"] {
        let made = wire::ask(address, rig::json_request("PUT", "/register", body)).expect("an answer");
        assert_eq!(made.status, 201, "{made:?}");
        tokens.push(made.text());
    }
    secrets.extend(tokens.iter().cloned());
    rig::create_product(address, "p");

    // Each token in every place a client may put one, rightly or wrongly.
    let guesses = ["a-wrong-token-that-nobody-has-0123456789", "pruned-later-and-guessed-before-987654"];
    secrets.extend(guesses.map(str::to_owned));
    for token in tokens.iter().map(String::as_str).chain(guesses) {
        let with = |request: String| request.replace(rig::TOKEN, token);
        let permissions = "{\"maintainer\":true,\"download\":true,\"upload\":true,\"delete\":true}";
        let add = format!("{{\"product\":\"p\",\"token\":\"{token}\",\"permissions\":{permissions}}}");
        say(&server, &rig::json_request("PUT", "/product/modify/addToken", &add));
        say(&server, &rig::json_request("PUT", "/product/modify/addToken", &add[..add.len() - 1]));
        for (method, path) in [("GET", "/fetch/"), ("GET", "/api/fetch/"), ("POST", "/fetch/"), ("GET", "/prune/")] {
            say(&server, &rig::request(method, &format!("{path}{token}"), "Content-Length: 0\r\n"));
            say(&server, &rig::request(method, &format!("{path}{token}/more"), "Content-Length: 0\r\n"));
            say(&server, &rig::request(method, &format!("{path}{token}?a=b"), "Content-Length: 0\r\n"));
            say(&server, &rig::request(method, &format!("http://x{path}{token}"), "Content-Length: 0\r\n"));
        }
        say(&server, &with(rig::request("GET", "/health", "")));
        say(&server, &with(rig::request("GET", "/product/fetch/p", "")));
        say(&server, &with(rig::request("GET", "/product/nowhere", "")));
        say(&server, &with(rig::json_request("PUT", "/register", "{\"admin\":")));
        let _ = wire::ask(address, with(String::from_utf8(rig::upload_request("p", &token[..8], b"x")).expect("text")));
        let fields = [
            format!("Authorization: Bearer {token}\r\n"),
            format!("Authorization: Basic {token}\r\n"),
            format!("X-API-Key: {token}\r\n"),
            format!("Cookie: session={token}\r\n"),
            format!("Proxy-Authorization: {token}\r\n"),
        ];
        for field in &fields {
            say(&server, &format!("GET /product/access HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
            say(&server, &format!("GET /health HTTP/1.1\r\nHost: x\r\n{field}Content-Length: x\r\n\r\n"));
        }
        say(&server, &rig::request("GET", &format!("/product/access?token={token}&api_key={token}"), ""));
        // Cut off, too long, broken: the engine's own refusals log as well.
        let mut wire = Wire::open(address);
        let _ = wire.send(format!("GET /fetch/{token} HTTP/1.1\r\nX-Api-Token: {token}"));
        wire.finish();
        let _ = wire.answers(&[]);
        say(&server, &format!("GET /fetch/{token} HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n"));
        say(&server, &format!("GET /fetch/{token} HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(40_000)));
        say(&server, &format!("GET /prune/{token}/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9_000)));
    }
    // One is taken away: its text must not appear on the way out either.
    say(&server, &rig::request("DELETE", &format!("/prune/{}", tokens[0]), ""));
    say(&server, &rig::request("GET", &format!("/fetch/{}", tokens[0]), ""));

    server.stop();
    let log = server.log();
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log holds {secret}: {}", line_of(&log, secret));
    }
    assert!(log.contains("/fetch/***") && log.contains("/prune/***"), "no masked path in the log:\n{log}");
    for file in files_below(server.data()) {
        let bytes = std::fs::read(&file).expect("a file of the data directory");
        for secret in &secrets {
            let found = memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
            assert!(!found, "{} holds {secret}", file.display());
        }
    }
}

/// Input in log lines is escaped: nobody forges a line or moves a terminal's cursor.
#[test]
fn input_cannot_forge_log_lines() {
    let mut server = Packhouse::with().env("RUST_LOG", "trace").start();
    let address = server.address();
    for path in ["/a%0a2026-01-01T00:00:00Z%20FORGED", "/a%0d%0aFORGED", "/%1b[2JFORGED", "/a%c2%9b31mFORGED"] {
        say(&server, &rig::request("GET", path, ""));
        say(&server, &rig::request("GET", &format!("/product/fetch{path}"), ""));
        say(&server, &rig::request("GET", &format!("/health?x={path}"), ""));
    }
    let name = "b\u{1b}[31mFORGED\nFORGED\r\u{9b}2J";
    let body = serde_json::json!({ "name": name }).to_string();
    say(&server, &rig::json_request("PUT", "/product/create", &body));
    say(&server, &rig::json_request("PUT", "/product/create", "{\"name\":\"bidi \u{202e}FORGED\"}"));
    for raw in ["GET /\u{1b}[2JFORGED HTTP/1.1\r\nHost: x\r\n\r\n", "FORGED\u{1b}[2J / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut wire = Wire::open(address);
        let _ = wire.send(raw);
        wire.finish();
        let _ = wire.answers(&[]);
    }
    say(&server, &rig::request("GET", "/health", "User-Agent: \u{9b}31mFORGED\r\nReferer: FORGED\u{85}x\r\n"));
    server.stop();
    let log = server.log();
    for line in log.lines() {
        assert!(
            !line.trim_start().starts_with("FORGED") && !line.starts_with("2026-01-01T00:00:00Z FORGED"),
            "{line:?}"
        );
        assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
    }
}

fn line_of<'a>(log: &'a str, text: &str) -> &'a str {
    log.lines().find(|line| line.contains(text)).unwrap_or_default()
}
