//! A small, strict HTTP/1.1 client: every answer is taken apart to the byte, and anything not well formed fails the test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::server::{GUARD, Packhouse};

/// Writes a body piece by piece.
type Writer = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// What follows the head of a request.
enum Body {
    None,
    Bytes(Vec<u8>),
    /// `Content-Length` and a closure that writes as many bytes (or fewer, to cut the body off).
    Sized(u64, Writer),
    /// `Transfer-Encoding: chunked`; every `write` of the closure is one chunk.
    Chunked(Writer),
}

/// A request to be sent once.
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
    expects: bool,
    cut_off: bool,
}

impl Request {
    /// A request with any method; `target` travels as it is.
    pub(crate) fn new(method: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
            expects: false,
            cut_off: false,
        }
    }

    /// `GET`.
    pub(crate) fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    /// `HEAD`.
    pub(crate) fn head(target: &str) -> Request {
        Request::new("HEAD", target)
    }

    /// `PUT`.
    pub(crate) fn put(target: &str) -> Request {
        Request::new("PUT", target)
    }

    /// `POST`.
    pub(crate) fn post(target: &str) -> Request {
        Request::new("POST", target)
    }

    /// `DELETE`.
    pub(crate) fn delete(target: &str) -> Request {
        Request::new("DELETE", target)
    }

    /// One more header line.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `X-Api-Token`.
    pub(crate) fn token(self, raw: &str) -> Request {
        self.header("X-Api-Token", raw)
    }

    /// A body that is in memory.
    pub(crate) fn body(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Request {
        self.body = Body::Bytes(bytes.into());
        self.header("Content-Type", content_type)
    }

    /// A JSON body.
    pub(crate) fn json(self, value: &Value) -> Request {
        self.body("application/json", value.to_string())
    }

    /// A body of `length` bytes that `writer` writes while they travel.
    pub(crate) fn sized(
        mut self,
        content_type: &str,
        length: u64,
        writer: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Request {
        self.body = Body::Sized(length, Box::new(writer));
        self.header("Content-Type", content_type)
    }

    /// A chunked body; every write of `writer` is one chunk.
    pub(crate) fn chunked(
        mut self,
        content_type: &str,
        writer: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Request {
        self.body = Body::Chunked(Box::new(writer));
        self.header("Content-Type", content_type)
    }

    /// Sends the body only after `100 Continue`.
    pub(crate) fn expect_continue(mut self) -> Request {
        self.expects = true;
        self.header("Expect", "100-continue")
    }

    /// Ends the sending side after the body, however much of it was written.
    pub(crate) fn cut_off(mut self) -> Request {
        self.cut_off = true;
        self
    }
}

/// An answer, whole or (see [`Connection::begin`]) only its head.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status of the final answer.
    pub(crate) status: u16,
    /// Header lines in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, chunks put together.
    pub(crate) body: Vec<u8>,
    /// Statuses of the interim answers before it.
    pub(crate) interim: Vec<u16>,
}

impl Answer {
    /// The value of a header that comes at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} comes twice: {:?}", self.headers);
        first
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Checks status, type and whole body of a plain text.
    #[track_caller]
    pub(crate) fn is_text(&self, status: u16, text: &str) -> &Answer {
        self.is(status, Some("text/plain; charset=utf-8"), text)
    }

    /// Checks status, type and whole body of a JSON error.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, message: &str) -> &Answer {
        self.is(status, Some("application/json"), &json!({ "error": message }).to_string())
    }

    /// Checks that this is a JSON error whose text the contract leaves open, save that it begins with `beginning`.
    #[track_caller]
    pub(crate) fn is_error_like(&self, status: u16, beginning: &str) -> &Answer {
        let shown = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!((self.status, self.header("Content-Type")), (status, Some("application/json")), "{shown}");
        let value: Value = serde_json::from_str(&shown).unwrap_or_else(|e| panic!("{e}: {shown}"));
        let message = value["error"].as_str().unwrap_or_else(|| panic!("no error text: {shown}"));
        assert!(!message.is_empty() && message.starts_with(beginning), "expected {beginning:?}…, got {message:?}");
        assert_eq!(shown, json!({ "error": message }).to_string());
        self
    }

    /// Checks that this is a JSON error whose text names `what`.
    #[track_caller]
    pub(crate) fn is_error_naming(&self, status: u16, what: &str) -> &Answer {
        self.is_error_like(status, "");
        assert!(self.text().contains(what), "{:?} does not name {what:?}", self.text());
        self
    }

    /// Checks an empty success: 204 with neither body nor length, else `Content-Length: 0`.
    #[track_caller]
    pub(crate) fn is_empty(&self, status: u16) -> &Answer {
        self.is(status, None, "");
        let length = if status == 204 { None } else { Some("0") };
        assert_eq!(self.header("Content-Length"), length);
        self
    }

    /// Checks status and type of a JSON answer and takes the value out.
    #[track_caller]
    pub(crate) fn is_json(&self, status: u16) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!((self.status, self.header("Content-Type")), (status, Some("application/json")), "{shown}");
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {shown}"))
    }

    #[track_caller]
    fn is(&self, status: u16, content_type: Option<&str>, body: &str) -> &Answer {
        let got = (self.status, self.header("Content-Type"), String::from_utf8_lossy(&self.body));
        assert_eq!(got, (status, content_type, body.into()), "headers: {:?}", self.headers);
        self
    }
}

