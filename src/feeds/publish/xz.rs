//! One xz stream out of blocks that were packed separately, so that an index that grew by one package is not packed
//! anew. Concatenated streams would do for most readers, but apt wants one.

use crate::error::{Error, Result};
use crate::formats::compress;

/// Length of a stream's header, and of its footer.
const FRAME: usize = 12;
/// How hard blocks are packed: 1 is what pays for indexes.
const PRESET: u32 = 1;

/// A packed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Its bytes, padding included.
    pub(super) bytes: Vec<u8>,
    /// How many of them are no padding.
    pub(super) unpadded: u64,
}

/// Packs a text that is not empty as one block.
pub(super) fn pack(text: &[u8]) -> Result<Packed> {
    let stream = compress::xz(text, PRESET).map_err(Error::internal)?;
    split(&stream).ok_or_else(|| Error::internal("the xz packer made something else than one block"))
}

/// The only block of a stream.
fn split(stream: &[u8]) -> Option<Packed> {
    let footer = stream.get(stream.len().checked_sub(FRAME)?..)?;
    let backward = u32::from_le_bytes(footer.get(4..8)?.try_into().ok()?);
    let index_length = (usize::try_from(backward).ok()? + 1) * 4;
    let index_at = stream.len().checked_sub(FRAME + index_length)?;
    let mut index = stream.get(index_at..stream.len() - FRAME)?;
    let (mark, count) = (number(&mut index)?, number(&mut index)?);
    if (mark, count) != (0, 1) {
        return None;
    }
    let unpadded = number(&mut index)?;
    Some(Packed { bytes: stream.get(FRAME..index_at)?.to_vec(), unpadded })
}

/// A number as the format writes it: seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn push_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What stands before the first block.
pub(super) fn header() -> Result<Vec<u8>> {
    let mut stream = compress::xz(b"", PRESET).map_err(Error::internal)?;
    if stream.len() < 2 * FRAME {
        return Err(Error::internal("the xz packer made no stream"));
    }
    stream.truncate(FRAME);
    Ok(stream)
}

/// What stands behind the last block; `blocks` are their lengths without padding and unpacked.
pub(super) fn trailer(header: &[u8], blocks: &[(u64, u64)]) -> Result<Vec<u8>> {
    let flags = header.get(6..8).ok_or_else(|| Error::internal("an xz header is too short"))?;
    let mut index = vec![0];
    push_number(&mut index, blocks.len() as u64);
    for (unpadded, open) in blocks {
        push_number(&mut index, *unpadded);
        push_number(&mut index, *open);
    }
    while index.len() % 4 != 0 {
        index.push(0);
    }
    let sum = crc32(&index);
    index.extend_from_slice(&sum.to_le_bytes());
    let backward = u32::try_from(index.len() / 4 - 1).map_err(Error::internal)?;
    let mut tail = backward.to_le_bytes().to_vec();
    tail.extend_from_slice(flags);
    index.extend_from_slice(&crc32(&tail).to_le_bytes());
    index.extend_from_slice(&tail);
    index.extend_from_slice(b"YZ");
    Ok(index)
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::formats::compress::{Bounds, Compression, Decoder};

    #[test]
    fn blocks_become_one_stream() {
        let texts: [Vec<u8>; 3] =
            [b"a".to_vec(), vec![b'x'; 100_000], (0..9999u32).flat_map(u32::to_le_bytes).collect()];
        for count in 0..=texts.len() {
            let header = header().unwrap();
            let (mut stream, mut sizes, mut whole) = (header.clone(), Vec::new(), Vec::new());
            for text in &texts[..count] {
                let packed = pack(text).unwrap();
                stream.extend_from_slice(&packed.bytes);
                sizes.push((packed.unpadded, text.len() as u64));
                whole.extend_from_slice(text);
            }
            stream.extend_from_slice(&trailer(&header, &sizes).unwrap());
            if count == 0 {
                assert_eq!(stream, compress::xz(b"", PRESET).unwrap());
            }
            let mut read = Vec::new();
            let bounds = Bounds::default();
            Decoder::new(Compression::Xz, stream.as_slice(), bounds).read_to_end(&mut read).unwrap();
            assert!(read == whole, "{count}");
        }
    }
}
