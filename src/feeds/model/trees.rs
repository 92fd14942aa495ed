//! The tables of published trees: files of the current and of past generations, and what publishing the next one needs.
//!
//! A tree is named `N` (a repo) or `N@S` (a snapshot). The bytes of index files and of packages that left are held
//! under the last generation they belong to, until that generation expires.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::Result;
use crate::feeds::model::repos::{self, Snapshot};
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::{Set, absent, history};
use crate::ids::Digest;
use crate::store::table::{Read, Table, WriteTx};

/// (tree, path) → the file.
const FILES: Table<(String, String), File> = Table::new("feeds.file");
/// (repo, generation, what) → –: what goes when the generation expires: `/PATH` of a file, or a package's digest.
const RETIRED: Table<(String, u64, String), ()> = Table::new("feeds.retired");
/// (repo, package) → a package that left, fetchable until its last generation expires.
const GONE: Table<(String, Digest), Gone> = Table::new("feeds.gone");
/// (repo, generation) → a past generation.
const PAST: Table<(String, u64), Past> = Table::new("feeds.past");
/// (repo, shelf, (sort key, package)) → –: the packages in the order indexes have them. A shelf is one architecture of
/// one component (apt), or everything (yum).
const ORDER: Table<(String, String, (String, Digest)), ()> = Table::new("feeds.order");
/// (repo, index) → how the index was made.
const INDEXES: Table<(String, String), Index> = Table::new("feeds.index");

/// (tree, path) → –: index files of the current generation, which a dir tree has among thousands of others.
const CURRENT: Table<(String, String), ()> = Table::new("feeds.current");

/// Past generations that stay fetchable however old they are.
pub const KEPT_GENERATIONS: u64 = 3;
/// Seconds a past generation stays fetchable after its end.
pub const KEPT_SECONDS: i64 = 24 * 3600;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// When it became what it is, in seconds.
    pub modified: i64,
    /// Whether its name can never stand for other bytes.
    #[serde(default)]
    pub fixed: bool,
    /// The gzip file these bytes are unpacked from, when they are not stored themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Digest>,
    /// The last generation it belonged to, when that is past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
}

impl File {
    /// The blob that has to stay for it.
    pub fn blob(&self) -> Digest {
        self.packed.unwrap_or(self.digest)
    }
}

/// A package that left a repo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The paths it was published under.
    pub paths: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// The date of its paths, in seconds.
    pub modified: i64,
    /// The last generation it belonged to.
    pub generation: u64,
}

/// A past generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it was replaced.
    pub ended: Time,
}

/// Bytes by digest and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// SHA-256.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
}

/// How an index was made, so that the next one takes over what did not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// How it is packed: pieces are taken over only into an index packed the same way.
    pub packing: String,
    /// The packed file.
    pub packed: Sum,
    /// apt: the same packed by xz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xz: Option<Sum>,
    /// The file unpacked.
    pub open: Sum,
    /// Packages in it.
    pub packages: u64,
    /// When it became what it is, in seconds.
    pub made: i64,
    /// Its parts, in order.
    pub blocks: Vec<Block>,
}

/// A run of packages in an index that is packed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Sort key and digest of its last package: the next block begins after it.
    pub last: (String, Digest),
    /// Packages in it.
    pub packages: u64,
    /// Where its gzip member lies in the packed file.
    pub at: u64,
    /// How long that is.
    pub length: u64,
    /// Bytes unpacked.
    pub open: u64,
    /// apt: where its block lies in the xz file, how long that is, and how long without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xz: Option<(u64, u64, u64)>,
}

/// The place of a package in the order of its shelf.
pub type Place = (String, Digest);

/// Everything one publication writes about a repo's tree.
#[derive(Clone, Debug, Default)]
pub struct Edition {
    /// The files of the new generation; all others retire.
    pub files: BTreeMap<String, File>,
    /// Package files of a dir tree that come; they stay until they are removed.
    pub put: BTreeMap<String, File>,
    /// Paths of package files of a dir tree that go.
    pub removed: BTreeSet<String>,
    /// Packages that leave a yum or apt repo.
    pub gone: BTreeMap<Digest, Gone>,
    /// Places that are taken.
    pub placed: Vec<(String, Place)>,
    /// Places that are given up.
    pub unplaced: Vec<(String, Place)>,
    /// The indexes; all others are forgotten.
    pub indexes: BTreeMap<String, Index>,
    /// Further blobs the new generation needs.
    pub blobs: BTreeSet<Digest>,
}

/// A file of a tree.
pub fn file(tx: &impl Read, tree: &str, path: &str) -> Result<Option<File>> {
    FILES.get(tx, (tree, path))
}

/// Up to `limit` files of a tree, past ones included, in the order of their paths, after `after` when given.
pub fn files(tx: &impl Read, tree: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, File)>> {
    let after = after.map(|path| (tree.to_owned(), path.to_owned()));
    let rows = FILES.page(tx, (tree,), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, path), file)| (path, file)).collect())
}

