//! Rot, loss and repair of blobs; `verify` on every kind of damage.

use super::*;

fn flip(path: &Path, at: usize) {
    let modified = path.metadata().unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(modified).unwrap();
}

/// A reopened store over one blob of these bytes, and a list of the damage it reports.
fn reopened(
    directory: &Path,
    bytes: &[u8],
    damage: impl FnOnce(&Path),
) -> (Arc<Store>, Digest, Arc<Mutex<Vec<Digest>>>) {
    let store = open(directory);
    let digest = put(&store, bytes, "a").unwrap();
    store.close();
    drop(store);
    damage(&blob_path(directory, &digest));
    let store = open(directory);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    store.on_damage(move |digest| hook.lock().unwrap().push(*digest));
    (store, digest, told)
}

#[test]
fn rot_breaks_the_transfer_off_before_its_last_block() {
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let (store, digest, told) = reopened(directory.path(), &bytes, |path| flip(path, 5));
    let mut blob = store.blob(&digest).unwrap();
    let mut buffer = vec![0; 4096];
    assert_eq!(blob.read_at(0, &mut buffer).unwrap(), 4096);
    assert_eq!(blob.read_at(4096, &mut buffer).unwrap(), 4096);
    assert!(blob.read_at(8192, &mut buffer).is_err());
    assert!(blob.read_at(0, &mut buffer).is_err() && blob.file().is_none());
    assert_eq!(*told.lock().unwrap(), [digest]);
    assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::Internal, "refused before the first byte");
    assert_eq!(told.lock().unwrap().len(), 1, "told once");
    // The same bytes, uploaded again, heal it for everybody who holds it.
    put(&store, &bytes, "b").unwrap();
    assert_eq!(read(&store, &digest).unwrap(), bytes);
}

#[test]
fn a_part_of_a_rotten_blob_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = vec![1; 10_000];
    let (store, digest, told) = reopened(directory.path(), &bytes, |path| flip(path, 9_999));
    let mut blob = store.blob(&digest).unwrap();
    let mut buffer = [0; 10];
    assert!(blob.read_at(100, &mut buffer).is_err(), "a read in the middle checks the whole first");
    assert_eq!(told.lock().unwrap().len(), 1);
    let other = tempfile::tempdir().unwrap();
    let (store, digest, _) = reopened(other.path(), &bytes, |path| flip(path, 9_999));
    let mut blob = store.blob(&digest).unwrap();
    assert_eq!(blob.check_before_range().unwrap_err().kind, Kind::Internal);
    let sound = tempfile::tempdir().unwrap();
    let (store, digest, _) = reopened(sound.path(), &bytes, |_| {});
    let mut blob = store.blob(&digest).unwrap();
    blob.check_before_range().unwrap();
    assert!(blob.file().is_some());
    assert_eq!(blob.read_at(9_995, &mut buffer).unwrap(), 5);
    assert_eq!(blob.read_at(10_000, &mut buffer).unwrap(), 0);
}

#[test]
fn a_wrong_size_is_refused_before_the_first_byte() {
    for damage in [
        |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(9).unwrap(),
        |path: &Path| fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"!").unwrap(),
        |path: &Path| fs::write(path, b"").unwrap(),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, digest, told) = reopened(directory.path(), b"ten bytes.", damage);
        for _ in 0..2 {
            assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::Internal);
        }
        assert_eq!(*told.lock().unwrap(), [digest]);
        put(&store, b"ten bytes.", "b").unwrap();
        assert_eq!(read(&store, &digest).unwrap(), b"ten bytes.");
    }
}

#[test]
fn a_large_blob_is_checked_behind_its_parts() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = vec![9; (64 << 20) + 1];
    let (store, digest, told) = reopened(directory.path(), &bytes, |path| flip(path, 60 << 20));
    let mut blob = store.blob(&digest).unwrap();
    let mut buffer = [0; 10];
    blob.check_before_range().unwrap();
    assert_eq!(blob.read_at(100, &mut buffer).unwrap(), 10);
    assert!(blob.file().is_none());
    let deadline = Instant::now() + Duration::from_secs(60);
    while told.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the damage was not found");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::Internal);
}

// Elsewhere only size and date tell, and both can be set.
#[cfg(unix)]
#[test]
fn a_change_under_a_checked_blob_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let digest = put(&store, b"some bytes", "a").unwrap();
    assert!(store.blob(&digest).unwrap().file().is_some(), "just written");
    flip(&blob_path(directory.path(), &digest), 2);
    // Size and date are as before; the time of the last change is not.
    assert!(read(&store, &digest).is_err());
    put(&store, b"some bytes", "b").unwrap();
    assert_eq!(read(&store, &digest).unwrap(), b"some bytes");
}

struct Rows;

