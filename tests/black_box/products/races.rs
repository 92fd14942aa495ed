//! Many at once (`products.md` §4, §5): one winner, no mixture, no missing byte.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::client::Request;
use crate::files::{Form, fingerprint, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::{PERMISSIONS, delete_path, download_path, fetch_path, permissions};

const CLIENTS: usize = 32;

/// Runs `act` in many threads that all start at the same moment.
fn at_once<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (barrier, act) = (&barrier, &act);
                scope.spawn(move || {
                    barrier.wait();
                    act(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn one_version_is_uploaded_once() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    for round in 0..10 {
        let version = format!("v{round}");
        // Different lengths as well: a mixture would show.
        let bytes = |n: usize| noise((round * CLIENTS + n) as u64, 20_000 + 777 * n);
        let answers = at_once(|n| {
            let mut connection = server.connect();
            let form = match n % 2 {
                0 => Form::upload("p", &version, &format!("{n}.bin"), &bytes(n)),
                _ => Form::new().file(&format!("{n}.bin"), &bytes(n)).text("version", &version).text("product", "p"),
            };
            let (kind, body) = form.finish();
            connection.send(Request::post("/product/upload").token(ADMIN).body(&kind, body))
        });
        let winners: Vec<usize> = (0..CLIENTS).filter(|n| answers[*n].status == 201).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for (n, answer) in answers.iter().enumerate() {
            match n == winners[0] {
                true => drop(answer.is_empty(201)),
                false => drop(answer.is_error(409, "this version is already uploaded")),
            }
        }
        let bytes = bytes(winners[0]);
        assert_eq!(answers[winners[0]].header("X-Checksum-Sha256"), Some(sha256(&bytes).as_str()));
        server.has_version("p", &version, &bytes);
        let shown = server.view(ADMIN, "p")["versions"][&version].clone();
        assert_eq!(shown["filename"], format!("{}.bin", winners[0]));
        assert_eq!(
            (&shown["size"], &shown["checksum"]),
            (&json!(bytes.len()), &json!(format!("sha256:{}", sha256(&bytes))))
        );
        // What the losers sent is nowhere.
        server.is_tidy(round + 1);
    }
}

#[test]
fn one_product_is_created_once() {
    let server = Packhouse::start();
    let tokens: Vec<String> = (0..CLIENTS).map(|_| server.register(false)).collect();
    for round in 0..5 {
        let name = format!("p{round}");
        let answers = at_once(|n| server.put_json(&tokens[n], "/product/create", json!({ "name": name })));
        let winners: Vec<usize> = (0..CLIENTS).filter(|n| answers[*n].status == 201).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != winners[0]) {
            println!("{n}");
            answer.is_error(409, "product already exists");
        }
        let owner = fingerprint(&tokens[winners[0]]);
        assert_eq!(server.view(ADMIN, &name)["tokens"], json!({ owner: permissions(&PERMISSIONS) }));
    }
}

#[test]
fn different_versions_all_arrive() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let shared = noise(1, 50_000);
    at_once(|n| {
        let mut connection = server.connect();
        for round in 0..5 {
            // Half of them carry the same bytes.
            let own = noise((n * 100 + round) as u64, 10_000 + n);
            let bytes = if round % 2 == 0 { &shared } else { &own };
            let version = format!("{n}-{round}");
            let (kind, body) = Form::upload("p", &version, "f", bytes).finish();
            connection.send(Request::post("/product/upload").token(ADMIN).body(&kind, body)).is_empty(201);
            let answer = connection.send(Request::get(&download_path("p", &version)).token(ADMIN));
            assert!(answer.status == 200 && &answer.body == bytes, "{version}");
        }
    });
    assert_eq!(server.view(ADMIN, "p")["versions"].as_object().unwrap().len(), CLIENTS * 5);
    server.is_tidy(1 + CLIENTS * 2);
}

#[test]
fn an_upload_racing_with_the_last_deletion_has_its_bytes() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let bytes = noise(1, 30_000);
    let digest = sha256(&bytes);
    server.add_version("p", "0", &bytes);
    for round in 0..100 {
        let (old, new) = (round.to_string(), (round + 1).to_string());
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                server.delete(ADMIN, &delete_path("p", Some(&old))).is_empty(204);
            });
            barrier.wait();
            server.add_version("p", &new, &bytes);
        });
        server.has_version("p", &new, &bytes);
        assert!(server.blob_path(&digest).exists());
    }
    assert_eq!(server.view(ADMIN, "p")["versions"].as_object().unwrap().len(), 1);
    server.is_tidy(1);
}

