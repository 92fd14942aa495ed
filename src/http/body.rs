//! The socket's side of a streamed body: declared length or chunks, limits of time and rate, `100 Continue`.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr;

use super::head::BodyLength;
use super::stream::{Stream, is_waiting};

/// Longest line of a chunk's size, extension included, and of a trailer field.
const MAX_LINE: usize = 4 * 1024;
/// Most trailer fields.
const MAX_TRAILERS: usize = 64;
/// Bytes asked of the socket at once where lines are expected.
const BLOCK: usize = 16 * 1024;

/// How patient a body's reader is (`reliability.md` §11).
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Waiting beyond this in all, the rate counts.
    pub(super) grace: Duration,
    /// Bytes per second of waiting that are asked for from then on.
    pub(super) rate: u64,
}

impl Patience {
    /// Whether `received` bytes are too few after `waited`.
    pub(super) fn is_over(&self, waited: Duration, received: u64) -> bool {
        waited > self.grace && u128::from(received) * 1000 < waited.as_millis() * u128::from(self.rate)
    }
}

/// What the socket holds behind an answered request.
#[derive(Debug)]
pub(super) enum Rest {
    /// The body was read to its end; these bytes behind it are already here.
    Finished(Vec<u8>),
    /// So many bytes of body were not read, and these bytes of the connection are already here.
    Left(u64, Vec<u8>),
    /// Where the next request begins is not known.
    Unknown,
}

/// The engine's hold on a body that a handler reads.
#[derive(Clone)]
pub(super) struct Incoming(Arc<Mutex<State>>);

/// What the handler reads from.
pub(super) struct Reader(Incoming);

struct State {
    stream: Stream,
    /// Bytes received and not yet used, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    framing: Framing,
    /// `100 Continue` is due before the first wait for bytes.
    promise: bool,
    patience: Patience,
    waited: Duration,
    received: u64,
    failure: Option<ErrorKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Sized(u64),
    Chunked(Step),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A line with a size.
    Size,
    /// So many bytes of data.
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    /// The n-th trailer field or the empty line that ends the body.
    Trailer(usize),
    /// The body's end.
    Done,
}

impl Incoming {
    /// A body behind `buffer`, the bytes that came with the head. The stream must block with a time limit.
    pub(super) fn new(stream: Stream, buffer: Vec<u8>, length: BodyLength, promise: bool, patience: Patience) -> Self {
        let framing = match length {
            BodyLength::None => Framing::Sized(0),
            BodyLength::Sized(length) => Framing::Sized(length),
            BodyLength::Chunked => Framing::Chunked(Step::Size),
        };
        Incoming(Arc::new(Mutex::new(State {
            stream,
            buffer,
            at: 0,
            framing,
            promise,
            patience,
            waited: Duration::ZERO,
            received: 0,
            failure: None,
        })))
    }

    /// A reader for the handler.
    pub(super) fn reader(&self) -> Reader {
        Reader(self.clone())
    }

    /// How reading failed, if it did.
    pub(super) fn failure(&self) -> Option<ErrorKind> {
        self.state().failure
    }

