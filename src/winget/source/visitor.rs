//! Who asks Part B, and what was found out about them: remembered until anything is written (`winget.md` B2).

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::error::Result;
use crate::http::{Head, Request, bearer};
use crate::prepared::{Answers, Prepared, Stamp};
use crate::winget::gate::{Caller, Visit, segment};
use crate::winget::source::shown::Channels;
use crate::winget::tenant::Hidden;
use crate::winget::{memory, model, rules};

/// The longest header with the client's token, in bytes.
const HEADER_LIMIT: usize = 1024;
/// Bytes of what is remembered beside its texts.
const PLAIN_SIZE: usize = 1024;

/// A request that found its tenant, and was let in.
pub(super) struct Visitor {
    known: Arc<Known>,
    /// The channel in the address.
    channel: Option<String>,
}

/// What the tables say about the credentials of a request and the address it comes from.
pub struct Known {
    /// The tenant.
    pub visit: Visit,
    /// Who asks.
    pub caller: Caller,
    /// What they do not see.
    pub hidden: Hidden,
    /// Number of the tenant's last change.
    pub generation: u64,
    stamp: Stamp,
}

impl Prepared for Known {
    fn size(&self) -> usize {
        let settings = &self.visit.settings;
        PLAIN_SIZE + settings.tos_text.len() + settings.package_blacklist.len() + self.hidden.size()
    }

    fn is_fresh(&self) -> bool {
        self.stamp.is_fresh()
    }
}

/// Callers whose credentials were judged since the last write, whatever it was about: a revocation holds at once.
pub type Visitors = Answers<Known>;

impl Visitor {
    /// Looks at tenant, address and credentials, in this order. Who asks for information only need not show any.
    pub(super) fn open(app: &App, request: &mut Request, information: bool) -> Result<Visitor> {
        let token = match has_segment(request, "auth_token") {
            true => Some(segment(request, "auth_token")?),
            false => header_token(&request.head),
        };
        let question = question(request, token.as_deref()).filter(|_| !information);
        let visitors = &memory(app)?.visitors;
        let known = match question.and_then(|question| visitors.get(&question)) {
            Some(known) => {
                known.caller.note(request);
                known
            }
            None => {
                let known = Arc::new(Known::find(app, request, token.as_deref(), information)?);
                // Names nobody has would only fill the memory.
                if let (Some(question), true) = (question, token.is_none() || known.caller.is_known()) {
                    visitors.put(question.into(), known.clone());
                }
                known
            }
        };
        if let Some(client) = known.caller.client() {
            memory(app)?.notes.seen(known.visit.tenant, client, known.visit.address, None, app.clock.now());
        }
        let channel = match has_segment(request, "channel") {
            true => Some(rules::channel(Some(&segment(request, "channel")?))?),
            false => None,
        };
        Ok(Visitor { known, channel })
    }

    /// What is known of whoever asks.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The channels seen without asking for one.
    pub(super) fn channels(&self) -> Channels {
        self.channel.clone().map_or(Channels::Stable, Channels::With)
    }
}

impl Known {
    fn find(app: &App, request: &mut Request, token: Option<&str>, information: bool) -> Result<Known> {
        let stamp = Stamp::of(app.store.written());
        let visit = Visit::open(app, request)?;
        let head = &request.head;
        let shows = token.is_some()
            || bearer(head).is_some()
            || ["x-api-token", "x-api-key"].iter().any(|name| head.headers.get(name).is_some());
        let caller = match information && !shows {
            true => Caller::Anonymous,
            false => visit.caller(app, request, token)?,
        };
        let (hidden, generation) =
            app.store.read(|tx| Ok((caller.hidden(tx, &visit)?, model::generation(tx, visit.tenant)?)))?;
        Ok(Known { visit, caller, hidden, generation, stamp })
    }
}

fn has_segment(request: &Request, name: &str) -> bool {
    !request.params.raw(name).is_empty()
}

/// What the judgement depends on beside the tables, as a digest, so that no secret is kept; none for logins, which end
/// by the clock too.
fn question(request: &Request, token: Option<&str>) -> Option<[u8; 32]> {
    let head = &request.head;
    if head.headers.get("authorization").is_some() {
        return None;
    }
    let address = request.peer.ip().to_canonical().to_string();
    let parts = [
        Some(request.params.raw("tenant")),
        Some(&address),
        token,
        head.headers.text("x-api-token"),
        head.headers.text("x-api-key"),
    ];
    let mut hasher = Sha256::new();
    for part in parts {
        // One more than the length, so that an empty part is not a missing one.
        hasher.update(part.map_or(0, |part| part.len() as u64 + 1).to_be_bytes());
        hasher.update(part.unwrap_or_default());
    }
    Some(hasher.finalize().into())
}

/// The token in `Windows-Package-Manager`: an object with `Token`, the same with single quotes, or the bare token.
fn header_token(head: &Head) -> Option<String> {
    let given = head.headers.text("windows-package-manager")?;
    let given = given.trim();
    if given.is_empty() || given.len() > HEADER_LIMIT {
        return (!given.is_empty()).then(|| "too long".to_owned());
    }
    let object = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(value.get("Token")?.as_str()?.to_owned())
    };
    Some(object(given).or_else(|| object(&given.replace('\'', "\""))).unwrap_or_else(|| given.to_owned()))
}
