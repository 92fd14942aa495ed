//! Sending answers: small ones at once from a quick worker, large ones from a transfer thread that may wait.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Instant;

use super::body::{Incoming, Rest};
use super::connection::{Connection, Job, Turn, guarded};
use super::head::Head;
use super::lanes::Direction;
use super::request::Body;
use super::response::{Bytes, Context, Framing, Payload, Response, Source};
use super::stream::{Stream, is_waiting};
use super::{Access, Method, Service};

/// Up to this size head and body leave together in one write.
const SMALL: u64 = 64 * 1024;
/// Bodies up to this size are copied behind their head; larger ones are written from where they are.
const COPIED: usize = 16 * 1024;
/// Bytes of one block of a large answer.
const BLOCK: usize = 256 * 1024;
/// Bytes the system is asked to send from a file at once.
#[cfg(target_os = "linux")]
const FILE_BLOCK: usize = 1024 * 1024;
/// An unread body of up to this size is read away to keep the connection.
const MAX_DRAIN: u64 = 256 * 1024;
/// Room in front of a block for the size line of a chunk.
const CHUNK_HEAD: usize = 18;

/// What happens to the connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request.
    Keep,
    /// So many unread bytes are thrown away, then the next request.
    Drain(u64),
    /// The end. `linger`: the client may have sent more than we read, so closing at once could cost it the answer.
    Close { linger: bool },
}

/// A request while it is answered, as the access log wants it.
pub(super) struct Exchange {
    pub(super) head: Option<Head>,
    pub(super) note: String,
    pub(super) number: u64,
    pub(super) since: Instant,
}

impl Exchange {
    fn context(&self, after: After) -> Context {
        Context {
            minor: self.head.as_ref().map_or(1, |head| head.minor),
            head_only: self.head.as_ref().is_some_and(|head| head.method == Method::Head),
            keep_alive: !matches!(after, After::Close { .. }),
        }
    }
}

/// An answer in memory that is on its way.
pub(super) struct Sending {
    head: Vec<u8>,
    body: Bytes,
    /// Bytes of both that have left.
    at: usize,
    status: u16,
    exchange: Exchange,
    after: After,
}

impl Sending {
    /// The client does not read: the answer ends here.
    pub(super) fn break_off<S: Service>(&self, connection: &Connection<S>) {
        connection.log(&self.exchange, self.status, self.at.saturating_sub(self.head.len()) as u64, true);
    }
}

