//! Tables for the rules of the app-update dialect.

use super::*;

#[test]
fn names() {
    let (hundred, long) = ("a".repeat(100), "a".repeat(101));
    for good in ["a", "My App 2", "a.b_c-d", "0", "a  b", &hundred] {
        assert!(is_app_name(good), "{good}");
    }
    for bad in ["", " a", "a ", ".a", "a.", "-a", "a/b", "a\\b", "ä", "a\0b", "a\nb", "a+b", &long] {
        assert!(!is_app_name(bad), "{bad:?}");
    }
    let (most, more) = ("a".repeat(64), "a".repeat(65));
    for good in ["a", "stable", "x86_64", "a.", "9-", &most] {
        assert!(is_axis_name(good), "{good}");
    }
    for bad in ["", "a b", ".a", "-", "_a", "a/b", "ö", "a\t", &more] {
        assert!(!is_axis_name(bad), "{bad:?}");
    }
}

#[test]
fn extensions() {
    let cases = [
        ("app.deb", ".deb"),
        ("a.b.AppImage", ".AppImage"),
        ("app.tar.gz", ".tar.gz"),
        ("app.TAR.XZ", ".TAR.XZ"),
        ("app-1.0.tar.zst", ".tar.zst"),
        (".tar.gz", ".gz"),
        ("RELEASES", ""),
        (".bashrc", ""),
        ("a.", "."),
        ("app.exe.blockmap", ".blockmap"),
        ("größe.zip", ".zip"),
        ("日本.tär.gz", ".gz"),
    ];
    for (name, ext) in cases {
        assert_eq!(extension(name), ext, "{name}");
    }
}

#[test]
fn file_names() {
    let cases = [
        ("app.exe", Some("app.exe")),
        ("C:\\x\\app.exe", Some("app.exe")),
        ("../../etc/passwd", Some("passwd")),
        ("größe 📦.zip", Some("größe 📦.zip")),
        ("", None),
        ("a/", None),
        ("..", None),
        ("x/.", None),
        ("a\0b", None),
        ("a\nb", None),
        ("a\u{85}b", None),
    ];
    for (given, kept) in cases {
        assert_eq!(file_name(given).ok(), kept, "{given:?}");
    }
    assert!(file_name(&"x".repeat(255)).is_ok());
    assert!(file_name(&"x".repeat(256)).is_err());
}

#[test]
fn keys() {
    let full = KeyNames {
        owner: "admin",
        app: "secondapp",
        channel: "stable",
        platform: "linux",
        arch: "amd64",
        version: "0.0.1",
    };
    assert_eq!(full.plain(".deb"), "secondapp/stable/linux/amd64/secondapp-0.0.1.deb");
    assert_eq!(
        full.named(Updater::SquirrelWindows, "RELEASES"),
        "squirrel_windows/admin/secondapp/0.0.1/stable/linux/amd64/RELEASES"
    );
    let bare = KeyNames { channel: "", platform: "", arch: "", ..full };
    assert_eq!(bare.plain(""), "secondapp/secondapp-0.0.1");
    assert_eq!(bare.named(Updater::Tauri, "a b.zip"), "tauri/admin/secondapp/0.0.1/a b.zip");
    assert_eq!(next_key("a/a-1.tar.gz", ".tar.gz", 2), "a/a-1-2.tar.gz");
    assert_eq!(next_key("a/RELEASES", "", 3), "a/RELEASES-3");
    assert_eq!(encode_path("My App/a+b/ö"), "My%20App/a%2Bb/%C3%B6");
    assert_eq!(encode("a/b"), "a%2Fb");
}

#[test]
fn platform_updaters() {
    let pairs =
        |list: &[(&str, bool)]| list.iter().map(|(word, default)| ((*word).to_owned(), *default)).collect::<Vec<_>>();
    let good = updaters(&pairs(&[("manual", false), ("sparkle", true)])).unwrap();
    assert_eq!(good[1], Offered { updater: Updater::Sparkle, default: true });
    let bad: [(&[(&str, bool)], &str); 5] = [
        (&[("bogus", true)], "invalid updater type: bogus"),
        (&[("manual", true), ("manual", false)], "duplicate updater type: manual"),
        (&[("manual", false)], "exactly one updater must be set as default"),
        (&[("manual", true), ("sparkle", true)], "only one updater can be set as default"),
        (&[("Manual", true)], "invalid updater type: Manual"),
    ];
    for (given, text) in bad {
        let message = updaters(&pairs(given)).unwrap_err().message;
        assert!(message.starts_with(text), "{message}");
    }
    let both = updaters(&pairs(&[("electron-builder", true), ("squirrel_windows", false)])).unwrap();
    let cases = [
        (None, Some(Updater::ElectronBuilder)),
        (Some("manual"), Some(Updater::Manual)),
        (Some("squirrel"), Some(Updater::SquirrelWindows)),
        (Some("squirrel_windows"), Some(Updater::SquirrelWindows)),
        (Some("squirrel_darwin"), None),
        (Some("sparkle"), None),
        (Some("x"), None),
    ];
    for (named, chosen) in cases {
        assert_eq!(choose_updater(named, &both).ok(), chosen, "{named:?}");
    }
    assert_eq!(choose_updater(None, &[]).ok(), Some(Updater::Manual));
    assert!(choose_updater(Some("squirrel"), &[]).is_err());
}

