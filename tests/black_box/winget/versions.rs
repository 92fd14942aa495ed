//! Versions (`winget.md` A6, A9).

use std::io::Write as _;

use serde_json::{Value, json};

use super::{NOBODY, first, form, local, part, refused, says, sign_up};
use crate::client::Request;
use crate::files::{Form, noise, sha256};
use crate::server::Packhouse;

#[test]
fn a_version_as_it_is_shown() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("Contoso.App");
    let bytes = noise(1, 5000);
    let over = [
        ("package_version", "v1.0 beta"),
        ("file_type", "msi"),
        ("file_architect", "ARM64"),
        ("file_scope", "User"),
        ("package_locale", "ZH-tw"),
        ("channel", "Beta"),
        ("productcode", "{A}"),
        ("upgradecode", "{B}"),
        ("package_family_name", "x_y"),
        ("switch_Silent", "/q"),
        ("unknown", "ignored"),
    ];
    let uid = admin.version("contoso.app", &bytes, &over);
    let shown = admin.row(&uid);
    let link = shown["INSTALLER_URL"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({
            "PACKAGE_ID": "Contoso.App", "VERSION": "v1.0 beta", "LOCALE": "zh_TW", "ARCHITECTURE": "arm64",
            "INSTALLER_TYPE": "MSI", "INSTALLER_URL": link, "INSTALLER_SHA256": sha256(&bytes),
            "INSTALLER_SCOPE": "user", "UID": uid, "INSTALLER_NESTED_TYPE": "", "PRODUCTCODE": "{A}",
            "UPGRADECODE": "{B}", "PACKAGE_FAMILY_NAME": "x_y", "CHANNEL": "beta", "NESTED_PACKAGE_INSTALLER_PATHS": [],
        })
    );
    assert_eq!(admin.get("get_package_versions/CONTOSO.APP").is_json(200), json!([shown]));
    assert_eq!(server.send(Request::get(local(&server, &link))).body, bytes);
    assert_eq!(admin.setting("STORAGE_USED"), "5000");
    for bad in [NOBODY, "x", "a%2Fb"] {
        refused(&admin.get(&format!("get_specific_package_version/{bad}")), 404);
    }
    let other = sign_up(&server, "other");
    refused(&other.get(&format!("get_specific_package_version/{uid}")), 404);
}

#[test]
fn every_value_and_every_alias() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    let good: &[(&str, &[&str])] = &[
        ("file_architect", &["x64", "x86", "arm", "arm64"]),
        ("file_type", &["EXE", "MSI", "MSIX", "APPX", "INNO", "NULLSOFT", "WIX", "BURN"]),
        ("file_scope", &["machine", "user"]),
        (
            "package_locale",
            &[
                "en-US", "de-DE", "de-AT", "de-CH", "en-GB", "en-CA", "en-AU", "fr-FR", "fr-CA", "fr-BE", "es-ES",
                "es-MX", "it-IT", "it-CH", "pt-PT", "pt-BR", "ja-JP", "ko_KR", "zh_CN", "zh_TW",
            ],
        ),
    ];
    let keys = ["ARCHITECTURE", "INSTALLER_TYPE", "INSTALLER_SCOPE", "LOCALE"];
    for ((field, values), key) in good.iter().zip(keys) {
        for (number, value) in values.iter().enumerate() {
            let spelled = if number % 2 == 0 { value.to_uppercase().replace('_', "-") } else { value.to_lowercase() };
            let version = format!("{field} {number}");
            let uid = admin.version("A", value.as_bytes(), &[(field, &spelled), ("package_version", &version)]);
            assert_eq!(admin.row(&uid)[key], *value);
        }
        let file = admin.upload("x.exe_1", b"x");
        for bad in ["", "nonsense", "x64 "] {
            if *field == "package_locale" && bad.is_empty() || *field == "file_architect" && bad == "x64 " {
                continue;
            }
            refused(&admin.try_version("A", &file, &[(field, bad)]), 400);
        }
    }
    let aliases: [(&str, &str, &str); 7] = [
        ("package_version", "version", "9"),
        ("file_architect", "architecture", "x86"),
        ("file_architect", "file_architecture", "x86"),
        ("file_type", "installer_type", "MSI"),
        ("file_scope", "scope", "user"),
        ("package_locale", "package_local", "de-DE"),
        ("package_locale", "locale", "de-DE"),
    ];
    for (number, (name, alias, value)) in aliases.into_iter().enumerate() {
        let version = format!("alias {number}");
        let version =
            if alias == "version" { ("file_scope", "machine") } else { ("package_version", version.as_str()) };
        admin.version("A", b"x", &[(name, "(none)"), (alias, value), version]);
    }
}

