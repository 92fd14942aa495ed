//! Handlers of `/package`: what there is, one by one, uploads by hand (`repos.md` §9).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::feeds::links::Base;
use crate::feeds::model::{PackageType, absent, packages, repos};
use crate::feeds::package::{self, Bytes, Depth};
use crate::feeds::together::{self, Asks, Entrant, Told, Upload};
use crate::feeds::{entry, on_demand, rules, serve};
use crate::http::{FileAnswer, Query, Request, Response, serve_file};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::Staged;

/// Rows read in one transaction.
const PAGE: usize = 512;
/// What a multipart body may be larger than the file in it.
const FORM_ROOM: u64 = 1 << 20;

/// `GET /package`.
pub fn list(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let query = request.query()?;
    let text = |name: &str| query.get(name).map(str::to_owned);
    let (name, arch) = (text("name"), text("arch"));
    let kind = query
        .get("type")
        .map(|word| PackageType::from_word(word).ok_or_else(|| Error::invalid("type is rpm, deb or file")));
    let kind = kind.transpose()?;
    let mut left = match query.get("limit") {
        None => u64::MAX,
        Some(text) => text.parse().map_err(|_| Error::invalid("limit is a whole number"))?,
    };
    let mut after = match query.get("after") {
        None => None,
        Some(text) => Some(Digest::from_hex(text).ok_or_else(|| Error::invalid("after is a shasum"))?),
    };
    let store = app.store.clone();
    Ok(entry::json_stream(move || {
        let mut rows: Vec<(String, Value)> = Vec::new();
        while rows.is_empty() && left > 0 {
            let page = store.read(|tx| packages::page(tx, after.as_ref(), PAGE))?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (digest, package) in page {
                let fits = name.as_ref().is_none_or(|name| *name == package.name)
                    && arch.as_ref().is_none_or(|arch| *arch == package.arch)
                    && kind.is_none_or(|kind| kind == package.kind);
                if fits && left > 0 {
                    left -= 1;
                    rows.push((digest.to_hex(), json!(base.package(&digest))));
                }
            }
        }
        Ok(rows)
    }))
}

fn digest_of(request: &Request) -> Result<Digest> {
    let text = request.params.get("shasum")?;
    Digest::from_hex(&text).ok_or_else(|| rules::unknown_package(&text))
}

/// `GET /package/SHASUM`.
pub fn get(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let (digest, base) = (digest_of(request)?, Base::of(app, request)?);
    let (package, absent, upstreams, repos) = app.store.read(|tx| {
        let package = packages::get(tx, &digest)?.ok_or_else(|| rules::unknown_package(&digest.to_hex()))?;
        let (upstreams, repos) = packages::holders(tx, &digest)?;
        Ok((package, absent::is_absent(tx, &digest)?, upstreams, repos))
    })?;
    let mut shown = entry::entry(&digest, &package, None);
    shown.insert("present".to_owned(), json!(!absent));
    let links = |names: Vec<String>, link: &dyn Fn(&str) -> String| -> Map<String, Value> {
        names.into_iter().map(|name| (name.clone(), json!(link(&name)))).collect()
    };
    shown.insert("upstreams".to_owned(), links(upstreams, &|name| base.upstream(name)).into());
    shown.insert("repos".to_owned(), links(repos, &|name| base.repo(name)).into());
    Ok(Response::json(200, &shown))
}

/// `GET /package/SHASUM/content`.
pub fn content(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let digest = digest_of(request)?;
    let package = app.store.read(|tx| packages::get(tx, &digest))?;
    let package = package.ok_or_else(|| rules::unknown_package(&digest.to_hex()))?;
    let file = FileAnswer {
        source: on_demand::bytes(app, &digest, &request.head)?,
        etag: format!("\"{digest}\""),
        last_modified: package.known_at.system(),
        content_type: serve::content_type(&package.filename).to_owned(),
        download_name: Some(package.filename),
        cache_control: "public, max-age=31536000, immutable",
        extra: Vec::new(),
    };
    Ok(serve_file(&request.head, file))
}

/// `DELETE /package/SHASUM`.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let digest = digest_of(request)?;
    let (store, now, label, address) = (app.store.clone(), app.clock.now(), who.label(), request.peer.ip());
    app.store.commit(move |tx| {
        packages::remove(&store, tx, &digest)?;
        audit::note(tx, now, &label, "package.delete", &digest.to_hex(), Some(address))
    })?;
    Ok(Response::json(200, &json!({ "deleted": digest })))
}

/// What an upload says beside its bytes.
struct Said {
    name: Option<String>,
    plain: bool,
    digest: Option<Digest>,
    repo: Option<String>,
}

