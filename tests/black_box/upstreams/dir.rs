//! Directory upstreams (`repos.md` §6).

use std::fs;

use serde_json::json;

use super::mirror::Mirror;
use super::{again, is_done, is_failed, look, make, names, send, set};
use crate::client::Request;
use crate::files::sha256;
use crate::server::Packhouse;

#[test]
fn a_tree_of_this_machine() {
    let server = Packhouse::start();
    let place = tempfile::tempdir().unwrap();
    let (root, outside) = (place.path().join("tree"), place.path().join("outside"));
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(&outside, "secret").unwrap();
    fs::write(root.join("a b.txt"), "same").unwrap();
    fs::write(root.join("sub/c%41.txt"), "same").unwrap();
    fs::write(root.join("d.txt"), "other").unwrap();
    fs::write(root.join(".hidden"), "no").unwrap();
    std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
    is_done(&make(&server, "x", "dir", root.to_str().unwrap(), json!({})));
    let shown = server.send(Request::get("/upstream/x/packages")).is_json(200);
    let both = &shown[sha256(b"same")];
    assert_eq!(both["filename"], "a b.txt");
    assert_eq!(both["filenames"], json!(["a b.txt", "sub/c%41.txt"]));
    assert_eq!((&both["type"], &both["version"]), (&json!("file"), &json!("")));
    assert_eq!(shown.as_object().unwrap().len(), 2);

    let second = again(&server, "x", json!({}));
    is_done(&second);
    assert_eq!((&second["downloaded_files"], &second["reused_files"]), (&json!(0), &json!(3)));
    assert_eq!(second["not_modified"], true);
    fs::write(root.join("d.txt"), "changed").unwrap();
    fs::remove_file(root.join("a b.txt")).unwrap();
    let third = again(&server, "x", json!({ "path": format!("file://{}", root.display()) }));
    is_done(&third);
    assert_eq!(set(&server, "x").len(), 2);
    assert!(set(&server, "x").contains(&(sha256(b"changed"), "d.txt".to_owned())));
    fs::remove_dir_all(&root).unwrap();
    is_failed(&again(&server, "x", json!({})), "cannot be read");
    assert_eq!(set(&server, "x").len(), 2);
}

#[test]
fn the_servers_own_data_is_no_upstream() {
    let server = Packhouse::start();
    let data = server.data().to_str().unwrap().to_owned();
    for (name, path) in [("a", data.clone()), ("b", format!("{data}/shelf")), ("c", "/".to_owned())] {
        is_failed(&make(&server, name, "dir", &path, json!({})), "data of this server");
    }
}

#[test]
fn only_allowed_roots() {
    let place = tempfile::tempdir().unwrap();
    let (inside, outside) = (place.path().join("in"), place.path().join("out"));
    for root in [&inside, &outside] {
        fs::create_dir(root).unwrap();
        fs::write(root.join("f"), "f").unwrap();
    }
    let server = Packhouse::with().env("PACKHOUSE_LOCAL_ROOTS", inside.as_os_str()).start();
    is_done(&make(&server, "x", "dir", inside.to_str().unwrap(), json!({})));
    is_failed(&make(&server, "y", "dir", outside.to_str().unwrap(), json!({})), "PACKHOUSE_LOCAL_ROOTS");
}

#[test]
fn lists_with_sums() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let sums = format!("{}  a.txt\n{} *sub/b%20c.txt\n{}  key.asc\n", sha256(b"a"), sha256(b"b"), sha256(b"k"));
    mirror.put("/s/SHA256SUMS", sums.as_str());
    mirror.put("/s/a.txt", "a");
    mirror.put("/s/sub/b%2520c.txt", "b");
    is_done(&make(&server, "x", "dir", &mirror.url("/s"), json!({})));
    assert_eq!(names(&server, "x"), ["a.txt", "sub/b%20c.txt"]);
    mirror.paths();
    assert_eq!(again(&server, "x", json!({}))["not_modified"], true);
    assert_eq!(mirror.paths(), ["/s/index.json", "/s/SHA256SUMS"]);
    mirror.put("/s/SHA256SUMS", format!("{}  a.txt\n", sha256(b"other")).as_str());
    is_failed(&again(&server, "x", json!({})), "checksum mismatch");
    assert_eq!(names(&server, "x").len(), 2);

    let index =
        json!({"name": "x", "generation": 1, "files": [{"filename": "d/e", "shasum": sha256(b"e"), "size": 1}]});
    mirror.put("/i/index.json", index.to_string().as_str());
    mirror.put("/i/d/e", "e");
    is_done(&make(&server, "y", "dir", &mirror.url("/i"), json!({})));
    assert_eq!(set(&server, "y"), [(sha256(b"e"), "d/e".to_owned())]);
    mirror.put("/c/index.json", index.to_string().replace("d/e", "../e").as_str());
    is_failed(&make(&server, "z", "dir", &mirror.url("/c"), json!({})), "climbs");
}

