//! The room's records: packages, their version rows, what manifests say beyond them, and every index over these.
//!
//! Every function that changes something raises the tenant's generation in the same transaction, so whatever was made
//! from an older view can be told from what is true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};
use crate::winget::keys::{self, Key};
use crate::winget::names::fold;
use crate::winget::rules::{self, Picture};
use crate::winget::texts;

mod changes;

pub use changes::{changes, generation, touch};

/// (tenant, folded id) → package. Listings go by it.
const PACKAGES: Table<(Uuid, String), Package> = Table::new("winget.package");
/// (tenant, folded id, number) → version row, in the order they were added.
const ROWS: Table<(Uuid, String, u64), Row> = Table::new("winget.version");
/// (tenant, UID) → where its row is.
const UIDS: Table<(Uuid, Uuid), (String, u64)> = Table::new("winget.version_of");
/// (tenant, folded id, [`rules::unique_key`]) → number.
const UNIQUE: Table<(Uuid, String, String), u64> = Table::new("winget.unique");
/// (tenant, folded id, folded version) → what manifests say of the version as a whole.
const RELEASES: Table<(Uuid, String, String), Release> = Table::new("winget.release");
/// ((tenant, key), folded id, what it comes from) → –: codes, tags and names by which packages are found.
const KEYS: Table<((Uuid, String), String, String), ()> = Table::new("winget.key");
/// (tenant, logo, folded id) → kind of picture.
const LOGOS: Table<(Uuid, Digest, String), Picture> = Table::new("winget.logo");
/// (tenant, file) → its size and how many records of the tenant use it.
const STORED: Table<(Uuid, Digest), Stored> = Table::new("winget.stored");
/// Tenant → bytes of all its distinct files.
const USED: Table<Uuid, u64> = Table::new("winget.used");

/// A package of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Its id as it was given; unique without regard to case.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub publisher: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
    /// Whether clients see it.
    pub active: bool,
    /// When it was made.
    pub created: Time,
    /// When it or anything in it last changed.
    pub updated: Time,
    /// Number of the next version row.
    #[serde(default)]
    pub next: u64,
    /// Members of imported package documents that nobody here knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Package {
    /// A package without id, name and publisher, for those who fill them in.
    pub fn empty(now: Time) -> Package {
        Package {
            id: String::new(),
            name: String::new(),
            publisher: String::new(),
            description: String::new(),
            logo: None,
            active: true,
            created: now,
            updated: now,
            next: 0,
            extra: Map::new(),
        }
    }
}

/// A package's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// Its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// PNG or JPEG.
    pub picture: Picture,
}

/// One installer of one version: a Package_Version of Part A, an installer of Part B.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Its id; the `InstallerIdentifier` unless a document gives another.
    pub uid: Uuid,
    /// Its place among the package's rows; given by [`add_row`].
    pub number: u64,
    /// The version's text.
    pub version: String,
    /// A value of [`rules::LOCALES`], or what an imported manifest says.
    pub locale: String,
    /// A value of [`rules::ARCHITECTURES`], or what an imported manifest says (`neutral`).
    pub architecture: String,
    /// A value of [`rules::FILE_TYPES`], upper-case, or what an imported manifest says, upper-case (`PORTABLE`).
    pub kind: String,
    /// `machine`, `user`; empty when an imported manifest leaves it open.
    pub scope: String,
    /// Lower-case.
    pub channel: String,
    /// The bytes, when this server has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// Where the bytes are otherwise; empty when they are here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// SHA-256 of bytes that are elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_sha256: Option<Digest>,
    /// The type inside an archive, upper-case; empty for other types.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nested: String,
    /// Paths inside the archive, as given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nested_paths: Vec<String>,
    /// Values of [`rules::SWITCHES`] that are not empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub switches: BTreeMap<String, String>,
    /// Empty when unset, as the next two.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product_code: String,
    /// The upgrade code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upgrade_code: String,
    /// The package family name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub family_name: String,
    /// A value of [`rules::UPGRADES`]; empty means `install`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upgrades: String,
    /// What has to be there first.
    #[serde(skip_serializing_if = "Dependencies::is_empty")]
    pub dependencies: Dependencies,
    /// Commands it adds (imported).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// `AppsAndFeaturesEntries` beyond what the codes above say (imported).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Map<String, Value>>,
    /// `Markets` (imported).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markets: Option<Value>,
    /// Members of an imported installer document that nobody here knows, given back as they are.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// When it was added.
    pub added: Option<Time>,
}

