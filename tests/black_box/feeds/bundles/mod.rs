//! Bundles: a repo in one file, carried from one server to another (`repos.md` §19.2).

mod archive;
mod trouble;

use serde_json::{Value, json};

use super::{ask, create, fetch, fetch_text, put, upload};
use crate::client::{Answer, Connection, Request};
use crate::files::{Form, noise, sha256};
use crate::packages::{DebFile, RpmFile};
use crate::server::{ADMIN, Packhouse, files_below};
use archive::{pack, unpack};

const MANIFEST: &str = "packhouse-bundle.json";
const SIGNATURE: &str = "packhouse-bundle.json.asc";

/// A bundle with one of its files changed; none removes it.
fn with(bundle: &[u8], name: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let files = unpack(bundle).into_iter().filter_map(|(known, bytes)| {
        let bytes = if known == name { change(bytes)? } else { bytes };
        Some((known, bytes))
    });
    pack(&files.collect::<Vec<_>>())
}

fn manifest(bundle: &[u8]) -> Value {
    serde_json::from_slice(&unpack(bundle)[0].1).unwrap()
}

fn names(bundle: &[u8]) -> Vec<String> {
    unpack(bundle).into_iter().map(|(name, _)| name).collect()
}

fn import(server: &Packhouse, query: &str, bundle: &[u8]) -> Answer {
    server.send(Request::post(&format!("/import{query}")).token(ADMIN).body("application/zip", bundle))
}

/// `to` believes bundles of `from`.
fn trust(to: &Packhouse, from: &Packhouse) -> Answer {
    let key = fetch(from, "/key.asc");
    to.send(Request::post("/key/trusted").token(ADMIN).body("application/pgp-keys", key))
}

/// Two servers, the second believing the first.
fn pair() -> (Packhouse, Packhouse) {
    let (from, to) = (Packhouse::start(), Packhouse::start());
    trust(&to, &from).is_json(201);
    (from, to)
}

/// All that a server shows of its repos and packages, and how many blobs it has.
fn state(server: &Packhouse) -> Value {
    let get = |target: &str| server.send(Request::get(target)).is_json(200);
    let repos = get("/repo");
    let shown: Vec<Value> = repos.as_object().unwrap().keys().map(|name| get(&format!("/repo/{name}"))).collect();
    json!([repos, shown, get("/package"), files_below(&server.data().join("shelf")).len()])
}

/// What a repo says of itself without what is each server's own.
fn sayings(server: &Packhouse, name: &str) -> Value {
    let mut shown = server.send(Request::get(&format!("/repo/{name}"))).is_json(200);
    for own in ["created_at", "updated_at", "generation", "uri", "client", "imported"] {
        shown.as_object_mut().unwrap().remove(own);
    }
    json!([shown, server.send(Request::get(&format!("/repo/{name}/packages"))).is_json(200)])
}

/// A dir repo `r` of three files; answers their shasums.
fn three(server: &Packhouse) -> Vec<String> {
    create(server, &json!({ "name": "r", "type": "dir" }));
    let sums: Vec<String> =
        ["one", "two", "three"].iter().map(|n| upload(server, n.as_bytes(), &format!("?filename={n}"))).collect();
    let list = json!({ sums[0].clone(): true, sums[1].clone(): { "filename": "a/b c" }, sums[2].clone(): true });
    put(server, "r", &list);
    sums
}

