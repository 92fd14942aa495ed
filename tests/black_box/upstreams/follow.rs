//! Repos that follow an upstream or another repo (`repos.md` §19.6).

use serde_json::{Value, json};

use super::mirror::Mirror;
use super::repo::{self, DATE, LATER};
use super::{again, is_done, make, names};
use crate::client::Request;
use crate::files::sha256;
use crate::server::{ADMIN, Packhouse, wait_for};

#[track_caller]
fn send(server: &Packhouse, method: &str, target: &str, body: &Value) -> crate::client::Answer {
    server.send(Request::new(method, target).token(ADMIN).json(body))
}

fn shown(server: &Packhouse, repo: &str) -> Value {
    server.send(Request::get(&format!("/repo/{repo}"))).is_json(200)
}

/// The shasums a repo lists.
fn list(server: &Packhouse, repo: &str) -> Vec<String> {
    let list = server.send(Request::get(&format!("/repo/{repo}/packages"))).is_json(200);
    list.as_object().unwrap().keys().cloned().collect()
}

fn wait_for_packages(server: &Packhouse, repo: &str, count: usize) {
    wait_for(&format!("{count} packages in {repo}"), || (list(server, repo).len() == count).then_some(()));
}

/// Waits until the last copy went so: with this error in it, or well.
fn wait_for_copy(server: &Packhouse, repo: &str, error: Option<&str>) {
    wait_for(&format!("a copy for {repo}"), || {
        let followed = &shown(server, repo)["followed"];
        match error {
            None => (followed["at"].is_string() && followed["error"].is_null()).then_some(()),
            Some(words) => followed["error"].as_str().filter(|told| told.contains(words)).map(drop),
        }
    });
}

#[test]
fn a_chain_goes_along_with_each_change_of_its_source() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "up", "yum", &mirror.url("/y"), json!({})));
    let first = json!({"name": "first", "type": "yum", "follow": {"name": "up", "type": "upstream"}});
    assert_eq!(send(&server, "POST", "/repo", &first).status, 201);
    let second = json!({"type": "yum", "follow": {"name": "first", "type": "repo"}});
    assert_eq!(send(&server, "PUT", "/repo/second", &second).status, 201);
    // What the source has already is copied at once.
    wait_for_packages(&server, "second", 1);
    assert_eq!(shown(&server, "first")["follow"], json!({"name": "up", "type": "upstream"}));
    let mut tree = repo::Tree::new();
    let mut entries = Vec::new();
    for name in ["a", "b", "c"] {
        let bytes = repo::rpm(name, "2");
        let path = format!("Packages/{name}.rpm");
        entries.push(repo::package(name, &path, &sha256(&bytes), bytes.len()));
        tree.insert(path, bytes);
    }
    repo::put_yum(&mut tree, &entries, &[("updateinfo", "updateinfo.xml", b"<updates/>")]);
    mirror.put_all("/y", &tree);
    is_done(&again(&server, "up", json!({})));
    wait_for_packages(&server, "second", 3);
    // The extra metadata comes along, as in a copy by hand.
    let repomd = server.send(Request::get("/repo/second/repodata/repomd.xml")).text().to_owned();
    assert!(repomd.contains("updateinfo"), "{repomd}");
    // An upstream without a change makes no generation.
    wait_for_copy(&server, "second", None);
    let generation = shown(&server, "first")["generation"].clone();
    is_done(&again(&server, "up", json!({})));
    let alone = json!({"name": "alone", "type": "yum", "follow": {"name": "up", "type": "upstream"}});
    assert_eq!(send(&server, "POST", "/repo", &alone).status, 201);
    wait_for_packages(&server, "alone", 3);
    assert_eq!(shown(&server, "first")["generation"], generation);
    // A list set by hand stays until the source changes again.
    assert_eq!(send(&server, "PUT", "/repo/second/packages", &json!({})).status, 200);
    mirror.put_all("/y", &repo::yum(&[("d", "1"), ("e", "1")]));
    is_done(&again(&server, "up", json!({})));
    wait_for_packages(&server, "second", 2);
    // Unfollowed, it stays as it is.
    let free = send(&server, "PUT", "/repo/second", &json!({"follow": null})).is_json(200);
    assert_eq!((&free["follow"], &free["followed"]), (&Value::Null, &Value::Null));
    mirror.put_all("/y", &repo::yum(&[("f", "1")]));
    is_done(&again(&server, "up", json!({})));
    wait_for_packages(&server, "first", 1);
    wait_for_packages(&server, "alone", 1);
    assert_eq!(list(&server, "second").len(), 2);
}

