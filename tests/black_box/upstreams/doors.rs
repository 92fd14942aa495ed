//! The addresses below `/upstream`: who, what, and which status (`repos.md` §1, §2).

use serde_json::{Value, json};

use super::mirror::Mirror;
use super::repo;
use super::{is_done, job, look, make, send};
use crate::client::Request;
use crate::server::{ADMIN, Packhouse};

#[test]
fn an_upstream_from_its_making_to_its_end() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    assert_eq!(server.send(Request::get("/upstream")).text(), "{}");
    let body = json!({"name": "el9-base", "type": "yum", "path": mirror.url("/y/"), "more": [1]});
    let answer = server.send(Request::post("/upstream?wait=50").token(ADMIN).json(&body));
    let uri = format!("http://{}/upstream/el9-base", server.address());
    assert_eq!(answer.is_json(201), json!({ "uri": uri }));
    assert_eq!(answer.header("Location"), Some(uri.as_str()));
    assert_eq!(server.send(Request::get("/upstream")).is_json(200), json!({ "el9-base": uri }));
    let shown = look(&server, "el9-base");
    let facts = [&shown["name"], &shown["type"], &shown["status"], &shown["error"], &shown["has_key"]];
    assert_eq!(facts, [&json!("el9-base"), &json!("yum"), &json!("ok"), &Value::Null, &json!(false)]);
    for key in ["created_at", "updated_at", "synced_at"] {
        let time = shown[key].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == 20, "{key}: {time}");
    }
    let job = job(&server, "el9-base");
    let keys = [
        "id",
        "state",
        "phase",
        "started_at",
        "finished_at",
        "files_total",
        "files_done",
        "bytes_total",
        "bytes_done",
        "downloaded_files",
        "downloaded_bytes",
        "reused_files",
        "not_modified",
        "error",
        "warnings",
    ];
    for key in keys {
        assert!(job.get(key).is_some(), "{key}: {job}");
    }
    let head = server.send(Request::head("/upstream/el9-base"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    send(&server, "POST", "/upstream", &body.to_string()).is_error_naming(409, "el9-base");

    let put = server.send(
        Request::put("/upstream/other?wait=50").token(ADMIN).json(&json!({"type": "yum", "path": mirror.url("/y")})),
    );
    let made = put.is_json(201);
    assert_eq!((&made["name"], &made["status"]), (&json!("other"), &json!("ok")));
    assert!(put.header("Location").is_some());
    send(&server, "PUT", "/upstream/other", r#"{"name":"el9-base"}"#).is_error_naming(400, "name");
    send(&server, "PUT", "/upstream/other", r#"{"type":"apt"}"#).is_error_naming(409, "yum");
    assert_eq!(send(&server, "PUT", "/upstream/other?wait=50", r#"{"name":"other","type":"yum"}"#).status, 202);
}

#[test]
fn secrets_reach_the_upstream_and_nobody_else() {
    let (server, mirror) = (Packhouse::start(), Mirror::start());
    server.secret("hunter2-secret");
    server.secret("header-secret");
    mirror.put_all("/y", &repo::yum(&[("a", "1")]));
    let more = json!({"username": "me", "password": "hunter2-secret", "headers": {"X-Key": "header-secret"}});
    is_done(&make(&server, "x", "yum", &mirror.url("/y"), more));
    let asked = mirror.asked();
    assert!(asked.iter().all(|asked| asked.field("X-Key") == Some("header-secret")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.field("Authorization").is_some_and(|value| value.starts_with("Basic "))));
    for path in ["/upstream", "/upstream/x", "/upstream/x/sync", "/upstream/x/packages"] {
        let text = server.send(Request::get(path)).text().to_owned();
        assert!(!text.contains("secret"), "{path}: {text}");
    }
}

#[test]
fn strangers_and_bad_bodies_are_refused() {
    let server = Packhouse::start();
    let good = r#"{"name":"x","type":"dir","path":"/nowhere"}"#;
    for (method, path) in
        [("POST", "/upstream"), ("PUT", "/upstream/x"), ("DELETE", "/upstream/x"), ("DELETE", "/upstream/x/sync")]
    {
        let request = || Request::new(method, path).body("application/json", good);
        assert!(server.send(request()).is_json(401)["error"].is_string(), "{method} {path}");
        assert_eq!(server.send(request().token("wrong")).status, 401, "{method} {path}");
    }
    let bearer = Request::post("/upstream").header("Authorization", &format!("Bearer {ADMIN}"));
    assert_eq!(server.send(bearer.body("text/plain", good)).status, 201);
    let key = Request::delete("/upstream/x").header("X-API-Key", ADMIN);
    assert_eq!(server.send(key).status, 200);

    let bad = [
        "",
        "null",
        "[]",
        "1",
        "{",
        r#"{"name":"x",}"#,
        r#"{"type":"dir","path":"/x"}"#,
        r#"{"name":1,"type":"dir","path":"/x"}"#,
        r#"{"name":"a b","type":"dir","path":"/x"}"#,
        r#"{"name":"a@b","type":"dir","path":"/x"}"#,
        r#"{"name":".a","type":"dir","path":"/x"}"#,
        r#"{"name":"x","path":"/x"}"#,
        r#"{"name":"x","type":"deb","path":"/x"}"#,
        r#"{"name":"x","type":"dir"}"#,
        r#"{"name":"x","type":"dir","path":""}"#,
        r#"{"name":"x","type":"dir","path":"rel"}"#,
        r#"{"name":"x","type":"dir","path":"ftp://h/x"}"#,
        r#"{"name":"x","type":"dir","path":7}"#,
        r#"{"name":"x","type":"apt","path":"http://h suite"}"#,
        r#"{"name":"x","type":"dir","path":"/x","key":"none"}"#,
        r#"{"name":"x","type":"dir","path":"/x","interval":-1}"#,
    ];
    for body in bad {
        let answer = send(&server, "POST", "/upstream", body);
        assert!(answer.is_json(400)["error"].is_string(), "{body}");
    }
    assert_eq!(send(&server, "POST", "/upstream?wait=soon", good).status, 400);
    assert_eq!(send(&server, "POST", "/upstream", &format!("\u{feff}{}", "[".repeat(500))).status, 400);
    assert_eq!(server.send(Request::get("/upstream")).text(), "{}");
    for path in ["/upstream/none", "/upstream/none/packages", "/upstream/none/sync"] {
        server.send(Request::get(path)).is_error_naming(404, "none");
    }
    for path in ["/upstream/none", "/upstream/none/sync"] {
        server.send(Request::delete(path).token(ADMIN)).is_error_naming(404, "none");
    }
    let answer = server.send(Request::delete("/upstream").token(ADMIN));
    assert!(answer.is_json(405)["error"].is_string());
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST"));
}
