//! Starting, stopping and starting again: what was answered stays (`reliability.md` §1, §19).

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use serde_json::json;

use crate::client::Request;
use crate::files::{Form, noise};
use crate::server::{ADMIN, Packhouse, wait_for};

use super::{PERMISSIONS, permissions};

/// A house with some of everything; a member's token.
fn furnished() -> (Packhouse, String) {
    let server = Packhouse::start();
    let (plain, gone) = (server.register(false), server.register(true));
    for name in ["a/b", "größe 🚀", "empty", "deleted"] {
        server.create(ADMIN, name);
    }
    for n in 0..5 {
        server.add_version("a/b", &format!("release/{n}"), &noise(n, 10_000));
        server.add_version("größe 🚀", &format!("v{n}"), &noise(n % 2, 10_000));
    }
    server.add_version("empty", "nothing in it", b"");
    server.add_version("deleted", "v", b"gone");
    server.let_in("a/b", &plain, &["download"]);
    server.let_in("empty", &gone, &PERMISSIONS);
    server.delete(ADMIN, "/product/delete/deleted").is_empty(204);
    server.delete(ADMIN, "/product/delete/a%2Fb/release%2F4").is_empty(204);
    server.delete(ADMIN, &format!("/prune/{gone}")).is_empty(204);
    (server, plain)
}

#[test]
fn a_restart_keeps_everything() {
    let (mut server, plain) = furnished();
    let before = server.visible();
    let shelf = 5;
    server.is_tidy(shelf);
    for round in 0..3 {
        if round == 1 {
            server.kill();
        }
        server.restart();
        server.is_as_before(&before, shelf);
        assert_eq!(server.get(&plain, "/product/access").is_json(200), json!(["a/b"]));
        assert_eq!(server.view(&plain, "a/b")["tokens"][&plain], permissions(&["download"]));
        server.delete(ADMIN, "/product/delete/deleted").is_text(404, "Product not found");
    }
    // It goes on as before.
    server.upload(ADMIN, Form::upload("a/b", "release/0", "f", b"x")).is_error(409, "this version is already uploaded");
    server.add_version("a/b", "release/4", b"again");
    server.has_version("a/b", "release/4", b"again");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let mut server = Packhouse::start();
    server.create(ADMIN, "p");
    for n in 0..8 {
        let bytes = noise(n, 30_000);
        server.add_version("p", &format!("v{n}"), &bytes);
        server.kill();
        server.restart();
        server.has_version("p", &format!("v{n}"), &bytes);
        server.delete(ADMIN, &format!("/product/delete/p/v{n}")).is_empty(204);
        server.kill();
        server.restart();
        server.download(ADMIN, "p", &format!("v{n}")).is_text(400, "Version not found");
        server.put_json(ADMIN, "/product/create", json!({ "name": format!("q{n}") })).is_empty(201);
        server.kill();
        server.restart();
        server
            .put_json(ADMIN, "/product/create", json!({ "name": format!("q{n}") }))
            .is_error(409, "product already exists");
    }
}

#[test]
fn an_upload_that_a_kill_cut_off_is_swept_away() {
    let mut server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let (kind, body) = Form::upload("p", "v", "f", &noise(1, 500_000)).finish();
    let mut connection = server.connect();
    let head = format!(
        "POST /product/upload HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write(head.as_bytes()).unwrap();
    connection.write(&body[..300_000]).unwrap();
    wait_for("the upload to have begun", || (!server.stage_files().is_empty()).then_some(()));
    server.kill();
    assert!(!server.stage_files().is_empty());
    server.restart();
    server.is_as_before(&before, 0);
}

#[test]
fn a_stop_lets_running_uploads_finish() {
    let mut server = Packhouse::start();
    server.create(ADMIN, "p");
    let bytes = noise(1, 500_000);
    let (kind, body) = Form::upload("p", "v", "f", &bytes).finish();
    let (go_on, wait) = mpsc::channel::<()>();
    let mut connection = server.connect();
    let upload = std::thread::spawn(move || {
        connection.send(Request::post("/product/upload").token(ADMIN).sized(&kind, body.len() as u64, move |out| {
            out.write_all(&body[..300_000])?;
            wait.recv().unwrap();
            out.write_all(&body[300_000..])
        }))
    });
    let mut quiet = server.connect();
    assert_eq!(quiet.send(Request::get("/health")).status, 200);
    wait_for("the upload to have begun", || (!server.stage_files().is_empty()).then_some(()));
    server.ask_to_stop();
    // A quiet connection is closed at once; then the running request may go on.
    assert!(quiet.rest().is_empty());
    go_on.send(()).unwrap();
    upload.join().unwrap().is_empty(201);
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    server.restart();
    server.has_version("p", "v", &bytes);
}

#[test]
fn a_first_start_makes_up_its_secrets() {
    let names = ["PACKHOUSE_ADMIN_TOKEN", "PACKHOUSE_ADMIN_USER", "PACKHOUSE_ADMIN_PASSWORD", "PACKHOUSE_SIGNUP_KEY"];
    let server = names.iter().fold(Packhouse::with(), |builder, name| builder.without(name)).start();
    let path = server.data().join("first-run.txt");
    let rights = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((rights(&path), rights(server.data())), (0o600, 0o700));
    let text = std::fs::read_to_string(path).unwrap();
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).filter(|word| word.len() >= 32);
    let admins: Vec<&str> = words
        .filter(|word| {
            server.secret(word);
            server.get(word, "/tokens").status == 200
        })
        .collect();
    assert_eq!(admins.len(), 1, "no admin token in first-run.txt");
    server.put_json(admins[0], "/product/create", json!({ "name": "p" })).is_empty(201);
}

#[test]
fn a_wrong_setting_is_a_refusal_that_names_it() {
    let cases: [(&[&str], &str, &str, &str); 5] = [
        (&["--listen", "nowhere"], "", "", "nowhere"),
        (&["--bogus"], "", "", "bogus"),
        (&["--max-upload-mb", "0"], "", "", "max-upload-mb"),
        (&[], "PACKHOUSE_MAX_UPLOAD_MB", "many", "PACKHOUSE_MAX_UPLOAD_MB"),
        (&[], "PACKHOUSE_ADMIN_TOKEN", "short", "PACKHOUSE_ADMIN_TOKEN"),
    ];
    for (arguments, name, value, named) in cases {
        let mut builder = Packhouse::with();
        for argument in arguments {
            builder = builder.arg(argument);
        }
        if !name.is_empty() {
            builder = builder.env(name, value);
        }
        let Err((status, log)) = builder.try_start() else { panic!("{named}: it started") };
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains(named) && !log.contains("panicked"), "{log}");
    }
}
