//! What the products dialect allows: names, permissions, file names, paths. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a member of a product may do. No permission implies another (`products.md` §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Delete the product, change its members, delete versions by `modify`.
    pub maintainer: bool,
    /// Fetch the bytes of versions.
    pub download: bool,
    /// Add versions.
    pub upload: bool,
    /// Delete versions.
    pub delete: bool,
}

impl Permissions {
    /// Everything: what the creator of a product gets.
    pub const ALL: Permissions = Permissions { maintainer: true, download: true, upload: true, delete: true };
}

/// One thing a caller wants to do with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See the product's members and versions.
    Read,
    /// Delete the product or change its members.
    Maintain,
    /// Delete a version through `modify`.
    Prune,
    /// Delete a version by its path.
    Delete,
    /// Add a version.
    Upload,
    /// Fetch a version's bytes.
    Download,
}

/// Whether a caller (its entry in the token map, if any; whether it is an admin) may do `action`.
///
/// # Errors
/// `Forbidden` `permission denied`.
pub fn may(action: Action, member: Option<Permissions>, admin: bool) -> Result<()> {
    let member_may = member.is_some_and(|member| match action {
        Action::Read => true,
        Action::Maintain => member.maintainer,
        Action::Prune => member.maintainer || member.delete,
        Action::Delete => member.delete,
        Action::Upload => member.upload,
        Action::Download => member.download,
    });
    if admin || member_may { Ok(()) } else { Err(Error::forbidden("permission denied")) }
}

/// The longest product or version name, in bytes.
const NAME_LIMIT: usize = 128;

/// Whether `name` is a good product or version name (`products.md` §3).
///
/// # Errors
/// `Invalid`, a sentence beginning `invalid name`.
pub fn check_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_LIMIT {
        "it is longer than 128 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else if name.contains('\\') {
        "it holds a backslash"
    } else if name.trim() != name {
        "it begins or ends with white space"
    } else if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "a part between slashes is empty, '.' or '..'"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("invalid name: {fault}")))
}

/// The longest stored file name, in bytes (`reliability.md` §14).
const FILE_NAME_LIMIT: usize = 255;

/// The name a file keeps: what follows the last `/` or `\` of the client's, control characters removed.
///
/// # Errors
/// `Invalid`, a sentence beginning `invalid filename`.
pub fn file_name(given: &str) -> Result<String> {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = base.chars().filter(|c| !c.is_control()).collect();
    let fault = match name.as_str() {
        "" => "it is empty",
        "." | ".." => "it names a directory",
        _ if name.len() > FILE_NAME_LIMIT => "it is longer than 255 bytes",
        _ => return Ok(name),
    };
    Err(Error::invalid(format!("invalid filename: {fault}")))
}

/// The `path` that `/product/fetch` shows: for information, the same on every platform.
pub fn shown_path(product: &str, version: &str, file_name: &str) -> String {
    format!("./products/{product}/{version}/{file_name}")
}

/// Where a version is downloaded: each name one percent-encoded segment.
pub fn download_path(product: &str, version: &str) -> String {
    /// All but the unreserved characters of RFC 3986.
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let segment = |text| utf8_percent_encode(text, SEGMENT);
    format!("/product/download/{}/{}", segment(product), segment(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "é".repeat(64);
        let good = [
            "my lib",
            "c++",
            "100%",
            "a#b?",
            "größe",
            "1.0.0+build.7",
            "release/2.1",
            "a%2Fb",
            "🚀",
            "...",
            "a",
            &long,
        ];
        for name in good {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let longer = format!("{long}x");
        let bad = [
            "",
            " a",
            "a ",
            "\u{a0}a",
            "a\u{3000}",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/..",
            "./a",
            "a\\b",
            "a\0",
            "a\nb",
            "\u{7f}",
            "\u{85}",
            &longer,
        ];
        for name in bad {
            let message = check_name(name).unwrap_err().message;
            assert!(message.starts_with("invalid name"), "{name:?}: {message}");
        }
    }

    #[test]
    fn file_names() {
        let cases = [
            ("app.exe", Some("app.exe")),
            ("C:\\build\\app.exe", Some("app.exe")),
            ("../../x.sh", Some("x.sh")),
            ("a\r\nb.txt", Some("ab.txt")),
            ("größe 🚀.zip", Some("größe 🚀.zip")),
            ("", None),
            ("dir/", None),
            ("..", None),
            ("a/..", None),
            ("\u{7}", None),
        ];
        for (given, kept) in cases {
            match kept {
                Some(kept) => assert_eq!(file_name(given).unwrap(), kept),
                None => assert!(file_name(given).unwrap_err().message.starts_with("invalid filename"), "{given}"),
            }
        }
        assert!(file_name(&"x".repeat(256)).is_err());
    }

    #[test]
    fn permissions_do_not_imply_each_other() {
        use Action::*;
        let none = Permissions::default();
        let cases: [(Permissions, &[Action]); 5] = [
            (none, &[Read]),
            (Permissions { maintainer: true, ..none }, &[Read, Maintain, Prune]),
            (Permissions { download: true, ..none }, &[Read, Download]),
            (Permissions { upload: true, ..none }, &[Read, Upload]),
            (Permissions { delete: true, ..none }, &[Read, Prune, Delete]),
        ];
        for action in [Read, Maintain, Prune, Delete, Upload, Download] {
            for (member, allowed) in cases {
                assert_eq!(
                    may(action, Some(member), false).is_ok(),
                    allowed.contains(&action),
                    "{member:?} {action:?}"
                );
            }
            assert!(may(action, None, false).is_err());
            assert!(may(action, None, true).is_ok());
            assert!(may(action, Some(Permissions::ALL), false).is_ok());
        }
    }

    #[test]
    fn paths_are_encoded_segment_by_segment() {
        assert_eq!(download_path("a/b", "1.0+x y"), "/product/download/a%2Fb/1.0%2Bx%20y");
        assert_eq!(download_path("a%2Fb", "ö"), "/product/download/a%252Fb/%C3%B6");
        assert_eq!(shown_path("my-lib", "v1", "x.gz"), "./products/my-lib/v1/x.gz");
    }
}
