//! Serves published trees: `/repo/NAME/…` and `/repo/NAME@SNAPSHOT/…` (`repos.md` §16).

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use crate::app::App;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::links::{Base, segment};
use crate::feeds::model::repos::{self, Repo};
use crate::feeds::model::trees::{self, File};
use crate::feeds::model::{Set, Type, packages, sets};
use crate::feeds::publish::paths;
use crate::feeds::{clients, desk, index_page, on_demand, pairs, ready, rules};
use crate::http::{Dates, FileAnswer, Memory, Request, Response, Source, percent_decode, serve_file_dated};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::BlobReader;
use crate::store::table::ReadTx;

/// `Cache-Control` of what can never stand for other bytes.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// And of the rest.
const ASK: &str = "no-cache";

/// A tree as a request names it.
pub(super) struct Tree {
    /// `N` or `N@S`.
    pub(super) name: String,
    pub(super) set: Set,
    pub(super) repo: Repo,
}

/// `GET`, `HEAD /repo/NAME/{path}`.
pub fn tree(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let name = request.params.get("name")?;
    let path = fold(&percent_decode(request.params.raw("rest"))?)?;
    let found = app.store.read(|tx| {
        let tree = find_tree(tx, &name)?.ok_or_else(|| rules::unknown_repo(&name))?;
        let file = if path.is_empty() { None } else { find_file(tx, &tree, &path)? };
        let file = file.map(|file| paired(app, request, tx, &tree, &path, file)).transpose()?;
        Ok((tree, file))
    })?;
    match found {
        (tree, Some(file)) => serve(app, request, tree.repo.kind, &path, file),
        (tree, None) if path.is_empty() => index_page::page(app, request, &tree),
        (tree, None) => made(app, request, &tree, &path)?.ok_or_else(|| {
            Error::not_found(format!("there is no {} in repo {}", rules::shown(&path), rules::shown(&name)))
        }),
    }
}

/// A path without its `.` and empty segments.
fn fold(path: &str) -> Result<String> {
    let mut folded = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." | "" => {}
            ".." => return Err(Error::invalid("a path does not climb")),
            segment if segment.contains('\\') => return Err(Error::invalid("a path holds no backslash")),
            segment => folded.push(segment),
        }
    }
    Ok(folded.join("/"))
}

fn find_tree(tx: &ReadTx, name: &str) -> Result<Option<Tree>> {
    let (set, repo) = match name.split_once('@') {
        Some((repo, snapshot)) => {
            let found = repos::snapshot(tx, repo, snapshot)?.map(|snapshot| snapshot.repo);
            (Set::Snapshot(repo.to_owned(), snapshot.to_owned()), found)
        }
        None => (Set::Repo(name.to_owned()), repos::get(tx, name)?),
    };
    Ok(repo.map(|repo| Tree { name: name.to_owned(), set, repo }))
}

/// A file that lies in the tree, or did so lately.
fn find_file(tx: &ReadTx, tree: &Tree, path: &str) -> Result<Option<File>> {
    if let Some(file) = trees::file(tx, &tree.name, path)? {
        return Ok(Some(file));
    }
    let Some((start, name)) = package_path(tree.repo.kind, path) else { return Ok(None) };
    for (digest, _) in sets::members_starting(tx, &tree.set, start)? {
        if let Some(package) = packages::get(tx, &digest)?
            && paths::file_name(&package) == name
        {
            let modified = package.known_at.seconds();
            return Ok(Some(File { digest, size: package.size, modified, fixed: true, packed: None, retired: None }));
        }
    }
    for (digest, gone) in trees::gone_starting(tx, &tree.name, start)? {
        if gone.paths.iter().any(|gone| gone.rsplit('/').next() == Some(name)) {
            let (size, modified) = (gone.size, gone.modified);
            return Ok(Some(File { digest, size, modified, fixed: true, packed: None, retired: None }));
        }
    }
    Ok(None)
}

/// The file as this asker is to have it: the signature of what it was handed a moment ago stays the one of that.
fn paired(app: &App, request: &Request, tx: &ReadTx, tree: &Tree, path: &str, file: File) -> Result<File> {
    let (pairs, kind) = (&desk(app)?.pairs, tree.repo.kind);
    if let Some(signature) = pairs::signature_of(kind, path) {
        if let Some(found) = trees::file(tx, &tree.name, &signature)? {
            pairs.note(request, tree, &signature, &found);
        }
        return Ok(file);
    }
    let noted = pairs::is_signature(kind, path).then(|| pairs.noted(request, tree, path)).flatten();
    Ok(noted.unwrap_or(file))
}

/// The beginning of a package's digest and its file name, when a path has the form of one: the digest tells which
/// package it is, whatever component it was in.
fn package_path(kind: Type, path: &str) -> Option<([u8; 6], &str)> {
    let segments: Vec<&str> = path.split('/').collect();
    let (short, name) = match (kind, segments.as_slice()) {
        (Type::Yum, ["Packages", _, short, name]) | (Type::Apt, ["pool", _, _, _, short, name]) => (*short, *name),
        _ => return None,
    };
    if short.len() != 12 {
        return None;
    }
    let whole = Digest::from_hex(&format!("{short}{}", "0".repeat(52)))?;
    Some((*whole.0.first_chunk()?, name))
}

