//! apt upstreams (`repos.md` §5).

use serde_json::json;

use super::mirror::Mirror;
use super::repo::{self, DATE, LATER};
use super::{again, is_done, is_failed, job, look, make, names, set};
use crate::client::Request;
use crate::files::sha256;
use crate::server::{ADMIN, Packhouse};

#[test]
fn a_suite_is_copied_and_only_what_is_new_is_fetched() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1.0-1"), ("b", "2:1.0-1")], DATE, ""));
    let first = make(&server, "x", "apt", &format!("deb [signed-by=/k] {} stable main", mirror.url("/d/")), json!({}));
    is_done(&first);
    assert_eq!(
        (&first["files_total"], &first["downloaded_files"], &first["reused_files"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert_eq!(first["not_modified"], false);
    assert!(mirror.paths().iter().all(|path| !path.contains("//")));
    let entry = server.send(Request::get("/upstream/x/packages")).is_json(200);
    let entry = &entry[sha256(&repo::deb("b", "2:1.0-1"))];
    assert_eq!((&entry["name"], &entry["version"], &entry["type"]), (&json!("b"), &json!("2:1.0-1"), &json!("deb")));
    let shown = look(&server, "x");
    assert_eq!((&shown["status"], &shown["packages"], &shown["verified"]), (&json!("ok"), &json!(2), &json!(false)));

    let second = again(&server, "x", json!({}));
    is_done(&second);
    assert_eq!(second["not_modified"], true);
    let asked = mirror.asked();
    assert!(asked.len() <= 2, "{asked:?}");
    assert!(asked.iter().any(|asked| asked.field("If-None-Match").is_some()));
    assert_eq!(look(&server, "x")["updated_at"], shown["updated_at"]);

    mirror.put_all("/d", &repo::apt(&[("a", "1.0-1"), ("c", "1.0-1")], LATER, ""));
    let third = again(&server, "x", json!({}));
    is_done(&third);
    assert_eq!((&third["downloaded_files"], &third["reused_files"]), (&json!(1), &json!(1)));
    assert_eq!(names(&server, "x"), ["a_1.0-1_amd64.deb", "c_1.0-1_amd64.deb"]);
    let fetched: Vec<String> = mirror.paths().into_iter().filter(|path| path.contains("/pool/")).collect();
    assert_eq!(fetched, ["/d/pool/main/c_1.0-1_amd64.deb"]);
}

#[test]
fn releases_that_are_old_expired_or_weak_are_refused() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1")], LATER, ""));
    let path = format!("{} stable main", mirror.url("/d"));
    is_done(&make(&server, "x", "apt", &path, json!({})));
    let before = set(&server, "x");
    mirror.put_all("/d", &repo::apt(&[("b", "1")], DATE, ""));
    is_failed(&again(&server, "x", json!({})), "older than the copy we have");
    let shown = look(&server, "x");
    assert_eq!((&shown["status"], &shown["packages"]), (&json!("failed"), &json!(1)));
    assert_eq!(set(&server, "x"), before);

    mirror.put_all("/e", &repo::apt(&[("a", "1")], DATE, &format!("Valid-Until: {DATE}\n")));
    let path = format!("{} stable main", mirror.url("/e"));
    is_failed(&make(&server, "old", "apt", &path, json!({})), "Valid-Until");
    let taken = again(&server, "old", json!({"allow_expired": true}));
    is_done(&taken);
    assert_eq!(taken["warnings"].as_array().unwrap().len(), 1);

    mirror.put("/w/dists/stable/Release", "Components: main\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/x\n");
    let path = format!("{} stable main", mirror.url("/w"));
    is_failed(&make(&server, "weak", "apt", &path, json!({})), "too weak");
    let path = format!("{} stable contrib", mirror.url("/d"));
    is_failed(&make(&server, "comp", "apt", &path, json!({})), "no component contrib");
}

#[test]
fn flat_repositories_with_and_without_a_release() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let mut tree = repo::flat(&[("a", "1"), ("b", "1")], DATE);
    mirror.put_all("/f", &tree);
    is_done(&make(&server, "x", "apt", &mirror.url("/f"), json!({})));
    assert_eq!(names(&server, "x"), ["a.deb", "b.deb"]);
    tree.remove("Release");
    mirror.put_all("/g/sub", &tree);
    let bare = make(&server, "y", "apt", &format!("{} sub/", mirror.url("/g")), json!({}));
    is_done(&bare);
    assert_eq!(bare["reused_files"], 2);
    assert_eq!(bare["warnings"].as_array().unwrap().len(), 1);
    is_failed(&make(&server, "z", "apt", &mirror.url("/nothing"), json!({})), "Packages");
}

