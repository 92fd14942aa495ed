//! `faynosync.md` §10: what is counted, and `GET /telemetry`.

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::{Packhouse, wait_for};

use super::{Pairs, Person, and, asks, first, is_error_of, plus, release, sign_up, with_query};

/// Today as the server counts days.
fn today() -> String {
    day(0)
}

/// The day so many days ago.
fn day(ago: i64) -> String {
    let date = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    date.checked_sub(jiff::Span::new().days(ago)).unwrap().to_string()
}

#[track_caller]
fn told(admin: &Person<'_>, pairs: &[(&str, &str)]) -> Value {
    admin.get(&with_query("/telemetry", pairs)).is_json(200)
}

/// One check of a device.
#[track_caller]
fn seen(admin: &Person<'_>, device: &str, pairs: &[(&str, &str)]) {
    let path = with_query("/checkVersion", pairs);
    let answer = admin.server.send(Request::get(&path).header("X-Device-ID", device));
    assert!(matches!(answer.status, 200 | 204 | 302), "{}", answer.status);
}

fn counts(value: &Value) -> [i64; 4] {
    ["total_requests", "unique_clients", "clients_using_latest_version", "clients_outdated"]
        .map(|key| value[key].as_i64().unwrap())
}

fn set_up(admin: &Person<'_>) {
    admin.set_up();
    admin.create_app("thirdapp");
    admin.release(&release("0.0.9"), &[("a.deb", b"a")]);
    admin.release(&release("0.0.10"), &[("a.deb", b"a")]);
    admin.release(
        &plus(&release("0.0.10"), json!({ "channel": "nightly", "platform": "windows", "arch": "arm64" })),
        &[("a.exe", b"a")],
    );
    admin.release(&plus(&release("2.0"), json!({ "app_name": "thirdapp" })), &[("a.deb", b"a")]);
}

