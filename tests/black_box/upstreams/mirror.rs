//! A small HTTP server that plays an upstream: it counts, and it can lie, stall, cut off, redirect and change.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::files::sha256;

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, with an `ETag`; parts and conditions are honoured.
    Bytes(Vec<u8>),
    /// These bytes, cut off after so many; only the first time.
    CutOnce(Vec<u8>, usize),
    /// A status without more.
    Status(u16),
    /// A status the first so many times, then the bytes.
    Flaky(u16, usize, Vec<u8>),
    /// A redirect.
    Redirect(String),
    /// A head, then bytes without end.
    Endless,
    /// A head without end.
    EndlessHead,
    /// Nothing at all, until the server goes.
    Silence,
    /// These bytes: so many at once, the others when the gate is open.
    Held(Vec<u8>, usize, Gate),
    /// Bytes that become others once this path was asked for: (path, bytes from then on).
    Then(Vec<u8>, Vec<(String, Reply)>),
}

/// Holds back what a [`Reply::Held`] has still to send.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Inside {
    replies: Mutex<BTreeMap<String, Reply>>,
    asked: Mutex<Vec<Asked>>,
    stopped: AtomicBool,
}

/// The server; it goes when dropped.
pub(crate) struct Mirror {
    address: SocketAddr,
    inside: Arc<Inside>,
}

impl Mirror {
    pub(crate) fn start() -> Mirror {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Inside::default());
        let shared = inside.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Mirror { address, inside }
    }

    /// Its address, with a path behind.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What `path` answers from now on.
    pub(crate) fn put(&self, path: &str, reply: impl Into<Reply>) {
        self.inside.replies.lock().unwrap().insert(path.to_owned(), reply.into());
    }

    /// Many paths below `prefix`.
    pub(crate) fn put_all(&self, prefix: &str, files: &BTreeMap<String, Vec<u8>>) {
        for (path, bytes) in files {
            self.put(&format!("{prefix}/{path}"), bytes.clone());
        }
    }

    /// What was asked since the last time this was called.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inside.asked.lock().unwrap())
    }

    /// The paths of that.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.inside.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Reply {
        Reply::Bytes(bytes)
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }
}

fn serve(stream: TcpStream, inside: &Inside) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(asked) = read_request(&mut reader) {
        inside.asked.lock().unwrap().push(asked.clone());
        let reply = inside.replies.lock().unwrap().get(&asked.path).cloned();
        let Some(next) = answer(&mut stream, inside, &asked, reply) else { return };
        let mut replies = inside.replies.lock().unwrap();
        for (path, reply) in next {
            replies.insert(path, reply);
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => fields.push((name.to_owned(), value.trim().to_owned())),
            None => return Some(Asked { method, path, fields }),
        }
    }
}

/// Answers; what is to change afterwards, or none when the connection is over.
fn answer(
    stream: &mut TcpStream,
    inside: &Inside,
    asked: &Asked,
    reply: Option<Reply>,
) -> Option<Vec<(String, Reply)>> {
    let mut next = Vec::new();
    match reply {
        None => head(stream, 404, &[], 0)?,
        Some(Reply::Status(status)) => head(stream, status, &[], 0)?,
        Some(Reply::Redirect(to)) => head(stream, 302, &[("Location", &to)], 0)?,
        Some(Reply::Bytes(bytes)) => whole(stream, asked, &bytes)?,
        Some(Reply::Then(bytes, changes)) => {
            whole(stream, asked, &bytes)?;
            next = changes;
        }
        Some(Reply::Flaky(status, left, bytes)) => {
            head(stream, status, &[], 0)?;
            let after = if left > 1 { Reply::Flaky(status, left - 1, bytes) } else { Reply::Bytes(bytes) };
            next.push((asked.path.clone(), after));
        }
        Some(Reply::CutOnce(bytes, at)) => {
            let replies = &mut inside.replies.lock().unwrap();
            replies.insert(asked.path.clone(), Reply::Bytes(bytes.clone()));
            head(stream, 200, &[("ETag", &format!("\"{}\"", sha256(&bytes)))], bytes.len())?;
            stream.write_all(&bytes[..at]).ok()?;
            return None;
        }
        Some(Reply::Held(bytes, first, gate)) => {
            head(stream, 200, &[("ETag", &format!("\"{}\"", sha256(&bytes)))], bytes.len())?;
            stream.write_all(&bytes[..first]).ok()?;
            while !gate.0.load(Ordering::SeqCst) {
                if inside.stopped.load(Ordering::Relaxed) {
                    return None;
                }
                thread::sleep(Duration::from_millis(5));
            }
            stream.write_all(&bytes[first..]).ok()?;
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
            let block = [b'x'; 4096];
            while stream.write_all(&block).is_ok() && !inside.stopped.load(Ordering::Relaxed) {}
            return None;
        }
        Some(Reply::EndlessHead) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok()?;
            while stream.write_all(b"X-More: and more and more\r\n").is_ok() && !inside.stopped.load(Ordering::Relaxed)
            {
            }
            return None;
        }
        Some(Reply::Silence) => {
            while !inside.stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            return None;
        }
    }
    Some(next)
}

fn whole(stream: &mut TcpStream, asked: &Asked, bytes: &[u8]) -> Option<()> {
    let etag = format!("\"{}\"", sha256(bytes));
    if asked.method == "HEAD" {
        return head(stream, 200, &[("ETag", &etag)], bytes.len());
    }
    if asked.field("If-None-Match") == Some(&etag) {
        return head(stream, 304, &[("ETag", &etag)], 0);
    }
    let start = asked.field("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start: Option<usize> = start.filter(|_| asked.field("If-Range").is_none_or(|given| given == etag));
    match start.filter(|start| *start < bytes.len()) {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            head(stream, 206, &[("ETag", &etag), ("Content-Range", &range)], bytes.len() - start)?;
            stream.write_all(&bytes[start..]).ok()
        }
        None => {
            head(stream, 200, &[("ETag", &etag)], bytes.len())?;
            stream.write_all(bytes).ok()
        }
    }
}

fn head(stream: &mut TcpStream, status: u16, fields: &[(&str, &str)], length: usize) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in fields {
        text += &format!("{name}: {value}\r\n");
    }
    if status != 304 {
        text += &format!("Content-Length: {length}\r\n");
    }
    text += "\r\n";
    stream.write_all(text.as_bytes()).ok()
}