impl Packhouse {
    /// Sends one request on a connection of its own and checks that nothing follows the answer.
    #[track_caller]
    pub(crate) fn send(&self, request: Request) -> Answer {
        let mut connection = self.connect();
        let answer = connection.send(request.header("Connection", "close"));
        let left = connection.rest();
        assert!(left.is_empty(), "bytes after the answer: {:?}", String::from_utf8_lossy(&left));
        answer
    }

    /// A connection for several requests.
    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// Sends raw bytes, ends the sending side, and answers everything that comes back.
    #[track_caller]
    pub(crate) fn send_raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = self.connect();
        let _ = connection.write(bytes);
        connection.end_sending();
        connection.rest()
    }
}

/// How much body the answer now being read still has.
enum Framing {
    Sized(u64),
    Chunked,
    Done,
}

/// One connection to the server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    position: usize,
    framing: Framing,
    closes: bool,
    writer: Option<JoinHandle<()>>,
}

impl Connection {
    /// Connects.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        Connection { stream, buffer: Vec::new(), position: 0, framing: Framing::Done, closes: false, writer: None }
    }

    /// Sends a request and reads the whole answer.
    #[track_caller]
    pub(crate) fn send(&mut self, request: Request) -> Answer {
        let mut body = Vec::new();
        let mut answer = self.send_into(request, &mut |block| body.extend_from_slice(block));
        answer.body = body;
        answer
    }

    /// Sends a request and gives the answer's body to `sink` piece by piece.
    #[track_caller]
    pub(crate) fn send_into(&mut self, request: Request, sink: &mut dyn FnMut(&[u8])) -> Answer {
        let answer = self.begin(request);
        self.body_into(u64::MAX, sink);
        self.finish();
        answer
    }

    /// Sends a request and reads the answer's head; the body is there for [`Connection::body_into`].
    #[track_caller]
    pub(crate) fn begin(&mut self, request: Request) -> Answer {
        assert!(matches!(self.framing, Framing::Done), "the answer before was not read to its end");
        let Request { method, target, headers, body, expects, cut_off } = request;
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.stream.peer_addr().unwrap());
        }
        for (name, value) in &headers {
            head += &format!("{name}: {value}\r\n");
        }
        match &body {
            Body::None => {}
            Body::Bytes(bytes) => head += &format!("Content-Length: {}\r\n", bytes.len()),
            Body::Sized(length, _) => head += &format!("Content-Length: {length}\r\n"),
            Body::Chunked(_) => head += "Transfer-Encoding: chunked\r\n",
        }
        head += "\r\n";
        let mut head = head.into_bytes();
        let mut interim = Vec::new();
        if expects {
            self.write(&head).unwrap();
            let answer = self.head(&method);
            if answer.status != 100 {
                return answer;
            }
            interim.push(100);
            head.clear();
        }
        if let Body::Bytes(bytes) = &body {
            head.extend_from_slice(bytes);
        }
        let mut stream = self.stream.try_clone().unwrap();
        // Written beside, so that an answer that comes early is read while the body is still on its way.
        self.writer = Some(thread::spawn(move || {
            let sent = stream.write_all(&head).and_then(|()| match body {
                Body::None | Body::Bytes(_) => Ok(()),
                Body::Sized(_, writer) => writer(&mut stream),
                Body::Chunked(writer) => {
                    writer(&mut Chunks(&mut stream))?;
                    if cut_off { Ok(()) } else { stream.write_all(b"0\r\n\r\n") }
                }
            });
            if cut_off || sent.is_err() {
                let _ = stream.shutdown(Shutdown::Write);
            }
        }));
        loop {
            let mut answer = self.head(&method);
            if answer.status >= 200 {
                answer.interim = interim;
                return answer;
            }
            interim.push(answer.status);
        }
    }

    /// Reads at most `most` bytes of the answer's body; answers how many there were.
    #[track_caller]
    pub(crate) fn body_into(&mut self, most: u64, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let mut read = 0;
        while read < most {
            match self.framing {
                Framing::Done => break,
                Framing::Sized(left) => {
                    let block = self.peek().expect("the body ends early");
                    let take = (block.len() as u64).min(left).min(most - read);
                    sink(&block[..take as usize]);
                    self.position += take as usize;
                    read += take;
                    self.framing = if left == take { Framing::Done } else { Framing::Sized(left - take) };
                }
                Framing::Chunked => {
                    assert_eq!(most, u64::MAX, "a chunked body is read to its end");
                    let size = u64::from_str_radix(self.line().split(';').next().unwrap(), 16).unwrap();
                    if size == 0 {
                        while !self.line().is_empty() {}
                        self.framing = Framing::Done;
                        break;
                    }
                    self.framing = Framing::Sized(size);
                    self.body_into(u64::MAX, sink);
                    assert_eq!(self.line(), "", "no line end after a chunk");
                    read += size;
                    self.framing = Framing::Chunked;
                }
            }
        }
        read
    }

    /// Reads one answer to a request written by [`Connection::write`].
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.head(method);
        let mut body = Vec::new();
        self.body_into(u64::MAX, &mut |block| body.extend_from_slice(block));
        answer.body = body;
        answer
    }

    /// Writes raw bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the sending side.
    pub(crate) fn end_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Everything until the server closes; a reset counts as closing.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Some(block) = self.peek() {
            rest.extend_from_slice(block);
            self.position = self.buffer.len();
        }
        rest
    }

    #[track_caller]
    fn finish(&mut self) {
        if self.closes {
            // What the server did not want to read need not be sent any more.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        if let Some(writer) = self.writer.take() {
            writer.join().unwrap();
        }
    }

    /// Bytes that are there, read if need be; none when the server has closed.
    #[track_caller]
    fn peek(&mut self) -> Option<&[u8]> {
        if self.position == self.buffer.len() {
            self.buffer.resize(256 << 10, 0);
            self.position = 0;
            let read = loop {
                match self.stream.read(&mut self.buffer) {
                    Ok(n) => break n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                        break 0;
                    }
                    Err(e) => panic!("no answer within {GUARD:?}: {e}"),
                }
            };
            self.buffer.truncate(read);
        }
        if self.buffer.is_empty() { None } else { Some(&self.buffer[self.position..]) }
    }

    /// One line without its end, which is CR LF.
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            let block = self.peek().unwrap_or_else(|| panic!("closed after {:?}", String::from_utf8_lossy(&line)));
            let byte = block[0];
            self.position += 1;
            match byte {
                b'\n' => break,
                _ => line.push(byte),
            }
            assert!(line.len() <= 64 << 10, "an endless line");
        }
        assert_eq!(line.pop(), Some(b'\r'), "a line without CR: {:?}", String::from_utf8_lossy(&line));
        String::from_utf8(line).expect("a head that is not UTF-8")
    }

    /// Reads and judges one head.
    #[track_caller]
    fn head(&mut self, method: &str) -> Answer {
        let first = self.line();
        let (version, rest) = first.split_once(' ').unwrap_or_else(|| panic!("a bad status line: {first:?}"));
        let status: u16 = rest.get(..3).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{first:?}"));
        assert!(version == "HTTP/1.1" && matches!(rest.as_bytes().get(3), None | Some(b' ')), "{first:?}");
        let mut headers: Vec<(String, String)> = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a bad header line: {line:?}"));
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            assert!(!name.is_empty() && name.bytes().all(token), "a bad header name: {line:?}");
            let value = value.trim_matches([' ', '\t']);
            assert!(value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')), "a bad header value: {line:?}");
            headers.push((name.to_owned(), value.to_owned()));
        }
        let answer = Answer { status, headers, body: Vec::new(), interim: Vec::new() };
        if status >= 200 {
            self.framing = framing(method, &answer);
            self.closes = answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        }
        answer
    }
}

