//! Starts the program: reads the command line, opens the house, waits for the stop signal.
#![allow(clippy::print_stdout, clippy::print_stderr)] // The one place that speaks on the terminal.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use packhouse::app::{App, House, Rooms, Settings};
use packhouse::apps::Apps;
use packhouse::catalog::{self, Downloads};
use packhouse::certificates::{self, Certificates, Name};
use packhouse::cli::{self, Command};
use packhouse::clock::Clock;
use packhouse::console::Console;
use packhouse::feeds::Desk as Feeds;
use packhouse::http::{Server, Settings as Engine};
use packhouse::identity::{FIRST_RUN_NOTE, FirstRun, Identity};
use packhouse::jobs::Jobs;
use packhouse::refpacks::Desk;
use packhouse::store::{self, Options, Store, Verdict, VerifyOptions};
use packhouse::winget::Winget;
use packhouse::wiring;

/// How long running requests may go on after the stop signal.
const GRACE: Duration = Duration::from_secs(10);

/// How often recurring work is looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How often the certificate's files and the machine's names are looked at, where HTTPS is spoken.
const CERTIFICATES: Duration = Duration::from_secs(5);

/// What the process answers when it could not do what it was started for.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    packhouse::memory::share_between_threads();
    let arguments = std::env::args_os().skip(1);
    if let Some(name) = unreadable_variable() {
        eprintln!("packhouse: the variable {name} is not UTF-8");
        return ExitCode::from(COULD_NOT_RUN);
    }
    let command = match cli::parse(arguments, |name| std::env::var(name).ok()) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("packhouse: {message}");
            return ExitCode::from(COULD_NOT_RUN);
        }
    };
    let outcome = match command {
        Command::Help => {
            print!("{}", cli::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            println!("packhouse {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(options) => serve(&options).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify(&options),
        Command::TlsReset(data) => tls_reset(&data).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("packhouse: {message}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// A setting of ours that is not text: it must not count as absent.
fn unreadable_variable() -> Option<String> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    ours.filter(|(name, _)| name.starts_with("PACKHOUSE_"))
        .find(|(_, value)| value.to_str().is_none())
        .map(|(name, _)| name)
}

/// Runs the server until the stop signal; an error is one line for the person who started it.
fn serve(options: &cli::Serve) -> Result<(), String> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    // The engine turns a panic into a 500 for its one request; here it becomes a log line like any other.
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    let (stop, stopped) = mpsc::channel();
    let mut signals = 0;
    ctrlc::set_handler(move || {
        signals += 1;
        match signals {
            // The second signal ends at once; that is as safe as a power cut.
            1 => drop(stop.send(())),
            _ => std::process::exit(130),
        }
    })
    .map_err(|e| format!("cannot wait for the stop signal: {e}"))?;

    let clock = Arc::new(Clock::of_program());
    let store = Store::open(&options.data, Options::default()).map_err(|e| e.message)?;
    wiring::register_rules(&store, &clock);
    let first = FirstRun::from_environment(|name| std::env::var(name).ok());
    let chosen = first.password.is_some();
    let identity = Identity::open(store.clone(), clock.clone(), first).map_err(|e| spoken(&e))?;
    let first_run = identity.first_run().clone();
    let console = Console::new(options.web_dir.clone());
    // Nobody chose the first owner's password, so whoever reads this terminal may.
    let right = match first_run.owner.is_some() && !chosen {
        true => Some(console.open_setup(clock.now()).map_err(|e| spoken(&e))?),
        false => None,
    };
    let apps = Arc::new(Apps::open(store.clone(), clock.clone()).map_err(|e| spoken(&e))?);
    let winget = Arc::new(Winget::open(&store).map_err(|e| spoken(&e))?);
    packhouse::winget::sweep::run(&store, clock.now()).map_err(|e| spoken(&e))?;
    let settings = Arc::new(Settings {
        data: options.data.clone(),
        max_upload: options.max_upload,
        refpack_limit: options.refpack_limit,
        refpack_signatures: options.refpack_signatures,
        public_url: options.public_url.clone(),
        allowed_origins: options.allowed_cors.clone(),
        open_private_downloads: options.open_private_downloads,
        redirect_to: OnceLock::new(),
        transfer_workers: options.engine().transfer_workers,
        listening: OnceLock::new(),
    });
    let feeds = Arc::new(Feeds::new(store.clone(), clock.clone()));
    let certificates = certificates(options, &store, &clock)?;
    let roots = std::env::var_os("PACKHOUSE_LOCAL_ROOTS").map(|roots| std::env::split_paths(&roots).collect());
    let (jobs, syncs) =
        wiring::start_jobs(&store, &clock, &feeds, roots.unwrap_or_default(), &options.data).map_err(|e| spoken(&e))?;
    let identity = Arc::new(identity);
    let rooms = Rooms::default().with(apps.clone()).with(Desk::default()).with(console).with(jobs.clone());
    let downloads = Arc::new(Downloads::default());
    let rooms =
        rooms.with(downloads.clone()).with(winget.clone()).with(certificates.clone()).with(syncs.clone()).with(feeds);
    let app = App {
        store: store.clone(),
        identity: identity.clone(),
        clock: clock.clone(),
        settings: settings.clone(),
        rooms: Arc::new(rooms),
    };
    let engine = Engine { tls: certificates.as_ref().map(|certificates| certificates.tls()), ..options.engine() };
    let all = [options.listen.as_slice(), &options.tls_listen].concat();
    let server = Server::start(engine, Arc::new(House::new(app)))
        .map_err(|e| format!("cannot listen on {}: {e}", listed(&all)))?;
    if let Some(address) = server.addresses_tls().first().filter(|_| options.https_redirect) {
        settings.redirect_to.get_or_init(|| address.port());
    }
    settings.listening.get_or_init(|| (server.addresses().to_vec(), server.addresses_tls().to_vec()));
    store.begin_sweep();

    if first_run.note {
        let note = options.data.join(FIRST_RUN_NOTE);
        println!("Welcome. The secrets of this first start are in {}; keep them safe.", note.display());
    }
    for address in server.addresses() {
        println!("listening on http://{address}");
    }
    for address in server.addresses_tls() {
        println!("listening on https://{address}");
    }
    if let (Some(right), Some(address)) = (right, server.addresses().first()) {
        let url = setup_url(*address, options.public_url.as_deref());
        println!("Set it up in a browser within 30 minutes: {url}/ui/#/setup?right={}", right.as_str());
    }
    let mut kept = Instant::now();
    let pause = if certificates.is_some() { CERTIFICATES } else { HOUSEKEEPING };
    while stopped.recv_timeout(clock.pause(pause)) == Err(RecvTimeoutError::Timeout) {
        if let Some(certificates) = &certificates {
            certificates.look_again();
        }
        let moved = clock.was_moved();
        if moved {
            syncs.reschedule();
        }
        if moved || kept.elapsed() >= HOUSEKEEPING {
            kept = Instant::now();
            keep_house(&identity, &jobs, &downloads, &store);
        }
    }
    log::info!("stopping: running requests get {} s", GRACE.as_secs());
    server.stop(GRACE);
    syncs.stop_schedule();
    jobs.stop(GRACE);
    apps.stop();
    winget.stop();
    keep_house(&identity, &jobs, &downloads, &store);
    store.close();
    log::info!("stopped");
    Ok(())
}

/// What a browser on this machine reaches the server by.
fn setup_url(address: SocketAddr, public_url: Option<&str>) -> String {
    match public_url {
        Some(url) => url.to_owned(),
        None if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        None => format!("http://{address}"),
    }
}

/// What HTTPS listeners show; none without such listeners.
fn certificates(options: &cli::Serve, store: &Store, clock: &Arc<Clock>) -> Result<Option<Arc<Certificates>>, String> {
    if options.tls_listen.is_empty() {
        return Ok(None);
    }
    let found = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Certificates::from_files(certificate.clone(), key.clone())?,
        _ => {
            let listened = options.tls_listen.iter().map(|address| address.ip());
            let listened = listened.filter(|address| !address.is_unspecified()).map(Name::Address);
            let public = options.public_url.as_deref().and_then(Name::of_url);
            let names = options.tls_names.iter().cloned().chain(listened).chain(public).collect();
            Certificates::own(store, clock.clone(), names).map_err(|e| spoken(&e))?
        }
    };
    Ok(Some(Arc::new(found)))
}

/// Forgets the certificate authority of a stopped server.
fn tls_reset(data: &Path) -> Result<(), String> {
    let store = Store::open(data, Options::default()).map_err(|e| e.message)?;
    let forgotten = certificates::forget(&store).map_err(|e| spoken(&e));
    store.close();
    match forgotten? {
        true => println!("The certificate authority is forgotten; the next start with --tls-listen makes another one."),
        false => println!("There was no certificate authority."),
    }
    Ok(())
}

/// What is due now and then; writes nothing when nothing is.
fn keep_house(identity: &Identity, jobs: &Jobs, downloads: &Downloads, store: &Store) {
    if let Err(e) = identity.flush() {
        log::warn!("the last use of sessions and keys was not written: {e:?}");
    }
    if let Err(e) = downloads.flush(store) {
        log::warn!("the downloads of today were not written, another try follows: {e:?}");
    }
    if let Err(e) = jobs.tick() {
        log::warn!("recurring jobs were not looked at: {e:?}");
    }
}

/// Checks a stopped server's data.
fn verify(options: &cli::Verify) -> Result<ExitCode, String> {
    let wanted = VerifyOptions { repair: options.repair, sample: options.sample.map(|percent| percent / 100.0) };
    let verdict = store::verify(&options.data, wanted, &catalog::Rows, &mut std::io::stdout())
        .map_err(|e| format!("cannot write the findings: {e}"))?;
    Ok(match verdict {
        Verdict::Sound => ExitCode::SUCCESS,
        Verdict::Faults => ExitCode::from(1),
        Verdict::CouldNotRun => ExitCode::from(COULD_NOT_RUN),
    })
}

fn spoken(error: &packhouse::error::Error) -> String {
    match &error.cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn listed(addresses: &[std::net::SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
