//! What is noted of clients in passing: when each was last seen, and what they download. Kept in memory and written
//! every few seconds, so that no answer waits for the disk (`winget.md` A2, A8).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::error::{Kind, Result};
use crate::identity::clients;
use crate::store::Store;
use crate::store::table::{Newest, Read, Table, WriteTx};

/// ((tenant, client), time, number in it) → line, newest first.
const LINES: Table<((Uuid, String), Newest, Newest), Line> = Table::new("winget.log");
/// (tenant, client) → number of its lines.
const COUNTS: Table<(Uuid, String), u64> = Table::new("winget.log_count");

/// The log of callers who are no client.
pub const EXTERN: &str = "EXTERN";

/// Lines one client's log keeps.
const KEPT: u64 = 2000;
/// How long notes may wait before they are written.
const PERIOD: Duration = Duration::from_secs(2);
/// Lines that may wait; what comes while the disk stays away is dropped.
const WAITING: usize = 20_000;
/// Within this time requests for parts of a file are one download.
const ONE_DOWNLOAD: Duration = Duration::from_secs(30);
/// Downloads that are remembered as going on.
const REMEMBERED: usize = 20_000;

/// A line of a client's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What kind of line.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// When.
    pub at: Time,
}

/// A download as it is noted.
#[derive(Clone, Debug)]
pub struct Download {
    /// The tenant.
    pub tenant: Uuid,
    /// The client; none for others.
    pub client: Option<Uuid>,
    /// Where it goes.
    pub address: IpAddr,
    /// The installer.
    pub uid: Uuid,
    /// Whether only a part of it was asked for.
    pub part: bool,
    /// What is written down.
    pub message: String,
    /// When.
    pub at: Time,
}

type Watched = (Uuid, Option<Uuid>, Uuid, IpAddr);

/// A client at its last request: address, time, and the program it said it was.
type Seen = (IpAddr, Time, Option<i64>);

#[derive(Default)]
struct Pending {
    seen: HashMap<(Uuid, Uuid), Seen>,
    lines: Vec<(Uuid, String, Line)>,
    going_on: HashMap<Watched, Instant>,
    stopped: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.lines.is_empty()
    }
}

/// The notes that wait, and who writes them.
pub struct Notes {
    shared: Arc<Shared>,
    store: Arc<Store>,
    /// Keeps two flushes apart.
    flushing: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    /// Empty, without its thread.
    pub fn new(store: Arc<Store>) -> Notes {
        Notes { shared: Arc::default(), store, flushing: Mutex::default(), thread: Mutex::default() }
    }

    /// Begins to write what waits every few seconds.
    ///
    /// # Errors
    /// `Internal` when no thread can be had.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        let (notes, shared) = (Arc::downgrade(self), self.shared.clone());
        let work = move || {
            while shared.wait() {
                let Some(notes) = notes.upgrade() else { return };
                if let Err(error) = notes.flush() {
                    log::warn!("notes on winget clients were not written, another try follows: {error:?}");
                }
            }
        };
        let thread = thread::Builder::new().name("winget-notes".into()).stack_size(256 << 10).spawn(work);
        *lock(&self.thread) = Some(thread.map_err(crate::error::Error::internal)?);
        Ok(())
    }

    /// Ends the thread and writes what still waits.
    pub fn stop(&self) {
        lock(&self.shared.pending).stopped = true;
        self.shared.wake.notify_all();
        if let Some(thread) = lock(&self.thread).take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            log::error!("the thread that notes winget clients panicked");
        }
        if let Err(error) = self.flush() {
            log::warn!("notes on winget clients were not written: {error:?}");
        }
    }

    /// A client was here; `program` when it said what it is.
    pub fn seen(&self, tenant: Uuid, client: Uuid, address: IpAddr, program: Option<i64>, now: Time) {
        let mut pending = lock(&self.shared.pending);
        let known = pending.seen.get(&(tenant, client)).and_then(|(.., program)| *program);
        pending.seen.insert((tenant, client), (address, now, program.or(known)));
        drop(pending);
        self.shared.wake.notify_one();
    }

    /// A download has begun, or goes on.
    pub fn download(&self, download: Download) {
        let Download { tenant, client, address, uid, part, message, at } = download;
        let mut pending = lock(&self.shared.pending);
        let now = Instant::now();
        if pending.going_on.len() >= REMEMBERED {
            pending.going_on.retain(|_, last| now.duration_since(*last) < ONE_DOWNLOAD);
            if pending.going_on.len() >= REMEMBERED {
                pending.going_on.clear();
            }
        }
        let last = pending.going_on.insert((tenant, client, uid, address), now);
        let same = part && last.is_some_and(|last| now.duration_since(last) < ONE_DOWNLOAD);
        if same || pending.lines.len() >= WAITING {
            return;
        }
        let client = client.map_or(EXTERN.to_owned(), |client| client.to_string());
        pending.lines.push((tenant, client, Line { kind: "INSTALLATION/UPDATE".into(), message, at }));
        drop(pending);
        self.shared.wake.notify_one();
    }

    /// Writes what waits. On an error it goes on waiting.
    pub fn flush(&self) -> Result<()> {
        let _alone = lock(&self.flushing);
        let (seen, lines) = {
            let mut pending = lock(&self.shared.pending);
            if pending.is_empty() {
                return Ok(());
            }
            (Arc::new(std::mem::take(&mut pending.seen)), Arc::new(std::mem::take(&mut pending.lines)))
        };
        let (clients_seen, written) = (seen.clone(), lines.clone());
        let committed = self.store.commit(move |tx| {
            for ((tenant, client), seen) in clients_seen.iter() {
                write_seen(tx, *tenant, *client, *seen)?;
            }
            written.iter().try_for_each(|(tenant, client, line)| write_line(tx, *tenant, client, line))
        });
        if committed.is_err() {
            let mut pending = lock(&self.shared.pending);
            for (key, old) in seen.iter() {
                pending.seen.entry(*key).or_insert(*old);
            }
            let newer = std::mem::take(&mut pending.lines);
            pending.lines = lines.iter().cloned().chain(newer).take(WAITING).collect();
        }
        committed
    }
}

