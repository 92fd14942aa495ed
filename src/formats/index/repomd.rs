//! Reads yum metadata: `repomd.xml` whole, `primary` as a stream, neither with a document type (`repos.md` §3.6, §4).

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Algorithm, Checksum, Problem, shown};

/// The largest single piece of XML (a text, a tag), in bytes.
const LARGEST_PIECE: usize = 8 << 20;
/// The deepest nesting.
const DEEPEST: usize = 64;
/// The longest text that is kept.
const LONGEST_TEXT: usize = 64 << 10;
/// Most entries of a `repomd.xml`.
const MOST_ENTRIES: usize = 1000;

/// One file that `repomd.xml` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// `primary`, `updateinfo` …
    pub kind: String,
    /// Where it is, as written.
    pub href: String,
    /// The base its place is relative to, when one is written.
    pub base: Option<String>,
    /// Of the file as it is fetched.
    pub checksum: Option<Checksum>,
    /// Of the file once decompressed.
    pub open_checksum: Option<Checksum>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// Bytes once decompressed.
    pub open_size: Option<u64>,
}

/// One package that `primary` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, as written.
    pub href: String,
    /// The base its place is relative to, when one is written.
    pub base: Option<String>,
    /// Of the file.
    pub checksum: Option<Checksum>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// The package's architecture.
    pub arch: String,
    /// The package's name.
    pub name: String,
}

/// The files that a `repomd.xml` names, in its order.
///
/// # Errors
/// When it is not well-formed, has a document type, or is something else.
pub fn read_repomd(bytes: &[u8]) -> Result<Vec<Data>, Problem> {
    let mut walk = Walk::new(bytes);
    let mut found: Vec<Data> = Vec::new();
    let mut open: Option<Data> = None;
    let mut checksum: Option<Algorithm> = None;
    while let Some(step) = walk.next()? {
        match step {
            Step::Open(tag) => {
                if walk.path.len() == 1 && tag.name != "repomd" {
                    return Err(Problem::new(format!("its root is {}, not repomd", shown(&tag.name))));
                }
                match (walk.path.len(), tag.name.as_str(), &mut open) {
                    (2, "data", _) => {
                        open = Some(Data { kind: tag.value("type").unwrap_or_default(), ..Data::default() });
                    }
                    (3, "location", Some(data)) => {
                        data.href = tag.value("href").unwrap_or_default();
                        data.base = tag.value("xml:base");
                    }
                    (3, "checksum" | "open-checksum", Some(_)) => checksum = tag.algorithm()?,
                    _ => {}
                }
            }
            Step::Close(name, text) => match (walk.path.len(), name.as_str(), &mut open) {
                (2, "checksum", Some(data)) => data.checksum = sum(checksum.take(), &text)?,
                (2, "open-checksum", Some(data)) => data.open_checksum = sum(checksum.take(), &text)?,
                (2, "size", Some(data)) => data.size = Some(number(&text)?),
                (2, "open-size", Some(data)) => data.open_size = Some(number(&text)?),
                (1, "data", _) => {
                    found.extend(open.take());
                    if found.len() > MOST_ENTRIES {
                        return Err(Problem::new("it names too many files"));
                    }
                }
                _ => {}
            },
        }
    }
    Ok(found)
}

/// The packages of a `primary` file, one after the other.
pub struct Primary<R> {
    walk: Walk<R>,
    /// What the root says there are.
    announced: Option<u64>,
    seen: u64,
    ended: bool,
}

impl<R: BufRead> Primary<R> {
    /// Of decompressed bytes.
    pub fn new(reader: R) -> Primary<R> {
        Primary { walk: Walk::new(reader), announced: None, seen: 0, ended: false }
    }

    fn entry(&mut self) -> Result<Option<Entry>, Problem> {
        let mut open: Option<Entry> = None;
        let mut checksum = None;
        while let Some(step) = self.walk.next()? {
            let depth = self.walk.path.len();
            match step {
                Step::Open(tag) => match (depth, tag.name.as_str(), &mut open) {
                    (1, "metadata", _) => {
                        self.announced = tag.value("packages").and_then(|text| text.trim().parse().ok());
                    }
                    (1, other, _) => {
                        return Err(Problem::new(format!("its root is {}, not metadata", shown(other))));
                    }
                    (2, "package", _) => open = Some(Entry::default()),
                    (3, "checksum", Some(_)) => checksum = tag.algorithm()?,
                    (3, "location", Some(entry)) => {
                        entry.href = tag.value("href").unwrap_or_default();
                        entry.base = tag.value("xml:base");
                    }
                    (3, "size", Some(entry)) => {
                        entry.size = tag.value("package").map(|text| number(&text)).transpose()?;
                    }
                    _ => {}
                },
                Step::Close(name, text) => match (depth, name.as_str(), &mut open) {
                    (2, "checksum", Some(entry)) => entry.checksum = sum(checksum.take(), &text)?,
                    (2, "arch", Some(entry)) => text.trim().clone_into(&mut entry.arch),
                    (2, "name", Some(entry)) => text.trim().clone_into(&mut entry.name),
                    (1, "package", _) => {
                        self.seen += 1;
                        return Ok(open);
                    }
                    _ => {}
                },
            }
        }
        match self.announced {
            Some(announced) if announced != self.seen => {
                Err(Problem::new(format!("it announces {announced} packages and names {}", self.seen)))
            }
            _ => Ok(None),
        }
    }
}

