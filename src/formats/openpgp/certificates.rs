//! Certificates somebody trusts, and whether one of them signed a file.

use pgp::composed::{ArmorOptions, Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::KeyDetails;

use crate::formats::fault::Fault;

use super::validity::{self, Component};
use super::{LONGEST_KEYS, blocks, cleartext, is_binary, signatures};

/// Most certificates kept together.
const MOST: usize = 1_000;
/// Most characters of a user id that are shown.
const LONGEST_USER: usize = 200;
/// Reasons told when no signature is good.
const REASONS: usize = 3;

/// One or more public certificates.
#[derive(Clone, Debug)]
pub struct Certificates(Vec<SignedPublicKey>);

/// One public certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its fingerprint, upper-case hex.
    pub fingerprint: String,
    /// Its first user id, on one line and not endlessly long; may be empty.
    pub user: String,
    /// The certificate in armor.
    pub armored: String,
}

/// The key ids that detached signatures name, armored or not; none means that there is no signature.
pub fn issuers(signature: &[u8]) -> Result<Vec<String>, Fault> {
    Ok(signatures(signature)?.iter().map(issuer).collect())
}

/// Who made a good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Fingerprint of the certificate, upper-case hex.
    pub certificate: String,
    /// Key id of the key in it that signed, 16 upper-case hex digits.
    pub key_id: String,
    /// When, in seconds since 1970.
    pub created: i64,
}

impl Certificates {
    /// Reads public certificates: blocks of armor one after the other, or binary packets. Refused when there is none, when
    /// a block holds none, or when a secret key is among them.
    pub fn parse(bytes: &[u8]) -> Result<Certificates, Fault> {
        if bytes.len() > LONGEST_KEYS {
            return Err(Fault::bad("the certificates are too long"));
        }
        let mut found = Vec::new();
        if is_binary(bytes) {
            add(SignedPublicKey::from_bytes_many(bytes), &mut found)?;
        } else {
            if memchr::memmem::find(bytes, b"-----BEGIN PGP PRIVATE KEY BLOCK-----").is_some() {
                return Err(Fault::bad("this is a secret key, not a public certificate"));
            }
            for block in blocks(bytes, "PGP PUBLIC KEY BLOCK")? {
                add(SignedPublicKey::from_armor_many(block).map(|(keys, _)| keys), &mut found)?;
            }
        }
        if found.is_empty() {
            return Err(Fault::bad("there is no OpenPGP public certificate"));
        }
        Ok(Certificates(found))
    }

