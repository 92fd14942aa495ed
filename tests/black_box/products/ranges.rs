//! `products.md` §5: `Range` and `If-Range`.

use crate::client::{Answer, Request};
use crate::files::{Form, noise, sha256};
use crate::server::{ADMIN, Packhouse};

const PATH: &str = "/product/download/p/v";

/// What a range must give.
enum Gives {
    /// 206 with the bytes from the first to the last.
    Part(usize, usize),
    /// 200 with everything.
    Whole,
    /// 416.
    Nothing,
}

use Gives::{Nothing, Part, Whole};

fn stocked(bytes: &[u8]) -> Packhouse {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.upload(ADMIN, Form::upload("p", "v", "f.bin", bytes)).is_empty(201);
    server
}

fn ask(server: &Packhouse, range: &str) -> Answer {
    server.send(Request::get(PATH).token(ADMIN).header("Range", range))
}

/// What every answer with bytes says of the whole file.
#[track_caller]
fn describes(answer: &Answer, bytes: &[u8]) {
    let hex = sha256(bytes);
    assert_eq!(answer.header("ETag"), Some(format!("\"{hex}\"").as_str()));
    assert_eq!(answer.header("X-Checksum-Sha256"), Some(hex.as_str()));
    assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
    assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
    assert_eq!(answer.header("Content-Disposition"), Some("attachment; filename=\"f.bin\""));
    assert!(answer.header("Last-Modified").is_some());
    assert!(answer.header("Transfer-Encoding").is_none());
}

#[test]
fn single_ranges() {
    let bytes = noise(1, 1000);
    let server = stocked(&bytes);
    let cases = [
        ("bytes=0-0", Part(0, 0)),
        ("bytes=0-9", Part(0, 9)),
        ("bytes=0-999", Part(0, 999)),
        ("bytes=500-500", Part(500, 500)),
        ("bytes=999-999", Part(999, 999)),
        ("bytes=0-", Part(0, 999)),
        ("bytes=1-", Part(1, 999)),
        ("bytes=999-", Part(999, 999)),
        ("bytes=0-1000", Part(0, 999)),
        ("bytes=998-5000", Part(998, 999)),
        ("bytes=-1", Part(999, 999)),
        ("bytes=-999", Part(1, 999)),
        ("bytes=-1000", Part(0, 999)),
        ("bytes=-1001", Part(0, 999)),
        ("bytes=000-009", Part(0, 9)),
        // First byte beyond the end, or none asked for.
        ("bytes=1000-", Nothing),
        ("bytes=1000-1000", Nothing),
        ("bytes=5000-6000", Nothing),
        ("bytes=-0", Nothing),
        ("bytes=-000", Nothing),
        ("bytes=1000-,2000-", Nothing),
        // Numbers beyond 64 bits are beyond the end.
        ("bytes=0-18446744073709551615", Part(0, 999)),
        ("bytes=0-18446744073709551616", Part(0, 999)),
        ("bytes=5-99999999999999999999999999999999", Part(5, 999)),
        ("bytes=-18446744073709551615", Part(0, 999)),
        ("bytes=-18446744073709551616", Part(0, 999)),
        ("bytes=-99999999999999999999999999999999", Part(0, 999)),
        ("bytes=18446744073709551615-", Nothing),
        ("bytes=18446744073709551616-", Nothing),
        ("bytes=9223372036854775808-", Nothing),
        ("bytes=99999999999999999999999999999999-", Nothing),
        ("bytes=99999999999999999999999999999998-99999999999999999999999999999999", Nothing),
        // Malformed: as if it were not there.
        ("bytes=5-2", Whole),
        ("bytes=x-", Whole),
        ("bytes=0-x", Whole),
        ("bytes=-x", Whole),
        ("bytes=-", Whole),
        ("bytes=", Whole),
        ("bytes=1", Whole),
        ("bytes=--1", Whole),
        ("bytes=1--2", Whole),
        ("bytes=1-2-3", Whole),
        ("bytes=+1-2", Whole),
        ("bytes=0x1-2", Whole),
        ("bytes=1.0-2", Whole),
        ("bytes=0-1;2-3", Whole),
        ("bytes=0-1,5-2", Whole),
        ("bytes=0-1,x", Whole),
        ("bytes 0-1", Whole),
        ("bytes", Whole),
        ("0-1", Whole),
        ("", Whole),
        ("items=0-1", Whole),
        ("none=0-1", Whole),
        ("seconds=1-2", Whole),
        ("bytes=\u{660}-\u{661}", Whole),
    ];
    for (range, gives) in cases {
        println!("{range}");
        let answer = ask(&server, range);
        match gives {
            Part(first, last) => {
                assert_eq!(answer.status, 206);
                assert_eq!(answer.header("Content-Range"), Some(format!("bytes {first}-{last}/1000").as_str()));
                assert_eq!(answer.header("Content-Length"), Some((last - first + 1).to_string().as_str()));
                assert_eq!(answer.header("Content-Type"), Some("application/octet-stream"));
                assert!(answer.body == bytes[first..=last]);
                describes(&answer, &bytes);
            }
            Whole => {
                assert_eq!((answer.status, answer.header("Content-Range")), (200, None));
                assert!(answer.body == bytes);
                describes(&answer, &bytes);
            }
            Nothing => {
                assert_eq!((answer.status, answer.header("Content-Range")), (416, Some("bytes */1000")));
            }
        }
    }
}

