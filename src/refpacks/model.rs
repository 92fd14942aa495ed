//! The records of the RefPack room and their tables; their only writer.

use semver::Version as SemVer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::formats::refpack::{self, File, Method};
use crate::ids::Digest;
use crate::refpacks::rules::{self, Publisher};
use crate::store::table::{Read, Table, WriteTx};

/// Packages by id.
const PACKAGES: Table<String, Package> = Table::new("refpacks.package");
/// Versions by id and version without build metadata.
const VERSIONS: Table<(String, String), Version> = Table::new("refpacks.version");
/// The manifests of versions, apart from them because they may be large.
const MANIFESTS: Table<(String, String), Map<String, Value>> = Table::new("refpacks.manifest");
/// Who published the first package of a vendor.
const NAMESPACES: Table<String, Publisher> = Table::new("refpacks.namespace");

/// A package: an id with its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Package {
    /// The public label of its owner.
    pub owner: String,
    /// Who published its first version.
    pub publisher: Publisher,
    /// When it was first pushed.
    pub created: Time,
    /// Its newest push or archiving.
    pub updated: Time,
    /// The key of the version that `latest` means; none when all are archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// The key of the version that lists show.
    pub listed: String,
}

/// One version; its bytes never change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// As the manifest writes it, build metadata included.
    pub text: String,
    /// The archive's bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// When it was pushed.
    pub created: Time,
    /// Whether it was archived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// What its signature is worth.
    #[serde(default)]
    pub signature: Signature,
    /// Where its files lie in the archive.
    pub files: Vec<Placed>,
}

/// What a signature is worth (`refpack.md` §4.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// There is none.
    #[default]
    None,
    /// It proves that the packer held a key.
    Claims,
    /// It covers the manifest.
    Manifest,
}

/// Where a file lies in its archive. Field names are short: there are up to five in each version's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Placed {
    /// Which file.
    #[serde(rename = "f")]
    pub file: u8,
    /// Whether it is deflated.
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    pub deflated: bool,
    /// Where its packed bytes begin.
    #[serde(rename = "o")]
    pub offset: u64,
    /// How many there are.
    #[serde(rename = "p")]
    pub packed: u64,
    /// How many bytes it has.
    #[serde(rename = "s")]
    pub size: u64,
    /// Its SHA-256.
    #[serde(rename = "d")]
    pub digest: Digest,
}

/// The number of a file in [`Placed`]; never changes its meaning.
const fn number(file: File) -> u8 {
    match file {
        File::Meta => 0,
        File::Data => 1,
        File::Schema => 2,
        File::Changelog => 3,
        File::Readme => 4,
    }
}

impl Version {
    /// The row of a checked archive.
    pub fn of(pack: &refpack::Pack, digest: Digest, size: u64, created: Time) -> Version {
        let files =
            [File::Meta, File::Data, File::Schema, File::Changelog, File::Readme].into_iter().filter_map(|file| {
                let entry = pack.entries.iter().find(|entry| entry.name == file.name())?;
                Some(Placed {
                    file: number(file),
                    deflated: entry.method == Method::Deflate,
                    offset: entry.offset,
                    packed: entry.packed,
                    size: entry.size,
                    digest: Digest(entry.digest),
                })
            });
        let signature = match pack.signature {
            refpack::Signature::None => Signature::None,
            refpack::Signature::Claims => Signature::Claims,
            refpack::Signature::Manifest => Signature::Manifest,
        };
        let text = pack.manifest.version.to_string();
        Version { text, digest, size, created, archived: false, signature, files: files.collect() }
    }

    /// Where `file` lies, if the archive has it.
    pub fn file(&self, file: File) -> Option<&Placed> {
        self.files.iter().find(|placed| placed.file == number(file))
    }
}

/// The package with this id.
pub fn package(tx: &impl Read, id: &str) -> Result<Option<Package>> {
    PACKAGES.get(tx, id)
}

/// The version under `key`.
pub fn version(tx: &impl Read, id: &str, key: &str) -> Result<Option<Version>> {
    VERSIONS.get(tx, (id, key))
}

/// The manifest of the version under `key`.
///
/// # Errors
/// `Internal` when it is not there: each version has one.
pub fn manifest(tx: &impl Read, id: &str, key: &str) -> Result<Map<String, Value>> {
    MANIFESTS.get(tx, (id, key))?.ok_or_else(|| Error::internal(format!("refpack {id} {key} has no manifest")))
}

/// Every version of a package with its parsed number, highest precedence first.
pub fn versions(tx: &impl Read, id: &str) -> Result<Vec<(SemVer, Version)>> {
    let mut versions = Vec::new();
    for ((_, key), version) in VERSIONS.all(tx, (id,))? {
        let number = SemVer::parse(&key).map_err(Error::internal)?;
        versions.push((number, version));
    }
    versions.sort_by(|(a, _), (b, _)| b.cmp_precedence(a));
    Ok(versions)
}

/// Packages in order of their ids, after `after`.
pub fn page(tx: &impl Read, after: Option<&String>, limit: usize) -> Result<Vec<(String, Package)>> {
    PACKAGES.page(tx, (), after, limit)
}

