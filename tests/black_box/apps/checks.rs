//! `faynosync.md` §8: `GET /checkVersion` for clients without a framework of their own.

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::{ADMIN_USER, Packhouse};

use super::{and, asks, check, first, is_exactly, link, plus, release, sign_up, without};

const DEB: &[(&str, &[u8])] = &[("a.deb", b"deb bytes")];

const UNKNOWN: &str = "app_name not found in apps_meta collection";

fn url(server: &Packhouse, version: &str, extension: &str) -> String {
    link(server, &format!("secondapp/stable/linux/amd64/secondapp-{version}{extension}"))
}

#[test]
fn shape() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("0.0.1"), DEB);
    let good = asks("0.0.1");
    for bad in ["", " x", "a/b", "größe", &"n".repeat(101), "x."] {
        check(&server, &and(&good, "app_name", bad)).is_error(400, "invalid app_name parameter");
    }
    check(&server, &without(&good, "app_name")).is_error(400, "invalid app_name parameter");
    check(&server, &without(&good, "version")).is_error(400, "invalid version parameter");
    for key in ["channel", "platform", "arch"] {
        for bad in [".x", "a b", "a/b", "größe", &"n".repeat(65)] {
            check(&server, &and(&good, key, bad)).is_error(400, &format!("invalid {key} parameter"));
        }
    }
    // Shape before existence, existence before what is required.
    check(&server, &[("app_name", "unknown"), ("version", "x")]).is_error(400, "invalid version parameter");
    for bad in ["unknown", "Secondapp"] {
        check(&server, &and(&good, "app_name", bad)).is_error(404, UNKNOWN);
        check(&server, &[("app_name", bad), ("version", "1")]).is_error(404, UNKNOWN);
    }
    for owner in ["unknown", &ADMIN_USER.to_uppercase(), "a/b", "größe"] {
        check(&server, &and(&good, "owner", owner)).is_error(404, UNKNOWN);
    }
    for key in ["channel", "platform", "arch"] {
        let required = format!("you have a created {key}s, setting {key} is required");
        check(&server, &without(&good, key)).is_error(400, &required);
        check(&server, &and(&good, key, "")).is_error(400, &required);
        let capital = format!("{}{}", key[..1].to_uppercase(), &key[1..]);
        check(&server, &and(&good, key, "unknown"))
            .is_error(400, &format!("wrong name of {key}. {capital} does not exist"));
    }
    // Empty is absent.
    check(&server, &and(&and(&good, "owner", ""), "updater", "")).is_json(200);
    check(&server, &and(&good, "owner", ADMIN_USER)).is_json(200);
    check(&server, &and(&good, "unknown", "x")).is_json(200);
}

#[test]
fn nothing_found() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let none = json!({ "update_available": false, "error": "Not found" });
    is_exactly(&check(&server, &asks("0.0.1")), 200, &none);
    admin.release(&plus(&release("0.0.1"), json!({ "publish": false })), DEB);
    admin.release(&plus(&release("0.0.2"), json!({ "arch": "arm64" })), DEB);
    admin.release(&plus(&release("0.0.3"), json!({ "channel": "nightly" })), DEB);
    admin.release(&plus(&release("0.0.4"), json!({ "platform": "windows" })), DEB);
    is_exactly(&check(&server, &asks("0.0.1")), 200, &none);
    admin.release(&release("0.0.0"), DEB);
    assert_eq!(check(&server, &asks("0.0.0")).is_json(200)["update_url_deb"], url(&server, "0.0.0", ".deb"));
}

#[test]
fn answers() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let files: &[(&str, &[u8])] = &[
        ("a.deb", b"d"),
        ("a.tar.gz", b"t"),
        ("a", b"n"),
        ("My.AppImage", b"a"),
        ("a.deb.blockmap", b"b"),
        ("a.nupkg", b"p"),
    ];
    admin.release(&release("0.0.1"), DEB);
    admin.release(&plus(&release("0.0.2"), json!({ "changelog": "What is new", "critical": true })), files);
    admin.release(&plus(&release("0.0.2"), json!({ "arch": "arm64" })), &[("a.rpm", b"r")]);
    let urls = json!({
        "update_url_deb": url(&server, "0.0.2", ".deb"),
        "update_url_tar.gz": url(&server, "0.0.2", ".tar.gz"),
        "update_url": url(&server, "0.0.2", ""),
        "update_url_AppImage": url(&server, "0.0.2", ".AppImage"),
    });
    let told = |version: &str| check(&server, &asks(version)).is_json(200);
    let older = json!({ "update_available": true, "critical": true, "changelog": "What is new\n" });
    assert_eq!(told("0.0.1"), plus(&older, urls.clone()));
    assert_eq!(told("0"), plus(&older, urls.clone()));
    // Also without an update the links are told; the changelog of what the client has is not.
    let same = json!({ "update_available": false, "critical": false, "possible_rollback": false });
    assert_eq!(told("0.0.2"), plus(&same, urls.clone()));
    assert_eq!(told("0.0.2.0"), plus(&same, urls.clone()));
    let ahead = json!({ "update_available": false, "critical": false, "possible_rollback": true, "changelog": "What is new\n" });
    assert_eq!(told("0.0.3"), plus(&ahead, urls.clone()));
    // `manual` may always be asked for.
    assert_eq!(check(&server, &and(&asks("0.0.1"), "updater", "manual")).is_json(200), plus(&older, urls.clone()));
    // An empty changelog is left out; a flag is of the latest only.
    admin.release(&release("0.0.3"), DEB);
    let expected =
        json!({ "update_available": true, "critical": false, "update_url_deb": url(&server, "0.0.3", ".deb") });
    assert_eq!(told("0.0.1"), expected);
    // Other arches keep their own latest.
    let arm = check(&server, &and(&asks("0.0.2"), "arch", "arm64")).is_json(200);
    let key = link(&server, "secondapp/stable/linux/arm64/secondapp-0.0.2.rpm");
    assert_eq!(
        arm,
        json!({ "update_available": false, "critical": false, "possible_rollback": false, "update_url_rpm": key })
    );
}

