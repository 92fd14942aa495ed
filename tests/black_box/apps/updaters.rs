//! `faynosync.md` §8 and §11: `GET /checkVersion` with an updater.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{ADMIN_USER, Packhouse};

use super::{Person, and, ask, asks, base, check, first, is_exactly, local, plus, release};

/// A platform that has these updaters, the first of them the default.
fn platform(admin: &Person<'_>, name: &str, updaters: &[&str]) {
    let updaters: Vec<Value> =
        updaters.iter().enumerate().map(|(at, kind)| json!({ "type": kind, "default": at == 0 })).collect();
    admin.create_with("platform", &json!({ "platform": name, "updaters": updaters }));
}

/// What a client with `version` on `platform` is told.
#[track_caller]
fn told(server: &Packhouse, platform: &str, version: &str, updater: &str) -> Answer {
    check(server, &and(&and(&asks(version), "platform", platform), "updater", updater))
}

fn data(version: &str, platform: &str, updater: &str) -> Value {
    plus(&release(version), json!({ "platform": platform, "updater": updater }))
}

fn folder(server: &Packhouse, updater: &str, version: &str, platform: &str) -> String {
    format!("{}/download/{updater}/{ADMIN_USER}/secondapp/{version}/stable/{platform}/amd64", base(server))
}

#[test]
fn which_one() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let all = ["manual", "squirrel_darwin", "squirrel_windows", "sparkle", "electron-builder"];
    for updater in all {
        platform(&admin, updater, &[updater]);
        // Asked for by name, `manual` always, anything else not.
        for asked in all.iter().chain(&["squirrel", "tauri", "velopack", "unknown", "Manual", "<b>"]) {
            let answer = told(&server, updater, "1.0.0", asked);
            let configured =
                *asked == updater || *asked == "manual" || (*asked == "squirrel" && updater.starts_with("squirrel_"));
            if configured {
                assert_ne!(answer.status, 400, "{asked} on {updater}");
            } else {
                answer.is_error(400, "updater not supported");
            }
        }
    }
    // Nothing there yet: what each framework understands.
    for (updater, status) in
        [("squirrel_darwin", 204), ("electron-builder", 204), ("squirrel_windows", 404), ("sparkle", 404)]
    {
        for asked in ["", updater] {
            assert_eq!(told(&server, updater, "1.0.0", asked).status, status, "{updater}");
        }
    }
    is_exactly(&told(&server, "manual", "1.0.0", ""), 200, &json!({ "update_available": false, "error": "Not found" }));
    // Without a platform there is `manual` only.
    let bare = Packhouse::start();
    let admin = first(&bare);
    admin.create_app("secondapp");
    admin.release(&json!({ "app_name": "secondapp", "version": "1.0", "publish": true }), &[("a.deb", b"a")]);
    let pairs = [("app_name", "secondapp"), ("version", "0.9")];
    check(&bare, &and(&pairs, "updater", "manual")).is_json(200);
    check(&bare, &and(&pairs, "updater", "sparkle")).is_error(400, "updater not supported");
}

#[test]
fn squirrel_for_mac() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    platform(&admin, "mac", &["squirrel_darwin", "sparkle"]);
    admin.release(
        &plus(&data("1.0.0", "mac", "squirrel_darwin"), json!({ "changelog": "one" })),
        &[("App 1.zip", b"one")],
    );
    let text = "What \"is\" <new>\nand größe";
    let more = json!({ "changelog": text, "critical": true });
    admin.release(
        &plus(&data("1.1.0", "mac", "squirrel_darwin"), more),
        &[("x.dmg", b"dmg"), ("App größe 2.zip", b"two")],
    );
    for asked in ["", "squirrel", "squirrel_darwin"] {
        told(&server, "mac", "1.1.0", asked).is_empty(204);
        told(&server, "mac", "1.1.1", asked).is_empty(204);
        let value = told(&server, "mac", "1.0.0", asked).is_json(200);
        let url = value["url"].as_str().unwrap();
        assert_eq!(
            url,
            format!("{}/App%20gr%C3%B6%C3%9Fe%202.zip", folder(&server, "squirrel_darwin", "1.1.0", "mac"))
        );
        assert_eq!(super::fetch(&server, url), b"two");
        let date = value["pub_date"].as_str().unwrap();
        date.parse::<jiff::Timestamp>().unwrap_or_else(|e| panic!("{date}: {e}"));
        let expected = json!({ "url": url, "name": "1.1.0", "notes": text, "pub_date": date, "update_available": true, "critical": true });
        assert_eq!(value, expected);
    }
    // Ahead of the latest: only on request.
    let pairs = and(&and(&asks("2.0.0"), "platform", "mac"), "rollback", "true");
    assert_eq!(check(&server, &pairs).is_json(200)["name"], "1.1.0");
    let pairs = and(&and(&asks("1.1.0"), "platform", "mac"), "rollback", "true");
    check(&server, &pairs).is_empty(204);
    check(&server, &and(&pairs, "rollback", "false")).is_empty(204);
    // No archive in the latest: nothing is said.
    admin.release(&plus(&release("1.2.0"), json!({ "platform": "mac" })), &[("x.dmg", b"dmg")]);
    told(&server, "mac", "1.0.0", "").is_empty(204);
}

