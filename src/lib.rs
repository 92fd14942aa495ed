//! Packhouse: one shelf of files with several front doors.

pub mod clock;
pub mod error;
pub mod http;
pub mod ids;
pub mod store;