/// A package that left a repo, by the beginning of its digest.
pub fn gone(tx: &impl Read, repo: &str, digest: &Digest) -> Result<Option<Gone>> {
    GONE.get(tx, (repo, digest))
}

/// Packages that left a repo and whose digest begins with `start`.
pub fn gone_starting(tx: &impl Read, repo: &str, start: [u8; 6]) -> Result<Vec<(Digest, Gone)>> {
    let rows = GONE.page(tx, sets::Starting { label: repo, start }, None, 64)?;
    Ok(rows.into_iter().map(|((_, digest), gone)| (digest, gone)).collect())
}

/// Places on a shelf in order, after `after` when given, at most `limit`.
pub fn places(tx: &impl Read, repo: &str, shelf: &str, after: Option<&Place>, limit: usize) -> Result<Vec<Place>> {
    let after = after.map(|place| (repo.to_owned(), shelf.to_owned(), place.clone()));
    let rows = ORDER.page(tx, (repo, shelf), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, _, place), ())| place).collect())
}

/// How an index of a repo was made.
pub fn index(tx: &impl Read, repo: &str, name: &str) -> Result<Option<Index>> {
    INDEXES.get(tx, (repo, name))
}

/// Writes a publication's rows. The members of the set are changed afterwards, so that bytes that leave it are held
/// under the old generation before the set lets go of them. `old` is the generation that ends, none for a new repo.
pub fn publish(tx: &WriteTx, hand: Hand, name: &str, old: Option<u64>, new: u64, edition: &Edition) -> Result<()> {
    if let Some(old) = old {
        retire_files(tx, hand, name, old, edition)?;
        for (digest, gone) in &edition.gone {
            GONE.put(tx, (name, digest), gone)?;
            RETIRED.put(tx, (name, old, digest.to_hex()), &())?;
            keep(tx, hand, digest, name, old)?;
        }
        PAST.put(tx, (name, old), &Past { ended: hand.now })?;
    }
    for (path, file) in edition.files.iter().chain(&edition.put) {
        if let Some(retired) = file_row(tx, name, path)?.and_then(|file| file.retired) {
            RETIRED.remove(tx, (name, retired, format!("/{path}")))?;
        }
        FILES.put(tx, (name, path.as_str()), file)?;
    }
    for path in edition.files.keys() {
        CURRENT.put(tx, (name, path.as_str()), &())?;
    }
    for (shelf, place) in &edition.unplaced {
        ORDER.remove(tx, (name, shelf.as_str(), place))?;
    }
    for (shelf, place) in &edition.placed {
        ORDER.put(tx, (name, shelf.as_str(), place), &())?;
    }
    for ((_, index), _) in INDEXES.all(tx, (name,))? {
        if !edition.indexes.contains_key(&index) {
            INDEXES.remove(tx, (name, index.as_str()))?;
        }
    }
    for (index, made) in &edition.indexes {
        INDEXES.put(tx, (name, index.as_str()), made)?;
    }
    let held: BTreeSet<Digest> = edition.files.values().map(File::blob).chain(edition.blobs.iter().copied()).collect();
    held.iter().try_for_each(|digest| keep(tx, hand, digest, name, new))
}

fn file_row(tx: &impl Read, tree: &str, path: &str) -> Result<Option<File>> {
    FILES.get(tx, (tree, path))
}

/// Files that do not belong to the new generation stay readable under the old one's number.
fn retire_files(tx: &WriteTx, hand: Hand, name: &str, old: u64, edition: &Edition) -> Result<()> {
    let current = CURRENT.all(tx, (name,))?;
    let leaving = current.into_iter().map(|((_, path), ())| path).filter(|path| !edition.files.contains_key(path));
    for path in leaving {
        CURRENT.remove(tx, (name, path.as_str()))?;
        retire(tx, name, &path, old)?;
    }
    for path in &edition.removed {
        if let Some(file) = file_row(tx, name, path)? {
            retire(tx, name, path, old)?;
            keep(tx, hand, &file.digest, name, old)?;
        }
    }
    Ok(())
}

fn retire(tx: &WriteTx, name: &str, path: &str, generation: u64) -> Result<()> {
    if let Some(file) = file_row(tx, name, path)? {
        FILES.put(tx, (name, path), &File { retired: Some(generation), ..file })?;
        RETIRED.put(tx, (name, generation, format!("/{path}")), &())?;
    }
    Ok(())
}

/// Holds a blob for one generation of a tree.
fn keep(tx: &WriteTx, hand: Hand, digest: &Digest, tree: &str, generation: u64) -> Result<()> {
    let holder = Holder::repo_index(tree, generation);
    match absent::holds(tx, &holder, digest)? {
        true => Ok(()),
        false => {
            let name = match absent::get(tx, digest)? {
                Some(absent) => Some(absent.filename),
                None => catalog::get(tx, digest)?.map(|artifact| artifact.first_name),
            };
            absent::hold(tx, digest, &name.unwrap_or_default(), &holder, hand.who, hand.now)
        }
    }
}

