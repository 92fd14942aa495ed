//! Damage: bytes that rot on the shelf are never served as good, `verify` names all of them and only them, re-upload heals.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::files::{noise, sha256};
use crate::rig::{self, Home};
use crate::server::{Packhouse, files_below};
use crate::wire;

/// What happens to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// One bit of the middle; size and times stay.
    Flip,
    /// One bit of the last byte; size and times stay.
    FlipLast,
    /// The last byte is missing.
    Cut,
    /// One byte more.
    Append,
    /// No bytes at all.
    Empty,
    /// No file.
    Delete,
    /// Two blobs of one size change places; size and times stay.
    Swap,
}

const HARMS: [Harm; 7] = [Harm::Flip, Harm::FlipLast, Harm::Cut, Harm::Append, Harm::Empty, Harm::Delete, Harm::Swap];

/// Blobs of the tests: version and size; the first two are of one size.
const SIZES: [(&str, usize); 5] = [("a", 300_000), ("b", 300_000), ("one", 1), ("block", 65_536), ("large", 5 << 20)];

fn bytes_of(version: &str) -> Vec<u8> {
    let (index, size) = SIZES
        .iter()
        .enumerate()
        .find(|(_, (name, _))| *name == version)
        .map(|(i, (_, size))| (i, *size))
        .expect("known");
    noise(500 + index as u64, size)
}

/// A running server with every blob stored as version of `p`, and once more as version-again of `q`.
fn stocked(home: &Home) -> Packhouse {
    let server = home.start();
    rig::create_product(server.address(), "p");
    rig::create_product(server.address(), "q");
    for (version, _) in SIZES {
        let bytes = bytes_of(version);
        let again = format!("{version}-again");
        assert_eq!(rig::upload(server.address(), "p", version, &bytes).expect("an answer").status, 201);
        assert_eq!(rig::upload(server.address(), "q", &again, &bytes).expect("an answer").status, 201);
    }
    server
}

/// Rewrites a file with its times kept.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let before = fs::metadata(path).expect("the blob is there");
    let mut bytes = fs::read(path).expect("the blob reads");
    change(&mut bytes);
    fs::write(path, bytes).expect("the blob is written");
    let file = fs::File::open(path).expect("the blob opens");
    let times = fs::FileTimes::new().set_modified(before.modified().expect("a time"));
    file.set_times(times).expect("its times are set");
}

/// Does the harm to the blobs of `versions`.
fn harm(data: &Path, kind: Harm, versions: &[&str]) {
    let path = |version: &str| rig::blob_path(data, &sha256(&bytes_of(version)));
    if kind == Harm::Swap {
        let [first, second] = [bytes_of(versions[0]), bytes_of(versions[1])];
        rewrite(&path(versions[0]), |bytes| *bytes = second);
        rewrite(&path(versions[1]), |bytes| *bytes = first);
        return;
    }
    for version in versions {
        match kind {
            Harm::Flip => rewrite(&path(version), |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }),
            Harm::FlipLast => rewrite(&path(version), |bytes| *bytes.last_mut().expect("bytes") ^= 1),
            Harm::Cut => rewrite(&path(version), |bytes| bytes.truncate(bytes.len() - 1)),
            Harm::Append => rewrite(&path(version), |bytes| bytes.push(0)),
            Harm::Empty => rewrite(&path(version), Vec::clear),
            Harm::Delete => fs::remove_file(path(version)).expect("the blob goes"),
            Harm::Swap => unreachable!("done above"),
        }
    }
}

/// No door hands out a damaged blob as good: 500 or a transfer that breaks off.
fn assert_refused(address: SocketAddr, product: &str, version: &str, what: &str) {
    for _ in 0..2 {
        match rig::download(address, product, version) {
            Err(_) => {}
            Ok(answer) => assert_eq!(answer.status, 500, "{what}: {version} was served: {}", answer.head),
        }
    }
    let size = SIZES.iter().find(|(name, _)| version.starts_with(name)).map_or(1, |(_, size)| *size);
    for range in ["bytes=0-0".to_owned(), format!("bytes={}-", size / 2), "bytes=-1".to_owned()] {
        let fields = format!("Range: {range}\r\nConnection: close\r\n");
        let path = format!("/product/download/{product}/{version}");
        match wire::ask(address, rig::request("GET", &path, &fields)) {
            Err(_) => {}
            Ok(answer) => assert_eq!(answer.status, 500, "{what}: {range} of {version} was served: {}", answer.head),
        }
    }
}

