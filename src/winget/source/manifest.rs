//! Versions and installers as the client reads them: every member checked, none empty (`winget.md` B4 to B6).

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::winget::model::{Logo, Package, Row};
use crate::winget::names::fold;
use crate::winget::rules::Picture;
use crate::winget::source::shown::{self, Contract, Installer, Shown};

/// What links in an answer are made with.
pub trait Links {
    /// Where a client of this answer fetches the bytes of a row that are here.
    fn installer(&self, package: &Package, row: &Row) -> Result<String>;
    /// Where a logo is.
    fn logo(&self, logo: &Logo) -> String;
}

/// A package in the answer to a search.
pub fn entry(package: &Package, versions: &[Shown<'_>]) -> Value {
    let version = |version: &Shown<'_>| {
        let codes = version.codes();
        json!({
            "PackageVersion": version.version,
            "PackageFamilyNames": codes.families,
            "ProductCodes": codes.products,
            "UpgradeCodes": codes.upgrades,
            "AppsAndFeaturesEntryVersions": codes.versions,
        })
    };
    json!({
        "PackageIdentifier": package.id,
        "PackageName": shown::name(package),
        "Publisher": shown::publisher(package),
        "Versions": versions.iter().map(version).collect::<Vec<_>>(),
    })
}

/// A package with its versions.
pub fn manifest(package: &Package, versions: &[Shown<'_>], contract: Contract, links: &dyn Links) -> Result<Value> {
    let version = |version: &Shown<'_>| {
        let installers =
            version.installers.iter().map(|installer| self::installer(package, installer, contract, links));
        let installers = installers.collect::<Result<Vec<_>>>()?;
        let default = default_locale(package, version, links);
        let locales = locales(version, &default);
        let mut shown = json!({
            "PackageVersion": version.version,
            "DefaultLocale": default,
            "Installers": installers,
        });
        if !locales.is_empty() {
            shown["Locales"] = locales.into();
        }
        Ok(shown)
    };
    let versions = versions.iter().map(version).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "PackageIdentifier": package.id, "Versions": versions }))
}

/// Text members of locale documents that pass on as they are, with the least and the most of their characters.
const LOCALE_TEXTS: [(&str, usize, usize); 18] = [
    ("Publisher", 2, 256),
    ("PublisherUrl", 1, 2048),
    ("PublisherSupportUrl", 1, 2048),
    ("PrivacyUrl", 1, 2048),
    ("Author", 2, 256),
    ("PackageName", 2, 256),
    ("PackageUrl", 1, 2048),
    ("License", 3, 512),
    ("LicenseUrl", 1, 2048),
    ("Copyright", 3, 512),
    ("CopyrightUrl", 1, 2048),
    ("ShortDescription", 3, 256),
    ("Description", 3, 10_000),
    ("ReleaseNotes", 1, 10_000),
    ("ReleaseNotesUrl", 1, 2048),
    ("PurchaseUrl", 1, 2048),
    ("InstallationNotes", 1, 10_000),
    ("Moniker", 1, 40),
];

/// The most tags of a locale.
const TAG_LIMIT: usize = 16;
/// The most codes of an installer that mean success.
const SUCCESS_LIMIT: usize = 16;
/// The most codes of an installer that mean something else.
const EXPECTED_LIMIT: usize = 128;

fn text<'d>(document: &'d Map<String, Value>, member: &str) -> Option<&'d str> {
    document.get(member).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// Whether nothing in it parts words: so must be what is searched for as a whole.
fn is_one_word(text: &str) -> bool {
    !text.contains(char::is_whitespace)
}

