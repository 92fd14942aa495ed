//! `faynosync.md` §11: the update folder, byte for byte, and the appcast.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{noise, segment, sha256};
use crate::server::{ADMIN_USER, Packhouse};

use super::{Person, ask, base, first, is_error_of, plus, release, sign_up};

const FOLDER: &str = "secondapp/stable/all/amd64";

#[track_caller]
fn get(server: &Packhouse, version: &str, file: &str) -> Answer {
    ask(server, &format!("/update/{ADMIN_USER}/{FOLDER}/{version}/{file}"))
}

#[track_caller]
fn holds(server: &Packhouse, version: &str, file: &str, bytes: &[u8], kind: &str) {
    let answer = get(server, version, file);
    assert_eq!(answer.status, 200, "{file}: {}", String::from_utf8_lossy(&answer.body));
    assert!(answer.body == bytes, "{file}: other bytes");
    let told = answer.header("Content-Type").unwrap();
    assert!(told == kind || told.starts_with(&format!("{kind};")), "{file}: {told}");
    let head = server.send(Request::head(&format!("/update/{ADMIN_USER}/{FOLDER}/{version}/{file}")));
    assert_eq!(head.status, 200);
    assert_eq!(head.header("Content-Length"), Some(bytes.len().to_string().as_str()));
}

fn set_up(admin: &Person<'_>) {
    admin.set_up();
    let all = ["manual", "squirrel_darwin", "squirrel_windows", "sparkle", "electron-builder"];
    let updaters: Vec<Value> = all.iter().map(|kind| json!({ "type": kind, "default": *kind == "manual" })).collect();
    admin.create_with("platform", &json!({ "platform": "all", "updaters": updaters }));
}

fn data(version: &str, updater: &str) -> Value {
    plus(&release(version), json!({ "platform": "all", "updater": updater }))
}

#[test]
fn a_static_feed() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let releases = ["", "1", "2", "3"]
        .map(|n| format!("94689FEDE03FED7AB59C24337673A27837F0C3EC app-1.{n}.0-full.nupkg 7 # 10%\n"));
    let old = noise(1, 70_000);
    let new = noise(2, 80_000);
    admin.release(
        &data("1.0.0", "electron-builder"),
        &[
            ("latest.yml", b"version: 1.0.0\r\n\xff"),
            ("App 1.0.0.exe", &old),
            ("App 1.0.0.exe.blockmap", b"m1"),
            ("same.exe", b"1"),
        ],
    );
    admin.release(
        &data("1.1.0", "electron-builder"),
        &[
            ("latest.yml", b"version: 1.1.0"),
            ("App 1.1.0.exe", &new),
            ("App 1.1.0.exe.blockmap", b"m2"),
            ("same.exe", b"2"),
        ],
    );
    admin.release(
        &data("1.2.0", "squirrel_windows"),
        &[("releases", releases[2].as_bytes()), ("app-1.2.0-full.nupkg", b"nupkg 2")],
    );
    let draft = plus(&data("1.3.0", "electron-builder"), json!({ "publish": false }));
    let draft =
        admin.release(&draft, &[("latest.yml", b"version: 1.3.0"), ("App 1.3.0.exe", b"draft"), ("same.exe", b"3")]);
    for version in ["0.1.0", "1.0.0", "9-9-9"] {
        // The highest published version that has the feed.
        holds(&server, version, "latest.yml", b"version: 1.1.0", "text/yaml");
        holds(&server, version, "RELEASES", releases[2].as_bytes(), "text/plain");
        holds(&server, version, "Releases", releases[2].as_bytes(), "text/plain");
        holds(&server, version, "latest.yml?noCache=1f0g", b"version: 1.1.0", "text/yaml");
        // Any other name: the highest version that has it.
        holds(&server, version, "App%201.0.0.exe", &old, "application/octet-stream");
        holds(&server, version, "App%201.1.0.exe", &new, "application/octet-stream");
        holds(&server, version, "App%201.1.0.exe.blockmap", b"m2", "application/octet-stream");
        holds(&server, version, "same.exe", b"2", "application/octet-stream");
        holds(&server, version, "app-1.2.0-full.nupkg", b"nupkg 2", "application/octet-stream");
        for unknown in [
            "latest-mac.yml",
            "Latest.yml",
            "App%201.3.0.exe",
            "app%201.0.0.exe",
            "",
            "..",
            "%2e%2e",
            "unknown.exe",
            "a%2Fb",
            "a/b",
        ] {
            let answer = get(&server, version, unknown);
            assert!(matches!(answer.status, 400 | 404), "{unknown}: {}", answer.status);
            is_error_of(&answer, answer.status);
        }
    }
    admin.changes(&json!({ "id": draft, "app_name": "secondapp", "version": "1.3.0", "publish": true }), &[]);
    holds(&server, "1.0.0", "latest.yml", b"version: 1.3.0", "text/yaml");
    holds(&server, "1.0.0", "same.exe", b"3", "application/octet-stream");
    admin.delete_version(&draft);
    holds(&server, "1.0.0", "latest.yml", b"version: 1.1.0", "text/yaml");
    // Ranges.
    let path = format!("/update/{ADMIN_USER}/{FOLDER}/1.0.0/App%201.1.0.exe");
    let part = server.send(Request::get(&path).header("Range", "bytes=100-199"));
    assert_eq!((part.status, part.header("Content-Range")), (206, Some("bytes 100-199/80000")));
    assert_eq!(part.body, new[100..200]);
    let etag = format!("\"{}\"", sha256(&new));
    assert_eq!(part.header("ETag"), Some(etag.as_str()));
    // A yml may be fetched with a condition, never answered as 204.
    let path = format!("/update/{ADMIN_USER}/{FOLDER}/1.1.0/latest.yml");
    assert_eq!(ask(&server, &path).status, 200);
}

