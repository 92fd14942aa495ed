//! Compound files (the container of MSI packages): named streams found and read under bounds, nothing held whole.

use std::io::{Read, Seek};

use super::magic::{read_at, u16_at, u32_at};

const MAGIC: &[u8] = &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
/// Sector numbers from here on are marks, not places.
const LAST_SECTOR: u32 = 0xFFFF_FFFA;
/// The most sectors of the allocation table: files of 8 GiB.
const TABLE_LIMIT: usize = 1 << 17;
/// The most directory entries looked at.
const ENTRY_LIMIT: usize = 1 << 14;
/// The most sectors one stream may have that is read here.
const CHAIN_LIMIT: usize = 1 << 18;
const MINI_SECTOR: u64 = 64;

/// An open compound file.
pub(super) struct Compound<'a, R> {
    reader: &'a mut R,
    sector: u64,
    mini_cutoff: u64,
    /// Where the allocation table's own sectors lie.
    table: Vec<u32>,
    first_mini: u32,
    /// The sectors of the stream that holds all small streams.
    mini_stream: Vec<u32>,
    first_directory: u32,
    /// The piece of the allocation table read last, and which it is.
    piece: (Option<u32>, Vec<u8>),
}

/// A stream: which of the file's sectors, in order.
pub(super) struct Stream {
    sectors: Vec<u32>,
    mini: bool,
    /// Bytes.
    pub(super) size: u64,
}

impl<'a, R: Read + Seek> Compound<'a, R> {
    /// Reads the header and where the allocation table lies.
    pub(super) fn open(reader: &'a mut R) -> Option<Self> {
        let header = read_at(reader, 0, 512).filter(|header| header.starts_with(MAGIC))?;
        let sector = 1_u64 << u16_at(&header, 0x1E).filter(|shift| matches!(shift, 9 | 12))?;
        let mut table: Vec<u32> = (0..109).filter_map(|i| u32_at(&header, 0x4C + i * 4)).collect();
        table.retain(|&at| at < LAST_SECTOR);
        let mut next = u32_at(&header, 0x44)?;
        let count = sector as usize / 4 - 1;
        while next < LAST_SECTOR && table.len() < TABLE_LIMIT {
            let more = read_at(reader, (u64::from(next) + 1) * sector, sector as usize)?;
            let before = table.len();
            table.extend((0..count).filter_map(|i| u32_at(&more, i * 4)).filter(|&at| at < LAST_SECTOR));
            next = u32_at(&more, count * 4)?;
            if table.len() == before {
                break;
            }
        }
        let mut file = Compound {
            reader,
            sector,
            mini_cutoff: u32_at(&header, 0x38)?.into(),
            table,
            first_mini: u32_at(&header, 0x3C)?,
            mini_stream: Vec::new(),
            first_directory: u32_at(&header, 0x30)?,
            piece: (None, Vec::new()),
        };
        let root = file.read_at_sector(file.first_directory, 128)?;
        file.mini_stream = file.chain(u32_at(&root, 116)?, CHAIN_LIMIT)?;
        Some(file)
    }

    /// The streams of these names (as UTF-16). Only the first entry of a name counts, so that a directory full of
    /// one name costs no more than one.
    pub(super) fn find<const N: usize>(&mut self, names: [&[u16]; N]) -> Option<[Option<Stream>; N]> {
        let mut found = [const { None }; N];
        let mut seen = [false; N];
        let directory = self.chain(self.first_directory, ENTRY_LIMIT * 128 / self.sector as usize)?;
        for sector in directory {
            let entries = self.read_at_sector(sector, self.sector as usize)?;
            for entry in entries.chunks_exact(128) {
                let Some(place) = names.iter().position(|name| entry_is(entry, name)) else { continue };
                let (Some(slot), Some(first)) = (found.get_mut(place), u32_at(entry, 116)) else { continue };
                if seen.get(place).copied().unwrap_or(true) {
                    continue;
                }
                seen[place] = true;
                // The upper half of the size is noise in files with small sectors.
                let upper = if self.sector == 4096 { u32_at(entry, 124)? } else { 0 };
                let size = u64::from(upper) << 32 | u64::from(u32_at(entry, 120)?);
                *slot = self.stream(first, size);
            }
            if seen.iter().all(|&seen| seen) {
                break;
            }
        }
        Some(found)
    }

    fn stream(&mut self, first: u32, size: u64) -> Option<Stream> {
        let mini = size < self.mini_cutoff;
        let unit = if mini { MINI_SECTOR } else { self.sector };
        let count = usize::try_from(size.div_ceil(unit)).ok().filter(|&count| count <= CHAIN_LIMIT)?;
        let sectors = if mini { self.mini_chain(first, count)? } else { self.chain(first, count)? };
        (sectors.len() >= count).then_some(Stream { sectors, mini, size })
    }

