//! The certificate of the HTTPS listeners: the operator's, read again when its files change, or one signed by an authority
//! of our own, renewed before it ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::http::Tls;
use crate::store::{INFO, Store};

mod authority;
mod names;
pub mod pages;
mod validity;

use authority::{Authority, Leaf};
pub use names::{Name, without_port};

/// Where the authority is kept among the facts of the installation.
const KEPT: &str = "tls.authority";

/// The certificate in use and where the next one comes from.
pub struct Certificates {
    tls: Arc<Tls>,
    source: Source,
}

enum Source {
    Files { certificate: PathBuf, key: PathBuf, seen: Mutex<Stamp> },
    Own { authority: Authority, root: Vec<u8>, extra: Vec<Name>, leaf: Mutex<Leaf>, clock: Arc<Clock> },
}

/// When and how long the two files were.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// The operator's, from PEM files.
    ///
    /// # Errors
    /// A sentence saying which file is wrong.
    pub fn from_files(certificate: PathBuf, key: PathBuf) -> Result<Certificates, String> {
        let seen = stamp(&certificate, &key);
        let tls = Tls::from_pem(&read(&certificate)?, &read(&key)?)?;
        Ok(Certificates { tls, source: Source::Files { certificate, key, seen: Mutex::new(seen) } })
    }

    /// Signed by the authority of this installation, which is made at its first use; good for every name and address of
    /// the machine and for `extra`.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn own(store: &Store, clock: Arc<Clock>, extra: Vec<Name>) -> Result<Certificates> {
        let now = clock.now();
        let names = names::all(&extra);
        let kept = store.read(|tx| INFO.get(tx, KEPT))?;
        let kept = kept.map(serde_json::from_value::<Authority>).transpose().map_err(Error::internal)?;
        let authority = match kept.filter(|authority| !authority.is_over(now)) {
            Some(authority) => authority,
            None => {
                let authority = Authority::create(&names, &names::machine(), now)?;
                let value = serde_json::to_value(&authority).map_err(Error::internal)?;
                store.commit(move |tx| INFO.put(tx, KEPT, &value))?;
                log::info!("a certificate authority was made; its root is offered at /tls");
                authority
            }
        };
        for name in extra.iter().filter(|name| !authority.covers(name)) {
            log::warn!("the authority was made for other names and may not sign for {name:?}: see packhouse tls-reset");
        }
        let root = der(&authority.certificate)?;
        let leaf = authority.issue(&names, now)?;
        let tls = Tls::from_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).map_err(Error::internal)?;
        Ok(Certificates { tls, source: Source::Own { authority, root, extra, leaf: Mutex::new(leaf), clock } })
    }

    /// What the listeners show.
    pub fn tls(&self) -> Arc<Tls> {
        self.tls.clone()
    }

    /// Takes another certificate when the files have changed, the machine has got another name or address, or the
    /// certificate in use nears its end. What cannot be used is logged and the old one stays.
    pub fn look_again(&self) {
        match &self.source {
            Source::Files { certificate, key, seen } => {
                let now = stamp(certificate, key);
                if std::mem::replace(&mut *lock(seen), now) == now {
                    return;
                }
                let taken = read(certificate)
                    .and_then(|chain| read(key).map(|key| (chain, key)))
                    .and_then(|(chain, key)| self.tls.replace(&chain, &key));
                match taken {
                    Ok(()) => log::info!("the certificate in {} was taken", certificate.display()),
                    Err(why) => log::error!("the certificate was not changed: {why}"),
                }
            }
            Source::Own { authority, extra, leaf, clock, .. } => {
                let (mut leaf, now) = (lock(leaf), clock.now());
                let names = names::all(extra);
                let is_new = |name: &Name| authority.covers(name) && !leaf.names.contains(name);
                if !leaf.is_due(now) && !names.iter().any(is_new) {
                    return;
                }
                let issued = authority.issue(&names, now).map_err(|e| e.to_string()).and_then(|new| {
                    self.tls.replace(new.chain.as_bytes(), new.key.as_bytes())?;
                    *leaf = new;
                    Ok(())
                });
                match issued {
                    Ok(()) => log::info!("the certificate was renewed"),
                    Err(why) => log::error!("the certificate was not renewed: {why}"),
                }
            }
        }
    }

    /// Until when clients will take what the listeners show, in seconds since 1970: the end of the operator's certificate,
    /// or of our own authority. None when the file cannot be read.
    pub fn ends(&self) -> Option<i64> {
        match &self.source {
            Source::Files { certificate, .. } => {
                let pem = String::from_utf8(read(certificate).ok()?).ok()?;
                // The server's own comes first, the chain after it.
                let (_, first) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
                validity::ends(&der(first.split_once("-----END").map_or(first, |(body, _)| body)).ok()?)
            }
            Source::Own { root, .. } => validity::ends(root),
        }
    }

    /// The root of our own authority, in PEM and in DER; none when the operator brought a certificate.
    pub fn root(&self) -> Option<(&str, &[u8])> {
        match &self.source {
            Source::Own { authority, root, .. } => Some((&authority.certificate, root)),
            Source::Files { .. } => None,
        }
    }
}

/// The names and addresses this machine can be reached by, loopback included.
pub fn of_this_machine() -> Vec<Name> {
    names::all(&[])
}

/// Forgets the authority, so that the next start makes another one; clients must then trust its root anew. Answers whether
/// there was one.
///
/// # Errors
/// When the store cannot be written.
pub fn forget(store: &Store) -> Result<bool> {
    store.commit(|tx| INFO.remove(tx, KEPT))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    })
}

/// The bytes within PEM armour.
fn der(pem: &str) -> Result<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).map_err(Error::internal)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
