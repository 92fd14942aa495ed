//! Manifests asked for again and again: what is kept ready never shows anybody what they should not see, nor anything
//! that is no longer true (`winget.md` A2, B5; `performance.md` §3.3).

use serde_json::Value;

use super::{Admin, PNG, first, form, local, part, refused, says, sign_up};
use crate::client::{Answer, Request};
use crate::files::{Form, segment};
use crate::server::Packhouse;

/// A machine with its token.
struct Machine {
    id: String,
    token: String,
}

impl Machine {
    fn new(admin: &Admin<'_>, name: &str) -> Machine {
        let (id, token) = admin.client(name);
        Machine { id, token }
    }

    /// Asks for a manifest twice; both answers have to say the same.
    #[track_caller]
    fn ask(&self, admin: &Admin<'_>, id: &str) -> Answer {
        twice(admin, &format!("packageManifests/{}", segment(id)), Some(&self.token))
    }

    #[track_caller]
    fn sees(&self, admin: &Admin<'_>, id: &str) -> Value {
        self.ask(admin, id).is_json(200)["Data"].clone()
    }
}

#[track_caller]
fn twice(admin: &Admin<'_>, rest: &str, token: Option<&str>) -> Answer {
    let path = format!("/winget/{}/{rest}", admin.tenant);
    let ask = || {
        let request = Request::get(&path);
        admin.server.send(match token {
            Some(token) => request.header("Windows-Package-Manager", &format!("{{\"Token\": \"{token}\"}}")),
            None => request,
        })
    };
    let (first, second) = (ask(), ask());
    let body = |answer: &Answer| links_cut(&String::from_utf8_lossy(&answer.body));
    assert_eq!((first.status, body(&first)), (second.status, body(&second)));
    second
}

/// Without the ends of links, which move on with the clock.
fn links_cut(text: &str) -> String {
    let ends = text.split("?e=").map(|piece| piece.split_once('"').map_or(piece, |(_, rest)| rest));
    ends.collect::<Vec<_>>().join("")
}

#[track_caller]
fn url(manifest: &Value) -> &str {
    manifest["Versions"][0]["Installers"][0]["InstallerUrl"].as_str().unwrap()
}

#[test]
fn each_caller_sees_what_is_theirs_the_moment_it_changes() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("Contoso.App");
    admin.version("Contoso.App", b"the bytes", &[]);
    let (one, two) = (Machine::new(&admin, "one"), Machine::new(&admin, "two"));
    for machine in [&one, &two, &one] {
        let manifest = machine.sees(&admin, "contoso.APP");
        assert!(url(&manifest).contains(&format!("&c={}&s=", machine.id)), "{manifest}");
        assert_eq!(server.send(Request::get(local(&server, url(&manifest)))).body, b"the bytes");
    }
    assert_eq!(twice(&admin, "packageManifests/Contoso.App", None).status, 401);
    assert_eq!(twice(&admin, "packageManifests/Contoso.App", Some("wrong")).status, 401);

    // Hidden from one, not from the other; then from all, then from nobody.
    let hide = |fields: super::Fields<'_>| admin.send("PUT", &format!("edit_blacklist/{}", one.id), fields);
    says(&hide(&[("packages", "CONTOSO.app")]), 200, "Blacklist was updated successfully!");
    one.ask(&admin, "Contoso.App").is_empty(204);
    two.sees(&admin, "Contoso.App");
    says(&hide(&[("packages", "")]), 200, "Blacklist was updated successfully!");
    one.sees(&admin, "Contoso.App");
    admin.set("PACKAGE_BLACKLIST", "contoso.app");
    one.ask(&admin, "Contoso.App").is_empty(204);
    two.ask(&admin, "Contoso.App").is_empty(204);
    admin.set("PACKAGE_BLACKLIST", "");
    two.sees(&admin, "Contoso.App");

    // A machine that is switched off, kept out by its address, gone.
    let edit = |pair: (&str, &str)| {
        let answer = admin.send("PATCH", &format!("edit_client/{}", one.id), &[pair]);
        says(&answer, 200, "Client was updated successfully!");
    };
    for (off, on) in [(("enabled", "0"), ("enabled", "1")), (("blocked_ips", "127.0.0.1"), ("blocked_ips", ""))] {
        edit(off);
        assert_eq!(one.ask(&admin, "Contoso.App").status, 401);
        edit(on);
        one.sees(&admin, "Contoso.App");
    }
    says(
        &admin.send("DELETE", &format!("delete_client/{}/{}", one.id, one.token), &[]),
        200,
        "Client was removed successfully!",
    );
    assert_eq!(one.ask(&admin, "Contoso.App").status, 401);

    // The tenant's doors.
    admin.set("IP_RESTRICTION", "10.0.0.0/8");
    assert_eq!(two.ask(&admin, "Contoso.App").status, 403);
    admin.set("IP_RESTRICTION", "DEFAULT");
    admin.set("CLIENT_AUTHENTICATION", "0");
    let open = twice(&admin, "packageManifests/Contoso.App", None).is_json(200);
    assert!(!url(&open["Data"]).contains('?'), "{open}");
    assert!(url(&two.sees(&admin, "Contoso.App")).contains(&format!("&c={}&s=", two.id)));
    admin.set("CLIENT_AUTHENTICATION", "1");
    assert_eq!(twice(&admin, "packageManifests/Contoso.App", None).status, 401);
    let other = sign_up(&server, "other");
    assert_eq!(twice(&other, "packageManifests/Contoso.App", Some(&two.token)).status, 401);
}

