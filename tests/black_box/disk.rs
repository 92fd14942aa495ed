//! A full, read-only or vanished disk: an answer and never a state; nothing stored is harmed, and room brings everything back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::files::noise;
use crate::rig::{self, wait_until};
use crate::server::Packhouse;
use crate::wire::{self, Answer, Wire};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    fn mount(options: &str) -> SmallDisk {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "this test mounts a small file system: run it as root");
        let place = tempfile::tempdir().expect("a temporary directory");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place.path()).output();
        let done = done.expect("mount runs");
        assert!(done.status.success(), "mount: {}", String::from_utf8_lossy(&done.stderr));
        SmallDisk { place }
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    /// Takes all the room there is, as a stranger's program would.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("stranger");
        let mut file = fs::File::create(&path).expect("a stranger's file");
        for size in [1 << 20, 4_096, 512, 1] {
            let block = noise(size as u64, size);
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        for lazy in [&[][..], &["-l"]] {
            let done = Command::new("umount").args(lazy).arg(self.place.path()).output();
            if done.is_ok_and(|done| done.status.success()) {
                return;
            }
        }
        // Two failures to unmount in a row: the test run has to hear of it, if it is not failing already.
        assert!(std::thread::panicking(), "left mounted: {}", self.place.path().display());
    }
}

/// What was stored: version, seed, size.
type Stored = Vec<(String, u64, usize)>;

/// Uploads of `size` bytes until one is refused; the refusal.
fn fill_by_uploads(server: &Packhouse, size: usize, stored: &mut Stored) -> Answer {
    for _ in 0..1_000 {
        let seed = 10_000 + stored.len() as u64;
        let version = format!("v{seed}");
        let answer = rig::upload(server.address(), "p", &version, &noise(seed, size)).expect("an answer");
        match answer.status {
            201 => stored.push((version, seed, size)),
            _ => return answer,
        }
    }
    panic!("1,000 uploads of {size} bytes fit into 64 MiB");
}

/// The refusal is the contract's: 507, in words with numbers, and nothing of a path.
fn judge(answer: &Answer, place: &Path) {
    assert_eq!(answer.status, 507, "{answer:?}");
    let said: serde_json::Value = serde_json::from_slice(&answer.body).expect("a JSON error");
    let said = said["error"].as_str().expect("a sentence").to_owned();
    assert!(said.contains("free") && said.contains(|c: char| c.is_ascii_digit()), "{said}");
    assert!(!said.contains(&*place.to_string_lossy()), "{said}");
}

fn check_all(server: &Packhouse, stored: &Stored) {
    for (version, seed, size) in stored {
        rig::assert_whole(server.address(), "p", version, &noise(*seed, *size));
    }
    let mut expected: Vec<String> = stored.iter().map(|(version, ..)| version.clone()).collect();
    expected.sort();
    let mut listed = rig::versions(server.address(), "p").expect("the versions");
    listed.sort();
    assert_eq!(listed, expected);
}

/// Deletes one version; true when the answer was 204. Anything but the contract's refusals is a fault.
fn deletes(server: &Packhouse, stored: &mut Stored) -> bool {
    let (version, ..) = stored.last().expect("something stored");
    let answer = rig::delete_version(server.address(), "p", version).expect("an answer");
    assert!([204, 503, 507].contains(&answer.status), "{answer:?}");
    if answer.status == 204 {
        stored.pop();
    }
    answer.status == 204
}

/// Tries an upload until it succeeds: space counts as free when the blob is unlinked, a moment after the answer.
fn upload_until_it_fits(server: &Packhouse, size: usize, stored: &mut Stored) {
    let seed = 20_000 + stored.len() as u64;
    let version = format!("w{seed}");
    let mut last = None;
    wait_until("an upload fits again", || {
        let answer = rig::upload(server.address(), "p", &version, &noise(seed, size)).expect("an answer");
        assert!([201, 503, 507].contains(&answer.status), "{answer:?}");
        let is_stored = answer.status == 201;
        last = Some(answer);
        is_stored
    });
    assert!(last.is_some_and(|answer| answer.status == 201));
    stored.push((version, seed, size));
}

