//! The audit trail for people: filtered pages, and as a table for other programs.

use serde_json::{Value, json};

use crate::app::App;
use crate::audit::{self, Event, Position};
use crate::console::{fresh, operator, rules};
use crate::error::{Error, Result};
use crate::http::{Query, Request, Response};
use crate::identity::Principal;

/// Lines of one page.
const PAGE: usize = 100;
/// Lines of one export.
const EXPORT: usize = 100_000;

/// `GET /ui/api/audit`: a page of the trail, newest first.
pub fn list(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    operator(who)?;
    let query = request.form_query()?;
    let after = match query.get("cursor").filter(|text| !text.is_empty()) {
        Some(text) => Some(Position::parse(text).ok_or_else(|| Error::invalid("cursor is not one of ours"))?),
        None => None,
    };
    let fits = filter(&query)?;
    let (events, next) = app.store.read(|tx| audit::search(tx, &fits, after, PAGE))?;
    let rows: Vec<Value> = events.iter().map(line).collect();
    Ok(fresh(&json!({ "rows": rows, "next": next.map(Position::to_text) })))
}

/// `GET /ui/api/audit.csv`: the same, as one table of up to 100,000 lines.
pub fn export(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    operator(who)?;
    let query = request.form_query()?;
    let fits = filter(&query)?;
    let mut text = "time,who,what,subject,address\r\n".to_owned();
    let (mut after, mut count) = (None, 0);
    while count < EXPORT {
        let (events, next) = app.store.read(|tx| audit::search(tx, &fits, after, 1000))?;
        for event in &events {
            let address = event.address.map(|address| address.to_string()).unwrap_or_default();
            let cells = [&event.at.rfc3339_millis(), &event.who, &event.what, &event.subject, &address];
            text.push_str(&cells.map(|cell| rules::csv_cell(cell)).join(","));
            text.push_str("\r\n");
        }
        count += events.len();
        after = next;
        if after.is_none() {
            break;
        }
    }
    let response = Response::bytes(200, "text/csv; charset=utf-8", text);
    Ok(response.header("Content-Disposition", "attachment; filename=\"audit.csv\"").header("Cache-Control", "no-store"))
}

/// Every word given has to occur in its field, whatever its case.
fn filter(query: &Query) -> Result<impl Fn(&Event) -> bool + use<>> {
    let word = |name: &str| match query.get(name) {
        Some(text) if text.chars().count() > 200 => Err(Error::invalid(format!("{name} has at most 200 characters"))),
        text => Ok(text.unwrap_or_default().trim().to_lowercase()),
    };
    let (who, what, subject, from, until) = (word("who")?, word("what")?, word("q")?, word("from")?, word("until")?);
    for (name, day) in [("from", &from), ("until", &until)] {
        if !day.is_empty() && !rules::is_day(day) {
            return Err(Error::invalid(format!("{name} must be a day like 2026-11-21")));
        }
    }
    Ok(move |event: &Event| {
        let day = event.at.date();
        event.who.to_lowercase().contains(&who)
            && event.what.to_lowercase().contains(&what)
            && event.subject.to_lowercase().contains(&subject)
            && (from.is_empty() || day.as_str() >= from.as_str())
            && (until.is_empty() || day.as_str() <= until.as_str())
    })
}

/// One line of the trail.
pub(super) fn line(event: &Event) -> Value {
    json!({
        "at": event.at.rfc3339_millis(),
        "who": event.who,
        "what": event.what,
        "subject": event.subject,
        "address": event.address,
    })
}
