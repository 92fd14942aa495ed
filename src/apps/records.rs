//! Releases: the version records, their artifacts and every index over them; the only writer of these tables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::apps::model::{self, UNSET};
use crate::apps::rules::{self, Updater};
use crate::apps::versions::{Newest, Version, VersionKey};
use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{Digest, ObjectId};
use crate::store::Store;
use crate::store::table::{Key, KeyFor, Read, Table, WriteTx};

const RELEASES: Table<ObjectId, Release> = Table::new("apps.release");
/// (app, channel, version from the newest on) → release.
const BY_VERSION: Table<(ObjectId, ObjectId, Newest), ObjectId> = Table::new("apps.release_by");
/// Published releases by what they can be installed on, newest first.
const OFFERS: Table<(Slot, Newest), ObjectId> = Table::new("apps.offer");
/// Of these the ones that must not be jumped over, oldest first.
const STOPS: Table<(Slot, VersionKey), ObjectId> = Table::new("apps.stop");
/// Published artifacts by lower-case file name, newest first.
const FILES: Table<(Slot, String, Newest), ObjectId> = Table::new("apps.file");
/// (download key, tenant) → release.
const LINKS: Table<(String, Uuid), ObjectId> = Table::new("apps.link");

/// Most artifacts of one release: keeps its row small enough to be read on every check.
const MAX_ARTIFACTS: usize = 1000;

/// A version record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Whose it is.
    pub tenant: Uuid,
    /// The app it is a version of.
    pub app: ObjectId,
    /// The channel, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ObjectId>,
    /// The version as stored and shown.
    pub version: String,
    /// Whether clients are told of it.
    #[serde(default)]
    pub published: bool,
    /// Whether clients are told to hurry.
    #[serde(default)]
    pub critical: bool,
    /// Whether older clients must install it on their way (`faynosync.md` §14.3).
    #[serde(default)]
    pub intermediate: bool,
    /// The share of devices that get it, percent (§14.4).
    #[serde(default = "everybody")]
    pub rollout: u8,
    /// 16 hex digits that decide which devices these are.
    #[serde(default)]
    pub seed: String,
    /// What is new.
    #[serde(default)]
    pub changelog: String,
    /// In the order they came.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// When it was made.
    pub created: Time,
    /// When it last changed.
    pub updated: Time,
}

fn everybody() -> u8 {
    100
}

/// One file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its download key, fixed when it came.
    pub key: String,
    /// The platform, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ObjectId>,
    /// The architecture, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ObjectId>,
    /// The extension with its dot; may be empty.
    pub extension: String,
    /// The client's own name for it.
    pub file_name: String,
    /// Its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The updater it was uploaded for; none for plain files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updater: Option<Updater>,
    /// What the client framework checks it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What Velopack's release list says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
    /// When these bytes came.
    pub added: Time,
}

/// A Velopack package as its release list describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The package's id.
    pub id: String,
    /// Whether it is a difference to the version before.
    pub delta: bool,
    /// Its SHA-1 in hex, as the list says.
    pub sha1: String,
    /// What is new, as Markdown.
    #[serde(default)]
    pub notes_markdown: String,
    /// The same as HTML.
    #[serde(default)]
    pub notes_html: String,
}

/// What a client installs on: app, channel, platform, architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The app.
    pub app: ObjectId,
    /// The channel or [`UNSET`], like the two below.
    pub channel: ObjectId,
    /// The platform.
    pub platform: ObjectId,
    /// The architecture.
    pub arch: ObjectId,
}

impl Slot {
    /// Of an artifact of a release.
    fn of(release: &Release, artifact: &Artifact) -> Slot {
        Slot {
            app: release.app,
            channel: release.channel.unwrap_or(UNSET),
            platform: artifact.platform.unwrap_or(UNSET),
            arch: artifact.arch.unwrap_or(UNSET),
        }
    }
}

impl KeyFor<Slot> for Slot {
    fn encode(&self, out: &mut Vec<u8>) {
        for id in [self.app, self.channel, self.platform, self.arch] {
            out.extend_from_slice(&id.0);
        }
    }
}

impl Key for Slot {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut next = || ObjectId::decode(input);
        Some(Slot { app: next()?, channel: next()?, platform: next()?, arch: next()? })
    }
}

impl Release {
    /// Its version as the tables order it.
    ///
    /// # Errors
    /// `Internal` when the stored text is none.
    pub fn order(&self) -> Result<Version> {
        Version::parse(&self.version).ok_or_else(|| Error::internal(format!("release version {:?}", self.version)))
    }

    /// Its artifacts for one platform and architecture.
    pub fn artifacts_for(&self, slot: Slot) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(move |artifact| Slot::of(self, artifact) == slot)
    }
}

