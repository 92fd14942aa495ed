//! What a client is shown, in tables.

use super::*;

#[test]
fn contracts() {
    for text in Contract::SUPPORTED {
        assert!(Contract::read(text).is_some(), "{text}");
    }
    assert_eq!(Contract::read(" 1.10 "), Some(Contract::NEWEST));
    for text in ["", "1", "1.2.0", "2.0.0", "1.x.0", "1.1.0.x", "v1.1.0", "-1.1"] {
        assert_eq!(Contract::read(text), None, "{text}");
    }
}

#[test]
fn words_the_client_takes() {
    for (given, tag) in [
        ("en-US", Some("en-US")),
        ("ko_KR", Some("ko-KR")),
        ("zh-Hant-TW", Some("zh-Hant-TW")),
        ("fil", Some("fil")),
        ("e", None),
        ("neutral", None),
        ("en-", None),
        ("", None),
        ("de-DE-x-a", None),
    ] {
        assert_eq!(locale(given).as_deref(), tag, "{given}");
    }
    for (name, good) in [
        ("Contoso.App_8wekyb3d8bbwe", true),
        ("C_8wekyb3d8bbwe", false),
        ("Contoso_8wekyb3d8bbw", false),
        ("Con_toso_8wekyb3d8bbwe", false),
        (".Contoso_8wekyb3d8bbwe", false),
        ("Contoso", false),
    ] {
        assert_eq!(is_family_name(name), good, "{name}");
    }
    for (url, good) in [
        ("https://x/y", true),
        ("HTTP://x", true),
        ("ftp://x", false),
        ("https://", false),
        ("https:///x", false),
        ("https://a b", false),
        ("é", false),
    ] {
        assert_eq!(is_web_address(url), good, "{url}");
    }
}
