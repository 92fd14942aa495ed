//! Who is asking: accounts, logins, API tokens, client machines, and the one way from credentials to a principal.

use std::net::IpAddr;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::clock::{Clock, Time};
use crate::error::{Error, Kind, Result};
use crate::store::Store;
use crate::store::table::{Read, WriteTx};

pub mod accounts;
pub mod addresses;
pub mod clients;
mod first_run;
mod info;
mod jwt;
pub mod logins;
pub mod passwords;
pub mod permissions;
mod principal;
mod renewals;
mod secrets;
pub mod throttle;
pub mod tokens;
mod uses;

pub use accounts::Role;
pub use first_run::{FirstRun, FirstRunReport, NOTE as FIRST_RUN_NOTE};
pub use permissions::Permissions;
pub use principal::{AccountRef, ClientRef, Credentials, Principal, TokenRef};
pub use secrets::{Fingerprint, Password, RawToken, TokenKey};
pub use uses::Use;

use accounts::Account;
use clients::Client;
use first_run::Keys;
use logins::Style;
use passwords::{Cost, Passwords, Verdict};
use renewals::Renewals;
use throttle::Throttle;
use uses::Uses;

/// What failed logins of a kind are counted under, beside the address; no username has a blank in it.
const SIGNUP_SUBJECT: &str = "sign-up key";
const CLIENT_SUBJECT: &str = "client token";

/// Answers who is asking, and keeps what is needed for it.
pub struct Identity {
    store: Arc<Store>,
    clock: Arc<Clock>,
    keys: Keys,
    passwords: Passwords,
    throttle: Throttle,
    renewals: Arc<Renewals>,
    uses: Uses,
    first_run: FirstRunReport,
}

impl Identity {
    /// Opens the identity of an installation; at the first start makes what [`FirstRun`] says.
    ///
    /// # Errors
    /// `Invalid`, naming the variable, when a value of `first` cannot be used; what the store answers.
    pub fn open(store: Arc<Store>, clock: Arc<Clock>, first: FirstRun) -> Result<Identity> {
        Identity::open_at_cost(store, clock, first, Cost::STANDARD)
    }

    /// [`Identity::open`] with another cost of password hashes ([`Cost::SMALL`] on boards under 512 MiB).
    pub fn open_at_cost(store: Arc<Store>, clock: Arc<Clock>, first: FirstRun, cost: Cost) -> Result<Identity> {
        let passwords = Passwords::new(cost);
        let (keys, first_run) = first_run::prepare(&store, &passwords, &first, clock.now())?;
        let (throttle, renewals, uses) = (Throttle::default(), Arc::default(), Uses::default());
        Ok(Identity { store, clock, keys, passwords, throttle, renewals, uses, first_run })
    }

    /// What this start has made, for the line on the terminal.
    pub fn first_run(&self) -> &FirstRunReport {
        &self.first_run
    }

    /// Who is asking, in a transaction of its own.
    ///
    /// # Errors
    /// As [`Identity::authenticate_in`].
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Principal> {
        self.store.read(|tx| self.authenticate_in(tx, credentials))
    }

    /// Who is asking, as `tx` sees it; nothing is remembered from one request to the next, so a revocation holds from
    /// the moment it is committed.
    ///
    /// An API token decides alone; without it a valid Bearer wins; where that is absent or invalid, a client token
    /// decides. Nothing given is [`Principal::Anonymous`].
    ///
    /// # Errors
    /// `Unauthenticated` when something was given and is not valid; `Throttled` for too many wrong client tokens.
    pub fn authenticate_in(&self, tx: &impl Read, credentials: &Credentials) -> Result<Principal> {
        if let Some(token) = given(credentials.api_token) {
            let principal = self.api_token(tx, token)?.filter(|token| token.scope.is_none()).map(Principal::Token);
            return principal.ok_or_else(|| unauthenticated("Invalid api token"));
        }
        let bearer = given(credentials.bearer);
        let refusal = match bearer {
            Some(bearer) => match self.bearer(tx, bearer)? {
                Ok(principal) => return Ok(principal),
                Err(refusal) => Some(refusal),
            },
            None => None,
        };
        if let Some(token) = given(credentials.client_token) {
            return self.client(tx, token, credentials.address);
        }
        refusal.map_or(Ok(Principal::Anonymous), |text| Err(unauthenticated(text)))
    }

