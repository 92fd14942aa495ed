//! Which keys of a certificate may sign: bound to it, made for signing, not expired, not revoked.

use pgp::composed::SignedPublicKey;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

/// Seconds that a signature may lie in the future: clocks differ.
pub(super) const SLACK: i64 = 24 * 3600;

/// A key of a certificate: its primary key, or one of its subkeys by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Primary,
    Subkey(usize),
}

/// Why a key may not sign: the end of a sentence that begins with "the key".
pub(super) type Reason = String;

/// Whether the key may sign at the time `now`, seconds since 1970.
pub(super) fn may_sign(certificate: &SignedPublicKey, component: Component, now: i64) -> Result<(), Reason> {
    let own = primary(certificate, now)?;
    match component {
        Component::Primary => match flags(own) {
            Some(false) => Err("is not made for signing".to_owned()),
            _ => Ok(()),
        },
        Component::Subkey(place) => subkey(certificate, place, now),
    }
}

/// The newest self-signature of the primary key, when the key itself is good.
fn primary(certificate: &SignedPublicKey, now: i64) -> Result<&Signature, Reason> {
    let (key, details) = (&certificate.primary_key, &certificate.details);
    if details.revocation_signatures.iter().any(|revocation| revocation.verify_key(key).is_ok()) {
        return Err("is revoked".to_owned());
    }
    let direct = details
        .direct_signatures
        .iter()
        .filter(|own| own.typ() == Some(SignatureType::Key) && own.verify_key(key).is_ok());
    let by_user = details.users.iter().filter_map(|user| {
        let good = |own: &&Signature| own.verify_certification(key, Tag::UserId, &user.id).is_ok();
        let revoked_at = user.signatures.iter().filter(|own| own.typ() == Some(SignatureType::CertRevocation));
        let revoked_at = revoked_at.filter(good).filter_map(Signature::created).max();
        let newest =
            user.signatures.iter().filter(|own| own.is_certification()).filter(good).filter(|own| counts(own, now));
        let newest = newest.max_by_key(|own| own.created())?;
        // A name that was revoked and certified again later is good again.
        (revoked_at < newest.created()).then_some(newest)
    });
    let newest = direct.filter(|own| counts(own, now)).chain(by_user).max_by_key(|own| own.created());
    let newest = newest.ok_or("has no valid self-signature")?;
    lives(i64::from(key.created_at().as_secs()), newest, now)?;
    Ok(newest)
}

fn subkey(certificate: &SignedPublicKey, place: usize, now: i64) -> Result<(), Reason> {
    let primary = &certificate.primary_key;
    let subkey = certificate.public_subkeys.get(place).ok_or("is not part of its certificate")?;
    let of = |kind| {
        let signatures = subkey.signatures.iter().filter(move |own| own.typ() == Some(kind));
        signatures.filter(|own| own.verify_subkey_binding(primary, &subkey.key).is_ok())
    };
    if of(SignatureType::SubkeyRevocation).next().is_some() {
        return Err("is revoked".to_owned());
    }
    let binding = of(SignatureType::SubkeyBinding).filter(|own| counts(own, now)).max_by_key(|own| own.created());
    let binding = binding.ok_or("is not bound to its certificate")?;
    if flags(binding) != Some(true) {
        return Err("is not made for signing".to_owned());
    }
    // The subkey must have agreed to belong to this certificate.
    let back = binding.embedded_signature().filter(|back| is_good_hash(back));
    let confirmed = back.map(|back| back.verify_primary_key_binding(&subkey.key, primary));
    if !matches!(confirmed, Some(Ok(()))) {
        return Err("does not confirm its certificate".to_owned());
    }
    lives(i64::from(subkey.key.created_at().as_secs()), binding, now)
}

/// Whether a self-signature may be believed at all: not of MD5, not from the future, not expired. SHA-1 is let pass here,
/// where the owner of the key signed his own words; over the words of others it is refused elsewhere.
fn counts(own: &Signature, now: i64) -> bool {
    let Some(created) = own.created() else { return false };
    is_good_hash(own) && i64::from(created.as_secs()) <= now + SLACK && !has_expired(own, now)
}

fn is_good_hash(own: &Signature) -> bool {
    !matches!(own.hash_alg(), None | Some(HashAlgorithm::None | HashAlgorithm::Md5))
}

/// Whether a signature's own time is over.
pub(super) fn has_expired(signature: &Signature, now: i64) -> bool {
    let (Some(created), Some(expiry)) = (signature.created(), signature.signature_expiration_time()) else {
        return false;
    };
    let seconds = seconds(expiry);
    seconds > 0 && now > i64::from(created.as_secs()) + seconds
}

/// Whether a key made at `created` is still good by what `own`, its newest self-signature, says.
fn lives(created: i64, own: &Signature, now: i64) -> Result<(), Reason> {
    let expiry = own.key_expiration_time().map_or(0, seconds);
    if expiry > 0 && now > created + expiry {
        return Err(format!("expired on {}", date(created + expiry)));
    }
    Ok(())
}

fn seconds(duration: pgp::types::Duration) -> i64 {
    i64::try_from(std::time::Duration::from(duration).as_secs()).unwrap_or(i64::MAX / 4)
}

/// Whether a self-signature says that the key may sign; `None` when it does not say what the key is for.
fn flags(own: &Signature) -> Option<bool> {
    let says = own.config()?.hashed_subpackets().any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)));
    says.then(|| own.key_flags().sign())
}

/// The day of a time, `2026-03-15`.
pub(super) fn date(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}
