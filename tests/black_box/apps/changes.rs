//! `faynosync.md` §6: `POST /apps/update`, `POST /artifact/delete`, `DELETE /apps/delete`.

use serde_json::{Value, json};

use crate::files::Form;
use crate::server::Packhouse;

use super::forms::is_tidy;
use super::{
    NOBODY, ask, asks, check, fetch, first, is_error_of, is_exactly, is_refused, link, local, minus, plus, release,
    sign_up,
};

const DEB: &[(&str, &[u8])] = &[("a.deb", b"deb bytes")];

#[test]
fn absent_fields_stay() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let full = plus(&release("0.0.1"), json!({ "critical": true, "changelog": "first" }));
    let id = admin.release(&full, DEB);
    let bare = json!({ "id": id, "app_name": "secondapp", "version": "0.0.1" });
    let shown = || {
        let version = admin.version("secondapp");
        (version["Published"].clone(), version["Critical"].clone(), version["Changelog"][0]["Changes"].clone())
    };
    let is = |published: bool, critical: bool, changes: &str| {
        assert_eq!(shown(), (json!(published), json!(critical), json!(changes)))
    };
    admin.changes(&bare, &[]);
    is(true, true, "first");
    admin.changes(&plus(&bare, json!({ "changelog": "second" })), &[]);
    is(true, true, "second");
    admin.changes(&plus(&bare, json!({ "changelog": "" })), &[]);
    is(true, true, "second");
    admin.changes(&plus(&bare, json!({ "publish": false })), &[]);
    is(false, true, "second");
    admin.changes(&plus(&bare, json!({ "critical": "false" })), &[]);
    is(false, false, "second");
    admin.changes(
        &plus(&bare, json!({ "publish": "true", "critical": true, "changelog": "third", "channel": "stable" })),
        &[],
    );
    is(true, true, "third");
    // Naming platform and arch, or the same version in other words, changes nothing.
    admin.changes(&plus(&bare, json!({ "platform": "windows", "arch": "arm64", "version": "0-0-1" })), &[]);
    is(true, true, "third");
    assert_eq!(admin.version("secondapp")["Artifacts"][0]["Platform"], "linux");
}

#[test]
fn refusals() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let world = admin.set_up();
    admin.create_app("thirdapp");
    other.set_up();
    let id = admin.release(&release("0.0.1"), DEB);
    let second = admin.release(&release("0.0.2"), DEB);
    let good = json!({ "id": id, "app_name": "secondapp", "version": "0.0.1", "changelog": "changed" });
    let before = admin.view();

    let change = |more: Value| admin.change(&plus(&good, more), &[]);
    change(json!({ "channel": "nightly" })).is_error(400, "updating the channel is not allowed");
    let mismatch = "app with this parameters doesn't exist";
    for more in [
        json!({ "id": NOBODY }),
        json!({ "version": "0.0.2" }),
        json!({ "id": second }),
        json!({ "version": "9" }),
        json!({ "app_name": "thirdapp" }),
        json!({ "id": world.app }),
    ] {
        change(more).is_error(404, mismatch);
    }
    let unknown = "app_name not found in apps_meta collection";
    change(json!({ "app_name": "unknown" })).is_error(404, unknown);
    // Another tenant's record, asked for under one's own app of that name and under none.
    for answer in [other.change(&good, &[]), other.change(&plus(&good, json!({ "channel": "stable" })), &[])] {
        is_error_of(&answer, 404);
    }
    let stranger = sign_up(&server, "stranger");
    stranger.change(&good, &[]).is_error(404, unknown);
    for bad in ["x", "", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3g"] {
        is_error_of(&change(json!({ "id": bad })), 400);
    }
    is_error_of(&admin.change(&minus(&good, "id"), &[]), 400);
    change(json!({ "app_name": "" })).is_error(400, "invalid app_name parameter");
    change(json!({ "version": "x" })).is_error(400, "invalid version parameter");
    change(json!({ "channel": "a/b" })).is_error(400, "invalid channel parameter");
    change(json!({ "platform": "a/b" })).is_error(400, "invalid platform parameter");
    change(json!({ "arch": "a/b" })).is_error(400, "invalid arch parameter");
    admin.send_form("/apps/update", Form::new().file("a.deb", b"x")).is_error(400, "No JSON data provided");
    for text in ["{", "[]", "7"] {
        admin.send_form("/apps/update", Form::new().text("data", text)).is_error(400, "Invalid JSON data");
    }
    for (key, bad) in [("publish", json!("yes")), ("critical", json!(1)), ("changelog", json!(7)), ("id", json!(7))] {
        change(json!({ key: bad })).is_error(400, "Invalid JSON data");
    }
    // With files, what an upload must name must be named here.
    let named = plus(&good, json!({ "channel": "stable", "platform": "linux", "arch": "amd64" }));
    for key in ["platform", "arch"] {
        let required = format!("you have a created {key}s, setting {key} is required");
        admin.change(&minus(&named, key), DEB).is_error(400, &required);
    }
    admin
        .change(&plus(&named, json!({ "platform": "unknown" })), DEB)
        .is_error(400, "wrong name of platform. Platform does not exist");
    admin
        .change(&plus(&named, json!({ "arch": "unknown" })), DEB)
        .is_error(400, "wrong name of arch. Arch does not exist");
    is_error_of(&admin.change(&plus(&named, json!({ "updater": "unknown" })), DEB), 400);
    assert_eq!(admin.view(), before);
    is_tidy(&server, 1);
}

