//! What the RefPack dialect allows: ids in paths, versions, parameters of lists, owners. Pure.

use std::borrow::Cow;
use std::cmp::Ordering;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::identity::TokenKey;
use crate::ids::ObjectId;

/// An error of this dialect: its short word and its sentence (`refpack.md` §1). They travel as two lines of one message.
pub fn refuse(kind: Kind, short: &str, sentence: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, format!("{short}\n{}", sentence.into()))
}

fn invalid(short: &str, sentence: impl Into<Cow<'static, str>>) -> Error {
    refuse(Kind::Invalid, short, sentence)
}

/// `Invalid parameter`, naming it.
pub fn bad_parameter(name: &str, what: &str) -> Error {
    invalid("Invalid parameter", format!("Parameter '{name}' {what}"))
}

/// What stands behind an id in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The manifest.
    Meta,
    /// The payload.
    Data,
    /// The schema.
    Schema,
    /// The changelog.
    Changelog,
    /// The readme.
    Readme,
    /// The list of versions.
    Versions,
    /// Archiving.
    Archive,
}

impl Action {
    fn parse(segment: &str) -> Option<Action> {
        Some(match segment {
            "meta" => Action::Meta,
            "data" => Action::Data,
            "schema" => Action::Schema,
            "changelog" => Action::Changelog,
            "readme" => Action::Readme,
            "versions" => Action::Versions,
            "archive" => Action::Archive,
            _ => return None,
        })
    }
}

/// What a path below `/packages/` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The list, as without the slash.
    List,
    /// The advanced search.
    Search,
    /// The package with this id, which may be no good id at all.
    Package(String),
    /// Something of it.
    Part(String, Action),
    /// No route.
    Nowhere,
}

const SEARCH: &str = "advanced-search";

/// Reads the segments behind `/packages/`, each decoded once (`refpack.md` §2). A slash inside one came as `%2F`.
pub fn target(segments: &[String]) -> Target {
    let whole = |segment: &String| !segment.is_empty() && !segment.contains('/');
    match segments {
        [only] if only.is_empty() => Target::List,
        _ if segments.iter().any(String::is_empty) => Target::Nowhere,
        [only] if only == SEARCH => Target::Search,
        [only] => Target::Package(only.clone()),
        [id, last] => match Action::parse(last) {
            Some(action) => Target::Part(id.clone(), action),
            None if whole(id) && whole(last) => Target::Package(format!("{id}/{last}")),
            None => Target::Nowhere,
        },
        [vendor, name, last] if whole(vendor) && whole(name) => match Action::parse(last) {
            Some(action) => Target::Part(format!("{vendor}/{name}"), action),
            None => Target::Nowhere,
        },
        _ => Target::Nowhere,
    }
}

/// The longest segment of an id.
const SEGMENT_LIMIT: usize = 64;

fn is_segment(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let outer = |c: char| c.is_ascii_alphanumeric();
    text.len() <= SEGMENT_LIMIT && text.starts_with(outer) && text.ends_with(outer) && text.chars().all(inner)
}

/// Whether a package may have this id; every one that may can be reached by its path.
///
/// # Errors
/// `Invalid package id`.
pub fn check_id(id: &str) -> Result<()> {
    let refused = |why: &str| {
        let shown: String = id.chars().take(200).collect();
        Err(invalid("Invalid package id", format!("'{shown}' {why}")))
    };
    let segments: Vec<&str> = id.split('/').collect();
    if segments.len() > 2 || !segments.iter().all(|segment| is_segment(segment)) {
        return refused("is not a package id of the form name or vendor/name");
    }
    match segments.as_slice() {
        [only] if *only == SEARCH => refused("is reserved"),
        [_, second] if Action::parse(second).is_some() => refused("is reserved"),
        _ => Ok(()),
    }
}

/// The vendor of an id with two segments.
pub fn vendor(id: &str) -> Option<&str> {
    id.split_once('/').map(|(vendor, _)| vendor)
}

/// Whether an owner label may be chosen.
///
/// # Errors
/// `Invalid parameter`.
pub fn check_owner_label(label: &str) -> Result<()> {
    let good = label.len() <= 64
        && label.starts_with(|c: char| c.is_ascii_alphanumeric())
        && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    match good {
        true => Ok(()),
        false => Err(bad_parameter("ownerId", "must be 1 to 64 letters, digits, '.', '_' or '-'")),
    }
}

/// Who pushes: the account behind a key, else the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Publisher {
    /// An account.
    Account(ObjectId),
    /// A token that belongs to no account.
    Token(TokenKey),
}

/// Whether `who` may change what `owner` published first.
///
/// # Errors
/// `Forbidden`, naming the package.
pub fn may_change(owner: Publisher, who: Publisher, admin: bool, id: &str) -> Result<()> {
    match admin || owner == who {
        true => Ok(()),
        false => Err(refuse(Kind::Forbidden, "Forbidden", format!("Package '{id}' belongs to another publisher"))),
    }
}

/// The version a query names: blanks are plus signs that came unescaped.
///
/// # Errors
/// `Invalid version format`.
pub fn version(text: &str) -> Result<Version> {
    let refused = || invalid("Invalid version format", "Version must be a valid SemVer string");
    Version::parse(&text.replace(' ', "+")).map_err(|_| refused())
}

