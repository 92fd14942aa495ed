//! Packages made to harm, uploaded (`repos.md` §9.3): each is refused in words and changes nothing, and memory stays small.

use serde_json::json;

use super::{create, fetch, fetch_text, gunzip, upload};
use crate::client::Request;
use crate::files::{hex, sha256};
use crate::packages::{
    DebFile, Dependency, MAIN_REGION, Packing, RpmFile, SIGNATURE_REGION, Value, ar, rpm_header, tar, tar_head,
};
use crate::server::{ADMIN, Packhouse, wait_for};

/// Everything a package could change, as it is seen from outside and on the disk.
fn state(server: &Packhouse) -> Vec<Vec<u8>> {
    let paths = [
        "/package",
        "/repo/y/packages",
        "/repo/a/packages",
        "/repo/y/repodata/repomd.xml",
        "/repo/a/dists/stable/InRelease",
    ];
    let mut state: Vec<Vec<u8>> = paths.iter().map(|path| fetch(server, path)).collect();
    let mut shelf = server.shelf_files();
    shelf.sort();
    state.push(format!("{shelf:?}").into_bytes());
    state
}

/// An rpm whose main header is this; its digests are right.
fn rpm_with(main: &[u8]) -> Vec<u8> {
    let payload = b"payload of tool 1.0 1".len() as u32;
    let signature = rpm_header(
        SIGNATURE_REGION,
        &[
            (273, Value::Text(sha256(main).into_bytes())),
            (1000, Value::U32(vec![main.len() as u32 + payload])),
            (1007, Value::U32(vec![payload])),
        ],
    );
    RpmFile::new("tool", "1.0", "1").assemble(&signature, main)
}

/// The good header with one number of one index entry replaced: `field` 4 is the type, 8 the offset, 12 the count.
fn lying(tag: u32, field: usize, value: u32) -> Vec<u8> {
    let mut main = RpmFile::new("tool", "1.0", "1").require("libc").main_header();
    let count = u32::from_be_bytes(main[8..12].try_into().unwrap()) as usize;
    let entry = (0..count).map(|at| 16 + at * 16).find(|at| main[*at..at + 4] == tag.to_be_bytes()).unwrap();
    main[entry + field..entry + field + 4].copy_from_slice(&value.to_be_bytes());
    rpm_with(&main)
}

fn intro(entries: u32, store: u32) -> Vec<u8> {
    rpm_with(&[&[0x8E, 0xAD, 0xE8, 1, 0, 0, 0, 0][..], &entries.to_be_bytes(), &store.to_be_bytes()].concat())
}

