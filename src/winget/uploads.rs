//! Records of uploads: what has arrived of each, what is finished and waits to be claimed, what room is reserved
//! (`winget.md` A7).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::{self, Holder};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::ids::{Digest, ObjectId};
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};
use crate::winget::chunks::{MAX_RUNS, Piece, Runs};
use crate::winget::model;

/// (tenant, account, the client's id) → upload.
const UPLOADS: Table<(Uuid, ObjectId, String), Upload> = Table::new("winget.upload");
/// (tenant, server file name) → finished file nobody has claimed.
const FINISHED: Table<(Uuid, String), Finished> = Table::new("winget.finished");
/// Name of a stage file → –: what the sweep at the start has to leave alone.
const STAGES: Table<String, ()> = Table::new("winget.stage");
/// Tenant → bytes promised to unfinished and unclaimed uploads.
const RESERVED: Table<Uuid, u64> = Table::new("winget.reserved");

/// Whose upload it is, and what the client calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// The tenant.
    pub tenant: Uuid,
    /// The account that uploads.
    pub account: ObjectId,
    /// `X-File-ID`.
    pub file_id: String,
}

impl UploadKey {
    fn row(&self) -> (Uuid, ObjectId, &str) {
        (self.tenant, self.account, self.file_id.as_str())
    }
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its stage file while bytes are missing.
    pub stage: String,
    /// Bytes of the whole file.
    pub total: u64,
    /// What is there and on the disk.
    pub runs: Runs,
    /// When the last chunk came.
    pub touched: Time,
    /// What it is called since it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
}

/// A finished file that waits to become a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// SHA-256.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// The account that uploaded it.
    pub account: ObjectId,
    /// What the client called it.
    pub file_id: String,
    /// Without the dot; empty when the client's name told none.
    pub extension: String,
    /// When it was finished.
    pub touched: Time,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are missing.
    Incomplete(Upload),
    /// It is whole: server file name and file.
    Complete(String, Finished),
}

/// The stage file a chunk was written to.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name.
    pub stage: String,
    /// Whether a row has named it before: then it is not recorded anew.
    pub recorded: bool,
}

/// How far an upload is; none for an id nobody uploads under.
pub fn progress(tx: &impl Read, key: &UploadKey) -> Result<Option<Progress>> {
    let Some(upload) = UPLOADS.get(tx, key.row())? else { return Ok(None) };
    let Some(name) = &upload.finished else { return Ok(Some(Progress::Incomplete(upload))) };
    let finished = FINISHED.get(tx, (key.tenant, name.as_str()))?;
    Ok(finished.map(|finished| Progress::Complete(name.clone(), finished)))
}

/// Bytes promised to uploads of the tenant.
pub fn reserved(tx: &impl Read, tenant: Uuid) -> Result<u64> {
    Ok(RESERVED.get(tx, tenant)?.unwrap_or(0))
}

/// Whether a stage file of an earlier run belongs to an upload.
pub fn is_kept(tx: &impl Read, stage: &str) -> Result<bool> {
    STAGES.has(tx, stage)
}

/// Whether `more` bytes fit the quota (0: any number) beside what is used and promised.
///
/// # Errors
/// `Quota`.
pub fn judge_quota(tx: &impl Read, tenant: Uuid, quota: u64, more: u64) -> Result<()> {
    judge_quota_beside(tx, tenant, quota, more, 0)
}

/// The same when `freed` bytes of what is promised are given back at the same time.
///
/// # Errors
/// `Quota`.
pub fn judge_quota_beside(tx: &impl Read, tenant: Uuid, quota: u64, more: u64, freed: u64) -> Result<()> {
    let promised = reserved(tx, tenant)?.saturating_sub(freed);
    let taken = model::used(tx, tenant)?.saturating_add(promised);
    match quota == 0 || taken.saturating_add(more) <= quota {
        true => Ok(()),
        false => Err(Error::new(Kind::Quota, "Storage quota exceeded")),
    }
}

/// Whether what a change has written fits the quota, when the tenant used `before` bytes without it: bytes that are
/// here already for another reason count for whoever takes them over.
///
/// # Errors
/// `Quota`.
pub fn judge_growth(tx: &impl Read, tenant: Uuid, quota: u64, before: u64) -> Result<()> {
    match model::used(tx, tenant)? > before {
        true => judge_quota(tx, tenant, quota, 0),
        false => Ok(()),
    }
}

