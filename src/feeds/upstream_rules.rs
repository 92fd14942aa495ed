//! What the definition of an upstream may be, read from a request (`repos.md` §2). Pure.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::feeds::model::Type;
use crate::feeds::sync::run;
use crate::feeds::sync::signature;
use crate::feeds::upstream::{Definition, Policy, Secret};
use crate::formats::index::release::is_architecture;

/// The longest pause between syncs: ten years.
const LONGEST_INTERVAL: u64 = 10 * 366 * 24 * 3600;
/// The longest text of one field, in bytes.
const LONGEST: usize = 4096;
/// The longest set of certificates, in bytes.
const LONGEST_KEY: usize = 512 << 10;
/// Most fields and architectures.
const MOST: usize = 64;

/// A new definition, or `old` with what `given` changes.
///
/// # Errors
/// `Invalid` when something is missing or makes no sense, `Conflict` for another type than before.
pub fn definition(given: &Map<String, Value>, old: Option<&Definition>) -> Result<Definition> {
    let mut definition = match old {
        Some(old) => old.clone(),
        None => Definition {
            kind: kind(given)?,
            path: String::new(),
            key: None,
            allow_expired: false,
            arch: Vec::new(),
            interval: 0,
            policy: Policy::Immediate,
            username: None,
            password: None,
            headers: Default::default(),
        },
    };
    if given.contains_key("type") && kind(given)? != definition.kind {
        return Err(Error::conflict(format!(
            "the upstream is of type {} and stays it; delete it to make one of another type",
            definition.kind.word()
        )));
    }
    match given.get("path") {
        Some(Value::String(path)) => path.trim().clone_into(&mut definition.path),
        None if old.is_some() => {}
        _ => return Err(Error::invalid("path is missing or not a text")),
    }
    options(given, &mut definition)?;
    run::place(&definition)?;
    run::credentials(&definition)?;
    Ok(definition)
}

fn kind(given: &Map<String, Value>) -> Result<Type> {
    let word = given.get("type").and_then(Value::as_str);
    word.and_then(Type::from_word).ok_or_else(|| Error::invalid("type must be yum, apt or dir"))
}

fn options(given: &Map<String, Value>, definition: &mut Definition) -> Result<()> {
    if let Some(key) = given.get("key") {
        definition.key = text("key", key, LONGEST_KEY)?;
        if let Some(key) = &definition.key {
            signature::certificates(key)?;
        }
    }
    if let Some(value) = given.get("allow_expired") {
        definition.allow_expired =
            value.as_bool().ok_or_else(|| Error::invalid("allow_expired must be true or false"))?;
    }
    if let Some(value) = given.get("arch") {
        definition.arch = architectures(value)?;
    }
    if let Some(value) = given.get("interval") {
        let interval = value.as_u64().filter(|seconds| *seconds <= LONGEST_INTERVAL);
        definition.interval =
            interval.ok_or_else(|| Error::invalid("interval must be a number of seconds, 0 for never"))?;
    }
    if let Some(value) = given.get("username") {
        definition.username = text("username", value, LONGEST)?;
        if definition.username.as_deref().is_some_and(|name| name.contains(':')) {
            return Err(Error::invalid("username must not hold a colon"));
        }
    }
    if let Some(value) = given.get("password") {
        definition.password = text("password", value, LONGEST)?.map(Secret);
    }
    if let Some(value) = given.get("headers") {
        let headers = match value {
            Value::Null => Map::new(),
            Value::Object(headers) if headers.len() <= MOST => headers.clone(),
            _ => return Err(Error::invalid("headers must be an object of texts")),
        };
        definition.headers.clear();
        for (name, value) in headers {
            let value = text("headers", &value, LONGEST)?.ok_or_else(|| Error::invalid("headers must be texts"))?;
            definition.headers.insert(name, Secret(value));
        }
    }
    definition.policy = match given.get("policy") {
        None => definition.policy,
        Some(Value::Null) => Policy::Immediate,
        Some(Value::String(word)) if word == "immediate" => Policy::Immediate,
        Some(Value::String(word)) if word == "on_demand" => Policy::OnDemand,
        Some(_) => return Err(Error::invalid("policy must be immediate or on_demand")),
    };
    Ok(())
}

