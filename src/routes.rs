//! The map: method, path, gate, lane, handler and error words of every address of every dialect.

use std::borrow::Cow;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::Method::{self, Delete, Get, Post, Put};
use crate::http::{Lane, Request, Response, Router, allow_value};
use crate::identity::Principal;
use crate::products::{self, api, files, keys};
use crate::shared_doors;

/// Who may knock on a route. What is then allowed is the room's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Everybody.
    Open,
    /// Holders of an API token, sent as `X-Api-Token`.
    Token,
}

/// A handler: decode, call, encode.
pub type Handler = fn(&App, &Principal, &mut Request) -> Result<Response>;

/// One line of the map.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Who may knock.
    pub gate: Gate,
    /// Which pool serves it.
    pub lane: Lane,
    /// What serves it.
    pub handler: Handler,
    /// How its room prints errors.
    pub errors: fn(&Error) -> Response,
}

/// The largest body a quick route gets, in bytes.
pub const QUICK_BODY: u64 = 1 << 20;

const QUICK: Lane = Lane::Quick;
const TRANSFER: Lane = Lane::Transfer;

type Line = (Method, &'static str, Gate, Lane, Handler, fn(&Error) -> Response);

/// Addresses that two dialects share.
#[rustfmt::skip]
const SHARED: &[Line] = &[
    // method  path       gate         lane   handler               (room's errors)
    (Get,     "/",        Gate::Open,  QUICK, shared_doors::welcome, products::error_response),
    (Get,     "/health",  Gate::Open,  QUICK, shared_doors::health,  products::error_response),
];

/// The products dialect, served at the root and below `/api`.
#[rustfmt::skip]
const PRODUCTS: &[Line] = &[
    (Put,     "/register",                           Gate::Token, QUICK,    keys::register,      products::error_response),
    (Get,     "/fetch/{token}",                      Gate::Token, QUICK,    keys::fetch,         products::error_response),
    (Get,     "/tokens",                             Gate::Token, QUICK,    keys::list,          products::error_response),
    (Delete,  "/prune/{token}",                      Gate::Token, QUICK,    keys::prune,         products::error_response),
    (Get,     "/product/access",                     Gate::Token, QUICK,    api::access,         products::error_response),
    (Get,     "/product/list",                       Gate::Token, QUICK,    api::access,         products::error_response),
    (Put,     "/product/create",                     Gate::Token, QUICK,    api::create,         products::error_response),
    (Get,     "/product/fetch/{product}",            Gate::Token, QUICK,    api::fetch,          products::error_response),
    (Delete,  "/product/delete/{product}",           Gate::Token, QUICK,    api::delete,         products::error_response),
    (Put,     "/product/modify/addToken",            Gate::Token, QUICK,    api::add_token,      products::error_response),
    (Delete,  "/product/modify/deleteToken",         Gate::Token, QUICK,    api::delete_token,   products::error_response),
    (Delete,  "/product/modify/deleteVersion",       Gate::Token, QUICK,    api::delete_version, products::error_response),
    (Put,     "/product/modify/{action}",            Gate::Token, QUICK,    api::unknown_action, products::error_response),
    (Delete,  "/product/modify/{action}",            Gate::Token, QUICK,    api::unknown_action, products::error_response),
    (Post,    "/product/upload",                     Gate::Token, TRANSFER, files::upload,       products::version_error_response),
    (Get,     "/product/download/{product}/{version}", Gate::Token, QUICK,    files::download,   products::version_error_response),
    (Delete,  "/product/delete/{product}/{version}", Gate::Token, QUICK,    files::delete,       products::version_error_response),
];

/// Where the products dialect's users reach it on the public server.
const API: &str = "/api";

/// First segments that belong to the products dialect.
const PRODUCT_ROOTS: &[&str] = &["product", "register", "fetch", "tokens", "prune"];

/// Routes whose last segment is a secret and is never logged.
const SECRET_ROOTS: &[&str] = &["fetch", "prune"];

/// Every route of the map.
pub fn router() -> Router<Entry> {
    Router::new(SHARED.iter().chain(PRODUCTS).map(line).collect())
}

/// What is served below `/api`: the products dialect, its health form included.
pub fn router_below_api() -> Router<Entry> {
    let health = SHARED.iter().filter(|line| line.1 == "/health");
    Router::new(health.chain(PRODUCTS).map(line).collect())
}

fn line(line: &Line) -> (Method, &'static str, Entry) {
    (line.0, line.1, Entry { gate: line.2, lane: line.3, handler: line.4, errors: line.5 })
}

/// The path below `/api`, when it is there.
pub fn below_api(path: &str) -> Option<&str> {
    path.strip_prefix(API).filter(|rest| rest.starts_with('/'))
}

/// The first segment of `path`, below `/api` when the path is there.
fn first_segment(path: &str) -> &str {
    below_api(path).unwrap_or(path).trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Gate and error words of a path or method that is not on the map: in the products dialect a stranger always sees
/// 401 (`products.md` §1).
pub fn unknown(path: &str) -> (Gate, fn(&Error) -> Response) {
    let gate = if PRODUCT_ROOTS.contains(&first_segment(path)) { Gate::Token } else { Gate::Open };
    (gate, products::error_response)
}

/// The answer for a path that has other methods.
pub fn wrong_method(allowed: &[Method]) -> Response {
    Response::text(405, "Method Not Allowed").header("Allow", allow_value(allowed))
}

/// The answer for a path that is nowhere on the map.
pub fn nowhere() -> Response {
    products::json_error(404, "not found")
}

/// The engine's own refusals: a head or body that cannot be served, or no room to serve it.
pub fn refusal(_path: Option<&str>, status: u16, message: &str) -> Response {
    products::json_error(status, message)
}

/// The path as the log shows it: secrets in it are masked.
pub fn shown_path(path: &str) -> Cow<'_, str> {
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
