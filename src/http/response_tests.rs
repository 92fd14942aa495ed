//! Heads of answers: what is always there, what never is, and how bodies are delimited.

use super::*;

const PLAIN: Context = Context { minor: 1, head_only: false, keep_alive: true };

fn encoded(response: &Response, context: Context) -> (String, Framing) {
    let mut out = b"before".to_vec();
    let framing = response.encode_head(&mut out, context);
    let text = String::from_utf8(out).unwrap();
    (text.strip_prefix("before").unwrap().to_owned(), framing)
}

/// The fields of an encoded head as sent, without the status line and `Date`.
fn fields(response: &Response, context: Context) -> Vec<String> {
    let (text, _) = encoded(response, context);
    let text = text.strip_suffix("\r\n\r\n").unwrap();
    text.split("\r\n").skip(1).filter(|line| !line.starts_with("Date: ")).map(str::to_owned).collect()
}

#[test]
fn every_answer_has_date_and_nosniff() {
    let before = SystemTime::now();
    let (text, framing) = encoded(&Response::text(200, "hi"), PLAIN);
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    let date = httpdate::parse_http_date(lines[1].strip_prefix("Date: ").unwrap()).unwrap();
    assert!(date <= SystemTime::now() && date + Duration::from_secs(2) > before);
    assert_eq!(
        lines[2..],
        ["X-Content-Type-Options: nosniff", "Content-Type: text/plain; charset=utf-8", "Content-Length: 2", "", ""]
    );
    assert_eq!(framing, Framing::Length(2));
}

