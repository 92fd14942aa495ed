//! The folded text of all packages of a tenant in memory, for searches that no look-up answers (`performance.md` 3.3).
//!
//! It is read at the first such search, from texts stored beside the packages, and follows the tenant's changes: each search brings it to the state its own
//! transaction sees, so nothing lags behind. Text is kept in blocks in the order of ids; a change rewrites its block.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;
use uuid::Uuid;

use crate::error::Result;
use crate::store::table::Read;
use crate::winget::source::matching::{Folded, Search};
use crate::winget::{model, texts};

/// The most packages of one block.
const BLOCK: usize = 2048;
/// How many packages are read at once when the index is made.
const PAGE: usize = 512;
/// The most tenants whose text is kept.
const TENANTS: usize = 64;

/// The text of every tenant that was searched.
#[derive(Default)]
pub struct Index {
    tenants: Mutex<HashMap<Uuid, Arc<Mutex<Option<Text>>>>>,
}

/// The text of one tenant.
#[derive(Clone)]
pub struct Text {
    /// The change it was last brought to.
    generation: u64,
    /// By the folded id each begins with.
    blocks: BTreeMap<String, Arc<Block>>,
}

/// Some packages, one after another in the order of their folded ids.
#[derive(Clone, Debug, Default)]
struct Block {
    ids: Vec<Box<str>>,
    text: String,
    /// Where each package's text ends.
    ends: Vec<usize>,
}

