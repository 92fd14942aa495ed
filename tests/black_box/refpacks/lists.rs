//! Lists and searches (`refpack.md` §5).

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::Packhouse;

use super::pack::Pack;
use super::{archive, push, refused, refused_like, upload};

fn page(server: &Packhouse, target: &str) -> Value {
    let answer = server.send(Request::get(target));
    assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
    answer.is_json(200)
}

fn ids(server: &Packhouse, target: &str) -> Vec<String> {
    let shown = page(server, target);
    let items = shown["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn shop() -> Packhouse {
    let server = Packhouse::start();
    let packs = [
        Pack::new("geo/countries", "1.0.0")
            .meta("title", json!("Country Codes"))
            .meta("description", json!("ISO 3166: 100% of_all"))
            .meta("tags", json!(["ISO", "geo data"]))
            .meta("x-level", json!(3))
            .meta("x-source", json!("https://example.com/a,b")),
        Pack::new("geo/cities", "1.0.0").meta("title", json!("Städte und STRASSEN")).meta("tags", json!(["geo data"])),
        Pack::new("Zeit", "1.0.0").meta("title", json!("ΟΔΟΣ")).meta("x-open", json!(true)),
        Pack::new("old", "1.0.0").meta("title", json!("Old countries")).meta("tags", json!(["iso"])),
    ];
    packs.iter().for_each(|pack| drop(push(&server, pack)));
    archive(&server, "/packages/old/archive");
    server
}

#[test]
fn an_item_shows_the_listed_version() {
    let server = Packhouse::start();
    let empty = json!({"items": [], "totalCount": 0, "pageNumber": 1, "pageSize": 10, "totalPages": 0});
    assert_eq!(page(&server, "/packages"), empty);
    let described = Pack::new("v/n", "1.0.0").meta("title", json!("One")).meta("description", json!("Words"));
    push(&server, &described.meta("tags", json!(["a", "B"])));
    let mut bare = Pack::new("v/n", "2.0.0-rc.1").meta("title", json!("Two"));
    for key in ["description", "tags", "authors", "license", "idField", "nameField"] {
        bare.meta.as_object_mut().unwrap().remove(key);
    }
    push(&server, &bare);
    let shown = page(&server, "/packages");
    let updated = shown["items"][0]["updatedAt"].as_str().unwrap().to_owned();
    assert!(updated.len() == 20 && updated.ends_with('Z'), "{updated}");
    let item = |name: &str, description: &str, version: &str, archived: bool, tags: Value, updated: &str| {
        json!({"id": "v/n", "name": name, "description": description, "version": version, "isArchived": archived,
            "updatedAt": updated, "ownerId": "v", "tags": tags})
    };
    assert_eq!(shown["items"][0], item("One", "Words", "1.0.0", false, json!(["a", "B"]), &updated));
    archive(&server, "/packages/v/n/archive?version=1.0.0");
    let shown = page(&server, "/packages");
    let updated = shown["items"][0]["updatedAt"].as_str().unwrap().to_owned();
    assert_eq!(shown["items"][0], item("Two", "", "2.0.0-rc.1", false, json!([]), &updated));
    archive(&server, "/packages/v/n/archive");
    assert_eq!(page(&server, "/packages")["totalCount"], 0);
    let shown = page(&server, "/packages?includeArchived=TRUE");
    let updated = shown["items"][0]["updatedAt"].as_str().unwrap().to_owned();
    assert_eq!(shown["items"][0], item("Two", "", "2.0.0-rc.1", true, json!([]), &updated));
}

#[test]
fn questions_and_what_they_find() {
    let server = shop();
    let all = ["Zeit", "geo/cities", "geo/countries"];
    let cases: [(&str, &[&str]); 37] = [
        ("", &all),
        ("q=", &all),
        ("q=%20%20", &all),
        ("includeArchived=1", &["Zeit", "geo/cities", "geo/countries", "old"]),
        ("includeArchived=false", &all),
        ("includeArchived=", &all),
        ("q=COUNTR", &["geo/countries"]),
        ("q=countries&includeArchived=true", &["geo/countries", "old"]),
        ("q=GEO/", &["geo/cities", "geo/countries"]),
        ("q=%2B", &[]),
        ("q=country+codes", &["geo/countries"]),
        ("q=%25", &["geo/countries"]),
        ("q=f_a", &["geo/countries"]),
        ("q=f-a", &[]),
        ("q=.*", &[]),
        ("q=stra%C3%9Fen", &["geo/cities"]),
        ("q=%CE%BF%CE%B4%CE%BF%CF%83", &["Zeit"]),
        ("q=ST%C3%84DTE", &["geo/cities"]),
        ("q=geo%20data", &[]),
        ("q=codes&q=nothing", &["geo/countries"]),
        ("tags=iso", &["geo/countries"]),
        ("tags=iso&includeArchived=true", &["geo/countries", "old"]),
        ("tags=Geo+Data", &["geo/cities", "geo/countries"]),
        ("tags=iso,geo%20data", &["geo/countries"]),
        ("tags=iso&tags[]=geo+data", &["geo/countries"]),
        ("tags=,%20,iso%20,", &["geo/countries"]),
        ("tags=is", &[]),
        ("ownerId=geo", &["geo/cities", "geo/countries"]),
        ("ownerId=Geo", &[]),
        ("ownerId=", &all),
        ("filters=name:country%20codes", &["geo/countries"]),
        ("filters=title:Country", &[]),
        ("customFilters=tags:ISO,x-level:3", &["geo/countries"]),
        ("filters=x-source:https://example.com/a", &[]),
        ("filters=x-open:true,version:1.0.0", &["Zeit"]),
        ("filters=x-none:1", &[]),
        ("filters=&customFilters=id:Zeit&unknown=1", &["Zeit"]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&server, &format!("/packages/advanced-search?{query}")), expected, "{query}");
        if !["tags", "ownerId", "ilters"].iter().any(|key| query.contains(key)) {
            assert_eq!(ids(&server, &format!("/packages?{query}")), expected, "{query}");
        }
    }
    // The plain list does not know the parameters of the advanced search.
    assert_eq!(ids(&server, "/packages?tags=iso&filters=x&ownerId=nobody"), all);
    assert_eq!(ids(&server, "/packages/?q=zeit"), ["Zeit"]);
}

