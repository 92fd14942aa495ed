//! Tables of request heads: what is taken, what is refused and with which status.

use super::*;

fn status(raw: &[u8]) -> u16 {
    match Head::parse(raw) {
        Ok(Some((_, used))) => {
            assert_eq!(used, raw.len());
            200
        }
        Ok(None) => 0,
        Err(refusal) => refusal.status,
    }
}

fn head(raw: &str) -> Head {
    Head::parse(raw.as_bytes()).unwrap().unwrap().0
}

#[test]
fn reads_a_plain_head() {
    let raw = "POST /a%20b/c?x=1&y=?z HTTP/1.1\r\nHost: example.org:80\r\nX-One:  two \t\r\nx-one: three\r\n\
               Empty:\r\nContent-Length: 12\r\n\r\nbody";
    let (head, used) = Head::parse(raw.as_bytes()).unwrap().unwrap();
    assert_eq!(used, raw.len() - 4);
    assert_eq!((head.method, head.path.as_str(), head.query.as_deref()), (Method::Post, "/a%20b/c", Some("x=1&y=?z")));
    assert_eq!(head.headers.text("X-ONE"), Some("two"));
    assert_eq!(head.headers.all("x-One").collect::<Vec<_>>(), [b"two".as_slice(), b"three"]);
    assert_eq!(head.headers.text("empty"), Some(""));
    assert_eq!(head.headers.get("absent"), None);
    assert_eq!(head.headers.iter().count(), 5);
    assert_eq!((head.body, head.minor, head.keep_alive), (BodyLength::Sized(12), 1, true));
    assert!(!format!("{head:?}").contains("three"), "values stay out of logs");
}

#[test]
fn takes_any_split() {
    let raw = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut checked = 0;
    for end in 0..raw.len() {
        assert!(Head::parse(&raw[..end]).unwrap().is_none(), "{end}");
        assert!(Head::parse_from(&raw[..end], &mut checked).unwrap().is_none(), "{end}");
    }
    assert!(Head::parse_from(raw, &mut checked).unwrap().is_some());
    assert_eq!(Head::parse(raw).unwrap().unwrap().1, raw.len());
}

