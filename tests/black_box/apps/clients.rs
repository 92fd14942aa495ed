//! `faynosync.md` §11 with the real clients: electron-updater under Node, feed readers under Python, the Velopack library.
//!
//! `tests/clients/apps/install` installs them; a client that is not there fails the test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::Digest;

use crate::files::{noise, segment, sha256};
use crate::server::{ADMIN_USER, Packhouse};

use super::{Person, and, ask, asks, base, check, first, is_exactly, local, plus, release};

/// A file beside the clients.
fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/apps").join(name)
}

/// Something that was built for the clients.
#[track_caller]
fn built(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let found = program.ancestors().map(|directory| directory.join("clients").join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("clients/{name} is not beside the tests; run tests/clients/apps/install"))
}

/// Runs a program with `input`; answers what it printed, as JSON.
#[track_caller]
fn run(program: &Path, arguments: &[&str], input: &[u8]) -> Value {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{} cannot be run: {e}", program.display()));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} ended with {}:\n{printed}{errors}", program.display(), output.status);
    serde_json::from_str(&printed).unwrap_or(Value::Null)
}

fn node(script: &str, job: &Value) -> Value {
    let modules = client("node_modules");
    assert!(modules.exists(), "the Node clients are not installed; run tests/clients/apps/install");
    run(Path::new("node"), &[client(script).to_str().unwrap(), &job.to_string()], b"")
}

fn python(what: &str, feed: &[u8]) -> Value {
    run(&built("python/bin/python"), &[client("feeds.py").to_str().unwrap(), what], feed)
}

/// The items an independent reader finds in an appcast.
#[track_caller]
pub(super) fn appcast(feed: &[u8]) -> Value {
    python("appcast", feed)
}

/// Checks that an independent reader finds exactly these items in the appcast.
#[track_caller]
pub(super) fn reads_appcast(server: &Packhouse, path: &str, items: &Value) {
    assert_eq!(&python("appcast", &ask(server, path).body), items);
}

/// The files of a release that electron-builder would have made of `bytes`, by name.
struct Electron {
    files: Vec<(String, Vec<u8>)>,
    home: tempfile::TempDir,
}

impl Electron {
    fn make(version: &str, name: &str, yml: &str, bytes: &[u8]) -> Electron {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(name), bytes).unwrap();
        let embed = name.ends_with(".AppImage");
        node(
            "release.mjs",
            &json!({ "dir": home.path(), "version": version, "name": name, "yml": yml, "embed": embed }),
        );
        let names = [name.to_owned(), yml.to_owned(), format!("{name}.blockmap")];
        let read = |name: &String| std::fs::read(home.path().join(name)).ok().map(|bytes| (name.clone(), bytes));
        Electron { files: names.iter().filter_map(read).collect(), home }
    }

    fn uploads(&self) -> Vec<(&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
    }

    fn bytes(&self) -> &[u8] {
        &self.files[0].1
    }
}

fn set_up(admin: &Person<'_>) {
    admin.set_up();
    admin.create_platform("electron", "electron-builder");
}

fn data(version: &str) -> Value {
    plus(&release(version), json!({ "platform": "electron", "updater": "electron-builder" }))
}

/// The update folder of a client with `version`.
fn folder(server: &Packhouse, version: &str) -> String {
    format!("{}/update/{ADMIN_USER}/secondapp/stable/electron/amd64/{version}", base(server))
}

/// The directory of the yml that a check leads to.
#[track_caller]
fn yml_directory(server: &Packhouse, version: &str) -> String {
    let answer = check(server, &and(&asks(version), "platform", "electron"));
    let link = answer.header("Location").expect("no update").to_owned();
    link.rsplit_once('/').unwrap().0.to_owned()
}

fn sha512(bytes: &[u8]) -> String {
    STANDARD.encode(sha2::Sha512::digest(bytes))
}

/// How many bytes of `file` the client fetched.
fn fetched(told: &Value, file: &str) -> u64 {
    let requests = told["requests"].as_array().unwrap();
    requests
        .iter()
        .filter(|request| request["path"].as_str().unwrap().ends_with(file))
        .map(|request| request["bytes"].as_u64().unwrap())
        .sum()
}

