//! What is kept of each device that asks for updates, and how many devices are alike, so that an answer costs what it
//! shows and not what there is (`faynosync.md` §10).
//!
//! A device has one row: the last state of each app on the days it was last seen, and its newest state of each *place*
//! (app, channel, platform and architecture by name) before. From the row follow two lists, newest state first: what it
//! said on a day, and its newest state of each place. Devices with the same list form a group, and only groups are
//! counted: whatever is filtered, a group counts by its first state that fits, all of its devices at once. A row and the
//! groups its device leaves and joins change in one transaction, so the counts never drift.
//!
//! Days are exact as long as the clock does not go back by more than one day.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{Digest, ObjectId};
use crate::store::table::{Key, KeyFor, Read, Table, WriteTx};

/// (tenant, device) → what is kept of it.
const DEVICES: Table<(Uuid, Short), Device> = Table::new("apps.client");
/// (day it was last seen, tenant, device) → –
const SEEN: Table<(u32, Uuid, Short), ()> = Table::new("apps.client_seen");
/// (day, tenant) → devices seen, so that strangers cannot fill the disk.
const TOTALS: Table<(u32, Uuid), u64> = Table::new("apps.client_count");
/// (day, tenant, digest of the states) → devices with these states on that day.
const OF_DAY: Table<(u32, Uuid, Short), Group> = Table::new("apps.client_day");
/// (tenant, digest of the states) → devices with these newest states.
const NEWEST: Table<(Uuid, Short), Group> = Table::new("apps.client_group");

/// Devices of one tenant and day.
const MAX_DEVICES: u64 = 500_000;
/// States kept of one device; the oldest go first.
const MAX_REPORTS: usize = 1000;
/// Groups read at a time.
const PAGE: usize = 1000;

/// Half a digest: enough to tell questions and devices apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Short(pub [u8; 16]);

impl Short {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Short {
        let mut short = [0; 16];
        short.copy_from_slice(&Digest::of(bytes).0[..16]);
        Short(short)
    }

    /// Its first half, as a number.
    pub fn number(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl KeyFor<Short> for Short {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Key for Short {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let (head, rest) = input.split_first_chunk()?;
        *input = rest;
        Some(Short(*head))
    }
}

/// What a device said of an app on a day; of several times the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The day, counted from 1970.
    #[serde(rename = "d")]
    pub day: u32,
    /// When.
    #[serde(rename = "t")]
    pub at: Time,
    /// The app.
    #[serde(rename = "a")]
    pub app: ObjectId,
    /// Stands for the names of app, channel, platform and architecture.
    #[serde(rename = "p")]
    pub place: u64,
    /// Stands for all labels of what was asked, the version included.
    #[serde(rename = "l")]
    pub labels: u64,
    /// Whether there was an update for it.
    #[serde(rename = "o")]
    pub outdated: bool,
}

/// One state of all devices of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    /// The day, counted from 1970.
    #[serde(rename = "d")]
    pub day: u32,
    /// Stands for the labels of what was asked on that day.
    #[serde(rename = "l")]
    pub labels: u64,
    /// Whether there was an update.
    #[serde(rename = "o")]
    pub outdated: bool,
}

/// Which list of a device: what it said on a day, or its newest states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// The last state of each app on this day.
    OfDay(u32),
    /// The newest state of each place.
    Newest,
}

/// Devices with the same list of states.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    clients: u64,
    states: Vec<State>,
}

/// What is kept of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Device {
    /// The day of the last report.
    day: u32,
    /// Newest first.
    reports: Vec<Report>,
}

impl Device {
    fn state(report: &Report) -> State {
        State { day: report.day, labels: report.labels, outdated: report.outdated }
    }

    /// The last state of each app on `day`, newest first.
    fn of_day(&self, day: u32) -> Vec<State> {
        self.reports.iter().filter(|report| report.day == day).map(Device::state).collect()
    }

    /// The newest state of each place, newest first; without days that a clock which ran ahead has left.
    fn newest(&self) -> Vec<State> {
        let mut places = HashSet::new();
        let past = self.reports.iter().filter(|report| report.day <= self.day);
        past.filter(|report| places.insert(report.place)).map(Device::state).collect()
    }

