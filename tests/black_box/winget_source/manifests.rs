//! Manifests: what is shown, what is left out (B5, B6).

use super::*;

#[test]
fn a_manifest_holds_what_was_said() {
    let server = Packhouse::start();
    let full = json!({
        "InstallerIdentifier": "my-id", "Scope": "machine", "InstallerLocale": "de-DE", "ProductCode": "{P}",
        "InstallerSwitches": { "Silent": "/S", "Custom": "/X" }, "UpgradeBehavior": "deny", "Commands": ["tool"],
        "AppsAndFeaturesEntries": [{ "UpgradeCode": "{U}", "DisplayName": "Tool" }],
        "Dependencies": { "PackageDependencies": [{ "PackageIdentifier": "A.B", "MinimumVersion": "1" }] },
        "MinimumOSVersion": "10.0.0.0", "InstallerSuccessCodes": [3010], "Unknown": { "a": 1 },
    });
    let mut one = version("1.0", "Tool", &[with(installer("x64", "msi"), full)]);
    one["DefaultLocale"]["Description"] = "Longer".into();
    one["Locales"] = json!([{ "PackageLocale": "de-DE", "ShortDescription": "Kurz gesagt" }]);
    let told = add(&server, "Contoso.Tool", &[one.clone()]);
    let uid = |shown: &Value| shown["Versions"][0]["Installers"][0]["InstallerIdentifier"].as_str().unwrap().to_owned();
    assert_eq!(uid(&told), "my-id");
    assert_eq!(told["Versions"][0]["Installers"][0]["Unknown"], json!({ "a": 1 }));
    let shown = manifest(&server, "CONTOSO.tool", "").unwrap();
    let expected = json!({
        "PackageIdentifier": "Contoso.Tool",
        "Versions": [{
            "PackageVersion": "1.0",
            "DefaultLocale": with(locale("Tool"), json!({ "Description": "Longer" })),
            "Locales": [{ "PackageLocale": "de-DE", "ShortDescription": "Kurz gesagt" }],
            "Installers": [{
                "InstallerIdentifier": uid(&shown), "Architecture": "x64", "InstallerType": "msi", "Scope": "machine",
                "InstallerLocale": "de-DE", "InstallerUrl": "https://example.org/x64.msi",
                "InstallerSha256": sha256(b"x64.msi"), "ProductCode": "{P}",
                "InstallerSwitches": { "Silent": "/S", "Custom": "/X" }, "UpgradeBehavior": "deny", "Commands": ["tool"],
                "AppsAndFeaturesEntries": [{ "UpgradeCode": "{U}", "DisplayName": "Tool" }],
                "Dependencies": { "PackageDependencies": [{ "PackageIdentifier": "A.B", "MinimumVersion": "1" }] },
                "MinimumOSVersion": "10.0.0.0", "InstallerSuccessCodes": [3010],
            }],
        }],
    });
    assert_eq!(shown, expected);
    assert_eq!(uid(&shown).len(), 36);
    let old =
        server.send(Request::get(&at("/packageManifests/Contoso.Tool")).token(ADMIN_TOKEN).header("Version", "1.5.0"));
    let old = old.is_json(200);
    checker::manifest(&old, "Contoso.Tool");
    assert!(old["Data"]["Versions"][0]["Installers"][0].get("UpgradeBehavior").is_none(), "deny is for 1.6 and later");
}

