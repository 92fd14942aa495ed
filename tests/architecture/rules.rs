//! The house rules as pure checks over sources: who may know whom, who may touch what, how long a file may be.

use packhouse::http::Method;

use crate::source::{Path, Source};

const ROOMS: [&str; 6] = ["winget", "apps", "products", "refpacks", "feeds", "console"];
const CORE: [&str; 4] = ["catalog", "identity", "jobs", "audit"];
const GROUND: [&str; 5] = ["error", "ids", "clock", "memory", "prepared"];
/// What stands above the rooms and puts the house together.
const TOP: [&str; 8] = ["main", "lib", "cli", "app", "certificates", "routes", "shared_doors", "wiring"];

/// The only files that may switch the ban on unsafe code off, for one call each.
const UNSAFE_FILES: [&str; 2] = ["http/readiness.rs", "memory.rs"];

/// The only file beside the store's that may open files: directories that an administrator named as upstreams.
const DIRECTORY_FILE: &str = "feeds/sync/local.rs";

/// What moves the clock of a program under test; never there in a release.
const CLOCK_FILE: &str = "clock.rs";

/// The longest file that is still one file.
pub(crate) const LONGEST: usize = 600;

/// Everything wrong with `sources`, one line a fault: file, line, and the rule's sentence.
pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    let test_only: Vec<&str> = sources.iter().flat_map(|s| s.test_modules.iter().map(String::as_str)).collect();
    let is_test = |source: &Source| {
        let name = source.name.trim_end_matches(".rs").trim_end_matches("/mod");
        test_only.iter().any(|module| name == *module || name.starts_with(&format!("{module}/")))
    };
    let mut found = Vec::new();
    for source in sources {
        let mut say = |line: usize, rule: &str| found.push(format!("src/{}:{line}: {rule}", source.name));
        let test_file = is_test(source);
        for path in &source.paths {
            if let Some(rule) = import_rule(source.module(), path) {
                say(path.line, &rule);
            }
            if test_file || path.test {
                continue;
            }
            if source.file() == "rules.rs" && ROOMS.contains(&source.module()) && is_impure(path) {
                say(path.line, "rules are pure: no http, no store, no clock, no random numbers, no input or output");
            }
            let reads_elsewhere = source.name == DIRECTORY_FILE || source.name == CLOCK_FILE;
            let module = if reads_elsewhere { "store" } else { source.module() };
            if let Some(rule) = touch_rule(module, path) {
                say(path.line, rule);
            }
        }
        if !UNSAFE_FILES.contains(&source.name.as_str()) {
            for line in source.lines_of("unsafe") {
                say(line, "unsafe stands only in src/http/readiness.rs and src/memory.rs");
            }
            let allows = source.tokens.windows(3).filter(|t| {
                let word = |i: usize, w: &str| matches!(&t[i].kind, crate::source::Kind::Word(found) if found == w);
                (word(0, "allow") || word(0, "expect")) && word(2, "unsafe_code")
            });
            for tokens in allows {
                say(tokens[0].line, "the ban on unsafe code is lifted only in src/http/readiness.rs and src/memory.rs");
            }
        }
        for fault in shape_faults(&source.text) {
            say(1, &fault);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// What every file owes its reader: a first line that says what it is for, and an end.
pub(crate) fn shape_faults(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let first = text.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|said| said.trim().len() < 10) {
        found.push("the first line (//!) says what the file is for".to_owned());
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        found.push(format!("a file past {LONGEST} lines is two files; this one has {lines}"));
    }
    found
}

/// The sentence that `path`, used inside the module `from`, breaks.
fn import_rule(from: &str, path: &Path) -> Option<String> {
    let inside = match path.parts.first()?.as_str() {
        "crate" => true,
        "packhouse" => from == "main",
        _ => false,
    };
    let to = path.parts.get(1).filter(|_| inside)?.as_str();
    let known = |name: &str| {
        ROOMS.contains(&name)
            || CORE.contains(&name)
            || GROUND.contains(&name)
            || TOP.contains(&name)
            || ["http", "store", "formats"].contains(&name)
    };
    // Something declared in the crate's root itself, like a macro.
    if !known(to) {
        return None;
    }
    let is_room = ROOMS.contains(&to);
    let rule = match from {
        _ if from == to => return None,
        "main" | "lib" | "routes" | "shared_doors" | "wiring" => return None,
        "http" if !["error", "ids"].contains(&to) => "http imports none of ours but error and ids",
        "store" if !["error", "ids"].contains(&to) => "store imports none of ours but error and ids",
        "formats" => "formats imports nothing of ours",
        _ if GROUND.contains(&from) && !GROUND.contains(&to) => "error, ids, clock and prepared know nobody",
        _ if CORE.contains(&from) && is_room => "the core never imports a room",
        _ if CORE.contains(&from) && to == "http" => "the core knows nothing of http",
        _ if CORE.contains(&from) && TOP.contains(&to) => "the core never looks up to who puts it together",
        _ if ROOMS.contains(&from) && is_room => "a room never imports another room",
        _ if ROOMS.contains(&from) && ["main", "lib", "routes", "shared_doors", "wiring"].contains(&to) => {
            "a room never looks up to the map"
        }
        "app" | "certificates" | "cli" if is_room => "what every handler is given knows no room",
        _ if !known(from) => {
            return Some(format!("no rule places the module `{from}`: say what it is in tests/architecture/rules.rs"));
        }
        _ => return None,
    };
    Some(format!("{rule} (it names {})", path.parts.join("::")))
}

/// Whether `path` in a rules file brings in time, chance, the network, the disk, or the parts that know them.
fn is_impure(path: &Path) -> bool {
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["crate", "http" | "store" | "app" | "catalog" | "identity" | "jobs" | "audit", ..] => {
            // Who acts is a plain value; what acting means is not.
            !matches!(parts.as_slice(), ["crate", "identity", .., "Principal" | "TokenRef" | "AccountRef" | "TokenKey"])
        }
        ["crate", "clock", .., last] => *last != "Time",
        ["std", "fs" | "net" | "env" | "io" | "process" | "thread", ..] => true,
        ["getrandom" | "redb" | "rustix" | "socket2", ..] => true,
        [.., "now" | "random"] => true,
        _ => false,
    }
}

