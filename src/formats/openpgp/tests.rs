//! Signatures made and judged here; those of other programs are tested from outside.

use super::*;

const NOW: i64 = 1_790_000_000;

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::Ed25519, "Packhouse <repo@example.org>", NOW - 10).unwrap()
}

fn trusting(key: &SigningKey) -> Certificates {
    Certificates::parse(key.public_armored().unwrap().as_bytes()).unwrap()
}

#[test]
fn detached_signatures() {
    let key = key();
    let signature = key.sign_detached(b"hello\n", NOW).unwrap();
    let signer = trusting(&key).verify_detached(b"hello\n", signature.as_bytes(), NOW).unwrap();
    assert_eq!(signer.certificate, key.fingerprint());
    assert!(signer.certificate.ends_with(&signer.key_id) && signer.key_id.len() == 16, "{signer:?}");
    assert_eq!(signer.created, NOW);
    let fault = trusting(&key).verify_detached(b"hello", signature.as_bytes(), NOW).unwrap_err().to_string();
    assert!(fault.contains(&signer.key_id) && fault.contains("did not make this signature"), "{fault}");
    let other = self::key();
    let fault = trusting(&other).verify_detached(b"hello\n", signature.as_bytes(), NOW).unwrap_err().to_string();
    assert_eq!(fault, format!("no given certificate has the key {}", signer.key_id));
    // Of several signatures one good one is enough; certificates come together too.
    let both = other.sign_detached(b"hello\n", NOW).unwrap() + &signature;
    assert_eq!(trusting(&key).verify_detached(b"hello\n", both.as_bytes(), NOW).unwrap(), signer);
    let all = other.public_armored().unwrap() + &key.public_armored().unwrap();
    let all = Certificates::parse(all.as_bytes()).unwrap();
    assert_eq!(all.fingerprints(), [other.fingerprint(), key.fingerprint()]);
    assert_eq!(all.verify_detached(b"hello\n", signature.as_bytes(), NOW).unwrap(), signer);
    let early = trusting(&key).verify_detached(b"hello\n", signature.as_bytes(), NOW - 2 * validity::SLACK);
    assert!(early.unwrap_err().to_string().contains("from the future"));
}

#[test]
fn clear_signed_texts() {
    let key = key();
    let cases = [
        ("Origin: x\nDate: y\n", "Origin: x\nDate: y\n"),
        ("no end", "no end\n"),
        ("- dash\n-----BEGIN PGP SIGNATURE-----\n-\n", "- dash\n-----BEGIN PGP SIGNATURE-----\n-\n"),
        ("blanks \t\n\n\nat ends\r\n", "blanks\n\n\nat ends\n"),
        ("", "\n"),
        ("\n\nempty lines\n\n", "\n\nempty lines\n\n"),
        ("ä €\n", "ä €\n"),
    ];
    for (text, expected) in cases {
        let signed = key.clearsign(text, NOW).unwrap();
        let (read, signer) = trusting(&key).verify_inline(signed.as_bytes(), NOW).unwrap();
        assert_eq!((read.as_str(), signer.certificate), (expected, key.fingerprint()), "{signed}");
    }
}

#[test]
fn only_the_signed_part_counts() {
    let key = key();
    let signed = key.clearsign("Suite: stable\n", NOW).unwrap();
    let judge = |text: &str| trusting(&key).verify_inline(text.as_bytes(), NOW).map(|found| found.0);
    assert_eq!(judge(&signed).unwrap(), "Suite: stable\n");
    assert_eq!(judge(&format!("\n{signed}\n\n")).unwrap(), "Suite: stable\n");
    assert_eq!(judge(&signed.replace('\n', "\r\n")).unwrap(), "Suite: stable\n");
    let begin = "-----BEGIN PGP SIGNATURE-----";
    let cases = [
        (format!("Suite: evil\n{signed}"), "there is text before the signed part"),
        (format!("{signed}Suite: evil\n"), "there is text after the signed part"),
        (format!("{signed}{signed}"), "there is text after the signed part"),
        (signed.replace("Hash: SHA256\n", "Hash: SHA256\nSuite: evil\n"), "is not allowed at the head"),
        (signed.replace("stable", "evil"), "did not make this signature"),
        (signed.replace(begin, &format!("-evil\n{begin}")), "unescaped dash"),
        (signed.replace(begin, &format!("x\n{begin}")), "did not make this signature"),
        ("Suite: stable\n".to_owned(), "the text is not signed"),
        (String::new(), "the text is not signed"),
        (signed[..signed.len() - 30].to_owned(), "has no end"),
        (signed[..60].to_owned(), "without a signature"),
    ];
    for (text, message) in cases {
        let fault = judge(&text).unwrap_err().to_string();
        assert!(fault.contains(message), "{fault}\n{text}");
    }
}

