//! The Winget-Repo API, held to part A of `winget.md`; one module per group of routes, and what they share.

mod clients;
mod downloads;
mod gate;
mod packages;
mod prepared;
mod sessions;
mod settings;
mod uploads;
mod versions;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{Form, segment};
use crate::server::{ADMIN_PASSWORD, ADMIN_USER, Packhouse, SIGNUP_KEY};

/// The password of every account made here.
const PASSWORD: &str = "winget-tests-PASSWORD-91ac";

/// A UUID that nothing has.
const NOBODY: &str = "00000000-1111-4222-8333-444444444444";

/// The beginning of a PNG; more is not looked at.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and then whatever";

/// Fields of a form.
type Fields<'f> = &'f [(&'f str, &'f str)];

/// An administrator in a tenant.
struct Admin<'s> {
    server: &'s Packhouse,
    tenant: String,
    token: String,
}

/// The first administrator.
#[track_caller]
fn first(server: &Packhouse) -> Admin<'_> {
    log_in(server, ADMIN_USER, ADMIN_PASSWORD)
}

/// A new administrator with a tenant of their own.
#[track_caller]
fn sign_up<'s>(server: &'s Packhouse, name: &str) -> Admin<'s> {
    let body = json!({ "username": name, "password": PASSWORD, "api_key": SIGNUP_KEY });
    assert_eq!(server.send(Request::post("/signup").json(&body)).status, 200);
    log_in(server, name, PASSWORD)
}

#[track_caller]
fn log_in<'s>(server: &'s Packhouse, name: &str, password: &str) -> Admin<'s> {
    let request = Request::post(&path(name, "login"));
    let answer = server.send(fields(request, &[("username", name), ("password", password)]));
    let token = answer.is_json(200)["message"].as_str().expect("a token").to_owned();
    assert_eq!(answer.text(), json!({ "message": token }).to_string());
    server.secret(&token);
    Admin { server, tenant: name.to_owned(), token }
}

/// An address of Part A.
fn path(tenant: &str, rest: &str) -> String {
    format!("/cloud/client/api/{tenant}/{rest}")
}

/// With an urlencoded body.
fn fields(request: Request, fields: Fields<'_>) -> Request {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value))).collect();
    request.body("application/x-www-form-urlencoded", pairs.join("&"))
}

/// With a multipart body.
fn form(request: Request, form: Form) -> Request {
    let (kind, body) = form.finish();
    request.body(&kind, body)
}

/// The head of a file part.
fn part(name: &str, file: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"")
}

/// Checks that this is a refusal in this dialect's words, and answers them.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> String {
    let value = answer.is_json(status);
    let text = value["detail"].as_str().unwrap_or_else(|| panic!("no detail: {value}")).to_owned();
    let known = |key: &String| key == "detail" || key == "error";
    assert!(!text.is_empty() && value.as_object().unwrap().keys().all(known), "{value}");
    text
}

#[track_caller]
fn says(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.is_json(status), json!({ "Message": message }));
}

impl Admin<'_> {
    /// A request of this administrator.
    fn request(&self, method: &str, rest: &str) -> Request {
        Request::new(method, &path(&self.tenant, rest)).header("Authorization", &format!("Bearer {}", self.token))
    }

    fn get(&self, rest: &str) -> Answer {
        self.server.send(self.request("GET", rest))
    }

    fn send(&self, method: &str, rest: &str, pairs: Fields<'_>) -> Answer {
        self.server.send(fields(self.request(method, rest), pairs))
    }

    fn set(&self, key: &str, value: &str) {
        says(&self.send("PATCH", "edit_settings", &[(key, value)]), 200, "Settings were updated successfully!");
    }

    fn setting(&self, key: &str) -> String {
        self.get("get_settings").is_json(200)[key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned()
    }

    #[track_caller]
    fn package(&self, id: &str) {
        let pairs =
            [("package_id", id), ("package_name", id), ("package_publisher", "Contoso"), ("package_description", "")];
        says(&self.send("POST", "add_package", &pairs), 200, "Package was added successfully!");
    }

    /// One chunk of an upload.
    fn chunk(&self, id: &str, range: &str, bytes: &[u8]) -> Answer {
        let request = self.request("POST", "upload_package_version").header("X-File-ID", id);
        self.server.send(request.header("Content-Range", range).body("application/octet-stream", bytes))
    }

    /// A whole upload in one chunk; its server file name.
    #[track_caller]
    fn upload(&self, id: &str, bytes: &[u8]) -> String {
        let range = format!("bytes 0-{}/{}", bytes.len() - 1, bytes.len());
        let value = self.chunk(id, &range, bytes).is_json(200);
        assert_eq!(value["complete"], true, "{value}");
        value["server_filename"].as_str().unwrap().to_owned()
    }

    /// Adds a version with these fields over the usual ones.
    fn try_version(&self, package: &str, file: &str, over: Fields<'_>) -> Answer {
        let usual = [
            ("server_filename", file),
            ("package_version", "1.0"),
            ("file_architect", "x64"),
            ("file_type", "EXE"),
            ("file_scope", "machine"),
        ];
        let mut pairs: Vec<(&str, &str)> =
            usual.into_iter().filter(|(name, _)| !over.iter().any(|(known, _)| known == name)).collect();
        pairs.extend(over.iter().filter(|(_, value)| *value != "(none)"));
        self.send("POST", &format!("add_package_version/{}", segment(package)), &pairs)
    }

    /// The same with an upload of its own; answers the UID.
    #[track_caller]
    fn version(&self, package: &str, bytes: &[u8], over: Fields<'_>) -> String {
        let file = self.upload("setup.exe_1", bytes);
        let value = self.try_version(package, &file, over).is_json(201);
        let uid = value["UID"].as_str().unwrap().to_owned();
        assert_eq!(value, json!({ "Message": "Package version was added successfully!", "UID": uid }));
        uid
    }

    /// Adds a client: id and token.
    #[track_caller]
    fn client(&self, name: &str) -> (String, String) {
        let value = self.send("POST", "add_client", &[("client_name", name)]).is_json(201);
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        let (id, token) = (text("client_id"), text("auth_token"));
        assert_eq!(value, json!({ "Message": "Client was added successfully!", "client_id": id, "auth_token": token }));
        self.server.secret(&token);
        (id, token)
    }

    /// What somebody with these fields is shown by `get_packages`.
    fn packages(&self, pairs: Fields<'_>) -> Answer {
        self.server.send(fields(Request::post(&path(&self.tenant, "get_packages")), pairs))
    }

    /// The ids of it.
    #[track_caller]
    fn ids(&self, pairs: Fields<'_>) -> Vec<String> {
        let list = self.packages(pairs).is_json(200);
        list.as_array().unwrap().iter().map(|package| package["PACKAGE_ID"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn row(&self, uid: &str) -> Value {
        self.get(&format!("get_specific_package_version/{uid}")).is_json(200)
    }
}

/// Path and query of an absolute link of this server.
#[track_caller]
fn local<'l>(server: &Packhouse, link: &'l str) -> &'l str {
    link.strip_prefix(&format!("http://{}", server.address())).unwrap_or_else(|| panic!("not ours: {link}"))
}
