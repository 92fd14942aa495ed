//! Documents that name bytes the server holds already: the tenant pays for them like for any other (`winget.md` B9, A7).

use serde_json::{Value, json};

use super::{first, form, refused};
use crate::client::Request;
use crate::files::{Form, noise, sha256};
use crate::rig;
use crate::server::{ADMIN, ADMIN_USER, Packhouse};

fn version(number: &str, digest: &str) -> Value {
    json!({
        "PackageVersion": number,
        "DefaultLocale": {
            "PackageLocale": "en-US", "Publisher": "Contoso", "PackageName": "App", "License": "MIT",
            "ShortDescription": "What it does",
        },
        "Installers": [{
            "Architecture": "x64", "InstallerType": "exe", "InstallerUrl": "https://example.org/setup.exe",
            "InstallerSha256": digest,
        }],
    })
}

#[test]
fn bytes_taken_over_count_against_the_quota() {
    let server = Packhouse::start();
    let admin = first(&server);
    let bytes = noise(6, 1000);
    rig::create_product(server.address(), "held");
    let upload = form(Request::post("/product/upload").token(ADMIN), Form::upload("held", "1", "setup.exe", &bytes));
    assert_eq!(server.send(upload).status, 201);
    let digest = sha256(&bytes);
    let ask = |method: &str, path: &str, body: &Value| {
        server.send(Request::new(method, &format!("/winget/{ADMIN_USER}/{path}")).token(ADMIN).json(body))
    };
    let package = |id: &str| json!({ "PackageIdentifier": id, "Versions": [version("1.0", &digest)] });
    let used = || admin.setting("STORAGE_USED");
    let packages = || admin.send("POST", "get_packages", &[]).is_json(200).as_array().unwrap().len();

    admin.set("STORAGE_QUOTA", "999");
    let answer = ask("POST", "packageManifests", &package("A.B"));
    assert_eq!(answer.is_json(507)[0]["ErrorCode"], 507);
    assert_eq!(ask("POST", "packages", &json!({ "PackageIdentifier": "C.D" })).status, 201, "it takes no bytes");
    assert_eq!(ask("POST", "packages/C.D/versions", &version("1.0", &digest)).status, 507);
    assert_eq!((used().as_str(), packages()), ("0", 1), "nothing is half made");
    let yaml = format!(
        "PackageIdentifier: A.B\nPackageVersion: 1.0\nPackageLocale: en-US\nPublisher: Contoso\nPackageName: App\n\
         License: MIT\nShortDescription: What it does\nInstallers:\n- Architecture: x64\n  InstallerType: exe\n  \
         InstallerUrl: https://example.org/setup.exe\n  InstallerSha256: {digest}\nManifestType: singleton\n\
         ManifestVersion: 1.6.0\n"
    );
    let import = || {
        let part = "Content-Disposition: form-data; name=\"manifest\"; filename=\"a.yaml\"";
        server.send(form(admin.request("POST", "import_manifest"), Form::new().part(part, yaml.as_bytes())))
    };
    refused(&import(), 407);
    assert_eq!(used(), "0");

    admin.set("STORAGE_QUOTA", "1000");
    assert_eq!(import().status, 201);
    assert_eq!(used(), "1000");
    // The same bytes again cost nothing.
    assert_eq!(ask("POST", "packages/C.D/versions", &version("1.0", &digest)).status, 201);
    assert_eq!(ask("POST", "packages/A.B/versions", &version("2.0", &digest)).status, 201);
    assert_eq!(used(), "1000");
    // A quota that was lowered since keeps nobody from tidying up.
    admin.set("STORAGE_QUOTA", "10");
    assert_eq!(ask("DELETE", "packages/A.B/versions/2.0", &json!({})).status, 204);
    assert_eq!(ask("DELETE", "packageManifests/A.B", &json!({})).status, 204);
    assert_eq!(ask("DELETE", "packageManifests/C.D", &json!({})).status, 204);
    assert_eq!(used(), "0");
}
