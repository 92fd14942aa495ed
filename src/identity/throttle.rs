//! Slows down guessing: failures are counted per address and per (address, subject) (`reliability.md` §13).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::ids::Digest;

/// Failures within [`WINDOW`] that are answered as such; then tries are sent away.
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Time without a failure after which waiting begins anew with [`FIRST_WAIT`].
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Counters kept; past it those that say least go first.
const MAX_COUNTERS: usize = 16_384;

/// Counts failed logins, sign-up keys and client tokens. Durations come from the monotonic clock.
///
/// Tries that are under way count for nothing yet: any number of right passwords at once is welcome, and how many
/// wrong ones can be under way is bounded by the queue of `Passwords`.
#[derive(Debug, Default)]
pub struct Throttle {
    counters: Mutex<HashMap<Counted, Counter>>,
}

/// Whose failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Address(IpAddr),
    /// The subject (an account name, a kind of key) only by its digest: input has no say in what memory this takes.
    Pair(IpAddr, [u8; 16]),
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    failures: u32,
    /// When the first of them was.
    since: Instant,
    /// When the last one was.
    last: Instant,
    /// Tries are sent away until then.
    blocked: Option<Instant>,
    /// How long the next block lasts.
    wait: Duration,
}

impl Throttle {
    /// `Throttled`, with the seconds to wait, when there were too many failures.
    pub fn check(&self, address: IpAddr, subject: &str) -> Result<()> {
        self.check_at(address, subject, Instant::now())
    }

    /// A wrong secret came from `address` for `subject`.
    pub fn failed(&self, address: IpAddr, subject: &str) {
        self.failed_at(address, subject, Instant::now());
    }

    /// The right one came: the pair is cleared, the address keeps its other failures.
    pub fn succeeded(&self, address: IpAddr, subject: &str) {
        let [_, pair] = counted(address, subject);
        self.counters().remove(&pair);
    }

    fn check_at(&self, address: IpAddr, subject: &str, now: Instant) -> Result<()> {
        let counters = self.counters();
        let blocked = |which| counters.get(&which).and_then(|counter: &Counter| counter.blocked);
        let until = counted(address, subject).into_iter().filter_map(blocked).max().filter(|until| now < *until);
        let Some(until) = until else {
            return Ok(());
        };
        let seconds = u32::try_from((until - now).as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let refusal = Error::new(Kind::Throttled, "too many failed attempts, try again later");
        Err(Error { retry_after: Some(seconds), ..refusal })
    }

    fn failed_at(&self, address: IpAddr, subject: &str, now: Instant) {
        let mut counters = self.counters();
        make_room(&mut counters, now);
        for which in counted(address, subject) {
            let fresh = Counter { failures: 0, since: now, last: now, blocked: None, wait: FIRST_WAIT };
            counters.entry(which).or_insert(fresh).fail(now);
        }
    }

    fn counters(&self) -> MutexGuard<'_, HashMap<Counted, Counter>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter {
    fn fail(&mut self, now: Instant) {
        if self.blocked.is_some_and(|until| now < until) {
            // It was under way when the block began.
            return;
        }
        if now.duration_since(self.last) >= FORGET {
            self.wait = FIRST_WAIT;
        }
        if self.failures == 0 || now.duration_since(self.since) >= WINDOW {
            self.failures = 0;
            self.since = now;
        }
        self.failures += 1;
        self.last = now;
        if self.failures >= FAILURES {
            self.blocked = Some(now + self.wait);
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
            self.failures = 0;
        }
    }
}

fn counted(address: IpAddr, subject: &str) -> [Counted; 2] {
    let address = network(address);
    let mut name = [0; 16];
    name.copy_from_slice(&Digest::of(subject.as_bytes()).0[..16]);
    [Counted::Address(address), Counted::Pair(address, name)]
}

fn make_room(counters: &mut HashMap<Counted, Counter>, now: Instant) {
    if counters.len() + 2 <= MAX_COUNTERS {
        return;
    }
    counters.retain(|_, counter| {
        counter.blocked.is_some_and(|until| now < until) || now.duration_since(counter.since) < WINDOW
    });
    if counters.len() + 2 > MAX_COUNTERS {
        // Everything is fresh: half of it goes, those first that block nobody and hold the fewest failures.
        let mut order: Vec<_> = counters.iter().map(|(which, c)| (c.blocked, c.failures, c.last, *which)).collect();
        order.sort_unstable_by_key(|&(blocked, failures, last, _)| (blocked, failures, last));
        for (.., which) in order.into_iter().take(MAX_COUNTERS / 2) {
            counters.remove(&which);
        }
    }
}

/// Who shares a fate: an IPv4 address, or the /64 that one IPv6 customer has to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_failures_pass_and_waiting_doubles_to_a_quarter_of_an_hour() {
        let throttle = Throttle::default();
        let (from, mut now) = (address("192.0.2.1"), Instant::now());
        let retry_after = |now| throttle.check_at(from, "ann", now).map_err(|e| (e.kind, e.retry_after));
        for wait in [60, 120, 240, 480, 900, 900] {
            for _ in 0..FAILURES {
                assert_eq!(retry_after(now), Ok(()), "{wait}");
                throttle.failed_at(from, "ann", now);
            }
            assert_eq!(retry_after(now), Err((Kind::Throttled, Some(wait + 1))));
            // What was under way does not lengthen it.
            now += Duration::from_secs(u64::from(wait) - 1);
            throttle.failed_at(from, "ann", now);
            assert_eq!(retry_after(now), Err((Kind::Throttled, Some(2))));
            now += Duration::from_secs(2);
        }
        now += FORGET;
        for _ in 0..FAILURES {
            throttle.failed_at(from, "ann", now);
        }
        assert_eq!(retry_after(now), Err((Kind::Throttled, Some(61))));
    }

    #[test]
    fn slow_failures_never_block() {
        let throttle = Throttle::default();
        let (from, mut now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..100 {
            throttle.failed_at(from, "ann", now);
            assert!(throttle.check_at(from, "ann", now).is_ok());
            now += Duration::from_secs(7);
        }
    }

    #[test]
    fn an_address_is_blocked_for_all_names_and_others_are_not() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..FAILURES {
            throttle.failed_at(address("2001:db8::1"), &format!("user {number}"), now);
        }
        for same in ["2001:db8::1", "2001:db8::ffff:1:2:3"] {
            assert!(throttle.check_at(address(same), "ann", now).is_err(), "{same}");
        }
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            assert!(throttle.check_at(address(other), "ann", now).is_ok(), "{other}");
        }
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn success_clears_the_pair_and_the_address_keeps_its_failures() {
        let throttle = Throttle::default();
        let (from, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..FAILURES - 1 {
            throttle.failed_at(from, "ann", now);
        }
        throttle.succeeded(from, "ann");
        let [by_address, pair] = counted(from, "ann");
        assert!(!throttle.counters().contains_key(&pair));
        assert_eq!(throttle.counters()[&by_address].failures, FAILURES - 1);
        throttle.failed_at(from, "ann", now);
        assert!(throttle.check_at(from, "bob", now).is_err());
    }

    #[test]
    fn memory_is_bounded_and_blocks_stay_longest() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..FAILURES {
            throttle.failed_at(address("192.0.2.1"), "ann", now);
        }
        for number in 0..40_000_u32 {
            throttle.failed_at(IpAddr::V4(number.into()), "ann", now);
        }
        assert!(throttle.counters().len() <= MAX_COUNTERS);
        assert!(throttle.check_at(address("192.0.2.1"), "ann", now).is_err());
    }
}
