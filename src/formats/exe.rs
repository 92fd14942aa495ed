//! Windows programs as installers: which builder made one, and what its version resource says.

use std::collections::HashMap;
use std::io::{Read, Seek};

use super::magic::{read_at, u16_at};
use super::pe::Program;
use super::windows::{Installer, text};
use super::{Facts, Kind};

const VERSION: u32 = 16;
const RAW_DATA: u32 = 10;
/// The longest version resource, in bytes.
const VERSION_LIMIT: usize = 256 << 10;
/// The most strings taken from it.
const STRING_LIMIT: usize = 128;

/// What a program says of itself; `None` when its headers cannot be read.
pub(super) fn facts(reader: &mut (impl Read + Seek)) -> Option<Facts> {
    let program = Program::read(reader)?;
    let version =
        program.resource(reader, VERSION, None, VERSION_LIMIT).map(|bytes| strings(&bytes)).unwrap_or_default();
    let value = |name: &str| version.get(name).and_then(|value| text(value));
    let burn = burn(reader, &program);
    let installer_type = if burn.is_some() {
        "BURN"
    } else if is_inno(reader, &program) {
        "INNO"
    } else if is_nullsoft(reader, &program) {
        "NULLSOFT"
    } else {
        "EXE"
    };
    let installer = Installer {
        installer_type: Some(installer_type.to_owned()),
        publisher: value("CompanyName"),
        product_code: burn.flatten(),
        ..Installer::default()
    };
    Some(Facts {
        kind: Kind::Exe,
        name: value("ProductName"),
        version: value("ProductVersion").or_else(|| value("FileVersion")),
        arch: program.arch.map(str::to_owned),
        installer: Some(Box::new(installer)),
    })
}

/// WiX bundles have a section of their own; after a mark and a version it tells the bundle's id.
fn burn(reader: &mut (impl Read + Seek), program: &Program) -> Option<Option<String>> {
    const MARK: &[u8] = &0x00F1_4300_u32.to_le_bytes();
    let section = program.sections.iter().find(|section| section.name == b".wixburn")?;
    let bytes = read_at(reader, section.start.into(), 24)?;
    let id = bytes.strip_prefix(MARK).and_then(|rest| rest.get(4..)?.first_chunk::<16>());
    let id = id.filter(|id| id.iter().any(|&byte| byte != 0)).map(|id| uuid::Uuid::from_bytes_le(*id));
    Some(id.map(|id| format!("{{{}}}", id.as_hyphenated().to_string().to_uppercase())))
}

/// Inno Setup's loader keeps the places of its parts in a resource of a fixed number (since 5.1.5), before that at a
/// fixed place in the header.
fn is_inno(reader: &mut (impl Read + Seek), program: &Program) -> bool {
    let table = program.resource(reader, RAW_DATA, Some(11_111), 1 << 10);
    table.is_some_and(|table| table.starts_with(b"rDlPt"))
        || read_at(reader, 0x30, 4).is_some_and(|bytes| bytes == b"Inno")
}

/// NSIS looks for its header behind the program, at steps of 512 bytes: flags, a signature, a magic word.
fn is_nullsoft(reader: &mut (impl Read + Seek), program: &Program) -> bool {
    const MARK: &[u8] = b"\xEF\xBE\xAD\xDENullsoftInst";
    const STEP: usize = 512;
    const SEARCHED: usize = 256 << 10;
    let start = program.end().next_multiple_of(STEP as u64);
    let behind = read_at(reader, start, SEARCHED).unwrap_or_default();
    behind.chunks(STEP).any(|block| block.get(4..).is_some_and(|block| block.starts_with(MARK)))
}

/// The strings of a version resource: those of its first language.
fn strings(resource: &[u8]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let Some(root) = Block::read(resource) else { return found };
    let info = root.children().find(|block| block.key == "StringFileInfo");
    let Some(table) = info.as_ref().and_then(|info| info.children().next()) else { return found };
    for string in table.children().take(STRING_LIMIT) {
        let value = string.body.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let value: Vec<u16> = value.take_while(|&unit| unit != 0).take(1024).collect();
        found.insert(string.key, String::from_utf16_lossy(&value));
    }
    found
}

/// One nested block of a version resource: length, length of its value, kind, name, value, blocks.
struct Block<'a> {
    key: String,
    /// What follows the name, aligned.
    body: &'a [u8],
    /// Bytes of the value in front of the blocks inside.
    value: usize,
    /// Bytes of the whole block.
    length: usize,
}

