//! Memory: small when idle, and the same whatever the size of what passes through.

use std::io::{Read, Write};

use crate::files::noise;
use crate::rig::{self, MIB};
use crate::server::Packhouse;
use crate::wire::{self, Wire};

#[test]
fn a_fresh_server_is_small() {
    let server = Packhouse::start();
    wire::healthy(server.address()).expect("healthy");
    rig::create_product(server.address(), "p");
    let used = server.memory();
    println!("a fresh server: {} KiB", used / 1024);
    assert!(used <= 20 * MIB, "{used} bytes");
}

/// 256 MiB in chunks of every size, while slow uploads drip beside it, then out again to readers of every pace.
#[test]
fn transfers_of_any_shape_leave_memory_flat() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    assert_eq!(rig::upload(address, "p", "small", b"x").expect("an answer").status, 201);
    assert_eq!(rig::download(address, "p", "small").expect("a download").body, b"x");
    server.forget_peak();
    let idle = server.memory();

    // Slow ones beside it, in both framings.
    let mut slow: Vec<Wire> = (0..16)
        .map(|index| {
            let framing = ["Content-Length: 300000000\r\n", "Transfer-Encoding: chunked\r\n"][index % 2];
            let start = ["", "ffffff\r\n"][index % 2];
            let mut wire = Wire::open(address);
            let head = rig::upload_head(framing) + start + &rig::before_file("p", &format!("slow-{index}"));
            wire.send(head).expect("sent");
            wire
        })
        .collect();

    // 4 MiB of noise, sixty-four times, each time turned: the whole is not repetitive and its digest is known.
    let noise = noise(256, 4 << 20);
    let sizes = [1, 7, 4_096, 65_535, 65_536, 1_000_000, 13, 262_144, 100_003];
    let mut wire = Wire::open(address);
    wire.send(rig::upload_head("Transfer-Encoding: chunked\r\n")).expect("sent");
    let chunk = |wire: &mut Wire, bytes: &[u8]| {
        wire.stream().write_all(format!("{:X};n={}\r\n", bytes.len(), bytes.len()).as_bytes()).expect("sent");
        wire.send(bytes).expect("sent");
        wire.send("\r\n").expect("sent");
    };
    chunk(&mut wire, rig::before_file("p", "large").as_bytes());
    let mut hash = Sha256::default();
    let mut next_size = sizes.iter().cycle();
    for turn in 0..64 {
        let (back, front) = noise.split_at(turn * 60_000);
        for part in [front, back] {
            hash.add(part);
            let mut rest = part;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*next_size.next().unwrap_or(&1)));
                chunk(&mut wire, now);
                rest = later;
            }
        }
        slow.iter_mut().for_each(|wire| wire.send("x").expect("sent"));
    }
    chunk(&mut wire, rig::after_file().as_bytes());
    wire.send("0\r\nX-Trailer: yes\r\n\r\n").expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    let digest = hash.hex();
    assert_eq!(answer.header("x-checksum-sha256"), Some(digest.as_str()));
    let after_upload = server.peak_memory();

    // Read by small bites and by large ones at once.
    std::thread::scope(|scope| {
        for bite in [1_000, 64 * 1024, 4 << 20] {
            let digest = &digest;
            scope.spawn(move || {
                let mut wire = Wire::open(address);
                wire.send(rig::request("GET", "/product/download/p/large", "Connection: close\r\n")).expect("sent");
                let mut block = vec![0; bite];
                let (mut head, mut hash, mut length) = (Vec::new(), Sha256::default(), 0);
                loop {
                    let count = wire.stream().read(&mut block).expect("a read");
                    if count == 0 {
                        break;
                    }
                    let mut bytes = &block[..count];
                    if length == 0 && !head.ends_with(b"\r\n\r\n") {
                        while let (Some((first, rest)), false) = (bytes.split_first(), head.ends_with(b"\r\n\r\n")) {
                            head.push(*first);
                            bytes = rest;
                        }
                    }
                    hash.add(bytes);
                    length += bytes.len();
                }
                assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", head.escape_ascii());
                assert_eq!((length, hash.hex()), (256 << 20, digest.clone()), "in bites of {bite}");
            });
        }
    });
    let peak = server.peak_memory();
    let growth = peak.saturating_sub(idle);
    println!(
        "idle {} KiB, upload +{} KiB, all +{} KiB",
        idle >> 10,
        after_upload.saturating_sub(idle) >> 10,
        growth >> 10
    );
    assert!(growth <= 20 * MIB, "{idle} bytes idle, {peak} at the peak");
}

/// SHA-256 while the bytes pass.
#[derive(Default)]
struct Sha256(sha2::Sha256);

impl Sha256 {
    fn add(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    fn hex(self) -> String {
        packhouse::ids::Digest(sha2::Digest::finalize(self.0).into()).to_hex()
    }
}
