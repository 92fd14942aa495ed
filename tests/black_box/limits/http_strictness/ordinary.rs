//! What honest but unusual clients send is understood: half-closed connections, expectations, pipelines, absolute targets.

use crate::files::noise;
use crate::rig;
use crate::server::Packhouse;
use crate::server::files_below;
use crate::wire::{self, Wire};

#[test]
fn a_client_that_closes_its_half_still_gets_its_answer() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    let bytes = noise(1, 3 << 20);
    for (version, size) in [("small", 1_000), ("large", bytes.len())] {
        let mut wire = Wire::open(address);
        wire.send(rig::upload_request("p", version, &bytes[..size])).expect("sent");
        wire.finish();
        let answer = wire.answer(false).expect("whole").expect("an answer");
        assert_eq!(answer.status, 201, "{version}: {answer:?}");
        let read = rig::download(address, "p", version).expect("a download");
        assert!(read.body == bytes[..size], "{version}: other bytes");
    }
}

/// An upload that ends early, in any framing and at any place, leaves nothing.
#[test]
fn a_half_closed_upload_that_is_not_whole_leaves_nothing() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    let before = files_below(server.data());
    let body = rig::upload_body("p", "v", &noise(2, 2 << 20));
    let head = rig::upload_head(&format!("Content-Length: {}\r\n", body.len()));
    let chunked = rig::upload_head("Transfer-Encoding: chunked\r\n");
    let first = format!("{:x}\r\n", body.len());
    for cut in [0, 1, 100, 400, body.len() / 2, body.len() - 40, body.len() - 1] {
        for (framing, head) in [("sized", head.clone()), ("chunked", chunked.clone() + &first)] {
            let mut wire = Wire::open(address);
            let _ = wire.send([head.as_bytes(), &body[..cut]].concat());
            wire.finish();
            let answer = wire.answer(false).expect("whole");
            assert!(answer.is_none_or(|answer| answer.status == 400), "{framing}, cut at {cut}");
        }
    }
    // Every byte is there, but the stream does not say that it is over.
    let mut wire = Wire::open(address);
    let _ = wire.send([chunked.as_bytes(), first.as_bytes(), &body, b"\r\n"].concat());
    wire.finish();
    assert!(wire.answer(false).expect("whole").is_none_or(|answer| answer.status == 400));
    assert_eq!(rig::versions(address, "p").expect("the versions"), Vec::<String>::new());
    assert_eq!(files_below(server.data()), before, "files were left behind");
}

#[test]
fn expectations_are_answered_once_and_only_before_a_wanted_body() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    let body = rig::upload_body("p", "v", b"bytes");
    let length = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());

    // Wanted: one interim answer, then the final one, and the connection goes on.
    let mut wire = Wire::open(address);
    wire.send(rig::upload_head(&length)).expect("sent");
    let mut one = [0; 25];
    std::io::Read::read_exact(&mut wire.stream(), &mut one).expect("an interim answer");
    assert_eq!(&one, b"HTTP/1.1 100 Continue\r\n\r\n");
    wire.send(&body).expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    assert_eq!((answer.status, wire.interim), (201, 0), "{answer:?}");
    wire.send(rig::request("GET", "/health", "")).expect("sent");
    assert_eq!(wire.answer(false).expect("whole").expect("an answer").status, 200);

    // The body is already on its way: the interim answer may be left out, never doubled.
    let second = rig::upload_body("p", "w", b"bytes");
    let mut wire = Wire::open(address);
    wire.send([rig::upload_head(&length).as_bytes(), &second].concat()).expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(wire.interim <= 1, "{} interim answers", wire.interim);

    // Refused: the final answer comes without an interim one and without waiting for the body.
    for (head, status) in [
        (rig::upload_head(&length).replace(rig::TOKEN, "not-a-token-not-a-token"), 401),
        (rig::upload_head(&format!("Content-Length: {}\r\nExpect: nonsense\r\n", body.len())), 417),
        (
            rig::json_request("PUT", "/product/create", "")
                .replace("Length: 0", "Length: 99999999\r\nExpect: 100-continue"),
            413,
        ),
    ] {
        let mut wire = Wire::open(address);
        wire.send(&head).expect("sent");
        let answer = wire.answer(false).expect("whole").expect("an answer");
        assert_eq!((answer.status, wire.interim), (status, 0), "{head}");
        // The client may send the body anyway; it is never read as a request.
        let _ = wire.send(rig::json_request("PUT", "/product/create", "{\"name\":\"smuggled\"}"));
        wire.finish();
        assert!(wire.answers(&[]).expect("whole").iter().all(|answer| answer.status != 201), "{head}");
    }
    // HTTP/1.0 knows no interim answers.
    let third = rig::upload_body("p", "old", b"bytes");
    let head = rig::upload_head(&format!("Content-Length: {}\r\nExpect: 100-continue\r\n", third.len()));
    let mut wire = Wire::open(address);
    wire.send([head.replace("HTTP/1.1", "HTTP/1.0").as_bytes(), &third].concat()).expect("sent");
    let answer = wire.answer(false).expect("whole").expect("an answer");
    assert_eq!((answer.status, wire.interim), (201, 0), "{answer:?}");
    assert_eq!(rig::products(address).expect("the list"), ["p".to_owned()]);
}

