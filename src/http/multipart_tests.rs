//! Bodies cut into parts, arriving whole and in pieces, read through small and large buffers.

use super::*;

/// Gives its bytes in pieces of at most `step`, then ends or fails.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
    failure: Option<io::ErrorKind>,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = &self.bytes[self.at..];
        if let (true, Some(kind)) = (left.is_empty(), self.failure) {
            return Err(kind.into());
        }
        let count = left.len().min(buf.len()).min(self.step);
        buf[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

fn trickle(bytes: &[u8], step: usize) -> Trickle {
    Trickle { bytes: bytes.to_vec(), at: 0, step, failure: None }
}

type Parsed = Vec<(Option<String>, Option<String>, Vec<u8>)>;

/// All parts of a body with boundary `B`, each read through a buffer of `room` bytes.
fn parse_from(source: &mut Trickle, room: usize) -> Result<Parsed> {
    let mut multipart = Multipart::new(b"B", source)?;
    let mut parts = Vec::new();
    let mut buf = vec![0; room];
    while let Some(mut part) = multipart.next_part()? {
        let mut bytes = Vec::new();
        loop {
            match part.read(&mut buf).map_err(body_error)? {
                0 => break,
                count => bytes.extend_from_slice(&buf[..count]),
            }
        }
        assert_eq!(part.read(&mut buf).unwrap(), 0, "the end of a part stays the end");
        parts.push((part.name().map(str::to_owned), part.file_name().map(str::to_owned), bytes));
    }
    Ok(parts)
}

fn parse(body: &[u8], step: usize, room: usize) -> Result<Parsed> {
    parse_from(&mut trickle(body, step), room)
}

const STEPS: [usize; 7] = [1, 2, 3, 5, 17, 1000, usize::MAX];
const ROOMS: [usize; 4] = [1, 13, DIRECT, 4 * BLOCK];

/// Every way of arriving and reading gives the same parts.
fn check(body: &[u8], expected: &[(&str, Option<&str>, &[u8])]) {
    for step in STEPS {
        for room in ROOMS {
            let parts = parse(body, step, room).unwrap();
            let shown: Vec<_> = parts
                .iter()
                .map(|(name, file, bytes)| (name.as_deref().unwrap(), file.as_deref(), &bytes[..]))
                .collect();
            assert_eq!(shown, expected, "step {step} room {room}: {}", String::from_utf8_lossy(body));
        }
    }
}

fn part(name: &str, file: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
    let head = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn parts_come_in_order_with_their_exact_bytes() {
    let contents: [&[u8]; 21] = [
        b"",
        b"x",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"--B",
        b"--B--",
        b"--B\r\n",
        b"\n--B--\r\n",
        b"\r\n--",
        b"\r\n--b--\r\n",
        b"\r\n-B",
        b"\r\n--Bx\r\n--B-\r\n--B -\r\n--B\tx",
        b"\r\n--B--x\r\n--B-- x",
        b"\r\n--B\n\r\n--B\r\r\n--B--\n\r\n--B--\r",
        b"\r\r\n--\r\n\r\r\n-",
        b"\r\n--\r\n--\r\n",
        b"\0\xff\r\n--\xc3",
        b"ends in CR\r",
        b"ends in half a boundary\r\n--",
    ];
    for content in contents {
        let body = [&part("a", None, content)[..], &part("f", Some("x.bin"), content), b"--B--\r\n"].concat();
        check(&body, &[("a", None, content), ("f", Some("x.bin"), content)]);
    }
}

#[test]
fn what_stands_around_the_parts_is_passed_over() {
    let one = part("a", None, b"1");
    let two = part("a", None, b"2");
    let cases: [Vec<u8>; 7] = [
        [&one[..], &two, b"--B--"].concat(),
        [&one[..], &two, b"--B--\r\n"].concat(),
        [&one[..], &two, b"--B-- \t\r\nepilogue\r\n--B\r\nX: y\r\n\r\nno part\r\n--B--"].concat(),
        [b"preamble\r\n--Bx\r\n --B\r\n", &one[..], &two, b"--B--\r\n"].concat(),
        [b"\r\n", &one[..], &two, b"--B--\r\n\r\n\r\n"].concat(),
        [b"\r\r\n", &one[..], &two, b"--B--  "].concat(),
        [&b"--B \t \r\n"[..], &one[5..], &two, b"--B--\r\n"].concat(),
    ];
    for body in cases {
        check(&body, &[("a", None, b"1"), ("a", None, b"2")]);
    }
    check(b"--B--\r\n", &[]);
    check(b"preamble only\r\n--B--", &[]);
}

#[test]
fn a_part_needs_no_name() {
    let parts = parse(b"--B\r\n\r\nnaked\r\n--B\r\nContent-Type: a/b\r\n\r\ntyped\r\n--B--", 3, 5).unwrap();
    assert_eq!(parts, [(None, None, b"naked".to_vec()), (None, None, b"typed".to_vec())]);
}

#[test]
fn unread_parts_are_skipped() {
    let large = vec![b'x'; 3 * BLOCK];
    let body =
        [&part("a", Some("a"), &large)[..], &part("b", Some("b"), &large), &part("c", None, b"c"), b"--B--"].concat();
    for step in [1000, usize::MAX] {
        let mut source = trickle(&body, step);
        let mut multipart = Multipart::new(b"B", &mut source).unwrap();
        let mut first = multipart.next_part().unwrap().unwrap();
        let mut some = [0; 100];
        first.read_exact(&mut some).unwrap();
        assert_eq!(multipart.next_part().unwrap().unwrap().name(), Some("b"));
        assert_eq!(multipart.next_part().unwrap().unwrap().text(1).unwrap(), "c");
        assert!(multipart.next_part().unwrap().is_none());
        assert!(multipart.next_part().unwrap().is_none(), "the end stays the end");
    }
}

#[test]
fn every_cut_is_noticed() {
    let body = [&part("a", None, b"some text")[..], &part("f", Some("f"), b"\r\n--bytes\r\n"), b"--B--"].concat();
    for end in 0..body.len() {
        for step in [1, 7, usize::MAX] {
            for room in [3, DIRECT] {
                let error = parse(&body[..end], step, room).unwrap_err();
                assert_eq!(error.kind, Kind::Invalid, "{end} {step} {room}");
            }
        }
    }
    assert!(parse(&body, 1, 3).is_ok());
}

#[test]
fn faults_of_the_body_come_through_and_stay() {
    let whole = [&part("f", Some("f"), b"bytes")[..], b"--B--\r\nepilogue"].concat();
    for end in 0..=whole.len() {
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::TimedOut, io::ErrorKind::InvalidData] {
            let mut source = Trickle { failure: Some(kind), ..trickle(&whole[..end], 4) };
            let error = parse_from(&mut source, 64).unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{end} {kind:?}");
        }
    }
    let within = memmem::find(&whole, b"bytes").unwrap() + 2;
    let mut source = Trickle { failure: Some(io::ErrorKind::TimedOut), ..trickle(&whole[..within], 4) };
    let mut multipart = Multipart::new(b"B", &mut source).unwrap();
    let mut part = multipart.next_part().unwrap().unwrap();
    let error = part.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(multipart.next_part().is_err());
    assert!(multipart.next_part().is_err());
}

#[test]
fn a_cut_part_is_an_unexpected_end_for_its_reader() {
    let body = part("f", Some("f"), &vec![b'x'; 2 * BLOCK]);
    for room in [100, 2 * BLOCK] {
        let mut source = trickle(&body, usize::MAX);
        let mut multipart = Multipart::new(b"B", &mut source).unwrap();
        let mut part = multipart.next_part().unwrap().unwrap();
        let mut buf = vec![0; room];
        let mut seen = 0;
        let error = loop {
            match part.read(&mut buf) {
                Ok(count) => {
                    assert_ne!(count, 0, "a cut part must not end like a whole one");
                    seen += count;
                }
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(seen <= 2 * BLOCK);
        assert_eq!(body_error(error).message, "the multipart body ends before its closing boundary");
    }
}

#[test]
fn refuses_malformed_bodies() {
    let cases: [&[u8]; 13] = [
        b"",
        b"no boundary at all",
        b"--B",
        b"--B\r\n",
        b"--B\nContent-Disposition: form-data; name=a\n\n1\n--B--\n",
        b"--B\r\nContent-Disposition: form-data; name=a\n\n1\r\n--B--\r\n",
        b"--B\r\nContent-Disposition: form-data; name=a\r\n\n1\r\n--B--\r\n",
        b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\n--B--\n",
        b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B-\r\n",
        b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1--B--\r\n",
        b"--B\r\nno colon\r\n\r\n1\r\n--B--",
        b"--B\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n1\r\n--B--",
        b"--B\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--B--",
    ];
    for body in cases {
        for step in STEPS {
            let error = parse(body, step, 64).unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn limits() {
    let repeated = |count: usize, file: Option<&str>| [&part("a", file, b"").repeat(count)[..], b"--B--"].concat();
    assert_eq!(parse(&repeated(MAX_PARTS, None), usize::MAX, 9).unwrap().len(), MAX_PARTS);
    assert_eq!(parse(&repeated(MAX_PARTS + 1, None), usize::MAX, 9).unwrap_err().kind, Kind::Invalid);
    assert_eq!(parse(&repeated(MAX_FILES, Some("f")), usize::MAX, 9).unwrap().len(), MAX_FILES);
    assert_eq!(parse(&repeated(MAX_FILES + 1, Some("f")), usize::MAX, 9).unwrap_err().kind, Kind::Invalid);

    // A part head of exactly the limit, its empty line included, and one byte more.
    for (length, fits) in [(MAX_PART_HEAD, true), (MAX_PART_HEAD + 1, false), (20 * MAX_PART_HEAD, false)] {
        let head = format!("X: {}\r\n\r\n", "y".repeat(length - 7));
        let body = format!("--B\r\n{head}1\r\n--B--");
        for step in [777, usize::MAX] {
            match parse(body.as_bytes(), step, 9) {
                Ok(parts) => assert!(fits && parts.len() == 1, "{length}"),
                Err(e) => assert!(!fits && e.kind == Kind::TooLarge, "{length}: {e:?}"),
            }
        }
    }

    // Before the first boundary and behind the last.
    let around = usize::try_from(MAX_AROUND).unwrap();
    for (length, fits) in [(around - 10, true), (2 * around, false)] {
        let padding = "p".repeat(length);
        for body in [format!("{padding}\r\n--B--"), format!("--B--\r\n{padding}")] {
            assert_eq!(parse(body.as_bytes(), 5000, 9).is_ok(), fits, "{length}");
        }
    }
    // Blanks behind a boundary.
    for (length, fits) in [(MAX_PADDING, true), (MAX_PADDING + 1, false)] {
        let body = format!("--B{}\r\n\r\n1\r\n--B--", " ".repeat(length));
        assert_eq!(parse(body.as_bytes(), 3, 9).is_ok_and(|parts| parts.len() == 1), fits, "{length}");
    }
}

#[test]
fn text_parts_are_limited_utf8() {
    let text = |bytes: &[u8], limit: u64| {
        let body = [&part("t", None, bytes)[..], b"--B--"].concat();
        let mut source = trickle(&body, 1000);
        let mut multipart = Multipart::new(b"B", &mut source).unwrap();
        let mut part = multipart.next_part().unwrap().unwrap();
        part.text(limit)
    };
    assert_eq!(text("grö\r\nße".as_bytes(), 9).unwrap(), "grö\r\nße");
    assert_eq!(text("größe".as_bytes(), 6).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(text(b"", 0).unwrap(), "");
    assert_eq!(text(b"\xff", 9).unwrap_err().kind, Kind::Invalid);
    assert_eq!(text(&vec![b'x'; 1 << 20], u64::MAX).unwrap().len(), 1 << 20);
    assert_eq!(text(&vec![b'x'; (1 << 20) + 1], u64::MAX).unwrap_err().kind, Kind::TooLarge);
}

/// A small generator, so that the same bodies come every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

#[test]
fn bodies_made_of_boundary_pieces_come_back_whole() {
    const PIECES: [&[u8]; 10] = [b"\r\n--B", b"\r\n--", b"\r\n", b"\r", b"\n", b"--", b"-", b"B", b" ", b"x"];
    let mut dice = Dice(7);
    for round in 0..3000 {
        let mut contents: Vec<Vec<u8>> = Vec::new();
        for _ in 0..1 + dice.roll(3) {
            let mut content = Vec::new();
            for _ in 0..dice.roll(30) {
                content.extend_from_slice(PIECES[dice.roll(PIECES.len())]);
            }
            contents.push(content);
        }
        // A content that holds a real delimiter, also together with what follows it, cannot be sent with this boundary.
        let real = |content: &Vec<u8>| {
            let end = [&content[..], b"\r\n--B"].concat();
            memmem::find_iter(&end[..end.len() - 1], b"\r\n--B")
                .any(|at| !matches!(tail(&end[at + 5..], false), Tail::Content))
        };
        if contents.iter().any(real) {
            continue;
        }
        let mut body = Vec::new();
        for content in &contents {
            body.extend(part("f", Some("f"), content));
        }
        body.extend_from_slice(b"--B--");
        let (step, room) = (1 + dice.roll(40), [1, 5, DIRECT, 2 * DIRECT][dice.roll(4)]);
        let parts = parse(&body, step, room).unwrap();
        let found: Vec<_> = parts.into_iter().map(|(_, _, bytes)| bytes).collect();
        assert_eq!(found, contents, "round {round} step {step} room {room}");
    }
}

#[test]
fn boundaries_straddle_blocks_at_every_offset() {
    for shift in 0..40 {
        let content = vec![b'\r'; BLOCK - 20 - shift];
        let body = [&part("f", Some("f"), &content)[..], &part("g", Some("g"), b"2"), b"--B--"].concat();
        for room in [8192, BLOCK, 3 * BLOCK] {
            let parts = parse(&body, usize::MAX, room).unwrap();
            assert_eq!(parts[0].2.len(), content.len(), "{shift} {room}");
            assert_eq!(parts[1].2, b"2", "{shift} {room}");
        }
    }
}

#[test]
fn a_boundary_may_be_seventy_bytes_of_anything() {
    let boundary = "\"".repeat(35) + &"-".repeat(35);
    let body = format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n{boundary}\r\n--{boundary}--");
    for step in STEPS {
        let mut source = trickle(body.as_bytes(), step);
        let mut multipart = Multipart::new(boundary.as_bytes(), &mut source).unwrap();
        assert_eq!(multipart.next_part().unwrap().unwrap().text(100).unwrap(), boundary);
        assert!(multipart.next_part().unwrap().is_none());
    }
}
