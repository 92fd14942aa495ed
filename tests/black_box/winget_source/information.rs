//! Routes, credentials, errors and `information` (B2, B3).

use super::*;

#[test]
fn information_says_what_the_client_reads() {
    let server = Packhouse::start();
    let answer = server.send(Request::get(&at("/information")));
    let value = answer.is_json(200);
    let id = value["Data"]["SourceIdentifier"].as_str().unwrap();
    assert!(id.starts_with("Packhouse.") && (3..=128).contains(&id.len()), "{id}");
    let expected = json!({ "Data": {
        "SourceIdentifier": id,
        "ServerSupportedVersions": ["1.0.0", "1.1.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.9.0", "1.10.0"],
        "UnsupportedPackageMatchFields": [], "RequiredPackageMatchFields": [],
        "UnsupportedQueryParameters": [], "RequiredQueryParameters": [],
    }});
    assert_eq!(value, expected);
    schema::information(&value);
    assert!(!answer.header("Cache-Control").unwrap().contains("public"));
    for path in ["/c/beta/information", "/information"] {
        let again = server.send(Request::get(&at(path)).header("Version", "1.7.0"));
        assert_eq!(again.is_json(200), value, "{path}");
    }
    let upper = format!("/winget/{}/information", ADMIN_USER.to_uppercase());
    assert_eq!(server.send(Request::get(&upper)).is_json(200), value, "tenants are named in any case");
}

#[test]
fn who_may_ask() {
    let server = Packhouse::start();
    add(&server, "Contoso.App", &[version("1.0", "App", &[installer("x64", "msi")])]);
    let everything = json!({});
    for path in
        ["/manifestSearch", "/t/wrong/manifestSearch", "/c/beta/manifestSearch", "/t/wrong/c/beta/manifestSearch"]
    {
        is_refused(&server.send(Request::post(&at(path)).json(&everything)), 401, 401);
    }
    for path in
        ["/packageManifests/Contoso.App", "/packageManifests/Nothing.Here", "/t/wrong/packageManifests/Contoso.App"]
    {
        is_refused(&server.send(Request::get(&at(path))), 401, 401);
    }
    // Credentials come before the body, and the tenant before both.
    is_refused(&server.send(Request::post(&at("/manifestSearch")).body("application/json", "x")), 401, 401);
    is_refused(&server.send(Request::post("/winget/nobody/manifestSearch").body("application/json", "x")), 404, 404);
    is_refused(&server.send(Request::get("/winget/nobody/information")), 404, 404);
    for header in ["wrong", "{\"Token\": \"wrong\"}", "{'Token': 'wrong'}"] {
        let request = Request::get(&at("/information")).header("Windows-Package-Manager", header);
        is_refused(&server.send(request), 401, 401);
    }
    is_refused(&server.send(Request::get(&at("/t/wrong/information"))), 401, 401);
    for request in [
        Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN),
        Request::post(&at("/manifestSearch")).header("X-API-Key", ADMIN_TOKEN),
        Request::post(&at("/manifestSearch")).header("Authorization", &format!("Bearer {ADMIN_TOKEN}")),
        Request::post(&at("/t/wrong/manifestSearch")).token(ADMIN_TOKEN),
    ] {
        assert_eq!(server.send(request.json(&everything)).is_json(200)["Data"][0]["PackageIdentifier"], "Contoso.App");
    }
}

#[test]
fn paths_and_methods() {
    let server = Packhouse::start();
    for path in ["", "/", "/nothing", "/information/x", "/t/x", "/t/x/nothing"] {
        is_refused(&send(&server, "GET", path, None), 404, 404);
    }
    for (method, path) in [("POST", "/information"), ("GET", "/manifestSearch"), ("PATCH", "/packageManifests/a")] {
        let answer = send(&server, method, path, None);
        is_refused(&answer, 405, 405);
        assert!(answer.header("Allow").is_some(), "{method} {path}");
    }
    assert_eq!(send(&server, "HEAD", "/information", None).status, 200);
    for id in ["a%2Fb", "a%5Cb", "a%00b", "a%0Ab", "%FF"] {
        is_refused(&send(&server, "GET", &format!("/packageManifests/{id}"), None), 404, 404);
    }
}

#[test]
fn versions_of_the_protocol() {
    let server = Packhouse::start();
    let ask = |version: &str| server.send(Request::get(&at("/information")).header("Version", version));
    for version in ["1.0.0", "1.1.0", "1.10.0", "1.7"] {
        assert_eq!(ask(version).status, 200, "{version}");
    }
    for version in ["1.2.0", "2.0.0", "1", "x", "1.0.0.x"] {
        is_refused(&ask(version), 400, 18);
    }
    let request = Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN).header("Version", "9.9.9");
    is_refused(&server.send(request.json(&json!({}))), 400, 18);
    let request = Request::get(&at("/packageManifests/A.B")).token(ADMIN_TOKEN).header("Version", "9.9.9");
    is_refused(&server.send(request), 400, 18);
}

#[test]
fn tokens_in_addresses_stay_out_of_the_log() {
    let mut server = Packhouse::start();
    server.send(Request::get(&at("/t/very-secret-value/information")));
    server.stop();
    assert!(server.log().contains("/t/***/information") && !server.log().contains("very-secret-value"));
}