#[test]
fn an_empty_day() {
    let server = Packhouse::start();
    let admin = first(&server);
    let told = told(&admin, &[]);
    let expected = json!({
        "date": today(), "admin": admin.name,
        "summary": {
            "total_requests": 0, "unique_clients": 0, "clients_using_latest_version": 0, "clients_outdated": 0, "total_active_apps": 0,
        },
        "platforms": [], "architectures": [], "channels": [],
        "daily_stats": [{
            "date": today(), "total_requests": 0, "unique_clients": 0, "clients_using_latest_version": 0, "clients_outdated": 0,
        }],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
    assert_eq!((&told["versions"]["known_versions"], &told["versions"]["usage"]), (&json!([]), &json!([])));
    let known = |key: &String| expected.get(key).is_some() || key == "versions" || key == "date_range";
    assert!(told.as_object().unwrap().keys().all(known), "{told}");
}

#[test]
fn counting() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    // What is not counted: no device, an odd device, a refusal.
    super::check(&server, &asks("0.0.9")).is_json(200);
    for device in ["", &"d".repeat(257)] {
        let answer =
            server.send(Request::get(&with_query("/checkVersion", &asks("0.0.9"))).header("X-Device-ID", device));
        assert_eq!(answer.status, 200);
    }
    for pairs in [
        and(&asks("x"), "version", "x"),
        and(&asks("0.0.9"), "app_name", "unknown"),
        and(&asks("0.0.9"), "channel", "unknown"),
    ] {
        let answer = server.send(Request::get(&with_query("/checkVersion", &pairs)).header("X-Device-ID", "refused"));
        assert!(matches!(answer.status, 400 | 404));
    }
    assert_eq!(counts(&told(&admin, &[])["summary"]), [0; 4]);

    // `/telemetry` sees it at once.
    seen(&admin, "one", &asks("0.0.9"));
    assert_eq!(counts(&told(&admin, &[])["summary"]), [1, 1, 0, 1]);
    seen(&admin, "one", &asks("0.0.9"));
    assert_eq!(counts(&told(&admin, &[])["summary"]), [2, 1, 0, 1]);
    // Its last version and state count.
    seen(&admin, "one", &asks("0.0.10"));
    assert_eq!(counts(&told(&admin, &[])["summary"]), [3, 1, 1, 0]);
    // A client ahead of latest uses the latest.
    seen(&admin, "two", &asks("9.0"));
    assert_eq!(counts(&told(&admin, &[])["summary"]), [4, 2, 2, 0]);
    let nightly = [
        ("app_name", "secondapp"),
        ("version", "0.0.9"),
        ("channel", "nightly"),
        ("platform", "windows"),
        ("arch", "arm64"),
    ];
    seen(&admin, &"d".repeat(256), &nightly);
    let printable = "{B6F7-11} größe".replace("größe", "~!");
    seen(&admin, &printable, &and(&asks("1.0"), "app_name", "thirdapp"));
    let value = told(&admin, &[]);
    assert_eq!(counts(&value["summary"]), [6, 4, 2, 2]);
    assert_eq!(value["summary"]["total_active_apps"], 2);
    // Which versions count as known is left open beyond those in use; their order is not.
    let known: Vec<&str> = value["versions"]["known_versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version.as_str().unwrap())
        .collect();
    let rising: Vec<&str> =
        ["0.0.9", "0.0.10", "1.0", "2.0", "9.0"].into_iter().filter(|v| known.contains(v)).collect();
    assert_eq!(known, rising);
    assert!(["0.0.9", "0.0.10", "1.0", "9.0"].iter().all(|version| known.contains(version)), "{known:?}");
    let count = |key: &str, name: &str, n: u64| json!({ key: name, "client_count": n });
    let usage = [("0.0.9", 1), ("0.0.10", 1), ("1.0", 1), ("9.0", 1)].map(|(version, n)| count("version", version, n));
    assert_eq!(value["versions"]["usage"], json!(usage));
    assert_eq!(value["platforms"], json!([count("platform", "linux", 3), count("platform", "windows", 1)]));
    assert_eq!(value["architectures"], json!([count("arch", "amd64", 3), count("arch", "arm64", 1)]));
    assert_eq!(value["channels"], json!([count("channel", "nightly", 1), count("channel", "stable", 3)]));
    assert_eq!(counts(&value["daily_stats"][0]), [6, 4, 2, 2]);
    // A device with two apps counts once.
    seen(&admin, "one", &and(&asks("2.0"), "app_name", "thirdapp"));
    assert_eq!(counts(&told(&admin, &[])["summary"])[..2], [7, 4]);
}

#[test]
fn filters() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let nightly = [
        ("app_name", "secondapp"),
        ("version", "0.0.9"),
        ("channel", "nightly"),
        ("platform", "windows"),
        ("arch", "arm64"),
    ];
    seen(&admin, "one", &asks("0.0.9"));
    seen(&admin, "two", &asks("0.0.10"));
    seen(&admin, "three", &nightly);
    seen(&admin, "four", &and(&asks("1.0"), "app_name", "thirdapp"));
    seen(&admin, "four", &and(&asks("1.0"), "app_name", "thirdapp"));
    let cases: [(Pairs<'_>, [i64; 4], u64); 13] = [
        (&[], [5, 4, 1, 3], 2),
        (&[("apps", "secondapp")], [3, 3, 1, 2], 1),
        (&[("apps", "thirdapp")], [2, 1, 0, 1], 1),
        (&[("apps", "secondapp,thirdapp")], [5, 4, 1, 3], 2),
        (&[("channels", "nightly")], [1, 1, 0, 1], 1),
        (&[("channels", "stable")], [4, 3, 1, 2], 2),
        (&[("platforms", "windows,linux")], [5, 4, 1, 3], 2),
        (&[("architectures", "arm64")], [1, 1, 0, 1], 1),
        (&[("architectures", "arm64"), ("platforms", "linux")], [0; 4], 0),
        (
            &[("apps", "secondapp"), ("channels", "stable"), ("platforms", "linux"), ("architectures", "amd64")],
            [2, 2, 1, 1],
            1,
        ),
        (&[("apps", "unknown")], [0; 4], 0),
        (&[("channels", "unknown")], [0; 4], 0),
        (&[("apps", "unknown,thirdapp")], [2, 1, 0, 1], 1),
    ];
    for (pairs, expected, apps) in cases {
        let value = told(&admin, pairs);
        assert_eq!(counts(&value["summary"]), expected, "{pairs:?}: {value}");
        assert_eq!(value["summary"]["total_active_apps"], apps, "{pairs:?}");
        assert_eq!(counts(&value["daily_stats"][0]), expected, "{pairs:?}");
        for (list, name) in [("platforms", "platform"), ("architectures", "arch"), ("channels", "channel")] {
            let clients: i64 =
                value[list].as_array().unwrap().iter().map(|row| row["client_count"].as_i64().unwrap()).sum();
            assert_eq!(clients, expected[1], "{pairs:?}: {list}");
            assert!(value[list].as_array().unwrap().iter().all(|row| row[name].is_string()));
        }
    }
}

#[test]
fn days() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    seen(&admin, "one", &asks("0.0.9"));
    for (pairs, days) in [
        (vec![("range", "week")], 8),
        (vec![("range", "month")], 31),
        (vec![("range", "week"), ("date", "2001-01-01")], 8),
    ] {
        let value = told(&admin, &pairs);
        assert_eq!(value["date"], day(days - 1));
        let stats = value["daily_stats"].as_array().unwrap();
        let expected: Vec<String> = (0..days).rev().map(day).collect();
        let shown: Vec<&str> = stats.iter().map(|entry| entry["date"].as_str().unwrap()).collect();
        assert_eq!(shown, expected);
        assert_eq!(counts(&value["summary"]), [1, 1, 0, 1]);
        for entry in &stats[..stats.len() - 1] {
            assert_eq!(counts(entry), [0; 4]);
        }
    }
    let value = told(&admin, &[("date", &today())]);
    assert_eq!((counts(&value["summary"]), &value["date"]), ([1, 1, 0, 1], &json!(today())));
    let value = told(&admin, &[("date", &day(1))]);
    assert_eq!((counts(&value["summary"]), &value["date"]), ([0; 4], &json!(day(1))));
    told(&admin, &[("date", "2024-02-29")]);
    for bad in [
        "x",
        "2023-02-29",
        "2023-13-01",
        "2023-1-1",
        "01-01-2023",
        "20230101",
        "2023-01-01T00:00:00Z",
        "-2023-01-01",
        " 2023-01-01",
        "2023-01-32",
    ] {
        let answer = admin.get(&with_query("/telemetry", &[("date", bad)]));
        answer.is_error(400, "Invalid date parameter. Use YYYY-MM-DD");
    }
    for bad in ["x", "day", "Week", "week,month", "8"] {
        let answer = admin.get(&with_query("/telemetry", &[("range", bad)]));
        answer.is_error(400, "Invalid range parameter. Use 'week' or 'month'");
    }
}

#[test]
fn who_sees_it() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    seen(&admin, "one", &asks("0.0.9"));
    let app = admin.list("app")[0]["ID"].clone();
    let channel =
        admin.list("channel").into_iter().find(|entry| entry["ChannelName"] == "stable").unwrap()["ID"].clone();
    let permissions = json!({ "apps": { "allowed": [app] }, "channels": { "allowed": [channel] } });
    let helper = admin.hire("helper", &permissions);
    assert_eq!(told(&helper, &[]), told(&admin, &[]));
    assert_eq!(
        told(&helper, &[("apps", "secondapp"), ("channels", "stable")]),
        told(&admin, &[("apps", "secondapp"), ("channels", "stable")])
    );
    for pairs in [
        [("apps", "thirdapp")],
        [("apps", "secondapp,thirdapp")],
        [("channels", "nightly")],
        [("platforms", "linux")],
        [("architectures", "amd64")],
        [("apps", "unknown")],
    ] {
        helper.get(&with_query("/telemetry", &pairs)).is_error(403, "Permission denied");
    }
    let other = sign_up(&server, "other");
    assert_eq!(counts(&told(&other, &[])["summary"]), [0; 4]);
    assert_eq!(told(&other, &[])["admin"], "other");
    is_error_of(&server.send(Request::get("/telemetry")), 401);
}

