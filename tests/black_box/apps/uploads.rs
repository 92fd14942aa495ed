//! `faynosync.md` §6: `POST /upload`.

use serde_json::{Value, json};

use crate::files::{Form, sha256};
use crate::server::Packhouse;

use super::forms::is_tidy;
use super::{asks, check, fetch, first, form, is_error_of, is_time, link, minus, plus, release, sign_up};

const EXISTS: &str = "app with this name, version, platform, architecture and extension already exists";

const DEB: &[(&str, &[u8])] = &[("a.deb", b"deb bytes")];

#[test]
fn a_version() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let data =
        plus(&release("0.0.1"), json!({ "changelog": "### Changelog\n\n- <b>Added</b> größe", "critical": true }));
    let id = admin.release(&data, &[("my file.deb", b"deb bytes"), ("x.rpm", b"rpm bytes")]);
    let version = admin.version("secondapp");
    let date = version["Changelog"][0]["Date"].as_str().unwrap();
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00");
    is_time(&version["Updated_at"]);
    assert_eq!(version["Updated_at"].as_str().unwrap()[..10], *date);
    let expected = json!({
        "ID": id, "AppName": "secondapp", "Version": "0.0.1", "Channel": "stable", "Published": true, "Critical": true,
        "Changelog": [{ "Version": "0.0.1", "Changes": "### Changelog\n\n- <b>Added</b> größe", "Date": date }],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&version[key], value, "{key}");
    }
    let allowed = ["Artifacts", "Updated_at", "Intermediate", "RolloutPercent"];
    let known = |key: &String| expected.get(key).is_some() || allowed.contains(&key.as_str());
    assert!(version.as_object().unwrap().keys().all(known), "{version}");
    let artifacts = version["Artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 2);
    for (artifact, (extension, bytes)) in artifacts.iter().zip([(".deb", b"deb bytes"), (".rpm", b"rpm bytes")]) {
        let link = link(&server, &format!("secondapp/stable/linux/amd64/secondapp-0.0.1{extension}"));
        let expected = json!({ "Link": link, "Platform": "linux", "Arch": "amd64", "Package": extension });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&artifact[key], value);
        }
        for (key, value) in artifact.as_object().unwrap() {
            match key.as_str() {
                "SHA256" => assert_eq!(value, &json!(sha256(bytes))),
                "Size" => assert_eq!(value, &json!(bytes.len())),
                "FileName" => assert!(["my file.deb", "x.rpm"].contains(&value.as_str().unwrap())),
                _ => assert!(expected.get(key).is_some(), "{key}"),
            }
        }
        assert_eq!(fetch(&server, &link), bytes);
    }
}

#[test]
fn shape() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let send = |form: Form| admin.send_form("/upload", form);
    send(Form::new().file("a.deb", b"a")).is_error(400, "No JSON data provided");
    send(Form::new()).is_error(400, "No JSON data provided");
    for text in ["{", "[]", "null", "7", "\"x\"", "x", "{\"app_name\":\"secondapp\"}{}"] {
        send(Form::new().text("data", text).file("a.deb", b"a")).is_error(400, "Invalid JSON data");
        send(Form::new().file("a.deb", b"a").text("data", text)).is_error(400, "Invalid JSON data");
    }
    let good = release("0.0.1");
    for key in ["app_name", "version", "channel", "platform", "arch", "changelog", "updater", "signature"] {
        for bad in [json!(7), json!(true), json!(["x"]), json!({})] {
            admin.upload(&plus(&good, json!({ key: bad })), DEB).is_error(400, "Invalid JSON data");
        }
    }
    for key in ["publish", "critical"] {
        for bad in [json!("yes"), json!(1), json!(["true"]), json!("TRUE"), json!({})] {
            admin.upload(&plus(&good, json!({ key: bad })), DEB).is_error(400, "Invalid JSON data");
        }
    }
    for name in ["", " x", "a/b", "größe", &"n".repeat(101), "../x", "x."] {
        admin.upload(&plus(&good, json!({ "app_name": name })), DEB).is_error(400, "invalid app_name parameter");
    }
    admin.upload(&minus(&good, "app_name"), DEB).is_error(400, "invalid app_name parameter");
    admin.upload(&minus(&good, "version"), DEB).is_error(400, "invalid version parameter");
    for key in ["channel", "platform", "arch"] {
        for name in [".x", "a b", "a/b", "größe", &"n".repeat(65), "a\u{0}"] {
            admin.upload(&plus(&good, json!({ key: name })), DEB).is_error(400, &format!("invalid {key} parameter"));
        }
    }
    is_error_of(&admin.upload(&good, &[]), 400);
    // Shape comes before existence.
    let wrong = plus(&good, json!({ "app_name": "unknown", "channel": "unknown", "version": "x" }));
    admin.upload(&wrong, DEB).is_error(400, "invalid version parameter");
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
    is_tidy(&server, 0);
}

