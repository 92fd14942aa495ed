//! The payload of a RefPack, `data.json` (`refpack.md` §4.3): read once, record by record, so that memory does not grow
//! with the file.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Strict, pointer_segment};
use super::{FAULT_LIMIT, Fault};

/// The payload's file name.
pub const FILE: &str = "data.json";

/// Reads `data.json` to its end, judges every record, and shows the text of each to `each` with its number.
/// `each` answers a fault or nothing; reading goes on until twenty faults are known. Answers the number of records.
///
/// # Errors
/// The faults found, at most twenty.
pub fn check(
    reader: impl Read,
    id_field: &str,
    name_field: &str,
    each: &mut dyn FnMut(usize, &str) -> Option<Fault>,
) -> Result<usize, Vec<Fault>> {
    let reader = BufReader::with_capacity(64 << 10, Strict::new(reader));
    let mut records = Records {
        fields: Fields { id: id_field, name: name_field },
        each,
        faults: Vec::new(),
        seen: HashSet::default(),
        key: RandomState::new(),
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
    if faults.is_empty() { Ok(number) } else { Err(faults) }
}

struct Records<'a> {
    fields: Fields<'a>,
    each: &'a mut dyn FnMut(usize, &str) -> Option<Fault>,
    faults: Vec<Fault>,
    /// A keyed hash of each id: eight bytes a record, and nobody can make two ids meet on purpose.
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    key: RandomState,
    number: usize,
    not_an_array: bool,
}

/// The hasher of what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0 << 8 | u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
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
            self.judge(raw.get()).map_err(A::Error::custom)?;
            if self.faults.len() >= FAULT_LIMIT {
                return Err(A::Error::custom("too many faults"));
            }
            self.number += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
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

    fn judge(&mut self, text: &str) -> Result<(), serde_json::Error> {
        if !text.starts_with('{') {
            self.fault("data_item_not_object", None, "every element must be an object");
            return Ok(());
        }
        let mut input = serde_json::Deserializer::from_str(text);
        let Found { id, name } = self.fields.deserialize(&mut input)?;
        let id: Option<Cow<str>> = match id {
            Some(raw) if raw.starts_with('"') => {
                Some(Cow::Owned(serde_json::from_str(raw)?)).filter(|id: &Cow<str>| !id.is_empty())
            }
            // A number counts as it is written.
            Some(raw) if is_number(raw) => Some(Cow::Borrowed(raw)),
            _ => None,
        };
        let Fields { id: id_field, name: name_field } = self.fields;
        match id {
            None => self.fault("id_missing", Some(id_field), "a non-empty string or a number is needed"),
            Some(id) if !self.seen.insert(self.key.hash_one(id.as_ref())) => {
                self.fault("duplicate_id", Some(id_field), "an earlier record has the same id");
            }
            Some(_) => {}
        }
        if !name.is_some_and(|raw| raw.starts_with('"') || is_number(raw)) {
            self.fault("name_missing", Some(name_field), "a string or a number is needed");
        }
        if let Some(fault) = (self.each)(self.number, text) {
            self.faults.push(fault);
        }
        Ok(())
    }
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// The keys of a record that count here.
#[derive(Clone, Copy)]
struct Fields<'a> {
    id: &'a str,
    name: &'a str,
}

/// Their values as they are written. Of equal keys the last counts.
struct Found<'de> {
    id: Option<&'de str>,
    name: Option<&'de str>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Found<'de>, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found { id: None, name: None };
        while let Some((is_id, is_name)) = entries.next_key_seed(WhichKey(self))? {
            let raw = entries.next_value::<&RawValue>()?.get();
            if is_id {
                found.id = Some(raw);
            }
            if is_name {
                found.name = Some(raw);
            }
        }
        Ok(found)
    }
}

/// Compares a key with the two that count, without a copy of it.
struct WhichKey<'a>(Fields<'a>);

