//! `GET /telemetry`: what was counted, by day, version, platform, architecture and channel (`faynosync.md` §10).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use crate::app::App;
use crate::apps::actor::Actor;
use crate::apps::devices::{List, State};
use crate::apps::memory;
use crate::apps::model::{self, Object};
use crate::apps::telemetry::{KEPT_DAYS, Labels, Sink, day_of};
use crate::apps::versions::Version;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::{Query, Request, Response};
use crate::identity::Principal;

/// `GET /telemetry`.
pub fn telemetry(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let query = request.form_query()?;
    let (first, last) = period(&query, app.clock.now())?;
    let filter = Filter::read(app, &actor, &query)?;
    let mut tally = Tally::new(filter, first, last);
    memory(app)?.telemetry.collect(actor.tenant, first, last, &mut tally)?;
    let shown = tally.show(&actor.owner_name);
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// First and last day asked for.
fn period(query: &Query, now: Time) -> Result<(u32, u32)> {
    let given = |name| query.get(name).filter(|text| !text.is_empty());
    let today = day_of(now);
    match (given("range"), given("date")) {
        (Some("week"), _) => Ok((today.saturating_sub(7), today)),
        (Some("month"), _) => Ok((today.saturating_sub(KEPT_DAYS), today)),
        (Some(_), _) => Err(Error::invalid("Invalid range parameter. Use 'week' or 'month'")),
        (None, None) => Ok((today, today)),
        (None, Some(date)) => {
            let day = parse_date(date).ok_or_else(|| Error::invalid("Invalid date parameter. Use YYYY-MM-DD"))?;
            Ok((day, day))
        }
    }
}

/// The day of `YYYY-MM-DD`.
fn parse_date(text: &str) -> Option<u32> {
    let shape = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if !shape {
        return None;
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    // Before 1970 nothing was counted, as on any day without checks.
    Some(u32::try_from(days).unwrap_or(0)).filter(|_| date.year() >= 1970)
}

fn date(day: u32) -> String {
    Time(i64::from(day).saturating_mul(24 * 3600 * 1_000_000)).date()
}

/// The names asked for; an empty set asks for all.
#[derive(Default)]
struct Filter {
    apps: HashSet<String>,
    channels: HashSet<String>,
    platforms: HashSet<String>,
    archs: HashSet<String>,
}

impl Filter {
    fn read(app: &App, actor: &Actor, query: &Query) -> Result<Filter> {
        let names = |key: &str| -> HashSet<String> {
            let given = query.all(key).flat_map(|text| text.split(','));
            given.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let filter = Filter {
            apps: names("apps"),
            channels: names("channels"),
            platforms: names("platforms"),
            archs: names("architectures"),
        };
        let asked = [
            (Object::App, &filter.apps),
            (Object::Channel, &filter.channels),
            (Object::Platform, &filter.platforms),
            (Object::Arch, &filter.archs),
        ];
        app.store.read(|tx| {
            for (object, names) in asked {
                for name in names {
                    match model::find(tx, actor.tenant, object, name)? {
                        Some(id) if !actor.sees(object, id) => return Err(Error::forbidden("Permission denied")),
                        None if actor.creator().is_some() => return Err(Error::forbidden("Permission denied")),
                        _ => {}
                    }
                }
            }
            Ok(())
        })?;
        Ok(filter)
    }

    fn takes(&self, labels: &Labels) -> bool {
        let fits = |names: &HashSet<String>, name: &str| names.is_empty() || names.contains(name);
        fits(&self.apps, &labels.app)
            && fits(&self.channels, &labels.channel)
            && fits(&self.platforms, &labels.platform)
            && fits(&self.archs, &labels.arch)
    }
}

/// Clients in all and those with an update before them.
#[derive(Clone, Copy, Default)]
struct Clients {
    all: i64,
    outdated: i64,
}

impl Clients {
    fn add(&mut self, clients: i64, outdated: bool) {
        self.all += clients;
        self.outdated += if outdated { clients } else { 0 };
    }
}

/// What has been read so far.
struct Tally {
    filter: Filter,
    first: u32,
    last: u32,
    /// What was asked and fits the filter, by what stands for it in states.
    known: HashMap<u64, Labels>,
    requests: BTreeMap<u32, u64>,
    by_day: BTreeMap<u32, Clients>,
    /// Over all days each client once: in all, and by what it asked last.
    summary: Clients,
    by_labels: HashMap<u64, i64>,
}

impl Sink for Tally {
    fn requests(&mut self, day: u32, id: u64, labels: &Labels, requests: u64) {
        if !self.known.contains_key(&id) {
            if !self.filter.takes(labels) {
                return;
            }
            self.known.insert(id, labels.clone());
        }
        let count = self.requests.entry(day).or_default();
        *count = count.saturating_add(requests);
    }

    fn clients(&mut self, list: List, states: &[State], clients: i64) {
        let fits =
            |state: &&State| (self.first..=self.last).contains(&state.day) && self.known.contains_key(&state.labels);
        let Some(state) = states.iter().find(fits) else { return };
        if let List::OfDay(day) = list {
            self.by_day.entry(day).or_default().add(clients, state.outdated);
        }
        // A single day is its own summary.
        if list == List::Newest || self.first == self.last {
            self.summary.add(clients, state.outdated);
            *self.by_labels.entry(state.labels).or_default() += clients;
        }
    }
}

/// Versions in their order; texts that are none come last.
fn by_version(left: &str, right: &str) -> std::cmp::Ordering {
    match (Version::parse(left), Version::parse(right)) {
        (Some(a), Some(b)) => a.cmp(&b).then_with(|| left.cmp(right)),
        (a, b) => b.is_some().cmp(&a.is_some()).then_with(|| left.cmp(right)),
    }
}

impl Tally {
    fn new(filter: Filter, first: u32, last: u32) -> Tally {
        Tally {
            filter,
            first,
            last,
            known: HashMap::new(),
            requests: BTreeMap::new(),
            by_day: BTreeMap::new(),
            summary: Clients::default(),
            by_labels: HashMap::new(),
        }
    }

    fn count_by(&self, name: impl Fn(&Labels) -> &str) -> BTreeMap<&str, i64> {
        let mut counts = BTreeMap::new();
        for (id, clients) in &self.by_labels {
            match self.known.get(id).map_or("", &name) {
                "" => {}
                name => *counts.entry(name).or_default() += clients,
            }
        }
        counts.retain(|_, clients| *clients > 0);
        counts
    }

    fn show(&self, admin: &str) -> Value {
        let (first, last) = (self.first, self.last);
        let list = |key: &str, counts: BTreeMap<&str, i64>| -> Vec<Value> {
            counts.into_iter().map(|(name, count)| json!({ key: name, "client_count": count })).collect()
        };
        let mut usage: Vec<_> = self.count_by(|labels| &labels.version).into_iter().collect();
        usage.sort_by(|(left, _), (right, _)| by_version(left, right));
        let used = usage.len();
        let usage: Vec<Value> =
            usage.into_iter().map(|(version, count)| json!({ "version": version, "client_count": count })).collect();
        let unique = |name: fn(&Labels) -> &str| self.known.values().map(name).collect::<BTreeSet<_>>();
        let mut known: Vec<&str> = unique(|labels| &labels.version).into_iter().collect();
        known.sort_by(|left, right| by_version(left, right));
        let days: Vec<Value> = (first..=last).map(|day| self.show_day(day)).collect();
        json!({
            "date": date(first),
            "date_range": (first..=last).map(date).collect::<Vec<_>>(),
            "admin": admin,
            "summary": {
                "total_requests": self.requests.values().fold(0_u64, |sum, count| sum.saturating_add(*count)),
                "unique_clients": self.summary.all,
                "clients_using_latest_version": self.summary.all - self.summary.outdated,
                "clients_outdated": self.summary.outdated,
                "total_active_apps": unique(|labels| &labels.app).len(),
            },
            "versions": { "known_versions": known, "used_versions_count": used, "usage": usage },
            "platforms": list("platform", self.count_by(|labels| &labels.platform)),
            "architectures": list("arch", self.count_by(|labels| &labels.arch)),
            "channels": list("channel", self.count_by(|labels| &labels.channel)),
            "daily_stats": days,
        })
    }

    fn show_day(&self, day: u32) -> Value {
        let clients = self.by_day.get(&day).copied().unwrap_or_default();
        json!({
            "date": date(day),
            "total_requests": self.requests.get(&day).copied().unwrap_or(0),
            "unique_clients": clients.all,
            "clients_using_latest_version": clients.all - clients.outdated,
            "clients_outdated": clients.outdated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2026-03-17"), Some(20_529));
        assert_eq!(date(20_529), "2026-03-17");
        for bad in ["", "2026-3-17", "2026-02-30", "2026-13-01", "20260317", "2026-03-17T", "1969-12-31", "２026-03-1"]
        {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn groups_count_by_their_first_state_that_fits() {
        let labels =
            |app: &str, version: &str| Labels { app: app.into(), version: version.into(), ..Labels::default() };
        let tell = |filter: Filter| {
            let mut tally = Tally::new(filter, 5, 7);
            tally.requests(5, 1, &labels("a", "0.0.10"), 2);
            tally.requests(6, 2, &labels("b", "0.0.9"), 1);
            let old = State { day: 5, labels: 1, outdated: true };
            let new = State { day: 6, labels: 2, outdated: false };
            let gone = State { day: 4, labels: 1, outdated: true };
            tally.clients(List::OfDay(5), &[old], 2);
            tally.clients(List::OfDay(6), &[new], 1);
            tally.clients(List::Newest, &[old], 2);
            tally.clients(List::Newest, &[gone], 7);
            // One of them moves on.
            tally.clients(List::Newest, &[old], -1);
            tally.clients(List::Newest, &[new, old], 1);
            tally.show("admin")
        };
        let shown = tell(Filter::default());
        let summary = json!({
            "total_requests": 3, "unique_clients": 2, "clients_using_latest_version": 1, "clients_outdated": 1,
            "total_active_apps": 2,
        });
        assert_eq!(shown["summary"], summary);
        assert_eq!(shown["versions"]["known_versions"], json!(["0.0.9", "0.0.10"]));
        assert_eq!(shown["versions"]["usage"][0], json!({"version": "0.0.9", "client_count": 1}));
        assert_eq!(shown["platforms"], json!([]));
        let days: Vec<_> =
            shown["daily_stats"].as_array().unwrap().iter().map(|d| d["unique_clients"].clone()).collect();
        assert_eq!(days, [json!(2), json!(1), json!(0)]);
        let shown = tell(Filter { apps: HashSet::from(["a".to_owned()]), ..Filter::default() });
        assert_eq!(shown["summary"]["unique_clients"], 2);
        assert_eq!(shown["versions"]["usage"], json!([{"version": "0.0.10", "client_count": 2}]));
    }
}