#[test]
fn required_and_unknown() {
    let server = Packhouse::start();
    let admin = first(&server);
    // Another tenant's channels do not count.
    sign_up(&server, "other").set_up();
    admin.create_app("secondapp");
    let bare = json!({ "app_name": "secondapp", "version": "0.0.1", "publish": true });
    admin.release(&bare, DEB);
    admin.release(&plus(&bare, json!({ "version": "0.0.2", "channel": "", "platform": "", "arch": "" })), DEB);
    for version in admin.versions("secondapp") {
        assert_eq!(version["Channel"], "");
        let artifact = &version["Artifacts"][0];
        assert_eq!((&artifact["Platform"], &artifact["Arch"]), (&json!(""), &json!("")));
        let key = format!("secondapp/secondapp-{}.deb", version["Version"].as_str().unwrap());
        assert_eq!(artifact["Link"], json!(link(&server, &key)));
    }
    for key in ["channel", "platform", "arch"] {
        let named = plus(&bare, json!({ "version": "0.0.3", key: "unknown" }));
        let message = match key {
            "channel" => "wrong name of channel. Channel does not exist",
            "platform" => "wrong name of platform. Platform does not exist",
            _ => "wrong name of arch. Arch does not exist",
        };
        admin.upload(&named, DEB).is_error(400, message);
    }

    let mut data = plus(&bare, json!({ "version": "0.0.4" }));
    for (word, name) in [("channel", "stable"), ("platform", "linux"), ("arch", "amd64")] {
        admin.create(word, name);
        let required = format!("you have a created {word}s, setting {word} is required");
        admin.upload(&data, DEB).is_error(400, &required);
        admin.upload(&plus(&data, json!({ word: "" })), DEB).is_error(400, &required);
        let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        let unknown = format!("wrong name of {word}. {capital} does not exist");
        for wrong in ["unknown", &name.to_uppercase(), "nightly"] {
            admin.upload(&plus(&data, json!({ word: wrong })), DEB).is_error(400, &unknown);
        }
        data = plus(&data, json!({ word: name }));
    }
    admin.release(&data, DEB);
    let message = "app_name not found in apps_meta collection or you don't have permission to access it";
    admin.upload(&plus(&data, json!({ "app_name": "unknown" })), DEB).is_error(404, message);
    admin.upload(&plus(&data, json!({ "app_name": "Secondapp" })), DEB).is_error(404, message);
    // Channels are judged before the app.
    let both = plus(&data, json!({ "app_name": "unknown", "channel": "unknown" }));
    admin.upload(&both, DEB).is_error(400, "wrong name of channel. Channel does not exist");
    assert_eq!(admin.search("secondapp", &[])["total"], 3);
}

