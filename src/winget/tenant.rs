//! What a tenant has set: settings, blacklists of its clients, and groups of packages (`winget.md` A8).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::identity::addresses::AddressList;
use crate::store::table::{Read, Table, WriteTx};
use crate::winget::names::fold;
use crate::winget::rules;

const SETTINGS: Table<Uuid, Settings> = Table::new("winget.setting");
/// (tenant, client) → what it does not see; no row when it sees everything.
const BLACKLISTS: Table<(Uuid, Uuid), Blacklist> = Table::new("winget.blacklist");
/// (tenant, group) → a named list of packages.
const GROUPS: Table<(Uuid, Uuid), Group> = Table::new("winget.group");

/// Most entries of one list.
pub const MAX_ENTRIES: usize = 10_000;
/// Most groups of a tenant.
const MAX_GROUPS: usize = 1000;

/// A tenant's settings; what was never set has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Whether callers must hold a client token or a login.
    pub client_authentication: bool,
    /// From where the tenant may be reached; an empty list is no restriction.
    pub ip_restriction: AddressList,
    /// Packages no client sees, as entered: ids separated by commas.
    pub package_blacklist: String,
    /// Whether Part B shows terms of use.
    pub tos: bool,
    /// Their text.
    pub tos_text: String,
    /// Where they are.
    pub tos_url: String,
    /// Most clients; 0 is any number.
    pub max_clients: u64,
    /// Most bytes; 0 is any number.
    pub storage_quota: u64,
    /// Hours after which an upload without a new chunk is dropped.
    pub upload_ttl_hours: u64,
    /// What clients are told is the newest client.
    pub client_latest_version: String,
    /// What people call the server.
    pub servername: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            client_authentication: true,
            ip_restriction: AddressList::default(),
            package_blacklist: String::new(),
            tos: false,
            tos_text: String::new(),
            tos_url: String::new(),
            max_clients: 0,
            storage_quota: 0,
            upload_ttl_hours: 24,
            client_latest_version: "2.5.0.0".to_owned(),
            servername: String::new(),
        }
    }
}

/// Keys that only the operator of the installation may change.
pub const OPERATOR_KEYS: [&str; 2] = ["MAX_CLIENTS", "STORAGE_QUOTA"];
/// Keys that are told and cannot be set.
pub const READ_ONLY_KEYS: [&str; 3] = ["TENANT_ID", "STORAGE_USED", "STORAGE_RESERVED"];

impl Settings {
    /// Whether nothing but its default would be told.
    fn bit(flag: bool) -> String {
        if flag { "1" } else { "0" }.to_owned()
    }

