//! Typed tables over redb: ordered keys made of tuples, JSON values, read and write transactions.
//!
//! Every table is bytes to bytes in the file, so that backup and check stay generic. A key part sorts in the file as it
//! sorts in memory, and no part can run into the next: text ends with `00 00` and holds `00` as `00 FF`.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use redb::{ReadableTable, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault;
use crate::error::{Error, Result};
use crate::ids::{Digest, ObjectId};

type Raw<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// A named table with keys of type `K` and values of type `V`. Each has one writer: the module that defines it.
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// The table called `name` (`room.table`).
    pub const fn new(name: &'static str) -> Self {
        Table { name, types: PhantomData }
    }

    /// The value under `key`.
    pub fn get(&self, tx: &impl Read, key: impl KeyFor<K>) -> Result<Option<V>> {
        tx.get_raw(self.name, &key.bytes())?.map(|bytes| self.value(&bytes)).transpose()
    }

    /// Whether there is a value under `key`.
    pub fn has(&self, tx: &impl Read, key: impl KeyFor<K>) -> Result<bool> {
        Ok(tx.get_raw(self.name, &key.bytes())?.is_some())
    }

    /// Puts `value` under `key`, over whatever was there.
    pub fn put(&self, tx: &WriteTx, key: impl KeyFor<K>, value: &V) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
        tx.put_raw(self.name, &key.bytes(), &bytes)
    }

    /// Removes `key`; answers whether it was there.
    pub fn remove(&self, tx: &WriteTx, key: impl KeyFor<K>) -> Result<bool> {
        tx.remove_raw(self.name, &key.bytes())
    }

    /// Up to `limit` rows whose key begins with `prefix`, in key order, after `after` when given.
    pub fn page(
        &self,
        tx: &impl Read,
        prefix: impl PrefixOf<K>,
        after: Option<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let rows = tx.page_raw(self.name, &prefix.bytes(), after.map(|key| key.bytes()).as_deref(), limit)?;
        rows.into_iter().map(|(key, value)| Ok((self.key(&key)?, self.value(&value)?))).collect()
    }

    /// Every row whose key begins with `prefix`; for sets bounded by what one owner has.
    pub fn all(&self, tx: &impl Read, prefix: impl PrefixOf<K>) -> Result<Vec<(K, V)>> {
        self.page(tx, prefix, None, usize::MAX)
    }

    /// The last row whose key begins with `prefix`.
    pub fn last(&self, tx: &impl Read, prefix: impl PrefixOf<K>) -> Result<Option<(K, V)>> {
        let row = tx.last_raw(self.name, &prefix.bytes())?;
        row.map(|(key, value)| Ok((self.key(&key)?, self.value(&value)?))).transpose()
    }

    /// Number of rows in the whole table; costs one look at its root.
    pub fn len(&self, tx: &impl Read) -> Result<u64> {
        tx.len_raw(self.name)
    }

    fn key(&self, bytes: &[u8]) -> Result<K> {
        let mut rest = bytes;
        match K::decode(&mut rest) {
            Some(key) if rest.is_empty() => Ok(key),
            _ => Err(Error::internal(format!("table {}: a key cannot be read", self.name))),
        }
    }

    fn value(&self, bytes: &[u8]) -> Result<V> {
        serde_json::from_slice(bytes).map_err(|e| Error::internal(format!("table {}: {e}", self.name)))
    }
}

/// A key as it is stored: ordered, self-delimiting.
pub trait Key: Sized + KeyFor<Self> {
    /// Reads one key from the front of `input`; `None` when it is not one.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

/// Something that names a key of type `K` (the key itself, or its borrowed form).
pub trait KeyFor<K> {
    /// Appends the ordered form.
    fn encode(&self, out: &mut Vec<u8>);

    /// The ordered form.
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.encode(&mut out);
        out
    }
}

/// Something that names the beginning of keys of type `K`: `()` for all, `(first,)` or `(first, second)`.
pub trait PrefixOf<K> {
    /// The ordered form of the beginning.
    fn bytes(&self) -> Vec<u8>;
}

impl<K> PrefixOf<K> for () {
    fn bytes(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl<A: KeyFor<KA>, KA, KB> PrefixOf<(KA, KB)> for (A,) {
    fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }
}

impl<A: KeyFor<KA>, KA, KB, KC> PrefixOf<(KA, KB, KC)> for (A,) {
    fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }
}

impl<A: KeyFor<KA>, B: KeyFor<KB>, KA, KB, KC> PrefixOf<(KA, KB, KC)> for (A, B) {
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.0.bytes();
        self.1.encode(&mut out);
        out
    }
}

impl<K, T: KeyFor<K> + ?Sized> KeyFor<K> for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl KeyFor<String> for str {
    fn encode(&self, out: &mut Vec<u8>) {
        for &byte in self.as_bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(0xFF);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }
}

