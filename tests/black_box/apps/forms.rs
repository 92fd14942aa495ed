//! `faynosync.md` §5: the rules of every multipart route.

use std::io::{Read, Write};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::client::Request;
use crate::files::{BOUNDARY, Form, Noise, file_head, hex, noise, sha256_of_noise};
use crate::server::{Packhouse, wait_for};

use super::{Person, fetch, first, is_error_of, is_exactly, plus, release};

const ROUTES: [&str; 5] = ["/app/create", "/app/update", "/upload", "/apps/update", "/artifact/delete"];

/// Waits until nothing is staged and `shelf` files lie on the shelf.
#[track_caller]
pub(super) fn is_tidy(server: &Packhouse, shelf: usize) {
    wait_for(&format!("an empty stage and {shelf} files on the shelf"), || {
        (server.stage_files().is_empty() && server.shelf_files().len() == shelf).then_some(())
    });
}

#[track_caller]
fn uploads(admin: &Person<'_>, version: &str, form: Form, bytes: &[u8]) {
    let answer = admin.send_form("/upload", form);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let versions = admin.versions("secondapp");
    let found = versions.iter().find(|found| found["Version"] == version).unwrap_or_else(|| panic!("no {version}"));
    assert!(fetch(admin.server, found["Artifacts"][0]["Link"].as_str().unwrap()) == bytes, "{version}: other bytes");
}

#[test]
fn order_and_heads_of_parts() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let data = |version: &str| release(version).to_string();
    let plain = "Content-Disposition: form-data; name=\"data\"";
    uploads(&admin, "1", Form::new().file("a.deb", b"one").text("data", &data("1")), b"one");
    uploads(&admin, "2", Form::new().text("data", &data("2")).file("a.deb", b"two"), b"two");
    for (version, head) in [
        ("3", format!("{plain}\r\nContent-Type: application/json")),
        ("4", format!("{plain}\r\nContent-Type: text/plain; charset=utf-8")),
        ("5", format!("content-type: application/json\r\n{}", plain.to_lowercase())),
        ("6", format!("{plain}\r\nContent-Length: 7\r\nX-More: a")),
        ("7", plain.replace("\"data\"", "data")),
    ] {
        let bytes = version.as_bytes();
        uploads(&admin, version, Form::new().part(&head, data(version).as_bytes()).file("a.deb", bytes), bytes);
        let turned = format!("{version}.1");
        uploads(&admin, &turned, Form::new().file("a.deb", bytes).part(&head, data(&turned).as_bytes()), bytes);
    }
    // Unknown parts are ignored, wherever they stand.
    let form = Form::new().text("x", "y").file("a.deb", b"8").text("more", "{").text("data", &data("8")).text("z", "");
    uploads(&admin, "8", form, b"8");
    // Bytes that look like the end of a part.
    let start = format!("\r\n--{}\r\n-{BOUNDARY}--\n--{BOUNDARY}--", &BOUNDARY[..20]).into_bytes();
    let bytes = [start, noise(9, 300_000), b"\r\n--".to_vec()].concat();
    let form = Form::new().text("data", &data("9")).file("a.deb", &bytes);
    uploads(&admin, "9", form, &bytes);
}

#[test]
fn streams() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let bytes = noise(7, 3 << 20);
    let (kind, body) = Form::new().file("a.deb", &bytes).text("data", &release("1").to_string()).finish();
    let chunks = body.clone();
    let answer = admin.send(Request::post("/upload").chunked(&kind, move |out| {
        for chunk in chunks.chunks(70_001) {
            out.write_all(chunk)?;
        }
        Ok(())
    }));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let (kind, body) = Form::new().file("a.deb", &bytes).text("data", &release("2").to_string()).finish();
    let answer = admin.send(Request::post("/upload").body(&kind, body).expect_continue());
    assert_eq!((answer.status, answer.interim.as_slice()), (200, [100].as_slice()));
    for version in admin.versions("secondapp") {
        assert!(fetch(&server, version["Artifacts"][0]["Link"].as_str().unwrap()) == bytes);
    }
    is_tidy(&server, 1);
    // Without a session the body is not asked for.
    let (kind, body) = Form::new().file("a.deb", &bytes).finish();
    let mut connection = server.connect();
    let answer = connection.begin(Request::post("/upload").body(&kind, body).expect_continue());
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
}

