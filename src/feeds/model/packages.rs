//! The tables of packages: what is known of each, and what it contributes to published indexes.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::{Package, PackageType, Set, absent};
use crate::feeds::rules;
use crate::formats::Facts;
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};

const PACKAGES: Table<Digest, Package> = Table::new("feeds.package");
const FRAGMENTS: Table<Digest, Fragments> = Table::new("feeds.fragment");
/// The CRC-32 of a package, once it was asked for: archives want it.
const CRCS: Table<Digest, u32> = Table::new("feeds.crc");

/// The kinds of holder that list a package.
const LISTING: [&str; 4] = ["upstream", "repo", "snapshot", "package"];
/// Text shorter than this is stored as it is.
const SMALL: usize = 2048;
/// The largest fragment of one package, unpacked.
const LARGEST: u64 = 256 << 20;

/// What a package contributes to the indexes of a repo (`repos.md` §11.6). A plain file contributes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fragments {
    /// An rpm's element of `primary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<Text>,
    /// An rpm's element of `filelists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filelists: Option<Text>,
    /// An rpm's element of `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Text>,
    /// A deb's stanza of `Packages`, without what depends on where it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stanza: Option<Text>,
}

/// A text in the database: packed when that saves something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Text {
    /// As it is.
    #[serde(rename = "t")]
    Plain(String),
    /// Deflated, in base 64.
    #[serde(rename = "z")]
    Packed(String),
}

impl Text {
    /// For storing.
    pub fn new(text: String) -> Text {
        if text.len() < SMALL {
            return Text::Plain(text);
        }
        let mut packer = DeflateEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(4));
        match packer.write_all(text.as_bytes()).and_then(|()| packer.finish()) {
            Ok(packed) if packed.len() + packed.len() / 3 < text.len() => Text::Packed(STANDARD_NO_PAD.encode(packed)),
            _ => Text::Plain(text),
        }
    }

    /// The text itself.
    ///
    /// # Errors
    /// `Internal` when it was stored otherwise than [`Text::new`] does.
    pub fn read(self) -> Result<String> {
        let packed = match self {
            Text::Plain(text) => return Ok(text),
            Text::Packed(packed) => STANDARD_NO_PAD.decode(packed).map_err(Error::internal)?,
        };
        let mut text = String::with_capacity(packed.len() * 4);
        DeflateDecoder::new(packed.as_slice()).take(LARGEST).read_to_string(&mut text).map_err(Error::internal)?;
        Ok(text)
    }
}

/// A package that was read and is not yet, or no longer, among the records.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its bytes.
    pub digest: Digest,
    /// What it says of itself.
    pub package: Package,
    /// What it contributes.
    pub fragments: Fragments,
    /// What the catalog notes.
    pub facts: Facts,
}

/// Makes a package known: to the catalog and to this room. One that is known keeps its name and time. Something must
/// hold it in the same transaction ([`super::sets::apply`], [`upload`]).
pub fn admit(tx: &WriteTx, new: &Prepared, now: Time) -> Result<()> {
    catalog::admit(tx, &new.digest, new.package.size, &new.facts, &new.package.filename, now)?;
    if !PACKAGES.has(tx, new.digest)? {
        PACKAGES.put(tx, new.digest, &new.package)?;
        if new.fragments != Fragments::default() {
            FRAGMENTS.put(tx, new.digest, &new.fragments)?;
        }
    }
    absent::arrive(tx, &new.digest)
}

/// What bytes that have come say of a package that was listed by its name alone: from now on it is known by that. A
/// package of which anything more was said keeps what is published of it.
pub fn recognise(tx: &WriteTx, new: &Prepared) -> Result<()> {
    let old = PACKAGES.get(tx, new.digest)?;
    let same_name = |old: &Package| old.kind == PackageType::File && old.filename == new.package.filename;
    if new.package.kind != PackageType::File && old.as_ref().is_some_and(same_name) {
        PACKAGES.put(tx, new.digest, &new.package)?;
        FRAGMENTS.put(tx, new.digest, &new.fragments)?;
    }
    Ok(())
}

/// Makes a package known whose bytes are not here; something must hold it in the same transaction ([`super::sets::apply`]).
pub fn promise(tx: &WriteTx, new: &Prepared) -> Result<()> {
    if !PACKAGES.has(tx, new.digest)? {
        PACKAGES.put(tx, new.digest, &new.package)?;
        if new.fragments != Fragments::default() {
            FRAGMENTS.put(tx, new.digest, &new.fragments)?;
        }
    }
    absent::promise(tx, &new.digest, new.package.size, &new.package.filename, &new.facts)
}