    fn api_token(&self, tx: &impl Read, raw: &str) -> Result<Option<TokenRef>> {
        let key = TokenKey::of(raw);
        let token = tokens::get(tx, key)?;
        Ok(token.map(|tokens::ApiToken { admin, account, created, scope }| TokenRef {
            key,
            admin,
            account,
            created,
            scope,
            person: None,
        }))
    }

    /// A login, or an API token that came as a Bearer; otherwise why not.
    fn bearer(&self, tx: &impl Read, raw: &str) -> Result<Result<Principal, &'static str>> {
        const INVALID: &str = "invalid or expired token";
        let key = TokenKey::of(raw);
        let now = self.clock.now();
        let Some(login) = logins::get(tx, key)? else {
            return Ok(match self.api_token(tx, raw)? {
                Some(token) if token.scope.as_ref().and_then(|scope| scope.expires).is_some_and(|end| end <= now) => {
                    Err("token expired")
                }
                Some(token) => Ok(Principal::Token(token)),
                None => Err(INVALID),
            });
        };
        if login.signed && jwt::verify(&self.keys.signing, raw, now)?.is_none() {
            return Ok(Err(INVALID));
        }
        let Some(renewal) = logins::judge(&login, self.renewals.get(key), now) else {
            return Ok(Err(INVALID));
        };
        let account = accounts::get(tx, login.account)?;
        let Some(account) = account.filter(|account| account.epoch == login.epoch) else {
            return Ok(Err(INVALID));
        };
        if let Some(renewal) = renewal {
            self.renewals.put(&self.store, key, renewal);
        }
        Ok(Ok(Principal::Account(AccountRef::of(account, key))))
    }

    /// The machine whose token this is, when it is switched on and its token is taken from `address`. Nothing is
    /// counted: for where a wrong token is as good as none.
    pub fn known_client(&self, tx: &impl Read, raw: &str, address: Option<IpAddr>) -> Result<Option<ClientRef>> {
        let client = clients::by_token(tx, raw.trim())?.filter(|client| client.admits(address));
        Ok(client.map(|Client { id, tenant, name, .. }| ClientRef { id, tenant, name }))
    }

    fn client(&self, tx: &impl Read, raw: &str, address: Option<IpAddr>) -> Result<Principal> {
        if let Some(client) = self.known_client(tx, raw, address)? {
            return Ok(Principal::Client(client));
        }
        // A valid token is never slowed down; guessing is.
        if let Some(address) = address {
            self.throttle.check(address, CLIENT_SUBJECT)?;
            self.throttle.failed(address, CLIENT_SUBJECT);
        }
        Err(unauthenticated("Invalid Auth-Token"))
    }

    /// Logs a person in. An unknown name costs and says the same as a wrong password.
    ///
    /// # Errors
    /// `Unauthenticated`; `Throttled` after too many failures from `address`; `Busy` when too many log in at once.
    pub fn login(
        &self,
        username: &str,
        password: &Password,
        address: IpAddr,
        style: Style,
    ) -> Result<(RawToken, AccountRef)> {
        let refused = || unauthenticated("invalid username or password");
        self.throttle.check(address, username)?;
        let account = self.store.read(|tx| accounts::by_username(tx, username))?;
        let verdict = self.passwords.verify(password, account.as_ref().map(|account| account.password.as_str()))?;
        let (account, stronger) = match (account, verdict) {
            (Some(account), Verdict::Right) => (account, None),
            (Some(account), Verdict::RightButOld(stronger)) => (account, Some(stronger)),
            _ => {
                self.throttle.failed(address, username);
                return Err(refused());
            }
        };
        self.throttle.succeeded(address, username);
        let now = self.clock.now();
        let (raw, login) = logins::begin(&self.keys.signing, &account, style, now)?;
        let key = raw.key();
        let account = self.store.commit(move |tx| {
            // The password may have been changed, or the account deleted, while this one was being checked.
            let current = accounts::get(tx, account.id)?.filter(|current| current.epoch == account.epoch);
            let current = current.ok_or_else(refused)?;
            if let Some(stronger) = &stronger {
                accounts::refresh_hash(tx, account.id, &account.password, stronger)?;
            }
            logins::insert(tx, key, &login, now)?;
            Ok(current)
        })?;
        Ok((raw, AccountRef::of(account, key)))
    }

    /// Ends a login; answers whether there was one. Others of the same account go on.
    pub fn logout(&self, raw: &str) -> Result<bool> {
        let key = TokenKey::of(raw.trim());
        self.renewals.forget(key);
        if self.store.read(|tx| logins::get(tx, key))?.is_none() {
            return Ok(false);
        }
        self.store.commit(move |tx| logins::remove(tx, key))
    }

    /// The hash of a new password, for [`accounts`]. Takes tens of milliseconds: never inside a transaction.
    ///
    /// # Errors
    /// `Invalid` unless it has 1 to 1024 bytes; `Busy` when too many wait.
    pub fn hash_password(&self, password: &Password) -> Result<String> {
        self.passwords.hash(password)
    }

    /// Whether `given` is the key that lets strangers sign up, compared in constant time.
    ///
    /// # Errors
    /// `Throttled` after too many wrong ones from `address`.
    pub fn check_signup_key(&self, given: &str, address: IpAddr) -> Result<bool> {
        self.throttle.check(address, SIGNUP_SUBJECT)?;
        let digests = [TokenKey::of(given), self.keys.signup].map(|key| key.bytes());
        let fits = bool::from(digests[0].ct_eq(&digests[1]));
        match fits {
            true => self.throttle.succeeded(address, SIGNUP_SUBJECT),
            false => self.throttle.failed(address, SIGNUP_SUBJECT),
        }
        Ok(fits)
    }

    /// Adds a client machine of `tenant` under a name from [`clients::clean_name`].
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub fn add_client(&self, tx: &WriteTx, tenant: Uuid, id: Uuid, name: &str, now: Time) -> Result<Client> {
        let client = Client {
            id,
            tenant,
            name: name.to_owned(),
            enabled: true,
            blocked: addresses::AddressList::default(),
            generation: 0,
            created: now,
            address: None,
            seen: None,
            program: 0,
        };
        clients::insert(tx, &self.keys.clients, &client)?;
        Ok(client)
    }

    /// The token of a client machine, for its owner's eyes.
    pub fn client_token(&self, client: &Client) -> Result<RawToken> {
        clients::token(&self.keys.clients, client)
    }

    /// Remembers that `who` came from `address`, when it is an API token; a person's login is none.
    pub fn note_use(&self, who: &Principal, address: IpAddr) {
        if let Principal::Token(TokenRef { key, person: None, .. }) = who {
            self.uses.put(*key, Use { at: self.clock.now(), address });
        }
    }

    /// The last use of an API token; none when it was never used.
    ///
    /// # Errors
    /// What the store answers.
    pub fn last_use(&self, tx: &impl Read, key: TokenKey) -> Result<Option<Use>> {
        self.uses.get(tx, key)
    }

    /// The living logins of an account: how many, and when one of them began last.
    ///
    /// # Errors
    /// What the store answers.
    pub fn sessions(&self, tx: &impl Read, account: &Account) -> Result<(usize, Option<Time>)> {
        let now = self.clock.now();
        let alive = logins::of_account(tx, account.id)?.into_iter().filter(|(key, login)| {
            login.epoch == account.epoch && logins::judge(login, self.renewals.get(*key), now).is_some()
        });
        Ok(alive.fold((0, None), |(count, last), (_, login)| (count + 1, last.max(Some(login.created)))))
    }

    /// Writes what is only in memory (the last use of logins and of API tokens).
    ///
    /// # Errors
    /// What the store answers.
    pub fn flush(&self) -> Result<()> {
        let (logins, tokens) = (self.renewals.flush(&self.store), self.uses.flush(&self.store));
        logins.and(tokens)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.renewals.stop();
    }
}

/// A credential as it is compared: without the blanks around it, and none when nothing is left.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn unauthenticated(message: &'static str) -> Error {
    Error::new(Kind::Unauthenticated, message)
}

/// Whether an account could be made under this name and password; what `/signup` calls an invalid request body.
pub fn check_new(username: &str, password: &Password) -> Result<()> {
    if !accounts::is_username(username) {
        return Err(Error::invalid("invalid username"));
    }
    password.check()
}

/// The account a principal acts for, if any: its own, or the one its token belongs to.
pub fn account_of(tx: &impl Read, principal: &Principal) -> Result<Option<Account>> {
    match principal {
        Principal::Account(account) => accounts::get(tx, account.id),
        Principal::Token(TokenRef { account: Some(account), .. }) => accounts::get(tx, *account),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