#[test]
fn a_bundle_is_a_plain_archive_of_known_length() {
    let server = Packhouse::start();
    let sums = three(&server);
    let whole = server.send(Request::get("/repo/r/export"));
    assert_eq!((whole.status, whole.header("Content-Type")), (200, Some("application/zip")));
    assert_eq!(whole.header("Content-Length"), Some(whole.body.len().to_string().as_str()));
    assert!(whole.header("Content-Disposition").unwrap().contains("r-2.zip"));
    let tag = whole.header("ETag").unwrap().to_owned();
    let bundle = whole.body;
    let mut blobs: Vec<String> = sums.iter().map(|sum| format!("blobs/{sum}")).collect();
    blobs.sort();
    assert_eq!(names(&bundle)[..2], [MANIFEST, SIGNATURE]);
    assert_eq!(names(&bundle)[2..], blobs);
    for (name, bytes) in unpack(&bundle).into_iter().skip(2) {
        assert_eq!(name, format!("blobs/{}", sha256(&bytes)));
    }
    let manifest = manifest(&bundle);
    for (key, value) in [
        ("format", json!(1)),
        ("repo", json!("r")),
        ("type", json!("dir")),
        ("generation", json!(2)),
        ("base", Value::Null),
        ("extra", json!([])),
    ] {
        assert_eq!(manifest[key], value, "{key}");
    }
    assert!(manifest["options"].is_object() && manifest["created_at"].as_str().unwrap().ends_with('Z'));
    let two = manifest["packages"].as_array().unwrap().iter().find(|row| row["shasum"] == json!(sums[1])).unwrap();
    assert_eq!(*two, json!({ "filename": "a/b c", "name": "two", "shasum": sums[1], "size": 3 }));

    // The same bytes every time, whole, from anywhere on, and after a restart.
    let head = server.send(Request::head("/repo/r/export"));
    assert_eq!((head.status, head.header("Content-Length")), (200, Some(bundle.len().to_string().as_str())));
    let same = server.send(Request::get("/repo/r/export").header("If-None-Match", &tag));
    assert_eq!(same.status, 304);
    for from in [0, 1, 29, 30, 31, 200, bundle.len() / 2, bundle.len() - 30, bundle.len() - 1] {
        let request =
            Request::get("/repo/r/export").header("Range", &format!("bytes={from}-")).header("If-Range", &tag);
        let rest = server.send(request);
        assert_eq!((rest.status, rest.body.as_slice()), (206, &bundle[from..]), "from {from}");
    }
    let mut server = server;
    server.restart();
    assert_eq!(fetch(&server, "/repo/r/export"), bundle);

    // A snapshot is exported like its repo.
    ask(&server, "POST", "/repo/r/snapshots", &json!({ "name": "s" })).is_json(201);
    put(&server, "r", &json!({}));
    assert_eq!(names(&fetch(&server, "/repo/r@s/export")), names(&bundle));
    for (target, status) in [
        ("/repo/nope/export", 404),
        ("/repo/r@nope/export", 404),
        ("/repo/r/export?since=x", 400),
        ("/repo/r/export?since=-1", 400),
        ("/repo/r/export?since=0", 404),
        ("/repo/r/export?since=99", 404),
    ] {
        server.send(Request::get(target)).is_error_like(status, "");
    }
}

#[test]
fn the_tools_of_the_field_read_a_bundle() {
    let server = Packhouse::start();
    let sums = three(&server);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.zip");
    std::fs::write(&file, fetch(&server, "/repo/r/export")).unwrap();
    let run = |command: &mut std::process::Command| {
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    };
    run(std::process::Command::new("unzip").arg("-tq").arg(&file));
    run(std::process::Command::new("unzip").arg("-q").arg(&file));
    let blob = std::fs::read(folder.path().join("blobs").join(&sums[2])).unwrap();
    assert_eq!(blob, b"three");
    std::fs::write(folder.path().join("key.gpg"), fetch(&server, "/key.gpg")).unwrap();
    run(std::process::Command::new("gpgv").args(["--keyring", "./key.gpg", SIGNATURE, MANIFEST]));
}

