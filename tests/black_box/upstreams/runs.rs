//! The life of a sync: progress, continuation, changes under way, call-offs, restarts, schedules (`repos.md` §2, §3, §10).

use serde_json::{Value, json};

use super::mirror::{Mirror, Reply};
use super::repo::{self, DATE, LATER};
use super::{again, is_done, is_failed, job, look, make, names, set};
use crate::client::Request;
use crate::files::{noise, sha256};
use crate::server::{ADMIN, Packhouse, wait_for};

/// Starts an upstream without waiting for its sync.
#[track_caller]
fn start(server: &Packhouse, name: &str, kind: &str, path: &str) {
    let body = json!({ "name": name, "type": kind, "path": path });
    assert_eq!(server.send(Request::post("/upstream").token(ADMIN).json(&body)).status, 201);
}

#[track_caller]
fn wait_until_ended(server: &Packhouse, name: &str) -> Value {
    wait_for("the end of a sync", || {
        Some(job(server, name)).filter(|job| !["queued", "running"].contains(&job["state"].as_str().unwrap()))
    })
}

#[test]
fn a_broken_transfer_is_continued() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let bytes = noise(7, 300_000);
    mirror.put("/s/SHA256SUMS", format!("{}  big.bin\n", sha256(&bytes)).as_str());
    mirror.put("/s/big.bin", Reply::CutOnce(bytes.clone(), 200_000));
    is_done(&make(&server, "x", "dir", &mirror.url("/s"), json!({})));
    assert_eq!(set(&server, "x")[0].0, sha256(&bytes));
    let asked = mirror.asked();
    let second = asked.iter().rfind(|asked| asked.path == "/s/big.bin").unwrap();
    assert!(second.field("Range").is_some_and(|range| range.starts_with("bytes=")), "{second:?}");
    assert!(second.field("If-Range").is_some());
}

#[test]
fn a_bad_moment_is_waited_for_and_a_refusal_is_not() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let tree = repo::yum(&[("a", "1")]);
    mirror.put_all("/y", &tree);
    mirror.put("/y/repodata/repomd.xml", Reply::Flaky(503, 2, tree["repodata/repomd.xml"].clone()));
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    for (status, count) in [(503, 3), (403, 1), (404, 1)] {
        mirror.paths();
        mirror.put("/z/repodata/repomd.xml", Reply::Status(status));
        let name = format!("z{status}");
        is_failed(&make(&server, &name, "yum", &mirror.url("/z"), json!({})), &status.to_string());
        assert_eq!(mirror.paths().len(), count, "{status}");
    }
}

#[test]
fn a_failed_sync_changes_nothing_and_the_next_one_goes_on() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/d", &repo::apt(&[("a", "1")], DATE, ""));
    let path = format!("{} stable main", mirror.url("/d"));
    is_done(&make(&server, "x", "apt", &path, json!({})));
    let before = server.send(Request::get("/upstream/x/packages")).body;
    let packages: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
    let list: Vec<(&str, &str)> = packages.iter().map(|name| (name.as_str(), "1")).collect();
    mirror.put_all("/d", &repo::apt(&list, LATER, ""));
    mirror.put("/d/pool/main/p29_1_amd64.deb", Reply::Status(404));
    is_failed(&again(&server, "x", json!({})), "p29_1_amd64.deb");
    assert_eq!(server.send(Request::get("/upstream/x/packages")).body, before);
    let shown = look(&server, "x");
    assert_eq!((&shown["status"], &shown["packages"]), (&json!("failed"), &json!(1)));
    mirror.paths();
    mirror.put_all("/d", &repo::apt(&list, LATER, ""));
    let job = again(&server, "x", json!({}));
    is_done(&job);
    let fetched = mirror.paths().iter().filter(|path| path.contains("/pool/")).count();
    assert!(fetched < 10, "{fetched} files were fetched again");
    assert_eq!(names(&server, "x").len(), 30);
    assert!(server.stage_files().is_empty());
}

#[test]
fn metadata_that_is_switched_under_way_is_read_anew() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    let (old, new) = (repo::yum(&[("a", "1")]), repo::yum(&[("a", "2"), ("b", "1")]));
    let switch = new.iter().map(|(path, bytes)| (format!("/y/{path}"), Reply::Bytes(bytes.clone()))).collect();
    // The old list is gone by the time it is asked for.
    mirror.put("/y/repodata/repomd.xml", Reply::Then(old["repodata/repomd.xml"].clone(), switch));
    let primary = old.keys().find(|path| path.contains("primary")).unwrap();
    mirror.put(&format!("/y/{primary}"), "something else");
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    assert_eq!(names(&server, "x"), ["a-2-1.x86_64.rpm", "b-1-1.x86_64.rpm"]);
}

