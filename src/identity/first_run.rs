//! The first start: the operator's account, an admin token, the sign-up key, the signing keys.

use crate::audit;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::accounts::{self, NewAccount};
use crate::identity::info::{self, Secret};
use crate::identity::passwords::Passwords;
use crate::identity::secrets::{Password, RawToken, TokenKey};
use crate::identity::tokens::{self, ApiToken};
use crate::ids::{ObjectId, random};
use crate::store::Store;
use crate::store::table::Read;

/// The file that generated secrets are written to, for the owner's eyes.
pub const NOTE: &str = "first-run.txt";

const DEFAULT_USER: &str = "admin";

/// What the environment says about the first start. What is absent is made up.
#[derive(Clone, Debug, Default)]
pub struct FirstRun {
    /// `PACKHOUSE_ADMIN_USER`: name of the first owner. Without meaning once there is one.
    pub user: Option<String>,
    /// `PACKHOUSE_ADMIN_PASSWORD`: that owner's first password. Without meaning once there is an owner: it never
    /// overwrites a password that was changed since.
    pub password: Option<Password>,
    /// `PACKHOUSE_ADMIN_TOKEN`: an admin API token that is there after every start, also when it was pruned before.
    pub token: Option<RawToken>,
    /// `PACKHOUSE_SIGNUP_KEY`: lets strangers sign up; each start's value replaces the one before.
    pub signup_key: Option<RawToken>,
}

/// What a start has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstRunReport {
    /// The name of the first owner, when this start made it.
    pub owner: Option<String>,
    /// Whether generated secrets were written to [`NOTE`] in the data directory.
    pub note: bool,
}

impl FirstRun {
    /// From the `PACKHOUSE_*` variables, looked up by `variable`; empty ones count as absent.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        FirstRun {
            user: variable("PACKHOUSE_ADMIN_USER"),
            password: variable("PACKHOUSE_ADMIN_PASSWORD").map(Password::new),
            token: variable("PACKHOUSE_ADMIN_TOKEN").map(|text| RawToken::from_text(&text)),
            signup_key: variable("PACKHOUSE_SIGNUP_KEY").map(|text| RawToken::exact(&text)),
        }
    }

    /// `Invalid`, naming the variable, when a value cannot be used.
    fn check(&self) -> Result<()> {
        if self.user.as_ref().is_some_and(|user| !accounts::is_username(user)) {
            return Err(Error::invalid(
                "PACKHOUSE_ADMIN_USER must be 1 to 64 of A-Z a-z 0-9 . _ @ - and begin with a letter or digit",
            ));
        }
        if self.password.as_ref().is_some_and(|password| password.check().is_err()) {
            return Err(Error::invalid("PACKHOUSE_ADMIN_PASSWORD must have 1 to 1024 bytes"));
        }
        let printable = |token: &RawToken| token.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if self.token.as_ref().is_some_and(|token| token.as_str().len() < 8 || !printable(token)) {
            return Err(Error::invalid("PACKHOUSE_ADMIN_TOKEN must have at least 8 characters, printable ASCII only"));
        }
        Ok(())
    }
}

/// The installation's keys, the same at every start.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    pub(super) signing: Secret,
    pub(super) clients: Secret,
    pub(super) signup: TokenKey,
}

/// What the database holds of all this.
struct State {
    owner: Option<ObjectId>,
    named: bool,
    any_admin: bool,
    given_token: Option<ApiToken>,
    signing: Option<Secret>,
    clients: Option<Secret>,
    signup: Option<TokenKey>,
}

impl State {
    fn read(tx: &impl Read, first: &FirstRun) -> Result<State> {
        let named = first.user.as_ref().map(|user| accounts::by_username(tx, user)).transpose()?.flatten();
        let given = first.token.as_ref().map(|token| tokens::get(tx, token.key())).transpose()?;
        Ok(State {
            owner: info::OPERATOR.get(tx)?,
            named: named.is_some(),
            any_admin: tokens::any_admin(tx)?,
            given_token: given.flatten(),
            signing: info::SIGNING_KEY.get(tx)?,
            clients: info::CLIENT_KEY.get(tx)?,
            signup: info::SIGNUP_KEY.get(tx)?,
        })
    }
}

