//! Who is let in, in which order, and in what words others are sent away (`winget.md` §0, A1, A2).

use serde_json::json;

use super::{NOBODY, fields, first, path, refused, sign_up};
use crate::client::Request;
use crate::server::{ADMIN_USER, Packhouse};

/// Every route that asks for a login.
const ROUTES: [(&str, &str); 26] = [
    ("GET", "test"),
    ("POST", "add_package"),
    ("PATCH", "edit_package/A"),
    ("DELETE", "delete_package/A"),
    ("GET", "get_package_versions/A"),
    ("GET", "get_specific_package_version/x"),
    ("POST", "add_package_version/A"),
    ("DELETE", "delete_package_version/A"),
    ("POST", "upload_package_version"),
    ("GET", "upload_package_version"),
    ("DELETE", "upload_package_version"),
    ("GET", "get_clients"),
    ("POST", "add_client"),
    ("PATCH", "edit_client/x"),
    ("DELETE", "delete_client/x/y"),
    ("GET", "get_blacklist/x"),
    ("PUT", "edit_blacklist/x"),
    ("GET", "get_blacklist_groups"),
    ("POST", "add_blacklist_group"),
    ("PUT", "edit_blacklist_group/x"),
    ("DELETE", "delete_blacklist_group/x"),
    ("GET", "get_client_logs/x"),
    ("DELETE", "clear_client_logs/x"),
    ("GET", "get_settings"),
    ("PATCH", "edit_settings"),
    ("GET", "get_client_logs/EXTERN"),
];

#[test]
fn strangers_learn_nothing() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    admin.package("A");
    for (method, rest) in ROUTES {
        let ask = |tenant: &str, token: Option<&str>| {
            let request = Request::new(method, &path(tenant, rest));
            let named = token.map(|token| format!("Bearer {token}"));
            server.send(named.iter().fold(request, |request, value| request.header("Authorization", value)))
        };
        for token in [None, Some("nonsense"), Some(""), Some(other.token.as_str())] {
            let answer = ask(ADMIN_USER, token);
            assert_eq!(answer.status, 401, "{method} {rest} {}", answer.text());
            refused(&answer, 401);
            assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"), "{method} {rest}");
        }
        for tenant in ["nobody", NOBODY] {
            refused(&ask(tenant, Some(&admin.token)), 404);
        }
    }
}

#[test]
fn unknown_paths_and_methods() {
    let server = Packhouse::start();
    for target in ["/cloud/client/api", "/cloud/client/api/", &path(ADMIN_USER, ""), &path(ADMIN_USER, "nothing")] {
        refused(&server.send(Request::get(target)), 404);
    }
    let answer = server.send(Request::get(&path(ADMIN_USER, "login")));
    refused(&answer, 405);
    assert_eq!(answer.header("Allow"), Some("POST"));
    let answer = server.send(Request::put(&path(ADMIN_USER, "upload_package_version")));
    refused(&answer, 405);
    assert_eq!(answer.header("Allow"), Some("DELETE, GET, HEAD, POST"));
}

#[test]
fn the_address_counts_before_the_login() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    let uid = admin.version("A", b"x", &[]);
    let token = admin.client("pc").1;
    for inside in ["127.0.0.1", "10.0.0.1, 127.0.0.0 - 127.0.0.9", "127.0.0.0/8; ::1", "::ffff:127.0.0.1", "default"] {
        admin.set("IP_RESTRICTION", inside);
        assert_eq!(admin.get("test").status, 200, "{inside}");
    }
    admin.set("IP_RESTRICTION", "10.0.0.0/8");
    let told = json!({ "detail": "IP address not authorized", "error": "IP address not authorized" });
    for (method, rest) in ROUTES.into_iter().filter(|(_, rest)| !rest.contains("settings")) {
        assert_eq!(admin.send(method, rest, &[]).is_json(403), told, "{method} {rest}");
    }
    let login = Request::post(&path(ADMIN_USER, "login"));
    assert_eq!(server.send(fields(login, &[])).is_json(403), told);
    assert_eq!(admin.packages(&[("auth_token", &token)]).is_json(403), told);
    let file = Request::get(&format!("/winget/{ADMIN_USER}/files/{uid}/x"));
    assert_eq!(server.send(file.header("Authorization", &format!("Bearer {}", admin.token))).status, 403);
    let proxied = Request::post(&path(ADMIN_USER, "client_version")).header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(server.send(fields(proxied, &[("auth_token", &token)])).status, 403, "nobody is believed");
    // Strangers meet the address first, whoever is logged in can still undo it.
    assert_eq!(server.send(Request::get(&path(ADMIN_USER, "get_settings"))).is_json(403), told);
    assert_eq!(admin.setting("IP_RESTRICTION"), "10.0.0.0/8");
    admin.set("IP_RESTRICTION", "DEFAULT");
    assert_eq!(admin.get("test").status, 200);
}

#[test]
fn bodies_that_say_they_are_forms_and_are_not() {
    let server = Packhouse::start();
    let admin = first(&server);
    for (kind, body) in [
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"),
        ("application/x-www-form-urlencoded", "a=%zz"),
        ("application/x-www-form-urlencoded", "a=%FF"),
        ("text/plain", "package_id=A"),
    ] {
        refused(&server.send(admin.request("POST", "add_package").body(kind, body)), 400);
    }
    let big = format!("a={}", "x".repeat(2 << 20));
    refused(&server.send(admin.request("POST", "add_package").body("application/x-www-form-urlencoded", big)), 413);
    // In such a body a plus is a blank.
    let body = "package_id=A&package_name=two+words&package_publisher=a%2Bb&package_description=";
    let request = admin.request("POST", "add_package").body("application/x-www-form-urlencoded", body);
    assert_eq!(server.send(request).status, 200);
    let list = admin.send("POST", "get_packages", &[]).is_json(200);
    assert_eq!((&list[0]["PACKAGE_NAME"], &list[0]["PACKAGE_PUBLISHER"]), (&json!("two words"), &json!("a+b")));
}
