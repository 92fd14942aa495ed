//! On-demand upstreams that lie, stall, go away, or do not fit on the disk: nobody is given wrong bytes as good ones, and
//! everything else goes on (`repos.md` §19.7).

use serde_json::json;

use super::mirror::{Gate, Mirror, Reply};
use super::on_demand::{absent, get, packages_asked, place, publish, tree_of};
use super::repo::{self, DATE};
use super::{again, is_done, is_failed, make, send};
use crate::client::Request;
use crate::files::{noise, sha256};
use crate::server::{ADMIN, Packhouse, wait_for};

const BIG: &str = "/y/Packages/big-1-1.x86_64.rpm";

#[test]
fn wrong_bytes_never_leave_whole_and_are_not_kept() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(4, 700_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    let shelf = server.shelf_files().len();
    for at in [0, bytes.len() - 1] {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        mirror.put(BIG, wrong);
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let broken = server.send_raw(request.as_bytes());
        let head = broken.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        assert!(broken.len() - head <= bytes.len() - (64 << 10), "{} bytes came", broken.len() - head);
        // Nobody who asks for a part is promised one.
        let part = server.send(Request::get(&target).header("Range", "bytes=0-9"));
        part.is_error_naming(502, "checksum mismatch");
    }
    for wrong in [noise(5, 699_999), noise(5, 700_001)] {
        mirror.put(BIG, wrong);
        get(&server, &target).is_error_naming(502, "700000 bytes in the metadata");
    }
    mirror.put(BIG, Reply::Endless);
    get(&server, &format!("/package/{}", sha256(&bytes))).is_json(200);
    let part = server.send(Request::get(&target).header("Range", "bytes=0-9"));
    part.is_error_naming(502, "longer than the metadata says");
    wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
    assert_eq!((server.shelf_files().len(), absent(&server)), (shelf, json!(1)));
    mirror.put(BIG, bytes.clone());
    assert!(get(&server, &target).body == bytes);
}

#[test]
fn small_files_are_checked_before_anything_leaves() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(9, 5000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    mirror.put(BIG, noise(10, 5000));
    get(&server, &target).is_error_naming(502, "checksum mismatch");
    mirror.put(BIG, bytes.clone());
    assert!(get(&server, &target).body == bytes);
}

#[test]
fn an_upstream_that_is_gone_is_told_and_the_rest_is_served() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1"), ("b", "1")], DATE, ""));
    publish(&server, "apt", &format!("{} stable main", mirror.url("/d")));
    let packages = get(&server, "/repo/r/dists/stable/main/binary-amd64/Packages");
    let files: Vec<&str> = packages.text().lines().filter_map(|line| line.strip_prefix("Filename: ")).collect();
    let (a, b) = (format!("/repo/r/{}", files[0]), format!("/repo/r/{}", files[1]));
    assert!(get(&server, &a).body == repo::deb("a", "1"));
    for (reply, words) in [(404, "status 404"), (403, "status 403"), (503, "status 503")] {
        mirror.put("/d/pool/main/b_1_amd64.deb", Reply::Status(reply));
        let told = get(&server, &b);
        told.is_error_naming(502, "upstream x");
        assert!(told.text().contains("b_1_amd64.deb") && told.text().contains(words), "{}", told.text());
    }
    drop(mirror);
    get(&server, &b).is_error_naming(502, "upstream x");
    assert!(get(&server, &a).body == repo::deb("a", "1"));
    is_failed(&again(&server, "x", json!({})), "InRelease");
    assert_eq!(absent(&server), json!(1));
    let shown = server.send(Request::delete("/upstream/x").token(ADMIN)).is_json(200);
    assert!(shown["warnings"][0].as_str().is_some_and(|words| words.starts_with("1 package ")), "{shown}");
    get(&server, &b).is_error_naming(502, "deleted");
    assert_eq!(server.send(Request::head(&b)).status, 200);
    assert!(get(&server, &a).body == repo::deb("a", "1"));
    // Uploaded by hand it is here.
    let bytes = repo::deb("b", "1");
    let upload = Request::post("/package?filename=b_1_amd64.deb").token(ADMIN).body("x/y", &bytes[..]);
    assert_eq!(server.send(upload).status, 200);
    assert!(get(&server, &b).body == bytes);
}

#[test]
fn another_upstream_that_has_it_is_asked_in_its_place() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    for root in ["/y", "/z"] {
        mirror.put_all(root, &repo::yum(&[("a", "1"), ("b", "1")]));
    }
    publish(&server, "yum", &mirror.url("/y"));
    is_done(&make(&server, "z", "yum", &mirror.url("/z"), json!({"policy": "on_demand"})));
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    mirror.put("/z/Packages/a-1-1.x86_64.rpm", Reply::Status(404));
    mirror.put("/z/Packages/b-1-1.x86_64.rpm", noise(13, b.len()));
    assert!(get(&server, &place(&a, "a-1-1.x86_64.rpm")).body == a);
    assert!(get(&server, &place(&b, "b-1-1.x86_64.rpm")).body == b);
}