/// The package with this digest.
pub fn get(tx: &impl Read, digest: &Digest) -> Result<Option<Package>> {
    PACKAGES.get(tx, digest)
}

/// Whether it is known.
pub fn is_known(tx: &impl Read, digest: &Digest) -> Result<bool> {
    PACKAGES.has(tx, digest)
}

/// Up to `limit` packages in the order of their digests, after `after` when given.
pub fn page(tx: &impl Read, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, Package)>> {
    PACKAGES.page(tx, (), after, limit)
}

/// What a package contributes to indexes; a plain file contributes nothing.
pub fn fragments(tx: &impl Read, digest: &Digest) -> Result<Fragments> {
    Ok(FRAGMENTS.get(tx, digest)?.unwrap_or_default())
}

/// Keeps a package that was uploaded by hand.
pub fn upload(tx: &WriteTx, digest: &Digest, filename: &str, who: &str, now: Time) -> Result<()> {
    let holder = Holder::package();
    match catalog::holds(tx, &holder, digest)? {
        true => Ok(()),
        false => catalog::hold(tx, digest, filename, &holder, true, who, now),
    }
}

/// The labels of the sets that hold a package: `repo/N`, `upstream/M`, `snapshot/N@S`.
pub fn used_by(tx: &impl Read, digest: &Digest) -> Result<Vec<String>> {
    let holders = absent::holders(tx, digest)?.into_iter();
    let mut labels = Vec::new();
    for holder in holders.filter(|holder| ["upstream", "repo", "snapshot"].contains(&holder.kind())) {
        labels.push(format!("{}/{}", holder.kind(), holder.parts().concat()));
    }
    Ok(labels)
}

/// Takes an uploaded package back (`repos.md` §9.4).
///
/// # Errors
/// `NotFound` for an unknown package, `Conflict` while a set holds it.
pub fn remove(store: &Store, tx: &WriteTx, digest: &Digest) -> Result<()> {
    if !is_known(tx, digest)? {
        return Err(rules::unknown_package(&digest.to_hex()));
    }
    let users = used_by(tx, digest)?;
    if !users.is_empty() {
        return Err(Error::conflict("the package is still in use").about("used_by", users));
    }
    catalog::release(store, tx, digest, &Holder::package())?;
    drop_unlisted(tx, digest)
}

/// Forgets a package that no upstream, repo, snapshot or upload lists any more.
pub(super) fn drop_unlisted(tx: &WriteTx, digest: &Digest) -> Result<()> {
    for kind in LISTING {
        if catalog::is_held_by_kind(tx, digest, kind)? {
            return Ok(());
        }
    }
    if absent::is_claimed(tx, digest, &LISTING)? {
        return Ok(());
    }
    PACKAGES.remove(tx, digest)?;
    FRAGMENTS.remove(tx, digest)?;
    CRCS.remove(tx, digest)?;
    Ok(())
}

/// The CRC-32 of a package's bytes, when it was ever computed.
pub fn crc(tx: &impl Read, digest: &Digest) -> Result<Option<u32>> {
    CRCS.get(tx, digest)
}

/// Notes CRC-32s that were computed, as far as the packages are still known.
pub fn put_crcs(tx: &WriteTx, crcs: &[(Digest, u32)]) -> Result<()> {
    for (digest, crc) in crcs {
        if is_known(tx, digest)? {
            CRCS.put(tx, digest, crc)?;
        }
    }
    Ok(())
}

/// The names of a kind of set that hold a package.
pub fn holders(tx: &impl Read, digest: &Digest) -> Result<(Vec<String>, Vec<String>)> {
    let (mut upstreams, mut repos) = (Vec::new(), Vec::new());
    for holder in absent::holders(tx, digest)? {
        match holder.kind() {
            "upstream" => upstreams.push(holder.parts().concat()),
            "repo" => repos.push(holder.parts().concat()),
            _ => {}
        }
    }
    Ok((upstreams, repos))
}

/// What `digest` is in `set`'s words, when the set lists it.
pub fn is_listed_in(tx: &impl Read, digest: &Digest, set: &Set) -> Result<bool> {
    absent::holds(tx, &set.holder(), digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in [String::new(), "short \u{e9}".repeat(3), "a longer text with <xml> & more\n".repeat(400)] {
            let stored = serde_json::to_string(&Text::new(text.clone())).unwrap();
            assert!(text.len() < SMALL || stored.len() < text.len() / 4);
            assert_eq!(serde_json::from_str::<Text>(&stored).unwrap().read().unwrap(), text);
        }
    }
}