#[test]
fn ranges_of_an_empty_file() {
    let server = stocked(b"");
    for range in ["bytes=0-", "bytes=0-0", "bytes=1-", "bytes=-0"] {
        let answer = ask(&server, range);
        assert_eq!((answer.status, answer.header("Content-Range")), (416, Some("bytes */0")), "{range}");
    }
    let answer = ask(&server, "bytes=-5");
    assert!(matches!(answer.status, 200 | 416), "{}", answer.status);
}

#[test]
fn ranges_of_a_large_file() {
    let size = 5 << 20;
    let bytes = noise(1, size);
    let server = stocked(&bytes);
    let mut connection = server.connect();
    for (first, last) in [
        (0, 0),
        (1, 262_144),
        (262_143, 262_144),
        (65_535, 65_537),
        (1, size - 2),
        (size - 1, size - 1),
        (4_000_000, 4_999_999),
    ] {
        let answer = connection.send(Request::get(PATH).token(ADMIN).header("Range", &format!("bytes={first}-{last}")));
        assert_eq!(answer.status, 206);
        assert_eq!(answer.header("Content-Range"), Some(format!("bytes {first}-{last}/{size}").as_str()));
        assert!(answer.body == bytes[first..=last]);
    }
    // Put together from pieces, as a client that resumes does.
    let mut whole = Vec::new();
    while whole.len() < size {
        let range = format!("bytes={}-{}", whole.len(), whole.len() + 999_999);
        let answer = connection.send(Request::get(PATH).token(ADMIN).header("Range", &range));
        assert_eq!(answer.status, 206);
        whole.extend_from_slice(&answer.body);
    }
    assert!(whole == bytes);
}

#[test]
fn if_range() {
    let bytes = noise(1, 1000);
    let server = stocked(&bytes);
    let etag = format!("\"{}\"", sha256(&bytes));
    let stamp = server.get(ADMIN, PATH).header("Last-Modified").unwrap().to_owned();
    let with = |range: &str, condition: &str| {
        server.send(Request::get(PATH).token(ADMIN).header("Range", range).header("If-Range", condition))
    };
    let answer = with("bytes=10-19", &etag);
    assert_eq!((answer.status, answer.body.as_slice()), (206, &bytes[10..20]));
    assert_eq!(with("bytes=5000-", &etag).status, 416);
    let weak = format!("W/{etag}");
    let other = format!("\"{}\"", sha256(b"other"));
    let list = format!("{etag}, {other}");
    for condition in [
        other.as_str(),
        &weak,
        &stamp,
        "Fri, 31 Dec 2100 00:00:00 GMT",
        "*",
        "",
        "nonsense",
        etag.trim_matches('"'),
        &list,
    ] {
        println!("{condition}");
        for range in ["bytes=10-19", "bytes=5000-", "bytes=0-1,5-6"] {
            let answer = with(range, condition);
            assert_eq!((answer.status, answer.header("Content-Range")), (200, None));
            assert!(answer.body == bytes);
        }
    }
    // Without a range it means nothing.
    let answer = server.send(Request::get(PATH).token(ADMIN).header("If-Range", "\"other\""));
    assert!(answer.status == 200 && answer.body == bytes);
    // A fresh copy needs no range at all.
    let fresh = Request::get(PATH).token(ADMIN).header("Range", "bytes=0-1").header("If-None-Match", &etag);
    assert_eq!(server.send(fresh).status, 304);
}