fn text(name: &str, value: &Value, longest: usize) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.len() <= longest => Ok(Some(text.clone())),
        _ => Err(Error::invalid(format!("{name} must be a text of at most {longest} bytes, or null"))),
    }
}

fn architectures(value: &Value) -> Result<Vec<String>> {
    let odd = || Error::invalid("arch must be a list of architectures");
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) if list.len() <= MOST => list,
        _ => return Err(odd()),
    };
    let name = |value: &Value| value.as_str().filter(|name| is_architecture(name)).map(str::to_owned).ok_or_else(odd);
    let mut names = list.iter().map(name).collect::<Result<Vec<String>>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use serde_json::json;

    fn read(given: Value, old: Option<&Definition>) -> Result<Definition> {
        let Value::Object(given) = given else { panic!("an object") };
        definition(&given, old)
    }

    #[test]
    fn definitions_are_read() {
        let first = read(json!({"type": "apt", "path": " http://h/d s main "}), None).unwrap();
        assert_eq!((first.kind, first.path.as_str(), first.interval), (Type::Apt, "http://h/d s main", 0));
        let given = json!({
            "interval": 60, "arch": ["b", "a", "a"], "username": "u", "password": "p", "headers": {"X-A": "b"},
            "allow_expired": true, "policy": "on_demand", "unknown": [1]
        });
        let second = read(given, Some(&first)).unwrap();
        assert_eq!((second.path.as_str(), second.interval), ("http://h/d s main", 60));
        assert_eq!(second.arch, ["a", "b"]);
        assert!(second.allow_expired && !format!("{second:?}").contains("\"p\""));
        let third =
            read(json!({"username": null, "password": "", "headers": null, "arch": null}), Some(&second)).unwrap();
        assert_eq!(
            (first.policy, second.policy, third.policy),
            (Policy::Immediate, Policy::OnDemand, Policy::OnDemand)
        );
        for back in [json!({"policy": "immediate"}), json!({"policy": null})] {
            assert_eq!(read(back, Some(&third)).unwrap().policy, Policy::Immediate);
        }
        assert_eq!((third.username, third.password, third.headers.len(), third.arch.len()), (None, None, 0, 0));
    }

    #[test]
    fn nonsense_is_refused() {
        let cases = [
            json!({}),
            json!({"type": "yum"}),
            json!({"path": "http://h"}),
            json!({"type": "rpm", "path": "http://h"}),
            json!({"type": "yum", "path": 1}),
            json!({"type": "yum", "path": ""}),
            json!({"type": "yum", "path": "x"}),
            json!({"type": "yum", "path": "ftp://h"}),
            json!({"type": "apt", "path": "http://h suite"}),
            json!({"type": "yum", "path": "http://h", "key": "x"}),
            json!({"type": "yum", "path": "http://h", "key": 1}),
            json!({"type": "yum", "path": "http://h", "interval": -1}),
            json!({"type": "yum", "path": "http://h", "interval": "x"}),
            json!({"type": "yum", "path": "http://h", "arch": "x86_64"}),
            json!({"type": "yum", "path": "http://h", "arch": ["a/b"]}),
            json!({"type": "yum", "path": "http://h", "allow_expired": 1}),
            json!({"type": "yum", "path": "http://h", "headers": {"Host": "x"}}),
            json!({"type": "yum", "path": "http://h", "headers": {"a b": "x"}}),
            json!({"type": "yum", "path": "http://h", "headers": {"a": "x\ny"}}),
            json!({"type": "yum", "path": "http://h", "username": "a:b"}),
            json!({"type": "yum", "path": "http://h", "policy": "sometimes"}),
            json!({"type": "yum", "path": "http://h", "policy": true}),
        ];
        for given in cases {
            assert_eq!(read(given.clone(), None).unwrap_err().kind, Kind::Invalid, "{given}");
        }
        let yum = read(json!({"type": "yum", "path": "http://h"}), None).unwrap();
        assert_eq!(read(json!({"type": "apt"}), Some(&yum)).unwrap_err().kind, Kind::Conflict);
        assert!(read(json!({"type": "yum"}), Some(&yum)).is_ok());
    }
}