/// The stored bytes of an installer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// SHA-256.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Without the dot, lower-case.
    pub extension: String,
}

/// What an installer needs (A6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependencies {
    /// Windows features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Windows libraries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
    /// Packages of a source: id and lowest version, which may be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<(String, String)>,
    /// Anything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<String>,
}

impl Dependencies {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        *self == Dependencies::default()
    }
}

/// What imported documents say of a version as a whole. Versions made by Part A have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// The version's text.
    pub version: String,
    /// The `DefaultLocale` document; empty when there is none.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub default_locale: Map<String, Value>,
    /// Other locale documents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locales: Vec<Map<String, Value>>,
    /// A short name people type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub moniker: String,
    /// Tags of all locales.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Unknown members of the version document.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Stored {
    size: u64,
    uses: u64,
}

/// A package with everything in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// The package.
    pub package: Package,
    /// Its rows, in the order they were added.
    pub rows: Vec<Row>,
    /// What is said of its versions, by folded version.
    pub releases: BTreeMap<String, Release>,
}

/// Who changes something, and when: what claims on files are noted with.
#[derive(Clone, Debug)]
pub struct By {
    /// The principal's label.
    pub who: String,
    /// Now.
    pub now: Time,
}

fn unknown() -> Error {
    Error::not_found("Package not found")
}

/// The package with this id, in any case.
pub fn package(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Option<Package>> {
    PACKAGES.get(tx, (tenant, fold(id)))
}

/// The package with this id. `NotFound` when there is none.
pub fn known_package(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Package> {
    package(tx, tenant, id)?.ok_or_else(unknown)
}

/// Up to `limit` packages by folded id, after `after` when given.
pub fn page(tx: &impl Read, tenant: Uuid, after: Option<&str>, limit: usize) -> Result<Vec<(String, Package)>> {
    let after = after.map(|id| (tenant, id.to_owned()));
    let rows = PACKAGES.page(tx, (tenant,), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, id), package)| (id, package)).collect())
}

