//! The load generator of the bench: many small keep-alive uploads from several clients at once.
//!
//! Standard library only, so that `rustc` alone builds it and it stays out of the crate.
//!
//! ```text
//! client upload --to packhouse|registry --address HOST:PORT --clients N --first K --count N
//!               --payloads FILE --size BYTES [--digests FILE] [--product NAME --token TEXT]
//!               [--acknowledged FILE]
//! client verify … the same …  [--wanted FILE]
//! client sink
//! ```
//!
//! `upload` sends payload `i` (bytes from `i × size` of the file) for every `i` from `first` and prints one line of
//! JSON; `--acknowledged` lists what was answered with 201. `verify` downloads the same versions (or those listed in
//! `--wanted`) and compares every byte. `sink` answers every request with 201 without looking at it: it shows how fast the generator itself is.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A client that hears nothing for this long gives up, so that the bench always ends.
const SILENCE: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "packhouse-bench-5c0e8f1d7a";

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name.trim_start_matches("--").to_owned(), value);
    }
    match mode.as_str() {
        "upload" => work(&Plan::from(options)?, Task::Upload),
        "verify" => work(&Plan::from(options)?, Task::Verify),
        "sink" => sink(),
        other => Err(format!("unknown mode {other:?}: upload, verify or sink").into()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Packhouse,
    Registry,
}

#[derive(Clone, Copy)]
enum Task {
    Upload,
    Verify,
}

struct Plan {
    dialect: Dialect,
    address: String,
    clients: usize,
    /// The payload numbers to send or fetch, in order.
    numbers: Vec<usize>,
    size: usize,
    payloads: Vec<u8>,
    digests: Vec<String>,
    product: String,
    token: String,
    acknowledged: Option<String>,
}

impl Plan {
    fn from(options: HashMap<String, String>) -> Outcome<Plan> {
        let text = |name: &str| options.get(name).cloned().ok_or_else(|| format!("--{name} is missing"));
        let number = |name: &str| -> Outcome<usize> { Ok(text(name)?.parse::<usize>()?) };
        let dialect = match text("to")?.as_str() {
            "packhouse" => Dialect::Packhouse,
            "registry" => Dialect::Registry,
            other => return Err(format!("--to {other}: packhouse or registry").into()),
        };
        let digests: Vec<String> = match options.get("digests") {
            Some(path) => std::fs::read_to_string(path)?.lines().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        let (first, count) = (number("first")?, number("count")?);
        let numbers: Vec<usize> = match options.get("wanted") {
            Some(path) => std::fs::read_to_string(path)?.lines().map(str::parse).collect::<Result<_, _>>()?,
            None => (first..first + count).collect(),
        };
        let plan = Plan {
            dialect,
            address: text("address")?,
            clients: number("clients")?.max(1),
            numbers,
            size: number("size")?,
            payloads: std::fs::read(text("payloads")?)?,
            digests,
            product: options.get("product").cloned().unwrap_or_default(),
            token: options.get("token").cloned().unwrap_or_default(),
            acknowledged: options.get("acknowledged").cloned(),
        };
        let end = plan.numbers.iter().max().map_or(0, |last| last + 1);
        if plan.payloads.len() < end * plan.size || (dialect == Dialect::Registry && plan.digests.len() < end) {
            return Err("fewer payloads or digests than uploads".into());
        }
        Ok(plan)
    }

    fn payload(&self, index: usize) -> &[u8] {
        &self.payloads[index * self.size..(index + 1) * self.size]
    }
}

/// Runs the whole plan and prints what happened. The first fault stops all clients.
fn work(plan: &Plan, task: Task) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, f64)>> = Mutex::new(Vec::with_capacity(plan.numbers.len()));
    let reconnects = AtomicUsize::new(0);
    let fault: Mutex<Option<String>> = Mutex::new(None);
    // Connections are made before the clock starts: keep-alive clients are measured, not handshakes.
    let mut connections = Vec::new();
    for _ in 0..plan.clients {
        connections.push(Connection::open(&plan.address)?);
    }

    let begin = Instant::now();
    thread::scope(|scope| {
        for mut connection in connections {
            let (next, stop, done, reconnects, fault) = (&next, &stop, &done, &reconnects, &fault);
            scope.spawn(move || {
                let mut mine = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let Some(&index) = plan.numbers.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let start = Instant::now();
                    let sent = match (task, plan.dialect) {
                        (Task::Upload, Dialect::Packhouse) => to_packhouse(plan, &mut connection, index),
                        (Task::Upload, Dialect::Registry) => to_registry(plan, &mut connection, index),
                        (Task::Verify, Dialect::Packhouse) => {
                            let target = format!("/product/download/{}/v{index}", plan.product);
                            compare(plan, &mut connection, index, &target)
                        }
                        (Task::Verify, Dialect::Registry) => {
                            let target = format!("/v2/bench/blobs/sha256:{}", plan.digests[index]);
                            compare(plan, &mut connection, index, &target)
                        }
                    };
                    if let Err(error) = sent {
                        stop.store(true, Ordering::Relaxed);
                        lock(fault).get_or_insert(format!("number {index}: {error}"));
                        break;
                    }
                    mine.push((index, start.elapsed().as_secs_f64() * 1000.0));
                }
                reconnects.fetch_add(connection.reconnects, Ordering::Relaxed);
                lock(done).extend(mine);
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();

    let done = std::mem::take(&mut *lock(&done));
    if let Some(path) = &plan.acknowledged {
        let list: String = done.iter().map(|(index, _)| format!("{index}\n")).collect();
        std::fs::write(path, list)?;
    }
    let mut times: Vec<f64> = done.iter().map(|(_, milliseconds)| *milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)));
    let fault = lock(&fault).take();
    println!(
        "{{\"seconds\":{seconds:.6},\"done\":{},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"reconnects\":{},\"fault\":{}}}",
        times.len(),
        at(0.50).unwrap_or(&0.0),
        at(0.99).unwrap_or(&0.0),
        reconnects.load(Ordering::Relaxed),
        fault.map_or("null".to_owned(), |text| quoted(&text)),
    );
    Ok(())
}

/// The text as a JSON string; whatever is not plain ASCII becomes a question mark.
fn quoted(text: &str) -> String {
    let plain = |c: char| if c == '"' || c == '\\' { '\'' } else { c };
    let plain: String = text.chars().map(|c| if (' '..='~').contains(&c) { plain(c) } else { '?' }).collect();
    format!("\"{plain}\"")
}

/// One `POST /product/upload` of version `v<index>`, sent in one write.
fn to_packhouse(plan: &Plan, connection: &mut Connection, index: usize) -> Outcome<()> {
    let mut body = Vec::with_capacity(plan.size + 512);
    for (name, value) in [("product", plan.product.as_str()), ("version", &format!("v{index}"))] {
        write!(body, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")?;
    }
    write!(
        body,
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"part.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )?;
    body.extend_from_slice(plan.payload(index));
    write!(body, "\r\n--{BOUNDARY}--\r\n")?;
    let mut request = Vec::with_capacity(body.len() + 512);
    write!(
        request,
        "POST /product/upload HTTP/1.1\r\nHost: {}\r\nX-Api-Token: {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        plan.address,
        plan.token,
        body.len()
    )?;
    request.extend_from_slice(&body);
    connection.exchange(&request)?.expect(201)
}

/// One monolithic blob upload of the distribution registry: `POST` for a place, `PUT` with the bytes.
fn to_registry(plan: &Plan, connection: &mut Connection, index: usize) -> Outcome<()> {
    let begin =
        format!("POST /v2/bench/blobs/uploads/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", plan.address);
    let answer = connection.exchange(begin.as_bytes())?;
    let place = answer.location.clone();
    answer.expect(202)?;
    let place = place.ok_or("the registry named no place")?;
    // Absolute or relative: only the path and query are wanted.
    let target = match place.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| &rest[at..]).unwrap_or("/"),
        None => place.as_str(),
    };
    let payload = plan.payload(index);
    let mut request = Vec::with_capacity(payload.len() + 1024);
    write!(
        request,
        "PUT {target}{}digest=sha256:{} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\n\r\n",
        if target.contains('?') { '&' } else { '?' },
        plan.digests[index],
        plan.address,
        payload.len()
    )?;
    request.extend_from_slice(payload);
    connection.exchange(&request)?.expect(201)
}

/// One download, compared byte for byte with what was uploaded.
fn compare(plan: &Plan, connection: &mut Connection, index: usize, target: &str) -> Outcome<()> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nX-Api-Token: {}\r\n\r\n", plan.address, plan.token);
    let answer = connection.exchange(request.as_bytes())?;
    if answer.status == 200 && answer.body != plan.payload(index) {
        return Err("other bytes than were uploaded".into());
    }
    answer.expect(200)
}

/// What an answer said, its body read to the end.
struct Answer {
    status: u16,
    location: Option<String>,
    close: bool,
    body: Vec<u8>,
}

impl Answer {
    fn expect(self, status: u16) -> Outcome<()> {
        if self.status == status {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.body);
        Err(format!("answered {} {}", self.status, text.chars().take(200).collect::<String>()).into())
    }
}

/// A keep-alive connection that is opened again when the server closes it after an answer.
struct Connection {
    address: String,
    reader: BufReader<TcpStream>,
    reconnects: usize,
    closed: bool,
}

impl Connection {
    fn open(address: &str) -> Outcome<Connection> {
        Ok(Connection { address: address.to_owned(), reader: dial(address)?, reconnects: 0, closed: false })
    }

    fn exchange(&mut self, request: &[u8]) -> Outcome<Answer> {
        if self.closed {
            self.reader = dial(&self.address)?;
            self.reconnects += 1;
            self.closed = false;
        }
        self.reader.get_mut().write_all(request)?;
        let answer = self.answer()?;
        self.closed = answer.close;
        Ok(answer)
    }

    fn answer(&mut self) -> Outcome<Answer> {
        let mut line = String::new();
        self.line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().parse::<u16>()?;
        let (mut length, mut location, mut close) = (0_usize, None, false);
        loop {
            self.line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "location" => location = Some(value.to_owned()),
                "connection" => close = value.eq_ignore_ascii_case("close"),
                "transfer-encoding" => return Err("a chunked answer was not expected".into()),
                _ => {}
            }
        }
        let mut body = Vec::new();
        (&mut self.reader).take(length as u64).read_to_end(&mut body)?;
        if body.len() < length {
            return Err("the answer was cut off".into());
        }
        Ok(Answer { status, location, close, body })
    }

    /// The next head line without its line end; the end of the stream is an error.
    fn line(&mut self, line: &mut String) -> Outcome<()> {
        line.clear();
        if self.reader.read_line(line)? == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        line.truncate(line.trim_end().len());
        Ok(())
    }
}

fn dial(address: &str) -> Outcome<BufReader<TcpStream>> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE))?;
    socket.set_write_timeout(Some(SILENCE))?;
    Ok(BufReader::new(socket))
}

/// Prints its address, then answers 201 to every request with a `Content-Length` until it is killed.
fn sink() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for socket in listener.incoming() {
        let socket = socket?;
        socket.set_nodelay(true)?;
        thread::spawn(move || {
            let mut reader = BufReader::new(socket);
            while let Ok(true) = swallow(&mut reader) {}
        });
    }
    Ok(())
}

/// Reads one request and answers it; false at the end of the stream.
fn swallow(reader: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    reader.get_mut().write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
    Ok(true)
}

/// The value behind a lock that no thread can have poisoned in a way that matters here.
fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