#[test]
fn signatures() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&plus(&release("0.0.1"), json!({ "signature": "c2lnbmF0dXJl+/=" })), DEB);
    assert_eq!(check(&server, &asks("0.0.0")).is_json(200)["signature"], "c2lnbmF0dXJl+/=");
    admin.release(&release("0.0.2"), DEB);
    assert_eq!(check(&server, &asks("0.0.0")).is_json(200)["signature"], Value::Null);
}

#[test]
fn the_first_of_an_extension() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let updaters = json!([{ "type": "manual", "default": true }, { "type": "electron-builder" }]);
    admin.create_with("platform", &json!({ "platform": "both", "updaters": updaters }));
    let data = plus(&release("1.0.0"), json!({ "platform": "both", "updater": "electron-builder" }));
    admin.release(&data, &[("latest.yml", b"y"), ("b.exe", b"first"), ("a.exe", b"second")]);
    let told = check(&server, &and(&asks("0.9.0"), "platform", "both")).is_json(200);
    let folder =
        format!("{}/download/electron-builder/{ADMIN_USER}/secondapp/1.0.0/stable/both/amd64", super::base(&server));
    assert_eq!(told["update_url_exe"], format!("{folder}/b.exe"));
    assert_eq!(told["update_url_yml"], format!("{folder}/latest.yml"));
}

#[test]
fn without_kinds() {
    let server = Packhouse::start();
    let admin = first(&server);
    sign_up(&server, "other").set_up();
    admin.create_app("secondapp");
    let data = json!({ "app_name": "secondapp", "version": "0.0.2", "publish": true });
    admin.release(&data, DEB);
    let asked = [("app_name", "secondapp"), ("version", "0.0.1")];
    let told = check(&server, &asked).is_json(200);
    assert_eq!(told["update_url_deb"], link(&server, "secondapp/secondapp-0.0.2.deb"));
    for (key, text) in [("channel", "Channel"), ("platform", "Platform"), ("arch", "Arch")] {
        let answer = check(&server, &and(&asked, key, "stable"));
        answer.is_error(400, &format!("wrong name of {key}. {text} does not exist"));
    }
    // Records without a channel are not candidates of one that is created later, nor of none.
    admin.create("channel", "stable");
    is_exactly(
        &check(&server, &and(&asked, "channel", "stable")),
        200,
        &json!({ "update_available": false, "error": "Not found" }),
    );
}

#[test]
fn owners() {
    let server = Packhouse::start();
    let people = [first(&server), sign_up(&server, "other"), sign_up(&server, "a.b@c-d")];
    for (at, admin) in people.iter().enumerate() {
        admin.set_up();
        admin.release(&release(&format!("{}.0", at + 1)), &[("a.deb", admin.name.as_bytes())]);
    }
    for (at, admin) in people.iter().enumerate() {
        let told = check(&server, &and(&asks("0"), "owner", &admin.name)).is_json(200);
        let plain = url(&server, &format!("{}.0", at + 1), ".deb");
        let expected = if at == 0 { plain } else { format!("{plain}&owner={}", crate::files::segment(&admin.name)) };
        let link = told["update_url_deb"].as_str().unwrap();
        assert_eq!(link.replace("%40", "@"), expected.replace("%40", "@"));
        assert_eq!(super::fetch(&server, link), admin.name.as_bytes());
    }
    assert_eq!(check(&server, &asks("0")).is_json(200)["update_url_deb"], url(&server, "1.0", ".deb"));
    // The question's Host is the answer's.
    let path = super::with_query("/checkVersion", &asks("0"));
    let told = server.send(Request::get(&path).header("Host", "mirror.example")).is_json(200);
    assert_eq!(
        told["update_url_deb"],
        "http://mirror.example/download?key=secondapp/stable/linux/amd64/secondapp-1.0.deb"
    );
}

#[test]
fn rare_spellings() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("My App");
    admin.release(&json!({ "app_name": "My App", "version": "1.0", "publish": true }), DEB);
    for query in [
        "app_name=My%20App&version=0-9",
        "app_name=My+App&version=0.9",
        "version=0%2E9&app_name=%4Dy%20App",
        "&&version=0.9&&app_name=My%20App&",
    ] {
        let told = super::ask(&server, &format!("/checkVersion?{query}")).is_json(200);
        assert_eq!(told["update_available"], true, "{query}");
    }
    let head = server.send(Request::head("/checkVersion?app_name=My%20App&version=0.9"));
    assert_eq!((head.status, head.header("Content-Type")), (200, Some("application/json")));
}
