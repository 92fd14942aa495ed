//! Files over HTTP: conditional requests and ranges as pure decisions, and the one answer that serves every file
//! (`products.md` §5).

use std::borrow::Cow;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::params::split_once;
use crate::http::response::{Source, http_date};
use crate::http::{Head, Method, Response};

/// The most ranges one request may ask for; with more the whole file is sent (`reliability.md` §11).
pub const MAX_RANGES: usize = 1000;

/// A file to be served.
pub struct FileAnswer {
    /// Its bytes.
    pub source: Box<dyn Source>,
    /// Its strong entity tag, quotes included.
    pub etag: String,
    /// When it came to be; whole seconds count.
    pub last_modified: SystemTime,
    /// Its media type; one that a browser does not execute (`reliability.md` §15).
    pub content_type: String,
    /// The name a browser saves it under; `None` leaves `Content-Disposition` out.
    pub download_name: Option<String>,
    /// The value of `Cache-Control`.
    pub cache_control: &'static str,
    /// Further fields of the answers 200 and 206.
    pub extra: Vec<(&'static str, String)>,
}

/// A run of bytes, `first` to `last`, both included and both within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte's offset.
    pub first: u64,
    /// The last byte's offset.
    pub last: u64,
}

impl Range {
    /// Bytes in it; at least one.
    pub fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// What a `Range` field asks of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Everything: there is no range, or none that is understood or served.
    Whole,
    /// One run.
    One(Range),
    /// Several runs that do not overlap, in the order asked.
    Several(Vec<Range>),
    /// Only runs that begin behind the end.
    Unsatisfiable,
}

/// Judges the `Range` fields of a request against a file of `size` bytes.
///
/// Malformed fields, other units, several fields, overlapping runs and more than [`MAX_RANGES`] ask for the whole file;
/// so does a suffix of an empty file, which has no byte to name. Numbers of any length are understood.
pub fn asked<'a>(mut fields: impl Iterator<Item = &'a [u8]>, size: u64) -> Asked {
    match (fields.next(), fields.next()) {
        (Some(field), None) => judge(field, size).unwrap_or(Asked::Whole),
        _ => Asked::Whole,
    }
}

/// `None` when the field is to be ignored.
fn judge(field: &[u8], size: u64) -> Option<Asked> {
    let (unit, set) = split_once(field, b'=')?;
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut runs: Vec<Range> = Vec::new();
    let mut count = 0usize;
    for piece in set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty()) {
        count += 1;
        if count > MAX_RANGES {
            return None;
        }
        let (first, last) = split_once(piece, b'-')?;
        let run = match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(0)) => None,
            // There is no byte a range of an empty file could name: it is sent whole.
            (None, Some(_)) if size == 0 => return None,
            (None, Some(suffix)) => Some(Range { first: size.saturating_sub(suffix), last: size - 1 }),
            (Some(first), last) => {
                let last = last.unwrap_or(u64::MAX);
                if first > last {
                    return None;
                }
                (first < size).then(|| Range { first, last: last.min(size - 1) })
            }
        };
        runs.extend(run);
    }
    match *runs.as_slice() {
        [] if count == 0 => None,
        [] => Some(Asked::Unsatisfiable),
        [run] => Some(Asked::One(run)),
        _ if overlap(&runs) => None,
        _ => Some(Asked::Several(runs)),
    }
}

/// `Some(None)` for no digits at all, `None` for anything that is not digits; beyond 64 bits the largest number.
fn number(digits: &[u8]) -> Option<Option<u64>> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some((!digits.is_empty()).then(|| digits.iter().fold(0, add)))
}

fn overlap(runs: &[Range]) -> bool {
    let mut sorted = runs.to_vec();
    sorted.sort_unstable_by_key(|run| run.first);
    sorted.windows(2).any(|pair| matches!(pair, [a, b] if b.first <= a.last))
}

/// What the conditions of a request make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Go on; `Range` counts.
    Proceed,
    /// Go on with the whole file: `If-Range` names another state of it.
    ProceedWhole,
    /// 304: the asker has it.
    NotModified,
    /// 412: the asker's file is another.
    Failed,
}

/// What the date of a file is worth in `If-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// Nothing: two states within one second would look alike, only the exact tag keeps a range (`products.md` §5).
    Coarse,
    /// It never stands for two states of a file, so the exact date keeps a range too (`repos.md` §16).
    Exact,
}

/// Judges the conditional fields of a GET or HEAD, in the order of RFC 9110 §13.2.2.
pub fn condition(head: &Head, etag: &str, last_modified: SystemTime) -> Condition {
    condition_dated(head, etag, last_modified, Dates::Coarse)
}