    /// Up to `length` bytes of the stream from `at`; fewer at its end.
    pub(super) fn read(&mut self, stream: &Stream, at: u64, length: usize) -> Option<Vec<u8>> {
        let end = at.checked_add(length as u64)?.min(stream.size);
        let unit = if stream.mini { MINI_SECTOR } else { self.sector };
        let mut bytes = Vec::new();
        let mut place = at;
        while place < end {
            let number = *stream.sectors.get(usize::try_from(place / unit).ok()?)?;
            let within = place % unit;
            let wanted = (unit - within).min(end - place);
            let start = if stream.mini {
                let from = u64::from(number) * MINI_SECTOR;
                let outer = *self.mini_stream.get(usize::try_from(from / self.sector).ok()?)?;
                self.place(outer) + from % self.sector
            } else {
                self.place(number)
            };
            let read = read_at(self.reader, start + within, wanted as usize)?;
            if read.len() as u64 != wanted {
                return None;
            }
            bytes.extend(read);
            place += wanted;
        }
        Some(bytes)
    }

    fn place(&self, sector: u32) -> u64 {
        (u64::from(sector) + 1) * self.sector
    }

    fn read_at_sector(&mut self, sector: u32, length: usize) -> Option<Vec<u8>> {
        let start = self.place(sector);
        read_at(self.reader, start, length).filter(|bytes| bytes.len() == length)
    }

    /// The sectors that follow one another from `first`, at most `limit`.
    fn chain(&mut self, first: u32, limit: usize) -> Option<Vec<u32>> {
        let mut sectors = Vec::new();
        let mut next = first;
        while next < LAST_SECTOR && sectors.len() < limit {
            sectors.push(next);
            next = self.after(next)?;
        }
        Some(sectors)
    }

    /// The sector that follows in the allocation table.
    fn after(&mut self, sector: u32) -> Option<u32> {
        let per = (self.sector / 4) as u32;
        let number = sector / per;
        if self.piece.0 != Some(number) {
            let at = *self.table.get(number as usize)?;
            self.piece = (Some(number), self.read_at_sector(at, self.sector as usize)?);
        }
        u32_at(&self.piece.1, (sector % per) as usize * 4)
    }

    /// The same for small streams, whose table is a stream of its own.
    fn mini_chain(&mut self, first: u32, limit: usize) -> Option<Vec<u32>> {
        if limit == 0 {
            return Some(Vec::new());
        }
        let table = self.chain(self.first_mini, CHAIN_LIMIT)?;
        let per = (self.sector / 4) as u32;
        let mut sectors = Vec::new();
        let mut next = first;
        let mut piece: (Option<u32>, Vec<u8>) = (None, Vec::new());
        while next < LAST_SECTOR && sectors.len() < limit {
            sectors.push(next);
            let number = next / per;
            if piece.0 != Some(number) {
                let at = *table.get(number as usize)?;
                piece = (Some(number), self.read_at_sector(at, self.sector as usize)?);
            }
            next = u32_at(&piece.1, (next % per) as usize * 4)?;
        }
        Some(sectors)
    }
}

