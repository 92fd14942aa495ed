//! Packages and their list (`winget.md` A4, A5).

use serde_json::json;

use super::{PNG, fields, first, form, part, path, refused, says, sign_up};
use crate::client::Request;
use crate::files::{Form, segment};
use crate::server::{ADMIN_USER, Packhouse};

const ADDED: &str = "Package was added successfully!";
const UPDATED: &str = "Package was updated successfully!";

fn described(id: &str, name: &str, publisher: &str, description: &str) -> Form {
    let form = Form::new().text("package_id", id).text("package_name", name);
    form.text("package_publisher", publisher).text("package_description", description)
}

#[test]
fn a_package_from_birth_to_death() {
    let server = Packhouse::start();
    let admin = first(&server);
    let logo = described("Mozilla.Firefox", " Firefox ", "Mozilla", "A\nbrowser").part(&part("Logo", "x.svg"), PNG);
    says(&server.send(form(admin.request("POST", "add_package"), logo)), 200, ADDED);
    let token = admin.client("pc").1;
    let list = admin.packages(&[("auth_token", &token)]);
    let shown = json!([{
        "PACKAGE_ID": "Mozilla.Firefox", "PACKAGE_NAME": "Firefox", "PACKAGE_PUBLISHER": "Mozilla",
        "PACKAGE_DESCRIPTION": "A\nbrowser",
        "PACKAGE_LOGO": "data:image/png;base64,iVBORw0KGgogYW5kIHRoZW4gd2hhdGV2ZXI=",
        "PACKAGE_ACTIVE": "1", "VERSIONS": [], "VERSIONS_UID": [],
    }]);
    assert_eq!(list.is_json(200), shown);

    // Names of any case mean it; a second one is told 401, not 409.
    let again = server.send(form(admin.request("POST", "add_package"), described("MOZILLA.firefox", "x", "y", "")));
    assert_eq!(refused(&again, 401), "Package ID already available!");
    assert_eq!(admin.get("get_package_versions/mozilla.FIREFOX").is_json(200), json!([]));
    refused(&admin.get("get_package_versions/Other"), 404);

    let edit = |fields: super::Fields<'_>| admin.send("PATCH", "edit_package/MOZILLA.FIREFOX", fields);
    says(&edit(&[("package_name", "Fox"), ("else", "ignored")]), 200, UPDATED);
    says(&edit(&[]), 200, UPDATED);
    for bad in [("package_name", " "), ("package_publisher", ""), ("package_active", "2")] {
        refused(&edit(&[bad]), 400);
    }
    refused(&admin.send("PATCH", "edit_package/nobody", &[("package_name", "x")]), 404);
    let now = &admin.packages(&[("auth_token", &token)]).is_json(200)[0];
    assert_eq!((&now["PACKAGE_NAME"], &now["PACKAGE_PUBLISHER"]), (&json!("Fox"), &json!("Mozilla")));
    assert_eq!(now["PACKAGE_LOGO"], shown[0]["PACKAGE_LOGO"]);

    says(&edit(&[("package_active", "no")]), 200, UPDATED);
    assert!(admin.ids(&[("auth_token", &token)]).is_empty());
    let all = Request::post(&path(ADMIN_USER, "get_packages?include_disabled=TRUE"));
    assert_eq!(server.send(fields(all, &[("auth_token", &token)])).is_json(200)[0]["PACKAGE_ACTIVE"], "0");
    let odd = Request::post(&path(ADMIN_USER, "get_packages?include_disabled=maybe"));
    refused(&server.send(fields(odd, &[("auth_token", &token)])), 400);

    says(&admin.send("DELETE", "delete_package/mozilla.firefox", &[]), 200, "Package was deleted successfully!");
    refused(&admin.send("DELETE", "delete_package/mozilla.firefox", &[]), 404);
    assert_eq!(admin.setting("STORAGE_USED"), "0");
}

