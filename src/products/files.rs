//! Handlers that move bytes: upload, download and deletion of versions (`products.md` §5).

use crate::app::App;
use crate::audit;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::http::{FileAnswer, Part, Request, Response, serve_file};
use crate::identity::{Principal, TokenRef};
use crate::ids::Digest;
use crate::products::api::{change, judge, name_in_path};
use crate::products::keys::{caller, still_valid};
use crate::products::model::{self, Version};
use crate::products::rules::{self, Action};
use crate::store::Staged;
use crate::store::table::Read;

/// `POST /product/upload`: one file becomes one immutable version.
pub fn upload(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = caller(who)?.clone();
    let declared = declared_digest(request.head.headers.text("x-checksum-sha256"))?;
    let length = request.body().length();
    let mut form = Form::default();
    let mut parts = request.multipart()?;
    while let Some(mut part) = parts.next_part()? {
        form.take(app, &me, &mut part, length)?;
    }
    let Form { product, version, file, sha256 } = form;
    let product = product.ok_or_else(|| required("product"))?;
    let version = version.ok_or_else(|| required("version"))?;
    rules::check_name(&product)?;
    rules::check_name(&version)?;
    let wanted = declared_digest(sha256.as_deref())?;

    let Some((file_name, staged)) = file else {
        let digest = wanted.ok_or_else(|| required("file"))?;
        return offer(app, who, request, product, version, digest);
    };
    for digest in [declared, wanted].into_iter().flatten() {
        if digest != staged.digest {
            return Err(Error::invalid("the file does not have the declared SHA-256"));
        }
    }
    let facts = catalog::inspect(&staged, &file_name);
    let (digest, size) = (staged.digest, staged.size);
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let location = rules::download_path(&product, &version);
    app.store.shelve(vec![staged], move |tx| {
        judge_upload(tx, &me, &product, &version)?;
        catalog::admit(tx, &digest, size, &facts, &file_name, now)?;
        let record = Version { digest, size, file_name: file_name.clone(), created: now };
        model::add_version(tx, &product, &version, &record, &label)?;
        audit::note(tx, now, &label, "product.upload", &format!("{product} {version}"), Some(address))
    })?;
    Ok(uploaded(&location, &digest))
}

/// The parts of an upload, in whatever order they came.
#[derive(Default)]
struct Form {
    product: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    file: Option<(String, Staged)>,
}

/// The longest text part this form has, in bytes: names are far shorter.
const TEXT_LIMIT: u64 = 64 << 10;

impl Form {
    fn take(&mut self, app: &App, me: &TokenRef, part: &mut Part, length: Option<u64>) -> Result<()> {
        let name = part.name().unwrap_or_default().to_owned();
        let slot = match name.as_str() {
            "product" => &mut self.product,
            "version" => &mut self.version,
            "sha256" => &mut self.sha256,
            "file" => return self.take_file(app, me, part, length),
            _ => return Ok(()),
        };
        if slot.is_some() {
            return Err(twice(&name));
        }
        match part.text(TEXT_LIMIT)? {
            text if text.is_empty() => Err(required(&name)),
            text => {
                *slot = Some(text);
                Ok(())
            }
        }
    }

    fn take_file(&mut self, app: &App, me: &TokenRef, part: &mut Part, length: Option<u64>) -> Result<()> {
        if self.file.is_some() {
            return Err(twice("file"));
        }
        let given = part.file_name().ok_or_else(|| Error::invalid("file needs a file name"))?;
        let file_name = rules::file_name(given)?;
        // What is known already is judged before the bytes are taken.
        if let (Some(product), Some(version)) = (&self.product, &self.version) {
            rules::check_name(product)?;
            rules::check_name(version)?;
            app.store.read(|tx| judge_upload(tx, me, product, version))?;
        }
        let mut stage = app.store.stage(length)?;
        stage.copy_from(part, app.settings.max_upload).map_err(|e| match (e.kind, app.settings.max_upload) {
            (Kind::TooLarge, Some(limit)) => {
                Error::new(Kind::TooLarge, format!("file size exceeds the limit of {} MB", limit >> 20))
            }
            _ => e,
        })?;
        self.file = Some((file_name, stage.finish()?));
        Ok(())
    }
}

