//! The readers of packages, versions and signatures, held against the programs that define them and against hostile bytes.

mod debs;
mod hostile;
mod rpms;
mod signatures;
mod versions;

use std::ops::Range;

/// Numbers that look random and are the same in every run (an xorshift generator).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        range.start + usize::try_from(self.next() % (range.end - range.start) as u64).unwrap()
    }

    pub(crate) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.within(0..choices.len())]
    }
}
