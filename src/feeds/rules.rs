//! What names, paths and options may be, and the sentences that say so. Pure.

use crate::error::Error;

/// The longest name of a repo, upstream or snapshot, in bytes.
const LONGEST_NAME: usize = 128;
/// The longest file name of an upload, in bytes.
const LONGEST_FILE_NAME: usize = 255;
/// The longest path of a published file, in bytes.
const LONGEST_PATH: usize = 1024;

/// Names that a tree has of its own (`repos.md` §14).
const RESERVED: [&str; 8] =
    ["packages", "snapshots", "diff", "export", "index.json", "SHA256SUMS", "SHA256SUMS.asc", "key.asc"];

/// Whether a text may name an upstream, a repo or a snapshot: `[A-Za-z0-9][A-Za-z0-9._+-]{0,127}`.
pub fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// Refuses what may not be a name.
///
/// # Errors
/// `Invalid`.
pub fn check_name(name: &str) -> Result<(), Error> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Error::invalid(
            "a name has 1 to 128 letters, digits, dots, underscores, plus or minus signs and begins with a letter or digit",
        )),
    }
}

/// There is no such repo.
pub fn unknown_repo(name: &str) -> Error {
    Error::not_found(format!("there is no repo {}", shown(name)))
}

/// There is no such package.
pub fn unknown_package(shasum: &str) -> Error {
    Error::not_found(format!("there is no package {}", shown(shasum)))
}

/// Text from a request as error sentences show it: short, and without control characters.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(130).collect::<String>().escape_debug().to_string();
    if text.chars().nth(130).is_some() {
        shown.push('…');
    }
    shown
}

/// The base name of a client's file name; directories are cut off.
///
/// # Errors
/// `Invalid` when nothing is left that could be a file name.
pub fn base_name(given: &str) -> Result<&str, Error> {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    match base {
        "" | "." | ".." => Err(Error::invalid("the file name is empty")),
        _ if base.len() > LONGEST_FILE_NAME => Err(Error::invalid("the file name is longer than 255 bytes")),
        _ if base.chars().any(char::is_control) => Err(Error::invalid("the file name holds a control character")),
        _ => Ok(base),
    }
}

/// Whether a dir repo may publish a file under this path, and if not, why.
///
/// # Errors
/// `Invalid`.
pub fn check_path(path: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::invalid(format!("the file name {} {why}", shown(path))));
    if path.is_empty() || path.len() > LONGEST_PATH {
        return refused("is empty or longer than 1024 bytes");
    }
    if path.chars().any(char::is_control) {
        return refused("holds a control character");
    }
    if path.contains('\\') {
        return refused("holds a backslash");
    }
    if path.starts_with('/') || path.ends_with('/') {
        return refused("is not relative");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refused("has an empty, '.' or '..' segment");
    }
    if path.split('/').any(is_strange_on_windows) {
        return refused("has a segment that Windows cannot store");
    }
    let first = path.split('/').next().unwrap_or_default();
    if RESERVED.contains(&first) || is_client_file(path) {
        return refused("is reserved");
    }
    Ok(())
}

/// Whether Windows reads a file name as something else: a device, a stream, a drive, a shorter name (`reliability.md`
/// §14). A client may well store what it fetches there.
fn is_strange_on_windows(segment: &str) -> bool {
    const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
    let stem = segment.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|n| n.len() == 1 && n.bytes().all(|digit| (b'1'..=b'9').contains(&digit)))
    };
    segment.ends_with(['.', ' '])
        || segment.contains(':')
        || DEVICES.contains(&stem.as_str())
        || numbered("COM")
        || numbered("LPT")
}

/// Whether a path is one of the client files every tree has.
pub fn is_client_file(path: &str) -> bool {
    path.strip_prefix("packhouse.").is_some_and(|rest| !rest.contains('/'))
}

/// Whether a file name can stand in any URL, index and file system as it is.
pub fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_FILE_NAME
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~^-".contains(&byte))
}

/// A text made into a plain file name: every other sign becomes an underscore.
pub fn plain_file_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+~^-".contains(c) { c } else { '_' };
    let mut name: String = text.chars().map(plain).take(LONGEST_FILE_NAME).collect();
    if name.starts_with('.') || name.is_empty() {
        name.insert(0, '_');
        name.truncate(LONGEST_FILE_NAME);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(128);
        for good in ["a", "0", "el9-baseos", "a.b_c+d-e", "A", &longest] {
            assert!(is_name(good), "{good}");
        }
        let too_long = "a".repeat(129);
        for bad in ["", ".a", "-a", "_a", "+a", "a b", "a/b", "a@b", "ä", "a\n", &too_long] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn file_names_lose_their_directories() {
        let cases = [
            ("a.rpm", Some("a.rpm")),
            ("/x/a.rpm", Some("a.rpm")),
            ("C:\\x\\a.rpm", Some("a.rpm")),
            ("../..", None),
            ("x/", None),
            ("", None),
            (".", None),
            ("a\u{7}b", None),
        ];
        for (given, base) in cases {
            assert_eq!(base_name(given).ok(), base, "{given}");
        }
        assert!(base_name(&"a".repeat(256)).is_err());
    }

    #[test]
    fn paths() {
        for good in ["a", "a/b", "a b/ü.txt", ".a", "a/packages", "x/key.asc", "packhouse", "packhouse.d/x"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "a/.",
            "a\\b",
            "a\0",
            "packages",
            "packages/x",
            "index.json",
            "SHA256SUMS",
            "SHA256SUMS.asc",
            "key.asc",
            "snapshots",
            "diff",
            "export",
            "packhouse.repo",
            "a\nb",
            "CON",
            "a/nul.txt",
            "b.",
            "x::$DATA",
            "C:",
            "com1",
        ];
        for bad in bad {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_names() {
        assert!(is_plain_file_name("a_1.0~rc1+b1^2-1_amd64.deb"));
        for odd in ["", ".a", "a b", "a:b", "ä", "a%3a", "a/b"] {
            assert!(!is_plain_file_name(odd) && is_plain_file_name(&plain_file_name(odd)), "{odd}");
        }
    }
}
