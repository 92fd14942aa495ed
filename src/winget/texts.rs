//! What searches read of each package, as one folded text, stored beside its records; and the job that makes texts and
//! keys anew when the rules they are made by have changed (`performance.md` §3.3).

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::Result;
use crate::jobs::{Context, Jobs, NewJob};
use crate::store::Store;
use crate::store::table::{Read, Table, WriteTx};
use crate::winget::model;
use crate::winget::source::matching::fold;
use crate::winget::source::shown::{self, Channels, Contract, Lens};

/// (tenant, folded id) → what searches read.
const TEXTS: Table<(Uuid, String), String> = Table::new("winget.text");
/// Tenant → the rules that all its texts and keys were made by.
const MADE_BY: Table<Uuid, u32> = Table::new("winget.text_rules");

/// The present rules. To be raised whenever [`of`] or a key of a package would come out differently.
const RULES: u32 = 4;

/// The most text of one package, in bytes; what is beyond it can be found by look-ups only.
const TEXT_LIMIT: usize = 64 << 10;
/// Packages made anew in one transaction.
const BATCH: usize = 200;

/// The kind of job.
const KIND: &str = "winget-texts";

/// A package's text, whatever its channels; none when there is no such package.
pub fn of(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Option<String>> {
    let Some(whole) = model::whole(tx, tenant, id)? else { return Ok(None) };
    let lens = Lens::with(Channels::All, Contract::NEWEST);
    let mut text = fold(&shown::terms(&whole.package, &shown::versions(&whole, &lens)));
    if text.len() > TEXT_LIMIT {
        let end = (0..=TEXT_LIMIT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
    }
    Ok(Some(text))
}

/// Notes, before the first package of a tenant is added, that everything will be made by the present rules.
pub(super) fn begin(tx: &WriteTx, tenant: Uuid) -> Result<()> {
    MADE_BY.put(tx, tenant, &RULES)
}

/// Writes the text of a package that has changed, or removes it with its package.
pub(super) fn refresh(tx: &WriteTx, tenant: Uuid, id: &str) -> Result<()> {
    match of(tx, tenant, id)? {
        Some(text) => TEXTS.put(tx, (tenant, id), &text),
        None => TEXTS.remove(tx, (tenant, id)).map(drop),
    }
}

/// Whether every text of the tenant is there and good.
pub fn are_complete(tx: &impl Read, tenant: Uuid) -> Result<bool> {
    Ok(MADE_BY.get(tx, tenant)? == Some(RULES))
}

/// Up to `limit` folded ids with their texts, in order, after `after` when given.
pub fn page(tx: &impl Read, tenant: Uuid, after: Option<&str>, limit: usize) -> Result<Vec<(String, String)>> {
    let after = after.map(|id| (tenant, id.to_owned()));
    let rows = TEXTS.page(tx, (tenant,), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, id), text)| (id, text)).collect())
}

/// Registers the job; to be called before the queue starts.
pub fn register(jobs: &Jobs, store: &Arc<Store>) {
    let weak = Arc::downgrade(store);
    jobs.register(KIND, 3, move |context| {
        let Some(store) = weak.upgrade() else { return Ok("the server stopped".to_owned()) };
        Ok(format!("{} packages read", renew(&store, context)?))
    });
}

/// Queues the job when there are texts or keys by other rules. Costs a look-up for each tenant.
///
/// # Errors
/// Those of the store.
pub fn ask(jobs: &Jobs, store: &Arc<Store>, clock: &Clock) -> Result<()> {
    if store.read(outdated)?.is_none() {
        return Ok(());
    }
    let (queue, now) = (jobs.clone(), clock.now());
    store.commit(move |tx| {
        let job = NewJob { kind: KIND, target: "search".into(), input: Value::Null, by: "packhouse".into() };
        queue.enqueue(tx, &job, now).map(drop)
    })
}

/// A tenant whose texts or keys were made by other rules.
fn outdated(tx: &impl Read) -> Result<Option<Uuid>> {
    let mut after = None;
    while let Some(tenant) = model::next_tenant(tx, after)? {
        if !are_complete(tx, tenant)? {
            return Ok(Some(tenant));
        }
        after = Some(tenant);
    }
    Ok(None)
}

