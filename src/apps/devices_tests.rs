//! Groups of devices against a plain count of everything every device ever said.

use super::*;
use crate::store::table::scratch;

const TENANT: Uuid = Uuid::from_bytes([1; 16]);
const APPS: u8 = 3;
const PLACES: u64 = 4;

/// Random numbers that are the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A place is an app with a channel; labels are a place with a version.
fn report(day: u32, at: i64, app: u8, channel: u64, version: u64, outdated: bool) -> Report {
    let place = u64::from(app) * PLACES + channel;
    Report { day, at: Time(at), app: ObjectId([app; 12]), place, labels: place * 100 + version, outdated }
}

fn device(number: u64) -> Short {
    Short([u8::try_from(number).unwrap(); 16])
}

/// Clients and how many of them are outdated, by the day and (under `None`) over all days, and by labels.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    clients: BTreeMap<Option<u32>, (i64, i64)>,
    labels: BTreeMap<u64, i64>,
}

impl Counts {
    fn add(&mut self, day: Option<u32>, state: State, clients: i64) {
        let count = self.clients.entry(day).or_default();
        count.0 += clients;
        count.1 += if state.outdated { clients } else { 0 };
        if day.is_none() {
            *self.labels.entry(state.labels).or_default() += clients;
        }
    }

    fn without_zeros(mut self) -> Self {
        self.clients.retain(|_, count| *count != (0, 0));
        self.labels.retain(|_, count| *count != 0);
        self
    }
}

type Filter<'f> = &'f dyn Fn(u64) -> bool;

/// What the tables, and what they do not know yet, say.
fn told(tx: &impl Read, (first, last): (u32, u32), later: &Reports, takes: Filter<'_>) -> Counts {
    let mut counts = Counts::default();
    collect(tx, TENANT, (first, last), later, &mut |list, states, clients| {
        let fits = |state: &&State| (first..=last).contains(&state.day) && takes(state.labels / 100);
        let Some(state) = states.iter().find(fits) else { return };
        match list {
            List::OfDay(day) => counts.add(Some(day), *state, clients),
            List::Newest => counts.add(None, *state, clients),
        }
    })
    .unwrap();
    counts.without_zeros()
}

/// The same from everything that was ever said: of each device, day and app the last.
fn naive(said: &BTreeMap<(u32, u64, u8), Report>, (first, last): (u32, u32), takes: Filter<'_>) -> Counts {
    let mut newest: BTreeMap<(Option<u32>, u64), Report> = BTreeMap::new();
    for ((day, device, _), report) in said {
        if !(first..=last).contains(day) || !takes(report.place) {
            continue;
        }
        let lists = [Some(*day), None];
        for list in &lists[..if first == last { 1 } else { 2 }] {
            let known = newest.entry((*list, *device)).or_insert(*report);
            if (report.day, report.at) > (known.day, known.at) {
                *known = *report;
            }
        }
    }
    let mut counts = Counts::default();
    for ((list, _), report) in newest {
        counts.add(list, Device::state(&report), 1);
    }
    counts
}

