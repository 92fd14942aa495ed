//! Artifacts from the shelf in place of files: which bytes that are here already somebody may offer as an app's artifact
//! (`faynosync.md` §6; a text part `sha256`).
//!
//! A digest alone is no credential. The operator may offer whatever there is, an owner what its own tenant holds or
//! brought, anybody what is public. Team users and build pipelines may offer what they brought themselves and what the
//! same app holds already, so that nobody moves bytes of a private app into one that others can read. For everyone else
//! a digest is as good as unknown.

use std::io::Read as _;

use crate::app::App;
use crate::apps::actor::{Actor, Reach};
use crate::apps::form::{Description, File};
use crate::apps::records;
use crate::apps::rules::{self, Wish};
use crate::catalog::{self, Held, Holder};
use crate::error::{Error, Result};
use crate::identity::accounts;
use crate::ids::ObjectId;
use crate::store::table::Read;

/// What becomes an artifact of a release.
pub enum Source {
    /// A file that came with the request.
    File(File),
    /// An artifact that is here already.
    Offer(Wish, Description),
}

impl Source {
    /// Its base name.
    pub fn name(&self) -> &str {
        match self {
            Source::File(file) => &file.name,
            Source::Offer(_, known) => &known.name,
        }
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        match self {
            Source::File(file) => file.staged.size,
            Source::Offer(_, known) => known.size,
        }
    }

    /// Up to `limit` of its first bytes.
    ///
    /// # Errors
    /// When the artifact on the shelf cannot be read.
    pub fn head(&self, app: &App, limit: u64) -> Result<Vec<u8>> {
        match self {
            Source::File(file) => Ok(file.head(limit)),
            Source::Offer(_, known) => {
                let mut bytes = Vec::new();
                let reader = app.store.blob(&known.digest)?.reader()?;
                reader.take(limit).read_to_end(&mut bytes).map_err(Error::internal)?;
                Ok(bytes)
            }
        }
    }
}

/// The files of a form and the artifacts it wishes for, in the order they came. A wish for what one of the files is
/// has come with it.
///
/// # Errors
/// As [`find`].
pub fn gather(
    tx: &impl Read,
    actor: &Actor,
    app: ObjectId,
    files: Vec<File>,
    wishes: Vec<(usize, Wish)>,
) -> Result<Vec<Source>> {
    let mut offers = Vec::new();
    for (at, wish) in wishes {
        if !files.iter().any(|file| file.staged.digest == wish.digest) {
            let known = find(tx, actor, app, &wish)?;
            offers.push((at, Source::Offer(wish, known)));
        }
    }
    let mut sources: Vec<Source> = files.into_iter().map(Source::File).collect();
    for (at, offer) in offers.into_iter().rev() {
        sources.insert(at.min(sources.len()), offer);
    }
    Ok(sources)
}

/// What is known of an artifact that `actor` may offer for `app`, under the name that the wish gives it, or else that it
/// has here.
///
/// # Errors
/// `Invalid` `unknown artifact`, whether it is not here or not theirs to offer.
pub fn find(tx: &impl Read, actor: &Actor, app: ObjectId, wish: &Wish) -> Result<Description> {
    let unknown = || Error::invalid("unknown artifact");
    let artifact = catalog::get(tx, &wish.digest)?.ok_or_else(unknown)?;
    let operator = actor.first && matches!(actor.reach, Reach::Owner);
    let mut held = None;
    for claim in catalog::holders(tx, &wish.digest)? {
        if operator || claim.hold.public || is_theirs(tx, actor, app, &claim)? {
            held = Some(claim.hold.file_name);
            break;
        }
    }
    let held = match (held, operator) {
        (Some(name), _) => name,
        (None, true) => artifact.first_name,
        (None, false) => return Err(unknown()),
    };
    let name = match &wish.name {
        Some(name) => name.clone(),
        // Other doors have names that are none here.
        None => rules::file_name(&held).map_or_else(|_| wish.digest.to_hex(), str::to_owned),
    };
    Ok(Description { name, digest: wish.digest, size: artifact.size, facts: artifact.facts })
}

/// Whether a claim lets `actor` offer the bytes.
fn is_theirs(tx: &impl Read, actor: &Actor, app: ObjectId, claim: &Held) -> Result<bool> {
    let owner = matches!(actor.reach, Reach::Owner);
    if let Some(release) = release_of(&claim.label)
        && let Some(release) = records::get(tx, release)?
        && release.tenant == actor.tenant
        && (owner || release.app == app)
    {
        return Ok(true);
    }
    let Some(username) = claim.hold.by.strip_prefix("user:") else { return Ok(claim.hold.by == actor.label) };
    // Whoever has the name now may be somebody else than who had it then.
    let account = accounts::by_username(tx, username)?.filter(|account| account.created <= claim.hold.since);
    Ok(account.is_some_and(|account| account.tenant == actor.tenant && (owner || account.id == actor.account)))
}

fn release_of(label: &Holder) -> Option<ObjectId> {
    if label.kind() != "app" {
        return None;
    }
    label.parts().first().and_then(|id| ObjectId::from_hex(id))
}
