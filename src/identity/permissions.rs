//! What a team user may do, as a structure (`faynosync.md` §9).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::ObjectId;

/// The rights of a team user: one group a kind of object. Nothing is granted by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Apps and their versions.
    pub apps: Rights,
    /// Channels.
    pub channels: Rights,
    /// Platforms.
    pub platforms: Rights,
    /// Architectures.
    pub archs: Rights,
}

/// Flags and the objects they apply to. `download` and `upload` mean something for apps only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rights {
    /// May make new ones; what is made joins `allowed`.
    pub create: bool,
    /// May delete allowed ones.
    pub delete: bool,
    /// May change allowed ones.
    pub edit: bool,
    /// May fetch allowed private apps.
    pub download: bool,
    /// May upload versions of allowed apps.
    pub upload: bool,
    /// The objects seen and touched.
    pub allowed: BTreeSet<ObjectId>,
}

impl Permissions {
    /// Most ids in one allowed list: keeps an account's row small enough for one page of the database.
    pub const MAX_ALLOWED: usize = 10_000;

    /// Takes a deleted object out of every list; answers whether it was in one. Ids are unique over all kinds.
    pub fn forget(&mut self, id: &ObjectId) -> bool {
        let mut found = false;
        for group in [&mut self.apps, &mut self.channels, &mut self.platforms, &mut self.archs] {
            found |= group.allowed.remove(id);
        }
        found
    }

    /// Whether every list keeps to [`Permissions::MAX_ALLOWED`].
    pub fn fits(&self) -> bool {
        [&self.apps, &self.channels, &self.platforms, &self.archs]
            .iter()
            .all(|group| group.allowed.len() <= Self::MAX_ALLOWED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_means_no() {
        let parsed: Permissions = serde_json::from_str(r#"{"apps":{"edit":true}}"#).unwrap();
        let apps = Rights { edit: true, ..Rights::default() };
        assert_eq!(parsed, Permissions { apps, ..Permissions::default() });
    }

    #[test]
    fn a_deleted_object_leaves_every_list() {
        let (gone, stays) = (ObjectId([1; 12]), ObjectId([2; 12]));
        let mut permissions = Permissions::default();
        permissions.apps.allowed.extend([gone, stays]);
        permissions.archs.allowed.insert(gone);
        assert!(permissions.forget(&gone));
        assert!(!permissions.forget(&gone));
        assert_eq!(permissions.apps.allowed, BTreeSet::from([stays]));
        assert!(permissions.archs.allowed.is_empty());
    }
}
