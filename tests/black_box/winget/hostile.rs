//! Installers that lie: whatever an upload holds, the server says what it could read, or nothing, and lives on
//! (`winget.md` A6, A7; `reliability.md`).

use serde_json::Value;

use super::{Admin, first, refused, says};
use crate::files::{noise, segment, sha256};
use crate::server::Packhouse;

/// Little-endian numbers, one after another.
fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The head of a compound file with this many bits of a sector's size, sectors of tables, and first sectors.
fn ole(shift: u16, tables: u32, directory: u32, chain: u32) -> Vec<u8> {
    let mut file = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    file.extend([0; 16]);
    file.extend([0x3E, 0, 3, 0, 0xFE, 0xFF]);
    file.extend(shift.to_le_bytes());
    file.extend([6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(words(&[tables, directory, 0, 4096, chain, tables, chain, tables]));
    while file.len() < 512 {
        file.extend(chain.to_le_bytes());
    }
    // Sectors whose chain leads to themselves, whatever they are taken for.
    for _ in 0..4096 {
        file.extend(words(&[0, 1, chain, 0]));
    }
    file
}

/// A program whose header, sections or resources lie where nothing is.
fn pe(header: u32, sections: u16, resources: u32, size: u32) -> Vec<u8> {
    let mut file = b"MZ".to_vec();
    file.extend([0; 58]);
    file.extend(header.to_le_bytes());
    file.extend(b"PE\0\0\x64\x86");
    file.extend(sections.to_le_bytes());
    file.extend([0; 12]);
    file.extend([0xF0, 0, 0x22, 0, 0x0B, 2]);
    file.extend([0; 106]);
    file.extend(words(&[16, 0, 0, 0, 0, resources, size]));
    file.extend([0; 104]);
    for _ in 0..sections.min(200) {
        file.extend(b".rsrc\0\0\0");
        file.extend(words(&[size, resources, size, resources, 0, 0, 0, 0]));
    }
    // Directories of resources that contain themselves.
    for _ in 0..2000 {
        file.extend(words(&[0, 0, 0, 0x0002_0002, 16, 0x8000_0000, 24, 0x8000_0000]));
    }
    file
}

/// One entry of an archive as it is told of: name, method, packed bytes, and the size it claims to have.
struct Entry {
    name: String,
    method: u16,
    packed: Vec<u8>,
    size: u32,
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = file.len() as u32;
        let common = |out: &mut Vec<u8>| {
            out.extend([20, 0, 0, 0]);
            out.extend(entry.method.to_le_bytes());
            out.extend([0; 4]);
            out.extend(words(&[0, entry.packed.len() as u32, entry.size]));
            out.extend((entry.name.len() as u16).to_le_bytes());
            out.extend([0, 0]);
        };
        file.extend(b"PK\x03\x04");
        common(&mut file);
        file.extend(entry.name.as_bytes());
        file.extend(&entry.packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        common(&mut directory);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([(entries.len() as u16).to_le_bytes(), (entries.len() as u16).to_le_bytes()].concat());
    file.extend(words(&[directory.len() as u32, at]));
    file.extend([0, 0]);
    file
}

/// Deflated zeros: a thousand times larger when open.
fn zeros(megabytes: usize) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..megabytes {
        out.write_all(&[b' '; 1 << 20]).unwrap();
    }
    out.finish().unwrap()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn entry(name: &str, packed: Vec<u8>, size: u32) -> Entry {
    Entry { name: name.to_owned(), method: 8, packed, size }
}

/// Files that claim to be what they are not, by the extension they come with.
fn liars() -> Vec<(&'static str, Vec<u8>)> {
    let manifest = |inner: &str| deflated(format!("<?xml version=\"1.0\"?>{inner}").as_bytes());
    let nested = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><Package>&b;</Package>";
    let huge = format!("<Package>{}</Package>", "<Identity Name='n' Version='1.0.0.0'/>".repeat(200_000));
    let mut liars = vec![
        ("msi", ole(9, 1, 0, 0)),
        ("msi", ole(9, u32::MAX, u32::MAX - 9, 1)),
        ("msi", ole(31, 1, 0, 0)),
        ("msi", ole(0, 0, 0, 0xFFFF_FFFE)),
        ("msi", ole(12, 109, 3, 3)),
        ("msi", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec()),
        ("exe", pe(64, 1, 0x1000, 0x4000)),
        ("exe", pe(64, u16::MAX, u32::MAX - 3, u32::MAX)),
        ("exe", pe(u32::MAX, 1, 0, 0)),
        ("exe", pe(60, 96, 0, u32::MAX)),
        ("exe", b"MZ".to_vec()),
        ("zip", zip(&[entry("setup.exe", zeros(64), u32::MAX)])),
        ("zip", zip(&[entry("setup.exe", noise(3, 5000), 10)])),
        ("zip", b"PK\x05\x06\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0".to_vec()),
        ("zip", zip(&(0..20_000).map(|n| entry(&format!("{n}/setup.exe"), Vec::new(), 0)).collect::<Vec<_>>())),
        ("msix", zip(&[entry("AppxManifest.xml", zeros(64), 67_108_864)])),
        ("msix", zip(&[entry("AppxManifest.xml", manifest(&nested), 10)])),
        ("msix", zip(&[entry("AppxManifest.xml", manifest(entities), 10)])),
        ("msix", zip(&[entry("AppxManifest.xml", manifest(&huge), 8_000_000)])),
        ("appx", zip(&[entry("AppxManifest.xml", b"not deflated at all".to_vec(), 100)])),
        ("msixbundle", zip(&[entry("AppxMetadata/AppxBundleManifest.xml", zeros(32), 1)])),
    ];
    for (seed, extension) in ["msi", "exe", "zip", "msix", "appxbundle"].into_iter().enumerate() {
        liars.push((extension, noise(seed as u64, 100_000)));
    }
    liars
}

#[test]
fn installers_that_lie_are_files_like_any_other() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("Liar.App");
    #[cfg(target_os = "linux")]
    let before = server.memory();
    for (number, (extension, bytes)) in liars().into_iter().enumerate() {
        let what = format!("{extension} number {number}");
        let name = admin.upload(&format!("liar.{extension}_{number}"), &bytes);
        let facts = admin.get(&format!("installer_facts?server_filename={name}"));
        let facts: Value = facts.is_json(200);
        assert_eq!(
            (facts["sha256"].as_str(), facts["size"].as_u64()),
            (Some(&*sha256(&bytes)), Some(bytes.len() as u64))
        );
        let version = number.to_string();
        let kind = if extension.starts_with("msix") || extension.starts_with("appx") { "MSIX" } else { extension };
        let mut fields = vec![("package_version", version.as_str()), ("file_type", kind)];
        if extension == "zip" {
            fields.extend([("file_type_nested", "EXE"), ("file_nested_path", "setup.exe")]);
        }
        let answer = admin.try_version("Liar.App", &name, &fields);
        match answer.status {
            201 => {}
            // An archive without a readable list of entries, or without the entry.
            400 if extension == "zip" => drop(refused(&answer, 400)),
            status => panic!("{what}: {status} {}", answer.text()),
        }
        says(&admin.get("test"), 200, "Its working!");
    }
    #[cfg(target_os = "linux")]
    {
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 150 << 20, "{} MiB more than before", grown >> 20);
    }
    every_version_can_be_fetched(&admin);
}

/// The stored liars come back as they were sent, and the client can read what is said of them.
fn every_version_can_be_fetched(admin: &Admin<'_>) {
    let rows = admin.get("get_package_versions/Liar.App").is_json(200);
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 20, "{} were taken", rows.len());
    for row in rows {
        let link = super::local(admin.server, row["INSTALLER_URL"].as_str().unwrap());
        let answer = admin.server.send(crate::client::Request::get(link));
        assert_eq!((answer.status, sha256(&answer.body).as_str()), (200, row["INSTALLER_SHA256"].as_str().unwrap()));
    }
    let path = format!("/winget/{}/packageManifests/{}", admin.tenant, segment("Liar.App"));
    let bearer = format!("Bearer {}", admin.token);
    let manifest = admin.server.send(crate::client::Request::get(&path).header("Authorization", &bearer)).is_json(200);
    assert_eq!(manifest["Data"]["Versions"].as_array().unwrap().len(), rows.len());
}
