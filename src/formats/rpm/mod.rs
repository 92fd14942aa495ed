//! RPM packages: what their headers say, and a check of the whole file against its own digests in constant memory.

use std::io::Read;

use crate::formats::control::text;
use crate::formats::fault::Fault;

use header::Header;

mod entries;
mod header;
mod verify;

pub use entries::{Compare, Entry};
pub use verify::verify;

/// Length of the lead, which old programs used in place of headers.
const LEAD: usize = 96;
/// Longest path of a file, and most bytes of all paths.
const LONGEST_PATH: usize = 4096;
const MOST_PATH_BYTES: usize = 64 << 20;
/// Changelog entries that are kept.
const CHANGES: usize = 10;
/// Longest of the words a file name is made of.
const LONGEST_WORD: usize = 200;

/// What an rpm says of itself. Text that is not UTF-8 was read as Latin-1; text may hold characters that XML forbids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rpm {
    /// NAME.
    pub name: String,
    /// EPOCH; `None` when there is none, which counts as 0.
    pub epoch: Option<u32>,
    /// VERSION alone.
    pub version: String,
    /// RELEASE.
    pub release: String,
    /// ARCH; `src` for a source package.
    pub arch: String,
    /// SUMMARY, empty when absent, as all texts below.
    pub summary: String,
    /// DESCRIPTION.
    pub description: String,
    /// PACKAGER.
    pub packager: String,
    /// URL.
    pub url: String,
    /// LICENSE.
    pub license: String,
    /// VENDOR.
    pub vendor: String,
    /// GROUP.
    pub group: String,
    /// BUILDHOST.
    pub buildhost: String,
    /// SOURCERPM; empty for a source package.
    pub sourcerpm: String,
    /// BUILDTIME, seconds since 1970.
    pub build_time: u64,
    /// Sizes it declares.
    pub sizes: Sizes,
    /// First byte of the main header and first byte after it, where the payload begins.
    pub header_range: (u64, u64),
    /// What it provides.
    pub provides: Vec<Entry>,
    /// What it requires, without `rpmlib(…)` and exact duplicates.
    pub requires: Vec<Entry>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Entry>,
    /// What it takes the place of.
    pub obsoletes: Vec<Entry>,
    /// Weak dependencies.
    pub suggests: Vec<Entry>,
    /// Weak dependencies backwards.
    pub enhances: Vec<Entry>,
    /// Weak dependencies that are installed by default.
    pub recommends: Vec<Entry>,
    /// Weak dependencies backwards that are installed by default.
    pub supplements: Vec<Entry>,
    /// Its files in the order of the header.
    pub files: Vec<File>,
    /// The ten newest entries of its changelog, oldest first.
    pub changelogs: Vec<Change>,
}

/// Sizes an rpm declares, in bytes; 0 when it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of its files when installed.
    pub installed: u64,
    /// Of its payload when unpacked.
    pub archive: u64,
}

/// A file of an rpm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its absolute path; in a source package a bare name.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
}

impl File {
    /// Whether it is named in `primary` too: paths with `bin/`, below `/etc/`, or `/usr/lib/sendmail`.
    pub fn is_primary(&self) -> bool {
        is_primary_path(&self.path)
    }
}

/// What a file of an rpm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file, a link or anything else.
    Plain,
    /// A directory.
    Dir,
    /// A file that belongs to the package but is not in it.
    Ghost,
}

impl FileKind {
    /// The word in the `type` attribute of the metadata; none for plain files.
    pub fn word(self) -> Option<&'static str> {
        match self {
            FileKind::Plain => None,
            FileKind::Dir => Some("dir"),
            FileKind::Ghost => Some("ghost"),
        }
    }
}

/// One entry of a changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Seconds since 1970.
    pub time: u64,
    /// Who, often with a version behind the address.
    pub author: String,
    /// What.
    pub text: String,
}

