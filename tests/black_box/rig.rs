//! What the abuse tests share: product requests written out by hand, a data directory for several runs, `verify`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::files::{BOUNDARY, Form, file_head, sha256};
use crate::server::{self, Builder, Packhouse, files_below};
use crate::wire::{self, Answer, Wire};

/// The admin token every test server knows.
pub(crate) const TOKEN: &str = server::ADMIN;

pub(crate) const MIB: u64 = 1024 * 1024;

/// A data directory that outlives the servers on it.
pub(crate) struct Home {
    /// Removes everything when dropped.
    _place: TempDir,
    data: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Home {
        let place = tempfile::tempdir().expect("a temporary directory");
        Home { data: place.path().join("data"), _place: place }
    }

    /// The data directory; it does not exist before the first start.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A server on this directory, not yet started.
    pub(crate) fn server(&self) -> Builder {
        Packhouse::with().data(&self.data)
    }

    /// A server on this directory.
    #[track_caller]
    pub(crate) fn start(&self) -> Packhouse {
        self.server().start()
    }
}

/// Stops a server in order.
#[track_caller]
pub(crate) fn stop(mut server: Packhouse) {
    let status = server.stop();
    assert!(status.success(), "stopping ended with {status}");
}

/// A whole request of the admin without a body.
pub(crate) fn request(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nX-Api-Token: {TOKEN}\r\n{fields}\r\n")
}

/// A whole request of the admin with a JSON body.
pub(crate) fn json_request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    request(method, path, &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")) + body
}

/// The multipart text before the bytes of the file, for a version of a product.
pub(crate) fn before_file(product: &str, version: &str) -> String {
    let (_, start) = Form::new().text("product", product).text("version", version).unfinished();
    let start = String::from_utf8(start).expect("a form of text");
    format!("{start}--{BOUNDARY}\r\n{}\r\n\r\n", file_head("file.bin"))
}

/// The multipart text behind the bytes of the file.
pub(crate) fn after_file() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}

/// The head of an upload; `framing` is the length or coding line, with its end, and whatever lines go with it.
pub(crate) fn upload_head(framing: &str) -> String {
    let kind = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{framing}");
    request("POST", "/product/upload", &kind)
}

/// The body of an upload.
pub(crate) fn upload_body(product: &str, version: &str, bytes: &[u8]) -> Vec<u8> {
    [before_file(product, version).as_bytes(), bytes, after_file().as_bytes()].concat()
}

/// A whole upload request.
pub(crate) fn upload_request(product: &str, version: &str, bytes: &[u8]) -> Vec<u8> {
    let body = upload_body(product, version, bytes);
    [upload_head(&format!("Content-Length: {}\r\n", body.len())).as_bytes(), &body].concat()
}

/// Uploads on a connection of its own. An answer that comes while still sending counts.
pub(crate) fn upload(address: SocketAddr, product: &str, version: &str, bytes: &[u8]) -> Result<Answer, String> {
    let mut wire = Wire::try_open(address).map_err(|e| format!("connect: {e}"))?;
    let sent = wire.send(upload_request(product, version, bytes));
    wire.answer(false)?.ok_or_else(|| format!("closed without an answer ({sent:?})"))
}

/// Asks for a whole version on a connection of its own; an error when the transfer breaks off.
pub(crate) fn download(address: SocketAddr, product: &str, version: &str) -> Result<Answer, String> {
    wire::ask(address, request("GET", &format!("/product/download/{product}/{version}"), "Connection: close\r\n"))
}

/// Makes a product; panics unless it is new.
pub(crate) fn create_product(address: SocketAddr, name: &str) {
    let body = format!("{{\"name\":\"{name}\"}}");
    let answer = wire::ask(address, json_request("PUT", "/product/create", &body)).expect("an answer to create");
    assert_eq!((answer.status, answer.text().as_str()), (201, ""), "create {name}");
}

/// Deletes a version of a product.
pub(crate) fn delete_version(address: SocketAddr, product: &str, version: &str) -> Result<Answer, String> {
    wire::ask(address, request("DELETE", &format!("/product/delete/{product}/{version}"), ""))
}

/// What `GET /product/fetch` says of a product.
pub(crate) fn fetch(address: SocketAddr, product: &str) -> Result<serde_json::Value, String> {
    let answer = wire::ask(address, request("GET", &format!("/product/fetch/{product}"), ""))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|e| format!("fetch: {e}: {}", answer.text())),
        status => Err(format!("fetch: {status} {}", answer.text())),
    }
}

/// The names of a product's versions.
pub(crate) fn versions(address: SocketAddr, product: &str) -> Result<Vec<String>, String> {
    let product = fetch(address, product)?;
    let versions = product["versions"].as_object().ok_or("versions is no object")?;
    Ok(versions.keys().cloned().collect())
}

/// The names of all products.
pub(crate) fn products(address: SocketAddr) -> Result<Vec<String>, String> {
    let answer = wire::ask(address, request("GET", "/product/access", ""))?;
    serde_json::from_slice(&answer.body).map_err(|e| format!("access: {} {e}", answer.status))
}

/// Where the bytes of this digest lie.
pub(crate) fn blob_path(data: &Path, digest: &str) -> PathBuf {
    data.join("shelf").join(&digest[..2]).join(digest)
}

/// What `packhouse verify` says of a directory.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The exit code: 0 sound, 1 faults, 2 could not run.
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// Runs `packhouse verify` on a directory.
pub(crate) fn verify(data: &Path, options: &[&str]) -> Verdict {
    let place = data.to_str().expect("a path of text");
    let output = server::run(&[&["verify", "--data", place], options].concat());
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Verdict { code: output.status.code(), text }
}

/// Panics unless `packhouse verify` finds the directory sound.
pub(crate) fn assert_sound(data: &Path, when: &str) {
    let verdict = verify(data, &[]);
    assert_eq!(verdict.code, Some(0), "verify {when}: {}", verdict.text);
}

/// Panics unless the version downloads with exactly these bytes.
pub(crate) fn assert_whole(address: SocketAddr, product: &str, version: &str, bytes: &[u8]) {
    let answer = download(address, product, version).unwrap_or_else(|fault| panic!("{product} {version}: {fault}"));
    assert_eq!(answer.status, 200, "{product} {version}: {}", answer.text());
    assert!(answer.body == bytes, "{product} {version}: {} other bytes", answer.body.len());
    assert_eq!(answer.header("x-checksum-sha256"), Some(sha256(bytes).as_str()), "{product} {version}");
}

/// The digests of all blobs on the shelf, by their names.
pub(crate) fn shelf(data: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    files_below(&data.join("shelf")).iter().filter_map(name).collect()
}

/// Whether nothing is left of uploads in flight.
pub(crate) fn is_stage_empty(data: &Path) -> bool {
    files_below(&data.join("stage")).is_empty()
}

/// Looks again and again until `is_so`; panics when the guard has passed.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    server::wait_for(what, || is_so().then_some(()));
}
