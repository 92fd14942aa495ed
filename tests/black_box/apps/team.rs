//! `faynosync.md` §9: team users and every cell of their permissions.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::Form;
use crate::server::{ADMIN_USER, Packhouse};

use super::accounts::is_dead;
use super::{
    KINDS, NOBODY, PASSWORD, Person, World, asks, check, first, form, id_of, is_error_of, is_exactly, is_refused,
    is_time, log_in, minus, plus, release, sign_up,
};

/// Every flag, as group and name.
const FLAGS: [(&str, &str); 14] = [
    ("apps", "create"),
    ("apps", "delete"),
    ("apps", "edit"),
    ("apps", "download"),
    ("apps", "upload"),
    ("channels", "create"),
    ("channels", "delete"),
    ("channels", "edit"),
    ("platforms", "create"),
    ("platforms", "delete"),
    ("platforms", "edit"),
    ("archs", "create"),
    ("archs", "delete"),
    ("archs", "edit"),
];

/// Permissions with these flags and everything of `ids` allowed.
fn permissions(flags: &[(&str, &str)], ids: &Ids) -> Value {
    let mut value = json!({
        "apps": { "allowed": ids.apps }, "channels": { "allowed": ids.channels },
        "platforms": { "allowed": ids.platforms }, "archs": { "allowed": ids.archs },
    });
    for (group, flag) in flags {
        value[*group][*flag] = json!(true);
    }
    value
}

#[derive(Clone, Default)]
struct Ids {
    apps: Vec<String>,
    channels: Vec<String>,
    platforms: Vec<String>,
    archs: Vec<String>,
}

impl Ids {
    fn of(world: &World) -> Ids {
        let all = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect();
        Ids {
            apps: all(&[&world.app]),
            channels: all(&[&world.nightly, &world.stable]),
            platforms: all(&[&world.linux, &world.windows]),
            archs: all(&[&world.amd64, &world.arm64]),
        }
    }

    fn group(&mut self, group: &str) -> &mut Vec<String> {
        match group {
            "apps" => &mut self.apps,
            "channels" => &mut self.channels,
            "platforms" => &mut self.platforms,
            _ => &mut self.archs,
        }
    }
}

/// What an action of the table works on: made afresh by the administrator for every try.
struct Stage<'a> {
    admin: Person<'a>,
    helper: Person<'a>,
    tag: String,
    kinds: [String; 3],
    app: String,
    record: String,
    link: String,
}

impl Stage<'_> {
    fn data(&self) -> Value {
        let tag = &self.tag;
        json!({ "app_name": tag, "version": "1.0", "channel": tag, "platform": tag, "arch": tag })
    }
}

