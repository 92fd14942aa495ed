//! Tables for the archive rules: archives written byte by byte, so that each lie is exactly one.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

/// One entry as it is written; every field may lie.
#[derive(Clone)]
struct Packed {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    flags: u16,
    method: u16,
    bytes: Vec<u8>,
    size: u32,
    local_size: Option<u32>,
    crc: u32,
    mode: u32,
    made_by: u8,
    /// Where the directory says the header lies, when not where it is.
    header: Option<u32>,
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn stored(name: &str, bytes: &[u8]) -> Packed {
    Packed {
        name: name.into(),
        local_name: None,
        flags: 0,
        method: 0,
        bytes: bytes.to_vec(),
        size: bytes.len() as u32,
        local_size: None,
        crc: crc(bytes),
        mode: 0o100_644,
        made_by: 3,
        header: None,
    }
}

fn deflated(name: &str, bytes: &[u8]) -> Packed {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    Packed { method: 8, bytes: encoder.finish().unwrap(), ..stored(name, bytes) }
}

/// What stands around the entries.
#[derive(Default)]
struct Around {
    before: Vec<u8>,
    comment: Vec<u8>,
    after: Vec<u8>,
    wide: bool,
    disks: u16,
    count: Option<u16>,
}

fn zip_with(entries: &[Packed], around: &Around) -> Vec<u8> {
    let mut out = around.before.clone();
    let mut directory = Vec::new();
    let put16 = |out: &mut Vec<u8>, n: u16| out.extend_from_slice(&n.to_le_bytes());
    let put32 = |out: &mut Vec<u8>, n: u32| out.extend_from_slice(&n.to_le_bytes());
    for entry in entries {
        let header = out.len() as u32;
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        out.extend_from_slice(b"PK\x03\x04");
        for n in [20, entry.flags, entry.method, 0, 0] {
            put16(&mut out, n);
        }
        let streamed = entry.flags & 8 != 0;
        let size = entry.local_size.unwrap_or(entry.size);
        for n in [entry.crc, entry.bytes.len() as u32, size] {
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
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&[20, entry.made_by]);
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
    for n in [around.disks, 0, count, count] {
        put16(&mut out, if around.wide { u16::MAX * u16::from(n == count) } else { n });
    }
    put32(&mut out, if around.wide { u32::MAX } else { directory.len() as u32 });
    put32(&mut out, if around.wide { u32::MAX } else { start as u32 });
    put16(&mut out, around.comment.len() as u16);
    out.extend_from_slice(&around.comment);
    out.extend_from_slice(&around.after);
    out
}

fn zip(entries: &[Packed]) -> Vec<u8> {
    zip_with(entries, &Around::default())
}

/// The code of the first fault.
fn code(bytes: &[u8]) -> &'static str {
    let mut archive = Cursor::new(bytes);
    let checked = entries(&mut archive, bytes.len() as u64)
        .and_then(|mut entries| check_contents(&mut archive, &mut entries).map_err(|fault| vec![fault]));
    match checked {
        Ok(()) => "good",
        Err(faults) => faults[0].code,
    }
}

fn base() -> Vec<Packed> {
    vec![stored("data.meta.json", b"{}"), deflated("data.json", b"[]")]
}

fn with(entry: Packed) -> Vec<u8> {
    zip(&[base(), vec![entry]].concat())
}

#[test]
fn good_archives() {
    let folder = Packed { mode: 0o040_755, ..stored("assets/", b"") };
    let stream = Packed { flags: 8, ..deflated("assets/Größe 1.bin", &[7; 5000]) };
    let unnamed = Packed { made_by: 0, mode: 0, ..stored("assets/a", b"x") };
    let entries = [base(), vec![folder, stream, unnamed, stored("data.readme.md", b"")]].concat();
    assert_eq!(code(&zip(&entries)), "good");
    assert_eq!(
        code(&zip_with(&entries, &Around { comment: b"PK\x05\x06 a comment".to_vec(), ..Around::default() })),
        "good"
    );
    assert_eq!(code(&zip_with(&entries, &Around { wide: true, ..Around::default() })), "good");
}

#[test]
fn what_is_no_zip() {
    let good = zip(&base());
    assert_eq!(code(b""), "zip_invalid");
    assert_eq!(code(b"PK"), "zip_invalid");
    assert_eq!(code(&[0; 100_000]), "zip_invalid");
    for cut in 1..good.len() {
        let cut = code(&good[..good.len() - cut]);
        assert!(["zip_invalid", "zip_inconsistent"].contains(&cut), "{cut}");
    }
    let after = Around { after: vec![0], ..Around::default() };
    assert_eq!(code(&zip_with(&base(), &after)), "zip_invalid");
    assert_eq!(code(&zip_with(&base(), &Around { disks: 1, ..Around::default() })), "zip_invalid");
    for count in [0, 1, 3, 9999] {
        assert_eq!(code(&zip_with(&base(), &Around { count: Some(count), ..Around::default() })), "zip_invalid");
    }
    assert_eq!(code(&with(Packed { crc: 1, ..stored("assets/x", b"abc") })), "zip_invalid");
    assert_eq!(code(&with(Packed { bytes: vec![0xFF; 20], ..deflated("assets/x", b"abc") })), "zip_invalid");
    let longer = deflated("assets/x", b"abc");
    let tail = Packed { bytes: [longer.bytes.clone(), vec![1, 2, 3]].concat(), ..longer };
    assert_eq!(code(&with(tail)), "zip_invalid");
}

#[test]
fn any_flipped_byte_is_noticed_or_harmless() {
    let good = zip(&base());
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            // Never a panic; times, versions and attributes may differ.
            code(&bytes);
        }
    }
}

