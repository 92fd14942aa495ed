//! What ends by the clock: logins, links of installers, unfinished uploads (`winget.md` A2, A7, B7).

use std::time::{Duration, Instant};

use super::{first, local, refused};
use crate::client::Request;
use crate::clock::{DAY, HOUR, HeldClock, MINUTE};
use crate::server::{Packhouse, wait_for};

/// A server, and the clock it goes by.
fn start() -> (HeldClock, Packhouse) {
    let clock = HeldClock::new();
    let server = clock.with(Packhouse::with()).start();
    (clock, server)
}

#[test]
fn a_login_ends_after_an_idle_hour_and_after_a_day() {
    let (clock, mut server) = start();
    let (idle, busy, begun) = (first(&server).token, first(&server).token, clock.now());
    let status = |server: &Packhouse, token: &str| {
        let target = super::path(crate::server::ADMIN_USER, "test");
        server.send(Request::get(&target).header("Authorization", &format!("Bearer {token}"))).status
    };
    clock.advance(HOUR);
    assert_eq!((status(&server, &idle), status(&server, &busy)), (200, 200));
    clock.advance(HOUR - MINUTE);
    assert_eq!(status(&server, &busy), 200);
    clock.advance(MINUTE + 1);
    assert_eq!((status(&server, &idle), status(&server, &busy)), (401, 200));
    // The last use is known after a restart.
    clock.advance(HOUR - MINUTE);
    assert_eq!(status(&server, &busy), 200);
    server.restart();
    clock.advance(HOUR);
    assert_eq!(status(&server, &busy), 200);
    // Whatever is done, a day is the end, with a minute of tolerance.
    while clock.now() + HOUR < begun + DAY {
        clock.advance(HOUR);
        assert_eq!(status(&server, &busy), 200);
    }
    for time in [begun + DAY - MINUTE, begun + DAY + MINUTE] {
        clock.move_to(time);
        assert_eq!(status(&server, &busy), 200);
    }
    clock.advance(1);
    assert_eq!(status(&server, &busy), 401);
}

#[test]
fn a_link_of_an_installer_ends_within_a_day() {
    let (clock, server) = start();
    let admin = first(&server);
    admin.package("A");
    let uid = admin.version("A", b"installer", &[]);
    let link = local(&server, admin.row(&uid)["INSTALLER_URL"].as_str().unwrap()).to_owned();
    let ends: i64 = link.split_once("?e=").unwrap().1.split('&').next().unwrap().parse().unwrap();
    assert!(ends <= clock.now() + DAY && ends > clock.now() + DAY - HOUR, "{ends}");
    for (time, good) in [(clock.now(), true), (ends, true), (ends + MINUTE, true), (ends + MINUTE + 1, false)] {
        clock.move_to(time);
        let answer = server.send(Request::get(&link));
        assert_eq!(answer.status, if good { 200 } else { 403 }, "at {time}, it ends at {ends}");
    }
}

#[test]
fn an_unfinished_upload_goes_after_its_time() {
    let (clock, mut server) = start();
    let begun = clock.now();
    first(&server).set("UPLOAD_TTL_HOURS", "5");
    assert_eq!(first(&server).chunk("a.exe_1", "bytes 0-4/10", b"halfw").status, 200);
    assert_eq!(server.stage_files().len(), 1);
    // A start looks at what is over.
    for after in [HOUR, 5 * HOUR] {
        assert!(server.stop().success());
        clock.move_to(begun + after);
        server.start_again(|builder| builder);
        assert_eq!((server.stage_files().len(), first(&server).setting("STORAGE_RESERVED")), (1, "10".to_owned()));
    }
    assert!(server.stop().success());
    clock.advance(1);
    server.start_again(|builder| builder);
    assert_eq!((server.stage_files().len(), first(&server).setting("STORAGE_RESERVED")), (0, "0".to_owned()));
    let admin = first(&server);
    let status = admin.request("GET", "upload_package_version").header("X-File-ID", "a.exe_1");
    refused(&server.send(status), 404);

    // A running server looks once an hour; whoever goes on with an upload keeps it.
    assert_eq!(admin.chunk("b.exe_1", "bytes 0-4/10", b"halfw").status, 200);
    clock.advance(3 * HOUR);
    assert_eq!(first(&server).chunk("b.exe_1", "bytes 5-6/10", b"ay").status, 200);
    let touched = clock.now();
    // Two looks an hour apart are enough; more than a day between them would make the clock doubtful.
    for _ in 0..12 {
        clock.advance(HOUR);
        let looked = Instant::now();
        while !server.stage_files().is_empty() && looked.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(server.stage_files().len() == 1 || clock.now() > touched + 5 * HOUR, "dropped too early");
    }
    wait_for("the upload to be dropped", || server.stage_files().is_empty().then_some(()));
    assert_eq!(first(&server).setting("STORAGE_RESERVED"), "0");
}