/// Pipelined requests of every kind come back in order, each with its own answer.
#[test]
fn a_pipeline_is_answered_in_order() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    let bytes = noise(3, 200_000);
    assert_eq!(rig::upload(address, "p", "v", &bytes).expect("an answer").status, 201);

    let mut pipeline = Vec::new();
    let mut expected: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut heads = Vec::new();
    for round in 0..40 {
        let name = format!("made-{round:02}");
        let cases = [
            (rig::request("GET", "/product/access", ""), 200, None),
            (rig::json_request("PUT", "/product/create", &format!("{{\"name\":\"{name}\"}}")), 201, Some(Vec::new())),
            (rig::request("GET", &format!("/product/fetch/{name}"), ""), 200, None),
            (rig::request("GET", "/product/download/p/v", ""), 200, Some(bytes.clone())),
            (rig::request("HEAD", "/product/download/p/v", ""), 200, Some(Vec::new())),
            (rig::request("GET", "/product/download/p/v", "Range: bytes=5-14\r\n"), 206, Some(bytes[5..15].to_vec())),
            (rig::request("GET", "/product/fetch/nobody", ""), 404, Some(b"Product not found".to_vec())),
            (rig::request("DELETE", &format!("/product/delete/{name}"), ""), 204, Some(Vec::new())),
            (rig::request("GET", &format!("/product/fetch/{name}"), ""), 404, Some(b"Product not found".to_vec())),
        ];
        for (request, status, body) in cases {
            if request.starts_with("HEAD") {
                heads.push(expected.len());
            }
            pipeline.extend_from_slice(request.as_bytes());
            let list = format!("[\"made-{round:02}\",\"p\"]");
            expected.push((status, body.unwrap_or_else(|| list.into_bytes())));
        }
    }
    let mut wire = Wire::open(address);
    let stream = wire.stream().try_clone().expect("a second handle");
    // Answers are larger than what the sockets hold: send and read at the same time.
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut &stream, &pipeline).expect("the pipeline is taken"));
        for (index, (status, body)) in expected.iter().enumerate() {
            let answer = wire.answer(heads.contains(&index)).expect("whole").expect("an answer");
            assert_eq!(answer.status, *status, "answer {index}: {}", answer.head);
            // The list and the product's own text depend on the round; their status is enough.
            if index % 9 != 0 && index % 9 != 2 {
                assert!(answer.body == *body, "answer {index}: {} bytes", answer.body.len());
            }
        }
    });
}

/// Many small downloads on one connection do not wait for the other side's delayed acknowledgement (40 ms each).
#[test]
fn keep_alive_has_no_40_ms_step() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    let bytes = noise(4, 10 * 1024);
    assert_eq!(rig::upload(address, "p", "v", &bytes).expect("an answer").status, 201);
    let mut wire = Wire::open(address);
    let mut slow = 0;
    for _ in 0..50 {
        let begun = std::time::Instant::now();
        wire.send(rig::request("GET", "/product/download/p/v", "")).expect("sent");
        let answer = wire.answer(false).expect("whole").expect("an answer");
        slow += usize::from(begun.elapsed().as_millis() >= 35);
        assert!(answer.status == 200 && answer.body == bytes);
    }
    assert!(slow < 25, "{slow} of 50 answers took 35 ms and more");
}

/// The whole target may be given; the host in it changes nothing.
#[test]
fn absolute_targets_reach_the_same_route() {
    let server = Packhouse::start();
    let address = server.address();
    rig::create_product(address, "p");
    for host in ["x", "evil.example", "127.0.0.1:1", "[::1]:80", "user@x"] {
        let target = format!("http://{host}/product/access?a=b");
        let answer = wire::ask(address, rig::request("GET", &target, "")).expect("an answer");
        let fits = (answer.status, answer.text().as_str()) == (200, "[\"p\"]");
        assert!(fits || host.contains('@') && answer.status == 400, "{target}: {answer:?}");
    }
    let stranger = "GET http://x/product/access HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(wire::ask(address, stranger).expect("an answer").status, 401);
}
