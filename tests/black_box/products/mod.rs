//! The products dialect, held to every row of `products.md`; one module per group of routes, and what they share.

mod deletion;
mod disposition;
mod download;
mod gate;
mod health;
mod large;
mod lifecycle;
mod members;
mod names;
mod offer;
mod permissions;
mod product;
mod races;
mod ranges;
mod secrets;
mod tokens;
mod transfer;
mod upload;
mod walk;

use serde_json::{Map, Value, json};

use crate::client::{Answer, Request};
use crate::files::{Form, segment, sha256};
use crate::server::{ADMIN, Packhouse, wait_for};

/// The four permissions, in the order of the contract.
const PERMISSIONS: [&str; 4] = ["maintainer", "download", "upload", "delete"];

/// A permission object with all four keys, those named set.
fn permissions(set: &[&str]) -> Value {
    PERMISSIONS.iter().map(|name| ((*name).to_owned(), Value::Bool(set.contains(name)))).collect::<Map<_, _>>().into()
}

/// Where a version is downloaded.
fn download_path(product: &str, version: &str) -> String {
    format!("/product/download/{}/{}", segment(product), segment(version))
}

/// Where a product is read.
fn fetch_path(product: &str) -> String {
    format!("/product/fetch/{}", segment(product))
}

/// Where a version, or without one a whole product, is deleted.
fn delete_path(product: &str, version: Option<&str>) -> String {
    let version = version.map(|version| format!("/{}", segment(version))).unwrap_or_default();
    format!("/product/delete/{}{version}", segment(product))
}

/// What the tests of this dialect ask a server for again and again.
impl Packhouse {
    #[track_caller]
    fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Request::get(path).token(token))
    }

    #[track_caller]
    fn delete(&self, token: &str, path: &str) -> Answer {
        self.send(Request::delete(path).token(token))
    }

    #[track_caller]
    fn put_json(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(Request::put(path).token(token).json(&body))
    }

    #[track_caller]
    fn delete_json(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(Request::delete(path).token(token).json(&body))
    }

    /// A new token.
    #[track_caller]
    fn register(&self, admin: bool) -> String {
        let answer = self.put_json(ADMIN, "/register", json!({ "admin": admin }));
        let raw = answer.text().to_owned();
        answer.is_text(201, &raw);
        self.secret(&raw);
        raw
    }

    /// A new product of `token`.
    #[track_caller]
    fn create(&self, token: &str, name: &str) {
        self.put_json(token, "/product/create", json!({ "name": name })).is_empty(201);
    }

    /// Lets `token` into a product with the permissions named.
    #[track_caller]
    fn let_in(&self, product: &str, token: &str, set: &[&str]) {
        let body = json!({ "product": product, "token": token, "permissions": permissions(set) });
        self.put_json(ADMIN, "/product/modify/addToken", body).is_empty(201);
    }

    /// A new token that is a member of a product with the permissions named.
    #[track_caller]
    fn member(&self, product: &str, set: &[&str]) -> String {
        let token = self.register(false);
        self.let_in(product, &token, set);
        token
    }

    #[track_caller]
    fn upload(&self, token: &str, form: Form) -> Answer {
        let (kind, body) = form.finish();
        self.send(Request::post("/product/upload").token(token).body(&kind, body))
    }

    /// A new version, uploaded by the administrator as `file.bin`.
    #[track_caller]
    fn add_version(&self, product: &str, version: &str, bytes: &[u8]) {
        self.upload(ADMIN, Form::upload(product, version, "file.bin", bytes)).is_empty(201);
    }

    #[track_caller]
    fn download(&self, token: &str, product: &str, version: &str) -> Answer {
        self.get(token, &download_path(product, version))
    }

    /// The administrator downloads exactly `bytes`.
    #[track_caller]
    fn has_version(&self, product: &str, version: &str, bytes: &[u8]) {
        let answer = self.download(ADMIN, product, version);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.body == bytes, "{product} {version}: other bytes");
        assert_eq!(answer.header("X-Checksum-Sha256"), Some(sha256(bytes).as_str()));
    }

    /// The answer of `/product/fetch` as `token` sees it.
    #[track_caller]
    fn view(&self, token: &str, product: &str) -> Value {
        self.get(token, &fetch_path(product)).is_json(200)
    }

    /// Everything an administrator can see, with every version's bytes by their checksum.
    #[track_caller]
    fn visible(&self) -> Value {
        let names = self.get(ADMIN, "/product/access").is_json(200);
        let mut products = Map::new();
        for name in names.as_array().unwrap() {
            let name = name.as_str().unwrap();
            let view = self.view(ADMIN, name);
            for (version, record) in view["versions"].as_object().unwrap() {
                let bytes = self.download(ADMIN, name, version).body;
                assert_eq!(record["checksum"], format!("sha256:{}", sha256(&bytes)), "{name} {version}");
            }
            products.insert(name.to_owned(), view);
        }
        json!({ "tokens": self.get(ADMIN, "/tokens").is_json(200), "products": products })
    }

    /// Checks that nothing is different from `before` and that nothing was left lying about.
    #[track_caller]
    fn is_as_before(&self, before: &Value, shelf: usize) {
        assert_eq!(&self.visible(), before);
        self.is_tidy(shelf);
    }

    /// Waits until the stage is empty and exactly `shelf` files lie on the shelf.
    #[track_caller]
    fn is_tidy(&self, shelf: usize) {
        wait_for(&format!("an empty stage and {shelf} files on the shelf"), || {
            (self.stage_files().is_empty() && self.shelf_files().len() == shelf).then_some(())
        });
    }
}