#[test]
fn what_a_package_may_be() {
    let server = Packhouse::start();
    let admin = first(&server);
    let add = |body: Form| server.send(form(admin.request("POST", "add_package"), body));
    let long = "ä".repeat(257);
    let bad = [
        described("", "n", "p", ""),
        described("a b", "n", "p", ""),
        described("a/b", "n", "p", ""),
        described(".a", "n", "p", ""),
        described("a..b", "n", "p", ""),
        described(&"a".repeat(129), "n", "p", ""),
        described("ok", " ", "p", ""),
        described("ok", "n", "", ""),
        described("ok", &long, "p", ""),
        described("ok", "n", &long, ""),
        described("ok", "n", "p", &"x".repeat(10_001)),
        Form::new().text("package_id", "ok").text("package_name", "n").text("package_publisher", "p"),
        Form::new().text("package_name", "n").text("package_publisher", "p").text("package_description", ""),
        described("ok", "n", "p", "").part(&part("Logo", "x.png"), b"GIF89a"),
        described("ok", "n", "p", "").part(&part("Logo", "x.png"), &[PNG, &vec![0; 5 << 20]].concat()),
    ];
    for (number, body) in bad.into_iter().enumerate() {
        let answer = add(body);
        assert_eq!(answer.status, 400, "{number}: {}", answer.text());
        refused(&answer, 400);
    }
    assert!(server.shelf_files().is_empty() && server.stage_files().is_empty(), "a refused add stores nothing");
    for (id, logo) in [("Notepad++.Notepad++", &b""[..]), ("größe", &[0xFF, 0xD8, 0xFF, 0xE0]), (&"a".repeat(128), b"")]
    {
        says(&add(described(id, "n", "p", "").part(&part("Logo", ""), logo)), 200, ADDED);
        let there = admin.get(&format!("get_package_versions/{}", segment(id)));
        assert_eq!(there.is_json(200), json!([]), "{id}");
    }
    assert_eq!(admin.get("get_package_versions/Notepad++.Notepad++").status, 200, "a plus is a plus");
    for odd in ["a%2Fb", "a%00", "%zz", "a%5Cb", "a%0A"] {
        refused(&admin.get(&format!("get_package_versions/{odd}")), 404);
    }
}

#[test]
fn lists_are_by_id_and_apart_by_tenant() {
    let server = Packhouse::start();
    let (one, two) = (first(&server), sign_up(&server, "other"));
    for id in ["b.One", "A.Two", "c", "B.Three"] {
        one.package(id);
    }
    two.package("b.ONE");
    one.set("CLIENT_AUTHENTICATION", "0");
    assert_eq!(one.ids(&[]), ["A.Two", "b.One", "B.Three", "c"]);
    refused(&two.packages(&[]), 401);
    assert_eq!(two.ids(&[("auth_token", &two.client("x").1)]), ["b.ONE"]);
    // A login sees everything too, and no form at all is no error.
    let request =
        Request::post(&path("other", "get_packages")).header("Authorization", &format!("Bearer {}", two.token));
    assert_eq!(server.send(request.json(&json!({}))).status, 200);
    says(&one.send("DELETE", "delete_package/B.ONE", &[]), 200, "Package was deleted successfully!");
    assert_eq!(two.get("get_package_versions/b.one").status, 200);
}

#[test]
fn long_lists_with_pictures_are_written_as_they_are_sent() {
    let server = Packhouse::start();
    let admin = first(&server);
    let picture = [PNG, &vec![7; 300_000]].concat();
    for number in 0..70 {
        let mut body = described(&format!("P{number:03}"), "n", "p", "");
        if number % 10 == 0 {
            body = body.part(&part("Logo", "x"), &picture);
        }
        says(&server.send(form(admin.request("POST", "add_package"), body)), 200, ADDED);
    }
    admin.set("CLIENT_AUTHENTICATION", "0");
    let list = admin.packages(&[]).is_json(200);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 70);
    for (number, package) in list.iter().enumerate() {
        assert_eq!(package["PACKAGE_ID"], format!("P{number:03}"));
        let logo = package["PACKAGE_LOGO"].as_str().unwrap();
        assert_eq!(logo.len() > 400_000, number % 10 == 0);
    }
}
