//! The console room: the pages of the web UI below `/ui/`, and what no dialect offers them below `/ui/api/` (`ui.md`).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::http::Response;
use crate::identity::{AccountRef, Principal, RawToken, Role, TokenKey};

pub mod overview;
pub mod pages;
pub mod rules;
pub mod session;
pub mod setup;

/// Seconds the right to set a new installation up lasts.
const RIGHT_LASTS: i64 = 30 * 60;

/// What the room keeps in memory.
#[derive(Default)]
pub struct Console {
    web_dir: Option<PathBuf>,
    right: Mutex<Option<Right>>,
}

/// The one-time right to name the first owner, as the link printed at the first start carries it.
#[derive(Clone, Copy)]
struct Right {
    key: TokenKey,
    until: Time,
}

impl Console {
    /// The room; with `web_dir` the pages are read from there instead of from the program.
    pub fn new(web_dir: Option<PathBuf>) -> Self {
        Console { web_dir, right: Mutex::default() }
    }

    /// Opens the setup for half an hour: the first owner was made without anybody choosing name and password. Answers
    /// what the link must carry.
    ///
    /// # Errors
    /// `Internal` when the system has no random numbers.
    pub fn open_setup(&self, now: Time) -> Result<RawToken> {
        let raw = RawToken::random()?;
        *self.right() = Some(Right { key: raw.key(), until: now.plus_seconds(RIGHT_LASTS) });
        Ok(raw)
    }

    fn right(&self) -> std::sync::MutexGuard<'_, Option<Right>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody with the link may set this installation up.
    pub fn setup_is_open(&self, now: Time) -> bool {
        self.right().is_some_and(|right| now <= right.until)
    }

    /// Uses the right up. It comes back when `work` fails, so that a mistyped name costs no new start.
    fn use_right<T>(&self, given: &str, now: Time, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let gone = || Error::forbidden("this link is used up or has ended: sign in with the secrets in first-run.txt");
        let taken = {
            let mut right = self.right();
            match *right {
                Some(open) if now <= open.until && open.key == TokenKey::of(given) => right.take(),
                _ => None,
            }
        };
        let taken = taken.ok_or_else(gone)?;
        let done = work();
        if done.is_err() {
            *self.right() = Some(taken);
        }
        done
    }
}

/// How this room prints errors: `{"error": sentence}`.
pub fn error_response(error: &Error) -> Response {
    let status = match error.kind {
        Kind::Invalid => 400,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Conflict => 409,
        Kind::TooLarge => 413,
        Kind::Throttled => 429,
        Kind::Internal => 500,
        Kind::Busy => 503,
        Kind::Quota => 507,
    };
    Response::json(status, &json!({ "error": error.message }))
}

/// The person behind a request, an owner.
///
/// # Errors
/// `Forbidden` for team users and programs.
fn owner(who: &Principal) -> Result<&AccountRef> {
    match who {
        Principal::Account(account) if account.role == Role::Owner => Ok(account),
        _ => Err(Error::forbidden("only owners may see this")),
    }
}

/// JSON that no cache keeps: figures change, and some answers are for one person only.
fn fresh(value: &serde_json::Value) -> Response {
    Response::json(200, value).header("Cache-Control", "no-store")
}