/// The same, saying what the date of the file is worth.
pub fn condition_dated(head: &Head, etag: &str, last_modified: SystemTime, dates: Dates) -> Condition {
    let tags = |name: &'static str| head.headers.all(name);
    let date = |name: &str| head.headers.text(name).and_then(|text| httpdate::parse_http_date(text).ok());
    let modified = whole_seconds(last_modified);

    if tags("if-match").next().is_some() {
        if !tags("if-match").any(|list| lists(list, etag, Compare::Strong)) {
            return Condition::Failed;
        }
    } else if date("if-unmodified-since").is_some_and(|date| modified > whole_seconds(date)) {
        return Condition::Failed;
    }
    if tags("if-none-match").next().is_some() {
        if tags("if-none-match").any(|list| lists(list, etag, Compare::Weak)) {
            return Condition::NotModified;
        }
    } else if date("if-modified-since").is_some_and(|date| modified <= whole_seconds(date)) {
        return Condition::NotModified;
    }
    match head.headers.get("if-range") {
        None => Condition::Proceed,
        Some(validator) if validator == etag.as_bytes() => Condition::Proceed,
        Some(_) if dates == Dates::Exact && date("if-range").is_some_and(|date| whole_seconds(date) == modified) => {
            Condition::Proceed
        }
        Some(_) => Condition::ProceedWhole,
    }
}

fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// Weak tags never fit.
    Strong,
    /// `W/` makes no difference.
    Weak,
}

/// Whether a list of entity tags (or `*`) names `etag`. A tag may hold commas, so the list is read tag by tag; what
/// follows a malformed one is not looked at.
fn lists(list: &[u8], etag: &str, compare: Compare) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind;
            continue;
        }
        let (weak, tag) = match rest.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let Some(end) = tag.strip_prefix(b"\"").and_then(|inner| memchr::memchr(b'"', inner)) else { return false };
        let Some((tag, behind)) = tag.split_at_checked(end + 2) else { return false };
        if tag == etag.as_bytes() && (compare == Compare::Weak || !weak) {
            return true;
        }
        rest = behind;
    }
}

/// Serves a file to a GET or HEAD: 200, 206 with one range or several, 304, 412 or 416. Bytes are read while they are
/// sent, in constant memory, whatever was asked for.
pub fn serve_file(head: &Head, file: FileAnswer) -> Response {
    serve_file_dated(head, file, Dates::Coarse)
}

/// The same, saying what the date of the file is worth.
pub fn serve_file_dated(head: &Head, file: FileAnswer, dates: Dates) -> Response {
    let reads = matches!(head.method, Method::Get | Method::Head);
    let condition =
        if reads { condition_dated(head, &file.etag, file.last_modified, dates) } else { Condition::ProceedWhole };
    let asked = match condition {
        Condition::NotModified => {
            return Response::empty(304)
                .header("ETag", &file.etag)
                .header("Last-Modified", http_date(file.last_modified))
                .set("Cache-Control", Cow::Borrowed(file.cache_control));
        }
        Condition::Failed => {
            let body = serde_json::json!({ "error": "Precondition failed", "message": "The file is another one now" });
            return Response::json(412, &body).header("ETag", &file.etag);
        }
        Condition::ProceedWhole => Asked::Whole,
        Condition::Proceed => asked(head.headers.all("range"), file.source.len()),
    };
    let size = file.source.len();
    let FileAnswer { source, etag, last_modified, content_type, download_name, cache_control, extra } = file;
    let (mut response, content_type) = match asked {
        Asked::Unsatisfiable => {
            let body = serde_json::json!({
                "error": "Range not satisfiable",
                "message": format!("The file has {size} bytes"),
            });
            return Response::json(416, &body)
                .header("Content-Range", format!("bytes */{size}"))
                .header("Accept-Ranges", "bytes")
                .header("ETag", etag);
        }
        Asked::Whole => (Response::part(200, source, 0, size), content_type),
        Asked::One(run) => {
            let answer = Response::part(206, source, run.first, run.length());
            (answer.header("Content-Range", content_range(run, size)), content_type)
        }
        Asked::Several(runs) => match crate::ids::random().map(crate::ids::Digest) {
            Ok(random) => {
                let boundary = random.to_hex();
                let parts = ByteRanges::new(source, runs, &content_type, &boundary);
                let length = parts.len();
                let answer = Response::part(206, Box::new(parts), 0, length);
                (answer, format!("multipart/byteranges; boundary={boundary}"))
            }
            // Without random numbers there is no boundary that the bytes cannot hold.
            Err(_) => (Response::part(200, source, 0, size), content_type),
        },
    };
    if let Some(name) = download_name {
        response = response.header("Content-Disposition", attachment(&name));
    }
    response = response
        .set("Content-Type", content_type.into())
        .set("ETag", etag.into())
        .set("Last-Modified", http_date(last_modified).into())
        .set("Accept-Ranges", "bytes".into())
        .set("Cache-Control", cache_control.into())
        .set("Content-Security-Policy", "sandbox; default-src 'none'".into());
    extra.into_iter().fold(response, |response, (name, value)| response.set(name, value.into()))
}

