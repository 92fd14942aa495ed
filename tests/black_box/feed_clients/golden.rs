//! What is published, beside what the field's own tools write for the same packages (`repos.md` §12, §13).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::yard::{DnfRoot, Package, command, find, folder, run};
use crate::server::Packhouse;

/// Packages with everything odd that rpmbuild lets through.
fn odd_rpms(folder: &Path) {
    Package::new("plain", "1.0-1", "x86_64").file("/usr/bin/plain", "x").file("/etc/plain.conf", "y").rpm(folder);
    let text = "Summary: Fish & chips <\"quoted\"> 'n more";
    Package::new("odd", "3:1.0~rc1^git2-4.el9", "noarch")
        .field(text)
        .field("URL: https://example.org/?a=1&b=2")
        .field("Vendor: Ümlaut & Söhne")
        .field("Packager: Nobody <nobody@example.org>")
        .field("Group: System/Tools")
        .field("Requires(post): plain >= 1.0")
        .field("Requires: plain < 9:2")
        .field("Requires: (plain if odd)")
        .field("Requires: /usr/bin/plain")
        .field("Provides: virtual = 2:3-4")
        .field("Provides: bundled(thing)")
        .field("Conflicts: enemy <= 3")
        .field("Obsoletes: elder < 5-5")
        .field("Recommends: friend")
        .field("Suggests: maybe > 1")
        .field("Supplements: (plain and other)")
        .field("Enhances: beauty")
        .file("/usr/lib/sendmail", "x")
        .file("/usr/share/odd/a file & more", "x")
        .tail(
            "%dir /usr/share/odd\n%ghost /var/log/odd.log\n%post\ntrue\n%triggerin -- plain\ntrue\n%changelog\n\
             * Wed Jan 03 2024 Second <s@example.org> - 2\n- newer & <better>\n\n\
             * Tue Jan 02 2024 First <f@example.org> - 1\n- first\n- and more\n",
        )
        .rpm(folder);
    let long = format!("%description\n{}", "A very long line of words that goes on. ".repeat(400));
    let mut many = Package::new("many", "20240101.1-1", "noarch").field("Summary: Many of everything").field(&long);
    for number in 0..300 {
        many = many.file(&format!("/usr/share/many/{}/{number}", number % 7), "x");
    }
    let mut changes = "%changelog\n".to_owned();
    for day in (1..=28).rev() {
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(day - 1) % 7];
        changes += &format!("* {weekday} Feb {day:02} 2024 Somebody <s@example.org> - {day}\n- change {day}\n\n");
    }
    many.tail(&changes).rpm(folder);
}