/// The parts of a `multipart/byteranges` answer: range and bytes of each.
#[track_caller]
fn parts(answer: &Answer, size: usize) -> Vec<(usize, usize, Vec<u8>)> {
    assert_eq!((answer.status, answer.header("Content-Range")), (206, None));
    let kind = answer.header("Content-Type").unwrap();
    let boundary =
        kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{kind}")).trim_matches('"');
    let (open, close) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}--"));
    let mut rest = answer.body.as_slice();
    let mut found = Vec::new();
    loop {
        let lead = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        rest = lead
            .strip_prefix(open.as_bytes())
            .unwrap_or_else(|| panic!("no boundary before {:?}", String::from_utf8_lossy(lead)));
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&rest[..end]).unwrap().to_lowercase();
        assert!(head.lines().any(|line| line == "content-type: application/octet-stream"), "{head}");
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: bytes ")).unwrap();
        let (range, total) = range.split_once('/').unwrap();
        assert_eq!(total.parse::<usize>().unwrap(), size);
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        rest = &rest[end + 4..];
        found.push((first, last, rest[..=last - first].to_vec()));
        rest = &rest[last - first + 1..];
        if let Some(tail) = rest.strip_prefix(close.as_bytes()) {
            assert!(matches!(tail, b"" | b"\r\n"), "{tail:?}");
            return found;
        }
    }
}

#[test]
fn several_ranges() {
    let bytes = noise(1, 3000);
    let server = stocked(&bytes);
    let thousand: Vec<(usize, usize)> = (0..1000).map(|n| (3 * n, 3 * n)).collect();
    let cases: Vec<(String, Vec<(usize, usize)>)> = vec![
        ("bytes=0-0,2-3".into(), vec![(0, 0), (2, 3)]),
        ("bytes=0-0,1-1".into(), vec![(0, 0), (1, 1)]),
        ("bytes=0-0, 10-19 ,\t100-".into(), vec![(0, 0), (10, 19), (100, 2999)]),
        ("bytes=0-9,-10".into(), vec![(0, 9), (2990, 2999)]),
        ("bytes=-1,0-0".into(), vec![(0, 0), (2999, 2999)]),
        ("bytes=100-199,0-99".into(), vec![(0, 99), (100, 199)]),
        ("bytes=0-0,2900-99999999999999999999999".into(), vec![(0, 0), (2900, 2999)]),
        (
            format!("bytes={}", thousand.iter().map(|(a, b)| format!("{a}-{b}")).collect::<Vec<_>>().join(",")),
            thousand.clone(),
        ),
    ];
    for (range, expected) in cases {
        println!("{range:.80}");
        let answer = ask(&server, &range);
        let mut found = parts(&answer, 3000);
        found.sort();
        assert_eq!(found.iter().map(|(first, last, _)| (*first, *last)).collect::<Vec<_>>(), expected);
        for (first, last, part) in found {
            assert!(part == bytes[first..=last], "{first}-{last}");
        }
        describes(&answer, &bytes);
    }
}

#[test]
fn too_many_or_overlapping_ranges_give_the_whole() {
    let bytes = noise(1, 5000);
    let server = stocked(&bytes);
    let many = |count: usize| (0..count).map(|n| format!("{0}-{0}", 3 * n)).collect::<Vec<_>>().join(",");
    for range in [
        "0-10,5-15".to_owned(),
        "0-10,10-20".to_owned(),
        "0-,0-".to_owned(),
        "0-,-1".to_owned(),
        "5-9,0-4999".to_owned(),
        "-5000,-5000".to_owned(),
        "0-0,0-0".to_owned(),
        vec!["0-"; 500].join(","),
        many(1001),
        many(1500),
    ] {
        println!("{range:.60}");
        let answer = ask(&server, &format!("bytes={range}"));
        assert_eq!((answer.status, answer.header("Content-Range")), (200, None));
        assert!(answer.body == bytes);
    }
}