#[test]
fn required_fields_and_limits() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    let file = admin.upload("x.exe_1", b"bytes");
    for name in ["server_filename", "package_version", "file_architect", "file_type", "file_scope"] {
        refused(&admin.try_version("A", &file, &[(name, "(none)")]), 400);
    }
    let (long, longer) = ("x".repeat(513), "x".repeat(2049));
    let bad = [
        ("package_version", " "),
        ("package_version", "1/2"),
        ("package_version", long.as_str()),
        ("channel", "12345678901234567"),
        ("switch_Silent", long.as_str()),
        ("switch_Custom", longer.as_str()),
        ("productcode", long.as_str()),
        ("upgrades", "sometimes"),
        ("server_filename", "../x"),
        ("server_filename", "unknown.exe"),
        ("server_filename", NOBODY),
    ];
    for field in bad {
        refused(&admin.try_version("A", &file, &[field]), 400);
    }
    refused(&admin.try_version("nobody", &file, &[]), 404);
    // Everything refused has left the upload as it was.
    assert_eq!(admin.setting("STORAGE_RESERVED"), "5");
    admin.try_version("A", &file, &[("switch_Custom", &"x".repeat(2048)), ("upgrades", "DENY")]).is_json(201);
    assert_eq!(admin.setting("STORAGE_RESERVED"), "0");
    refused(&admin.try_version("A", &file, &[("package_version", "2")]), 400);
}

#[test]
fn the_key_of_a_version() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    admin.version("A", b"one", &[]);
    let file = admin.upload("again.exe_1", b"two");
    for same in [("channel", "beta"), ("package_version", " 1.0"), ("productcode", "{x}")] {
        let answer = admin.try_version("a", &file, &[same]);
        assert_eq!(refused(&answer, 409), "Package version already exists");
    }
    for (number, other) in
        [("package_version", "1.0.0"), ("package_locale", "de-DE"), ("file_architect", "x86"), ("file_scope", "user")]
            .into_iter()
            .enumerate()
    {
        let file = if number == 0 { file.clone() } else { admin.upload("again.exe_1", b"two") };
        admin.try_version("A", &file, &[other]).is_json(201);
    }
    assert_eq!(admin.setting("STORAGE_USED"), "6", "each file counts once");
}

#[test]
fn newest_first_and_every_row() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    let rising = ["unknown", "1.0-rc", "1.0", "1.2", "1.9.0", "1.10.0-rc1", "1.10.0", "2.0", "latest"];
    for version in [4, 0, 8, 6, 2, 1, 3, 7, 5].map(|at| rising[at]) {
        admin.version("A", version.as_bytes(), &[("package_version", version)]);
    }
    admin.version("A", b"x", &[("package_version", "2.0"), ("file_architect", "x86")]);
    admin.set("CLIENT_AUTHENTICATION", "0");
    let package = &admin.packages(&[]).is_json(200)[0];
    let list = admin.get("get_package_versions/A").is_json(200);
    let told: Vec<&str> = package["VERSIONS"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(told, ["latest", "2.0", "2.0", "1.10.0", "1.10.0-rc1", "1.9.0", "1.2", "1.0", "1.0-rc", "unknown"]);
    let column = |key: &str| list.as_array().unwrap().iter().map(|row| row[key].clone()).collect::<Vec<Value>>();
    assert_eq!(package["VERSIONS"], json!(column("VERSION")));
    assert_eq!(package["VERSIONS_UID"], json!(column("UID")));
    assert_eq!(column("ARCHITECTURE")[1..3], ["x64", "x86"], "equal ones in the order they came");
}

#[test]
fn deletion_is_all_or_nothing() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    admin.package("B");
    let uids: Vec<String> = ["1", "2", "3", "4"]
        .iter()
        .map(|version| admin.version("A", version.as_bytes(), &[("package_version", version)]))
        .collect();
    let foreign = admin.version("B", b"b", &[]);
    let delete = |fields: super::Fields<'_>| admin.send("DELETE", "delete_package_version/a", fields);
    let left = || admin.get("get_package_versions/A").is_json(200).as_array().unwrap().len();
    refused(&delete(&[]), 400);
    refused(&delete(&[("versions_uids", " , ")]), 400);
    for bad in [NOBODY, "x", foreign.as_str()] {
        refused(&delete(&[("versions_uids", &uids[0]), ("versions_uids", bad)]), 404);
        assert_eq!(left(), 4);
    }
    let two = format!("{} , {}", uids[1], uids[2]);
    let deleted = "Package versions deleted successfully!";
    says(&delete(&[("versions_uids", &uids[0]), ("versions_uids", &two)]), 200, deleted);
    assert_eq!(left(), 1);
    refused(&admin.send("DELETE", "delete_package_version/nobody", &[("versions_uids", &uids[3])]), 404);
    assert_eq!(admin.setting("STORAGE_USED"), "2");
}

