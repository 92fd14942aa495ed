//! The ZIP rules of a RefPack (`refpack.md` §4.1): the central directory read record by record, every entry checked
//! against its local header and inflated under bounds. Nothing is ever extracted.

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

use super::Fault;

/// The most entries an archive may have.
const ENTRY_LIMIT: usize = 10_000;
/// The most bytes all entries may inflate to.
const TOTAL_LIMIT: u64 = 256 << 20;
/// Above this an entry's ratio is looked at.
const RATIO_FREE: u64 = 1 << 20;
/// The most an entry may inflate by.
const RATIO_LIMIT: u64 = 200;

/// How an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Stored,
    /// Deflate (RFC 1951).
    Deflate,
}

/// One regular file of an archive and where its packed bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as in both headers.
    pub name: String,
    /// How it is packed.
    pub method: Method,
    /// Where its packed bytes begin, from the start of the archive.
    pub offset: u64,
    /// Number of packed bytes.
    pub packed: u64,
    /// Number of bytes it inflates to, as its header says.
    pub size: u64,
    /// SHA-256 of the inflated bytes; zeros until [`check_contents`] has read them.
    pub digest: [u8; 32],
    /// CRC-32 of the inflated bytes, as its header says.
    crc: u32,
}

/// A record of the central directory before its local header was seen.
struct Record {
    name: String,
    raw_name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
    unix_mode: u32,
}

/// Reads the directory of the archive of `length` bytes and judges every rule that needs no inflating.
///
/// # Errors
/// Every fault found, at most twenty.
pub fn entries<R: Read + Seek>(archive: &mut R, length: u64) -> Result<Vec<Entry>, Vec<Fault>> {
    let one = |fault: Fault| vec![fault];
    let end = End::find(archive, length).map_err(one)?;
    let records = directory(archive, &end).map_err(one)?;
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for record in &records {
        if let Err(fault) = judge(record) {
            faults.push(fault);
        }
        if !seen.insert(record.name.to_lowercase()) {
            faults.push(Fault::new("duplicate_entry", &record.name, "the archive holds this name twice"));
        }
        if faults.len() >= super::FAULT_LIMIT {
            break;
        }
    }
    if !faults.is_empty() {
        faults.truncate(super::FAULT_LIMIT);
        return Err(faults);
    }
    let entries = locate(archive, &records, end.directory).map_err(one)?;
    Ok(entries.into_iter().filter(|entry| !entry.name.ends_with('/')).collect())
}

/// Inflates every entry, counting as it goes, compares length and CRC-32 with the header, and notes the SHA-256.
///
/// # Errors
/// The first fault: `zip_bomb` or `zip_invalid`.
pub fn check_contents<R: Read + Seek>(archive: &mut R, entries: &mut [Entry]) -> Result<(), Fault> {
    use sha2::Digest as _;
    let mut total = 0;
    let mut block = vec![0; 64 << 10];
    for entry in entries {
        let mut crc = flate2::Crc::new();
        let mut hash = sha2::Sha256::new();
        let mut reader = open(archive, entry).map_err(|e| broken(&entry.name, &e))?;
        let mut size = 0_u64;
        loop {
            let read = match reader.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(broken(&entry.name, &e)),
            };
            size += read as u64;
            total += read as u64;
            let bomb = |message: &'static str| Fault::new("zip_bomb", &entry.name, message);
            if size > RATIO_FREE && size > entry.packed.saturating_mul(RATIO_LIMIT) {
                return Err(bomb("the entry inflates by more than 200 : 1"));
            }
            if total > TOTAL_LIMIT {
                return Err(bomb("the archive inflates to more than 256 MiB"));
            }
            if size > entry.size {
                return Err(Fault::new("zip_invalid", &entry.name, "the entry is longer than its header says"));
            }
            crc.update(&block[..read]);
            hash.update(&block[..read]);
        }
        if reader.packed_read() != entry.packed {
            return Err(Fault::new("zip_invalid", &entry.name, "the packed bytes go on after their end"));
        }
        if size != entry.size {
            return Err(Fault::new("zip_invalid", &entry.name, "the entry is shorter than its header says"));
        }
        if crc.sum() != entry.crc {
            return Err(Fault::new("zip_invalid", &entry.name, "the entry's CRC-32 is wrong"));
        }
        entry.digest = hash.finalize().into();
    }
    Ok(())
}

/// The inflated bytes of one entry. They may be more or fewer than its header says.
///
/// # Errors
/// When the archive cannot be read there.
pub fn open<'a, R: Read + Seek>(archive: &'a mut R, entry: &Entry) -> io::Result<Unpacked<io::Take<&'a mut R>>> {
    archive.seek(SeekFrom::Start(entry.offset))?;
    Ok(Unpacked::new(archive.take(entry.packed), entry.method))
}