/// The sentence about redb, files, sockets or printing that `path` breaks inside the module `from`.
fn touch_rule(from: &str, path: &Path) -> Option<&'static str> {
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    let first = *parts.first()?;
    if first == "redb" && from != "store" {
        return Some("only store names redb");
    }
    let opens = match parts.as_slice() {
        // Named as types: a file somebody else has opened.
        ["std", "fs", "File" | "Metadata"] => false,
        ["std", "fs", ..] | ["rustix", "fs", ..] | ["fs", _, ..] | ["fs4", ..] | ["tempfile", ..] => true,
        ["File", "open" | "create" | "create_new" | "options"] | ["OpenOptions", ..] => true,
        _ => false,
    };
    // Advice to the kernel about a file that is already open touches nothing by name.
    let advises = matches!(parts.last(), Some(&"sendfile" | &"fadvise" | &"Advice"));
    // The UI's pages, read from the directory named by --web-dir.
    let pages = from == "console" && matches!(parts.as_slice(), ["std", "fs", "read"]);
    // The operator's certificate, named by --tls-cert and --tls-key.
    let certificate = from == "certificates" && matches!(parts.as_slice(), ["std", "fs", "read" | "metadata"]);
    if opens && !advises && !pages && !certificate && from != "store" {
        return Some("only store touches the data directory");
    }
    let sockets = matches!(
        parts.as_slice(),
        ["std", "net", "TcpListener" | "TcpStream" | "UdpSocket" | "*", ..]
            | ["std", "os", "unix" | "windows", "net", ..]
            | ["TcpListener" | "TcpStream" | "UdpSocket", ..]
            | ["socket2" | "polling", ..]
            | ["rustix", "net" | "event", ..]
    );
    if sockets && from != "http" {
        return Some("only http names sockets");
    }
    let prints = matches!(parts.as_slice(), ["println" | "print" | "eprintln" | "eprint" | "dbg"])
        || matches!(parts.as_slice(), ["std", "io", "stdout" | "stderr"] | ["io", "stdout" | "stderr"]);
    if prints && !["main", "cli"].contains(&from) {
        return Some("only main and cli speak to the terminal; everybody else logs");
    }
    None
}

