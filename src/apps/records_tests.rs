//! Releases in the tables: every index follows the record, and bytes are held as long as an artifact names them.

use std::sync::Arc;

use super::*;
use crate::formats::Facts;
use crate::store::Options;

const APP: ObjectId = ObjectId([1; 12]);
const LINUX: ObjectId = ObjectId([2; 12]);
const AMD64: ObjectId = ObjectId([3; 12]);

pub(in crate::apps) fn slot() -> Slot {
    Slot { app: APP, channel: UNSET, platform: LINUX, arch: AMD64 }
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

pub(in crate::apps) fn artifact(key: &str, file_name: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        key: key.into(),
        platform: Some(LINUX),
        arch: Some(AMD64),
        extension: rules::extension(file_name).into(),
        file_name: file_name.into(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        updater: None,
        signature: None,
        package: None,
        added: Time(0),
    }
}

pub(in crate::apps) fn release(text: &str, artifacts: Vec<Artifact>) -> Release {
    Release {
        tenant: Uuid::from_bytes([9; 16]),
        app: APP,
        channel: None,
        version: text.into(),
        published: true,
        critical: false,
        intermediate: false,
        rollout: 100,
        seed: "0".repeat(16),
        changelog: String::new(),
        artifacts,
        created: Time(0),
        updated: Time(0),
    }
}

pub(in crate::apps) fn id(number: u8) -> ObjectId {
    ObjectId([100 + number; 12])
}

/// Puts or replaces a release in a transaction of its own.
pub(in crate::apps) fn put(store: &Arc<Store>, number: u8, new: &Release) {
    let (owned, new) = (store.clone(), new.clone());
    store
        .commit(move |tx| {
            for artifact in &new.artifacts {
                catalog::admit(tx, &artifact.digest, artifact.size, &Facts::default(), &artifact.file_name, Time(0))?;
            }
            let change = Change { store: &owned, who: "who", now: Time(1) };
            let old = get(tx, id(number))?;
            change.put(tx, id(number), old.as_ref(), &new)
        })
        .unwrap();
}

fn offers(store: &Store) -> Vec<String> {
    let mut seen = Vec::new();
    let look = |_: ObjectId, release: Release| {
        seen.push(release.version);
        Ok(None::<()>)
    };
    store.read(|tx| newest_offer(tx, slot(), look)).unwrap();
    seen
}

fn files(store: &Store, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let look = |release: Release| {
        seen.push(release.version);
        Ok(None::<()>)
    };
    store.read(|tx| newest_file(tx, slot(), name, look)).unwrap();
    seen
}

#[test]
fn indexes_follow_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    for (number, text) in ["0.0.9", "0.0.10", "0.0.2"].into_iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        let key = format!("a/{text}");
        put(&store, number, &release(text, vec![artifact(&key, "RELEASES", text.as_bytes())]));
    }
    assert_eq!(offers(&store), ["0.0.10", "0.0.9", "0.0.2"]);
    assert_eq!(files(&store, "releases"), ["0.0.10", "0.0.9", "0.0.2"]);
    let newest = release("0.0.10", vec![artifact("a/0.0.10", "RELEASES", b"0.0.10")]);

    put(&store, 1, &Release { published: false, ..newest.clone() });
    assert_eq!(offers(&store), ["0.0.9", "0.0.2"]);
    assert_eq!(files(&store, "RELEASES"), ["0.0.9", "0.0.2"]);
    let stops = |above: &str| store.read(|tx| next_stop(tx, slot(), &version(above))).unwrap().map(|(id, _)| id);
    assert_eq!(stops("0"), None);

    put(&store, 1, &Release { intermediate: true, ..newest.clone() });
    assert_eq!(offers(&store), ["0.0.10", "0.0.9", "0.0.2"]);
    assert_eq!((stops("0"), stops("0.0.9"), stops("0.0.10")), (Some(id(1)), Some(id(1)), None));
    let by = |text| store.read(|tx| by_version(tx, APP, None, &version(text))).unwrap();
    assert_eq!((by("0.0.10.0"), by("0.1")), (Some(id(1)), None));
    assert!(store.read(|tx| model::is_used(tx, LINUX)).unwrap());

    let owned = store.clone();
    store
        .commit(move |tx| {
            let change = Change { store: &owned, who: "who", now: Time(1) };
            for number in 0..3 {
                let release = get(tx, id(number))?.unwrap();
                change.remove(tx, id(number), &release)?;
            }
            Ok(())
        })
        .unwrap();
    assert!(offers(&store).is_empty() && files(&store, "releases").is_empty() && by("0.0.9").is_none());
    store
        .read(|tx| {
            assert!(!any_of(tx, APP)? && !model::is_used(tx, LINUX)? && !model::is_used(tx, AMD64)?);
            assert!(linked(tx, "a/0.0.9")?.is_empty() && next_stop(tx, slot(), &version("0"))?.is_none());
            Ok(())
        })
        .unwrap();
    store.close();
}

#[test]
fn bytes_are_held_while_an_artifact_names_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    store.set_unheld(catalog::drop_if_unheld);
    let (one, two) = (artifact("k1", "a.deb", b"same"), artifact("k2", "b.rpm", b"same"));
    let held = || store.read(|tx| catalog::holds(tx, &Holder::app(id(0)), &Digest::of(b"same"))).unwrap();
    put(&store, 0, &release("1", vec![one.clone(), two.clone()]));
    assert!(held());
    put(&store, 0, &release("1", vec![two.clone()]));
    assert!(held(), "the second artifact has the same bytes");
    assert!(store.read(|tx| linked(tx, "k1")).unwrap().is_empty());
    put(&store, 0, &release("1", vec![]));
    assert!(!held());
    assert!(offers(&store).is_empty(), "without artifacts there is nothing to offer");
    store.close();
}

#[test]
fn taken_keys_get_a_number() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    put(&store, 0, &release("1", vec![artifact("a/a-1.deb", "a.deb", b"x")]));
    let next = release("2", vec![artifact("a/a-1-2.deb", "a.deb", b"x")]);
    let tenant = next.tenant;
    let free = |tenant| store.read(|tx| free_key(tx, tenant, &next, "a/a-1.deb".into(), ".deb")).unwrap();
    assert_eq!(free(tenant), "a/a-1-3.deb");
    assert_eq!(free(Uuid::nil()), "a/a-1.deb");
    store.close();
}

#[test]
fn very_many_artifacts_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let owned = store.clone();
    let many = (0..=MAX_ARTIFACTS).map(|n| artifact(&n.to_string(), "a", b"x")).collect();
    let refused = store.commit(move |tx| {
        let change = Change { store: &owned, who: "who", now: Time(1) };
        change.put(tx, id(0), None, &release("1", Vec::clone(&many)))
    });
    assert_eq!(refused.unwrap_err().kind, crate::error::Kind::Invalid);
    store.close();
}
