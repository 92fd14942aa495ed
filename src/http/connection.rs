//! One connection's life without blocking: head, collected body, the quick answer, what is left, the end.

use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::answer::{After, Exchange, Outgoing};
use super::head::{BodyLength, Head};
use super::lanes::Direction;
use super::poller::Parked;
use super::readiness::{Interest, Watched};
use super::request::{Body, Request};
use super::response::Response;
use super::server::Engine;
use super::stream::{Stream, is_waiting};
use super::tls::{Shake, Tls};
use super::{Lane, Method, Plan, Service};

/// Requests of one connection answered in a row before others get their turn.
const IN_A_ROW: usize = 32;
/// Bytes asked of a socket at once while a head is expected.
const HEAD_BLOCK: usize = 16 * 1024;
/// The same while a body is collected or thrown away.
const BODY_BLOCK: usize = 64 * 1024;
/// Blocks of a body taken in one turn.
const BLOCKS_IN_A_ROW: usize = 4;
/// Longest body that is collected, whatever the service asks for.
const MAX_COLLECT: u64 = 4 * 1024 * 1024;
/// Most bytes thrown away from a connection that is being closed.
const DYING_BYTES: u64 = 256 * 1024 * 1024;
/// What a connection may hold in memory without being counted.
const FREE_BYTES: usize = 4 * 1024;
/// Most counted bytes over all connections.
const MAX_BUFFERED: usize = 64 * 1024 * 1024;

/// Buffers of one worker thread, used by one connection at a time.
pub(super) struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch { input: vec![0; BODY_BLOCK], output: Vec::with_capacity(HEAD_BLOCK) }
    }
}

/// A place in the table, given back when the connection is gone.
pub(super) struct Seat<S: Service> {
    pub(super) engine: Arc<Engine<S>>,
    pub(super) key: usize,
    /// Counted against the limit per address.
    pub(super) counted: Option<SocketAddr>,
    /// There is no room for it: what its first request is told, so that it hears so over its own encryption.
    pub(super) turned_away: Option<&'static str>,
}

impl<S: Service> Drop for Seat<S> {
    fn drop(&mut self) {
        if let Some(peer) = self.counted {
            self.engine.table.uncount(peer.ip());
        }
        self.engine.table.release(self.key);
    }
}

/// A connection; whoever has the box has the socket to itself.
pub(super) struct Connection<S: Service> {
    // Fields are dropped in this order: the socket leaves the queue, then the table.
    watched: Watched<Arc<TcpStream>>,
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    /// Bytes received behind what was last used.
    pub(super) buffer: Vec<u8>,
    /// How many of them have been looked at for the end of a head.
    checked: usize,
    phase: Phase<S>,
    deadline: Instant,
    /// Bytes counted against [`MAX_BUFFERED`].
    counted: usize,
    /// The time limits of blocking calls are set.
    pub(super) limited: bool,
    seat: Seat<S>,
}

enum Phase<S: Service> {
    /// A TLS handshake goes on; `true`: nothing of it has come.
    Shake(bool),
    /// A head is expected; its first byte came at that time.
    Head(Option<Instant>),
    /// A body is being collected.
    Body(Box<Collect<S>>),
    /// So many bytes of an unread body are to be thrown away before the next head.
    Drain(u64),
    /// An answer did not fit into the socket.
    Sending(Box<Outgoing>),
    /// Everything is said; at most so many bytes are still read, so that the answer is not lost to a reset.
    Dying(u64),
}

struct Collect<S: Service> {
    head: Head,
    plan: Plan<S::Route>,
    bytes: Vec<u8>,
    length: usize,
    since: Instant,
}

/// What a transfer thread is given.
pub(super) enum Job<S: Service> {
    /// Run the handler. `Some`: the body is complete, `None`: it is on the socket.
    Run { connection: Box<Connection<S>>, head: Head, route: S::Route, body: Option<Vec<u8>>, since: Instant },
    /// Send an answer that is large or made while it is sent, from where it is.
    Send { connection: Box<Connection<S>>, outgoing: Box<Outgoing> },
}

/// Whether the worker goes on with the connection.
pub(super) enum Turn<S: Service> {
    Next(Box<Connection<S>>),
    Gone,
}

