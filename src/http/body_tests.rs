//! Tables of bodies as they come over a real socket, whole, in pieces, cut off and malformed.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::*;

fn pair() -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (client, Stream::Plain(Arc::new(server)))
}

const PATIENCE: Patience = Patience { grace: Duration::from_secs(30), rate: 1024 };

/// The body, or how it failed, and what is left; the first `early` bytes come with the head.
fn run(raw: &[u8], length: BodyLength, early: usize) -> (Result<Vec<u8>, ErrorKind>, Rest) {
    let (mut client, stream) = pair();
    client.write_all(&raw[early..]).unwrap();
    drop(client);
    let incoming = Incoming::new(stream, raw[..early].to_vec(), length, false, PATIENCE);
    let mut body = Vec::new();
    let read = incoming.reader().read_to_end(&mut body).map(|_| body).map_err(|error| error.kind());
    (read, incoming.finish())
}

#[test]
fn chunks_that_are_taken() {
    let long = format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(4000));
    let trailers = format!("0\r\n{}\r\n", "T: v\r\n".repeat(64));
    let cases: &[(&str, &str)] = &[
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\n", "abc0123456789"),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;name=value\r\nabc\r\n0;last\r\n\r\n", "abc"),
        ("3 ; q=\"x y\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("2\r\n\r\n\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "\r\n"),
        (&long, "ab"),
        (&trailers, ""),
    ];
    for (raw, body) in cases {
        let raw = format!("{raw}NEXT");
        for early in [0, 1, raw.len() / 2, raw.len()] {
            let (read, rest) = run(raw.as_bytes(), BodyLength::Chunked, early);
            assert_eq!(read.unwrap(), body.as_bytes(), "{raw}");
            let Rest::Finished(rest) = rest else { panic!("{raw}: {rest:?}") };
            assert!(b"NEXT".starts_with(&rest), "{raw}");
        }
    }
}

#[test]
fn chunks_that_are_refused() {
    let long = format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(5000));
    let trailers = format!("0\r\n{}\r\n", "T: v\r\n".repeat(65));
    let wide = format!("0\r\nT: {}\r\n\r\n", "v".repeat(5000));
    let malformed = [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1 x\r\na\r\n",
        "1\na\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\nab\r\n",
        "1;\0\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "8000000000000000\r\n",
        "10000000000000000\r\n",
        "00000000000000001\r\na\r\n",
        "0\r\nno field\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: \0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        &long,
        &trailers,
        &wide,
    ];
    for raw in malformed {
        let (read, rest) = run(raw.as_bytes(), BodyLength::Chunked, 0);
        assert_eq!(read.unwrap_err(), ErrorKind::InvalidData, "{raw:?}");
        assert!(matches!(rest, Rest::Unknown));
    }
    for raw in ["", "3", "3\r", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n", "0\r\n", "0\r\nT: v\r\n", "0\r\n\r"] {
        let (read, rest) = run(raw.as_bytes(), BodyLength::Chunked, 0);
        assert_eq!(read.unwrap_err(), ErrorKind::UnexpectedEof, "{raw:?}");
        assert!(matches!(rest, Rest::Unknown));
    }
}

#[test]
fn declared_lengths() {
    for early in [0, 2, 5, 9] {
        let (read, rest) = run(b"helloNEXT", BodyLength::Sized(5), early);
        assert_eq!(read.unwrap(), b"hello");
        let Rest::Finished(rest) = rest else { panic!("{rest:?}") };
        assert_eq!(rest, b"helloNEXT"[5..early.max(5)]);
    }
    let (read, rest) = run(b"hell", BodyLength::Sized(5), 1);
    assert_eq!(read.unwrap_err(), ErrorKind::UnexpectedEof);
    assert!(matches!(rest, Rest::Unknown));
}

#[test]
fn what_was_not_read_is_told() {
    let (_client, stream) = pair();
    let incoming = Incoming::new(stream.clone(), b"abcd".to_vec(), BodyLength::Sized(10), false, PATIENCE);
    incoming.reader().read_exact(&mut [0; 3]).unwrap();
    let Rest::Left(7, buffer) = incoming.finish() else { panic!() };
    assert_eq!(buffer, b"d");
    assert_eq!(
        incoming.reader().read(&mut [0]).unwrap_err().kind(),
        ErrorKind::UnexpectedEof,
        "finished means finished"
    );
    let chunked = Incoming::new(stream.clone(), b"1\r\na\r\n0\r\n\r\n".to_vec(), BodyLength::Chunked, false, PATIENCE);
    chunked.reader().read_exact(&mut [0; 1]).unwrap();
    assert!(matches!(chunked.finish(), Rest::Unknown));
    let promised = Incoming::new(stream, Vec::new(), BodyLength::Sized(1), true, PATIENCE);
    assert!(matches!(promised.finish(), Rest::Unknown));
}

#[test]
fn continue_is_sent_at_the_first_wait_only() {
    let (mut client, stream) = pair();
    let incoming = Incoming::new(stream, Vec::new(), BodyLength::Sized(4), true, PATIENCE);
    let reader = std::thread::spawn(move || {
        let mut body = Vec::new();
        incoming.reader().read_to_end(&mut body).map(|_| body)
    });
    let mut promise = [0; 25];
    client.read_exact(&mut promise).unwrap();
    assert_eq!(&promise, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"ab").unwrap();
    client.write_all(b"cd").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), b"abcd");
    client.set_nonblocking(true).unwrap();
    assert!(!matches!(client.read(&mut [0; 1]), Ok(1..)));
}

#[test]
fn silence_and_trickles_end() {
    let (_client, stream) = pair();
    stream.set_limits(Duration::from_millis(20), Duration::from_millis(20)).unwrap();
    let incoming = Incoming::new(stream, Vec::new(), BodyLength::Sized(4), false, PATIENCE);
    assert_eq!(incoming.reader().read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::TimedOut);
    let second = Duration::from_secs(1);
    let cases = [(30 * second, 0, false), (31 * second, 31 * 1024 - 1, true), (31 * second, 31 * 1024, false)];
    for (waited, received, over) in cases {
        assert_eq!(PATIENCE.is_over(waited, received), over, "{waited:?} {received}");
    }
}
