//! Hostile JSON and schemas end in a refusal, soon and in bounded memory (`refpack.md` §4, `reliability.md` §11).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Request;
use crate::server::Packhouse;

use super::pack::{Pack, stored, zip};
use super::{faults, nothing_is_there, push, upload};

/// Far longer than any refusal takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn hostile_packages_are_refused_soon_and_in_bounded_memory() {
    let server = Packhouse::start();
    faults(&server.send(upload(Pack::new("p", "1.0.0").file("data.json", "{}").zip())));
    server.forget_peak();
    let before = server.peak_memory();
    let pack = || Pack::new("p", "1.0.0");
    let data = |text: String| pack().file("data.json", text);
    let schema = |text: String| pack().file("data.schema.json", text);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let ways: Vec<String> = (0..60)
        .map(|n| {
            let next = format!("{{\"$ref\":\"#/$defs/l{}\"}}", n + 1);
            format!("\"l{n}\":{{\"anyOf\":[{next},{next}]}}")
        })
        .collect();
    let ways = format!(
        "{{\"type\":\"array\",\"items\":{{\"properties\":{{\"name\":{{\"$ref\":\"#/$defs/l0\"}}}}}},\"$defs\":{{{},\"l60\":{{\"type\":\"null\"}}}}}}",
        ways.join(",")
    );
    let patterns: Vec<String> = (0..9000).map(|n| format!("\"^\\\\p{{L}}{{60}}{n}\":true")).collect();
    let patterns = format!("{{\"type\":\"array\",\"items\":{{\"patternProperties\":{{{}}}}}}}", patterns.join(","));
    let slow = r#"{"type":"array","items":{"properties":{"name":{"pattern":"^(([a-z])+.)+[A-Z]([a-z])+$"}}}}"#;
    let small_objects = format!("[{}{{}}]", "{\"a\":0},".repeat(2_000_000));
    let one_record = format!("[{{\"id\":1,\"name\":1,\"x\":{small_objects}}}]");
    let cases: Vec<(&str, Pack)> = vec![
        ("a million brackets", data("[".repeat(1_000_000))),
        ("a million objects deep", data("[{\"a\":".repeat(1_000_000))),
        ("65 levels", data(format!("[{{\"id\":1,\"name\":1,\"x\":{}}}]", nested(63)))),
        ("deep manifest", pack().file("data.meta.json", nested(100_000))),
        ("deep schema", schema(format!("{{\"type\":\"array\",\"x\":{}}}", nested(100_000)))),
        ("deep changelog", pack().file("data.changelog.json", nested(100_000))),
        ("a large manifest", pack().meta("description", json!("x".repeat(10 << 20)))),
        ("a large value in a small schema", schema(format!("{{\"type\":\"array\",\"x\":{small_objects}}}"))),
        (
            "one huge record under a schema",
            data(one_record).file("data.schema.json", "{\"type\":\"array\",\"items\":{}}"),
        ),
        ("one huge string", data(format!("[{{\"id\":1,\"name\":\"{}\"}}]", "x".repeat(40 << 20)))),
        ("two to the sixtieth ways", schema(ways)),
        ("nine thousand large patterns", schema(patterns)),
        (
            "a backtracking pattern",
            schema(slow.to_owned()).file("data.json", format!("[{{\"id\":1,\"name\":\"{}\"}}]", "a".repeat(50_000))),
        ),
        ("lone surrogates", data(r#"[{"id":1,"name":"\ud800"}]"#.to_owned())),
        ("a loop", schema(r##"{"type":"array","items":{"allOf":[{"$ref":"#/items"}]}}"##.to_owned())),
        ("a file", schema(r#"{"type":"array","items":{"$ref":"file:///proc/self/environ"}}"#.to_owned())),
    ];
    for (what, pack) in cases {
        // Stored, so that the ratio of the archive hides nothing.
        let entries: Vec<_> = pack.raw().iter().map(|(name, bytes)| stored(name, bytes)).collect();
        let start = Instant::now();
        faults(&server.send(upload(zip(&entries))));
        assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
        let grown = server.peak_memory().saturating_sub(before);
        assert!(grown < 224 << 20, "{what}: memory grew by {} MiB", grown >> 20);
    }
    nothing_is_there(&server);
    assert_eq!(server.send(Request::get("/health")).status, 200);
}

#[test]
fn duplicate_keys_and_long_numbers_are_left_alone() {
    let server = Packhouse::start();
    let text = format!("[{{\"id\":1,\"id\":2,\"name\":\"a\",\"n\":{}}},{{\"id\":1,\"name\":\"b\"}}]", "9".repeat(5000));
    push(&server, &Pack::new("p", "1.0.0").file("data.json", text.clone()));
    assert_eq!(server.send(Request::get("/packages/p/data")).text(), text);
}

#[test]
fn many_records_under_a_recursive_schema() {
    let server = Packhouse::start();
    let schema = r##"{"type":"array","items":{"$ref":"#/$defs/node"},"$defs":{"node":{"type":"object",
        "required":["id","name"],"properties":{"id":{"type":"integer"},"name":{"type":"string","pattern":"^n"},
        "children":{"type":"array","items":{"$ref":"#/$defs/node"}}}}}}"##;
    let record =
        |n: usize, name: &str| format!("{{\"id\":{n},\"name\":\"{name}\",\"children\":[{{\"id\":0,\"name\":\"n\"}}]}}");
    let mut records: Vec<String> = (0..100_000).map(|n| record(n, "name")).collect();
    let pack = |records: &[String]| {
        let text = format!("[{}]", records.join(","));
        Pack::new("tree", "1.0.0").file("data.json", text).file("data.schema.json", schema)
    };
    push(&server, &pack(&records));
    records[99_999] = record(99_999, "wrong");
    let found = faults(&server.send(upload(pack(&records).meta("version", json!("2.0.0")).zip())));
    assert_eq!(found, [("data_schema_mismatch".to_owned(), "data.json#/99999/name".to_owned())]);
}
