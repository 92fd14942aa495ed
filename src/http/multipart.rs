//! Streaming `multipart/form-data`: parts one after the other, file parts never held in memory.
//!
//! The boundary is searched for with `memmem` over whole blocks. A caller that reads into a large buffer gets its bytes
//! read straight into that buffer and searched there, so a block is neither copied twice nor searched twice; only what
//! follows a boundary, or could be the beginning of one, is kept aside in the parser's own buffer.

use std::io::{self, Read};

use memchr::{memmem, memrchr};

use crate::error::{Error, Kind, Result};
use crate::http::disposition::{self, PartHead};
use crate::http::request::{Body, body_error};

/// The most parts of one request.
pub const MAX_PARTS: usize = 1000;
/// The most parts with a file name.
pub const MAX_FILES: usize = 100;
/// The longest part head in bytes.
pub const MAX_PART_HEAD: usize = 16 << 10;
/// The longest text part in bytes.
pub const MAX_TEXT: u64 = 1 << 20;

/// The parser's own buffer, and the most that is read from the body at once.
const BLOCK: usize = 128 << 10;
/// A caller's buffer from here on is read into directly.
const DIRECT: usize = 16 << 10;
/// What may stand before the first boundary and behind the last.
const MAX_AROUND: u64 = 64 << 10;
/// Blanks allowed between a boundary and its line end.
const MAX_PADDING: usize = 64;

/// The parts of a `multipart/form-data` body, in the order they come.
pub struct Multipart<'a> {
    lexer: Lexer<'a>,
    parts: usize,
    files: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// In a part, or behind one that has been read.
    Part,
    /// The closing boundary and all behind it have been read.
    End,
    /// Something was broken; it stays so.
    Failed,
}

impl<'a> Multipart<'a> {
    /// Parses the body by the value of its `Content-Type`. Errors: `Invalid` when that is not `multipart/form-data` or has
    /// no good boundary.
    pub(super) fn open(content_type: &[u8], body: &'a mut Body) -> Result<Self> {
        Multipart::new(&disposition::boundary(content_type)?, body)
    }

    /// Parses bytes by a known boundary (1 to 70 bytes).
    pub(super) fn new(boundary: &[u8], body: &'a mut (dyn Read + Send)) -> Result<Self> {
        Ok(Multipart { lexer: Lexer::new(boundary, body), parts: 0, files: 0, state: State::Preamble })
    }

    /// The next part; what was left of the one before is skipped. `None` when the closing boundary and the end of the body
    /// have been read.
    ///
    /// Errors: `Invalid` when the body is malformed, breaks off before its closing boundary, or has too many parts;
    /// `TooLarge` for a part head beyond its limit. After an error there are no more parts.
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>> {
        match self.advance() {
            Ok(Some(head)) => Ok(Some(Part { head, bytes: &mut self.lexer })),
            Ok(None) => {
                self.state = State::End;
                Ok(None)
            }
            Err(e) => {
                self.state = State::Failed;
                Err(e)
            }
        }
    }

    fn advance(&mut self) -> Result<Option<PartHead>> {
        let limit = match self.state {
            State::End => return Ok(None),
            State::Failed => return Err(Error::invalid("the multipart body is broken")),
            State::Preamble => MAX_AROUND,
            State::Part => u64::MAX,
        };
        self.lexer.skip_content(limit)?;
        self.state = State::Part;
        match self.lexer.pass_delimiter()? {
            Delimiter::Close => {
                self.lexer.skip_epilogue()?;
                Ok(None)
            }
            Delimiter::Next => {
                self.parts += 1;
                if self.parts > MAX_PARTS {
                    return Err(Error::invalid(format!("more than {MAX_PARTS} parts")));
                }
                let head = PartHead::parse(self.lexer.part_head()?)?;
                self.files += usize::from(head.file_name.is_some());
                if self.files > MAX_FILES {
                    return Err(Error::invalid(format!("more than {MAX_FILES} files")));
                }
                Ok(Some(head))
            }
        }
    }
}

/// One part. Reading gives its bytes; when the body breaks off, `UnexpectedEof`, never a short success.
pub struct Part<'p> {
    head: PartHead,
    bytes: &'p mut (dyn Read + Send),
}