#[test]
fn updaters_want_their_files() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let updaters = ["manual", "electron-builder", "squirrel_windows", "squirrel_darwin", "sparkle"];
    let updaters: Vec<Value> =
        updaters.iter().map(|kind| json!({ "type": kind, "default": *kind == "manual" })).collect();
    admin.create_with("platform", &json!({ "platform": "all", "updaters": updaters }));
    let data = |updater: &str| plus(&release("0.0.1"), json!({ "platform": "all", "updater": updater }));

    is_error_of(&admin.upload(&data("unknown"), DEB), 400);
    is_error_of(&admin.upload(&data("Manual"), DEB), 400);
    let yml = "electron-builder updater requires a YML/YAML file for update functionality. Please include a .yml or .yaml file in your upload";
    let releases = "squirrel windows updater requires a RELEASES file for update functionality. Please include a RELEASES file in your upload";
    let zip = "squirrel darwin updater requires a ZIP archive for update functionality. Please include a ZIP file in your upload";
    for (updater, message, wrong) in [
        ("electron-builder", yml, ["a.exe", "yml", "latest.yml.blockmap"]),
        ("squirrel_windows", releases, ["a.nupkg", "RELEASES.txt", "xRELEASES"]),
        ("squirrel_darwin", zip, ["a.dmg", "zip", "a.zip.blockmap"]),
    ] {
        for name in wrong {
            admin.upload(&data(updater), &[(name, b"a")]).is_error(400, message);
        }
    }
    assert_eq!(admin.search("secondapp", &[])["total"], 0);
    is_tidy(&server, 0);

    for (version, updater, file) in [
        ("1", "electron-builder", "latest.yml"),
        ("2", "electron-builder", "latest-mac.yaml"),
        ("3", "squirrel_windows", "RELEASES"),
        ("4", "squirrel_windows", "Releases"),
        ("5", "squirrel_darwin", "a b.zip"),
        ("6", "sparkle", "a.dmg"),
    ] {
        let data = plus(&data(updater), json!({ "version": version }));
        admin.release(&data, &[(file, version.as_bytes()), ("größe 1.exe", b"exe")]);
        let artifacts = admin.versions("secondapp").remove(0)["Artifacts"].clone();
        // The path form, so that relative names resolve beside it.
        let name = crate::files::segment(file);
        let folder =
            format!("{}/download/{updater}/{}/secondapp/{version}/stable/all/amd64", super::base(&server), admin.name);
        assert_eq!(artifacts[0]["Link"], json!(format!("{folder}/{name}")));
        assert_eq!(artifacts[1]["Link"], json!(format!("{folder}/{}", crate::files::segment("größe 1.exe"))));
        assert_eq!(fetch(&server, artifacts[0]["Link"].as_str().unwrap()), version.as_bytes());
        assert_eq!(fetch(&server, artifacts[1]["Link"].as_str().unwrap()), b"exe");
    }
    // `manual` and none are plain uploads.
    for (version, more) in [("7", json!({ "updater": "manual" })), ("8", json!({ "updater": "" }))] {
        admin.release(&plus(&release(version), more), DEB);
        let artifact = admin.versions("secondapp").remove(0)["Artifacts"][0].clone();
        assert_eq!(
            artifact["Link"],
            json!(link(&server, &format!("secondapp/stable/linux/amd64/secondapp-{version}.deb")))
        );
    }
}