impl<R: BufRead> Iterator for Primary<R> {
    type Item = Result<Entry, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

pub(super) fn sum(algorithm: Option<Algorithm>, text: &str) -> Result<Option<Checksum>, Problem> {
    algorithm.map(|algorithm| Checksum::new(algorithm, text)).transpose()
}

pub(super) fn number(text: &str) -> Result<u64, Problem> {
    text.trim().parse().map_err(|_| Problem::new(format!("{:?} is not a size", shown(text))))
}

/// A start tag: its name without prefix, its attributes as they are written.
pub(super) struct Tag {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn of(start: &BytesStart<'_>) -> Result<Tag, Problem> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| Problem::new(format!("an attribute cannot be read: {e}")))?;
            let name = attribute.key.as_ref().to_owned();
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
            let value =
                value.map_err(|e| Problem::new(format!("the attribute {} cannot be read: {e}", shown(&name))))?;
            attributes.push((name, value.into_owned()));
        }
        Ok(Tag { name: start.local_name().as_ref().to_owned(), attributes })
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(super) fn algorithm(&self) -> Result<Option<Algorithm>, Problem> {
        let name = self.value("type").unwrap_or_default();
        // An unknown kind is passed over: another one may stand beside it.
        Ok(Algorithm::from_name(&name))
    }
}

pub(super) enum Step {
    /// A tag opened; the path includes it.
    Open(Tag),
    /// A tag closed, with the text directly inside it; the path no longer includes it.
    Close(String, String),
}

/// Goes through a document tag by tag, in bounded memory.
pub(super) struct Walk<R> {
    reader: Reader<Bounded<R>>,
    piece: Rc<Cell<usize>>,
    buffer: Vec<u8>,
    pub(super) path: Vec<String>,
    texts: Vec<String>,
    /// An empty tag that has been told as open and is still to be told as closed.
    empty: bool,
    rooted: bool,
}

impl<R: BufRead> Walk<R> {
    pub(super) fn new(reader: R) -> Walk<R> {
        let piece = Rc::new(Cell::new(0));
        let reader = Reader::from_reader(Bounded { inner: reader, piece: piece.clone() });
        Walk { reader, piece, buffer: Vec::new(), path: Vec::new(), texts: Vec::new(), empty: false, rooted: false }
    }

    pub(super) fn next(&mut self) -> Result<Option<Step>, Problem> {
        if std::mem::take(&mut self.empty) {
            return Ok(Some(self.close()));
        }
        loop {
            self.buffer.clear();
            if self.buffer.capacity() > 1 << 20 {
                self.buffer = Vec::new();
            }
            self.piece.set(0);
            let event = self.reader.read_event_into(&mut self.buffer);
            let event = event.map_err(|e| Problem::new(format!("it is not well-formed XML: {e}")))?;
            let text = match event {
                Event::Start(start) => {
                    let tag = Tag::of(&start)?;
                    return self.open(tag).map(Some);
                }
                Event::Empty(start) => {
                    let tag = Tag::of(&start)?;
                    self.empty = true;
                    return self.open(tag).map(Some);
                }
                Event::End(_) => return Ok(Some(self.close())),
                Event::DocType(_) => return Err(Problem::new("it has a document type, which is not read")),
                Event::Text(text) => text.into_inner().into_owned(),
                Event::CData(text) => text.into_inner().into_owned(),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref();
                    match character.map_err(|e| Problem::new(format!("it is not well-formed XML: {e}")))? {
                        Some(character) => character.to_string(),
                        None => predefined(&reference.into_inner())?.to_owned(),
                    }
                }
                Event::Eof if self.path.is_empty() && self.rooted => return Ok(None),
                Event::Eof => return Err(Problem::new("it ends early")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
            };
            if let Some(kept) = self.texts.last_mut()
                && kept.len() + text.len() <= LONGEST_TEXT
            {
                kept.push_str(&text);
            }
        }
    }

    fn open(&mut self, tag: Tag) -> Result<Step, Problem> {
        if self.path.len() >= DEEPEST {
            return Err(Problem::new("it is nested too deeply"));
        }
        self.rooted = true;
        self.path.push(tag.name.clone());
        self.texts.push(String::new());
        Ok(Step::Open(tag))
    }