#[test]
fn broken_bodies_leave_nothing() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    let id = admin.release(&release("0.0.1"), &[("a.deb", b"kept")]);
    let before = admin.view();
    let data = |path: &str| match path {
        "/app/create" => json!({ "app": "fresh" }),
        "/app/update" => json!({ "id": world.app, "app": "changed" }),
        "/upload" => release("0.0.2"),
        "/apps/update" => plus(&release("0.0.1"), json!({ "id": id, "changelog": "changed" })),
        _ => json!({ "id": id, "app_name": "secondapp", "version": "0.0.1", "artifacts_to_delete": ["0"] }),
    };
    for path in ROUTES {
        let data = data(path).to_string();
        let form = Form::new().text("data", &data).file("b.rpm", &noise(3, 200_000));
        let (kind, body) = form.clone().finish();
        for share in [1, 10, 50, 90, 99] {
            let cut = body.len() * share / 100;
            let (total, start) = (body.len() as u64, body[..cut].to_vec());
            let request = Request::post(path).sized(&kind, total, move |out| out.write_all(&start)).cut_off();
            println!("{path} cut at {share} %");
            is_error_of(&admin.send(request), 400);
            let start = body[..cut].to_vec();
            let request = Request::post(path).chunked(&kind, move |out| out.write_all(&start)).cut_off();
            is_error_of(&admin.send(request), 400);
            let start = body[..cut].to_vec();
            let request = Request::post(path).chunked(&kind, move |out| out.write_all(&start));
            is_error_of(&admin.send(request), 400);
        }
        let (kind, open) = form.unfinished();
        is_error_of(&admin.send(Request::post(path).body(&kind, open)), 400);
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=other",
            "multipart/mixed",
        ] {
            is_error_of(&admin.send(Request::post(path).body(kind, body.clone())), 400);
        }
        is_error_of(&admin.send(Request::post(path).body("multipart/form-data; boundary=x", Vec::new())), 400);
        let without_blank =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"data\"\r\n{data}\r\n--{BOUNDARY}--\r\n");
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        is_error_of(&admin.send(Request::post(path).body(&kind, without_blank)), 400);
        assert_eq!(admin.view(), before, "{path}");
        is_tidy(&server, 1);
    }
}

#[test]
fn parts_without_end() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let send = |form: Form| admin.send_form("/upload", form);
    let data = release("1").to_string();
    // reliability.md §11: 1,000 parts, 16 KiB of head, 1 MiB of text, 100 files.
    let many = (0..1100).fold(Form::new(), |form, n| form.text(&format!("p{n}"), "v")).text("data", &data);
    is_error_of(&send(many.file("a.deb", b"a")), 400);
    let files = (0..101).fold(Form::new().text("data", &data), |form, n| form.file(&format!("f.x{n}"), b"a"));
    is_error_of(&send(files), 400);
    let head = format!("Content-Disposition: form-data; name=\"data\"\r\nX-Long: {}", "h".repeat(17 << 10));
    is_error_of(&send(Form::new().part(&head, data.as_bytes()).file("a.deb", b"a")), 413);
    let long = plus(&release("1"), json!({ "changelog": "m".repeat(1 << 20) })).to_string();
    is_error_of(&send(Form::new().text("data", &long).file("a.deb", b"a")), 413);
    is_error_of(&send(Form::new().file("a.deb", b"a").text("data", &long)), 413);
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
    is_tidy(&server, 0);
    // Just below: a hundred files of one version, and nearly a MiB of changelog.
    let changelog = "m".repeat(1_000_000);
    let data = plus(&release("1"), json!({ "changelog": changelog })).to_string();
    let files = (0..100).fold(Form::new().text("data", &data), |form, n| form.file(&format!("f.x{n}"), b"a"));
    assert_eq!(send(files).status, 200);
    let version = admin.version("secondapp");
    assert_eq!(version["Artifacts"].as_array().unwrap().len(), 100);
    assert_eq!(version["Changelog"][0]["Changes"], json!(changelog));
}

