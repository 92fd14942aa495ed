//! Tiny Debian packages and rpms made in code, each byte of them known; and real ones built by `dpkg-deb` and `rpmbuild`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// How the control archive of a Debian package is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Xz,
    Bzip2,
    /// Stored blocks of zstd: enough for readers, small code here.
    Zstd,
}

impl Packing {
    pub(crate) const ALL: [Packing; 5] = [Packing::Plain, Packing::Gzip, Packing::Xz, Packing::Bzip2, Packing::Zstd];

    fn ending(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gzip => ".gz",
            Packing::Xz => ".xz",
            Packing::Bzip2 => ".bz2",
            Packing::Zstd => ".zst",
        }
    }

    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => bytes.to_vec(),
            Packing::Gzip => packhouse::formats::compress::gzip(bytes, 6).unwrap(),
            Packing::Xz => packhouse::formats::compress::xz(bytes, 0).unwrap(),
            Packing::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd_stored(bytes),
        }
    }
}

/// One zstd frame of stored blocks.
fn zstd_stored(bytes: &[u8]) -> Vec<u8> {
    // Magic; no content size, no checksum, no dictionary; a window of 1 MiB.
    let mut out = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 10 << 3];
    let mut blocks = bytes.chunks(64 << 10).peekable();
    if bytes.is_empty() {
        out.extend([1, 0, 0]);
    }
    while let Some(block) = blocks.next() {
        let head = (block.len() as u32) << 3 | u32::from(blocks.peek().is_none());
        out.extend(&head.to_le_bytes()[..3]);
        out.extend(block);
    }
    out
}

/// A Debian package to be: `DebFile::new("tool", "1.0-1").field("Depends", "libc6").build()`.
#[derive(Clone, Debug)]
pub(crate) struct DebFile {
    fields: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    control: Packing,
    data: Packing,
    slashes: bool,
}

impl DebFile {
    /// A package for amd64 with one small file.
    pub(crate) fn new(name: &str, version: &str) -> DebFile {
        let fields = [
            ("Package", name),
            ("Version", version),
            ("Architecture", "amd64"),
            ("Maintainer", "Tests <tests@example.org>"),
            ("Installed-Size", "1"),
            ("Description", "made for a test\n It has a long description.\n .\n Of two paragraphs."),
        ];
        DebFile {
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            files: vec![(format!("./usr/share/{name}/note"), format!("{name} {version}\n").into_bytes())],
            control: Packing::Gzip,
            data: Packing::Gzip,
            slashes: false,
        }
    }

    pub(crate) fn arch(self, arch: &str) -> DebFile {
        self.field("Architecture", arch)
    }

    /// Sets a control field, or adds it at the end.
    pub(crate) fn field(mut self, name: &str, value: &str) -> DebFile {
        match self.fields.iter_mut().find(|(found, _)| found == name) {
            Some((_, found)) => value.clone_into(found),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> DebFile {
        self.fields.retain(|(found, _)| found != name);
        self
    }

    /// Adds a file; paths begin with `./`.
    pub(crate) fn file(mut self, path: &str, bytes: &[u8]) -> DebFile {
        self.files.push((path.to_owned(), bytes.to_vec()));
        self
    }

    pub(crate) fn packing(mut self, control: Packing, data: Packing) -> DebFile {
        (self.control, self.data) = (control, data);
        self
    }

    /// Ends the names of the outer members in a slash, as GNU `ar` does.
    pub(crate) fn slashes(mut self) -> DebFile {
        self.slashes = true;
        self
    }

    /// The text of its control file.
    pub(crate) fn control_text(&self) -> String {
        self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    /// The package.
    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_with_control(self.control_text().as_bytes())
    }

    /// The package with any control file.
    pub(crate) fn build_with_control(&self, control: &[u8]) -> Vec<u8> {
        let control = tar(&[("./control".to_owned(), control.to_vec())]);
        let data = tar(&self.files);
        let slash = if self.slashes { "/" } else { "" };
        ar(&[
            (&format!("debian-binary{slash}"), b"2.0\n"),
            (&format!("control.tar{}{slash}", self.control.ending()), &self.control.pack(&control)),
            (&format!("data.tar{}{slash}", self.data.ending()), &self.data.pack(&data)),
        ])
    }
}

/// An `ar` archive of these members.
pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let length = bytes.len();
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n", 0, 0, 0, "100644").bytes());
        out.extend(*bytes);
        if length % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A tar archive of regular files, names ending in `/` being directories.
pub(crate) fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        if name.len() > 100 {
            out.extend(tar_head("././@LongLink", name.len() + 1, b'L'));
            tar_content(&mut out, &[name.as_bytes(), &[0]].concat());
        }
        let kind = if name.ends_with('/') { b'5' } else { b'0' };
        out.extend(tar_head(name, bytes.len(), kind));
        tar_content(&mut out, bytes);
    }
    out.extend([0; 1024]);
    out
}