/// The digests that fault lines name, with the line.
fn named(verdict: &rig::Verdict) -> Vec<(String, String)> {
    let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|c| c.is_ascii_hexdigit());
    let mut found = Vec::new();
    for line in verdict.text.lines() {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
        if let Some(digest) = words.find(is_digest) {
            found.push((digest.to_owned(), line.to_owned()));
        }
    }
    found.sort();
    found
}

/// `verify` says 1 and names exactly the blobs of `versions`, once each, with every use.
fn assert_names_only(data: &Path, versions: &[&str], what: &str) {
    let verdict = rig::verify(data, &[]);
    assert_eq!(verdict.code, Some(1), "{what}: {}", verdict.text);
    let named = named(&verdict);
    let mut expected: Vec<String> = versions.iter().map(|version| sha256(&bytes_of(version))).collect();
    expected.sort();
    let digests: Vec<&String> = named.iter().map(|(digest, _)| digest).collect();
    assert_eq!(digests, expected.iter().collect::<Vec<_>>(), "{what}: {}", verdict.text);
    for version in versions {
        let digest = sha256(&bytes_of(version));
        let line = named.iter().find(|(found, _)| *found == digest).map_or("", |(_, line)| line);
        for use_of in [format!("product/p/{version}"), format!("product/q/{version}-again")] {
            assert!(line.contains(&use_of), "{what}: {use_of} is not in: {line}");
        }
    }
}

/// Everything but `versions` is served whole.
fn assert_others_whole(address: SocketAddr, versions: &[&str]) {
    for (version, _) in SIZES.iter().filter(|(version, _)| !versions.contains(version)) {
        rig::assert_whole(address, "p", version, &bytes_of(version));
    }
}

/// Each harm on a stopped server, then everything a damaged blob goes through: refused, named, healed by re-upload.
#[test]
fn damage_between_two_runs_is_refused_named_and_healed() {
    for kind in HARMS {
        let victims: &[&str] = match kind {
            Harm::Swap => &["a", "b"],
            _ => &["one", "block", "large"],
        };
        let what = format!("{kind:?}");
        let home = Home::new();
        stocked(&home).kill();
        harm(home.data(), kind, victims);
        assert_names_only(home.data(), victims, &what);
        let server = home.start();
        for version in victims {
            assert_refused(server.address(), "p", version, &what);
            assert_refused(server.address(), "q", &format!("{version}-again"), &what);
        }
        assert_others_whole(server.address(), victims);
        // The same content once more heals it for everybody.
        for version in victims {
            let bytes = bytes_of(version);
            let stored = rig::upload(server.address(), "p", &format!("{version}-new"), &bytes).expect("an answer");
            assert_eq!(stored.status, 201, "{what}: {stored:?}");
            rig::assert_whole(server.address(), "p", version, &bytes);
            rig::assert_whole(server.address(), "q", &format!("{version}-again"), &bytes);
        }
        rig::stop(server);
        rig::assert_sound(home.data(), &format!("after {what} was healed"));
    }
}

/// Each harm under a running server that has served the blob as good a moment ago.
#[test]
fn damage_under_a_running_server_is_noticed() {
    for kind in HARMS {
        let victims: &[&str] = match kind {
            Harm::Swap => &["a", "b"],
            _ => &["a", "large"],
        };
        let what = format!("{kind:?} while running");
        let home = Home::new();
        let mut server = stocked(&home);
        assert_others_whole(server.address(), &[]);
        harm(server.data(), kind, victims);
        for version in victims {
            assert_refused(server.address(), "p", version, &what);
        }
        assert_others_whole(server.address(), victims);
        // "Already there" is believed only after a look.
        let bytes = bytes_of(victims[0]);
        assert_eq!(rig::upload(server.address(), "p", "healed", &bytes).expect("an answer").status, 201);
        rig::assert_whole(server.address(), "p", "healed", &bytes);
        rig::assert_whole(server.address(), "p", victims[0], &bytes);
        server.kill();
        assert_names_only_if_any(home.data(), &victims[1..], &what);
    }
}

