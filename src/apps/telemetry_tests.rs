//! Counters: seen at once, written in the background, found again after a restart, dropped when old.

use super::*;
use crate::store::Options;

const TENANT: Uuid = Uuid::from_bytes([1; 16]);
const KEY: [u8; 32] = [7; 32];

#[derive(Default)]
struct Counted {
    requests: u64,
    clients: i64,
    versions: HashMap<u64, String>,
    by_version: HashMap<String, i64>,
}

impl Sink for Counted {
    fn requests(&mut self, _day: u32, id: u64, labels: &Labels, requests: u64) {
        self.requests += requests;
        self.versions.insert(id, labels.version.clone());
    }

    fn clients(&mut self, list: List, states: &[OfDevice], clients: i64) {
        if list == List::Newest {
            self.clients += clients;
            *self.by_version.entry(self.versions[&states[0].labels].clone()).or_default() += clients;
        }
    }
}

fn seen(version: &str) -> Arc<Seen> {
    let labels = Labels { app: "app".into(), version: version.into(), ..Labels::default() };
    Arc::new(Seen::new(TENANT, ObjectId([5; 12]), labels, true))
}

fn collected(telemetry: &Telemetry, clock: &Clock) -> (u64, i64) {
    let (mut counted, today) = (Counted::default(), day_of(clock.now()));
    telemetry.collect(TENANT, today - 1, today, &mut counted).unwrap();
    (counted.requests, counted.clients)
}

#[test]
fn counts_are_seen_at_once_and_never_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let clock = Arc::new(Clock::default());
    let telemetry = Telemetry::open(store.clone(), clock.clone(), KEY).unwrap();
    for number in 1..=200_u64 {
        telemetry.count(&seen("1.0"), format!("device {}", number % 10).as_bytes());
        assert_eq!(collected(&telemetry, &clock).0, number);
        if number % 50 == 0 {
            telemetry.shared.flush(None).unwrap();
            assert_eq!(collected(&telemetry, &clock), (number, 10));
        }
    }
    telemetry.count(&seen("1.1"), b"device 3");
    telemetry.stop();
    telemetry.stop();
    let again = Telemetry::open(store.clone(), clock.clone(), KEY).unwrap();
    assert_eq!(collected(&again, &clock), (201, 10));
    let mut counted = Counted::default();
    let today = day_of(clock.now());
    again.collect(TENANT, today - 1, today, &mut counted).unwrap();
    assert_eq!((counted.by_version["1.0"], counted.by_version["1.1"]), (9, 1));
    drop(again);
    store.close();
}

#[test]
fn readers_beside_a_busy_writer_see_every_count_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let clock = Arc::new(Clock::default());
    let telemetry = Telemetry::open(store.clone(), clock.clone(), KEY).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..500_u32 {
                telemetry.count(&seen("1.0"), &number.to_string().into_bytes());
                if number % 20 == 0 {
                    telemetry.shared.flush(None).unwrap();
                }
            }
        });
        let mut last = 0;
        while last < 500 {
            let (requests, devices) = collected(&telemetry, &clock);
            assert!(requests >= last && requests <= 500, "{last} then {requests}");
            assert_eq!(requests, devices.cast_unsigned());
            last = requests;
        }
    });
    drop(telemetry);
    store.close();
}

#[test]
fn old_days_go_and_doubtful_clocks_wait() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    store
        .commit(|tx| {
            for day in [10, 11, 12] {
                REQUESTS.put(tx, (day, TENANT, Short([0; 16])), &Asked { labels: Labels::default(), requests: 1 })?;
            }
            expire(tx, 12)
        })
        .unwrap();
    assert_eq!(store.read(|tx| REQUESTS.len(tx)).unwrap(), 1);
    store.close();

    let start = Instant::now();
    let day = |number: i64| Time(number * SECONDS_PER_DAY * 1_000_000);
    let later = |days: u64| start + Duration::from_secs(days * 24 * 3600);
    let mut expiry = Expiry::new((start, day(100)), Some(99));
    assert_eq!(expiry.before_at(start, day(100)), Some(70));
    assert_eq!(expiry.before_at(later(1), day(101)), Some(71));
    assert_eq!(expiry.before_at(later(1), day(200)), None);
    assert_eq!(expiry.before_at(later(20), day(219)), None);
    assert_eq!(expiry.before_at(later(31), day(230)), Some(200));
    assert_eq!(expiry.before_at(later(31), day(100)), None);
    assert_eq!(Expiry::new((start, day(100)), Some(60)).before_at(start, day(100)), None);
}

#[test]
fn devices_are_hidden_and_judged() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let telemetry = Telemetry::open(store.clone(), Arc::default(), KEY).unwrap();
    let hide = |tenant: Uuid, id: &str| telemetry.shared.hide(tenant, id.as_bytes()).unwrap();
    assert_eq!(hide(TENANT, "a"), hide(TENANT, "a"));
    assert_ne!(hide(TENANT, "a"), hide(TENANT, "b"));
    assert_ne!(hide(TENANT, "a"), hide(Uuid::nil(), "a"));
    drop(telemetry);
    store.close();
    let long = "x".repeat(256);
    let longer = "x".repeat(257);
    let head = |value: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Device-ID: {value}\r\n\r\n");
        Head::parse(text.as_bytes()).unwrap().unwrap().0
    };
    for (value, good) in [("abc", true), ("a b{}", true), (&long, true), ("", false), (&longer, false), ("ä", false)] {
        assert_eq!(device(&head(value)).is_some(), good, "{value}");
    }
}
