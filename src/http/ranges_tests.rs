//! Tables of ranges, conditions, file names and file answers.

use std::time::Duration;

use super::*;
use crate::http::response::{Context, Framing, Payload};

const ETAG: &str = "\"abc\"";
/// 20 May 2026, 10:00:00 UTC.
const STAMP: u64 = 1_779_271_200;

fn stamp() -> SystemTime {
    UNIX_EPOCH + Duration::new(STAMP, 700_000_000)
}

/// A request with these fields.
fn head(method: &str, fields: &[(&str, &str)]) -> Head {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{method} /f HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    Head::parse(text.as_bytes()).unwrap().unwrap().0
}

/// `whole`, `416`, `a-b` or `a-b,c-d`.
fn shown(field: &str, size: u64) -> String {
    let run = |run: &Range| format!("{}-{}", run.first, run.last);
    match asked(std::iter::once(field.as_bytes()), size) {
        Asked::Whole => "whole".into(),
        Asked::Unsatisfiable => "416".into(),
        Asked::One(one) => run(&one),
        Asked::Several(runs) => runs.iter().map(run).collect::<Vec<_>>().join(","),
    }
}

#[test]
fn ranges_of_ten_bytes() {
    let cases = [
        ("bytes=0-0", "0-0"),
        ("bytes=0-9", "0-9"),
        ("bytes=0-10", "0-9"),
        ("bytes=2-5", "2-5"),
        ("bytes=5-", "5-9"),
        ("bytes=0-", "0-9"),
        ("bytes=9-", "9-9"),
        ("bytes=10-", "416"),
        ("bytes=10-20", "416"),
        ("bytes=-1", "9-9"),
        ("bytes=-10", "0-9"),
        ("bytes=-11", "0-9"),
        ("bytes=-0", "416"),
        ("bytes=-000", "416"),
        ("bytes=007-0008", "7-8"),
        ("BYTES=1-2", "1-2"),
        ("bytes= 1-2 ", "1-2"),
        ("bytes=5-2", "whole"),
        ("bytes=12-11", "whole"),
        ("bytes=x-", "whole"),
        ("bytes=-x", "whole"),
        ("bytes=1-x", "whole"),
        ("bytes=+1-2", "whole"),
        ("bytes=1-+2", "whole"),
        ("bytes=1 -2", "whole"),
        ("bytes=1- 2", "whole"),
        ("bytes=--1", "whole"),
        ("bytes=-1-2", "whole"),
        ("bytes=1-2-3", "whole"),
        ("bytes=1", "whole"),
        ("bytes=-", "whole"),
        ("bytes=", "whole"),
        ("bytes=,", "whole"),
        ("bytes", "whole"),
        ("", "whole"),
        ("=0-1", "whole"),
        ("bytes =0-1", "whole"),
        ("items=0-1", "whole"),
        ("bytes:0-1", "whole"),
        ("bytes=0x1-2", "whole"),
        ("bytes=1.0-2", "whole"),
        ("bytes=١-٢", "whole"),
        // Beyond 64 bits.
        ("bytes=0-18446744073709551615", "0-9"),
        ("bytes=0-18446744073709551616", "0-9"),
        ("bytes=0-99999999999999999999999999999999", "0-9"),
        ("bytes=18446744073709551615-", "416"),
        ("bytes=18446744073709551616-", "416"),
        ("bytes=99999999999999999999999999999999-", "416"),
        ("bytes=99999999999999999999-99999999999999999999", "416"),
        ("bytes=99999999999999999999-1", "whole"),
        ("bytes=-18446744073709551616", "0-9"),
        ("bytes=-99999999999999999999999999999999", "0-9"),
        ("bytes=00000000000000000000000000000000001-2", "1-2"),
        // Several.
        ("bytes=0-1,4-5", "0-1,4-5"),
        ("bytes=0-1, 4-5 ,8-", "0-1,4-5,8-9"),
        ("bytes=8-9,0-1", "8-9,0-1"),
        ("bytes=0-1,2-3", "0-1,2-3"),
        ("bytes=,0-1,,4-5,", "0-1,4-5"),
        ("bytes=0-1,-2", "0-1,8-9"),
        ("bytes=0-4,4-5", "whole"),
        ("bytes=4-5,0-9", "whole"),
        ("bytes=0-,-1", "whole"),
        ("bytes=0-0,0-0", "whole"),
        ("bytes=0-1,20-30", "0-1"),
        ("bytes=20-30,0-1,40-", "0-1"),
        ("bytes=20-30,40-", "416"),
        ("bytes=0-1,-0", "0-1"),
        ("bytes=0-1,5-2", "whole"),
        ("bytes=0-1,x", "whole"),
        ("bytes=20-30,x", "whole"),
    ];
    for (field, expected) in cases {
        assert_eq!(shown(field, 10), expected, "{field}");
    }
}

