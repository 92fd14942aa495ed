//! Uploads by chunks (`winget.md` A7).

use std::thread;

use serde_json::json;

use super::{first, form, part, refused, says, sign_up};
use crate::client::Request;
use crate::files::{Form, noise, sha256};
use crate::server::{Packhouse, wait_for};

const SIZE: usize = 1_000_000;

/// `bytes first-last/total` and the bytes, of a whole.
fn piece(whole: &[u8], first: usize, last: usize) -> (String, &[u8]) {
    (format!("bytes {first}-{last}/{}", whole.len()), &whole[first..=last])
}

#[test]
fn any_order_and_any_overlap() {
    let server = Packhouse::start();
    let admin = first(&server);
    let whole = noise(1, SIZE);
    let id = "My Setup (1).MSI_1700000000";
    let send = |first: usize, last: usize| {
        let (range, bytes) = piece(&whole, first, last);
        admin.chunk(id, &range, bytes)
    };
    let unfinished = |received: usize, missing: serde_json::Value| json!({ "status": "incomplete", "complete": false, "received": received, "total": SIZE, "missing": missing });
    // The last byte first: that alone ends nothing.
    let last = send(SIZE - 1, SIZE - 1).is_json(200);
    assert_eq!(last, unfinished(1, json!([[0, SIZE - 2]])));
    assert_eq!(send(500_000, 599_999).status, 200);
    let now = unfinished(100_001, json!([[0, 499_999], [600_000, SIZE - 2]]));
    assert_eq!(send(550_000, 599_999).is_json(200), now, "again");
    let status = admin.request("GET", "upload_package_version").header("X-File-ID", id);
    assert_eq!(server.send(status).is_json(200), now);
    assert_eq!(admin.setting("STORAGE_RESERVED"), SIZE.to_string());

    // Other bytes where some are already: refused, and nothing has changed.
    let mut wrong = whole.clone();
    wrong[599_999] ^= 1;
    let (range, bytes) = piece(&wrong, 599_000, 700_000);
    refused(&admin.chunk(id, &range, bytes), 409);
    refused(&admin.chunk(id, &format!("bytes 0-9/{}", SIZE + 1), &whole[..10]), 400);
    let status = || admin.request("GET", "upload_package_version").header("X-File-ID", id);
    assert_eq!(server.send(status()).is_json(200), now);

    assert_eq!(send(0, 550_000).status, 200);
    let done = send(590_000, SIZE - 1).is_json(200);
    let name = done["server_filename"].as_str().unwrap();
    assert!(name.ends_with(".msi") && name.len() == 40, "{name}");
    let finished = json!({
        "status": "complete", "complete": true, "received": SIZE, "total": SIZE, "missing": [],
        "server_filename": name, "sha256": sha256(&whole), "size": SIZE,
    });
    assert_eq!(done, finished);
    assert_eq!(send(0, 99).is_json(200), finished, "the first answer may have been lost");
    assert_eq!(server.send(status()).is_json(200), finished);

    // Other bytes under the id of a finished upload begin another; the first stays claimable.
    let (range, bytes) = piece(&wrong, 0, SIZE - 1);
    let second = admin.chunk(id, &range, bytes).is_json(200);
    assert_ne!(second["server_filename"], finished["server_filename"]);
    assert_eq!(second["sha256"], sha256(&wrong));
    admin.package("A");
    admin.try_version("A", name, &[]).is_json(201);
    assert_eq!(admin.setting("STORAGE_RESERVED"), SIZE.to_string());
    let name = second["server_filename"].as_str().unwrap();
    admin.try_version("A", name, &[("package_version", "2")]).is_json(201);
    refused(&admin.try_version("A", name, &[("package_version", "3")]), 400);
    refused(&server.send(status()), 404);
    assert!(server.stage_files().is_empty());
}

