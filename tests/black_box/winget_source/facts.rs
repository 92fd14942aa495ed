//! What an uploaded installer says of itself, and the way from there to the client (A6, B6, B7).

use super::*;
use std::process::Command;

/// Uploads bytes in one chunk; answers the server's name for them.
#[track_caller]
fn upload(server: &Packhouse, name: &str, bytes: &[u8]) -> String {
    let path = format!("/cloud/client/api/{ADMIN_USER}/upload_package_version");
    let range = format!("bytes 0-{}/{}", bytes.len() - 1, bytes.len());
    let request = Request::post(&path)
        .header("Authorization", &format!("Bearer {ADMIN_TOKEN}"))
        .header("X-File-ID", name)
        .header("Content-Range", &range);
    let told = server.send(request.body("application/octet-stream", bytes)).is_json(200);
    told["server_filename"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn an_msi_from_its_facts_to_its_bytes() {
    let server = Packhouse::start();
    let directory = tempfile::tempdir().unwrap();
    let source = r#"<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="11111111-2222-4333-8444-555555555555" UpgradeCode="66666666-7777-4888-9999-AAAAAAAAAAAA" Name="Contoso Tool"
           Version="1.2.3" Manufacturer="Contoso" Language="1033">
    <Package InstallerVersion="200" Compressed="yes" InstallScope="perMachine"/>
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="D" Name="Contoso">
    <Component Id="C" Guid="BBBBBBBB-7777-4888-9999-AAAAAAAAAAAA"><File Id="F" Source="a.wxs" KeyPath="yes"/></Component>
    </Directory></Directory></Directory>
    <Feature Id="Main" Level="1"><ComponentRef Id="C"/></Feature>
  </Product>
</Wix>"#;
    std::fs::write(directory.path().join("a.wxs"), source).unwrap();
    let built = Command::new("wixl").args(["-a", "x64", "-o", "a.msi", "a.wxs"]).current_dir(directory.path()).status();
    assert!(built.expect("wixl (see tests/run)").success());
    let bytes = std::fs::read(directory.path().join("a.msi")).unwrap();
    let name = upload(&server, "Contoso Tool.msi_1700000000", &bytes);

    let api = format!("/cloud/client/api/{ADMIN_USER}");
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let ask = |query: &str| {
        server.send(Request::get(&format!("{api}/installer_facts{query}")).header("Authorization", &bearer))
    };
    let facts = ask(&format!("?server_filename={name}")).is_json(200);
    let expected = json!({
        "kind": "msi", "package_name": "Contoso Tool", "package_version": "1.2.3", "package_publisher": "Contoso",
        "file_architect": "x64", "file_type": "MSI", "file_scope": "machine", "package_locale": "en-US",
        "productcode": "{11111111-2222-4333-8444-555555555555}", "upgradecode": "{66666666-7777-4888-9999-AAAAAAAAAAAA}",
        "server_filename": name, "sha256": sha256(&bytes), "size": bytes.len(),
    });
    assert_eq!(facts, expected);
    assert_eq!(ask("").status, 400);
    assert_eq!(ask("?server_filename=unknown.msi").status, 400);
    assert_eq!(server.send(Request::get(&format!("{api}/installer_facts?server_filename={name}"))).status, 401);

    let post = |path: &str, fields: &[(&str, &str)]| {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        let request = Request::post(&format!("{api}/{path}")).header("Authorization", &bearer);
        server.send(request.body("application/x-www-form-urlencoded", body.join("&")))
    };
    let package = [
        ("package_id", "Contoso.Tool"),
        ("package_name", "Tool"),
        ("package_publisher", "C"),
        ("package_description", ""),
    ];
    assert_eq!(post("add_package", &package).status, 200);
    let mut fields = vec![("server_filename", name.as_str())];
    for field in
        ["package_version", "file_architect", "file_type", "file_scope", "package_locale", "productcode", "upgradecode"]
    {
        fields.push((field, facts[field].as_str().unwrap()));
    }
    let uid = post("add_package_version/contoso.tool", &fields).is_json(201)["UID"].as_str().unwrap().to_owned();

    let shown = manifest(&server, "Contoso.Tool", "").unwrap();
    let url = shown["Versions"][0]["Installers"][0]["InstallerUrl"].as_str().unwrap().to_owned();
    let expected = json!({
        "PackageIdentifier": "Contoso.Tool",
        "Versions": [{
            "PackageVersion": "1.2.3",
            "DefaultLocale": {
                "PackageLocale": "en-US", "Publisher": "Contoso", "PackageName": "Tool", "License": "Not specified",
                "ShortDescription": "Tool",
            },
            "Installers": [{
                "InstallerIdentifier": uid, "Architecture": "x64", "InstallerType": "msi", "Scope": "machine",
                "InstallerLocale": "en-US", "InstallerUrl": url, "InstallerSha256": sha256(&bytes),
                "ProductCode": "{11111111-2222-4333-8444-555555555555}",
                "AppsAndFeaturesEntries": [{
                    "UpgradeCode": "{66666666-7777-4888-9999-AAAAAAAAAAAA}",
                    "ProductCode": "{11111111-2222-4333-8444-555555555555}",
                }],
            }],
        }],
    });
    assert_eq!(shown, expected);
    let code = including("ProductCode", "Exact", "{11111111-2222-4333-8444-555555555555}");
    assert_eq!(ids(&server, &code), ["Contoso.Tool"]);
    // The publisher has one character, too few for the client; what is shown instead is found.
    assert_eq!(ids(&server, &including("Publisher", "Exact", "Contoso")), ["Contoso.Tool"]);
    let path = url.strip_prefix(&format!("http://{}", server.address())).unwrap();
    let fetched = server.send(Request::get(path));
    assert_eq!((fetched.status, sha256(&fetched.body)), (200, sha256(&bytes)));
}

#[test]
fn a_machine_asks_with_its_token_in_every_way() {
    let server = Packhouse::start();
    add(&server, "Contoso.App", &[version("1.0", "App", &[installer("x64", "msi")])]);
    let request = Request::post(&format!("/cloud/client/api/{ADMIN_USER}/add_client"));
    let request = request.header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
    let client = server.send(request.body("application/x-www-form-urlencoded", "client_name=desk1")).is_json(201);
    let token = client["auth_token"].as_str().unwrap();
    let path = at("/packageManifests/Contoso.App");
    for value in [token.to_owned(), format!("{{\"Token\": \"{token}\"}}"), format!("{{'Token': '{token}'}}")] {
        for name in ["/information", "/packageManifests/Contoso.App"] {
            let request = Request::get(&at(name)).header("Windows-Package-Manager", &value);
            server.send(request).is_json(200);
        }
        let request = Request::post(&at("/manifestSearch")).header("Windows-Package-Manager", &value);
        checker::search(&server.send(request.json(&json!({}))).is_json(200));
    }
    for inner in [format!("/t/{token}"), format!("/t/{token}/c/beta")] {
        server.send(Request::get(&at(&format!("{inner}/information")))).is_json(200);
        let shown = server.send(Request::get(&at(&format!("{inner}/packageManifests/contoso.app")))).is_json(200);
        checker::manifest(&shown, "Contoso.App");
        checker::search(
            &server.send(Request::post(&at(&format!("{inner}/manifestSearch"))).json(&json!({}))).is_json(200),
        );
    }
    is_refused(&server.send(Request::get(&path).header("Windows-Package-Manager", "{}")), 401, 401);

    // The administrator sees when it was here; the public client finds its own two routes below the source, too.
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let clients = Request::get(&format!("/cloud/client/api/{ADMIN_USER}/get_clients")).header("Authorization", &bearer);
    assert_eq!(server.send(clients).is_json(200)[0]["IP"], "127.0.0.1");
    let call = |path: &str| {
        let request = Request::post(&at(path));
        server
            .send(request.body("application/x-www-form-urlencoded", format!("Auth-Token={token}&Client=1")))
            .is_json(200)
    };
    assert_eq!(call("/client/api/get_packages")[0]["PACKAGE_ID"], "Contoso.App");
    assert_eq!(call("/client/api/client_version"), json!({ "Version": "2.5.0.0" }));

    // What is hidden from the machine is not there for it.
    let hide = Request::new(
        "PUT",
        &format!("/cloud/client/api/{ADMIN_USER}/edit_blacklist/{}", client["client_id"].as_str().unwrap()),
    );
    let hide = hide.header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
    assert_eq!(server.send(hide.body("application/x-www-form-urlencoded", "packages=CONTOSO.app")).status, 200);
    server.send(Request::get(&at(&format!("/t/{token}/packageManifests/Contoso.App")))).is_empty(204);
    server.send(Request::post(&at(&format!("/t/{token}/manifestSearch"))).json(&json!({}))).is_empty(204);
    assert!(manifest(&server, "Contoso.App", "").is_some());
}

#[test]
fn terms_of_use_are_told_with_an_id_of_their_own() {
    let server = Packhouse::start();
    let set = |fields: &str| {
        let request = Request::new("PATCH", &format!("/cloud/client/api/{ADMIN_USER}/edit_settings"));
        let request = request.header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
        assert_eq!(server.send(request.body("application/x-www-form-urlencoded", fields)).status, 200);
    };
    let agreements = || server.send(Request::get(&at("/information"))).is_json(200)["Data"]["SourceAgreements"].clone();
    assert_eq!(agreements(), Value::Null);
    set("TOS=1&TOS_TEXT=Be+kind");
    let first = agreements();
    let expected = json!({
        "AgreementsIdentifier": first["AgreementsIdentifier"],
        "Agreements": [{ "AgreementLabel": "Terms of Use", "Agreement": "Be kind" }],
    });
    assert_eq!(first, expected);
    assert_eq!(agreements(), first);
    set("TOS_URL=https://example.org/terms");
    let second = agreements();
    assert_ne!(second["AgreementsIdentifier"], first["AgreementsIdentifier"]);
    assert_eq!(second["Agreements"][0]["AgreementUrl"], "https://example.org/terms");
    set("TOS=0");
    assert_eq!(agreements(), Value::Null);
}
