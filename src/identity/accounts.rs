//! Accounts: owners, each with a tenant of its own, and the team users inside it (`faynosync.md` §2, §9).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::permissions::{Permissions, Rights};
use crate::identity::{info, logins, tokens};
use crate::ids::ObjectId;
use crate::store::table::{Read, Table, WriteTx};

const ACCOUNTS: Table<ObjectId, Account> = Table::new("identity.account");
/// Usernames are unique over all tenants and compared exactly.
const USERNAMES: Table<String, ObjectId> = Table::new("identity.username");
/// The owner of each tenant.
const TENANTS: Table<Uuid, ObjectId> = Table::new("identity.tenant");
/// Owners by lower-case username: tenants are named without regard to case (`winget.md` §0).
const OWNERS: Table<(String, ObjectId), ()> = Table::new("identity.owner");
/// Team users of an owner, by username.
const TEAM: Table<(ObjectId, String), ObjectId> = Table::new("identity.team");

/// A person who can log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Names the account on the wire.
    pub id: ObjectId,
    /// The namespace it acts in: an owner's own, a team user's owner's.
    pub tenant: Uuid,
    /// Unique over all accounts of all tenants.
    pub username: String,
    /// Owner of a tenant or user of a team.
    pub role: Role,
    /// The first owner: instance-wide settings ask for it.
    #[serde(default)]
    pub operator: bool,
    /// The password's Argon2id hash as a PHC string, parameters included.
    pub password: String,
    /// Raised with each password change; a login made under an older one is dead.
    #[serde(default)]
    pub epoch: u32,
    /// Rights of a team user; without meaning for an owner.
    #[serde(default)]
    pub permissions: Permissions,
    /// When it was made.
    pub created: Time,
    /// When anything but its logins last changed.
    pub updated: Time,
}

/// What an account is in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The tenant's admin.
    Owner,
    /// A limited account in the tenant of `owner`.
    Team {
        /// The owner's account.
        owner: ObjectId,
    },
}

/// Whether `name` may be a username: 1–64 of `A-Z a-z 0-9 . _ @ -`, beginning with a letter or digit.
pub fn is_username(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(byte))
}

/// The account with this id.
pub fn get(tx: &impl Read, id: ObjectId) -> Result<Option<Account>> {
    ACCOUNTS.get(tx, id)
}

/// The account with exactly this username.
pub fn by_username(tx: &impl Read, username: &str) -> Result<Option<Account>> {
    match USERNAMES.get(tx, username)? {
        Some(id) => get(tx, id),
        None => Ok(None),
    }
}

/// The owner that `text` names a tenant by: the tenant's UUID, or the owner's username without regard to case.
/// Of owners whose names differ in case only, the exact one wins, then the one that was first.
pub fn tenant(tx: &impl Read, text: &str) -> Result<Option<Account>> {
    if let Some(id) = text.parse::<Uuid>().ok().map(|tenant| TENANTS.get(tx, tenant)).transpose()?.flatten() {
        return get(tx, id);
    }
    let mut first: Option<Account> = None;
    for ((_, id), ()) in OWNERS.all(tx, (text.to_ascii_lowercase(),))? {
        match get(tx, id)? {
            Some(owner) if owner.username == text => return Ok(Some(owner)),
            Some(owner) if first.as_ref().is_none_or(|best| owner.created < best.created) => first = Some(owner),
            _ => {}
        }
    }
    Ok(first)
}

/// The owner of a tenant.
pub fn owner_of(tx: &impl Read, tenant: Uuid) -> Result<Option<Account>> {
    match TENANTS.get(tx, tenant)? {
        Some(id) => get(tx, id),
        None => Ok(None),
    }
}

/// The first owner; none before the first run is through.
pub fn operator(tx: &impl Read) -> Result<Option<Account>> {
    match info::OPERATOR.get(tx)? {
        Some(id) => get(tx, id),
        None => Ok(None),
    }
}

/// Number of accounts.
pub fn count(tx: &impl Read) -> Result<u64> {
    ACCOUNTS.len(tx)
}

/// The owners, up to `limit`, by name without regard to case.
pub fn owners(tx: &impl Read, limit: usize) -> Result<Vec<Account>> {
    let mut owners = Vec::new();
    for ((_, id), ()) in OWNERS.page(tx, (), None, limit)? {
        owners.extend(get(tx, id)?);
    }
    Ok(owners)
}