#[test]
fn a_full_disk_is_an_answer_and_not_a_state() {
    let disk = SmallDisk::mount("size=64m,mode=0700");
    let place = disk.path().join("data");
    let start = || Packhouse::with().data(&place).start();
    let mut stored = Stored::new();

    let mut server = start();
    rig::create_product(server.address(), "p");
    // Filled by uploads: large ones first, then what still fits between them.
    for size in [3 << 20, 300_000, 20_000] {
        judge(&fill_by_uploads(&server, size, &mut stored), &place);
        assert!(rig::is_stage_empty(&place), "a refused upload left something in the stage");
    }
    assert!(stored.len() >= 15, "only {} uploads fitted", stored.len());
    // One of unknown length: refused at the head or when the room is gone, and its part is removed at once.
    let mut wire = Wire::open(server.address());
    let _ = wire.send(rig::upload_head("Transfer-Encoding: chunked\r\n"));
    let body = rig::upload_body("p", "chunked", &noise(1, 12 << 20));
    for chunk in body.chunks(100_000) {
        if wire.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).is_err() {
            break;
        }
    }
    let _ = wire.send("0\r\n\r\n");
    judge(&wire.answer(false).expect("whole").expect("an answer"), &place);
    wait_until("its part is removed", || rig::is_stage_empty(&place));
    check_all(&server, &stored);
    let health = wire::ask(server.address(), rig::request("GET", "/health", "")).expect("an answer");
    assert_eq!(health.status, 200, "{health:?}");

    // Deleting works and makes room.
    (0..3).for_each(|_| assert!(deletes(&server, &mut stored), "a deletion was refused while the reserve is there"));
    upload_until_it_fits(&server, 15_000, &mut stored);

    // A stranger takes the rest, the reserve included.
    let stranger = disk.fill();
    let answer = rig::upload(server.address(), "p", "late", &noise(2, 10_000)).expect("an answer");
    judge(&answer, &place);
    check_all(&server, &stored);
    let deleted_while_full = deletes(&server, &mut stored);
    println!("{} versions; a deletion on a disk that a stranger filled worked: {deleted_while_full}", stored.len());
    disk.fill();
    wire::healthy(server.address()).expect("healthy");

    // Killed while full, started while full.
    server.kill();
    let mut server = start();
    check_all(&server, &stored);
    let answer = rig::upload(server.address(), "p", "later", &noise(3, 10_000)).expect("an answer");
    judge(&answer, &place);
    deletes(&server, &mut stored);
    disk.fill();
    server.kill();
    rig::assert_sound(&place, "while the disk is full");
    let server = start();
    check_all(&server, &stored);

    // The stranger goes: everything works again, without a restart.
    fs::remove_file(stranger).expect("the stranger's file goes");
    upload_until_it_fits(&server, 15_000, &mut stored);
    wait_until("a deletion works again", || deletes(&server, &mut stored));
    rig::create_product(server.address(), "q");
    check_all(&server, &stored);
    rig::stop(server);
    rig::assert_sound(&place, "after the disk was full");
    assert!(rig::is_stage_empty(&place));
}

/// An upload that is announced larger than the room is refused from its head, before its body is read.
#[test]
fn an_upload_that_cannot_fit_is_refused_from_its_head() {
    let disk = SmallDisk::mount("size=64m,mode=0700");
    let place = disk.path().join("data");
    let server = Packhouse::with().data(&place).start();
    rig::create_product(server.address(), "p");
    let mut wire = Wire::open(server.address());
    let head = rig::upload_head("Content-Length: 100000000\r\nExpect: 100-continue\r\n");
    wire.send(head + &rig::before_file("p", "v")).expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    judge(&answer, &place);
    assert!(rig::is_stage_empty(&place));
    assert!(rig::versions(server.address(), "p").expect("the versions").is_empty());
}

/// The directory goes away while the server runs (a disk is pulled): no answer pretends, and no empty store takes its place.
#[test]
fn a_directory_that_vanishes_is_not_made_anew() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (place, away) = (home.path().join("data"), home.path().join("away"));
    let server = Packhouse::with().data(&place).start();
    rig::create_product(server.address(), "p");
    let bytes = noise(4, 200_000);
    assert_eq!(rig::upload(server.address(), "p", "v", &bytes).expect("an answer").status, 201);
    fs::rename(&place, &away).expect("the directory goes away");
    for round in 0..3 {
        let answer = rig::upload(server.address(), "p", &format!("lost{round}"), &bytes).expect("an answer");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        let read = rig::download(server.address(), "p", "v").expect("an answer");
        assert_eq!(read.status, 503, "{read:?}");
        let health = wire::ask(server.address(), rig::request("GET", "/health", "")).expect("an answer");
        // 503 when the token itself cannot be looked up any more.
        assert!([500, 503].contains(&health.status), "{health:?}");
        assert!(!health.text().contains(&*home.path().to_string_lossy()), "{health:?}");
        let created = wire::ask(server.address(), rig::json_request("PUT", "/product/create", "{\"name\":\"q\"}"));
        let status = created.expect("an answer").status;
        assert_eq!(status, 503, "a record was taken that nobody will find again");
        assert!(!place.exists(), "the directory was made anew");
    }
    fs::rename(&away, &place).expect("the directory comes back");
    wait_until("everything works again", || {
        rig::download(server.address(), "p", "v").is_ok_and(|answer| answer.status == 200)
            && rig::upload(server.address(), "p", "w", &bytes).is_ok_and(|answer| [201, 409].contains(&answer.status))
    });
    rig::assert_whole(server.address(), "p", "v", &bytes);
    rig::assert_whole(server.address(), "p", "w", &bytes);
    rig::stop(server);
    rig::assert_sound(&place, "after the directory had gone");
}

/// Places that cannot hold data: one line that names the place, exit code 2.
#[test]
fn a_directory_that_cannot_be_written_is_refused_at_the_start() {
    let disk = SmallDisk::mount("size=1m,ro");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    for place in [disk.path().join("data"), disk.path().to_owned(), file.path().join("data"), file.path().to_owned()] {
        let Err((status, log)) = Packhouse::with().data(&place).try_start() else {
            panic!("{} was taken for data", place.display());
        };
        assert_eq!(status.code(), Some(2), "{}: {log}", place.display());
        assert!(log.contains(&*place.to_string_lossy()), "{}: {log}", place.display());
        assert!(log.lines().count() <= 2 && !log.contains("panicked"), "{}: {log}", place.display());
    }
}
