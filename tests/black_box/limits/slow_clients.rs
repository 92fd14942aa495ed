//! Slow clients: hundreds of connections that drip or stall stop nobody, and each is ended in its time.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::files::noise;
use crate::rig::{self, MIB, wait_until};
use crate::server::{Packhouse, files_below};
use crate::wire::{self, Wire, is_timeout};

/// The hard guard for one probe while the others are slow.
const PROBE: Duration = Duration::from_secs(2);

/// A connection that has begun something and goes on by single bytes, if at all.
struct Slow {
    wire: Wire,
    drips: bool,
}

impl Slow {
    fn begin(address: SocketAddr, start: &str, drips: bool) -> Slow {
        let mut wire = Wire::open(address);
        let _ = wire.send(start);
        wire.stream().set_nonblocking(true).expect("non-blocking");
        Slow { wire, drips }
    }

    /// One more byte; a server that has ended the connection is in its right.
    fn drip(&mut self) {
        if self.drips {
            let _ = self.wire.stream().write(b"x");
        }
    }

    /// Reads what there is; answers whether the other side has ended it.
    fn has_ended(&mut self) -> bool {
        let mut block = [0; 4096];
        loop {
            match self.wire.stream().read(&mut block) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if is_timeout(&e) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// The beginning of a request whose body of `length` bytes will not come.
fn unfinished_json(length: u64) -> String {
    rig::request("PUT", "/product/create", &format!("Content-Length: {length}\r\n")) + "{\"name\": \""
}

/// The beginning of an upload by somebody with rights.
fn unfinished_upload(framing: &str) -> String {
    let chunk = if framing.contains("chunked") { "fffff\r\n" } else { "" };
    rig::upload_head(framing) + chunk + &rig::before_file("big", "slow")
}

/// A download that has begun and is not read on.
fn stalled_download(address: SocketAddr) -> Wire {
    let mut wire = Wire::open(address);
    wire.send(rig::request("GET", "/product/download/big/v", "")).expect("sent");
    let mut start = [0; 15];
    (&mut wire.stream()).read_exact(&mut start).expect("the answer begins");
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    wire
}

/// One round of probes; the slowest and its name.
fn probe(address: SocketAddr, quick: &mut Wire, round: usize) -> (Duration, &'static str) {
    let create = rig::json_request("PUT", "/product/create", &format!("{{\"name\":\"probe-{round}\"}}"));
    let range = rig::request("GET", "/product/download/big/v", "Range: bytes=33000000-33009999\r\n");
    let known = rig::request("GET", "/health", "");
    let probes = [
        ("health", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
        ("health with a token", known, 200),
        ("list", rig::request("GET", "/product/access", ""), 200),
        ("product", rig::request("GET", "/product/fetch/big", ""), 200),
        ("range", range, 206),
        ("write", create, 201),
    ];
    let mut worst = (Duration::ZERO, "");
    for (name, request, status) in probes {
        // Once as a newcomer, once as a guest who is already in.
        let begun = Instant::now();
        let fresh = wire::ask(address, &request).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        worst = worst.max((begun.elapsed(), name));
        assert_eq!(fresh.status, status, "{name}: {fresh:?}");
        if name == "write" {
            continue;
        }
        let begun = Instant::now();
        quick.send(&request).expect("sent");
        let answer = quick.answer(false).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        worst = worst.max((begun.elapsed(), name));
        assert_eq!(answer.map(|answer| answer.status), Some(status), "{name}");
    }
    worst
}

/// Ends the dripping also when a probe fails: else the test would never end.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn slow_clients_stop_nobody() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "big");
    let stored = rig::upload(address, "big", "v", &noise(64, 64 << 20)).expect("an answer");
    assert_eq!(stored.status, 201, "{stored:?}");
    let mut quick = Wire::open(address);
    let (calm, _) = probe(address, &mut quick, 9_999);

    let downloads: Vec<Wire> = (0..64).map(|_| stalled_download(address)).collect();
    let half_head = "GET /health HTTP/1.1\r\nHost: x\r\nX-A: ";
    let mut slow = Vec::new();
    for _ in 0..125 {
        slow.push(Slow::begin(address, "", false));
        slow.push(Slow::begin(address, half_head, true));
    }
    for index in 0..100 {
        let length = if index % 2 == 0 { 1_000 } else { 1_000_000 };
        slow.push(Slow::begin(address, &unfinished_json(length), true));
    }
    for index in 0..150 {
        let framing = ["Content-Length: 500000\r\n", "Content-Length: 50000000\r\n", "Transfer-Encoding: chunked\r\n"];
        slow.push(Slow::begin(address, &unfinished_upload(framing[index % 3]), index % 5 != 0));
    }
    assert_eq!(slow.len(), 500);

    let done = AtomicBool::new(false);
    let mut worst = (Duration::ZERO, "");
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let done = &done;
        let _end = End(done);
        let dripper = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                slow.iter_mut().for_each(Slow::drip);
                std::thread::sleep(Duration::from_millis(200));
            }
            slow
        });
        for round in 0..100 {
            let begun = Instant::now();
            let (time, name) = probe(address, &mut quick, round);
            times.push(time);
            worst = worst.max((time, name));
            // The pace of the probe, not a wait for luck.
            std::thread::sleep(Duration::from_millis(100).saturating_sub(begun.elapsed()));
        }
        done.store(true, Ordering::Relaxed);
        drop(dripper.join().expect("the dripper"));
    });
    times.sort();
    let median = times[times.len() / 2];
    println!("500 slow connections, 64 stalled downloads: calm {calm:?}, median {median:?}, worst {worst:?}");
    assert!(worst.0 < PROBE, "{worst:?}");
    assert!(server.peak_memory() < 256 * MIB, "more than 256 MiB");
    drop(downloads);

    // They have gone: nothing of theirs stays, and uploads have room again.
    wait_until("the stage is empty", || rig::is_stage_empty(server.data()));
    assert_eq!(rig::versions(address, "big").expect("the versions"), ["v".to_owned()]);
    let stored = rig::upload(address, "big", "w", &noise(65, 3 << 20)).expect("an answer");
    assert_eq!(stored.status, 201, "{stored:?}");
}

