//! The secret key that signs what is published.

use std::fmt;

use pgp::composed::{
    ArmorOptions, Deserializable, DetachedSignature, KeyType, SignedKeyDetails, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, SecretKey, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData,
    UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    KeyDetails, KeyVersion, PacketHeaderVersion, Password, SignedUser, SigningKey as Signs, Tag, Timestamp,
};

use crate::formats::fault::Fault;

use super::certificates::fingerprint;
use super::validity::{self, Component};
use super::{LONGEST_KEYS, blocks, cleartext, is_binary};

/// Bits of an RSA key made here.
const RSA_BITS: u32 = 3072;

/// Kinds of key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of 3,072 bits, which every verifier still in use can read.
    Rsa3072,
    /// Ed25519 in the form GnuPG 2.2 knows.
    Ed25519,
}

/// A secret key without a pass phrase; `Debug` shows its fingerprint only.
#[derive(Clone)]
pub struct SigningKey {
    secret: SignedSecretKey,
    public: SignedPublicKey,
    signer: Component,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ***)", self.fingerprint())
    }
}

impl SigningKey {
    /// Makes a key of version 4 for `user_id` (`Name <address>`): a primary key that signs and certifies, without expiry.
    /// `when` is its time of creation in seconds since 1970. Takes a second or so for RSA.
    pub fn generate(kind: KeyKind, user_id: &str, when: i64) -> Result<SigningKey, Fault> {
        let secret = make(kind, user_id, timestamp(when)?);
        let secret = secret.map_err(|error| Fault::bad(format!("the signing key cannot be made: {error}")))?;
        Ok(SigningKey { public: secret.to_public_key(), secret, signer: Component::Primary })
    }

    /// Reads a secret key, armored or binary. `now` in seconds since 1970. Refused: none or several keys, one of another
    /// version than 4, one with a pass phrase, expired or revoked ones, and one without a key that signs.
    pub fn from_secret(bytes: &[u8], now: i64) -> Result<SigningKey, Fault> {
        let broken = |error: pgp::errors::Error| Fault::bad(format!("the secret key cannot be read: {error}"));
        if bytes.len() > LONGEST_KEYS {
            return Err(Fault::bad("the secret key is too long"));
        }
        let mut keys = Vec::new();
        if is_binary(bytes) {
            keys.extend(SignedSecretKey::from_bytes_many(bytes).map_err(broken)?.take(2));
        } else {
            for block in blocks(bytes, "PGP PRIVATE KEY BLOCK")? {
                keys.extend(SignedSecretKey::from_armor_many(block).map_err(broken)?.0.take(2));
            }
        }
        let mut keys = keys.into_iter();
        let (Some(secret), None) = (keys.next(), keys.next()) else {
            return Err(Fault::bad("exactly one OpenPGP secret key is needed"));
        };
        let secret = secret.map_err(broken)?;
        if secret.primary_key.version() != KeyVersion::V4 {
            return Err(Fault::bad("the key is not of version 4, which old verifiers need"));
        }
        let public = secret.to_public_key();
        let components =
            std::iter::once(Component::Primary).chain((0..public.public_subkeys.len()).map(Component::Subkey));
        let mut reason = String::new();
        for signer in components {
            match validity::may_sign(&public, signer, now) {
                Ok(()) => {
                    let key = SigningKey { secret, public, signer };
                    key.try_out(now)?;
                    return Ok(key);
                }
                Err(why) if reason.is_empty() => reason = why,
                Err(_) => {}
            }
        }
        Err(Fault::bad(format!("the key {reason}")))
    }

    /// The same with text around it: an armored secret key.
    pub fn from_armored_secret(text: &str, now: i64) -> Result<SigningKey, Fault> {
        SigningKey::from_secret(text.as_bytes(), now)
    }

    /// The secret key as bytes, for a private file; `from_secret` reads them.
    pub fn to_secret_bytes(&self) -> Result<Vec<u8>, Fault> {
        self.secret.to_bytes().map_err(|error| Fault::bad(format!("the secret key cannot be written: {error}")))
    }

    /// The public certificate in armor, the same bytes at every call.
    pub fn public_armored(&self) -> Result<String, Fault> {
        self.public.to_armored_string(ArmorOptions::default()).map_err(unwritten)
    }

    /// The public certificate without armor, the same bytes at every call.
    pub fn public_binary(&self) -> Result<Vec<u8>, Fault> {
        self.public.to_bytes().map_err(unwritten)
    }

