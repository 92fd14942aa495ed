//! The edges of HTTPS: names nobody asked for, protocols nobody speaks, and a house that is full.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{HEALTHY, Secure};
use crate::server::{ADMIN, GUARD, wait_for};

#[test]
fn names_and_protocols_the_server_does_not_know() {
    let secure = Secure::start(&[]);
    // Without a name, or with one that is not ours, the certificate is shown all the same: whether it fits is for the
    // client to say.
    let told = secure.python_text(
        "def ask(name, check):\n    context = ssl.create_default_context(cafile=root)\n    context.check_hostname = check\n\
         \x20   link = context.wrap_socket(plain(), server_hostname=name)\n\
         \x20   link.sendall(b'GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n\
         \x20   return rest(link).count(b'healthy')\n\
         print(ask(None, False), ask('unknown.example', False), ask('127.0.0.1', True), ask('LOCALHOST', True))\n\
         try:\n    ask('unknown.example', True)\n    print('taken')\n\
         except ssl.SSLCertVerificationError:\n    print('refused')",
    );
    assert_eq!(told.split_whitespace().collect::<Vec<_>>(), ["1", "1", "1", "1", "refused"]);

    let told = secure.python_text(
        "def offer(protocols):\n    context = ssl.create_default_context(cafile=root)\n\
         \x20   context.set_alpn_protocols(protocols)\n\
         \x20   try:\n        return context.wrap_socket(plain(), server_hostname='localhost').selected_alpn_protocol()\n\
         \x20   except ssl.SSLError as error:\n        return 'alert' if 'ALERT' in str(error).upper() else str(error)\n\
         print(offer(['http/1.1']), offer(['h2', 'http/1.1']), offer(['h2']))",
    );
    assert_eq!(told, "http/1.1 http/1.1 alert", "another protocol is refused, not mistaken for ours");
    assert_eq!(secure.curl_text(&["--http2", &secure.url("/health")]), HEALTHY);
}

/// A connection whose worker waits for the rest of an upload.
fn busy(secure: &Secure) -> TcpStream {
    let mut link = TcpStream::connect(secure.server.address()).unwrap();
    link.set_read_timeout(Some(GUARD)).unwrap();
    let head = format!(
        "POST /product/upload HTTP/1.1\r\nHost: x\r\nX-Api-Token: {ADMIN}\r\nContent-Length: 100000\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
    );
    link.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 25];
    link.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    link
}

#[test]
fn a_full_house_says_so_in_the_language_of_the_door() {
    let secure = Secure::start(&["--max-connections", "3"]);
    let mut guests: Vec<TcpStream> = (0..3).map(|_| busy(&secure)).collect();
    for number in 0..10 {
        // Slow, but not so slow that they are asked to leave.
        for guest in &mut guests {
            guest.write_all(&[b'x'; 2000]).unwrap();
        }
        let url = secure.url("/health");
        let output = secure.curl(&["-D", "-", &url]);
        let text = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
        assert!(output.status.success(), "{number}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(text.starts_with("http/1.1 503 ") && text.contains("retry-after: "), "{number}: {text}");
        assert!(text.contains("connection: close") && text.contains("too many connections"), "{number}: {text}");
        if number == 0 {
            // At the other door nothing need be said to hear it.
            let mut plain = TcpStream::connect(secure.server.address()).unwrap();
            plain.set_read_timeout(Some(GUARD)).unwrap();
            let mut text = String::new();
            plain.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Too many connections"), "{text}");
        }
    }
    // Whoever waits at the door without a word keeps nobody out once there is room, and costs nobody who is inside.
    let _silent: Vec<TcpStream> =
        (0..70).map(|_| TcpStream::connect(secure.address()).expect("the door is open")).collect();
    drop(guests.pop());
    wait_for("room for one more", || {
        let output = secure.curl(&[&secure.url("/health")]);
        (output.status.success() && String::from_utf8_lossy(&output.stdout) == HEALTHY).then_some(())
    });
    for mut guest in guests {
        // Still there: what it sends now is read, and answered as what it is, no form.
        guest.write_all(&[b'x'; 80_000]).unwrap();
        let mut answer = [0; 12];
        guest.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400", "{}", String::from_utf8_lossy(&answer));
    }
}
