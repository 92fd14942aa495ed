//! Apps, channels, platforms and architectures: records, names and who uses them; the only writer of these tables.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::apps::rules::{self, MANUAL_ONLY, Offered};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::Permissions;
use crate::identity::permissions::Rights;
use crate::ids::{Digest, ObjectId};
use crate::store::table::{Read, Table, WriteTx};

const APPS: Table<ObjectId, App> = Table::new("apps.app");
const CHANNELS: Table<ObjectId, Axis> = Table::new("apps.channel");
const PLATFORMS: Table<ObjectId, Axis> = Table::new("apps.platform");
const ARCHS: Table<ObjectId, Axis> = Table::new("apps.arch");
/// (tenant, kind, name) → id: names are unique per tenant and kind, and lists come out sorted.
const NAMES: Table<(Uuid, String, String), ObjectId> = Table::new("apps.name");
/// (channel, platform or arch; release) for everything a release mentions.
const USES: Table<(ObjectId, ObjectId), ()> = Table::new("apps.use");

/// Stands in keys for a channel, platform or architecture that is not set; no object has this id.
pub const UNSET: ObjectId = ObjectId([0; 12]);

/// The four kinds of named object a tenant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// An app.
    App,
    /// A channel.
    Channel,
    /// A platform.
    Platform,
    /// An architecture.
    Arch,
}

impl Object {
    /// Its word in messages and keys.
    pub const fn word(self) -> &'static str {
        match self {
            Object::App => "app",
            Object::Channel => "channel",
            Object::Platform => "platform",
            Object::Arch => "arch",
        }
    }

    /// The group of a team user's rights that covers it.
    pub fn rights(self, permissions: &Permissions) -> &Rights {
        match self {
            Object::App => &permissions.apps,
            Object::Channel => &permissions.channels,
            Object::Platform => &permissions.platforms,
            Object::Arch => &permissions.archs,
        }
    }

    /// The same group, to be changed.
    pub fn rights_mut(self, permissions: &mut Permissions) -> &mut Rights {
        match self {
            Object::App => &mut permissions.apps,
            Object::Channel => &mut permissions.channels,
            Object::Platform => &mut permissions.platforms,
            Object::Arch => &mut permissions.archs,
        }
    }

    /// Judges a name for it.
    ///
    /// # Errors
    /// `Invalid`, in the dialect's words.
    pub fn check_name(self, name: &str) -> Result<()> {
        let (good, fault) = match self {
            Object::App => (rules::is_app_name(name), "invalid app name"),
            Object::Channel => (rules::is_axis_name(name), "invalid channel name"),
            Object::Platform => (rules::is_axis_name(name), "invalid platform name"),
            Object::Arch => (rules::is_axis_name(name), "invalid architecture name"),
        };
        if good { Ok(()) } else { Err(Error::invalid(fault)) }
    }

    fn taken(self) -> Error {
        Error::conflict(format!("{} with this name already exists", self.word()))
    }

    const fn axes(self) -> &'static Table<ObjectId, Axis> {
        match self {
            // Apps have a table of their own; nothing is ever found of them here.
            Object::App | Object::Channel => &CHANNELS,
            Object::Platform => &PLATFORMS,
            Object::Arch => &ARCHS,
        }
    }
}

/// A channel, platform or architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// Whose it is.
    pub tenant: Uuid,
    /// As created or last renamed.
    pub name: String,
    /// What a platform is served with; empty for the other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updaters: Vec<Offered>,
    /// When it was made.
    pub created: Time,
    /// When it last changed.
    pub updated: Time,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Whose it is.
    pub tenant: Uuid,
    /// As created or last renamed.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Whether its files need a session; fixed at creation.
    #[serde(default)]
    pub private: bool,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
    /// When it was made.
    pub created: Time,
    /// When it last changed.
    pub updated: Time,
}

/// An app's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// Its bytes.
    pub digest: Digest,
    /// The client's file name.
    pub file_name: String,
    /// The type of an image that is shown inline; none for anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// The id of an object by its name.
pub fn find(tx: &impl Read, tenant: Uuid, object: Object, name: &str) -> Result<Option<ObjectId>> {
    NAMES.get(tx, (tenant, object.word(), name))
}

/// Whether the tenant has any object of that kind.
pub fn any(tx: &impl Read, tenant: Uuid, object: Object) -> Result<bool> {
    Ok(!NAMES.page(tx, (tenant, object.word()), None, 1)?.is_empty())
}

/// Names and ids of a kind, by name.
pub fn names(tx: &impl Read, tenant: Uuid, object: Object) -> Result<Vec<(String, ObjectId)>> {
    let rows = NAMES.all(tx, (tenant, object.word()))?;
    Ok(rows.into_iter().map(|((_, _, name), id)| (name, id)).collect())
}

/// The app with this id, of whatever tenant.
pub fn app(tx: &impl Read, id: ObjectId) -> Result<Option<App>> {
    APPS.get(tx, id)
}

/// The channel, platform or architecture with this id, of whatever tenant.
pub fn axis(tx: &impl Read, object: Object, id: ObjectId) -> Result<Option<Axis>> {
    match object {
        Object::App => Ok(None),
        other => other.axes().get(tx, id),
    }
}

/// What a platform is served with.
pub fn offered(axis: &Axis) -> &[Offered] {
    if axis.updaters.is_empty() { &MANUAL_ONLY } else { &axis.updaters }
}

/// Today's name of an object a release mentions; empty when unset.
pub fn name_of(tx: &impl Read, object: Object, id: Option<ObjectId>) -> Result<String> {
    let name = match (object, id) {
        (_, None) => None,
        (Object::App, Some(id)) => app(tx, id)?.map(|app| app.name),
        (_, Some(id)) => axis(tx, object, id)?.map(|axis| axis.name),
    };
    Ok(name.unwrap_or_default())
}