impl<S: Service> Parked for Connection<S> {
    fn key(&self) -> usize {
        self.seat.key
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_quiet(&self) -> bool {
        // One that is turned away makes no room for another by going.
        self.seat.turned_away.is_none() && matches!(self.phase, Phase::Head(_) | Phase::Shake(_))
    }

    fn arm(&self, interest: Interest) -> std::io::Result<()> {
        self.watched.arm(interest)
    }
}

impl<S: Service> Drop for Connection<S> {
    fn drop(&mut self) {
        self.seat.engine.buffered.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl<S: Service> Connection<S> {
    /// A new connection, encrypted if there is `tls`; it is left waiting for the client's first bytes.
    pub(super) fn admit(
        watched: Watched<Arc<TcpStream>>,
        peer: SocketAddr,
        seat: Seat<S>,
        tls: Option<&Tls>,
    ) -> std::io::Result<()> {
        let stream = match tls {
            Some(tls) => Stream::Secured(tls.session(watched.get().clone())?),
            None => Stream::Plain(watched.get().clone()),
        };
        let mut connection = Box::new(Connection {
            watched,
            stream,
            peer,
            buffer: Vec::new(),
            checked: 0,
            phase: Phase::Head(None),
            deadline: Instant::now(),
            counted: 0,
            limited: false,
            seat,
        });
        if !connection.stream.is_secure() {
            connection.await_head();
        } else if !connection.engine().is_stopping() {
            // One time limit for the whole handshake, as for a head.
            connection.deadline = Instant::now() + connection.engine().settings.head_timeout;
            connection.phase = Phase::Shake(true);
            connection.park(Interest::Read);
        }
        Ok(())
    }

    pub(super) fn engine(&self) -> &Engine<S> {
        &self.seat.engine
    }

    /// The engine, to be used after the connection has been given away.
    pub(super) fn shared_engine(&self) -> Arc<Engine<S>> {
        self.seat.engine.clone()
    }

    /// Goes on after an event.
    pub(super) fn turn(mut self: Box<Self>, scratch: &mut Scratch) {
        match std::mem::replace(&mut self.phase, Phase::Head(None)) {
            Phase::Shake(fresh) => self.on_shake(fresh, scratch),
            Phase::Head(since) => self.on_head(since, scratch),
            Phase::Body(collect) => self.on_body(collect, scratch),
            Phase::Drain(left) => self.on_drain(left, scratch),
            Phase::Sending(outgoing) => self.on_room(outgoing, scratch),
            Phase::Dying(left) => self.on_dying(left, scratch),
        }
    }

    /// Ends or answers a connection whose deadline is over.
    pub(super) fn expire(mut self: Box<Self>) {
        const SLOW: &str = "The request came too slowly";
        match std::mem::replace(&mut self.phase, Phase::Head(None)) {
            Phase::Head(None) => self.stream.say_goodbye(),
            Phase::Shake(_) | Phase::Drain(_) | Phase::Dying(_) => {}
            Phase::Head(Some(_)) => self.refuse(None, 408, SLOW),
            Phase::Body(collect) => self.refuse(Some(collect.head), 408, SLOW),
            Phase::Sending(outgoing) => self.break_off(&outgoing),
        }
    }

    /// Waits for the next head. Bytes in the buffer have not been looked at yet.
    pub(super) fn await_head(mut self: Box<Self>) {
        self.phase = Phase::Head(None);
        self.hold(0);
        self.checked = 0;
        self.deadline = Instant::now() + self.engine().settings.idle_timeout;
        if self.engine().is_stopping() {
            return;
        }
        let interest = if self.buffer.is_empty() { Interest::Read } else { Interest::Soon };
        self.park(interest);
    }

    /// Waits for `left` bytes of unread body to be thrown away.
    pub(super) fn await_drain(mut self: Box<Self>, left: u64) {
        let here = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.drain(..here);
        match left - here as u64 {
            0 => self.await_head(),
            left => {
                self.phase = Phase::Drain(left);
                self.deadline = Instant::now() + self.engine().settings.body_timeout;
                self.park(Interest::Read);
            }
        }
    }

    /// Everything is said: reads on for a moment, so that the client sees the answer and not a reset.
    pub(super) fn await_end(mut self: Box<Self>) {
        self.stream.finish_writing();
        self.buffer = Vec::new();
        self.hold(0);
        self.phase = Phase::Dying(DYING_BYTES);
        self.deadline = Instant::now() + self.engine().settings.linger;
        self.park(Interest::Read);
    }

    /// Waits for room to send the rest of an answer.
    pub(super) fn await_room(mut self: Box<Self>, outgoing: Box<Outgoing>) {
        if !self.may_hold(outgoing.held() + self.stream.held()) {
            log::warn!("an answer is broken off: too many clients do not read theirs");
            return self.break_off(&outgoing);
        }
        self.phase = Phase::Sending(outgoing);
        self.deadline = Instant::now() + self.engine().settings.write_timeout;
        self.park(Interest::Write);
    }

    fn park(self: Box<Self>, interest: Interest) {
        // Bytes that were decrypted beside the last ones are no event of the socket.
        let here = interest == Interest::Read && self.stream.has_pending();
        let interest = if here { Interest::Soon } else { interest };
        let engine = self.shared_engine();
        engine.table.park(self, interest);
    }

    fn on_shake(mut self: Box<Self>, fresh: bool, scratch: &mut Scratch) {
        let Stream::Secured(secured) = &self.stream else { return };
        match secured.shake(fresh) {
            Ok(Shake::Done) => {
                let settings = &self.engine().settings;
                let patience = match self.seat.turned_away {
                    None => settings.idle_timeout,
                    Some(_) => settings.head_timeout,
                };
                self.deadline = Instant::now() + patience;
                self.on_head(None, scratch);
            }
            Ok(Shake::Wait(interest)) => {
                self.phase = Phase::Shake(false);
                self.park(interest);
            }
            Ok(Shake::Foreign) => {
                self.stream = Stream::Plain(self.watched.get().clone());
                self.refuse(None, 400, "This port speaks HTTPS");
            }
            Err(error) => log::debug!("{}: the TLS handshake failed: {error}", self.peer),
        }
    }

    fn on_head(mut self: Box<Self>, since: Option<Instant>, scratch: &mut Scratch) {
        let Scratch { input, output } = scratch;
        if since.is_none() && !self.buffer.is_empty() {
            let bytes = std::mem::take(&mut self.buffer);
            return self.requests(&bytes, None, output);
        }
        let Some(block) = input.get_mut(..HEAD_BLOCK) else { return };
        match self.stream.read(block) {
            Ok(0) => self.stream.say_goodbye(),
            Ok(count) => {
                let since = since.or_else(|| Some(Instant::now()));
                let bytes = block.get(..count).unwrap_or_default();
                if self.buffer.is_empty() {
                    self.requests(bytes, since, output);
                } else {
                    let mut whole = std::mem::take(&mut self.buffer);
                    whole.extend_from_slice(bytes);
                    self.requests(&whole, since, output);
                }
            }
            Err(error) if is_waiting(&error) => {
                self.phase = Phase::Head(since);
                self.park(Interest::Read);
            }
            // Reset: nobody is there to be answered.
            Err(_) => {}
        }
    }

    /// Answers the requests in `bytes`, one after the other.
    fn requests(mut self: Box<Self>, bytes: &[u8], since: Option<Instant>, output: &mut Vec<u8>) {
        let mut since = since.unwrap_or_else(Instant::now);
        let mut rest = bytes;
        for _ in 0..IN_A_ROW {
            if rest.is_empty() {
                return self.await_head();
            }
            let (head, used) = match Head::parse_from(rest, &mut self.checked) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.buffer = rest.to_vec();
                    if !self.may_hold(self.buffer.len()) {
                        return self.refuse(None, 503, "The server is busy");
                    }
                    self.deadline = since + self.engine().settings.head_timeout;
                    self.phase = Phase::Head(Some(since));
                    return self.park(Interest::Read);
                }
                Err(refusal) => return self.refuse(None, refusal.status, refusal.message),
            };
            if let Some(message) = self.seat.turned_away {
                return self.refuse(Some(head), 503, message);
            }
            self.checked = 0;
            rest = rest.get(used..).unwrap_or_default();
            match self.request(head, &mut rest, output) {
                Turn::Next(connection) => self = connection,
                Turn::Gone => return,
            }
            since = Instant::now();
        }
        self.buffer = rest.to_vec();
        self.await_head();
    }

