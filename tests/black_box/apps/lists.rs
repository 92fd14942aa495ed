//! `faynosync.md` §7: `/search` and the deprecated list at `/`.

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::Packhouse;

use super::{Pairs, Person, first, is_error_of, is_exactly, plus, release, sign_up};

#[track_caller]
fn shown(value: &Value) -> Vec<String> {
    let versions = value["apps"].as_array().unwrap_or_else(|| panic!("no apps: {value}"));
    versions.iter().map(|v| format!("{} {}", v["Version"].as_str().unwrap(), v["Channel"].as_str().unwrap())).collect()
}

#[test]
fn filters() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let upload = |version: &str,
                  channel: &str,
                  platform: &str,
                  arch: &str,
                  publish: bool,
                  critical: bool,
                  file: &str| {
        let more =
            json!({ "channel": channel, "platform": platform, "arch": arch, "publish": publish, "critical": critical });
        admin.release(&plus(&release(version), more), &[(file, b"x")]);
    };
    upload("0.0.9", "stable", "linux", "amd64", true, false, "a.deb");
    upload("0.0.10", "stable", "linux", "amd64", true, true, "a.deb");
    upload("0.0.10", "stable", "windows", "arm64", true, true, "a.exe");
    upload("0.0.10", "nightly", "linux", "arm64", false, false, "a.deb");
    upload("0.0.2", "nightly", "windows", "amd64", false, true, "a.exe");
    let all = ["0.0.10 nightly", "0.0.10 stable", "0.0.9 stable", "0.0.2 nightly"];
    let cases: [(Pairs<'_>, &[&str]); 19] = [
        (&[], &all),
        (&[("channel", "stable")], &["0.0.10 stable", "0.0.9 stable"]),
        (&[("channel", "nightly")], &["0.0.10 nightly", "0.0.2 nightly"]),
        (&[("platform", "linux")], &["0.0.10 nightly", "0.0.10 stable", "0.0.9 stable"]),
        (&[("platform", "windows")], &["0.0.10 stable", "0.0.2 nightly"]),
        (&[("arch", "arm64")], &["0.0.10 nightly", "0.0.10 stable"]),
        // One artifact must have both.
        (&[("platform", "windows"), ("arch", "amd64")], &["0.0.2 nightly"]),
        (&[("platform", "linux"), ("arch", "arm64")], &["0.0.10 nightly"]),
        (&[("published", "true")], &["0.0.10 stable", "0.0.9 stable"]),
        (&[("published", "false")], &["0.0.10 nightly", "0.0.2 nightly"]),
        (&[("critical", "true")], &["0.0.10 stable", "0.0.2 nightly"]),
        (&[("critical", "false")], &["0.0.10 nightly", "0.0.9 stable"]),
        (&[("channel", "stable"), ("critical", "false"), ("published", "true"), ("arch", "amd64")], &["0.0.9 stable"]),
        (&[("channel", "unknown")], &[]),
        (&[("platform", "unknown")], &[]),
        (&[("arch", "AMD64")], &[]),
        (&[("channel", "' or 1=1 --")], &[]),
        (&[("channel", "")], &all),
        (&[("channel", ""), ("platform", ""), ("arch", ""), ("published", ""), ("critical", "")], &all),
    ];
    for (pairs, expected) in cases {
        let told = admin.search("secondapp", pairs);
        assert_eq!(shown(&told), expected, "{pairs:?}");
        let frame = json!({ "total": expected.len(), "page": 1, "limit": 100 });
        for (key, value) in frame.as_object().unwrap() {
            assert_eq!(&told[key], value, "{pairs:?}: {key}");
        }
        // Names beyond these four only as §14 allows.
        let known = |key: &String| ["apps", "total", "page", "limit", "items"].contains(&key.as_str());
        assert!(told.as_object().unwrap().keys().all(known));
    }
    assert_eq!(shown(&admin.search("unknown", &[])), Vec::<String>::new());
    assert_eq!(shown(&admin.search("a/b", &[])), Vec::<String>::new());
    admin.get("/search").is_error(400, "app_name is required");
    admin.get("/search?app_name=").is_error(400, "app_name is required");
    admin.get("/search?channel=stable").is_error(400, "app_name is required");
}

