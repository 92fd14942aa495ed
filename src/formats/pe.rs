//! Windows programs: machine, sections and resources of a PE file, found and read under bounds.

use std::io::{Read, Seek};

use super::magic::{read_at, u16_at, u32_at};

/// The most sections looked at.
const SECTION_LIMIT: usize = 96;
/// The most entries of one level of the resources looked at.
const RESOURCE_LIMIT: usize = 4096;

/// A section of the file.
pub(super) struct Section {
    /// Its name, without the zeros after it.
    pub(super) name: Vec<u8>,
    address: u32,
    /// Bytes it takes in the file.
    size: u32,
    /// Where it begins in the file.
    pub(super) start: u32,
}

/// The head of a program.
pub(super) struct Program {
    /// `x86`, `x64`, `arm` or `arm64`.
    pub(super) arch: Option<&'static str>,
    /// Its sections, in order.
    pub(super) sections: Vec<Section>,
    /// Where the resources begin in memory.
    resources: u32,
}

impl Program {
    /// Reads the headers.
    pub(super) fn read(reader: &mut (impl Read + Seek)) -> Option<Program> {
        let at = u64::from(u32_at(&read_at(reader, 0x3C, 4)?, 0)?);
        let head = read_at(reader, at, 24).filter(|head| head.starts_with(b"PE\0\0"))?;
        let arch = match u16_at(&head, 4)? {
            0x014C => Some("x86"),
            0x8664 => Some("x64"),
            0x01C4 | 0x01C0 => Some("arm"),
            0xAA64 => Some("arm64"),
            _ => None,
        };
        let (count, length) = (usize::from(u16_at(&head, 6)?), usize::from(u16_at(&head, 20)?));
        let optional = read_at(reader, at + 24, length)?;
        // The list of directories follows fields that are wider in 64-bit programs.
        let directories = if u16_at(&optional, 0)? == 0x020B { 112 } else { 96 };
        let resources = u32_at(&optional, directories + 2 * 8).unwrap_or_default();
        let table = read_at(reader, at + 24 + length as u64, count.min(SECTION_LIMIT) * 40)?;
        let section = |row: &[u8]| {
            let name = row.first_chunk::<8>()?;
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(8);
            let name = name.get(..end)?.to_vec();
            Some(Section { name, address: u32_at(row, 12)?, size: u32_at(row, 16)?, start: u32_at(row, 20)? })
        };
        let sections = table.chunks_exact(40).filter_map(section).collect();
        Some(Program { arch, sections, resources })
    }

    /// The first byte after the last section: where installers keep what they install.
    pub(super) fn end(&self) -> u64 {
        let ends = self.sections.iter().map(|section| u64::from(section.start) + u64::from(section.size));
        ends.max().unwrap_or_default()
    }

    /// The bytes of the first resource with this type and, when given, this id; `None` when it is absent or longer than
    /// `limit`.
    pub(super) fn resource(
        &self,
        reader: &mut (impl Read + Seek),
        kind: u32,
        id: Option<u32>,
        limit: usize,
    ) -> Option<Vec<u8>> {
        let root = self.place(self.resources)?;
        let names = self.below(reader, root, 0, Some(kind))?;
        let languages = self.below(reader, root, names, id)?;
        let leaf =
            entries(reader, root + u64::from(languages))?.first().map(|&(_, at)| at).filter(|at| at & DEEPER == 0)?;
        let leaf = read_at(reader, root + u64::from(leaf), 8)?;
        let (address, size) = (u32_at(&leaf, 0)?, usize::try_from(u32_at(&leaf, 4)?).ok()?);
        (size <= limit).then_some(())?;
        let bytes = read_at(reader, self.place(address)?, size)?;
        (bytes.len() == size).then_some(bytes)
    }

    /// The directory below the entry `wanted` (or the first) of the directory at `at`.
    fn below(&self, reader: &mut (impl Read + Seek), root: u64, at: u32, wanted: Option<u32>) -> Option<u32> {
        let entries = entries(reader, root + u64::from(at))?;
        let found = entries.iter().find(|(id, _)| wanted.is_none_or(|wanted| *id == wanted))?.1;
        (found & DEEPER != 0).then_some(found & !DEEPER)
    }

    /// Where an address in memory lies in the file.
    fn place(&self, address: u32) -> Option<u64> {
        let inside = |section: &&Section| address.checked_sub(section.address).is_some_and(|at| at < section.size);
        let section = self.sections.iter().find(inside)?;
        Some(u64::from(section.start) + u64::from(address - section.address))
    }
}

/// Marks an entry that leads to another directory.
const DEEPER: u32 = 0x8000_0000;

