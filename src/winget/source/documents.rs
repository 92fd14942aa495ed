//! Documents of the REST source and of manifests: checked, turned into records, and given back (`winget.md` B9, B10).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::Digest;
use crate::winget::model::{Dependencies, Package, Release, Row};
use crate::winget::names::fold;
use crate::winget::rules;
use crate::winget::source::shown;

/// A JSON object.
pub type Document = Map<String, Value>;

/// Types of installers that documents may name.
const KINDS: [&str; 13] =
    ["exe", "msi", "msix", "appx", "zip", "inno", "nullsoft", "wix", "burn", "portable", "msstore", "pwa", "font"];
/// Types that list a program with a product code.
const CODED: [&str; 7] = ["exe", "inno", "nullsoft", "msi", "wix", "burn", "portable"];
/// Locale members with a least and a most number of characters.
const TEXTS: [(&str, usize, usize); 15] = [
    ("Publisher", 2, 256),
    ("PublisherUrl", 0, 2048),
    ("PublisherSupportUrl", 0, 2048),
    ("PrivacyUrl", 0, 2048),
    ("Author", 2, 256),
    ("PackageName", 2, 256),
    ("PackageUrl", 0, 2048),
    ("License", 3, 512),
    ("LicenseUrl", 0, 2048),
    ("Copyright", 3, 512),
    ("CopyrightUrl", 0, 2048),
    ("ShortDescription", 3, 256),
    ("Description", 0, 10_000),
    ("Moniker", 1, 40),
    ("ReleaseNotes", 0, 10_000),
];
/// Those that the default language must have.
const REQUIRED: [&str; 4] = ["Publisher", "PackageName", "License", "ShortDescription"];

fn wrong(member: &str, why: &str) -> Error {
    Error::invalid(format!("{member} {why}"))
}

/// The document as an object.
///
/// # Errors
/// `Invalid` when it is something else.
pub fn object(value: Value, what: &str) -> Result<Document> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(wrong(what, "must be an object")),
    }
}

/// Takes a text member out; absent, null and empty ones are none.
fn take_text(document: &mut Document, member: &str, most: usize) -> Result<Option<String>> {
    match document.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            if text.chars().count() > most {
                return Err(wrong(member, &format!("has more than {most} characters")));
            }
            if text.contains(char::is_control) {
                return Err(wrong(member, "holds control characters"));
            }
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Some(_) => Err(wrong(member, "must be text")),
    }
}

fn take_list(document: &mut Document, member: &str) -> Result<Vec<Value>> {
    match document.remove(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(wrong(member, "must be an array")),
    }
}

fn texts(list: Vec<Value>, member: &str, most: usize) -> Result<Vec<String>> {
    let text = |value: Value| match value {
        Value::String(text) if (1..=most).contains(&text.chars().count()) && !text.contains(char::is_control) => {
            Ok(text)
        }
        _ => Err(wrong(member, &format!("must hold texts of at most {most} characters"))),
    };
    list.into_iter().map(text).collect()
}

