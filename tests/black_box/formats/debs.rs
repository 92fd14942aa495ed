//! Debian packages: facts as `dpkg-deb` tells them, every packing, and what is refused.

use std::process::Command;

use packhouse::formats::deb;

use crate::packages::{DebFile, Packing, ar, dpkg_deb, output, tar};

fn refused(bytes: &[u8]) -> String {
    deb::verify(bytes).unwrap_err().to_string()
}

#[test]
fn every_packing_is_read() {
    for control in Packing::ALL {
        for data in Packing::ALL {
            let deb = DebFile::new("tool", "1:1.0-1").packing(control, data);
            for bytes in [deb.build(), deb.clone().slashes().build()] {
                let found = deb::verify(&bytes[..]).unwrap_or_else(|fault| panic!("{control:?} {data:?}: {fault}"));
                assert_eq!(
                    (found.name.as_str(), found.version.as_str(), found.arch.as_str()),
                    ("tool", "1:1.0-1", "amd64")
                );
                assert_eq!(found.file_name(), "tool_1.0-1_amd64.deb");
                assert_eq!(found.control.to_text(), deb.control_text());
                assert_eq!(deb::read(&bytes[..]).unwrap(), found);
            }
        }
    }
}

#[test]
fn what_is_built_here_is_a_package_for_dpkg_too() {
    let dir = tempfile::tempdir().unwrap();
    for packing in [Packing::Gzip, Packing::Xz, Packing::Zstd] {
        let path = dir.path().join("a.deb");
        let long = format!("./usr/share/tool/{}", "long/".repeat(30));
        let deb = DebFile::new("tool", "1.0-1").file(&format!("{long}name"), b"long").packing(packing, packing);
        std::fs::write(&path, deb.build()).unwrap();
        assert_eq!(output(Command::new("dpkg-deb").arg("-f").arg(&path)), deb.control_text(), "{packing:?}");
        let contents = output(Command::new("dpkg-deb").arg("-c").arg(&path));
        assert!(contents.contains(&long), "{packing:?} {contents}");
    }
}

#[test]
fn facts_are_those_dpkg_deb_tells() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("Description: long\n {}", "words ".repeat(20_000));
    let controls: [&[u8]; 5] = [
        b"Package: plain\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n",
        b"Package: epoch\nVersion: 3:1.0~rc1+dfsg-2+b1\nArchitecture: amd64\nSource: other (1.0)\nMaintainer: A <a@example.org>\nX-Own: yes\nDescription: x\n a & b < c\n .\n   indented\n",
        b"Package: latin\nVersion: 1\nArchitecture: amd64\nMaintainer: Andr\xE9 <a@example.org>\nDescription: caf\xE9\n",
        b"Package: libx-y.z+\nVersion: 2016-01-02-3\nArchitecture: arm64\nMaintainer: A <a@example.org>\nDepends: libc6 (>= 2.17),\n b | c,\n d\nDescription: x\n",
        &[b"Package: long\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\n", long.as_bytes(), b"\n"].concat(),
    ];
    for control in controls {
        for packing in ["gzip", "xz", "zstd", "none"] {
            let path = dpkg_deb(dir.path(), control, &[("usr/share/doc/x/y", b"content")], packing);
            let bytes = std::fs::read(&path).unwrap();
            let found = deb::verify(&bytes[..]).unwrap();
            let latin = String::from_utf8(control.to_vec())
                .unwrap_or_else(|_| control.iter().map(|b| char::from(*b)).collect());
            assert_eq!(found.control.to_text().trim_end(), latin.trim_end(), "{packing}");
            for (field, own) in [("Package", &found.name), ("Version", &found.version), ("Architecture", &found.arch)] {
                assert_eq!(output(Command::new("dpkg-deb").arg("-f").arg(&path).arg(field)).trim_end(), own);
            }
        }
    }
    let found = deb::read(&DebFile::new("a", "1").field("Source", "other (1.0)").build()[..]).unwrap();
    assert_eq!((found.source.as_deref(), found.source_or_name()), (Some("other"), "other"));
}

#[test]
fn broken_packages_are_refused_with_the_reason() {
    let good = DebFile::new("tool", "1.0-1");
    let control = Packing::Gzip.pack(&tar(&[("./control".to_owned(), good.control_text().into_bytes())]));
    let data = Packing::Gzip.pack(&tar(&[]));
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let two = tar(&[("./control".to_owned(), b"a".to_vec()), ("control".to_owned(), b"b".to_vec())]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "the file ends too early"),
        (b"!<arch>\n".to_vec(), "the first member is not debian-binary"),
        (ar(&[("other", b"2.0\n")]), "the first member is not debian-binary"),
        (ar(&[("debian-binary", b"3.0\n")]), "not of format 2"),
        (ar(&[version]), "there is no control.tar"),
        (ar(&[version, ("data.tar.gz", &data)]), "not control.tar"),
        (ar(&[version, ("control.tar.rar", &control)]), "not control.tar"),
        (ar(&[version, ("control.tar.gz", &control)]), "there is no data.tar"),
        (ar(&[version, ("control.tar.gz", &control), ("../data.tar", &data)]), "not data.tar"),
        (ar(&[version, ("control.tar.gz", b"no gzip at all")]), "compressed data is broken"),
        (ar(&[version, ("control.tar.gz", &Packing::Gzip.pack(&tar(&[]))), ("data.tar.gz", &data)]), "no control file"),
        (ar(&[version, ("control.tar", &two), ("data.tar.gz", &data)]), "two files control"),
        (ar(&[version, ("control.tar.gz", &control), ("data.tar", b"not a tar")]), "the middle of a head"),
        (ar(&[version, ("control.tar.gz", &control), ("data.tar", &[b'x'; 512])]), "number in a head"),
        (ar(&[version, ("control.tar.gz", &control), ("data.tar.gz", &data[..data.len() - 8])]), "ends too early"),
        (good.clone().without("Version").build(), "the field Version is missing"),
        (good.clone().field("Package", "../evil").build(), "the field Package is malformed"),
        (good.clone().field("Version", "1/2").build(), "the field Version is malformed"),
        (good.clone().field("Version", "x:1").build(), "the field Version is malformed"),
        (good.clone().field("Architecture", "a b").build(), "the field Architecture is malformed"),
        (good.clone().field("Source", "..").build(), "the field Source is malformed"),
        (good.build_with_control(b"Package: a\nPackage: b\n"), "twice"),
        (good.build_with_control(b"no control file"), "a line is no field"),
        (good.build_with_control(b""), "there is no field"),
    ];
    for (bytes, reason) in cases {
        let told = refused(&bytes);
        assert!(told.contains(reason), "{told:?} does not say {reason:?}");
    }
    // A member that claims to be longer than the file.
    let mut long = good.build();
    let at = memchr::memmem::find(&long, b"data.tar").unwrap() + 48;
    long[at..at + 10].copy_from_slice(b"9999999999");
    assert!(refused(&long).contains("too early"));
    // Members with an underscore are for others; what follows the data is not looked at.
    let extra =
        ar(&[version, ("_gpg", b"x"), ("control.tar.gz", &control), ("_y", b"z"), ("data.tar.gz", &data), ("_z", b"")]);
    assert_eq!(deb::verify(&extra[..]).unwrap().name, "tool");
}
