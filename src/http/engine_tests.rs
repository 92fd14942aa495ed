//! The engine from outside: a real server with a tiny service, raw sockets on loopback.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;

/// Long enough for the slowest machine; only a hang reaches it.
const GUARD: Duration = Duration::from_secs(30);

/// What the access log saw of one request.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    path: String,
    note: String,
    status: u16,
    bytes: u64,
    broken: bool,
}

struct Tiny {
    lines: Mutex<Sender<Line>>,
    /// Handlers of `/wait` say that they have begun, and wait for a word.
    begun: Mutex<Sender<()>>,
    words: Mutex<Receiver<()>>,
}

/// Bytes 0, 1, 2 … 250, 0, 1 … of any length.
struct Pattern(u64);

impl Source for Pattern {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(usize::try_from(self.0 - offset).unwrap());
        for (at, byte) in buf[..count].iter_mut().enumerate() {
            *byte = ((offset + at as u64) % 251) as u8;
        }
        Ok(count)
    }
}

fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

impl Service for Tiny {
    type Route = String;

    fn plan(&self, head: &Head) -> Plan<String> {
        let (lane, collect) = match head.path.as_str() {
            "/sum" | "/ignore" => (Lane::Transfer, 0),
            "/sum-collected" => (Lane::Transfer, 1 << 20),
            "/panic-in-plan" => panic!("asked to"),
            _ => (Lane::Quick, 1 << 20),
        };
        Plan { route: head.path.clone(), lane, collect }
    }

    fn answer(&self, route: String, request: &mut Request) -> Response {
        request.set_note(format!("n{}", request.number));
        let size = request.head.query.as_deref().and_then(|query| query.parse().ok()).unwrap_or(0);
        match route.as_str() {
            "/" => Response::text(200, "hello"),
            "/empty" => Response::empty(204),
            "/echo" => match request.bytes(1 << 20) {
                Ok(bytes) => Response::bytes(200, "application/octet-stream", bytes),
                Err(error) => Response::text(400, error.message),
            },
            "/sum" | "/sum-collected" => match io::copy(request.body(), &mut io::sink()) {
                Ok(count) => Response::text(200, count.to_string()),
                Err(error) => Response::text(400, error.kind().to_string()),
            },
            "/ignore" => Response::text(401, "no"),
            "/close" => Response::text(200, "bye").close(),
            "/panic" => panic!("asked to"),
            "/bytes" => Response::bytes(200, "application/octet-stream", pattern(size)),
            "/source" => Response::source(200, "application/octet-stream", Box::new(Pattern(size))),
            "/stream" => Response::stream(200, "text/plain", Box::new(io::Cursor::new(pattern(size))), None),
            "/short" => Response::stream(200, "text/plain", Box::new(io::Cursor::new(pattern(9))), Some(10)),
            "/wait" => {
                self.begun.lock().unwrap().send(()).unwrap();
                self.words.lock().unwrap().recv().unwrap();
                Response::text(200, "waited")
            }
            _ => Response::text(404, "nothing here"),
        }
    }

    fn refusal(&self, _: Option<&Head>, status: u16, message: &str) -> Response {
        Response::text(status, message.to_owned())
    }

    fn log(&self, access: &Access<'_>) {
        // A test that does not look at the log has dropped its end.
        _ = self.lines.lock().unwrap().send(Line {
            path: access.head.map(|head| head.path.clone()).unwrap_or_default(),
            note: access.note.to_owned(),
            status: access.status,
            bytes: access.bytes,
            broken: access.broken,
        });
    }
}

struct Running {
    server: Server,
    lines: Receiver<Line>,
    begun: Receiver<()>,
    words: Sender<()>,
}