fn rpms() -> Vec<(&'static str, Vec<u8>)> {
    let good = RpmFile::new("tool", "1.0", "1");
    let whole = good.build();
    let flipped = |from_end: usize| {
        let mut bytes = whole.clone();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    let many = rpm_header(
        MAIN_REGION,
        &[
            (1000, "tool".into()),
            (1001, "1".into()),
            (1002, "1".into()),
            (1022, "noarch".into()),
            (1044, "tool.src.rpm".into()),
            (1048, Value::U32(vec![0; 70_000])),
            (1049, Value::Texts(vec![b"d".to_vec(); 70_000])),
            (1050, Value::Texts(vec![Vec::new(); 70_000])),
        ],
    );
    let files = rpm_header(
        MAIN_REGION,
        &[
            (1000, "tool".into()),
            (1001, "1".into()),
            (1002, "1".into()),
            (1022, "noarch".into()),
            (1044, "tool.src.rpm".into()),
            (1116, Value::U32(vec![0; 100_000])),
            (1117, Value::Texts(vec![b"f".to_vec(); 100_000])),
            (1118, Value::Texts(vec![format!("/{}/", "d".repeat(4000)).into_bytes()])),
        ],
    );
    vec![
        ("an rpm cut off in its lead", whole[..50].to_vec()),
        ("an rpm cut off in its header", whole[..300].to_vec()),
        ("an rpm cut off in its payload", whole[..whole.len() - 3].to_vec()),
        ("an rpm whose payload was changed", flipped(2)),
        ("an rpm whose header was changed", flipped(60)),
        ("an rpm with something behind its payload", [&whole[..], b"more"].concat()),
        ("2^32 tags", intro(u32::MAX, 0)),
        ("2^32 bytes of values", intro(1, u32::MAX)),
        ("2^32 of both", intro(u32::MAX, u32::MAX)),
        ("a text of 2^32", lying(1000, 12, u32::MAX)),
        ("2^32 names of dependencies", lying(1049, 12, u32::MAX)),
        ("2^31 numbers", lying(1048, 12, 0x7FFF_FFFF)),
        ("a name at 2^32", lying(1000, 8, u32::MAX)),
        ("a name that is a number", lying(1000, 4, 4)),
        ("no name", good.clone().without(1000).build()),
        ("a name that climbs", RpmFile::new("../../tool", "1.0", "1").build()),
        ("a version with a slash", RpmFile::new("tool", "1/../../2", "1").build()),
        ("a name with a line break", RpmFile::new("tool\nevil", "1.0", "1").build()),
        ("an architecture that climbs", good.clone().arch("../x").build()),
        ("70,000 dependencies", rpm_with(&many)),
        ("400 MB of paths", rpm_with(&files)),
    ]
}

fn debs() -> Vec<(&'static str, Vec<u8>)> {
    let good = DebFile::new("tool", "1.0-1");
    let whole = good.build();
    let control = |bytes: &[u8]| tar(&[("./control".to_owned(), bytes.to_vec())]);
    let text = good.control_text().into_bytes();
    let data = tar(&[("./usr/share/x".to_owned(), b"x".to_vec())]);
    let with = |name: &str, archive: &[u8]| ar(&[("debian-binary", b"2.0\n"), (name, archive), ("data.tar", &data)]);
    // Many streams of xz that each unpack to 64 MiB of nothing.
    let bomb = Packing::Xz.pack(&vec![0; 64 << 20]).repeat(8);
    let sized = |size: &str| {
        let mut bytes = whole.clone();
        bytes[8 + 48..8 + 58].copy_from_slice(format!("{size:<10}").as_bytes());
        bytes
    };
    vec![
        ("a deb cut off in its first member", whole[..40].to_vec()),
        ("a deb cut off in its control archive", whole[..150].to_vec()),
        ("a deb cut off in its data", whole[..whole.len() - 40].to_vec()),
        ("a member of 10^10 bytes", sized("9999999999")),
        ("a member of less than nothing", sized("-4")),
        ("a member of no number", sized("four")),
        ("a member whose name climbs", with("../../control.ta", &control(&text))),
        ("no control archive", ar(&[("debian-binary", b"2.0\n"), ("data.tar", &data)])),
        ("no data", ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control(&text))])),
        ("another format", ar(&[("debian-binary", b"3.0\n"), ("control.tar", &control(&text)), ("data.tar", &data)])),
        ("a control archive without a control file", with("control.tar", &tar(&[("./md5sums".into(), text.clone())]))),
        (
            "a control file elsewhere",
            with("control.tar", &tar(&[("../control".into(), text.clone()), ("/etc/control".into(), text.clone())])),
        ),
        (
            "two control files",
            with("control.tar", &tar(&[("./control".into(), text.clone()), ("control".into(), text.clone())])),
        ),
        ("a bomb for a control archive", with("control.tar.xz", &bomb)),
        (
            "a control file of 200 MB",
            with("control.tar", &[tar_head("./control", 200 << 20, b'0'), vec![b'A'; 512]].concat()),
        ),
        ("a control file of nothing", with("control.tar", &control(b""))),
        ("a control file of noise", with("control.tar", &control(&[0xFF, 0, 0x80, b'\n'].repeat(100)))),
        ("a name that climbs", DebFile::new("../../tool", "1").build()),
        ("a version that climbs", DebFile::new("tool", "1/../../2").build()),
        ("an architecture that climbs", good.clone().arch("../amd64").build()),
        ("an architecture of two words", good.clone().arch("amd64 arm64").build()),
        ("no version", good.clone().without("Version").build()),
        ("what is no xz", with("control.tar.xz", b"nonsense")),
        ("what is no gzip", with("control.tar.gz", &[0x1F, 0x8B, 8, 0, 1, 2, 3])),
    ]
}

