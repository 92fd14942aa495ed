//! The database file for looking only: what redb writes while it opens and checks stays in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Mutex;

use redb::StorageBackend;

use super::disk::lock;
use super::sys;

const BLOCK: u64 = 4096;

/// A file whose changes are kept beside it and forgotten.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    length: u64,
    /// The file's bytes below this are still valid; a truncation lowers it for good.
    base: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> io::Result<Overlay> {
        let length = file.metadata()?.len();
        Ok(Overlay { file, state: Mutex::new(State { length, base: length, blocks: BTreeMap::new() }) })
    }

    /// The bytes of block `number` as they are now.
    fn block(&self, state: &State, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = state.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let wanted = state.base.saturating_sub(start).min(BLOCK) as usize;
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..wanted).filter(|rest| !rest.is_empty()) {
            match sys::read_at(&self.file, start + filled as u64, rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(block)
    }

    /// Walks the blocks that `offset..offset + length` touches: number, place in the block, place in the range.
    fn parts(
        offset: u64,
        length: usize,
    ) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
        let end = offset + length as u64;
        let mut at = offset;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (number, from) = (at / BLOCK, (at % BLOCK) as usize);
            let count = (BLOCK as usize - from).min((end - at) as usize);
            let place = (at - offset) as usize;
            at += count as u64;
            Some((number, from..from + count, place..place + count))
        })
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.state).length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = lock(&self.state);
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, inside, place) in Overlay::parts(offset, out.len()) {
            let block = self.block(&state, number)?;
            if let (Some(from), Some(to)) = (block.get(inside), out.get_mut(place)) {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        if length < state.length {
            state.base = state.base.min(length);
            state.blocks.split_off(&length.div_ceil(BLOCK));
            if !length.is_multiple_of(BLOCK)
                && let Some(block) = state.blocks.get_mut(&(length / BLOCK))
                && let Some(rest) = block.get_mut((length % BLOCK) as usize..)
            {
                rest.fill(0);
            }
        }
        state.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        for (number, inside, place) in Overlay::parts(offset, data.len()) {
            let mut block = self.block(&state, number)?;
            if let (Some(to), Some(from)) = (block.get_mut(inside), data.get(place)) {
                to.copy_from_slice(from);
            }
            state.blocks.insert(number, block);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stay_beside_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
        let all = |length: usize| {
            let mut out = vec![0; length];
            overlay.read(0, &mut out).map(|()| out)
        };
        let mut expected = bytes.clone();
        assert_eq!(all(10_000).unwrap(), expected);
        assert!(all(10_001).is_err());
        overlay.write(4090, &[7; 100]).unwrap();
        expected[4090..4190].fill(7);
        assert_eq!(all(10_000).unwrap(), expected);
        overlay.set_len(4100).unwrap();
        overlay.set_len(9_000).unwrap();
        expected.truncate(4100);
        expected.resize(9_000, 0);
        assert_eq!(all(9_000).unwrap(), expected);
        overlay.set_len(20_000).unwrap();
        overlay.write(19_999, &[9]).unwrap();
        expected.resize(19_999, 0);
        expected.push(9);
        assert_eq!(all(20_000).unwrap(), expected);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