type Act = fn(&Stage<'_>) -> Answer;

/// The flag an action needs, the status of its success, and the action.
const ACTS: &[(&str, (&str, &str), u16, Act)] = &[
    ("create channel", ("channels", "create"), 200, |s| {
        s.helper.post("/channel/create", &json!({ "channel": format!("{}x", s.tag) }))
    }),
    ("update channel", ("channels", "edit"), 200, |s| {
        s.helper.post("/channel/update", &json!({ "id": s.kinds[0], "channel": format!("{}y", s.tag) }))
    }),
    ("delete channel", ("channels", "delete"), 409, |s| s.helper.delete(&format!("/channel/delete?id={}", s.kinds[0]))),
    ("create platform", ("platforms", "create"), 200, |s| {
        s.helper.post("/platform/create", &json!({ "platform": format!("{}x", s.tag) }))
    }),
    ("update platform", ("platforms", "edit"), 200, |s| {
        s.helper.post("/platform/update", &json!({ "id": s.kinds[1], "platform": format!("{}y", s.tag) }))
    }),
    ("delete platform", ("platforms", "delete"), 409, |s| {
        s.helper.delete(&format!("/platform/delete?id={}", s.kinds[1]))
    }),
    ("create arch", ("archs", "create"), 200, |s| {
        s.helper.post("/arch/create", &json!({ "arch": format!("{}x", s.tag) }))
    }),
    ("update arch", ("archs", "edit"), 200, |s| {
        s.helper.post("/arch/update", &json!({ "id": s.kinds[2], "arch": format!("{}y", s.tag) }))
    }),
    ("delete arch", ("archs", "delete"), 409, |s| s.helper.delete(&format!("/arch/delete?id={}", s.kinds[2]))),
    ("create app", ("apps", "create"), 200, |s| {
        s.helper.send_form("/app/create", form(&json!({ "app": format!("{}x", s.tag) }), &[]))
    }),
    ("update app", ("apps", "edit"), 200, |s| {
        s.helper.send_form("/app/update", form(&json!({ "id": s.app, "app": format!("{}y", s.tag) }), &[]))
    }),
    ("delete app", ("apps", "delete"), 409, |s| s.helper.delete(&format!("/app/delete?id={}", s.app))),
    ("upload", ("apps", "upload"), 200, |s| {
        s.helper.upload(&plus(&s.data(), json!({ "version": "2.0" })), &[("a.deb", b"two")])
    }),
    ("upload more", ("apps", "upload"), 200, |s| s.helper.upload(&s.data(), &[("a.rpm", b"more")])),
    ("edit version", ("apps", "edit"), 200, |s| {
        s.helper.change(&plus(&s.data(), json!({ "id": s.record, "changelog": "new" })), &[])
    }),
    ("replace file", ("apps", "edit"), 200, |s| {
        s.helper.change(&plus(&s.data(), json!({ "id": s.record })), &[("a.deb", b"new")])
    }),
    ("delete version", ("apps", "delete"), 200, |s| s.helper.delete(&format!("/apps/delete?id={}", s.record))),
    ("delete artifact", ("apps", "delete"), 200, |s| {
        s.helper.delete_artifacts(&plus(&s.data(), json!({ "id": s.record, "artifacts_to_delete": ["0"] })))
    }),
    ("download", ("apps", "download"), 200, |s| s.helper.get(super::local(s.admin.server, &s.link))),
];

/// Makes fresh objects that the helper is allowed to touch, and gives the helper `flags`.
fn stage<'a>(admin: &Person<'a>, helper: &Person<'a>, helper_id: &str, tag: &str, flags: &[(&str, &str)]) -> Stage<'a> {
    let kinds = ["channel", "platform", "arch"].map(|word| admin.create(word, tag));
    let app = admin.create_app_with(&json!({ "app": tag, "private": true }), &[]);
    let data = json!({ "app_name": tag, "version": "1.0", "channel": tag, "platform": tag, "arch": tag });
    let record = admin.release(&data, &[("a.deb", tag.as_bytes())]);
    let link = admin.version(tag)["Artifacts"][0]["Link"].as_str().unwrap().to_owned();
    let [channel, platform, arch] = kinds.clone();
    let ids = Ids { apps: vec![app.clone()], channels: vec![channel], platforms: vec![platform], archs: vec![arch] };
    let body = json!({ "id": helper_id, "username": helper.name, "permissions": permissions(flags, &ids) });
    is_exactly(&admin.post("/user/update", &body), 200, &json!({ "message": "Team user updated successfully" }));
    Stage { admin: admin.clone(), helper: helper.clone(), tag: tag.to_owned(), kinds, app, record, link }
}

#[test]
fn every_flag() {
    let server = Packhouse::start();
    let admin = first(&server);
    let helper = admin.hire("helper", &json!({}));
    let id = admin.user_id("helper");
    for (at, (name, needed, status, act)) in ACTS.iter().enumerate() {
        println!("{name}");
        // Every flag but the one needed: refused, and nothing changes.
        let others: Vec<_> = FLAGS.iter().copied().filter(|flag| flag != needed).collect();
        let staged = stage(&admin, &helper, &id, &format!("n{at}"), &others);
        let before = admin.view();
        act(&staged).is_error(403, "Permission denied");
        assert_eq!(admin.view(), before);
        // Only the one needed: done (or refused for a reason that only comes later).
        let staged = stage(&admin, &helper, &id, &format!("y{at}"), &[*needed]);
        let answer = act(&staged);
        assert_eq!(answer.status, *status, "{name}: {}", String::from_utf8_lossy(&answer.body));
        // No flag at all.
        let staged = stage(&admin, &helper, &id, &format!("z{at}"), &[]);
        act(&staged).is_error(403, "Permission denied");
    }
    helper.get("/whoami").is_json(200);
    helper.get("/telemetry").is_json(200);
}

#[test]
fn every_allowed_list() {
    let server = Packhouse::start();
    let admin = first(&server);
    let helper = admin.hire("helper", &json!({}));
    let id = admin.user_id("helper");
    let world = admin.set_up();
    let record = admin.release(&release("1.0"), &[("a.deb", b"a")]);
    let grant = |ids: &Ids| {
        let body = json!({ "id": id, "username": "helper", "permissions": permissions(&FLAGS, ids) });
        assert_eq!(admin.post("/user/update", &body).status, 200);
    };
    let all = Ids::of(&world);

    // Channels, platforms, architectures, apps: update and delete.
    for (word, id, group) in [
        ("channel", &world.stable, "channels"),
        ("platform", &world.linux, "platforms"),
        ("arch", &world.amd64, "archs"),
        ("app", &world.app, "apps"),
    ] {
        let mut fewer = all.clone();
        fewer.group(group).retain(|allowed| allowed != id);
        grant(&fewer);
        let before = admin.view();
        let answer = match word {
            "app" => helper.send_form("/app/update", form(&json!({ "id": id, "app": "changed" }), &[])),
            _ => helper.post(&format!("/{word}/update"), &json!({ "id": id, word: "changed" })),
        };
        answer.is_error(
            403,
            &format!("you don't have permission to update this {word} as it's not in your allowed {group} list"),
        );
        let details =
            format!("you don't have permission to delete this {word} as it's not in your allowed {group} list");
        let answer = helper.delete(&format!("/{word}/delete?id={id}"));
        is_refused(&answer, 403, &format!("failed to delete {word}"), Some(&details));
        assert_eq!(admin.view(), before);
        // Seen are only the allowed ones.
        let shown = helper.list(word);
        assert!(!shown.iter().any(|entry| entry["ID"] == json!(id)), "{shown:?}");
        assert_eq!(shown.len(), admin.list(word).len() - 1);
    }

    // Uploads and changes of versions.
    for (group, id, what) in [
        ("apps", &world.app, "app"),
        ("channels", &world.stable, "channel"),
        ("platforms", &world.linux, "platform"),
        ("archs", &world.amd64, "architecture"),
    ] {
        let mut fewer = all.clone();
        fewer.group(group).retain(|allowed| allowed != id);
        grant(&fewer);
        let before = admin.view();
        let message = format!("you don't have access to this {what}");
        helper.upload(&release("2.0"), &[("a.deb", b"a")]).is_error(403, &message);
        helper.upload(&release("1.0"), &[("a.rpm", b"a")]).is_error(403, &message);
        let data = plus(&release("1.0"), json!({ "id": record }));
        helper.change(&plus(&data, json!({ "changelog": "x" })), &[]).is_error(403, &message);
        helper.change(&data, &[("a.deb", b"b")]).is_error(403, &message);
        if group == "apps" {
            let delete = plus(&data, json!({ "artifacts_to_delete": ["0"] }));
            is_error_of(&helper.delete_artifacts(&delete), 403);
            is_error_of(&helper.delete(&format!("/apps/delete?id={record}")), 403);
            helper.get("/search?app_name=secondapp").is_error(403, "you don't have permission to access this app");
            is_exactly(&helper.get("/"), 200, &json!({ "apps": [] }));
        }
        assert_eq!(admin.view(), before);
    }
    // With all of it, everything works.
    grant(&all);
    assert_eq!(helper.search("secondapp", &[]), admin.search("secondapp", &[]));
    assert_eq!(helper.get("/").is_json(200), admin.get("/").is_json(200));
    assert_eq!(helper.search("unknown", &[])["total"], 0);
    assert_eq!(helper.release(&release("1.0"), &[("a.rpm", b"a")]), record);
    helper.delete_version(&record);
}

#[test]
fn what_they_create() {
    let server = Packhouse::start();
    let admin = first(&server);
    let helper = admin.hire("helper", &permissions(&FLAGS, &Ids::default()));
    let ids: Vec<String> = KINDS.iter().map(|kind| helper.create(kind.word, "theirs")).collect();
    let app = helper.create_app("theirs");
    let shown = helper.get("/whoami").is_json(200)["permissions"].clone();
    for (kind, id) in KINDS.iter().zip(&ids) {
        // It belongs to the administrator and is seen by both.
        assert_eq!(admin.names(kind.word), ["theirs"]);
        assert_eq!(helper.names(kind.word), ["theirs"]);
        let group = format!("{}{}", kind.group[..1].to_uppercase(), &kind.group[1..]);
        assert_eq!(shown[group]["Allowed"], json!([id]));
    }
    assert_eq!(shown["Apps"]["Allowed"], json!([app]));
    let data = json!({ "app_name": "theirs", "version": "1.0", "channel": "theirs", "platform": "theirs", "arch": "theirs", "publish": true });
    helper.release(&data, &[("a.deb", b"theirs")]);
    // The link is the administrator's, without an owner.
    let link = admin.version("theirs")["Artifacts"][0]["Link"].clone();
    assert_eq!(link, json!(super::link(&server, "theirs/theirs/theirs/theirs/theirs-1.0.deb")));
    // A name the administrator has and the helper cannot see is taken nevertheless.
    admin.create("channel", "hidden");
    helper
        .post("/channel/create", &json!({ "channel": "hidden" }))
        .is_error(409, "channel with this name already exists");
    assert_eq!(helper.names("channel"), ["theirs"]);
    // What is deleted leaves every list of allowed ids.
    let second = admin.hire("second", &permissions(&FLAGS, &Ids { channels: vec![ids[0].clone()], ..Ids::default() }));
    let gone = helper.create("channel", "gone");
    let both = Ids { channels: vec![gone.clone()], ..Ids::default() };
    let body =
        json!({ "id": admin.user_id("second"), "username": "second", "permissions": permissions(&FLAGS, &both) });
    assert_eq!(admin.post("/user/update", &body).status, 200);
    assert_eq!(admin.delete(&format!("/channel/delete?id={gone}")).status, 200);
    for person in [&helper, &second] {
        let told = person.get("/whoami").is_json(200);
        assert!(!told["permissions"]["Channels"]["Allowed"].as_array().unwrap().contains(&json!(gone)), "{told}");
    }
}

#[test]
fn users() {
    let server = Packhouse::start();
    let admin = first(&server);
    let other = sign_up(&server, "other");
    let world = admin.set_up();
    is_exactly(&admin.get("/users/list"), 200, &json!({ "users": [] }));
    let create = |body: &Value| admin.post("/user/create", body);
    let good = json!({ "username": "zed", "password": PASSWORD, "permissions": {} });
    for body in ["", "{", "[]", "null", "7"] {
        let answer = admin.send(Request::post("/user/create").body("application/json", body));
        answer.is_error(400, "Invalid request body");
    }
    for key in ["username", "password", "permissions"] {
        create(&minus(&good, key)).is_error(400, "Invalid request body");
        for bad in [json!(""), json!(7), json!(null), json!(["x"])] {
            create(&plus(&good, json!({ key: bad }))).is_error(400, "Invalid request body");
        }
    }
    for bad in [
        json!({ "apps": 7 }),
        json!({ "apps": { "create": "yes" } }),
        json!({ "apps": { "allowed": "x" } }),
        json!({ "apps": { "allowed": [7] } }),
        json!({ "channels": [] }),
    ] {
        create(&plus(&good, json!({ "permissions": bad }))).is_error(400, "Invalid request body");
    }
    for taken in [ADMIN_USER, "other"] {
        create(&plus(&good, json!({ "username": taken }))).is_error(409, "Username already exists");
    }
    is_exactly(&admin.get("/users/list"), 200, &json!({ "users": [] }));

    let zed = admin.hire("zed", &json!({}));
    let amy = admin.hire(
        "Amy",
        &json!({ "APPS": { "Create": true, "allowed": ["", world.app, world.app] }, "archs": { "edit": true } }),
    );
    other.hire("theirs", &json!({}));
    for taken in ["zed", "theirs"] {
        create(&plus(&good, json!({ "username": taken }))).is_error(409, "Username already exists");
        other.post("/user/create", &plus(&good, json!({ "username": taken }))).is_error(409, "Username already exists");
    }
    let told = admin.get("/users/list").is_json(200);
    let users = told["users"].as_array().unwrap();
    let none = json!({ "Create": false, "Delete": false, "Edit": false, "Allowed": [] });
    let no_apps =
        json!({ "Create": false, "Delete": false, "Edit": false, "Download": false, "Upload": false, "Allowed": [] });
    let expected = [
        (
            "Amy",
            json!({
                "Apps": plus(&no_apps, json!({ "Create": true, "Allowed": [world.app] })), "Channels": none, "Platforms": none,
                "Archs": plus(&none, json!({ "Edit": true })),
            }),
        ),
        ("zed", json!({ "Apps": no_apps, "Channels": none, "Platforms": none, "Archs": none })),
    ];
    assert_eq!(users.len(), 2);
    for (user, (name, permissions)) in users.iter().zip(&expected) {
        id_of(&user["id"]);
        is_time(&user["updated_at"]);
        assert_eq!((&user["username"], &user["permissions"]), (&json!(name), permissions));
        assert_eq!(user.as_object().unwrap().len(), 4, "{user}");
    }
    assert_eq!(amy.get("/whoami").is_json(200)["permissions"], expected[0].1);

    // Changes.
    let id = admin.user_id("Amy");
    let change = |who: &Person<'_>, body: &Value| who.post("/user/update", body);
    let good = json!({ "id": id, "username": "Amy" });
    for bad in ["x", "641459ffb8760d74164e7e3", "641459ffb8760d74164e7e3g"] {
        is_error_of(&change(&admin, &plus(&good, json!({ "id": bad }))), 400);
    }
    for wrong in [NOBODY, &admin.id(), &world.app] {
        change(&admin, &plus(&good, json!({ "id": wrong }))).is_error(404, "Team user not found");
    }
    change(&other, &good).is_error(403, "You are not the owner of this team user");
    for taken in ["zed", "theirs", ADMIN_USER] {
        change(&admin, &plus(&good, json!({ "username": taken }))).is_error(409, "Username already exists");
    }
    for bad in [
        json!({ "permissions": 7 }),
        json!({ "password": 7 }),
        json!({ "username": 7 }),
        json!({ "permissions": { "apps": 1 } }),
    ] {
        is_error_of(&change(&admin, &plus(&good, bad)), 400);
    }
    assert_eq!(amy.get("/whoami").is_json(200)["permissions"], expected[0].1);
    let done = json!({ "message": "Team user updated successfully" });
    is_exactly(&change(&admin, &good), 200, &done);
    is_exactly(&change(&admin, &plus(&good, json!({ "password": "" }))), 200, &done);
    // Nothing changed, the old session lives.
    assert_eq!(amy.get("/whoami").is_json(200)["permissions"], expected[0].1);
    // Given permissions replace all of them, at once.
    is_exactly(&change(&admin, &plus(&good, json!({ "permissions": { "channels": { "create": true } } }))), 200, &done);
    let told = amy.get("/whoami").is_json(200)["permissions"].clone();
    assert_eq!((&told["Apps"], &told["Channels"]["Create"]), (&no_apps, &json!(true)));
    amy.create("channel", "amys");
    is_exactly(&change(&admin, &plus(&good, json!({ "permissions": {} }))), 200, &done);
    amy.post("/channel/create", &json!({ "channel": "more" })).is_error(403, "Permission denied");
    assert_eq!(amy.get("/whoami").is_json(200)["permissions"], expected[1].1);
    // A new password ends the old one and its sessions.
    server.secret("a newer password 5");
    is_exactly(&change(&admin, &plus(&good, json!({ "password": "a newer password 5" }))), 200, &done);
    is_dead(&amy);
    let login = |name: &str, password: &str| {
        server.send(Request::post("/login").json(&json!({ "username": name, "password": password })))
    };
    login("Amy", PASSWORD).is_error(401, "invalid username or password");
    let amy = log_in(&server, "Amy", "a newer password 5");
    // A new name.
    is_exactly(&change(&admin, &plus(&good, json!({ "username": "Bea" }))), 200, &done);
    login("Amy", "a newer password 5").is_error(401, "invalid username or password");
    let bea = log_in(&server, "Bea", "a newer password 5");
    assert_eq!(bea.get("/whoami").is_json(200)["username"], "Bea");
    drop(amy);

    // Deleting.
    let delete = |who: &Person<'_>, id: &str| who.send(Request::delete("/user/delete").json(&json!({ "id": id })));
    for bad in ["x", "", "641459ffb8760d74164e7e3g"] {
        delete(&admin, bad).is_error(400, "Invalid user ID format");
    }
    is_error_of(&admin.delete("/user/delete"), 400);
    is_error_of(&admin.send(Request::delete("/user/delete").body("application/json", "{")), 400);
    let message = "Team user not found or you don't have permission to delete it";
    for wrong in [NOBODY, &admin.id()] {
        delete(&admin, wrong).is_error(404, message);
    }
    delete(&other, &id).is_error(404, message);
    is_exactly(&delete(&admin, &id), 200, &json!({ "message": "Team user deleted successfully" }));
    delete(&admin, &id).is_error(404, message);
    is_dead(&bea);
    login("Bea", "a newer password 5").is_error(401, "invalid username or password");
    zed.get("/whoami").is_json(200);
    // The name is free again.
    admin.hire("Bea", &json!({}));
}

#[test]
fn admin_only() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    let helper = admin.hire("helper", &permissions(&FLAGS, &Ids::of(&world)));
    let id = admin.user_id("helper");
    let before = admin.view();
    for body in ["", "{", "{}"] {
        for path in ["/user/create", "/user/update", "/admin/update"] {
            helper.send(Request::post(path).body("application/json", body)).is_error(403, "Admin access required");
        }
        helper
            .send(Request::delete("/user/delete").body("application/json", body))
            .is_error(403, "Admin access required");
    }
    let body =
        json!({ "username": "more", "password": PASSWORD, "permissions": permissions(&FLAGS, &Ids::of(&world)) });
    helper.post("/user/create", &body).is_error(403, "Admin access required");
    helper.post("/user/update", &plus(&body, json!({ "id": id }))).is_error(403, "Admin access required");
    helper.send(Request::delete("/user/delete").json(&json!({ "id": id }))).is_error(403, "Admin access required");
    helper.get("/users/list").is_error(403, "Admin access required");
    assert_eq!(admin.view(), before);
    check(&server, &asks("1.0")).is_json(200);
}

