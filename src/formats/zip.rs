//! The directory of any ZIP archive, read as a stream and under bounds, and single small entries of it.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

use super::magic::{read_at, u16_at, u32_at};

/// The most bytes of directory that are read.
const DIRECTORY_LIMIT: u64 = 64 << 20;
/// The most entries that are looked at.
const ENTRY_LIMIT: u64 = 200_000;
/// How far from the end the end record may begin: its own length and the longest comment.
const TAIL: u64 = 22 + 0xFFFF;

/// One entry, as the directory tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, slashes as they are; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Bytes it inflates to.
    pub size: u64,
    /// Bytes it takes in the archive.
    packed: u64,
    /// How it is packed: 0 stored, 8 deflate.
    method: u16,
    encrypted: bool,
    /// Where its local header begins.
    header: u64,
}

impl Entry {
    /// Whether it only names a directory.
    pub fn is_directory(&self) -> bool {
        self.name.ends_with(['/', '\\'])
    }
}

/// Shows every entry to `visit`, in the directory's order, until it answers `false`. Answers `None` when this is no ZIP
/// archive that can be read, or one with more than 200,000 entries or 64 MiB of directory.
pub fn walk(reader: &mut (impl Read + Seek), mut visit: impl FnMut(&Entry) -> bool) -> Option<()> {
    let end = End::find(reader)?;
    reader.seek(SeekFrom::Start(end.directory)).ok()?;
    let mut records = BufReader::with_capacity(64 << 10, reader.take(end.size));
    let mut name = Vec::new();
    for _ in 0..end.entries {
        let mut fixed = [0; 46];
        records.read_exact(&mut fixed).ok()?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return None;
        }
        let length = |at| u16_at(&fixed, at).map(usize::from);
        let (name_length, extra_length, comment_length) = (length(28)?, length(30)?, length(32)?);
        name.resize(name_length + extra_length, 0);
        records.read_exact(&mut name).ok()?;
        skip(&mut records, comment_length as u64).ok()?;
        let (text, extra) = name.split_at_checked(name_length)?;
        let mut entry = Entry {
            name: String::from_utf8_lossy(text).into_owned(),
            size: u32_at(&fixed, 24)?.into(),
            packed: u32_at(&fixed, 20)?.into(),
            method: u16_at(&fixed, 10)?,
            encrypted: u16_at(&fixed, 8)? & 1 != 0,
            header: u32_at(&fixed, 42)?.into(),
        };
        widen(&mut entry, extra);
        entry.header = entry.header.checked_add(end.shift)?;
        if !visit(&entry) {
            break;
        }
    }
    Some(())
}

/// The bytes of an entry, when they are at most `limit` and can be unpacked.
pub fn contents(reader: &mut (impl Read + Seek), entry: &Entry, limit: u64) -> Option<Vec<u8>> {
    if entry.encrypted || entry.size > limit {
        return None;
    }
    let local = read_at(reader, entry.header, 30).filter(|local| local.starts_with(b"PK\x03\x04"))?;
    let skipped = 30 + u64::from(u16_at(&local, 26)?) + u64::from(u16_at(&local, 28)?);
    reader.seek(SeekFrom::Start(entry.header.checked_add(skipped)?)).ok()?;
    let packed = BufReader::new(reader.take(entry.packed));
    let mut bytes = Vec::new();
    let read = match entry.method {
        0 => packed.take(entry.size).read_to_end(&mut bytes),
        8 => DeflateDecoder::new(packed).take(entry.size).read_to_end(&mut bytes),
        _ => return None,
    };
    (read.ok()? as u64 == entry.size).then_some(bytes)
}

/// Sizes and places that did not fit into the record stand in its extra field (ZIP64).
fn widen(entry: &mut Entry, mut extra: &[u8]) {
    const FULL: u64 = 0xFFFF_FFFF;
    while let (Some(tag), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(mut field) = extra.get(4..4 + usize::from(length)) else { return };
        if tag == 1 {
            for value in [&mut entry.size, &mut entry.packed, &mut entry.header] {
                if *value == FULL
                    && let Some((bytes, rest)) = field.split_first_chunk()
                {
                    (*value, field) = (u64::from_le_bytes(*bytes), rest);
                }
            }
            return;
        }
        extra = extra.get(4 + usize::from(length)..).unwrap_or_default();
    }
}

