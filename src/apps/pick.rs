//! Finds what a client or an upload names, and decides which version a client is told of.

use crate::apps::model::{self, App, Object, UNSET};
use crate::apps::records::{self, Release, Slot};
use crate::apps::rules;
use crate::apps::versions::Version;
use crate::error::{Error, Result};
use crate::http::Query;
use crate::identity::{Role, accounts};
use crate::ids::ObjectId;
use crate::store::table::Read;
use uuid::Uuid;

/// A tenant as clients name it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The tenant.
    pub tenant: Uuid,
    /// Its owner's name.
    pub name: String,
    /// Whether that is the first owner.
    pub first: bool,
}

/// The owner with exactly this name; the first one when none is named.
pub fn owner(tx: &impl Read, name: Option<&str>) -> Result<Option<Owner>> {
    let operator = accounts::operator(tx)?;
    let first = operator.as_ref().map(|operator| operator.id);
    let account = match name {
        None => operator,
        Some(name) => accounts::by_username(tx, name)?.filter(|account| account.role == Role::Owner),
    };
    let shown = |account: accounts::Account| Owner {
        tenant: account.tenant,
        first: first == Some(account.id),
        name: account.username,
    };
    Ok(account.map(shown))
}

/// The owner of a tenant.
pub fn owner_of(tx: &impl Read, tenant: Uuid) -> Result<Option<Owner>> {
    let first = accounts::operator(tx)?.map(|operator| operator.id);
    let account = accounts::owner_of(tx, tenant)?;
    Ok(account.map(|account| Owner { tenant, first: first == Some(account.id), name: account.username }))
}

/// What a request is told about an app that is not there for it.
pub fn no_app() -> Error {
    Error::not_found("app_name not found in apps_meta collection")
}

/// An app by its name.
pub fn app(tx: &impl Read, tenant: Uuid, name: &str) -> Result<Option<(ObjectId, App)>> {
    match model::find(tx, tenant, Object::App, name)? {
        Some(id) => Ok(model::app(tx, id)?.map(|app| (id, app))),
        None => Ok(None),
    }
}

/// Channel, platform and architecture as a request names them; empty names count as absent.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The channel.
    pub channel: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The architecture.
    pub arch: Option<String>,
}

/// The same, found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Axes {
    /// The channel.
    pub channel: Option<ObjectId>,
    /// The platform.
    pub platform: Option<ObjectId>,
    /// The architecture.
    pub arch: Option<ObjectId>,
}

impl Axes {
    /// Where an app's artifacts for these are found.
    pub fn slot(&self, app: ObjectId) -> Slot {
        Slot {
            app,
            channel: self.channel.unwrap_or(UNSET),
            platform: self.platform.unwrap_or(UNSET),
            arch: self.arch.unwrap_or(UNSET),
        }
    }
}

impl Names {
    fn each(&self) -> [(Object, Option<&str>); 3] {
        [
            (Object::Channel, self.channel.as_deref()),
            (Object::Platform, self.platform.as_deref()),
            (Object::Arch, self.arch.as_deref()),
        ]
    }

    /// Judges the names' form.
    ///
    /// # Errors
    /// `Invalid` `invalid … parameter`.
    pub fn check(&self) -> Result<()> {
        for (object, name) in self.each() {
            if name.is_some_and(|name| !rules::is_axis_name(name)) {
                return Err(Error::invalid(format!("invalid {} parameter", object.word())));
            }
        }
        Ok(())
    }

    /// Asks for what the tenant has: whoever has channels must name one, and so on.
    ///
    /// # Errors
    /// `Invalid` `you have a created …`.
    pub fn require(&self, tx: &impl Read, tenant: Uuid) -> Result<()> {
        for (object, name) in self.each() {
            if name.is_none() && model::any(tx, tenant, object)? {
                let word = object.word();
                return Err(Error::invalid(format!("you have a created {word}s, setting {word} is required")));
            }
        }
        Ok(())
    }

