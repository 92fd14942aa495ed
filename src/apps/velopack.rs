//! Velopack: what is read from a release list at upload, and the list served to clients (`faynosync.md` §14.7).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::App;
use crate::apps::downloads;
use crate::apps::links;
use crate::apps::memory;
use crate::apps::model::{self, Object};
use crate::apps::offers::Source;
use crate::apps::pick::{self, Axes, Owner, no_app};
use crate::apps::prepared::{Answer, Generation, Prepared};
use crate::apps::records::{self, Artifact, Package, Slot};
use crate::apps::rules::{self, Updater};
use crate::apps::updates::question;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response, parse_json};
use crate::identity::Principal;
use crate::ids::ObjectId;
use crate::store::table::Read;

/// The largest release list read, in bytes.
const LIST_LIMIT: u64 = 4 << 20;

/// What the release list among the files of an upload says of each package, in the files' order.
///
/// # Errors
/// `Invalid` when the list cannot be read or does not name a package that came with it; those of reading an artifact
/// on the shelf.
pub fn packages(app: &App, sources: &[Source]) -> Result<Vec<Option<Package>>> {
    let list = sources.iter().find(|source| rules::is_velopack_list(&source.name().to_ascii_lowercase()));
    let Some(list) = list else { return Ok(sources.iter().map(|_| None).collect()) };
    let list_name = list.name();
    if list.size() > LIST_LIMIT {
        return Err(Error::invalid(format!("{list_name} is larger than 4 MB")));
    }
    let unreadable = || Error::invalid(format!("{list_name} is not a Velopack release list"));
    let parsed = parse_json(&list.head(app, LIST_LIMIT)?).map_err(|_| unreadable())?;
    let assets = parsed.get("Assets").and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut packages = Vec::new();
    for name in sources.iter().map(Source::name) {
        let is_package = name.to_ascii_lowercase().ends_with(".nupkg");
        let named = |asset: &&Value| asset.get("FileName").and_then(Value::as_str) == Some(name);
        packages.push(match assets.iter().find(named) {
            Some(asset) if is_package => Some(package(asset).ok_or_else(unreadable)?),
            None if is_package => return Err(Error::invalid(format!("{list_name} does not name {name}"))),
            _ => None,
        });
    }
    Ok(packages)
}

fn package(asset: &Value) -> Option<Package> {
    let text = |key: &str| asset.get(key).and_then(Value::as_str);
    Some(Package {
        id: text("PackageId")?.to_owned(),
        delta: match text("Type")? {
            "Full" => false,
            "Delta" => true,
            _ => return None,
        },
        sha1: text("SHA1").unwrap_or_default().to_owned(),
        notes_markdown: text("NotesMarkdown").unwrap_or_default().to_owned(),
        notes_html: text("NotesHTML").or_else(|| text("NotesHtml")).unwrap_or_default().to_owned(),
    })
}

/// `GET /velopack/{owner}/{app}/{platform}/{arch}/{file}`: the release list of a channel, and the packages beside it.
/// A list of what nobody knows is empty; a package nobody knows is not found.
pub fn feed(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let file = request.params.get("file")?;
    let list = file.strip_prefix("releases.").and_then(|rest| rest.strip_suffix(".json"));
    match (find(app, request), list) {
        (Ok(place), Some(channel)) => release_list(app, request, &place, channel),
        (Ok(place), None) => {
            downloads::authorise_bytes(app, request, place.owner.tenant, place.app_id, &place.app)?;
            let slot = place.axes.slot(place.app_id);
            let artifact = app.store.read(|tx| package_named(tx, place.owner.tenant, slot, &file))?;
            let artifact = artifact.filter(|_| file.to_ascii_lowercase().ends_with(".nupkg"));
            downloads::bytes(app, request, &place.app, &artifact.ok_or_else(downloads::no_file)?)
        }
        (Err(error), Some(_)) if error.kind == Kind::NotFound => Ok(empty().response()),
        (Err(error), _) => Err(error),
    }
}

fn empty() -> Answer {
    Answer::json(&json!({ "Assets": [] }))
}

/// What a path of this feed names.
struct Place {
    owner: Owner,
    app_id: ObjectId,
    app: model::App,
    /// Without a channel: a package is found in any.
    axes: Axes,
    generation: Generation,
}

