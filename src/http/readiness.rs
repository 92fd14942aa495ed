//! Which sockets have something to read or room to write: one queue that several threads wait on together.
//!
//! Every socket is armed for one event at a time; the thread that gets the event owns the connection until it arms
//! the socket again. One thread at a time waits in the system (epoll, kqueue, IOCP) and brings back what has come;
//! the others sleep until it cannot keep up.
//!
//! `unsafe` stands here because `polling` cannot know that a socket outlives its registration; `Watched`
//! guarantees it by owning both.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use polling::{Events, Poller};

use super::poller::lock;

/// What a socket is armed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Bytes to read, or the end of them.
    Read,
    /// Room to write.
    Write,
    /// Whichever comes first; as there is nearly always room to write, this is "soon, after the others".
    Soon,
}

/// What [`Readiness::next`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The socket with this key is ready and now disarmed.
    Ready(usize),
    /// The time is over, or another thread took the event.
    Nothing,
    /// [`Readiness::close`] was called.
    Closed,
}

/// How long an event may wait for the threads that are at work before another one is woken for it.
const PATIENCE: Duration = Duration::from_millis(1);

/// A queue of socket events.
///
/// Waking a thread costs more than most requests, and on a machine whose cores are busy the woken one pushes somebody
/// aside: three threads on two cores wait for each other for whole time slices, which is what the slowest answers show.
/// So one thread works off what it brought by itself, and another joins only when an event has waited for a
/// millisecond. Should a thread be long at one event, a deputy notices: one of the sleeping threads, which looks every
/// millisecond while there is traffic and sleeps when there is none.
#[derive(Debug)]
pub(super) struct Readiness {
    poller: Poller,
    events: Mutex<Events>,
    turn: Mutex<Turn>,
    wake: Condvar,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Turn {
    ready: VecDeque<usize>,
    /// When those were brought.
    since: Option<Instant>,
    /// A thread waits in the system.
    waiting: bool,
    /// Threads asleep without a time limit.
    sleeping: usize,
    /// One of the others looks after the rest.
    deputy: bool,
    /// One of the sleeping is to become that one.
    call: bool,
    /// Events taken so far.
    taken: u64,
}

impl Turn {
    /// Whether events wait for longer than they should.
    fn is_late(&self) -> bool {
        !self.ready.is_empty() && self.since.is_some_and(|since| since.elapsed() > PATIENCE)
    }
}

impl Readiness {
    /// An empty queue.
    pub(super) fn new() -> io::Result<Arc<Readiness>> {
        Ok(Arc::new(Readiness {
            poller: Poller::new()?,
            events: Mutex::new(Events::new()),
            turn: Mutex::default(),
            wake: Condvar::new(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Waits for an event, at most for `timeout` once it is this thread's turn. Any number of threads may wait; each
    /// event goes to one of them.
    pub(super) fn next(&self, timeout: Option<Duration>) -> io::Result<Event> {
        let mut turn = lock(&self.turn);
        loop {
            if self.closed.load(Ordering::Acquire) {
                return Ok(Event::Closed);
            }
            if let Some(key) = turn.ready.pop_front() {
                turn.taken += 1;
                if turn.sleeping > 0 && !turn.waiting {
                    if turn.is_late() {
                        self.wake.notify_one();
                    } else if !turn.deputy && !turn.call {
                        turn.call = true;
                        self.wake.notify_one();
                    }
                }
                return Ok(Event::Ready(key));
            }
            if turn.waiting {
                turn = self.sleep(turn);
                continue;
            }
            turn.waiting = true;
            drop(turn);
            let mut events = lock(&self.events);
            events.clear();
            let result = self.poller.wait(&mut events, timeout);
            turn = lock(&self.turn);
            turn.waiting = false;
            match result {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // Somebody else may have more luck.
                    self.wake.notify_one();
                    return Err(error);
                }
                _ => {
                    turn.ready.extend(events.iter().map(|event| event.key));
                    turn.since = Some(Instant::now());
                }
            }
            if turn.ready.is_empty() && !self.closed.load(Ordering::Acquire) {
                // Called with a time limit or interrupted: the caller looks around, somebody else may wait.
                if turn.sleeping > 0 {
                    self.wake.notify_one();
                }
                return Ok(Event::Nothing);
            }
        }
    }

    /// Sleeps until there may be something to do for this thread; as the deputy while there is traffic.
    fn sleep<'a>(&'a self, mut turn: MutexGuard<'a, Turn>) -> MutexGuard<'a, Turn> {
        turn.sleeping += 1;
        turn = self.wake.wait(turn).unwrap_or_else(PoisonError::into_inner);
        turn.sleeping -= 1;
        if !std::mem::take(&mut turn.call) {
            return turn;
        }
        turn.deputy = true;
        loop {
            let taken = turn.taken;
            turn = self.wake.wait_timeout(turn, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
            let closed = self.closed.load(Ordering::Acquire);
            // Nothing happened meanwhile: either all is quiet, or the others are long at their work.
            if closed || turn.is_late() || turn.taken == taken {
                turn.deputy = false;
                return turn;
            }
        }
    }

    /// Ends every present and future wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Under the lock, so that nobody goes to sleep between the flag and the call.
        drop(lock(&self.turn));
        self.wake.notify_all();
        if let Err(error) = self.poller.notify() {
            log::error!("a waiting thread cannot be woken: {error}");
        }
    }
}

/// A socket that can be watched: one of the two kinds there are.
pub(super) trait Socket: Send + Sync {
    /// The socket itself; the same one for as long as this value lives.
    fn socket(&self) -> Handle<'_>;
}

/// See [`Socket`].
#[derive(Clone, Copy)]
pub(super) enum Handle<'a> {
    Stream(&'a TcpStream),
    Listener(&'a TcpListener),
}

impl Socket for Arc<TcpStream> {
    fn socket(&self) -> Handle<'_> {
        Handle::Stream(self)
    }
}

impl Socket for TcpListener {
    fn socket(&self) -> Handle<'_> {
        Handle::Listener(self)
    }
}

/// A socket registered under a key, at first disarmed. It is taken from the queue before it is closed.
#[derive(Debug)]
pub(super) struct Watched<S: Socket> {
    // Never handed out by value.
    socket: S,
    key: usize,
    readiness: Arc<Readiness>,
}

impl<S: Socket> Watched<S> {
    /// Registers `socket` under `key`; it must not block.
    #[allow(unsafe_code)]
    pub(super) fn new(readiness: &Arc<Readiness>, socket: S, key: usize) -> io::Result<Watched<S>> {
        let event = polling::Event::none(key);
        // SAFETY: `Poller::add` asks that the socket be taken out with `delete` before it is closed. The `Watched` made
        // here owns the socket (or a share of it) from now on and gives it away to nobody; `Drop` calls `delete` before
        // the fields are dropped. A `Watched` that is leaked leaks its socket as well, which is then never closed. When
        // `add` fails, nothing was registered.
        unsafe {
            match socket.socket() {
                Handle::Stream(socket) => readiness.poller.add(socket, event)?,
                Handle::Listener(socket) => readiness.poller.add(socket, event)?,
            }
        }
        Ok(Watched { socket, key, readiness: readiness.clone() })
    }

    /// The socket.
    pub(super) fn get(&self) -> &S {
        &self.socket
    }

    /// Asks for one event.
    pub(super) fn arm(&self, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Read => polling::Event::readable(self.key),
            Interest::Write => polling::Event::writable(self.key),
            Interest::Soon => polling::Event::all(self.key),
        };
        match self.socket.socket() {
            Handle::Stream(socket) => self.readiness.poller.modify(socket, event),
            Handle::Listener(socket) => self.readiness.poller.modify(socket, event),
        }
    }
}

impl<S: Socket> Drop for Watched<S> {
    fn drop(&mut self) {
        let removed = match self.socket.socket() {
            Handle::Stream(socket) => self.readiness.poller.delete(socket),
            Handle::Listener(socket) => self.readiness.poller.delete(socket),
        };
        if let Err(error) = removed {
            log::warn!("a socket could not be taken from the queue: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Connections whose other ends are watched under the numbers from 0.
    fn watched_pairs(readiness: &Arc<Readiness>, count: usize) -> Vec<(TcpStream, Watched<Arc<TcpStream>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = |key| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            server.set_nonblocking(true).unwrap();
            (client, Watched::new(readiness, Arc::new(server), key).unwrap())
        };
        (0..count).map(pair).collect()
    }

    #[test]
    fn every_event_goes_to_one_thread_and_closing_wakes_all() {
        let readiness = Readiness::new().unwrap();
        let pairs = watched_pairs(&readiness, 20);
        assert_eq!(readiness.next(Some(Duration::ZERO)).unwrap(), Event::Nothing, "not armed yet");
        let (seen, events) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (readiness, seen) = (readiness.clone(), seen.clone());
                std::thread::spawn(move || {
                    loop {
                        match readiness.next(None).unwrap() {
                            Event::Ready(key) => seen.send(key).unwrap(),
                            Event::Nothing => {}
                            Event::Closed => return,
                        }
                    }
                })
            })
            .collect();
        for (mut client, watched) in pairs.iter().map(|(client, watched)| (client, watched)) {
            watched.arm(Interest::Read).unwrap();
            client.write_all(b"x").unwrap();
        }
        let mut keys: Vec<_> = (0..20).map(|_| events.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..20).collect::<Vec<_>>());
        pairs[3].1.arm(Interest::Soon).unwrap();
        assert_eq!(events.recv_timeout(Duration::from_secs(20)), Ok(3));
        readiness.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(seen);
        assert!(events.recv().is_err(), "no event twice");
        assert_eq!(readiness.next(None).unwrap(), Event::Closed);
    }

    #[test]
    fn a_thread_that_is_long_at_its_work_holds_up_nobody() {
        const DONE: usize = usize::MAX;
        let readiness = Readiness::new().unwrap();
        let pairs = watched_pairs(&readiness, 4);
        let (seen, events) = std::sync::mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (readiness, seen, gate) = (readiness.clone(), seen.clone(), gate.clone());
                std::thread::spawn(move || {
                    loop {
                        match readiness.next(None).unwrap() {
                            Event::Ready(key) => {
                                seen.send(key).unwrap();
                                if key == 0 {
                                    drop(gate.lock());
                                    seen.send(DONE).unwrap();
                                }
                            }
                            Event::Nothing => {}
                            Event::Closed => return,
                        }
                    }
                })
            })
            .collect();
        let say = |key: usize| {
            let (mut client, watched) = (&pairs[key].0, &pairs[key].1);
            watched.arm(Interest::Read).unwrap();
            client.write_all(b"x").unwrap();
        };
        for round in 0..20 {
            let closed = gate.lock().unwrap();
            for key in 0..4 {
                say(key);
                assert_eq!(events.recv_timeout(Duration::from_secs(20)), Ok(key), "round {round}");
            }
            drop(closed);
            // Else the next round could close the gate before the thread is through.
            assert_eq!(events.recv_timeout(Duration::from_secs(20)), Ok(DONE), "round {round}");
        }
        readiness.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