#[test]
fn a_storm_on_the_same_bytes() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let bytes = noise(1, 40_000);
    at_once(|n| {
        let mut connection = server.connect();
        let version = format!("v{}", n / 2);
        for _ in 0..10 {
            let (kind, body) = Form::upload("p", &version, "f", &bytes).finish();
            let uploaded = connection.send(Request::post("/product/upload").token(ADMIN).body(&kind, body)).status;
            assert!(matches!(uploaded, 201 | 409), "{uploaded}");
            let answer = connection.send(Request::get(&download_path("p", &version)).token(ADMIN));
            match answer.status {
                200 => assert!(answer.body == bytes),
                _ => drop(answer.is_text(400, "Version not found")),
            }
            let deleted = connection.send(Request::delete(&delete_path("p", Some(&version))).token(ADMIN));
            match deleted.status {
                204 => {}
                _ => drop(deleted.is_text(400, "Version not found")),
            }
        }
    });
    assert_eq!(server.view(ADMIN, "p")["versions"], json!({}));
    server.is_tidy(0);
    server.add_version("p", "v", &bytes);
    server.has_version("p", "v", &bytes);
}

#[test]
fn a_listing_never_names_what_is_not_there() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..60 {
                // Kept: once listed it can be read. Versions are only added here.
                server.add_version("p", &format!("v{n}"), &noise(n, 5000));
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut seen = 0;
        let mut connection = server.connect();
        while !writer.is_finished() {
            let view = connection.send(Request::get(&fetch_path("p")).token(ADMIN)).is_json(200);
            let versions = view["versions"].as_object().unwrap();
            assert!(versions.len() >= seen, "a version went missing");
            seen = versions.len();
            for (version, record) in versions {
                let head = connection.send(Request::head(&download_path("p", version)).token(ADMIN));
                assert_eq!(head.status, 200, "{version}");
                let digest = format!("sha256:{}", head.header("X-Checksum-Sha256").unwrap());
                assert_eq!(record["checksum"], digest);
                assert_eq!(record["size"].to_string(), head.header("Content-Length").unwrap());
            }
        }
    });
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(server.view(ADMIN, "p")["versions"].as_object().unwrap().len(), 60);
}

#[test]
fn two_admins_cannot_prune_each_other_at_once() {
    let server = Packhouse::start();
    let mut chief = ADMIN.to_owned();
    for _ in 0..20 {
        let second = server.put_json(&chief, "/register", json!({ "admin": true })).text().to_owned();
        server.secret(&second);
        let barrier = Barrier::new(2);
        let prune = |who: &str, whom: &str| {
            barrier.wait();
            server.delete(who, &format!("/prune/{whom}")).status
        };
        let (first, other) = thread::scope(|scope| {
            let first = scope.spawn(|| prune(&chief, &second));
            let other = prune(&second, &chief);
            (first.join().unwrap(), other)
        });
        // One goes. The other attempt meets a token that is no more, or the last admin.
        let left = match (first, other) {
            (204, 401 | 409) => chief.clone(),
            (401 | 409, 204) => second,
            outcome => panic!("{outcome:?}"),
        };
        let tokens = server.get(&left, "/tokens").is_json(200);
        assert_eq!(tokens.as_array().unwrap().len(), 1);
        chief = left;
    }
}
