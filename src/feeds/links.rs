//! Absolute addresses, made when answering: of repos, upstreams, packages, snapshots.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::ids::Digest;

/// What a path segment keeps as it is.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'@').remove(b'^');
/// The same for a whole path.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// One segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A whole relative path.
pub fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// What absolute addresses begin with.
#[derive(Clone, Debug)]
pub struct Base(String);

impl Base {
    /// The configured public address, else the host the request named.
    ///
    /// # Errors
    /// `Invalid` when it named none that could be one.
    pub fn of(app: &App, request: &Request) -> Result<Base> {
        if let Some(base) = &app.settings.public_url {
            return Ok(Base(base.clone()));
        }
        let scheme = if request.secure { "https" } else { "http" };
        match request.head.headers.text("host") {
            Some(host) if is_host(host) => Ok(Base(format!("{scheme}://{host}"))),
            // HTTP/1.0 clients may name none.
            None if request.head.headers.get("host").is_none() => Ok(Base(format!("{scheme}://localhost"))),
            _ => Err(Error::invalid("invalid Host header")),
        }
    }

    /// The address itself, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of an upstream.
    pub fn upstream(&self, name: &str) -> String {
        format!("{}/upstream/{}", self.0, segment(name))
    }

    /// Of a repo.
    pub fn repo(&self, name: &str) -> String {
        format!("{}/repo/{}", self.0, segment(name))
    }

    /// Of a snapshot of a repo: the tree it serves.
    pub fn snapshot(&self, repo: &str, name: &str) -> String {
        format!("{}/repo/{}@{}/", self.0, segment(repo), segment(name))
    }

    /// Of a package.
    pub fn package(&self, digest: &Digest) -> String {
        format!("{}/package/{digest}", self.0)
    }
}

fn is_host(host: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
    !host.is_empty() && host.len() <= 270 && host.bytes().all(inner)
}
