//! Real reference data: Debian's iso-codes, packed, pushed, searched and fetched; and a large set in constant memory.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Request;
use crate::files::{hex, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::pack::{Pack, deflated, zip};
use super::{push, push_zip};

/// A list of Debian's iso-codes, as it stands in its file.
fn iso_codes(standard: &str) -> String {
    let path = format!("/usr/share/iso-codes/json/iso_{standard}.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path} (Debian package iso-codes): {e}"));
    let whole: Value = serde_json::from_str(&text).unwrap();
    let list = whole[standard].as_array().unwrap();
    assert!(list.len() > 200, "{standard}");
    // The array itself, with Debian's own spelling of it.
    let (start, end) = (text.find('[').unwrap(), text.rfind(']').unwrap());
    text[start..=end].to_owned()
}

#[test]
fn iso_codes_come_back_byte_for_byte() {
    let server = Packhouse::start();
    let standards = [
        ("3166-1", "countries", "alpha_3", r#"["alpha_2","alpha_3","name","numeric"]"#),
        ("3166-2", "subdivisions", "code", r#"["code","name","type"]"#),
        ("639-3", "languages", "alpha_3", r#"["alpha_3","name","scope","type"]"#),
    ];
    for (standard, name, id_field, required) in standards {
        let data = iso_codes(standard);
        let schema = format!(
            "{{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"type\":\"array\",\"items\":{{\"type\":\"object\",\
             \"required\":{required},\"additionalProperties\":true,\"properties\":{{\"{id_field}\":{{\"type\":\"string\",\
             \"pattern\":\"^[A-Za-z0-9-]+$\"}},\"name\":{{\"type\":\"string\",\"minLength\":1}}}}}}}}"
        );
        let pack = Pack::new(&format!("iso/{name}"), "4.15.0")
            .meta("title", json!(format!("ISO {standard}")))
            .meta("idField", json!(id_field))
            .meta("tags", json!(["iso", name]))
            .file("data.json", data.clone())
            .file("data.schema.json", schema.clone())
            .file("data.readme.md", "# ISO codes\n\nFrom Debian's iso-codes.\n");
        let zip = push(&server, &pack);
        let get = |action: &str| server.send(Request::get(&format!("/packages/iso/{name}{action}")));
        assert_eq!(get("").body, zip);
        assert_eq!(get("/data").text(), data);
        assert_eq!(get("/schema").text(), schema);
        assert_eq!(get("/meta").body, pack.manifest());
        assert_eq!(get("/data").header("X-Checksum-Sha256"), Some(sha256(data.as_bytes()).as_str()));
    }
    let found = |query: &str| server.send(Request::get(&format!("/packages/advanced-search?{query}"))).is_json(200);
    assert_eq!(found("tags=iso")["totalCount"], 3);
    assert_eq!(found("q=iso%20639")["items"][0]["id"], "iso/languages");
    assert_eq!(found("filters=idField:alpha_3&ownerId=iso")["totalCount"], 2);
}

#[test]
fn a_hundred_megabytes_in_constant_memory() {
    let server = Packhouse::start();
    push(
        &server,
        &Pack::new("warm-up", "1.0.0").file("data.schema.json", r#"{"type":"array","items":{"required":["id"]}}"#),
    );
    let random = noise(3, 64 << 10);
    let mut data = String::with_capacity(101 << 20);
    data.push('[');
    let mut number = 0;
    while data.len() < 100 << 20 {
        let from = number * 37 % (random.len() - 64);
        let name = hex(&random[from..from + 48]);
        write!(
            data,
            "{}{{\"id\":{number},\"name\":\"{name}\",\"n\":[1,2.5,null]}}",
            if number == 0 { "" } else { ",\n" }
        )
        .unwrap();
        number += 1;
    }
    data.push(']');
    let digest = sha256(data.as_bytes());
    let size = data.len();
    let schema = r#"{"type":"array","items":{"type":"object","required":["id","name"],
        "properties":{"id":{"type":"integer"},"name":{"type":"string","pattern":"^[0-9a-f]+$"}}}}"#;
    for (id, schema) in [("large/plain", None), ("large/checked", Some(schema))] {
        let mut entries = vec![
            deflated("data.json", data.as_bytes()),
            deflated("data.meta.json", &Pack::new(id, "1.0.0").manifest()),
        ];
        entries.extend(schema.map(|schema| deflated("data.schema.json", schema.as_bytes())));
        let zip = zip(&entries);
        server.forget_peak();
        let before = server.peak_memory();
        push_zip(&server, zip);
        let mut hash = Sha256::new();
        let mut connection = server.connect();
        let mut length = 0;
        let answer = connection.send_into(Request::get(&format!("/packages/{id}/data")), &mut |piece| {
            hash.update(piece);
            length += piece.len();
        });
        assert_eq!((answer.status, length, hex(&hash.finalize())), (200, size, digest.clone()));
        assert_eq!(answer.header("Content-Length"), Some(size.to_string().as_str()));
        let grown = server.peak_memory().saturating_sub(before);
        assert!(grown < 48 << 20, "{id}: memory grew by {} MiB", grown >> 20);
    }
    let archived = server.send(Request::post("/packages/large/plain/archive").header("X-API-Key", ADMIN));
    assert_eq!(archived.status, 200);
}
