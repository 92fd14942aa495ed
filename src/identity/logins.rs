//! Logins: the Bearer tokens of both login routes, signed and opaque, as rows that can be revoked
//! (`faynosync.md` §2, `winget.md` A2).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::error::Result;
use crate::identity::accounts::Account;
use crate::identity::info::Secret;
use crate::identity::jwt::{self, Claims, TOLERANCE};
use crate::identity::secrets::{RawToken, TokenKey};
use crate::ids::ObjectId;
use crate::store::table::{Read, Table, WriteTx};

const LOGINS: Table<TokenKey, Login> = Table::new("identity.login");
const OF_ACCOUNT: Table<(ObjectId, TokenKey), ()> = Table::new("identity.login_of");

/// Seconds a login lasts at most.
const LIFETIME: i64 = 24 * 3600;
/// Seconds without a request after which an opaque login ends.
const IDLE: i64 = 3600;
/// Logins one account may have at a time; beyond it the longest unused ones go.
const MAX_PER_ACCOUNT: usize = 1000;

/// The two kinds of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A JSON Web Token that ends after 24 hours, used or not (app-update login).
    Signed,
    /// Random text that ends after an hour without a request, at the latest after 24 hours (winget login).
    Opaque,
}

/// A login as it is stored, under the SHA-256 of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who logged in.
    pub account: ObjectId,
    /// The tenant it works in.
    pub tenant: Uuid,
    /// The account's password epoch at that time.
    pub epoch: u32,
    /// Whether the token must carry our signature too.
    pub signed: bool,
    /// When it began.
    pub created: Time,
    /// When it ends at the latest.
    pub expires: Time,
    /// Seconds without a request that it survives; none for a signed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
    /// The last request known to the database; a later one may be in memory.
    pub used: Time,
}

/// A fresh token for `account`, with the row that makes it valid once stored.
pub(super) fn begin(key: &Secret, account: &Account, style: Style, now: Time) -> Result<(RawToken, Login)> {
    let expires = now.plus_seconds(LIFETIME);
    let secret = RawToken::random()?;
    let raw = match style {
        Style::Opaque => secret,
        Style::Signed => {
            let username = account.username.clone();
            let claims = Claims { username, exp: expires.seconds(), jti: secret.as_str().to_owned() };
            RawToken::from_text(&jwt::sign(key, &claims)?)
        }
    };
    let login = Login {
        account: account.id,
        tenant: account.tenant,
        epoch: account.epoch,
        signed: style == Style::Signed,
        created: now,
        expires,
        idle: (style == Style::Opaque).then_some(IDLE),
        used: now,
    };
    Ok((raw, login))
}

/// Stores a login; of an account with very many the dead and the longest unused make room.
pub(super) fn insert(tx: &WriteTx, key: TokenKey, login: &Login, now: Time) -> Result<()> {
    let others = OF_ACCOUNT.page(tx, (login.account,), None, MAX_PER_ACCOUNT)?;
    if others.len() == MAX_PER_ACCOUNT {
        let mut rows = Vec::new();
        for ((_, other), ()) in OF_ACCOUNT.all(tx, (login.account,))? {
            let row = get(tx, other)?;
            rows.push((row.is_some_and(|row| judge(&row, None, now).is_some()), row_used(tx, other)?, other));
        }
        rows.sort_unstable();
        // A quarter at once, so that the next logins have room.
        for (_, _, other) in rows.drain(..MAX_PER_ACCOUNT / 4) {
            remove(tx, other)?;
        }
    }
    LOGINS.put(tx, key, login)?;
    OF_ACCOUNT.put(tx, (login.account, key), &())
}

fn row_used(tx: &WriteTx, key: TokenKey) -> Result<Option<Time>> {
    Ok(get(tx, key)?.map(|login| login.used))
}

/// The login under `key`.
pub(super) fn get(tx: &impl Read, key: TokenKey) -> Result<Option<Login>> {
    LOGINS.get(tx, key)
}

