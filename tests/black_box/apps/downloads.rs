//! `faynosync.md` §12: downloads, public and private.

use serde_json::json;

use crate::client::{Answer, Request};
use crate::files::{noise, segment, sha256};
use crate::server::{ADMIN_USER, Packhouse};

use super::forms::is_tidy;
use super::{Person, ask, base, first, is_error_of, link, local, plus, release, sign_up};

const KEY: &str = "secondapp/stable/linux/amd64/secondapp-1.0.deb";

#[test]
fn both_forms() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let bytes = noise(5, 100_000);
    admin.release(&release("1.0"), &[("My größe \"x\".deb", &bytes)]);
    let etag = format!("\"{}\"", sha256(&bytes));
    let spellings = [
        format!("/download?key={KEY}"),
        format!("/download?key={}", segment(KEY)),
        format!("/download?x=y&key={KEY}"),
        format!("/download?key={KEY}&owner={ADMIN_USER}"),
        format!("/download/{KEY}"),
        format!("/download/{}", KEY.replace("linux", "%6Cinux")),
    ];
    for path in &spellings {
        for request in [Request::get(path), Request::head(path)] {
            let answer = server.send(request);
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.body.is_empty() || answer.body == bytes);
            assert_eq!(answer.header("Content-Length"), Some("100000"));
            assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
            assert_eq!(answer.header("ETag"), Some(etag.as_str()));
            assert_eq!(answer.header("Content-Type"), Some("application/octet-stream"));
            let disposition = answer.header("Content-Disposition").unwrap();
            assert!(disposition.starts_with("attachment; filename"), "{disposition}");
        }
        assert_eq!(ask(&server, path).body.len(), 100_000);
    }
    // Unpublished versions are unlisted, not secret.
    admin.release(&plus(&release("2.0"), json!({ "publish": false })), &[("a.deb", b"draft")]);
    assert_eq!(super::fetch(&server, &link(&server, &KEY.replace("1.0", "2.0"))), b"draft");
}

#[test]
fn unknown_keys() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"bytes")]);
    for path in ["/download", "/download?", "/download?key=", "/download?other=x", "/download?key"] {
        ask(&server, path).is_error(400, "key is required");
    }
    let keys = [
        "unknown",
        "/",
        "//",
        ".",
        "..",
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "..\\..\\x",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "secondapp/stable/linux/amd64/",
        "secondapp/stable/linux/amd64",
        "%00",
        "a%00b",
        "\u{ff}",
        "secondapp/stable/linux/amd64/secondapp-1.0.deb/",
        "secondapp/stable/linux/amd64//secondapp-1.0.deb",
        "secondapp/stable/./linux/amd64/secondapp-1.0.deb",
        "secondapp/stable/x/../linux/amd64/secondapp-1.0.deb",
        "SECONDAPP/stable/linux/amd64/secondapp-1.0.deb",
        "secondapp/stable/linux/amd64/secondapp-1.0.DEB",
        " secondapp/stable/linux/amd64/secondapp-1.0.deb",
        "secondapp%2Fstable%2Flinux%2Famd64%2Fsecondapp-1.0.deb%00",
        "%252e%252e%252fetc%252fpasswd",
    ];
    let (longest, data) = ("k".repeat(6000), server.data().join("packhouse.redb").display().to_string());
    for key in keys.iter().copied().chain([longest.as_str(), &data]) {
        let query = key.replace('\\', "%5C").replace(' ', "%20").replace('\u{ff}', "%C3%BF");
        let answer = ask(&server, &format!("/download?key={query}"));
        if key.contains("%00") {
            assert!(matches!(answer.status, 400 | 404), "{key}");
            is_error_of(&answer, answer.status);
        } else {
            answer.is_error(404, "file not found");
        }
        let answer = ask(&server, &format!("/download/{query}"));
        assert!(matches!(answer.status, 400 | 404), "{key}: {}", answer.status);
        is_error_of(&answer, answer.status);
        assert!(!answer.text().contains("root:"));
    }
    for bad in [
        "/download?key=%",
        "/download?key=%zz",
        "/download?key=%ff%fe",
        "/download/%",
        "/download/%zz/x",
        "/download/%ff",
    ] {
        let answer = ask(&server, bad);
        assert!(matches!(answer.status, 400 | 404), "{bad}: {}", answer.status);
        is_error_of(&answer, answer.status);
    }
}