/// Id and target of each entry of a resource directory.
fn entries(reader: &mut (impl Read + Seek), at: u64) -> Option<Vec<(u32, u32)>> {
    let head = read_at(reader, at, 16)?;
    let count = usize::from(u16_at(&head, 12)?) + usize::from(u16_at(&head, 14)?);
    let rows = read_at(reader, at + 16, count.min(RESOURCE_LIMIT) * 8)?;
    rows.chunks_exact(8).map(|row| Some((u32_at(row, 0)?, u32_at(row, 4)?))).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A program with one section of resources, each given by type, id and bytes, and more sections with these names
    /// and bytes.
    pub(in super::super) fn program(machine: u16, resources: &[(u32, u32, &[u8])], more: &[(&str, &[u8])]) -> Vec<u8> {
        const ADDRESS: u32 = 0x1000;
        let put = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
        let directory = |out: &mut Vec<u8>, count: usize| {
            out.extend([0; 14]);
            out.extend((count as u16).to_le_bytes());
        };
        let count = resources.len();
        // Root, then for each resource: names, languages, leaf; then the bytes.
        let each = 24 + 24 + 16;
        let (first, data) = (16 + count * 8, 16 + count * 8 + count * each);
        let mut section = Vec::new();
        directory(&mut section, count);
        for (i, (kind, ..)) in resources.iter().enumerate() {
            put(&mut section, *kind);
            put(&mut section, DEEPER | (first + i * each) as u32);
        }
        let mut bytes = Vec::<u8>::new();
        for (i, (_, id, content)) in resources.iter().enumerate() {
            let at = (first + i * each) as u32;
            directory(&mut section, 1);
            put(&mut section, *id);
            put(&mut section, DEEPER | (at + 24));
            directory(&mut section, 1);
            put(&mut section, 1033);
            put(&mut section, at + 48);
            put(&mut section, ADDRESS + (data + bytes.len()) as u32);
            put(&mut section, content.len() as u32);
            section.extend([0; 8]);
            bytes.extend(*content);
        }
        section.extend(bytes);
        let wide = machine == 0x8664;
        let mut file = vec![0; 0x80];
        file[..2].copy_from_slice(b"MZ");
        file[0x3C] = 0x80;
        file.extend(b"PE\0\0");
        file.extend(machine.to_le_bytes());
        file.extend((1 + more.len() as u16).to_le_bytes());
        file.extend([0; 12]);
        let optional = if wide { 240_u16 } else { 224 };
        file.extend(optional.to_le_bytes());
        file.extend([0x22, 0]);
        let at = file.len();
        file.resize(at + usize::from(optional), 0);
        file[at..at + 2].copy_from_slice(&if wide { [0x0B, 0x02] } else { [0x0B, 0x01] });
        let entry = at + if wide { 112 } else { 96 } + 16;
        file[entry..entry + 4].copy_from_slice(&ADDRESS.to_le_bytes());
        let mut start = file.len() + 40 * (1 + more.len());
        for (i, (name, content)) in
            std::iter::once((".rsrc", section.as_slice())).chain(more.iter().copied()).enumerate()
        {
            let mut row = [0; 40];
            row[..name.len()].copy_from_slice(name.as_bytes());
            row[12..16].copy_from_slice(&(ADDRESS + i as u32 * 0x10_0000).to_le_bytes());
            row[16..20].copy_from_slice(&(content.len() as u32).to_le_bytes());
            row[20..24].copy_from_slice(&(start as u32).to_le_bytes());
            start += content.len();
            file.extend(row);
        }
        file.extend(section);
        more.iter().for_each(|(_, content)| file.extend(*content));
        file
    }

    #[test]
    fn machine_sections_and_resources() {
        for (machine, arch) in [(0x014C, Some("x86")), (0x8664, Some("x64")), (0xAA64, Some("arm64")), (1, None)] {
            let file = program(machine, &[(16, 1, b"version"), (10, 11111, b"data")], &[(".wixburn", b"burn")]);
            let mut reader = Cursor::new(&file);
            let found = Program::read(&mut reader).unwrap();
            assert_eq!((found.arch, found.end()), (arch, file.len() as u64));
            assert_eq!(found.sections[1].name, b".wixburn");
            assert_eq!(found.resource(&mut reader, 16, None, 100).unwrap(), b"version");
            assert_eq!(found.resource(&mut reader, 10, Some(11111), 100).unwrap(), b"data");
            assert_eq!(found.resource(&mut reader, 10, Some(1), 100), None);
            assert_eq!(found.resource(&mut reader, 16, None, 6), None);
        }
    }
}
