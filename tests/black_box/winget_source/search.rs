//! Searches (B4).

use super::*;

/// A few packages that differ in everything.
fn shelf(server: &Packhouse) {
    let coded = with(installer("x64", "msi"), json!({ "ProductCode": "{AA-11}", "Commands": ["ctool"] }));
    let entry = json!({ "AppsAndFeaturesEntries": [{ "UpgradeCode": "{UP-1}", "ProductCode": "{AA-12}", "DisplayVersion": "7.2.1" }] });
    let mut one = version("1.0", "Contoso Reader 7.2 (x64)", &[with(coded, entry)]);
    one["DefaultLocale"]["Moniker"] = "creader".into();
    one["DefaultLocale"]["Tags"] = json!(["pdf", "Office"]);
    add(server, "Contoso.Reader", &[one]);
    let family =
        json!({ "PackageFamilyName": "Fabrikam.Notes_8wekyb3d8bbwe", "Markets": { "AllowedMarkets": ["DE"] } });
    let mut two = version("2.0", "Notes", &[with(installer("arm64", "msix"), family)]);
    two["DefaultLocale"]["Publisher"] = "Fabrikam".into();
    add(server, "Fabrikam.Notes", &[two]);
    let zip = json!({ "NestedInstallerType": "exe", "NestedInstallerFiles": [{ "RelativeFilePath": "a.exe" }] });
    add(server, "Notepad++.Notepad++", &[version("8.5", "Notepad++", &[with(installer("x86", "zip"), zip)])]);
}

const ALL: [&str; 3] = ["Contoso.Reader", "Fabrikam.Notes", "Notepad++.Notepad++"];

#[test]
fn every_field_and_match_type() {
    let server = Packhouse::start();
    shelf(&server);
    let reader = &ALL[..1];
    let notes = &ALL[1..2];
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("PackageIdentifier", "Exact", "Contoso.Reader", reader),
        ("PackageIdentifier", "Exact", "contoso.reader", &[]),
        ("PackageIdentifier", "CaseInsensitive", "contoso.READER", reader),
        ("PackageIdentifier", "CaseInsensitive", "contoso", &[]),
        ("PackageIdentifier", "StartsWith", "CONTOSO", reader),
        ("PackageIdentifier", "Substring", "not", &ALL[1..]),
        ("PackageIdentifier", "Wildcard", "*.note*", &ALL[1..]),
        ("PackageIdentifier", "Fuzzy", "notepad notepad", &ALL[2..]),
        ("PackageIdentifier", "FuzzySubstring", "n-o-t-e", &ALL[1..]),
        ("PackageIdentifier", "CaseInsensitive", "notepad++.NOTEPAD++", &ALL[2..]),
        ("PackageName", "Exact", "Notes", notes),
        ("PackageName", "Exact", "notes", &[]),
        ("PackageName", "Substring", "", &ALL),
        ("Publisher", "CaseInsensitive", "FABRIKAM", notes),
        ("Moniker", "Exact", "creader", reader),
        ("Moniker", "Substring", "", reader),
        ("Tag", "Exact", "Office", reader),
        ("Tag", "Exact", "office", &[]),
        ("Tag", "Substring", "pd", reader),
        ("Command", "Exact", "ctool", reader),
        ("ProductCode", "Exact", "{aa-11}", reader),
        ("ProductCode", "Exact", "{Aa-12}", reader),
        ("ProductCode", "Exact", "{aa-1}", &[]),
        ("UpgradeCode", "Exact", "{up-1}", reader),
        ("PackageFamilyName", "Exact", "fabrikam.notes_8WEKYB3D8BBWE", notes),
        ("NormalizedPackageNameAndPublisher", "Exact", "contosoreader", reader),
        ("NormalizedPackageNameAndPublisher", "Exact", "ContosoReader", reader),
        ("HasInstallerType", "Exact", "MSI", reader),
        ("HasInstallerType", "Exact", "exe", &ALL[2..]),
        ("HasInstallerType", "CaseInsensitive", "zip", &ALL[2..]),
        ("Market", "Exact", "de", &ALL),
        ("Market", "Exact", "US", &[ALL[0], ALL[2]]),
        ("packagename", "exact", "Notes", notes),
    ];
    for (field, kind, word, expected) in rows {
        assert_eq!(ids(&server, &including(field, kind, word)), *expected, "{field} {kind} {word}");
        let filter = json!({ "Filters": [condition(field, kind, word)] });
        assert_eq!(ids(&server, &filter), *expected, "as a filter: {field} {kind} {word}");
    }
}

