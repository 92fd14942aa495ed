//! The command line: commands, flags and their `PACKHOUSE_*` twins, in one struct.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::certificates::Name;
use crate::http;

/// What `--help` prints.
pub const HELP: &str = "\
Packhouse: one shelf of software packages with several front doors.

Usage:
  packhouse [serve] [options]    run the server in the foreground
  packhouse verify [options]     check every stored byte against its SHA-256 (server stopped)
  packhouse tls-reset [options]  forget the certificate authority (server stopped)
  packhouse version              print the version
  packhouse help                 print this

Options of serve:
  --data DIR               where everything is kept            (PACKHOUSE_DATA)
                           default: the system's own place for data
  --listen ADDR:PORT       where to listen; may be repeated    (PACKHOUSE_LISTEN, separated by commas)
                           default: 0.0.0.0:8090; port 0 picks a free one
  --tls-listen ADDR:PORT   where to listen for HTTPS; may be   (PACKHOUSE_TLS_LISTEN, separated by commas)
                           repeated
  --tls-cert FILE          certificate and those above it, PEM (PACKHOUSE_TLS_CERT)
  --tls-key FILE           its private key, PEM                (PACKHOUSE_TLS_KEY)
                           default: signed by an authority of its own, offered at /tls
  --tls-name NAMES         names and addresses beyond those of (PACKHOUSE_TLS_NAME)
                           this machine, separated by commas
  --https-redirect 1       send plain HTTP on to HTTPS         (PACKHOUSE_HTTPS_REDIRECT)
  --trust-proxy NETWORKS   whose X-Forwarded-* fields count,   (PACKHOUSE_TRUST_PROXY)
                           addresses and CIDR with commas; default: nobody's
  --max-upload-mb N        largest file an upload may carry    (PACKHOUSE_MAX_UPLOAD_MB)
                           default: what the disk holds
  --refpack-max-mb N       largest RefPack                     (PACKHOUSE_REFPACK_MAX_MB)
                           default: 256
  --refpack-require-signature 1
                           take signed RefPacks only           (PACKHOUSE_REFPACK_REQUIRE_SIGNATURE)
  --max-connections N      open connections at most            (PACKHOUSE_MAX_CONNECTIONS)
  --max-per-address N      of them from one address            (PACKHOUSE_MAX_PER_ADDRESS)
  --workers N              threads for quick requests          (PACKHOUSE_WORKERS)
  --transfer-workers N     threads for uploads and downloads   (PACKHOUSE_TRANSFER_WORKERS)
  --public-url URL         what links in answers begin with    (PACKHOUSE_PUBLIC_URL)
                           default: the host each request names
  --allowed-cors ORIGINS   pages that may call this server,    (PACKHOUSE_ALLOWED_CORS)
                           separated by commas
  --private-downloads WHO  'login' or 'open': who may fetch    (PACKHOUSE_PRIVATE_DOWNLOADS)
                           the files of private apps; default: login
  --web-dir DIR            pages of the web UI from there      (PACKHOUSE_WEB_DIR)
                           instead of from the program

Options of verify:
  --data DIR               as above
  --sample N%              check a random part only            (PACKHOUSE_SAMPLE)
  --repair                 move damaged and unknown files to DIR/lost+found

First start (environment only, so that no secret shows in a list of processes):
  PACKHOUSE_ADMIN_USER, PACKHOUSE_ADMIN_PASSWORD    the first account
  PACKHOUSE_ADMIN_TOKEN                             an API token with admin rights
  PACKHOUSE_SIGNUP_KEY                              lets others create accounts
  What is not set is made up and written to DIR/first-run.txt.

Log: RUST_LOG=error|warn|info|debug|trace (default info), on standard error.

Exit codes: 0 done; 1 verify found faults; 2 could not run.
";

/// A command with its options.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Command {
    /// Run the server.
    Serve(Serve),
    /// Check the data directory.
    Verify(Verify),
    /// Forget the certificate authority of this data directory.
    TlsReset(PathBuf),
    /// Print the version.
    Version,
    /// Print [`HELP`].
    Help,
}

