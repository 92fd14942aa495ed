//! Starts the real program for one test: own data directory, own port, its log kept, its end assured.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The administrator's API token of every server started here.
pub(crate) const ADMIN: &str = "black-box-ADMIN_token-0123456789abcdef";
/// The first account's name.
pub(crate) const ADMIN_USER: &str = "blackbox-admin";
/// The first account's password.
pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple 71";
/// The key for creating further accounts.
pub(crate) const SIGNUP_KEY: &str = "black-box-signup-key-55aa";

/// How long anything may take before the test is called hung. Never a measure of speed.
pub(crate) const GUARD: Duration = Duration::from_secs(180);

/// The program under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_packhouse"))
}

/// Asks `check` again and again until it answers something; panics when [`GUARD`] has passed.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + GUARD;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {GUARD:?} in vain for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs the program with `arguments` until it ends by itself (`verify`, `version`, refusals to start).
pub(crate) fn run(arguments: &[&str]) -> Output {
    clean(Command::new(binary())).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A command without the settings of whoever runs the tests.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let ours = ["PACKHOUSE_", "RUST_"].iter().any(|start| name_text.starts_with(start));
        if ours || name_text.to_ascii_uppercase().ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// What the next server is started with.
#[derive(Clone)]
pub(crate) struct Builder {
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    wrapper: Vec<OsString>,
    data: Option<Arc<TempDir>>,
    path: Option<PathBuf>,
}

impl Builder {
    fn new() -> Self {
        let environment = [
            ("PACKHOUSE_ADMIN_TOKEN", ADMIN),
            ("PACKHOUSE_ADMIN_USER", ADMIN_USER),
            ("PACKHOUSE_ADMIN_PASSWORD", ADMIN_PASSWORD),
            ("PACKHOUSE_SIGNUP_KEY", SIGNUP_KEY),
            ("RUST_LOG", "info"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
        Builder { arguments: Vec::new(), environment, wrapper: Vec::new(), data: None, path: None }
    }

    /// One more argument of `serve`.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of the environment; replaces an earlier value.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Takes a variable of the environment away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Starts the program through another one that ends in `exec "$@"`, for example a shell that sets a limit.
    pub(crate) fn wrapped_in(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(Into::into).collect();
        self
    }

    /// Keeps the data in `path`, which the caller owns.
    pub(crate) fn data(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Starts the server and waits until it says where it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Packhouse {
        match self.try_start() {
            Ok(server) => server,
            Err((status, log)) => panic!("the server did not start ({status}):\n{log}"),
        }
    }

    /// Starts the server; answers its exit status and what it printed when it ends before it listens.
    #[track_caller]
    pub(crate) fn try_start(mut self) -> Result<Packhouse, (ExitStatus, String)> {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => self.data.get_or_insert_with(|| Arc::new(tempfile::tempdir().unwrap())).path().join("data"),
        };
        let (mut running, listening) = Running::start(&self, &path);
        match listening.recv_timeout(GUARD) {
            Ok(address) => Ok(Packhouse {
                address,
                running: Some(running),
                path,
                builder: self,
                past: String::new(),
                secrets: Mutex::default(),
            }),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let (_, log) = running.end();
                panic!("the server does not say where it listens:\n{log}");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = running.child.wait().unwrap();
                Err((status, running.end().1))
            }
        }
    }
}

/// A running process and the threads that read what it prints.
struct Running {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the process; where it listens comes out of the receiver.
    fn start(builder: &Builder, path: &Path) -> (Running, Receiver<SocketAddr>) {
        let mut command = match builder.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = clean(Command::new(first));
                command.args(rest).arg(binary());
                command
            }
            None => clean(Command::new(binary())),
        };
        command.arg("serve").arg("--data").arg(path);
        if !builder.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&builder.arguments).envs(builder.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, listening) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let readers = vec![
            thread::spawn({
                let log = Arc::clone(&log);
                move || {
                    let mut reader = BufReader::new(stdout);
                    let mut line = Vec::new();
                    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                        let text = String::from_utf8_lossy(&line);
                        if let Some(address) = text.trim_end().strip_prefix("listening on http://") {
                            let _ = found.send(address.parse().unwrap());
                        }
                        log.lock().unwrap().append(&mut line);
                    }
                }
            }),
            thread::spawn({
                let log = Arc::clone(&log);
                move || {
                    let (mut stderr, mut block) = (stderr, [0; 4096]);
                    while let Ok(n @ 1..) = stderr.read(&mut block) {
                        log.lock().unwrap().extend_from_slice(&block[..n]);
                    }
                }
            }),
        ];
        (Running { child, log, readers }, listening)
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Ends the process if it still runs; answers how it ended and everything it printed.
    fn end(mut self) -> (ExitStatus, String) {
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        (status, self.log())
    }
}

