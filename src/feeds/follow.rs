//! Repos that follow another set: after each change of it a job makes them its copy (`repos.md` §19.6). What counts is
//! the mark noted with the last copy, so whatever cuts a job off is caught up with later.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::feeds::model::Set;
use crate::feeds::model::follow::{self, Copy};
use crate::feeds::model::repos::{self, Follow};
use crate::feeds::{Desk, contents};
use crate::jobs::{Context, Jobs, NewJob};
use crate::store::Store;
use crate::store::table::Read;

/// What the queue of jobs calls a copy.
const KIND: &str = "follow";
/// Who is told to have changed the repo.
const WHO: &str = "follow";
/// How often a copy is tried again that failed for want of room or the like.
const RETRIES: u32 = 8;

/// Says how copies are made; before [`Jobs::start`].
pub fn register(jobs: &Jobs, desk: &Arc<Desk>) {
    let weak = Arc::downgrade(desk);
    jobs.register(KIND, RETRIES, move |context| match weak.upgrade() {
        Some(desk) => work(&desk, context),
        None => Ok("the server stopped".to_owned()),
    });
    desk.set_jobs(jobs);
}

/// Queues copies for the repos that follow `source`, which has just changed. Many changes while one copy waits are one
/// more copy. A failure is no reason to fail for whoever changed the source: [`catch_up`] comes to it later.
pub fn changed(store: &Arc<Store>, jobs: &Jobs, source: &Set, now: Time) {
    let asked = store.read(|tx| follow::followers(tx, source)).and_then(|names| ask(store, jobs, names, now));
    if let Err(error) = asked {
        log::warn!("the followers of {} were not told: {error:?}", source.label());
    }
}

/// Queues copies for every repo whose source has changed since it was last copied.
///
/// # Errors
/// What the store answers; `Busy` when very many jobs are waiting.
pub fn catch_up(desk: &Desk) -> Result<()> {
    let Some(jobs) = desk.jobs() else { return Ok(()) };
    let behind = desk.store.read(|tx| {
        let mut behind = Vec::new();
        for name in follow::all(tx)? {
            if due(tx, &name)?.is_some() {
                behind.push(name);
            }
        }
        Ok(behind)
    })?;
    ask(&desk.store, jobs, behind, desk.clock.now())
}

/// Tells the followers of a repo that was just published, and has it copied itself when it follows anew.
pub(super) fn published(desk: &Desk, name: &str, follows_anew: bool) {
    if follows_anew {
        begin(desk, name);
    }
    if let Some(jobs) = desk.jobs() {
        changed(&desk.store, jobs, &Set::Repo(name.to_owned()), desk.clock.now());
    }
}

/// Queues a copy for `name`, if its source has something that it has not.
fn begin(desk: &Desk, name: &str) {
    let due = desk.store.read(|tx| due(tx, name));
    let asked = due.and_then(|due| match (due, desk.jobs()) {
        (Some(_), Some(jobs)) => ask(&desk.store, jobs, vec![name.to_owned()], desk.clock.now()),
        _ => Ok(()),
    });
    if let Err(error) = asked {
        log::warn!("a copy for repo {name} was not queued: {error:?}");
    }
}

fn ask(store: &Arc<Store>, jobs: &Jobs, names: Vec<String>, now: Time) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let jobs = jobs.clone();
    store.commit(move |tx| {
        for name in &names {
            let (target, input) = (format!("repo/{name}"), json!({ "repo": name }));
            jobs.enqueue(tx, &NewJob { kind: KIND, target, input, by: WHO.to_owned() }, now)?;
        }
        Ok(())
    })
}

/// What a repo is to copy now: its source, and the mark that has; none when it is up to date or follows nothing.
fn due(tx: &impl Read, name: &str) -> Result<Option<(Follow, u64)>> {
    let Some(source) = repos::get(tx, name)?.and_then(|repo| repo.options.follow) else { return Ok(None) };
    let Some(set) = source.set() else { return Ok(None) };
    let mark = follow::mark(tx, &set)?;
    let copied = follow::last(tx, name)?.mark;
    Ok(mark.filter(|mark| copied != Some(*mark)).map(|mark| (source, mark)))
}

/// The job.
fn work(desk: &Desk, context: &Context) -> Result<String> {
    let name = context.input().get("repo").and_then(Value::as_str).unwrap_or_default().to_owned();
    // The mark is read first: what changes meanwhile is copied once more.
    let Some((source, mark)) = desk.store.read(|tx| due(tx, &name))? else {
        return Ok("nothing to do".to_owned());
    };
    let before = desk.store.read(|tx| follow::last(tx, &name))?;
    let result = copy(desk, &name, &source);
    let copy = match &result {
        Ok(_) => Copy { mark: Some(mark), at: Some(desk.clock.now()), error: None },
        Err(error) => Copy { error: Some(words(error)), ..before },
    };
    desk.store.commit(move |tx| follow::note(tx, &name, &source, &copy))?;
    result
}

fn copy(desk: &Desk, name: &str, source: &Follow) -> Result<String> {
    let outcome = contents::copy(desk, name, source, WHO)?;
    let counts = outcome.counts;
    Ok(match outcome.changed {
        true => format!("generation {}, +{} -{}", outcome.repo.generation, counts.added, counts.removed),
        false => "unchanged".to_owned(),
    })
}

fn words(error: &Error) -> String {
    match error.kind {
        Kind::Internal => "internal error, see the log".to_owned(),
        _ => error.message.clone().into_owned(),
    }
}