#[test]
fn queries_inclusions_and_filters() {
    let server = Packhouse::start();
    shelf(&server);
    let asks = |kind: &str, word: &str| json!({ "KeyWord": word, "MatchType": kind });
    let tag = condition("Tag", "Exact", "pdf");
    let nothing = condition("Command", "Exact", "nothing");
    let rows: Vec<(Value, &[&str])> = vec![
        (json!({}), &ALL),
        (json!({ "FetchAllManifests": true }), &ALL),
        (json!({ "Query": asks("Substring", "note") }), &ALL[1..]),
        (json!({ "Query": asks("Exact", "{aa-11}") }), &ALL[..1]),
        (json!({ "Query": asks("Exact", "ctool") }), &ALL[..1]),
        (json!({ "Query": asks("CaseInsensitive", "CREADER") }), &ALL[..1]),
        (json!({ "Query": asks("Substring", "wekyb3d") }), &ALL[1..2]),
        (json!({ "Query": asks("Exact", "msi") }), &[]),
        (json!({ "Query": asks("Substring", "notes"), "Inclusions": [tag] }), &ALL[..2]),
        (json!({ "Query": asks("Substring", "xyz"), "Inclusions": [nothing] }), &[]),
        (json!({ "Inclusions": [nothing] }), &[]),
        (json!({ "Inclusions": [nothing, tag] }), &ALL[..1]),
        (json!({ "Query": asks("Substring", "o"), "Filters": [tag] }), &ALL[..1]),
        (json!({ "Query": asks("Substring", "notes"), "Filters": [tag] }), &[]),
        (json!({ "Filters": [tag, nothing] }), &[]),
        (json!({ "Filters": [condition("Publisher", "Substring", "f"), condition("Tag", "Substring", "")] }), &[]),
        (json!({ "Inclusions": [tag], "Filters": [condition("PackageName", "StartsWith", "CONTOSO")] }), &ALL[..1]),
    ];
    for (body, expected) in rows {
        assert_eq!(ids(&server, &body), expected, "{body}");
    }
}

#[test]
fn an_entry_holds_what_the_client_compares() {
    let server = Packhouse::start();
    shelf(&server);
    let found = search(&server, &including("PackageIdentifier", "Exact", "Contoso.Reader"));
    let expected = json!({
        "PackageIdentifier": "Contoso.Reader", "PackageName": "Contoso Reader 7.2 (x64)", "Publisher": "Contoso Ltd",
        "Versions": [{
            "PackageVersion": "1.0", "PackageFamilyNames": [], "ProductCodes": ["{AA-11}", "{AA-12}"],
            "UpgradeCodes": ["{UP-1}"], "AppsAndFeaturesEntryVersions": ["7.2.1"],
        }],
    });
    assert_eq!(found, [expected]);
}

