//! Repositories made in code: the files of a tree by their paths.

use std::collections::BTreeMap;

use packhouse::formats::compress::gzip;

use crate::files::sha256;
use crate::packages::{DebFile, RpmFile};

/// Files by path.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

/// A date that is not in the future, and one a week later.
pub(crate) const DATE: &str = "Thu, 01 Oct 2026 10:00:00 UTC";
pub(crate) const LATER: &str = "Thu, 08 Oct 2026 10:00:00 UTC";

/// A Debian package called `name`.
pub(crate) fn deb(name: &str, version: &str) -> Vec<u8> {
    DebFile::new(name, version).build()
}

/// An rpm called `name`.
pub(crate) fn rpm(name: &str, version: &str) -> Vec<u8> {
    RpmFile::new(name, version, "1").build()
}

/// One stanza of a `Packages` file.
pub(crate) fn stanza(name: &str, version: &str, filename: &str, bytes: &[u8]) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: {filename}\nSize: {}\nSHA256: {}\n\n",
        bytes.len(),
        sha256(bytes)
    )
}

/// The suite `stable` with the component `main`: packages by name and version.
pub(crate) fn apt(packages: &[(&str, &str)], date: &str, more: &str) -> Tree {
    let mut tree = Tree::new();
    let mut text = String::new();
    for (name, version) in packages {
        let bytes = deb(name, version);
        let path = format!("pool/main/{name}_{version}_amd64.deb");
        text += &stanza(name, version, &path, &bytes);
        tree.insert(path, bytes);
    }
    let release = release(&[("main/binary-amd64/Packages", text.as_bytes())], date, more, &mut |path, bytes| {
        tree.insert(format!("dists/stable/{path}"), bytes);
    });
    tree.insert("dists/stable/Release".into(), release.into_bytes());
    tree
}

/// The same over any text of `Packages`; the packages are the caller's.
pub(crate) fn apt_of(text: &[u8], date: &str) -> Tree {
    let mut tree = Tree::new();
    let release = release(&[("main/binary-amd64/Packages", text)], date, "", &mut |path, bytes| {
        tree.insert(format!("dists/stable/{path}"), bytes);
    });
    tree.insert("dists/stable/Release".into(), release.into_bytes());
    tree
}

/// A flat repository with its `Packages` and `Release` in the root.
pub(crate) fn flat(packages: &[(&str, &str)], date: &str) -> Tree {
    let mut tree = Tree::new();
    let mut text = String::new();
    for (name, version) in packages {
        let bytes = deb(name, version);
        let path = format!("{name}.deb");
        text += &stanza(name, version, &format!("./{path}"), &bytes);
        tree.insert(path, bytes);
    }
    let release = release(&[("Packages", text.as_bytes())], date, "", &mut |path, bytes| {
        tree.insert(path.to_owned(), bytes);
    });
    tree.insert("Release".into(), release.into_bytes());
    tree
}

/// A `Release` over indexes, each plain and as gzip.
fn release(indexes: &[(&str, &[u8])], date: &str, more: &str, put: &mut dyn FnMut(&str, Vec<u8>)) -> String {
    let mut text =
        format!("Origin: x\nSuite: stable\nDate: {date}\nArchitectures: amd64\nComponents: main\n{more}SHA256:\n");
    for (path, plain) in indexes {
        for (path, bytes) in [((*path).to_owned(), plain.to_vec()), (format!("{path}.gz"), gzip(plain, 6).unwrap())] {
            text += &format!(" {} {} {path}\n", sha256(&bytes), bytes.len());
            put(&path, bytes);
        }
    }
    text
}

/// A yum repository: packages by name and version.
pub(crate) fn yum(packages: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    let mut entries = Vec::new();
    for (name, version) in packages {
        let bytes = rpm(name, version);
        let path = format!("Packages/{name}-{version}-1.x86_64.rpm");
        entries.push(package(name, &path, &sha256(&bytes), bytes.len()));
        tree.insert(path, bytes);
    }
    put_yum(&mut tree, &entries, &[]);
    tree
}

/// An element of `primary`.
pub(crate) fn package(name: &str, href: &str, sum: &str, size: usize) -> String {
    format!(
        "<package type=\"rpm\"><name>{name}</name><arch>x86_64</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/>\
         <checksum type=\"sha256\" pkgid=\"YES\">{sum}</checksum><size package=\"{size}\"/><location href=\"{href}\"/></package>"
    )
}

/// `repomd.xml` and `primary` over these elements, and extra metadata files by type, name and bytes.
pub(crate) fn put_yum(tree: &mut Tree, entries: &[String], extras: &[(&str, &str, &[u8])]) {
    let primary = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         packages=\"{}\">{}</metadata>\n",
        entries.len(),
        entries.concat()
    );
    put_primary(tree, primary.as_bytes(), extras);
}

/// The same over the text of `primary`.
pub(crate) fn put_primary(tree: &mut Tree, primary: &[u8], extras: &[(&str, &str, &[u8])]) {
    let packed = gzip(primary, 6).unwrap();
    let mut data = entry("primary", &format!("repodata/{}-primary.xml.gz", sha256(&packed)), &packed);
    tree.insert(format!("repodata/{}-primary.xml.gz", sha256(&packed)), packed);
    for (kind, name, bytes) in extras {
        let path = format!("repodata/{}-{name}", sha256(bytes));
        data += &entry(kind, &path, bytes);
        tree.insert(path, bytes.to_vec());
    }
    let repomd =
        format!("<?xml version=\"1.0\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">{data}</repomd>\n");
    tree.insert("repodata/repomd.xml".into(), repomd.into_bytes());
}

fn entry(kind: &str, path: &str, bytes: &[u8]) -> String {
    format!(
        "<data type=\"{kind}\"><checksum type=\"sha256\">{}</checksum><location href=\"{path}\"/><size>{}</size></data>",
        sha256(bytes),
        bytes.len()
    )
}