/// Whether `primary` metadata lists the file at `path`.
pub fn is_primary_path(path: &str) -> bool {
    path.contains("bin/") || path.starts_with("/etc/") || path == "/usr/lib/sendmail"
}

impl Rpm {
    /// `NAME-VERSION-RELEASE.ARCH.rpm`.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// Whether it is a source package.
    pub fn is_source(&self) -> bool {
        self.arch == "src"
    }
}

/// Reads the headers of the rpm that `reader` begins with, and no further.
pub fn read(reader: &mut impl Read) -> Result<Rpm, Fault> {
    Heads::read(reader, header::LONGEST).and_then(|heads| heads.facts())
}

/// Name, version, release and architecture alone, for a first look; gives up on main headers beyond `limit` bytes.
pub(super) fn identity(reader: &mut impl Read, limit: u64) -> Result<Rpm, Fault> {
    let heads = Heads::read(reader, limit)?;
    let mut rpm = Rpm::default();
    identify(&heads.main, &mut rpm)?;
    Ok(rpm)
}

/// What stands before the payload.
struct Heads {
    signature: Header,
    main: Header,
    /// Where the main header begins.
    start: u64,
}

impl Heads {
    fn read(reader: &mut impl Read, limit: u64) -> Result<Heads, Fault> {
        let mut lead = Vec::with_capacity(LEAD);
        reader.by_ref().take(LEAD as u64).read_to_end(&mut lead)?;
        if !lead.starts_with(&[0xED, 0xAB, 0xEE, 0xDB]) {
            return Err(Fault::bad("this is no rpm"));
        }
        if lead.len() < LEAD {
            return Err(Fault::bad("the file ends in the middle of the lead"));
        }
        if !matches!(lead.get(4), Some(3 | 4)) {
            return Err(Fault::bad("the rpm is of a format older than 3 or newer than 4"));
        }
        let signature = Header::read(reader, limit).map_err(|fault| fault.at("signature header"))?;
        let padding = signature.len().wrapping_neg() % 8;
        let mut passed = Vec::new();
        reader.by_ref().take(padding).read_to_end(&mut passed)?;
        let start = LEAD as u64 + signature.len() + padding;
        let main = Header::read(reader, limit).map_err(|fault| fault.at("header"))?;
        Ok(Heads { signature, main, start })
    }

    fn facts(&self) -> Result<Rpm, Fault> {
        let (main, signature) = (&self.main, &self.signature);
        let word = |tag| main.text(tag).map(Option::unwrap_or_default);
        let mut rpm = Rpm {
            summary: word(1004)?,
            description: word(1005)?,
            packager: word(1015)?,
            url: word(1020)?,
            license: word(1014)?,
            vendor: word(1011)?,
            group: word(1016)?,
            buildhost: word(1007)?,
            build_time: main.number(1006)?.unwrap_or(0),
            sizes: sizes(main, signature)?,
            header_range: (self.start, self.start + main.len()),
            provides: entries::read(main, [1047, 1113, 1112])?,
            requires: entries::requires(main)?,
            conflicts: entries::read(main, [1054, 1055, 1053])?,
            obsoletes: entries::read(main, [1090, 1115, 1114])?,
            recommends: entries::read(main, [5046, 5047, 5048])?,
            suggests: entries::read(main, [5049, 5050, 5051])?,
            supplements: entries::read(main, [5052, 5053, 5054])?,
            enhances: entries::read(main, [5055, 5056, 5057])?,
            files: files(main)?,
            changelogs: changelogs(main)?,
            ..Rpm::default()
        };
        identify(main, &mut rpm)?;
        if !rpm.is_source() {
            rpm.sourcerpm = word(1044)?;
        }
        Ok(rpm)
    }
}

