//! What ends by the clock: uploads nobody goes on with, signed links (`winget.md` A7, B7).

use super::{Admin, local, refused};
use crate::client::Request;
use crate::clock::{DAY, HOUR, HeldClock, MINUTE};
use crate::files::noise;
use crate::server::{ADMIN, ADMIN_USER, Packhouse, wait_for};

/// The administrator by a token that does not end while the clock moves.
fn admin(server: &Packhouse) -> Admin<'_> {
    Admin { server, tenant: ADMIN_USER.to_owned(), token: ADMIN.to_owned() }
}

/// Status of an upload: 200 while it is there, 404 when it is not.
fn status(admin: &Admin<'_>, id: &str) -> u16 {
    admin.server.send(admin.request("GET", "upload_package_version").header("X-File-ID", id)).status
}

#[test]
fn uploads_end_a_day_after_their_last_chunk() {
    let clock = HeldClock::new();
    let mut server = clock.with(Packhouse::with()).start();
    let begun = clock.now();
    {
        let admin = admin(&server);
        assert_eq!(admin.chunk("half.exe", "bytes 0-9/100", &noise(1, 10)).status, 200);
        assert_eq!(admin.chunk("later.exe", "bytes 0-9/1000", &noise(2, 10)).status, 200);
        assert_eq!(admin.setting("STORAGE_RESERVED"), "1100");
    }
    let restart_at = |server: &mut Packhouse, time: i64| {
        assert!(server.stop().success());
        clock.move_to(time);
        server.start_again(|builder| builder);
    };
    // A chunk in time, also one that says nothing new, lets an upload live on.
    restart_at(&mut server, begun + 20 * HOUR);
    assert_eq!(admin(&server).chunk("later.exe", "bytes 10-19/1000", &noise(3, 10)).status, 200);
    let name = admin(&server).upload("whole.msi", &noise(4, 500));
    restart_at(&mut server, begun + DAY - MINUTE);
    for id in ["half.exe", "later.exe", "whole.msi"] {
        assert_eq!(status(&admin(&server), id), 200, "{id}");
    }
    restart_at(&mut server, begun + DAY + MINUTE);
    assert_eq!(status(&admin(&server), "half.exe"), 404);
    assert_eq!(status(&admin(&server), "later.exe"), 200);
    assert_eq!(admin(&server).setting("STORAGE_RESERVED"), "1500");

    // A finished one ends as well, with its bytes; what was claimed in time stays.
    admin(&server).package("A.B");
    let kept = admin(&server).upload("kept.exe", b"claimed in time");
    let row = admin(&server).try_version("A.B", &kept, &[]).is_json(201)["UID"].as_str().unwrap().to_owned();
    restart_at(&mut server, begun + 2 * DAY);
    assert_eq!((status(&admin(&server), "later.exe"), status(&admin(&server), "whole.msi")), (404, 404));
    refused(&admin(&server).try_version("A.B", &name, &[("package_version", "2")]), 400);
    assert_eq!(admin(&server).setting("STORAGE_RESERVED"), "0");
    assert_eq!(admin(&server).row(&row)["VERSION"], "1.0");
    wait_for("the stage to be empty", || server.stage_files().is_empty().then_some(()));
    wait_for("the bytes of the finished one to go", || (server.shelf_files().len() == 1).then_some(()));
}

#[test]
fn uploads_end_while_the_server_runs_by_the_hours_their_tenant_gives() {
    let clock = HeldClock::new();
    let server = clock.with(Packhouse::with()).start();
    let admin = admin(&server);
    admin.set("UPLOAD_TTL_HOURS", "3");
    assert_eq!(admin.chunk("x.exe", "bytes 0-9/100", &noise(1, 10)).status, 200);
    let begun = clock.now();
    // The sweep comes once an hour, by itself.
    clock.move_to(begun + 2 * HOUR);
    assert_eq!(status(&admin, "x.exe"), 200);
    clock.move_to(begun + 3 * HOUR + MINUTE);
    let mut looks = 0;
    wait_for("the upload to be dropped", || {
        looks += 1;
        // The last sweep may have been less than an hour ago. An hour more every few seconds is no jump of the clock.
        if looks % 300 == 1 {
            clock.advance(HOUR + MINUTE);
        }
        (status(&admin, "x.exe") == 404).then_some(())
    });
    assert_eq!(admin.setting("STORAGE_RESERVED"), "0");
    wait_for("its bytes to go", || server.stage_files().is_empty().then_some(()));
}

#[test]
fn signed_links_are_good_for_a_day() {
    let clock = HeldClock::new();
    let server = clock.with(Packhouse::with()).start();
    let admin = admin(&server);
    admin.package("A.B");
    admin.version("A.B", b"the bytes", &[]);
    let (_, token) = admin.client("pc");
    let link = || {
        let request = Request::get(&format!("/winget/{ADMIN_USER}/t/{token}/packageManifests/A.B"));
        let manifest = server.send(request).is_json(200);
        let url = manifest["Data"]["Versions"][0]["Installers"][0]["InstallerUrl"].as_str().unwrap();
        local(&server, url).to_owned()
    };
    let (begun, first) = (clock.now(), link());
    let get = |link: &str| server.send(Request::get(link)).status;
    for (after, expected) in [(0, 200), (DAY - 1, 200), (DAY + MINUTE, 200), (DAY + MINUTE + 1, 403), (9 * DAY, 403)] {
        clock.move_to(begun + after);
        assert_eq!(get(&first), expected, "after {after} s");
        // The manifest was kept ready; its links are of this hour all the same.
        let fresh = link();
        assert_eq!((get(&fresh), fresh == first), (200, after == 0), "after {after} s");
    }
}
