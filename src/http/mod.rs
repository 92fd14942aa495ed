//! The HTTP engine: what arrives and leaves on the wire; knows nothing of packages.
//!
//! How the parts fit: `server` starts and stops the threads. Its keeper accepts connections and looks after
//! deadlines; a connection that waits for something is parked in the table of `poller` and costs no thread. The quick
//! workers wait together on the sockets' readiness. Whichever gets an event reads without blocking (`connection`),
//! parses (`head`), and, when a request is complete, runs the service and sends what is small (`answer`). What takes
//! long goes to the transfer lane (`lanes`): streamed bodies, read with limits of time and rate (`body`), and large
//! answers, which are parked again whenever their client does not read.

mod answer;
mod body;
mod connection;
mod disposition;
pub mod head;
mod lanes;
pub mod multipart;
pub mod params;
mod poller;
mod proxy;
pub mod ranges;
mod readiness;
pub mod request;
pub mod response;
pub mod router;
mod server;
mod stream;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

pub use head::{BodyLength, Head, Headers, Method, Refusal};
pub use multipart::{Multipart, Part};
pub use params::{Params, Plus, Query, percent_decode};
pub use proxy::Proxies;
pub use ranges::{Dates, FileAnswer, attachment, serve_file, serve_file_dated};
pub use request::{Body, Request, bearer, body_error, parse_json};
pub use response::{Bytes, Memory, Payload, Response, Source, http_date, status};
pub use router::{Found, Router, allow_value};
pub use server::{Server, Settings};
pub use tls::Tls;

/// Where a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A few threads for short work; requests whose body is collected before a thread is taken. A download whose
    /// handler only opens the file belongs here too: the engine itself moves the sending of large answers away.
    Quick,
    /// Many threads with small stacks for uploads and for handlers that read or write much before they answer.
    Transfer,
}

/// What the engine needs to know from the head alone.
#[derive(Debug)]
pub struct Plan<R> {
    /// What [`Service::answer`] is given again; usually the route found.
    pub route: R,
    /// Where the handler runs.
    pub lane: Lane,
    /// A body of a declared length up to this many bytes is collected before a worker is taken. A larger one, a
    /// chunked one and one announced by `Expect` is streamed by a worker of the transfer lane.
    pub collect: u64,
}

/// What answers requests. Every call is guarded: a panic becomes a 500 for that one request.
pub trait Service: Send + Sync + 'static {
    /// What [`Service::plan`] found out about a request.
    type Route: Send + 'static;

    /// Judges the head; called before any byte of the body is looked at, so it must not block.
    fn plan(&self, head: &Head) -> Plan<Self::Route>;

    /// Answers one request.
    fn answer(&self, route: Self::Route, request: &mut Request) -> Response;

    /// The answer of a refusal made by the engine (400, 408, 413, 414, 417, 431, 500, 501, 503, 505). `head` is
    /// there when it could be read. Must not block.
    fn refusal(&self, head: Option<&Head>, status: u16, message: &str) -> Response;

    /// One call a request, after the answer has left.
    fn log(&self, access: &Access<'_>);
}

/// One answered request, for the access log.
#[derive(Debug)]
pub struct Access<'a> {
    /// The request's number since the start of the server.
    pub number: u64,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The head, unless it could not be read.
    pub head: Option<&'a Head>,
    /// What the service left with [`Request::set_note`]: who asked.
    pub note: &'a str,
    /// The status sent.
    pub status: u16,
    /// Bytes of body sent.
    pub bytes: u64,
    /// From the complete head to the last byte handed to the system.
    pub elapsed: Duration,
    /// The answer could not be sent to its end.
    pub broken: bool,
}

#[cfg(test)]
mod engine_tests;
