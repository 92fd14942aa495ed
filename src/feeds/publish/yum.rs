//! The yum tree: `primary`, `filelists` and `other`, and the `repomd.xml` that names them (`repos.md` §12).

use crate::error::{Error, Result};
use crate::feeds::desk::Key;
use crate::feeds::model::packages::Text;
use crate::feeds::model::trees::{self, File, Index};
use crate::feeds::order;
use crate::feeds::publish::blocks::{Column, Moves, Plan};
use crate::feeds::publish::{Draft, paths, remember_gone};
use crate::formats::xml::xml_text;

/// The one shelf of a yum repo.
const SHELF: &str = "";
/// The indexes, in the order `repomd.xml` has them.
const INDEXES: [&str; 3] = ["primary", "filelists", "other"];

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Makes the files of the next generation.
pub(super) fn build(draft: &mut Draft, key: &Key) -> Result<()> {
    let mut moves = Moves::default();
    for (digest, moved) in &draft.moved {
        let place = (order::place_key(&moved.package), *digest);
        match (&moved.was, &moved.will) {
            (None, Some(_)) => drop(moves.placed.insert(place)),
            (Some(_), None) => drop(moves.unplaced.insert(place)),
            _ => {}
        }
    }
    draft.edition.placed = moves.placed.iter().map(|place| (SHELF.to_owned(), place.clone())).collect();
    draft.edition.unplaced = moves.unplaced.iter().map(|place| (SHELF.to_owned(), place.clone())).collect();
    remember_gone(draft, |digest, moved, _| paths::yum(digest, &moved.package));
    let indexes = indexes(draft, moves)?;
    let mut repomd = format!(
        "{XML}<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n  <revision>{}</revision>\n",
        draft.repo.published
    );
    for (name, index) in INDEXES.iter().zip(&indexes) {
        let path = format!("repodata/{}-{name}.xml.gz", index.packed.digest);
        data(&mut repomd, name, &path, index);
        let (digest, size, modified) = (index.packed.digest, index.packed.size, index.made);
        draft.edition.files.insert(path, File { digest, size, modified, fixed: true, packed: None, retired: None });
    }
    for (kind, extra) in draft.extras {
        let path = format!("repodata/{}-{}", extra.digest, extra.name);
        let sum = |digest, size| trees::Sum { digest, size };
        let index = Index {
            packing: String::new(),
            packed: sum(extra.digest, extra.size),
            xz: None,
            open: sum(extra.open_digest, extra.open_size),
            packages: 0,
            made: draft.repo.published,
            blocks: Vec::new(),
        };
        data(&mut repomd, kind, &path, &index);
        let (digest, size, modified) = (extra.digest, extra.size, draft.repo.published);
        draft.edition.files.insert(path, File { digest, size, modified, fixed: true, packed: None, retired: None });
    }
    repomd.push_str("</repomd>\n");
    for (name, index) in INDEXES.iter().zip(indexes) {
        draft.edition.indexes.insert((*name).to_owned(), index);
    }
    draft.put_bytes("repodata/repomd.xml", repomd.as_bytes())?;
    draft.put_bytes("repodata/repomd.xml.asc", key.sign(repomd.as_bytes())?.as_bytes())
}

fn indexes(draft: &mut Draft, moves: Moves) -> Result<Vec<Index>> {
    let packing = "gz".to_owned();
    let old = draft.store().read(|tx| {
        let mut old = Vec::new();
        for name in INDEXES {
            old.extend(trees::index(tx, draft.name, name)?.filter(|index| index.packing == packing));
        }
        Ok((old.len() == INDEXES.len()).then_some(old))
    })?;
    let count = draft.repo.packages;
    let root = |element: &str, space: &str, more: &str| {
        format!("{XML}<{element} xmlns=\"http://linux.duke.edu/metadata/{space}\"{more} packages=\"{count}\">\n")
    };
    let rpm = " xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"";
    let column = |head: String, element: &str| Column { head, foot: format!("</{element}>\n") };
    let columns = vec![
        column(root("metadata", "common", rpm), "metadata"),
        column(root("filelists", "filelists", ""), "filelists"),
        column(root("otherdata", "other", ""), "otherdata"),
    ];
    let plan = Plan {
        store: draft.store(),
        repo: draft.name,
        shelves: vec![SHELF.to_owned()],
        moves,
        prepared: draft.prepared,
        columns,
        old,
        packing,
        xz: false,
        render: &|_, _, fragments| {
            [fragments.primary, fragments.filelists, fragments.other].into_iter().map(part).collect()
        },
        published: draft.repo.published,
        count,
    };
    let mut indexes = Vec::new();
    for (built, name) in plan.build()?.into_iter().zip(INDEXES) {
        for staged in built.staged {
            draft.take(&format!("{name}.xml.gz"), staged);
        }
        indexes.push(built.index);
    }
    Ok(indexes)
}

fn part(text: Option<Text>) -> Result<String> {
    text.ok_or_else(|| Error::internal("an rpm has lost what it contributes to indexes"))?.read()
}

fn data(repomd: &mut String, kind: &str, path: &str, index: &Index) {
    let escaped = xml_text;
    repomd.push_str(&format!(
        "  <data type=\"{}\">\n    <checksum type=\"sha256\">{}</checksum>\n",
        escaped(kind),
        index.packed.digest
    ));
    let packed = index.packed.digest != index.open.digest;
    if packed {
        repomd.push_str(&format!("    <open-checksum type=\"sha256\">{}</open-checksum>\n", index.open.digest));
    }
    repomd.push_str(&format!(
        "    <location href=\"{}\"/>\n    <timestamp>{}</timestamp>\n    <size>{}</size>\n",
        escaped(path),
        index.made,
        index.packed.size
    ));
    if packed {
        repomd.push_str(&format!("    <open-size>{}</open-size>\n", index.open.size));
    }
    repomd.push_str("  </data>\n");
}
