//! The write routes of the reference server: packages, versions, locales and installers as documents (`winget.md` B9).

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::table::Read;
use crate::winget::gate::{Admin, Visit, segment};
use crate::winget::model::{self, File, Package, Release, Row, Whole};
use crate::winget::names::fold;
use crate::winget::source;
use crate::winget::source::desk::{Desk, Failure, agree, answer, body, data, known, unknown};
use crate::winget::source::documents::{self, Document};
use crate::winget::source::filing::{
    Filed, INSTALLER_EXISTS, LOCALE_EXISTS, VERSION_EXISTS, coded, filed, fresh_uid, held, name_package, new_package,
    store_version, take_channel, take_list, taken,
};
use crate::winget::versions::newest_first;

/// Packages of one page.
const PAGE: usize = 20;

/// A version of a package with what there is of it.
struct Version<'w> {
    text: &'w str,
    release: Option<&'w Release>,
    rows: Vec<&'w Row>,
}

/// The versions of a package, those without installers too, newest first.
fn versions(whole: &Whole) -> Vec<Version<'_>> {
    let mut found: Vec<Version<'_>> = Vec::new();
    for row in &whole.rows {
        match found.iter_mut().find(|version| fold(version.text) == fold(&row.version)) {
            Some(version) => version.rows.push(row),
            None => {
                let release = whole.releases.get(&fold(&row.version));
                found.push(Version { text: &row.version, release, rows: vec![row] });
            }
        }
    }
    for release in whole.releases.values() {
        if !found.iter().any(|version| fold(version.text) == fold(&release.version)) {
            found.push(Version { text: &release.version, release: Some(release), rows: Vec::new() });
        }
    }
    newest_first(&mut found, |version| version.text);
    found
}

fn version<'w>(whole: &'w Whole, text: &str) -> Result<Version<'w>> {
    versions(whole).into_iter().find(|version| fold(version.text) == fold(text)).ok_or_else(|| unknown("version"))
}

impl Version<'_> {
    fn document(&self, package: &Package) -> Document {
        documents::of_version(package, self.text, self.release, &self.rows)
    }

    fn locales(&self) -> Vec<Value> {
        let locales = self.release.map(|release| release.locales.clone()).unwrap_or_default();
        locales.into_iter().map(Value::Object).collect()
    }

    fn installers(&self, links: &Links) -> Vec<Value> {
        self.rows.iter().map(|row| documents::of_row(row, &links.of(row))).collect()
    }

    /// The whole of it.
    fn whole(&self, package: &Package, links: &Links) -> Value {
        let mut document = self.document(package);
        document.insert("Locales".to_owned(), self.locales().into());
        document.insert("Installers".to_owned(), self.installers(links).into());
        Value::Object(document)
    }
}

/// Where rows' bytes are when their documents do not say so.
struct Links {
    base: String,
}

impl Links {
    fn new(app: &App, request: &Request, visit: &Visit) -> Result<Links> {
        let base = crate::winget::links::base(app, request)?;
        Ok(Links { base: format!("{base}/winget/{}/files", visit.tenant) })
    }

    fn of(&self, row: &Row) -> String {
        match &row.file {
            Some(file) => format!("{}/{}/installer.{}", self.base, row.uid, file.extension),
            None => String::new(),
        }
    }
}

/// `POST /winget/{tenant}/packages`.
pub fn add_package(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let mut document = body(request)?;
    let id = documents::take_identifier(&mut document)?;
    document.retain(|_, value| !value.is_null());
    answer(desk.change(app, request, "winget.package.add", id.clone(), move |_, tx, tenant, _, by| {
        let package = new_package(&id, document.clone(), by);
        model::add_package(tx, tenant, &package, by)?;
        Ok(data(201, documents::of_package(&package)))
    }))
}

