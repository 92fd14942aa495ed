//! Tests of the catalog together with the store: bytes live while somebody holds them, and rot is found.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::error::Kind;
use crate::store::{Options, Staged};

fn open(directory: &Path) -> Arc<Store> {
    let store = Store::open(directory, Options::default()).unwrap();
    store.set_known(size_of);
    store.set_unheld(drop_if_unheld);
    store
}

fn stage(store: &Store, bytes: &[u8]) -> Staged {
    let mut stage = store.stage(Some(bytes.len() as u64)).unwrap();
    stage.copy_from(&mut &*bytes, None).unwrap();
    stage.finish().unwrap()
}

/// Puts files on the shelf, all held by `holders`.
fn put(store: &Store, files: &[Vec<u8>], holders: &[Holder]) -> Vec<Digest> {
    let staged: Vec<_> = files.iter().map(|bytes| stage(store, bytes)).collect();
    let rows: Vec<_> = staged.iter().map(|staged| (staged.digest, staged.size)).collect();
    let (digests, holders) = (rows.iter().map(|row| row.0).collect(), holders.to_vec());
    store
        .shelve(staged, move |tx| {
            for (digest, size) in &rows {
                admit(tx, digest, *size, &Facts::default(), "a", Time(0))?;
                for holder in &holders {
                    hold(tx, digest, "a", holder, true, "test", Time(0))?;
                }
            }
            Ok(())
        })
        .unwrap();
    digests
}

fn let_go(store: &Arc<Store>, digest: Digest, holder: Holder) {
    let inside = store.clone();
    store.commit(move |tx| release(&inside, tx, &digest, &holder)).unwrap();
    assert!(store.wait_for_collection(Duration::from_secs(30)));
}

#[test]
fn bytes_go_with_the_last_holder_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (one, two) = (Holder::product("x", "1"), Holder::repo("apt"));
    let digest = put(&store, &[b"bytes".to_vec()], &[one.clone(), two.clone()])[0];
    let_go(&store, digest, one.clone());
    let_go(&store, digest, one.clone());
    assert_eq!(store.blob(&digest).unwrap().len(), 5);
    assert!(store.read(|tx| get(tx, &digest)).unwrap().is_some());
    let_go(&store, digest, two.clone());
    assert_eq!(store.blob(&digest).err().map(|e| e.kind), Some(Kind::NotFound));
    assert!(store.read(|tx| get(tx, &digest)).unwrap().is_none());
    // The same bytes again are as new.
    assert_eq!(put(&store, &[b"bytes".to_vec()], &[two])[0], digest);
    assert_eq!(store.blob(&digest).unwrap().len(), 5);
}

#[test]
fn a_holder_lets_go_of_all_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (one, two) = (Holder::repo("apt"), Holder::repo("apt2"));
    let files: Vec<_> = (0..20_u8).map(|number| vec![number; 9]).collect();
    let digests = put(&store, &files, std::slice::from_ref(&one));
    put(&store, &files[..5], &[two]);
    let inside = store.clone();
    let released = store.commit(move |tx| release_all(&inside, tx, &one)).unwrap();
    assert_eq!(released, 20);
    assert!(store.wait_for_collection(Duration::from_secs(30)));
    let left: Vec<_> = digests.iter().map(|digest| store.blob(digest).is_ok()).collect();
    assert!(left[..5].iter().all(|there| *there) && left[5..].iter().all(|there| !there), "{left:?}");
    assert_eq!(store.read(count).unwrap(), 5);
}

#[test]
fn what_rots_is_found_and_what_is_sound_is_not_accused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let files: Vec<_> = (0..300_usize).map(|number| vec![number as u8; 2000 + number]).collect();
    let digests = put(&store, &files, &[Holder::package()]);
    // Opened anew, so that nothing counts as checked already.
    store.close();
    drop(store);
    let path = |digest: &Digest| {
        let hex = digest.to_hex();
        directory.path().join("shelf").join(&hex[..2]).join(hex)
    };
    let mut rotten = [digests[7], digests[299]];
    rotten.sort();
    let mut bytes = files[7].clone();
    bytes[1000] ^= 1;
    std::fs::remove_file(path(&digests[7])).unwrap();
    std::fs::write(path(&digests[7]), bytes).unwrap();
    std::fs::remove_file(path(&digests[299])).unwrap();

    let store = open(directory.path());
    let mut steps = 0;
    let count_steps = &mut |_: &Scrubbed| {
        steps += 1;
        Ok(())
    };
    let found = scrub(&store, count_steps).unwrap();
    assert_eq!((found.artifacts, found.damaged.as_slice()), (300, rotten.as_slice()));
    assert!(steps >= 300 && found.bytes > 298 * 2000);

    let stopped = scrub(&store, &mut |_| Err(Error::conflict("called off")));
    assert_eq!(stopped.unwrap_err().kind, Kind::Conflict);
}
