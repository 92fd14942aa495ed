//! Reads a stored ZIP as it comes, file by file, without keeping it and without believing anything it says twice.
//!
//! The heads in front of the files are read first and the directory behind them must say the same, in the same order,
//! without a gap: so nothing can overlap, hide, or stand where two readers would see two things. Every byte counts:
//! what is not bytes of a file is either said twice or has one of few values.

use std::io::{self, BufReader, Read};

use flate2::Crc;

use super::{BLOBS, EXTRA, MANIFEST, SIGNATURE};
use crate::error::{Error, Result};
use crate::feeds::rules::shown;
use crate::http::body_error;
use crate::ids::Digest;

/// The most files of a bundle.
const MOST_FILES: usize = 1_000_000;
/// The longest name, in bytes.
const LONGEST_NAME: u16 = 256;

const FILE: u32 = 0x0403_4b50;
const LINE: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// A file of a bundle, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Manifest,
    Signature,
    Extra(Digest),
    Package(Digest),
    /// A directory that some packers note.
    Directory,
}

impl Name {
    fn read(bytes: &[u8]) -> Result<Name> {
        let unknown = || Error::invalid(format!("no bundle has a file {}", shown(&String::from_utf8_lossy(bytes))));
        let text = std::str::from_utf8(bytes).map_err(|_| unknown())?;
        let digest = |hex: &str| Digest::from_hex(hex).filter(|digest| digest.to_hex() == hex).ok_or_else(unknown);
        match text {
            MANIFEST => Ok(Name::Manifest),
            SIGNATURE => Ok(Name::Signature),
            BLOBS | EXTRA => Ok(Name::Directory),
            _ => match (text.strip_prefix(BLOBS), text.strip_prefix(EXTRA)) {
                (Some(hex), _) => digest(hex).map(Name::Package),
                (_, Some(hex)) => digest(hex).map(Name::Extra),
                _ => Err(unknown()),
            },
        }
    }
}

/// Who takes the files of a bundle.
pub(super) trait Taker {
    /// A file of `size` bytes; what is left unread is skipped.
    fn file(&mut self, name: Name, size: u64, bytes: &mut dyn Read) -> Result<()>;
}

/// What is said of a file in front of it, and again in the directory.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    name: Name,
    needed: u16,
    flags: u16,
    stamp: u32,
    crc: u32,
    size: u64,
    at: u64,
}

/// Hands every file of an archive to `taker` and reads to the archive's end.
///
/// # Errors
/// `Invalid` when it is not exactly one well-formed stored archive of a bundle's files; what `taker` answers.
pub(super) fn walk(reader: &mut dyn Read, taker: &mut dyn Taker) -> Result<()> {
    let mut input = Input { reader: BufReader::with_capacity(64 << 10, reader), at: 0 };
    let mut heads = Vec::new();
    let mut mark = input.number32()?;
    if mark != FILE && mark != END {
        return Err(Error::invalid("the body is not a bundle: it does not begin as a ZIP archive does"));
    }
    while mark == FILE {
        if heads.len() == MOST_FILES {
            return Err(Error::invalid(format!("the bundle has more than {MOST_FILES} files")));
        }
        heads.push(input.file(taker)?);
        mark = input.number32()?;
    }
    let directory = input.at - 4;
    for head in &heads {
        if mark != LINE {
            return Err(input.broken());
        }
        input.line(head)?;
        mark = input.number32()?;
    }
    let size = input.at - 4 - directory;
    input.end(mark, heads.len() as u64, size, directory)?;
    match input.reader.read(&mut [0]).map_err(body_error)? {
        0 => Ok(()),
        _ => Err(Error::invalid("there is something behind the end of the bundle")),
    }
}

struct Input<R> {
    reader: BufReader<R>,
    at: u64,
}

