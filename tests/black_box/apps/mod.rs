//! The app-update dialect, held to every row of `faynosync.md`; one module per group of routes, and what they share.

mod accounts;
mod beyond;
mod catalogue;
mod changes;
mod checks;
mod clients;
mod downloads;
mod feeds;
mod forms;
mod kinds;
mod latest;
mod lists;
mod names;
mod races;
mod robust;
mod team;
mod telemetry;
mod tenants;
#[cfg(feature = "crash-points")]
mod times;
mod updaters;
mod uploads;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{Form, segment};
use crate::server::{ADMIN_PASSWORD, ADMIN_USER, Packhouse, SIGNUP_KEY};

/// The password of every account made here.
const PASSWORD: &str = "apps-tests-PASSWORD-3f1c";

/// An id that nothing has.
const NOBODY: &str = "641459ffb8760d74164e7e3c";

/// Parameters of a query.
type Pairs<'q> = &'q [(&'q str, &'q str)];

/// The three kinds that share the four routes of §4.
struct Kind {
    /// The word in paths, request fields and error texts.
    word: &'static str,
    /// The word in keys of answers.
    key: &'static str,
    /// The key of the list.
    list: &'static str,
    /// The key of a list entry's name.
    name: &'static str,
    /// The error text of a bad name.
    invalid: &'static str,
    /// The group of permissions, as it is sent.
    group: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        word: "channel",
        key: "Channel",
        list: "channels",
        name: "ChannelName",
        invalid: "invalid channel name",
        group: "channels",
    },
    Kind {
        word: "platform",
        key: "Platform",
        list: "platforms",
        name: "PlatformName",
        invalid: "invalid platform name",
        group: "platforms",
    },
    Kind {
        word: "arch",
        key: "Arch",
        list: "archs",
        name: "ArchID",
        invalid: "invalid architecture name",
        group: "archs",
    },
];

/// Somebody who is logged in.
#[derive(Clone)]
struct Person<'a> {
    server: &'a Packhouse,
    name: String,
    token: String,
}

/// Asks for a token.
#[track_caller]
fn log_in<'a>(server: &'a Packhouse, name: &str, password: &str) -> Person<'a> {
    let answer = server.send(Request::post("/login").json(&json!({ "username": name, "password": password })));
    let token = answer.is_json(200)["token"].as_str().expect("a token").to_owned();
    assert_eq!(answer.text(), json!({ "token": token }).to_string());
    server.secret(&token);
    Person { server, name: name.to_owned(), token }
}

/// The first administrator.
#[track_caller]
fn first(server: &Packhouse) -> Person<'_> {
    log_in(server, ADMIN_USER, ADMIN_PASSWORD)
}

/// A new administrator with a tenant of their own.
#[track_caller]
fn sign_up<'a>(server: &'a Packhouse, name: &str) -> Person<'a> {
    server.secret(PASSWORD);
    let body = json!({ "username": name, "password": PASSWORD, "api_key": SIGNUP_KEY });
    is_exactly(
        &server.send(Request::post("/signup").json(&body)),
        200,
        &json!({ "result": "Successfully created admin user." }),
    );
    log_in(server, name, PASSWORD)
}

/// Checks status, type and whole value of a JSON answer.
#[track_caller]
fn is_exactly(answer: &Answer, status: u16, value: &Value) {
    assert_eq!(&answer.is_json(status), value);
}

/// Checks a refusal of a delete route; `details` is left open when none is given.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, error: &str, details: Option<&str>) {
    let value = answer.is_json(status);
    let told = value["details"].as_str().expect("details");
    assert_eq!(value, json!({ "error": error, "details": details.unwrap_or(told) }));
    assert!(!told.is_empty());
}

/// Checks a refusal whose text the contract leaves open; delete routes may add details.
#[track_caller]
fn is_error_of(answer: &Answer, status: u16) {
    let value = answer.is_json(status);
    assert!(value["error"].as_str().is_some_and(|text| !text.is_empty()), "{value}");
    let known = |key: &String| key == "error" || key == "details";
    assert!(value.as_object().unwrap().keys().all(known), "{value}");
}

/// Checks that this is an id and takes it out.
#[track_caller]
fn id_of(value: &Value) -> String {
    let id = value.as_str().unwrap_or_else(|| panic!("not an id: {value}"));
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    assert!(id.len() == 24 && id.bytes().all(digit), "not an id: {id:?}");
    id.to_owned()
}

/// Checks that this is a time as §1 wants it.
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let zone = shape.strip_prefix("0000-00-00T00:00:00.000").unwrap_or_else(|| panic!("not a time: {text}"));
    assert!(matches!(zone, "Z" | "+00:00" | "-00:00"), "not a time: {text}");
}

