//! Installers, logos, and the log of downloads (`winget.md` B7, A8).

use serde_json::{Value, json};

use super::{Admin, NOBODY, PNG, first, form, local, part, refused, says, sign_up};
use crate::client::{Answer, Request};
use crate::files::{Form, noise, sha256};
use crate::server::Packhouse;

fn link(admin: &Admin<'_>, uid: &str) -> String {
    let row = admin.row(uid);
    local(admin.server, row["INSTALLER_URL"].as_str().unwrap()).to_owned()
}

#[track_caller]
fn told(answer: &Answer, status: u16) {
    let value = answer.is_json(status);
    assert_eq!(value[0]["ErrorCode"], status, "{value}");
    assert!(value[0]["ErrorMessage"].is_string() && value.as_array().unwrap().len() == 1, "{value}");
}

#[test]
fn bytes_ranges_and_names() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("Con/toso".replace('/', ".").as_str());
    let bytes = noise(5, 200_000);
    let uid = admin.version("Con.toso", &bytes, &[("package_version", "1.0 (x)")]);
    let link = link(&admin, &uid);
    assert!(link.contains(&format!("/files/{uid}/Con.toso_1.0__x__x64.exe?e=")), "{link}");
    let answer = server.send(Request::get(&link));
    assert_eq!((answer.status, &answer.body), (200, &bytes));
    assert_eq!(answer.header("ETag"), Some(format!("\"{}\"", sha256(&bytes)).as_str()));
    assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
    assert!(answer.header("Content-Disposition").unwrap().starts_with("attachment"));
    assert_eq!(answer.header("Content-Encoding"), None);
    let head = server.send(Request::head(&link));
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("200000")));
    let range = server.send(Request::get(&link).header("Range", "bytes=1000-1999"));
    assert_eq!((range.status, &range.body[..]), (206, &bytes[1000..2000]));
    assert_eq!(range.header("Content-Range"), Some("bytes 1000-1999/200000"));
    assert_eq!(server.send(Request::get(&link).header("Range", "bytes=200000-")).status, 416);
    // The last part is decoration.
    let (front, query) = link.split_once('?').unwrap();
    let other = format!("{}/else.txt?{query}", front.rsplit_once('/').unwrap().0);
    assert_eq!(server.send(Request::get(&other)).status, 200);
}

#[test]
fn links_open_for_whom_they_were_made() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    admin.package("A");
    let uid = admin.version("A", b"bytes", &[]);
    let second = admin.version("A", b"other", &[("package_version", "2")]);
    let link = link(&admin, &uid);
    let (plain, query) = link.split_once('?').unwrap();
    let get = |target: &str| server.send(Request::get(target));
    assert_eq!(get(&link).status, 200);
    told(&get(plain), 403);
    told(&get(&link.replace(&uid, &second)), 403);
    told(&get(&link.replace("&c=-", &format!("&c={NOBODY}"))), 403);
    told(&get(&link.replace("?e=", "?e=9")), 403);
    told(&get(&format!("{link}0")), 403);
    told(&get(&format!("{plain}?{}", query.replace("&s=", "&x="))), 403);
    let bearer = |target: &str, token: &str| {
        server.send(Request::get(target).header("Authorization", &format!("Bearer {token}")))
    };
    assert_eq!(bearer(plain, &admin.token).status, 200);
    told(&bearer(plain, &other.token), 403);
    told(&bearer(&plain.replace(&uid, NOBODY), &admin.token), 404);
    told(&bearer(&plain.replace(&uid, "x"), &admin.token), 404);
    assert_eq!(server.send(Request::get(plain).token(crate::server::ADMIN)).status, 200);
    told(&get(&plain.replace(&admin.setting("TENANT_ID"), NOBODY)), 404);

    admin.set("CLIENT_AUTHENTICATION", "0");
    assert_eq!(get(plain).status, 200);
    assert!(!admin.row(&uid)["INSTALLER_URL"].as_str().unwrap().contains('?'));
    admin.set("PACKAGE_BLACKLIST", "a");
    told(&get(plain), 403);
    admin.set("PACKAGE_BLACKLIST", "");
    assert_eq!(admin.send("PATCH", "edit_package/A", &[("package_active", "0")]).status, 200);
    told(&get(plain), 403);
    assert_eq!(bearer(plain, &admin.token).status, 200);
}

#[test]
fn downloads_are_noted_once() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A.B");
    let uid = admin.version("A.B", &noise(1, 1000), &[]);
    let link = link(&admin, &uid);
    let (id, _) = admin.client("pc");
    for range in [None, Some("bytes=0-9"), Some("bytes=10-19"), Some("bytes=5000-")] {
        let request = Request::get(&link);
        server.send(range.into_iter().fold(request, |request, range| request.header("Range", range)));
    }
    server.send(Request::head(&link));
    let log = |who: &str| admin.get(&format!("get_client_logs/{who}")).is_json(200);
    let lines = log("extern");
    let line = &lines[0];
    assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
    assert_eq!((&line["CLIENT_ID"], &line["LOG_TYPE"]), (&json!("EXTERN"), &json!("INSTALLATION/UPDATE")));
    let message = line["LOG_MESSAGE"].as_str().unwrap();
    assert!(message.contains("A.B") && message.contains("1.0"), "{message}");
    assert!(line["TIMESTAMP"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.as_object().unwrap().len(), 4);
    assert_eq!(log(&id), json!([]));
    for nobody in [NOBODY, "x"] {
        refused(&admin.get(&format!("get_client_logs/{nobody}")), 404);
        refused(&admin.send("DELETE", &format!("clear_client_logs/{nobody}"), &[]), 404);
    }
    says(&admin.send("DELETE", "clear_client_logs/EXTERN", &[]), 200, "Logs were cleared successfully!");
    assert_eq!(log("EXTERN"), json!([]));
}

#[test]
fn logos() {
    let server = Packhouse::start();
    let admin = first(&server);
    let text =
        |form: Form, pairs: &[(&str, &str)]| pairs.iter().fold(form, |form, (name, value)| form.text(name, value));
    let fields = [("package_id", "A"), ("package_name", "A"), ("package_publisher", "P"), ("package_description", "")];
    let body = text(Form::new(), &fields).part(&part("Logo", "x"), PNG);
    assert_eq!(server.send(form(admin.request("POST", "add_package"), body)).status, 200);
    let at = |name: &str| server.send(Request::get(&format!("/winget/{}/logo/{name}", admin.tenant)));
    let name = format!("{}.png", sha256(PNG));
    let answer = at(&name);
    assert_eq!((answer.status, answer.header("Content-Type"), &answer.body[..]), (200, Some("image/png"), PNG));
    for bad in [name.replace("png", "jpg"), format!("{}.png", sha256(b"x")), "x.png".into(), sha256(PNG)] {
        told(&at(&bad), 404);
    }
    let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3];
    let body = Form::new().part(&part("Logo", "x"), &jpeg);
    assert_eq!(server.send(form(admin.request("PATCH", "edit_package/a"), body)).status, 200);
    told(&at(&name), 404);
    assert_eq!(at(&format!("{}.jpg", sha256(&jpeg))).body, jpeg);
    let list: Value = admin.send("POST", "get_packages", &[]).is_json(200);
    assert!(list[0]["PACKAGE_LOGO"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
}