    /// The fingerprints of the certificates, upper-case hex, in their order.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|certificate| fingerprint(&certificate.primary_key)).collect()
    }

    /// The certificates one by one.
    pub fn each(&self) -> Result<Vec<Certificate>, Fault> {
        let unwritten = |error: pgp::errors::Error| Fault::bad(format!("the certificate cannot be written: {error}"));
        let one = |certificate: &SignedPublicKey| {
            let user = certificate.details.users.first();
            let user = user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned()).unwrap_or_default();
            Ok(Certificate {
                fingerprint: fingerprint(&certificate.primary_key),
                user: user.chars().filter(|c| !c.is_control()).take(LONGEST_USER).collect(),
                armored: certificate.to_armored_string(ArmorOptions::default()).map_err(unwritten)?,
            })
        };
        self.0.iter().map(one).collect()
    }

    /// Whether a key that a detached signature names is among these certificates, whatever the signature is worth.
    pub fn know(&self, signature: &[u8]) -> Result<bool, Fault> {
        let signatures = signatures(signature)?;
        let known = |signature: &Signature| self.0.iter().any(|known| !keys_of(known, signature).is_empty());
        Ok(signatures.iter().any(known))
    }

    /// Judges a detached signature over `data`, armored or not; of several signatures one good one is enough. `now` in
    /// seconds since 1970. The fault names the key and why its signature does not count.
    pub fn verify_detached(&self, data: &[u8], signature: &[u8], now: i64) -> Result<Signer, Fault> {
        self.verify(data, signatures(signature)?, now)
    }

    /// Judges a clear-signed text and answers the signed text alone, every line ended by a line feed and without blanks at
    /// its end. Text outside of the signed part is refused.
    pub fn verify_inline(&self, text: &[u8], now: i64) -> Result<(String, Signer), Fault> {
        let parts = cleartext::read(text)?;
        let signer = self.verify(&parts.signed, signatures(&parts.signature)?, now)?;
        Ok((parts.text, signer))
    }

    fn verify(&self, data: &[u8], signatures: Vec<Signature>, now: i64) -> Result<Signer, Fault> {
        let mut reasons: Vec<String> = Vec::new();
        for signature in &signatures {
            match self.judge(signature, data, now) {
                Ok(signer) => return Ok(signer),
                Err(reason) if reasons.contains(&reason) || reasons.len() == REASONS => {}
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            return Err(Fault::bad("there is no signature"));
        }
        Err(Fault::bad(reasons.join("; ")))
    }

    fn judge(&self, signature: &Signature, data: &[u8], now: i64) -> Result<Signer, String> {
        let name = issuer(signature);
        let Some(created) = signature.created().map(|created| i64::from(created.as_secs())) else {
            return Err(format!("the signature by {name} does not say when it was made"));
        };
        match signature.hash_alg() {
            Some(
                HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha224
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512,
            ) => {}
            Some(weak) => return Err(format!("the signature by {name} rests on {weak}, which is too weak")),
            None => return Err(format!("the signature by {name} is of an unknown version")),
        }
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err(format!("the signature by {name} is not one over a file"));
        }
        if created > now + validity::SLACK {
            return Err(format!("the signature by {name} is from the future ({})", validity::date(created)));
        }
        if validity::has_expired(signature, now) {
            return Err(format!("the signature by {name} has expired"));
        }
        let mut reason = format!("no given certificate has the key {name}");
        for certificate in &self.0 {
            for (component, key_id, made) in keys_of(certificate, signature) {
                match self.try_key(certificate, component, signature, data, now) {
                    Ok(()) if made > created => reason = format!("the signature by {key_id} is older than its key"),
                    Ok(()) => {
                        let certificate = fingerprint(&certificate.primary_key);
                        return Ok(Signer { certificate, key_id, created });
                    }
                    Err(why) => reason = format!("the key {key_id} {why}"),
                }
            }
        }
        Err(reason)
    }

    fn try_key(
        &self,
        certificate: &SignedPublicKey,
        component: Component,
        signature: &Signature,
        data: &[u8],
        now: i64,
    ) -> Result<(), String> {
        validity::may_sign(certificate, component, now)?;
        let fits = match component {
            Component::Primary => signature.verify(&certificate.primary_key, data).is_ok(),
            Component::Subkey(place) => {
                let subkey = certificate.public_subkeys.get(place);
                subkey.is_some_and(|subkey| signature.verify(&subkey.key, data).is_ok())
            }
        };
        if fits { Ok(()) } else { Err("did not make this signature: wrong signature or changed text".to_owned()) }
    }
}

type Keys<'a> = Box<dyn Iterator<Item = pgp::errors::Result<SignedPublicKey>> + 'a>;

/// Adds the certificates of one block; those of a kind nobody knows any more are passed over as long as one is left.
fn add(keys: pgp::errors::Result<Keys<'_>>, found: &mut Vec<SignedPublicKey>) -> Result<(), Fault> {
    let broken = |error: pgp::errors::Error| Fault::bad(format!("a certificate cannot be read: {error}"));
    let before = found.len();
    let mut failure = None;
    for key in keys.map_err(broken)? {
        match key {
            Ok(_) if found.len() >= MOST => return Err(Fault::bad(format!("there are more than {MOST} certificates"))),
            Ok(key) => found.push(key),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        _ if found.len() > before => Ok(()),
        Some(error) => Err(broken(error)),
        None => Err(Fault::bad("a block holds no OpenPGP public certificate")),
    }
}

/// The keys of a certificate that may have made a signature: those it names, or all when it names none.
fn keys_of(certificate: &SignedPublicKey, signature: &Signature) -> Vec<(Component, String, i64)> {
    let (ids, prints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
    let named = |key: &dyn KeyDetails| {
        ids.is_empty() && prints.is_empty()
            || ids.contains(&&key.legacy_key_id())
            || prints.contains(&&key.fingerprint())
    };
    let entry = |component, key: &dyn KeyDetails| {
        let created = i64::from(key.created_at().as_secs());
        named(key).then(|| (component, key.legacy_key_id().to_string().to_ascii_uppercase(), created))
    };
    let primary = entry(Component::Primary, &certificate.primary_key);
    let subkeys = certificate.public_subkeys.iter().enumerate();
    let subkeys = subkeys.filter_map(|(place, subkey)| entry(Component::Subkey(place), &subkey.key));
    primary.into_iter().chain(subkeys).collect()
}

/// The key id a signature names.
fn issuer(signature: &Signature) -> String {
    let by_id = signature.issuer_key_id().first().map(|id| id.to_string().to_ascii_uppercase());
    let by_print = || signature.issuer_fingerprint().first().map(|print| format!("{print:X}"));
    by_id.or_else(by_print).unwrap_or_else(|| "an unnamed key".to_owned())
}

/// A fingerprint, upper-case hex.
pub(super) fn fingerprint(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}
