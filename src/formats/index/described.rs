//! Reads everything yum metadata says of its packages: `primary`, `filelists` and `other`, package by package, so that
//! a package can be listed before its bytes are here (`repos.md` §19.7).

use std::io::BufRead;

use super::repomd::{Entry, Step, Tag, Walk, number, sum};
use super::{Problem, shown};
use crate::formats::rpm::{self, Change, Compare, File, FileKind, Rpm};

/// Most dependencies of one kind, and most files of one package.
const MOST_ENTRIES: usize = 1 << 16;
const MOST_FILES: usize = 1 << 20;
/// Most bytes of one package's paths.
const MOST_PATH_BYTES: usize = 64 << 20;
/// Entries of a changelog that are kept.
const CHANGES: usize = 10;

/// The packages of a `primary` file with all it says of them.
pub struct Described<R> {
    walk: Walk<R>,
    announced: Option<u64>,
    seen: u64,
}

impl<R: BufRead> Described<R> {
    /// Of decompressed bytes.
    pub fn new(reader: R) -> Described<R> {
        Described { walk: Walk::new(reader), announced: None, seen: 0 }
    }

    /// The next package: where it is, and what it is. Its files are those that `primary` names, its changelog is empty.
    ///
    /// # Errors
    /// When the file is malformed, or does not hold as many packages as it says.
    pub fn read_next(&mut self) -> Result<Option<(Entry, Rpm)>, Problem> {
        let mut open: Option<Reading> = None;
        while let Some(step) = self.walk.next()? {
            let depth = self.walk.path.len();
            match step {
                Step::Open(tag) => match (depth, tag.name.as_str(), &mut open) {
                    (1, "metadata", _) => {
                        self.announced = tag.value("packages").and_then(|text| text.trim().parse().ok());
                    }
                    (1, other, _) => {
                        return Err(Problem::new(format!("its root is {}, not metadata", shown(other))));
                    }
                    (2, "package", _) => open = Some(Reading::default()),
                    (_, _, Some(reading)) => reading.open(depth, &tag)?,
                    _ => {}
                },
                Step::Close(name, text) => match (depth, name.as_str(), &mut open) {
                    (1, "package", _) => {
                        self.seen += 1;
                        return open.map(Reading::finish).transpose();
                    }
                    (_, _, Some(reading)) => reading.close(depth, &name, text)?,
                    _ => {}
                },
            }
        }
        match self.announced {
            Some(announced) if announced != self.seen => {
                Err(Problem::new(format!("it announces {announced} packages and names {}", self.seen)))
            }
            _ => Ok(None),
        }
    }
}

/// A package that is being read.
#[derive(Default)]
struct Reading {
    entry: Entry,
    rpm: Rpm,
    checksum: Option<super::Algorithm>,
    list: Option<List>,
    file: Option<FileKind>,
    path_bytes: usize,
}

#[derive(Clone, Copy)]
enum List {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Suggests,
    Enhances,
    Recommends,
    Supplements,
}

impl List {
    fn named(name: &str) -> Option<List> {
        Some(match name {
            "provides" => List::Provides,
            "requires" => List::Requires,
            "conflicts" => List::Conflicts,
            "obsoletes" => List::Obsoletes,
            "suggests" => List::Suggests,
            "enhances" => List::Enhances,
            "recommends" => List::Recommends,
            "supplements" => List::Supplements,
            _ => return None,
        })
    }

    fn of(self, rpm: &mut Rpm) -> &mut Vec<rpm::Entry> {
        match self {
            List::Provides => &mut rpm.provides,
            List::Requires => &mut rpm.requires,
            List::Conflicts => &mut rpm.conflicts,
            List::Obsoletes => &mut rpm.obsoletes,
            List::Suggests => &mut rpm.suggests,
            List::Enhances => &mut rpm.enhances,
            List::Recommends => &mut rpm.recommends,
            List::Supplements => &mut rpm.supplements,
        }
    }
}

