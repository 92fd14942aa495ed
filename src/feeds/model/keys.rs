//! The table of the room's keys: the one that signs, and those of others whose bundles are believed.

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