#[test]
fn a_follower_waits_for_the_first_sync_and_keeps_its_retention() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    // The source has never been synced: nothing is emptied by accident.
    let job = make(&server, "up", "apt", &format!("{} stable main", mirror.url("/d")), json!({}));
    assert_eq!(job["state"], "failed", "{job}");
    let follower = json!({"name": "r", "type": "apt", "suite": "copy", "retain": {"versions": 1},
                          "follow": {"name": "up", "type": "upstream"}});
    assert_eq!(send(&server, "POST", "/repo", &follower).status, 201);
    mirror.put_all("/d", &repo::apt(&[("a", "1"), ("a", "2"), ("b", "1")], DATE, ""));
    is_done(&again(&server, "up", json!({})));
    wait_for_packages(&server, "r", 2);
    wait_for_copy(&server, "r", None);
    let generation = shown(&server, "r")["generation"].as_u64().unwrap();
    // The same by hand: what retention keeps out is no change.
    let same = send(&server, "PUT", "/repo/r/packages", &json!({"sync": {"name": "up", "type": "upstream"}}));
    assert_eq!(same.is_json(200)["changed"], false);
    assert_eq!(shown(&server, "r")["generation"], generation);
    mirror.put_all("/d", &repo::apt(&[("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")], LATER, ""));
    is_done(&again(&server, "up", json!({})));
    let newest = sha256(&repo::deb("a", "3"));
    wait_for("the newest version", || list(&server, "r").contains(&newest).then_some(()));
    assert_eq!(list(&server, "r").len(), 2);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = Packhouse::start();
    for (name, kind) in [("a", "apt"), ("b", "apt"), ("c", "apt"), ("y", "yum")] {
        assert_eq!(send(&server, "POST", "/repo", &json!({"name": name, "type": kind})).status, 201);
    }
    let before = shown(&server, "a");
    let cases = [
        (json!({"name": "none", "type": "repo"}), 404, "none"),
        (json!({"name": "none", "type": "upstream"}), 404, "none"),
        (json!({"name": "a", "type": "repo"}), 400, "itself"),
        (json!({"name": "y", "type": "repo"}), 400, "yum"),
        (json!({"name": "a@s", "type": "snapshot"}), 400, "snapshot"),
        (json!({"name": "b", "type": "elsewhere"}), 400, "follow"),
        (json!({"name": "../b", "type": "repo"}), 400, "follow"),
        (json!({"name": 7, "type": "repo"}), 400, "follow"),
        (json!("b"), 400, "follow"),
        (json!([]), 400, "follow"),
    ];
    for (follow, status, word) in cases {
        let answer = send(&server, "PUT", "/repo/a", &json!({"follow": follow}));
        answer.is_error_naming(status, word);
        let made = send(&server, "POST", "/repo", &json!({"name": "new", "type": "apt", "follow": follow}));
        // A repo that is only made now is nobody's "itself".
        if word != "itself" {
            made.is_error_naming(status, word);
            assert_eq!(server.send(Request::get("/repo/new")).status, 404);
        }
        send(&server, "DELETE", "/repo/new", &json!({}));
    }
    assert_eq!(shown(&server, "a"), before);
    let follow = |name: &str, other: &str| {
        send(&server, "PUT", &format!("/repo/{name}"), &json!({"follow": {"name": other, "type": "repo"}}))
    };
    assert_eq!((follow("b", "a").status, follow("c", "b").status), (200, 200));
    follow("a", "c").is_error_naming(409, "follows repo a");
    follow("a", "b").is_error_naming(409, "follows repo a");
    assert_eq!(shown(&server, "a")["follow"], Value::Null);
    let stranger = server.send(Request::put("/repo/c").json(&json!({"follow": null})));
    assert_eq!((stranger.status, &shown(&server, "c")["follow"]["name"]), (401, &json!("b")));
}

