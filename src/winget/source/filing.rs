//! From documents to records: versions with their locales and installers, checked and stored (`winget.md` B9, B10).

use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::ids::random;
use crate::store::table::{Read, WriteTx};
use crate::winget::gate::Admin;
use crate::winget::model::{self, By, File, Package, Release, Row};
use crate::winget::names::fold;
use crate::winget::rules;
use crate::winget::source::documents::{self, Document};

/// A version exists already.
pub const VERSION_EXISTS: u32 = 6;
/// An installer exists already.
pub const INSTALLER_EXISTS: u32 = 10;
/// A locale exists already.
pub const LOCALE_EXISTS: u32 = 15;

/// Marks the message of an error with its code on the way out of a transaction.
pub fn coded(error: Error, code: u32) -> Error {
    Error { message: format!("{code}\u{1}{}", error.message).into(), ..error }
}

/// A fresh id of a row.
pub fn fresh_uid() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(random::<16>()?).into_uuid())
}

/// The bytes an installer names, when the server has them and this admin may use them: a digest alone is no
/// credential.
pub fn held(tx: &impl Read, tenant: Uuid, admin: &Admin, row: &Row) -> Result<Option<File>> {
    let Some(digest) = row.url_sha256 else { return Ok(None) };
    let Some(artifact) = catalog::get(tx, &digest)? else { return Ok(None) };
    let may = admin.operator || model::has_file(tx, tenant, digest)? || catalog::is_public(tx, &digest)?;
    let extension = extension(&row.kind, &[&row.url, &artifact.first_name]);
    Ok((may && catalog::is_held(tx, &digest)?).then_some(File { digest, size: artifact.size, extension }))
}

/// The extension of a stored installer: that of the first name that has a known one, else its type's.
pub fn extension(kind: &str, names: &[&str]) -> String {
    let known = names.iter().find_map(|name| {
        let name = name.split(['?', '#']).next().unwrap_or_default();
        let (_, extension) = name.rsplit_once('.')?;
        rules::EXTENSIONS.iter().find(|known| known.eq_ignore_ascii_case(extension))
    });
    known.map_or_else(|| rules::type_extension(kind).to_owned(), |known| (*known).to_owned())
}

/// A version with everything its documents hold, ready to be stored.
#[derive(Clone)]
pub struct Filed {
    /// What is said of it as a whole.
    pub release: Release,
    /// Its installers.
    pub rows: Vec<Row>,
}

/// Reads a version document with its locales and installers.
///
/// # Errors
/// `Invalid` naming the member.
pub fn filed(mut document: Document) -> Result<Filed> {
    let version = documents::take_version(&mut document)?;
    let channel = take_channel(&mut document)?;
    let locales = take_list(&mut document, "Locales")?;
    let installers = take_list(&mut document, "Installers")?;
    let default = document.remove("DefaultLocale").unwrap_or_default();
    let default = documents::object(default, "DefaultLocale")?;
    let release = documents::release(version.clone(), default, locales, document)?;
    let mut rows: Vec<Row> = Vec::new();
    for installer in installers {
        let row = documents::row(installer, &version, &channel, fresh_uid()?)?;
        let id = documents::installer_identifier(&row);
        if rows.iter().any(|other| fold(&documents::installer_identifier(other)) == fold(&id)) {
            return Err(Error::invalid("InstallerIdentifier is given twice"));
        }
        rows.push(row);
    }
    Ok(Filed { release, rows })
}

/// Takes the channel out of a document; it is a word of this server, clients know none.
///
/// # Errors
/// `Invalid` naming it.
pub fn take_channel(document: &mut Document) -> Result<String> {
    match document.remove("Channel") {
        None | Some(Value::Null) => rules::channel(None),
        Some(Value::String(text)) if text.trim().is_empty() => rules::channel(None),
        Some(Value::String(text)) => rules::channel(Some(&text)),
        Some(_) => Err(Error::invalid("Channel must be text")),
    }
}

/// Takes a list of objects out of a document.
///
/// # Errors
/// `Invalid` naming it.
pub fn take_list(document: &mut Document, member: &str) -> Result<Vec<Document>> {
    match document.remove(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.into_iter().map(|value| documents::object(value, member)).collect(),
        Some(_) => Err(Error::invalid(format!("{member} must be an array"))),
    }
}

/// A package as documents make it: its names come with its first version.
pub fn new_package(id: &str, extra: Document, by: &By) -> Package {
    Package {
        id: id.to_owned(),
        name: id.to_owned(),
        publisher: id.split('.').next().unwrap_or(id).to_owned(),
        description: String::new(),
        logo: None,
        active: true,
        created: by.now,
        updated: by.now,
        next: 0,
        extra,
    }
}

/// Gives a package that has no name of its own yet the names its version's documents have.
pub fn name_package(app: &App, tx: &WriteTx, tenant: Uuid, id: &str, release: &Release, by: &By) -> Result<()> {
    let mut package = model::known_package(tx, tenant, id)?;
    let text = |member: &str| release.default_locale.get(member).and_then(Value::as_str).map(str::trim);
    if package.name != package.id {
        return Ok(());
    }
    let limit = |text: &str, most: usize| text.chars().filter(|c| !c.is_control() || *c == '\n').take(most).collect();
    if let Some(name) = text("PackageName") {
        package.name = limit(name, 256);
    }
    if let Some(publisher) = text("Publisher") {
        package.publisher = limit(publisher, 256);
    }
    if let Some(description) = text("Description").or(text("ShortDescription")) {
        package.description = limit(description, 10_000);
    }
    model::update_package(&app.store, tx, tenant, &package, by)
}

/// Stores a version that is not there yet, and takes the bytes it names where they are here.
pub fn store_version(app: &App, tx: &WriteTx, desk: (Uuid, &Admin), id: &str, filed: &Filed, by: &By) -> Result<()> {
    let (tenant, admin) = desk;
    model::put_release(tx, tenant, id, &filed.release)?;
    for row in &filed.rows {
        let file = held(tx, tenant, admin, row)?;
        model::add_row(tx, tenant, id, &Row { file, ..row.clone() }, by).map_err(|e| taken(e, INSTALLER_EXISTS))?;
    }
    name_package(app, tx, tenant, id, &filed.release, by)
}

/// Gives a conflict the code of what is in the way.
pub fn taken(error: Error, code: u32) -> Error {
    if error.kind == Kind::Conflict { coded(error, code) } else { error }
}
