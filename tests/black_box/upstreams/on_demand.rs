//! Upstreams whose packages come at their first request (`repos.md` §19.7).

use std::thread;

use serde_json::{Value, json};

use super::mirror::{Mirror, Reply};
use super::repo::{self, DATE, Tree};
use super::{again, is_done, job, look, make, names, send};
use crate::client::{Answer, Request};
use crate::files::{noise, sha256};
use crate::server::{ADMIN, Packhouse, wait_for};

/// A yum tree whose one package `big` is these bytes, whatever they are.
fn tree_of(bytes: &[u8]) -> Tree {
    let mut tree = Tree::new();
    let path = "Packages/big-1-1.x86_64.rpm";
    repo::put_yum(&mut tree, &[repo::package("big", path, &sha256(bytes), bytes.len())], &[]);
    tree.insert(path.into(), bytes.to_vec());
    tree
}

/// A repo that is a copy of the upstream `x`, which lies at `path`.
fn publish(server: &Packhouse, kind: &str, path: &str) {
    let job = make(server, "x", kind, path, json!({"policy": "on_demand"}));
    is_done(&job);
    assert_eq!((&job["downloaded_files"], &job["downloaded_bytes"]), (&json!(0), &json!(0)), "{job}");
    let body = json!({"name": "r", "type": kind}).to_string();
    assert_eq!(send(server, "POST", "/repo", &body).status, 201);
    let copy = json!({"sync": {"name": "x", "type": "upstream"}}).to_string();
    send(server, "PUT", "/repo/r/packages", &copy).is_json(200);
}

/// Where the package with these bytes is published by the yum repo `r`.
fn place(bytes: &[u8], name: &str) -> String {
    let sum = sha256(bytes);
    format!("/repo/r/Packages/{}/{}/{name}", &name[..1], &sum[..12])
}

fn fetch(server: &Packhouse, target: &str) -> Answer {
    server.send(Request::get(target))
}

fn packages_asked(mirror: &Mirror) -> usize {
    mirror.paths().iter().filter(|path| path.ends_with(".rpm") || path.ends_with(".deb")).count()
}

#[test]
fn packages_come_at_their_first_request_and_stay() {
    let (mut server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    assert_eq!(packages_asked(&mirror), 0);
    let shown = look(&server, "x");
    assert_eq!((&shown["policy"], &shown["packages"], &shown["here"]), (&json!("on_demand"), &json!(2), &json!(0)));
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    let (at_a, at_b) = (place(&a, "a-1-1.x86_64.rpm"), place(&b, "b-1-1.x86_64.rpm"));
    // What needs no bytes asks for none.
    let head = server.send(Request::head(&at_a));
    assert_eq!((head.status, head.header("Content-Length")), (200, Some(a.len().to_string().as_str())));
    let same = server.send(Request::get(&at_a).header("If-None-Match", &format!("\"{}\"", sha256(&a))));
    assert_eq!((same.status, packages_asked(&mirror)), (304, 0));
    let entry = server.send(Request::get(&format!("/package/{}", sha256(&a)))).is_json(200);
    assert_eq!((&entry["name"], &entry["arch"], &entry["size"]), (&json!("a"), &json!("x86_64"), &json!(a.len())));
    assert!(entry["upstreams"]["x"].is_string() && entry["repos"]["r"].is_string(), "{entry}");
    for _ in 0..2 {
        assert!(fetch(&server, &at_a).body == a);
    }
    let part = server.send(Request::get(&at_b).header("Range", "bytes=10-19"));
    assert_eq!((part.status, &part.body[..]), (206, &b[10..20]));
    assert_eq!((packages_asked(&mirror), look(&server, "x")["here"].clone()), (2, json!(2)));
    drop(mirror);
    server.restart();
    assert!(fetch(&server, &at_a).body == a && fetch(&server, &at_b).body == b);
    assert!(fetch(&server, &format!("/package/{}/content", sha256(&b))).body == b);
}

#[test]
fn many_first_requests_are_one_fetch() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(3, 900_000);
    mirror.put_all("/y", &tree_of(&bytes));
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", Reply::CutOnce(bytes.clone(), 500_000));
    publish(&server, "yum", &mirror.url("/y"));
    mirror.paths();
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(fetch(&server, &target).body == bytes));
        }
    });
    // One that broke off, and what was missing.
    assert_eq!(packages_asked(&mirror), 2);
    assert!(server.stage_files().is_empty());
}