    /// One request: answered here, collected, or given to the transfer lane. `rest` is what came behind its head.
    fn request(mut self: Box<Self>, head: Head, rest: &mut &[u8], output: &mut Vec<u8>) -> Turn<S> {
        let now = Instant::now();
        let plan = match guarded(|| self.engine().service.plan(&head)) {
            Some(plan) => plan,
            None => {
                self.refuse(Some(head), 500, "Internal error");
                return Turn::Gone;
            }
        };
        let body = match head.body {
            BodyLength::None | BodyLength::Sized(0) => Some(Vec::new()),
            BodyLength::Sized(length) if length <= plan.collect.min(MAX_COLLECT) && !head.expect_continue => {
                let Ok(length) = usize::try_from(length) else { return Turn::Gone };
                if let Some((body, behind)) = rest.split_at_checked(length) {
                    *rest = behind;
                    Some(body.to_vec())
                } else {
                    let collect = Collect { head, plan, bytes: rest.to_vec(), length, since: now };
                    self.await_body(Box::new(collect));
                    return Turn::Gone;
                }
            }
            BodyLength::Sized(_) | BodyLength::Chunked => None,
        };
        match (plan.lane, body) {
            (Lane::Quick, Some(body)) => self.answer_here(head, plan.route, body, now, rest, output),
            (_, body) => {
                self.buffer = rest.to_vec();
                self.hand_over(head, plan.route, body, now);
                Turn::Gone
            }
        }
    }

