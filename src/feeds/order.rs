//! Version numbers as text that sorts like versions, so that ordered keys of the database are version order
//! (`repos.md` §17).
//!
//! Every sign of a version becomes a sign whose plain order is that of the format: what comes before the end of the
//! text gets a lower number than the end, what comes after it a higher one. Digit runs carry their length in front.

/// `~`: before everything, even the end.
const TILDE: char = '\u{1}';
/// The end of the text (rpm), or of a run of signs that are no digits (deb).
const END: char = '\u{2}';
/// rpm: `^`, after the end, before any other continuation. deb: a letter follows.
const CARET: char = '\u{3}';
/// rpm: a run of letters follows. deb: any other sign follows.
const LETTERS: char = '\u{4}';
/// rpm: a run of digits follows.
const DIGITS: char = '\u{5}';
/// Ends a run of letters: before any letter.
const STOP: char = '\u{1}';
/// From this length on the length of a digit run is itself written as a number.
const LONG: usize = 0x60;

/// The sort key of an rpm's epoch, version and release.
pub fn rpm(epoch: u64, version: &str, release: &str) -> String {
    let mut key = String::with_capacity(24 + version.len() + release.len());
    number(&mut key, &epoch.to_string());
    rpm_part(&mut key, version);
    rpm_part(&mut key, release);
    key
}

fn rpm_part(key: &mut String, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(&first) = rest.first() {
        let run = |is: fn(&u8) -> bool| rest.iter().position(|byte| !is(byte)).unwrap_or(rest.len());
        let count = match first {
            b'~' => {
                key.push(TILDE);
                1
            }
            b'^' => {
                key.push(CARET);
                1
            }
            b'0'..=b'9' => {
                let count = run(u8::is_ascii_digit);
                key.push(DIGITS);
                digits(key, rest.get(..count).unwrap_or_default());
                count
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let count = run(u8::is_ascii_alphabetic);
                key.push(LETTERS);
                key.extend(rest.iter().take(count).copied().map(char::from));
                key.push(STOP);
                count
            }
            _ => 1,
        };
        rest = rest.get(count..).unwrap_or_default();
    }
    key.push(END);
}

/// The sort key of a deb's version. One that is no version sorts by its signs all the same.
pub fn deb(version: &str) -> String {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("0", version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    let mut key = String::with_capacity(24 + 2 * version.len());
    number(&mut key, epoch);
    deb_part(&mut key, upstream);
    deb_part(&mut key, revision);
    key
}

fn deb_part(key: &mut String, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let count = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
        for &byte in rest.iter().take(count) {
            match byte {
                b'~' => key.push(TILDE),
                _ if byte.is_ascii_alphabetic() => key.extend([CARET, char::from(byte)]),
                _ => key.extend([LETTERS, char::from(byte)]),
            }
        }
        key.push(END);
        rest = rest.get(count..).unwrap_or_default();
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        digits(key, rest.get(..count).unwrap_or_default());
        rest = rest.get(count..).unwrap_or_default();
        if rest.is_empty() {
            // What follows an end that is no sign: an empty run and the number nought, as often as one looks.
            key.push(END);
            digits(key, b"");
            return;
        }
    }
}

fn number(key: &mut String, text: &str) {
    digits(key, text.as_bytes());
}

/// A run of digits without leading noughts: its length, then the digits. None at all is nought.
fn digits(key: &mut String, run: &[u8]) {
    let start = run.iter().position(|&byte| byte != b'0').unwrap_or(run.len());
    let run = run.get(start..).unwrap_or_default();
    match u8::try_from(run.len()) {
        Ok(length) if run.len() < LONG => key.push(char::from(length + 1)),
        _ => {
            key.push('\u{7e}');
            key.push_str(&format!("{:020}", run.len()));
        }
    }
    key.extend(run.iter().copied().map(char::from));
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn rpm_versions_sort_as_rpm_sorts_them() {
        let rising = [
            "1.0~rc1",
            "1.0~rc2",
            "1.0",
            "1.0^git1",
            "1.0^git1.2",
            "1.0a",
            "1.0.1",
            "1.9",
            "1.10",
            "2~",
            "2",
            "2^",
            "2a",
            "2.0",
            "5.5p1",
            "5.5p10",
            "10xyz",
            "10.1xyz",
            "20101121",
            "20101122",
        ];
        for (index, one) in rising.iter().enumerate() {
            for (other_index, other) in rising.iter().enumerate() {
                let found = rpm(0, one, "1").cmp(&rpm(0, other, "1"));
                assert_eq!(found, index.cmp(&other_index), "{one} {other}");
            }
        }
        for (one, other) in [("1.0", "1.00"), ("1.0", "1_0"), ("2.0.1a", "2.0.1.a"), ("1.", "1"), ("", "-")] {
            assert_eq!(rpm(0, one, "").cmp(&rpm(0, other, "")), Ordering::Equal, "{one} {other}");
        }
        assert!(rpm(0, "9", "9") < rpm(1, "1", "1") && rpm(9, "1", "1") < rpm(10, "1", "1"));
        let long = |digit: char| format!("1{}", digit.to_string().repeat(300));
        assert!(rpm(0, &long('0'), "") < rpm(0, &long('1'), "") && rpm(0, "99", "") < rpm(0, &long('0'), ""));
    }

    #[test]
    fn deb_versions_sort_as_dpkg_sorts_them() {
        let rising = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0-2",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.0.1",
            "1.9",
            "1.10-1",
            "1:0.1-1",
            "2:0~",
        ];
        for (index, one) in rising.iter().enumerate() {
            for (other_index, other) in rising.iter().enumerate() {
                assert_eq!(deb(one).cmp(&deb(other)), index.cmp(&other_index), "{one} {other}");
            }
        }
        for (one, other) in [("1.0", "1.0-0"), ("0:1", "1"), ("1.00", "1.0"), ("1a", "1a0"), ("1-1-", "1-1-0")] {
            assert_eq!(deb(one), deb(other), "{one} {other}");
        }
    }
}
