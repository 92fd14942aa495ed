//! HTTPS, held to `winget.md` B8 and `platform.md` §3 with curl, OpenSSL and Python's ssl: our own authority and the
//! operator's certificate, versions, stalled handshakes, large files, slow readers, ends; redirects and proxies.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Request;
use crate::files::{noise, sha256};
use crate::rig;
use crate::server::{self, ADMIN, GUARD, Packhouse, wait_for};

mod edges;

/// What `/health` says.
const HEALTHY: &str = r#"{"status":"healthy"}"#;

/// A server that speaks HTTPS too, and a place for what its clients need.
struct Secure {
    server: Packhouse,
    place: TempDir,
}

impl Secure {
    fn start(arguments: &[&str]) -> Secure {
        let mut builder = Packhouse::with().arg("--tls-listen").arg("127.0.0.1:0");
        for argument in arguments {
            builder = builder.arg(*argument);
        }
        let secure = Secure { server: builder.start(), place: tempfile::tempdir().unwrap() };
        secure.save_root();
        secure
    }

    /// The root as the server offers it now; an operator's certificate has none.
    fn save_root(&self) {
        let answer = self.server.send(Request::get("/tls/ca.crt"));
        if answer.status == 200 {
            fs::write(self.path("ca.crt"), &answer.body).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Where it listens for HTTPS since its last start.
    fn address(&self) -> SocketAddr {
        wait_for("the address of HTTPS", || {
            let log = self.server.log();
            let line = log.lines().rev().find_map(|line| line.trim().strip_prefix("listening on https://"))?;
            line.parse().ok()
        })
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// curl with the root and `arguments`.
    fn curl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("curl");
        command.args(["-sS", "--ipv4", "--max-time", "60", "--cacert"]).arg(self.path("ca.crt")).args(arguments);
        command.output().unwrap()
    }

    #[track_caller]
    fn curl_text(&self, arguments: &[&str]) -> String {
        let output = self.curl(arguments);
        assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Python with the root, the port and the rest of the program.
    fn python(&self, program: &str) -> Output {
        let preamble = "import socket, ssl, sys\nroot, port = sys.argv[1], int(sys.argv[2])\n\
             def plain():\n    return socket.create_connection(('127.0.0.1', port), 60)\n\
             def secure(trust=True):\n    context = ssl.create_default_context(cafile=root if trust else None)\n    \
             return context.wrap_socket(plain(), server_hostname='localhost', suppress_ragged_eofs=False)\n\
             def rest(link):\n    got = b''\n    while piece := link.recv(65536):\n        got += piece\n    return got\n";
        let mut command = Command::new("python3");
        command.arg("-c").arg(format!("{preamble}{program}")).arg(self.path("ca.crt"));
        command.arg(self.address().port().to_string()).output().unwrap()
    }

    #[track_caller]
    fn python_text(&self, program: &str) -> String {
        let output = self.python(program);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn s_client(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-verify_return_error", "-connect", &self.address().to_string(), "-CAfile"]);
        command.arg(self.path("ca.crt")).args(arguments).stdin(Stdio::null()).output().unwrap()
    }
}

/// A certificate for localhost that signs itself.
fn self_signed(directory: &Path, name: &str) -> (Vec<u8>, Vec<u8>) {
    let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    let output = command.arg("-out").arg(&certificate).arg("-keyout").arg(&key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (fs::read(certificate).unwrap(), fs::read(key).unwrap())
}

#[test]
fn clients_with_the_root_trust_it_and_others_do_not() {
    let secure = Secure::start(&["--tls-name", "packages.example"]);
    let health = r#"{"status":"healthy"}"#;
    assert_eq!(secure.curl_text(&[&secure.url("/health")]), health);
    let by_address = format!("https://{}/health", secure.address());
    assert_eq!(secure.curl_text(&[&by_address]), health);
    let to_name = format!("packages.example:{}:127.0.0.1", secure.address().port());
    let named = format!("https://packages.example:{}/health", secure.address().port());
    assert_eq!(secure.curl_text(&["--resolve", &to_name, &named]), health);
    let other = format!("other.example:{}:127.0.0.1", secure.address().port());
    let wrong = secure.curl(&["--resolve", &other, &named.replace("packages", "other")]);
    assert_eq!(wrong.status.code(), Some(60), "a name that is not in the certificate");
    let stranger = Command::new("curl").args(["-sS", "--ipv4", &secure.url("/health")]).output().unwrap();
    assert_eq!(stranger.status.code(), Some(60), "{}", String::from_utf8_lossy(&stranger.stderr));

    let told = secure.python_text(
        "link = secure()\nlink.sendall(b'GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n\
         got = rest(link)\nprint(link.selected_alpn_protocol(), got.split(b'\\r\\n\\r\\n')[1].decode())",
    );
    assert_eq!(told, format!("None {health}"));
    let refused = secure.python("secure(trust=False)");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CERTIFICATE_VERIFY_FAILED"));
}

#[test]
fn the_root_is_offered_with_lines_for_each_system() {
    let secure = Secure::start(&[]);
    let pem = secure.server.send(Request::get("/tls/ca.crt"));
    let der = secure.server.send(Request::get("/tls/ca.cer"));
    assert_eq!((pem.status, der.status), (200, 200));
    assert_eq!(der.header("content-type"), Some("application/pkix-cert"));
    assert_eq!(secure.server.send(Request::get("/winget/ca.cer")).body, der.body);
    fs::write(secure.path("ca.cer"), &der.body).unwrap();
    let convert = |form: &str, name: &str| {
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-inform", form, "-noout", "-text", "-in"])
            .arg(secure.path(name))
            .output()
            .unwrap()
            .stdout
    };
    let text = String::from_utf8(convert("PEM", "ca.crt")).unwrap();
    assert_eq!(text.as_bytes(), convert("DER", "ca.cer"));
    for part in ["CA:TRUE, pathlen:0", "X509v3 Name Constraints: critical", "prime256v1", "Certificate Sign"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let page = secure.server.send(Request::get("/tls"));
    let fingerprint = sha256(&der.body).to_ascii_uppercase();
    let fingerprint: Vec<&str> =
        fingerprint.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
    for part in ["certutil", "Import-Certificate", "update-ca-certificates", "Group Policy", &fingerprint.join(":")] {
        assert!(page.text().contains(part), "{part} is not in {}", page.text());
    }
    let json = secure.server.send(Request::get("/tls").header("Accept", "application/json")).is_json(200);
    assert_eq!(json["sha256"], fingerprint.join(":"));
    assert!(json["pem"].as_str().unwrap().ends_with("/tls/ca.crt"));
    let plain = Packhouse::start();
    for path in ["/tls", "/tls/ca.crt", "/tls/ca.cer", "/winget/ca.cer"] {
        assert_eq!(plain.send(Request::get(path)).status, 404, "{path}");
    }
}

#[test]
fn the_root_outlives_restarts_until_it_is_forgotten() {
    let mut secure = Secure::start(&[]);
    let root = fs::read(secure.path("ca.crt")).unwrap();
    secure.server.restart();
    assert_eq!(secure.server.send(Request::get("/tls/ca.crt")).body, root);
    assert!(secure.server.stop().success());
    let data = secure.server.data().to_str().unwrap().to_owned();
    assert!(server::run(&["tls-reset", "--data", &data]).status.success());
    secure.server.start_again(|builder| builder);
    assert_ne!(secure.server.send(Request::get("/tls/ca.crt")).body, root);
    secure.save_root();
    assert_eq!(secure.curl_text(&[&secure.url("/health")]), r#"{"status":"healthy"}"#);
}

#[test]
fn speaks_1_2_and_1_3_and_nothing_older() {
    let secure = Secure::start(&[]);
    for (option, said) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let output = secure.s_client(&[option, "-alpn", "h2,http/1.1"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(said), "{text}");
        assert!(text.contains("ALPN protocol: http/1.1"), "{text}");
    }
    for option in ["-tls1_1", "-tls1"] {
        assert!(!secure.s_client(&[option, "-cipher", "ALL:@SECLEVEL=0"]).status.success(), "{option}");
    }
    self_signed(secure.place.path(), "client");
    let (certificate, key) = (secure.path("client.crt"), secure.path("client.key"));
    let with = ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap(), &secure.url("/health")];
    assert_eq!(secure.curl_text(&with), r#"{"status":"healthy"}"#, "a client certificate means nothing");
}

#[test]
fn files_cross_unchanged_whole_in_ranges_and_slowly() {
    let secure = Secure::start(&[]);
    rig::create_product(secure.server.address(), "big");
    let bytes = noise(7, 24 << 20);
    let file = secure.path("big.bin");
    fs::write(&file, &bytes).unwrap();
    let token = format!("X-Api-Token: {ADMIN}");
    let form = format!("file=@{}", file.display());
    let upload = secure.url("/product/upload");
    let status = secure.curl_text(&[
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        &token,
        "-F",
        "product=big",
        "-F",
        "version=1",
        "-F",
        &form,
        &upload,
    ]);
    assert_eq!(status, "201");
    let url = secure.url("/product/download/big/1");
    let whole = secure.curl(&["-H", &token, &url]);
    assert!(whole.stdout == bytes, "{} bytes came", whole.stdout.len());
    let part = secure.curl(&["-H", &token, "-r", "1000000-9999999", &url]);
    assert!(part.stdout == bytes[1_000_000..10_000_000]);
    // More than all buffers on the way hold, read so slowly that the answer is parked again and again.
    let slow = secure.curl(&["-H", &token, "-r", "0-9999999", "--limit-rate", "4M", &url]);
    assert!(slow.stdout == bytes[..10_000_000]);
}

#[test]
fn stalled_handshakes_harm_nobody_and_end() {
    let secure = Secure::start(&[]);
    let mut stalled: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(secure.address()).unwrap()).collect();
    for (number, link) in stalled.iter_mut().enumerate() {
        // Nothing, or the beginning of a client's first message.
        let begin = [0x16, 3, 1, 2, 0, 1, 0, 1];
        link.write_all(&begin[..number % begin.len()]).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(secure.curl_text(&[&secure.url("/health")]), r#"{"status":"healthy"}"#);
        assert_eq!(secure.server.send(Request::get("/health")).status, 200);
    }
    for mut link in stalled {
        link.set_read_timeout(Some(GUARD)).unwrap();
        let mut alert = Vec::new();
        // Reset or closed; not open for ever.
        if let Err(error) = link.read_to_end(&mut alert) {
            assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
        }
    }
}

#[test]
fn plain_http_at_the_tls_port_is_told_so() {
    let secure = Secure::start(&[]);
    let mut link = TcpStream::connect(secure.address()).unwrap();
    link.set_read_timeout(Some(GUARD)).unwrap();
    link.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    link.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("This port speaks HTTPS"), "{answer}");
    let mut noise = TcpStream::connect(secure.address()).unwrap();
    noise.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    noise.write_all(&[0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9]).unwrap();
    _ = noise.read_to_end(&mut Vec::new());
    assert_eq!(secure.curl_text(&[&secure.url("/health")]), r#"{"status":"healthy"}"#);
}

#[test]
fn connections_are_kept_and_end_in_order() {
    let secure = Secure::start(&[]);
    // Three requests at once and one later on one connection; the last asks for the end, which comes with a goodbye
    // (without one Python raises, as ragged ends are not suppressed here).
    let told = secure.python_text(
        "link = secure()\nask = b'GET /health HTTP/1.1\\r\\nHost: x\\r\\n%s\\r\\n'\nlink.sendall(ask % b'' * 3)\n\
         got = b''\nwhile got.count(b'healthy') < 3:\n    got += link.recv(65536)\n\
         link.sendall(ask % b'Connection: close\\r\\n')\nprint(rest(link).count(b'healthy'))",
    );
    assert_eq!(told, "1");
    // Half-closed: the client says nothing more, the answer comes all the same.
    let told = secure.python_text(
        "link = secure()\nlink.sendall(b'GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n\
         socket.socket(fileno=__import__('os').dup(link.fileno())).shutdown(socket.SHUT_WR)\nprint(rest(link).count(b'healthy'))",
    );
    assert_eq!(told, "1");
    // A body that comes byte by byte in records of its own.
    let told = secure.python_text(&format!(
        "link = secure()\nbody = b'{{\"product\":\"small\"}}'\n\
         link.sendall(b'PUT /product/create HTTP/1.1\\r\\nHost: x\\r\\nX-Api-Token: {ADMIN}\\r\\nConnection: close\\r\\n\
         Content-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body))\n\
         for byte in body:\n    link.sendall(bytes([byte]))\nprint(rest(link)[:12].decode())"
    ));
    assert!(told.starts_with("HTTP/1.1 "), "{told}");
}

#[test]
fn the_operators_certificate_is_read_again_when_it_changes() {
    let place = tempfile::tempdir().unwrap();
    let (first, first_key) = self_signed(place.path(), "first");
    let (second, second_key) = self_signed(place.path(), "second");
    let (certificate, key) = (place.path().join("live.crt"), place.path().join("live.key"));
    fs::write(&certificate, &first).unwrap();
    fs::write(&key, &first_key).unwrap();
    let paths = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let secure = Secure::start(&["--tls-cert", paths[0], "--tls-key", paths[1]]);
    assert_eq!(secure.server.send(Request::get("/tls")).status, 404, "there is no root of ours");
    let shows = |chain: &[u8]| {
        fs::write(secure.path("ca.crt"), chain).unwrap();
        secure.curl(&[&secure.url("/health")]).status.success()
    };
    assert!(shows(&first) && !shows(&second));
    fs::write(&certificate, b"-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    wait_for("the broken file to be noticed", || secure.server.log().contains("was not changed").then_some(()));
    assert!(shows(&first), "the old one stays");
    fs::write(&certificate, &second).unwrap();
    fs::write(&key, &second_key).unwrap();
    wait_for("the new certificate", || shows(&second).then_some(()));
    assert!(!shows(&first));
}

#[test]
fn settings_that_do_not_fit_are_refused_at_start() {
    let place = tempfile::tempdir().unwrap();
    let (_, key) = self_signed(place.path(), "one");
    self_signed(place.path(), "two");
    assert!(!key.is_empty());
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let listen = ["--tls-listen", "127.0.0.1:0"];
    let cases: [(&[&str], &str); 6] = [
        (&["--tls-cert", &path("one.crt")], "go together"),
        (&["--https-redirect", "1"], "--tls-listen"),
        (&[listen[0], listen[1], "--tls-name", "bad name"], "is no host name"),
        (&[listen[0], listen[1], "--tls-cert", &path("one.crt"), "--tls-key", &path("two.key")], "do not serve"),
        (&[listen[0], listen[1], "--tls-cert", &path("none.crt"), "--tls-key", &path("two.key")], "none.crt"),
        (&["--trust-proxy", "10.0.0.0/99"], "no address"),
    ];
    for (arguments, expected) in cases {
        let mut builder = Packhouse::with();
        for argument in arguments {
            builder = builder.arg(*argument);
        }
        let Err((status, log)) = builder.try_start() else { panic!("{arguments:?} was taken") };
        assert_eq!(status.code(), Some(2), "{arguments:?}");
        assert!(log.contains(expected), "{arguments:?}: {log}");
    }
}

#[test]
fn plain_requests_are_sent_on_when_asked_to() {
    let secure = Secure::start(&["--https-redirect", "1"]);
    let port = secure.address().port();
    let answer = secure.server.send(Request::post("/packages?x=%41").body("text/plain", "x"));
    assert_eq!(answer.status, 308);
    let host = secure.server.address().ip();
    assert_eq!(answer.header("location"), Some(format!("https://{host}:{port}/packages?x=%41").as_str()));
    for path in ["/tls", "/tls/ca.crt", "/health"] {
        assert_eq!(secure.server.send(Request::get(path)).status, 200, "{path}");
    }
    assert_eq!(secure.curl_text(&["-o", "/dev/null", "-w", "%{http_code}", &secure.url("/packages")]), "200");
}

#[test]
fn only_named_proxies_are_believed() {
    let ask = || {
        Request::get("/tls")
            .header("Accept", "application/json")
            .header("X-Forwarded-For", "203.0.113.7")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "packages.example")
    };
    let trusting = Secure::start(&["--trust-proxy", "127.0.0.0/8"]);
    let told = trusting.server.send(ask()).is_json(200);
    assert_eq!(told["pem"], "https://packages.example/tls/ca.crt");
    wait_for("the client's address in the log", || trusting.server.log().contains("203.0.113.7").then_some(()));
    let careful = Secure::start(&[]);
    let told = careful.server.send(ask()).is_json(200);
    assert_eq!(told["pem"], format!("http://{}/tls/ca.crt", careful.server.address()));
    assert!(!careful.server.log().contains("203.0.113.7"));
}