fn tar_content(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// One head of a tar archive, its checksum right.
pub(crate) fn tar_head(name: &str, size: usize, kind: u8) -> Vec<u8> {
    let mut head = vec![0; 512];
    let cut = name.len().min(100);
    head[..cut].copy_from_slice(&name.as_bytes()[..cut]);
    head[100..108].copy_from_slice(b"0000644\0");
    head[108..116].copy_from_slice(b"0000000\0");
    head[116..124].copy_from_slice(b"0000000\0");
    head[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    head[136..148].copy_from_slice(b"00000000000\0");
    head[156] = kind;
    head[257..265].copy_from_slice(b"ustar  \0");
    head[148..156].fill(b' ');
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head
}

/// A value of an rpm tag.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Vec<u8>),
    Texts(Vec<Vec<u8>>),
    I18n(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }
}

/// An rpm to be: `RpmFile::new("tool", "1.0", "1").require("libc.so.6").build()`.
#[derive(Clone, Debug)]
pub(crate) struct RpmFile {
    tags: Vec<(u32, Value)>,
    entries: Vec<(Dependency, String, u32, String)>,
    files: Vec<(String, u16, u32)>,
    changes: Vec<(u32, String, String)>,
    payload: Vec<u8>,
    source: bool,
}

/// Kinds of dependency of an rpm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependency {
    Provide,
    Require,
    Conflict,
    Obsolete,
    Recommend,
    Suggest,
    Supplement,
    Enhance,
}

impl Dependency {
    const ALL: [Dependency; 8] = [
        Dependency::Provide,
        Dependency::Require,
        Dependency::Conflict,
        Dependency::Obsolete,
        Dependency::Recommend,
        Dependency::Suggest,
        Dependency::Supplement,
        Dependency::Enhance,
    ];

    /// Tags of names, flags, versions.
    fn tags(self) -> [u32; 3] {
        match self {
            Dependency::Provide => [1047, 1112, 1113],
            Dependency::Require => [1049, 1048, 1050],
            Dependency::Conflict => [1054, 1053, 1055],
            Dependency::Obsolete => [1090, 1114, 1115],
            Dependency::Recommend => [5046, 5048, 5047],
            Dependency::Suggest => [5049, 5051, 5050],
            Dependency::Supplement => [5052, 5054, 5053],
            Dependency::Enhance => [5055, 5057, 5056],
        }
    }
}

/// Flags of dependencies.
pub(crate) const LESS: u32 = 2;
pub(crate) const GREATER: u32 = 4;
pub(crate) const EQUAL: u32 = 8;
pub(crate) const PRE: u32 = 1 << 9;

impl RpmFile {
    /// A package for x86_64 that provides itself and has one file.
    pub(crate) fn new(name: &str, version: &str, release: &str) -> RpmFile {
        let rpm = RpmFile {
            tags: Vec::new(),
            entries: Vec::new(),
            files: Vec::new(),
            changes: Vec::new(),
            payload: format!("payload of {name} {version} {release}").into_bytes(),
            source: false,
        };
        rpm.tag(1000, name.into())
            .tag(1001, version.into())
            .tag(1002, release.into())
            .tag(1004, Value::I18n(b"made for a test".to_vec()))
            .tag(1005, Value::I18n(b"It has a description.\n\nOf two paragraphs.".to_vec()))
            .tag(1006, Value::U32(vec![1_763_670_000]))
            .tag(1007, "builder.example.org".into())
            .tag(1009, Value::U32(vec![64]))
            .tag(1014, "MIT".into())
            .tag(1016, Value::I18n(b"Unspecified".to_vec()))
            .tag(1021, "linux".into())
            .tag(1022, "x86_64".into())
            .tag(1044, Value::Text(format!("{name}-{version}-{release}.src.rpm").into_bytes()))
            .tag(1124, "cpio".into())
            .tag(1125, "gzip".into())
            .dependency(Dependency::Provide, name, EQUAL, &format!("{version}-{release}"))
            .file(&format!("/usr/bin/{name}"))
    }

    /// Sets a tag; one that is there is replaced.
    pub(crate) fn tag(mut self, tag: u32, value: Value) -> RpmFile {
        self.tags.retain(|(found, _)| *found != tag);
        self.tags.push((tag, value));
        self
    }

    pub(crate) fn without(mut self, tag: u32) -> RpmFile {
        self.tags.retain(|(found, _)| *found != tag);
        self
    }

