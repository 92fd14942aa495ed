//! The write routes of the reference server (B9).

use super::*;

#[test]
fn who_may_write() {
    let server = Packhouse::start();
    let document = json!({ "PackageIdentifier": "Contoso.App" });
    for path in ["/packages", "/packageManifests", "/packages/A.B/versions"] {
        is_refused(&server.send(Request::post(&at(path)).json(&document)), 401, 401);
        is_refused(&server.send(Request::post(&at(path)).token("wrong").json(&document)), 401, 401);
    }
    is_refused(&server.send(Request::get(&at("/packages"))), 401, 401);
    is_refused(&server.send(Request::delete(&at("/packageManifests/A.B"))), 401, 401);
    let ways = [
        Request::post(&at("/packages")).header("x-functions-key", ADMIN_TOKEN),
        Request::post(&at("/packages")).header("Ocp-Apim-Subscription-Key", ADMIN_TOKEN),
        Request::post(&at(&format!("/packages?code={ADMIN_TOKEN}"))),
        Request::post(&at("/packages")).header("X-API-Key", ADMIN_TOKEN),
        Request::post(&at("/packages")).header("Authorization", &format!("Bearer {ADMIN_TOKEN}")),
        Request::post(&at("/packages")).token(ADMIN_TOKEN),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let document = json!({ "PackageIdentifier": format!("Contoso.App{number}") });
        assert_eq!(server.send(way.json(&document)).is_json(201), json!({ "Data": document }));
    }
}

