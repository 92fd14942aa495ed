//! `faynosync.md` §5: apps and their logos.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files::Form;
use crate::server::Packhouse;

use super::{
    NOBODY, Person, base, fetch, first, form, id_of, is_error_of, is_exactly, is_refused, is_time, local, plus, sign_up,
};

/// The smallest PNG: one transparent pixel.
pub(super) const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0, 1, 0, 0, 5, 0, 1,
    0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

#[track_caller]
fn entry(admin: &Person<'_>, name: &str) -> Value {
    admin.list("app").into_iter().find(|entry| entry["AppName"] == name).unwrap_or_else(|| panic!("no app {name}"))
}

#[test]
fn create_and_list() {
    let server = Packhouse::start();
    let admin = first(&server);
    assert_eq!(admin.get("/app/list").text(), "{\"apps\":[]}");
    let plain = admin.create_app("plain");
    let full = json!({ "app": "full", "description": "What <it> is & \"more\"\ngröße", "private": true });
    let full = admin.create_app_with(&full, &[("logo.png", PNG)]);
    admin.create_app_with(&json!({ "app": "texts", "private": "true" }), &[]);
    admin.create_app_with(&json!({ "app": "texts too", "private": "false" }), &[]);

    let told = entry(&admin, "plain");
    assert_eq!((id_of(&told["ID"]), &told["Logo"], &told["Private"]), (plain, &json!(""), &json!(false)));
    assert_eq!(told["Description"], "");
    is_time(&told["Updated_at"]);
    let told = entry(&admin, "full");
    assert_eq!((id_of(&told["ID"]), &told["Private"]), (full, &json!(true)));
    assert_eq!(told["Description"], "What <it> is & \"more\"\ngröße");
    assert_eq!(entry(&admin, "texts")["Private"], true);
    assert_eq!(entry(&admin, "texts too")["Private"], false);
    // Anybody may see the logo of a private app.
    let link = told["Logo"].as_str().unwrap();
    assert_eq!(fetch(&server, link), PNG);
    let answer = super::ask(&server, local(&server, link));
    assert_eq!(answer.header("Content-Type"), Some("image/png"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    // Links follow the question's Host.
    let moved = admin.send(Request::get("/app/list").header("Host", "updates.example:8443")).is_json(200);
    let moved = moved["apps"].as_array().unwrap().iter().find(|entry| entry["AppName"] == "full").unwrap();
    let moved = moved["Logo"].as_str().unwrap();
    assert_eq!(moved, link.replace(&base(&server), "http://updates.example:8443"));
    assert_eq!(admin.names("app"), ["full", "plain", "texts", "texts too"]);
}

#[test]
fn bad_data() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("taken");
    let send = |form: Form| admin.send_form("/app/create", form);
    let data = |text: &str| Form::new().text("data", text);

    send(Form::new().text("other", "{}")).is_error(400, "No JSON data provided");
    send(Form::new().file("logo.png", PNG)).is_error(400, "No JSON data provided");
    for text in ["", "{", "[]", "null", "7", "\"app\"", "{\"app\":\"x\"", "{\"app\":\"x\"}x"] {
        let answer = send(data(text));
        let message =
            if text.is_empty() { answer.is_json(400)["error"].as_str().unwrap().to_owned() } else { String::new() };
        if text.is_empty() {
            assert!(["No JSON data provided", "Invalid JSON data"].contains(&message.as_str()), "{message}");
        } else {
            answer.is_error(400, "Invalid JSON data");
        }
    }
    for bad in [
        json!({ "app": 7 }),
        json!({ "app": ["x"] }),
        json!({ "app": "x", "description": 7 }),
        json!({ "app": "x", "private": "yes" }),
        json!({ "app": "x", "private": 1 }),
        json!({ "app": "x", "private": {} }),
    ] {
        send(data(&bad.to_string())).is_error(400, "Invalid JSON data");
    }
    send(data("{}")).is_error(400, "app is required");
    send(data("{\"app\":\"\"}")).is_error(400, "app is required");
    send(form(&json!({ "app": "taken" }), &[("logo.png", PNG)])).is_error(409, "app with this name already exists");
    let deep = format!("{{\"app\":\"x\",\"more\":{}{}}}", "[".repeat(70), "]".repeat(70));
    is_error_of(&send(data(&deep)), 400);
    is_error_of(&send(data(&json!({ "app": "x", "description": "m".repeat(1 << 20) }).to_string())), 413);
    for body in [("application/json", "{\"app\":\"x\"}"), ("text/plain", "x"), ("multipart/form-data", "x")] {
        is_error_of(&admin.send(Request::post("/app/create").body(body.0, body.1)), 400);
    }
    is_error_of(&admin.send(Request::post("/app/create")), 400);
    // No logo is left behind.
    assert_eq!(admin.names("app"), ["taken"]);
    crate::server::wait_for("an empty stage and shelf", || {
        (server.stage_files().is_empty() && server.shelf_files().is_empty()).then_some(())
    });
}

#[test]
fn update() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let id = admin.create_app_with(&json!({ "app": "old", "description": "about" }), &[("logo.png", PNG)]);
    let channel = admin.create("channel", "stable");
    admin.create_app("taken");
    let send =
        |who: &Person<'_>, data: Value, files: &[(&str, &[u8])]| who.send_form("/app/update", form(&data, files));
    let good = json!({ "id": id, "app": "new" });

    send(&admin, super::minus(&good, "id"), &[]).is_error(400, "id is required");
    send(&admin, plus(&good, json!({ "id": "" })), &[]).is_error(400, "id is required");
    send(&admin, super::minus(&good, "app"), &[]).is_error(400, "app is required");
    send(&admin, plus(&good, json!({ "app": "" })), &[]).is_error(400, "app is required");
    for bad in ["x", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3g"] {
        send(&admin, plus(&good, json!({ "id": bad })), &[]).is_error(400, "invalid id format");
    }
    for wrong in [NOBODY, &channel] {
        send(&admin, plus(&good, json!({ "id": wrong })), &[]).is_error(404, "app not found");
    }
    send(&other, good.clone(), &[]).is_error(404, "app not found");
    send(&admin, plus(&good, json!({ "app": "taken" })), &[("logo.png", PNG)])
        .is_error(409, "app with this name already exists");
    admin.send_form("/app/update", Form::new().file("logo.png", PNG)).is_error(400, "No JSON data provided");
    for text in ["{", "[]", "{\"id\":7,\"app\":\"x\"}", "{\"id\":\"x\",\"app\":7}"] {
        admin.send_form("/app/update", Form::new().text("data", text)).is_error(400, "Invalid JSON data");
    }
    let before = entry(&admin, "old");

    let done = json!({ "updateAppResult.Updated": true });
    // Absent description and logo stay.
    is_exactly(&send(&admin, good.clone(), &[]), 200, &done);
    let after = entry(&admin, "new");
    for key in ["ID", "Logo", "Description", "Private"] {
        assert_eq!(after[key], before[key]);
    }
    assert_eq!(fetch(&server, after["Logo"].as_str().unwrap()), PNG);
    // `private` cannot be changed.
    is_exactly(&send(&admin, plus(&good, json!({ "private": true, "description": "other" })), &[]), 200, &done);
    let after = entry(&admin, "new");
    assert_eq!((&after["Private"], &after["Description"]), (&json!(false), &json!("other")));
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
    is_exactly(&send(&admin, good, &[("logo.gif", gif)]), 200, &done);
    assert_eq!(fetch(&server, entry(&admin, "new")["Logo"].as_str().unwrap()), gif);
    assert_eq!(admin.names("app"), ["new", "taken"]);
}