fn renew(store: &Arc<Store>, context: &Context) -> Result<u64> {
    let mut total = 0;
    while let Some(tenant) = store.read(outdated)? {
        let mut after: Option<String> = None;
        loop {
            context.check()?;
            let from = after.clone();
            let (count, last) = store.commit(move |tx| {
                let page = model::page(tx, tenant, from.as_deref(), BATCH)?;
                for (id, _) in &page {
                    model::add_keys(tx, tenant, id)?;
                    refresh(tx, tenant, id)?;
                }
                if page.len() < BATCH {
                    MADE_BY.put(tx, tenant, &RULES)?;
                }
                Ok((page.len(), page.into_iter().last().map(|(id, _)| id)))
            })?;
            total += count as u64;
            context.progress(total, None, "packages read");
            if count < BATCH {
                break;
            }
            after = last;
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::store::Options;
    use crate::winget::model::{By, Package, Row};

    const TENANT: Uuid = Uuid::from_bytes([1; 16]);

    fn add(tx: &WriteTx, number: u32) -> Result<()> {
        let by = By { who: "user:ann".into(), now: Time(5) };
        let package = Package {
            id: format!("Contoso.P{number:04}"),
            name: "Wi-Fi Reader 1.2 (x64)".into(),
            publisher: "Contoso".into(),
            ..Package::empty(Time(1))
        };
        model::add_package(tx, TENANT, &package, &by)?;
        let row = Row {
            uid: Uuid::from_u128(u128::from(number) + 1),
            version: "1.0".into(),
            locale: "en-US".into(),
            architecture: "x64".into(),
            kind: "MSI".into(),
            scope: "machine".into(),
            channel: "stable".into(),
            product_code: "{ABC}".into(),
            url: "https://example.org/x.msi".into(),
            url_sha256: Some(crate::ids::Digest::of(b"x")),
            ..Row::default()
        };
        model::add_row(tx, TENANT, &package.id, &row, &by).map(drop)
    }

    #[test]
    fn texts_follow_their_packages() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path(), Options::default()).map_err(|e| e.message).unwrap();
        let inside = store.clone();
        store
            .commit(move |tx| {
                add(tx, 1)?;
                add(tx, 2)?;
                assert!(are_complete(tx, TENANT)?);
                let texts = page(tx, TENANT, None, 9)?;
                assert_eq!(texts.len(), 2);
                // Whoever changes this line raises RULES: what is stored has to be made anew.
                let expected = "contoso.p0001|;wi-fi reader 1.2 (x64)|;contoso|;;;;;{abc}|;;wifireader|;*|;msi|;";
                let plain = texts[0].1.replace('\u{7F}', ";").replace('\u{80}', "|").replace('\u{81}', "*");
                assert_eq!((texts[0].0.as_str(), plain.as_str(), RULES), ("contoso.p0001", expected, 4));
                assert_eq!(page(tx, TENANT, Some("contoso.p0001"), 9)?, texts[1..]);
                model::remove_package(&inside, tx, TENANT, "CONTOSO.P0001")?;
                assert_eq!(page(tx, TENANT, None, 9)?, texts[1..]);
                Ok(())
            })
            .unwrap();
        store.close();
    }

    #[test]
    fn what_was_made_by_other_rules_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path(), Options::default()).map_err(|e| e.message).unwrap();
        let clock = Arc::new(Clock::default());
        store
            .commit(|tx| {
                for number in 0..BATCH as u32 + 3 {
                    add(tx, number)?;
                }
                for (id, _) in page(tx, TENANT, None, usize::MAX)? {
                    TEXTS.remove(tx, (TENANT, id.as_str()))?;
                }
                MADE_BY.put(tx, TENANT, &(RULES - 1))
            })
            .unwrap();
        let jobs = Jobs::new(store.clone(), clock.clone());
        register(&jobs, &store);
        jobs.start().unwrap();
        ask(&jobs, &store, &clock).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !store.read(|tx| are_complete(tx, TENANT)).unwrap() {
            assert!(std::time::Instant::now() < deadline, "the job does not end");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        store
            .read(|tx| {
                let texts = page(tx, TENANT, None, usize::MAX)?;
                assert_eq!(texts.len(), BATCH + 3);
                assert_eq!(Some(&texts[7].1), of(tx, TENANT, &texts[7].0)?.as_ref());
                assert_eq!(outdated(tx)?, None);
                Ok(())
            })
            .unwrap();
        jobs.stop(std::time::Duration::from_secs(60));
        store.close();
    }
}
