//! Client machines of the winget dialects and their tokens; they only read (`winget.md` A2, A8).

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::addresses::AddressList;
use crate::identity::info::Secret;
use crate::identity::secrets::{RawToken, TokenKey};
use crate::store::table::{Read, Table, WriteTx};

/// (tenant, id) → machine.
const CLIENTS: Table<(Uuid, Uuid), Client> = Table::new("identity.client");
/// Names are unique in a tenant; listings go by them.
const NAMES: Table<(Uuid, String), Uuid> = Table::new("identity.client_name");
const TOKENS: Table<TokenKey, (Uuid, Uuid)> = Table::new("identity.client_token");

/// Longest name, characters.
const MAX_NAME: usize = 64;

/// A machine that installs from a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id on the wire.
    pub id: Uuid,
    /// Whose packages it sees.
    pub tenant: Uuid,
    /// Upper-case, unique in the tenant.
    pub name: String,
    /// A switched-off machine is a stranger.
    pub enabled: bool,
    /// Addresses its token is not taken from.
    #[serde(default)]
    pub blocked: AddressList,
    /// Which of its tokens counts; raised when it is given another one.
    #[serde(default)]
    pub generation: u32,
    /// When it was added.
    pub created: Time,
    /// Where it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// When it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// The program it said it was (0 unknown, 1 the Winget-Repo client).
    #[serde(default)]
    pub program: i64,
}

impl Client {
    /// Whether it is switched on and its token is taken from `address`; without an address, only when none is blocked.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        let here = address.map_or(!self.blocked.is_empty(), |address| self.blocked.contains(address));
        self.enabled && !here
    }
}

/// The token of a client: a UUID made from the installation's key, so that the owner can be shown it again
/// (`winget.md` A8 asks for that) although only its SHA-256 is stored.
pub(super) fn token(key: &Secret, client: &Client) -> Result<RawToken> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| Error::internal(e.to_string()))?;
    mac.update(b"client token");
    mac.update(client.tenant.as_bytes());
    mac.update(client.id.as_bytes());
    mac.update(&client.generation.to_be_bytes());
    let output: [u8; 32] = mac.finalize().into_bytes().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&output[..16]);
    Ok(RawToken::from_text(&uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
}

/// The name as it is stored: trimmed, upper-case. `Invalid` when empty or longer than 64 characters.
pub fn clean_name(name: &str) -> Result<String> {
    let name = name.trim().to_uppercase();
    if name.is_empty() {
        return Err(Error::invalid("client_name is required"));
    }
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid("client_name must have at most 64 characters and no control characters"));
    }
    Ok(name)
}

/// Adds a machine under a name from [`clean_name`]. `Conflict` when the name is taken.
/// How many a tenant may have is the winget room's rule; see [`count`].
pub(super) fn insert(tx: &WriteTx, key: &Secret, client: &Client) -> Result<()> {
    if NAMES.has(tx, (client.tenant, client.name.as_str()))? {
        return Err(Error::conflict("Hostname already exists!"));
    }
    NAMES.put(tx, (client.tenant, client.name.as_str()), &client.id)?;
    TOKENS.put(tx, token(key, client)?.key(), &(client.tenant, client.id))?;
    CLIENTS.put(tx, (client.tenant, client.id), client)
}

/// The machine with this id.
pub fn get(tx: &impl Read, tenant: Uuid, id: Uuid) -> Result<Option<Client>> {
    CLIENTS.get(tx, (tenant, id))
}

/// The machine a token belongs to, enabled or not.
pub(super) fn by_token(tx: &impl Read, raw: &str) -> Result<Option<Client>> {
    match TOKENS.get(tx, TokenKey::of(raw))? {
        Some((tenant, id)) => get(tx, tenant, id),
        None => Ok(None),
    }
}

/// The machine of this name, from [`clean_name`].
pub fn by_name(tx: &impl Read, tenant: Uuid, name: &str) -> Result<Option<Client>> {
    match NAMES.get(tx, (tenant, name))? {
        Some(id) => get(tx, tenant, id),
        None => Ok(None),
    }
}

/// The machines of a tenant, by name.
pub fn list(tx: &impl Read, tenant: Uuid) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for (_, id) in NAMES.all(tx, (tenant,))? {
        clients.extend(get(tx, tenant, id)?);
    }
    Ok(clients)
}

/// Number of machines of a tenant.
pub fn count(tx: &impl Read, tenant: Uuid) -> Result<usize> {
    Ok(NAMES.all(tx, (tenant,))?.len())
}

/// A change to a machine; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another name, from [`clean_name`].
    pub name: Option<String>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Other blocked addresses.
    pub blocked: Option<AddressList>,
    /// Where, when and with which program it was seen.
    pub seen: Option<(IpAddr, Time, i64)>,
}

