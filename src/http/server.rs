//! Starting and stopping: listeners, the keeper that accepts and watches deadlines, the quick workers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::body::Patience;
use super::connection::{Connection, Job, Scratch, Seat, guarded};
use super::head::Head;
use super::lanes::{Bounds, Lane};
use super::poller::Table;
use super::proxy::Proxies;
use super::readiness::{Event, Interest, Readiness, Watched};
use super::response::{Context, Response};
use super::stream::is_waiting;
use super::tls::Tls;
use super::{Access, Service};

/// Connections the system keeps for us while we are not accepting.
const BACKLOG: i32 = 1024;
/// Connections accepted in a row before deadlines are looked at.
const ACCEPTS_IN_A_ROW: usize = 256;
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often deadlines are looked at while there are connections.
const TICK: Duration = Duration::from_millis(200);
/// The same while stopping.
const STOP_TICK: Duration = Duration::from_millis(10);
/// Descriptors that are never given to connections: files, the database, listeners.
const RESERVED_DESCRIPTORS: usize = 64;
/// How long a job may wait for a transfer thread before it is answered 503.
const MAX_QUEUED: Duration = Duration::from_secs(30);
/// How long threads may take to end once every socket is shut.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// How the engine works; the defaults are those of `reliability.md` §11.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Addresses to listen on for HTTPS.
    pub listen_tls: Vec<SocketAddr>,
    /// The certificate shown there.
    pub tls: Option<Arc<Tls>>,
    /// Threads of the quick lane.
    pub quick_workers: usize,
    /// Most threads of the transfer lane; a quarter of them only serve downloads.
    pub transfer_workers: usize,
    /// Most connections; lowered to what the descriptor limit allows.
    pub max_connections: usize,
    /// Most connections of one address (IPv6: of one /64 network); loopback is not counted.
    pub max_per_address: usize,
    /// Who is believed about for whom a request comes; connections of theirs are not counted.
    pub proxies: Proxies,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Longest wait for a request.
    pub idle_timeout: Duration,
    /// Longest wait for any byte of a body; after it the average rate counts too.
    pub body_timeout: Duration,
    /// Bytes per second a body must come with on average.
    pub body_rate: u64,
    /// Longest wait for a client that does not read.
    pub write_timeout: Duration,
    /// How long a connection is read on after its last answer.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Settings {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            listen_tls: Vec::new(),
            tls: None,
            quick_workers: cores.max(2),
            transfer_workers: 128,
            max_connections: (descriptors(false) / 4).clamp(16, 4096),
            max_per_address: 256,
            proxies: Proxies::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            body_rate: 1024,
            write_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}

/// What every connection and worker shares.
pub(super) struct Engine<S: Service> {
    pub(super) service: Arc<S>,
    pub(super) settings: Settings,
    pub(super) table: Table<Connection<S>>,
    pub(super) transfers: Arc<Lane<Job<S>>>,
    /// Requests that came complete and wait for the disk or a password hash: no client can hold these threads up, so
    /// however many transfers stall, changes go on.
    pub(super) complete: Arc<Lane<Job<S>>>,
    /// Bytes of heads and bodies that are being collected.
    pub(super) buffered: AtomicUsize,
    readiness: Arc<Readiness>,
    numbers: AtomicU64,
    stopping: AtomicBool,
}

impl<S: Service> Engine<S> {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn patience(&self) -> Patience {
        Patience { grace: self.settings.body_timeout, rate: self.settings.body_rate }
    }

    /// The service's words for a refusal of ours.
    pub(super) fn refusal(&self, head: Option<&Head>, status: u16, message: &str) -> Response {
        guarded(|| self.service.refusal(head, status, message))
            .unwrap_or_else(|| Response::text(status, message.to_owned()))
    }