/// The team users of an owner, by username.
pub fn team_of(tx: &impl Read, owner: ObjectId) -> Result<Vec<Account>> {
    let mut team = Vec::new();
    for (_, id) in TEAM.all(tx, (owner,))? {
        team.extend(get(tx, id)?);
    }
    Ok(team)
}

/// What a new account begins with. Ids are made outside of the transaction, which may run its closure twice.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Id of the account.
    pub id: ObjectId,
    /// Checked against [`is_username`].
    pub username: String,
    /// The password's hash, from `Passwords::hash`.
    pub password: String,
}

/// Makes an owner with a new, empty tenant; the very first one becomes the operator.
/// `Invalid` for a bad username, `Conflict` for a taken one.
pub fn create_owner(tx: &WriteTx, new: &NewAccount, tenant: Uuid, now: Time) -> Result<Account> {
    let operator = info::OPERATOR.get(tx)?.is_none();
    let account = insert(tx, new, tenant, Role::Owner, operator, Permissions::default(), now)?;
    TENANTS.put(tx, tenant, &account.id)?;
    OWNERS.put(tx, (account.username.to_ascii_lowercase(), account.id), &())?;
    if operator {
        info::OPERATOR.put(tx, &account.id)?;
    }
    Ok(account)
}

/// Makes a team user of `owner`. `Invalid` for a bad username, `Conflict` for a taken one, `Forbidden` when `owner`
/// is none.
pub fn create_team_user(
    tx: &WriteTx,
    owner: ObjectId,
    new: &NewAccount,
    permissions: Permissions,
    now: Time,
) -> Result<Account> {
    let Some(Account { tenant, role: Role::Owner, .. }) = get(tx, owner)? else {
        return Err(Error::forbidden("Admin access required"));
    };
    let account = insert(tx, new, tenant, Role::Team { owner }, false, permissions, now)?;
    TEAM.put(tx, (owner, account.username.as_str()), &account.id)?;
    Ok(account)
}

fn insert(
    tx: &WriteTx,
    new: &NewAccount,
    tenant: Uuid,
    role: Role,
    operator: bool,
    permissions: Permissions,
    now: Time,
) -> Result<Account> {
    check(tx, &new.username, &permissions)?;
    let account = Account {
        id: new.id,
        tenant,
        username: new.username.clone(),
        role,
        operator,
        password: new.password.clone(),
        epoch: 0,
        permissions,
        created: now,
        updated: now,
    };
    ACCOUNTS.put(tx, account.id, &account)?;
    USERNAMES.put(tx, account.username.as_str(), &account.id)?;
    Ok(account)
}

fn check(tx: &WriteTx, username: &str, permissions: &Permissions) -> Result<()> {
    if !is_username(username) {
        return Err(Error::invalid("a username is 1 to 64 of A-Z a-z 0-9 . _ @ - and begins with a letter or digit"));
    }
    if !permissions.fits() {
        return Err(Error::invalid("too many ids in an allowed list"));
    }
    if USERNAMES.has(tx, username)? {
        return Err(Error::conflict("Username already exists"));
    }
    Ok(())
}

/// A change to an account; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another username.
    pub username: Option<String>,
    /// Another password's hash: raises the epoch, so every earlier login dies.
    pub password: Option<String>,
    /// Other rights, replacing all earlier ones.
    pub permissions: Option<Permissions>,
}

/// Applies `change`. `NotFound` for an unknown account, `Invalid` and `Conflict` as for a new one.
pub fn update(tx: &WriteTx, id: ObjectId, change: &Change, now: Time) -> Result<Account> {
    let mut account = get(tx, id)?.ok_or_else(|| Error::not_found("account not found"))?;
    let permissions = change.permissions.as_ref().unwrap_or(&account.permissions);
    if let Some(username) = change.username.as_ref().filter(|name| **name != account.username) {
        check(tx, username, permissions)?;
    } else if !permissions.fits() {
        return Err(Error::invalid("too many ids in an allowed list"));
    }
    let old_name = account.username.clone();
    account.permissions = permissions.clone();
    account.username = change.username.clone().unwrap_or(account.username);
    account.updated = now;
    if let Some(password) = &change.password {
        account.password.clone_from(password);
        account.epoch = account.epoch.wrapping_add(1);
        logins::remove_all(tx, id)?;
    }
    if account.username != old_name {
        USERNAMES.remove(tx, old_name.as_str())?;
        USERNAMES.put(tx, account.username.as_str(), &id)?;
        match account.role {
            Role::Owner => {
                OWNERS.remove(tx, (old_name.to_ascii_lowercase(), id))?;
                OWNERS.put(tx, (account.username.to_ascii_lowercase(), id), &())?;
            }
            Role::Team { owner } => {
                TEAM.remove(tx, (owner, old_name.as_str()))?;
                TEAM.put(tx, (owner, account.username.as_str()), &id)?;
            }
        }
    }
    ACCOUNTS.put(tx, id, &account)?;
    Ok(account)
}

