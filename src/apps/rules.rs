//! What the app-update dialect allows: names, extensions, file names, download keys, updaters, time forms. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::apps::versions::Version;
use crate::error::{Error, Result};
use crate::ids::Digest;

/// Whether `name` may name an app: 1–100 of letters, digits, blank, `.`, `_`, `-`, a letter or digit at both ends.
pub fn is_app_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= 100
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(byte))
}

/// Whether `name` may name a channel, platform or architecture: 1–64 of letters, digits, `.`, `_`, `-`, a letter or
/// digit first.
pub fn is_axis_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

/// Reads a version parameter.
///
/// # Errors
/// `Invalid` `invalid version parameter`.
pub fn version(text: &str) -> Result<Version> {
    Version::parse(text).ok_or_else(|| Error::invalid("invalid version parameter"))
}

/// The longest file name kept, in bytes.
const FILE_NAME_LIMIT: usize = 255;

/// The name a file keeps: what follows the last `/` or `\` of the client's.
///
/// # Errors
/// `Invalid` when nothing is left, it names a directory, is too long, or holds a control character.
pub fn file_name(given: &str) -> Result<&str> {
    let name = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let fault = match name {
        "" => "it is empty",
        "." | ".." => "it names a directory",
        _ if name.len() > FILE_NAME_LIMIT => "it is longer than 255 bytes",
        _ if name.chars().any(char::is_control) => "it holds a control character",
        _ => return Ok(name),
    };
    Err(Error::invalid(format!("invalid file name: {fault}")))
}

/// An artifact from the shelf that is to stand in place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its SHA-256.
    pub digest: Digest,
    /// The file name it is to have; none for the one it has.
    pub name: Option<String>,
}

/// Reads a `sha256` part: 64 hex digits, and the file name after them if it is to have another one, as `sha256sum`
/// prints both.
///
/// # Errors
/// `Invalid` when it is not that.
pub fn wish(text: &str) -> Result<Wish> {
    let text = text.trim();
    let (hex, name) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
    let digest = Digest::from_hex(hex).ok_or_else(|| Error::invalid("the declared SHA-256 is not 64 hex digits"))?;
    let name = name.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = Some(name).filter(|name| !name.is_empty()).map(file_name).transpose()?;
    Ok(Wish { digest, name: name.map(str::to_owned) })
}

/// Extensions of two words that count as one.
const DOUBLE: [&str; 4] = [".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"];

/// The extension of a file name from its last dot, case kept; empty without a dot or with a leading one only.
pub fn extension(file_name: &str) -> &str {
    for double in DOUBLE {
        let at = file_name.len().saturating_sub(double.len());
        if at > 0 && file_name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(double)) {
            return file_name.get(at..).unwrap_or_default();
        }
    }
    match file_name.rfind('.') {
        None | Some(0) => "",
        Some(at) => file_name.get(at..).unwrap_or_default(),
    }
}

/// The client frameworks the dialect speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Updater {
    /// A JSON answer with links; the client does the rest.
    #[serde(rename = "manual")]
    Manual,
    /// Squirrel.Mac.
    #[serde(rename = "squirrel_darwin")]
    SquirrelDarwin,
    /// Squirrel.Windows.
    #[serde(rename = "squirrel_windows")]
    SquirrelWindows,
    /// Sparkle and WinSparkle.
    #[serde(rename = "sparkle")]
    Sparkle,
    /// electron-updater.
    #[serde(rename = "electron-builder")]
    ElectronBuilder,
    /// The updater of Tauri.
    #[serde(rename = "tauri")]
    Tauri,
    /// Velopack.
    #[serde(rename = "velopack")]
    Velopack,
}

impl Updater {
    /// Every kind.
    pub const ALL: [Updater; 7] = [
        Updater::Manual,
        Updater::SquirrelDarwin,
        Updater::SquirrelWindows,
        Updater::Sparkle,
        Updater::ElectronBuilder,
        Updater::Tauri,
        Updater::Velopack,
    ];

