//! The records of upstreams: what they are, how their last sync went, what was seen there. The only writer of these
//! tables.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::packages::{Fragments, Prepared};
use crate::feeds::model::sets::{self, Hand};
use crate::feeds::model::{Extras, Package, Set, Type, absent};
use crate::feeds::rules;
use crate::formats::Facts;
use crate::ids::Digest;
pub use crate::jobs::State;
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};

const UPSTREAMS: Table<String, Upstream> = Table::new("feeds.upstream");
/// name → the last sync.
const SYNCS: Table<String, Sync> = Table::new("feeds.sync");
/// (upstream, path) → a file of a directory as it was when it was last read.
const FILES: Table<(String, String), Seen> = Table::new("feeds.seen");
/// (upstream, `sha1:…`) → the package that has this checksum.
const ALIASES: Table<(String, String), Digest> = Table::new("feeds.alias");
/// Packages that were fetched for a sync that has not ended well yet.
const CACHE: Table<Digest, Cached> = Table::new("feeds.cache");

/// (upstream, package) → what its metadata says of a package that stays there, until a sync takes it up.
const PROMISES: Table<(String, Digest), Described> = Table::new("feeds.promise");

/// What a sync reads that the end of the program cut off.
pub const INTERRUPTED: &str = "interrupted";

/// How long what a failed sync fetched is kept for the next one, in seconds.
const CACHE_SECONDS: i64 = 7 * 24 * 3600;
/// Most cached packages dropped in one transaction.
const CACHE_PAGE: usize = 500;
/// Promises read in one go.
const PROMISES_PAGE: usize = 500;

/// A text that no answer and no log line shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What an upstream is, as its owner said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What kind of repository it is.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Where it lies.
    pub path: String,
    /// Armored certificates of those who may sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether an apt `Valid-Until` in the past is borne.
    #[serde(default)]
    pub allow_expired: bool,
    /// Architectures to keep; empty for all.
    #[serde(default)]
    pub arch: Vec<String>,
    /// Seconds between syncs; 0 for none by itself.
    #[serde(default)]
    pub interval: u64,
    /// When its packages are fetched.
    #[serde(default)]
    pub policy: Policy,
    /// Sent to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Sent to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Sent to the upstream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
}

/// When packages are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// By the sync.
    #[default]
    Immediate,
    /// Each at its first request.
    OnDemand,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// What it is.
    pub definition: Definition,
    /// Grows with every change of the definition.
    pub revision: u64,
    /// When it was made.
    pub created: Time,
    /// When the definition or the package set last changed.
    pub updated: Time,
    /// When a sync last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<Time>,
    /// Whether the last good sync was checked against a key.
    #[serde(default)]
    pub verified: bool,
    /// Packages in the set.
    #[serde(default)]
    pub packages: u64,
    /// Grows with every change of the set.
    #[serde(default)]
    pub changes: u64,
    /// By what an unchanged upstream is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// apt: the `Date` of what is held, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<i64>,
}

