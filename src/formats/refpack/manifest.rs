//! The manifest of a RefPack, `data.meta.json` (`refpack.md` §4.2), its changelog and readme (§4.5).

use std::io::Read;

use serde_json::{Map, Value};

use super::{FAULT_LIMIT, Fault, json};

/// The manifest's file name.
pub const FILE: &str = "data.meta.json";
/// The changelog's file name.
pub const CHANGELOG: &str = "data.changelog.json";
/// The readme's file name.
pub const README: &str = "data.readme.md";

/// What a manifest says, every rule of §4.2 kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The package's id as written; §2's forms are the registry's to judge.
    pub id: String,
    /// The version as written, build metadata included.
    pub version: semver::Version,
    /// The title.
    pub title: String,
    /// Empty when it has none.
    pub description: String,
    /// Empty when it has none.
    pub tags: Vec<String>,
    /// The key that identifies a record; `id` when nothing else is said.
    pub id_field: String,
    /// The key that names a record; `name` when nothing else is said.
    pub name_field: String,
    /// Every key as written, for filters.
    pub all: Map<String, Value>,
}

/// Keys of a manifest besides `x-…`.
const KNOWN: [&str; 10] =
    ["id", "version", "title", "createdUtc", "description", "license", "authors", "tags", "idField", "nameField"];

/// The largest manifest that is read, in bytes.
pub(super) const LIMIT: usize = 256 << 10;
/// The longest version text, in bytes.
const VERSION_LIMIT: usize = 256;
/// The largest changelog that is read, in bytes.
pub(super) const CHANGELOG_LIMIT: usize = 16 << 20;

/// Reads a manifest.
///
/// # Errors
/// Every broken rule, at most twenty.
pub fn parse(bytes: &[u8]) -> Result<Manifest, Vec<Fault>> {
    let all = match json::value(FILE, bytes, LIMIT).map_err(|fault| vec![fault])? {
        Value::Object(all) => all,
        _ => return Err(vec![Fault::new("manifest_invalid", FILE, "the manifest must be a JSON object")]),
    };
    let mut reader = Reader { all: &all, faults: Vec::new() };
    for key in all.keys() {
        if !KNOWN.contains(&key.as_str()) && !key.starts_with("x-") {
            reader.fault("manifest_unknown_key", key, "no such key is known; own keys begin with x-");
        }
    }
    let id = reader.required("id");
    let version = reader.required("version");
    let title = reader.required("title");
    if all.get("title").and_then(Value::as_str).is_some_and(|title| title.trim().is_empty()) {
        reader.fault("manifest_invalid", "title", "the title is blank");
    }
    let created = reader.required("createdUtc");
    if created.as_deref().is_some_and(|text| !is_date_time(text)) {
        reader.fault("manifest_invalid", "createdUtc", "an RFC 3339 date-time that exists is needed");
    }
    let version = version.and_then(|text| {
        let version = semver::Version::parse(&text).ok().filter(|_| text.len() <= VERSION_LIMIT);
        if version.is_none() {
            reader.fault("manifest_invalid", "version", "a SemVer 2.0.0 version is needed");
        }
        version
    });
    let description = reader.optional("description");
    reader.optional("license");
    reader.list("authors");
    let tags = reader.list("tags");
    let id_field = reader.optional("idField");
    let name_field = reader.optional("nameField");
    let faults = reader.faults;
    if !faults.is_empty() {
        return Err(faults);
    }
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    match (id, version, title) {
        (Some(id), Some(version), Some(title)) => Ok(Manifest {
            id,
            version,
            title,
            description,
            tags,
            id_field: or(id_field, "id"),
            name_field: or(name_field, "name"),
            all,
        }),
        _ => Err(vec![Fault::new("manifest_invalid", FILE, "id, version and title are needed")]),
    }
}

