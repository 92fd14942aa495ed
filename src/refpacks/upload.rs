//! `POST /packages`: receives an archive, has it judged, and publishes it (`refpack.md` §3, §4).

use std::thread;

use serde_json::{Value, json};

use crate::app::App;
use crate::audit;
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::formats::refpack::{Archive, Fault, JUDGE_STACK, Pack};
use crate::formats::{self, Facts};
use crate::http::{Part, Request, Response};
use crate::identity::{Principal, account_of};
use crate::refpacks::Desk;
use crate::refpacks::model::{self, Push, Version};
use crate::refpacks::rules::{self, Publisher};
use crate::store::Staged;

/// The largest upload when the operator says nothing, in bytes.
const LIMIT: u64 = 256 << 20;
/// What a multipart body may be larger than the archive in it.
const FORM_ROOM: u64 = 1 << 20;

/// Who publishes, as the rules want it.
pub(super) struct Publishing {
    pub(super) publisher: Publisher,
    pub(super) admin: bool,
    /// The owner label of packages that have none by themselves.
    pub(super) name: String,
}

/// The publisher behind a principal.
pub(super) fn publishing(app: &App, who: &Principal) -> Result<Publishing> {
    let account = app.store.read(|tx| account_of(tx, who))?;
    let (token, admin) = match who {
        Principal::Token(token) => (Some(token.key), token.admin),
        Principal::Account(account) => (None, account.operator),
        Principal::Anonymous | Principal::Client(_) => (None, false),
    };
    match (account, token) {
        (Some(account), _) => {
            Ok(Publishing { publisher: Publisher::Account(account.id), admin, name: account.username })
        }
        (None, Some(key)) => Ok(Publishing { publisher: Publisher::Token(key), admin, name: key.fingerprint() }),
        (None, None) => Err(Error::new(Kind::Unauthenticated, crate::app::NO_API_KEY)),
    }
}

/// `POST /packages`: one archive becomes one immutable version.
pub fn upload(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    request.set_note(who.label());
    let publishing = publishing(app, who)?;
    let Received { staged, file_name, owner } = receive(app, request)?;
    let now = app.clock.now();
    let pack = match judge(app, &staged, now.seconds())? {
        Ok(pack) => pack,
        Err(faults) => return Ok(refused(&faults)),
    };
    let id = pack.manifest.id.clone();
    rules::check_id(&id)?;
    let owner = owner.filter(|owner| !owner.is_empty());
    owner.as_deref().map_or(Ok(()), rules::check_owner_label)?;

    let (digest, size) = (staged.digest, staged.size);
    let version = Version::of(&pack, digest, size, now);
    let text = version.text.clone();
    let facts =
        Facts { kind: formats::Kind::Refpack, name: Some(id.clone()), version: Some(text.clone()), ..Facts::default() };
    let (label, address) = (who.label(), request.peer.ip());
    let push = Push {
        number: pack.manifest.version,
        version,
        manifest: pack.manifest.all,
        publisher: publishing.publisher,
        admin: publishing.admin,
        owner,
        default_owner: rules::vendor(&id).map_or(publishing.name, str::to_owned),
        who: label.clone(),
        id: id.clone(),
    };
    let first_name = file_name.unwrap_or_else(|| rules::file_name(&id, &text));
    let desk = app.rooms.get::<Desk>()?;
    let changing = desk.search.change(&id);
    app.store.shelve(vec![staged], move |tx| {
        let package = model::judge(tx, &push)?;
        catalog::admit(tx, &digest, size, &facts, &first_name, now)?;
        model::add(tx, &push, &package)?;
        let subject = format!("{} {}", push.id, push.version.text);
        audit::note(tx, now, &label, "refpack.push", &subject, Some(address))
    })?;
    drop(changing);
    let shown = json!({
        "success": true,
        "packageId": id,
        "version": text,
        "message": "Package uploaded.",
        "checksum": format!("sha256:{digest}"),
    });
    Ok(Response::json(200, &shown))
}

/// What came in.
struct Received {
    staged: Staged,
    /// The client's name for it, if it said one.
    file_name: Option<String>,
    owner: Option<String>,
}

fn receive(app: &App, request: &mut Request) -> Result<Received> {
    let limit = app.settings.refpack_limit.unwrap_or(LIMIT);
    let media_type = request.media_type();
    let form = media_type == "multipart/form-data";
    let room = if form { limit.saturating_add(FORM_ROOM) } else { limit };
    let raw = ["application/zip", "application/octet-stream", "application/x-zip-compressed"];
    if !form && !raw.contains(&media_type.as_str()) {
        return Err(missing_file());
    }
    if request.body().length().is_some_and(|length| length > room) {
        return Err(too_large(limit));
    }
    let received = if form { receive_form(app, request, limit) } else { receive_raw(app, request, limit) };
    received.map_err(|e| match e.kind {
        // What the core says about a broken body has no short word yet.
        Kind::Invalid if !e.message.contains('\n') => {
            let worded = rules::refuse(Kind::Invalid, "Invalid upload", e.message);
            Error { cause: e.cause, ..worded }
        }
        Kind::TooLarge if !e.message.contains('\n') => too_large(limit),
        _ => e,
    })
}

