//! What every handler is given, and the way a request goes: gate, handler, the room's words for errors.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::catalog::Downloads;
use crate::certificates::without_port;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::http::{Access, Found, Head, Method, Params, Plan, Request, Response, Router, Service, Source, bearer};
use crate::identity::{Credentials, Identity, Principal, Role, TokenRef};
use crate::ids::Digest;
use crate::routes::{self, Entry, Gate, Pace};
use crate::store::{Blob, Store};

/// What the command line and the environment decide.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// The largest file an upload may carry, in bytes; none means what the disk holds.
    pub max_upload: Option<u64>,
    /// The largest RefPack, in bytes; none means the dialect's default.
    pub refpack_limit: Option<u64>,
    /// Whether RefPacks must be signed.
    pub refpack_signatures: bool,
    /// What absolute links begin with (`https://packages.example`); none takes each request's host.
    pub public_url: Option<String>,
    /// Origins whose pages may call this server.
    pub allowed_origins: Vec<String>,
    /// Whether files of private apps need no session.
    pub open_private_downloads: bool,
    /// The port of HTTPS that plain requests are sent on to, known once it is listened on; empty when they are served.
    pub redirect_to: OnceLock<u16>,
    /// Threads that send and receive what takes long.
    pub transfer_workers: usize,
    /// Where this server listens, known once it does: plainly, and by HTTPS.
    pub listening: OnceLock<(Vec<SocketAddr>, Vec<SocketAddr>)>,
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
    /// What rooms keep in memory.
    pub rooms: Arc<Rooms>,
}

/// What rooms keep in memory, each under its own type: a room knows the house, the house knows no room.
#[derive(Default)]
pub struct Rooms {
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Rooms {
    /// With one room's memory more.
    pub fn with<T: Any + Send + Sync>(mut self, memory: T) -> Self {
        self.kept.push(Box::new(memory));
        self
    }

    /// A room's memory.
    ///
    /// # Errors
    /// `Internal` when that room was never opened.
    pub fn get<T: Any>(&self) -> Result<&T> {
        let found = self.kept.iter().find_map(|memory| memory.downcast_ref());
        found.ok_or_else(|| Error::internal(format!("{} was not opened", std::any::type_name::<T>())))
    }
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
            self.app.identity.note_use(&who, request.peer.ip());
            match destination {
                Destination::Route(entry, params) => {
                    request.params = params;
                    (entry.handler)(&self.app, &who, request)
                }
                Destination::WrongMethod(allowed) => Ok(routes::wrong_method(&request.head, &allowed)),
                Destination::Nowhere => Ok(routes::nowhere(&request.head.path)),
            }
        });
        answer.unwrap_or_else(|error| print_error(error, request.number, words))
    }

    /// The origin a request came from, when its pages may call this server.
    fn allowed_origin(&self, head: &Head) -> Option<&str> {
        let mut given = head.headers.all("origin");
        let (given, None) = (given.next()?, given.next()) else { return None };
        let allowed = self.app.settings.allowed_origins.iter().find(|allowed| allowed.as_bytes() == given);
        allowed.map(String::as_str)
    }

    /// Who is asking, if the gate lets them in.
    fn pass(&self, gate: Gate, head: &Head) -> Result<Principal> {
        match gate {
            Gate::Open => Ok(Principal::Anonymous),
            Gate::Token => self.app.token(head),
            Gate::Key => self.app.api_key(head),
            Gate::Login => self.app.login(head),
            Gate::Admin => self.app.admin(head),
        }
    }
}

