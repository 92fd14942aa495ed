//! The two body forms, their limits and the racing of uploads (`refpack.md` §4).

use std::thread;

use serde_json::json;

use crate::client::Request;
use crate::files::{BOUNDARY, Form, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::pack::{Pack, stored, zip};
use super::{faults, nothing_is_there, push, refused, refused_like, upload};

fn post(kind: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post("/packages").header("X-API-Key", ADMIN).body(kind, body)
}

const MISSING: (&str, &str) = ("Missing file", "A RefPack .zip file is required");
const MISNAMED: (&str, &str) = ("Invalid file", "File must end with .zip or .refpack.zip");

#[test]
fn both_forms_publish() {
    let server = Packhouse::start();
    let pack = |version: &str| Pack::new("vendor/country-codes", version);
    let zip = pack("1.0.0").zip();
    let shown = server.send(upload(zip.clone())).is_json(200);
    let expected = json!({"success": true, "packageId": "vendor/country-codes", "version": "1.0.0",
        "message": "Package uploaded.", "checksum": format!("sha256:{}", sha256(&zip))});
    assert_eq!(shown, expected);
    for (n, kind) in
        ["application/octet-stream", "application/x-zip-compressed", "Application/ZIP; x=y"].iter().enumerate()
    {
        assert_eq!(server.send(post(kind, pack(&format!("1.1.{n}")).zip())).status, 200, "{kind}");
    }
    let part = |name: &str, file: &str| {
        format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: application/zip")
    };
    let bytes = |n: usize| pack(&format!("2.0.{n}")).zip();
    let forms = [
        Form::new().part(&part("file", "p.refpack.zip"), &bytes(0)),
        Form::new().part(&part("package", "p.ZIP"), &bytes(1)),
        Form::new().text("note", "x").part(&part("", "any.zip"), &bytes(2)).text("ownerId", "vendor"),
        // The part called `file` wins over an earlier one.
        Form::new().part(&part("other", "a.txt"), b"x").part(&part("file", "p.zip"), &bytes(3)),
        Form::new().part(&part("other", "a.zip"), b"no zip").part(&part("file", "C:\\dir\\p.zip"), &bytes(4)),
        Form::new().part(&part("file", "p.zip"), &bytes(5)).part(&part("file", "q.zip"), b"ignored"),
    ];
    for (n, form) in forms.into_iter().enumerate() {
        let (kind, body) = form.finish();
        let shown = server.send(post(&kind, body)).is_json(200);
        assert_eq!(shown["version"], format!("2.0.{n}"));
        assert_eq!(
            server.send(Request::get(&format!("/packages/vendor/country-codes?version=2.0.{n}"))).body,
            bytes(n)
        );
    }
    let chunked = Request::post("/packages").header("X-API-Key", ADMIN);
    let body = pack("3.0.0").zip();
    let pieces =
        chunked.chunked("application/zip", move |out| body.chunks(100).try_for_each(|piece| out.write_all(piece)));
    assert_eq!(server.send(pieces).status, 200);
    assert_eq!(server.send(upload(pack("4.0.0").zip()).expect_continue()).interim, [100]);
}

#[test]
fn bodies_that_are_no_upload() {
    let server = Packhouse::start();
    let zip = Pack::new("a", "1.0.0").zip();
    let file = |name: &str| Form::new().file(name, &zip).finish();
    refused(&server.send(Request::post("/packages").header("X-API-Key", ADMIN)), 400, MISSING.0, MISSING.1);
    for kind in ["application/json", "text/plain", "application/gzip", "multipart/mixed", ""] {
        refused(&server.send(post(kind, zip.clone())), 400, MISSING.0, MISSING.1);
    }
    for kind in ["application/zip", "application/octet-stream"] {
        refused(&server.send(post(kind, "")), 400, MISSING.0, MISSING.1);
    }
    let nothing = Request::post("/packages").header("X-API-Key", ADMIN).chunked("application/zip", |_| Ok(()));
    refused(&server.send(nothing), 400, MISSING.0, MISSING.1);
    let (kind, body) = Form::new().text("ownerId", "x").text("file", "not a file").finish();
    refused(&server.send(post(&kind, body)), 400, MISSING.0, MISSING.1);
    for name in ["p.tar", "zip", "p.zip.exe", "p", "p.zip "] {
        let (kind, body) = file(name);
        refused(&server.send(post(&kind, body)), 400, MISNAMED.0, MISNAMED.1);
    }
    // The part called `file` counts, even when another one has a better name.
    let good = "Content-Disposition: form-data; name=\"x\"; filename=\"p.zip\"";
    let (kind, body) = Form::new().part(good, &zip).file("p.txt", &zip).finish();
    refused(&server.send(post(&kind, body)), 400, MISNAMED.0, MISNAMED.1);
    let (kind, body) = Form::new().file("p.zip", &zip).unfinished();
    refused_like(&server.send(post(&kind, body)), 400, "Invalid upload");
    refused_like(&server.send(post("multipart/form-data", zip.clone())), 400, "Invalid upload");
    refused_like(
        &server.send(post(&format!("multipart/form-data; boundary={BOUNDARY}"), "junk")),
        400,
        "Invalid upload",
    );
    let (length, start) = (zip.len() as u64, zip[..zip.len() / 2].to_vec());
    let cut = Request::post("/packages").header("X-API-Key", ADMIN);
    let cut = cut.sized("application/zip", length, move |out| out.write_all(&start)).cut_off();
    refused_like(&server.send(cut), 400, "Invalid upload");
    // An empty file is a file, but no archive.
    let (kind, body) = Form::new().file("p.zip", b"").finish();
    assert_eq!(faults(&server.send(post(&kind, body)))[0].0, "zip_invalid");
    nothing_is_there(&server);
}

#[test]
fn the_limit_is_judged_early_and_late() {
    let server = Packhouse::with().env("PACKHOUSE_REFPACK_MAX_MB", "1").start();
    let large =
        |size: usize| zip(&[Pack::new("a", "1.0.0").entries(), vec![stored("assets/noise", &noise(1, size))]].concat());
    let over = large(1 << 20);
    let message = refused_like(&server.send(upload(over.clone())), 413, "Package too large");
    assert!(message.contains("1 MB"), "{message}");
    let (kind, body) = Form::new().file("p.zip", &over).finish();
    refused_like(&server.send(post(&kind, body)), 413, "Package too large");
    let chunks = over.clone();
    let chunked = Request::post("/packages").header("X-API-Key", ADMIN);
    let chunked =
        chunked.chunked("application/zip", move |out| chunks.chunks(10_000).try_for_each(|piece| out.write_all(piece)));
    refused_like(&server.send(chunked), 413, "Package too large");
    let claimed = Request::post("/packages").header("X-API-Key", ADMIN).expect_continue();
    let claimed = claimed.sized("application/zip", 1 << 50, |_| Ok(()));
    let answer = server.send(claimed);
    refused_like(&answer, 413, "Package too large");
    assert_eq!(answer.interim.len(), 0);
    nothing_is_there(&server);
    let fits = large((1 << 20) - 2000);
    assert!(fits.len() <= 1 << 20);
    let (kind, body) = Form::new().file("p.zip", &fits).finish();
    assert_eq!(server.send(post(&kind, body)).status, 200);
}

#[test]
fn of_racing_pushes_exactly_one_wins() {
    let server = Packhouse::start();
    for round in 0..8 {
        let version = format!("1.0.{round}");
        let zips: Vec<Vec<u8>> =
            (0..16).map(|n| Pack::new("race", &version).file("data.readme.md", format!("push {n}")).zip()).collect();
        let statuses: Vec<u16> = thread::scope(|scope| {
            let pushes: Vec<_> =
                zips.iter().map(|zip| scope.spawn(|| server.send(upload(zip.clone())).status)).collect();
            pushes.into_iter().map(|push| push.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 15, "{statuses:?}");
        let winner = statuses.iter().position(|status| *status == 200).unwrap();
        assert_eq!(server.send(Request::get(&format!("/packages/race?version={version}"))).body, zips[winner]);
    }
    // The losers' bytes go.
    crate::server::wait_for("eight blobs", || (server.shelf_files().len() == 8).then_some(()));
    assert_eq!(server.stage_files().len(), 0);
}

#[test]
fn equal_archives_share_their_bytes_with_other_doors() {
    let server = Packhouse::start();
    let zip = push(&server, &Pack::new("a", "1.0.0"));
    assert_eq!(server.send(Request::put("/product/create").token(ADMIN).json(&json!({"name": "p"}))).status, 201);
    let (kind, body) = Form::new().text("product", "p").text("version", "1").text("sha256", &sha256(&zip)).finish();
    assert_eq!(server.send(Request::post("/product/upload").token(ADMIN).body(&kind, body)).status, 201);
    assert_eq!(server.shelf_files().len(), 1);
    assert_eq!(server.send(Request::delete("/product/delete/p/1").token(ADMIN)).status, 204);
    assert_eq!(server.send(Request::get("/packages/a")).body, zip);
}
