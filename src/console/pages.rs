//! Serving the pages of the UI: from the program, or from a directory while they are being written.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::App;
use crate::console::{Console, rules};
use crate::error::{Error, Result};
use crate::http::{FileAnswer, Memory, Request, Response, serve_file};
use crate::identity::Principal;
use crate::ids::Digest;

/// What is in `web/`, as it is.
#[derive(RustEmbed)]
#[folder = "web/"]
struct Web;

/// Scripts, styles and pictures of this server only, no frames, nothing inline (`ui.md` §9).
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// `GET /ui`: the pages' relative addresses need the slash.
pub fn slash(_app: &App, _who: &Principal, _request: &mut Request) -> Result<Response> {
    Ok(Response::redirect(308, "/ui/"))
}

/// `GET /ui/…`: one file of the UI.
pub fn file(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let path = match request.params.raw("path") {
        "" => "index.html",
        path => path,
    };
    let nowhere = || Error::not_found("there is no such page");
    let content_type = rules::media_type(path).filter(|_| rules::is_plain(path)).ok_or_else(nowhere)?;
    let console = app.rooms.get::<Console>()?;
    let found = match &console.web_dir {
        Some(directory) => from_disk(directory, path)?,
        None => Web::get(path).map(embedded),
    };
    let (bytes, digest, last_modified) = found.ok_or_else(nowhere)?;
    let file = FileAnswer {
        source: Box::new(Memory(bytes)),
        etag: format!("\"{}\"", digest.to_hex()),
        last_modified,
        content_type: content_type.to_owned(),
        download_name: None,
        cache_control: "no-cache",
        extra: vec![
            ("Content-Security-Policy", POLICY.to_owned()),
            ("Referrer-Policy", "no-referrer".to_owned()),
            ("Cross-Origin-Opener-Policy", "same-origin".to_owned()),
        ],
    };
    Ok(serve_file(&request.head, file))
}

type Found = (Cow<'static, [u8]>, Digest, SystemTime);

fn embedded(file: EmbeddedFile) -> Found {
    let modified =
        file.metadata.last_modified().map_or(UNIX_EPOCH, |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    (file.data, Digest(file.metadata.sha256_hash()), modified)
}

/// A file of the directory given by `--web-dir`; none when there is no such file.
fn from_disk(directory: &Path, path: &str) -> Result<Option<Found>> {
    let path = directory.join(path);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let modified = path.metadata().and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
            let digest = Digest::of(&bytes);
            Ok(Some((bytes.into(), digest, modified)))
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => Ok(None),
        Err(e) => Err(Error::internal(e)),
    }
}
