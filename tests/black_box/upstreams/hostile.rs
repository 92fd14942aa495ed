//! Upstreams that lie, stall, lead astray or never end (`repos.md` §3.6, `reliability.md` §16): each ends in a clear error
//! and changes nothing.

use serde_json::json;

use super::mirror::{Mirror, Reply};
use super::repo::{self, DATE};
use super::{is_done, is_failed, look, make, names};
use crate::client::Request;
use crate::files::sha256;
use crate::server::Packhouse;

/// A yum repository whose only package stands at `href`.
fn at(href: &str) -> repo::Tree {
    let mut tree = repo::Tree::new();
    repo::put_yum(&mut tree, &[repo::package("a", href, &sha256(b"x"), 1)], &[]);
    tree
}

#[test]
fn paths_that_climb_are_refused_before_they_are_asked_for() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let paths = [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "%2e%2e/x",
        "a/%2E%2E/%2e%2e/x",
        "a\\..\\x",
        "",
        "http://h/x",
        "file:///x",
    ];
    for (number, path) in paths.into_iter().enumerate() {
        let root = format!("/r{number}");
        mirror.put_all(&root, &at(path));
        let job = make(&server, &format!("y{number}"), "yum", &mirror.url(&root), json!({}));
        is_failed(&job, "the metadata names the path");
        assert!(mirror.paths().iter().all(|asked| asked.starts_with(&format!("{root}/repodata/"))));
    }
    let mut tree = repo::Tree::new();
    let text = repo::stanza("a", "1", "../../etc/passwd", b"x");
    tree.insert("Packages".into(), text.into_bytes());
    mirror.put_all("/apt", &tree);
    is_failed(&make(&server, "apt", "apt", &mirror.url("/apt"), json!({})), "climbs");
}

#[test]
fn xml_that_is_more_than_data_is_refused() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bomb =
        "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><repomd>&b;</repomd>";
    mirror.put("/a/repodata/repomd.xml", bomb);
    is_failed(&make(&server, "a", "yum", &mirror.url("/a"), json!({})), "document type");
    let mut tree = repo::Tree::new();
    repo::put_primary(&mut tree, bomb.replace("repomd", "metadata").as_bytes(), &[]);
    mirror.put_all("/b", &tree);
    is_failed(&make(&server, "b", "yum", &mirror.url("/b"), json!({})), "document type");
    // Much out of little.
    let mut bomb = b"<metadata packages=\"1\"><package><name>".to_vec();
    bomb.resize(100 << 20, b' ');
    repo::put_primary(&mut tree, &bomb, &[]);
    mirror.put_all("/c", &tree);
    is_failed(&make(&server, "c", "yum", &mirror.url("/c"), json!({})), "too large");
}

#[test]
fn bytes_that_are_not_what_was_promised() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let tree = repo::apt(&[("a", "1")], DATE, "");
    let good = tree["pool/main/a_1_amd64.deb"].clone();
    let mut wrong = good.clone();
    wrong[100] ^= 1;
    let mut long = good.clone();
    long.extend_from_slice(b"more");
    let short = good[..good.len() - 1].to_vec();
    for (name, bytes, words) in [("w", wrong, "checksum mismatch"), ("l", long, "bytes"), ("s", short, "bytes")] {
        mirror.put_all(&format!("/{name}"), &tree);
        mirror.put(&format!("/{name}/pool/main/a_1_amd64.deb"), bytes.clone());
        let path = format!("{} stable main", mirror.url(&format!("/{name}")));
        let job = make(&server, name, "apt", &path, json!({}));
        is_failed(&job, "a_1_amd64.deb");
        is_failed(&job, words);
        assert!(!server.blob_path(&sha256(&bytes)).exists());
    }
    for (name, index) in [("p", "main/binary-amd64/Packages.gz"), ("q", "Release")] {
        mirror.put_all(&format!("/{name}"), &tree);
        mirror.put(&format!("/{name}/dists/stable/{index}"), "nonsense");
        let path = format!("{} stable main", mirror.url(&format!("/{name}")));
        is_failed(&make(&server, name, "apt", &path, json!({})), if name == "p" { "Packages.gz" } else { "no field" });
    }
    assert!(server.stage_files().is_empty());
}