    /// Ends what is overdue.
    fn sweep(&self, now: Instant) {
        for connection in self.table.overdue(now) {
            if guarded(|| connection.expire()).is_none() {
                log::error!("a connection was dropped by a panic in the engine");
            }
        }
        if let Some(limit) = now.checked_sub(MAX_QUEUED) {
            for lane in [&self.transfers, &self.complete] {
                lane.overdue(limit).into_iter().for_each(Job::refuse);
            }
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    addresses_tls: Vec<SocketAddr>,
    stop: Option<Box<dyn Stop>>,
}

/// Ends the threads of a server, whatever its service's type.
trait Stop: Send + Sync + std::fmt::Debug {
    fn stop(self: Box<Self>, grace: Duration);
}

impl Server {
    /// Opens the listeners and starts serving. Errors: an address that cannot be listened on, threads or descriptors
    /// that cannot be had.
    pub fn start<S: Service>(settings: Settings, service: Arc<S>) -> io::Result<Server> {
        let room = descriptors(true).saturating_sub(RESERVED_DESCRIPTORS).max(8);
        let settings = Settings { max_connections: settings.max_connections.clamp(1, room), ..settings };
        if settings.tls.is_none() && !settings.listen_tls.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "HTTPS needs a certificate"));
        }
        let listeners = settings
            .listen
            .iter()
            .chain(&settings.listen_tls)
            .map(|address| listen(*address, &settings))
            .collect::<io::Result<Vec<_>>>()?;
        let mut addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let addresses_tls = addresses.split_off(settings.listen.len());
        let bounds = Bounds {
            threads: settings.transfer_workers.max(2),
            uploads: (settings.transfer_workers.max(2) * 3 / 4).max(1),
            queue: settings.transfer_workers.max(2),
            idle: Duration::from_secs(10),
            stack: 512 * 1024,
        };
        let engine = Arc::new(Engine {
            service,
            table: Table::new(settings.max_connections),
            transfers: Arc::new(Lane::new(bounds)),
            complete: Arc::new(Lane::new(Bounds { uploads: bounds.threads, queue: bounds.threads * 4, ..bounds })),
            buffered: AtomicUsize::new(0),
            readiness: Readiness::new()?,
            numbers: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            settings,
        });
        let doors = Readiness::new()?;
        let watch = |(key, listener)| Watched::new(&doors, listener, key);
        let listeners = listeners.into_iter().enumerate().map(watch).collect::<io::Result<Vec<_>>>()?;
        let mut running = Running { engine: engine.clone(), doors: doors.clone(), keeper: None, workers: Vec::new() };
        for _ in 0..engine.settings.quick_workers.max(1) {
            let engine = engine.clone();
            let worker = thread::Builder::new().name("quick".into()).stack_size(1024 * 1024);
            match worker.spawn(move || work(&engine)) {
                Ok(worker) => running.workers.push(worker),
                // Fewer workers serve as well; none does not.
                Err(error) if running.workers.is_empty() => {
                    return Err(error);
                }
                Err(error) => {
                    log::warn!("only {} quick workers: {error}", running.workers.len());
                    break;
                }
            }
        }
        let keeper = Keeper { engine, doors, listeners, errors: 0, last_error: None };
        match thread::Builder::new().name("keeper".into()).spawn(move || keeper.run()) {
            Ok(keeper) => running.keeper = Some(keeper),
            Err(error) => {
                Box::new(running).stop(Duration::ZERO);
                return Err(error);
            }
        }
        Ok(Server { addresses, addresses_tls, stop: Some(Box::new(running)) })
    }

    /// The addresses listened on, with the ports taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses listened on for HTTPS, with the ports taken.
    pub fn addresses_tls(&self) -> &[SocketAddr] {
        &self.addresses_tls
    }

    /// No new connections, quiet ones are closed at once, running requests may end within `grace`; then the threads
    /// are joined. A handler that does not end even when its socket is shut keeps its thread, which is reported.
    pub fn stop(mut self, grace: Duration) {
        if let Some(stop) = self.stop.take() {
            stop.stop(grace);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.stop(Duration::ZERO);
        }
    }
}

