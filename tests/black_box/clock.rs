//! A clock that a test holds in its hands: it stands still until it is moved, for the server that was started with it.

use std::cell::Cell;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::server::Builder;

/// Where a held clock stands at first: some noon.
const START: i64 = 1_800_014_400;

/// Seconds of a minute.
pub(crate) const MINUTE: i64 = 60;
/// Seconds of an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The clock of one server. It is written by a rename, and the server reads it at every look at the time: the request
/// after a move sees the new time. Moving it also has the server look at what recurs, within moments.
pub(crate) struct HeldClock {
    place: TempDir,
    now: Cell<i64>,
}

impl HeldClock {
    /// A clock that stands at some noon.
    pub(crate) fn new() -> HeldClock {
        let clock = HeldClock { place: tempfile::tempdir().unwrap(), now: Cell::new(START) };
        clock.move_to(START);
        clock
    }

    /// Settings for a server that goes by this clock.
    pub(crate) fn with(&self, builder: Builder) -> Builder {
        builder.env("PACKHOUSE_CLOCK_FILE", self.path())
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("clock")
    }

    /// The time it shows, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now.get()
    }

    /// The day it shows, `YYYY-MM-DD`.
    pub(crate) fn date(&self) -> String {
        let time = jiff::Timestamp::from_second(self.now()).unwrap().to_string();
        time[..10].to_owned()
    }

    /// Lets it show another time.
    pub(crate) fn move_to(&self, seconds: i64) {
        self.now.set(seconds);
        let fresh = self.place.path().join("fresh");
        std::fs::write(&fresh, format!("={seconds}\n")).unwrap();
        std::fs::rename(fresh, self.path()).unwrap();
    }

    /// Lets `seconds` pass.
    pub(crate) fn advance(&self, seconds: i64) {
        self.move_to(self.now() + seconds);
    }
}
