//! Debian binary packages: the control file with its facts, and a check of the whole file in constant memory.

use std::io::{self, BufReader, Read};

use crate::formats::compress::{Bounds, Compression, Decoder};
use crate::formats::control::Paragraph;
use crate::formats::fault::Fault;
use crate::formats::tar::Tar;

/// Longest control file.
const LONGEST_CONTROL: u64 = 4 << 20;
/// Most bytes that may come out of a control archive; file lists with checksums lie in it too.
const CONTROL_BOUNDS: Bounds = Bounds { output: 256 << 20, free: 64 << 20, ratio: 1_100 };
/// Most bytes that may come out of a data archive. Disk images full of zeros are packed at times.
const DATA_BOUNDS: Bounds = Bounds { output: 64 << 30, free: 1 << 30, ratio: 1_100 };
/// Members passed over between `debian-binary` and the control archive.
const MOST_EXTRAS: usize = 16;

/// What a Debian package says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deb {
    /// The whole control file.
    pub control: Paragraph,
    /// `Package`: letters, digits, `+`, `-`, `.`, `_`.
    pub name: String,
    /// `Version` with epoch and revision: letters, digits, `.`, `+`, `-`, `~`, `:`.
    pub version: String,
    /// `Architecture`: letters, digits, `-`.
    pub arch: String,
    /// The name in `Source`, when it is there: characters as in `name`.
    pub source: Option<String>,
}

impl Deb {
    /// `NAME_VERSION_ARCH.deb`, the version without its epoch.
    pub fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version_without_epoch(), self.arch)
    }

    /// The version without its epoch.
    pub fn version_without_epoch(&self) -> &str {
        self.version.split_once(':').map_or(&self.version, |(_, rest)| rest)
    }

    /// The source package: the one named, else that of the same name.
    pub fn source_or_name(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.name)
    }

    /// From the fields of a control file, or of a stanza of `Packages`.
    ///
    /// # Errors
    /// When a field that every package has is missing or malformed.
    pub fn from_control(control: Paragraph) -> Result<Deb, Fault> {
        let field = |name: &str| -> Result<String, Fault> {
            let value = control.filled(name).ok_or_else(|| Fault::bad(format!("the field {name} is missing")))?;
            Ok(value.to_owned())
        };
        let (name, version, arch) = (field("Package")?, field("Version")?, field("Architecture")?);
        let source =
            control.filled("Source").and_then(|source| source.split([' ', '\t', '(']).next()).map(str::to_owned);
        for (field, value, good) in [
            ("Package", Some(&name), is_name as fn(&str) -> bool),
            ("Version", Some(&version), is_version),
            ("Architecture", Some(&arch), is_arch),
            ("Source", source.as_ref(), is_name),
        ] {
            if let Some(value) = value.filter(|value| !good(value)) {
                return Err(Fault::bad(format!("the field {field} is malformed: {value:?}")));
            }
        }
        Ok(Deb { control, name, version, arch, source })
    }
}

const LONGEST_WORD: usize = 255;

