//! Many odd packages made from a seed: whatever is stored, the client can read every answer.

use super::*;

/// Picks from lists with bytes of a seeded stream.
struct Dice {
    bytes: Vec<u8>,
    at: usize,
}

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice { bytes: crate::files::noise(seed, 1 << 16), at: 0 }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.at += 2;
        let pair = [self.bytes[self.at % self.bytes.len()], self.bytes[(self.at + 1) % self.bytes.len()]];
        usize::from(u16::from_le_bytes(pair)) % sides
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.roll(list.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.roll(of) == 0
    }
}

fn odd_installer(dice: &mut Dice) -> Value {
    let kind = *dice.pick(&[
        "exe", "msi", "msix", "appx", "zip", "inno", "nullsoft", "wix", "burn", "portable", "msstore", "pwa", "font",
    ]);
    let arch = *dice.pick(&["x64", "x86", "arm", "arm64", "neutral"]);
    let mut out = installer(arch, kind);
    let mut effective = kind;
    if kind == "zip" {
        effective = *dice.pick(&["exe", "msi", "portable", "msix", "font"]);
        out["NestedInstallerType"] = effective.into();
        let mut files = vec![json!({ "RelativeFilePath": "a/b.exe" })];
        if effective == "portable" && dice.chance(2) {
            files[0]["PortableCommandAlias"] = "b".into();
            let alias = *dice.pick(&["c", "B", "../c", ".."]);
            files.push(json!({ "RelativeFilePath": "c.exe", "PortableCommandAlias": alias }));
        }
        out["NestedInstallerFiles"] = files.into();
    }
    if kind == "msstore" {
        let name = *dice.pick(&["ProductId", "MSStoreProductIdentifier"]);
        out[name] = "9WZDNCRFJ3TJ".into();
    }
    let coded = ["exe", "msi", "inno", "nullsoft", "wix", "burn", "portable"].contains(&effective);
    if coded && dice.chance(2) {
        out["ProductCode"] = json!(dice.pick(&["{A}", "{a}", "Größe", " x "]));
    }
    if coded && dice.chance(3) {
        out["AppsAndFeaturesEntries"] = dice
            .pick(&[
                json!([{}]),
                json!([{ "DisplayVersion": "1.0" }, { "DisplayVersion": "1.0" }]),
                json!([{ "UpgradeCode": "{U}", "ProductCode": "", "InstallerType": "MSI", "Odd": null }]),
                json!([{ "InstallerType": "nonsense" }]),
                json!([{ "DisplayVersion": "> 1.0" }, { "DisplayVersion": "< unknown", "UpgradeCode": "{U}" }]),
            ])
            .clone();
    }
    if ["msix", "appx"].contains(&effective) && dice.chance(2) {
        out["PackageFamilyName"] = "Name.App_8wekyb3d8bbwe".into();
    }
    let odd = [
        ("Scope", json!("user")),
        ("Scope", json!("Machine")),
        ("InstallerLocale", json!("de-DE")),
        ("InstallerLocale", json!("zh-Hant-TW")),
        ("InstallerSwitches", json!({})),
        ("InstallerSwitches", json!({ "Silent": "", "Custom": "/x", "Odd": 1 })),
        ("UpgradeBehavior", json!("deny")),
        ("UpgradeBehavior", json!("install")),
        ("Commands", json!([])),
        ("Commands", json!(["a", "a"])),
        ("Commands", json!(["a", "b", "c"])),
        ("Commands", json!(["..", "a/b", "c"])),
        ("InstallerUrl", json!("https://example.org/one.exe")),
        ("Markets", json!({ "AllowedMarkets": [] })),
        ("Markets", json!({ "ExcludedMarkets": ["US"] })),
        ("Dependencies", json!({})),
        ("Dependencies", json!({ "WindowsFeatures": [] })),
        ("Dependencies", json!({ "WindowsFeatures": ["NetFx3", "two words"] })),
        (
            "ExpectedReturnCodes",
            json!([{ "InstallerReturnCode": 1, "ReturnResponse": "diskFull" }, { "InstallerReturnCode": 1, "ReturnResponse": "downgrade" }]),
        ),
        ("ExpectedReturnCodes", json!("odd")),
        ("InstallerSuccessCodes", json!([1, 1, 0, "x"])),
        (
            "ExpectedReturnCodes",
            json!([
                { "InstallerReturnCode": -1, "ReturnResponse": "diskFull", "ReturnResponseUrl": "https://x/y" },
                { "InstallerReturnCode": 4_294_967_295_u32, "ReturnResponse": "custom", "ReturnResponseUrl": "x" },
                { "InstallerReturnCode": 3_221_225_786_u32, "ReturnResponse": "cancelledByUser" },
                { "InstallerReturnCode": 99_999_999_999_i64, "ReturnResponse": "custom" },
            ]),
        ),
        ("InstallerSuccessCodes", json!([4_294_967_295_u32, -1, 3010])),
        ("InstallerSuccessCodes", json!((1..40).collect::<Vec<_>>())),
        ("MinimumOSVersion", json!("10.0.17763.0")),
        ("MinimumOSVersion", json!("10.+1.007")),
        (
            "InstallationMetadata",
            json!({ "DefaultInstallLocation": "%ProgramFiles%\\App", "Files": [
                { "RelativeFilePath": "a.exe", "FileType": "Launch", "FileSha256": "x", "DisplayName": "" },
                { "RelativeFilePath": "a.exe", "FileType": "launch" },
                { "RelativeFilePath": "" },
                { "RelativeFilePath": "b.exe", "FileType": "odd", "InvocationParameter": "/u" },
            ] }),
        ),
        ("InstallationMetadata", json!({ "Files": [{}] })),
        ("InstallationMetadata", json!([])),
        ("Authentication", json!({ "AuthenticationType": "odd" })),
        ("Platform", json!(["Windows.Desktop", "Amiga"])),
        ("ProductId", json!("stray")),
        ("UnsupportedOSArchitectures", json!(["neutral"])),
        ("ReleaseDate", json!("")),
        ("Channel", json!("beta")),
        ("FileExtensions", json!([""])),
        ("FileExtensions", json!(["app", "a/b"])),
        ("ElevationRequirement", json!(null)),
    ];
    for _ in 0..dice.roll(5) {
        let (name, value) = dice.pick(&odd);
        out[*name] = value.clone();
    }
    out
}