/// Notes that a piece is on the disk. The first one of a file brings the upload into being, with room for all of it.
///
/// # Errors
/// `Quota`; `Invalid` for another total or too many gaps; `Busy` when the upload was removed meanwhile.
pub fn record(tx: &WriteTx, key: &UploadKey, written: &Written, piece: Piece, quota: u64, now: Time) -> Result<Upload> {
    let old = UPLOADS.get(tx, key.row())?;
    let mut upload = match old.filter(|upload| upload.finished.is_none()) {
        Some(upload) if upload.stage == written.stage => upload,
        None if !written.recorded => {
            judge_quota(tx, key.tenant, quota, piece.total)?;
            let reserved = reserved(tx, key.tenant)?.saturating_add(piece.total);
            RESERVED.put(tx, key.tenant, &reserved)?;
            STAGES.put(tx, written.stage.as_str(), &())?;
            let (stage, total) = (written.stage.clone(), piece.total);
            Upload { stage, total, runs: Runs::default(), touched: now, finished: None }
        }
        _ => return Err(Error::busy("the upload was removed meanwhile, begin again", 1)),
    };
    if upload.total != piece.total {
        return Err(another_total(upload.total));
    }
    upload.runs.add(piece.first, piece.last);
    if upload.runs.count() > MAX_RUNS {
        return Err(Error::invalid("the upload has too many gaps, send its pieces in order"));
    }
    upload.touched = now;
    UPLOADS.put(tx, key.row(), &upload)?;
    Ok(upload)
}

/// What a chunk is told that gives another total than the first.
pub fn another_total(total: u64) -> Error {
    Error::invalid(format!("the upload has {total} bytes in total, as its first chunk said"))
}

/// Notes that an upload is whole and its file in the catalog. `Busy` when it was removed meanwhile.
pub fn finish(tx: &WriteTx, key: &UploadKey, stage: &str, name: &str, finished: &Finished, who: &str) -> Result<()> {
    let upload = UPLOADS.get(tx, key.row())?;
    let upload = upload.filter(|upload| upload.stage == stage && upload.finished.is_none());
    let Some(upload) = upload else { return Err(Error::busy("the upload was removed meanwhile, begin again", 1)) };
    let holder = Holder::upload(key.tenant, name);
    catalog::hold(tx, &finished.digest, name, &holder, false, who, finished.touched)?;
    STAGES.remove(tx, stage)?;
    FINISHED.put(tx, (key.tenant, name), finished)?;
    let upload = Upload { finished: Some(name.to_owned()), touched: finished.touched, ..upload };
    UPLOADS.put(tx, key.row(), &upload)
}

/// The finished file of this name; none when it is unknown or claimed.
pub fn finished(tx: &impl Read, tenant: Uuid, name: &str) -> Result<Option<Finished>> {
    FINISHED.get(tx, (tenant, name))
}

/// What a form is told that names no file that could be claimed.
pub fn not_claimable() -> Error {
    Error::invalid("server_filename is unknown or was claimed already")
}

/// Takes a finished file: its name is gone after it, and so is its reservation. Whoever takes it must hold the bytes
/// already, or they go. `Invalid` when it is unknown, claimed or not finished.
pub fn claim(store: &Store, tx: &WriteTx, tenant: Uuid, name: &str) -> Result<Finished> {
    let finished = finished(tx, tenant, name)?;
    let finished = finished.ok_or_else(not_claimable)?;
    forget_finished(store, tx, tenant, name, &finished)?;
    let key = UploadKey { tenant, account: finished.account, file_id: finished.file_id.clone() };
    if UPLOADS.get(tx, key.row())?.is_some_and(|upload| upload.finished.as_deref() == Some(name)) {
        UPLOADS.remove(tx, key.row())?;
    }
    Ok(finished)
}

/// Drops an upload. Answers the stage file that has to go, if there is one; `NotFound` for an unknown id.
pub fn remove(store: &Store, tx: &WriteTx, key: &UploadKey) -> Result<Option<String>> {
    let unknown = || Error::not_found("Upload not found");
    let upload = UPLOADS.get(tx, key.row())?.ok_or_else(unknown)?;
    UPLOADS.remove(tx, key.row())?;
    let Some(name) = &upload.finished else {
        STAGES.remove(tx, upload.stage.as_str())?;
        unreserve(tx, key.tenant, upload.total)?;
        return Ok(Some(upload.stage));
    };
    if let Some(finished) = FINISHED.get(tx, (key.tenant, name.as_str()))? {
        forget_finished(store, tx, key.tenant, name, &finished)?;
    }
    Ok(None)
}

/// Whether any upload or finished file was last touched before the time `before` gives for its tenant.
pub fn any_before(tx: &impl Read, before: &dyn Fn(Uuid) -> Time) -> Result<bool> {
    let unfinished = UPLOADS.all(tx, ())?.into_iter().any(|((tenant, ..), upload)| upload.touched < before(tenant));
    let finished = || FINISHED.all(tx, ());
    Ok(unfinished || finished()?.into_iter().any(|((tenant, _), finished)| finished.touched < before(tenant)))
}