struct Reader<'a> {
    all: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, code: &'static str, key: &str, message: &'static str) {
        if self.faults.len() >= FAULT_LIMIT {
            return;
        }
        self.faults.push(Fault::new(code, &format!("{FILE}#/{}", json::pointer_segment(key)), message));
    }

    fn required(&mut self, key: &str) -> Option<String> {
        match self.all.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.fault("manifest_invalid", key, "a string is needed");
                None
            }
            None => {
                self.fault("manifest_invalid", key, "this key is required");
                None
            }
        }
    }

    fn optional(&mut self, key: &str) -> String {
        match self.all.get(key) {
            Some(Value::String(text)) => text.clone(),
            None => String::new(),
            Some(_) => {
                self.fault("manifest_invalid", key, "a string is needed");
                String::new()
            }
        }
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        let strings = match self.all.get(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            }
            Some(_) => None,
        };
        strings.unwrap_or_else(|| {
            self.fault("manifest_invalid", key, "an array of strings is needed");
            Vec::new()
        })
    }
}

/// RFC 3339 §5.6 with an offset, of a day that exists.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = bytes.len() > shape.len()
        && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't'),
            _ => shape == byte,
        });
    let number = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok()).unwrap_or(99);
    if !fits || number(11) > 23 || number(14) > 59 || number(17) > 60 {
        return false;
    }
    let year = text.get(..4).and_then(|year| year.parse().ok()).unwrap_or(0);
    if jiff::civil::Date::new(year, number(5) as i8, number(8) as i8).is_err() {
        return false;
    }
    let mut rest = &text[shape.len()..];
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return false;
        }
    }
    match rest.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit())
                && (h1 - b'0') * 10 + (h2 - b'0') < 24
                && (m1 - b'0') * 10 + (m2 - b'0') < 60
        }
        _ => false,
    }
}

/// Judges `data.changelog.json`: an array of objects with `version`, `date` and `description`.
///
/// # Errors
/// The broken rules, at most twenty.
pub fn check_changelog(bytes: &[u8]) -> Result<(), Vec<Fault>> {
    let Value::Array(items) = json::value(CHANGELOG, bytes, CHANGELOG_LIMIT).map_err(|fault| vec![fault])? else {
        return Err(vec![Fault::new("changelog_invalid", CHANGELOG, "the changelog must be a JSON array")]);
    };
    let mut faults = Vec::new();
    for (number, item) in items.iter().enumerate() {
        if !item.is_object() {
            faults.push(Fault::new("changelog_invalid", &format!("{CHANGELOG}#/{number}"), "an object is needed"));
            continue;
        }
        for key in ["version", "date", "description"] {
            if item.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                let path = format!("{CHANGELOG}#/{number}/{key}");
                faults.push(Fault::new("changelog_invalid", &path, "a non-empty string is needed"));
            }
        }
        if faults.len() >= FAULT_LIMIT {
            break;
        }
    }
    faults.truncate(FAULT_LIMIT);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Judges `data.readme.md`: UTF-8, of any length, served as it is.
