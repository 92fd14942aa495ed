//! `products.md` §5, download: every header of the table, `HEAD`, conditional requests.

use std::time::{Duration, SystemTime};

use crate::client::{Answer, Request};
use crate::files::{Form, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::download_path;

const PATH: &str = "/product/download/p/v";

/// A server with one version of these bytes, and its ETag.
fn stocked(bytes: &[u8]) -> (Packhouse, String) {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.upload(ADMIN, Form::upload("p", "v", "f.html", bytes)).is_empty(201);
    (server, format!("\"{}\"", sha256(bytes)))
}

/// Header lines that belong to the answer itself, in any order, names in lower case.
fn essential(answer: &Answer) -> Vec<(String, String)> {
    let mut lines: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "connection"))
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_table_of_headers() {
    for bytes in [Vec::new(), b"<html><script>alert(1)</script>".to_vec(), noise(1, 10 << 10), noise(2, 300_001)] {
        let earlier = SystemTime::now() - Duration::from_secs(1);
        let (server, etag) = stocked(&bytes);
        for accept in [None, Some("gzip, br, deflate, zstd"), Some("identity;q=0, gzip")] {
            let mut request = Request::get(PATH).token(ADMIN);
            if let Some(accept) = accept {
                request = request.header("Accept-Encoding", accept).header("Accept", "text/html");
            }
            let answer = server.send(request);
            assert_eq!(answer.status, 200);
            assert!(answer.body == bytes);
            let expected = [
                ("Content-Type", "application/octet-stream"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Length", &bytes.len().to_string()),
                ("Content-Disposition", "attachment; filename=\"f.html\""),
                ("ETag", &etag),
                ("X-Checksum-Sha256", etag.trim_matches('"')),
                ("Accept-Ranges", "bytes"),
                ("Cache-Control", "private, no-cache"),
                ("Content-Security-Policy", "sandbox; default-src 'none'"),
            ];
            for (name, value) in expected {
                assert_eq!(answer.header(name), Some(value), "{name}");
            }
            for absent in ["Transfer-Encoding", "Content-Encoding", "Content-Range", "Set-Cookie"] {
                assert_eq!(answer.header(absent), None, "{absent}");
            }
            let modified = answer.header("Last-Modified").unwrap();
            let time = httpdate::parse_http_date(modified).unwrap();
            assert!(earlier - Duration::from_secs(1) <= time && time <= SystemTime::now(), "{modified}");
            assert_eq!(httpdate::fmt_http_date(time), modified);
            // The same moment as the product's page tells, to the second.
            let told = server.view(ADMIN, "p")["versions"]["v"]["uploadedAt"].clone();
            let told: jiff::Timestamp = told.as_str().unwrap().parse().unwrap();
            assert_eq!(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), told.as_second() as u64);
        }
    }
}

#[test]
fn head_answers_what_get_answers() {
    let bytes = noise(1, 5000);
    let (server, etag) = stocked(&bytes);
    let stranger = server.register(false);
    let cases = [
        (ADMIN, PATH, Vec::new()),
        (ADMIN, PATH, vec![("Accept-Encoding", "gzip")]),
        (ADMIN, PATH, vec![("If-None-Match", &etag)]),
        (ADMIN, PATH, vec![("If-None-Match", "\"other\"")]),
        (ADMIN, PATH, vec![("Range", "bytes=1-5")]),
        (ADMIN, PATH, vec![("Range", "bytes=9999-")]),
        (ADMIN, PATH, vec![("Range", "bytes=5-1")]),
        (ADMIN, "/product/download/p/unknown", vec![]),
        (ADMIN, "/product/download/none/v", vec![]),
        (ADMIN, "/product/download/p/%zz", vec![]),
        (&stranger, PATH, vec![]),
        ("unknown", PATH, vec![]),
        ("", PATH, vec![]),
    ];
    let mut connection = server.connect();
    for (token, path, headers) in cases {
        println!("{path} {headers:?}");
        let ask = |method| {
            headers.iter().fold(Request::new(method, path).token(token), |request, (n, v)| request.header(n, v))
        };
        let get = connection.send(ask("GET"));
        let head = connection.send(ask("HEAD"));
        assert_eq!((get.status, essential(&get)), (head.status, essential(&head)));
        assert!(head.body.is_empty());
        // Nothing of a body is on the connection: the next answer is in its place.
        assert_eq!(connection.send(Request::get("/product/access").token(ADMIN)).text(), "[\"p\"]");
    }
}

