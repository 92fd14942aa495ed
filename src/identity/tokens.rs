//! API tokens: keys of programs, admin or plain, stored as SHA-256 only (`products.md` §2, `refpack.md` §3).

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::secrets::{Fingerprint, RawToken, TokenKey};
use crate::identity::uses;
use crate::ids::ObjectId;
use crate::store::table::{Read, Table, WriteTx};

const TOKENS: Table<TokenKey, ApiToken> = Table::new("identity.token");
/// The admins among them, so that "the last admin" is one look and no scan.
const ADMINS: Table<TokenKey, ()> = Table::new("identity.token_admin");
/// The tokens of an account.
const OF_ACCOUNT: Table<(ObjectId, TokenKey), ()> = Table::new("identity.token_of");

/// What is known of an API token besides its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// May do everything everywhere.
    #[serde(default)]
    pub admin: bool,
    /// The account it belongs to; none for tokens made by `PUT /register`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ObjectId>,
    /// When it was made.
    pub created: Time,
    /// Present on tokens that may only upload to some apps (`faynosync.md` §14.2); such a token is never admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

impl ApiToken {
    /// A token without account and scope.
    pub fn new(admin: bool, created: Time) -> Self {
        ApiToken { admin, account: None, created, scope: None }
    }
}

/// What a token made for a build pipeline is narrowed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The name it is managed by on the wire.
    pub id: ObjectId,
    /// What its maker calls it.
    pub name: String,
    /// The first characters of the raw token, for recognition; too few to help guessing.
    pub prefix: String,
    /// The apps it may upload to.
    pub apps: Vec<ObjectId>,
    /// From then on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// Makes a token and stores it. Only for closures that run once; where a commit may run its closure again, make the
/// raw token outside and [`insert`] it.
pub fn create(tx: &WriteTx, admin: bool, account: Option<ObjectId>, now: Time) -> Result<(RawToken, TokenKey)> {
    let raw = RawToken::random()?;
    let key = raw.key();
    insert(tx, key, &ApiToken { account, ..ApiToken::new(admin, now) })?;
    Ok((raw, key))
}

/// Stores `token` under `key`, over whatever was there.
pub fn insert(tx: &WriteTx, key: TokenKey, token: &ApiToken) -> Result<()> {
    if let Some(old) = get(tx, key)? {
        unlink(tx, key, &old)?;
    }
    TOKENS.put(tx, key, token)?;
    if token.admin {
        ADMINS.put(tx, key, &())?;
    }
    if let Some(account) = token.account {
        OF_ACCOUNT.put(tx, (account, key), &())?;
    }
    Ok(())
}

/// Whether `text` is a fingerprint wherever "raw or fp" is asked for; anything else is a raw token.
pub fn is_fingerprint(text: &str) -> bool {
    Fingerprint::parse(text).is_some()
}

/// The token under `key`.
pub fn get(tx: &impl Read, key: TokenKey) -> Result<Option<ApiToken>> {
    TOKENS.get(tx, key)
}

/// By raw text or fingerprint; a fingerprint that fits more than one token fits none (`products.md` §2).
pub fn find(tx: &impl Read, raw_or_fingerprint: &str) -> Result<Option<(TokenKey, ApiToken)>> {
    match Fingerprint::parse(raw_or_fingerprint) {
        Some(fingerprint) => {
            let mut fits = TOKENS.page(tx, fingerprint, None, 2)?;
            Ok(if fits.len() == 1 { fits.pop() } else { None })
        }
        None => {
            let key = TokenKey::of(raw_or_fingerprint);
            Ok(get(tx, key)?.map(|token| (key, token)))
        }
    }
}

/// Every token, oldest first.
pub fn list(tx: &impl Read) -> Result<Vec<(TokenKey, ApiToken)>> {
    let mut tokens = TOKENS.all(tx, ())?;
    tokens.sort_by_key(|(key, token)| (token.created, *key));
    Ok(tokens)
}

/// The tokens of one account, oldest first.
pub fn of_account(tx: &impl Read, account: ObjectId) -> Result<Vec<(TokenKey, ApiToken)>> {
    let mut tokens = Vec::new();
    for ((_, key), ()) in OF_ACCOUNT.all(tx, (account,))? {
        tokens.extend(get(tx, key)?.map(|token| (key, token)));
    }
    tokens.sort_by_key(|(key, token)| (token.created, *key));
    Ok(tokens)
}