#[test]
fn documents_of_every_level() {
    let server = Packhouse::start();
    let send = |method: &str, path: &str, body: Option<Value>| send(&server, method, path, body.as_ref());
    let package = json!({ "PackageIdentifier": "Contoso.App", "Unknown": [1] });
    assert_eq!(send("POST", "/packages", Some(package.clone())).is_json(201)["Data"], package);
    is_refused(&send("POST", "/packages", Some(json!({ "PackageIdentifier": "CONTOSO.app" }))), 409, 409);
    assert_eq!(send("GET", "/packages/contoso.APP", None).is_json(200)["Data"], package);
    let changed = json!({ "PackageIdentifier": "Contoso.App", "Other": "x" });
    assert_eq!(send("PUT", "/packages/Contoso.App", Some(changed.clone())).is_json(200)["Data"], changed);
    is_refused(&send("PUT", "/packages/Contoso.App", Some(json!({ "PackageIdentifier": "A.B" }))), 400, 2);
    is_refused(&send("PUT", "/packages/No.Such", Some(json!({ "PackageIdentifier": "No.Such" }))), 404, 404);

    let versions = "/packages/Contoso.App/versions";
    let one = json!({ "PackageVersion": "1.0", "DefaultLocale": locale("App"), "Kept": true });
    assert_eq!(send("POST", versions, Some(one.clone())).is_json(201)["Data"], one);
    is_refused(&send("POST", versions, Some(one.clone())), 409, 6);
    is_refused(&send("POST", "/packages/No.Such/versions", Some(one.clone())), 404, 404);
    assert_eq!(send("GET", versions, None).is_json(200)["Data"], json!([one]));
    let two = with(one.clone(), json!({ "DefaultLocale": locale("App two") }));
    let path = "/packages/Contoso.App/versions/1.0";
    assert_eq!(send("PUT", path, Some(two.clone())).is_json(200)["Data"], two);
    is_refused(&send("PUT", path, Some(json!({ "PackageVersion": "2", "DefaultLocale": locale("App") }))), 400, 2);
    assert_eq!(send("GET", path, None).is_json(200)["Data"], two);
    is_refused(&send("GET", "/packages/Contoso.App/versions/9", None), 404, 404);

    let locales = format!("{path}/locales");
    let german = json!({ "PackageLocale": "de-DE", "PackageName": "Programm" });
    assert_eq!(send("POST", &locales, Some(german.clone())).is_json(201)["Data"], german);
    is_refused(&send("POST", &locales, Some(german.clone())), 409, 15);
    is_refused(&send("POST", &locales, Some(json!({ "PackageLocale": "en-us" }))), 409, 15);
    let german = with(german, json!({ "Tags": ["werkzeug"] }));
    assert_eq!(send("PUT", &format!("{locales}/DE-de"), Some(german.clone())).is_json(200)["Data"], german);
    assert_eq!(send("GET", &locales, None).is_json(200)["Data"], json!([german]));
    assert_eq!(send("GET", &format!("{locales}/de-DE"), None).is_json(200)["Data"], german);
    is_refused(&send("GET", &format!("{locales}/fr-FR"), None), 404, 404);

    let installers = format!("{path}/installers");
    let first = with(installer("x64", "exe"), json!({ "InstallerIdentifier": "first", "Extra": "kept" }));
    assert_eq!(send("POST", &installers, Some(first.clone())).is_json(201)["Data"], first);
    is_refused(&send("POST", &installers, Some(first.clone())), 409, 10);
    let same = with(first.clone(), json!({ "InstallerIdentifier": "other" }));
    is_refused(&send("POST", &installers, Some(same)), 409, 10);
    let nameless = send("POST", &installers, Some(installer("x86", "exe"))).is_json(201)["Data"].clone();
    let made = nameless["InstallerIdentifier"].as_str().unwrap().to_owned();
    assert_eq!(send("GET", &format!("{installers}/{made}"), None).is_json(200)["Data"], nameless);
    let first = with(first, json!({ "Scope": "user" }));
    assert_eq!(send("PUT", &format!("{installers}/FIRST"), Some(first.clone())).is_json(200)["Data"], first);
    assert_eq!(send("GET", &installers, None).is_json(200)["Data"], json!([first, nameless]));
    is_refused(&send("GET", &format!("{installers}/none"), None), 404, 404);

    let shown = manifest(&server, "Contoso.App", "").unwrap();
    assert_eq!(shown["Versions"][0]["Installers"].as_array().unwrap().len(), 2);
    assert_eq!(shown["Versions"][0]["Locales"][0]["PackageName"], "Programm");
    assert_eq!(ids(&server, &including("Tag", "Exact", "werkzeug")), ["Contoso.App"]);
    assert_eq!(ids(&server, &including("PackageName", "Exact", "Programm")), ["Contoso.App"]);
    let hits = search(&server, &including("PackageIdentifier", "Exact", "Contoso.App"));
    assert_eq!((&hits[0]["PackageName"], &hits[0]["Publisher"]), (&json!("App"), &json!("Contoso Ltd")));

    send("DELETE", &format!("{installers}/first"), None).is_empty(204);
    is_refused(&send("DELETE", &format!("{installers}/first"), None), 404, 404);
    send("DELETE", &format!("{locales}/de-DE"), None).is_empty(204);
    assert_eq!(send("GET", &locales, None).is_json(200)["Data"], json!([]));
    assert!(ids(&server, &including("Tag", "Exact", "werkzeug")).is_empty());
    send("DELETE", path, None).is_empty(204);
    is_refused(&send("DELETE", path, None), 404, 404);
    assert_eq!(manifest(&server, "Contoso.App", ""), None);
    send("DELETE", "/packages/contoso.app", None).is_empty(204);
    is_refused(&send("DELETE", "/packages/contoso.app", None), 404, 404);
}

