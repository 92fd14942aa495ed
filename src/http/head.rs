//! The request head: strict parsing (`reliability.md` §12) into method, target, fields and body length.

use std::fmt;

use memchr::{memchr, memchr_iter, memmem};

/// Longest head in bytes, its closing empty line included (`reliability.md` §11).
pub const MAX_HEAD: usize = 32 * 1024;
/// Most header fields in a head.
pub const MAX_FIELDS: usize = 100;
/// Longest request target in bytes.
pub const MAX_TARGET: usize = 8 * 1024;
/// Longest method taken for one at all; the registered ones have at most 17 letters.
const MAX_METHOD: usize = 32;

/// The request's method; what we do not serve anywhere is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `PUT`
    Put,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// Any other token; methods are case-sensitive, so `get` is one of these.
    Other,
}

impl Method {
    /// The method's name on the wire; `OTHER` for one that is not served anywhere.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
            Method::Other => "OTHER",
        }
    }

    fn of(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"PUT" => Method::Put,
            b"POST" => Method::Post,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// The head announces no body.
    None,
    /// `Content-Length`; at most 2^63 - 1.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request head that passed every check of `reliability.md` §12.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The path as sent, undecoded; begins with `/`. Of an absolute-form target only this part is kept.
    pub path: String,
    /// What follows the first `?`, as sent.
    pub query: Option<String>,
    /// The minor version: 0 or 1 of HTTP/1.x.
    pub minor: u8,
    /// The header fields.
    pub headers: Headers,
    /// How the body is delimited.
    pub body: BodyLength,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// The client would use the connection again.
    pub keep_alive: bool,
}

/// Why a head is not taken; the connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// A sentence for the caller.
    pub message: &'static str,
}

const fn refuse(status: u16, message: &'static str) -> Refusal {
    Refusal { status, message }
}

const TOO_LARGE: Refusal = refuse(431, "Request head too large");
const LONG_TARGET: Refusal = refuse(414, "Request target too long");
const BAD_LINE: Refusal = refuse(400, "Malformed request line");
const BAD_FIELD: Refusal = refuse(400, "Malformed header field");

/// The header fields of one head, in the order sent. Names compare without regard to case.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Box<[u8]>,
    fields: Vec<Field>,
}

/// Offsets into the bytes; a head has at most 32 KiB, so 16 bits hold them.
#[derive(Clone, Copy)]
struct Field {
    name: (u16, u16),
    value: (u16, u16),
}

impl Headers {
    /// The first value of that name, without blanks at its ends; may hold bytes ≥ 0x80, never a control character
    /// but tab.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value of that name as text; `None` when absent or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Every value of that name, in the order sent.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names and values in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| {
            let name = self.slice(field.name);
            (std::str::from_utf8(name).unwrap_or_default(), self.slice(field.value))
        })
    }

    /// Puts `value` in place of the values of that name, or beside the other fields.
    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let ends = [bytes.len(), bytes.len() + name.len(), bytes.len() + name.len() + value.len()].map(u16::try_from);
        if let [Ok(from), Ok(middle), Ok(to)] = ends {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
            self.bytes = bytes.into();
            let fields = std::mem::take(&mut self.fields);
            let named = |field: &Field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes());
            let mut fields: Vec<Field> = fields.into_iter().filter(|field| !named(field)).collect();
            fields.push(Field { name: (from, middle), value: (middle, to) });
            self.fields = fields;
        } else {
            self.bytes = bytes.into();
        }
    }

    fn slice(&self, (from, to): (u16, u16)) -> &[u8] {
        self.bytes.get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }
}

impl fmt::Debug for Headers {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl Head {
    /// Parses the head at the beginning of `bytes`. `None`: more bytes are needed. Otherwise the head and the number
    /// of bytes it took. One empty line before it is skipped, as RFC 9112 §2.2 asks.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Refusal> {
        Head::parse_from(bytes, &mut 0)
    }

    /// The same for a head that arrives in pieces: `checked` remembers how far the line ends have been looked at.
    pub(super) fn parse_from(bytes: &[u8], checked: &mut usize) -> Result<Option<(Head, usize)>, Refusal> {
        let skipped = match bytes {
            [b'\r', b'\n', ..] => 2,
            [b'\r'] => return Ok(None),
            _ => 0,
        };
        let rest = bytes.get(skipped..).unwrap_or_default();
        let Some(length) = find_end(rest, checked)? else {
            early_refusal(rest)?;
            return Ok(None);
        };
        let head = parse_whole(rest.get(..length).unwrap_or_default())?;
        Ok(Some((head, skipped + length)))
    }
}

