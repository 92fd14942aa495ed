//! Bounded reading of the JSON files of a RefPack: UTF-8 without a byte order mark, 64 levels deep at most.

use serde_json::Value;

use super::Fault;

/// The deepest nesting that is read.
const DEPTH_LIMIT: usize = 64;

/// The value of a whole file.
///
/// # Errors
/// `invalid_json`.
pub fn value(file: &str, bytes: &[u8]) -> Result<Value, Fault> {
    let fault = |message: String| Fault::new("invalid_json", file, message);
    let text = std::str::from_utf8(bytes).map_err(|_| fault("the file is not UTF-8".to_owned()))?;
    if depth(bytes) > DEPTH_LIMIT {
        return Err(fault(format!("the nesting is deeper than {DEPTH_LIMIT}")));
    }
    serde_json::from_str(text).map_err(|e| fault(format!("not JSON: {e}")))
}

/// The deepest nesting of brackets outside strings; right for any JSON, and an upper bound for anything else.
pub fn depth(bytes: &[u8]) -> usize {
    let mut meter = Depth::default();
    meter.read(bytes);
    meter.deepest
}

/// Follows the nesting of JSON that comes in pieces.
#[derive(Default)]
pub struct Depth {
    now: usize,
    /// The deepest level so far.
    pub deepest: usize,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    /// Takes the next piece.
    pub fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match byte {
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'[' | b'{' => {
                        self.now += 1;
                        self.deepest = self.deepest.max(self.now);
                    }
                    b']' | b'}' => self.now = self.now.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }
}

/// One segment of a JSON pointer (RFC 6901).
pub fn pointer_segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_ignores_brackets_in_strings() {
        let cases: [(&[u8], usize); 4] =
            [(b"1", 0), (b"[]", 1), (b"[{\"[[[\\\"[\":[]}]", 3), (b"[[],[],[[]]]", 3)];
        for (text, expected) in cases {
            assert_eq!(depth(text), expected);
        }
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(value("f", &deep(64)).is_ok());
        assert_eq!(value("f", &deep(65)).unwrap_err().code, "invalid_json");
        assert_eq!(value("f", &vec![b'['; 1_000_000]).unwrap_err().code, "invalid_json");
    }
}
