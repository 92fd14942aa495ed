//! Black-box tests: the real program is started and asked over the wire; nothing here knows its insides.
//!
//! `server.rs` starts and watches the program, `client.rs` speaks strict HTTP/1.1 to it, `files.rs` builds what is sent.
//! Tests are written from the wire contracts; each module names the contract's section it holds the program to.

// Signals, file rights and small disks are tested here; the Windows program has a test of its own, `tests/windows/run`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "the log of the program is shown when a test fails")]

mod apps;
#[allow(dead_code, reason = "each module takes the tools it needs")]
mod client;
#[cfg(feature = "crash-points")]
#[allow(dead_code, reason = "each module takes the tools it needs")]
mod clock;
mod console;
#[cfg(feature = "crash-points")]
mod crash;
mod damage;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod faults;
mod feed_clients;
mod feeds;
#[allow(dead_code, reason = "each module takes the tools it needs")]
mod files;
mod formats;
mod installers;
mod kill;
#[cfg(target_os = "linux")]
mod limits;
#[allow(dead_code, reason = "each module takes the tools it needs")]
mod packages;
mod products;
mod refpacks;
mod rig;
#[allow(dead_code, reason = "each module takes the tools it needs")]
mod server;
mod tls;
mod upstreams;
mod winget;
mod winget_source;
mod wire;