#[test]
fn yum_metadata_says_what_createrepo_c_says() {
    let (server, made) = (Packhouse::start(), folder());
    odd_rpms(made.path());
    server.make_repo(&json!({ "name": "odd", "type": "yum" }));
    for file in find(made.path(), ".rpm") {
        server.add("odd", &file);
    }
    run(command(&["createrepo_c", "--quiet", "--changelog-limit=10"]).arg(made.path()));
    // Our tree as a client copies it.
    let copy = folder();
    let root = DnfRoot::new(server.fetched("/repo/odd/packhouse.repo"));
    let place = copy.path().to_str().unwrap();
    run(root.dnf(&["reposync", "--repoid=odd", "--download-metadata", "--norepopath", "--download-path", place]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/feeds/compare_yum.py");
    run(command(&["python3", script]).arg(copy.path()).arg(made.path()));
    // Another tool of the same makers merges it with the reference.
    let merged = folder();
    run(command(&["mergerepo_c", "--outputdir"])
        .arg(merged.path())
        .arg("--repo")
        .arg(format!("file://{place}"))
        .arg("--repo")
        .arg(format!("file://{}", made.path().display())));
    assert!(!find(merged.path(), "primary.xml.gz").is_empty() || !find(merged.path(), "primary.xml.zst").is_empty());
}

/// The stanzas of a Packages file by package and version; each a list of its fields with their values as they stand.
fn stanzas(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all = BTreeMap::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in block.trim_matches('\n').split('\n') {
            match line.strip_prefix([' ', '\t']) {
                Some(_) => {
                    let value = &mut fields.last_mut().unwrap().1;
                    value.push('\n');
                    value.push_str(line);
                }
                None => {
                    let (name, value) = line.split_once(':').unwrap();
                    fields.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
        let of = |name: &str| fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let key = format!("{} {} {}", of("Package"), of("Version"), of("Architecture"));
        assert!(all.insert(key, fields).is_none());
    }
    all
}

#[test]
fn apt_stanzas_say_what_apt_ftparchive_says() {
    let (server, made) = (Packhouse::start(), folder());
    let packages = [
        Package::new("plain", "1.0-1", "amd64"),
        Package::new("odd", "2:1.0~rc1+git-1", "amd64")
            .field("Depends: plain (>= 1.0), libc6 | other")
            .field("Pre-Depends: dpkg (>= 1.0)")
            .field("Multi-Arch: same")
            .field("Section: non-free/devel")
            .field("Priority: optional")
            .field("Homepage: https://example.org/?a=1&b=2")
            .field("X-Own-Field: kept as it is")
            .field("Source: odd-source (1.0~rc1)")
            .field("Description: Ümlaut & <angle>\n First line.\n .\n  indented\n * point"),
        Package::new("everywhere", "7", "all").compressed("zstd"),
        Package::new("old-style", "1", "amd64").compressed("gzip"),
        Package::new("uncompressed", "1", "amd64").compressed("none"),
    ];
    server.make_repo(&json!({ "name": "odd", "type": "apt" }));
    for package in packages {
        server.add("odd", &package.deb(made.path()));
    }
    let theirs = run(command(&["apt-ftparchive", "packages", "."]).current_dir(made.path()));
    let ours = server.fetched("/repo/odd/dists/stable/main/binary-amd64/Packages");
    let (ours, theirs) = (stanzas(std::str::from_utf8(&ours).unwrap()), stanzas(&theirs));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let free = |fields: &[(String, String)]| -> BTreeMap<String, String> {
        let left = ["Filename", "MD5sum", "SHA1", "SHA512", "Description-md5"];
        fields.iter().filter(|(name, _)| !left.contains(&name.as_str())).cloned().collect()
    };
    for (key, fields) in &ours {
        assert_eq!(free(fields), free(&theirs[key]), "{key}");
        assert!(fields.iter().any(|(name, value)| name == "Filename" && value.starts_with("pool/main/")), "{fields:?}");
        let last: Vec<&str> = fields.iter().rev().take(3).map(|(name, _)| name.as_str()).collect();
        assert_eq!(last, ["SHA256", "Size", "Filename"]);
    }
}

#[test]
fn signatures_stand_before_gpgv() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "a", "type": "apt" }));
    server.make_repo(&json!({ "name": "y", "type": "yum" }));
    server.make_repo(&json!({ "name": "d", "type": "dir" }));
    let keep = |name: &str, target: &str| {
        let path = made.path().join(name);
        fs::write(&path, server.fetched(target)).unwrap();
        path
    };
    let key = keep("key.gpg", "/key.gpg");
    let gpgv = || {
        let mut gpgv = command(&["gpgv", "--keyring"]);
        gpgv.arg(&key);
        gpgv
    };
    run(gpgv().arg(keep("InRelease", "/repo/a/dists/stable/InRelease")));
    for (name, text) in
        [("a/dists/stable/Release", ".gpg"), ("y/repodata/repomd.xml", ".asc"), ("d/SHA256SUMS", ".asc")]
    {
        let signed = keep("signed", &format!("/repo/{name}"));
        run(gpgv().arg(keep("signature", &format!("/repo/{name}{text}"))).arg(signed));
    }
    // The signed text inside InRelease is Release.
    let release = made.path().join("out");
    run(gpgv().arg("--output").arg(&release).arg(made.path().join("InRelease")));
    assert_eq!(fs::read(&release).unwrap(), server.fetched("/repo/a/dists/stable/Release"));
}

#[test]
fn the_list_of_sums_passes_sha256sum() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "d", "type": "dir" }));
    let deb = Package::new("tool", "1", "amd64").deb(made.path());
    let shasum = server.add("d", &deb);
    let names = json!({ &shasum: { "filenames": ["tool.deb", "sub dir/ünï tool's.deb"] } });
    server.change("PUT", "d", &names);
    let copy = folder();
    fs::create_dir(copy.path().join("sub dir")).unwrap();
    fs::write(copy.path().join("tool.deb"), server.fetched("/repo/d/tool.deb")).unwrap();
    let other = server.fetched("/repo/d/sub%20dir/%C3%BCn%C3%AF%20tool%27s.deb");
    fs::write(copy.path().join("sub dir/ünï tool's.deb"), other).unwrap();
    fs::write(copy.path().join("SHA256SUMS"), server.fetched("/repo/d/SHA256SUMS")).unwrap();
    run(command(&["sha256sum", "--strict", "-c", "SHA256SUMS"]).current_dir(copy.path()));
    let index: Value = serde_json::from_slice(&server.fetched("/repo/d/index.json")).unwrap();
    assert_eq!(index["files"].as_array().unwrap().len(), 2);
}