///
/// # Errors
/// `readme_invalid`.
pub fn check_readme(mut reader: impl Read) -> Result<(), Fault> {
    let fault = |message: String| Fault::new("readme_invalid", README, message);
    let mut block = vec![0; 64 << 10];
    // A character cut off at the end of a block stands again at the beginning of the next.
    let mut held = 0;
    loop {
        let read = match reader.read(&mut block[held..]) {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(fault(format!("the file cannot be read: {e}"))),
        };
        let filled = held + read;
        let good = match std::str::from_utf8(&block[..filled]) {
            Ok(_) => filled,
            Err(e) if e.error_len().is_none() && read > 0 => e.valid_up_to(),
            Err(_) => return Err(fault("the readme is not UTF-8".to_owned())),
        };
        if read == 0 {
            return Ok(());
        }
        block.copy_within(good..filled, 0);
        held = filled - good;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times() {
        for good in ["2026-05-20T10:00:00Z", "2024-02-29T23:59:60.123+02:00", "2026-05-20t10:00:00-11:30"] {
            assert!(is_date_time(good), "{good}");
        }
        let bad = [
            "",
            "2026-05-20",
            "2026-05-20 10:00:00Z",
            "2024-02-30T10:00:00Z",
            "2026-05-20T10:00:00",
            "2026-05-20T24:00:00Z",
            "2026-05-20T10:00:00.Z",
            "2026-13-20T10:00:00Z",
            "2026-05-20T10:00:00+2:00",
            "2026-05-20T10:00:00+24:00",
            "2026-05-20T10:00:00Zé",
            "٢026-05-20T10:00:00Z",
        ];
        for bad in bad {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn a_good_manifest_is_read_with_its_defaults() {
        let text = br#"{"id":"v/c","version":"1.0.0-rc.1+b","title":"T","createdUtc":"2026-05-20T10:00:00Z","idField":"","x-own":[1]}"#;
        let manifest = parse(text).unwrap();
        assert_eq!((manifest.id_field.as_str(), manifest.name_field.as_str()), ("id", "name"));
        assert_eq!(manifest.version.to_string(), "1.0.0-rc.1+b");
        assert!(manifest.tags.is_empty() && manifest.all.contains_key("x-own"));
    }

    #[test]
    fn readmes() {
        let long = "é🚀x".repeat(50_000);
        for good in ["", "# Größe", long.as_str()] {
            assert!(check_readme(good.as_bytes()).is_ok());
        }
        for bad in [&b"\xff"[..], b"ok \xc3", &[long.as_bytes(), b"\xf0\x9f"].concat()] {
            assert_eq!(check_readme(bad).unwrap_err().code, "readme_invalid");
        }
    }

    #[test]
    fn changelogs() {
        assert!(check_changelog(br#"[{"version":"1","date":"d","description":"x","more":[]}]"#).is_ok());
        assert!(check_changelog(b"[]").is_ok());
        let cases = [
            ("{}", "data.changelog.json"),
            ("[1]", "data.changelog.json#/0"),
            (r#"[{"version":"","date":"d","description":"x"}]"#, "data.changelog.json#/0/version"),
            (r#"[{"version":"1","date":1,"description":"x"}]"#, "data.changelog.json#/0/date"),
            (r#"[{"version":"1","date":"d"}]"#, "data.changelog.json#/0/description"),
        ];
        for (text, path) in cases {
            let fault = &check_changelog(text.as_bytes()).unwrap_err()[0];
            assert_eq!((fault.code, fault.path.as_str()), ("changelog_invalid", path), "{text}");
        }
        assert_eq!(check_changelog(b"[").unwrap_err()[0].code, "invalid_json");
    }

    #[test]
    fn each_broken_rule_has_its_code() {
        let base = |change: &str| {
            let mut all: Map<String, Value> =
                serde_json::from_str(r#"{"id":"c","version":"1.0.0","title":"T","createdUtc":"2026-05-20T10:00:00Z"}"#)
                    .unwrap();
            let change: Map<String, Value> = serde_json::from_str(change).unwrap();
            all.extend(change);
            serde_json::to_vec(&all).unwrap()
        };
        let cases = [
            (r#"{"version":"1.0"}"#, "manifest_invalid", "version"),
            (r#"{"version":"v1.0.0"}"#, "manifest_invalid", "version"),
            (r#"{"version":"01.0.0"}"#, "manifest_invalid", "version"),
            (r#"{"title":" "}"#, "manifest_invalid", "title"),
            (r#"{"title":null}"#, "manifest_invalid", "title"),
            (r#"{"createdUtc":"2024-02-30T00:00:00Z"}"#, "manifest_invalid", "createdUtc"),
            (r#"{"tags":"a"}"#, "manifest_invalid", "tags"),
            (r#"{"authors":[1]}"#, "manifest_invalid", "authors"),
            (r#"{"license":null}"#, "manifest_invalid", "license"),
            (r#"{"a/b~c":1}"#, "manifest_unknown_key", "a~1b~0c"),
        ];
        for (change, code, key) in cases {
            let faults = parse(&base(change)).unwrap_err();
            let found: Vec<_> = faults.iter().map(|fault| (fault.code, fault.path.clone())).collect();
            assert_eq!(found, [(code, format!("data.meta.json#/{key}"))], "{change}");
        }
        assert_eq!(parse(b"[]").unwrap_err()[0].code, "manifest_invalid");
        assert_eq!(parse(b"{").unwrap_err()[0].code, "invalid_json");
        assert_eq!(parse(b"\xEF\xBB\xBF{}").unwrap_err()[0].code, "invalid_json");
        assert_eq!(parse(b"{}").unwrap_err().len(), 4);
    }
}
