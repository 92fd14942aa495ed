//! Trees made by createrepo_c, aptly, reprepro and from packages of Debian itself are copied, verified and published
//! again (`repos.md` §3–§6).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::yard::{AptRoot, DnfRoot, Gpg, Package, command, find, folder, run};
use crate::server::Packhouse;

/// Signs `dists/SUITE/Release` below `tree` in both ways.
fn sign(gpg: &Gpg, release: &Path) {
    let folder = release.parent().unwrap();
    run(gpg.command().args(["--clearsign", "--output"]).arg(folder.join("InRelease")).arg(release));
    run(gpg.command().args(["--armor", "--detach-sign", "--output"]).arg(folder.join("Release.gpg")).arg(release));
}

#[test]
fn a_tree_of_createrepo_c_is_copied_and_served_to_dnf() {
    for extra in
        [&["--compress-type=gz"][..], &["--compress-type=xz"], &["--compress-type=bz2"], &["--checksum=sha512"]]
    {
        let (server, made) = (Packhouse::start(), folder());
        Package::new("tool-data", "1-1", "noarch").rpm(made.path());
        Package::new("tool", "1-1", "x86_64").field("Requires: tool-data").rpm(made.path());
        run(command(&["createrepo_c", "--quiet"]).args(extra).arg(made.path()));
        let gpg = Gpg::new();
        let repomd = made.path().join("repodata/repomd.xml");
        run(gpg.command().args(["--armor", "--detach-sign"]).arg(&repomd));
        let path = format!("file://{}", made.path().display());
        let job = server
            .make_upstream(&json!({ "name": "vendor", "type": "yum", "path": path, "key": gpg.public() }), "done");
        assert_eq!(job["downloaded_files"], 2, "{job}");
        let upstream: Value = serde_json::from_slice(&server.fetched("/upstream/vendor")).unwrap();
        assert_eq!((&upstream["status"], &upstream["verified"]), (&json!("ok"), &json!(true)), "{upstream}");
        server.publish_upstream(&json!({ "name": "vendor", "type": "yum" }));
        let root = DnfRoot::new(server.fetched("/repo/vendor/packhouse.repo"));
        run(root.dnf(&["install", "tool"]));
        assert_eq!(root.version_of("tool-data"), "1-1");
    }
}

#[test]
fn a_wrong_key_stops_a_sync() {
    let (server, made) = (Packhouse::start(), folder());
    Package::new("tool", "1-1", "noarch").rpm(made.path());
    run(command(&["createrepo_c", "--quiet"]).arg(made.path()));
    let repomd = made.path().join("repodata/repomd.xml");
    run(Gpg::new().command().args(["--armor", "--detach-sign"]).arg(&repomd));
    let path = made.path().to_str().unwrap();
    let definition = json!({ "name": "vendor", "type": "yum", "path": path, "key": Gpg::new().public() });
    let job = server.make_upstream(&definition, "failed");
    assert!(job["error"].as_str().is_some_and(|text| text.contains("repomd.xml")), "{job}");
    assert_eq!(server.fetched("/upstream/vendor/packages"), b"{}");
}

#[test]
fn a_tree_of_aptly_is_copied_and_served_to_apt() {
    let (server, made, gpg) = (Packhouse::start(), folder(), Gpg::new());
    let (debs, home) = (made.path().join("debs"), made.path().join("aptly"));
    fs::create_dir_all(&debs).unwrap();
    Package::new("tool-data", "1:2.0-1", "all").deb(&debs);
    Package::new("tool", "1.0+x-1", "amd64").field("Depends: tool-data").deb(&debs);
    let settings = json!({ "rootDir": home, "architectures": ["amd64"], "gpgProvider": "gpg" });
    let config = made.path().join("aptly.conf");
    fs::write(&config, settings.to_string()).unwrap();
    let aptly = |arguments: &[&str]| {
        let mut aptly = command(&["aptly"]);
        aptly.arg("-config").arg(&config).args(arguments).env("HOME", made.path()).env("GNUPGHOME", gpg.home());
        run(aptly)
    };
    aptly(&["repo", "create", "-distribution=bookworm", "-component=main", "tools"]);
    aptly(&["repo", "add", "tools", debs.to_str().unwrap()]);
    let key = format!("-gpg-key={}", gpg.fingerprint());
    aptly(&["publish", "repo", "-batch", &key, "-acquire-by-hash", "tools"]);
    let path = format!("{}/public bookworm main", home.display());
    server.make_upstream(&json!({ "name": "tools", "type": "apt", "path": path, "key": gpg.public() }), "done");
    install_again(&server, "tools");
}