#[test]
fn bad_searches() {
    let server = Packhouse::start();
    let word = |word: &str, kind: &str| json!({ "KeyWord": word, "MatchType": kind });
    for body in [
        json!([]),
        json!("x"),
        json!(null),
        json!({ "MaximumResults": -1 }),
        json!({ "MaximumResults": "5" }),
        json!({ "MaximumResults": 1.5 }),
        json!({ "FetchAllManifests": 1 }),
        json!({ "Query": {} }),
        json!({ "Query": word("x", "Nonsense") }),
        json!({ "Query": word(&"x".repeat(256), "Exact") }),
        json!({ "Inclusions": {} }),
        json!({ "Inclusions": [{ "PackageMatchField": "Tag" }] }),
        json!({ "Inclusions": [{ "PackageMatchField": "Nonsense", "RequestMatch": word("x", "Exact") }] }),
        json!({ "Filters": [{ "PackageMatchField": "Tag", "RequestMatch": {} }] }),
        json!({ "Filters": ["x"] }),
    ] {
        is_refused(&send(&server, "POST", "/manifestSearch", Some(&body)), 400, 3);
    }
    for body in ["", "{", "not json", "{\"a\":", "\u{FEFF}x"] {
        let request = Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN);
        is_refused(&server.send(request.body("application/json", body)), 400, 3);
    }
    let twice = Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN);
    let twice = twice.header("ContinuationToken", "a").header("ContinuationToken", "b").json(&json!({}));
    is_refused(&server.send(twice), 400, 19);
    for token in ["nonsense", "!!!", "YWZ0ZXI", &"A".repeat(5000)] {
        let request = Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN).header("ContinuationToken", token);
        is_refused(&server.send(request.json(&json!({}))), 400, 19);
    }
}

#[test]
fn pages_show_each_package_once() {
    let server = Packhouse::start();
    let name = |number: usize| format!("Pages.P{:03}", (number * 37) % 230);
    for number in 0..230 {
        add(&server, &name(number), &[version("1.0", "Some pages", &[installer("x64", "exe")])]);
    }
    let walk = |body: &Value, step: usize| {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut request = Request::post(&at("/manifestSearch")).token(ADMIN_TOKEN);
            if let Some(token) = &token {
                request = request.header("ContinuationToken", token);
            }
            let answer = server.send(request.json(body)).is_json(200);
            checker::search(&answer);
            let page = answer["Data"].as_array().unwrap();
            assert!(page.len() <= step);
            seen.extend(page.iter().map(|entry| entry["PackageIdentifier"].as_str().unwrap().to_owned()));
            match answer.get("ContinuationToken") {
                Some(next) => {
                    assert_eq!(page.len(), step, "a page in the middle is full");
                    token = Some(next.as_str().unwrap().to_owned());
                }
                None => return seen,
            }
        }
    };
    let all: Vec<String> = (0..230).map(|number| format!("Pages.P{number:03}")).collect();
    assert_eq!(walk(&json!({}), 100), all);
    assert_eq!(walk(&json!({ "MaximumResults": 0 }), 100), all);
    assert_eq!(walk(&json!({ "MaximumResults": 1000 }), 100), all);
    assert_eq!(walk(&json!({ "MaximumResults": 23 }), 23), all, "the last page is full and says no more");
    // By look-up and by scan alike.
    let publisher = condition("Publisher", "CaseInsensitive", "contoso ltd");
    assert_eq!(walk(&json!({ "MaximumResults": 50, "Inclusions": [publisher] }), 50), all);
    let part = json!({ "MaximumResults": 50, "Query": { "KeyWord": "pages.p1", "MatchType": "Substring" } });
    assert_eq!(walk(&part, 50), all[100..200]);
}

#[test]
fn changes_are_seen_at_once() {
    let server = Packhouse::start();
    let part = |word: &str| json!({ "Query": { "KeyWord": word, "MatchType": "Substring" } });
    assert!(ids(&server, &part("first")).is_empty());
    for round in 0..40 {
        let id = format!("Quick.Change{round}");
        add(&server, &id, &[version("1.0", "first name", &[installer("x64", "exe")])]);
        assert_eq!(ids(&server, &part("first")), [id.as_str()]);
        send(&server, "DELETE", &format!("/packageManifests/{id}"), None).is_empty(204);
        assert!(ids(&server, &part("first")).is_empty());
        assert!(ids(&server, &including("PackageIdentifier", "Exact", &id)).is_empty());
    }
}