/// Stores the same password's hash made with today's parameters, if the password was not changed meanwhile.
pub(super) fn refresh_hash(tx: &WriteTx, id: ObjectId, old: &str, new: &str) -> Result<()> {
    match get(tx, id)? {
        Some(mut account) if account.password == old => {
            new.clone_into(&mut account.password);
            ACCOUNTS.put(tx, id, &account)
        }
        _ => Ok(()),
    }
}

/// Removes a team user with its logins and API tokens. `NotFound` for an unknown account; `Conflict` for an owner,
/// whose tenant would be left without one.
pub fn remove(tx: &WriteTx, id: ObjectId) -> Result<()> {
    let account = get(tx, id)?.ok_or_else(|| Error::not_found("account not found"))?;
    let Role::Team { owner } = account.role else {
        return Err(Error::conflict("an owner cannot be deleted"));
    };
    for (key, _) in tokens::of_account(tx, id)? {
        tokens::remove(tx, key)?;
    }
    logins::remove_all(tx, id)?;
    TEAM.remove(tx, (owner, account.username.as_str()))?;
    USERNAMES.remove(tx, account.username.as_str())?;
    ACCOUNTS.remove(tx, id)?;
    Ok(())
}

/// Adds an object to an allowed list of a team user: what it made itself it may see.
///
/// # Errors
/// `NotFound` for an unknown account; `Conflict` when the list is full.
pub fn allow(
    tx: &WriteTx,
    id: ObjectId,
    group: impl Fn(&mut Permissions) -> &mut Rights,
    object: ObjectId,
) -> Result<()> {
    let mut account = get(tx, id)?.ok_or_else(|| Error::not_found("account not found"))?;
    group(&mut account.permissions).allowed.insert(object);
    if !account.permissions.fits() {
        return Err(Error::conflict("too many ids in an allowed list"));
    }
    ACCOUNTS.put(tx, id, &account)
}

