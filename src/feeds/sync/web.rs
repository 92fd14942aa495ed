//! The outgoing HTTP client: bounded in every way, careful about where redirects lead and who sees credentials
//! (`repos.md` §3.7, `reliability.md` §16).

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, DefaultConnector, NextTimeout, TcpConnector};

use super::failure::{Failure, Outcome};
use super::place::Url;
use super::proxy::{Absolute, Proxies, ToProxy};

const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte for this long, a transfer is broken off.
const STALL: Duration = Duration::from_secs(60);
/// A whole head has to come within this time.
const HEAD: Duration = Duration::from_secs(120);
const REDIRECTS: usize = 10;
const HEAD_BYTES: usize = 64 << 10;
/// Names whose judgement is kept.
const MOST_JUDGED: usize = 1000;
/// Connections to one upstream.
pub(super) const CONNECTIONS: usize = 4;

/// What an upstream is told of the asker; shown to nobody.
#[derive(Clone, Default)]
pub(in crate::feeds) struct Credentials(Vec<(HeaderName, HeaderValue)>);

impl Credentials {
    /// With one field more; answers no when it cannot stand in a request.
    pub(super) fn add(&mut self, name: &str, value: &str) -> bool {
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return false;
        };
        value.set_sensitive(true);
        self.0.push((name, value));
        true
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A client for one sync of one upstream.
pub(super) struct Web {
    /// For the upstream itself; may reach loopback.
    open: Agent,
    /// For where it points to.
    guarded: Agent,
    /// By the proxy for `http:` addresses; the proxy is who is connected to.
    plain: Option<Agent>,
    /// By the proxy for `https:` addresses.
    tunnel: Option<Agent>,
    proxies: Proxies,
    /// Names that were looked up before a proxy was asked for them: whether they may be asked for.
    judged: Mutex<HashMap<String, Option<&'static str>>>,
    /// Who may see the credentials.
    home: Option<Url>,
    credentials: Credentials,
    stopped: Arc<AtomicBool>,
}

/// An answer; its body is still to be read.
pub(super) struct Answer {
    /// The status, never a redirect.
    pub(super) status: u16,
    /// `ETag`.
    pub(super) etag: Option<String>,
    /// `Last-Modified`.
    pub(super) modified: Option<String>,
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// Where a part begins (status 206).
    pub(super) start: Option<u64>,
    /// The bytes.
    pub(super) body: Box<dyn Read + Send>,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Asking {
    File,
    Head,
}

impl Web {
    /// A client; `credentials` are sent to `home` only.
    ///
    /// # Errors
    /// `Failed` when the environment names a proxy that cannot be one.
    pub(super) fn new(home: Option<Url>, credentials: Credentials) -> Outcome<Web> {
        let agent = |redirected| Agent::with_parts(config(None), DefaultConnector::default(), Guard { redirected });
        // A directory has no use for proxies, also not for those that are none.
        let proxies = match &home {
            Some(_) => Proxies::of_environment()?,
            None => Proxies::of_environment().unwrap_or_default(),
        };
        let plain = proxies.plain.clone().map(|proxy| {
            let connector = ().chain(TcpConnector::default()).chain(Absolute);
            Agent::with_parts(config(None), connector, ToProxy(proxy))
        });
        let tunnel = proxies.tunnel.clone().map(|proxy| -> Outcome<Agent> {
            let by = ureq::Proxy::new(&proxy.text);
            let by = by.map_err(|_| Failure::Failed("HTTPS_PROXY is not the http:// address of a proxy".to_owned()))?;
            Ok(Agent::with_parts(config(Some(by)), DefaultConnector::default(), ToProxy(proxy)))
        });
        Ok(Web {
            open: agent(false),
            guarded: agent(true),
            plain,
            tunnel: tunnel.transpose()?,
            proxies,
            judged: Mutex::default(),
            home,
            credentials,
            stopped: Arc::default(),
        })
    }