impl Part<'_> {
    /// The name of the field.
    pub fn name(&self) -> Option<&str> {
        self.head.name.as_deref()
    }

    /// The file name as the client gave it, directories and all: `filename*=UTF-8''…` wins over `filename=`, in quotes
    /// `\"` and `\\` are unescaped. `None` when the part is no file.
    pub fn file_name(&self) -> Option<&str> {
        self.head.file_name.as_deref()
    }

    /// The part's `Content-Type` as sent.
    pub fn content_type(&self) -> Option<&str> {
        self.head.content_type.as_deref()
    }

    /// The whole part as text. Errors: `TooLarge` beyond `limit` bytes or 1 MiB; `Invalid` when it is not UTF-8 or breaks
    /// off.
    pub fn text(&mut self, limit: u64) -> Result<String> {
        let limit = limit.min(MAX_TEXT);
        let mut bytes = Vec::new();
        self.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(body_error)?;
        let name = self.name().unwrap_or("without a name");
        if bytes.len() as u64 > limit {
            return Err(Error::new(Kind::TooLarge, format!("the part {name} is larger than {limit} bytes")));
        }
        String::from_utf8(bytes).map_err(|_| Error::invalid(format!("the part {name} is not UTF-8")))
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buf)
    }
}

/// What a delimiter leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delimiter {
    /// Another part.
    Next,
    /// The end.
    Close,
}

/// How the bytes behind `CRLF--boundary` read.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// A delimiter; with its tail it takes so many bytes behind the boundary.
    Delimiter(Delimiter, usize),
    /// Not a delimiter: the line goes on, so all of it is content.
    Content,
    /// More bytes are needed to tell.
    Short,
}

/// Reads `[blanks] CRLF` or `-- [blanks] (CRLF | end of body)` behind a boundary.
fn tail(bytes: &[u8], at_end: bool) -> Tail {
    let (kind, dashes) = match bytes {
        [b'-', b'-', ..] => (Delimiter::Close, 2),
        [b'-'] | [] if !at_end => return Tail::Short,
        _ => (Delimiter::Next, 0),
    };
    let rest = bytes.get(dashes..).unwrap_or_default();
    let padding = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    if padding > MAX_PADDING {
        return Tail::Content;
    }
    match rest.get(padding..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Tail::Delimiter(kind, dashes + padding + 2),
        [] if at_end && kind == Delimiter::Close => Tail::Delimiter(kind, dashes + padding),
        [] | [b'\r'] if !at_end => Tail::Short,
        _ => Tail::Content,
    }
}

/// Cuts the body into content, delimiters and part heads.
///
/// Invariant: `buf[start..end]` has been read and not yet handed out; its first `clear` bytes are content of the present
/// part. `hit` says that a delimiter begins right behind them.
struct Lexer<'a> {
    body: &'a mut (dyn Read + Send),
    /// `CRLF--boundary`.
    needle: memmem::Finder<'static>,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    clear: usize,
    hit: Option<(Delimiter, usize)>,
    /// The body has been read to its end.
    ended: bool,
}

/// What a search of a block found.
enum Searched {
    /// So many bytes of content, then a delimiter.
    Hit(usize, Delimiter, usize),
    /// So many bytes of content; the rest, if any, may be the beginning of a delimiter.
    Clear(usize),
}

fn search(needle: &memmem::Finder<'_>, block: &[u8], at_end: bool) -> Searched {
    let width = needle.needle().len();
    let mut from = 0;
    while let Some(at) = memmem_from(needle, block, from) {
        match tail(&block[at + width..], at_end) {
            Tail::Delimiter(kind, behind) => return Searched::Hit(at, kind, width + behind),
            Tail::Short => return Searched::Clear(at),
            Tail::Content => from = at + width,
        }
    }
    // A delimiter holds one CR, at its beginning: only the last CR can begin one that is cut off.
    let last = block.len().saturating_sub(width - 1).max(from);
    match memrchr(b'\r', &block[last..]) {
        Some(cr) if needle.needle().starts_with(&block[last + cr..]) => Searched::Clear(last + cr),
        _ => Searched::Clear(block.len()),
    }
}

fn memmem_from(needle: &memmem::Finder<'_>, block: &[u8], from: usize) -> Option<usize> {
    needle.find(block.get(from..)?).map(|at| at + from)
}

impl<'a> Lexer<'a> {
    fn new(boundary: &[u8], body: &'a mut (dyn Read + Send)) -> Self {
        let needle = [b"\r\n--", boundary].concat();
        let mut buf = vec![0; BLOCK].into_boxed_slice();
        // The first boundary has no line before it: this one makes it like all others.
        buf[..2].copy_from_slice(b"\r\n");
        let needle = memmem::Finder::new(&needle).into_owned();
        Lexer { body, needle, buf, start: 0, end: 2, clear: 0, hit: None, ended: false }
    }

    fn pending(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Reads more of the body behind what is pending. Answers false at the end of the body.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let count = read_some(self.body, &mut self.buf[self.end..])?;
        self.end += count;
        self.ended = count == 0;
        Ok(count > 0)
    }