/// `GET /winget/{tenant}/packages`: a page of them.
pub fn packages(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let query = request.query()?;
    let after = match query.get("ContinuationToken").filter(|token| !token.is_empty()) {
        Some(token) => source::api::read_token(token.as_bytes()).map(Some),
        None => source::api::continuation(&request.head),
    };
    let Some(after) = after else {
        return Ok(source::refused(400, source::BAD_CONTINUATION, "the ContinuationToken cannot be read"));
    };
    let rows = app.store.read(|tx| model::page(tx, desk.visit.tenant, after.as_deref(), PAGE + 1))?;
    let shown: Vec<Value> = rows.iter().take(PAGE).map(|(_, package)| documents::of_package(package)).collect();
    let mut answer = json!({ "Data": shown });
    if rows.len() > PAGE
        && let Some((last, _)) = rows.get(PAGE - 1)
    {
        answer["ContinuationToken"] = source::api::continuation_token(last).into();
    }
    Ok(Response::json(200, &answer).header("Cache-Control", "no-store"))
}

/// `GET /winget/{tenant}/packages/{id}`.
pub fn package(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    desk.read(app, &segment(request, "id")?, |whole| Ok(data(200, documents::of_package(&whole.package))))
}

/// `PUT /winget/{tenant}/packages/{id}`.
pub fn edit_package(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let id = segment(request, "id")?;
    let mut document = body(request)?;
    let given = documents::take_identifier(&mut document)?;
    document.retain(|_, value| !value.is_null());
    if let Err(error) = agree(&given, &id, "PackageIdentifier") {
        return Failure::of(error).response();
    }
    answer(desk.change(app, request, "winget.package.edit", id.clone(), move |app, tx, tenant, _, by| {
        let old = model::package(tx, tenant, &id)?.ok_or_else(|| unknown("package"))?;
        let package = Package { extra: document.clone(), updated: by.now, ..old };
        model::update_package(&app.store, tx, tenant, &package, by)?;
        Ok(data(200, documents::of_package(&package)))
    }))
}

/// `DELETE /winget/{tenant}/packages/{id}` and `…/packageManifests/{id}`.
pub fn delete_package(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let id = segment(request, "id")?;
    answer(desk.change(app, request, "winget.package.delete", id.clone(), move |app, tx, tenant, _, _| {
        model::package(tx, tenant, &id)?.ok_or_else(|| unknown("package"))?;
        model::remove_package(&app.store, tx, tenant, &id)?;
        crate::winget::tenant::forget_package(tx, tenant, &id)?;
        Ok(Response::empty(204))
    }))
}

/// `POST …/packages/{id}/versions`.
pub fn add_version(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let id = segment(request, "id")?;
    let filed = filed(body(request)?)?;
    let subject = format!("{id} {}", filed.release.version);
    answer(desk.change(app, request, "winget.version.add", subject, move |app, tx, tenant, admin, by| {
        let whole = known(tx, tenant, &id)?;
        if version(&whole, &filed.release.version).is_ok() {
            return Err(coded(Error::conflict("the version exists already"), VERSION_EXISTS));
        }
        store_version(app, tx, (tenant, admin), &id, &filed, by)?;
        let document = version(&known(tx, tenant, &id)?, &filed.release.version)?.document(&whole.package);
        Ok(data(201, document))
    }))
}

/// `GET …/packages/{id}/versions`.
pub fn package_versions(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    desk.read(app, &segment(request, "id")?, |whole| {
        let all = versions(whole).into_iter().map(|version| Value::Object(version.document(&whole.package)));
        Ok(data(200, all.collect::<Vec<_>>()))
    })
}

/// What a path below a package names: its id and a version.
fn named(request: &Request) -> Result<(String, String)> {
    Ok((segment(request, "id")?, segment(request, "version")?))
}

/// `GET …/versions/{version}`.
pub fn package_version(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    desk.read(app, &id, |whole| Ok(data(200, version(whole, &text)?.document(&whole.package))))
}

