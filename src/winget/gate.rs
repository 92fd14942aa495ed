//! Who may come in: the tenant, where the caller sits, who the caller is; in this order (`winget.md` A1, A2).

use std::net::IpAddr;

use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::http::{Head, Request, bearer, percent_decode};
use crate::identity::{ClientRef, Credentials, Principal, Role, TokenRef, accounts};
use crate::ids::ObjectId;
use crate::store::table::Read;
use crate::winget::model::By;
use crate::winget::tenant::{self, Hidden, Settings};

/// What a caller from outside the tenant's addresses is told.
pub const IP_REFUSED: &str = "IP address not authorized";
/// What a caller without a valid token is told on routes for clients.
pub const NO_CLIENT: &str = "Invalid Auth-Token";
const NO_LOGIN: &str = "Unauthorized";

/// A request that has found its tenant.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The tenant.
    pub tenant: Uuid,
    /// Its owner's account.
    pub owner: ObjectId,
    /// Its settings.
    pub settings: Settings,
    /// Where the request comes from.
    pub address: IpAddr,
}

/// Somebody with a login, or a program with an API token.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The account it acts for; the owner's for programs that belong to nobody.
    pub account: ObjectId,
    /// What logs call it.
    pub label: String,
    /// Whether it may change what belongs to the operator.
    pub operator: bool,
    /// Whether it may change anything: users of the owner's team only look.
    pub writes: bool,
}

/// Whoever asks on a route for clients.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Sees everything.
    Admin(Admin),
    /// A machine.
    Client(ClientRef),
    /// Nobody in particular; only where the tenant asks for no token.
    Anonymous,
}

impl Visit {
    /// Finds the tenant named by the path's `{tenant}`, and looks at the caller's address.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant, `Forbidden` [`IP_REFUSED`].
    pub fn open(app: &App, request: &Request) -> Result<Visit> {
        let visit = Visit::from_anywhere(app, request)?;
        visit.judge_address()?;
        Ok(visit)
    }

    /// Finds the tenant, whatever the caller's address.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant.
    pub fn from_anywhere(app: &App, request: &Request) -> Result<Visit> {
        let unknown = || Error::not_found("Tenant not found");
        let name = segment(request, "tenant").map_err(|_| unknown())?;
        let address = request.peer.ip().to_canonical();
        let found = app.store.read(|tx| match accounts::tenant(tx, &name)? {
            Some(owner) => Ok(Some((tenant::settings(tx, owner.tenant)?, owner))),
            None => Ok(None),
        })?;
        let (settings, owner) = found.ok_or_else(unknown)?;
        Ok(Visit { tenant: owner.tenant, owner: owner.id, settings, address })
    }

    /// Looks at the caller's address.
    ///
    /// # Errors
    /// `Forbidden` [`IP_REFUSED`].
    pub fn judge_address(&self) -> Result<()> {
        match self.settings.admits(self.address) {
            true => Ok(()),
            false => Err(Error::forbidden(IP_REFUSED)),
        }
    }

