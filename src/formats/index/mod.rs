//! Reading the indexes of other people's repositories: checksums, and what can be wrong with an index.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

pub mod described;
pub mod listing;
pub mod packages;
pub mod release;
pub mod repomd;

/// What is wrong with an index, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Problem {
        Problem(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

/// How a checksum is computed, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Known by name only: too weak to be believed.
    Md5,
    /// 40 digits.
    Sha1,
    /// 64 digits.
    Sha256,
    /// 128 digits.
    Sha512,
}

impl Algorithm {
    /// From the name repositories use for it; `sha` is SHA-1.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        match name.to_ascii_lowercase().as_str() {
            "md5" | "md5sum" => Some(Algorithm::Md5),
            "sha" | "sha1" => Some(Algorithm::Sha1),
            "sha256" => Some(Algorithm::Sha256),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }

    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Algorithm::Md5 => 32,
            Algorithm::Sha1 => 40,
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// A checksum as an index states it: lower-case digits of the right number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Its digits.
    pub hex: String,
}

impl Checksum {
    /// From its digits, in either case.
    ///
    /// # Errors
    /// When these are not the digits of such a checksum.
    pub fn new(algorithm: Algorithm, hex: &str) -> Result<Checksum, Problem> {
        let hex = hex.trim();
        if hex.len() != algorithm.digits() || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Problem::new(format!("{:?} is not a {} checksum", shown(hex), algorithm.name())));
        }
        Ok(Checksum { algorithm, hex: hex.to_ascii_lowercase() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Computes one checksum from bytes as they come.
pub struct Hasher(Inner);

enum Inner {
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// For checksums of `algorithm`; none for one that is not to be believed.
    pub fn new(algorithm: Algorithm) -> Option<Hasher> {
        Some(Hasher(match algorithm {
            Algorithm::Md5 => return None,
            Algorithm::Sha1 => Inner::Sha1(Box::default()),
            Algorithm::Sha256 => Inner::Sha256(Box::default()),
            Algorithm::Sha512 => Inner::Sha512(Box::default()),
        }))
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha1(hasher) => hasher.update(bytes),
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digits of everything so far.
    pub fn finish(self) -> String {
        fn hex(bytes: &[u8]) -> String {
            use fmt::Write;
            bytes.iter().fold(String::new(), |mut text, byte| {
                // Writing to a text cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
        match self.0 {
            Inner::Sha1(hasher) => hex(&hasher.finalize()),
            Inner::Sha256(hasher) => hex(&hasher.finalize()),
            Inner::Sha512(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Whether `bytes` have this checksum; never for one that is not to be believed.
pub fn matches(checksum: &Checksum, bytes: &[u8]) -> bool {
    Hasher::new(checksum.algorithm).is_some_and(|mut hasher| {
        hasher.update(bytes);
        hasher.finish() == checksum.hex
    })
}

/// A text of somebody else's as an error may show it.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(120).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < text.len() && text.chars().count() > 120 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_empty_file() {
        let cases = [
            (Algorithm::Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (Algorithm::Sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ];
        for (algorithm, hex) in cases {
            assert!(matches(&Checksum::new(algorithm, &hex.to_uppercase()).unwrap(), b""));
            assert!(!matches(&Checksum::new(algorithm, hex).unwrap(), b"x"));
        }
        let md5 = Checksum::new(Algorithm::Md5, "d41d8cd98f00b204e9800998ecf8427e").unwrap();
        assert!(!matches(&md5, b""));
        let sha512 = Hasher::new(Algorithm::Sha512).unwrap().finish();
        assert!(sha512.starts_with("cf83e1357eefb8bd") && sha512.len() == 128);
    }

    #[test]
    fn names_order_and_bad_digits() {
        assert_eq!(Algorithm::from_name("sha"), Some(Algorithm::Sha1));
        assert_eq!(Algorithm::from_name("SHA256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::from_name("crc"), None);
        assert!(Algorithm::Sha512 > Algorithm::Sha256 && Algorithm::Sha1 > Algorithm::Md5);
        for hex in ["", "abc", "zz39a3ee5e6b4b0d3255bfef95601890afd80709"] {
            assert!(Checksum::new(Algorithm::Sha1, hex).is_err());
        }
    }
}
