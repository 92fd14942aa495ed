//! A request as a handler sees it: head, path parameters, peer, and a body that is read or left.

use std::io::{self, Read};
use std::net::SocketAddr;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::http::Head;
use crate::http::multipart::Multipart;
use crate::http::params::{Params, Plus, Query, pairs};

/// The deepest nesting of arrays and objects that is read (`reliability.md` §11).
pub const MAX_JSON_DEPTH: usize = 64;

/// One request. The engine builds it, the service fills in `params`, a handler reads it.
pub struct Request {
    /// Method, target and fields.
    pub head: Head,
    /// What the route's pattern caught from the path.
    pub params: Params,
    /// Who sent it: as the socket says, or a proxy that is believed.
    pub peer: SocketAddr,
    /// The request's number since start; appears in the log and in every 5xx answer.
    pub number: u64,
    /// Whether it came over TLS, here or at a proxy that is believed.
    pub secure: bool,
    body: Body,
    note: String,
}

impl Request {
    /// A request whose head has been read.
    pub fn new(head: Head, peer: SocketAddr, number: u64, body: Body) -> Self {
        Request { head, params: Params::default(), peer, number, secure: false, body, note: String::new() }
    }

    /// The query's pairs, decoded once, with `+` as a plus sign. Errors: `Invalid` for malformed escapes, text that is not
    /// UTF-8, NUL.
    pub fn query(&self) -> Result<Query> {
        Query::parse(self.head.query.as_deref().unwrap_or_default(), Plus::Literal)
    }

    /// Like [`Request::query`] with `+` as a blank, for the dialects that say so (`refpack.md` §5).
    pub fn form_query(&self) -> Result<Query> {
        Query::parse(self.head.query.as_deref().unwrap_or_default(), Plus::Blank)
    }

    /// The body, to be read in pieces; limit it with `take`.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The media type of the body, in lower case and without parameters; empty when none is given.
    pub fn media_type(&self) -> String {
        let given = self.head.headers.text("content-type").unwrap_or_default();
        given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The whole body. Errors: `TooLarge` beyond `limit` bytes; [`body_error`] when it breaks off.
    pub fn bytes(&mut self, limit: u64) -> Result<Vec<u8>> {
        self.body.collect(limit)
    }

    /// The body as JSON of any shape. Errors: `Invalid` when it is empty, not JSON or nested too deep; else as
    /// [`Request::bytes`].
    pub fn json(&mut self, limit: u64) -> Result<Value> {
        parse_json(&self.bytes(limit)?)
    }

    /// The pairs of an `application/x-www-form-urlencoded` body, in order. Errors: `Invalid` for another media type or
    /// text that does not decode; else as [`Request::bytes`].
    pub fn form(&mut self, limit: u64) -> Result<Vec<(String, String)>> {
        if self.media_type() != "application/x-www-form-urlencoded" {
            return Err(Error::invalid("the request body is not application/x-www-form-urlencoded"));
        }
        pairs(&self.bytes(limit)?, Plus::Blank)
    }

    /// The body as `multipart/form-data`, part by part. Errors: `Invalid` when it is of another type or has no boundary.
    pub fn multipart(&mut self) -> Result<Multipart<'_>> {
        let mut types = self.head.headers.all("content-type");
        match (types.next(), types.next()) {
            (Some(given), None) => Multipart::open(given, &mut self.body),
            (None, _) => Err(Error::invalid("the request body is not multipart/form-data")),
            (Some(_), Some(_)) => Err(Error::invalid("Content-Type is given twice")),
        }
    }

    /// Says for the access log who asked; never a secret.
    pub fn set_note(&mut self, text: String) {
        self.note = text;
    }

    /// What [`Request::set_note`] said, else empty.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Takes the request apart again: what the engine needs to end it.
    pub fn into_parts(self) -> (Head, Body, String) {
        (self.head, self.body, self.note)
    }
}

/// The token of `Authorization: Bearer TOKEN` (the scheme in any case); `None` when there is no such field, it is there
/// twice, or it is not two words.
pub fn bearer(head: &Head) -> Option<&str> {
    let mut all = head.headers.all("authorization");
    let value = std::str::from_utf8(all.next()?).ok()?;
    if all.next().is_some() {
        return None;
    }
    let mut words = value.split([' ', '\t']).filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("bearer") => Some(token),
        _ => None,
    }
}