#[test]
fn a_silent_upstream_stops_nobody_else() {
    let server = Packhouse::with().env("PACKHOUSE_TEST_STALL_SECONDS", "1").arg("--transfer-workers").arg("4").start();
    let mirror = Mirror::start();
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1"), ("c", "1")]));
    publish(&server, "yum", &mirror.url("/y"));
    let of = |name: &str| place(&repo::rpm(name, "1"), &format!("{name}-1-1.x86_64.rpm"));
    assert!(get(&server, &of("c")).status == 200);
    for name in ["a", "b"] {
        mirror.put(&format!("/y/Packages/{name}-1-1.x86_64.rpm"), Reply::Silence);
    }
    let mut waiting: Vec<_> = ["a", "b"].map(|name| (server.connect(), of(name))).into();
    for (connection, target) in &mut waiting {
        connection.write(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    }
    // Both have reached the upstream: half of the threads wait, and no more may.
    let mut asked = 0;
    wait_for("both requests", || {
        asked += packages_asked(&mirror);
        (asked >= 2).then_some(())
    });
    assert!(get(&server, &of("c")).body == repo::rpm("c", "1"));
    assert_eq!(get(&server, "/repo/r/repodata/repomd.xml").status, 200);
    for (connection, _) in &mut waiting {
        let told = connection.answer("GET");
        told.is_error_naming(502, "upstream x");
    }
}

#[test]
fn only_so_many_wait_at_once() {
    let server = Packhouse::with().arg("--transfer-workers").arg("4").start();
    let mirror = Mirror::start();
    let bytes = noise(11, 300_000);
    mirror.put_all("/y", &tree_of(&bytes));
    publish(&server, "yum", &mirror.url("/y"));
    let (gate, target) = (Gate::default(), place(&bytes, "big-1-1.x86_64.rpm"));
    mirror.put(BIG, Reply::Held(bytes.clone(), 200_000, gate.clone()));
    let mut readers: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for reader in &mut readers {
        assert_eq!(reader.begin(Request::get(&target)).status, 200);
        assert_eq!(reader.body_into(1000, &mut |_| {}), 1000);
    }
    let refused = get(&server, &target);
    assert!(refused.header("Retry-After").is_some());
    refused.is_error_naming(503, "try again");
    gate.open();
    for mut reader in readers {
        assert_eq!(reader.body_into(u64::MAX, &mut |_| {}), 299_000);
    }
    assert!(get(&server, &target).body == bytes);
}

#[test]
fn what_does_not_fit_on_the_disk_is_told() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let mut tree = repo::Tree::new();
    let huge = usize::try_from(1_u64 << 50).unwrap();
    let bytes = noise(12, 1000);
    repo::put_yum(&mut tree, &[repo::package("big", "Packages/big-1-1.x86_64.rpm", &sha256(&bytes), huge)], &[]);
    mirror.put_all("/y", &tree);
    publish(&server, "yum", &mirror.url("/y"));
    packages_asked(&mirror);
    let target = place(&bytes, "big-1-1.x86_64.rpm");
    assert_eq!(server.send(Request::head(&target)).header("Content-Length"), Some(huge.to_string().as_str()));
    assert_eq!(get(&server, &target).status, 507);
    assert_eq!((packages_asked(&mirror), server.stage_files().len()), (0, 0));
    assert_eq!(get(&server, "/repo/r/repodata/repomd.xml").status, 200);
}

#[test]
fn lists_that_do_not_fit_each_other_fail_the_sync() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let (a, b) = (repo::rpm("a", "1"), repo::rpm("b", "1"));
    let entries = [("a", &a), ("b", &b)]
        .map(|(name, bytes)| repo::package(name, &format!("{name}.rpm"), &sha256(bytes), bytes.len()));
    let package =
        |bytes: &[u8], file: &str| format!("<package pkgid=\"{}\"><file>{file}</file></package>", sha256(bytes));
    let lists = |packages: &str| format!("<filelists>{packages}</filelists>").into_bytes();
    let put = |list: &[u8]| {
        let mut tree = repo::Tree::new();
        repo::put_yum(&mut tree, &entries, &[("filelists", "filelists.xml", list)]);
        mirror.put_all("/y", &tree);
    };
    put(&lists(&package(&a, "/a")));
    let failed = make(&server, "x", "yum", &mirror.url("/y"), json!({"policy": "on_demand"}));
    is_failed(&failed, "leaves out a package");
    // Another order is none of our business.
    put(&lists(&(package(&b, "/of/b") + &package(&a, "/of/a"))));
    is_done(&again(&server, "x", json!({})));
    assert_eq!(send(&server, "POST", "/repo", r#"{"name":"r","type":"yum"}"#).status, 201);
    let copy = r#"{"sync":{"name":"x","type":"upstream"}}"#;
    send(&server, "PUT", "/repo/r/packages", copy).is_json(200);
    let repomd = get(&server, "/repo/r/repodata/repomd.xml");
    let at = repomd.text().split('"').find(|text| text.ends_with("-filelists.xml.gz")).unwrap().to_owned();
    let published = packhouse::formats::compress::Decoder::new(
        packhouse::formats::compress::Compression::of_name(&at),
        std::io::Cursor::new(get(&server, &format!("/repo/r/{at}")).body),
        packhouse::formats::compress::Bounds::default(),
    );
    let text = std::io::read_to_string(published).unwrap();
    let (of_a, of_b) = (text.find(&sha256(&a)).unwrap(), text.find(&sha256(&b)).unwrap());
    assert!(text.find("/of/a").is_some_and(|at| at > of_a && at < of_b) && text.contains("/of/b"), "{text}");
}