fn is_word(text: &str, others: &[u8]) -> bool {
    text.len() <= LONGEST_WORD
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn is_name(text: &str) -> bool {
    is_word(text, b"+-._")
}

fn is_arch(text: &str) -> bool {
    is_word(text, b"-")
}

fn is_version(text: &str) -> bool {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    epoch.parse::<i32>().is_ok_and(|epoch| epoch >= 0)
        && epoch.bytes().all(|byte| byte.is_ascii_digit())
        && is_word(rest, b".+-~:")
}

/// Reads the facts of the package `reader` begins with, and no further than its control archive.
pub fn read(reader: impl Read) -> Result<Deb, Fault> {
    let mut outer = BufReader::with_capacity(64 << 10, reader);
    control(&mut outer)
}

/// Reads the whole package: facts as `read` does, then the data archive member by member to its end, checksums of its
/// compression included.
pub fn verify(reader: impl Read) -> Result<Deb, Fault> {
    let mut outer = BufReader::with_capacity(64 << 10, reader);
    let deb = control(&mut outer)?;
    let head = loop {
        match member(&mut outer)? {
            Some(head) if head.name.starts_with('_') => skip(&mut outer, head.size)?,
            Some(head) => break head,
            None => return Err(Fault::bad("there is no data.tar")),
        }
    };
    let compression = archive_compression(&head.name, "data.tar", true)
        .ok_or_else(|| Fault::bad(format!("after the control archive comes {:?}, not data.tar", head.name)))?;
    walk(&mut outer, head.size, compression, DATA_BOUNDS, None).map_err(|fault| fault.at(&head.name))?;
    Ok(deb)
}

fn control(outer: &mut impl Read) -> Result<Deb, Fault> {
    format_version(outer)?;
    let head = (0..=MOST_EXTRAS).find_map(|_| match member(outer) {
        Ok(Some(head)) if head.name.starts_with('_') => skip(outer, head.size).err().map(Err),
        other => Some(other),
    });
    let Some(head) = head.transpose()?.flatten() else {
        return Err(Fault::bad("there is no control.tar"));
    };
    let compression = archive_compression(&head.name, "control.tar", false)
        .ok_or_else(|| Fault::bad(format!("after debian-binary comes {:?}, not control.tar", head.name)))?;
    let bytes = walk(outer, head.size, compression, CONTROL_BOUNDS, Some("control"))
        .and_then(|found| found.ok_or_else(|| Fault::bad("there is no control file")))
        .map_err(|fault| fault.at(&head.name))?;
    Paragraph::parse(&bytes).and_then(Deb::from_control).map_err(|fault| fault.at("control"))
}

/// The archive's magic and the member `debian-binary`.
fn format_version(outer: &mut impl Read) -> Result<(), Fault> {
    let mut magic = [0; 8];
    outer.read_exact(&mut magic)?;
    if &magic != b"!<arch>\n" {
        return Err(Fault::bad("this is no Debian package"));
    }
    let head = member(outer)?.filter(|head| head.name == "debian-binary");
    let head = head.ok_or_else(|| Fault::bad("the first member is not debian-binary"))?;
    if head.size > 1024 {
        return Err(Fault::bad("debian-binary is too long"));
    }
    let mut version = Vec::new();
    outer.take(head.size).read_to_end(&mut version)?;
    skip(outer, head.size % 2)?;
    if !version.starts_with(b"2.") || !version.contains(&b'\n') {
        return Err(Fault::bad("the package is not of format 2"));
    }
    Ok(())
}

/// One member of the outer archive.
struct Member {
    name: String,
    size: u64,
}

/// The head of the next member; `None` at the end of the file.
fn member(outer: &mut impl Read) -> Result<Option<Member>, Fault> {
    let mut head = Vec::with_capacity(60);
    outer.take(60).read_to_end(&mut head)?;
    // A line feed pads the last member of some archives although nothing follows.
    if head.is_empty() || head == b"\n" {
        return Ok(None);
    }
    let wrong = || Fault::bad("the head of a member is broken");
    let head: &[u8; 60] = head.first_chunk().ok_or_else(|| Fault::bad("the file ends too early"))?;
    let (name, rest) = head.split_first_chunk::<16>().ok_or_else(wrong)?;
    let (_, size) = rest.split_at_checked(32).ok_or_else(wrong)?;
    let (size, end) = size.split_first_chunk::<10>().ok_or_else(wrong)?;
    if end != b"`\n" {
        return Err(wrong());
    }
    let name = std::str::from_utf8(name).map_err(|_| wrong())?.trim_end_matches(' ');
    let size = std::str::from_utf8(size).map_err(|_| wrong())?.trim_end_matches(' ');
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let size = size.parse().map_err(|_| wrong())?;
    Ok(Some(Member { name: name.strip_suffix('/').unwrap_or(name).to_owned(), size }))
}

/// Passes over a member's content and its padding; the last padding of a file may be missing.
fn skip(outer: &mut impl Read, size: u64) -> Result<(), Fault> {
    let passed = io::copy(&mut outer.take(size.saturating_add(size % 2)), &mut io::sink())?;
    if passed < size { Err(Fault::bad("the file ends too early")) } else { Ok(()) }
}

/// How the member `name` is compressed when it is `stem` with a known ending.
fn archive_compression(name: &str, stem: &str, lzma: bool) -> Option<Compression> {
    match name.strip_prefix(stem)? {
        "" => Some(Compression::Plain),
        ".gz" => Some(Compression::Gzip),
        ".xz" => Some(Compression::Xz),
        ".zst" => Some(Compression::Zstd),
        ".bz2" => Some(Compression::Bzip2),
        ".lzma" if lzma => Some(Compression::Lzma),
        _ => None,
    }
}

/// Walks the tar archive of the next `size` bytes member by member to its end, then reads the compressed data and the
/// outer member to theirs. Answers the content of the file `wanted`.
fn walk(
    outer: &mut impl Read,
    size: u64,
    compression: Compression,
    bounds: Bounds,
    wanted: Option<&str>,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut content = outer.take(size);
    let mut tar = Tar::new(Decoder::new(compression, &mut content, bounds));
    let mut found = None;
    while let Some(entry) = tar.next()? {
        let name = entry.name.strip_prefix(b"./").unwrap_or(&entry.name);
        if !entry.regular || wanted.is_none_or(|wanted| name != wanted.as_bytes()) {
            continue;
        }
        if found.is_some() {
            return Err(Fault::bad(format!("there are two files {}", String::from_utf8_lossy(name))));
        }
        found = Some(tar.content(LONGEST_CONTROL)?);
    }
    io::copy(&mut tar.into_inner(), &mut io::sink())?;
    io::copy(&mut content, &mut io::sink())?;
    if content.limit() > 0 {
        return Err(Fault::bad("the file ends too early"));
    }
    io::copy(&mut outer.take(size % 2), &mut io::sink())?;
    Ok(found)
}