#[test]
fn bad_questions() {
    let server = shop();
    for base in ["/packages", "/packages/advanced-search"] {
        let get = |query: &str| server.send(Request::get(&format!("{base}?{query}")));
        for bad in ["0", "-1", "1.5", "x", "%20", "2147483648", "99999999999999999999999"] {
            refused(&get(&format!("page={bad}")), 400, "Invalid page", "Page must be a positive integer");
        }
        for bad in ["0", "101", "-1", "ten", "99999999999999999999999"] {
            let message = "Page size must be between 1 and 100";
            refused(&get(&format!("pageSize={bad}")), 400, "Invalid page size", message);
        }
        let message = refused_like(&get("includeArchived=yes"), 400, "Invalid parameter");
        assert!(message.contains("includeArchived"), "{message}");
        for bad in ["q=%", "q=%zz", "q=%ff", "%=1", "q=a%00b"] {
            refused_like(&get(bad), 400, "Invalid parameter");
        }
        assert!(refused_like(&get(&format!("q={}", "x".repeat(1001))), 400, "Invalid parameter").contains('q'));
    }
    for bad in ["x", ":x", "a:b,", ",", "a:b,c"] {
        let answer = server.send(Request::get(&format!("/packages/advanced-search?filters={bad}")));
        refused(&answer, 400, "Invalid filters", "Filters must be in format 'key1:value1,key2:value2'");
    }
    // What is out of reach is an empty page.
    let shown = page(&server, "/packages?page=2147483647&pageSize=100");
    let expected = json!({"items": [], "totalCount": 3, "pageNumber": 2147483647, "pageSize": 100, "totalPages": 1});
    assert_eq!(shown, expected);
    let defaults = page(&server, "/packages?page=&pageSize=");
    assert_eq!((&defaults["pageNumber"], &defaults["pageSize"]), (&json!(1), &json!(10)));
    assert_eq!(server.send(Request::head("/packages")).status, 200);
}

#[test]
fn pages_of_many_packages_hold_each_once_and_in_order() {
    let server = Packhouse::start();
    let names: Vec<String> = (0..1100).map(|n| format!("set{}/p-{:04}", n % 3, n * 7919 % 1100)).collect();
    thread::scope(|scope| {
        for part in names.chunks(names.len() / 8 + 1) {
            let server = &server;
            scope.spawn(move || part.iter().for_each(|id| drop(push(server, &Pack::new(id, "1.0.0")))));
        }
        // A reader sees whole packages only, while they come.
        scope.spawn(|| {
            for _ in 0..60 {
                for id in ids(&server, "/packages?pageSize=5&q=set1") {
                    assert_eq!(server.send(Request::get(&format!("/packages/{id}/meta"))).status, 200);
                }
            }
        });
    });
    let expected: BTreeSet<String> = names.into_iter().collect();
    let mut seen = Vec::new();
    for number in 1..=12 {
        let target = format!("/packages?pageSize=100&page={number}");
        let shown = page(&server, &target);
        assert_eq!((&shown["totalCount"], &shown["totalPages"]), (&json!(1100), &json!(11)));
        seen.extend(ids(&server, &target));
    }
    assert!(seen.iter().eq(expected.iter()));
    let some: Vec<String> = expected.iter().filter(|id| id.contains("p-01")).cloned().collect();
    assert_eq!(ids(&server, "/packages?q=P-01&pageSize=100"), some[..100.min(some.len())]);
    // What is pushed or archived now is in, or out of, the very next answer.
    push(&server, &Pack::new("0-first", "1.0.0"));
    assert_eq!(ids(&server, "/packages?pageSize=1"), ["0-first"]);
    archive(&server, "/packages/0-first/archive");
    assert_eq!(ids(&server, "/packages?pageSize=1")[0], seen[0]);
    assert_eq!(server.send(upload(Pack::new("0-first", "1.1.0").zip())).status, 200);
    assert_eq!(ids(&server, "/packages?pageSize=1"), ["0-first"]);
}
