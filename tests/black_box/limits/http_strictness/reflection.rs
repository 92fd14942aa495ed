//! Line ends in input, written as escapes, never become line ends in answer heads.

use crate::rig;
use crate::server::Packhouse;
use crate::wire::{self, Answer};

/// Spellings of "end this line and begin another field".
const SPELLINGS: [&str; 10] = [
    "a%0d%0aX-Evil:%20yes",
    "a%0D%0AX-Evil:%20yes",
    "a%0aX-Evil:%20yes",
    "a%0dX-Evil:%20yes",
    "a%0d%0a%0d%0a<script>",
    "a%250d%250aX-Evil:%20yes",
    "a%e5%98%8a%e5%98%8dX-Evil:%20yes",
    "a%c4%8d%c4%8aX-Evil:%20yes",
    "a%e2%80%a8X-Evil:%20yes",
    "a%c2%85X-Evil:%20yes",
];

/// The head holds only printable ASCII and no field of the attacker's.
fn judge(what: &str, answer: &Answer) {
    assert!(answer.header("x-evil").is_none(), "{what}: {}", answer.head);
    let plain = |line: &str| line.bytes().all(|c| (0x20..0x7f).contains(&c));
    assert!(answer.head.split("\r\n").all(plain), "{what}: {:?}", answer.head);
    assert!(answer.status < 500, "{what}: {answer:?}");
}

#[test]
fn escapes_in_paths_queries_and_fields_stay_text() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    for spelling in SPELLINGS {
        let paths = [
            format!("/{spelling}"),
            format!("/health?{spelling}"),
            format!("/fetch/{spelling}"),
            format!("/product/{spelling}"),
            format!("/product/fetch/{spelling}"),
            format!("/product/modify/{spelling}"),
            format!("/product/download/p/{spelling}"),
            format!("/product/download/{spelling}/v"),
            format!("/api/product/download/{spelling}/v"),
        ];
        for path in paths {
            for method in ["GET", "DELETE", "PUT"] {
                let fields = format!(
                    "Referer: {spelling}\r\nUser-Agent: {spelling}\r\nOrigin: http://{spelling}\r\nContent-Length: 0\r\n"
                );
                let answer = wire::ask(address, rig::request(method, &path, &fields));
                judge(&format!("{method} {path}"), &answer.expect("an answer"));
            }
        }
    }
}

/// Names that are kept and come back: in `Location`, and in `Content-Disposition` of the download.
#[test]
fn stored_names_come_back_without_line_ends() {
    let server = Packhouse::start();
    let address = server.address();
    let mut kept = 0;
    for (index, spelling) in SPELLINGS.iter().enumerate() {
        // As text with the percent signs, and as the characters themselves.
        let decoded = percent_encoding::percent_decode_str(spelling).decode_utf8_lossy().into_owned();
        for (form, name) in [("text", (*spelling).to_owned()), ("decoded", decoded)] {
            let what = format!("{spelling} as {form}");
            let body = serde_json::json!({ "name": &name }).to_string();
            let made = wire::ask(address, rig::json_request("PUT", "/product/create", &body)).expect("an answer");
            judge(&what, &made);
            let control = name.chars().any(char::is_control);
            assert_eq!(made.status, if control { 400 } else { 201 }, "{what}: {made:?}");
            if control {
                continue;
            }
            let file = format!("f{index}.bin");
            let body = String::from_utf8(rig::upload_body(&name, &name, b"bytes")).expect("text");
            let body = body.replace("filename=\"file.bin\"", &format!("filename=\"{name}{file}\""));
            let head = rig::upload_head(&format!("Content-Length: {}\r\n", body.len()));
            let stored = wire::ask(address, head + &body).expect("an answer");
            judge(&what, &stored);
            assert_eq!(stored.status, 201, "{what}: {stored:?}");
            let location = stored.header("location").expect("the Location of an upload").to_owned();
            let read = wire::ask(address, rig::request("GET", &location, "")).expect("an answer");
            judge(&what, &read);
            assert_eq!((read.status, &read.body[..]), (200, &b"bytes"[..]), "{what}: {location}");
            assert!(
                read.header("content-disposition").is_some_and(|value| value.starts_with("attachment; filename=\""))
            );
            kept += 1;
        }
    }
    assert!(kept >= SPELLINGS.len(), "{kept} names were kept");
    // Line ends inside `filename*` and raw in `filename` are cut out or refused, never sent on.
    for disposition in [
        "filename*=UTF-8''a%0d%0aX-Evil:%20yes.bin",
        "filename=\"a\\\r\\\nX-Evil: yes.bin\"",
        "filename*=UTF-8''a%00b.bin; filename=\"c\u{7f}d\u{1b}[31m.bin\"",
    ] {
        rig::create_product(address, &format!("line{}", disposition.len()));
        let product = format!("line{}", disposition.len());
        let body = String::from_utf8(rig::upload_body(&product, "v", b"bytes")).expect("text");
        let body = body.replace("filename=\"file.bin\"", disposition);
        let head = rig::upload_head(&format!("Content-Length: {}\r\n", body.len()));
        let stored = wire::ask(address, head + &body).expect("an answer");
        judge(disposition, &stored);
        assert!([201, 400].contains(&stored.status), "{disposition}: {stored:?}");
        if stored.status == 201 {
            judge(disposition, &rig::download(address, &product, "v").expect("a download"));
        }
    }
}
