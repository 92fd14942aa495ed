//! The rules about the files inside (`refpack.md` §4.2–§4.6): every code, and what is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use crate::client::Request;
use crate::server::Packhouse;

use super::pack::Pack;
use super::{faults, nothing_is_there, push, refused_like, upload};

fn pack() -> Pack {
    Pack::new("p", "1.0.0")
}

#[track_caller]
fn each_is_refused(server: &Packhouse, cases: Vec<(Pack, &str, &str)>) {
    for (number, (pack, code, path)) in cases.into_iter().enumerate() {
        let found = faults(&server.send(upload(pack.zip())));
        assert_eq!(found[0], (code.to_owned(), path.to_owned()), "case {number}: {found:?}");
    }
    nothing_is_there(server);
}

#[test]
fn manifests() {
    let server = Packhouse::start();
    let without = |key: &str| {
        let mut pack = pack();
        pack.meta.as_object_mut().unwrap().remove(key);
        pack
    };
    let raw = |bytes: &[u8]| pack().file("data.meta.json", bytes);
    let deep = format!("{{\"x-deep\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    let mut cases = vec![
        (raw(b""), "invalid_json", "data.meta.json"),
        (raw(b"{"), "invalid_json", "data.meta.json"),
        (raw(b"\xef\xbb\xbf{}"), "invalid_json", "data.meta.json"),
        (raw(b"{\"title\":\"\xff\"}"), "invalid_json", "data.meta.json"),
        (raw(br#"{"title":"\ud800"}"#), "invalid_json", "data.meta.json"),
        (raw(deep.as_bytes()), "invalid_json", "data.meta.json"),
        (raw(b"[]"), "manifest_invalid", "data.meta.json"),
        (raw(b"null"), "manifest_invalid", "data.meta.json"),
        (pack().meta("extra", json!(1)), "manifest_unknown_key", "data.meta.json#/extra"),
        (pack().meta("X-own", json!(1)), "manifest_unknown_key", "data.meta.json#/X-own"),
        (pack().meta("a/b~c", json!(1)), "manifest_unknown_key", "data.meta.json#/a~1b~0c"),
        (pack().meta("title", json!(" \t")), "manifest_invalid", "data.meta.json#/title"),
        (pack().meta("idField", json!(null)), "manifest_invalid", "data.meta.json#/idField"),
        (pack().meta("tags", json!(["a", 1])), "manifest_invalid", "data.meta.json#/tags"),
        (pack().meta("authors", json!("me")), "manifest_invalid", "data.meta.json#/authors"),
        (pack().meta("license", json!(null)), "manifest_invalid", "data.meta.json#/license"),
    ];
    for key in ["id", "version", "title", "createdUtc"] {
        let path =
            ["data.meta.json#/id", "data.meta.json#/version", "data.meta.json#/title", "data.meta.json#/createdUtc"];
        let path = *path.iter().find(|path| path.ends_with(key)).unwrap();
        cases.push((without(key), "manifest_invalid", path));
        cases.push((pack().meta(key, json!(7)), "manifest_invalid", path));
        cases.push((pack().meta(key, Value::Null), "manifest_invalid", path));
    }
    for version in
        ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-01", "1.0.0-", " 1.0.0", "18446744073709551616.0.0", "latest"]
    {
        cases.push((pack().meta("version", json!(version)), "manifest_invalid", "data.meta.json#/version"));
    }
    for date in
        ["2024-02-30T10:00:00Z", "2026-05-20", "2026-05-20T10:00:00", "20260520T100000Z", "2026-05-20T25:00:00Z", "now"]
    {
        cases.push((pack().meta("createdUtc", json!(date)), "manifest_invalid", "data.meta.json#/createdUtc"));
    }
    each_is_refused(&server, cases);
}

#[test]
fn ids_that_could_not_be_reached_are_refused_by_name() {
    let server = Packhouse::start();
    let long = "x".repeat(65);
    let ids = [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "-a",
        "a_",
        "a b",
        "a.b",
        "größe",
        "..",
        "advanced-search",
        "a/meta",
        "a/data",
        "a/schema",
        "a/changelog",
        "a/readme",
        "a/versions",
        "a/archive",
        "a%2Fb",
        long.as_str(),
    ];
    for id in ids {
        let answer = server.send(upload(pack().meta("id", json!(id)).zip()));
        let message = refused_like(&answer, 400, "Invalid package id");
        assert!(message.contains(id), "{message}");
    }
    nothing_is_there(&server);
    for id in ["meta", "archive", "advanced-search/x", "meta/x", "A-b_9", "v/advanced-search"] {
        push(&server, &Pack::new(id, "1.0.0"));
    }
}

#[test]
fn payloads() {
    let server = Packhouse::start();
    let data = |text: &str| pack().file("data.json", text);
    let deep = format!("[{{\"id\":1,\"name\":1,\"x\":{}{}}}]", "[".repeat(63), "]".repeat(63));
    let cases = vec![
        (data(""), "invalid_json", "data.json"),
        (data("[{\"id\":1,\"name\":1}"), "invalid_json", "data.json"),
        (data("[] []"), "invalid_json", "data.json"),
        (data("\u{feff}[]"), "invalid_json", "data.json"),
        (data(&deep), "invalid_json", "data.json"),
        (data(r#"[{"id":1,"name":"\udc00"}]"#), "invalid_json", "data.json"),
        (pack().file("data.json", &b"[{\"id\":1,\"name\":\"\xfe\"}]"[..]), "invalid_json", "data.json"),
        (data("{}"), "data_not_array", "data.json"),
        (data("\"[]\""), "data_not_array", "data.json"),
        (data("[{\"id\":1,\"name\":1},7]"), "data_item_not_object", "data.json#/1"),
        (data("[[]]"), "data_item_not_object", "data.json#/0"),
        (data("[{\"name\":1}]"), "id_missing", "data.json#/0/id"),
        (data("[{\"id\":\"\",\"name\":1}]"), "id_missing", "data.json#/0/id"),
        (data("[{\"id\":null,\"name\":1}]"), "id_missing", "data.json#/0/id"),
        (data("[{\"id\":true,\"name\":1}]"), "id_missing", "data.json#/0/id"),
        (data("[{\"id\":1}]"), "name_missing", "data.json#/0/name"),
        (data("[{\"id\":1,\"name\":null}]"), "name_missing", "data.json#/0/name"),
        (data("[{\"id\":1,\"name\":1},{\"id\":\"1\",\"name\":2}]"), "duplicate_id", "data.json#/1/id"),
        (pack().meta("idField", json!("code")), "id_missing", "data.json#/0/code"),
        (pack().meta("nameField", json!("a/b")), "name_missing", "data.json#/0/a~1b"),
    ];
    each_is_refused(&server, cases);
    let odd = "[{\"id\":12345678901234567890123,\"name\":1e400, \"z\":1,\"a\":1,\"a\":2},\n\t{\"id\":12345678901234567890124,\"name\":\"\\u00e9\"}]";
    for (version, text) in [("1.0.0", "[]"), ("1.0.1", " [ ] "), ("1.0.2", odd)] {
        push(&server, &Pack::new("kept", version).file("data.json", text));
        let answer = server.send(Request::get(&format!("/packages/kept/data?version={version}")));
        assert_eq!(answer.text(), text);
    }
}

#[test]
fn schemas() {
    let server = Packhouse::start();
    let schema = |text: &str| pack().file("data.schema.json", text);
    let of = |dialect: &str, keys: &str| schema(&format!("{{\"$schema\":\"{dialect}\",\"type\":\"array\",{keys}}}"));
    let keys = |keys: &str| schema(&format!("{{\"type\":\"array\",{keys}}}"));
    const D2020: &str = "https://json-schema.org/draft/2020-12/schema";
    const D2019: &str = "https://json-schema.org/draft/2019-09/schema#";
    const D7: &str = "http://json-schema.org/draft-07/schema#";
    const D6: &str = "http://json-schema.org/draft-06/schema";
    const D4: &str = "http://json-schema.org/draft-04/schema#";
    let outside = |target: &str| keys(&format!("\"items\":{{\"$ref\":\"{target}\"}}"));
    let (unresolved, at) = ("schema_ref_unresolved", "data.schema.json#/items/$ref");
    let mut cases = vec![
        (schema("{"), "invalid_json", "data.schema.json"),
        (schema("true"), "schema_root_not_array", "data.schema.json"),
        (schema("{}"), "schema_root_not_array", "data.schema.json"),
        (schema(r#"{"type":["array"]}"#), "schema_root_not_array", "data.schema.json"),
        (of("https://example.com/own", "\"items\":{}"), "schema_invalid", "data.schema.json#/$schema"),
        (keys(r#""items":{"type":"arry"}"#), "schema_invalid", "data.schema.json#/items/type"),
        (
            keys(r#""items":{"properties":{"id":{"pattern":"(?=a)"}}}"#),
            "schema_invalid",
            "data.schema.json#/items/properties/id/pattern",
        ),
        (
            keys(r#""items":{"properties":{"id":{"pattern":"(a)\\1"}}}"#),
            "schema_invalid",
            "data.schema.json#/items/properties/id/pattern",
        ),
        (outside("#/$defs/none"), unresolved, at),
        (keys(r##""$ref":"#""##), "schema_invalid", "data.schema.json#"),
        (keys(r##""items":{"$ref":"#/items"}"##), "schema_invalid", "data.schema.json#/items"),
        (keys(r#""items":{"properties":{"id":{"type":"string"}}}"#), "data_schema_mismatch", "data.json#/0/id"),
        (keys(r#""minItems":3"#), "data_schema_mismatch", "data.json#"),
        (of(D2020, r#""prefixItems":[{"required":["x"]}]"#), "data_schema_mismatch", "data.json#/0"),
        (of(D7, r#""items":[true,{"required":["x"]}]"#), "data_schema_mismatch", "data.json#/1"),
        (
            of(D4, r#""items":{"properties":{"id":{"minimum":1,"exclusiveMinimum":true}}}"#),
            "data_schema_mismatch",
            "data.json#/0/id",
        ),
        (of(D6, r#""items":{"properties":{"id":{"exclusiveMinimum":1}}}"#), "data_schema_mismatch", "data.json#/0/id"),
        (
            of(D7, r#""items":{"properties":{"id":{"exclusiveMinimum":true}}}"#),
            "schema_invalid",
            "data.schema.json#/items",
        ),
    ];
    // The crawl names the first reference it cannot follow, without its place.
    for target in ["http://127.0.0.1:9/s", "https://example.com/s", "file:///etc/passwd", "other.json", "urn:x:y"] {
        cases.push((outside(target), unresolved, "data.schema.json"));
    }
    each_is_refused(&server, cases);
    let good = [
        of(
            D2019,
            r##""items":{"$ref":"#/$defs/row"},"$defs":{"row":{"required":["id"],"properties":{"name":{"format":"email"}}}}"##,
        ),
        of(D2020, r#""prefixItems":[{"properties":{"id":{"const":1}}}],"items":{"required":["id"]}"#),
        of(D7, r#""prefixItems":[false],"items":{"if":{"required":["x"]},"then":false}"#),
        keys(r#""uniqueItems":true,"contains":{"properties":{"id":{"const":"b"}}},"maxItems":2"#),
    ];
    for (n, pack) in good.into_iter().enumerate() {
        push(&server, &pack.meta("version", json!(format!("1.0.{n}"))));
    }
}

#[test]
fn changelog_and_readme() {
    let server = Packhouse::start();
    let log = |text: &str| pack().file("data.changelog.json", text);
    let cases = vec![
        (log("["), "invalid_json", "data.changelog.json"),
        (log("{}"), "changelog_invalid", "data.changelog.json"),
        (log("[1]"), "changelog_invalid", "data.changelog.json#/0"),
        (log(r#"[{"date":"d","description":"x"}]"#), "changelog_invalid", "data.changelog.json#/0/version"),
        (log(r#"[{"version":"1","date":"","description":"x"}]"#), "changelog_invalid", "data.changelog.json#/0/date"),
        (
            log(r#"[{"version":"1","date":"d","description":[]}]"#),
            "changelog_invalid",
            "data.changelog.json#/0/description",
        ),
        (pack().file("data.readme.md", &b"# \xff"[..]), "readme_invalid", "data.readme.md"),
    ];
    each_is_refused(&server, cases);
    // Faults of several files come together.
    let several = log("{}").file("data.readme.md", &b"\xff"[..]).file("data.json", "{}");
    let codes: Vec<String> = faults(&server.send(upload(several.zip()))).into_iter().map(|fault| fault.0).collect();
    assert_eq!(codes, ["changelog_invalid", "readme_invalid", "data_not_array"]);
}

fn jwk(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let bytes = point.as_bytes();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "x": text(&bytes[1..33]), "y": text(&bytes[33..])})
}

fn sign(key: &SigningKey, head: &Value, payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

#[test]
fn signatures() {
    let server = Packhouse::with().env("PACKHOUSE_REFPACK_REQUIRE_SIGNATURE", "1").start();
    let key = SigningKey::from_slice(&[9; 32]).unwrap();
    let head = json!({"alg": "ES256", "jwk": jwk(&key)});
    let signed = |text: String| pack().file("data.meta.json.jws", text);
    let mut private = head.clone();
    private["jwk"]["d"] = json!("AAAA");
    let mut none = head.clone();
    none["alg"] = json!("none");
    let manifest = pack().manifest();
    let good = sign(&key, &head, &manifest);
    let place = "data.meta.json.jws";
    let cases = vec![
        (pack(), "signature_missing", place),
        (signed(sign(&key, &private, &manifest)), "signature_private_key", place),
        (signed(sign(&key, &none, &manifest)), "signature_invalid", place),
        (signed(sign(&key, &head, b"another manifest")), "signature_invalid", place),
        (signed(sign(&key, &head, br#"{"jti":"refpack","iat":99999999999}"#)), "signature_invalid", place),
        (signed(format!("{good}x")), "signature_invalid", place),
        (signed(good.replace('.', "..")), "signature_invalid", place),
        (signed(String::new()), "signature_invalid", place),
        (signed(good.clone()).meta("title", json!("changed afterwards")), "signature_invalid", place),
    ];
    each_is_refused(&server, cases);
    push(&server, &signed(format!("{good}\n")));
    let claims = json!({"iat": 1_700_000_000, "jti": "refpack", "exp": 1_700_007_200}).to_string();
    push(&server, &signed(sign(&key, &head, claims.as_bytes())).meta("version", json!("2.0.0")));
    let shown = server.send(Request::get("/packages/p/versions")).is_json(200);
    let kinds: Vec<&str> =
        shown["versions"].as_array().unwrap().iter().map(|v| v["signature"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["claims", "manifest"]);
}
