//! Crashes: dies at every named point of an upload, a deletion and the sweep, and finds nothing lost and nothing half done.

use std::fs::{File, FileTimes};
use std::time::{Duration, Instant, SystemTime};

use crate::files::{noise, sha256};
use crate::rig::{self, Home, wait_until};
use crate::server::Packhouse;
use crate::wire;

/// What is there after the crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing: the client's retry succeeds.
    Nothing,
    /// All or nothing.
    Either,
    /// All: the client's retry hears that the version exists.
    Everything,
}

/// Points an upload passes (`reliability.md` §5).
const UPLOAD: [(&str, After); 9] = [
    ("stage-created", After::Nothing),
    ("body-half", After::Nothing),
    ("body-complete", After::Nothing),
    ("stage-flushed", After::Nothing),
    ("renamed", After::Nothing),
    ("directory-flushed", After::Nothing),
    ("commit-begun", After::Either),
    ("commit-half", After::Either),
    ("committed", After::Everything),
];

/// A directory with product `p` and its version `kept`.
fn prepared(kept: &[u8]) -> Home {
    let home = Home::new();
    let server = home.start();
    rig::create_product(server.address(), "p");
    let stored = rig::upload(server.address(), "p", "kept", kept).expect("an answer");
    assert_eq!(stored.status, 201, "{stored:?}");
    rig::stop(server);
    home
}

/// Starts a server that dies at the crash point `name` and lets `act` run into it.
/// A point that is passed during the start already is tried at a later passage.
fn die_at(name: &str, home: &Home, act: impl Fn(&Packhouse)) {
    for passage in 1..=20 {
        let point = format!("{name}:{passage}");
        match home.server().env("PACKHOUSE_CRASH_AT", &point).try_start() {
            Ok(mut server) => {
                act(&server);
                let status = server.wait();
                assert!(status.code().is_none(), "{point}: ended by itself with {status}");
                return;
            }
            Err((status, log)) => assert!(status.code().is_none(), "{point}: refused to start ({status}): {log}"),
        }
    }
    panic!("{name}: every start died before it listened");
}

/// A crash in the middle of the start-up sweep. When there is nothing to sweep the server lives on and is killed.
fn die_in_the_sweep(home: &Home) {
    match home.server().env("PACKHOUSE_CRASH_AT", "sweep").try_start() {
        Ok(mut server) => {
            let until = Instant::now() + Duration::from_secs(3);
            while Instant::now() < until && wire::healthy(server.address()).is_ok() {}
            server.kill();
        }
        Err((status, log)) => assert!(status.code().is_none(), "refused to start ({status}): {log}"),
    }
}

/// After a crash: the listing tells the truth, the retry gets its answer, the directory is sound and holds no litter.
fn check(name: &str, after: After, home: &Home, kept: &[u8], bytes: &[u8]) {
    // Another look at what the crash and the sweep left, before anybody mends it by trying again.
    let server = home.start();
    rig::assert_whole(server.address(), "p", "kept", kept);
    let is_there = rig::versions(server.address(), "p").expect("the versions").contains(&"v".to_owned());
    assert!(after != After::Nothing || !is_there, "{name}: a version nobody finished is listed");
    assert!(after != After::Everything || is_there, "{name}: a committed version is gone");
    match is_there {
        true => rig::assert_whole(server.address(), "p", "v", bytes),
        false => assert_eq!(rig::download(server.address(), "p", "v").expect("an answer").text(), "Version not found"),
    }
    wait_until("the stage is swept", || rig::is_stage_empty(server.data()));
    rig::stop(server);
    rig::assert_sound(home.data(), &format!("after {name}"));

    let server = home.start();
    let retry = rig::upload(server.address(), "p", "v", bytes).expect("an answer");
    assert_eq!(retry.status, if is_there { 409 } else { 201 }, "{name}: the retry: {retry:?}");
    rig::assert_whole(server.address(), "p", "v", bytes);
    rig::assert_whole(server.address(), "p", "kept", kept);
    rig::stop(server);
    let mut expected = vec![sha256(kept), sha256(bytes)];
    expected.sort();
    assert_eq!(rig::shelf(home.data()), expected, "{name}: the shelf");
    assert!(rig::is_stage_empty(home.data()), "{name}: the stage");
    rig::assert_sound(home.data(), &format!("after {name} and the retry"));
}

