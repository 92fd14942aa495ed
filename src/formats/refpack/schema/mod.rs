//! Checks the payload of a RefPack against its JSON Schema, `data.schema.json` (`refpack.md` §4.4): record by record
//! where the schema allows it, with bounded work, and without opening a file or a connection.

mod meter;
mod refs;

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Duration;

use jsonschema::{Draft, PatternOptions, Registry, ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use self::meter::{Metered, Outcome};
use super::json::{self, WEIGHT_LIMIT};
use super::{Fault, data};

/// The schema's file name.
pub const FILE: &str = "data.schema.json";
/// The largest schema that is read, in bytes.
pub const LIMIT: usize = 1 << 20;

/// The most schemas of a tuple whose records are checked one by one.
const PREFIX_LIMIT: usize = 1000;

type Validator = jsonschema::Validator<Metered>;

/// A schema on its way through the records.
pub struct Checker {
    plan: Plan,
    meter: meter::Budget,
    /// Size of all compiled patterns, in bytes: how much work one byte of text may cause.
    patterns: u64,
    /// The processor time at which the checking is ended.
    until: Duration,
    /// No more records are looked at: the schema asks for too much.
    stopped: bool,
}

enum Plan {
    /// What the root says about its elements can be judged one by one.
    Each(Box<Each>),
    /// The root has rules over all records together: they are held, within bounds.
    Whole { validator: Validator, records: Vec<Value>, weight: usize },
}

struct Each {
    prefix: Vec<Validator>,
    rest: Option<Validator>,
    contains: Option<Contains>,
    min: u64,
    max: u64,
    unique: Option<Unique>,
}

struct Contains {
    validator: Validator,
    min: u64,
    max: u64,
    found: u64,
}

struct Unique {
    key: RandomState,
    seen: HashSet<u64>,
}

impl Checker {
    /// Reads a schema.
    ///
    /// # Errors
    /// `invalid_json`, `schema_root_not_array`, `schema_invalid` or `schema_ref_unresolved`.
    pub fn new(bytes: &[u8]) -> Result<Checker, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let schema = json::value(FILE, bytes, LIMIT).map_err(one)?;
        let root = schema.as_object().filter(|root| root.get("type").and_then(Value::as_str) == Some("array"));
        let root = root.ok_or_else(|| {
            one(Fault::new("schema_root_not_array", FILE, "the schema must be an object whose type is \"array\""))
        })?;
        let draft = draft(root).map_err(one)?;
        let base = refs::base(&schema, draft).map_err(one)?;
        let registry = Registry::new()
            .draft(draft)
            .retriever(refs::Refuse)
            .add(base.as_str(), draft.create_resource(schema.clone()))
            .and_then(jsonschema::RegistryBuilder::prepare)
            .map_err(|e| one(refs::fault("", &e)))?;
        let patterns = refs::check(&registry, &base, draft)?;
        let compile = |schema: &Value| {
            let options = jsonschema::options_for::<Metered>()
                .with_draft(draft)
                .with_retriever(refs::Refuse)
                .with_registry(&registry)
                .should_validate_formats(false)
                .with_pattern_options(PatternOptions::regex().size_limit(refs::REGEX_LIMIT));
            match meter::guard(|| options.build(schema)) {
                Ok(built) => built.map_err(|e| one(compile_fault(&e))),
                Err(()) => Err(one(Fault::new("schema_invalid", FILE, "the schema cannot be applied"))),
            }
        };
        let whole = compile(&schema)?;
        let part = |pointer: &str| compile(&json!({ "$ref": format!("{base}#{pointer}") }));
        let plan = match Each::plan(root, draft, &part)? {
            Some(each) => Plan::Each(Box::new(each)),
            None => Plan::Whole { validator: whole, records: Vec::new(), weight: 0 },
        };
        Ok(Checker {
            plan,
            meter: meter::Budget::new(0),
            patterns: patterns as u64,
            until: Duration::ZERO,
            stopped: false,
        })
    }

    /// Says how large the data are: the work a schema may cause grows with them.
    pub fn expect_bytes(&mut self, bytes: u64) {
        self.meter = meter::Budget::new(bytes);
        self.until = meter::time_used() + Duration::from_secs(5) + Duration::from_millis(bytes / 4096);
    }

    /// Takes the next record, as it is written.
    pub fn record(&mut self, number: usize, text: &str) -> Option<Fault> {
        /// The most (bytes of text) × (bytes of patterns) of one record: seconds at the very worst.
        const MATCHING_LIMIT: u64 = 1 << 35;
        if self.stopped {
            return None;
        }
        let place = || format!("{}#/{number}", data::FILE);
        if json::weight(text.as_bytes()) > WEIGHT_LIMIT
            || (text.len() as u64).saturating_mul(self.patterns) > MATCHING_LIMIT
        {
            return Some(Fault::new("data_schema_mismatch", &place(), "the record is too large to be checked"));
        }
        if meter::time_used() > self.until {
            return Some(self.stop("checking the data takes too long"));
        }
        let record: Value = match serde_json::from_str(text) {
            Ok(record) => record,
            Err(e) => return Some(Fault::new("invalid_json", &place(), format!("not JSON: {e}"))),
        };
        let fault = match &mut self.plan {
            Plan::Each(each) => each.record(&mut self.meter, number, &record),
            Plan::Whole { records, weight, .. } => {
                *weight = weight.saturating_add(json::weight(text.as_bytes()));
                if *weight <= WEIGHT_LIMIT {
                    records.push(record);
                    return None;
                }
                records.clear();
                Err("rules over all records together are checked on small data only; use \"items\"")
            }
        };
        fault.unwrap_or_else(|message| Some(self.stop(message)))
    }

    /// After the last record: what the schema says of all together.
    pub fn finish(mut self, records: usize) -> Vec<Fault> {
        if self.stopped {
            return Vec::new();
        }
        match self.plan {
            Plan::Each(each) => each.finish(records as u64),
            Plan::Whole { validator, records, .. } => match self.meter.judge(&validator, &Value::Array(records)) {
                Outcome::Good => Vec::new(),
                Outcome::Bad { path, message } => vec![mismatch(&path, message)],
                Outcome::TooMuch(message) => vec![Fault::new("schema_invalid", FILE, message)],
            },
        }
    }

    fn stop(&mut self, message: &'static str) -> Fault {
        self.stopped = true;
        Fault::new("schema_invalid", FILE, message)
    }
}