impl Catalog for Rows {
    fn page(&self, tx: &ReadTx, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>> {
        Ok(HELD.page(tx, (), after, limit)?.into_iter().map(|(digest, (size, _))| (digest, size)).collect())
    }

    fn uses(&self, tx: &ReadTx, digest: &Digest) -> Result<Vec<String>> {
        Ok(HELD.get(tx, *digest)?.unwrap_or_default().1)
    }

    fn faults(&self, _: &ReadTx) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

pub(super) fn check(directory: &Path, options: VerifyOptions) -> (Verdict, String) {
    let mut out = Vec::new();
    let verdict = verify(directory, options, &Rows, &mut out).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}

#[test]
fn verify_names_all_and_only_the_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let store = open(data);
    let digests: Vec<Digest> = (0..1200_u32).map(|n| put_many(&store, n)).collect();
    assert_eq!(check(data, VerifyOptions::default()).0, Verdict::CouldNotRun, "the server is running");
    store.close();
    drop(store);
    let (verdict, text) = check(data, VerifyOptions::default());
    assert_eq!((verdict, text.lines().count()), (Verdict::Sound, 1), "{text}");
    flip(&blob_path(data, &digests[3]), 1);
    fs::remove_file(blob_path(data, &digests[4])).unwrap();
    fs::write(blob_path(data, &digests[5]), b"").unwrap();
    fs::rename(blob_path(data, &digests[6]), data.join("aside")).unwrap();
    fs::rename(blob_path(data, &digests[7]), blob_path(data, &digests[6])).unwrap();
    fs::rename(data.join("aside"), blob_path(data, &digests[7])).unwrap();
    fs::write(blob_path(data, &Digest::of(b"nobody's")), b"nobody's").unwrap();
    fs::write(data.join("shelf/00/stray"), b"").unwrap();
    let database = fs::read(data.join("packhouse.redb")).unwrap();
    for repair in [false, true] {
        let (verdict, text) = check(data, VerifyOptions { repair, sample: None });
        assert_eq!(verdict, Verdict::Faults);
        let faults: Vec<&str> = text.lines().filter(|line| line.starts_with("FAULT")).collect();
        assert_eq!(faults.len(), 5, "{text}");
        for digest in &digests[3..=7] {
            let line = faults.iter().find(|line| line.contains(&digest.to_hex())).unwrap();
            assert!(line.ends_with("used by holder"), "{line}");
        }
        assert_eq!(text.matches("note: ").count(), 2, "{text}");
        assert_eq!(data.join("lost+found").exists(), repair);
    }
    assert_eq!(files(&data.join("lost+found")).len(), 4, "what was wrong is moved, nothing is deleted");
    assert!(fs::read(data.join("packhouse.redb")).unwrap() == database, "the database is not written to");
    let (verdict, text) = check(data, VerifyOptions { repair: false, sample: Some(0.0) });
    assert_eq!((verdict, text.matches("is missing").count()), (Verdict::Faults, 5), "{text}");
    assert!(text.contains(" 0 bytes read"), "{text}");
}

fn put_many(store: &Store, number: u32) -> Digest {
    // Rows in one commit each would take their time: one blob in a hundred goes the whole way.
    let bytes = format!("blob {number}");
    if number % 100 < 10 {
        return put(store, bytes.as_bytes(), "holder").unwrap();
    }
    let digest = Digest::of(bytes.as_bytes());
    fs::write(store.inner.shelf.path(&digest), &bytes).unwrap();
    let size = bytes.len() as u64;
    store.commit(move |tx| hold(tx, digest, size, "holder")).unwrap();
    digest
}

#[test]
fn verify_finds_a_damaged_database() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let store = open(data);
    let digest = put(&store, b"bytes", "a").unwrap();
    for number in 0..50_u64 {
        store.commit(move |tx| ROWS.put(tx, format!("row {number} {}", "x".repeat(500)).as_str(), &number)).unwrap();
    }
    store.close();
    drop(store);
    assert_eq!(check(data, VerifyOptions::default()).0, Verdict::Sound);
    let whole = fs::read(data.join("packhouse.redb")).unwrap();
    // Wherever these bytes stand in live pages, a checksum covers them.
    let mut found = 0;
    for at in (0..whole.len() - 8).filter(|at| whole[*at..].starts_with(b"row 3")) {
        let mut bytes = whole.clone();
        bytes[at + 4] ^= 1;
        fs::write(data.join("packhouse.redb"), &bytes).unwrap();
        let (verdict, text) = check(data, VerifyOptions::default());
        assert_ne!(verdict, Verdict::CouldNotRun);
        assert!(text.lines().last().unwrap().starts_with("1 blobs"), "reads on: {text}");
        found += usize::from(verdict == Verdict::Faults && text.contains("FAULT database"));
    }
    assert!(found > 0, "no flip in a live page was found");
    for damage in [&whole[..whole.len() / 2], &whole[..1000], b"", b"nonsense"] {
        fs::write(data.join("packhouse.redb"), damage).unwrap();
        let (verdict, text) = check(data, VerifyOptions::default());
        assert_eq!(verdict, Verdict::Faults, "{text}");
        assert!(text.lines().last().unwrap().starts_with("1 blobs"), "reads on: {text}");
    }
    flip(&blob_path(data, &digest), 0);
    let (_, text) = check(data, VerifyOptions::default());
    assert!(text.contains(&format!("FAULT {digest} has wrong bytes")), "{text}");
    fs::write(data.join("packhouse.redb"), &whole).unwrap();
    let (verdict, text) = check(data, VerifyOptions { repair: false, sample: None });
    assert_eq!((verdict, text.matches("FAULT").count()), (Verdict::Faults, 1), "{text}");
}
