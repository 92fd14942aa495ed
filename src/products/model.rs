//! The records of the products room and their tables; their only writer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::TokenKey;
use crate::ids::Digest;
use crate::products::rules::Permissions;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};

/// Products by name.
const PRODUCTS: Table<String, Product> = Table::new("products.product");
/// Versions by product and version name.
const VERSIONS: Table<(String, String), Version> = Table::new("products.version");
/// The same membership as [`Product::members`], from the token's side.
const MEMBERSHIPS: Table<(TokenKey, String), ()> = Table::new("products.member");

/// A product: its name and the tokens that may use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Product {
    /// As created; the key of the record.
    pub name: String,
    /// When it was created.
    pub created: Time,
    /// Permissions by token.
    #[serde(default)]
    pub members: BTreeMap<TokenKey, Permissions>,
}

/// One immutable version of a product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The base name the client gave.
    pub file_name: String,
    /// When it was uploaded.
    pub created: Time,
}

/// What an unknown version is called in every answer.
pub const VERSION_NOT_FOUND: &str = "Version not found";

/// The product called `name`.
///
/// # Errors
/// `NotFound` `Product not found`.
pub fn product(tx: &impl Read, name: &str) -> Result<Product> {
    PRODUCTS.get(tx, name)?.ok_or_else(|| Error::not_found("Product not found"))
}

/// The version called `version` of `product`.
///
/// # Errors
/// `NotFound` `Version not found`.
pub fn version(tx: &impl Read, product: &str, version: &str) -> Result<Version> {
    VERSIONS.get(tx, (product, version))?.ok_or_else(|| Error::not_found(VERSION_NOT_FOUND))
}

/// Every version of `product`, by name.
pub fn versions(tx: &impl Read, product: &str) -> Result<Vec<(String, Version)>> {
    Ok(VERSIONS.all(tx, (product,))?.into_iter().map(|((_, name), version)| (name, version)).collect())
}

/// The names of all products, by code point.
pub fn names(tx: &impl Read) -> Result<Vec<String>> {
    Ok(PRODUCTS.all(tx, ())?.into_iter().map(|(name, _)| name).collect())
}

/// The names of the products `token` is a member of, by code point.
pub fn names_of(tx: &impl Read, token: TokenKey) -> Result<Vec<String>> {
    Ok(MEMBERSHIPS.all(tx, (token,))?.into_iter().map(|((_, name), ())| name).collect())
}

/// Creates a product whose only member, with every permission, is `creator`.
///
/// # Errors
/// `Conflict` `product already exists`.
pub fn create(tx: &WriteTx, name: &str, creator: TokenKey, now: Time) -> Result<()> {
    if PRODUCTS.has(tx, name)? {
        return Err(Error::conflict("product already exists"));
    }
    let members = BTreeMap::from([(creator, Permissions::ALL)]);
    PRODUCTS.put(tx, name, &Product { name: name.to_owned(), created: now, members })?;
    MEMBERSHIPS.put(tx, (creator, name), &())
}

/// Lets `token` into the product with exactly these permissions.
pub fn set_member(tx: &WriteTx, product: &mut Product, token: TokenKey, permissions: Permissions) -> Result<()> {
    product.members.insert(token, permissions);
    MEMBERSHIPS.put(tx, (token, product.name.as_str()), &())?;
    PRODUCTS.put(tx, product.name.as_str(), product)
}

/// Takes `token` out of the product; answers whether it was a member.
pub fn remove_member(tx: &WriteTx, product: &mut Product, token: TokenKey) -> Result<bool> {
    if product.members.remove(&token).is_none() {
        return Ok(false);
    }
    MEMBERSHIPS.remove(tx, (token, product.name.as_str()))?;
    PRODUCTS.put(tx, product.name.as_str(), product)?;
    Ok(true)
}

/// Takes `token` out of every product. Products whose last member goes stay.
pub fn forget_token(tx: &WriteTx, token: TokenKey) -> Result<()> {
    for name in names_of(tx, token)? {
        let mut product = product(tx, &name)?;
        remove_member(tx, &mut product, token)?;
    }
    Ok(())
}

/// Whether `product` has a version of that name.
pub fn has_version(tx: &impl Read, product: &str, version: &str) -> Result<bool> {
    VERSIONS.has(tx, (product, version))
}

/// Adds a version; the caller has judged and the artifact is admitted.
pub fn add_version(tx: &WriteTx, product: &str, name: &str, version: &Version, who: &str) -> Result<()> {
    VERSIONS.put(tx, (product, name), version)?;
    let holder = Holder::product(product, name);
    catalog::hold(tx, &version.digest, &version.file_name, &holder, false, who, version.created)
}

/// Removes a version and lets go of its bytes.
///
/// # Errors
/// `NotFound` `Version not found`.
pub fn remove_version(store: &Store, tx: &WriteTx, product: &str, name: &str) -> Result<()> {
    let record = version(tx, product, name)?;
    VERSIONS.remove(tx, (product, name))?;
    catalog::release(store, tx, &record.digest, &Holder::product(product, name))
}

/// Removes a product with its members and versions, and lets go of their bytes.
pub fn remove_product(store: &Store, tx: &WriteTx, product: &Product) -> Result<()> {
    let name = product.name.as_str();
    for (version, record) in versions(tx, name)? {
        VERSIONS.remove(tx, (name, version.as_str()))?;
        catalog::release(store, tx, &record.digest, &Holder::product(name, &version))?;
    }
    for token in product.members.keys() {
        MEMBERSHIPS.remove(tx, (*token, name))?;
    }
    PRODUCTS.remove(tx, name)?;
    Ok(())
}

/// The product behind a holder of this room.
pub fn product_of(holder: &Holder) -> Option<String> {
    (holder.kind() == "product").then(|| holder.parts()).and_then(|parts| parts.into_iter().next())
}