#[test]
fn places() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    other.create_app("secondapp");
    let bare = json!({ "app_name": "secondapp", "version": "1.0.0", "publish": true, "updater": "electron-builder" });
    other.release(&bare, &[("latest.yml", b"bare"), ("a.exe", b"x")]);
    // `-` is an unset channel, platform or architecture.
    let answer = ask(&server, "/update/other/secondapp/-/-/-/1.0.0/latest.yml");
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"bare".as_slice()));
    set_up(&admin);
    admin.release(&data("1.0.0", "electron-builder"), &[("latest.yml", b"here"), ("a.exe", b"x")]);
    let good = ["update", ADMIN_USER, "secondapp", "stable", "all", "amd64", "1.0.0", "latest.yml"];
    let path = |parts: &[&str]| format!("/{}", parts.join("/"));
    assert_eq!(ask(&server, &path(&good)).body, b"here");
    // Another place has other files.
    for (at, wrong) in [
        (1, "other"),
        (1, "unknown"),
        (2, "unknown"),
        (3, "nightly"),
        (3, "-"),
        (3, "unknown"),
        (4, "linux"),
        (4, "-"),
        (5, "arm64"),
        (5, "-"),
        (5, "%ff"),
        (2, "%00"),
        (3, ".."),
        (3, "%2e%2e"),
    ] {
        let mut parts = good;
        parts[at] = wrong;
        let answer = ask(&server, &path(&parts));
        assert!(matches!(answer.status, 400 | 404), "{parts:?}: {}", answer.status);
        is_error_of(&answer, answer.status);
    }
    for version in ["x", "1.x", "latest", "%20", "1..2"] {
        let mut parts = good;
        parts[6] = version;
        let answer = ask(&server, &path(&parts));
        assert!(matches!(answer.status, 400 | 404), "{version}: {}", answer.status);
    }
    // Names are percent-decoded once.
    admin.create_app("My App");
    admin.release(
        &plus(&data("1.0.0", "electron-builder"), json!({ "app_name": "My App" })),
        &[("latest.yml", b"mine"), ("größe 100%.exe", b"x")],
    );
    let folder = format!("/update/{}/My%20App/stable/a%6Cl/amd64/0-9", segment(ADMIN_USER));
    assert_eq!(ask(&server, &format!("{folder}/latest.yml")).body, b"mine");
    assert_eq!(ask(&server, &format!("{folder}/{}", segment("größe 100%.exe"))).body, b"x");
    assert_eq!(server.send(Request::post(&path(&good))).status, 405);
}

#[test]
fn private_folders() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    admin.create_app_with(&json!({ "app": "hidden", "private": true }), &[]);
    admin.release(
        &plus(&data("1.0.0", "electron-builder"), json!({ "app_name": "hidden" })),
        &[("latest.yml", b"yml"), ("a.exe", b"bytes")],
    );
    let other = sign_up(&server, "other");
    for file in ["latest.yml", "a.exe", "unknown.exe"] {
        let path = format!("/update/{ADMIN_USER}/hidden/stable/all/amd64/1.0.0/{file}");
        is_error_of(&ask(&server, &path), 401);
        let answer = other.get(&path);
        assert!(matches!(answer.status, 403 | 404));
        assert_eq!(admin.get(&path).status, if file.starts_with('u') { 404 } else { 200 });
    }
    assert_eq!(admin.get(&format!("/update/{ADMIN_USER}/hidden/stable/all/amd64/1.0.0/a.exe")).body, b"bytes");
}