#[test]
fn what_is_no_chunk() {
    let server = Packhouse::start();
    let admin = first(&server);
    let send = |id: Option<&str>, range: Option<&str>, bytes: &[u8]| {
        let mut request = admin.request("POST", "upload_package_version");
        request = id.into_iter().fold(request, |request, id| request.header("X-File-ID", id));
        request = range.into_iter().fold(request, |request, range| request.header("Content-Range", range));
        server.send(request.body("application/octet-stream", bytes))
    };
    refused(&send(None, Some("bytes 0-0/1"), b"x"), 400);
    refused(&send(Some("a"), None, b"x"), 400);
    let long = "x".repeat(256);
    for id in ["", ".", "..", "a/b", "a\\b", "a\tb", &long] {
        refused(&send(Some(id), Some("bytes 0-0/1"), b"x"), 400);
    }
    for range in [
        "bytes 0-0/*",
        "bytes */1",
        "bytes 1-0/2",
        "bytes 0-1/1",
        "bytes 0-0/0",
        "octets 0-0/1",
        "0-0/1",
        "bytes -0/1",
        "bytes 0-0/9223372036854775808",
        "bytes a-b/c",
    ] {
        refused(&send(Some("a"), Some(range), b"x"), 400);
    }
    for bytes in [&b""[..], b"x", b"xxx"] {
        refused(&send(Some("a"), Some("bytes 0-1/2"), bytes), 400);
    }
    for (sent, status) in [(1, 400), (3, 400)] {
        let request = admin.request("POST", "upload_package_version").header("X-File-ID", "a");
        let request = request.header("Content-Range", "bytes 0-1/2");
        let body = request.chunked("application/octet-stream", move |out| out.write_all(&b"xxx"[..sent]));
        refused(&server.send(body), status);
    }
    // Forms: one part named chunk.
    let with = |name: &str| {
        let request = admin.request("POST", "upload_package_version").header("X-File-ID", "a");
        let request = request.header("Content-Range", "bytes 0-1/2");
        server.send(form(request, Form::new().text("else", "x").part(&part(name, "blob"), b"ab")))
    };
    refused(&with("other"), 400);
    assert!(server.stage_files().is_empty());
    assert_eq!(admin.setting("STORAGE_RESERVED"), "0");
    assert_eq!(with("chunk").is_json(200)["sha256"], sha256(b"ab"));
    for (method, id) in [("GET", "unknown"), ("DELETE", "unknown")] {
        refused(&server.send(admin.request(method, "upload_package_version").header("X-File-ID", id)), 404);
    }
}

#[test]
fn room_is_promised_and_given_back() {
    let server = Packhouse::start();
    let admin = first(&server);
    refused(&admin.chunk("huge", &format!("bytes 0-0/{}", 1_u64 << 50), b"x"), 407);
    let far = format!("bytes {}-{}/{}", (1_u64 << 50) - 1, (1_u64 << 50) - 1, 1_u64 << 50);
    let answer = admin.chunk("huge", &far, b"x");
    refused(&answer, 407);
    assert_eq!(answer.header("Proxy-Authenticate"), None);
    assert!(server.stage_files().is_empty());

    admin.set("STORAGE_QUOTA", "100");
    assert_eq!(admin.chunk("a.exe_1", "bytes 0-9/60", &[1; 10]).status, 200);
    refused(&admin.chunk("b", "bytes 0-9/41", &[2; 10]), 407);
    let file = admin.upload("c.exe", &[3; 40]);
    assert_eq!(admin.setting("STORAGE_RESERVED"), "100");
    admin.package("A");
    admin.set("STORAGE_QUOTA", "99");
    refused(&admin.try_version("A", &file, &[]), 407);
    admin.set("STORAGE_QUOTA", "100");
    admin.try_version("A", &file, &[]).is_json(201);
    assert_eq!((admin.setting("STORAGE_RESERVED"), admin.setting("STORAGE_USED")), ("60".into(), "40".into()));
    let drop = || admin.request("DELETE", "upload_package_version").header("X-File-ID", "a.exe_1");
    says(&server.send(drop()), 200, "Upload was removed successfully!");
    refused(&server.send(drop()), 404);
    assert_eq!(admin.setting("STORAGE_RESERVED"), "0");
    assert!(server.stage_files().is_empty());
    let whole = Form::new().text("package_version", "2").text("file_architect", "x64").text("file_type", "EXE");
    let whole = whole.text("file_scope", "user").part(&part("file", "x.exe"), &[5; 61]);
    refused(&server.send(form(admin.request("POST", "add_package_version/A"), whole)), 407);
    says(&admin.send("DELETE", "delete_package/A", &[]), 200, "Package was deleted successfully!");
    wait_for("the bytes to go", || server.shelf_files().is_empty().then_some(()));
}

#[test]
fn a_finished_upload_can_be_dropped() {
    let server = Packhouse::start();
    let admin = first(&server);
    let name = admin.upload("a.exe", b"bytes");
    let drop = admin.request("DELETE", "upload_package_version").header("X-File-ID", "a.exe");
    says(&server.send(drop), 200, "Upload was removed successfully!");
    admin.package("A");
    refused(&admin.try_version("A", &name, &[]), 400);
    assert_eq!(admin.setting("STORAGE_RESERVED"), "0");
    wait_for("the bytes to go", || server.shelf_files().is_empty().then_some(()));
}

