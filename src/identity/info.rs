//! What an installation has once: its signing keys, its operator, its sign-up key.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::identity::secrets::TokenKey;
use crate::ids::ObjectId;
use crate::store::table::{Read, Table, WriteTx};

const INFO: Table<String, serde_json::Value> = Table::new("identity.info");

/// The account of the first owner.
pub(super) const OPERATOR: Info<ObjectId> = Info::new("operator");
/// Signs app-update logins.
pub(super) const SIGNING_KEY: Info<Secret> = Info::new("signing-key");
/// Client tokens are made from it (`clients`).
pub(super) const CLIENT_KEY: Info<Secret> = Info::new("client-key");
/// SHA-256 of the key that lets strangers sign up.
pub(super) const SIGNUP_KEY: Info<TokenKey> = Info::new("signup-key");

/// 256 secret bits.
pub(super) type Secret = [u8; 32];

/// One named value.
pub(super) struct Info<T> {
    name: &'static str,
    holds: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Info<T> {
    const fn new(name: &'static str) -> Self {
        Info { name, holds: PhantomData }
    }

    /// The value, when it was ever put.
    pub(super) fn get(&self, tx: &impl Read) -> Result<Option<T>> {
        let value = INFO.get(tx, self.name)?;
        value
            .map(|value| serde_json::from_value(value).map_err(|e| Error::internal(format!("{}: {e}", self.name))))
            .transpose()
    }

    /// Puts the value, over whatever was there.
    pub(super) fn put(&self, tx: &WriteTx, value: &T) -> Result<()> {
        INFO.put(tx, self.name, &serde_json::to_value(value).map_err(Error::internal)?)
    }
}