impl<'de> DeserializeSeed<'de> for WhichKey<'_> {
    type Value = (bool, bool);

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(bool, bool), D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for WhichKey<'_> {
    type Value = (bool, bool);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<(bool, bool), E> {
        Ok((key == self.0.id, key == self.0.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes_of(reader: impl Read) -> Vec<(&'static str, String)> {
        match check(reader, "id", "name", &mut |_, _| None) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| (fault.code, fault.path)).collect(),
        }
    }

    fn codes(text: &str) -> Vec<(&'static str, String)> {
        codes_of(text.as_bytes())
    }

    #[test]
    fn good_data() {
        let good = [
            "[]",
            " [ ] ",
            r#"[{"id":"a","name":"A"},{"id":1,"name":1.5},{"id":-0.5,"name":""}]"#,
            r#"[{"id":12345678901234567890123,"name":"A"},{"id":12345678901234567890124,"name":"B"}]"#,
            r#"[{"id":"x","id":"y","name":"A"},{"id":"x","name":"\ud83d\ude80"}]"#,
            r#"[{"id":1e400,"name":"out of every range","deep":[[{"id":null}]]}]"#,
            r#"[{"i\u0064":"escaped key","n\u0061me":"A"}]"#,
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
            ("7", "data_not_array", "data.json"),
            ("", "invalid_json", "data.json"),
            ("[1", "data_item_not_object", "data.json#/0"),
            ("[null]", "data_item_not_object", "data.json#/0"),
            ("[{}]x", "id_missing", "data.json#/0/id"),
            (r#"[{"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":"","name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":null,"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":true,"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":[],"name":1}]"#, "id_missing", "data.json#/0/id"),
            (r#"[{"id":1,"name":null}]"#, "name_missing", "data.json#/0/name"),
            (r#"[{"id":1,"name":{}}]"#, "name_missing", "data.json#/0/name"),
            (r#"[{"id":1,"name":"a"},{"id":"1","name":"b"}]"#, "duplicate_id", "data.json#/1/id"),
            (r#"[{"id":"\u0061","name":"a"},{"id":"a","name":"b"}]"#, "duplicate_id", "data.json#/1/id"),
            (r#"[{"id":1,"name":"\ud800"}]"#, "invalid_json", "data.json"),
            (r#"[{"id":1,"name":"a"},]"#, "invalid_json", "data.json"),
            (r#"[{"id":1,"name":"a",}]"#, "invalid_json", "data.json"),
            (r#"[{"id":01,"name":"a"}]"#, "invalid_json", "data.json"),
            ("[{\"id\":1,\"name\":\"a\tb\"}]", "invalid_json", "data.json"),
            ("\u{feff}[]", "invalid_json", "data.json"),
        ];
        for (text, code, path) in cases {
            assert_eq!(codes(text)[0], (code, path.to_owned()), "{text}");
        }
        assert_eq!(codes(&format!("[{}]", ["1"; 50].join(","))).len(), FAULT_LIMIT);
        assert_eq!(codes(&"[".repeat(1_000_000))[0].0, "invalid_json");
        for bytes in [&b"[{\"id\":\"\xff\",\"name\":1}]"[..], b"[{\"id\":1,\"name\":1,\"x\":\"\xc0\x80\"}]"] {
            assert_eq!(codes_of(bytes)[0].0, "invalid_json");
        }
    }

    #[test]
    fn fields_may_be_one_and_hold_odd_characters() {
        let text = r#"[{"a/b~c":"x"},{"a/b~c":"x"}]"#;
        let faults = check(text.as_bytes(), "a/b~c", "a/b~c", &mut |_, _| None).unwrap_err();
        assert_eq!((faults[0].code, faults[0].path.as_str()), ("duplicate_id", "data.json#/1/a~1b~0c"));
    }

    #[test]
    fn every_record_is_shown_as_it_is_written() {
        let mut seen = Vec::new();
        let text = r#"[ {"id":1, "name":"a"} , {"id":2,"name":"b"}]"#;
        let records = check(text.as_bytes(), "id", "name", &mut |number, text| {
            seen.push((number, text.to_owned()));
            None
        });
        assert_eq!(records, Ok(2));
        assert_eq!(seen, [(0, r#"{"id":1, "name":"a"}"#.to_owned()), (1, r#"{"id":2,"name":"b"}"#.to_owned())]);
    }
}
