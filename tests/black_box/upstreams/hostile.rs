//! Upstreams that lie, stall, lead astray or never end (`repos.md` §3.6, `reliability.md` §16): each ends in a clear error
//! and changes nothing.

use serde_json::json;

use super::mirror::{Mirror, Reply};
use super::repo::{self, DATE, LATER};
use super::{again, is_done, is_failed, look, make, names, send};
use crate::client::Request;
use crate::files::sha256;
use crate::server::{Packhouse, wait_for};

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

/// Everything a failed sync must leave as it was.
fn state(server: &Packhouse) -> Vec<Vec<u8>> {
    let paths = [
        "/package",
        "/upstream/u/packages",
        "/repo/r/packages",
        "/repo/r/repodata/repomd.xml",
        "/repo/r/dists/stable/InRelease",
    ];
    let mut state: Vec<Vec<u8>> = paths.iter().map(|path| server.send(Request::get(path)).body).collect();
    let mut shelf = server.shelf_files();
    shelf.sort();
    state.push(format!("{shelf:?}").into_bytes());
    state
}

/// A good upstream `u` that is published as `r`; then each lie in its place: an error in these words, and nothing else.
fn lies(kind: &str, path: &dyn Fn(&Mirror) -> String, good: &repo::Tree, cases: Vec<(&str, repo::Tree)>) {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/r", good);
    is_done(&make(&server, "u", kind, &path(&mirror), json!({})));
    send(&server, "POST", "/repo", &json!({ "name": "r", "type": kind }).to_string()).is_json(201);
    send(&server, "PUT", "/repo/r/packages", r#"{"sync": {"name": "u", "type": "upstream"}}"#).is_json(200);
    let before = state(&server);
    server.forget_peak();
    let memory = server.memory();
    for (words, tree) in cases {
        mirror.put_all("/r", &tree);
        is_failed(&again(&server, "u", json!({})), words);
        wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
        assert_eq!(state(&server), before, "{words}");
        mirror.put_all("/r", good);
    }
    let grown = server.peak_memory().saturating_sub(memory);
    assert!(grown < 256 << 20, "{} MiB", grown >> 20);
    is_done(&again(&server, "u", json!({})));
    assert_eq!(state(&server), before);
}

#[test]
fn yum_metadata_that_lies_changes_nothing() {
    let good = repo::yum(&[("a", "1"), ("b", "1")]);
    let rpm = repo::rpm("c", "1");
    let entry = |href: &str, size: &str| {
        let entry = repo::package("c", href, &sha256(&rpm), 0);
        entry.replace("package=\"0\"", &format!("package=\"{size}\""))
    };
    let with = |entries: &[String]| {
        let mut tree = repo::Tree::new();
        tree.insert("c.rpm".into(), rpm.clone());
        repo::put_yum(&mut tree, entries, &[]);
        tree
    };
    let repomd = |change: &dyn Fn(&str) -> String| {
        let mut tree = with(&[entry("c.rpm", &rpm.len().to_string())]);
        let text = String::from_utf8(tree["repodata/repomd.xml"].clone()).unwrap();
        tree.insert("repodata/repomd.xml".into(), change(&text).into_bytes());
        tree
    };
    let size = |text: &str| text.split("<size>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let mut cases = vec![
        ("repomd.xml", repomd(&|text| text[..text.len() / 2].to_owned())),
        ("repomd.xml", repomd(&|_| "not xml at all".to_owned())),
        ("repomd.xml", repomd(&|text| text.replace("\"primary\"", "\"other\""))),
        ("primary.xml.gz", repomd(&|text| text.replace(&format!("<size>{}<", size(text)), "<size>3<"))),
        ("repomd.xml", repomd(&|text| text.replace("type=\"sha256\"", "type=\"md5\""))),
        ("c.rpm", with(&[entry("c.rpm", "3")])),
        ("c.rpm", with(&[entry("c.rpm", &(rpm.len() + 1).to_string())])),
        ("none.rpm", with(&[entry("none.rpm", &rpm.len().to_string())])),
        ("the metadata names the path", with(&[entry("sub/../../c.rpm", &rpm.len().to_string())])),
    ];
    // The first of two is good, the second is not what was promised.
    let other = repo::package("d", "d.rpm", &sha256(b"d"), 1);
    let mut midway = with(&[entry("c.rpm", &rpm.len().to_string()), other]);
    midway.insert("d.rpm".into(), b"e".to_vec());
    cases.push(("d.rpm", midway));
    // What came whole before the failure is kept for the next attempt, so this one is judged apart.
    let (midway, cases) = (cases.pop().unwrap(), cases);
    lies("yum", &|mirror| mirror.url("/r"), &good, cases);
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/r", &midway.1);
    is_failed(&make(&server, "u", "yum", &mirror.url("/r"), json!({})), midway.0);
    assert_eq!(server.send(Request::get("/package")).is_json(200), json!({}));
    assert!(names(&server, "u").is_empty());
}

#[test]
fn apt_metadata_that_lies_changes_nothing() {
    let good = repo::apt(&[("a", "1"), ("b", "1")], DATE, "");
    let deb = repo::deb("c", "1");
    let stanza = repo::stanza("c", "1", "pool/c.deb", &deb);
    let with = |text: &[u8]| {
        let mut tree = repo::apt_of(text, LATER);
        tree.insert("pool/c.deb".into(), deb.clone());
        tree
    };
    let changed = |from: &str, to: &str| {
        assert!(stanza.contains(from), "{from}");
        with(stanza.replace(from, to).as_bytes())
    };
    let size = format!("Size: {}", deb.len());
    let release = |change: &dyn Fn(&str) -> String| {
        let mut tree = with(stanza.as_bytes());
        let text = String::from_utf8(tree["dists/stable/Release"].clone()).unwrap();
        tree.insert("dists/stable/Release".into(), change(&text).into_bytes());
        tree
    };
    let mut line = b"Package: ".to_vec();
    line.resize(128 << 20, b'x');
    let cases = vec![
        ("c.deb", changed(&size, "Size: 3")),
        ("Packages", changed(&size, "Size: 99999999999999999999")),
        ("Packages", changed(&size, "Size: -1")),
        ("c.deb", changed(&sha256(&deb), &sha256(b"other"))),
        ("climbs", changed("pool/c.deb", "pool/../../c.deb")),
        ("the metadata names the path", changed("pool/c.deb", "/etc/passwd")),
        ("none.deb", changed("pool/c.deb", "pool/none.deb")),
        ("Packages", with(&line)),
        ("Release", release(&|_| "SHA256:\n".to_owned())),
        ("Packages", release(&|text| text.replace("main/binary-amd64/Packages.gz", "main/binary-amd64/Packages.xz"))),
        ("older than", release(&|text| text.replace(LATER, "Thu, 01 Jan 2026 10:00:00 UTC"))),
    ];
    let path = |mirror: &Mirror| format!("{} stable main", mirror.url("/r"));
    lies("apt", &path, &good, cases);
}