/// Whether any admin token exists.
pub fn any_admin(tx: &impl Read) -> Result<bool> {
    Ok(ADMINS.len(tx)? > 0)
}

/// Removes a token. `NotFound` for an unknown one, `Conflict` for the server's last admin token.
///
/// What a token is a member of is the business of the room that keeps the member list, in the same transaction.
pub fn remove(tx: &WriteTx, key: TokenKey) -> Result<()> {
    let Some(token) = get(tx, key)? else {
        return Err(Error::not_found("token not found"));
    };
    if token.admin && ADMINS.len(tx)? <= 1 {
        return Err(Error::conflict("cannot delete the last admin token"));
    }
    TOKENS.remove(tx, key)?;
    uses::forget(tx, key)?;
    unlink(tx, key, &token)
}

fn unlink(tx: &WriteTx, key: TokenKey, token: &ApiToken) -> Result<()> {
    if token.admin {
        ADMINS.remove(tx, key)?;
    }
    if let Some(account) = token.account {
        OF_ACCOUNT.remove(tx, (account, key))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::table::scratch;

    #[test]
    fn made_found_listed_and_removed() {
        scratch(|tx| {
            let (admin, admin_key) = create(tx, true, None, Time(30)).unwrap();
            let owner = ObjectId([7; 12]);
            let (plain, plain_key) = create(tx, false, Some(owner), Time(10)).unwrap();
            for text in [admin.as_str(), &admin.fingerprint(), &admin.fingerprint().to_uppercase().replace("FP", "fp")]
            {
                let (key, token) = find(tx, text).unwrap().unwrap();
                assert_eq!((key, token.admin, token.created), (admin_key, true, Time(30)), "{text}");
            }
            for text in ["", "fp:0000000000000000", "x", &admin.as_str()[1..]] {
                assert_eq!(find(tx, text).unwrap(), None, "{text}");
            }
            let order: Vec<_> = list(tx).unwrap().into_iter().map(|(key, _)| key).collect();
            assert_eq!(order, [plain_key, admin_key]);
            assert_eq!(of_account(tx, owner).unwrap().len(), 1);

            remove(tx, plain_key).unwrap();
            assert_eq!(find(tx, plain.as_str()).unwrap(), None);
            assert!(of_account(tx, owner).unwrap().is_empty());
            assert_eq!(remove(tx, plain_key).unwrap_err().kind, Kind::NotFound);
        });
    }

    #[test]
    fn the_last_admin_stays() {
        scratch(|tx| {
            let (_, first) = create(tx, true, None, Time(1)).unwrap();
            create(tx, false, None, Time(2)).unwrap();
            let refused = remove(tx, first).unwrap_err();
            assert_eq!((refused.kind, &*refused.message), (Kind::Conflict, "cannot delete the last admin token"));
            let (_, second) = create(tx, true, None, Time(3)).unwrap();
            remove(tx, first).unwrap();
            assert_eq!(remove(tx, second).unwrap_err().kind, Kind::Conflict);
        });
    }

    #[test]
    fn an_insert_over_a_token_leaves_no_old_index() {
        scratch(|tx| {
            let key = TokenKey::of("environment");
            let owner = ObjectId([1; 12]);
            insert(tx, key, &ApiToken { account: Some(owner), ..ApiToken::new(true, Time(1)) }).unwrap();
            insert(tx, key, &ApiToken::new(false, Time(1))).unwrap();
            assert!(!any_admin(tx).unwrap());
            assert!(of_account(tx, owner).unwrap().is_empty());
            assert_eq!(list(tx).unwrap().len(), 1);
        });
    }

    #[test]
    fn a_fingerprint_of_two_tokens_is_nobody() {
        scratch(|tx| {
            // Two digests with an equal beginning cannot be made from raw tokens, so the rows are put by hand.
            for last in [1, 2] {
                let mut digest = [9; 32];
                digest[31] = last;
                let hex = crate::ids::Digest(digest).to_hex();
                let key: TokenKey = serde_json::from_value(hex.into()).unwrap();
                TOKENS.put(tx, key, &ApiToken::new(false, Time(0))).unwrap();
                let found = find(tx, "fp:0909090909090909").unwrap();
                assert_eq!(found.is_some(), last == 1);
            }
        });
    }
}
