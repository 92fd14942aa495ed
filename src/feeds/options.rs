//! How a repo is to be published: options from a request, judged, and as they are shown (`repos.md` §7).

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::feeds::model::Type;
use crate::feeds::model::repos::{Follow, Options, Retain};
use crate::feeds::publish::shape;
use crate::feeds::rules;

/// The longest text option, in bytes.
const LONGEST: usize = 256;
/// The most architectures.
const MOST_ARCHITECTURES: usize = 64;
/// The most days.
const MOST_DAYS: u64 = 36_500;

/// The options a body names, over those there are.
///
/// # Errors
/// `Invalid`.
pub(super) fn read(kind: Type, given: &Map<String, Value>, mut options: Options) -> Result<Options> {
    match kind {
        Type::Apt => read_apt(given, &mut options)?,
        Type::Yum => {
            if let Some(compression) = text(given, "compression")? {
                match compression.as_str() {
                    "" | "gz" => options.compression = String::new(),
                    "zstd" => return Err(Error::invalid("metadata in zstd is not offered; leave compression at gz")),
                    _ => return Err(Error::invalid("compression is gz")),
                }
            }
        }
        Type::Dir => {}
    }
    match given.get("retain") {
        None => {}
        Some(Value::Null) => options.retain = None,
        Some(Value::Object(retain)) => options.retain = Some(read_retain(retain)?),
        Some(_) => return Err(Error::invalid("retain is an object with versions, days or both")),
    }
    match given.get("follow") {
        None => {}
        Some(Value::Null) => options.follow = None,
        Some(follow) => options.follow = Some(read_follow(follow)?),
    }
    Ok(options)
}

fn read_apt(given: &Map<String, Value>, options: &mut Options) -> Result<()> {
    for (key, place) in [("suite", &mut options.suite), ("codename", &mut options.codename)] {
        if let Some(text) = text(given, key)? {
            if !text.is_empty() && !text.split('/').all(rules::is_name) {
                return Err(Error::invalid(format!("{key} is made of letters, digits and ._+- with / between")));
            }
            *place = text;
        }
    }
    if let Some(component) = text(given, "component")? {
        if !component.is_empty() {
            check_component(&component)?;
        }
        options.component = component;
    }
    let texts =
        [("origin", &mut options.origin), ("label", &mut options.label), ("description", &mut options.description)];
    for (key, place) in texts {
        if let Some(text) = text(given, key)? {
            *place = text.trim().to_owned();
        }
    }
    match given.get("architectures") {
        None => {}
        Some(Value::Null) => options.architectures.clear(),
        Some(Value::Array(list)) if list.len() <= MOST_ARCHITECTURES => {
            let names: Option<Vec<String>> = list.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            let names = names.filter(|names| names.iter().all(|name| is_architecture(name)));
            options.architectures = names.ok_or_else(|| Error::invalid("architectures are names such as amd64"))?;
            options.architectures.retain(|name| name != "all");
        }
        Some(_) => return Err(Error::invalid("architectures is a list of names such as amd64")),
    }
    match given.get("flat") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(flat)) => options.flat = *flat,
        Some(_) => return Err(Error::invalid("flat is true or false")),
    }
    if let Some(days) = number(given, "valid_days", MOST_DAYS)? {
        options.valid_days = days;
    }
    Ok(())
}

/// Whether an apt repo may have a component of this name.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_component(component: &str) -> Result<()> {
    match rules::is_name(component) {
        true => Ok(()),
        false => Err(Error::invalid(format!("{} cannot be a component", rules::shown(component)))),
    }
}

fn is_architecture(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn read_retain(given: &Map<String, Value>) -> Result<Retain> {
    let retain = Retain { versions: number(given, "versions", 1_000_000)?, days: number(given, "days", MOST_DAYS)? };
    match retain {
        Retain { versions: Some(0), .. } => Err(Error::invalid("retain keeps at least one version")),
        Retain { versions: None, days: None } => Err(Error::invalid("retain needs versions, days or both")),
        _ => Ok(retain),
    }
}

fn read_follow(given: &Value) -> Result<Follow> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let follow = Follow { name: text("name"), kind: text("type") };
    match follow.kind.as_str() {
        "snapshot" => Err(Error::invalid("a snapshot never changes; sync from it once instead of following it")),
        "upstream" | "repo" if rules::is_name(&follow.name) => Ok(follow),
        _ => Err(Error::invalid("follow needs the name and the type (upstream or repo) of what is to be followed")),
    }
}

/// A text; `null` means the default.
fn text(given: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match given.get(key) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) if text.len() <= LONGEST && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(Error::invalid(format!("{key} is one line of at most {LONGEST} bytes"))),
    }
}

fn number(given: &Map<String, Value>, key: &str, most: u64) -> Result<Option<u32>> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| *number <= most).map(u32::try_from) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => Err(Error::invalid(format!("{key} is a whole number from 0 to {most}"))),
        },
    }
}

/// The options of a repo as they are shown.
pub(super) fn shown(kind: Type, name: &str, options: &Options) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    match kind {
        Type::Apt => {
            let shape = shape(options, name);
            put("suite", json!(shape.suite));
            put("codename", json!(shape.codename));
            put("component", json!(shape.component));
            put("architectures", json!(shape.architectures));
            put("origin", json!(shape.origin));
            put("label", json!(shape.label));
            put("description", json!(shape.description));
            put("flat", json!(options.flat));
            put("valid_days", json!(options.valid_days));
        }
        Type::Yum => put("compression", json!(if options.compression.is_empty() { "gz" } else { "zstd" })),
        Type::Dir => {}
    }
    put("retain", json!(options.retain));
    put("follow", json!(options.follow));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt(text: &str) -> Result<Options, String> {
        let Value::Object(given) = serde_json::from_str(text).unwrap() else { panic!("no object") };
        read(Type::Apt, &given, Options::default()).map_err(|e| e.message.into_owned())
    }

    #[test]
    fn options_are_judged() {
        let good = apt(
            r#"{"suite":"bookworm/updates","architectures":["all","amd64"],"valid_days":7,"flat":true,"origin":" x "}"#,
        );
        let good = good.unwrap();
        assert_eq!((good.suite.as_str(), good.architectures.len(), good.valid_days), ("bookworm/updates", 1, 7));
        assert_eq!((good.flat, good.origin.as_str()), (true, "x"));
        let bad = [
            r#"{"suite":"../x"}"#,
            r#"{"suite":"a//b"}"#,
            r#"{"suite":3}"#,
            r#"{"component":"a/b"}"#,
            r#"{"component":"a b"}"#,
            r#"{"origin":"a\nb"}"#,
            r#"{"architectures":"amd64"}"#,
            r#"{"architectures":["a b"]}"#,
            r#"{"flat":1}"#,
            r#"{"valid_days":-1}"#,
            r#"{"valid_days":1.5}"#,
            r#"{"retain":{}}"#,
            r#"{"retain":{"versions":0}}"#,
            r#"{"retain":3}"#,
            r#"{"follow":{"name":"x"}}"#,
        ];
        for bad in bad {
            assert!(apt(bad).is_err(), "{bad}");
        }
        assert!(apt(r#"{"retain":{"versions":2}}"#).unwrap().retain.is_some());
    }
}