#[test]
fn electron_updater() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let old = noise(1, 2_000_000);
    // One block in three is new.
    let mut new = old.clone();
    for block in new.chunks_mut(16 << 10).step_by(3) {
        block.reverse();
    }
    new.extend_from_slice(b"and an end");
    let name = |version: &str| format!("App Setup größe {version}.exe");
    let releases = [("1.0.0", &old), ("1.1.0", &new)].map(|(version, bytes)| {
        let release = Electron::make(version, &name(version), "latest.yml", bytes);
        admin.release(&data(version), &release.uploads());
        release
    });
    let home = tempfile::tempdir().unwrap();
    let job = |feed: &str, version: &str, home: &Path| json!({ "feed": feed, "platform": "win32", "version": version, "home": home, "download": true });

    // Nothing newer.
    for version in ["1.1.0", "1.2.0"] {
        let told = node("electron.mjs", &job(&folder(&server, version), version, home.path()));
        assert_eq!(
            (&told["available"], &told["version"], &told["error"]),
            (&json!(false), &json!("1.1.0"), &Value::Null),
            "{told}"
        );
    }
    for feed in [folder(&server, "1.0.0"), yml_directory(&server, "1.0.0")] {
        // All of it, when nothing is installed that could help.
        let home = tempfile::tempdir().unwrap();
        let told = node("electron.mjs", &job(&feed, "1.0.0", home.path()));
        assert_eq!(
            (&told["available"], &told["version"], &told["error"]),
            (&json!(true), &json!("1.1.0"), &Value::Null),
            "{told}"
        );
        assert_eq!(told["sha512"], sha512(&new));
        assert!(std::fs::read(told["file"].as_str().unwrap()).unwrap() == releases[1].bytes());
        // The difference, when the version before is there.
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache/app");
        std::fs::create_dir_all(&cache).unwrap();
        std::fs::copy(releases[0].home.path().join(name("1.0.0")), cache.join("installer.exe")).unwrap();
        let told = node("electron.mjs", &job(&feed, "1.0.0", home.path()));
        assert_eq!((&told["error"], &told["sha512"]), (&Value::Null, &json!(sha512(&new))), "{told}");
        let file = segment(&name("1.1.0"));
        let requests = told["requests"].as_array().unwrap();
        let ranges = |request: &&Value| {
            request["status"] == 206 && request["range"].as_str().is_some_and(|range| range.matches(',').count() > 10)
        };
        let several = requests.iter().find(ranges).unwrap_or_else(|| panic!("no request for several ranges: {told}"));
        assert!(several["type"].as_str().unwrap().starts_with("multipart/byteranges"), "{several}");
        let part = fetched(&told, &file);
        assert!(part < 1_000_000, "{part} of {} bytes were fetched: {told}", new.len());
        for version in ["1.0.0", "1.1.0"] {
            assert!(
                fetched(&told, &format!("{}.blockmap", segment(&name(version)))) > 0,
                "no block map of {version}: {told}"
            );
        }
    }
}

#[test]
fn electron_updater_for_linux_and_mac() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let old = noise(3, 1_500_000);
    let mut new = old.clone();
    for block in new.chunks_mut(16 << 10).skip(20).take(7) {
        block.reverse();
    }
    let yml = if cfg!(target_arch = "aarch64") { "latest-linux-arm64.yml" } else { "latest-linux.yml" };
    let releases = [("1.0.0", &old), ("1.1.0", &new)].map(|(version, bytes)| {
        let release = Electron::make(version, &format!("App-{version}.AppImage"), yml, bytes);
        admin.release(&data(version), &release.uploads());
        release
    });
    let home = tempfile::tempdir().unwrap();
    let installed = releases[0].home.path().join("App-1.0.0.AppImage");
    let job = json!({
        "feed": folder(&server, "1.0.0"), "platform": "linux", "version": "1.0.0", "home": home.path(), "download": true, "appImage": installed,
    });
    let told = node("electron.mjs", &job);
    assert_eq!(
        (&told["error"], &told["version"], &told["sha512"]),
        (&Value::Null, &json!("1.1.0"), &json!(sha512(releases[1].bytes()))),
        "{told}"
    );
    let part = fetched(&told, ".AppImage");
    assert!(part < 300_000, "{part} bytes were fetched: {told}");

    let mac = Electron::make("2.0.0", "App-2.0.0-mac.zip", "latest-mac.yml", b"mac");
    admin.release(&data("2.0.0"), &mac.uploads());
    let job = json!({ "feed": folder(&server, "1.0.0"), "platform": "darwin", "version": "1.0.0", "home": home.path(), "download": false });
    let told = node("electron.mjs", &job);
    assert_eq!((&told["available"], &told["version"]), (&json!(true), &json!("2.0.0")), "{told}");
}

#[test]
fn electron_updater_refuses_a_tampered_file() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    let release = Electron::make("1.1.0", "App.exe", "latest.yml", &noise(5, 300_000));
    let mut tampered = release.files.clone();
    tampered[0].1[150_000] ^= 1;
    let tampered: Vec<(&str, &[u8])> = tampered.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    admin.release(&data("1.1.0"), &tampered);
    let home = tempfile::tempdir().unwrap();
    let job = json!({ "feed": folder(&server, "1.0.0"), "platform": "win32", "version": "1.0.0", "home": home.path(), "download": true });
    let told = node("electron.mjs", &job);
    assert_eq!(
        (&told["available"], &told["file"], &told["error"]),
        (&json!(true), &Value::Null, &json!("ERR_CHECKSUM_MISMATCH")),
        "{told}"
    );
}

