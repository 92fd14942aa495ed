//! `products.md` §5, upload: the form in every shape, and every fault of the table.

use crate::client::{Answer, Request};
use crate::files::{BOUNDARY, Form, file_head, noise, sha256};
use crate::server::{ADMIN, Packhouse};

use super::download_path;

/// Sends a body that may be anything, under any content type.
#[track_caller]
fn post(server: &Packhouse, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    server.send(Request::post("/product/upload").token(ADMIN).body(kind, body))
}

#[test]
fn a_good_upload_is_answered_with_place_and_digest() {
    let server = Packhouse::start();
    for (product, version, bytes) in [
        ("my-lib", "1.0.0", noise(1, 10 << 10)),
        ("größe 🚀", "release/2.1", b"x".to_vec()),
        ("a%2Fb", "1.0.0+build.7", Vec::new()),
        ("100% c++?#&", "\"v\" 1", b"\r\n".to_vec()),
    ] {
        server.create(ADMIN, product);
        let answer = server.upload(ADMIN, Form::upload(product, version, "f.bin", &bytes));
        answer.is_empty(201);
        assert_eq!(answer.header("X-Checksum-Sha256"), Some(sha256(&bytes).as_str()));
        let location = answer.header("Location").unwrap();
        // Whichever of the harmless characters are encoded, it is the same path.
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let parts: Vec<String> = location.split('/').map(decoded).collect();
        assert_eq!(parts, ["", "product", "download", product, version], "{location}");
        assert!(location.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&b)), "{location}");
        let back = server.get(ADMIN, location);
        assert!(back.status == 200 && back.body == bytes, "{location}");
        server.has_version(product, version, &bytes);
    }
    server.is_tidy(4);
}

#[test]
fn parts_in_any_order_and_unknown_ones_between() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in orders.iter().enumerate() {
        for strange in [false, true] {
            let version = format!("v{n}{strange}");
            let bytes = noise(n as u64, 3000);
            let mut form = Form::new();
            for part in order {
                if strange {
                    form = form
                        .text("unknown", "x")
                        .text("unknown", "again")
                        .text("", "nameless")
                        .part(
                            "Content-Disposition: form-data; name=\"other\"; filename=\"../../etc/passwd\"",
                            b"not the file",
                        )
                        .text("Product", "another case")
                        .text("product ", "blank");
                }
                form = match part {
                    0 => form.text("product", "p"),
                    1 => form.text("version", &version),
                    _ => form.file("f.bin", &bytes),
                };
            }
            if strange {
                form = form.text("last", "x");
            }
            let answer = server.upload(ADMIN, form);
            answer.is_empty(201);
            server.has_version("p", &version, &bytes);
        }
    }
    server.is_tidy(6);
}

#[test]
fn heads_of_parts_in_other_spellings() {
    let server = Packhouse::start();
    server.create(ADMIN, "größe");
    let bytes = b"the bytes";
    let spellings = [
        "content-disposition: form-data; name=file; filename=f.bin",
        "CONTENT-DISPOSITION: FORM-DATA; NAME=\"file\"; FILENAME=\"f.bin\"",
        "Content-Disposition:form-data;name=\"file\";filename=\"f.bin\"",
        "Content-Disposition: form-data; filename=\"f.bin\"; name=\"file\"",
        "Content-Type: text/html\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\nX-More: 1",
        "Content-Disposition: form-data; name=\"file\"; filename=\"f.bin\"; size=9; creation-date=\"x; filename=y\"",
        "Content-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 9",
    ];
    for (n, head) in spellings.iter().enumerate() {
        println!("{head}");
        let version = format!("v{n}");
        let form = Form::new()
            .part(
                "Content-Disposition: form-data; name=product\r\nContent-Type: text/plain; charset=UTF-8",
                "größe".as_bytes(),
            )
            .text("version", &version)
            .part(head, bytes);
        server.upload(ADMIN, form).is_empty(201);
        server.has_version("größe", &version, bytes);
        assert_eq!(server.view(ADMIN, "größe")["versions"][&version]["filename"], "f.bin");
    }
}

