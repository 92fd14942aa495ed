//! `faynosync.md` §1: nothing of one tenant is visible or changeable from another.

use serde_json::json;

use crate::client::Request;
use crate::server::Packhouse;

use super::{KINDS, ask, check, fetch, first, form, link, local, plus, release, sign_up, with_query};

const MARK: &str = "marker-7d31f0";

#[test]
fn never_see_each_other() {
    let server = Packhouse::start();
    let admin = first(&server);
    let ids: Vec<String> = KINDS.iter().map(|kind| admin.create(kind.word, MARK)).collect();
    let app = admin.create_app_with(
        &json!({ "app": MARK, "description": MARK, "private": true }),
        &[("logo.png", super::catalogue::PNG)],
    );
    let data = json!({ "app_name": MARK, "version": "1.0", "channel": MARK, "platform": MARK, "arch": MARK, "publish": true, "changelog": MARK });
    let record = admin.release(&data, &[("a.deb", MARK.as_bytes())]);
    let helper = admin.hire("marked", &json!({}));
    let helper_id = admin.user_id("marked");
    let artifact = admin.version(MARK)["Artifacts"][0]["Link"].as_str().unwrap().to_owned();
    let before = admin.view();

    let other = sign_up(&server, "other");
    let own = other.set_up();
    let theirs = other.hire("theirs", &json!({ "apps": { "create": true, "delete": true, "edit": true, "download": true, "upload": true, "allowed": [app, own.app] } }));
    for person in [&other, &theirs] {
        let mut answers = vec![
            person.get("/"),
            person.get("/app/list"),
            person.get(&with_query("/search", &[("app_name", MARK)])),
            person.get("/users/list"),
            person.get("/telemetry?range=month"),
            person.get("/whoami"),
            person.upload(&data, &[("a.rpm", b"x")]),
            person.upload(&plus(&release("1.0"), json!({ "app_name": MARK })), &[("a.rpm", b"x")]),
            person.change(&plus(&data, json!({ "id": record })), &[]),
            person.delete_artifacts(
                &json!({ "id": record, "app_name": MARK, "version": "1.0", "artifacts_to_delete": ["0"] }),
            ),
            person.delete(&format!("/apps/delete?id={record}")),
            person.delete(&format!("/app/delete?id={app}")),
            person.send_form("/app/update", form(&json!({ "id": app, "app": "mine" }), &[])),
            person.post("/user/update", &json!({ "id": helper_id, "username": "mine" })),
            person.send(Request::delete("/user/delete").json(&json!({ "id": helper_id }))),
            person.get(local(&server, &artifact)),
            person.send(Request::head(local(&server, &artifact))),
            person.send(Request::get(local(&server, &artifact)).header("If-None-Match", "*")),
            person.send(Request::get(local(&server, &artifact)).header("Range", "bytes=0-3")),
        ];
        for (kind, id) in KINDS.iter().zip(&ids) {
            answers.push(person.get(&format!("/{}/list", kind.word)));
            answers.push(person.post(&format!("/{}/update", kind.word), &json!({ "id": id, kind.word: "mine" })));
            answers.push(person.delete(&format!("/{}/delete?id={id}", kind.word)));
        }
        for (at, answer) in answers.iter().enumerate() {
            let shown = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
            let shown = shown.replace(&format!("\"Allowed\":[\"{app}\""), "");
            assert!(!shown.contains(MARK), "answer {at}: {shown}");
            assert!(
                answer.status == 200 || (400..500).contains(&answer.status),
                "answer {at}: {} {shown}",
                answer.status
            );
        }
        // What answers 200 shows their own things only.
        assert!(answers[6..].iter().take(13).all(|answer| answer.status >= 400));
    }
    // Conditional and partial questions without a session neither.
    for request in
        [Request::get(local(&server, &artifact)), Request::head(local(&server, &artifact)).header("If-None-Match", "*")]
    {
        let answer = server.send(request);
        assert_eq!(answer.status, 401);
        assert!(!String::from_utf8_lossy(&answer.body).contains(MARK));
    }
    assert_eq!(admin.view(), before);
    helper.get("/whoami").is_json(200);
}

#[test]
fn keys_of_tenants() {
    // §6: a key without `owner` is the first administrator's, else the only tenant's that has it.
    let server = Packhouse::start();
    let admin = first(&server);
    let people = ["b-tenant", "c-tenant"].map(|name| sign_up(&server, name));
    let plain = link(&server, "secondapp/stable/linux/amd64/secondapp-1.0.deb");
    let owned = |name: &str| format!("{plain}&owner={name}");
    for person in &people {
        person.set_up();
    }
    people[0].release(&release("1.0"), &[("a.deb", b"of b")]);
    assert_eq!(people[0].version("secondapp")["Artifacts"][0]["Link"], json!(owned("b-tenant")));
    assert_eq!(fetch(&server, &plain), b"of b");
    people[1].release(&release("1.0"), &[("a.deb", b"of c")]);
    ask(&server, local(&server, &plain)).is_error(404, "file not found");
    assert_eq!(fetch(&server, &owned("b-tenant")), b"of b");
    assert_eq!(fetch(&server, &owned("c-tenant")), b"of c");
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"of the first")]);
    assert_eq!(fetch(&server, &plain), b"of the first");
    assert_eq!(fetch(&server, &owned(&admin.name)), b"of the first");
    assert_eq!(fetch(&server, &owned("c-tenant")), b"of c");
    ask(&server, local(&server, &owned("unknown"))).is_error(404, "file not found");
    // The check hands out the same links.
    let told = check(&server, &super::and(&super::asks("0"), "owner", "c-tenant")).is_json(200);
    assert_eq!(told["update_url_deb"], json!(owned("c-tenant")));
}

#[test]
fn one_tenant_goes_on_alone() {
    let server = Packhouse::start();
    let people = [first(&server), sign_up(&server, "other")];
    for admin in &people {
        admin.set_up();
        admin.release(&release("1.0"), &[("a.deb", b"the same bytes")]);
    }
    // Shared bytes, separate records.
    super::forms::is_tidy(&server, 1);
    let id = people[0].version("secondapp")["ID"].as_str().unwrap().to_owned();
    people[0].delete_version(&id);
    let left = people[1].version("secondapp")["Artifacts"][0]["Link"].as_str().unwrap().to_owned();
    assert_eq!(fetch(&server, &left), b"the same bytes");
    // Telemetry is counted for the tenant that was asked.
    let answer = server.send(
        Request::get(&with_query("/checkVersion", &super::and(&super::asks("0"), "owner", "other")))
            .header("X-Device-ID", "device"),
    );
    assert_eq!(answer.status, 200);
    let counted = |at: usize| people[at].get("/telemetry").is_json(200)["summary"]["total_requests"].clone();
    assert_eq!((counted(0), counted(1)), (json!(0), json!(1)));
}
