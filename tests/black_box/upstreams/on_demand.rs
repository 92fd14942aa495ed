//! Upstreams whose packages come at their first request (`repos.md` §19.7): what is fetched when, and by whom it is kept.

use std::thread;

use serde_json::{Value, json};

use super::mirror::{Gate, Mirror, Reply};
use super::repo::{self, DATE, LATER, Tree};
use super::{again, is_done, job, look, make, names, send};
use crate::client::{Answer, Request};
use crate::files::{noise, sha256};
use crate::rig::assert_sound;
use crate::server::{ADMIN, Packhouse, wait_for};

/// A yum tree whose one package `big` is these bytes, whatever they are.
pub(super) fn tree_of(bytes: &[u8]) -> Tree {
    let mut tree = Tree::new();
    let path = "Packages/big-1-1.x86_64.rpm";
    repo::put_yum(&mut tree, &[repo::package("big", path, &sha256(bytes), bytes.len())], &[]);
    tree.insert(path.into(), bytes.to_vec());
    tree
}

/// A repo `r` that is a copy of the upstream `x`, which lies at `path`; nothing but metadata was fetched.
#[track_caller]
pub(super) fn publish(server: &Packhouse, kind: &str, path: &str) {
    let job = make(server, "x", kind, path, json!({"policy": "on_demand"}));
    is_done(&job);
    assert_eq!((&job["downloaded_files"], &job["files_total"]), (&json!(0), &json!(0)), "{job}");
    let body = json!({"name": "r", "type": kind}).to_string();
    assert_eq!(send(server, "POST", "/repo", &body).status, 201);
    copy(server, "r");
}

/// Makes a repo what the upstream `x` is.
#[track_caller]
fn copy(server: &Packhouse, repo: &str) {
    let copy = json!({"sync": {"name": "x", "type": "upstream"}}).to_string();
    send(server, "PUT", &format!("/repo/{repo}/packages"), &copy).is_json(200);
}

/// Where the package with these bytes is published by the yum repo `r`.
pub(super) fn place(bytes: &[u8], name: &str) -> String {
    let sum = sha256(bytes);
    format!("/repo/r/Packages/{}/{}/{name}", &name[..1], &sum[..12])
}

pub(super) fn get(server: &Packhouse, target: &str) -> Answer {
    server.send(Request::get(target))
}

/// How often packages were asked for since the last look.
pub(super) fn packages_asked(mirror: &Mirror) -> usize {
    mirror.paths().iter().filter(|path| path.ends_with(".rpm") || path.ends_with(".deb")).count()
}

/// How many packages of the upstream `x` are not here.
pub(super) fn absent(server: &Packhouse) -> Value {
    look(server, "x")["absent"].clone()
}

