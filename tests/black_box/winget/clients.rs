//! Clients, blacklists, groups, and what clients see of it (`winget.md` A2, A8).

use serde_json::{Value, json};

use super::{NOBODY, first, refused, says, sign_up};
use crate::server::Packhouse;

#[test]
fn a_client_from_birth_to_death() {
    let server = Packhouse::start();
    let admin = first(&server);
    let (id, token) = admin.client(" pc-2 ");
    let (other, other_token) = admin.client("Büro");
    admin.client("a-first");
    let list = admin.get("get_clients").is_json(200);
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|client| client["NAME"].as_str().unwrap()).collect();
    assert_eq!(names, ["A-FIRST", "BÜRO", "PC-2"]);
    let fresh = json!({
        "UID": id, "NAME": "PC-2", "IP": "", "LASTSEEN": "", "CLIENT": 0, "TOKEN": token, "ENABLED": 1,
        "B_GROUPS": "", "BLOCKED_IPS": "",
    });
    assert_eq!(list[2], fresh);
    for bad in ["", "  ", &"x".repeat(65)] {
        refused(&admin.send("POST", "add_client", &[("client_name", bad)]), 400);
    }
    refused(&admin.send("POST", "add_client", &[]), 400);
    let again = admin.send("POST", "add_client", &[("client_name", "PC-2")]);
    assert_eq!(refused(&again, 409), "Hostname already exists!");
    admin.set("MAX_CLIENTS", "3");
    let more = admin.send("POST", "add_client", &[("client_name", "fourth")]);
    assert_eq!(refused(&more, 403), "Maximum number of clients exceeded!");

    // What the released client sends: other names, and the number of its program.
    assert_eq!(admin.packages(&[("Auth-Token", &token), ("Client", "1")]).status, 200);
    refused(&admin.packages(&[("auth_token", &token), ("client", "one")]), 400);
    let seen = admin.get("get_clients").is_json(200)[2].clone();
    assert_eq!((&seen["IP"], &seen["CLIENT"]), (&json!("127.0.0.1"), &json!(1)));
    assert!(seen["LASTSEEN"].as_str().unwrap().ends_with('Z'), "{seen}");

    let edit = |fields: super::Fields<'_>| admin.send("PATCH", &format!("edit_client/{id}"), fields);
    let updated = "Client was updated successfully!";
    says(&edit(&[("enabled", "0")]), 200, updated);
    assert_eq!(refused(&admin.packages(&[("auth_token", &token)]), 401), "Invalid Auth-Token");
    says(&edit(&[("enabled", "yes"), ("blocked_ips", "10.0.0.1; 127.0.0.0/8"), ("client_name", "new")]), 200, updated);
    refused(&admin.packages(&[("auth_token", &token)]), 401);
    says(&edit(&[("blocked_ips", "")]), 200, updated);
    assert_eq!(admin.packages(&[("auth_token", &token)]).status, 200);
    refused(&edit(&[("client_name", "büro")]), 409);
    for bad in [("blocked_ips", "x"), ("enabled", "2"), ("client_name", "")] {
        refused(&edit(&[bad]), 400);
    }
    refused(&admin.send("PATCH", &format!("edit_client/{NOBODY}"), &[("enabled", "1")]), 404);

    let delete = |id: &str, token: &str| admin.send("DELETE", &format!("delete_client/{id}/{token}"), &[]);
    for (id, token) in [(id.as_str(), other_token.as_str()), (other.as_str(), &token), (NOBODY, &token), ("x", &token)]
    {
        refused(&delete(id, token), 404);
    }
    says(&delete(&id, &token), 200, "Client was removed successfully!");
    refused(&delete(&id, &token), 404);
    refused(&admin.packages(&[("auth_token", &token)]), 401);
    assert_eq!(admin.get("get_clients").is_json(200).as_array().unwrap().len(), 2);
}

#[test]
fn who_may_ask() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    admin.package("A");
    let (token, foreign) = (admin.client("pc").1, other.client("pc").1);
    for fields in [&[][..], &[("auth_token", "")], &[("auth_token", "wrong")], &[("auth_token", &foreign)]] {
        assert_eq!(refused(&admin.packages(fields), 401), "Invalid Auth-Token");
    }
    assert_eq!(
        admin.send("POST", "client_version", &[("auth_token", "wrong")]).is_json(200),
        json!({ "Version": "2.5.0.0" })
    );
    let version = |fields: super::Fields<'_>| {
        let request = crate::client::Request::post(&super::path(&admin.tenant, "client_version"));
        server.send(super::fields(request, fields))
    };
    refused(&version(&[]), 401);
    assert_eq!(version(&[("auth_token", &token)]).status, 200);
    // A bad login and a good client token: the token decides.
    let request = crate::client::Request::post(&super::path(&admin.tenant, "client_version"));
    let request = request.header("Authorization", "Bearer nonsense");
    assert_eq!(server.send(super::fields(request, &[("auth_token", &token)])).status, 200);

    admin.set("CLIENT_AUTHENTICATION", "0");
    admin.set("CLIENT_LATEST_VERSION", "3.1");
    for fields in [&[][..], &[("auth_token", "wrong")], &[("auth_token", &foreign)]] {
        assert_eq!(admin.ids(fields), ["A"]);
        assert_eq!(version(fields).is_json(200), json!({ "Version": "3.1" }));
    }
}

