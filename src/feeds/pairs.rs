//! Which signature goes with the file a client was just handed (`repos.md` §11.7): a signed file and its detached
//! signature are two requests, and a publication may fall between them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::feeds::model::Type;
use crate::feeds::model::trees::File;
use crate::feeds::serve::Tree;
use crate::http::Request;

/// How long a client that was handed a file is given the signature of that file.
const PAIRED: Duration = Duration::from_secs(10);
/// The most clients remembered; the oldest are forgotten first.
const MOST: usize = 4096;

/// The path of the detached signature of a file, when it has one.
pub(super) fn signature_of(kind: Type, path: &str) -> Option<String> {
    match kind {
        Type::Yum => (path == "repodata/repomd.xml").then(|| format!("{path}.asc")),
        Type::Apt => (path.rsplit('/').next() == Some("Release")).then(|| format!("{path}.gpg")),
        Type::Dir => (path == "SHA256SUMS").then(|| format!("{path}.asc")),
    }
}

/// Whether a path is that of a detached signature.
pub(super) fn is_signature(kind: Type, path: &str) -> bool {
    path.rsplit_once('.').and_then(|(signed, _)| signature_of(kind, signed)).is_some_and(|signature| signature == path)
}

/// Who was handed what lately. Most clients open a connection for each of the two requests, so an asker is known by its
/// connection and, when that is another one, by its address and the program it says it is.
#[derive(Default)]
pub(super) struct Pairs {
    hasher: RandomState,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    signatures: HashMap<u64, Noted>,
    /// Askers in the order they were noted; one that was noted again stands in it twice.
    order: VecDeque<(u64, Instant, u64)>,
    /// Notes taken so far.
    notes: u64,
}

struct Noted {
    note: u64,
    since: Instant,
    signature: File,
}

impl Noted {
    /// Whether it says so since less than a second.
    fn says(&self, signature: &File, now: Instant) -> bool {
        self.signature.digest == signature.digest && now.duration_since(self.since) < Duration::from_secs(1)
    }
}

impl Pairs {
    /// Notes that the asker is handed the file whose signature is `signature`, which lies at `path` in `tree`.
    pub(super) fn note(&self, request: &Request, tree: &Tree, path: &str, signature: &File) {
        self.note_at(Instant::now(), self.askers(request, tree, path), signature);
    }

    /// The signature of what the asker was handed last, when that was a moment ago.
    pub(super) fn noted(&self, request: &Request, tree: &Tree, path: &str) -> Option<File> {
        self.noted_at(Instant::now(), self.askers(request, tree, path))
    }

    /// What stands for the asker's connection, and for its address and program.
    fn askers(&self, request: &Request, tree: &Tree, path: &str) -> [u64; 2] {
        let agent = request.head.headers.get("user-agent");
        // A repo that was deleted and made anew is another one.
        let file = (&tree.name, tree.repo.created.0, path);
        [self.hasher.hash_one((request.peer, file)), self.hasher.hash_one((request.peer.ip(), agent, file))]
    }

    fn note_at(&self, now: Instant, askers: [u64; 2], signature: &File) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asks again and again for the same is noted once a second.
        let noted = |asker: &u64| recent.signatures.get(asker).is_some_and(|noted| noted.says(signature, now));
        if askers.iter().all(noted) {
            return;
        }
        for asker in askers {
            recent.notes += 1;
            let note = recent.notes;
            recent.signatures.insert(asker, Noted { note, since: now, signature: signature.clone() });
            recent.order.push_back((note, now, asker));
        }
        while let Some((note, since, asker)) = recent.order.front().copied()
            && (recent.order.len() > MOST || now.duration_since(since) > PAIRED)
        {
            recent.order.pop_front();
            if recent.signatures.get(&asker).is_some_and(|noted| noted.note == note) {
                recent.signatures.remove(&asker);
            }
        }
    }

    fn noted_at(&self, now: Instant, askers: [u64; 2]) -> Option<File> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = askers.iter().find_map(|asker| recent.signatures.get(asker))?;
        (now.duration_since(found.since) <= PAIRED).then(|| found.signature.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;

    fn file(number: u8) -> File {
        File { digest: Digest([number; 32]), size: 1, modified: 0, fixed: false, packed: None, retired: None }
    }

    #[test]
    fn signed_files_have_signatures() {
        let cases = [
            (Type::Yum, "repodata/repomd.xml", Some("repodata/repomd.xml.asc")),
            (Type::Yum, "Release", None),
            (Type::Apt, "dists/a/Release", Some("dists/a/Release.gpg")),
            (Type::Apt, "Release", Some("Release.gpg")),
            (Type::Apt, "dists/a/InRelease", None),
            (Type::Dir, "SHA256SUMS", Some("SHA256SUMS.asc")),
            (Type::Dir, "a/SHA256SUMS", None),
        ];
        for (kind, path, signature) in cases {
            assert_eq!(signature_of(kind, path).as_deref(), signature, "{path}");
            assert!(signature.is_none_or(|signature| is_signature(kind, signature)), "{path}");
            assert!(!is_signature(kind, path), "{path}");
        }
        assert!(!is_signature(Type::Apt, "dists/a/Release.asc") && !is_signature(Type::Dir, "Release.gpg"));
    }

    #[test]
    fn the_connection_counts_before_the_address_and_time_runs_out() {
        let (pairs, start) = (Pairs::default(), Instant::now());
        pairs.note_at(start, [1, 9], &file(1));
        pairs.note_at(start, [2, 9], &file(2));
        for (askers, expected) in [([1, 9], Some(1)), ([2, 9], Some(2)), ([3, 9], Some(2)), ([3, 8], None)] {
            assert_eq!(pairs.noted_at(start + PAIRED, askers), expected.map(file), "{askers:?}");
            assert_eq!(pairs.noted_at(start + PAIRED * 2, askers), None, "{askers:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (pairs, start) = (Pairs::default(), Instant::now());
        for number in 0..MOST as u64 {
            pairs.note_at(start, [number, u64::MAX], &file(1));
        }
        let recent = pairs.recent.lock().unwrap();
        assert!(recent.order.len() <= MOST && recent.signatures.len() <= MOST);
        assert!(recent.signatures.contains_key(&u64::MAX));
        drop(recent);
        pairs.note_at(start + PAIRED * 2, [7, 8], &file(2));
        assert_eq!(pairs.recent.lock().unwrap().signatures.len(), 2);
    }
}
