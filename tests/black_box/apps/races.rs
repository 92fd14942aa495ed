//! `faynosync.md` §6 points 7 to 9: racing uploads, and what readers see meanwhile.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::client::Answer;
use crate::files::noise;
use crate::server::Packhouse;

use super::forms::is_tidy;
use super::{KINDS, Person, asks, check, fetch, first, form, is_error_of, plus, release};

/// Sixteen at once; answers in the order of their numbers.
fn at_once(admin: &Person<'_>, act: impl Fn(&Person<'_>, usize) -> Answer + Sync) -> Vec<Answer> {
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let (barrier, act) = (&barrier, &act);
                scope.spawn(move || {
                    barrier.wait();
                    act(admin, n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[test]
fn one_artifact() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    for round in 0..8 {
        let data = release(&format!("1.{round}"));
        let bytes: Vec<Vec<u8>> = (0..16).map(|n| noise(round * 100 + n, 20_000 + n as usize)).collect();
        let answers = at_once(&admin, |admin, n| admin.upload(&data, &[("a.deb", &bytes[n])]));
        assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 15));
        let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
        let version = admin.versions("secondapp").remove(0);
        assert_eq!(version["ID"], answers[winner].is_json(200)["uploadResult.Uploaded"]);
        assert_eq!(version["Artifacts"].as_array().unwrap().len(), 1);
        let link = version["Artifacts"][0]["Link"].as_str().unwrap();
        assert!(fetch(&server, link) == bytes[winner], "other bytes than the winner's");
    }
    is_tidy(&server, 8);
}

#[test]
fn different_artifacts_of_one_record() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    for round in 0..8 {
        let version = format!("1.{round}");
        let answers = at_once(&admin, |admin, n| {
            let (name, bytes) = (format!("a.x{n}"), format!("{round} {n}").into_bytes());
            admin.upload(&release(&version), &[(&name, &bytes)])
        });
        let ids: Vec<_> = answers.iter().map(|answer| answer.is_json(200)["uploadResult.Uploaded"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let versions = admin.versions("secondapp");
        assert_eq!(versions.len(), round + 1);
        let artifacts = versions[0]["Artifacts"].as_array().unwrap();
        assert_eq!(artifacts.len(), 16);
        for artifact in artifacts {
            let n = &artifact["Package"].as_str().unwrap()[2..];
            assert_eq!(fetch(&server, artifact["Link"].as_str().unwrap()), format!("{round} {n}").as_bytes());
        }
    }
}

#[test]
fn names() {
    let server = Packhouse::start();
    let admin = first(&server);
    for kind in &KINDS {
        let path = format!("/{}/create", kind.word);
        let answers = at_once(&admin, |admin, _| admin.post(&path, &json!({ kind.word: "raced" })));
        assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 15));
        assert_eq!(admin.names(kind.word), ["raced"]);
    }
    let answers = at_once(&admin, |admin, _| admin.send_form("/app/create", form(&json!({ "app": "raced" }), &[])));
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 15));
    let answers = at_once(&admin, |admin, n| {
        let body = json!({ "username": "raced", "password": format!("password {n}"), "permissions": {} });
        admin.post("/user/create", &body)
    });
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 15));
    // Sixteen deletions of one thing: one does it.
    let id = admin.list("channel")[0]["ID"].as_str().unwrap().to_owned();
    let answers = at_once(&admin, |admin, _| admin.delete(&format!("/channel/delete?id={id}")));
    assert_eq!((count(&answers, 200), count(&answers, 404)), (1, 15));
}