/// `PUT …/versions/{version}`: what is said of it as a whole; locales and installers stay.
pub fn edit_version(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    let filed = filed(body(request)?)?;
    if let Err(error) = agree(&filed.release.version, &text, "PackageVersion") {
        return Failure::of(error).response();
    }
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.version.edit", subject, move |app, tx, tenant, _, by| {
        let whole = known(tx, tenant, &id)?;
        let old = version(&whole, &text)?;
        let locales = old.release.map(|release| release.locales.clone()).unwrap_or_default();
        let mut release = Release { version: old.text.to_owned(), locales, ..filed.release.clone() };
        documents::gather(&mut release);
        model::put_release(tx, tenant, &id, &release)?;
        name_package(app, tx, tenant, &id, &release, by)?;
        Ok(data(200, version(&known(tx, tenant, &id)?, &text)?.document(&whole.package)))
    }))
}

/// `DELETE …/versions/{version}`, with its locales and installers.
pub fn delete_version(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.version.delete", subject, move |app, tx, tenant, _, _| {
        let whole = known(tx, tenant, &id)?;
        for row in version(&whole, &text)?.rows {
            model::remove_row(&app.store, tx, tenant, &id, row.uid)?;
        }
        model::remove_release(tx, tenant, &id, &text)?;
        Ok(Response::empty(204))
    }))
}

/// What is said of a version, to be changed: made when Part A alone has told of it.
fn release_of(version: &Version<'_>) -> Release {
    version.release.cloned().unwrap_or_else(|| Release { version: version.text.to_owned(), ..Release::default() })
}

/// Where the locale is among those of a version.
fn place(release: &Release, tag: &str) -> Result<usize> {
    let place = release.locales.iter().position(|document| documents::tag_of(document) == fold(tag));
    place.ok_or_else(|| unknown("locale"))
}

/// `POST …/versions/{version}/locales`.
pub fn add_locale(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    let document = body(request)?;
    documents::locale(&document, false)?;
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.locale.add", subject, move |_, tx, tenant, _, _| {
        let mut release = release_of(&version(&known(tx, tenant, &id)?, &text)?);
        let tag = documents::tag_of(&document);
        let mut there = std::iter::once(&release.default_locale).chain(&release.locales);
        if there.any(|known| documents::tag_of(known) == tag) {
            return Err(coded(Error::conflict("the locale exists already"), LOCALE_EXISTS));
        }
        release.locales.push(document.clone());
        documents::gather(&mut release);
        model::put_release(tx, tenant, &id, &release)?;
        Ok(data(201, document.clone()))
    }))
}

/// `GET …/versions/{version}/locales`.
pub fn locales(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    desk.read(app, &id, |whole| Ok(data(200, version(whole, &text)?.locales())))
}

/// `GET …/locales/{locale}`.
pub fn locale(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), tag) = (named(request)?, segment(request, "locale")?);
    desk.read(app, &id, |whole| {
        let release = release_of(&version(whole, &text)?);
        let at = place(&release, &tag)?;
        Ok(data(200, release.locales.get(at).cloned().unwrap_or_default()))
    })
}

/// `PUT …/locales/{locale}`.
pub fn edit_locale(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), tag) = (named(request)?, segment(request, "locale")?);
    let document = body(request)?;
    documents::locale(&document, false)?;
    if let Err(error) = agree(&documents::tag_of(&document), &tag, "PackageLocale") {
        return Failure::of(error).response();
    }
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.locale.edit", subject, move |_, tx, tenant, _, _| {
        let mut release = release_of(&version(&known(tx, tenant, &id)?, &text)?);
        let at = place(&release, &tag)?;
        release.locales.splice(at..=at, [document.clone()]);
        documents::gather(&mut release);
        model::put_release(tx, tenant, &id, &release)?;
        Ok(data(200, document.clone()))
    }))
}

/// `DELETE …/locales/{locale}`.
pub fn delete_locale(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), tag) = (named(request)?, segment(request, "locale")?);
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.locale.delete", subject, move |_, tx, tenant, _, _| {
        let mut release = release_of(&version(&known(tx, tenant, &id)?, &text)?);
        let at = place(&release, &tag)?;
        release.locales.remove(at);
        documents::gather(&mut release);
        model::put_release(tx, tenant, &id, &release)?;
        Ok(Response::empty(204))
    }))
}

