//! Importing winget's own manifests (B10).

use super::*;
use crate::files::Form;

/// Posts a form as the administrator.
#[track_caller]
fn post(server: &Packhouse, form: Form) -> Answer {
    let (content_type, body) = form.finish();
    let path = format!("/cloud/client/api/{ADMIN_USER}/import_manifest");
    let request = Request::post(&path).header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
    server.send(request.body(&content_type, body))
}

fn manifests(texts: &[&str]) -> Form {
    texts.iter().enumerate().fold(Form::new(), |form, (number, text)| {
        let head = format!("Content-Disposition: form-data; name=\"manifest\"; filename=\"{number}.yaml\"");
        form.part(&head, text.as_bytes())
    })
}

fn with_file(form: Form, name: &str, bytes: &[u8]) -> Form {
    form.part(&format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\""), bytes)
}

#[track_caller]
fn is_detail(answer: &Answer, status: u16) {
    let value = answer.is_json(status);
    assert!(value["detail"].as_str().is_some_and(|text| !text.is_empty()), "{value}");
}

fn singleton(hash: &str) -> String {
    format!(
        "# yaml-language-server: $schema=https://example.org/schema\r\n\r\nPackageIdentifier: Contoso.Tool\r\n\
         PackageVersion: 1.10\r\nPackageLocale: en-US\r\nPublisher: Contoso Ltd\r\nPackageName: Tool\r\n\
         License: MIT\r\nShortDescription: A tool # with a comment\r\nMoniker: ctool\r\nTags:\r\n- cli\r\n- 2024\r\n\
         InstallerType: exe\r\nProductCode: Tool\r\nInstallerSwitches:\r\n  Silent: /S\r\nInstallers:\r\n\
         - Architecture: x64\r\n  InstallerUrl: https://example.org/tool.exe\r\n  InstallerSha256: {hash}\r\n\
         - Architecture: neutral\r\n  InstallerType: portable\r\n  InstallerUrl: https://example.org/tool-portable.exe\r\n\
         \x20 InstallerSha256: {}\r\nManifestType: singleton\r\nManifestVersion: 1.6.0\r\n",
        "AB".repeat(32)
    )
}

#[test]
fn a_singleton_with_its_installer() {
    let server = Packhouse::start();
    let bytes = b"MZ the tool";
    let text = format!("\u{FEFF}{}", singleton(&sha256(bytes).to_uppercase()));
    let form = with_file(manifests(&[&text]), "tool setup.exe", bytes);
    let told = post(&server, form).is_json(201);
    assert_eq!(told["Message"], "Manifest was imported successfully!");
    assert_eq!((&told["PackageIdentifier"], &told["PackageVersion"]), (&json!("Contoso.Tool"), &json!("1.10")));
    assert_eq!(told["UIDS"].as_array().unwrap().len(), 2);
    let shown = manifest(&server, "contoso.tool", "").unwrap();
    let version = &shown["Versions"][0];
    assert_eq!(version["DefaultLocale"]["Tags"], json!(["cli", "2024"]));
    let installers = version["Installers"].as_array().unwrap();
    assert_eq!(installers[0]["InstallerIdentifier"], told["UIDS"][0]);
    assert_eq!(installers[0]["InstallerSha256"], sha256(bytes));
    assert!(
        installers[0]["InstallerUrl"].as_str().unwrap().starts_with(&format!("http://{}/winget/", server.address()))
    );
    assert_eq!(installers[0]["InstallerSwitches"], json!({ "Silent": "/S" }));
    assert_eq!(installers[1]["InstallerUrl"], "https://example.org/tool-portable.exe");
    assert_eq!(installers[1]["ProductCode"], "Tool");
    assert_eq!(ids(&server, &including("Moniker", "Exact", "ctool")), ["Contoso.Tool"]);
    is_detail(&post(&server, manifests(&[&text])), 409);
}

#[test]
fn several_files_that_agree() {
    let server = Packhouse::start();
    let head = "PackageIdentifier: Contoso.Multi\nPackageVersion: 2.0.0\nManifestVersion: 1.6.0\n";
    let version = format!("{head}DefaultLocale: en-US\nManifestType: version\n");
    let default = format!(
        "{head}PackageLocale: en-US\nPublisher: Contoso\nPackageName: Multi\nLicense: MIT\nShortDescription: Several\nManifestType: defaultLocale\n"
    );
    let german = format!("{head}PackageLocale: de-DE\nShortDescription: Mehrere\nManifestType: locale\n");
    let installer = format!(
        "{head}InstallerType: zip\nNestedInstallerType: exe\nNestedInstallerFiles:\n- RelativeFilePath: bin\\a.exe\nInstallers:\n\
         - Architecture: x64\n  InstallerUrl: https://example.org/a.zip\n  InstallerSha256: {}\nManifestType: installer\n",
        "0".repeat(64)
    );
    let all = [version.as_str(), &default, &german, &installer];
    for left_out in [0, 1, 3] {
        let some: Vec<&str> = all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, text)| *text).collect();
        is_detail(&post(&server, manifests(&some)), 400);
    }
    let other = installer.replace("2.0.0", "2.0.1");
    is_detail(&post(&server, manifests(&[&version, &default, &other])), 400);
    let mismatch = version.replace("en-US", "de-DE");
    is_detail(&post(&server, manifests(&[&mismatch, &default, &installer])), 400);
    assert_eq!(manifest(&server, "Contoso.Multi", ""), None);
    post(&server, manifests(&all)).is_json(201);
    let shown = manifest(&server, "Contoso.Multi", "").unwrap();
    assert_eq!(shown["Versions"][0]["Locales"][0]["ShortDescription"], "Mehrere");
    assert_eq!(
        shown["Versions"][0]["Installers"][0]["NestedInstallerFiles"],
        json!([{ "RelativeFilePath": "bin\\a.exe" }])
    );
}

#[test]
fn bad_imports_leave_nothing() {
    let server = Packhouse::start();
    let good = singleton(&"1".repeat(64));
    let path = format!("/cloud/client/api/{ADMIN_USER}/import_manifest");
    is_detail(&server.send(Request::post(&path)), 401);
    is_detail(&server.send(Request::post("/cloud/client/api/nobody/import_manifest")), 404);
    let bad = [
        good.replace("PackageIdentifier: Contoso.Tool", "PackageIdentifier: Contoso"),
        good.replace("License: MIT\r\n", ""),
        good.replace("ManifestType: singleton", "ManifestType: nonsense"),
        good.replace("Architecture: x64", "Architecture: mips"),
        good.replace("Tags:", "Tags: &anchor"),
        good.replace("Publisher: Contoso Ltd", "Publisher: *alias"),
        good.replace("- Architecture: x64", "- - Architecture: x64"),
        "[1, 2".to_owned(),
        String::new(),
        "just text".to_owned(),
    ];
    for text in &bad {
        is_detail(&post(&server, manifests(&[text])), 400);
    }
    is_detail(&post(&server, Form::new().text("other", "x")), 400);
    is_detail(&post(&server, with_file(manifests(&[&good]), "stray.exe", b"belongs to nothing")), 400);
    assert_eq!(send(&server, "GET", "/packages", None).is_json(200)["Data"], json!([]));
    assert!(server.stage_files().is_empty() && server.shelf_files().is_empty());
    post(&server, manifests(&[&good])).is_json(201);
}