/// Fills in name, epoch, version, release and architecture: what file names and addresses are made of.
fn identify(main: &Header, rpm: &mut Rpm) -> Result<(), Fault> {
    let word = |tag, name: &str| -> Result<String, Fault> {
        let word = main.text(tag)?.filter(|word| !word.is_empty());
        let word = word.ok_or_else(|| Fault::bad(format!("the tag {name} is missing")))?;
        if !is_word(&word) {
            return Err(Fault::bad(format!("the tag {name} is malformed: {word:?}")));
        }
        Ok(word)
    };
    let epoch = main.number(1003)?.map(|epoch| u32::try_from(epoch).map_err(|_| Fault::bad("the epoch is too large")));
    rpm.epoch = epoch.transpose()?;
    rpm.name = word(1000, "NAME")?;
    rpm.version = word(1001, "VERSION")?;
    rpm.release = word(1002, "RELEASE")?;
    // SOURCEPACKAGE marks source packages of today; those of old times are known by the lack of a SOURCERPM.
    let is_source = main.has(1106) || !main.has(1044);
    rpm.arch = if is_source { "src".to_owned() } else { word(1022, "ARCH")? };
    Ok(())
}

/// Whether a word may become part of a file name and of an address.
pub(super) fn is_word(word: &str) -> bool {
    word.len() <= LONGEST_WORD
        && !word.starts_with('.')
        && !word.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\'))
}

fn sizes(main: &Header, signature: &Header) -> Result<Sizes, Fault> {
    let first = |places: [(&Header, u32); 3]| -> Result<u64, Fault> {
        for (header, tag) in places {
            if let Some(number) = header.number(tag)? {
                return Ok(number);
            }
        }
        Ok(0)
    };
    Ok(Sizes {
        installed: first([(main, 5009), (main, 1009), (main, 1009)])?,
        archive: first([(signature, 271), (signature, 1007), (main, 1046)])?,
    })
}

fn files(main: &Header) -> Result<Vec<File>, Fault> {
    const GHOST: u64 = 1 << 6;
    let (modes, flags) = (main.numbers(1030)?, main.numbers(1037)?);
    let kind = |at: usize| {
        let (mode, flags) = (modes.get(at).copied().unwrap_or(0), flags.get(at).copied().unwrap_or(0));
        match () {
            () if mode & 0o170_000 == 0o040_000 => FileKind::Dir,
            () if flags & GHOST != 0 => FileKind::Ghost,
            () => FileKind::Plain,
        }
    };
    let mut files = Vec::new();
    let mut bytes = 0_usize;
    let mut add = |path: Vec<u8>| -> Result<(), Fault> {
        bytes = bytes.saturating_add(path.len());
        if path.len() > LONGEST_PATH || bytes > MOST_PATH_BYTES {
            return Err(Fault::bad("the paths of its files are too long"));
        }
        files.push(File { path: text(path), kind: kind(files.len()) });
        Ok(())
    };
    if main.has(1117) {
        let (dirs, indexes) = (main.texts(1118)?, main.numbers(1116)?);
        for (at, name) in main.texts(1117)?.into_iter().enumerate() {
            let dir = indexes.get(at).and_then(|index| dirs.get(usize::try_from(*index).ok()?));
            let dir = dir.ok_or_else(|| Fault::bad("a file is in a directory that is not there"))?;
            if dir.len() > LONGEST_PATH {
                return Err(Fault::bad("the paths of its files are too long"));
            }
            add([dir, name].concat())?;
        }
    } else {
        for path in main.texts(1027)? {
            add(path.to_vec())?;
        }
    }
    Ok(files)
}

fn changelogs(main: &Header) -> Result<Vec<Change>, Fault> {
    let (times, authors, texts) = (main.numbers(1080)?, main.texts(1081)?, main.texts(1082)?);
    let mut changes: Vec<_> = times.into_iter().zip(authors.into_iter().zip(texts)).collect();
    // The header has the newest first; where times are equal or out of order its own order counts.
    changes.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    changes.truncate(CHANGES);
    changes.reverse();
    let change = |(time, (author, words)): (u64, (&[u8], &[u8]))| Change {
        time,
        author: text(author.to_vec()),
        text: text(words.to_vec()),
    };
    Ok(changes.into_iter().map(change).collect())
}