/// `POST …/versions/{version}/installers`.
pub fn add_installer(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    let links = Links::new(app, request, &desk.visit)?;
    let mut document = body(request)?;
    let channel = take_channel(&mut document)?;
    let row = documents::row(document, &text, &channel, fresh_uid()?)?;
    let subject = format!("{id} {text}");
    answer(desk.change(app, request, "winget.installer.add", subject, move |_, tx, tenant, admin, by| {
        let whole = known(tx, tenant, &id)?;
        let version = version(&whole, &text)?;
        if find(&version, &documents::installer_identifier(&row)).is_ok() {
            return Err(coded(Error::conflict("the installer exists already"), INSTALLER_EXISTS));
        }
        // The channel of a version's installers is one.
        let channel = version.rows.first().map_or(row.channel.as_str(), |first| first.channel.as_str()).to_owned();
        let file = held(tx, tenant, admin, &row)?;
        let row = Row { file, channel, version: version.text.to_owned(), ..row.clone() };
        let row = model::add_row(tx, tenant, &id, &row, by).map_err(|e| taken(e, INSTALLER_EXISTS))?;
        Ok(data(201, documents::of_row(&row, &links.of(&row))))
    }))
}

/// `GET …/versions/{version}/installers`.
pub fn installers(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let (id, text) = named(request)?;
    let links = Links::new(app, request, &desk.visit)?;
    desk.read(app, &id, |whole| Ok(data(200, version(whole, &text)?.installers(&links))))
}

/// The installer of a version that goes by this id.
fn find<'w>(version: &Version<'w>, identifier: &str) -> Result<&'w Row> {
    let wanted = fold(identifier);
    let is_it = |row: &&Row| fold(&documents::installer_identifier(row)) == wanted || row.uid.to_string() == wanted;
    version.rows.iter().copied().find(is_it).ok_or_else(|| unknown("installer"))
}

/// `GET …/installers/{installer}`.
pub fn installer(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), identifier) = (named(request)?, segment(request, "installer")?);
    let links = Links::new(app, request, &desk.visit)?;
    desk.read(app, &id, |whole| {
        let row = find(&version(whole, &text)?, &identifier)?;
        Ok(data(200, documents::of_row(row, &links.of(row))))
    })
}

/// `PUT …/installers/{installer}`.
pub fn edit_installer(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), identifier) = (named(request)?, segment(request, "installer")?);
    let links = Links::new(app, request, &desk.visit)?;
    let mut document = body(request)?;
    let given = document.get("InstallerIdentifier").and_then(Value::as_str).unwrap_or(&identifier).to_owned();
    if let Err(error) = agree(&given, &identifier, "InstallerIdentifier") {
        return Failure::of(error).response();
    }
    let channel = take_channel(&mut document)?;
    let row = documents::row(document, &text, &channel, fresh_uid()?)?;
    let subject = format!("{id} {text} {identifier}");
    answer(desk.change(app, request, "winget.installer.edit", subject, move |app, tx, tenant, admin, by| {
        let whole = known(tx, tenant, &id)?;
        let new = replaced(tx, tenant, admin, find(&version(&whole, &text)?, &identifier)?, &row)?;
        let new = model::update_row(&app.store, tx, tenant, &new, by).map_err(|e| taken(e, INSTALLER_EXISTS))?;
        Ok(data(200, documents::of_row(&new, &links.of(&new))))
    }))
}

/// `DELETE …/installers/{installer}`.
pub fn delete_installer(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let ((id, text), identifier) = (named(request)?, segment(request, "installer")?);
    let subject = format!("{id} {text} {identifier}");
    answer(desk.change(app, request, "winget.installer.delete", subject, move |app, tx, tenant, _, _| {
        let whole = known(tx, tenant, &id)?;
        let uid = find(&version(&whole, &text)?, &identifier)?.uid;
        model::remove_row(&app.store, tx, tenant, &id, uid)?;
        Ok(Response::empty(204))
    }))
}

