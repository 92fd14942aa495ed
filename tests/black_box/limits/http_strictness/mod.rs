//! HTTP read strictly: broken requests get one refusal and nothing they hide is ever carried out (`reliability.md` §12).

mod bodies;
mod floods;
mod heads;
mod ordinary;
mod reflection;
mod smuggling;

use std::net::SocketAddr;

use crate::rig::TOKEN;
use crate::server::Packhouse;
use crate::wire::{self, Answer, Wire};

/// What may come back for a case that is followed by an ordinary `GET /health` on the same connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// One answer of the statuses, then the connection is closed: what follows is never read as a request.
    Refused,
    /// As `Refused`; closing without a word is good too (the request never became whole).
    RefusedOrClosed,
    /// An answer of the statuses, and the request behind it gets its own.
    Accepted,
    /// Either of both: the standard leaves it open.
    Open,
}

/// One raw request.
struct Case {
    name: String,
    bytes: Vec<u8>,
    expect: Expect,
    statuses: &'static [u16],
}

/// The table under construction.
#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, expect: Expect, statuses: &'static [u16], name: &str, bytes: impl AsRef<[u8]>) {
        self.0.push(Case { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), expect, statuses });
    }

    /// Refused with 400.
    fn bad(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.add(Expect::Refused, &[400], name, bytes);
    }

    fn refused(&mut self, statuses: &'static [u16], name: &str, bytes: impl AsRef<[u8]>) {
        self.add(Expect::Refused, statuses, name, bytes);
    }

    fn good(&mut self, statuses: &'static [u16], name: &str, bytes: impl AsRef<[u8]>) {
        self.add(Expect::Accepted, statuses, name, bytes);
    }

    fn open(&mut self, statuses: &'static [u16], name: &str, bytes: impl AsRef<[u8]>) {
        self.add(Expect::Open, statuses, name, bytes);
    }
}

const FOLLOW_ON: &[u8] = b"GET /health HTTP/1.1\r\nHost: follow\r\nConnection: close\r\n\r\n";

/// `GET /health` with `extra` lines (each with its own line end).
fn get(extra: &str) -> Vec<u8> {
    format!("GET /health HTTP/1.1\r\nHost: x\r\n{extra}\r\n").into_bytes()
}

/// A request with a body that the admin may make: `PUT /product/create`.
fn create(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("PUT /product/create HTTP/1.1\r\nHost: x\r\nX-Api-Token: {TOKEN}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// The case alone, then with the follow-on request; what was wrong, if anything.
fn judge(address: SocketAddr, case: &Case) -> Result<(), String> {
    let mut wire = Wire::try_open(address).map_err(|e| format!("connect: {e}"))?;
    // A refusal may close while we still send; what counts is what comes back.
    let _ = wire.send([&case.bytes[..], FOLLOW_ON].concat());
    wire.finish();
    let answers = wire.answers(&[])?;
    let said: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let first_fits = answers.first().is_some_and(|answer| case.statuses.contains(&answer.status));
    let follow_fits = matches!(&answers[..], [_, follow] if follow.status == 200);
    let refusal_is_plain = |answer: &Answer| {
        let html = answer.text().to_lowercase().contains("<html");
        answer.closes() && !html && answer.header("x-content-type-options") == Some("nosniff")
    };
    let refused = answers.len() == 1 && first_fits && refusal_is_plain(&answers[0]);
    let fine = match case.expect {
        Expect::Refused => refused,
        Expect::RefusedOrClosed => refused || answers.is_empty(),
        Expect::Accepted => first_fits && follow_fits,
        Expect::Open => first_fits && (answers.len() == 1 || follow_fits),
    };
    match fine {
        true => Ok(()),
        false => Err(format!("expected {:?}, got {said:?}: {answers:?}", case.statuses)),
    }
}

/// Runs a table; every case is followed by a health probe, and all faults are told at once.
fn run(table: &Table, server: &Packhouse) {
    let mut faults = Vec::new();
    for case in &table.0 {
        let result = judge(server.address(), case);
        let health = wire::healthy(server.address()).map_err(|e| format!("health probe behind it: {e}"));
        if let Err(fault) = result.and(health) {
            let shown: String = case.bytes.iter().take(200).map(|c| c.escape_ascii().to_string()).collect();
            faults.push(format!("{}\n    sent {shown}\n    {fault}", case.name));
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), table.0.len(), faults.join("\n"));
}

#[test]
fn broken_heads_are_refused_once() {
    let server = Packhouse::start();
    let table = heads::table();
    run(&table, &server);
    assert!(table.0.len() + bodies::table().0.len() >= 110, "the contract asks for 110 variants");
}

#[test]
fn broken_bodies_are_refused_once() {
    run(&bodies::table(), &Packhouse::start());
}