fn start(change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = Settings { max_connections: 200, quick_workers: 3, transfer_workers: 4, ..Settings::default() };
    change(&mut settings);
    let ((log, lines), (begin, begun), (words, word)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let service = Tiny { lines: Mutex::new(log), begun: Mutex::new(begin), words: Mutex::new(word) };
    Running { server: Server::start(settings, Arc::new(service)).unwrap(), lines, begun, words }
}

impl Running {
    fn connect(&self) -> Client {
        let socket = TcpStream::connect(self.server.addresses()[0]).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        socket.set_write_timeout(Some(GUARD)).unwrap();
        Client { socket, buffer: Vec::new() }
    }

    /// One connection, one request, everything that comes back until the server closes.
    fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(request);
        String::from_utf8_lossy(&client.rest()).into_owned()
    }

    fn get(&self, target: &str) -> Answer {
        let mut client = self.connect();
        client.get(target);
        client.answer()
    }
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    fn get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }

    fn fill(&mut self) -> bool {
        let mut block = vec![0; 64 * 1024];
        let count = self.socket.read(&mut block).unwrap();
        self.buffer.extend_from_slice(&block[..count]);
        count > 0
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = String::from_utf8(self.buffer.drain(..end + 2).collect()).unwrap();
                return line.trim_end().to_owned();
            }
            assert!(self.fill(), "closed inside a line: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "closed inside a body after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return Answer { status, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(": ").unwrap();
            assert!(headers.insert(name.to_lowercase(), value.to_owned()).is_none(), "{name} twice");
        }
    }

    fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                answer.body.extend(self.bytes(size));
                assert_eq!(self.line(), "");
                if size == 0 {
                    return answer;
                }
            }
        }
        if let Some(length) = answer.headers.get("content-length") {
            answer.body = self.bytes(length.parse().unwrap());
        }
        answer
    }

    /// Everything until the server closes; a reset counts as the end.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        match self.socket.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest,
            read => read.map(|_| rest).unwrap(),
        }
    }
}

#[test]
fn answers_and_keeps_the_connection() {
    let running = start(|_| {});
    let mut client = running.connect();
    for _ in 0..50 {
        client.get("/bytes?10240");
        let answer = client.answer();
        assert_eq!((answer.status, answer.body), (200, pattern(10240)));
    }
    client.get("/empty");
    let answer = client.answer();
    assert_eq!(answer.status, 204);
    assert!(!answer.headers.contains_key("content-length"));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.headers["connection"].as_str(), answer.headers["x-content-type-options"].as_str()),
        ("close", "nosniff")
    );
    assert_eq!(client.rest(), b"");
    let last = running.lines.iter().take(52).last().unwrap();
    assert_eq!(last, Line { path: "/".into(), note: "n52".into(), status: 200, bytes: 5, broken: false });
}

