//! How apt asks, byte by byte (`repos.md` §1.8, §11, §16): ten requests before the first answer, dates in whole seconds,
//! odd spellings of paths, parts by date, and what an index named a moment ago.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{create, fetch, upload};
use crate::client::Request;
use crate::files::sha256;
use crate::packages::{DebFile, RpmFile};
use crate::server::Packhouse;
use crate::wire::Wire;

/// A server with the repo `a` of one package.
fn server() -> Packhouse {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "a", "type": "apt", "architectures": ["amd64"] }));
    upload(&server, &DebFile::new("libtool+", "1:1.0~1").build(), "?repo=a");
    server
}

const TOP: &str = "/repo/a/dists/stable/InRelease";
const INDEX: &str = "/repo/a/dists/stable/main/binary-amd64/Packages.gz";

#[test]
fn ten_requests_before_the_first_answer() {
    let server = server();
    let hashed = format!("/repo/a/dists/stable/main/binary-amd64/by-hash/SHA256/{}", sha256(&fetch(&server, INDEX)));
    let stanza = String::from_utf8(fetch(&server, INDEX.strip_suffix(".gz").unwrap())).unwrap();
    let pool = stanza.lines().find_map(|line| line.strip_prefix("Filename: ")).unwrap();
    let pool = format!("/repo/a/{}", pool.replace('+', "%2b").replace('~', "%7e"));
    let paths =
        [TOP, "/repo/a/dists/stable/Release", "/repo/a/none", INDEX, &hashed, &pool, "/repo/a/none/at/all", TOP];
    let mut wire = Wire::open(server.address());
    let mut requests = String::new();
    for path in paths {
        requests += &format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: Debian APT-HTTP/1.3\r\n\r\n");
    }
    // The last two: a part, and a head.
    requests += &format!("GET {pool} HTTP/1.1\r\nHost: x\r\nRange: bytes=3-5\r\n\r\n");
    requests += &format!("HEAD {INDEX} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    wire.send(&requests).unwrap();
    let answers = wire.answers(&[9]).unwrap();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 404, 200, 200, 200, 404, 200, 206, 200]);
    for (path, answer) in paths.iter().zip(&answers).filter(|(_, answer)| answer.status == 200) {
        assert_eq!(answer.body, fetch(&server, path), "{path}");
    }
    assert_eq!(answers[8].body, answers[5].body[3..6]);
    assert_eq!((answers[9].body.len(), answers[9].header("content-encoding")), (0, None));
}

#[test]
fn every_spelling_of_a_path_is_the_same_file() {
    let server = server();
    let expected = fetch(&server, TOP);
    for path in [
        "/repo/a/./dists/stable/InRelease",
        "/repo/a//dists/stable/InRelease",
        "/repo/a/dists//stable/./InRelease",
        "/repo/a/dists/%73table/InRelease",
    ] {
        assert_eq!(fetch(&server, path), expected, "{path}");
    }
    for path in ["/repo/a/../a/dists/stable/InRelease", "/repo/a/%2e%2e/a/x", "/repo/a/dists\\stable/InRelease"] {
        let answer = server.send(Request::get(path));
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
}

#[test]
fn dates_tell_two_publications_of_one_second_apart() {
    let server = server();
    let ask = |name: &str, value: &str| server.send(Request::get(TOP).header(name, value));
    let mut dates = vec![server.send(Request::get(TOP)).header("Last-Modified").unwrap().to_owned()];
    let old_index = fetch(&server, INDEX);
    // Four publications one right after the other are not all of different seconds by the clock.
    for number in 0..4 {
        upload(&server, &DebFile::new(&format!("p{number}"), "1").build(), "?repo=a");
        let answer = server.send(Request::get(TOP));
        let date = answer.header("Last-Modified").unwrap().to_owned();
        for old in &dates {
            let again = ask("If-Modified-Since", old);
            assert_eq!(again.status, 200, "{old} and {date}");
            assert_eq!(again.body, answer.body);
        }
        let same = ask("If-Modified-Since", &date);
        assert_eq!((same.status, same.body.len(), same.header("ETag")), (304, 0, answer.header("ETag")));
        dates.push(date);
    }
    // A client that read the first index finishes its work.
    let hashed = format!("/repo/a/dists/stable/main/binary-amd64/by-hash/SHA256/{}", sha256(&old_index));
    assert_eq!(fetch(&server, &hashed), old_index);

    // A broken-off transfer goes on where it was only while the file is the same.
    let part = |if_range: &str| {
        let request = Request::get(TOP).header("Range", "bytes=10-").header("If-Range", if_range);
        let answer = server.send(request);
        (answer.status, answer.body.len())
    };
    let whole = fetch(&server, TOP).len();
    assert_eq!(part(dates.last().unwrap()), (206, whole - 10));
    let [.., before, _] = dates.as_slice() else { panic!("too few") };
    assert_eq!(part(before), (200, whole));
    assert_eq!(part(&format!("\"{}\"", sha256(&fetch(&server, TOP)))), (206, whole - 10));
    assert_eq!(part("\"another\""), (200, whole));
}

/// What clients of another program are handed is told apart by the program's name.
fn fetch_as(server: &Packhouse, agent: &str, target: &str) -> Vec<u8> {
    let answer = server.send(Request::get(target).header("User-Agent", agent));
    assert_eq!(answer.status, 200, "{agent} {target}");
    answer.body
}

#[test]
fn a_signature_is_that_of_what_the_client_was_handed() {
    let server = server();
    let yum = json!({ "name": "y", "type": "yum" });
    let dir = json!({ "name": "d", "type": "dir" });
    [yum, dir].iter().for_each(|repo| create(&server, repo));
    let mut number = 0;
    let mut publish = |repo: &str| {
        number += 1;
        let (name, query) = (format!("n{number}"), format!("?repo={repo}&filename=n{number}"));
        match repo {
            "y" => upload(&server, &RpmFile::new(&name, "1", "1").build(), &query),
            _ => upload(&server, &DebFile::new(&name, "1").build(), &query),
        };
    };
    let cases = [
        ("y", "repodata/repomd.xml", "repodata/repomd.xml.asc"),
        ("a", "dists/stable/Release", "dists/stable/Release.gpg"),
        ("d", "SHA256SUMS", "SHA256SUMS.asc"),
    ];
    for (repo, signed, signature) in cases {
        let (signed, signature) = (format!("/repo/{repo}/{signed}"), format!("/repo/{repo}/{signature}"));
        // It holds for ten seconds: a machine that stood still meanwhile tries again.
        loop {
            let began = Instant::now();
            let before = fetch_as(&server, "one/1", &signed);
            let expected = fetch_as(&server, "one/1", &signature);
            publish(repo);
            let paired = fetch_as(&server, "one/1", &signature);
            let other = fetch_as(&server, "two/1", &signature);
            if began.elapsed() > Duration::from_secs(5) {
                continue;
            }
            assert!(paired == expected, "{signature} is not that of the file handed out before");
            assert!(other != expected, "{signature} did not change");
            // Whoever has the new file gets the new signature.
            assert!(fetch_as(&server, "one/1", &signed) != before, "{signed} did not change");
            assert!(fetch_as(&server, "one/1", &signature) == other, "{signature} is not that of the new file");
            break;
        }
    }
}