/// What two equal versions have in common: everything but the build metadata.
pub fn version_key(version: &Version) -> String {
    Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }.to_string()
}

/// What `latest` means among versions and whether they are archived: the highest present release, else the highest
/// present pre-release.
pub fn latest<'a>(versions: impl Iterator<Item = (&'a Version, bool)>) -> Option<&'a Version> {
    versions.filter(|(_, archived)| !archived).map(|(version, _)| version).max_by(|a, b| newer(a, b))
}

/// Releases before pre-releases, then by precedence.
pub fn newer(a: &Version, b: &Version) -> Ordering {
    a.pre.is_empty().cmp(&b.pre.is_empty()).then_with(|| a.cmp_precedence(b))
}

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// 1 to 100.
    pub size: u32,
}

/// Reads `page` and `pageSize`; absent and empty mean 1 and 10.
///
/// # Errors
/// `Invalid page`, `Invalid page size`.
pub fn page(number: Option<&str>, size: Option<&str>) -> Result<Page> {
    let read = |text: Option<&str>, default: u32, most: u32| match text {
        None | Some("") => Some(default),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().filter(|n| (1..=most).contains(n))
        }
        Some(_) => None,
    };
    let number =
        read(number, 1, i32::MAX as u32).ok_or_else(|| invalid("Invalid page", "Page must be a positive integer"))?;
    let size =
        read(size, 10, 100).ok_or_else(|| invalid("Invalid page size", "Page size must be between 1 and 100"))?;
    Ok(Page { number, size })
}

/// Reads `includeArchived`.
///
/// # Errors
/// `Invalid parameter`.
pub fn include_archived(text: Option<&str>) -> Result<bool> {
    match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "0" | "false" => Ok(false),
        "1" | "true" => Ok(true),
        _ => Err(bad_parameter("includeArchived", "must be true or false")),
    }
}

/// The longest search text, in characters, and the most tags and filters (`reliability.md` §11).
const SEARCH_LIMIT: usize = 1000;
const TERMS_LIMIT: usize = 100;

/// What a list is narrowed to. Texts are folded already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Search {
    /// A piece of id, title or description.
    pub text: String,
    /// Packages with every version archived appear too.
    pub archived: bool,
    /// The exact owner label.
    pub owner: Option<String>,
    /// Tags that must all be there.
    pub tags: Vec<String>,
    /// Manifest keys and the values they must have.
    pub filters: Vec<(String, String)>,
}

/// Reads `q`.
///
/// # Errors
/// `Invalid parameter` when it is too long.
pub fn search_text(text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or_default().trim();
    match text.chars().count() {
        0..=SEARCH_LIMIT => Ok(fold(text)),
        _ => Err(bad_parameter("q", "must have at most 1000 characters")),
    }
}

/// Reads every `tags` and `tags[]`.
///
/// # Errors
/// `Invalid parameter` when there are too many.
pub fn tags<'a>(given: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut tags: Vec<String> =
        given.flat_map(|list| list.split(',')).map(str::trim).filter(|tag| !tag.is_empty()).map(fold).collect();
    tags.sort();
    tags.dedup();
    match tags.len() {
        0..=TERMS_LIMIT => Ok(tags),
        _ => Err(bad_parameter("tags", "must name at most 100 tags")),
    }
}

/// Reads `filters` and `customFilters`, each empty or `key:value,…`.
///
/// # Errors
/// `Invalid filters`.
pub fn filters<'a>(given: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>> {
    let refused = || invalid("Invalid filters", "Filters must be in format 'key1:value1,key2:value2'");
    let mut filters = Vec::new();
    for piece in given.filter(|list| !list.is_empty()).flat_map(|list| list.split(',')) {
        let (key, value) = piece.split_once(':').filter(|(key, _)| !key.is_empty()).ok_or_else(refused)?;
        let key = if key == "name" { "title" } else { key };
        filters.push((key.to_owned(), fold(value)));
    }
    match filters.len() {
        0..=TERMS_LIMIT => Ok(filters),
        _ => Err(refused()),
    }
}

/// Text in which upper and lower case are the same, character by character, so that a piece folds like the whole.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Every pair a filter may name, folded: manifest keys with their text, numbers and Booleans, and those inside arrays.
pub fn pairs(manifest: &Map<String, Value>) -> Vec<(&str, String)> {
    fn gather<'a>(key: &'a str, value: &Value, out: &mut Vec<(&'a str, String)>) {
        match value {
            Value::String(text) => out.push((key, fold(text))),
            Value::Number(number) => out.push((key, fold(&number.to_string()))),
            Value::Bool(flag) => out.push((key, flag.to_string())),
            Value::Array(items) => items.iter().for_each(|item| gather(key, item, out)),
            Value::Null | Value::Object(_) => {}
        }
    }
    let mut out = Vec::new();
    for (key, value) in manifest {
        gather(key, value, &mut out);
    }
    out
}

/// The name a package is saved under.
pub fn file_name(id: &str, version: &str) -> String {
    format!("{}-{version}.refpack.zip", id.replace('/', "-"))
}

/// Whether the file name of an upload is a RefPack's.
pub fn is_pack_name(name: &str) -> bool {
    name.len() >= 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".zip")
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
