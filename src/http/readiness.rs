//! Which sockets have something to read or room to write: one queue that several threads wait on together.
//!
//! Every socket is armed for one event at a time; the thread that gets the event owns the connection until it arms
//! the socket again. On Linux the threads wait in `epoll` itself. Elsewhere one of them waits in `polling` (kqueue,
//! IOCP) and the others queue behind it; that form runs everywhere and is tested on Linux too.
//!
//! This is the one file with `unsafe` code: `polling` cannot know that a socket outlives its registration, `Watched`
//! guarantees it by owning both.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// A queue of socket events.
#[derive(Debug)]
pub(super) struct Readiness {
    queue: Queue,
    closed: AtomicBool,
}

#[derive(Debug)]
enum Queue {
    #[cfg(target_os = "linux")]
    Epoll(epoll::Epoll),
    Portable(Portable),
}

impl Readiness {
    /// An empty queue; `portable` asks for the form that runs everywhere.
    pub(super) fn new(portable: bool) -> io::Result<Arc<Readiness>> {
        #[cfg(target_os = "linux")]
        let queue = if portable { Queue::Portable(Portable::new()?) } else { Queue::Epoll(epoll::Epoll::new()?) };
        #[cfg(not(target_os = "linux"))]
        let queue = {
            let _ = portable;
            Queue::Portable(Portable::new()?)
        };
        Ok(Arc::new(Readiness { queue, closed: AtomicBool::new(false) }))
    }

    /// Waits for an event, at most for `timeout`. Any number of threads may wait; each event goes to one of them.
    pub(super) fn next(&self, timeout: Option<Duration>) -> io::Result<Event> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(Event::Closed);
        }
        let event = match &self.queue {
            #[cfg(target_os = "linux")]
            Queue::Epoll(epoll) => epoll.next(timeout)?,
            Queue::Portable(portable) => portable.next(timeout)?,
        };
        if self.closed.load(Ordering::Acquire) {
            // A wake-up reaches one thread, so each passes it on.
            self.wake();
            return Ok(Event::Closed);
        }
        Ok(event)
    }

    /// Ends every present and future wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes a waiting thread look up ([`Event::Nothing`]).
    pub(super) fn wake(&self) {
        let woken = match &self.queue {
            #[cfg(target_os = "linux")]
            Queue::Epoll(epoll) => epoll.wake(),
            Queue::Portable(portable) => portable.poller.notify(),
        };
        if let Err(error) = woken {
            log::error!("a waiting thread cannot be woken: {error}");
        }
    }
}

/// A socket that can be watched.
pub(super) trait Socket: Send + Sync {
    /// The socket behind it, whose descriptor stays the same for as long as this value lives.
    fn handle(&self) -> Handle<'_>;
}

/// The two kinds of sockets there are.
#[derive(Clone, Copy)]
pub(super) enum Handle<'a> {
    Stream(&'a TcpStream),
    Listener(&'a TcpListener),
}

impl Socket for Arc<TcpStream> {
    fn handle(&self) -> Handle<'_> {
        Handle::Stream(self)
    }
}

impl Socket for TcpListener {
    fn handle(&self) -> Handle<'_> {
        Handle::Listener(self)
    }
}

/// A socket registered under a key, at first disarmed. It is taken from the queue before it is closed.
#[derive(Debug)]
pub(super) struct Watched<S: Socket> {
    // Declared before `readiness`, and never handed out by value.
    socket: S,
    key: usize,
    readiness: Arc<Readiness>,
}

impl<S: Socket> Watched<S> {
    /// Registers `socket` under `key`; it must not block.
    pub(super) fn new(readiness: &Arc<Readiness>, socket: S, key: usize) -> io::Result<Watched<S>> {
        match &readiness.queue {
            #[cfg(target_os = "linux")]
            Queue::Epoll(epoll) => epoll.add(socket.handle(), key)?,
            Queue::Portable(portable) => portable.add(socket.handle(), key)?,
        }
        Ok(Watched { socket, key, readiness: readiness.clone() })
    }

    /// The socket.
    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// Asks for one event.
    pub(super) fn arm(&self, interest: Interest) -> io::Result<()> {
        match &self.readiness.queue {
            #[cfg(target_os = "linux")]
            Queue::Epoll(epoll) => epoll.arm(self.socket.handle(), self.key, interest),
            Queue::Portable(portable) => portable.arm(self.socket.handle(), self.key, interest),
        }
    }
}

impl<S: Socket> Drop for Watched<S> {
    fn drop(&mut self) {
        let removed = match &self.readiness.queue {
            #[cfg(target_os = "linux")]
            Queue::Epoll(epoll) => epoll.remove(self.socket.handle()),
            Queue::Portable(portable) => portable.remove(self.socket.handle()),
        };
        if let Err(error) = removed {
            log::warn!("a socket could not be taken from the queue: {error}");
        }
    }
}