impl<'a> Block<'a> {
    fn read(bytes: &'a [u8]) -> Option<Block<'a>> {
        let length = usize::from(u16_at(bytes, 0)?);
        let block = bytes.get(..length)?;
        let value = usize::from(u16_at(block, 2)?);
        let mut key = Vec::new();
        let mut at = 6;
        loop {
            match u16_at(block, at)? {
                0 => break,
                unit if key.len() < 64 => key.push(unit),
                _ => return None,
            }
            at += 2;
        }
        let body = block.get((at + 2).next_multiple_of(4)..).unwrap_or_default();
        Some(Block { key: String::from_utf16_lossy(&key), body, value, length })
    }

    /// The blocks inside, when the value is counted in bytes, as it is in all blocks that have any.
    fn children(&self) -> impl Iterator<Item = Block<'a>> {
        let mut rest = self.body.get(self.value.next_multiple_of(4)..).unwrap_or_default();
        std::iter::from_fn(move || {
            let block = Block::read(rest)?;
            rest = rest.get(block.length.next_multiple_of(4)..).unwrap_or_default();
            Some(block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::pe::tests::program;
    use std::io::Cursor;

    fn block(key: &str, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 6];
        bytes[2..4].copy_from_slice(&(value.len() as u16).to_le_bytes());
        bytes.extend(key.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(value);
        for child in children {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(child);
        }
        let length = bytes.len() as u16;
        bytes[..2].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    fn version(strings: &[(&str, &str)]) -> Vec<u8> {
        let string = |(key, value): &(&str, &str)| {
            block(key, &value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>(), &[])
        };
        let table = block("040904b0", &[], &strings.iter().map(string).collect::<Vec<_>>());
        block("VS_VERSION_INFO", &[1; 52], &[block("StringFileInfo", &[], &[table])])
    }

    fn look(bytes: &[u8]) -> Option<Facts> {
        facts(&mut Cursor::new(bytes))
    }

    #[test]
    fn a_program_says_its_product() {
        let resource = version(&[
            ("CompanyName", "Contoso Ltd"),
            ("FileVersion", "9.9"),
            ("ProductName", " Größe \u{0}"),
            ("ProductVersion", "2.0-β"),
        ]);
        let found = look(&program(0x8664, &[(VERSION, 1, &resource)], &[])).unwrap();
        assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some("Größe"), Some("2.0-β")));
        assert_eq!(found.arch.as_deref(), Some("x64"));
        let installer = *found.installer.unwrap();
        let installer_type = Some("EXE".into());
        assert_eq!(
            installer,
            Installer { installer_type, publisher: Some("Contoso Ltd".into()), ..Installer::default() }
        );
        let only_file = version(&[("FileVersion", "9.9")]);
        assert_eq!(look(&program(0x14C, &[(VERSION, 1, &only_file)], &[])).unwrap().version.as_deref(), Some("9.9"));
    }

    #[test]
    fn builders_by_their_marks() {
        let kind = |bytes: &[u8]| look(bytes).unwrap().installer.unwrap().installer_type.unwrap();
        assert_eq!(kind(&program(0x14C, &[], &[])), "EXE");
        let inno = program(0x14C, &[(RAW_DATA, 11_111, b"rDlPtS\xCD\xE6\xD7\x7B\x0B\x2A")], &[]);
        assert_eq!(kind(&inno), "INNO");
        let mut old_inno = program(0x14C, &[], &[]);
        old_inno[0x30..0x34].copy_from_slice(b"Inno");
        assert_eq!(kind(&old_inno), "INNO");
        let mut nsis = program(0x14C, &[], &[]);
        nsis.resize(nsis.len().next_multiple_of(512) + 512, 0);
        nsis.extend(b"\0\0\0\0\xEF\xBE\xAD\xDENullsoftInst");
        assert_eq!(kind(&nsis), "NULLSOFT");
        let mut section = 0x00F1_4300_u32.to_le_bytes().to_vec();
        section.extend([2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0xCD, 0xAB, 0x21, 0x43, 1, 2, 3, 4, 5, 6, 7, 8]);
        let burn = look(&program(0x8664, &[], &[(".wixburn", &section)])).unwrap().installer.unwrap();
        assert_eq!(burn.installer_type.as_deref(), Some("BURN"));
        assert_eq!(burn.product_code.as_deref(), Some("{12345678-ABCD-4321-0102-030405060708}"));
    }

    #[test]
    fn nothing_in_a_program_makes_it_panic() {
        let resource = version(&[("ProductName", "x"), ("CompanyName", "y")]);
        let file = program(0x8664, &[(VERSION, 1, &resource), (RAW_DATA, 11_111, b"rDlPt")], &[(".wixburn", &[1; 24])]);
        for at in 0..file.len() {
            look(&file[..at]);
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut changed = file.clone();
                changed[at] = value;
                look(&changed);
            }
        }
    }
}
