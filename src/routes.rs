//! The map: method, path, gate, lane, handler and error words of every address of every dialect.

use std::borrow::Cow;

use crate::app::App;
use crate::apps::{
    self, accounts, axes, catalogue, downloads, folder, lists, releases, removal, statistics, team, updates, velopack,
};
use crate::certificates::pages as tls;
use crate::console;
use crate::error::{Error, Result};
use crate::feeds::{self, api as repos, bundle, contents, housekeeping, serve, snapshots, uploads, upstream_api};
use crate::http::Method::{self, Delete, Get, Options, Patch, Post, Put};
use crate::http::{Head, Lane, Request, Response, Router, allow_value};
use crate::identity::Principal;
use crate::products::{self, api, files, keys};
use crate::refpacks;
use crate::shared_doors;
use crate::winget::{self, source};

/// Who may knock on a route. What is then allowed is the room's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Everybody.
    Open,
    /// Holders of an API token, sent as `X-Api-Token`.
    Token,
    /// Holders of an API token or a login, sent as `X-API-Key` or `Authorization: Bearer`.
    Key,
    /// Whoever logged in, and tokens sent as `Authorization: Bearer`.
    Login,
    /// Owners and admin tokens, sent as `Authorization: Bearer`, `X-Api-Token` or `X-API-Key` (`repos.md` §1).
    Admin,
}

/// How a route's requests are worked on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Which pool.
    pub lane: Lane,
    /// Bytes of body collected before a worker is taken.
    pub collect: u64,
}

/// A handler: decode, call, encode.
pub type Handler = fn(&App, &Principal, &mut Request) -> Result<Response>;

/// One line of the map.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Who may knock.
    pub gate: Gate,
    /// Which pool serves it, and how its body arrives.
    pub pace: Pace,
    /// What serves it.
    pub handler: Handler,
    /// How its room prints errors.
    pub errors: fn(&Error) -> Response,
}

/// The largest body that is collected, in bytes; what a route reads above it is streamed.
const QUICK_BODY: u64 = 1 << 20;

/// How paths and methods that are not on the map are answered.
pub const UNKNOWN: Pace = QUICK;

/// Short work that waits for nobody: the body is complete before a worker is taken. There are about as many quick
/// workers as cores, so a handler that waits for a disk or a password hash has no place here.
const QUICK: Pace = Pace { lane: Lane::Quick, collect: QUICK_BODY };
/// Work that waits, for a commit, a password hash or a long read: the body is complete too, but no quick worker is held.
const SLOW: Pace = Pace { lane: Lane::Transfer, collect: QUICK_BODY };
/// The handler reads the body as it comes.
const TRANSFER: Pace = Pace { lane: Lane::Transfer, collect: 0 };

