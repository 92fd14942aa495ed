//! `faynosync.md` §8: `GET /apps/latest`.

use serde_json::json;

use crate::client::Answer;
use crate::server::Packhouse;

use super::{ask, first, is_exactly, link, plus, release, sign_up, with_query};

const MISSING: &str = "Parameters 'app_name' and 'channel' are required";
const NONE: &str = "No matching data found for the provided parameters";
const UNKNOWN: &str = "app_name not found in apps_meta collection";

#[track_caller]
fn latest(server: &Packhouse, pairs: &[(&str, &str)]) -> Answer {
    ask(server, &with_query("/apps/latest", pairs))
}

#[track_caller]
fn leads_to(answer: &Answer, link: &str) {
    assert_eq!((answer.status, answer.header("Location")), (302, Some(link)));
}

#[test]
fn rows() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.set_up();
    let put = |version: &str, platform: &str, arch: &str, publish: bool, files: &[(&str, &[u8])]| {
        admin.release(
            &plus(&release(version), json!({ "platform": platform, "arch": arch, "publish": publish })),
            files,
        );
    };
    put("0.0.1", "linux", "amd64", true, &[("a.deb", b"1")]);
    put("0.0.2", "linux", "amd64", true, &[("a.deb", b"2"), ("a.rpm", b"2"), ("a", b"2")]);
    put("0.0.2", "windows", "amd64", true, &[("a.exe", b"2")]);
    put("0.0.3", "linux", "arm64", true, &[("a.deb", b"3")]);
    put("0.0.9", "linux", "amd64", false, &[("a.deb", b"9")]);
    let url = |version: &str, platform: &str, arch: &str, extension: &str| json!({ "url": link(&server, &format!("secondapp/stable/{platform}/{arch}/secondapp-{version}{extension}")) });
    let app = ("app_name", "secondapp");
    let stable = ("channel", "stable");

    latest(&server, &[]).is_error(400, MISSING);
    latest(&server, &[stable]).is_error(400, MISSING);
    latest(&server, &[app]).is_error(400, MISSING);
    latest(&server, &[("app_name", ""), stable]).is_error(400, MISSING);
    latest(&server, &[app, ("channel", "")]).is_error(400, MISSING);
    latest(&server, &[("app_name", "unknown"), stable]).is_error(404, UNKNOWN);
    latest(&server, &[app, ("channel", "unknown")]).is_error(404, UNKNOWN);
    latest(&server, &[app, stable, ("owner", "unknown")]).is_error(404, UNKNOWN);
    latest(&server, &[app, ("channel", "nightly")]).is_error(404, NONE);
    latest(&server, &[app, stable, ("package", "msi")]).is_error(404, NONE);
    latest(&server, &[app, stable, ("platform", "windows"), ("arch", "arm64")]).is_error(404, NONE);

    // The highest version that has a matching artifact.
    let arm = link(&server, "secondapp/stable/linux/arm64/secondapp-0.0.3.deb");
    leads_to(&latest(&server, &[app, stable]), &arm);
    leads_to(&latest(&server, &[app, stable, ("arch", "arm64")]), &arm);
    let expected = json!({ "stable": { "linux": { "amd64": {
        "deb": url("0.0.2", "linux", "amd64", ".deb"), "rpm": url("0.0.2", "linux", "amd64", ".rpm"),
        "no-extension": url("0.0.2", "linux", "amd64", ""),
    } }, "windows": { "amd64": { "exe": url("0.0.2", "windows", "amd64", ".exe") } } } });
    is_exactly(&latest(&server, &[app, stable, ("arch", "amd64")]), 200, &expected);
    let only = json!({ "stable": { "linux": expected["stable"]["linux"] } });
    is_exactly(&latest(&server, &[app, stable, ("arch", "amd64"), ("platform", "linux")]), 200, &only);
    is_exactly(&latest(&server, &[app, stable, ("arch", "amd64"), ("platform", "linux"), ("package", "")]), 200, &only);
    let exe = link(&server, "secondapp/stable/windows/amd64/secondapp-0.0.2.exe");
    leads_to(&latest(&server, &[app, stable, ("platform", "windows")]), &exe);
    leads_to(&latest(&server, &[app, stable, ("package", "exe")]), &exe);
    let deb = link(&server, "secondapp/stable/linux/amd64/secondapp-0.0.2.deb");
    leads_to(&latest(&server, &[app, stable, ("platform", "linux"), ("arch", "amd64"), ("package", "deb")]), &deb);
    let rpm = link(&server, "secondapp/stable/linux/amd64/secondapp-0.0.2.rpm");
    leads_to(&latest(&server, &[app, stable, ("package", "rpm")]), &rpm);
}

#[test]
fn without_names() {
    let server = Packhouse::start();
    let admin = first(&server);
    admin.create_app("secondapp");
    let data = json!({ "app_name": "secondapp", "version": "1.0", "publish": true });
    admin.release(&data, &[("a.deb", b"d"), ("a.tar.gz", b"t")]);
    let url = |extension: &str| json!({ "url": link(&server, &format!("secondapp/secondapp-1.0{extension}")) });
    let expected = json!({ "default": { "default": { "default": { "deb": url(".deb"), "tar.gz": url(".tar.gz") } } } });
    is_exactly(&latest(&server, &[("app_name", "secondapp")]), 200, &expected);
    leads_to(
        &latest(&server, &[("app_name", "secondapp"), ("package", "tar.gz")]),
        url(".tar.gz")["url"].as_str().unwrap(),
    );
}

#[test]
fn of_another_owner() {
    let server = Packhouse::start();
    let other = sign_up(&server, "other");
    other.set_up();
    other.release(&release("1.0"), &[("a.deb", b"bytes")]);
    let pairs = [("app_name", "secondapp"), ("channel", "stable")];
    latest(&server, &pairs).is_error(404, UNKNOWN);
    let found = link(&server, "secondapp/stable/linux/amd64/secondapp-1.0.deb&owner=other");
    leads_to(&latest(&server, &super::and(&pairs, "owner", "other")), &found);
    assert_eq!(super::fetch(&server, &found), b"bytes");
}
