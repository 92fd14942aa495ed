//! `products.md` §5, upload, on the wire: chunked bodies, `Expect`, bodies cut off, refusals that come early.

use std::sync::mpsc;

use serde_json::Value;

use crate::client::Request;
use crate::files::{Form, large_upload, noise, sha256};
use crate::server::{ADMIN, Packhouse};

fn upload(kind: &str, body: Vec<u8>) -> Request {
    Request::post("/product/upload").token(ADMIN).body(kind, body)
}

#[test]
fn chunked_bodies() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let mut connection = server.connect();
    for (n, (size, chunk)) in
        [(0, 1), (1, 1), (2000, 1), (3000, 7), (70_000, 1000), (300_000, 65_536), (5 << 20, 1 << 20)].iter().enumerate()
    {
        let bytes = noise(n as u64, *size);
        let (kind, body) = Form::upload("p", &format!("v{n}"), "f", &bytes).finish();
        let chunk = *chunk;
        let request = Request::post("/product/upload")
            .token(ADMIN)
            .chunked(&kind, move |out| body.chunks(chunk).try_for_each(|piece| out.write_all(piece)));
        let answer = connection.send(request);
        answer.is_empty(201);
        assert_eq!(answer.header("X-Checksum-Sha256"), Some(sha256(&bytes).as_str()));
        server.has_version("p", &format!("v{n}"), &bytes);
    }
    server.is_tidy(7);
}

#[test]
fn the_body_is_sent_for_after_the_gate() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let bytes = noise(1, 100_000);
    for (n, chunked) in [false, true].into_iter().enumerate() {
        let version = format!("v{n}");
        let (kind, body) = Form::upload("p", &version, "f", &bytes).finish();
        let request = |token: &str| {
            let request = Request::post("/product/upload").token(token);
            let (kind, body, length) = (kind.clone(), body.clone(), body.len() as u64);
            match chunked {
                true => request.chunked(&kind, move |out| out.write_all(&body)),
                false => request.sized(&kind, length, move |out| out.write_all(&body)),
            }
            .expect_continue()
        };
        for token in ["", "unknown"] {
            let answer = server.send(request(token));
            assert_eq!((answer.status, answer.interim.as_slice()), (401, [].as_slice()));
        }
        let mut connection = server.connect();
        let answer = connection.send(request(ADMIN));
        answer.is_empty(201);
        assert_eq!(answer.interim, [100]);
        server.has_version("p", &version, &bytes);
        // The connection goes on.
        assert_eq!(connection.send(Request::get("/product/access").token(ADMIN)).status, 200);
        let answer = server.send(request(ADMIN));
        answer.is_error(409, "this version is already uploaded");
    }
    server.is_tidy(1);
}

#[test]
fn a_refusal_comes_before_the_body() {
    let server = Packhouse::start();
    // A declared terabyte of which not one byte is ever sent.
    for (method, path, status) in [
        ("POST", "/product/upload", 401),
        ("PUT", "/register", 401),
        ("PUT", "/product/create", 401),
        ("DELETE", "/product/modify/deleteToken", 401),
        ("POST", "/product/nope", 401),
    ] {
        let mut connection = server.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Api-Token: unknown\r\nContent-Length: 1000000000000\r\n\r\n"
        );
        connection.write(head.as_bytes()).unwrap();
        let answer = connection.answer(method);
        assert_eq!(answer.status, status, "{path}");
        answer.is_error(401, "Invalid api token");
        connection.end_sending();
        assert!(connection.rest().is_empty());
    }
}

#[test]
fn a_refused_upload_is_answered_although_the_client_goes_on_sending() {
    let server = Packhouse::start();
    let (kind, length, writer) = large_upload("p", "v", "f", 1, 64 << 20);
    let answer = server.send(Request::post("/product/upload").token("unknown").sized(&kind, length, writer));
    answer.is_error(401, "Invalid api token");
    let (kind, length, writer) = large_upload("none", "v", "f", 1, 64 << 20);
    let answer = server.send(Request::post("/product/upload").token(ADMIN).sized(&kind, length, writer));
    answer.is_text(400, "Product not found");
    server.is_tidy(0);
}

