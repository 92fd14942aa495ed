//! Bytes made to harm: cut off everywhere, changed anywhere, lying about lengths, unpacking without end. Readers answer with
//! a fault or with facts, in bounded time and memory, and never panic.

use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

use packhouse::formats::compress::{Bounds, Compression, Decoder, gzip, xz};
use packhouse::formats::control::Paragraph;
use packhouse::formats::{deb, inspect, rpm};

use super::Random;
use crate::packages::{
    DebFile, Dependency, MAIN_REGION, Packing, RpmFile, SIGNATURE_REGION, Value, ar, rpm_header, tar, tar_head,
};

/// Shows a package to everything that reads packages.
fn show(bytes: &[u8]) -> bool {
    let facts = inspect(&mut Cursor::new(bytes), "a");
    drop(facts);
    let _ = deb::read(bytes);
    let _ = rpm::read(&mut &bytes[..]);
    deb::verify(bytes).is_ok() || rpm::verify(&mut &bytes[..]).is_ok()
}

fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = Packing::ALL
        .into_iter()
        .map(|packing| DebFile::new("tool", "1.0-1").packing(packing, packing).build())
        .collect();
    let rpm = RpmFile::new("tool", "1.0", "1").epoch(1).dir("/etc/tool").require("x").change(1, "a", "b");
    samples.push(rpm.dependency(Dependency::Obsolete, "y", 2, "1:1-1").build());
    samples
}

