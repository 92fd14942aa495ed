//! Lists and searches: keeps the index in step with the tables and reads the page that was asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::error::Result;
use crate::refpacks::index::{Entry, Index, Place};
use crate::refpacks::model::{self, Package};
use crate::refpacks::rules::{Page, Search};
use crate::store::Store;
use crate::store::table::Read;

/// The most answers that are remembered.
const REMEMBERED: usize = 16;

/// The index and what has happened since it was read.
#[derive(Default)]
pub struct Shelf {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Read at the first question, so that a start costs nothing.
    index: Option<Arc<Index>>,
    /// Packages that changed since.
    changed: BTreeSet<String>,
    /// Packages that are being changed now, and by how many requests: their commit may become visible at any moment.
    changing: BTreeMap<String, usize>,
    /// Answers to the latest questions, forgotten with every change.
    answers: VecDeque<(Search, Arc<Vec<Place>>)>,
}

/// While this lives, lists read the package anew; it must live from before a commit until before its answer leaves.
pub struct Change<'a> {
    shelf: &'a Shelf,
    id: String,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut state = self.shelf.lock();
        match state.changing.get_mut(&self.id) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                state.changing.remove(&self.id);
            }
        }
        let id = std::mem::take(&mut self.id);
        // Without an index there is nothing to correct.
        if state.index.is_some() {
            state.changed.insert(id);
        }
    }
}

/// One page of a list.
pub struct Listed {
    /// How many packages fit in all.
    pub total: usize,
    /// Those of the page: id, record, manifest of the listed version.
    pub items: Vec<(String, Package, Map<String, Value>)>,
}

impl Shelf {
    /// Announces that a package is about to be changed.
    pub fn change(&self, id: &str) -> Change<'_> {
        *self.lock().changing.entry(id.to_owned()).or_default() += 1;
        Change { shelf: self, id: id.to_owned() }
    }

    /// The packages that fit `search`, as of now.
    pub fn page(&self, store: &Store, search: &Search, page: Page) -> Result<Listed> {
        // The state is locked before the transaction begins: so no earlier view of the tables reaches the index later.
        let mut state = self.lock();
        store.read(|tx| {
            let index = state.refresh(tx)?;
            let remembered = state.answers.iter().find(|(asked, _)| asked == search).map(|(_, places)| places.clone());
            drop(state);
            let places = match remembered {
                Some(places) => places,
                None => {
                    let places = Arc::new(index.search(search, |id| entry(tx, id))?);
                    self.remember(&index, search, &places);
                    places
                }
            };
            let skipped = (page.number as usize - 1).saturating_mul(page.size as usize);
            let mut items = Vec::new();
            for &place in places.iter().skip(skipped).take(page.size as usize) {
                let Some(id) = index.id(place) else { continue };
                if let Some(package) = model::package(tx, id)? {
                    let manifest = model::manifest(tx, id, &package.listed)?;
                    items.push((id.to_owned(), package, manifest));
                }
            }
            Ok(Listed { total: places.len(), items })
        })
    }

    /// Keeps an answer, unless the index has changed meanwhile.
    fn remember(&self, index: &Arc<Index>, search: &Search, places: &Arc<Vec<Place>>) {
        let mut state = self.lock();
        if state.index.as_ref().is_some_and(|current| Arc::ptr_eq(current, index)) {
            state.answers.push_front((search.clone(), places.clone()));
            state.answers.truncate(REMEMBERED);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The index as `tx` sees the tables.
    fn refresh(&mut self, tx: &impl Read) -> Result<Arc<Index>> {
        let Some(index) = &self.index else {
            let index = Arc::new(read_all(tx)?);
            self.index = Some(index.clone());
            self.changed.clear();
            self.answers.clear();
            return Ok(index);
        };
        if self.changed.is_empty() && self.changing.is_empty() {
            return Ok(index.clone());
        }
        let mut changes = BTreeMap::new();
        for id in self.changed.iter().chain(self.changing.keys()) {
            if let Some(entry) = entry(tx, id)? {
                changes.insert(id.clone(), entry);
            }
        }
        let mut index = Index::clone(index);
        index.update(&changes);
        let index = Arc::new(index);
        self.index = Some(index.clone());
        self.changed.clear();
        self.answers.clear();
        Ok(index)
    }
}

/// What lists know of a package.
fn entry(tx: &impl Read, id: &str) -> Result<Option<Entry>> {
    model::package(tx, id)?.map(|package| entry_of(tx, id, &package)).transpose()
}

fn entry_of(tx: &impl Read, id: &str, package: &Package) -> Result<Entry> {
    let manifest = model::manifest(tx, id, &package.listed)?;
    Ok(Entry::new(id, &package.owner, package.latest.is_none(), &manifest))
}

fn read_all(tx: &impl Read) -> Result<Index> {
    const ROWS: usize = 1000;
    let mut after: Option<String> = None;
    let mut rows = Vec::new().into_iter();
    Index::build(std::iter::from_fn(|| {
        let row = match rows.next() {
            Some(row) => Some(row),
            None => match model::page(tx, after.as_ref(), ROWS) {
                Ok(page) => {
                    rows = page.into_iter();
                    rows.next()
                }
                Err(e) => return Some(Err(e)),
            },
        };
        let (id, package): (String, Package) = row?;
        let entry = entry_of(tx, &id, &package);
        after = Some(id.clone());
        Some(entry.map(|entry| (id, entry)))
    }))
}
