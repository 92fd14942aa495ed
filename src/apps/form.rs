//! What comes in: JSON objects with strict types, and multipart forms whose files go straight to the stage.

use serde_json::{Map, Value};

use crate::app::App;
use crate::apps::rules::{self, Wish};
use crate::catalog;
use crate::error::{Error, Kind, Result};
use crate::formats::Facts;
use crate::http::{Part, Request, parse_json};
use crate::ids::{Digest, ObjectId};
use crate::store::Staged;

/// The largest JSON body or `data` part, in bytes.
const JSON_LIMIT: u64 = 1 << 20;

/// The largest `sha256` part, in bytes.
const WISH_LIMIT: u64 = 4 << 10;

/// A JSON object whose values are asked for by type; a value of another type is told in the words of the route.
pub struct Fields {
    map: Map<String, Value>,
    words: &'static str,
}

impl Fields {
    /// The request's body.
    ///
    /// # Errors
    /// `Invalid` in `words` when it is no JSON object; `TooLarge` above 1 MiB.
    pub fn of_body(request: &mut Request, words: &'static str) -> Result<Fields> {
        let bytes = request.bytes(JSON_LIMIT)?;
        Fields::parse(&bytes, words)
    }

    fn parse(bytes: &[u8], words: &'static str) -> Result<Fields> {
        match parse_json(bytes) {
            Ok(Value::Object(map)) => Ok(Fields { map, words }),
            _ => Err(Error::invalid(words)),
        }
    }

    /// The error for a value of the wrong type.
    pub fn wrong(&self) -> Error {
        Error::invalid(self.words)
    }

    /// Any value; null counts as absent.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text, when there is one.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.value(key).map(|value| value.as_str().ok_or_else(|| self.wrong())).transpose()
    }

    /// A text; absent and empty are the same.
    pub fn filled(&self, key: &str) -> Result<Option<&str>> {
        Ok(self.text(key)?.filter(|text| !text.is_empty()))
    }

    /// A text that must be there and not empty.
    pub fn required(&self, key: &str) -> Result<&str> {
        self.filled(key)?.ok_or_else(|| self.wrong())
    }

    /// True or false, as JSON or as text.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(self.wrong()),
        }
    }

    /// A share in percent, as a number or as text.
    pub fn percent(&self, key: &str) -> Result<Option<u8>> {
        let number = match self.value(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => return Err(self.wrong()),
        };
        let percent = number.and_then(|number| u8::try_from(number).ok()).filter(|percent| *percent <= 100);
        percent.map(Some).ok_or_else(|| Error::invalid(format!("{key} must be a whole number from 0 to 100")))
    }
}

/// An id as the dialect writes it.
///
/// # Errors
/// `Invalid` `invalid id format`.
pub fn id(text: &str) -> Result<ObjectId> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    ObjectId::from_hex(text).filter(|_| lower).ok_or_else(|| Error::invalid("invalid id format"))
}

/// A file that came with a form.
pub struct File {
    /// Its base name.
    pub name: String,
    /// The flushed bytes.
    pub staged: Staged,
}

impl File {
    /// What the bytes say of themselves; a file that cannot be read again is still a file.
    pub fn facts(&self) -> Facts {
        catalog::inspect(&self.staged, &self.name)
    }

    /// Up to `limit` of its first bytes.
    pub fn head(&self, limit: u64) -> Vec<u8> {
        self.staged.head(limit)
    }

    /// What is needed of it inside a transaction that may run twice.
    pub fn description(&self) -> Description {
        Description { name: self.name.clone(), digest: self.staged.digest, size: self.staged.size, facts: self.facts() }
    }
}

/// A staged file without its bytes.
#[derive(Clone)]
pub struct Description {
    /// Its base name.
    pub name: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What the bytes say of themselves.
    pub facts: Facts,
}

/// A multipart form: the JSON in `data` and the files, in whatever order they came.
pub struct Form {
    /// The object in `data`.
    pub data: Fields,
    /// The `file` parts.
    pub files: Vec<File>,
    /// The `sha256` parts, each with how many files came before it.
    pub wishes: Vec<(usize, Wish)>,
}