/// `polling`, waited on by one thread at a time.
#[derive(Debug)]
struct Portable {
    poller: polling::Poller,
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Turn {
    events: polling::Events,
    ready: VecDeque<usize>,
}

impl Portable {
    fn new() -> io::Result<Portable> {
        let turn = Turn { events: polling::Events::new(), ready: VecDeque::new() };
        Ok(Portable { poller: polling::Poller::new()?, turn: Mutex::new(turn) })
    }

    #[allow(unsafe_code)]
    fn add(&self, socket: Handle<'_>, key: usize) -> io::Result<()> {
        let event = polling::Event::none(key);
        // SAFETY: `Poller::add` asks that the socket be taken out with `delete` before it is closed. Only
        // `Watched::new` calls this, with a socket that the new `Watched` owns from then on. It gives the socket away to
        // nobody, and its `Drop` calls `delete` before its fields are dropped. A `Watched` that is leaked leaks the
        // socket as well, so that it is never closed. When `new` fails, nothing was registered.
        unsafe {
            match socket {
                Handle::Stream(socket) => self.poller.add(socket, event),
                Handle::Listener(socket) => self.poller.add(socket, event),
            }
        }
    }

    fn arm(&self, socket: Handle<'_>, key: usize, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Read => polling::Event::readable(key),
            Interest::Write => polling::Event::writable(key),
            Interest::Soon => polling::Event::all(key),
        };
        match socket {
            Handle::Stream(socket) => self.poller.modify(socket, event),
            Handle::Listener(socket) => self.poller.modify(socket, event),
        }
    }

    fn remove(&self, socket: Handle<'_>) -> io::Result<()> {
        match socket {
            Handle::Stream(socket) => self.poller.delete(socket),
            Handle::Listener(socket) => self.poller.delete(socket),
        }
    }

    fn next(&self, timeout: Option<Duration>) -> io::Result<Event> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = turn.ready.pop_front() {
            return Ok(Event::Ready(key));
        }
        let Turn { events, ready } = &mut *turn;
        events.clear();
        match self.poller.wait(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => ready.extend(events.iter().map(|event| event.key)),
        }
        Ok(ready.pop_front().map_or(Event::Nothing, Event::Ready))
    }
}

#[cfg(target_os = "linux")]
mod epoll {
    //! `epoll` itself: every thread waits in the kernel, which wakes one of them for each event.

    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::time::Duration;

    use rustix::event::epoll::{self, EventData, EventFlags};
    use rustix::event::{EventfdFlags, Timespec, eventfd};

    use super::{Event, Handle, Interest};

    /// The key of the descriptor that wakes waiting threads; no connection has it.
    const WAKE: u64 = u64::MAX;

    #[derive(Debug)]
    pub(super) struct Epoll {
        queue: OwnedFd,
        waker: OwnedFd,
    }

    impl Epoll {
        pub(super) fn new() -> io::Result<Epoll> {
            let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            epoll::add(&queue, &waker, EventData::new_u64(WAKE), EventFlags::IN)?;
            Ok(Epoll { queue, waker })
        }

        pub(super) fn add(&self, socket: Handle<'_>, key: usize) -> io::Result<()> {
            Ok(epoll::add(&self.queue, fd(socket), EventData::new_u64(key as u64), EventFlags::ONESHOT)?)
        }

        pub(super) fn arm(&self, socket: Handle<'_>, key: usize, interest: Interest) -> io::Result<()> {
            let flags = match interest {
                Interest::Read => EventFlags::IN,
                Interest::Write => EventFlags::OUT,
                Interest::Soon => EventFlags::IN | EventFlags::OUT,
            };
            Ok(epoll::modify(&self.queue, fd(socket), EventData::new_u64(key as u64), flags | EventFlags::ONESHOT)?)
        }

        pub(super) fn remove(&self, socket: Handle<'_>) -> io::Result<()> {
            Ok(epoll::delete(&self.queue, fd(socket))?)
        }

        pub(super) fn next(&self, timeout: Option<Duration>) -> io::Result<Event> {
            let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 1];
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match epoll::wait(&self.queue, &mut events, timeout.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Event::Nothing),
                Ok(_) => match events[0].data.u64() {
                    WAKE => {
                        self.clear();
                        Ok(Event::Nothing)
                    }
                    key => Ok(Event::Ready(key as usize)),
                },
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn wake(&self) -> io::Result<()> {
            rustix::io::write(&self.waker, &1u64.to_ne_bytes())?;
            Ok(())
        }

        fn clear(&self) {
            let mut count = [0; 8];
            // Another thread may have been quicker: nothing left to read.
            _ = rustix::io::read(&self.waker, &mut count);
        }
    }

    fn fd(socket: Handle<'_>) -> BorrowedFd<'_> {
        match socket {
            Handle::Stream(socket) => socket.as_fd(),
            Handle::Listener(socket) => socket.as_fd(),
        }
    }
}