/// A row of one of the indexes, as the record demands it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Use(ObjectId),
    Offer(Slot),
    Stop(Slot),
    File(Slot, String),
    Link(String),
    Blob(Digest),
}

fn rows(release: &Release) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    rows.extend(release.channel.map(Row::Use));
    for artifact in &release.artifacts {
        rows.extend([artifact.platform, artifact.arch].into_iter().flatten().map(Row::Use));
        rows.insert(Row::Link(artifact.key.clone()));
        rows.insert(Row::Blob(artifact.digest));
        if release.published {
            let slot = Slot::of(release, artifact);
            rows.insert(Row::Offer(slot));
            rows.insert(Row::File(slot, artifact.file_name.to_lowercase()));
            if release.intermediate {
                rows.insert(Row::Stop(slot));
            }
        }
    }
    rows
}

/// Who changes a release, and when: what the catalog notes beside a claim.
pub struct Change<'a> {
    /// The store that is told about freed bytes.
    pub store: &'a Store,
    /// The principal's label.
    pub who: &'a str,
    /// Now.
    pub now: Time,
}

impl Change<'_> {
    /// Puts a release in place of `old` (none for a new one): the record, its indexes and its claims on bytes. The
    /// artifacts' bytes must be in the catalog.
    ///
    /// # Errors
    /// `Invalid` when it has too many artifacts.
    pub fn put(&self, tx: &WriteTx, id: ObjectId, old: Option<&Release>, new: &Release) -> Result<()> {
        if new.artifacts.len() > MAX_ARTIFACTS {
            return Err(Error::invalid(format!("a version has at most {MAX_ARTIFACTS} artifacts")));
        }
        if old.is_none() {
            let key = (new.app, new.channel.unwrap_or(UNSET), Newest(new.order()?.key().clone()));
            BY_VERSION.put(tx, key, &id)?;
        }
        RELEASES.put(tx, id, new)?;
        let (before, after) = (old.map(rows).unwrap_or_default(), rows(new));
        for row in after.difference(&before) {
            self.write(tx, id, new, row, true)?;
        }
        for row in before.difference(&after) {
            self.write(tx, id, new, row, false)?;
        }
        Ok(())
    }

    /// Removes a release and lets go of its bytes.
    pub fn remove(&self, tx: &WriteTx, id: ObjectId, release: &Release) -> Result<()> {
        let key = (release.app, release.channel.unwrap_or(UNSET), Newest(release.order()?.key().clone()));
        BY_VERSION.remove(tx, key)?;
        RELEASES.remove(tx, id)?;
        for row in rows(release) {
            self.write(tx, id, release, &row, false)?;
        }
        Ok(())
    }

    fn write(&self, tx: &WriteTx, id: ObjectId, release: &Release, row: &Row, put: bool) -> Result<()> {
        let version = release.order()?.key().clone();
        match (row, put) {
            (Row::Use(object), used) => model::set_use(tx, *object, id, used)?,
            (Row::Offer(slot), true) => OFFERS.put(tx, (*slot, Newest(version)), &id)?,
            (Row::Offer(slot), false) => _ = OFFERS.remove(tx, (*slot, Newest(version)))?,
            (Row::Stop(slot), true) => STOPS.put(tx, (*slot, version), &id)?,
            (Row::Stop(slot), false) => _ = STOPS.remove(tx, (*slot, version))?,
            (Row::File(slot, name), true) => FILES.put(tx, (*slot, name, Newest(version)), &id)?,
            (Row::File(slot, name), false) => _ = FILES.remove(tx, (*slot, name, Newest(version)))?,
            (Row::Link(key), true) => LINKS.put(tx, (key, release.tenant), &id)?,
            (Row::Link(key), false) => _ = LINKS.remove(tx, (key, release.tenant))?,
            (Row::Blob(digest), true) => {
                let name = release.artifacts.iter().find(|artifact| artifact.digest == *digest);
                let name = name.map_or("", |artifact| artifact.file_name.as_str());
                catalog::hold(tx, digest, name, &Holder::app(id), false, self.who, self.now)?;
            }
            (Row::Blob(digest), false) => catalog::release(self.store, tx, digest, &Holder::app(id))?,
        }
        Ok(())
    }
}

/// The release with this id, of whatever tenant.
pub fn get(tx: &impl Read, id: ObjectId) -> Result<Option<Release>> {
    RELEASES.get(tx, id)
}

/// A release an index names.
fn indexed(tx: &impl Read, id: ObjectId) -> Result<Release> {
    get(tx, id)?.ok_or_else(|| Error::internal(format!("release {id} is in an index and nowhere else")))
}

