//! The payload of a RefPack, `data.json` (`refpack.md` §4.3): read once, record by record, so that memory does not grow
//! with the file.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Depth, pointer_segment};
use super::{FAULT_LIMIT, Fault};

const FILE: &str = "data.json";

/// Reads `data.json` to its end, judges every record, and shows each to `each` with its number.
/// `each` answers a fault or nothing; reading goes on until twenty faults are known.
///
/// # Errors
/// The faults found, at most twenty.
pub fn check(
    reader: impl Read,
    id_field: &str,
    name_field: &str,
    each: &mut dyn FnMut(usize, &Value) -> Option<Fault>,
) -> Result<u64, Vec<Fault>> {
    let reader = BufReader::with_capacity(64 << 10, Strict { inner: reader, depth: Depth::default() });
    let mut records = Records {
        id_field,
        name_field,
        each,
        faults: Vec::new(),
        seen: HashSet::new(),
        keys: [RandomState::new(), RandomState::new()],
        number: 0,
        not_an_array: false,
    };
    let mut input = serde_json::Deserializer::from_reader(reader);
    let read = (&mut records).deserialize(&mut input).and_then(|()| input.end());
    let Records { mut faults, number, not_an_array, .. } = records;
    match read {
        _ if not_an_array => faults = vec![Fault::new("data_not_array", FILE, "the data must be a JSON array")],
        Ok(()) => {}
        Err(_) if faults.len() >= FAULT_LIMIT => {}
        Err(e) => faults.push(Fault::new("invalid_json", FILE, format!("not JSON: {e}"))),
    }
    faults.truncate(FAULT_LIMIT);
    if faults.is_empty() { Ok(number as u64) } else { Err(faults) }
}

/// Refuses bytes nested deeper than 64 levels, before the parser sees them.
struct Strict<R> {
    inner: R,
    depth: Depth,
}

impl<R: Read> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.depth.read(&buffer[..read]);
        match self.depth.deepest {
            0..=64 => Ok(read),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the nesting is deeper than 64")),
        }
    }
}

struct Records<'a> {
    id_field: &'a str,
    name_field: &'a str,
    each: &'a mut dyn FnMut(usize, &Value) -> Option<Fault>,
    faults: Vec<Fault>,
    /// Two keyed hashes of each id: 16 bytes a record, and nobody can make two ids meet on purpose.
    seen: HashSet<(u64, u64)>,
    keys: [RandomState; 2],
    number: usize,
    not_an_array: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(raw) = items.next_element::<Box<RawValue>>()? {
            // Raw values are only skimmed; reading them again finds bad escapes and lone surrogates.
            let item: Value = serde_json::from_str(raw.get()).map_err(A::Error::custom)?;
            self.judge(&item, &raw);
            if self.faults.len() >= FAULT_LIMIT {
                return Err(A::Error::custom("too many faults"));
            }
            self.number += 1;
        }
        Ok(())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.refuse()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.refuse()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.refuse()
    }
}

impl Records<'_> {
    fn refuse<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.not_an_array = true;
        Err(E::custom("not an array"))
    }

    fn fault(&mut self, code: &'static str, field: Option<&str>, message: &'static str) {
        let pointer = field.map(|field| format!("/{}", pointer_segment(field))).unwrap_or_default();
        self.faults.push(Fault::new(code, &format!("{FILE}#/{}{pointer}", self.number), message));
    }

    fn judge(&mut self, item: &Value, raw: &RawValue) {
        let Value::Object(object) = item else {
            return self.fault("data_item_not_object", None, "every element must be an object");
        };
        let (id_field, name_field) = (self.id_field, self.name_field);
        match object.get(id_field) {
            Some(Value::String(id)) if !id.is_empty() => self.see(id),
            // A number too long for 64 bits was rounded: its own text counts.
            Some(Value::Number(number)) if number.is_f64() => {
                let text = raw_field(raw, id_field).unwrap_or_else(|| number.to_string());
                self.see(&text);
            }
            Some(Value::Number(number)) => self.see(&number.to_string()),
            _ => self.fault("id_missing", Some(id_field), "a non-empty string or a number is needed"),
        }
        if !matches!(object.get(name_field), Some(Value::String(_) | Value::Number(_))) {
            self.fault("name_missing", Some(name_field), "a string or a number is needed");
        }
        if let Some(fault) = (self.each)(self.number, item) {
            self.faults.push(fault);
        }
    }

    fn see(&mut self, id: &str) {
        let [one, two] = &self.keys;
        if !self.seen.insert((one.hash_one(id), two.hash_one(id))) {
            let field = self.id_field;
            self.fault("duplicate_id", Some(field), "an earlier record has the same id");
        }
    }
}

/// The text of a number as it stands in the file.
fn raw_field(raw: &RawValue, field: &str) -> Option<String> {
    let fields: std::collections::HashMap<String, &RawValue> = serde_json::from_str(raw.get()).ok()?;
    fields.get(field).map(|text| text.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<(&'static str, String)> {
        match check(text.as_bytes(), "id", "name", &mut |_, _| None) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| (fault.code, fault.path)).collect(),
        }
    }

    #[test]
    fn good_data() {
        let good = [
            "[]",
            " [ ] ",
            r#"[{"id":"a","name":"A"},{"id":1,"name":1.5},{"id":-0.5,"name":""}]"#,
            r#"[{"id":12345678901234567890123,"name":"A"},{"id":12345678901234567890124,"name":"B"}]"#,
            r#"[{"id":"x","id":"y","name":"A"},{"id":"x","name":"\ud83d\ude80"}]"#,
        ];
        for text in good {
            assert_eq!(codes(text), [], "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_code() {
        let cases = [
            ("{}", "data_not_array", "data.json"),
            ("\"x\"", "data_not_array", "data.json"),
            ("null", "data_not_array", "data.json"),
            ("", "invalid_json", "data.json"),
            ("[1", "data_item_not_object", "data.json#/0"),
            ("[{}]x", "id_missing", "data.json#/0/id"),
            (r#"[{"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":"","name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":null,"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":1,"name":null}]"#, "name_missing", "data.json#/0/name"),
            (r#"[{"id":1,"name":"a"},{"id":"1","name":"b"}]"#, "duplicate_id", "data.json#/1/id"),
            (r#"[{"id":1,"name":"\ud800"}]"#, "invalid_json", "data.json"),
            ("\u{feff}[]", "invalid_json", "data.json"),
        ];
        for (text, code, path) in cases {
            assert_eq!(codes(text)[0], (code, path.to_owned()), "{text}");
        }
        assert_eq!(codes(&format!("[{}]", ["1"; 50].join(","))).len(), FAULT_LIMIT);
        assert_eq!(codes(&"[".repeat(1_000_000))[0].0, "invalid_json");
    }
}
