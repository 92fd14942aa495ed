//! Reads apt's `Release` files and the paths and one-line sources that people write for apt upstreams (`repos.md` §2, §5).

use super::{Algorithm, Checksum, Problem, shown};

/// Most index files a `Release` may name.
const MOST_FILES: usize = 200_000;

/// What a `Release` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Seconds since 1970 of `Date`.
    pub date: Option<i64>,
    /// Seconds since 1970 of `Valid-Until`.
    pub valid_until: Option<i64>,
    /// The architectures.
    pub architectures: Vec<String>,
    /// The components; what stands before a last slash is kept.
    pub components: Vec<String>,
    /// Whether index files may be fetched by their checksum.
    pub by_hash: bool,
    /// Whether the indexes of architectures hold the packages for all of them.
    pub all_in_each: bool,
    /// The index files by path, with the strongest of the sections SHA256 and SHA512.
    pub files: Vec<IndexFile>,
    /// Whether there are only sections that are too weak to be believed.
    pub weak: bool,
}

/// An index file that a `Release` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    /// Relative to the `Release`; a leading `./` is taken away.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Checksum,
}

impl Release {
    /// The index file at `path`.
    pub fn file(&self, path: &str) -> Option<&IndexFile> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().and_then(|at| self.files.get(at))
    }
}

/// Reads a `Release`, or the signed text of an `InRelease`.
///
/// # Errors
/// When a line is no field, or a value cannot be understood.
pub fn read_release(text: &str) -> Result<Release, Problem> {
    let mut release = Release::default();
    let mut field = String::new();
    let (mut strong, mut weak) = (false, false);
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            match field.as_str() {
                "sha256" | "sha512" => {
                    strong = true;
                    release.files.push(index_file(line, &field)?);
                    if release.files.len() > MOST_FILES {
                        return Err(Problem::new("it names too many files"));
                    }
                }
                "md5sum" | "sha1" => weak = true,
                _ => {}
            }
            continue;
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| Problem::new(format!("the line {:?} is no field", shown(line))))?;
        field = name.trim().to_ascii_lowercase();
        let value = value.trim();
        match field.as_str() {
            "date" => release.date = Some(seconds("Date", value)?),
            "valid-until" => release.valid_until = Some(seconds("Valid-Until", value)?),
            "architectures" => release.architectures = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "components" => release.components = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "acquire-by-hash" => release.by_hash = value.eq_ignore_ascii_case("yes"),
            "no-support-for-architecture-all" => release.all_in_each = value.eq_ignore_ascii_case("packages"),
            _ => {}
        }
    }
    // The strongest checksum of each path stays.
    let key = |file: &IndexFile| (file.path.clone(), std::cmp::Reverse(file.checksum.algorithm));
    release.files.sort_by_cached_key(key);
    release.files.dedup_by(|later, first| later.path == first.path);
    release.weak = weak && !strong;
    Ok(release)
}

fn index_file(line: &str, section: &str) -> Result<IndexFile, Problem> {
    let odd = || Problem::new(format!("the line {:?} names no index file", shown(line)));
    let mut words = line.split_ascii_whitespace();
    let (Some(hex), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(odd());
    };
    let algorithm = Algorithm::from_name(section).ok_or_else(odd)?;
    let path = path.strip_prefix("./").unwrap_or(path).to_owned();
    Ok(IndexFile { path, size: size.parse().map_err(|_| odd())?, checksum: Checksum::new(algorithm, hex)? })
}

/// `Fri, 20 Nov 2026 20:41:01 UTC`: also with one-digit days, `GMT`, `Z` or a numeric zone.
fn seconds(name: &str, text: &str) -> Result<i64, Problem> {
    read_date(text).ok_or_else(|| Problem::new(format!("{name} {:?} is not a date", shown(text))))
}

fn read_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next().unwrap_or("UTC"));
    let month = month.to_ascii_lowercase();
    let month = MONTHS.iter().position(|known| month.starts_with(known))? + 1;
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?.parse::<i8>().ok()?, parts.next()?.parse::<i8>().ok()?);
    let second = parts.next().unwrap_or("0").parse::<i8>().ok()?.min(59);
    let (year, month, day) = (year.parse().ok()?, i8::try_from(month).ok()?, day.parse().ok()?);
    let moment = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let east = match zone {
        "UTC" | "GMT" | "Z" | "UT" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits = zone.strip_prefix(['+', '-'])?;
            let (hours, minutes) = digits.split_at_checked(2)?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    let utc = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    utc.checked_sub(east)
}

/// Where an apt upstream lies, as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The address or directory everything is relative to.
    pub root: String,
    /// What is read there.
    pub part: Part,
    /// Architectures to keep; empty for all.
    pub arch: Vec<String>,
}

/// The two shapes of apt repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `dists/SUITE`, with these components.
    Suite(String, Vec<String>),
    /// Everything in one directory: the root, or one below it (without slashes at its ends).
    Flat(String),
}