fn skip(reader: &mut impl Read, count: u64) -> io::Result<()> {
    match io::copy(&mut reader.take(count), &mut io::sink())? == count {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What the end record says.
struct End {
    entries: u64,
    directory: u64,
    size: u64,
    /// Bytes that stand before the archive, like the program of a self-extractor.
    shift: u64,
}

impl End {
    fn find(reader: &mut (impl Read + Seek)) -> Option<End> {
        let length = reader.seek(SeekFrom::End(0)).ok()?;
        let tail_at = length.saturating_sub(TAIL);
        let tail = read_at(reader, tail_at, usize::try_from(length - tail_at).ok()?)?;
        let found = memchr::memmem::rfind(&tail, b"PK\x05\x06")?;
        let record = tail.get(found..)?;
        let position = tail_at + found as u64;
        let mut entries = u64::from(u16_at(record, 10)?);
        let (mut size, mut directory) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
        let mut directory_end = position;
        if entries == 0xFFFF || size == 0xFFFF_FFFF || directory == 0xFFFF_FFFF {
            let wide_at = position.checked_sub(20).and_then(|at| {
                let locator = read_at(reader, at, 20).filter(|locator| locator.starts_with(b"PK\x06\x07"))?;
                u64_at(&locator, 8)
            });
            if let Some(at) = wide_at {
                let wide = read_at(reader, at, 56).filter(|wide| wide.starts_with(b"PK\x06\x06"))?;
                (entries, size, directory) = (u64_at(&wide, 32)?, u64_at(&wide, 40)?, u64_at(&wide, 48)?);
                directory_end = at;
            }
        }
        let shift = directory_end.checked_sub(directory.checked_add(size)?)?;
        let directory = directory + shift;
        (size <= DIRECTORY_LIMIT && entries <= ENTRY_LIMIT).then_some(End { entries, directory, size, shift })
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    /// A ZIP of these files, deflated when `deflate`.
    pub(in super::super) fn zip(files: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let packed = if deflate {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            } else {
                content.to_vec()
            };
            let mut crc = flate2::Crc::new();
            crc.update(content);
            let mut common = vec![20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0, 0];
            common.extend(crc.sum().to_le_bytes());
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend((content.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            let offset = bytes.len() as u32;
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            bytes.extend(name.as_bytes());
            bytes.extend(packed);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend((files.len() as u16).to_le_bytes());
        bytes.extend((files.len() as u16).to_le_bytes());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn all(bytes: &[u8]) -> Option<Vec<(String, Option<Vec<u8>>)>> {
        let mut reader = Cursor::new(bytes);
        let mut entries = Vec::new();
        walk(&mut reader, |entry| {
            entries.push(entry.clone());
            true
        })?;
        Some(entries.iter().map(|entry| (entry.name.clone(), contents(&mut reader, entry, 1000))).collect())
    }

    #[test]
    fn entries_and_their_bytes() {
        for deflate in [false, true] {
            let archive = zip(&[("a/b.txt", b"hello"), ("c\\d.exe", &[7; 900]), ("big", &[0; 2000])], deflate);
            let expected = vec![
                ("a/b.txt".to_owned(), Some(b"hello".to_vec())),
                ("c\\d.exe".to_owned(), Some(vec![7; 900])),
                ("big".to_owned(), None),
            ];
            assert_eq!(all(&archive).unwrap(), expected);
            let mut behind_a_program = vec![0x4D; 777];
            behind_a_program.extend(&archive);
            assert_eq!(all(&behind_a_program).unwrap(), expected);
        }
        assert_eq!(all(b"no archive"), None);
        assert_eq!(all(&zip(&[], false)), Some(Vec::new()));
    }

    #[test]
    fn wide_records_are_read() {
        let mut entry = Entry {
            name: String::new(),
            size: 0xFFFF_FFFF,
            packed: 9,
            method: 0,
            encrypted: false,
            header: 0xFFFF_FFFF,
        };
        let mut extra = vec![9, 0, 1, 0, 5, 1, 0, 16, 0];
        extra.extend((5_u64 << 32).to_le_bytes());
        extra.extend((7_u64 << 32).to_le_bytes());
        widen(&mut entry, &extra);
        assert_eq!((entry.size, entry.packed, entry.header), (5 << 32, 9, 7 << 32));
    }

    #[test]
    fn nothing_in_an_archive_makes_it_panic() {
        let archive = zip(&[("a/b.txt", b"hello"), ("c", &[7; 50])], true);
        for at in 0..archive.len() {
            all(&archive[..at]);
            for value in [0, 1, 0x7F, 0xFF] {
                let mut changed = archive.clone();
                changed[at] = value;
                all(&changed);
            }
        }
    }
}
