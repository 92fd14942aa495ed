//! The files of a bundle on their way in: each is checked and put aside, nothing is on the shelf before all of it fits.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::manifest::Manifest;
use super::rules::{self, Here};
use super::unzip::{Name, Taker};
use crate::error::{Error, Kind, Result};
use crate::feeds::Desk;
use crate::feeds::model::{Set, absent, history, keys, packages, repos, sets};
use crate::feeds::rules::shown;
use crate::formats::compress::{Bounds, Compression, Decoder};
use crate::formats::openpgp::{Certificates, issuers};
use crate::http::body_error;
use crate::ids::Digest;
use crate::store::table::ReadTx;
use crate::store::{Batch, Loose, human};

/// The longest manifest and the longest signature, in bytes.
const LONGEST_MANIFEST: u64 = 128 << 20;
const LONGEST_SIGNATURE: u64 = 64 << 10;
/// Names of packages told in an error.
const NAMED: usize = 100;

/// What somebody says who brings a bundle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// It is taken even if nobody trusted has signed it.
    pub(super) trust: bool,
    /// It is taken even if it takes the place of something newer or something made here.
    pub(super) replace: bool,
}

/// A bundle's own words, judged.
pub(super) struct Judged {
    pub(super) manifest: Manifest,
    /// Fingerprint of the certificate that signed it; none when it is taken on trust.
    pub(super) signer: Option<String>,
    /// The bytes of each package and of each metadata file.
    packages: HashMap<Digest, u64>,
    extra: HashMap<Digest, u64>,
}

/// A whole bundle, checked, its new files put aside.
pub(super) struct Parcel {
    pub(super) judged: Judged,
    /// Packages whose bytes are not here.
    pub(super) packages: BTreeMap<Digest, Loose>,
    /// Metadata that is passed through.
    pub(super) extra: BTreeMap<Digest, Loose>,
    /// To have them on the disk.
    pub(super) batch: Batch,
}

