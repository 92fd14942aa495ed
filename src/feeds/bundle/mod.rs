//! Bundles: a repo in one file that is carried to a server without a network (`repos.md` §19.2).
//!
//! A bundle is a stored ZIP: `packhouse-bundle.json` says what the repo is, `packhouse-bundle.json.asc` signs that,
//! `extra/<sha256>` and `blobs/<sha256>` are the bytes it names. Everything that is not a signature follows from the
//! state of the repo alone, so a bundle has a length before its first byte and can be fetched in parts.

pub mod export;
pub mod import;
mod incoming;
mod layout;
mod manifest;
mod rules;
pub mod trusted;
mod unzip;

/// The first file of a bundle.
const MANIFEST: &str = "packhouse-bundle.json";
/// The second.
const SIGNATURE: &str = "packhouse-bundle.json.asc";
/// Where packages lie.
const BLOBS: &str = "blobs/";
/// Where metadata lies that is passed through.
const EXTRA: &str = "extra/";