impl Said {
    fn read(request: &Request, query: &Query) -> Result<Said> {
        let plain = match query.get("type") {
            None | Some("") => false,
            Some("file") => true,
            Some("rpm" | "deb") => false,
            Some(_) => return Err(Error::invalid("type is rpm, deb or file")),
        };
        let header = request.head.headers.text("x-checksum-sha256");
        let digest = match query.get("shasum").or(header) {
            None => None,
            Some(text) => Some(Digest::from_hex(text.trim()).ok_or_else(|| Error::invalid("the shasum is none"))?),
        };
        let name = query.get("filename").filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Said { name, plain, digest, repo: query.get("repo").map(str::to_owned) })
    }
}

/// `POST /package`.
pub fn upload(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let base = Base::of(app, request)?;
    let said = Said::read(request, &request.query()?)?;
    if let Some(name) = &said.name {
        rules::base_name(name)?;
    }
    if let Some(repo) = &said.repo {
        app.store.read(|tx| repos::get(tx, repo))?.ok_or_else(|| rules::unknown_repo(repo))?;
    }
    let (staged, sent_name) = receive(app, request)?;
    if staged.size == 0 {
        return Err(Error::invalid("the body is empty"));
    }
    if said.digest.is_some_and(|digest| digest != staged.digest) {
        return Err(Error::invalid(format!("the bytes have another shasum: {}", staged.digest)));
    }
    let mut file = staged.open().map_err(Error::internal)?;
    let name = said.name.or(sent_name);
    let bytes = Bytes { digest: staged.digest, size: staged.size, name: name.as_deref(), plain: said.plain };
    let prepared = package::inspect(&mut file, &bytes, Depth::Whole, app.clock.now())?;
    drop(file);
    let (digest, known) = (staged.digest, app.store.read(|tx| packages::get(tx, &bytes.digest))?);
    let package = known.clone().unwrap_or_else(|| prepared.package.clone());
    let upload = Upload { staged, prepared, package: package.clone() };
    match said.repo {
        Some(repo) => add_to(app, who, request, &repo, upload)?,
        None => keep(app, who, request, upload)?,
    }
    let uri = base.package(&digest);
    let mut shown = Map::from_iter([("uri".to_owned(), json!(uri))]);
    shown.extend(entry::entry(&digest, &package, None));
    let response = Response::json(if known.is_some() { 200 } else { 201 }, &shown);
    Ok(response.header("Location", uri))
}

/// Keeps an upload that goes into no repo.
fn keep(app: &App, who: &Principal, request: &Request, upload: Upload) -> Result<()> {
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let Upload { staged, prepared, package } = upload;
    let (digest, name) = (staged.digest, package.filename);
    app.store.shelve(vec![staged], move |tx| {
        packages::admit(tx, &prepared, now)?;
        packages::upload(tx, &digest, &name, &label, now)?;
        audit::note(tx, now, &label, "package.upload", &format!("{name} {digest}"), Some(address))
    })
}

/// Keeps an upload and adds it to a repo, both or neither.
fn add_to(app: &App, who: &Principal, request: &Request, name: &str, upload: Upload) -> Result<()> {
    let asks = Asks::Upload(Box::new(upload));
    let entrant = Entrant { who: who.clone(), address: request.peer.ip(), asks };
    match together::publish(app, name, entrant)? {
        Told::Served(_) => Ok(()),
        Told::There(upload) => keep(app, who, request, *upload),
    }
}

/// The bytes, and the name they were sent under.
fn receive(app: &App, request: &mut Request) -> Result<(Staged, Option<String>)> {
    let limit = app.settings.max_upload;
    let form = request.media_type() == "multipart/form-data";
    let room = limit.map(|limit| if form { limit.saturating_add(FORM_ROOM) } else { limit });
    let length = request.body().length();
    if let (Some(room), Some(length)) = (room, length)
        && length > room
    {
        return Err(Error::new(Kind::TooLarge, "the file is larger than the configured limit"));
    }
    if !form {
        let name = request.head.headers.text("content-disposition").and_then(disposition_name);
        let mut stage = app.store.stage(length)?;
        stage.copy_from(request.body(), limit)?;
        return Ok((stage.finish()?, name));
    }
    let mut parts = request.multipart()?;
    let mut found = None;
    while let Some(mut part) = parts.next_part()? {
        if let (None, Some(name)) = (&found, part.file_name().map(str::to_owned)) {
            let mut stage = app.store.stage(length)?;
            stage.copy_from(&mut part, limit)?;
            found = Some((stage.finish()?, Some(name).filter(|name| !name.is_empty())));
        }
    }
    found.ok_or_else(|| Error::invalid("the form has no part with a file name"))
}

/// The file name in a `Content-Disposition` field.
fn disposition_name(value: &str) -> Option<String> {
    let parameter = |wanted: &str| {
        value.split(';').skip(1).find_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let extended = parameter("filename*").and_then(|value| {
        let encoded = value.strip_prefix("UTF-8''").or_else(|| value.strip_prefix("utf-8''"))?;
        crate::http::percent_decode(encoded).ok()
    });
    extended.or_else(|| parameter("filename")).filter(|name| !name.is_empty())
}
