//! Who a request acts as, whatever header said so.

use std::net::IpAddr;

use uuid::Uuid;

use crate::clock::Time;
use crate::identity::accounts::{Account, Role};
use crate::identity::permissions::Permissions;
use crate::identity::secrets::TokenKey;
use crate::identity::tokens::Scope;
use crate::ids::ObjectId;

/// What a request brought along to say who it is; an empty text counts as absent.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `X-Api-Token`, which is `X-API-Key` in the RefPack dialect.
    pub api_token: Option<&'a str>,
    /// The word after `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// A winget client's token.
    pub client_token: Option<&'a str>,
    /// Where the request came from; needed with `client_token` only.
    pub address: Option<IpAddr>,
}

/// Who a request acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody.
    Anonymous,
    /// A person who logged in.
    Account(AccountRef),
    /// A program.
    Token(TokenRef),
    /// A machine that installs.
    Client(ClientRef),
}

/// A person, as the transaction that authenticated it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRef {
    /// The account.
    pub id: ObjectId,
    /// The namespace it acts in.
    pub tenant: Uuid,
    /// Its name.
    pub username: String,
    /// Owner or team user.
    pub role: Role,
    /// Whether it may change instance-wide settings.
    pub operator: bool,
    /// Rights of a team user.
    pub permissions: Permissions,
    /// The login it came by.
    pub login: TokenKey,
}

/// A program's token, as the transaction that authenticated it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// SHA-256 of the raw token.
    pub key: TokenKey,
    /// May do everything everywhere.
    pub admin: bool,
    /// The account it belongs to, if any.
    pub account: Option<ObjectId>,
    /// When it was made.
    pub created: Time,
    /// Present on tokens that may only upload to some apps; these come by Bearer only.
    pub scope: Option<Scope>,
    /// The username, when a person's login stands in for a token ([`TokenRef::of_person`]).
    pub person: Option<String>,
}

impl TokenRef {
    /// A logged-in owner where the dialect asks for a token: the owner of the installation as an admin, others as a
    /// plain token of their own. The key is the same at every login and no raw token leads to it, so what is granted
    /// to it stays with the person.
    pub fn of_person(account: &AccountRef, now: Time) -> Self {
        // A raw token never holds a line break, so none has this digest.
        let key = TokenKey::of(&format!("person\n{}", account.id.to_hex()));
        let (admin, person) = (account.operator, Some(account.username.clone()));
        TokenRef { key, admin, account: Some(account.id), created: now, scope: None, person }
    }
}

/// A machine, as the transaction that authenticated it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRef {
    /// Its id.
    pub id: Uuid,
    /// Whose packages it sees.
    pub tenant: Uuid,
    /// Its name.
    pub name: String,
}

impl Principal {
    /// What logs and the audit trail call it; never a secret, never a blank in it.
    pub fn label(&self) -> String {
        match self {
            Principal::Anonymous => "anonymous".to_owned(),
            Principal::Account(account) => format!("user:{}", account.username),
            Principal::Token(TokenRef { person: Some(username), .. }) => format!("user:{username}"),
            Principal::Token(token) => token.key.fingerprint(),
            Principal::Client(client) => format!("client:{}", client.id),
        }
    }

    /// Whether it is an owner or holds an admin token: what routes open to admins ask.
    pub fn is_admin(&self) -> bool {
        match self {
            Principal::Account(account) => account.role == Role::Owner,
            Principal::Token(token) => token.admin,
            Principal::Anonymous | Principal::Client(_) => false,
        }
    }
}

impl AccountRef {
    pub(super) fn of(account: Account, login: TokenKey) -> Self {
        let Account { id, tenant, username, role, operator, permissions, .. } = account;
        AccountRef { id, tenant, username, role, operator, permissions, login }
    }
}