#[test]
fn duplicates() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let electron = json!({ "platform": "electron", "updaters": [{ "type": "electron-builder", "default": true }] });
    admin.create_with("platform", &electron);
    admin.release(&release("0.0.1"), DEB);
    let before = admin.view();
    admin.upload(&release("0.0.1"), &[("other.deb", b"other")]).is_error(409, EXISTS);
    // All or nothing: a new file beside a known one is not kept.
    admin.upload(&release("0.0.1"), &[("a.rpm", b"rpm"), ("b.deb", b"other")]).is_error(409, EXISTS);
    admin.upload(&release("0.0.1"), &[("b.deb", b"other"), ("a.rpm", b"rpm")]).is_error(409, EXISTS);
    admin.upload(&release("0.0.1"), &[("a.rpm", b"rpm"), ("b.rpm", b"other")]).is_error(409, EXISTS);
    admin.upload(&release("0.0.2"), &[("a.rpm", b"rpm"), ("b.rpm", b"other")]).is_error(409, EXISTS);
    admin.upload(&release("0.0.2"), &[("a", b"rpm"), (".hidden", b"other")]).is_error(409, EXISTS);
    assert_eq!(admin.view(), before);
    is_tidy(&server, 1);

    // Everything else beside it is new: extension, case of it, platform, arch, channel, version.
    for more in [
        json!({ "platform": "windows" }),
        json!({ "arch": "arm64" }),
        json!({ "channel": "nightly" }),
        json!({ "version": "0.0.2" }),
    ] {
        admin.release(&plus(&release("0.0.1"), more), DEB);
    }
    for name in ["a.rpm", "a.DEB", "a.tar.gz", "a.gz", "a.tar.xz", "a", "a.tar"] {
        admin.release(&release("0.0.1"), &[(name, b"x")]);
    }
    // The same version number in two channels is two records.
    assert_eq!(admin.search("secondapp", &[])["total"], 3);
    // With an updater the file name decides.
    let data = plus(&release("1.0.0"), json!({ "platform": "electron", "updater": "electron-builder" }));
    admin.release(&data, &[("latest.yml", b"a"), ("a.exe", b"a"), ("b.exe", b"b"), ("a.exe.blockmap", b"c")]);
    admin.upload(&data, &[("latest-mac.yml", b"a"), ("b.exe", b"x")]).is_error(409, EXISTS);
    admin.upload(&data, &[("latest-mac.yml", b"a"), ("latest-mac.yml", b"a")]).is_error(409, EXISTS);
    admin.release(&data, &[("latest-mac.yml", b"a"), ("c.exe", b"x")]);
    assert_eq!(admin.versions("secondapp")[0]["Artifacts"].as_array().unwrap().len(), 6);
}

#[test]
fn extensions() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let cases = [
        ("a.deb", ".deb"),
        ("a.b.c.deb", ".deb"),
        ("a.tar.gz", ".tar.gz"),
        ("a.tar.bz2", ".tar.bz2"),
        ("a.tar.xz", ".tar.xz"),
        ("a.tar.zst", ".tar.zst"),
        ("a.tar.lz", ".lz"),
        ("a.gz", ".gz"),
        ("My.AppImage", ".AppImage"),
        ("README", ""),
        (".bashrc", ""),
        ("app-1.2.3.exe", ".exe"),
    ];
    for (at, (name, extension)) in cases.iter().enumerate() {
        let version = format!("0.{at}");
        admin.release(&release(&version), &[(name, name.as_bytes())]);
        let artifact = admin.versions("secondapp").remove(0)["Artifacts"][0].clone();
        assert_eq!(artifact["Package"], json!(extension), "{name}");
        let key = format!("secondapp/stable/linux/amd64/secondapp-{version}{extension}");
        assert_eq!(artifact["Link"], json!(link(&server, &key)));
        assert_eq!(fetch(&server, artifact["Link"].as_str().unwrap()), name.as_bytes());
        let told = check(&server, &asks("0")).is_json(200);
        let url =
            if extension.is_empty() { "update_url".to_owned() } else { format!("update_url_{}", &extension[1..]) };
        assert_eq!(told[url], artifact["Link"], "{name}: {told}");
    }
}