impl Form {
    /// Reads a form whose files are at most `limit` bytes each (none: what the disk holds). When `data` comes before
    /// a file, `judge` sees it first and may refuse before the bytes are taken.
    ///
    /// # Errors
    /// `Invalid` for what is broken or missing, `TooLarge`, `Quota`; the errors of `judge`.
    pub fn read(
        app: &App,
        request: &mut Request,
        limit: Option<u64>,
        judge: impl Fn(&Fields) -> Result<()>,
    ) -> Result<Form> {
        let length = request.body().length();
        let mut data: Option<Fields> = None;
        let (mut files, mut wishes) = (Vec::new(), Vec::new());
        let mut parts = request.multipart()?;
        while let Some(mut part) = parts.next_part()? {
            match part.name() {
                Some("data") if data.is_some() => return Err(Error::invalid("data is given twice")),
                Some("data") => {
                    let text = part.text(JSON_LIMIT)?;
                    data = Some(Fields::parse(text.as_bytes(), "Invalid JSON data")?);
                }
                Some("file") => {
                    if let Some(data) = &data {
                        judge(data)?;
                    }
                    files.push(take(app, &mut part, length, limit)?);
                }
                Some("sha256") => wishes.push((files.len(), rules::wish(&part.text(WISH_LIMIT)?)?)),
                _ => {}
            }
        }
        let data = data.ok_or_else(|| Error::invalid("No JSON data provided"))?;
        Ok(Form { data, files, wishes })
    }

    /// Whether neither a file came nor an artifact is wished for.
    pub fn is_bare(&self) -> bool {
        self.files.is_empty() && self.wishes.is_empty()
    }
}

fn take(app: &App, part: &mut Part<'_>, length: Option<u64>, limit: Option<u64>) -> Result<File> {
    let given = part.file_name().ok_or_else(|| Error::invalid("file needs a file name"))?;
    let name = rules::file_name(given)?.to_owned();
    let mut stage = app.store.stage(length)?;
    stage.copy_from(part, limit).map_err(|e| match (e.kind, limit) {
        (Kind::TooLarge, Some(limit)) => {
            Error::new(Kind::TooLarge, format!("file size exceeds the limit of {} MB", limit >> 20))
        }
        _ => e,
    })?;
    Ok(File { name, staged: stage.finish()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes(), "words").unwrap()
    }

    #[test]
    fn types_are_strict_and_null_is_absent() {
        let fields = fields(r#"{"a":"x","b":"","c":5,"d":null,"t":true,"f":"false","p":30,"q":"100","r":101,"s":1.5}"#);
        assert_eq!(fields.text("a").unwrap(), Some("x"));
        assert_eq!((fields.text("b").unwrap(), fields.filled("b").unwrap()), (Some(""), None));
        assert!(fields.text("c").is_err() && fields.required("b").is_err() && fields.required("z").is_err());
        assert_eq!(fields.text("d").unwrap(), None);
        assert_eq!((fields.flag("t").unwrap(), fields.flag("f").unwrap()), (Some(true), Some(false)));
        assert!(fields.flag("a").is_err() && fields.flag("c").is_err());
        assert_eq!((fields.percent("p").unwrap(), fields.percent("q").unwrap()), (Some(30), Some(100)));
        assert!(fields.percent("r").is_err() && fields.percent("s").is_err() && fields.percent("t").is_err());
        for bad in ["", "[]", "5", "{", "{\"a\":}", "null"] {
            assert!(Fields::parse(bad.as_bytes(), "words").is_err_and(|e| e.message == "words"), "{bad}");
        }
    }

    #[test]
    fn ids() {
        assert!(id("641459ffb8760d74164e7e3c").is_ok());
        for bad in ["", "641459FFb8760d74164e7e3c", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3cc", "x"] {
            assert_eq!(id(bad).unwrap_err().message, "invalid id format");
        }
    }
}
