//! Offering what is on the shelf already: a text part `sha256` in place of a `file`. A digest alone is no credential.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::files::{Form, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::forms::is_tidy;
use super::{Person, ask, base, check, fetch, first, form, is_error_of, is_exactly, link, plus, release, sign_up};

/// `data` and these `sha256` parts, to `path`.
fn offer_at(person: &Person<'_>, path: &str, data: &Value, wishes: &[&str]) -> Answer {
    let form = wishes.iter().fold(Form::new(), |form, wish| form.text("sha256", wish));
    person.send_form(path, form.text("data", &data.to_string()))
}

fn offer(person: &Person<'_>, data: &Value, wishes: &[&str]) -> Answer {
    offer_at(person, "/upload", data, wishes)
}

#[track_caller]
fn offered(person: &Person<'_>, data: &Value, wishes: &[&str]) {
    let answer = offer(person, data, wishes);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// The artifacts of a version of `secondapp`: extension and bytes.
fn artifacts(admin: &Person<'_>, version: &str) -> Vec<(String, Vec<u8>)> {
    let versions = admin.versions("secondapp");
    let found = versions.iter().find(|found| found["Version"] == version).unwrap_or_else(|| panic!("no {version}"));
    let artifacts = found["Artifacts"].as_array().unwrap();
    let one = |artifact: &Value| {
        (artifact["Package"].as_str().unwrap().to_owned(), fetch(admin.server, artifact["Link"].as_str().unwrap()))
    };
    artifacts.iter().map(one).collect()
}

#[test]
fn a_digest_stands_for_the_file() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let bytes = noise(1, 50_000);
    let digest = sha256(&bytes);
    let old = admin.release(&release("1.0"), &[("a.deb", &bytes)]);
    offered(&admin, &release("1.1"), &[&digest]);
    assert_eq!(artifacts(&admin, "1.1"), [(".deb".to_owned(), bytes.clone())]);
    let told = check(&server, &super::asks("1.0")).is_json(200);
    assert_eq!(told["update_url_deb"], link(&server, "secondapp/stable/linux/amd64/secondapp-1.1.deb"));
    let exists = "app with this name, version, platform, architecture and extension already exists";
    offer(&admin, &release("1.1"), &[&digest]).is_error(409, exists);
    offer(&admin, &release("1.2"), &[&digest, &digest]).is_error(409, exists);
    // Under other names, as `sha256sum` prints them, beside a file, and in the order in which they came.
    let named = [format!("sha256:{digest}  dir/other.rpm"), format!("{digest} *RELEASES")];
    let form = Form::new().text("sha256", &named[0]).file("new.deb", b"new").text("sha256", &named[1]);
    let answer = admin.send_form("/upload", form.text("data", &release("1.3").to_string()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = [(".rpm", bytes.clone()), (".deb", b"new".to_vec()), ("", bytes.clone())];
    assert_eq!(artifacts(&admin, "1.3"), expected.map(|(extension, bytes)| (extension.to_owned(), bytes)));
    // The digest of a file that comes along is compared, and adds nothing.
    let with = |digest: &str| form_with(&release("1.4"), digest, &[("a.deb", b"fresh")]);
    assert_eq!(admin.send_form("/upload", with(&sha256(b"fresh"))).status, 200);
    assert_eq!(artifacts(&admin, "1.4").len(), 1);
    is_tidy(&server, 3);
    // The offered version holds the bytes by itself.
    admin.delete_version(&old);
    assert_eq!(artifacts(&admin, "1.1")[0].1, bytes);
    for version in admin.versions("secondapp") {
        admin.delete_version(version["ID"].as_str().unwrap());
    }
    is_tidy(&server, 0);
    offer(&admin, &release("1.5"), &[&digest]).is_error(400, "unknown artifact");
}

fn form_with(data: &Value, digest: &str, files: &[(&str, &[u8])]) -> Form {
    form(data, files).text("sha256", digest)
}

#[test]
fn an_update_takes_digests_too() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let id = admin.release(&release("1.0"), &[("a.deb", b"one")]);
    admin.release(&release("2.0"), &[("a.deb", b"two")]);
    let data = plus(&release("1.0"), json!({ "id": id }));
    let done = json!({ "updatedResult.Updated": true });
    is_exactly(&offer_at(&admin, "/apps/update", &data, &[&sha256(b"two")]), 200, &done);
    assert_eq!(artifacts(&admin, "1.0"), [(".deb".to_owned(), b"two".to_vec())]);
    let added = format!("{}  x.rpm", sha256(b"two"));
    is_exactly(&offer_at(&admin, "/apps/update", &data, &[&added]), 200, &done);
    assert_eq!(artifacts(&admin, "1.0").len(), 2);
    let view = admin.view();
    offer_at(&admin, "/apps/update", &data, &[&sha256(b"one")]).is_error(400, "unknown artifact");
    assert_eq!(admin.view(), view);
    is_tidy(&server, 1);
}

#[test]
fn what_is_no_digest() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1.0"), &[("a.deb", b"one")]);
    let (view, digest) = (admin.view(), sha256(b"one"));
    for bad in ["", "abc", &digest[..63], &format!("{digest}0"), &"g".repeat(64), &format!("sha256:{digest}x")] {
        offer(&admin, &release("1.1"), &[bad]).is_error(400, "the declared SHA-256 is not 64 hex digits");
    }
    for bad in ["..", "dir/", &"x".repeat(256), "a\u{1}b"] {
        offer(&admin, &release("1.1"), &[&format!("{digest}  {bad}")]).is_error_like(400, "invalid file name");
    }
    is_error_of(&offer(&admin, &release("1.1"), &[&"x".repeat(5000)]), 413);
    offer(&admin, &release("1.1"), &[&digest, &sha256(b"never seen")]).is_error(400, "unknown artifact");
    // What is wrong with the rest is told first.
    let unknown = plus(&release("1.1"), json!({ "app_name": "nobody" }));
    is_error_of(&offer(&admin, &unknown, &[&digest]), 404);
    is_error_of(&offer(&admin, &plus(&release("1.1"), json!({ "channel": "none" })), &[&digest]), 400);
    assert_eq!(admin.view(), view);
    is_tidy(&server, 1);
}