fn first(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// A locale document's own members, as far as the client takes them.
fn locale_members(document: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (member, least, most) in LOCALE_TEXTS {
        let value = text(document, member).filter(|text| shown::long_enough(text, least).is_some());
        let value = value.filter(|text| !member.ends_with("Url") || shown::is_web_address(text));
        let value = value.filter(|text| member != "Moniker" || is_one_word(text));
        out.extend(value.map(|text| (member.to_owned(), first(text, most).into())));
    }
    let mut tags: Vec<&str> = Vec::new();
    for tag in document.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let fits = is_one_word(tag) && (1..=40).contains(&tag.chars().count());
        if fits && !tags.iter().any(|known| fold(known) == fold(tag)) {
            tags.push(tag);
        }
    }
    tags.truncate(TAG_LIMIT);
    if !tags.is_empty() {
        out.insert("Tags".to_owned(), tags.into());
    }
    for (list, members) in [
        ("Documentations", &["DocumentLabel", "DocumentUrl"][..]),
        ("Agreements", &["AgreementLabel", "Agreement", "AgreementUrl"]),
    ] {
        let items: Vec<Value> = objects(document, list)
            .map(|item| members.iter().filter_map(|member| said(item, member)).collect())
            .filter(|item: &Map<String, Value>| !item.is_empty())
            .map(Value::Object)
            .collect();
        if !items.is_empty() {
            out.insert(list.to_owned(), items.into());
        }
    }
    out
}

/// A text of an agreement or of a reference, as far as the client takes it.
fn said(item: &Map<String, Value>, member: &str) -> Option<(String, Value)> {
    let value = text(item, member).filter(|text| !member.ends_with("Url") || shown::is_web_address(text))?;
    let most = if member.ends_with("Label") { 100 } else { 10_000 };
    Some((member.to_owned(), first(value, most).into()))
}

fn objects<'d>(document: &'d Map<String, Value>, member: &str) -> impl Iterator<Item = &'d Map<String, Value>> {
    document.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn default_locale(package: &Package, version: &Shown<'_>, links: &dyn Links) -> Map<String, Value> {
    let document = version.release.map(|release| &release.default_locale);
    let mut out = document.map(locale_members).unwrap_or_default();
    let own = document.and_then(|document| shown::locale(text(document, "PackageLocale")?));
    let rows = || version.installers.iter().filter_map(|installer| installer.locale.clone());
    let english = rows().find(|locale| locale.eq_ignore_ascii_case("en-us"));
    let locale = own.or(english).or_else(|| rows().next()).unwrap_or_else(|| "en-US".to_owned());
    out.insert("PackageLocale".to_owned(), locale.into());
    let mut fallback = |member: &str, value: &str| {
        out.entry(member).or_insert_with(|| value.into());
    };
    fallback("Publisher", shown::publisher(package));
    fallback("PackageName", shown::name(package));
    fallback("License", "Not specified");
    let description = package.description.trim();
    let short = [description, shown::name(package), &package.id];
    let short = short.into_iter().find(|text| shown::long_enough(text, 3).is_some());
    // An id of two characters is the only thing that can be shorter still.
    let short = short.map_or_else(|| format!("{} package", package.id), |text| first(text, 256));
    let long = description.chars().count() > 256 && !document.is_some_and(|d| d.contains_key("ShortDescription"));
    fallback("ShortDescription", short.trim_end());
    if long {
        fallback("Description", description);
    }
    let icons = match &package.logo {
        Some(logo) => vec![icon(logo, links)],
        None => document.map(icons).unwrap_or_default(),
    };
    if !icons.is_empty() {
        out.insert("Icons".to_owned(), icons.into());
    }
    out
}

fn icon(logo: &Logo, links: &dyn Links) -> Value {
    let kind = match logo.picture {
        Picture::Png => "png",
        Picture::Jpeg => "jpeg",
    };
    json!({
        "IconUrl": links.logo(logo),
        "IconFileType": kind,
        "IconResolution": "custom",
        "IconTheme": "default",
        "IconSha256": logo.digest.to_hex(),
    })
}