    /// Its word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Updater::Manual => "manual",
            Updater::SquirrelDarwin => "squirrel_darwin",
            Updater::SquirrelWindows => "squirrel_windows",
            Updater::Sparkle => "sparkle",
            Updater::ElectronBuilder => "electron-builder",
            Updater::Tauri => "tauri",
            Updater::Velopack => "velopack",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Updater> {
        Updater::ALL.into_iter().find(|updater| updater.word() == word)
    }
}

/// One updater a platform is served with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Which.
    #[serde(rename = "type")]
    pub updater: Updater,
    /// Whether it answers checks that name none; one of a platform's does.
    #[serde(default)]
    pub default: bool,
}

/// What a platform has when nothing was said.
pub const MANUAL_ONLY: [Offered; 1] = [Offered { updater: Updater::Manual, default: true }];

/// Judges the updaters of a platform: known, no two alike, exactly one default.
///
/// # Errors
/// `Invalid`, in the dialect's words.
pub fn updaters(given: &[(String, bool)]) -> Result<Vec<Offered>> {
    let mut offered: Vec<Offered> = Vec::new();
    for (word, default) in given {
        let Some(updater) = Updater::from_word(word) else {
            let known: Vec<_> = Updater::ALL.iter().map(|updater| updater.word()).collect();
            return Err(Error::invalid(format!("invalid updater type: {word} (known are {})", known.join(", "))));
        };
        if offered.iter().any(|other| other.updater == updater) {
            return Err(Error::invalid(format!("duplicate updater type: {word}")));
        }
        offered.push(Offered { updater, default: *default });
    }
    match offered.iter().filter(|offered| offered.default).count() {
        1 => Ok(offered),
        0 => Err(Error::invalid("exactly one updater must be set as default")),
        _ => Err(Error::invalid("only one updater can be set as default")),
    }
}

/// The updater a check is answered by: the one it names, when the platform has it, else the platform's default.
///
/// # Errors
/// `Invalid` `updater not supported`.
pub fn choose_updater(named: Option<&str>, offered: &[Offered]) -> Result<Updater> {
    let has = |updater| offered.iter().any(|offered| offered.updater == updater);
    let unsupported = || Error::invalid("updater not supported");
    match named {
        None => Ok(offered.iter().find(|offered| offered.default).map_or(Updater::Manual, |offered| offered.updater)),
        Some("manual") => Ok(Updater::Manual),
        Some("squirrel") => {
            let mut squirrels = offered
                .iter()
                .filter(|offered| matches!(offered.updater, Updater::SquirrelDarwin | Updater::SquirrelWindows));
            squirrels.next().map(|offered| offered.updater).ok_or_else(unsupported)
        }
        Some(word) => Updater::from_word(word).filter(|updater| has(*updater)).ok_or_else(unsupported),
    }
}

/// Whether the files of one upload are what its updater needs.
///
/// # Errors
/// `Invalid`, in the dialect's words.
pub fn check_files(updater: Updater, version: &Version, signature: Option<&str>, file_names: &[&str]) -> Result<()> {
    let lower: Vec<String> = file_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let ends = |end: &str| lower.iter().filter(|name| name.ends_with(end)).count();
    let (good, fault) = match updater {
        Updater::Manual | Updater::Sparkle => return Ok(()),
        Updater::ElectronBuilder => (
            ends(".yml") + ends(".yaml") > 0,
            "electron-builder updater requires a YML/YAML file for update functionality. Please include a .yml or .yaml file in your upload",
        ),
        Updater::SquirrelWindows => (
            lower.iter().any(|name| name == "releases"),
            "squirrel windows updater requires a RELEASES file for update functionality. Please include a RELEASES file in your upload",
        ),
        Updater::SquirrelDarwin => (
            ends(".zip") > 0,
            "squirrel darwin updater requires a ZIP archive for update functionality. Please include a ZIP file in your upload",
        ),
        Updater::Tauri if signature.is_none_or(str::is_empty) => (
            false,
            "tauri updater requires a signature parameter for update functionality. Please include a signature in your request",
        ),
        Updater::Tauri => (version.is_semver(), "tauri updater requires a version of three numbers like 1.2.3"),
        Updater::Velopack => (
            ends("-full.nupkg") == 1 && lower.iter().filter(|name| is_velopack_list(name)).count() == 1,
            "velopack updater requires one -full.nupkg and one releases.CHANNEL.json file for update functionality. Please include both in your upload",
        ),
    };
    if good { Ok(()) } else { Err(Error::invalid(fault)) }
}