impl<S: Service> Connection<S> {
    /// Sends an answer without waiting. What the socket does not take at once is sent when it has room; what is large
    /// or comes from a file moves to the transfer lane. `rest` is what the client sent behind the request.
    pub(super) fn send_here(
        mut self: Box<Self>,
        response: Response,
        exchange: Exchange,
        after: After,
        rest: &[u8],
        output: &mut Vec<u8>,
    ) -> Turn<S> {
        let after = if response.closes() { close(after) } else { after };
        let context = exchange.context(after);
        output.clear();
        let status = response.status;
        let framing = response.encode_head(output, context);
        let large = match (framing, response.payload()) {
            (Framing::None | Framing::Length(0), _) | (_, Payload::Bytes(_) | Payload::Empty) => false,
            (Framing::Length(length), Payload::Source { .. }) => length > SMALL,
            _ => true,
        };
        if large {
            self.buffer = rest.to_vec();
            let engine = self.shared_engine();
            let job = Job::Send { connection: self, response, exchange, after };
            if let Err(job) = engine.transfers.push(Direction::Down, job, Job::run) {
                job.refuse();
            }
            return Turn::Gone;
        }
        let head_length = output.len();
        let body = match (framing, response.into_payload()) {
            (Framing::Length(_), Payload::Bytes(body)) if body.len() > COPIED => Some(body),
            (Framing::Length(_), Payload::Bytes(body)) => {
                output.extend_from_slice(&body);
                None
            }
            (Framing::Length(length), Payload::Source { mut source, start, .. }) => {
                output.resize(head_length + usize::try_from(length).unwrap_or(0), 0);
                let room = output.get_mut(head_length..).unwrap_or_default();
                if let Err(error) = read_exact_at(&mut *source, start, room) {
                    // Nothing has left yet, so the client can be told.
                    log::error!("request {}: the answer could not be read: {error}", exchange.number);
                    let message = format!("Internal error (request {})", exchange.number);
                    let response = self.engine().refusal(exchange.head.as_ref(), 500, &message);
                    return match status {
                        500 => Turn::Gone,
                        _ => self.send_here(response, exchange, after, rest, output),
                    };
                }
                None
            }
            _ => None,
        };
        let written = match &body {
            None => self.stream.write(output),
            Some(body) => self.stream.write_vectored(&[IoSlice::new(output), IoSlice::new(body)]),
        };
        let all = output.len() + body.as_ref().map_or(0, |body| body.len());
        match written {
            Ok(count) if count == all => {
                self.log(&exchange, status, (all - head_length) as u64, false);
                self.quick_end(after)
            }
            Err(error) if !is_waiting(&error) => {
                self.log(&exchange, status, 0, true);
                Turn::Gone
            }
            written => {
                self.buffer = rest.to_vec();
                let (head, body) = match body {
                    Some(body) => (output.clone(), body),
                    None => {
                        let body = output.split_off(head_length.min(output.len()));
                        (output.clone(), Bytes::Owned(body))
                    }
                };
                let at = written.unwrap_or(0);
                self.await_room(Box::new(Sending { head, body, at, status, exchange, after }));
                Turn::Gone
            }
        }
    }

    /// Sends more of an answer after the socket has room again.
    pub(super) fn go_on_sending(self: Box<Self>, mut sending: Box<Sending>) -> Turn<S> {
        let head = sending.head.get(sending.at..).unwrap_or_default();
        let body = sending.body.get(sending.at.saturating_sub(sending.head.len())..).unwrap_or_default();
        match self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
            Ok(0) => sending.break_off(&self),
            Ok(count) if count == head.len() + body.len() => {
                let Sending { body, status, exchange, after, .. } = *sending;
                self.log(&exchange, status, body.len() as u64, false);
                return self.quick_end(after);
            }
            Ok(count) => {
                sending.at += count;
                self.await_room(sending);
            }
            Err(error) if is_waiting(&error) => self.await_room(sending),
            Err(_) => sending.break_off(&self),
        }
        Turn::Gone
    }

    /// What follows an answer sent without waiting.
    fn quick_end(self: Box<Self>, after: After) -> Turn<S> {
        match after {
            After::Keep => return Turn::Next(self),
            After::Drain(left) => self.await_drain(left),
            After::Close { linger: true } => self.await_end(),
            After::Close { linger: false } => {}
        }
        Turn::Gone
    }

    /// The access log.
    pub(super) fn log(&self, exchange: &Exchange, status: u16, bytes: u64, broken: bool) {
        let access = Access {
            number: exchange.number,
            peer: self.peer,
            head: exchange.head.as_ref(),
            note: &exchange.note,
            status,
            bytes,
            elapsed: exchange.since.elapsed(),
            broken,
        };
        if guarded(|| self.engine().service.log(&access)).is_none() {
            log::error!("request {}: the access log panicked", exchange.number);
        }
    }

    /// Lets calls wait for the client, within limits.
    fn block(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        if !self.limited {
            let settings = &self.engine().settings;
            self.stream.set_limits(settings.body_timeout, settings.write_timeout)?;
            self.limited = true;
        }
        Ok(())
    }

    /// Sends an answer of any kind from a thread that may wait, then gives the connection back.
    fn send_waiting(self: Box<Self>, response: Response, exchange: Exchange, after: After) {
        let after = if response.closes() || self.engine().is_stopping() { close(after) } else { after };
        let (status, mut sent) = (response.status, 0);
        let mut until_close = false;
        let result = BUFFER.with_borrow_mut(|buffer| {
            send_all(&self.stream, response, exchange.context(after), buffer, &mut sent, &mut until_close)
        });
        if let Err(error) = &result {
            log::debug!("request {}: the answer broke off: {error}", exchange.number);
        }
        self.log(&exchange, status, sent, result.is_err());
        if result.is_err() || self.stream.set_nonblocking(true).is_err() {
            return;
        }
        match if until_close { close(after) } else { after } {
            After::Keep => self.await_head(),
            After::Drain(left) => self.await_drain(left),
            After::Close { linger: true } => self.await_end(),
            After::Close { linger: false } => {}
        }
    }
}