#[test]
fn electron_updater_of_a_private_app() {
    let server = Packhouse::start();
    let admin = first(&server);
    set_up(&admin);
    admin.create_app_with(&json!({ "app": "hidden", "private": true }), &[]);
    let bytes = noise(6, 200_000);
    let release = Electron::make("1.1.0", "App.exe", "latest.yml", &bytes);
    admin.release(&plus(&data("1.1.0"), json!({ "app_name": "hidden" })), &release.uploads());
    let feed = format!("{}/update/{ADMIN_USER}/hidden/stable/electron/amd64/1.0.0", base(&server));
    let home = tempfile::tempdir().unwrap();
    let job = json!({ "feed": feed, "platform": "win32", "version": "1.0.0", "home": home.path(), "download": true });
    assert_eq!(node("electron.mjs", &job)["error"], "HTTP_ERROR_401");
    let headers = json!({ "authorization": format!("Bearer {}", admin.token) });
    let told = node("electron.mjs", &plus(&job, json!({ "headers": headers })));
    assert_eq!((&told["error"], &told["sha512"]), (&Value::Null, &json!(sha512(&bytes))), "{}", told["requests"]);
}

#[test]
fn squirrel_for_windows_reads_its_list() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("win", "squirrel_windows");
    let packages: Vec<(String, Vec<u8>)> = ["1.0.0-full", "1.1.0-delta", "1.1.0-full"]
        .map(|name| (format!("App-{name}.nupkg"), noise(7, 5_000 + name.len())))
        .into();
    for ending in ["\n", "\r\n"] {
        let version = if ending == "\n" { "1.0.0" } else { "1.1.0" };
        // The digests are made by something else than the server.
        let lines = packages.iter().map(|(name, bytes)| format!("{} {name} {}", sha1(bytes), bytes.len()));
        let list = format!("\u{feff}{}{ending}", lines.collect::<Vec<_>>().join(ending));
        let mut files: Vec<(&str, &[u8])> =
            packages.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        files.push(("RELEASES", list.as_bytes()));
        admin.release(&plus(&release(version), json!({ "platform": "win", "updater": "squirrel_windows" })), &files);
        let answer = check(&server, &and(&asks("0.9.0"), "platform", "win"));
        let feed = local(&server, answer.header("Location").unwrap()).to_owned();
        let read = python("releases", &ask(&server, &format!("{feed}?id=App&localVersion=0.9.0&arch=amd64")).body);
        let read = read.as_array().unwrap();
        assert_eq!(read.len(), packages.len());
        for entry in read {
            let path = format!("{}/{}", feed.rsplit_once('/').unwrap().0, entry["name"].as_str().unwrap());
            let bytes = ask(&server, &path).body;
            assert_eq!((&entry["size"], &entry["sha1"]), (&json!(bytes.len()), &json!(sha1(&bytes))));
        }
    }
}

/// SHA-1 in hex, by the system's tool: only Squirrel still wants it.
fn sha1(bytes: &[u8]) -> String {
    let mut child = Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()[..40].to_owned()
}

/// Makes the directory of an installed Velopack app.
fn installed(version: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let manifest = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><package><metadata><id>App</id><version>{version}</version><title>App</title>\
         <mainExe>App</mainExe><channel>stable</channel></metadata></package>"
    );
    std::fs::write(home.path().join("sq.version"), manifest).unwrap();
    home
}

#[track_caller]
fn velopack_client(feed: &str, home: &Path) -> Value {
    run(&built("velopack/debug/velopack-client"), &[feed, "stable", home.to_str().unwrap()], b"")
}

#[test]
fn velopack() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("velopack", "velopack");
    // As plain files in the update folder, and as a type of its own.
    for (platform, updater) in [("linux", "sparkle"), ("velopack", "velopack")] {
        for version in ["1.0.0", "1.1.0"] {
            let name = format!("App-{version}-full.nupkg");
            let bytes = noise(version.len() as u64, 400_000);
            let digest = sha256(&bytes).to_uppercase();
            let asset = json!({
                "PackageId": "App", "Version": version, "Type": "Full", "FileName": name, "SHA1": sha1(&bytes).to_uppercase(), "SHA256": digest,
                "Size": bytes.len(), "NotesMarkdown": "", "NotesHTML": "",
            });
            let feed = json!({ "Assets": [asset] }).to_string();
            let more = json!({ "platform": platform, "updater": updater });
            admin
                .release(&plus(&release(version), more), &[("releases.stable.json", feed.as_bytes()), (&name, &bytes)]);
        }
        let feed = match updater {
            "velopack" => format!("{}/velopack/{ADMIN_USER}/secondapp/velopack/amd64", base(&server)),
            _ => format!("{}/update/{ADMIN_USER}/secondapp/stable/linux/amd64/1.0.0", base(&server)),
        };
        let home = installed("1.0.0");
        let told = velopack_client(&feed, home.path());
        assert_eq!((&told["check"], &told["version"]), (&json!("update"), &json!("1.1.0")), "{told}");
        assert!(std::fs::read(told["file"].as_str().unwrap()).unwrap() == noise(5, 400_000));
        is_exactly(&ask(&server, "/health"), 200, &json!({ "status": "healthy" }));
        assert_eq!(velopack_client(&feed, installed("1.1.0").path()), json!({ "check": "none" }));
    }
    let empty = format!("{}/velopack/{ADMIN_USER}/secondapp/windows/amd64", base(&server));
    assert_eq!(velopack_client(&empty, installed("1.0.0").path()), json!({ "check": "empty" }));
}
