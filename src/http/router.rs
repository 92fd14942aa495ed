//! Finds a request's route: raw path segments against patterns, 404 apart from 405, HEAD by way of GET.
//!
//! The path is split at `/` before anything is decoded, so an escaped slash never ends a segment. Static segments are
//! compared as they stand and win over parameters, parameters win over tails; the pattern is chosen by the path alone,
//! the method is looked at afterwards. A path is compared with each node of the pattern tree at most once.

use crate::http::Method;
use crate::http::params::Params;

/// The routes of a server, each with a value of the caller's.
#[derive(Debug)]
pub struct Router<T> {
    root: Node<T>,
}

/// What the router makes of a request.
#[derive(Debug)]
pub enum Found<'a, T> {
    /// The route's value and what its pattern caught.
    Route(&'a T, Params),
    /// The path is known, the method is not: the methods that are, sorted by name, HEAD beside GET.
    MethodNotAllowed(Vec<Method>),
    /// No pattern fits the path.
    NotFound,
}

#[derive(Debug)]
struct Node<T> {
    /// Sorted by segment.
    statics: Vec<(&'static str, Node<T>)>,
    param: Option<Box<Node<T>>>,
    /// Routes whose pattern ends here.
    ends: Vec<Route<T>>,
    /// Routes whose pattern ends here with a tail.
    tails: Vec<Route<T>>,
}

#[derive(Debug)]
struct Route<T> {
    method: Method,
    names: Vec<&'static str>,
    value: T,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node { statics: Vec::new(), param: None, ends: Vec::new(), tails: Vec::new() }
    }
}

