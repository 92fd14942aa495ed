//! `faynosync.md` §4: channels, platforms, architectures, and a platform's updaters.

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::Packhouse;

use super::{
    KINDS, NOBODY, Person, asks, check, fetch, first, id_of, is_error_of, is_exactly, is_refused, is_time, plus,
    release, sign_up,
};

const IN_USE: &str = "you can't delete this item because it is related to other items";

#[test]
fn create_and_list() {
    let server = Packhouse::start();
    let admin = first(&server);
    for kind in &KINDS {
        let list = format!("/{}/list", kind.word);
        assert_eq!(admin.get(&list).text(), json!({ kind.list: [] }).to_string());
        // More than a hundred, made out of order.
        let mut names: Vec<String> = (0..120).map(|n| format!("{}{n}", if n % 2 == 0 { "n" } else { "N" })).collect();
        let ids: Vec<String> = names.iter().map(|name| admin.create(kind.word, name)).collect();
        let entries = admin.list(kind.word);
        assert_eq!(entries.len(), 120);
        for entry in &entries {
            let name = entry[kind.name].as_str().unwrap();
            let at = names.iter().position(|known| known == name).unwrap();
            assert_eq!(id_of(&entry["ID"]), ids[at]);
            is_time(&entry["Updated_at"]);
            if kind.word == "platform" {
                assert_eq!(entry["Updaters"], json!([{ "type": "manual", "default": true }]));
            }
        }
        names.sort_unstable();
        assert_eq!(admin.names(kind.word), names);
    }
}

#[test]
fn bad_bodies() {
    let server = Packhouse::start();
    let admin = first(&server);
    for kind in &KINDS {
        let id = admin.create(kind.word, "kept");
        for path in [format!("/{}/create", kind.word), format!("/{}/update", kind.word)] {
            for body in ["", "{", "[]", "null", "7", "\"x\"", "{}", "{\"a\":1}", "{\"id\":", "\u{feff}{}", "not json"] {
                let answer = admin.send(Request::post(&path).body("application/json", body));
                answer.is_error(400, "Invalid request body");
            }
            for name in [json!(""), json!(7), json!(null), json!(true), json!(["x"]), json!({})] {
                admin.post(&path, &json!({ "id": id, kind.word: name })).is_error(400, "Invalid request body");
            }
            admin.post(&path, &json!({ "id": id, "name": "x" })).is_error(400, "Invalid request body");
            let deep = format!("{{\"{}\":\"x\",\"more\":{}{}}}", kind.word, "[".repeat(70), "]".repeat(70));
            is_error_of(&admin.send(Request::post(&path).body("application/json", deep)), 400);
            let large = json!({ kind.word: "x", "id": id, "more": "m".repeat(1 << 20) });
            is_error_of(&admin.post(&path, &large), 413);
            let bytes = [b"{\"".as_slice(), kind.word.as_bytes(), b"\":\"\xff\"}"].concat();
            is_error_of(&admin.send(Request::post(&path).body("application/json", bytes)), 400);
        }
        assert_eq!(admin.names(kind.word), ["kept"]);
        // Unknown keys are ignored.
        let body = json!({ kind.word: "tolerant", "unknown": { "deep": [1, 2] }, "ID": 7 });
        admin.create_with(kind.word, &body);
    }
}

#[test]
fn update() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let app = admin.create_app("an app");
    let ids: Vec<String> = KINDS.iter().map(|kind| admin.create(kind.word, "old")).collect();
    for (kind, id) in KINDS.iter().zip(&ids) {
        let word = kind.word;
        let change = |who: &Person<'_>, id: &str, name: &str| {
            who.post(&format!("/{word}/update"), &json!({ "id": id, word: name }))
        };
        let done = json!({ format!("update{}Result.Updated", kind.key): true });
        is_exactly(&change(&admin, id, "new"), 200, &done);
        assert_eq!(admin.names(word), ["new"]);
        is_exactly(&change(&admin, id, "new"), 200, &done);
        for bad in [
            "x",
            "641459ffb8760d74164e7e3",
            "641459ffb8760d74164e7e3cc",
            "641459ffb8760d74164e7e3g",
            "../../../../../../../../",
        ] {
            change(&admin, bad, "newer").is_error(400, "invalid id format");
        }
        let another_kind: Vec<&String> = ids.iter().filter(|other| *other != id).chain([&app]).collect();
        change(&admin, NOBODY, "newer").is_error(404, &format!("{word} not found"));
        for wrong in another_kind {
            change(&admin, wrong, "newer").is_error(404, &format!("{word} not found"));
        }
        change(&other, id, "newer").is_error(403, &format!("you don't have permission to update this {word}"));
        admin.create(word, "taken");
        change(&admin, id, "taken").is_error(409, &format!("{word} with this name already exists"));
        assert_eq!(admin.names(word), ["new", "taken"]);
        // The old name is free again.
        admin.create(word, "old");
    }
}