#[test]
fn ranges_and_conditions() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let bytes = noise(6, 10_000);
    admin.release(&release("1.0"), &[("a.deb", &bytes)]);
    let path = format!("/download?key={KEY}");
    let etag = format!("\"{}\"", sha256(&bytes));
    let get = |headers: &[(&str, &str)]| {
        server.send(headers.iter().fold(Request::get(&path), |request, (name, value)| request.header(name, value)))
    };
    let single = [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=9990-", 9990, 9999),
        ("bytes=-10", 9990, 9999),
        ("bytes=9999-9999", 9999, 9999),
        ("bytes=9000-99999999", 9000, 9999),
        ("bytes=-99999", 0, 9999),
        ("bytes=0-", 0, 9999),
    ];
    for (range, from, to) in single {
        let answer = get(&[("Range", range)]);
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("Content-Range"), Some(format!("bytes {from}-{to}/10000").as_str()));
        assert!(answer.body == bytes[from..=to]);
    }
    for range in ["bytes=10000-", "bytes=10000-10001", "bytes=99999999999999999999-", "bytes=-0"] {
        let answer = get(&[("Range", range)]);
        assert_eq!((answer.status, answer.header("Content-Range")), (416, Some("bytes */10000")), "{range}");
    }
    for range in
        ["bytes=", "bytes=x-y", "bytes=5-2", "items=0-1", "bytes 0-1", "0-1", "bytes=1", "bytes=--1", "bytes=0-1-2"]
    {
        let answer = get(&[("Range", range)]);
        assert_eq!((answer.status, answer.body.len()), (200, 10_000), "{range}");
    }
    let answer = get(&[("Range", "bytes=0-99, 5000-5999, 9999-9999")]);
    assert_eq!(answer.status, 206);
    let parts = parts(&answer);
    assert_eq!(parts.len(), 3);
    for ((range, body), (from, to)) in parts.iter().zip([(0, 99), (5000, 5999), (9999, 9999)]) {
        assert_eq!(range, &format!("bytes {from}-{to}/10000"));
        assert!(*body == bytes[from..=to]);
    }
    for (headers, status) in [
        (vec![("If-None-Match", etag.as_str())], 304),
        (vec![("If-None-Match", "*")], 304),
        (vec![("If-None-Match", "\"other\"")], 200),
        (vec![("Range", "bytes=0-9"), ("If-Range", etag.as_str())], 206),
        (vec![("Range", "bytes=0-9"), ("If-Range", "\"other\"")], 200),
    ] {
        let answer = get(&headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("ETag"), Some(etag.as_str()));
    }
}

/// The parts of `multipart/byteranges`: what each covers, and its bytes.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let kind = answer.header("Content-Type").unwrap();
    let boundary =
        kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{kind}")).trim_matches('"');
    let mark = format!("\r\n--{boundary}").into_bytes();
    let body = [b"\r\n".as_slice(), &answer.body].concat();
    let body = if body.starts_with(&mark) { body } else { answer.body.clone() };
    let mut found = Vec::new();
    let mut rest = &body[mark.len()..];
    while !rest.starts_with(b"--") {
        let end = rest.windows(mark.len()).position(|window| window == mark).expect("no closing boundary");
        let part = &rest[..end];
        let head_end = part.windows(4).position(|window| window == b"\r\n\r\n").expect("no head");
        let head = String::from_utf8(part[..head_end].to_vec()).unwrap();
        let range = head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-range")));
        found.push((range.expect("no Content-Range").1.to_owned(), part[head_end + 4..].to_vec()));
        rest = &rest[end + mark.len()..];
    }
    found
}

