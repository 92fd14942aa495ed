//! Where an upstream lies, and the paths its metadata names: pure reading, everything hostile refused (`repos.md` §2, §3.6).

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The longest path or address, in bytes.
const LONGEST: usize = 4096;

/// Where an upstream lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::feeds) enum Place {
    /// Behind an address.
    Web(Url),
    /// In a directory of this machine.
    Directory(PathBuf),
}

impl Place {
    /// Reads an `http(s)://` or `file:///` address or an absolute directory.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub(super) fn read(text: &str) -> Result<Place> {
        let unusable = || {
            Error::invalid(
                "path must be an http://, https:// or file:/// address or an absolute directory, without query",
            )
        };
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(unusable());
        }
        if let Some(rest) = text.strip_prefix("file://") {
            let decoded = decode(rest).ok_or_else(unusable)?;
            // `file:///D:/x` names a drive.
            let drive = cfg!(windows).then(|| decoded.strip_prefix('/')).flatten();
            return directory(drive.unwrap_or(&decoded)).ok_or_else(unusable);
        }
        if text
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:") || scheme.eq_ignore_ascii_case("https"))
        {
            let mut url = Url::read(text).ok_or_else(unusable)?;
            if text.contains(['?', '#']) {
                return Err(unusable());
            }
            url.path.truncate(url.path.trim_end_matches('/').len());
            return Ok(Place::Web(url));
        }
        directory(text).ok_or_else(unusable)
    }
}

fn directory(text: &str) -> Option<Place> {
    let path = Path::new(text);
    let climbs = path.components().any(|part| matches!(part, std::path::Component::ParentDir));
    (path.is_absolute() && !climbs).then(|| Place::Directory(path.to_owned()))
}

/// An `http(s)` address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::feeds) struct Url {
    /// Whether by TLS.
    pub(super) secure: bool,
    /// Host and port as written, in lower case.
    pub(super) authority: String,
    /// Path and query; empty or beginning with a slash.
    pub(super) path: String,
}

impl Url {
    /// Takes an address apart; none when it is no `http(s)` address, or names a user.
    pub(super) fn read(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]~".contains(&c);
        if authority.is_empty() || authority.starts_with(':') || !authority.bytes().all(plain) {
            return None;
        }
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) || text.len() > LONGEST {
            return None;
        }
        // What cannot stand in a request line is written as people's browsers would.
        let path = path.chars().fold(String::new(), |mut path, c| {
            match c {
                '!'..='~' => path.push(c),
                _ => encode_char(c, &mut path),
            }
            path
        });
        Some(Url { secure, authority: authority.to_ascii_lowercase(), path })
    }

    /// The address as text.
    pub(super) fn text(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, if self.path.is_empty() { "/" } else { &self.path })
    }

    /// The host without port.
    pub(super) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        }
    }

    /// Whether both lead to one server: scheme, host and port.
    pub(super) fn same_origin(&self, other: &Url) -> bool {
        let port = |url: &Url| {
            let port = url.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            port.unwrap_or(if url.secure { 443_u16 } else { 80 })
        };
        self.secure == other.secure && self.host() == other.host() && port(self) == port(other)
    }

    /// The address of `path` (see [`relative`]) below this one.
    pub(super) fn below(&self, path: &str) -> Url {
        let base = self.path.trim_end_matches('/');
        Url { path: format!("{base}/{}", encode(path)), ..self.clone() }
    }

    /// Where a `Location` leads from here; none when it is no `http(s)` address.
    pub(super) fn follow(&self, location: &str) -> Option<Url> {
        let location = location.trim();
        if let Some(rest) = location.strip_prefix("//") {
            return Url::read(&format!("{}://{rest}", if self.secure { "https" } else { "http" }));
        }
        let scheme_end = location.find([':', '/', '?', '#']);
        if scheme_end.is_some_and(|at| location.as_bytes().get(at) == Some(&b':')) {
            return Url::read(location);
        }
        let here = self.path.split(['?', '#']).next().unwrap_or_default();
        let path = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{here}{location}"),
            _ => format!("{}/{location}", here.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        Url::read(&Url { path, ..self.clone() }.text())
    }
}