/// Reads JSON text: a byte order mark in front is skipped, of equal keys the last counts.
///
/// Errors: `Invalid` when it is blank ("Missing request body"), not JSON (unpaired surrogates included), or nested deeper
/// than [`MAX_JSON_DEPTH`].
pub fn parse_json(bytes: &[u8]) -> Result<Value> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.iter().all(|byte| byte.is_ascii_whitespace()) {
        return Err(Error::invalid("Missing request body"));
    }
    if nests_too_deep(text) {
        return Err(Error::invalid(format!("JSON is nested deeper than {MAX_JSON_DEPTH} levels")));
    }
    serde_json::from_slice(text).map_err(|e| Error::invalid(format!("invalid JSON: {e}")))
}

/// Counts open brackets outside strings; what is not JSON at all is the parser's to refuse.
fn nests_too_deep(text: &[u8]) -> bool {
    let mut depth = 0usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_JSON_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => _ = bytes.next(),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    false
}

/// A request's body: read it or leave it; the engine deals with what is left.
///
/// Reading reports a body that broke off as `UnexpectedEof`, broken chunking as `UnexpectedEof` or `InvalidData`, and one
/// that came too slowly as `TimedOut`; once it has failed it goes on failing.
pub struct Body {
    source: Source,
    length: Option<u64>,
    finished: bool,
    failure: Option<io::ErrorKind>,
}

enum Source {
    Complete { bytes: Vec<u8>, at: usize },
    Streaming(Box<dyn Read + Send>),
}

impl Body {
    /// A request without a body.
    pub fn empty() -> Self {
        Body::complete(Vec::new())
    }

    /// A body that has already arrived.
    pub fn complete(bytes: Vec<u8>) -> Self {
        let length = Some(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Body { finished: bytes.is_empty(), source: Source::Complete { bytes, at: 0 }, length, failure: None }
    }

    /// A body read from the socket as the handler asks for it; `length` in bytes when it was declared. The reader answers
    /// 0 only at the body's proper end.
    pub fn streaming(reader: Box<dyn Read + Send>, length: Option<u64>) -> Self {
        Body { source: Source::Streaming(reader), length, finished: length == Some(0), failure: None }
    }

    /// Bytes in the whole body, when known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether all of it has been read.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Reads all that is left. Errors: `TooLarge` beyond `limit` bytes; [`body_error`].
    pub fn collect(&mut self, limit: u64) -> Result<Vec<u8>> {
        let too_large = || Error::new(Kind::TooLarge, format!("the request body is larger than {limit} bytes"));
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        if let Source::Complete { bytes, at: 0 } = &mut self.source {
            self.finished = true;
            return Ok(std::mem::take(bytes));
        }
        let mut bytes = Vec::new();
        self.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(body_error)?;
        match u64::try_from(bytes.len()) {
            Ok(length) if length <= limit => Ok(bytes),
            _ => Err(too_large()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.failure {
            return Err(kind.into());
        }
        if buf.is_empty() || self.finished {
            return Ok(0);
        }
        match &mut self.source {
            Source::Complete { bytes, at } => {
                let left = bytes.get(*at..).unwrap_or_default();
                let count = left.len().min(buf.len());
                buf[..count].copy_from_slice(&left[..count]);
                *at += count;
                self.finished = *at >= bytes.len();
                Ok(count)
            }
            Source::Streaming(reader) => match reader.read(buf) {
                Ok(0) => {
                    self.finished = true;
                    Ok(0)
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
                Err(e) => {
                    self.failure = Some(e.kind());
                    Err(e)
                }
                read => read,
            },
        }
    }
}

/// The error a caller sees when its body could not be read: its own doing (`Invalid`), whatever broke.
///
/// An [`Error`] that travelled inside the `io::Error` comes out as it went in.
pub fn body_error(error: io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        if let Some(inner) = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok()) {
            return *inner;
        }
        return Error::invalid("the request body is broken");
    }
    let message = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "the request body came too slowly",
        io::ErrorKind::InvalidData => "the request body is malformed",
        _ => "the request body ended early",
    };
    Error::invalid(message).because(error)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