struct Running<S: Service> {
    engine: Arc<Engine<S>>,
    doors: Arc<Readiness>,
    keeper: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

impl<S: Service> std::fmt::Debug for Running<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl<S: Service> Stop for Running<S> {
    fn stop(self: Box<Self>, grace: Duration) {
        let Running { engine, doors, keeper, workers } = *self;
        engine.stopping.store(true, Ordering::Release);
        doors.close();
        if let Some(keeper) = keeper
            && keeper.join().is_err()
        {
            log::error!("the keeper thread panicked");
        }
        let deadline = Instant::now() + grace;
        // Late ones, accepted or parked while we were coming: the keeper is gone.
        while engine.table.live() > 0 && Instant::now() < deadline {
            engine.table.all_quiet().for_each(drop);
            engine.sweep(Instant::now());
            thread::sleep(STOP_TICK);
        }
        for lane in [&engine.transfers, &engine.complete] {
            lane.close().into_iter().for_each(drop);
        }
        engine.table.end_all().for_each(drop);
        engine.readiness.close();
        let deadline = Instant::now() + LAST_GRACE;
        let mut left = workers;
        while !left.is_empty() && Instant::now() < deadline {
            for worker in left.extract_if(.., |worker| worker.is_finished()) {
                // A panic was logged where it happened.
                _ = worker.join();
            }
            if !left.is_empty() {
                thread::sleep(STOP_TICK);
            }
        }
        let joined = engine.transfers.join(deadline) && engine.complete.join(deadline);
        if !joined || !left.is_empty() {
            log::warn!("some requests are still at work and are left behind");
        }
        engine.table.end_all().for_each(drop);
    }
}

/// A quick worker: takes events until the server ends.
fn work<S: Service>(engine: &Engine<S>) {
    let mut scratch = Scratch::new();
    loop {
        match engine.readiness.next(None) {
            Ok(Event::Ready(key)) => {
                if let Some(connection) = engine.table.take(key)
                    && guarded(|| connection.turn(&mut scratch)).is_none()
                {
                    log::error!("a connection was dropped by a panic in the engine");
                }
            }
            Ok(Event::Nothing) => {}
            Ok(Event::Closed) => return,
            Err(error) => {
                log::error!("waiting for events failed: {error}");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Accepts connections and looks after deadlines.
struct Keeper<S: Service> {
    engine: Arc<Engine<S>>,
    doors: Arc<Readiness>,
    listeners: Vec<Watched<TcpListener>>,
    /// Accepts that failed since the last line about it.
    errors: u64,
    last_error: Option<Instant>,
}

impl<S: Service> Keeper<S> {
    fn run(mut self) {
        for key in 0..self.listeners.len() {
            self.arm(key);
        }
        let mut swept = Instant::now();
        loop {
            // Without connections there is nothing to look after.
            let wait = (self.engine.table.live() > 0).then(|| TICK.saturating_sub(swept.elapsed()));
            match self.doors.next(wait) {
                Ok(Event::Ready(key)) => {
                    self.accept(key);
                    self.arm(key);
                }
                Ok(Event::Nothing) => {}
                Ok(Event::Closed) => return,
                Err(error) => self.failed(&error),
            }
            if swept.elapsed() >= TICK {
                swept = Instant::now();
                self.engine.sweep(swept);
            }
        }
    }

    fn arm(&mut self, key: usize) {
        while let Some(Err(error)) = self.listeners.get(key).map(|listener| listener.arm(Interest::Read)) {
            self.failed(&error);
            if self.engine.is_stopping() {
                return;
            }
        }
    }

    fn accept(&mut self, key: usize) {
        for _ in 0..ACCEPTS_IN_A_ROW {
            let Some(listener) = self.listeners.get(key) else { return };
            match listener.get().accept() {
                Ok((socket, peer)) => {
                    if let Err(error) = self.admit(socket, peer, key) {
                        self.failed(&error);
                    }
                }
                Err(error) if is_waiting(&error) => return,
                // The client was quicker to leave than we to accept.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors, most likely: the longest quiet connection gives one back.
                    drop(self.engine.table.oldest_quiet());
                    return self.failed(&error);
                }
            }
        }
    }

    /// One more line about failures at most every second, and a pause so that they do not eat a core.
    fn failed(&mut self, error: &io::Error) {
        self.errors += 1;
        if self.last_error.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            log::error!("accepting connections failed ({} times): {error}", self.errors);
            self.errors = 0;
            self.last_error = Some(Instant::now());
        }
        thread::sleep(ACCEPT_PAUSE);
    }

    fn admit(&mut self, socket: TcpStream, peer: SocketAddr, door: usize) -> io::Result<()> {
        let settings = &self.engine.settings;
        let table = &self.engine.table;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let exempt = peer.ip().is_loopback() || settings.proxies.contains(peer.ip());
        // The doors for HTTPS come after the others.
        let tls = settings.tls.as_deref().filter(|_| door >= settings.listen.len());
        if !exempt && !table.count(peer.ip(), settings.max_per_address) {
            return self.turn_away(socket, peer, tls, "Too many connections from this address");
        }
        let key = table.reserve().or_else(|| {
            drop(table.oldest_quiet());
            table.reserve()
        });
        let Some(key) = key else {
            if !exempt {
                table.uncount(peer.ip());
            }
            return self.turn_away(socket, peer, tls, "Too many connections");
        };
        let seat = Seat { engine: self.engine.clone(), key, counted: (!exempt).then_some(peer), turned_away: None };
        let watched = Watched::new(&self.engine.readiness, Arc::new(socket), key)?;
        Connection::admit(watched, peer, seat, tls)
    }

    /// A short 503 for a connection there is no room for. One that is encrypted has to be let in to be told so; when
    /// there are too many of those it is closed without a word.
    fn turn_away(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        tls: Option<&Tls>,
        message: &'static str,
    ) -> io::Result<()> {
        if tls.is_none() {
            self.turn_away_plain(socket, peer, message);
            return Ok(());
        }
        let Some(key) = self.engine.table.reserve_spare() else { return Ok(()) };
        let seat = Seat { engine: self.engine.clone(), key, counted: None, turned_away: Some(message) };
        let watched = Watched::new(&self.engine.readiness, Arc::new(socket), key)?;
        Connection::admit(watched, peer, seat, tls)
    }

    fn turn_away_plain(&self, socket: TcpStream, peer: SocketAddr, message: &str) {
        use std::io::{Read, Write};
        let number = self.engine.next_number();
        let response = self.engine.refusal(None, 503, message).header("Retry-After", "2").close();
        let mut bytes = Vec::new();
        response.encode_head(&mut bytes, Context { minor: 1, head_only: false, keep_alive: false });
        if let super::response::Payload::Bytes(body) = response.payload() {
            bytes.extend_from_slice(body);
        }
        // Whoever is turned away gets what fits, without a wait.
        let sent = (&socket).write(&bytes);
        _ = socket.shutdown(std::net::Shutdown::Write);
        // What has come already would turn the close into a reset.
        _ = (&socket).read(&mut [0; 4096]);
        let access = Access {
            number,
            peer,
            head: None,
            note: "",
            status: 503,
            bytes: 0,
            elapsed: Duration::ZERO,
            broken: sent.is_err(),
        };
        guarded(|| self.engine.service.log(&access));
    }
}

fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket for both families, unless the other one is asked for by itself.
        let both = settings
            .listen
            .iter()
            .chain(&settings.listen_tls)
            .any(|other| other.is_ipv4() && other.port() == address.port());
        socket.set_only_v6(both)?;
    }
    // On Windows the same option would let another program take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How many descriptors the process may have; `raise` asks for all the system allows.
#[cfg(unix)]
fn descriptors(raise: bool) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    let now = limit.current.unwrap_or(most);
    let reached = if raise && now < most {
        let wanted = Rlimit { current: Some(most), maximum: limit.maximum };
        // Forbidden by some service managers; what there is must do then.
        if setrlimit(Resource::Nofile, wanted).is_ok() { most } else { now }
    } else if raise {
        now
    } else {
        most
    };
    usize::try_from(reached).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn descriptors(_raise: bool) -> usize {
    1 << 16
}
