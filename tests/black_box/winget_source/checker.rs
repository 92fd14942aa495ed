//! An independent reading of what the real client takes: it goes through an answer as the client does (how it reads
//! each contract, and its validation of manifests without the checks for the community's repository) and panics where
//! the client would say "Invalid data returned by rest source".

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// A member that has to be text and not empty.
#[track_caller]
fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    let text = value[member].as_str().unwrap_or_else(|| panic!("{member} is no text in {value}"));
    assert!(!text.trim().is_empty(), "{member} is empty in {value}");
    text
}

#[track_caller]
fn optional<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).map(|_| text(value, member))
}

/// Nothing null, no empty text, no empty object anywhere; names begin with a capital.
#[track_caller]
fn shape(value: &Value) {
    match value {
        Value::Null => panic!("a null"),
        Value::String(text) => assert!(!text.is_empty(), "an empty text"),
        Value::Array(list) => list.iter().for_each(shape),
        Value::Object(members) => {
            assert!(!members.is_empty(), "an empty object");
            for (name, value) in members {
                assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name} begins small");
                shape(value);
            }
        }
        _ => {}
    }
}

/// A well-formed language tag: language, script, region, variants.
fn is_tag(tag: &str) -> bool {
    let parts: Vec<&str> = tag.split('-').collect();
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    let Some((language, rest)) = parts.split_first() else { return false };
    (2..=3).contains(&language.len())
        && letters(language)
        && rest.iter().all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[track_caller]
fn version(text: &str) {
    assert!(text.chars().count() <= 128, "{text}");
    assert!(!text.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|']), "{text}");
    path_part(text);
    one_version(text);
}

/// Ids and versions become parts of paths on the client.
#[track_caller]
fn identifier(text: &str) {
    assert!(text.chars().count() <= 128, "{text}");
    let bad = |c: char| c.is_whitespace() || c.is_control() || "\\/:*?\"<>|".contains(c);
    assert!(text.split('.').all(|part| !part.is_empty()) && !text.contains(bad), "{text}");
}

/// What the client makes names of files of.
#[track_caller]
fn path_part(text: &str) {
    assert!(!text.chars().all(|c| c == '.' || c == ' ') && !text.contains(['\\', '/', ':', '*', '?', '"']), "{text}");
}

/// To the client, `< 2.0` is a range of versions, which stands nowhere in an answer.
#[track_caller]
fn one_version(text: &str) {
    assert!(!text.trim_start().starts_with(['<', '>']), "{text} is a range");
}

#[track_caller]
fn is_list_of_texts(value: &Value, member: &str) {
    let Some(list) = value.get(member) else { return };
    let list = list.as_array().unwrap_or_else(|| panic!("{member} is no list"));
    assert!(list.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty())), "{member}: {list:?}");
    let folded: HashSet<String> = list.iter().map(|item| item.as_str().unwrap().to_lowercase()).collect();
    assert_eq!(folded.len(), list.len(), "{member} repeats itself: {list:?}");
}

/// The answer to a search.
#[track_caller]
pub(super) fn search(answer: &Value) {
    for name in ["UnsupportedPackageMatchFields", "RequiredPackageMatchFields"] {
        assert_eq!(answer[name], Value::Array(Vec::new()));
    }
    if let Some(token) = answer.get("ContinuationToken") {
        let token = token.as_str().unwrap();
        assert!(!token.is_empty() && token.len() <= 4096 && token.bytes().all(|b| b.is_ascii_graphic()));
    }
    let data = answer["Data"].as_array().expect("Data is a list");
    assert!(!data.is_empty(), "nothing found is 204");
    let mut last = String::new();
    for entry in data {
        identifier(text(entry, "PackageIdentifier"));
        let id = text(entry, "PackageIdentifier").to_lowercase();
        assert!(last.is_empty() || last < id, "{last} before {id}");
        last = id;
        text(entry, "PackageName");
        text(entry, "Publisher");
        let versions = entry["Versions"].as_array().expect("Versions is a list");
        assert!(!versions.is_empty(), "no versions in {entry}");
        let mut seen = HashSet::new();
        for shown in versions {
            version(text(shown, "PackageVersion"));
            assert!(seen.insert(text(shown, "PackageVersion").to_lowercase()), "twice: {shown}");
            assert!(shown.get("Channel").is_none());
            for list in ["PackageFamilyNames", "ProductCodes", "UpgradeCodes", "AppsAndFeaturesEntryVersions"] {
                is_list_of_texts(shown, list);
            }
            for name in shown["PackageFamilyNames"].as_array().into_iter().flatten() {
                is_family_name(name.as_str().unwrap());
            }
            for listed in shown["AppsAndFeaturesEntryVersions"].as_array().into_iter().flatten() {
                one_version(listed.as_str().unwrap());
            }
        }
    }
}

