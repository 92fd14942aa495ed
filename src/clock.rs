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
    /// What moves the clock of a whole program under test; never there in a release.
    #[cfg(feature = "crash-points")]
    file: Option<following::File>,
}

impl Clock {
    /// The clock of the running program: the system's. Built with the feature `crash-points`, it follows the file that
    /// `PACKHOUSE_CLOCK_FILE` names (see [`following`]), so that tests can let years pass.
    pub fn of_program() -> Clock {
        Clock {
            #[cfg(feature = "crash-points")]
            file: following::File::of_environment(),
            ..Clock::default()
        }
    }

    /// Now, by the system's clock.
    pub fn now(&self) -> Time {
        #[cfg(feature = "crash-points")]
        if let Some(file) = &self.file {
            return file.now(system_now());
        }
        Time(system_now().0.saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// Moves the clock by `seconds` against the system's; for tests.
    pub fn shift(&self, seconds: i64) {
        self.offset.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }

    /// How long to wait for the stop signal between two looks at what is due: `pause`, but shorter where a test moves
    /// the clock.
    pub fn pause(&self, pause: Duration) -> Duration {
        #[cfg(feature = "crash-points")]
        if self.file.is_some() {
            return pause.min(following::LOOK);
        }
        pause
    }

    /// Whether a test has moved the clock since this was last asked: what is due is due at once then.
    pub fn was_moved(&self) -> bool {
        #[cfg(feature = "crash-points")]
        if let Some(file) = &self.file {
            return file.was_moved();
        }
        false
    }
}

fn system_now() -> Time {
    Time(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    })
}

/// A clock that follows a file, for black-box tests only.
///
/// The file holds one line: `+3600` or `-3600` moves the clock by so many seconds against the system's, `=1800000000`
/// stops it at that second since 1970. It is read at every look at the clock, so that the next request after a change
/// sees the new time; whoever changes it replaces the file by a rename. Without a file, or with anything else in it,
/// the time is the system's.
#[cfg(feature = "crash-points")]
mod following {
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use super::Time;

    /// How often the program looks whether the clock was moved.
    pub(super) const LOOK: Duration = Duration::from_millis(50);

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) enum Line {
        #[default]
        System,
        Offset(i64),
        Stopped(i64),
    }

    impl Line {
        pub(super) fn parse(text: &str) -> Line {
            let text = text.trim();
            let number = text.strip_prefix(['=', '+']).unwrap_or(text).parse::<i64>();
            match (text.as_bytes().first(), number) {
                (Some(b'='), Ok(seconds)) => Line::Stopped(seconds),
                (Some(b'+' | b'-'), Ok(seconds)) => Line::Offset(seconds),
                _ => Line::System,
            }
        }

        pub(super) fn at(self, system: Time) -> Time {
            match self {
                Line::System => system,
                Line::Offset(seconds) => system.plus_seconds(seconds),
                Line::Stopped(seconds) => Time(0).plus_seconds(seconds),
            }
        }
    }

    #[derive(Debug)]
    pub(super) struct File {
        path: PathBuf,
        seen: Mutex<Line>,
    }

    impl File {
        pub(super) fn of_environment() -> Option<File> {
            let file = File { path: std::env::var_os("PACKHOUSE_CLOCK_FILE")?.into(), seen: Mutex::default() };
            file.was_moved();
            Some(file)
        }

        fn read(&self) -> Line {
            std::fs::read_to_string(&self.path).map(|text| Line::parse(&text)).unwrap_or_default()
        }

        pub(super) fn now(&self, system: Time) -> Time {
            self.read().at(system)
        }

        pub(super) fn was_moved(&self) -> bool {
            let line = self.read();
            std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), line) != line
        }
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

    #[test]
    #[cfg(feature = "crash-points")]
    fn a_line_moves_or_stops_the_clock() {
        use following::Line;
        let system = Time(5_000_000);
        for (text, seconds) in [
            ("+3600\n", 3605),
            ("-10", -5),
            ("=1800000000\n", 1_800_000_000),
            ("=-5", -5),
            ("", 5),
            ("7", 5),
            ("=x", 5),
        ] {
            assert_eq!(Line::parse(text).at(system), Time(0).plus_seconds(seconds), "{text}");
        }
    }
}
