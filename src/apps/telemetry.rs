//! Counts the checks of installed clients in memory and writes them in the background (`faynosync.md` §10).
//!
//! A check never waits for a disk. Counters gather for two seconds at most and are written in one commit, which also
//! raises the number of the last flush; a reader compares that number with what it saw in memory, so that nothing is
//! counted twice and nothing is missed while a flush is under way.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::apps::devices::{self, List, Report, Reports, Short, State as OfDevice};
use crate::clock::{Clock, Time};
use crate::error::{Error, Result};
use crate::http::Head;
use crate::ids::ObjectId;
use crate::store::Store;
use crate::store::table::{Table, WriteTx};

/// (day, tenant, digest of what was asked) → how often.
const REQUESTS: Table<(u32, Uuid, Short), Asked> = Table::new("apps.day");
/// The number of the last flush.
const FLUSHED: Table<String, u64> = Table::new("apps.flush");

/// How long counters stay in memory only.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Counters in memory that cause a flush at once.
const FLUSH_AT: usize = 20_000;
/// Counters in memory beyond which nothing new is counted: the disk is away.
const MAX_PENDING: usize = 200_000;
/// Days kept beside today.
pub const KEPT_DAYS: u32 = 30;
/// Rows removed with one flush.
const EXPIRED_AT_ONCE: usize = 2000;
const SECONDS_PER_DAY: i64 = 24 * 3600;
/// How long nothing expires after the clock was in doubt.
const PERIOD: Duration = Duration::from_secs(KEPT_DAYS as u64 * 24 * 3600);

/// What one question tells telemetry, whoever asks it: made once, counted often.
#[derive(Clone, Debug)]
pub struct Seen {
    tenant: Uuid,
    app: ObjectId,
    id: Short,
    place: u64,
    labels: Labels,
    outdated: bool,
}

/// What a check was about, by the names of that time; empty where unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Labels {
    /// The app.
    pub app: String,
    /// The channel.
    #[serde(default)]
    pub channel: String,
    /// The platform.
    #[serde(default)]
    pub platform: String,
    /// The architecture.
    #[serde(default)]
    pub arch: String,
    /// The client's version.
    pub version: String,
}

impl Seen {
    /// A check of `app` that found the client `outdated` or not.
    pub fn new(tenant: Uuid, app: ObjectId, labels: Labels, outdated: bool) -> Self {
        let Labels { app: name, channel, platform, arch, version } = &labels;
        // None of these holds a control character.
        let id = Short::of([name, channel, platform, arch, version].map(String::as_str).join("\0").as_bytes());
        let place = Short::of([name, channel, platform, arch].map(String::as_str).join("\0").as_bytes()).number();
        Seen { tenant, app, id, place, labels, outdated }
    }
}

/// How often a question was asked on a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// What was asked.
    #[serde(flatten)]
    pub labels: Labels,
    /// How often.
    pub requests: u64,
}

/// A device, as a keyed hash, and the app it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DeviceKey {
    device: Short,
    app: ObjectId,
}

/// The day a time falls on, counted from 1970 UTC; times before that count as the first day.
pub fn day_of(time: Time) -> u32 {
    u32::try_from(time.seconds().div_euclid(SECONDS_PER_DAY)).unwrap_or(0)
}

/// The device a request names: 1–256 printable bytes, anything else is no device.
pub fn device(head: &Head) -> Option<&[u8]> {
    let id = head.headers.get("x-device-id")?;
    let good = (1..=256).contains(&id.len()) && id.iter().all(|byte| (0x20..0x7f).contains(byte));
    good.then_some(id)
}

type RequestsOf = HashMap<(u32, Uuid, Short), (Arc<Seen>, u64)>;
type DevicesOf = HashMap<(u32, Uuid, DeviceKey), (Arc<Seen>, Time)>;

/// Counters that are not in the database yet.
#[derive(Clone, Default)]
struct Counts {
    requests: RequestsOf,
    devices: DevicesOf,
}

impl Counts {
    fn len(&self) -> usize {
        self.requests.len() + self.devices.len()
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.devices.is_empty()
    }

    /// Those of one tenant.
    fn of(&self, tenant: Uuid) -> Counts {
        let requests = self.requests.iter().filter(|((_, of, _), _)| *of == tenant);
        let devices = self.devices.iter().filter(|((_, of, _), _)| *of == tenant);
        Counts {
            requests: requests.map(|(key, value)| (*key, value.clone())).collect(),
            devices: devices.map(|(key, value)| (*key, value.clone())).collect(),
        }
    }

