//! The dir tree: files under their names, `SHA256SUMS` and `index.json` (`repos.md` §14).

use std::collections::BTreeMap;

use serde_json::json;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::desk::Key;
use crate::feeds::model::trees::{self, File};
use crate::feeds::publish::{Draft, Paths, check_tree};
use crate::feeds::rules;

/// Files that are made, not published.
const MADE: [&str; 3] = ["index.json", "SHA256SUMS", "SHA256SUMS.asc"];
/// Rows read in one go.
const PAGE: usize = 4096;

/// Makes the files of the next generation.
pub(super) fn build(draft: &mut Draft, key: &Key) -> Result<()> {
    let mut files = published(draft)?;
    for (digest, moved) in &draft.moved {
        for name in moved.was.iter().flat_map(|was| was.names(&moved.package)) {
            if files.get(name).is_some_and(|file| file.digest == *digest) {
                files.remove(name);
                draft.edition.removed.insert(name.to_owned());
            }
        }
    }
    for (digest, moved) in &draft.moved {
        for name in moved.will.iter().flat_map(|will| will.names(&moved.package)) {
            rules::check_path(name)?;
            let modified = draft.repo.published;
            let (digest, size) = (*digest, moved.package.size);
            let file = File { digest, size, modified, fixed: false, packed: None, retired: None };
            if files.insert(name.to_owned(), file.clone()).is_some_and(|there| there.digest != digest) {
                let sentence = format!("two different packages would be {}", rules::shown(name));
                return Err(Error::conflict(sentence));
            }
            draft.edition.removed.remove(name);
            draft.edition.put.insert(name.to_owned(), file);
        }
    }
    let paths: Paths = files.iter().map(|(path, file)| (path.clone(), file.digest)).collect();
    check_tree(&paths)?;
    let mut sums = String::with_capacity(files.len() * 96);
    let mut rows = Vec::with_capacity(files.len());
    for (path, file) in &files {
        sums.push_str(&format!("{}  {path}\n", file.digest));
        rows.push(json!({
            "filename": path,
            "shasum": file.digest,
            "size": file.size,
            "modified": Time(file.modified.saturating_mul(1_000_000)).rfc3339(),
        }));
    }
    let index = json!({ "name": draft.name, "generation": draft.repo.generation, "files": rows });
    let index = serde_json::to_vec(&index).map_err(Error::internal)?;
    draft.put_bytes("index.json", &index)?;
    draft.put_bytes("SHA256SUMS", sums.as_bytes())?;
    draft.put_bytes("SHA256SUMS.asc", key.sign(sums.as_bytes())?.as_bytes())
}

/// What is published now.
fn published(draft: &Draft) -> Result<BTreeMap<String, File>> {
    let mut files = BTreeMap::new();
    if draft.old.is_none() {
        return Ok(files);
    }
    draft.store().read(|tx| {
        let mut after: Option<String> = None;
        loop {
            let page = trees::files(tx, draft.name, after.as_deref(), PAGE)?;
            let whole = page.len() == PAGE;
            after = page.last().map(|(path, _)| path.clone());
            let current = |(path, file): &(String, File)| file.retired.is_none() && !MADE.contains(&path.as_str());
            files.extend(page.into_iter().filter(current));
            if !whole {
                return Ok(());
            }
        }
    })?;
    Ok(files)
}
