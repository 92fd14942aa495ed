//! The apt tree: one `Packages` a component and architecture, and the `Release` that names them (`repos.md` §13).

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::desk::Key;
use crate::feeds::model::packages::{self, Fragments};
use crate::feeds::model::repos::{Options, Repo};
use crate::feeds::model::trees::{self, File, Index, Place, Sum};
use crate::feeds::model::{Set, sets};
use crate::feeds::order;
use crate::feeds::publish::blocks::{Column, Moves, Plan};
use crate::feeds::publish::{Draft, paths, remember_gone};
use crate::ids::Digest;
use crate::store::table::ReadTx;

/// The architecture of packages that fit all.
const ALL: &str = "all";

/// What a repo's options come to.
pub(in crate::feeds) struct Shape<'a> {
    pub(in crate::feeds) suite: &'a str,
    pub(in crate::feeds) codename: &'a str,
    pub(in crate::feeds) component: &'a str,
    pub(in crate::feeds) origin: &'a str,
    pub(in crate::feeds) label: &'a str,
    pub(in crate::feeds) architectures: Vec<&'a str>,
    pub(in crate::feeds) description: String,
}

/// The options of an apt repo with the defaults for what they do not say.
pub(in crate::feeds) fn shape<'a>(options: &'a Options, name: &'a str) -> Shape<'a> {
    fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
        if text.is_empty() { default } else { text }
    }
    let suite = or(&options.suite, "stable");
    Shape {
        suite,
        codename: or(&options.codename, suite),
        component: or(&options.component, paths::COMPONENT),
        origin: or(&options.origin, "Packhouse"),
        label: or(&options.label, name),
        architectures: match options.architectures.is_empty() {
            true => vec!["amd64", "arm64"],
            false => options.architectures.iter().map(String::as_str).collect(),
        },
        description: match options.description.as_str() {
            "" => format!("Packhouse repository {name}"),
            text => text.to_owned(),
        },
    }
}

/// The components and architectures that have an index.
pub(in crate::feeds) fn axes(repo: &Repo, name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let shape = shape(&repo.options, name);
    let mut components = BTreeSet::from([shape.component.to_owned()]);
    let mut architectures: BTreeSet<String> = shape.architectures.iter().map(|arch| (*arch).to_owned()).collect();
    architectures.insert(ALL.to_owned());
    for shelf in repo.shelves.keys() {
        if let Some((component, arch)) = shelf.rsplit_once('/') {
            components.insert(component.to_owned());
            architectures.insert(arch.to_owned());
        }
    }
    (components, architectures)
}

/// Makes the files of the next generation.
pub(super) fn build(draft: &mut Draft, key: &Key) -> Result<()> {
    let moves = move_shelves(draft);
    let options = draft.repo.options.clone();
    let old_component = draft.old.map(|old| old.options.component.clone()).unwrap_or_default();
    remember_gone(draft, |digest, moved, was| {
        paths::apt(digest, &moved.package, paths::component(was, &old_component))
    });
    let (components, architectures) = axes(&draft.repo, draft.name);
    let own = shape(&options, draft.name).component.to_owned();
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let root = match options.flat {
        true => String::new(),
        false => format!("dists/{}/", shape(&options, draft.name).suite),
    };
    let wanted: Vec<(String, Vec<String>, String)> = match options.flat {
        true => vec![("flat".to_owned(), draft.shelves_with_old(), String::new())],
        false => {
            let mut wanted = Vec::new();
            for component in &components {
                for arch in &architectures {
                    let shelf = format!("{component}/{arch}");
                    let all = format!("{component}/{ALL}");
                    let shelves = if shelf == all { vec![all] } else { vec![shelf.clone(), all] };
                    wanted.push((shelf, shelves, format!("{component}/binary-{arch}/")));
                }
            }
            wanted
        }
    };
    for (name, shelves, directory) in wanted {
        let index = index(draft, &moves, &name, shelves, &own)?;
        publish_index(draft, &root, &directory, &index, &mut sums);
        draft.edition.indexes.insert(name, index);
    }
    let release = release(draft, &components, &architectures, &sums);
    draft.put_bytes(&format!("{root}Release"), release.as_bytes())?;
    draft.put_bytes(&format!("{root}Release.gpg"), key.sign(release.as_bytes())?.as_bytes())?;
    draft.put_bytes(&format!("{root}InRelease"), key.clearsign(&release)?.as_bytes())
}

/// Which places change on which shelf; counts what each shelf has.
fn move_shelves(draft: &mut Draft) -> BTreeMap<String, Moves> {
    let own = shape(&draft.repo.options, draft.name).component.to_owned();
    let old_own = draft.old.map(|old| shape(&old.options, draft.name).component.to_owned()).unwrap_or_default();
    let mut moves: BTreeMap<String, Moves> = BTreeMap::new();
    for (digest, moved) in &draft.moved {
        let place: Place = (order::place_key(&moved.package), *digest);
        let shelf = |component: &str| format!("{component}/{}", moved.package.arch);
        let was = moved.was.as_ref().map(|was| shelf(paths::component(was, &old_own)));
        let will = moved.will.as_ref().map(|will| shelf(paths::component(will, &own)));
        if was == will {
            continue;
        }
        if let Some(shelf) = was {
            let count = draft.repo.shelves.get(&shelf).copied().unwrap_or_default().saturating_sub(1);
            match count {
                0 => drop(draft.repo.shelves.remove(&shelf)),
                _ => drop(draft.repo.shelves.insert(shelf.clone(), count)),
            }
            draft.edition.unplaced.push((shelf.clone(), place.clone()));
            moves.entry(shelf).or_default().unplaced.insert(place.clone());
        }
        if let Some(shelf) = will {
            *draft.repo.shelves.entry(shelf.clone()).or_default() += 1;
            draft.edition.placed.push((shelf.clone(), place.clone()));
            moves.entry(shelf).or_default().placed.insert(place);
        }
    }
    moves
}

