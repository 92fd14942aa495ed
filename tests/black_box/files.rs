//! Builds what the tests send: multipart forms, bytes that look random and are the same in every run, encoded paths.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::server::files_below;

/// The boundary of every form made here.
pub(crate) const BOUNDARY: &str = "----packhouse-tests-5f2b71c0";

/// A multipart form, its parts in the order they are added.
#[derive(Clone, Default)]
pub(crate) struct Form {
    body: Vec<u8>,
}

impl Form {
    /// An empty form.
    pub(crate) fn new() -> Form {
        Form::default()
    }

    /// The usual form of an upload: product, version, file.
    pub(crate) fn upload(product: &str, version: &str, file_name: &str, bytes: &[u8]) -> Form {
        Form::new().text("product", product).text("version", version).file(file_name, bytes)
    }

    /// A part with nothing but text.
    pub(crate) fn text(self, name: &str, value: &str) -> Form {
        self.part(&format!("Content-Disposition: form-data; name=\"{name}\""), value.as_bytes())
    }

    /// The part `file`; `"` and `\` in its name are escaped.
    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Form {
        self.part(&file_head(name), bytes)
    }

    /// A part with any head: lines joined by CR LF, without the empty line at the end.
    pub(crate) fn part(mut self, head: &str, bytes: &[u8]) -> Form {
        self.body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// Content type and body with its closing boundary.
    pub(crate) fn finish(self) -> (String, Vec<u8>) {
        let (kind, mut body) = self.unfinished();
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        (kind, body)
    }

    /// Content type and body without a closing boundary.
    pub(crate) fn unfinished(self) -> (String, Vec<u8>) {
        (format!("multipart/form-data; boundary={BOUNDARY}"), self.body)
    }
}

/// The head of a part `file` with this file name.
pub(crate) fn file_head(name: &str) -> String {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream"
    )
}

/// An upload form whose file is made while it travels: content type, length, and what writes it.
pub(crate) fn large_upload(
    product: &str,
    version: &str,
    file_name: &str,
    seed: u64,
    size: u64,
) -> (String, u64, impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) {
    let (kind, mut start) = Form::new().text("product", product).text("version", version).unfinished();
    start.extend_from_slice(format!("--{BOUNDARY}\r\n{}\r\n\r\n", file_head(file_name)).as_bytes());
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let length = start.len() as u64 + size + end.len() as u64;
    let writer = move |out: &mut dyn Write| {
        out.write_all(&start)?;
        let mut bytes = Noise::new(seed).take(size);
        let mut block = vec![0; 256 << 10];
        loop {
            match bytes.read(&mut block)? {
                0 => break,
                n => out.write_all(&block[..n])?,
            }
        }
        out.write_all(end.as_bytes())
    };
    (kind, length, writer)
}

/// An endless source of bytes that look random and follow from the seed alone.
pub(crate) struct Noise {
    state: u64,
}

impl Noise {
    /// The source with this seed.
    pub(crate) fn new(seed: u64) -> Noise {
        Noise { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }
}

impl Read for Noise {
    /// Fills the buffer; equal reads from equal seeds give equal bytes when every read but the last is a multiple of 8.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for block in buffer.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            block.copy_from_slice(&self.state.to_le_bytes()[..block.len()]);
        }
        Ok(buffer.len())
    }
}

/// The first `length` bytes of the source with this seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Noise::new(seed).read_exact(&mut bytes).unwrap();
    bytes
}

/// SHA-256 in 64 lower-case hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of the first `size` bytes of the source with this seed, without holding them.
pub(crate) fn sha256_of_noise(seed: u64, size: u64) -> String {
    let mut hash = Sha256::new();
    let mut bytes = Noise::new(seed).take(size);
    let mut block = vec![0; 256 << 10];
    loop {
        match bytes.read(&mut block).unwrap() {
            0 => return hex(&hash.finalize()),
            n => hash.update(&block[..n]),
        }
    }
}

/// The files below `directory` that hold `text` somewhere.
pub(crate) fn files_with(directory: &Path, text: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| memchr::memmem::find(&std::fs::read(path).unwrap_or_default(), text).is_some();
    files_below(directory).into_iter().filter(holds).collect()
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fingerprint of a raw token (`products.md` §2).
pub(crate) fn fingerprint(raw: &str) -> String {
    format!("fp:{}", &sha256(raw.as_bytes())[..16])
}

/// One path segment: everything but unreserved characters percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