#[track_caller]
fn is_family_name(name: &str) {
    let (front, hash) = name.rsplit_once('_').unwrap_or_else(|| panic!("{name}"));
    assert!(
        front.len() >= 2 && !front.contains('_') && front.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "{name}"
    );
    assert!(hash.len() == 13 && hash.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}");
}

/// The answer with one package.
#[track_caller]
pub(super) fn manifest(answer: &Value, asked: &str) {
    let data = &answer["Data"];
    shape(data);
    identifier(text(data, "PackageIdentifier"));
    assert_eq!(text(data, "PackageIdentifier").to_lowercase(), asked.to_lowercase());
    let versions = data["Versions"].as_array().expect("Versions is a list");
    assert!(!versions.is_empty(), "an empty list of versions");
    let mut seen = HashSet::new();
    for shown in versions {
        let number = text(shown, "PackageVersion");
        version(number);
        assert!(seen.insert(number.to_lowercase()), "{number} twice");
        assert!(shown.get("Channel").is_none(), "a channel");
        let default = &shown["DefaultLocale"];
        let tag = text(default, "PackageLocale");
        assert!(is_tag(tag), "{tag}");
        for (member, least, most) in
            [("Publisher", 2, 256), ("PackageName", 2, 256), ("License", 3, 512), ("ShortDescription", 3, 256)]
        {
            let length = text(default, member).chars().count();
            assert!((least..=most).contains(&length), "{member} of {length} characters");
        }
        let mut tags = HashSet::from([tag.to_lowercase()]);
        for locale in shown.get("Locales").and_then(Value::as_array).into_iter().flatten() {
            let tag = text(locale, "PackageLocale");
            assert!(is_tag(tag) && tags.insert(tag.to_lowercase()), "{tag}");
        }
        for locale in
            std::iter::once(default).chain(shown.get("Locales").and_then(Value::as_array).into_iter().flatten())
        {
            is_list_of_texts(locale, "Tags");
            for icon in locale.get("Icons").and_then(Value::as_array).into_iter().flatten() {
                assert!(["png", "jpeg", "ico"].contains(&text(icon, "IconFileType")));
                assert!(text(icon, "IconUrl").starts_with("http"));
            }
        }
        installers(shown["Installers"].as_array().expect("Installers is a list"));
    }
}