#[test]
fn what_changes_is_told_at_once() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A.B");
    let machine = Machine::new(&admin, "pc");
    machine.ask(&admin, "A.B").is_empty(204);
    let old = admin.version("A.B", b"one", &[]);
    let versions = || {
        let manifest = machine.sees(&admin, "A.B");
        let list = manifest["Versions"].as_array().unwrap().clone();
        list.iter().map(|version| version["PackageVersion"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(versions(), ["1.0"]);
    admin.version("A.B", b"two", &[("package_version", "2.0")]);
    assert_eq!(versions(), ["2.0", "1.0"]);
    admin.version("A.B", b"three", &[("package_version", "3.0"), ("channel", "beta")]);
    assert_eq!(versions(), ["2.0", "1.0"]);
    let count = |rest: &str| {
        let value = twice(&admin, rest, Some(&machine.token)).is_json(200);
        value["Data"]["Versions"].as_array().unwrap().len()
    };
    assert_eq!((count("c/beta/packageManifests/A.B"), count("packageManifests/a.b?Version=2.0")), (3, 1));
    assert_eq!(count("packageManifests/A.B?Channel=beta"), 1);
    assert_eq!(admin.send("DELETE", "delete_package_version/A.B", &[("versions_uids", &old)]).status, 200);
    assert_eq!(versions(), ["2.0"]);

    let name = || machine.sees(&admin, "A.B")["Versions"][0]["DefaultLocale"].clone();
    assert_eq!(name()["PackageName"], "A.B");
    let logo = Form::new().text("package_name", "b\"?e=\\").part(&part("Logo", "x"), PNG);
    assert_eq!(server.send(form(admin.request("PATCH", "edit_package/A.B"), logo)).status, 200);
    assert_eq!(name()["PackageName"], "b\"?e=\\");
    let icon = name()["Icons"][0]["IconUrl"].as_str().unwrap().to_owned();
    assert_eq!(server.send(Request::get(local(&server, &icon))).body, PNG);
    assert_eq!(admin.send("PATCH", "edit_package/A.B", &[("package_active", "0")]).status, 200);
    machine.ask(&admin, "A.B").is_empty(204);
    assert_eq!(admin.send("PATCH", "edit_package/A.B", &[("package_active", "1")]).status, 200);
    assert_eq!(versions(), ["2.0"]);

    // Links begin with the name that was asked for, one and the same package by the other.
    for host in ["depot.example", "depot.example:8443", "depot.example"] {
        let request = Request::get(&format!("/winget/{}/t/{}/packageManifests/A.B", admin.tenant, machine.token));
        let manifest = server.send(request.header("Host", host)).is_json(200)["Data"].clone();
        assert!(url(&manifest).starts_with(&format!("http://{host}/winget/")), "{manifest}");
    }
    assert_eq!(admin.send("DELETE", "delete_package/A.B", &[]).status, 200);
    machine.ask(&admin, "A.B").is_empty(204);
}

#[test]
fn links_of_machines_end_with_them() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    admin.version("A", b"bytes", &[]);
    let (one, two) = (Machine::new(&admin, "one"), Machine::new(&admin, "two"));
    let link = |machine: &Machine| local(&server, url(&machine.sees(&admin, "A"))).to_owned();
    let (first_link, second_link) = (link(&one), link(&two));
    let status = |link: &str| server.send(Request::get(link)).status;
    let edit = |pair: (&str, &str)| {
        assert_eq!(admin.send("PATCH", &format!("edit_client/{}", one.id), &[pair]).status, 200);
    };
    for (off, on) in [(("enabled", "0"), ("enabled", "1")), (("blocked_ips", "127.0.0.0/8"), ("blocked_ips", ""))] {
        assert_eq!((status(&first_link), status(&second_link)), (200, 200));
        edit(off);
        assert_eq!((status(&first_link), status(&second_link)), (403, 200), "{off:?}");
        edit(on);
    }
    let hide = |packages: &str| {
        let answer = admin.send("PUT", &format!("edit_blacklist/{}", one.id), &[("packages", packages)]);
        assert_eq!(answer.status, 200);
    };
    hide("a");
    assert_eq!((status(&first_link), status(&second_link)), (403, 200));
    hide("");
    assert_eq!(status(&first_link), 200);
    // Where no token is asked for, a link of a machine that is gone opens nothing more than a plain one does.
    assert_eq!(admin.send("DELETE", &format!("delete_client/{}/{}", one.id, one.token), &[]).status, 200);
    assert_eq!((status(&first_link), status(&second_link)), (403, 200));
    refused(&admin.send("DELETE", &format!("delete_client/{}/{}", one.id, one.token), &[]), 404);
    assert_eq!(status(&first_link.replace(&one.id, &two.id)), 403, "one's signature under the other's name");
}
