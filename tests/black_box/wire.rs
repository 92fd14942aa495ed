//! A raw connection for broken and half-finished requests: sends any bytes, reads whatever comes, judges nothing by itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// No single wait of these tests is longer; past it the server counts as hanging.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

/// One connection and what has arrived on it.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The other side has closed, in order or not.
    ended: bool,
    /// Interim answers (1xx) seen so far.
    pub(crate) interim: usize,
}

/// A final answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and fields, without the blank line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of this name, trimmed.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let field = |line: &'_ str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let line = self.head.split("\r\n").skip(1).find(|line| field(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the server said that it closes.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Wire {
        Wire::try_open(address).unwrap_or_else(|e| panic!("no connection to {address}: {e}"))
    }

    pub(crate) fn try_open(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&address, GUARD)?;
        stream.set_read_timeout(Some(GUARD))?;
        stream.set_write_timeout(Some(GUARD))?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, buffer: Vec::new(), ended: false, interim: 0 })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says "no more from me" and goes on listening. A connection already gone is fine.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next final answer; `None` when the connection ends before one begins. `bodyless` for answers to `HEAD`.
    pub(crate) fn answer(&mut self, bodyless: bool) -> Result<Option<Answer>, String> {
        loop {
            let end = loop {
                match find(&self.buffer, b"\r\n\r\n") {
                    Some(end) => break end,
                    None if self.buffer.len() > 64 * 1024 => return Err("the head of an answer has no end".to_owned()),
                    None => {
                        if !self.fill()? {
                            return match self.buffer.is_empty() {
                                true => Ok(None),
                                false => Err(format!("cut off in a head: {}", self.buffer.escape_ascii())),
                            };
                        }
                    }
                }
            };
            let head = String::from_utf8(self.buffer.drain(..end + 4).take(end).collect())
                .map_err(|e| format!("a head that is not text: {e}"))?;
            let status = status_of(&head).ok_or_else(|| format!("not the head of an answer: {head:?}"))?;
            if (100..200).contains(&status) {
                self.interim += 1;
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new() };
            if !bodyless && status != 204 && status != 304 {
                answer.body = self.body(&answer)?;
            }
            return Ok(Some(answer));
        }
    }

    fn body(&mut self, answer: &Answer) -> Result<Vec<u8>, String> {
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().map_err(|_| format!("Content-Length {length:?}"))?;
            while self.buffer.len() < length {
                if !self.fill()? {
                    return Err(format!("cut off after {} of {length} bytes of a body", self.buffer.len()));
                }
            }
            return Ok(self.buffer.drain(..length).collect());
        }
        if answer.header("transfer-encoding").is_some() {
            return Err("a chunked answer where the length is known".to_owned());
        }
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Every answer up to the end of the connection; the request of index `i` was a `HEAD` when `heads` holds `i`.
    pub(crate) fn answers(mut self, heads: &[usize]) -> Result<Vec<Answer>, String> {
        let mut all = Vec::new();
        while let Some(answer) = self.answer(heads.contains(&all.len()))? {
            all.push(answer);
            if all.len() > 64 {
                return Err("more answers than anybody asked for".to_owned());
            }
        }
        Ok(all)
    }

    /// Reads more; false at the end of the connection, whichever way it ended.
    fn fill(&mut self) -> Result<bool, String> {
        if self.ended {
            return Ok(false);
        }
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block) {
            Ok(0) => self.ended = true,
            Ok(count) => self.buffer.extend_from_slice(&block[..count]),
            Err(e) if is_timeout(&e) => return Err(format!("silent for {} s and still open", GUARD.as_secs())),
            Err(_) => self.ended = true,
        }
        Ok(!self.ended)
    }

    /// Drops what arrives until the other side closes or `until` passes; answers whether it closed.
    pub(crate) fn closed_by(&mut self, until: Instant) -> bool {
        let mut block = [0; 16 * 1024];
        while !self.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            match self.stream.read(&mut block) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(e) if is_timeout(&e) => return false,
                Err(_) => self.ended = true,
            }
        }
        true
    }
}

/// One request on a connection of its own, to its only answer.
pub(crate) fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<Answer, String> {
    let mut wire = Wire::try_open(address).map_err(|e| format!("connect: {e}"))?;
    wire.send(request).map_err(|e| format!("send: {e}"))?;
    wire.answer(false)?.ok_or_else(|| "closed without an answer".to_owned())
}

/// The health probe: the server is there and says so.
pub(crate) fn healthy(address: SocketAddr) -> Result<(), String> {
    let answer = ask(address, "GET /health HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    match (answer.status, answer.text().as_str()) {
        (200, r#"{"status":"healthy"}"#) => Ok(()),
        (status, body) => Err(format!("health says {status} {body}")),
    }
}

/// Whether a read or write ended because its time was up.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// The status of a well-formed head: HTTP/1.1, three digits, fields without stray line ends.
fn status_of(head: &str) -> Option<u16> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let status = status.get(..3)?.parse().ok()?;
    let sound =
        |line: &str| !line.contains(['\r', '\n']) && line.split_once(':').is_some_and(|(name, _)| is_token(name));
    lines.all(sound).then_some(status)
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}
