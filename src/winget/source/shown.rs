//! Which versions and installers of a package a client is shown: whatever would make it refuse the answer is left out
//! (`winget.md` B6).

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::winget::model::{Package, Release, Row, Whole};
use crate::winget::names::{self, fold};
use crate::winget::rules;
use crate::winget::source::matching::{Field, Terms};
use crate::winget::versions::newest_first;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contract(pub u16, pub u16);

impl Contract {
    /// What this server speaks, oldest first.
    pub const SUPPORTED: [&str; 8] = ["1.0.0", "1.1.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.9.0", "1.10.0"];
    /// The newest of them.
    pub const NEWEST: Contract = Contract(1, 10);

    /// One of the supported ones by its text; only the first two numbers count.
    pub fn read(text: &str) -> Option<Contract> {
        let pair = |text: &str| {
            let mut numbers = text.split('.').map(|number| number.parse::<u16>().ok());
            let pair = Contract(numbers.next()??, numbers.next()??);
            numbers.all(|number| number.is_some()).then_some(pair)
        };
        let asked = pair(text.trim())?;
        Contract::SUPPORTED.iter().filter_map(|known| pair(known)).find(|known| *known == asked)
    }
}

/// Which channels a client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Every one.
    All,
    /// The stable one.
    Stable,
    /// This one and the stable one.
    With(String),
    /// This one alone.
    Only(String),
}

impl Channels {
    fn show(&self, channel: &str) -> bool {
        match self {
            Channels::All => true,
            Channels::Stable => channel == rules::STABLE,
            Channels::With(named) => channel == rules::STABLE || channel == named,
            Channels::Only(named) => channel == named,
        }
    }
}

/// Through what a client looks at a package.
#[derive(Clone, Debug)]
pub struct Lens {
    /// The protocol it speaks.
    pub contract: Contract,
    /// The channels it sees.
    pub channels: Channels,
    /// The market it asks for.
    pub market: Option<String>,
    /// The version it asks for.
    pub version: Option<String>,
}

impl Lens {
    /// Everything of every channel, as the index has it.
    pub fn with(channels: Channels, contract: Contract) -> Lens {
        Lens { contract, channels, market: None, version: None }
    }
}

/// An installer that a client takes.
#[derive(Clone, Debug)]
pub struct Installer<'w> {
    /// Its row.
    pub row: &'w Row,
    /// Its type, as the client writes it.
    pub kind: &'static str,
    /// The type inside an archive.
    pub nested: Option<&'static str>,
    /// Its processor.
    pub arch: &'static str,
    /// Its language, well-formed.
    pub locale: Option<String>,
    /// For whom it installs.
    pub scope: Option<&'static str>,
}

/// A version with at least one installer that the client takes.
#[derive(Clone, Debug)]
pub struct Shown<'w> {
    /// The version's text.
    pub version: &'w str,
    /// What documents say of it.
    pub release: Option<&'w Release>,
    /// In the order they were added.
    pub installers: Vec<Installer<'w>>,
}

/// Types the client knows, as it writes them.
const KINDS: [&str; 11] =
    ["exe", "msi", "msix", "appx", "zip", "inno", "nullsoft", "wix", "burn", "portable", "msstore"];
const PROCESSORS: [&str; 5] = ["x64", "x86", "arm", "arm64", "neutral"];
const SCOPES: [&str; 2] = ["machine", "user"];
/// How long ids of the store are: twelve characters, fourteen for programs that are no app packages.
const STORE_ID: RangeInclusive<usize> = 12..=16;
/// The most installers of one version.
const INSTALLER_LIMIT: usize = 1024;
/// The most entries of installed programs that an installer makes; a portable one makes one.
const ENTRY_LIMIT: usize = 128;

/// The known word that `text` is, whatever its case.
pub fn known<const N: usize>(words: [&'static str; N], text: &str) -> Option<&'static str> {
    words.into_iter().find(|word| word.eq_ignore_ascii_case(text))
}

/// A type of installer as the client writes it.
pub fn kind(text: &str) -> Option<&'static str> {
    known(KINDS, text)
}

/// A processor as the client writes it.
pub fn processor(text: &str) -> Option<&'static str> {
    known(PROCESSORS, text)
}

