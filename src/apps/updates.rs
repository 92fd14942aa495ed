//! The hot routes of installed clients: `GET /checkVersion` and `GET /apps/latest` (`faynosync.md` §8).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::apps::links::{self, Links};
use crate::apps::model::{self, Object};
use crate::apps::pick::{self, Client, Names, Owner, given, no_app};
use crate::apps::prepared::{Answer, Prepared};
use crate::apps::records::{self, Release};
use crate::apps::rules::{self, Updater};
use crate::apps::telemetry::{self, Labels, Seen};
use crate::apps::updaters;
use crate::apps::versions::Version;
use crate::apps::{Apps, memory};
use crate::error::{Error, Result};
use crate::http::{Head, Query, Request, Response};
use crate::identity::Principal;
use crate::ids::ObjectId;
use crate::store::table::Read;

/// A check as a client asks it.
#[derive(Debug)]
pub struct Check {
    /// The app.
    pub app: String,
    /// The client's version.
    pub version: Version,
    /// Channel, platform and architecture.
    pub names: Names,
    owner: Option<String>,
    updater: Option<String>,
    /// A client ahead of the latest version wants to go back.
    pub rollback: bool,
}

impl Check {
    fn read(query: &Query) -> Result<Check> {
        let app = given(query, "app_name").filter(|name| rules::is_app_name(name));
        let app = app.ok_or_else(|| Error::invalid("invalid app_name parameter"))?;
        let version = rules::version(query.get("version").unwrap_or_default())?;
        let names =
            Names { channel: given(query, "channel"), platform: given(query, "platform"), arch: given(query, "arch") };
        names.check()?;
        let rollback = query.get("rollback") == Some("true");
        Ok(Check { app, version, names, owner: given(query, "owner"), updater: given(query, "updater"), rollback })
    }
}

/// What a prepared answer is kept under: the route, the links' base, and everything the client asked.
pub fn question(route: &str, base: &str, head: &Head) -> Box<[u8]> {
    let query = head.query.as_deref().unwrap_or_default();
    // None of the three holds a zero byte.
    [route, base, query].join("\0").into_bytes().into()
}

/// Sends a prepared answer off, and counts it when a device asked.
pub fn leave(apps: &Apps, prepared: &Prepared, head: &Head) -> Response {
    if let (Some(seen), Some(device)) = (&prepared.seen, telemetry::device(head)) {
        apps.telemetry.count(seen, device);
    }
    prepared.answer.response()
}

/// The device as text, for rollouts.
pub fn device(head: &Head) -> Option<&str> {
    telemetry::device(head).and_then(|device| std::str::from_utf8(device).ok())
}

/// `GET /checkVersion`.
pub fn check(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (apps, base) = (memory(app)?, links::base(app, request)?);
    let question = question("check", &base, &request.head);
    if let Some(prepared) = apps.prepared.get(&question) {
        return Ok(leave(apps, &prepared, &request.head));
    }
    let check = Check::read(&request.form_query()?)?;
    let owner = app.store.read(|tx| pick::owner(tx, check.owner.as_deref()))?.ok_or_else(no_app)?;
    let generation = apps.prepared.generation(owner.tenant);
    let (prepared, by_device) = app.store.read(|tx| answer(tx, &check, &owner, base, device(&request.head)))?;
    let prepared = Arc::new(prepared);
    if !by_device {
        apps.prepared.put(question, generation, prepared.clone());
    }
    Ok(leave(apps, &prepared, &request.head))
}

/// Answers a check from the tables; says too whether the answer depends on the device.
fn answer(
    tx: &impl Read,
    check: &Check,
    owner: &Owner,
    base: String,
    device: Option<&str>,
) -> Result<(Prepared, bool)> {
    let (app_id, app) = pick::app(tx, owner.tenant, &check.app)?.ok_or_else(no_app)?;
    check.names.require(tx, owner.tenant)?;
    let axes = check.names.find(tx, owner.tenant)?;
    let platform = match axes.platform {
        Some(id) => model::axis(tx, Object::Platform, id)?,
        None => None,
    };
    let updater = rules::choose_updater(check.updater.as_deref(), platform.as_ref().map_or(&[], model::offered))?;
    let slot = axes.slot(app_id);
    let native = updater != Updater::Manual;
    let chosen = pick::choose(tx, slot, Client { version: &check.version, device, native })?;
    let links = Links::new(base, &owner.name, owner.first);
    let outdated = chosen.choice.as_ref().is_some_and(|choice| choice.version > check.version);
    let asked = updaters::Asked { check, owner, app: &app, slot, device };
    let (answer, by_device) = match (&chosen.choice, updater) {
        (Some(choice), Updater::Manual) => (manual(check, slot, choice, &links), false),
        (None, Updater::Manual) => (Answer::json(&json!({ "update_available": false, "error": "Not found" })), false),
        (choice, updater) => updaters::answer(tx, updater, &asked, choice.as_ref(), &links)?,
    };
    let labels = Labels {
        app: app.name,
        channel: check.names.channel.clone().unwrap_or_default(),
        platform: check.names.platform.clone().unwrap_or_default(),
        arch: check.names.arch.clone().unwrap_or_default(),
        version: check.version.text().to_owned(),
    };
    let seen = Some(Arc::new(Seen::new(owner.tenant, app_id, labels, outdated)));
    Ok((Prepared { answer, seen }, by_device || chosen.by_device))
}