#[test]
fn packages_come_at_their_first_request_and_stay() {
    let (mut server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1"), ("c", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    assert_eq!((packages_asked(&mirror), job(&server, "x")["left_files"].clone()), (0, json!(3)));
    let shown = look(&server, "x");
    assert_eq!((&shown["policy"], &shown["packages"], &shown["absent"]), (&json!("on_demand"), &json!(3), &json!(3)));
    let (a, b, c) = (repo::rpm("a", "1"), repo::rpm("b", "1"), repo::rpm("c", "1"));
    let (at_a, at_b) = (place(&a, "a-1-1.x86_64.rpm"), place(&b, "b-1-1.x86_64.rpm"));
    // What needs no bytes asks for none.
    let head = server.send(Request::head(&at_a));
    assert_eq!((head.status, head.header("Content-Length")), (200, Some(a.len().to_string().as_str())));
    let same = server.send(Request::get(&at_a).header("If-None-Match", &format!("\"{}\"", sha256(&a))));
    assert_eq!(same.status, 304);
    assert_eq!(server.send(Request::get(&at_a).header("Range", "bytes=99999999-")).status, 416);
    let listed = get(&server, "/repo/r/packages").is_json(200);
    assert_eq!(listed[sha256(&a)]["present"], false);
    assert_eq!(packages_asked(&mirror), 0);
    let entry = get(&server, &format!("/package/{}", sha256(&a))).is_json(200);
    assert_eq!((&entry["name"], &entry["arch"], &entry["size"]), (&json!("a"), &json!("x86_64"), &json!(a.len())));
    assert!(entry["upstreams"]["x"].is_string() && entry["repos"]["r"].is_string(), "{entry}");
    assert_eq!(entry["present"], false);
    server.stop();
    assert_sound(server.data(), "while packages are not here");
    server.start_again(|builder| builder);
    for _ in 0..2 {
        assert!(get(&server, &at_a).body == a);
    }
    assert_eq!(get(&server, &format!("/package/{}", sha256(&a))).is_json(200)["present"], true);
    let part = server.send(Request::get(&at_b).header("Range", "bytes=10-19"));
    assert_eq!((part.status, &part.body[..]), (206, &b[10..20]));
    let parts = server.send(Request::get(&format!("/package/{}/content", sha256(&c))).header("Range", "bytes=0-1,5-6"));
    assert_eq!(parts.status, 206);
    assert_eq!((packages_asked(&mirror), absent(&server)), (3, json!(0)));
    drop(mirror);
    server.restart();
    assert!(get(&server, &at_a).body == a && get(&server, &at_b).body == b);
    assert!(get(&server, &format!("/package/{}/content", sha256(&c))).body == c);
    let listed = get(&server, "/repo/r/packages").is_json(200);
    assert!(listed[sha256(&a)].get("present").is_none(), "{listed}");
    server.stop();
    assert_sound(server.data(), "when all packages are here");
}

#[test]
fn what_a_restart_interrupts_is_asked_for_again() {
    let (mut server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(6, 400_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", Reply::Held(bytes.clone(), 200_000, Gate::default()));
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    let mut first = server.connect();
    assert_eq!(first.begin(Request::get(&target)).status, 200);
    assert_eq!(first.body_into(1000, &mut |_| {}), 1000);
    server.kill();
    server.start_again(|builder| builder);
    assert_eq!((absent(&server), server.stage_files().len()), (json!(1), 0));
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", bytes.clone());
    assert!(get(&server, &target).body == bytes);
}

#[test]
fn other_ways_in_bring_what_was_only_listed() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1"), ("c", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let before = get(&server, "/repo/r").is_json(200)["generation"].clone();
    let (a, b, c) = (repo::rpm("a", "1"), repo::rpm("b", "1"), repo::rpm("c", "1"));
    let upload = |bytes: &[u8], more: &str| {
        let target = format!("/package?filename=x.rpm{more}");
        server.send(Request::post(&target).token(ADMIN).body("x/y", bytes)).is_json(200)
    };
    // By hand; by hand into the repo that lists it; into another one.
    assert_eq!(upload(&a, "")["filename"], "a-1-1.x86_64.rpm");
    upload(&b, "&repo=r");
    assert_eq!(send(&server, "POST", "/repo", r#"{"name":"s","type":"yum"}"#).status, 201);
    upload(&c, "&repo=s");
    assert_eq!((absent(&server), packages_asked(&mirror)), (json!(0), 0));
    for (bytes, name) in [(&a, "a-1-1.x86_64.rpm"), (&b, "b-1-1.x86_64.rpm"), (&c, "c-1-1.x86_64.rpm")] {
        assert!(get(&server, &place(bytes, name)).body == *bytes);
        let target = place(bytes, name).replace("/repo/r/", "/repo/s/");
        assert_eq!(get(&server, &target).status, if *bytes == c { 200 } else { 404 });
    }
    assert_eq!(get(&server, "/repo/r").is_json(200)["generation"], before);
    // What was uploaded stays when nobody lists it any more.
    for path in ["/repo/r", "/repo/s", "/upstream/x"] {
        assert_eq!(server.send(Request::delete(path).token(ADMIN)).status, 200);
    }
    assert_eq!(get(&server, "/package").is_json(200).as_object().unwrap().len(), 3);
}

#[test]
fn an_upstream_that_fetches_brings_what_another_only_lists() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let done = make(&server, "y", "yum", &mirror.url("/y"), json!({}));
    is_done(&done);
    assert_eq!((&done["downloaded_files"], absent(&server)), (&json!(1), json!(0)));
    let a = repo::rpm("a", "1");
    assert_eq!(server.send(Request::delete("/upstream/y").token(ADMIN)).status, 200);
    mirror.put("/y/Packages/a-1-1.x86_64.rpm", Reply::Status(404));
    assert!(get(&server, &place(&a, "a-1-1.x86_64.rpm")).body == a);
}

#[test]
fn what_nobody_lists_any_more_is_forgotten() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    let old = mirror.url("/y");
    mirror.put_all("/y", &repo::yum(&[("b", "1")]));
    is_done(&again(&server, "x", json!({ "path": old })));
    // A repo keeps what it lists, and past generations what they listed.
    assert!(get(&server, &place(&a, "a-1-1.x86_64.rpm")).body == a);
    send(&server, "PUT", "/repo/r/packages", "{}").is_json(200);
    assert_eq!(get(&server, &format!("/package/{}", sha256(&a))).status, 404);
    assert!(get(&server, &place(&b, "b-1-1.x86_64.rpm")).body == b);
    assert_eq!(server.send(Request::delete("/repo/r").token(ADMIN)).status, 200);
    assert_eq!(server.send(Request::delete("/upstream/x").token(ADMIN)).status, 200);
    assert_eq!(get(&server, "/package").text(), "{}");
    send(&server, "POST", "/gc", "").is_json(200);
    wait_for("the bytes to go", || server.shelf_files().is_empty().then_some(()));
}

#[test]
fn another_policy_fetches_what_is_missing() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let done = again(&server, "x", json!({"policy": "immediate"}));
    is_done(&done);
    assert_eq!((&done["downloaded_files"], &done["left_files"], absent(&server)), (&json!(2), &json!(0), json!(0)));
    assert_eq!(packages_asked(&mirror), 2);
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1"), ("c", "1")]));
    let done = again(&server, "x", json!({"policy": "on_demand"}));
    is_done(&done);
    assert_eq!((&done["reused_files"], &done["left_files"], absent(&server)), (&json!(2), &json!(1), json!(1)));
    assert_eq!((names(&server, "x").len(), packages_asked(&mirror)), (3, 0));
    is_done(&again(&server, "x", json!({"policy": null})));
    let b = repo::rpm("b", "1");
    assert!(get(&server, &place(&b, "b-1-1.x86_64.rpm")).body == b);
    for odd in [json!("sometimes"), json!(1), json!({})] {
        let body = json!({ "policy": odd }).to_string();
        send(&server, "PUT", "/upstream/x", &body).is_error_naming(400, "policy");
    }
    assert_eq!((&job(&server, "x")["state"], absent(&server)), (&json!("done"), json!(0)));
}

#[test]
fn what_metadata_does_not_vouch_for_is_fetched_at_once() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let deb = repo::deb("a", "1");
    let text = repo::stanza("a", "1", "pool/a.deb", &deb).replace(&format!("Size: {}\n", deb.len()), "");
    mirror.put_all("/d", &repo::apt_of(text.as_bytes(), DATE));
    mirror.put("/d/pool/a.deb", deb.clone());
    let path = format!("{} stable main", mirror.url("/d"));
    let done = make(&server, "x", "apt", &path, json!({"policy": "on_demand"}));
    is_done(&done);
    assert_eq!((&done["downloaded_files"], &done["left_files"], absent(&server)), (&json!(1), &json!(0), json!(0)));
    assert!(done["warnings"][0].as_str().is_some_and(|words| words.contains("1 file was fetched")), "{done}");
    let odd = repo::stanza("b", "1", "pool/b.deb", b"x").replace("Package: b", "Package: b/../c");
    mirror.put_all("/d", &repo::apt_of(odd.as_bytes(), LATER));
    super::is_failed(&again(&server, "x", json!({})), "Package");
}