#[test]
fn squirrel_for_windows() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    platform(&admin, "win", &["squirrel_windows"]);
    for version in ["0.9.0", "1.0.0", "1.1.0"] {
        told(&server, "win", version, "").is_json(404);
    }
    let releases = "\u{feff}94689FEDE03FED7AB59C24337673A27837F0C3EC app-1.0.0-full.nupkg 3\r\n";
    admin.release(
        &data("1.0.0", "win", "squirrel_windows"),
        &[("RELEASES", releases.as_bytes()), ("app-1.0.0-full.nupkg", b"one")],
    );
    for asked in ["", "squirrel", "squirrel_windows"] {
        for version in ["0.9.0", "1.0.0", "1.1.0"] {
            let answer = told(&server, "win", version, asked);
            let feed = format!("{}/update/{ADMIN_USER}/secondapp/stable/win/amd64/{version}/RELEASES", base(&server));
            assert_eq!((answer.status, answer.header("Location")), (302, Some(feed.as_str())));
            // The client adds a query of its own, whose `arch` is not ours.
            let path = format!("{}?id=app&localVersion=0.1.0&arch=x86", local(&server, &feed));
            let answer = ask(&server, &path);
            assert_eq!((answer.status, answer.body.as_slice()), (200, releases.as_bytes()));
            assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("text/plain")));
        }
    }
    told(&server, "win", "1.0.0", "manual").is_json(200);
}

#[test]
fn electron_builder() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    platform(&admin, "electron", &["electron-builder"]);
    let leads_to = |version: &str, link: Option<&str>| {
        let answer = told(&server, "electron", version, "");
        match link {
            Some(link) => {
                assert_eq!((answer.status, answer.header("Location")), (302, Some(link)));
                assert_eq!(ask(&server, local(&server, link)).status, 200);
            }
            None => {
                answer.is_empty(204);
            }
        }
    };
    let yml =
        |version: &str, name: &str| format!("{}/{name}", folder(&server, "electron-builder", version, "electron"));
    admin.release(&data("1.0.0", "electron", "electron-builder"), &[("b.yml", b"b"), ("a.yml", b"a"), ("a.exe", b"x")]);
    leads_to("0.9.0", Some(&yml("1.0.0", "b.yml")));
    leads_to("1.0.0", None);
    leads_to("1.0.1", None);
    admin.release(
        &data("1.1.0", "electron", "electron-builder"),
        &[("a.yaml", b"a"), ("latest-linux.yml", b"l"), ("a.exe", b"x")],
    );
    leads_to("0.9.0", Some(&yml("1.1.0", "latest-linux.yml")));
    admin.release(
        &data("1.2.0", "electron", "electron-builder"),
        &[("a.yml", b"a"), ("latest-mac.yml", b"l"), ("a.exe", b"x")],
    );
    leads_to("0.9.0", Some(&yml("1.2.0", "latest-mac.yml")));
    admin.release(
        &data("1.3.0", "electron", "electron-builder"),
        &[("latest-linux.yml", b"l"), ("latest.yml", b"a"), ("a.exe", b"x")],
    );
    leads_to("0.9.0", Some(&yml("1.3.0", "latest.yml")));
    // No yml in the latest.
    let id = admin.release(&plus(&release("1.4.0"), json!({ "platform": "electron" })), &[("a.exe", b"x")]);
    leads_to("0.9.0", None);
    admin.delete_version(&id);
    leads_to("0.9.0", Some(&yml("1.3.0", "latest.yml")));
    // Back on request.
    let pairs = and(&and(&asks("2.0.0"), "platform", "electron"), "rollback", "true");
    assert_eq!(check(&server, &pairs).header("Location"), Some(yml("1.3.0", "latest.yml").as_str()));
    // The link is the path form, served as YAML; what the yml names lies beside it.
    let answer = ask(&server, local(&server, &yml("1.3.0", "latest.yml")));
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("text/yaml")));
    assert_eq!(super::fetch(&server, &yml("1.3.0", "a.exe")), b"x");
}

#[test]
fn sparkle() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    platform(&admin, "mac", &["sparkle"]);
    assert_eq!(told(&server, "mac", "1.0.0", "").status, 404);
    admin.release(&data("1.0.0", "mac", "sparkle"), &[("a.zip", b"one")]);
    for version in ["0.9.0", "1.0.0", "1.1.0"] {
        let answer = told(&server, "mac", version, "");
        assert_eq!(answer.status, 200);
        assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("application/xml")));
        let feed = format!("/update/{ADMIN_USER}/secondapp/stable/mac/amd64/{version}/appcast.xml");
        assert_eq!(ask(&server, &feed).body, answer.body);
    }
    let told = told(&server, "mac", "0.9.0", "manual").is_json(200);
    assert_eq!(told["update_available"], true);
}
