//! Tables of what the rules of the winget room let in.

use super::*;

#[test]
fn enums_take_any_case_and_either_dash() {
    let rows: [(&str, &'static [&'static str], &str); 8] = [
        ("X64", &ARCHITECTURES, "x64"),
        ("Arm64", &ARCHITECTURES, "arm64"),
        ("msi", &FILE_TYPES, "MSI"),
        ("Nullsoft", &FILE_TYPES, "NULLSOFT"),
        ("Machine", &SCOPES, "machine"),
        ("KO-kr", &LOCALES, "ko_KR"),
        ("de_de", &LOCALES, "de-DE"),
        ("UNINSTALLPREVIOUS", &UPGRADES, "uninstallPrevious"),
    ];
    for (given, values, stored) in rows {
        assert_eq!(listed("f", given, values).unwrap(), stored);
    }
    for (given, values) in
        [("", &FILE_TYPES[..]), ("portable", &FILE_TYPES), ("en", &LOCALES), ("ia64", &ARCHITECTURES)]
    {
        assert!(listed("f", given, values).is_err(), "{given}");
    }
}

#[test]
fn flags() {
    for yes in ["true", "1", "YES", "On"] {
        assert!(flag("f", yes).unwrap());
    }
    for no in ["False", "0", "no", "OFF"] {
        assert!(!flag("f", no).unwrap());
    }
    for bad in ["", "2", "ja", "truee"] {
        assert!(flag("f", bad).is_err());
    }
}

#[test]
fn ids_and_versions() {
    let long = "a".repeat(128);
    for id in ["A", "Mozilla.Firefox", "Notepad++.Notepad++", "größe.x", "a_b-c", long.as_str()] {
        assert_eq!(package_id(id).unwrap(), id);
    }
    let bad = [
        "", " ", "a b", ".a", "a.", "a..b", "a/b", "a\\b", "a:b", "a*", "a?", "a\"", "<a", "a>", "a|b", "a\nb",
        "a\u{7f}",
    ];
    for id in bad.into_iter().chain([(long.clone() + "a").as_str()]) {
        assert!(package_id(id).is_err(), "{id:?}");
    }
    for text in ["1.0", " 1.0-rc (x) ", "latest", "v2", long.as_str()] {
        assert_eq!(version(text).unwrap(), text.trim());
    }
    for text in ["", "  ", "1/2", "1:2", "1\t2", (long + "a").as_str()] {
        assert!(version(text).is_err(), "{text:?}");
    }
    assert!(label("f", &"ä".repeat(256)).is_ok() && label("f", &"ä".repeat(257)).is_err() && label("f", " ").is_err());
    assert!(description(&"ä\n".repeat(5000)).is_ok() && description(&"ä".repeat(10_001)).is_err());
}

#[test]
fn channels() {
    assert_eq!(channel(None).unwrap(), "stable");
    assert_eq!(channel(Some(" Beta ")).unwrap(), "beta");
    for bad in ["", " ", "x\ny", "12345678901234567"] {
        assert!(channel(Some(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn paths_inside_archives() {
    for path in ["setup.exe", "bin/x.msi", "bin\\x.msi", "a..b/c"] {
        assert_eq!(nested_path(path).unwrap(), path);
    }
    for bad in ["", "/x", "\\x", "C:\\x", "c:x", "../x", "a/../b", "a\\..", "..", "a\0b"] {
        assert!(nested_path(bad).is_err(), "{bad:?}");
    }
    assert_eq!(entry_key("Bin\\Setup.EXE"), entry_key("./bin/setup.exe"));
}

#[test]
fn extensions_of_uploads() {
    let rows = [
        ("My Setup (1).exe_1700000000", Some("exe")),
        ("a.MSIXBUNDLE", Some("msixbundle")),
        ("a.zip_", None),
        ("a.msi_12x", None),
        ("a.tar", None),
        ("exe", None),
        ("a.exe_1_2", None),
    ];
    for (id, extension) in rows {
        assert_eq!(upload_extension(id), extension, "{id}");
    }
}

#[test]
fn pictures_lists_and_keys() {
    assert_eq!(Picture::of(b"\x89PNG\r\n\x1a\nrest"), Some(Picture::Png));
    assert_eq!(Picture::of(&[0xFF, 0xD8, 0xFF, 0xE0]), Some(Picture::Jpeg));
    assert_eq!(Picture::of(b"GIF89a"), None);
    assert_eq!(entries(["a, b,", "", " c "].into_iter()), ["a", "b", "c"]);
    let key = |version, locale| unique_key(version, locale, "x64", "EXE", "", "user");
    assert_eq!(key("1.0A", "ko_KR"), key("1.0a", "ko-kr"));
    assert_ne!(key("1.0", "en-US"), key("1.0.0", "en-US"));
    assert_eq!(decoration("a b/c+1"), "a_b_c+1");
}