/// Every kind of connection that never finishes is ended in its time (`reliability.md` §11, with room for a busy machine).
#[test]
fn what_never_finishes_is_ended() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "big");
    let stored = rig::upload(address, "big", "v", &noise(66, 64 << 20)).expect("an answer");
    assert_eq!(stored.status, 201, "{stored:?}");
    let before = files_below(server.data());

    let half_head = "GET /health HTTP/1.1\r\nHost: x\r\nX-A: ";
    let sized = "Content-Length: 50000000\r\n";
    let collected = "Content-Length: 500000\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    // What, how it begins, whether it drips, and the second by which it must be over.
    let kinds = [
        ("silent", String::new(), false, 75),
        ("half a head, stalled", half_head.to_owned(), false, 25),
        ("half a head, dripping", half_head.to_owned(), true, 25),
        ("a served client, quiet", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), false, 75),
        ("JSON, stalled", unfinished_json(1_000), false, 50),
        ("JSON, dripping", unfinished_json(100_000), true, 50),
        ("small upload, stalled", unfinished_upload(collected), false, 50),
        ("small upload, dripping", unfinished_upload(collected), true, 50),
        ("large upload, stalled", unfinished_upload(sized), false, 50),
        ("large upload, dripping", unfinished_upload(sized), true, 50),
        ("chunked upload, stalled", unfinished_upload(chunked), false, 50),
        ("chunked upload, dripping", unfinished_upload(chunked), true, 50),
        ("expecting upload, stalled", unfinished_upload(&format!("{sized}Expect: 100-continue\r\n")), false, 50),
    ];
    let mut download = stalled_download(address);
    let begun = Instant::now();
    let mut open: Vec<(&str, Slow, u64)> = Vec::new();
    for (name, start, drips, limit) in &kinds {
        open.push((name, Slow::begin(address, start, *drips), *limit));
    }
    let mut late = Vec::new();
    while !open.is_empty() {
        open.retain_mut(|(name, slow, limit)| {
            slow.drip();
            let seconds = begun.elapsed().as_secs();
            if slow.has_ended() {
                println!("{name}: ended after {seconds} s");
                return false;
            }
            if seconds > *limit {
                late.push(format!("{name}: still open after {seconds} s"));
            }
            seconds <= *limit
        });
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(late.is_empty(), "{}", late.join("\n"));

    // The download has stalled for longer than 30 s as well: it was cut off, whatever still lies in the socket.
    let mut rest = 0;
    let mut block = vec![0; 1 << 20];
    let until = Instant::now() + wire::GUARD;
    while let Ok(count) = (&mut download.stream()).read(&mut block) {
        rest += count;
        assert!(Instant::now() < until, "{rest} bytes and no end");
        if count == 0 {
            break;
        }
    }
    assert!(rest < 64 << 20, "a reader that stalled for a minute was waited for");
    assert_eq!(files_below(server.data()), before, "something was left behind");
    wire::healthy(address).expect("healthy");
    let _ = download.closed_by(Instant::now());
}