#[test]
fn keys_come_back_from_their_bytes() {
    let key = key();
    let again = SigningKey::from_secret(&key.to_secret_bytes().unwrap(), NOW).unwrap();
    assert_eq!(again.public_armored().unwrap(), key.public_armored().unwrap());
    assert_eq!(again.public_binary().unwrap(), key.public_binary().unwrap());
    assert_eq!(format!("{key:?}"), format!("SigningKey({}, ***)", key.fingerprint()));
    let binary = Certificates::parse(&key.public_binary().unwrap()).unwrap();
    let signature = again.sign_detached(b"x", NOW).unwrap();
    binary.verify_detached(b"x", signature.as_bytes(), NOW).unwrap();
    let armored = key.secret_armored_for_test();
    assert_eq!(SigningKey::from_armored_secret(&armored, NOW).unwrap().fingerprint(), key.fingerprint());
    assert!(Certificates::parse(armored.as_bytes()).unwrap_err().to_string().contains("secret key"));
    let two = format!("{armored}\n{armored}");
    assert!(SigningKey::from_armored_secret(&two, NOW).unwrap_err().to_string().contains("exactly one"));
}

#[test]
fn what_is_no_key_and_no_signature() {
    let key = key();
    let armored = key.public_armored().unwrap();
    for bytes in [
        "",
        "no key",
        &armored[..armored.len() / 2],
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----",
    ] {
        assert!(Certificates::parse(bytes.as_bytes()).is_err(), "{bytes}");
        assert!(SigningKey::from_armored_secret(bytes, NOW).is_err(), "{bytes}");
        assert!(trusting(&key).verify_detached(b"x", bytes.as_bytes(), NOW).is_err(), "{bytes}");
    }
    let fault = trusting(&key).verify_detached(b"x", b"", NOW).unwrap_err();
    assert_eq!(fault.to_string(), "there is no signature");
}

#[test]
fn no_changed_byte_makes_it_panic_or_pass() {
    let key = key();
    let certificate = key.public_binary().unwrap();
    let trusting = trusting(&key);
    let armored = key.sign_detached(b"data", NOW).unwrap();
    let signature = {
        let (signature, _) = DetachedSignature::from_string(&armored).unwrap();
        pgp::ser::Serialize::to_bytes(&signature).unwrap()
    };
    for at in 0..signature.len() {
        for bit in [0x01, 0x80, 0xFF] {
            let mut changed = signature.clone();
            changed[at] ^= bit;
            // The unhashed part only hints at the key; a change there may pass. Nothing may panic.
            let _ = trusting.verify_detached(b"data", &changed, NOW);
            assert!(trusting.verify_detached(b"date", &changed, NOW).is_err());
        }
        let _ = trusting.verify_detached(b"data", &signature[..at], NOW);
    }
    for at in 0..certificate.len() {
        let mut changed = certificate.clone();
        changed[at] ^= 0xFF;
        for bytes in [&changed[..], &certificate[..at]] {
            if let Ok(found) = Certificates::parse(bytes) {
                let _ = found.verify_detached(b"data", &signature, NOW);
            }
            let _ = SigningKey::from_secret(bytes, NOW);
        }
    }
}
