//! Adding, showing and deleting versions (`winget.md` A6).

use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::formats::{Facts, zip};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::{Digest, random};
use crate::store::Store;
use crate::store::table::WriteTx;
use crate::winget::form::{Form, Wanted};
use crate::winget::gate::{Admin, Caller, Visit, segment};
use crate::winget::links::Links;
use crate::winget::model::{self, By, File, Row};
use crate::winget::shown::VersionShown;
use crate::winget::versions::newest_first;
use crate::winget::{chunking, fields, rules, uploads};
use crate::{audit, catalog};

/// A whole installer in the form itself.
const FILE: Wanted = Wanted { name: "file", limit: None };

/// `GET get_package_versions/{package_id}`.
pub fn list(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let caller = Caller::Admin(visit.login(app, request)?);
    let id = segment(request, "package_id")?;
    let links = Links::new(app, request, &visit, &caller)?;
    let (package, mut rows) = app.store.read(|tx| {
        let package = model::known_package(tx, visit.tenant, &id)?;
        Ok((package, model::rows(tx, visit.tenant, &id)?))
    })?;
    newest_first(&mut rows, |row| row.version.as_str());
    let shown = rows.iter().map(|row| VersionShown::new(&links, &package, row)).collect::<Result<Vec<_>>>()?;
    Ok(Response::json(200, &shown))
}

fn unknown() -> Error {
    Error::not_found("Package version not found")
}

/// `GET get_specific_package_version/{version_uid}`.
pub fn show(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let caller = Caller::Admin(visit.login(app, request)?);
    let uid: Uuid = segment(request, "version_uid")?.parse().map_err(|_| unknown())?;
    let links = Links::new(app, request, &visit, &caller)?;
    let found = app.store.read(|tx| model::row(tx, visit.tenant, uid))?;
    let (package, row) = found.ok_or_else(unknown)?;
    Ok(Response::json(200, &VersionShown::new(&links, &package, &row)?))
}

/// `DELETE delete_package_version/{package_id}`: all of the named rows, or none.
pub fn delete(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = segment(request, "package_id")?;
    let named = Form::fields(app, request)?.entries("versions_uids");
    if named.is_empty() {
        return Err(Error::invalid("versions_uids is required"));
    }
    let mut uids = named.iter().map(|uid| uid.parse()).collect::<Result<Vec<Uuid>, _>>().map_err(|_| unknown())?;
    uids.sort();
    uids.dedup();
    let store = app.store.clone();
    app.store.commit(move |tx| {
        let package = model::known_package(tx, visit.tenant, &id)?;
        for uid in &uids {
            model::row(tx, visit.tenant, *uid)?.filter(|(of, _)| of.id == package.id).ok_or_else(unknown)?;
        }
        for uid in &uids {
            model::remove_row(&store, tx, visit.tenant, &id, *uid)?;
            audit::note(tx, by.now, &by.who, "winget.delete_version", &format!("{id} {uid}"), Some(visit.address))?;
        }
        Ok(())
    })?;
    Ok(Response::json(200, &json!({ "Message": "Package versions deleted successfully!" })))
}

/// Where the bytes of a new version come from.
#[derive(Clone)]
enum Bytes {
    /// A finished upload, by its server file name.
    Upload(String),
    /// The form's own file.
    Form(Facts, String),
    /// A file the tenant holds already.
    Held,
}

/// `POST add_package_version/{package_id}`.
pub fn add(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let admin = visit.owner(app, request)?;
    let id = segment(request, "package_id")?;
    let form = Form::read(app, request, &[FILE])?;
    let mut row = fields::row(&form)?;
    row.uid = uuid::Builder::from_random_bytes(random::<16>()?).into_uuid();
    let (file, bytes) = source(app, &visit, &admin, &form, &row)?;
    if row.kind == "ZIP" {
        judge_archive(app, &form, &file, &row.nested_paths)?;
    }
    row.file = Some(file);
    let (uid, by, store) = (row.uid, admin.by(app), app.store.clone());
    app.store.shelve(form.into_staged(), move |tx| {
        insert(&store, tx, &visit, &id, &row, &bytes, &by)?;
        let subject = format!("{id} {} {uid}", row.version);
        audit::note(tx, by.now, &by.who, "winget.add_version", &subject, Some(visit.address))
    })?;
    Ok(Response::json(201, &json!({ "Message": "Package version was added successfully!", "UID": uid })))
}

