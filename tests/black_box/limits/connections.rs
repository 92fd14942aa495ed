//! Many connections: quiet ones cost little, the cap drops the oldest quiet one, and running out of descriptors passes.

use std::net::SocketAddr;
use std::time::Instant;

use crate::files::noise;
use crate::rig;
use crate::server::Packhouse;
use crate::wire::{self, GUARD, Wire};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// Asks on a connection that stays open.
fn is_served(wire: &mut Wire) -> Result<(), String> {
    wire.send(HEALTH).map_err(|e| format!("send: {e}"))?;
    match wire.answer(false)? {
        Some(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Opens `count` connections and has each of them served once.
fn open_served(address: SocketAddr, count: usize) -> Vec<Wire> {
    let open = |index| {
        let mut wire = Wire::open(address);
        is_served(&mut wire).unwrap_or_else(|fault| panic!("connection {index}: {fault}"));
        wire
    };
    (0..count).map(open).collect()
}

/// As many descriptors as this process may have; the soft limit is raised to the hard one.
#[cfg(unix)]
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// 10,000 keep-alive connections (or what the limit on descriptors allows): at most 64 KiB each, all still served.
#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_quiet_connections_are_held() {
    // Room for the other tests of this process, which share its descriptors.
    let count = descriptors().saturating_sub(1_500).min(10_000);
    let cap = (count + 100).to_string();
    let server = Packhouse::with().env("PACKHOUSE_MAX_CONNECTIONS", &cap).start();
    let address = server.address();
    wire::healthy(address).expect("healthy");
    let before = server.memory();
    let mut quiet = open_served(address, count);
    let each = server.memory().saturating_sub(before) / count as u64;
    println!("{count} quiet connections: {each} bytes each");
    assert!(each <= 64 * 1024, "{each} bytes a connection");
    wire::healthy(address).expect("healthy");
    let begun = Instant::now();
    for (index, wire) in quiet.iter_mut().enumerate() {
        is_served(wire).unwrap_or_else(|fault| panic!("connection {index} of {count}: {fault}"));
    }
    println!("all {count} served again within {:?}", begun.elapsed());
    drop(quiet);
    wire::healthy(address).expect("healthy");
}

/// Connections that come together are all served, though none of them leaves.
#[test]
fn a_burst_is_served_whole() {
    let server = Packhouse::with().env("PACKHOUSE_MAX_CONNECTIONS", "1000").start();
    for count in [6, 32, 256] {
        let mut burst: Vec<Wire> = (0..count).map(|_| Wire::open(server.address())).collect();
        burst.iter_mut().for_each(|wire| wire.send(HEALTH).expect("sent"));
        for (index, wire) in burst.iter_mut().enumerate() {
            let answer = wire.answer(false).unwrap_or_else(|fault| panic!("{index} of {count}: {fault}"));
            assert_eq!(answer.map(|answer| answer.status), Some(200), "{index} of {count}");
        }
    }
}

/// The cap for one address (256) is not for the machine itself.
#[test]
fn loopback_has_no_cap_of_its_own() {
    let server = Packhouse::with().env("PACKHOUSE_MAX_CONNECTIONS", "1000").start();
    let mut held = open_served(server.address(), 400);
    for (index, wire) in held.iter_mut().enumerate() {
        is_served(wire).unwrap_or_else(|fault| panic!("connection {index}: {fault}"));
    }
}

/// Past the cap the oldest quiet connection goes; newcomers and those who are busy are served.
#[test]
fn the_cap_drops_the_oldest_quiet_connection() {
    let cap = 64;
    let server = Packhouse::with().env("PACKHOUSE_MAX_CONNECTIONS", cap.to_string()).start();
    let address = server.address();
    rig::create_product(address, "p");
    let bytes = noise(7, 16 << 20);
    assert_eq!(rig::upload(address, "p", "v", &bytes).expect("an answer").status, 201);
    // One that is busy: its download has begun and is not read yet.
    let mut busy = Wire::open(address);
    busy.send(rig::request("GET", "/product/download/p/v", "")).expect("sent");
    let mut first = [0; 15];
    std::io::Read::read_exact(&mut busy.stream(), &mut first).expect("the answer begins");
    let oldest = open_served(address, cap);
    // Many times the cap: each newcomer is served, at the expense of an old quiet one.
    let mut newest = open_served(address, 4 * cap);
    let until = Instant::now() + GUARD;
    for (index, mut wire) in oldest.into_iter().enumerate() {
        assert!(wire.closed_by(until), "connection {index} is older than {} others and still open", 4 * cap);
    }
    let mut last = newest.pop().expect("a connection");
    is_served(&mut last).expect("the youngest is served");
    wire::healthy(address).expect("healthy");
    let mut rest = Vec::new();
    let head = "HTTP/1.1 200 OK".len();
    busy.stream().set_read_timeout(Some(GUARD)).expect("a time-out");
    let mut block = vec![0; 1 << 20];
    while rest.len() < bytes.len() {
        let count = std::io::Read::read(&mut busy.stream(), &mut block).expect("the rest of the download");
        assert!(count > 0, "the busy connection was dropped after {} bytes", rest.len() + head);
        rest.extend_from_slice(&block[..count]);
    }
    let start = wire::find(&rest, b"\r\n\r\n").expect("the end of the head") + 4;
    while rest.len() < start + bytes.len() {
        let count = std::io::Read::read(&mut busy.stream(), &mut block).expect("the rest of the download");
        assert!(count > 0, "the busy connection was dropped at the very end");
        rest.extend_from_slice(&block[..count]);
    }
    assert!(rest[start..] == bytes, "other bytes");
}

/// `ulimit -n 256` and more connections than that: nobody is lost for good, and afterwards everything works.
#[cfg(unix)]
#[test]
fn running_out_of_descriptors_passes() {
    for cap in [None, Some("100000")] {
        let limited = Packhouse::with().wrapped_in(&["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"]);
        let limited = match cap {
            Some(cap) => limited.env("PACKHOUSE_MAX_CONNECTIONS", cap),
            None => limited,
        };
        let server = match limited.try_start() {
            Ok(server) => server,
            // A cap that the descriptors cannot carry may be refused, in words.
            Err((status, log)) => {
                assert!(cap.is_some() && log.contains("connections"), "{status}: {log}");
                continue;
            }
        };
        let address = server.address();
        rig::create_product(address, "p");
        for round in 0..3 {
            let mut held: Vec<Wire> = (0..400).filter_map(|_| Wire::try_open(address).ok()).collect();
            // Half of them ask; those who are refused or dropped see an end and no silence.
            for wire in held.iter_mut().step_by(2) {
                let _ = wire.send(HEALTH);
            }
            drop(held);
            let until = Instant::now() + GUARD;
            while let Err(fault) = wire::healthy(address) {
                assert!(Instant::now() < until, "round {round}: {fault}");
            }
            let version = format!("v{round}");
            let stored = rig::upload(address, "p", &version, &noise(round, 100_000)).expect("an answer");
            assert_eq!(stored.status, 201, "{stored:?}");
            assert_eq!(rig::download(address, "p", &version).expect("a download").status, 200);
        }
        let log = server.log();
        // An error that repeats is told with a count, not once per connection.
        let told = log.lines().filter(|line| line.contains("accept")).count();
        assert!(told < 100, "{told} lines about accept");
    }
}
