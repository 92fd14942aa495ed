//! Version numbers of the app-update dialect: how they are read, stored and ordered (`faynosync.md` §3, §14.6). Pure.

use std::cmp::Ordering;

use crate::store::table::{Key, KeyFor};

/// Most number components.
const MAX_COMPONENTS: usize = 6;
/// Most digits of one component, so that it fits 64 bits.
const MAX_DIGITS: usize = 18;
/// Longest version text with letters.
const MAX_TEXT: usize = 128;

/// A version: its text as stored and what it is ordered by.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    order: VersionKey,
    components: usize,
}

impl Version {
    /// Reads a version; `None` when it is none. Without letters it is 1 to 6 numbers joined by `.` or `-`, and `-` is
    /// stored as `.`. With letters it is numbers joined by `.`, then `-` and pre-release identifiers joined by `.`.
    pub fn parse(text: &str) -> Option<Version> {
        if text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Version::with_letters(text);
        }
        let numbers: Vec<u64> = text.split(['.', '-']).map(number).collect::<Option<_>>()?;
        let order = VersionKey::new(&numbers, None)?;
        Some(Version { text: text.replace('-', "."), order, components: numbers.len() })
    }

    fn with_letters(text: &str) -> Option<Version> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (core, rest) = text.split_once('-')?;
        let numbers: Vec<u64> = core.split('.').map(number).collect::<Option<_>>()?;
        let order = VersionKey::new(&numbers, Some(rest))?;
        Some(Version { text: text.to_owned(), order, components: numbers.len() })
    }

    /// The text as stored and shown.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the tables order it by.
    pub fn key(&self) -> &VersionKey {
        &self.order
    }

    /// Whether a strict reader of semantic versions takes it: exactly three numbers.
    pub fn is_semver(&self) -> bool {
        let numbers = self.text.split('-').next().unwrap_or_default();
        self.components == 3 && numbers.split('.').all(|part| part == "0" || !part.starts_with('0'))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

fn number(digits: &str) -> Option<u64> {
    let good = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| digits.parse().ok())?
}

/// Bytes that sort as versions do: numbers padded with zeros, a pre-release below its release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionKey(Vec<u8>);

/// Ends the identifiers of a pre-release; sorts below any further one.
const PRE_END: u8 = 0;
/// Begins a numeric identifier; these sort below the others.
const PRE_NUMBER: u8 = 1;
/// Begins an identifier with letters; it ends with a zero byte.
const PRE_TEXT: u8 = 2;
/// In place of a pre-release: the release itself, above all of them.
const RELEASE: u8 = 0xFF;

impl VersionKey {
    fn new(numbers: &[u64], pre: Option<&str>) -> Option<Self> {
        if numbers.len() > MAX_COMPONENTS {
            return None;
        }
        let mut bytes = Vec::with_capacity(MAX_COMPONENTS * 8 + 1);
        for at in 0..MAX_COMPONENTS {
            bytes.extend_from_slice(&numbers.get(at).copied().unwrap_or(0).to_be_bytes());
        }
        let Some(pre) = pre else {
            bytes.push(RELEASE);
            return Some(VersionKey(bytes));
        };
        for identifier in pre.split('.') {
            if identifier.is_empty() || !identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return None;
            }
            if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
                if identifier.len() > 1 && identifier.starts_with('0') {
                    return None;
                }
                bytes.push(PRE_NUMBER);
                bytes.extend_from_slice(&number(identifier)?.to_be_bytes());
            } else {
                bytes.push(PRE_TEXT);
                bytes.extend_from_slice(identifier.as_bytes());
                bytes.push(0);
            }
        }
        bytes.push(PRE_END);
        Some(VersionKey(bytes))
    }
}

/// A version in a key that sorts from the newest to the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest(pub VersionKey);

/// Writes `bytes` self-delimiting: a zero is followed by FF, two zeros end it. With `mask` FF the order is reversed.
fn write(bytes: &[u8], mask: u8, out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte ^ mask);
        if byte == 0 {
            out.push(0xFF ^ mask);
        }
    }
    out.extend_from_slice(&[mask, mask]);
}