#[test]
fn blacklisted_is_absent_for_clients_and_there_for_administrators() {
    let server = Packhouse::start();
    let admin = first(&server);
    for id in ["All.Hidden", "Group.One", "Own.One", "Open"] {
        admin.package(id);
    }
    let ((id, token), (plain, plain_token)) = (admin.client("pc"), admin.client("plain"));
    let group =
        admin.send("POST", "add_blacklist_group", &[("group_name", "Games"), ("packages", "group.ONE, Nothing")]);
    let group = group.is_json(201)["group_id"].as_str().unwrap().to_owned();
    let empty = admin.send("POST", "add_blacklist_group", &[("group_name", "Apps")]).is_json(201);
    refused(&admin.send("POST", "add_blacklist_group", &[("group_name", "GAMES")]), 409);
    refused(&admin.send("POST", "add_blacklist_group", &[]), 400);
    assert_eq!(
        admin.get("get_blacklist_groups").is_json(200),
        json!([
            { "UID": empty["group_id"], "NAME": "Apps", "PACKAGES": [] },
            { "UID": group, "NAME": "Games", "PACKAGES": ["group.ONE", "Nothing"] },
        ])
    );
    let list = |id: &str| admin.get(&format!("get_blacklist/{id}"));
    assert_eq!(list(&id).is_json(200), json!({ "PACKAGES": [], "GROUPS": [] }));
    let edit = |fields: super::Fields<'_>| admin.send("PUT", &format!("edit_blacklist/{id}"), fields);
    let updated = "Blacklist was updated successfully!";
    says(&edit(&[("packages", "OWN.one"), ("packages", "x,y"), ("groups", &group)]), 200, updated);
    assert_eq!(list(&id).is_json(200), json!({ "PACKAGES": ["OWN.one", "x", "y"], "GROUPS": [group] }));
    refused(&edit(&[("groups", "x")]), 400);
    for nobody in [NOBODY, "x"] {
        refused(&list(nobody), 404);
        refused(&admin.send("PUT", &format!("edit_blacklist/{nobody}"), &[]), 404);
        refused(&admin.send("PUT", &format!("edit_blacklist_group/{nobody}"), &[("group_name", "x")]), 404);
        refused(&admin.send("DELETE", &format!("delete_blacklist_group/{nobody}"), &[]), 404);
    }
    admin.set("PACKAGE_BLACKLIST", "all.HIDDEN, other");
    assert_eq!(admin.get("get_clients").is_json(200)[0]["B_GROUPS"], "Games");
    assert_eq!(admin.ids(&[("auth_token", &token)]), ["Open"]);
    assert_eq!(admin.ids(&[("auth_token", &plain_token)]), ["Group.One", "Open", "Own.One"]);
    assert_eq!(admin.send("POST", "get_packages", &[]).is_json(200).as_array().unwrap().len(), 4);
    admin.set("CLIENT_AUTHENTICATION", "0");
    assert_eq!(admin.ids(&[]), ["Group.One", "Open", "Own.One"]);
    assert_eq!(admin.ids(&[("auth_token", &token)]), ["Open"]);

    let name = [("group_name", "Play")];
    says(&admin.send("PUT", &format!("edit_blacklist_group/{group}"), &name), 200, "Group was updated successfully!");
    assert_eq!(admin.get("get_clients").is_json(200)[0]["B_GROUPS"], "Play");
    says(
        &admin.send("DELETE", &format!("delete_blacklist_group/{group}"), &[]),
        200,
        "Group was removed successfully!",
    );
    assert_eq!(list(&id).is_json(200)["GROUPS"], json!([]));
    assert_eq!(admin.ids(&[("auth_token", &token)]), ["Group.One", "Open"]);
    // A deleted package leaves the lists.
    for package in ["Own.One", "All.Hidden"] {
        assert_eq!(admin.send("DELETE", &format!("delete_package/{package}"), &[]).status, 200);
    }
    assert_eq!(list(&id).is_json(200)["PACKAGES"], json!(["x", "y"]));
    assert_eq!(admin.setting("PACKAGE_BLACKLIST"), "other");
    says(&edit(&[]), 200, updated);
    assert_eq!(list(&id).is_json(200), json!({ "PACKAGES": [], "GROUPS": [] }));
    assert_eq!(list(&plain).is_json(200), json!({ "PACKAGES": [], "GROUPS": [] }));
}

#[test]
fn no_token_is_written_down() {
    let mut server = Packhouse::start();
    let (id, token) = {
        let admin = first(&server);
        let (id, token) = admin.client("pc");
        assert_eq!(admin.packages(&[("auth_token", &token)]).status, 200);
        refused(&admin.send("DELETE", &format!("delete_client/{NOBODY}/{token}"), &[]), 404);
        (id, token)
    };
    server.restart();
    assert!(crate::files::files_with(server.data(), token.as_bytes()).is_empty());
    assert!(!server.log().contains(&token));
    let listed: Value = first(&server).get("get_clients").is_json(200);
    assert_eq!((&listed[0]["UID"], &listed[0]["TOKEN"]), (&json!(id), &json!(token)), "and yet it is shown again");
}