#[test]
fn an_existing_record() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let data = plus(&release("0.0.1"), json!({ "publish": true, "critical": true, "changelog": "first" }));
    let id = admin.release(&data, DEB);
    let more = json!({ "publish": false, "critical": false, "changelog": "second", "arch": "arm64" });
    let again = admin.release(&plus(&data, more), &[("b.deb", b"arm bytes"), ("b.rpm", b"arm rpm")]);
    assert_eq!(again, id);
    let version = admin.version("secondapp");
    assert_eq!((&version["Published"], &version["Critical"]), (&json!(true), &json!(true)));
    assert_eq!(version["Changelog"].as_array().unwrap().len(), 1);
    assert_eq!(version["Changelog"][0]["Changes"], "first");
    let shown: Vec<String> =
        version["Artifacts"].as_array().unwrap().iter().map(|a| format!("{}{}", a["Arch"], a["Package"])).collect();
    assert_eq!(shown, ["\"amd64\"\".deb\"", "\"arm64\"\".deb\"", "\"arm64\"\".rpm\""]);

    // A new record's flags: false and empty unless said otherwise; texts count as booleans.
    let bare = minus(&release("0.0.2"), "publish");
    admin.release(&bare, DEB);
    let version = admin.versions("secondapp").remove(0);
    assert_eq!((&version["Published"], &version["Critical"]), (&json!(false), &json!(false)));
    assert_eq!(version["Changelog"][0]["Changes"], "");
    let texts = json!({ "version": "0.0.3", "publish": "true", "critical": "true" });
    admin.release(&plus(&bare, texts), DEB);
    let version = admin.versions("secondapp").remove(0);
    assert_eq!((&version["Published"], &version["Critical"]), (&json!(true), &json!(true)));
    let texts = json!({ "version": "0.0.4", "publish": "false", "critical": "false" });
    admin.release(&plus(&bare, texts), DEB);
    let version = admin.versions("secondapp").remove(0);
    assert_eq!((&version["Published"], &version["Critical"]), (&json!(false), &json!(false)));
}

#[test]
fn links_follow_the_server() {
    let mut server = Packhouse::start();
    {
        let admin = first(&server);
        admin.create_app("My App 1");
        admin.release(&json!({ "app_name": "My App 1", "version": "1.0", "publish": true }), &[("a.deb", b"bytes")]);
        let link = admin.version("My App 1")["Artifacts"][0]["Link"].clone();
        // Slashes stay, other unsafe bytes are percent-encoded.
        assert_eq!(link, json!(super::link(&server, "My%20App%201/My%20App%201-1.0.deb")));
        assert_eq!(fetch(&server, link.as_str().unwrap()), b"bytes");
        let request = crate::client::Request::get("/search?app_name=My%20App%201").header("Host", "other.example:81");
        let told = admin.send(request).is_json(200);
        assert_eq!(
            told["apps"][0]["Artifacts"][0]["Link"],
            "http://other.example:81/download?key=My%20App%201/My%20App%201-1.0.deb"
        );
    }
    server.kill();
    server.start_again(|builder| builder.env("PACKHOUSE_PUBLIC_URL", "https://updates.example/packhouse"));
    let told = check(&server, &[("app_name", "My App 1"), ("version", "0.9")]).is_json(200);
    assert_eq!(
        told["update_url_deb"],
        "https://updates.example/packhouse/download?key=My%20App%201/My%20App%201-1.0.deb"
    );
}

#[test]
fn durable() {
    let mut server = Packhouse::start();
    let (id, view) = {
        let admin = first(&server);
        admin.set_up();
        let id = admin.release(&release("0.0.1"), &[("a.deb", b"deb bytes"), ("a.rpm", b"rpm bytes")]);
        (id, admin.version("secondapp"))
    };
    let before = server.address();
    server.kill();
    server.start_again(|builder| builder);
    let admin = first(&server);
    let version = admin.version("secondapp");
    assert_eq!(version["ID"], json!(id));
    let moved = view.to_string().replace(&before.to_string(), &server.address().to_string());
    assert_eq!(version.to_string(), moved);
    assert_eq!(fetch(&server, version["Artifacts"][1]["Link"].as_str().unwrap()), b"rpm bytes");
    admin.upload(&release("0.0.1"), DEB).is_error(409, EXISTS);
}

#[test]
fn the_same_bytes_twice() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let ids: Vec<String> = ["1", "2"].iter().map(|version| admin.release(&release(version), DEB)).collect();
    is_tidy(&server, 1);
    admin.delete_version(&ids[0]);
    assert_eq!(fetch(&server, admin.version("secondapp")["Artifacts"][0]["Link"].as_str().unwrap()), b"deb bytes");
    admin.delete_version(&ids[1]);
    is_tidy(&server, 0);
    // A form of another tenant's app is no way in.
    let other = sign_up(&server, "other");
    is_error_of(&other.send_form("/upload", form(&json!({ "app_name": "secondapp", "version": "1" }), DEB)), 404);
}