impl<R: Read> Input<R> {
    fn broken(&self) -> Error {
        Error::invalid(format!("the bundle is damaged before its byte {}", self.at))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::invalid(format!("the bundle ends early, behind byte {}", self.at)),
            _ => body_error(e),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn number16(&mut self) -> Result<u16> {
        let mut bytes = [0; 2];
        self.fill(&mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn number32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn number64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn some(&mut self, length: u16) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::from(length)];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A number that can only be this one.
    fn expect(&mut self, good: bool) -> Result<()> {
        if good { Ok(()) } else { Err(self.broken()) }
    }

    /// What stands before a file, and the file.
    fn file(&mut self, taker: &mut dyn Taker) -> Result<Head> {
        let at = self.at - 4;
        let (needed, flags, method) = (self.number16()?, self.number16()?, self.number16()?);
        let (stamp, crc) = (self.number32()?, self.number32()?);
        let (packed, size) = (self.number32()?, self.number32()?);
        let (name, extra) = (self.number16()?, self.number16()?);
        if name > LONGEST_NAME {
            return Err(Error::invalid("a file in the bundle has a name longer than any bundle has"));
        }
        let name = self.some(name)?;
        let extra = self.some(extra)?;
        let said = String::from_utf8_lossy(&name).into_owned();
        let refused = |why: &str| Err(Error::invalid(format!("{} in the bundle {why}", shown(&said))));
        if flags & 1 != 0 {
            return refused("is encrypted");
        }
        if flags & 8 != 0 {
            return refused("does not say how long it is; a bundle is not packed while it is sent on");
        }
        if method != 0 {
            return refused("is compressed; the files of a bundle are stored as they are");
        }
        if packed != size {
            return refused("has two sizes");
        }
        self.expect(matches!(needed, 10 | 20 | 45) && flags & !0x0800 == 0)?;
        let mut wide = Wide::of(&extra);
        let size = match size {
            u32::MAX => match (wide.next(), wide.next()) {
                (Some(size), Some(packed)) if size == packed => size,
                _ => return refused("does not say how long it is"),
            },
            size => u64::from(size),
        };
        let name = Name::read(&name)?;
        if name == Name::Directory && size > 0 {
            return refused("has bytes, and is a directory");
        }
        let mut bytes = Bytes { reader: &mut self.reader, left: size, crc: Crc::new() };
        if name != Name::Directory {
            taker.file(name, size, &mut bytes)?;
            io::copy(&mut bytes, &mut io::sink()).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => Error::invalid(format!("the bundle ends early, in {}", shown(&said))),
                _ => body_error(e),
            })?;
        }
        if bytes.crc.sum() != crc {
            return refused("is damaged: its bytes have another CRC-32");
        }
        self.at += size;
        Ok(Head { name, needed, flags, stamp, crc, size, at })
    }

    /// A line of the directory, which must say what was said before.
    fn line(&mut self, head: &Head) -> Result<()> {
        let made = self.number16()?;
        let (needed, flags, method) = (self.number16()?, self.number16()?, self.number16()?);
        let (stamp, crc) = (self.number32()?, self.number32()?);
        let (packed, size) = (self.number32()?, self.number32()?);
        let (name, extra, comment) = (self.number16()?, self.number16()?, self.number16()?);
        let (disk, internal, attributes) = (self.number16()?, self.number16()?, self.number32()?);
        let at = self.number32()?;
        self.expect(name <= LONGEST_NAME)?;
        let name = self.some(name)?;
        let extra = self.some(extra)?;
        let mut wide = Wide::of(&extra);
        let mut long = |short: u32| if short == u32::MAX { wide.next() } else { Some(u64::from(short)) };
        let (size, packed, at) = (long(size), long(packed), long(at));
        self.expect(size == packed)?;
        let (Some(size), Some(at)) = (size, at) else { return Err(self.broken()) };
        let said = Head { name: Name::read(&name)?, needed, flags, stamp, crc, size, at };
        let directory = head.name == Name::Directory;
        self.expect(said == *head && method == 0 && comment == 0 && disk == 0)?;
        self.expect(is_maker(made) && (internal == 0 || internal == 1 && is_info_zip(made)))?;
        self.expect(directory || is_plain(attributes))
    }