#[test]
fn whole_manifests() {
    let server = Packhouse::start();
    let send = |method: &str, path: &str, body: Option<Value>| send(&server, method, path, body.as_ref());
    let document = |name: &str| json!({ "PackageIdentifier": "A.B", "Versions": [version("1.0", name, &[installer("x64", "exe")])] });
    is_refused(&send("PUT", "/packageManifests/A.B", Some(document("One"))), 404, 404);
    send("POST", "/packageManifests", Some(document("One"))).is_json(201);
    is_refused(&send("POST", "/packageManifests", Some(document("One"))), 409, 409);
    is_refused(&send("PUT", "/packageManifests/A.C", Some(document("One"))), 400, 2);
    let versions =
        [version("2.0", "Two", &[installer("arm64", "msi")]), version("1.0", "Two", &[installer("x64", "exe")])];
    let replaced = json!({ "PackageIdentifier": "A.B", "Versions": versions });
    send("PUT", "/packageManifests/a.b", Some(replaced)).is_json(200);
    let shown = manifest(&server, "A.B", "").unwrap();
    let listed: Vec<&Value> = shown["Versions"].as_array().unwrap().iter().map(|v| &v["PackageVersion"]).collect();
    assert_eq!(listed, ["2.0", "1.0"]);
    assert_eq!(shown["Versions"][0]["DefaultLocale"]["PackageName"], "Two");
    let twins = json!({ "PackageIdentifier": "A.T", "Versions": [version("1", "Tw", &[installer("x64", "exe"), installer("x64", "exe")])] });
    is_refused(&send("POST", "/packageManifests", Some(twins)), 409, 10);
    is_refused(&send("GET", "/packages/A.T", None), 404, 404);
    send("DELETE", "/packageManifests/A.B", None).is_empty(204);
    is_refused(&send("DELETE", "/packageManifests/A.B", None), 404, 404);
}

#[test]
fn bad_documents_change_nothing() {
    let server = Packhouse::start();
    let good =
        || json!({ "PackageIdentifier": "A.B", "Versions": [version("1.0", "App", &[installer("x64", "exe")])] });
    let ids_to_refuse =
        ["A", "A.", ".A", "A..B", "A b.C", "A.B/C", &"x".repeat(33), "a.b.c.d.e.f.g.h.i", "", "A.B\u{1}"];
    for id in ids_to_refuse {
        is_refused(&send(&server, "POST", "/packages", Some(&json!({ "PackageIdentifier": id }))), 400, 3);
    }
    let change = |pointer: &str, value: Value| {
        let mut document = good();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value;
        document
    };
    let version = "/Versions/0";
    let default = "/Versions/0/DefaultLocale";
    let installer = "/Versions/0/Installers/0";
    let rows = [
        (format!("{version}/PackageVersion"), json!("a/b")),
        (format!("{version}/PackageVersion"), json!("")),
        (format!("{version}/PackageVersion"), json!(1)),
        (format!("{version}/PackageVersion"), json!("x".repeat(129))),
        (format!("{version}/DefaultLocale"), json!(null)),
        (format!("{version}/DefaultLocale"), json!("en-US")),
        (format!("{version}/Installers"), json!({})),
        (format!("{version}/Locales"), json!([{ "PackageName": "x" }])),
        (format!("{version}/Locales"), json!([{ "PackageLocale": "de-DE" }, { "PackageLocale": "DE-de" }])),
        (format!("{default}/PackageLocale"), json!("ko_KR")),
        (format!("{default}/PackageLocale"), json!("")),
        (format!("{default}/Publisher"), json!("x")),
        (format!("{default}/PackageName"), json!("x".repeat(257))),
        (format!("{default}/License"), json!("ab")),
        (format!("{default}/ShortDescription"), json!("")),
        (format!("{default}/ShortDescription"), json!("x".repeat(257))),
        (format!("{default}/Tags"), json!("x")),
        (format!("{installer}/Architecture"), json!("mips")),
        (format!("{installer}/Architecture"), json!(null)),
        (format!("{installer}/InstallerType"), json!("rpm")),
        (format!("{installer}/InstallerType"), json!("zip")),
        (format!("{installer}/InstallerUrl"), json!("ftp://x/y")),
        (format!("{installer}/InstallerUrl"), json!(null)),
        (format!("{installer}/InstallerUrl"), json!(format!("https://x/{}", "y".repeat(2048)))),
        (format!("{installer}/InstallerSha256"), json!("abc")),
        (format!("{installer}/InstallerSha256"), json!("g".repeat(64))),
        (format!("{installer}/Scope"), json!("everybody")),
        (format!("{installer}/InstallerLocale"), json!("x")),
        (format!("{installer}/PackageFamilyName"), json!("Name_8wekyb3d8bbwe")),
        (format!("{installer}/UpgradeBehavior"), json!("maybe")),
        (format!("{installer}/InstallerSwitches"), json!("/S")),
        (format!("{installer}/InstallerSwitches"), json!({ "Silent": 1 })),
        (format!("{installer}/Markets"), json!({ "AllowedMarkets": ["GERMANY"] })),
        (format!("{installer}/Dependencies"), json!([])),
        (format!("{installer}/AppsAndFeaturesEntries"), json!(["x"])),
        (format!("{installer}/Commands"), json!([1])),
    ];
    for (pointer, value) in rows {
        let answer = send(&server, "POST", "/packageManifests", Some(&change(&pointer, value.clone())));
        is_refused(&answer, 400, 3);
        let member = pointer.rsplit('/').next().unwrap();
        let message = answer.is_json(400)[0]["ErrorMessage"].as_str().unwrap().to_owned();
        let named = [member, "PackageLocale", "InstallerType", "NestedInstallerType", "Silent"];
        assert!(named.iter().any(|name| message.contains(name)), "{pointer}: {message}");
    }
    for body in [json!([]), json!(1), json!({}), json!({ "PackageIdentifier": "A.B" })] {
        is_refused(&send(&server, "POST", "/packageManifests", Some(&body)), 400, 3);
    }
    assert_eq!(send(&server, "GET", "/packages", None).is_json(200)["Data"], json!([]));
    // What was wrong was only ever one thing.
    send(&server, "POST", "/packageManifests", Some(&good())).is_json(201);
}

