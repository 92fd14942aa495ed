//! `packhouse-bundle.json`: what a bundle says of the repo it carries; written, and read with suspicion. Pure.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::{Extra, Extras, Member, Package, Type};
use crate::feeds::{options, rules};
use crate::ids::Digest;

/// The one version of bundles there is.
const FORMAT: u64 = 1;
/// The most names one file is published under.
const MOST_NAMES: usize = 10_000;
/// The most metadata files that are passed through.
const MOST_EXTRA: usize = 1_000;

/// What a bundle says of its repo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u64,
    /// The repo's name.
    pub(super) repo: String,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    /// How it is published, as `GET /repo/NAME` shows it.
    pub(super) options: Map<String, Value>,
    /// The number of its state.
    pub(super) generation: u64,
    /// When that was published.
    pub(super) created_at: String,
    /// The state whose packages are left out; none when all are here.
    #[serde(default)]
    pub(super) base: Option<Base>,
    /// Every package of the repo.
    pub(super) packages: Vec<Line>,
    /// Metadata that is passed through.
    #[serde(default)]
    pub(super) extra: Vec<ExtraLine>,
}

/// A state of the repo that the other side is supposed to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// Its number.
    pub(super) generation: u64,
    /// What stands for its packages.
    pub(super) digest: Digest,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The name it is published under, the first when there are several.
    pub(super) filename: String,
    pub(super) shasum: Digest,
    /// Its bytes.
    pub(super) size: u64,
    /// The file name it is known by, when that is not the end of the name it is published under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// All its names, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) filenames: Vec<String>,
    /// The component of an apt repo it belongs to; none means the repo's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) component: Option<String>,
}

/// A metadata file that is passed through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExtraLine {
    /// `updateinfo`, `group`, `modules` …
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) filename: String,
    pub(super) shasum: Digest,
    pub(super) size: u64,
    /// SHA-256 of the unpacked bytes, and their number.
    pub(super) open_shasum: Digest,
    pub(super) open_size: u64,
}

impl Line {
    /// Of a package as its set knows it.
    pub(super) fn new(digest: &Digest, package: &Package, member: &Member) -> Line {
        let names: Vec<String> = member.names(package).into_iter().map(str::to_owned).collect();
        let filename = names.first().cloned().unwrap_or_default();
        let known = rules::base_name(&filename).is_ok_and(|name| name == package.filename);
        Line {
            filename,
            shasum: *digest,
            size: package.size,
            name: (!known).then(|| package.filename.clone()),
            filenames: if names.len() > 1 { names } else { Vec::new() },
            component: member.component.clone(),
        }
    }

    /// The file name it is known by.
    pub(super) fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.filename)
    }

    /// The names it is published under.
    pub(super) fn names(&self) -> &[String] {
        match self.filenames.as_slice() {
            [] => std::slice::from_ref(&self.filename),
            names => names,
        }
    }
}

/// The lines of a set's metadata.
pub(super) fn extra_lines(extras: &Extras) -> Vec<ExtraLine> {
    let line = |(kind, extra): (&String, &Extra)| ExtraLine {
        kind: kind.clone(),
        filename: extra.name.clone(),
        shasum: extra.digest,
        size: extra.size,
        open_shasum: extra.open_digest,
        open_size: extra.open_size,
    };
    extras.iter().map(line).collect()
}

impl Manifest {
    /// The version that is written.
    pub(super) const FORMAT: u64 = FORMAT;

