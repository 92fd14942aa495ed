//! `products.md` §3: which names are good, and how they travel in paths.

use serde_json::{Value, json};

use crate::client::Request;
use crate::files::Form;
use crate::server::{ADMIN, Packhouse, files_below};

use super::{delete_path, download_path, fetch_path};

/// Names that must be kept exactly as they are.
fn good() -> Vec<String> {
    let plain = [
        "my-lib",
        "a",
        "A",
        "0",
        "my lib",
        "c++",
        "100%",
        "a#b?",
        "größe",
        "1.0.0+build.7",
        "release/2.1",
        "a%2Fb",
        "a/b",
        "a%2fb",
        "%",
        "%25",
        "%00",
        "%zz",
        "+",
        "a+b",
        "a b",
        "&=;:@,$!*'()",
        "\"quoted\"",
        "<b>bold</b>",
        "{\"json\":1}",
        "[x]",
        "a|b^c`d~e",
        "🚀",
        "日本語",
        "Ж",
        "...",
        "..a",
        "a..",
        ".hidden",
        "a/.hidden/...",
        "a/..b/c",
        "-",
        "--data",
        "CON",
        "nul.txt",
        "a.",
        "x::$DATA",
        "C:",
        "~",
        "$HOME",
        "{product}",
        "*",
        "?",
        "a\u{200b}b",
        "\u{202e}gnp.exe",
        "\u{feff}bom",
        "\u{e000}",
        "e\u{301}",
        "\u{e9}",
        "\u{fffd}",
        "\u{10ffff}",
        "a/b/c/d/e",
        "null",
        "undefined",
        "true",
        "__proto__",
        "' OR 1=1 --",
        "a\u{a0}b",
        "a\u{3000}b",
    ];
    let mut names: Vec<String> = plain.map(str::to_owned).to_vec();
    names.push("x".repeat(128));
    names.push("é".repeat(64));
    names.push("🚀".repeat(32));
    names.push("a/".repeat(63) + "aa");
    names
}

/// Names that must be refused.
fn bad() -> Vec<String> {
    let plain = [
        " a",
        "a ",
        " ",
        "\ta",
        "\u{a0}a",
        "a\u{3000}",
        "\u{2003}a",
        "a\u{2028}",
        "/a",
        "a/",
        "/",
        "//",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "./a",
        "a/.",
        "a/./b",
        "a/../b",
        "a\\b",
        "\\",
        "C:\\x",
        "a\0",
        "\0",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\u{1b}[0m",
        "\u{1f}",
        "\u{7f}",
        "a\u{80}",
        "\u{85}",
        "a\u{9f}b",
    ];
    let mut names: Vec<String> = plain.map(str::to_owned).to_vec();
    names.push("x".repeat(129));
    names.push("é".repeat(64) + "x");
    names.push("🚀".repeat(33));
    names.push("x".repeat(5000));
    names
}

#[test]
fn good_names_are_kept_exactly() {
    let server = Packhouse::start();
    let names = good();
    let mut connection = server.connect();
    for name in &names {
        println!("{name}");
        connection.send(Request::put("/product/create").token(ADMIN).json(&json!({ "name": name }))).is_empty(201);
        // Every name is a product and, in it, a version; each pair has bytes of its own.
        let (kind, body) = Form::upload(name, name, "f", name.as_bytes()).finish();
        connection.send(Request::post("/product/upload").token(ADMIN).body(&kind, body)).is_empty(201);
    }
    for name in &names {
        println!("{name}");
        let view = connection.send(Request::get(&fetch_path(name)).token(ADMIN)).is_json(200);
        assert_eq!(view["name"], json!(name));
        let versions = view["versions"].as_object().unwrap();
        assert_eq!(versions.keys().collect::<Vec<_>>(), [name]);
        assert_eq!(versions[name]["path"], json!(format!("./products/{name}/{name}/f")));
        let answer = connection.send(Request::get(&download_path(name, name)).token(ADMIN));
        assert_eq!((answer.status, answer.text()), (200, name.as_str()));
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    for path in ["/product/access", "/product/list"] {
        assert_eq!(server.get(ADMIN, path).is_json(200), json!(sorted), "not sorted by code point");
    }
    // Half of them lose their version, the others go as a whole.
    for (n, name) in names.iter().enumerate() {
        let path = delete_path(name, (n % 2 == 0).then_some(name));
        connection.send(Request::delete(&path).token(ADMIN)).is_empty(204);
    }
    let mut left: Vec<&String> = names.iter().step_by(2).collect();
    left.sort_unstable();
    assert_eq!(server.get(ADMIN, "/product/access").is_json(200), json!(left));
    for name in left {
        assert_eq!(server.view(ADMIN, name)["versions"], json!({}), "{name}");
    }
}

#[test]
fn bad_names_are_refused_everywhere() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    let before = server.visible();
    for name in bad() {
        println!("{name:?}");
        server.put_json(ADMIN, "/product/create", json!({ "name": name })).is_error_like(400, "invalid name");
        server.upload(ADMIN, Form::upload(&name, "v", "f", b"x")).is_error_like(400, "invalid name");
        server.upload(ADMIN, Form::upload("here", &name, "f", b"x")).is_error_like(400, "invalid name");
        let file_first = Form::new().file("f", b"x").text("version", &name).text("product", "here");
        server.upload(ADMIN, file_first).is_error_like(400, "invalid name");
    }
    server.is_as_before(&before, 1);
}

#[test]
fn bad_names_in_paths_and_bodies_are_refused_too() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    let before = server.visible();
    for name in bad() {
        println!("{name:?}");
        let mut requests = vec![
            Request::get(&fetch_path(&name)),
            Request::delete(&delete_path(&name, None)),
            Request::delete(&delete_path(&name, Some("v1"))),
            Request::delete(&delete_path("here", Some(&name))),
            Request::get(&download_path(&name, "v1")),
            Request::get(&download_path("here", &name)),
        ];
        let all = super::permissions(&["download"]);
        requests.push(
            Request::put("/product/modify/addToken")
                .json(&json!({ "product": name, "token": ADMIN, "permissions": all })),
        );
        requests.push(Request::delete("/product/modify/deleteToken").json(&json!({ "product": name, "token": ADMIN })));
        requests
            .push(Request::delete("/product/modify/deleteVersion").json(&json!({ "product": name, "version": "v1" })));
        requests.push(
            Request::delete("/product/modify/deleteVersion").json(&json!({ "product": "here", "version": name })),
        );
        for request in requests {
            // A NUL may already be refused as a bad escape.
            let beginning = if name.contains('\0') { "" } else { "invalid name" };
            server.send(request.token(ADMIN)).is_error_like(400, beginning);
        }
    }
    server.is_as_before(&before, 1);
}