#[test]
fn old_clients() {
    let running = start(|_| {});
    assert!(running.raw("GET / HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nhello"));
    let text = running
        .raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(text.contains("Connection: keep-alive\r\n") && text.ends_with("bye"), "{text}");
    let text = running.raw("GET /stream?100 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let body = text.split_once("\r\n\r\n").unwrap();
    assert!(!body.0.contains("chunked") && body.0.contains("Connection: close"), "{text}");
    assert_eq!(body.1.as_bytes(), pattern(100));
}

#[test]
fn every_kind_of_answer_in_every_size() {
    let running = start(|_| {});
    for kind in ["bytes", "source", "stream"] {
        for size in [0, 1, 10_000, 16_384, 16_385, 65_536, 65_537, 262_144, 1_000_000] {
            let mut client = running.connect();
            client.get(&format!("/{kind}?{size}"));
            let answer = client.answer();
            assert_eq!(answer.headers.contains_key("content-length"), kind != "stream");
            assert!(answer.body == pattern(size), "{kind} {size}: {}", answer.body.len());
            client.send(format!("HEAD /{kind}?{size} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.head();
            assert_eq!(head.headers.get("content-length"), answer.headers.get("content-length"));
            client.get("/");
            assert_eq!(client.answer().body, b"hello", "{kind} {size}: nothing follows the head of a HEAD");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = start(|_| {});
    let mut client = running.connect();
    let mut sender = client.socket.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        for round in 0..500 {
            let part = format!(
                "GET /bytes?{round} HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{round:05}\
                 POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            );
            sender.write_all(part.as_bytes()).unwrap();
        }
    });
    for round in 0..500 {
        assert_eq!(client.answer().body, pattern(round));
        assert_eq!(client.answer().body, format!("{round:05}").as_bytes());
        assert_eq!(client.answer().body, b"3");
    }
    sending.join().unwrap();
}

#[test]
fn heads_and_bodies_in_single_bytes() {
    let running = start(|_| {});
    let mut client = running.connect();
    client.socket.set_nodelay(true).unwrap();
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nT: v\r\n\r\n",
    ] {
        for byte in format!("POST /echo HTTP/1.1\r\nHost: a\r\n{body}").as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.answer().body, b"hello");
    }
}

#[test]
fn malformed_requests_get_one_answer_and_the_end() {
    let running = start(|settings| settings.linger = Duration::from_millis(200));
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
    let big = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "b".repeat(40_000));
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (long.as_str(), 414),
        (big.as_str(), 431),
        ("POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        ("POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", 400),
        ("GET /panic-in-plan HTTP/1.1\r\nHost: a\r\n\r\n", 500),
    ];
    for (request, status) in cases {
        // What hides behind a broken request is never executed.
        let text = running.raw(format!("{request}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{request:.60}: {text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
        assert_eq!(running.get("/").status, 200);
    }
}

#[test]
fn bodies_that_end_early_are_never_whole() {
    let running = start(|_| {});
    for path in ["/echo", "/sum", "/sum-collected"] {
        let mut client = running.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"));
        client.socket.shutdown(Shutdown::Write).unwrap();
        let answer = client.answer();
        assert_eq!((answer.status, answer.headers["connection"].as_str()), (400, "close"), "{path}");
    }
}

#[test]
fn continue_comes_only_when_the_body_is_wanted() {
    let running = start(|_| {});
    let mut client = running.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!((client.line().as_str(), client.line().as_str()), ("HTTP/1.1 100 Continue", ""));
    client.send("abcGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().body, b"abc");
    assert_eq!(client.answer().body, b"hello");
    client.send("POST /ignore HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.headers["connection"].as_str()), (401, "close"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn unread_bodies() {
    let running = start(|settings| settings.linger = Duration::from_millis(200));
    // A short one is read away, and is not the next request.
    let mut client = running.connect();
    let hidden = "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    client.send(format!("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()));
    client.get("/");
    assert_eq!(client.answer().status, 401);
    assert_eq!(client.answer().body, b"hello");
    // Of a long or chunked one the length does not matter.
    for length in ["Content-Length: 1000000000000000", "Content-Length: 300000", "Transfer-Encoding: chunked"] {
        let text = running.raw(format!("POST /ignore HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n{hidden}"));
        assert!(text.starts_with("HTTP/1.1 401 ") && text.matches("HTTP/1.1").count() == 1, "{length}: {text}");
    }
    // A client that sends on sees the answer, not a reset.
    let mut client = running.connect();
    client.send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    client.send(vec![b'x'; 3_000_000]);
    assert_eq!(client.answer().status, 401);
}

#[test]
fn large_uploads_are_streamed() {
    let running = start(|_| {});
    let mut client = running.connect();
    for (path, size) in [("/sum", 5_000_000), ("/sum-collected", 1_000_000), ("/sum", 10), ("/sum-collected", 0)] {
        client.send(format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"));
        client.send(vec![b'x'; size]);
        assert_eq!(client.answer().body, size.to_string().as_bytes());
    }
}

#[test]
fn a_panic_is_one_answer() {
    let running = start(|_| {});
    let mut client = running.connect();
    client.get("/panic");
    let answer = client.answer();
    assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (500, "Internal error (request 1)".into()));
    client.get("/");
    assert_eq!(client.answer().body, b"hello");
}

#[test]
fn a_source_that_falls_short_breaks_off() {
    let running = start(|_| {});
    let mut client = running.connect();
    client.get("/short");
    assert_eq!(client.head().headers["content-length"], "10");
    assert_eq!(client.rest(), pattern(9));
    let line = running.lines.recv_timeout(GUARD).unwrap();
    assert_eq!((line.broken, line.bytes), (true, 9));
}

#[path = "patience_tests.rs"]
mod patience;