/// A tree made by reprepro: the packages `tool` and `tool-data`.
pub(super) fn tree_of_reprepro(made: &Path, gpg: &Gpg) -> PathBuf {
    let tree = made.join("tree");
    fs::create_dir_all(tree.join("conf")).unwrap();
    let conf = format!(
        "Codename: bookworm\nSuite: stable\nComponents: main\nArchitectures: amd64\nSignWith: {}\n",
        gpg.fingerprint()
    );
    fs::write(tree.join("conf/distributions"), conf).unwrap();
    for deb in [
        Package::new("tool-data", "1:2.0-1", "all").field("Section: misc").field("Priority: optional"),
        Package::new("tool", "1.0+x-1", "amd64")
            .field("Depends: tool-data")
            .field("Section: misc")
            .field("Priority: optional"),
    ] {
        let file = deb.deb(made);
        let mut add = command(&["reprepro", "-b"]);
        run(add.arg(&tree).args(["includedeb", "bookworm"]).arg(file).env("GNUPGHOME", gpg.home()).env("HOME", made));
    }
    tree
}

#[test]
fn a_tree_of_reprepro_is_copied_and_served_to_apt() {
    let (server, made, gpg) = (Packhouse::start(), folder(), Gpg::new());
    let tree = tree_of_reprepro(made.path(), &gpg);
    let path = format!("deb [arch=amd64 signed-by=/ignored] file://{} bookworm main", tree.display());
    server.make_upstream(&json!({ "name": "tools", "type": "apt", "path": path, "key": gpg.public() }), "done");
    install_again(&server, "tools");
}

/// Publishes the upstream `name` and installs `tool` from it.
pub(super) fn install_again(server: &Packhouse, name: &str) {
    server.publish_upstream(&json!({ "name": name, "type": "apt", "suite": "copy" }));
    let root = AptRoot::new();
    root.sources("it.sources", server.fetched(&format!("/repo/{name}/packhouse.sources")));
    root.update();
    root.install(&["tool"]);
    assert_eq!((root.version_of("tool"), root.version_of("tool-data")), ("1.0+x-1".into(), "1:2.0-1".into()));
}

/// Packages of Debian itself that need no other and are small.
const OF_DEBIAN: [&str; 4] = ["hello", "tzdata", "media-types", "netbase"];

#[test]
fn packages_of_debian_itself_go_through_and_out_again() {
    let (server, made, gpg) = (Packhouse::start(), folder(), Gpg::new());
    let pool = made.path().join("pool");
    fs::create_dir_all(&pool).unwrap();
    let mut fetch = std::process::Command::new("apt-get");
    run(fetch.arg("download").args(OF_DEBIAN).args(["-o", "APT::Sandbox::User=root"]).current_dir(&pool));
    let index = made.path().join("dists/real/main/binary-amd64");
    fs::create_dir_all(&index).unwrap();
    let packages = run(command(&["apt-ftparchive", "packages", "pool"]).current_dir(made.path()));
    fs::write(index.join("Packages"), packages).unwrap();
    run(command(&["xz", "-k"]).arg(index.join("Packages")));
    let release = run(command(&["apt-ftparchive", "release"])
        .args(["-o", "APT::FTPArchive::Release::Suite=real", "-o", "APT::FTPArchive::Release::Components=main"])
        .args(["-o", "APT::FTPArchive::Release::Architectures=amd64", "dists/real"])
        .current_dir(made.path()));
    let place = made.path().join("dists/real/Release");
    fs::write(&place, release).unwrap();
    sign(&gpg, &place);
    let path = format!("{} real main arch=amd64", made.path().display());
    let job =
        server.make_upstream(&json!({ "name": "debian", "type": "apt", "path": path, "key": gpg.public() }), "done");
    assert_eq!(job["files_done"], OF_DEBIAN.len(), "{job}");
    server.publish_upstream(&json!({ "name": "debian", "type": "apt", "suite": "real" }));
    let root = AptRoot::new();
    root.sources("it.sources", server.fetched("/repo/debian/packhouse.sources"));
    root.update();
    let copies = folder();
    run(root.apt(&[&["download"][..], &OF_DEBIAN].concat()).current_dir(copies.path()));
    let bytes = |folder: &Path| -> Vec<Vec<u8>> {
        let mut all: Vec<_> = find(folder, ".deb").iter().map(|path| fs::read(path).unwrap()).collect();
        all.sort();
        all
    };
    assert!(bytes(copies.path()) == bytes(&pool), "other bytes than were fetched from Debian");
}

