//! App packages and bundles (MSIX, APPX): identity, package family name, and the digest of the signature.

use std::io::{Read, Seek};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use sha2::{Digest, Sha256};

use super::windows::{Installer, Nested, text, type_by_name};
use super::zip::{self, Entry};
use super::{Facts, Kind};

/// The longest manifest, in bytes.
const MANIFEST_LIMIT: u64 = 2 << 20;
/// The longest signature, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 20;
/// The most installers of an archive that are told of.
const NESTED_LIMIT: usize = 32;
/// The longest path of one, in bytes.
const PATH_LIMIT: usize = 512;

/// What an app package or bundle says of itself; `None` when it cannot be read.
pub(super) fn facts(reader: &mut (impl Read + Seek), file_name: &str) -> Option<Facts> {
    let (mut manifest, mut bundle, mut signature) = (None, None, None);
    zip::walk(reader, |entry| {
        let slot = match entry.name.to_ascii_lowercase().as_str() {
            "appxmanifest.xml" => &mut manifest,
            "appxmetadata/appxbundlemanifest.xml" => &mut bundle,
            "appxsignature.p7x" => &mut signature,
            _ => return true,
        };
        slot.get_or_insert_with(|| entry.clone());
        true
    })?;
    let manifest = zip::contents(reader, &bundle.or(manifest)?, MANIFEST_LIMIT)?;
    let Manifest { name, version, publisher, arch, display, maker, packages } = Manifest::read(&manifest)?;
    let family =
        publisher.as_deref().map(publisher_id).map(|id| format!("{}_{id}", name.as_deref().unwrap_or_default()));
    let signature = signature.and_then(|entry: Entry| zip::contents(reader, &entry, SIGNATURE_LIMIT));
    // A bundle is for one architecture when all its packages are.
    let mut bundled = packages.into_iter();
    let first = bundled.next().filter(|first| bundled.all(|next| next == *first));
    let installer = Installer {
        installer_type: Some(type_by_name(file_name).filter(|word| *word == "APPX").unwrap_or("MSIX").to_owned()),
        publisher: maker.filter(|text| !text.starts_with("ms-resource:")).and_then(|maker| text(&maker)),
        package_family_name: family.filter(|_| name.is_some()).and_then(|family| text(&family)),
        signature_sha256: signature.map(|bytes| hex(&Sha256::digest(bytes))),
        ..Installer::default()
    };
    let display = display.filter(|text| !text.starts_with("ms-resource:"));
    Some(Facts {
        kind: Kind::Msix,
        name: display.or(name).and_then(|name| text(&name)),
        version: version.and_then(|version| text(&version)),
        arch: arch.or(first).and_then(|arch| architecture(&arch)).map(str::to_owned),
        installer: Some(Box::new(installer)),
    })
}

/// The installers that lie in an archive, by their names.
pub(super) fn nested(reader: &mut (impl Read + Seek)) -> Option<Facts> {
    let mut nested = Vec::new();
    zip::walk(reader, |entry| {
        let fits = entry.name.len() <= PATH_LIMIT && !entry.name.contains(char::is_control);
        if let Some(word) = type_by_name(&entry.name).filter(|_| fits) {
            nested.push(Nested { path: entry.name.clone(), installer_type: word.to_owned() });
        }
        nested.len() < NESTED_LIMIT
    })?;
    if nested.is_empty() {
        return None;
    }
    let installer = Installer { installer_type: Some("ZIP".to_owned()), nested, ..Installer::default() };
    Some(Facts { kind: Kind::Zip, installer: Some(Box::new(installer)), ..Facts::default() })
}

fn architecture(word: &str) -> Option<&'static str> {
    ["x86", "x64", "arm", "arm64", "neutral"].into_iter().find(|known| known.eq_ignore_ascii_case(word))
}

/// The publisher's part of a package family name: the first 64 bits of the SHA-256 of its name as UTF-16, and one zero
/// bit, five bits a character.
fn publisher_id(publisher: &str) -> String {
    const DIGITS: [char; 32] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n',
        'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
    ];
    let mut hash = Sha256::new();
    publisher.encode_utf16().for_each(|unit| hash.update(unit.to_le_bytes()));
    let first = hash.finalize().iter().take(8).fold(0_u128, |sum, &byte| sum << 8 | u128::from(byte)) << 1;
    (0..13).rev().filter_map(|at| DIGITS.get((first >> (at * 5)) as usize & 31)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is taken from either manifest.
#[derive(Default)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    publisher: Option<String>,
    arch: Option<String>,
    display: Option<String>,
    maker: Option<String>,
    /// Architectures of the application packages in a bundle.
    packages: Vec<String>,
}