#[test]
fn a_digest_alone_opens_nothing() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    let app = admin.set_up().app;
    other.set_up();
    admin.create_app_with(&json!({ "app": "hidden", "private": true }), &[]);
    let hidden = plus(&release("1.0"), json!({ "app_name": "hidden" }));
    admin.release(&hidden, &[("a.deb", b"private bytes")]);
    admin.release(&plus(&release("1.0"), json!({ "publish": false })), &[("a.deb", b"unpublished bytes")]);
    let [private, unpublished] = [b"private bytes".as_slice(), b"unpublished bytes"].map(sha256);
    let unknown = offer(&other, &release("1.0"), &[&sha256(b"never seen")]);
    unknown.is_error(400, "unknown artifact");
    let view = other.view();
    for digest in [&private, &unpublished] {
        let answer = offer(&other, &release("1.0"), &[digest]);
        assert_eq!((answer.status, &answer.body), (400, &unknown.body), "the answer tells that the bytes exist");
    }
    assert_eq!(other.view(), view);
    // The tenant itself may, in whatever app of its own.
    offered(&admin, &release("1.1"), &[&private]);
    assert_eq!(artifacts(&admin, "1.1"), [(".deb".to_owned(), b"private bytes".to_vec())]);

    // A team user brings bytes of the same app along, of no other, and what is their own.
    let ids_of = |word: &str| -> Vec<Value> { admin.list(word).iter().map(|entry| entry["ID"].clone()).collect() };
    let helper = admin.hire(
        "helper",
        &json!({
            "apps": { "upload": true, "allowed": [app] }, "channels": { "allowed": ids_of("channel") },
            "platforms": { "allowed": ids_of("platform") }, "archs": { "allowed": ids_of("arch") },
        }),
    );
    admin.release(&plus(&hidden, json!({ "version": "2.0" })), &[("a.deb", b"more private bytes")]);
    offer(&helper, &release("3.0"), &[&sha256(b"more private bytes")]).is_error(400, "unknown artifact");
    offered(&helper, &release("3.0"), &[&unpublished]);
    is_error_of(&offer(&helper, &hidden, &[&unpublished]), 403);
    // The owner has all of its tenant, what a team user brought included; another tenant still nothing unpublished.
    let mine = plus(&release("4.0"), json!({ "publish": false }));
    helper.release(&mine, &[("a.deb", b"by the helper")]);
    offer(&other, &release("4.0"), &[&sha256(b"by the helper")]).is_error(400, "unknown artifact");
    offered(&admin, &plus(&hidden, json!({ "version": "4.0" })), &[&sha256(b"by the helper")]);
}

/// Uploads version 1 of a new product.
#[track_caller]
fn product(server: &Packhouse, who: (&str, &str), name: &str, file: &str, bytes: &[u8]) {
    let create = Request::put("/product/create").header(who.0, who.1).json(&json!({ "name": name }));
    assert_eq!(server.send(create).status, 201);
    let (kind, body) = Form::upload(name, "1", file, bytes).finish();
    let upload = Request::post("/product/upload").header(who.0, who.1).body(&kind, body);
    assert_eq!(server.send(upload).status, 201);
}