    /// Keys and values as they are told.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let restriction = match self.ip_restriction.is_empty() {
            true => "DEFAULT".to_owned(),
            false => self.ip_restriction.to_string(),
        };
        vec![
            ("CLIENT_AUTHENTICATION", Settings::bit(self.client_authentication)),
            ("IP_RESTRICTION", restriction),
            ("PACKAGE_BLACKLIST", self.package_blacklist.clone()),
            ("TOS", Settings::bit(self.tos)),
            ("TOS_TEXT", self.tos_text.clone()),
            ("TOS_URL", self.tos_url.clone()),
            ("MAX_CLIENTS", self.max_clients.to_string()),
            ("STORAGE_QUOTA", self.storage_quota.to_string()),
            ("UPLOAD_TTL_HOURS", self.upload_ttl_hours.to_string()),
            ("CLIENT_LATEST_VERSION", self.client_latest_version.clone()),
            ("SERVERNAME", self.servername.clone()),
        ]
    }

    /// Sets one key. `Invalid` for a value it cannot have or a key that cannot be set; answers whether the key is known.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        if READ_ONLY_KEYS.contains(&key) {
            return Err(Error::invalid(format!("{key} cannot be set")));
        }
        match key {
            "CLIENT_AUTHENTICATION" => self.client_authentication = rules::flag(key, value)?,
            "IP_RESTRICTION" => self.ip_restriction = restriction(value)?,
            "PACKAGE_BLACKLIST" => self.package_blacklist = blacklist_text(value)?,
            "TOS" => self.tos = rules::flag(key, value)?,
            "TOS_TEXT" => self.tos_text = text(key, value, 100_000)?,
            "TOS_URL" => self.tos_url = url(value)?,
            "MAX_CLIENTS" => self.max_clients = number(key, value, 0)?,
            "STORAGE_QUOTA" => self.storage_quota = number(key, value, 0)?,
            "UPLOAD_TTL_HOURS" => self.upload_ttl_hours = number(key, value, 1)?.min(24 * 3650),
            "CLIENT_LATEST_VERSION" => self.client_latest_version = rules::version(value).map_err(|_| bad(key))?.into(),
            "SERVERNAME" => self.servername = rules::optional(key, value, 256)?.to_owned(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the tenant may be reached from `address`.
    pub fn admits(&self, address: std::net::IpAddr) -> bool {
        self.ip_restriction.is_empty() || self.ip_restriction.contains(address)
    }
}

fn bad(key: &str) -> Error {
    Error::invalid(format!("{key} has an invalid value"))
}

fn restriction(value: &str) -> Result<AddressList> {
    if value.trim().is_empty() || value.trim().eq_ignore_ascii_case("DEFAULT") {
        return Ok(AddressList::default());
    }
    let list = AddressList::parse(value)?;
    if list.is_empty() { Err(bad("IP_RESTRICTION")) } else { Ok(list) }
}

fn blacklist_text(value: &str) -> Result<String> {
    let ids = rules::entries(std::iter::once(value));
    check_ids(&ids)?;
    Ok(ids.join(", "))
}

fn text(key: &str, value: &str, limit: usize) -> Result<String> {
    let fits = value.chars().count() <= limit && !value.contains('\0');
    if fits { Ok(value.to_owned()) } else { Err(bad(key)) }
}

fn url(value: &str) -> Result<String> {
    let value = value.trim();
    let known = ["http://", "https://"].iter().any(|scheme| value.to_ascii_lowercase().starts_with(scheme));
    let plain = !value.chars().any(|c| c.is_control() || c.is_whitespace());
    match value.is_empty() || (known && plain && value.chars().count() <= 2048) {
        true => Ok(value.to_owned()),
        false => Err(bad("TOS_URL")),
    }
}

fn number(key: &str, value: &str, least: u64) -> Result<u64> {
    let value = value.trim();
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse::<u64>().ok().filter(|number| digits && *number >= least && *number < 1 << 63);
    number.ok_or_else(|| bad(key))
}

/// Whether a list of package ids may be stored; the packages need not exist.
pub fn check_ids(ids: &[String]) -> Result<()> {
    if ids.len() > MAX_ENTRIES {
        return Err(Error::invalid(format!("a list may have at most {MAX_ENTRIES} entries")));
    }
    match ids.iter().find(|id| id.chars().count() > 128 || id.chars().any(char::is_control)) {
        Some(_) => Err(Error::invalid("a package id has at most 128 characters and no control characters")),
        None => Ok(()),
    }
}

/// What a client does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blacklist {
    /// Package ids, as entered.
    pub packages: Vec<String>,
    /// Groups.
    pub groups: Vec<Uuid>,
}

/// A named list of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Package ids, as entered.
    pub packages: Vec<String>,
}

/// A tenant's settings.
pub fn settings(tx: &impl Read, tenant: Uuid) -> Result<Settings> {
    Ok(SETTINGS.get(tx, tenant)?.unwrap_or_default())
}

/// Replaces them.
pub fn put_settings(tx: &WriteTx, tenant: Uuid, settings: &Settings) -> Result<()> {
    SETTINGS.put(tx, tenant, settings)
}

/// Tenants that ever changed a setting, with it.
pub fn all_settings(tx: &impl Read) -> Result<Vec<(Uuid, Settings)>> {
    SETTINGS.all(tx, ())
}

/// What a client does not see by its own lists.
pub fn blacklist(tx: &impl Read, tenant: Uuid, client: Uuid) -> Result<Blacklist> {
    Ok(BLACKLISTS.get(tx, (tenant, client))?.unwrap_or_default())
}

