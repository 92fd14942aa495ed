//! The console room: the pages of the web UI below `/ui/`, and what no dialect offers them below `/ui/api/` (`ui.md`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::{self, Response};
use crate::identity::{AccountRef, Principal, RawToken, Role, TokenKey};
use crate::ids::Digest;

pub mod catalog;
pub mod overview;
pub mod pages;
pub mod people;
pub mod reach;
pub mod rules;
pub mod session;
pub mod setup;
pub mod trail;
pub mod work;

/// Seconds the right to set a new installation up lasts.
const RIGHT_LASTS: i64 = 30 * 60;
/// Seconds a ticket for one download lasts.
const TICKET_LASTS: i64 = 10 * 60;
/// Tickets at a time; beyond it the oldest go.
const MAX_TICKETS: usize = 256;

/// What the room keeps in memory.
#[derive(Default)]
pub struct Console {
    web_dir: Option<PathBuf>,
    right: Mutex<Option<Right>>,
    counted: Mutex<Option<overview::Counted>>,
    tickets: Mutex<VecDeque<Ticket>>,
}

/// The right to fetch one artifact by a plain link, for browsers' own downloads.
struct Ticket {
    key: TokenKey,
    digest: Digest,
    file_name: String,
    until: Time,
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
        Console { web_dir, ..Console::default() }
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

    fn right(&self) -> MutexGuard<'_, Option<Right>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody with the link may set this installation up.
    pub fn setup_is_open(&self, now: Time) -> bool {
        self.right().is_some_and(|right| now <= right.until)
    }

    /// The last figures of the catalog.
    fn counted(&self) -> MutexGuard<'_, Option<overview::Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tickets(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets whoever has the answered text fetch an artifact for ten minutes.
    fn issue_ticket(&self, digest: Digest, file_name: String, now: Time) -> Result<RawToken> {
        let raw = RawToken::random()?;
        let mut tickets = self.tickets();
        tickets.retain(|ticket| now <= ticket.until);
        if tickets.len() >= MAX_TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(Ticket { key: raw.key(), digest, file_name, until: now.plus_seconds(TICKET_LASTS) });
        Ok(raw)
    }

    /// The artifact and the file name a ticket was issued for.
    fn ticket(&self, given: &str, now: Time) -> Option<(Digest, String)> {
        let key = TokenKey::of(given);
        let tickets = self.tickets();
        let found = tickets.iter().find(|ticket| ticket.key == key && now <= ticket.until);
        found.map(|ticket| (ticket.digest, ticket.file_name.clone()))
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
    Response::json(http::status(error.kind), &json!({ "error": error.message }))
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

/// The person behind a request, the owner of this installation.
///
/// # Errors
/// `Forbidden` for everybody else.
fn operator(who: &Principal) -> Result<&AccountRef> {
    let account = owner(who)?;
    match account.operator {
        true => Ok(account),
        false => Err(Error::forbidden("only the owner of this installation may see this")),
    }
}

/// JSON that no cache keeps: figures change, and some answers are for one person only.
fn fresh(value: &serde_json::Value) -> Response {
    Response::json(200, value).header("Cache-Control", "no-store")
}