/// A bundle while it comes in.
pub(super) struct Incoming<'a> {
    desk: &'a Desk,
    asked: Asked,
    /// The largest package, in bytes.
    limit: Option<u64>,
    manifest: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    judged: Option<Judged>,
    packages: BTreeMap<Digest, Option<Loose>>,
    extra: BTreeMap<Digest, Option<Loose>>,
    /// Bytes of what came, of metadata (`true`) and packages.
    sizes: HashMap<(bool, Digest), u64>,
    batch: Batch,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(desk: &'a Desk, asked: Asked, limit: Option<u64>) -> Result<Incoming<'a>> {
        Ok(Incoming {
            desk,
            asked,
            limit,
            manifest: None,
            signature: None,
            judged: None,
            packages: BTreeMap::new(),
            extra: BTreeMap::new(),
            sizes: HashMap::new(),
            batch: desk.store.batch()?,
        })
    }

    /// Reads and judges what the bundle says, as far as it is there.
    fn judge(&mut self) -> Result<()> {
        let Some(bytes) = &self.manifest else {
            return Err(Error::invalid(format!("the archive is not a bundle: it has no {}", super::MANIFEST)));
        };
        let manifest = Manifest::read(bytes)?;
        let signer = signer(self.desk, bytes, self.signature.as_deref(), manifest.published()?, self.asked.trust)?;
        let digest = digest_of(&manifest);
        self.desk.store.read(|tx| judge_here(tx, &manifest, &digest, self.asked.replace))?;
        self.judged = Some(Judged {
            packages: manifest.packages.iter().map(|line| (line.shasum, line.size)).collect(),
            extra: manifest.extra.iter().map(|line| (line.shasum, line.size)).collect(),
            signer,
            manifest,
        });
        self.manifest = None;
        Ok(())
    }

    /// Checks that everything is here that has to be, and nothing else.
    pub(super) fn finish(mut self) -> Result<Parcel> {
        if self.judged.is_none() {
            self.judge()?;
        }
        let Some(judged) = self.judged else { return Err(Error::invalid("the archive is not a bundle")) };
        for ((extra, digest), size) in &self.sizes {
            check_named(&judged, *extra, digest, *size)?;
        }
        for line in &judged.manifest.extra {
            if !self.extra.contains_key(&line.shasum) {
                return Err(Error::invalid(format!("{}{} is missing in the bundle", super::EXTRA, line.shasum)));
            }
        }
        check_open(&judged.manifest, &self.extra)?;
        let absent: Vec<(Digest, u64)> = judged
            .manifest
            .packages
            .iter()
            .filter(|line| !self.packages.contains_key(&line.shasum))
            .map(|line| (line.shasum, line.size))
            .collect();
        match (&judged.manifest.base, absent.first()) {
            (None, Some((digest, _))) => {
                return Err(Error::invalid(format!("{}{digest} is missing in the bundle", super::BLOBS)));
            }
            (Some(_), Some(_)) => self.desk.store.read(|tx| check_absent(tx, &absent))?,
            (_, None) => {}
        }
        let fresh = |files: BTreeMap<Digest, Option<Loose>>| {
            files.into_iter().filter_map(|(digest, loose)| Some((digest, loose?))).collect()
        };
        Ok(Parcel { judged, packages: fresh(self.packages), extra: fresh(self.extra), batch: self.batch })
    }

    /// A package or a metadata file.
    fn take(&mut self, extra: bool, digest: Digest, size: u64, bytes: &mut dyn Read) -> Result<()> {
        if self.judged.is_none() && self.manifest.is_some() && self.signature.is_some() {
            self.judge()?;
        }
        if let Some(judged) = &self.judged {
            check_named(judged, extra, &digest, size)?;
        }
        let directory = if extra { super::EXTRA } else { super::BLOBS };
        if let Some(limit) = self.limit.filter(|limit| size > *limit) {
            let sentence = format!("{directory}{digest} is larger than the limit of {}", human(limit));
            return Err(Error::new(Kind::TooLarge, sentence));
        }
        let is_here = |tx: &ReadTx| Ok(packages::is_known(tx, &digest)? && !absent::is_absent(tx, &digest)?);
        let known = !extra && self.desk.store.read(is_here)?;
        let (received, loose) = match known {
            true => (hash(bytes)?, None),
            false => {
                let mut stage = self.desk.store.stage(Some(size))?;
                stage.copy_from(bytes, None)?;
                let loose = stage.finish_loose()?;
                (loose.digest(), Some(loose))
            }
        };
        if received != digest {
            return Err(Error::invalid(format!(
                "{directory}{digest} is damaged: its bytes have the shasum {received}"
            )));
        }
        let files = if extra { &mut self.extra } else { &mut self.packages };
        files.insert(digest, loose);
        match self.sizes.insert((extra, digest), size) {
            Some(_) => Err(Error::invalid(format!("{directory}{digest} is in the bundle twice"))),
            None => Ok(()),
        }
    }
}

impl Taker for Incoming<'_> {
    fn file(&mut self, name: Name, size: u64, bytes: &mut dyn Read) -> Result<()> {
        let (place, name, longest) = match name {
            Name::Directory => return Ok(()),
            Name::Package(digest) => return self.take(false, digest, size, bytes),
            Name::Extra(digest) => return self.take(true, digest, size, bytes),
            Name::Manifest => (&mut self.manifest, super::MANIFEST, LONGEST_MANIFEST),
            Name::Signature => (&mut self.signature, super::SIGNATURE, LONGEST_SIGNATURE),
        };
        if place.is_some() || name == super::MANIFEST && self.judged.is_some() {
            return Err(Error::invalid(format!("{name} is in the bundle twice")));
        }
        if size > longest {
            return Err(Error::invalid(format!("{name} in the bundle is larger than {}", human(longest))));
        }
        let mut read = Vec::new();
        bytes.read_to_end(&mut read).map_err(body_error)?;
        *place = Some(read);
        Ok(())
    }
}

/// What stands for the packages of a bundle.
pub(super) fn digest_of(manifest: &Manifest) -> Digest {
    history::fingerprint(manifest.by_shasum().keys())
}

/// Judges a bundle by what is here of its repo.
pub(super) fn judge_here(tx: &ReadTx, manifest: &Manifest, digest: &Digest, replace: bool) -> Result<()> {
    let repo = repos::get(tx, &manifest.repo)?;
    let members = sets::members(tx, &Set::Repo(manifest.repo.clone()))?;
    let here = repo.as_ref().map(|repo| Here { repo, digest: history::fingerprint(members.keys()) });
    rules::judge(here.as_ref(), manifest, digest, replace)
}