#[test]
fn every_type_makes_the_same_repo_elsewhere() {
    let (from, to) = pair();
    let rpm = upload(&from, &RpmFile::new("tool", "1.0", "1").build(), "");
    let deb = upload(&from, &DebFile::new("tool", "1:1.0").build(), "");
    let extra = upload(&from, &DebFile::new("more", "2.0").arch("all").build(), "");
    let file = upload(&from, b"text", "?filename=read.me");
    create(&from, &json!({ "name": "y", "type": "yum" }));
    put(&from, "y", &json!({ rpm: true }));
    let apt = json!({ "name": "a", "type": "apt", "suite": "bookworm", "component": "mine", "origin": "We",
        "architectures": ["riscv64"], "valid_days": 30 });
    create(&from, &apt);
    put(&from, "a", &json!({ deb.clone(): true, extra.clone(): { "component": "contrib" } }));
    create(&from, &json!({ "name": "d", "type": "dir", "retain": { "versions": 9 } }));
    put(&from, "d", &json!({ deb: true, file: { "filename": "x", "filenames": ["docs/read me", "x"] } }));
    create(&from, &json!({ "name": "empty", "type": "apt", "flat": true }));
    for (name, packages) in [("y", 1), ("a", 2), ("d", 2), ("empty", 0)] {
        let bundle = fetch(&from, &format!("/repo/{name}/export"));
        let answer = import(&to, "", &bundle);
        let shown = answer.is_json(201);
        assert_eq!(answer.header("Location"), shown["uri"].as_str());
        assert_eq!((&shown["packages"], &shown["added"]), (&json!(packages), &json!(packages)), "{shown}");
        assert_eq!((&shown["changed"], &shown["warnings"]), (&json!(true), &json!([])), "{shown}");
        let (mut ours, theirs) = (sayings(&from, name), sayings(&to, name));
        // What a repo keeps is decided where it is.
        ours[0]["retain"] = Value::Null;
        assert_eq!(ours, theirs, "{name}");
        let imported = to.send(Request::get(&format!("/repo/{name}"))).is_json(200)["imported"].clone();
        assert_eq!(imported["generation"], manifest(&bundle)["generation"]);
        assert_eq!(imported["created_at"], manifest(&bundle)["created_at"]);

        // Twice changes nothing.
        let before = state(&to);
        let again = import(&to, "", &bundle).is_json(200);
        assert_eq!((&again["changed"], &again["generation"]), (&json!(false), &shown["generation"]), "{again}");
        assert_eq!(state(&to), before);
    }
    assert_eq!(fetch(&to, "/repo/d/docs/read%20me"), b"text");
    assert!(fetch_text(&to, "/repo/a/dists/bookworm/Release").contains("Components: contrib mine\n"));
    assert_eq!(from.send(Request::get("/repo/d")).is_json(200)["imported"], Value::Null);
}

#[test]
fn what_came_since_is_enough_where_the_rest_is() {
    let (from, to) = pair();
    let sums = three(&from);
    let full = fetch(&from, "/repo/r/export");
    import(&to, "", &full).is_json(201);
    let four = upload(&from, b"four", "?filename=four");
    // Generation 3: one leaves, one comes. 4: the one that left is back.
    put(&from, "r", &json!({ sums[0].clone(): true, sums[1].clone(): { "filename": "a/b c" }, four.clone(): true }));
    put(&from, "r", &json!({ sums[2].clone(): true, sums[1].clone(): { "filename": "moved" }, four.clone(): true }));
    let since = fetch(&from, "/repo/r/export?since=2");
    assert_eq!(names(&since)[2..], [format!("blobs/{four}")]);
    let told = manifest(&since);
    assert_eq!(told["packages"].as_array().unwrap().len(), 3);
    assert_eq!(told["base"]["generation"], json!(2));

    // Whoever has not the base is told so, and nothing happens.
    let third = Packhouse::start();
    trust(&third, &from).is_json(201);
    let before = state(&third);
    import(&third, "", &since).is_error_naming(409, "generation 2");
    assert_eq!(state(&third), before);

    let shown = import(&to, "", &since).is_json(200);
    let counts = (&shown["added"], &shown["removed"], &shown["packages"]);
    assert_eq!(counts, (&json!(1), &json!(1), &json!(3)), "{shown}");
    assert_eq!(sayings(&from, "r"), sayings(&to, "r"));
    assert_eq!(fetch(&to, "/repo/r/moved"), b"two");
    assert!(!import(&to, "", &since).is_json(200)["changed"].as_bool().unwrap());

    // From the same base again, though it is no longer what is here; and nothing new at all.
    put(&from, "r", &json!({ sums[1].clone(): true, sums[2].clone(): true, four.clone(): { "filename": "4" } }));
    import(&to, "", &fetch(&from, "/repo/r/export?since=2")).is_json(200);
    let nothing = fetch(&from, "/repo/r/export?since=5");
    assert_eq!(names(&nothing).len(), 2);
    assert_eq!(import(&to, "", &nothing).is_json(200)["changed"], json!(false));
    assert_eq!(sayings(&from, "r"), sayings(&to, "r"));

    // A package of the base that is gone here by now: told by name.
    put(&from, "r", &json!({ sums[0].clone(): true }));
    let back = fetch(&from, "/repo/r/export?since=2");
    assert_eq!(names(&back).len(), 2);
    let answer = import(&to, "", &back);
    assert_eq!((answer.status, &answer.is_json(409)["missing"]), (409, &json!([sums[0]])));

    // A repo that is made anew has another history.
    ask(&from, "DELETE", "/repo/r", &json!({})).is_json(200);
    create(&from, &json!({ "name": "r", "type": "dir" }));
    put(&from, "r", &json!({ four: true }));
    assert_eq!(names(&fetch(&from, "/repo/r/export?since=1")).len(), 3);
    import(&to, "", &fetch(&from, "/repo/r/export")).is_error_naming(409, "replace=1");
    import(&to, "?replace=1", &fetch(&from, "/repo/r/export")).is_json(200);
}

