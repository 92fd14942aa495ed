//! `products.md` §5: the file name a client gives, what is kept of it, and how a download tells it.

use crate::files::{Form, segment};
use crate::server::{ADMIN, Packhouse};

/// A part's parameters after `name="file"`, and the file name kept; none when it must be refused.
fn cases() -> Vec<(String, Option<String>)> {
    let plain = [
        ("filename=\"app.exe\"", Some("app.exe")),
        ("filename=app.exe", Some("app.exe")),
        ("filename=\"a b.txt\"", Some("a b.txt")),
        // Only what follows the last slash of either kind is kept.
        (r#"filename="C:\build\app.exe""#, Some("app.exe")),
        (r#"filename="C:\\build\\app.exe""#, Some("app.exe")),
        (r#"filename="\\\\server\\share\\app.exe""#, Some("app.exe")),
        ("filename=\"../../x.sh\"", Some("x.sh")),
        ("filename=\"/etc/passwd\"", Some("passwd")),
        (r#"filename="..\..\x.sh""#, Some("x.sh")),
        (r#"filename="a/b\\c/d.txt""#, Some("d.txt")),
        ("filename=\"dir/.hidden\"", Some(".hidden")),
        ("filename=\"...\"", Some("...")),
        // Nothing is decoded in the plain form but the two escapes.
        (r#"filename="say \"hi\".txt""#, Some("say \"hi\".txt")),
        ("filename=\"a;b=c, d.txt\"", Some("a;b=c, d.txt")),
        ("filename=\"a%22b%20c.txt\"", Some("a%22b%20c.txt")),
        ("filename=\"100%.txt\"", Some("100%.txt")),
        ("filename=\"a+b.txt\"", Some("a+b.txt")),
        ("filename=\"größe 🚀.zip\"", Some("größe 🚀.zip")),
        ("filename=\"日本語\"", Some("日本語")),
        // The extended form wins, wherever it stands.
        ("filename=\"plain.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20x.txt", Some("größe x.txt")),
        ("filename*=UTF-8''first.txt; filename=\"plain.txt\"", Some("first.txt")),
        ("filename*=utf-8''only.txt", Some("only.txt")),
        ("filename*=UTF-8'en'language.txt", Some("language.txt")),
        ("filename=\"plain.txt\"; filename*=UTF-8''%2e%2e%2f%2e%2e%2Fx.sh", Some("x.sh")),
        ("filename=\"plain.txt\"; filename*=UTF-8''C%3A%5Cbuild%5Capp.exe", Some("app.exe")),
        ("filename=\"plain.txt\"; filename*=UTF-8''a%2522b.txt", Some("a%22b.txt")),
        // Control characters are taken out.
        ("filename*=UTF-8''a%0d%0ab%00c%1b%7fd%C2%85.txt", Some("abcd.txt")),
        ("filename=\"a\tb.txt\"", Some("ab.txt")),
        ("filename=\"a\u{1}b\u{1f}c.txt\"", Some("abc.txt")),
        ("filename=\"a\u{7f}b\u{85}c.txt\"", Some("abc.txt")),
        // Nothing is left.
        ("filename=\"\"", None),
        ("filename=\".\"", None),
        ("filename=\"..\"", None),
        ("filename=\"a/\"", None),
        (r#"filename="a\\""#, None),
        ("filename=\"a/..\"", None),
        ("filename=\"a/.\"", None),
        (r#"filename="C:\..""#, None),
        ("filename=\"/\"", None),
        ("filename*=UTF-8''%2f", None),
        ("filename*=UTF-8''%07", None),
        ("filename*=UTF-8''%2e%2e", None),
    ];
    let mut cases: Vec<(String, Option<String>)> =
        plain.iter().map(|(given, kept)| ((*given).to_owned(), kept.map(str::to_owned))).collect();
    cases.push((format!("filename=\"{}\"", "x".repeat(255)), Some("x".repeat(255))));
    cases.push((format!("filename=\"{}/{}\"", "x".repeat(300), "y".repeat(255)), Some("y".repeat(255))));
    cases.push((format!("filename=\"{}\"", "x".repeat(256)), None));
    cases.push((format!("filename=\"{}\"", "é".repeat(128)), None));
    cases
}

#[test]
fn the_base_name_is_kept() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    for (n, (given, kept)) in cases().iter().enumerate() {
        println!("{given}");
        let version = format!("v{n}");
        let head = format!("Content-Disposition: form-data; name=\"file\"; {given}");
        let form = Form::new().text("product", "p").text("version", &version).part(&head, b"bytes");
        let answer = server.upload(ADMIN, form);
        let Some(kept) = kept else {
            answer.is_error_like(400, "invalid filename");
            server.download(ADMIN, "p", &version).is_text(400, "Version not found");
            continue;
        };
        answer.is_empty(201);
        let shown = &server.view(ADMIN, "p")["versions"][&version];
        assert_eq!(shown["filename"], kept.as_str());
        assert_eq!(shown["path"], format!("./products/p/{version}/{kept}"));
        let download = server.download(ADMIN, "p", &version);
        assert_eq!(download.header("Content-Disposition"), Some(disposition(kept).as_str()));
        assert_eq!(download.body, b"bytes");
    }
    server.is_tidy(1);
}

/// The header as the contract's table says it.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            c if c.is_ascii() => c.to_string(),
            _ => "_".to_owned(),
        })
        .collect();
    match name.is_ascii() {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", segment(name)),
    }
}

#[test]
fn the_header_of_the_contract() {
    assert_eq!(disposition("a\"b.txt"), r#"attachment; filename="a\"b.txt""#);
    assert_eq!(
        disposition("größe 🚀.zip"),
        "attachment; filename=\"gr__e _.zip\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%F0%9F%9A%80.zip"
    );
}

#[test]
fn a_name_that_is_not_utf_8_is_no_server_fault() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    for given in [
        "filename*=UTF-8''%ff.txt",
        "filename*=UTF-8''%zz.txt",
        "filename*=x",
        "filename*=ISO-8859-1''gr%f6.txt",
        "filename=\"open",
    ] {
        let head = format!("Content-Disposition: form-data; name=\"file\"; {given}");
        let form = Form::new().text("product", "p").text("version", given).part(&head, b"bytes");
        let status = server.upload(ADMIN, form).status;
        assert!(matches!(status, 201 | 400), "{given}: {status}");
    }
}
