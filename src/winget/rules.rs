//! What packages, versions and their fields may be: enums, limits, keys. Pure (`winget.md` A5, A6, A9).

use crate::error::{Error, Result};
use crate::winget::names::fold;

/// Processors, as they are written.
pub const ARCHITECTURES: [&str; 4] = ["x64", "x86", "arm", "arm64"];
/// Kinds of installer, as Part A writes them.
pub const FILE_TYPES: [&str; 9] = ["EXE", "MSI", "MSIX", "APPX", "ZIP", "INNO", "NULLSOFT", "WIX", "BURN"];
/// For whom an installer installs.
pub const SCOPES: [&str; 2] = ["machine", "user"];
/// Languages; the last three are written with an underscore in Part A.
pub const LOCALES: [&str; 20] = [
    "en-US", "de-DE", "de-AT", "de-CH", "en-GB", "en-CA", "en-AU", "fr-FR", "fr-CA", "fr-BE", "es-ES", "es-MX",
    "it-IT", "it-CH", "pt-PT", "pt-BR", "ja-JP", "ko_KR", "zh_CN", "zh_TW",
];
/// What an upgrade does with the version before.
pub const UPGRADES: [&str; 3] = ["install", "uninstallPrevious", "deny"];
/// The switches an installer may be given, in the order they are shown.
pub const SWITCHES: [&str; 8] =
    ["Silent", "SilentWithProgress", "Interactive", "InstallLocation", "Log", "Upgrade", "Custom", "Repair"];
/// Extensions a finished upload may keep.
pub const EXTENSIONS: [&str; 7] = ["exe", "msi", "msix", "msixbundle", "appx", "appxbundle", "zip"];
/// The language of versions that name none.
pub const DEFAULT_LOCALE: &str = "en-US";
/// The channel of versions that name none.
pub const STABLE: &str = "stable";

/// Characters no id, version or path may hold.
const FORBIDDEN: [char; 9] = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];

/// The listed spelling of `value`, whatever its case; `-` and `_` are the same. `Invalid` names field and values.
pub fn listed(field: &str, value: &str, values: &'static [&'static str]) -> Result<&'static str> {
    let folded = |text: &str| text.trim().replace('_', "-").to_ascii_lowercase();
    let wanted = folded(value);
    let found = values.iter().find(|known| folded(known) == wanted);
    found.copied().ok_or_else(|| Error::invalid(format!("{field} must be one of {}", values.join(", "))))
}

/// True or false in one of the eight spellings.
pub fn flag(field: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::invalid(format!("{field} must be true or false"))),
    }
}

/// A package's id as it is stored: trimmed, 1–128 characters, parts between dots.
pub fn package_id(text: &str) -> Result<&str> {
    let id = text.trim();
    let bad = |why: &str| Err(Error::invalid(format!("package_id {why}")));
    match id.chars().count() {
        0 => return bad("must not be empty"),
        1..=128 => {}
        _ => return bad("must have at most 128 characters"),
    }
    if id.chars().any(|c| c.is_whitespace() || c.is_control() || FORBIDDEN.contains(&c)) {
        return bad("must not hold white space, control characters or any of \\ / : * ? \" < > |");
    }
    if id.split('.').any(str::is_empty) {
        return bad("must not begin or end with a dot or have an empty part");
    }
    Ok(id)
}

/// A name or publisher: trimmed, not empty, at most 256 characters.
pub fn label<'t>(field: &str, text: &'t str) -> Result<&'t str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(format!("{field} must not be empty")));
    }
    within(field, text, 256)?;
    no_controls(field, text)?;
    Ok(text)
}

/// A description: at most 10,000 characters; line ends are welcome.
pub fn description(text: &str) -> Result<&str> {
    within("package_description", text, 10_000)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Error::invalid("package_description must not hold control characters"));
    }
    Ok(text)
}

/// A version: trimmed, 1–128 characters.
pub fn version(text: &str) -> Result<&str> {
    let version = text.trim();
    if version.is_empty() {
        return Err(Error::invalid("package_version must not be blank"));
    }
    within("package_version", version, 128)?;
    if version.chars().any(|c| c.is_control() || FORBIDDEN.contains(&c)) {
        return Err(Error::invalid("package_version must not hold control characters or any of \\ / : * ? \" < > |"));
    }
    Ok(version)
}

