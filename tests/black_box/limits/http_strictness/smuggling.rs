//! A second request hidden in the body of a first is never carried out, whatever the first is answered.

use super::FOLLOW_ON;
use crate::rig::{self, TOKEN};
use crate::server::Packhouse;
use crate::wire::{self, Wire};

/// A request that would be noticed: it makes a product of this name.
fn hidden(name: &str) -> String {
    rig::json_request("PUT", "/product/create", &format!("{{\"name\":\"smuggled-{name}\"}}"))
}

/// A chunk that holds `text`, with the end of the stream behind it.
fn chunked(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len())
}

/// Requests whose bodies hide another: each with a name.
fn probes() -> Vec<(String, Vec<u8>)> {
    let mut probes = Vec::new();
    let mut add = |name: &str, bytes: String| probes.push((name.to_owned(), bytes.into_bytes()));
    let known = format!("X-Api-Token: {TOKEN}\r\n");
    // Answers that need no body: each leaves one unread.
    let unread = [
        ("health", "GET /health", ""),
        ("health-head", "HEAD /health", ""),
        ("list", "GET /product/access", known.as_str()),
        ("stranger-create", "PUT /product/create", ""),
        ("stranger-upload", "POST /product/upload", ""),
        ("stranger-delete", "DELETE /product/delete/x/y", ""),
        ("wrong-token", "POST /product/upload", "X-Api-Token: wrong-wrong-wrong\r\n"),
        ("wrong-method", "PATCH /product/upload", known.as_str()),
        ("unknown-path", "POST /product/nowhere", known.as_str()),
        ("unknown-product", "GET /product/fetch/nobody", known.as_str()),
        ("bad-escape", "GET /product/fetch/%zz", known.as_str()),
        ("no-multipart", "POST /product/upload", known.as_str()),
        ("unknown-method", "BREW /product/access", known.as_str()),
        ("trace", "TRACE /", known.as_str()),
        ("options", "OPTIONS /product/upload", known.as_str()),
    ];
    for (name, line, fields) in unread {
        let inner = hidden(&format!("sized-{name}"));
        let length = inner.len();
        add(name, format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\n\r\n{inner}"));
        let body = chunked(&hidden(&format!("chunked-{name}")));
        add(name, format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{body}"));
        // Larger than what is read away: the connection must end instead.
        let inner = hidden(&format!("large-{name}")).repeat(4_000);
        let length = inner.len();
        add(name, format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\n\r\n{inner}"));
        // Refused before `100 Continue`, sent nevertheless.
        let inner = hidden(&format!("expected-{name}"));
        let fields = format!("{fields}Expect: 100-continue\r\nContent-Length: {}\r\n", inner.len());
        add(name, format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{inner}"));
    }
    // Two readings of where the first request ends: behind the shorter one a request waits.
    let desync = [
        ("cl-te", "Content-Length: {C}\r\nTransfer-Encoding: chunked\r\n"),
        ("te-cl", "Transfer-Encoding: chunked\r\nContent-Length: {C}\r\n"),
        ("cl-zero-te", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        ("te-cl-zero", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("te-case-cl", "Transfer-encoding: Chunked\r\nContent-Length: 5\r\n"),
        ("te-blank", "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n"),
        ("te-tab", "Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n"),
        ("te-folded", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n"),
        ("te-unknown", "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n"),
        ("te-twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n"),
        ("te-identity", "Transfer-Encoding: identity\r\nContent-Length: 5\r\n"),
        ("te-underscore", "Transfer_Encoding: chunked\r\nContent-Length: {C}\r\n"),
        ("te-cr", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("te-lf", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("te-nul", "Transfer-Encoding: chunked\0\r\nContent-Length: 5\r\n"),
        ("cl-twice", "Content-Length: 5\r\nContent-Length: {C}\r\n"),
        ("cl-twice-rev", "Content-Length: {C}\r\nContent-Length: 5\r\n"),
        ("cl-list", "Content-Length: 5, {C}\r\n"),
        ("cl-plus", "Content-Length: +5\r\n"),
        ("cl-minus", "Content-Length: -1\r\n"),
        ("cl-letter", "Content-Length: 5x\r\n"),
        ("cl-blank-name", "Content-Length : 5\r\n"),
        ("cl-wrap", "Content-Length: 18446744073709551621\r\n"),
    ];
    for (name, fields) in desync {
        let inner = hidden(&format!("desync-{name}"));
        let body = format!("0\r\n\r\n{inner}");
        let fields = fields.replace("{C}", &body.len().to_string());
        add(name, format!("POST /product/upload HTTP/1.1\r\nHost: x\r\n{known}{fields}\r\n{body}"));
        let old = format!("POST /product/upload HTTP/1.0\r\nConnection: keep-alive\r\n{known}{fields}\r\n{body}");
        add(&format!("{name} on 1.0"), old);
    }
    // Ends of chunks that one reader takes and another does not.
    let streams = [
        ("ext-lf", "5;\nxxxxx\r\n0\r\n\r\n"),
        ("ext-cr", "5;\rxxxxx\r\n0\r\n\r\n"),
        ("size-lf", "5\nxxxxx\r\n0\r\n\r\n"),
        ("size-wrap", "10000000000000005\r\nxxxxx\r\n0\r\n\r\n"),
        ("size-minus", "-1\r\nxxxxx\r\n0\r\n\r\n"),
        ("size-0x", "0x5\r\nxxxxx\r\n0\r\n\r\n"),
        ("last-lf", "5\r\nxxxxx\r\n0\n\n"),
        ("no-end", "5\r\nxxxxx0\r\n\r\n"),
        ("data-long", "5\r\nxxxxxyy\r\n0\r\n\r\n"),
    ];
    for (name, stream) in streams {
        let inner = hidden(&format!("chunks-{name}"));
        let head = rig::upload_head("Transfer-Encoding: chunked\r\n");
        add(name, format!("{head}{stream}{inner}"));
        let stranger = "POST /product/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        add(&format!("{name} of a stranger"), format!("{stranger}{stream}{inner}"));
    }
    probes
}

#[test]
fn hidden_requests_are_never_carried_out() {
    let server = Packhouse::start();
    let probes = probes();
    let mut faults = Vec::new();
    for (name, bytes) in &probes {
        let mut wire = Wire::open(server.address());
        // Large ones are cut off by the answer; that is the point.
        let _ = wire.send([bytes, FOLLOW_ON].concat());
        wire.finish();
        let heads = if bytes.starts_with(b"HEAD") { &[0][..] } else { &[] };
        match wire.answers(heads) {
            Ok(answers) if answers.len() > 2 => faults.push(format!("{name}: {} answers", answers.len())),
            Ok(answers) if answers.iter().any(|answer| answer.status == 201) => {
                faults.push(format!("{name}: a hidden request was carried out"));
            }
            Ok(answers) if answers.iter().any(|answer| answer.status >= 500 && answer.status != 501) => {
                faults.push(format!("{name}: {answers:?}"));
            }
            Ok(_) => {}
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    let products = rig::products(server.address()).expect("the list of products");
    assert!(products.is_empty(), "made by hidden requests: {products:?}");
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), probes.len(), faults.join("\n"));
}

/// Header fields that other software takes for a method or a path mean nothing here.
#[test]
fn overriding_fields_mean_nothing() {
    let server = Packhouse::start();
    rig::create_product(server.address(), "kept");
    let fields = [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /product/delete/kept",
        "X-Rewrite-URL: /product/delete/kept",
        "X-Original-Method: DELETE",
        "X-Forwarded-Prefix: /product/delete/kept",
        "X-Forwarded-Uri: /product/delete/kept",
    ];
    for field in fields {
        let both = format!("X-HTTP-Method-Override: DELETE\r\n{field}\r\n");
        for (path, expected) in [("/health", 200), ("/product/access", 200), ("/product/delete/kept", 405)] {
            let answer = wire::ask(server.address(), rig::request("GET", path, &both)).expect("an answer");
            assert_eq!(answer.status, expected, "{field} on {path}: {answer:?}");
        }
        let list = rig::request("GET", "/product/access?_method=DELETE", &both);
        assert_eq!(wire::ask(server.address(), list).expect("an answer").status, 200, "{field}");
    }
    assert_eq!(rig::products(server.address()).expect("the list"), ["kept".to_owned()]);
}
