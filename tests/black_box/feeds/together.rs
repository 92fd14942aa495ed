//! Changes that come at once, and what a publication has to pack anew (`performance.md` §3.5, §6; `repos.md` §13, §18).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use serde_json::{Value, json};

use super::{ask, create, fetch, fetch_text, gunzip, upload};
use crate::client::Request;
use crate::packages::{DebFile, RpmFile, output};
use crate::server::{ADMIN, Packhouse, wait_for};

fn generation(server: &Packhouse, repo: &str) -> u64 {
    server.send(Request::get(&format!("/repo/{repo}"))).is_json(200)["generation"].as_u64().unwrap()
}

/// Runs `work` for 0 to `count`, all at once; the answers in order.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (work, start) = (&work, &start);
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn changes_at_once_are_each_answered_when_they_are_served() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "y", "type": "yum" }));
    let sums: Vec<String> =
        (0..12).map(|n| upload(&server, &RpmFile::new(&format!("p{n}"), "1", "1").build(), "")).collect();
    let before = generation(&server, "y");
    let deb = upload(&server, &DebFile::new("d", "1").build(), "");
    let answers = at_once(14, |number| {
        let body = match number {
            12 => json!({ "0".repeat(64): true }),
            13 => json!({ deb.clone(): true }),
            number => json!({ sums[number].clone(): true }),
        };
        let answer = ask(&server, "PATCH", "/repo/y/packages", &body);
        (answer, fetch_text(&server, "/repo/y/packages"))
    });
    let last = generation(&server, "y");
    assert!((before + 1..=before + 12).contains(&last), "{before} to {last}");
    for (number, (answer, packages)) in answers.iter().enumerate() {
        match number {
            // One that is refused spoils nothing for the others.
            12 => {
                let told = answer.is_json(400);
                assert_eq!(told["error"], "1 of 1 package is not known here");
            }
            13 => {
                let told = answer.is_json(400);
                assert!(
                    told["error"].as_str().is_some_and(|words| words.starts_with("repo y is of type yum")),
                    "{told}"
                );
            }
            number => {
                let told = answer.is_json(200);
                assert_eq!((&told["added"], &told["removed"], &told["changed"]), (&json!(1), &json!(0), &json!(true)));
                assert!(told["generation"].as_u64().is_some_and(|made| made <= last), "{told}");
                assert!(packages.contains(&sums[number]), "answered before it was there: {number}");
            }
        }
    }
    let repomd = fetch_text(&server, "/repo/y/repodata/repomd.xml");
    let primary = repomd.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(gunzip(&fetch(&server, &format!("/repo/y/{primary}"))).contains("packages=\"12\""));

    // What is asked for twice is there once; what one adds and another removes is one of both.
    let twice = at_once(4, |_| ask(&server, "PATCH", "/repo/y/packages", &json!({ sums[0].clone(): false })));
    let removed: u64 = twice.iter().map(|answer| answer.is_json(200)["removed"].as_u64().unwrap()).sum();
    assert_eq!(removed, 1);
    assert_eq!(twice.iter().filter(|answer| answer.is_json(200)["changed"] == true).count(), 1);
}

#[test]
fn uploads_at_once_are_all_in_the_repo() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "a", "type": "apt" }));
    create(&server, &json!({ "name": "d", "type": "dir" }));
    let debs: Vec<Vec<u8>> = (0..8).map(|n| DebFile::new(&format!("p{}", n % 7), "1").build()).collect();
    for repo in ["a", "d"] {
        let answers = at_once(8, |number| {
            let request = Request::post(&format!("/package?repo={repo}")).token(ADMIN);
            server.send(request.body("application/octet-stream", debs[number].clone()))
        });
        assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status)), "{repo}");
        let shown = server.send(Request::get(&format!("/repo/{repo}/packages"))).is_json(200);
        assert_eq!(shown.as_object().unwrap().len(), 7, "{repo}");
    }
    // They were uploaded: they stay when the repo lets go of them.
    ask(&server, "PUT", "/repo/a/packages", &json!({})).is_json(200);
    assert_eq!(server.send(Request::delete("/repo/d").token(ADMIN)).status, 200);
    assert_eq!(server.send(Request::get("/package")).is_json(200).as_object().unwrap().len(), 7);
}

