//! Publishes a repo.

pub mod paths;
