//! `kill -9` under load, again and again: every answer that was given still holds after the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::files::noise;
use crate::rig::{self, Home, wait_until};
use crate::server::Packhouse;

/// What one client knows when the server dies.
#[derive(Default)]
struct Known {
    /// Answered 201: version, seed and size of its bytes.
    stored: BTreeMap<String, (u64, usize)>,
    /// Sent, never answered: there whole, or not at all.
    unsure: BTreeMap<String, (u64, usize)>,
    /// Answered 204.
    deleted: BTreeSet<String>,
    /// Deletion sent, never answered.
    deleting: BTreeSet<String>,
}

/// Sizes of uploads: empty, tiny, a few blocks, more than one buffer.
const SIZES: [usize; 6] = [0, 10, 4_096, 70_000, 300_000, 1_500_000];

/// Uploads, and deletes every fifth of its own, until the server is gone.
fn work(address: SocketAddr, round: u64, client: u64, over: &AtomicBool) -> Known {
    let mut known = Known::default();
    let mut last: Option<String> = None;
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        if let (4, Some(version)) = (turn % 5, last.take()) {
            match rig::delete_version(address, "p", &version) {
                Ok(answer) => {
                    assert_eq!(answer.status, 204, "{answer:?}");
                    known.deleted.insert(version);
                }
                Err(_) => drop(known.deleting.insert(version)),
            }
            continue;
        }
        // Every third has the bytes of another client's: blobs are shared, deletions race with uploads.
        let seed = if turn % 3 == 0 { round * 1_000 + turn } else { (round * 10 + client) * 100_000 + turn };
        let size = SIZES[usize::try_from(seed % 6).unwrap_or(0)];
        let version = format!("r{round}-c{client}-{turn}");
        match rig::upload(address, "p", &version, &noise(seed, size)) {
            Ok(answer) => {
                assert_eq!(answer.status, 201, "{answer:?}");
                known.stored.insert(version.clone(), (seed, size));
                last = Some(version);
            }
            Err(_) => drop(known.unsure.insert(version, (seed, size))),
        }
    }
    known
}

/// Compares the listing with what all clients know, and the bytes with what the `fresh` ones of them sent.
fn check(server: &Packhouse, all: &[Known], fresh: &[Known]) -> usize {
    let listed: BTreeSet<String> = rig::versions(server.address(), "p").expect("the versions").into_iter().collect();
    for known in all {
        for version in known.stored.keys() {
            let is_listed = listed.contains(version);
            if known.deleted.contains(version) {
                assert!(!is_listed, "{version}: its deletion was answered");
            } else if !known.deleting.contains(version) {
                assert!(is_listed, "{version}: answered 201 and lost");
            }
        }
    }
    let sent = |known: &[Known], version: &String| {
        known.iter().find_map(|known| known.stored.get(version).or_else(|| known.unsure.get(version)).copied())
    };
    for version in &listed {
        if let Some((seed, size)) = sent(fresh, version) {
            rig::assert_whole(server.address(), "p", version, &noise(seed, size));
        } else {
            assert!(sent(all, version).is_some(), "{version}: nobody sent it");
        }
    }
    listed.len()
}

#[test]
fn nothing_answered_is_lost_over_kills() {
    let rounds = std::env::var("PACKHOUSE_TEST_KILLS").map_or(15, |count| count.parse().expect("a number of rounds"));
    let home = Home::new();
    let mut server = home.start();
    rig::create_product(server.address(), "p");
    server.kill();
    let mut all: Vec<Known> = Vec::new();
    let (mut slowest, mut answers) = (Duration::ZERO, 0);
    for round in 0..rounds {
        let begun = Instant::now();
        let mut server = home.start();
        slowest = slowest.max(begun.elapsed());
        let over = AtomicBool::new(false);
        // Some rounds end in the first uploads, some in full swing.
        let time = Duration::from_millis(20 + (round * 97) % 400);
        let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).expect("a pid")).expect("a pid");
        let known: Vec<Known> = std::thread::scope(|scope| {
            let (address, over) = (server.address(), &over);
            let clients: Vec<_> =
                (0..6).map(|client| scope.spawn(move || work(address, round, client, over))).collect();
            std::thread::sleep(time);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a signal");
            over.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        server.wait();
        answers += known.iter().map(|known| known.stored.len() + known.deleted.len()).sum::<usize>();
        // The round's own bytes at once, everybody's at the end.
        let mut server = home.start();
        let before = all.len();
        all.extend(known);
        check(&server, &all, &all[before..]);
        wait_until("the stage is swept", || rig::is_stage_empty(server.data()));
        server.kill();
    }
    let server = home.start();
    let listed = check(&server, &all, &all);
    println!("{rounds} kills, {answers} answers, {listed} versions left, slowest start {slowest:?}");
    assert!(answers > 0, "nothing was ever answered");
    rig::stop(server);
    rig::assert_sound(home.data(), "after all kills");
    assert!(rig::is_stage_empty(home.data()));
}
