//! `faynosync.md` §14, points 1 to 7: what newer clients and their users want.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::server::{ADMIN, ADMIN_USER, Packhouse};

use super::{Person, and, ask, asks, check, first, is_error_of, is_exactly, link, plus, release, sign_up};

const DEB: &[(&str, &[u8])] = &[("a.deb", b"deb bytes")];

#[test]
fn items_for_the_dashboard() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"a"), ("a.rpm", b"b")]);
    let told = admin.search("secondapp", &[]);
    let artifacts: Vec<Value> = told["apps"][0]["Artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| json!({ "link": a["Link"], "platform": a["Platform"], "arch": a["Arch"], "package": a["Package"] }))
        .collect();
    let item = &told["items"][0];
    for key in ["ID", "AppName", "Version", "Channel", "Published", "Critical", "Changelog", "Updated_at"] {
        assert_eq!(item[key], told["apps"][0][key]);
    }
    for (shown, expected) in item["Artifacts"].as_array().unwrap().iter().zip(&artifacts) {
        for key in ["link", "platform", "arch", "package"] {
            assert_eq!(shown[key], expected[key]);
        }
    }
    assert_eq!(item["Artifacts"].as_array().unwrap().len(), 2);
    for word in ["channel", "platform", "arch", "app"] {
        assert_eq!(admin.list(word)[0]["Owner"], ADMIN_USER);
    }
    let app = &admin.list("app")[0];
    assert_eq!((&app["Tuf"], &app["Reports"], &app["CdnEdge"]), (&json!(false), &json!(false), &json!(false)));
}

#[test]
fn tokens() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let world = admin.set_up();
    admin.create_app("thirdapp");
    is_exactly(&admin.get("/token/list"), 200, &json!({ "tokens": [] }));
    let create = |body: &Value| admin.post("/token/create", body);
    let value = create(&json!({ "name": "ci", "allowed_apps": [world.app] })).is_json(201);
    let raw = value["token"].as_str().unwrap().to_owned();
    server.secret(&raw);
    let digits = raw.strip_prefix("fns_").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{raw}");
    assert!(raw.starts_with(value["token_prefix"].as_str().unwrap()));
    assert_eq!((&value["name"], &value["allowed_apps"]), (&json!("ci"), &json!([world.app])));
    let id = super::id_of(&value["id"]);
    let list = admin.get("/token/list");
    assert!(!list.text().contains(&raw));
    let listed = list.is_json(200)["tokens"][0].clone();
    assert_eq!((&listed["id"], &listed["name"], &listed["token"]), (&json!(id), &json!("ci"), &Value::Null));

    let ci = Person { server: &server, name: "ci".to_owned(), token: raw };
    let record = ci.release(&release("1.0"), DEB);
    assert_eq!(admin.version("secondapp")["ID"], json!(record));
    let answer = ci.upload(&plus(&release("1.0"), json!({ "app_name": "thirdapp" })), DEB);
    assert!(matches!(answer.status, 403 | 404));
    is_error_of(&answer, answer.status);
    for answer in [
        ci.get("/app/list"),
        ci.get("/search?app_name=secondapp"),
        ci.delete(&format!("/apps/delete?id={record}")),
        ci.post("/channel/create", &json!({ "channel": "x" })),
    ] {
        answer.is_error(403, "API tokens are restricted to app upload");
    }
    for answer in [
        ci.get("/users/list"),
        ci.get("/token/list"),
        ci.post("/token/create", &json!({ "name": "x", "allowed_apps": [] })),
    ] {
        answer.is_error(403, "Admin JWT is required");
    }
    create(&json!({ "name": "old", "allowed_apps": [world.app], "expires_at": "2001-01-01T00:00:00Z" }))
        .is_error(400, "expires_at must be in the future");
    for bad in [
        json!({}),
        json!({ "name": 7, "allowed_apps": [] }),
        json!({ "name": "x", "allowed_apps": "x" }),
        json!({ "name": "x", "allowed_apps": ["x"] }),
        json!({ "name": "x", "allowed_apps": [], "expires_at": "x" }),
    ] {
        is_error_of(&create(&bad), 400);
    }
    let delete = |who: &Person<'_>, id: &str| who.send(Request::delete("/token/delete").json(&json!({ "id": id })));
    is_error_of(&delete(&other, &id), 404);
    assert_eq!(other.get("/token/list").is_json(200), json!({ "tokens": [] }));
    assert_eq!(delete(&admin, &id).status, 200);
    is_error_of(&ci.upload(&release("2.0"), DEB), 401);
    assert_eq!(admin.get("/token/list").is_json(200), json!({ "tokens": [] }));
    // The installation's administrator token is a bearer too.
    let ops = Person { server: &server, name: ADMIN_USER.to_owned(), token: ADMIN.to_owned() };
    ops.release(&release("3.0"), DEB);
    assert_eq!(ops.names("app"), ["secondapp", "thirdapp"]);
}

