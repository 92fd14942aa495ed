//! Tables for the rules of the RefPack dialect.

use super::*;

fn at(path: &str) -> Target {
    let segments: Vec<String> = path.split('/').map(|segment| segment.replace("%2F", "/")).collect();
    target(&segments)
}

fn short(error: Error) -> String {
    error.message.split('\n').next().unwrap().to_owned()
}

#[test]
fn paths() {
    let package = |id: &str| Target::Package(id.to_owned());
    let part = |id: &str, action| Target::Part(id.to_owned(), action);
    let cases = [
        ("", Target::List),
        ("advanced-search", Target::Search),
        ("a", package("a")),
        ("a%2Fb", package("a/b")),
        ("a/b", package("a/b")),
        ("a%2Fb%2Fc", package("a/b/c")),
        ("meta", package("meta")),
        ("a/meta", part("a", Action::Meta)),
        ("a%2Fb/meta", part("a/b", Action::Meta)),
        ("a/b/meta", part("a/b", Action::Meta)),
        ("meta/x", package("meta/x")),
        ("meta/meta", part("meta", Action::Meta)),
        ("meta/x/archive", part("meta/x", Action::Archive)),
        ("a%2Fmeta", package("a/meta")),
        ("advanced-search/versions", part("advanced-search", Action::Versions)),
        ("..", package("..")),
        ("../meta", part("..", Action::Meta)),
        ("a/b/c", Target::Nowhere),
        ("a%2Fb/c", Target::Nowhere),
        ("a/b%2Fc", Target::Nowhere),
        ("a%2Fb/c/meta", Target::Nowhere),
        ("a/b/c/meta", Target::Nowhere),
        ("a/", Target::Nowhere),
        ("/a", Target::Nowhere),
        ("a//meta", Target::Nowhere),
        ("/", Target::Nowhere),
        ("a/META", package("a/META")),
    ];
    for (path, expected) in cases {
        assert_eq!(at(path), expected, "{path}");
    }
}

#[test]
fn ids() {
    let long = "x".repeat(64);
    for good in ["a", "A-b_c", "0", "a/b", "meta", "meta/x", "data/advanced-search", &long, &format!("{long}/{long}")] {
        assert!(check_id(good).is_ok(), "{good}");
    }
    let longer = format!("{long}x");
    let bad = [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "-a",
        "a-",
        "_a",
        "a_",
        "a b",
        "a.b",
        "é",
        "..",
        "a/..",
        "advanced-search",
        "a/meta",
        "a/archive",
        "a/versions",
        "a%2Fb",
        "a\0",
        &longer,
    ];
    for bad in bad {
        assert_eq!(short(check_id(bad).unwrap_err()), "Invalid package id", "{bad}");
    }
}

#[test]
fn every_good_id_can_be_reached() {
    for id in ["a", "meta", "a/b", "meta/x", "archive/advanced-search", "advanced-search/x"] {
        assert!(check_id(id).is_ok());
        assert_eq!(at(id), Target::Package(id.to_owned()));
        assert_eq!(at(&id.replace('/', "%2F")), Target::Package(id.to_owned()));
        assert_eq!(at(&format!("{id}/data")), Target::Part(id.to_owned(), Action::Data));
    }
}

#[test]
fn versions() {
    let bad = [
        "1.0",
        "v1.0.0",
        "01.0.0",
        "1.0.0-01",
        "^1.0.0",
        "18446744073709551616.0.0",
        "latest",
        "1.0.0 ",
        "1.0.0-",
        "1.0.0+",
        "1.0.0+a+b",
        "",
        "1.0.0-é",
    ];
    for bad in bad {
        assert_eq!(short(version(bad).unwrap_err()), "Invalid version format", "{bad}");
    }
    assert_eq!(version("1.0.0 build.7").unwrap().to_string(), "1.0.0+build.7");
    assert_eq!(version_key(&version("1.0.0-rc.1+b").unwrap()), "1.0.0-rc.1");
    assert_eq!(version("18446744073709551615.0.0").unwrap().major, u64::MAX);
}