impl Draft<'_> {
    /// Every shelf there was or will be.
    fn shelves_with_old(&self) -> Vec<String> {
        let old = self.old.iter().flat_map(|old| old.shelves.keys());
        let all: BTreeSet<&String> = old.chain(self.repo.shelves.keys()).collect();
        all.into_iter().cloned().collect()
    }
}

fn index(
    draft: &mut Draft,
    moves: &BTreeMap<String, Moves>,
    name: &str,
    shelves: Vec<String>,
    own: &str,
) -> Result<Index> {
    let packing = "gz+xz".to_owned();
    let old = draft.store().read(|tx| trees::index(tx, draft.name, name))?;
    let mut merged = Moves::default();
    let mut count = 0;
    for shelf in &shelves {
        if let Some(moves) = moves.get(shelf) {
            merged.placed.extend(moves.placed.iter().cloned());
            merged.unplaced.extend(moves.unplaced.iter().cloned());
        }
        count += draft.repo.shelves.get(shelf).copied().unwrap_or_default();
    }
    // A package that only changes its component stays in a flat index, under another path.
    let set = Set::Repo(draft.name.to_owned());
    let plan = Plan {
        store: draft.store(),
        repo: draft.name,
        shelves,
        moves: merged,
        prepared: draft.prepared,
        columns: vec![Column { head: String::new(), foot: String::new() }],
        old: old.filter(|index| index.packing == packing).map(|index| vec![index]),
        packing,
        xz: true,
        render: &|tx, digest, fragments| Ok(vec![stanza(draft, tx, &set, digest, fragments, own)?]),
        published: draft.repo.published,
        count,
    };
    let built = plan.build()?.pop().ok_or_else(|| Error::internal("no index was built"))?;
    for (staged, ending) in built.staged.into_iter().zip(["gz", "xz"]) {
        draft.take(&format!("Packages.{ending}"), staged);
    }
    Ok(built.index)
}

/// A package's stanza, with where it is published here.
fn stanza(draft: &Draft, tx: &ReadTx, set: &Set, digest: &Digest, fragments: Fragments, own: &str) -> Result<String> {
    let lost = || Error::internal("a deb has lost what it contributes to indexes");
    let mut text = fragments.stanza.ok_or_else(lost)?.read()?;
    let (package, member) = match draft.moved.get(digest) {
        Some(moved) => (moved.package.clone(), moved.will.clone()),
        None => (packages::get(tx, digest)?.ok_or_else(lost)?, sets::member(tx, set, digest)?),
    };
    let member = member.unwrap_or_default();
    let path = paths::apt(digest, &package, paths::component(&member, own));
    text.push_str(&format!("Filename: {path}\nSize: {}\nSHA256: {digest}\n\n", package.size));
    Ok(text)
}

/// Gives an index its names: plain, gzip, xz, and each by its checksum.
fn publish_index(draft: &mut Draft, root: &str, directory: &str, index: &Index, sums: &mut BTreeMap<String, Sum>) {
    let packed = index.packed.digest;
    let forms = [("", Some(index.open), Some(packed)), (".gz", Some(index.packed), None), (".xz", index.xz, None)];
    for (ending, sum, packed) in forms {
        let Some(sum) = sum else { continue };
        let file =
            File { digest: sum.digest, size: sum.size, modified: index.made, fixed: false, packed, retired: None };
        let named = format!("{directory}Packages{ending}");
        let hashed = format!("{root}{directory}by-hash/SHA256/{}", sum.digest);
        draft.edition.files.insert(hashed, File { fixed: true, ..file.clone() });
        draft.edition.files.insert(format!("{root}{named}"), file);
        sums.insert(named, sum);
    }
}

fn release(
    draft: &Draft,
    components: &BTreeSet<String>,
    architectures: &BTreeSet<String>,
    sums: &BTreeMap<String, Sum>,
) -> String {
    let shape = shape(&draft.repo.options, draft.name);
    // "all" comes first by its name in most lists; order means nothing to clients.
    let words = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut text = format!(
        "Origin: {}\nLabel: {}\nSuite: {}\nCodename: {}\nDate: {}\n",
        shape.origin,
        shape.label,
        shape.suite,
        shape.codename,
        date(draft.repo.updated.seconds())
    );
    if draft.repo.options.valid_days > 0 {
        let until = draft.repo.updated.seconds().saturating_add(i64::from(draft.repo.options.valid_days) * 86_400);
        text.push_str(&format!("Valid-Until: {}\n", date(until)));
    }
    let others: BTreeSet<String> = architectures.iter().filter(|arch| *arch != ALL).cloned().collect();
    text.push_str(&format!("Architectures: {ALL} {}\n", words(&others)));
    text.push_str(&format!("Components: {}\nDescription: {}\n", words(components), shape.description));
    text.push_str("Acquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\nSHA256:\n");
    for (path, sum) in sums {
        text.push_str(&format!(" {} {} {path}\n", sum.digest, sum.size));
    }
    text
}

/// `Fri, 20 Nov 2026 20:41:01 UTC`.
fn date(seconds: i64) -> String {
    crate::http::http_date(Time(seconds.saturating_mul(1_000_000)).system()).replace("GMT", "UTC")
}
