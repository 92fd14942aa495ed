//! The documentation that `GET docs` shows.

/// Routes of the Winget-Repo API, with what they take.
pub const TEXT: &str = "\
Winget-Repo API

All paths begin with /cloud/client/api/TENANT. Forms may be urlencoded or multipart; answers are JSON; errors are
{\"detail\": text}. [B] asks for `Authorization: Bearer TOKEN` with a token from login.

POST   login                      username, password
POST   logout                     token
GET    test                   [B]
POST   client_version             auth_token, client
POST   get_packages               auth_token, client; query include_disabled

POST   add_package            [B] package_id, package_name, package_publisher, package_description, Logo (file)
PATCH  edit_package/ID        [B] package_name, package_publisher, package_description, package_active, Logo (file)
DELETE delete_package/ID      [B]
GET    get_package_versions/ID            [B]
GET    get_specific_package_version/UID   [B]
POST   add_package_version/ID             [B] server_filename (or file, or sha256), package_version, file_architect,
           file_type, file_scope, package_locale, channel, switch_..., productcode, upgradecode, package_family_name,
           file_type_nested, file_nested_path, upgrades, dep_windows_features, dep_windows_libraries, dep_external,
           dep_pkg_identifier, dep_pkg_min_version
DELETE delete_package_version/ID          [B] versions_uids
POST   upload_package_version             [B] headers X-File-ID, Content-Range: bytes START-END/TOTAL; the bytes
GET    upload_package_version             [B] header X-File-ID: how far the upload is
DELETE upload_package_version             [B] header X-File-ID: drops it

GET    get_clients            [B]
POST   add_client             [B] client_name
PATCH  edit_client/CLIENT     [B] client_name, enabled, blocked_ips
DELETE delete_client/CLIENT/AUTH_TOKEN    [B]
GET    get_blacklist/CLIENT, PUT edit_blacklist/CLIENT       [B] packages, groups
GET    get_blacklist_groups, POST add_blacklist_group, PUT edit_blacklist_group/GROUP,
DELETE delete_blacklist_group/GROUP       [B] group_name, packages
GET    get_client_logs/CLIENT, DELETE clear_client_logs/CLIENT   [B] EXTERN: callers who are no client
GET    get_settings, PATCH edit_settings  [B] CLIENT_AUTHENTICATION, IP_RESTRICTION, PACKAGE_BLACKLIST, TOS, TOS_TEXT,
           TOS_URL, MAX_CLIENTS, STORAGE_QUOTA, UPLOAD_TTL_HOURS, CLIENT_LATEST_VERSION, SERVERNAME
";
