//! Packhouse: one shelf of files with several front doors.

pub mod app;
pub mod apps;
pub mod audit;
pub mod catalog;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod console;
pub mod error;
pub mod feeds;
pub mod formats;
pub mod http;
pub mod identity;
pub mod ids;
pub mod jobs;
pub mod memory;
pub mod prepared;
pub mod products;
pub mod refpacks;
pub mod routes;
pub mod shared_doors;
pub mod store;
pub mod winget;
pub mod wiring;