/// The versions of a package that a client is shown, newest first.
pub fn versions<'w>(whole: &'w Whole, lens: &Lens) -> Vec<Shown<'w>> {
    let mut shown: Vec<(String, Shown<'w>)> = Vec::new();
    for row in &whole.rows {
        if !lens.channels.show(&row.channel) {
            continue;
        }
        let version = fold(&row.version);
        if lens.version.as_ref().is_some_and(|wanted| fold(wanted) != version) || !is_path_part(&row.version) {
            continue;
        }
        let Some(installer) = installer(row, lens) else { continue };
        match shown.iter_mut().find(|(known, _)| *known == version) {
            Some((_, there)) => there.installers.push(installer),
            None => {
                let release = whole.releases.get(&version);
                shown.push((version, Shown { version: &row.version, release, installers: vec![installer] }));
            }
        }
    }
    let mut shown: Vec<Shown<'w>> = shown.into_iter().map(|(_, shown)| shown).collect();
    shown.iter_mut().for_each(|version| part_twins(&mut version.installers));
    newest_first(&mut shown, |version| version.version);
    shown
}

/// The row as an installer, unless the client would not take it.
fn installer<'w>(row: &'w Row, lens: &Lens) -> Option<Installer<'w>> {
    let (kind, arch) = (kind(&row.kind)?, processor(&row.architecture)?);
    let nested = match kind {
        "zip" => Some(nested_kind(row)?),
        _ => None,
    };
    // Older clients do not know these types.
    let since = match kind {
        "zip" | "portable" => Contract(1, 4),
        "msstore" => Contract(1, 1),
        _ => Contract(1, 0),
    };
    let reachable = row.file.is_some() || row.url_sha256.is_some() && is_web_address(&row.url);
    let has_bytes = match kind {
        "msstore" => store_id(&row.extra).is_some(),
        _ => reachable,
    };
    if lens.contract < since || !has_bytes || !in_market(row, lens.market.as_deref()) {
        return None;
    }
    Some(Installer { row, kind, nested, arch, locale: locale(&row.locale), scope: known(SCOPES, &row.scope) })
}

/// The type inside an archive, when the client can find what to start there.
fn nested_kind(row: &Row) -> Option<&'static str> {
    let nested = kind(&row.nested).filter(|nested| !matches!(*nested, "zip" | "msstore"))?;
    let mut seen = HashSet::new();
    let sound = row.nested_paths.iter().all(|path| rules::nested_path(path).is_ok() && seen.insert(fold(path)));
    let fitting = match nested {
        "portable" => !row.nested_paths.is_empty(),
        _ => row.nested_paths.len() == 1,
    };
    (sound && fitting).then_some(nested)
}

/// Whether a text can be the name of a file or folder: the client makes paths of versions, commands and aliases.
pub fn is_path_part(text: &str) -> bool {
    !text.chars().all(|c| c == '.' || c.is_whitespace())
        && !text.contains(|c: char| c.is_control() || "\\/:*?\"<>|".contains(c))
}