#[test]
fn frames_round_the_parts() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let (kind, plain) = Form::upload("p", "VERSION", "f.bin", b"the bytes").finish();
    let plain = String::from_utf8(plain).unwrap();
    let named = |n: usize| plain.replace("VERSION", &format!("v{n}"));
    let other = |n: usize, boundary: &str| named(n).replace(BOUNDARY, boundary);
    let long = "b".repeat(70);
    let odd = "'()+_,-./:=? x";
    let bodies = [
        (kind.clone(), format!("a preamble\r\nof two lines\r\n{}", named(0))),
        (kind.clone(), format!("\r\n{}", named(1))),
        (kind.clone(), format!("{}an epilogue\r\n--{BOUNDARY}x", named(2))),
        (kind.clone(), named(3).trim_end().to_owned()),
        (format!("multipart/form-data; boundary=\"{BOUNDARY}\""), named(4)),
        (format!("Multipart/Form-Data; charset=utf-8; Boundary={BOUNDARY}; x=y"), named(5)),
        (format!("multipart/form-data;boundary={long}"), other(6, &long)),
        (format!("multipart/form-data; boundary=\"{odd}\""), other(7, odd)),
        ("multipart/form-data; boundary=x".to_owned(), other(8, "x")),
    ];
    for (n, (kind, body)) in bodies.into_iter().enumerate() {
        println!("{kind}\n{body}");
        post(&server, &kind, body).is_empty(201);
        server.has_version("p", &format!("v{n}"), b"the bytes");
    }
}

#[test]
fn content_that_looks_like_a_boundary() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let half = &BOUNDARY[..BOUNDARY.len() / 2];
    let contents = [
        String::new(),
        "\r".into(),
        "\n".into(),
        "\r\n".into(),
        "\r\n\r\n".into(),
        "\r\r\n".into(),
        "--".into(),
        "\r\n--".into(),
        "\r\n--\r\n--\r\n--".into(),
        format!("\r\n--{half}"),
        format!("\r\n--{half}\r\n--{half}"),
        format!("--{BOUNDARY}"),
        format!("--{BOUNDARY}--\r\n"),
        format!("\n--{BOUNDARY}--\n"),
        format!("\r--{BOUNDARY}\r\n"),
        format!("\r\n-{BOUNDARY}\r\n"),
        format!("x\r\n--{}", &BOUNDARY[1..]),
        format!("\r\n--{}\r\n", BOUNDARY.to_uppercase()),
        format!("\r\n--{}", &BOUNDARY[..BOUNDARY.len() - 1]),
        "\r\n-".repeat(50_000),
        format!("\r\n--{half}").repeat(20_000),
    ];
    for (n, content) in contents.iter().enumerate() {
        println!("{content:.60}");
        let version = format!("v{n}");
        // The file is the first part once and the last once: the boundary after it differs.
        server.upload(ADMIN, Form::upload("p", &version, "f", content.as_bytes())).is_empty(201);
        let first = Form::new().file("f", content.as_bytes()).text("product", "p").text("version", &format!("w{n}"));
        server.upload(ADMIN, first).is_empty(201);
        server.has_version("p", &version, content.as_bytes());
        server.has_version("p", &format!("w{n}"), content.as_bytes());
    }
}

#[test]
fn every_length_round_the_blocks_of_a_reader() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let mut connection = server.connect();
    for block in [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20] {
        // The boundary of the form straddles the end of a block at each of these.
        for less in [0, 1, 2, 3, 20, 33, 34, 35, 36, 100, 250, 300, 350, 400] {
            let bytes = noise(block as u64 + less as u64, block - less);
            let version = format!("{block}-{less}");
            let (kind, body) = Form::upload("p", &version, "f", &bytes).finish();
            let answer = connection.send(Request::post("/product/upload").token(ADMIN).body(&kind, body));
            answer.is_empty(201);
            assert_eq!(answer.header("X-Checksum-Sha256"), Some(sha256(&bytes).as_str()), "{version}");
            let back = connection.send(Request::get(&download_path("p", &version)).token(ADMIN));
            assert!(back.body == bytes, "{version}");
        }
    }
}

