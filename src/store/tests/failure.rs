//! A disk that fails, fills up or goes away under a running store.

use super::*;
use std::sync::atomic::Ordering::SeqCst;

const EIO: i32 = 5;

/// The system's number for a full disk.
#[cfg(unix)]
const FULL: i32 = 28;
#[cfg(windows)]
const FULL: i32 = 112;

fn trouble(store: &Store) -> &backend::Trouble {
    &store.inner.database.shared.trouble
}

fn next(store: &Store, numbers: &[i32]) {
    *trouble(store).next.lock().unwrap() = numbers.iter().copied().collect();
}

fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_write_and_flush_of_a_commit_may_fail_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let digest = put(&store, b"bytes", "a").unwrap();
    let mut answered = Vec::new();
    for failing in 0..30 {
        let mut numbers = vec![0; failing];
        numbers.push(EIO);
        next(&store, &numbers);
        let key = format!("row {failing}");
        let inside = key.clone();
        let answer = store.commit(move |tx| ROWS.put(tx, inside.as_str(), &1));
        trouble(&store).next.lock().unwrap().clear();
        match answer {
            Ok(()) => answered.push(key),
            Err(error) => {
                assert_eq!((error.kind, error.retry_after), (Kind::Busy, Some(5)));
                assert!(error.cause.is_none(), "the cause is for the log");
            }
        }
        assert_eq!(read(&store, &digest).unwrap(), b"bytes", "blobs are read meanwhile");
        // Open again at once or after a pause, without anybody's help.
        eventually("the store did not recover", || store.read(|tx| ROWS.len(tx)).ok());
        store.commit(|tx| ROWS.put(tx, "after", &1)).unwrap();
        let rows = store.read(|tx| ROWS.all(tx, ())).unwrap();
        for key in &answered {
            assert!(rows.iter().any(|(found, _)| found == key), "{key} was answered and is lost");
        }
    }
    assert!(!answered.is_empty() && answered.len() < 30, "the loop must reach behind the last operation");
    drop(store);
    open(directory.path()).read(|tx| ROWS.len(tx)).unwrap();
}

#[test]
fn an_upload_whose_commit_fails_leaves_no_blob() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    next(&store, &[EIO]);
    let error = put(&store, b"bytes", "a").unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    eventually("the blob stayed", || files(&directory.path().join("shelf")).is_empty().then_some(()));
    put(&store, b"bytes", "a").unwrap();
}

#[test]
fn no_row_is_durable_before_the_name_of_its_blob() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.inner.shelf.flush_fails.store(true, SeqCst);
    let error = put(&store, b"bytes", "a").unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    store.inner.shelf.flush_fails.store(false, SeqCst);
    let digest = Digest::of(b"bytes");
    eventually("the blob stayed", || files(&directory.path().join("shelf")).is_empty().then_some(()));
    assert!(!eventually("no answer", || store.read(|tx| HELD.has(tx, digest)).ok()));
    // Other changes go on, and the same upload finds its way.
    store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap();
    put(&store, b"bytes", "a").unwrap();
    assert_eq!(read(&store, &digest).unwrap(), b"bytes");
}

#[test]
fn a_disk_that_stays_away_is_busy_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let digest = put(&store, b"bytes", "a").unwrap();
    trouble(&store).always.store(EIO, SeqCst);
    for _ in 0..3 {
        let before = Instant::now();
        assert_eq!(store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap_err().kind, Kind::Busy);
        assert!(before.elapsed() < Duration::from_secs(5), "nobody waits for a dead disk");
    }
    assert_eq!(store.read(|tx| ROWS.len(tx)).unwrap_err().kind, Kind::Busy);
    assert_eq!(store.health().0.unwrap_err().kind, Kind::Busy);
    assert_eq!(read(&store, &digest).unwrap(), b"bytes");
    trouble(&store).always.store(0, SeqCst);
    eventually("the store did not recover", || store.commit(|tx| ROWS.put(tx, "a", &1)).ok());
    assert!(store.health().0.is_ok());
}

// Windows does not let go of a directory with open files in it.
#[cfg(unix)]
#[test]
fn a_directory_that_disappears_is_never_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (data, aside) = (directory.path().join("data"), directory.path().join("aside"));
    let store = open(&data);
    let digest = put(&store, b"bytes", "a").unwrap();
    fs::rename(&data, &aside).unwrap();
    assert_eq!(store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap_err().kind, Kind::Busy);
    assert_eq!(put(&store, b"x", "a").unwrap_err().kind, Kind::Busy);
    assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::Busy);
    assert_eq!(store.health().1.unwrap_err().kind, Kind::Busy);
    eventually("reads notice as well", || store.read(|tx| ROWS.len(tx)).err());
    assert!(!data.exists());
    // Another store in its place is not ours.
    drop(Store::open(&data, Options::default()).unwrap());
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap_err().kind, Kind::Busy);
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&aside, &data).unwrap();
    eventually("the store did not recover", || store.commit(|tx| ROWS.put(tx, "a", &1)).ok());
    assert_eq!(read(&store, &digest).unwrap(), b"bytes");
}