#[test]
fn if_none_match() {
    let bytes = noise(1, 2000);
    let (server, etag) = stocked(&bytes);
    let hex = etag.trim_matches('"');
    let other = format!("\"{}\"", sha256(b"other"));
    // (the header, whether it fits)
    let cases = [
        (etag.clone(), true),
        (format!("W/{etag}"), true),
        ("*".to_owned(), true),
        (format!("{other}, {etag}"), true),
        (format!("{etag},{other}"), true),
        (format!("\"a,b\" , W/{etag} , \"\""), true),
        (other.clone(), false),
        (format!("W/{other}"), false),
        (hex.to_owned(), false),
        (format!("\"{}\"", hex.to_uppercase()), false),
        (format!("\"{}\"", &hex[..63]), false),
        ("\"\"".to_owned(), false),
        (format!("\"x{hex}\""), false),
    ];
    for (value, fits) in cases {
        println!("{value}");
        for method in ["GET", "HEAD"] {
            let answer = server.send(Request::new(method, PATH).token(ADMIN).header("If-None-Match", &value));
            if fits {
                assert_eq!(answer.status, 304);
                assert_eq!(answer.header("ETag"), Some(etag.as_str()));
                assert!(answer.body.is_empty());
            } else {
                assert_eq!(answer.status, 200);
                assert!(method == "HEAD" || answer.body == bytes);
            }
        }
    }
}

#[test]
fn if_modified_since() {
    let bytes = noise(1, 2000);
    let (server, etag) = stocked(&bytes);
    let stamp = server.get(ADMIN, PATH).header("Last-Modified").unwrap().to_owned();
    let time = httpdate::parse_http_date(&stamp).unwrap();
    let day = Duration::from_secs(86_400);
    let (before, after) = (httpdate::fmt_http_date(time - day), httpdate::fmt_http_date(time + day));
    let second_before = httpdate::fmt_http_date(time - Duration::from_secs(1));
    let ims = |value: &str| server.send(Request::get(PATH).token(ADMIN).header("If-Modified-Since", value)).status;
    assert_eq!(ims(&stamp), 304);
    assert_eq!(ims(&after), 304);
    assert_eq!(ims(&before), 200);
    assert_eq!(ims(&second_before), 200);
    for nonsense in ["", "yesterday", "0", "2026-11-21T00:00:00Z", "Sat, 99 Nov 2026 00:00:00 GMT"] {
        assert_eq!(ims(nonsense), 200, "{nonsense}");
    }
    // If-None-Match decides alone when both are there.
    let both = |tag: &str, since: &str| {
        server.send(Request::get(PATH).token(ADMIN).header("If-Modified-Since", since).header("If-None-Match", tag))
    };
    assert_eq!(both("\"other\"", &stamp).status, 200);
    assert_eq!(both("\"other\"", &after).status, 200);
    let answer = both(&etag, &before);
    assert_eq!((answer.status, answer.header("ETag")), (304, Some(etag.as_str())));
    assert_eq!(server.send(Request::head(PATH).token(ADMIN).header("If-Modified-Since", &stamp)).status, 304);
}

#[test]
fn permission_comes_before_any_condition() {
    let (server, etag) = stocked(b"bytes");
    let stranger = server.register(false);
    let member = server.member("p", &["maintainer", "upload", "delete"]);
    for who in [&stranger, &member] {
        for (name, value) in
            [("If-None-Match", "*"), ("If-None-Match", &etag), ("Range", "bytes=0-0"), ("Range", "bytes=99-")]
        {
            server.send(Request::get(PATH).token(who).header(name, value)).is_text(403, "permission denied");
        }
        let since = Request::get(PATH).token(who).header("If-Modified-Since", "Fri, 31 Dec 2100 00:00:00 GMT");
        server.send(since).is_text(403, "permission denied");
    }
    for token in ["", "unknown"] {
        assert_eq!(server.send(Request::get(PATH).token(token).header("If-None-Match", "*")).status, 401);
    }
}

#[test]
fn unknown_things() {
    let (server, _) = stocked(b"bytes");
    let plain = server.register(false);
    for who in [ADMIN, &plain] {
        server.download(who, "none", "v").is_text(400, "Product not found");
        server.download(who, "P", "v").is_text(400, "Product not found");
    }
    server.download(ADMIN, "p", "unknown").is_text(400, "Version not found");
    server.download(ADMIN, "p", "V").is_text(400, "Version not found");
    for (name, value) in [("If-None-Match", "*"), ("Range", "bytes=0-0")] {
        let answer = server.send(Request::get(&download_path("p", "w")).token(ADMIN).header(name, value));
        answer.is_text(400, "Version not found");
    }
}
