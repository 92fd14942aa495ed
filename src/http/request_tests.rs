//! Bodies read and refused: limits, JSON, forms, credentials.

use super::*;

fn head(fields: &str) -> Head {
    let text = format!("POST /p?a=1+2&b=%2B&a=3 HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    Head::parse(text.as_bytes()).unwrap().unwrap().0
}

fn request(fields: &str, body: Body) -> Request {
    Request::new(head(fields), SocketAddr::from(([127, 0, 0, 1], 9)), 7, body)
}

/// Gives `left` bytes, at most three at once, then ends or fails.
struct Slow {
    left: usize,
    end: Option<io::ErrorKind>,
}

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match (self.left, self.end) {
            (0, Some(kind)) => Err(kind.into()),
            (left, _) => {
                let count = left.min(buf.len()).min(3);
                buf[..count].fill(b'x');
                self.left -= count;
                Ok(count)
            }
        }
    }
}

fn streaming(left: usize, end: Option<io::ErrorKind>, length: Option<u64>) -> Body {
    Body::streaming(Box::new(Slow { left, end }), length)
}

#[test]
fn bodies_are_taken_whole_up_to_the_limit() {
    for limit in [10, 11, u64::MAX] {
        assert_eq!(Body::complete(b"0123456789".to_vec()).collect(limit).unwrap(), b"0123456789");
        assert_eq!(streaming(10, None, Some(10)).collect(limit).unwrap(), b"xxxxxxxxxx");
        assert_eq!(streaming(10, None, None).collect(limit).unwrap(), b"xxxxxxxxxx");
    }
    for body in [Body::complete(vec![0; 10]), streaming(10, None, Some(10)), streaming(10, None, None)] {
        let mut body = body;
        assert_eq!(body.collect(9).unwrap_err().kind, Kind::TooLarge);
    }
    assert_eq!(Body::empty().collect(0).unwrap(), b"");
    assert_eq!(streaming(0, None, None).collect(0).unwrap(), b"");
    // A declared length beyond the limit is refused before a byte is read.
    let mut vast = streaming(10, None, Some(1 << 50));
    assert_eq!(vast.collect(1 << 20).unwrap_err().kind, Kind::TooLarge);
    assert!(!vast.is_finished() && vast.failure.is_none());
}

#[test]
fn a_body_knows_whether_it_was_read() {
    for body in [Body::empty(), Body::complete(Vec::new()), streaming(0, None, Some(0))] {
        assert!(body.is_finished());
    }
    let mut body = Body::complete(b"abc".to_vec());
    assert_eq!(body.length(), Some(3));
    assert_eq!(body.read(&mut [0; 2]).unwrap(), 2);
    assert!(!body.is_finished());
    assert_eq!(body.collect(1).unwrap_err().kind, Kind::TooLarge, "the whole body counts");
    assert_eq!(body.collect(3).unwrap(), b"c");
    assert!(body.is_finished());
    assert_eq!(body.collect(3).unwrap(), b"");

    let mut body = streaming(5, None, None);
    assert_eq!(body.read(&mut [0; 9]).unwrap(), 3);
    assert_eq!(body.read(&mut [0; 9]).unwrap(), 2);
    assert!(!body.is_finished(), "only the end says so");
    assert_eq!(body.read(&mut [0; 0]).unwrap(), 0);
    assert!(!body.is_finished());
    assert_eq!(body.read(&mut [0; 9]).unwrap(), 0);
    assert!(body.is_finished());
}

#[test]
fn broken_bodies_stay_broken() {
    let cases = [
        (io::ErrorKind::UnexpectedEof, "the request body ended early"),
        (io::ErrorKind::ConnectionReset, "the request body ended early"),
        (io::ErrorKind::TimedOut, "the request body came too slowly"),
        (io::ErrorKind::InvalidData, "the request body is malformed"),
    ];
    for (kind, message) in cases {
        let mut body = streaming(4, Some(kind), Some(9));
        for _ in 0..2 {
            let error = body.collect(100).unwrap_err();
            assert_eq!((error.kind, error.message.as_ref()), (Kind::Invalid, message));
            assert_eq!(body.failure, Some(kind));
            assert!(!body.is_finished());
        }
    }
    let inner = Error::new(Kind::TooLarge, "as it was");
    let error = body_error(io::Error::other(inner));
    assert_eq!((error.kind, error.message.as_ref()), (Kind::TooLarge, "as it was"));
}

#[test]
fn json_is_read_strictly() {
    let good = [
        ("{}", "{}"),
        (" [1, 2.5, -3e2, true, null] ", "[1,2.5,-300.0,true,null]"),
        ("\"gr\\u00f6\\u00dfe \\ud83d\\udce6\"", "\"größe 📦\""),
        ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
        ("\u{feff}{\"a\":[]}", "{\"a\":[]}"),
        ("\"[[[[\\\"[[[\"", "\"[[[[\\\"[[[\""),
        ("18446744073709551616", "1.8446744073709552e+19"),
    ];
    for (text, expected) in good {
        assert_eq!(parse_json(text.as_bytes()).unwrap().to_string(), expected, "{text}");
    }
    let bad: [&[u8]; 23] = [
        b"{",
        b"}",
        b"[1,]",
        b"{\"a\":1,}",
        b"{a:1}",
        b"{'a':1}",
        b"nul",
        b"TRUE",
        b"01",
        b"1.",
        b"+1",
        b".5",
        b"NaN",
        b"1e999",
        b"\"\n\"",
        b"\"\\x\"",
        b"\"\xff\"",
        b"{} {}",
        b"{}x",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\u0041\"",
        b"admin=true",
    ];
    for text in bad {
        let error = parse_json(text).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert!(error.message.starts_with("invalid JSON: "), "{}: {error}", String::from_utf8_lossy(text));
    }
    for text in ["", " ", "\r\n\t", "\u{feff}"] {
        assert_eq!(parse_json(text.as_bytes()).unwrap_err().message, "Missing request body");
    }
}

