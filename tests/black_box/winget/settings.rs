//! Settings (`winget.md` A8).

use serde_json::json;

use super::{first, refused, says, sign_up};
use crate::server::Packhouse;

#[test]
fn defaults_changes_and_refusals() {
    let server = Packhouse::start();
    let admin = first(&server);
    let tenant = admin.setting("TENANT_ID");
    assert_eq!(
        admin.get("get_settings").is_json(200),
        json!({
            "CLIENT_AUTHENTICATION": "1", "IP_RESTRICTION": "DEFAULT", "PACKAGE_BLACKLIST": "", "TOS": "0",
            "TOS_TEXT": "", "TOS_URL": "", "MAX_CLIENTS": "0", "STORAGE_QUOTA": "0", "UPLOAD_TTL_HOURS": "24",
            "CLIENT_LATEST_VERSION": "2.5.0.0", "SERVERNAME": "", "TENANT_ID": tenant, "STORAGE_USED": "0",
            "STORAGE_RESERVED": "0",
        })
    );
    let several =
        [("TOS", "yes"), ("TOS_TEXT", "a\nb"), ("TOS_URL", "https://x/"), ("SERVERNAME", "Depot"), ("ELSE", "x")];
    says(&admin.send("PATCH", "edit_settings", &several), 200, "Settings were updated successfully!");
    let now = admin.get("get_settings").is_json(200);
    assert_eq!((&now["TOS"], &now["TOS_TEXT"], &now["SERVERNAME"]), (&json!("1"), &json!("a\nb"), &json!("Depot")));
    for bad in [
        ("CLIENT_AUTHENTICATION", "maybe"),
        ("IP_RESTRICTION", "10.0.0.300"),
        ("TOS_URL", "javascript:x"),
        ("MAX_CLIENTS", "-1"),
        ("STORAGE_QUOTA", "x"),
        ("UPLOAD_TTL_HOURS", "0"),
        ("TENANT_ID", "x"),
        ("STORAGE_USED", "0"),
        ("STORAGE_RESERVED", "0"),
    ] {
        refused(&admin.send("PATCH", "edit_settings", &[("SERVERNAME", "changed"), bad]), 400);
    }
    assert_eq!(admin.get("get_settings").is_json(200), now);
}

#[test]
fn two_keys_belong_to_the_operator() {
    let server = Packhouse::start();
    let (admin, other) = (first(&server), sign_up(&server, "other"));
    for key in ["MAX_CLIENTS", "STORAGE_QUOTA"] {
        admin.set(key, "5");
        refused(&other.send("PATCH", "edit_settings", &[(key, "5"), ("SERVERNAME", "x")]), 403);
    }
    assert_eq!((other.setting("MAX_CLIENTS"), other.setting("SERVERNAME")), ("0".into(), String::new()));
    other.set("SERVERNAME", "y");
    // The operator's API token reaches every tenant.
    let request = other.request("PATCH", "edit_settings").header("X", "y");
    drop(request);
    let request = crate::client::Request::new("PATCH", &super::path("other", "edit_settings"));
    let request = request.header("Authorization", &format!("Bearer {}", crate::server::ADMIN));
    assert_eq!(server.send(super::fields(request, &[("MAX_CLIENTS", "7")])).status, 200);
    assert_eq!(other.setting("MAX_CLIENTS"), "7");
}