/// A fault below the root of the data; `path` is a JSON pointer.
fn mismatch(path: &str, message: String) -> Fault {
    Fault::new("data_schema_mismatch", &format!("{}#{path}", data::FILE), message)
}

impl Each {
    /// How the root's own keywords are judged record by record; `None` when one of them needs all records.
    fn plan(
        root: &Map<String, Value>,
        draft: Draft,
        part: &dyn Fn(&str) -> Result<Validator, Vec<Fault>>,
    ) -> Result<Option<Each>, Vec<Fault>> {
        /// Keywords that look at the array as a whole, in any draft.
        const TOGETHER: [&str; 13] = [
            "$ref",
            "$dynamicRef",
            "$recursiveRef",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "if",
            "enum",
            "const",
            "extends",
            "disallow",
            "unevaluatedItems",
        ];
        if TOGETHER.iter().any(|keyword| root.contains_key(*keyword)) {
            return Ok(None);
        }
        let mut each = Each { prefix: Vec::new(), rest: None, contains: None, min: 0, max: u64::MAX, unique: None };
        // Since 2020-12 a tuple is `prefixItems`, before it is `items` as an array.
        let (tuple, rest) = match (draft, root.get("items")) {
            (Draft::Draft202012, items) => {
                (root.get("prefixItems").map(|list| ("prefixItems", list)), items.map(|_| "items"))
            }
            (_, Some(list @ Value::Array(_))) => {
                (Some(("items", list)), root.get("additionalItems").map(|_| "additionalItems"))
            }
            (_, items) => (None, items.map(|_| "items")),
        };
        if let Some((keyword, Value::Array(list))) = tuple {
            if list.len() > PREFIX_LIMIT {
                return Ok(None);
            }
            each.prefix = (0..list.len()).map(|n| part(&format!("/{keyword}/{n}"))).collect::<Result<_, _>>()?;
        }
        each.rest = rest.map(|keyword| part(&format!("/{keyword}"))).transpose()?;
        let number = |keyword: &str| root.get(keyword).and_then(count);
        each.min = number("minItems").unwrap_or(0);
        each.max = number("maxItems").unwrap_or(u64::MAX);
        if root.get("uniqueItems") == Some(&Value::Bool(true)) {
            each.unique = Some(Unique { key: RandomState::new(), seen: HashSet::new() });
        }
        if draft != Draft::Draft4 && root.contains_key("contains") {
            let counted = matches!(draft, Draft::Draft201909 | Draft::Draft202012);
            let limit = |keyword: &str| number(keyword).filter(|_| counted);
            each.contains = Some(Contains {
                validator: part("/contains")?,
                min: limit("minContains").unwrap_or(1),
                max: limit("maxContains").unwrap_or(u64::MAX),
                found: 0,
            });
        }
        Ok(Some(each))
    }

