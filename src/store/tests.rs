//! Tests of the store as a whole, on directories of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::table::Table;
use super::*;

mod crash;
mod damage;
mod failure;
mod start;

const ROWS: Table<String, u64> = Table::new("test.rows");
/// Stands in for the catalog: digest to (size, holders).
const HELD: Table<Digest, (u64, Vec<String>)> = Table::new("test.held");

fn open(directory: &Path) -> Arc<Store> {
    let store = Store::open(directory, Options::default()).unwrap();
    rules(&store);
    store
}

fn rules(store: &Store) {
    store.set_unheld(|tx, digest| match HELD.get(tx, *digest)? {
        Some((_, holders)) if !holders.is_empty() => Ok(false),
        Some(_) => HELD.remove(tx, *digest),
        None => Ok(true),
    });
    store.set_known(|tx, digest| Ok(HELD.get(tx, *digest)?.map(|(size, _)| size)));
}

fn stage(store: &Store, bytes: &[u8]) -> Staged {
    let mut stage = store.stage(Some(bytes.len() as u64)).unwrap();
    assert_eq!(stage.copy_from(&mut &*bytes, None).unwrap(), bytes.len() as u64);
    stage.finish().unwrap()
}

fn hold(tx: &WriteTx<'_>, digest: Digest, size: u64, holder: &str) -> Result<()> {
    let (_, mut holders) = HELD.get(tx, digest)?.unwrap_or((size, Vec::new()));
    if holders.iter().any(|found| found == holder) {
        return Err(Error::conflict("held already"));
    }
    holders.push(holder.to_owned());
    HELD.put(tx, digest, &(size, holders))
}

fn put(store: &Store, bytes: &[u8], holder: &str) -> Result<Digest> {
    let mut stage = store.stage(Some(bytes.len() as u64))?;
    stage.copy_from(&mut &*bytes, None)?;
    let staged = stage.finish()?;
    let (digest, size, holder) = (staged.digest, staged.size, holder.to_owned());
    store.shelve(vec![staged], move |tx| hold(tx, digest, size, &holder))?;
    Ok(digest)
}

fn let_go(store: &Arc<Store>, digest: Digest, holder: &str) {
    let (inside, holder) = (store.clone(), holder.to_owned());
    store
        .commit(move |tx| {
            let Some((size, mut holders)) = HELD.get(tx, digest)? else { return Ok(()) };
            holders.retain(|found| *found != holder);
            HELD.put(tx, digest, &(size, holders))?;
            inside.release(tx, digest);
            Ok(())
        })
        .unwrap();
}

