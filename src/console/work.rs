//! Jobs for people: lists, one job as it stands, calling off, and the check of all stored bytes.

use serde_json::{Value, json};

use crate::app::App;
use crate::audit;
use crate::console::{fresh, operator, owner};
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::jobs::{Job, JobId, Jobs, NewJob, State};

/// Rows of one page.
const PAGE: usize = 50;

/// `GET /ui/api/jobs`: newest first, of one kind when `kind` is given; `open=1` gives what waits or runs.
pub fn list(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    owner(who)?;
    let jobs = app.rooms.get::<Jobs>()?;
    let query = request.form_query()?;
    if query.get("open") == Some("1") {
        let rows: Vec<Value> = jobs.open()?.iter().map(|(id, job)| line(*id, job)).collect();
        return Ok(fresh(&json!({ "rows": rows, "next": null })));
    }
    let kind = query.get("kind").filter(|kind| !kind.is_empty());
    let mut after = query.get("cursor").filter(|text| !text.is_empty()).map(number).transpose()?;
    let mut rows = Vec::new();
    // At most 2,000 jobs are remembered, so a rare kind is found in ten looks.
    loop {
        let page = jobs.list(after, 200)?;
        let whole = page.len() == 200;
        for (id, job) in page {
            if kind.is_none_or(|kind| kind == job.kind) {
                if rows.len() == PAGE {
                    return Ok(fresh(&json!({ "rows": rows, "next": after.map(|id| id.0.to_string()) })));
                }
                rows.push(line(id, &job));
            }
            after = Some(id);
        }
        if !whole {
            return Ok(fresh(&json!({ "rows": rows, "next": null })));
        }
    }
}

fn number(text: &str) -> Result<JobId> {
    text.parse().map(JobId).map_err(|_| Error::invalid("a job is named by a number"))
}

/// A job without its log.
fn line(id: JobId, job: &Job) -> Value {
    json!({
        // As text: browsers round numbers of this size.
        "id": id.0.to_string(),
        "kind": job.kind,
        "target": job.target,
        "state": job.state,
        "by": job.by,
        "created": job.created.rfc3339_millis(),
        "started": job.started.map(|time| time.rfc3339_millis()),
        "ended": job.ended.map(|time| time.rfc3339_millis()),
        "tries": job.tries,
        "progress": job.progress,
        "outcome": job.outcome,
    })
}

/// `GET /ui/api/jobs/{id}`: one job with its log.
pub fn one(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    owner(who)?;
    let id = number(&request.params.get("id")?)?;
    let job = app.rooms.get::<Jobs>()?.get(id)?.ok_or_else(|| Error::not_found("there is no such job"))?;
    let mut shown = line(id, &job);
    shown["log"] = job.log.into();
    Ok(fresh(&shown))
}

/// `POST /ui/api/jobs/{id}/cancel`: the owner of the installation calls any job off, another owner its own.
pub fn cancel(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let me = owner(who)?;
    let id = number(&request.params.get("id")?)?;
    let jobs = app.rooms.get::<Jobs>()?;
    let job = jobs.get(id)?.ok_or_else(|| Error::not_found("there is no such job"))?;
    if !me.operator && job.by != who.label() {
        return Err(Error::forbidden("only the owner of this installation may call off the jobs of others"));
    }
    jobs.cancel(id)?;
    let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
    let subject = format!("{} {}", job.kind, job.target);
    app.store.commit(move |tx| audit::note(tx, now, &label, "job.cancel", &subject, Some(address)))?;
    Ok(Response::empty(204))
}

/// `POST /ui/api/check`: has every stored byte read and compared; answers the job, the running one if there is one.
pub fn check(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    operator(who)?;
    let jobs = app.rooms.get::<Jobs>()?.clone();
    let running = jobs.open()?.into_iter().find(|(_, job)| job.kind == "scrub" && job.state == State::Running);
    let id = match running {
        Some((id, _)) => id,
        None => {
            let (now, label, address) = (app.clock.now(), who.label(), request.peer.ip());
            app.store.commit(move |tx| {
                let new = NewJob { kind: "scrub", target: "shelf".into(), input: Value::Null, by: label.clone() };
                audit::note(tx, now, &label, "storage.check", "shelf", Some(address))?;
                jobs.enqueue(tx, &new, now)
            })?
        }
    };
    Ok(Response::json(202, &json!({ "id": id.0.to_string() })).header("Cache-Control", "no-store"))
}
