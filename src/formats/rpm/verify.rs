//! An rpm against the digests it carries of its header and its payload.

use std::fmt::Write;
use std::io::{ErrorKind, Read};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::formats::fault::Fault;

use super::header::{self, Header};
use super::{Heads, Rpm};

const BLOCK: usize = 256 << 10;

/// Reads the whole rpm: the facts `read` gives, after every digest and length it carries was found true.
pub fn verify(reader: &mut impl Read) -> Result<Rpm, Fault> {
    let heads = Heads::read(reader, header::LONGEST)?;
    let (signature, main) = (&heads.signature, &heads.main);
    compare_text(signature, 273, "SHA-256 of the header", || Sha256::digest(&main.raw).to_vec())?;
    compare_text(signature, 269, "SHA-1 of the header", || Sha1::digest(&main.raw).to_vec())?;
    let rpm = heads.facts()?;

    let payload_digest = main.text(5092)?.filter(|digest| !digest.is_empty());
    let mut payload = payload_digest.as_ref().map(|_| Hasher::of(main.number(5093)?)).transpose()?;
    let md5 = signature.bytes(1004)?;
    let mut whole = md5.map(|_| Md5::new_with_prefix(&main.raw));
    let length = read_payload(reader, |block| {
        if let Some(hasher) = &mut payload {
            hasher.update(block);
        }
        if let Some(hasher) = &mut whole {
            hasher.update(block);
        }
    })?;

    let told = signature.number(270)?.or(signature.number(1000)?);
    let counted = main.len().saturating_add(length);
    if let Some(told) = told.filter(|told| *told != counted) {
        return Err(Fault::bad(format!(
            "header and payload are {counted} bytes long, the signature header says {told}"
        )));
    }
    if let (Some(hasher), Some(told)) = (payload, payload_digest)
        && !told.eq_ignore_ascii_case(&hex(&hasher.finish()))
    {
        return Err(wrong("digest of the payload"));
    }
    if let (Some(hasher), Some(told)) = (whole, md5)
        && hasher.finalize()[..] != *told
    {
        return Err(wrong("MD5 of header and payload"));
    }
    Ok(rpm)
}

fn wrong(what: &str) -> Fault {
    Fault::bad(format!("the {what} does not fit: the package is damaged"))
}

fn compare_text(signature: &Header, tag: u32, what: &str, digest: impl FnOnce() -> Vec<u8>) -> Result<(), Fault> {
    match signature.text(tag)? {
        Some(told) if !told.eq_ignore_ascii_case(&hex(&digest())) => Err(wrong(what)),
        _ => Ok(()),
    }
}

/// Reads to the end; answers how many bytes there were.
fn read_payload(reader: &mut impl Read, mut each: impl FnMut(&[u8])) -> Result<u64, Fault> {
    let mut block = vec![0; BLOCK];
    let mut length = 0_u64;
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                each(block.get(..read).unwrap_or_default());
                length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A digest of the payload, of the kind the header names.
enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// By the number OpenPGP gives the algorithm; SHA-256 when there is none.
    fn of(algorithm: Option<u64>) -> Result<Hasher, Fault> {
        match algorithm.unwrap_or(8) {
            1 => Ok(Hasher::Md5(Md5::new())),
            2 => Ok(Hasher::Sha1(Sha1::new())),
            8 => Ok(Hasher::Sha256(Sha256::new())),
            9 => Ok(Hasher::Sha384(Sha384::new())),
            10 => Ok(Hasher::Sha512(Sha512::new())),
            11 => Ok(Hasher::Sha224(Sha224::new())),
            other => Err(Fault::bad(format!("the payload has a digest of the unknown kind {other}"))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Md5(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha224(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha384(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Md5(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha1(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha224(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha384(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