#[test]
fn lengths_and_codings() {
    let unknown = || Response::stream(200, "a/b", Box::new(io::empty()), None);
    let known = || Response::stream(200, "a/b", Box::new(io::empty()), Some(9));
    let cases: Vec<(Response, u8, bool, Option<&str>, Framing)> = vec![
        (Response::empty(200), 1, false, Some("Content-Length: 0"), Framing::Length(0)),
        (Response::empty(201), 1, false, Some("Content-Length: 0"), Framing::Length(0)),
        (Response::empty(404), 0, false, Some("Content-Length: 0"), Framing::Length(0)),
        (Response::empty(204), 1, false, None, Framing::None),
        (Response::empty(304), 1, false, None, Framing::None),
        (Response::text(204, "never sent"), 1, false, None, Framing::None),
        (Response::text(304, "never sent"), 1, false, None, Framing::None),
        (Response::text(200, "seven b"), 1, false, Some("Content-Length: 7"), Framing::Length(7)),
        (Response::text(200, "seven b"), 1, true, Some("Content-Length: 7"), Framing::None),
        (Response::empty(200), 1, true, Some("Content-Length: 0"), Framing::None),
        (known(), 1, false, Some("Content-Length: 9"), Framing::Length(9)),
        (known(), 0, true, Some("Content-Length: 9"), Framing::None),
        (unknown(), 1, false, Some("Transfer-Encoding: chunked"), Framing::Chunked),
        (unknown(), 1, true, Some("Transfer-Encoding: chunked"), Framing::None),
        (unknown(), 0, false, None, Framing::UntilClose),
    ];
    for (response, minor, head_only, expected, framing) in cases {
        let context = Context { minor, head_only, keep_alive: true };
        let (text, actual) = encoded(&response, context);
        assert_eq!(actual, framing, "{response:?}");
        assert_eq!(response.framing(context), framing);
        let said: Vec<_> = fields(&response, context)
            .into_iter()
            .filter(|line| line.starts_with("Content-Length") || line.starts_with("Transfer-Encoding"))
            .collect();
        assert_eq!(said, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn connection_is_said_when_it_matters() {
    let said = |response: &Response, minor: u8, keep_alive: bool| {
        let context = Context { minor, head_only: false, keep_alive };
        fields(response, context).into_iter().find_map(|line| line.strip_prefix("Connection: ").map(str::to_owned))
    };
    let plain = Response::empty(200);
    assert_eq!(said(&plain, 1, true), None);
    assert_eq!(said(&plain, 1, false).as_deref(), Some("close"));
    assert_eq!(said(&plain, 0, true).as_deref(), Some("keep-alive"));
    assert_eq!(said(&plain, 0, false).as_deref(), Some("close"));
    let closing = Response::empty(200).close();
    assert!(closing.closes() && !plain.closes());
    assert_eq!(said(&closing, 1, true).as_deref(), Some("close"));
    let unknown = Response::stream(200, "a/b", Box::new(io::empty()), None);
    assert_eq!(said(&unknown, 0, true).as_deref(), Some("close"));
    assert_eq!(said(&unknown, 1, true), None);
}

#[test]
fn no_value_can_end_a_line() {
    let cases = [
        ("plain", "plain"),
        ("größe 📦", "größe 📦"),
        ("a\r\nX-Evil: 1", "a  X-Evil: 1"),
        ("a\nb\rc", "a b c"),
        ("\r\n\r\nbody", "body"),
        ("a\0b\u{1b}[31m\u{7f}", "a b [31m"),
        ("a\tb", "a b"),
        ("a\u{85}b\u{2028}c", "a b\u{2028}c"),
        ("  padded  ", "padded"),
        ("", ""),
    ];
    for (value, expected) in cases {
        let response = Response::empty(200).header("X-Test", value);
        assert_eq!(response.header_value("x-test"), Some(expected), "{value:?}");
        let lines = fields(&response, PLAIN);
        assert_eq!(lines[1], format!("X-Test: {expected}"), "{value:?}");
        assert_eq!(lines.len(), 3, "{value:?}");
    }
    let text = "a/b\r\nX-Evil: 1".to_owned();
    assert_eq!(fields(&Response::bytes(200, text, Vec::new()), PLAIN)[1], "Content-Type: a/b  X-Evil: 1");
    let lines = fields(&Response::redirect(302, "/a\r\nSet-Cookie: b"), PLAIN);
    assert_eq!(lines[1], "Location: /a  Set-Cookie: b");
}

#[test]
fn later_values_replace_and_framing_is_ours() {
    let response = Response::text(200, "x")
        .header("Cache-Control", "private")
        .header("content-type", "text/css")
        .header("cache-control", "no-store");
    assert_eq!(response.header_value("Content-Type"), Some("text/css"));
    assert_eq!(response.header_value("Cache-Control"), Some("no-store"));
    assert!(response.has_header("CACHE-CONTROL") && !response.has_header("ETag"));
    let plain = fields(&Response::text(200, "x"), PLAIN);
    let names =
        ["Content-Length", "transfer-encoding", "Connection", "Date", "x-content-type-options", "Bad Name", "", "A:b"];
    for name in names {
        assert_eq!(fields(&Response::text(200, "x").header(name, "1"), PLAIN), plain, "{name}");
    }
}

#[test]
fn json_answers() {
    let response = Response::json(201, &serde_json::json!({ "größe": [1, null] }));
    assert_eq!(response.header_value("Content-Type"), Some("application/json"));
    assert_eq!(&*body(response), "{\"größe\":[1,null]}".as_bytes());
    let unspeakable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let response = Response::json(200, &unspeakable);
    assert_eq!(response.status, 500);
    assert_eq!(&*body(response), b"{\"error\":\"internal error\"}");
}

fn body(response: Response) -> Bytes {
    match response.into_payload() {
        Payload::Bytes(bytes) => bytes,
        _ => panic!("not bytes"),
    }
}

#[test]
fn bytes_of_every_kind() {
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    assert_eq!(&*body(Response::bytes(200, "a/b", shared)), b"shared");
    assert_eq!(&*body(Response::bytes(200, "a/b", &b"static"[..])), b"static");
    assert_eq!(&*body(Response::bytes(200, "a/b", "text")), b"text");
    assert_eq!(&*body(Response::bytes(200, "a/b", vec![1, 2])), [1, 2]);
    assert_eq!(&*body(Response::text(200, String::from("owned"))), b"owned");
}

#[test]
fn dates_outside_the_format_do_not_panic() {
    assert_eq!(http_date(UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(http_date(UNIX_EPOCH - Duration::from_secs(1)), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(4_294_944_000)), "Sun, 07 Feb 2106 00:00:00 GMT");
    assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(253_402_300_799)), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(1 << 39)), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", Response::text(200, "hidden").header("X-Secret", "hidden"));
    assert!(shown.contains("X-Secret") && !shown.contains("hidden"), "{shown}");
}