    fn answer_here(
        self: Box<Self>,
        head: Head,
        route: S::Route,
        body: Vec<u8>,
        since: Instant,
        rest: &[u8],
        output: &mut Vec<u8>,
    ) -> Turn<S> {
        let keep_alive = head.keep_alive;
        let (response, exchange) = self.answer(head, route, Body::complete(body), since);
        let after = match keep_alive && !self.engine().is_stopping() {
            true => After::Keep,
            // A client that wanted to go on may have sent more already.
            false => After::Close { linger: keep_alive || !rest.is_empty() },
        };
        self.send(response, exchange, after, rest, output)
    }

    /// Gives a request to the transfer lane, or answers 503.
    fn hand_over(self: Box<Self>, head: Head, route: S::Route, body: Option<Vec<u8>>, since: Instant) {
        let direction = match head.method {
            Method::Get | Method::Head => Direction::Down,
            _ => Direction::Up,
        };
        let engine = self.shared_engine();
        let lane = if body.is_some() { &engine.complete } else { &engine.transfers };
        let job = Job::Run { connection: self, head, route, body, since };
        if let Err(job) = lane.push(direction, job, Job::run) {
            job.refuse();
        }
    }

    /// Runs the handler; whatever happens there is an answer.
    pub(super) fn answer(&self, mut head: Head, route: S::Route, body: Body, since: Instant) -> (Response, Exchange) {
        let number = self.engine().next_number();
        let proxies = &self.engine().settings.proxies;
        let (peer, secure) = proxies.look_through(self.peer, self.stream.is_secure(), &mut head);
        let mut request = Request::new(head, peer, number, body);
        request.secure = secure;
        let answer = guarded(|| self.engine().service.answer(route, &mut request));
        let response = answer.unwrap_or_else(|| {
            log::error!("request {number}: the handler panicked");
            self.engine().refusal(Some(&request.head), 500, &format!("Internal error (request {number})"))
        });
        let (head, _, note) = request.into_parts();
        (response, Exchange { head: Some(head), peer, note, number, since })
    }

    /// Answers in the engine's own name and ends the connection.
    pub(super) fn refuse(self: Box<Self>, head: Option<Head>, status: u16, message: &str) {
        let number = self.engine().next_number();
        let mut response = self.engine().refusal(head.as_ref(), status, message).close();
        if status == 503 && !response.has_header("Retry-After") {
            response = response.header("Retry-After", "2");
        }
        let exchange = Exchange { head, peer: self.peer, note: String::new(), number, since: Instant::now() };
        // The connection may come from a thread that blocks on it.
        if self.stream.set_nonblocking(true).is_ok() {
            self.send(response, exchange, After::Close { linger: true }, &[], &mut Vec::new());
        }
    }

