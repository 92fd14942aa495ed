//! Which version a client is told of: the highest, the one it must not jump over, the one its rollout lets it have.

use super::*;
use crate::apps::records::tests::{artifact, id, put, release, slot};
use crate::store::{Options, Store};

struct Told {
    version: String,
    forced: bool,
    by_device: bool,
}

fn told(store: &Store, has: &str, device: Option<&str>, native: bool) -> Option<Told> {
    let version = Version::parse(has).unwrap();
    let chosen = store.read(|tx| choose(tx, slot(), Client { version: &version, device, native })).unwrap();
    let by_device = chosen.by_device;
    chosen.choice.map(|choice| Told { version: choice.release.version, forced: choice.forced, by_device })
}

fn version(store: &Store, has: &str, device: Option<&str>, native: bool) -> String {
    told(store, has, device, native).map(|told| told.version).unwrap_or_default()
}

/// A device the rollout of `seed` and `percent` takes, or leaves out.
fn device(seed: &str, percent: u8, inside: bool) -> String {
    (0..).map(|n| format!("device-{n}")).find(|device| rules::in_rollout(device, seed, percent) == inside).unwrap()
}

#[test]
fn stops_are_not_jumped_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    assert!(told(&store, "1.0", None, false).is_none());
    for (number, (text, stop)) in [("1.0", false), ("1.5", true), ("2.0", true), ("3.0", false)].into_iter().enumerate()
    {
        let key = format!("k{number}");
        let new = Release { intermediate: stop, ..release(text, vec![artifact(&key, "a.zip", key.as_bytes())]) };
        put(&store, u8::try_from(number).unwrap(), &new);
    }
    let cases = [
        ("0.1", "1.5", true),
        ("1.0", "1.5", true),
        ("1.5", "2.0", true),
        ("2.0", "3.0", false),
        ("3.0", "3.0", false),
        ("9", "3.0", false),
    ];
    for (has, is_told, forced) in cases {
        for native in [false, true] {
            let told = told(&store, has, None, native).unwrap();
            assert_eq!((told.version.as_str(), told.forced, told.by_device), (is_told, forced, false), "{has}");
        }
        let version = Version::parse(has).unwrap();
        let cap = store.read(|tx| cap(tx, slot(), Client { version: &version, device: None, native: true })).unwrap();
        let capped = cap.0.map(|cap| cap.text().to_owned());
        assert_eq!(capped, (Version::parse(is_told).unwrap() > version).then(|| is_told.to_owned()), "{has}");
    }
    store.close();
}

#[test]
fn rollouts_are_for_their_share() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let seed = "0123456789abcdef";
    for (number, (text, rollout)) in [("1.0", 100), ("2.0", 100), ("3.0", 40)].into_iter().enumerate() {
        let key = format!("k{number}");
        let new = release(text, vec![artifact(&key, "a.zip", key.as_bytes())]);
        put(&store, u8::try_from(number).unwrap(), &Release { rollout, seed: seed.into(), ..new });
    }
    let (inside, outside) = (device(seed, 40, true), device(seed, 40, false));
    assert_eq!(version(&store, "1.0", Some(&inside), true), "3.0");
    assert_eq!(version(&store, "1.0", Some(&outside), true), "2.0");
    assert_eq!(version(&store, "1.0", None, true), "2.0");
    assert!(told(&store, "1.0", Some(&inside), true).unwrap().by_device);
    let manual = told(&store, "1.0", Some(&outside), false).unwrap();
    assert_eq!((manual.version.as_str(), manual.by_device), ("3.0", false), "a manual client decides by itself");

    // A stop that is itself rolled out holds back whoever is not in it.
    let stop = release("2.5", vec![artifact("k9", "a.zip", b"k9")]);
    put(&store, 9, &Release { rollout: 40, seed: seed.into(), intermediate: true, ..stop });
    put(&store, 2, &Release { rollout: 100, ..store.read(|tx| records::get(tx, id(2))).unwrap().unwrap() });
    assert_eq!(version(&store, "2.0", Some(&inside), true), "2.5");
    assert_eq!(version(&store, "2.0", Some(&outside), true), "2.0");
    assert_eq!(version(&store, "2.5", Some(&outside), true), "3.0");
    store.close();
}