/// A version on its way in.
pub struct Push {
    /// The package's id, checked.
    pub id: String,
    /// The version's number.
    pub number: SemVer,
    /// Its row.
    pub version: Version,
    /// Its manifest.
    pub manifest: Map<String, Value>,
    /// Who pushes.
    pub publisher: Publisher,
    /// Whether the pusher is an admin.
    pub admin: bool,
    /// The owner label it names.
    pub owner: Option<String>,
    /// The owner label of a new package that names none.
    pub default_owner: String,
    /// The pusher's name in the catalog.
    pub who: String,
}

/// Judges a push by what the transaction sees; answers the package as it will be. Writes nothing.
///
/// # Errors
/// `Forbidden`, `Conflict`.
pub fn judge(tx: &impl Read, push: &Push) -> Result<Package> {
    let key = rules::version_key(&push.number);
    let now = push.version.created;
    match PACKAGES.get(tx, push.id.as_str())? {
        Some(package) => extended(tx, package, push, &key),
        None => {
            judge_namespace(tx, push)?;
            Ok(Package {
                owner: push.owner.clone().unwrap_or_else(|| push.default_owner.clone()),
                publisher: push.publisher,
                created: now,
                updated: now,
                latest: Some(key.clone()),
                listed: key,
            })
        }
    }
}

/// Adds the version that was judged in this transaction. The artifact must be admitted already.
pub fn add(tx: &WriteTx, push: &Push, package: &Package) -> Result<()> {
    let id = push.id.as_str();
    let key = rules::version_key(&push.number);
    let now = push.version.created;
    if let Some(vendor) = rules::vendor(id)
        && !NAMESPACES.has(tx, vendor)?
    {
        NAMESPACES.put(tx, vendor, &push.publisher)?;
    }
    PACKAGES.put(tx, id, package)?;
    VERSIONS.put(tx, (id, key.as_str()), &push.version)?;
    MANIFESTS.put(tx, (id, key.as_str()), &push.manifest)?;
    let name = rules::file_name(id, &push.version.text);
    catalog::hold(tx, &push.version.digest, &name, &Holder::refpack(id, &key), true, &push.who, now)
}

/// The package with one version more.
fn extended(tx: &impl Read, mut package: Package, push: &Push, key: &str) -> Result<Package> {
    let id = &push.id;
    rules::may_change(package.publisher, push.publisher, push.admin, id)?;
    if push.owner.as_ref().is_some_and(|owner| *owner != package.owner) {
        let sentence = format!("Package '{id}' is owned by '{}'", package.owner);
        return Err(rules::refuse(Kind::Conflict, "Owner conflict", sentence));
    }
    if VERSIONS.has(tx, (id.as_str(), key))? {
        let sentence = format!("Package '{id}' version '{}' already exists", push.version.text);
        return Err(rules::refuse(Kind::Conflict, "Package already exists", sentence));
    }
    let current = package.latest.as_deref().map(SemVer::parse).transpose().map_err(Error::internal)?;
    if current.is_none_or(|current| rules::newer(&push.number, &current).is_gt()) {
        package.latest = Some(key.to_owned());
        package.listed = key.to_owned();
    }
    package.updated = push.version.created;
    Ok(package)
}

fn judge_namespace(tx: &impl Read, push: &Push) -> Result<()> {
    let Some(vendor) = rules::vendor(&push.id) else { return Ok(()) };
    match NAMESPACES.get(tx, vendor)? {
        Some(owner) if owner != push.publisher && !push.admin => {
            let sentence = format!("Namespace '{vendor}' belongs to another publisher");
            Err(rules::refuse(Kind::Forbidden, "Forbidden", sentence))
        }
        _ => Ok(()),
    }
}

/// Archives one version of a package, or all; the caller has judged.
pub fn archive(tx: &WriteTx, id: &str, package: Package, only: Option<&str>, now: Time) -> Result<()> {
    mark(tx, id, package, only, true, now)
}

/// Takes the archiving of one version back; the caller has judged.
pub fn restore(tx: &WriteTx, id: &str, package: Package, key: &str, now: Time) -> Result<()> {
    mark(tx, id, package, Some(key), false, now)
}

fn mark(tx: &WriteTx, id: &str, mut package: Package, only: Option<&str>, archived: bool, now: Time) -> Result<()> {
    let mut versions = versions(tx, id)?;
    let mut changed = false;
    for (number, version) in &mut versions {
        let key = rules::version_key(number);
        if version.archived != archived && only.is_none_or(|only| only == key) {
            version.archived = archived;
            changed = true;
            VERSIONS.put(tx, (id, key.as_str()), version)?;
        }
    }
    if !changed {
        return Ok(());
    }
    let latest = rules::latest(versions.iter().map(|(number, version)| (number, version.archived)));
    package.latest = latest.map(rules::version_key);
    let highest = versions.first().map(|(number, _)| rules::version_key(number));
    package.listed = package.latest.clone().or(highest).unwrap_or(package.listed);
    package.updated = now;
    PACKAGES.put(tx, id, &package)
}
