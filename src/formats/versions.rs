//! The order of rpm and Debian versions, as comparisons and as byte keys that sort the same way in a database.

use std::cmp::Ordering;

/// Epoch, version and release of an rpm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evr<'a> {
    /// The epoch; absent counts as 0.
    pub epoch: u32,
    /// The version, without epoch and release.
    pub version: &'a str,
    /// The release; empty when there is none.
    pub release: &'a str,
}

impl<'a> Evr<'a> {
    /// From its parts.
    pub fn new(epoch: u32, version: &'a str, release: &'a str) -> Evr<'a> {
        Evr { epoch, version, release }
    }

    /// From `E:V-R`, `V-R`, `E:V` or `V`: the epoch ends at the first colon when only digits come before it, the release
    /// begins after the last dash. An epoch beyond 32 bits counts as the largest.
    pub fn parse(text: &'a str) -> Evr<'a> {
        let (epoch, rest) = split_epoch(text);
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let digits = epoch.trim_start_matches('0');
        let epoch = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u32::MAX) };
        Evr { epoch, version, release }
    }

    /// Bytes that sort as the versions do; equal for versions that are equal. No key is the beginning of another, so more
    /// may follow it in a longer key.
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(8 + 2 * (self.version.len() + self.release.len()));
        key.extend_from_slice(&self.epoch.to_be_bytes());
        rpm_key(self.version, &mut key);
        rpm_key(self.release, &mut key);
        key
    }
}

/// The order of two rpm versions with epoch and release.
pub fn compare_rpm_evr(a: &Evr<'_>, b: &Evr<'_>) -> Ordering {
    a.epoch
        .cmp(&b.epoch)
        .then_with(|| compare_rpm(a.version, b.version))
        .then_with(|| compare_rpm(a.release, b.release))
}

/// The order of two rpm versions, or of two releases.
pub fn compare_rpm(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (RpmSegments(a.as_bytes()), RpmSegments(b.as_bytes()));
    loop {
        let (left, right) = (a.next(), b.next());
        match left.cmp(&right) {
            Ordering::Equal if left == RpmSegment::End => return Ordering::Equal,
            Ordering::Equal => {}
            other => return other,
        }
    }
}

/// The order of two Debian versions, `[epoch:]upstream[-revision]`.
pub fn compare_deb(a: &str, b: &str) -> Ordering {
    let (a, b) = (DebVersion::split(a), DebVersion::split(b));
    a.epoch
        .cmp(&b.epoch)
        .then_with(|| compare_deb_part(a.upstream, b.upstream))
        .then_with(|| compare_deb_part(a.revision, b.revision))
}

/// Bytes that sort as Debian versions do; equal for versions that are equal. No key is the beginning of another.
pub fn deb_sort_key(version: &str) -> Vec<u8> {
    let parts = DebVersion::split(version);
    let mut key = Vec::with_capacity(8 + 2 * version.len());
    number_key(parts.epoch, &mut key);
    deb_key(parts.upstream, &mut key);
    deb_key(parts.revision, &mut key);
    key
}

/// `1:2.0-3` as (`1`, `2.0-3`); without an epoch the first is empty.
fn split_epoch(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("", text),
    }
}

/// A number of any length, without leading zeros; its order is that of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number<'a>(&'a [u8]);