fn assert_names_only_if_any(data: &Path, versions: &[&str], what: &str) {
    match versions {
        [] => rig::assert_sound(data, what),
        _ => assert_names_only_of_p(data, versions, what),
    }
}

/// As [`assert_names_only`] for the digests alone.
fn assert_names_only_of_p(data: &Path, versions: &[&str], what: &str) {
    let verdict = rig::verify(data, &[]);
    let digests: Vec<String> = named(&verdict).into_iter().map(|(digest, _)| digest).collect();
    let mut expected: Vec<String> = versions.iter().map(|version| sha256(&bytes_of(version))).collect();
    expected.sort();
    assert_eq!((verdict.code, digests), (Some(1), expected), "{what}: {}", verdict.text);
}

/// `--repair` moves and never deletes; the rows stay, and new uploads fill the gaps.
#[test]
fn repair_moves_to_lost_and_found() {
    for kind in [Harm::Flip, Harm::Cut, Harm::Empty] {
        let victims = ["a", "large"];
        let home = Home::new();
        stocked(&home).kill();
        let data = home.data();
        harm(data, kind, &victims);
        let stranger = data.join("shelf").join("ab").join("somebody's notes.txt");
        fs::write(&stranger, "strange").expect("a strange file");
        let bodies: Vec<Vec<u8>> = victims
            .iter()
            .map(|version| fs::read(rig::blob_path(data, &sha256(&bytes_of(version)))).expect("read"))
            .collect();
        let before = rig::verify(data, &[]);
        assert_eq!(before.code, Some(1), "{}", before.text);
        assert!(!data.join("lost+found").exists(), "verify without --repair moved something");
        let verdict = rig::verify(data, &["--repair"]);
        assert!([Some(0), Some(1)].contains(&verdict.code), "{}", verdict.text);
        let moved: Vec<Vec<u8>> =
            files_below(&data.join("lost+found")).iter().map(|path| fs::read(path).expect("read")).collect();
        for body in &bodies {
            assert!(moved.contains(body), "{kind:?}: a damaged file is in neither place: {}", verdict.text);
        }
        for version in victims {
            assert!(!rig::blob_path(data, &sha256(&bytes_of(version))).exists());
        }
        let strange = stranger.exists() || moved.contains(&b"strange".to_vec());
        assert!(strange, "a strange file was deleted");
        let server = home.start();
        for version in victims {
            assert_refused(server.address(), "p", version, "repaired");
        }
        assert_others_whole(server.address(), &victims);
        for version in victims {
            let new = format!("{version}-new");
            let stored = rig::upload(server.address(), "p", &new, &bytes_of(version)).expect("an answer");
            assert_eq!(stored.status, 201, "{stored:?}");
        }
        assert_others_whole(server.address(), &[]);
        rig::stop(server);
        if stranger.exists() {
            fs::remove_file(&stranger).expect("the strange file goes");
        }
        rig::assert_sound(data, "after the gaps were filled");
    }
}