/// Whether a lower-case file name is that of a Velopack release list.
pub fn is_velopack_list(name: &str) -> bool {
    name.len() > "releases..json".len() && name.starts_with("releases.") && name.ends_with(".json")
}

/// The names a download key is made of.
pub struct KeyNames<'a> {
    /// The tenant.
    pub owner: &'a str,
    /// The app.
    pub app: &'a str,
    /// Empty when unset, like the two below.
    pub channel: &'a str,
    /// The platform.
    pub platform: &'a str,
    /// The architecture.
    pub arch: &'a str,
    /// The version's text.
    pub version: &'a str,
}

impl KeyNames<'_> {
    /// The key of a plain file: known by app, version and extension.
    pub fn plain(&self, extension: &str) -> String {
        let file = format!("{}-{}{extension}", self.app, self.version);
        join(&[self.app, self.channel, self.platform, self.arch, &file])
    }

    /// The key of an updater's file, which keeps its own name.
    pub fn named(&self, updater: Updater, file_name: &str) -> String {
        let Self { owner, app, channel, platform, arch, version } = self;
        join(&[updater.word(), owner, app, version, channel, platform, arch, file_name])
    }
}

fn join(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
}

/// `key` with `-number` before its extension: what a key becomes when it is taken.
pub fn next_key(key: &str, extension: &str, number: u32) -> String {
    let stem = key.strip_suffix(extension).unwrap_or(key);
    format!("{stem}-{number}{extension}")
}

/// All but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same with the slash left as it is.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// `text` as one path segment or query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// `text` with its slashes left as they are.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// The media type a stored file leaves as: from a short list of inert ones (`faynosync.md` §12).
pub fn media_type(file_name: &str) -> &'static str {
    if file_name.eq_ignore_ascii_case("RELEASES") {
        return "text/plain";
    }
    match extension(file_name).to_ascii_lowercase().as_str() {
        ".yml" | ".yaml" => "text/yaml",
        ".json" => "application/json",
        ".xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

/// What a logo is by its first bytes; `None` for anything that is not shown inline.
pub fn image_type(head: &[u8]) -> Option<&'static str> {
    let riff = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if head.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if riff {
        Some("image/webp")
    } else {
        None
    }
}

/// A base for links from a `Host` field: `None` when it holds what no host has.
pub fn is_host(host: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
    !host.is_empty() && host.len() <= 270 && host.bytes().all(inner)
}

/// A number from a query that must be a positive integer; anything else is `default`. What is above `most` is `most`;
/// without one, what is beyond 64 bits is `default` too.
pub fn positive(text: Option<&str>, default: u64, most: Option<u64>) -> u64 {
    let Some(text) = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())) else {
        return default;
    };
    match text.trim_start_matches('0') {
        "" => default,
        digits => match (digits.parse::<u64>(), most) {
            (Ok(number), most) => number.min(most.unwrap_or(number)),
            (Err(_), most) => most.unwrap_or(default),
        },
    }
}

/// Whether a device is in a staged rollout (`faynosync.md` §14.4).
pub fn in_rollout(device: &str, seed: &str, percent: u8) -> bool {
    let digest = crate::ids::Digest::of(format!("{device}:{seed}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.0[..8]);
    u64::from_be_bytes(first) % 100 < u64::from(percent)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