#[test]
fn wrong_bytes_never_leave_whole_and_are_not_kept() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(4, 700_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    let mut wrong = bytes.clone();
    wrong[0] ^= 1;
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    let shelf = server.shelf_files().len();
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", wrong);
    let broken = server.send_raw(format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    let head = broken.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    assert!(broken.len() - head < bytes.len(), "all of the wrong bytes came");
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", noise(5, 699_999));
    fetch(&server, &target).is_error_naming(502, "upstream x");
    wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
    assert_eq!((server.shelf_files().len(), look(&server, "x")["here"].clone()), (shelf, json!(0)));
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", bytes.clone());
    assert!(fetch(&server, &target).body == bytes);
}

#[test]
fn an_upstream_that_is_gone_is_told() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1"), ("b", "1")], DATE, ""));
    publish(&server, "apt", &format!("{} stable main", mirror.url("/d")));
    let packages = String::from_utf8(fetch(&server, "/repo/r/dists/stable/main/binary-amd64/Packages").body).unwrap();
    let files: Vec<&str> = packages.lines().filter_map(|line| line.strip_prefix("Filename: ")).collect();
    assert_eq!(files.len(), 2, "{packages}");
    assert!(fetch(&server, &format!("/repo/r/{}", files[0])).body == repo::deb("a", "1"));
    mirror.put("/d/pool/main/b_1_amd64.deb", Reply::Status(404));
    fetch(&server, &format!("/repo/r/{}", files[1])).is_error_naming(502, "upstream x");
    assert_eq!(server.send(Request::delete("/upstream/x").token(ADMIN)).status, 200);
    fetch(&server, &format!("/repo/r/{}", files[1])).is_error_naming(502, "deleted");
    assert!(fetch(&server, &format!("/repo/r/{}", files[0])).body == repo::deb("a", "1"));
    // Uploaded by hand it is here.
    let bytes = repo::deb("b", "1");
    let upload = Request::post("/package?filename=b_1_amd64.deb").token(ADMIN).body("x/y", &bytes[..]);
    assert_eq!(server.send(upload).status, 200);
    assert!(fetch(&server, &format!("/repo/r/{}", files[1])).body == bytes);
}

#[test]
fn what_nobody_lists_any_more_is_forgotten() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    mirror.put_all("/y", &repo::yum(&[("b", "1")]));
    is_done(&again(&server, "x", json!({})));
    // A repo keeps what it lists, and past generations what they listed.
    assert!(fetch(&server, &place(&a, "a-1-1.x86_64.rpm")).body == a);
    send(&server, "PUT", "/repo/r/packages", "{}").is_json(200);
    assert_eq!(server.send(Request::get(&format!("/package/{}", sha256(&a)))).status, 404);
    assert!(fetch(&server, &place(&b, "b-1-1.x86_64.rpm")).body == b);
    assert_eq!(server.send(Request::delete("/repo/r").token(ADMIN)).status, 200);
    assert_eq!(server.send(Request::delete("/upstream/x").token(ADMIN)).status, 200);
    assert_eq!(server.send(Request::get("/package")).text(), "{}");
    send(&server, "POST", "/gc", "");
    wait_for("the bytes to go", || server.shelf_files().is_empty().then_some(()));
}

#[test]
fn another_policy_fetches_what_is_missing() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let done = again(&server, "x", json!({"policy": "immediate"}));
    is_done(&done);
    assert_eq!((&done["downloaded_files"], &look(&server, "x")["here"]), (&json!(2), &json!(2)));
    is_done(&again(&server, "x", json!({"policy": "on_demand"})));
    assert_eq!((names(&server, "x").len(), &look(&server, "x")["here"]), (2, &json!(2)));
    let dir = json!({"name": "d", "type": "dir", "path": mirror.url("/d"), "policy": "on_demand"}).to_string();
    send(&server, "POST", "/upstream", &dir).is_error_naming(400, "directory");
    let odd = json!({"policy": "sometimes"}).to_string();
    send(&server, "PUT", "/upstream/x", &odd).is_error_naming(400, "policy");
    assert_eq!(job(&server, "x")["state"], Value::from("done"));
}
