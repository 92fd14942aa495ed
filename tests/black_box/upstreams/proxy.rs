//! Upstreams behind a proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).

use serde_json::json;

use super::mirror::{Mirror, Reply};
use super::repo;
use super::{again, is_done, is_failed, make, names};
use crate::server::Packhouse;

/// A server that reaches upstreams by `proxy`, except for `without`.
fn behind(proxy: &Mirror, without: &str) -> Packhouse {
    Packhouse::with()
        .env("HTTP_PROXY", proxy.url("/"))
        .env("HTTPS_PROXY", proxy.url("").replace("http://", "http://me:secret%21@"))
        .env("NO_PROXY", without)
        .start()
}

#[test]
fn a_plain_upstream_is_asked_for_by_its_whole_address() {
    let proxy = Mirror::start();
    let server = behind(&proxy, "");
    // A name that only the proxy knows.
    proxy.put_all("http://mirror.invalid/y", &repo::yum(&[("a", "1"), ("b", "1"), ("c", "1")]));
    let more = json!({"username": "me", "password": "there"});
    let job = make(&server, "x", "yum", "http://mirror.invalid/y", more);
    is_done(&job);
    assert_eq!((names(&server, "x").len(), &job["downloaded_files"]), (3, &json!(3)));
    let asked = proxy.asked();
    assert!(asked.iter().all(|asked| asked.path.starts_with("http://mirror.invalid/y/")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.field("Host") == Some("mirror.invalid")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.field("Authorization").is_some()), "{asked:?}");
    // Conditions go through as well.
    let job = again(&server, "x", json!({}));
    assert_eq!(job["not_modified"], true, "{job}");
}

#[test]
fn rules_about_addresses_hold_behind_a_proxy() {
    let proxy = Mirror::start();
    let server = behind(&proxy, "direct.invalid");
    for (name, url, words) in [
        ("link", "http://169.254.169.254/latest", "link-local"),
        ("six", "http://[fe80::1]/x", "link-local"),
        ("excepted", "http://direct.invalid/x", "direct.invalid"),
    ] {
        is_failed(&make(&server, name, "yum", url, json!({})), words);
        assert!(proxy.paths().is_empty(), "{name}");
    }
    // This machine itself is asked directly, and only when somebody named it.
    let near = Mirror::start();
    near.put_all("/y", &repo::yum(&[("a", "1")]));
    is_done(&make(&server, "near", "yum", &near.url("/y"), json!({})));
    assert!(proxy.paths().is_empty());
    proxy.put("http://mirror.invalid/y/repodata/repomd.xml", Reply::Redirect(near.url("/y/repodata/repomd.xml")));
    near.paths();
    is_failed(&make(&server, "led", "yum", "http://mirror.invalid/y", json!({})), "this machine itself");
    assert!(near.paths().is_empty());
}

#[test]
fn a_tls_upstream_is_asked_for_through_a_tunnel() {
    let proxy = Mirror::start();
    let server = behind(&proxy, "");
    server.secret("secret!");
    // The proxy says no, and it is told so.
    proxy.put("mirror.invalid:443", Reply::Status(403));
    is_failed(&make(&server, "x", "yum", "https://mirror.invalid/y", json!({})), "403");
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.path == "mirror.invalid:443"), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.field("Proxy-Authorization") == Some("Basic bWU6c2VjcmV0IQ==")));
}

#[test]
fn a_proxy_that_is_none_stops_the_sync() {
    let server = Packhouse::with().env("HTTP_PROXY", "socks5://127.0.0.1:9").start();
    is_failed(&make(&server, "x", "yum", "http://mirror.invalid/y", json!({})), "HTTP_PROXY");
}
