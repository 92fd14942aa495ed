//! Lists of versions: `GET /search` and the older list at `GET /` (`faynosync.md` §7).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::apps::actor::Actor;
use crate::apps::links::{self, Links};
use crate::apps::model::{self, Object};
use crate::apps::pick::{self, given};
use crate::apps::records::{self, Release};
use crate::apps::rules;
use crate::apps::versions::Version;
use crate::error::{Error, Result};
use crate::http::{Query, Request, Response};
use crate::identity::Principal;
use crate::ids::ObjectId;
use crate::store::table::Read;

/// Entries of a page when none is asked for, and at most.
const PAGE: (u64, u64) = (100, 1000);

/// `GET /search`: the versions of one app.
pub fn search(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let query = request.form_query()?;
    let name = given(&query, "app_name").ok_or_else(|| Error::invalid("app_name is required"))?;
    let limit = rules::positive(query.get("limit"), PAGE.0, Some(PAGE.1));
    let page = rules::positive(query.get("page"), 1, None);
    let links = Links::new(links::base(app, request)?, &actor.owner_name, actor.first);
    let (total, shown, items) = app.store.read(|tx| {
        let Some((id, record)) = pick::app(tx, actor.tenant, &name)? else { return Ok(Default::default()) };
        if !actor.sees(Object::App, id) {
            return Err(Error::forbidden("you don't have permission to access this app"));
        }
        let Some(filter) = Filter::read(tx, &actor, &query)? else { return Ok(Default::default()) };
        let mut printer = Printer { links: &links, names: HashMap::new() };
        let found = sorted(tx, id, &mut printer, |release| filter.takes(release))?;
        let skip = usize::try_from((page - 1).saturating_mul(limit)).unwrap_or(usize::MAX);
        let (mut shown, mut items) = (Vec::new(), Vec::new());
        for &id in found.iter().skip(skip).take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let Some(release) = records::get(tx, id)? else { continue };
            let (entry, item) = printer.show(tx, id, &record.name, &release)?;
            shown.push(entry);
            items.push(item);
        }
        Ok((found.len(), shown, items))
    })?;
    let body = json!({ "apps": shown, "items": items, "total": total, "page": page, "limit": limit });
    Ok(Response::json(200, &body))
}

/// `GET /` with a session: the newest versions of all apps.
pub fn all(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let query = request.form_query()?;
    let limit = usize::try_from(rules::positive(query.get("limit"), PAGE.0, Some(PAGE.1))).unwrap_or(usize::MAX);
    let links = Links::new(links::base(app, request)?, &actor.owner_name, actor.first);
    let shown = app.store.read(|tx| {
        let mut shown = Vec::new();
        let mut printer = Printer { links: &links, names: HashMap::new() };
        for (name, id) in model::names(tx, actor.tenant, Object::App)? {
            if shown.len() >= limit || !actor.sees(Object::App, id) {
                continue;
            }
            for id in sorted(tx, id, &mut printer, |_| true)?.into_iter().take(limit - shown.len()) {
                let Some(release) = records::get(tx, id)? else { continue };
                shown.push(printer.show(tx, id, &name, &release)?.0);
            }
        }
        Ok(shown)
    })?;
    Ok(Response::json(200, &json!({ "apps": shown })))
}

/// What a search asks of a version.
struct Filter {
    channel: Option<ObjectId>,
    platform: Option<ObjectId>,
    arch: Option<ObjectId>,
    published: Option<bool>,
    critical: Option<bool>,
}

impl Filter {
    /// None when it names something the tenant does not have: then nothing fits.
    fn read(tx: &impl Read, actor: &Actor, query: &Query) -> Result<Option<Filter>> {
        let mut found = [None; 3];
        for (slot, object) in found.iter_mut().zip([Object::Channel, Object::Platform, Object::Arch]) {
            if let Some(name) = given(query, object.word()) {
                *slot = model::find(tx, actor.tenant, object, &name)?;
                if slot.is_none() {
                    return Ok(None);
                }
            }
        }
        let [channel, platform, arch] = found;
        let mut flags = [None; 2];
        for (slot, name) in flags.iter_mut().zip(["published", "critical"]) {
            *slot = match given(query, name).as_deref() {
                None => None,
                Some("true") => Some(true),
                Some("false") => Some(false),
                Some(_) => return Ok(None),
            };
        }
        let [published, critical] = flags;
        Ok(Some(Filter { channel, platform, arch, published, critical }))
    }