fn word<const N: usize>(words: [&'static str; N], text: &str, member: &str) -> Result<&'static str> {
    shown::known(words, text).ok_or_else(|| wrong(member, &format!("must be one of {}", words.join(", "))))
}

/// A package's id by the stricter rule of documents: two to eight parts of at most 32 characters.
///
/// # Errors
/// `Invalid` naming `PackageIdentifier`.
pub fn identifier(text: &str) -> Result<&str> {
    let good = |part: &str| {
        (1..=32).contains(&part.chars().count())
            && !part.chars().any(|c| c.is_whitespace() || c.is_control() || "\\/:*?\"<>|".contains(c))
    };
    let parts: Vec<&str> = text.split('.').collect();
    match (2..=8).contains(&parts.len()) && parts.into_iter().all(good) && text.chars().count() <= 128 {
        true => Ok(text),
        false => Err(wrong("PackageIdentifier", "must be two to eight parts of 1 to 32 characters between dots")),
    }
}

/// Takes the id out of a document.
///
/// # Errors
/// `Invalid` naming `PackageIdentifier`.
pub fn take_identifier(document: &mut Document) -> Result<String> {
    let id = take_text(document, "PackageIdentifier", 128)?;
    let id = id.ok_or_else(|| wrong("PackageIdentifier", "is missing"))?;
    identifier(&id)?;
    Ok(id)
}

/// Takes a version's text out of a document.
///
/// # Errors
/// `Invalid` naming `PackageVersion`.
pub fn take_version(document: &mut Document) -> Result<String> {
    let version = take_text(document, "PackageVersion", 128)?;
    let version = version.ok_or_else(|| wrong("PackageVersion", "is missing"))?;
    match rules::version(&version) {
        Ok(version) => Ok(version.to_owned()),
        Err(_) => Err(wrong("PackageVersion", "must not hold any of \\ / : * ? \" < > |")),
    }
}

/// Checks a locale document; `default` is the version's own language, which must say more.
///
/// # Errors
/// `Invalid` naming the member.
pub fn locale(document: &Document, default: bool) -> Result<()> {
    let text = |member: &str| match document.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim())),
        Some(_) => Err(wrong(member, "must be text")),
    };
    match text("PackageLocale")? {
        Some(tag) if shown::locale(tag).is_some() && !tag.contains('_') => {}
        Some(_) => return Err(wrong("PackageLocale", "is no well-formed language tag")),
        None => return Err(wrong("PackageLocale", "is missing")),
    }
    for (member, least, most) in TEXTS {
        let required = default && REQUIRED.contains(&member);
        let Some(text) = text(member)? else {
            if required {
                return Err(wrong(member, "is missing"));
            }
            continue;
        };
        let said = required || !text.is_empty();
        if said && !(least..=most).contains(&text.chars().count()) {
            return Err(wrong(member, &format!("must have {least} to {most} characters")));
        }
    }
    match document.get("Tags") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(tags)) => texts(tags.clone(), "Tags", 40).map(drop),
        Some(_) => Err(wrong("Tags", "must be an array")),
    }
}

/// What a version's documents say of it as a whole.
///
/// # Errors
/// `Invalid` naming the member.
pub fn release(version: String, default: Document, locales: Vec<Document>, extra: Document) -> Result<Release> {
    locale(&default, true)?;
    let mut seen = vec![tag_of(&default)];
    for document in &locales {
        locale(document, false)?;
        if seen.contains(&tag_of(document)) {
            return Err(wrong("PackageLocale", "is given twice"));
        }
        seen.push(tag_of(document));
    }
    let mut release = Release { version, default_locale: default, locales, extra, ..Release::default() };
    gather(&mut release);
    Ok(release)
}

/// The language of a locale document, folded.
pub fn tag_of(document: &Document) -> String {
    fold(document.get("PackageLocale").and_then(Value::as_str).unwrap_or_default().trim())
}

/// Brings what is searched for to what the locales say.
pub fn gather(release: &mut Release) {
    let moniker = release.default_locale.get("Moniker").and_then(Value::as_str).unwrap_or_default();
    release.moniker = moniker.trim().to_owned();
    let mut tags: Vec<String> = Vec::new();
    for locale in std::iter::once(&release.default_locale).chain(&release.locales) {
        let listed = locale.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for tag in listed {
            if !tags.iter().any(|known| fold(known) == fold(tag)) {
                tags.push(tag.to_owned());
            }
        }
    }
    release.tags = tags;
}

/// Whether programs of this effective type are listed with a product code.
pub fn is_coded(kind: &str) -> bool {
    CODED.contains(&kind)
}

