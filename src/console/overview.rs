//! Figures of the whole installation: the first page, storage, and what this program is.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::App;
use crate::catalog::{self, Artifact, Downloads, Figures, Query};
use crate::certificates::Certificates;
use crate::clock::Time;
use crate::console::catalog::shown_name;
use crate::console::{Console, fresh, operator, owner, rules};
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::jobs::{Job, JobId, Jobs, State};

/// Artifacts up to which the figures are made anew for each look.
const FEW: u64 = 2000;
/// Seconds that figures of more artifacts are shown again.
const STALE_AFTER: i64 = 60;
/// Days of the overview's chart of downloads, today included.
const DAYS: u32 = 7;
/// Failing work named at most.
const FAILING: usize = 5;

/// Figures of the catalog with the time they were made.
#[derive(Clone)]
pub(super) struct Counted {
    at: Time,
    figures: Arc<Figures>,
}

/// The figures, at most a minute old.
fn figures(app: &App) -> Result<Counted> {
    let console = app.rooms.get::<Console>()?;
    let now = app.clock.now();
    let many = app.store.read(catalog::count)? > FEW;
    let known = console.counted().clone();
    if let Some(known) = known.filter(|known| many && known.at <= now && now < known.at.plus_seconds(STALE_AFTER)) {
        return Ok(known);
    }
    let figures = app.store.read(|tx| catalog::figures(tx, rules::LOOSE, rules::BEHIND))?;
    let counted = Counted { at: now, figures: Arc::new(figures) };
    *console.counted() = Some(counted.clone());
    Ok(counted)
}

/// `GET /ui/api/overview`: for owners; what concerns the whole disk for the owner of the installation only.
pub fn overview(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    if !me.operator {
        return Ok(fresh(&json!({ "operator": false })));
    }
    let counted = figures(app)?;
    let (free, reserve) = app.store.room()?;
    let query = Query { not_only_by: Some(rules::BEHIND), ..Query::default() };
    let latest: Vec<Value> = app.store.read(|tx| {
        let rows = catalog::newest(tx, &query, None, 6)?.0;
        let line = |(digest, artifact): &(Digest, Artifact)| {
            Ok(json!({
                "digest": digest,
                "name": shown_name(artifact, &catalog::holders(tx, digest)?),
                "version": artifact.facts.version,
                "kind": artifact.facts.kind,
                "size": artifact.size,
                "created": artifact.created.rfc3339(),
            }))
        };
        rows.iter().map(line).collect::<Result<_>>()
    })?;
    let days = app.rooms.get::<Arc<Downloads>>()?.last(&app.store, app.clock.now(), DAYS)?;
    let downloads: Vec<Value> = days.iter().map(|(day, count)| json!({ "day": day, "count": count })).collect();
    let certificate = app.rooms.get::<Option<Arc<Certificates>>>()?.as_ref().and_then(|known| known.ends());
    let jobs = app.rooms.get::<Jobs>()?;
    let failed = failing(&jobs.list(None, 200)?);
    Ok(fresh(&json!({
        "operator": true,
        "at": counted.at.rfc3339(),
        // As many as the catalog lists.
        "artifacts": counted.figures.artifacts.saturating_sub(counted.figures.behind),
        "stored": counted.figures.bytes,
        "free": free,
        "reserve": reserve,
        "kinds": shares(&counted.figures.kinds),
        "latest": latest,
        "failed": failed,
        "downloads": downloads,
        "certificateEnds": certificate.map(|ends| Time(ends.saturating_mul(1_000_000)).rfc3339()),
    })))
}

/// The work whose last try failed, the newest first: what went well since is over.
fn failing(newest_first: &[(JobId, Job)]) -> Vec<Value> {
    let mut seen = HashSet::new();
    let ended = newest_first.iter().filter(|(_, job)| job.ended.is_some());
    let last = ended.filter(|(_, job)| seen.insert((job.kind.as_str(), job.target.as_str())));
    let failed = last.filter(|(_, job)| job.state == State::Failed);
    let line = |(id, job): &(JobId, Job)| {
        json!({
            "id": id.0.to_string(),
            "kind": job.kind,
            "target": job.target,
            "outcome": job.outcome,
        })
    };
    failed.take(FAILING).map(line).collect()
}

fn shares(parts: &[(String, u64, u64)]) -> Vec<Value> {
    let shown = |(name, count, bytes): &(String, u64, u64)| json!({ "name": name, "count": count, "bytes": bytes });
    parts.iter().map(shown).collect()
}

/// `GET /ui/api/storage`: shares by kind and by door, the largest artifacts, the last check.
pub fn storage(app: &App, who: &Principal, _request: &mut Request) -> Result<Response> {
    operator(who)?;
    let counted = figures(app)?;
    let (free, reserve) = app.store.room()?;
    let largest: Vec<Value> = counted
        .figures
        .largest
        .iter()
        .map(|(size, digest, name)| json!({ "digest": digest, "name": name, "size": size }))
        .collect();
    let jobs = app.rooms.get::<Jobs>()?.list(None, 200)?;
    let check = jobs.into_iter().find(|(_, job)| job.kind == "scrub").map(|(id, job)| {
        json!({
            "id": id.0.to_string(),
            "state": job.state,
            "progress": job.progress,
            "outcome": job.outcome,
            "ended": job.ended.map(|time| time.rfc3339_millis()),
        })
    });
    Ok(fresh(&json!({
        "at": counted.at.rfc3339(),
        "artifacts": counted.figures.artifacts,
        "stored": counted.figures.bytes,
        "free": free,
        "reserve": reserve,
        "kinds": shares(&counted.figures.kinds),
        "doors": shares(&counted.figures.doors),
        "largest": largest,
        "loose": { "count": counted.figures.loose.0, "bytes": counted.figures.loose.1 },
        "check": check,
        "data": app.settings.data,
    })))
}

/// `GET /ui/api/about`: version, and the libraries inside, with their licences.
pub fn about(app: &App, _who: &Principal, _request: &mut Request) -> Result<Response> {
    const LIST: &str = include_str!("licences.txt");
    let shown = |one: rules::Library| json!({ "name": one.name, "version": one.version, "licence": one.licence });
    let libraries: Vec<Value> = rules::libraries(LIST).map(shown).collect();
    Ok(fresh(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "installation": app.store.installation(),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "publicUrl": app.settings.public_url,
        "maxUpload": app.settings.max_upload,
        "libraries": libraries,
    })))
}