#[test]
fn delete() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let channel = admin.create("channel", "stable");
    let id = admin.create_app_with(&json!({ "app": "gone" }), &[("logo.png", PNG)]);
    let logo = entry(&admin, "gone")["Logo"].as_str().unwrap().to_owned();
    let failed = "failed to delete app";
    is_refused(&admin.delete(&format!("/app/delete?id={NOBODY}")), 404, failed, None);
    is_refused(&admin.delete(&format!("/app/delete?id={channel}")), 404, failed, None);
    is_refused(
        &other.delete(&format!("/app/delete?id={id}")),
        403,
        failed,
        Some("you don't have permission to delete this app"),
    );
    for bad in ["/app/delete", "/app/delete?id=", "/app/delete?id=x"] {
        is_error_of(&admin.delete(bad), 400);
    }
    assert_eq!(admin.names("app"), ["gone"]);
    assert_eq!(admin.names("channel"), ["stable"]);
    is_exactly(&admin.delete(&format!("/app/delete?id={id}")), 200, &json!({ "deleteAppResult.DeletedCount": 1 }));
    assert!(admin.names("app").is_empty());
    is_error_of(&super::ask(&server, local(&server, &logo)), 404);
    crate::server::wait_for("the logo's bytes to go", || server.shelf_files().is_empty().then_some(()));
    // The name is free again.
    admin.create_app("gone");
}