#[test]
fn hostile_packages_are_refused_and_change_nothing() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "y", "type": "yum" }));
    create(&server, &json!({ "name": "a", "type": "apt" }));
    upload(&server, &RpmFile::new("good", "1", "1").build(), "?repo=y");
    upload(&server, &DebFile::new("good", "1").build(), "?repo=a");
    let before = state(&server);
    let cases: Vec<(&str, &str, Vec<u8>)> = rpms()
        .into_iter()
        .map(|(what, bytes)| ("y", what, bytes))
        .chain(debs().into_iter().map(|(what, bytes)| ("a", what, bytes)))
        .collect();
    server.forget_peak();
    let memory = server.memory();
    for (repo, what, bytes) in &cases {
        for query in [String::new(), format!("?repo={repo}&filename=x.{repo}")] {
            let request = Request::post(&format!("/package{query}")).token(ADMIN);
            let answer = server.send(request.body("application/octet-stream", bytes.clone()));
            assert_eq!(answer.status, 400, "{what}: {}", answer.text());
            let told = answer.is_json(400);
            let words = told["error"].as_str().unwrap_or_default();
            assert!(words.len() > 10 && !words.contains(server.data().to_str().unwrap()), "{what}: {words}");
        }
    }
    let grown = server.peak_memory().saturating_sub(memory);
    assert!(grown < 256 << 20, "{} MiB", grown >> 20);
    wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
    assert_eq!(state(&server), before);
    assert_eq!(server.send(Request::get("/health")).status, 200);

    // As a plain file each may stay, as anything may.
    let (_, _, bytes) = &cases[0];
    upload(&server, bytes, "?type=file&filename=broken.rpm");
}

#[test]
fn odd_packages_are_published_without_harm() {
    let server = Packhouse::start();
    create(&server, &json!({ "name": "y", "type": "yum" }));
    create(&server, &json!({ "name": "a", "type": "apt", "architectures": ["amd64"] }));
    let ugly = [&b"caf\xE9 \xFF\x00"[..5], b"]]><!-- & \x1B[31m"].concat();
    let rpm = RpmFile::new("ugly", "1", "1").summary(&ugly).description(&ugly).file("/usr/bin/\u{202E}x<y>");
    upload(&server, &rpm.dependency(Dependency::Provide, "a\"b'<c>&", 8, "1:2-3").build(), "?repo=y");
    let repomd = fetch_text(&server, "/repo/y/repodata/repomd.xml");
    for part in repomd.split("href=\"").skip(1) {
        let text = gunzip(&fetch(&server, &format!("/repo/y/{}", part.split('"').next().unwrap())));
        assert!(!text.contains('\u{1B}') && !text.contains("]]><!--") && !text.contains("<c>"), "{text}");
    }

    // A source that climbs does not lead the package out of the pool; nothing in the data archive is unpacked here.
    let deb = DebFile::new("odd", "1").field("Source", "../../evil (1)").file("../../../etc/passwd", b"x");
    let bytes = deb.file("/absolute", b"y").build();
    let request = Request::post("/package?repo=a&filename=..%2F..%2Fodd.deb").token(ADMIN);
    let answer = server.send(request.body("application/octet-stream", bytes.clone()));
    let index = fetch_text(&server, "/repo/a/dists/stable/main/binary-amd64/Packages");
    match answer.status {
        201 => {
            let path = index.lines().find_map(|line| line.strip_prefix("Filename: ")).unwrap();
            assert!(path.starts_with("pool/") && path.split('/').all(|part| !part.starts_with('.')), "{path}");
            assert_eq!(hex(&fetch(&server, &format!("/repo/a/{path}"))), hex(&bytes));
        }
        status => assert_eq!((status, index.as_str()), (400, ""), "{}", answer.text()),
    }
}