    /// Takes a report in, and lets go of days before `expired` and of what no list can show any more: a report of today
    /// or yesterday may still be replaced by a later one of its app, and then the one before it counts again.
    fn take(&mut self, report: Report, expired: Option<u32>) {
        // A clock that is put right by more than a day leaves days behind that have not come yet.
        let small_step = report.day.saturating_add(1) >= self.day;
        self.day = if small_step { self.day.max(report.day) } else { report.day };
        self.reports.retain(|known| known.day != report.day || known.app != report.app);
        self.reports.insert(0, report);
        self.reports.sort_by_key(|report| std::cmp::Reverse((report.day, report.at)));
        let (recent, mut places) = (self.day.saturating_sub(1), HashSet::new());
        self.reports.retain(|report| {
            expired.is_none_or(|expired| report.day >= expired) && (report.day >= recent || places.insert(report.place))
        });
        self.reports.truncate(MAX_REPORTS);
    }

    /// Takes `reports` in, which rise by time, and tells which lists the device leaves (-1) and joins (1). Of a day that
    /// `admit` does not let it into, nothing is taken.
    fn follow(
        &mut self,
        reports: &[Report],
        expired: Option<u32>,
        admit: &mut dyn FnMut(u32) -> Result<bool>,
        moved: &mut dyn FnMut(List, Vec<State>, i64),
    ) -> Result<()> {
        let mut change = |list: List, before: Vec<State>, after: Vec<State>| {
            if before == after {
                return;
            }
            for (states, by) in [(before, -1), (after, 1)] {
                if !states.is_empty() {
                    moved(list, states, by);
                }
            }
        };
        let newest = self.newest();
        for of_day in reports.chunk_by(|left, right| left.day == right.day) {
            let Some(day) = of_day.first().map(|report| report.day) else { continue };
            let before = self.of_day(day);
            if before.is_empty() && !admit(day)? {
                continue;
            }
            for report in of_day {
                self.take(*report, expired);
            }
            change(List::OfDay(day), before, self.of_day(day));
        }
        change(List::Newest, newest, self.newest());
        Ok(())
    }
}

/// Reports by device, each device's in the order of time.
pub type Reports = BTreeMap<(Uuid, Short), Vec<Report>>;

/// Brings each device's reports into the order of time.
pub fn in_order(reports: &mut Reports) {
    for of_device in reports.values_mut() {
        of_device.sort_by_key(|report| (report.day, report.at));
    }
}

/// Adds reports to the database; days before `expired` are let go of along the way.
pub fn write(tx: &WriteTx<'_>, reports: &Reports, expired: Option<u32>) -> Result<()> {
    let mut totals: HashMap<(u32, Uuid), u64> = HashMap::new();
    let mut moves = Moves::default();
    for ((tenant, key), of_device) in reports {
        let known = DEVICES.get(tx, (*tenant, *key))?;
        let seen = known.as_ref().map(|device| device.day);
        let mut device = known.unwrap_or_default();
        let mut admit = |day: u32| {
            let total = match totals.get(&(day, *tenant)) {
                Some(total) => *total,
                None => TOTALS.get(tx, (day, *tenant))?.unwrap_or(0),
            };
            if total < MAX_DEVICES {
                totals.insert((day, *tenant), total + 1);
            }
            Ok(total < MAX_DEVICES)
        };
        device.follow(of_device, expired, &mut admit, &mut |list, states, by| moves.add(*tenant, list, states, by))?;
        if device.reports.is_empty() {
            continue;
        }
        if seen != Some(device.day) {
            if let Some(day) = seen {
                SEEN.remove(tx, (day, *tenant, *key))?;
            }
            SEEN.put(tx, (device.day, *tenant, *key), &())?;
        }
        DEVICES.put(tx, (*tenant, *key), &device)?;
    }
    for (key, total) in totals {
        TOTALS.put(tx, key, &total)?;
    }
    moves.write(tx)
}

/// By how much groups grow and shrink.
#[derive(Default)]
struct Moves(HashMap<(Uuid, List, Vec<State>), i64>);