fn missing_file() -> Error {
    rules::refuse(Kind::Invalid, "Missing file", "A RefPack .zip file is required")
}

fn too_large(limit: u64) -> Error {
    let sentence = format!("The package is larger than the limit of {} MB", limit >> 20);
    rules::refuse(Kind::TooLarge, "Package too large", sentence)
}

fn receive_raw(app: &App, request: &mut Request, limit: u64) -> Result<Received> {
    let owner = request.form_query()?.get("ownerId").map(str::to_owned);
    let length = request.body().length();
    if length == Some(0) {
        return Err(missing_file());
    }
    let mut stage = app.store.stage(length)?;
    stage.copy_from(request.body(), Some(limit))?;
    if stage.written() == 0 {
        return Err(missing_file());
    }
    Ok(Received { staged: stage.finish()?, file_name: None, owner })
}

/// The archive among the parts of a form.
enum Candidate {
    /// A file whose name is no archive's; its bytes were not kept.
    Misnamed,
    Taken(Staged, String),
}

fn receive_form(app: &App, request: &mut Request, limit: u64) -> Result<Received> {
    let length = request.body().length();
    let mut owner = None;
    // The part called `file` wins, whatever came before it.
    let (mut named, mut first) = (None, None);
    let mut parts = request.multipart()?;
    while let Some(mut part) = parts.next_part()? {
        let name = part.name().unwrap_or_default().to_owned();
        match part.file_name().map(str::to_owned) {
            Some(file_name) if named.is_none() && (name == "file" || first.is_none()) => {
                let candidate = take(app, &mut part, file_name, length, limit)?;
                if name == "file" {
                    named = Some(candidate);
                    first = None;
                } else {
                    first = Some(candidate);
                }
            }
            None if name == "ownerId" && owner.is_none() => owner = Some(part.text(1 << 10)?),
            _ => {}
        }
    }
    match named.or(first) {
        None => Err(missing_file()),
        Some(Candidate::Misnamed) => {
            Err(rules::refuse(Kind::Invalid, "Invalid file", "File must end with .zip or .refpack.zip"))
        }
        Some(Candidate::Taken(staged, file_name)) => Ok(Received { staged, file_name: Some(file_name), owner }),
    }
}

fn take(app: &App, part: &mut Part, file_name: String, length: Option<u64>, limit: u64) -> Result<Candidate> {
    if !rules::is_pack_name(&file_name) {
        return Ok(Candidate::Misnamed);
    }
    let mut stage = app.store.stage(length)?;
    stage.copy_from(part, Some(limit))?;
    Ok(Candidate::Taken(stage.finish()?, shown_name(&file_name)))
}

/// The client's file name as the catalog keeps it: without directories and control characters, at most 255 bytes.
fn shown_name(given: &str) -> String {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = base.chars().filter(|c| !c.is_control()).collect();
    while name.len() > 255 {
        name.pop();
    }
    name
}

/// Has a received archive judged. The outer error is the server's, the inner ones are the archive's.
fn judge(app: &App, staged: &Staged, now: i64) -> Result<Result<Pack, Vec<Fault>>> {
    let desk = app.rooms.get::<Desk>()?;
    let require = app.settings.refpack_signatures;
    let run = || {
        let mut file = staged.open()?;
        let checked = Archive::check(&mut file, staged.size);
        Ok(checked.and_then(|archive| {
            let _share = desk.scales.take(archive.cost());
            archive.judge(&mut file, require, now)
        }))
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("judge".into()).stack_size(JUDGE_STACK);
        let worker = worker.spawn_scoped(scope, run).map_err(|e| Error::busy("too many uploads", 1).because(e))?;
        match worker.join() {
            Ok(judged) => judged.map_err(|e: std::io::Error| Error::internal(e)),
            // Nothing a client sends may be a fault of the server.
            Err(_) => Ok(Err(vec![Fault::new("zip_invalid", "", "the package cannot be read")])),
        }
    })
}

/// The answer for a package that breaks the rules.
fn refused(faults: &[Fault]) -> Response {
    let details: Vec<Value> = faults
        .iter()
        .map(|fault| json!({ "code": fault.code, "path": fault.path, "message": fault.message }))
        .collect();
    let shown = json!({
        "error": "Package validation failed",
        "message": "The package does not conform to RefPack specification or validation failed",
        "details": details,
    });
    Response::json(400, &shown)
}