/// The rows of a package, in the order they were added.
pub fn rows(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Vec<Row>> {
    Ok(ROWS.all(tx, (tenant, fold(id)))?.into_iter().map(|(_, row)| row).collect())
}

/// The row with this UID and its package.
pub fn row(tx: &impl Read, tenant: Uuid, uid: Uuid) -> Result<Option<(Package, Row)>> {
    let Some((id, number)) = UIDS.get(tx, (tenant, uid))? else { return Ok(None) };
    let package = PACKAGES.get(tx, (tenant, id.as_str()))?;
    Ok(package.zip(ROWS.get(tx, (tenant, id, number))?))
}

/// A package with everything in it.
pub fn whole(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Option<Whole>> {
    let Some(package) = package(tx, tenant, id)? else { return Ok(None) };
    let releases = RELEASES.all(tx, (tenant, fold(id)))?;
    let releases = releases.into_iter().map(|((_, _, version), release)| (version, release)).collect();
    Ok(Some(Whole { package, rows: rows(tx, tenant, id)?, releases }))
}

/// What manifests say of a version as a whole.
pub fn release(tx: &impl Read, tenant: Uuid, id: &str, version: &str) -> Result<Option<Release>> {
    RELEASES.get(tx, (tenant, fold(id), fold(version)))
}

/// Folded ids of up to `limit` packages that have `value` under `key`, in order, after `after` when given; costs a
/// look-up, however many packages there are.
pub fn find(
    tx: &impl Read,
    tenant: Uuid,
    key: Key,
    value: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let key = key.text(value);
    let mut found: Vec<String> = Vec::new();
    let mut last = after.map(|id| ((tenant, key.clone()), id.to_owned(), keys::LAST.to_owned()));
    // A package has the key once for each row that brings it: step over the rest of it.
    while found.len() < limit {
        let Some((row, ())) = KEYS.page(tx, ((tenant, key.as_str()),), last.as_ref(), 1)?.pop() else { break };
        found.push(row.1.clone());
        last = Some((row.0, row.1, keys::LAST.to_owned()));
    }
    Ok(found)
}

/// The kind of a picture that some package of the tenant has as its logo.
pub fn logo(tx: &impl Read, tenant: Uuid, digest: Digest) -> Result<Option<Picture>> {
    Ok(LOGOS.page(tx, (tenant, digest), None, 1)?.pop().map(|(_, picture)| picture))
}

/// The first tenant with packages, after `after` when given.
pub fn next_tenant(tx: &impl Read, after: Option<Uuid>) -> Result<Option<Uuid>> {
    let after = after.map(|tenant| (tenant, keys::LAST.to_owned()));
    Ok(PACKAGES.page(tx, (), after.as_ref(), 1)?.pop().map(|((tenant, _), _)| tenant))
}

/// Number of packages in a tenant's first `limit`: whether there are any, or few.
pub fn count(tx: &impl Read, tenant: Uuid, limit: usize) -> Result<usize> {
    Ok(PACKAGES.page(tx, (tenant,), None, limit)?.len())
}

/// Bytes of all distinct files of the tenant's packages.
pub fn used(tx: &impl Read, tenant: Uuid) -> Result<u64> {
    Ok(USED.get(tx, tenant)?.unwrap_or(0))
}

/// Whether a package of the tenant has this file.
pub fn has_file(tx: &impl Read, tenant: Uuid, digest: Digest) -> Result<bool> {
    STORED.has(tx, (tenant, digest))
}

/// Adds a package. `Conflict` when its id is taken in any case.
pub fn add_package(tx: &WriteTx, tenant: Uuid, package: &Package, by: &By) -> Result<()> {
    let id = fold(&package.id);
    if PACKAGES.has(tx, (tenant, id.as_str()))? {
        return Err(Error::conflict("Package ID already available!"));
    }
    if count(tx, tenant, 1)? == 0 {
        texts::begin(tx, tenant)?;
    }
    if let Some(logo) = &package.logo {
        hold_logo(tx, tenant, package, logo, by)?;
    }
    set_keys(tx, tenant, &id, keys::PACKAGE, &[], &keys::of_package(package))?;
    PACKAGES.put(tx, (tenant, id.as_str()), package)?;
    touch(tx, tenant, &id)
}

/// Replaces a package's record; the id stays. `NotFound` when there is none.
pub fn update_package(store: &Store, tx: &WriteTx, tenant: Uuid, package: &Package, by: &By) -> Result<()> {
    let id = fold(&package.id);
    let old = PACKAGES.get(tx, (tenant, id.as_str()))?.ok_or_else(unknown)?;
    if old.logo != package.logo {
        if let Some(logo) = &package.logo {
            hold_logo(tx, tenant, package, logo, by)?;
        }
        if let Some(logo) = &old.logo {
            let same = package.logo.is_some_and(|new| new.digest == logo.digest);
            drop_logo(store, tx, tenant, &id, logo, same)?;
        }
    }
    let (before, after) = (keys::of_package(&old), keys::of_package(package));
    if before != after {
        set_keys(tx, tenant, &id, keys::PACKAGE, &before, &after)?;
        for ((_, _, version), release) in RELEASES.all(tx, (tenant, id.as_str()))? {
            let [old, new] = [&before, &after].map(|own| keys::of_release(&release, own));
            set_keys(tx, tenant, &id, &keys::from_release(&version), &old, &new)?;
        }
    }
    PACKAGES.put(tx, (tenant, id.as_str()), package)?;
    touch(tx, tenant, &id)
}

/// Removes a package and everything in it; files that nothing else uses go. `NotFound` when there is none.
pub fn remove_package(store: &Store, tx: &WriteTx, tenant: Uuid, id: &str) -> Result<()> {
    let id = fold(id);
    let package = PACKAGES.get(tx, (tenant, id.as_str()))?.ok_or_else(unknown)?;
    for row in rows(tx, tenant, &id)? {
        forget_row(store, tx, tenant, &id, &row)?;
    }
    let own = keys::of_package(&package);
    for ((_, _, version), release) in RELEASES.all(tx, (tenant, id.as_str()))? {
        set_keys(tx, tenant, &id, &keys::from_release(&version), &keys::of_release(&release, &own), &[])?;
        RELEASES.remove(tx, (tenant, id.as_str(), version))?;
    }
    if let Some(logo) = &package.logo {
        drop_logo(store, tx, tenant, &id, logo, false)?;
    }
    set_keys(tx, tenant, &id, keys::PACKAGE, &own, &[])?;
    PACKAGES.remove(tx, (tenant, id.as_str()))?;
    touch(tx, tenant, &id)
}

/// Whether a row could be added. `NotFound` without the package, `Conflict` when there is such a row already.
pub fn judge_new_row(tx: &impl Read, tenant: Uuid, id: &str, row: &Row) -> Result<()> {
    known_package(tx, tenant, id)?;
    match UNIQUE.has(tx, (tenant, fold(id), unique_key(row)))? || UIDS.has(tx, (tenant, row.uid))? {
        true => Err(Error::conflict("Package version already exists")),
        false => Ok(()),
    }
}

/// Adds a version row, whose bytes are in the catalog if they are here, and gives it its number. `NotFound` without
/// the package, `Conflict` when there is such a row already.
pub fn add_row(tx: &WriteTx, tenant: Uuid, id: &str, row: &Row, by: &By) -> Result<Row> {
    judge_new_row(tx, tenant, id, row)?;
    let mut package = known_package(tx, tenant, id)?;
    let (id, unique) = (fold(id), unique_key(row));
    let row = Row { number: package.next, added: row.added.or(Some(by.now)), ..row.clone() };
    package.next = package.next.saturating_add(1);
    package.updated = by.now;
    hold_row(tx, tenant, &package, &row, by)?;
    UNIQUE.put(tx, (tenant, id.as_str(), unique.as_str()), &row.number)?;
    UIDS.put(tx, (tenant, row.uid), &(id.clone(), row.number))?;
    set_keys(tx, tenant, &id, &keys::from_row(row.uid), &[], &keys::of_row(&row))?;
    ROWS.put(tx, (tenant, id.as_str(), row.number), &row)?;
    PACKAGES.put(tx, (tenant, id.as_str()), &package)?;
    touch(tx, tenant, &id)?;
    Ok(row)
}

/// Replaces the row with the same UID; its number stays. `NotFound` when there is none, `Conflict` when it would be
/// equal to another.
pub fn update_row(store: &Store, tx: &WriteTx, tenant: Uuid, new: &Row, by: &By) -> Result<Row> {
    let (package, old) = row(tx, tenant, new.uid)?.ok_or_else(|| Error::not_found("Package version not found"))?;
    let id = fold(&package.id);
    let new = Row { number: old.number, added: old.added, ..new.clone() };
    let (was, is) = (unique_key(&old), unique_key(&new));
    if was != is {
        if UNIQUE.has(tx, (tenant, id.as_str(), is.as_str()))? {
            return Err(Error::conflict("Package version already exists"));
        }
        UNIQUE.remove(tx, (tenant, id.as_str(), was.as_str()))?;
        UNIQUE.put(tx, (tenant, id.as_str(), is.as_str()), &new.number)?;
    }
    if old.file != new.file {
        hold_row(tx, tenant, &package, &new, by)?;
        if let Some(file) = &old.file {
            let still = new.file.as_ref().is_some_and(|new| new.digest == file.digest);
            drop_file(store, tx, tenant, file.digest, &Holder::winget(old.uid), still)?;
        }
    }
    set_keys(tx, tenant, &id, &keys::from_row(new.uid), &keys::of_row(&old), &keys::of_row(&new))?;
    ROWS.put(tx, (tenant, id.as_str(), new.number), &new)?;
    let package = Package { updated: by.now, ..package };
    PACKAGES.put(tx, (tenant, id.as_str()), &package)?;
    touch(tx, tenant, &id)?;
    Ok(new)
}

/// Removes a row of this package; its bytes go when nothing else uses them. `NotFound` when the package has no such row.
pub fn remove_row(store: &Store, tx: &WriteTx, tenant: Uuid, id: &str, uid: Uuid) -> Result<()> {
    let found = row(tx, tenant, uid)?.filter(|(package, _)| fold(&package.id) == fold(id));
    let (package, row) = found.ok_or_else(|| Error::not_found("Package version not found"))?;
    let id = fold(&package.id);
    forget_row(store, tx, tenant, &id, &row)?;
    touch(tx, tenant, &id)
}

/// Puts what manifests say of a version. `NotFound` without the package.
pub fn put_release(tx: &WriteTx, tenant: Uuid, id: &str, release: &Release) -> Result<()> {
    let own = keys::of_package(&known_package(tx, tenant, id)?);
    let (id, version) = (fold(id), fold(&release.version));
    let old = RELEASES.get(tx, (tenant, id.as_str(), version.as_str()))?;
    let old = old.map(|old| keys::of_release(&old, &own)).unwrap_or_default();
    set_keys(tx, tenant, &id, &keys::from_release(&version), &old, &keys::of_release(release, &own))?;
    RELEASES.put(tx, (tenant, id.as_str(), version.as_str()), release)?;
    touch(tx, tenant, &id)
}

/// Removes what manifests say of a version; answers whether there was anything.
pub fn remove_release(tx: &WriteTx, tenant: Uuid, id: &str, version: &str) -> Result<bool> {
    let (id, version) = (fold(id), fold(version));
    let Some(old) = RELEASES.get(tx, (tenant, id.as_str(), version.as_str()))? else { return Ok(false) };
    let own = keys::of_package(&known_package(tx, tenant, &id)?);
    set_keys(tx, tenant, &id, &keys::from_release(&version), &keys::of_release(&old, &own), &[])?;
    RELEASES.remove(tx, (tenant, id.as_str(), version.as_str()))?;
    touch(tx, tenant, &id)?;
    Ok(true)
}

fn unique_key(row: &Row) -> String {
    rules::unique_key(&row.version, &row.locale, &row.architecture, &row.kind, &row.nested, &row.scope)
}

/// What a stored installer is called: in links, in the catalog, when it is saved.
pub fn file_name(package: &Package, row: &Row) -> String {
    let extension = row.file.as_ref().map_or(rules::type_extension(&row.kind), |file| file.extension.as_str());
    let [id, version, arch] = [&package.id, &row.version, &row.architecture].map(|part| rules::decoration(part));
    format!("{id}_{version}_{arch}.{extension}")
}

fn forget_row(store: &Store, tx: &WriteTx, tenant: Uuid, id: &str, row: &Row) -> Result<()> {
    if let Some(file) = &row.file {
        drop_file(store, tx, tenant, file.digest, &Holder::winget(row.uid), false)?;
    }
    UNIQUE.remove(tx, (tenant, id, unique_key(row)))?;
    UIDS.remove(tx, (tenant, row.uid))?;
    set_keys(tx, tenant, id, &keys::from_row(row.uid), &keys::of_row(row), &[])?;
    ROWS.remove(tx, (tenant, id, row.number))?;
    Ok(())
}

fn hold_row(tx: &WriteTx, tenant: Uuid, package: &Package, row: &Row, by: &By) -> Result<()> {
    let Some(file) = &row.file else { return Ok(()) };
    catalog::hold(tx, &file.digest, &file_name(package, row), &Holder::winget(row.uid), false, &by.who, by.now)?;
    count_file(tx, tenant, file.digest, file.size)
}

fn logo_holder(tenant: Uuid, id: &str) -> Holder {
    Holder::winget_logo(tenant, id)
}

fn hold_logo(tx: &WriteTx, tenant: Uuid, package: &Package, logo: &Logo, by: &By) -> Result<()> {
    let id = fold(&package.id);
    let name = format!("{}.{}", rules::decoration(&package.id), logo.picture.extension());
    catalog::hold(tx, &logo.digest, &name, &logo_holder(tenant, &id), false, &by.who, by.now)?;
    LOGOS.put(tx, (tenant, logo.digest, id.as_str()), &logo.picture)?;
    count_file(tx, tenant, logo.digest, logo.size)
}

fn drop_logo(store: &Store, tx: &WriteTx, tenant: Uuid, id: &str, logo: &Logo, still: bool) -> Result<()> {
    if !still {
        LOGOS.remove(tx, (tenant, logo.digest, id))?;
    }
    drop_file(store, tx, tenant, logo.digest, &logo_holder(tenant, id), still)
}

fn count_file(tx: &WriteTx, tenant: Uuid, digest: Digest, size: u64) -> Result<()> {
    let stored = STORED.get(tx, (tenant, digest))?;
    if stored.is_none() {
        USED.put(tx, tenant, &used(tx, tenant)?.saturating_add(size))?;
    }
    let uses = stored.map_or(0, |stored| stored.uses).saturating_add(1);
    STORED.put(tx, (tenant, digest), &Stored { size, uses })
}

/// One use of a file less; `still` says that the holder goes on holding it for another use.
fn drop_file(store: &Store, tx: &WriteTx, tenant: Uuid, digest: Digest, holder: &Holder, still: bool) -> Result<()> {
    if !still {
        catalog::release(store, tx, &digest, holder)?;
    }
    match STORED.get(tx, (tenant, digest))? {
        Some(Stored { size, uses }) if uses > 1 => STORED.put(tx, (tenant, digest), &Stored { size, uses: uses - 1 }),
        Some(Stored { size, .. }) => {
            USED.put(tx, tenant, &used(tx, tenant)?.saturating_sub(size))?;
            STORED.remove(tx, (tenant, digest)).map(drop)
        }
        None => Ok(()),
    }
}

fn set_keys(tx: &WriteTx, tenant: Uuid, id: &str, from: &str, old: &[String], new: &[String]) -> Result<()> {
    for key in old.iter().filter(|key| !new.contains(key)) {
        KEYS.remove(tx, ((tenant, key.as_str()), id, from))?;
    }
    for key in new.iter().filter(|key| !old.contains(key)) {
        KEYS.put(tx, ((tenant, key.as_str()), id, from), &())?;
    }
    Ok(())
}

/// Adds every key that a package has by the present rules; those it has already stay, but for what its versions repeat.
pub(super) fn add_keys(tx: &WriteTx, tenant: Uuid, id: &str) -> Result<()> {
    let Some(whole) = whole(tx, tenant, id)? else { return Ok(()) };
    let own = keys::of_package(&whole.package);
    set_keys(tx, tenant, id, keys::PACKAGE, &[], &own)?;
    for row in &whole.rows {
        set_keys(tx, tenant, id, &keys::from_row(row.uid), &[], &keys::of_row(row))?;
    }
    for (version, release) in &whole.releases {
        set_keys(tx, tenant, id, &keys::from_release(version), &own, &keys::of_release(release, &own))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