#[test]
fn uploads_against_deletions() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    // The same bytes come and go under many names: whoever gets a 200 has bytes.
    let bytes = noise(4, 30_000);
    for _ in 0..6 {
        let answers = at_once(&admin, |admin, n| {
            let answer = admin.upload(&release(&format!("1.{n}")), &[("a.deb", &bytes)]);
            if n % 2 == 0 {
                let id = answer.is_json(200)["uploadResult.Uploaded"].as_str().unwrap().to_owned();
                return admin.delete(&format!("/apps/delete?id={id}"));
            }
            answer
        });
        assert_eq!(count(&answers, 200), 16);
        let versions = admin.versions("secondapp");
        assert_eq!(versions.len(), 8);
        for version in versions {
            assert!(fetch(&server, version["Artifacts"][0]["Link"].as_str().unwrap()) == bytes);
            admin.delete_version(version["ID"].as_str().unwrap());
        }
    }
    is_tidy(&server, 0);
    // A channel is deleted while versions for it arrive: never a version of a channel that is gone.
    for round in 0..6 {
        let name = format!("c{round}");
        let id = admin.create("channel", &name);
        let answers = at_once(&admin, |admin, n| match n {
            0..8 => admin.upload(&plus(&release(&format!("2.{n}")), json!({ "channel": name })), &[("a.deb", b"x")]),
            _ => admin.delete(&format!("/channel/delete?id={id}")),
        });
        for (n, answer) in answers.iter().enumerate() {
            assert!(matches!(answer.status, 200 | 400 | 404 | 409), "{n}: {}", answer.status);
        }
        let deleted = answers[8..].iter().any(|answer| answer.status == 200);
        let uploaded = answers[..8].iter().any(|answer| answer.status == 200);
        assert!(deleted != uploaded, "deleted: {deleted}, uploaded: {uploaded}");
        assert_eq!(admin.names("channel").contains(&name), uploaded);
    }
}

#[test]
fn readers_see_all_or_nothing() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let files: Vec<(String, Vec<u8>)> = (0..6).map(|n| (format!("a.x{n}"), noise(n, 5_000))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                for version in admin.versions("secondapp") {
                    assert_eq!(version["Artifacts"].as_array().unwrap().len(), 6, "{version}");
                    seen += 1;
                }
                let told = check(&server, &asks("0")).is_json(200);
                if told["update_available"] == true {
                    assert_eq!(
                        told.as_object().unwrap().keys().filter(|key| key.starts_with("update_url_")).count(),
                        6,
                        "{told}"
                    );
                }
            }
            seen
        });
        for round in 0..40 {
            let id = admin.release(&release(&format!("1.{round}")), &files);
            if round % 3 == 0 {
                admin.delete_version(&id);
            }
        }
        done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn a_user_deleted_during_an_upload() {
    // A user deleted meanwhile: the upload is done as begun or refused as a whole, never half there.
    use std::sync::mpsc;

    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    let permissions = json!({
        "apps": { "upload": true, "allowed": [world.app] }, "channels": { "allowed": [world.stable] },
        "platforms": { "allowed": [world.linux] }, "archs": { "allowed": [world.amd64] },
    });
    let helper = admin.hire("helper", &permissions);
    let id = admin.user_id("helper");
    let bytes = noise(2, 3 << 20);
    let (kind, body) = form(&release("1.0"), &[("a.deb", &bytes)]).finish();
    let (started, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let length = body.len() as u64;
    let request = crate::client::Request::post("/upload").sized(&kind, length, move |out| {
        out.write_all(&body[..2 << 20])?;
        started.send(()).unwrap();
        wait.recv().unwrap();
        out.write_all(&body[2 << 20..])
    });
    let answer = thread::scope(|scope| {
        let upload = scope.spawn(|| helper.send(request));
        begun.recv().unwrap();
        let gone = admin.send(crate::client::Request::delete("/user/delete").json(&json!({ "id": id })));
        assert_eq!(gone.status, 200);
        go.send(()).unwrap();
        upload.join().unwrap()
    });
    let kept = usize::from(answer.status == 200);
    if kept == 0 {
        is_error_of(&answer, 401);
    }
    assert_eq!(admin.search("secondapp", &[])["total"], kept);
    is_tidy(&server, kept);
}