/// Replaces a client's lists.
pub fn put_blacklist(tx: &WriteTx, tenant: Uuid, client: Uuid, list: &Blacklist) -> Result<()> {
    match *list == Blacklist::default() {
        true => BLACKLISTS.remove(tx, (tenant, client)).map(drop),
        false => BLACKLISTS.put(tx, (tenant, client), list),
    }
}

/// The groups of a tenant.
pub fn groups(tx: &impl Read, tenant: Uuid) -> Result<Vec<(Uuid, Group)>> {
    Ok(GROUPS.all(tx, (tenant,))?.into_iter().map(|((_, id), group)| (id, group)).collect())
}

/// One group.
pub fn group(tx: &impl Read, tenant: Uuid, id: Uuid) -> Result<Option<Group>> {
    GROUPS.get(tx, (tenant, id))
}

/// Adds or replaces a group. `Conflict` when its name is another's, `Invalid` when there are too many.
pub fn put_group(tx: &WriteTx, tenant: Uuid, id: Uuid, group: &Group) -> Result<()> {
    let all = groups(tx, tenant)?;
    let others = all.iter().filter(|(other, _)| *other != id);
    if others.clone().any(|(_, other)| fold(&other.name) == fold(&group.name)) {
        return Err(Error::conflict("Group already exists!"));
    }
    if others.count() >= MAX_GROUPS {
        return Err(Error::invalid(format!("a tenant may have at most {MAX_GROUPS} groups")));
    }
    GROUPS.put(tx, (tenant, id), group)
}

/// Removes a group, also from the clients that have it. `NotFound` when there is none.
pub fn remove_group(tx: &WriteTx, tenant: Uuid, id: Uuid) -> Result<()> {
    if !GROUPS.remove(tx, (tenant, id))? {
        return Err(Error::not_found("Group not found"));
    }
    for ((_, client), mut list) in BLACKLISTS.all(tx, (tenant,))? {
        if list.groups.contains(&id) {
            list.groups.retain(|group| *group != id);
            put_blacklist(tx, tenant, client, &list)?;
        }
    }
    Ok(())
}

/// Takes a deleted package off every list of the tenant.
pub fn forget_package(tx: &WriteTx, tenant: Uuid, id: &str) -> Result<()> {
    let id = fold(id);
    let strip = |packages: &mut Vec<String>| {
        let before = packages.len();
        packages.retain(|other| fold(other) != id);
        packages.len() != before
    };
    for ((_, client), mut list) in BLACKLISTS.all(tx, (tenant,))? {
        if strip(&mut list.packages) {
            put_blacklist(tx, tenant, client, &list)?;
        }
    }
    for (group_id, mut group) in groups(tx, tenant)? {
        if strip(&mut group.packages) {
            GROUPS.put(tx, (tenant, group_id), &group)?;
        }
    }
    let mut settings = settings(tx, tenant)?;
    let mut listed = rules::entries(std::iter::once(settings.package_blacklist.as_str()));
    if strip(&mut listed) {
        settings.package_blacklist = listed.join(", ");
        put_settings(tx, tenant, &settings)?;
    }
    Ok(())
}

/// Packages that a caller does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    ids: HashSet<String>,
}

impl Hidden {
    /// What the tenant hides from every client and from strangers, and from this client beyond that.
    pub fn from_client(tx: &impl Read, tenant: Uuid, settings: &Settings, client: Option<Uuid>) -> Result<Hidden> {
        let mut ids: HashSet<String> =
            rules::entries(std::iter::once(settings.package_blacklist.as_str())).iter().map(|id| fold(id)).collect();
        if let Some(client) = client {
            let list = blacklist(tx, tenant, client)?;
            ids.extend(list.packages.iter().map(|id| fold(id)));
            for group in list.groups {
                let packages = self::group(tx, tenant, group)?.map(|group| group.packages).unwrap_or_default();
                ids.extend(packages.iter().map(|id| fold(id)));
            }
        }
        Ok(Hidden { ids })
    }

    /// Whether this package is hidden.
    pub fn has(&self, id: &str) -> bool {
        !self.ids.is_empty() && self.ids.contains(&fold(id))
    }

