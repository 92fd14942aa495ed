//! Bundles: a repo in one file, carried from one server to another (`repos.md` §19.2).

use flate2::Crc;
use serde_json::{Value, json};

use super::{ask, create, fetch, fetch_text, put, upload};
use crate::client::{Answer, Connection, Request};
use crate::files::{Form, noise, sha256};
use crate::packages::{DebFile, RpmFile};
use crate::server::{ADMIN, Packhouse, files_below};

const MANIFEST: &str = "packhouse-bundle.json";
const SIGNATURE: &str = "packhouse-bundle.json.asc";

/// The files of a stored archive, in their order.
fn unpack(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize, length: usize| {
        archive[at..at + length].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (mut files, mut at) = (Vec::new(), 0);
    while number(at, 4) == 0x0403_4b50 {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let start = at + 30 + name + extra;
        let name = String::from_utf8(archive[at + 30..at + 30 + name].to_vec()).unwrap();
        files.push((name, archive[start..start + size].to_vec()));
        at = start + size;
    }
    files
}

/// A stored archive as other programs pack them: with dates and rights of their own.
fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.update(bytes);
        let at = u32::try_from(archive.len()).unwrap();
        let mut head = vec![20, 0, 0, 0, 0, 0, 0x21, 0x60, 0x75, 0x5b];
        head.extend(crc.sum().to_le_bytes());
        head.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes().repeat(2));
        head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(name.as_bytes());
        archive.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&head);
        directory.extend([0; 6]);
        directory.extend([0, 0, 0x80, 0x01]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, at) = (files.len(), archive.len());
    archive.extend(&directory);
    if count >= 0xffff {
        let end = archive.len() as u64;
        archive.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\x03\x2d\0\0\0\0\0\0\0\0\0");
        archive.extend((count as u64).to_le_bytes().repeat(2));
        archive.extend((directory.len() as u64).to_le_bytes());
        archive.extend((at as u64).to_le_bytes());
        archive.extend(b"PK\x06\x07\0\0\0\0");
        archive.extend(end.to_le_bytes());
        archive.extend([1, 0, 0, 0]);
    }
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes().repeat(2));
    archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend(u32::try_from(at).unwrap().to_le_bytes());
    archive.extend([0, 0]);
    archive
}

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
fn a_damaged_bundle_is_refused_wherever_the_damage_is() {
    let (from, to) = pair();
    three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    create(&to, &json!({ "name": "other", "type": "dir" }));
    let before = state(&to);
    for number in 0..60 {
        let at = number * (bundle.len() - 1) / 59;
        let mut bad = bundle.clone();
        bad[at] ^= [0x01, 0x80, 0xff][number % 3];
        for query in ["", "?trust=1"] {
            let answer = import(&to, query, &bad);
            assert_eq!(answer.status, 400, "byte {at}: {}", answer.text());
        }
        if at > 0 {
            assert_eq!(import(&to, "?trust=1", &bundle[..at]).status, 400, "cut at {at}");
        }
    }
    for bad in [Vec::new(), b"no archive".to_vec(), [bundle.as_slice(), b"x"].concat(), bundle.repeat(2)] {
        import(&to, "?trust=1", &bad).is_error_like(400, "");
    }
    assert_eq!(state(&to), before);
    assert_eq!(to.stage_files(), Vec::<std::path::PathBuf>::new());
    import(&to, "", &bundle).is_json(201);
}

