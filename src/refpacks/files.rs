//! Handlers that give bytes: a version's archive, and single files out of it, inflated while they are sent
//! (`refpack.md` §6).

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::formats::refpack::{File, Method, Unpacked};
use crate::http::ranges::{Condition, condition};
use crate::http::{FileAnswer, Request, Response, http_date, serve_file};
use crate::ids::Digest;
use crate::refpacks::model::{self, Placed, Version};
use crate::refpacks::rules;
use crate::store::Blob;

/// Which version a request names.
pub(super) struct Wanted {
    /// As given; `latest` when nothing was.
    text: String,
    /// None for the latest.
    key: Option<String>,
}

impl Wanted {
    /// From the query.
    ///
    /// # Errors
    /// `Invalid version format`.
    pub(super) fn read(request: &Request) -> Result<Wanted> {
        let query = request.form_query()?;
        // The public client sends a plus sign as it is.
        let text = query.get("version").unwrap_or_default().replace(' ', "+");
        match text.as_str() {
            "" | "latest" => Ok(Wanted { text: "latest".to_owned(), key: None }),
            _ => {
                let key = rules::version_key(&rules::version(&text)?);
                Ok(Wanted { text, key: Some(key) })
            }
        }
    }

    fn cache_control(&self) -> &'static str {
        match self.key {
            Some(_) => "public, max-age=86400, immutable",
            None => "no-cache",
        }
    }
}

/// `Package not found`, naming the version.
pub(super) fn version_not_found(id: &str, version: &str) -> Error {
    rules::refuse(Kind::NotFound, "Package not found", format!("Package '{id}' version '{version}' was not found"))
}

fn find(app: &App, id: &str, wanted: &Wanted) -> Result<Version> {
    let found = app.store.read(|tx| {
        let key = match &wanted.key {
            Some(key) => Some(key.clone()),
            None => model::package(tx, id)?.and_then(|package| package.latest),
        };
        key.map_or(Ok(None), |key| model::version(tx, id, &key))
    })?;
    found.ok_or_else(|| version_not_found(id, &wanted.text))
}

/// `GET`, `HEAD /packages/{id}`: the archive byte for byte.
pub(super) fn archive(app: &App, request: &Request, id: &str) -> Result<Response> {
    let wanted = Wanted::read(request)?;
    let version = find(app, id, &wanted)?;
    let source = app.bytes(&version.digest, &request.head)?;
    let digest = version.digest.to_hex();
    Ok(serve_file(
        &request.head,
        FileAnswer {
            source: Box::new(source),
            etag: format!("\"{digest}\""),
            last_modified: version.created.system(),
            content_type: "application/zip".to_owned(),
            download_name: Some(rules::file_name(id, &version.text)),
            cache_control: wanted.cache_control(),
            extra: vec![("X-Checksum-Sha256", digest)],
        },
    ))
}

/// `GET`, `HEAD /packages/{id}/{meta,data,…}`: one file of the archive byte for byte.
pub(super) fn file(app: &App, request: &Request, id: &str, file: File) -> Result<Response> {
    /// Files up to this size are inflated before the answer begins, so that a fault can still be told.
    const WHOLE: u64 = 64 << 10;
    let wanted = Wanted::read(request)?;
    let version = find(app, id, &wanted)?;
    let placed = version.file(file).ok_or_else(|| {
        let sentence = format!("Package '{id}' version '{}' has no {}", version.text, file.name());
        rules::refuse(Kind::NotFound, "Resource not found", sentence)
    })?;
    let digest = placed.digest.to_hex();
    let etag = format!("\"{digest}\"");
    let response = match condition(&request.head, &etag, version.created.system()) {
        Condition::NotModified => Response::empty(304),
        Condition::Failed => super::json_error(412, "Precondition failed", "The file is another one now"),
        Condition::Proceed | Condition::ProceedWhole => {
            let mut reader = FileReader::new(app.store.blob(&version.digest)?, placed);
            let content_type = match file {
                File::Readme => "text/markdown; charset=utf-8",
                _ => "application/json",
            };
            let response = match placed.size {
                0..=WHOLE => {
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).map_err(Error::internal)?;
                    Response::bytes(200, content_type, bytes)
                }
                _ => Response::stream(200, content_type, Box::new(reader), Some(placed.size)),
            };
            response
                .header("X-Checksum-Sha256", digest)
                .header("Content-Security-Policy", "sandbox; default-src 'none'")
        }
    };
    Ok(response
        .header("ETag", etag)
        .header("Last-Modified", http_date(version.created.system()))
        .header("Cache-Control", wanted.cache_control()))
}

/// The packed bytes of one file, out of the blob.
struct Packed {
    blob: Blob,
    at: u64,
    end: u64,
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        match buffer.get_mut(..room) {
            Some(room) if !room.is_empty() => {
                let count = self.blob.read_at(self.at, room)?;
                self.at += count as u64;
                Ok(count)
            }
            _ => Ok(0),
        }
    }
}

/// A file of an archive, inflated and hashed while it is read. The last bytes leave only when the hash fits.
struct FileReader {
    bytes: Unpacked<Packed>,
    left: u64,
    hash: Sha256,
    digest: Digest,
}

impl FileReader {
    fn new(blob: Blob, placed: &Placed) -> FileReader {
        let method = if placed.deflated { Method::Deflate } else { Method::Stored };
        let end = placed.offset.saturating_add(placed.packed);
        let bytes = Unpacked::new(Packed { blob, at: placed.offset, end }, method);
        FileReader { bytes, left: placed.size, hash: Sha256::new(), digest: placed.digest }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a file of a RefPack is not what was uploaded");
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else { return Ok(0) };
        let count = self.bytes.read(buffer)?;
        if count == 0 {
            return Err(wrong());
        }
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.left -= count as u64;
        if self.left == 0 && Digest(self.hash.finalize_reset().into()) != self.digest {
            return Err(wrong());
        }
        Ok(count)
    }
}
