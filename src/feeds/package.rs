//! From bytes to a package: what it is by its content, what it says of itself, what it contributes to indexes.

use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::packages::{Fragments, Prepared, Text};
use crate::feeds::model::{Package, PackageType};
use crate::feeds::publish::paths;
use crate::feeds::rules;
use crate::formats::control::Paragraph;
use crate::formats::deb::{self, Deb};
use crate::formats::fault::Fault;
use crate::formats::rpm::{self, Entry, Rpm};
use crate::formats::xml::{push_attribute, push_text};
use crate::formats::{self, Facts};
use crate::ids::Digest;

/// How much of a package is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its headers: for bytes that were verified otherwise.
    Headers,
    /// All of it, against its own digests.
    Whole,
}

/// What is known of bytes before they are read.
pub struct Bytes<'a> {
    /// Their digest.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// A name for the file, if anybody gave one.
    pub name: Option<&'a str>,
    /// Whether they are to be a plain file whatever they hold.
    pub plain: bool,
}

/// Reads a package. An rpm or deb is known by its content (`repos.md` §9.3).
///
/// # Errors
/// `Invalid` for an rpm or deb that cannot be read, and for a plain file without a name; `Internal` when the disk fails.
pub fn inspect<R: Read + Seek>(file: &mut R, bytes: &Bytes, depth: Depth, now: Time) -> Result<Prepared> {
    let given = bytes.name.map(rules::base_name).transpose()?;
    let kind = if bytes.plain { PackageType::File } else { kind(file)? };
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    match kind {
        PackageType::Rpm => {
            let read = match depth {
                Depth::Headers => rpm::read(&mut std::io::BufReader::new(file)),
                Depth::Whole => rpm::verify(&mut std::io::BufReader::with_capacity(1 << 18, file)),
            };
            Ok(of_rpm(&read.map_err(|fault| broken("rpm", fault))?, bytes, given, now))
        }
        PackageType::Deb => {
            let read = match depth {
                Depth::Headers => deb::read(file),
                Depth::Whole => deb::verify(file),
            };
            Ok(of_deb(&read.map_err(|fault| broken("deb", fault))?, bytes, given, now))
        }
        PackageType::File => {
            let name = given.ok_or_else(|| Error::invalid("a plain file needs a name: give ?filename="))?;
            let facts = if bytes.plain { Facts::default() } else { formats::inspect(file, name) };
            Ok(plain(bytes, name, facts, now))
        }
    }
}

/// What somebody else's index says of a package whose bytes are not here.
pub enum Said {
    /// An rpm.
    Rpm(Box<Rpm>),
    /// The stanza of a deb.
    Deb(Vec<u8>),
    /// That there is a file.
    File,
}

/// A package by what an index says of it.
///
/// # Errors
/// `Invalid` for a stanza that is none.
pub fn said(said: &Said, digest: &Digest, size: u64, name: &str, now: Time) -> Result<Prepared> {
    let bytes = Bytes { digest: *digest, size, name: Some(name), plain: false };
    let given = Some(rules::base_name(name)?);
    match said {
        Said::Rpm(rpm) => Ok(of_rpm(rpm, &bytes, given, now)),
        Said::Deb(text) => {
            let deb = Paragraph::parse(text).and_then(Deb::from_control);
            let deb = deb.map_err(|fault| Error::invalid(format!("{name}: its stanza cannot be read: {fault}")))?;
            Ok(of_deb(&deb, &bytes, given, now))
        }
        Said::File => Ok(plain(&bytes, rules::base_name(name)?, Facts::default(), now)),
    }
}