#[test]
fn malformed_escapes_are_refused() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    let before = server.visible();
    for bad in [
        "%zz",
        "%2",
        "%",
        "a%",
        "%g0",
        "%0g",
        "%%41",
        "%-1",
        "%ff",
        "%c3",
        "%c3%28",
        "%ed%a0%80",
        "%f5%80%80%80",
        "%c0%ae",
        "%00",
        "a%00b",
    ] {
        println!("{bad}");
        let requests = [
            Request::get(&format!("/fetch/{bad}")),
            Request::delete(&format!("/prune/{bad}")),
            Request::get(&format!("/product/fetch/{bad}")),
            Request::delete(&format!("/product/delete/{bad}")),
            Request::delete(&format!("/product/delete/here/{bad}")),
            Request::delete(&format!("/product/delete/{bad}/v1")),
            Request::get(&format!("/product/download/here/{bad}")),
            Request::get(&format!("/product/download/{bad}/v1")),
            Request::put(&format!("/product/modify/{bad}")).json(&json!({})),
        ];
        for request in requests {
            server.send(request.token(ADMIN)).is_error_like(400, "");
        }
    }
    server.is_as_before(&before, 1);
}

#[test]
fn dots_in_a_path_are_never_resolved() {
    let server = Packhouse::start();
    server.create(ADMIN, "here");
    server.add_version("here", "v1", b"bytes");
    for path in [
        "/product/fetch/..",
        "/product/fetch/%2e%2e",
        "/product/fetch/.",
        "/product/fetch/here%2F..%2Fhere",
        "/product/fetch/..%2Fhere",
        "/product/download/here/..",
        "/product/download/../v1",
        "/product/download/%2e/v1",
        "/product/download/here/%2e%2e%2fv1",
        "/product/download/here/..%5cv1",
    ] {
        println!("{path}");
        server.get(ADMIN, path).is_error_like(400, "");
    }
    for path in ["/product/nope/../fetch/here", "/product/./fetch/here", "/product//fetch/here"] {
        println!("{path}");
        server.get(ADMIN, path).is_error_like(404, "");
    }
}