#[test]
fn hostile_archives_are_refused_in_words() {
    let (from, to) = pair();
    let sums = three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    let files = unpack(&bundle);
    let blob = format!("blobs/{}", sums[0]);
    let plus = |name: &str, bytes: &[u8]| {
        let mut files = files.clone();
        files.push((name.to_owned(), bytes.to_vec()));
        pack(&files)
    };
    let manifest_with = |place: &str, value: Value| {
        with(&bundle, MANIFEST, |bytes| {
            let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
            *manifest.pointer_mut(place).unwrap() = value.clone();
            Some(serde_json::to_vec(&manifest).unwrap())
        })
    };
    let unsigned = |bundle: &[u8]| with(bundle, SIGNATURE, |_| None);
    let mut packed = bundle.clone();
    packed[8] = 8;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (plus("../../etc/cron.d/x", b"x"), "no bundle has a file"),
        (plus("blobs/../../x", b"x"), "no bundle has a file"),
        (plus("C:\\x", b"x"), "no bundle has a file"),
        (plus("/etc/passwd", b"x"), "no bundle has a file"),
        (plus(&blob, b"one"), "twice"),
        (plus(MANIFEST, b"{}"), "twice"),
        (plus(&format!("blobs/{}", sha256(b"stowaway")), b"stowaway"), "not in the bundle's list"),
        (plus(&format!("extra/{}", sha256(b"stowaway")), b"stowaway"), "not in the bundle's list"),
        (with(&bundle, &blob, |_| None), "missing"),
        (with(&bundle, &blob, |_| Some(b"eno".to_vec())), "damaged"),
        (with(&bundle, &blob, |_| Some(b"longer".to_vec())), "bytes"),
        (with(&bundle, MANIFEST, |_| None), "not a bundle"),
        (packed, "compressed"),
        (pack(&[]), "not a bundle"),
        (with(&bundle, MANIFEST, |bytes| Some([bytes, b" ".to_vec()].concat())), "changed text"),
        (with(&bundle, SIGNATURE, |_| Some(b"hello".to_vec())), "no signature"),
        (unsigned(&manifest_with("/repo", json!("../x"))), "a name has"),
        (unsigned(&manifest_with("/format", json!(9))), "format 9"),
        (unsigned(&manifest_with("/packages/0/filename", json!("../../x"))), "segment"),
        (unsigned(&manifest_with("/packages/0/filename", json!("key.asc"))), "reserved"),
        (unsigned(&manifest_with("/options", json!({ "suite": 3, "retain": 3 }))), ""),
        (unsigned(&manifest_with("/type", json!("yum"))), "rpm"),
        (unsigned(&manifest_with("/packages", json!([{ "filename": "x" }]))), "cannot be read"),
    ];
    let before = state(&to);
    for (number, (bad, words)) in cases.into_iter().enumerate() {
        let answer = import(&to, "?trust=1", &bad);
        if number == 20 {
            // Options of another type mean nothing here, and what a repo keeps is not taken over.
            answer.is_json(201);
            ask(&to, "DELETE", "/repo/r", &json!({})).is_json(200);
            to.send(Request::post("/gc").token(ADMIN)).is_json(200);
            continue;
        }
        assert_eq!(answer.status, 400, "{number}: {}", answer.text());
        assert!(answer.text().contains(words), "{number}: {words}: {}", answer.text());
    }
    let after = state(&to);
    assert_eq!((&after[0], &after[1], &after[2]), (&before[0], &before[1], &before[2]));
    // Whoever packs the same files anew, in any order, has the same bundle.
    let mut turned = files;
    turned.reverse();
    import(&to, "", &pack(&turned)).is_json(201);
}