/// `old` with what a new document says; its id, channel and, when they are still meant, its bytes stay.
fn replaced(tx: &impl Read, tenant: Uuid, admin: &Admin, old: &Row, new: &Row) -> Result<Row> {
    let same = |digest: Option<Digest>| old.file.clone().filter(|file| Some(file.digest) == digest);
    let file = match same(new.url_sha256) {
        Some(file) => Some(file),
        None => held(tx, tenant, admin, new)?,
    };
    let mut extra = new.extra.clone();
    if !extra.contains_key("InstallerIdentifier") {
        extra.extend(old.extra.get("InstallerIdentifier").map(|id| ("InstallerIdentifier".to_owned(), id.clone())));
    }
    let (version, channel) = (old.version.clone(), old.channel.clone());
    Ok(Row { uid: old.uid, version, channel, file, extra, ..new.clone() })
}

/// A package document with its versions.
fn take_manifest(request: &mut Request) -> Result<(String, Document, Vec<Filed>)> {
    let mut document = body(request)?;
    let id = documents::take_identifier(&mut document)?;
    let mut all: Vec<Filed> = Vec::new();
    for version in take_list(&mut document, "Versions")? {
        let filed = filed(version)?;
        if all.iter().any(|other| fold(&other.release.version) == fold(&filed.release.version)) {
            return Err(Error::invalid("PackageVersion is given twice"));
        }
        all.push(filed);
    }
    if all.is_empty() {
        return Err(Error::invalid("Versions is missing"));
    }
    document.retain(|_, value| !value.is_null());
    Ok((id, document, all))
}

fn manifest_document(whole: &Whole, links: &Links) -> Value {
    let mut document = documents::of_package(&whole.package);
    let versions: Vec<Value> = versions(whole).iter().map(|version| version.whole(&whole.package, links)).collect();
    document["Versions"] = versions.into();
    document
}

/// `POST /winget/{tenant}/packageManifests`: a package with its versions at once.
pub fn add_manifest(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let links = Links::new(app, request, &desk.visit)?;
    let (id, extra, all) = take_manifest(request)?;
    answer(desk.change(app, request, "winget.package.add", id.clone(), move |app, tx, tenant, admin, by| {
        model::add_package(tx, tenant, &new_package(&id, extra.clone(), by), by)?;
        for filed in &all {
            store_version(app, tx, (tenant, admin), &id, filed, by)?;
        }
        Ok(data(201, manifest_document(&known(tx, tenant, &id)?, &links)))
    }))
}

/// `PUT /winget/{tenant}/packageManifests/{id}`: what is there goes, the new versions come.
pub fn edit_manifest(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let desk = Desk::open(app, request)?;
    let path = segment(request, "id")?;
    let links = Links::new(app, request, &desk.visit)?;
    let (id, extra, all) = take_manifest(request)?;
    if let Err(error) = agree(&id, &path, "PackageIdentifier") {
        return Failure::of(error).response();
    }
    answer(desk.change(app, request, "winget.package.edit", path, move |app, tx, tenant, admin, by| {
        let whole = known(tx, tenant, &id)?;
        // New rows first take the bytes the old ones hold, so that nothing is lost in between.
        let files: Vec<Vec<Option<File>>> = all
            .iter()
            .map(|filed| filed.rows.iter().map(|row| held(tx, tenant, admin, row)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        for row in &whole.rows {
            model::remove_row(&app.store, tx, tenant, &id, row.uid)?;
        }
        for release in whole.releases.values() {
            model::remove_release(tx, tenant, &id, &release.version)?;
        }
        let package = model::known_package(tx, tenant, &id)?;
        model::update_package(&app.store, tx, tenant, &Package { extra: extra.clone(), ..package }, by)?;
        for (filed, files) in all.iter().zip(files) {
            model::put_release(tx, tenant, &id, &filed.release)?;
            for (row, file) in filed.rows.iter().zip(files) {
                let row = Row { file, ..row.clone() };
                model::add_row(tx, tenant, &id, &row, by).map_err(|e| taken(e, INSTALLER_EXISTS))?;
            }
            name_package(app, tx, tenant, &id, &filed.release, by)?;
        }
        Ok(data(200, manifest_document(&known(tx, tenant, &id)?, &links)))
    }))
}
