//! Processes that die: this test binary runs itself as a child, kills it, and looks at what is left.

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const DATA: &str = "PACKHOUSE_TEST_DATA";

/// The child's part; without the variable there is nothing to do.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DATA) else { return };
    let store = open(Path::new(&directory));
    store.begin_sweep();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0.. {
                    let holder = format!("{}/{thread}/{round}", std::process::id());
                    let bytes = body(&holder);
                    match put(store, &bytes, &holder) {
                        Ok(_) => println!("\nanswered {holder}"),
                        Err(error) if error.kind == Kind::Quota => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    if round % 3 == 2 {
                        let gone = format!("{}/{thread}/{}", std::process::id(), round - 1);
                        // Said before: from here on it may be gone.
                        println!("\nreleased {gone}");
                        let_go(store, Digest::of(&body(&gone)), &gone);
                    }
                }
            });
        }
    });
}

/// What a holder stores: between 0 and 40,000 bytes, all different.
fn body(holder: &str) -> Vec<u8> {
    let length = Digest::of(holder.as_bytes()).0[0] as usize * 157;
    holder.bytes().cycle().take(length + holder.len()).collect()
}

fn spawn(data: &Path, point: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::tests::crash::child", "--nocapture", "--test-threads=1"]);
    command.env(DATA, data).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(point) = point {
        command.env("PACKHOUSE_CRASH_AT", point);
    }
    command.spawn().unwrap()
}

/// Reads what the child says until it ends or has answered so often, then kills it. Answered and not released.
fn run(data: &Path, point: Option<&str>, answers: usize) -> Vec<String> {
    let mut child = spawn(data, point);
    let mut answered = Vec::new();
    let mut released = Vec::new();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut killed = false;
    for line in out.lines() {
        let line = line.unwrap();
        if let Some(holder) = line.strip_prefix("answered ") {
            answered.push(holder.to_owned());
        } else if let Some(holder) = line.strip_prefix("released ") {
            released.push(holder.to_owned());
        }
        if answered.len() >= answers && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    answered.retain(|holder| !released.contains(holder));
    answered
}

/// Nothing answered is lost, nothing is half there, no litter stays.
fn inspect(data: &Path, answered: &[String]) {
    let before = Instant::now();
    let store = open(data);
    assert!(before.elapsed() < Duration::from_secs(30), "a start after a crash must not scan");
    for holder in answered {
        let bytes = body(holder);
        assert!(read(&store, &Digest::of(&bytes)).unwrap() == bytes, "{holder} was answered and is lost");
    }
    for (digest, (size, _)) in store.read(|tx| HELD.all(tx, ())).unwrap() {
        assert_eq!(store.blob(&digest).unwrap().len(), size, "a row points at missing bytes");
    }
    // Leftovers are old enough to go.
    for path in files(&data.join("shelf")) {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(5000)).unwrap();
    }
    store.inner.sweep(true);
    assert!(store.wait_for_collection(Duration::from_secs(10)));
    let rows = store.read(|tx| HELD.len(tx)).unwrap();
    assert_eq!(files(&data.join("shelf")).len() as u64, rows, "litter on the shelf");
    assert!(files(&data.join("stage")).is_empty(), "litter in the stage");
    drop(store);
    let (verdict, text) = super::damage::check(data, VerifyOptions::default());
    assert_eq!(verdict, Verdict::Sound, "{text}");
}

#[test]
fn a_killed_process_loses_nothing_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    for round in 0..12 {
        answered.extend(run(directory.path(), None, 5 + round * 7));
        inspect(directory.path(), &answered);
    }
    assert!(answered.len() > 100);
}

#[cfg(feature = "crash-points")]
#[test]
fn at_every_named_point_a_crash_is_harmless() {
    let points = [
        "stage-created",
        "body-half",
        "body-complete",
        "stage-flushed",
        "renamed",
        "directory-flushed",
        "commit-begun",
        "commit-half",
        "committed",
        "row-deleted",
    ];
    for point in points {
        for passage in [1, 10] {
            let directory = tempfile::tempdir().unwrap();
            let mut answered = run(directory.path(), Some(&format!("{point}:{passage}")), usize::MAX);
            // And a second crash in the sweep of the start after it.
            answered.extend(run(directory.path(), Some("sweep"), usize::MAX));
            inspect(directory.path(), &answered);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_killed_on_a_full_disk_starts_on_the_full_disk() {
    let disk = super::failure::SmallDisk::mount("64m");
    let data = disk.0.path().join("data");
    let mut answered = run(&data, None, 60);
    for round in 0..6 {
        let stranger = disk.fill("stranger");
        // Full when it starts, full when it dies.
        let mut child = spawn(&data, None);
        let deadline = Instant::now() + Duration::from_millis(200 + round * 50);
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(child.try_wait().unwrap(), None, "the process must live on a full disk");
        child.kill().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        {
            let store = open(&data);
            for holder in &answered {
                let bytes = body(holder);
                assert!(read(&store, &Digest::of(&bytes)).unwrap() == bytes);
            }
        }
        fs::remove_file(stranger).unwrap();
        answered.extend(run(&data, None, 20));
    }
    inspect(&data, &answered);
}