    /// What is left when the handler is through. Nothing can be read afterwards.
    pub(super) fn finish(&self) -> Rest {
        let mut state = self.state();
        let failed = state.failure.replace(ErrorKind::UnexpectedEof).is_some();
        let mut buffer = std::mem::take(&mut state.buffer);
        buffer.drain(..state.at.min(buffer.len()));
        match state.framing {
            _ if failed => Rest::Unknown,
            Framing::Sized(0) | Framing::Chunked(Step::Done) => Rest::Finished(buffer),
            // A client that was not told to go on may send its body or the next request.
            _ if state.promise => Rest::Unknown,
            Framing::Sized(left) => Rest::Left(left, buffer),
            Framing::Chunked(_) => Rest::Unknown,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if let Some(kind) = state.failure {
            return Err(kind.into());
        }
        let result = state.read(buf);
        if let Err(error) = &result {
            state.failure = Some(error.kind());
        }
        result
    }
}

impl State {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.framing {
                Framing::Sized(0) | Framing::Chunked(Step::Done) => return Ok(0),
                Framing::Sized(left) => {
                    let count = self.data(buf, left)?;
                    self.framing = Framing::Sized(left - count as u64);
                    return Ok(count);
                }
                Framing::Chunked(Step::Data(left)) => {
                    let count = self.data(buf, left)?;
                    let left = left - count as u64;
                    self.framing = Framing::Chunked(if left == 0 { Step::DataEnd } else { Step::Data(left) });
                    return Ok(count);
                }
                Framing::Chunked(step) => self.framing = Framing::Chunked(self.line(step)?),
            }
        }
    }

    /// Up to `left` bytes of body: what is here already, else straight from the socket.
    fn data(&mut self, buf: &mut [u8], left: u64) -> io::Result<usize> {
        let room = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buf = &mut buf[..room];
        let here = self.buffer.get(self.at..).unwrap_or_default();
        if !here.is_empty() {
            let count = here.len().min(room);
            buf[..count].copy_from_slice(&here[..count]);
            self.at += count;
            return Ok(count);
        }
        self.receive(buf)
    }

    /// One line of chunked framing, and what follows it.
    fn line(&mut self, step: Step) -> io::Result<Step> {
        let end = loop {
            let here = self.buffer.get(self.at..).unwrap_or_default();
            match memchr(b'\n', here) {
                Some(end) if end < MAX_LINE => break self.at + end,
                None if here.len() < MAX_LINE => self.fill()?,
                _ => return Err(broken("a line of the chunked body is too long")),
            }
        };
        let line = self.buffer.get(self.at..end).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r").filter(|line| !line.contains(&b'\r')) else {
            return Err(broken("a line of the chunked body ends without carriage return and line feed"));
        };
        let next = match step {
            Step::Size => match chunk_size(line).ok_or_else(|| broken("malformed chunk size"))? {
                0 => Step::Trailer(0),
                size => Step::Data(size),
            },
            Step::DataEnd if line.is_empty() => Step::Size,
            Step::DataEnd => return Err(broken("a chunk is longer than its size")),
            Step::Trailer(_) if line.is_empty() => Step::Done,
            Step::Trailer(count) if count < MAX_TRAILERS && is_field(line) => Step::Trailer(count + 1),
            Step::Trailer(_) => return Err(broken("malformed trailer")),
            Step::Data(_) | Step::Done => step,
        };
        self.at = end + 1;
        Ok(next)
    }

    /// More bytes into the buffer.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        let old = self.buffer.len();
        let mut block = std::mem::take(&mut self.buffer);
        block.resize(old + BLOCK, 0);
        let received = self.receive(&mut block[old..]);
        block.truncate(old + received.as_ref().copied().unwrap_or(0));
        self.buffer = block;
        received.map(|_| ())
    }

    /// Waits for bytes from the socket; never answers 0.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.promise {
            self.promise = false;
            const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
            if self.stream.write(CONTINUE)? != CONTINUE.len() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        let begin = Instant::now();
        let result = self.stream.read(buf);
        self.waited += begin.elapsed();
        match result {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the body ended early")),
            Ok(count) => {
                self.received += count as u64;
                match self.patience.is_over(self.waited, self.received) {
                    true => Err(ErrorKind::TimedOut.into()),
                    false => Ok(count),
                }
            }
            Err(error) if is_waiting(&error) => Err(ErrorKind::TimedOut.into()),
            // A reset connection ended the body as much as a closed one.
            Err(error) => Err(io::Error::new(ErrorKind::UnexpectedEof, error)),
        }
    }
}

fn broken(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

/// Hex digits, then nothing or an extension, which means nothing to us.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at_checked(digits)?;
    let begins = extension.trim_ascii_start();
    if size.is_empty()
        || size.len() > 16
        || !(extension.is_empty() || begins.starts_with(b";"))
        || extension.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
    {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
    (size <= i64::MAX as u64).then_some(size)
}

/// A trailer field: a name, a colon, a value without control characters.
fn is_field(line: &[u8]) -> bool {
    let colon = memchr(b':', line).unwrap_or(0);
    let (name, value) = line.split_at(colon);
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
        && !value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
