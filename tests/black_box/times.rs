//! What the audit trail keeps, by a clock that the test holds (`reliability.md` §10).

use serde_json::{Value, json};

use crate::client::Request;
use crate::clock::{DAY, HeldClock};
use crate::server::{ADMIN, ADMIN_PASSWORD, ADMIN_USER, Packhouse, wait_for};

/// Two years.
const KEPT: i64 = 2 * 365 * DAY;

#[track_caller]
fn owner(server: &Packhouse) -> String {
    let body = json!({ "username": ADMIN_USER, "password": ADMIN_PASSWORD });
    server.send(Request::post("/login").json(&body)).is_json(200)["token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn rows(server: &Packhouse, bearer: &str, path: &str) -> Vec<Value> {
    let request = Request::get(path).header("Authorization", &format!("Bearer {bearer}"));
    server.send(request).is_json(200)["rows"].as_array().unwrap().clone()
}

/// The products whose making is in the trail, newest first.
#[track_caller]
fn products(server: &Packhouse) -> Vec<String> {
    let rows = rows(server, &owner(server), "/ui/api/audit?what=product.create");
    rows.iter().map(|row| row["subject"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn create(server: &Packhouse, name: &str) {
    let request = Request::put("/product/create").token(ADMIN).json(&json!({ "name": name }));
    assert_eq!(server.send(request).status, 201);
}

/// Stops the server, which queues what is due by then, and starts it at another time. The job that was queued runs then;
/// answers what came of it.
#[track_caller]
fn start_at(server: &mut Packhouse, clock: &HeldClock, time: i64) -> String {
    assert!(server.stop().success());
    clock.move_to(time);
    server.start_again(|builder| builder);
    let bearer = owner(server);
    wait_for("the look at the trail", || {
        let job = rows(server, &bearer, "/ui/api/jobs?kind=audit-expire").into_iter().next()?;
        assert_ne!(job["state"], "failed", "{job}");
        (job["state"] == "done").then(|| job["outcome"].as_str().unwrap().to_owned())
    })
}

#[test]
fn the_trail_keeps_two_years() {
    let clock = HeldClock::new();
    let mut server = clock.with(Packhouse::with()).start();
    let begun = clock.now();
    // From the first stop on a day is counted until the next look.
    server.restart();
    create(&server, "ancient");
    assert!(server.stop().success());
    clock.move_to(begun + KEPT - 30 * DAY);
    server.start_again(|builder| builder);
    create(&server, "newer");

    assert_eq!(start_at(&mut server, &clock, begun + KEPT), "0 events removed");
    assert_eq!(products(&server), ["newer", "ancient"]);
    create(&server, "newest");
    let outcome = start_at(&mut server, &clock, begun + KEPT + 1);
    assert_ne!(outcome, "0 events removed");
    assert_eq!(products(&server), ["newest", "newer"]);
}

#[test]
fn a_clock_that_runs_ahead_does_not_empty_the_trail() {
    let clock = HeldClock::new();
    let mut server = clock.with(Packhouse::with()).start();
    let begun = clock.now();
    server.restart();
    create(&server, "kept");
    assert!(server.stop().success());
    clock.move_to(begun + 2 * DAY);
    server.start_again(|builder| builder);
    assert_eq!(start_at(&mut server, &clock, begun + 10 * KEPT), "0 events removed");
    assert_eq!(products(&server), ["kept"]);
}
