//! Tests of the room's records and indexes.

use super::changes::KEPT_CHANGES;
use super::*;
use crate::store::Options;

const TENANT: Uuid = Uuid::from_bytes([1; 16]);

fn by() -> By {
    By { who: "user:ann".into(), now: Time(5) }
}

fn sample(id: &str) -> Package {
    Package {
        id: id.into(),
        name: format!("{id} Reader 1.2 (x64)"),
        publisher: "Contoso".into(),
        description: String::new(),
        logo: None,
        active: true,
        created: Time(1),
        updated: Time(1),
        next: 0,
        extra: Map::new(),
    }
}

fn file(bytes: &[u8]) -> File {
    File { digest: Digest::of(bytes), size: bytes.len() as u64, extension: "msi".into() }
}

fn installer(number: u8, version: &str, code: &str) -> Row {
    Row {
        uid: Uuid::from_bytes([number; 16]),
        version: version.into(),
        locale: "en-US".into(),
        architecture: "x64".into(),
        kind: "MSI".into(),
        scope: "machine".into(),
        channel: "stable".into(),
        product_code: code.into(),
        ..Row::default()
    }
}

/// Runs `f` in a transaction of a real store that is thrown away.
fn run(f: impl FnMut(&Store, &WriteTx) -> Result<()> + Send + 'static) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let (inside, mut f) = (store.clone(), f);
    store.commit(move |tx| f(&inside, tx)).unwrap();
}

#[test]
fn packages_are_found_in_any_case_and_by_their_keys() {
    run(|store, tx| {
        add_package(tx, TENANT, &sample("Contoso.App"), &by())?;
        assert!(add_package(tx, TENANT, &sample("CONTOSO.app"), &by()).is_err());
        assert_eq!(package(tx, TENANT, "contoso.APP")?.unwrap().id, "Contoso.App");
        let row = add_row(tx, TENANT, "contoso.app", &installer(1, "1.0", "{ABC}"), &by())?;
        assert_eq!(row.number, 0);
        add_row(tx, TENANT, "contoso.app", &installer(2, "2.0", "{abc}"), &by())?;
        assert!(add_row(tx, TENANT, "contoso.app", &installer(3, "2.0", ""), &by()).is_err());
        assert!(add_row(tx, TENANT, "nobody", &installer(3, "2.0", ""), &by()).is_err());

        add_package(tx, TENANT, &sample("b"), &by())?;
        add_row(tx, TENANT, "b", &installer(4, "1", "{aBc}"), &by())?;
        let found = |key, value: &str| find(tx, TENANT, key, value, None, 9);
        assert_eq!(found(Key::ProductCode, "{AbC}")?, ["b", "contoso.app"]);
        assert_eq!(find(tx, TENANT, Key::ProductCode, "{abc}", Some("b"), 9)?, ["contoso.app"]);
        assert_eq!(found(Key::NormalizedName, "contosoappreader")?, ["contoso.app"]);
        assert_eq!(found(Key::Publisher, "contoso")?.len(), 2);
        assert!(find(tx, Uuid::nil(), Key::ProductCode, "{abc}", None, 9)?.is_empty());

        let changed = Row { product_code: "{new}".into(), ..installer(4, "1", "") };
        assert_eq!(update_row(store, tx, TENANT, &changed, &by())?.number, 0);
        assert_eq!(find(tx, TENANT, Key::ProductCode, "{abc}", None, 9)?, ["contoso.app"]);
        remove_row(store, tx, TENANT, "contoso.app", Uuid::from_bytes([1; 16]))?;
        assert_eq!(find(tx, TENANT, Key::ProductCode, "{abc}", None, 9)?, ["contoso.app"]);
        assert!(remove_row(store, tx, TENANT, "contoso.app", Uuid::from_bytes([4; 16])).is_err());

        let mut release = Release { version: "2.0".into(), moniker: "Reader".into(), ..Release::default() };
        release.tags.push("PDF".into());
        put_release(tx, TENANT, "Contoso.App", &release)?;
        assert_eq!(find(tx, TENANT, Key::Tag, "pdf", None, 9)?, ["contoso.app"]);
        let all = whole(tx, TENANT, "contoso.app")?.unwrap();
        assert_eq!((all.rows.len(), all.releases.len(), all.package.next), (1, 1, 2));

        remove_package(store, tx, TENANT, "CONTOSO.APP")?;
        for (key, value) in [(Key::Tag, "pdf"), (Key::ProductCode, "{abc}"), (Key::Moniker, "reader")] {
            assert!(find(tx, TENANT, key, value, None, 9)?.is_empty());
        }
        assert!(whole(tx, TENANT, "contoso.app")?.is_none());
        assert_eq!(page(tx, TENANT, None, 9)?.len(), 1);
        Ok(())
    });
}

