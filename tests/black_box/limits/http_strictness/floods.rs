//! Floods: endless heads, bodies announced beyond reason, pipelines without end. Memory stays flat and others are served.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::rig::{self, MIB};
use crate::server::Packhouse;
use crate::wire::{self, GUARD, Wire, is_timeout};

/// How much memory may grow during any of these.
const GROWTH: u64 = 16 * MIB;

/// What the server uses now; its peak counts from here (the start has hashed a password, which takes 19 MiB).
fn settled(server: &Packhouse) -> u64 {
    wire::healthy(server.address()).expect("healthy");
    server.forget_peak();
    server.memory()
}

/// A header line of 300 MB: refused after 32 KiB, never kept.
#[test]
fn an_endless_header_line_is_refused_and_not_kept() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let before = settled(&server);
    for start in ["GET /health HTTP/1.1\r\nHost: x\r\nX-A: ", "GET /", "A"] {
        let mut wire = Wire::open(server.address());
        let _ = wire.send(start);
        let block = vec![b'a'; 1 << 20];
        // The server ends it long before; a client that is not told goes on to the end.
        let sent = (0..300).take_while(|_| wire.send(&block).is_ok()).count();
        wire.finish();
        match wire.answer(false) {
            Ok(Some(answer)) => assert!([400, 414, 431].contains(&answer.status), "{start}: {answer:?}"),
            // Reset while still sending: the answer may be lost.
            Ok(None) => assert!(sent < 300, "{start}: 300 MB were read to the end"),
            Err(fault) => panic!("{start}: {fault}"),
        }
        wire::healthy(server.address()).expect("healthy");
    }
    let peak = server.peak_memory();
    assert!(peak <= before + GROWTH, "{before} bytes before, {peak} at the peak");
}

/// Lengths nobody has: answered from the head where rights or size decide, never reserved in memory.
#[test]
fn lengths_beyond_reason_cost_nothing() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let address = server.address();
    rig::create_product(address, "p");
    let before = settled(&server);
    let known = format!("X-Api-Token: {}\r\n", rig::TOKEN);
    let form = "Content-Type: multipart/form-data; boundary=b\r\n";
    let routes = [
        ("open", "GET /health", String::new(), &[200, 413][..]),
        ("stranger, list", "GET /product/access", String::new(), &[401]),
        ("stranger, create", "PUT /product/create", String::new(), &[401]),
        ("stranger, upload", "POST /product/upload", form.to_owned(), &[401]),
        ("known, list", "GET /product/access", known.clone(), &[200, 413]),
        ("known, create", "PUT /product/create", known.clone(), &[413]),
        ("known, delete", "DELETE /product/modify/deleteVersion", known.clone(), &[413]),
        ("known, unknown path", "POST /product/nowhere", known.clone(), &[404, 413]),
        ("known, upload", "POST /product/upload", format!("{known}{form}"), &[400, 413, 507]),
    ];
    let lengths = [
        ("1000000000000", false),
        ("1000000000000000", false),
        ("9223372036854775807", false),
        ("9223372036854775808", true),
        ("18446744073709551615", true),
        ("18446744073709551616", true),
        ("99999999999999999999999999", true),
    ];
    let mut faults = Vec::new();
    for (name, line, fields, statuses) in &routes {
        for (length, impossible) in lengths {
            for expect in ["", "Expect: 100-continue\r\n"] {
                let mut wire = Wire::open(address);
                let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\n{expect}\r\n");
                let _ = wire.send(head + "--b\r\n");
                // The rest never comes: a route that has to read it first sees the end.
                wire.finish();
                let answer = match wire.answer(false) {
                    Ok(answer) => answer,
                    Err(fault) => {
                        faults.push(format!("{name}, {length}: {fault}"));
                        continue;
                    }
                };
                let status = answer.map(|answer| answer.status);
                let fits = match status {
                    Some(status) if impossible => status == 400 || statuses.contains(&status) && length.len() == 19,
                    Some(status) => statuses.contains(&status) || status == 400 && *name == "known, upload",
                    None => false,
                };
                if !fits {
                    faults.push(format!("{name}, {length} {expect:?}: {status:?} instead of {statuses:?}"));
                }
            }
        }
        wire::healthy(address).expect("healthy");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let after = server.peak_memory();
    assert!(after <= before + GROWTH, "{before} bytes before, {after} at the peak");
}

