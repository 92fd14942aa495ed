//! Counts the work a schema causes and ends it when it is too much: the validator sees the data through a reader that
//! charges for every look.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson};
use jsonschema::types::JsonType;
use serde_json::{Map, Value};

use super::Validator;

thread_local! {
    /// Looks left to the validation that runs on this thread.
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// What unwinds a validation that has used up its budget. The validator has no other way to be stopped.
struct Exhausted;

fn charge(looks: u64) {
    match LEFT.get().checked_sub(looks) {
        Some(left) => LEFT.set(left),
        None => {
            LEFT.set(0);
            resume_unwind(Box::new(Exhausted))
        }
    }
}

/// The processor time this thread has used: what bounds the matching of patterns, however busy the machine is.
#[cfg(unix)]
pub(super) fn time_used() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A fraction of the time that has passed, for systems that do not measure threads.
#[cfg(not(unix))]
pub(super) fn time_used() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed() / 4
}

/// Runs something of the validator's; a panic inside becomes `Err`.
pub(super) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, ()> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| ())
}

/// The looks all records of a file may cost together.
pub(super) struct Budget {
    left: u64,
}

/// What came of a validation.
pub(super) enum Outcome {
    Good,
    Bad {
        /// A JSON pointer into the value.
        path: String,
        message: String,
    },
    /// It was ended.
    TooMuch(&'static str),
}

impl Budget {
    /// For data of so many bytes: far more than ordinary schemas need, and a second's work at least.
    pub(super) fn new(bytes: u64) -> Self {
        Budget { left: 10_000_000 + bytes.saturating_mul(4) }
    }

    /// Validates `value`, at this budget's cost.
    pub(super) fn judge(&mut self, validator: &Validator, value: &Value) -> Outcome {
        LEFT.set(self.left);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let node = Look(value);
            if validator.is_valid(node) {
                return Outcome::Good;
            }
            match validator.validate(node) {
                Ok(()) => Outcome::Good,
                Err(e) => Outcome::Bad { path: e.instance_path().as_str().to_owned(), message: e.masked().to_string() },
            }
        }));
        self.left = LEFT.get();
        match outcome {
            Ok(outcome) => outcome,
            Err(payload) if payload.is::<Exhausted>() => Outcome::TooMuch("checking the data takes too many steps"),
            Err(_) => Outcome::TooMuch("the schema cannot be applied to the data"),
        }
    }
}

/// JSON as [`Value`]s, every look at them counted.
pub(super) struct Metered;

/// A value, looked at for a charge.
#[derive(Clone, Copy)]
pub(super) struct Look<'a>(&'a Value);

/// An object of such values.
pub(super) struct LookObject<'a>(&'a Map<String, Value>);

/// An array of such values.
pub(super) struct LookArray<'a>(&'a [Value]);

impl Json for Metered {
    type Node<'a> = Look<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Look<'_>) -> T) -> T {
        *buffer = Value::String(string.to_owned());
        f(Look(buffer))
    }
}

impl<'a> Node<'a, Metered> for Look<'a> {
    type Object = LookObject<'a>;
    type Array = LookArray<'a>;
    type Number = &'a serde_json::Number;

    fn as_object(&self) -> Option<LookObject<'a>> {
        charge(1);
        self.0.as_object().map(LookObject)
    }

    fn as_array(&self) -> Option<LookArray<'a>> {
        charge(1);
        self.0.as_array().map(|items| LookArray(items))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.0.as_str();
        charge(1 + text.map_or(0, |text| text.len() as u64 / 32));
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a serde_json::Number> {
        charge(1);
        self.0.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        charge(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        charge(1);
        self.0.is_null()
    }

    fn json_type(&self) -> JsonType {
        charge(1);
        Node::json_type(&self.0)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        // What is compared is at most as large as the smaller of the two; the schema's part is bounded by its file.
        charge(1 + size(expected, 0) / 8);
        Node::equals_value(&self.0, expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        charge(1);
        Cow::Borrowed(self.0)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        charge(1);
        Node::identity(&self.0)
    }
}

impl<'a> Object<'a, Metered> for LookObject<'a> {
    type Node = Look<'a>;
    type MemberName = &'a str;
    type MembersIter = std::iter::Map<serde_json::map::Iter<'a>, fn((&'a String, &'a Value)) -> (&'a str, Look<'a>)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Look<'a>> {
        charge(1);
        self.0.get(key).map(Look)
    }

    fn members(&self) -> Self::MembersIter {
        charge(1 + self.0.len() as u64);
        self.0.iter().map(|(key, value)| (key.as_str(), Look(value)))
    }
}

impl<'a> Array<'a, Metered> for LookArray<'a> {
    type Node = Look<'a>;
    type ElementsIter = std::iter::Map<std::slice::Iter<'a, Value>, fn(&'a Value) -> Look<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        charge(1 + self.0.len() as u64);
        self.0.iter().map(Look)
    }

    fn is_unique(&self) -> bool {
        let all: u64 = self.0.iter().map(|item| size(item, 0)).sum();
        charge(1 + all);
        Array::<SerdeJson>::is_unique(&self.0)
    }
}

/// Number of values inside a value, itself included. Files are at most 64 levels deep.
fn size(value: &Value, depth: usize) -> u64 {
    match value {
        _ if depth > 100 => 1,
        Value::Array(items) => 1 + items.iter().map(|item| size(item, depth + 1)).sum::<u64>(),
        Value::Object(object) => 1 + object.values().map(|item| size(item, depth + 1)).sum::<u64>(),
        Value::String(text) => 1 + text.len() as u64 / 32,
        _ => 1,
    }
}
