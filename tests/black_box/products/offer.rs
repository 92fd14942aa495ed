//! Offering what is on the shelf already: a text part `sha256` in place of the file. A digest alone is no credential.

use crate::client::Answer;
use crate::files::{Form, noise, sha256};
use crate::server::{ADMIN, Packhouse};

#[track_caller]
fn offer(server: &Packhouse, token: &str, product: &str, version: &str, digest: &str) -> Answer {
    server.upload(token, Form::new().text("product", product).text("version", version).text("sha256", digest))
}

#[test]
fn a_digest_stands_for_the_file() {
    let server = Packhouse::start();
    let bytes = noise(1, 50_000);
    let digest = sha256(&bytes);
    server.create(ADMIN, "from");
    server.create(ADMIN, "to");
    server.upload(ADMIN, Form::upload("from", "1", "lib.so", &bytes)).is_empty(201);
    let both = server.register(false);
    server.let_in("from", &both, &["download"]);
    server.let_in("to", &both, &["upload"]);
    for (n, token) in [ADMIN, &both].into_iter().enumerate() {
        let version = format!("v{n}");
        let answer = offer(&server, token, "to", &version, &digest);
        answer.is_empty(201);
        assert_eq!(answer.header("X-Checksum-Sha256"), Some(digest.as_str()));
        assert_eq!(answer.header("Location"), Some(format!("/product/download/to/{version}").as_str()));
        server.has_version("to", &version, &bytes);
        assert_eq!(server.view(ADMIN, "to")["versions"][&version]["filename"], "lib.so");
        offer(&server, token, "to", &version, &digest).is_error(409, "this version is already uploaded");
    }
    server.is_tidy(1);
    // The offered version holds the bytes by itself.
    server.delete(ADMIN, "/product/delete/from").is_empty(204);
    server.delete(ADMIN, "/product/delete/to/v0").is_empty(204);
    server.has_version("to", "v1", &bytes);
    server.is_tidy(1);
}

#[test]
fn a_digest_alone_opens_nothing() {
    let server = Packhouse::start();
    let digest = sha256(b"secret bytes");
    server.create(ADMIN, "secret");
    server.add_version("secret", "1", b"secret bytes");
    let outsider = server.register(false);
    server.create(&outsider, "own");
    let blind = server.member("secret", &["maintainer", "upload", "delete"]);
    server.let_in("own", &blind, &["upload"]);
    let before = server.visible();
    for token in [&outsider, &blind] {
        let unknown = offer(&server, token, "own", "v", &sha256(b"never seen"));
        unknown.is_error_like(400, "");
        let foreign = offer(&server, token, "own", "v", &digest);
        assert_eq!(
            (foreign.status, &foreign.body),
            (unknown.status, &unknown.body),
            "the answer tells that the bytes exist"
        );
    }
    offer(&server, &outsider, "secret", "v", &digest).is_text(403, "permission denied");
    offer(&server, ADMIN, "none", "v", &digest).is_text(400, "Product not found");
    for wrong in ["", "abc", &digest[..63], &format!("{digest}0"), &"g".repeat(64), &format!("sha256:{digest}x")] {
        offer(&server, ADMIN, "own", "v", wrong).is_error_like(400, "");
    }
    server.is_as_before(&before, 1);
    // When nobody holds the bytes any more they are as if they had never been.
    server.delete(ADMIN, "/product/delete/secret").is_empty(204);
    server.is_tidy(0);
    offer(&server, ADMIN, "own", "v", &digest).is_error_like(400, "");
}

#[test]
fn a_file_beside_its_digest_is_compared() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let with =
        |digest: &str| Form::new().text("sha256", digest).text("product", "p").text("version", "v").file("f", b"bytes");
    server.upload(ADMIN, with(&sha256(b"others"))).is_error_like(400, "");
    server.is_as_before(&before, 0);
    server.upload(ADMIN, with(&sha256(b"bytes"))).is_empty(201);
    server.has_version("p", "v", b"bytes");
}