/// Damaged pages of the database: refused or served truly, never a crash, never wrong bytes.
#[test]
fn damaged_database_pages_never_lead_to_wrong_answers() {
    let home = Home::new();
    rig::stop(stocked(&home));
    let path = home.data().join("packhouse.redb");
    let whole = fs::read(&path).expect("the database reads");
    let mut outcomes = [0; 3];
    for step in 0..24 {
        let at = if step < 4 { step * 16 } else { whole.len() / 24 * step + 17 };
        let mut broken = whole.clone();
        broken[at..].iter_mut().take(64).for_each(|byte| *byte ^= 0x55);
        fs::write(&path, &broken).expect("the database is written");
        let verdict = rig::verify(home.data(), &[]);
        let code = verdict.code.unwrap_or_else(|| panic!("verify died with page {at} broken: {}", verdict.text));
        assert!((0..=2).contains(&code) && !verdict.text.contains("panicked"), "page {at}: {}", verdict.text);
        outcomes[usize::try_from(code).unwrap_or(0)] += 1;
        fs::write(&path, &broken).expect("the database is written");
        match home.server().try_start() {
            Err((status, log)) => {
                assert_eq!(status.code(), Some(2), "page {at}: {log}");
                assert!(!log.contains("panicked"), "page {at}: {log}");
            }
            Ok(server) => {
                for (version, _) in SIZES {
                    if let Ok(answer) = rig::download(server.address(), "p", version) {
                        let is_right = answer.status != 200 || answer.body == bytes_of(version);
                        assert!(is_right, "page {at}: wrong bytes for {version}");
                    }
                }
                wire::healthy(server.address()).expect("healthy");
            }
        }
    }
    println!("verify with a broken page: {outcomes:?} times exit code 0, 1, 2");
    fs::write(&path, &whole).expect("the database is written");
    rig::assert_sound(home.data(), "with its own database again");
}

/// One directory, one process.
#[test]
fn a_second_process_is_turned_away() {
    let home = Home::new();
    let mut server = stocked(&home);
    let place = home.data();
    let line = format!("another packhouse already uses {}", place.display());
    let Err((status, log)) = home.server().try_start() else { panic!("two servers on one directory") };
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains(&line), "{log}");
    let verdict = rig::verify(place, &[]);
    assert_eq!(verdict.code, Some(2), "{}", verdict.text);
    assert!(verdict.text.contains(&line), "{}", verdict.text);
    assert_others_whole(server.address(), &[]);
    assert_eq!(rig::upload(server.address(), "p", "after", b"after").expect("an answer").status, 201);
    server.kill();
    rig::assert_sound(place, "after a second process was turned away");
}

/// All files of a directory with their bytes.
fn snapshot(data: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files_below(data).into_iter().map(|path| (path.clone(), fs::read(path).expect("a file reads"))).collect()
}

/// A directory of a newer release is refused with the release that is needed, and not a byte of it changes.
#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let home = Home::new();
    rig::stop(stocked(&home));
    let version = home.data().join("VERSION");
    let text = fs::read_to_string(&version).expect("the version file");
    let forged_file = "schema 999\npackhouse 98.7.6\n";
    let refuse = |what: &str| {
        let before = snapshot(home.data());
        let Err((status, log)) = home.server().try_start() else { panic!("{what}: taken") };
        assert_eq!(status.code(), Some(2), "{what}: {log}");
        assert!(log.contains("98.7.6"), "{what}: the release needed is not named: {log}");
        let verdict = rig::verify(home.data(), &[]);
        assert_eq!(verdict.code, Some(2), "{what}: {}", verdict.text);
        let after = snapshot(home.data());
        let names: Vec<_> = after.iter().map(|(path, _)| path).collect();
        assert!(before == after, "{what}: the directory has changed: {names:?}");
    };
    fs::write(&version, forged_file).expect("the version file is forged");
    refuse("by the version file");
    // The same said by the database alone.
    fs::write(&version, &text).expect("the version file is itself again");
    let path = home.data().join("packhouse.redb");
    let honest = fs::read(&path).expect("the database reads");
    let info: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("meta.info");
    let database = redb::Database::open(&path).expect("the database opens");
    let tx = database.begin_write().expect("a transaction");
    {
        let mut table = tx.open_table(info).expect("the table");
        let mut put = |key: &[u8], value: &[u8]| drop(table.insert(key, value).expect("a row"));
        put(b"schema\0\0", b"999");
        put(b"release\0\0", b"\"98.7.6\"");
    }
    tx.commit().expect("a commit");
    drop(database);
    refuse("by the database");
    fs::write(&path, honest).expect("the database is itself again");
    let server = home.start();
    assert_others_whole(server.address(), &[]);
}
