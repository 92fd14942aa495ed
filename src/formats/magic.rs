//! The kind of a file by its first bytes; for archives and containers by a short look at what lies in them.

use std::io::{Read, Seek, SeekFrom};

use crate::formats::Kind;

/// First bytes looked at.
const HEAD: usize = 4096;
/// Last bytes of a ZIP looked at: its end record and, in most, the whole directory.
const TAIL: u64 = 32 << 10;
/// First bytes of a ZIP's directory looked at, when it begins before that.
const DIRECTORY: usize = 16 << 10;

const TAR_MAGIC_AT: usize = 257;
const COMPRESSED: [&[u8]; 4] = [&[0x1F, 0x8B], &[0xFD, b'7', b'z', b'X', b'Z', 0], &[0x28, 0xB5, 0x2F, 0xFD], b"BZh"];
const TAR_NAMES: [&str; 5] = [".tgz", ".txz", ".tbz2", ".tzst", ".tbz"];
const TAR_INSIDE: [&str; 4] = [".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"];

/// The kind of the whole file behind `reader`; `File` when it cannot be read.
pub(super) fn kind(reader: &mut (impl Read + Seek), file_name: &str) -> Kind {
    let name = file_name.to_ascii_lowercase();
    let Some(head) = read_at(reader, 0, HEAD) else {
        return Kind::File;
    };
    if head.starts_with(&[0xED, 0xAB, 0xEE, 0xDB]) {
        Kind::Rpm
    } else if head.starts_with(b"!<arch>\ndebian-binary") {
        Kind::Deb
    } else if head.starts_with(b"MZ") {
        program(reader, &head)
    } else if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        compound(reader, &head)
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        archive(reader, &name)
    } else if head.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar"))
        || COMPRESSED.iter().any(|magic| head.starts_with(magic)) && is_tar_name(&name)
    {
        Kind::Tar
    } else {
        Kind::File
    }
}

fn is_tar_name(name: &str) -> bool {
    TAR_INSIDE.iter().chain(&TAR_NAMES).any(|ending| name.ends_with(ending))
}

/// A DOS program is one for Windows when it points at a PE header; a library is no program.
fn program(reader: &mut (impl Read + Seek), head: &[u8]) -> Kind {
    const LIBRARY: u16 = 0x2000;
    let pe = u32_at(head, 0x3C).and_then(|at| read_at(reader, u64::from(at), 24));
    let flags = pe.filter(|pe| pe.starts_with(b"PE\0\0")).and_then(|pe| u16_at(&pe, 22));
    match flags {
        Some(flags) if flags & LIBRARY == 0 => Kind::Exe,
        _ => Kind::File,
    }
}

/// Of the compound files those are installer packages whose root entry carries the installer's class id.
fn compound(reader: &mut (impl Read + Seek), head: &[u8]) -> Kind {
    const PACKAGE: [u8; 16] = [0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];
    const CLASS_AT: u64 = 0x50;
    let mut root = || {
        let sector = 1_u64 << u16_at(head, 0x1E).filter(|shift| matches!(shift, 9 | 12))?;
        // Sector 0 follows the header, which fills one sector.
        let at = (u64::from(u32_at(head, 0x30)?) + 1) * sector;
        read_at(reader, at + CLASS_AT, PACKAGE.len())
    };
    if root().is_some_and(|class| class == PACKAGE) { Kind::Msi } else { Kind::File }
}

/// A ZIP archive by the names in its directory; where not all of it was seen, by its own name too.
fn archive(reader: &mut (impl Read + Seek), name: &str) -> Kind {
    let mut seen = Seen::default();
    let whole = directory(reader, &mut seen).unwrap_or(false);
    let hint = || match name {
        _ if [".msix", ".appx", ".msixbundle", ".appxbundle"].iter().any(|end| name.ends_with(end)) => Kind::Msix,
        _ if name.ends_with(".nupkg") => Kind::Nupkg,
        _ if name.ends_with(".refpack.zip") => Kind::Refpack,
        _ => Kind::Zip,
    };
    match seen {
        Seen { app_manifest: true, .. } => Kind::Msix,
        Seen { nuspec: true, .. } => Kind::Nupkg,
        Seen { meta: true, data: true, .. } => Kind::Refpack,
        _ if whole => Kind::Zip,
        _ => hint(),
    }
}

/// Telling names in the root of an archive.
#[derive(Default)]
struct Seen {
    app_manifest: bool,
    nuspec: bool,
    meta: bool,
    data: bool,
}

impl Seen {
    fn note(&mut self, name: &[u8]) {
        self.app_manifest |= [&b"appxmanifest.xml"[..], b"appxmetadata/appxbundlemanifest.xml"]
            .iter()
            .any(|wanted| name.eq_ignore_ascii_case(wanted));
        self.nuspec |= name.to_ascii_lowercase().ends_with(b".nuspec") && !name.contains(&b'/');
        self.meta |= name == b"data.meta.json";
        self.data |= name == b"data.json";
    }
}

