//! What is served below `/repo/NAME/` (`repos.md` §11–§16).

use serde_json::json;

use super::{ask, create, fetch, fetch_text, gunzip, put, upload};
use crate::client::Request;
use crate::files::sha256;
use crate::packages::{DebFile, RpmFile};
use crate::server::{ADMIN, Packhouse};

/// The location, checksum and open checksum of one kind of metadata.
fn entry(repomd: &str, kind: &str) -> (String, String, String) {
    let from = repomd.split(&format!("<data type=\"{kind}\">")).nth(1).unwrap_or_else(|| panic!("no {kind}: {repomd}"));
    let between = |start: &str, end: &str| from.split(start).nth(1).unwrap().split(end).next().unwrap().to_owned();
    let sum = "checksum type=\"sha256\">";
    (between("href=\"", "\""), between(&format!("<{sum}"), "<"), between(&format!("<open-{sum}"), "<"))
}

#[test]
fn the_yum_tree_holds_together() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "y", "type": "yum" }));
    assert!(fetch_text(&server, "/repo/y/repodata/repomd.xml").contains("<revision>"));
    let ugly = RpmFile::new("ugly", "1.0", "1").summary(b"caf\xe9 <&> \x01").build();
    let tool =
        RpmFile::new("tool", "1.0~rc1", "1").file("/etc/tool.conf").change(1_700_000_000, "A <a@b>", "- new").build();
    let (ugly_sum, tool_sum) = (upload(&server, &ugly, ""), upload(&server, &tool, ""));
    put(&server, "y", &json!({ ugly_sum.clone(): true, tool_sum.clone(): true }));
    let repomd = fetch_text(&server, "/repo/y/repodata/repomd.xml");
    let mut order = Vec::new();
    for kind in ["primary", "filelists", "other"] {
        let (href, sum, open) = entry(&repomd, kind);
        let packed = fetch(&server, &format!("/repo/y/{href}"));
        assert_eq!(sha256(&packed), sum, "{kind}");
        let text = gunzip(&packed);
        assert_eq!(sha256(text.as_bytes()), open, "{kind}");
        assert!(text.contains("packages=\"2\""), "{text}");
        let (first, second) = (text.find("tool").unwrap(), text.find("ugly").unwrap());
        order.push(first < second);
        if kind == "primary" {
            assert!(text.contains("<summary>caf\u{e9} &lt;&amp;&gt; ?</summary>"), "{text}");
            let path = format!("Packages/t/{}/tool-1.0~rc1-1.x86_64.rpm", &tool_sum[..12]);
            assert!(text.contains(&format!("<location href=\"{path}\"/>")), "{text}");
            for spelling in [path.clone(), path.replace('~', "%7e"), format!("./{path}")] {
                assert_eq!(fetch(&server, &format!("/repo/y/{spelling}")), tool);
            }
        }
    }
    assert_eq!(order, [true, true, true]);
    assert!(fetch_text(&server, "/repo/y/repodata/repomd.xml.asc").starts_with("-----BEGIN PGP SIGNATURE-----"));
    let key = fetch_text(&server, "/key.asc");
    for path in ["key.asc", "repodata/repomd.xml.key"] {
        assert_eq!(fetch_text(&server, &format!("/repo/y/{path}")), key);
    }
    assert!(fetch_text(&server, "/repo/y/packhouse.repo").contains("repo_gpgcheck=1"));
    assert!(fetch_text(&server, "/repo/y/").starts_with("<!DOCTYPE html>"));
    for bad in ["../y", "%2e%2e/y", "repodata/..%2fx", "a%5cb", "repodata/nope", "a%00"] {
        let status = server.send(Request::get(&format!("/repo/y/{bad}"))).status;
        assert!([400, 404].contains(&status), "{bad}: {status}");
    }
}

#[test]
fn the_apt_tree_holds_together() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "a", "type": "apt", "suite": "bookworm" }));
    let native = upload(&server, &DebFile::new("tool", "1:1.0+b1").field("Source", "toolsrc (1.0)").build(), "");
    let all = upload(&server, &DebFile::new("libdoc", "2.0").arch("all").build(), "");
    put(&server, "a", &json!({ native.clone(): true, all.clone(): { "component": "extra" } }));
    let release = fetch_text(&server, "/repo/a/dists/bookworm/Release");
    for line in
        ["Suite: bookworm\n", "Architectures: all amd64 arm64\n", "Components: extra main\n", "Acquire-By-Hash: yes\n"]
    {
        assert!(release.contains(line), "{line}: {release}");
    }
    assert!(!release.lines().any(|line| line.ends_with([' ', '\t', '\r'])));
    let mut listed = 0;
    for line in release.lines().skip_while(|line| *line != "SHA256:").skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [sum, size, path] = words.as_slice() else { panic!("{line}") };
        let bytes = fetch(&server, &format!("/repo/a/dists/bookworm/{path}"));
        assert_eq!((sha256(&bytes).as_str(), bytes.len().to_string().as_str()), (*sum, *size), "{path}");
        let directory = path.rsplit_once('/').unwrap().0;
        assert_eq!(fetch(&server, &format!("/repo/a/dists/bookworm/{directory}/by-hash/SHA256/{sum}")), bytes);
        listed += 1;
    }
    assert_eq!(listed, 2 * 3 * 3, "{release}");
    let packages = fetch_text(&server, "/repo/a/dists/bookworm/main/binary-amd64/Packages");
    let path = format!("pool/main/t/toolsrc/{}/tool_1.0+b1_amd64.deb", &native[..12]);
    assert!(packages.starts_with("Package: tool\nVersion: 1:1.0+b1\n"), "{packages}");
    assert!(packages.contains(&format!("Filename: {path}\n")) && packages.contains(&format!("SHA256: {native}\n")));
    assert!(packages.contains("\n .\n Of two paragraphs.\n"), "{packages}");
    for spelling in [path.clone(), path.replace('+', "%2b")] {
        assert_eq!(sha256(&fetch(&server, &format!("/repo/a/{spelling}"))), native);
    }
    for arch in ["all", "amd64", "arm64"] {
        let text = gunzip(&fetch(&server, &format!("/repo/a/dists/bookworm/extra/binary-{arch}/Packages.gz")));
        assert!(text.contains("Package: libdoc\n"), "{arch}");
    }
    assert!(fetch_text(&server, "/repo/a/dists/bookworm/InRelease").starts_with("-----BEGIN PGP SIGNED MESSAGE-----"));
    assert!(
        fetch_text(&server, "/repo/a/packhouse.sources")
            .contains("Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n")
    );
    let part =
        server.send(Request::get("/repo/a/dists/bookworm/main/binary-amd64/Packages").header("Range", "bytes=9-12"));
    assert_eq!((part.status, part.body.as_slice()), (206, &b"tool"[..]));
}