#[test]
fn versions_channels_and_markets() {
    let server = Packhouse::start();
    let beta = with(version("2.0-beta", "App", &[installer("x64", "exe")]), json!({ "Channel": "Beta" }));
    let limited = with(installer("x86", "exe"), json!({ "Markets": { "AllowedMarkets": ["DE", "AT"] } }));
    let excluded = with(installer("arm64", "exe"), json!({ "Markets": { "ExcludedMarkets": ["US"] } }));
    let one = version("1.9.0", "App", &[installer("x64", "exe"), limited, excluded]);
    let versions = [
        one,
        version("1.10.0", "App", &[installer("x64", "exe")]),
        version("1.10.0-RC1", "App", &[installer("x64", "exe")]),
        beta,
    ];
    add(&server, "Contoso.App", &versions);
    let seen = |path: &str| -> Vec<String> {
        let answer = send(&server, "GET", path, None);
        if answer.status == 204 {
            return Vec::new();
        }
        let value = answer.is_json(200);
        checker::manifest(&value, "Contoso.App");
        let versions = value["Data"]["Versions"].as_array().unwrap().iter();
        versions.map(|version| version["PackageVersion"].as_str().unwrap().to_owned()).collect()
    };
    let at = |query: &str| seen(&format!("/packageManifests/Contoso.App{query}"));
    let stable = ["1.10.0", "1.10.0-RC1", "1.9.0"];
    assert_eq!(at(""), stable);
    assert_eq!(at("?Version=&Channel=&Market="), stable);
    assert_eq!(at("?Version=1.10.0-rc1"), ["1.10.0-RC1"]);
    assert_eq!(at("?Version=1.10"), Vec::<String>::new());
    assert_eq!(at("?Channel=beta"), ["2.0-beta"]);
    assert_eq!(at("?Channel=BETA&Version=2.0-BETA"), ["2.0-beta"]);
    assert_eq!(at("?Channel=beta&Version=1.9.0"), Vec::<String>::new());
    assert_eq!(at("?Channel=nothing"), Vec::<String>::new());
    assert_eq!(seen("/c/beta/packageManifests/Contoso.App")[0], "2.0-beta");
    assert_eq!(seen("/c/beta/packageManifests/Contoso.App").len(), 4);
    assert_eq!(seen("/c/other/packageManifests/Contoso.App"), stable);
    assert_eq!(seen("/c/beta/packageManifests/Contoso.App?Channel=stable"), stable);
    let archs = |market: &str| -> Vec<String> {
        let shown = manifest(&server, "Contoso.App", &format!("?Version=1.9.0{market}")).unwrap();
        let installers = shown["Versions"][0]["Installers"].as_array().unwrap().iter();
        installers.map(|installer| installer["Architecture"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(archs(""), ["x64", "x86", "arm64"]);
    assert_eq!(archs("&Market=de"), ["x64", "x86", "arm64"]);
    assert_eq!(archs("&Market=US"), ["x64"]);
    assert_eq!(archs("&Market=FR"), ["x64", "arm64"]);
    let found = search(&server, &including("PackageIdentifier", "Exact", "Contoso.App"));
    let listed: Vec<&str> =
        found[0]["Versions"].as_array().unwrap().iter().map(|v| v["PackageVersion"].as_str().unwrap()).collect();
    assert_eq!(listed, stable);
}

#[test]
fn nothing_is_204() {
    let server = Packhouse::start();
    assert_eq!(manifest(&server, "No.Such", ""), None);
    send(&server, "POST", "/packages", Some(&json!({ "PackageIdentifier": "Empty.One" }))).is_json(201);
    assert_eq!(manifest(&server, "Empty.One", ""), None);
    assert!(search(&server, &json!({})).is_empty());
    // Only what no client knows: the version cannot be shown.
    add(&server, "Only.Fonts", &[version("1.0", "Fonts", &[installer("neutral", "pwa")])]);
    assert_eq!(manifest(&server, "Only.Fonts", ""), None);
    assert!(search(&server, &json!({})).is_empty());
}

#[test]
fn what_the_client_refuses_stays_here() {
    let server = Packhouse::start();
    let user = json!({ "Scope": "user" });
    let korean = json!({ "InstallerLocale": "ko-KR" });
    let list = [
        installer("x64", "appx"),
        installer("x64", "msix"),
        with(installer("x64", "appx"), user),
        with(installer("x64", "msi"), korean),
        installer("x64", "pwa"),
        installer("x64", "font"),
        with(installer("neutral", "portable"), json!({ "ProductCode": "tool" })),
    ];
    add(&server, "Twins.App", &[version("1.0", "Twins", &list)]);
    let shown = manifest(&server, "Twins.App", "").unwrap();
    let kinds: Vec<&str> = shown["Versions"][0]["Installers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["InstallerType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["msix", "msi", "portable"]);
    // Clients of the first contracts know neither archives nor portable programs.
    let request = Request::get(&at("/packageManifests/Twins.App")).token(ADMIN_TOKEN).header("Version", "1.1.0");
    let old = server.send(request).is_json(200);
    checker::manifest(&old, "Twins.App");
    assert_eq!(old["Data"]["Versions"][0]["Installers"].as_array().unwrap().len(), 2);
}

#[test]
fn manifests_of_all_packages_come_in_pages() {
    let server = Packhouse::start();
    for number in 0..45 {
        add(&server, &format!("Many.P{number:02}"), &[version("1.0", "Many", &[installer("x64", "exe")])]);
    }
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut request = Request::get(&at("/packageManifests")).token(ADMIN_TOKEN);
        if let Some(token) = &token {
            request = request.header("ContinuationToken", token);
        }
        let value = server.send(request).is_json(200);
        for entry in value["Data"].as_array().unwrap() {
            let id = entry["PackageIdentifier"].as_str().unwrap().to_owned();
            checker::manifest(&json!({ "Data": entry }), &id);
            seen.push(id);
        }
        match value.get("ContinuationToken") {
            Some(next) => token = Some(next.as_str().unwrap().to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, (0..45).map(|number| format!("Many.P{number:02}")).collect::<Vec<_>>());
}

#[test]
fn what_the_client_cannot_tell_apart_is_shown_once() {
    let server = Packhouse::start();
    let nested = json!({ "NestedInstallerType": "exe", "NestedInstallerFiles": [{ "RelativeFilePath": "a.exe" }] });
    let archive = with(installer("x64", "zip"), nested);
    let scoped = |arch: &str, scope: &str| with(installer(arch, "exe"), json!({ "Scope": scope }));
    let german = with(installer("x64", "exe"), json!({ "InstallerLocale": "de-DE" }));
    let again = with(installer("x86", "exe"), json!({ "InstallerUrl": "https://example.org/x64.exe" }));
    let versions = [
        // An archive is what lies in it.
        version("1", "App", &[installer("x64", "exe"), archive.clone(), installer("x64", "msi"), german]),
        version("2", "App", &[archive, installer("x64", "exe")]),
        // For nobody in particular is for anybody.
        version("3", "App", &[scoped("x64", "user"), scoped("x64", "machine"), installer("x64", "exe")]),
        version("4", "App", &[installer("x86", "exe"), scoped("x86", "user"), scoped("arm64", "user")]),
        version("5", "App", &[installer("x64", "appx"), installer("x64", "msix")]),
        // One address with two digests; and what is no name of a folder.
        version("6", "App", &[installer("x64", "exe"), again]),
        version("..", "App", &[installer("x64", "exe")]),
    ];
    add(&server, "Contoso.App", &versions);
    let shown = manifest(&server, "Contoso.App", "").unwrap();
    let mut seen: Vec<(String, String)> = Vec::new();
    for version in shown["Versions"].as_array().unwrap() {
        for installer in version["Installers"].as_array().unwrap() {
            let word = |name: &str| installer[name].as_str().unwrap_or("-").to_owned();
            let what = [word("InstallerType"), word("Architecture"), word("Scope"), word("InstallerLocale")].join(" ");
            seen.push((version["PackageVersion"].as_str().unwrap().to_owned(), what));
        }
    }
    let expected = [
        ("6", "exe x64 - -"),
        ("5", "msix x64 - -"),
        ("4", "exe x86 - -"),
        ("4", "exe arm64 user -"),
        ("3", "exe x64 user -"),
        ("3", "exe x64 machine -"),
        ("2", "zip x64 - -"),
        ("1", "exe x64 - -"),
        ("1", "msi x64 - -"),
        ("1", "exe x64 - de-DE"),
    ];
    assert_eq!(seen, expected.map(|(version, what)| (version.to_owned(), what.to_owned())));
}

#[test]
fn members_in_the_form_the_client_takes() {
    let server = Packhouse::start();
    let listed = json!([{ "DisplayVersion": "> 1.0", "DisplayName": "App" }, { "DisplayVersion": "1.1" }]);
    let tool = json!({
        "Commands": ["a", "b"], "AppsAndFeaturesEntries": listed, "MinimumOSVersion": "10.0.007",
        "FileExtensions": ["app", "a/b"], "InstallerSuccessCodes": [4_294_967_295_u32, -1, 3010],
        "ExpectedReturnCodes": [
            { "InstallerReturnCode": -1, "ReturnResponse": "diskFull" },
            { "InstallerReturnCode": 3_221_225_786_u32, "ReturnResponse": "cancelledByUser", "ReturnResponseUrl": "https://x/y" },
        ],
        "InstallationMetadata": { "DefaultInstallLocation": "%A%", "Files": [
            { "RelativeFilePath": "a.exe", "FileType": "Launch", "FileSha256": "x" }, { "RelativeFilePath": " " },
        ] },
    });
    let store = |id: &str| {
        let document = json!({ "Architecture": "neutral", "InstallerType": "msstore", "MSStoreProductIdentifier": id });
        version("1.0", "App", &[document])
    };
    let mut one = version("1.0", "App", &[with(installer("x64", "portable"), tool)]);
    one["DefaultLocale"]["Moniker"] = "two words".into();
    one["DefaultLocale"]["Tags"] = json!(["two words", "one"]);
    one["DefaultLocale"]["Icons"] =
        json!([{ "IconUrl": "https://x/y.ico", "IconFileType": "ico", "IconResolution": "96x96" }]);
    add(&server, "Contoso.Tool", &[one]);
    add(&server, "Contoso.Store", &[store("9WZDNCRFJ3TJ")]);
    let refused = json!({ "PackageIdentifier": "Contoso.Odd", "Versions": [store("9W/DN")] });
    is_refused(&send(&server, "POST", "/packageManifests", Some(&refused)), 400, 3);

    let shown = manifest(&server, "Contoso.Tool", "").unwrap();
    let installer = &shown["Versions"][0]["Installers"][0];
    let expected = json!({
        "InstallerIdentifier": installer["InstallerIdentifier"], "Architecture": "x64", "InstallerType": "portable",
        "InstallerUrl": "https://example.org/x64.portable", "InstallerSha256": sha256(b"x64.portable"),
        "Commands": ["a"], "AppsAndFeaturesEntries": [{ "DisplayName": "App" }], "FileExtensions": ["app"],
        "InstallerSuccessCodes": [-1, 3010],
        "ExpectedReturnCodes": [
            { "InstallerReturnCode": -1_073_741_510, "ReturnResponse": "cancelledByUser", "ReturnResponseUrl": "https://x/y" },
        ],
        "InstallationMetadata": {
            "DefaultInstallLocation": "%A%", "Files": [{ "RelativeFilePath": "a.exe", "FileType": "launch" }],
        },
    });
    assert_eq!(*installer, expected);
    let default = &shown["Versions"][0]["DefaultLocale"];
    assert_eq!((default.get("Moniker"), &default["Tags"]), (None, &json!(["one"])));
    assert_eq!(default["Icons"][0]["IconResolution"], "96x96");
    let shown = manifest(&server, "Contoso.Store", "").unwrap();
    assert_eq!(shown["Versions"][0]["Installers"][0]["MSStoreProductIdentifier"], "9WZDNCRFJ3TJ");
    let old = |contract: &str, id: &str| {
        let request = Request::get(&at(&format!("/packageManifests/{id}"))).token(ADMIN_TOKEN);
        server.send(request.header("Version", contract)).status
    };
    assert_eq!((old("1.0.0", "Contoso.Store"), old("1.1.0", "Contoso.Store")), (204, 200));
    assert_eq!((old("1.1.0", "Contoso.Tool"), old("1.4.0", "Contoso.Tool")), (204, 200));
}
