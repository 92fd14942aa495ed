//! The records of the room: packages, sets of packages, repos, and the trees they are published as. Only the files
//! below this one write its tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Holder;
use crate::clock::Time;
use crate::ids::Digest;

pub mod absent;
pub mod follow;
pub mod history;
pub mod keys;
pub mod packages;
pub mod repos;
pub mod sets;
pub mod trees;

/// What a repo or an upstream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// RPM packages with `repodata/`.
    Yum,
    /// Debian packages with `dists/`.
    Apt,
    /// Files under their names.
    Dir,
}

impl Type {
    /// Its one word.
    pub const fn word(self) -> &'static str {
        match self {
            Type::Yum => "yum",
            Type::Apt => "apt",
            Type::Dir => "dir",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Type> {
        [Type::Yum, Type::Apt, Type::Dir].into_iter().find(|kind| kind.word() == word)
    }

    /// Whether packages of that type may be in it.
    pub fn takes(self, package: PackageType) -> bool {
        match self {
            Type::Yum => package == PackageType::Rpm,
            Type::Apt => package == PackageType::Deb,
            Type::Dir => true,
        }
    }
}

/// What a package is, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// An RPM package.
    Rpm,
    /// A Debian package.
    Deb,
    /// Any other file.
    File,
}

impl PackageType {
    /// Its one word.
    pub const fn word(self) -> &'static str {
        match self {
            PackageType::Rpm => "rpm",
            PackageType::Deb => "deb",
            PackageType::File => "file",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<PackageType> {
        [PackageType::Rpm, PackageType::Deb, PackageType::File].into_iter().find(|kind| kind.word() == word)
    }
}

/// What is known of a package. It never changes while anything lists the package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// Its name; a plain file's base name.
    pub name: String,
    /// Its version: of an rpm the VERSION tag alone, of a deb the whole field, of a plain file empty.
    #[serde(default)]
    pub version: String,
    /// An rpm's release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// An rpm's epoch; 0 when it has none.
    #[serde(default)]
    pub epoch: u64,
    /// Its architecture (`src` for source rpms); of a plain file empty.
    #[serde(default)]
    pub arch: String,
    /// Bytes.
    pub size: u64,
    /// The file name it was first known by.
    pub filename: String,
    /// A deb's source package, without a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it became known here.
    pub known_at: Time,
}

/// A set of packages that holds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// What an upstream had at its last good sync.
    Upstream(String),
    /// What a repo publishes.
    Repo(String),
    /// What a repo (first) published when it was pinned under a name (second).
    Snapshot(String, String),
}

impl Set {
    /// `upstream/N`, `repo/N` or `snapshot/N@S`: what people read in `used_by`. No name holds a slash or an `@`.
    pub fn label(&self) -> String {
        match self {
            Set::Upstream(name) => format!("upstream/{name}"),
            Set::Repo(name) => format!("repo/{name}"),
            Set::Snapshot(repo, name) => format!("snapshot/{repo}@{name}"),
        }
    }

    /// The holder of its packages.
    pub fn holder(&self) -> Holder {
        match self {
            Set::Upstream(name) => Holder::upstream(name),
            Set::Repo(name) => Holder::repo(name),
            Set::Snapshot(repo, name) => Holder::new("snapshot", &[&format!("{repo}@{name}")]),
        }
    }
}

/// How a set knows one of its packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The names it is published under, in byte order; none means the package's own name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filenames: Vec<String>,
    /// Which component of an apt repo it belongs to; none means the repo's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
}

impl Member {
    /// A member that is published under these names.
    pub fn named(mut filenames: Vec<String>) -> Self {
        filenames.sort();
        filenames.dedup();
        Member { filenames, component: None }
    }

    /// The names it is published under.
    pub fn names<'a>(&'a self, package: &'a Package) -> Vec<&'a str> {
        match self.filenames.as_slice() {
            [] => vec![&package.filename],
            names => names.iter().map(String::as_str).collect(),
        }
    }
}

/// A metadata file that a set passes through (`updateinfo`, `group`, `modules` …): bytes as the upstream has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// Its bytes, which the set holds.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The base name without a checksum in front (`updateinfo.xml.gz`).
    pub name: String,
    /// SHA-256 of the unpacked bytes.
    pub open_digest: Digest,
    /// Number of the unpacked bytes.
    pub open_size: u64,
}

/// The extras of a set by their type (`updateinfo`, `group`, `group_gz`, `modules` …).
pub type Extras = BTreeMap<String, Extra>;

/// How a set is to be changed.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What comes, or stays under other names.
    pub put: BTreeMap<Digest, Member>,
    /// What goes.
    pub removed: Vec<Digest>,
}

impl Change {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packages in the set now.
    pub packages: u64,
    /// Packages that were not in it before.
    pub added: u64,
    /// Packages that are no longer in it.
    pub removed: u64,
}
