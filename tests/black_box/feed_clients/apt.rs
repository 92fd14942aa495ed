//! apt reads and installs from what is published (`repos.md` §11, §13, §15, §16).

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::yard::{AptRoot, Gpg, Package, folder, run, shown};
use crate::client::Request;
use crate::server::{ADMIN, Packhouse};

/// The lines a server offers for a repository.
fn offered(server: &Packhouse, repo: &str) -> Vec<u8> {
    server.fetched(&format!("/repo/{repo}/packhouse.sources"))
}

#[test]
fn apt_installs_and_upgrades_from_a_suite() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    server.make_repo(&json!({ "name": "tools", "type": "apt", "suite": "bookworm" }));
    root.sources("tools.sources", offered(&server, "tools"));
    // A fresh repository is empty and already published.
    root.update();
    let library = Package::new("tool-data", "2:1.0~rc1+dfsg-1", "all").deb(made.path());
    let tool = Package::new("tool", "1.0-1", "amd64").field("Depends: tool-data (>= 2:1.0~rc1)").deb(made.path());
    server.add("tools", &library);
    server.add("tools", &tool);
    root.update();
    root.install(&["tool"]);
    assert_eq!((root.version_of("tool"), root.version_of("tool-data")), ("1.0-1".into(), "2:1.0~rc1+dfsg-1".into()));
    // Nothing changed: apt asks once and is told so.
    assert!(root.update().contains("Hit:1"));
    server.add("tools", &Package::new("tool", "1.0-1+b1", "amd64").field("Depends: tool-data").deb(made.path()));
    root.update();
    run(root.apt(&["dist-upgrade"]));
    assert_eq!(root.version_of("tool"), "1.0-1+b1");
}

#[test]
fn apt_takes_indexes_by_their_hash() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    server.make_repo(&json!({ "name": "tools", "type": "apt" }));
    server.add("tools", &Package::new("tool", "1.0", "amd64").deb(made.path()));
    root.sources("tools.sources", offered(&server, "tools"));
    let output = root.apt(&["-o", "Debug::Acquire::http=1", "update"]).output().unwrap();
    let text = shown(&output);
    assert!(output.status.success() && text.contains("/binary-amd64/by-hash/SHA256/"), "{text}");
}

#[test]
fn apt_reads_the_old_one_line_form_with_a_key_file() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    let definition = json!({ "name": "old", "type": "apt", "suite": "stable/updates", "component": "contrib" });
    server.make_repo(&definition);
    server.add("old", &Package::new("only-all", "1", "all").deb(made.path()));
    let key = root.path().join("key.gpg");
    fs::write(&key, server.fetched("/key.gpg")).unwrap();
    let line = format!("deb [signed-by={}] {}/repo/old stable/updates contrib\n", key.display(), server.base());
    root.sources("old.list", line);
    root.update();
    root.install(&["only-all"]);
    assert_eq!(root.version_of("only-all"), "1");
}

#[test]
fn apt_reads_a_flat_repository() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    server.make_repo(&json!({ "name": "flat", "type": "apt", "flat": true }));
    server.add("flat", &Package::new("libflat++1", "1:2.0+git~1-1", "amd64").compressed("zstd").deb(made.path()));
    server.add("flat", &Package::new("flat-data", "3", "all").compressed("gzip").deb(made.path()));
    root.sources("flat.sources", offered(&server, "flat"));
    root.update();
    root.install(&["libflat++1", "flat-data"]);
    assert_eq!((root.version_of("libflat++1"), root.version_of("flat-data")), ("1:2.0+git~1-1".into(), "3".into()));
}

#[test]
fn apt_refuses_another_key() {
    let (server, root) = (Packhouse::start(), AptRoot::new());
    server.make_repo(&json!({ "name": "tools", "type": "apt" }));
    let other = root.path().join("other.asc");
    fs::write(&other, Gpg::new().public()).unwrap();
    root.sources(
        "tools.list",
        format!("deb [signed-by={}] {}/repo/tools stable main\n", other.display(), server.base()),
    );
    let output = root.apt(&["update"]).output().unwrap();
    assert!(!output.status.success() && shown(&output).contains("NO_PUBKEY"), "{}", shown(&output));
}

#[test]
fn an_index_taken_before_a_rebuild_still_leads_to_its_bytes() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    server.make_repo(&json!({ "name": "tools", "type": "apt" }));
    let first = Package::new("tool", "1.0", "amd64").file("/usr/share/tool/build", "first");
    let old = server.add("tools", &first.deb(made.path()));
    root.sources("tools.sources", offered(&server, "tools"));
    root.update();
    // Rebuilt under the same name and version: other bytes, another address.
    let second = Package::new("tool", "1.0", "amd64").file("/usr/share/tool/build", "second").deb(made.path());
    let new = server.add("tools", &second);
    server.change("PATCH", "tools", &json!({ &old: false }));
    assert_ne!(old, new);
    root.install(&["tool"]);
    assert_eq!(fs::read_to_string(root.path().join("usr/share/tool/build")).unwrap(), "first");
    root.update();
    // apt believes an archive in its cache that has the right size.
    run(root.apt(&["clean"]));
    run(root.apt(&["install", "--reinstall", "tool"]));
    assert_eq!(fs::read_to_string(root.path().join("usr/share/tool/build")).unwrap(), "second");
}

#[test]
fn apt_installs_from_a_snapshot_after_the_repository_moved_on() {
    let (server, made, root) = (Packhouse::start(), folder(), AptRoot::new());
    server.make_repo(&json!({ "name": "tools", "type": "apt" }));
    let old = server.add("tools", &Package::new("tool", "1.0", "amd64").deb(made.path()));
    let answer = server.send(Request::post("/repo/tools/snapshots").token(ADMIN).json(&json!({ "name": "june" })));
    assert_eq!(answer.status, 201, "{}", answer.text());
    server.add("tools", &Package::new("tool", "2.0", "amd64").deb(made.path()));
    server.change("PATCH", "tools", &json!({ &old: false }));
    let key = root.path().join("key.asc");
    fs::write(&key, server.fetched("/repo/tools/key.asc")).unwrap();
    let line = format!("deb [signed-by={}] {}/repo/tools@june stable main\n", key.display(), server.base());
    root.sources("june.list", line);
    root.update();
    root.install(&["tool"]);
    assert_eq!(root.version_of("tool"), "1.0");
    server.change("PUT", "tools", &json!({ "sync": { "name": "tools@june", "type": "snapshot" } }));
    let second = AptRoot::new();
    second.sources("tools.sources", offered(&server, "tools"));
    second.update();
    second.install(&["tool"]);
    assert_eq!(second.version_of("tool"), "1.0");
}

#[test]
fn apt_updates_all_the_while_two_hundred_publications_happen() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "busy", "type": "apt" }));
    let moving = server.add("busy", &Package::new("moving", "1", "amd64").deb(made.path()));
    server.add("busy", &Package::new("staying", "1", "all").deb(made.path()));
    let (over, updates) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let root = AptRoot::new();
            root.sources("busy.sources", offered(&server, "busy"));
            while !over.load(Ordering::Relaxed) {
                root.update();
                updates.fetch_add(1, Ordering::Relaxed);
            }
            root.update();
        });
        for number in 0..100 {
            server.change("PATCH", "busy", &json!({ &moving: false }));
            server.change("PATCH", "busy", &json!({ &moving: true }));
            if reader.is_finished() {
                panic!("apt-get update failed at publication {}", number * 2);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(updates.load(Ordering::Relaxed) > 0);
}
