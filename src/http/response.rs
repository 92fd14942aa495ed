//! An answer: status, fields that can never carry a control character, and a body of known or unknown length.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Kind;

/// What a handler answers; the engine sends it.
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    payload: Payload,
    close: bool,
}

/// Bytes of known length that are read while they are sent: a file, a blob, several ranges of one.
pub trait Source: Send {
    /// Bytes in all.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads up to `buf.len()` bytes from `offset` on; 0 only at or behind the end. An error breaks the transfer off.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Whether reading may have to wait for more than the disk: such bytes are sent by the transfer lane, however few, and
    /// leave as they come.
    fn waits(&self) -> bool {
        false
    }

    /// The plain file when its bytes may leave unchecked, so that the system can send it by itself.
    fn file(&self) -> Option<&File> {
        None
    }
}

/// Bytes in memory as the source of an answer.
pub struct Memory<B>(pub B);

impl<B: AsRef<[u8]> + Send> Source for Memory<B> {
    fn len(&self) -> u64 {
        self.0.as_ref().len() as u64
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.as_ref().get(offset..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

/// The body of an answer.
pub enum Payload {
    /// No bytes.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// `length` bytes of a source from `start` on.
    Source {
        /// Where they are read from.
        source: Box<dyn Source>,
        /// The first byte's offset.
        start: u64,
        /// How many bytes.
        length: u64,
    },
    /// Whatever the reader gives; a known length must be kept to the byte, a shorter stream breaks the transfer off.
    Stream {
        /// Where the bytes come from.
        reader: Box<dyn Read + Send>,
        /// How many, when known.
        length: Option<u64>,
    },
}

impl Payload {
    /// Bytes in all, when known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Payload::Empty => Some(0),
            Payload::Bytes(bytes) => u64::try_from(bytes.len()).ok(),
            Payload::Source { length, .. } => Some(*length),
            Payload::Stream { length, .. } => *length,
        }
    }

    /// Whether it is known to hold no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// Bytes in memory: owned, shared with a cache, or part of the program.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Made for this answer.
    Owned(Vec<u8>),
    /// Kept elsewhere too.
    Shared(Arc<[u8]>),
    /// Part of the program.
    Static(&'static [u8]),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
            Bytes::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::Owned(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Bytes::Owned(text.into_bytes())
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Bytes::Shared(bytes)
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::Static(bytes)
    }
}

impl From<&'static str> for Bytes {
    fn from(text: &'static str) -> Self {
        Bytes::Static(text.as_bytes())
    }
}

impl From<Cow<'static, str>> for Bytes {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// What the head of an answer depends on beside the answer itself.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The minor version of the request: 0 or 1 of HTTP/1.x.
    pub minor: u8,
    /// The request was a HEAD: the head is that of a GET, no body follows.
    pub head_only: bool,
    /// The engine would use the connection again.
    pub keep_alive: bool,
}

/// How the body behind an encoded head is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing follows the head.
    None,
    /// Exactly so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection is closed (a stream of unknown length to an HTTP/1.0 client).
    UntilClose,
}

impl Response {
    fn new(status: u16, payload: Payload) -> Self {
        Response { status, headers: Vec::new(), payload, close: false }
    }

    /// An answer without body; `Content-Length: 0` but for 1xx, 204 and 304.
    pub fn empty(status: u16) -> Self {
        Response::new(status, Payload::Empty)
    }