fn serve(app: &App, request: &Request, kind: Type, path: &str, file: File) -> Result<Response> {
    let source: Box<dyn Source> = match file.packed {
        Some(packed) => {
            Box::new(Unpacked { size: file.size, at: 0, reader: unpack(app, &packed)?, app: app.clone(), packed })
        }
        None if is_index(kind, path) => match ready::bytes(app, &file)? {
            Some(bytes) => Box::new(Memory(bytes)),
            None => Box::new(app.quiet_bytes(&file.digest, &request.head)?),
        },
        None => on_demand::bytes(app, &file.digest, &request.head)?,
    };
    let answer = FileAnswer {
        source,
        etag: format!("\"{}\"", file.digest),
        last_modified: Time(file.modified.saturating_mul(1_000_000)).system(),
        content_type: content_type(path).to_owned(),
        download_name: None,
        cache_control: if file.fixed { FOREVER } else { ASK },
        extra: Vec::new(),
    };
    // Each generation has a date of its own, so a date stands for one state of a file.
    Ok(serve_file_dated(&request.head, answer, Dates::Exact))
}

/// Whether a published file tells of packages and is none itself.
fn is_index(kind: Type, path: &str) -> bool {
    match kind {
        Type::Yum => path.starts_with("repodata/"),
        Type::Apt => !path.starts_with("pool/"),
        Type::Dir => ["index.json", "SHA256SUMS", "SHA256SUMS.asc"].contains(&path),
    }
}

/// The media type of a published file; never one a browser executes.
pub(super) fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("rpm") => "application/x-rpm",
        Some("deb" | "udeb") => "application/vnd.debian.binary-package",
        Some("xml") => "text/xml",
        Some("gz") => "application/gzip",
        Some("xz") => "application/x-xz",
        Some("zst") => "application/zstd",
        Some("asc" | "gpg") if name.starts_with("key.") => "application/pgp-keys",
        Some("asc" | "gpg" | "sig") => "application/pgp-signature",
        Some("json") => "application/json",
        Some("txt" | "sources" | "list" | "repo") => "text/plain; charset=utf-8",
        _ if ["Release", "InRelease", "Packages", "SHA256SUMS"].contains(&name) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Files that are made for the asker.
fn made(app: &App, request: &Request, tree: &Tree, path: &str) -> Result<Option<Response>> {
    let base = Base::of(app, request)?;
    let at = match tree.name.split_once('@') {
        Some((repo, snapshot)) => format!("{}/repo/{}@{}", base.as_str(), segment(repo), segment(snapshot)),
        None => base.repo(&tree.name),
    };
    let id = tree.name.replace('@', "-");
    let text = match (tree.repo.kind, path) {
        (_, "key.asc") | (Type::Yum, "repodata/repomd.xml.key") => {
            return Ok(Some(clients::key_file(&*desk(app)?.key()?)));
        }
        (Type::Yum, "packhouse.repo") => clients::repo(&at, &id),
        (Type::Apt, "packhouse.list") => clients::list(&at, &tree.name, &tree.repo),
        (Type::Apt, "packhouse.sources") => clients::sources(&at, &tree.name, &tree.repo, &*desk(app)?.key()?),
        _ => return Ok(None),
    };
    Ok(Some(Response::text(200, text).header("Cache-Control", ASK)))
}

type Unpacker = MultiGzDecoder<io::BufReader<BlobReader>>;

fn unpack(app: &App, packed: &Digest) -> Result<Unpacker> {
    let reader = app.store.blob(packed)?.reader()?;
    Ok(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, reader)))
}

/// An index that is stored packed only, unpacked while it is sent.
struct Unpacked {
    app: App,
    packed: Digest,
    size: u64,
    at: u64,
    reader: Unpacker,
}

impl Source for Unpacked {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset < self.at {
            self.reader = unpack(&self.app, &self.packed).map_err(io::Error::other)?;
            self.at = 0;
        }
        if offset > self.at {
            let skipped = io::copy(&mut self.reader.by_ref().take(offset - self.at), &mut io::sink())?;
            self.at += skipped;
            if self.at < offset {
                return Ok(0);
            }
        }
        let count = self.reader.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fold_and_never_climb() {
        let cases = [
            ("./InRelease", Some("InRelease")),
            ("a/./b", Some("a/b")),
            ("/a//b", Some("a/b")),
            ("", Some("")),
            ("a/../b", None),
        ];
        for (path, folded) in cases {
            assert_eq!(fold(path).ok().as_deref(), folded, "{path}");
        }
        assert!(fold("a\\b").is_err() && fold("..").is_err());
    }

    #[test]
    fn indexes_and_packages_are_told_apart() {
        for (kind, index, package) in [
            (Type::Yum, "repodata/repomd.xml", "Packages/r/8f3a0c1d2e3f/Release-tool.rpm"),
            (Type::Apt, "dists/s/InRelease", "pool/main/p/packages/8f3a0c1d2e3f/Packages_1_all.deb"),
            (Type::Apt, "Packages.gz", "pool/x"),
            (Type::Dir, "SHA256SUMS", "Packages/SHA256SUMS"),
        ] {
            assert!(is_index(kind, index) && !is_index(kind, package), "{index}, {package}");
        }
    }

    #[test]
    fn packages_are_found_by_the_digest_in_their_path() {
        let found = package_path(Type::Yum, "Packages/t/8f3a0c1d2e3f/tool.rpm");
        assert_eq!(found, Some(([0x8f, 0x3a, 0x0c, 0x1d, 0x2e, 0x3f], "tool.rpm")));
        assert!(package_path(Type::Apt, "pool/main/t/tool/8f3a0c1d2e3f/tool.deb").is_some());
        for bad in ["Packages/t/8f3a0c1d2e3/tool.rpm", "Packages/t/zzzzzzzzzzzz/tool.rpm", "x/t/8f3a0c1d2e3f/tool.rpm"]
        {
            assert_eq!(package_path(Type::Yum, bad), None, "{bad}");
        }
    }
}