/// One upload into each crash point, alone and followed by a second crash in the sweep.
fn upload_into(points: &[(&str, After)]) {
    let kept = noise(1, 100_000);
    let bytes = noise(2, 3 << 20);
    for (name, after) in points {
        for twice in [false, true] {
            let home = prepared(&kept);
            die_at(name, &home, |server| {
                let answer = rig::upload(server.address(), "p", "v", &bytes);
                assert!(answer.is_err(), "{name}: answered {answer:?}");
            });
            if twice {
                die_in_the_sweep(&home);
            }
            check(name, *after, &home, &kept, &bytes);
        }
    }
}

#[test]
fn an_upload_dies_before_its_flush() {
    upload_into(&UPLOAD[..4]);
}

#[test]
fn an_upload_dies_between_flush_and_commit() {
    upload_into(&UPLOAD[4..6]);
}

#[test]
fn an_upload_dies_in_or_after_its_commit() {
    upload_into(&UPLOAD[6..]);
}

/// The same points with bytes that are on the shelf already: the other holder loses nothing.
#[test]
fn an_upload_of_known_bytes_dies_and_harms_nobody() {
    let kept = noise(3, 200_000);
    for (name, after) in UPLOAD {
        // Known bytes are not renamed: those points are not on this way.
        if ["renamed", "directory-flushed"].contains(&name) {
            continue;
        }
        let home = prepared(&kept);
        die_at(name, &home, |server| {
            let answer = rig::upload(server.address(), "p", "v", &kept);
            assert!(answer.is_err(), "{name}: answered {answer:?}");
        });
        let server = home.start();
        rig::assert_whole(server.address(), "p", "kept", &kept);
        let is_there = rig::versions(server.address(), "p").expect("the versions").contains(&"v".to_owned());
        assert!(after == After::Either || is_there == (after == After::Everything), "{name}: {is_there}");
        wait_until("the stage is swept", || rig::is_stage_empty(server.data()));
        rig::stop(server);
        assert_eq!(rig::shelf(home.data()), [sha256(&kept)], "{name}");
        rig::assert_sound(home.data(), &format!("after {name} with known bytes"));
    }
}

/// Point 9: the answer has left. Whatever happens then, the version is there.
#[test]
fn what_was_answered_survives_the_next_instant() {
    let kept = noise(4, 1_000);
    let bytes = noise(5, 700_000);
    let home = prepared(&kept);
    let mut server = home.start();
    assert_eq!(rig::upload(server.address(), "p", "v", &bytes).expect("an answer").status, 201);
    server.kill();
    check("answered", After::Everything, &home, &kept, &bytes);
}

/// A deletion dies in its commit, after it, and between the end of the row and the end of the bytes.
#[test]
fn a_deletion_dies_and_leaves_all_or_nothing() {
    let kept = noise(6, 100_000);
    let bytes = noise(7, 500_000);
    for name in ["commit-begun", "commit-half", "committed", "row-deleted"] {
        for twice in [false, true] {
            let home = prepared(&kept);
            let server = home.start();
            assert_eq!(rig::upload(server.address(), "p", "v", &bytes).expect("an answer").status, 201);
            rig::stop(server);
            die_at(name, &home, |server| {
                let answer = rig::delete_version(server.address(), "p", "v");
                // The bytes go after the answer: only there the client may have heard of it.
                assert!(answer.is_err() || name == "row-deleted", "{name}: answered {answer:?}");
            });
            if twice {
                die_in_the_sweep(&home);
            }
            // What nobody holds any more is swept once it is old enough not to be somebody's upload.
            let orphan = rig::blob_path(home.data(), &sha256(&bytes));
            if orphan.exists() {
                age(&orphan, Duration::from_secs(2 * 3600));
            }
            let server = home.start();
            rig::assert_whole(server.address(), "p", "kept", &kept);
            let is_there = rig::versions(server.address(), "p").expect("the versions").contains(&"v".to_owned());
            match name {
                "committed" | "row-deleted" => assert!(!is_there, "{name}: a deleted version is back"),
                _ if is_there => rig::assert_whole(server.address(), "p", "v", &bytes),
                _ => {}
            }
            if !is_there {
                let what = format!("{name}: the bytes of the deleted version are swept");
                wait_until(&what, || !orphan.exists());
            }
            rig::stop(server);
            rig::assert_sound(home.data(), &format!("after a deletion died at {name}"));
            assert!(rig::is_stage_empty(home.data()), "{name}");
        }
    }
}

