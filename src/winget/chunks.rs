//! Pieces of an upload: what their head fields mean, and sets of bytes that have arrived. Pure (`winget.md` A7).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most separate runs of bytes one unfinished upload may consist of.
pub const MAX_RUNS: usize = 4096;
/// Most missing runs that are listed.
const MAX_LISTED: usize = 100;

/// A run of bytes of a file, both ends included, and the file's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first byte's offset.
    pub first: u64,
    /// The last byte's offset.
    pub last: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

impl Piece {
    /// From `bytes first-last/total`.
    ///
    /// # Errors
    /// `Invalid` when it is absent or anything else.
    pub fn parse(field: Option<&str>) -> Result<Piece> {
        let field = field.ok_or_else(|| Error::invalid("Content-Range is required"))?;
        let bad = || Error::invalid("Content-Range must be: bytes <start>-<end>/<total>");
        let (unit, rest) = field.trim().split_once(' ').ok_or_else(bad)?;
        let (range, total) = rest.trim().split_once('/').ok_or_else(bad)?;
        let (first, last) = range.split_once('-').ok_or_else(bad)?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|number| digits && *number < 1 << 63).ok_or_else(bad)
        };
        let piece = Piece { first: number(first)?, last: number(last)?, total: number(total)? };
        match unit.eq_ignore_ascii_case("bytes") && piece.first <= piece.last && piece.last < piece.total {
            true => Ok(piece),
            false => Err(bad()),
        }
    }

    /// Bytes in it; at least one.
    pub fn length(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// The client's name for an upload.
///
/// # Errors
/// `Invalid` when it is absent or cannot be one.
pub fn file_id(field: Option<&str>) -> Result<&str> {
    let id = field.ok_or_else(|| Error::invalid("X-File-ID is required"))?;
    let length = id.chars().count();
    let bad = id.contains(['/', '\\']) || id.chars().any(char::is_control) || id == "." || id == "..";
    match (1..=255).contains(&length) && !bad {
        true => Ok(id),
        false => Err(Error::invalid("X-File-ID must have 1 to 255 characters, no slashes and no control characters")),
    }
}

/// Runs of bytes, both ends included, in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(Vec<(u64, u64)>);

impl Runs {
    /// With `first..=last` added.
    pub fn add(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        let mut apart = Vec::with_capacity(self.0.len() + 1);
        for &(from, to) in &self.0 {
            // Runs that touch become one.
            if to.saturating_add(1) < first || last.saturating_add(1) < from {
                apart.push((from, to));
            } else {
                (first, last) = (first.min(from), last.max(to));
            }
        }
        let at = apart.partition_point(|run| run.0 < first);
        apart.insert(at, (first, last));
        self.0 = apart;
    }

    /// Number of separate runs.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Bytes in all of them.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(first, last)| (last - first).saturating_add(1)).fold(0, u64::saturating_add)
    }

    /// Whether every byte of a file of `total` bytes is there.
    pub fn is_whole(&self, total: u64) -> bool {
        matches!(self.0.as_slice(), [(0, last)] if last.saturating_add(1) >= total)
    }

    /// The first 100 runs of a file of `total` bytes that are not there.
    pub fn missing(&self, total: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = 0;
        for &(first, last) in self.0.iter().take(MAX_LISTED + 1) {
            if first > next {
                gaps.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        if next < total && self.0.len() <= MAX_LISTED {
            gaps.push((next, total - 1));
        }
        gaps.truncate(MAX_LISTED);
        gaps
    }

    /// Splits `first..=last` where being there begins or ends; with each part, whether it is there.
    pub fn split(&self, first: u64, last: u64) -> Vec<(u64, u64, bool)> {
        let mut parts = Vec::new();
        let mut next = first;
        for &(from, to) in self.0.iter().filter(|(from, to)| *to >= first && *from <= last) {
            if from > next {
                parts.push((next, from - 1, false));
            }
            parts.push((from.max(next), to.min(last), true));
            next = to.min(last).saturating_add(1);
        }
        if next <= last {
            parts.push((next, last, false));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let piece = |first, last, total| Piece { first, last, total };
        let max = (1_u64 << 63) - 1;
        for (field, parsed) in [
            ("bytes 0-0/1", piece(0, 0, 1)),
            ("Bytes 5-9/10", piece(5, 9, 10)),
            (" BYTES  1-2/1125899906842624 ", piece(1, 2, 1 << 50)),
            (&format!("bytes 0-1/{max}"), piece(0, 1, max)),
        ] {
            assert_eq!(Piece::parse(Some(field)).unwrap(), parsed);
        }
        let bad = [
            "",
            "bytes",
            "bytes 0-0",
            "bytes 0-0/*",
            "bytes */5",
            "bytes 5-4/9",
            "bytes 0-5/5",
            "bytes 0-0/0",
            "items 0-0/1",
            "bytes=0-0/1",
            "bytes 0-0/1x",
            "bytes +0-0/1",
            "bytes -1-0/1",
            "bytes 0x0-0/1",
            "bytes 0-0/9223372036854775808",
            "bytes 0-99999999999999999999/5",
            "bytes 0-0/1/2",
            "bytes 0 - 0/1",
        ];
        for field in bad.map(Some).into_iter().chain([None]) {
            assert!(Piece::parse(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn file_ids() {
        let long = "ä".repeat(255);
        for id in ["x", "My Setup (1).exe_1700000000", "...", "a.b", long.as_str()] {
            assert_eq!(file_id(Some(id)).unwrap(), id);
        }
        for id in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\u{7f}", (long.clone() + "x").as_str()] {
            assert!(file_id(Some(id)).is_err(), "{id:?}");
        }
        assert!(file_id(None).is_err());
    }

    fn runs(list: &[(u64, u64)]) -> Runs {
        let mut runs = Runs::default();
        for (first, last) in list {
            runs.add(*first, *last);
        }
        runs
    }

    #[test]
    fn runs_join_in_any_order() {
        let all = runs(&[(4, 5), (0, 1), (8, 9), (2, 3)]);
        assert_eq!(all, Runs(vec![(0, 5), (8, 9)]));
        assert_eq!((all.count(), all.bytes(), all.missing(10)), (2, 8, vec![(6, 7)]));
        assert_eq!(all.missing(20), [(6, 7), (10, 19)]);
        assert!(!all.is_whole(10) && runs(&[(0, 9)]).is_whole(10) && !runs(&[(0, 8)]).is_whole(10));
        assert_eq!(runs(&[(0, 9), (3, 4), (0, 9)]), Runs(vec![(0, 9)]));
        assert_eq!(Runs::default().missing(3), [(0, 2)]);
        let many = runs(&(0..200).map(|n| (n * 2, n * 2)).collect::<Vec<_>>());
        assert_eq!(many.missing(1000).len(), 100);
        assert_eq!(runs(&[(0, 0), (2, 2)]).missing(4), [(1, 1), (3, 3)]);
    }

    #[test]
    fn parts_that_are_there() {
        let all = runs(&[(2, 3), (6, 7)]);
        assert_eq!(all.split(0, 9), [(0, 1, false), (2, 3, true), (4, 5, false), (6, 7, true), (8, 9, false)]);
        assert_eq!(all.split(3, 6), [(3, 3, true), (4, 5, false), (6, 6, true)]);
        assert_eq!(all.split(2, 2), [(2, 2, true)]);
        assert_eq!(all.split(8, 8), [(8, 8, false)]);
    }
}