impl Shared {
    /// Waits until something is pending and the period is over; no when it is time to stop.
    fn wait(&self) -> bool {
        let mut pending = lock(&self.pending);
        while pending.is_empty() && !pending.stopped {
            pending = self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + PERIOD;
        while !pending.stopped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            pending = self.wake.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

fn write_seen(tx: &WriteTx, tenant: Uuid, client: Uuid, (address, at, program): Seen) -> Result<()> {
    let Some(known) = clients::get(tx, tenant, client)? else { return Ok(()) };
    let program = program.unwrap_or(known.program);
    let change = clients::Change { seen: Some((address, at, program)), ..clients::Change::default() };
    match clients::update(tx, tenant, client, &change) {
        Err(error) if error.kind != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_line(tx: &WriteTx, tenant: Uuid, client: &str, line: &Line) -> Result<()> {
    // A client that was deleted meanwhile has no log any more.
    if let Ok(id) = client.parse::<Uuid>()
        && clients::get(tx, tenant, id)?.is_none()
    {
        return Ok(());
    }
    let of_client = (tenant, client.to_owned());
    let time = Newest(line.at.0.cast_unsigned() ^ (1 << 63));
    let number = LINES.page(tx, (&of_client, time), None, 1)?.pop().map_or(0, |((.., last), _)| last.0 + 1);
    LINES.put(tx, (&of_client, time, Newest(number)), line)?;
    let count = COUNTS.get(tx, &of_client)?.unwrap_or(0) + 1;
    if count > KEPT
        && let Some((oldest, _)) = LINES.last(tx, (&of_client,))?
    {
        LINES.remove(tx, oldest)?;
    }
    COUNTS.put(tx, &of_client, &count.min(KEPT))
}

/// The lines of a client's log, newest first.
pub fn lines(tx: &impl Read, tenant: Uuid, client: &str) -> Result<Vec<Line>> {
    let rows = LINES.all(tx, (&(tenant, client.to_owned()),))?;
    Ok(rows.into_iter().map(|(_, line)| line).collect())
}

/// Empties a client's log.
pub fn clear(tx: &WriteTx, tenant: Uuid, client: &str) -> Result<()> {
    let of_client = (tenant, client.to_owned());
    for (key, _) in LINES.all(tx, (&of_client,))? {
        LINES.remove(tx, key)?;
    }
    COUNTS.remove(tx, &of_client)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    fn download(uid: u8, part: bool, at: i64) -> Download {
        Download {
            tenant: Uuid::nil(),
            client: None,
            address: IpAddr::from([127, 0, 0, 1]),
            uid: Uuid::from_bytes([uid; 16]),
            part,
            message: format!("{uid} at {at}"),
            at: Time(at),
        }
    }

    #[test]
    fn parts_of_one_download_are_one_line_and_logs_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let notes = Notes::new(store.clone());
        for (uid, part, at) in [(1, false, 1), (1, true, 2), (1, true, 3), (2, true, 3), (1, false, 4), (2, true, 5)] {
            notes.download(download(uid, part, at));
        }
        notes.flush().unwrap();
        let told = || store.read(|tx| lines(tx, Uuid::nil(), EXTERN)).unwrap();
        let messages: Vec<String> = told().into_iter().map(|line| line.message).collect();
        assert_eq!(messages, ["1 at 4", "2 at 3", "1 at 1"]);
        for at in 0..i64::try_from(KEPT).unwrap() + 5 {
            notes.download(download(3, false, 10 + at));
        }
        notes.stop();
        assert_eq!(told().len() as u64, KEPT);
        store.commit(|tx| clear(tx, Uuid::nil(), EXTERN)).unwrap();
        assert!(told().is_empty());
    }
}