    /// Breaks off whatever is under way, from another thread; nothing works after it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let all = [Some(&self.open), Some(&self.guarded), self.plain.as_ref(), self.tunnel.as_ref()];
        all.into_iter().flatten().for_each(|agent| agent.clone().shutdown());
    }

    /// Whether [`Web::stop`] was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Asks once for `url` with these fields, following redirects.
    ///
    /// # Errors
    /// `Broken` when it may work another time, `Failed` when it will not.
    pub(super) fn get(&self, url: &Url, fields: &[(&'static str, &str)]) -> Outcome<Answer> {
        self.go(Asking::File, url, fields)
    }

    /// The same for the head of the answer alone.
    pub(super) fn head(&self, url: &Url) -> Outcome<Answer> {
        self.go(Asking::Head, url, &[])
    }

    fn go(&self, asking: Asking, url: &Url, fields: &[(&'static str, &str)]) -> Outcome<Answer> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let answer = self.ask(asking, &url, fields)?;
            let (parts, body) = answer.into_parts();
            let status = parts.status.as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer {
                    status,
                    etag: text(&parts.headers, "etag"),
                    modified: text(&parts.headers, "last-modified"),
                    length: text(&parts.headers, "content-length").and_then(|text| text.parse().ok()),
                    start: text(&parts.headers, "content-range").and_then(|text| range_start(&text)),
                    body: Box::new(body.into_reader()),
                });
            }
            let location = text(&parts.headers, "location").unwrap_or_default();
            let next = url
                .follow(&location)
                .ok_or_else(|| Failure::Failed(format!("{} redirects to what is no http(s) address", url.text())))?;
            if url.secure && !next.secure {
                return Err(Failure::Failed(format!("{} redirects from https to http", url.text())));
            }
            url = next;
        }
        Err(Failure::Failed(format!("{} redirects too often", url.text())))
    }

    fn ask(
        &self,
        asking: Asking,
        url: &Url,
        fields: &[(&'static str, &str)],
    ) -> Outcome<ureq::http::Response<ureq::Body>> {
        if self.is_stopped() {
            return Err(Failure::Cancelled);
        }
        let at_home = self.home.as_ref().is_some_and(|home| home.same_origin(url));
        let direct = if at_home { &self.open } else { &self.guarded };
        let by = match self.proxies.of(url) {
            None => None,
            Some(proxy) => {
                self.judge(url, !at_home)?;
                if url.secure { self.tunnel.as_ref() } else { self.plain.as_ref() }.map(|agent| (agent, proxy))
            }
        };
        let agent = by.map_or(direct, |(agent, _)| agent);
        let mut request = match asking {
            Asking::File => agent.get(url.text()),
            Asking::Head => agent.head(url.text()),
        };
        // The tunnel tells the proxy by itself.
        if let Some(credentials) = by.and_then(|(_, proxy)| proxy.credentials()).filter(|_| !url.secure) {
            request = request.header("Proxy-Authorization", credentials);
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        for (name, value) in self.credentials.0.iter().filter(|_| at_home) {
            request = request.header(name, value);
        }
        request.call().map_err(|error| self.failure(url, error))
    }

    /// The rules about addresses, for a server that only the proxy will look up: they are asked of the name as it is
    /// known here, and a name that is not known here is left to the proxy.
    fn judge(&self, url: &Url, redirected: bool) -> Outcome<()> {
        let key = format!("{redirected} {}", url.authority);
        let known = self.judged.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let refused = match known {
            Some(refused) => refused,
            None => {
                let port = if url.secure { 443 } else { 80 };
                let found = match url.authority.to_socket_addrs() {
                    Ok(found) => found.collect(),
                    Err(_) => (url.host().trim_matches(['[', ']']), port)
                        .to_socket_addrs()
                        .map_or_else(|_| Vec::new(), |found| found.collect()),
                };
                let refused = found.iter().find_map(|address| forbidden(address, redirected));
                let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
                if judged.len() >= MOST_JUDGED {
                    judged.clear();
                }
                judged.insert(key, refused);
                refused
            }
        };
        match refused {
            Some(why) => Err(Failure::Failed(format!("{}: {why}", url.text()))),
            None => Ok(()),
        }
    }

    fn failure(&self, url: &Url, error: ureq::Error) -> Failure {
        if self.is_stopped() {
            return Failure::Cancelled;
        }
        let said = format!("{}: {error}", url.text());
        match error {
            ureq::Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<Forbidden>()) => {
                Failure::Failed(format!("{}: {e}", url.text()))
            }
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound => Failure::Broken(said),
            ureq::Error::Protocol(_) => Failure::Broken(said),
            ureq::Error::ConnectProxyFailed(why) => Failure::Broken(format!("{}: the proxy: {why}", url.text())),
            _ => Failure::Failed(said),
        }
    }
}

fn config(proxy: Option<ureq::Proxy>) -> ureq::config::Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEAD_BYTES)
        .max_idle_connections(CONNECTIONS)
        .max_idle_connections_per_host(CONNECTIONS)
        .user_agent(concat!("packhouse/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(HEAD))
        .timeout_per_read(Some(stall()))
        .timeout_per_write(Some(stall()))
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .build()
}

/// How long silence is borne; tests need not wait that long.
fn stall() -> Duration {
    #[cfg(feature = "crash-points")]
    if let Some(seconds) = std::env::var("PACKHOUSE_TEST_STALL_SECONDS").ok().and_then(|text| text.parse().ok()) {
        return Duration::from_secs(seconds);
    }
    STALL
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// `bytes 100-199/200`: where the part begins.
fn range_start(text: &str) -> Option<u64> {
    text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Looks names up and lets through only addresses that may be connected to.
#[derive(Debug)]
struct Guard {
    redirected: bool,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        let mut refused = None;
        for address in &found {
            match forbidden(address, self.redirected) {
                None => allowed.push(*address),
                Some(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) if allowed.is_empty() => Err(ureq::Error::Io(std::io::Error::other(Forbidden(why)))),
            _ => Ok(allowed),
        }
    }
}

/// Why an address is not connected to.
#[derive(Debug)]
struct Forbidden(&'static str);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Forbidden {}

fn forbidden(address: &SocketAddr, redirected: bool) -> Option<&'static str> {
    let ip = address.ip().to_canonical();
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        // The last one is where clouds answer for their machines.
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    };
    if link_local {
        return Some("link-local addresses are never asked");
    }
    if redirected && (ip.is_loopback() || ip.is_unspecified()) {
        return Some("the upstream leads to this machine itself, which is not followed");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_asked() {
        let cases = [
            ("169.254.169.254:80", true, true),
            ("[fe80::1]:80", true, true),
            ("[fd00:ec2::254]:80", true, true),
            ("[::ffff:169.254.169.254]:80", true, true),
            ("127.0.0.1:80", false, true),
            ("127.9.9.9:80", false, true),
            ("[::1]:80", false, true),
            ("[::ffff:127.0.0.1]:80", false, true),
            ("0.0.0.0:80", false, true),
            ("10.0.0.1:80", false, false),
            ("192.0.2.1:80", false, false),
        ];
        for (address, always, redirected) in cases {
            let address = address.parse().unwrap();
            assert_eq!(forbidden(&address, false).is_some(), always, "{address}");
            assert_eq!(forbidden(&address, true).is_some(), redirected, "{address}");
        }
    }

    #[test]
    fn ranges_and_secrets() {
        assert_eq!(range_start("bytes 100-199/200"), Some(100));
        assert_eq!(range_start("bytes */200"), None);
        let mut credentials = Credentials::default();
        assert!(
            credentials.add("X-Key", "very secret") && !credentials.add("a b", "c") && !credentials.add("a", "b\n")
        );
        assert_eq!(format!("{credentials:?}"), "***");
    }
}
