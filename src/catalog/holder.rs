//! Holder labels: named claims that keep an artifact. The catalog never asks which room a label belongs to.

use std::fmt;

use uuid::Uuid;

use crate::ids::{Digest, ObjectId};
use crate::store::table::{Key, KeyFor, PrefixOf};

/// A label such as `product/NAME/VERSION`. Parts are escaped, so that no two holders share a label whatever their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(String);

impl Holder {
    /// A label of `kind` (a plain word) over `parts` of any text.
    pub fn new(kind: &'static str, parts: &[&str]) -> Self {
        let mut label = kind.to_owned();
        for part in parts {
            label.push('/');
            for c in part.chars() {
                match c {
                    '/' => label.push_str("%2F"),
                    '%' => label.push_str("%25"),
                    _ => label.push(c),
                }
            }
        }
        Holder(label)
    }

    /// An app release.
    pub fn app(release: ObjectId) -> Self {
        Holder::new("app", &[&release.to_hex()])
    }

    /// An app's logo.
    pub fn logo(app: ObjectId) -> Self {
        Holder::new("logo", &[&app.to_hex()])
    }

    /// A winget installer.
    pub fn winget(uid: Uuid) -> Self {
        Holder::new("winget", &[&uid.to_string()])
    }

    /// The logo of a winget package, named by its folded id.
    pub fn winget_logo(tenant: Uuid, id: &str) -> Self {
        Holder::new("winget-logo", &[&tenant.to_string(), id])
    }

    /// A finished winget upload nobody has claimed yet.
    pub fn upload(tenant: Uuid, id: &str) -> Self {
        Holder::new("upload", &[&tenant.to_string(), id])
    }

    /// A product version.
    pub fn product(name: &str, version: &str) -> Self {
        Holder::new("product", &[name, version])
    }

    /// A RefPack version.
    pub fn refpack(id: &str, version: &str) -> Self {
        Holder::new("refpack", &[id, version])
    }

    /// A copy of somebody else's repository.
    pub fn upstream(name: &str) -> Self {
        Holder::new("upstream", &[name])
    }

    /// A repository we publish.
    pub fn repo(name: &str) -> Self {
        Holder::new("repo", &[name])
    }

    /// The index files of one generation of a repository.
    pub fn repo_index(name: &str, generation: u64) -> Self {
        Holder::new("repo-index", &[name, &generation.to_string()])
    }

    /// Uploaded by hand.
    pub fn package() -> Self {
        Holder::new("package", &[])
    }

    /// The label that is nothing but its kind.
    pub(super) fn bare(kind: &str) -> Self {
        Holder(kind.to_owned())
    }

    /// The label's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first word: what kind of holder it is.
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The parts after the kind, as they were given.
    pub fn parts(&self) -> Vec<String> {
        self.0.split('/').skip(1).map(|part| part.replace("%2F", "/").replace("%25", "%")).collect()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyFor<Holder> for Holder {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Key for Holder {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::decode(input).map(Holder)
    }
}

/// The labels of one kind that have parts: those that hold one artifact, or all there are.
pub(super) struct OfKind<'a>(pub(super) Option<&'a Digest>, pub(super) &'a str);

impl OfKind<'_> {
    fn start(&self) -> Vec<u8> {
        let mut bytes = self.0.map(KeyFor::<Digest>::bytes).unwrap_or_default();
        bytes.extend_from_slice(self.1.as_bytes());
        bytes.push(b'/');
        bytes
    }
}

impl PrefixOf<(Digest, Holder)> for OfKind<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.start()
    }
}

impl PrefixOf<(Holder, Digest)> for OfKind<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_apart_and_come_back() {
        let names = ["", "x", "x/y", "y/z", "z", "a%2Fb", "a/b", "%", "%25", "/", "%2F", "größe", "a b"];
        let mut labels = std::collections::HashSet::new();
        for name in names {
            for version in names {
                let holder = Holder::product(name, version);
                assert_eq!(holder.parts(), [name, version], "{holder}");
                assert_eq!(holder.kind(), "product");
                assert!(labels.insert(holder), "{name} {version}");
            }
        }
    }

    #[test]
    fn each_kind_has_its_label() {
        let (id, uuid) = (ObjectId([1; 12]), Uuid::nil());
        let cases = [
            (Holder::app(id), "app/010101010101010101010101"),
            (Holder::logo(id), "logo/010101010101010101010101"),
            (Holder::winget(uuid), "winget/00000000-0000-0000-0000-000000000000"),
            (Holder::winget_logo(uuid, "a.b"), "winget-logo/00000000-0000-0000-0000-000000000000/a.b"),
            (Holder::upload(uuid, "a/b"), "upload/00000000-0000-0000-0000-000000000000/a%2Fb"),
            (Holder::product("x", "1"), "product/x/1"),
            (Holder::refpack("v/n", "1.0.0"), "refpack/v%2Fn/1.0.0"),
            (Holder::upstream("c9"), "upstream/c9"),
            (Holder::repo("apt"), "repo/apt"),
            (Holder::repo_index("apt", 7), "repo-index/apt/7"),
            (Holder::package(), "package"),
        ];
        for (holder, label) in cases {
            assert_eq!(holder.as_str(), label);
        }
        assert_eq!(Holder::package().kind(), "package");
        assert!(Holder::package().parts().is_empty());
    }
}