/// Offers an artifact that is already on the shelf as a new version, without its bytes being sent again. A digest alone
/// is no credential: it must be an admin's wish, or the caller must be able to download the artifact already.
fn offer(
    app: &App,
    who: &Principal,
    request: &Request,
    product: String,
    version: String,
    digest: Digest,
) -> Result<Response> {
    let me = caller(who)?.clone();
    let location = rules::download_path(&product, &version);
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        judge_upload(tx, &me, &product, &version)?;
        let unknown = || Error::invalid("unknown artifact");
        let artifact = catalog::get(tx, &digest)?.ok_or_else(unknown)?;
        if !me.admin && !may_read(tx, &me, &digest)? {
            return Err(unknown());
        }
        let record = Version { digest, size: artifact.size, file_name: artifact.first_name.clone(), created: now };
        model::add_version(tx, &product, &version, &record, &label)?;
        audit::note(tx, now, &label, "product.upload", &format!("{product} {version}"), Some(address))
    })?;
    Ok(uploaded(&location, &digest))
}

/// Whether some product version with these bytes is the caller's to download.
fn may_read(tx: &impl Read, me: &TokenRef, digest: &Digest) -> Result<bool> {
    for holder in catalog::holders(tx, digest)? {
        if let Some(name) = model::product_of(&holder.label) {
            let product = model::product(tx, &name)?;
            if judge(Action::Download, &product, me).is_ok() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn judge_upload(tx: &impl Read, me: &TokenRef, product: &str, version: &str) -> Result<()> {
    still_valid(tx, me)?;
    judge(Action::Upload, &model::product(tx, product)?, me)?;
    match model::has_version(tx, product, version)? {
        true => Err(Error::conflict("this version is already uploaded")),
        false => Ok(()),
    }
}

fn uploaded(location: &str, digest: &Digest) -> Response {
    Response::empty(201).header("Location", location).header("X-Checksum-Sha256", digest.to_hex())
}

fn declared_digest(text: Option<&str>) -> Result<Option<Digest>> {
    text.map(|text| {
        let hex = text.trim();
        let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
        Digest::from_hex(hex).ok_or_else(|| Error::invalid("the declared SHA-256 is not 64 hex digits"))
    })
    .transpose()
}

fn required(part: &str) -> Error {
    Error::invalid(format!("{part} is required"))
}

fn twice(part: &str) -> Error {
    Error::invalid(format!("{part} is given twice"))
}

/// `GET`, `HEAD /product/download/{product}/{version}`: the exact bytes uploaded.
pub fn download(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = caller(who)?;
    let product = name_in_path(request, "product")?;
    let version = name_in_path(request, "version")?;
    let record = app.store.read(|tx| {
        judge(Action::Download, &model::product(tx, &product)?, me)?;
        model::version(tx, &product, &version)
    })?;
    let source = match app.bytes(&record.digest, &request.head) {
        // Deleted between the look-up and the opening: as if it had been asked for afterwards.
        Err(_) if app.store.read(|tx| model::has_version(tx, &product, &version)).is_ok_and(|has| !has) => {
            return Err(Error::not_found(model::VERSION_NOT_FOUND));
        }
        source => source?,
    };
    let digest = record.digest.to_hex();
    Ok(serve_file(
        &request.head,
        FileAnswer {
            source: Box::new(source),
            etag: format!("\"{digest}\""),
            last_modified: record.created.system(),
            content_type: "application/octet-stream".to_owned(),
            download_name: Some(record.file_name),
            cache_control: "private, no-cache",
            extra: vec![("X-Checksum-Sha256", digest)],
        },
    ))
}

/// `DELETE /product/delete/{product}/{version}`: the version name may be used again afterwards.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let name = name_in_path(request, "product")?;
    let version = name_in_path(request, "version")?;
    change(app, who, request, name, "product.deleteVersion", move |change| {
        judge(Action::Delete, &change.product, &change.me)?;
        model::remove_version(&change.app.store, change.tx, &change.product.name, &version)
    })?;
    Ok(Response::empty(204))
}