#[test]
fn one_sync_serves_both_and_a_changed_definition_begins_anew() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put("/s/repodata/repomd.xml", Reply::Silence);
    start(&server, "x", "yum", &mirror.url("/s"));
    let first = wait_for("a running sync", || Some(job(&server, "x")).filter(|job| job["state"] == "running"));
    assert_eq!(look(&server, "x")["status"], "syncing");
    let same = server.send(Request::put("/upstream/x").token(ADMIN).json(&json!({"path": mirror.url("/s/")})));
    assert_eq!(same.status, 202);
    // A slash at the end is another text of the same place; a really equal one serves both.
    let now = job(&server, "x")["id"].clone();
    let same = server.send(Request::put("/upstream/x").token(ADMIN));
    assert_eq!((same.status, &job(&server, "x")["id"]), (202, &now));
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    let other = again(&server, "x", json!({"path": mirror.url("/y")}));
    is_done(&other);
    assert_ne!(other["id"], first["id"]);
    assert_eq!(names(&server, "x").len(), 1);
}

#[test]
fn calling_off_and_deleting_under_way() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    mirror.put("/y/repodata/repomd.xml", Reply::Silence);
    assert_eq!(server.send(Request::put("/upstream/x").token(ADMIN)).status, 202);
    wait_for("a running sync", || Some(job(&server, "x")).filter(|job| job["state"] == "running"));
    let answer = server.send(Request::delete("/upstream/x/sync").token(ADMIN));
    assert_eq!(answer.is_json(200)["state"], "cancelled");
    let shown = look(&server, "x");
    assert_eq!((&shown["status"], &shown["packages"]), (&json!("ok"), &json!(1)));
    assert_eq!(server.send(Request::put("/upstream/x").token(ADMIN)).status, 202);
    let answer = server.send(Request::delete("/upstream/x").token(ADMIN));
    assert_eq!(answer.is_json(200), json!({"deleted": "x"}));
    for path in ["/upstream/x", "/upstream/x/packages", "/upstream/x/sync"] {
        assert_eq!(server.send(Request::get(path)).status, 404, "{path}");
    }
    // Nothing of it comes back.
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    assert_eq!(server.send(Request::delete("/upstream/x").token(ADMIN)).status, 200);
    wait_for("the bytes to go", || server.shelf_files().is_empty().then_some(()));
}

#[test]
fn a_sync_cut_off_by_a_restart_reads_interrupted() {
    let (mut server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({})));
    mirror.put("/y/repodata/repomd.xml", Reply::Silence);
    for graceful in [true, false] {
        assert_eq!(server.send(Request::put("/upstream/x").token(ADMIN)).status, 202);
        wait_for("a running sync", || Some(job(&server, "x")).filter(|job| job["state"] == "running"));
        match graceful {
            true => server.restart(),
            false => {
                server.kill();
                server.start_again(|builder| builder);
            }
        }
        is_failed(&job(&server, "x"), "interrupted");
        let shown = look(&server, "x");
        assert_eq!((&shown["status"], &shown["packages"]), (&json!("failed"), &json!(1)));
    }
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&again(&server, "x", json!({})));
}

#[test]
fn upstreams_sync_by_themselves_and_several_at_once() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    for number in 0..4 {
        mirror.put(&format!("/s{number}/repodata/repomd.xml"), Reply::Silence);
        start(&server, &format!("s{number}"), "yum", &mirror.url(&format!("/s{number}")));
    }
    wait_for("four running syncs", || {
        (0..4).all(|number| job(&server, &format!("s{number}"))["state"] == "running").then_some(())
    });
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), json!({"interval": 1})));
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    wait_for("a sync by itself", || (names(&server, "x").len() == 2).then_some(()));
    assert_eq!(server.send(Request::put("/upstream/x").token(ADMIN).json(&json!({"interval": 0}))).status, 202);
    wait_until_ended(&server, "x");
}

#[cfg(feature = "crash-points")]
#[test]
fn a_crash_after_the_flush_of_a_batch_loses_nothing_and_leaves_nothing() {
    let home = crate::rig::Home::new();
    let mirror = Mirror::start();
    mirror.put_all("/y", &repo::yum(&[("a", "1"), ("b", "1")]));
    let mut server = home.server().env("PACKHOUSE_CRASH_AT", "batch-flushed").start();
    let body = json!({ "name": "x", "type": "yum", "path": mirror.url("/y") }).to_string();
    // The sync begins once the definition is stored; whether the answer still arrives does not matter.
    let _ = crate::wire::ask(server.address(), crate::rig::json_request("POST", "/upstream", &body));
    let status = server.wait();
    assert!(status.code().is_none(), "ended by itself with {status}");

    let server = home.start();
    is_failed(&job(&server, "x"), "interrupted");
    let shown = look(&server, "x");
    assert_eq!((&shown["status"], &shown["packages"]), (&json!("failed"), &json!(0)));
    assert_eq!(server.send(Request::get("/package")).is_json(200), json!({}));
    wait_for("the stage to be swept", || server.stage_files().is_empty().then_some(()));
    is_done(&again(&server, "x", json!({})));
    assert_eq!(look(&server, "x")["packages"], 2);
    crate::rig::stop(server);
    crate::rig::assert_sound(home.data(), "after a crash between flush and commit of a sync");
}
