//! What the console room decides without looking anything up: types of files, addresses of pages, what lists are asked for. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// The media type of a page's file, by its extension; none for what is not part of the UI.
pub fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Whether `path` names a file below the pages' directory: plain segments only, no way up and nothing hidden.
pub fn is_plain(path: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(good))
}

/// What a page of the catalog is asked for.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    /// Words to look for.
    pub text: String,
    /// A kind's word.
    pub kind: Option<String>,
    /// A holder's kind.
    pub held: Option<String>,
    /// An architecture.
    pub arch: Option<String>,
    /// The order, and where to go on.
    pub order: Order,
    /// Rows, 1 to 100.
    pub limit: usize,
}

/// The order of a list of artifacts, each with the place it goes on after.
#[derive(Debug, PartialEq)]
pub enum Order {
    /// By name.
    Name(Option<(String, String)>),
    /// The newest first.
    Newest(Option<(u64, String)>),
    /// The largest first.
    Largest(Option<(u64, String)>),
}

/// Reads the query of a catalog page.
///
/// # Errors
/// `Invalid`, naming what cannot be understood.
pub fn wanted<'a>(given: impl Fn(&str) -> Option<&'a str>) -> Result<Wanted> {
    let given = |name: &str| given(name).filter(|text| !text.is_empty());
    let word = |name: &'static str| match given(name) {
        Some(text) if text.len() > 64 => Err(Error::invalid(format!("{name} has at most 64 bytes"))),
        text => Ok(text.map(str::to_owned)),
    };
    let limit = match given("limit").map(str::parse) {
        None => 50,
        Some(Ok(limit @ 1..=100)) => limit,
        Some(_) => return Err(Error::invalid("limit must be 1 to 100")),
    };
    let cursor = given("cursor");
    let bad = || Error::invalid("cursor is not one of ours");
    let place = || cursor.map(|text| read_place_cursor(text).ok_or_else(bad)).transpose();
    let order = match given("sort") {
        None | Some("-created") => Order::Newest(place()?),
        Some("-size") => Order::Largest(place()?),
        Some("name") => Order::Name(match cursor {
            Some(text) => Some(read_name_cursor(text).ok_or_else(bad)?),
            None => None,
        }),
        Some(_) => return Err(Error::invalid("sort must be name, -size or -created")),
    };
    let text = given("q").unwrap_or_default().to_owned();
    Ok(Wanted { text, kind: word("kind")?, held: word("held")?, arch: word("arch")?, order, limit })
}

/// Where a list by name goes on, as text for an address.
pub fn name_cursor(name: &str, digest: &str) -> String {
    format!("{}.{digest}", URL_SAFE_NO_PAD.encode(name))
}

fn read_name_cursor(text: &str) -> Option<(String, String)> {
    let (name, digest) = text.rsplit_once('.')?;
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
    Some((name, digest.to_owned()))
}

/// Where a list by time or by size goes on, as text for an address.
pub fn place_cursor(place: u64, digest: &str) -> String {
    format!("{place:x}.{digest}")
}

fn read_place_cursor(text: &str) -> Option<(u64, String)> {
    let (place, digest) = text.split_once('.')?;
    Some((u64::from_str_radix(place, 16).ok().filter(|_| !place.starts_with('+'))?, digest.to_owned()))
}

/// Kinds of holders that offer nothing to anybody: what nobody else holds waits for a place.
pub const LOOSE: &[&str] = &["package", "upload", "sync-cache"];

/// Kinds of holders of what belongs to indexes: what they alone hold is listed only where it is asked for.
pub const BEHIND: &[&str] = &["repo-index", "upstream-extra"];

/// What a list asks for by `held=` to see only such artifacts.
pub const NOWHERE: &str = "none";

/// Whether a line of the trail tells of an artifact: its subject names the digest, or is, or begins with, the words one of
/// its holders stands for.
pub fn tells_of(subject: &str, digest: &str, holders: &[String]) -> bool {
    let begins = |holder: &String| {
        let rest = subject.strip_prefix(holder.as_str()).filter(|_| !holder.is_empty());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    subject.contains(digest) || holders.iter().any(begins)
}

/// Whether a file name says nothing to people: one that was made up for an upload that came without any.
pub fn is_made_up(file_name: &str) -> bool {
    let stem = file_name.split_once('.').map_or(file_name, |(stem, _)| stem);
    uuid::Uuid::try_parse(stem).is_ok()
}

/// A cell of a CSV table (RFC 4180). What a spreadsheet would run as a formula is kept text by an apostrophe.
pub fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\r', '\n']) || formula {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Whether `text` has the form of a day, `2026-11-21`.
pub fn is_day(text: &str) -> bool {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

/// A library inside this program.
#[derive(Debug, PartialEq, Eq)]
pub struct Library<'a> {
    /// The crate's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its licence, an SPDX expression.
    pub licence: &'a str,
}

/// Reads the list that `packaging/licences` makes: a library a line, `name version licence`. Lines whose name begins with
/// `~` are libraries that only building and testing use.
pub fn libraries(list: &str) -> impl Iterator<Item = Library<'_>> {
    list.lines().filter(|line| !line.starts_with(['#', '~'])).filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        Some(Library { name: words.next()?, version: words.next()?, licence: words.next()? })
    })
}