#[test]
fn file_names() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let long = format!("{}.deb", "n".repeat(252));
    let refused = [
        "",
        ".",
        "..",
        "a/",
        "a\\",
        "../..",
        "dir/.",
        "..\\..",
        "a\u{1}b.deb",
        "a\u{0}.deb",
        "a\u{7f}.deb",
        "a\tb.deb",
        long.as_str(),
    ];
    for name in refused {
        let answer = admin.upload(&release("1"), &[(name, b"a")]);
        is_error_of(&answer, 400);
    }
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
    is_tidy(&server, 0);
    let taken = [
        ("../../../../etc/passwd.deb", ".deb"),
        ("C:\\Users\\me\\setup.exe", ".exe"),
        ("/abs/x.tar.gz", ".tar.gz"),
        ("größe 🦀.AppImage", ".AppImage"),
        ("a\"b.zip", ".zip"),
        ("c++ 100%.dmg", ".dmg"),
        ("CON.msi", ".msi"),
        ("%2e%2e%2f.apk", ".apk"),
        ("<script>.pkg", ".pkg"),
    ];
    for (at, (name, extension)) in taken.iter().enumerate() {
        let version = format!("2.{at}");
        admin.release(&release(&version), &[(name, version.as_bytes())]);
        let found = admin.versions("secondapp").remove(0);
        let artifact = &found["Artifacts"][0];
        assert_eq!((&found["Version"], &artifact["Package"]), (&json!(version), &json!(extension)), "{name}");
        let link = super::link(&server, &format!("secondapp/stable/linux/amd64/secondapp-{version}{extension}"));
        assert_eq!(artifact["Link"], json!(link));
        assert_eq!(fetch(&server, &link), version.as_bytes());
    }
    // `filename*` wins.
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.deb\"; filename*=UTF-8''%C3%BC.rpm";
    let form = Form::new().text("data", &release("3").to_string()).part(head, b"a");
    assert_eq!(admin.send_form("/upload", form).status, 200);
    assert_eq!(admin.versions("secondapp")[0]["Artifacts"][0]["Package"], ".rpm");
    let canary = server.data().parent().unwrap().join("passwd.deb");
    assert!(!canary.exists() && !std::path::Path::new("/etc/passwd.deb").exists());
    is_exactly(&server.send(Request::get("/health")), 200, &json!({ "status": "healthy" }));
}

#[test]
fn large_files() {
    // Streamed to disk, whatever comes first and however it is sent; never held in memory.
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let size = 160_u64 << 20;
    server.forget_peak();
    let idle = server.memory();
    for (at, data_first, chunked) in [(1, false, false), (2, true, true), (3, false, true)] {
        let version = format!("{at}.0");
        let data = Form::new().text("data", &release(&version).to_string()).unfinished().1;
        let (kind, mut head) =
            if data_first { (Form::new().unfinished().0, data.clone()) } else { Form::new().unfinished() };
        head.extend_from_slice(format!("--{BOUNDARY}\r\n{}\r\n\r\n", file_head("a.deb")).as_bytes());
        let mut tail = b"\r\n".to_vec();
        if !data_first {
            tail.extend_from_slice(&data);
        }
        tail.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let length = head.len() as u64 + size + tail.len() as u64;
        let write = move |out: &mut dyn Write| {
            out.write_all(&head)?;
            let mut bytes = Noise::new(at).take(size);
            let mut block = vec![0; 256 << 10];
            loop {
                match bytes.read(&mut block)? {
                    0 => break,
                    n => out.write_all(&block[..n])?,
                }
            }
            out.write_all(&tail)
        };
        let request = Request::post("/upload");
        let request = if chunked { request.chunked(&kind, write) } else { request.sized(&kind, length, write) };
        let answer = admin.send(request);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let path = format!("/download?key=secondapp/stable/linux/amd64/secondapp-{version}.deb");
        let (mut hash, mut read) = (Sha256::new(), 0);
        let answer = server.connect().send_into(Request::get(&path), &mut |block| {
            hash.update(block);
            read += block.len() as u64;
        });
        assert_eq!((answer.status, read), (200, size));
        assert_eq!(hex(&hash.finalize()), sha256_of_noise(at, size));
    }
    let grown = server.peak_memory().saturating_sub(idle);
    assert!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);
    is_tidy(&server, 3);
}

#[test]
fn a_stranger_is_turned_away_unread() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let helper = admin.hire("helper", &json!({}));
    let kind = Form::new().unfinished().0;
    for path in ROUTES {
        // Nothing of the announced gigabyte is ever sent: an answer comes nevertheless.
        let request = || Request::post(path).header("Content-Length", "1073741824").header("Content-Type", &kind);
        server.send(request()).is_error(401, "missing authorization header");
        is_error_of(&server.send(request().header("Authorization", "Bearer x")), 401);
        helper.send(request()).is_error(403, "Permission denied");
    }
}