/// Inflates what a reader of packed bytes gives.
pub enum Unpacked<R> {
    /// As it is; how many bytes were read.
    Stored(R, u64),
    /// Inflated.
    Deflate(DeflateDecoder<BufReader<R>>),
}

impl<R: Read> Unpacked<R> {
    /// `packed` must end where the entry's packed bytes end.
    pub fn new(packed: R, method: Method) -> Self {
        match method {
            Method::Stored => Unpacked::Stored(packed, 0),
            Method::Deflate => Unpacked::Deflate(DeflateDecoder::new(BufReader::with_capacity(32 << 10, packed))),
        }
    }

    /// How many packed bytes were needed so far.
    fn packed_read(&self) -> u64 {
        match self {
            Unpacked::Stored(_, read) => *read,
            Unpacked::Deflate(decoder) => decoder.total_in(),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Stored(packed, read) => {
                let count = packed.read(buffer)?;
                *read += count as u64;
                Ok(count)
            }
            Unpacked::Deflate(decoder) => decoder.read(buffer),
        }
    }
}

pub(super) fn broken(name: &str, error: &io::Error) -> Fault {
    Fault::new("zip_invalid", name, format!("the entry cannot be read: {error}"))
}

fn invalid(message: &'static str) -> Fault {
    Fault::new("zip_invalid", "", message)
}

fn inconsistent(name: &str, message: &'static str) -> Fault {
    Fault::new("zip_inconsistent", name, message)
}

/// What the end record says.
struct End {
    entries: u64,
    directory: u64,
    directory_size: u64,
}

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

impl End {
    /// The end record: the last one whose comment reaches exactly to the end of the archive.
    fn find<R: Read + Seek>(archive: &mut R, length: u64) -> Result<End, Fault> {
        let tail_length = length.min(END_LENGTH + 0xFFFF);
        let tail_start = length - tail_length;
        let tail = read_at(archive, tail_start, tail_length)?;
        let at = tail
            .windows(END.len())
            .enumerate()
            .rev()
            .filter(|(at, window)| *window == END && tail.len() - at >= END_LENGTH as usize)
            .map(|(at, _)| at)
            .find(|&at| tail.len() - at - END_LENGTH as usize == usize::from(u16_at(&tail[at..], 20)))
            .ok_or_else(|| invalid("this is not a ZIP archive, or its end is missing"))?;
        let record = &tail[at..];
        let position = tail_start + at as u64;
        let (disk, start_disk) = (u16_at(record, 4), u16_at(record, 6));
        let end = End {
            entries: u64::from(u16_at(record, 10)),
            directory_size: u64::from(u32_at(record, 12)),
            directory: u64::from(u32_at(record, 16)),
        };
        let wide = end.entries == 0xFFFF || end.directory_size == 0xFFFF_FFFF || end.directory == 0xFFFF_FFFF;
        let locator = match position.checked_sub(20) {
            Some(at) => Some(read_at(archive, at, 20)?).filter(|bytes| bytes.starts_with(LOCATOR)),
            None => None,
        };
        let (end, directory_end) = match locator {
            Some(locator) => {
                let (wider, at) = End::wide(archive, &locator, position - 20)?;
                let agrees = |short: u64, mark: u64, long: u64| short == mark || short == long;
                if !agrees(end.entries, 0xFFFF, wider.entries)
                    || !agrees(end.directory_size, 0xFFFF_FFFF, wider.directory_size)
                    || !agrees(end.directory, 0xFFFF_FFFF, wider.directory)
                {
                    return Err(invalid("the two end records contradict each other"));
                }
                (wider, at)
            }
            None if wide => return Err(invalid("the ZIP64 end record is missing")),
            None if disk != 0 || start_disk != 0 || u16_at(record, 8) != u16_at(record, 10) => {
                return Err(invalid("the archive is split over several disks"));
            }
            None => (end, position),
        };
        match end.directory.checked_add(end.directory_size) {
            Some(sum) if sum == directory_end => Ok(end),
            Some(sum) if sum < directory_end => Err(inconsistent("", "bytes stand outside the archive's own records")),
            _ => Err(invalid("the directory reaches beyond the end record")),
        }
    }