    /// What ends the archive: `mark` has been read.
    fn end(&mut self, mut mark: u32, count: u64, size: u64, directory: u64) -> Result<()> {
        let large = mark == END_64;
        if large {
            let at = self.at - 4;
            let length = self.number64()?;
            let (made, needed) = (self.number16()?, self.number16()?);
            self.expect(length == 44 && is_maker(made) && needed == 45)?;
            let disks = (self.number32()?, self.number32()?);
            let counts = (self.number64()?, self.number64()?);
            let place = (self.number64()?, self.number64()?);
            self.expect(disks == (0, 0) && counts == (count, count) && place == (size, directory))?;
            let mark_64 = self.number32()?;
            let (disk, end, disks) = (self.number32()?, self.number64()?, self.number32()?);
            self.expect(mark_64 == LOCATOR_64 && disk == 0 && end == at && disks == 1)?;
            mark = self.number32()?;
        }
        self.expect(mark == END)?;
        let fits = |said: u64, is: u64, most: u64| said == is && is < most || large && said == most;
        for _ in 0..2 {
            let disk = self.number16()?;
            self.expect(disk == 0)?;
        }
        for _ in 0..2 {
            let said = u64::from(self.number16()?);
            self.expect(fits(said, count, u64::from(u16::MAX)))?;
        }
        for is in [size, directory] {
            let said = u64::from(self.number32()?);
            self.expect(fits(said, is, u64::from(u32::MAX)))?;
        }
        let comment = self.number16()?;
        self.expect(comment == 0)
    }
}

/// The 64-bit numbers of an entry, in their order.
struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    fn of(mut extra: &'a [u8]) -> Wide<'a> {
        while let Some((head, rest)) = extra.split_first_chunk::<4>() {
            let [a, b, c, d] = *head;
            let length = usize::from(u16::from_le_bytes([c, d]));
            let Some((field, after)) = rest.split_at_checked(length) else { break };
            if u16::from_le_bytes([a, b]) == 1 {
                return Wide(field);
            }
            extra = after;
        }
        Wide(&[])
    }

    fn next(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }
}

/// Whether something known makes archives like this: its version and its system (Windows or Unix).
fn is_maker(made: u16) -> bool {
    let [version, system] = made.to_le_bytes();
    matches!(version, 10 | 20 | 30 | 31 | 45 | 63) && matches!(system, 0 | 3)
}

/// Info-ZIP notes which files are text.
fn is_info_zip(made: u16) -> bool {
    matches!(made.to_le_bytes(), [30 | 31, _])
}

/// Whether attributes are those of a plain file, as what packs bundles anew writes them.
fn is_plain(attributes: u32) -> bool {
    matches!(attributes, 0x81A4_0000 | 0x0180_0000 | 0x8180_0000 | 0x20 | 0)
}

/// The bytes of one file, counted and summed up.
struct Bytes<'a, R> {
    reader: &'a mut R,
    left: u64,
    crc: Crc,
}

