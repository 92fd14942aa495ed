//! Upstreams that are directories of this machine: read directly, links followed only inside the root (`repos.md` §3.7).
//! This file reads what an administrator named and never the data directory.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::failure::{Failure, Outcome};
use super::source::Opened;

/// Most files below a root.
const MOST_FILES: usize = 500_000;
/// Most directories below a root, those behind links counted each time.
const MOST_DIRECTORIES: usize = 100_000;
/// The deepest directory.
const DEEPEST: usize = 64;

/// A directory that is read.
#[derive(Clone, Debug)]
pub(super) struct Local {
    root: PathBuf,
}

/// A file below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the root, with slashes.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u64,
    /// When it was changed.
    pub(super) stamp: String,
}

impl Local {
    /// The directory, if it is one.
    pub(super) fn open(path: &Path) -> Outcome<Local> {
        let shown = path.display();
        let root = fs::canonicalize(path).map_err(|e| Failure::Failed(format!("{shown}: it cannot be read: {e}")))?;
        if !root.is_dir() {
            return Err(Failure::Failed(format!("{shown}: it is not a directory")));
        }
        Ok(Local { root })
    }

    /// Whether it lies in (or is) one of `roots`.
    pub(super) fn is_below(&self, roots: &[PathBuf]) -> bool {
        roots.iter().filter_map(|root| fs::canonicalize(root).ok()).any(|root| self.root.starts_with(root))
    }

    /// Whether it lies in `other`, or `other` in it.
    pub(super) fn touches(&self, other: &Path) -> bool {
        fs::canonicalize(other).is_ok_and(|other| self.root.starts_with(&other) || other.starts_with(&self.root))
    }

    /// Opens a file below the root.
    pub(super) fn read(&self, path: &str) -> Outcome<Opened> {
        let missing = |why: &str| Failure::Missing(format!("{path}: {why}"));
        let strange = |part: &str| cfg!(windows) && part.contains(':');
        if path.split('/').any(|part| part == ".." || strange(part)) {
            return Err(missing("it is no path below the root"));
        }
        let full = fs::canonicalize(self.root.join(path)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => missing("it is not there"),
            _ => Failure::Failed(format!("{path}: it cannot be read: {e}")),
        })?;
        if !full.starts_with(&self.root) {
            return Err(missing("it is a link that leads outside"));
        }
        // Only plain files: opening a pipe would wait for its other end.
        if !full.is_file() {
            return Err(missing("it is not a file"));
        }
        let unreadable = |e: std::io::Error| Failure::Failed(format!("{path}: it cannot be read: {e}"));
        let file = File::open(&full).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        let stamp = Some(stamp(&found));
        Ok(Opened { length: Some(found.len()), start: 0, validator: None, stamp, body: Box::new(file) })
    }

    /// Size and stamp of a file as it is now.
    pub(super) fn look(&self, path: &str) -> Option<(u64, String)> {
        let found = fs::metadata(self.root.join(path)).ok()?;
        Some((found.len(), stamp(&found)))
    }

    /// Every plain file below the root, in byte order; names with a dot in front and links to outside are passed over.
    pub(super) fn walk(&self, stopped: &dyn Fn() -> bool) -> Outcome<Vec<Entry>> {
        let mut files = Vec::new();
        let mut waiting = vec![(self.root.clone(), String::new(), 0)];
        let mut directories = 0;
        while let Some((directory, prefix, depth)) = waiting.pop() {
            if stopped() {
                return Err(Failure::Cancelled);
            }
            directories += 1;
            if directories > MOST_DIRECTORIES {
                return Err(Failure::Failed("there are too many directories".to_owned()));
            }
            let unreadable = |e: std::io::Error| Failure::Failed(format!("{prefix}: it cannot be read: {e}"));
            for entry in fs::read_dir(&directory).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    return Err(Failure::Failed(format!("{prefix}{}: the name is not UTF-8", name.display())));
                };
                if name.starts_with('.') {
                    continue;
                }
                let path = format!("{prefix}{name}");
                let mut full = entry.path();
                if entry.file_type().map_err(unreadable)?.is_symlink() {
                    match fs::canonicalize(&full) {
                        Ok(target) if target.starts_with(&self.root) => full = target,
                        _ => continue,
                    }
                }
                let Ok(found) = fs::metadata(&full) else { continue };
                if found.is_dir() {
                    // A link to a directory above itself would go on for ever.
                    if depth >= DEEPEST {
                        return Err(Failure::Failed(format!("{path}: the directories are nested too deeply")));
                    }
                    if !directory.starts_with(&full) {
                        waiting.push((full, format!("{path}/"), depth + 1));
                    }
                } else if found.is_file() {
                    files.push(Entry { path, size: found.len(), stamp: stamp(&found) });
                    if files.len() > MOST_FILES {
                        return Err(Failure::Failed("there are too many files".to_owned()));
                    }
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

/// When a file was changed, as exactly as the system says.
fn stamp(found: &Metadata) -> String {
    let modified = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    modified.map_or_else(|| "0".to_owned(), |since| since.as_nanos().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_what_lies_inside_is_read() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let root = inside.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/one"), "1").unwrap();
        fs::write(root.join(".hidden"), "x").unwrap();
        symlink(outside.path().join("secret"), root.join("out")).unwrap();
        symlink(outside.path(), root.join("outdir")).unwrap();
        symlink("a/b/one", root.join("two")).unwrap();
        symlink(".", root.join("a/self")).unwrap();
        let local = Local::open(root).unwrap();
        let paths: Vec<String> = local.walk(&|| false).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["a/b/one", "two"]);
        assert!(local.read("a/b/one").is_ok() && local.read("two").is_ok());
        for path in ["out", "outdir/secret", "a", "nothing", "a/../a/b/one", "../x"] {
            assert!(matches!(local.read(path), Err(Failure::Missing(_))), "{path}");
        }
        assert!(matches!(local.walk(&|| true), Err(Failure::Cancelled)));
        assert!(Local::open(&root.join("two")).is_err() && Local::open(&root.join("none")).is_err());
        assert!(local.is_below(&[root.to_owned()]) && !local.is_below(&[outside.path().to_owned()]));
    }
}
