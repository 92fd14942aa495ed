//! Holds the sources to the house rules: who may import whom, who may touch what, and that the map is complete.

mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use packhouse::http::{Found, Method};
use packhouse::routes;
use source::Source;

/// Every `.rs` file below `dir` of the repository, with its path below it (`/` on every system).
fn rust_files(dir: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("an entry of the source tree").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let below = path.strip_prefix(&root).expect("a path below the root");
                let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
                found.push((parts.join("/"), fs::read_to_string(&path).expect("a source in UTF-8")));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    rust_files("src").iter().map(|(name, text)| Source::read(name, text)).collect()
}

#[test]
fn the_sources_keep_the_house_rules() {
    let faults = rules::faults(&sources());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_tests_keep_to_length_and_say_what_they_are() {
    let mut faults = Vec::new();
    for (name, text) in rust_files("tests") {
        faults.extend(rules::shape_faults(&text).into_iter().map(|fault| format!("tests/{name}: {fault}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_route_of_the_products_dialect_is_on_the_map() {
    let (router, below_api) = (routes::router(), routes::router_below_api());
    let mut missing = Vec::new();
    for (method, path) in rules::PRODUCT_ROUTES {
        // Any name will do where the contract has one.
        let asked = path.replace(['{', '}'], "x");
        for (map, prefix) in [(&router, ""), (&below_api, "/api")] {
            if !matches!(map.find(method, &asked), Found::Route(..)) {
                missing.push(format!("{} {prefix}{path}", method.name()));
            }
        }
    }
    assert!(missing.is_empty(), "not on the map:\n{}\n", missing.join("\n"));
    assert!(matches!(router.find(Method::Get, "/product/xx/yy/zz/x"), Found::NotFound), "the map has everything");
}
