//! Where each byte of a stored ZIP lies, known before any of it is made. Pure.

/// From here on a length or an offset does not fit its field and stands in the 64-bit one.
const LARGE: u64 = 0xFFFF_FFFF;
/// From here on a number of entries does not fit.
const MANY: usize = 0xFFFF;
/// The version of the format that is needed to read an entry, and one with 64-bit fields.
const NEEDED: u16 = 20;
const NEEDED_64: u16 = 45;
/// Made on Unix by version 2.0 of the format: what gives `ATTRIBUTES` their meaning.
const UNIX: u16 = 3 << 8;
/// A plain file that everybody may read.
const ATTRIBUTES: u32 = 0o100_644 << 16;
/// 1980-01-01 00:00, the first date there is: an entry has no date of its own.
const DATE: u32 = 0x0021_0000;

/// Bytes of the head of an entry without its name and 64-bit fields, in front of its bytes and in the directory.
const LOCAL: u64 = 30;
const CENTRAL: u64 = 46;
/// Bytes of what ends an archive, and of what precedes that when it is large.
const END: u64 = 22;
const END_64: u64 = 56 + 20;

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<T> {
    /// What it is.
    pub(super) what: T,
    /// Bytes of its name.
    pub(super) name: u16,
    /// Its bytes.
    pub(super) size: u64,
}

/// Which byte of an archive is what.
#[derive(Debug)]
pub(super) struct Layout<T> {
    entries: Vec<Entry<T>>,
    /// Where the head of each entry begins, and where the directory does.
    starts: Vec<u64>,
    /// Where the line of each entry in the directory begins, and where the directory ends.
    lines: Vec<u64>,
}

/// What lies at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The byte `within` the head of entry `number`.
    Head { number: usize, within: u64 },
    /// The byte `within` the file itself.
    Bytes { number: usize, within: u64 },
    /// The byte `within` its line of the directory.
    Line { number: usize, within: u64 },
    /// The byte `within` what ends the archive.
    End { within: u64 },
    /// Nothing: the archive is over.
    Nothing,
}

impl<T> Layout<T> {
    /// Of these files in this order.
    pub(super) fn new(entries: Vec<Entry<T>>) -> Layout<T> {
        let mut at = 0;
        let mut starts = Vec::with_capacity(entries.len() + 1);
        for entry in &entries {
            starts.push(at);
            at += LOCAL + u64::from(entry.name) + local_extra(entry.size) + entry.size;
        }
        starts.push(at);
        let mut lines = Vec::with_capacity(entries.len() + 1);
        for (entry, start) in entries.iter().zip(&starts) {
            lines.push(at);
            at += CENTRAL + u64::from(entry.name) + central_extra(entry.size, *start);
        }
        lines.push(at);
        Layout { entries, starts, lines }
    }

