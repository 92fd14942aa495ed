//! Bounded reading of the JSON files of a RefPack: UTF-8 without a byte order mark, 64 levels deep at most, no lone
//! surrogates, and never more memory than a fixed amount.

use std::io::{self, Read};

use serde_json::Value;

use super::Fault;

/// The deepest nesting that is read.
const DEPTH_LIMIT: usize = 64;
/// The most bytes one element of a large array may have: what is held at once of a file that is read as a stream.
pub const ELEMENT_LIMIT: u64 = 16 << 20;
/// The most memory a value that is held whole may take, in bytes.
pub const WEIGHT_LIMIT: usize = 64 << 20;

/// The value of a whole file of at most `limit` bytes.
///
/// # Errors
/// `invalid_json`.
pub fn value(file: &str, bytes: &[u8], limit: usize) -> Result<Value, Fault> {
    let fault = |message: String| Fault::new("invalid_json", file, message);
    if bytes.len() > limit {
        return Err(fault(format!("the file is larger than {} KiB", limit >> 10)));
    }
    if weight(bytes) > WEIGHT_LIMIT {
        return Err(fault("the file holds too many values".to_owned()));
    }
    Strict::new(io::empty()).look(bytes).map_err(|e| fault(e.to_string()))?;
    serde_json::from_slice(bytes).map_err(|e| fault(format!("not JSON: {e}")))
}

/// An upper bound of the memory that this JSON takes as a [`Value`], in bytes. A small object costs a whole tree node,
/// so that a few bytes of text can become hundreds.
pub fn weight(text: &[u8]) -> usize {
    let mut weight = text.len();
    for byte in text {
        weight = weight.saturating_add(match byte {
            b'{' => 700,
            b'[' => 160,
            b',' => 72,
            _ => 0,
        });
    }
    weight
}

/// Passes JSON on and watches what a parser does not: nesting, surrogates, and the size of the elements of the
/// outermost array. Everything else about JSON is the parser's to judge.
pub struct Strict<R> {
    inner: R,
    depth: usize,
    in_string: bool,
    escape: Escape,
    /// The first half of a surrogate pair was read, the second must follow.
    half: bool,
    /// Bytes since the last comma of the outermost array.
    element: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// Hex digits still to come and what the earlier ones say.
    Hex(u8, u16),
}

impl<R> Strict<R> {
    /// Watches what `inner` gives.
    pub fn new(inner: R) -> Self {
        Strict { inner, depth: 0, in_string: false, escape: Escape::None, half: false, element: 0 }
    }

    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        let refuse = |message| Err(io::Error::new(io::ErrorKind::InvalidData, message));
        for &byte in bytes {
            self.element += 1;
            if self.in_string {
                if !self.in_text(byte) {
                    return refuse("a string holds half a surrogate pair");
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => {
                    self.depth += 1;
                    if self.depth > DEPTH_LIMIT {
                        return refuse("the nesting is deeper than 64");
                    }
                }
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth <= 1 => self.element = 0,
                _ => {}
            }
        }
        match self.element {
            0..=ELEMENT_LIMIT => Ok(()),
            _ => refuse("one element is larger than 16 MiB"),
        }
    }

    /// Takes a byte of a string; false for a lone surrogate.
    fn in_text(&mut self, byte: u8) -> bool {
        match (self.escape, byte) {
            (Escape::None, b'\\') => self.escape = Escape::Begun,
            (Escape::None, _) if self.half => return false,
            (Escape::None, b'"') => self.in_string = false,
            (Escape::None, _) => {}
            (Escape::Begun, b'u') => self.escape = Escape::Hex(4, 0),
            (Escape::Begun, _) if self.half => return false,
            (Escape::Begun, _) => self.escape = Escape::None,
            (Escape::Hex(left, unit), _) => {
                // What is no hex digit is refused by the parser.
                let digit = char::from(byte).to_digit(16).unwrap_or(0) as u16;
                let unit = unit << 4 | digit;
                if left > 1 {
                    self.escape = Escape::Hex(left - 1, unit);
                    return true;
                }
                self.escape = Escape::None;
                let second = matches!(unit, 0xDC00..=0xDFFF);
                if self.half != second {
                    return false;
                }
                self.half = matches!(unit, 0xD800..=0xDBFF);
            }
        }
        true
    }
}

impl<R: Read> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.look(buffer.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

/// One segment of a JSON pointer (RFC 6901).
pub fn pointer_segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 2 << 20;

    #[test]
    fn the_nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(value("f", &deep(64), LIMIT).is_ok());
        for bad in [deep(65), vec![b'['; 1_000_000], vec![b'['; LIMIT + 1]] {
            assert_eq!(value("f", &bad, LIMIT).unwrap_err().code, "invalid_json");
        }
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(100), "{".repeat(100));
        assert!(value("f", text.as_bytes(), LIMIT).is_ok());
    }

    #[test]
    fn a_small_text_that_becomes_a_large_value_is_refused() {
        let text = format!("[{}{{}}]", "{\"a\":0},".repeat(200_000));
        assert_eq!(value("f", text.as_bytes(), LIMIT).unwrap_err().message, "the file holds too many values");
    }

    #[test]
    fn surrogates_come_in_pairs() {
        for good in
            [r#""\ud83d\ude80""#, r#""\\ud800""#, r#""\u00e9 \n""#, r#"{"\ud83d\ude80":"\uD83D\uDE80\uD83D\uDE80"}"#]
        {
            assert!(value("f", good.as_bytes(), LIMIT).is_ok(), "{good}");
        }
        let bad = [
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\ud800\udc00""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#"{"\udfff":1}"#,
            r#""\uD83Dx\uDE80""#,
        ];
        for bad in bad {
            assert_eq!(value("f", bad.as_bytes(), LIMIT).unwrap_err().code, "invalid_json", "{bad}");
            let mut passed = Vec::new();
            assert!(Strict::new(bad.as_bytes()).read_to_end(&mut passed).is_err(), "{bad}");
        }
    }

    #[test]
    fn elements_are_bounded_one_by_one() {
        let element = "x".repeat(ELEMENT_LIMIT as usize - 10);
        let read = |text: String| Strict::new(text.as_bytes()).read_to_end(&mut Vec::new()).is_ok();
        assert!(read(format!("[\"{element}\",\"{element}\",\"{element}\"]")));
        assert!(!read(format!("[\"{element}{element}\"]")));
        assert!(!read(format!("[[\"{element}\",\"{element}\"]]")));
    }
}