#[test]
fn delete() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let app = admin.create_app("an app");
    let ids: Vec<String> = KINDS.iter().map(|kind| admin.create(kind.word, "kept")).collect();
    for (kind, id) in KINDS.iter().zip(&ids) {
        let word = kind.word;
        let failed = format!("failed to delete {word}");
        let delete = |who: &Person<'_>, id: &str| who.delete(&format!("/{word}/delete?id={id}"));
        for bad in ["", "x", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3g"] {
            is_error_of(&delete(&admin, bad), 400);
        }
        is_error_of(&admin.delete(&format!("/{word}/delete")), 400);
        is_refused(&delete(&admin, NOBODY), 404, &failed, None);
        for wrong in ids.iter().filter(|other| *other != id).chain([&app]) {
            is_refused(&delete(&admin, wrong), 404, &failed, None);
        }
        let details = format!("you don't have permission to delete this {word}");
        is_refused(&delete(&other, id), 403, &failed, Some(&details));
    }
    for (kind, id) in KINDS.iter().zip(&ids) {
        assert_eq!(admin.names(kind.word), ["kept"]);
        let done = json!({ format!("delete{}Result.DeletedCount", kind.key): 1 });
        is_exactly(&admin.delete(&format!("/{}/delete?id={id}", kind.word)), 200, &done);
        is_refused(
            &admin.delete(&format!("/{}/delete?id={id}", kind.word)),
            404,
            &format!("failed to delete {}", kind.word),
            None,
        );
        assert!(admin.names(kind.word).is_empty());
    }
    assert_eq!(admin.names("app"), ["an app"]);
}

#[test]
fn in_use() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    // Not published counts too.
    let id = admin.release(&plus(&release("0.0.1"), json!({ "publish": false })), &[("a.deb", b"a")]);
    let used = [("channel", &world.stable), ("platform", &world.linux), ("arch", &world.amd64), ("app", &world.app)];
    for (word, id) in used {
        let answer = admin.delete(&format!("/{word}/delete?id={id}"));
        is_refused(&answer, 409, &format!("failed to delete {word}"), Some(IN_USE));
    }
    for (word, id) in [("channel", &world.nightly), ("platform", &world.windows), ("arch", &world.arm64)] {
        assert_eq!(admin.delete(&format!("/{word}/delete?id={id}")).status, 200);
    }
    // A record without artifacts holds its channel and app, no platform.
    let data = json!({ "id": id, "app_name": "secondapp", "version": "0.0.1", "artifacts_to_delete": ["0"] });
    is_exactly(&admin.delete_artifacts(&data), 200, &json!({ "deleteSpecificArtifactResult": true }));
    assert_eq!(admin.delete(&format!("/platform/delete?id={}", world.linux)).status, 200);
    assert_eq!(admin.delete(&format!("/arch/delete?id={}", world.amd64)).status, 200);
    is_refused(
        &admin.delete(&format!("/channel/delete?id={}", world.stable)),
        409,
        "failed to delete channel",
        Some(IN_USE),
    );
    admin.delete_version(&id);
    assert_eq!(admin.delete(&format!("/channel/delete?id={}", world.stable)).status, 200);
    assert_eq!(admin.delete(&format!("/app/delete?id={}", world.app)).status, 200);
}