/// Notes the names in the directory of a ZIP; answers whether it was seen whole.
fn directory(reader: &mut (impl Read + Seek), seen: &mut Seen) -> Option<bool> {
    let length = reader.seek(SeekFrom::End(0)).ok()?;
    let tail_at = length.saturating_sub(TAIL);
    let tail = read_at(reader, tail_at, usize::try_from(length - tail_at).ok()?)?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06")?;
    let end = tail.get(end..)?;
    let (size, start) = (u64::from(u32_at(end, 12)?), u64::from(u32_at(end, 16)?));
    let count = usize::from(u16_at(end, 10)?);
    if let Some(inside) = start.checked_sub(tail_at) {
        let entries = tail.get(usize::try_from(inside).ok()?..)?;
        return Some(names(entries, seen) >= count);
    }
    // A long directory: its beginning, and whatever entries the tail holds.
    let beginning = read_at(reader, start, DIRECTORY.min(usize::try_from(size).ok()?))?;
    names(&beginning, seen);
    if let Some(first) = memchr::memmem::find(&tail, b"PK\x01\x02") {
        names(tail.get(first..)?, seen);
    }
    Some(false)
}

/// Notes the names of directory entries that follow one another; answers how many there were.
fn names(mut entries: &[u8], seen: &mut Seen) -> usize {
    const FIXED: usize = 46;
    let mut count = 0;
    while entries.starts_with(b"PK\x01\x02") {
        let lengths = (u16_at(entries, 28), u16_at(entries, 30), u16_at(entries, 32));
        let (Some(name), Some(extra), Some(comment)) = lengths else { break };
        let name = usize::from(name);
        let Some(text) = entries.get(FIXED..FIXED + name) else { break };
        seen.note(text);
        count += 1;
        match entries.get(FIXED + name + usize::from(extra) + usize::from(comment)..) {
            Some(rest) => entries = rest,
            None => break,
        }
    }
    count
}