#[test]
fn the_flat_tree_has_everything_in_its_root() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "f", "type": "apt", "flat": true }));
    upload(&server, &DebFile::new("a", "1").build(), "?repo=f");
    upload(&server, &DebFile::new("b", "1").arch("arm64").build(), "?repo=f");
    let packages = fetch_text(&server, "/repo/f/./Packages");
    assert!(packages.contains("Package: a\n") && packages.contains("Package: b\n"), "{packages}");
    assert!(fetch_text(&server, "/repo/f/./InRelease").contains(" Packages.xz\n"));
}

#[test]
fn the_dir_tree_has_files_under_their_names() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "d", "type": "dir" }));
    let one = upload(&server, b"one", "?filename=one.txt");
    let two = upload(&server, b"two", "?filename=two.txt");
    put(&server, "d", &json!({ one.clone(): { "filenames": ["b/one.txt", "a one.txt"] }, two.clone(): true }));
    let sums = fetch_text(&server, "/repo/d/SHA256SUMS");
    assert_eq!(sums, format!("{one}  a one.txt\n{one}  b/one.txt\n{two}  two.txt\n"));
    assert_eq!(fetch(&server, "/repo/d/a%20one.txt"), b"one");
    let index: serde_json::Value = serde_json::from_str(&fetch_text(&server, "/repo/d/index.json")).unwrap();
    assert_eq!((&index["generation"], &index["files"][1]["filename"]), (&json!(2), &json!("b/one.txt")));
    let change = |body| ask(&server, "PATCH", "/repo/d/packages", &body);
    change(json!({ one.clone(): { "filename": "two.txt" } })).is_error_like(409, "");
    for bad in ["../x", "/x", "a//b", "key.asc", "packages", "CON", "two.txt/x", "a\\b"] {
        change(json!({ one.clone(): { "filename": bad } })).is_error_like(400, "");
    }
    assert_eq!(fetch_text(&server, "/repo/d/SHA256SUMS"), sums);
    change(json!({ two.clone(): null })).is_json(200);
    assert!(!fetch_text(&server, "/repo/d/SHA256SUMS").contains("two.txt"));
    assert_eq!(fetch(&server, "/repo/d/two.txt"), b"two", "a client of the last generation still gets it");
    let same = server.send(Request::get("/repo/d/a%20one.txt").header("If-None-Match", &format!("\"{one}\"")));
    assert_eq!((same.status, same.body.len(), same.header("ETag")), (304, 0, Some(&*format!("\"{one}\""))));
}

#[test]
fn generations_stay_fetchable_and_dates_grow() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "y", "type": "yum" }));
    let mut dates = Vec::new();
    let mut files = Vec::new();
    for number in 0..3 {
        let rpm = RpmFile::new("tool", &format!("1.{number}"), "1").build();
        let sum = upload(&server, &rpm, "");
        put(&server, "y", &json!({ sum.clone(): true }));
        let top = server.send(Request::get("/repo/y/repodata/repomd.xml"));
        dates.push(top.header("Last-Modified").unwrap().to_owned());
        let (href, ..) = entry(top.text(), "primary");
        files.push((format!("/repo/y/{href}"), None));
        files.push((format!("/repo/y/Packages/t/{}/tool-1.{number}-1.x86_64.rpm", &sum[..12]), Some(rpm)));
    }
    let mut seen = dates.clone();
    seen.dedup();
    assert_eq!(seen.len(), 3, "{dates:?}");
    for (target, bytes) in files {
        let found = fetch(&server, &target);
        assert!(bytes.is_none_or(|bytes| bytes == found), "{target}");
    }
    let removed = server.send(Request::post("/gc").token(ADMIN)).is_json(200);
    assert_eq!(removed, json!({ "removed_files": 0, "removed_bytes": 0 }));
}
