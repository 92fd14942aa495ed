//! `products.md` §5: versions go, shared bytes stay, running downloads end whole.

use sha2::{Digest, Sha256};

use crate::client::{Connection, Request};
use crate::files::{Form, hex, large_upload, noise, sha256};
use crate::server::{ADMIN, Packhouse, wait_for};

use super::{delete_path, download_path, fetch_path};

#[test]
fn a_deleted_version_may_be_uploaded_again() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.add_version("p", "v", b"first");
    let first = server.download(ADMIN, "p", "v").header("ETag").unwrap().to_owned();
    server.delete(ADMIN, "/product/delete/p/v").is_empty(204);
    server.download(ADMIN, "p", "v").is_text(400, "Version not found");
    server.delete(ADMIN, "/product/delete/p/v").is_text(400, "Version not found");
    assert_eq!(server.view(ADMIN, "p")["versions"], serde_json::json!({}));
    server.upload(ADMIN, Form::upload("p", "v", "second.bin", b"second")).is_empty(201);
    let answer = server.download(ADMIN, "p", "v");
    assert_eq!(answer.body, b"second");
    assert_ne!(answer.header("ETag"), Some(first.as_str()));
    assert_eq!(server.view(ADMIN, "p")["versions"]["v"]["filename"], "second.bin");
    // What a client kept of the first is stale.
    let request = Request::get("/product/download/p/v").token(ADMIN).header("If-None-Match", &first);
    assert_eq!(server.send(request).status, 200);
    server.is_tidy(1);
}

#[test]
fn unknown_things() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let plain = server.register(false);
    for who in [ADMIN, &plain] {
        server.delete(who, "/product/delete/none/v").is_text(400, "Product not found");
        server.delete(who, "/product/delete/none").is_text(404, "Product not found");
    }
    server.delete(ADMIN, "/product/delete/p/none").is_text(400, "Version not found");
}

#[test]
fn equal_bytes_are_kept_once_and_as_long_as_somebody_holds_them() {
    let server = Packhouse::start();
    let bytes = noise(1, 100_000);
    let digest = sha256(&bytes);
    server.create(ADMIN, "p");
    server.create(ADMIN, "q");
    let versions = [("p", "v1", "a.bin"), ("p", "v2", "b.bin"), ("q", "v1", "a.bin"), ("q", "x", "c.bin")];
    for (product, version, file) in versions {
        server.upload(ADMIN, Form::upload(product, version, file, &bytes)).is_empty(201);
    }
    assert_eq!(server.shelf_files(), [server.blob_path(&digest)]);
    assert_eq!(std::fs::read(server.blob_path(&digest)).unwrap(), bytes);
    // One of two versions, by either route; a product with a version; the last by the route of `modify`.
    server.delete(ADMIN, "/product/delete/p/v1").is_empty(204);
    for (product, version, _) in &versions[1..] {
        server.has_version(product, version, &bytes);
    }
    let body = serde_json::json!({ "product": "q", "version": "x" });
    server.delete_json(ADMIN, "/product/modify/deleteVersion", body).is_empty(200);
    server.has_version("q", "v1", &bytes);
    server.delete(ADMIN, "/product/delete/p").is_empty(204);
    server.has_version("q", "v1", &bytes);
    assert_eq!(server.view(ADMIN, "q")["versions"]["v1"]["filename"], "a.bin");
    server.delete(ADMIN, "/product/delete/q/v1").is_empty(204);
    wait_for("the file to go", || (!server.blob_path(&digest).exists()).then_some(()));
    server.is_tidy(0);
    // And back again.
    server.add_version("q", "v1", &bytes);
    server.has_version("q", "v1", &bytes);
}

/// Begins a download of 64 MiB and takes only its first megabyte.
fn begun(server: &Packhouse, path: &str) -> (Connection, Sha256) {
    let mut connection = server.connect();
    let mut hash = Sha256::new();
    let answer = connection.begin(Request::get(path).token(ADMIN));
    assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("67108864")));
    let read = connection.body_into(1 << 20, &mut |block| hash.update(block));
    assert_eq!(read, 1 << 20);
    (connection, hash)
}

#[test]
fn a_download_that_has_begun_ends_whole() {
    let server = Packhouse::start();
    let size = 64 << 20;
    let digest = crate::files::sha256_of_noise(5, size);
    let version = || delete_path("p", Some("v"));
    let product = || delete_path("p", None);
    // The version goes, or the whole product; freshly stored bytes, or ones that were read before.
    for (path, read_before) in [(version(), false), (version(), true), (product(), false), (product(), true)] {
        println!("{path}");
        server.put_json(ADMIN, "/product/create", serde_json::json!({ "name": "p" }));
        let (kind, length, writer) = large_upload("p", "v", "f", 5, size);
        server.send(Request::post("/product/upload").token(ADMIN).sized(&kind, length, writer)).is_empty(201);
        if read_before {
            let mut hash = Sha256::new();
            server
                .connect()
                .send_into(Request::get(&download_path("p", "v")).token(ADMIN), &mut |block| hash.update(block));
            assert_eq!(hex(&hash.finalize()), digest);
        }
        let mut running: Vec<_> = (0..3).map(|_| begun(&server, &download_path("p", "v"))).collect();
        server.delete(ADMIN, &path).is_empty(204);
        // Whoever asks now comes too late.
        let told = if path == product() { "Product not found" } else { "Version not found" };
        server.download(ADMIN, "p", "v").is_text(400, told);
        wait_for("the file to go", || server.shelf_files().is_empty().then_some(()));
        for (connection, hash) in &mut running {
            let read = connection.body_into(u64::MAX, &mut |block| hash.update(block));
            assert_eq!(read, size - (1 << 20));
            assert_eq!(hex(&hash.finalize_reset()), digest);
            assert_eq!(connection.send(Request::get("/product/access").token(ADMIN)).status, 200);
        }
    }
}

#[test]
fn deleting_by_the_body_or_by_the_path_is_the_same() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    for round in 0..2 {
        server.add_version("p", "a/b", b"bytes");
        match round {
            0 => server.delete(ADMIN, "/product/delete/p/a%2Fb").is_empty(204),
            _ => server
                .delete_json(
                    ADMIN,
                    "/product/modify/deleteVersion",
                    serde_json::json!({ "product": "p", "version": "a/b" }),
                )
                .is_empty(200),
        };
        server.is_tidy(0);
        assert_eq!(server.get(ADMIN, &fetch_path("p")).is_json(200)["versions"], serde_json::json!({}));
    }
}