/// Icons of an imported document.
fn icons(document: &Map<String, Value>) -> Vec<Value> {
    const RESOLUTIONS: [&str; 15] = [
        "custom", "16x16", "20x20", "24x24", "30x30", "32x32", "36x36", "40x40", "48x48", "60x60", "64x64", "72x72",
        "80x80", "96x96", "256x256",
    ];
    objects(document, "Icons")
        .filter_map(|icon| {
            let url = text(icon, "IconUrl").filter(|url| shown::is_web_address(url))?;
            let kind = shown::known(["png", "jpeg", "ico"], text(icon, "IconFileType")?)?;
            let mut out = json!({ "IconUrl": url, "IconFileType": kind });
            let word = |words: &mut dyn FnMut(&str) -> Option<&'static str>, member| text(icon, member).and_then(words);
            if let Some(found) = word(&mut |text| shown::known(RESOLUTIONS, text), "IconResolution") {
                out["IconResolution"] = found.into();
            }
            if let Some(found) =
                word(&mut |text| shown::known(["default", "light", "dark", "highContrast"], text), "IconTheme")
            {
                out["IconTheme"] = found.into();
            }
            if let Some(hash) = text(icon, "IconSha256").filter(|hash| is_sha256(hash)) {
                out["IconSha256"] = hash.into();
            }
            Some(out)
        })
        .take(64)
        .collect()
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Imported languages beside the default one, each once.
fn locales(version: &Shown<'_>, default: &Map<String, Value>) -> Vec<Value> {
    let mut seen: Vec<String> = text(default, "PackageLocale").map(fold).into_iter().collect();
    let mut out = Vec::new();
    for document in version.release.iter().flat_map(|release| &release.locales) {
        let Some(locale) = text(document, "PackageLocale").and_then(shown::locale) else { continue };
        if seen.contains(&fold(&locale)) {
            continue;
        }
        seen.push(fold(&locale));
        let mut members = locale_members(document);
        // Only the default language has a moniker.
        members.remove("Moniker");
        members.insert("PackageLocale".to_owned(), locale.into());
        let icons = icons(document);
        if !icons.is_empty() {
            members.insert("Icons".to_owned(), icons.into());
        }
        out.push(Value::Object(members));
    }
    out
}

fn installer(package: &Package, installer: &Installer<'_>, contract: Contract, links: &dyn Links) -> Result<Value> {
    let row = installer.row;
    let mut out = passed_on(installer, contract);
    let mut put = |member: &str, value: Option<Value>| out.extend(value.map(|value| (member.to_owned(), value)));
    put("InstallerIdentifier", Some(row.uid.to_string().into()));
    put("Architecture", Some(installer.arch.into()));
    put("InstallerType", Some(installer.kind.into()));
    put("Scope", installer.scope.map(Value::from));
    put("InstallerLocale", installer.locale.clone().map(Value::from));
    match (&row.file, &row.url_sha256) {
        (Some(file), _) => {
            put("InstallerUrl", Some(links.installer(package, row)?.into()));
            put("InstallerSha256", Some(file.digest.to_hex().into()));
        }
        (None, Some(digest)) if installer.kind != "msstore" => {
            put("InstallerUrl", Some(row.url.as_str().into()));
            put("InstallerSha256", Some(digest.to_hex().into()));
        }
        _ => {}
    }
    let switches = row.switches.iter().filter(|(_, text)| !text.is_empty());
    let switches: Map<String, Value> = switches.map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    put("InstallerSwitches", (!switches.is_empty()).then_some(Value::Object(switches)));
    put("ProductCode", installer.product_code().map(Value::from));
    put("PackageFamilyName", installer.family_name().map(Value::from));
    let entries = installer.entries();
    put("AppsAndFeaturesEntries", (!entries.is_empty()).then(|| entries.into()));
    if let Some(nested) = installer.nested {
        put("NestedInstallerType", Some(nested.into()));
        put("NestedInstallerFiles", Some(nested_files(row, nested).into()));
    }
    let since = Contract(1, if row.upgrades == "deny" { 6 } else { 0 });
    let upgrades = shown::known(["uninstallPrevious", "deny"], &row.upgrades).filter(|_| contract >= since);
    put("UpgradeBehavior", upgrades.map(Value::from));
    // A portable program has one name, which becomes that of a file.
    let portable = installer.kind == "portable";
    let commands = row.commands.iter().map(String::as_str).filter(|name| !portable || shown::is_path_part(name));
    put("Commands", some_of(commands, if portable { 1 } else { 16 }, 40));
    if installer.kind == "msstore" {
        put("MSStoreProductIdentifier", shown::store_id(&row.extra).map(Value::from));
    }
    put("Dependencies", dependencies(row));
    let markets = |list: Vec<&str>| {
        let list: Vec<String> = list.into_iter().map(str::to_ascii_uppercase).collect();
        some_of(list.iter().map(String::as_str), 256, 2)
    };
    put("Markets", installer.markets().and_then(|(limit, list)| Some(json!({ limit: markets(list)? }))));
    Ok(Value::Object(out))
}

fn nested_files(row: &Row, nested: &str) -> Vec<Value> {
    let aliases = row.extra.get("NestedInstallerFiles").and_then(Value::as_array);
    let alias =
        |at: usize| text(aliases?.get(at)?.as_object()?, "PortableCommandAlias").filter(|_| nested == "portable");
    let mut taken = Vec::new();
    let files = row.nested_paths.iter().enumerate().map(|(at, path)| {
        let mut file = json!({ "RelativeFilePath": path });
        let fits = |alias: &&str| shown::is_path_part(alias) && alias.chars().count() <= 40;
        if let Some(alias) = alias(at).filter(fits).filter(|alias| !taken.contains(&fold(alias))) {
            taken.push(fold(alias));
            file["PortableCommandAlias"] = alias.into();
        }
        file
    });
    files.collect()
}

fn dependencies(row: &Row) -> Option<Value> {
    let given = &row.dependencies;
    let mut out = Map::new();
    let feature = |name: &str| !name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    for (member, list) in [
        ("WindowsFeatures", &given.features),
        ("WindowsLibraries", &given.libraries),
        ("ExternalDependencies", &given.external),
    ] {
        let fitting = list.iter().map(String::as_str).filter(|name| member != "WindowsFeatures" || feature(name));
        out.extend(some_of(fitting, 16, 128).map(|list| (member.to_owned(), list)));
    }
    let packages = given.packages.iter().filter(|(id, _)| !id.is_empty()).take(16);
    let packages: Vec<Value> = packages
        .map(|(id, least)| match least.as_str() {
            "" => json!({ "PackageIdentifier": id }),
            least => json!({ "PackageIdentifier": id, "MinimumVersion": least }),
        })
        .collect();
    if !packages.is_empty() {
        out.insert("PackageDependencies".to_owned(), packages.into());
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Texts of at most `longest` characters, each once, as many as the client takes; none when there are none.
fn some_of<'t>(texts: impl Iterator<Item = &'t str>, most: usize, longest: usize) -> Option<Value> {
    let mut out: Vec<&str> = Vec::new();
    for text in texts {
        if out.len() < most && (1..=longest).contains(&text.chars().count()) && !out.contains(&text) {
            out.push(text);
        }
    }
    (!out.is_empty()).then(|| out.into())
}

/// The form that a member of an imported installer must have to be passed on.
enum Form {
    Flag,
    /// `2.10.0.1`
    Numbers,
    /// `2026-11-21`
    Day,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of at most so many texts of at most so many characters.
    Texts(usize, usize),
    /// The same, without what paths and patterns are made of.
    Plain(usize, usize),
    /// A list of these words.
    Words(&'static [&'static str]),
    Sha256,
}

/// Imported members that nothing in Part A says, and since which contract's second number clients know them.
const PASSED_ON: [(&str, u16, Form); 19] = [
    ("MinimumOSVersion", 0, Form::Numbers),
    ("Platform", 0, Form::Words(&["Windows.Desktop", "Windows.Universal"])),
    ("InstallModes", 0, Form::Words(&["interactive", "silent", "silentWithProgress"])),
    ("Protocols", 0, Form::Texts(64, 2048)),
    ("FileExtensions", 0, Form::Plain(512, 64)),
    ("Capabilities", 0, Form::Texts(1000, 40)),
    ("RestrictedCapabilities", 0, Form::Texts(1000, 40)),
    ("SignatureSha256", 0, Form::Sha256),
    ("ElevationRequirement", 1, Form::Word(&["elevationRequired", "elevationProhibited", "elevatesSelf"])),
    ("ReleaseDate", 1, Form::Day),
    ("RequireExplicitUpgrade", 1, Form::Flag),
    ("InstallLocationRequired", 1, Form::Flag),
    ("InstallerAbortsTerminal", 1, Form::Flag),
    ("DisplayInstallWarnings", 4, Form::Flag),
    ("UnsupportedArguments", 4, Form::Words(&["log", "location"])),
    ("UnsupportedOSArchitectures", 1, Form::Words(&["x86", "x64", "arm", "arm64"])),
    ("DownloadCommandProhibited", 6, Form::Flag),
    ("RepairBehavior", 7, Form::Word(&["modify", "uninstaller", "installer"])),
    ("ArchiveBinariesDependOnPath", 9, Form::Flag),
];

/// What an imported installer says beyond our own members, as far as the client takes it.
fn passed_on(installer: &Installer<'_>, contract: Contract) -> Map<String, Value> {
    let extra = &installer.row.extra;
    let mut out = Map::new();
    for (member, since, form) in &PASSED_ON {
        let value = extra.get(*member).filter(|_| contract >= Contract(1, *since)).and_then(|value| form.fit(value));
        out.extend(value.map(|value| ((*member).to_owned(), value)));
    }
    let success = return_codes(extra.get("InstallerSuccessCodes"));
    let mut taken = success.clone();
    if !success.is_empty() {
        out.insert("InstallerSuccessCodes".to_owned(), success.into());
    }
    let expected = objects(extra, "ExpectedReturnCodes").filter_map(|code| expected(code, contract, &mut taken));
    let expected: Vec<Value> = expected.take(EXPECTED_LIMIT).collect();
    if !expected.is_empty() && contract >= Contract(1, 1) {
        out.insert("ExpectedReturnCodes".to_owned(), expected.into());
    }
    if contract >= Contract(1, 4)
        && let Some(installation) = extra.get("InstallationMetadata").and_then(Value::as_object).and_then(installation)
    {
        out.insert("InstallationMetadata".to_owned(), installation);
    }
    out
}

impl Form {
    /// The value in the client's spelling, when it has this form.
    fn fit(&self, value: &Value) -> Option<Value> {
        let word = |words: &[&'static str], value: &Value| {
            let text = value.as_str()?;
            words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied()
        };
        match self {
            Form::Flag => value.as_bool().map(Value::from),
            Form::Word(words) => word(words, value).map(Value::from),
            Form::Sha256 => value.as_str().filter(|text| is_sha256(text)).map(Value::from),
            Form::Numbers => {
                let text = value.as_str()?.trim();
                let sound = |part: &str| part.parse::<u16>().is_ok_and(|number| number.to_string() == part);
                let sound = text.split('.').all(sound);
                (sound && text.split('.').count() <= 4).then(|| text.into())
            }
            Form::Day => {
                let text = value.as_str()?.trim();
                (text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()).then(|| text.into())
            }
            Form::Texts(most, longest) => {
                let list: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
                some_of(list?.into_iter(), *most, *longest)
            }
            Form::Plain(most, longest) => {
                let list: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
                let plain = |text: &&str| !text.contains(|c: char| c.is_control() || "\\/:*?\"<>|".contains(c));
                some_of(list?.into_iter().filter(plain), *most, *longest)
            }
            Form::Words(words) => {
                let list: Option<Vec<&str>> = value.as_array()?.iter().map(|value| word(words, value)).collect();
                some_of(list?.into_iter(), words.len(), usize::MAX)
            }
        }
    }
}

/// What an installation leaves behind, by which the client finds programs that list themselves nowhere.
fn installation(given: &Map<String, Value>) -> Option<Value> {
    let limited = |of: &Map<String, Value>, member: &str, most: usize| {
        text(of, member).filter(|text| text.chars().count() <= most).map(str::to_owned)
    };
    let file = |given: &Map<String, Value>| {
        let mut file = json!({ "RelativeFilePath": limited(given, "RelativeFilePath", 2048)? });
        let kind = text(given, "FileType").and_then(|kind| shown::known(["launch", "uninstall", "other"], kind));
        for (member, said) in [
            ("FileSha256", text(given, "FileSha256").filter(|hash| is_sha256(hash)).map(str::to_owned)),
            ("FileType", kind.map(str::to_owned)),
            ("InvocationParameter", limited(given, "InvocationParameter", 2048)),
            ("DisplayName", limited(given, "DisplayName", 256)),
        ] {
            if let Some(said) = said {
                file[member] = said.into();
            }
        }
        Some(file)
    };
    let mut files: Vec<Value> = Vec::new();
    for file in objects(given, "Files").filter_map(file) {
        if files.len() < 2048 && !files.contains(&file) {
            files.push(file);
        }
    }
    let mut out = Map::new();
    let place = limited(given, "DefaultInstallLocation", 2048);
    out.extend(place.map(|place| ("DefaultInstallLocation".to_owned(), place.into())));
    if !files.is_empty() {
        out.insert("Files".to_owned(), files.into());
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Codes that mean success: whole numbers other than 0, each once.
fn return_codes(value: Option<&Value>) -> Vec<i32> {
    let mut codes = Vec::new();
    for code in value.and_then(Value::as_array).into_iter().flatten().filter_map(return_code) {
        if codes.len() < SUCCESS_LIMIT && !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes
}

/// Documents write a code with or without a sign; to the client the two are the same 32 bits.
fn return_code(value: &Value) -> Option<i32> {
    let code = value.as_i64().filter(|code| *code != 0)?;
    i32::try_from(code).ok().or_else(|| u32::try_from(code).ok().map(u32::cast_signed))
}

/// A code with its meaning, unless its code was taken before.
fn expected(code: &Map<String, Value>, contract: Contract, taken: &mut Vec<i32>) -> Option<Value> {
    const RESPONSES: [&str; 19] = [
        "packageInUse",
        "packageInUseByApplication",
        "installInProgress",
        "fileInUse",
        "missingDependency",
        "diskFull",
        "insufficientMemory",
        "invalidParameter",
        "noNetwork",
        "contactSupport",
        "rebootRequiredToFinish",
        "rebootRequiredForInstall",
        "rebootInitiated",
        "cancelledByUser",
        "alreadyInstalled",
        "downgrade",
        "blockedByPolicy",
        "systemNotSupported",
        "custom",
    ];
    let number = code.get("InstallerReturnCode").and_then(return_code).filter(|number| !taken.contains(number))?;
    let response = text(code, "ReturnResponse")?;
    let response = RESPONSES.into_iter().find(|word| word.eq_ignore_ascii_case(response))?;
    taken.push(number);
    let mut out = json!({ "InstallerReturnCode": number, "ReturnResponse": response });
    let guidance =
        text(code, "ReturnResponseUrl").filter(|url| contract >= Contract(1, 4) && shown::is_web_address(url));
    if let Some(guidance) = guidance {
        out["ReturnResponseUrl"] = guidance.into();
    }
    Some(out)
}