impl App {
    /// The principal behind `Authorization: Bearer` (`faynosync.md` §1).
    ///
    /// # Errors
    /// `Unauthenticated` in the dialect's words.
    pub fn login(&self, head: &Head) -> Result<Principal> {
        let refused = |message: &'static str| Error::new(Kind::Unauthenticated, message);
        let given = head.headers.get("authorization").map(<[u8]>::trim_ascii).filter(|given| !given.is_empty());
        let given = given.ok_or_else(|| refused("missing authorization header"))?;
        let malformed = || refused("invalid token format");
        let text = std::str::from_utf8(given).map_err(|_| malformed())?;
        let mut words = text.split_ascii_whitespace();
        let (Some("Bearer"), Some(token), None) = (words.next(), words.next(), words.next()) else {
            return Err(malformed());
        };
        if head.headers.all("authorization").nth(1).is_some() {
            return Err(malformed());
        }
        let credentials = Credentials { bearer: Some(token), ..Credentials::default() };
        match self.identity.authenticate(&credentials)? {
            who @ (Principal::Account(_) | Principal::Token(_)) => Ok(who),
            _ => Err(refused("invalid or expired token")),
        }
    }

    /// The principal behind `X-Api-Token` (`products.md` §2); without that field, an owner's login, so that the web UI
    /// needs no token.
    ///
    /// # Errors
    /// `Unauthenticated` in the dialect's words.
    pub fn token(&self, head: &Head) -> Result<Principal> {
        let refused = |message: &'static str| Error::new(Kind::Unauthenticated, message);
        if head.headers.get("x-api-token").is_none()
            && let Some(token) = bearer(head)
        {
            let credentials = Credentials { bearer: Some(token), ..Credentials::default() };
            match self.identity.authenticate(&credentials) {
                Ok(Principal::Account(account)) if account.role == Role::Owner => {
                    return Ok(Principal::Token(TokenRef::of_person(&account, self.clock.now())));
                }
                Err(error) if error.kind != Kind::Unauthenticated => return Err(error),
                _ => {}
            }
        }
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

impl App {
    /// The bytes of an artifact somebody fetches, ready for an answer to `head` and counted as a download once they leave;
    /// a part of them is checked before it is promised.
    ///
    /// # Errors
    /// `NotFound` when nobody holds them, `Internal` when they are damaged or gone.
    pub fn bytes(&self, digest: &Digest, head: &Head) -> Result<Fetched> {
        Ok(self.counted(self.quiet_bytes(digest, head)?.0, head))
    }

    /// The bytes of a blob that counts as a download when its beginning leaves in answer to `head`.
    pub fn counted(&self, blob: Blob, head: &Head) -> Fetched {
        Fetched { source: BlobSource(blob), counter: self.counter(head) }
    }

    /// What counts a download when its beginning leaves in answer to `head`.
    pub fn counter(&self, head: &Head) -> Counter {
        let begins = head.headers.text("range").is_none_or(|range| range.trim_start().starts_with("bytes=0-"));
        let counter = self.rooms.get::<Arc<Downloads>>().ok();
        let counter = counter.filter(|_| begins && head.method == Method::Get).cloned();
        Counter { counter: Cell::new(counter), clock: self.clock.clone() }
    }

    /// The same for what is no artifact, such as the index of a repository: not counted.
    ///
    /// # Errors
    /// As [`App::bytes`].
    pub fn quiet_bytes(&self, digest: &Digest, head: &Head) -> Result<BlobSource> {
        let mut blob = self.store.blob(digest)?;
        if head.headers.get("range").is_some() {
            blob.check_before_range()?;
        }
        Ok(BlobSource(blob))
    }
}

/// What somebody without a valid key is told (`refpack.md` §1).
pub const NO_API_KEY: &str = "API key is missing or invalid.";

impl App {
    /// The principal behind `X-API-Key`, else behind `Authorization: Bearer` (`refpack.md` §3).
    ///
    /// # Errors
    /// `Unauthenticated` in the dialect's words.
    pub fn api_key(&self, head: &Head) -> Result<Principal> {
        let refused = || Error::new(Kind::Unauthenticated, NO_API_KEY);
        let who = self.holder(head, &["x-api-key"], refused)?;
        match who {
            Principal::Token(ref token) if token.scope.is_none() => Ok(who),
            // Team users act in their own dialect only (`reliability.md` §13).
            Principal::Account(ref account) if account.role == Role::Owner => Ok(who),
            _ => Err(refused()),
        }
    }
}

impl App {
    /// The owner or admin token behind `Authorization: Bearer`, `X-Api-Token` or `X-API-Key` (`repos.md` §1).
    ///
    /// # Errors
    /// `Unauthenticated` for nobody and for unknown credentials, `Forbidden` for everybody else.
    pub fn admin(&self, head: &Head) -> Result<Principal> {
        let refused = || Error::new(Kind::Unauthenticated, "a valid admin token or login is needed");
        let who = self.holder(head, &["x-api-token", "x-api-key"], refused)?;
        match who {
            Principal::Anonymous => Err(refused()),
            who if who.is_admin() => Ok(who),
            _ => Err(Error::forbidden("this needs an owner or an admin token")),
        }
    }

    /// Who shows the key in the first of these fields that is there, or a bearer token; `refused` says that it is not known.
    fn holder(&self, head: &Head, fields: &[&str], refused: impl Fn() -> Error) -> Result<Principal> {
        let api_token = match fields.iter().find(|name| head.headers.get(name).is_some()) {
            Some(name) => Some(head.headers.text(name).ok_or_else(&refused)?.trim()),
            None => None,
        };
        let credentials = Credentials { api_token, bearer: bearer(head), ..Credentials::default() };
        self.identity.authenticate(&credentials).map_err(|e| match e.kind {
            Kind::Unauthenticated => refused(),
            _ => e,
        })
    }
}

/// Where a plain request finds the same over HTTPS. None for what must work before the root is trusted, for probes, and
/// for clients that do not say which host they mean.
fn secure_address(head: &Head, port: u16) -> Option<String> {
    const PLAIN: [&str; 5] = ["/tls", "/tls/ca.crt", "/tls/ca.cer", "/winget/ca.cer", "/health"];
    if PLAIN.contains(&head.path.as_str()) {
        return None;
    }
    let host = without_port(head.headers.text("host").filter(|host| !host.is_empty())?);
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let query = head.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("https://{host}{port}{}{query}", head.path))
}

/// Lets pages of `origin` read an answer; others get none of these fields.
fn allow_origin(response: Response, origin: Option<&str>) -> Response {
    const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    const HEADERS: &str = "Authorization, Content-Type, Range, If-None-Match, If-Range, X-Api-Token, X-Device-ID";
    let Some(origin) = origin else { return response };
    response
        .header("Access-Control-Allow-Origin", origin)
        .header("Access-Control-Allow-Credentials", "true")
        .header("Access-Control-Allow-Methods", METHODS)
        .header("Access-Control-Allow-Headers", HEADERS)
        .header("Vary", "Origin")
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
        let Pace { lane, collect } = match &route {
            Destination::Route(entry, _) => entry.pace,
            _ => routes::UNKNOWN,
        };
        Plan { route, lane, collect }
    }

    fn answer(&self, route: Destination, request: &mut Request) -> Response {
        if let Some(port) = self.app.settings.redirect_to.get()
            && !request.secure
            && let Some(there) = secure_address(&request.head, *port)
        {
            return Response::redirect(308, &there);
        }
        let origin = self.allowed_origin(&request.head);
        // A page asks before it calls; the answer is the same for every address.
        if request.head.method == Method::Options && origin.is_some() {
            return allow_origin(Response::empty(204), origin);
        }
        allow_origin(self.serve(route, request), origin)
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

/// Counts one download, once.
pub struct Counter {
    counter: Cell<Option<Arc<Downloads>>>,
    clock: Arc<Clock>,
}

impl Counter {
    /// Bytes leave.
    pub fn count(&self) {
        if let Some(counter) = self.counter.take() {
            counter.count(self.clock.now());
        }
    }
}

/// A blob that is counted when its bytes begin to leave: an answer without a body counts nothing.
pub struct Fetched {
    source: BlobSource,
    counter: Counter,
}

impl Source for Fetched {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.counter.count();
        self.source.read_at(offset, buffer)
    }

    fn file(&self) -> Option<&std::fs::File> {
        let file = self.source.file();
        if file.is_some() {
            self.counter.count();
        }
        file
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