#[test]
fn renaming() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    admin.release(&release("0.0.1"), &[("a.deb", b"the bytes")]);
    let before = admin.version("secondapp");
    let link = before["Artifacts"][0]["Link"].as_str().unwrap().to_owned();
    for (word, id, name) in
        [("channel", &world.stable, "Stable"), ("platform", &world.linux, "Linux"), ("arch", &world.amd64, "x64")]
    {
        assert_eq!(admin.post(&format!("/{word}/update"), &json!({ "id": id, word: name })).status, 200);
    }
    let after = admin.version("secondapp");
    assert_eq!(after["Channel"], "Stable");
    let artifact = &after["Artifacts"][0];
    assert_eq!((&artifact["Platform"], &artifact["Arch"]), (&json!("Linux"), &json!("x64")));
    assert_eq!(artifact["Link"], json!(link));
    assert_eq!(fetch(&server, &link), b"the bytes");
    check(&server, &asks("0.0.0")).is_error(400, "wrong name of channel. Channel does not exist");
    let renamed = [
        ("app_name", "secondapp"),
        ("version", "0.0.0"),
        ("channel", "Stable"),
        ("platform", "Linux"),
        ("arch", "x64"),
    ];
    assert_eq!(check(&server, &renamed).is_json(200)["update_url_deb"], json!(link));
    // A key that the new names would give is not taken: the key was fixed at upload.
    admin.create("channel", "stable");
    admin.create("platform", "linux");
    admin.create("arch", "amd64");
    admin.release(&release("0.0.1"), &[("a.deb", b"other bytes")]);
    let versions = admin.versions("secondapp");
    let other = versions.iter().find(|version| version["Channel"] == "stable").unwrap();
    let second = other["Artifacts"][0]["Link"].as_str().unwrap();
    assert_eq!(second, super::link(&server, "secondapp/stable/linux/amd64/secondapp-0.0.1-2.deb"));
    assert_eq!(fetch(&server, second), b"other bytes");
    assert_eq!(fetch(&server, &link), b"the bytes");
}

#[test]
fn updaters() {
    let server = Packhouse::start();
    let admin = first(&server);
    let create = |updaters: Value| admin.post("/platform/create", &json!({ "platform": "p", "updaters": updaters }));
    let t = |kind: &str, default: bool| json!({ "type": kind, "default": default });

    for bad in [t("unknown", true), t("", true), t("Manual", true), t("squirrel", true)] {
        let kind = bad["type"].as_str().unwrap();
        let answer = create(json!([bad]));
        answer.is_error_like(400, &format!("invalid updater type: {kind}"));
    }
    create(json!([t("manual", true), t("manual", false)])).is_error(400, "duplicate updater type: manual");
    create(json!([t("manual", true), t("sparkle", false), t("sparkle", false)]))
        .is_error(400, "duplicate updater type: sparkle");
    create(json!([t("manual", false), t("sparkle", false)]))
        .is_error(400, "exactly one updater must be set as default");
    create(json!([{ "type": "manual" }])).is_error(400, "exactly one updater must be set as default");
    create(json!([t("manual", true), t("sparkle", true)])).is_error(400, "only one updater can be set as default");
    for bad in [
        json!("manual"),
        json!(["manual"]),
        json!([{ "type": 7, "default": true }]),
        json!([{ "type": "manual", "default": "yes" }]),
        json!(7),
    ] {
        is_error_of(&create(bad), 400);
    }
    assert!(admin.names("platform").is_empty());

    let all = ["manual", "squirrel_darwin", "squirrel_windows", "sparkle", "electron-builder"];
    let given: Vec<Value> = all.iter().map(|kind| t(kind, *kind == "sparkle")).collect();
    let id = admin.create_with("platform", &json!({ "platform": "all", "updaters": given }));
    admin.create_with("platform", &json!({ "platform": "empty", "updaters": [] }));
    admin.create_with("platform", &json!({ "platform": "none" }));
    admin.create_with(
        "platform",
        &json!({ "platform": "short", "updaters": [{ "type": "sparkle" }, t("manual", true)] }),
    );
    let listed = |name: &str| {
        let list = admin.list("platform");
        list.iter().find(|entry| entry["PlatformName"] == name).unwrap()["Updaters"].clone()
    };
    assert_eq!(listed("all"), json!(given));
    assert_eq!(listed("empty"), json!([t("manual", true)]));
    assert_eq!(listed("none"), json!([t("manual", true)]));
    assert_eq!(listed("short"), json!([t("sparkle", false), t("manual", true)]));

    let update = |body: Value| admin.post("/platform/update", &plus(&json!({ "id": id, "platform": "all" }), body));
    let done = json!({ "updatePlatformResult.Updated": true });
    is_exactly(&update(json!({})), 200, &done);
    assert_eq!(listed("all"), json!(given));
    update(json!({ "updaters": [t("x", true)] })).is_error_like(400, "invalid updater type: x");
    update(json!({ "updaters": [t("manual", true), t("manual", true)] }))
        .is_error(400, "duplicate updater type: manual");
    update(json!({ "updaters": [t("manual", false)] })).is_error(400, "exactly one updater must be set as default");
    update(json!({ "updaters": [t("manual", true), t("sparkle", true)] }))
        .is_error(400, "only one updater can be set as default");
    assert_eq!(listed("all"), json!(given));
    is_exactly(&update(json!({ "updaters": [t("manual", true)] })), 200, &done);
    assert_eq!(listed("all"), json!([t("manual", true)]));
}