/// Ends one login; answers whether it was there. Others of the account go on.
pub fn remove(tx: &WriteTx, key: TokenKey) -> Result<bool> {
    if let Some(login) = get(tx, key)? {
        OF_ACCOUNT.remove(tx, (login.account, key))?;
    }
    LOGINS.remove(tx, key)
}

/// The rows of an account's logins, those that have ended included.
pub(super) fn of_account(tx: &impl Read, account: ObjectId) -> Result<Vec<(TokenKey, Login)>> {
    let mut rows = Vec::new();
    for ((_, key), ()) in OF_ACCOUNT.all(tx, (account,))? {
        rows.extend(get(tx, key)?.map(|login| (key, login)));
    }
    Ok(rows)
}

/// Ends every login of an account.
pub fn remove_all(tx: &WriteTx, account: ObjectId) -> Result<()> {
    for ((_, key), ()) in OF_ACCOUNT.all(tx, (account,))? {
        LOGINS.remove(tx, key)?;
        OF_ACCOUNT.remove(tx, (account, key))?;
    }
    Ok(())
}

/// What memory knows beyond the row: the last request, and the new span of a login made while the clock was ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    used: Time,
    span: Option<(Time, Time)>,
}

/// Whether a login is alive at `now`, and then what is to be remembered of this request.
///
/// A login that began in the future was made by a clock that has been put right since: it lives its lifetime from now
/// and not until that far day (`reliability.md` §10).
pub(super) fn judge(login: &Login, known: Option<Renewal>, now: Time) -> Option<Option<Renewal>> {
    let (mut created, mut expires) = known.and_then(|known| known.span).unwrap_or((login.created, login.expires));
    let mut used = known.map_or(login.used, |known| known.used);
    let mut span = known.and_then(|known| known.span);
    if created > now.plus_seconds(TOLERANCE) {
        expires = Time(now.0.saturating_add(expires.0.saturating_sub(created.0)));
        created = now;
        used = now;
        span = Some((created, expires));
    }
    if now > expires.plus_seconds(TOLERANCE) || login.idle.is_some_and(|idle| now > used.plus_seconds(idle)) {
        return None;
    }
    let renewed = login.idle.is_some() || span.is_some();
    Some(renewed.then_some(Renewal { used: now, span }))
}