/// The top file of an upstream as it was at the last good sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its path.
    pub path: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Its `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

/// A file of a directory upstream as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it held.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was changed, in nanoseconds, or the validator the server gave.
    pub stamp: String,
}

/// A sync, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Names the run.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// `metadata`, `packages`, `commit`.
    pub phase: String,
    /// When it began.
    #[serde(default)]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(default)]
    pub finished: Option<Time>,
    /// What it counted.
    #[serde(default)]
    pub counts: Counts,
    /// Whether the upstream was as before.
    #[serde(default)]
    pub not_modified: bool,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What was odd and was borne.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a sync counts: package files, not metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Files in all.
    pub files_total: u64,
    /// Files that are here.
    pub files_done: u64,
    /// Their bytes in all, as far as they are known.
    pub bytes_total: u64,
    /// Bytes that are here.
    pub bytes_done: u64,
    /// Files that were fetched.
    pub downloaded_files: u64,
    /// Bytes that were fetched.
    pub downloaded_bytes: u64,
    /// Files that were here already.
    pub reused_files: u64,
    /// Files that stay with the upstream until somebody asks for them; the others do not count them.
    pub left_files: u64,
}

/// A fetched package that no set has yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cached {
    package: Package,
    fragments: Fragments,
    facts: Facts,
    since: Time,
}

/// A package that no set has yet, by what metadata says of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Described {
    package: Package,
    fragments: Fragments,
    facts: Facts,
}

/// The holder of what was fetched for a sync that has not ended well yet.
fn cache_holder() -> Holder {
    Holder::new("sync-cache", &[])
}

/// The holder of the metadata files that go with an upstream's set.
pub fn extras_holder(name: &str) -> Holder {
    Holder::new("upstream-extra", &[name])
}

/// There is no such upstream.
pub fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no upstream {}", rules::shown(name)))
}

/// An upstream.
pub fn get(tx: &impl Read, name: &str) -> Result<Option<Upstream>> {
    UPSTREAMS.get(tx, name)
}

/// The names of all upstreams, in byte order.
pub fn names(tx: &impl Read) -> Result<Vec<String>> {
    Ok(all(tx)?.into_iter().map(|(name, _)| name).collect())
}

/// All upstreams.
pub fn all(tx: &impl Read) -> Result<Vec<(String, Upstream)>> {
    UPSTREAMS.all(tx, ())
}

/// The last sync of an upstream.
pub fn last_sync(tx: &impl Read, name: &str) -> Result<Option<Sync>> {
    SYNCS.get(tx, name)
}

/// Makes an upstream. `Conflict` when there is one of this name.
pub fn create(tx: &WriteTx, name: &str, definition: &Definition, now: Time) -> Result<Upstream> {
    if UPSTREAMS.has(tx, name)? {
        return Err(Error::conflict(format!("there is an upstream {} already", rules::shown(name))));
    }
    let upstream = Upstream {
        definition: definition.clone(),
        revision: 1,
        created: now,
        updated: now,
        synced: None,
        verified: false,
        packages: 0,
        changes: 0,
        mark: None,
        date: None,
    };
    UPSTREAMS.put(tx, name, &upstream)?;
    Ok(upstream)
}

/// Gives an upstream another definition. What was noted of the other end is forgotten when it no longer fits.
pub fn redefine(tx: &WriteTx, name: &str, definition: &Definition, now: Time) -> Result<Upstream> {
    let mut upstream = get(tx, name)?.ok_or_else(|| unknown(name))?;
    let old = &upstream.definition;
    if old == definition {
        return Ok(upstream);
    }
    let same_files = old.path == definition.path && old.arch == definition.arch && old.policy == definition.policy;
    if !same_files || old.key != definition.key {
        upstream.mark = None;
    }
    if old.path != definition.path {
        upstream.date = None;
        for ((_, path), _) in FILES.all(tx, (name,))? {
            FILES.remove(tx, (name, path.as_str()))?;
        }
    }
    upstream.definition = definition.clone();
    upstream.revision += 1;
    upstream.updated = now;
    UPSTREAMS.put(tx, name, &upstream)?;
    Ok(upstream)
}

/// Removes an upstream with its set; answers how many packages others list that nobody can fetch any more. `NotFound`
/// when there is none.
pub fn delete(tx: &WriteTx, hand: Hand, name: &str) -> Result<u64> {
    if !UPSTREAMS.remove(tx, name)? {
        return Err(unknown(name));
    }
    SYNCS.remove(tx, name)?;
    let set = Set::Upstream(name.to_owned());
    let absent = absent::claimed(tx, &set.holder())?;
    sets::clear(tx, hand, &set)?;
    catalog::release_all(hand.store, tx, &extras_holder(name))?;
    for ((_, path), _) in FILES.all(tx, (name,))? {
        FILES.remove(tx, (name, path.as_str()))?;
    }
    for ((_, alias), _) in ALIASES.all(tx, (name,))? {
        ALIASES.remove(tx, (name, alias.as_str()))?;
    }
    forget_promises(tx, name)?;
    absent::lost(tx, &absent, |upstream| UPSTREAMS.has(tx, upstream))
}

/// Notes how a sync stands, unless its upstream is gone or another sync has taken its place; answers whether it was noted.
pub fn note_sync(tx: &WriteTx, name: &str, sync: &Sync) -> Result<bool> {
    let current = SYNCS.get(tx, name)?.is_some_and(|known| known.id == sync.id);
    if current && UPSTREAMS.has(tx, name)? {
        SYNCS.put(tx, name, sync)?;
        return Ok(true);
    }
    Ok(false)
}

/// Notes a sync that was just asked for; whatever was noted before is forgotten.
pub fn begin_sync(tx: &WriteTx, name: &str, id: &str) -> Result<()> {
    let sync = Sync {
        id: id.to_owned(),
        state: State::Queued,
        phase: "metadata".to_owned(),
        started: None,
        finished: None,
        counts: Counts::default(),
        not_modified: false,
        error: None,
        warnings: Vec::new(),
    };
    SYNCS.put(tx, name, &sync)
}

/// Ends what the last run of the program left under way; to be called once at the start.
pub fn end_interrupted(tx: &WriteTx, now: Time) -> Result<()> {
    for (name, mut sync) in SYNCS.all(tx, ())? {
        if sync.state == State::Running {
            sync.state = State::Failed;
            sync.error = Some(INTERRUPTED.to_owned());
            sync.finished = Some(now);
            SYNCS.put(tx, name.as_str(), &sync)?;
        }
    }
    Ok(())
}

/// What a good sync leaves behind beside the set itself.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The top file.
    pub mark: Option<Mark>,
    /// apt: the `Date`.
    pub date: Option<i64>,
    /// Whether a key was used.
    pub verified: bool,
    /// Packages in the set; none when it stayed as it was.
    pub packages: Option<u64>,
    /// Whether the set changed.
    pub changed: bool,
}

/// Notes that a sync of this revision ended well. `Conflict` when the upstream was redefined or deleted meanwhile.
pub fn note_good(tx: &WriteTx, name: &str, revision: u64, outcome: &Outcome, now: Time) -> Result<()> {
    let upstream = get(tx, name)?.filter(|upstream| upstream.revision == revision);
    let mut upstream = upstream.ok_or_else(|| Error::conflict("the upstream was changed meanwhile"))?;
    upstream.synced = Some(now);
    upstream.verified = outcome.verified;
    upstream.mark.clone_from(&outcome.mark);
    upstream.date = outcome.date;
    if let Some(packages) = outcome.packages {
        upstream.packages = packages;
    }
    if outcome.changed {
        upstream.changes += 1;
        upstream.updated = now;
    }
    UPSTREAMS.put(tx, name, &upstream)
}

/// The files of a directory upstream as they were last read.
pub fn seen(tx: &impl Read, name: &str) -> Result<BTreeMap<String, Seen>> {
    Ok(FILES.all(tx, (name,))?.into_iter().map(|((_, path), seen)| (path, seen)).collect())
}

/// Notes how the files of a directory upstream are now.
pub fn put_seen(tx: &WriteTx, name: &str, files: &BTreeMap<String, Seen>) -> Result<()> {
    let held = seen(tx, name)?;
    for path in held.keys().filter(|path| !files.contains_key(*path)) {
        FILES.remove(tx, (name, path.as_str()))?;
    }
    for (path, file) in files.iter().filter(|(path, file)| held.get(*path) != Some(*file)) {
        FILES.put(tx, (name, path.as_str()), file)?;
    }
    Ok(())
}

/// The package that one of these upstreams knew under a checksum that is not its digest.
pub fn alias(tx: &impl Read, names: &[String], checksum: &str) -> Result<Option<Digest>> {
    for name in names {
        if let Some(digest) = ALIASES.get(tx, (name.as_str(), checksum))? {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// Notes under which checksums an upstream knows its packages, when these are not their digests.
pub fn put_aliases(tx: &WriteTx, name: &str, aliases: &BTreeMap<String, Digest>) -> Result<()> {
    let held: BTreeMap<String, Digest> =
        ALIASES.all(tx, (name,))?.into_iter().map(|((_, checksum), digest)| (checksum, digest)).collect();
    for checksum in held.keys().filter(|checksum| !aliases.contains_key(*checksum)) {
        ALIASES.remove(tx, (name, checksum.as_str()))?;
    }
    for (checksum, digest) in aliases.iter().filter(|(checksum, digest)| held.get(*checksum) != Some(*digest)) {
        ALIASES.put(tx, (name, checksum.as_str()), digest)?;
    }
    Ok(())
}

/// Keeps a fetched package until a sync ends well, or for a week.
pub fn cache(tx: &WriteTx, new: &Prepared, now: Time) -> Result<()> {
    catalog::admit(tx, &new.digest, new.package.size, &new.facts, &new.package.filename, now)?;
    catalog::hold(tx, &new.digest, &new.package.filename, &cache_holder(), false, "sync", now)?;
    let cached =
        Cached { package: new.package.clone(), fragments: new.fragments.clone(), facts: new.facts.clone(), since: now };
    CACHE.put(tx, new.digest, &cached)
}

/// Keeps what an upstream's metadata says of a package that stays there, until a sync of that upstream ends well.
pub fn promise(tx: &WriteTx, name: &str, new: &Prepared) -> Result<()> {
    let described =
        Described { package: new.package.clone(), fragments: new.fragments.clone(), facts: new.facts.clone() };
    PROMISES.put(tx, (name, new.digest), &described)
}

/// What an upstream's metadata says of a package that stays there.
pub fn promised(tx: &impl Read, name: &str, digest: &Digest) -> Result<Option<Prepared>> {
    Ok(PROMISES.get(tx, (name, digest))?.map(|described| Prepared {
        digest: *digest,
        package: described.package,
        fragments: described.fragments,
        facts: described.facts,
    }))
}

/// Forgets what an upstream's metadata said, because it was taken up or is not true any more.
pub fn forget_promises(tx: &WriteTx, name: &str) -> Result<()> {
    loop {
        let page = PROMISES.page(tx, (name,), None, PROMISES_PAGE)?;
        for ((_, digest), _) in &page {
            PROMISES.remove(tx, (name, digest))?;
        }
        if page.len() < PROMISES_PAGE {
            return Ok(());
        }
    }
}

/// What kind of package is cached under this digest.
pub fn cached(tx: &impl Read, digest: &Digest) -> Result<Option<Package>> {
    Ok(CACHE.get(tx, digest)?.map(|cached| cached.package))
}

/// Whether a package is cached under this digest.
pub fn is_cached(tx: &impl Read, digest: &Digest) -> Result<bool> {
    CACHE.has(tx, digest)
}

/// Lets go of the metadata files that no longer go with an upstream's set.
pub fn release_extras(store: &Store, tx: &WriteTx, name: &str, extras: &Extras) -> Result<()> {
    let holder = extras_holder(name);
    for digest in catalog::held_by(tx, &holder, None, usize::MAX - 1)? {
        if !extras.values().any(|extra| extra.digest == digest) {
            catalog::release(store, tx, &digest, &holder)?;
        }
    }
    Ok(())
}

/// A cached package as it is admitted.
pub fn prepared(tx: &impl Read, digest: &Digest) -> Result<Option<Prepared>> {
    Ok(CACHE.get(tx, digest)?.map(|cached| Prepared {
        digest: *digest,
        package: cached.package,
        fragments: cached.fragments,
        facts: cached.facts,
    }))
}

/// Lets go of a cached package, once something else holds it.
pub fn uncache(store: &Store, tx: &WriteTx, digest: &Digest) -> Result<()> {
    CACHE.remove(tx, digest)?;
    catalog::release(store, tx, digest, &cache_holder())
}

/// Whether there is something for [`drop_old_cache`] to do.
pub fn has_old_cache(tx: &impl Read, now: Time) -> Result<bool> {
    let all = CACHE.all(tx, ())?;
    Ok(all.iter().any(|(_, cached)| cached.since.plus_seconds(CACHE_SECONDS) < now))
}

/// Lets go of what no sync has taken up within a week; answers whether there may be more.
pub fn drop_old_cache(store: &Store, tx: &WriteTx, now: Time) -> Result<bool> {
    let old = |cached: &Cached| cached.since.plus_seconds(CACHE_SECONDS) < now;
    let mut dropped = 0;
    for (digest, cached) in CACHE.all(tx, ())? {
        if old(&cached) {
            uncache(store, tx, &digest)?;
            dropped += 1;
            if dropped == CACHE_PAGE {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether these bytes may be taken without being fetched: they came from a repository or were uploaded as a package.
/// Files of other doors stay what their owners made them, whatever an upstream's metadata names.
pub fn may_reuse(tx: &impl Read, digest: &Digest) -> Result<bool> {
    for kind in ["upstream", "repo", "snapshot", "package", "sync-cache"] {
        if catalog::is_held_by_kind(tx, digest, kind)? {
            return Ok(true);
        }
    }
    catalog::is_public(tx, digest)
}