#[test]
fn targets() {
    let cases = [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("//a//b", "//a//b", None),
        ("/a/../b/%2e%2e", "/a/../b/%2e%2e", None),
        ("http://other.example/x?y", "/x", Some("y")),
        ("HTTPS://[::1]:8080", "/", None),
        ("http://other?q", "/", Some("q")),
        ("/%zz{}|\\^\"<>`", "/%zz{}|\\^\"<>`", None),
    ];
    for (target, path, query) in cases {
        let head = head(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((head.path.as_str(), head.query.as_deref()), (path, query), "{target}");
    }
    for bad in [
        "",
        "a",
        "*",
        "x:80",
        "ftp://a/b",
        "http://",
        "http:///x",
        "http://u@h/x",
        "/#f",
        "/\u{e4}",
        "/\x7f",
        "/\x01",
        "?x",
    ] {
        assert_eq!(status(format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), 400, "{bad:?}");
    }
}

#[test]
fn request_lines() {
    let cases: &[(&[u8], u16)] = &[
        (b"GET / HTTP/1.1", 200),
        (b"get / HTTP/1.1", 200),
        (b"PROPFIND / HTTP/1.1", 200),
        (b"TRACE / HTTP/1.1", 200),
        (b"CONNECT a:1 HTTP/1.1", 501),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/11", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.1 x", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET\t/\tHTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /", 400),
        (b"GET", 400),
        (b"G@T / HTTP/1.1", 400),
        (b"G\xc3T / HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /\0 HTTP/1.1", 400),
        (b"AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD / HTTP/1.1", 400),
    ];
    for (line, expected) in cases {
        let raw = [line, b"\r\nHost: a\r\n\r\n".as_slice()].concat();
        assert_eq!(status(&raw), *expected, "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn field_lines() {
    let cases: &[(&[u8], u16)] = &[
        (b"X: y", 200),
        (b"X:", 200),
        (b"X:\ty\tz", 200),
        (b"X: caf\xe9 \xff", 200),
        (b"Connection: Content-Length", 200),
        (b"X : y", 400),
        (b" X: y", 400),
        (b"\tX: y", 400),
        (b": y", 400),
        (b"X", 400),
        (b"X y: z", 400),
        (b"X\xe9: y", 400),
        (b"X(: y", 400),
        (b"X: a\0b", 400),
        (b"X: a\x0bb", 400),
        (b"X: a\x7fb", 400),
        (b"X: a\rb", 400),
        (b"X: a\nb", 400),
        (b"X: a\nY: b", 400),
        (b"X: a\r\n b", 400),
        (b"X: a\r\n\tb: c", 400),
        (b"X: a\r\r\nY: b", 400),
        (b"Host: b", 400),
        (b"Content-Length: 0", 200),
        (b"Content-Length: 007", 200),
        (b"Content-Length: 9223372036854775807", 200),
        (b"Content-Length: 9223372036854775808", 400),
        (b"Content-Length: 18446744073709551617", 400),
        (b"Content-Length: 99999999999999999999999999", 400),
        (b"Content-Length:", 400),
        (b"Content-Length: +3", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 3x", 400),
        (b"Content-Length: 0x3", 400),
        (b"Content-Length: 3, 3", 400),
        (b"Content-Length: 3 3", 400),
        (b"Content-Length : 3", 400),
        (b"Content-Length: 3\r\nContent-Length: 3", 400),
        (b"Content-Length: 3\r\ncontent-length: 4", 400),
        (b"Transfer-Encoding: chunked", 200),
        (b"transfer-encoding: CHUNKED", 200),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3", 400),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        (b"Content-Length: 3\r\nTransfer-Encoding: identity", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
        (b"Transfer-Encoding: chunked, chunked", 400),
        (b"Transfer-Encoding: chunked, gzip", 400),
        (b"Transfer-Encoding: chunked;a=b", 400),
        (b"Transfer-Encoding:", 400),
        (b"Transfer-Encoding: ,chunked", 400),
        (b"Transfer-Encoding: \"chunked\"", 400),
        (b"Transfer-Encoding: chun ked", 400),
        (b"Transfer-Encoding: \x0bchunked", 400),
        (b"Transfer-Encoding: xchunked", 501),
        (b"Transfer-Encoding: identity", 501),
        (b"Transfer-Encoding: gzip", 501),
        (b"Transfer-Encoding: gzip, chunked", 501),
        (b"Transfer-Encoding : chunked", 400),
        (b"Expect: 100-continue", 200),
        (b"Expect: 100-Continue", 200),
        (b"Expect: 200-ok", 417),
        (b"Expect:", 417),
        (b"Expect: 100-continue\r\nExpect: 100-continue", 400),
    ];
    for (field, expected) in cases {
        let raw = [b"POST / HTTP/1.1\r\nHost: a\r\n", *field, b"\r\n\r\n"].concat();
        assert_eq!(status(&raw), *expected, "{}", String::from_utf8_lossy(field));
    }
}

#[test]
fn hosts_and_versions() {
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", 200),
        ("POST / HTTP/1.0\r\nExpect: nonsense\r\n\r\n", 200),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\n", 505),
        ("\x16\x03\x01\x02", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 0),
    ];
    for (raw, expected) in cases {
        assert_eq!(status(raw.as_bytes()), *expected, "{raw:?}");
    }
}

#[test]
fn keep_alive_and_expectations() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: foo, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, field, expected) in cases {
        assert_eq!(
            head(&format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n")).keep_alive,
            expected,
            "{version} {field}"
        );
    }
    let expects = |fields: &str| head(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).expect_continue;
    assert!(expects("Expect: 100-continue\r\nContent-Length: 1\r\n"));
    assert!(expects("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"));
    assert!(!expects("Expect: 100-continue\r\nContent-Length: 0\r\n"));
    assert!(!expects("Expect: 100-continue\r\n"));
}

#[test]
fn limits() {
    let line = "GET / HTTP/1.1\r\nHost: a\r\n";
    let fields = |count: usize| format!("{line}{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(status(fields(99).as_bytes()), 200);
    assert_eq!(status(fields(100).as_bytes()), 431);
    let filled = |size: usize| format!("{line}X: {}\r\n\r\n", "y".repeat(size - line.len() - 7));
    assert_eq!(filled(MAX_HEAD).len(), MAX_HEAD);
    assert_eq!(status(filled(MAX_HEAD).as_bytes()), 200);
    assert_eq!(status(filled(MAX_HEAD + 1).as_bytes()), 431);
    assert_eq!(status(&filled(MAX_HEAD + 1).as_bytes()[..MAX_HEAD]), 431);
    assert_eq!(status(&filled(MAX_HEAD + 1).as_bytes()[..MAX_HEAD - 1]), 0);
    let target = |size: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(size - 1));
    assert_eq!(status(target(MAX_TARGET).as_bytes()), 200);
    assert_eq!(status(target(MAX_TARGET + 1).as_bytes()), 414);
    assert_eq!(status(&target(40_000).as_bytes()[..9_000]), 414, "before the line is complete");
    assert_eq!(status(&[b'A'; 33]), 400);
    assert_eq!(status(b"\0"), 400);
}

#[test]
fn mutated_heads_never_panic_and_prefixes_agree() {
    const SEED: &[u8] = b"POST http://h/a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n";
    const PIECES: [&[u8]; 12] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b"\r\n\r\n",
        b"Host: x\r\n",
        b"\xff",
        b"chunked",
        b"\t",
        b"Transfer-Encoding: ",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut raw = SEED.to_vec();
        for _ in 0..=random(3) {
            let at = random(raw.len());
            match random(3) {
                0 => raw[at] = random(256) as u8,
                1 => drop(raw.drain(at..(at + 1 + random(6)).min(raw.len()))),
                _ => drop(raw.splice(at..at, PIECES[random(PIECES.len())].iter().copied())),
            }
        }
        let whole = Head::parse(&raw);
        let mut checked = 0;
        let mut at_once = None;
        for end in 0..=raw.len() {
            match Head::parse_from(&raw[..end], &mut checked) {
                Ok(None) => {}
                Ok(Some((_, used))) => {
                    at_once = Some(Ok(used));
                    break;
                }
                Err(refusal) => {
                    at_once = Some(Err(refusal.status));
                    break;
                }
            }
        }
        let shown = String::from_utf8_lossy(&raw);
        match (whole, at_once) {
            (Ok(None), None) => {}
            (Ok(Some((_, used))), Some(Ok(pieces))) => assert_eq!(used, pieces, "{shown:?}"),
            (Err(_), Some(Err(_))) => {}
            (whole, pieces) => {
                panic!("{shown:?}: {:?} against {pieces:?}", whole.map(|head| head.map(|(_, used)| used)))
            }
        }
    }
}