#[test]
fn packages_cut_off_anywhere() {
    for bytes in samples() {
        assert!(show(&bytes));
        for length in 0..bytes.len() {
            // What follows the data archive's last block is padding, which may be missing.
            let whole = show(&bytes[..length]);
            assert!(
                !whole || length + 1 >= bytes.len() || bytes[length..].iter().all(|byte| *byte == 0),
                "{length} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn packages_changed_anywhere() {
    let mut random = Random::new(2024);
    for bytes in samples() {
        for _ in 0..3_000 {
            let mut changed = bytes.clone();
            for _ in 0..random.within(1..4) {
                let at = random.within(0..changed.len());
                changed[at] = match random.within(0..4) {
                    0 => 0,
                    1 => 0xFF,
                    2 => changed[at].wrapping_add(1),
                    _ => random.next() as u8,
                };
            }
            show(&changed);
        }
    }
}

/// Runs `work` and fails when it took longer than any bounded reader takes.
fn bounded(what: &str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < Duration::from_secs(120), "{what} took {:?}", start.elapsed());
}

#[test]
fn headers_that_lie() {
    let good = RpmFile::new("tool", "1.0", "1");
    let signature = rpm_header(SIGNATURE_REGION, &[]);
    let lead_and_signature = good.assemble(&signature, b"");
    let with_header = |header: &[u8]| {
        let mut bytes = lead_and_signature.clone();
        bytes.truncate(bytes.len() - "payload of tool 1.0 1".len());
        [&bytes[..], header].concat()
    };
    let intro = |entries: u32, store: u32| {
        [&[0x8E, 0xAD, 0xE8, 1, 0, 0, 0, 0][..], &entries.to_be_bytes(), &store.to_be_bytes()].concat()
    };
    for (entries, store) in [(u32::MAX, u32::MAX), (1, u32::MAX), (0xFFFF, 0), (0, 100), (1, 64 << 20), (u32::MAX, 0)] {
        assert!(!show(&with_header(&intro(entries, store))), "{entries} {store}");
    }
    // Every kind with counts and offsets at and beyond every border.
    let main = good.main_header();
    let count = u32::from_be_bytes(main[8..12].try_into().unwrap()) as usize;
    for entry in 0..count {
        for field in [4, 8, 12] {
            for value in [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 255, 0x7FFF_FFFF, u32::MAX, main.len() as u32] {
                let mut changed = main.clone();
                let at = 16 + entry * 16 + field;
                changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
                show(&with_header(&changed));
            }
        }
    }
    // Many files in one long directory: the paths together would be larger than any memory.
    let long = format!("/{}/", "d".repeat(4_000));
    let files = 100_000;
    let header = rpm_header(
        MAIN_REGION,
        &[
            (1000, "a".into()),
            (1001, "1".into()),
            (1002, "1".into()),
            (1022, "noarch".into()),
            (1044, "a.src.rpm".into()),
            (1116, Value::U32(vec![0; files])),
            (1117, Value::Texts(vec![b"f".to_vec(); files])),
            (1118, Value::Texts(vec![long.into_bytes()])),
        ],
    );
    let told = rpm::read(&mut &with_header(&header)[..]).unwrap_err().to_string();
    assert!(told.contains("paths of its files are too long"), "{told}");
    let missing = rpm_header(MAIN_REGION, &[(1000, "a".into()), (1117, Value::Texts(vec![b"f".to_vec()]))]);
    assert!(!show(&with_header(&missing)));
}

#[test]
fn bombs() {
    bounded("a control archive of zeros", || {
        let zeros = gzip(&vec![0; 300 << 20], 9).unwrap();
        let bomb = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &zeros)]);
        assert!(!show(&bomb));
        // As the content of a file that claims to be the control file.
        let long = [tar_head("./control", 200 << 20, b'0'), vec![b'A'; 512]].concat();
        assert!(!show(&ar(&[("debian-binary", b"2.0\n"), ("control.tar", &long)])));
        // As a name of a member.
        let name = [tar_head("././@LongLink", 100 << 20, b'L'), vec![b'A'; 100 << 20]].concat();
        assert!(!show(&ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gzip(&name, 9).unwrap())])));
    });
    bounded("gigabytes that come out of a few kilobytes", || {
        let mut inner = xz(&vec![0; 64 << 20], 0).unwrap();
        // Streams that follow one another are one.
        inner = inner.repeat(200);
        let mut decoder =
            Decoder::new(Compression::Xz, &inner[..], Bounds { output: 1 << 40, free: 8 << 20, ratio: 1_100 });
        let told = std::io::copy(&mut decoder, &mut std::io::sink()).unwrap_err();
        assert!(told.to_string().contains("beyond all measure"), "{told}");
    });
    // An xz stream that asks for gigabytes of dictionary, a zstd frame with such a window.
    let mut greedy = xz(b"hello", 0).unwrap();
    let at = greedy.iter().position(|byte| *byte == 0x21).unwrap() + 2;
    greedy[at] = 40;
    assert!(read(Compression::Xz, &greedy).is_err());
    assert!(read(Compression::Zstd, &[0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xF8, 1, 0, 0]).is_err());
    let limit = Bounds { output: 10, ..Bounds::default() };
    let mut decoder = Decoder::new(Compression::Plain, std::io::repeat(1), limit);
    assert!(std::io::copy(&mut decoder, &mut std::io::sink()).unwrap_err().to_string().contains("more than 10 bytes"));
}

fn read(compression: Compression, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Decoder::new(compression, bytes, Bounds::default()).read_to_end(&mut out)?;
    Ok(out)
}