    pub(crate) fn arch(self, arch: &str) -> RpmFile {
        self.tag(1022, arch.into())
    }

    pub(crate) fn epoch(self, epoch: u32) -> RpmFile {
        self.tag(1003, Value::U32(vec![epoch]))
    }

    pub(crate) fn summary(self, text: &[u8]) -> RpmFile {
        self.tag(1004, Value::I18n(text.to_vec()))
    }

    pub(crate) fn description(self, text: &[u8]) -> RpmFile {
        self.tag(1005, Value::I18n(text.to_vec()))
    }

    /// Makes a source package of it.
    pub(crate) fn source(mut self) -> RpmFile {
        self.source = true;
        self.without(1044).tag(1106, Value::U32(vec![1]))
    }

    pub(crate) fn require(self, name: &str) -> RpmFile {
        self.dependency(Dependency::Require, name, 0, "")
    }

    pub(crate) fn dependency(mut self, kind: Dependency, name: &str, flags: u32, version: &str) -> RpmFile {
        self.entries.push((kind, name.to_owned(), flags, version.to_owned()));
        self
    }

    pub(crate) fn file(self, path: &str) -> RpmFile {
        self.file_of(path, 0o100_644, 0)
    }

    pub(crate) fn dir(self, path: &str) -> RpmFile {
        self.file_of(path, 0o040_755, 0)
    }

    pub(crate) fn ghost(self, path: &str) -> RpmFile {
        self.file_of(path, 0o100_644, 1 << 6)
    }

    pub(crate) fn file_of(mut self, path: &str, mode: u16, flags: u32) -> RpmFile {
        self.files.push((path.to_owned(), mode, flags));
        self
    }

