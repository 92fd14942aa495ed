//! Slow, silent, greedy and too many clients; stopping.

use super::*;

#[test]
fn slow_heads_and_bodies_are_answered_408() {
    let running = start(|settings| {
        settings.head_timeout = Duration::from_millis(300);
        settings.body_timeout = Duration::from_millis(300);
    });
    for request in [
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
    ] {
        let text = running.raw(request);
        assert!(text.starts_with("HTTP/1.1 408 "), "{request}: {text}");
    }
}

#[test]
fn a_trickle_does_not_extend_the_time_of_a_head() {
    let running = start(|settings| settings.head_timeout = Duration::from_millis(500));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nX: ");
    client.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < GUARD);
        if client.socket.write_all(b"x").is_err() {
            break;
        }
        match client.socket.read(&mut [0; 1000]) {
            Err(error) if super::super::stream::is_waiting(&error) => {}
            _ => break,
        }
    }
}

#[test]
fn trickled_bodies_end_by_their_rate() {
    let running = start(|settings| settings.body_timeout = Duration::from_millis(400));
    for path in ["/echo", "/sum"] {
        let mut client = running.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
        client.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < GUARD, "{path}");
            if client.socket.write_all(b"x").is_err() {
                break;
            }
            match client.socket.read(&mut [0; 1000]) {
                Err(error) if super::super::stream::is_waiting(&error) => {}
                _ => break,
            }
        }
    }
}

#[test]
fn idle_connections_end_without_a_word() {
    let running = start(|settings| settings.idle_timeout = Duration::from_millis(200));
    assert_eq!(running.connect().rest(), b"");
    let mut client = running.connect();
    client.get("/");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.rest(), b"");
}

#[test]
fn clients_that_do_not_read_stop_nobody_and_end() {
    let running = start(|settings| settings.write_timeout = Duration::from_millis(300));
    let stalled: Vec<_> = (0..4)
        .map(|at| {
            let mut client = running.connect();
            client.get(["/bytes?50000000", "/source?50000000"][at % 2]);
            client
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(running.get("/").body, b"hello");
    }
    let mut broken = 0;
    while broken < stalled.len() {
        broken += usize::from(running.lines.recv_timeout(GUARD).unwrap().broken);
    }
}

#[test]
fn an_answer_that_did_not_fit_arrives_whole() {
    let running = start(|_| {});
    let mut client = running.connect();
    for _ in 0..3 {
        client.get("/bytes?8000000");
    }
    client.get("/");
    for _ in 0..3 {
        assert!(client.answer().body == pattern(8_000_000));
    }
    assert_eq!(client.answer().body, b"hello");
}

#[test]
fn beyond_the_cap_the_oldest_quiet_connection_goes() {
    let running = start(|settings| settings.max_connections = 3);
    let mut clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = running.connect();
            client.get("/");
            client.answer();
            client
        })
        .collect();
    let mut fourth = running.connect();
    fourth.get("/");
    assert_eq!(fourth.answer().status, 200);
    // Which one is the oldest is decided when its worker parks it, a moment after the answer.
    let begin = Instant::now();
    let gone = loop {
        let is_closed = |client: &Client| {
            client.socket.set_nonblocking(true).unwrap();
            let closed = matches!(client.socket.peek(&mut [0]), Ok(0));
            client.socket.set_nonblocking(false).unwrap();
            closed
        };
        match clients.iter().position(is_closed) {
            Some(gone) => break gone,
            None => assert!(begin.elapsed() < GUARD),
        }
    };
    clients.remove(gone);
    for client in &mut clients {
        client.get("/wait");
        running.begun.recv_timeout(GUARD).unwrap();
    }
    // Every place is at work now: nobody gives way.
    fourth.get("/wait");
    running.begun.recv_timeout(GUARD).unwrap();
    let mut fifth = running.connect();
    let answer = fifth.answer();
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(fifth.rest(), b"");
    for _ in 0..3 {
        running.words.send(()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.answer().body, b"waited");
    }
    assert_eq!(fourth.answer().body, b"waited");
}

#[test]
fn a_full_transfer_lane_answers_503() {
    let running = start(|settings| settings.transfer_workers = 2);
    // One upload may run, two may wait.
    let mut uploads: Vec<_> = (0..4)
        .map(|_| {
            let mut client = running.connect();
            client.send("PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
            client
        })
        .collect();
    let refused = loop {
        let mut client = running.connect();
        client.send("PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        client.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        match client.socket.peek(&mut [0]) {
            Ok(1) => break client.answer(),
            _ => uploads.push(client),
        }
        assert!(uploads.len() < 20);
    };
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true));
    // A share is kept for downloads.
    assert!(running.get("/source?100000").body == pattern(100_000));
    for client in &mut uploads {
        // Those that were refused may be closed already.
        _ = client.socket.write_all(b"abc");
    }
    let served = uploads.iter_mut().filter_map(|client| (client.answer().status == 200).then_some(())).count();
    assert!(served >= 2, "{served}");
}

#[test]
fn many_at_once() {
    let running = start(|settings| settings.transfer_workers = 16);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let running = &running;
            let address = running.server.addresses()[0];
            scope.spawn(move || {
                for round in 0..40u64 {
                    let socket = TcpStream::connect(address).unwrap();
                    socket.set_read_timeout(Some(GUARD)).unwrap();
                    let mut client = Client { socket, buffer: Vec::new() };
                    for step in 0..5 {
                        let size = (thread * 7919 + round * 104_729 + step * 31) % 90_000;
                        client.get(&format!("/{}?{size}", ["bytes", "source", "stream"][step as usize % 3]));
                        assert!(client.answer().body == pattern(size));
                    }
                }
            });
        }
    });
}

#[test]
fn stopping_closes_quiet_connections_and_lets_requests_end() {
    let running = start(|_| {});
    let mut quiet = running.connect();
    quiet.get("/");
    quiet.answer();
    let mut half = running.connect();
    half.send("GET / HT");
    let mut busy = running.connect();
    busy.get("/wait");
    running.begun.recv_timeout(GUARD).unwrap();
    let address = running.server.addresses()[0];
    let Running { server, words, .. } = running;
    let stopping = std::thread::spawn(move || {
        let begin = Instant::now();
        server.stop(GUARD);
        begin.elapsed()
    });
    assert_eq!(quiet.rest(), b"");
    assert_eq!(half.rest(), b"");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    words.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.body.as_slice(), answer.headers["connection"].as_str()), (b"waited".as_slice(), "close"));
    assert!(stopping.join().unwrap() < GUARD);
}

#[test]
fn stopping_ends_what_does_not_end_by_itself() {
    let running = start(|_| {});
    let mut upload = running.connect();
    upload.send("PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    let mut download = running.connect();
    download.get("/source?500000000");
    download.head();
    let begin = Instant::now();
    running.server.stop(Duration::from_millis(100));
    assert!(begin.elapsed() < GUARD / 2);
    upload.rest();
    download.rest();
}