    /// Bytes it takes.
    pub fn size(&self) -> usize {
        self.ids.iter().map(|id| id.len() + 48).sum()
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::scratch;

    #[test]
    fn values_of_settings() {
        let good = [
            ("CLIENT_AUTHENTICATION", "0", "0"),
            ("CLIENT_AUTHENTICATION", "True", "1"),
            ("IP_RESTRICTION", "default", "DEFAULT"),
            ("IP_RESTRICTION", " 10.0.0.0/8; ::1 ", "10.0.0.0/8; ::1"),
            ("PACKAGE_BLACKLIST", "a.b,, C.D ", "a.b, C.D"),
            ("TOS", "1", "1"),
            ("TOS_TEXT", "line\nline", "line\nline"),
            ("TOS_URL", "https://x/y", "https://x/y"),
            ("TOS_URL", "", ""),
            ("MAX_CLIENTS", "5", "5"),
            ("STORAGE_QUOTA", "0", "0"),
            ("UPLOAD_TTL_HOURS", "1", "1"),
            ("CLIENT_LATEST_VERSION", "3.0", "3.0"),
            ("SERVERNAME", "Depot", "Depot"),
        ];
        for (key, value, shown) in good {
            let mut settings = Settings::default();
            assert!(settings.set(key, value).unwrap(), "{key}");
            let all = settings.shown();
            assert_eq!(all.iter().find(|(known, _)| *known == key).unwrap().1, shown, "{key}");
        }
        let bad = [
            ("CLIENT_AUTHENTICATION", "2"),
            ("CLIENT_AUTHENTICATION", ""),
            ("IP_RESTRICTION", "nonsense"),
            ("IP_RESTRICTION", ",;"),
            ("IP_RESTRICTION", "10.0.0.1 - ::1"),
            ("TOS_URL", "ftp://x"),
            ("TOS_URL", "https://a b"),
            ("MAX_CLIENTS", "-1"),
            ("MAX_CLIENTS", "+1"),
            ("STORAGE_QUOTA", "1e3"),
            ("STORAGE_QUOTA", "99999999999999999999"),
            ("UPLOAD_TTL_HOURS", "0"),
            ("CLIENT_LATEST_VERSION", ""),
            ("TENANT_ID", "x"),
            ("STORAGE_USED", "1"),
        ];
        for (key, value) in bad {
            assert!(Settings::default().set(key, value).is_err(), "{key} {value}");
        }
        assert!(!Settings::default().set("ELSE", "x").unwrap());
    }

    #[test]
    fn lists_hide_and_forget() {
        scratch(|tx| {
            let (tenant, client, group) = (Uuid::nil(), Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
            let mut settings = Settings::default();
            settings.set("PACKAGE_BLACKLIST", "All.Hidden").unwrap();
            put_settings(tx, tenant, &settings).unwrap();
            put_group(tx, tenant, group, &Group { name: "Games".into(), packages: vec!["A.Game".into()] }).unwrap();
            assert!(put_group(tx, tenant, client, &Group { name: "GAMES".into(), packages: vec![] }).is_err());
            let list = Blacklist { packages: vec!["Own.One".into()], groups: vec![group, Uuid::max()] };
            put_blacklist(tx, tenant, client, &list).unwrap();
            let hidden = |who| Hidden::from_client(tx, tenant, &super::settings(tx, tenant).unwrap(), who).unwrap();
            for id in ["all.HIDDEN", "a.game", "OWN.one"] {
                assert!(hidden(Some(client)).has(id), "{id}");
            }
            assert!(
                hidden(None).has("ALL.hidden") && !hidden(None).has("own.one") && !hidden(Some(group)).has("a.game")
            );
            for id in ["ALL.hidden", "own.ONE", "A.GAME"] {
                forget_package(tx, tenant, id).unwrap();
            }
            assert!(hidden(Some(client)).is_empty());
            remove_group(tx, tenant, group).unwrap();
            assert_eq!(blacklist(tx, tenant, client).unwrap().groups, [Uuid::max()]);
            assert!(remove_group(tx, tenant, group).is_err());
        });
    }
}
