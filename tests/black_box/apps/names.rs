//! `faynosync.md` §3: names and versions.

use serde_json::{Value, json};

use crate::server::Packhouse;

use super::{KINDS, Person, asks, check, first, form, id_of, plus, release, sign_up};

/// Names that no channel, platform or architecture may have; most are no app names either.
const BAD: &[&str] = &[
    ".dot",
    "-dash",
    "_line",
    "a/b",
    "a\\b",
    "../a",
    "a%b",
    "größe",
    "a\u{0}b",
    "a\nb",
    "a\tb",
    "a<b>",
    "a\u{7f}",
    "🦀",
    "a:b",
    "a\u{200b}b",
    "a+b",
    "a@b",
];

#[test]
fn channels_platforms_architectures() {
    let server = Packhouse::start();
    let admin = first(&server);
    let (longest, too_long) = ("n".repeat(64), "n".repeat(65));
    for kind in &KINDS {
        let path = format!("/{}/create", kind.word);
        for name in BAD.iter().chain(&[" a", "a ", "a b", too_long.as_str()]) {
            admin.post(&path, &json!({ kind.word: name })).is_error(400, kind.invalid);
        }
        let mut good = vec!["0", "a", "A", "a.", "a-", "a_", "Stable.1_x-y", "CON", longest.as_str()];
        for name in &good {
            admin.create(kind.word, name);
        }
        // Compared exactly, sorted by bytes.
        good.sort_unstable();
        assert_eq!(admin.names(kind.word), good);
        let id = admin.create(kind.word, "kept");
        for name in BAD {
            let body = json!({ "id": id, kind.word: name });
            admin.post(&format!("/{}/update", kind.word), &body).is_error(400, kind.invalid);
        }
        assert!(admin.names(kind.word).contains(&"kept".to_owned()));
    }
}

#[test]
fn apps() {
    let server = Packhouse::start();
    let admin = first(&server);
    let (longest, too_long) = ("n".repeat(100), "n".repeat(101));
    let bad = [" a", "a ", "a.", "a-", "a_", ".", "-", " ", too_long.as_str()];
    for name in BAD.iter().chain(&bad) {
        let answer = admin.send_form("/app/create", form(&json!({ "app": name }), &[]));
        answer.is_error(400, "invalid app name");
    }
    let mut good = vec!["0", "a", "A", "My App 2.0_x-y", "a  b", "AUX", longest.as_str()];
    for name in &good {
        admin.create_app(name);
    }
    good.sort_unstable();
    assert_eq!(admin.names("app"), good);
    let id = admin.create_app("kept");
    for name in BAD.iter().chain(&bad) {
        let answer = admin.send_form("/app/update", form(&json!({ "id": id, "app": name }), &[]));
        answer.is_error(400, "invalid app name");
    }
    assert!(admin.names("app").contains(&"kept".to_owned()));
}

#[test]
fn the_same_names_in_two_tenants() {
    let server = Packhouse::start();
    let people = [first(&server), sign_up(&server, "other")];
    for admin in &people {
        admin.set_up();
        for kind in &KINDS {
            let name = admin.names(kind.word)[0].clone();
            let answer = admin.post(&format!("/{}/create", kind.word), &json!({ kind.word: name }));
            answer.is_error(409, &format!("{} with this name already exists", kind.word));
            // Case counts.
            admin.create(kind.word, &name.to_uppercase());
        }
        admin.create_app("SecondApp");
    }
}

const BAD_VERSIONS: &[&str] = &[
    "v1",
    ".1",
    "1.",
    "-1",
    "1-",
    "1..2",
    "1--2",
    "1.-2",
    ".",
    "-",
    "1.2.3.4.5.6.7",
    "1.1234567890123456789",
    "1 ",
    " 1",
    "1.0\n",
    "1_2",
    "1,2",
    "1.x",
    "0x1",
    "+1",
    "1e3",
    "١.٠",
    "1/2",
    "1.2.3\u{0}",
    "latest",
];

#[test]
fn bad_versions() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("0.0.1"), &[("a.deb", b"a")]);
    for version in BAD_VERSIONS.iter().chain(&[""]) {
        admin.upload(&release(version), &[("a.deb", b"a")]).is_error(400, "invalid version parameter");
        // A NUL is refused before it is looked at as a version.
        let told = check(&server, &asks(version));
        if version.contains('\0') {
            told.is_error_like(400, "");
        } else {
            told.is_error(400, "invalid version parameter");
        }
    }
    for version in [json!(null), json!(1), json!(1.5), json!(["1.0"])] {
        let answer = admin.upload(&plus(&release("1"), json!({ "version": version })), &[("a.deb", b"a")]);
        assert_eq!(answer.status, 400);
    }
    assert_eq!(admin.version("secondapp")["Version"], "0.0.1");
}

/// Versions in rising order; those in one row are equal.
const RISING: &[&[&str]] = &[
    &["0", "0.0", "0.0.0.0.0.0"],
    &["0.0.1"],
    &["0.0.9"],
    &["0.0.10", "0-0-10", "0.0.010"],
    &["0.1"],
    &["1", "1.0", "1.0.0", "1-0"],
    &["1.2.3", "1-2-3", "1.2-3", "1.2.3.0"],
    &["1.2.3.137"],
    &["1.2.3.137.0.1"],
    &["1.10"],
    &["9"],
    &["10"],
    &["999999999999999999"],
    &[
        "999999999999999999.999999999999999999.999999999999999999.999999999999999999.999999999999999999.999999999999999999",
    ],
];

/// What a client with version `asked` is told.
#[track_caller]
fn told(admin: &Person<'_>, asked: &str) -> Value {
    check(admin.server, &asks(asked)).is_json(200)
}

#[test]
fn order() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    for (at, row) in RISING.iter().enumerate() {
        let version = row[0];
        let id = admin.release(&release(version), &[("a.deb", format!("bytes of {version}").as_bytes())]);
        for (other, versions) in RISING.iter().enumerate() {
            for asked in *versions {
                let told = told(&admin, asked);
                assert_eq!(told["update_available"], other < at, "{asked} against {version}: {told}");
                let rollback = if other >= at { json!(other > at) } else { Value::Null };
                assert_eq!(told["possible_rollback"], rollback, "{asked} against {version}: {told}");
            }
        }
        id_of(&json!(id));
    }
    let listed: Vec<Value> =
        admin.versions("secondapp").into_iter().map(|version| version["Version"].clone()).collect();
    let expected: Vec<Value> = RISING.iter().rev().map(|row| json!(row[0])).collect();
    assert_eq!(listed, expected);
}

#[test]
fn dashes_are_dots() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    admin.release(&release("1-2-3"), &[("a.deb", b"a")]);
    let version = admin.version("secondapp");
    assert_eq!(version["Version"], "1.2.3");
    assert_eq!(version["Changelog"][0]["Version"], "1.2.3");
    let key = "secondapp/stable/linux/amd64/secondapp-1.2.3.deb";
    assert_eq!(version["Artifacts"][0]["Link"], super::link(&server, key));
    let exists = "app with this name, version, platform, architecture and extension already exists";
    for same in ["1.2.3", "1-2-3", "1.2-3"] {
        admin.upload(&release(same), &[("a.deb", b"b")]).is_error(409, exists);
    }
    let told = admin.search("secondapp", &[]);
    assert_eq!(told["total"], 1);
}
