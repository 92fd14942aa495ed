//! RefPacks: ZIP archives with one JSON data set, its manifest and companions (`refpack.md` §4). Bytes in, facts or
//! faults out.

pub mod archive;
pub mod data;
pub mod json;
pub mod manifest;

use std::borrow::Cow;

/// The most faults one answer names.
pub const FAULT_LIMIT: usize = 20;

/// One broken rule of a RefPack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code of `refpack.md` §4.
    pub code: &'static str,
    /// The file inside the archive, with a JSON pointer where it applies.
    pub path: String,
    /// What is wrong, for a person.
    pub message: Cow<'static, str>,
}

impl Fault {
    /// A fault in `path`.
    pub fn new(code: &'static str, path: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Fault { code, path: path.to_owned(), message: message.into() }
    }
}