#[test]
fn the_appcast() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    assert_eq!(get(&server, "1.0.0", "appcast.xml").status, 404);
    let archive = noise(3, 12_345);
    let changelog = "<h1>Größe</h1> & ]]> \"more\"]]>]]>\n";
    admin.release(
        &plus(&data("1.0.0", "sparkle"), json!({ "signature": "sig+/=\"<&" })),
        &[("App & <1>.zip", &archive)],
    );
    admin.release(
        &plus(&data("1.10.0", "sparkle"), json!({ "changelog": changelog, "critical": true })),
        &[("notes.txt", b"n"), ("App.dmg", b"dmg")],
    );
    admin.release(&data("1.9.0", "sparkle"), &[("App.tar.xz", b"tar")]);
    admin.release(&data("1.11.0", "sparkle"), &[("notes.txt", b"n")]);
    admin.release(&plus(&data("1.12.0", "sparkle"), json!({ "publish": false })), &[("App.zip", b"z")]);
    let answer = get(&server, "1.0.0", "appcast.xml");
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("application/xml")));
    let text = answer.text();
    let folder =
        |version: &str| format!("{}/download/sparkle/{ADMIN_USER}/secondapp/{version}/stable/all/amd64", base(&server));
    let items: Vec<&str> = text.split("<item>").skip(1).collect();
    let versions = ["1.10.0", "1.9.0", "1.0.0"];
    assert_eq!(items.len(), versions.len(), "{text}");
    assert!(text.contains("xmlns:sparkle=\"http://www.andymatuschak.org/xml-namespaces/sparkle\""), "{text}");
    for (item, version) in items.iter().zip(versions) {
        assert!(item.contains(&format!("<sparkle:version>{version}</sparkle:version>")), "{item}");
        assert!(
            item.contains(&format!("<sparkle:shortVersionString>{version}</sparkle:shortVersionString>")),
            "{item}"
        );
        assert_eq!(item.contains("<sparkle:criticalUpdate"), version == "1.10.0");
        assert_eq!(item.contains("<description>"), version == "1.10.0");
        assert_eq!(item.contains("sparkle:edSignature"), version == "1.0.0");
        let file = if version == "1.0.0" {
            "App%20%26%20%3C1%3E.zip"
        } else if version == "1.9.0" {
            "App.tar.xz"
        } else {
            "App.dmg"
        };
        let url = format!("url=\"{}/{file}\"", folder(version));
        assert!(item.contains(&url), "{url} is not in {item}");
    }
    assert!(items[2].contains("length=\"12345\""), "{}", items[2]);
    assert!(!text.contains("App & <1>"));
    // The independent parser of `clients.rs` reads the same feed.
    super::clients::reads_appcast(
        &server,
        &format!("/update/{ADMIN_USER}/{FOLDER}/1.0.0/appcast.xml"),
        &json!([
            { "version": "1.10.0", "critical": true, "description": changelog, "url": format!("{}/App.dmg", folder("1.10.0")), "length": 3, "signature": null },
            { "version": "1.9.0", "critical": false, "description": null, "url": format!("{}/App.tar.xz", folder("1.9.0")), "length": 3, "signature": null },
            { "version": "1.0.0", "critical": false, "description": null, "url": format!("{}/App%20%26%20%3C1%3E.zip", folder("1.0.0")), "length": 12345, "signature": "sig+/=\"<&" },
        ]),
    );
}

#[test]
fn the_archive_of_an_item() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let order = ["a.msi", "a.exe", "a.tar.gz", "a.pkg", "a.dmg", "a.zip"];
    for count in 1..=order.len() {
        let files: Vec<(&str, &[u8])> = order[..count].iter().map(|name| (*name, b"x".as_slice())).collect();
        admin.release(&data(&format!("1.{count}.0"), "sparkle"), &files);
        let answer = get(&server, "1.0.0", "appcast.xml");
        let first = answer.text().split("<item>").nth(1).unwrap();
        assert!(first.contains(&format!("/{}\"", order[count - 1])), "{count}: {first}");
    }
}

#[test]
fn the_appcast_stays_xml() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let controls: String =
        ('\u{0}'..='\u{20}').chain(['\u{7f}', '\u{85}', '\u{fffe}', '\u{ffff}', '\u{2028}', '🦀']).collect();
    let texts = [controls.as_str(), "]]>", "]]", "]]>]]>", "<![CDATA[", "&amp;&#0;&lt;", "-->", "<?xml?>", "\r\n\r"];
    for (at, text) in texts.iter().enumerate() {
        let more = json!({ "changelog": text, "signature": "\"<&>'" });
        admin.release(&plus(&data(&format!("1.{at}.0"), "sparkle"), more), &[("a&b'<\">.zip", b"x")]);
    }
    let path = format!("/update/{ADMIN_USER}/{FOLDER}/1.0.0/appcast.xml");
    let items = super::clients::appcast(&ask(&server, &path).body);
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), texts.len());
    for (item, text) in items.iter().rev().zip(texts).skip(1) {
        // XML itself makes one line end of each.
        let read = text.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(item["description"], json!(read));
    }
    for host in ["a&b", "a'b", "<x>", "x:80", "xn--gre-6ka8i.example"] {
        let mut connection = server.connect();
        connection
            .write(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let answer = connection.answer("GET");
        assert!(matches!(answer.status, 200 | 400), "{host}: {}", answer.status);
        if answer.status == 200 {
            assert_eq!(super::clients::appcast(&answer.body).as_array().unwrap().len(), texts.len(), "{host}");
        }
    }
}
