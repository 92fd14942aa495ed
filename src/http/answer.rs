//! Sending answers without waiting: small ones at once, large ones block by block on the transfer lane. A client that
//! does not read parks its answer and holds no thread.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::SocketAddr;
use std::time::Instant;

use super::body::{Incoming, Rest};
use super::connection::{Connection, Job, Turn, guarded};
use super::head::{BodyLength, Head};
use super::lanes::Direction;
use super::request::Body;
use super::response::{Bytes, Context, Framing, Payload, Response, Source, status};
use super::stream::{Stream, is_waiting};
use super::{Access, Method, Service};
use crate::error::{Error, Kind};

/// Up to this size a source is read at once, and head and body leave together in one write.
const SMALL: u64 = 64 * 1024;
/// Bodies in memory up to this size are copied behind their head; larger ones are written from where they are.
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

impl After {
    fn close(self) -> After {
        match self {
            After::Keep | After::Drain(_) => After::Close { linger: true },
            close => close,
        }
    }
}

/// A request while it is answered, as the access log wants it.
pub(super) struct Exchange {
    pub(super) head: Option<Head>,
    /// For whom it was asked.
    pub(super) peer: SocketAddr,
    pub(super) note: String,
    pub(super) number: u64,
    pub(super) since: Instant,
}

/// An answer on its way.
pub(super) struct Outgoing {
    exchange: Exchange,
    after: After,
    status: u16,
    /// Bytes ready to leave, from `at` on: the head, a block of the body, or both.
    ready: Vec<u8>,
    at: usize,
    /// How many of the ready bytes are body.
    in_ready: u64,
    /// The body behind them.
    body: Behind,
    /// Bytes of body that have left.
    sent: u64,
    /// Any byte of it has left.
    begun: bool,
}

enum Behind {
    Nothing,
    Bytes(Bytes, usize),
    Source {
        source: Box<dyn Source>,
        at: u64,
        end: u64,
    },
    /// `left`: what was promised and not yet read; `None`: unknown.
    Stream {
        reader: Box<dyn Read + Send>,
        left: Option<u64>,
        chunked: bool,
    },
}

/// How far sending came.
enum Progress {
    Done,
    /// The socket has no room.
    Full,
}

impl Outgoing {
    /// Encodes the head into `ready`, an old buffer.
    fn new(response: Response, exchange: Exchange, after: After, mut ready: Vec<u8>) -> Outgoing {
        let mut after = if response.closes() { after.close() } else { after };
        let context = Context {
            minor: exchange.head.as_ref().map_or(1, |head| head.minor),
            head_only: exchange.head.as_ref().is_some_and(|head| head.method == Method::Head),
            keep_alive: !matches!(after, After::Close { .. }),
        };
        ready.clear();
        let status = response.status;
        let framing = response.encode_head(&mut ready, context);
        if framing == Framing::UntilClose {
            after = after.close();
        }
        let mut in_ready = 0;
        let body = match (framing, response.into_payload()) {
            (Framing::None | Framing::Length(0), _) | (_, Payload::Empty) => Behind::Nothing,
            (_, Payload::Bytes(bytes)) if bytes.len() <= COPIED => {
                ready.extend_from_slice(&bytes);
                in_ready = bytes.len() as u64;
                Behind::Nothing
            }
            (_, Payload::Bytes(bytes)) => Behind::Bytes(bytes, 0),
            (_, Payload::Source { source, start, length }) => {
                Behind::Source { source, at: start, end: start.saturating_add(length) }
            }
            (framing, Payload::Stream { reader, length }) => {
                Behind::Stream { reader, left: length, chunked: framing == Framing::Chunked }
            }
        };
        Outgoing { exchange, after, status, ready, at: 0, in_ready, body, sent: 0, begun: false }
    }

    /// Whether making it may take long: such an answer belongs to the transfer lane.
    pub(super) fn is_large(&self) -> bool {
        match &self.body {
            Behind::Nothing | Behind::Bytes(..) => false,
            Behind::Source { source, at, end } => end - at > SMALL || source.waits(),
            Behind::Stream { .. } => true,
        }
    }

    /// Whether any byte of it has left.
    fn has_begun(&self) -> bool {
        self.begun
    }

