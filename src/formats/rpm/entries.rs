//! Dependencies of an rpm: names, with the versions they ask for.

use std::collections::HashSet;

use crate::formats::control::text;
use crate::formats::fault::Fault;

use super::header::Header;

/// Most entries of one kind.
const MOST: usize = 1 << 16;

/// What a package provides, requires, conflicts with …
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// A name, a path, or a whole condition such as `(a if b)`.
    pub name: String,
    /// How versions compare; `None` when any version will do, and then the version is empty.
    pub flags: Option<Compare>,
    /// The epoch; `0` when it was not written.
    pub epoch: String,
    /// The version.
    pub ver: String,
    /// The release, when it was written.
    pub rel: Option<String>,
    /// Needed already while the package is being installed.
    pub pre: bool,
}

/// How a version compares to the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// Older.
    Lt,
    /// Newer.
    Gt,
    /// The same.
    Eq,
    /// The same or older.
    Le,
    /// The same or newer.
    Ge,
}

impl Compare {
    /// As the metadata writes it.
    pub fn word(self) -> &'static str {
        match self {
            Compare::Lt => "LT",
            Compare::Gt => "GT",
            Compare::Eq => "EQ",
            Compare::Le => "LE",
            Compare::Ge => "GE",
        }
    }

    /// From the word in the metadata.
    pub fn from_word(word: &str) -> Option<Compare> {
        [Compare::Lt, Compare::Gt, Compare::Eq, Compare::Le, Compare::Ge].into_iter().find(|known| known.word() == word)
    }

    fn from_bits(bits: u64) -> Option<Compare> {
        const LESS: u64 = 2;
        const GREATER: u64 = 4;
        const EQUAL: u64 = 8;
        const LESS_OR_EQUAL: u64 = LESS | EQUAL;
        const GREATER_OR_EQUAL: u64 = GREATER | EQUAL;
        match bits & (LESS | GREATER | EQUAL) {
            LESS => Some(Compare::Lt),
            GREATER => Some(Compare::Gt),
            EQUAL => Some(Compare::Eq),
            LESS_OR_EQUAL => Some(Compare::Le),
            GREATER_OR_EQUAL => Some(Compare::Ge),
            _ => None,
        }
    }
}

impl Entry {
    fn new(name: &[u8], version: &[u8], bits: u64) -> Entry {
        const PREREQ: u64 = 1 << 6 | 1 << 9 | 1 << 10;
        let (version, flags) = (text(version.to_vec()), Compare::from_bits(bits));
        let mut entry = Entry {
            name: text(name.to_vec()),
            flags: flags.filter(|_| !version.is_empty()),
            epoch: "0".to_owned(),
            ver: String::new(),
            rel: None,
            pre: bits & PREREQ != 0,
        };
        if entry.flags.is_some() {
            let mut rest = version.as_str();
            if let Some((epoch, after)) = version.split_once(':')
                && !epoch.is_empty()
                && epoch.bytes().all(|byte| byte.is_ascii_digit())
            {
                (entry.epoch, rest) = (epoch.to_owned(), after);
            }
            match rest.rsplit_once('-') {
                Some((ver, rel)) => (entry.ver, entry.rel) = (ver.to_owned(), Some(rel.to_owned())),
                None => entry.ver = rest.to_owned(),
            }
        }
        entry
    }
}

/// The entries of the tags for names, versions and flags; only what is required first knows `pre`.
pub(super) fn read(main: &Header, tags: [u32; 3]) -> Result<Vec<Entry>, Fault> {
    let mut entries = all(main, tags)?;
    for entry in &mut entries {
        entry.pre = false;
    }
    Ok(entries)
}

/// What is required: without what only concerns rpm itself, and each only once.
pub(super) fn requires(main: &Header) -> Result<Vec<Entry>, Fault> {
    let mut seen = HashSet::new();
    let mut entries = all(main, [1049, 1050, 1048])?;
    entries.retain(|entry| !entry.name.starts_with("rpmlib(") && seen.insert(entry.clone()));
    Ok(entries)
}

fn all(main: &Header, [names, versions, flags]: [u32; 3]) -> Result<Vec<Entry>, Fault> {
    let (names, versions, flags) = (main.texts(names)?, main.texts(versions)?, main.numbers(flags)?);
    if names.len() > MOST {
        return Err(Fault::bad(format!("{} dependencies of one kind are too many", names.len())));
    }
    let entry = |(at, name): (usize, &&[u8])| {
        let version = versions.get(at).copied().unwrap_or_default();
        Entry::new(name, version, flags.get(at).copied().unwrap_or(0))
    };
    Ok(names.iter().enumerate().map(entry).collect())
}