/// Whether a link leads to the web.
pub fn is_web_address(url: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    });
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= 2048
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// The id of a program in the store of Windows. Documents name the member in two ways.
pub fn store_id(extra: &Map<String, Value>) -> Option<&str> {
    let given = ["MSStoreProductIdentifier", "ProductId"].into_iter().find_map(|member| extra.get(member)?.as_str());
    given.filter(|id| STORE_ID.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Leaves one of any two installers that the client could not tell apart: the MSIX of an MSIX and an APPX, else the
/// one that was added first; and no more than it takes of one version.
fn part_twins(installers: &mut Vec<Installer<'_>>) {
    let mut kept: Vec<Installer<'_>> = Vec::with_capacity(installers.len());
    for installer in installers.drain(..) {
        match kept.iter_mut().find(|other| other.is_twin_of(&installer)) {
            None => kept.push(installer),
            Some(other) => {
                if other.effective() == "appx" && installer.effective() == "msix" {
                    *other = installer;
                }
            }
        }
    }
    kept.truncate(INSTALLER_LIMIT);
    *installers = kept;
}

/// A language tag as BCP 47 writes it, when it is well-formed.
pub fn locale(text: &str) -> Option<String> {
    let tag = text.trim().replace('_', "-");
    let mut parts = tag.split('-');
    let language = parts.next()?;
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    let sound = (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
    // Script, region, variants; single letters begin extensions, which nobody needs here.
    let rest = parts.all(|part| (2..=8).contains(&part.len()) && plain(part));
    (sound && rest && tag.len() <= 20).then_some(tag)
}

fn markets<'r>(row: &'r Row, member: &str) -> Option<Vec<&'r str>> {
    let list = row.markets.as_ref()?.get(member)?.as_array()?;
    let known = |value: &'r Value| {
        value.as_str().filter(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    Some(list.iter().filter_map(known).collect()).filter(|list: &Vec<&str>| !list.is_empty())
}

fn in_market(row: &Row, market: Option<&str>) -> bool {
    let Some(market) = market else { return true };
    let names = |list: Vec<&str>| list.iter().any(|known| known.eq_ignore_ascii_case(market));
    match (markets(row, "AllowedMarkets"), markets(row, "ExcludedMarkets")) {
        (Some(allowed), _) => names(allowed),
        (None, Some(excluded)) => !names(excluded),
        (None, None) => true,
    }
}

impl Installer<'_> {
    /// The type that decides which codes the client takes.
    fn effective(&self) -> &'static str {
        self.nested.unwrap_or(self.kind)
    }

    /// Whether the client could not tell the two apart. To it, an archive is what lies in it, `appx` and `msix` are
    /// one type, and an installer that does not say for whom it is is like those for anybody. Nor does it take two
    /// digests of one address.
    fn is_twin_of(&self, other: &Installer<'_>) -> bool {
        let kind = |one: &Installer<'_>| if one.effective() == "appx" { "msix" } else { one.effective() };
        let scopes = self.scope == other.scope || self.scope.is_none() || other.scope.is_none();
        let same = kind(self) == kind(other) && self.arch == other.arch && self.locale == other.locale && scopes;
        let elsewhere = self.row.file.is_none() && other.row.file.is_none() && !self.row.url.is_empty();
        same || elsewhere && self.row.url == other.row.url && self.row.url_sha256 != other.row.url_sha256
    }

    /// Whether it may carry a product code and entries of installed programs.
    fn takes_codes(&self) -> bool {
        matches!(self.effective(), "exe" | "inno" | "nullsoft" | "msi" | "wix" | "burn" | "portable")
    }

    /// Its product code, when the client takes one.
    pub fn product_code(&self) -> Option<&str> {
        Some(self.row.product_code.as_str()).filter(|code| !code.is_empty() && self.takes_codes())
    }

    /// Its package family name, when the client takes one.
    pub fn family_name(&self) -> Option<&str> {
        let name = self.row.family_name.as_str();
        (matches!(self.effective(), "msix" | "appx") && is_family_name(name)).then_some(name)
    }

    /// What it lists itself as, each with text members only; the upgrade code among them.
    pub fn entries(&self) -> Vec<Map<String, Value>> {
        const MEMBERS: [&str; 6] =
            ["DisplayName", "Publisher", "DisplayVersion", "ProductCode", "UpgradeCode", "InstallerType"];
        if !self.takes_codes() {
            return Vec::new();
        }
        let mut entries: Vec<Map<String, Value>> = Vec::new();
        let upgrade = self.row.upgrade_code.as_str();
        let given = |entry: &Map<String, Value>| entry.get("UpgradeCode").and_then(Value::as_str).map(fold);
        let limit = if self.effective() == "portable" { 1 } else { ENTRY_LIMIT };
        if !upgrade.is_empty() && !self.row.entries.iter().any(|entry| given(entry) == Some(fold(upgrade))) {
            let mut entry = Map::new();
            entry.insert("UpgradeCode".to_owned(), upgrade.into());
            entry.extend(self.product_code().map(|code| ("ProductCode".to_owned(), code.into())));
            entries.push(entry);
        }
        for given in &self.row.entries {
            let mut entry = Map::new();
            for member in MEMBERS {
                let text = given.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
                let text = match member {
                    "InstallerType" => text.and_then(kind).filter(|kind| !matches!(*kind, "zip" | "msstore")),
                    // To the client, that is a range of versions.
                    "DisplayVersion" => text.filter(|text| !text.trim_start().starts_with(['<', '>'])),
                    _ => text,
                };
                entry.extend(text.map(|text| (member.to_owned(), text.into())));
            }
            if !entry.is_empty() && !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries.truncate(limit);
        entries
    }

    /// Every value its entries have under a member.
    fn entry_values(&self, member: &str) -> Vec<String> {
        self.entries().iter().filter_map(|entry| Some(entry.get(member)?.as_str()?.to_owned())).collect()
    }

    /// Its market limits, when it has any.
    pub fn markets(&self) -> Option<(&'static str, Vec<&str>)> {
        let allowed = markets(self.row, "AllowedMarkets").map(|list| ("AllowedMarkets", list));
        allowed.or_else(|| markets(self.row, "ExcludedMarkets").map(|list| ("ExcludedMarkets", list)))
    }
}

/// `Name_1234567890abc`.
pub fn is_family_name(name: &str) -> bool {
    let Some((front, hash)) = name.rsplit_once('_') else { return false };
    let alphanumeric = |b: u8| b.is_ascii_alphanumeric();
    front.len() >= 2
        && front.bytes().next().is_some_and(alphanumeric)
        && front.bytes().all(|b| alphanumeric(b) || b == b'-' || b == b'.')
        && hash.len() == 13
        && hash.bytes().all(alphanumeric)
}

/// Unions over the installers of a version, without repetition.
#[derive(Debug, Default)]
pub struct Codes {
    /// `PackageFamilyNames`.
    pub families: Vec<String>,
    /// `ProductCodes`.
    pub products: Vec<String>,
    /// `UpgradeCodes`.
    pub upgrades: Vec<String>,
    /// `AppsAndFeaturesEntryVersions`.
    pub versions: Vec<String>,
}

impl Shown<'_> {
    /// The codes of all installers.
    pub fn codes(&self) -> Codes {
        let mut codes = Codes::default();
        for installer in &self.installers {
            add(&mut codes.families, installer.family_name().map(str::to_owned));
            add(&mut codes.products, installer.product_code().map(str::to_owned));
            add(&mut codes.products, installer.entry_values("ProductCode"));
            add(&mut codes.upgrades, installer.entry_values("UpgradeCode"));
            add(&mut codes.versions, installer.entry_values("DisplayVersion"));
        }
        codes
    }
}