    /// Reads the first block of a source behind the head. What fails here can still be told to the client.
    fn prepare(&mut self, stream: &Stream) -> io::Result<()> {
        let Behind::Source { source, at, end } = &mut self.body else { return Ok(()) };
        if *end - *at > SMALL && can_send_file(stream, &**source) {
            return Ok(());
        }
        let filled = self.ready.len();
        let room = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(BLOCK);
        self.ready.resize(filled + room, 0);
        let mut block = self.ready.get_mut(filled..).unwrap_or_default();
        while !block.is_empty() {
            let count = read_some(&mut **source, *at, block)?;
            *at += count as u64;
            self.in_ready += count as u64;
            block = block.get_mut(count..).unwrap_or_default();
            if source.waits() {
                break;
            }
        }
        let unused = block.len();
        self.ready.truncate(self.ready.len() - unused);
        if at == end {
            self.body = Behind::Nothing;
        }
        Ok(())
    }

    /// Sends until all has left or the socket is full.
    fn advance(&mut self, stream: &Stream) -> io::Result<Progress> {
        loop {
            if let Progress::Full = self.flush(stream)? {
                return Ok(Progress::Full);
            }
            match &mut self.body {
                Behind::Nothing | Behind::Bytes(..) => return Ok(Progress::Done),
                Behind::Source { source, at, end } => {
                    if at == end {
                        return Ok(Progress::Done);
                    }
                    #[cfg(target_os = "linux")]
                    if let (Some(file), Some(socket)) = (source.file(), stream.plain()) {
                        match send_file(socket, file, at, *end) {
                            Ok(count) => {
                                self.begun = true;
                                self.sent += count;
                            }
                            Err(error) if is_waiting(&error) => return Ok(Progress::Full),
                            Err(error) => return Err(error),
                        }
                        continue;
                    }
                    let room = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(BLOCK);
                    self.ready.resize(room, 0);
                    let count = read_some(&mut **source, *at, &mut self.ready)?;
                    self.ready.truncate(count);
                    *at += count as u64;
                    self.in_ready = count as u64;
                }
                Behind::Stream { reader, left, chunked } => {
                    let promised = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
                    let before = if *chunked { CHUNK_HEAD } else { 0 };
                    self.ready.resize(before + promised.min(BLOCK), 0);
                    let block = self.ready.get_mut(before..).unwrap_or_default();
                    let count = if promised == 0 { 0 } else { read_stream(&mut **reader, block)? };
                    if count == 0 && left.is_some_and(|left| left > 0) {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    *left = left.map(|left| left - count as u64);
                    self.ready.truncate(before + count);
                    self.in_ready = count as u64;
                    if *chunked {
                        self.at = frame_chunk(&mut self.ready, count);
                    }
                    if count == 0 {
                        self.body = Behind::Nothing;
                    }
                }
            }
        }
    }

    /// Sends what is ready, and bytes in memory.
    fn flush(&mut self, stream: &Stream) -> io::Result<Progress> {
        loop {
            let ready = self.ready.get(self.at..).unwrap_or_default();
            let bytes = match &self.body {
                Behind::Bytes(bytes, at) => bytes.get(*at..).unwrap_or_default(),
                _ => &[],
            };
            let result = match (ready.is_empty(), bytes.is_empty()) {
                (true, true) => break,
                (false, true) => stream.write(ready),
                (true, false) => stream.write(bytes),
                (false, false) => stream.write_vectored(&[IoSlice::new(ready), IoSlice::new(bytes)]),
            };
            let count = match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if is_waiting(&error) => return Ok(Progress::Full),
                Err(error) => return Err(error),
            };
            self.begun = true;
            let of_ready = count.min(ready.len());
            self.at += of_ready;
            if let Behind::Bytes(_, at) = &mut self.body {
                *at += count - of_ready;
                self.sent += (count - of_ready) as u64;
            }
        }
        self.sent += std::mem::take(&mut self.in_ready);
        self.ready.clear();
        self.at = 0;
        match stream.flush() {
            Ok(()) => Ok(Progress::Done),
            Err(error) if is_waiting(&error) => Ok(Progress::Full),
            Err(error) => Err(error),
        }
    }

    /// Keeps no more than what is still to leave, and gives the buffer back.
    fn pack(&mut self) -> Vec<u8> {
        let rest = self.ready.get(self.at..).unwrap_or_default().to_vec();
        self.at = 0;
        // The head may have left with a part of the block; from here on it is one thing.
        self.in_ready = self.in_ready.min(rest.len() as u64);
        std::mem::replace(&mut self.ready, rest)
    }

    /// Bytes held while it waits.
    pub(super) fn held(&self) -> usize {
        let owned = if let Behind::Bytes(Bytes::Owned(bytes), _) = &self.body { bytes.len() } else { 0 };
        self.ready.len() + owned
    }
}