#[test]
fn a_source_that_goes_leaves_its_followers_as_they_are() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "up", "yum", &mirror.url("/y"), json!({})));
    for (name, source, kind) in [("first", "up", "upstream"), ("second", "first", "repo")] {
        let body = json!({"name": name, "type": "yum", "follow": {"name": source, "type": kind}});
        assert_eq!(send(&server, "POST", "/repo", &body).status, 201);
    }
    wait_for_packages(&server, "second", 1);
    assert_eq!(send(&server, "DELETE", "/upstream/up", &json!({})).status, 200);
    assert_eq!((&shown(&server, "first")["follow"], list(&server, "first").len()), (&Value::Null, 1));
    assert_eq!(send(&server, "DELETE", "/repo/first", &json!({})).status, 200);
    assert_eq!((&shown(&server, "second")["follow"], list(&server, "second").len()), (&Value::Null, 1));
    // Others of these names are others.
    mirror.put_all("/y", &repo::yum(&[("b", "1"), ("c", "1")]));
    is_done(&make(&server, "up", "yum", &mirror.url("/y"), json!({})));
    let body = json!({"name": "first", "type": "yum", "follow": {"name": "up", "type": "upstream"}});
    assert_eq!(send(&server, "POST", "/repo", &body).status, 201);
    wait_for_packages(&server, "first", 2);
    assert_eq!(list(&server, "second").len(), 1);
}

#[test]
fn a_copy_that_fails_says_why_and_comes_right_with_the_source() {
    let server = Packhouse::start();
    let add = |bytes: &[u8], name: &str, repo: &str| {
        let target = format!("/package?filename={name}&repo={repo}");
        server.send(Request::post(&target).token(ADMIN).body("application/octet-stream", bytes))
    };
    assert_eq!(send(&server, "POST", "/repo", &json!({"name": "files", "type": "dir"})).status, 201);
    assert_eq!(add(b"no package", "x.txt", "files").status, 201);
    let body = json!({"name": "debs", "type": "apt", "follow": {"name": "files", "type": "repo"}});
    assert_eq!(send(&server, "POST", "/repo", &body).status, 201);
    wait_for_copy(&server, "debs", Some("deb packages only"));
    assert!(list(&server, "debs").is_empty());
    assert_eq!(add(&repo::deb("a", "1"), "a.deb", "files").status, 201);
    let gone = json!({ sha256(b"no package"): false });
    assert_eq!(send(&server, "PATCH", "/repo/files/packages", &gone).status, 200);
    wait_for_packages(&server, "debs", 1);
    wait_for_copy(&server, "debs", None);
}

#[test]
fn many_changes_and_a_restart_end_in_the_last_state() {
    let (mut server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "up", "yum", &mirror.url("/y"), json!({})));
    for number in 0..3 {
        let source = if number == 0 { "source".to_owned() } else { format!("copy{}", number - 1) };
        if number == 0 {
            assert_eq!(send(&server, "POST", "/repo", &json!({"name": "source", "type": "yum"})).status, 201);
        }
        let name = format!("copy{number}");
        let body = json!({"name": name, "type": "yum", "follow": {"name": source, "type": "repo"}});
        assert_eq!(send(&server, "POST", "/repo", &body).status, 201);
    }
    let shasums: Vec<String> = (0..12)
        .map(|number| {
            let bytes = repo::rpm(&format!("p{number}"), "1");
            let target = format!("/package?repo=source&filename=p{number}.rpm");
            let request = Request::post(&target).token(ADMIN).body("application/octet-stream", &bytes[..]);
            assert_eq!(server.send(request).status, 201);
            sha256(&bytes)
        })
        .collect();
    assert_eq!(send(&server, "PATCH", "/repo/source/packages", &json!({ &shasums[0]: false })).status, 200);
    // Cut off wherever it is: what was not copied is caught up with.
    server.kill();
    server.start_again(|builder| builder);
    let last = list(&server, "source");
    assert_eq!(last.len(), 11);
    wait_for("the last state everywhere", || {
        (0..3).all(|number| list(&server, &format!("copy{number}")) == last).then_some(())
    });
    assert_eq!(names(&server, "up").len(), 1);
}