#[test]
fn one_server_copies_another() {
    let (first, second, made) = (Packhouse::start(), Packhouse::start(), folder());
    let deb = Package::new("tool", "1", "all").deb(made.path());
    let rpm = Package::new("tool", "1-1", "noarch").rpm(made.path());
    for (kind, file) in [("apt", &deb), ("yum", &rpm), ("dir", &deb)] {
        first.make_repo(&json!({ "name": kind, "type": kind }));
        let shasum = first.add(kind, file);
        let suffix = if kind == "apt" { " stable main" } else { "" };
        let path = format!("{}/repo/{kind}{suffix}", first.base());
        let key = String::from_utf8(first.fetched("/key.asc")).unwrap();
        let job = second.make_upstream(&json!({ "name": kind, "type": kind, "path": path, "key": key }), "done");
        assert_eq!(job["not_modified"], false, "{job}");
        let packages: Value = serde_json::from_slice(&second.fetched(&format!("/upstream/{kind}/packages"))).unwrap();
        assert_eq!(packages[&shasum]["shasum"], shasum.as_str(), "{packages}");
        second.publish_upstream(&json!({ "name": kind, "type": kind }));
    }
}

#[test]
fn apt_sees_what_a_follower_of_a_follower_has() {
    let (server, made, gpg) = (Packhouse::start(), folder(), Gpg::new());
    let publish = |version: &str| {
        let pool = made.path().join("pool");
        fs::create_dir_all(&pool).unwrap();
        Package::new("tool", version, "amd64").deb(&pool);
        let index = made.path().join("dists/real/main/binary-amd64");
        fs::create_dir_all(&index).unwrap();
        let packages = run(command(&["apt-ftparchive", "packages", "pool"]).current_dir(made.path()));
        fs::write(index.join("Packages"), packages).unwrap();
        let release = run(command(&["apt-ftparchive", "release"])
            .args(["-o", "APT::FTPArchive::Release::Suite=real", "-o", "APT::FTPArchive::Release::Components=main"])
            .args(["-o", "APT::FTPArchive::Release::Architectures=amd64", "dists/real"])
            .current_dir(made.path()));
        let place = made.path().join("dists/real/Release");
        fs::write(&place, release).unwrap();
        sign(&gpg, &place);
    };
    publish("1.0");
    let path = format!("{} real main", made.path().display());
    server.make_upstream(&json!({ "name": "up", "type": "apt", "path": path, "key": gpg.public() }), "done");
    server.make_repo(&json!({ "name": "test", "type": "apt", "follow": { "name": "up", "type": "upstream" } }));
    server.make_repo(&json!({ "name": "prod", "type": "apt", "follow": { "name": "test", "type": "repo" } }));
    let root = AptRoot::new();
    root.sources("it.sources", server.fetched("/repo/prod/packhouse.sources"));
    let wait_for_count = |count: usize| {
        crate::server::wait_for("the chain of copies", || {
            let packages: Value = serde_json::from_slice(&server.fetched("/repo/prod/packages")).unwrap();
            (packages.as_object().unwrap().len() == count).then_some(())
        });
    };
    wait_for_count(1);
    root.update();
    root.install(&["tool"]);
    assert_eq!(root.version_of("tool"), "1.0");
    publish("2.0");
    let answer = server.send(crate::client::Request::put("/upstream/up?wait=50").token(crate::server::ADMIN));
    assert_eq!(answer.status, 202, "{}", answer.text());
    wait_for_count(2);
    root.update();
    run(root.apt(&["dist-upgrade"]));
    assert_eq!(root.version_of("tool"), "2.0");
}
