//! What Windows installers say of themselves, and the words the readers of their formats share.

use serde::{Deserialize, Serialize};

/// Whom an installer installs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everybody who uses the machine.
    Machine,
    /// Whoever starts it.
    User,
}

impl Scope {
    /// Its one word, in lower case.
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Machine => "machine",
            Scope::User => "user",
        }
    }
}

/// What an installer says of itself beside name, version and architecture. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Installer {
    /// Its type in the words of `winget.md` §A9: `EXE`, `MSI`, `MSIX`, `APPX`, `ZIP`, `INNO`, `NULLSOFT`, `WIX`, `BURN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installer_type: Option<String>,
    /// Who made it, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Whom it installs for when nothing else is asked of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Its language, like `de-DE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Under which code the installed program is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_code: Option<String>,
    /// What all versions of the program share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_code: Option<String>,
    /// Name and publisher's hash of an app package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_family_name: Option<String>,
    /// SHA-256 of an app package's signature, 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_sha256: Option<String>,
    /// The installers in an archive, at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nested: Vec<Nested>,
}

/// An installer in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nested {
    /// Where it lies, as the archive spells it.
    pub path: String,
    /// Its type by its name.
    pub installer_type: String,
}

/// The longest text that is taken over, in characters.
const TEXT_LIMIT: usize = 256;

/// Text fit to be shown: trimmed, without control characters, not empty, not too long.
pub(super) fn text(given: &str) -> Option<String> {
    let clean: String = given.chars().filter(|c| !c.is_control()).take(TEXT_LIMIT).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// The type of an installer by its file name.
pub(super) fn type_by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "exe" => "EXE",
        "msi" => "MSI",
        "msix" | "msixbundle" => "MSIX",
        "appx" | "appxbundle" => "APPX",
        _ => return None,
    })
}

/// The language behind a Windows language number.
pub(super) fn locale(number: u32) -> Option<&'static str> {
    const KNOWN: [(u32, &str); 44] = [
        (1025, "ar-SA"),
        (1026, "bg-BG"),
        (1027, "ca-ES"),
        (1028, "zh-TW"),
        (1029, "cs-CZ"),
        (1030, "da-DK"),
        (1031, "de-DE"),
        (1032, "el-GR"),
        (1033, "en-US"),
        (1034, "es-ES"),
        (1035, "fi-FI"),
        (1036, "fr-FR"),
        (1037, "he-IL"),
        (1038, "hu-HU"),
        (1040, "it-IT"),
        (1041, "ja-JP"),
        (1042, "ko-KR"),
        (1043, "nl-NL"),
        (1044, "nb-NO"),
        (1045, "pl-PL"),
        (1046, "pt-BR"),
        (1048, "ro-RO"),
        (1049, "ru-RU"),
        (1050, "hr-HR"),
        (1051, "sk-SK"),
        (1053, "sv-SE"),
        (1054, "th-TH"),
        (1055, "tr-TR"),
        (1058, "uk-UA"),
        (1060, "sl-SI"),
        (1061, "et-EE"),
        (1062, "lv-LV"),
        (1063, "lt-LT"),
        (1066, "vi-VN"),
        (2052, "zh-CN"),
        (2055, "de-CH"),
        (2057, "en-GB"),
        (2058, "es-MX"),
        (2060, "fr-BE"),
        (2064, "it-CH"),
        (2070, "pt-PT"),
        (3079, "de-AT"),
        (3081, "en-AU"),
        (3082, "es-ES"),
    ];
    const MORE: [(u32, &str); 2] = [(3084, "fr-CA"), (4105, "en-CA")];
    KNOWN.iter().chain(&MORE).find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(text("  a\u{0}b \n"), Some("ab".into()));
        assert_eq!(text(" \u{7}"), None);
        assert_eq!(text(&"é".repeat(300)).unwrap().chars().count(), 256);
        assert_eq!((locale(1031), locale(4105), locale(0)), (Some("de-DE"), Some("en-CA"), None));
        let cases =
            [("a/Setup.EXE", Some("EXE")), ("b.msixbundle", Some("MSIX")), ("c.appx", Some("APPX")), ("msi", None)];
        for (name, expected) in cases {
            assert_eq!(type_by_name(name), expected, "{name}");
        }
    }
}
