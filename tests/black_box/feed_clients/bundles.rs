//! apt, dnf and curl install from a server that has its repositories from bundles alone (`repos.md` §19.2).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::yard::{AptRoot, DnfRoot, Package, command, folder, run};
use crate::client::Request;
use crate::server::{ADMIN, Packhouse};

/// Carries a repository over by curl alone, as an administrator would.
fn carry(from: &Packhouse, to: &Packhouse, repo: &str, query: &str, folder: &Path) -> Value {
    let file = folder.join("bundle.zip");
    let file = file.to_str().unwrap();
    run(command(&["curl", "-sSf", "-o", file, &format!("{}/repo/{repo}/export{query}", from.base())]));
    let token = format!("X-Api-Token: {ADMIN}");
    let target = format!("{}/import", to.base());
    let text = match query {
        "" => run(command(&["curl", "-sSf", "-X", "POST", "-T", file, "-H", &token, &target])),
        _ => run(command(&["curl", "-sSf", "-F", &format!("file=@{file}"), "-H", &token, &target])),
    };
    let again = run(command(&["curl", "-sSf", "--data-binary", &format!("@{file}"), "-H", &token, &target]));
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["changed"], json!(false));
    serde_json::from_str(&text).unwrap()
}

fn pair() -> (Packhouse, Packhouse) {
    let (from, to) = (Packhouse::start(), Packhouse::start());
    let key = from.fetched("/key.asc");
    let added = to.send(Request::post("/key/trusted").token(ADMIN).body("application/pgp-keys", key));
    assert_eq!(added.status, 201, "{}", added.text());
    (from, to)
}

#[test]
fn apt_installs_and_upgrades_behind_an_air_gap() {
    let ((from, to), made, root) = (pair(), folder(), AptRoot::new());
    from.make_repo(&json!({ "name": "tools", "type": "apt", "suite": "bookworm" }));
    from.add("tools", &Package::new("tool", "1.0-1", "amd64").deb(made.path()));
    carry(&from, &to, "tools", "", made.path());
    root.sources("tools.sources", to.fetched("/repo/tools/packhouse.sources"));
    root.update();
    root.install(&["tool"]);
    assert_eq!(root.version_of("tool"), "1.0-1");
    from.add("tools", &Package::new("tool", "1.1-1", "amd64").deb(made.path()));
    let told = carry(&from, &to, "tools", "?since=2", made.path());
    assert_eq!((&told["added"], &told["packages"]), (&json!(1), &json!(2)));
    root.update();
    run(root.apt(&["dist-upgrade"]));
    assert_eq!(root.version_of("tool"), "1.1-1");
}

#[test]
fn dnf_installs_and_upgrades_behind_an_air_gap() {
    let ((from, to), made) = (pair(), folder());
    from.make_repo(&json!({ "name": "tools", "type": "yum" }));
    from.add("tools", &Package::new("tool", "1.0-1", "x86_64").rpm(made.path()));
    carry(&from, &to, "tools", "", made.path());
    let root = DnfRoot::new(String::from_utf8(to.fetched("/repo/tools/packhouse.repo")).unwrap());
    run(root.dnf(&["install", "tool"]));
    assert_eq!(root.version_of("tool"), "1.0-1");
    from.add("tools", &Package::new("tool", "1.1-1", "x86_64").rpm(made.path()));
    carry(&from, &to, "tools", "?since=2", made.path());
    run(root.dnf(&["--refresh", "upgrade"]));
    assert_eq!(root.version_of("tool"), "1.1-1");
}

#[test]
fn files_check_out_behind_an_air_gap() {
    let ((from, to), made) = (pair(), folder());
    from.make_repo(&json!({ "name": "files", "type": "dir" }));
    for (name, text) in [("one.txt", "1"), ("two.bin", "2")] {
        fs::write(made.path().join(name), text).unwrap();
        from.add("files", &made.path().join(name));
    }
    carry(&from, &to, "files", "", made.path());
    let there = folder();
    for name in ["one.txt", "two.bin", "SHA256SUMS"] {
        fs::write(there.path().join(name), to.fetched(&format!("/repo/files/{name}"))).unwrap();
    }
    let mut check = command(&["sha256sum", "--strict", "-c", "SHA256SUMS"]);
    run(check.current_dir(there.path()));
}
