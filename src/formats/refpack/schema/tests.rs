//! Tables for the schema rules: dialects, references, loops, hostile patterns, and what is judged record by record.

use std::time::Instant;

use super::*;

/// The first fault of data under a schema.
fn first(schema: &str, data: &str) -> Option<Fault> {
    let mut checker = match Checker::new(schema.as_bytes()) {
        Ok(checker) => checker,
        Err(faults) => return faults.into_iter().next(),
    };
    checker.expect_bytes(data.len() as u64);
    let records: Vec<Value> = serde_json::from_str(data).unwrap();
    for (number, record) in records.iter().enumerate() {
        if let Some(fault) = checker.record(number, &record.to_string()) {
            return Some(fault);
        }
    }
    checker.finish(records.len()).into_iter().next()
}

fn code(schema: &str, data: &str) -> &'static str {
    first(schema, data).map_or("good", |fault| fault.code)
}

/// A schema of this dialect with these further keys.
fn of(dialect: &str, keys: &str) -> String {
    let name = match dialect {
        "2020-12" | "2019-09" => format!("https://json-schema.org/draft/{dialect}/schema"),
        _ => format!("http://json-schema.org/draft-{dialect}/schema#"),
    };
    format!("{{\"$schema\":\"{name}\",\"type\":\"array\",{keys}}}")
}