#[test]
fn ranges_of_odd_sizes() {
    let cases = [
        ("bytes=0-0", 0, "416"),
        ("bytes=0-", 0, "416"),
        ("bytes=-0", 0, "416"),
        ("bytes=-5", 0, "whole"),
        ("bytes=-5,0-1", 0, "whole"),
        ("bytes=0-1,2-3", 0, "416"),
        ("bytes=0-", 1, "0-0"),
        ("bytes=1-", 1, "416"),
        ("bytes=-1", 1, "0-0"),
        ("bytes=4294967295-4294967296", 1 << 33, "4294967295-4294967296"),
        ("bytes=9223372036854775806-", 1 << 63, "9223372036854775806-9223372036854775807"),
        ("bytes=-1", u64::MAX, "18446744073709551614-18446744073709551614"),
        ("bytes=18446744073709551614-99999999999999999999", u64::MAX, "18446744073709551614-18446744073709551614"),
    ];
    for (field, size, expected) in cases {
        assert_eq!(shown(field, size), expected, "{field} of {size}");
    }
}

#[test]
fn at_most_a_thousand_ranges() {
    let field = |count: usize| {
        let runs: Vec<_> = (0..count).map(|at| format!("{}-{}", 2 * at, 2 * at)).collect();
        format!("bytes={}", runs.join(","))
    };
    assert_eq!(shown(&field(MAX_RANGES), 1 << 20).split(',').count(), MAX_RANGES);
    assert_eq!(shown(&field(MAX_RANGES + 1), 1 << 20), "whole");
    // Those behind the end count too.
    assert_eq!(shown(&field(MAX_RANGES + 1), 1), "whole");
    assert_eq!(shown(&field(MAX_RANGES), 1), "0-0");
}

#[test]
fn two_range_fields_are_no_range() {
    let fields = [&b"bytes=0-1"[..], b"bytes=2-3"];
    assert_eq!(asked(fields.into_iter(), 10), Asked::Whole);
    assert_eq!(asked(std::iter::empty(), 10), Asked::Whole);
}