/// A channel as it is stored: lower-case, 1–16 characters; `stable` when none is named.
pub fn channel(text: Option<&str>) -> Result<String> {
    let text = text.map(str::trim).unwrap_or(STABLE);
    if text.is_empty() {
        return Err(Error::invalid("channel must not be empty"));
    }
    within("channel", text, 16)?;
    no_controls("channel", text)?;
    Ok(fold(text))
}

/// A text of at most `limit` characters without control characters; blank counts as absent.
pub fn optional<'t>(field: &str, text: &'t str, limit: usize) -> Result<&'t str> {
    let text = text.trim();
    within(field, text, limit)?;
    no_controls(field, text)?;
    Ok(text)
}

fn within(field: &str, text: &str, limit: usize) -> Result<()> {
    match text.chars().count() <= limit {
        true => Ok(()),
        false => Err(Error::invalid(format!("{field} must have at most {limit} characters"))),
    }
}

fn no_controls(field: &str, text: &str) -> Result<()> {
    match text.chars().any(char::is_control) {
        false => Ok(()),
        true => Err(Error::invalid(format!("{field} must not hold control characters"))),
    }
}

/// The longest text of a switch, in characters.
pub fn switch_limit(switch: &str) -> usize {
    if switch == "Custom" { 2048 } else { 512 }
}

/// A path inside an archive, checked: relative, no drive, not climbing out.
pub fn nested_path(text: &str) -> Result<&str> {
    let bad = || Error::invalid("file_nested_path must be a relative path that stays inside the archive");
    let path = text.trim();
    let slashes = path.replace('\\', "/");
    let climbs = slashes.split('/').any(|part| part == "..");
    if path.is_empty() || slashes.starts_with('/') || slashes.contains(':') || climbs {
        return Err(bad());
    }
    if path.chars().any(char::is_control) || path.chars().count() > 512 {
        return Err(bad());
    }
    Ok(path)
}

/// How a path inside an archive is compared: without regard to case and kind of slash.
pub fn entry_key(path: &str) -> String {
    let path = fold(path).replace('\\', "/");
    path.strip_prefix("./").unwrap_or(&path).to_owned()
}

/// What makes a version row one of its kind within its package (A6).
pub fn unique_key(version: &str, locale: &str, arch: &str, kind: &str, nested: &str, scope: &str) -> String {
    [version, &locale.replace('_', "-"), arch, kind, nested, scope].map(fold).join("\0")
}

/// The extension at the end of an upload's id, before a trailing `_digits`: `a.b.MSI_17000` → `msi`.
pub fn upload_extension(file_id: &str) -> Option<&'static str> {
    let bare = match file_id.rsplit_once('_') {
        Some((front, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => front,
        _ => file_id,
    };
    let (_, extension) = bare.trim_end().rsplit_once('.')?;
    EXTENSIONS.iter().find(|known| known.eq_ignore_ascii_case(extension)).copied()
}

/// The extension a type of installer has when nothing better is known.
pub fn type_extension(kind: &str) -> &'static str {
    match kind.to_ascii_uppercase().as_str() {
        "MSI" | "WIX" => "msi",
        "MSIX" => "msix",
        "APPX" => "appx",
        "ZIP" => "zip",
        _ => "exe",
    }
}

/// A picture by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Picture {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
}

impl Picture {
    /// Judged by the signature alone.
    pub fn of(head: &[u8]) -> Option<Picture> {
        match head {
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Some(Picture::Png),
            _ if head.starts_with(&[0xFF, 0xD8, 0xFF]) => Some(Picture::Jpeg),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Picture::Png => "image/png",
            Picture::Jpeg => "image/jpeg",
        }
    }

    /// The extension of its links.
    pub fn extension(self) -> &'static str {
        match self {
            Picture::Png => "png",
            Picture::Jpeg => "jpg",
        }
    }
}

/// Entries of a list field: repeated fields, each one value or several separated by commas; blanks trimmed, empty ones
/// dropped.
pub fn entries<'t>(values: impl Iterator<Item = &'t str>) -> Vec<String> {
    let split = values.flat_map(|value| value.split(','));
    split.map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// A name as part of a file name: what is not plain becomes `_`.
pub fn decoration(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-.+_".contains(c) { c } else { '_' };
    text.chars().map(plain).take(100).collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