#[test]
fn lists_of_packages_come_in_pages_of_twenty() {
    let server = Packhouse::start();
    for number in 0..41 {
        let document = json!({ "PackageIdentifier": format!("List.P{number:02}") });
        send(&server, "POST", "/packages", Some(&document)).is_json(201);
    }
    let first = send(&server, "GET", "/packages", None).is_json(200);
    assert_eq!(first["Data"].as_array().unwrap().len(), 20);
    let token = first["ContinuationToken"].as_str().unwrap();
    let by_query = send(&server, "GET", &format!("/packages?ContinuationToken={token}"), None).is_json(200);
    let by_header = Request::get(&at("/packages")).token(ADMIN_TOKEN).header("ContinuationToken", token);
    assert_eq!(server.send(by_header).is_json(200), by_query);
    assert_eq!(by_query["Data"][0]["PackageIdentifier"], "List.P20");
    let token = by_query["ContinuationToken"].as_str().unwrap();
    let last = send(&server, "GET", &format!("/packages?ContinuationToken={token}"), None).is_json(200);
    assert_eq!(last, json!({ "Data": [{ "PackageIdentifier": "List.P40" }] }));
}

#[test]
fn bytes_the_server_holds_come_from_the_server() {
    let server = Packhouse::start();
    let bytes = b"MZ the installer itself";
    let (content_type, body) = crate::files::Form::upload("tool", "1", "setup.exe", bytes).finish();
    server.send(Request::put("/product/create").token(ADMIN_TOKEN).json(&json!({ "name": "tool" })));
    assert_eq!(server.send(Request::post("/product/upload").token(ADMIN_TOKEN).body(&content_type, body)).status, 201);
    let own = with(installer("x64", "exe"), json!({ "InstallerSha256": sha256(bytes) }));
    let told = add(&server, "Held.App", &[version("1.0", "Held", std::slice::from_ref(&own))]);
    assert_eq!(told["Versions"][0]["Installers"][0]["InstallerUrl"], own["InstallerUrl"]);
    let shown = manifest(&server, "Held.App", "").unwrap();
    let url = shown["Versions"][0]["Installers"][0]["InstallerUrl"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.address())).expect("the server's own link");
    assert!(path.starts_with("/winget/") && path.contains("/files/"), "{path}");
}