    /// The ZIP64 form, found through its locator.
    fn wide<R: Read + Seek>(archive: &mut R, locator: &[u8], locator_at: u64) -> Result<(End, u64), Fault> {
        let at = u64_at(locator, 8);
        if u32_at(locator, 4) != 0 || u32_at(locator, 16) > 1 {
            return Err(invalid("the archive is split over several disks"));
        }
        if at.checked_add(56).is_none_or(|end| end > locator_at) {
            return Err(invalid("the ZIP64 end record is not where it should be"));
        }
        let record = read_at(archive, at, 56)?;
        if !record.starts_with(END64) {
            return Err(invalid("the ZIP64 end record is missing"));
        }
        if u32_at(&record, 16) != 0 || u32_at(&record, 20) != 0 || u64_at(&record, 24) != u64_at(&record, 32) {
            return Err(invalid("the archive is split over several disks"));
        }
        let end =
            End { entries: u64_at(&record, 32), directory_size: u64_at(&record, 40), directory: u64_at(&record, 48) };
        Ok((end, at))
    }
}

/// Every record of the central directory, in its order.
fn directory<R: Read + Seek>(archive: &mut R, end: &End) -> Result<Vec<Record>, Fault> {
    if end.entries > ENTRY_LIMIT as u64 {
        return Err(Fault::new("zip_bomb", "", "the archive has more than 10000 entries"));
    }
    archive.seek(SeekFrom::Start(end.directory)).map_err(|_| invalid("the directory cannot be read"))?;
    let mut reader = BufReader::with_capacity(64 << 10, archive.by_ref().take(end.directory_size));
    let mut left = end.directory_size;
    let mut records = Vec::new();
    while left > 0 {
        if records.len() == ENTRY_LIMIT {
            return Err(Fault::new("zip_bomb", "", "the archive has more than 10000 entries"));
        }
        let (record, length) = Record::read(&mut reader)?;
        left = left.checked_sub(length).ok_or_else(|| invalid("the directory is cut off"))?;
        records.push(record);
    }
    if records.len() as u64 != end.entries {
        return Err(invalid("the directory has another number of entries than the end record says"));
    }
    Ok(records)
}

impl Record {
    fn read(reader: &mut impl Read) -> Result<(Record, u64), Fault> {
        let cut = |_| invalid("the directory is cut off");
        let mut fixed = [0; 46];
        reader.read_exact(&mut fixed).map_err(cut)?;
        if !fixed.starts_with(CENTRAL) {
            return Err(invalid("the directory holds something that is no entry"));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        let mut rest = vec![0; lengths.iter().sum()];
        reader.read_exact(&mut rest).map_err(cut)?;
        let raw_name = rest[..lengths[0]].to_vec();
        let extra = &rest[lengths[0]..lengths[0] + lengths[1]];
        let shown = String::from_utf8_lossy(&raw_name).into_owned();
        let name = String::from_utf8(raw_name.clone())
            .map_err(|_| Fault::new("bad_name_encoding", &shown, "the name is not UTF-8"))?;
        let mut record = Record {
            name,
            raw_name,
            flags: u16_at(&fixed, 8),
            method: u16_at(&fixed, 10),
            crc: u32_at(&fixed, 16),
            packed: u64::from(u32_at(&fixed, 20)),
            size: u64::from(u32_at(&fixed, 24)),
            header: u64::from(u32_at(&fixed, 42)),
            // The upper half of the external attributes; whatever system claims to have made the entry, some reader
            // will take it for a mode.
            unix_mode: u32_at(&fixed, 38) >> 16,
        };
        if !matches!(u16_at(&fixed, 34), 0 | 0xFFFF) {
            return Err(invalid("the archive is split over several disks"));
        }
        record.widen(extra)?;
        let length = 46 + rest.len() as u64;
        Ok((record, length))
    }

    /// Takes the 64-bit numbers from the extra field where the 32-bit ones say so.
    fn widen(&mut self, extra: &[u8]) -> Result<(), Fault> {
        const MARK: u64 = 0xFFFF_FFFF;
        if self.size != MARK && self.packed != MARK && self.header != MARK {
            return Ok(());
        }
        let mut field = zip64_field(extra).ok_or_else(|| invalid("the ZIP64 sizes are missing"))?;
        for number in [&mut self.size, &mut self.packed, &mut self.header] {
            if *number == MARK {
                let (head, rest) =
                    field.split_first_chunk::<8>().ok_or_else(|| invalid("the ZIP64 sizes are cut off"))?;
                *number = u64::from_le_bytes(*head);
                field = rest;
            }
        }
        Ok(())
    }
}

/// The body of the extra field with id 1.
fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let body = rest.get(..length)?;
        if head[..2] == [1, 0] {
            return Some(body);
        }
        extra = &rest[length..];
    }
    None
}

/// The files a RefPack may hold at its root.
const ROOT_FILES: [&str; 6] =
    ["data.meta.json", "data.meta.json.jws", "data.json", "data.schema.json", "data.changelog.json", "data.readme.md"];