#[test]
fn redirects_are_followed_only_where_it_is_safe() {
    let (server, mirror, other) = (Packhouse::start(), Mirror::start(), Mirror::start());
    let tree = repo::yum(&[("a", "1")]);
    mirror.put_all("/real", &tree);
    let redirect = |name: &str, to: String| {
        mirror.put(&format!("/{name}/repodata/repomd.xml"), Reply::Redirect(to));
        mirror.url(&format!("/{name}"))
    };
    let path = redirect("loop", mirror.url("/loop/repodata/repomd.xml"));
    is_failed(&make(&server, "loop", "yum", &path, json!({})), "redirects too often");
    let path = redirect("file", "file:///etc/passwd".into());
    is_failed(&make(&server, "file", "yum", &path, json!({})), "no http(s) address");
    other.put_all("", &tree);
    let path = redirect("other", other.url("/repodata/repomd.xml"));
    is_failed(&make(&server, "other", "yum", &path, json!({"password": "s", "username": "u"})), "this machine itself");
    let path = redirect("cloud", "http://169.254.169.254/latest/meta-data".into());
    is_failed(&make(&server, "cloud", "yum", &path, json!({})), "link-local");
    assert!(other.asked().is_empty());
    // Within one server it is an ordinary thing.
    for path in tree.keys() {
        mirror.put(
            &format!("/moved/{path}"),
            Reply::Redirect(format!("../../real/{path}").replace("../../real", "/real")),
        );
    }
    is_done(&make(&server, "moved", "yum", &mirror.url("/moved"), json!({})));
}

#[test]
fn answers_without_end() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put("/body/repodata/repomd.xml", Reply::Endless);
    is_failed(&make(&server, "body", "yum", &mirror.url("/body"), json!({})), "larger than 16 MiB");
    mirror.put("/head/repodata/repomd.xml", Reply::EndlessHead);
    is_failed(&make(&server, "head", "yum", &mirror.url("/head"), json!({})), "/head/repodata/repomd.xml");
    let tree = repo::apt(&[("a", "1")], DATE, "");
    mirror.put_all("/pkg", &tree);
    mirror.put("/pkg/pool/main/a_1_amd64.deb", Reply::Endless);
    let path = format!("{} stable main", mirror.url("/pkg"));
    let job = make(&server, "pkg", "apt", &path, json!({}));
    is_failed(&job, "longer than the metadata says");
    assert!(job["downloaded_bytes"].as_u64().unwrap() <= tree["pool/main/a_1_amd64.deb"].len() as u64, "{job}");
}

#[cfg(feature = "crash-points")]
#[test]
fn silence_ends() {
    let server = Packhouse::with().env("PACKHOUSE_TEST_STALL_SECONDS", "1").start();
    let mirror = Mirror::start();
    mirror.put("/s/repodata/repomd.xml", Reply::Silence);
    is_failed(&make(&server, "s", "yum", &mirror.url("/s"), json!({})), "repomd.xml");
    assert_eq!(server.send(Request::get("/health")).status, 200);
}

#[test]
fn private_files_of_other_doors_stay_private() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let secret = repo::rpm("secret", "1");
    let create = Request::put("/product/create").token(crate::server::ADMIN).json(&json!({"name": "p"}));
    assert_eq!(server.send(create).status, 201);
    let (kind, form) = crate::files::Form::upload("p", "1", "secret.rpm", &secret).finish();
    let upload = Request::post("/product/upload").token(crate::server::ADMIN).body(&kind, form);
    assert!(server.send(upload).status < 300);
    let mut tree = repo::Tree::new();
    repo::put_yum(&mut tree, &[repo::package("s", "s.rpm", &sha256(&secret), secret.len())], &[]);
    mirror.put_all("/y", &tree);
    is_failed(&make(&server, "x", "yum", &mirror.url("/y"), json!({})), "s.rpm");
    assert!(names(&server, "x").is_empty());
    assert_eq!(look(&server, "x")["status"], "failed");
}