#[test]
fn intermediate_versions() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    for version in ["1.0", "2.0", "3.0", "4.0", "5.0"] {
        let more = json!({ "intermediate": matches!(version, "2.0" | "4.0"), "channel": "stable" });
        admin.release(&plus(&release(version), more), DEB);
    }
    let url = |version: &str| json!(link(&server, &format!("secondapp/stable/linux/amd64/secondapp-{version}.deb")));
    for (asked, expected, required) in [
        ("0.5", "2.0", true),
        ("1.0", "2.0", true),
        ("1.9", "2.0", true),
        ("2.0", "4.0", true),
        ("3.5", "4.0", true),
        ("4.0", "5.0", false),
        ("5.0", "5.0", false),
    ] {
        let told = check(&server, &asks(asked)).is_json(200);
        assert_eq!(told["update_url_deb"], url(expected), "{asked}");
        assert_eq!(told["is_intermediate_required"] == true, required, "{asked}: {told}");
        assert_eq!(told["update_available"], asked != "5.0");
    }
    assert_eq!(admin.versions("secondapp")[1]["Intermediate"], true);
    let id = admin.versions("secondapp")[1]["ID"].clone();
    admin.changes(&json!({ "id": id, "app_name": "secondapp", "version": "4.0", "intermediate": false }), &[]);
    assert_eq!(check(&server, &asks("2.0")).is_json(200)["update_url_deb"], url("5.0"));
}

#[test]
fn staged_rollouts() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let updaters = json!([{ "type": "electron-builder", "default": true }]);
    admin.create_with("platform", &json!({ "platform": "electron", "updaters": updaters }));
    for bad in [json!(-1), json!(101), json!(0.5), json!("x"), json!([1])] {
        is_error_of(&admin.upload(&plus(&release("1.0"), json!({ "rollout": bad })), DEB), 400);
    }
    admin.release(&release("1.0"), DEB);
    assert_eq!(check(&server, &asks("0.9")).is_json(200)["rollout"], Value::Null);
    admin.release(&plus(&release("2.0"), json!({ "rollout": 40 })), DEB);
    let told = check(&server, &asks("1.0")).is_json(200);
    assert_eq!(told["rollout"]["percent"], 40);
    let seed = told["rollout"]["seed"].as_str().unwrap().to_owned();
    assert!(seed.len() == 16 && seed.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{seed}");
    let record = admin.versions("secondapp")[0].clone();
    assert_eq!(record["RolloutPercent"], 40);
    admin.changes(&json!({ "id": record["ID"], "app_name": "secondapp", "version": "2.0", "rollout": 100 }), &[]);
    assert_eq!(check(&server, &asks("1.0")).is_json(200)["rollout"], Value::Null);

    // Native feeds decide by the device.
    let data = |version: &str, rollout: u64| {
        plus(&release(version), json!({ "platform": "electron", "updater": "electron-builder", "rollout": rollout }))
    };
    admin.release(&data("3.0.0", 100), &[("latest.yml", b"one"), ("a.exe", b"1")]);
    admin.release(&data("4.0.0", 30), &[("latest.yml", b"two"), ("b.exe", b"2")]);
    let told = check(&server, &and(&and(&asks("3.0.0"), "platform", "electron"), "updater", "manual")).is_json(200);
    let seed = told["rollout"]["seed"].as_str().unwrap().to_owned();
    let inside = |device: &str| {
        let digest = crate::files::sha256(format!("{device}:{seed}").as_bytes());
        u64::from_str_radix(&digest[..16], 16).unwrap() % 100 < 30
    };
    let (mut ins, mut outs) = (0, 0);
    for n in 0..60 {
        let device = format!("device-{n}");
        let path = format!("/update/{ADMIN_USER}/secondapp/stable/electron/amd64/3.0.0/latest.yml");
        let answer = server.send(Request::get(&path).header("X-Device-ID", &device));
        let expected: &[u8] = if inside(&device) { b"two" } else { b"one" };
        assert_eq!(answer.body, expected, "{device}");
        let answer = server.send(
            Request::get(&super::with_query("/checkVersion", &and(&asks("3.0.0"), "platform", "electron")))
                .header("X-Device-ID", &device),
        );
        assert_eq!(answer.status, if inside(&device) { 302 } else { 204 }, "{device}");
        if inside(&device) { ins += 1 } else { outs += 1 }
    }
    assert!(ins > 0 && outs > 0);
}

