//! TLS beneath the engine: the certificate in use, exchangeable while serving, and sessions that never make a thread wait.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};

use super::poller::lock;
use super::readiness::Interest;
use super::stream::is_waiting;

/// What a TLS client says first; anything else is not TLS.
const HANDSHAKE: u8 = 0x16;
/// Most encrypted bytes of an answer that wait in a session for a client that does not read.
const UNSENT: usize = 64 * 1024;
/// Flights of one handshake taken in a row before others get their turn.
const FLIGHTS_IN_A_ROW: usize = 8;

/// The certificate and key that TLS listeners show: TLS 1.2 and 1.3, HTTP/1.1, client certificates not asked for.
pub struct Tls {
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// From PEM text: `chain` the certificate followed by those that lead to its root, `key` its private key in PKCS #8,
    /// PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// A sentence saying what is wrong with them.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Tls>, String> {
        Ok(Arc::new(Tls { config: RwLock::new(config(chain, key)?) }))
    }

    /// Takes another certificate for connections that come from now on.
    ///
    /// # Errors
    /// A sentence saying what is wrong with it; the old one stays in use.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), String> {
        let config = config(chain, key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// A session for a connection just accepted.
    pub(super) fn session(&self, socket: Arc<TcpStream>) -> io::Result<Arc<Secured>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(UNSENT));
        Ok(Arc::new(Secured { socket, session: Mutex::new(session) }))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("the certificate cannot be read: {e}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in the PEM text".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("the private key cannot be read: {e}"))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|e| e.to_string())?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| format!("certificate and key do not serve: {e}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(|e| format!("no key for session tickets: {e}"))?;
    Ok(Arc::new(config))
}

/// An encrypted connection. The lock is never waited for: whoever owns the connection is the only one to use it.
pub(super) struct Secured {
    socket: Arc<TcpStream>,
    session: Mutex<ServerConnection>,
}

/// How far a handshake came.
pub(super) enum Shake {
    /// It is over; bytes of the request may be here already.
    Done,
    /// More is needed from the socket.
    Wait(Interest),
    /// The client does not speak TLS.
    Foreign,
}

impl Secured {
    pub(super) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Whether what has come is something else than TLS; asked before the first byte is taken.
    fn is_foreign(&self) -> bool {
        let mut first = [0];
        matches!(self.socket.peek(&mut first), Ok(1) if first != [HANDSHAKE])
    }

    /// Goes on with the handshake as far as it goes without waiting. `fresh`: nothing has been read yet.
    pub(super) fn shake(&self, fresh: bool) -> io::Result<Shake> {
        if fresh && self.is_foreign() {
            return Ok(Shake::Foreign);
        }
        let session = &mut *lock(&self.session);
        for _ in 0..FLIGHTS_IN_A_ROW {
            match self.send(session) {
                Ok(()) => {}
                Err(error) if is_waiting(&error) => return Ok(Shake::Wait(Interest::Write)),
                Err(error) => return Err(error),
            }
            if !session.is_handshaking() {
                return Ok(Shake::Done);
            }
            match self.receive(session) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_waiting(&error) => return Ok(Shake::Wait(Interest::Read)),
                Err(error) => return Err(error),
            }
        }
        Ok(Shake::Wait(Interest::Soon))
    }

    /// Whether decrypted bytes are here that the socket will not announce again.
    pub(super) fn has_pending(&self) -> bool {
        lock(&self.session).process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Bytes held for a client that does not read, at most.
    pub(super) fn held(&self) -> usize {
        if lock(&self.session).wants_write() { UNSENT } else { 0 }
    }

    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let session = &mut *lock(&self.session);
        loop {
            match session.reader().read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A client that left without a word: requests carry their own length, so nothing can be cut off unseen.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            self.receive(session)?;
            match self.send(session) {
                Err(error) if !is_waiting(&error) => return Err(error),
                _ => {}
            }
        }
    }

    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let session = &mut *lock(&self.session);
        self.send(session)?;
        let count = session.writer().write_vectored(parts)?;
        match self.send(session) {
            Err(error) if !is_waiting(&error) => Err(error),
            _ => Ok(count),
        }
    }

    /// Hands what was written to the system; `WouldBlock` while something is left.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.send(&mut lock(&self.session))
    }

    /// Tells the client that nothing more comes.
    pub(super) fn say_goodbye(&self) {
        let session = &mut *lock(&self.session);
        session.send_close_notify();
        // A client that has gone does not miss it.
        _ = self.send(session);
    }

    fn send(&self, session: &mut ServerConnection) -> io::Result<()> {
        while session.wants_write() {
            match session.write_tls(&mut &*self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Bytes from the socket, decrypted as far as they are whole.
    fn receive(&self, session: &mut ServerConnection) -> io::Result<usize> {
        let count = loop {
            match session.read_tls(&mut &*self.socket) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if let Err(error) = session.process_new_packets() {
            // The alert tells the client what was wrong.
            _ = self.send(session);
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(count)
    }
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secured").field("socket", &self.socket).finish_non_exhaustive()
    }
}