#[test]
fn pages() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("secondapp");
    for n in 0..25 {
        admin.release(&json!({ "app_name": "secondapp", "version": format!("0.0.{n}") }), &[("a.deb", b"x")]);
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("0.0.{n} ")).collect();
    let page = |page: &str, limit: &str| admin.search("secondapp", &[("page", page), ("limit", limit)]);
    let mut all = Vec::new();
    for at in 1..=4 {
        let told = page(&at.to_string(), "10");
        assert_eq!((&told["total"], &told["page"], &told["limit"]), (&json!(25), &json!(at), &json!(10)));
        all.extend(shown(&told));
    }
    assert_eq!(all, expected);
    assert_eq!(shown(&page("25", "1")), ["0.0.0 "]);
    assert!(shown(&page("26", "1")).is_empty());
    assert!(shown(&page("999999999", "1000")).is_empty());
    assert!(shown(&page("9223372036854775807", "1000")).is_empty());
    // What is not a positive integer means the default; above 1000 is 1000.
    for bad in ["0", "-1", "x", "", "1.5", "1e3", "18446744073709551616", "99999999999999999999999999"] {
        let told = page(bad, "7");
        assert_eq!((&told["limit"], told["apps"].as_array().unwrap().len()), (&json!(7), 7), "page {bad:?}: {told}");
        assert_eq!(told["page"], 1, "page {bad:?}");
    }
    for bad in ["0", "-1", "x", "", "1.5", "1e3"] {
        let told = page("1", bad);
        assert_eq!((&told["limit"], told["apps"].as_array().unwrap().len()), (&json!(100), 25), "limit {bad:?}");
    }
    for large in ["1000", "1001", "4294967296"] {
        assert_eq!(page("1", large)["limit"], 1000);
    }
    let list = |query: &str| shown(&admin.get(&format!("/{query}")).is_json(200));
    assert_eq!(list(""), expected);
    assert_eq!(list("?limit=3"), expected[..3]);
    assert_eq!(list("?limit=x"), expected);
}

#[test]
fn the_list_at_the_root() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    is_exactly(&admin.get("/"), 200, &json!({ "apps": [] }));
    admin.set_up();
    admin.create_app("Another");
    other.set_up();
    other.release(&release("9.9.9"), &[("a.deb", b"x")]);
    admin.release(&release("0.0.9"), &[("a.deb", b"x")]);
    admin.release(&release("0.0.10"), &[("a.deb", b"x")]);
    admin.release(&plus(&release("0.0.10"), json!({ "channel": "nightly" })), &[("a.deb", b"x")]);
    admin.release(&plus(&release("0.0.1"), json!({ "app_name": "Another" })), &[("a.deb", b"x")]);
    let told = admin.get("/").is_json(200);
    assert_eq!(told.as_object().unwrap().len(), 1);
    assert_eq!(shown(&told), ["0.0.1 stable", "0.0.10 nightly", "0.0.10 stable", "0.0.9 stable"]);
    let names: Vec<&Value> = told["apps"].as_array().unwrap().iter().map(|version| &version["AppName"]).collect();
    assert_eq!(names, ["Another", "secondapp", "secondapp", "secondapp"]);
    // The same objects as in a search.
    assert_eq!(told["apps"][1], admin.search("secondapp", &[])["apps"][0]);
    assert_eq!(shown(&other.get("/").is_json(200)), ["9.9.9 stable"]);
    // A bad token is told so; without the header it is another page.
    let bad = Person { token: "x".to_owned(), ..admin.clone() };
    is_error_of(&bad.get("/"), 401);
    let answer = server.send(Request::get("/"));
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("secondapp"));
}

#[test]
fn markup_is_data() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("secondapp");
    let texts = [
        "<script>alert(1)</script>",
        "\"'`<!--&amp;]]>\u{2028}\u{202e}",
        "</textarea><img src=x onerror=alert(1)>",
        "{{7*7}} ${7*7} $(id) `id` ; rm -rf /",
        "'; drop table apps; --",
        "\u{0}\u{1}\u{7f}",
        "größe 🦀\r\n\tend",
    ];
    for (at, text) in texts.iter().enumerate() {
        let data = json!({ "app_name": "secondapp", "version": format!("0.{at}"), "publish": true, "changelog": text });
        admin.release(&data, &[("a.deb", b"x")]);
        let answer = admin.get("/search?app_name=secondapp&limit=1");
        assert_eq!(answer.is_json(200)["apps"][0]["Changelog"][0]["Changes"], json!(text));
        let told = super::check(&server, &[("app_name", "secondapp"), ("version", "0")]);
        if at > 0 {
            assert_eq!(told.is_json(200)["changelog"], json!(format!("{text}\n")));
        }
    }
}

#[test]
fn long_changelogs_do_not_fill_the_memory() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let changelog = "é\"".repeat(150_000);
    for at in 0..60 {
        let data = plus(&release(&format!("1.{at}")), json!({ "changelog": changelog }));
        admin.release(&data, &[("a.deb", b"a")]);
    }
    server.forget_peak();
    let before = server.memory();
    let found = admin.search("secondapp", &[]);
    assert_eq!(
        (found["total"].clone(), found["page"].clone(), found["limit"].clone()),
        (json!(60), json!(1), json!(100))
    );
    let versions = |list: &Value, key: &str| {
        let list = list.as_array().unwrap().iter();
        list.map(|entry| {
            assert_eq!(entry["Changelog"][0]["Changes"], json!(changelog));
            assert_eq!(entry["Artifacts"][0][key], "a.deb");
            entry["Version"].as_str().unwrap().to_owned()
        })
        .collect::<Vec<_>>()
    };
    let newest_first: Vec<String> = (0..60).rev().map(|at| format!("1.{at}")).collect();
    assert_eq!(versions(&found["apps"], "FileName"), newest_first);
    assert_eq!(versions(&found["items"], "filename"), newest_first);
    let listed = admin.get("/").is_json(200);
    assert_eq!(versions(&listed["apps"], "FileName"), newest_first);
    // Both answers hold some 27 and 54 MB of text.
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more");
}
