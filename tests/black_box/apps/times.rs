//! What ends by the clock: sessions, signed links, what telemetry keeps (`faynosync.md` §2, §10, §12).

use serde_json::{Value, json};

use super::{Person, asks, first, is_error_of, link, local, plus, release, with_query};
use crate::client::Request;
use crate::clock::{DAY, HOUR, HeldClock, MINUTE};
use crate::server::Packhouse;

/// A server, and the clock it goes by.
fn start() -> (HeldClock, Packhouse) {
    let clock = HeldClock::new();
    let server = clock.with(Packhouse::with()).start();
    (clock, server)
}

#[test]
fn a_session_ends_after_a_day_and_a_minute_of_tolerance() {
    let (clock, mut server) = start();
    let (early, begun) = (first(&server).token, clock.now());
    clock.advance(12 * HOUR);
    let late = first(&server).token;
    let status = |server: &Packhouse, token: &str| {
        server.send(Request::get("/whoami").header("Authorization", &format!("Bearer {token}"))).status
    };
    // Using it does not prolong it.
    for (after, early_lives) in [
        (13 * HOUR, true),
        (DAY - 1, true),
        (DAY, true),
        (DAY + MINUTE, true),
        (DAY + MINUTE + 1, false),
        (DAY + 2 * HOUR, false),
    ] {
        clock.move_to(begun + after);
        assert_eq!(status(&server, &early), if early_lives { 200 } else { 401 }, "after {after} s");
        assert_eq!(status(&server, &late), 200, "after {after} s");
    }
    server.restart();
    assert_eq!((status(&server, &early), status(&server, &late)), (401, 200));
    clock.move_to(begun + 12 * HOUR + DAY + MINUTE + 1);
    is_error_of(&server.send(Request::get("/whoami").header("Authorization", &format!("Bearer {late}"))), 401);
    // A clock that was put back to the right time ends nothing that was made before.
    let ahead = first(&server).token;
    clock.move_to(begun);
    assert_eq!(status(&server, &ahead), 200);
    clock.move_to(begun + DAY + MINUTE + 1);
    assert_eq!(status(&server, &ahead), 401, "it lives a day from when the clock was put right");
}

#[test]
fn a_signed_link_is_good_for_a_quarter_of_an_hour() {
    let (clock, server) = start();
    let admin = first(&server);
    admin.set_up();
    admin.create_app_with(&json!({ "app": "hidden", "private": true }), &[]);
    let data = plus(&release("1.0"), json!({ "app_name": "hidden" }));
    admin.release(&data, &[("hidden.deb", b"secret bytes")]);
    let plain = link(&server, "hidden/stable/linux/amd64/hidden-1.0.deb");
    let signed = admin.get(local(&server, &plain)).is_json(200)["download_url"].as_str().unwrap().to_owned();
    server.secret(signed.rsplit_once("signature=").unwrap().1);
    let made = clock.now();
    for (after, good) in [(0, true), (15 * MINUTE, true), (16 * MINUTE, true), (16 * MINUTE + 1, false), (DAY, false)] {
        clock.move_to(made + after);
        let answer = super::ask(&server, local(&server, &signed));
        match good {
            true => assert_eq!((answer.status, answer.text()), (200, "secret bytes"), "after {after} s"),
            false => drop(answer.is_error(403, "link expired or invalid")),
        }
    }
}

/// One check of `device`, in the version it has.
#[track_caller]
fn seen(server: &Packhouse, device: &str, version: &str) {
    let path = with_query("/checkVersion", &asks(version));
    assert_eq!(server.send(Request::get(&path).header("X-Device-ID", device)).status, 200);
}

/// Requests and clients of a day, or of a range.
#[track_caller]
fn told(admin: &Person<'_>, pairs: &[(&str, &str)]) -> (Value, Value) {
    let value = admin.get(&with_query("/telemetry", pairs)).is_json(200);
    (value["summary"]["total_requests"].clone(), value["summary"]["unique_clients"].clone())
}

#[test]
fn telemetry_keeps_thirty_days_beside_today() {
    let (clock, mut server) = start();
    let begun = clock.now();
    let days = |days: i64| begun + days * DAY;
    // Stopping writes what was counted, and drops what is too old by then.
    let restart_at = |server: &mut Packhouse, time: i64| {
        assert!(server.stop().success());
        clock.move_to(time);
        server.start_again(|builder| builder);
    };
    let old = clock.date();
    {
        let admin = first(&server);
        admin.set_up();
        admin.release(&release("0.0.2"), &[("a.deb", b"a")]);
        seen(&server, "one", "0.0.1");
        seen(&server, "one", "0.0.1");
        assert_eq!(told(&admin, &[("date", &old)]), (json!(2), json!(1)));
    }
    restart_at(&mut server, days(20));
    seen(&server, "two", "0.0.2");
    assert_eq!(told(&first(&server), &[]), (json!(1), json!(1)));
    assert_eq!(told(&first(&server), &[("range", "week")]), (json!(1), json!(1)));
    assert_eq!(told(&first(&server), &[("range", "month")]), (json!(3), json!(2)));

    // The thirtieth day after still belongs to a month.
    restart_at(&mut server, days(30));
    seen(&server, "one", "0.0.2");
    assert_eq!(told(&first(&server), &[("range", "month")]), (json!(4), json!(2)));
    assert_eq!(told(&first(&server), &[("date", &old)]), (json!(2), json!(1)));
    server.restart();
    assert_eq!(told(&first(&server), &[("date", &old)]), (json!(2), json!(1)), "nothing is dropped too early");
    restart_at(&mut server, days(31));
    assert_eq!(told(&first(&server), &[("range", "month")]), (json!(2), json!(2)));
    seen(&server, "three", "0.0.1");
    server.restart();
    assert_eq!(told(&first(&server), &[("date", &old)]), (json!(0), json!(0)));
    assert_eq!(told(&first(&server), &[("range", "month")]), (json!(3), json!(3)));

    // A clock that runs years ahead empties nothing.
    restart_at(&mut server, days(2000));
    seen(&server, "four", "0.0.1");
    assert_eq!(told(&first(&server), &[("date", &clock.date())]), (json!(1), json!(1)));
    restart_at(&mut server, days(31));
    assert_eq!(told(&first(&server), &[("range", "month")]), (json!(3), json!(3)));
}