#[test]
fn architectures_are_kept_by_choice() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1")], DATE, ""));
    let path = format!("{} stable main arch=arm64", mirror.url("/d"));
    is_failed(&make(&server, "x", "apt", &path, json!({})), "no index of main");
    let path = format!("{} stable main arch=amd64,arm64", mirror.url("/d"));
    is_done(&make(&server, "y", "apt", &path, json!({})));
}

#[test]
fn signatures_are_checked_before_anything_else() {
    use packhouse::formats::openpgp::{KeyKind, SigningKey};
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let key = |user: &str| SigningKey::generate(KeyKind::Ed25519, user, 1_790_000_000).unwrap();
    let (good, other) = (key("Good <g@example.org>"), key("Other <o@example.org>"));
    let mut tree = repo::apt(&[("a", "1")], DATE, "");
    let release = String::from_utf8(tree["dists/stable/Release"].clone()).unwrap();
    mirror.put_all("/plain", &tree);
    let key = json!({ "key": good.public_armored().unwrap() });
    let path = format!("{} stable main", mirror.url("/plain"));
    is_failed(&make(&server, "plain", "apt", &path, key.clone()), "not signed");

    let signed = good.clearsign(&release, 1_790_000_000).unwrap();
    tree.insert("dists/stable/InRelease".into(), signed.clone().into_bytes());
    mirror.put_all("/good", &tree);
    let path = format!("{} stable main", mirror.url("/good"));
    is_done(&make(&server, "good", "apt", &path, key.clone()));
    let shown = look(&server, "good");
    assert_eq!((&shown["verified"], &shown["has_key"]), (&json!(true), &json!(true)));
    assert!(!shown.to_string().contains("PGP"), "the key is not part of the answer");

    mirror.paths();
    let changed = signed.replace("Origin: x", "Origin: y");
    mirror.put("/good/dists/stable/InRelease", changed.as_str());
    assert_eq!(again(&server, "good", json!({}))["state"], "failed");
    assert_eq!(mirror.paths(), ["/good/dists/stable/InRelease"]);
    mirror.put("/good/dists/stable/InRelease", other.clearsign(&release, 1_790_000_000).unwrap().as_str());
    is_failed(&again(&server, "good", json!({})), "InRelease");
    assert_eq!(names(&server, "good").len(), 1);

    // What stands around the signed part is not read.
    let around = format!("SHA256:\n nonsense\n\n{signed}\nSHA256:\n nonsense\n");
    mirror.put("/good/dists/stable/InRelease", around.as_str());
    let outcome = again(&server, "good", json!({}));
    assert!(["done", "failed"].contains(&outcome["state"].as_str().unwrap()));
    if outcome["state"] == "failed" {
        assert!(!outcome["error"].as_str().unwrap().contains("nonsense"), "{outcome}");
    }

    tree.remove("dists/stable/InRelease");
    tree.insert(
        "dists/stable/Release.gpg".into(),
        good.sign_detached(release.as_bytes(), 1_790_000_000).unwrap().into_bytes(),
    );
    mirror.put_all("/apart", &tree);
    let path = format!("{} stable main", mirror.url("/apart"));
    is_done(&make(&server, "apart", "apt", &path, key));
    assert_eq!(look(&server, "apart")["verified"], true);
    let answer = server.send(Request::put("/upstream/apart?wait=50").token(ADMIN).json(&json!({"key": null})));
    assert_eq!(answer.is_json(202)["has_key"], false);
    is_done(&job(&server, "apart"));
}
