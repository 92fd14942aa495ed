//! Version numbers as winget orders them (`winget.md` A9).

use std::cmp::Ordering;

/// A version that can be compared; equal ones may be written differently (`1.0` and `v1.0.0`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    place: Place,
    parts: Vec<Part>,
}

/// `latest` is above every number, `unknown` below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Unknown,
    Number,
    Latest,
}

/// One part between dots: a leading number and the text behind it, case-folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    number: u64,
    text: String,
}

impl Part {
    fn read(part: &str) -> Part {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, text) = part.split_at(digits);
        match number.parse() {
            Ok(number) => Part { number, text: text.to_lowercase() },
            // Too large for 64 bits: all of it is text. Without digits there is no number.
            Err(_) => Part { number: 0, text: part.to_lowercase() },
        }
    }

    /// A part without text is above one with.
    fn compare(&self, other: &Part) -> Ordering {
        let bare = |part: &Part| part.text.is_empty();
        self.number.cmp(&other.number).then(bare(self).cmp(&bare(other))).then_with(|| self.text.cmp(&other.text))
    }
}

impl Version {
    /// Reads any text.
    pub fn read(text: &str) -> Version {
        let text = text.trim();
        let place = match text {
            _ if text.eq_ignore_ascii_case("latest") => Place::Latest,
            _ if text.eq_ignore_ascii_case("unknown") => Place::Unknown,
            _ => Place::Number,
        };
        let first = text.split('.').next().unwrap_or_default();
        let skipped = first.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let mut parts: Vec<Part> =
            text.get(skipped..).unwrap_or_default().split('.').map(|part| Part::read(part.trim())).collect();
        while parts.last().is_some_and(|part| *part == Part::default()) {
            parts.pop();
        }
        Version { place, parts }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let zero = Part::default();
        let placed = self.place.cmp(&other.place);
        if placed != Ordering::Equal || self.place != Place::Number {
            return placed;
        }
        let parts = (0..self.parts.len().max(other.parts.len())).map(|at| {
            let (one, two) = (self.parts.get(at).unwrap_or(&zero), other.parts.get(at).unwrap_or(&zero));
            one.compare(two)
        });
        parts.into_iter().find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Sorts from the newest on; what is equal keeps its order.
pub fn newest_first<T>(items: &mut [T], version: impl Fn(&T) -> &str) {
    items.sort_by_cached_key(|item| std::cmp::Reverse(Version::read(version(item))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending() {
        let rows = [
            "unknown",
            "0",
            "0.0.1",
            "1.0-rc",
            "1.0",
            "1.2",
            "1.9.0",
            "1.10.0-alpha",
            "1.10.0-rc1",
            "1.10.0",
            "1.10.0.1",
            "2.0",
            "2.0.18446744073709551615",
            "2025.1",
            "latest",
        ];
        for (at, one) in rows.iter().enumerate() {
            for (beside, two) in rows.iter().enumerate() {
                assert_eq!(Version::read(one).cmp(&Version::read(two)), at.cmp(&beside), "{one} {two}");
            }
        }
    }

    #[test]
    fn equal() {
        let rows = [
            ("1.0", "1.0.0"),
            ("v1.2", "1.2"),
            (" 1.2 ", "1.2"),
            ("version 3.1", "3.1.0"),
            ("1.0-RC", "1.0-rc"),
            ("01.002", "1.2"),
            ("Latest", "LATEST"),
            ("0", ""),
        ];
        for (one, two) in rows {
            assert_eq!(Version::read(one).cmp(&Version::read(two)), Ordering::Equal, "{one} {two}");
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_text() {
        let huge = Version::read("1.99999999999999999999");
        assert!(huge < Version::read("1.1") && huge < Version::read("1.0"));
        // No digit before the first dot: nothing is dropped.
        assert!(Version::read("beta.2") < Version::read("0.1"));
    }

    #[test]
    fn lists_are_stable() {
        let mut rows = vec![("1.0", 1), ("2.0", 2), ("1.0.0", 3), ("1.0", 4)];
        newest_first(&mut rows, |row| row.0);
        assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), [2, 1, 3, 4]);
    }
}