type Line = (Method, &'static str, Gate, Pace, Handler, fn(&Error) -> Response);

/// Addresses that two dialects share.
#[rustfmt::skip]
const SHARED: &[Line] = &[
    // method  path       gate         lane   handler               (room's errors)
    (Get,     "/",        Gate::Open,  QUICK, shared_doors::welcome, apps::error_response),
    (Get,     "/health",  Gate::Open,  QUICK, shared_doors::health,  products::error_response),
    (Get,     "/tls",     Gate::Open,  QUICK, tls::instructions,     products::error_response),
    (Get,     "/tls/ca.crt", Gate::Open, QUICK, tls::root_pem,       products::error_response),
    (Get,     "/tls/ca.cer", Gate::Open, QUICK, tls::root_der,       products::error_response),
    (Get,     "/winget/ca.cer", Gate::Open, QUICK, tls::root_der,    products::error_response),
];

/// The products dialect, served at the root and below `/api`.
#[rustfmt::skip]
const PRODUCTS: &[Line] = &[
    (Put,     "/register",                           Gate::Token, SLOW,     keys::register,      products::error_response),
    (Get,     "/fetch/{token}",                      Gate::Token, QUICK,    keys::fetch,         products::error_response),
    (Get,     "/tokens",                             Gate::Token, QUICK,    keys::list,          products::error_response),
    (Delete,  "/prune/{token}",                      Gate::Token, SLOW,     keys::prune,         products::error_response),
    (Get,     "/product/access",                     Gate::Token, QUICK,    api::access,         products::error_response),
    (Get,     "/product/list",                       Gate::Token, QUICK,    api::access,         products::error_response),
    (Put,     "/product/create",                     Gate::Token, SLOW,     api::create,         products::error_response),
    (Get,     "/product/fetch/{product}",            Gate::Token, QUICK,    api::fetch,          products::error_response),
    (Delete,  "/product/delete/{product}",           Gate::Token, SLOW,     api::delete,         products::error_response),
    (Put,     "/product/modify/addToken",            Gate::Token, SLOW,     api::add_token,      products::error_response),
    (Delete,  "/product/modify/deleteToken",         Gate::Token, SLOW,     api::delete_token,   products::error_response),
    (Delete,  "/product/modify/deleteVersion",       Gate::Token, SLOW,     api::delete_version, products::error_response),
    (Put,     "/product/modify/{action}",            Gate::Token, SLOW,     api::unknown_action, products::error_response),
    (Delete,  "/product/modify/{action}",            Gate::Token, SLOW,     api::unknown_action, products::error_response),
    (Post,    "/product/upload",                     Gate::Token, TRANSFER, files::upload,       products::version_error_response),
    (Get,     "/product/download/{product}/{version}", Gate::Token, QUICK,    files::download,   products::version_error_response),
    (Delete,  "/product/delete/{product}/{version}", Gate::Token, SLOW,     files::delete,       products::version_error_response),
];

/// The RefPack dialect. Ids may hold a slash, so the room reads the paths below `/packages/` itself; every method goes
/// there, and archiving asks for its key there.
#[rustfmt::skip]
const REFPACKS: &[Line] = &[
    (Get,     "/packages",                           Gate::Open,  SLOW,     refpacks::api::list,      refpacks::error_response),
    (Post,    "/packages",                           Gate::Key,   TRANSFER, refpacks::upload::upload, refpacks::error_response),
    (Get,     "/packages/{rest*}",                   Gate::Open,  QUICK,    refpacks::api::below,     refpacks::error_response),
    (Post,    "/packages/{rest*}",                   Gate::Open,  TRANSFER, refpacks::api::below,     refpacks::error_response),
    (Put,     "/packages/{rest*}",                   Gate::Open,  SLOW,     refpacks::api::below,     refpacks::error_response),
    (Delete,  "/packages/{rest*}",                   Gate::Open,  SLOW,     refpacks::api::below,     refpacks::error_response),
    (Patch,   "/packages/{rest*}",                   Gate::Open,  SLOW,     refpacks::api::below,     refpacks::error_response),
    (Options, "/packages/{rest*}",                   Gate::Open,  QUICK,    refpacks::api::below,     refpacks::error_response),
];

/// The app-update dialect.
#[rustfmt::skip]
const APPS: &[Line] = &[
    (Post,    "/signup",              Gate::Open,  SLOW,     accounts::signup,          apps::error_response),
    (Post,    "/login",               Gate::Open,  SLOW,     accounts::login,           apps::error_response),
    (Get,     "/whoami",              Gate::Login, QUICK,    accounts::whoami,          apps::error_response),
    (Post,    "/admin/update",        Gate::Login, SLOW,     accounts::update,          apps::error_response),
    (Post,    "/user/create",         Gate::Login, SLOW,     team::create,              apps::error_response),
    (Post,    "/user/update",         Gate::Login, SLOW,     team::update,              apps::error_response),
    (Get,     "/users/list",          Gate::Login, QUICK,    team::list,                apps::error_response),
    (Delete,  "/user/delete",         Gate::Login, SLOW,     team::delete,              apps::error_response),
    (Post,    "/token/create",        Gate::Login, SLOW,     apps::tokens::create,      apps::error_response),
    (Get,     "/token/list",          Gate::Login, QUICK,    apps::tokens::list,        apps::error_response),
    (Delete,  "/token/delete",        Gate::Login, SLOW,     apps::tokens::delete,      apps::error_response),
    (Post,    "/channel/create",      Gate::Login, SLOW,     axes::channels::create,    apps::error_response),
    (Get,     "/channel/list",        Gate::Login, QUICK,    axes::channels::list,      apps::error_response),
    (Post,    "/channel/update",      Gate::Login, SLOW,     axes::channels::update,    apps::error_response),
    (Delete,  "/channel/delete",      Gate::Login, SLOW,     axes::channels::delete,    apps::error_response),
    (Post,    "/platform/create",     Gate::Login, SLOW,     axes::platforms::create,   apps::error_response),
    (Get,     "/platform/list",       Gate::Login, QUICK,    axes::platforms::list,     apps::error_response),
    (Post,    "/platform/update",     Gate::Login, SLOW,     axes::platforms::update,   apps::error_response),
    (Delete,  "/platform/delete",     Gate::Login, SLOW,     axes::platforms::delete,   apps::error_response),
    (Post,    "/arch/create",         Gate::Login, SLOW,     axes::archs::create,       apps::error_response),
    (Get,     "/arch/list",           Gate::Login, QUICK,    axes::archs::list,         apps::error_response),
    (Post,    "/arch/update",         Gate::Login, SLOW,     axes::archs::update,       apps::error_response),
    (Delete,  "/arch/delete",         Gate::Login, SLOW,     axes::archs::delete,       apps::error_response),
    (Post,    "/app/create",          Gate::Login, TRANSFER, catalogue::create,         apps::error_response),
    (Get,     "/app/list",            Gate::Login, QUICK,    catalogue::list,           apps::error_response),
    (Post,    "/app/update",          Gate::Login, TRANSFER, catalogue::update,         apps::error_response),
    (Delete,  "/app/delete",          Gate::Login, SLOW,     catalogue::delete,         apps::error_response),
    (Get,     "/app/logo/{id}",       Gate::Open,  QUICK,    catalogue::picture,        apps::error_response),
    (Post,    "/upload",              Gate::Login, TRANSFER, releases::upload,          apps::error_response),
    (Post,    "/apps/update",         Gate::Login, TRANSFER, releases::update,          apps::error_response),
    (Post,    "/artifact/delete",     Gate::Login, TRANSFER, removal::artifacts,        apps::error_response),
    (Delete,  "/apps/delete",         Gate::Login, SLOW,     removal::version,          apps::error_response),
    (Get,     "/search",              Gate::Login, QUICK,    lists::search,             apps::error_response),
    (Get,     "/checkVersion",        Gate::Open,  QUICK,    updates::check,            apps::error_response),
    (Get,     "/apps/latest",         Gate::Open,  QUICK,    updates::latest,           apps::error_response),
    (Get,     "/download",            Gate::Open,  QUICK,    downloads::by_query,       apps::error_response),
    (Get,     "/download/{key*}",     Gate::Open,  QUICK,    downloads::by_path,        apps::error_response),
    (Get,     "/telemetry",           Gate::Login, TRANSFER, statistics::telemetry,     apps::error_response),
    (Get,     "/update/{owner}/{app}/{channel}/{platform}/{arch}/{version}/{file}",
                                      Gate::Open,  QUICK,    folder::file,              apps::error_response),
    (Get,     "/velopack/{owner}/{app}/{platform}/{arch}/{file}",
                                      Gate::Open,  QUICK,    velopack::feed,            apps::error_response),
];

/// The winget dialects. Their checks come in an order of their own (tenant, address, credentials), so the room is the
/// gate.
#[rustfmt::skip]
const WINGET: &[Line] = &[
    (Get,     "/cloud/client/api/docs",                                    Gate::Open, QUICK,    winget::sessions::general_docs, winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/docs",                           Gate::Open, QUICK,    winget::sessions::docs,         winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/login",                          Gate::Open, SLOW,     winget::sessions::login,        winget::client_error_response),
    (Post,    "/cloud/client/api/{tenant}/logout",                         Gate::Open, SLOW,     winget::sessions::logout,       winget::client_error_response),
    (Get,     "/cloud/client/api/{tenant}/test",                           Gate::Open, QUICK,    winget::sessions::test,         winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/client_version",                 Gate::Open, QUICK,    winget::listing::client_version, winget::client_error_response),
    (Post,    "/cloud/client/api/{tenant}/get_packages",                   Gate::Open, QUICK,    winget::listing::packages,      winget::client_error_response),
    (Post,    "/cloud/client/api/{tenant}/add_package",                    Gate::Open, TRANSFER, winget::packages::add,          winget::error_response),
    (Patch,   "/cloud/client/api/{tenant}/edit_package/{package_id}",      Gate::Open, TRANSFER, winget::packages::edit,         winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/delete_package/{package_id}",    Gate::Open, SLOW,     winget::packages::delete,       winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_package_versions/{package_id}", Gate::Open, QUICK, winget::installers::list,       winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_specific_package_version/{version_uid}", Gate::Open, QUICK, winget::installers::show, winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/add_package_version/{package_id}", Gate::Open, TRANSFER, winget::installers::add,      winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/delete_package_version/{package_id}", Gate::Open, SLOW, winget::installers::delete,    winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/upload_package_version",         Gate::Open, TRANSFER, winget::transfers::chunk,       winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/upload_package_version",         Gate::Open, QUICK,    winget::transfers::status,      winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/upload_package_version",         Gate::Open, SLOW,     winget::transfers::remove,      winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_clients",                    Gate::Open, SLOW,     winget::machines::list,         winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/add_client",                     Gate::Open, SLOW,     winget::machines::add,          winget::error_response),
    (Patch,   "/cloud/client/api/{tenant}/edit_client/{client_id}",        Gate::Open, SLOW,     winget::machines::edit,         winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/delete_client/{client_id}/{auth_token}", Gate::Open, SLOW, winget::machines::delete,   winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_blacklist/{client_id}",      Gate::Open, QUICK,    winget::machines::blacklist,    winget::error_response),
    (Put,     "/cloud/client/api/{tenant}/edit_blacklist/{client_id}",     Gate::Open, SLOW,     winget::machines::edit_blacklist, winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_blacklist_groups",           Gate::Open, QUICK,    winget::machines::groups,       winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/add_blacklist_group",            Gate::Open, SLOW,     winget::machines::add_group,    winget::error_response),
    (Put,     "/cloud/client/api/{tenant}/edit_blacklist_group/{id}",      Gate::Open, SLOW,     winget::machines::edit_group,   winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/delete_blacklist_group/{id}",    Gate::Open, SLOW,     winget::machines::delete_group, winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_client_logs/{client_id}",    Gate::Open, SLOW,     winget::machines::logs,         winget::error_response),
    (Delete,  "/cloud/client/api/{tenant}/clear_client_logs/{client_id}",  Gate::Open, SLOW,     winget::machines::clear_logs,   winget::error_response),
    (Get,     "/cloud/client/api/{tenant}/get_settings",                   Gate::Open, QUICK,    winget::options::show,          winget::error_response),
    (Patch,   "/cloud/client/api/{tenant}/edit_settings",                  Gate::Open, SLOW,     winget::options::edit,          winget::error_response),
    (Get,     "/winget/{tenant}/files/{uid}/{name}",                       Gate::Open, QUICK,    winget::downloads::installer,   winget::downloads::error_response),
    (Get,     "/winget/{tenant}/logo/{name}",                              Gate::Open, QUICK,    winget::downloads::logo,        winget::downloads::error_response),
    (Get,     "/cloud/client/api/{tenant}/installer_facts",                Gate::Open, QUICK,    winget::offers::installer_facts, winget::error_response),
    (Post,    "/cloud/client/api/{tenant}/import_manifest",                Gate::Open, TRANSFER, source::import::import,         winget::error_response),
    (Post,    "/winget/{tenant}/client/api/get_packages",                  Gate::Open, QUICK,    winget::listing::packages,      winget::client_error_response),
    (Post,    "/winget/{tenant}/client/api/client_version",                Gate::Open, QUICK,    winget::listing::client_version, winget::client_error_response),
    // The Microsoft.Rest source.
    (Get,     "/winget/{tenant}/information",                                        Gate::Open, QUICK, source::api::information, source::error_response),
    (Post,    "/winget/{tenant}/manifestSearch",                                     Gate::Open, QUICK, source::api::search,      source::error_response),
    (Get,     "/winget/{tenant}/packageManifests",                                   Gate::Open, QUICK, source::api::manifests,   source::error_response),
    (Get,     "/winget/{tenant}/packageManifests/{id}",                              Gate::Open, QUICK, source::api::manifest,    source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/information",                         Gate::Open, QUICK, source::api::information, source::error_response),
    (Post,    "/winget/{tenant}/t/{auth_token}/manifestSearch",                      Gate::Open, QUICK, source::api::search,      source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/packageManifests",                    Gate::Open, QUICK, source::api::manifests,   source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/packageManifests/{id}",               Gate::Open, QUICK, source::api::manifest,    source::error_response),
    (Get,     "/winget/{tenant}/c/{channel}/information",                            Gate::Open, QUICK, source::api::information, source::error_response),
    (Post,    "/winget/{tenant}/c/{channel}/manifestSearch",                         Gate::Open, QUICK, source::api::search,      source::error_response),
    (Get,     "/winget/{tenant}/c/{channel}/packageManifests",                       Gate::Open, QUICK, source::api::manifests,   source::error_response),
    (Get,     "/winget/{tenant}/c/{channel}/packageManifests/{id}",                  Gate::Open, QUICK, source::api::manifest,    source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/c/{channel}/information",             Gate::Open, QUICK, source::api::information, source::error_response),
    (Post,    "/winget/{tenant}/t/{auth_token}/c/{channel}/manifestSearch",          Gate::Open, QUICK, source::api::search,      source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/c/{channel}/packageManifests",        Gate::Open, QUICK, source::api::manifests,   source::error_response),
    (Get,     "/winget/{tenant}/t/{auth_token}/c/{channel}/packageManifests/{id}",   Gate::Open, QUICK, source::api::manifest,    source::error_response),
    (Post,    "/winget/{tenant}/packageManifests", Gate::Open, SLOW, source::writes::add_manifest, source::error_response),
    (Put,     "/winget/{tenant}/packageManifests/{id}", Gate::Open, SLOW, source::writes::edit_manifest, source::error_response),
    (Delete,  "/winget/{tenant}/packageManifests/{id}", Gate::Open, SLOW, source::writes::delete_package, source::error_response),
    (Get,     "/winget/{tenant}/packages", Gate::Open, QUICK, source::writes::packages, source::error_response),
    (Post,    "/winget/{tenant}/packages", Gate::Open, SLOW, source::writes::add_package, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}", Gate::Open, QUICK, source::writes::package, source::error_response),
    (Put,     "/winget/{tenant}/packages/{id}", Gate::Open, SLOW, source::writes::edit_package, source::error_response),
    (Delete,  "/winget/{tenant}/packages/{id}", Gate::Open, SLOW, source::writes::delete_package, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions", Gate::Open, QUICK, source::writes::package_versions, source::error_response),
    (Post,    "/winget/{tenant}/packages/{id}/versions", Gate::Open, SLOW, source::writes::add_version, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions/{version}", Gate::Open, QUICK, source::writes::package_version, source::error_response),
    (Put,     "/winget/{tenant}/packages/{id}/versions/{version}", Gate::Open, SLOW, source::writes::edit_version, source::error_response),
    (Delete,  "/winget/{tenant}/packages/{id}/versions/{version}", Gate::Open, SLOW, source::writes::delete_version, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions/{version}/locales", Gate::Open, QUICK, source::writes::locales, source::error_response),
    (Post,    "/winget/{tenant}/packages/{id}/versions/{version}/locales", Gate::Open, SLOW, source::writes::add_locale, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions/{version}/locales/{locale}", Gate::Open, QUICK, source::writes::locale, source::error_response),
    (Put,     "/winget/{tenant}/packages/{id}/versions/{version}/locales/{locale}", Gate::Open, SLOW, source::writes::edit_locale, source::error_response),
    (Delete,  "/winget/{tenant}/packages/{id}/versions/{version}/locales/{locale}", Gate::Open, SLOW, source::writes::delete_locale, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions/{version}/installers", Gate::Open, QUICK, source::writes::installers, source::error_response),
    (Post,    "/winget/{tenant}/packages/{id}/versions/{version}/installers", Gate::Open, SLOW, source::writes::add_installer, source::error_response),
    (Get,     "/winget/{tenant}/packages/{id}/versions/{version}/installers/{installer}", Gate::Open, QUICK, source::writes::installer, source::error_response),
    (Put,     "/winget/{tenant}/packages/{id}/versions/{version}/installers/{installer}", Gate::Open, SLOW, source::writes::edit_installer, source::error_response),
    (Delete,  "/winget/{tenant}/packages/{id}/versions/{version}/installers/{installer}", Gate::Open, SLOW, source::writes::delete_installer, source::error_response),
];

/// Upstreams, repositories and packages.
#[rustfmt::skip]
const FEEDS: &[Line] = &[
    (Get,     "/repo",                               Gate::Open,  QUICK,    repos::list,              feeds::error_response),
    (Post,    "/repo",                               Gate::Admin, SLOW,     repos::create,            feeds::error_response),
    (Get,     "/repo/{name}",                        Gate::Open,  QUICK,    repos::get,               feeds::error_response),
    (Put,     "/repo/{name}",                        Gate::Admin, SLOW,     repos::put,               feeds::error_response),
    (Delete,  "/repo/{name}",                        Gate::Admin, SLOW,     repos::delete,            feeds::error_response),
    (Get,     "/repo/{name}/packages",               Gate::Open,  SLOW,     contents::get,            feeds::error_response),
    (Put,     "/repo/{name}/packages",               Gate::Admin, TRANSFER, contents::put,            feeds::error_response),
    (Patch,   "/repo/{name}/packages",               Gate::Admin, TRANSFER, contents::patch,          feeds::error_response),
    (Get,     "/repo/{name}/snapshots",              Gate::Open,  QUICK,    snapshots::list,          feeds::error_response),
    (Post,    "/repo/{name}/snapshots",              Gate::Admin, SLOW,     snapshots::create,        feeds::error_response),
    (Delete,  "/repo/{name}/snapshots/{snapshot}",   Gate::Admin, SLOW,     snapshots::delete,        feeds::error_response),
    (Get,     "/repo/{name}/diff",                   Gate::Open,  SLOW,     snapshots::diff,          feeds::error_response),
    (Get,     "/repo/{name}/export",                 Gate::Open,  SLOW,     bundle::export::export,   feeds::error_response),
    (Post,    "/import",                             Gate::Admin, TRANSFER, bundle::import::import,   feeds::error_response),
    (Get,     "/key/trusted",                        Gate::Open,  QUICK,    bundle::trusted::list,    feeds::error_response),
    (Post,    "/key/trusted",                        Gate::Admin, SLOW,     bundle::trusted::add,     feeds::error_response),
    (Get,     "/key/trusted/{fingerprint}",          Gate::Open,  QUICK,    bundle::trusted::get,     feeds::error_response),
    (Delete,  "/key/trusted/{fingerprint}",          Gate::Admin, SLOW,     bundle::trusted::delete,  feeds::error_response),
    (Get,     "/repo/{name}/{rest*}",                Gate::Open,  QUICK,    serve::tree,              feeds::error_response),
    (Get,     "/package",                            Gate::Open,  SLOW,     uploads::list,            feeds::error_response),
    (Post,    "/package",                            Gate::Admin, TRANSFER, uploads::upload,          feeds::error_response),
    (Get,     "/package/{shasum}",                   Gate::Open,  QUICK,    uploads::get,             feeds::error_response),
    (Delete,  "/package/{shasum}",                   Gate::Admin, SLOW,     uploads::delete,          feeds::error_response),
    (Get,     "/package/{shasum}/content",           Gate::Open,  QUICK,    uploads::content,         feeds::error_response),
    (Post,    "/gc",                                 Gate::Admin, SLOW,     housekeeping::collect,    feeds::error_response),
    (Get,     "/key.asc",                            Gate::Open,  SLOW,     repos::key_armored,       feeds::error_response),
    (Get,     "/key.gpg",                            Gate::Open,  SLOW,     repos::key_binary,        feeds::error_response),
    (Put,     "/key",                                Gate::Admin, SLOW,     repos::put_key,           feeds::error_response),
    (Get,     "/upstream",                 Gate::Open,  QUICK, upstream_api::list,     feeds::error_response),
    (Post,    "/upstream",                 Gate::Admin, SLOW,  upstream_api::create,   feeds::error_response),
    (Get,     "/upstream/{name}",          Gate::Open,  SLOW,  upstream_api::show,     feeds::error_response),
    (Put,     "/upstream/{name}",          Gate::Admin, SLOW,  upstream_api::put,      feeds::error_response),
    (Delete,  "/upstream/{name}",          Gate::Admin, SLOW,  upstream_api::delete,   feeds::error_response),
    (Get,     "/upstream/{name}/packages", Gate::Open,  SLOW,  upstream_api::packages, feeds::error_response),
    (Get,     "/upstream/{name}/sync",     Gate::Open,  SLOW,  upstream_api::sync,     feeds::error_response),
    (Delete,  "/upstream/{name}/sync",     Gate::Admin, SLOW,  upstream_api::cancel,   feeds::error_response),
];

/// The web UI and what it asks beyond the dialects.
#[rustfmt::skip]
const CONSOLE: &[Line] = &[
    (Get,     "/ui",                  Gate::Open,  QUICK,    console::pages::slash,     console::error_response),
    (Get,     "/ui/{path*}",          Gate::Open,  QUICK,    console::pages::file,      console::error_response),
    (Get,     "/ui/api/setup",        Gate::Open,  QUICK,    console::setup::state,     console::error_response),
    (Post,    "/ui/api/setup",        Gate::Open,  SLOW,     console::setup::finish,    console::error_response),
    (Get,     "/ui/api/session",      Gate::Login, QUICK,    console::session::session,  console::error_response),
    (Post,    "/ui/api/sign-out",     Gate::Login, SLOW,     console::session::sign_out, console::error_response),
    (Get,     "/ui/api/addresses",    Gate::Open,  QUICK,    console::reach::addresses,   console::error_response),
    (Get,     "/ui/api/people",       Gate::Login, SLOW,     console::people::list,       console::error_response),
    (Post,    "/ui/api/people/{id}/sign-out", Gate::Login, SLOW, console::people::sign_out, console::error_response),
    (Post,    "/ui/api/refpacks/restore", Gate::Login, SLOW, refpacks::api::restore,      console::error_response),
    (Get,     "/ui/api/keys",         Gate::Login, SLOW,     console::people::keys,       console::error_response),
    (Get,     "/ui/api/overview",     Gate::Login, SLOW,     console::overview::overview, console::error_response),
    (Get,     "/ui/api/storage",      Gate::Login, SLOW,     console::overview::storage, console::error_response),
    (Get,     "/ui/api/about",        Gate::Login, QUICK,    console::overview::about,   console::error_response),
    (Get,     "/ui/api/artifacts",    Gate::Login, SLOW,     console::catalog::search,   console::error_response),
    (Get,     "/ui/api/artifacts/{digest}", Gate::Login, SLOW, console::catalog::one,    console::error_response),
    (Post,    "/ui/api/artifacts/{digest}/link", Gate::Login, QUICK, console::catalog::link, console::error_response),
    (Get,     "/ui/api/file",         Gate::Open,  QUICK,    console::catalog::file,     console::error_response),
    (Get,     "/ui/api/jobs",         Gate::Login, QUICK,    console::work::list,        console::error_response),
    (Get,     "/ui/api/jobs/{id}",    Gate::Login, QUICK,    console::work::one,         console::error_response),
    (Post,    "/ui/api/jobs/{id}/cancel", Gate::Login, SLOW,  console::work::cancel,     console::error_response),
    (Post,    "/ui/api/check",        Gate::Login, SLOW,     console::work::check,       console::error_response),
    (Get,     "/ui/api/audit",        Gate::Login, SLOW,     console::trail::list,       console::error_response),
    (Get,     "/ui/api/audit.csv",    Gate::Login, SLOW,     console::trail::export,     console::error_response),
];

/// Where the products dialect's users reach it on the public server.
const API: &str = "/api";

/// First segments that belong to the products dialect.
const PRODUCT_ROOTS: &[&str] = &["product", "register", "fetch", "tokens", "prune"];

/// Routes whose last segment is a secret and is never logged.
const SECRET_ROOTS: &[&str] = &["fetch", "prune"];

/// Every route of the map.
pub fn router() -> Router<Entry> {
    Router::new([SHARED, PRODUCTS, APPS, REFPACKS, WINGET, FEEDS, CONSOLE].into_iter().flatten().map(line).collect())
}

/// What is served below `/api`: the products dialect, its health form included.
pub fn router_below_api() -> Router<Entry> {
    let health = SHARED.iter().filter(|line| line.1 == "/health");
    Router::new(health.chain(PRODUCTS).map(line).collect())
}

fn line(line: &Line) -> (Method, &'static str, Entry) {
    (line.0, line.1, Entry { gate: line.2, pace: line.3, handler: line.4, errors: line.5 })
}

/// The path below `/api`, when it is there.
pub fn below_api(path: &str) -> Option<&str> {
    path.strip_prefix(API).filter(|rest| rest.starts_with('/'))
}

/// The first segment of `path`, below `/api` when the path is there.
fn first_segment(path: &str) -> &str {
    below_api(path).unwrap_or(path).trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Whether `path` belongs to the RefPack dialect.
fn is_refpack(path: &str) -> bool {
    path.strip_prefix("/packages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Gate and error words of a path or method that is not on the map: in the products dialect a stranger always sees
/// 401 (`products.md` §1).
pub fn unknown(path: &str) -> (Gate, fn(&Error) -> Response) {
    if is_refpack(path) {
        return (Gate::Open, refpacks::error_response);
    }
    if winget::is_api(path) {
        return (Gate::Open, winget::client_error_response);
    }
    if source::is_source(path) {
        return (Gate::Open, source::error_response);
    }
    let gate = if PRODUCT_ROOTS.contains(&first_segment(path)) { Gate::Token } else { Gate::Open };
    (gate, products::error_response)
}

/// The answer for a path that has other methods: text in the products dialect, JSON elsewhere. `OPTIONS` is answered
/// there too (`faynosync.md` §13).
pub fn wrong_method(head: &Head, allowed: &[Method]) -> Response {
    if is_refpack(&head.path) {
        return refpacks::wrong_method(allowed);
    }
    if winget::is_api(&head.path) {
        return winget::wrong_method(allowed);
    }
    if source::is_source(&head.path) {
        return source::wrong_method(allowed);
    }
    let of_products = PRODUCT_ROOTS.contains(&first_segment(&head.path));
    let response = match head.method {
        _ if of_products => Response::text(405, "Method Not Allowed"),
        Method::Options => Response::empty(204),
        _ => apps::json_error(405, "Method Not Allowed"),
    };
    response.header("Allow", allow_value(allowed))
}

/// The answer for a path that is nowhere on the map.
pub fn nowhere(path: &str) -> Response {
    match path {
        _ if is_refpack(path) => refpacks::nowhere(),
        _ if winget::is_api(path) => winget::nowhere(),
        _ if source::is_source(path) => source::nowhere(),
        _ => products::json_error(404, "not found"),
    }
}

/// The engine's own refusals: a head or body that cannot be served, or no room to serve it.
pub fn refusal(path: Option<&str>, status: u16, message: &str) -> Response {
    match path {
        Some(path) if is_refpack(path) => refpacks::refusal(status, message),
        Some(path) if winget::is_api(path) => winget::refusal(status, message),
        Some(path) if source::is_source(path) => source::refusal(status, message),
        _ => products::json_error(status, message),
    }
}

/// The path as the log shows it: secrets in it are masked.
pub fn shown_path(path: &str) -> Cow<'_, str> {
    if let Some(masked) = winget::masked(path) {
        return Cow::Owned(masked);
    }
    let root = first_segment(path);
    if SECRET_ROOTS.iter().any(|secret| secret.eq_ignore_ascii_case(root)) {
        let prefix = below_api(path).map_or("", |_| API);
        return Cow::Owned(format!("{prefix}/{}/***", root.to_ascii_lowercase()));
    }
    Cow::Borrowed(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_paths_are_masked() {
        let cases = [
            ("/fetch/abc", "/fetch/***"),
            ("/api/prune/abc/def", "/api/prune/***"),
            ("/FETCH/abc", "/fetch/***"),
            ("//fetch/abc", "/fetch/***"),
            ("/product/fetch/abc", "/product/fetch/abc"),
            ("/api", "/api"),
            ("/cloud/client/api/T/delete_client/ID/secret", "/cloud/client/api/T/delete_client/ID/***"),
            ("/cloud/client/api/T/delete_client/ID/secret/more", "/cloud/client/api/T/delete_client/ID/***"),
            ("/cloud/client/api/T/delete_client/ID", "/cloud/client/api/T/delete_client/ID"),
            ("/winget/T/t/secret/manifestSearch", "/winget/T/t/***/manifestSearch"),
            ("/winget/T/t/secret", "/winget/T/t/***"),
            ("/winget/T/files/u/n", "/winget/T/files/u/n"),
        ];
        for (path, shown) in cases {
            assert_eq!(shown_path(path), shown, "{path}");
        }
    }

    #[test]
    fn strangers_meet_the_gate_before_they_learn_what_exists() {
        for path in ["/product/nope", "/api/product", "/register", "/api/fetch/x/y", "/prune"] {
            assert_eq!(unknown(path).0, Gate::Token, "{path}");
        }
        for path in ["/nope", "/api", "/apiproduct", "/products"] {
            assert_eq!(unknown(path).0, Gate::Open, "{path}");
        }
    }
}