/// A path with a query, values percent-encoded.
fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// `GET` without a session.
#[track_caller]
fn ask(server: &Packhouse, path: &str) -> Answer {
    server.send(Request::get(path))
}

/// `GET /checkVersion`.
#[track_caller]
fn check(server: &Packhouse, pairs: &[(&str, &str)]) -> Answer {
    ask(server, &with_query("/checkVersion", pairs))
}

/// What every absolute link begins with.
fn base(server: &Packhouse) -> String {
    format!("http://{}", server.address())
}

/// An absolute link of this server without what comes before the path.
#[track_caller]
fn local<'l>(server: &Packhouse, link: &'l str) -> &'l str {
    link.strip_prefix(&base(server)).unwrap_or_else(|| panic!("not a link to this server: {link}"))
}

/// Fetches an absolute link without a session; answers the bytes.
#[track_caller]
fn fetch(server: &Packhouse, link: &str) -> Vec<u8> {
    let answer = ask(server, local(server, link));
    assert_eq!(answer.status, 200, "{link}: {}", String::from_utf8_lossy(&answer.body));
    answer.body
}

/// A form whose files come first and whose `data` comes last, as the dialect's own command line sends it.
fn form(data: &Value, files: &[(&str, &[u8])]) -> Form {
    files.iter().fold(Form::new(), |form, (name, bytes)| form.file(name, bytes)).text("data", &data.to_string())
}

/// `value` with the keys of `more` set.
fn plus(value: &Value, more: Value) -> Value {
    let mut value = value.clone();
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

/// `value` without a key.
fn minus(value: &Value, key: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(key);
    value
}

impl<'a> Person<'a> {
    /// Adds this session to a request.
    fn sign(&self, request: Request) -> Request {
        request.header("Authorization", &format!("Bearer {}", self.token))
    }

    #[track_caller]
    fn send(&self, request: Request) -> Answer {
        self.server.send(self.sign(request))
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::post(path).json(body))
    }

    #[track_caller]
    fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path))
    }

    #[track_caller]
    fn send_form(&self, path: &str, form: Form) -> Answer {
        let (kind, body) = form.finish();
        self.send(Request::post(path).body(&kind, body))
    }

    #[track_caller]
    fn upload(&self, data: &Value, files: &[(&str, &[u8])]) -> Answer {
        self.send_form("/upload", form(data, files))
    }

    /// Uploads and takes the record's id.
    #[track_caller]
    fn release(&self, data: &Value, files: &[(&str, &[u8])]) -> String {
        let value = self.upload(data, files).is_json(200);
        let id = id_of(&value["uploadResult.Uploaded"]);
        assert_eq!(value, json!({ "uploadResult.Uploaded": id }));
        id
    }

    #[track_caller]
    fn change(&self, data: &Value, files: &[(&str, &[u8])]) -> Answer {
        self.send_form("/apps/update", form(data, files))
    }

    #[track_caller]
    fn changes(&self, data: &Value, files: &[(&str, &[u8])]) {
        is_exactly(&self.change(data, files), 200, &json!({ "updatedResult.Updated": true }));
    }

    #[track_caller]
    fn delete_artifacts(&self, data: &Value) -> Answer {
        self.send_form("/artifact/delete", form(data, &[]))
    }

    #[track_caller]
    fn delete_version(&self, id: &str) {
        let answer = self.delete(&format!("/apps/delete?id={id}"));
        is_exactly(&answer, 200, &json!({ "deleteSpecificAppResult.DeletedCount": 1 }));
    }

    /// Creates a channel, platform or architecture and takes its id.
    #[track_caller]
    fn create(&self, word: &str, name: &str) -> String {
        self.create_with(word, &json!({ word: name }))
    }

    #[track_caller]
    fn create_with(&self, word: &str, body: &Value) -> String {
        let kind = KINDS.iter().find(|kind| kind.word == word).unwrap();
        let value = self.post(&format!("/{word}/create"), body).is_json(200);
        let key = format!("create{}Result.Created", kind.key);
        let id = id_of(&value[&key]);
        assert_eq!(value, json!({ key: id }));
        id
    }

    /// Creates a platform whose only updater is `updater`.
    #[track_caller]
    fn create_platform(&self, name: &str, updater: &str) -> String {
        self.create_with("platform", &json!({ "platform": name, "updaters": [{ "type": updater, "default": true }] }))
    }

    /// Creates an app and takes its id.
    #[track_caller]
    fn create_app(&self, name: &str) -> String {
        self.create_app_with(&json!({ "app": name }), &[])
    }

    #[track_caller]
    fn create_app_with(&self, data: &Value, files: &[(&str, &[u8])]) -> String {
        let value = self.send_form("/app/create", form(data, files)).is_json(200);
        let id = id_of(&value["createAppResult.Created"]);
        assert_eq!(value, json!({ "createAppResult.Created": id }));
        id
    }

    /// Creates what the examples of the contract use: two channels, platforms and architectures, and an app.
    #[track_caller]
    fn set_up(&self) -> World {
        World {
            nightly: self.create("channel", "nightly"),
            stable: self.create("channel", "stable"),
            linux: self.create("platform", "linux"),
            windows: self.create("platform", "windows"),
            amd64: self.create("arch", "amd64"),
            arm64: self.create("arch", "arm64"),
            app: self.create_app("secondapp"),
        }
    }

    /// The entries of a list route.
    #[track_caller]
    fn list(&self, word: &str) -> Vec<Value> {
        let key = format!("{word}s");
        let value = self.get(&format!("/{word}/list")).is_json(200);
        value[&key].as_array().unwrap_or_else(|| panic!("no {key}: {value}")).clone()
    }

    /// The names in a list route, in its order.
    #[track_caller]
    fn names(&self, word: &str) -> Vec<String> {
        let name = if word == "app" { "AppName" } else { KINDS.iter().find(|kind| kind.word == word).unwrap().name };
        self.list(word).iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
    }

    /// `GET /search` of one app with further parameters.
    #[track_caller]
    fn search(&self, app: &str, pairs: &[(&str, &str)]) -> Value {
        let pairs: Vec<_> = [("app_name", app)].iter().chain(pairs).copied().collect();
        self.get(&with_query("/search", &pairs)).is_json(200)
    }

    /// All version records of an app, newest first.
    #[track_caller]
    fn versions(&self, app: &str) -> Vec<Value> {
        self.search(app, &[("limit", "1000")])["apps"].as_array().expect("apps").clone()
    }

    /// The only version record of an app.
    #[track_caller]
    fn version(&self, app: &str) -> Value {
        let mut versions = self.versions(app);
        assert_eq!(versions.len(), 1, "{versions:?}");
        versions.remove(0)
    }

    /// Everything this person can see.
    #[track_caller]
    fn view(&self) -> Value {
        let lists: Vec<Vec<Value>> = ["channel", "platform", "arch", "app"].map(|word| self.list(word)).into();
        let all = self.get("/?limit=1000").is_json(200);
        let users = self.get("/users/list");
        let users = if users.status == 200 { users.is_json(200) } else { Value::Null };
        json!({ "lists": lists, "versions": all, "users": users })
    }

    /// A new team user of this administrator.
    #[track_caller]
    fn hire(&self, name: &str, permissions: &Value) -> Person<'a> {
        self.server.secret(PASSWORD);
        let body = json!({ "username": name, "password": PASSWORD, "permissions": permissions });
        let told = json!({ "message": "Team user created successfully" });
        is_exactly(&self.post("/user/create", &body), 200, &told);
        log_in(self.server, name, PASSWORD)
    }

    /// The id of one of this administrator's team users.
    #[track_caller]
    fn user_id(&self, name: &str) -> String {
        let users = self.get("/users/list").is_json(200);
        let users = users["users"].as_array().unwrap();
        id_of(&users.iter().find(|user| user["username"] == name).expect("no such user")["id"])
    }

    /// The caller's own id.
    #[track_caller]
    fn id(&self) -> String {
        id_of(&self.get("/whoami").is_json(200)["id"])
    }
}

