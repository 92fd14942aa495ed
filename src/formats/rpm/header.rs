//! One header of an rpm: an index of tags over a store of values; every offset and count is checked before it is used.

use std::io::Read;

use crate::formats::control::text;
use crate::formats::fault::Fault;

const MAGIC: [u8; 4] = [0x8E, 0xAD, 0xE8, 0x01];
/// Magic, four reserved bytes, number of entries, length of the store.
const INTRO: usize = 16;
const ENTRY: usize = 16;
/// Most tags.
const MOST_ENTRIES: usize = 0xFFFF;
/// Longest header.
pub(super) const LONGEST: u64 = 64 << 20;
/// Most values of one tag: files have three tags with a value each.
pub(super) const MOST_VALUES: usize = 500_000;

/// A header as it stands in the file.
pub(super) struct Header {
    /// All of its bytes, from the magic on: what its digests cover.
    pub(super) raw: Vec<u8>,
    entries: usize,
}

/// Where the values of a tag lie.
struct Found<'a> {
    kind: u32,
    count: usize,
    /// The store from the first value on.
    bytes: &'a [u8],
}

impl Header {
    /// Reads the next header, no longer than `limit` bytes.
    pub(super) fn read(reader: &mut impl Read, limit: u64) -> Result<Header, Fault> {
        let mut raw = Vec::new();
        reader.by_ref().take(INTRO as u64).read_to_end(&mut raw)?;
        let short = || Fault::bad("the file ends in the middle of a header");
        if raw.len() < INTRO {
            return Err(short());
        }
        if !raw.starts_with(&MAGIC) {
            return Err(Fault::bad("where a header should be there is none"));
        }
        let number = |at| u32_at(&raw, at).and_then(|number| usize::try_from(number).ok()).ok_or_else(short);
        let (entries, store) = (number(8)?, number(12)?);
        if entries == 0 || entries > MOST_ENTRIES {
            return Err(Fault::bad(format!("a header of {entries} tags is none")));
        }
        let rest =
            u64::try_from(entries * ENTRY).unwrap_or(u64::MAX).saturating_add(u64::try_from(store).unwrap_or(u64::MAX));
        if rest > limit.min(LONGEST) {
            return Err(Fault::bad(format!("a header of {rest} bytes is too long")));
        }
        reader.by_ref().take(rest).read_to_end(&mut raw)?;
        if u64::try_from(raw.len() - INTRO).unwrap_or(0) < rest {
            return Err(short());
        }
        Ok(Header { raw, entries })
    }

    /// Its length in the file, without padding.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.raw.len()).unwrap_or(u64::MAX)
    }

    /// Whether the tag is there.
    pub(super) fn has(&self, tag: u32) -> bool {
        self.index().any(|(found, ..)| found == tag)
    }

    /// The first text of a tag, in the language of the package.
    pub(super) fn text(&self, tag: u32) -> Result<Option<String>, Fault> {
        let Some(found) = self.find(tag)? else { return Ok(None) };
        let first = if found.count == 0 { None } else { found.texts(tag)?.next() };
        first.transpose().map(|bytes| bytes.map(|bytes| text(bytes.to_vec())))
    }

    /// Every text of a tag; none when it is not there.
    pub(super) fn texts(&self, tag: u32) -> Result<Vec<&[u8]>, Fault> {
        match self.find(tag)? {
            Some(found) => found.texts(tag)?.collect(),
            None => Ok(Vec::new()),
        }
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: u32) -> Result<Option<u64>, Fault> {
        Ok(self.numbers(tag)?.first().copied())
    }

    /// Every number of a tag; none when it is not there.
    pub(super) fn numbers(&self, tag: u32) -> Result<Vec<u64>, Fault> {
        let Some(found) = self.find(tag)? else { return Ok(Vec::new()) };
        let width = match found.kind {
            1 | 2 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Err(Fault::bad(format!("tag {tag} holds no numbers"))),
        };
        let bytes = found.count.checked_mul(width).and_then(|length| found.bytes.get(..length));
        let bytes = bytes.ok_or_else(|| outside(tag))?;
        let join = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Ok(bytes.chunks_exact(width).map(join).collect())
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u32) -> Result<Option<&[u8]>, Fault> {
        match self.find(tag)? {
            Some(Found { kind: 7, count, bytes }) => bytes.get(..count).map(Some).ok_or_else(|| outside(tag)),
            Some(_) => Err(Fault::bad(format!("tag {tag} holds no bytes"))),
            None => Ok(None),
        }
    }

    /// Tag, kind, offset, count of every entry.
    fn index(&self) -> impl Iterator<Item = (u32, u32, u32, u32)> + '_ {
        let index = self.raw.get(INTRO..INTRO + self.entries * ENTRY).unwrap_or_default();
        index
            .chunks_exact(ENTRY)
            .filter_map(|entry| Some((u32_at(entry, 0)?, u32_at(entry, 4)?, u32_at(entry, 8)?, u32_at(entry, 12)?)))
    }

    fn find(&self, tag: u32) -> Result<Option<Found<'_>>, Fault> {
        let Some((_, kind, offset, count)) = self.index().find(|(found, ..)| *found == tag) else {
            return Ok(None);
        };
        let store = self.raw.get(INTRO + self.entries * ENTRY..).unwrap_or_default();
        let bytes = usize::try_from(offset).ok().and_then(|offset| store.get(offset..)).ok_or_else(|| outside(tag))?;
        let count = usize::try_from(count).map_err(|_| outside(tag))?;
        if count > bytes.len() {
            return Err(outside(tag));
        }
        if kind != 7 && count > MOST_VALUES {
            return Err(Fault::bad(format!("tag {tag} has {count} values, more than {MOST_VALUES}")));
        }
        Ok(Some(Found { kind, count, bytes }))
    }
}

impl<'a> Found<'a> {
    fn texts(&self, tag: u32) -> Result<impl Iterator<Item = Result<&'a [u8], Fault>> + use<'a>, Fault> {
        let count = match self.kind {
            6 => 1,
            8 | 9 => self.count,
            _ => return Err(Fault::bad(format!("tag {tag} holds no text"))),
        };
        let mut rest = self.bytes;
        Ok((0..count).map(move |_| {
            let end = memchr::memchr(0, rest).ok_or_else(|| outside(tag))?;
            let (value, left) = rest.split_at_checked(end).ok_or_else(|| outside(tag))?;
            rest = left.get(1..).unwrap_or_default();
            Ok(value)
        }))
    }
}

fn outside(tag: u32) -> Fault {
    Fault::bad(format!("tag {tag} points outside of its header"))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
