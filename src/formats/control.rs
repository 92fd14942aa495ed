//! Paragraphs of `Field: value` lines (deb822): Debian control files, `Packages`, `Release`; order and spelling are kept.

use std::collections::HashSet;
use std::io::{BufRead, Read};

use crate::formats::fault::Fault;

/// Longest paragraph read, in bytes.
pub const LONGEST_PARAGRAPH: u64 = 8 << 20;

/// One field as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in the spelling of the source.
    pub name: String,
    /// Its value: the first line without blanks around it, then the continuation lines as they were, each after a line
    /// feed and with its leading blank.
    pub value: String,
}

/// Fields in their order. No two have the same name, whatever the case of their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<Field>,
}

impl Paragraph {
    /// Reads the one paragraph `bytes` holds; empty lines around it are passed over. Refused: none or several, a line
    /// that is no field, a name that is none or comes twice, a continuation with nothing to continue. Bytes that are not
    /// UTF-8 are read as Latin-1.
    pub fn parse(bytes: &[u8]) -> Result<Paragraph, Fault> {
        let mut paragraphs = Paragraphs::new(bytes);
        let Some(paragraph) = paragraphs.next().transpose()? else {
            return Err(Fault::bad("there is no field"));
        };
        if paragraphs.next().is_some() {
            return Err(Fault::bad("there is more than one paragraph"));
        }
        Ok(paragraph)
    }

    /// The fields in their order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The value of the field `name`, whatever the case of its letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.as_str())
    }

    /// The value of the field `name` when it is there and not blank.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The lines after the first of the field `name`, without blanks around them: how `Release` lists its files.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.get(name).unwrap_or_default().lines();
        lines.skip(1).map(str::trim).filter(|line| !line.is_empty())
    }

    /// The paragraph as text, every line ended by a line feed, without an empty line after it.
    pub fn to_text(&self) -> String {
        let length = self.fields.iter().map(|field| field.name.len() + field.value.len() + 3).sum();
        let mut text = String::with_capacity(length);
        for field in &self.fields {
            field.write(&mut text);
        }
        text
    }
}

impl Field {
    /// Adds `Name: value` and a line feed to `text`.
    pub fn write(&self, text: &mut String) {
        text.push_str(&self.name);
        text.push(':');
        if !self.value.is_empty() && !self.value.starts_with('\n') {
            text.push(' ');
        }
        text.push_str(&self.value);
        text.push('\n');
    }
}

/// The paragraphs of a stream, one after the other in constant memory.
pub struct Paragraphs<R> {
    reader: R,
    line: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> Paragraphs<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Paragraphs<R> {
        Paragraphs { reader, line: Vec::new(), failed: false }
    }

    fn read(&mut self) -> Result<Option<Paragraph>, Fault> {
        let mut building = Building::default();
        let mut left = LONGEST_PARAGRAPH;
        loop {
            self.line.clear();
            let read = self.reader.by_ref().take(left.max(1)).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                break;
            }
            let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                if building.is_empty() {
                    continue;
                }
                break;
            }
            left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
            if left == 0 {
                return Err(Fault::bad(format!("a paragraph is longer than {LONGEST_PARAGRAPH} bytes")));
            }
            building.line(line)?;
        }
        building.finish()
    }
}

impl<R: BufRead> Iterator for Paragraphs<R> {
    type Item = Result<Paragraph, Fault>;

    /// The next paragraph; after a fault there is none.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let result = self.read().transpose();
        self.failed = matches!(result, Some(Err(_)));
        result
    }
}

/// A paragraph while its lines come in; values are bytes until all of them are known, so that one odd byte decides the
/// encoding of the whole field.
#[derive(Default)]
struct Building {
    fields: Vec<(String, Vec<u8>)>,
}