impl KeyFor<String> for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Key for String {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            if byte != 0 {
                text.push(byte);
                continue;
            }
            let (&mark, rest) = input.split_first()?;
            *input = rest;
            match mark {
                0 => return String::from_utf8(text).ok(),
                0xFF => text.push(0),
                _ => return None,
            }
        }
    }
}

/// A number that sorts from high to low, so that the first page of a trail is its newest part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Newest(pub u64);

/// Keys of a fixed width: the bytes themselves.
macro_rules! fixed_key {
    ($type:ty, $width:literal, $to:expr, $from:expr) => {
        impl KeyFor<$type> for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> [u8; $width] = $to;
                out.extend_from_slice(&to(self));
            }
        }

        impl Key for $type {
            fn decode(input: &mut &[u8]) -> Option<Self> {
                let (head, rest) = input.split_first_chunk::<$width>()?;
                *input = rest;
                let from: fn([u8; $width]) -> $type = $from;
                Some(from(*head))
            }
        }
    };
}

fixed_key!(u64, 8, |n| n.to_be_bytes(), u64::from_be_bytes);
fixed_key!(u32, 4, |n| n.to_be_bytes(), u32::from_be_bytes);
fixed_key!(Newest, 8, |n| (!n.0).to_be_bytes(), |bytes| Newest(!u64::from_be_bytes(bytes)));
fixed_key!(Digest, 32, |d| d.0, Digest);
fixed_key!(ObjectId, 12, |id| id.0, ObjectId);
fixed_key!(uuid::Uuid, 16, |id| *id.as_bytes(), uuid::Uuid::from_bytes);

impl<A, B, KA, KB> KeyFor<(KA, KB)> for (A, B)
where
    A: KeyFor<KA>,
    B: KeyFor<KB>,
{
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<KA: Key, KB: Key> Key for (KA, KB) {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((KA::decode(input)?, KB::decode(input)?))
    }
}

impl<A, B, C, KA, KB, KC> KeyFor<(KA, KB, KC)> for (A, B, C)
where
    A: KeyFor<KA>,
    B: KeyFor<KB>,
    C: KeyFor<KC>,
{
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }
}

impl<KA: Key, KB: Key, KC: Key> Key for (KA, KB, KC) {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((KA::decode(input)?, KB::decode(input)?, KC::decode(input)?))
    }
}

/// Reading, the same in a read and in a write transaction. Used through [`Table`].
pub trait Read {
    /// The bytes under `key`.
    fn get_raw(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Rows whose key begins with `prefix`, in order, after `after`, at most `limit`.
    fn page_raw(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>>;
    /// The last row whose key begins with `prefix`.
    fn last_raw(&self, table: &'static str, prefix: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>>;
    /// Number of rows.
    fn len_raw(&self, table: &'static str) -> Result<u64>;
}

/// A consistent view of everything. Keep it short: it holds back every page freed since it began.
pub struct ReadTx {
    pub(super) tx: redb::ReadTransaction,
}

/// What the committer thread gives a closure: reads see this batch's own writes.
pub struct WriteTx<'a> {
    tx: &'a redb::WriteTransaction,
    wrote: Cell<bool>,
    after: RefCell<Vec<AfterCommit>>,
}

/// Runs on the committer thread once the commit is durable and before its callers are answered; must be quick.
pub type AfterCommit = Box<dyn FnOnce() + Send>;

impl<'a> WriteTx<'a> {
    pub(super) fn new(tx: &'a redb::WriteTransaction) -> Self {
        WriteTx { tx, wrote: Cell::new(false), after: RefCell::new(Vec::new()) }
    }

    /// Has `action` run once this transaction is durable; dropped when it is not.
    pub fn after_commit(&self, action: impl FnOnce() + Send + 'static) {
        self.after.borrow_mut().push(Box::new(action));
    }

    /// Whether anything was written: an error after that spoils the batch it ran in.
    pub(super) fn wrote(&self) -> bool {
        self.wrote.get()
    }

    /// Counts as written: the closure may have stopped anywhere.
    pub(super) fn spoil(&self) {
        self.wrote.set(true);
    }

    pub(super) fn take_after_commit(&self) -> Vec<AfterCommit> {
        self.after.take()
    }

    fn put_raw(&self, table: &'static str, key: &[u8], value: &[u8]) -> Result<()> {
        self.wrote.set(true);
        let mut table = self.tx.open_table(Raw::new(table)).map_err(fault::database)?;
        table.insert(key, value).map_err(fault::database)?;
        Ok(())
    }

    fn remove_raw(&self, table: &'static str, key: &[u8]) -> Result<bool> {
        self.wrote.set(true);
        let mut table = self.tx.open_table(Raw::new(table)).map_err(fault::database)?;
        let old = table.remove(key).map_err(fault::database)?;
        Ok(old.is_some())
    }
}

impl Read for ReadTx {
    fn get_raw(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.tx.open_table(Raw::new(table)) {
            Ok(table) => get(&table, key),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(fault::database(e)),
        }
    }

    fn page_raw(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self.tx.open_table(Raw::new(table)) {
            Ok(table) => page(&table, prefix, after, limit),
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(e) => Err(fault::database(e)),
        }
    }

    fn last_raw(&self, table: &'static str, prefix: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        match self.tx.open_table(Raw::new(table)) {
            Ok(table) => last(&table, prefix),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(fault::database(e)),
        }
    }

    fn len_raw(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        match self.tx.open_table(Raw::new(table)) {
            Ok(table) => table.len().map_err(fault::database),
            Err(TableError::TableDoesNotExist(_)) => Ok(0),
            Err(e) => Err(fault::database(e)),
        }
    }
}

impl Read for WriteTx<'_> {
    fn get_raw(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.tx.open_table(Raw::new(table)).map_err(fault::database)?, key)
    }