/// The rules about one record that need nothing else.
fn judge(record: &Record) -> Result<(), Fault> {
    let name = record.name.as_str();
    let fault = |code, message: &'static str| Err(Fault::new(code, name, message));
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let climbs = name.split('/').any(|segment| matches!(segment, "." | ".."));
    if climbs || drive || name.starts_with('/') || name.contains('\\') || name.chars().any(char::is_control) {
        return fault("path_traversal", "the name is absolute, climbs, or holds a control character or backslash");
    }
    const TYPE: u32 = 0o170_000;
    match record.unix_mode & TYPE {
        0 | 0o100_000 => {}
        0o040_000 if name.ends_with('/') => {}
        _ => return fault("special_file", "the entry is not a regular file"),
    }
    let flat_asset = name.strip_prefix("assets/").is_some_and(|asset| !asset.contains('/'));
    if !flat_asset && !ROOT_FILES.contains(&name) {
        return fault("unexpected_entry", "a RefPack holds its data files and a flat folder assets/, nothing else");
    }
    // Bit 0: encrypted; bit 6: strong encryption; bit 13: masked headers.
    if record.flags & 0b10_0000_0100_0001 != 0 {
        return fault("encrypted", "the entry is encrypted");
    }
    if !matches!(record.method, 0 | 8) {
        return fault("unsupported_compression", "only stored and deflated entries are read");
    }
    if name == "assets/" && (record.size != 0 || record.packed > 2) {
        return fault("zip_invalid", "a folder cannot hold bytes");
    }
    Ok(())
}

/// Compares every record with its local header and finds where its bytes lie.
fn locate<R: Read + Seek>(archive: &mut R, records: &[Record], directory: u64) -> Result<Vec<Entry>, Fault> {
    let mut spans = Vec::with_capacity(records.len());
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let name = record.name.as_str();
        let reaches = |end: Option<u64>| end.filter(|&end| end <= directory);
        reaches(record.header.checked_add(30))
            .ok_or_else(|| inconsistent(name, "the local header lies outside the entries"))?;
        let fixed = read_at(archive, record.header, 30)?;
        if !fixed.starts_with(LOCAL) {
            return Err(inconsistent(name, "there is no local header where the directory says"));
        }
        let (name_length, extra_length) = (u64::from(u16_at(&fixed, 26)), u64::from(u16_at(&fixed, 28)));
        let offset = record.header + 30 + name_length + extra_length;
        let end = reaches(offset.checked_add(record.packed))
            .ok_or_else(|| inconsistent(name, "the entry reaches into the directory"))?;
        let local_name = read_at(archive, record.header + 30, name_length)?;
        if local_name != record.raw_name {
            return Err(inconsistent(name, "the local header has another name"));
        }
        if u16_at(&fixed, 6) & 1 != 0 {
            return Err(Fault::new("encrypted", name, "the entry is encrypted"));
        }
        if u16_at(&fixed, 8) != record.method {
            return Err(inconsistent(name, "the local header has another compression method"));
        }
        // Bit 3: the sizes follow the data and the header may leave them out.
        if u16_at(&fixed, 6) & 8 == 0 {
            let extra = read_at(archive, record.header + 30 + name_length, extra_length)?;
            let mut local = Record {
                crc: u32_at(&fixed, 14),
                packed: u64::from(u32_at(&fixed, 18)),
                size: u64::from(u32_at(&fixed, 22)),
                header: 0,
                name: String::new(),
                raw_name: Vec::new(),
                ..*record
            };
            local.widen(&extra)?;
            if (local.crc, local.packed, local.size) != (record.crc, record.packed, record.size) {
                return Err(Fault::new("zip_invalid", name, "the two headers say different sizes or sums"));
            }
        }
        if record.method == 0 && record.packed != record.size {
            return Err(Fault::new("zip_invalid", name, "a stored entry has two different sizes"));
        }
        spans.push((record.header, end));
        entries.push(Entry {
            name: record.name.clone(),
            method: if record.method == 0 { Method::Stored } else { Method::Deflate },
            offset,
            packed: record.packed,
            size: record.size,
            digest: [0; 32],
            crc: record.crc,
        });
    }
    spans.sort_unstable();
    if spans.first().map_or(directory, |first| first.0) != 0 {
        return Err(inconsistent("", "bytes stand before the first entry"));
    }
    if spans.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(inconsistent("", "entries overlap"));
    }
    Ok(entries)
}

fn read_at<R: Read + Seek>(archive: &mut R, at: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    archive
        .seek(SeekFrom::Start(at))
        .and_then(|_| archive.by_ref().take(length).read_to_end(&mut bytes))
        .map_err(|_| invalid("the archive cannot be read"))?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(invalid("the archive is cut off")),
    }
}

/// Callers have checked that the bytes are there.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
