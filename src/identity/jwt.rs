//! Signed login tokens: JSON Web Tokens with HS256 and nothing else (`faynosync.md` §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::identity::info::Secret;

/// Longest token looked at, bytes.
const MAX_BYTES: usize = 4096;
/// Seconds by which clocks may differ (`reliability.md` §10).
pub(super) const TOLERANCE: i64 = 60;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
}

/// What a login token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Whose login it is.
    pub(super) username: String,
    /// Seconds since 1970 at which it ends.
    pub(super) exp: i64,
    /// Makes each login's token its own.
    #[serde(default)]
    pub(super) jti: String,
}

/// The token for `claims`.
pub(super) fn sign(key: &Secret, claims: &Claims) -> Result<String> {
    let header = Header { alg: "HS256".into(), typ: "JWT".into() };
    let part = |json: serde_json::Result<Vec<u8>>| json.map(|json| URL_SAFE_NO_PAD.encode(json));
    let header = part(serde_json::to_vec(&header)).map_err(Error::internal)?;
    let claims = part(serde_json::to_vec(claims)).map_err(Error::internal)?;
    let signed = format!("{header}.{claims}");
    let signature = mac(key, &signed)?.finalize().into_bytes();
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a token that this key signed and that has not ended. `None` for everything else, whatever it is.
pub(super) fn verify(key: &Secret, token: &str, now: Time) -> Result<Option<Claims>> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let read = || {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_BYTES)?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        // The algorithm is ours to choose, never the token's.
        (header.alg == "HS256").then_some(())?;
        Some((signed, decode(signature)?, decode(claims)?))
    };
    let Some((signed, signature, claims)) = read() else {
        return Ok(None);
    };
    if mac(key, signed)?.verify_slice(&signature).is_err() {
        return Ok(None);
    }
    let claims: Option<Claims> = serde_json::from_slice(&claims).ok();
    Ok(claims.filter(|claims| now.seconds() <= claims.exp.saturating_add(TOLERANCE)))
}

fn mac(key: &Secret, text: &str) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| Error::internal(e.to_string()))?;
    mac.update(text.as_bytes());
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Secret = [7; 32];

    fn claims() -> Claims {
        Claims { username: "admin".into(), exp: 1000, jti: "x".into() }
    }

    /// A token of any header and claims, signed rightly or not.
    fn forge(header: &str, claims: &str, key: Option<&Secret>) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = key.map(|key| mac(key, &signed).unwrap().finalize().into_bytes().to_vec());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap_or_default()))
    }

    #[test]
    fn signed_tokens_come_back() {
        let token = sign(&KEY, &claims()).unwrap();
        assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."), "{token}");
        assert_eq!(verify(&KEY, &token, Time(0)).unwrap(), Some(claims()));
    }

    #[test]
    fn a_known_token_verifies() {
        // Made with Python's hmac and base64 modules.
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFubiIsImV4cCI6NDAwMDAwMDAwMH0.\
                     GPiCNc5QY1FBTLh9mkld45t9gUuKF8fgbvonT9VH44I";
        let claims = verify(b"0123456789abcdef0123456789abcdef", token, Time(0)).unwrap().unwrap();
        assert_eq!((claims.username.as_str(), claims.exp), ("ann", 4_000_000_000));
    }

    #[test]
    fn it_ends_with_a_minute_of_tolerance() {
        let token = sign(&KEY, &claims()).unwrap();
        for (second, good) in [(0, true), (1000, true), (1060, true), (1061, false), (i64::MAX / 1_000_000, false)] {
            let now = Time(0).plus_seconds(second);
            assert_eq!(verify(&KEY, &token, now).unwrap().is_some(), good, "{second}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let good = sign(&KEY, &claims()).unwrap();
        let body = r#"{"username":"admin","exp":1000}"#;
        let hs256 = r#"{"alg":"HS256","typ":"JWT"}"#;
        assert!(verify(&KEY, &forge(hs256, body, Some(&KEY)), Time(0)).unwrap().is_some());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let bad = [
            String::new(),
            ".".into(),
            "..".into(),
            "a.b.c".into(),
            signed.into(),
            format!("{signed}."),
            format!("{signed}.{}", &signature[1..]),
            format!("{good}="),
            format!("{good}.x"),
            format!(" {good}"),
            format!("{good}{}", "A".repeat(5000)),
            forge(hs256, body, Some(&[8; 32])),
            forge(hs256, body, None),
            forge(r#"{"alg":"none"}"#, body, None),
            forge(r#"{"alg":"none"}"#, body, Some(&KEY)),
            forge(r#"{"alg":"HS512"}"#, body, Some(&KEY)),
            forge(r#"{"alg":"hs256"}"#, body, Some(&KEY)),
            forge(r#"{"typ":"JWT"}"#, body, Some(&KEY)),
            forge("[]", body, Some(&KEY)),
            forge(hs256, r#"{"username":"admin"}"#, Some(&KEY)),
            forge(hs256, r#"{"username":"admin","exp":"1000"}"#, Some(&KEY)),
            forge(hs256, r#"{"exp":1000}"#, Some(&KEY)),
            forge(hs256, "{", Some(&KEY)),
        ];
        for token in bad {
            assert_eq!(verify(&KEY, &token, Time(0)).unwrap(), None, "{token}");
        }
    }
}
