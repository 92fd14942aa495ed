//! What the public OpenAPI document of the source (contract 1.10) says of each member: type, length, pattern, words.
//! Read from its text and written down here by hand; members it does not name are faults (`winget.md` B11). Wider than
//! it in three places where the client is: ids of one part, languages such as `fil` and `es-419`, longer notes.

use std::collections::HashSet;

use serde_json::Value;

/// What a value has to be.
enum Fact {
    /// Text of so many characters.
    Text(usize, usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A link to the web.
    Link,
    /// 64 hex digits.
    Hash,
    /// A tag of a language.
    Tag,
    /// Text without what paths and patterns are made of.
    Plain(usize),
    /// `true` or `false`.
    Bit,
    /// A whole number.
    Number,
    /// A whole number that an installer ends with; 0 is none.
    Code,
    /// A day.
    Day,
    /// Text that fits this check.
    Like(fn(&str) -> bool),
    /// An object of these members.
    Object(&'static [Member]),
    /// At most so many of these, which differ.
    Set(usize, &'static Fact),
    /// At most so many of these.
    List(usize, &'static Fact),
}

/// A member's name, whether it must be there, and what it is.
type Member = (&'static str, bool, Fact);

use Fact::{Bit, Code, Day, Hash, Like, Link, List, Number, Object, Plain, Set, Tag, Text, Word};

const MAY: bool = false;
const MUST: bool = true;

const KINDS: &[&str] =
    &["msix", "msi", "appx", "exe", "zip", "inno", "nullsoft", "wix", "burn", "pwa", "msstore", "portable"];
const NESTED_KINDS: &[&str] = &["msix", "msi", "appx", "exe", "inno", "nullsoft", "wix", "burn", "portable"];
const RESPONSES: &[&str] = &[
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
const RESOLUTIONS: &[&str] = &[
    "custom", "16x16", "20x20", "24x24", "30x30", "32x32", "36x36", "40x40", "48x48", "60x60", "64x64", "72x72",
    "80x80", "96x96", "256x256",
];
const FIELDS: &[&str] = &[
    "PackageIdentifier",
    "PackageName",
    "Moniker",
    "Command",
    "Tag",
    "PackageFamilyName",
    "ProductCode",
    "UpgradeCode",
    "NormalizedPackageNameAndPublisher",
    "Market",
    "HasInstallerType",
];
const PARAMETERS: &[&str] = &["Version", "Channel", "Market"];

const INSTALLED_FILE: &[Member] = &[
    ("RelativeFilePath", MUST, Text(1, 2048)),
    ("FileSha256", MAY, Hash),
    ("FileType", MAY, Word(&["launch", "uninstall", "other"])),
    ("InvocationParameter", MAY, Text(1, 2048)),
    ("DisplayName", MAY, Text(1, 256)),
];

const SWITCHES: &[Member] = &[
    ("Silent", MAY, Text(1, 512)),
    ("SilentWithProgress", MAY, Text(1, 512)),
    ("Interactive", MAY, Text(1, 512)),
    ("InstallLocation", MAY, Text(1, 512)),
    ("Log", MAY, Text(1, 512)),
    ("Upgrade", MAY, Text(1, 512)),
    ("Custom", MAY, Text(1, 2048)),
    ("Repair", MAY, Text(1, 512)),
];

const DEPENDENCIES: &[Member] = &[
    ("WindowsFeatures", MAY, Set(16, &Text(1, 128))),
    ("WindowsLibraries", MAY, Set(16, &Text(1, 128))),
    (
        "PackageDependencies",
        MAY,
        Set(16, &Object(&[("PackageIdentifier", MUST, Plain(128)), ("MinimumVersion", MAY, Plain(128))])),
    ),
    ("ExternalDependencies", MAY, Set(16, &Text(1, 128))),
];

const ENTRY: &[Member] = &[
    ("DisplayName", MAY, Text(1, 256)),
    ("Publisher", MAY, Text(1, 256)),
    ("DisplayVersion", MAY, Text(1, 128)),
    ("ProductCode", MAY, Text(1, 255)),
    ("UpgradeCode", MAY, Text(1, 255)),
    ("InstallerType", MAY, Word(KINDS)),
];

const MARKETS: &[Member] =
    &[("AllowedMarkets", MAY, Set(256, &Like(is_market))), ("ExcludedMarkets", MAY, Set(256, &Like(is_market)))];

const INSTALLER: &[Member] = &[
    ("InstallerIdentifier", MAY, Text(1, 128)),
    ("Architecture", MUST, Word(&["x86", "x64", "arm", "arm64", "neutral"])),
    ("InstallerType", MUST, Word(KINDS)),
    ("InstallerUrl", MAY, Link),
    ("InstallerSha256", MAY, Hash),
    ("SignatureSha256", MAY, Hash),
    ("InstallerLocale", MAY, Tag),
    ("Scope", MAY, Word(&["user", "machine"])),
    ("Platform", MAY, Set(2, &Word(&["Windows.Desktop", "Windows.Universal"]))),
    ("MinimumOSVersion", MAY, Like(is_four_numbers)),
    ("NestedInstallerType", MAY, Word(NESTED_KINDS)),
    (
        "NestedInstallerFiles",
        MAY,
        Set(1024, &Object(&[("RelativeFilePath", MUST, Text(1, 512)), ("PortableCommandAlias", MAY, Text(1, 40))])),
    ),
    ("InstallModes", MAY, Set(3, &Word(&["interactive", "silent", "silentWithProgress"]))),
    ("InstallerSwitches", MAY, Object(SWITCHES)),
    ("InstallerSuccessCodes", MAY, Set(16, &Code)),
    (
        "ExpectedReturnCodes",
        MAY,
        Set(
            128,
            &Object(&[
                ("InstallerReturnCode", MUST, Code),
                ("ReturnResponse", MUST, Word(RESPONSES)),
                ("ReturnResponseUrl", MAY, Link),
            ]),
        ),
    ),
    ("UpgradeBehavior", MAY, Word(&["install", "uninstallPrevious", "deny"])),
    ("RepairBehavior", MAY, Word(&["modify", "uninstaller", "installer"])),
    ("Commands", MAY, Set(16, &Text(1, 40))),
    ("Protocols", MAY, Set(64, &Text(1, 2048))),
    ("FileExtensions", MAY, Set(512, &Plain(64))),
    ("Dependencies", MAY, Object(DEPENDENCIES)),
    ("PackageFamilyName", MAY, Like(is_family_name)),
    ("ProductCode", MAY, Text(1, 255)),
    ("Capabilities", MAY, Set(1000, &Text(1, 40))),
    ("RestrictedCapabilities", MAY, Set(1000, &Text(1, 40))),
    ("Markets", MAY, Object(MARKETS)),
    ("InstallerAbortsTerminal", MAY, Bit),
    ("InstallLocationRequired", MAY, Bit),
    ("RequireExplicitUpgrade", MAY, Bit),
    ("DisplayInstallWarnings", MAY, Bit),
    ("DownloadCommandProhibited", MAY, Bit),
    ("ArchiveBinariesDependOnPath", MAY, Bit),
    ("ReleaseDate", MAY, Day),
    ("UnsupportedOSArchitectures", MAY, Set(4, &Word(&["x86", "x64", "arm", "arm64"]))),
    ("UnsupportedArguments", MAY, Set(2, &Word(&["log", "location"]))),
    ("ElevationRequirement", MAY, Word(&["elevationRequired", "elevationProhibited", "elevatesSelf"])),
    ("AppsAndFeaturesEntries", MAY, Set(128, &Object(ENTRY))),
    ("MSStoreProductIdentifier", MAY, Like(is_store_id)),
    (
        "InstallationMetadata",
        MAY,
        Object(&[("DefaultInstallLocation", MAY, Text(1, 2048)), ("Files", MAY, Set(2048, &Object(INSTALLED_FILE)))]),
    ),
];

const ICON: &[Member] = &[
    ("IconUrl", MUST, Link),
    ("IconFileType", MUST, Word(&["png", "jpeg", "ico"])),
    ("IconResolution", MAY, Word(RESOLUTIONS)),
    ("IconTheme", MAY, Word(&["default", "light", "dark", "highContrast"])),
    ("IconSha256", MAY, Hash),
];

const AGREEMENT: &[Member] =
    &[("AgreementLabel", MAY, Text(1, 100)), ("Agreement", MAY, Text(1, 10_000)), ("AgreementUrl", MAY, Link)];

/// A locale document; the default one must have four of its members and may have a moniker.
macro_rules! locale {
    ($need:expr) => {
        &[
            ("PackageLocale", MUST, Tag),
            ("Publisher", $need, Text(2, 256)),
            ("PublisherUrl", MAY, Link),
            ("PublisherSupportUrl", MAY, Link),
            ("PrivacyUrl", MAY, Link),
            ("Author", MAY, Text(2, 256)),
            ("PackageName", $need, Text(2, 256)),
            ("PackageUrl", MAY, Link),
            ("License", $need, Text(3, 512)),
            ("LicenseUrl", MAY, Link),
            ("Copyright", MAY, Text(3, 512)),
            ("CopyrightUrl", MAY, Link),
            ("ShortDescription", $need, Text(3, 256)),
            ("Description", MAY, Text(3, 10_000)),
            ("Tags", MAY, Set(16, &Like(is_tag))),
            ("ReleaseNotes", MAY, Text(1, 10_000)),
            ("ReleaseNotesUrl", MAY, Link),
            ("PurchaseUrl", MAY, Link),
            ("InstallationNotes", MAY, Text(1, 10_000)),
            ("Moniker", MAY, Like(is_tag)),
            ("Agreements", MAY, List(128, &Object(AGREEMENT))),
            (
                "Documentations",
                MAY,
                Set(256, &Object(&[("DocumentLabel", MAY, Text(1, 100)), ("DocumentUrl", MAY, Link)])),
            ),
            ("Icons", MAY, Set(1024, &Object(ICON))),
        ]
    };
}

const VERSION: &[Member] = &[
    ("PackageVersion", MUST, Plain(128)),
    ("DefaultLocale", MUST, Object(locale!(MUST))),
    ("Installers", MUST, List(1024, &Object(INSTALLER))),
    ("Locales", MAY, List(usize::MAX, &Object(locale!(MAY)))),
];

const MANIFEST: &[Member] = &[(
    "Data",
    MUST,
    Object(&[("PackageIdentifier", MUST, Plain(128)), ("Versions", MUST, List(usize::MAX, &Object(VERSION)))]),
)];

const FOUND_VERSION: &[Member] = &[
    ("PackageVersion", MUST, Plain(128)),
    ("PackageFamilyNames", MAY, Set(usize::MAX, &Like(is_family_name))),
    ("ProductCodes", MAY, Set(usize::MAX, &Text(1, 255))),
    ("UpgradeCodes", MAY, Set(usize::MAX, &Text(1, 255))),
    ("AppsAndFeaturesEntryVersions", MAY, Set(usize::MAX, &Text(1, 128))),
];

const FOUND: &[Member] = &[
    ("PackageIdentifier", MUST, Plain(128)),
    ("PackageName", MUST, Text(2, 256)),
    ("Publisher", MUST, Text(2, 256)),
    ("Versions", MUST, List(usize::MAX, &Object(FOUND_VERSION))),
];

const SEARCH: &[Member] = &[
    ("Data", MUST, List(100, &Object(FOUND))),
    ("UnsupportedPackageMatchFields", MAY, Set(11, &Word(FIELDS))),
    ("RequiredPackageMatchFields", MAY, Set(11, &Word(FIELDS))),
    ("ContinuationToken", MAY, Text(1, 4096)),
];

const AGREEMENTS: &[Member] =
    &[("AgreementsIdentifier", MUST, Text(1, 128)), ("Agreements", MUST, List(128, &Object(AGREEMENT)))];

const INFORMATION: &[Member] = &[(
    "Data",
    MUST,
    Object(&[
        ("SourceIdentifier", MUST, Text(3, 128)),
        ("ServerSupportedVersions", MUST, Set(20, &Like(is_contract))),
        ("SourceAgreements", MAY, Object(AGREEMENTS)),
        ("UnsupportedPackageMatchFields", MAY, Set(11, &Word(FIELDS))),
        ("RequiredPackageMatchFields", MAY, Set(11, &Word(FIELDS))),
        ("UnsupportedQueryParameters", MAY, Set(3, &Word(PARAMETERS))),
        ("RequiredQueryParameters", MAY, Set(3, &Word(PARAMETERS))),
    ]),
)];

const REFUSAL: Fact =
    List(usize::MAX, &Object(&[("ErrorCode", MUST, Number), ("ErrorMessage", MUST, Text(1, 10_000))]));

/// The answer of `information`.
#[track_caller]
pub(super) fn information(answer: &Value) {
    judge("information", answer, &Object(INFORMATION));
}

/// The answer to a search.
#[track_caller]
pub(super) fn search(answer: &Value) {
    judge("search", answer, &Object(SEARCH));
}

/// The answer with one package.
#[track_caller]
pub(super) fn manifest(answer: &Value) {
    judge("manifest", answer, &Object(MANIFEST));
}

/// A refusal.
#[track_caller]
pub(super) fn refusal(answer: &Value) {
    judge("error", answer, &REFUSAL);
}

#[track_caller]
fn judge(place: &str, value: &Value, fact: &Fact) {
    let text = || value.as_str().unwrap_or_else(|| panic!("{place} is no text: {value}"));
    let holds = match fact {
        Text(least, most) => (*least..=*most).contains(&text().chars().count()),
        Word(words) => words.contains(&text()),
        Like(check) => check(text()),
        Link => is_link(text()),
        Hash => text().len() == 64 && text().bytes().all(|b| b.is_ascii_hexdigit()),
        Tag => (2..=20).contains(&text().len()) && text().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        Plain(most) => {
            let bad = |c: char| "\\/:*?\"<>|".contains(c) || ('\u{1}'..='\u{1F}').contains(&c);
            (1..=*most).contains(&text().chars().count()) && !text().contains(bad)
        }
        Bit => value.is_boolean(),
        Number => value.is_i64() || value.is_u64(),
        Code => value.as_i64().is_some_and(|code| code != 0 && (-2_147_483_648..=4_294_967_295).contains(&code)),
        Day => is_day(text()),
        Object(members) => {
            members_hold(place, value, members);
            true
        }
        Set(most, each) => {
            list_holds(place, value, *most, each);
            let list = value.as_array().unwrap();
            let different: HashSet<String> = list.iter().map(Value::to_string).collect();
            different.len() == list.len()
        }
        List(most, each) => {
            list_holds(place, value, *most, each);
            true
        }
    };
    assert!(holds, "{place} is not as the document says: {value}");
}

#[track_caller]
fn members_hold(place: &str, value: &Value, members: &[Member]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
    for (name, must, fact) in members {
        match object.get(*name) {
            Some(value) => judge(&format!("{place}.{name}"), value, fact),
            None => assert!(!must, "{place} has no {name}: {value}"),
        }
    }
    for name in object.keys() {
        assert!(members.iter().any(|(known, ..)| known == name), "{place} has an unknown member {name}: {value}");
    }
}

#[track_caller]
fn list_holds(place: &str, value: &Value, most: usize, each: &Fact) {
    let list = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
    assert!(list.len() <= most, "{place} has {} entries", list.len());
    list.iter().for_each(|value| judge(place, value, each));
}

fn is_link(text: &str) -> bool {
    let rest = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(&&*scheme.to_ascii_lowercase()));
    rest.is_some_and(|(_, rest)| !rest.is_empty()) && text.chars().count() <= 2048
}

fn is_market(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn is_tag(text: &str) -> bool {
    (1..=40).contains(&text.chars().count()) && !text.contains(char::is_whitespace)
}

/// The document says twelve; ids of programs that are no app packages have fourteen.
fn is_store_id(text: &str) -> bool {
    (12..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_four_numbers(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| part.parse::<u16>().is_ok_and(|number| number.to_string() == **part);
    parts.len() <= 4 && parts.iter().all(number)
}

fn is_contract(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| part.parse::<u16>().is_ok())
}

fn is_day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

fn is_family_name(text: &str) -> bool {
    let Some((front, hash)) = text.rsplit_once('_') else { return false };
    let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    front.len() >= 2
        && front.as_bytes()[0].is_ascii_alphanumeric()
        && front.bytes().all(sound)
        && hash.len() == 13
        && hash.bytes().all(|b| b.is_ascii_alphanumeric())
}