thread_local! {
    /// One block per transfer thread, made at its first large answer.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Service> Job<S> {
    /// Does the job; runs on a transfer thread.
    pub(super) fn run(self) {
        match self {
            Job::Run { mut connection, head, route, body, since } => {
                if connection.block().is_err() {
                    return;
                }
                let keep_alive = head.keep_alive;
                let engine = connection.shared_engine();
                let (mut response, exchange, rest) = match body {
                    Some(body) => {
                        let (response, exchange) = connection.answer(head, route, Body::complete(body), since);
                        (response, exchange, Rest::Finished(std::mem::take(&mut connection.buffer)))
                    }
                    None => {
                        let buffer = std::mem::take(&mut connection.buffer);
                        let (length, promise) = (head.body, head.expect_continue);
                        let stream = connection.stream.clone();
                        let incoming = Incoming::new(stream, buffer, length, promise, engine.patience());
                        let length = match length {
                            super::BodyLength::Sized(length) => Some(length),
                            _ => None,
                        };
                        let body = Body::streaming(Box::new(incoming.reader()), length);
                        let (mut response, exchange) = connection.answer(head, route, body, since);
                        let failure = incoming.failure();
                        let rest = incoming.finish();
                        if failure == Some(ErrorKind::TimedOut) {
                            let message = "The request body came too slowly";
                            response = engine.refusal(exchange.head.as_ref(), 408, message);
                        }
                        (response, exchange, rest)
                    }
                };
                let after = match rest {
                    Rest::Finished(buffer) => {
                        let linger = keep_alive || !buffer.is_empty();
                        connection.buffer = buffer;
                        if keep_alive { After::Keep } else { After::Close { linger } }
                    }
                    Rest::Left(left, buffer) if keep_alive && left <= MAX_DRAIN => {
                        connection.buffer = buffer;
                        After::Drain(left)
                    }
                    Rest::Left(..) | Rest::Unknown => After::Close { linger: true },
                };
                if matches!(after, After::Close { .. }) {
                    response = response.close();
                }
                connection.send_waiting(response, exchange, after);
            }
            Job::Send { mut connection, response, exchange, after } => {
                if connection.block().is_ok() {
                    connection.send_waiting(response, exchange, after);
                }
            }
        }
    }

    /// Answers that there is no room for it.
    pub(super) fn refuse(self) {
        const BUSY: &str = "Too many transfers at once";
        match self {
            Job::Run { connection, head, .. } => connection.refuse(Some(head), 503, BUSY),
            Job::Send { connection, exchange, .. } => connection.refuse(exchange.head, 503, BUSY),
        }
    }
}

fn close(after: After) -> After {
    match after {
        After::Keep | After::Drain(_) => After::Close { linger: true },
        close => close,
    }
}