#[test]
fn names() {
    let cases = [
        ("../data.json", "path_traversal"),
        ("assets/../../x", "path_traversal"),
        ("assets/./x", "path_traversal"),
        ("/data.json", "path_traversal"),
        ("C:/x", "path_traversal"),
        ("c:x", "path_traversal"),
        ("assets\\x", "path_traversal"),
        ("assets/a\0b", "path_traversal"),
        ("assets/a\nb", "path_traversal"),
        ("assets/a\u{85}", "path_traversal"),
        ("Data.json", "unexpected_entry"),
        ("data.JSON", "unexpected_entry"),
        ("other.txt", "unexpected_entry"),
        ("", "unexpected_entry"),
        ("sign-key.pem", "unexpected_entry"),
        ("__MACOSX/x", "unexpected_entry"),
        (".DS_Store", "unexpected_entry"),
        ("pack/data.json", "unexpected_entry"),
        ("assets", "unexpected_entry"),
        ("Assets/x", "unexpected_entry"),
        ("assets/x/y", "unexpected_entry"),
        ("assets/x/", "unexpected_entry"),
        ("assets//x", "unexpected_entry"),
        ("data.json/", "unexpected_entry"),
        ("data.json", "duplicate_entry"),
    ];
    for (name, expected) in cases {
        assert_eq!(code(&with(stored(name, b""))), expected, "{name:?}");
    }
    let twice = |a: &str, b: &str| code(&zip(&[base(), vec![stored(a, b"1"), stored(b, b"2")]].concat()));
    assert_eq!(twice("assets/A.txt", "assets/a.txt"), "duplicate_entry");
    assert_eq!(twice("assets/É", "assets/é"), "duplicate_entry");
    assert_eq!(twice("assets/a", "assets/b"), "good");
    for flags in [0, 1 << 11] {
        assert_eq!(
            code(&with(Packed { name: b"assets/\xff".to_vec(), flags, ..stored("", b"") })),
            "bad_name_encoding"
        );
    }
}

