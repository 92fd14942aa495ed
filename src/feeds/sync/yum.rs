//! What a yum upstream has: `repomd.xml`, its signature, `primary`, and the extra metadata (`repos.md` §4).

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use super::failure::{Failure, Outcome, in_file};
use super::place::{Url, base_name, relative};
use super::plan::{Collector, Plan, Reading, Wanted, WantedExtra, believable, fetch_index, open_index};
use super::promise::Promises;
use super::signature;
use super::source::{At, TOP};
use crate::feeds::package::Said;
use crate::formats::compress::Decoder;
use crate::formats::index::described::{Described, More, Mores};
use crate::formats::index::repomd::{self, Data, Entry, Primary};

const REPOMD: &str = "repodata/repomd.xml";
/// Most bytes of an extra metadata file.
const LARGEST_EXTRA: u64 = 1 << 30;

/// What it has; none when that is what it had last time.
pub(super) fn plan(reading: &Reading) -> Outcome<Option<Plan>> {
    let Some(top) = reading.source.top(REPOMD, reading.known())? else { return Ok(None) };
    let verified = match &reading.upstream.definition.key {
        Some(key) => {
            let signature = reading.source.small(&format!("{REPOMD}.asc"), TOP).map_err(|failure| match failure {
                Failure::Missing(words) => Failure::Failed(format!("{words}: the metadata is not signed")),
                other => other,
            })?;
            signature::verify_detached(key, &top.bytes, &signature, reading.now, REPOMD)?;
            true
        }
        None => false,
    };
    let data = repomd::read_repomd(&top.bytes).map_err(in_file(REPOMD))?;
    let primary = data.iter().find(|data| data.kind == "primary" && !data.href.ends_with(".zck"));
    let primary = primary.ok_or_else(|| Failure::Failed(format!("{REPOMD}: it names no primary metadata")))?;
    let mut warnings = Vec::new();
    let wanted = match reading.on_demand() {
        false => read_primary(reading, primary)?,
        true => describe(reading, primary, &data, &mut warnings)?,
    };
    let mut extras = Vec::new();
    for data in data.iter().filter(|data| is_extra(&data.kind)) {
        let at = place(reading, &data.href, data.base.as_deref())?;
        let checksum = believable(&at.shown(), data.checksum.clone())?;
        let size = data.size.filter(|size| *size <= LARGEST_EXTRA);
        extras.push(WantedExtra { kind: data.kind.clone(), at, checksum, size });
    }
    Ok(Some(Plan { wanted, extras, mark: Some(top.mark), verified, warnings, ..Plan::default() }))
}

/// What is passed through: everything but what we compute ourselves.
fn is_extra(kind: &str) -> bool {
    let plain =
        !kind.is_empty() && kind.len() <= 64 && kind.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    let ours = ["primary", "filelists", "other"].iter().any(|ours| kind.starts_with(ours));
    plain && !ours && !kind.ends_with("_db") && !kind.ends_with("_zck")
}

fn read_primary(reading: &Reading, primary: &Data) -> Outcome<Vec<Wanted>> {
    let at = place(reading, &primary.href, primary.base.as_deref())?;
    let name = at.shown();
    let checksum = believable(&name, primary.checksum.clone())?;
    let index = fetch_index(reading, &at, &checksum, primary.size)?;
    let mut files = Collector::default();
    for entry in Primary::new(open_index(&index, &primary.href)?) {
        let entry = entry.map_err(in_file(&name))?;
        reading.source.check()?;
        if keeps(&reading.upstream.definition.arch, &entry.arch) {
            files.add(wanted(reading, entry)?)?;
        }
    }
    Ok(files.finish())
}