fn content_range(run: Range, size: u64) -> String {
    format!("bytes {}-{}/{size}", run.first, run.last)
}

/// `Content-Disposition` for a download: `attachment; filename="…"` with `"` and `\` escaped; when the name is not
/// plain ASCII every other character is `_` there and `filename*` follows (`products.md` §5). Control characters are
/// `_` in both.
pub fn attachment(name: &str) -> String {
    let mut plain = String::with_capacity(name.len() + 32);
    plain.push_str("attachment; filename=\"");
    let mut ascii = true;
    let mut encoded = String::new();
    for c in name.chars() {
        let shown = if c.is_control() { '_' } else { c };
        if matches!(shown, '"' | '\\') {
            plain.push('\\');
        }
        plain.push(if shown.is_ascii() { shown } else { '_' });
        ascii &= shown.is_ascii();
        for &byte in shown.encode_utf8(&mut [0; 4]).as_bytes() {
            // The characters an extended value may hold as they are (RFC 8187 §3.2.1).
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    plain.push('"');
    if !ascii {
        plain.push_str("; filename*=UTF-8''");
        plain.push_str(&encoded);
    }
    plain
}

/// Several runs of a source as one body: before each run a part head, behind the last the closing boundary
/// (`multipart/byteranges`, RFC 9110 §14.6). Part heads are made when they are read.
struct ByteRanges {
    source: Box<dyn Source>,
    size: u64,
    /// A part head without its `Content-Range` value.
    lead: String,
    closing: String,
    /// Each run and where its part begins in the body.
    parts: Vec<(u64, Range)>,
    length: u64,
}

impl ByteRanges {
    fn new(source: Box<dyn Source>, runs: Vec<Range>, content_type: &str, boundary: &str) -> Self {
        let size = source.len();
        // The type goes into the body here, where no field constructor watches over it.
        let content_type: String = content_type.chars().filter(|c| !c.is_control()).collect();
        let lead = format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: ");
        let closing = format!("\r\n--{boundary}--\r\n");
        let mut this = ByteRanges { source, size, lead, closing, parts: Vec::with_capacity(runs.len()), length: 0 };
        for run in runs {
            this.parts.push((this.length, run));
            this.length += width(&this.part_head(run)) + run.length();
        }
        this.length += width(&this.closing);
        this
    }

    fn part_head(&self, run: Range) -> String {
        format!("{}{}\r\n\r\n", self.lead, content_range(run, self.size))
    }

    /// Reads from one part head, run or the closing boundary.
    fn read_piece(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let index = self.parts.partition_point(|(start, _)| *start <= offset);
        let Some(&(start, run)) = index.checked_sub(1).and_then(|index| self.parts.get(index)) else { return Ok(0) };
        let head = self.part_head(run);
        let within = offset - start;
        if within < width(&head) {
            return Ok(copy_text(&head, within, buf));
        }
        let within = within - width(&head);
        if within < run.length() {
            let room = buf.len().min(usize::try_from(run.length() - within).unwrap_or(usize::MAX));
            return match self.source.read_at(run.first + within, &mut buf[..room])? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            };
        }
        Ok(copy_text(&self.closing, within - run.length(), buf))
    }
}

fn width(text: &str) -> u64 {
    text.len() as u64
}

/// Copies from byte `from` of `text` on; answers how much.
fn copy_text(text: &str, from: u64, buf: &mut [u8]) -> usize {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let left = text.as_bytes().get(from..).unwrap_or_default();
    let count = left.len().min(buf.len());
    buf[..count].copy_from_slice(&left[..count]);
    count
}

impl Source for ByteRanges {
    fn len(&self) -> u64 {
        self.length
    }

    /// Fills as much of `buf` as there is, so that part heads do not become packets of their own.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() && offset + (filled as u64) < self.length {
            match self.read_piece(offset + filled as u64, &mut buf[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    fn waits(&self) -> bool {
        self.source.waits()
    }
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