    fn page_raw(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        page(&self.tx.open_table(Raw::new(table)).map_err(fault::database)?, prefix, after, limit)
    }

    fn last_raw(&self, table: &'static str, prefix: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        last(&self.tx.open_table(Raw::new(table)).map_err(fault::database)?, prefix)
    }

    fn len_raw(&self, table: &'static str) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.tx.open_table(Raw::new(table)).map_err(fault::database)?.len().map_err(fault::database)
    }
}

type Row = (Vec<u8>, Vec<u8>);

fn get(table: &impl ReadableTable<&'static [u8], &'static [u8]>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(table.get(key).map_err(fault::database)?.map(|value| value.value().to_vec()))
}

fn page(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Row>> {
    use std::ops::Bound;
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut rows = Vec::new();
    for row in table.range::<&[u8]>((start, Bound::Unbounded)).map_err(fault::database)? {
        let (key, value) = row.map_err(fault::database)?;
        if rows.len() == limit || !key.value().starts_with(prefix) {
            break;
        }
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(rows)
}

fn last(table: &impl ReadableTable<&'static [u8], &'static [u8]>, prefix: &[u8]) -> Result<Option<Row>> {
    use std::ops::Bound;
    // The first key that no longer begins with the prefix: its last byte below FF raised by one.
    let end = prefix.iter().rposition(|&byte| byte != 0xFF).map(|at| {
        let mut end = prefix[..=at].to_vec();
        end[at] += 1;
        end
    });
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut range = table.range::<&[u8]>((Bound::Included(prefix), end)).map_err(fault::database)?;
    match range.next_back() {
        None => Ok(None),
        Some(row) => {
            let (key, value) = row.map_err(fault::database)?;
            Ok(Some((key.value().to_vec(), value.value().to_vec())))
        }
    }
}

/// Runs `f` in a transaction on a database in memory: what the tests of records need.
#[cfg(test)]
pub(crate) fn scratch<T>(f: impl FnOnce(&WriteTx) -> T) -> T {
    let backend = redb::backends::InMemoryBackend::new();
    let database = redb::Database::builder().create_with_backend(backend).expect("a database in memory");
    let tx = database.begin_write().expect("the only writer");
    f(&WriteTx::new(&tx))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Table<(String, String), u32> = Table::new("test.names");

    fn database() -> redb::Database {
        redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap()
    }

    #[test]
    fn pairs_stay_apart_and_in_order() {
        let database = database();
        let tx = database.begin_write().unwrap();
        let write = WriteTx::new(&tx);
        let rows = [("x", "y/z"), ("x/y", "z"), ("x\0", "a"), ("x", "\0"), ("x", ""), ("größe", "1")];
        for (number, row) in rows.iter().enumerate() {
            NAMES.put(&write, *row, &(number as u32)).unwrap();
        }
        let keys = |rows: Vec<((String, String), u32)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let mut sorted: Vec<(String, String)> = rows.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        sorted.sort();
        assert_eq!(keys(NAMES.all(&write, ()).unwrap()), sorted);
        let x = keys(NAMES.all(&write, ("x",)).unwrap());
        assert!(x.iter().all(|(first, _)| first == "x") && x.len() == 3);
        let rest = NAMES.page(&write, ("x",), Some(&x[0]), 1).unwrap();
        assert_eq!(keys(rest), x[1..2]);
        assert_eq!(NAMES.last(&write, ("x",)).unwrap().unwrap().0, x[2]);
        assert!(NAMES.remove(&write, ("x", "")).unwrap());
        assert!(!NAMES.remove(&write, ("x", "")).unwrap());
        assert_eq!(NAMES.get(&write, ("x/y", "z")).unwrap(), Some(1));
    }

    #[test]
    fn a_missing_table_reads_as_empty() {
        let database = database();
        let read = ReadTx { tx: redb::ReadableDatabase::begin_read(&database).unwrap() };
        assert_eq!(NAMES.get(&read, ("a", "b")).unwrap(), None);
        assert!(NAMES.all(&read, ()).unwrap().is_empty());
        assert_eq!(NAMES.len(&read).unwrap(), 0);
    }
}