/// Options of `packhouse serve`.
#[derive(Debug, Default, PartialEq)]
pub struct Serve {
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Where to listen for HTTPS.
    pub tls_listen: Vec<SocketAddr>,
    /// The operator's certificate.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// What our own certificate is good for, beyond the names of this machine.
    pub tls_names: Vec<Name>,
    /// Whether plain HTTP is sent on to HTTPS.
    pub https_redirect: bool,
    /// Whose `X-Forwarded-*` fields count.
    pub proxies: http::Proxies,
    /// The largest file an upload may carry, in bytes.
    pub max_upload: Option<u64>,
    /// The largest RefPack, in bytes.
    pub refpack_limit: Option<u64>,
    /// Whether RefPacks must be signed.
    pub refpack_signatures: bool,
    /// Open connections at most.
    pub max_connections: Option<usize>,
    /// Of them from one address.
    pub max_per_address: Option<usize>,
    /// Threads for quick requests.
    pub workers: Option<usize>,
    /// Threads for transfers.
    pub transfer_workers: Option<usize>,
    /// What absolute links begin with, without a slash at the end.
    pub public_url: Option<String>,
    /// Origins whose pages may call this server.
    pub allowed_cors: Vec<String>,
    /// Whether files of private apps need no session.
    pub open_private_downloads: bool,
    /// Where the pages of the web UI are read from, instead of from the program.
    pub web_dir: Option<PathBuf>,
}

impl Serve {
    /// What only makes sense together.
    fn check_tls(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together".to_owned());
        }
        let alone = self.tls_cert.is_some() || self.https_redirect || !self.tls_names.is_empty();
        if alone && self.tls_listen.is_empty() {
            return Err("HTTPS needs an address: --tls-listen 0.0.0.0:8443".to_owned());
        }
        if self.tls_cert.is_some() && !self.tls_names.is_empty() {
            return Err("--tls-name is for certificates of our own, not for --tls-cert".to_owned());
        }
        Ok(())
    }

    /// The engine's settings, its defaults where nothing was said.
    pub fn engine(&self) -> http::Settings {
        let mut settings = http::Settings {
            listen: self.listen.clone(),
            listen_tls: self.tls_listen.clone(),
            proxies: self.proxies.clone(),
            ..http::Settings::default()
        };
        let choices = [
            (&mut settings.max_connections, self.max_connections),
            (&mut settings.max_per_address, self.max_per_address),
            (&mut settings.quick_workers, self.workers),
            (&mut settings.transfer_workers, self.transfer_workers),
        ];
        for (setting, choice) in choices {
            if let Some(choice) = choice {
                *setting = choice;
            }
        }
        settings
    }
}

/// Options of `packhouse verify`.
#[derive(Debug, Default, PartialEq)]
pub struct Verify {
    /// The data directory.
    pub data: PathBuf,
    /// The share of blobs to check, 0 to 100.
    pub sample: Option<f64>,
    /// Whether to move damaged and unknown files away.
    pub repair: bool,
}

const DEFAULT_LISTEN: &str = "0.0.0.0:8090";

/// Reads the arguments (without the program's name); what is not given is taken from `environment`.
///
/// # Errors
/// A sentence naming the argument or variable that cannot be understood.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Command, String> {
    use lexopt::Arg::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut command: Option<String> = None;
    let mut given: Vec<(String, String)> = Vec::new();
    let mut repair = false;
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("repair") => repair = true,
            Long(name) if SETTINGS.iter().any(|setting| setting.flag == name) => {
                let name = name.to_owned();
                let value = parser.value().map_err(|e| e.to_string())?;
                let value = value.into_string().map_err(|_| format!("--{name}: the value is not UTF-8"))?;
                given.push((name, value));
            }
            Value(word) if command.is_none() => {
                command = Some(word.into_string().map_err(|_| "the command is not UTF-8".to_owned())?);
            }
            other => return Err(format!("{}; see packhouse --help", other.unexpected())),
        }
    }
    let command = command.unwrap_or_else(|| "serve".to_owned());
    match command.as_str() {
        "help" => return Ok(Command::Help),
        "version" => return Ok(Command::Version),
        "serve" | "verify" | "tls-reset" => {}
        other => return Err(format!("there is no command '{other}'; see packhouse --help")),
    }
    if repair && command != "verify" {
        return Err("--repair belongs to packhouse verify".to_owned());
    }
    let mut options = Options::default();
    for setting in SETTINGS {
        let belongs = setting.commands.contains(&command.as_str());
        let values: Vec<&str> =
            given.iter().filter(|(flag, _)| flag == setting.flag).map(|(_, value)| value.as_str()).collect();
        if !belongs {
            match values.is_empty() {
                true => continue,
                false => return Err(format!("--{} does not belong to packhouse {command}", setting.flag)),
            }
        }
        if !values.is_empty() {
            for value in values {
                (setting.set)(&mut options, value).map_err(|e| format!("--{} {value}: {e}", setting.flag))?;
            }
        } else if let Some(value) = environment(setting.variable).filter(|value| !value.is_empty()) {
            for value in value.split(',').map(str::trim).filter(|_| setting.listens()) {
                (setting.set)(&mut options, value).map_err(|e| format!("{}={value}: {e}", setting.variable))?;
            }
            if !setting.listens() {
                (setting.set)(&mut options, &value).map_err(|e| format!("{}={value}: {e}", setting.variable))?;
            }
        }
    }
    let data = options.data.map_or_else(|| default_data(&environment), Ok)?;
    if command == "verify" {
        return Ok(Command::Verify(Verify { data, sample: options.sample, repair }));
    }
    if command == "tls-reset" {
        return Ok(Command::TlsReset(data));
    }
    options.serve.check_tls()?;
    if options.serve.listen.is_empty() {
        options.serve.listen = addresses(DEFAULT_LISTEN)?;
    }
    Ok(Command::Serve(Serve { data, ..options.serve }))
}