#[test]
fn a_body_cut_off_leaves_nothing() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let bytes = noise(1, 200_000);
    for file_first in [false, true] {
        let form = match file_first {
            true => Form::new().file("f", &bytes).text("product", "p").text("version", "v"),
            false => Form::upload("p", "v", "f", &bytes),
        };
        let (kind, body) = form.finish();
        for sent in
            [0, 1, 50, 150, 250, 400, 1000, 65_536, 100_000, 199_000, body.len() - 30, body.len() - 3, body.len() - 1]
        {
            println!("{sent} of {}", body.len());
            // A length that lies: the sender stops and ends its side.
            let part = body[..sent].to_vec();
            let request = Request::post("/product/upload")
                .token(ADMIN)
                .sized(&kind, body.len() as u64, move |out| out.write_all(&part))
                .cut_off();
            server.send(request).is_error_like(400, "");
            // Chunks without the last one.
            let part = body[..sent].to_vec();
            let request = Request::post("/product/upload")
                .token(ADMIN)
                .chunked(&kind, move |out| part.chunks(10_000).try_for_each(|piece| out.write_all(piece)))
                .cut_off();
            server.send(request).is_error_like(400, "");
            // The connection is simply gone.
            let mut connection = server.connect();
            let head = format!(
                "POST /product/upload HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            connection.write(head.as_bytes()).unwrap();
            connection.write(&body[..sent]).unwrap();
            drop(connection);
        }
        // Chunks that end in the middle of the form are a body that ends too early as well.
        for cut in [body.len() - 30, 100_000, 300] {
            let part = body[..cut].to_vec();
            let request = Request::post("/product/upload")
                .token(ADMIN)
                .chunked(&kind, move |out| part.chunks(10_000).try_for_each(|piece| out.write_all(piece)));
            server.send(request).is_error_like(400, "");
        }
    }
    server.is_as_before(&before, 0);
    let (kind, body) = Form::upload("p", "v", "f", &bytes).finish();
    server.send(upload(&kind, body)).is_empty(201);
    server.is_tidy(1);
}

#[test]
fn uploads_do_not_wait_for_each_other() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let bytes = noise(1, 200_000);
    let (kind, body) = Form::upload("p", "slow", "f", &bytes).finish();
    let (go_on, wait) = mpsc::channel::<()>();
    let mut slow = server.connect();
    std::thread::scope(|scope| {
        let (kind, body) = (kind.clone(), body.clone());
        let slow = scope.spawn(move || {
            slow.send(Request::post("/product/upload").token(ADMIN).sized(&kind, body.len() as u64, move |out| {
                out.write_all(&body[..100_000])?;
                wait.recv().unwrap();
                out.write_all(&body[100_000..])
            }))
        });
        crate::server::wait_for("the slow upload to have begun", || (!server.stage_files().is_empty()).then_some(()));
        // Nothing of it can be seen, and nothing waits for it: not even the same version.
        assert_eq!(server.view(ADMIN, "p")["versions"], Value::Object(Default::default()));
        server.add_version("p", "quick", b"quick bytes");
        server.add_version("p", "slow", b"faster than the slow one");
        go_on.send(()).unwrap();
        slow.join().unwrap().is_error(409, "this version is already uploaded");
    });
    server.has_version("p", "slow", b"faster than the slow one");
    server.has_version("p", "quick", b"quick bytes");
    server.is_tidy(2);
}

#[test]
fn one_connection_for_everything() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let mut connection = server.connect();
    for n in 0..50 {
        let bytes = noise(n, 10 << 10);
        let version = format!("v{n}");
        let (kind, body) = Form::upload("p", &version, "f", &bytes).finish();
        connection.send(upload(&kind, body.clone())).is_empty(201);
        connection.send(upload(&kind, body)).is_error(409, "this version is already uploaded");
        let answer = connection.send(Request::get(&super::download_path("p", &version)).token(ADMIN));
        assert!(answer.body == bytes);
        if n % 2 == 0 {
            connection.send(Request::delete(&super::delete_path("p", Some(&version))).token(ADMIN)).is_empty(204);
        }
    }
    server.is_tidy(25);
}
