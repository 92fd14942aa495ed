//! Ids in paths, methods, and the files of a version (`refpack.md` §1, §2, §6).

use serde_json::json;

use crate::client::{Answer, Request};
use crate::files::sha256;
use crate::server::Packhouse;

use super::pack::Pack;
use super::{push, refused, refused_like};

fn get(server: &Packhouse, target: &str) -> Answer {
    server.send(Request::get(target))
}

#[test]
fn every_form_of_an_id_leads_to_its_package() {
    let server = Packhouse::start();
    for id in ["a", "a/b", "meta", "meta/x", "archive/advanced-search"] {
        push(&server, &Pack::new(id, "1.0.0"));
    }
    let id_of = |target: &str| {
        let answer = get(&server, target);
        answer.is_json(200)["id"].as_str().unwrap().to_owned()
    };
    let manifests = [
        ("/packages/a/meta", "a"),
        ("/packages/a/b/meta", "a/b"),
        ("/packages/a%2Fb/meta", "a/b"),
        ("/packages/a%2fb/meta", "a/b"),
        ("/packages/%61/meta", "a"),
        ("/packages/meta/meta", "meta"),
        ("/packages/meta/x/meta", "meta/x"),
        ("/packages/archive/advanced-search/meta", "archive/advanced-search"),
    ];
    for (target, id) in manifests {
        assert_eq!(id_of(target), id, "{target}");
    }
    for target in ["/packages/a", "/packages/a/b", "/packages/a%2Fb", "/packages/meta", "/packages/meta/x"] {
        assert_eq!(get(&server, target).header("Content-Type"), Some("application/zip"), "{target}");
    }
    let nowhere = [
        "/packages/a/b/c",
        "/packages/a%2Fb/c",
        "/packages/a/b%2Fc",
        "/packages/a%2Fb/c/meta",
        "/packages/a/b/c/meta",
        "/packages/a/",
        "/packages//a",
        "/packages/a//meta",
        "/packages/a/meta/",
        "/packages/a/b/meta/x",
        "/packages//",
        "/packages/a/b/c/d/e/f/g",
    ];
    for target in nowhere {
        refused_like(&get(&server, target), 404, "Not found");
    }
    let unknown = [
        ("/packages/none", "none"),
        ("/packages/A", "A"),
        ("/packages/a%2Fmeta", "a/meta"),
        ("/packages/..", ".."),
        ("/packages/%2e%2e", ".."),
        ("/packages/a/META", "a/META"),
        ("/packages/a%2Fb%2Fc", "a/b/c"),
        ("/packages/a%252Fb", "a%2Fb"),
        ("/packages/%2e%2e/meta", ".."),
        ("/packages/x%20y", "x y"),
        ("/packages/advanced-search/x", "advanced-search/x"),
        ("/packages/gr%C3%B6%C3%9Fe", "größe"),
    ];
    for (target, id) in unknown {
        let message = format!("Package '{id}' version 'latest' was not found");
        refused(&get(&server, target), 404, "Package not found", &message);
    }
    for target in
        ["/packages/%", "/packages/%zz", "/packages/a%2", "/packages/%ff", "/packages/a%00", "/packages/a/b%/meta"]
    {
        refused_like(&get(&server, target), 400, "Invalid parameter");
    }
}

#[test]
fn other_methods_are_refused_with_those_there_are() {
    let server = Packhouse::start();
    push(&server, &Pack::new("a", "1.0.0"));
    let reads = "GET, HEAD";
    let cases = [
        ("POST", "/packages/a", reads),
        ("DELETE", "/packages/a", reads),
        ("PUT", "/packages/a/meta", reads),
        ("PATCH", "/packages/v/n/data", reads),
        ("OPTIONS", "/packages/a/versions", reads),
        ("POST", "/packages/advanced-search", reads),
        ("POST", "/packages/a/readme", reads),
        ("GET", "/packages/a/archive", "POST"),
        ("HEAD", "/packages/a/archive", "POST"),
        ("DELETE", "/packages/v%2Fn/archive", "POST"),
        ("DELETE", "/packages", "GET, HEAD, POST"),
        ("PUT", "/packages/", "GET, HEAD, POST"),
    ];
    for (method, target, allowed) in cases {
        let answer = server.send(Request::new(method, target));
        assert_eq!((answer.status, answer.header("Allow")), (405, Some(allowed)), "{method} {target}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        if method != "HEAD" {
            refused_like(&answer, 405, "Method not allowed");
        }
    }
    refused_like(&server.send(Request::delete("/packages/a/b/c")), 404, "Not found");
}

