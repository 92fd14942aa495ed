//! Bundles that are damaged, hostile, foreign or late, and servers that die over them: nothing changes.

use serde_json::{Value, json};

use super::archive::{pack, unpack};
use super::{
    MANIFEST, SIGNATURE, ask, create, fetch, fetch_text, import, pair, put, sayings, state, three, trust, upload, with,
};
use crate::client::Request;
use crate::files::{noise, sha256};
use crate::server::{ADMIN, Packhouse};

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
