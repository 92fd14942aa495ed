//! From an upload to an installed program, over HTTPS and request by request as the real client makes them (B1, B4 to
//! B8): the machine is `tests/clients/winget/client.py`.

use super::*;
use crate::files::noise;
use crate::server::wait_for;
use std::process::Command;

#[test]
fn from_an_upload_to_an_upgrade() {
    let server = Packhouse::with().arg("--tls-listen").arg("127.0.0.1:0").start();
    let port = wait_for("the address of HTTPS", || {
        let log = server.log();
        let address = log.lines().find_map(|line| line.trim().strip_prefix("listening on https://"))?;
        address.rsplit_once(':')?.1.parse::<u16>().ok()
    });
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("ca.crt");
    std::fs::write(&root, &server.send(Request::get("/tls/ca.crt")).body).unwrap();
    for (seed, (name, size)) in [("one.exe", 70_000), ("two.exe", 7 << 20), ("app.msix", 3 << 20)].iter().enumerate() {
        std::fs::write(place.path().join(name), noise(seed as u64, *size)).unwrap();
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/winget/client.py");
    let mut machine = Command::new("python3");
    machine.arg("-B").arg(program).arg(root).arg(format!("https://localhost:{port}"));
    let ended = machine.args([ADMIN_USER, ADMIN_TOKEN]).arg(place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && ended.stdout == b"done\n", "{said}");
}