#[test]
fn equal_ids_of_two_tenants_never_meet() {
    let server = Packhouse::start();
    let (one, two) = (first(&server), sign_up(&server, "other"));
    assert_eq!(one.chunk("x.exe", "bytes 0-0/2", b"a").status, 200);
    assert_eq!(two.chunk("x.exe", "bytes 1-1/2", b"z").status, 200);
    let done = one.chunk("x.exe", "bytes 1-1/2", b"b").is_json(200);
    assert_eq!(done["sha256"], sha256(b"ab"));
    two.package("A");
    refused(&two.try_version("A", done["server_filename"].as_str().unwrap(), &[]), 400);
    assert_eq!(two.chunk("x.exe", "bytes 0-0/2", b"y").is_json(200)["sha256"], sha256(b"yz"));
}

#[test]
fn ranges_and_bytes_outlive_the_server() {
    let mut server = Packhouse::start();
    let whole = noise(7, SIZE);
    let token = first(&server).token;
    let ask = |server: &Packhouse, first: usize, last: usize| {
        let (range, bytes) = piece(&whole, first, last);
        let request = Request::post(&super::path(crate::server::ADMIN_USER, "upload_package_version"));
        let request = request.header("Authorization", &format!("Bearer {token}")).header("X-File-ID", "x.exe");
        server.send(request.header("Content-Range", &range).body("application/octet-stream", bytes)).is_json(200)
    };
    ask(&server, 400_000, 499_999);
    ask(&server, 0, 99_999);
    server.kill();
    server.restart();
    let told = ask(&server, 100_000, 199_999);
    assert_eq!(told["missing"], json!([[200_000, 399_999], [500_000, SIZE - 1]]));
    // A chunk that breaks off counts for nothing.
    let request = Request::post(&super::path(crate::server::ADMIN_USER, "upload_package_version"));
    let request = request.header("Authorization", &format!("Bearer {token}")).header("X-File-ID", "x.exe");
    let request = request.header("Content-Range", &format!("bytes 500000-{}/{SIZE}", SIZE - 1));
    let half = whole[500_000..700_000].to_vec();
    let cut = request.sized("application/octet-stream", 500_000, move |out| out.write_all(&half)).cut_off();
    assert_eq!(server.send(cut).status, 400);
    server.restart();
    let told = ask(&server, 200_000, 399_999);
    assert_eq!(told["missing"], json!([[500_000, SIZE - 1]]));
    server.kill();
    server.restart();
    let done = ask(&server, 450_000, SIZE - 1);
    assert_eq!((&done["sha256"], &done["complete"]), (&json!(sha256(&whole)), &json!(true)));
    server.kill();
    server.restart();
    assert_eq!(ask(&server, 0, 99), done);
    wait_for("the stage to be swept", || server.stage_files().is_empty().then_some(()));
}

#[test]
fn chunks_of_one_file_at_the_same_time() {
    let server = Packhouse::start();
    let admin = first(&server);
    let whole = noise(9, 4_000_000);
    let finished = thread::scope(|scope| {
        let (admin, whole) = (&admin, &whole);
        // Sixteen pieces, each sent twice, overlapping their neighbours.
        let threads: Vec<_> = (0..32)
            .map(|number| {
                scope.spawn(move || {
                    let first = (number % 16) * 250_000;
                    let last = (first + 300_000).min(whole.len()) - 1;
                    let (range, bytes) = piece(whole, first, last);
                    admin.chunk("x.exe", &range, bytes).is_json(200)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|told| told["complete"] == true).last()
    });
    let finished = finished.expect("somebody was told that it is whole");
    assert_eq!(finished["sha256"], sha256(&whole));
    assert_eq!(admin.setting("STORAGE_RESERVED"), whole.len().to_string());
}

#[test]
fn a_chunk_of_64_mib_is_streamed() {
    let server = Packhouse::start();
    let admin = first(&server);
    let size = 64_u64 << 20;
    let request = admin.request("POST", "upload_package_version").header("X-File-ID", "big.exe");
    let request = request.header("Content-Range", &format!("bytes 0-{}/{size}", size - 1));
    let answer = server.send(request.sized("application/octet-stream", size, move |out| {
        let block = vec![7; 1 << 20];
        (0..64).try_for_each(|_| out.write_all(&block))
    }));
    assert_eq!(answer.is_json(200)["complete"], true);
}