/// Takes a deleted app, channel, platform or arch out of the allowed lists of the owner's team users.
pub fn forget_object(tx: &WriteTx, owner: ObjectId, object: ObjectId) -> Result<()> {
    for mut account in team_of(tx, owner)? {
        if account.permissions.forget(&object) {
            ACCOUNTS.put(tx, account.id, &account)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::table::scratch;

    fn new(number: u8, username: &str) -> NewAccount {
        NewAccount { id: ObjectId([number; 12]), username: username.into(), password: format!("hash {number}") }
    }

    fn owner(tx: &WriteTx, number: u8, username: &str) -> Account {
        let tenant = Uuid::from_bytes([number; 16]);
        create_owner(tx, &new(number, username), tenant, Time(number.into())).unwrap()
    }

    #[test]
    fn usernames() {
        let long = "x".repeat(64);
        for good in ["a", "0", "Ann.B_c@d-e", "a..b", "admin@example.org", &long] {
            assert!(is_username(good), "{good}");
        }
        let longer = "x".repeat(65);
        for bad in ["", ".a", "_a", "@a", "-a", "a b", "a/b", "ä", "a\0", "a\n", &longer] {
            assert!(!is_username(bad), "{bad}");
        }
    }

    #[test]
    fn the_first_owner_is_the_operator_and_names_are_unique_over_all() {
        scratch(|tx| {
            assert_eq!(operator(tx).unwrap(), None);
            let admin = owner(tx, 1, "admin");
            let other = owner(tx, 2, "Other");
            assert!(admin.operator && !other.operator);
            assert_eq!(operator(tx).unwrap().unwrap(), admin);
            create_team_user(tx, other.id, &new(3, "worker"), Permissions::default(), Time(3)).unwrap();
            for taken in ["admin", "Other", "worker"] {
                let refused = create_owner(tx, &new(9, taken), Uuid::nil(), Time(9)).unwrap_err();
                assert_eq!(refused.kind, Kind::Conflict, "{taken}");
                let refused = create_team_user(tx, admin.id, &new(9, taken), Permissions::default(), Time(9));
                assert_eq!(refused.unwrap_err().kind, Kind::Conflict, "{taken}");
            }
            assert_eq!(create_owner(tx, &new(9, " x"), Uuid::nil(), Time(9)).unwrap_err().kind, Kind::Invalid);
            assert_eq!(count(tx).unwrap(), 3);
        });
    }

    #[test]
    fn tenants_are_named_by_uuid_or_owner_in_any_case() {
        scratch(|tx| {
            let first = owner(tx, 1, "Bob");
            let second = owner(tx, 2, "bob");
            let worker = create_team_user(tx, first.id, &new(3, "worker"), Permissions::default(), Time(3)).unwrap();
            assert_eq!(worker.tenant, first.tenant);
            let cases = [
                (first.tenant.to_string(), Some(first.id)),
                (second.tenant.to_string().to_uppercase(), Some(second.id)),
                ("Bob".into(), Some(first.id)),
                ("bob".into(), Some(second.id)),
                ("BOB".into(), Some(first.id)),
                ("worker".into(), None),
                (Uuid::nil().to_string(), None),
                (String::new(), None),
            ];
            for (text, found) in cases {
                assert_eq!(tenant(tx, &text).unwrap().map(|owner| owner.id), found, "{text}");
            }
        });
    }

    #[test]
    fn changes_keep_the_indexes_in_step() {
        scratch(|tx| {
            let admin = owner(tx, 1, "admin");
            let worker = create_team_user(tx, admin.id, &new(2, "worker"), Permissions::default(), Time(2)).unwrap();
            let rename = |name: &str| Change { username: Some(name.into()), ..Change::default() };
            assert_eq!(update(tx, worker.id, &rename("admin"), Time(3)).unwrap_err().kind, Kind::Conflict);
            assert_eq!(update(tx, worker.id, &rename("-"), Time(3)).unwrap_err().kind, Kind::Invalid);
            update(tx, worker.id, &rename("worker"), Time(3)).unwrap();
            update(tx, worker.id, &rename("Zoe"), Time(3)).unwrap();
            update(tx, admin.id, &rename("Root"), Time(3)).unwrap();
            assert_eq!(by_username(tx, "worker").unwrap(), None);
            assert_eq!(by_username(tx, "Zoe").unwrap().unwrap().id, worker.id);
            assert_eq!(tenant(tx, "root").unwrap().unwrap().id, admin.id);
            assert_eq!(tenant(tx, "admin").unwrap(), None);

            let change = Change { password: Some("other".into()), ..Change::default() };
            let changed = update(tx, worker.id, &change, Time(4)).unwrap();
            assert_eq!((changed.epoch, changed.password.as_str(), changed.updated), (1, "other", Time(4)));
            refresh_hash(tx, worker.id, "hash 2", "late").unwrap();
            refresh_hash(tx, worker.id, "other", "stronger").unwrap();
            let account = get(tx, worker.id).unwrap().unwrap();
            assert_eq!((account.epoch, account.password.as_str()), (1, "stronger"));

            remove(tx, worker.id).unwrap();
            assert!(team_of(tx, admin.id).unwrap().is_empty());
            assert_eq!(by_username(tx, "Zoe").unwrap(), None);
            assert_eq!(remove(tx, worker.id).unwrap_err().kind, Kind::NotFound);
            assert_eq!(remove(tx, admin.id).unwrap_err().kind, Kind::Conflict);
        });
    }

    #[test]
    fn a_deleted_object_leaves_the_teams_lists() {
        scratch(|tx| {
            let admin = owner(tx, 1, "admin");
            let mut permissions = Permissions::default();
            permissions.channels.allowed.insert(ObjectId([8; 12]));
            let worker = create_team_user(tx, admin.id, &new(2, "worker"), permissions, Time(2)).unwrap();
            forget_object(tx, admin.id, ObjectId([8; 12])).unwrap();
            assert!(get(tx, worker.id).unwrap().unwrap().permissions.channels.allowed.is_empty());
        });
    }
}
