//! The signature of a RefPack, `data.meta.json.jws` (`refpack.md` §4.6): a compact JWS, ES256 with its key embedded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{self, VerifyingKey};
use serde_json::{Map, Value};

use super::{Fault, json};

/// The signature's file name.
pub const FILE: &str = "data.meta.json.jws";
/// The largest signature that is read, in bytes: it may carry a whole manifest.
pub const LIMIT: usize = 2 << 20;

/// How far ahead of the clock a signature may have been made, in seconds.
const AHEAD: f64 = 300.0;

/// What a signature is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// There is none.
    #[default]
    None,
    /// It proves no more than that the packer held the key.
    Claims,
    /// It covers the manifest.
    Manifest,
}

/// Judges the signature `text` of the manifest with these exact bytes. `now` is in seconds since 1970.
///
/// # Errors
/// `signature_invalid` or `signature_private_key`.
pub fn judge(text: &[u8], manifest: &[u8], now: i64) -> Result<Signature, Fault> {
    let refuse = |message: &'static str| Fault::new("signature_invalid", FILE, message);
    let text = std::str::from_utf8(text).map_err(|_| refuse("the file is not text"))?.trim();
    let parts: Vec<&str> = text.splitn(4, '.').collect();
    let &[head, payload, signature] = parts.as_slice() else {
        return Err(refuse("three parts with a dot between them are needed"));
    };
    let decode = |part: &str| match part {
        "" => Err(refuse("a part is empty")),
        _ => URL_SAFE_NO_PAD.decode(part).map_err(|_| refuse("a part is not base64url without padding")),
    };
    let key = key(&decode(head)?)?;
    let payload_bytes = decode(payload)?;
    let signature = ecdsa::Signature::from_slice(&decode(signature)?)
        .map_err(|_| refuse("the signature is not a pair of two 32-byte numbers"))?;
    let signed_length = head.len() + 1 + payload.len();
    let signed = text.get(..signed_length).unwrap_or_default();
    key.verify(signed.as_bytes(), &signature).map_err(|_| refuse("the signature does not fit"))?;

    if payload_bytes == manifest {
        return Ok(Signature::Manifest);
    }
    let claims = json::value(FILE, &payload_bytes, LIMIT).ok();
    let claims = claims.as_ref().and_then(Value::as_object).filter(|claims| is(claims, "jti", "refpack"));
    let claims =
        claims.ok_or_else(|| refuse("the signature covers neither this manifest nor the claims of a packer"))?;
    match claims.get("iat") {
        None => Ok(Signature::Claims),
        Some(time) => match time.as_f64() {
            Some(time) if time <= now as f64 + AHEAD => Ok(Signature::Claims),
            Some(_) => Err(refuse("the signature was made in the future")),
            None => Err(refuse("iat must be a number")),
        },
    }
}

/// The public key a protected header carries.
fn key(head: &[u8]) -> Result<VerifyingKey, Fault> {
    let refuse = |message: &'static str| Fault::new("signature_invalid", FILE, message);
    let head = match json::value(FILE, head, LIMIT) {
        Ok(Value::Object(head)) => head,
        _ => return Err(refuse("the header is not a JSON object")),
    };
    let Some(Value::Object(jwk)) = head.get("jwk") else {
        return Err(refuse("the header carries no key (jwk)"));
    };
    if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|private| jwk.contains_key(*private)) {
        return Err(Fault::new("signature_private_key", FILE, "the package would publish its private signing key"));
    }
    if !is(&head, "alg", "ES256") {
        return Err(refuse("the algorithm must be ES256"));
    }
    if head.contains_key("crit") {
        return Err(refuse("the header asks for extensions that are not known"));
    }
    if !is(jwk, "kty", "EC") || !is(jwk, "crv", "P-256") {
        return Err(refuse("the key must be of type EC on P-256"));
    }
    let coordinate = |name: &str| {
        let text = jwk.get(name).and_then(Value::as_str)?;
        URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32)
    };
    let (Some(x), Some(y)) = (coordinate("x"), coordinate("y")) else {
        return Err(refuse("x and y must be 32 bytes each, in base64url"));
    };
    // 4: an uncompressed point.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    VerifyingKey::from_sec1_bytes(&point).map_err(|_| refuse("x and y are no point of P-256"))
}