#[derive(Default)]
struct Options {
    data: Option<PathBuf>,
    sample: Option<f64>,
    serve: Serve,
}

/// One setting: its flag, its twin in the environment, the commands it belongs to.
struct Setting {
    flag: &'static str,
    variable: &'static str,
    commands: &'static [&'static str],
    set: fn(&mut Options, &str) -> Result<(), String>,
}

impl Setting {
    /// In the environment its values stand in one variable, separated by commas.
    fn listens(&self) -> bool {
        matches!(self.flag, "listen" | "tls-listen")
    }
}

const SETTINGS: &[Setting] = &[
    Setting { flag: "data", variable: "PACKHOUSE_DATA", commands: &["serve", "verify", "tls-reset"], set: set_data },
    Setting { flag: "listen", variable: "PACKHOUSE_LISTEN", commands: &["serve"], set: set_listen },
    Setting {
        flag: "tls-listen",
        variable: "PACKHOUSE_TLS_LISTEN",
        commands: &["serve"],
        set: |options, value| addresses(value).map(|found| options.serve.tls_listen.extend(found)),
    },
    Setting {
        flag: "tls-cert",
        variable: "PACKHOUSE_TLS_CERT",
        commands: &["serve"],
        set: |options, value| file(value).map(|path| options.serve.tls_cert = Some(path)),
    },
    Setting {
        flag: "tls-key",
        variable: "PACKHOUSE_TLS_KEY",
        commands: &["serve"],
        set: |options, value| file(value).map(|path| options.serve.tls_key = Some(path)),
    },
    Setting {
        flag: "tls-name",
        variable: "PACKHOUSE_TLS_NAME",
        commands: &["serve"],
        set: |options, value| names(value).map(|names| options.serve.tls_names.extend(names)),
    },
    Setting {
        flag: "https-redirect",
        variable: "PACKHOUSE_HTTPS_REDIRECT",
        commands: &["serve"],
        set: |options, value| switch(value).map(|on| options.serve.https_redirect = on),
    },
    Setting {
        flag: "trust-proxy",
        variable: "PACKHOUSE_TRUST_PROXY",
        commands: &["serve"],
        set: |options, value| options.serve.proxies.add(value),
    },
    Setting { flag: "max-upload-mb", variable: "PACKHOUSE_MAX_UPLOAD_MB", commands: &["serve"], set: set_max_upload },
    Setting {
        flag: "refpack-max-mb",
        variable: "PACKHOUSE_REFPACK_MAX_MB",
        commands: &["serve"],
        set: |options, value| bytes(value).map(|n| options.serve.refpack_limit = Some(n)),
    },
    Setting {
        flag: "refpack-require-signature",
        variable: "PACKHOUSE_REFPACK_REQUIRE_SIGNATURE",
        commands: &["serve"],
        set: |options, value| switch(value).map(|on| options.serve.refpack_signatures = on),
    },
    Setting {
        flag: "max-connections",
        variable: "PACKHOUSE_MAX_CONNECTIONS",
        commands: &["serve"],
        set: |options, value| count(value).map(|n| options.serve.max_connections = Some(n)),
    },
    Setting {
        flag: "max-per-address",
        variable: "PACKHOUSE_MAX_PER_ADDRESS",
        commands: &["serve"],
        set: |options, value| count(value).map(|n| options.serve.max_per_address = Some(n)),
    },
    Setting {
        flag: "workers",
        variable: "PACKHOUSE_WORKERS",
        commands: &["serve"],
        set: |options, value| count(value).map(|n| options.serve.workers = Some(n)),
    },
    Setting {
        flag: "transfer-workers",
        variable: "PACKHOUSE_TRANSFER_WORKERS",
        commands: &["serve"],
        set: |options, value| count(value).map(|n| options.serve.transfer_workers = Some(n)),
    },
    Setting {
        flag: "public-url",
        variable: "PACKHOUSE_PUBLIC_URL",
        commands: &["serve"],
        set: |options, value| public_url(value).map(|url| options.serve.public_url = Some(url)),
    },
    Setting {
        flag: "allowed-cors",
        variable: "PACKHOUSE_ALLOWED_CORS",
        commands: &["serve"],
        set: |options, value| origins(value).map(|mut origins| options.serve.allowed_cors.append(&mut origins)),
    },
    Setting {
        flag: "private-downloads",
        variable: "PACKHOUSE_PRIVATE_DOWNLOADS",
        commands: &["serve"],
        set: |options, value| {
            options.serve.open_private_downloads = match value {
                "open" => true,
                "login" => false,
                _ => return Err("'login' or 'open' is needed".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        flag: "web-dir",
        variable: "PACKHOUSE_WEB_DIR",
        commands: &["serve"],
        set: |options, value| {
            options.serve.web_dir = Some(PathBuf::from(value));
            Ok(())
        },
    },
    Setting { flag: "sample", variable: "PACKHOUSE_SAMPLE", commands: &["verify"], set: set_sample },
];

fn set_data(options: &mut Options, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("a directory is needed".to_owned());
    }
    options.data = Some(PathBuf::from(value));
    Ok(())
}

fn set_listen(options: &mut Options, value: &str) -> Result<(), String> {
    options.serve.listen.extend(addresses(value)?);
    Ok(())
}

fn set_max_upload(options: &mut Options, value: &str) -> Result<(), String> {
    options.serve.max_upload = Some(bytes(value)?);
    Ok(())
}

fn file(value: &str) -> Result<PathBuf, String> {
    if value.is_empty() { Err("a file is needed".to_owned()) } else { Ok(PathBuf::from(value)) }
}

fn names(value: &str) -> Result<Vec<Name>, String> {
    let given = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    given.map(|name| Name::parse(name).ok_or_else(|| format!("'{name}' is no host name and no address"))).collect()
}

/// Megabytes, as bytes.
fn bytes(value: &str) -> Result<u64, String> {
    (count(value)? as u64).checked_mul(1 << 20).ok_or_else(|| "the number is too large".to_owned())
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        _ => Err("1 or 0 is needed".to_owned()),
    }
}

fn set_sample(options: &mut Options, value: &str) -> Result<(), String> {
    match value.trim_end_matches('%').parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 100.0 => {
            options.sample = Some(share);
            Ok(())
        }
        _ => Err("a share above 0% and up to 100% is needed".to_owned()),
    }
}

