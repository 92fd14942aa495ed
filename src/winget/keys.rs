//! By what packages are found with one look-up: codes, names, tags; always compared folded (`winget.md` B4).

use serde_json::Value;
use uuid::Uuid;

use crate::winget::model::{Package, Release, Row};
use crate::winget::names::{fold, normalized};
use crate::winget::source::shown;

/// What a key says of a package. Installers whose code the client would refuse are indexed too: whoever answers
/// compares again with what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `PackageName`.
    Name,
    /// `Publisher`.
    Publisher,
    /// The name as winget normalizes it; look-ups take the normalized text.
    NormalizedName,
    /// Short name.
    Moniker,
    /// A tag.
    Tag,
    /// A command.
    Command,
    /// Product code of an installer or of one of its `AppsAndFeaturesEntries`.
    ProductCode,
    /// Upgrade code, the same.
    UpgradeCode,
    /// Package family name.
    FamilyName,
}

/// The longest text that is indexed, in characters; keywords are shorter.
const MAX_TEXT: usize = 300;

impl Key {
    const fn word(self) -> &'static str {
        match self {
            Key::Name => "name",
            Key::Publisher => "publisher",
            Key::NormalizedName => "normalized",
            Key::Moniker => "moniker",
            Key::Tag => "tag",
            Key::Command => "command",
            Key::ProductCode => "product",
            Key::UpgradeCode => "upgrade",
            Key::FamilyName => "family",
        }
    }

    /// The key's text in the index.
    pub(super) fn text(self, value: &str) -> String {
        let value: String = fold(value).chars().take(MAX_TEXT).collect();
        format!("{}:{value}", self.word())
    }
}

/// What a key comes from: the package itself.
pub(super) const PACKAGE: &str = "package";
/// Sorts behind everything a key can come from.
pub(super) const LAST: &str = "\u{10FFFF}";

/// What a key comes from: a version row.
pub(super) fn from_row(uid: Uuid) -> String {
    format!("row/{uid}")
}

/// What a key comes from: what is said of a version as a whole.
pub(super) fn from_release(version: &str) -> String {
    format!("release/{version}")
}

/// Collects keys without repeating any; empty values are none.
#[derive(Default)]
struct Keys(Vec<String>);

impl Keys {
    fn add(&mut self, key: Key, value: &str) {
        if !value.is_empty() {
            self.0.push(key.text(value));
        }
    }

    fn done(mut self) -> Vec<String> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// The keys of a package's own record.
pub(super) fn of_package(package: &Package) -> Vec<String> {
    let mut keys = Keys::default();
    keys.add(Key::Name, &package.name);
    keys.add(Key::Publisher, &package.publisher);
    keys.add(Key::NormalizedName, &normalized(&package.name));
    // Names too short for the client are shown in other words, and searched for in them.
    keys.add(Key::Name, shown::name(package));
    keys.add(Key::NormalizedName, &normalized(shown::name(package)));
    keys.add(Key::Publisher, shown::publisher(package));
    keys.done()
}

/// The keys of a row.
pub(super) fn of_row(row: &Row) -> Vec<String> {
    let mut keys = Keys::default();
    keys.add(Key::ProductCode, &row.product_code);
    keys.add(Key::UpgradeCode, &row.upgrade_code);
    keys.add(Key::FamilyName, &row.family_name);
    for command in &row.commands {
        keys.add(Key::Command, command);
    }
    for entry in &row.entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        keys.add(Key::ProductCode, text("ProductCode"));
        keys.add(Key::UpgradeCode, text("UpgradeCode"));
        keys.add(Key::NormalizedName, &normalized(text("DisplayName")));
    }
    keys.done()
}

/// The keys of what manifests say of a version, beside those that its package has anyway: most versions repeat its name
/// and publisher.
pub(super) fn of_release(release: &Release, of_package: &[String]) -> Vec<String> {
    let mut keys = Keys::default();
    keys.add(Key::Moniker, &release.moniker);
    for tag in &release.tags {
        keys.add(Key::Tag, tag);
    }
    for locale in std::iter::once(&release.default_locale).chain(&release.locales) {
        let text = |name: &str| locale.get(name).and_then(Value::as_str).unwrap_or_default();
        keys.add(Key::Name, text("PackageName"));
        keys.add(Key::NormalizedName, &normalized(text("PackageName")));
        keys.add(Key::Publisher, text("Publisher"));
    }
    keys.0.retain(|key| !of_package.contains(key));
    keys.done()
}