#[test]
fn renaming_keeps_links() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    admin.release(&super::release("0.0.1"), &[("a.deb", b"the bytes")]);
    let link = admin.version("secondapp")["Artifacts"][0]["Link"].clone();
    let data = json!({ "id": world.app, "app": "thirdapp" });
    assert_eq!(admin.send_form("/app/update", form(&data, &[])).status, 200);
    let version = admin.version("thirdapp");
    assert_eq!((&version["AppName"], &version["Artifacts"][0]["Link"]), (&json!("thirdapp"), &link));
    assert_eq!(fetch(&server, link.as_str().unwrap()), b"the bytes");
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
    let unknown = "app_name not found in apps_meta collection";
    super::check(&server, &super::asks("0.0.0")).is_error(404, unknown);
    assert_eq!(
        super::check(&server, &super::and(&super::asks("0.0.0"), "app_name", "thirdapp")).is_json(200)["update_url_deb"],
        link
    );
}

#[test]
fn hostile_logos() {
    // §12: pictures by their bytes are shown, html and svg never as such.
    let server = Packhouse::start();
    let admin = first(&server);
    let shown: [(&str, &[u8], &str); 4] = [
        ("a.png", PNG, "image/png"),
        ("b.png", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9", "image/jpeg"),
        ("c", b"GIF89a\x01\0\x01\0\0\0\0;", "image/gif"),
        ("d.webp", b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0", "image/webp"),
    ];
    for (name, bytes, kind) in shown {
        admin.create_app_with(&json!({ "app": name }), &[(name, bytes)]);
        let link = entry(&admin, name)["Logo"].as_str().unwrap().to_owned();
        let answer = super::ask(&server, local(&server, &link));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(kind)), "{name}");
    }
    let hostile: [(&str, &[u8]); 4] = [
        ("x.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
        ("x.html", b"<html><script>alert(1)</script></html>"),
        ("x.png", b"<html><script>alert(1)</script></html>"),
        ("x.xml", b"<?xml version=\"1.0\"?><a/>"),
    ];
    for (at, (name, bytes)) in hostile.into_iter().enumerate() {
        let app = format!("hostile{at}");
        let answer = admin.send_form("/app/create", form(&json!({ "app": app }), &[(name, bytes)]));
        if answer.status == 400 {
            is_error_of(&answer, 400);
            continue;
        }
        answer.is_json(200);
        let link = entry(&admin, &app)["Logo"].as_str().unwrap().to_owned();
        let answer = super::ask(&server, local(&server, &link));
        assert_eq!(answer.header("Content-Type"), Some("application/octet-stream"), "{name}");
        assert!(answer.header("Content-Disposition").is_some_and(|value| value.starts_with("attachment")));
    }
}
