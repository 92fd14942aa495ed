//! The archive rules (`refpack.md` §4.1): every code, with archives written byte by byte.

use crate::client::Request;
use crate::server::Packhouse;

use super::pack::{Around, Pack, Packed, deflated, stored, with, zip, zip_with};
use super::{faults, nothing_is_there, push_zip, upload};

fn base() -> Vec<Packed> {
    Pack::new("bad", "1.0.0").entries()
}

#[test]
fn every_broken_rule_has_its_code_and_leaves_nothing() {
    let server = Packhouse::start();
    let good = zip(&base());
    let cut = |count: usize| good[..good.len() - count].to_vec();
    let named = |name: &str| with(stored(name, b"x"));
    let around = |around: Around| zip_with(&base(), &around);
    let overlapping = zip(&[
        base(),
        vec![
            stored("assets/outer", &zip(&[stored("assets/inner", b"quoted")])),
            Packed { header: Some(good_length() + 42), ..stored("assets/inner", b"quoted") },
        ],
    ]
    .concat());
    let many: Vec<Packed> = (0..10_001).map(|n| stored(&format!("assets/{n}"), b"")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no zip", b"this is no archive".to_vec(), "zip_invalid"),
        ("truncated", cut(1), "zip_invalid"),
        ("no end record", cut(22), "zip_invalid"),
        ("half", cut(good.len() / 2), "zip_invalid"),
        ("several disks", around(Around { disks: 1, ..Around::default() }), "zip_invalid"),
        ("wrong count", around(Around { count: Some(1), ..Around::default() }), "zip_invalid"),
        ("wrong sum", with(Packed { crc: 7, ..stored("assets/x", b"abc") }), "zip_invalid"),
        ("broken deflate", with(Packed { bytes: vec![0xFF; 9], ..deflated("assets/x", b"abc") }), "zip_invalid"),
        ("shorter than said", with(Packed { size: 4, ..deflated("assets/x", b"abc") }), "zip_invalid"),
        ("longer than said", with(Packed { size: 2, ..deflated("assets/x", b"abc") }), "zip_invalid"),
        ("a foreign file", named("notes.txt"), "unexpected_entry"),
        ("a packed key", named("sign-key.pem"), "unexpected_entry"),
        ("macOS litter", named("__MACOSX/._data.json"), "unexpected_entry"),
        ("finder litter", named(".DS_Store"), "unexpected_entry"),
        ("other case", named("Data.Meta.json"), "unexpected_entry"),
        ("a folder in assets", named("assets/a/b"), "unexpected_entry"),
        ("another folder", with(Packed { mode: 0o040_755, ..stored("docs/", b"") }), "unexpected_entry"),
        (
            "a wrapping folder",
            zip(&[stored("pack/data.json", b"[]"), stored("pack/data.meta.json", b"{}")]),
            "unexpected_entry",
        ),
        ("climbing", named("../evil.json"), "path_traversal"),
        ("climbing inside", named("assets/../../evil"), "path_traversal"),
        ("a dot", named("./data.json"), "path_traversal"),
        ("absolute", named("/etc/passwd"), "path_traversal"),
        ("a drive", named("C:evil"), "path_traversal"),
        ("a backslash", named("assets\\evil"), "path_traversal"),
        ("a NUL", named("assets/a\0.txt"), "path_traversal"),
        ("a line feed", named("assets/a\n"), "path_traversal"),
        ("a symlink", with(Packed { mode: 0o120_777, ..stored("assets/x", b"/etc/passwd") }), "special_file"),
        ("a device", with(Packed { mode: 0o020_666, ..stored("assets/x", b"") }), "special_file"),
        ("a FIFO", with(Packed { mode: 0o010_644, ..stored("assets/x", b"") }), "special_file"),
        ("the same name twice", named("data.json"), "duplicate_entry"),
        (
            "twice in another case",
            zip(&[base(), vec![stored("assets/A", b"1"), stored("assets/a", b"2")]].concat()),
            "duplicate_entry",
        ),
        ("encrypted", with(Packed { flags: 1, ..stored("assets/x", b"abc") }), "encrypted"),
        ("strongly encrypted", with(Packed { flags: 0x40, ..stored("assets/x", b"abc") }), "encrypted"),
        ("bzip2", with(Packed { method: 12, ..stored("assets/x", b"abc") }), "unsupported_compression"),
        ("zstd", with(Packed { method: 93, ..stored("assets/x", b"abc") }), "unsupported_compression"),
        (
            "a Latin-1 name",
            with(Packed { name: b"assets/\xe9".to_vec(), flags: 0, ..stored("", b"") }),
            "bad_name_encoding",
        ),
        (
            "that says it is UTF-8",
            with(Packed { name: b"assets/\xe9".to_vec(), ..stored("", b"") }),
            "bad_name_encoding",
        ),
        (
            "two names",
            with(Packed { local_name: Some(b"assets/y".to_vec()), ..stored("assets/x", b"abc") }),
            "zip_inconsistent",
        ),
        ("a header elsewhere", with(Packed { header: Some(9), ..stored("assets/x", b"abc") }), "zip_inconsistent"),
        ("overlapping entries", overlapping, "zip_inconsistent"),
        ("a prefix", around(Around { before: b"#!/bin/sh\n".to_vec(), ..Around::default() }), "zip_inconsistent"),
        ("too many entries", zip(&many), "zip_bomb"),
    ];
    for (what, bytes, code) in cases {
        let found = faults(&server.send(upload(bytes)));
        assert_eq!(found[0].0, code, "{what}: {found:?}");
    }
    nothing_is_there(&server);
}