#[track_caller]
fn installers(list: &[Value]) {
    assert!(!list.is_empty(), "no installers");
    let mut seen: Vec<(String, &str, Option<&str>, Option<&str>)> = Vec::new();
    let mut digests: HashMap<String, String> = HashMap::new();
    for installer in list {
        let arch = text(installer, "Architecture");
        assert!(["x86", "x64", "arm", "arm64", "neutral"].contains(&arch), "{arch}");
        let kind = text(installer, "InstallerType");
        const KINDS: [&str; 11] =
            ["exe", "msi", "msix", "appx", "zip", "inno", "nullsoft", "wix", "burn", "portable", "msstore"];
        assert!(KINDS.contains(&kind), "{kind}");
        let nested = optional(installer, "NestedInstallerType");
        assert_eq!(nested.is_some(), kind == "zip", "{installer}");
        let effective = nested.unwrap_or(kind);
        assert!(KINDS.contains(&effective) && effective != "zip");
        if kind == "zip" {
            let files = installer["NestedInstallerFiles"].as_array().expect("files in the archive");
            assert!(files.len() == 1 || effective == "portable" && !files.is_empty(), "{installer}");
            let mut aliases = HashSet::new();
            for file in files {
                if let Some(alias) = optional(file, "PortableCommandAlias") {
                    path_part(alias);
                    assert!(aliases.insert(alias.to_lowercase()), "{alias} twice");
                }
                let path = text(file, "RelativeFilePath");
                let climbs = path.split(['/', '\\']).any(|part| part == "..");
                assert!(!climbs && !path.starts_with(['/', '\\']) && !path.contains(':'), "{path}");
            }
        } else {
            assert!(installer.get("NestedInstallerFiles").is_none());
        }
        if kind == "msstore" {
            let id = text(installer, "MSStoreProductIdentifier");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        } else {
            let url = text(installer, "InstallerUrl");
            assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
            assert!(url.len() <= 2048 && !url.contains(char::is_whitespace));
            let hash = text(installer, "InstallerSha256");
            assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
            assert!(installer.get("MSStoreProductIdentifier").is_none());
        }
        let locale = optional(installer, "InstallerLocale");
        assert!(locale.is_none_or(is_tag), "{locale:?}");
        let scope = optional(installer, "Scope");
        assert!(scope.is_none_or(|scope| scope == "user" || scope == "machine"));
        let coded = ["exe", "inno", "nullsoft", "msi", "wix", "burn", "portable"].contains(&effective);
        assert!(coded || installer.get("ProductCode").is_none(), "{installer}");
        let entries = installer.get("AppsAndFeaturesEntries").map(|list| list.as_array().expect("entries are a list"));
        assert!(coded || entries.is_none(), "{installer}");
        for entry in entries.into_iter().flatten() {
            if let Some(listed) = optional(entry, "DisplayVersion") {
                one_version(listed);
            }
        }
        if effective == "portable" {
            assert!(entries.is_none_or(|list| list.len() == 1), "{installer}");
        }
        for feature in installer["Dependencies"]["WindowsFeatures"].as_array().into_iter().flatten() {
            let name = feature.as_str().expect("a name");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{name}");
        }
        if let Some(digest) = optional(installer, "InstallerSha256") {
            let known = digests.insert(text(installer, "InstallerUrl").to_owned(), digest.to_lowercase());
            assert!(
                known.is_none_or(|known| known == digest.to_lowercase()),
                "two digests of one address: {installer}"
            );
        }
        if kind == "portable" {
            installer["Commands"].as_array().into_iter().flatten().for_each(|name| path_part(name.as_str().unwrap()));
            assert!(installer.get("Commands").is_none_or(|list| list.as_array().unwrap().len() == 1), "{installer}");
        }
        let markets = installer.get("Markets").and_then(Value::as_object);
        assert!(markets.is_none_or(|limits| limits.len() == 1), "{installer}");
        if let Some(name) = optional(installer, "PackageFamilyName") {
            assert!(["msix", "appx"].contains(&effective), "{installer}");
            is_family_name(name);
        }
        if let Some(upgrade) = optional(installer, "UpgradeBehavior") {
            assert!(["uninstallPrevious", "deny", "install"].contains(&upgrade));
        }
        return_codes(installer);
        // Appx and msix are one type to the client, an archive is what lies in it, and no scope is any scope.
        let plain = if effective == "appx" { "msix" } else { effective };
        let twin = |(other, there, tongue, whom): &(String, &str, Option<&str>, Option<&str>)| {
            *other == plain
                && (*there, *tongue) == (arch, locale)
                && (*whom == scope || whom.is_none() || scope.is_none())
        };
        assert!(!seen.iter().any(twin), "two that the client cannot tell apart: {installer}");
        seen.push((plain.to_owned(), arch, locale, scope));
    }
}

/// Nothing in a manifest that a client of the contract 1.`second` does not know and would stumble over.
#[track_caller]
pub(super) fn contract(answer: &Value, second: u16) {
    let installers = answer["Data"]["Versions"].as_array().unwrap().iter();
    for installer in installers.flat_map(|version| version["Installers"].as_array().unwrap()) {
        let since = match text(installer, "InstallerType") {
            "zip" | "portable" => 4,
            "msstore" => 1,
            _ => 0,
        };
        let denied = installer.get("UpgradeBehavior").is_some_and(|word| word == "deny");
        assert!(second >= since && (second >= 6 || !denied), "1.{second}: {installer}");
    }
}

#[track_caller]
fn return_codes(installer: &Value) {
    let mut seen = HashSet::new();
    let success = installer.get("InstallerSuccessCodes").and_then(Value::as_array);
    let expected = installer.get("ExpectedReturnCodes").and_then(Value::as_array);
    let expected = expected.into_iter().flatten().map(|code| &code["InstallerReturnCode"]);
    for code in success.into_iter().flatten().chain(expected) {
        // The client keeps 32 bits of it.
        let code = code.as_i64().expect("a whole number");
        assert!((i64::from(i32::MIN)..=i64::from(i32::MAX)).contains(&code), "{code}");
        assert!(code != 0 && seen.insert(code), "{code}");
    }
}