#[test]
fn kept_and_secret() {
    let mut server = Packhouse::start();
    {
        let admin = first(&server);
        set_up(&admin);
        seen(&admin, "device-that-nobody-may-find", &asks("0.0.9"));
        seen(&admin, "two", &asks("0.0.10"));
    }
    server.restart();
    {
        let admin = first(&server);
        assert_eq!(counts(&told(&admin, &[])["summary"]), [2, 2, 1, 1]);
        // A device seen before the restart is known after it.
        seen(&admin, "two", &asks("0.0.10"));
        assert_eq!(counts(&told(&admin, &[])["summary"]), [3, 2, 1, 1]);
    }
    // A crash loses two seconds at most.
    wait_for("the counters to be written", || {
        std::thread::sleep(std::time::Duration::from_millis(2500));
        server.kill();
        server.start_again(|builder| builder);
        (counts(&told(&first(&server), &[])["summary"])[0] == 3).then_some(())
    });
    server.kill();
    for file in crate::server::files_below(server.data()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(27).any(|window| window == b"device-that-nobody-may-find");
        assert!(!found, "{} holds a device id", file.display());
    }
}

#[test]
fn feeds_count_too() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let updaters = json!([{ "type": "electron-builder", "default": true }]);
    admin.create_with("platform", &json!({ "platform": "electron", "updaters": updaters }));
    let data = plus(&release("1.0.0"), json!({ "platform": "electron", "updater": "electron-builder" }));
    admin.release(&data, &[("latest.yml", b"version: 1.0.0"), ("a.exe", b"a")]);
    // 302 and 204 of a check, and a request of the folder.
    seen(&admin, "one", &and(&asks("0.9.0"), "platform", "electron"));
    seen(&admin, "two", &and(&asks("1.0.0"), "platform", "electron"));
    assert_eq!(counts(&told(&admin, &[])["summary"]), [2, 2, 1, 1]);
    let path = format!("/update/{}/secondapp/stable/electron/amd64/0.8.0/latest.yml", admin.name);
    let answer = server.send(Request::get(&path).header("X-Device-ID", "three"));
    assert_eq!(answer.status, 200);
    assert_eq!(counts(&told(&admin, &[])["summary"]), [3, 3, 1, 2]);
    let usage = told(&admin, &[])["versions"]["usage"].clone();
    let versions: Vec<&str> = usage.as_array().unwrap().iter().map(|row| row["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["0.8.0", "0.9.0", "1.0.0"]);
    let answer = server.send(Request::get(&path.replace("latest.yml", "unknown.exe")).header("X-Device-ID", "four"));
    assert_eq!(answer.status, 404);
    assert_eq!(counts(&told(&admin, &[])["summary"]), [3, 3, 1, 2]);
}
