//! yum upstreams (`repos.md` §4).

use serde_json::json;

use super::mirror::Mirror;
use super::repo;
use super::{again, is_done, is_failed, look, make, names};
use crate::client::Request;
use crate::files::sha256;
use crate::server::Packhouse;

#[test]
fn a_repository_is_copied_and_followed() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    let first = make(&server, "x", "yum", &mirror.url("/y/"), json!({}));
    is_done(&first);
    assert_eq!((&first["downloaded_files"], &first["phase"]), (&json!(2), &json!("commit")));
    let shown = server.send(Request::get("/upstream/x/packages")).is_json(200);
    let entry = &shown[sha256(&repo::rpm("a", "1"))];
    let facts = [&entry["name"], &entry["version"], &entry["release"], &entry["type"], &entry["epoch"]];
    assert_eq!(facts, [&json!("a"), &json!("1"), &json!("1"), &json!("rpm"), &json!(0)]);
    assert_eq!(entry["filename"], "a-1-1.x86_64.rpm");
    mirror.paths();
    assert_eq!(again(&server, "x", json!({}))["not_modified"], true);
    assert_eq!(mirror.paths(), ["/y/repodata/repomd.xml"]);
    mirror.put_all("/y", &repo::yum(&[("b", "1"), ("c", "2")]));
    let third = again(&server, "x", json!({}));
    is_done(&third);
    assert_eq!((&third["downloaded_files"], &third["reused_files"]), (&json!(1), &json!(1)));
    assert_eq!(names(&server, "x"), ["b-1-1.x86_64.rpm", "c-2-1.x86_64.rpm"]);
    // What another upstream has is not fetched again.
    mirror.put_all("/z", &repo::yum(&[("c", "2")]));
    assert_eq!(make(&server, "y", "yum", &mirror.url("/z"), json!({}))["downloaded_files"], 0);
}

#[test]
fn older_checksums_and_extra_metadata() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = repo::rpm("a", "1");
    let sum = packhouse::formats::index::Algorithm::Sha1;
    let mut hasher = packhouse::formats::index::Hasher::new(sum).unwrap();
    hasher.update(&bytes);
    let entry = repo::package("a", "a.rpm", &sha256(&bytes), bytes.len())
        .replace("type=\"sha256\"", "type=\"sha\"")
        .replace(&sha256(&bytes), &hasher.finish());
    let mut tree = repo::Tree::new();
    tree.insert("a.rpm".into(), bytes.clone());
    repo::put_yum(&mut tree, std::slice::from_ref(&entry), &[("updateinfo", "updateinfo.xml", b"<updates/>")]);
    mirror.put_all("/y", &tree);
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    assert_eq!(names(&server, "x"), ["a.rpm"]);
    // Other metadata, the same package: known under its old checksum.
    repo::put_yum(&mut tree, std::slice::from_ref(&entry), &[("updateinfo", "updateinfo.xml", b"<updates></updates>")]);
    mirror.put_all("/y", &tree);
    let second = again(&server, "x", json!({}));
    is_done(&second);
    assert_eq!((&second["downloaded_files"], &second["not_modified"]), (&json!(0), &json!(false)));

    let weak = entry.replace("type=\"sha\"", "type=\"md5\"");
    let weak = weak.replace(&weak[weak.find("YES\">").unwrap() + 5..weak.find("</checksum").unwrap()], &"0".repeat(32));
    repo::put_yum(&mut tree, &[weak], &[]);
    mirror.put_all("/y", &tree);
    is_failed(&again(&server, "x", json!({})), "MD5");
    assert_eq!(look(&server, "x")["packages"], 1);
}

#[test]
fn what_is_no_rpm_or_not_there_fails_the_whole_sync() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let deb = repo::deb("a", "1");
    let mut tree = repo::yum(&[("a", "1")]);
    tree.insert("x.rpm".into(), deb.clone());
    let entry = |name: &str, bytes: &[u8]| repo::package("x", name, &sha256(bytes), bytes.len());
    repo::put_yum(&mut tree, &[entry("x.rpm", &deb)], &[]);
    mirror.put_all("/deb", &tree);
    is_failed(&make(&server, "deb", "yum", &mirror.url("/deb"), json!({})), "not an rpm");
    repo::put_yum(&mut tree, &[entry("gone.rpm", b"nothing")], &[]);
    mirror.put_all("/gone", &tree);
    is_failed(&make(&server, "gone", "yum", &mirror.url("/gone"), json!({})), "gone.rpm");
    is_failed(&make(&server, "none", "yum", &mirror.url("/none"), json!({})), "repodata/repomd.xml");
    for name in ["deb", "gone", "none"] {
        let shown = look(&server, name);
        assert_eq!((&shown["status"], &shown["synced_at"]), (&json!("failed"), &json!(null)));
        assert!(names(&server, name).is_empty());
    }
    assert_eq!(server.send(Request::get("/upstream/none/packages")).text(), "{}");
}

#[test]
fn a_signed_repository() {
    use packhouse::formats::openpgp::{KeyKind, SigningKey};
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let good = SigningKey::generate(KeyKind::Rsa3072, "Good <g@example.org>", 1_790_000_000).unwrap();
    let mut tree = repo::yum(&[("a", "1")]);
    mirror.put_all("/y", &tree);
    let key = json!({ "key": good.public_armored().unwrap() });
    is_failed(&make(&server, "x", "yum", &mirror.url("/y"), key), "not signed");
    assert_eq!(mirror.paths(), ["/y/repodata/repomd.xml", "/y/repodata/repomd.xml.asc"]);
    let signature = good.sign_detached(&tree["repodata/repomd.xml"], 1_790_000_000).unwrap();
    tree.insert("repodata/repomd.xml.asc".into(), signature.into_bytes());
    mirror.put_all("/y", &tree);
    is_done(&again(&server, "x", json!({})));
    assert_eq!(look(&server, "x")["verified"], true);
}