#[test]
fn types() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("secondapp");
    let inert = "application/octet-stream";
    let files: [(&str, &[u8], &str); 12] = [
        ("a.html", b"<html><script>alert(1)</script>", inert),
        ("a.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", inert),
        ("a.xhtml", b"<html xmlns=\"http://www.w3.org/1999/xhtml\"/>", inert),
        ("a.js", b"alert(1)", inert),
        ("a.htm", b"<b>", inert),
        ("a.exe", b"MZ", inert),
        ("a.png", super::catalogue::PNG, inert),
        ("a.yml", b"a: b", "text/yaml"),
        ("a.yaml", b"a: b", "text/yaml"),
        ("a.json", b"{}", "application/json"),
        ("a.xml", b"<a/>", "application/xml"),
        ("a.pdf", b"%PDF-", inert),
    ];
    for (at, (name, bytes, kind)) in files.into_iter().enumerate() {
        admin.release(
            &json!({ "app_name": "secondapp", "version": format!("0.{at}"), "publish": true }),
            &[(name, bytes)],
        );
        let found = admin.versions("secondapp").remove(0)["Artifacts"][0]["Link"].as_str().unwrap().to_owned();
        let answer = ask(&server, local(&server, &found));
        let told = answer.header("Content-Type").unwrap();
        let ours = told == kind || told.strip_prefix(kind).is_some_and(|more| more.starts_with(';'));
        assert!(ours || told == inert, "{name}: {told}");
        assert!(answer.header("Content-Disposition").is_some_and(|value| value.starts_with("attachment")), "{name}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert!(answer.header("Content-Security-Policy").is_some_and(|value| value.contains("sandbox")), "{name}");
        assert_eq!(answer.body, bytes);
    }
}

#[test]
fn after_deletion() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let size = 24 << 20;
    let id = admin.release(&release("1.0"), &[("a.deb", &noise(8, size))]);
    let mut connection = server.connect();
    let answer = connection.begin(Request::get(&format!("/download?key={KEY}")));
    assert_eq!(answer.status, 200);
    let mut hash = <sha2::Sha256 as sha2::Digest>::new();
    let mut read = connection.body_into(10_000, &mut |block| sha2::Digest::update(&mut hash, block));
    admin.delete_version(&id);
    ask(&server, &format!("/download?key={KEY}")).is_error(404, "file not found");
    read += connection.body_into(u64::MAX, &mut |block| sha2::Digest::update(&mut hash, block));
    assert_eq!(read, size as u64);
    assert_eq!(crate::files::hex(&sha2::Digest::finalize(hash)), crate::files::sha256_of_noise(8, size as u64));
    drop(connection);
    is_tidy(&server, 0);
}

/// A private app `hidden` with one version; answers the links of its plain and of its path-form artifact.
fn hide(admin: &Person<'_>) -> (String, String) {
    admin.set_up();
    let updaters = json!([{ "type": "electron-builder", "default": true }]);
    admin.create_with("platform", &json!({ "platform": "electron", "updaters": updaters }));
    admin.create_app_with(&json!({ "app": "hidden", "private": true }), &[]);
    admin.release(&plus(&release("1.0.0"), json!({ "app_name": "hidden" })), &[("a.deb", b"hidden bytes")]);
    let more = json!({ "app_name": "hidden", "platform": "electron", "updater": "electron-builder" });
    admin.release(&plus(&release("1.0.0"), more), &[("latest.yml", b"hidden yml")]);
    let artifacts = admin.version("hidden")["Artifacts"].clone();
    let link = |at: usize| local(admin.server, artifacts[at]["Link"].as_str().unwrap()).to_owned();
    (link(0), link(1))
}

/// The pre-signed path in the answer to the query form.
#[track_caller]
fn signed(person: &Person<'_>, path: &str) -> String {
    let value = person.get(path).is_json(200);
    let url = value["download_url"].as_str().unwrap().to_owned();
    assert_eq!(value, json!({ "download_url": url }));
    person.server.secret(url.rsplit_once("signature=").unwrap().1);
    local(person.server, &url).to_owned()
}