/// A scheme, a host, and perhaps a path; the slash at the end goes.
fn public_url(value: &str) -> Result<String, String> {
    let url = value.trim_end_matches('/');
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let good = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&byte);
    match rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(good)) {
        Some(_) => Ok(url.to_owned()),
        None => Err("an address like https://packages.example is needed".to_owned()),
    }
}

/// Origins as browsers send them: scheme and host, no path.
fn origins(value: &str) -> Result<Vec<String>, String> {
    let given = value.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    let read = |origin: &str| {
        let url = public_url(origin)?;
        match url.split_once("://") {
            Some((_, host)) if !host.contains('/') => Ok(url),
            _ => Err("origins like https://dashboard.example are needed, separated by commas".to_owned()),
        }
    };
    given.map(read).collect()
}

/// Numbers of threads, connections and megabytes: one at least.
fn count(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a whole number above 0 is needed".to_owned()),
    }
}

fn addresses(value: &str) -> Result<Vec<SocketAddr>, String> {
    let found: Vec<SocketAddr> =
        value.to_socket_addrs().map_err(|_| "an address like 127.0.0.1:8090 is needed")?.collect();
    match found.is_empty() {
        true => Err("the name has no address".to_owned()),
        false => Ok(found),
    }
}

/// Where the system keeps such data: the machine's place for administrators, else the user's own.
fn default_data(environment: &impl Fn(&str) -> Option<String>) -> Result<PathBuf, String> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let found = if cfg!(windows) {
        variable("ProgramData").map(|place| place.join("Packhouse"))
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support/Packhouse"))
    } else if is_root() {
        Some(PathBuf::from("/var/lib/packhouse"))
    } else {
        variable("XDG_DATA_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
            .map(|place| place.join("packhouse"))
    };
    found.ok_or_else(|| "no place for data is known here: say --data DIR".to_owned())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, environment: &[(&str, &str)]) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from), |name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn serve(line: &str, environment: &[(&str, &str)]) -> Serve {
        match read(line, environment) {
            Ok(Command::Serve(serve)) => serve,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags_win_over_the_environment() {
        let environment =
            [("PACKHOUSE_DATA", "/e"), ("PACKHOUSE_LISTEN", "127.0.0.1:1, [::1]:2"), ("PACKHOUSE_MAX_UPLOAD_MB", "7")];
        let read = serve("serve --data /d --listen 127.0.0.1:3 --listen 127.0.0.1:4 --workers 2", &environment);
        assert_eq!(read.data, PathBuf::from("/d"));
        assert_eq!(read.listen, ["127.0.0.1:3", "127.0.0.1:4"].map(|a| a.parse().unwrap()));
        assert_eq!((read.workers, read.max_upload), (Some(2), Some(7 << 20)));
        let read = serve("", &environment);
        assert_eq!(read.data, PathBuf::from("/e"));
        assert_eq!(read.listen, ["127.0.0.1:1", "[::1]:2"].map(|a| a.parse().unwrap()));
        assert_eq!(serve("--data x", &[]).listen, ["0.0.0.0:8090".parse().unwrap()]);
    }

    #[test]
    fn addresses_for_links_and_pages() {
        let environment = [
            ("PACKHOUSE_PUBLIC_URL", "https://p.example/x/"),
            ("PACKHOUSE_ALLOWED_CORS", "http://a.example, https://b.example:8443/"),
            ("PACKHOUSE_PRIVATE_DOWNLOADS", "open"),
        ];
        let read = serve("--data x", &environment);
        assert_eq!(read.public_url.as_deref(), Some("https://p.example/x"));
        assert_eq!(read.allowed_cors, ["http://a.example", "https://b.example:8443"]);
        assert!(read.open_private_downloads);
        let read = serve("--data x", &[]);
        assert_eq!((read.public_url, read.allowed_cors.len(), read.open_private_downloads), (None, 0, false));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let cases = [
            ("serve --data x --listen nowhere", "--listen nowhere"),
            ("serve --data x --workers 0", "--workers 0"),
            ("serve --data x --public-url ftp://x", "--public-url"),
            ("serve --data x --public-url http:///x", "--public-url"),
            ("serve --data x --allowed-cors *", "--allowed-cors"),
            ("serve --data x --allowed-cors null", "--allowed-cors"),
            ("serve --data x --allowed-cors http://a/b", "--allowed-cors"),
            ("serve --data x --private-downloads yes", "--private-downloads"),
            ("serve --data x --bogus", "bogus"),
            ("serve --data x --repair", "--repair"),
            ("serve --data x --sample 5%", "--sample"),
            ("verify --data x --workers 3", "--workers"),
            ("verify --data x --sample 0%", "--sample 0%"),
            ("dance", "dance"),
            ("serve more", "more"),
        ];
        for (line, named) in cases {
            let message = read(line, &[]).unwrap_err();
            assert!(message.contains(named), "{line}: {message}");
        }
        let message = read("serve --data x", &[("PACKHOUSE_WORKERS", "many")]).unwrap_err();
        assert!(message.contains("PACKHOUSE_WORKERS=many"), "{message}");
    }

    #[test]
    fn the_other_commands() {
        assert_eq!(read("version", &[]), Ok(Command::Version));
        assert_eq!(read("serve --help", &[]), Ok(Command::Help));
        let verify = Verify { data: "x".into(), sample: Some(5.0), repair: true };
        assert_eq!(read("verify --data x --sample 5% --repair", &[]), Ok(Command::Verify(verify)));
    }
}
