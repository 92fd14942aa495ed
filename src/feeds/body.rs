//! The bodies of `/repo/NAME/packages`, read as a stream (`repos.md` §8).

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::http::{Body, body_error};

/// The largest body, in bytes.
const LIMIT: u64 = 32 << 20;
/// The most names one file is published under.
const MOST_NAMES: usize = 10_000;

/// What a body asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// Become a copy of a set.
    Sync {
        /// Its name, as given.
        name: String,
        /// Its type, as given.
        kind: String,
    },
    /// These packages, by their shasums as given.
    List(BTreeMap<String, Wish>),
}

/// What is asked for one package.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// It is to be there.
    Yes(Names),
    /// It is to go.
    No,
}

/// What an entry says beyond being there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    /// The names to publish it under; none says nothing.
    pub(super) filenames: Option<Vec<String>>,
    /// The component to publish it in; none says nothing.
    pub(super) component: Option<String>,
}

/// Reads a body. `removes`: whether `false` and `null` may stand for packages that go.
///
/// # Errors
/// `Invalid` with a sentence about the first thing that is wrong; `TooLarge`.
pub(super) fn read(body: &mut Body, removes: bool) -> Result<Asked> {
    if body.length().is_some_and(|length| length > LIMIT) {
        return Err(too_large());
    }
    let reader = io::BufReader::with_capacity(1 << 16, Limited { body, left: LIMIT });
    let mut reader = serde_json::Deserializer::from_reader(reader);
    let map = reader.deserialize_any(List { removes }).and_then(|map| reader.end().map(|()| map));
    let map = map.map_err(|e| match e.classify() {
        serde_json::error::Category::Io => body_error(e.into()),
        _ => Error::invalid(format!("the body is not a JSON object of packages: {e}")),
    })?;
    match map {
        Raw { sync: Some(value), others: 0, faults, .. } => {
            faults?;
            sync(&value)
        }
        Raw { sync: Some(_), .. } => Err(Error::invalid("sync stands alone: it cannot be combined with other keys")),
        Raw { list, faults, .. } => {
            faults?;
            Ok(Asked::List(list))
        }
    }
}

fn sync(value: &Value) -> Result<Asked> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("name"), text("type")) {
        (Some(name), Some(kind)) => Ok(Asked::Sync { name, kind }),
        _ => Err(Error::invalid("sync needs a name and a type: upstream, repo or snapshot")),
    }
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, format!("the body is larger than {} MiB", LIMIT >> 20))
}

struct Limited<'a> {
    body: &'a mut Body,
    left: u64,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(too_large()))?;
        Ok(count)
    }
}

struct Raw {
    sync: Option<Value>,
    /// Keys beside `sync`.
    others: usize,
    list: BTreeMap<String, Wish>,
    /// The first value that is none.
    faults: Result<()>,
}

struct List {
    removes: bool,
}

impl<'de> Visitor<'de> for List {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw { sync: None, others: 0, list: BTreeMap::new(), faults: Ok(()) };
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if key == "sync" {
                raw.sync = Some(value);
                continue;
            }
            raw.others += 1;
            match wish(&key, value, self.removes) {
                Ok(wish) => drop(raw.list.insert(key.to_ascii_lowercase(), wish)),
                Err(error) if raw.faults.is_ok() => raw.faults = Err(error),
                Err(_) => {}
            }
        }
        Ok(raw)
    }
}

/// What a value asks for.
fn wish(key: &str, value: Value, removes: bool) -> Result<Wish> {
    let shown = super::rules::shown(key);
    let mut entry = match value {
        Value::Bool(true) => return Ok(Wish::Yes(Names::default())),
        Value::Bool(false) | Value::Null if removes => return Ok(Wish::No),
        Value::Object(entry) => entry,
        _ => return Err(Error::invalid(format!("the value of {shown} is neither true nor an object"))),
    };
    match entry.get("shasum") {
        None => {}
        Some(Value::String(shasum)) if shasum.eq_ignore_ascii_case(key) => {}
        Some(_) => return Err(Error::invalid(format!("the shasum inside {shown} is another one"))),
    }
    let mut text = |name: &str| match entry.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(format!("the {name} of {shown} is not a text"))),
    };
    let (filename, component) = (text("filename")?, text("component")?);
    let filenames = match entry.remove("filenames") {
        None | Some(Value::Null) => filename.map(|name| vec![name]),
        Some(Value::Array(names)) if !names.is_empty() && names.len() <= MOST_NAMES => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Ok(name),
                _ => Err(Error::invalid(format!("the filenames of {shown} are not texts"))),
            });
            Some(names.collect::<Result<_>>()?)
        }
        Some(_) => return Err(Error::invalid(format!("the filenames of {shown} are not a list of texts"))),
    };
    Ok(Wish::Yes(Names { filenames, component }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, removes: bool) -> Result<Asked, String> {
        read(&mut Body::complete(text.as_bytes().to_vec()), removes).map_err(|e| e.message.into_owned())
    }

    #[test]
    fn bodies() {
        let yes = Wish::Yes(Names::default());
        let list = |rows: &[(&str, &Wish)]| {
            Ok(Asked::List(rows.iter().map(|(key, wish)| ((*key).to_owned(), (*wish).clone())).collect()))
        };
        assert_eq!(asked("{}", false), list(&[]));
        assert_eq!(asked(r#"{"A":true,"b":{}}"#, false), list(&[("a", &yes), ("b", &yes)]));
        assert_eq!(asked(r#"{"a":true,"a":false}"#, true), list(&[("a", &Wish::No)]));
        let names = Wish::Yes(Names { filenames: Some(vec!["x".into(), "y".into()]), component: Some("c".into()) });
        let text = r#"{"a":{"filename":"z","filenames":["x","y"],"component":"c","shasum":"A","other":[1]}}"#;
        assert_eq!(asked(text, false), list(&[("a", &names)]));
        let sync = Asked::Sync { name: "n".into(), kind: "repo".into() };
        assert_eq!(asked(r#"{"sync":{"name":"n","type":"repo"}}"#, false), Ok(sync));
    }

    #[test]
    fn refusals() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        let bad = [
            "",
            "null",
            "[]",
            "3",
            "{\"a\":true,}",
            "{\"a\":false}",
            "{\"a\":null}",
            "{\"a\":1}",
            "{\"a\":\"x\"}",
            "{\"a\":{\"shasum\":\"b\"}}",
            "{\"a\":{\"filename\":3}}",
            "{\"a\":{\"filenames\":[]}}",
            "{} {}",
            "{\"sync\":{\"name\":\"n\",\"type\":\"repo\"},\"a\":true}",
            "{\"sync\":3}",
            "{\"sync\":{\"name\":1}}",
            &deep,
        ];
        for text in bad {
            assert!(asked(text, false).is_err(), "{text}");
        }
        let not_text = read(&mut Body::complete(b"{\"\xff\":true}".to_vec()), false);
        assert_eq!(not_text.unwrap_err().kind, Kind::Invalid);
    }
}