/// Reads all that is said of the packages, so that they can be listed before they are here. `filelists` and `other` are
/// read beside `primary`; one that is not there is done without.
fn describe(reading: &Reading, primary: &Data, data: &[Data], warnings: &mut Vec<String>) -> Outcome<Vec<Wanted>> {
    let at = place(reading, &primary.href, primary.base.as_deref())?;
    let name = at.shown();
    let checksum = believable(&name, primary.checksum.clone())?;
    let index = fetch_index(reading, &at, &checksum, primary.size)?;
    let mut lists = Beside::open(reading, data, "filelists")?;
    let mut changes = Beside::open(reading, data, "other")?;
    if lists.is_none() {
        warnings.push(format!(
            "{REPOMD}: it names no filelists; of packages that are not here yet only the files in primary are known"
        ));
    }
    let mut files = Collector::default();
    let mut promises = Promises::new(reading);
    let mut all = Described::new(open_index(&index, &primary.href)?);
    while let Some((entry, mut rpm)) = all.read_next().map_err(in_file(&name))? {
        reading.source.check()?;
        let id = entry.checksum.as_ref().map(|checksum| checksum.hex.clone()).unwrap_or_default();
        if let Some(more) = lists.as_mut().map(|list| list.of(&id)).transpose()? {
            rpm.files = more.files;
        }
        if let Some(more) = changes.as_mut().map(|list| list.of(&id)).transpose()? {
            rpm.changelogs = more.changelogs;
        }
        if keeps(&reading.upstream.definition.arch, &entry.arch) {
            let wanted = wanted(reading, entry)?;
            promises.add(&wanted, Said::Rpm(Box::new(rpm)))?;
            files.add(wanted)?;
        }
    }
    promises.flush()?;
    Ok(files.finish())
}

/// Most bytes of what is read ahead of the package that is wanted.
const READ_AHEAD: usize = 64 << 20;

/// A file that says more of the packages of `primary`: usually in its order.
struct Beside {
    name: String,
    mores: Mores<BufReader<Decoder<File>>>,
    /// What came before its turn, with its weight.
    early: HashMap<String, More>,
    weight: usize,
}

impl Beside {
    fn open(reading: &Reading, data: &[Data], kind: &'static str) -> Outcome<Option<Beside>> {
        let Some(data) = data.iter().find(|data| data.kind == kind && !data.href.ends_with(".zck")) else {
            return Ok(None);
        };
        let at = place(reading, &data.href, data.base.as_deref())?;
        let name = at.shown();
        let checksum = believable(&name, data.checksum.clone())?;
        let index = fetch_index(reading, &at, &checksum, data.size)?;
        let mores = Mores::new(open_index(&index, &data.href)?);
        Ok(Some(Beside { name, mores, early: HashMap::new(), weight: 0 }))
    }

    /// What it says of a package.
    fn of(&mut self, id: &str) -> Outcome<More> {
        if let Some(more) = self.early.remove(id) {
            self.weight -= more.weight();
            return Ok(more);
        }
        loop {
            let next = self.mores.read_next().map_err(in_file(&self.name))?;
            let Some(more) = next else {
                return Err(Failure::Failed(format!("{}: it leaves out a package that primary names", self.name)));
            };
            if more.id == id {
                return Ok(more);
            }
            self.weight += more.weight();
            if self.weight > READ_AHEAD {
                return Err(Failure::Failed(format!(
                    "{}: its packages are in another order than in primary, and too many to be sorted here: fetch the \
                     packages with the sync (policy immediate)",
                    self.name
                )));
            }
            if let Some(twice) = self.early.insert(more.id.clone(), more) {
                self.weight -= twice.weight();
            }
        }
    }
}

fn wanted(reading: &Reading, entry: Entry) -> Outcome<Wanted> {
    let at = place(reading, &entry.href, entry.base.as_deref())?;
    let checksum = believable(&entry.href, entry.checksum)?;
    let path = relative(&entry.href)?;
    Ok(Wanted {
        at,
        checksum: Some(checksum),
        size: entry.size,
        names: vec![base_name(&path).to_owned()],
        component: None,
        seen: None,
        stamp: None,
    })
}

/// Where a file of the metadata is. A base of its own counts when it is an http(s) address.
fn place(reading: &Reading, href: &str, base: Option<&str>) -> Outcome<At> {
    let path = relative(href)?;
    match base.map(str::trim).filter(|base| !base.is_empty()).map(|base| (base, Url::read(base))) {
        Some((_, Some(url))) => {
            // An upstream behind TLS does not send us elsewhere without.
            if reading.source.url().is_some_and(|home| home.secure) && !url.secure {
                return Err(Failure::Failed(format!("{href}: its base leads from https to http")));
            }
            Ok(At::Url(url.below(&path)))
        }
        Some((base, None)) if base.contains("://") && !base.starts_with("media:") => {
            Err(Failure::Failed(format!("{href}: its base is no http(s) address")))
        }
        _ => {
            let written = (path != href).then(|| href.to_owned());
            Ok(At::Path(path, written))
        }
    }
}

/// Whether a package of this architecture is kept.
fn keeps(wanted: &[String], arch: &str) -> bool {
    wanted.is_empty() || matches!(arch, "noarch" | "all") || wanted.iter().any(|name| name == arch)
}