    /// Its text: one package a line, always the same for the same state.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn text(&self) -> Result<Vec<u8>> {
        fn list<T: Serialize>(text: &mut Vec<u8>, key: &str, rows: &[T]) -> serde_json::Result<()> {
            text.extend_from_slice(b",\n\"");
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(b"\": [");
            for (number, row) in rows.iter().enumerate() {
                text.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
                serde_json::to_writer(&mut *text, row)?;
            }
            text.push(b']');
            Ok(())
        }
        let write = || -> serde_json::Result<Vec<u8>> {
            let mut text = b"{\"format\": ".to_vec();
            serde_json::to_writer(&mut text, &self.format)?;
            let fields: [(&str, Value); 6] = [
                ("repo", serde_json::to_value(&self.repo)?),
                ("type", serde_json::to_value(self.kind)?),
                ("options", Value::Object(self.options.clone())),
                ("generation", serde_json::to_value(self.generation)?),
                ("created_at", serde_json::to_value(&self.created_at)?),
                ("base", serde_json::to_value(&self.base)?),
            ];
            for (key, value) in fields {
                text.extend_from_slice(format!(",\n\"{key}\": ").as_bytes());
                serde_json::to_writer(&mut text, &value)?;
            }
            list(&mut text, "packages", &self.packages)?;
            list(&mut text, "extra", &self.extra)?;
            text.extend_from_slice(b"}\n");
            Ok(text)
        };
        write().map_err(Error::internal)
    }

    /// Reads one and judges all it says that can be judged without knowing anything else.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Manifest> {
        let broken = |e: serde_json::Error| Error::invalid(format!("{} cannot be read: {e}", super::MANIFEST));
        let format: Format = serde_json::from_slice(bytes).map_err(broken)?;
        if format.format != FORMAT {
            let sentence = format!("the bundle has the format {}, this server reads {FORMAT}", format.format);
            return Err(Error::invalid(sentence));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(broken)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        rules::check_name(&self.repo)?;
        self.published()?;
        if self.generation == 0 || self.base.as_ref().is_some_and(|base| base.generation > self.generation) {
            return Err(Error::invalid("the generation of the bundle is not behind its base"));
        }
        let mut seen = HashSet::with_capacity(self.packages.len());
        let mut names = HashSet::new();
        for line in &self.packages {
            if !seen.insert(line.shasum) {
                return Err(Error::invalid(format!("the bundle names package {} twice", line.shasum)));
            }
            self.check_line(line, &mut names)?;
        }
        if self.extra.len() > MOST_EXTRA {
            return Err(Error::invalid(format!("the bundle has more than {MOST_EXTRA} metadata files")));
        }
        let mut kinds = HashSet::new();
        for extra in &self.extra {
            if !is_extra(&extra.kind) || !rules::is_plain_file_name(&extra.filename) {
                let sentence = format!("the bundle cannot pass on metadata of type {}", rules::shown(&extra.kind));
                return Err(Error::invalid(sentence));
            }
            if !kinds.insert(extra.kind.as_str()) {
                return Err(Error::invalid(format!("the bundle has metadata of type {} twice", extra.kind)));
            }
        }
        Ok(())
    }

    fn check_line<'a>(&self, line: &'a Line, names: &mut HashSet<&'a str>) -> Result<()> {
        if line.filenames.len() > MOST_NAMES {
            return Err(Error::invalid(format!("package {} has more than {MOST_NAMES} names", line.shasum)));
        }
        match self.kind {
            Type::Dir => {
                for name in line.names() {
                    rules::check_path(name)?;
                    if !names.insert(name) {
                        return Err(Error::invalid(format!("the bundle has {} twice", rules::shown(name))));
                    }
                }
            }
            _ => drop(rules::base_name(&line.filename)?),
        }
        rules::base_name(line.name())?;
        line.component.as_deref().map_or(Ok(()), options::check_component)
    }

    /// When its state was published, in seconds.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn published(&self) -> Result<i64> {
        let time = self.created_at.parse::<jiff::Timestamp>();
        time.map(jiff::Timestamp::as_second).map_err(|_| Error::invalid("created_at of the bundle is no time"))
    }

    /// The packages by their shasums.
    pub(super) fn by_shasum(&self) -> BTreeMap<Digest, &Line> {
        self.packages.iter().map(|line| (line.shasum, line)).collect()
    }

    /// The metadata that is passed through, as a set has it.
    pub(super) fn extras(&self) -> Extras {
        let extra = |line: &ExtraLine| Extra {
            digest: line.shasum,
            size: line.size,
            name: line.filename.clone(),
            open_digest: line.open_shasum,
            open_size: line.open_size,
        };
        self.extra.iter().map(|line| (line.kind.clone(), extra(line))).collect()
    }
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// A time in whole seconds as manifests have it.
pub(super) fn time(seconds: i64) -> String {
    Time(seconds.saturating_mul(1_000_000)).rfc3339()
}

/// Whether metadata of this type is passed through and not made here.
fn is_extra(kind: &str) -> bool {
    const OURS: [&str; 3] = ["primary", "filelists", "other"];
    let plain =
        (1..=64).contains(&kind.len()) && kind.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    plain
        && !OURS.iter().any(|ours| kind.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Manifest {
        let line = |name: &str| Line {
            filename: name.to_owned(),
            shasum: Digest::of(name.as_bytes()),
            size: 3,
            name: None,
            filenames: Vec::new(),
            component: None,
        };
        Manifest {
            format: 1,
            repo: "r".to_owned(),
            kind: Type::Dir,
            options: Map::new(),
            generation: 4,
            created_at: time(1_700_000_000),
            base: Some(Base { generation: 2, digest: Digest::of(b"") }),
            packages: vec![line("a"), line("b/c")],
            extra: vec![ExtraLine {
                kind: "updateinfo".to_owned(),
                filename: "updateinfo.xml.gz".to_owned(),
                shasum: Digest::of(b"x"),
                size: 1,
                open_shasum: Digest::of(b"y"),
                open_size: 1,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = sample();
        let text = manifest.text().unwrap();
        assert_eq!(Manifest::read(&text).unwrap(), manifest);
        assert_eq!(manifest.text().unwrap(), text);
        assert_eq!(manifest.published().unwrap(), 1_700_000_000);
        let empty = Manifest { packages: Vec::new(), extra: Vec::new(), base: None, ..manifest };
        assert_eq!(Manifest::read(&empty.text().unwrap()).unwrap(), empty);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good: Value = serde_json::from_slice(&sample().text().unwrap()).unwrap();
        let changes: [(&str, Value); 19] = [
            ("/format", json!(2)),
            ("/format", json!("1")),
            ("/repo", json!("../r")),
            ("/repo", json!(null)),
            ("/type", json!("zip")),
            ("/generation", json!(0)),
            ("/generation", json!(1)),
            ("/generation", json!(-1)),
            ("/created_at", json!("yesterday")),
            ("/base/digest", json!("12")),
            ("/packages/0/filename", json!("../a")),
            ("/packages/0/filename", json!("b/c")),
            ("/packages/0/shasum", json!(Digest::of(b"b/c"))),
            ("/packages/0/size", json!(-3)),
            ("/packages", json!({})),
            ("/extra/0/type", json!("primary")),
            ("/extra/0/type", json!("primary_db")),
            ("/extra/0/type", json!("a/b")),
            ("/extra/0/filename", json!("../x")),
        ];
        assert!(Manifest::read(&serde_json::to_vec(&good).unwrap()).is_ok());
        for (place, value) in changes {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = value.clone();
            assert!(Manifest::read(&serde_json::to_vec(&bad).unwrap()).is_err(), "{place} {value}");
        }
        for bad in ["", "[]", "{}", "null", "{\"format\":1}", "{\"format\":1,"] {
            assert!(Manifest::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