/// A ZIP archive with these names, nothing in them, nothing packed.
fn archive(names: &[&str]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let offset = u32::try_from(bytes.len()).unwrap();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        bytes.write_all(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        bytes.write_all(&[&length[..], b"\0\0", name.as_bytes()].concat()).unwrap();
        directory.write_all(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        directory.write_all(&[&length[..], &[0; 12], &offset.to_le_bytes(), name.as_bytes()].concat()).unwrap();
    }
    let count = u16::try_from(names.len()).unwrap().to_le_bytes();
    let (size, at) = (u32::try_from(directory.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size.to_le_bytes(), &at.to_le_bytes(), b"\0\0"].concat();
    [bytes, directory, end].concat()
}

#[test]
fn archives_hold_what_they_install() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.package("A");
    let zip = [("file_type", "ZIP"), ("file_type_nested", "msi"), ("file_nested_path", "bin\\setup.MSI")];
    let uid = admin.version("A", &archive(&["readme.txt", "Bin/Setup.msi"]), &zip);
    let row = admin.row(&uid);
    assert_eq!(row["INSTALLER_NESTED_TYPE"], "MSI");
    assert_eq!(row["NESTED_PACKAGE_INSTALLER_PATHS"], json!([{ "RelativeFilePath": "bin\\setup.MSI" }]));

    let file = admin.upload("a.zip_1", &archive(&["setup.exe"]));
    let with = |kind: &str, paths: &[&str]| {
        let mut fields = vec![("file_type", "zip"), ("package_version", "2"), ("file_type_nested", kind)];
        fields.extend(paths.iter().map(|path| ("file_nested_path", *path)));
        admin.try_version("A", &file, &fields)
    };
    for (kind, paths) in [
        ("zip", &["setup.exe"][..]),
        ("", &["setup.exe"]),
        ("exe", &[]),
        ("exe", &["setup.exe", "setup.exe"]),
        ("exe", &["other.exe"]),
        ("exe", &["../setup.exe"]),
        ("exe", &["/setup.exe"]),
        ("exe", &["C:\\setup.exe"]),
    ] {
        refused(&with(kind, paths), 400);
    }
    with("exe", &["SETUP.exe"]).is_json(201);
    for broken in [&b"no archive"[..], &archive(&["setup.exe"])[..40], b"PK\x05\x06"] {
        let file = admin.upload("b.zip_1", broken);
        let fields = [("file_type", "zip"), ("file_type_nested", "exe"), ("file_nested_path", "setup.exe")];
        refused(&admin.try_version("A", &file, &fields), 400);
    }
    // For other types the nested fields say nothing.
    let uid = admin.version("A", b"plain", &[("file_type_nested", "zip"), ("file_nested_path", "../x")]);
    assert_eq!(admin.row(&uid)["INSTALLER_NESTED_TYPE"], "");
}

#[test]
fn an_installer_in_the_form_itself_or_by_its_digest() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    admin.package("A");
    other.package("A");
    let bytes = noise(3, 300_000);
    let fields = |version: &str| {
        let form = Form::new().text("package_version", version).text("file_architect", "x64").text("file_type", "EXE");
        form.text("file_scope", "user")
    };
    let whole = fields("1").part(&part("file", "Setup.exe"), &bytes);
    let send = |who: &super::Admin<'_>, body| server.send(form(who.request("POST", "add_package_version/A"), body));
    let uid = send(&other, whole.clone()).is_json(201)["UID"].as_str().unwrap().to_owned();
    assert_eq!(other.row(&uid)["INSTALLER_SHA256"], sha256(&bytes));
    refused(&send(&other, whole), 409);
    refused(&send(&other, fields("2").part(&part("file", "empty.exe"), b"")), 400);
    send(&other, fields("2").text("sha256", &sha256(&bytes))).is_json(201);
    assert_eq!(other.setting("STORAGE_USED"), "300000");
    for bad in [sha256(b"nobody has this"), "xyz".to_owned()] {
        refused(&send(&other, fields("3").text("sha256", &bad)), 400);
    }
    let third = sign_up(&server, "third");
    third.package("A");
    refused(&send(&third, fields("1").text("sha256", &sha256(&bytes))), 400);
    let both = fields("4").text("sha256", &sha256(&bytes)).text("server_filename", "x");
    refused(&send(&other, both), 400);
}
