//! The public clients' requests, byte for byte (`refpack.md` §9).

use crate::server::{ADMIN, Packhouse};

use super::pack::Pack;

/// Status line, head and body of a single answer.
fn ask(server: &Packhouse, head: &str, body: &[u8]) -> (String, String, Vec<u8>) {
    let head = head.replace('\n', "\r\n").replace("HOST", &server.address().to_string());
    let answer = server.send_raw(&[head.as_bytes(), b"\r\n", body].concat());
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.lines().next().unwrap().to_owned();
    (status, head.to_ascii_lowercase(), answer[end + 4..].to_vec())
}

#[test]
fn the_refpack_cli_pushes_and_pulls() {
    let server = Packhouse::start();
    let zip = Pack::new("vendor/codes", "1.0.0+build.7").zip();
    let push = format!(
        "POST /packages HTTP/1.1\nAuthorization: Bearer {ADMIN}\nContent-Type: application/zip\nContent-Length: {}\nAccept: */*\n\
         User-Agent: node-fetch\nAccept-Encoding: gzip, deflate, br\nConnection: keep-alive\nHost: HOST\n",
        zip.len()
    );
    let (status, head, body) = ask(&server, &push, &zip);
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(head.contains("content-type: application/json"));
    let shown: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(shown["success"], true);
    // It shows the reason phrase of a refusal.
    assert_eq!(ask(&server, &push, &zip).0, "HTTP/1.1 409 Conflict");
    assert_eq!(ask(&server, &push.replace(ADMIN, "wrong-key"), &zip).0, "HTTP/1.1 401 Unauthorized");

    let rest =
        "Accept: */*\nUser-Agent: node-fetch\nAccept-Encoding: gzip, deflate, br\nConnection: keep-alive\nHost: HOST\n";
    let get = |target: &str| ask(&server, &format!("GET {target} HTTP/1.1\n{rest}"), b"");
    let (status, head, body) = get("/packages/vendor/codes?version=1.0.0+build.7");
    assert_eq!((status.as_str(), &body), ("HTTP/1.1 200 OK", &zip));
    assert!(!head.contains("content-encoding") && !head.contains("transfer-encoding"));
    assert!(head.contains(&format!("content-length: {}", zip.len())));
    let (status, _, body) = get("/packages/vendor/codes/meta?version=1.0.0+build.7");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let manifest: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(manifest["id"], "vendor/codes");
    assert_eq!(get("/packages/vendor/codes/meta?version=undefined").0, "HTTP/1.1 400 Bad Request");
    assert_eq!(get("/packages/vendor/other").0, "HTTP/1.1 404 Not Found");
}

#[test]
fn the_refwire_cli_pulls() {
    let server = Packhouse::start();
    let zip = super::push(&server, &Pack::new("vendor/codes", "1.0.0"));
    for target in ["/packages/vendor%2Fcodes", "/packages/vendor%2Fcodes?version=1.0.0"] {
        let (status, head, body) = ask(
            &server,
            &format!(
                "GET {target} HTTP/1.1\nAccept: application/json, text/plain, */*\nUser-Agent: axios/1.7.9\n\
                 Accept-Encoding: gzip, compress, deflate, br\nHost: HOST\nConnection: keep-alive\n"
            ),
            b"",
        );
        assert_eq!((status.as_str(), &body), ("HTTP/1.1 200 OK", &zip));
        assert!(head.contains("content-type: application/zip"));
    }
}