    fn await_body(mut self: Box<Self>, collect: Box<Collect<S>>) {
        if !self.may_hold(collect.bytes.capacity()) {
            return self.refuse(Some(collect.head), 503, "The server is busy");
        }
        self.phase = Phase::Body(collect);
        self.deadline = Instant::now() + self.engine().settings.body_timeout;
        self.park(Interest::Read);
    }

    fn on_body(self: Box<Self>, mut collect: Box<Collect<S>>, scratch: &mut Scratch) {
        let Scratch { input, output } = scratch;
        for _ in 0..BLOCKS_IN_A_ROW {
            let missing = collect.length - collect.bytes.len();
            let room = missing.min(input.len());
            let Some(block) = input.get_mut(..room) else { return };
            match self.stream.read(block) {
                Ok(0) => return self.refuse(Some(collect.head), 400, "The request body ended early"),
                Ok(count) => {
                    collect.bytes.extend_from_slice(block.get(..count).unwrap_or_default());
                    if count == missing {
                        let Collect { head, plan, bytes, since, .. } = *collect;
                        if plan.lane == Lane::Transfer {
                            return self.hand_over(head, plan.route, Some(bytes), since);
                        }
                        if let Turn::Next(connection) = self.answer_here(head, plan.route, bytes, since, &[], output) {
                            connection.await_head();
                        }
                        return;
                    }
                }
                Err(error) if is_waiting(&error) => break,
                Err(_) => return,
            }
        }
        if self.engine().patience().is_over(collect.since.elapsed(), collect.bytes.len() as u64) {
            return self.refuse(Some(collect.head), 408, "The request body came too slowly");
        }
        self.await_body(collect);
    }

    fn on_drain(self: Box<Self>, left: u64, scratch: &mut Scratch) {
        let room = scratch.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(block) = scratch.input.get_mut(..room) else { return };
        match self.stream.read(block) {
            Ok(0) => {}
            Ok(count) => self.await_drain(left - count as u64),
            Err(error) if is_waiting(&error) => self.await_drain(left),
            Err(_) => {}
        }
    }

    fn on_room(self: Box<Self>, outgoing: Box<Outgoing>, scratch: &mut Scratch) {
        if outgoing.is_large() {
            let engine = self.shared_engine();
            let job = Job::Send { connection: self, outgoing };
            if let Err(job) = engine.transfers.push_again(Direction::Down, job, Job::run) {
                job.refuse();
            }
        } else if let Turn::Next(connection) = self.go_on(*outgoing, &[], &mut scratch.output) {
            connection.await_head();
        }
    }

    fn on_dying(mut self: Box<Self>, mut left: u64, scratch: &mut Scratch) {
        for _ in 0..BLOCKS_IN_A_ROW {
            match self.stream.read(&mut scratch.input) {
                Ok(count @ 1..) if count as u64 <= left => left -= count as u64,
                Err(error) if is_waiting(&error) => break,
                _ => return,
            }
        }
        self.phase = Phase::Dying(left);
        self.park(Interest::Read);
    }

    /// Counts `bytes` held for this connection until it waits for its next request; false when all connections together hold too many.
    fn may_hold(&mut self, bytes: usize) -> bool {
        let grown = bytes.saturating_sub(FREE_BYTES) > self.counted;
        let total = self.hold(bytes.saturating_sub(FREE_BYTES));
        !(grown && total > MAX_BUFFERED && total > self.counted)
    }

    fn hold(&mut self, counted: usize) -> usize {
        let old = std::mem::replace(&mut self.counted, counted);
        let buffered = &self.engine().buffered;
        if counted == old {
            buffered.load(Ordering::Relaxed)
        } else if counted > old {
            buffered.fetch_add(counted - old, Ordering::Relaxed) + (counted - old)
        } else {
            buffered.fetch_sub(old - counted, Ordering::Relaxed) - (old - counted)
        }
    }
}

/// Runs a call into the service; `None` when it panicked.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    // What a panicking handler leaves half-changed is its request, which is not used by it any more.
    catch_unwind(AssertUnwindSafe(call)).ok()
}
