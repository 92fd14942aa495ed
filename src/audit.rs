//! The audit trail: who did what to what, from where, written in the transaction it describes and only appended to.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::Result;
use crate::store::table::{Newest, Read, Table, WriteTx};

/// (time, number within that microsecond) → event, newest first.
const EVENTS: Table<(Newest, Newest), Event> = Table::new("audit.event");

/// Longest text of one field, bytes.
const MAX_TEXT: usize = 1024;
/// Most events of one page.
const MAX_PAGE: usize = 1000;
/// Events one search looks at.
const MAX_LOOKS: usize = 20_000;

/// One line of the trail. Holds names and fingerprints, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Time,
    /// `Principal::label` of whoever did it, or the name of the job.
    pub who: String,
    /// What was done: `room.verb`.
    pub what: String,
    /// What it was done to.
    pub subject: String,
    /// Where the request came from; none for what the server does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Where a page of the trail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(u64, u64);

impl Position {
    /// Text that [`Position::parse`] reads back.
    pub fn to_text(self) -> String {
        format!("{:x}-{:x}", self.0, self.1)
    }

    /// From [`Position::to_text`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, number) = text.split_once('-')?;
        let hex = |part: &str| u64::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'));
        Some(Position(hex(time)?, hex(number)?))
    }
}

/// Appends an event to the trail, as part of the transaction it tells of.
pub fn note(tx: &WriteTx, now: Time, who: &str, what: &str, subject: &str, address: Option<IpAddr>) -> Result<()> {
    let time = Newest(ordered(now));
    let number = match EVENTS.page(tx, (time,), None, 1)?.pop() {
        Some(((_, last), _)) => last.0.saturating_add(1),
        None => 0,
    };
    let event = Event { at: now, who: cut(who), what: cut(what), subject: cut(subject), address };
    EVENTS.put(tx, (time, Newest(number)), &event)
}

/// Up to `limit` (at most 1,000) events, newest first, from the one after `after`; and where to go on, when there is
/// more.
pub fn list(tx: &impl Read, after: Option<Position>, limit: usize) -> Result<(Vec<Event>, Option<Position>)> {
    let limit = limit.clamp(1, MAX_PAGE);
    let after = after.map(|Position(time, number)| (Newest(time), Newest(number)));
    let mut rows = EVENTS.page(tx, (), after.as_ref(), limit + 1)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|((time, number), _)| Position(time.0, number.0));
    Ok((rows.into_iter().map(|(_, event)| event).collect(), next))
}

/// Up to `limit` (at most 1,000) events that `fits` says yes to, newest first, from the one after `after`; and where to
/// go on. Looks at 20,000 events at most, so a page may be short or empty and still have a next one.
pub fn search(
    tx: &impl Read,
    fits: &impl Fn(&Event) -> bool,
    after: Option<Position>,
    limit: usize,
) -> Result<(Vec<Event>, Option<Position>)> {
    let limit = limit.clamp(1, MAX_PAGE);
    let (mut found, mut at, mut looks) = (Vec::new(), after, 0);
    loop {
        let start = at.map(|Position(time, number)| (Newest(time), Newest(number)));
        let rows = EVENTS.page(tx, (), start.as_ref(), MAX_PAGE)?;
        let last = rows.len() < MAX_PAGE;
        for ((time, number), event) in rows {
            if fits(&event) {
                // One more than asked for tells that there is a next page.
                if found.len() == limit {
                    return Ok((found, at));
                }
                found.push(event);
            }
            at = Some(Position(time.0, number.0));
            looks += 1;
        }
        if last {
            return Ok((found, None));
        }
        if looks >= MAX_LOOKS {
            return Ok((found, at));
        }
    }
}

/// Removes up to `limit` of the events older than `before`, the oldest first: events go by age, never singly.
/// Answers how many went. Whether the clock may be trusted for that is the caller's question.
pub fn expire(tx: &WriteTx, before: Time, limit: usize) -> Result<usize> {
    for gone in 0..limit {
        match EVENTS.last(tx, ())? {
            Some((key, event)) if event.at < before => EVENTS.remove(tx, key)?,
            _ => return Ok(gone),
        };
    }
    Ok(limit)
}

/// Microseconds in an order that holds for times before 1970 too.
fn ordered(time: Time) -> u64 {
    time.0.cast_unsigned() ^ (1 << 63)
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::scratch;

    #[test]
    fn newest_first_whatever_the_clock_does() {
        scratch(|tx| {
            let times = [5, 5, i64::MIN, -3, 9, 5, 0, i64::MAX, 9];
            for (number, time) in times.into_iter().enumerate() {
                note(tx, Time(time), "who", "what", &number.to_string(), None).unwrap();
            }
            let subjects = |events: Vec<Event>| events.into_iter().map(|event| event.subject).collect::<Vec<_>>();
            let order = ["7", "8", "4", "5", "1", "0", "6", "3", "2"];
            assert_eq!(subjects(list(tx, None, 100).unwrap().0), order);
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (events, next) = list(tx, after, 2).unwrap();
                seen.extend(subjects(events));
                let Some(next) = next else { break };
                after = Position::parse(&next.to_text());
                assert_eq!(after, Some(next));
            }
            assert_eq!(seen, order);

            assert_eq!(expire(tx, Time(5), 2).unwrap(), 2);
            assert_eq!(expire(tx, Time(5), 9).unwrap(), 1);
            assert_eq!(subjects(list(tx, None, 100).unwrap().0), order[..6]);
        });
    }

    #[test]
    fn searches_page_through_what_fits() {
        scratch(|tx| {
            for number in 0..2500 {
                note(tx, Time(number / 3), "who", "what", &format!("{} x", number % 7), None).unwrap();
            }
            let fits = |event: &Event| event.subject == "3 x";
            let (mut seen, mut after) = (0, None);
            loop {
                let (events, next) = search(tx, &fits, after, 100).unwrap();
                assert!(events.iter().all(fits));
                seen += events.len();
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, 357);
            assert_eq!(search(tx, &|_: &Event| false, None, 5).unwrap(), (Vec::new(), None));
        });
    }

    #[test]
    fn fields_are_kept_and_bounded() {
        scratch(|tx| {
            let address = Some("192.0.2.1".parse().unwrap());
            note(tx, Time(1), "fp:1", "product.create", "größe", address).unwrap();
            note(tx, Time(2), "x", "y", &format!("{}{}", "a".repeat(1023), "é".repeat(9)), None).unwrap();
            let (events, next) = list(tx, None, 0).unwrap();
            assert_eq!(events[0].subject, "a".repeat(1023));
            let (events, next) = list(tx, next, 5).unwrap().clone();
            assert_eq!(next, None);
            let expected = Event {
                at: Time(1),
                who: "fp:1".into(),
                what: "product.create".into(),
                subject: "größe".into(),
                address,
            };
            assert_eq!(events, [expected]);
        });
    }

    #[test]
    fn positions_of_strangers() {
        for bad in ["", "-", "1", "1-", "-1", "+1-1", "1-+1", "x-1", "1-1-1", "11111111111111111-0"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