fn is(object: &Map<String, Value>, key: &str, value: &str) -> bool {
    object.get(key).and_then(Value::as_str) == Some(value)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn signer() -> SigningKey {
        SigningKey::from_slice(&[7; 32]).unwrap()
    }

    fn jwk() -> Value {
        let point = signer().verifying_key().to_sec1_point(false);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let bytes = point.as_bytes();
        json!({"kty": "EC", "crv": "P-256", "x": text(&bytes[1..33]), "y": text(&bytes[33..])})
    }

    fn sign(head: &Value, payload: &[u8]) -> String {
        let head = URL_SAFE_NO_PAD.encode(head.to_string());
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature: ecdsa::Signature = signer().sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn code(text: &str) -> &'static str {
        match judge(text.as_bytes(), b"{}", NOW) {
            Ok(Signature::None) => "none",
            Ok(Signature::Claims) => "claims",
            Ok(Signature::Manifest) => "manifest",
            Err(fault) => fault.code,
        }
    }

    #[test]
    fn both_payload_forms_count() {
        let head = json!({"alg": "ES256", "jwk": jwk()});
        assert_eq!(code(&sign(&head, b"{}")), "manifest");
        assert_eq!(code(&format!(" \n{}\r\n", sign(&head, b"{}"))), "manifest");
        let claims = |iat: i64| json!({"jti": "refpack", "iat": iat, "exp": iat + 7200}).to_string();
        assert_eq!(code(&sign(&head, claims(NOW).as_bytes())), "claims");
        assert_eq!(code(&sign(&head, claims(NOW + 299).as_bytes())), "claims");
        assert_eq!(code(&sign(&head, claims(NOW - 90_000_000).as_bytes())), "claims");
        assert_eq!(code(&sign(&head, claims(NOW + 301).as_bytes())), "signature_invalid");
        for payload in [r#"{"jti":"other"}"#, "{} ", "[]", r#"{"jti":"refpack","iat":"now"}"#] {
            assert_eq!(code(&sign(&head, payload.as_bytes())), "signature_invalid", "{payload}");
        }
    }

    #[test]
    fn heads_are_judged() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut head = json!({"alg": "ES256", "jwk": jwk()});
            change(&mut head);
            code(&sign(&head, b"{}"))
        };
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(with(&|head| head["jwk"][private] = "AA".into()), "signature_private_key");
        }
        for alg in ["none", "HS256", "RS256", "es256", ""] {
            assert_eq!(with(&|head| head["alg"] = alg.into()), "signature_invalid", "{alg}");
        }
        let point: &dyn Fn(&mut Value) = &|head| head["jwk"]["x"] = URL_SAFE_NO_PAD.encode([9; 32]).into();
        let broken: [&dyn Fn(&mut Value); 6] = [
            point,
            &|head| head["jwk"]["crv"] = "P-384".into(),
            &|head| head["jwk"]["kty"] = "RSA".into(),
            &|head| head["jwk"]["y"] = "AA".into(),
            &|head| head["jwk"] = Value::Null,
            &|head| head["crit"] = json!(["b64"]),
        ];
        for change in broken {
            assert_eq!(with(change), "signature_invalid");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let good = sign(&json!({"alg": "ES256", "jwk": jwk()}), b"{}");
        let (head, rest) = good.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode("{ }");
        let cases = [
            format!("{head}.{other}.{signature}"),
            format!("{head}.{payload}."),
            format!("{head}..{signature}"),
            format!("{head}.{payload}"),
            format!("{good}.x"),
            format!("{good}="),
            format!("{head}.{payload}.{}", &signature[..60]),
            format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            "é".to_owned(),
            String::new(),
        ];
        for text in cases {
            assert_eq!(code(&text), "signature_invalid", "{text}");
        }
    }
}