#[test]
fn a_bundle_comes_in_every_form_an_upload_has() {
    let (from, to) = pair();
    three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    let (content_type, body) = Form::new().text("note", "x").file("bundle.zip", &bundle).finish();
    to.send(Request::post("/import").token(ADMIN).body(&content_type, body)).is_json(201);
    let bytes = bundle.clone();
    let chunked = Request::post("/import").token(ADMIN).chunked("application/x-www-form-urlencoded", move |out| {
        bytes.chunks(7).try_for_each(|chunk| out.write_all(chunk))
    });
    to.send(chunked).is_json(200);
    let (content_type, body) = Form::new().text("note", "x").finish();
    to.send(Request::post("/import").token(ADMIN).body(&content_type, body))
        .is_error_naming(400, "no part with a file");
    let bearer = Request::post("/import").header("Authorization", &format!("Bearer {ADMIN}"));
    to.send(bearer.expect_continue().body("application/zip", bundle)).is_json(200);
}

#[test]
fn metadata_that_is_passed_through_goes_along() {
    let (from, to) = pair();
    let source = tempfile::tempdir().unwrap();
    let repodata = source.path().join("repodata");
    std::fs::create_dir(&repodata).unwrap();
    let primary = "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
                   xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"0\"></metadata>";
    let updates = "<updates><update type=\"security\"><id>X-1</id></update></updates>";
    let mut repomd = "<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>1</revision>".to_owned();
    for (kind, text) in [("primary", primary), ("updateinfo", updates)] {
        std::fs::write(repodata.join(format!("{kind}.xml")), text).unwrap();
        repomd += &format!(
            "<data type=\"{kind}\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{kind}.xml\"/>\
             <size>{}</size></data>",
            sha256(text.as_bytes()),
            text.len()
        );
    }
    std::fs::write(repodata.join("repomd.xml"), repomd + "</repomd>").unwrap();
    let definition = json!({ "name": "u", "type": "yum", "path": source.path() });
    ask(&from, "POST", "/upstream?wait=60", &definition).is_json(201);
    create(&from, &json!({ "name": "y", "type": "yum" }));
    put(&from, "y", &json!({ "sync": { "name": "u", "type": "upstream" } }));
    let sum = sha256(updates.as_bytes());
    // Also where nothing else is new.
    for target in ["/repo/y/export?since=2", "/repo/y/export?since=1", "/repo/y/export"] {
        let bundle = fetch(&from, target);
        assert_eq!(names(&bundle)[2..], [format!("extra/{sum}")], "{target}");
        assert_eq!(manifest(&bundle)["extra"][0]["type"], json!("updateinfo"));
    }
    let bundle = fetch(&from, "/repo/y/export");
    import(&to, "", &bundle).is_json(201);
    let repomd = fetch_text(&to, "/repo/y/repodata/repomd.xml");
    assert!(repomd.contains("<data type=\"updateinfo\">") && repomd.contains(&sum), "{repomd}");
    assert_eq!(fetch_text(&to, &format!("/repo/y/repodata/{sum}-updateinfo.xml")), updates);
    assert_eq!(import(&to, "", &bundle).is_json(200)["changed"], json!(false));
    // It is missing, or not what the list says.
    let without = with(&bundle, &format!("extra/{sum}"), |_| None);
    import(&to, "", &without).is_error_naming(400, "missing");
    let lying = with(&bundle, MANIFEST, |bytes| {
        let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
        manifest["extra"][0]["open_size"] = json!(1);
        Some(serde_json::to_vec(&manifest).unwrap())
    });
    import(&to, "?trust=1", &with(&lying, SIGNATURE, |_| None)).is_error_naming(400, "updateinfo");
}