fn add(to: &mut Vec<String>, values: impl IntoIterator<Item = String>) {
    for value in values {
        if !to.iter().any(|known| fold(known) == fold(&value)) {
            to.push(value);
        }
    }
}

/// A name as the client takes it: at least two characters.
pub fn name(package: &Package) -> &str {
    long_enough(&package.name, 2).unwrap_or(&package.id)
}

/// A publisher as the client takes it.
pub fn publisher(package: &Package) -> &str {
    let first = package.id.split('.').next().unwrap_or_default();
    long_enough(&package.publisher, 2).or_else(|| long_enough(first, 2)).unwrap_or(&package.id)
}

/// Trimmed text of at least `least` characters.
pub fn long_enough(text: &str, least: usize) -> Option<&str> {
    let text = text.trim();
    (text.chars().take(least).count() == least).then_some(text)
}

/// What searches look at in these versions of a package.
pub fn terms(package: &Package, versions: &[Shown<'_>]) -> Terms {
    let mut terms = Terms::default();
    terms.add(Field::PackageIdentifier, &package.id);
    terms.add(Field::PackageName, name(package));
    terms.add(Field::Publisher, publisher(package));
    let normal = |terms: &mut Terms, text: &str| {
        terms.add(Field::NormalizedPackageNameAndPublisher, &names::normalized(text));
    };
    normal(&mut terms, name(package));
    for version in versions {
        let codes = version.codes();
        codes.families.iter().for_each(|code| terms.add(Field::PackageFamilyName, code));
        codes.products.iter().for_each(|code| terms.add(Field::ProductCode, code));
        codes.upgrades.iter().for_each(|code| terms.add(Field::UpgradeCode, code));
        for installer in &version.installers {
            terms.add(Field::HasInstallerType, installer.kind);
            terms.add(Field::HasInstallerType, installer.nested.unwrap_or_default());
            installer.row.commands.iter().for_each(|command| terms.add(Field::Command, command));
            installer.entry_values("DisplayName").iter().for_each(|text| normal(&mut terms, text));
            add_markets(&mut terms, installer);
        }
        if terms.every_market {
            terms.excluded = None;
        }
        let Some(release) = version.release else { continue };
        terms.add(Field::Moniker, &release.moniker);
        release.tags.iter().for_each(|tag| terms.add(Field::Tag, tag));
        for locale in std::iter::once(&release.default_locale).chain(&release.locales) {
            let text = |name: &str| locale.get(name).and_then(Value::as_str).unwrap_or_default();
            terms.add(Field::PackageName, text("PackageName"));
            terms.add(Field::Publisher, text("Publisher"));
            normal(&mut terms, text("PackageName"));
        }
    }
    terms
}

/// For which markets an installer is: each that is allowed, or all but those that every limited one excludes.
fn add_markets(terms: &mut Terms, installer: &Installer<'_>) {
    match installer.markets() {
        Some(("AllowedMarkets", list)) => list.iter().for_each(|market| terms.add(Field::Market, market)),
        Some((_, list)) => {
            let list = list.into_iter().map(str::to_uppercase);
            terms.excluded = Some(match terms.excluded.take() {
                Some(known) => list.filter(|market| known.contains(market)).collect(),
                None => list.collect(),
            });
        }
        None => terms.every_market = true,
    }
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
