//! Other mirroring tools read what is published (`repos.md` §11, §13): aptly and debmirror.

use std::fs;

use serde_json::json;

use super::yard::{Package, command, find, folder, run};
use crate::server::Packhouse;

/// A server with an apt repository of three packages.
fn server(made: &std::path::Path) -> Packhouse {
    let server = Packhouse::start();
    server.make_repo(&json!({ "name": "tools", "type": "apt", "suite": "bookworm", "architectures": ["amd64"] }));
    for package in [
        Package::new("tool", "1:1.0+git~1-1", "amd64"),
        Package::new("libtool+", "1", "amd64"),
        Package::new("data", "1", "all"),
    ] {
        server.add("tools", &package.deb(made));
    }
    server
}

#[test]
fn aptly_mirrors_a_suite() {
    let made = folder();
    let server = server(made.path());
    let home = made.path().join("aptly");
    fs::create_dir(&home).unwrap();
    let settings =
        json!({ "rootDir": home, "architectures": ["amd64"], "downloadConcurrency": 4, "gpgProvider": "gpg" });
    let config = made.path().join("aptly.conf");
    fs::write(&config, settings.to_string()).unwrap();
    let keys = made.path().join("keys.gpg");
    fs::write(&keys, server.fetched("/key.gpg")).unwrap();
    let aptly = |arguments: &[&str]| {
        let mut aptly = command(&["aptly"]);
        aptly.arg("-config").arg(&config).args(arguments).env("HOME", made.path());
        run(aptly)
    };
    let (ring, base) = (format!("-keyring={}", keys.display()), format!("{}/repo/tools", server.base()));
    aptly(&["mirror", "create", &ring, "tools", &base, "bookworm", "main"]);
    aptly(&["mirror", "update", &ring, "tools"]);
    let shown = aptly(&["mirror", "show", "-with-packages", "tools"]);
    for package in ["tool_1:1.0+git~1-1_amd64", "libtool+_1_amd64", "data_1_all"] {
        assert!(shown.contains(package), "{shown}");
    }
}

#[test]
fn debmirror_mirrors_a_suite() {
    let made = folder();
    let server = server(made.path());
    let keys = made.path().join("trustedkeys.gpg");
    fs::write(&keys, server.fetched("/key.gpg")).unwrap();
    let copy = made.path().join("copy");
    run(command(&["debmirror", "--method=http", "--dist=bookworm", "--section=main", "--arch=amd64", "--nosource"])
        .arg(format!("--host={}", server.address()))
        .args(["--root=repo/tools", "--keyring"])
        .arg(&keys)
        .arg(&copy)
        .env("HOME", made.path()));
    assert_eq!(find(&copy.join("pool"), ".deb").len(), 3);
}