/// The ids of what [`Person::set_up`] makes.
struct World {
    nightly: String,
    stable: String,
    linux: String,
    windows: String,
    amd64: String,
    arm64: String,
    app: String,
}

/// The data of an upload to `secondapp`, published, in `stable` for `linux` on `amd64`.
fn release(version: &str) -> Value {
    json!({
        "app_name": "secondapp", "version": version, "channel": "stable", "platform": "linux", "arch": "amd64", "publish": true,
    })
}

/// The question of a client of `secondapp` with this version, in `stable` for `linux` on `amd64`.
fn asks(version: &str) -> [(&str, &str); 5] {
    [("app_name", "secondapp"), ("version", version), ("channel", "stable"), ("platform", "linux"), ("arch", "amd64")]
}

/// `pairs` with one more.
fn and<'q>(pairs: &[(&'q str, &'q str)], name: &'q str, value: &'q str) -> Vec<(&'q str, &'q str)> {
    let mut pairs: Vec<_> = pairs.iter().filter(|(known, _)| *known != name).copied().collect();
    pairs.push((name, value));
    pairs
}

/// `pairs` without one.
fn without<'q>(pairs: &[(&'q str, &'q str)], name: &str) -> Vec<(&'q str, &'q str)> {
    pairs.iter().filter(|(known, _)| *known != name).copied().collect()
}

/// A plain link of an artifact of the first administrator.
fn link(server: &Packhouse, key: &str) -> String {
    format!("{}/download?key={key}", base(server))
}
