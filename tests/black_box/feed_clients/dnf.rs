//! dnf reads and installs from what is published, with signed metadata (`repos.md` §12, §15).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use super::yard::{DnfRoot, Package, find, folder, run, shown};
use crate::server::Packhouse;

/// A root with the client file a server offers for `repo`.
fn root(server: &Packhouse, repo: &str) -> DnfRoot {
    let file = server.fetched(&format!("/repo/{repo}/packhouse.repo"));
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains("repo_gpgcheck=1"), "{text}");
    DnfRoot::new(text)
}

#[test]
fn dnf_installs_and_upgrades_with_signed_metadata() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "tools", "type": "yum", "compression": "gz" }));
    let root = root(&server, "tools");
    run(root.dnf(&["makecache"]));
    server.add("tools", &Package::new("tool-data", "2:1.0~rc1-1", "noarch").rpm(made.path()));
    let tool = Package::new("tool", "1.0-1", "x86_64").field("Requires: tool-data >= 2:1.0~beta");
    server.add("tools", &tool.rpm(made.path()));
    run(root.dnf(&["--refresh", "install", "tool"]));
    assert_eq!((root.version_of("tool"), root.version_of("tool-data")), ("1.0-1".into(), "2:1.0~rc1-1".into()));
    server.add("tools", &Package::new("tool", "1.0^git1-1", "x86_64").rpm(made.path()));
    run(root.dnf(&["--refresh", "upgrade"]));
    assert_eq!(root.version_of("tool"), "1.0^git1-1");
}

#[test]
fn dnf_finds_files_and_rich_dependencies() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "odd", "type": "yum" }));
    let helper = Package::new("helper", "1-1", "noarch").file("/usr/bin/helper", "#!/bin/true\n");
    server.add("odd", &helper.file("/opt/deep/inside", "x").rpm(made.path()));
    let needs = Package::new("needs", "1-1", "noarch")
        .field("Requires: /usr/bin/helper")
        .field("Requires: /opt/deep/inside")
        .field("Requires: (helper >= 1 or nothing-at-all)")
        .field("Recommends: not-there");
    server.add("odd", &needs.rpm(made.path()));
    let root = root(&server, "odd");
    run(root.dnf(&["install", "needs"]));
    assert_eq!(root.version_of("helper"), "1-1");
    let said = run(root.dnf(&["-q", "repoquery", "--whatprovides", "/opt/deep/inside"]));
    assert!(said.contains("helper-0:1-1.noarch"), "{said}");
}

#[test]
fn dnf_refuses_metadata_of_another_key() {
    let (server, stranger) = (Packhouse::start(), Packhouse::start());
    server.make_repo(&json!({ "name": "tools", "type": "yum" }));
    stranger.make_repo(&json!({ "name": "tools", "type": "yum" }));
    let file = String::from_utf8(server.fetched("/repo/tools/packhouse.repo")).unwrap();
    let lines = file.lines().map(|line| match line.strip_prefix("gpgkey=") {
        Some(_) => format!("gpgkey={}/key.asc", stranger.base()),
        None => line.to_owned(),
    });
    let root = DnfRoot::new(lines.collect::<Vec<_>>().join("\n"));
    let output = root.dnf(&["makecache"]).output().unwrap();
    assert!(!output.status.success(), "{}", shown(&output));
}

#[test]
fn reposync_copies_everything() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "tools", "type": "yum" }));
    for name in ["alpha", "Beta", "g++"] {
        server.add("tools", &Package::new(name, "1-1", "noarch").rpm(made.path()));
    }
    let root = root(&server, "tools");
    let copy = folder();
    let place = copy.path().to_str().unwrap();
    run(root.dnf(&["reposync", "--repoid=tools", "--download-metadata", "--norepopath", "--download-path", place]));
    let mut names: Vec<_> = find(copy.path(), ".rpm").iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["Beta-1-1.noarch.rpm", "alpha-1-1.noarch.rpm", "g++-1-1.noarch.rpm"]);
}

#[test]
fn dnf_makes_its_cache_all_the_while_publications_happen() {
    let (server, made) = (Packhouse::start(), folder());
    server.make_repo(&json!({ "name": "busy", "type": "yum" }));
    let moving = server.add("busy", &Package::new("moving", "1-1", "noarch").rpm(made.path()));
    server.add("busy", &Package::new("staying", "1-1", "noarch").rpm(made.path()));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let root = root(&server, "busy");
            loop {
                let last = over.load(Ordering::Relaxed);
                run(root.dnf(&["--refresh", "makecache"]));
                if last {
                    break;
                }
            }
        });
        for number in 0..100 {
            server.change("PATCH", "busy", &json!({ &moving: false }));
            server.change("PATCH", "busy", &json!({ &moving: true }));
            if reader.is_finished() {
                panic!("dnf makecache failed at publication {}", number * 2);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}