/// A product with several versions goes whole or not at all.
#[test]
fn the_deletion_of_a_product_dies_and_leaves_all_or_nothing() {
    for name in ["commit-begun", "commit-half", "committed"] {
        let home = prepared(b"kept");
        let server = home.start();
        rig::create_product(server.address(), "q");
        let versions: Vec<(String, Vec<u8>)> = (0..5).map(|i| (format!("v{i}"), noise(70 + i, 50_000))).collect();
        for (version, bytes) in &versions {
            assert_eq!(rig::upload(server.address(), "q", version, bytes).expect("an answer").status, 201);
        }
        rig::stop(server);
        die_at(name, &home, |server| {
            let answer = wire::ask(server.address(), rig::request("DELETE", "/product/delete/q", ""));
            assert!(answer.is_err(), "{name}: answered {answer:?}");
        });
        let server = home.start();
        let products = rig::products(server.address()).expect("the list");
        if products.contains(&"q".to_owned()) {
            assert_ne!(name, "committed", "a deleted product is back");
            versions.iter().for_each(|(version, bytes)| rig::assert_whole(server.address(), "q", version, bytes));
        } else {
            // The name is free, and what comes back under it is empty.
            rig::create_product(server.address(), "q");
            assert!(rig::versions(server.address(), "q").expect("the versions").is_empty(), "{name}");
        }
        rig::assert_whole(server.address(), "p", "kept", b"kept");
        rig::stop(server);
        rig::assert_sound(home.data(), &format!("after the deletion of a product died at {name}"));
    }
}

/// A blob without a row is left alone while it may be somebody's upload, and swept when it is older than an hour.
#[test]
fn orphans_are_swept_when_they_are_old() {
    let kept = noise(8, 1_000);
    let bytes = noise(9, 400_000);
    for name in ["renamed", "directory-flushed"] {
        let home = prepared(&kept);
        die_at(name, &home, |server| {
            assert!(rig::upload(server.address(), "p", "v", &bytes).is_err(), "{name}");
        });
        let orphan = rig::blob_path(home.data(), &sha256(&bytes));
        assert!(orphan.exists(), "{name}: the blob has its name");
        // The stage is swept first, then the shelf; a clean stop waits for both.
        let server = home.start();
        wait_until("the stage is swept", || rig::is_stage_empty(server.data()));
        rig::stop(server);
        assert!(orphan.exists(), "{name}: a young orphan was taken");
        age(&orphan, Duration::from_secs(2 * 3600));
        let server = home.start();
        wait_until("the old orphan is swept", || !orphan.exists());
        rig::assert_whole(server.address(), "p", "kept", &kept);
        rig::stop(server);
        rig::assert_sound(home.data(), &format!("after the sweep of {name}"));
    }
}

/// Makes a file look as if it had been written long ago.
fn age(path: &std::path::Path, by: Duration) {
    let long_ago = SystemTime::now() - by;
    let file = File::open(path).expect("the file opens");
    file.set_times(FileTimes::new().set_accessed(long_ago).set_modified(long_ago)).expect("its times are set");
}