fn read(store: &Store, digest: &Digest) -> std::io::Result<Vec<u8>> {
    let mut blob = store.blob(digest).map_err(std::io::Error::other)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1000];
    loop {
        let count = blob.read_at(bytes.len() as u64, &mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("shelf").join(&digest.to_hex()[..2]).join(digest.to_hex())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn bytes_and_rows_come_back_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("deep/data");
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = {
        let store = open(&data);
        let digest = put(&store, &bytes, "a").unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(read(&store, &digest).unwrap(), bytes);
        store.close();
        assert_eq!(store.commit(|_| Ok(())).unwrap_err().kind, Kind::Busy);
        assert_eq!(store.read(|_| Ok(())).unwrap_err().kind, Kind::Busy);
        store.close();
        digest
    };
    let store = open(&data);
    let mut blob = store.blob(&digest).unwrap();
    assert!(blob.file().is_none(), "unread since the start");
    let mut buffer = vec![0; bytes.len()];
    assert_eq!(blob.read_at(0, &mut buffer).unwrap(), bytes.len());
    assert_eq!(buffer, bytes);
    let mut file = blob.file().unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut whole = Vec::new();
    file.read_to_end(&mut whole).unwrap();
    assert_eq!(whole, bytes);
    assert!(store.blob(&digest).unwrap().file().is_some());
    assert!(files(&data.join("stage")).is_empty());
    assert_eq!(store.health().0.map_err(|e| e.kind), Ok(()));
    assert_eq!(store.health().1.map_err(|e| e.kind), Ok(()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(blob_path(&data, &digest).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn large_bodies_are_hashed_beside_the_writing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for size in [4 << 20, (4 << 20) + 1, 7 << 20, (8 << 20) - 1, 12_345_678] {
        let bytes: Vec<u8> = (0..size).map(|n: usize| (n / 7 % 251) as u8).collect();
        // A reader that gives little at a time.
        let mut rest = &bytes[..];
        let mut slow = std::io::Read::chain(std::io::Read::take(&mut rest, 100_000), &bytes[100_000..]);
        let mut stage = store.stage(None).unwrap();
        stage.copy_from(&mut slow, Some(size as u64)).unwrap();
        let staged = stage.finish().unwrap();
        assert_eq!((staged.digest, staged.size), (Digest::of(&bytes), size as u64));
        let mut stored = Vec::new();
        staged.open().unwrap().read_to_end(&mut stored).unwrap();
        assert!(stored == bytes);
    }
}

#[test]
fn writing_in_pieces_is_the_same_as_copying() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut stage = store.stage(None).unwrap();
    stage.write_all(b"one ").unwrap();
    stage.copy_from(&mut &b"two "[..], None).unwrap();
    stage.write_all(b"three").unwrap();
    assert_eq!(stage.written(), 13);
    assert_eq!(stage.finish().unwrap().digest, Digest::of(b"one two three"));
}

#[test]
fn readers_faults_are_told_from_ours() {
    struct Breaks(std::io::ErrorKind);
    impl std::io::Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let fail = |reader: &mut dyn std::io::Read, limit| {
        let error = store.stage(None).unwrap().copy_from(reader, limit).unwrap_err();
        (error.kind, error.message.into_owned())
    };
    use std::io::ErrorKind;
    assert_eq!(fail(&mut Breaks(ErrorKind::UnexpectedEof), None).0, Kind::Invalid);
    assert_eq!(fail(&mut Breaks(ErrorKind::TimedOut), None).1, "the body arrived too slowly");
    assert_eq!(
        fail(&mut &[0; 101][..], Some(100)),
        (Kind::TooLarge, "the file is larger than the limit of 100 bytes".into())
    );
    let large = vec![0; 6 << 20];
    assert_eq!(fail(&mut &large[..], Some(5 << 20)).0, Kind::TooLarge);
    let mut ours = std::io::Read::chain(&large[..], Ours);
    struct Ours;
    impl std::io::Read for Ours {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other(Error::forbidden("stop")))
        }
    }
    assert_eq!(fail(&mut ours, None), (Kind::Forbidden, "stop".into()));
    assert!(files(&directory.path().join("stage")).is_empty(), "a dropped stage leaves nothing");
    drop(stage(&store, b"dropped"));
    assert!(files(&directory.path().join("stage")).is_empty());
}

#[test]
fn one_thread_commits_for_sixteen() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let ran = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..16_u64 {
            let (store, ran) = (store.clone(), ran.clone());
            scope.spawn(move || {
                for round in 0..40_u64 {
                    let key = format!("{thread}-{round}");
                    let ran = ran.clone();
                    let answer = store.commit(move |tx| {
                        ran.fetch_add(1, Ordering::Relaxed);
                        match round % 8 {
                            // Refuses before it writes, after it wrote, and panics at either time.
                            1 => return Err(Error::conflict("before")),
                            3 => panic!("before"),
                            _ => {}
                        }
                        ROWS.put(tx, key.as_str(), &round)?;
                        match round % 8 {
                            5 => Err(Error::conflict("after")),
                            7 => panic!("after"),
                            _ => Ok(round),
                        }
                    });
                    match round % 8 {
                        1 => assert_eq!(answer.unwrap_err().message, "before"),
                        5 => assert_eq!(answer.unwrap_err().message, "after"),
                        3 | 7 => assert_eq!(answer.unwrap_err().kind, Kind::Internal),
                        _ => assert_eq!(answer.unwrap(), round),
                    }
                }
            });
        }
    });
    store.close();
    drop(store);
    let rows = open(directory.path()).read(|tx| ROWS.all(tx, ())).unwrap();
    assert_eq!(rows.len(), 16 * 20);
    assert!(rows.iter().all(|(_, round)| round % 2 == 0), "only what succeeded is there");
}