impl Moves {
    fn add(&mut self, tenant: Uuid, list: List, states: Vec<State>, by: i64) {
        *self.0.entry((tenant, list, states)).or_default() += by;
    }

    fn write(self, tx: &WriteTx<'_>) -> Result<()> {
        for ((tenant, list, states), by) in self.0 {
            if by == 0 {
                continue;
            }
            let id = digest(&states);
            let known = match list {
                List::OfDay(day) => OF_DAY.get(tx, (day, tenant, id))?,
                List::Newest => NEWEST.get(tx, (tenant, id))?,
            };
            let clients = known.map_or(0, |group| group.clients).saturating_add_signed(by);
            match (list, clients) {
                (List::OfDay(day), 0) => drop(OF_DAY.remove(tx, (day, tenant, id))?),
                (List::Newest, 0) => drop(NEWEST.remove(tx, (tenant, id))?),
                (List::OfDay(day), _) => OF_DAY.put(tx, (day, tenant, id), &Group { clients, states })?,
                (List::Newest, _) => NEWEST.put(tx, (tenant, id), &Group { clients, states })?,
            }
        }
        Ok(())
    }
}

fn digest(states: &[State]) -> Short {
    let mut bytes = Vec::with_capacity(states.len() * 13);
    for state in states {
        bytes.extend_from_slice(&state.day.to_be_bytes());
        bytes.extend_from_slice(&state.labels.to_be_bytes());
        bytes.push(u8::from(state.outdated));
    }
    Short::of(&bytes)
}

/// Tells `sink` of a tenant's groups: those of each day from `first` to `last`, and over several days those of newest
/// states too. `later` is what the database does not know yet; groups that lose devices by it are told with a negative
/// number.
pub fn collect(
    tx: &impl Read,
    tenant: Uuid,
    (first, last): (u32, u32),
    later: &Reports,
    sink: &mut dyn FnMut(List, &[State], i64),
) -> Result<()> {
    let told = |group: &Group| i64::try_from(group.clients).unwrap_or(i64::MAX);
    for day in first..=last {
        let mut after = None;
        loop {
            let rows = OF_DAY.page(tx, (day, tenant), after.as_ref(), PAGE)?;
            rows.iter().for_each(|(_, group)| sink(List::OfDay(day), &group.states, told(group)));
            match rows.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
    }
    if first != last {
        let mut after = None;
        loop {
            let rows = NEWEST.page(tx, (tenant,), after.as_ref(), PAGE)?;
            rows.iter().for_each(|(_, group)| sink(List::Newest, &group.states, told(group)));
            match rows.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
    }
    let mut wanted = |list: List, states: Vec<State>, by: i64| match list {
        List::OfDay(day) if !(first..=last).contains(&day) => {}
        List::Newest if first == last => {}
        _ => sink(list, &states, by),
    };
    for (key, of_device) in later.range((tenant, Short([0; 16]))..=(tenant, Short([0xFF; 16]))) {
        let mut device = DEVICES.get(tx, *key)?.unwrap_or_default();
        device.follow(of_device, None, &mut |_| Ok(true), &mut wanted)?;
    }
    Ok(())
}

/// Removes up to `limit` rows of each kind that are about days before `day`.
pub fn expire(tx: &WriteTx<'_>, day: u32, limit: usize) -> Result<()> {
    let mut moves = Moves::default();
    for ((seen, tenant, key), ()) in SEEN.page(tx, (), None, limit)? {
        if seen >= day {
            break;
        }
        if let Some(device) = DEVICES.get(tx, (tenant, key))? {
            moves.add(tenant, List::Newest, device.newest(), -1);
        }
        DEVICES.remove(tx, (tenant, key))?;
        SEEN.remove(tx, (seen, tenant, key))?;
    }
    moves.write(tx)?;
    for (key, _) in OF_DAY.page(tx, (), None, limit)? {
        if key.0 >= day {
            break;
        }
        OF_DAY.remove(tx, key)?;
    }
    for (key, _) in TOTALS.page(tx, (), None, limit)? {
        if key.0 >= day {
            break;
        }
        TOTALS.remove(tx, key)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
