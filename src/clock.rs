//! Where the time comes from (settable in tests) and the date forms the dialects print.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Microseconds since 1970 UTC; may be negative on a machine without a battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// `2026-05-20T10:00:00Z`: RFC 3339, whole seconds, UTC.
    pub fn rfc3339(self) -> String {
        let seconds = self.seconds();
        match jiff::Timestamp::from_second(seconds) {
            Ok(time) => time.to_string(),
            Err(_) => format!("@{seconds}"),
        }
    }

    /// `2026-05-20T10:00:00.123Z`: RFC 3339, milliseconds, UTC.
    pub fn rfc3339_millis(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => format!("@{}", self.seconds()),
        }
    }

    /// `2026-05-20`: the day in UTC.
    pub fn date(self) -> String {
        let mut text = self.rfc3339();
        if let Some(at) = text.find('T') {
            text.truncate(at);
        }
        text
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// For file and HTTP dates; times before 1970 count as 1970.
    pub fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// This time and `seconds` more.
    pub fn plus_seconds(self, seconds: i64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

/// The time source. Durations (time-outs, idle limits of connections) never come from here but from `Instant`.
#[derive(Debug, Default)]
pub struct Clock {
    /// Added to the system's time; only tests set it.
    offset: AtomicI64,
}

impl Clock {
    /// Now, by the system's clock.
    pub fn now(&self) -> Time {
        let system = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Time(system.saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// Moves the clock by `seconds` against the system's; for tests.
    pub fn shift(&self, seconds: i64) {
        self.offset.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc3339_in_whole_seconds() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (1_779_271_200_999_999, "2026-05-20T10:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_294_944_000_000_000, "2106-02-07T00:00:00Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(Time(micros).rfc3339(), text);
        }
        assert_eq!(Time(i64::MAX).rfc3339(), "@9223372036854");
    }

    #[test]
    fn prints_milliseconds_and_days() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z", "1970-01-01"),
            (1_779_271_200_999_999, "2026-05-20T10:00:00.999Z", "2026-05-20"),
            (1_779_321_599_000_000, "2026-05-20T23:59:59.000Z", "2026-05-20"),
            (1_000, "1970-01-01T00:00:00.001Z", "1970-01-01"),
        ];
        for (micros, text, day) in cases {
            assert_eq!((Time(micros).rfc3339_millis().as_str(), Time(micros).date().as_str()), (text, day));
        }
        assert_eq!(Time(i64::MAX).rfc3339_millis(), "@9223372036854");
    }
}
