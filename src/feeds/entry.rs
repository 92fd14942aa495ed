//! How a package is shown: the entry of `GET /package/SHASUM`, and listings of whole sets, streamed (`repos.md` §9.2).

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::feeds::model::{Member, Package, PackageType, Set};
use crate::feeds::model::{absent, packages, sets};
use crate::http::Response;
use crate::ids::Digest;
use crate::store::Store;
use crate::store::table::ReadTx;

/// Rows read in one transaction while a listing is sent.
const PAGE: usize = 256;

/// The entry of a package, as a set knows it or, without one, by itself.
pub fn entry(digest: &Digest, package: &Package, member: Option<&Member>) -> Map<String, Value> {
    let names = member.map(|member| member.names(package)).unwrap_or_else(|| vec![&package.filename]);
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    put("name", json!(package.name));
    put("filename", json!(names.first()));
    if names.len() > 1 {
        put("filenames", json!(names));
    }
    put("shasum", json!(digest));
    put("version", json!(package.version));
    if package.kind == PackageType::Rpm {
        put("release", json!(package.release));
        put("epoch", json!(package.epoch));
    }
    put("arch", json!(package.arch));
    put("type", json!(package.kind.word()));
    put("size", json!(package.size));
    if let Some(component) = member.and_then(|member| member.component.as_deref()) {
        put("component", json!(component));
    }
    shown
}

/// The packages of a set, or those of it that `keep` lets through: `{SHASUM: entry}`.
///
/// # Errors
/// What the store answers.
pub fn listing(
    store: &Arc<Store>,
    set: &Set,
    keep: impl FnOnce(&ReadTx, Vec<Listed>) -> Result<Vec<Listed>>,
) -> Result<Response> {
    let rows = store.read(|tx| keep(tx, sets::members(tx, set)?.into_iter().collect()))?;
    let mut rows: VecDeque<Listed> = rows.into();
    let store = store.clone();
    Ok(json_stream(move || {
        let page: Vec<Listed> = rows.drain(..rows.len().min(PAGE)).collect();
        store.read(|tx| {
            let mut lines = Vec::with_capacity(page.len());
            for (digest, member) in &page {
                // A package that was deleted since the listing began breaks it off: half a truth is none.
                let package =
                    packages::get(tx, digest)?.ok_or_else(|| crate::feeds::rules::unknown_package("meanwhile"))?;
                let mut shown = entry(digest, &package, Some(member));
                if absent::is_absent(tx, digest)? {
                    shown.insert("present".to_owned(), json!(false));
                }
                lines.push((digest.to_hex(), Value::Object(shown)));
            }
            Ok(lines)
        })
    }))
}

/// A row of a listing: a package and how the set knows it.
pub type Listed = (Digest, Member);

/// A JSON object that is made while it is sent: `next` gives keys and values page by page, an empty page ends it.
pub fn json_stream(next: impl FnMut() -> Result<Vec<(String, Value)>> + Send + 'static) -> Response {
    let stream = JsonObject { next: Box::new(next), bytes: Vec::new(), at: 0, state: State::Start };
    Response::stream(200, "application/json", Box::new(stream), None)
}

type Pages = Box<dyn FnMut() -> Result<Vec<(String, Value)>> + Send>;

struct JsonObject {
    next: Pages,
    bytes: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    Within,
    End,
}

impl JsonObject {
    fn fill(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.at = 0;
        let page = (self.next)().map_err(io::Error::other)?;
        let mut first = self.state == State::Start;
        if first {
            self.bytes.push(b'{');
        }
        self.state = if page.is_empty() { State::End } else { State::Within };
        for (key, value) in page {
            if !std::mem::take(&mut first) {
                self.bytes.push(b',');
            }
            serde_json::to_writer(&mut self.bytes, &key)?;
            self.bytes.push(b':');
            serde_json::to_writer(&mut self.bytes, &value)?;
        }
        if self.state == State::End {
            self.bytes.push(b'}');
        }
        Ok(())
    }
}

impl Read for JsonObject {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.bytes.len() {
            if self.state == State::End {
                return Ok(0);
            }
            self.fill()?;
        }
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Payload;

    #[test]
    fn objects_are_whole_whatever_the_pages() {
        for sizes in [vec![], vec![1], vec![2, 1], vec![1, 3, 2]] {
            let mut number = 0;
            let mut pages = sizes.clone().into_iter();
            let response = json_stream(move || {
                let count = pages.next().unwrap_or(0);
                Ok((0..count)
                    .map(|_| {
                        number += 1;
                        (format!("k{number}"), json!(number))
                    })
                    .collect())
            });
            let Payload::Stream { mut reader, .. } = response.into_payload() else { panic!("no stream") };
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            let value: Map<String, Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(value.len(), sizes.iter().sum::<usize>(), "{text}");
        }
    }
}