#[test]
fn what_is_not_multipart_is_refused() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let (kind, body) = Form::upload("p", "v", "f", b"bytes").finish();
    for wrong in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=another",
        "multipart/form-data; bound=x",
        &format!("multipart/form-data; boundary={}", "b".repeat(300)),
        "multipart",
        "",
        "boundary=x",
    ] {
        println!("{wrong}");
        post(&server, wrong, body.clone()).is_error_like(400, "");
    }
    let bare = |body: Vec<u8>| {
        let length = body.len() as u64;
        Request::post("/product/upload").token(ADMIN).sized("x", length, move |out| out.write_all(&body))
    };
    server.send(bare(body.clone())).is_error_like(400, "");
    server.send(Request::post("/product/upload").token(ADMIN)).is_error_like(400, "");
    for wrong in ["", "\r\n", "x", "--", "{}", "product=p&version=v"] {
        post(&server, &kind, wrong).is_error_like(400, "");
    }
    server.is_as_before(&before, 0);
}

#[test]
fn a_form_without_its_end_is_refused() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let (kind, whole) = Form::new().file("f", b"the bytes").text("product", "p").text("version", "v").finish();
    let end = BOUNDARY.len() + 6;
    // The body is complete as HTTP goes, but its last boundary is missing, or is cut.
    for less in (4..end + 3).chain([60, 100, 150, 200, 250, 300]).filter(|less| *less < whole.len()) {
        post(&server, &kind, &whole[..whole.len() - less]).is_error_like(400, "");
    }
    let (kind, unfinished) = Form::upload("p", "v", "f", &noise(1, 300_000)).unfinished();
    post(&server, &kind, unfinished.clone()).is_error_like(400, "");
    post(&server, &kind, &unfinished[..100_000]).is_error_like(400, "");
    // Lines that end without CR.
    let (kind, whole) = Form::upload("p", "v", "f", b"the bytes").finish();
    post(&server, &kind, String::from_utf8(whole).unwrap().replace("\r\n", "\n")).is_error_like(400, "");
    server.is_as_before(&before, 0);
}

#[test]
fn each_part_once_and_not_empty() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let without_name = "Content-Disposition: form-data; name=\"file\"";
    let form = Form::new;
    let cases = [
        ("product", form().text("version", "v").file("f", b"x")),
        ("version", form().text("product", "p").file("f", b"x")),
        ("file", form().text("product", "p").text("version", "v")),
        ("product", form().file("f", b"x").text("version", "v")),
        ("version", form().file("f", b"x").text("product", "p")),
        ("product", form().text("product", "").text("version", "v").file("f", b"x")),
        ("version", form().text("product", "p").text("version", "").file("f", b"x")),
        ("version", form().file("f", b"x").text("product", "p").text("version", "")),
        ("file", form().text("product", "p").text("version", "v").part(without_name, b"x")),
        ("file", form().text("product", "p").text("version", "v").part(without_name, b"")),
        ("file", form().part(without_name, b"x").text("product", "p").text("version", "v")),
        ("product", form().text("product", "p").text("product", "p").text("version", "v").file("f", b"x")),
        ("product", form().text("product", "p").text("version", "v").file("f", b"x").text("product", "q")),
        ("version", form().text("product", "p").text("version", "v").text("version", "v").file("f", b"x")),
        ("version", form().text("product", "p").text("version", "v").file("f", b"x").text("version", "w")),
        ("file", form().text("product", "p").text("version", "v").file("f", b"x").file("f", b"x")),
        ("file", form().file("f", b"x").text("product", "p").text("version", "v").file("g", b"y")),
        ("file", form().file("f", b"x").file("g", b"y").text("product", "p").text("version", "v")),
    ];
    for (n, (named, form)) in cases.into_iter().enumerate() {
        println!("{n}: {named}");
        server.upload(ADMIN, form).is_error_naming(400, named);
    }
    post(&server, &Form::new().finish().0, Form::new().finish().1).is_error_like(400, "");
    server.is_as_before(&before, 0);
}