#[test]
fn a_directory_is_listed_by_its_sums() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let (deb, text) = (repo::deb("tool", "1"), b"some text".to_vec());
    let files = [("sub/tool.deb", &deb), ("a%41.txt", &text), ("same.txt", &text)];
    let sums: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    mirror.put("/s/SHA256SUMS", sums.as_str());
    mirror.put("/s/sub/tool.deb", deb.clone());
    mirror.put("/s/a%2541.txt", text.clone());
    mirror.put("/s/same.txt", text.clone());
    publish(&server, "dir", &mirror.url("/s"));
    let asked = mirror.asked();
    assert!(asked.iter().all(|asked| asked.method == "HEAD" || !asked.path.contains('t')), "{asked:?}");
    let shown = get(&server, "/upstream/x/packages").is_json(200);
    assert_eq!((&shown[sha256(&text)]["size"], &shown[sha256(&text)]["filename"]), (&json!(9), &json!("a%41.txt")));
    let published = get(&server, "/repo/r/SHA256SUMS");
    assert!(sums.lines().all(|line| published.text().contains(line)), "{}", published.text());
    assert_eq!(shown[sha256(&deb)]["type"], "file");
    for (name, bytes) in files {
        assert!(get(&server, &format!("/repo/r/{}", name.replace('%', "%25"))).body == *bytes, "{name}");
    }
    // What it is shows once its bytes are here; how it is called stays.
    let entry = get(&server, &format!("/package/{}", sha256(&deb))).is_json(200);
    assert_eq!(
        (&entry["type"], &entry["name"], &entry["filename"]),
        (&json!("deb"), &json!("tool"), &json!("tool.deb"))
    );
    let listed = get(&server, "/repo/r/packages").is_json(200);
    assert_eq!(listed[sha256(&deb)]["filename"], "sub/tool.deb");
    assert_eq!(send(&server, "POST", "/repo", r#"{"name":"apt","type":"apt"}"#).status, 201);
    let list = json!({ sha256(&deb): true }).to_string();
    send(&server, "PATCH", "/repo/apt/packages", &list).is_json(200);
    let packages = get(&server, "/repo/apt/dists/stable/main/binary-amd64/Packages");
    let file = packages.text().lines().find_map(|line| line.strip_prefix("Filename: ")).unwrap();
    assert!(get(&server, &format!("/repo/apt/{file}")).body == deb);
}

#[test]
fn a_local_tree_is_read_when_it_is_asked_for() {
    let server = Packhouse::start();
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in repo::yum(&[("a", "1"), ("b", "1")]) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    publish(&server, "yum", folder.path().to_str().unwrap());
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    assert!(get(&server, &place(&a, "a-1-1.x86_64.rpm")).body == a);
    std::fs::remove_dir_all(folder.path().join("Packages")).unwrap();
    get(&server, &place(&b, "b-1-1.x86_64.rpm")).is_error_naming(502, "upstream x");
}

#[test]
fn snapshots_and_followers_list_what_is_not_here() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let follower = r#"{"name":"f","type":"yum","follow":{"name":"x","type":"upstream"}}"#;
    assert_eq!(send(&server, "POST", "/repo", follower).status, 201);
    wait_for("the follower to be a copy", || (get(&server, "/repo/f").is_json(200)["packages"] == 2).then_some(()));
    assert_eq!(send(&server, "POST", "/repo/r/snapshots", r#"{"name":"s"}"#).status, 201);
    send(&server, "PUT", "/repo/r/packages", "{}").is_json(200);
    mirror.put_all("/y", &repo::yum(&[("b", "1")]));
    is_done(&again(&server, "x", json!({})));
    assert_eq!(packages_asked(&mirror), 0);
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    let of = |repo: &str, bytes: &[u8], name: &str| place(bytes, name).replace("/repo/r/", &format!("/repo/{repo}/"));
    assert!(get(&server, &of("r@s", &a, "a-1-1.x86_64.rpm")).body == a);
    assert!(get(&server, &of("f", &b, "b-1-1.x86_64.rpm")).body == b);
    assert_eq!(server.send(Request::delete("/upstream/x").token(ADMIN)).status, 200);
    assert!(get(&server, &of("r@s", &b, "b-1-1.x86_64.rpm")).body == b);
}

#[test]
fn a_bundle_is_whole_or_none() {
    let (server, mut other, mirror) = (Packhouse::start(), Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    for server in [&server, &other] {
        publish(server, "yum", &mirror.url("/y"));
    }
    let refused = get(&server, "/repo/r/export");
    refused.is_error_naming(409, "2 packages of repo r were never fetched");
    for (name, words) in [("a", "1 package of"), ("b", "")] {
        let bytes = repo::rpm(name, "1");
        assert!(get(&server, &place(&bytes, &format!("{name}-1-1.x86_64.rpm"))).body == bytes);
        match words {
            "" => assert_eq!(get(&server, "/repo/r/export").status, 200),
            words => drop(get(&server, "/repo/r/export").is_error_naming(409, words)),
        }
    }
    // It brings the bytes also where the list is the same already.
    let bundle = get(&server, "/repo/r/export").body;
    packages_asked(&mirror);
    let import = Request::post("/import?trust=1&replace=1").token(ADMIN).body("application/zip", bundle);
    let shown = other.send(import).is_json(200);
    assert_eq!((&shown["packages"], absent(&other), packages_asked(&mirror)), (&json!(2), json!(0), 0), "{shown}");
    let a = repo::rpm("a", "1");
    assert!(get(&other, &place(&a, "a-1-1.x86_64.rpm")).body == a);
    other.stop();
    assert_sound(other.data(), "after an import");
}

#[test]
fn many_first_requests_are_one_fetch() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(3, 900_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    mirror.paths();
    let gate = Gate::default();
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", Reply::Held(bytes.clone(), 500_000, gate.clone()));
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    // All of them have begun to read before the last bytes come.
    let mut readers: Vec<_> = (0..8).map(|_| (server.connect(), Vec::new())).collect();
    for (connection, body) in &mut readers {
        let answer = connection.begin(Request::get(&target));
        assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("900000")));
        connection.body_into(300_000, &mut |block| body.extend_from_slice(block));
    }
    let (part, whole) = thread::scope(|scope| {
        let part = scope.spawn(|| server.send(Request::get(&target).header("Range", "bytes=100-199")));
        let whole = scope.spawn(|| get(&server, &format!("/package/{}/content", sha256(&bytes))));
        gate.open();
        (part.join().unwrap(), whole.join().unwrap())
    });
    assert_eq!((part.status, &part.body[..]), (206, &bytes[100..200]));
    assert!(whole.body == bytes);
    for (connection, body) in &mut readers {
        connection.body_into(u64::MAX, &mut |block| body.extend_from_slice(block));
        assert!(*body == bytes);
    }
    assert_eq!((packages_asked(&mirror), absent(&server)), (1, json!(0)));
    wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
}

#[test]
fn what_broke_off_is_continued_and_nobody_has_to_wait_for_it() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(8, 600_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    mirror.asked();
    mirror.put("/y/Packages/big-1-1.x86_64.rpm", Reply::CutOnce(bytes.clone(), 350_000));
    let mut client = server.connect();
    assert_eq!(client.begin(Request::get(&place(&bytes, "big-1-1.x86_64.rpm"))).status, 200);
    assert_eq!(client.body_into(10, &mut |_| {}), 10);
    drop(client);
    wait_for("the whole package", || (absent(&server) == 0).then_some(()));
    let asked = mirror.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1].field("Range"), Some("bytes=350000-"));
    assert!(get(&server, &place(&bytes, "big-1-1.x86_64.rpm")).body == bytes && mirror.asked().is_empty());
}