/// Routes of `products.md` §1, each at the root and below `/api`.
pub(crate) const PRODUCT_ROUTES: [(Method, &str); 15] = [
    (Method::Put, "/register"),
    (Method::Get, "/fetch/{token}"),
    (Method::Get, "/tokens"),
    (Method::Delete, "/prune/{token}"),
    (Method::Get, "/product/access"),
    (Method::Get, "/product/list"),
    (Method::Put, "/product/create"),
    (Method::Get, "/product/fetch/{product}"),
    (Method::Delete, "/product/delete/{product}"),
    (Method::Put, "/product/modify/addToken"),
    (Method::Delete, "/product/modify/deleteToken"),
    (Method::Delete, "/product/modify/deleteVersion"),
    (Method::Post, "/product/upload"),
    (Method::Get, "/product/download/{product}/{version}"),
    (Method::Delete, "/product/delete/{product}/{version}"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str) -> Vec<String> {
        faults(&[Source::read(name, &format!("//! Says what this file is for.\n{text}\n"))])
    }

    #[test]
    fn each_rule_catches_its_breach() {
        let cases = [
            ("products/api.rs", "use crate::winget::model::Package;", "a room never imports another room"),
            ("products/api.rs", "use crate::{error::Error, apps};", "a room never imports another room"),
            ("products/api.rs", "fn f() { super::super::feeds::x() }", "a room never imports another room"),
            ("products/mod.rs", "use super::winget;", "a room never imports another room"),
            ("products/api.rs", "use crate::routes;", "a room never looks up to the map"),
            ("http/server.rs", "use crate::store::Store;", "http imports none of ours but error and ids"),
            ("http/server.rs", "use crate::clock::Time;", "http imports none of ours but error and ids"),
            ("store/mod.rs", "use crate::http;", "store imports none of ours but error and ids"),
            ("store/mod.rs", "use crate::products::model as m;", "store imports none of ours"),
            ("formats/mod.rs", "use crate::error::Error;", "formats imports nothing of ours"),
            ("identity/mod.rs", "use crate::products;", "the core never imports a room"),
            ("jobs/mod.rs", "fn f(r: crate::http::Request) {}", "the core knows nothing of http"),
            ("audit.rs", "use crate::app::App;", "the core never looks up"),
            ("clock.rs", "use crate::store::Store;", "error, ids, clock and prepared know nobody"),
            ("app.rs", "use crate::products;", "knows no room"),
            ("stuff/mod.rs", "use crate::store::Store;", "no rule places the module `stuff`"),
            ("products/rules.rs", "use crate::http::Request;", "rules are pure"),
            ("products/rules.rs", "use crate::clock::{Clock, Time};", "rules are pure"),
            ("products/rules.rs", "fn f() { ObjectId::random() }", "rules are pure"),
            ("products/rules.rs", "fn f() { std::time::SystemTime::now(); }", "rules are pure"),
            ("catalog/mod.rs", "use redb::Database;", "only store names redb"),
            ("catalog/mod.rs", "fn f() { redb::Database::open(p) }", "only store names redb"),
            ("identity/first_run.rs", "fn f() { std::fs::write(p, b) }", "only store touches the data directory"),
            ("products/api.rs", "use std::fs::{self, File};", "only store touches the data directory"),
            ("products/api.rs", "fn f() { File::open(p) }", "only store touches the data directory"),
            ("products/api.rs", "use std::net::TcpStream;", "only http names sockets"),
            ("jobs/mod.rs", "use {polling::Poller};", "only http names sockets"),
            ("store/mod.rs", "fn f() { println!(\"x\") }", "only main and cli speak"),
            ("store/mod.rs", "fn f() { std::io::stderr() }", "only main and cli speak"),
            ("store/mod.rs", "fn f() { unsafe { g() } }", "unsafe stands only in"),
            ("store/mod.rs", "#![allow(unsafe_code)]", "the ban on unsafe code is lifted only"),
        ];
        for (name, text, rule) in cases {
            let found = check(name, text);
            assert!(found.iter().any(|fault| fault.contains(rule)), "{name}: {text}\n  found {found:?}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        let cases = [
            ("products/api.rs", "use crate::{app::App, catalog, http::{Request, Response}, products::rules};"),
            (
                "products/api.rs",
                "// use crate::winget;\n/* crate::apps /* nested */ */ fn f() -> &'static str { \"crate::apps::x\" }",
            ),
            ("products/api.rs", "const T: &str = r#\"use crate::winget; \"quoted\" \"#; use super::rules;"),
            ("products/rules.rs", "use crate::clock::Time; use crate::error::Result; use crate::identity::Principal;"),
            ("products/rules.rs", "#[cfg(test)] mod tests { use super::*; fn f() { SystemTime::now(); } }"),
            ("http/server.rs", "use crate::error::Error; use super::head::Head; use std::net::TcpListener;"),
            (
                "http/response.rs",
                "use std::fs::File; fn f(file: &File) -> Option<&std::fs::File> { rustix::fs::sendfile(file) }",
            ),
            ("http/readiness.rs", "#![allow(unsafe_code)] fn f() { unsafe { g() } }"),
            ("store/mod.rs", "use redb::Database; use std::fs; fn f() { fs::write(p, b) }"),
            ("identity/mod.rs", "use crate::{audit, store::{Store, table::Table}}; use std::net::IpAddr;"),
            ("catalog/mod.rs", "#[cfg(test)] mod tests { fn f() { std::fs::write(p, b); println!(); } }"),
            (
                "catalog/mod.rs",
                "#[cfg(test)] use std::fs::{self, File}; fn f(c: char) -> bool { c == '\\'' || c == '\"' }",
            ),
            ("routes.rs", "use crate::{products, shared_doors, http::Method};"),
            ("main.rs", "use packhouse::{cli, products}; fn f() { println!(\"listening\") }"),
        ];
        for (name, text) in cases {
            let found = check(name, text);
            assert!(found.is_empty(), "{name}: {text}\n  found {found:?}");
        }
    }

    #[test]
    fn test_only_files_are_known_by_their_declaration() {
        let text = "//! Says what this file is for.\n";
        let module = Source::read("jobs/mod.rs", &format!("{text}#[cfg(test)]\nmod storm;"));
        let storm = Source::read("jobs/storm.rs", &format!("{text}fn f() {{ std::fs::write(p, b) }}"));
        assert_eq!(module.test_modules, ["jobs/storm"]);
        assert!(faults(&[module, storm]).is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_for_and_ends() {
        assert!(shape_faults("//! Does this and that.\nfn f() {}\n").is_empty());
        assert_eq!(shape_faults("fn f() {}\n").len(), 1);
        assert_eq!(shape_faults("//!\nfn f() {}\n").len(), 1);
        assert_eq!(shape_faults(&format!("//! Does this and that.{}", "\n".repeat(LONGEST + 1))).len(), 1);
    }

    #[test]
    fn groups_are_spread_and_lines_counted() {
        let source = Source::read("products/api.rs", "//! x\n\nuse crate::{\n    a::{self, b as c},\n    d::*,\n};\n");
        let paths: Vec<(usize, String)> = source.paths.iter().map(|p| (p.line, p.parts.join("::"))).collect();
        let expected = [(4, "crate::a"), (4, "crate::a::b"), (5, "crate::d::*")];
        assert_eq!(paths, expected.map(|(line, path)| (line, path.to_owned())));
    }
}