#[test]
fn tauri() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("tauri", "tauri");
    let data = |version: &str| plus(&release(version), json!({ "platform": "tauri", "updater": "tauri" }));
    let message = "tauri updater requires a signature parameter for update functionality. Please include a signature in your request";
    admin.upload(&data("1.0.0"), DEB).is_error(400, message);
    admin.upload(&plus(&data("1.0.0"), json!({ "signature": "" })), DEB).is_error(400, message);
    let signature = "dW50cnVzdGVkIGNvbW1lbnQ6IHNpZ25hdHVyZQ==";
    for bad in ["1", "1.0", "1.0.0.0"] {
        is_error_of(
            &admin.upload(&plus(&data(bad), json!({ "signature": signature })), &[("App.AppImage.tar.gz", b"x")]),
            400,
        );
    }
    let ask = |version: &str| check(&server, &and(&asks(version), "platform", "tauri"));
    ask("0.9.0").is_empty(204);
    admin.release(
        &plus(&data("1.0.0"), json!({ "signature": signature, "changelog": "What is new" })),
        &[("App größe.AppImage.tar.gz", b"bundle")],
    );
    let value = ask("0.9.0").is_json(200);
    let url = value["url"].as_str().unwrap();
    assert_eq!(super::fetch(&server, url), b"bundle");
    let date = value["pub_date"].as_str().unwrap();
    date.parse::<jiff::Timestamp>().unwrap_or_else(|e| panic!("{date}: {e}"));
    assert_eq!(
        value,
        json!({ "version": "1.0.0", "url": url, "signature": signature, "notes": "What is new", "pub_date": date })
    );
    ask("1.0.0").is_empty(204);
    ask("1.1.0").is_empty(204);
}

#[test]
fn pre_releases() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let rising = [
        "1.2.0-alpha",
        "1.2.0-alpha.1",
        "1.2.0-alpha.beta",
        "1.2.0-beta",
        "1.2.0-beta.2",
        "1.2.0-beta.11",
        "1.2.0-rc.1",
        "1.2.0",
        "1.2.1-rc.1",
        "1.2.1",
    ];
    for (at, version) in rising.iter().enumerate() {
        admin.release(&release(version), DEB);
        for (other, asked) in rising.iter().enumerate() {
            let told = check(&server, &asks(asked)).is_json(200);
            assert_eq!(told["update_available"], other < at, "{asked} against {version}");
        }
    }
    let shown: Vec<Value> = admin.versions("secondapp").into_iter().map(|version| version["Version"].clone()).collect();
    let expected: Vec<Value> = rising.iter().rev().map(|version| json!(version)).collect();
    assert_eq!(shown, expected);
    // Without letters a dash is a dot still.
    admin.release(&release("1-3-0"), DEB);
    assert_eq!(admin.versions("secondapp")[0]["Version"], "1.3.0");
    for bad in ["1.2.0-", "1.2.0-beta..1", "1.2.0-b_", "1.2.0-beta/1", "beta", "1.2.0-béta"] {
        admin.upload(&release(bad), DEB).is_error(400, "invalid version parameter");
    }
}

/// The entry of a package in `releases.CHANNEL.json`.
fn asset(version: &str, kind: &str, name: &str, bytes: &[u8]) -> Value {
    json!({
        "PackageId": "App", "Version": version, "Type": kind, "FileName": name, "SHA1": "94689FEDE03FED7AB59C24337673A27837F0C3EC",
        "SHA256": crate::files::sha256(bytes).to_uppercase(), "Size": bytes.len(), "NotesMarkdown": "", "NotesHTML": "",
    })
}

