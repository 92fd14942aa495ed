//! The table of the room's keys: the one that signs, and those of others whose bundles are believed.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::Result;
use crate::store::table::{Read, Table, WriteTx};

/// name → value. Secret: never part of an answer.
const KEYS: Table<String, String> = Table::new("feeds.key");

const SIGNING: &str = "signing";

/// The secret key that signs, in base 64.
pub fn signing(tx: &crate::store::table::ReadTx) -> Result<Option<String>> {
    KEYS.get(tx, SIGNING)
}

/// Stores the secret key that signs.
pub fn put_signing(tx: &WriteTx, secret: &str) -> Result<()> {
    KEYS.put(tx, SIGNING, &secret.to_owned())
}

/// Whether there is a key that signs.
pub fn has_signing(tx: &impl Read) -> Result<bool> {
    KEYS.has(tx, SIGNING)
}

/// Fingerprint (upper-case hex) → a certificate whose bundles are believed.
const TRUSTED: Table<String, Trusted> = Table::new("feeds.trusted");

/// A certificate of somebody else whose bundles are believed (`repos.md` §19.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// The user id it shows first; may be empty.
    pub user: String,
    /// The certificate in armor.
    pub armored: String,
    /// When it was added.
    pub added: Time,
    /// Who added it.
    pub by: String,
}

/// Every trusted certificate, by fingerprint.
pub fn trusted(tx: &impl Read) -> Result<Vec<(String, Trusted)>> {
    TRUSTED.all(tx, ())
}

/// Trusts a certificate; answers whether it was not trusted before.
pub fn trust(tx: &WriteTx, fingerprint: &str, key: &Trusted) -> Result<bool> {
    let new = !TRUSTED.has(tx, fingerprint)?;
    TRUSTED.put(tx, fingerprint, key)?;
    Ok(new)
}

/// Trusts a certificate no longer; answers whether it was trusted.
pub fn distrust(tx: &WriteTx, fingerprint: &str) -> Result<bool> {
    TRUSTED.remove(tx, fingerprint)
}
