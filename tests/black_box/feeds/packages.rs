//! `/package` (`repos.md` §9).

use serde_json::json;

use super::{create, upload};
use crate::client::Request;
use crate::files::{Form, sha256};
use crate::packages::{DebFile, RpmFile};
use crate::server::{ADMIN, Packhouse};

#[test]
fn uploads_by_every_form() {
    let server = Packhouse::start();
    let rpm = RpmFile::new("tool", "1.4", "1").epoch(2).build();
    let post = |query: &str, bytes: &[u8]| {
        let request = Request::post(&format!("/package{query}")).token(ADMIN);
        server.send(request.body("application/octet-stream", bytes))
    };
    let first = post("?filename=%2Fsome%2Fdir%2Ftool.rpm", &rpm).is_json(201);
    let sum = sha256(&rpm);
    let uri = first["uri"].as_str().unwrap().to_owned();
    assert!(uri.ends_with(&format!("/package/{sum}")), "{uri}");
    let expected = json!({
        "uri": uri, "name": "tool", "filename": "tool.rpm", "shasum": sum, "version": "1.4", "release": "1", "epoch": 2,
        "arch": "x86_64", "type": "rpm", "size": rpm.len(),
    });
    assert_eq!(first, expected);
    assert_eq!(post("", &rpm).is_json(200), expected);
    let shown = server.send(Request::get(&format!("/package/{}", sum.to_uppercase()))).is_json(200);
    assert_eq!((&shown["upstreams"], &shown["repos"]), (&json!({}), &json!({})));

    let deb = DebFile::new("libx", "2:1.0~rc1+b1-1").build();
    let (kind, form) = Form::new().text("note", "x").file("odd name.deb", &deb).finish();
    let shown = server.send(Request::post("/package").token(ADMIN).body(&kind, form)).is_json(201);
    assert_eq!((&shown["filename"], &shown["version"]), (&json!("odd name.deb"), &json!("2:1.0~rc1+b1-1")));
    let other = DebFile::new("liby", "2:1.0-1").build();
    assert_eq!(post("", &other).is_json(201)["filename"], json!("liby_1.0-1_amd64.deb"));

    let plain = post("?filename=notes.txt", b"hello\n").is_json(201);
    assert_eq!((&plain["type"], &plain["version"], &plain["arch"]), (&json!("file"), &json!(""), &json!("")));
    post("", b"nameless").is_error_like(400, "a plain file needs a name");
    post("?filename=x", b"").is_error_like(400, "the body is empty");
    for name in ["..", "a%0Ab", "x%2F"] {
        post(&format!("?filename={name}"), b"x").is_error_like(400, "the file name");
    }
    post(&format!("?filename=x&shasum={}", "0".repeat(64)), b"x1").is_error_like(400, "the bytes have another shasum");
    let right = post(&format!("?filename=x&shasum={}", sha256(b"x2").to_uppercase()), b"x2");
    right.is_json(201);
    let forced = RpmFile::new("forced", "1", "1").build();
    assert_eq!(post("?type=file&filename=f.rpm", &forced).is_json(201)["type"], json!("file"));
    for broken in [&rpm[..rpm.len() - 3], &rpm[..200], &deb[..deb.len() - 40]] {
        post("", broken).is_error_like(400, "the ");
        server.send(Request::get(&format!("/package/{}", sha256(broken)))).is_error_like(404, "");
    }
}

#[test]
fn lists_content_and_removal() {
    let server = Packhouse::start();
    assert_eq!(server.send(Request::get("/package")).is_json(200), json!({}));
    let rpm = RpmFile::new("tool", "1.4", "1").build();
    let (one, two) = (upload(&server, &rpm, ""), upload(&server, b"plain", "?filename=p.txt"));
    let all = server.send(Request::get("/package")).is_json(200);
    assert_eq!(all.as_object().unwrap().len(), 2);
    for (query, wanted) in
        [("?name=tool", vec![&one]), ("?type=file", vec![&two]), ("?arch=i386", vec![]), ("?limit=0", vec![])]
    {
        let found = server.send(Request::get(&format!("/package{query}"))).is_json(200);
        assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), wanted, "{query}");
    }
    let content = server.send(Request::get(&format!("/package/{one}/content")).header("Range", "bytes=0-3"));
    assert_eq!((content.status, content.body.as_slice()), (206, &rpm[..4]));
    assert_eq!(content.header("Content-Type"), Some("application/x-rpm"));
    let gone = server.send(Request::delete(&format!("/package/{one}")).token(ADMIN));
    assert_eq!(gone.is_json(200), json!({ "deleted": one }));
    for target in [format!("/package/{one}"), "/package/zz".to_owned(), format!("/package/{one}/content")] {
        server.send(Request::get(&target)).is_error_like(404, "there is no package");
    }
}

#[test]
fn an_upload_into_a_repo_is_both_or_neither() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "r", "type": "apt" }));
    let deb = DebFile::new("tool", "1.0").build();
    let post = |query: &str, bytes: &[u8]| {
        let request = Request::post(&format!("/package{query}")).token(ADMIN);
        server.send(request.body("application/octet-stream", bytes))
    };
    post("?repo=nope", &deb).is_error_naming(404, "nope");
    let rpm = RpmFile::new("tool", "1.0", "1").build();
    assert_eq!(post("?repo=r", &rpm).is_json(400)["mismatched"], json!([sha256(&rpm)]));
    assert_eq!(server.send(Request::get("/package")).is_json(200), json!({}));
    post("?repo=r", &deb).is_json(201);
    let shown = server.send(Request::get(&format!("/package/{}", sha256(&deb)))).is_json(200);
    assert!(shown["repos"]["r"].as_str().unwrap().ends_with("/repo/r"));
    post("?repo=r", &deb).is_json(200);
    assert_eq!(server.send(Request::get("/repo/r")).is_json(200)["generation"], json!(2));
}