    /// The fingerprint of the certificate, upper-case hex.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public.primary_key)
    }

    /// When the youngest of its keys was made, in seconds since 1970: no signature of it is older.
    pub fn created(&self) -> i64 {
        let subkeys = self.public.public_subkeys.iter().map(|subkey| subkey.key.created_at());
        let youngest = subkeys.chain([self.public.primary_key.created_at()]).map(|time| time.as_secs()).max();
        youngest.map_or(0, i64::from)
    }

    /// An armored signature of exactly these bytes: the same at every call with the same time. `when` in seconds since 1970.
    pub fn sign_detached(&self, bytes: &[u8], when: i64) -> Result<String, Fault> {
        self.sign(SignatureType::Binary, bytes, when)
    }

    /// `text` clear-signed. Blanks at the ends of its lines are dropped: signatures do not cover them. `when` in seconds
    /// since 1970.
    pub fn clearsign(&self, text: &str, when: i64) -> Result<String, Fault> {
        let signature = self.sign(SignatureType::Text, &cleartext::canonical(text), when)?;
        Ok(cleartext::write(text, &HASH.to_string(), &signature))
    }

    fn sign(&self, kind: SignatureType, bytes: &[u8], when: i64) -> Result<String, Fault> {
        let failed = |error: pgp::errors::Error| Fault::bad(format!("the file cannot be signed: {error}"));
        let time = timestamp(when)?;
        let signature = match self.signer {
            Component::Primary => sign_with(&self.secret.primary_key, kind, bytes, time),
            Component::Subkey(place) => match self.secret.secret_subkeys.get(place) {
                Some(subkey) => sign_with(&subkey.key, kind, bytes, time),
                None => return Err(Fault::bad("the secret part of the signing key is missing")),
            },
        };
        let signature = DetachedSignature::new(signature.map_err(failed)?);
        signature.to_armored_string(ArmorOptions::default()).map_err(failed)
    }

    /// Signs a word and verifies it: shows pass phrases, missing parts, and halves that do not belong together.
    fn try_out(&self, now: i64) -> Result<(), Fault> {
        let unusable = || Fault::bad("the secret key cannot sign: it has a pass phrase or its parts do not fit");
        let signature = self.sign(SignatureType::Binary, b"try", now).map_err(|_| unusable())?;
        let mine = super::Certificates::parse(&self.public_binary()?)?;
        mine.verify_detached(b"try", signature.as_bytes(), now).map(|_| ()).map_err(|_| unusable())
    }
}

/// A primary key with one user id, certified at the moment it was made.
fn make(kind: KeyKind, user_id: &str, when: Timestamp) -> pgp::errors::Result<SignedSecretKey> {
    let kind = match kind {
        KeyKind::Rsa3072 => KeyType::Rsa(RSA_BITS),
        KeyKind::Ed25519 => KeyType::Ed25519Legacy,
    };
    let (public, secret) = kind.generate(rand::rngs::OsRng)?;
    let public = PubKeyInner::new(KeyVersion::V4, kind.to_alg(), when, None, public)?;
    let public = PublicKey::from_inner(public)?;
    let secret = SecretKey::new(public.clone(), secret)?;

    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(true);
    let user = UserId::from_str(PacketHeaderVersion::New, user_id)?;
    let mut config = SignatureConfig::v4(SignatureType::CertPositive, secret.algorithm(), HASH);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(when))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(secret.fingerprint()))?,
        Subpacket::regular(SubpacketData::KeyFlags(flags))?,
        Subpacket::regular(SubpacketData::IsPrimary(true))?,
        Subpacket::regular(SubpacketData::PreferredHashAlgorithms([HashAlgorithm::Sha512, HASH][..].into()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(secret.legacy_key_id()))?];
    let own = config.sign_certification(&secret, &public, &Password::empty(), Tag::UserId, &user)?;
    let details = SignedKeyDetails::new(Vec::new(), Vec::new(), vec![SignedUser::new(user, vec![own])], Vec::new());
    Ok(SignedSecretKey::new(secret, details, Vec::new(), Vec::new()))
}

/// The digest below every signature made here.
const HASH: HashAlgorithm = HashAlgorithm::Sha256;

fn sign_with(key: &impl Signs, kind: SignatureType, bytes: &[u8], time: Timestamp) -> pgp::errors::Result<Signature> {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HASH);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(time))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    config.sign(key, &Password::empty(), bytes)
}

fn unwritten(error: pgp::errors::Error) -> Fault {
    Fault::bad(format!("the certificate cannot be written: {error}"))
}

fn timestamp(seconds: i64) -> Result<Timestamp, Fault> {
    let seconds = u32::try_from(seconds).map_err(|_| Fault::bad("the clock shows a time OpenPGP cannot write"))?;
    Ok(Timestamp::from_secs(seconds))
}

#[cfg(test)]
impl SigningKey {
    /// The secret key in armor.
    pub(super) fn secret_armored_for_test(&self) -> String {
        self.secret.to_armored_string(ArmorOptions::default()).unwrap()
    }
}