#[test]
fn what_came_by_another_door() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    admin.set_up();
    other.set_up();
    let digest = sha256(b"a tool");
    product(&server, ("X-Api-Token", ADMIN), "tools", "tool.AppImage", b"a tool");
    // The operator has whatever there is; others have what they brought themselves, and what is public.
    offer(&other, &release("1.0"), &[&digest]).is_error(400, "unknown artifact");
    offered(&admin, &release("1.0"), &[&digest]);
    assert_eq!(artifacts(&admin, "1.0"), [(".AppImage".to_owned(), b"a tool".to_vec())]);
    let bearer = format!("Bearer {}", other.token);
    product(&server, ("Authorization", &bearer), "theirs", "mine.deb", b"mine");
    offered(&other, &release("2.0"), &[&sha256(b"mine")]);
    assert_eq!(artifacts(&other, "2.0"), [(".deb".to_owned(), b"mine".to_vec())]);
    let package = Request::post("/package?filename=public.bin").token(ADMIN);
    let answer = server.send(package.body("application/octet-stream", "for everybody"));
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    offered(&other, &release("3.0"), &[&sha256(b"for everybody")]);
    assert_eq!(artifacts(&other, "3.0"), [(".bin".to_owned(), b"for everybody".to_vec())]);
}

#[test]
fn an_updater_needs_its_files_as_ever() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.create_platform("win", "velopack");
    let data = |version: &str| plus(&release(version), json!({ "platform": "win", "updater": "velopack" }));
    let package = |version: &str| (format!("App-{version}-full.nupkg"), noise(7, 5000));
    let list = |version: &str, name: &str, bytes: &[u8]| {
        let asset = json!({
            "PackageId": "App", "Version": version, "Type": "Full", "FileName": name, "SHA1": "", "SHA256": sha256(bytes),
            "Size": bytes.len(),
        });
        json!({ "Assets": [asset] }).to_string().into_bytes()
    };
    let (name, bytes) = package("1.0.0");
    let good = list("1.0.0", &name, &bytes);
    admin.release(&data("1.0.0"), &[("releases.stable.json", &good), (&name, &bytes)]);
    // The list is read on the shelf: it names the package of that version.
    let wishes = |list: &[u8]| [format!("{}  releases.stable.json", sha256(list)), sha256(&bytes)];
    let same = plus(&data("1.0.0"), json!({ "channel": "nightly" }));
    let [first_wish, second_wish] = wishes(&good);
    offered(&admin, &same, &[&first_wish, &second_wish]);
    let feed =
        ask(&server, &format!("/velopack/{}/secondapp/win/amd64/releases.nightly.json", admin.name)).is_json(200);
    assert_eq!(feed["Assets"][0]["FileName"], json!(name), "{feed}");
    assert!(fetch(&server, &format!("{}/velopack/{}/secondapp/win/amd64/{name}", base(&server), admin.name)) == bytes);
    // Without the list, or with something else under its name, it is refused as a file would be.
    is_error_of(&offer(&admin, &data("1.1.0"), &[&format!("{}  x.nupkg", sha256(&bytes))]), 400);
    let wrong = format!("{}  releases.stable.json", sha256(&bytes));
    is_error_of(&offer(&admin, &data("1.1.0"), &[&wrong]), 400);
}

#[test]
fn races() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    for round in 0..12_u64 {
        let bytes = noise(100 + round, 10_000);
        let (digest, old, new) = (sha256(&bytes), format!("1.{round}"), format!("2.{round}"));
        let id = admin.release(&release(&old), &[("a.deb", &bytes)]);
        let barrier = Barrier::new(4);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let offers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        offer(&admin, &release(&new), &[&digest])
                    })
                })
                .collect();
            scope.spawn(|| {
                barrier.wait();
                admin.delete_version(&id);
            });
            offers.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // Whoever was first has the bytes; when the only holder was faster, they are gone for all.
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(won <= 1, "{answers:?}");
        for answer in &answers {
            match answer.status {
                200 => {}
                409 => assert_eq!(won, 1),
                _ => drop(answer.is_error(400, "unknown artifact")),
            }
        }
        if won == 1 {
            assert_eq!(artifacts(&admin, &new), [(".deb".to_owned(), bytes)]);
            let id = admin.versions("secondapp")[0]["ID"].as_str().unwrap().to_owned();
            admin.delete_version(&id);
        }
        assert!(admin.versions("secondapp").is_empty());
        is_tidy(&server, 0);
    }
}