#[test]
fn a_full_disk_costs_the_ballast_and_not_the_delete() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    eventually("no ballast", || (!store.inner.shelf.disk.wants_ballast()).then_some(()));
    let reserve = directory.path().join("reserve");
    assert!(reserve.metadata().unwrap().len() > 0);
    next(&store, &[FULL]);
    store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap();
    eventually("the ballast is not made again", || (!store.inner.shelf.disk.wants_ballast()).then_some(()));
    assert!(reserve.exists());
    next(&store, &[0, 0, FULL, 0, FULL, FULL, FULL, FULL, FULL, FULL, FULL, FULL]);
    let error = store.commit(|tx| ROWS.put(tx, "b", &1)).unwrap_err();
    assert!(matches!(error.kind, Kind::Quota | Kind::Busy), "{error:?}");
    trouble(&store).next.lock().unwrap().clear();
    eventually("the store did not recover", || store.commit(|tx| ROWS.put(tx, "b", &1)).ok());
}

/// A file system of its own; only for root, which the test environment is.
#[cfg(target_os = "linux")]
pub(super) struct SmallDisk(pub(super) tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    pub(super) fn mount(size: &str) -> SmallDisk {
        let place = tempfile::tempdir().unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(place.path())
            .status()
            .unwrap();
        assert!(status.success(), "this test mounts a small tmpfs and needs the right to do so (root)");
        SmallDisk(place)
    }

    /// A stranger takes everything that is left.
    pub(super) fn fill(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let mut file = fs::File::create(&path).unwrap();
        for block in [1 << 20, 64 << 10, 4096, 1] {
            let bytes = vec![1; block];
            while file.write_all(&bytes).is_ok() {}
        }
        path
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_disk_filled_freed_and_filled_again() {
    let disk = SmallDisk::mount("64m");
    let data = disk.0.path().join("data");
    let store = open(&data);
    eventually("no ballast", || (!store.inner.shelf.disk.wants_ballast()).then_some(()));
    // Uploads until there is no room.
    let mut digests = Vec::new();
    let refused = loop {
        let bytes: Vec<u8> = (0..3 << 20).map(|n: usize| (n / 1000 + digests.len() * 7) as u8).collect();
        match put(&store, &bytes, "a") {
            Ok(digest) => digests.push((digest, bytes)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind, Kind::Quota);
    assert!(refused.message.contains(" free"), "{refused}");
    assert!(digests.len() > 15, "{}", digests.len());
    assert!(files(&data.join("stage")).is_empty(), "the part already written is gone at once");
    let refused = store.stage(Some(10 << 20)).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind, Kind::Quota);
    assert!(refused.message.contains("10 MiB needed"), "{refused}");
    // Then a stranger takes the last byte.
    let stranger = disk.fill("stranger");
    let error = put(&store, b"small", "a").unwrap_err();
    assert_eq!(error.kind, Kind::Quota);
    for (digest, bytes) in &digests {
        assert!(read(&store, digest).unwrap() == *bytes);
    }
    // Closed and opened while full, as after a crash.
    drop(store);
    let store = open(&data);
    assert!(read(&store, &digests[0].0).unwrap() == digests[0].1);
    // Deletes work on the full disk and make room.
    for (digest, _) in digests.drain(..5) {
        let_go(&store, digest, "a");
        assert!(store.wait_for_collection(Duration::from_secs(20)));
        assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::NotFound);
    }
    eventually("no upload after room was made", || put(&store, b"small", "a").ok());
    eventually("the ballast is not made again", || (!store.inner.shelf.disk.wants_ballast()).then_some(()));
    // Full again, with the process gone without a word.
    let second = disk.fill("second");
    assert_eq!(put(&store, b"more", "a").unwrap_err().kind, Kind::Quota);
    fs::remove_file(stranger).unwrap();
    fs::remove_file(second).unwrap();
    put(&store, b"and on it goes", "a").unwrap();
    drop(store);
    let store = open(&data);
    for (digest, bytes) in &digests {
        assert!(read(&store, digest).unwrap() == *bytes);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_refused_in_one_line() {
    let disk = SmallDisk::mount("16m");
    let data = disk.0.path().join("data");
    drop(open(&data));
    let status = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.0.path()).status().unwrap();
    assert!(status.success());
    for place in [&data, &disk.0.path().join("new")] {
        let refused = Store::open(place, Options::default()).map(|_| ()).unwrap_err();
        assert!(refused.message.starts_with("cannot ") && refused.message.contains("Read-only"), "{refused}");
        assert_eq!(refused.message.lines().count(), 1);
    }
}