#[test]
fn of_racing_writers_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (open(directory.path()), directory.path());
    for round in 0..20 {
        let winners: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u64)
                .map(|number| {
                    let store = store.clone();
                    scope.spawn(move || {
                        let bytes = format!("round {round} bytes {number}");
                        let staged = stage(&store, bytes.as_bytes());
                        let (digest, size) = (staged.digest, staged.size);
                        let answer = store.shelve(vec![staged], move |tx| {
                            let name = format!("version {round}");
                            if ROWS.has(tx, name.as_str())? {
                                return Err(Error::conflict("taken"));
                            }
                            hold(tx, digest, size, &name)?;
                            ROWS.put(tx, name.as_str(), &number)
                        });
                        let there = blob_path(data, &digest).exists();
                        assert_eq!(there, answer.is_ok(), "a refused upload leaves no blob");
                        usize::from(answer.is_ok())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
    }
}

#[test]
fn equal_bytes_are_kept_once_and_until_the_last_holder_goes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let digest = put(&store, b"same", "a").unwrap();
    assert_eq!(put(&store, b"same", "b").unwrap(), digest);
    assert_eq!(files(&directory.path().join("shelf")).len(), 1);
    let error = put(&store, b"same", "b").unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert_eq!(read(&store, &digest).unwrap(), b"same", "a refused upload of bytes that others hold leaves them");
    let_go(&store, digest, "a");
    assert!(store.wait_for_collection(Duration::from_secs(10)));
    assert_eq!(read(&store, &digest).unwrap(), b"same");
    let open_before = store.blob(&digest).unwrap();
    let_go(&store, digest, "b");
    assert!(store.wait_for_collection(Duration::from_secs(10)));
    assert!(files(&directory.path().join("shelf")).is_empty());
    assert_eq!(store.blob(&digest).map(|_| ()).unwrap_err().kind, Kind::NotFound);
    let mut open_before = open_before;
    let mut buffer = [0; 10];
    assert_eq!(open_before.read_at(0, &mut buffer).unwrap(), 4, "what was open stays readable");
}

#[test]
fn a_large_blob_goes_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = vec![3; 17 << 20];
    let digest = put(&store, &bytes, "a").unwrap();
    let_go(&store, digest, "a");
    assert!(store.wait_for_collection(Duration::from_secs(10)));
    assert!(files(&directory.path().join("shelf")).is_empty());
    assert!(files(&directory.path().join("stage")).is_empty());
}

#[test]
fn several_files_enter_together_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let staged = vec![stage(&store, b"one"), stage(&store, b"two"), stage(&store, b"one")];
    let digests: Vec<Digest> = staged.iter().map(|file| file.digest).collect();
    let answer = store.shelve(staged, |_| Err::<(), _>(Error::forbidden("no")));
    assert_eq!(answer.unwrap_err().kind, Kind::Forbidden);
    assert!(files(&directory.path().join("shelf")).is_empty() && files(&directory.path().join("stage")).is_empty());
    let staged = vec![stage(&store, b"one"), stage(&store, b"two"), stage(&store, b"one")];
    store
        .shelve(staged, move |tx| {
            hold(tx, digests[0], 3, "a")?;
            hold(tx, digests[1], 3, "a")
        })
        .unwrap();
    assert_eq!(files(&directory.path().join("shelf")).len(), 2);
}

#[test]
fn a_storm_on_one_digest_never_loses_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = vec![5; 70_000];
    let digest = Digest::of(&bytes);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (store, bytes) = (&store, &bytes);
            scope.spawn(move || {
                for round in 0..30 {
                    let holder = format!("{thread}/{round}");
                    put(store, bytes, &holder).unwrap();
                    assert!(read(store, &digest).unwrap() == *bytes, "held by {holder}");
                    let_go(store, digest, &holder);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                match read(&store, &digest) {
                    Ok(found) => assert!(found == bytes),
                    Err(e) => assert_eq!(e.to_string(), "no such file"),
                }
            }
        });
    });
    assert!(store.wait_for_collection(Duration::from_secs(10)));
    assert!(files(&directory.path().join("shelf")).is_empty());
}

#[test]
fn the_last_handle_may_go_on_a_thread_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let inside = store.clone();
    store
        .commit(move |tx| {
            let inside = inside.clone();
            tx.after_commit(move || {
                // Long enough for the test's own handle to go first.
                std::thread::sleep(Duration::from_millis(50));
                drop(inside);
            });
            ROWS.put(tx, "a", &1)
        })
        .unwrap();
    drop(store);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Store::open(directory.path(), Options::default()) {
            Ok(store) => {
                assert_eq!(store.read(|tx| ROWS.get(tx, "a")).unwrap(), Some(1));
                return;
            }
            Err(e) => assert!(Instant::now() < deadline, "{e}"),
        }
    }
}