impl Building {
    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            Some(b'#') => Ok(()),
            Some(b' ' | b'\t') => {
                let Some((_, value)) = self.fields.last_mut() else {
                    return Err(Fault::bad("the first line continues nothing"));
                };
                value.push(b'\n');
                value.extend_from_slice(line);
                Ok(())
            }
            _ => {
                let colon = line.iter().position(|byte| *byte == b':');
                let (name, value) = colon.and_then(|at| line.split_at_checked(at)).unwrap_or((&[], line));
                let is_name = !name.is_empty() && !name.starts_with(b"-") && name.iter().all(u8::is_ascii_graphic);
                let Some(name) = std::str::from_utf8(name).ok().filter(|_| is_name) else {
                    let start = String::from_utf8_lossy(line.get(..40).unwrap_or(line));
                    return Err(Fault::bad(format!("a line is no field: {:?}", start)));
                };
                self.fields.push((name.to_owned(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Option<Paragraph>, Fault> {
        let mut names = HashSet::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(Fault::bad(format!("the field {name} is there twice")));
            }
            if value.contains(&0) {
                return Err(Fault::bad(format!("the field {name} holds a zero byte")));
            }
        }
        if self.is_empty() {
            return Ok(None);
        }
        let fields = self.fields.into_iter().map(|(name, value)| Field { name, value: text(value) }).collect();
        Ok(Some(Paragraph { fields }))
    }
}

/// UTF-8, else Latin-1.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_spelling_and_continuations_are_kept() {
        let source = "\n\npackage: tool\nVersion:1:2.0-1  \nDescription: a tool\n does things\n .\n   indented\nX-Odd:\n one\n two \n\n";
        let paragraph = Paragraph::parse(source.as_bytes()).unwrap();
        assert_eq!(paragraph.get("Package"), Some("tool"));
        assert_eq!(paragraph.get("VERSION"), Some("1:2.0-1"));
        assert_eq!(paragraph.get("Description"), Some("a tool\n does things\n .\n   indented"));
        assert_eq!(paragraph.lines("x-odd").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(paragraph.get("Nothing"), None);
        assert_eq!(
            paragraph.to_text(),
            "package: tool\nVersion: 1:2.0-1\nDescription: a tool\n does things\n .\n   indented\nX-Odd:\n one\n two \n"
        );
        assert_eq!(Paragraph::parse(paragraph.to_text().as_bytes()).unwrap(), paragraph);
    }

    #[test]
    fn blank_values_carriage_returns_and_comments() {
        let paragraph = Paragraph::parse(b"A: 1\r\n# remark\r\nB:\r\n  \t\r\n").unwrap();
        assert_eq!(paragraph.fields().len(), 2);
        assert_eq!((paragraph.get("A"), paragraph.get("B"), paragraph.filled("B")), (Some("1"), Some(""), None));
        assert_eq!(Paragraph::parse(b"A: 1").unwrap().to_text(), "A: 1\n");
        assert_eq!(Paragraph::parse(b"A: Andr\xE9").unwrap().get("A"), Some("André"));
    }

    #[test]
    fn refusals() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "there is no field"),
            (b" \n\t\n", "there is no field"),
            (b"A: 1\n\nB: 2\n", "there is more than one paragraph"),
            (b" A: 1\n", "the first line continues nothing"),
            (b"A: 1\na: 2\n", "the field a is there twice"),
            (b"no field\n", "a line is no field: \"no field\""),
            (b": x\n", "a line is no field: \": x\""),
            (b"-A: x\n", "a line is no field: \"-A: x\""),
            (b"A: x\0\n", "the field A holds a zero byte"),
        ];
        for (source, message) in cases {
            assert_eq!(Paragraph::parse(source).unwrap_err().to_string(), message, "{source:?}");
        }
    }

    #[test]
    fn streams() {
        let text = b"A: 1\n\n\nA: 2\nB: 3\n\n";
        let all: Vec<_> = Paragraphs::new(&text[..]).map(|p| p.unwrap().to_text()).collect();
        assert_eq!(all, ["A: 1\n", "A: 2\nB: 3\n"]);
        // Without an end the memory is bounded all the same.
        let endless = std::io::BufReader::new(std::io::repeat(b'a'));
        let mut endless = Paragraphs::new(endless);
        assert!(endless.next().unwrap().is_err());
        assert!(endless.next().is_none());
    }
}