#[test]
fn a_path_is_split_first_and_decoded_once() {
    let server = Packhouse::start();
    for (name, bytes) in [("a/b", "slash"), ("a%2Fb", "percent"), ("a", "plain"), ("c++", "pluses")] {
        server.create(ADMIN, name);
        server.add_version(name, "release/2.1", bytes.as_bytes());
    }
    let cases = [
        ("/product/download/a%2Fb/release%2F2.1", "slash"),
        ("/product/download/a%2fb/release%2f2.1", "slash"),
        ("/product/download/%61%2F%62/release%2F2%2E1", "slash"),
        ("/product/download/a%252Fb/release%2F2.1", "percent"),
        ("/product/download/a/release%2F2.1", "plain"),
        ("/product/download/c++/release%2F2.1", "pluses"),
        ("/product/download/c%2B+/release%2F2.1", "pluses"),
        ("/product/download/a/release%2F2.1?x=%zz&product=b", "plain"),
    ];
    for (path, bytes) in cases {
        let answer = server.get(ADMIN, path);
        assert_eq!((answer.status, answer.text()), (200, bytes), "{path}");
    }
    server.get(ADMIN, "/product/download/a/b/release%2F2.1").is_error_like(404, "");
    server.get(ADMIN, "/product/download/a/release/2.1").is_error_like(404, "");
    server.get(ADMIN, "/product/download/a%252fb/release%2F2.1").is_text(400, "Product not found");
    server.get(ADMIN, "/product/download/a/release%252F2.1").is_text(400, "Version not found");
    server.get(ADMIN, "/product/download/c%20%20/release%2F2.1").is_error_like(400, "invalid name");
    // `a/b` as a path is version `b` of product `a`; as one segment it is the product `a/b`.
    server.delete(ADMIN, "/product/delete/a/b").is_text(400, "Version not found");
    server.add_version("a", "b", b"version b of product a");
    server.delete(ADMIN, "/product/delete/a/b").is_empty(204);
    server.has_version("a/b", "release/2.1", b"slash");
    server.delete(ADMIN, "/product/delete/a%2Fb").is_empty(204);
    server.get(ADMIN, &fetch_path("a/b")).is_text(404, "Product not found");
    server.has_version("a", "release/2.1", b"plain");
    server.has_version("a%2Fb", "release/2.1", b"percent");
}

#[test]
fn a_plus_is_never_a_blank() {
    let server = Packhouse::start();
    server.create(ADMIN, "a+b");
    server.create(ADMIN, "a b");
    server.add_version("a+b", "1+2", b"plus");
    server.add_version("a b", "1 2", b"blank");
    for (path, bytes) in [
        ("/product/download/a+b/1+2", "plus"),
        ("/product/download/a%2Bb/1%2B2", "plus"),
        ("/product/download/a%20b/1%202", "blank"),
    ] {
        assert_eq!(server.get(ADMIN, path).text(), bytes, "{path}");
    }
    server.get(ADMIN, "/product/download/a+b/1%202").is_text(400, "Version not found");
}

#[test]
fn pairs_of_names_stay_apart() {
    let server = Packhouse::start();
    let pairs = [
        ("x", "y/z"),
        ("x/y", "z"),
        ("x/y/z", "y/z"),
        ("x", "y%2Fz"),
        ("x%2Fy", "z"),
        ("x,y", "z"),
        ("x", "y,z"),
        ("x\u{200b}y", "z"),
        ("xy", "z"),
        ("x", "yz"),
    ];
    let mut names: Vec<&str> = pairs.iter().map(|pair| pair.0).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().for_each(|name| server.create(ADMIN, name));
    let bytes = |(product, version): (&str, &str)| format!("{product} :: {version}");
    for pair in pairs {
        server.add_version(pair.0, pair.1, bytes(pair).as_bytes());
    }
    for pair in pairs {
        server.has_version(pair.0, pair.1, bytes(pair).as_bytes());
    }
    for (n, gone) in pairs.iter().enumerate() {
        server.delete(ADMIN, &delete_path(gone.0, Some(gone.1))).is_empty(204);
        server.download(ADMIN, gone.0, gone.1).is_text(400, "Version not found");
        for pair in &pairs[n + 1..] {
            server.has_version(pair.0, pair.1, bytes(*pair).as_bytes());
        }
    }
    server.is_tidy(0);
}

#[test]
fn names_are_case_sensitive_and_not_normalised() {
    let server = Packhouse::start();
    let names = ["Lib", "lib", "LIB", "\u{e9}", "e\u{301}", "\u{fb01}", "fi", "ß", "ss"];
    for name in names {
        server.create(ADMIN, name);
        server.add_version(name, name, name.as_bytes());
    }
    for name in names {
        server.has_version(name, name, name.as_bytes());
    }
    server.download(ADMIN, "lib", "Lib").is_text(400, "Version not found");
    server.get(ADMIN, &fetch_path("LiB")).is_text(404, "Product not found");
}

#[test]
fn no_name_becomes_a_file_name_on_disk() {
    let server = Packhouse::start();
    server.create(ADMIN, "marker-product");
    server.upload(ADMIN, Form::upload("marker-product", "marker-version", "marker-file.bin", b"x")).is_empty(201);
    for path in files_below(server.data()) {
        assert!(!path.to_string_lossy().contains("marker"), "{path:?}");
    }
    let view = server.view(ADMIN, "marker-product");
    let shown = view["versions"]["marker-version"]["path"].clone();
    assert_eq!(shown, Value::from("./products/marker-product/marker-version/marker-file.bin"));
}