#[test]
fn versions_that_repeat_the_packages_names_are_found_whatever_it_is_called_later() {
    run(|store, tx| {
        let package = sample("a");
        add_package(tx, TENANT, &package, &by())?;
        let locale = |name: &str| {
            let said = serde_json::json!({ "PackageName": name, "Publisher": package.publisher });
            said.as_object().unwrap().clone()
        };
        for (version, name) in [("1", package.name.as_str()), ("2", "Other Name")] {
            let release = Release { version: version.into(), default_locale: locale(name), ..Release::default() };
            put_release(tx, TENANT, "a", &release)?;
        }
        let found = |key, value: &str| find(tx, TENANT, key, value, None, 9);
        let kept = || KEYS.all(tx, ()).map(|rows| rows.len());
        let few = kept()?;
        for name in [package.name.as_str(), "other name"] {
            assert_eq!(found(Key::Name, name)?, ["a"]);
        }
        let renamed = Package { name: "Other Name".into(), publisher: "Fabrikam".into(), ..package.clone() };
        update_package(store, tx, TENANT, &renamed, &by())?;
        for (key, value) in [
            (Key::Name, package.name.as_str()),
            (Key::Name, "Other Name"),
            (Key::NormalizedName, "othername"),
            (Key::Publisher, package.publisher.as_str()),
            (Key::Publisher, "fabrikam"),
        ] {
            assert_eq!(found(key, value)?, ["a"], "{value}");
        }
        add_keys(tx, TENANT, "a")?;
        update_package(store, tx, TENANT, &package, &by())?;
        assert_eq!((found(Key::Publisher, "fabrikam")?.len(), kept()?), (0, few));
        assert!(remove_release(tx, TENANT, "a", "2")?);
        assert!(found(Key::Name, "other name")?.is_empty());
        remove_package(store, tx, TENANT, "a")?;
        assert_eq!(kept()?, 0);
        Ok(())
    });
}

#[test]
fn files_count_once_and_go_with_their_last_use() {
    run(|store, tx| {
        for bytes in [&b"one"[..], b"four"] {
            catalog::admit(tx, &Digest::of(bytes), bytes.len() as u64, &Default::default(), "x", Time(1))?;
        }
        add_package(tx, TENANT, &sample("a"), &by())?;
        let with = |number, version, bytes| Row { file: Some(file(bytes)), ..installer(number, version, "") };
        add_row(tx, TENANT, "a", &with(1, "1", b"one"), &by())?;
        add_row(tx, TENANT, "a", &with(2, "2", b"one"), &by())?;
        assert_eq!(used(tx, TENANT)?, 3);
        add_row(tx, TENANT, "a", &with(3, "3", b"four"), &by())?;
        assert_eq!(used(tx, TENANT)?, 7);
        remove_row(store, tx, TENANT, "a", Uuid::from_bytes([1; 16]))?;
        assert_eq!(used(tx, TENANT)?, 7);
        update_row(store, tx, TENANT, &with(2, "2", b"four"), &by())?;
        assert_eq!((used(tx, TENANT)?, has_file(tx, TENANT, Digest::of(b"one"))?), (4, false));
        assert!(!catalog::is_held(tx, &Digest::of(b"one"))?);

        let logo = Logo { digest: Digest::of(b"one"), size: 3, picture: Picture::Png };
        update_package(store, tx, TENANT, &Package { logo: Some(logo), ..known_package(tx, TENANT, "a")? }, &by())?;
        assert_eq!((used(tx, TENANT)?, super::logo(tx, TENANT, logo.digest)?), (7, Some(Picture::Png)));
        remove_package(store, tx, TENANT, "a")?;
        assert_eq!((used(tx, TENANT)?, super::logo(tx, TENANT, logo.digest)?), (0, None));
        assert!(!catalog::is_held(tx, &Digest::of(b"four"))?);
        Ok(())
    });
}

#[test]
fn changes_are_counted_and_the_last_ones_known() {
    run(|_, tx| {
        assert_eq!((generation(tx, TENANT)?, changes(tx, TENANT, 0)?), (0, Some(vec![])));
        add_package(tx, TENANT, &sample("A"), &by())?;
        touch(tx, TENANT, "b")?;
        assert_eq!((generation(tx, TENANT)?, changes(tx, TENANT, 1)?), (2, Some(vec!["b".to_owned()])));
        for _ in 0..KEPT_CHANGES {
            touch(tx, TENANT, "c")?;
        }
        assert_eq!(changes(tx, TENANT, 1)?, None);
        assert_eq!(changes(tx, TENANT, 2)?.map(|changed| changed.len()), Some(1024));
        Ok(())
    });
}