    /// Whoever holds the Bearer token of a login of this tenant.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn login(&self, app: &App, request: &mut Request) -> Result<Admin> {
        let admin = self.bearer(app, &request.head)?.ok_or_else(|| Error::new(Kind::Unauthenticated, NO_LOGIN))?;
        request.set_note(admin.label.clone());
        Ok(admin)
    }

    /// The same for routes that change something or show what only owners see.
    ///
    /// # Errors
    /// `Unauthenticated`; `Forbidden` for users of the owner's team.
    pub fn owner(&self, app: &App, request: &mut Request) -> Result<Admin> {
        let admin = self.login(app, request)?;
        match admin.writes {
            true => Ok(admin),
            false => Err(Error::forbidden("Permission denied")),
        }
    }

    /// Whoever asks on a route for clients: a valid Bearer or API token wins, then the client token decides.
    ///
    /// # Errors
    /// `Unauthenticated` [`NO_CLIENT`] or `Throttled`, where the tenant asks for a token.
    pub fn caller(&self, app: &App, request: &mut Request, token: Option<&str>) -> Result<Caller> {
        let caller = self.who(app, &request.head, token)?;
        caller.note(request);
        Ok(caller)
    }

    fn who(&self, app: &App, head: &Head, token: Option<&str>) -> Result<Caller> {
        if let Some(admin) = self.bearer(app, head)? {
            return Ok(Caller::Admin(admin));
        }
        if let Some(admin) = self.api_token(app, head)? {
            return Ok(Caller::Admin(admin));
        }
        let refused = || Error::new(Kind::Unauthenticated, NO_CLIENT);
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let must = self.settings.client_authentication;
        let Some(token) = token else { return if must { Err(refused()) } else { Ok(Caller::Anonymous) } };
        if !must {
            let known = app.store.read(|tx| app.identity.known_client(tx, token, Some(self.address)))?;
            let known = known.filter(|client| client.tenant == self.tenant);
            return Ok(known.map_or(Caller::Anonymous, Caller::Client));
        }
        let credentials =
            Credentials { client_token: Some(token), address: Some(self.address), ..Credentials::default() };
        match app.identity.authenticate(&credentials)? {
            Principal::Client(client) if client.tenant == self.tenant => Ok(Caller::Client(client)),
            _ => Err(refused()),
        }
    }

    /// The login or API token sent as a Bearer, when it is good for this tenant.
    pub fn bearer(&self, app: &App, head: &Head) -> Result<Option<Admin>> {
        let Some(token) = bearer(head) else { return Ok(None) };
        self.admin(app, &Credentials { bearer: Some(token), ..Credentials::default() })
    }

    /// The API token sent as `X-Api-Token` or `X-API-Key`, when it is good for this tenant.
    pub fn api_token(&self, app: &App, head: &Head) -> Result<Option<Admin>> {
        let given = head.headers.text("x-api-token").or_else(|| head.headers.text("x-api-key"));
        match given {
            Some(token) => self.admin(app, &Credentials { api_token: Some(token), ..Credentials::default() }),
            None => Ok(None),
        }
    }

    /// What these credentials may do here; none when they are no good for this tenant.
    pub fn admin(&self, app: &App, credentials: &Credentials) -> Result<Option<Admin>> {
        let judged = app.store.read(|tx| {
            let who = app.identity.authenticate_in(tx, credentials)?;
            self.judge(tx, &who)
        });
        match judged {
            Err(error) if error.kind == Kind::Unauthenticated => Ok(None),
            other => other,
        }
    }

    fn judge(&self, tx: &impl Read, who: &Principal) -> Result<Option<Admin>> {
        let label = who.label();
        Ok(match who {
            Principal::Account(account) if account.tenant == self.tenant => {
                let writes = account.role == Role::Owner;
                Some(Admin { account: account.id, label, operator: account.operator && writes, writes })
            }
            Principal::Token(TokenRef { admin: true, account, scope: None, .. }) => {
                Some(Admin { account: account.unwrap_or(self.owner), label, operator: true, writes: true })
            }
            Principal::Token(TokenRef { account: Some(id), scope: None, .. }) => {
                let account = accounts::get(tx, *id)?.filter(|account| account.tenant == self.tenant);
                account.map(|account| {
                    let writes = account.role == Role::Owner;
                    Admin { account: account.id, label, operator: false, writes }
                })
            }
            _ => None,
        })
    }
}

impl Admin {
    /// Who changes something, and when.
    pub fn by(&self, app: &App) -> By {
        By { who: self.label.clone(), now: app.clock.now() }
    }
}

impl Caller {
    /// Names the caller in the log.
    pub fn note(&self, request: &mut Request) {
        match self {
            Caller::Admin(admin) => request.set_note(admin.label.clone()),
            Caller::Client(client) => request.set_note(format!("client:{}", client.id)),
            Caller::Anonymous => {}
        }
    }

    /// The packages this caller does not see.
    pub fn hidden(&self, tx: &impl Read, visit: &Visit) -> Result<Hidden> {
        match self {
            Caller::Admin(_) => Ok(Hidden::default()),
            Caller::Client(client) => Hidden::from_client(tx, visit.tenant, &visit.settings, Some(client.id)),
            Caller::Anonymous => Hidden::from_client(tx, visit.tenant, &visit.settings, None),
        }
    }

    /// Whether it is somebody.
    pub fn is_known(&self) -> bool {
        !matches!(self, Caller::Anonymous)
    }

    /// The machine, when it is one.
    pub fn client(&self) -> Option<Uuid> {
        match self {
            Caller::Client(client) => Some(client.id),
            _ => None,
        }
    }
}

/// A decoded segment of the path.
///
/// # Errors
/// `NotFound` when it does not decode or holds a slash or a control character (`winget.md` §0).
pub fn segment(request: &Request, name: &str) -> Result<String> {
    let text = percent_decode(request.params.raw(name)).ok();
    let plain = text.filter(|text| !text.contains(['/', '\\']) && !text.chars().any(char::is_control));
    plain.ok_or_else(|| Error::not_found("Not Found"))
}