    /// Its files.
    pub(super) fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        let large = if self.is_large() { END_64 } else { 0 };
        self.directory_end() + large + END
    }

    /// Where the directory begins.
    pub(super) fn directory(&self) -> u64 {
        self.starts.last().copied().unwrap_or_default()
    }

    fn directory_end(&self) -> u64 {
        self.lines.last().copied().unwrap_or_default()
    }

    fn is_large(&self) -> bool {
        let size = self.directory_end() - self.directory();
        self.entries.len() >= MANY || self.directory() >= LARGE || size >= LARGE
    }

    /// What lies at `offset`.
    pub(super) fn place(&self, offset: u64) -> Place {
        if offset >= self.directory_end() {
            return match offset < self.len() {
                true => Place::End { within: offset - self.directory_end() },
                false => Place::Nothing,
            };
        }
        let find = |starts: &[u64]| starts.partition_point(|start| *start <= offset).saturating_sub(1);
        if offset >= self.directory() {
            let number = find(&self.lines);
            let start = self.lines.get(number).copied().unwrap_or_default();
            return Place::Line { number, within: offset - start };
        }
        let number = find(&self.starts);
        let start = self.starts.get(number).copied().unwrap_or_default();
        let head = self.entries.get(number).map_or(0, |e| LOCAL + u64::from(e.name) + local_extra(e.size));
        match (offset - start).checked_sub(head) {
            Some(within) => Place::Bytes { number, within },
            None => Place::Head { number, within: offset - start },
        }
    }

    /// The head of an entry.
    pub(super) fn head(&self, number: usize, name: &str, crc: u32) -> Vec<u8> {
        let Some(entry) = self.entries.get(number) else { return Vec::new() };
        let large = entry.size >= LARGE;
        let mut head = Vec::with_capacity(128);
        put32(&mut head, 0x0403_4b50);
        put16(&mut head, needed(large));
        put16(&mut head, 0);
        put16(&mut head, 0);
        put32(&mut head, DATE);
        put32(&mut head, crc);
        put32(&mut head, short(entry.size));
        put32(&mut head, short(entry.size));
        put16(&mut head, entry.name);
        put16(&mut head, if large { 20 } else { 0 });
        head.extend_from_slice(name.as_bytes());
        if large {
            put16(&mut head, 1);
            put16(&mut head, 16);
            put64(&mut head, entry.size);
            put64(&mut head, entry.size);
        }
        head
    }

    /// The line of an entry in the directory.
    pub(super) fn line(&self, number: usize, name: &str, crc: u32) -> Vec<u8> {
        let (Some(entry), Some(start)) = (self.entries.get(number), self.starts.get(number)) else { return Vec::new() };
        let (large, far) = (entry.size >= LARGE, *start >= LARGE);
        let mut line = Vec::with_capacity(160);
        put32(&mut line, 0x0201_4b50);
        put16(&mut line, UNIX | needed(large || far));
        put16(&mut line, needed(large));
        put16(&mut line, 0);
        put16(&mut line, 0);
        put32(&mut line, DATE);
        put32(&mut line, crc);
        put32(&mut line, short(entry.size));
        put32(&mut line, short(entry.size));
        put16(&mut line, entry.name);
        put16(&mut line, u16::try_from(central_extra(entry.size, *start)).unwrap_or_default());
        put16(&mut line, 0);
        put16(&mut line, 0);
        put16(&mut line, 0);
        put32(&mut line, ATTRIBUTES);
        put32(&mut line, short(*start));
        line.extend_from_slice(name.as_bytes());
        if large || far {
            put16(&mut line, 1);
            put16(
                &mut line,
                if large && far {
                    24
                } else if large {
                    16
                } else {
                    8
                },
            );
            if large {
                put64(&mut line, entry.size);
                put64(&mut line, entry.size);
            }
            if far {
                put64(&mut line, *start);
            }
        }
        line
    }

    /// What ends the archive.
    pub(super) fn end(&self) -> Vec<u8> {
        let (count, from) = (self.entries.len(), self.directory());
        let size = self.directory_end() - from;
        let mut end = Vec::with_capacity(128);
        if self.is_large() {
            put32(&mut end, 0x0606_4b50);
            put64(&mut end, 44);
            put16(&mut end, UNIX | needed(true));
            put16(&mut end, needed(true));
            put32(&mut end, 0);
            put32(&mut end, 0);
            put64(&mut end, count as u64);
            put64(&mut end, count as u64);
            put64(&mut end, size);
            put64(&mut end, from);
            put32(&mut end, 0x0706_4b50);
            put32(&mut end, 0);
            put64(&mut end, self.directory_end());
            put32(&mut end, 1);
        }
        let few = u16::try_from(count).unwrap_or(u16::MAX);
        put32(&mut end, 0x0605_4b50);
        put16(&mut end, 0);
        put16(&mut end, 0);
        put16(&mut end, few);
        put16(&mut end, few);
        put32(&mut end, short(size));
        put32(&mut end, short(from));
        put16(&mut end, 0);
        end
    }
}

fn local_extra(size: u64) -> u64 {
    if size >= LARGE { 20 } else { 0 }
}

fn central_extra(size: u64, start: u64) -> u64 {
    match (size >= LARGE, start >= LARGE) {
        (false, false) => 0,
        (false, true) => 12,
        (true, false) => 20,
        (true, true) => 28,
    }
}

fn needed(large: bool) -> u16 {
    if large { NEEDED_64 } else { NEEDED }
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(sizes: &[u64]) -> Layout<()> {
        Layout::new(sizes.iter().map(|size| Entry { what: (), name: 5, size: *size }).collect())
    }

    #[test]
    fn every_part_is_as_long_as_its_place() {
        let huge = 5_u64 << 30;
        for sizes in [vec![], vec![0], vec![3, 7], vec![huge, 1, LARGE, LARGE - 1], vec![1; 65_535], vec![1; 65_534]] {
            let layout = layout(&sizes);
            for (number, size) in sizes.iter().copied().enumerate() {
                let (head, line) = (layout.head(number, "abcde", 1), layout.line(number, "abcde", 1));
                let start = layout.starts[number];
                assert_eq!(layout.place(start), Place::Head { number, within: 0 });
                let body = start + head.len() as u64;
                assert_eq!(layout.place(body - 1), Place::Head { number, within: head.len() as u64 - 1 });
                if size > 0 {
                    assert_eq!(layout.place(body), Place::Bytes { number, within: 0 });
                    let last = Place::Bytes { number, within: size - 1 };
                    assert_eq!(layout.place(body + size - 1), last);
                }
                assert_eq!(layout.starts[number + 1], body + size);
                assert_eq!(layout.place(layout.lines[number]), Place::Line { number, within: 0 });
                assert_eq!(layout.lines[number + 1], layout.lines[number] + line.len() as u64);
            }
            let end = layout.end().len() as u64;
            assert_eq!(layout.place(layout.directory_end()), Place::End { within: 0 });
            assert_eq!(layout.len(), layout.directory_end() + end);
            assert_eq!(layout.place(layout.len()), Place::Nothing);
            assert_eq!(end > END, sizes.len() >= MANY || sizes.contains(&huge), "{}", sizes.len());
        }
    }
}
