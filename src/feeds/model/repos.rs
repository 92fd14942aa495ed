//! The tables of repos and their snapshots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::Result;
use crate::feeds::model::{Set, Type};
use crate::ids::Digest;
use crate::store::table::{Read, Table, WriteTx};

const REPOS: Table<String, Repo> = Table::new("feeds.repo");
/// (repo, name) → the snapshot.
const SNAPSHOTS: Table<(String, String), Snapshot> = Table::new("feeds.snapshot");

/// A repository we publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repo {
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: Type,
    /// When it was made.
    pub created: Time,
    /// When its packages or options last changed.
    pub updated: Time,
    /// The number of the state that is served.
    pub generation: u64,
    /// The date of that state, in seconds; grows with every generation.
    pub published: i64,
    /// Packages in it.
    #[serde(default)]
    pub packages: u64,
    /// Their bytes.
    #[serde(default)]
    pub size: u64,
    /// How it is published.
    #[serde(default)]
    pub options: Options,
    /// apt: how many packages each `COMPONENT/ARCHITECTURE` has.
    #[serde(default)]
    pub shelves: BTreeMap<String, u64>,
    /// The states it took from bundles, the latest last (`repos.md` §19.2); the oldest are forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
}

/// The most states from bundles that a repo remembers.
const MOST_IMPORTS: usize = 100;

/// A state of a repo elsewhere, taken from a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The number that state has where it comes from.
    pub generation: u64,
    /// What stands for its packages ([`super::history::fingerprint`]).
    pub digest: Digest,
    /// When it was published there.
    pub created: Time,
    /// When it was taken here.
    pub imported: Time,
    /// Fingerprint of the certificate that signed the bundle; none when it was taken on trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

impl Import {
    /// What the audit trail says of it.
    pub fn subject(&self, repo: &str) -> String {
        let signer =
            self.signer.as_ref().map_or_else(|| "taken on trust".to_owned(), |print| format!("signed by {print}"));
        format!("{repo} from generation {} of elsewhere, {signer}", self.generation)
    }
}

impl Repo {
    /// Notes a state that was taken from a bundle. What it had taken of later states is forgotten: it is behind them again.
    pub fn note_import(&mut self, import: Import) {
        self.imports.retain(|known| known.generation < import.generation);
        self.imports.push(import);
        let surplus = self.imports.len().saturating_sub(MOST_IMPORTS);
        self.imports.drain(..surplus);
    }
}

/// How a repo is published (`repos.md` §7). An empty text means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// apt: the directory below `dists`.
    pub suite: String,
    /// apt: the code name; the suite when empty.
    pub codename: String,
    /// apt: the component of packages that name none.
    pub component: String,
    /// apt: architectures that always have an index.
    pub architectures: Vec<String>,
    /// apt: who it comes from.
    pub origin: String,
    /// apt: its label; the repo's name when empty.
    pub label: String,
    /// apt: one line about it.
    pub description: String,
    /// apt: all indexes in the root.
    pub flat: bool,
    /// apt: days after which clients refuse a state; 0 for never.
    pub valid_days: u32,
    /// yum: `gz` or `zstd`.
    pub compression: String,
    /// Which old packages leave by themselves.
    pub retain: Option<Retain>,
    /// Which set it follows: after each good change of that set it is synced from it.
    pub follow: Option<Follow>,
}

/// Which packages stay (`repos.md` §19.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retain {
    /// The newest versions of each name and architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<u32>,
    /// Nothing older than so many days, except the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// A set that a repo follows (`repos.md` §19.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Its name.
    pub name: String,
    /// `upstream`, `repo` or `snapshot`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Follow {
    /// The set it names; none when name and type do not go together.
    pub fn set(&self) -> Option<Set> {
        match self.kind.as_str() {
            "upstream" => Some(Set::Upstream(self.name.clone())),
            "repo" => Some(Set::Repo(self.name.clone())),
            "snapshot" => {
                let (repo, name) = self.name.split_once('@')?;
                Some(Set::Snapshot(repo.to_owned(), name.to_owned()))
            }
            _ => None,
        }
    }
}

/// A pinned state of a repo (`repos.md` §19.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken.
    pub created: Time,
    /// The repo as it was then.
    pub repo: Repo,
}

/// The repo with this name.
pub fn get(tx: &impl Read, name: &str) -> Result<Option<Repo>> {
    REPOS.get(tx, name)
}

/// Every repo, by name in byte order.
pub fn all(tx: &impl Read) -> Result<Vec<(String, Repo)>> {
    REPOS.all(tx, ())
}

/// Stores a repo.
pub fn put(tx: &WriteTx, name: &str, repo: &Repo) -> Result<()> {
    REPOS.put(tx, name, repo)
}

/// Forgets a repo's own row.
pub(super) fn remove(tx: &WriteTx, name: &str) -> Result<bool> {
    REPOS.remove(tx, name)
}

/// A snapshot.
pub fn snapshot(tx: &impl Read, repo: &str, name: &str) -> Result<Option<Snapshot>> {
    SNAPSHOTS.get(tx, (repo, name))
}

/// The snapshots of a repo, by name.
pub fn snapshots(tx: &impl Read, repo: &str) -> Result<Vec<(String, Snapshot)>> {
    let rows = SNAPSHOTS.all(tx, (repo,))?;
    Ok(rows.into_iter().map(|((_, name), snapshot)| (name, snapshot)).collect())
}

/// Stores a snapshot's row.
pub(super) fn put_snapshot(tx: &WriteTx, repo: &str, name: &str, snapshot: &Snapshot) -> Result<()> {
    SNAPSHOTS.put(tx, (repo, name), snapshot)
}

/// Forgets a snapshot's row.
pub(super) fn remove_snapshot(tx: &WriteTx, repo: &str, name: &str) -> Result<bool> {
    SNAPSHOTS.remove(tx, (repo, name))
}