#[test]
fn pages_of_a_web_server() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put(
        "/p/",
        "<a href=\"../\">..</a><a href=\"a%20b.bin\">a b</a> <a href=\"sub/\">sub</a><a href=\"?C=N\">N</a>",
    );
    mirror.put("/p/sub/", "<a href=\"/p/\">Parent</a><a href=\"c.bin\">c</a><a href=\"http://other.example/x\">x</a>");
    mirror.put("/p/a%20b.bin", "a");
    mirror.put("/p/sub/c.bin", "c");
    is_done(&make(&server, "x", "dir", &mirror.url("/p/"), json!({})));
    assert_eq!(names(&server, "x"), ["a b.bin", "sub/c.bin"]);
    let second = again(&server, "x", json!({}));
    is_done(&second);
    assert_eq!((&second["downloaded_files"], &second["reused_files"]), (&json!(0), &json!(2)));
    mirror.put("/p/sub/c.bin", "changed");
    let third = again(&server, "x", json!({}));
    assert_eq!(third["downloaded_files"], 1, "{third}");
    assert!(set(&server, "x").contains(&(sha256(b"changed"), "sub/c.bin".to_owned())));
    is_failed(&make(&server, "y", "dir", &mirror.url("/nothing"), json!({})), "SHA256SUMS");
}

#[test]
fn with_a_key_only_a_signed_list_is_believed() {
    let (server, other, mirror) = (Packhouse::start(), Packhouse::start(), Mirror::start());
    send(&other, "POST", "/repo", r#"{"name": "d", "type": "dir"}"#).is_json(201);
    for (name, bytes) in [("a.txt", "a"), ("b.txt", "b")] {
        let target = format!("/package?repo=d&filename={name}");
        send(&other, "POST", &target, bytes).is_json(201);
    }
    let fetch = |server: &Packhouse, path: &str| server.send(Request::get(path)).body;
    let key = |server: &Packhouse| json!({ "key": String::from_utf8(fetch(server, "/key.asc")).unwrap() });
    let base = format!("http://{}/repo/d", other.address());
    is_done(&make(&server, "good", "dir", &base, key(&other)));
    assert_eq!((look(&server, "good")["verified"].clone(), names(&server, "good").len()), (json!(true), 2));
    is_failed(&make(&server, "stranger", "dir", &base, key(&server)), "SHA256SUMS");
    assert_eq!(look(&server, "stranger")["verified"], false);

    // The same on this machine: what no signed list names is not taken, and a tree without one is refused.
    let place = tempfile::tempdir().unwrap();
    let root = place.path().to_str().unwrap();
    for name in ["a.txt", "b.txt", "SHA256SUMS", "SHA256SUMS.asc"] {
        fs::write(place.path().join(name), fetch(&other, &format!("/repo/d/{name}"))).unwrap();
    }
    fs::write(place.path().join("slipped-in.txt"), "x").unwrap();
    is_done(&make(&server, "tree", "dir", root, key(&other)));
    assert_eq!(names(&server, "tree"), ["a.txt", "b.txt"]);
    assert_eq!(look(&server, "tree")["verified"], true);
    fs::write(place.path().join("a.txt"), "other").unwrap();
    is_failed(&again(&server, "tree", json!({})), "a.txt: checksum mismatch");
    fs::remove_file(place.path().join("a.txt")).unwrap();
    is_failed(&again(&server, "tree", json!({})), "a.txt: SHA256SUMS names it, and it is not there");
    let cases: [(&str, &dyn Fn()); 3] = [
        ("SHA256SUMS", &|| fs::write(place.path().join("SHA256SUMS"), "00  a.txt\n").unwrap()),
        ("not signed", &|| fs::remove_file(place.path().join("SHA256SUMS.asc")).unwrap()),
        ("nothing signed", &|| fs::remove_file(place.path().join("SHA256SUMS")).unwrap()),
    ];
    for (words, change) in cases {
        change();
        is_failed(&again(&server, "tree", json!({})), words);
        assert_eq!(names(&server, "tree"), ["a.txt", "b.txt"]);
    }
    mirror.put("/bare/a.txt", "a");
    is_failed(&make(&server, "bare", "dir", &mirror.url("/bare"), key(&other)), "nothing signed");
}