#[test]
fn what_updaters_need() {
    let version = Version::parse("1.2.3").unwrap();
    let cases: [(Updater, Option<&str>, &[&str], bool); 12] = [
        (Updater::Manual, None, &[], true),
        (Updater::ElectronBuilder, None, &["a.exe"], false),
        (Updater::ElectronBuilder, None, &["a.exe", "latest.YML"], true),
        (Updater::SquirrelWindows, None, &["releases"], true),
        (Updater::SquirrelWindows, None, &["RELEASES.txt"], false),
        (Updater::SquirrelDarwin, None, &["a.ZIP"], true),
        (Updater::SquirrelDarwin, None, &["a.dmg"], false),
        (Updater::Tauri, None, &["a.zip"], false),
        (Updater::Tauri, Some("sig"), &["a.zip"], true),
        (Updater::Velopack, None, &["a-1.0.0-full.nupkg", "releases.win.json"], true),
        (Updater::Velopack, None, &["a-1.0.0-full.nupkg"], false),
        (Updater::Velopack, None, &["a-delta.nupkg", "releases.win.json"], false),
    ];
    for (updater, signature, files, good) in cases {
        assert_eq!(check_files(updater, &version, signature, files).is_ok(), good, "{updater:?} {files:?}");
    }
    let two = Version::parse("1.2").unwrap();
    assert!(check_files(Updater::Tauri, &two, Some("sig"), &["a.zip"]).is_err());
}

#[test]
fn numbers_of_queries() {
    let cases = [
        (None, 100),
        (Some(""), 100),
        (Some("0"), 100),
        (Some("-1"), 100),
        (Some("x"), 100),
        (Some("+5"), 100),
        (Some("7"), 7),
        (Some("007"), 7),
        (Some("1001"), 1000),
        (Some("99999999999999999999999999"), 1000),
    ];
    for (text, number) in cases {
        assert_eq!(positive(text, 100, Some(1000)), number, "{text:?}");
    }
    let edge = u64::MAX.to_string();
    assert_eq!(positive(Some(&edge), 1, None), u64::MAX);
    assert_eq!(positive(Some("18446744073709551616"), 1, None), 1);
}

#[test]
fn types_and_hosts() {
    assert_eq!(media_type("latest.yml"), "text/yaml");
    assert_eq!(media_type("releases"), "text/plain");
    assert_eq!(media_type("x.html"), "application/octet-stream");
    assert_eq!(media_type("x.svg"), "application/octet-stream");
    assert_eq!(image_type(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
    assert_eq!(image_type(b"RIFF....WEBPVP8 "), Some("image/webp"));
    assert_eq!(image_type(b"<svg"), None);
    for good in ["localhost", "127.0.0.1:8090", "[::1]:80", "packages.example"] {
        assert!(is_host(good), "{good}");
    }
    for bad in ["", "a b", "a/b", "a\"b", "<x>", "a@b", "ä"] {
        assert!(!is_host(bad), "{bad}");
    }
}

#[test]
fn rollouts_are_stable_and_nested() {
    assert!((0..200).all(|n| !in_rollout(&format!("d{n}"), "seed", 0)));
    assert!((0..200).all(|n| in_rollout(&format!("d{n}"), "seed", 100)));
    for n in 0..200 {
        let device = format!("d{n}");
        assert!(!in_rollout(&device, "seed", 30) || in_rollout(&device, "seed", 60));
    }
    let share = (0..1000).filter(|n| in_rollout(&format!("device-{n}"), "0123456789abcdef", 50)).count();
    assert!((400..600).contains(&share), "{share}");
}

#[test]
fn wishes() {
    let hex = "0123456789abcdef".repeat(4);
    let digest = Digest::from_hex(&hex).unwrap();
    for (text, name) in [
        (hex.clone(), None),
        (format!(" sha256:{hex}\n"), None),
        (format!("{}  My App.deb", hex.to_uppercase()), Some("My App.deb")),
        (format!("{hex} *dir/a.deb\n"), Some("a.deb")),
        (format!("{hex}\tRELEASES"), Some("RELEASES")),
    ] {
        assert_eq!(wish(&text).unwrap(), Wish { digest, name: name.map(str::to_owned) }, "{text:?}");
    }
    let wrong =
        [String::new(), "x".into(), hex[1..].into(), format!("{hex}0"), format!("{hex}  .."), format!("{hex} a/")];
    for bad in wrong {
        assert!(wish(&bad).is_err(), "{bad:?}");
    }
}
