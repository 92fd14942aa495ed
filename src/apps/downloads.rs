//! `GET /download`: artifacts by key, and links to those of private apps (`faynosync.md` §12).

use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::apps::actor::Actor;
use crate::apps::links::{self, Links};
use crate::apps::memory;
use crate::apps::model::{self, Object};
use crate::apps::pick;
use crate::apps::records::{self, Artifact, Release};
use crate::apps::rules;
use crate::error::{Error, Result};
use crate::http::{FileAnswer, Request, Response, serve_file};
use crate::identity::Principal;
use crate::ids::ObjectId;
use crate::store::table::Read;

/// What is answered for a file that is not there.
pub fn no_file() -> Error {
    Error::not_found("file not found")
}

/// An artifact and whose it is.
struct Found {
    owner: pick::Owner,
    app_id: ObjectId,
    app: model::App,
    artifact: Artifact,
}

/// `GET`, `HEAD /download?key=KEY`: bytes of public apps, links to those of private ones.
pub fn by_query(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let literal = request.query()?;
    let key = pick::given(&literal, "key").ok_or_else(|| Error::invalid("key is required"))?;
    let owner = pick::given(&literal, "owner");
    let mut found = app.store.read(|tx| find(tx, &key, owner.as_deref()))?;
    if found.is_none() && key.contains('+') {
        // Names hold blanks and some clients write a blank as `+`.
        let key = key.replace('+', " ");
        found = app.store.read(|tx| find(tx, &key, owner.as_deref()))?;
    }
    let Found { owner, app_id, app: record, artifact } = found.ok_or_else(no_file)?;
    if !record.private {
        return bytes(app, request, &record, &artifact);
    }
    let (expires, signature) = (literal.get("expires"), literal.get("signature"));
    if expires.is_some() || signature.is_some() {
        memory(app)?.signer.check(owner.tenant, &artifact.key, expires, signature, app.clock.now())?;
        return bytes(app, request, &record, &artifact);
    }
    let open = app.settings.open_private_downloads;
    if !open {
        authorise(app, request, owner.tenant, app_id)?;
    }
    let links = Links::new(links::base(app, request)?, &owner.name, owner.first);
    let link = links.signed(&memory(app)?.signer, owner.tenant, &artifact, app.clock.now())?;
    let response = match open || literal.get("redirect") == Some("true") {
        true => Response::redirect(302, link),
        false => Response::json(200, &json!({ "download_url": link })),
    };
    Ok(response.header("Cache-Control", "no-store"))
}

/// `GET`, `HEAD /download/KEY`: the bytes themselves.
pub fn by_path(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let key = request.params.get("key")?;
    if key.is_empty() {
        return Err(Error::invalid("key is required"));
    }
    let owner = request.head.query.as_deref().and_then(|_| request.query().ok());
    let owner = owner.as_ref().and_then(|query| pick::given(query, "owner"));
    let found = app.store.read(|tx| find(tx, &key, owner.as_deref()))?.ok_or_else(no_file)?;
    authorise_bytes(app, request, found.owner.tenant, found.app_id, &found.app)?;
    bytes(app, request, &found.app, &found.artifact)
}

/// The artifact under a key: of the owner named, else of whoever the key itself names, else the first owner's, else
/// the only tenant's that has it.
fn find(tx: &impl Read, key: &str, owner: Option<&str>) -> Result<Option<Found>> {
    let mut rows = records::linked(tx, key)?;
    let has_own_name =
        |release: &Release| release.artifacts.iter().any(|artifact| artifact.key == key && artifact.updater.is_some());
    let tenant = match owner {
        Some(name) => pick::owner(tx, Some(name))?.map(|owner| owner.tenant),
        None => match rows.iter().find(|(_, release)| has_own_name(release)) {
            Some((tenant, _)) => Some(*tenant),
            None => {
                let first = pick::owner(tx, None)?.map(|owner| owner.tenant);
                let firsts = first.filter(|first| rows.iter().any(|(tenant, _)| tenant == first));
                firsts.or(if let [(only, _)] = rows.as_slice() { Some(*only) } else { None })
            }
        },
    };
    let Some(at) = rows.iter().position(|(of, _)| Some(*of) == tenant) else { return Ok(None) };
    let (tenant, release) = rows.swap_remove(at);
    let app_id = release.app;
    let artifact = release.artifacts.into_iter().find(|artifact| artifact.key == key);
    match (pick::owner_of(tx, tenant)?, model::app(tx, app_id)?, artifact) {
        (Some(owner), Some(app), Some(artifact)) => Ok(Some(Found { owner, app_id, app, artifact })),
        _ => Ok(None),
    }
}

/// Asks for a session of the owner, or of a team user who may download this app.
fn authorise(app: &App, request: &mut Request, tenant: Uuid, app_id: ObjectId) -> Result<()> {
    let who = app.login(&request.head)?;
    request.set_note(who.label());
    let actor = Actor::of(app, &who)?;
    if actor.tenant != tenant {
        return Err(Error::forbidden("Permission denied"));
    }
    actor.may(Object::App, |rights| rights.download)?;
    actor.access(Object::App, app_id)
}

/// The same where the bytes themselves are asked for: nothing is needed for public apps.
pub fn authorise_bytes(
    app: &App,
    request: &mut Request,
    tenant: Uuid,
    app_id: ObjectId,
    record: &model::App,
) -> Result<()> {
    match record.private && !app.settings.open_private_downloads {
        true => authorise(app, request, tenant, app_id),
        false => Ok(()),
    }
}

/// Serves an artifact's bytes to somebody who may have them.
pub fn bytes(app: &App, request: &Request, record: &model::App, artifact: &Artifact) -> Result<Response> {
    let blob = match app.store.blob(&artifact.digest) {
        // Deleted between the look-up and the opening: as if it had been asked for afterwards.
        Err(_) if app.store.read(|tx| records::linked(tx, &artifact.key)).is_ok_and(|rows| rows.is_empty()) => {
            return Err(no_file());
        }
        blob => blob?,
    };
    let file = FileAnswer {
        source: Box::new(app.counted(blob, &request.head)),
        etag: format!("\"{}\"", artifact.digest),
        last_modified: artifact.added.system(),
        content_type: rules::media_type(&artifact.file_name).to_owned(),
        download_name: Some(artifact.file_name.clone()),
        cache_control: if record.private { "private, no-cache" } else { "no-cache" },
        extra: Vec::new(),
    };
    Ok(serve_file(&request.head, file))
}