#[test]
fn conditions() {
    use Condition::{Failed, NotModified, Proceed, ProceedWhole};
    let (before, same, after) =
        ("Wed, 20 May 2026 09:59:59 GMT", "Wed, 20 May 2026 10:00:00 GMT", "Wed, 20 May 2026 10:00:01 GMT");
    let cases: &[(&[(&str, &str)], Condition)] = &[
        (&[], Proceed),
        (&[("If-None-Match", "\"abc\"")], NotModified),
        (&[("If-None-Match", "W/\"abc\"")], NotModified),
        (&[("If-None-Match", "*")], NotModified),
        (&[("If-None-Match", "\"x\", \"abc\"")], NotModified),
        (&[("If-None-Match", "\"x\",W/\"y\",,W/\"abc\" , \"z\"")], NotModified),
        (&[("If-None-Match", "\"a,b\", \"abc\"")], NotModified),
        (&[("If-None-Match", "\"x\""), ("If-None-Match", "\"abc\"")], NotModified),
        (&[("If-None-Match", "\"x\"")], Proceed),
        (&[("If-None-Match", "\"abcd\"")], Proceed),
        (&[("If-None-Match", "\"x,\"abc\"\"")], Proceed),
        (&[("If-None-Match", "abc")], Proceed),
        (&[("If-None-Match", "\"abc")], Proceed),
        (&[("If-None-Match", "w/\"abc\"")], Proceed),
        (&[("If-None-Match", "W/*")], Proceed),
        (&[("If-None-Match", "")], Proceed),
        (&[("If-None-Match", "\"ABC\"")], Proceed),
        // A date counts only without If-None-Match.
        (&[("If-Modified-Since", same)], NotModified),
        (&[("If-Modified-Since", after)], NotModified),
        (&[("If-Modified-Since", before)], Proceed),
        (&[("If-Modified-Since", "Wednesday, 20-May-26 10:00:00 GMT")], NotModified),
        (&[("If-Modified-Since", "Wed May 20 10:00:00 2026")], NotModified),
        (&[("If-Modified-Since", "yesterday")], Proceed),
        (&[("If-Modified-Since", "Wed, 99 May 2026 10:00:00 GMT")], Proceed),
        (&[("If-Modified-Since", "1779271200")], Proceed),
        (&[("If-Modified-Since", after), ("If-None-Match", "\"x\"")], Proceed),
        (&[("If-Modified-Since", before), ("If-None-Match", "\"abc\"")], NotModified),
        (&[("If-Modified-Since", after), ("If-None-Match", "broken")], Proceed),
        // If-Match compares strongly; If-Unmodified-Since counts only without it.
        (&[("If-Match", "\"abc\"")], Proceed),
        (&[("If-Match", "*")], Proceed),
        (&[("If-Match", "\"x\", \"abc\"")], Proceed),
        (&[("If-Match", "W/\"abc\"")], Failed),
        (&[("If-Match", "\"x\"")], Failed),
        (&[("If-Match", "\"x\""), ("If-None-Match", "\"abc\"")], Failed),
        (&[("If-Match", "\"abc\""), ("If-None-Match", "\"abc\"")], NotModified),
        (&[("If-Unmodified-Since", before)], Failed),
        (&[("If-Unmodified-Since", same)], Proceed),
        (&[("If-Unmodified-Since", "never")], Proceed),
        (&[("If-Unmodified-Since", before), ("If-Match", "\"abc\"")], Proceed),
        // Only the tag itself keeps a range.
        (&[("If-Range", "\"abc\"")], Proceed),
        (&[("If-Range", "W/\"abc\"")], ProceedWhole),
        (&[("If-Range", "\"x\"")], ProceedWhole),
        (&[("If-Range", "\"x\", \"abc\"")], ProceedWhole),
        (&[("If-Range", "*")], ProceedWhole),
        (&[("If-Range", "")], ProceedWhole),
        (&[("If-Range", same)], ProceedWhole),
        (&[("If-Range", "\"x\""), ("If-None-Match", "\"abc\"")], NotModified),
    ];
    for (fields, expected) in cases {
        for method in ["GET", "HEAD"] {
            assert_eq!(condition(&head(method, fields), ETAG, stamp()), *expected, "{fields:?}");
        }
    }
    let early = UNIX_EPOCH - Duration::from_secs(5);
    let since = head("GET", &[("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]);
    assert_eq!(condition(&since, ETAG, early), NotModified);
    for (validator, expected) in
        [(same, Proceed), (before, ProceedWhole), (after, ProceedWhole), ("\"abc\"", Proceed), ("x", ProceedWhole)]
    {
        let asked = head("GET", &[("If-Range", validator)]);
        assert_eq!(condition_dated(&asked, ETAG, stamp(), Dates::Exact), expected, "{validator}");
    }
}

#[test]
fn any_fields_are_judged_without_panic() {
    const PIECES: [&str; 14] =
        ["bytes=", "bytes", "=", "-", ",", " ", "0", "9", "18446744073709551616", "\"", "\"abc\"", "W/", "*", "é"];
    let mut dice = 1u64;
    for _ in 0..100_000 {
        let mut field = String::new();
        for _ in 0..dice >> 60 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            field.push_str(PIECES[usize::try_from(dice >> 58).unwrap() % PIECES.len()]);
        }
        for size in [0, 1, 10, u64::MAX] {
            for field in [&field, &format!("bytes={field}")] {
                match asked(std::iter::once(field.as_bytes()), size) {
                    Asked::One(run) => assert!(run.first <= run.last && run.last < size, "{field}"),
                    Asked::Several(runs) => {
                        assert!(runs.iter().all(|run| run.first <= run.last && run.last < size), "{field}");
                        assert!(!overlap(&runs), "{field}");
                    }
                    Asked::Whole | Asked::Unsatisfiable => {}
                }
            }
        }
        _ = lists(field.as_bytes(), ETAG, Compare::Weak);
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
}

#[test]
fn names_in_content_disposition() {
    let cases = [
        ("app.exe", r#"attachment; filename="app.exe""#),
        ("my app (1).zip", r#"attachment; filename="my app (1).zip""#),
        (r#"a"b\c.txt"#, r#"attachment; filename="a\"b\\c.txt""#),
        ("a;b=c,d'e%20.txt", r#"attachment; filename="a;b=c,d'e%20.txt""#),
        ("", r#"attachment; filename="""#),
        ("größe.zip", r#"attachment; filename="gr__e.zip"; filename*=UTF-8''gr%C3%B6%C3%9Fe.zip"#),
        ("📦.deb", r#"attachment; filename="_.deb"; filename*=UTF-8''%F0%9F%93%A6.deb"#),
        (
            "ü \"1\"\\%*'()@.x",
            r#"attachment; filename="_ \"1\"\\%*'()@.x"; filename*=UTF-8''%C3%BC%20%221%22%5C%25%2A%27%28%29%40.x"#,
        ),
        ("a\r\nX-Evil: 1\0\u{7f}", r#"attachment; filename="a__X-Evil: 1__""#),
        ("ä\u{85}\n", r#"attachment; filename="___"; filename*=UTF-8''%C3%A4__"#),
    ];
    for (name, expected) in cases {
        assert_eq!(attachment(name), expected, "{name:?}");
    }
}

/// Bytes that know their offset: byte `n` is `n mod 251`. Reads at most 1,000 bytes at once.
struct Counted(u64);

fn byte(at: u64) -> u8 {
    u8::try_from(at % 251).unwrap()
}

impl Source for Counted {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(1000).min(usize::try_from(self.0.saturating_sub(offset)).unwrap_or(usize::MAX));
        for (at, slot) in buf[..count].iter_mut().enumerate() {
            *slot = byte(offset + at as u64);
        }
        Ok(count)
    }
}

fn file(size: u64) -> FileAnswer {
    FileAnswer {
        source: Box::new(Counted(size)),
        etag: ETAG.into(),
        last_modified: stamp(),
        content_type: "application/octet-stream".into(),
        download_name: Some("größe.zip".into()),
        cache_control: "private, no-cache",
        extra: vec![("X-Checksum-Sha256", "00ff".into())],
    }
}

/// The head as sent, its `Date` left out, and the body read in blocks of `room` bytes.
fn sent(response: Response, method: Method, room: usize) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    let context = Context { minor: 1, head_only: method == Method::Head, keep_alive: true };
    let framing = response.encode_head(&mut head, context);
    let head = String::from_utf8(head).unwrap();
    let (before, rest) = head.split_once("Date: ").unwrap();
    let head = format!("{before}{}", rest.split_once("\r\n").unwrap().1);
    let mut body = Vec::new();
    if let Framing::Length(length) = framing {
        match response.into_payload() {
            Payload::Source { mut source, start, length } => {
                let mut buf = vec![0; room];
                let mut at = 0;
                while at < length {
                    let want = buf.len().min(usize::try_from(length - at).unwrap());
                    let count = source.read_at(start + at, &mut buf[..want]).unwrap();
                    assert!(count > 0, "the source ends early");
                    body.extend_from_slice(&buf[..count]);
                    at += count as u64;
                }
            }
            Payload::Bytes(bytes) => body.extend_from_slice(&bytes),
            Payload::Empty => {}
            Payload::Stream { .. } => panic!("a file is no stream"),
        }
        assert_eq!(body.len() as u64, length);
    }
    (head, body)
}

fn bytes(first: u64, last: u64) -> Vec<u8> {
    (first..=last).map(byte).collect()
}

const COMMON: &str = "Content-Disposition: attachment; filename=\"gr__e.zip\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.zip\r\n\
    Content-Type: application/octet-stream\r\nETag: \"abc\"\r\nLast-Modified: Wed, 20 May 2026 10:00:00 GMT\r\n\
    Accept-Ranges: bytes\r\nCache-Control: private, no-cache\r\n\
    Content-Security-Policy: sandbox; default-src 'none'\r\nX-Checksum-Sha256: 00ff\r\n";

#[test]
fn a_file_goes_whole_or_in_one_piece() {
    let nosniff = "X-Content-Type-Options: nosniff\r\n";
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str, (u64, u64));
    let cases: &[Case] = &[
        (&[], "200 OK", "", (0, 4999)),
        (&[("Accept-Encoding", "gzip, br")], "200 OK", "", (0, 4999)),
        (&[("Range", "bytes=0-0")], "206 Partial Content", "Content-Range: bytes 0-0/5000\r\n", (0, 0)),
        (&[("Range", "bytes=-1500")], "206 Partial Content", "Content-Range: bytes 3500-4999/5000\r\n", (3500, 4999)),
        (&[("Range", "bytes=0-9999")], "206 Partial Content", "Content-Range: bytes 0-4999/5000\r\n", (0, 4999)),
        (&[("Range", "bytes=5-2")], "200 OK", "", (0, 4999)),
        (
            &[("Range", "bytes=1-2"), ("If-Range", ETAG)],
            "206 Partial Content",
            "Content-Range: bytes 1-2/5000\r\n",
            (1, 2),
        ),
        (&[("Range", "bytes=1-2"), ("If-Range", "\"old\"")], "200 OK", "", (0, 4999)),
        (&[("Range", "bytes=9000-"), ("If-Range", "\"old\"")], "200 OK", "", (0, 4999)),
    ];
    for (fields, status, range, (first, last)) in cases {
        let length = format!("Content-Length: {}\r\n", last - first + 1);
        let expected_head = format!("HTTP/1.1 {status}\r\n{nosniff}{range}{COMMON}{length}\r\n");
        for room in [7, 1 << 18] {
            let (answer, body) = sent(serve_file(&head("GET", fields), file(5000)), Method::Get, room);
            assert_eq!(answer, expected_head, "{fields:?}");
            assert!(body == bytes(*first, *last), "{fields:?}");
        }
        let (answer, body) = sent(serve_file(&head("HEAD", fields), file(5000)), Method::Head, 1);
        assert_eq!((answer, body.len()), (expected_head, 0), "{fields:?}");
    }
}

#[test]
fn a_file_is_not_sent_when_the_conditions_say_so() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("If-None-Match", ETAG), ("Range", "bytes=1-2")],
            "HTTP/1.1 304 Not Modified\r\nX-Content-Type-Options: nosniff\r\nETag: \"abc\"\r\n\
             Last-Modified: Wed, 20 May 2026 10:00:00 GMT\r\nCache-Control: private, no-cache\r\n\r\n",
        ),
        (
            &[("Range", "bytes=5000-")],
            "HTTP/1.1 416 Range Not Satisfiable\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n\
             Content-Range: bytes */5000\r\nAccept-Ranges: bytes\r\nETag: \"abc\"\r\nContent-Length: 69\r\n\r\n",
        ),
        (
            &[("If-Match", "\"other\"")],
            "HTTP/1.1 412 Precondition Failed\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n\
             ETag: \"abc\"\r\nContent-Length: 71\r\n\r\n",
        ),
    ];
    for (fields, expected) in cases {
        for (method, name) in [(Method::Get, "GET"), (Method::Head, "HEAD")] {
            let (answer, body) = sent(serve_file(&head(name, fields), file(5000)), method, 9);
            assert_eq!(answer, *expected, "{fields:?}");
            assert_eq!(body.is_empty(), method == Method::Head || answer.contains(" 304 "), "{fields:?}");
        }
    }
}

#[test]
fn empty_files_and_nameless_ones() {
    let (answer, body) = sent(serve_file(&head("GET", &[]), file(0)), Method::Get, 9);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Content-Length: 0\r\n"), "{answer}");
    assert!(body.is_empty());
    let (answer, _) = sent(serve_file(&head("GET", &[("Range", "bytes=0-")]), file(0)), Method::Get, 9);
    assert!(answer.contains(" 416 ") && answer.contains("Content-Range: bytes */0\r\n"), "{answer}");
    let nameless = FileAnswer { download_name: None, content_type: "text/plain\r\nX-Evil: 1".into(), ..file(3) };
    let (answer, _) = sent(serve_file(&head("GET", &[]), nameless), Method::Get, 9);
    assert!(!answer.contains("Content-Disposition"), "{answer}");
    assert!(answer.contains("Content-Type: text/plain  X-Evil: 1\r\n"), "{answer}");
}

/// Cuts a `multipart/byteranges` body into the `Content-Range` and bytes of each part.
fn cut(answer: &str, mut body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = answer.split("boundary=").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut parts = Vec::new();
    let lead = format!("\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: ");
    while let Some(rest) = body.strip_prefix(lead.as_bytes()) {
        let end = memchr::memmem::find(rest, b"\r\n\r\n").unwrap();
        let range = String::from_utf8(rest[..end].to_vec()).unwrap();
        let (first, last) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap().0.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        parts.push((range, rest[end + 4..end + 4 + length].to_vec()));
        body = &rest[end + 4 + length..];
    }
    assert_eq!(body, format!("\r\n--{boundary}--\r\n").as_bytes());
    parts
}

#[test]
fn several_ranges_become_one_body_of_parts() {
    let fields = [("Range", "bytes=0-0, 4000-4999, 10-2999")];
    let mut lengths = Vec::new();
    for room in [1, 2, 77, 100, 1000, 1 << 18] {
        let (answer, body) = sent(serve_file(&head("GET", &fields), file(5000)), Method::Get, room);
        assert!(answer.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{answer}");
        assert!(!answer.contains("Content-Range"), "{answer}");
        assert!(answer.contains("X-Checksum-Sha256: 00ff\r\n"), "{answer}");
        assert!(answer.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
        let expected = [
            ("bytes 0-0/5000".to_owned(), bytes(0, 0)),
            ("bytes 4000-4999/5000".to_owned(), bytes(4000, 4999)),
            ("bytes 10-2999/5000".to_owned(), bytes(10, 2999)),
        ];
        assert!(cut(&answer, &body) == expected, "room {room}");
        lengths.push(body.len());
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]));
    let (answer, _) = sent(serve_file(&head("HEAD", &fields), file(5000)), Method::Head, 1);
    assert!(answer.contains(&format!("Content-Length: {}\r\n", lengths[0])), "{answer}");
}

#[test]
fn a_thousand_ranges_of_a_huge_file_take_no_memory() {
    let runs: Vec<_> = (0..MAX_RANGES as u64).map(|at| format!("{}-{}", at << 40, (at << 40) + at)).collect();
    let (answer, body) = sent(
        serve_file(&head("GET", &[("Range", &format!("bytes={}", runs.join(",")))]), file(1 << 60)),
        Method::Get,
        4096,
    );
    let parts = cut(&answer, &body);
    assert_eq!(parts.len(), MAX_RANGES);
    for (at, (range, content)) in (0u64..).zip(&parts) {
        assert_eq!(range, &format!("bytes {}-{}/{}", at << 40, (at << 40) + at, 1u64 << 60));
        assert!(*content == bytes(at << 40, (at << 40) + at));
    }
}

#[test]
fn a_source_that_ends_early_breaks_the_transfer_off() {
    struct Short;
    impl Source for Short {
        fn len(&self) -> u64 {
            100
        }
        fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            Ok(buf.len().min(usize::try_from(50u64.saturating_sub(offset)).unwrap()))
        }
    }
    let runs = vec![Range { first: 0, last: 9 }, Range { first: 45, last: 60 }];
    let mut parts = ByteRanges::new(Box::new(Short), runs, "a/b", "B");
    let mut at = 0;
    let error = loop {
        match parts.read_at(at, &mut [0; 64]) {
            Ok(count) => {
                assert!(count > 0);
                at += count as u64;
            }
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(parts.read_at(parts.len(), &mut [0; 64]).unwrap(), 0);
    assert_eq!(parts.read_at(u64::MAX, &mut [0; 64]).unwrap_or(0), 0);
}
