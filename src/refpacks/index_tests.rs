//! The search index against a plain scan, and its size.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::*;

fn manifest(title: &str, description: &str, tags: &[&str]) -> Map<String, Value> {
    serde_json::from_value(serde_json::json!({
        "title": title, "description": description, "tags": tags, "version": "1.0.0", "x-level": 3, "x-on": true,
    }))
    .unwrap()
}

fn ids(index: &Index, search: &Search) -> Vec<String> {
    let places = index.search(search, |_| Ok::<_, Infallible>(None)).unwrap();
    places.into_iter().map(|place| index.id(place).unwrap().to_owned()).collect()
}

fn index(packages: &[(&str, Entry)]) -> Index {
    let changes = packages.iter().map(|(id, entry)| ((*id).to_owned(), entry.clone())).collect();
    let mut index = Index::default();
    index.update(&changes);
    index
}

#[test]
fn each_kind_of_question() {
    let index = index(&[
        ("a", Entry::new("a", "Own", false, &manifest("Countries", "100% of _all_", &["ISO", "geo data"]))),
        ("b/c", Entry::new("b/c", "own", false, &manifest("Straße", "", &["iso-3166"]))),
        ("z", Entry::new("z", "own", true, &manifest("Old countries", "", &["iso"]))),
    ]);
    let base = Search::default;
    let tag = |tag: &str| Search { tags: vec![tag.to_owned()], ..base() };
    let filter = |key: &str, value: &str| Search { filters: vec![(key.to_owned(), value.to_owned())], ..base() };
    let text = |text: &str| Search { text: rules::fold(text), ..base() };
    let cases: [(Search, &[&str]); 24] = [
        (base(), &["a", "b/c"]),
        (Search { archived: true, ..base() }, &["a", "b/c", "z"]),
        (text("COUNTRIES"), &["a"]),
        (Search { archived: true, ..text("countries") }, &["a", "z"]),
        (text("0%"), &["a"]),
        (text("%"), &["a"]),
        (text("_all"), &["a"]),
        (text("."), &[]),
        (text("STRASSE"), &["b/c"]),
        (text("/c"), &["b/c"]),
        (text("1.0.0"), &[]),
        (text("iso"), &[]),
        (tag("iso"), &["a"]),
        (tag("geo data"), &["a"]),
        (tag("geo"), &[]),
        (filter("title", "countries"), &["a"]),
        (filter("title", "countrie"), &[]),
        (filter("description", ""), &["b/c"]),
        (filter("id", "b/c"), &["b/c"]),
        (filter("version", "1.0.0"), &["a", "b/c"]),
        (filter("x-level", "3"), &["a", "b/c"]),
        (filter("x-on", "true"), &["a", "b/c"]),
        (filter("x-off", ""), &[]),
        (Search { owner: Some("own".to_owned()), ..base() }, &["b/c"]),
    ];
    for (search, expected) in cases {
        assert_eq!(ids(&index, &search), expected, "{search:?}");
    }
    let all =
        Search { text: "countr".to_owned(), tags: vec!["iso".to_owned()], archived: true, ..filter("x-level", "3") };
    assert_eq!(ids(&index, &all), ["a", "z"]);
}

#[test]
fn separators_in_manifests_do_not_separate() {
    let odd = manifest("t\0x-level\u{1}9", "\u{2}o\u{1}owner", &["a\0tags\u{1}b"]);
    let index = index(&[("a", Entry::new("a", "o", false, &odd))]);
    let tag = |tag: &str| Search { tags: vec![tag.to_owned()], ..Search::default() };
    assert_eq!(ids(&index, &tag("b")), Vec::<String>::new());
    let owner = Search { owner: Some("owner".to_owned()), ..Search::default() };
    assert_eq!(ids(&index, &owner), Vec::<String>::new());
    let level = Search { filters: vec![("x-level".to_owned(), "9".to_owned())], ..Search::default() };
    assert_eq!(ids(&index, &level), Vec::<String>::new());
}

#[test]
fn long_packages_are_asked_of_storage() {
    let long = manifest("T", &format!("{}needle", "x".repeat(20_000)), &[]);
    let entry = Entry::new("a", "o", false, &long);
    let index = index(&[("a", entry.clone()), ("b", Entry::new("b", "o", false, &manifest("needle", "", &[])))]);
    let search = Search { text: "needle".to_owned(), ..Search::default() };
    let mut asked = Vec::new();
    let places = index.search(&search, |id| {
        asked.push(id.to_owned());
        Ok::<_, Infallible>(Some(entry.clone()))
    });
    assert_eq!(places, Ok(vec![(0, 0), (0, 1)]));
    assert_eq!(asked, ["a"]);
    assert_eq!(ids(&index, &search), ["b"]);
}

#[test]
fn blocks_split_and_keep_the_order() {
    let entry = |n: usize, round: usize| Entry::new("", "o", false, &manifest(&format!("title {n} r{round}"), "", &[]));
    let mut index = Index::default();
    let mut expected = BTreeMap::new();
    for round in 0..20 {
        let mut changes = BTreeMap::new();
        for step in 0..1000 {
            let n = (round * 7919 + step * 104_729) % 15_000;
            changes.insert(format!("p{n:05}"), entry(n, round));
            expected.insert(format!("p{n:05}"), round);
        }
        index.update(&changes);
    }
    assert!(index.blocks.len() > 2 && index.blocks.iter().all(|block| block.ids.len() <= BLOCK));
    assert!(ids(&index, &Search::default()).iter().eq(expected.keys()));
    for round in [0, 7, 19] {
        let search = Search { text: format!(" r{round}\0").trim_end_matches('\0').to_owned(), ..Search::default() };
        let found = ids(&index, &search);
        let plain: Vec<_> = expected
            .iter()
            .filter(|(_, r)| format!(" r{r}").contains(&format!(" r{round}")))
            .map(|(id, _)| id.clone())
            .collect();
        assert_eq!(found, plain);
    }
}

#[test]
fn a_hundred_thousand_packages() {
    let entries = (0..100_000).map(|n| {
        let id = format!("vendor{}/package-{n:06}", n % 100);
        let text =
            format!("Reference data number {n} for tables of every kind, kept by the registry of set {}", n % 977);
        let entry = Entry::new(
            &id,
            &format!("vendor{}", n % 100),
            n % 50 == 0,
            &manifest(&format!("Set {n}"), &text, &["data"]),
        );
        Ok::<_, Infallible>((id, entry))
    });
    let mut all: Vec<_> = entries.map(Result::unwrap).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let index = Index::build(all.into_iter().map(Ok::<_, Infallible>)).unwrap();
    let start = Instant::now();
    assert_eq!(ids(&index, &Search { archived: true, ..Search::default() }).len(), 100_000);
    assert_eq!(
        ids(&index, &Search { text: "number 77777 ".to_owned(), ..Search::default() }),
        ["vendor77/package-077777"]
    );
    assert_eq!(ids(&index, &Search { text: "data".to_owned(), ..Search::default() }).len(), 98_000);
    assert_eq!(ids(&index, &Search { text: "no such words".to_owned(), ..Search::default() }).len(), 0);
    let owner = Search { owner: Some("vendor7".to_owned()), tags: vec!["data".to_owned()], ..Search::default() };
    assert_eq!(ids(&index, &owner).len(), 1000);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