#[test]
fn special_files_whoever_made_them() {
    for mode in [0o120_777, 0o060_644, 0o020_644, 0o010_644, 0o140_755, 0o040_755] {
        for made_by in [3, 19, 0] {
            let entry = Packed { mode, made_by, ..stored("assets/x", b"/etc/passwd") };
            assert_eq!(code(&with(entry)), "special_file", "{mode:o}");
        }
    }
    assert_eq!(code(&with(Packed { mode: 0o120_777, ..stored("assets/", b"") })), "special_file");
    assert_eq!(code(&with(stored("assets/", b"x"))), "zip_invalid");
}

#[test]
fn packing() {
    for flags in [1, 1 << 6, 1 << 13] {
        assert_eq!(code(&with(Packed { flags, ..stored("assets/x", b"abc") })), "encrypted");
    }
    for method in [1, 6, 9, 12, 14, 93, 99] {
        assert_eq!(code(&with(Packed { method, ..stored("assets/x", b"abc") })), "unsupported_compression");
    }
}

#[test]
fn lies() {
    let renamed = Packed { local_name: Some(b"assets/y".to_vec()), ..stored("assets/x", b"abc") };
    assert_eq!(code(&with(renamed)), "zip_inconsistent");
    assert_eq!(code(&with(Packed { header: Some(0), ..stored("assets/x", b"abc") })), "zip_inconsistent");
    assert_eq!(code(&with(Packed { header: Some(5), ..stored("assets/x", b"abc") })), "zip_inconsistent");
    assert_eq!(code(&with(Packed { header: Some(u32::MAX - 1), ..stored("assets/x", b"abc") })), "zip_inconsistent");
    let prefix = Around { before: b"#!/bin/sh\n".to_vec(), ..Around::default() };
    assert_eq!(code(&zip_with(&base(), &prefix)), "zip_inconsistent");
    // A second entry over the same bytes: same name twice aside, they overlap.
    let first = stored("assets/x", &zip(&base()));
    let inner = Packed { header: Some(38), ..stored("data.meta.json", b"{}") };
    let nested = zip(&[first, inner]);
    assert_eq!(code(&nested), "zip_inconsistent");
    for size in [0, 2, 4, 1 << 30] {
        assert_eq!(code(&with(Packed { size, ..deflated("assets/x", b"abc") })), "zip_invalid", "{size}");
        assert_eq!(code(&with(Packed { size, ..stored("assets/x", b"abc") })), "zip_invalid", "{size}");
        let only_local = Packed { local_size: Some(size), ..deflated("assets/x", b"abc") };
        assert_eq!(code(&with(only_local)), "zip_invalid", "{size}");
    }
}

#[test]
fn bombs() {
    let zeros = vec![0; 30 << 20];
    assert_eq!(code(&with(deflated("assets/x", &zeros))), "zip_bomb");
    assert_eq!(code(&with(Packed { size: 10, ..deflated("assets/x", &zeros) })), "zip_invalid");
    // Below 1 MiB any ratio is fine.
    assert_eq!(code(&with(deflated("assets/x", &zeros[..1 << 20]))), "good");
    let many: Vec<Packed> = (0..10_001).map(|n| stored(&format!("assets/{n}"), b"")).collect();
    assert_eq!(code(&zip(&many)), "zip_bomb");
    assert_eq!(code(&zip(&many[..10_000])), "good");
    // A ratio of 100 : 1 is fine, 257 MiB in total are not.
    let noise: Vec<u8> = (0..300_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let block: Vec<u8> =
        (0..1 << 20).map(|n: usize| if n % 400 < 4 { noise[(n / 100) % noise.len()] } else { 0 }).collect();
    let large = deflated("assets/x", &block.repeat(16));
    let all: Vec<Packed> = (0..17).map(|n| Packed { name: format!("assets/{n}").into(), ..large.clone() }).collect();
    assert_eq!(code(&zip(&all[..15])), "good");
    assert_eq!(code(&zip(&all)), "zip_bomb");
}
