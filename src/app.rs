//! What every handler is given, and the way a request goes: gate, handler, the room's words for errors.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::http::{Access, Found, Head, Lane, Method, Params, Plan, Request, Response, Router, Service, Source};
use crate::identity::{Credentials, Identity, Principal};
use crate::routes::{self, Entry, Gate};
use crate::store::{Blob, Store};

/// What the command line and the environment decide.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// The largest file an upload may carry, in bytes; none means what the disk holds.
    pub max_upload: Option<u64>,
}

/// What every handler is given. Cheap to clone: transactions take a copy along.
#[derive(Clone)]
pub struct App {
    /// Metadata and artifacts.
    pub store: Arc<Store>,
    /// People, programs, machines.
    pub identity: Arc<Identity>,
    /// The time source.
    pub clock: Arc<Clock>,
    /// What the operator set.
    pub settings: Arc<Settings>,
}

/// The service the HTTP engine calls: the route map over the [`App`].
pub struct House {
    app: App,
    router: Router<Entry>,
    router_below_api: Router<Entry>,
}

/// Where a request goes, decided from its head.
pub enum Destination {
    /// A route of the map.
    Route(Entry, Params),
    /// The path exists, the method does not; the methods it has.
    WrongMethod(Vec<Method>),
    /// No such path.
    Nowhere,
}

impl House {
    /// The house with every route of the map open.
    pub fn new(app: App) -> Self {
        House { app, router: routes::router(), router_below_api: routes::router_below_api() }
    }

    fn serve(&self, destination: Destination, request: &mut Request) -> Response {
        let (gate, words) = match &destination {
            Destination::Route(entry, _) => (entry.gate, entry.errors),
            _ => routes::unknown(&request.head.path),
        };
        let answer = self.pass(gate, &request.head).and_then(|who| {
            request.set_note(who.label());
            match destination {
                Destination::Route(entry, params) => {
                    request.params = params;
                    (entry.handler)(&self.app, &who, request)
                }
                Destination::WrongMethod(allowed) => Ok(routes::wrong_method(&allowed)),
                Destination::Nowhere => Ok(routes::nowhere()),
            }
        });
        answer.unwrap_or_else(|error| print_error(error, request.number, words))
    }

    /// Who is asking, if the gate lets them in.
    fn pass(&self, gate: Gate, head: &Head) -> Result<Principal> {
        match gate {
            Gate::Open => Ok(Principal::Anonymous),
            Gate::Token => self.app.token(head),
        }
    }
}

impl App {
    /// The principal behind `X-Api-Token` (`products.md` §2).
    ///
    /// # Errors
    /// `Unauthenticated` in the dialect's words.
    pub fn token(&self, head: &Head) -> Result<Principal> {
        let refused = |message: &'static str| Error::new(Kind::Unauthenticated, message);
        let given = match head.headers.get("x-api-token") {
            None => return Err(refused("Authorization header missing")),
            Some(bytes) if bytes.trim_ascii().is_empty() => return Err(refused("Authorization header missing")),
            Some(_) => head.headers.text("x-api-token").ok_or_else(|| refused("Invalid api token"))?,
        };
        let credentials = Credentials { api_token: Some(given.trim()), ..Credentials::default() };
        match self.identity.authenticate(&credentials)? {
            who @ Principal::Token(_) => Ok(who),
            _ => Err(refused("Invalid api token")),
        }
    }
}

/// An error in its room's words; what lies behind one of ours goes to the log under the request's number.
fn print_error(mut error: Error, number: u64, words: fn(&Error) -> Response) -> Response {
    match (&error.cause, error.kind) {
        (Some(cause), Kind::Internal) => log::error!("request {number}: {cause}"),
        (Some(cause), _) => log::debug!("request {number}: {cause}"),
        (None, _) => {}
    }
    if error.kind == Kind::Internal {
        error.message = format!("internal error, see request {number} in the log").into();
    }
    let response = words(&error);
    match (error.kind, error.retry_after) {
        (_, Some(seconds)) => response.header("Retry-After", seconds.to_string()),
        (Kind::Busy, None) => response.header("Retry-After", "1"),
        _ => response,
    }
}

impl Service for House {
    type Route = Destination;

    fn plan(&self, head: &Head) -> Plan<Destination> {
        let found = match routes::below_api(&head.path) {
            Some(path) => self.router_below_api.find(head.method, path),
            None => self.router.find(head.method, &head.path),
        };
        let route = match found {
            Found::Route(entry, params) => Destination::Route(*entry, params),
            Found::MethodNotAllowed(allowed) => Destination::WrongMethod(allowed),
            Found::NotFound => Destination::Nowhere,
        };
        let (lane, collect) = match &route {
            Destination::Route(entry, _) if entry.lane == Lane::Transfer => (Lane::Transfer, 0),
            _ => (Lane::Quick, routes::QUICK_BODY),
        };
        Plan { route, lane, collect }
    }

    fn answer(&self, route: Destination, request: &mut Request) -> Response {
        self.serve(route, request)
    }

    fn refusal(&self, head: Option<&Head>, status: u16, message: &str) -> Response {
        routes::refusal(head.map(|head| head.path.as_str()), status, message)
    }

    fn log(&self, access: &Access) {
        let (method, path) = match access.head {
            Some(head) => (head.method.name(), routes::shown_path(&head.path)),
            None => ("-", "-".into()),
        };
        log::info!(
            "{} {} {} {method} {path} {} {} {:.1}ms{}",
            access.number,
            access.peer,
            if access.note.is_empty() { "-" } else { access.note },
            access.status,
            access.bytes,
            access.elapsed.as_secs_f64() * 1000.0,
            if access.broken { " broken off" } else { "" },
        );
    }
}

/// A blob as the HTTP engine reads it.
pub struct BlobSource(pub Blob);

impl Source for BlobSource {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn file(&self) -> Option<&std::fs::File> {
        self.0.file()
    }
}