#[test]
fn latest_is_the_highest_present_release() {
    let parse = |text: &str| Version::parse(text).unwrap();
    type Case = (&'static [(&'static str, bool)], Option<&'static str>);
    let cases: [Case; 6] = [
        (&[("1.9.0", false), ("1.10.0", false), ("2.0.0-rc.1", false)], Some("1.10.0")),
        (&[("1.9.0", false), ("1.10.0", true)], Some("1.9.0")),
        (
            &[("1.0.0", true), ("2.0.0-alpha", false), ("2.0.0-beta.2", false), ("2.0.0-beta.11", false)],
            Some("2.0.0-beta.11"),
        ),
        (&[("1.0.0-alpha.1", false), ("1.0.0-alpha", false), ("1.0.0-alpha.beta", false)], Some("1.0.0-alpha.beta")),
        (&[("1.0.0", true)], None),
        (&[], None),
    ];
    for (versions, expected) in cases {
        let versions: Vec<(Version, bool)> = versions.iter().map(|(text, archived)| (parse(text), *archived)).collect();
        let found = latest(versions.iter().map(|(version, archived)| (version, *archived)));
        assert_eq!(found.map(ToString::to_string).as_deref(), expected, "{versions:?}");
    }
}

#[test]
fn pages() {
    assert_eq!(page(None, Some("")).unwrap(), Page { number: 1, size: 10 });
    assert_eq!(page(Some("2147483647"), Some("100")).unwrap(), Page { number: i32::MAX as u32, size: 100 });
    for bad in ["0", "-1", "1.5", "x", " 1", "+1", "2147483648", "99999999999999999999"] {
        assert_eq!(short(page(Some(bad), None).unwrap_err()), "Invalid page", "{bad}");
    }
    for bad in ["0", "101", "-1", "x", "99999999999999999999"] {
        assert_eq!(short(page(None, Some(bad)).unwrap_err()), "Invalid page size", "{bad}");
    }
}

#[test]
fn parameters() {
    for (text, expected) in
        [(None, false), (Some(""), false), (Some("TRUE"), true), (Some("1"), true), (Some("False"), false)]
    {
        assert_eq!(include_archived(text).unwrap(), expected);
    }
    assert_eq!(short(include_archived(Some("yes")).unwrap_err()), "Invalid parameter");
    assert_eq!(tags(["a, B,,", " ", "a"].into_iter()).unwrap(), ["a", "b"]);
    assert_eq!(search_text(Some("  Größe ")).unwrap(), "grösse");
    assert!(search_text(Some(&"x".repeat(1001))).is_err());
    let filter = |text: &str| filters([text].into_iter());
    assert_eq!(filter("").unwrap(), []);
    assert_eq!(
        filter("name:A:b,x-k:").unwrap(),
        [("title".to_owned(), "a:b".to_owned()), ("x-k".to_owned(), String::new())]
    );
    for bad in ["a", ":b", "a:b,", ",", "a:b,c"] {
        assert_eq!(short(filter(bad).unwrap_err()), "Invalid filters", "{bad}");
    }
    for good in ["a", "A.b-c_0", &"x".repeat(64)] {
        assert!(check_owner_label(good).is_ok());
    }
    for bad in ["", ".a", "-", "a b", "é", &"x".repeat(65)] {
        assert!(check_owner_label(bad).is_err(), "{bad}");
    }
    for (name, good) in [
        ("a.zip", true),
        ("a.REFPACK.ZIP", true),
        (".zip", true),
        ("zip", false),
        ("a.zip.exe", false),
        ("é.zip", true),
        ("aé", false),
    ] {
        assert_eq!(is_pack_name(name), good, "{name}");
    }
}

#[test]
fn folding_is_the_same_for_a_piece_and_the_whole() {
    for (a, b) in
        [("ΟΔΟΣ", "οδος"), ("Straße", "STRASSE"), ("ÉCOLE", "école"), ("ſ", "S"), ("K", "k"), ("ПРИВЕТ", "привет")]
    {
        assert_eq!(fold(a), fold(b), "{a}");
    }
    assert!(fold("ΟΔΟΣΑ").contains(&fold("οδοσ")));
    assert_ne!(fold("a"), fold("b"));
}

#[test]
fn filter_pairs() {
    let manifest: Map<String, Value> =
        serde_json::from_str(r#"{"title":"T","tags":["A",1,[true]],"x-n":1.5,"x-o":{"k":"v"},"x-0":null}"#).unwrap();
    let found = pairs(&manifest);
    let expected = [("tags", "a"), ("tags", "1"), ("tags", "true"), ("title", "t"), ("x-n", "1.5")];
    assert_eq!(found, expected.map(|(key, value)| (key, value.to_owned())));
}
