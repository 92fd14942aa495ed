//! Logging in and out (`winget.md` A2, A3).

use serde_json::json;

use super::{PASSWORD, fields, first, form, log_in, path, refused, sign_up};
use crate::client::Request;
use crate::files::Form;
use crate::server::{ADMIN_PASSWORD, ADMIN_USER, Packhouse};

#[test]
fn logins_are_many_and_end_one_by_one() {
    let mut server = Packhouse::start();
    let (one, two) = (first(&server), first(&server));
    assert_ne!(one.token, two.token);
    assert!(one.token.len() >= 43 && one.token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    assert_eq!(one.get("test").is_json(200), json!({ "Message": "Its working!" }));
    let out = |token: &str| server.send(fields(Request::post(&path(ADMIN_USER, "logout")), &[("token", token)]));
    for _ in 0..2 {
        assert_eq!(out(&one.token).is_json(200), json!({ "message": "Logout Successful!" }));
    }
    assert_eq!(out("unknown").status, 200);
    let answer = one.get("test");
    refused(&answer, 401);
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(two.get("test").status, 200);
    refused(&server.send(Request::post(&path(ADMIN_USER, "logout"))), 400);

    let token = two.token;
    server.restart();
    let request = Request::get(&path(ADMIN_USER, "test")).header("Authorization", &format!("bearer {token}"));
    assert_eq!(server.send(request).status, 200, "logins survive a restart");
}

#[test]
fn both_forms_and_wrong_pairs() {
    let server = Packhouse::start();
    let login = || Request::post(&path(ADMIN_USER, "login"));
    let both = Form::new().text("username", ADMIN_USER).text("password", ADMIN_PASSWORD);
    assert_eq!(server.send(form(login(), both)).status, 200);
    for (user, password) in [(ADMIN_USER, "wrong"), ("nobody", ADMIN_PASSWORD)] {
        let answer = server.send(fields(login(), &[("username", user), ("password", password)]));
        assert_eq!(refused(&answer, 401), "Unauthorized");
    }
    refused(&server.send(fields(login(), &[("username", ADMIN_USER)])), 400);
    refused(&server.send(fields(login(), &[("password", ADMIN_PASSWORD)])), 400);
    refused(&server.send(login().json(&json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD }))), 400);
    refused(&server.send(Request::post(&path("nowhere", "login"))), 404);
}

#[test]
fn a_login_opens_its_own_tenant_by_name_and_by_id() {
    let server = Packhouse::start();
    let (one, two) = (first(&server), sign_up(&server, "Other"));
    let as_one = |tenant: &str| {
        let request = Request::get(&path(tenant, "test")).header("Authorization", &format!("Bearer {}", one.token));
        server.send(request)
    };
    let id = one.setting("TENANT_ID");
    for mine in [ADMIN_USER.to_uppercase(), id.to_uppercase(), id.clone()] {
        assert_eq!(as_one(&mine).status, 200, "{mine}");
    }
    for other in ["Other", "OTHER", &two.setting("TENANT_ID")] {
        refused(&as_one(other), 401);
    }
    for nowhere in ["nobody", super::NOBODY, "a%2Fb", "%zz", "%00", "%FF"] {
        refused(&as_one(nowhere), 404);
    }
    // The right password of another tenant opens nothing here.
    let there =
        fields(Request::post(&path("Other", "login")), &[("username", ADMIN_USER), ("password", ADMIN_PASSWORD)]);
    refused(&server.send(there), 401);
    log_in(&server, "Other", PASSWORD);

    // A login of the app-update dialect counts the same.
    let body = json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD });
    let token = server.send(Request::post("/login").json(&body)).is_json(200)["token"].as_str().unwrap().to_owned();
    let request = Request::get(&path(ADMIN_USER, "test")).header("Authorization", &format!("Bearer {token}"));
    assert_eq!(server.send(request).status, 200);
}

#[test]
fn documentation_is_for_whoever_is_logged_in() {
    let server = Packhouse::start();
    let admin = first(&server);
    for target in ["/cloud/client/api/docs".to_owned(), path(ADMIN_USER, "docs")] {
        let answer = server.send(Request::get(&target));
        assert_eq!((answer.status, answer.header("Location")), (307, Some("/ui/")));
        let inside = Request::get(&target).header("Authorization", &format!("Bearer {}", admin.token));
        let answer = server.send(inside);
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("add_package_version"));
    }
}

#[test]
fn team_users_only_look() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A.B");
    let body = json!({ "username": "helper", "password": PASSWORD, "permissions": {} });
    let request = Request::post("/user/create").header("Authorization", &format!("Bearer {}", admin.token));
    assert_eq!(server.send(request.json(&body)).status, 200);
    let token = {
        let body = json!({ "username": "helper", "password": PASSWORD });
        server.send(Request::post("/login").json(&body)).is_json(200)["token"].as_str().unwrap().to_owned()
    };
    let ask = |method: &str, rest: &str| {
        let request = Request::new(method, &path(ADMIN_USER, rest));
        server.send(request.header("Authorization", &format!("Bearer {token}")))
    };
    assert_eq!(ask("GET", "get_package_versions/a.b").status, 200);
    for (method, rest) in [
        ("DELETE", "delete_package/A.B"),
        ("GET", "get_clients"),
        ("GET", "get_settings"),
        ("GET", "get_client_logs/EXTERN"),
        ("POST", "add_package"),
        ("POST", "upload_package_version"),
    ] {
        refused(&ask(method, rest), 403);
    }
}