/// 1,000 strangers announce a terabyte each and then say nothing: each has its refusal at once.
#[test]
fn announced_terabytes_of_strangers_are_refused_at_once() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let address = server.address();
    let before = settled(&server);
    let head = "POST /product/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                Content-Length: 1000000000000\r\n\r\n";
    let mut kept = Vec::new();
    for _ in 0..1_000 {
        let mut wire = Wire::open(address);
        wire.send(head).expect("sent");
        let answer = wire.answer(false).expect("whole").expect("an answer");
        assert!(answer.status == 401 && answer.closes(), "{answer:?}");
        kept.push(wire);
        kept.drain(..kept.len().saturating_sub(100));
    }
    wire::healthy(address).expect("healthy");
    let after = server.memory();
    assert!(after <= before + GROWTH, "{before} bytes before, {after} after");
}

/// 100,000 requests in one go, read as they come: all answered, memory flat.
#[test]
fn a_pipeline_of_100_000_is_answered_with_flat_memory() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let address = server.address();
    let before = settled(&server);
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut wire = Wire::open(address);
    let stream = wire.stream().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let block = request.repeat(1_000);
            (0..100).for_each(|_| (&stream).write_all(&block).expect("the pipeline is taken"));
        });
        for index in 0..100_000 {
            let answer = wire.answer(false).unwrap_or_else(|fault| panic!("answer {index}: {fault}"));
            assert_eq!(answer.map(|answer| answer.status), Some(200), "answer {index}");
        }
    });
    let peak = server.peak_memory();
    assert!(peak <= before + GROWTH, "{before} bytes before, {peak} at the peak");
}

/// A pipeline whose answers nobody reads: the sender is held up, memory stays flat, others are served.
#[test]
fn a_pipeline_that_nobody_reads_blocks_only_its_sender() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let address = server.address();
    let before = settled(&server);
    let block = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let wire = Wire::open(address);
        // A second without room is "held up"; 300,000 requests would be 10 MB.
        wire.stream().set_write_timeout(Some(Duration::from_secs(1))).expect("a time-out");
        let mut sent = 0;
        for _ in 0..3_000 {
            match wire.stream().write(&block) {
                Ok(count) => sent += count,
                Err(e) if is_timeout(&e) => break,
                Err(e) => panic!("after {sent} bytes: {e}"),
            }
        }
        assert!(sent < 3_000 * block.len(), "{sent} bytes were taken and nobody read an answer");
        wire::healthy(address).expect("healthy");
        stuck.push(wire);
    }
    let peak = server.peak_memory();
    assert!(peak <= before + GROWTH, "{before} bytes before, {peak} at the peak");
    drop(stuck);
    wire::healthy(address).expect("healthy");
}

/// An endless body behind a refusal: the answer arrives and the connection ends, without the body being read.
#[test]
fn an_endless_body_behind_a_refusal_ends() {
    let server = Packhouse::with().env("RUST_LOG", "warn").start();
    let address = server.address();
    let head = "POST /product/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = Wire::open(address);
    wire.send(head).expect("sent");
    let block = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < GUARD && wire.send(&block).is_ok() {
        sent += block.len() as u64;
    }
    assert!(begun.elapsed() < GUARD, "still read after {sent} bytes");
    // A client that reads before it sends more sees the answer whole.
    let mut wire = Wire::open(address);
    wire.send(head).expect("sent");
    wire.send(&block).expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    assert_eq!(answer.status, 401, "{answer:?}");
    let _ = wire.stream().read(&mut [0; 1]);
    wire::healthy(address).expect("healthy");
}