    /// Adds a changelog entry; the newest comes first.
    pub(crate) fn change(mut self, time: u32, author: &str, text: &str) -> RpmFile {
        self.changes.push((time, author.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn payload(mut self, bytes: &[u8]) -> RpmFile {
        self.payload = bytes.to_vec();
        self
    }

    /// The package, with digests of header and payload.
    pub(crate) fn build(&self) -> Vec<u8> {
        let main = self.main_header();
        let whole = u32::try_from(main.len() + self.payload.len()).unwrap();
        let signature = rpm_header(
            SIGNATURE_REGION,
            &[
                (273, Value::Text(hex(&Sha256::digest(&main)).into_bytes())),
                (1000, Value::U32(vec![whole])),
                (1007, Value::U32(vec![u32::try_from(self.payload.len()).unwrap()])),
            ],
        );
        self.assemble(&signature, &main)
    }

    /// The package from its headers.
    pub(crate) fn assemble(&self, signature: &[u8], main: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 96];
        out[..6].copy_from_slice(&[0xED, 0xAB, 0xEE, 0xDB, 3, 0]);
        out[7] = u8::from(self.source);
        out[9] = 1;
        out[77] = 1;
        out[79] = 5;
        out.extend(signature);
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend(main);
        out.extend(&self.payload);
        out
    }

    /// Its main header.
    pub(crate) fn main_header(&self) -> Vec<u8> {
        let mut tags = self.tags.clone();
        for kind in Dependency::ALL {
            let entries: Vec<_> = self.entries.iter().filter(|(found, ..)| *found == kind).collect();
            if !entries.is_empty() {
                let [names, flags, versions] = kind.tags();
                tags.push((names, Value::Texts(entries.iter().map(|e| e.1.clone().into_bytes()).collect())));
                tags.push((flags, Value::U32(entries.iter().map(|e| e.2).collect())));
                tags.push((versions, Value::Texts(entries.iter().map(|e| e.3.clone().into_bytes()).collect())));
            }
        }
        if !self.files.is_empty() {
            let mut dirs: Vec<Vec<u8>> = Vec::new();
            let (mut indexes, mut names) = (Vec::new(), Vec::new());
            for (path, ..) in &self.files {
                let at = path.rfind('/').map_or(0, |at| at + 1);
                let dir = path.as_bytes()[..at].to_vec();
                let place = dirs.iter().position(|found| *found == dir).unwrap_or_else(|| {
                    dirs.push(dir);
                    dirs.len() - 1
                });
                indexes.push(u32::try_from(place).unwrap());
                names.push(path.as_bytes()[at..].to_vec());
            }
            tags.push((1030, Value::U16(self.files.iter().map(|file| file.1).collect())));
            tags.push((1037, Value::U32(self.files.iter().map(|file| file.2).collect())));
            tags.push((1116, Value::U32(indexes)));
            tags.push((1117, Value::Texts(names)));
            tags.push((1118, Value::Texts(dirs)));
        }
        if !self.changes.is_empty() {
            tags.push((1080, Value::U32(self.changes.iter().map(|change| change.0).collect())));
            tags.push((1081, Value::Texts(self.changes.iter().map(|change| change.1.clone().into_bytes()).collect())));
            tags.push((1082, Value::Texts(self.changes.iter().map(|change| change.2.clone().into_bytes()).collect())));
        }
        tags.push((5092, Value::Texts(vec![hex(&Sha256::digest(&self.payload)).into_bytes()])));
        tags.push((5093, Value::U32(vec![8])));
        tags.sort_by_key(|(tag, _)| *tag);
        rpm_header(MAIN_REGION, &tags)
    }
}

/// Tags that mark a header's region as what its digests cover.
pub(crate) const SIGNATURE_REGION: u32 = 62;
pub(crate) const MAIN_REGION: u32 = 63;

/// One header of an rpm.
pub(crate) fn rpm_header(region: u32, tags: &[(u32, Value)]) -> Vec<u8> {
    const ENTRY: u32 = 16;
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        let (kind, count, width, bytes): (u32, usize, usize, Vec<u8>) = match value {
            Value::Text(text) => (6, 1, 1, [text, &[0][..]].concat()),
            Value::Texts(texts) => (8, texts.len(), 1, texts.iter().flat_map(|t| [t, &[0][..]].concat()).collect()),
            Value::I18n(text) => (9, 1, 1, [text, &[0][..]].concat()),
            Value::U16(numbers) => (3, numbers.len(), 2, numbers.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Value::U32(numbers) => (4, numbers.len(), 4, numbers.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Value::Bytes(bytes) => (7, bytes.len(), 1, bytes.clone()),
        };
        store.resize(store.len().next_multiple_of(width), 0);
        for number in [*tag, kind, u32::try_from(store.len()).unwrap(), u32::try_from(count).unwrap()] {
            index.extend(number.to_be_bytes());
        }
        store.extend(bytes);
    }
    // The region's entry comes first and points behind all values, where its trailer points back over the whole index.
    let count = u32::try_from(tags.len()).unwrap() + 1;
    let numbers = |numbers: [u32; 4]| numbers.into_iter().flat_map(u32::to_be_bytes);
    let trailer_at = u32::try_from(store.len()).unwrap();
    store.extend(numbers([region, 7, (count * ENTRY).wrapping_neg(), ENTRY]));
    let mut out = vec![0x8E, 0xAD, 0xE8, 0x01, 0, 0, 0, 0];
    out.extend(count.to_be_bytes());
    out.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
    out.extend(numbers([region, 7, trailer_at, ENTRY]));
    out.extend(index);
    out.extend(store);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a program says on its standard output; it must end well.
pub(crate) fn output(command: &mut Command) -> String {
    let done = command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A package built by `dpkg-deb` with this control file and these files, in `dir`; `packing` is gzip, xz, zstd or none.
pub(crate) fn dpkg_deb(dir: &Path, control: &[u8], files: &[(&str, &[u8])], packing: &str) -> PathBuf {
    let root = tempfile::tempdir_in(dir).unwrap();
    std::fs::create_dir(root.path().join("DEBIAN")).unwrap();
    std::fs::write(root.path().join("DEBIAN/control"), control).unwrap();
    for (path, bytes) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let target = dir.join(format!("{}.deb", root.path().file_name().unwrap().to_string_lossy()));
    let packing = format!("-Z{packing}");
    let options = ["--root-owner-group", "--uniform-compression", &packing, "--nocheck", "--build"];
    output(Command::new("dpkg-deb").args(options).arg(root.path()).arg(&target));
    target
}

/// The packages `rpmbuild` makes of a spec file, in `dir`: binary and source ones, sorted by name.
pub(crate) fn rpmbuild(dir: &Path, spec: &[u8]) -> Vec<PathBuf> {
    let root = tempfile::tempdir_in(dir).unwrap();
    let path = root.path().join("test.spec");
    std::fs::write(&path, spec).unwrap();
    let top = format!("_topdir {}", root.path().display());
    output(Command::new("rpmbuild").args(["-ba", "--quiet", "--define", &top]).arg(&path));
    let mut found = Vec::new();
    for kind in ["RPMS", "SRPMS"] {
        collect(&root.path().join(kind), &mut found);
    }
    let moved = found.iter().map(|path| {
        let target = dir.join(path.file_name().unwrap());
        std::fs::rename(path, &target).unwrap();
        target
    });
    let mut moved: Vec<PathBuf> = moved.collect();
    moved.sort();
    moved
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}
