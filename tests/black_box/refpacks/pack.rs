//! Builds RefPacks: good ones the way the public packer writes them, and archives in which any field may lie.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

/// One entry as it is written; every field may lie.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) name: Vec<u8>,
    pub(super) local_name: Option<Vec<u8>>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) size: u32,
    pub(super) crc: u32,
    pub(super) mode: u32,
    /// Where the directory says the header lies, when not where it is.
    pub(super) header: Option<u32>,
}

pub(super) fn stored(name: &str, bytes: &[u8]) -> Packed {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    Packed {
        name: name.into(),
        local_name: None,
        flags: 1 << 11,
        method: 0,
        bytes: bytes.to_vec(),
        size: bytes.len() as u32,
        crc: crc.sum(),
        mode: 0o100_644,
        header: None,
    }
}

pub(super) fn deflated(name: &str, bytes: &[u8]) -> Packed {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    Packed { method: 8, bytes: encoder.finish().unwrap(), ..stored(name, bytes) }
}

/// What stands around the entries.
#[derive(Clone, Default)]
pub(super) struct Around {
    pub(super) before: Vec<u8>,
    pub(super) comment: Vec<u8>,
    pub(super) wide: bool,
    pub(super) disks: u16,
    pub(super) count: Option<u16>,
}

pub(super) fn zip(entries: &[Packed]) -> Vec<u8> {
    zip_with(entries, &Around::default())
}

pub(super) fn zip_with(entries: &[Packed], around: &Around) -> Vec<u8> {
    let mut out = around.before.clone();
    let mut directory = Vec::new();
    let put16 = |out: &mut Vec<u8>, n: u16| out.extend_from_slice(&n.to_le_bytes());
    let put32 = |out: &mut Vec<u8>, n: u32| out.extend_from_slice(&n.to_le_bytes());
    for entry in entries {
        let header = out.len() as u32;
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let streamed = entry.flags & 8 != 0;
        out.extend_from_slice(b"PK\x03\x04");
        for n in [20, entry.flags, entry.method, 0, 0] {
            put16(&mut out, n);
        }
        for n in [entry.crc, entry.bytes.len() as u32, entry.size] {
            put32(&mut out, if streamed { 0 } else { n });
        }
        put16(&mut out, local_name.len() as u16);
        put16(&mut out, 0);
        out.extend_from_slice(local_name);
        out.extend_from_slice(&entry.bytes);
        if streamed {
            out.extend_from_slice(b"PK\x07\x08");
            for n in [entry.crc, entry.bytes.len() as u32, entry.size] {
                put32(&mut out, n);
            }
        }
        // 3: made on Unix.
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        for n in [20, entry.flags, entry.method, 0, 0] {
            put16(&mut directory, n);
        }
        for n in [entry.crc, entry.bytes.len() as u32, if around.wide { u32::MAX } else { entry.size }] {
            put32(&mut directory, n);
        }
        put16(&mut directory, entry.name.len() as u16);
        for n in [if around.wide { 12 } else { 0 }, 0, 0, 0] {
            put16(&mut directory, n);
        }
        put32(&mut directory, entry.mode << 16);
        put32(&mut directory, entry.header.unwrap_or(header));
        directory.extend_from_slice(&entry.name);
        if around.wide {
            for n in [1, 8] {
                put16(&mut directory, n);
            }
            directory.extend_from_slice(&u64::from(entry.size).to_le_bytes());
        }
    }
    let start = out.len();
    out.extend_from_slice(&directory);
    let count = around.count.unwrap_or(entries.len() as u16);
    if around.wide {
        let end = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44_u64.to_le_bytes());
        out.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for n in [u64::from(count), u64::from(count), directory.len() as u64, start as u64] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
    }
    out.extend_from_slice(b"PK\x05\x06");
    for n in [around.disks, 0] {
        put16(&mut out, n);
    }
    for _ in 0..2 {
        put16(&mut out, if around.wide { u16::MAX } else { count });
    }
    put32(&mut out, if around.wide { u32::MAX } else { directory.len() as u32 });
    put32(&mut out, if around.wide { u32::MAX } else { start as u32 });
    put16(&mut out, around.comment.len() as u16);
    out.extend_from_slice(&around.comment);
    out
}

/// A RefPack's files; the manifest is kept as a value, so that a test changes one key.
#[derive(Clone)]
pub(super) struct Pack {
    pub(super) meta: Value,
    files: Vec<(String, Vec<u8>)>,
}

impl Pack {
    /// A good package with two records.
    pub(super) fn new(id: &str, version: &str) -> Pack {
        let meta = json!({
            "id": id, "version": version, "title": format!("Title of {id}"), "createdUtc": "2026-05-20T10:00:00Z",
            "description": "", "tags": [], "authors": [], "license": "", "idField": "", "nameField": "",
        });
        let data = format!("[ {{\"id\": 1, \"name\": \"{version}\"}},\n {{\"name\": \"two\", \"id\": \"b\"}} ]\n");
        Pack { meta, files: vec![("data.json".to_owned(), data.into_bytes())] }
    }

    /// One manifest key changed.
    pub(super) fn meta(mut self, key: &str, value: Value) -> Pack {
        self.meta[key] = value;
        self
    }

    /// A file put in, over one of that name.
    pub(super) fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Pack {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// The manifest's bytes.
    pub(super) fn manifest(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.meta).unwrap()
    }

    /// All files, in order of their names.
    pub(super) fn raw(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = self.files.clone();
        if !files.iter().any(|(name, _)| name == "data.meta.json") {
            files.push(("data.meta.json".to_owned(), self.manifest()));
        }
        files.sort();
        files
    }

    /// The entries, in order of their names.
    pub(super) fn entries(&self) -> Vec<Packed> {
        self.raw().iter().map(|(name, bytes)| deflated(name, bytes)).collect()
    }

    pub(super) fn zip(&self) -> Vec<u8> {
        zip(&self.entries())
    }
}

/// A good package with one entry more.
pub(super) fn with(entry: Packed) -> Vec<u8> {
    zip(&[Pack::new("bad", "1.0.0").entries(), vec![entry]].concat())
}