/// Drops up to `limit` uploads and finished files of any tenant that were last touched before the time `before` gives for
/// their tenant. Answers the stage files that have to go and how many uploads went.
pub fn expire(
    store: &Store,
    tx: &WriteTx,
    before: &dyn Fn(Uuid) -> Time,
    limit: usize,
) -> Result<(Vec<String>, usize)> {
    let (mut stages, mut gone) = (Vec::new(), 0);
    for ((tenant, account, file_id), upload) in UPLOADS.all(tx, ())? {
        if gone < limit && upload.touched < before(tenant) {
            stages.extend(remove(store, tx, &UploadKey { tenant, account, file_id })?);
            gone += 1;
        }
    }
    // Files whose id was taken by a newer upload.
    for ((tenant, name), finished) in FINISHED.all(tx, ())? {
        if gone < limit && finished.touched < before(tenant) {
            forget_finished(store, tx, tenant, &name, &finished)?;
            gone += 1;
        }
    }
    Ok((stages, gone))
}

fn forget_finished(store: &Store, tx: &WriteTx, tenant: Uuid, name: &str, finished: &Finished) -> Result<()> {
    FINISHED.remove(tx, (tenant, name))?;
    unreserve(tx, tenant, finished.size)?;
    catalog::release(store, tx, &finished.digest, &Holder::upload(tenant, name))
}

fn unreserve(tx: &WriteTx, tenant: Uuid, bytes: u64) -> Result<()> {
    RESERVED.put(tx, tenant, &reserved(tx, tenant)?.saturating_sub(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    fn key(file_id: &str) -> UploadKey {
        UploadKey { tenant: Uuid::nil(), account: ObjectId([1; 12]), file_id: file_id.into() }
    }

    fn piece(first: u64, last: u64) -> Piece {
        Piece { first, last, total: 10 }
    }

    #[test]
    fn from_the_first_chunk_to_the_claim() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let inside = store.clone();
        store
            .commit(move |tx| {
                let (tenant, digest) = (Uuid::nil(), Digest::of(b"0123456789"));
                let fresh = |stage: &str| Written { stage: stage.into(), recorded: false };
                let full = record(tx, &key("a"), &fresh("s"), piece(0, 1), 9, Time(1)).unwrap_err();
                assert_eq!(full.kind, Kind::Quota);
                assert!(progress(tx, &key("a"))?.is_none() && !is_kept(tx, "s")?);
                record(tx, &key("a"), &fresh("s"), piece(5, 9), 10, Time(1))?;
                assert_eq!((reserved(tx, tenant)?, is_kept(tx, "s")?), (10, true));
                let other = Piece { total: 11, ..piece(0, 1) };
                assert_eq!(record(tx, &key("a"), &fresh("s"), other, 10, Time(2)).unwrap_err().kind, Kind::Invalid);
                assert!(record(tx, &key("a"), &fresh("t"), piece(0, 1), 0, Time(2)).is_err(), "another stage file");
                let lost = Written { stage: "u".into(), recorded: true };
                assert_eq!(record(tx, &key("b"), &lost, piece(0, 1), 0, Time(2)).unwrap_err().kind, Kind::Busy);
                let upload = record(tx, &key("a"), &fresh("s"), piece(0, 4), 10, Time(2))?;
                assert!(upload.runs.is_whole(10));

                catalog::admit(tx, &digest, 10, &Default::default(), "x", Time(1))?;
                let done = Finished {
                    digest,
                    size: 10,
                    account: key("a").account,
                    file_id: "a".into(),
                    extension: "exe".into(),
                    touched: Time(3),
                };
                finish(tx, &key("a"), "s", "f.exe", &done, "who")?;
                assert!(finish(tx, &key("a"), "s", "g.exe", &done, "who").is_err());
                assert_eq!(progress(tx, &key("a"))?, Some(Progress::Complete("f.exe".into(), done.clone())));
                assert!(catalog::is_held(tx, &digest)? && !is_kept(tx, "s")?);

                // The id is used anew; the finished file stays claimable.
                record(tx, &key("a"), &fresh("v"), piece(0, 1), 20, Time(4))?;
                assert_eq!(reserved(tx, tenant)?, 20);
                assert_eq!(claim(&inside, tx, tenant, "f.exe")?, done);
                assert_eq!(claim(&inside, tx, tenant, "f.exe").unwrap_err().kind, Kind::Invalid);
                assert!(matches!(progress(tx, &key("a"))?, Some(Progress::Incomplete(_))));
                assert_eq!((reserved(tx, tenant)?, catalog::is_held(tx, &digest)?), (10, false));

                assert_eq!(expire(&inside, tx, &|_| Time(4), 9)?, (vec![], 0));
                assert_eq!(expire(&inside, tx, &|_| Time(5), 9)?, (vec!["v".to_owned()], 1));
                assert_eq!((reserved(tx, tenant)?, progress(tx, &key("a"))?), (0, None));
                assert_eq!(remove(&inside, tx, &key("a")).unwrap_err().kind, Kind::NotFound);
                Ok(())
            })
            .unwrap();
    }
}