/// Whether a directory entry is a stream of this name.
fn entry_is(entry: &[u8], name: &[u16]) -> bool {
    const STREAM: u8 = 2;
    let length = (name.len() + 1) * 2;
    entry.get(66) == Some(&STREAM)
        && u16_at(entry, 64).map(usize::from) == Some(length)
        && name.iter().enumerate().all(|(i, unit)| u16_at(entry, i * 2) == Some(*unit))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Cursor;

    /// A compound file with 512-byte sectors and the class id of installer packages; streams below 4096 bytes go into
    /// the small ones' stream, as the format wants it.
    pub(in super::super) fn compound(streams: &[(Vec<u16>, Vec<u8>)]) -> Vec<u8> {
        const SECTOR: usize = 512;
        const END: u32 = 0xFFFF_FFFE;
        let mut fat: Vec<u32> = Vec::new();
        let mut sectors: Vec<u8> = Vec::new();
        let mut add = |bytes: &[u8], fat: &mut Vec<u32>| -> u32 {
            let first = fat.len() as u32;
            let count = bytes.len().div_ceil(SECTOR);
            if count == 0 {
                return END;
            }
            for i in 0..count {
                fat.push(if i + 1 == count { END } else { first + i as u32 + 1 });
            }
            sectors.extend(bytes);
            sectors.resize(sectors.len().div_ceil(SECTOR) * SECTOR, 0);
            first
        };
        let (mut mini, mut mini_fat): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut entries = Vec::new();
        for (name, bytes) in streams {
            let first = if bytes.len() >= 4096 {
                add(bytes, &mut fat)
            } else {
                let first = mini_fat.len() as u32;
                let count = bytes.len().div_ceil(64);
                for i in 0..count {
                    mini_fat.push(if i + 1 == count { END } else { first + i as u32 + 1 });
                }
                mini.extend(bytes);
                mini.resize(mini.len().div_ceil(64) * 64, 0);
                if count == 0 { END } else { first }
            };
            entries.push((name.clone(), 2_u8, first, bytes.len() as u32));
        }
        let mini_fat_bytes: Vec<u8> = mini_fat.iter().flat_map(|n| n.to_le_bytes()).collect();
        let first_mini_fat = add(&mini_fat_bytes, &mut fat);
        let root = add(&mini, &mut fat);
        entries.insert(0, ("Root Entry".encode_utf16().collect(), 5, root, mini.len() as u32));
        let mut directory = Vec::new();
        for (name, kind, first, size) in &entries {
            let mut entry = [0_u8; 128];
            for (i, unit) in name.iter().enumerate() {
                entry[i * 2..i * 2 + 2].copy_from_slice(&unit.to_le_bytes());
            }
            entry[64..66].copy_from_slice(&((name.len() as u16 + 1) * 2).to_le_bytes());
            entry[66] = *kind;
            entry[68..80].fill(0xFF);
            if *kind == 5 {
                entry[80..96].copy_from_slice(&[0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46]);
            }
            entry[116..120].copy_from_slice(&first.to_le_bytes());
            entry[120..124].copy_from_slice(&size.to_le_bytes());
            directory.extend(entry);
        }
        let first_directory = add(&directory, &mut fat);
        // The table's own sectors come last.
        let (data, per) = (fat.len(), SECTOR / 4);
        let own = (1..).find(|own| data + own <= own * per).unwrap();
        fat.resize(data + own, 0xFFFF_FFFD);
        fat.resize(own * per, 0xFFFF_FFFF);
        let mut file = vec![0; SECTOR];
        file[..8].copy_from_slice(MAGIC);
        file[0x1A] = 3;
        file[0x1C..0x1E].copy_from_slice(&[0xFE, 0xFF]);
        file[0x1E] = 9;
        file[0x20] = 6;
        file[0x2C] = own as u8;
        file[0x30..0x34].copy_from_slice(&first_directory.to_le_bytes());
        file[0x38..0x3C].copy_from_slice(&4096_u32.to_le_bytes());
        file[0x3C..0x40].copy_from_slice(&first_mini_fat.to_le_bytes());
        file[0x44..0x48].copy_from_slice(&END.to_le_bytes());
        file[0x4C..].fill(0xFF);
        for i in 0..own {
            file[0x4C + i * 4..0x50 + i * 4].copy_from_slice(&((data + i) as u32).to_le_bytes());
        }
        file.extend(sectors);
        file.extend(fat.iter().flat_map(|n| n.to_le_bytes()));
        file
    }

    #[test]
    fn streams_are_found_and_read_in_parts() {
        let name = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let long: Vec<u8> = (0..9000_u32).map(|n| (n % 251) as u8).collect();
        let file =
            compound(&[(name("small"), b"hello".to_vec()), (name("long"), long.clone()), (name("none"), vec![])]);
        let mut reader = Cursor::new(&file);
        let mut compound = Compound::open(&mut reader).unwrap();
        let wanted = [name("long"), name("small"), name("none"), name("absent")];
        let [found, small, none, absent] =
            compound.find(std::array::from_fn::<_, 4, _>(|i| wanted[i].as_slice())).unwrap();
        let (found, small) = (found.unwrap(), small.unwrap());
        assert_eq!(compound.read(&found, 0, 10_000).unwrap(), long);
        assert_eq!(compound.read(&found, 500, 600).unwrap(), long[500..1100]);
        assert_eq!(compound.read(&found, 9000, 1).unwrap(), b"");
        assert_eq!(compound.read(&small, 1, 3).unwrap(), b"ell");
        assert_eq!(compound.read(&none.unwrap(), 0, 9).unwrap(), b"");
        assert!(absent.is_none());
    }

    #[test]
    fn loops_and_lies_end() {
        let name = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let file = compound(&[(name("small"), vec![1; 200]), (name("long"), vec![2; 9000])]);
        let look = |file: &[u8]| {
            let mut reader = Cursor::new(file);
            let mut compound = Compound::open(&mut reader)?;
            for stream in compound.find([&name("small")[..], &name("long")[..]])?.into_iter().flatten() {
                compound.read(&stream, 0, 20_000);
            }
            Some(())
        };
        assert!(look(&file).is_some());
        for at in (0..1024).chain(file.len() - 512..file.len()) {
            look(&file[..at]);
            for value in [0, 1, 2, 0xFE, 0xFF] {
                let mut changed = file.clone();
                changed[at] = value;
                look(&changed);
            }
        }
        // Every sector follows itself.
        let mut looping = file.clone();
        for i in 0..128_u32 {
            let at = file.len() - 512 + i as usize * 4;
            looping[at..at + 4].copy_from_slice(&i.to_le_bytes());
        }
        look(&looping);
    }
}