#[test]
fn files() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let id = admin.release(&release("0.0.1"), &[("a.deb", b"old deb"), ("a.rpm", b"old rpm")]);
    let data = plus(&release("0.0.1"), json!({ "id": id }));
    let before = admin.version("secondapp");
    admin.changes(&data, &[("new name.deb", b"new deb"), ("a.tar.gz", b"new tar")]);
    let after = admin.version("secondapp");
    let artifacts = after["Artifacts"].as_array().unwrap();
    let bytes: [(&str, &[u8]); 3] = [(".deb", b"new deb"), (".rpm", b"old rpm"), (".tar.gz", b"new tar")];
    assert_eq!(artifacts.len(), bytes.len());
    for (artifact, (extension, bytes)) in artifacts.iter().zip(bytes) {
        assert_eq!(artifact["Package"], json!(extension));
        assert_eq!(fetch(&server, artifact["Link"].as_str().unwrap()), bytes);
    }
    // Replaced under the same link; the old bytes are freed.
    assert_eq!(artifacts[0]["Link"], before["Artifacts"][0]["Link"]);
    is_tidy(&server, 3);
    admin.changes(&plus(&data, json!({ "arch": "arm64" })), DEB);
    assert_eq!(admin.version("secondapp")["Artifacts"].as_array().unwrap().len(), 4);
    is_tidy(&server, 4);
    let told = check(&server, &asks("0.0.0")).is_json(200);
    assert_eq!(fetch(&server, told["update_url_deb"].as_str().unwrap()), b"new deb");
}

#[test]
fn publishing_takes_effect_at_once() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let ids: Vec<String> = ["0.0.1", "0.0.2"].iter().map(|version| admin.release(&release(version), DEB)).collect();
    let urls = ["0.0.1", "0.0.2"]
        .map(|version| json!(link(&server, &format!("secondapp/stable/linux/amd64/secondapp-{version}.deb"))));
    let told = || check(&server, &asks("0.0.0")).is_json(200)["update_url_deb"].clone();
    let data = |at: usize, publish: bool| json!({ "id": ids[at], "app_name": "secondapp", "version": format!("0.0.{}", at + 1), "publish": publish });
    for _ in 0..3 {
        assert_eq!(told(), urls[1]);
        admin.changes(&data(1, false), &[]);
        assert_eq!(told(), urls[0]);
        admin.changes(&data(0, false), &[]);
        let none = json!({ "update_available": false, "error": "Not found" });
        is_exactly(&check(&server, &asks("0.0.0")), 200, &none);
        admin.changes(&data(0, true), &[]);
        assert_eq!(told(), urls[0]);
        admin.changes(&data(1, true), &[]);
    }
    admin.delete_version(&ids[1]);
    assert_eq!(told(), urls[0]);
    assert_eq!(ask(&server, local(&server, urls[1].as_str().unwrap())).status, 404);
}