    /// Makes `clear` or `hit` say something about the bytes at hand, reading as needed.
    fn look(&mut self) -> io::Result<()> {
        while self.clear == 0 && self.hit.is_none() {
            match search(&self.needle, &self.buf[self.start..self.end], self.ended) {
                Searched::Hit(clear, kind, width) => {
                    self.clear = clear;
                    self.hit = Some((kind, width));
                }
                Searched::Clear(0) => {
                    if self.ended {
                        return Err(no_end());
                    }
                    self.fill()?;
                }
                // At the end of the body nothing behind can be a delimiter any more.
                Searched::Clear(clear) => self.clear = clear,
            }
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.clear -= count;
    }

    /// Skips to the next delimiter over at most `limit` bytes.
    fn skip_content(&mut self, limit: u64) -> Result<()> {
        let mut skipped = 0u64;
        loop {
            self.look().map_err(body_error)?;
            if self.clear == 0 {
                return Ok(());
            }
            skipped += self.clear as u64;
            if skipped > limit {
                return Err(Error::invalid("no boundary where the multipart body begins"));
            }
            self.consume(self.clear);
        }
    }

    /// Passes the delimiter that [`Lexer::skip_content`] has found.
    fn pass_delimiter(&mut self) -> Result<Delimiter> {
        let Some((kind, width)) = self.hit.take() else { return Err(body_error(no_end())) };
        self.start += width;
        Ok(kind)
    }

    /// The lines up to the empty one, which is passed; both without their line ends.
    fn part_head(&mut self) -> Result<&[u8]> {
        let mut looked = 0;
        loop {
            // An empty head is just the empty line.
            if self.pending().starts_with(b"\r\n") {
                self.start += 2;
                return Ok(&[]);
            }
            if let Some(at) = memmem::find(&self.pending()[looked..], b"\r\n\r\n").map(|at| at + looked) {
                if at + 4 > MAX_PART_HEAD {
                    return Err(head_too_large());
                }
                let head = self.start..self.start + at;
                self.start += at + 4;
                return Ok(&self.buf[head]);
            }
            looked = self.pending().len().saturating_sub(3);
            if self.pending().len() >= MAX_PART_HEAD {
                return Err(head_too_large());
            }
            if !self.fill().map_err(body_error)? {
                return Err(body_error(no_end()));
            }
        }
    }

    /// Reads what follows the closing boundary to the end of the body, so that a body cut off there is noticed and the
    /// connection stays usable.
    fn skip_epilogue(&mut self) -> Result<()> {
        let mut skipped = 0u64;
        loop {
            skipped += self.pending().len() as u64;
            self.start = self.end;
            if skipped > MAX_AROUND {
                return Err(Error::invalid("too much behind the closing boundary"));
            }
            if self.ended || !self.fill().map_err(body_error)? {
                return Ok(());
            }
        }
    }

    /// Reads straight into the caller's buffer and searches there. Called when nothing pending is known to be content.
    fn read_direct(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let held = self.end - self.start;
        let room = buf.len().min(BLOCK);
        buf[..held].copy_from_slice(&self.buf[self.start..self.end]);
        let count = read_some(self.body, &mut buf[held..room])?;
        self.ended = count == 0;
        let block = &buf[..held + count];
        let (clear, hit) = match search(&self.needle, block, self.ended) {
            Searched::Hit(clear, kind, width) => (clear, Some((kind, width))),
            Searched::Clear(clear) => (clear, None),
        };
        let rest = &block[clear..];
        self.buf[..rest.len()].copy_from_slice(rest);
        (self.start, self.end, self.clear, self.hit) = (0, rest.len(), 0, hit);
        if self.ended && hit.is_none() {
            return Err(no_end());
        }
        Ok(clear)
    }
}

impl Read for Lexer<'_> {
    /// The content of the present part; 0 at its end.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.clear == 0 && self.hit.is_none() {
            // What is held aside is at most a delimiter with its padding, unless a part head was just passed.
            if buf.len() >= DIRECT && self.end - self.start < DIRECT / 2 && !self.ended {
                let count = self.read_direct(buf)?;
                if count > 0 {
                    return Ok(count);
                }
            } else {
                self.look()?;
            }
        }
        let count = self.clear.min(buf.len());
        buf[..count].copy_from_slice(&self.buf[self.start..self.start + count]);
        self.consume(count);
        Ok(count)
    }
}

/// One read that is not interrupted.
fn read_some(body: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match body.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// The body ended before its closing boundary.
fn no_end() -> io::Error {
    let error = Error::invalid("the multipart body ends before its closing boundary");
    io::Error::new(io::ErrorKind::UnexpectedEof, error)
}

fn head_too_large() -> Error {
    Error::new(Kind::TooLarge, format!("a part head is larger than {MAX_PART_HEAD} bytes"))
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
