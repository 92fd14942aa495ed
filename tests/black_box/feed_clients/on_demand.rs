//! dnf and apt install from copies whose packages come at their first request (`repos.md` §19.7).

use std::io::{Cursor, read_to_string};

use packhouse::formats::compress::{Bounds, Compression, Decoder};
use serde_json::{Value, json};

use super::upstreams::{install_again, tree_of_reprepro};
use super::yard::{DnfRoot, Gpg, Package, command, folder, run};
use crate::server::Packhouse;

/// How many packages of the upstream `name` are not here.
fn absent(server: &Packhouse, name: &str) -> Value {
    let shown: Value = serde_json::from_slice(&server.fetched(&format!("/upstream/{name}"))).unwrap();
    shown["absent"].clone()
}

/// An index of the yum repo `vendor`, without the time at which each package became known.
fn index(server: &Packhouse, kind: &str) -> String {
    let repomd = String::from_utf8(server.fetched("/repo/vendor/repodata/repomd.xml")).unwrap();
    let at = repomd.split('"').find(|text| text.ends_with(&format!("-{kind}.xml.gz"))).unwrap();
    let packed = Cursor::new(server.fetched(&format!("/repo/vendor/{at}")));
    let text = read_to_string(Decoder::new(Compression::of_name(at), packed, Bounds::default())).unwrap();
    let mut parts = text.split("<time file=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "<time " + part.split_once('"').unwrap().1)
}

#[test]
fn dnf_installs_what_was_never_fetched() {
    let (server, full, made, gpg) = (Packhouse::start(), Packhouse::start(), folder(), Gpg::new());
    let data = Package::new("tool-data", "2:1.0~rc1-1", "noarch")
        .file("/opt/deep/inside", "x")
        .file("/usr/bin/data", "#!/bin/true\n")
        .tail("%dir /opt/deep\n%changelog\n* Thu Oct 01 2026 A <a@example.org> - 1.0~rc1-1\n- First & <only>\n");
    data.rpm(made.path());
    let tool = Package::new("tool", "1.0-1", "x86_64")
        .field("Requires: tool-data >= 2:1.0~beta")
        .field("Requires: /opt/deep/inside")
        .field("Recommends: not-there")
        .field("Conflicts: other < 3")
        .field("URL: https://example.org/?a=1&b=2");
    tool.rpm(made.path());
    Package::new("unused", "1-1", "noarch").rpm(made.path());
    run(command(&["createrepo_c", "--quiet"]).arg(made.path()));
    run(gpg.command().args(["--armor", "--detach-sign"]).arg(made.path().join("repodata/repomd.xml")));
    let path = format!("file://{}", made.path().display());
    for (server, policy) in [(&server, "on_demand"), (&full, "immediate")] {
        let definition =
            json!({ "name": "vendor", "type": "yum", "path": path, "key": gpg.public(), "policy": policy });
        server.make_upstream(&definition, "done");
        server.publish_upstream(&json!({ "name": "vendor", "type": "yum" }));
    }
    assert_eq!((absent(&server, "vendor"), absent(&full, "vendor")), (json!(3), json!(0)));
    // What metadata says of packages is what they say themselves.
    for kind in ["primary", "filelists", "other"] {
        assert_eq!(index(&server, kind), index(&full, kind), "{kind}");
    }
    let root = DnfRoot::new(server.fetched("/repo/vendor/packhouse.repo"));
    run(root.dnf(&["makecache"]));
    assert_eq!(absent(&server, "vendor"), json!(3));
    run(root.dnf(&["install", "tool"]));
    assert_eq!((root.version_of("tool"), root.version_of("tool-data")), ("1.0-1".into(), "2:1.0~rc1-1".into()));
    assert_eq!(absent(&server, "vendor"), json!(1));
}

#[test]
fn apt_installs_what_was_never_fetched() {
    let (server, made, gpg) = (Packhouse::start(), folder(), Gpg::new());
    let tree = tree_of_reprepro(made.path(), &gpg);
    let path = format!("{} bookworm main arch=amd64", tree.display());
    let definition =
        json!({ "name": "tools", "type": "apt", "path": path, "key": gpg.public(), "policy": "on_demand" });
    let job = server.make_upstream(&definition, "done");
    assert_eq!((&job["downloaded_files"], &job["left_files"]), (&json!(0), &json!(2)), "{job}");
    install_again(&server, "tools");
    assert_eq!(absent(&server, "tools"), json!(0));
}
