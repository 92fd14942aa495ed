//! Lists of versions: `GET /search` and the older list at `GET /` (`faynosync.md` §7).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

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
use crate::store::Store;
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
    let (total, rows) = app.store.read(|tx| {
        let Some((id, record)) = pick::app(tx, actor.tenant, &name)? else { return Ok(Default::default()) };
        if !actor.sees(Object::App, id) {
            return Err(Error::forbidden("you don't have permission to access this app"));
        }
        let Some(filter) = Filter::read(tx, &actor, &query)? else { return Ok(Default::default()) };
        let found = sorted(tx, id, &mut HashMap::new(), |release| filter.takes(release))?;
        let skip = usize::try_from((page - 1).saturating_mul(limit)).unwrap_or(usize::MAX);
        let shown = found.iter().skip(skip).take(usize::try_from(limit).unwrap_or(usize::MAX));
        let name: Arc<str> = record.name.into();
        Ok((found.len(), shown.map(|id| (*id, name.clone())).collect()))
    })?;
    let around = json!({ "apps": [], "items": [], "total": total, "page": page, "limit": limit });
    Pages::new(app, links, rows, &around).answer()
}

/// `GET /` with a session: the newest versions of all apps.
pub fn all(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let query = request.form_query()?;
    let limit = usize::try_from(rules::positive(query.get("limit"), PAGE.0, Some(PAGE.1))).unwrap_or(usize::MAX);
    let links = Links::new(links::base(app, request)?, &actor.owner_name, actor.first);
    let rows = app.store.read(|tx| {
        let (mut rows, mut names) = (Vec::new(), HashMap::new());
        for (name, id) in model::names(tx, actor.tenant, Object::App)? {
            if rows.len() >= limit || !actor.sees(Object::App, id) {
                continue;
            }
            let name: Arc<str> = name.into();
            let newest = sorted(tx, id, &mut names, |_| true)?.into_iter().take(limit - rows.len());
            rows.extend(newest.map(|id| (id, name.clone())));
        }
        Ok(rows)
    })?;
    Pages::new(app, links, rows, &json!({ "apps": [] })).answer()
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
fn sorted(tx: &impl Read, app: ObjectId, names: &mut Names, takes: impl Fn(&Release) -> bool) -> Result<Vec<ObjectId>> {
    let mut found: Vec<(Version, String, ObjectId)> = Vec::new();
    for release in records::all_of(tx, app)? {
        let (id, release) = release?;
        if takes(&release) {
            let channel = name(tx, names, Object::Channel, release.channel)?;
            found.push((release.order()?, channel, id));
        }
    }
    found.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    Ok(found.into_iter().map(|(_, _, id)| id).collect())
}

/// Today's names of channels, platforms and architectures, as far as they were asked for.
type Names = HashMap<ObjectId, String>;

fn name(tx: &impl Read, names: &mut Names, object: Object, id: Option<ObjectId>) -> Result<String> {
    let Some(id) = id else { return Ok(String::new()) };
    if let Some(name) = names.get(&id) {
        return Ok(name.clone());
    }
    let name = model::name_of(tx, object, Some(id))?;
    names.insert(id, name.clone());
    Ok(name)
}

/// A version as both lists show it. `lower`: with lower-case keys in its artifacts, for dashboards that read `items`.
fn show(
    tx: &impl Read,
    names: &mut Names,
    links: &Links,
    (id, app): (ObjectId, &str),
    release: &Release,
    lower: bool,
) -> Result<Value> {
    let mut artifacts = Vec::new();
    for artifact in &release.artifacts {
        let platform = name(tx, names, Object::Platform, artifact.platform)?;
        let arch = name(tx, names, Object::Arch, artifact.arch)?;
        let shown = json!({
            "Link": links.artifact(artifact),
            "Platform": platform,
            "Arch": arch,
            "Package": artifact.extension,
            "FileName": artifact.file_name,
            "SHA256": artifact.digest,
            "Size": artifact.size,
        });
        artifacts.push(if lower { lower_keys(&shown) } else { shown });
    }
    let channel = name(tx, names, Object::Channel, release.channel)?;
    Ok(json!({
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
    }))
}

/// Bytes of a list made at once; one that is not longer leaves whole, with its length.
const BLOCK: usize = 256 * 1024;
/// The lists of an answer that hold versions, and whether their artifacts have lower-case keys.
const LISTS: [(&str, bool); 2] = [("\"apps\":[", false), ("\"items\":[", true)];

/// A list of versions as JSON, made entry by entry while it is sent: however long the changelogs are, a few entries are in
/// memory. Each block is read in a transaction of its own; a version deleted meanwhile is left out.
struct Pages {
    store: Arc<Store>,
    links: Links,
    names: Names,
    rows: Vec<(ObjectId, Arc<str>)>,
    /// What is still to come, in this order.
    parts: VecDeque<Part>,
    /// Made and not yet sent, from `at` on.
    block: Vec<u8>,
    at: usize,
}

enum Part {
    Text(String),
    /// The rows from `next` on; `first`: none has been written.
    Rows {
        next: usize,
        first: bool,
        lower: bool,
    },
}

impl Pages {
    /// `around`: the answer with empty lists.
    fn new(app: &App, links: Links, rows: Vec<(ObjectId, Arc<str>)>, around: &Value) -> Pages {
        let mut parts = VecDeque::new();
        let mut rest = around.to_string();
        // Whichever list comes first in the text.
        while let Some((at, lower)) =
            LISTS.iter().filter_map(|(list, lower)| Some((rest.find(list)? + list.len(), *lower))).min()
        {
            let behind = rest.split_off(at);
            parts.push_back(Part::Text(rest));
            parts.push_back(Part::Rows { next: 0, first: true, lower });
            rest = behind;
        }
        parts.push_back(Part::Text(rest));
        Pages { store: app.store.clone(), links, names: Names::new(), rows, parts, block: Vec::new(), at: 0 }
    }

    fn answer(mut self) -> Result<Response> {
        const JSON: &str = "application/json";
        self.fill()?;
        match self.parts.is_empty() {
            true => Ok(Response::bytes(200, JSON, self.block)),
            false => Ok(Response::stream(200, JSON, Box::new(self), None)),
        }
    }

    /// Makes the next block.
    fn fill(&mut self) -> Result<()> {
        let Pages { store, links, names, rows, parts, block, at } = self;
        block.clear();
        *at = 0;
        store.read(|tx| {
            while let Some(part) = parts.front_mut().filter(|_| block.len() < BLOCK) {
                match part {
                    Part::Text(text) => block.extend_from_slice(text.as_bytes()),
                    Part::Rows { next, first, lower } => {
                        if let Some((id, app)) = rows.get(*next) {
                            *next += 1;
                            if let Some(release) = records::get(tx, *id)? {
                                let entry = show(tx, names, links, (*id, &**app), &release, *lower)?;
                                if !std::mem::take(first) {
                                    block.push(b',');
                                }
                                serde_json::to_writer(&mut *block, &entry).map_err(Error::internal)?;
                            }
                            continue;
                        }
                    }
                }
                parts.pop_front();
            }
            Ok(())
        })
    }
}

impl io::Read for Pages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.parts.is_empty() {
            self.fill().map_err(|error| io::Error::other(error.to_string()))?;
        }
        let ready = self.block.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(from), Some(to)) = (ready.get(..count), buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

fn lower_keys(value: &Value) -> Value {
    let map = value.as_object().into_iter().flatten();
    Value::Object(map.map(|(key, value)| (key.to_lowercase(), value.clone())).collect::<Map<_, _>>())
}
