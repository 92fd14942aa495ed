//! Secrets with types of their own, so that none is printed or stored by accident.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ids::{Digest, random};
use crate::store::table::{Key, KeyFor, PrefixOf};

/// The text of a token as its holder knows it. `Debug` prints `***`; the text leaves only by [`RawToken::as_str`].
#[derive(Clone, PartialEq, Eq)]
pub struct RawToken(String);

impl RawToken {
    /// A fresh one: 256 random bits as 43 characters of `[A-Za-z0-9_-]` (`products.md` §2).
    pub fn random() -> Result<Self> {
        Ok(RawToken(URL_SAFE_NO_PAD.encode(random::<32>()?)))
    }

    /// The text as it came in, surrounding blanks trimmed.
    pub fn from_text(text: &str) -> Self {
        RawToken(text.trim_matches([' ', '\t']).to_owned())
    }

    /// The text as it came in, blanks and all.
    pub fn exact(text: &str) -> Self {
        RawToken(text.to_owned())
    }

    /// The secret text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up.
    pub fn key(&self) -> TokenKey {
        TokenKey::of(&self.0)
    }

    /// The public name of this token.
    pub fn fingerprint(&self) -> String {
        self.key().fingerprint()
    }
}

impl fmt::Debug for RawToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawToken(***)")
    }
}

/// SHA-256 of a raw token: the only form in which tokens and session ids are stored.
///
/// Look-ups by it need no constant-time comparison: whoever could steer the digest bit by bit could invert SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenKey(Digest);

impl TokenKey {
    /// Of the raw text.
    pub fn of(raw: &str) -> Self {
        TokenKey(Digest::of(raw.as_bytes()))
    }

    /// The digest's bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0.0
    }

    /// `fp:` and the first 16 lower-case hex digits of the digest (`products.md` §2): stable for ever, safe to show.
    pub fn fingerprint(&self) -> String {
        let mut text = self.0.to_hex();
        text.truncate(16);
        text.insert_str(0, "fp:");
        text
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl KeyFor<TokenKey> for TokenKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Key for TokenKey {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Digest::decode(input).map(TokenKey)
    }
}

/// A fingerprint as callers give it; it is the beginning of the key, so finding by it is one short range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// From exactly `fp:` and 16 hex digits of either case; anything else is a raw token.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("fp:")?;
        let all_hex = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = all_hex.then(|| u64::from_str_radix(digits, 16).ok())??;
        Some(Fingerprint(number.to_be_bytes()))
    }
}

impl PrefixOf<TokenKey> for Fingerprint {
    fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// A password on its way from a request to its hash. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Longest password taken, bytes (`faynosync.md` §2).
    pub const MAX_BYTES: usize = 1024;

    /// The text as it came in; [`Password::check`] says whether it may become a password.
    pub fn new(text: impl Into<String>) -> Self {
        Password(text.into())
    }

    /// `Invalid` unless it has 1 to 1024 bytes.
    pub fn check(&self) -> Result<()> {
        match self.0.len() {
            0 => Err(crate::error::Error::invalid("password must not be empty")),
            1..=Self::MAX_BYTES => Ok(()),
            _ => Err(crate::error::Error::invalid("password must have at most 1024 bytes")),
        }
    }

    /// One a person can copy from a sheet of paper: five groups of four, 100 random bits, no look-alikes.
    pub fn random() -> Result<Self> {
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut text = String::with_capacity(24);
        for (number, byte) in random::<20>()?.into_iter().enumerate() {
            if number > 0 && number % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(LETTERS[usize::from(byte & 31)]));
        }
        Ok(Password(text))
    }

    /// The secret text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_the_beginning_of_the_digest() {
        let token = RawToken::from_text(" abc\t");
        assert_eq!(token.as_str(), "abc");
        assert_eq!(token.fingerprint(), "fp:ba7816bf8f01cfea");
        let mut key = Vec::new();
        token.key().encode(&mut key);
        for text in ["fp:ba7816bf8f01cfea", "fp:BA7816BF8F01CFEA"] {
            assert!(key.starts_with(&Fingerprint::parse(text).unwrap().bytes()), "{text}");
        }
        let raw = [
            "",
            "fp:",
            "fp:ba7816bf8f01cfe",
            "fp:ba7816bf8f01cfea0",
            "fp:ba7816bf8f01cfeg",
            "fp:+a7816bf8f01cfea",
            "FP:ba7816bf8f01cfea",
            " fp:ba7816bf8f01cfea",
            "ba7816bf8f01cfea",
        ];
        for text in raw {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn random_secrets_have_their_form_and_differ() {
        let token = RawToken::random().unwrap();
        assert_eq!(token.as_str().len(), 43);
        assert!(token.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_ne!(token, RawToken::random().unwrap());
        let password = Password::random().unwrap();
        assert_eq!(password.as_str().split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        assert_ne!(password, Password::random().unwrap());
    }

    #[test]
    fn nothing_prints_a_secret() {
        let shown = format!("{:?} {:?}", RawToken::from_text("abc"), Password::new("abc"));
        assert_eq!(shown, "RawToken(***) Password(***)");
        assert_eq!(format!("{:?}", RawToken::from_text("abc").key()), "fp:ba7816bf8f01cfea");
    }

    #[test]
    fn keys_are_names_in_stored_objects() {
        let object = std::collections::BTreeMap::from([(TokenKey::of("abc"), 1)]);
        let json = serde_json::to_string(&object).unwrap();
        assert!(json.starts_with("{\"ba7816bf8f01cfea"), "{json}");
        assert_eq!(serde_json::from_str::<std::collections::BTreeMap<TokenKey, i32>>(&json).unwrap(), object);
    }

    #[test]
    fn password_lengths() {
        for (length, good) in [(0, false), (1, true), (1024, true), (1025, false)] {
            assert_eq!(Password::new("x".repeat(length)).check().is_ok(), good, "{length}");
        }
    }
}