/// Applies `change`. `NotFound` for an unknown machine, `Conflict` when the name is another's.
pub fn update(tx: &WriteTx, tenant: Uuid, id: Uuid, change: &Change) -> Result<Client> {
    let mut client = get(tx, tenant, id)?.ok_or_else(|| Error::not_found("client not found"))?;
    if let Some(name) = change.name.as_ref().filter(|name| **name != client.name) {
        if NAMES.has(tx, (tenant, name.as_str()))? {
            return Err(Error::conflict("Hostname already exists!"));
        }
        NAMES.remove(tx, (tenant, client.name.as_str()))?;
        NAMES.put(tx, (tenant, name.as_str()), &id)?;
        client.name.clone_from(name);
    }
    client.enabled = change.enabled.unwrap_or(client.enabled);
    if let Some(blocked) = &change.blocked {
        client.blocked.clone_from(blocked);
    }
    if let Some((address, at, program)) = change.seen {
        client.address = Some(address);
        client.seen = Some(at);
        client.program = program;
    }
    CLIENTS.put(tx, (tenant, id), &client)?;
    Ok(client)
}

/// Removes a machine and its token, if `raw` is its token. `NotFound` otherwise, and then nothing is removed.
pub fn remove(tx: &WriteTx, tenant: Uuid, id: Uuid, raw: &str) -> Result<()> {
    match by_token(tx, raw)? {
        Some(client) if client.tenant == tenant && client.id == id => {
            TOKENS.remove(tx, TokenKey::of(raw))?;
            NAMES.remove(tx, (tenant, client.name.as_str()))?;
            CLIENTS.remove(tx, (tenant, id))?;
            Ok(())
        }
        _ => Err(Error::not_found("client not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::table::scratch;

    const KEY: Secret = [5; 32];

    fn client(number: u8, name: &str) -> Client {
        Client {
            id: Uuid::from_bytes([number; 16]),
            tenant: Uuid::from_bytes([1; 16]),
            name: name.into(),
            enabled: true,
            blocked: AddressList::default(),
            generation: 0,
            created: Time(0),
            address: None,
            seen: None,
            program: 0,
        }
    }

    #[test]
    fn names() {
        let long = "ä".repeat(64);
        for (name, stored) in [("pc-1", "PC-1"), (" büro ", "BÜRO"), (long.as_str(), &*"Ä".repeat(64))] {
            assert_eq!(clean_name(name).unwrap(), stored);
        }
        for bad in ["", "  ", &"x".repeat(65), "a\nb", "a\0b"] {
            assert_eq!(clean_name(bad).unwrap_err().kind, Kind::Invalid, "{bad}");
        }
    }

    #[test]
    fn tokens_differ_by_client_key_and_generation_and_are_uuids() {
        let one = client(2, "A");
        let raw = token(&KEY, &one).unwrap();
        assert_eq!(raw.as_str().parse::<Uuid>().unwrap().get_version_num(), 4);
        assert_eq!(token(&KEY, &one).unwrap(), raw);
        let others = [
            token(&[6; 32], &one),
            token(&KEY, &client(3, "A")),
            token(&KEY, &Client { generation: 1, ..one.clone() }),
            token(&KEY, &Client { tenant: Uuid::nil(), ..one }),
        ];
        for other in others {
            assert_ne!(other.unwrap(), raw);
        }
    }

    #[test]
    fn added_changed_and_removed() {
        scratch(|tx| {
            let (one, two) = (client(2, "ZOE"), client(3, "ANN"));
            insert(tx, &KEY, &one).unwrap();
            insert(tx, &KEY, &two).unwrap();
            assert_eq!(insert(tx, &KEY, &client(4, "ANN")).unwrap_err().kind, Kind::Conflict);
            let names = |tx: &WriteTx| list(tx, one.tenant).unwrap().into_iter().map(|c| c.name).collect::<Vec<_>>();
            assert_eq!(names(tx), ["ANN", "ZOE"]);
            assert_eq!(count(tx, one.tenant).unwrap(), 2);
            assert!(list(tx, Uuid::nil()).unwrap().is_empty());

            let raw = token(&KEY, &one).unwrap();
            assert_eq!(by_token(tx, raw.as_str()).unwrap().unwrap().id, one.id);
            let rename = |name: &str| Change { name: Some(name.into()), ..Change::default() };
            assert_eq!(update(tx, one.tenant, one.id, &rename("ANN")).unwrap_err().kind, Kind::Conflict);
            let seen = Some(("192.0.2.1".parse().unwrap(), Time(9), 1));
            let change = Change { enabled: Some(false), seen, ..rename("BOB") };
            let changed = update(tx, one.tenant, one.id, &change).unwrap();
            assert_eq!((changed.enabled, changed.seen, changed.program), (false, Some(Time(9)), 1));
            assert_eq!(names(tx), ["ANN", "BOB"]);

            let wrong = token(&KEY, &two).unwrap();
            assert_eq!(remove(tx, one.tenant, one.id, wrong.as_str()).unwrap_err().kind, Kind::NotFound);
            assert_eq!(remove(tx, Uuid::nil(), one.id, raw.as_str()).unwrap_err().kind, Kind::NotFound);
            remove(tx, one.tenant, one.id, raw.as_str()).unwrap();
            assert_eq!(by_token(tx, raw.as_str()).unwrap(), None);
            assert_eq!(names(tx), ["ANN"]);
        });
    }
}
