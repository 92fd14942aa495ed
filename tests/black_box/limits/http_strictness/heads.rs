//! The table of request heads: lengths, codings, request lines, hosts and fields, broken in every known way.

use super::{Expect, Table, get};

pub(super) fn table() -> Table {
    let mut table = Table::default();
    lengths(&mut table);
    codings(&mut table);
    request_lines(&mut table);
    targets(&mut table);
    hosts(&mut table);
    field_names(&mut table);
    line_ends(&mut table);
    sizes(&mut table);
    expectations(&mut table);
    strangers(&mut table);
    table
}

/// A `POST` that carries `fields` and then `body`.
fn post(fields: &str, body: &str) -> String {
    format!("POST /product/upload HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
}

fn lengths(table: &mut Table) {
    let bad = [
        ("empty", ""),
        ("word", "abc"),
        ("plus", "+3"),
        ("minus", "-3"),
        ("minus zero", "-0"),
        ("trailing letter", "3x"),
        ("hex", "0x3"),
        ("exponent", "3e0"),
        ("fraction", "3.0"),
        ("two in one, equal", "3, 3"),
        ("two in one, different", "3, 4"),
        ("blank inside", "3 3"),
        ("parameter", "3;q=1"),
        ("quoted", "\"3\""),
        ("vertical tab", "\u{b}3"),
        ("form feed", "3\u{c}"),
        ("full-width digit", "\u{ff13}"),
        ("thousands", "3_000"),
        ("above 2^63", "9223372036854775809"),
        ("2^64 - 1", "18446744073709551615"),
        ("2^64", "18446744073709551616"),
        ("2^64 + 3", "18446744073709551619"),
        ("40 digits", "1000000000000000000000000000000000000000"),
    ];
    for (name, value) in bad {
        table.bad(&format!("length: {name}"), post(&format!("Content-Length: {value}\r\n"), "abc"));
    }
    table.bad("length: twice, equal", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"));
    table.bad("length: twice, different", post("Content-Length: 3\r\nContent-Length: 30\r\n", "abc"));
    table.bad("length: twice in two cases", post("Content-Length: 3\r\ncontent-length: 3\r\n", "abc"));
    table.bad("length: good then empty", post("Content-Length: 3\r\nContent-Length:\r\n", "abc"));
    table.bad("length: broken on a GET", get("Content-Length: x\r\n"));
    table.bad("length: twice on a GET", get("Content-Length: 0\r\nContent-Length: 0\r\n"));
    table.good(&[401], "length: no blank before it", post("Content-Length:3\r\n", "abc"));
    table.good(&[401], "length: blanks round it", post("Content-Length: \t 3 \t\r\n", "abc"));
    table.good(&[401], "length: zero", post("Content-Length: 0\r\n", ""));
    table.open(&[400, 401], "length: leading zeros", post("Content-Length: 00003\r\n", "abc"));
    table.good(&[200], "length: a body on a GET", [get("Content-Length: 3\r\n"), b"abc".to_vec()].concat());
}

fn codings(table: &mut Table) {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    table.bad("coding: with a length behind", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", chunks));
    table.bad("coding: with a length before", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", chunks));
    table.bad("coding: with a length of zero", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunks));
    table.bad("coding: with a length, on a GET", get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"));
    table.bad("coding: two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks));
    let two = "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n";
    table.refused(&[400, 501], "coding: two different fields", post(two, chunks));
    let two = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n";
    table.refused(&[400, 501], "coding: identity, then chunked", post(two, chunks));
    let old = "POST /product/upload HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    table.bad("coding: chunked on HTTP/1.0", old);
    let unknown = [
        ("identity", "identity"),
        ("gzip", "gzip"),
        ("gzip, then chunked", "gzip, chunked"),
        ("chunked, then gzip", "chunked, gzip"),
        ("chunked twice in one", "chunked, chunked"),
        ("letters before", "xchunked"),
        ("letters behind", "chunkedx"),
        ("blank inside", "chun ked"),
        ("parameter", "chunked;q=1"),
        ("empty", ""),
        ("comma behind", "chunked,"),
        ("comma before", ",chunked"),
        ("quoted", "\"chunked\""),
        ("vertical tab", "\u{b}chunked"),
        ("form feed", "chunked\u{c}"),
        ("no-break space", "\u{a0}chunked"),
        ("dotted capital", "chun\u{212a}ed"),
    ];
    for (name, value) in unknown {
        let bytes = post(&format!("Transfer-Encoding: {value}\r\n"), chunks);
        table.refused(&[400, 501], &format!("coding: {name}"), bytes);
    }
    table.open(&[401], "coding: chunked", post("Transfer-Encoding: chunked\r\n", chunks));
    table.open(&[401], "coding: any case", post("transfer-ENCODING: ChunKed\r\n", chunks));
    table.open(&[401], "coding: blanks round it", post("Transfer-Encoding: \t chunked \t\r\n", chunks));
    table.good(&[200], "coding: TE and Trailer mean nothing", get("TE: trailers, gzip\r\nTrailer: X\r\n"));
}

fn request_lines(table: &mut Table) {
    let bad = [
        ("two blanks before the target", "GET  /health HTTP/1.1"),
        ("two blanks before the version", "GET /health  HTTP/1.1"),
        ("tab before the target", "GET\t/health HTTP/1.1"),
        ("tab before the version", "GET /health\tHTTP/1.1"),
        ("blank before the method", " GET /health HTTP/1.1"),
        ("blank behind the version", "GET /health HTTP/1.1 "),
        ("words behind the version", "GET /health HTTP/1.1 x"),
        ("a version twice", "GET /health HTTP/1.1 HTTP/1.1"),
        ("no method", "/health HTTP/1.1"),
        ("no target", "GET HTTP/1.1"),
        ("only a method", "GET"),
        ("a bracket in the method", "G(T /health HTTP/1.1"),
        ("a control character in the method", "G\u{1}T /health HTTP/1.1"),
        ("a colon in the method", "GET: /health HTTP/1.1"),
        ("a letter in the method that is no ASCII", "G\u{c9}T /health HTTP/1.1"),
        ("a NUL in the method", "GET\0 /health HTTP/1.1"),
    ];
    for (name, line) in bad {
        table.bad(&format!("request line: {name}"), format!("{line}\r\nHost: x\r\n\r\n"));
    }
    let versions = [
        ("0.9", "HTTP/0.9"),
        ("1.2", "HTTP/1.2"),
        ("1.10", "HTTP/1.10"),
        ("2.0", "HTTP/2.0"),
        ("2", "HTTP/2"),
        ("3", "HTTP/3.0"),
        ("11", "HTTP/11"),
        ("a comma", "HTTP/1,1"),
        ("01.1", "HTTP/01.1"),
        ("a blank", "HTTP/ 1.1"),
        ("lower case", "http/1.1"),
        ("another protocol", "ICAP/1.1"),
        ("a letter short", "HTP/1.1"),
        ("no number", "HTTP/"),
        ("a letter for a number", "HTTP/1.x"),
    ];
    for (name, version) in versions {
        let bytes = format!("GET /health {version}\r\nHost: x\r\n\r\n");
        table.refused(&[400, 505], &format!("version: {name}"), bytes);
    }
    table.refused(&[505], "version: 2.0 is a version", "GET /health HTTP/2.0\r\nHost: x\r\n\r\n");
    table.refused(&[400, 505], "version: none", "GET /health\r\nHost: x\r\n\r\n");
    table.open(&[401, 405, 501], "method: unknown", "BREW /health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[400, 401, 405, 501], "method: lower case", "get /health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(
        &[400, 401, 405, 501],
        "method: a long token",
        format!("{} /health HTTP/1.1\r\nHost: x\r\n\r\n", "M".repeat(300)),
    );
    table.open(&[200, 400], "an empty line before the request", [b"\r\n".to_vec(), get("")].concat());
    table.open(&[401, 405, 501], "TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: s\r\n\r\n");
    table.open(&[401, 405, 501], "TRACE of a route", "TRACE /health HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n");
    table.open(
        &[400, 401, 404, 405, 501],
        "CONNECT",
        "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n",
    );
    table.open(&[400, 401, 404, 405, 501], "CONNECT a path", "CONNECT /health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[200, 204, 400, 401, 404, 405, 501], "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
}

fn targets(table: &mut Table) {
    let bad = [
        ("a blank", "/hea lth"),
        ("a NUL", "/health\0"),
        ("a control character", "/heal\u{1}th"),
        ("an escape", "/health\u{1b}[0m"),
        ("DEL", "/health\u{7f}"),
        ("a raw umlaut", "/gr\u{f6}\u{df}e"),
        ("a raw emoji in the query", "/health?\u{1f4a5}"),
        ("no slash", "health"),
        ("a star on GET", "*"),
        ("host and port on GET", "example.org:80"),
        ("another scheme", "ftp://example.org/health"),
        ("a scheme alone", "http:"),
        ("a scheme and nothing", "http://"),
        ("a vertical tab", "/health\u{b}"),
    ];
    for (name, target) in bad {
        table.bad(&format!("target: {name}"), format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    // Bytes that are not even UTF-8.
    table.bad("target: byte 0xff", b"GET /health\xff HTTP/1.1\r\nHost: x\r\n\r\n");
    table.bad("target: an overlong slash", b"GET /\xc0\xaf HTTP/1.1\r\nHost: x\r\n\r\n");
    table.good(&[200], "target: absolute, host ignored", "GET http://other.example/health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.good(&[200], "target: absolute with a port", "GET http://x:8080/health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[200, 400], "target: absolute, capital scheme", "GET HTTP://x/health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[200, 400], "target: absolute, https", "GET https://x/health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[200, 400], "target: absolute with a user", "GET http://me@x/health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[200, 400, 401, 404], "target: a fragment", "GET /health#part HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[400, 401, 404], "target: two slashes", "GET //health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.open(&[400, 401, 404], "target: dot segments", "GET /product/../health HTTP/1.1\r\nHost: x\r\n\r\n");
    table.good(&[200], "target: an empty query", "GET /health? HTTP/1.1\r\nHost: x\r\n\r\n");
    let long = format!("GET /health?{} HTTP/1.1\r\nHost: x\r\n\r\n", "q".repeat(8 * 1024));
    table.refused(&[414], "target: past 8 KiB", long);
    let long = format!("GET /health?{} HTTP/1.1\r\nHost: x\r\n\r\n", "q".repeat(8 * 1024 - 8));
    table.good(&[200], "target: just below 8 KiB", long);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "q".repeat(40 * 1024));
    table.refused(&[414, 431], "target: past the whole head", long);
}

fn hosts(table: &mut Table) {
    table.bad("host: none on 1.1", "GET /health HTTP/1.1\r\n\r\n");
    table.bad("host: none, other fields", "GET /health HTTP/1.1\r\nAccept: */*\r\n\r\n");
    table.bad("host: two", "GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
    table.bad("host: two, equal", "GET /health HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n");
    table.bad("host: none, absolute target", "GET http://x/health HTTP/1.1\r\n\r\n");
    table.open(&[200, 400], "host: empty", "GET /health HTTP/1.1\r\nHost:\r\n\r\n");
    table.open(&[200, 400], "host: with blanks", "GET /health HTTP/1.1\r\nHost: a b\r\n\r\n");
    table.open(&[200, 400], "host: with a path", "GET /health HTTP/1.1\r\nHost: x/../y\r\n\r\n");
    table.open(&[200, 400], "host: two in one", "GET /health HTTP/1.1\r\nHost: x, y\r\n\r\n");
    let old = "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    table.open(&[200], "host: none on 1.0", old);
    let old = "GET /health HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    table.open(&[200], "host: one on 1.0", old);
    table.open(&[200, 400], "host: two on 1.0", "GET /health HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n");
}

fn field_names(table: &mut Table) {
    let bad = [
        ("blank before the colon", "X-A : 1"),
        ("tab before the colon", "X-A\t: 1"),
        ("blank before the colon of a length", "Content-Length : 3"),
        ("blank before the colon of a coding", "Transfer-Encoding : chunked"),
        ("no name", ": 1"),
        ("a blank name", " : 1"),
        ("blank inside", "X A: 1"),
        ("no colon", "X-A"),
        ("a bracket", "X(A): 1"),
        ("an at sign", "X@A: 1"),
        ("a quote", "\"X\": 1"),
        ("a slash", "X/A: 1"),
        ("a control character", "X\u{1}A: 1"),
        ("a NUL", "X\0A: 1"),
        ("a letter that is no ASCII", "Gr\u{f6}\u{df}e: 1"),
        ("folded by a blank", "X-A: 1\r\n 2"),
        ("folded by a tab", "X-A: 1\r\n\t2"),
        ("folded into a field", "X-A: 1\r\n Content-Length: 3"),
        ("folded, empty line", "X-A: 1\r\n \r\nX-B: 2"),
    ];
    for (name, line) in bad {
        table.bad(&format!("field: {name}"), get(&format!("{line}\r\n")));
    }
    table.bad("field: first line indented", "GET /health HTTP/1.1\r\n Host: x\r\n\r\n");
    table.bad("value: a NUL", get("X-A: a\0b\r\n"));
    table.open(&[200, 400], "value: a control character", get("X-A: a\u{1}b\r\n"));
    table.open(&[200, 400], "value: DEL", get("X-A: a\u{7f}b\r\n"));
    table.good(&[200], "value: bytes above 0x7f", get("X-A: gr\u{f6}\u{df}e \u{1f4a5}\r\n"));
    let latin = b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: gr\xf6\xdfe \xff\r\n\r\n";
    table.good(&[200], "value: bytes that are no UTF-8", latin);
    table.good(&[200], "value: empty", get("X-A:\r\nX-B: \r\n"));
    table.good(&[200], "value: a tab inside", get("X-A: a\tb\r\n"));
    table.good(&[200], "name: every token mark", get("!#$%&'*+-.^_`|~09aZ: 1\r\n"));
}

fn line_ends(table: &mut Table) {
    table.bad("line end: only LF everywhere", "GET /health HTTP/1.1\nHost: x\n\n");
    table.bad("line end: LF behind the request line", "GET /health HTTP/1.1\nHost: x\r\n\r\n");
    table.bad("line end: LF behind a field", "GET /health HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n");
    table.bad("line end: LF behind the last field", "GET /health HTTP/1.1\r\nHost: x\n\r\n");
    table.bad("line end: LF for the empty line", "GET /health HTTP/1.1\r\nHost: x\r\n\n");
    table.bad("line end: CR alone behind the request line", "GET /health HTTP/1.1\rHost: x\r\n\r\n");
    table.bad("line end: CR alone behind a field", "GET /health HTTP/1.1\r\nHost: x\rX-A: 1\r\n\r\n");
    table.bad("line end: CR inside a value", "GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n");
    table.bad("line end: CR CR LF", "GET /health HTTP/1.1\r\nHost: x\r\r\n\r\n");
    table.bad("line end: LF CR", "GET /health HTTP/1.1\n\rHost: x\n\r\n\r");
    table.bad("line end: a CR before the method", [b"\r".to_vec(), get("")].concat());
    table.bad("line end: a length hidden behind a CR", get("X-A: 1\rContent-Length: 3\r\n"));
    table.bad("line end: a length hidden behind a LF", get("X-A: 1\nContent-Length: 3\r\n"));
}

fn sizes(table: &mut Table) {
    let fields = |count: usize| (0..count).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    table.good(&[200], "size: 100 fields", get(&fields(99)));
    table.refused(&[431], "size: 101 fields", get(&fields(100)));
    table.refused(&[431], "size: 5,000 fields", get(&fields(5_000)));
    table.good(&[200], "size: a head of 31 KiB", get(&format!("X-A: {}\r\n", "a".repeat(31 * 1024))));
    table.refused(&[431], "size: a head of 33 KiB", get(&format!("X-A: {}\r\n", "a".repeat(33 * 1024))));
    table.refused(&[431], "size: a name of 33 KiB", get(&format!("{}: 1\r\n", "a".repeat(33 * 1024))));
    let spread: String = (0..90).map(|i| format!("X-{i}: {}\r\n", "a".repeat(400))).collect();
    table.refused(&[431], "size: 35 KiB in many fields", get(&spread));
    table.refused(&[400, 431], "size: 64 KiB without a line end", "G".repeat(64 * 1024));
}

fn expectations(table: &mut Table) {
    table.open(&[417], "expect: something else", post("Expect: 200-ok\r\nContent-Length: 3\r\n", "abc"));
    table.open(
        &[417],
        "expect: more than 100-continue",
        post("Expect: 100-continue, x\r\nContent-Length: 3\r\n", "abc"),
    );
    table.open(&[417], "expect: on a GET", get("Expect: tea\r\n"));
    table.open(&[401], "expect: 100-continue", post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"));
    table.open(&[401], "expect: any case", post("EXPECT: 100-CONTINUE\r\nContent-Length: 3\r\n", "abc"));
    table.open(&[200], "expect: 100-continue without a body", get("Expect: 100-continue\r\n"));
}

fn strangers(table: &mut Table) {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz012345\x20";
    table.add(Expect::RefusedOrClosed, &[400], "a TLS greeting", hello);
    table.add(Expect::RefusedOrClosed, &[400], "an SSH greeting", "SSH-2.0-OpenSSH_9.2\r\n");
    table.refused(&[400, 405, 505], "an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    table.add(Expect::RefusedOrClosed, &[400], "all 256 bytes", (0..=255).collect::<Vec<u8>>());
    table.add(Expect::RefusedOrClosed, &[400], "NULs", [0; 4096]);
    table.add(Expect::RefusedOrClosed, &[400], "only a colon", ":\r\n\r\n");
    table.good(
        &[200],
        "an upgrade offered",
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    );
    table.good(
        &[200],
        "an upgrade to a web socket",
        get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    );
    table.good(&[200], "hop-by-hop words", get("Keep-Alive: timeout=99999999999\r\nProxy-Connection: close\r\n"));
}