/// A server under test. Dropping it ends the process and checks that it had not died, panicked, or logged a secret.
pub(crate) struct Packhouse {
    address: SocketAddr,
    running: Option<Running>,
    path: PathBuf,
    builder: Builder,
    past: String,
    secrets: Mutex<Vec<String>>,
}

impl Packhouse {
    /// A server with an empty data directory and the usual settings.
    #[track_caller]
    pub(crate) fn start() -> Packhouse {
        Packhouse::with().start()
    }

    /// Settings for a server that is not the usual one.
    pub(crate) fn with() -> Builder {
        Builder::new()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.path
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("the server is stopped").child.id()
    }

    /// Everything it has printed since the test began.
    pub(crate) fn log(&self) -> String {
        let now = self.running.as_ref().map(Running::log).unwrap_or_default();
        format!("{}{now}", self.past)
    }

    /// Notes a text that must never show up in the log.
    pub(crate) fn secret(&self, text: &str) {
        self.secrets.lock().unwrap().push(text.to_owned());
    }

    /// Asks the process to end (SIGTERM) without waiting for it.
    pub(crate) fn ask_to_stop(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let running = self.running.as_ref().expect("the server is stopped");
        kill_process(Pid::from_child(&running.child), Signal::TERM).unwrap();
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Ends the process as a power cut would (SIGKILL).
    pub(crate) fn kill(&mut self) {
        let running = self.running.take().expect("the server is stopped");
        self.past += &running.end().1;
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the server is stopped");
        let status = wait_for("the server to end", || running.child.try_wait().unwrap());
        self.past += &running.end().1;
        status
    }

    /// Starts it again on the same data, after stopping it if it runs.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        if self.running.is_some() {
            let status = self.stop();
            assert!(status.success(), "stopping ended with {status}");
        }
        self.start_again(|builder| builder);
    }

    /// Starts it again on the same data, with settings changed by `change`; it must be stopped.
    #[track_caller]
    pub(crate) fn start_again(&mut self, change: impl FnOnce(Builder) -> Builder) {
        assert!(self.running.is_none(), "the server still runs");
        let mut builder = change(self.builder.clone());
        builder.data = self.builder.data.clone();
        let mut fresh = builder.start();
        self.address = fresh.address;
        self.builder = fresh.builder.clone();
        self.running = fresh.running.take();
    }

    /// Files that wait in `DATA/stage`.
    pub(crate) fn stage_files(&self) -> Vec<PathBuf> {
        files_below(&self.path.join("stage"))
    }

    /// Files that lie in `DATA/shelf`.
    pub(crate) fn shelf_files(&self) -> Vec<PathBuf> {
        files_below(&self.path.join("shelf"))
    }

    /// Where the bytes with this SHA-256 lie.
    pub(crate) fn blob_path(&self, hex: &str) -> PathBuf {
        self.path.join("shelf").join(&hex[..2]).join(hex)
    }

    /// Memory the process holds now, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    /// The most memory the process has held since its start or [`Packhouse::forget_peak`], in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status_field("VmHWM:")
    }

    /// Lets [`Packhouse::peak_memory`] begin again from what is held now.
    #[cfg(target_os = "linux")]
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    #[cfg(target_os = "linux")]
    fn status_field(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Packhouse {
    fn drop(&mut self) {
        let mut died = None;
        if let Some(mut running) = self.running.take() {
            died = running.child.try_wait().ok().flatten();
            self.past += &running.end().1;
        }
        if thread::panicking() {
            eprintln!("--- log of the server ---\n{}--- end of the log ---", self.past);
            return;
        }
        if let Some(status) = died {
            panic!("the server died ({status}):\n{}", self.past);
        }
        assert!(!self.past.contains("panicked at"), "the server panicked:\n{}", self.past);
        let secrets = std::mem::take(&mut *self.secrets.lock().unwrap());
        for secret in [ADMIN, ADMIN_PASSWORD, SIGNUP_KEY].into_iter().chain(secrets.iter().map(String::as_str)) {
            assert!(!self.past.contains(secret), "the log holds the secret {secret:?}:\n{}", self.past);
        }
    }
}

/// Every file below `directory`, sorted; nothing when it does not exist.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found.sort();
    found
}
