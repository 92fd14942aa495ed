//! What bytes say of themselves: the kind of a file by its content, with its name as a hint, and never an error.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};

mod compound;
pub mod compress;
pub mod control;
pub mod deb;
mod exe;
pub mod fault;
pub mod index;
mod magic;
mod msi;
mod msix;
pub mod openpgp;
mod pe;
pub mod refpack;
pub mod rpm;
mod tar;
pub mod versions;
pub mod windows;
pub mod xml;
pub mod yaml;
pub mod zip;

/// The kinds of file people look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Debian package.
    Deb,
    /// RPM package.
    Rpm,
    /// Windows Installer package.
    Msi,
    /// Windows app package or bundle (`.msix`, `.appx`, `.msixbundle`, `.appxbundle`).
    Msix,
    /// Windows program.
    Exe,
    /// RefPack.
    Refpack,
    /// NuGet package, as Squirrel and Velopack use it.
    Nupkg,
    /// Any other ZIP archive.
    Zip,
    /// Tar archive, compressed or not.
    Tar,
    /// Anything else.
    #[default]
    #[serde(other)]
    File,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Deb,
        Kind::Rpm,
        Kind::Msi,
        Kind::Msix,
        Kind::Exe,
        Kind::Refpack,
        Kind::Nupkg,
        Kind::Zip,
        Kind::Tar,
        Kind::File,
    ];

    /// Its one word, in lower case.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Deb => "deb",
            Kind::Rpm => "rpm",
            Kind::Msi => "msi",
            Kind::Msix => "msix",
            Kind::Exe => "exe",
            Kind::Refpack => "refpack",
            Kind::Nupkg => "nupkg",
            Kind::Zip => "zip",
            Kind::Tar => "tar",
            Kind::File => "file",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What a file says of itself. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The kind of file.
    pub kind: Kind,
    /// The package's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The package's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The architecture it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// What an installer for Windows says beyond that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installer: Option<Box<windows::Installer>>,
}

/// Reads what a file says of itself, under bounds of memory and time. A file that nobody knows is of kind `file`; one
/// whose inside cannot be read has its kind and nothing more.
pub fn inspect(reader: &mut (impl Read + Seek), file_name: &str) -> Facts {
    let kind = magic::kind(reader, file_name);
    let told = match kind {
        Kind::Deb => deb_facts(reader),
        Kind::Rpm => rpm_facts(reader),
        Kind::Msi => msi::facts(reader),
        Kind::Msix => msix::facts(reader, file_name),
        Kind::Exe => exe::facts(reader),
        Kind::Zip => msix::nested(reader),
        _ => None,
    };
    told.unwrap_or(Facts { kind, ..Facts::default() })
}

/// Name, version with epoch and revision, architecture.
fn deb_facts(reader: &mut (impl Read + Seek)) -> Option<Facts> {
    reader.rewind().ok()?;
    let deb = deb::read(reader).ok()?;
    let (name, version, arch) = (Some(deb.name), Some(deb.version), Some(deb.arch));
    Some(Facts { kind: Kind::Deb, name, version, arch, ..Facts::default() })
}

/// Name, `[EPOCH:]VERSION-RELEASE`, architecture.
fn rpm_facts(reader: &mut (impl Read + Seek)) -> Option<Facts> {
    const LONGEST_HEADER: u64 = 16 << 20;
    reader.rewind().ok()?;
    let rpm = rpm::identity(&mut std::io::BufReader::new(reader), LONGEST_HEADER).ok()?;
    let epoch = rpm.epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let version = Some(format!("{epoch}{}-{}", rpm.version, rpm.release));
    Some(Facts { kind: Kind::Rpm, name: Some(rpm.name), version, arch: Some(rpm.arch), ..Facts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_is_stored() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
            assert_eq!(serde_json::from_value::<Kind>(kind.word().into()).unwrap(), kind);
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(serde_json::from_str::<Kind>("\"of the future\"").unwrap(), Kind::File);
        assert_eq!(Kind::from_word("DEB"), None);
    }

    #[test]
    fn facts_leave_out_what_is_not_said() {
        assert_eq!(serde_json::to_string(&Facts::default()).unwrap(), r#"{"kind":"file"}"#);
        assert_eq!(serde_json::from_str::<Facts>("{}").unwrap(), Facts::default());
    }
}
