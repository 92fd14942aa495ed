//! The search index: folded text of all packages in blocks that are scanned at memory speed. Knows nothing of storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use crate::refpacks::rules::{self, Search};

/// The most packages of one block; a change rewrites its block.
const BLOCK: usize = 4096;
/// A package with more text than this is not kept here but read from storage when a search needs it.
const TEXT_LIMIT: usize = 16 << 10;

/// What lists know of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    archived: bool,
    /// Folded id, title and description, each with a NUL behind it.
    text: String,
    /// Folded manifest pairs, `NUL key SOH value NUL …`, the owner label among them.
    pairs: String,
    /// Text and pairs are too long to be kept.
    long: bool,
}

/// The key of the owner label among the pairs; no manifest key can look like it.
const OWNER: &str = "\u{2}o";

/// Keeps the characters that separate out of what they separate.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\u{2}a"),
            '\u{1}' => out.push_str("\u{2}b"),
            '\u{2}' => out.push_str("\u{2}c"),
            c => out.push(c),
        }
    }
}

fn pair(key: &str, value: &str, out: &mut String) {
    escape(key, out);
    out.push('\u{1}');
    escape(value, out);
    out.push('\0');
}

impl Entry {
    /// Of a package by its id, its owner label and the manifest of its listed version.
    pub fn new(id: &str, owner: &str, archived: bool, manifest: &Map<String, Value>) -> Entry {
        let field = |key: &str| rules::fold(manifest.get(key).and_then(Value::as_str).unwrap_or_default());
        let mut text = String::new();
        for part in [rules::fold(id), field("title"), field("description")] {
            escape(&part, &mut text);
            text.push('\0');
        }
        let mut pairs = String::from("\0");
        pairs.push_str(OWNER);
        pairs.push('\u{1}');
        escape(owner, &mut pairs);
        pairs.push('\0');
        for (key, value) in rules::pairs(manifest) {
            // These three stand in the text.
            if !matches!(key, "id" | "title" | "description") {
                pair(key, &value, &mut pairs);
            }
        }
        let long = text.len() + pairs.len() > TEXT_LIMIT;
        Entry { archived, text, pairs, long }
    }
}

/// One question, ready to be compared.
struct Question<'a> {
    archived: bool,
    text: Option<Finder<'a>>,
    pairs: Vec<Finder<'a>>,
    /// Fields of the text and the whole value they must have.
    fields: Vec<(usize, String)>,
}

impl Question<'_> {
    fn new(search: &Search) -> Question<'static> {
        let mut pairs = Vec::new();
        let mut fields = Vec::new();
        let mut want = |key: &str, value: &str| {
            let mut needle = String::from("\0");
            pair(key, value, &mut needle);
            pairs.push(needle);
        };
        search.tags.iter().for_each(|tag| want("tags", tag));
        for (key, value) in &search.filters {
            match ["id", "title", "description"].iter().position(|field| field == key) {
                Some(field) => {
                    let mut escaped = String::new();
                    escape(value, &mut escaped);
                    fields.push((field, escaped));
                }
                None => want(key, value),
            }
        }
        if let Some(owner) = &search.owner {
            let mut needle = format!("\0{OWNER}\u{1}");
            escape(owner, &mut needle);
            needle.push('\0');
            pairs.push(needle);
        }
        pairs.sort();
        pairs.dedup();
        let mut text = String::new();
        escape(&search.text, &mut text);
        Question {
            archived: search.archived,
            text: (!text.is_empty()).then(|| Finder::new(&text).into_owned()),
            pairs: pairs.iter().map(|needle| Finder::new(needle).into_owned()).collect(),
            fields,
        }
    }

    /// Whether a package fits, by its text and pairs.
    fn fits(&self, archived: bool, text: &str, pairs: &str) -> bool {
        (self.archived || !archived)
            && self.text.as_ref().is_none_or(|needle| needle.find(text.as_bytes()).is_some())
            && self.pairs.iter().all(|needle| needle.find(pairs.as_bytes()).is_some())
            && self.fields.iter().all(|(field, value)| text.split('\0').nth(*field) == Some(value.as_str()))
    }
}

/// A run of packages in order of their ids.
#[derive(Debug, Default)]
struct Block {
    ids: Vec<Box<str>>,
    archived: Vec<bool>,
    text: String,
    text_ends: Vec<u32>,
    pairs: String,
    pair_ends: Vec<u32>,
    /// Numbers of the packages whose text is not here.
    long: Vec<u32>,
}

impl Block {
    fn push(&mut self, id: &str, entry: &Entry) {
        if entry.long {
            self.long.push(self.ids.len() as u32);
        } else {
            self.text.push_str(&entry.text);
            self.pairs.push_str(&entry.pairs);
        }
        self.ids.push(id.into());
        self.archived.push(entry.archived);
        // A block holds 4,096 × 16 KiB at most.
        self.text_ends.push(self.text.len() as u32);
        self.pair_ends.push(self.pairs.len() as u32);
    }