/// Head and body to a stream that waits; counts the bytes of body in `sent`.
fn send_all(
    stream: &Stream,
    response: Response,
    context: Context,
    buffer: &mut Vec<u8>,
    sent: &mut u64,
    until_close: &mut bool,
) -> io::Result<()> {
    buffer.clear();
    let framing = response.encode_head(buffer, context);
    *until_close = framing == Framing::UntilClose;
    let head_length = buffer.len();
    match (framing, response.into_payload()) {
        (Framing::None | Framing::Length(0), _) | (_, Payload::Empty) => write_all(stream, buffer),
        (_, Payload::Bytes(body)) => {
            let (mut head, mut rest) = (&buffer[..], &body[..]);
            while !head.is_empty() || !rest.is_empty() {
                let slice = rest.get(..BLOCK).unwrap_or(rest);
                let count = written(stream.write_vectored(&[IoSlice::new(head), IoSlice::new(slice)]))?;
                let of_head = count.min(head.len());
                head = head.get(of_head..).unwrap_or_default();
                rest = rest.get(count - of_head..).unwrap_or_default();
                *sent += (count - of_head) as u64;
            }
            Ok(())
        }
        (_, Payload::Source { mut source, start, length }) => {
            #[cfg(target_os = "linux")]
            if let (true, Some(file), Some(socket)) = (length > SMALL, source.file(), stream.plain()) {
                write_all(stream, buffer)?;
                return send_file(socket, file, start, length, sent);
            }
            let (mut at, end) = (start, start.saturating_add(length));
            // The head leaves together with the first block.
            let mut filled = head_length;
            buffer.resize(BLOCK.max(head_length + SMALL as usize), 0);
            while at < end {
                let room = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len() - filled);
                let block = buffer.get_mut(filled..filled + room).unwrap_or_default();
                let count = source.read_at(at, block)?;
                if count == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                at += count as u64;
                write_all(stream, buffer.get(..filled + count).unwrap_or_default())?;
                *sent += count as u64;
                filled = 0;
            }
            Ok(())
        }
        (framing, Payload::Stream { mut reader, .. }) => {
            write_all(stream, buffer)?;
            let mut left = match framing {
                Framing::Length(length) => Some(length),
                _ => None,
            };
            buffer.resize(CHUNK_HEAD + BLOCK + 2, 0);
            loop {
                let room = left.map_or(BLOCK, |left| usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK));
                if room == 0 {
                    return Ok(());
                }
                let count = match reader.read(&mut buffer[CHUNK_HEAD..CHUNK_HEAD + room]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read?,
                };
                match (framing, count) {
                    (Framing::Chunked, 0) => return write_all(stream, b"0\r\n\r\n"),
                    (Framing::Length(_), 0) => return Err(ErrorKind::UnexpectedEof.into()),
                    (_, 0) => return Ok(()),
                    (Framing::Chunked, _) => {
                        let size = format!("{count:x}\r\n");
                        let from = CHUNK_HEAD - size.len();
                        buffer[from..CHUNK_HEAD].copy_from_slice(size.as_bytes());
                        buffer[CHUNK_HEAD + count..CHUNK_HEAD + count + 2].copy_from_slice(b"\r\n");
                        write_all(stream, &buffer[from..CHUNK_HEAD + count + 2])?;
                    }
                    _ => write_all(stream, &buffer[CHUNK_HEAD..CHUNK_HEAD + count])?,
                }
                *sent += count as u64;
                left = left.map(|left| left - count as u64);
            }
        }
    }
}

/// Lets the system send a part of a file.
#[cfg(target_os = "linux")]
fn send_file(
    socket: &std::net::TcpStream,
    file: &std::fs::File,
    start: u64,
    length: u64,
    sent: &mut u64,
) -> io::Result<()> {
    let mut offset = start;
    let end = start.saturating_add(length);
    while offset < end {
        let count = usize::try_from(end - offset).unwrap_or(usize::MAX).min(FILE_BLOCK);
        match rustix::fs::sendfile(socket, file, Some(&mut offset), count) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => *sent += count as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn write_all(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let block = bytes.get(..BLOCK).unwrap_or(bytes);
        let count = written(stream.write(block))?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        result => result,
    }
}

fn read_exact_at(source: &mut dyn Source, start: u64, mut room: &mut [u8]) -> io::Result<()> {
    let mut at = start;
    while !room.is_empty() {
        match source.read_at(at, room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                at += count as u64;
                room = room.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