/// The row that an installer document describes. Its bytes, if they are here, are the caller's to find.
///
/// # Errors
/// `Invalid` naming the member.
pub fn row(mut document: Document, version: &str, channel: &str, uid: Uuid) -> Result<Row> {
    let d = &mut document;
    let arch = take_text(d, "Architecture", 16)?.ok_or_else(|| wrong("Architecture", "is missing"))?;
    let arch = word(["x86", "x64", "arm", "arm64", "neutral"], &arch, "Architecture")?;
    let kind = take_text(d, "InstallerType", 16)?.ok_or_else(|| wrong("InstallerType", "is missing"))?;
    let kind = word(KINDS, &kind, "InstallerType")?;
    let scope = take_text(d, "Scope", 16)?.map(|scope| word(["machine", "user"], &scope, "Scope")).transpose()?;
    let locale = take_text(d, "InstallerLocale", 20)?.unwrap_or_default();
    if !locale.is_empty() && (shown::locale(&locale).is_none() || locale.contains('_')) {
        return Err(wrong("InstallerLocale", "is no well-formed language tag"));
    }
    let mut row = Row {
        uid,
        version: version.to_owned(),
        locale,
        architecture: arch.to_owned(),
        kind: kind.to_uppercase(),
        scope: scope.unwrap_or_default().to_owned(),
        channel: channel.to_owned(),
        ..Row::default()
    };
    source(d, kind, &mut row)?;
    let effective = nested(d, kind, &mut row)?;
    codes(d, effective, &mut row)?;
    switches(d, &mut row)?;
    let upgrades = take_text(d, "UpgradeBehavior", 32)?;
    let upgrades = upgrades.map(|text| word(rules::UPGRADES, &text, "UpgradeBehavior")).transpose()?;
    row.upgrades = upgrades.filter(|word| *word != "install").unwrap_or_default().to_owned();
    row.commands = texts(take_list(d, "Commands")?, "Commands", 128)?;
    row.dependencies = dependencies(d)?;
    row.markets = markets(d)?;
    if let Some(identifier) = take_text(d, "InstallerIdentifier", 128)? {
        // Our own id needs no keeping.
        if identifier.parse() != Ok(uid) {
            d.insert("InstallerIdentifier".to_owned(), identifier.into());
        }
    }
    // It picks versions here, and no client takes it.
    d.remove("Channel");
    d.retain(|_, value| !value.is_null());
    row.extra = document;
    Ok(row)
}

fn source(d: &mut Document, kind: &str, row: &mut Row) -> Result<()> {
    let url = take_text(d, "InstallerUrl", 2048)?;
    let hash = take_text(d, "InstallerSha256", 64)?;
    if kind == "msstore" {
        if shown::store_id(d).is_none() {
            return Err(wrong("MSStoreProductIdentifier", "is missing, or is not 12 to 16 letters and digits"));
        }
    } else {
        if url.is_none() {
            return Err(wrong("InstallerUrl", "is missing"));
        }
        if hash.is_none() {
            return Err(wrong("InstallerSha256", "is missing"));
        }
    }
    if url.as_deref().is_some_and(|url| !shown::is_web_address(url)) {
        return Err(wrong("InstallerUrl", "must be an http or https address"));
    }
    let digest =
        hash.map(|hash| Digest::from_hex(&hash).ok_or_else(|| wrong("InstallerSha256", "must be 64 hex digits")));
    row.url = url.unwrap_or_default();
    row.url_sha256 = digest.transpose()?;
    Ok(())
}