fn find(app: &App, request: &Request) -> Result<Place> {
    let param = |name| request.params.get(name);
    let (owner, name, platform, arch) = (param("owner")?, param("app")?, param("platform")?, param("arch")?);
    let owner = app.store.read(|tx| pick::owner(tx, Some(&owner)))?.ok_or_else(no_app)?;
    let generation = memory(app)?.prepared.generation(owner.tenant);
    app.store.read(|tx| {
        let (app_id, record) = pick::app(tx, owner.tenant, &name)?.ok_or_else(no_app)?;
        let axes = Axes {
            channel: None,
            platform: unset_or_found(tx, owner.tenant, Object::Platform, &platform)?,
            arch: unset_or_found(tx, owner.tenant, Object::Arch, &arch)?,
        };
        Ok(Place { owner, app_id, app: record, axes, generation })
    })
}

/// The release list of a channel.
fn release_list(app: &App, request: &mut Request, place: &Place, channel: &str) -> Result<Response> {
    let tenant = place.owner.tenant;
    downloads::authorise_bytes(app, request, tenant, place.app_id, &place.app)?;
    let base = links::base(app, request)?;
    let question = question(&format!("velopack {}", request.head.path), &base, &request.head);
    let answers = &memory(app)?.prepared;
    if let Some(prepared) = answers.get(&question) {
        return Ok(prepared.answer.response());
    }
    let answer = app.store.read(|tx| {
        let channel = match model::find(tx, tenant, Object::Channel, channel)? {
            Some(channel) => Some(channel),
            // Velopack always has a channel; a tenant may have none.
            None if channel == "-" || !model::any(tx, tenant, Object::Channel)? => None,
            None => return Ok(empty()),
        };
        let assets = list(tx, Axes { channel, ..place.axes }.slot(place.app_id))?;
        Ok(Answer::json(&json!({ "Assets": assets })))
    })?;
    let response = answer.response();
    answers.put(question, place.generation.clone(), Arc::new(Prepared { answer, seen: None }));
    Ok(response)
}

/// An axis of a path: `-` stands for unset; a name the tenant does not have is not found.
pub fn unset_or_found(tx: &impl Read, tenant: uuid::Uuid, object: Object, name: &str) -> Result<Option<ObjectId>> {
    match name {
        "-" => Ok(None),
        name => model::find(tx, tenant, object, name)?.ok_or_else(downloads::no_file).map(Some),
    }
}

/// The newest published package of that name in any channel.
fn package_named(tx: &impl Read, tenant: uuid::Uuid, slot: Slot, file: &str) -> Result<Option<Artifact>> {
    let channels = model::names(tx, tenant, Object::Channel)?.into_iter().map(|(_, id)| id);
    for channel in std::iter::once(model::UNSET).chain(channels) {
        let slot = Slot { channel, ..slot };
        let found = records::newest_file(tx, slot, file, |release| {
            Ok(release.artifacts_for(slot).find(|artifact| artifact.file_name == file).cloned())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The published packages of a slot, newest first. A difference is listed only when the version just below, the one
/// it starts from, is published too.
fn list(tx: &impl Read, slot: Slot) -> Result<Vec<Value>> {
    let mut assets = Vec::new();
    let mut deltas: Vec<Value> = Vec::new();
    let channel = (slot.channel != model::UNSET).then_some(slot.channel);
    records::newest_in_channel(tx, slot.app, channel, |release| {
        let mut packages = release
            .artifacts_for(slot)
            .filter(|artifact| artifact.updater == Some(Updater::Velopack))
            .filter_map(|artifact| artifact.package.as_ref().map(|package| (artifact, package)))
            .peekable();
        if packages.peek().is_none() {
            return Ok(None::<()>);
        }
        if release.published {
            assets.append(&mut deltas);
        }
        deltas.clear();
        for (artifact, package) in packages.filter(|_| release.published) {
            let shown = show(artifact, package, &release.version);
            if package.delta { deltas.push(shown) } else { assets.push(shown) }
        }
        Ok(None)
    })?;
    Ok(assets)
}

fn show(artifact: &Artifact, package: &Package, version: &str) -> Value {
    json!({
        "PackageId": package.id,
        "Version": version,
        "Type": if package.delta { "Delta" } else { "Full" },
        "FileName": artifact.file_name,
        "SHA1": package.sha1,
        "SHA256": artifact.digest.to_hex().to_uppercase(),
        "Size": artifact.size,
        "NotesMarkdown": package.notes_markdown,
        "NotesHTML": package.notes_html,
    })
}