/// Makes an app. `Conflict` when the name is taken.
pub fn create_app(tx: &WriteTx, id: ObjectId, app: &App) -> Result<()> {
    claim_name(tx, app.tenant, Object::App, &app.name, id)?;
    APPS.put(tx, id, app)
}

/// Replaces an app's record. `Conflict` when its new name is taken.
pub fn update_app(tx: &WriteTx, id: ObjectId, old: &App, new: &App) -> Result<()> {
    rename(tx, old.tenant, Object::App, id, &old.name, &new.name)?;
    APPS.put(tx, id, new)
}

/// Removes an app that no release uses any more.
pub fn remove_app(tx: &WriteTx, id: ObjectId, app: &App) -> Result<()> {
    NAMES.remove(tx, (app.tenant, Object::App.word(), app.name.as_str()))?;
    APPS.remove(tx, id)?;
    Ok(())
}

/// Makes a channel, platform or architecture. `Conflict` when the name is taken.
pub fn create_axis(tx: &WriteTx, object: Object, id: ObjectId, axis: &Axis) -> Result<()> {
    claim_name(tx, axis.tenant, object, &axis.name, id)?;
    object.axes().put(tx, id, axis)
}

/// Replaces a record. `Conflict` when its new name is taken.
pub fn update_axis(tx: &WriteTx, object: Object, id: ObjectId, old: &Axis, new: &Axis) -> Result<()> {
    rename(tx, old.tenant, object, id, &old.name, &new.name)?;
    object.axes().put(tx, id, new)
}

/// Removes a channel, platform or architecture that no release uses any more.
pub fn remove_axis(tx: &WriteTx, object: Object, id: ObjectId, axis: &Axis) -> Result<()> {
    NAMES.remove(tx, (axis.tenant, object.word(), axis.name.as_str()))?;
    object.axes().remove(tx, id)?;
    Ok(())
}

fn claim_name(tx: &WriteTx, tenant: Uuid, object: Object, name: &str, id: ObjectId) -> Result<()> {
    if NAMES.has(tx, (tenant, object.word(), name))? {
        return Err(object.taken());
    }
    NAMES.put(tx, (tenant, object.word(), name), &id)
}

fn rename(tx: &WriteTx, tenant: Uuid, object: Object, id: ObjectId, old: &str, new: &str) -> Result<()> {
    if old == new {
        return Ok(());
    }
    claim_name(tx, tenant, object, new, id)?;
    NAMES.remove(tx, (tenant, object.word(), old))?;
    Ok(())
}

/// Whether any release mentions this object.
pub fn is_used(tx: &impl Read, id: ObjectId) -> Result<bool> {
    Ok(!USES.page(tx, (id,), None, 1)?.is_empty())
}

/// Notes that `release` mentions `object`, or that it no longer does.
pub(super) fn set_use(tx: &WriteTx, object: ObjectId, release: ObjectId, used: bool) -> Result<()> {
    if used {
        return USES.put(tx, (object, release), &());
    }
    USES.remove(tx, (object, release))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::scratch;

    fn axis_named(tenant: Uuid, name: &str) -> Axis {
        Axis { tenant, name: name.into(), updaters: Vec::new(), created: Time(1), updated: Time(1) }
    }

    #[test]
    fn names_are_unique_per_tenant_and_kind() {
        scratch(|tx| {
            let (one, two) = (Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
            let id = |n: u8| ObjectId([n; 12]);
            assert!(!any(tx, one, Object::Channel).unwrap());
            create_axis(tx, Object::Channel, id(1), &axis_named(one, "stable")).unwrap();
            create_axis(tx, Object::Platform, id(2), &axis_named(one, "stable")).unwrap();
            create_axis(tx, Object::Channel, id(3), &axis_named(two, "stable")).unwrap();
            let taken = create_axis(tx, Object::Channel, id(4), &axis_named(one, "stable")).unwrap_err();
            assert_eq!(taken.message, "channel with this name already exists");
            create_axis(tx, Object::Channel, id(4), &axis_named(one, "Stable")).unwrap();
            let all = names(tx, one, Object::Channel).unwrap();
            assert_eq!(all, [("Stable".to_owned(), id(4)), ("stable".to_owned(), id(1))]);

            let old = axis(tx, Object::Channel, id(1)).unwrap().unwrap();
            let renamed = axis_named(one, "beta");
            update_axis(tx, Object::Channel, id(1), &old, &renamed).unwrap();
            assert_eq!(find(tx, one, Object::Channel, "stable").unwrap(), None);
            assert_eq!(find(tx, one, Object::Channel, "beta").unwrap(), Some(id(1)));
            assert_eq!(axis(tx, Object::Platform, id(1)).unwrap(), None);
            assert!(update_axis(tx, Object::Channel, id(1), &renamed, &axis_named(one, "Stable")).is_err());
            remove_axis(tx, Object::Channel, id(1), &renamed).unwrap();
            assert_eq!(find(tx, one, Object::Channel, "beta").unwrap(), None);
        });
    }

    #[test]
    fn uses_are_counted_by_release() {
        scratch(|tx| {
            let id = |n: u8| ObjectId([n; 12]);
            set_use(tx, id(1), id(9), true).unwrap();
            set_use(tx, id(1), id(8), true).unwrap();
            set_use(tx, id(1), id(9), false).unwrap();
            assert!(is_used(tx, id(1)).unwrap() && !is_used(tx, id(2)).unwrap());
            set_use(tx, id(1), id(8), false).unwrap();
            assert!(!is_used(tx, id(1)).unwrap());
        });
    }
}