    /// Plain text, exactly as given.
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Response::bytes(status, "text/plain; charset=utf-8", text.into())
    }

    /// A value as JSON. One that JSON cannot express (a map with keys that are not text) becomes a plain 500.
    pub fn json(status: u16, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Response::bytes(status, "application/json", bytes),
            Err(e) => {
                log::error!("an answer could not be written as JSON: {e}");
                Response::bytes(500, "application/json", "{\"error\":\"internal error\"}")
            }
        }
    }

    /// Bytes in memory.
    pub fn bytes(status: u16, content_type: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Self {
        Response::new(status, Payload::Bytes(bytes.into())).set("Content-Type", content_type.into())
    }

    /// Bytes read while they are sent; chunked when `length` is not known.
    pub fn stream(
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        reader: Box<dyn Read + Send>,
        length: Option<u64>,
    ) -> Self {
        Response::new(status, Payload::Stream { reader, length }).set("Content-Type", content_type.into())
    }

    /// A whole source.
    pub fn source(status: u16, content_type: impl Into<Cow<'static, str>>, source: Box<dyn Source>) -> Self {
        let length = source.len();
        Response::part(status, source, 0, length).set("Content-Type", content_type.into())
    }

    /// `length` bytes of a source from `start` on.
    pub(super) fn part(status: u16, source: Box<dyn Source>, start: u64, length: u64) -> Self {
        Response::new(status, Payload::Source { source, start, length })
    }

    /// Sends the asker elsewhere; `location` must be a path of this server or below its public URL, percent-encoded.
    pub fn redirect(status: u16, location: impl AsRef<str>) -> Self {
        Response::empty(status).header("Location", location)
    }

    /// Sets a field, over an earlier one of that name. Control characters in the value become blanks, so that no input
    /// can end a line. What the engine itself says (length, coding, connection, date) cannot be set and is left out.
    pub fn header(self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.set(name, Cow::Owned(value.as_ref().to_owned()))
    }

    /// The same without a copy for text that is part of the program.
    pub(super) fn set(mut self, name: &'static str, value: Cow<'static, str>) -> Self {
        const OURS: [&str; 7] = [
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Date",
            "X-Content-Type-Options",
            "Trailer",
        ];
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) || !is_token(name) {
            return self;
        }
        let value = clean(value);
        match self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(field) => field.1 = value,
            None => self.headers.push((name, value)),
        }
        self
    }

    /// Whether a field of that name is set.
    pub fn has_header(&self, name: &str) -> bool {
        self.header_value(name).is_some()
    }

    /// The value of a field that was set.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    /// The connection ends with this answer.
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Whether the connection is to end with this answer.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// The body.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The body, to be sent.
    pub fn into_payload(self) -> Payload {
        self.payload
    }

    /// How the body goes to a client of that kind.
    pub fn framing(&self, context: Context) -> Framing {
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        match self.payload.len() {
            _ if bodiless || context.head_only => Framing::None,
            Some(length) => Framing::Length(length),
            None if context.minor == 0 => Framing::UntilClose,
            None => Framing::Chunked,
        }
    }

    /// Appends the head, its empty line included, and says how the body is to follow. Whoever sends it must close the
    /// connection afterwards when `keep_alive` was false, the answer [`closes`](Response::closes), or the framing is
    /// [`Framing::UntilClose`].
    pub fn encode_head(&self, out: &mut Vec<u8>, context: Context) -> Framing {
        let framing = self.framing(context);
        out.extend_from_slice(b"HTTP/1.1 ");
        number(out, u64::from(self.status));
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        date_now(out);
        out.extend_from_slice(b"\r\nX-Content-Type-Options: nosniff\r\n");
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        // The head of a HEAD is that of the GET, so the length does not depend on what follows.
        match self.payload.len() {
            _ if matches!(self.status, 100..=199 | 204 | 304) => {}
            Some(length) => {
                out.extend_from_slice(b"Content-Length: ");
                number(out, length);
                out.extend_from_slice(b"\r\n");
            }
            None if context.minor == 0 => {}
            None => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if !context.keep_alive || self.close || framing == Framing::UntilClose {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if context.minor == 0 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        framing
    }
}

impl std::fmt::Debug for Response {
    /// Status and field names only: values and body may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &names)
            .field("length", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// A field value without control characters (C0, DEL, C1) and without blanks at its ends.
fn clean(value: Cow<'static, str>) -> Cow<'static, str> {
    if value.chars().any(char::is_control) || value.trim().len() != value.len() {
        let blanked: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        return Cow::Owned(blanked.trim().to_owned());
    }
    value
}

/// A token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn number(out: &mut Vec<u8>, value: u64) {
    // Writing to a vector does not fail.
    _ = write!(out, "{value}");
}

/// The status that most dialects answer a failure of this kind with.
pub const fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Invalid => 400,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Conflict => 409,
        Kind::TooLarge => 413,
        Kind::Throttled => 429,
        Kind::Internal => 500,
        Kind::Gateway => 502,
        Kind::Busy => 503,
        Kind::Quota => 507,
    }
}

/// `Wed, 20 May 2026 10:00:00 GMT`; times the format cannot express become its first or last second.
pub fn http_date(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// Appends today's date, made once a second and thread.
fn date_now(out: &mut Vec<u8>) {
    thread_local! {
        static MADE: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    MADE.with_borrow_mut(|(made, text)| {
        if *made != second {
            *text = http_date(now);
            *made = second;
        }
        out.extend_from_slice(text.as_bytes());
    });
}

/// The reason phrase, for people reading along.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