/// Reads what lies in an archive; answers the effective type.
fn nested(d: &mut Document, kind: &'static str, row: &mut Row) -> Result<&'static str> {
    let nested = take_text(d, "NestedInstallerType", 16)?;
    let files = take_list(d, "NestedInstallerFiles")?;
    if kind != "zip" {
        return Ok(kind);
    }
    let nested = nested.ok_or_else(|| wrong("NestedInstallerType", "is missing"))?;
    let nested = word(KINDS, &nested, "NestedInstallerType")?;
    if matches!(nested, "zip" | "msstore" | "pwa") {
        return Err(wrong("NestedInstallerType", "cannot lie in an archive"));
    }
    for file in &files {
        let path = file.get("RelativeFilePath").and_then(Value::as_str);
        let path = path.and_then(|path| rules::nested_path(path).ok());
        let path = path.ok_or_else(|| wrong("RelativeFilePath", "must be a path that stays in the archive"))?;
        if row.nested_paths.iter().any(|known| rules::entry_key(known) == rules::entry_key(path)) {
            return Err(wrong("RelativeFilePath", "is given twice"));
        }
        row.nested_paths.push(path.to_owned());
    }
    match row.nested_paths.len() {
        0 => return Err(wrong("NestedInstallerFiles", "is missing")),
        1 => {}
        _ if nested == "portable" || nested == "font" => {}
        _ => return Err(wrong("NestedInstallerFiles", "may hold only one file of this type")),
    }
    row.nested = nested.to_uppercase();
    if files.iter().any(|file| file.as_object().is_some_and(|file| file.len() > 1)) {
        // Aliases of portable programs.
        d.insert("NestedInstallerFiles".to_owned(), files.into());
    }
    Ok(nested)
}

fn codes(d: &mut Document, effective: &str, row: &mut Row) -> Result<()> {
    row.product_code = take_text(d, "ProductCode", 255)?.unwrap_or_default();
    row.family_name = take_text(d, "PackageFamilyName", 255)?.unwrap_or_default();
    if !row.product_code.is_empty() && !is_coded(effective) {
        return Err(wrong("ProductCode", "does not go with this type of installer"));
    }
    if !row.family_name.is_empty() {
        if !matches!(effective, "msix" | "appx") {
            return Err(wrong("PackageFamilyName", "does not go with this type of installer"));
        }
        if !shown::is_family_name(&row.family_name) {
            return Err(wrong("PackageFamilyName", "is none"));
        }
    }
    for entry in take_list(d, "AppsAndFeaturesEntries")? {
        if !is_coded(effective) {
            return Err(wrong("AppsAndFeaturesEntries", "does not go with this type of installer"));
        }
        let entry = object(entry, "AppsAndFeaturesEntries")?;
        for member in ["DisplayName", "Publisher", "DisplayVersion", "ProductCode", "UpgradeCode", "InstallerType"] {
            take_text(&mut entry.clone(), member, 256)?;
        }
        row.entries.push(entry);
    }
    Ok(())
}

fn switches(d: &mut Document, row: &mut Row) -> Result<()> {
    let given = match d.remove("InstallerSwitches") {
        None | Some(Value::Null) => return Ok(()),
        Some(given) => object(given, "InstallerSwitches")?,
    };
    let mut known = BTreeMap::new();
    let mut unknown = given;
    for switch in rules::SWITCHES {
        known.extend(
            take_text(&mut unknown, switch, rules::switch_limit(switch))?.map(|text| (switch.to_owned(), text)),
        );
    }
    row.switches = known;
    if !unknown.is_empty() {
        d.insert("InstallerSwitches".to_owned(), unknown.into());
    }
    Ok(())
}

fn dependencies(d: &mut Document) -> Result<Dependencies> {
    let mut given = match d.remove("Dependencies") {
        None | Some(Value::Null) => return Ok(Dependencies::default()),
        Some(given) => object(given, "Dependencies")?,
    };
    let mut out = Dependencies {
        features: texts(take_list(&mut given, "WindowsFeatures")?, "WindowsFeatures", 128)?,
        libraries: texts(take_list(&mut given, "WindowsLibraries")?, "WindowsLibraries", 128)?,
        external: texts(take_list(&mut given, "ExternalDependencies")?, "ExternalDependencies", 128)?,
        packages: Vec::new(),
    };
    for package in take_list(&mut given, "PackageDependencies")? {
        let mut package = object(package, "PackageDependencies")?;
        let id = take_text(&mut package, "PackageIdentifier", 128)?;
        let id = id.ok_or_else(|| wrong("PackageDependencies", "must hold objects with a PackageIdentifier"))?;
        out.packages.push((id, take_text(&mut package, "MinimumVersion", 128)?.unwrap_or_default()));
    }
    Ok(out)
}

fn markets(d: &mut Document) -> Result<Option<Value>> {
    let given = match d.remove("Markets") {
        None | Some(Value::Null) => return Ok(None),
        Some(given) => object(given, "Markets")?,
    };
    for (member, list) in &given {
        let good = |value: &Value| {
            value.as_str().is_some_and(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
        };
        let known = ["AllowedMarkets", "ExcludedMarkets"].contains(&member.as_str());
        if !known || !list.as_array().is_some_and(|list| list.iter().all(good)) {
            return Err(wrong("Markets", "must be AllowedMarkets or ExcludedMarkets with lists of two letters"));
        }
    }
    Ok((!given.is_empty()).then_some(Value::Object(given)))
}

/// The id an installer goes by in documents: the one it came with, else its UID.
pub fn installer_identifier(row: &Row) -> String {
    let given = row.extra.get("InstallerIdentifier").and_then(Value::as_str);
    given.map_or_else(|| row.uid.to_string(), str::to_owned)
}

/// The document of a row; `link` is where its bytes are when it does not say so itself.
pub fn of_row(row: &Row, link: &str) -> Value {
    let mut out = row.extra.clone();
    out.insert("InstallerIdentifier".to_owned(), installer_identifier(row).into());
    let mut put = |member: &str, text: &str| {
        if !text.is_empty() {
            out.insert(member.to_owned(), text.into());
        }
    };
    put("Architecture", &row.architecture);
    put("InstallerType", &row.kind.to_lowercase());
    put("Scope", &row.scope);
    put("InstallerLocale", &row.locale.replace('_', "-"));
    put("InstallerUrl", if row.url.is_empty() { link } else { &row.url });
    let digest = row.file.as_ref().map(|file| file.digest).or(row.url_sha256);
    put("InstallerSha256", &digest.map(|digest| digest.to_hex()).unwrap_or_default());
    put("ProductCode", &row.product_code);
    put("PackageFamilyName", &row.family_name);
    put("NestedInstallerType", &row.nested.to_lowercase());
    put("UpgradeBehavior", &row.upgrades);
    if !row.nested_paths.is_empty() && !out.contains_key("NestedInstallerFiles") {
        let files: Vec<Value> = row.nested_paths.iter().map(|path| json!({ "RelativeFilePath": path })).collect();
        out.insert("NestedInstallerFiles".to_owned(), files.into());
    }
    if !row.switches.is_empty() {
        let unknown = out.get("InstallerSwitches").and_then(Value::as_object).cloned().unwrap_or_default();
        let known = row.switches.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        out.insert("InstallerSwitches".to_owned(), Value::Object(unknown.into_iter().chain(known).collect()));
    }
    let mut entries: Vec<Value> = row.entries.iter().cloned().map(Value::Object).collect();
    if !row.upgrade_code.is_empty() {
        entries.insert(0, json!({ "UpgradeCode": row.upgrade_code }));
    }
    if !entries.is_empty() {
        out.insert("AppsAndFeaturesEntries".to_owned(), entries.into());
    }
    if !row.commands.is_empty() {
        out.insert("Commands".to_owned(), row.commands.clone().into());
    }
    if !row.dependencies.is_empty() {
        out.insert("Dependencies".to_owned(), of_dependencies(&row.dependencies));
    }
    if let Some(markets) = &row.markets {
        out.insert("Markets".to_owned(), markets.clone());
    }
    Value::Object(out)
}

fn of_dependencies(given: &Dependencies) -> Value {
    let mut out = Map::new();
    let lists = [
        ("WindowsFeatures", &given.features),
        ("WindowsLibraries", &given.libraries),
        ("ExternalDependencies", &given.external),
    ];
    for (member, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        out.insert(member.to_owned(), list.clone().into());
    }
    if !given.packages.is_empty() {
        let package = |(id, least): &(String, String)| match least.is_empty() {
            true => json!({ "PackageIdentifier": id }),
            false => json!({ "PackageIdentifier": id, "MinimumVersion": least }),
        };
        out.insert("PackageDependencies".to_owned(), given.packages.iter().map(package).collect());
    }
    Value::Object(out)
}

/// The document of a package.
pub fn of_package(package: &Package) -> Value {
    let mut out = package.extra.clone();
    out.insert("PackageIdentifier".to_owned(), package.id.as_str().into());
    Value::Object(out)
}

/// The document of a version: what was given, or what Part A's records amount to.
pub fn of_version(package: &Package, version: &str, release: Option<&Release>, rows: &[&Row]) -> Document {
    let mut out = release.map(|release| release.extra.clone()).unwrap_or_default();
    out.insert("PackageVersion".to_owned(), version.into());
    let given = release.map(|release| &release.default_locale).filter(|given| !given.is_empty());
    let default = given.cloned().unwrap_or_else(|| {
        let tag = rows.iter().find_map(|row| shown::locale(&row.locale)).unwrap_or_else(|| "en-US".to_owned());
        let short: String = package.description.chars().take(256).collect();
        let short = shown::long_enough(&short, 3).unwrap_or_else(|| shown::name(package)).to_owned();
        let made = json!({
            "PackageLocale": tag,
            "Publisher": shown::publisher(package),
            "PackageName": shown::name(package),
            "License": "Not specified",
            "ShortDescription": short,
        });
        made.as_object().cloned().unwrap_or_default()
    });
    out.insert("DefaultLocale".to_owned(), Value::Object(default));
    out
}