impl Reading {
    fn open(&mut self, depth: usize, tag: &Tag) -> Result<(), Problem> {
        let figure = |name: &str| tag.value(name).map_or(Ok(0), |text| number(&text));
        let rpm = &mut self.rpm;
        match (depth, tag.name.as_str()) {
            (3, "checksum") => self.checksum = tag.algorithm()?,
            (3, "location") => {
                self.entry.href = tag.value("href").unwrap_or_default();
                self.entry.base = tag.value("xml:base");
            }
            (3, "size") => {
                self.entry.size = tag.value("package").map(|text| number(&text)).transpose()?;
                (rpm.sizes.installed, rpm.sizes.archive) = (figure("installed")?, figure("archive")?);
            }
            (3, "time") => rpm.build_time = figure("build")?,
            (3, "version") => {
                let epoch = u32::try_from(figure("epoch")?).map_err(|_| Problem::new("an epoch is too large"))?;
                rpm.epoch = (epoch > 0).then_some(epoch);
                rpm.version = tag.value("ver").unwrap_or_default();
                rpm.release = tag.value("rel").unwrap_or_default();
            }
            (4, "header-range") => rpm.header_range = (figure("start")?, figure("end")?),
            (4, "file") => self.file = Some(kind(tag)),
            (4, name) => self.list = List::named(name),
            (5, "entry") => {
                if let Some(list) = self.list {
                    let entries = list.of(rpm);
                    if entries.len() >= MOST_ENTRIES {
                        return Err(Problem::new("a package has too many dependencies"));
                    }
                    entries.push(relation(tag));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, depth: usize, name: &str, text: String) -> Result<(), Problem> {
        let rpm = &mut self.rpm;
        match (depth, name) {
            (2, "checksum") => self.entry.checksum = sum(self.checksum.take(), &text)?,
            (2, "name") => text.trim().clone_into(&mut rpm.name),
            (2, "arch") => text.trim().clone_into(&mut rpm.arch),
            (2, "summary") => rpm.summary = text,
            (2, "description") => rpm.description = text,
            (2, "packager") => rpm.packager = text,
            (2, "url") => rpm.url = text,
            (3, "license") => rpm.license = text,
            (3, "vendor") => rpm.vendor = text,
            (3, "group") => rpm.group = text,
            (3, "buildhost") => rpm.buildhost = text,
            (3, "sourcerpm") => rpm.sourcerpm = text,
            (3, "file") => {
                let kind = self.file.take().unwrap_or(FileKind::Plain);
                add(&mut rpm.files, &mut self.path_bytes, text, kind)?;
            }
            (3, _) => self.list = None,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<(Entry, Rpm), Problem> {
        let Reading { mut entry, rpm, .. } = self;
        for (what, word) in
            [("name", &rpm.name), ("version", &rpm.version), ("release", &rpm.release), ("architecture", &rpm.arch)]
        {
            if word.is_empty() || !rpm::is_word(word) {
                return Err(Problem::new(format!("{:?} cannot be the {what} of a package", shown(word))));
            }
        }
        entry.name.clone_from(&rpm.name);
        entry.arch.clone_from(&rpm.arch);
        Ok((entry, rpm))
    }
}

fn kind(tag: &Tag) -> FileKind {
    match tag.value("type").as_deref() {
        Some("dir") => FileKind::Dir,
        Some("ghost") => FileKind::Ghost,
        _ => FileKind::Plain,
    }
}

fn relation(tag: &Tag) -> rpm::Entry {
    let flags = tag.value("flags").and_then(|word| Compare::from_word(&word));
    let (ver, rel) = (tag.value("ver").unwrap_or_default(), tag.value("rel"));
    rpm::Entry {
        name: tag.value("name").unwrap_or_default(),
        flags,
        epoch: tag.value("epoch").unwrap_or_else(|| "0".to_owned()),
        ver: if flags.is_some() { ver } else { String::new() },
        rel: rel.filter(|_| flags.is_some()),
        pre: tag.value("pre").is_some_and(|pre| pre == "1"),
    }
}

fn add(files: &mut Vec<File>, bytes: &mut usize, path: String, kind: FileKind) -> Result<(), Problem> {
    *bytes = bytes.saturating_add(path.len());
    if files.len() >= MOST_FILES || *bytes > MOST_PATH_BYTES {
        return Err(Problem::new("a package has too many files"));
    }
    files.push(File { path, kind });
    Ok(())
}

/// What `filelists` or `other` say of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// Which package: the checksum that `primary` states for it.
    pub id: String,
    /// Its files.
    pub files: Vec<File>,
    /// The newest entries of its changelog, oldest first.
    pub changelogs: Vec<Change>,
}

impl More {
    /// Roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let files: usize = self.files.iter().map(|file| file.path.len() + 48).sum();
        let changes: usize = self.changelogs.iter().map(|change| change.text.len() + change.author.len() + 80).sum();
        files + changes + 200
    }
}

/// The packages of a `filelists` or an `other` file, one after the other.
pub struct Mores<R> {
    walk: Walk<R>,
}

impl<R: BufRead> Mores<R> {
    /// Of decompressed bytes.
    pub fn new(reader: R) -> Mores<R> {
        Mores { walk: Walk::new(reader) }
    }

    /// The next package.
    ///
    /// # Errors
    /// When the file is malformed.
    pub fn read_next(&mut self) -> Result<Option<More>, Problem> {
        let mut open: Option<More> = None;
        let (mut bytes, mut file, mut change) = (0, FileKind::Plain, None);
        while let Some(step) = self.walk.next()? {
            let depth = self.walk.path.len();
            match step {
                Step::Open(tag) => match (depth, tag.name.as_str()) {
                    (2, "package") => {
                        let id = tag.value("pkgid").unwrap_or_default().trim().to_ascii_lowercase();
                        open = Some(More { id, ..More::default() });
                    }
                    (3, "file") => file = kind(&tag),
                    (3, "changelog") => {
                        let time = tag.value("date").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                        change = Some((time, tag.value("author").unwrap_or_default()));
                    }
                    _ => {}
                },
                Step::Close(name, text) => match (depth, name.as_str(), &mut open) {
                    (1, "package", _) => {
                        if let Some(more) = &mut open {
                            more.changelogs.sort_by_key(|change| change.time);
                            let surplus = more.changelogs.len().saturating_sub(CHANGES);
                            more.changelogs.drain(..surplus);
                        }
                        return Ok(open);
                    }
                    (2, "file", Some(more)) => add(&mut more.files, &mut bytes, text, file)?,
                    (2, "changelog", Some(more)) => {
                        bytes = bytes.saturating_add(text.len());
                        if bytes > MOST_PATH_BYTES {
                            return Err(Problem::new("a changelog is too long"));
                        }
                        if let Some((time, author)) = change.take() {
                            more.changelogs.push(Change { time, author, text });
                        }
                    }
                    _ => {}
                },
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_package_is_read_with_all_that_is_said_of_it() {
        let text = format!(
            "<metadata xmlns=\"c\" xmlns:rpm=\"r\" packages=\"1\"><package type=\"rpm\"><name>tool</name><arch>x86_64</arch>\
             <version epoch=\"2\" ver=\"1.4\" rel=\"1.el9\"/><checksum type=\"sha256\" pkgid=\"YES\">{SUM}</checksum>\
             <summary>A &amp; tool</summary><description>Does\n things</description><packager/><url>https://x/</url>\
             <time file=\"9\" build=\"17\"/><size package=\"7\" installed=\"8\" archive=\"9\"/><location href=\"P/t.rpm\"/>\
             <format><rpm:license>MIT</rpm:license><rpm:vendor>V</rpm:vendor><rpm:group>G</rpm:group>\
             <rpm:buildhost>b</rpm:buildhost><rpm:sourcerpm>tool.src.rpm</rpm:sourcerpm>\
             <rpm:header-range start=\"4504\" end=\"9120\"/><rpm:provides><rpm:entry name=\"tool\" flags=\"EQ\" epoch=\"2\" \
             ver=\"1.4\" rel=\"1.el9\"/></rpm:provides><rpm:requires><rpm:entry name=\"libc\"/><rpm:entry name=\"setup\" \
             pre=\"1\"/></rpm:requires><file>/usr/bin/tool</file><file type=\"dir\">/etc/tool</file></format></package>\
             </metadata>"
        );
        let mut read = Described::new(text.as_bytes());
        let (entry, rpm) = read.read_next().unwrap().unwrap();
        assert_eq!((entry.href.as_str(), entry.size, entry.checksum.unwrap().hex.as_str()), ("P/t.rpm", Some(7), SUM));
        assert_eq!((rpm.epoch, rpm.version.as_str(), rpm.release.as_str()), (Some(2), "1.4", "1.el9"));
        assert_eq!(
            (rpm.summary.as_str(), rpm.description.as_str(), rpm.packager.as_str()),
            ("A & tool", "Does\n things", "")
        );
        assert_eq!((rpm.build_time, rpm.sizes.installed, rpm.header_range), (17, 8, (4504, 9120)));
        assert_eq!((rpm.license.as_str(), rpm.sourcerpm.as_str()), ("MIT", "tool.src.rpm"));
        let provided = &rpm.provides[0];
        assert_eq!(
            (provided.flags, provided.rel.as_deref(), provided.epoch.as_str()),
            (Some(Compare::Eq), Some("1.el9"), "2")
        );
        assert_eq!((rpm.requires.len(), rpm.requires[1].pre, rpm.requires[0].flags), (2, true, None));
        assert_eq!((rpm.files[1].path.as_str(), rpm.files[1].kind), ("/etc/tool", FileKind::Dir));
        assert!(read.read_next().unwrap().is_none());
        for (from, to) in
            [("<name>tool", "<name>../tool"), ("ver=\"1.4\" rel=\"1.el9\"/><ch", "ver=\"\" rel=\"1\"/><ch")]
        {
            assert!(Described::new(text.replace(from, to).as_bytes()).read_next().is_err(), "{to}");
        }
    }

    #[test]
    fn lists_and_changelogs_are_read() {
        let text = "<filelists><package pkgid=\"AB\" name=\"a\" arch=\"x\"><version/><file>/a</file>\
                    <file type=\"ghost\">/b</file></package><package pkgid=\"cd\"/></filelists>";
        let mut read = Mores::new(text.as_bytes());
        let first = read.read_next().unwrap().unwrap();
        assert_eq!((first.id.as_str(), first.files.len(), first.files[1].kind), ("ab", 2, FileKind::Ghost));
        assert_eq!(read.read_next().unwrap().unwrap().id, "cd");
        assert!(read.read_next().unwrap().is_none());
        let changes: String =
            (0..12).rev().map(|n| format!("<changelog author=\"p\" date=\"{n}\">t{n}</changelog>")).collect();
        let text = format!("<otherdata><package pkgid=\"ab\">{changes}</package></otherdata>");
        let more = Mores::new(text.as_bytes()).read_next().unwrap().unwrap();
        assert_eq!((more.changelogs.len(), more.changelogs[0].time, more.changelogs[9].text.as_str()), (10, 2, "t11"));
    }
}