#[test]
fn the_root_is_an_array_schema() {
    for bad in ["true", "{}", r#"{"type":["array"]}"#, r#"{"type":"object"}"#, "[]", r#"{"items":{}}"#] {
        assert_eq!(code(bad, "[]"), "schema_root_not_array", "{bad}");
    }
    assert_eq!(code("{", "[]"), "invalid_json");
    assert_eq!(code(r#"{"type":"array"}"#, r#"[{"a":1}]"#), "good");
}

#[test]
fn dialects_keep_their_own_meaning() {
    let (one, text) = (r#"[{"n":1}]"#, r#"[{"n":"x"},{"n":"y"}]"#);
    let cases = [
        // A tuple is `prefixItems` since 2020-12 and `items` before.
        (of("2020-12", r#""prefixItems":[{"required":["x"]}]"#), one, "data_schema_mismatch"),
        (of("2019-09", r#""prefixItems":[{"required":["x"]}]"#), one, "good"),
        (of("07", r#""items":[{"required":["x"]}]"#), one, "data_schema_mismatch"),
        (of("07", r#""items":[true],"additionalItems":false"#), text, "data_schema_mismatch"),
        (of("07", r#""items":{},"additionalItems":false"#), text, "good"),
        (of("2020-12", r#""items":[{"required":["x"]}]"#), one, "schema_invalid"),
        (of("2020-12", r#""prefixItems":[true],"items":false"#), text, "data_schema_mismatch"),
        // A Boolean bound belongs to draft 4, a number to the others.
        (
            of("04", r#""items":{"properties":{"n":{"minimum":1,"exclusiveMinimum":true}}}"#),
            one,
            "data_schema_mismatch",
        ),
        (of("07", r#""items":{"properties":{"n":{"exclusiveMinimum":1}}}"#), one, "data_schema_mismatch"),
        (of("07", r#""items":{"properties":{"n":{"exclusiveMinimum":true}}}"#), one, "schema_invalid"),
        (of("06", r#""items":{"if":{},"then":false}"#), one, "good"),
        (of("07", r#""items":{"if":{},"then":false}"#), one, "data_schema_mismatch"),
        (of("06", r#""contains":{"required":["x"]}"#), one, "data_schema_mismatch"),
        (of("04", r#""contains":{"required":["x"]}"#), one, "good"),
        (of("2020-12", r#""contains":true,"minContains":2"#), one, "data_schema_mismatch"),
        (of("2020-12", r#""contains":{"required":["n"]},"maxContains":1"#), text, "data_schema_mismatch"),
        (of("07", r#""contains":true,"minContains":2"#), one, "good"),
        ("{\"type\":\"array\",\"prefixItems\":[false]}".to_owned(), one, "data_schema_mismatch"),
    ];
    for (schema, data, expected) in &cases {
        assert_eq!(code(schema, data), *expected, "{schema}");
    }
    for unknown in ["\"https://example.com/own\"", "\"draft-07\"", "7", "null"] {
        assert_eq!(code(&format!("{{\"type\":\"array\",\"$schema\":{unknown}}}"), "[]"), "schema_invalid", "{unknown}");
    }
}

#[test]
fn the_root_s_own_rules() {
    let two = r#"[{"a":1},{"a":2}]"#;
    let cases = [
        (r#""minItems":3"#, "data_schema_mismatch"),
        (r#""minItems":2.0"#, "good"),
        (r#""maxItems":1"#, "data_schema_mismatch"),
        (r#""uniqueItems":true"#, "good"),
        (r#""items":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#, "good"),
        (r#""items":{"properties":{"a":{"type":"string"}}}"#, "data_schema_mismatch"),
        (r#""properties":{"a":false},"maxLength":0,"pattern":"x""#, "good"),
        (r#""allOf":[{"items":{"required":["b"]}}]"#, "data_schema_mismatch"),
        (r##""$ref":"#/$defs/list","$defs":{"list":{"maxItems":1}}"##, "data_schema_mismatch"),
        (r#""not":{"minItems":2}"#, "data_schema_mismatch"),
        (r#""items":{},"unevaluatedItems":false"#, "good"),
    ];
    for (keys, expected) in cases {
        assert_eq!(code(&format!("{{\"type\":\"array\",{keys}}}"), two), expected, "{keys}");
    }
    let unique = |data: &str| code(r#"{"type":"array","uniqueItems":true}"#, data);
    assert_eq!(unique(r#"[{"a":1,"b":[1.0]},{"b":[1],"a":1.0}]"#), "data_schema_mismatch");
    assert_eq!(unique(r#"[{"a":1},{"a":"1"},{"a":true},{"a":null},{"a":[1]},{"a":1.5},{"a":[]},{"a":{}}]"#), "good");
    assert_eq!(unique(r#"[{"a":9007199254740993},{"a":9007199254740992}]"#), "good");
}

#[test]
fn faults_name_the_place() {
    let schema = r#"{"type":"array","items":{"properties":{"a/b":{"items":{"type":"integer"}}}}}"#;
    let fault = first(schema, r#"[{},{"a/b":[1,"x"]}]"#).unwrap();
    assert_eq!((fault.code, fault.path.as_str()), ("data_schema_mismatch", "data.json#/1/a~1b/1"));
    assert!(!fault.message.contains("\"x\""), "the data are not quoted: {}", fault.message);
    let fault = first(r#"{"type":"array","items":{"type":"arry"}}"#, "[]").unwrap();
    assert_eq!((fault.code, fault.path.as_str()), ("schema_invalid", "data.schema.json#/items/type"));
    let fault = first(r#"{"type":"array","allOf":[{"items":{"required":["x"]}}]}"#, r#"[{"x":1},{}]"#).unwrap();
    assert_eq!((fault.code, fault.path.as_str()), ("data_schema_mismatch", "data.json#/1"));
}

#[test]
fn formats_only_describe() {
    for dialect in ["2020-12", "2019-09", "07", "06", "04"] {
        let keys = r#""items":{"properties":{"a":{"format":"email"},"b":{"format":"date"},"c":{"format":"nonsense"}}}"#;
        assert_eq!(code(&of(dialect, keys), r#"[{"a":"no","b":"2024-02-30","c":"x"}]"#), "good", "{dialect}");
    }
}

#[test]
fn references_stay_inside() {
    let good = [
        r##""items":{"$ref":"#/$defs/x"},"$defs":{"x":{"required":["a"]}}"##,
        r##""items":{"$ref":"#x"},"$defs":{"x":{"$anchor":"x","required":["a"]}}"##,
        r##""$id":"https://example.com/s.json","items":{"$ref":"s.json#/$defs/x"},"$defs":{"x":{"required":["a"]}}"##,
        r##""$id":"s.json","items":{"$ref":"x.json"},"$defs":{"x":{"$id":"x.json","required":["a"]}}"##,
        r##""items":{"$ref":"#/$defs/a~1b%25"},"$defs":{"a/b%":{"required":["a"]}}"##,
        r##""items":{"properties":{"kids":{"$ref":"#"}},"required":["a"]}"##,
    ];
    for keys in good {
        let schema = format!("{{\"type\":\"array\",{keys}}}");
        assert_eq!(code(&schema, r#"[{"a":1,"kids":[{"a":2}]}]"#), "good", "{keys}");
        assert_eq!(code(&schema, r#"[{"b":1}]"#), "data_schema_mismatch", "{keys}");
    }
    let outside = [
        "http://127.0.0.1:1/s.json",
        "https://example.com/s.json",
        "file:///etc/passwd",
        "file:/etc/hostname",
        "other.json",
        "../up.json#/x",
        "#/$defs/missing",
        "#missing",
        "//example.com/x",
        "json-schema:///x",
        "urn:uuid:0",
        "http://json-schema.org/draft-07/schema#",
        "#/$defs/%zz",
        "http://[",
        "data.meta.json",
    ];
    for target in outside {
        for place in ["items", "unknown-keyword", "$defs"] {
            let reference = format!("{{\"$ref\":\"{target}\"}}");
            let keys = match place {
                "$defs" => format!("\"$defs\":{{\"unused\":{{\"anyOf\":[{reference}]}}}}"),
                _ => format!("\"{place}\":{reference}"),
            };
            let schema = format!("{{\"type\":\"array\",{keys}}}");
            assert_eq!(code(&schema, "[]"), "schema_ref_unresolved", "{schema}");
        }
    }
    // What looks like a reference in plain data is none, and the own meta-schema may be named.
    let data = r#"{"type":"array","items":{"const":{"$ref":"http://example.com"}},"examples":[{"$ref":"x"}]}"#;
    assert_eq!(code(data, r#"[{"$ref":"http://example.com"}]"#), "good");
    let meta = of("07", r#""items":{"properties":{"s":{"$ref":"http://json-schema.org/draft-07/schema#"}}}"#);
    assert_eq!(code(&meta, r#"[{"s":{"type":"string"}}]"#), "good");
    assert_eq!(code(&meta, r#"[{"s":{"type":7}}]"#), "data_schema_mismatch");
}

#[test]
fn loops_that_consume_nothing_are_refused() {
    let loops = [
        r##""$ref":"#""##,
        r##""items":{"$ref":"#/items"}"##,
        r##""allOf":[{"$ref":"#"}]"##,
        r##""items":{"anyOf":[{"not":{"$ref":"#/items"}}]}"##,
        r##""items":{"$ref":"#/$defs/a"},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"if":{"$ref":"#/$defs/a"}}}"##,
        r##""$defs":{"a":{"dependentSchemas":{"x":{"$ref":"#/$defs/a"}}}}"##,
    ];
    for keys in loops {
        assert_eq!(code(&format!("{{\"type\":\"array\",{keys}}}"), "[]"), "schema_invalid", "{keys}");
    }
    for dialect in ["04", "06", "07", "2019-09"] {
        assert_eq!(code(&of(dialect, r##""$ref":"#""##), "[]"), "schema_invalid", "{dialect}");
    }
    assert_eq!(code(&of("2019-09", r##""$recursiveRef":"#""##), "[]"), "schema_invalid");
}

#[test]
fn patterns_are_linear_and_unanchored() {
    let with = |pattern: &str, text: &str| {
        let pattern = serde_json::to_string(pattern).unwrap();
        let schema = format!("{{\"type\":\"array\",\"items\":{{\"properties\":{{\"a\":{{\"pattern\":{pattern}}}}}}}}}");
        code(&schema, &serde_json::to_string(&json!([{ "a": text }])).unwrap())
    };
    assert_eq!(with("b+", "abbc"), "good");
    assert_eq!(with("^b", "abbc"), "data_schema_mismatch");
    assert_eq!(with("^\\d{2}$", "12"), "good");
    assert_eq!(with("^\\p{Lu}{2,40}$", "ÄÖ"), "good");
    assert_eq!(with("^(a+)+$", &format!("{}!", "a".repeat(100_000))), "data_schema_mismatch");
    for bad in ["(?=a)", "(?<!a)b", "(a)\\1", "[", "(", "a{1000}{1000}{1000}", "*"] {
        assert_eq!(with(bad, ""), "schema_invalid", "{bad}");
    }
    let many: Vec<String> = (0..2000).map(|n| format!("\"^\\\\p{{L}}{{50}}{n}$\":true")).collect();
    let schema = format!("{{\"type\":\"array\",\"items\":{{\"patternProperties\":{{{}}}}}}}", many.join(","));
    assert_eq!(code(&schema, "[]"), "schema_invalid");
    let unused = r#"{"type":"array","$defs":{"x":{"pattern":"(?=a)"}}}"#;
    assert_eq!(code(unused, "[]"), "schema_invalid");
}

#[test]
fn work_is_bounded() {
    // Two to the sixtieth ways through the schema, over one string.
    let levels: Vec<String> = (0..60)
        .map(|n| {
            let next = format!("{{\"$ref\":\"#/$defs/l{}\"}}", n + 1);
            format!("\"l{n}\":{{\"anyOf\":[{next},{next}]}}")
        })
        .collect();
    let schema = format!(
        "{{\"type\":\"array\",\"items\":{{\"properties\":{{\"a\":{{\"$ref\":\"#/$defs/l0\"}}}}}},\"$defs\":{{{},\"l60\":{{\"type\":\"integer\"}}}}}}",
        levels.join(",")
    );
    let start = Instant::now();
    assert_eq!(code(&schema, r#"[{"a":"x"}]"#), "schema_invalid");
    assert_ne!(code(&schema, r#"[{"a":{"b":1}}]"#), "good");
    // Every level of the data doubles the work.
    let schema = r##"{"type":"array","items":{"$ref":"#/$defs/n"},"$defs":{"n":{"allOf":[
        {"properties":{"a":{"$ref":"#/$defs/n"}}},{"properties":{"a":{"$ref":"#/$defs/n"}}}],"required":["a"]}}}"##;
    let deep = format!("[{}{{}}{}]", "{\"a\":".repeat(60), "}".repeat(60));
    assert_ne!(code(schema, &deep), "good");
    // Thirty thousand alternatives for each of ten thousand records.
    let options: Vec<String> = (0..30_000).map(|n| format!("{{\"x\":{n}}}")).collect();
    let schema =
        format!("{{\"type\":\"array\",\"items\":{{\"properties\":{{\"a\":{{\"enum\":[{}]}}}}}}}}", options.join(","));
    let records: Vec<String> = (0..10_000).map(|n| format!("{{\"a\":{{\"x\":{}}}}}", n + 20_000)).collect();
    assert_ne!(code(&schema, &format!("[{}]", records.join(","))), "good");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_long_chain_of_references_is_followed() {
    let chain: Vec<String> = (0..8000).map(|n| format!("\"c{n}\":{{\"$ref\":\"#/$defs/c{}\"}}", n + 1)).collect();
    let schema = format!(
        "{{\"type\":\"array\",\"items\":{{\"$ref\":\"#/$defs/c0\"}},\"$defs\":{{{},\"c8000\":{{\"required\":[\"a\"]}}}}}}",
        chain.join(",")
    );
    let judged = std::thread::Builder::new()
        .stack_size(super::super::JUDGE_STACK)
        .spawn(move || (code(&schema, r#"[{"a":1}]"#), code(&schema, r#"[{}]"#)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(judged, ("good", "data_schema_mismatch"));
}

#[test]
fn recursion_over_deep_data_and_many_records() {
    let schema = r##"{"type":"array","items":{"$ref":"#/$defs/n"},
        "$defs":{"n":{"type":"object","properties":{"c":{"type":"array","items":{"$ref":"#/$defs/n"}},"n":{"type":"integer"}}}}}"##;
    let deep = format!("[{}{{\"n\":1}}{}]", "{\"c\":[".repeat(30), "]}".repeat(30));
    assert_eq!(code(schema, &deep), "good");
    assert_eq!(code(schema, &deep.replace("\"n\":1", "\"n\":1.5")), "data_schema_mismatch");
    let mut checker = Checker::new(schema.as_bytes()).unwrap();
    checker.expect_bytes(2_000_000);
    for number in 0..100_000 {
        assert_eq!(checker.record(number, r#"{"n":7,"c":[{"n":8}]}"#), None);
    }
    assert_eq!(checker.finish(100_000), []);
}