impl<S: Service> Connection<S> {
    /// Sends an answer: what is small from here, what is large from the transfer lane. `rest` is what the client sent
    /// behind the request; `buffer` an old buffer.
    pub(super) fn send(
        mut self: Box<Self>,
        response: Response,
        exchange: Exchange,
        after: After,
        rest: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Turn<S> {
        let outgoing = Outgoing::new(response, exchange, after, std::mem::take(buffer));
        if !outgoing.is_large() {
            return self.begin(outgoing, rest, buffer);
        }
        self.buffer = rest.to_vec();
        let engine = self.shared_engine();
        let job = Job::Send { connection: self, outgoing: Box::new(outgoing) };
        if let Err(job) = engine.transfers.push(Direction::Down, job, Job::run) {
            job.refuse();
        }
        Turn::Gone
    }

    /// Sends an answer of which nothing has left yet.
    fn begin(self: Box<Self>, mut outgoing: Outgoing, rest: &[u8], buffer: &mut Vec<u8>) -> Turn<S> {
        if let Err(error) = outgoing.prepare(&self.stream) {
            let Outgoing { exchange, after, .. } = outgoing;
            let response = match error.downcast::<Error>() {
                // What the source waited for does not come, and says why.
                Ok(error) if error.kind != Kind::Internal => {
                    let response = self.engine().refusal(exchange.head.as_ref(), status(error.kind), &error.message);
                    match (error.kind, error.retry_after) {
                        (Kind::Busy, seconds) => response.header("Retry-After", seconds.unwrap_or(1).to_string()),
                        _ => response,
                    }
                }
                error => {
                    let error = error.map_or_else(|error| error.to_string(), |error| format!("{error:?}"));
                    log::error!("request {}: the answer could not be read: {error}", exchange.number);
                    let message = format!("Internal error (request {})", exchange.number);
                    self.engine().refusal(exchange.head.as_ref(), 500, &message)
                }
            };
            outgoing = Outgoing::new(response, exchange, after, Vec::new());
            if outgoing.is_large() {
                outgoing.body = Behind::Nothing;
                outgoing.after = After::Close { linger: true };
            }
        }
        self.go_on(outgoing, rest, buffer)
    }

    /// Sends more of an answer; `Next` when it has left and the connection goes on.
    pub(super) fn go_on(mut self: Box<Self>, mut outgoing: Outgoing, rest: &[u8], buffer: &mut Vec<u8>) -> Turn<S> {
        match outgoing.advance(&self.stream) {
            Ok(Progress::Done) => {
                self.log(&outgoing, false);
                *buffer = outgoing.ready;
                match outgoing.after {
                    After::Keep => return Turn::Next(self),
                    After::Drain(left) => self.await_drain(left),
                    After::Close { linger: true } => self.await_end(),
                    After::Close { linger: false } => self.stream.say_goodbye(),
                }
            }
            Ok(Progress::Full) => {
                if !rest.is_empty() {
                    self.buffer = rest.to_vec();
                }
                *buffer = outgoing.pack();
                self.await_room(Box::new(outgoing));
            }
            Err(error) => {
                log::debug!("request {}: the answer broke off: {error}", outgoing.exchange.number);
                self.break_off(&outgoing);
            }
        }
        Turn::Gone
    }

    /// The answer ends here, unfinished; the caller drops the connection.
    pub(super) fn break_off(&self, outgoing: &Outgoing) {
        self.log(outgoing, true);
    }

    /// The access log.
    fn log(&self, outgoing: &Outgoing, broken: bool) {
        let exchange = &outgoing.exchange;
        let access = Access {
            number: exchange.number,
            peer: exchange.peer,
            head: exchange.head.as_ref(),
            note: &exchange.note,
            status: outgoing.status,
            bytes: outgoing.sent,
            elapsed: exchange.since.elapsed(),
            broken,
        };
        if guarded(|| self.engine().service.log(&access)).is_none() {
            log::error!("request {}: the access log panicked", exchange.number);
        }
    }

    /// Runs a handler that reads its body from the socket, which blocks meanwhile. `None`: the socket is gone.
    fn answer_streaming(&mut self, head: Head, route: S::Route, since: Instant) -> Option<(Response, Exchange, Rest)> {
        self.block().ok()?;
        let engine = self.shared_engine();
        let buffer = std::mem::take(&mut self.buffer);
        let (length, promise) = (head.body, head.expect_continue);
        let incoming = Incoming::new(self.stream.clone(), buffer, length, promise, engine.patience());
        let length = if let BodyLength::Sized(length) = length { Some(length) } else { None };
        let body = Body::streaming(Box::new(incoming.reader()), length);
        let (mut response, exchange) = self.answer(head, route, body, since);
        if incoming.failure() == Some(ErrorKind::TimedOut) {
            response = engine.refusal(exchange.head.as_ref(), 408, "The request body came too slowly");
        }
        self.stream.set_nonblocking(true).ok()?;
        Some((response, exchange, incoming.finish()))
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
}

thread_local! {
    /// One block per transfer thread, made at its first large answer.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Service> Job<S> {
    /// Does the job; runs on a transfer thread.
    pub(super) fn run(self) {
        let mut buffer = BUFFER.take();
        let turn = match self {
            Job::Run { mut connection, head, route, body, since } => {
                let keep_alive = head.keep_alive;
                let answered = match body {
                    Some(body) => {
                        let (response, exchange) = connection.answer(head, route, Body::complete(body), since);
                        Some((response, exchange, Rest::Finished(std::mem::take(&mut connection.buffer))))
                    }
                    None => connection.answer_streaming(head, route, since),
                };
                let Some((response, exchange, rest)) = answered else { return };
                let after = match rest {
                    Rest::Finished(rest) => {
                        let linger = keep_alive || !rest.is_empty();
                        connection.buffer = rest;
                        if keep_alive && !connection.engine().is_stopping() {
                            After::Keep
                        } else {
                            After::Close { linger }
                        }
                    }
                    Rest::Left(left, rest) if keep_alive && left <= MAX_DRAIN => {
                        connection.buffer = rest;
                        After::Drain(left)
                    }
                    Rest::Left(..) | Rest::Unknown => After::Close { linger: true },
                };
                let outgoing = Outgoing::new(response, exchange, after, std::mem::take(&mut buffer));
                connection.begin(outgoing, &[], &mut buffer)
            }
            Job::Send { connection, outgoing } if !outgoing.has_begun() => {
                connection.begin(*outgoing, &[], &mut buffer)
            }
            Job::Send { connection, outgoing } => connection.go_on(*outgoing, &[], &mut buffer),
        };
        if let Turn::Next(connection) = turn {
            connection.await_head();
        }
        BUFFER.set(buffer);
    }

    /// Answers that there is no room for it.
    pub(super) fn refuse(self) {
        const BUSY: &str = "Too many transfers at once";
        match self {
            Job::Run { connection, head, .. } => connection.refuse(Some(head), 503, BUSY),
            Job::Send { connection, outgoing } if outgoing.has_begun() => connection.break_off(&outgoing),
            Job::Send { connection, outgoing } => connection.refuse(outgoing.exchange.head, 503, BUSY),
        }
    }
}

#[cfg(target_os = "linux")]
fn can_send_file(stream: &Stream, source: &dyn Source) -> bool {
    source.file().is_some() && stream.plain().is_some()
}

#[cfg(not(target_os = "linux"))]
fn can_send_file(_: &Stream, _: &dyn Source) -> bool {
    false
}

/// Lets the system send a part of a file, from `at` up to `end`, as much as the socket takes at once.
#[cfg(target_os = "linux")]
fn send_file(socket: &std::net::TcpStream, file: &std::fs::File, at: &mut u64, end: u64) -> io::Result<u64> {
    let room = usize::try_from(end - *at).unwrap_or(usize::MAX).min(FILE_BLOCK);
    loop {
        match rustix::fs::sendfile(socket, file, Some(at), room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(count as u64),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// At least one byte of a source; its end is an error, for more was promised.
fn read_some(source: &mut dyn Source, at: u64, block: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read_at(at, block) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map(|count| count.min(block.len())),
        }
    }
}

fn read_stream(reader: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map(|count| count.min(block.len())),
        }
    }
}

/// Puts the size line before `count` bytes that begin at [`CHUNK_HEAD`] and the line end behind them; no bytes are the
/// end of the body. Answers where the chunk begins.
fn frame_chunk(block: &mut Vec<u8>, count: usize) -> usize {
    let line = format!("{count:x}\r\n");
    let from = CHUNK_HEAD.saturating_sub(line.len());
    if let Some(room) = block.get_mut(from..CHUNK_HEAD) {
        room.copy_from_slice(line.as_bytes());
    }
    block.extend_from_slice(b"\r\n");
    from
}