/// What the form names as the installer's bytes: an upload, a file in the form, or a file that is held already.
fn source(app: &App, visit: &Visit, admin: &Admin, form: &Form, row: &Row) -> Result<(File, Bytes)> {
    let given = |name: &str| form.get(name).map(str::trim).filter(|text| !text.is_empty());
    let file = form.file(FILE.name);
    match (given("server_filename"), file, given("sha256")) {
        (Some(name), None, None) => {
            let found = chunking::claimable(app, visit.tenant, name)?;
            let extension = Some(found.extension).filter(|known| !known.is_empty());
            let extension = extension.unwrap_or_else(|| rules::type_extension(&row.kind).to_owned());
            Ok((File { digest: found.digest, size: found.size, extension }, Bytes::Upload(name.to_owned())))
        }
        (None, Some(file), None) => {
            let extension = rules::upload_extension(&file.name).unwrap_or(rules::type_extension(&row.kind));
            let stored = File { digest: file.staged.digest, size: file.staged.size, extension: extension.to_owned() };
            Ok((stored, Bytes::Form(file.facts(), file.name.clone())))
        }
        (None, None, Some(hex)) => {
            let unknown = || Error::invalid("sha256 names no file that is held here");
            let digest = Digest::from_hex(hex).ok_or_else(unknown)?;
            let artifact = app.store.read(|tx| {
                let may = admin.operator || model::has_file(tx, visit.tenant, digest)?;
                Ok(catalog::get(tx, &digest)?.filter(|_| may))
            })?;
            let artifact = artifact.ok_or_else(unknown)?;
            let extension = rules::upload_extension(&artifact.first_name).unwrap_or(rules::type_extension(&row.kind));
            Ok((File { digest, size: artifact.size, extension: extension.to_owned() }, Bytes::Held))
        }
        (None, None, None) => Err(Error::invalid("server_filename is required")),
        _ => Err(Error::invalid("give one of server_filename, file and sha256")),
    }
}

/// Whether the installer is an archive that has every entry it should.
fn judge_archive(app: &App, form: &Form, file: &File, paths: &[String]) -> Result<()> {
    let mut missing: Vec<String> = paths.iter().map(|path| rules::entry_key(path)).collect();
    let mut visit = |entry: &zip::Entry| {
        let key = rules::entry_key(&entry.name);
        missing.retain(|wanted| *wanted != key);
        !missing.is_empty()
    };
    let walked = match form.file(FILE.name) {
        Some(uploaded) => {
            let mut file = uploaded.staged.open().map_err(Error::internal)?;
            zip::walk(&mut file, &mut visit)
        }
        None => zip::walk(&mut app.store.blob(&file.digest)?.reader()?, &mut visit),
    };
    match (walked, missing.first()) {
        (None, _) => Err(Error::invalid("the file is not a readable ZIP archive")),
        (_, Some(path)) => Err(Error::invalid(format!("the archive has no entry {}", path.escape_debug()))),
        _ => Ok(()),
    }
}

/// Judges and writes a new row: existence, then conflict, then quota, then the claim.
fn insert(store: &Store, tx: &WriteTx<'_>, visit: &Visit, id: &str, row: &Row, bytes: &Bytes, by: &By) -> Result<()> {
    model::judge_new_row(tx, visit.tenant, id, row)?;
    let Some(file) = &row.file else { return Err(Error::internal("a row without a file")) };
    let new = if model::has_file(tx, visit.tenant, file.digest)? { 0 } else { file.size };
    if let Bytes::Upload(name) = bytes
        && uploads::finished(tx, visit.tenant, name)?.is_none_or(|found| found.digest != file.digest)
    {
        return Err(uploads::not_claimable());
    }
    // An upload has its room reserved: that is not asked for twice.
    let reserved = if matches!(bytes, Bytes::Upload(_)) { file.size } else { 0 };
    uploads::judge_quota_beside(tx, visit.tenant, visit.settings.storage_quota, new, reserved)?;
    if let Bytes::Form(facts, name) = bytes {
        catalog::admit(tx, &file.digest, file.size, facts, name, by.now)?;
    }
    model::add_row(tx, visit.tenant, id, row, by)?;
    if let Bytes::Upload(name) = bytes {
        uploads::claim(store, tx, visit.tenant, name)?;
    }
    Ok(())
}