impl Manifest {
    /// `None` when this is no XML, has a document type, or no identity.
    fn read(bytes: &[u8]) -> Option<Manifest> {
        let text = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).ok()?;
        let mut reader = Reader::from_str(text);
        let mut manifest = Manifest::default();
        let mut path: Vec<String> = Vec::new();
        loop {
            match reader.read_event().ok()? {
                Event::Start(element) => {
                    manifest.note(&path, &element)?;
                    path.push(local_name(&element));
                    if path.len() > 64 {
                        return None;
                    }
                }
                Event::Empty(element) => manifest.note(&path, &element)?,
                Event::End(_) => _ = path.pop(),
                Event::Text(text) => manifest.say(&path, &text.xml10_content()),
                Event::GeneralRef(name) => {
                    let known = match name.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&name.xml10_content())?.to_owned(),
                    };
                    manifest.say(&path, &known);
                }
                Event::DocType(_) => return None,
                Event::Eof => break,
                _ => {}
            }
        }
        manifest.name.is_some().then_some(manifest)
    }

    fn note(&mut self, path: &[String], element: &BytesStart<'_>) -> Option<()> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let attribute = |name: &str| {
            let found = element.try_get_attribute(name).ok()??;
            Some(found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned())
        };
        match (path.as_slice(), local_name(element).as_str()) {
            ([_], "Identity") if self.name.is_none() => {
                self.name = attribute("Name");
                self.version = attribute("Version");
                self.publisher = attribute("Publisher");
                self.arch = attribute("ProcessorArchitecture");
            }
            ([_, "Packages"], "Package")
                if self.packages.len() < 1000 && attribute("Type").is_none_or(|kind| kind == "application") =>
            {
                self.packages.extend(attribute("Architecture"));
            }
            _ => {}
        }
        Some(())
    }

    fn say(&mut self, path: &[String], text: &str) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let slot = match path.as_slice() {
            [_, "Properties", "DisplayName"] => &mut self.display,
            [_, "Properties", "PublisherDisplayName"] => &mut self.maker,
            _ => return,
        };
        slot.get_or_insert_default().push_str(text);
    }
}

fn local_name(element: &BytesStart<'_>) -> String {
    element.local_name().as_ref().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::formats::zip::tests::zip as archive;

    const PUBLISHER: &str = "CN=Microsoft Corporation, O=Microsoft Corporation, L=Redmond, S=Washington, C=US";

    fn manifest(inner: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?>
            <Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10">
              <Identity Name="Contoso.App" Publisher="{PUBLISHER}" Version="1.2.3.0" ProcessorArchitecture="X64" />
              {inner}
            </Package>"#
        )
    }

    fn look(files: &[(&str, &[u8])], name: &str) -> Option<Facts> {
        facts(&mut Cursor::new(archive(files, true)), name)
    }

    #[test]
    fn publishers_have_known_ids() {
        assert_eq!(publisher_id(PUBLISHER), "8wekyb3d8bbwe");
    }

    #[test]
    fn a_package_says_who_it_is() {
        let inner = "<Properties><DisplayName>App &amp; &#66;</DisplayName>\
                     <PublisherDisplayName>ms-resource:x</PublisherDisplayName></Properties>";
        let manifest = manifest(inner);
        let files: [(&str, &[u8]); 3] =
            [("a.exe", b"x"), ("AppxManifest.xml", manifest.as_bytes()), ("AppxSignature.p7x", b"PKCX")];
        let found = look(&files, "a.appx").unwrap();
        assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some("App & B"), Some("1.2.3.0")));
        assert_eq!(found.arch.as_deref(), Some("x64"));
        let expected = Installer {
            installer_type: Some("APPX".into()),
            package_family_name: Some("Contoso.App_8wekyb3d8bbwe".into()),
            signature_sha256: Some(hex(&Sha256::digest(b"PKCX"))),
            ..Installer::default()
        };
        assert_eq!(*found.installer.unwrap(), expected);
    }

    #[test]
    fn a_bundle_is_for_what_its_packages_are_for() {
        let bundle = |packages: &str| {
            format!(
                "<Bundle><Identity Name=\"B\" Publisher=\"CN=a\" Version=\"1.0\"/><Packages>{packages}</Packages></Bundle>"
            )
        };
        let arch = |packages: &str| {
            let manifest = bundle(packages);
            look(&[("AppxMetadata/AppxBundleManifest.xml", manifest.as_bytes())], "a").unwrap().arch
        };
        let package = |kind: &str, arch: &str| format!("<Package Type=\"{kind}\" Architecture=\"{arch}\"/>");
        assert_eq!(arch(&package("application", "arm64")), Some("arm64".into()));
        assert_eq!(arch(&(package("application", "x64") + &package("resource", "x86"))), Some("x64".into()));
        assert_eq!(arch(&(package("application", "x64") + &package("application", "x86"))), None);
    }

    #[test]
    fn what_is_no_manifest_says_nothing() {
        let with_type = format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{}", manifest(""));
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        for text in ["", "no xml", "<Package/>", "<Package><Identity", &with_type, &deep] {
            assert_eq!(look(&[("AppxManifest.xml", text.as_bytes())], "a"), None, "{text}");
        }
        assert_eq!(look(&[("a.txt", b"x")], "a"), None);
    }

    #[test]
    fn installers_in_an_archive() {
        let files: [(&str, &[u8]); 4] = [("readme.txt", b""), ("x/Setup.exe", b""), ("y\\A.MSI", b""), ("d.exe/", b"")];
        let found = nested(&mut Cursor::new(archive(&files, false))).unwrap();
        let nested_of = |path: &str, word: &str| Nested { path: path.into(), installer_type: word.into() };
        assert_eq!(found.installer.unwrap().nested, [nested_of("x/Setup.exe", "EXE"), nested_of("y\\A.MSI", "MSI")]);
        assert_eq!(nested(&mut Cursor::new(archive(&files[..1], false))), None);
    }
}