    fn piece<'a>(all: &'a str, ends: &[u32], number: usize) -> &'a str {
        let start = number.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end as usize);
        let end = ends.get(number).map_or(start, |end| *end as usize);
        all.get(start..end).unwrap_or_default()
    }

    fn entry(&self, number: usize) -> Entry {
        Entry {
            archived: self.archived.get(number).copied().unwrap_or_default(),
            text: Block::piece(&self.text, &self.text_ends, number).to_owned(),
            pairs: Block::piece(&self.pairs, &self.pair_ends, number).to_owned(),
            long: self.is_long(number),
        }
    }

    fn is_long(&self, number: usize) -> bool {
        self.long.binary_search(&(number as u32)).is_ok()
    }

    /// Numbers of the packages that fit, but for those whose text is not here.
    fn search(&self, question: &Question, found: &mut Vec<u32>) {
        let mut judge = |number: usize| {
            let archived = self.archived.get(number).copied().unwrap_or_default();
            let text = Block::piece(&self.text, &self.text_ends, number);
            let pairs = Block::piece(&self.pairs, &self.pair_ends, number);
            if question.fits(archived, text, pairs) && !self.is_long(number) {
                found.push(number as u32);
            }
        };
        // One pass over the whole block for one needle; the rest is asked of what that finds.
        let (needle, all, ends) = match (&question.text, question.pairs.first()) {
            (Some(needle), _) => (needle, &self.text, &self.text_ends),
            (None, Some(needle)) => (needle, &self.pairs, &self.pair_ends),
            (None, None) => return (0..self.ids.len()).for_each(judge),
        };
        let mut at = 0;
        while let Some(hit) = all.as_bytes().get(at..).and_then(|rest| needle.find(rest)) {
            let number = ends.partition_point(|end| (*end as usize) <= at + hit);
            judge(number);
            at = match ends.get(number) {
                Some(end) => *end as usize,
                None => return,
            };
        }
    }
}

/// All packages.
#[derive(Clone, Debug, Default)]
pub struct Index {
    blocks: Vec<Arc<Block>>,
}

/// Where a package stands in the index that found it.
pub type Place = (u32, u32);

impl Index {
    /// Of packages in order of their ids.
    pub fn build<E>(entries: impl Iterator<Item = Result<(String, Entry), E>>) -> Result<Index, E> {
        let mut blocks = Vec::new();
        let mut block = Block::default();
        for entry in entries {
            let (id, entry) = entry?;
            if block.ids.len() == BLOCK {
                blocks.push(Arc::new(std::mem::take(&mut block)));
            }
            block.push(&id, &entry);
        }
        if !block.ids.is_empty() {
            blocks.push(Arc::new(block));
        }
        Ok(Index { blocks })
    }

    /// Puts packages in, over what was known of them.
    pub fn update(&mut self, changes: &BTreeMap<String, Entry>) {
        if self.blocks.is_empty() && !changes.is_empty() {
            self.blocks.push(Arc::default());
        }
        let mut by_block: BTreeMap<usize, Vec<(&String, &Entry)>> = BTreeMap::new();
        for change in changes {
            // The last block that begins at or before the id, else the first.
            let at = self.blocks.partition_point(|block| block.ids.first().is_some_and(|id| **id <= **change.0));
            by_block.entry(at.saturating_sub(1)).or_default().push(change);
        }
        // From the last on, so that splitting a block leaves the numbers of those before it alone.
        for (at, changes) in by_block.into_iter().rev() {
            let Some(old) = self.blocks.get(at).cloned() else { continue };
            self.blocks.splice(at..=at, merge(&old, &changes));
        }
    }

    /// The packages that fit, in order of their ids. `full` gives the entry of one whose text is not kept here.
    ///
    /// # Errors
    /// What `full` answers.
    pub fn search<E>(
        &self,
        search: &Search,
        mut full: impl FnMut(&str) -> Result<Option<Entry>, E>,
    ) -> Result<Vec<Place>, E> {
        let question = Question::new(search);
        let mut places = Vec::new();
        for (at, block) in self.blocks.iter().enumerate() {
            let mut found = Vec::new();
            block.search(&question, &mut found);
            for &number in &block.long {
                let archived = block.archived.get(number as usize).copied().unwrap_or_default();
                let Some(id) = block.ids.get(number as usize).filter(|_| question.archived || !archived) else {
                    continue;
                };
                if let Some(entry) = full(id)?
                    && question.fits(archived, &entry.text, &entry.pairs)
                {
                    found.push(number);
                }
            }
            found.sort_unstable();
            places.extend(found.into_iter().map(|number| (at as u32, number)));
        }
        Ok(places)
    }

    /// The id of a package that this index found.
    pub fn id(&self, (block, number): Place) -> Option<&str> {
        self.blocks.get(block as usize)?.ids.get(number as usize).map(|id| &**id)
    }
}

/// A block with changes in order, as one block or several.
fn merge(old: &Block, changes: &[(&String, &Entry)]) -> Vec<Arc<Block>> {
    let mut all: Vec<Block> = vec![Block::default()];
    let total = old.ids.len() + changes.len();
    let target = if total > BLOCK { BLOCK / 2 } else { BLOCK };
    let mut push = |id: &str, entry: &Entry| {
        if all.last().is_some_and(|block| block.ids.len() >= target) {
            all.push(Block::default());
        }
        if let Some(block) = all.last_mut() {
            block.push(id, entry);
        }
    };
    let mut changes = changes.iter().peekable();
    for (number, id) in old.ids.iter().enumerate() {
        while let Some((new, entry)) = changes.next_if(|(new, _)| new.as_str() < &**id) {
            push(new, entry);
        }
        match changes.next_if(|(new, _)| new.as_str() == &**id) {
            Some((new, entry)) => push(new, entry),
            None => push(id, &old.entry(number)),
        }
    }
    changes.for_each(|(new, entry)| push(new, entry));
    all.into_iter().map(Arc::new).collect()
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