#[test]
fn private_apps() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let (plain, yml) = hide(&admin);
    let path_form = format!("/download/{}", plain.split_once("key=").unwrap().1);
    let app = admin.list("app").into_iter().find(|entry| entry["AppName"] == "hidden").unwrap()["ID"].clone();
    let helpers = [
        admin.hire("may", &json!({ "apps": { "download": true, "allowed": [app] } })),
        admin.hire("flag-only", &json!({ "apps": { "download": true } })),
        admin.hire("list-only", &json!({ "apps": { "allowed": [app], "upload": true } })),
    ];
    for path in [&plain, &yml, &path_form] {
        is_error_of(&ask(&server, path), 401);
        is_error_of(&server.send(Request::get(path).header("Authorization", "Bearer x")), 401);
        is_error_of(&other.get(path), 403);
        is_error_of(&helpers[1].get(path), 403);
        helpers[2].get(path).is_error(403, "Permission denied");
        assert_eq!(server.send(Request::head(path)).status, 401);
    }
    // The path form gives the bytes themselves.
    assert_eq!(admin.get(&yml).body, b"hidden yml");
    for person in [&admin, &helpers[0]] {
        assert_eq!(person.get(&path_form).body, b"hidden bytes");
        let found = signed(person, &plain);
        let (start, end) = found.split_once("&expires=").unwrap();
        let (expires, signature) = end.split_once("&signature=").unwrap();
        assert_eq!(start, plain);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let left = expires.parse::<u64>().unwrap() - now;
        assert!((14 * 60..=15 * 60 + 60).contains(&left), "{left} s");
        assert!(signature.len() >= 32 && signature.bytes().all(|b| b.is_ascii_hexdigit()), "{signature}");
        // Valid for anybody, with ranges.
        assert_eq!(ask(&server, &found).body, b"hidden bytes");
        let part = server.send(Request::get(&found).header("Range", "bytes=7-"));
        assert_eq!((part.status, part.body.as_slice()), (206, b"bytes".as_slice()));
        assert_eq!(server.send(Request::head(&found)).status, 200);
        // As a redirect.
        let answer = person.get(&format!("{plain}&redirect=true"));
        let target = answer.header("Location").unwrap().to_owned();
        assert_eq!(answer.status, 302);
        server.secret(target.rsplit_once("signature=").unwrap().1);
        assert_eq!(ask(&server, local(&server, &target)).body, b"hidden bytes");
        assert!(target.starts_with(&base(&server)));
        // Altered or expired.
        let invalid = "link expired or invalid";
        let flipped =
            if signature.starts_with('0') { signature.replacen('0', "1", 1) } else { format!("0{}", &signature[1..]) };
        let later = expires.parse::<u64>().unwrap() + 1;
        for bad in [
            format!("{start}&expires={expires}&signature={flipped}"),
            format!("{start}&expires={later}&signature={signature}"),
            format!("{start}&expires={}&signature={signature}", now - 10_000),
            format!("{start}&expires=x&signature={signature}"),
            format!("{start}&expires=&signature={signature}"),
            format!("{start}&expires={expires}&signature="),
            format!("{start}&expires={expires}&signature={}", &signature[1..]),
            format!("{start}&expires={expires}&signature=größe"),
            format!("{start}&expires=99999999999999999999999&signature={signature}"),
        ] {
            let bad = bad.replace("größe", "gr%C3%B6%C3%9Fe");
            ask(&server, &bad).is_error(403, invalid);
        }
        // A signature opens one key only.
        admin.upload(&plus(&release("1.0.0"), json!({ "app_name": "hidden" })), &[("a.rpm", b"other bytes")]);
        let elsewhere = found.replace("hidden-1.0.0.deb", "hidden-1.0.0.rpm");
        ask(&server, &elsewhere).is_error(403, invalid);
    }
    // Unknown is unknown, whoever asks with a session.
    admin.get("/download?key=hidden/unknown").is_error(404, "file not found");
    // A check hands out links, not bytes.
    let told = super::check(&server, &super::and(&super::asks("0.0.1"), "app_name", "hidden")).is_json(200);
    assert_eq!(told["update_url_deb"], format!("{}{plain}", base(&server)));
}

#[test]
fn open_private_downloads() {
    let server = Packhouse::with().env("PACKHOUSE_PRIVATE_DOWNLOADS", "open").start();
    let admin = first(&server);
    let (plain, yml) = hide(&admin);
    assert_eq!(ask(&server, &yml).body, b"hidden yml");
    let answer = ask(&server, &plain);
    assert_eq!(answer.status, 302);
    let target = answer.header("Location").unwrap();
    server.secret(target.rsplit_once("signature=").unwrap().1);
    assert_eq!(ask(&server, local(&server, target)).body, b"hidden bytes");
}

#[test]
fn signed_links_survive_a_restart() {
    let mut server = Packhouse::start();
    let found = {
        let admin = first(&server);
        let (plain, _) = hide(&admin);
        signed(&admin, &plain)
    };
    server.kill();
    server.start_again(|builder| builder);
    assert_eq!(ask(&server, &found).body, b"hidden bytes");
}
