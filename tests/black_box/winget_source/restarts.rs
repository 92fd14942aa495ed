//! What searches read is stored beside the packages: the first search after a start finds what the last one before it
//! would have (B4; `performance.md` §3.3).

use super::*;

#[test]
fn the_first_search_after_a_start_knows_everything() {
    let mut server = Packhouse::start();
    for number in 0..30 {
        let name = format!("Wi-Fi Analyser {number} de-DE");
        add(&server, &format!("Contoso.P{number:02}"), &[version("1.0", &name, &[installer("x64", "msi")])]);
    }
    let text = |word: &str| json!({ "Query": { "KeyWord": word, "MatchType": "Substring" } });
    let normal = including("NormalizedPackageNameAndPublisher", "Exact", "wifianalyser7");
    let check = |server: &Packhouse| {
        assert_eq!(ids(server, &text("analyser")).len(), 30);
        assert_eq!(ids(server, &text("ANALYSER 7 ")), ["Contoso.P07"]);
        assert_eq!(ids(server, &normal), ["Contoso.P07"]);
    };
    // Killed before anybody has searched, and stopped in order.
    server.kill();
    server.restart();
    check(&server);
    server.restart();
    check(&server);

    assert_eq!(send(&server, "DELETE", "/packageManifests/Contoso.P07", None).status, 204);
    let changed = json!({ "PackageIdentifier": "Contoso.P08", "Versions": [version("2.0", "Renamed", &[installer("x64", "msi")])] });
    assert_eq!(send(&server, "PUT", "/packageManifests/Contoso.P08", Some(&changed)).status, 200);
    server.kill();
    server.restart();
    assert!(ids(&server, &normal).is_empty() && ids(&server, &text("analyser 7 ")).is_empty());
    assert_eq!(ids(&server, &text("renamed")), ["Contoso.P08"]);
    assert_eq!(search(&server, &text("renamed"))[0]["Versions"][0]["PackageVersion"], "2.0");
}