/// Up to `length` bytes from `at`; `None` when reading fails.
pub(super) fn read_at(reader: &mut (impl Read + Seek), at: u64, length: usize) -> Option<Vec<u8>> {
    reader.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::with_capacity(length);
    reader.take(u64::try_from(length).ok()?).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Cursor};

    /// A ZIP of empty files with these names.
    fn zip(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for name in names {
            let offset = bytes.len() as u32;
            let length = (name.len() as u16).to_le_bytes();
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 22]);
            bytes.extend(length);
            bytes.extend([0; 2]);
            bytes.extend(name.as_bytes());
            directory.extend(b"PK\x01\x02");
            directory.extend([0; 24]);
            directory.extend(length);
            directory.extend([0; 12]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 4]);
        bytes.extend((names.len() as u16).to_le_bytes());
        bytes.extend((names.len() as u16).to_le_bytes());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    fn pe(flags: u16) -> Vec<u8> {
        let mut bytes = vec![0; 0x80];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3C] = 0x80;
        bytes.extend(b"PE\0\0");
        bytes.extend([0; 18]);
        bytes.extend(flags.to_le_bytes());
        bytes
    }

    fn cfb(shift: u16, sector: u32, class: u8) -> Vec<u8> {
        let mut bytes = vec![0; 0x4000];
        bytes[..8].copy_from_slice(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]);
        bytes[0x1E..0x20].copy_from_slice(&shift.to_le_bytes());
        bytes[0x30..0x34].copy_from_slice(&sector.to_le_bytes());
        let at = ((sector as usize + 1) << shift) + 0x50;
        if let Some(root) = bytes.get_mut(at..at + 16) {
            root.copy_from_slice(&[class, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46]);
        }
        bytes
    }

    fn tar() -> Vec<u8> {
        let mut bytes = vec![b'a'; 512];
        bytes[TAR_MAGIC_AT..TAR_MAGIC_AT + 5].copy_from_slice(b"ustar");
        bytes
    }

    fn look(bytes: &[u8], name: &str) -> Kind {
        kind(&mut Cursor::new(bytes), name)
    }

    #[test]
    fn kinds_by_content() {
        let cases: &[(&[u8], &str, Kind)] = &[
            (b"", "a.deb", Kind::File),
            (b"hello", "a.rpm", Kind::File),
            (&[0xED, 0xAB, 0xEE, 0xDB, 3, 0], "a", Kind::Rpm),
            (b"!<arch>\ndebian-binary   1281", "a", Kind::Deb),
            (b"!<arch>\nlibc.a/         1281", "a.deb", Kind::File),
            (&pe(0x0022), "setup.exe", Kind::Exe),
            (&pe(0x2022), "a.dll", Kind::File),
            (&pe(0)[..0x82], "cut.exe", Kind::File),
            (b"MZ", "dos.exe", Kind::File),
            (&cfb(9, 1, 0x84), "a", Kind::Msi),
            (&cfb(12, 0, 0x84), "a", Kind::Msi),
            (&cfb(9, 1, 0x86), "a.msp", Kind::File),
            (&cfb(9, u32::MAX, 0x84), "a.msi", Kind::File),
            (&cfb(63, 1, 0x84), "a.msi", Kind::File),
            (&tar(), "a", Kind::Tar),
            (&[0x1F, 0x8B, 8], "A.TAR.GZ", Kind::Tar),
            (&[0x1F, 0x8B, 8], "a.tgz", Kind::Tar),
            (&[0x1F, 0x8B, 8], "a.gz", Kind::File),
            (&[0xFD, b'7', b'z', b'X', b'Z', 0], "a.tar.xz", Kind::Tar),
            (&[0x28, 0xB5, 0x2F, 0xFD], "a.tar.zst", Kind::Tar),
            (b"BZh9", "a.tar.bz2", Kind::Tar),
            (b"text", "a.tar.gz", Kind::File),
        ];
        for (bytes, name, expected) in cases {
            assert_eq!(look(bytes, name), *expected, "{name}");
        }
    }

    #[test]
    fn archives_by_what_lies_in_them() {
        let cases: &[(&[&str], &str, Kind)] = &[
            (&[], "a.zip", Kind::Zip),
            (&["a.txt", "dir/AppxManifest.xml"], "a.zip", Kind::Zip),
            (&["a.txt"], "a.msix", Kind::Zip),
            (&["x.dll", "AppxManifest.xml", "AppxBlockMap.xml"], "a", Kind::Msix),
            (&["AppxMetadata/AppxBundleManifest.xml"], "a", Kind::Msix),
            (&["App.nuspec", "lib/a.dll"], "a", Kind::Nupkg),
            (&["lib/App.nuspec"], "a", Kind::Zip),
            (&["data.json", "data.meta.json"], "a", Kind::Refpack),
            (&["data.json"], "a.refpack.zip", Kind::Zip),
        ];
        for (names, name, expected) in cases {
            assert_eq!(look(&zip(names), name), *expected, "{names:?}");
        }
        // Something before the archive (a self-extractor's stub cut off, a signature after it) moves nothing we rely on.
        let mut trailed = zip(&["data.json", "data.meta.json"]);
        trailed.extend([b' '; 100]);
        assert_eq!(look(&trailed, "a"), Kind::Refpack);
    }

    #[test]
    fn a_long_directory_is_known_by_its_ends_or_its_name() {
        let long: Vec<String> = (0..5000).map(|number| format!("directory/file {number}")).collect();
        let with = |first: Option<&'static str>, last: Option<&'static str>| {
            let middle = long.iter().map(String::as_str);
            zip(&first.into_iter().chain(middle).chain(last).collect::<Vec<_>>())
        };
        assert_eq!(look(&with(None, Some("AppxManifest.xml")), "a"), Kind::Msix);
        assert_eq!(look(&with(Some("a.nuspec"), None), "a"), Kind::Nupkg);
        assert_eq!(look(&with(None, None), "a"), Kind::Zip);
        assert_eq!(look(&with(None, None), "a.MSIX"), Kind::Msix);
    }

    /// Counts what is read.
    struct Counting<R>(R, usize);

    impl<R: Read> Read for Counting<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1 += read;
            Ok(read)
        }
    }

    impl<R: Seek> Seek for Counting<R> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn little_is_read_and_nothing_spoils_it() {
        let long: Vec<String> = (0..20_000).map(|number| format!("directory/file {number}")).collect();
        let good = [zip(&long.iter().map(String::as_str).collect::<Vec<_>>()), cfb(12, 1, 0x84), pe(0), tar()];
        for bytes in &good {
            let mut reader = Counting(Cursor::new(bytes), 0);
            kind(&mut reader, "a.zip");
            assert!(reader.1 <= 64 << 10, "{}", reader.1);
        }
        // Every cut and many changed bytes of a small archive: any answer is right, a panic is not.
        let small = zip(&["data.json", "data.meta.json"]);
        for bytes in [small, cfb(9, 0, 0x84)[..0x300].to_vec(), pe(0)] {
            for at in 0..bytes.len() {
                look(&bytes[..at], "a.zip");
                let mut changed = bytes.clone();
                changed[at] = 0xFF;
                look(&changed, "a.zip");
            }
        }
    }

    #[test]
    fn a_reader_that_fails_is_a_plain_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Other.into())
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        assert_eq!(kind(&mut Broken, "a.zip"), Kind::File);
    }
}