    /// Judges one record; an outer error ends the checking.
    fn record(
        &mut self,
        meter: &mut meter::Budget,
        number: usize,
        record: &Value,
    ) -> Result<Option<Fault>, &'static str> {
        if let Some(contains) = &mut self.contains {
            match meter.judge(&contains.validator, record) {
                Outcome::Good => contains.found += 1,
                Outcome::Bad { .. } => {}
                Outcome::TooMuch(message) => return Err(message),
            }
        }
        if let Some(unique) = &mut self.unique {
            let mut hasher = unique.key.build_hasher();
            hash(record, &mut hasher);
            if !unique.seen.insert(hasher.finish()) {
                return Ok(Some(mismatch(
                    &format!("/{number}"),
                    "an earlier record is equal (uniqueItems)".to_owned(),
                )));
            }
        }
        let Some(validator) = self.prefix.get(number).or(self.rest.as_ref()) else { return Ok(None) };
        match meter.judge(validator, record) {
            Outcome::Good => Ok(None),
            Outcome::Bad { path, message } => Ok(Some(mismatch(&format!("/{number}{path}"), message))),
            Outcome::TooMuch(message) => Err(message),
        }
    }

    fn finish(&self, records: u64) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut broken = |message: String| faults.push(mismatch("", message));
        if records < self.min {
            broken(format!("{records} records are fewer than minItems, {}", self.min));
        }
        if records > self.max {
            broken(format!("{records} records are more than maxItems, {}", self.max));
        }
        if let Some(Contains { min, max, found, .. }) = self.contains
            && (found < min || found > max)
        {
            broken(format!("{found} records fit \"contains\""));
        }
        faults
    }
}

/// A count as JSON Schema writes it: `2` or `2.0`.
fn count(value: &Value) -> Option<u64> {
    let whole = |n: f64| (n.fract() == 0.0 && n >= 0.0).then_some(n as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

/// Equal values give equal hashes; numbers count by their value, keys without their order (maps are sorted).
fn hash(value: &Value, out: &mut impl Hasher) {
    match value {
        Value::Null => 0_u8.hash(out),
        Value::Bool(flag) => (1_u8, flag).hash(out),
        Value::Number(number) => {
            match (number.as_i64().map(i128::from), number.as_u64().map(i128::from), number.as_f64()) {
                (Some(whole), _, _) | (None, Some(whole), _) => (2_u8, whole).hash(out),
                (_, _, Some(real)) if real.fract() == 0.0 && real.abs() < 1e30 => (2_u8, real as i128).hash(out),
                (_, _, real) => (3_u8, real.unwrap_or_default().to_bits()).hash(out),
            }
        }
        Value::String(text) => (4_u8, text).hash(out),
        Value::Array(items) => {
            (5_u8, items.len()).hash(out);
            items.iter().for_each(|item| hash(item, out));
        }
        Value::Object(object) => {
            (6_u8, object.len()).hash(out);
            for (name, value) in object {
                name.hash(out);
                hash(value, out);
            }
        }
    }
}

/// The dialect by `$schema`.
fn draft(root: &Map<String, Value>) -> Result<Draft, Fault> {
    let fault = |message| Fault::new("schema_invalid", &format!("{FILE}#/$schema"), message);
    let name = match root.get("$schema") {
        None => return Ok(Draft::Draft202012),
        Some(Value::String(name)) => name,
        Some(_) => return Err(fault("a string is needed")),
    };
    match name.strip_suffix('#').unwrap_or(name) {
        "https://json-schema.org/draft/2020-12/schema" => Ok(Draft::Draft202012),
        "https://json-schema.org/draft/2019-09/schema" => Ok(Draft::Draft201909),
        "http://json-schema.org/draft-07/schema" => Ok(Draft::Draft7),
        "http://json-schema.org/draft-06/schema" => Ok(Draft::Draft6),
        "http://json-schema.org/draft-04/schema" => Ok(Draft::Draft4),
        _ => Err(fault("this dialect of JSON Schema is not known")),
    }
}

fn compile_fault(error: &ValidationError) -> Fault {
    let place = format!("{FILE}#{}", error.instance_path());
    match error.kind() {
        ValidationErrorKind::Referencing(e) => refs::fault(error.instance_path().as_str(), e),
        _ => Fault::new("schema_invalid", place.trim_end_matches('#'), error.masked().to_string()),
    }
}

#[cfg(test)]
mod tests;