/// Reads a path that metadata names: percent-decoded once, without empty and `.` segments.
///
/// # Errors
/// `Invalid` when it is absolute or empty, climbs by `..`, or holds a backslash or a control character.
pub(super) fn relative(written: &str) -> Result<String> {
    let refused = |why: &str| {
        let shown: String = written.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect();
        Error::invalid(format!("the metadata names the path {shown:?}, which {why}"))
    };
    let decoded = decode(written).ok_or_else(|| refused("is not readable"))?;
    if written.len() > LONGEST {
        return Err(refused("is too long"));
    }
    for text in [written, &decoded] {
        if text.starts_with('/') || text.contains("://") || has_drive(text) {
            return Err(refused("is not relative"));
        }
        if text.contains('\\') || text.chars().any(char::is_control) {
            return Err(refused("holds a forbidden character"));
        }
        if text.split('/').any(|part| part == "..") {
            return Err(refused("climbs out of the repository"));
        }
    }
    let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return Err(refused("is empty"));
    }
    Ok(parts.join("/"))
}

/// `C:…`: a drive of Windows.
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', rest @ ..] if letter.is_ascii_alphabetic() && rest.first().is_none_or(|&c| c == b'/'))
}

/// The last segment of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Percent-decodes once; none when an escape is malformed or the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// A decoded path as it stands in a request.
fn encode(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut text, c| {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' => text.push(c),
            '-' | '.' | '_' | '~' | '/' | '+' | ':' | '@' | '!' | '$' | '&' | '\'' | '(' | ')' | '*' | ',' | ';'
            | '=' => {
                text.push(c);
            }
            _ => encode_char(c, &mut text),
        }
        text
    })
}

fn encode_char(c: char, text: &mut String) {
    use std::fmt::Write;
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a text cannot fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_or_refused() {
        let web = |text: &str| match Place::read(text) {
            Ok(Place::Web(url)) => url.text(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(web("http://Host:80/a/b/"), "http://host:80/a/b");
        assert_eq!(web("https://h"), "https://h/");
        assert_eq!(web("HTTP://h//"), "http://h/");
        assert_eq!(web("http://[::1]:8080/x y"), "http://[::1]:8080/x%20y");
        #[cfg(unix)]
        for (text, path) in [("/srv/x", "/srv/x"), ("file:///srv/a%20b/", "/srv/a b/")] {
            assert_eq!(Place::read(text).unwrap(), Place::Directory(path.into()), "{text}");
        }
        let bad = [
            "",
            "relative",
            "./x",
            "ftp://h/x",
            "http://",
            "http:///x",
            "http://u:p@h/",
            "http://h/x?q",
            "http://h/#f",
            "file://host/x",
            "file://x",
            "/srv/../etc",
            "http://h:99999/",
            "http://h\n/",
            "httpx://h",
            "http:/h",
            "~/x",
        ];
        for text in bad {
            assert!(Place::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let good = [
            ("a.rpm", "a.rpm"),
            ("Packages/a%2bb.rpm", "Packages/a+b.rpm"),
            ("./pool//a/./b_1%3a2.deb", "pool/a/b_1:2.deb"),
            ("a..b/c", "a..b/c"),
            ("a%20b", "a b"),
            ("...", "..."),
        ];
        for (written, path) in good {
            assert_eq!(relative(written).unwrap(), path, "{written}");
        }
        let bad = [
            "",
            ".",
            "./",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "%2e%2e/x",
            "%2E%2e%2fx",
            "a%5c..%5cx",
            "a\\b",
            "%2fetc",
            "a%00b",
            "a\nb",
            "a%0ab",
            "http://h/x",
            "file:///x",
            "c:/x",
            "C:",
            "%zz",
            "%ff",
            "//h/x",
        ];
        for written in bad {
            assert!(relative(written).is_err(), "{written}");
        }
    }

    #[test]
    fn addresses_below_and_behind() {
        let base = Url::read("http://h/a/b").unwrap();
        assert_eq!(base.below("c d/e+f%.rpm").text(), "http://h/a/b/c%20d/e+f%25.rpm");
        assert_eq!(Url::read("http://h").unwrap().below("x").text(), "http://h/x");
        let cases = [
            ("/x", Some("http://h/x")),
            ("y?z", Some("http://h/a/y?z")),
            ("?q", Some("http://h/a/b?q")),
            ("//other/x", Some("http://other/x")),
            ("https://o:1/x", Some("https://o:1/x")),
            ("file:///etc/passwd", None),
            ("ftp://h/", None),
            ("http://u@h/", None),
        ];
        for (location, text) in cases {
            assert_eq!(base.follow(location).map(|url| url.text()).as_deref(), text, "{location}");
        }
        let origin = |a: &str, b: &str| Url::read(a).unwrap().same_origin(&Url::read(b).unwrap());
        assert!(origin("http://h/x", "http://H:80/y") && origin("https://h", "https://h:443"));
        assert!(
            !origin("http://h", "https://h") && !origin("http://h", "http://h:81") && !origin("http://h", "http://i")
        );
    }
}