/// Writes what memory knew into the row, if the login still exists.
pub(super) fn renew(tx: &WriteTx, key: TokenKey, renewal: Renewal) -> Result<()> {
    let Some(mut login) = get(tx, key)? else {
        return Ok(());
    };
    login.used = renewal.used;
    if let Some((created, expires)) = renewal.span {
        login.created = created;
        login.expires = expires;
    }
    LOGINS.put(tx, key, &login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::accounts::Role;
    use crate::identity::permissions::Permissions;
    use crate::store::table::scratch;

    const KEY: Secret = [3; 32];
    const T0: Time = Time(1_800_000_000_000_000);

    fn account() -> Account {
        Account {
            id: ObjectId([1; 12]),
            tenant: Uuid::from_bytes([2; 16]),
            username: "ann".into(),
            role: Role::Owner,
            operator: true,
            password: String::new(),
            epoch: 4,
            permissions: Permissions::default(),
            created: T0,
            updated: T0,
        }
    }

    /// Whether a login made at T0 with a last request at `used` is alive at `now` (seconds after T0).
    fn alive(style: Style, used: i64, now: i64) -> bool {
        let (_, mut login) = begin(&KEY, &account(), style, T0).unwrap();
        login.used = T0.plus_seconds(used);
        judge(&login, None, T0.plus_seconds(now)).is_some()
    }

    #[test]
    fn lifetimes() {
        let day = LIFETIME;
        let cases = [
            (Style::Signed, 0, day + 60, true),
            (Style::Signed, 0, day + 61, false),
            (Style::Opaque, 0, 3600, true),
            (Style::Opaque, 0, 3601, false),
            (Style::Opaque, 7000, 10_600, true),
            (Style::Opaque, day, day + 60, true),
            (Style::Opaque, day, day + 61, false),
            // The clock went back a little: nothing ends.
            (Style::Opaque, 0, -50, true),
        ];
        for (style, used, now, good) in cases {
            assert_eq!(alive(style, used, now), good, "{style:?} {used} {now}");
        }
    }

    #[test]
    fn the_last_request_in_memory_counts() {
        let (_, login) = begin(&KEY, &account(), Style::Opaque, T0).unwrap();
        let later = T0.plus_seconds(3000);
        let renewal = judge(&login, None, later).unwrap().unwrap();
        assert!(judge(&login, Some(renewal), T0.plus_seconds(6000)).is_some());
        assert!(judge(&login, None, T0.plus_seconds(6000)).is_none());
    }

    #[test]
    fn a_login_made_ahead_lives_its_lifetime_from_now() {
        let year = 365 * LIFETIME;
        for style in [Style::Signed, Style::Opaque] {
            let (_, login) = begin(&KEY, &account(), style, T0.plus_seconds(10 * year)).unwrap();
            let renewal = judge(&login, None, T0).unwrap().unwrap();
            let ends = if style == Style::Signed { LIFETIME + 60 } else { IDLE };
            assert!(judge(&login, Some(renewal), T0.plus_seconds(ends)).is_some(), "{style:?}");
            assert!(judge(&login, Some(renewal), T0.plus_seconds(ends + 1)).is_none(), "{style:?}");
            scratch(|tx| {
                let key = TokenKey::of("x");
                insert(tx, key, &login, T0).unwrap();
                renew(tx, key, renewal).unwrap();
                let stored = get(tx, key).unwrap().unwrap();
                assert_eq!((stored.created, stored.expires), (T0, T0.plus_seconds(LIFETIME)));
                assert!(judge(&stored, None, T0.plus_seconds(ends + 1)).is_none());
            });
        }
    }

    #[test]
    fn each_login_is_its_own() {
        for style in [Style::Signed, Style::Opaque] {
            let (first, row) = begin(&KEY, &account(), style, T0).unwrap();
            let (second, _) = begin(&KEY, &account(), style, T0).unwrap();
            assert_ne!(first, second);
            assert_eq!(row.epoch, 4);
            scratch(|tx| {
                insert(tx, first.key(), &row, T0).unwrap();
                insert(tx, second.key(), &row, T0).unwrap();
                assert!(remove(tx, first.key()).unwrap());
                assert!(!remove(tx, first.key()).unwrap());
                assert!(get(tx, second.key()).unwrap().is_some());
                remove_all(tx, row.account).unwrap();
                assert!(get(tx, second.key()).unwrap().is_none());
                renew(tx, second.key(), Renewal { used: T0, span: None }).unwrap();
                assert!(get(tx, second.key()).unwrap().is_none(), "a renewal revives nothing");
            });
        }
    }

    #[test]
    fn logins_of_one_account_are_bounded_and_the_oldest_go() {
        scratch(|tx| {
            let (_, row) = begin(&KEY, &account(), Style::Opaque, T0).unwrap();
            let key = |number: usize| TokenKey::of(&number.to_string());
            for number in 0..=MAX_PER_ACCOUNT {
                let used = T0.plus_seconds(number as i64);
                insert(tx, key(number), &Login { used, ..row.clone() }, T0).unwrap();
            }
            let left = OF_ACCOUNT.all(tx, (row.account,)).unwrap().len();
            assert_eq!(left, MAX_PER_ACCOUNT - MAX_PER_ACCOUNT / 4 + 1);
            assert!(get(tx, key(0)).unwrap().is_none());
            assert!(get(tx, key(MAX_PER_ACCOUNT)).unwrap().is_some());
        });
    }
}
