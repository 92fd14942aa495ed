//! The routes of uploads by chunks (`winget.md` A7).

use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::winget::chunking::{self, Chunk};
use crate::winget::chunks::{self, Piece};
use crate::winget::gate::Visit;
use crate::winget::memory;
use crate::winget::uploads::{self, Progress, UploadKey};

/// How far an upload is, as it is told.
fn shown(progress: &Progress) -> Value {
    match progress {
        Progress::Incomplete(upload) => json!({
            "status": "incomplete",
            "complete": false,
            "received": upload.runs.bytes(),
            "total": upload.total,
            "missing": upload.runs.missing(upload.total),
        }),
        Progress::Complete(name, file) => json!({
            "status": "complete",
            "complete": true,
            "received": file.size,
            "total": file.size,
            "missing": [],
            "server_filename": name,
            "sha256": file.digest,
            "size": file.size,
        }),
    }
}

fn unknown() -> Error {
    Error::not_found("Upload not found")
}

/// A field of the head as text; bytes that are none count as a malformed value.
fn field<'h>(request: &'h Request, name: &str) -> Option<&'h str> {
    request.head.headers.get(name)?;
    Some(request.head.headers.text(name).unwrap_or("\u{0}"))
}

fn key(visit: &Visit, account: crate::ids::ObjectId, request: &Request) -> Result<UploadKey> {
    let file_id = chunks::file_id(field(request, "x-file-id"))?.to_owned();
    Ok(UploadKey { tenant: visit.tenant, account, file_id })
}

/// `POST upload_package_version`: one chunk.
pub fn chunk(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let admin = visit.owner(app, request)?;
    let key = key(&visit, admin.account, request)?;
    let piece = Piece::parse(field(request, "content-range"))?;
    let chunk = Chunk { key, piece, quota: visit.settings.storage_quota, who: &admin.label };
    let desk = &memory(app)?.desk;
    let progress = match request.media_type().as_str() {
        "multipart/form-data" => from_form(app, desk, &chunk, request)?,
        _ => {
            if request.body().length().is_some_and(|length| length != piece.length()) {
                return Err(Error::invalid("the body does not have the length that Content-Range says"));
            }
            chunk.take(app, desk, request.body())?
        }
    };
    Ok(Response::json(200, &shown(&progress)))
}

/// Takes the file part `chunk`.
fn from_form(app: &App, desk: &chunking::Desk, chunk: &Chunk<'_>, request: &mut Request) -> Result<Progress> {
    let mut parts = request.multipart()?;
    while let Some(mut part) = parts.next_part()? {
        if part.name() == Some("chunk") {
            return chunk.take(app, desk, &mut part);
        }
    }
    Err(Error::invalid("the form has no file part named chunk"))
}

/// `GET upload_package_version`: how far an upload is.
pub fn status(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let admin = visit.owner(app, request)?;
    let key = key(&visit, admin.account, request)?;
    let progress = app.store.read(|tx| uploads::progress(tx, &key))?.ok_or_else(unknown)?;
    Ok(Response::json(200, &shown(&progress)).header("Cache-Control", "no-store"))
}

/// `DELETE upload_package_version`: drops an upload.
pub fn remove(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let admin = visit.owner(app, request)?;
    let key = key(&visit, admin.account, request)?;
    chunking::remove(app, &key)?;
    Ok(Response::json(200, &json!({ "Message": "Upload was removed successfully!" })))
}