/// How the body of `answer` is delimited; panics where the head breaks a rule.
#[track_caller]
fn framing(method: &str, answer: &Answer) -> Framing {
    let Answer { status, headers, .. } = answer;
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{status} {headers:?}");
    let date = answer.header("Date").unwrap_or_default();
    assert!(httpdate::parse_http_date(date).is_ok(), "{status} dated {date:?}");
    let length = answer.header("Content-Length").map(|text| {
        assert!(text.bytes().all(|b| b.is_ascii_digit()), "Content-Length: {text}");
        text.parse::<u64>().unwrap()
    });
    let chunked = answer.header("Transfer-Encoding").map(|value| assert_eq!(value, "chunked")).is_some();
    assert!(!(length.is_some() && chunked), "both length and chunks: {headers:?}");
    match (status, method) {
        (204, _) => {
            assert!(length.is_none() && !chunked, "a 204 with a body: {headers:?}");
            Framing::Done
        }
        (304, _) | (_, "HEAD") => Framing::Done,
        _ if chunked => Framing::Chunked,
        _ => match length.unwrap_or_else(|| panic!("{status} without a length: {headers:?}")) {
            0 => Framing::Done,
            length => Framing::Sized(length),
        },
    }
}

/// Wraps every write in one chunk.
struct Chunks<'a>(&'a mut TcpStream);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