fn odd_version(dice: &mut Dice, number: usize) -> Value {
    let mut text = format!("{}{number}{}", dice.pick(&["", "v", "1.", "0."]), dice.pick(&["", ".0", "-rc", " beta"]));
    if dice.chance(20) {
        text = "..".to_owned();
    }
    let name = *dice.pick(&["App", "Größe 2 (x64)", "x64", "日本", "  Ab  "]);
    let mut default = locale(name);
    let odd = [
        ("Tags", json!(["a", "A", "b"])),
        ("Tags", json!([])),
        ("Tags", json!(["two words", "one"])),
        ("Moniker", json!("two words")),
        ("Icons", json!([{ "IconUrl": "https://x/y.png", "IconFileType": "ico", "IconResolution": "96X96" }])),
        ("Description", json!("")),
        ("Author", json!("")),
        ("PublisherUrl", json!("not an address")),
        (
            "Icons",
            json!([{ "IconUrl": "ftp://x", "IconFileType": "png" }, { "IconUrl": "https://x/y.png", "IconFileType": "PNG" }]),
        ),
        ("Agreements", json!([{}, { "AgreementLabel": "" }])),
        ("Moniker", json!("app")),
        ("Channel", json!("odd")),
        ("ReleaseNotes", json!(null)),
    ];
    for _ in 0..dice.roll(4) {
        let (name, value) = dice.pick(&odd);
        default[*name] = value.clone();
    }
    let installers: Vec<Value> = (0..=dice.roll(5)).map(|_| odd_installer(dice)).collect();
    let mut out = json!({ "PackageVersion": text, "DefaultLocale": default, "Installers": installers });
    if dice.chance(3) {
        out["Locales"] =
            json!([{ "PackageLocale": "fr-FR", "Tags": ["x"], "PackageName": "Nom" }, { "PackageLocale": "de" }]);
    }
    if dice.chance(6) {
        out["Channel"] = "beta".into();
    }
    out
}

#[test]
fn every_answer_can_be_read() {
    let server = Packhouse::start();
    let mut stored = 0;
    for seed in 0..150 {
        let dice = &mut Dice::new(seed);
        let id = format!("Odd.{}{seed}", dice.pick(&["P", "p+", "Größe-"]));
        let versions: Vec<Value> = (0..=dice.roll(4)).map(|number| odd_version(dice, number)).collect();
        let document = json!({ "PackageIdentifier": id, "Versions": versions });
        let answer = send(&server, "POST", "/packageManifests", Some(&document));
        assert!([201, 400, 409].contains(&answer.status), "{}", answer.text());
        if answer.status != 201 {
            continue;
        }
        stored += 1;
        for second in [0, 1, 4, 6, 10] {
            for path in ["", "/c/beta"] {
                let target = at(&format!("{path}/packageManifests/{}", segment(&id)));
                let contract = format!("1.{second}.0");
                let answer = server.send(Request::get(&target).token(ADMIN_TOKEN).header("Version", &contract));
                if answer.status != 204 {
                    let value = answer.is_json(200);
                    checker::manifest(&value, &id);
                    checker::contract(&value, second);
                    schema::manifest(&value);
                }
            }
        }
    }
    assert!(stored > 60, "{stored} packages were taken");
    let (mut token, mut seen) = (None::<String>, 0);
    loop {
        let mut request = Request::post(&at("/c/beta/manifestSearch")).token(ADMIN_TOKEN);
        if let Some(token) = &token {
            request = request.header("ContinuationToken", token);
        }
        let value = server.send(request.json(&json!({ "MaximumResults": 40 }))).is_json(200);
        checker::search(&value);
        schema::search(&value);
        seen += value["Data"].as_array().unwrap().len();
        match value.get("ContinuationToken") {
            Some(next) => token = Some(next.as_str().unwrap().to_owned()),
            None => break,
        }
    }
    assert!(seen > 50, "{seen} packages are found");
    for word in ["app", "größe", "{a}", "x64", "日本", "odd."] {
        for kind in ["Substring", "Fuzzy", "FuzzySubstring", "StartsWith", "Wildcard", "Exact", "CaseInsensitive"] {
            search(&server, &json!({ "Query": { "KeyWord": word, "MatchType": kind } }));
        }
    }
}