    fn close(&mut self) -> Step {
        Step::Close(self.path.pop().unwrap_or_default(), self.texts.pop().unwrap_or_default())
    }
}

fn predefined(name: &str) -> Result<&'static str, Problem> {
    Ok(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(Problem::new(format!("it names an unknown entity, {}", shown(name)))),
    })
}

/// A reader that breaks off when one piece of XML is larger than any real one.
struct Bounded<R> {
    inner: R,
    piece: Rc<Cell<usize>>,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.get() > LARGEST_PIECE {
            return Err(io::Error::other("one text or tag is too large"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.piece.set(self.piece.get().saturating_add(count));
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn repomd_is_read() {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\
             <revision>1</revision><data type=\"primary\"><checksum type=\"sha256\">{SUM}</checksum>\
             <open-checksum type=\"sha\">da39a3ee5e6b4b0d3255bfef95601890afd80709</open-checksum>\
             <location href=\"repodata/a&amp;b.xml.gz\"/><size> 12 </size><open-size>99</open-size></data>\
             <data type=\"group\"><location xml:base='http://x/' href=\"g\"/></data></repomd>\n"
        );
        let found = read_repomd(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind.as_str(), found[0].href.as_str()), ("primary", "repodata/a&b.xml.gz"));
        assert_eq!((found[0].size, found[0].open_size), (Some(12), Some(99)));
        assert_eq!(found[0].checksum.as_ref().unwrap().hex, SUM);
        assert_eq!(found[0].open_checksum.as_ref().unwrap().algorithm, Algorithm::Sha1);
        assert_eq!(found[1].base.as_deref(), Some("http://x/"));
    }

    #[test]
    fn primary_is_read_package_by_package() {
        let text = format!(
            "<metadata xmlns=\"c\" xmlns:rpm=\"r\" packages=\"2\"><package type=\"rpm\"><name>a&#43;</name>\
             <arch>noarch</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/><checksum type=\"sha256\" pkgid=\"YES\">{SUM}\
             </checksum><size package=\"7\" installed=\"1\" archive=\"1\"/><location href=\"Packages/a%2b.rpm\"/>\
             <format><rpm:provides><rpm:entry name=\"a\"/></rpm:provides><file>/x</file></format></package>\n\
             <package type=\"rpm\"><name>b</name><arch>x86_64</arch><location href=\"b.rpm\"/></package></metadata>"
        );
        let all: Result<Vec<Entry>, Problem> = Primary::new(text.as_bytes()).collect();
        let all = all.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].name.as_str(), all[0].arch.as_str(), all[0].size), ("a+", "noarch", Some(7)));
        assert_eq!(all[0].href, "Packages/a%2b.rpm");
        assert_eq!(all[1].checksum, None);
    }

    #[test]
    fn what_is_not_metadata_is_refused() {
        let deep = "<a>".repeat(100);
        let cases = [
            ("", "ends early"),
            ("<repomd>", "ends early"),
            ("<html></html>", "root is html"),
            ("hello", "ends early"),
            ("<!DOCTYPE x [<!ENTITY a \"b\">]><repomd/>", "document type"),
            ("<repomd>&b;</repomd>", "unknown entity"),
            ("<repomd><data type=\"x\"></repomd>", "well-formed"),
            ("<repomd><data><checksum type=\"sha256\">12</checksum></data></repomd>", "sha256"),
            ("<repomd><data><size>big</size></data></repomd>", "not a size"),
            (deep.as_str(), "root is a"),
        ];
        for (text, words) in cases {
            let problem = read_repomd(text.as_bytes()).unwrap_err();
            assert!(problem.0.contains(words), "{text}: {problem}");
        }
        let nested = format!("<repomd>{deep}");
        assert!(read_repomd(nested.as_bytes()).unwrap_err().0.contains("nested"));
    }

    #[test]
    fn a_wrong_count_and_a_huge_piece_are_refused() {
        let few = "<metadata packages=\"2\"><package><name>a</name></package></metadata>";
        let all: Vec<_> = Primary::new(few.as_bytes()).collect();
        assert_eq!(all.len(), 2);
        assert!(all[1].as_ref().unwrap_err().0.contains("announces 2"));
        let endless = io::BufReader::new(io::Cursor::new("<metadata><package><name>").chain(io::repeat(b'x')));
        let problem = Primary::new(endless).next().unwrap().unwrap_err();
        assert!(problem.0.contains("too large"), "{problem}");
    }

    #[test]
    fn no_cut_of_a_document_panics() {
        let text = format!("<repomd><data type='p'><checksum type='sha256'>{SUM}</checksum>&#x41;</data></repomd>");
        for end in 0..text.len() {
            assert!(read_repomd(&text.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}