/// The length of the head, its empty line included. Every CR must be followed by LF and every LF preceded by CR,
/// judged as the bytes come, so that a head of bare line feeds is refused instead of waited for.
fn find_end(bytes: &[u8], checked: &mut usize) -> Result<Option<usize>, Refusal> {
    let window = bytes.get(..MAX_HEAD).unwrap_or(bytes);
    // Begin three bytes early: the empty line may straddle two reads.
    let from = checked.saturating_sub(3).min(window.len());
    let fresh = window.get(from..).unwrap_or_default();
    let end = memmem::find(fresh, b"\r\n\r\n").map(|at| from + at + 4);
    let judged = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
    for lf in memchr_iter(b'\n', judged.get(from..).unwrap_or_default()).map(|at| from + at) {
        if lf == 0 || judged.get(lf - 1) != Some(&b'\r') {
            return Err(refuse(400, "Bare line feed in the request head"));
        }
    }
    for cr in memchr_iter(b'\r', judged.get(from..).unwrap_or_default()).map(|at| from + at) {
        if judged.get(cr + 1).is_some_and(|next| *next != b'\n') {
            return Err(refuse(400, "Bare carriage return in the request head"));
        }
    }
    *checked = judged.len();
    match end {
        None if bytes.len() >= MAX_HEAD => {
            early_refusal(window)?;
            Err(TOO_LARGE)
        }
        end => Ok(end),
    }
}

/// What can be refused before the head is complete: a first line that is no request line or whose target is too long.
fn early_refusal(bytes: &[u8]) -> Result<(), Refusal> {
    let line = bytes.get(..memchr(b'\r', bytes).unwrap_or(bytes.len())).unwrap_or_default();
    let blank = memchr(b' ', line);
    let method = line.get(..blank.unwrap_or(line.len())).unwrap_or_default();
    if method.len() > MAX_METHOD || !method.iter().all(|byte| is_token(*byte)) {
        return Err(BAD_LINE);
    }
    let target = blank.and_then(|blank| line.get(blank + 1..)).unwrap_or_default();
    if memchr(b' ', target).unwrap_or(target.len()) > MAX_TARGET {
        return Err(LONG_TARGET);
    }
    Ok(())
}

/// A head with its empty line, every line ended by CRLF.
fn parse_whole(bytes: &[u8]) -> Result<Head, Refusal> {
    let line_end = memchr(b'\r', bytes).ok_or(BAD_LINE)?;
    let line = bytes.get(..line_end).unwrap_or_default();
    let (method, target, minor) = request_line(line)?;
    let (path, query) = split_target(method, target)?;
    let headers = fields(bytes, line_end + 2)?;
    let mut head = Head {
        method: Method::of(method),
        path,
        query,
        minor,
        headers,
        body: BodyLength::None,
        expect_continue: false,
        keep_alive: minor == 1,
    };
    judge(&mut head)?;
    Ok(head)
}

/// Method, target and minor version.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], u8), Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(BAD_LINE) };
    if method.is_empty() || method.len() > MAX_METHOD || !method.iter().all(|byte| is_token(*byte)) {
        return Err(BAD_LINE);
    }
    if target.len() > MAX_TARGET {
        return Err(LONG_TARGET);
    }
    let (Some(version), None) = (words.next(), words.next()) else { return Err(BAD_LINE) };
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(refuse(505, "HTTP version not supported"));
        }
        _ => return Err(BAD_LINE),
    };
    Ok((method, target, minor))
}

/// Path and query of an origin-form or absolute-form target.
fn split_target(method: &[u8], target: &[u8]) -> Result<(String, Option<String>), Refusal> {
    const BAD_TARGET: Refusal = refuse(400, "Malformed request target");
    if target.is_empty() || target.iter().any(|byte| !(0x21..0x7f).contains(byte) || *byte == b'#') {
        return Err(BAD_TARGET);
    }
    if method == b"CONNECT" {
        return Err(refuse(501, "Method not implemented"));
    }
    let target = std::str::from_utf8(target).map_err(|_| BAD_TARGET)?;
    let local = if target.starts_with('/') {
        target
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(BAD_TARGET)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(BAD_TARGET);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, local) = rest.split_at(end);
        if authority.is_empty() || !is_authority(authority.as_bytes()) {
            return Err(BAD_TARGET);
        }
        local
    };
    let (path, query) = match local.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (local, None),
    };
    Ok((if path.is_empty() { "/" } else { path }.to_owned(), query))
}

