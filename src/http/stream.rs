//! One connection's bytes: a plain socket or an encrypted one beneath the same calls.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::tls::Secured;

/// A connection both directions of which may be used through clones; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) enum Stream {
    /// Bytes go over the socket as they are.
    Plain(Arc<TcpStream>),
    /// Bytes go through a TLS session.
    Secured(Arc<Secured>),
}

impl Stream {
    /// The socket itself, for readiness and for ending it from another thread.
    pub(super) fn socket(&self) -> &Arc<TcpStream> {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Secured(secured) => secured.socket(),
        }
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Stream::Secured(_))
    }

    /// The socket when bytes may be put on it directly (`sendfile`).
    #[cfg(target_os = "linux")]
    pub(super) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Stream::Plain(socket) => Some(socket),
            Stream::Secured(_) => None,
        }
    }

    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        retry(|| match self {
            Stream::Plain(socket) => (&**socket).read(buf),
            Stream::Secured(secured) => secured.read(buf),
        })
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match self {
            Stream::Plain(socket) => (&**socket).write(bytes),
            Stream::Secured(secured) => secured.write(&[IoSlice::new(bytes)]),
        })
    }

    pub(super) fn write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| match self {
            Stream::Plain(socket) => (&**socket).write_vectored(parts),
            Stream::Secured(secured) => secured.write(parts),
        })
    }

    /// What was written has been handed to the system; `WouldBlock` while it has no room for the rest.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Secured(secured) => secured.flush(),
        }
    }

    /// Whether bytes can be read although the socket has none.
    pub(super) fn has_pending(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Secured(secured) => secured.has_pending(),
        }
    }

    /// Bytes written that wait for room.
    pub(super) fn held(&self) -> usize {
        match self {
            Stream::Plain(_) => 0,
            Stream::Secured(secured) => secured.held(),
        }
    }

    /// Blocking calls end after `limit` without a byte; has no effect while the socket does not block.
    pub(super) fn set_limits(&self, read: Duration, write: Duration) -> io::Result<()> {
        let socket = self.socket();
        socket.set_read_timeout(Some(read))?;
        socket.set_write_timeout(Some(write))
    }

    pub(super) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.socket().set_nonblocking(on)
    }

    /// The last word of a connection that ends in order; plain ones have none but the end itself.
    pub(super) fn say_goodbye(&self) {
        if let Stream::Secured(secured) = self {
            secured.say_goodbye();
        }
    }

    /// Nothing more will be sent; what was sent arrives.
    pub(super) fn finish_writing(&self) {
        self.say_goodbye();
        // A socket that is gone already has nothing to finish.
        _ = self.socket().shutdown(Shutdown::Write);
    }
}

/// Calls again when a signal interrupted the call.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The call would have to wait: the socket does not block, or its time limit ran out.
pub(super) fn is_waiting(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