fn compare(tx: &WriteTx<'_>, later: &Reports, said: &BTreeMap<(u32, u64, u8), Report>, today: u32) {
    let filters: [Filter<'_>; 4] =
        [&|_| true, &|place| place / PLACES == 1, &|place| place % PLACES < 2, &|place| [1, 6, 11].contains(&place)];
    for (number, takes) in filters.into_iter().enumerate() {
        for range in [(today - 30, today), (today - 7, today), (today, today), (today - 1, today - 1)] {
            assert_eq!(told(tx, range, later, takes), naive(said, range, takes), "filter {number}, days {range:?}");
        }
    }
}

#[test]
fn groups_say_what_a_plain_count_says() {
    scratch(|tx| {
        let (mut dice, mut said, mut at) = (Dice(88_172_645_463_325_252), BTreeMap::new(), 0);
        for day in 100..180_u32 {
            for _ in 0..4 {
                let mut later = Reports::new();
                for _ in 0..dice.below(25) {
                    at += 1;
                    let (number, app) = (dice.below(30), u8::try_from(dice.below(APPS.into())).unwrap());
                    // Now and then a device is heard of a little late, or the clock went back over midnight.
                    let day = day - u32::from(dice.below(12) == 0);
                    let (channel, version) = (dice.below(PLACES), dice.below(3));
                    let report = report(day, at, app, channel, version, dice.below(2) == 0);
                    later.entry((TENANT, device(number))).or_default().push(report);
                }
                // Only the last of a day and app is gathered.
                for ((_, key), reports) in &mut later {
                    reports.sort_by_key(|report| std::cmp::Reverse((report.day, report.at)));
                    let mut apps = HashSet::new();
                    reports.retain(|report| apps.insert((report.day, report.app)));
                    for report in reports {
                        said.insert((report.day, key.0[0].into(), report.app.0[0]), *report);
                    }
                }
                in_order(&mut later);
                compare(tx, &later, &said, day);
                write(tx, &later, Some(day - 30)).unwrap();
                compare(tx, &Reports::new(), &said, day);
            }
            expire(tx, day - 30, 1000).unwrap();
            compare(tx, &Reports::new(), &said, day);
        }
        // Long after, nothing is left of anybody.
        expire(tx, 300, 10_000).unwrap();
        assert_eq!((DEVICES.len(tx).unwrap(), SEEN.len(tx).unwrap(), TOTALS.len(tx).unwrap()), (0, 0, 0));
        assert_eq!((OF_DAY.len(tx).unwrap(), NEWEST.len(tx).unwrap()), (0, 0));
    });
}

#[test]
fn alike_devices_are_one_group() {
    scratch(|tx| {
        for number in 0..200 {
            let day = |day: u32| report(day, i64::from(day), 1, 0, u64::from(day > 4), day < 4);
            let reports = Reports::from([((TENANT, device(number)), (1..=5).map(day).collect())]);
            write(tx, &reports, None).unwrap();
        }
        assert_eq!((OF_DAY.len(tx).unwrap(), NEWEST.len(tx).unwrap()), (5, 1));
        assert_eq!((DEVICES.len(tx).unwrap(), SEEN.len(tx).unwrap(), TOTALS.len(tx).unwrap()), (200, 200, 5));
        let kept = DEVICES.get(tx, (TENANT, device(7))).unwrap().unwrap();
        assert_eq!(kept.reports.iter().map(|report| report.day).collect::<Vec<_>>(), [5, 4, 3]);
    });
}

#[test]
fn a_clock_that_ran_ahead_hides_nobody_for_long() {
    scratch(|tx| {
        let say = |day: u32| {
            let report = report(day, i64::from(day), 1, 0, 0, false);
            write(tx, &Reports::from([((TENANT, device(1)), vec![report])]), None).unwrap();
        };
        let clients = |day: u32| told(tx, (day - 30, day), &Reports::new(), &|_| true).clients;
        say(100);
        say(4000);
        assert_eq!(clients(4000), BTreeMap::from([(None, (1, 0)), (Some(4000), (1, 0))]));
        say(101);
        assert_eq!(clients(101)[&None], (1, 0));
        say(102);
        assert_eq!(clients(102)[&None], (1, 0));
        assert_eq!(clients(4000), BTreeMap::from([(Some(4000), (1, 0))]));
    });
}

#[test]
fn a_day_has_a_limit_of_devices() {
    let mut device = Device::default();
    let (mut asked, mut moves) = (0, 0);
    let full = report(7, 1, 1, 0, 0, true);
    let mut refuse = |_| {
        asked += 1;
        Ok(false)
    };
    device.follow(&[full], None, &mut refuse, &mut |_, _, _| moves += 1).unwrap();
    assert_eq!((asked, moves, device), (1, 0, Device::default()));
}