/// More files than the short form of an archive can count, in and out again.
#[test]
fn more_than_65535_files_fit() {
    let (first, second) = (Packhouse::start(), Packhouse::start());
    let contents: Vec<Vec<u8>> = (0..65_600).map(|number| format!("file {number}").into_bytes()).collect();
    let lines: Vec<Value> = contents
        .iter()
        .enumerate()
        .map(|(number, bytes)| json!({ "filename": format!("{}/{number}", number % 64), "shasum": sha256(bytes), "size": bytes.len() }))
        .collect();
    let manifest = json!({ "format": 1, "repo": "many", "type": "dir", "options": {}, "generation": 7,
        "created_at": "2026-03-15T17:45:09Z", "base": null, "packages": lines, "extra": [] });
    let mut files = vec![(MANIFEST.to_owned(), serde_json::to_vec(&manifest).unwrap())];
    files.extend(contents.into_iter().map(|bytes| (format!("blobs/{}", sha256(&bytes)), bytes)));
    let shown = import(&first, "?trust=1", &pack(&files)).is_json(201);
    assert_eq!(shown["packages"], json!(65_600), "{shown}");
    let bundle = fetch(&first, "/repo/many/export");
    assert!(bundle.windows(4).rev().take(200).any(|bytes| bytes == b"PK\x06\x06"), "no 64-bit end");
    let shown = import(&second, "?trust=1", &bundle).is_json(201);
    assert_eq!(shown["packages"], json!(65_600), "{shown}");
    assert_eq!(fetch(&second, "/repo/many/63/63"), b"file 63");
}

/// A gigabyte goes from one server to another; neither keeps it in memory.
#[cfg(target_os = "linux")]
#[test]
fn a_large_bundle_leaves_memory_flat() {
    use std::sync::mpsc::sync_channel;
    const SIZE: u64 = 1 << 30;
    let (from, to) = pair();
    create(&from, &json!({ "name": "r", "type": "dir" }));
    let block = noise(3, 1 << 20);
    let request = Request::post("/package?filename=large&repo=r").token(ADMIN);
    let sent =
        from.send(request.sized("application/octet-stream", SIZE, move |out| {
            (0..SIZE >> 20).try_for_each(|_| out.write_all(&block))
        }));
    let sum = sent.is_json(201)["shasum"].as_str().unwrap().to_owned();
    for server in [&from, &to] {
        server.forget_peak();
    }
    let idle = [from.memory(), to.memory()];
    let mut source = Connection::open(from.address());
    let head = source.begin(Request::get("/repo/r/export"));
    let length: u64 = head.header("Content-Length").unwrap().parse().unwrap();
    assert!(length > SIZE);
    let (give, take) = sync_channel::<Vec<u8>>(8);
    let request = Request::post("/import")
        .token(ADMIN)
        .sized("application/zip", length, move |out| take.into_iter().try_for_each(|block| out.write_all(&block)));
    let answer = std::thread::scope(|scope| {
        let importing = scope.spawn(|| to.send(request));
        source.body_into(u64::MAX, &mut |block| give.send(block.to_vec()).unwrap());
        drop(give);
        importing.join().unwrap()
    });
    answer.is_json(201);
    let listed = to.send(Request::get("/repo/r/packages")).is_json(200);
    assert_eq!(listed[&sum]["size"], json!(SIZE));
    for (server, idle) in [(&from, idle[0]), (&to, idle[1])] {
        let more = server.peak_memory().saturating_sub(idle);
        assert!(more < 48 << 20, "{more} bytes more");
    }
}
