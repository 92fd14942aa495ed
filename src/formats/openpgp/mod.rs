//! OpenPGP signatures: a key that signs what is published, certificates that judge what others published.

use pgp::composed::{Deserializable, DetachedSignature};
use pgp::packet::Signature;

use crate::formats::fault::Fault;

mod certificates;
mod cleartext;
mod signing;
mod validity;

pub use certificates::{Certificate, Certificates, Signer, issuers};
pub use signing::{KeyKind, SigningKey};

/// Most bytes of certificates or of a secret key.
const LONGEST_KEYS: usize = 4 << 20;
/// Most bytes of signatures over one text.
const LONGEST_SIGNATURES: usize = 256 << 10;
/// Most signatures over one text that are looked at.
const MOST_SIGNATURES: usize = 32;

/// Most blocks of armor in one text.
const MOST_BLOCKS: usize = 256;

/// The blocks of armor of this kind (`PGP SIGNATURE`) in `text`, each with its first and last line.
fn blocks<'a>(text: &'a [u8], kind: &str) -> Result<Vec<&'a [u8]>, Fault> {
    let (begin, end) = (format!("-----BEGIN {kind}-----"), format!("-----END {kind}-----"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = memchr::memmem::find(rest, begin.as_bytes()) {
        let from = rest.get(start..).unwrap_or_default();
        let length = memchr::memmem::find(from, end.as_bytes())
            .ok_or_else(|| Fault::bad(format!("a block \"{kind}\" has no end")))?;
        let (block, after) = from.split_at_checked(length + end.len()).unwrap_or((from, &[]));
        found.push(block);
        if found.len() > MOST_BLOCKS {
            return Err(Fault::bad(format!("there are more than {MOST_BLOCKS} blocks \"{kind}\"")));
        }
        rest = after;
    }
    Ok(found)
}

/// Whether bytes are OpenPGP packets without armor.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x80 != 0)
}

/// The signatures in `bytes`, armored or not; what is of no known kind is left out.
fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, Fault> {
    if bytes.len() > LONGEST_SIGNATURES {
        return Err(Fault::bad("the signature is too long"));
    }
    let broken = |error: pgp::errors::Error| Fault::bad(format!("the signature cannot be read: {error}"));
    let mut found = Vec::new();
    if is_binary(bytes) {
        for signature in DetachedSignature::from_bytes_many(bytes).map_err(broken)?.take(MOST_SIGNATURES) {
            found.push(signature.map_err(broken)?.signature);
        }
    } else {
        for block in blocks(bytes, "PGP SIGNATURE")? {
            let (signatures, _) = DetachedSignature::from_armor_many(block).map_err(broken)?;
            for signature in signatures.take(MOST_SIGNATURES) {
                found.push(signature.map_err(broken)?.signature);
            }
        }
    }
    found.truncate(MOST_SIGNATURES);
    Ok(found)
}

#[cfg(test)]
mod tests;