/// Publishes `count` packages made by `make` in a new repo; then adds three more, one after the other. Answers how many
/// packages had to be packed anew for each of these.
fn packed_anew(server: &Packhouse, kind: &str, count: usize, make: &dyn Fn(&str) -> (String, Vec<u8>)) -> Vec<usize> {
    let place = tempfile::tempdir().unwrap();
    for number in 0..count {
        let (name, bytes) = make(&format!("package-{number}"));
        fs::write(place.path().join(name), bytes).unwrap();
    }
    let name = format!("{kind}{count}");
    read_tree(server, &name, place.path());
    let more = if kind == "apt" { json!(["amd64"]) } else { json!(null) };
    create(server, &json!({ "name": name, "type": kind, "architectures": more }));
    let list = format!("/repo/{name}/packages");
    let told = ask(server, "PUT", &list, &json!({ "sync": { "name": name, "type": "upstream" } })).is_json(200);
    assert_eq!(told["packages"], count);
    ["package-0-more", "package-3-more", "zz-last"]
        .iter()
        .map(|more| {
            let before = server.log().len();
            let (_, bytes) = make(&format!("{more}-{count}"));
            upload(server, &bytes, &format!("?repo={name}"));
            let line = format!("repo {name}: ");
            wait_for("a line of what was packed", || {
                let log = server.log();
                let words = log[before..].lines().find(|text| text.contains(&line) && text.ends_with("packed anew"))?;
                words.split_once(&line)?.1.split(' ').next()?.parse().ok()
            })
        })
        .collect()
}

fn read_tree(server: &Packhouse, name: &str, path: &Path) {
    let body = json!({ "name": name, "type": "dir", "path": path });
    ask(server, "POST", "/upstream", &body).is_json(201);
    for _ in 0..20 {
        let job: Value = server.send(Request::get(&format!("/upstream/{name}/sync?wait=10"))).is_json(200);
        match job["state"].as_str().unwrap() {
            "done" => return,
            "queued" | "running" => {}
            state => panic!("{state}: {job}"),
        }
    }
    panic!("the directory was not read in 200 s");
}

#[test]
fn one_more_package_packs_its_neighbours_anew_and_no_others() {
    let server = Packhouse::with().env("RUST_LOG", "info,packhouse::feeds::publish=debug").start();
    let rpm = |name: &str| (format!("{name}.rpm"), RpmFile::new(name, "1", "1").build());
    let deb = |name: &str| (format!("{name}.deb"), DebFile::new(name, "1").build());
    type Make<'a> = &'a dyn Fn(&str) -> (String, Vec<u8>);
    for (kind, make) in [("yum", &rpm as Make), ("apt", &deb as Make)] {
        let (few, many) = (packed_anew(&server, kind, 500, make), packed_anew(&server, kind, 2000, make));
        let middle = |mut counts: Vec<usize>| {
            counts.sort_unstable();
            counts[1]
        };
        let (few, many) = (middle(few), middle(many));
        assert!(many <= 3 * few.max(256), "{kind}: {many} packages of 2,000 packed anew, {few} of 500");
    }

    // Out of many blocks, and yet one stream of xz: apt reads no other.
    let place = tempfile::tempdir().unwrap();
    let index = "/repo/apt2000/dists/stable/main/binary-amd64/Packages";
    let packed = place.path().join("Packages.xz");
    fs::write(&packed, fetch(&server, &format!("{index}.xz"))).unwrap();
    let listed = output(Command::new("xz").args(["--robot", "--list"]).arg(&packed));
    let file: Vec<&str> = listed.lines().find(|line| line.starts_with("file")).unwrap().split('\t').collect();
    assert_eq!(file[1], "1", "streams: {listed}");
    assert!(file[2].parse::<u32>().unwrap() > 2, "blocks: {listed}");
    let text = output(Command::new("xz").arg("-dc").arg(&packed));
    assert_eq!(text.matches("\nSHA256: ").count(), 2003);
    assert_eq!(text, gunzip(&fetch(&server, &format!("{index}.gz"))));
    assert_eq!(text, fetch_text(&server, index));
}