#[test]
fn permission_comes_before_shape() {
    let server = Packhouse::start();
    let admin = first(&server);
    let helper = admin.hire("helper", &json!({}));
    for kind in &KINDS {
        for path in ["create", "update"] {
            let request = Request::post(&format!("/{}/{path}", kind.word)).body("application/json", "{");
            helper.send(request).is_error(403, "Permission denied");
        }
        helper.delete(&format!("/{}/delete?id=x", kind.word)).is_error(403, "Permission denied");
    }
    for path in ["/app/create", "/app/update", "/upload", "/apps/update", "/artifact/delete"] {
        for form in [Form::new(), Form::new().text("data", "{"), Form::new().file("a.deb", b"x").text("data", "[]")] {
            helper.send_form(path, form).is_error(403, "Permission denied");
        }
        helper.send(Request::post(path).body("application/json", "{")).is_error(403, "Permission denied");
    }
    for path in ["/app/delete?id=x", "/apps/delete?id=x", "/app/delete", "/apps/delete"] {
        helper.delete(path).is_error(403, "Permission denied");
    }
    // Nor is what exists told apart from what does not.
    let app = admin.create_app("secondapp");
    for id in [&app, NOBODY] {
        helper.delete(&format!("/app/delete?id={id}")).is_error(403, "Permission denied");
        let data = json!({ "id": id, "app": "changed" });
        helper.send_form("/app/update", form(&data, &[])).is_error(403, "Permission denied");
    }
}

#[test]
fn what_is_deleted_is_allowed_to_nobody() {
    let server = Packhouse::start();
    let admin = first(&server);
    let world = admin.set_up();
    let helper = admin.hire("helper", &permissions(&FLAGS, &Ids::of(&world)));
    for (word, id, group) in [
        ("channel", &world.stable, "Channels"),
        ("platform", &world.linux, "Platforms"),
        ("arch", &world.amd64, "Archs"),
        ("app", &world.app, "Apps"),
    ] {
        let allowed = || helper.get("/whoami").is_json(200)["permissions"][group]["Allowed"].clone();
        assert!(allowed().as_array().unwrap().contains(&json!(id)));
        assert_eq!(admin.delete(&format!("/{word}/delete?id={id}")).status, 200);
        assert!(!allowed().as_array().unwrap().contains(&json!(id)), "{word}");
    }
}