#[test]
fn faults_of_the_table() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    server.add_version("p", "v", b"the first");
    let member = server.member("p", &["maintainer", "download", "delete"]);
    let uploader = server.member("p", &["upload"]);
    let before = server.visible();
    let forms = |product: &str, version: &str, bytes: &[u8]| {
        [
            Form::upload(product, version, "f", bytes),
            Form::new().file("f", bytes).text("version", version).text("product", product),
            Form::new().text("version", version).file("f", bytes).text("product", product),
        ]
    };
    for bytes in [b"".as_slice(), b"the first", b"others", &noise(1, 300_000)] {
        for form in forms("none", "v", bytes) {
            server.upload(ADMIN, form).is_text(400, "Product not found");
        }
        for version in ["v", "w"] {
            for form in forms("p", version, bytes) {
                server.upload(&member, form).is_text(403, "permission denied");
            }
        }
        for token in [ADMIN, &uploader] {
            for form in forms("p", "v", bytes) {
                server.upload(token, form).is_error(409, "this version is already uploaded");
            }
        }
        server.has_version("p", "v", b"the first");
    }
    server.is_as_before(&before, 1);
}

#[test]
fn text_parts_are_taken_literally() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    for version in [" v", "v ", "v\r\n", "\tv", "v\0"] {
        println!("{version:?}");
        server.upload(ADMIN, Form::upload("p", version, "f", b"x")).is_error_like(400, "invalid name");
    }
    let head = "Content-Disposition: form-data; name=\"version\"";
    for bytes in [b"\xff".as_slice(), b"v\xc3", b"\xed\xa0\x80"] {
        server.upload(ADMIN, Form::new().text("product", "p").part(head, bytes).file("f", b"x")).is_error_like(400, "");
    }
    server.upload(ADMIN, Form::upload("p", &"v".repeat(2 << 20), "f", b"x")).is_error_like(413, "");
    let many = (0..1001).fold(Form::new(), |form, n| form.text("unknown", &n.to_string()));
    server.upload(ADMIN, many.text("product", "p").text("version", "v").file("f", b"x")).is_error_like(400, "");
    let long = format!("{}\r\nX-Long: {}", file_head("f"), "x".repeat(20 << 10));
    server
        .upload(ADMIN, Form::new().text("product", "p").text("version", "v").part(&long, b"x"))
        .is_error_like(413, "");
    server.is_as_before(&before, 0);
    // Percent signs in a form mean themselves.
    server.create(ADMIN, "a%2Fb");
    server.upload(ADMIN, Form::upload("a%2Fb", "%76", "f", b"x")).is_empty(201);
    server.has_version("a%2Fb", "%76", b"x");
}

#[test]
fn the_limit_of_the_server() {
    let server = Packhouse::with().arg("--max-upload-mb").arg("1").start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let limit = 1 << 20;
    for more in [1, 2, 1000, limit] {
        let bytes = noise(1, limit + more);
        for (version, file_first) in [("v", true), ("w", false)] {
            let form = match file_first {
                true => Form::new().file("f", &bytes).text("product", "p").text("version", version),
                false => Form::upload("p", version, "f", &bytes),
            };
            let (kind, body) = form.finish();
            let refused = "file size exceeds the limit of 1 MB";
            post(&server, &kind, body.clone()).is_error(413, refused);
            let chunked = Request::post("/product/upload")
                .token(ADMIN)
                .chunked(&kind, move |out| body.chunks(9000).try_for_each(|piece| out.write_all(piece)));
            server.send(chunked).is_error(413, refused);
        }
    }
    server.is_as_before(&before, 0);
    let bytes = noise(2, limit);
    server.upload(ADMIN, Form::upload("p", "v", "f", &bytes)).is_empty(201);
    server.has_version("p", "v", &bytes);
}

#[test]
fn a_declared_digest_is_compared() {
    let server = Packhouse::start();
    server.create(ADMIN, "p");
    let before = server.visible();
    let bytes = noise(1, 5000);
    let (kind, body) = Form::upload("p", "v", "f", &bytes).finish();
    let declared = |digest: &str| {
        server.send(
            Request::post("/product/upload").token(ADMIN).header("X-Checksum-Sha256", digest).body(&kind, body.clone()),
        )
    };
    declared(&sha256(b"others")).is_error_like(400, "");
    server.is_as_before(&before, 0);
    declared(&sha256(&bytes)).is_empty(201);
    server.has_version("p", "v", &bytes);
}