/// One piece of a pattern.
enum Piece {
    Static(&'static str),
    Param(&'static str),
    Tail(&'static str),
}

impl Piece {
    fn parse(segment: &'static str) -> Piece {
        match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            None => Piece::Static(segment),
            Some(name) => match name.strip_suffix('*') {
                Some(name) => Piece::Tail(name),
                None => Piece::Param(name),
            },
        }
    }
}

impl<T> Router<T> {
    /// Builds the tree. Patterns begin with `/`; a segment is static text, `{name}` (one segment, never empty) or, last,
    /// `{name*}` (the raw remainder behind the slash, possibly empty, slashes included).
    ///
    /// # Panics
    /// When a pattern is malformed or a method and pattern come twice: the table is part of the program, and a mistake in
    /// it must not survive the first start.
    pub fn new(routes: Vec<(Method, &'static str, T)>) -> Self {
        let mut root = Node::default();
        for (method, pattern, value) in routes {
            add(&mut root, method, pattern, value);
        }
        Router { root }
    }

    /// The route for `method` and the raw `path`.
    pub fn find(&self, method: Method, path: &str) -> Found<'_, T> {
        let mut caught = Vec::new();
        let Some(routes) = path.strip_prefix('/').and_then(|rest| descend(&self.root, rest, &mut caught)) else {
            return Found::NotFound;
        };
        let by = |wanted: Method| routes.iter().find(|route| route.method == wanted);
        let route = match method {
            Method::Head => by(Method::Head).or_else(|| by(Method::Get)),
            other => by(other),
        };
        match route {
            Some(route) => {
                let caught = caught.into_iter().map(str::to_owned);
                Found::Route(&route.value, Params::new(route.names.iter().copied().zip(caught).collect()))
            }
            None => Found::MethodNotAllowed(allowed(routes)),
        }
    }
}

fn add<T>(root: &mut Node<T>, method: Method, pattern: &'static str, value: T) {
    let Some(rest) = pattern.strip_prefix('/') else { panic!("route pattern {pattern:?} does not begin with '/'") };
    let mut names = Vec::new();
    let mut node = root;
    let mut tail = false;
    for segment in rest.split('/') {
        assert!(!tail, "route pattern {pattern:?} goes on behind its tail");
        match Piece::parse(segment) {
            Piece::Static(text) => {
                assert!(!text.contains(['{', '}']), "route pattern {pattern:?} has a stray brace");
                let at = match node.statics.binary_search_by(|(known, _)| (*known).cmp(text)) {
                    Ok(at) => at,
                    Err(at) => {
                        node.statics.insert(at, (text, Node::default()));
                        at
                    }
                };
                node = &mut node.statics[at].1;
            }
            Piece::Param(name) => {
                names.push(name);
                node = node.param.get_or_insert_default();
            }
            Piece::Tail(name) => {
                names.push(name);
                tail = true;
            }
        }
    }
    let routes = if tail { &mut node.tails } else { &mut node.ends };
    assert!(routes.iter().all(|route| route.method != method), "route {method:?} {pattern} is there twice");
    routes.push(Route { method, names, value });
}

/// The routes for the raw path behind its leading slash; `caught` holds what the parameters on the way there caught.
fn descend<'a, 'p, T>(node: &'a Node<T>, rest: &'p str, caught: &mut Vec<&'p str>) -> Option<&'a [Route<T>]> {
    let (segment, behind) = match rest.split_once('/') {
        Some((segment, behind)) => (segment, Some(behind)),
        None => (rest, None),
    };
    let step = |next: &'a Node<T>, caught: &mut Vec<&'p str>| match behind {
        Some(behind) => descend(next, behind, caught),
        None => Some(next.ends.as_slice()).filter(|ends| !ends.is_empty()),
    };
    if let Ok(at) = node.statics.binary_search_by(|(known, _)| (*known).cmp(segment))
        && let Some(found) = step(&node.statics[at].1, caught)
    {
        return Some(found);
    }
    if let Some(next) = node.param.as_deref().filter(|_| !segment.is_empty()) {
        let before = caught.len();
        caught.push(segment);
        if let Some(found) = step(next, caught) {
            return Some(found);
        }
        caught.truncate(before);
    }
    if node.tails.is_empty() {
        return None;
    }
    caught.push(rest);
    Some(&node.tails)
}

fn allowed<T>(routes: &[Route<T>]) -> Vec<Method> {
    let mut methods: Vec<Method> = routes.iter().map(|route| route.method).collect();
    if methods.contains(&Method::Get) && !methods.contains(&Method::Head) {
        methods.push(Method::Head);
    }
    methods.sort_by_key(|method| method.name());
    methods
}

/// The value of an `Allow` header.
pub fn allow_value(methods: &[Method]) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        use Method::{Delete, Get, Post, Put};
        Router::new(vec![
            (Get, "/", "root"),
            (Get, "/health", "health"),
            (Get, "/fetch/{token}", "fetch token"),
            (Get, "/product/access", "access"),
            (Put, "/product/create", "create"),
            (Get, "/product/fetch/{product}", "fetch"),
            (Delete, "/product/delete/{product}", "delete product"),
            (Delete, "/product/delete/{product}/{version}", "delete version"),
            (Put, "/product/modify/addToken", "add"),
            (Delete, "/product/modify/deleteToken", "remove"),
            (Put, "/product/modify/{action}", "unknown"),
            (Delete, "/product/modify/{word}", "unknown"),
            (Get, "/product/download/{product}/{version}", "download"),
            (Get, "/api/product/access", "access"),
            (Post, "/packages", "push"),
            (Get, "/packages", "list"),
            (Get, "/packages/advanced-search", "search"),
            (Get, "/packages/{rest*}", "read"),
            (Post, "/packages/{rest*}", "archive"),
            (Get, "/repo/{name}/packages", "members"),
            (Put, "/repo/{name}/packages", "set members"),
            (Get, "/repo/{name}/{path*}", "tree"),
            (Get, "/repo/special/list", "special"),
            (Get, "/ui/", "ui"),
        ])
    }

    /// `route name=raw …`, `405 ALLOW` or `404`.
    fn found(method: Method, path: &str) -> String {
        match router().find(method, path) {
            Found::Route(name, params) => {
                let names = ["token", "product", "version", "action", "word", "rest", "name", "path"];
                let caught: String = names
                    .iter()
                    .filter(|name| params.get(name).is_ok() || !params.raw(name).is_empty())
                    .map(|name| format!(" {name}={}", params.raw(name)))
                    .collect();
                format!("{name}{caught}")
            }
            Found::MethodNotAllowed(methods) => format!("405 {}", allow_value(&methods)),
            Found::NotFound => "404".into(),
        }
    }

    #[test]
    fn paths_are_split_raw() {
        use Method::{Delete, Get, Head, Options, Other, Patch, Post, Put};
        let cases = [
            (Get, "/", "root"),
            (Get, "", "404"),
            (Get, "//", "404"),
            (Get, "*", "404"),
            (Get, "health", "404"),
            (Get, "/health", "health"),
            (Head, "/health", "health"),
            (Get, "/health/", "404"),
            (Get, "//health", "404"),
            (Get, "/Health", "404"),
            (Get, "/%68ealth", "404"),
            (Post, "/health", "405 GET, HEAD"),
            (Options, "/health", "405 GET, HEAD"),
            (Other, "/health", "405 GET, HEAD"),
            (Get, "/product/access", "access"),
            (Get, "/api/product/access", "access"),
            (Get, "/api/api/product/access", "404"),
            (Get, "/product", "404"),
            (Get, "/product/", "404"),
            (Get, "/product/nothing", "404"),
            (Get, "/product/create", "405 PUT"),
            (Get, "/product/fetch/a%2Fb", "fetch product=a%2Fb"),
            (Get, "/product/fetch/a%252Fb", "fetch product=a%252Fb"),
            (Get, "/product/fetch/c++", "fetch product=c++"),
            (Get, "/product/fetch/", "404"),
            (Get, "/product/fetch/a/b", "404"),
            (Get, "/product/fetch/%zz", "fetch product=%zz"),
            (Get, "/product/fetch/..", "fetch product=.."),
            (Delete, "/product/delete/a/b", "delete version product=a version=b"),
            (Delete, "/product/delete/a%2Fb", "delete product product=a%2Fb"),
            (Delete, "/product/delete/a/b/c", "404"),
            (Delete, "/product/delete/a/", "404"),
            (Delete, "/product/delete//b", "404"),
            (Get, "/product/delete/a/b", "405 DELETE"),
            (Put, "/product/modify/addToken", "add"),
            (Delete, "/product/modify/addToken", "405 PUT"),
            (Put, "/product/modify/deleteToken", "405 DELETE"),
            (Put, "/product/modify/else", "unknown action=else"),
            (Delete, "/product/modify/else", "unknown word=else"),
            (Get, "/product/modify/else", "405 DELETE, PUT"),
            (Patch, "/product/modify/addtoken", "405 DELETE, PUT"),
            (Head, "/product/download/p/1", "download product=p version=1"),
            (Post, "/product/download/p/1", "405 GET, HEAD"),
            (Post, "/packages", "push"),
            (Head, "/packages", "list"),
            (Put, "/packages", "405 GET, HEAD, POST"),
            (Get, "/packages/", "read rest="),
            (Get, "/packages/a", "read rest=a"),
            (Get, "/packages/a/b/meta", "read rest=a/b/meta"),
            (Get, "/packages/a%2Fb//c/", "read rest=a%2Fb//c/"),
            (Post, "/packages/a/b/archive", "archive rest=a/b/archive"),
            (Get, "/packages/advanced-search", "search"),
            (Post, "/packages/advanced-search", "405 GET, HEAD"),
            (Get, "/packages/advanced-search/", "read rest=advanced-search/"),
            (Get, "/packages/advanced-search/x", "read rest=advanced-search/x"),
            (Delete, "/packages/a", "405 GET, HEAD, POST"),
            (Get, "/repo/r/packages", "members name=r"),
            (Put, "/repo/r/packages", "set members name=r"),
            (Put, "/repo/r/x", "405 GET, HEAD"),
            (Get, "/repo/r/packages/x", "tree name=r path=packages/x"),
            (Get, "/repo/r/", "tree name=r path="),
            (Get, "/repo/r", "404"),
            (Get, "/repo//x", "404"),
            (Get, "/repo/r/./repodata/repomd.xml", "tree name=r path=./repodata/repomd.xml"),
            // A static segment that leads nowhere gives way to the parameter beside it.
            (Get, "/repo/special/list", "special"),
            (Get, "/repo/special/packages", "members name=special"),
            (Get, "/repo/special/other", "tree name=special path=other"),
            (Get, "/ui/", "ui"),
            (Get, "/ui", "404"),
        ];
        for (method, path, expected) in cases {
            assert_eq!(found(method, path), expected, "{method:?} {path}");
        }
    }

    #[test]
    fn long_paths_cost_no_more_than_the_patterns_are_deep() {
        let path = "/".repeat(8000);
        assert_eq!(found(Method::Get, &path), "404");
        let path = format!("/packages{}", "/a".repeat(4000));
        assert!(found(Method::Get, &path).starts_with("read rest=a/a/"));
    }

    #[test]
    fn refuses_broken_tables() {
        let broken: [&[(Method, &'static str)]; 5] = [
            &[(Method::Get, "health")],
            &[(Method::Get, "/{rest*}/more")],
            &[(Method::Get, "/a{b}")],
            &[(Method::Get, "/a"), (Method::Get, "/a")],
            &[(Method::Get, "/{a}/x"), (Method::Get, "/{b}/x")],
        ];
        for table in broken {
            let routes = table.iter().map(|(method, pattern)| (*method, *pattern, ())).collect();
            assert!(std::panic::catch_unwind(|| Router::new(routes)).is_err(), "{table:?}");
        }
    }
}