#[test]
fn compressed_streams() {
    let text: Vec<u8> = (0..200_000_u32).flat_map(|number| (number % 977).to_string().into_bytes()).collect();
    let all = [
        (Compression::Plain, Packing::Plain),
        (Compression::Gzip, Packing::Gzip),
        (Compression::Xz, Packing::Xz),
        (Compression::Bzip2, Packing::Bzip2),
        (Compression::Zstd, Packing::Zstd),
    ];
    for (compression, packing) in all {
        let packed = packing.pack(&text);
        assert_eq!(Compression::of_magic(&packed), compression);
        assert!(read(compression, &packed).unwrap() == text, "{compression:?}");
        // Several streams one after the other are one.
        let twice = [&packed[..], &packing.pack(b"end")].concat();
        assert!(read(compression, &twice).unwrap() == [&text[..], b"end"].concat(), "{compression:?}");
        assert_eq!(read(compression, &packing.pack(b"")).unwrap(), b"", "{compression:?}");
        if compression == Compression::Plain {
            continue;
        }
        let small = packing.pack(b"some words that are packed");
        for length in 0..small.len() {
            assert!(read(compression, &small[..length]).is_err(), "{compression:?} {length}");
        }
    }
    // A skippable frame before and after the content.
    let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let framed = [&skippable[..], &Packing::Zstd.pack(b"content"), &skippable].concat();
    assert_eq!(Compression::of_magic(&framed), Compression::Zstd);
    assert_eq!(read(Compression::Zstd, &framed).unwrap(), b"content");
    for (name, expected) in [
        ("a.tar.gz", Compression::Gzip),
        ("Packages.XZ", Compression::Xz),
        ("a.lzma", Compression::Lzma),
        ("gz", Compression::Plain),
        ("a.zst", Compression::Zstd),
    ] {
        assert_eq!(Compression::of_name(name), expected, "{name}");
    }
    // The same bytes at every time, so that an unchanged index stays unchanged.
    assert_eq!(gzip(&text, 6).unwrap(), gzip(&text, 6).unwrap());
    assert_eq!(gzip(b"x", 6).unwrap()[4..8], [0; 4]);
}

#[test]
fn a_source_that_fails_is_not_the_content_s_fault() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::TimedOut.into())
        }
    }
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd, Compression::Bzip2, Compression::Lzma] {
        let mut decoder = Decoder::new(compression, Failing, Bounds::default());
        assert_eq!(decoder.read(&mut [0; 10]).unwrap_err().kind(), std::io::ErrorKind::TimedOut, "{compression:?}");
    }
}

#[test]
fn tars_with_tricks() {
    let good = DebFile::new("tool", "1.0-1");
    let package = |data: &[u8]| {
        let control = tar(&[("./control".to_owned(), good.control_text().into_bytes())]);
        deb::verify(&ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", data)])[..])
            .map(|_| ())
            .map_err(|fault| fault.to_string())
    };
    let pax = |record: &str| {
        let mut bytes = tar_head("x", record.len(), b'x');
        bytes.extend(record.as_bytes());
        bytes.resize(1024, 0);
        [bytes, tar_head("file", 0, b'0'), vec![0; 1024]].concat()
    };
    assert_eq!(package(&pax("12 path=abc\n")), Ok(()));
    for broken in ["99 path=abc\n", "x path=abc\n", "12 path=abcd", "9 nokey\n\n", "0 a=b\n", "10 size=-1\n"] {
        assert!(package(&pax(broken)).is_err(), "{broken}");
    }
    // A size near the largest number there is.
    let mut huge = tar_head("file", 0, b'0');
    huge[124] = 0x80;
    huge[125..136].fill(0xFF);
    huge[148..156].fill(b' ');
    let sum: u32 = huge.iter().map(|byte| u32::from(*byte)).sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(package(&huge).is_err());
    let mut large = tar_head("file", 0, b'0');
    large[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    large[148..156].fill(b' ');
    let sum: u32 = large.iter().map(|byte| u32::from(*byte)).sum();
    large[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(package(&large).unwrap_err().contains("middle of a member"));
    // Without closing blocks, as some builders leave it.
    assert_eq!(package(&tar_head("./", 0, b'5')), Ok(()));
    assert!(package(&[tar_head("last", 0, b'L'), vec![]].concat()).is_err());
}

#[test]
fn paragraphs_of_any_bytes() {
    let mut random = Random::new(5);
    let pieces: [&[u8]; 12] = [b"A", b"B-c", b":", b" ", b"\n", b"\t", b"\r", b"\xFF", b"\0", b"#", b".", b"-"];
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.within(1..20)).flat_map(|_| random.of(&pieces).to_vec()).collect();
        if let Ok(paragraph) = Paragraph::parse(&bytes) {
            let again = Paragraph::parse(paragraph.to_text().as_bytes()).unwrap();
            assert_eq!(again, paragraph, "{bytes:?}");
        }
    }
}
