//! Match types, fields and requests of searches in tables.

use serde_json::json;

use super::*;

fn terms() -> Terms {
    let mut terms = Terms::default();
    for (field, value) in [
        (Field::PackageIdentifier, "Contoso.Größe"),
        (Field::PackageName, "Contoso App++ 2"),
        (Field::Publisher, "Contoso Ltd"),
        (Field::Tag, "tools"),
        (Field::Tag, "office"),
        (Field::ProductCode, "{AB-12}"),
        (Field::NormalizedPackageNameAndPublisher, "contosoapp"),
        (Field::Market, "DE"),
        (Field::HasInstallerType, "msi"),
        (Field::Moniker, ""),
    ] {
        terms.add(field, value);
    }
    terms
}

fn search(body: serde_json::Value) -> Search {
    Search::read(&body).unwrap()
}

/// Both ways of judging; the quick one may say yes too often, never too rarely.
fn fits(search: &Search, terms: &Terms) -> bool {
    let fits = search.fits(terms);
    let may = search.may_fit(&Folded(&fold(terms)));
    assert!(may || !fits, "{search:?}");
    fits
}

#[test]
fn every_match_type() {
    let rows = [
        ("PackageName", "Exact", "Contoso App++ 2", true),
        ("PackageName", "Exact", "contoso app++ 2", false),
        ("PackageName", "CaseInsensitive", "CONTOSO APP++ 2", true),
        ("PackageName", "CaseInsensitive", "contoso", false),
        ("PackageName", "StartsWith", "cONTOSO", true),
        ("PackageName", "StartsWith", "app", false),
        ("PackageName", "Substring", "APP+", true),
        ("PackageName", "Substring", "apps", false),
        ("PackageName", "Wildcard", "contoso*2", true),
        ("PackageName", "Wildcard", "*app??*", true),
        ("PackageName", "Wildcard", "contoso", false),
        ("PackageName", "Wildcard", "?", false),
        ("PackageName", "Fuzzy", "contoso-app2", true),
        ("PackageName", "Fuzzy", "contoso-app", false),
        ("PackageName", "FuzzySubstring", "o/app", true),
        ("PackageName", "FuzzySubstring", "o/apps", false),
        ("PackageName", "Substring", "", true),
        ("PackageName", "StartsWith", "", true),
        ("PackageName", "FuzzySubstring", "", true),
        ("PackageName", "Exact", "", false),
        ("Moniker", "Substring", "", false),
        ("PackageIdentifier", "CaseInsensitive", "CONTOSO.GRÖSSE", false),
        ("PackageIdentifier", "CaseInsensitive", "contoso.GRÖßE", true),
        ("ProductCode", "Exact", "{ab-12}", true),
        ("NormalizedPackageNameAndPublisher", "Exact", "ContosoApp", true),
        ("HasInstallerType", "Exact", "MSI", true),
        ("Market", "Exact", "de", true),
        ("Market", "Exact", "US", false),
        ("Tag", "Exact", "office", true),
        ("Tag", "Exact", "Office", false),
        ("Command", "Wildcard", "*", false),
        ("packagename", "exact", "Contoso App++ 2", true),
    ];
    for (field, kind, word, expected) in rows {
        let request = json!({"PackageMatchField": field, "RequestMatch": {"KeyWord": word, "MatchType": kind}});
        for list in ["Inclusions", "Filters"] {
            let search = search(json!({ list: [request] }));
            assert_eq!(fits(&search, &terms()), expected, "{list} {field} {kind} {word}");
        }
    }
}

#[test]
fn halves_of_a_search() {
    let yes = json!({"PackageMatchField": "Tag", "RequestMatch": {"KeyWord": "tools", "MatchType": "Exact"}});
    let no = json!({"PackageMatchField": "Moniker", "RequestMatch": {"KeyWord": "x", "MatchType": "Substring"}});
    let asks = |word: &str| json!({"KeyWord": word, "MatchType": "Substring"});
    let rows = [
        (json!({}), true),
        (json!({"FetchAllManifests": true}), true),
        (json!({"Query": asks("ltd")}), true),
        (json!({"Query": asks("{ab")}), true),
        (json!({"Query": asks("msi")}), false),
        (json!({"Query": asks("nothing"), "Inclusions": [no, yes]}), true),
        (json!({"Query": asks("ltd"), "Inclusions": [no]}), true),
        (json!({"Inclusions": [no]}), false),
        (json!({"Inclusions": []}), true),
        (json!({"Query": asks("ltd"), "Filters": [yes, no]}), false),
        (json!({"Query": asks("ltd"), "Filters": [yes]}), true),
        (json!({"Filters": [yes]}), true),
        (json!({"Filters": [no], "FetchAllManifests": true}), false),
        (json!({"Query": null, "Inclusions": null, "MaximumResults": null}), true),
    ];
    for (body, expected) in rows {
        assert_eq!(fits(&search(body.clone()), &terms()), expected, "{body}");
    }
}