impl<R: Read> Read for Bytes<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(wanted) = buffer.get_mut(..room).filter(|wanted| !wanted.is_empty()) else { return Ok(0) };
        let count = self.reader.read(wanted)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc.update(wanted.get(..count).unwrap_or_default());
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Entry, Layout};
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(Name, Vec<u8>)>);

    impl Taker for Seen {
        fn file(&mut self, name: Name, _: u64, bytes: &mut dyn Read) -> Result<()> {
            let mut read = Vec::new();
            bytes.read_to_end(&mut read).map_err(body_error)?;
            self.0.push((name, read));
            Ok(())
        }
    }

    fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
        let entry = |(name, bytes): &(String, &[u8])| Entry {
            what: (),
            name: u16::try_from(name.len()).unwrap(),
            size: bytes.len() as u64,
        };
        let layout = Layout::new(files.iter().map(entry).collect());
        let crc = |bytes: &[u8]| {
            let mut crc = Crc::new();
            crc.update(bytes);
            crc.sum()
        };
        let mut archive = Vec::new();
        for (number, (name, bytes)) in files.iter().enumerate() {
            archive.extend(layout.head(number, name, crc(bytes)));
            archive.extend_from_slice(bytes);
        }
        for (number, (name, bytes)) in files.iter().enumerate() {
            archive.extend(layout.line(number, name, crc(bytes)));
        }
        archive.extend(layout.end());
        assert_eq!(archive.len() as u64, layout.len());
        archive
    }

    fn read(archive: &[u8]) -> Result<Seen> {
        let mut seen = Seen::default();
        walk(&mut &*archive, &mut seen).map(|()| seen)
    }

    fn sample() -> Vec<u8> {
        let blob = format!("{BLOBS}{}", Digest::of(b"abc"));
        archive(&[(MANIFEST.to_owned(), b"{}"), (SIGNATURE.to_owned(), b"-"), (blob, b"abc")])
    }

    #[test]
    fn what_is_laid_out_is_read() {
        let seen = read(&sample()).unwrap().0;
        let expected = [
            (Name::Manifest, b"{}".to_vec()),
            (Name::Signature, b"-".to_vec()),
            (Name::Package(Digest::of(b"abc")), b"abc".to_vec()),
        ];
        assert_eq!(seen, expected);
        assert!(read(&archive(&[])).unwrap().0.is_empty());
        let many = archive(&vec![(MANIFEST.to_owned(), b"".as_slice()); 65_540]);
        assert_eq!(read(&many).unwrap().0.len(), 65_540);
    }

    #[test]
    fn every_byte_counts() {
        let good = sample();
        for at in 0..good.len() {
            for change in [0x01, 0x80, 0xff, 0x20] {
                let mut bad = good.clone();
                bad[at] ^= change;
                assert!(read(&bad).is_err(), "byte {at} changed by {change:#x}");
            }
            assert!(read(&good[..at]).is_err(), "cut at {at}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(read(&longer).is_err());
        let mut doubled = good.clone();
        doubled.extend(good);
        assert!(read(&doubled).is_err());
    }

    #[test]
    fn names_are_those_of_bundles() {
        let hex = Digest::of(b"x").to_hex();
        let upper = format!("blobs/{}", hex.to_uppercase());
        for bad in ["", "../x", "/etc/passwd", "blobs/../x", "blobs\\x", "blobs/12", "PACKHOUSE-BUNDLE.JSON", &upper] {
            assert!(Name::read(bad.as_bytes()).is_err(), "{bad}");
            let refused = read(&archive(&[(bad.to_owned(), b"x")])).map(|seen| seen.0).unwrap_err();
            assert!(refused.message.contains("no bundle has a file"), "{}", refused.message);
        }
        assert!(Name::read(b"\xff").is_err());
        assert_eq!(Name::read(b"blobs/").unwrap(), Name::Directory);
        assert!(read(&archive(&[("blobs/".to_owned(), b"")])).unwrap().0.is_empty());
        assert!(read(&archive(&[("blobs/".to_owned(), b"x")])).is_err());
    }

    #[test]
    fn what_is_not_stored_plainly_is_refused_in_words() {
        let good = sample();
        for (at, value, words) in [(6, 1, "encrypted"), (6, 8, "how long"), (8, 8, "compressed"), (22, 9, "two sizes")]
        {
            let mut bad = good.clone();
            bad[at] = value;
            let refused = read(&bad).map(|seen| seen.0).unwrap_err();
            assert!(refused.message.contains(words), "{}", refused.message);
        }
        for (bad, words) in [(&b""[..], "ends early"), (b"%PDF-1.7", "not a bundle")] {
            let refused = read(bad).map(|seen| seen.0).unwrap_err();
            assert!(refused.message.contains(words), "{}", refused.message);
        }
    }
}