#[test]
fn files_come_as_they_were_packed() {
    let server = Packhouse::start();
    let files = [
        ("schema", "data.schema.json", "{\n  \"type\": \"array\" }\n", "application/json"),
        (
            "changelog",
            "data.changelog.json",
            "[ {\"version\":\"1\",\"date\":\"d\",\"description\":\"x\"} ]",
            "application/json",
        ),
        ("readme", "data.readme.md", "# Größe\r\n\r\n<script>alert(1)</script>\n", "text/markdown; charset=utf-8"),
        ("data", "data.json", "[\t{\"name\":\"x\", \"id\": 1.50}\r\n]", "application/json"),
    ];
    let pack = files.iter().fold(Pack::new("v/n", "1.0.0"), |pack, (_, name, bytes, _)| pack.file(name, *bytes));
    let zip = push(&server, &pack);
    let manifest = String::from_utf8(pack.manifest()).unwrap();
    let all = files.iter().map(|(action, _, bytes, kind)| (*action, *bytes, *kind));
    for (action, bytes, kind) in all.chain([("meta", manifest.as_str(), "application/json")]) {
        let target = format!("/packages/v/n/{action}");
        let answer = get(&server, &target);
        assert_eq!((answer.status, answer.text()), (200, bytes), "{action}");
        let digest = sha256(bytes.as_bytes());
        let (tag, length) = (format!("\"{digest}\""), bytes.len().to_string());
        let expected = [
            ("Content-Type", kind),
            ("ETag", &tag),
            ("X-Checksum-Sha256", &digest),
            ("Content-Length", &length),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{action} {name}");
        }
        assert!(answer.header("Last-Modified").is_some() && answer.header("Transfer-Encoding").is_none());
        assert_eq!(answer.header("Content-Disposition"), None);
        let head = server.send(Request::head(&target));
        let without_date =
            |answer: &Answer| answer.headers.iter().filter(|(name, _)| name != "Date").cloned().collect::<Vec<_>>();
        assert_eq!((head.status, without_date(&head)), (200, without_date(&answer)), "{action}");
        let fresh = server.send(Request::get(&target).header("If-None-Match", &format!("\"x\", W/{tag}")));
        assert_eq!((fresh.status, fresh.header("ETag"), fresh.body.len()), (304, Some(tag.as_str()), 0), "{action}");
        let modified = answer.header("Last-Modified").unwrap();
        assert_eq!(server.send(Request::get(&target).header("If-Modified-Since", modified)).status, 304);
        let both = Request::get(&target).header("If-Modified-Since", modified).header("If-None-Match", "\"other\"");
        assert_eq!(server.send(both).status, 200);
    }
    let answer = get(&server, "/packages/v/n");
    let digest = sha256(&zip);
    let (tag, length) = (format!("\"{digest}\""), zip.len().to_string());
    let expected = [
        ("Content-Type", "application/zip"),
        ("Content-Disposition", "attachment; filename=\"v-n-1.0.0.refpack.zip\""),
        ("Content-Length", &length),
        ("ETag", &tag),
        ("X-Checksum-Sha256", &digest),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "no-cache"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.body, zip);
    for tags in ["*", &format!("\"a\", {tag}"), &format!("W/{tag}")] {
        let fresh = server.send(Request::get("/packages/v/n").header("If-None-Match", tags));
        assert_eq!((fresh.status, fresh.header("Cache-Control")), (304, Some("no-cache")), "{tags}");
    }
    let pinned = get(&server, "/packages/v/n/meta?version=1.0.0");
    assert_eq!(pinned.header("Cache-Control"), Some("public, max-age=86400, immutable"));
    let part = server.send(Request::get("/packages/v/n").header("Range", "bytes=2-5").header("If-Range", &tag));
    assert_eq!((part.status, &part.body[..]), (206, &zip[2..6]));
    assert_eq!(part.header("Content-Range"), Some(format!("bytes 2-5/{length}").as_str()));
    assert_eq!(server.send(Request::get("/packages/v/n").header("Range", "bytes=999999-")).status, 416);
    let stale = Request::get("/packages/v/n").header("Range", "bytes=2-5").header("If-Range", "\"old\"");
    assert_eq!(server.send(stale).status, 200);
}

#[test]
fn what_a_version_has_not_is_said() {
    let server = Packhouse::start();
    push(&server, &Pack::new("a", "1.0.0+build.5"));
    for (action, file) in
        [("schema", "data.schema.json"), ("changelog", "data.changelog.json"), ("readme", "data.readme.md")]
    {
        let message = format!("Package 'a' version '1.0.0+build.5' has no {file}");
        refused(&get(&server, &format!("/packages/a/{action}")), 404, "Resource not found", &message);
    }
    refused(&get(&server, "/packages/none/versions"), 404, "Package not found", "Package 'none' was not found");
    let message = "Package 'none' version '2.0.0' was not found";
    refused(&get(&server, "/packages/none/readme?version=2.0.0"), 404, "Package not found", message);
    assert_eq!(server.send(Request::head("/packages/none")).status, 404);
    let shown = json!({"error": "Package not found", "message": "Package 'none' version 'latest' was not found"});
    assert_eq!(get(&server, "/packages/none?version=").is_json(404), shown);
}