#[test]
fn artifacts_go() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    other.set_up();
    admin.set_up();
    admin.create_app("thirdapp");
    let files: Vec<(String, Vec<u8>)> =
        (0..5).map(|n| (format!("a.x{n}"), format!("bytes {n}").into_bytes())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let id = admin.release(&release("0.0.1"), &files);
    let second = admin.release(&release("0.0.2"), DEB);
    let good = json!({ "id": id, "app_name": "secondapp", "version": "0.0.1", "artifacts_to_delete": ["0"] });
    let before = admin.view();
    let delete = |more: Value| admin.delete_artifacts(&plus(&good, more));

    for bad in [
        json!([]),
        json!(["5"]),
        json!(["0", "5"]),
        json!(["-1"]),
        json!(["x"]),
        json!([""]),
        json!(["0", "x"]),
        json!([5]),
        json!([-1]),
        json!([0.5]),
        json!(["18446744073709551616"]),
        json!([null]),
        json!([true]),
        json!([["0"]]),
        json!("0"),
        json!(0),
        json!({}),
        json!(null),
        json!([" 0"]),
    ] {
        is_error_of(&delete(json!({ "artifacts_to_delete": bad })), 400);
    }
    is_error_of(&admin.delete_artifacts(&minus(&good, "artifacts_to_delete")), 400);
    for bad in ["x", "", "641459ffb8760d74164e7e3g"] {
        is_error_of(&delete(json!({ "id": bad })), 400);
    }
    for more in [
        json!({ "id": NOBODY }),
        json!({ "id": second }),
        json!({ "version": "0.0.2" }),
        json!({ "app_name": "thirdapp" }),
        json!({ "app_name": "unknown" }),
    ] {
        is_error_of(&delete(more), 404);
    }
    is_error_of(&other.delete_artifacts(&good), 404);
    is_error_of(&sign_up(&server, "stranger").delete_artifacts(&good), 404);
    admin.send_form("/artifact/delete", Form::new().text("x", "y")).is_error(400, "No JSON data provided");
    admin.send_form("/artifact/delete", Form::new().text("data", "{")).is_error(400, "Invalid JSON data");
    assert_eq!(admin.view(), before);

    // Positions as they were before the call; order and repeats do not matter.
    let gone = admin.versions("secondapp")[1]["Artifacts"][3]["Link"].as_str().unwrap().to_owned();
    let done = json!({ "deleteSpecificArtifactResult": true });
    is_exactly(&delete(json!({ "artifacts_to_delete": ["3", 0, "3", 0] })), 200, &done);
    let shown = || -> Vec<Value> {
        let version = admin.versions("secondapp").into_iter().find(|version| version["Version"] == "0.0.1").unwrap();
        version["Artifacts"].as_array().unwrap().iter().map(|artifact| artifact["Package"].clone()).collect()
    };
    assert_eq!(shown(), [".x1", ".x2", ".x4"]);
    is_error_of(&ask(&server, local(&server, &gone)), 404);
    is_tidy(&server, 4);
    is_exactly(&delete(json!({ "artifacts_to_delete": ["2", "1", "0"] })), 200, &done);
    // The record stays, without artifacts; nobody is offered it.
    assert!(shown().is_empty());
    is_error_of(&delete(json!({ "artifacts_to_delete": ["0"] })), 400);
    is_tidy(&server, 1);
    admin.delete_version(&second);
    is_exactly(&check(&server, &asks("0.0.0")), 200, &json!({ "update_available": false, "error": "Not found" }));
    // What was deleted may come again, in the same record.
    assert_eq!(admin.release(&release("0.0.1"), DEB), id);
}

#[test]
fn versions_go() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let world = admin.set_up();
    let id = admin.release(&release("0.0.1"), &[("a.deb", b"one"), ("a.rpm", b"two")]);
    let links: Vec<String> = admin.version("secondapp")["Artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["Link"].as_str().unwrap().to_owned())
        .collect();
    let failed = "failed to delete specific version of app";
    for wrong in [NOBODY, &world.app, &world.stable] {
        is_refused(&admin.delete(&format!("/apps/delete?id={wrong}")), 404, failed, None);
    }
    for bad in ["/apps/delete", "/apps/delete?id=", "/apps/delete?id=x", "/apps/delete?id=641459ffb8760d74164e7e3g"] {
        is_error_of(&admin.delete(bad), 400);
    }
    let answer = other.delete(&format!("/apps/delete?id={id}"));
    is_refused(&answer, 403, failed, Some("you don't have permission to delete this item"));
    assert_eq!(admin.versions("secondapp").len(), 1);
    admin.delete_version(&id);
    is_refused(&admin.delete(&format!("/apps/delete?id={id}")), 404, failed, None);
    assert!(admin.versions("secondapp").is_empty());
    for link in links {
        ask(&server, local(&server, &link)).is_error(404, "file not found");
    }
    is_tidy(&server, 0);
    assert_ne!(admin.release(&release("0.0.1"), DEB), id);
}

#[test]
fn files_of_updaters() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("electron", "electron-builder");
    let data = plus(&release("1.0.0"), json!({ "platform": "electron", "updater": "electron-builder" }));
    let id = admin.release(&data, &[("latest.yml", b"old yml"), ("a.exe", b"old exe")]);
    let data = plus(&data, json!({ "id": id }));
    let before = admin.version("secondapp")["Artifacts"].clone();
    // The file name decides what is replaced; what the updater wants must be there.
    let message = "electron-builder updater requires a YML/YAML file for update functionality. \
                   Please include a .yml or .yaml file in your upload";
    admin.change(&data, &[("a.exe", b"new exe")]).is_error(400, message);
    assert_eq!(admin.version("secondapp")["Artifacts"], before);
    admin.changes(&data, &[("latest.yml", b"new yml"), ("b.exe", b"b exe")]);
    let after = admin.version("secondapp")["Artifacts"].clone();
    assert_eq!(after.as_array().unwrap().len(), 3);
    for (at, bytes) in [(0, "new yml"), (1, "old exe"), (2, "b exe")] {
        if at < 2 {
            assert_eq!(after[at]["Link"], before[at]["Link"]);
        }
        assert_eq!(fetch(&server, after[at]["Link"].as_str().unwrap()), bytes.as_bytes());
    }
    let told = ask(&server, &format!("/update/{}/secondapp/stable/electron/amd64/0.9.0/latest.yml", admin.name));
    assert_eq!(told.body, b"new yml");
}