fn check_named(judged: &Judged, extra: bool, digest: &Digest, size: u64) -> Result<()> {
    let (directory, files) = if extra { (super::EXTRA, &judged.extra) } else { (super::BLOBS, &judged.packages) };
    match files.get(digest) {
        Some(named) if *named == size => Ok(()),
        Some(named) => {
            Err(Error::invalid(format!("{directory}{digest} has {size} bytes, the bundle's list says {named}")))
        }
        None => Err(Error::invalid(format!("{directory}{digest} is not in the bundle's list"))),
    }
}

/// Packages that the bundle leaves out must be known here.
pub(super) fn check_absent(tx: &ReadTx, absent: &[(Digest, u64)]) -> Result<()> {
    let (mut count, mut names) = (0, Vec::new());
    for (digest, size) in absent {
        match packages::get(tx, digest)? {
            Some(package) if package.size == *size => {}
            Some(_) => return Err(Error::invalid(format!("the bundle's list has a wrong size for package {digest}"))),
            None => {
                count += 1;
                if names.len() < NAMED {
                    names.push(digest.to_hex());
                }
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let sentence = format!("{count} packages that the bundle leaves out are no longer here: export all of it");
    Err(Error::conflict(sentence).about("missing", names))
}

/// What the metadata files are once unpacked must be what the bundle says: clients are told so.
fn check_open(manifest: &Manifest, files: &BTreeMap<Digest, Option<Loose>>) -> Result<()> {
    for line in &manifest.extra {
        let Some(loose) = files.get(&line.shasum).and_then(Option::as_ref) else { continue };
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format!("{} ({}) in the bundle: {why}", shown(&line.filename), shown(&line.kind)))
        };
        let file = loose.open().map_err(Error::internal)?;
        let plain = Decoder::new(Compression::of_name(&line.filename), file, Bounds::default());
        let (mut plain, mut hasher, mut size) = (plain, Sha256::new(), 0);
        let mut block = vec![0; 64 << 10];
        loop {
            let count = plain.read(&mut block).map_err(|e| wrong(&e))?;
            if count == 0 {
                break;
            }
            hasher.update(block.get(..count).unwrap_or_default());
            size += count as u64;
        }
        if (Digest(hasher.finalize().into()), size) != (line.open_shasum, line.open_size) {
            return Err(wrong(&"unpacked it is not what the bundle's list says"));
        }
    }
    Ok(())
}

fn hash(bytes: &mut dyn Read) -> Result<Digest> {
    let (mut hasher, mut block) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        let count = match bytes.read(&mut block) {
            Ok(0) => return Ok(Digest(hasher.finalize().into())),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(Error::invalid("the bundle ends early")),
            Err(e) => return Err(body_error(e)),
        };
        hasher.update(block.get(..count).unwrap_or_default());
    }
}

/// Who signed a manifest: the fingerprint of our own certificate or of a trusted one; none when it is taken on trust.
fn signer(desk: &Desk, bytes: &[u8], signature: Option<&[u8]>, published: i64, trust: bool) -> Result<Option<String>> {
    let Some(signature) = signature else {
        return match trust {
            true => Ok(None),
            false => Err(Error::invalid("the bundle is not signed; trust=1 imports it all the same")),
        };
    };
    let broken = |fault| Error::invalid(format!("{}: {fault}", super::SIGNATURE));
    let named = issuers(signature).map_err(broken)?;
    if named.is_empty() {
        return Err(Error::invalid(format!("{} holds no signature", super::SIGNATURE)));
    }
    let mut armored = desk.key()?.armored().to_owned();
    for (_, key) in desk.store.read(keys::trusted)? {
        armored.push('\n');
        armored.push_str(&key.armored);
    }
    let certificates = Certificates::parse(armored.as_bytes()).map_err(|fault| Error::internal(fault.to_string()))?;
    // A clock without a network may be behind the one that signed.
    let now = desk.clock.now().seconds().max(published);
    match certificates.verify_detached(bytes, signature, now) {
        Ok(signer) => Ok(Some(signer.certificate)),
        Err(fault) if certificates.know(signature).map_err(broken)? => Err(broken(fault)),
        Err(_) if trust => Ok(None),
        Err(_) => Err(Error::invalid(format!(
            "the bundle is signed by the key {}, which is not trusted here: add its certificate with POST /key/trusted, \
             or import it once with trust=1",
            named.join(", ")
        ))),
    }
}