/// The answer that leaves everything to the client.
fn manual(check: &Check, slot: records::Slot, choice: &pick::Choice, links: &Links) -> Answer {
    let (release, latest) = (&choice.release, &choice.version);
    let available = *latest > check.version;
    let mut shown = Map::new();
    shown.insert("update_available".into(), available.into());
    shown.insert("critical".into(), (available && release.critical).into());
    if !available {
        shown.insert("possible_rollback".into(), (*latest < check.version).into());
    }
    if choice.forced {
        shown.insert("is_intermediate_required".into(), true.into());
    }
    if release.rollout < 100 {
        shown.insert("rollout".into(), json!({ "percent": release.rollout, "seed": release.seed }));
    }
    for artifact in release.artifacts_for(slot) {
        let extension = artifact.extension.strip_prefix('.').unwrap_or(&artifact.extension);
        if ["blockmap", "nupkg"].iter().any(|aside| extension.eq_ignore_ascii_case(aside)) {
            continue;
        }
        let key = match extension {
            "" => "update_url".to_owned(),
            extension => format!("update_url_{extension}"),
        };
        shown.entry(key).or_insert_with(|| links.artifact(artifact).into());
    }
    if !release.changelog.is_empty() && *latest != check.version {
        shown.insert("changelog".into(), format!("{}\n", release.changelog).into());
    }
    if let Some(signature) = release.artifacts_for(slot).find_map(|artifact| artifact.signature.as_deref()) {
        shown.insert("signature".into(), signature.into());
    }
    Answer::json(&Value::Object(shown))
}

/// `GET /apps/latest`: where the newest artifacts of an app are.
pub fn latest(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (apps, base) = (memory(app)?, links::base(app, request)?);
    let question = question("latest", &base, &request.head);
    if let Some(prepared) = apps.prepared.get(&question) {
        return Ok(prepared.answer.response());
    }
    let query = request.form_query()?;
    let required = || Error::invalid("Parameters 'app_name' and 'channel' are required");
    let app_name = given(&query, "app_name").ok_or_else(required)?;
    let owner = app.store.read(|tx| pick::owner(tx, given(&query, "owner").as_deref()))?.ok_or_else(no_app)?;
    let generation = apps.prepared.generation(owner.tenant);
    let answer = app.store.read(|tx| {
        let channel = given(&query, "channel");
        if channel.is_none() && model::any(tx, owner.tenant, Object::Channel)? {
            return Err(required());
        }
        let (app_id, _) = pick::app(tx, owner.tenant, &app_name)?.ok_or_else(no_app)?;
        let channel = match channel {
            Some(name) => Some(model::find(tx, owner.tenant, Object::Channel, &name)?.ok_or_else(no_app)?),
            None => None,
        };
        let wanted = Wanted::read(tx, owner.tenant, &query)?;
        let links = Links::new(base, &owner.name, owner.first);
        let found = match wanted {
            Some(wanted) => {
                records::newest_in_channel(tx, app_id, channel, |release| wanted.show(tx, release, &links))?
            }
            None => None,
        };
        found.ok_or_else(|| Error::not_found("No matching data found for the provided parameters"))
    })?;
    let response = answer.response();
    apps.prepared.put(question, generation, Arc::new(Prepared { answer, seen: None }));
    Ok(response)
}

/// Channel, platform, architecture, extension → link.
type Tree = BTreeMap<String, BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>>;

/// Which artifacts of a release `/apps/latest` asks for.
struct Wanted {
    platform: Option<ObjectId>,
    arch: Option<ObjectId>,
    package: Option<String>,
}

impl Wanted {
    /// None when the query names something the tenant does not have: then nothing fits.
    fn read(tx: &impl Read, tenant: uuid::Uuid, query: &Query) -> Result<Option<Wanted>> {
        let mut wanted = Wanted { platform: None, arch: None, package: given(query, "package") };
        for (object, slot) in [(Object::Platform, &mut wanted.platform), (Object::Arch, &mut wanted.arch)] {
            if let Some(name) = given(query, object.word()) {
                match model::find(tx, tenant, object, &name)? {
                    Some(id) => *slot = Some(id),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(wanted))
    }

    /// The matching artifacts of a release as an answer; none when it is not published or nothing matches.
    fn show(&self, tx: &impl Read, release: &Release, links: &Links) -> Result<Option<Answer>> {
        if !release.published {
            return Ok(None);
        }
        let mut tree = Tree::new();
        let mut found: Vec<String> = Vec::new();
        let channel = or_default(model::name_of(tx, Object::Channel, release.channel)?);
        for artifact in &release.artifacts {
            let extension = match artifact.extension.strip_prefix('.').unwrap_or(&artifact.extension) {
                "" => "no-extension",
                extension => extension,
            };
            let asked = self.package.as_deref().map(|package| package.strip_prefix('.').unwrap_or(package));
            let fits = |wanted: Option<ObjectId>, has| wanted.is_none() || wanted == has;
            if asked.is_some_and(|asked| asked != extension)
                || !fits(self.platform, artifact.platform)
                || !fits(self.arch, artifact.arch)
            {
                continue;
            }
            let platform = or_default(model::name_of(tx, Object::Platform, artifact.platform)?);
            let arch = or_default(model::name_of(tx, Object::Arch, artifact.arch)?);
            let platforms = tree.entry(channel.clone()).or_default();
            let leaf = platforms.entry(platform).or_default().entry(arch).or_default();
            if !leaf.contains_key(extension) {
                let link = links.artifact(artifact);
                leaf.insert(extension.to_owned(), json!({ "url": link }));
                found.push(link);
            }
        }
        Ok(match found.as_slice() {
            [] => None,
            [only] => Some(Answer::redirect(only.clone())),
            _ => Some(Answer::json(&json!(tree))),
        })
    }
}

fn or_default(name: String) -> String {
    if name.is_empty() { "default".to_owned() } else { name }
}
