//! Starts the program: reads the command line, opens the house, waits for the stop signal.
#![allow(clippy::print_stdout, clippy::print_stderr)] // The one place that speaks on the terminal.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use packhouse::app::{App, House, Settings};
use packhouse::apps::Apps;
use packhouse::cli::{self, Command};
use packhouse::clock::Clock;
use packhouse::http::Server;
use packhouse::identity::{FIRST_RUN_NOTE, FirstRun, Identity};
use packhouse::store::{Options, Store};
use packhouse::{audit, catalog};

/// How long running requests may go on after the stop signal.
const GRACE: Duration = Duration::from_secs(10);

/// What the process answers when it could not do what it was started for.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
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
        Command::Verify(_) => Err("verify is not built in yet".into()),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("packhouse: {message}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// Runs the server until the stop signal; an error is one line for the person who started it.
fn serve(options: &cli::Serve) -> Result<(), String> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
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

    let clock = Arc::new(Clock::default());
    let store = Store::open(&options.data, Options::default()).map_err(|e| e.message)?;
    register_rules(&store, &clock);
    let first = FirstRun::from_environment(|name| std::env::var(name).ok());
    let identity = Identity::open(store.clone(), clock.clone(), first).map_err(|e| spoken(&e))?;
    let first_run = identity.first_run().clone();
    let apps = Arc::new(Apps::open(store.clone(), clock.clone()).map_err(|e| spoken(&e))?);
    let settings = Arc::new(Settings {
        data: options.data.clone(),
        max_upload: options.max_upload,
        public_url: options.public_url.clone(),
        allowed_origins: options.allowed_cors.clone(),
        open_private_downloads: options.open_private_downloads,
    });
    let identity = Arc::new(identity);
    let app = App { store: store.clone(), identity: identity.clone(), clock, settings, apps: apps.clone() };
    let server = Server::start(options.engine(), Arc::new(House::new(app)))
        .map_err(|e| format!("cannot listen on {}: {e}", listed(&options.listen)))?;

    if first_run.note {
        let note = options.data.join(FIRST_RUN_NOTE);
        println!("Welcome. The secrets of this first start are in {}; keep them safe.", note.display());
    }
    for address in server.addresses() {
        println!("listening on http://{address}");
    }
    // Only a dropped sender could end this early, and the handler keeps it for good.
    let _ = stopped.recv();
    log::info!("stopping: running requests get {} s", GRACE.as_secs());
    server.stop(GRACE);
    apps.stop();
    if let Err(e) = identity.flush() {
        log::warn!("the last sessions' times were not written: {e:?}");
    }
    store.close();
    log::info!("stopped");
    Ok(())
}

/// What the core asks of its upper floors: who holds a blob, and what to do when one is damaged.
fn register_rules(store: &Arc<Store>, clock: &Arc<Clock>) {
    store.set_unheld(catalog::drop_if_unheld);
    store.set_known(|tx, digest| Ok(catalog::get(tx, digest)?.map(|artifact| artifact.size)));
    let (weak, clock) = (Arc::downgrade(store), clock.clone());
    store.on_damage(move |digest| {
        let Some(store) = weak.upgrade() else { return };
        log::error!("blob {digest} is damaged");
        let (now, subject) = (clock.now(), digest.to_hex());
        let noted = store.commit(move |tx| audit::note(tx, now, "packhouse", "blob.damaged", &subject, None));
        if let Err(e) = noted {
            log::warn!("the damage was not written to the audit trail: {e:?}");
        }
    });
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