/// The past generations of a repo whose time is over.
pub fn expired(tx: &impl Read, name: &str, current: u64, now: Time) -> Result<Vec<u64>> {
    let past = PAST.all(tx, (name,))?.into_iter();
    let over = |generation: u64, past: &Past| {
        generation.saturating_add(KEPT_GENERATIONS) <= current && past.ended.plus_seconds(KEPT_SECONDS) <= now
    };
    Ok(past.filter(|((_, generation), past)| over(*generation, past)).map(|((_, generation), _)| generation).collect())
}

/// Forgets a past generation: its files answer 404 from now on, and its bytes go when nobody else holds them. Answers
/// which blobs it had held.
pub fn expire(tx: &WriteTx, hand: Hand, name: &str, generation: u64) -> Result<Vec<Digest>> {
    for ((_, _, what), ()) in RETIRED.all(tx, (name, generation))? {
        RETIRED.remove(tx, (name, generation, what.as_str()))?;
        match (what.strip_prefix('/'), Digest::from_hex(&what)) {
            (Some(path), _) if file_row(tx, name, path)?.is_some_and(|file| file.retired == Some(generation)) => {
                FILES.remove(tx, (name, path))?;
            }
            (None, Some(digest)) if gone(tx, name, &digest)?.is_some_and(|gone| gone.generation == generation) => {
                GONE.remove(tx, (name, digest))?;
            }
            _ => {}
        }
    }
    PAST.remove(tx, (name, generation))?;
    let holder = Holder::repo_index(name, generation);
    let held = catalog::held_by(tx, &holder, None, usize::MAX)?;
    absent::release_all(hand.store, tx, &holder)?;
    Ok(held)
}

/// Deletes a repo with its tree and its snapshots.
pub fn remove_repo(tx: &WriteTx, hand: Hand, name: &str, current: u64) -> Result<()> {
    for (snapshot, _) in repos::snapshots(tx, name)? {
        remove_snapshot(tx, hand, name, &snapshot)?;
    }
    for ((_, generation), _) in PAST.all(tx, (name,))? {
        expire(tx, hand, name, generation)?;
    }
    absent::release_all(hand.store, tx, &Holder::repo_index(name, current))?;
    for ((_, path), _) in FILES.all(tx, (name,))? {
        FILES.remove(tx, (name, path.as_str()))?;
    }
    for ((_, path), ()) in CURRENT.all(tx, (name,))? {
        CURRENT.remove(tx, (name, path.as_str()))?;
    }
    for ((_, shelf, place), ()) in ORDER.all(tx, (name,))? {
        ORDER.remove(tx, (name, shelf.as_str(), &place))?;
    }
    for ((_, index), _) in INDEXES.all(tx, (name,))? {
        INDEXES.remove(tx, (name, index.as_str()))?;
    }
    sets::clear(tx, hand, &Set::Repo(name.to_owned()))?;
    history::clear(tx, name)?;
    repos::remove(tx, name)?;
    Ok(())
}

/// Pins what a repo serves under a name of its own.
pub fn add_snapshot(tx: &WriteTx, hand: Hand, repo: &str, name: &str, snapshot: &Snapshot) -> Result<()> {
    let (set, pinned) = (Set::Repo(repo.to_owned()), Set::Snapshot(repo.to_owned(), name.to_owned()));
    let tree = format!("{repo}@{name}");
    sets::replace(tx, hand, &pinned, &sets::members(tx, &set)?, &sets::extras(tx, &set)?)?;
    for ((_, path), file) in FILES.all(tx, (repo,))? {
        if file.retired.is_none() {
            FILES.put(tx, (tree.as_str(), path.as_str()), &file)?;
            keep(tx, hand, &file.blob(), &tree, 0)?;
        }
    }
    for extra in sets::extras(tx, &set)?.values() {
        keep(tx, hand, &extra.digest, &tree, 0)?;
    }
    repos::put_snapshot(tx, repo, name, snapshot)
}

/// Forgets a snapshot; answers whether there was one.
pub fn remove_snapshot(tx: &WriteTx, hand: Hand, repo: &str, name: &str) -> Result<bool> {
    if !repos::remove_snapshot(tx, repo, name)? {
        return Ok(false);
    }
    let tree = format!("{repo}@{name}");
    for ((_, path), _) in FILES.all(tx, (tree.as_str(),))? {
        FILES.remove(tx, (tree.as_str(), path.as_str()))?;
    }
    sets::clear(tx, hand, &Set::Snapshot(repo.to_owned(), name.to_owned()))?;
    absent::release_all(hand.store, tx, &Holder::repo_index(&tree, 0))?;
    Ok(true)
}
