//! YAML as far as package manifests need it: one document of mappings, lists and scalars, read into JSON under bounds.
//!
//! Anchors, aliases and tags are refused, so a small text cannot stand for a large value. Plain scalars keep their text
//! unless they are exactly what JSON would write: `1.10` stays `1.10`, and who wants a number asks for one.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The longest text, in bytes.
pub const TEXT_LIMIT: usize = 512 << 10;
/// How deep values may lie in each other.
const DEPTH_LIMIT: usize = 32;
/// The most values of one document.
const VALUE_LIMIT: usize = 100_000;

/// Reads the only document of `bytes`; a byte order mark before it is passed over.
///
/// # Errors
/// A sentence that says what is wrong, with the line where that is known.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > TEXT_LIMIT {
        return Err(format!("the text is longer than {} KiB", TEXT_LIMIT >> 10));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8")?;
    let mut reader = Reader { open: Vec::new(), whole: None, values: 0 };
    let mut documents = 0;
    for event in Parser::new_from_str(text.strip_prefix('\u{FEFF}').unwrap_or(text)) {
        let (event, span) = event.map_err(|e| format!("line {}: the YAML cannot be read", e.marker().line()))?;
        let at = |message: &str| format!("line {}: {message}", span.start.line());
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(at("more than one document"));
                }
            }
            Event::Alias(_) => return Err(at("aliases are not read")),
            Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) | Event::MappingStart(1.., _) => {
                return Err(at("anchors are not read"));
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return Err(at("tags are not read"));
            }
            Event::Scalar(text, style, ..) => reader.put(scalar(&text, style)).map_err(|e| at(&e))?,
            Event::SequenceStart(..) => reader.begin(Open::List(Vec::new())).map_err(|e| at(&e))?,
            Event::MappingStart(..) => reader.begin(Open::Map(Map::new(), None)).map_err(|e| at(&e))?,
            Event::SequenceEnd | Event::MappingEnd => reader.end().map_err(|e| at(&e))?,
            _ => {}
        }
    }
    reader.whole.ok_or_else(|| "the text is empty".to_owned())
}

/// A value that has begun and not ended.
enum Open {
    List(Vec<Value>),
    /// Members, and the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

struct Reader {
    open: Vec<Open>,
    whole: Option<Value>,
    values: usize,
}

impl Reader {
    fn begin(&mut self, value: Open) -> Result<(), String> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err("values lie too deep in each other".to_owned());
        }
        if matches!(self.open.last(), Some(Open::Map(_, None))) {
            return Err("a key must be text".to_owned());
        }
        self.open.push(value);
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some(Open::List(list)) => self.put(Value::Array(list)),
            Some(Open::Map(map, _)) => self.put(Value::Object(map)),
            None => Ok(()),
        }
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        self.values += 1;
        if self.values > VALUE_LIMIT {
            return Err("too many values".to_owned());
        }
        match self.open.last_mut() {
            None => self.whole = Some(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                Some(name) => _ = map.insert(name, value),
                None => {
                    let name = match value {
                        Value::String(name) => name,
                        Value::Bool(_) | Value::Number(_) => value.to_string(),
                        _ => return Err("a key must be text".to_owned()),
                    };
                    if map.contains_key(&name) {
                        return Err(format!("{name} is given twice"));
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn manifests_become_json() {
        let text = "\u{FEFF}# a comment\r\nPackageVersion: 1.10\r\nYear: 2024\r\nLong: |-\r\n  one\r\n  two\r\nFold: >\r\n  a\r\n  b\r\n\
                    Flag: true\r\nQuoted: \"true\"\r\nNone:\r\nInstallers:\r\n- Architecture: x64\r\n  InstallerSha256: 0123\r\n- {A: [1, '2']}\r\n";
        let expected = json!({
            "PackageVersion": "1.10", "Year": 2024, "Long": "one\ntwo", "Fold": "a b\n", "Flag": true,
            "Quoted": "true", "None": null,
            "Installers": [{"Architecture": "x64", "InstallerSha256": "0123"}, {"A": [1, "2"]}],
        });
        assert_eq!(read(text.as_bytes()).unwrap(), expected);
        assert_eq!(read(b"--- \na: b\n...\n").unwrap(), json!({"a": "b"}));
    }

    #[test]
    fn what_is_refused() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        let long = "a: ".to_owned() + &"x".repeat(TEXT_LIMIT);
        let cases: [&[u8]; 12] = [
            b"",
            b"a: &x 1\nb: *x\n",
            b"a: &x [1]\n",
            b"a: *x\n",
            b"a: !!binary x\n",
            b"a: 1\n---\nb: 2\n",
            b"a: 1\na: 2\n",
            b"? [a]\n: b\n",
            b"a: [1\n",
            b"\xFF",
            deep.as_bytes(),
            long.as_bytes(),
        ];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{}", String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)));
        }
    }

    #[test]
    fn any_bytes_end_soon() {
        for pattern in ["[", "{", "- ", "? ", "a: ", "\"", "|\n", "&a ", ": ", "#\n", "\t", "%x\n", "- - "] {
            _ = read(pattern.repeat(20_000).as_bytes());
        }
        let good = b"a: 1\nb:\n- c: 'd'\n  e: |\n    f\n- [1, {g: h}]\n";
        for at in 0..good.len() {
            for byte in [0, b'\n', b' ', b':', b'-', b'[', b'&', 0xFF] {
                let mut changed = good.to_vec();
                changed[at] = byte;
                _ = read(&changed);
            }
        }
    }
}