    /// Adds counters that are older than these.
    fn add_older(&mut self, older: &Counts) {
        for (key, (seen, count)) in &older.requests {
            self.requests.entry(*key).or_insert_with(|| (seen.clone(), 0)).1 += count;
        }
        for (key, last) in &older.devices {
            self.devices.entry(*key).or_insert_with(|| last.clone());
        }
    }
}

#[derive(Default)]
struct State {
    pending: Counts,
    /// What is being written, and the number its commit will leave.
    flushing: Option<(u64, Arc<Counts>)>,
    /// The number of the last flush begun.
    number: u64,
    stopping: bool,
    /// Set when `pending` must not wait for its two seconds.
    hurry: bool,
}

struct Shared {
    store: Arc<Store>,
    clock: Arc<Clock>,
    key: [u8; 32],
    state: Mutex<State>,
    work: Condvar,
}

/// The counters and the thread that writes them.
pub struct Telemetry {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Telemetry {
    /// Starts the thread; `key` hides the ids of devices.
    pub(super) fn open(store: Arc<Store>, clock: Arc<Clock>, key: [u8; 32]) -> Result<Telemetry> {
        let (number, newest) = store.read(|tx| Ok((FLUSHED.get(tx, "number")?, REQUESTS.last(tx, ())?)))?;
        let (number, newest) = (number.unwrap_or(0), newest.map(|((day, ..), _)| day));
        let expiry = Expiry::new((Instant::now(), clock.now()), newest);
        let state = Mutex::new(State { number, ..State::default() });
        let shared = Arc::new(Shared { store, clock, key, state, work: Condvar::new() });
        let running = shared.clone();
        let thread = thread::Builder::new().name("telemetry".into()).stack_size(512 << 10);
        let thread = thread.spawn(move || running.run(expiry)).map_err(Error::internal)?;
        Ok(Telemetry { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Counts one check by `device`.
    pub fn count(&self, seen: &Arc<Seen>, device: &[u8]) {
        let Some(device) = self.shared.hide(seen.tenant, device) else { return };
        let now = self.shared.clock.now();
        let day = day_of(now);
        let mut state = self.shared.lock();
        if state.pending.len() >= MAX_PENDING {
            return;
        }
        let idle = state.pending.is_empty();
        let requests = &mut state.pending.requests;
        requests.entry((day, seen.tenant, seen.id)).or_insert_with(|| (seen.clone(), 0)).1 += 1;
        let device = DeviceKey { device, app: seen.app };
        state.pending.devices.insert((day, seen.tenant, device), (seen.clone(), now));
        let full = state.pending.len() >= FLUSH_AT && !state.hurry;
        state.hurry |= full;
        drop(state);
        if idle || full {
            self.shared.work.notify_one();
        }
    }

    /// Tells `sink` everything counted for a tenant from `first` to `last`, what is only in memory included: first how
    /// often what was asked, then which groups of devices there are.
    pub(super) fn collect(&self, tenant: Uuid, first: u32, last: u32, sink: &mut dyn Sink) -> Result<()> {
        let (flushing, pending, next) = {
            let state = self.shared.lock();
            (state.flushing.clone(), state.pending.of(tenant), state.number + 1)
        };
        self.shared.store.read(|tx| {
            let flushed = FLUSHED.get(tx, "number")?.unwrap_or(0);
            // Days that are longer ago than anything kept cost one look each, and there are few of them.
            for day in first..=last {
                for ((_, _, id), asked) in REQUESTS.all(tx, (day, tenant))? {
                    sink.requests(day, id.number(), &asked.labels, asked.requests);
                }
            }
            let mut later = Reports::new();
            let flushing = flushing.filter(|(number, _)| *number > flushed).map(|(_, counts)| counts);
            let pending = (next > flushed).then_some(&pending);
            for counts in flushing.as_deref().into_iter().chain(pending) {
                counts.tell(tenant, first, last, sink);
                counts.report(&mut later);
            }
            devices::in_order(&mut later);
            devices::collect(tx, tenant, (first, last), &later, &mut |list, states, clients| {
                sink.clients(list, states, clients);
            })
        })
    }

    /// Writes what is in memory and ends the thread.
    pub fn stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the telemetry thread panicked");
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes what was counted.
pub trait Sink {
    /// So many requests of that kind on that day; `id` stands for the labels.
    fn requests(&mut self, day: u32, id: u64, labels: &Labels, requests: u64);
    /// So many devices more, or fewer, with these states. All labels they stand for were told before.
    fn clients(&mut self, list: List, states: &[OfDevice], clients: i64);
}

impl Counts {
    fn tell(&self, tenant: Uuid, first: u32, last: u32, sink: &mut dyn Sink) {
        for ((day, of, id), (seen, count)) in &self.requests {
            if *of == tenant && (first..=last).contains(day) {
                sink.requests(*day, id.number(), &seen.labels, *count);
            }
        }
    }

    /// Adds what devices said to `reports`.
    fn report(&self, reports: &mut Reports) {
        for ((day, tenant, key), (seen, at)) in &self.devices {
            let (app, place, labels) = (key.app, seen.place, seen.id.number());
            let report = Report { day: *day, at: *at, app, place, labels, outdated: seen.outdated };
            reports.entry((*tenant, key.device)).or_default().push(report);
        }
    }

    /// Adds these counters to the database.
    fn write(&self, tx: &WriteTx<'_>, expired: Option<u32>) -> Result<()> {
        for ((day, tenant, id), (seen, count)) in &self.requests {
            let old = REQUESTS.get(tx, (*day, *tenant, *id))?.map_or(0, |asked| asked.requests);
            let asked = Asked { labels: seen.labels.clone(), requests: old.saturating_add(*count) };
            REQUESTS.put(tx, (*day, *tenant, *id), &asked)?;
        }
        let mut reports = Reports::new();
        self.report(&mut reports);
        devices::in_order(&mut reports);
        devices::write(tx, &reports, expired)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hide(&self, tenant: Uuid, device: &[u8]) -> Option<Short> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(tenant.as_bytes());
        mac.update(device);
        mac.finalize().into_bytes().split_first_chunk().map(|(head, _)| Short(*head))
    }

    fn run(&self, mut expiry: Expiry) {
        loop {
            let mut state = self.lock();
            while state.pending.is_empty() && !state.stopping {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let until = Instant::now() + FLUSH_EVERY;
            while !state.stopping && !state.hurry {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            let stopping = state.stopping;
            drop(state);
            let flushed = self.flush(expiry.before(self.clock.now()));
            if let Err(error) = &flushed {
                log::warn!("counters were not written and stay in memory: {error:?}");
            }
            if stopping {
                return;
            }
        }
    }

    /// Writes everything pending, and removes some rows of days before `expired`.
    fn flush(&self, expired: Option<u32>) -> Result<()> {
        let (number, counts) = {
            let mut state = self.lock();
            state.hurry = false;
            if state.pending.is_empty() {
                return Ok(());
            }
            state.number += 1;
            let counts = Arc::new(std::mem::take(&mut state.pending));
            state.flushing = Some((state.number, counts.clone()));
            (state.number, counts)
        };
        let writing = counts.clone();
        let outcome = self.store.commit(move |tx| {
            writing.write(tx, expired)?;
            FLUSHED.put(tx, "number", &number)?;
            match expired {
                Some(day) => expire(tx, day),
                None => Ok(()),
            }
        });
        let mut state = self.lock();
        state.flushing = None;
        if outcome.is_err() {
            state.pending.add_older(&counts);
        }
        outcome
    }
}

/// Removes some rows of days before `day`.
fn expire(tx: &WriteTx<'_>, day: u32) -> Result<()> {
    for (key, _) in REQUESTS.page(tx, (), None, EXPIRED_AT_ONCE)? {
        if key.0 >= day {
            break;
        }
        REQUESTS.remove(tx, key)?;
    }
    devices::expire(tx, day, EXPIRED_AT_ONCE)
}

/// Decides what is old. Nothing is when the clock has jumped by more than a day since it was last looked at: then a
/// whole period must pass first (`reliability.md` §10).
struct Expiry {
    looked: (Instant, Time),
    wait_until: Option<Instant>,
}

impl Expiry {
    /// At a start; `newest` is the last day anything was counted. When all of it would be old, the clock is doubted.
    fn new(started: (Instant, Time), newest: Option<u32>) -> Self {
        let all_old = newest.is_some_and(|newest| day_of(started.1) > newest.saturating_add(KEPT_DAYS));
        Expiry { looked: started, wait_until: all_old.then(|| started.0 + PERIOD) }
    }

    fn before(&mut self, now: Time) -> Option<u32> {
        self.before_at(Instant::now(), now)
    }

    fn before_at(&mut self, instant: Instant, now: Time) -> Option<u32> {
        let (looked, then) = self.looked;
        let passed = i64::try_from(instant.saturating_duration_since(looked).as_secs()).unwrap_or(i64::MAX);
        let jump = now.seconds().saturating_sub(then.seconds()).saturating_sub(passed);
        self.looked = (instant, now);
        if jump.abs() > SECONDS_PER_DAY {
            self.wait_until = Some(instant + PERIOD);
        }
        match self.wait_until {
            Some(until) if instant < until => None,
            _ => Some(day_of(now).saturating_sub(KEPT_DAYS)),
        }
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