/// Makes what is missing: everything at the first start, nothing at a later one. At most one password is hashed, and
/// only when the owner is made. Generated secrets are written down before they count, so that none is ever lost.
pub(super) fn prepare(
    store: &Store,
    passwords: &Passwords,
    first: &FirstRun,
    now: Time,
) -> Result<(Keys, FirstRunReport)> {
    first.check()?;
    let state = store.read(|tx| State::read(tx, first))?;
    let mut lines = Vec::new();

    let signing = state.signing.map_or_else(random, Ok)?;
    let clients = state.clients.map_or_else(random, Ok)?;
    let owner = match state.owner {
        Some(_) => {
            if first.user.is_some() && !state.named {
                log::warn!("PACKHOUSE_ADMIN_USER is not used: there is an owner already");
            }
            None
        }
        None => {
            let username = first.user.clone().unwrap_or_else(|| DEFAULT_USER.to_owned());
            let password = match &first.password {
                Some(password) => password.clone(),
                None => {
                    let password = Password::random()?;
                    lines.push(("User", username.clone()));
                    lines.push(("Password", password.as_str().to_owned()));
                    password
                }
            };
            let password = passwords.hash(&password)?;
            Some((NewAccount { id: ObjectId::random()?, username, password }, uuid::Uuid::from_bytes(tenant()?)))
        }
    };
    let token = match &first.token {
        Some(token) => Some(token.key()).filter(|_| !state.given_token.as_ref().is_some_and(|known| known.admin)),
        None if state.any_admin => None,
        None => {
            let token = RawToken::random()?;
            lines.push(("API token", token.as_str().to_owned()));
            Some(token.key())
        }
    };
    let signup = match (&first.signup_key, state.signup) {
        (Some(given), _) => given.key(),
        (None, Some(known)) => known,
        (None, None) => {
            let key = RawToken::random()?;
            lines.push(("Sign-up key", key.as_str().to_owned()));
            key.key()
        }
    };

    let keys = Keys { signing, clients, signup };
    let report = FirstRunReport { owner: owner.as_ref().map(|(new, _)| new.username.clone()), note: !lines.is_empty() };
    let keys_known = state.signing.is_some() && state.clients.is_some() && state.signup == Some(signup);
    if owner.is_none() && token.is_none() && keys_known {
        return Ok((keys, report));
    }
    if report.note {
        store.write_private_file(NOTE, &note(&lines))?;
    }
    store.commit(move |tx| {
        info::SIGNING_KEY.put(tx, &keys.signing)?;
        info::CLIENT_KEY.put(tx, &keys.clients)?;
        info::SIGNUP_KEY.put(tx, &keys.signup)?;
        if let Some((new, tenant)) = &owner {
            let account = accounts::create_owner(tx, new, *tenant, now)?;
            audit::note(tx, now, "server", "account.create", &account.username, None)?;
        }
        if let Some(key) = token {
            let account = info::OPERATOR.get(tx)?;
            tokens::insert(tx, key, &ApiToken { account, ..ApiToken::new(true, now) })?;
            audit::note(tx, now, "server", "token.register", &key.fingerprint(), None)?;
        }
        Ok(())
    })?;
    Ok((keys, report))
}

fn tenant() -> Result<[u8; 16]> {
    let bytes = random::<16>()?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
}

fn note(lines: &[(&str, String)]) -> String {
    let mut text =
        "Packhouse made these at its first start. Keep them in a safe place, then delete this file.\n\n".to_owned();
    for (name, value) in lines {
        text.push_str(&format!("{:<14}{value}\n", format!("{name}:")));
    }
    text
}