    fn takes(&self, release: &Release) -> bool {
        let by_artifact = self.platform.is_some() || self.arch.is_some();
        let fits = |wanted: Option<ObjectId>, has| wanted.is_none() || wanted == has;
        fits(self.channel, release.channel)
            && self.published.is_none_or(|wanted| wanted == release.published)
            && self.critical.is_none_or(|wanted| wanted == release.critical)
            && (!by_artifact
                || release
                    .artifacts
                    .iter()
                    .any(|artifact| fits(self.platform, artifact.platform) && fits(self.arch, artifact.arch)))
    }
}

/// The releases of an app that `takes` accepts: newest first, equal versions by the names of their channels. Only their
/// ids are kept, whatever the releases hold.
fn sorted(
    tx: &impl Read,
    app: ObjectId,
    printer: &mut Printer<'_>,
    takes: impl Fn(&Release) -> bool,
) -> Result<Vec<ObjectId>> {
    let mut found: Vec<(Version, String, ObjectId)> = Vec::new();
    for release in records::all_of(tx, app)? {
        let (id, release) = release?;
        if takes(&release) {
            let channel = printer.name(tx, Object::Channel, release.channel)?;
            found.push((release.order()?, channel, id));
        }
    }
    found.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    Ok(found.into_iter().map(|(_, _, id)| id).collect())
}

/// Shows versions with today's names.
struct Printer<'a> {
    links: &'a Links,
    names: HashMap<ObjectId, String>,
}

impl Printer<'_> {
    fn name(&mut self, tx: &impl Read, object: Object, id: Option<ObjectId>) -> Result<String> {
        let Some(id) = id else { return Ok(String::new()) };
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let name = model::name_of(tx, object, Some(id))?;
        self.names.insert(id, name.clone());
        Ok(name)
    }

    /// A version as both lists show it: the second with lower-case keys in its artifacts, for dashboards that read
    /// `items`.
    fn show(&mut self, tx: &impl Read, id: ObjectId, app: &str, release: &Release) -> Result<(Value, Value)> {
        let (mut artifacts, mut lower) = (Vec::new(), Vec::new());
        for artifact in &release.artifacts {
            let platform = self.name(tx, Object::Platform, artifact.platform)?;
            let arch = self.name(tx, Object::Arch, artifact.arch)?;
            let shown = json!({
                "Link": self.links.artifact(artifact),
                "Platform": platform,
                "Arch": arch,
                "Package": artifact.extension,
                "FileName": artifact.file_name,
                "SHA256": artifact.digest,
                "Size": artifact.size,
            });
            lower.push(lower_keys(&shown));
            artifacts.push(shown);
        }
        let channel = self.name(tx, Object::Channel, release.channel)?;
        let mut shown = json!({
            "ID": id,
            "AppName": app,
            "Version": release.version,
            "Channel": channel,
            "Published": release.published,
            "Critical": release.critical,
            "Intermediate": release.intermediate,
            "RolloutPercent": release.rollout,
            "Artifacts": artifacts,
            "Changelog": [{
                "Version": release.version,
                "Changes": release.changelog,
                "Date": release.created.date(),
            }],
            "Updated_at": release.updated.rfc3339_millis(),
        });
        let entry = shown.clone();
        if let Value::Object(map) = &mut shown {
            map.insert("Artifacts".into(), lower.into());
        }
        Ok((entry, shown))
    }
}

fn lower_keys(value: &Value) -> Value {
    let map = value.as_object().into_iter().flatten();
    Value::Object(map.map(|(key, value)| (key.to_lowercase(), value.clone())).collect::<Map<_, _>>())
}