fn broken(kind: &str, fault: Fault) -> Error {
    match fault {
        Fault::Read(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Error::internal(error),
        fault => Error::invalid(format!("the {kind} cannot be read: {fault}")),
    }
}

/// What the first bytes say.
fn kind(file: &mut (impl Read + Seek)) -> Result<PackageType> {
    let mut head = Vec::with_capacity(32);
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    file.by_ref().take(32).read_to_end(&mut head).map_err(Error::internal)?;
    Ok(if head.starts_with(&[0xED, 0xAB, 0xEE, 0xDB]) {
        PackageType::Rpm
    } else if head.starts_with(b"!<arch>\ndebian-binary") {
        PackageType::Deb
    } else {
        PackageType::File
    })
}

fn plain(bytes: &Bytes, name: &str, facts: Facts, now: Time) -> Prepared {
    let package = Package {
        kind: PackageType::File,
        name: name.to_owned(),
        version: String::new(),
        release: String::new(),
        epoch: 0,
        arch: String::new(),
        size: bytes.size,
        filename: name.to_owned(),
        source: None,
        known_at: now,
    };
    Prepared { digest: bytes.digest, package, fragments: Fragments::default(), facts }
}

fn of_deb(deb: &Deb, bytes: &Bytes, given: Option<&str>, now: Time) -> Prepared {
    let package = Package {
        kind: PackageType::Deb,
        name: deb.name.clone(),
        version: deb.version.clone(),
        release: String::new(),
        epoch: 0,
        arch: deb.arch.clone(),
        size: bytes.size,
        filename: given.map_or_else(|| deb.file_name(), str::to_owned),
        source: deb.source.clone().filter(|source| *source != deb.name),
        known_at: now,
    };
    let fragments = Fragments { stanza: Some(Text::new(stanza(deb))), ..Fragments::default() };
    Prepared { digest: bytes.digest, facts: facts(&package), package, fragments }
}

/// The fields of the control file as they are, without those the index has its own values for and blank ones.
fn stanza(deb: &Deb) -> String {
    const OURS: [&str; 8] = ["Filename", "Size", "MD5sum", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512"];
    let mut text = String::new();
    for field in deb.control.fields() {
        let ours = OURS.iter().any(|name| field.name.eq_ignore_ascii_case(name));
        if !ours && !field.value.trim().is_empty() {
            field.write(&mut text);
        }
    }
    text
}

fn of_rpm(rpm: &Rpm, bytes: &Bytes, given: Option<&str>, now: Time) -> Prepared {
    let package = Package {
        kind: PackageType::Rpm,
        name: rpm.name.clone(),
        version: rpm.version.clone(),
        release: rpm.release.clone(),
        epoch: u64::from(rpm.epoch.unwrap_or_default()),
        arch: rpm.arch.clone(),
        size: bytes.size,
        filename: given.map_or_else(|| rpm.file_name(), str::to_owned),
        source: None,
        known_at: now,
    };
    let fragments = Fragments {
        primary: Some(Text::new(primary(rpm, &package, &bytes.digest))),
        filelists: Some(Text::new(filelists(rpm, &bytes.digest))),
        other: Some(Text::new(other(rpm, &bytes.digest))),
        stanza: None,
    };
    Prepared { digest: bytes.digest, facts: facts(&package), package, fragments }
}

fn facts(package: &Package) -> Facts {
    let (kind, version) = match package.kind {
        PackageType::Rpm => (formats::Kind::Rpm, format!("{}-{}", package.version, package.release)),
        PackageType::Deb => (formats::Kind::Deb, package.version.clone()),
        PackageType::File => return Facts::default(),
    };
    Facts {
        kind,
        name: Some(package.name.clone()),
        version: Some(version),
        arch: Some(package.arch.clone()),
        ..Facts::default()
    }
}

/// An attribute with a blank before it.
fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    push_attribute(out, value);
    out.push('"');
}

/// An element of text; an empty one when there is none.
fn element(out: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        out.push_str(&format!("<{name}/>"));
        return;
    }
    out.push_str(&format!("<{name}>"));
    push_text(out, value);
    out.push_str(&format!("</{name}>"));
}

fn version(out: &mut String, rpm: &Rpm) {
    out.push_str("<version");
    attribute(out, "epoch", &rpm.epoch.unwrap_or_default().to_string());
    attribute(out, "ver", &rpm.version);
    attribute(out, "rel", &rpm.release);
    out.push_str("/>");
}

