//! What is due now and then: past generations that expire, `Valid-Until` that runs out (`repos.md` §10, §11, §13).

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::catalog;
use crate::error::Result;
use crate::feeds::model::sets::Hand;
use crate::feeds::model::{history, repos, trees};
use crate::feeds::publish;
use crate::feeds::{Desk, desk};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;

/// How long `POST /gc` waits for bytes to go.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Removed {
    /// Blobs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// `POST /gc`.
pub fn collect(app: &App, who: &Principal, _: &mut Request) -> Result<Response> {
    let removed = expire(desk(app)?, &who.label())?;
    app.store.wait_for_collection(PATIENCE);
    Ok(Response::json(200, &json!({ "removed_files": removed.files, "removed_bytes": removed.bytes })))
}

/// Forgets the past generations whose time is over; one transaction each.
///
/// # Errors
/// What the store answers.
pub fn expire(desk: &Desk, who: &str) -> Result<Removed> {
    let mut removed = Removed::default();
    for (name, _) in desk.store.read(repos::all)? {
        removed = desk.alone(&name, || expire_repo(desk, &name, who, removed))?;
    }
    Ok(removed)
}

fn expire_repo(desk: &Desk, name: &str, who: &str, mut removed: Removed) -> Result<Removed> {
    let now = desk.clock.now();
    let surplus = desk.store.read(|tx| history::surplus(tx, name))?;
    if !surplus.is_empty() {
        let name = name.to_owned();
        desk.store.commit(move |tx| history::prune(tx, &name, &surplus))?;
    }
    let due = desk.store.read(|tx| match repos::get(tx, name)? {
        Some(repo) => trees::expired(tx, name, repo.generation, now),
        None => Ok(Vec::new()),
    })?;
    for generation in due {
        let (store, name, who) = (desk.store.clone(), name.to_owned(), who.to_owned());
        let gone = desk.store.commit(move |tx| {
            let hand = Hand { store: &store, who: &who, now };
            let let_go: Vec<Digest> = trees::expire(tx, hand, &name, generation)?;
            let mut gone = Removed::default();
            for digest in let_go {
                if !catalog::is_held(tx, &digest)? {
                    gone.files += 1;
                    gone.bytes += catalog::get(tx, &digest)?.map_or(0, |artifact| artifact.size);
                }
            }
            Ok(gone)
        })?;
        removed.files += gone.files;
        removed.bytes += gone.bytes;
    }
    Ok(removed)
}

/// Publishes repos anew whose `Valid-Until` has run half its time.
///
/// # Errors
/// What the store answers.
pub fn renew(desk: &Desk, who: &str) -> Result<u64> {
    let now = desk.clock.now().seconds();
    let mut renewed = 0;
    for (name, repo) in desk.store.read(repos::all)? {
        let half = i64::from(repo.options.valid_days) * 86_400 / 2;
        if half > 0 && repo.published.saturating_add(half) <= now && publish::republish(desk, &name, who, None)? {
            renewed += 1;
        }
    }
    Ok(renewed)
}