fn fields(bytes: &[u8], from: usize) -> Result<Headers, Refusal> {
    let block = bytes.get(from..).unwrap_or_default();
    let mut parsed = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = match httparse::parse_headers(block, &mut parsed) {
        Ok(httparse::Status::Complete((used, parsed))) if used == block.len() => parsed,
        Err(httparse::Error::TooManyHeaders) => return Err(refuse(431, "Too many header fields")),
        _ => return Err(BAD_FIELD),
    };
    let offset = |part: &[u8]| -> Option<(u16, u16)> {
        let start = (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
        Some((u16::try_from(start).ok()?, u16::try_from(start + part.len()).ok()?))
    };
    let mut fields = Vec::with_capacity(parsed.len());
    for field in parsed {
        let value = field.value.trim_ascii();
        if field.name.is_empty() {
            return Err(BAD_FIELD);
        }
        let name = offset(field.name.as_bytes()).ok_or(BAD_FIELD)?;
        // The parser may hand out an empty value that is not part of the bytes.
        let value = if value.is_empty() { (0, 0) } else { offset(value).ok_or(BAD_FIELD)? };
        fields.push(Field { name, value });
    }
    Ok(Headers { bytes: bytes.into(), fields })
}

/// The rules that need more than one field: who delimits the body, which host, what happens afterwards.
fn judge(head: &mut Head) -> Result<(), Refusal> {
    let (mut length, mut coding, mut host, mut expect) = (None, None, None, None);
    let (mut close, mut keep) = (false, false);
    let twice = |old: Option<&[u8]>, message| if old.is_some() { Err(refuse(400, message)) } else { Ok(()) };
    for (name, value) in head.headers.iter() {
        if name.eq_ignore_ascii_case("content-length") {
            twice(length.replace(value), "More than one Content-Length")?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            twice(coding.replace(value), "More than one Transfer-Encoding")?;
        } else if name.eq_ignore_ascii_case("host") {
            twice(host.replace(value), "More than one Host")?;
        } else if name.eq_ignore_ascii_case("expect") {
            twice(expect.replace(value), "More than one Expect")?;
        } else if name.eq_ignore_ascii_case("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }
    match host {
        None if head.minor == 1 => return Err(refuse(400, "Missing Host")),
        Some(host) if !is_authority(host) => return Err(refuse(400, "Malformed Host")),
        _ => {}
    }
    let body = match (length, coding) {
        (Some(_), Some(_)) => return Err(refuse(400, "Content-Length beside Transfer-Encoding")),
        (_, Some(_)) if head.minor == 0 => return Err(refuse(400, "Transfer-Encoding in HTTP/1.0")),
        (_, Some(coding)) => transfer_coding(coding)?,
        (Some(length), None) => {
            BodyLength::Sized(content_length(length).ok_or(refuse(400, "Malformed Content-Length"))?)
        }
        (None, None) => BodyLength::None,
    };
    let expect_continue = match expect {
        // RFC 9110 §10.1.1: a server ignores the expectation in HTTP/1.0.
        Some(_) if head.minor == 0 => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => {
            !matches!(body, BodyLength::None | BodyLength::Sized(0))
        }
        Some(_) => return Err(refuse(417, "Expectation failed")),
        None => false,
    };
    head.keep_alive = !close && (head.minor == 1 || keep);
    head.body = body;
    head.expect_continue = expect_continue;
    Ok(())
}

/// Only `chunked`, once and alone. A wrong use of `chunked` is an error, another coding is one we do not know.
fn transfer_coding(value: &[u8]) -> Result<BodyLength, Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyLength::Chunked);
    }
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
    while let Some(coding) = codings.next() {
        let name = coding.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let misplaced =
            name.eq_ignore_ascii_case(b"chunked") && (codings.peek().is_some() || name.len() != coding.len());
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || misplaced {
            return Err(refuse(400, "Malformed Transfer-Encoding"));
        }
    }
    Err(refuse(501, "Transfer-Encoding not implemented"))
}

fn content_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut length: u64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        length = length.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (length <= i64::MAX as u64).then_some(length)
}

/// Host and port as far as characters go; the empty one is allowed (RFC 9112 §3.2).
pub(super) fn is_authority(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:[]%".contains(byte))
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