#[test]
fn velopack() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("win", "velopack");
    let data = |version: &str| plus(&release(version), json!({ "platform": "win", "updater": "velopack" }));
    let feed = |file: &str| -> Answer { ask(&server, &format!("/velopack/{ADMIN_USER}/secondapp/win/amd64/{file}")) };
    is_exactly(&feed("releases.stable.json"), 200, &json!({ "Assets": [] }));
    is_error_of(&admin.upload(&data("1.0.0"), &[("App-1.0.0-full.nupkg", b"x")]), 400);
    is_error_of(&admin.upload(&data("1.0.0"), &[("releases.stable.json", b"{\"Assets\":[]}")]), 400);
    let full = |version: &str| (format!("App-{version}-full.nupkg"), format!("full {version}").into_bytes());
    let delta = |version: &str| (format!("App-{version}-delta.nupkg"), format!("delta {version}").into_bytes());
    let mut ids = Vec::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        let ((full_name, full), (delta_name, delta)) = (full(version), delta(version));
        let mut assets = vec![asset(version, "Full", &full_name, &full)];
        let mut files: Vec<(&str, &[u8])> = vec![(&full_name, &full)];
        if version != "1.0.0" {
            assets.push(asset(version, "Delta", &delta_name, &delta));
            files.push((&delta_name, &delta));
        }
        let json = json!({ "Assets": assets }).to_string();
        files.push(("releases.stable.json", json.as_bytes()));
        ids.push(admin.release(&data(version), &files));
    }
    let shown = || -> Vec<String> {
        let told = feed("releases.stable.json").is_json(200);
        told["Assets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|asset| format!("{} {}", asset["Version"].as_str().unwrap(), asset["Type"].as_str().unwrap()))
            .collect()
    };
    let sorted = || {
        let mut all = shown();
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(), ["1.0.0 Full", "1.1.0 Delta", "1.1.0 Full", "1.2.0 Delta", "1.2.0 Full"]);
    let told = feed("releases.stable.json").is_json(200);
    for shown in told["Assets"].as_array().unwrap() {
        let name = shown["FileName"].as_str().unwrap();
        let answer = feed(name);
        assert_eq!(answer.status, 200);
        assert_eq!(shown["SHA256"].as_str().unwrap().to_lowercase(), crate::files::sha256(&answer.body));
        assert_eq!(shown["Size"], json!(answer.body.len()));
        assert_eq!(shown["PackageId"], "App");
    }
    // A delta is offered only when what it starts from is.
    admin.changes(&json!({ "id": ids[1], "app_name": "secondapp", "version": "1.1.0", "publish": false }), &[]);
    assert_eq!(sorted(), ["1.0.0 Full", "1.2.0 Full"]);
    is_exactly(&feed("releases.unknown.json"), 200, &json!({ "Assets": [] }));
    is_exactly(
        &ask(&server, "/velopack/unknown/secondapp/win/amd64/releases.stable.json"),
        200,
        &json!({ "Assets": [] }),
    );
    assert_eq!(feed("unknown.nupkg").status, 404);
}

#[test]
fn a_broken_list_of_velopack() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("win", "velopack");
    let deep = "[".repeat(100_000);
    let many = json!({ "Assets": vec![asset("1.0.0", "Full", "App-1.0.0-full.nupkg", b"x"); 3000] }).to_string();
    let lists = [
        "",
        "garbage",
        "{}",
        "[]",
        "null",
        "{\"Assets\":7}",
        "{\"Assets\":[7,{}]}",
        "\u{feff}{\"Assets\":[]}",
        &deep,
        &many,
    ];
    for (at, list) in lists.iter().enumerate() {
        let version = format!("1.{at}.0");
        let data = plus(&release(&version), json!({ "platform": "win", "updater": "velopack" }));
        let name = format!("App-{version}-full.nupkg");
        let answer = admin.upload(&data, &[(&name, b"x"), ("releases.stable.json", list.as_bytes())]);
        assert!(matches!(answer.status, 200 | 400), "{at}: {}", answer.status);
        // Taken or refused: the feed stays one.
        let feed = ask(&server, &format!("/velopack/{ADMIN_USER}/secondapp/win/amd64/releases.stable.json"));
        assert!(feed.is_json(200)["Assets"].is_array(), "{at}");
    }
}