#[test]
fn an_installer_without_limits_is_for_every_market() {
    let mut terms = terms();
    terms.every_market = true;
    let filter = json!({"PackageMatchField": "Market", "RequestMatch": {"KeyWord": "US", "MatchType": "Exact"}});
    assert!(fits(&search(json!({"Filters": [filter]})), &terms));
}

#[test]
fn bad_requests_say_why() {
    let word = |word: &str, kind: &str| json!({"KeyWord": word, "MatchType": kind});
    let one =
        |field: &str| json!([{"PackageMatchField": field, "RequestMatch": {"KeyWord": "a", "MatchType": "Exact"}}]);
    let rows = [
        json!([]),
        json!("x"),
        json!(null),
        json!({"MaximumResults": -1}),
        json!({"MaximumResults": 1.5}),
        json!({"MaximumResults": "1"}),
        json!({"FetchAllManifests": "true"}),
        json!({"Query": "x"}),
        json!({"Query": {}}),
        json!({"Query": {"KeyWord": 1, "MatchType": "Exact"}}),
        json!({"Query": {"KeyWord": "x", "MatchType": 1}}),
        json!({"Query": word("x", "Regex")}),
        json!({"Query": word(&"x".repeat(256), "Exact")}),
        json!({"Inclusions": {}}),
        json!({"Inclusions": [1]}),
        json!({"Inclusions": [{"RequestMatch": word("a", "Exact")}]}),
        json!({"Inclusions": [{"PackageMatchField": "Tag"}]}),
        json!({"Filters": [{"PackageMatchField": "Tag", "RequestMatch": {"MatchType": "Exact"}}]}),
        json!({"Filters": one("Nonsense")}),
        json!({"Filters": vec![one("Tag")[0].clone(); 1001]}),
        json!({"Filters": vec![json!({"PackageMatchField": "Tag", "RequestMatch": word("a", "Fuzzy")}); 101]}),
    ];
    for body in rows {
        assert!(Search::read(&body).is_err(), "{body}");
    }
    assert!(Search::read(&json!({"Query": word(&"é".repeat(255), "exact"), "Unknown": 1})).is_ok());
}

#[test]
fn pages() {
    for (given, page) in [(json!(0), 100), (json!(1), 1), (json!(100), 100), (json!(101), 100), (json!(null), 100)] {
        assert_eq!(search(json!({ "MaximumResults": given })).page, page);
    }
}

#[test]
fn equalities_are_looked_up() {
    let condition = |field: &str, kind: &str| json!({"PackageMatchField": field, "RequestMatch": {"KeyWord": "Aa", "MatchType": kind}});
    let values = |body: serde_json::Value| {
        search(body)
            .values()
            .map(|values| values.into_iter().map(|(field, value)| (field, value.to_owned())).collect::<Vec<_>>())
    };
    let id = || (Field::PackageIdentifier, "aa".to_owned());
    assert_eq!(values(json!({"Inclusions": [condition("PackageIdentifier", "Exact")]})), Some(vec![id()]));
    assert_eq!(
        values(json!({"Filters": [condition("Tag", "Fuzzy"), condition("PackageIdentifier", "Exact")]})),
        Some(vec![id()])
    );
    assert_eq!(values(json!({"Query": {"KeyWord": "Aa", "MatchType": "Exact"}})).unwrap().len(), 9);
    assert_eq!(values(json!({"Inclusions": [condition("Tag", "Exact"), condition("Tag", "Substring")]})), None);
    assert_eq!(values(json!({"Filters": [condition("HasInstallerType", "Exact")]})), None);
    assert_eq!(values(json!({"Inclusions": [condition("Market", "Exact")]})), None);
    assert_eq!(values(json!({})), None);
}
