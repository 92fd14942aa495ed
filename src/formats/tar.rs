//! A tar archive read from front to back in constant memory: heads and sizes; nothing is unpacked.

use std::io::{self, Read};

use crate::formats::fault::Fault;

const BLOCK: usize = 512;
/// Longest name an extension entry may carry, and longest block of extended attributes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name as it was written.
    pub(super) name: Vec<u8>,
    /// Whether it is a regular file.
    pub(super) regular: bool,
    /// Bytes of content.
    pub(super) size: u64,
}

/// Reads the members of an archive in order.
pub(super) struct Tar<R> {
    reader: R,
    /// Content of the present member and padding not yet read.
    left: u64,
    padding: u64,
    ended: bool,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(reader: R) -> Tar<R> {
        Tar { reader, left: 0, padding: 0, ended: false }
    }

    /// The next member; `None` after the last one. What is left of the content before it is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            let Some(head) = self.head()? else {
                return match long_name {
                    Some(_) => Err(Fault::bad("the archive ends after the long name of a member")),
                    None => Ok(None),
                };
            };
            let kind = head.kind;
            match kind {
                b'L' => {
                    let name = self.extension(head.size)?;
                    long_name = Some(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
                }
                b'K' => {
                    self.extension(head.size)?;
                }
                b'x' => {
                    let attributes = self.extension(head.size)?;
                    for (key, value) in records(&attributes)? {
                        match key {
                            b"path" => long_name = Some(value.to_vec()),
                            b"size" => long_size = Some(decimal(value)?),
                            _ => {}
                        }
                    }
                }
                b'g' => {
                    self.extension(head.size)?;
                }
                _ => {
                    let regular = matches!(kind, b'0' | 0 | b'7');
                    // Links, directories and devices have no content, whatever their head says.
                    let size = if matches!(kind, b'1'..=b'6') { 0 } else { long_size.unwrap_or(head.size) };
                    self.enter(size);
                    return Ok(Some(Entry { name: long_name.unwrap_or(head.name), regular, size }));
                }
            }
        }
    }

    /// The rest of the content of the present member; refused beyond `limit` bytes.
    pub(super) fn content(&mut self, limit: u64) -> Result<Vec<u8>, Fault> {
        if self.left > limit {
            return Err(Fault::bad(format!("a member of {} bytes is longer than {limit}", self.left)));
        }
        let mut bytes = Vec::new();
        self.reader.by_ref().take(self.left).read_to_end(&mut bytes)?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if read < self.left {
            return Err(Fault::bad("the archive ends in the middle of a member"));
        }
        self.left = 0;
        Ok(bytes)
    }

    /// What the archive was read from.
    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    fn enter(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        self.enter(size);
        self.content(LONGEST_EXTENSION)
    }

    fn head(&mut self) -> Result<Option<Head>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let skip = self.left.checked_add(self.padding).ok_or_else(|| Fault::bad("a member is impossibly long"))?;
        let skipped = io::copy(&mut self.reader.by_ref().take(skip), &mut io::sink())?;
        if skipped < self.left {
            return Err(Fault::bad("the archive ends in the middle of a member"));
        }
        (self.left, self.padding) = (0, 0);
        let mut block = Vec::with_capacity(BLOCK);
        self.reader.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        let Some(block) = block.first_chunk::<BLOCK>() else {
            // Archives whose closing blocks were left out are common enough.
            self.ended = true;
            return if block.is_empty() {
                Ok(None)
            } else {
                Err(Fault::bad("the archive ends in the middle of a head"))
            };
        };
        if block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        Head::parse(block).map(Some)
    }
}

struct Head {
    name: Vec<u8>,
    size: u64,
    kind: u8,
}

impl Head {
    fn parse(block: &[u8; BLOCK]) -> Result<Head, Fault> {
        let part = |at: usize, length: usize| block.get(at..at + length).unwrap_or_default();
        let upto_zero = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        // The checksum counts its own field as blanks; very old programs added signed bytes.
        let told = number(part(148, 8))?;
        let counted = |add: fn(u8) -> i64| -> i64 {
            let own = part(148, 8).iter().map(|byte| add(*byte)).sum::<i64>();
            block.iter().map(|byte| add(*byte)).sum::<i64>() - own + 8 * i64::from(b' ')
        };
        let fits = |sum: i64| u64::try_from(sum).is_ok_and(|sum| sum == told);
        if !fits(counted(i64::from)) && !fits(counted(|byte| i64::from(byte.cast_signed()))) {
            return Err(Fault::bad("the checksum of a head in the archive does not fit"));
        }
        let mut name = upto_zero(part(0, 100));
        let prefix = upto_zero(part(345, 155));
        if part(257, 6) == b"ustar\0" && !prefix.is_empty() {
            name = [&prefix[..], b"/", &name].concat();
        }
        Ok(Head { name, size: number(part(124, 12))?, kind: block[156] })
    }
}

/// A number in a head: octal digits between blanks and zeros, or, with its first bit set, big-endian binary.
fn number(field: &[u8]) -> Result<u64, Fault> {
    let wrong = || Fault::bad("a number in a head of the archive is none");
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        return rest.iter().try_fold(u64::from(first & 0x7F), |sum, byte| {
            let sum = sum.checked_mul(256).ok_or_else(wrong)?;
            Ok(sum | u64::from(*byte))
        });
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    digits.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'7' => Ok(sum.checked_mul(8).ok_or_else(wrong)? + u64::from(byte - b'0')),
        _ => Err(wrong()),
    })
}

fn decimal(bytes: &[u8]) -> Result<u64, Fault> {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Fault::bad("a size in the archive is no number"))
}

/// Key and value of an extended attribute.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The `LENGTH KEY=VALUE` lines of extended attributes.
fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, Fault> {
    let wrong = || Fault::bad("the extended attributes of a member are broken");
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length = usize::try_from(decimal(bytes.get(..blank).unwrap_or_default())?).map_err(|_| wrong())?;
        let record = bytes.get(blank + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        let (key, value) = record.split_at(equals);
        found.push((key, value.get(1..).unwrap_or_default()));
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(found)
}