/// Where a further entry of [`base`] begins.
fn good_length() -> u32 {
    let marked = zip(&[base(), vec![stored("assets/marker", b"")]].concat());
    let at = marked.windows(13).position(|window| window == b"assets/marker").unwrap();
    at as u32 - 30
}

#[test]
fn required_files_are_named() {
    let server = Packhouse::start();
    let only = |name: &str| zip(&[stored(name, b"[]")]);
    let fault = |path: &str| ("missing_file".to_owned(), path.to_owned());
    assert_eq!(faults(&server.send(upload(only("data.json")))), [fault("data.meta.json")]);
    assert_eq!(faults(&server.send(upload(only("data.meta.json")))), [fault("data.json")]);
    let both = faults(&server.send(upload(only("assets/x"))));
    assert_eq!(both, [fault("data.meta.json"), fault("data.json")]);
    nothing_is_there(&server);
}

#[test]
fn all_faults_of_one_step_are_told_but_no_more_than_twenty() {
    let server = Packhouse::start();
    let entries: Vec<Packed> = (0..50).map(|n| stored(&format!("stray{n}"), b"")).collect();
    let found = faults(&server.send(upload(zip(&[base(), entries].concat()))));
    assert_eq!(found.len(), 20);
    assert_eq!(found[1], ("unexpected_entry".to_owned(), "stray1".to_owned()));
    let pair = zip(&[base(), vec![stored("stray", b""), stored("../x", b"")]].concat());
    let codes: Vec<String> = faults(&server.send(upload(pair))).into_iter().map(|fault| fault.0).collect();
    assert_eq!(codes, ["unexpected_entry", "path_traversal"]);
}

#[test]
fn bombs_are_refused_in_constant_memory() {
    let server = Packhouse::start();
    // Takes up what the first request takes anyway.
    faults(&server.send(upload(zip(&[stored("x", b"")]))));
    server.forget_peak();
    let before = server.peak_memory();
    let zeros = vec![0; 300 << 20];
    let bomb = with(deflated("assets/zeros", &zeros));
    assert!(bomb.len() < 3 << 20);
    assert_eq!(faults(&server.send(upload(bomb)))[0].0, "zip_bomb");
    let hidden = with(Packed { size: 100, ..deflated("assets/zeros", &zeros) });
    assert_eq!(faults(&server.send(upload(hidden)))[0].0, "zip_invalid");
    // Each entry keeps the ratio, all together do not keep the sum.
    let mut block = vec![0_u8; 16 << 20];
    block.iter_mut().enumerate().for_each(|(n, byte)| {
        *byte = if n % 100 == 0 { (n.wrapping_mul(2_654_435_761) >> 13) as u8 } else { 0 };
    });
    let entry = deflated("", &block);
    let entries: Vec<Packed> =
        (0..17).map(|n| Packed { name: format!("assets/{n}").into(), ..entry.clone() }).collect();
    let found = faults(&server.send(upload(zip(&[base(), entries].concat()))));
    assert_eq!(found[0].0, "zip_bomb");
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 32 << 20, "memory grew by {} KiB", grown >> 10);
    nothing_is_there(&server);
}

#[test]
fn what_is_fine_is_kept_to_the_byte() {
    let server = Packhouse::start();
    let entries = |id: &str| {
        let extra = vec![
            Packed { mode: 0o040_755, ..stored("assets/", b"") },
            Packed { flags: 8, ..deflated("assets/Größe 📦.bin", &[5; 9000]) },
            Packed { mode: 0, ..stored("assets/plain", b"x") },
        ];
        [Pack::new(id, "1.0.0").entries(), extra].concat()
    };
    let cases = [
        ("plain", Around::default()),
        ("comment", Around { comment: b"PK\x05\x06 says nothing".to_vec(), ..Around::default() }),
        ("wide", Around { wide: true, ..Around::default() }),
    ];
    for (id, around) in cases {
        let bytes = zip_with(&entries(id), &around);
        push_zip(&server, bytes.clone());
        let answer = server.send(Request::get(&format!("/packages/{id}")));
        assert_eq!((answer.status, &answer.body), (200, &bytes), "{id}");
        let data = server.send(Request::get(&format!("/packages/{id}/data")));
        assert!(data.text().starts_with("[ {\"id\": 1"), "{id}");
    }
    // Stored entries are served as well as deflated ones.
    let pack = Pack::new("stored", "1.0.0");
    push_zip(&server, zip(&[stored("data.json", b"[]"), stored("data.meta.json", &pack.manifest())]));
    assert_eq!(server.send(Request::get("/packages/stored/data")).text(), "[]");
    assert_eq!(server.send(Request::get("/packages/stored/meta")).body, pack.manifest());
}