#[test]
fn json_nests_sixty_four_deep() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(parse_json(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_JSON_DEPTH + 1, 200, 100_000] {
            let error = parse_json(nested(depth).as_bytes()).unwrap_err();
            assert_eq!(error.message, "JSON is nested deeper than 64 levels", "{depth}");
        }
    }
    let wide = format!("[{}1]", "[],{},".repeat(10_000));
    assert!(parse_json(wide.as_bytes()).is_ok());
    // Open brackets of broken text never overflow anything.
    assert!(parse_json("[".repeat(1 << 20).as_bytes()).is_err());
    assert!(parse_json("]".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn json_bodies_obey_the_limit() {
    let mut fits = request("", Body::complete(b"{\"a\":1}".to_vec()));
    assert_eq!(fits.json(7).unwrap()["a"], 1);
    let mut large = request("", Body::complete(b"{\"a\":1}".to_vec()));
    assert_eq!(large.json(6).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(request("", Body::empty()).json(6).unwrap_err().message, "Missing request body");
}

#[test]
fn forms_are_pairs_in_order() {
    let form = |kind: &str, body: &str| {
        let fields = format!("Content-Type: {kind}\r\n");
        request(&fields, Body::complete(body.as_bytes().to_vec())).form(1 << 20)
    };
    let kind = "application/x-www-form-urlencoded";
    let pairs = form(&format!("{kind}; charset=UTF-8"), "a=1+2&b=%2B%26&a=&c&&gr%C3%B6=%F0%9F%93%A6").unwrap();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("a", "1 2"), ("b", "+&"), ("a", ""), ("c", ""), ("grö", "📦")]);
    assert!(form(kind, "").unwrap().is_empty());
    assert_eq!(form("Application/X-WWW-Form-Urlencoded", "a=b").unwrap().len(), 1);
    for bad in ["a=%", "a=%zz", "a=%ff", "a=%00"] {
        assert_eq!(form(kind, bad).unwrap_err().kind, Kind::Invalid, "{bad}");
    }
    assert_eq!(form("application/json", "a=b").unwrap_err().kind, Kind::Invalid);
    assert_eq!(request("", Body::empty()).form(9).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn queries_read_plus_both_ways() {
    let request = request("", Body::empty());
    assert_eq!(request.query().unwrap().get("a"), Some("1+2"));
    assert_eq!(request.form_query().unwrap().get("a"), Some("1 2"));
    assert_eq!(request.form_query().unwrap().get("b"), Some("+"));
    assert_eq!(request.query().unwrap().all("a").collect::<Vec<_>>(), ["1+2", "3"]);
}

#[test]
fn multipart_needs_one_good_type() {
    let body = || Body::complete(b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--".to_vec());
    let mut good = request("Content-Type: multipart/form-data; boundary=B\r\n", body());
    let mut parts = good.multipart().unwrap();
    assert_eq!(parts.next_part().unwrap().unwrap().text(9).unwrap(), "1");
    assert!(parts.next_part().unwrap().is_none());
    assert!(good.body().is_finished());
    for fields in [
        "",
        "Content-Type: application/json\r\n",
        "Content-Type: multipart/form-data\r\n",
        "Content-Type: multipart/form-data; boundary=B\r\nContent-Type: multipart/form-data; boundary=C\r\n",
    ] {
        assert!(request(fields, body()).multipart().is_err_and(|e| e.kind == Kind::Invalid), "{fields}");
    }
}

#[test]
fn bearer_tokens() {
    let cases = [
        ("Authorization: Bearer abc\r\n", Some("abc")),
        ("authorization: bearer  a.b-c_d== \r\n", Some("a.b-c_d==")),
        ("Authorization: BEARER\tabc\r\n", Some("abc")),
        ("Authorization: Basic abc\r\n", None),
        ("Authorization: Bearer\r\n", None),
        ("Authorization: Bearer \r\n", None),
        ("Authorization: abc\r\n", None),
        ("Authorization: Bearer a b\r\n", None),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", None),
        ("", None),
    ];
    for (fields, token) in cases {
        assert_eq!(bearer(&head(fields)), token, "{fields}");
    }
}

#[test]
fn notes_and_types() {
    let mut request = request("Content-Type:  Text/Plain ; charset=x\r\n", Body::empty());
    assert_eq!(request.media_type(), "text/plain");
    assert_eq!(request.note(), "");
    request.set_note("token fp:00".into());
    assert_eq!(request.note(), "token fp:00");
    let (head, body, note) = request.into_parts();
    assert_eq!((head.path.as_str(), body.is_finished(), note.as_str()), ("/p", true, "token fp:00"));
}