/// The element of `primary` (`repos.md` §12).
fn primary(rpm: &Rpm, package: &Package, digest: &Digest) -> String {
    let mut out = String::with_capacity(2048);
    out.push_str("<package type=\"rpm\">");
    element(&mut out, "name", &rpm.name);
    element(&mut out, "arch", &rpm.arch);
    version(&mut out, rpm);
    _ = write!(out, "<checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>");
    element(&mut out, "summary", &rpm.summary);
    element(&mut out, "description", &rpm.description);
    element(&mut out, "packager", &rpm.packager);
    element(&mut out, "url", &rpm.url);
    _ = write!(
        out,
        "<time file=\"{}\" build=\"{}\"/><size package=\"{}\" installed=\"{}\" archive=\"{}\"/><location",
        package.known_at.seconds(),
        rpm.build_time,
        package.size,
        rpm.sizes.installed,
        rpm.sizes.archive
    );
    attribute(&mut out, "href", &paths::yum(digest, package));
    out.push_str("/>\n<format>");
    element(&mut out, "rpm:license", &rpm.license);
    element(&mut out, "rpm:vendor", &rpm.vendor);
    element(&mut out, "rpm:group", &rpm.group);
    element(&mut out, "rpm:buildhost", &rpm.buildhost);
    element(&mut out, "rpm:sourcerpm", &rpm.sourcerpm);
    _ = write!(out, "<rpm:header-range start=\"{}\" end=\"{}\"/>", rpm.header_range.0, rpm.header_range.1);
    let lists = [
        ("provides", &rpm.provides),
        ("requires", &rpm.requires),
        ("conflicts", &rpm.conflicts),
        ("obsoletes", &rpm.obsoletes),
        ("suggests", &rpm.suggests),
        ("enhances", &rpm.enhances),
        ("recommends", &rpm.recommends),
        ("supplements", &rpm.supplements),
    ];
    for (name, entries) in lists {
        relations(&mut out, name, entries);
    }
    for file in rpm.files.iter().filter(|file| file.is_primary()) {
        file_element(&mut out, file);
    }
    out.push_str("</format></package>\n");
    out
}

fn relations(out: &mut String, name: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    _ = write!(out, "\n<rpm:{name}>");
    for entry in entries {
        out.push_str("<rpm:entry");
        attribute(out, "name", &entry.name);
        if let Some(flags) = entry.flags {
            attribute(out, "flags", flags.word());
            attribute(out, "epoch", &entry.epoch);
            attribute(out, "ver", &entry.ver);
            if let Some(rel) = &entry.rel {
                attribute(out, "rel", rel);
            }
        }
        if entry.pre {
            attribute(out, "pre", "1");
        }
        out.push_str("/>");
    }
    _ = write!(out, "</rpm:{name}>");
}

fn file_element(out: &mut String, file: &rpm::File) {
    match file.kind.word() {
        Some(word) => _ = write!(out, "<file type=\"{word}\">"),
        None => out.push_str("<file>"),
    }
    push_text(out, &file.path);
    out.push_str("</file>");
}

fn package_head(out: &mut String, rpm: &Rpm, digest: &Digest) {
    _ = write!(out, "<package pkgid=\"{digest}\"");
    attribute(out, "name", &rpm.name);
    attribute(out, "arch", &rpm.arch);
    out.push('>');
    version(out, rpm);
}

/// The element of `filelists`.
fn filelists(rpm: &Rpm, digest: &Digest) -> String {
    let mut out = String::with_capacity(256 + rpm.files.len() * 64);
    package_head(&mut out, rpm, digest);
    for file in &rpm.files {
        file_element(&mut out, file);
    }
    out.push_str("</package>\n");
    out
}

/// The element of `other`.
fn other(rpm: &Rpm, digest: &Digest) -> String {
    let mut out = String::with_capacity(512);
    package_head(&mut out, rpm, digest);
    for change in &rpm.changelogs {
        out.push_str("<changelog");
        attribute(&mut out, "author", &change.author);
        attribute(&mut out, "date", &change.time.to_string());
        out.push('>');
        push_text(&mut out, &change.text);
        out.push_str("</changelog>");
    }
    out.push_str("</package>\n");
    out
}