fn read(input: &mut &[u8], mask: u8) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        if byte ^ mask != 0 {
            bytes.push(byte ^ mask);
            continue;
        }
        let (&mark, rest) = input.split_first()?;
        *input = rest;
        match mark ^ mask {
            0 => return Some(bytes),
            0xFF => bytes.push(0),
            _ => return None,
        }
    }
}

impl KeyFor<VersionKey> for VersionKey {
    fn encode(&self, out: &mut Vec<u8>) {
        write(&self.0, 0, out);
    }
}

impl Key for VersionKey {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        read(input, 0).map(VersionKey)
    }
}

impl KeyFor<Newest> for Newest {
    fn encode(&self, out: &mut Vec<u8>) {
        write(&self.0.0, 0xFF, out);
    }
}

impl Key for Newest {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        read(input, 0xFF).map(|bytes| Newest(VersionKey(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn reads_and_stores() {
        let cases = [
            ("1", "1"),
            ("0.0.1", "0.0.1"),
            ("1-2-3", "1.2.3"),
            ("1.2-3.137", "1.2.3.137"),
            ("1.2.3.4.5.6", "1.2.3.4.5.6"),
            ("999999999999999999.0", "999999999999999999.0"),
            ("007", "007"),
            ("1.2.0-beta.3", "1.2.0-beta.3"),
            ("1.2-x-y", "1.2-x-y"),
        ];
        for (text, stored) in cases {
            assert_eq!(version(text).text(), stored);
        }
        let long = format!("1.0.0-{}", "a".repeat(200));
        let bad = [
            "",
            ".",
            "-",
            "1.",
            ".1",
            "1..2",
            "1.-2",
            "v1",
            "1.2.3.4.5.6.7",
            "1234567890123456789",
            "1.2 ",
            " 1",
            "1_2",
            "1.2.3+5",
            "٣",
            "1\0",
            "+1",
            "beta",
            "1.0-",
            "1.0-a..b",
            "1.0-a.",
            "1.0-a.01",
            "1.0-a+b",
            "1.0beta",
            "1.0-ä",
            "-1.0-a",
            "1.0-a.1234567890123456789",
            &long,
        ];
        for text in bad {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn order_is_by_number_and_holds_in_keys() {
        let sorted = [
            "0",
            "0.0.0.1",
            "0.0.9",
            "0.0.10",
            "0.1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-beta.x",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2.3",
            "1.2.3.137",
            "1.2.256",
            "1.10",
            "255",
            "256.0-a",
            "256",
            "999999999999999999",
        ];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                let (left, right) = (version(left), version(right));
                assert_eq!(left.cmp(&right), at.cmp(&other), "{left:?} {right:?}");
                let bytes =
                    |version: &Version| (KeyFor::bytes(version.key()), KeyFor::bytes(&Newest(version.key().clone())));
                let ((up, down), (up_other, down_other)) = (bytes(&left), bytes(&right));
                assert_eq!(up.cmp(&up_other), at.cmp(&other));
                assert_eq!(down.cmp(&down_other), other.cmp(&at));
            }
        }
        for (left, right) in [("1.0", "1.0.0"), ("1", "1.0.0.0.0.0"), ("01.2", "1.02"), ("1-2", "1.2.0")] {
            assert_eq!(version(left), version(right));
        }
    }

    #[test]
    fn keys_come_back() {
        for text in ["0", "1.0.0-beta.2", "1.256.65536"] {
            let key = version(text).key().clone();
            let mut bytes = KeyFor::bytes(&key);
            bytes.push(7);
            let mut rest = bytes.as_slice();
            assert_eq!(VersionKey::decode(&mut rest), Some(key.clone()));
            assert_eq!(rest, [7]);
            let bytes = KeyFor::bytes(&Newest(key.clone()));
            assert_eq!(Newest::decode(&mut bytes.as_slice()), Some(Newest(key)));
        }
    }

    #[test]
    fn semver_needs_three_numbers() {
        for (text, is) in
            [("1.2.3", true), ("1.2.3-beta.1", true), ("1.2", false), ("1.2.3.4", false), ("1.02.3", false)]
        {
            assert_eq!(version(text).is_semver(), is, "{text}");
        }
    }
}
