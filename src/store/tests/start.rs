//! Opening: refusals, the sweep, upgrades.

use super::*;
use crate::store::sweep::Found;

fn refusal(directory: &Path) -> String {
    Store::open(directory, Options::default()).map(|_| ()).unwrap_err().message
}

fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let state = |path: &PathBuf| (fs::read(path).unwrap(), path.metadata().unwrap().modified().unwrap());
    files(directory).into_iter().map(|path| (path.clone(), state(&path))).collect()
}

#[test]
fn a_second_opening_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let before = Instant::now();
    assert_eq!(refusal(directory.path()), format!("another packhouse already uses {}", directory.path().display()));
    assert!(before.elapsed() < Duration::from_secs(5));
    store.commit(|tx| ROWS.put(tx, "a", &1)).unwrap();
    fs::remove_file(directory.path().join("lock")).unwrap();
    assert!(refusal(directory.path()).starts_with("another packhouse"), "the database's own lock counts as well");
}

#[test]
fn of_many_that_open_a_new_directory_one_wins() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Store::open(&data, Options::default()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|store| store.is_ok()).count(), 1);
        for refused in opened.into_iter().filter_map(Result::err) {
            assert!(refused.message.starts_with("another packhouse"), "{refused}");
        }
    }
}

#[test]
fn a_newer_directory_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, b"bytes", "a").unwrap();
    store
        .commit(|tx| {
            INFO.put(tx, "release", &"7.5.0".into())?;
            INFO.put(tx, "schema", &99.into())
        })
        .unwrap();
    drop(store);
    fs::write(directory.path().join("strange"), b"left alone").unwrap();
    let before = snapshot(directory.path());
    let text = refusal(directory.path());
    assert!(text.contains("schema 99") && text.contains("packhouse 7.5.0 or later is needed"), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert!(snapshot(directory.path()) == before, "nothing is written");
    // By the file alone as well.
    let other = tempfile::tempdir().unwrap();
    drop(open(other.path()));
    fs::write(other.path().join("VERSION"), "schema 2\npackhouse 9.9.9\n").unwrap();
    let before = snapshot(other.path());
    let text = refusal(other.path());
    assert!(text.contains("schema 2") && text.contains("packhouse 9.9.9 or later"), "{text}");
    assert!(snapshot(other.path()) == before);
    fs::write(other.path().join("VERSION"), "nonsense").unwrap();
    assert!(refusal(other.path()).contains("does not say which schema"));
}

#[test]
fn a_directory_without_its_database_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, b"bytes", "a").unwrap();
    drop(store);
    fs::rename(directory.path().join("packhouse.redb"), directory.path().join("aside")).unwrap();
    assert!(refusal(directory.path()).contains("is missing"));
    fs::remove_file(directory.path().join("VERSION")).unwrap();
    assert!(refusal(directory.path()).contains("is missing"), "blobs tell as well");
    assert!(!directory.path().join("packhouse.redb").exists());
    let file = directory.path().join("aside");
    assert!(!refusal(&file).is_empty(), "a file is no directory");
}

#[test]
fn a_start_that_died_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("shelf/00")).unwrap();
    fs::write(directory.path().join("packhouse.redb.new"), b"half").unwrap();
    fs::write(directory.path().join("VERSION.new"), b"half").unwrap();
    let store = open(directory.path());
    assert_eq!(fs::read_to_string(directory.path().join("VERSION")).unwrap().lines().next(), Some("schema 1"));
    assert!(!directory.path().join("packhouse.redb.new").exists());
    assert_eq!(fs::read_dir(directory.path().join("shelf")).unwrap().count(), 256);
    let installation = store.installation();
    drop(store);
    assert_eq!(open(directory.path()).installation(), installation);
}

fn age(path: &Path, seconds: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn the_sweep_removes_leftovers_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let store = open(data);
    let held = put(&store, b"held", "a").unwrap();
    age(&blob_path(data, &held), 100_000);
    drop(store);
    let leave = |bytes: &[u8], seconds| {
        let path = blob_path(data, &Digest::of(bytes));
        fs::write(&path, bytes).unwrap();
        age(&path, seconds);
        path
    };
    let (old, young) = (leave(b"old", 4000), leave(b"young", 3000));
    let stage_file = data.join("stage/0123456789abcdef-7");
    let kept_file = data.join("stage/0123456789abcdef-8");
    fs::write(&stage_file, b"half").unwrap();
    fs::write(&kept_file, b"half").unwrap();
    let strange = [
        data.join("stage/notes.txt"),
        data.join("shelf/readme"),
        data.join("shelf/00/short"),
        data.join("shelf/00").join(Digest::of(b"").to_hex()),
    ];
    for path in &strange {
        fs::write(path, b"").unwrap();
        age(path, 100_000);
    }
    let store = open(data);
    store.set_keep_stage(|_, name| Ok(name.ends_with("-8")));
    let mine = stage(&store, b"in flight");
    let found = store.inner.sweep(store.inner.steady);
    assert_eq!(found, Found { stage_files: 1, orphans: 1, young: 1, strange: 4 });
    assert!(!old.exists() && !stage_file.exists());
    assert!(young.exists() && kept_file.exists() && strange.iter().all(|path| path.exists()));
    assert_eq!(read(&store, &held).unwrap(), b"held");
    store.shelve(vec![mine], |_| Ok(())).unwrap();
    // A clock that jumped: no date is believed.
    age(&young, 4000);
    assert_eq!(store.inner.sweep(false).young, 2);
    assert!(young.exists());
    store.begin_sweep();
    let deadline = Instant::now() + Duration::from_secs(10);
    while young.exists() {
        assert!(Instant::now() < deadline, "the sweeping thread did not come by");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_clock_that_jumped_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let database = directory.path().join("packhouse.redb");
    for (seconds, steady) in [(10, true), (80_000, true), (90_000, false)] {
        age(&database, seconds);
        assert_eq!(sweep::clock_is_steady(&database), steady);
    }
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1000)).unwrap();
    assert!(!sweep::clock_is_steady(&database));
}

#[test]
fn an_older_schema_is_raised_step_by_step_with_a_copy_beside() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..10 {
        store.commit(move |tx| ROWS.put(tx, number.to_string().as_str(), &number)).unwrap();
    }
    drop(store);
    let path = directory.path().join("packhouse.redb");
    let database = redb::Database::open(&path).unwrap();
    let steps: [schema::Step; 2] =
        [|tx| ROWS.put(tx, "first", &1), |tx| ROWS.put(tx, "second", &(1 + ROWS.get(tx, "first")?.unwrap_or(0)))];
    schema::upgrade_with(directory.path(), &database, &steps).unwrap();
    let rows = |database: &redb::Database| {
        let tx = ReadTx { tx: redb::ReadableDatabase::begin_read(database).unwrap() };
        (ROWS.all(&tx, ()).unwrap().len(), INFO.get(&tx, "schema").unwrap(), INFO.get(&tx, "installation").unwrap())
    };
    let after = rows(&database);
    assert_eq!((after.0, after.1), (12, Some(3.into())));
    schema::upgrade_with(directory.path(), &database, &steps).unwrap();
    let copy = redb::Database::open(directory.path().join("packhouse.schema-1.redb")).unwrap();
    let before = rows(&copy);
    assert_eq!((before.0, before.1), (10, Some(1.into())));
    assert_eq!(before.2, after.2);
    drop(database);
    assert!(refusal(directory.path()).contains("schema 3"));
}