impl<'a> Number<'a> {
    fn new(digits: &'a [u8]) -> Number<'a> {
        let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
        Number(digits.get(zeros..).unwrap_or_default())
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Length, then digits: longer numbers are larger.
fn number_key(number: Number<'_>, key: &mut Vec<u8>) {
    match u8::try_from(number.0.len()) {
        Ok(length) if length < u8::MAX => key.push(length),
        _ => {
            key.push(u8::MAX);
            key.extend_from_slice(&u32::try_from(number.0.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    key.extend_from_slice(number.0);
}

/// One step of an rpm version; the order of the variants is the order of versions that differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RpmSegment<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    Digits(Number<'a>),
}

/// What is left of an rpm version.
struct RpmSegments<'a>(&'a [u8]);

impl<'a> RpmSegments<'a> {
    /// The next segment; `End` again and again after the last.
    fn next(&mut self) -> RpmSegment<'a> {
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
        let start = self.0.iter().position(known).unwrap_or(self.0.len());
        let rest = self.0.get(start..).unwrap_or_default();
        let run = |kind: fn(&u8) -> bool| rest.iter().take_while(|byte| kind(byte)).count();
        let (length, segment): (usize, fn(&'a [u8]) -> RpmSegment<'a>) = match rest.first() {
            None => (0, |_| RpmSegment::End),
            Some(b'~') => (1, |_| RpmSegment::Tilde),
            Some(b'^') => (1, |_| RpmSegment::Caret),
            Some(byte) if byte.is_ascii_digit() => {
                (run(u8::is_ascii_digit), |digits| RpmSegment::Digits(Number::new(digits)))
            }
            Some(_) => (run(u8::is_ascii_alphabetic), RpmSegment::Letters),
        };
        let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.0 = left;
        segment(taken)
    }
}

fn rpm_key(text: &str, key: &mut Vec<u8>) {
    let mut segments = RpmSegments(text.as_bytes());
    loop {
        match segments.next() {
            RpmSegment::Tilde => key.push(1),
            RpmSegment::End => return key.push(2),
            RpmSegment::Caret => key.push(3),
            RpmSegment::Letters(letters) => {
                key.push(4);
                key.extend_from_slice(letters);
                key.push(0);
            }
            RpmSegment::Digits(number) => {
                key.push(5);
                number_key(number, key);
            }
        }
    }
}

/// A Debian version in its parts.
struct DebVersion<'a> {
    epoch: Number<'a>,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> DebVersion<'a> {
    fn split(version: &'a str) -> DebVersion<'a> {
        let (epoch, rest) = split_epoch(version.trim());
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        DebVersion { epoch: Number::new(epoch.as_bytes()), upstream, revision }
    }
}

/// Where the end of a run of other characters sorts, in `deb_weight`'s numbers.
const DEB_END: u16 = 2;

/// Where a character sorts: `~`, the end, letters, all others.
fn deb_weight(byte: u8) -> u16 {
    match byte {
        b'~' => 1,
        _ if byte.is_ascii_alphabetic() => u16::from(byte),
        _ => u16::from(byte) + 0x100,
    }
}

/// Splits a run of other characters and the number after it off `rest`.
fn deb_step<'a>(rest: &mut &'a [u8]) -> (&'a [u8], Number<'a>) {
    let other = rest.iter().take_while(|byte| !byte.is_ascii_digit()).count();
    let (others, left) = rest.split_at_checked(other).unwrap_or((rest, &[]));
    let digits = left.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, left) = left.split_at_checked(digits).unwrap_or((left, &[]));
    *rest = left;
    (others, Number::new(number))
}

fn compare_deb_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let ((a_others, a_number), (b_others, b_number)) = (deb_step(&mut a), deb_step(&mut b));
        let weights = |run: &'_ [u8]| {
            let weights: Vec<u16> = run.iter().map(|byte| deb_weight(*byte)).chain([DEB_END]).collect();
            weights
        };
        let order = weights(a_others).cmp(&weights(b_others)).then_with(|| a_number.cmp(&b_number));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// A part as alternating runs, each run closed by `DEB_END`; one more `DEB_END` after the last number, where a longer
/// version has a character.
fn deb_key(part: &str, key: &mut Vec<u8>) {
    let mut rest = part.as_bytes();
    loop {
        let (others, number) = deb_step(&mut rest);
        for byte in others {
            match deb_weight(*byte) {
                // A letter or the tilde as it is; all others behind every letter.
                weight @ 0..=0xFF => key.push(u8::try_from(weight).unwrap_or(u8::MAX)),
                _ => key.extend_from_slice(&[u8::MAX, *byte]),
            }
        }
        key.push(2);
        number_key(number, key);
        if rest.is_empty() {
            return key.push(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    fn rpm(a: &str, b: &str) -> Ordering {
        let (a, b) = (Evr::parse(a), Evr::parse(b));
        let order = compare_rpm_evr(&a, &b);
        assert_eq!(compare_rpm_evr(&b, &a), order.reverse(), "{a:?} {b:?}");
        assert_eq!(a.sort_key().cmp(&b.sort_key()), order, "{a:?} {b:?}");
        order
    }

    fn deb(a: &str, b: &str) -> Ordering {
        let order = compare_deb(a, b);
        assert_eq!(compare_deb(b, a), order.reverse(), "{a} {b}");
        assert_eq!(deb_sort_key(a).cmp(&deb_sort_key(b)), order, "{a} {b}");
        order
    }

    #[test]
    fn rpm_versions() {
        let ascending = ["1.0~rc1", "1.0", "1.0^git1", "1.0.1", "1.9", "1.10", "2a", "2.0", "1:0.1", "10:0"];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(rpm(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        let cases = [
            ("1.0", "1.00", Equal),
            ("1.0", "1_0", Equal),
            ("1.0.", "1.0", Equal),
            ("", "", Equal),
            ("0:1-1", "1-1", Equal),
            ("1-1", "1-2", Less),
            ("5.5p1", "5.5p10", Less),
            ("5.5p1", "5.5p2", Less),
            ("10xyz", "10.1xyz", Less),
            ("xyz10", "xyz10.1", Less),
            ("xyz.4", "8", Less),
            ("xyz", "2", Less),
            ("1.0a", "1.0", Greater),
            ("6.0.rc1", "6.0", Greater),
            ("1b.fc17", "1.fc17", Less),
            ("1g.fc17", "1.fc17", Greater),
            ("20101121", "20101122", Less),
            ("99999999999999999999999", "100000000000000000000000", Less),
            ("1.0~rc1~git123", "1.0~rc1", Less),
            ("1.0^", "1.0", Greater),
            ("1.0^git1~pre", "1.0^git1", Less),
            ("1.0^git1", "1.01", Less),
            ("1.0~rc1^git1", "1.0~rc1", Greater),
            ("1.0^git1", "1.0^git2", Less),
            ("1.0^20160101^git1", "1.0^20160102", Less),
            ("1.0~", "1.0", Less),
            ("~", "", Less),
            ("^", "", Greater),
            ("a", "A", Greater),
            ("ab", "a", Greater),
            ("1.é2", "1.2", Equal),
        ];
        for (a, b, order) in cases {
            assert_eq!(rpm(a, b), order, "{a} {b}");
        }
    }

    #[test]
    fn evr_is_split_at_the_first_colon_and_the_last_dash() {
        let cases = [
            ("1.4", (0, "1.4", "")),
            ("2:1.4-1.el9", (2, "1.4", "1.el9")),
            ("1.4-a-1", (0, "1.4-a", "1")),
            (":1", (0, "1", "")),
            ("a:1-2", (0, "a:1", "2")),
            ("99999999999:1", (u32::MAX, "1", "")),
            ("", (0, "", "")),
        ];
        for (text, (epoch, version, release)) in cases {
            assert_eq!(Evr::parse(text), Evr::new(epoch, version, release), "{text}");
        }
    }

    #[test]
    fn deb_versions() {
        let ascending = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0a",
            "1.0+dfsg-1",
            "1.0.1",
            "1.10-1",
            "2",
            "1:0.1-1",
            "2:0",
            "99999999999999999999:0",
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(deb(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        let cases = [
            ("1.0", "1.0-0", Equal),
            ("1.0", "0:1.0", Equal),
            ("1.0", "1.00", Equal),
            ("1.", "1.0", Equal),
            ("a", "a0", Equal),
            ("", "0", Equal),
            ("1.0-1", "1.0-1~bpo11+1", Greater),
            ("1-1-1", "1-1-2", Less),
            ("1a", "1", Greater),
            ("1a", "1+", Less),
            ("1+", "1.", Less),
            ("0.9.8zg", "0.9.8ze", Greater),
            ("1.0-a", "1.0-~", Greater),
        ];
        for (a, b, order) in cases {
            assert_eq!(deb(a, b), order, "{a} {b}");
        }
    }

    #[test]
    fn keys_sort_as_versions_do() {
        // Every string of up to four characters over what matters, against a spread of others.
        let alphabet = ["", "~", "^", "0", "1", "10", "a", "Z", ".", "+", "-", ":"];
        let mut all = Vec::new();
        for a in alphabet {
            for b in alphabet {
                for c in alphabet {
                    all.push(format!("1{a}{b}{c}"));
                    all.push(format!("{a}{b}{c}"));
                }
            }
        }
        for (at, a) in all.iter().enumerate() {
            for b in all.iter().skip(at % 7).step_by(7) {
                rpm(a, b);
                deb(a, b);
            }
        }
        let long = "9".repeat(300);
        assert_eq!(deb(&format!("1.{long}"), &format!("1.1{long}")), Less);
        assert_eq!(rpm(&format!("1.{long}"), &format!("1.{}", "9".repeat(254))), Greater);
    }
}