#[test]
fn only_whom_an_admin_trusts_is_believed() {
    let (from, to) = (Packhouse::start(), Packhouse::start());
    three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    let unsigned = with(&bundle, SIGNATURE, |_| None);
    let before = state(&to);
    import(&to, "", &bundle).is_error_naming(400, "/key/trusted");
    import(&to, "", &unsigned).is_error_naming(400, "not signed");
    import(&to, "?trust=0", &unsigned).is_error_naming(400, "not signed");
    import(&to, "?trust=yes", &unsigned).is_error_naming(400, "trust is 1 or 0");
    assert_eq!(state(&to), before);
    let taken = import(&to, "?trust=1", &bundle).is_json(201);
    assert!(taken["warnings"][0].as_str().unwrap().contains("on trust"), "{taken}");
    assert_eq!(taken["imported"]["signer"], Value::Null);

    // Trusted keys are added, shown, and taken away again.
    assert_eq!(to.send(Request::get("/key/trusted")).is_json(200), json!({}));
    let added = trust(&to, &from).is_json(201);
    assert_eq!(trust(&to, &from).is_json(200), added);
    let (fingerprint, line) = added.as_object().unwrap().iter().next().unwrap();
    assert!(line["user"].as_str().unwrap().starts_with("Packhouse <repo@"), "{line}");
    assert_eq!(to.send(Request::get("/key/trusted")).is_json(200), added);
    let one = fetch_text(&to, &format!("/key/trusted/{fingerprint}"));
    assert!(one.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"), "{one}");
    ask(&to, "DELETE", "/repo/r", &json!({})).is_json(200);
    let believed = import(&to, "", &bundle).is_json(201);
    assert_eq!((&believed["imported"]["signer"], &believed["warnings"]), (&json!(fingerprint), &json!([])));
    // A changed bundle of a known key is damaged, whoever says that it is to be trusted.
    let changed = with(&bundle, MANIFEST, |bytes| {
        Some(String::from_utf8(bytes).unwrap().replace("\"generation\": 2", "\"generation\": 3").into_bytes())
    });
    import(&to, "?trust=1", &changed).is_error_naming(400, "changed text");
    let away = Request::delete(&format!("/key/trusted/{}", fingerprint.to_lowercase())).token(ADMIN);
    assert_eq!(to.send(away).is_json(200), json!({ "deleted": fingerprint }));
    import(&to, "", &bundle).is_error_naming(400, "not trusted here");
    to.send(Request::delete(&format!("/key/trusted/{fingerprint}")).token(ADMIN)).is_error_like(404, "");
    to.send(Request::get("/key/trusted/x")).is_error_like(404, "");
    for bad in ["", "hello", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"] {
        to.send(Request::post("/key/trusted").token(ADMIN).body("text/plain", bad)).is_error_like(400, "");
    }
    // A bundle of one's own needs nobody's trust.
    import(&from, "", &bundle).is_json(200);
    // Strangers get nowhere.
    for (method, target) in
        [("POST", "/import"), ("POST", "/key/trusted"), ("DELETE", "/key/trusted/x"), ("POST", "/import?trust=1")]
    {
        to.send(Request::new(method, target)).is_error_like(401, "");
    }
}

#[test]
fn what_is_here_is_not_overwritten_unasked() {
    let (from, to) = pair();
    let sums = three(&from);
    let two = fetch(&from, "/repo/r/export");
    put(&from, "r", &json!({ sums[0].clone(): true }));
    let three = fetch(&from, "/repo/r/export");

    create(&to, &json!({ "name": "r", "type": "yum" }));
    import(&to, "", &two).is_error_naming(409, "type yum");
    import(&to, "?replace=1", &two).is_error_naming(409, "type yum");
    ask(&to, "DELETE", "/repo/r", &json!({})).is_json(200);

    // An empty one of the same type is there to be filled; one with packages of its own is not.
    create(&to, &json!({ "name": "r", "type": "dir" }));
    import(&to, "", &two).is_json(200);
    ask(&to, "DELETE", "/repo/r", &json!({})).is_json(200);
    create(&to, &json!({ "name": "r", "type": "dir", "retain": { "versions": 3 } }));
    let own = upload(&to, b"own", "?filename=own");
    put(&to, "r", &json!({ own: true }));
    let before = state(&to);
    import(&to, "", &two).is_error_naming(409, "replace=1");
    assert_eq!(state(&to), before);
    let replaced = import(&to, "?replace=1", &two).is_json(200);
    assert_eq!((&replaced["added"], &replaced["removed"]), (&json!(3), &json!(1)));
    assert_eq!(to.send(Request::get("/repo/r")).is_json(200)["retain"], json!({ "versions": 3 }));

    // Later states come by themselves, earlier ones do not come back unasked.
    import(&to, "", &three).is_json(200);
    import(&to, "", &two).is_error_naming(409, "generation 3");
    import(&to, "?replace=1", &two).is_json(200);
    // What was changed here is said to be gone.
    put(&to, "r", &json!({}));
    let told = import(&to, "", &three).is_json(200);
    assert!(told["warnings"][0].as_str().unwrap().contains("changed here"), "{told}");
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
fn a_bundle_may_not_be_larger_than_what_may_be_uploaded() {
    let from = Packhouse::start();
    create(&from, &json!({ "name": "r", "type": "dir" }));
    let sum = upload(&from, &noise(1, 1_300_000), "?filename=large");
    put(&from, "r", &json!({ sum: true }));
    let bundle = fetch(&from, "/repo/r/export");
    let to = Packhouse::with().arg("--max-upload-mb").arg("1").start();
    import(&to, "?trust=1", &bundle).is_error_naming(413, "limit");
    assert_eq!(to.send(Request::get("/repo")).is_json(200), json!({}));
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

/// Imports a bundle into a server that dies at the crash point `name`. One that is passed during the start already is
/// tried at a later passage.
#[cfg(feature = "crash-points")]
fn die_at(name: &str, home: &crate::rig::Home, bundle: &[u8]) {
    for passage in 1..=20 {
        let point = format!("{name}:{passage}");
        let Ok(mut server) = home.server().env("PACKHOUSE_CRASH_AT", &point).try_start() else { continue };
        let mut wire = crate::wire::Wire::open(server.address());
        let length = bundle.len();
        let head =
            format!("POST /import HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN}\r\nContent-Length: {length}\r\n\r\n");
        // The server may die while it is written to.
        let _ = wire.send(head).and_then(|()| wire.send(bundle));
        let status = server.wait();
        assert!(status.code().is_none(), "{point}: ended by itself with {status}");
        return;
    }
    panic!("{name}: every start died before it listened");
}

/// Dies at every point of an import: nothing of it is there afterwards, or all; then it comes through.
#[cfg(feature = "crash-points")]
#[test]
fn an_import_that_dies_leaves_nothing_or_all() {
    use crate::rig::{Home, stop};
    let from = Packhouse::start();
    three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    let home = Home::new();
    let server = home.start();
    create(&server, &json!({ "name": "kept", "type": "dir" }));
    trust(&server, &from).is_json(201);
    stop(server);
    for point in ["stage-created", "body-complete", "bundle-received", "batch-flushed", "renamed", "directory-flushed"]
    {
        die_at(point, &home, &bundle);
        let server = home.start();
        let repos = server.send(Request::get("/repo")).is_json(200);
        assert_eq!(repos.as_object().unwrap().keys().collect::<Vec<_>>(), ["kept"], "{point}");
        assert_eq!(server.send(Request::get("/package")).is_json(200), json!({}), "{point}");
        stop(server);
        crate::rig::assert_sound(home.data(), point);
    }
    let server = home.start();
    import(&server, "", &bundle).is_json(201);
    assert_eq!(sayings(&from, "r"), sayings(&server, "r"));
    stop(server);
}

/// `kill -9` while a bundle is on its way.
#[test]
fn an_import_that_is_killed_leaves_nothing() {
    let (from, mut to) = pair();
    three(&from);
    let bundle = fetch(&from, "/repo/r/export");
    let before = state(&to);
    for cut in [bundle.len() / 3, bundle.len() - 10] {
        let mut wire = crate::wire::Wire::open(to.address());
        let head = format!(
            "POST /import HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN}\r\nContent-Length: {}\r\n\r\n",
            bundle.len()
        );
        wire.send(head).and_then(|()| wire.send(&bundle[..cut])).unwrap();
        to.kill();
        to.start_again(|builder| builder);
        assert_eq!(state(&to), before, "cut at {cut}");
        assert_eq!(to.stage_files(), Vec::<std::path::PathBuf>::new());
    }
    import(&to, "", &bundle).is_json(201);
}
