//! What the room keeps between requests: one line a repo, so that its writers come one after the other, and the key
//! that signs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::feeds::bundle::export::Bundles;
use crate::feeds::line::Line;
use crate::feeds::model::keys;
use crate::feeds::pairs::Pairs;
use crate::feeds::ready::Ready;
use crate::feeds::together::{Entrant, Told};
use crate::formats::openpgp::{KeyKind, SigningKey};
use crate::jobs::Jobs;
use crate::store::Store;

/// The writers of one repo.
type Writers = Line<Entrant, Result<Told>>;

/// The room's memory; one per server. What works without a request (schedules, syncs) is given this alone.
pub struct Desk {
    /// Metadata and bytes.
    pub store: Arc<Store>,
    /// The time source.
    pub clock: Arc<Clock>,
    lines: Mutex<HashMap<String, Arc<Writers>>>,
    key: Mutex<Option<Arc<Key>>>,
    /// Bundles that are being sent, so that those who fetch the same one share it.
    pub(super) bundles: Bundles,
    /// Small index files, ready to be sent.
    pub(super) ready: Ready,
    /// Who was handed which generation a moment ago.
    pub(super) pairs: Pairs,
    jobs: OnceLock<Jobs>,
}

/// The key that signs every repo (`repos.md` §15).
pub struct Key {
    key: SigningKey,
    armored: String,
    binary: Vec<u8>,
    clock: Arc<Clock>,
}

impl Key {
    fn new(key: SigningKey, clock: Arc<Clock>) -> Result<Key> {
        let armored = key.public_armored().map_err(broken)?;
        let binary = key.public_binary().map_err(broken)?;
        Ok(Key { key, armored, binary, clock })
    }

    /// The certificate in armor.
    pub fn armored(&self) -> &str {
        &self.armored
    }

    /// The certificate as it is.
    pub fn binary(&self) -> &[u8] {
        &self.binary
    }

    /// Its fingerprint in hex.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// An armored detached signature of exactly these bytes.
    ///
    /// # Errors
    /// `Internal`.
    pub fn sign(&self, bytes: &[u8]) -> Result<String> {
        self.key.sign_detached(bytes, self.clock.now().seconds()).map_err(broken)
    }

    /// The same with a date of its own, in seconds: the same bytes at every call.
    ///
    /// # Errors
    /// `Internal`.
    pub fn sign_as_of(&self, bytes: &[u8], when: i64) -> Result<String> {
        self.key.sign_detached(bytes, when.max(self.key.created())).map_err(broken)
    }

    /// The text with its signature around it.
    ///
    /// # Errors
    /// `Internal`.
    pub fn clearsign(&self, text: &str) -> Result<String> {
        self.key.clearsign(text, self.clock.now().seconds()).map_err(broken)
    }
}

fn broken(fault: crate::formats::fault::Fault) -> Error {
    Error::internal(fault.to_string())
}

impl Desk {
    /// The memory of a server that has answered nothing yet.
    pub fn new(store: Arc<Store>, clock: Arc<Clock>) -> Desk {
        Desk {
            store,
            clock,
            lines: Mutex::default(),
            key: Mutex::default(),
            bundles: Bundles::default(),
            ready: Ready::default(),
            pairs: Pairs::default(),
            jobs: OnceLock::new(),
        }
    }

    /// Says where work goes that outlives a request; once, at the start.
    pub fn set_jobs(&self, jobs: &Jobs) {
        self.jobs.get_or_init(|| jobs.clone());
    }

    /// Where work goes that outlives a request.
    pub fn jobs(&self) -> Option<&Jobs> {
        self.jobs.get()
    }

    /// Runs `work` while nobody else changes the repo called `name`.
    pub fn alone<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        self.line(name).alone(work)
    }

    /// Has a change of the repo called `name` carried out, together with others that wait ([`Line::join`]).
    pub(super) fn join(
        &self,
        name: &str,
        entrant: Entrant,
        fits: impl Fn(&Entrant, &Entrant) -> bool,
        lead: impl FnOnce(Vec<Entrant>) -> Vec<Result<Told>>,
    ) -> Option<Result<Told>> {
        self.line(name).join(entrant, fits, lead)
    }

    fn line(&self, name: &str) -> Arc<Writers> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Those nobody stands in are forgotten before the map grows without bound.
        if lines.len() >= 1024 {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        lines.entry(name.to_owned()).or_default().clone()
    }

    /// The key that signs; made at first use.
    ///
    /// # Errors
    /// What the store answers; `Internal` when the stored key cannot be read.
    pub fn key(&self) -> Result<Arc<Key>> {
        // Held while a key is made, so that only one is.
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let now = self.clock.now().seconds();
        let key = match self.store.read(keys::signing)? {
            Some(stored) => {
                let bytes = STANDARD.decode(stored).map_err(Error::internal)?;
                SigningKey::from_secret(&bytes, now).map_err(broken)?
            }
            None => {
                let id = self.store.installation().to_string();
                let user = format!("Packhouse <repo@{}>", id.split('-').next().unwrap_or("packhouse"));
                let key = SigningKey::generate(KeyKind::Rsa3072, &user, now).map_err(broken)?;
                self.store_key(&key)?;
                key
            }
        };
        let key = Arc::new(Key::new(key, self.clock.clone())?);
        *known = Some(key.clone());
        Ok(key)
    }

    /// Takes another key (`PUT /key`). A repo is signed with it when it is published next.
    ///
    /// # Errors
    /// What the store answers.
    pub fn replace_key(&self, key: SigningKey) -> Result<Arc<Key>> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        self.store_key(&key)?;
        let key = Arc::new(Key::new(key, self.clock.clone())?);
        *known = Some(key.clone());
        Ok(key)
    }

    fn store_key(&self, key: &SigningKey) -> Result<()> {
        let secret = STANDARD.encode(key.to_secret_bytes().map_err(broken)?);
        self.store.commit(move |tx| keys::put_signing(tx, &secret))
    }
}