    /// Finds what is named.
    ///
    /// # Errors
    /// `Invalid` `wrong name of …`.
    pub fn find(&self, tx: &impl Read, tenant: Uuid) -> Result<Axes> {
        let mut found = [None; 3];
        for (slot, (object, name)) in found.iter_mut().zip(self.each()) {
            let Some(name) = name else { continue };
            *slot = model::find(tx, tenant, object, name)?;
            if slot.is_none() {
                let (word, subject) = match object {
                    Object::Channel => ("channel", "Channel"),
                    Object::Platform => ("platform", "Platform"),
                    _ => ("arch", "Arch"),
                };
                return Err(Error::invalid(format!("wrong name of {word}. {subject} does not exist")));
            }
        }
        let [channel, platform, arch] = found;
        Ok(Axes { channel, platform, arch })
    }
}

/// A text of a query; empty counts as absent.
pub fn given(query: &Query, name: &str) -> Option<String> {
    query.get(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Whom a choice is made for.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The version it has.
    pub version: &'a Version,
    /// Its id, when it sends one.
    pub device: Option<&'a str>,
    /// Whether the framework itself asks, which knows nothing of rollouts: then the choice is made here.
    pub native: bool,
}

impl Client<'_> {
    /// Whether a release is for this client at all.
    pub fn takes(&self, release: &Release) -> bool {
        !self.native
            || release.rollout >= 100
            || self.device.is_some_and(|device| rules::in_rollout(device, &release.seed, release.rollout))
    }
}

/// The version a client is told of.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The release.
    pub release: Release,
    /// Its version.
    pub version: Version,
    /// It must be installed before anything above it.
    pub forced: bool,
}

/// What is to be told to a client, and whether another device could be told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The version; none when nothing is published for the slot.
    pub choice: Option<Choice>,
    /// A staged rollout took part in the choice.
    pub by_device: bool,
}

/// Chooses the version a client is told of: the highest published one it takes, or the lowest above its own that
/// must not be jumped over (`faynosync.md` §8, §14.3, §14.4).
pub fn choose(tx: &impl Read, slot: Slot, client: Client<'_>) -> Result<Chosen> {
    let mut by_device = false;
    let Some(latest) = newest(tx, slot, client, None, &mut by_device)? else {
        return Ok(Chosen { choice: None, by_device });
    };
    if latest.version <= *client.version {
        return Ok(Chosen { choice: Some(latest), by_device });
    }
    let choice = match records::next_stop(tx, slot, client.version)? {
        Some((_, release)) if release.order()? <= latest.version => {
            by_device |= client.native && release.rollout < 100;
            let version = release.order()?;
            match client.takes(&release) {
                true => Some(Choice { release, version, forced: true }),
                // What lies above the stop is out of reach for a device the stop is not for yet.
                false => newest(tx, slot, client, Some(&version), &mut by_device)?,
            }
        }
        _ => Some(latest),
    };
    Ok(Chosen { choice, by_device })
}

fn newest(
    tx: &impl Read,
    slot: Slot,
    client: Client<'_>,
    below: Option<&Version>,
    by_device: &mut bool,
) -> Result<Option<Choice>> {
    records::newest_offer(tx, slot, |_, release| {
        *by_device |= client.native && release.rollout < 100;
        let version = release.order()?;
        let good = client.takes(&release) && below.is_none_or(|below| version < *below);
        Ok(good.then_some(Choice { release, version, forced: false }))
    })
}

/// The highest version a feed may name to a client: the stop before it, if there is one.
pub fn cap(tx: &impl Read, slot: Slot, client: Client<'_>) -> Result<(Option<Version>, bool)> {
    let chosen = choose(tx, slot, client)?;
    let cap = chosen.choice.filter(|choice| choice.version > *client.version).map(|choice| choice.version);
    Ok((cap, chosen.by_device))
}

#[cfg(test)]
#[path = "pick_tests.rs"]
mod tests;
