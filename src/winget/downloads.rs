//! Installers and logos on their way out (`winget.md` B7).

use serde_json::json;
use uuid::Uuid;

use crate::app::{App, BlobSource};
use crate::error::{Error, Kind, Result};
use crate::http::{FileAnswer, Method, Request, Response, serve_file};
use crate::identity::{Principal, clients};
use crate::ids::Digest;
use crate::winget::gate::{Visit, segment};
use crate::winget::links::{Signed, logo_name};
use crate::winget::model::{self, Package, Row};
use crate::winget::notes::{Download, EXTERN};
use crate::winget::tenant::Hidden;
use crate::winget::{memory, status};

/// Prints an [`Error`] of these routes the way Part B does: `[{"ErrorCode","ErrorMessage"}]`.
pub fn error_response(error: &Error) -> Response {
    let status = if error.kind == Kind::Quota { 507 } else { status(error.kind) };
    let code = match status {
        400 => 3,
        500.. => 1,
        other => other,
    };
    Response::json(status, &json!([{ "ErrorCode": code, "ErrorMessage": error.message }]))
}

fn unknown() -> Error {
    Error::not_found("file not found")
}

/// Who opened a link.
enum Visitor {
    /// Holds a login or token of the tenant, or a link made for somebody who does.
    Inside(String),
    /// A client by its own link: id and name.
    Client(Uuid, String),
    /// Anybody, where the tenant asks for no token.
    Anybody,
}

/// `GET`, `HEAD /winget/{tenant}/files/{uid}/{name}`: an installer's bytes.
pub fn installer(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let uid = segment(request, "uid")?.parse::<Uuid>();
    let visitor = visitor(app, &visit, request, uid.clone().unwrap_or_default())?;
    let uid = uid.map_err(|_| unknown())?;
    let found = app.store.read(|tx| {
        let Some((package, row)) = model::row(tx, visit.tenant, uid)? else { return Ok(None) };
        let client = if let Visitor::Client(client, _) = visitor { Some(client) } else { None };
        let hidden = Hidden::from_client(tx, visit.tenant, &visit.settings, client)?;
        let open = matches!(visitor, Visitor::Inside(_)) || (package.active && !hidden.has(&package.id));
        Ok(Some((package, row, open)))
    })?;
    let (package, row, open) = found.ok_or_else(unknown)?;
    if !open {
        return Err(refused());
    }
    let response = bytes(app, request, &package, &row)?;
    if request.head.method == Method::Get && matches!(response.status, 200 | 206) {
        note(app, &visit, &visitor, request, &package, &row)?;
    }
    Ok(response)
}

fn refused() -> Error {
    Error::forbidden("the download link is invalid or expired")
}

/// Who is behind a download: a login or API token opens it, then the link itself, then the tenant's openness.
fn visitor(app: &App, visit: &Visit, request: &mut Request, uid: Uuid) -> Result<Visitor> {
    let admin = match visit.bearer(app, &request.head)? {
        None => visit.api_token(app, &request.head)?,
        found => found,
    };
    if let Some(admin) = admin {
        request.set_note(admin.label.clone());
        return Ok(Visitor::Inside(admin.label));
    }
    let query = request.query()?;
    let link = Signed { expires: query.get("e"), client: query.get("c"), signature: query.get("s") };
    match memory(app)?.signer.made_for(&link, visit.tenant, uid, app.clock.now())? {
        Some(Some(id)) => {
            let client = app.store.read(|tx| clients::get(tx, visit.tenant, id))?;
            let client = client.filter(|client| client.admits(Some(visit.address))).ok_or_else(refused)?;
            request.set_note(format!("client:{id}"));
            Ok(Visitor::Client(id, client.name))
        }
        Some(None) => Ok(Visitor::Inside(EXTERN.to_owned())),
        None if !visit.settings.client_authentication => Ok(Visitor::Anybody),
        None => Err(refused()),
    }
}

fn bytes(app: &App, request: &Request, package: &Package, row: &Row) -> Result<Response> {
    let file = row.file.as_ref().ok_or_else(unknown)?;
    let answer = FileAnswer {
        source: Box::new(app.bytes(&file.digest, &request.head)?),
        etag: format!("\"{}\"", file.digest),
        last_modified: row.added.unwrap_or(package.created).system(),
        content_type: "application/octet-stream".to_owned(),
        download_name: Some(model::file_name(package, row)),
        cache_control: "private, no-cache",
        extra: Vec::new(),
    };
    Ok(serve_file(&request.head, answer))
}

fn note(app: &App, visit: &Visit, visitor: &Visitor, request: &Request, package: &Package, row: &Row) -> Result<()> {
    let (client, name) = match visitor {
        Visitor::Client(id, name) => (Some(*id), name.as_str()),
        Visitor::Inside(label) => (None, label.as_str()),
        Visitor::Anybody => (None, EXTERN),
    };
    let message = format!("{name} downloaded {} {} ({})", package.id, row.version, row.architecture);
    memory(app)?.notes.download(Download {
        tenant: visit.tenant,
        client,
        address: visit.address,
        uid: row.uid,
        part: request.head.headers.get("range").is_some(),
        message,
        at: app.clock.now(),
    });
    Ok(())
}

/// `GET`, `HEAD /winget/{tenant}/logo/{sha256}.{png|jpg}`: a logo's bytes, for anybody the tenant's addresses admit.
pub fn logo(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let name = segment(request, "name")?;
    let (digest, extension): (Digest, &str) = logo_name(&name).ok_or_else(unknown)?;
    let picture = app.store.read(|tx| model::logo(tx, visit.tenant, digest))?;
    let picture = picture.filter(|picture| picture.extension() == extension).ok_or_else(unknown)?;
    let answer = FileAnswer {
        source: Box::new(BlobSource(app.store.blob(&digest)?)),
        etag: format!("\"{digest}\""),
        last_modified: std::time::UNIX_EPOCH,
        content_type: picture.media_type().to_owned(),
        download_name: None,
        cache_control: "private, max-age=86400",
        extra: Vec::new(),
    };
    Ok(serve_file(&request.head, answer))
}
