//! Keys, publishers, namespaces and owner labels (`refpack.md` §3).

use serde_json::json;

use crate::client::{Answer, Request};
use crate::files::{Form, fingerprint};
use crate::server::{ADMIN, ADMIN_USER, Packhouse};

use super::pack::Pack;
use super::{nothing_is_there, push, refused, refused_like, token};

fn push_as(server: &Packhouse, key: &str, pack: &Pack) -> Answer {
    server.send(Request::post("/packages").header("X-API-Key", key).body("application/zip", pack.zip()))
}

#[test]
fn writing_needs_a_key_and_reading_none() {
    let server = Packhouse::start();
    let zip = Pack::new("a", "1.0.0").zip();
    let plain = token(&server);
    let post = |headers: &[(&str, &str)]| {
        let request = Request::post("/packages").body("application/zip", zip.clone());
        server.send(headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    let bearer = format!("Bearer {plain}");
    let bad: [&[(&str, &str)]; 9] = [
        &[],
        &[("X-API-Key", "nobody")],
        &[("X-API-Key", "")],
        &[("Authorization", "Bearer nobody")],
        &[("Authorization", &plain)],
        &[("Authorization", "Basic YWRtaW46YWRtaW4=")],
        &[("X-Api-Token", &plain)],
        &[("X-API-Key", "nobody"), ("Authorization", &bearer)],
        &[("X-API-Key", &fingerprint(&plain))],
    ];
    for headers in bad {
        refused(&post(headers), 401, "Unauthorized", "API key is missing or invalid.");
    }
    for target in ["/packages/a/archive", "/packages/a/archive?version=nonsense", "/packages/none/archive"] {
        refused(&server.send(Request::post(target)), 401, "Unauthorized", "API key is missing or invalid.");
    }
    nothing_is_there(&server);
    assert_eq!(post(&[("Authorization", &bearer)]).status, 200);
    let read = Request::get("/packages/a").header("X-API-Key", "wrong").header("Authorization", "Bearer wrong");
    assert_eq!(server.send(read).status, 200);
    // The key is judged before the body is examined, or even sent.
    let waiting = Request::post("/packages").body("application/zip", zip.clone()).expect_continue();
    let answer = server.send(waiting);
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
    assert_eq!(post(&[("X-API-Key", &plain), ("Authorization", "Bearer wrong")]).status, 409);
    // A key that was taken back is none.
    let gone = server.send(Request::delete(&format!("/prune/{plain}")).token(ADMIN));
    assert_eq!(gone.status, 204);
    refused(&post(&[("X-API-Key", &plain)]), 401, "Unauthorized", "API key is missing or invalid.");
}

#[test]
fn the_first_publisher_owns_the_package() {
    let server = Packhouse::start();
    let (one, two) = (token(&server), token(&server));
    assert_eq!(push_as(&server, &one, &Pack::new("solo", "1.0.0")).status, 200);
    let message = "Package 'solo' belongs to another publisher";
    refused(&push_as(&server, &two, &Pack::new("solo", "2.0.0")), 403, "Forbidden", message);
    // Rights are judged before duplicates.
    refused(&push_as(&server, &two, &Pack::new("solo", "1.0.0")), 403, "Forbidden", message);
    let archive = |key: &str| server.send(Request::post("/packages/solo/archive").header("X-API-Key", key));
    refused(&archive(&two), 403, "Forbidden", message);
    assert_eq!(push_as(&server, ADMIN, &Pack::new("solo", "1.1.0")).status, 200);
    assert_eq!(push_as(&server, &one, &Pack::new("solo", "1.2.0")).status, 200);
    assert_eq!(archive(&one).status, 200);
    assert_eq!(archive(ADMIN).status, 200);
}

#[test]
fn the_first_publisher_owns_the_namespace() {
    let server = Packhouse::start();
    let (one, two) = (token(&server), token(&server));
    assert_eq!(push_as(&server, &one, &Pack::new("vendor/a", "1.0.0")).status, 200);
    let message = "Namespace 'vendor' belongs to another publisher";
    refused(&push_as(&server, &two, &Pack::new("vendor/b", "1.0.0")), 403, "Forbidden", message);
    let message = "Package 'vendor/a' belongs to another publisher";
    refused(&push_as(&server, &two, &Pack::new("vendor/a", "2.0.0")), 403, "Forbidden", message);
    // Case counts, and one segment has no namespace.
    for id in ["Vendor/b", "vendor"] {
        assert_eq!(push_as(&server, &two, &Pack::new(id, "1.0.0")).status, 200);
    }
    assert_eq!(push_as(&server, ADMIN, &Pack::new("vendor/c", "1.0.0")).status, 200);
    assert_eq!(push_as(&server, &one, &Pack::new("vendor/d", "1.0.0")).status, 200);
    let message = "Package 'vendor/c' belongs to another publisher";
    refused(&push_as(&server, &one, &Pack::new("vendor/c", "2.0.0")), 403, "Forbidden", message);
}

#[test]
fn owner_labels() {
    let server = Packhouse::start();
    let key = token(&server);
    let with = |owner: &str, pack: &Pack| {
        let target = format!("/packages?ownerId={owner}");
        server.send(Request::post(&target).header("X-API-Key", &key).body("application/zip", pack.zip()))
    };
    let in_form = |owner: &str, pack: &Pack| {
        let (kind, body) = Form::new().text("ownerId", owner).file("p.zip", &pack.zip()).finish();
        server.send(Request::post("/packages").header("X-API-Key", &key).body(&kind, body))
    };
    let owner_of = |id: &str| {
        let shown = server.send(Request::get(&format!("/packages/advanced-search?filters=id:{id}"))).is_json(200);
        shown["items"][0]["ownerId"].as_str().unwrap().to_owned()
    };
    for bad in [".a", "-", "a%20b", "%C3%A9", "a/b", &"x".repeat(65)] {
        let message = refused_like(&with(bad, &Pack::new("p", "1.0.0")), 400, "Invalid parameter");
        assert!(message.contains("ownerId"), "{message}");
    }
    assert!(refused_like(&in_form("a b", &Pack::new("p", "1.0.0")), 400, "Invalid parameter").contains("ownerId"));
    nothing_is_there(&server);
    assert_eq!(with("", &Pack::new("vendor/n", "1.0.0")).status, 200);
    assert_eq!(owner_of("vendor/n"), "vendor");
    assert_eq!(with("", &Pack::new("single", "1.0.0")).status, 200);
    assert_eq!(owner_of("single"), fingerprint(&key));
    assert_eq!(with("A.team_1-x", &Pack::new("raw", "1.0.0")).status, 200);
    assert_eq!(owner_of("raw"), "A.team_1-x");
    assert_eq!(in_form("team", &Pack::new("form", "1.0.0")).status, 200);
    assert_eq!(owner_of("form"), "team");
    let message = "Package 'form' is owned by 'team'";
    refused(&in_form("other", &Pack::new("form", "2.0.0")), 409, "Owner conflict", message);
    assert_eq!(in_form("team", &Pack::new("form", "2.0.0")).status, 200);
    assert_eq!(in_form("", &Pack::new("form", "3.0.0")).status, 200);
    assert_eq!(push_as(&server, ADMIN, &Pack::new("form", "4.0.0")).status, 200);
    assert_eq!(owner_of("form"), "team");
    push(&server, &Pack::new("mine", "1.0.0").meta("title", json!("x")));
    // The admin's token belongs to the admin's account.
    assert_eq!(owner_of("mine"), ADMIN_USER);
}