/// The release of one version of an app in a channel.
pub fn by_version(
    tx: &impl Read,
    app: ObjectId,
    channel: Option<ObjectId>,
    version: &Version,
) -> Result<Option<ObjectId>> {
    BY_VERSION.get(tx, (app, channel.unwrap_or(UNSET), Newest(version.key().clone())))
}

/// Whether an app has any release.
pub fn any_of(tx: &impl Read, app: ObjectId) -> Result<bool> {
    Ok(!BY_VERSION.page(tx, (app,), None, 1)?.is_empty())
}

/// Every release of an app, channel by channel, read one at a time: their changelogs may be long.
pub fn all_of(tx: &impl Read, app: ObjectId) -> Result<impl Iterator<Item = Result<(ObjectId, Release)>>> {
    let rows = BY_VERSION.all(tx, (app,))?;
    Ok(rows.into_iter().map(move |(_, id)| Ok((id, indexed(tx, id)?))))
}

/// How many rows of an index are read at a time.
const PAGE: usize = 16;

/// Goes through the releases of an app in a channel, newest first, until `look` answers something.
pub fn newest_in_channel<T>(
    tx: &impl Read,
    app: ObjectId,
    channel: Option<ObjectId>,
    mut look: impl FnMut(&Release) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let mut after = None;
    loop {
        let rows = BY_VERSION.page(tx, (app, channel.unwrap_or(UNSET)), after.as_ref(), PAGE)?;
        for (_, id) in &rows {
            if let Some(found) = look(&indexed(tx, *id)?)? {
                return Ok(Some(found));
            }
        }
        match rows.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => return Ok(None),
        }
    }
}

/// Goes through the published releases for a slot, newest first, until `look` answers something.
pub fn newest_offer<T>(
    tx: &impl Read,
    slot: Slot,
    mut look: impl FnMut(ObjectId, Release) -> Result<Option<T>>,
) -> Result<Option<T>> {
    // The newest is nearly always what is looked for.
    let (mut after, mut page) = (None, 1);
    loop {
        let rows = OFFERS.page(tx, (slot,), after.as_ref(), page)?;
        for (_, id) in &rows {
            if let Some(found) = look(*id, indexed(tx, *id)?)? {
                return Ok(Some(found));
            }
        }
        match rows.into_iter().next_back() {
            Some((key, _)) => (after, page) = (Some(key), PAGE),
            None => return Ok(None),
        }
    }
}

/// Goes through the published releases for a slot that have a file of that name in any case, newest first.
pub fn newest_file<T>(
    tx: &impl Read,
    slot: Slot,
    file_name: &str,
    mut look: impl FnMut(Release) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let name = file_name.to_lowercase();
    let mut after = None;
    loop {
        let rows = FILES.page(tx, (slot, name.as_str()), after.as_ref(), PAGE)?;
        for (_, id) in &rows {
            if let Some(found) = look(indexed(tx, *id)?)? {
                return Ok(Some(found));
            }
        }
        match rows.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => return Ok(None),
        }
    }
}

/// The lowest published release above `version` that must not be jumped over.
pub fn next_stop(tx: &impl Read, slot: Slot, version: &Version) -> Result<Option<(ObjectId, Release)>> {
    let after = (slot, version.key().clone());
    match STOPS.page(tx, (slot,), Some(&after), 1)?.pop() {
        Some((_, id)) => Ok(Some((id, indexed(tx, id)?))),
        None => Ok(None),
    }
}

/// Everybody's artifacts under a download key: tenant and release, each once.
pub fn linked(tx: &impl Read, key: &str) -> Result<Vec<(Uuid, Release)>> {
    let rows = LINKS.all(tx, (key,))?;
    rows.into_iter().map(|((_, tenant), id)| Ok((tenant, indexed(tx, id)?))).collect()
}

/// A key for a new artifact that no other artifact of the tenant has, in this release or elsewhere: `key`, or `key`
/// with a number.
pub fn free_key(tx: &impl Read, tenant: Uuid, release: &Release, key: String, extension: &str) -> Result<String> {
    let taken = |key: &str| -> Result<bool> {
        Ok(release.artifacts.iter().any(|artifact| artifact.key == key) || LINKS.has(tx, (key, tenant))?)
    };
    if !taken(&key)? {
        return Ok(key);
    }
    for number in 2..10_000 {
        let next = rules::next_key(&key, extension, number);
        if !taken(&next)? {
            return Ok(next);
        }
    }
    Err(Error::conflict("too many artifacts share this download key"))
}

#[cfg(test)]
#[path = "records_tests.rs"]
pub(super) mod tests;