/// Reads `ROOT SUITE COMPONENT… [arch=a,b]`, `ROOT`, `ROOT ./`, `ROOT subdir/`, or a whole one-line source.
///
/// # Errors
/// When a part is missing or makes no sense.
pub fn read_line(text: &str) -> Result<Line, Problem> {
    let mut arch = Vec::new();
    let mut rest = text.trim();
    if let Some(after) = rest.strip_prefix("deb").filter(|after| after.starts_with([' ', '\t', '['])) {
        rest = after.trim_start();
    } else if rest.starts_with("deb-src") {
        return Err(Problem::new("source repositories (deb-src) are not read"));
    }
    if let Some(inside) = rest.strip_prefix('[') {
        let (options, after) = inside.split_once(']').ok_or_else(|| Problem::new("the bracket is not closed"))?;
        for option in options.split_ascii_whitespace() {
            if let Some(list) = option.strip_prefix("arch=") {
                arch.extend(names(list)?);
            }
        }
        rest = after;
    }
    let mut words = Vec::new();
    for word in rest.split_ascii_whitespace() {
        match word.strip_prefix("arch=") {
            Some(list) => arch.extend(names(list)?),
            None => words.push(word),
        }
    }
    let mut words = words.into_iter();
    let root = words.next().ok_or_else(|| Problem::new("the path names no place"))?.to_owned();
    let suite = words.next();
    let components: Vec<String> = words.map(|word| word.trim_matches('/').to_owned()).collect();
    for name in suite.into_iter().chain(components.iter().map(String::as_str)) {
        if name.starts_with('/') || name.split('/').any(|part| part == "..") || name.contains(['\\', '%', '?', '#']) {
            return Err(Problem::new(format!("{:?} is neither a suite nor a component", shown(name))));
        }
    }
    let part = match suite {
        None => Part::Flat(String::new()),
        Some(suite) if components.is_empty() => {
            let Some(directory) = suite.strip_suffix('/') else {
                return Err(Problem::new(format!(
                    "a component is missing behind the suite {}; for a flat repository write the directory with a slash",
                    shown(suite)
                )));
            };
            let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            Part::Flat(parts.join("/"))
        }
        Some(suite) => {
            let suite = suite.trim_matches('/');
            if suite.is_empty() || suite == "." || components.iter().any(String::is_empty) {
                return Err(Problem::new("a flat repository has no components"));
            }
            Part::Suite(suite.to_owned(), components)
        }
    };
    Ok(Line { root, part, arch })
}

fn names(list: &str) -> Result<Vec<String>, Problem> {
    let names: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !is_architecture(name)) {
        Some(odd) => Err(Problem::new(format!("{:?} is not an architecture", shown(odd)))),
        None if names.is_empty() => Err(Problem::new("arch= names no architecture")),
        None => Ok(names),
    }
}

/// Whether a text can be the name of an architecture.
pub fn is_architecture(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_release_is_read() {
        let text = format!(
            "Origin: X\nDate: Fri, 20 Nov 2026 20:41:01 UTC\nValid-Until: Fri, 4 Dec 2026 21:41:01 +0100\n\
             Architectures: all amd64\nComponents: main\nAcquire-By-Hash: yes\n\
             No-Support-for-Architecture-all: Packages\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/x\n\
             SHA256:\n {SUM} 0 ./main/binary-amd64/Packages\n {SUM}\t12 Packages.gz\nSHA512:\n {SUM}{SUM} 12 Packages.gz\n"
        );
        let release = read_release(&text).unwrap();
        assert_eq!(release.date, Some(1_795_207_261));
        assert_eq!(release.valid_until, Some(1_795_207_261 + 14 * 86_400));
        assert_eq!(release.architectures, ["all", "amd64"]);
        assert!(release.by_hash && release.all_in_each && !release.weak);
        assert_eq!(release.files.len(), 2);
        assert_eq!(release.file("main/binary-amd64/Packages").unwrap().size, 0);
        assert_eq!(release.file("Packages.gz").unwrap().checksum.algorithm, Algorithm::Sha512);
        assert!(release.file("main/x").is_none());
        let weak = read_release("SHA1:\n da39a3ee5e6b4b0d3255bfef95601890afd80709 0 x\n").unwrap();
        assert!(weak.weak && weak.files.is_empty());
    }

    #[test]
    fn odd_releases_are_refused() {
        for text in ["hello", "Date: yesterday", "SHA256:\n 12 3 x", &format!("SHA256:\n {SUM} x y"), "SHA256:\n x"] {
            assert!(read_release(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_and_one_line_sources() {
        let suite = |root: &str, suite: &str, components: &[&str], arch: &[&str]| Line {
            root: root.into(),
            part: Part::Suite(suite.into(), components.iter().map(|&c| c.to_owned()).collect()),
            arch: arch.iter().map(|&a| a.to_owned()).collect(),
        };
        let flat = |root: &str, directory: &str| Line {
            root: root.into(),
            part: Part::Flat(directory.into()),
            arch: Vec::new(),
        };
        let cases = [
            ("http://h/d bookworm main", suite("http://h/d", "bookworm", &["main"], &[])),
            (" http://h/d  a/updates  main contrib arch=amd64,arm64 ", {
                suite("http://h/d", "a/updates", &["main", "contrib"], &["amd64", "arm64"])
            }),
            ("deb [arch=amd64 signed-by=/x.gpg] http://h s m", suite("http://h", "s", &["m"], &["amd64"])),
            ("deb http://h s m", suite("http://h", "s", &["m"], &[])),
            ("deb [trusted=yes] /srv/x ./", flat("/srv/x", "")),
            ("http://h/x", flat("http://h/x", "")),
            ("http://h/x ./", flat("http://h/x", "")),
            ("http://h/x /", flat("http://h/x", "")),
            ("http://h/x sub/dir/", flat("http://h/x", "sub/dir")),
        ];
        for (text, line) in cases {
            match read_line(text) {
                Ok(found) => assert_eq!(found, line, "{text}"),
                Err(_) if text.ends_with(" /") => {}
                Err(problem) => panic!("{text}: {problem}"),
            }
        }
        for text in
            ["", "  ", "deb [arch=x http://h s m", "http://h suite", "http://h s m arch=", "deb-src http://h s m"]
        {
            assert!(read_line(text).is_err(), "{text}");
        }
        for text in ["http://h ../x main", "http://h s ../m", "http://h s m arch=a/b", "http://h ./ main"] {
            assert!(read_line(text).is_err(), "{text}");
        }
    }
}