impl Index {
    /// The tenant's text as this transaction sees it, or newer.
    pub fn text(&self, tx: &impl Read, tenant: Uuid) -> Result<Text> {
        let slot = {
            let mut tenants = lock(&self.tenants);
            if tenants.len() >= TENANTS && !tenants.contains_key(&tenant) {
                tenants.clear();
            }
            tenants.entry(tenant).or_default().clone()
        };
        let mut slot = lock(&slot);
        let generation = model::generation(tx, tenant)?;
        let changed = match slot.as_ref() {
            Some(text) if text.generation >= generation => return Ok(text.clone()),
            Some(text) => model::changes(tx, tenant, text.generation)?,
            None => None,
        };
        let mut text = match (slot.take(), changed) {
            (Some(mut text), Some(changed)) => {
                for id in changed.into_iter().filter(|id| !id.is_empty()).collect::<BTreeSet<_>>() {
                    text.put(&id, texts::of(tx, tenant, &id)?);
                }
                text
            }
            _ => read_all(tx, tenant)?,
        };
        text.generation = generation;
        *slot = Some(text.clone());
        Ok(text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything, from the texts that are stored; where they are not all there, from the packages themselves.
fn read_all(tx: &impl Read, tenant: Uuid) -> Result<Text> {
    let mut text = Text { generation: 0, blocks: BTreeMap::new() };
    let mut block = Block::default();
    let stored = texts::are_complete(tx, tenant)?;
    let mut after: Option<String> = None;
    loop {
        let page = match stored {
            true => texts::page(tx, tenant, after.as_deref(), PAGE)?,
            false => made(tx, tenant, after.as_deref())?,
        };
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (id, own) in page {
            block.push(&id, &own);
            // Half full, so that additions need not split blocks soon.
            if block.ids.len() >= BLOCK / 2 {
                text.keep(std::mem::take(&mut block));
            }
        }
    }
    text.keep(block);
    Ok(text)
}

/// The texts of the next packages, made from their records.
fn made(tx: &impl Read, tenant: Uuid, after: Option<&str>) -> Result<Vec<(String, String)>> {
    let page = model::page(tx, tenant, after, PAGE)?;
    page.into_iter().map(|(id, _)| texts::of(tx, tenant, &id).map(|text| (id, text.unwrap_or_default()))).collect()
}

impl Block {
    fn push(&mut self, id: &str, text: &str) {
        self.ids.push(id.into());
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn of(&self, at: usize) -> &str {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(at).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }

    /// The packages whose text holds one of `needles`, or all of them.
    fn holding(&self, needles: Option<&[Finder<'_>]>) -> Vec<usize> {
        let Some(needles) = needles else { return (0..self.ids.len()).collect() };
        let mut found = BTreeSet::new();
        for needle in needles {
            let mut from = 0;
            while let Some(at) = self.text.as_bytes().get(from..).and_then(|rest| needle.find(rest)) {
                let package = self.ends.partition_point(|end| *end <= from + at);
                found.insert(package);
                // On to the next package.
                from = self.ends.get(package).copied().unwrap_or(self.text.len());
            }
        }
        found.into_iter().collect()
    }
}

impl Text {
    fn keep(&mut self, block: Block) {
        if let Some(first) = block.ids.first() {
            self.blocks.insert(first.to_string(), Arc::new(block));
        }
    }

    /// Replaces, adds or takes away one package.
    fn put(&mut self, id: &str, text: Option<String>) {
        let before = self.blocks.range::<str, _>((Unbounded, Included(id))).next_back().map(|(first, _)| first.clone());
        let first = before.or_else(|| self.blocks.keys().next().cloned());
        let old = first.and_then(|first| self.blocks.remove(&first)).unwrap_or_default();
        let mut new = Block::default();
        let mut text = text;
        for (at, known) in old.ids.iter().enumerate() {
            if text.is_some() && **known >= *id {
                new.push(id, &text.take().unwrap_or_default());
            }
            if **known != *id {
                new.push(known, old.of(at));
            }
        }
        if let Some(text) = text {
            new.push(id, &text);
        }
        if new.ids.len() <= BLOCK {
            return self.keep(new);
        }
        let (mut front, mut back) = (Block::default(), Block::default());
        for (at, known) in new.ids.iter().enumerate() {
            let half = if at < new.ids.len() / 2 { &mut front } else { &mut back };
            half.push(known, new.of(at));
        }
        self.keep(front);
        self.keep(back);
    }

    /// Shows the folded ids of packages that may fit, in order after `after`, to `visit` until it answers `false`.
    pub fn search(
        &self,
        search: &Search,
        after: Option<&str>,
        mut visit: impl FnMut(&str) -> Result<bool>,
    ) -> Result<()> {
        let needles = search.needles();
        let needles: Option<Vec<Finder<'_>>> = needles.map(|needles| needles.into_iter().map(Finder::new).collect());
        let after = after.unwrap_or_default();
        let first =
            self.blocks.range::<str, _>((Unbounded, Included(after))).next_back().map(|(first, _)| first.as_str());
        for block in
            self.blocks.range::<str, _>((Included(first.unwrap_or_default()), Unbounded)).map(|(_, block)| block)
        {
            for at in block.holding(needles.as_deref()) {
                let Some(id) = block.ids.get(at).filter(|id| &***id > after) else { continue };
                if search.may_fit(&Folded(block.of(at))) && !visit(id)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::winget::source::matching::{Field, Terms, fold};

    fn text_of(id: &str) -> String {
        let mut terms = Terms::default();
        terms.add(Field::PackageIdentifier, id);
        terms.add(Field::PackageName, &format!("Name {id}"));
        fold(&terms)
    }

    fn found(text: &Text, body: serde_json::Value, after: Option<&str>, most: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let search = Search::read(&body).unwrap();
        let visit = |id: &str| {
            ids.push(id.to_owned());
            Ok(ids.len() < most)
        };
        text.search(&search, after, visit).unwrap();
        ids
    }

    #[test]
    fn changes_keep_order_and_blocks_small() {
        let mut text = Text { generation: 0, blocks: BTreeMap::new() };
        let id = |number: usize| format!("p{:05}", (number * 7919) % 10_007);
        let mut all = BTreeSet::new();
        for number in 0..6000 {
            text.put(&id(number), Some(text_of(&id(number))));
            all.insert(id(number));
        }
        for number in (0..6000).step_by(3) {
            text.put(&id(number), None);
            all.remove(&id(number));
        }
        text.put("p00001", None);
        all.remove("p00001");
        let expected: Vec<String> = all.into_iter().collect();
        assert_eq!(found(&text, json!({}), None, usize::MAX), expected);
        assert_eq!(found(&text, json!({}), Some(&expected[9]), 5), expected[10..15]);
        assert!(text.blocks.values().all(|block| block.ids.len() <= BLOCK));
        let query = json!({"Query": {"KeyWord": "NAME P0001", "MatchType": "Substring"}});
        let ten: Vec<String> = expected.iter().filter(|id| id.starts_with("p0001")).cloned().collect();
        assert_eq!(found(&text, query, None, usize::MAX), ten);
    }
}