/// Names and versions of a lock file, without this program itself.
pub fn locked(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    let packages = lock.split("[[package]]").skip(1);
    packages.filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim_start_matches([' ', '=']).strip_prefix('"')?.strip_suffix('"')
        };
        Some((value("name")?, value("version")?)).filter(|(name, _)| *name != "packhouse")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths() {
        for path in ["index.html", "js/main.js", "js/parts/sign-in.js"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "/", "a/", "/a", "../a", "a/../b", ".git", "a//b", "a\\b", "C:/x", "a%2fb", "a/.b", "ä.js"] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn types() {
        assert_eq!(media_type("js/main.js"), Some("text/javascript; charset=utf-8"));
        for path in ["a", "a.exe", "a.html.bak", ""] {
            assert_eq!(media_type(path), None, "{path}");
        }
    }

    #[test]
    fn lines_that_tell_of_an_artifact() {
        let digest = "ab".repeat(32);
        let holders = [String::new(), "tools".to_owned(), "big tools 1.0".to_owned()];
        for subject in ["tools", "tools +1", "big tools 1.0", &format!("x {digest}")] {
            assert!(tells_of(subject, &digest, &holders), "{subject}");
        }
        for subject in ["", "fp:12", "toolset", "big tools 1.01", "other tools"] {
            assert!(!tells_of(subject, &digest, &holders), "{subject}");
        }
    }

    #[test]
    fn names_that_say_nothing() {
        for name in ["22639f2b-3f6b-494e-8d5a-0123456789ab.exe", "22639f2b-3f6b-494e-8d5a-0123456789ab"] {
            assert!(is_made_up(name), "{name}");
        }
        for name in ["", "setup.exe", "22639f2b.exe", "setup-22639f2b-3f6b-494e-8d5a-0123456789ab.exe"] {
            assert!(!is_made_up(name), "{name}");
        }
    }

    #[test]
    fn what_a_page_of_the_catalog_is_asked_for() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            wanted(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        let plain = read(&[]).unwrap();
        assert_eq!((plain.limit, &plain.order, plain.text.as_str()), (50, &Order::Newest(None), ""));
        let (digest, name) = ("ab".repeat(32), "größe.v1");
        let cursor = name_cursor(name, &digest);
        assert_eq!(read_name_cursor(&cursor), Some((name.to_owned(), digest.clone())));
        assert_eq!(read_place_cursor(&place_cursor(u64::MAX, &digest)), Some((u64::MAX, digest)));
        assert_eq!(read(&[("sort", "name")]).unwrap().order, Order::Name(None));
        assert_eq!(read(&[("sort", "-size")]).unwrap().order, Order::Largest(None));
        for bad in [
            [("limit", "0"), ("q", "")],
            [("limit", "101"), ("q", "")],
            [("limit", "x"), ("q", "")],
            [("sort", "size"), ("q", "")],
            [("cursor", "x"), ("q", "")],
            [("cursor", "+1.x"), ("q", "")],
            [("sort", "name"), ("cursor", "?.x")],
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cells_of_a_table() {
        for (text, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("-x", "\"'-x\""),
            ("a\nb", "\"a\nb\""),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text}");
        }
    }

    #[test]
    fn the_list_of_licences_names_what_is_locked() {
        let lock: std::collections::BTreeSet<_> = locked(include_str!("../../Cargo.lock")).collect();
        let list = include_str!("licences.txt");
        let told = list.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let mut words = line.trim_start_matches('~').split(' ');
            (words.next().unwrap(), words.next().unwrap())
        });
        let told: std::collections::BTreeSet<_> = told.collect();
        assert!(told == lock, "run packaging/licences: {:?}", told.symmetric_difference(&lock).collect::<Vec<_>>());
        assert!(libraries(list).all(|one| !one.licence.is_empty() && one.licence != "-"));
    }

    #[test]
    fn days_and_locks() {
        assert!(is_day("2026-11-21"));
        for bad in ["", "2026-1-21", "2026-11-21T", "x", "2026-11", "20261121"] {
            assert!(!is_day(bad), "{bad}");
        }
        let list = "# a comment\nredb 4.4.0 MIT OR Apache-2.0\n~tempfile 3.0.0 MIT\nbroken\n\n";
        let found: Vec<_> = libraries(list).collect();
        assert_eq!(found, [Library { name: "redb", version: "4.4.0", licence: "MIT OR Apache-2.0" }]);
        let lock = "version = 4\n\n[[package]]\nname = \"packhouse\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"redb\"\nversion = \"4.4.0\"\nsource = \"x\"\n";
        assert_eq!(locked(lock).collect::<Vec<_>>(), [("redb", "4.4.0")]);
    }
}
