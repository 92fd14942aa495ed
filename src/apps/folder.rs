//! The update folder: a static feed for client frameworks, made of what is published (`faynosync.md` §11).

use std::sync::Arc;

use crate::app::App;
use crate::apps::downloads::{self, no_file};
use crate::apps::links::{self, Links};
use crate::apps::memory;
use crate::apps::model::{self, Object};
use crate::apps::pick::{self, Axes, Client, no_app};
use crate::apps::prepared::{Answer, Generation, Prepared};
use crate::apps::records::{self, Artifact, Slot};
use crate::apps::rules;
use crate::apps::sparkle;
use crate::apps::telemetry::{self, Labels, Seen};
use crate::apps::updates::{device, leave, question};
use crate::apps::velopack::unset_or_found;
use crate::apps::versions::Version;
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::ObjectId;

/// A place in the update folder.
struct Place {
    owner: pick::Owner,
    app_id: ObjectId,
    app: model::App,
    slot: Slot,
    version: Version,
    labels: Labels,
    generation: Generation,
}

/// `GET`, `HEAD /update/{owner}/{app}/{channel}/{platform}/{arch}/{version}/{file}`.
pub fn file(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let place = place(app, request)?;
    downloads::authorise_bytes(app, request, place.owner.tenant, place.app_id, &place.app)?;
    let name = request.params.get("file")?;
    if name.eq_ignore_ascii_case("appcast.xml") {
        return appcast(app, request, place);
    }
    let lower = name.to_ascii_lowercase();
    let is_list = lower == "releases"
        || rules::is_velopack_list(&lower)
        || [".yml", ".yaml"].iter().any(|extension| lower.ends_with(extension));
    let client = Client { version: &place.version, device: device(&request.head), native: true };
    let found = app.store.read(|tx| {
        let cap = if is_list { pick::cap(tx, place.slot, client)?.0 } else { None };
        records::newest_file(tx, place.slot, &name, |release| {
            let version = release.order()?;
            // Lists say what to install; files beside them are fetched by whoever was told of them.
            if is_list && (!client.takes(&release) || cap.as_ref().is_some_and(|cap| version > *cap)) {
                return Ok(None);
            }
            let fits = |artifact: &&Artifact| {
                artifact.file_name == name || (lower == "releases" && artifact.file_name.eq_ignore_ascii_case(&name))
            };
            let found = release.artifacts_for(place.slot).find(fits);
            Ok(found.map(|artifact| (artifact.clone(), version)))
        })
    })?;
    let (artifact, latest) = found.ok_or_else(no_file)?;
    let response = downloads::bytes(app, request, &place.app, &artifact)?;
    if is_list
        && response.status == 200
        && let Some(device) = telemetry::device(&request.head)
    {
        let seen = Seen::new(place.owner.tenant, place.app_id, place.labels, latest > place.version);
        memory(app)?.telemetry.count(&Arc::new(seen), device);
    }
    Ok(response)
}

/// Finds what the path names.
fn place(app: &App, request: &Request) -> Result<Place> {
    let param = |name| request.params.get(name);
    let (owner, name) = (param("owner")?, param("app")?);
    let names = [param("channel")?, param("platform")?, param("arch")?];
    let version = rules::version(&param("version")?).map_err(|_| no_file())?;
    let owner = app.store.read(|tx| pick::owner(tx, Some(&owner)))?.ok_or_else(no_app)?;
    let generation = memory(app)?.prepared.generation(owner.tenant);
    app.store.read(|tx| {
        let (app_id, record) = pick::app(tx, owner.tenant, &name)?.ok_or_else(no_app)?;
        let find = |object, name: &str| unset_or_found(tx, owner.tenant, object, name);
        let [channel, platform, arch] = names;
        let axes = Axes {
            channel: find(Object::Channel, &channel)?,
            platform: find(Object::Platform, &platform)?,
            arch: find(Object::Arch, &arch)?,
        };
        let or_empty = |name: String| if name == "-" { String::new() } else { name };
        let labels = Labels {
            app: name,
            channel: or_empty(channel),
            platform: or_empty(platform),
            arch: or_empty(arch),
            version: version.text().to_owned(),
        };
        Ok(Place { owner, app_id, app: record, slot: axes.slot(app_id), version, labels, generation })
    })
}

/// The generated appcast.
fn appcast(app: &App, request: &Request, place: Place) -> Result<Response> {
    let base = links::base(app, request)?;
    let question = question(&format!("appcast {}", request.head.path), &base, &request.head);
    if let Some(prepared) = memory(app)?.prepared.get(&question) {
        return Ok(leave(memory(app)?, &prepared, &request.head));
    }
    let client = Client { version: &place.version, device: device(&request.head), native: true };
    let links = Links::new(base, &place.owner.name, place.owner.first);
    let (text, outdated, by_device) = app.store.read(|tx| {
        let chosen = pick::choose(tx, place.slot, client)?;
        let choice = chosen.choice.ok_or_else(no_file)?;
        let (text, by_device) = sparkle::appcast(tx, place.slot, &place.app.name, client, &links)?;
        Ok((text, choice.version > place.version, by_device || chosen.by_device))
    })?;
    let seen = Seen::new(place.owner.tenant, place.app_id, place.labels, outdated);
    let prepared = Arc::new(Prepared { answer: Answer::xml(text), seen: Some(Arc::new(seen)) });
    if !by_device {
        memory(app)?.prepared.put(question, place.generation, prepared.clone());
    }
    Ok(leave(memory(app)?, &prepared, &request.head))
}
