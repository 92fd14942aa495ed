//! Which proxy a request to an upstream takes (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`), and how plain requests are
//! handed to one: with the whole address in their first line.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use ureq::http::{HeaderValue, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport};

use super::failure::{Failure, Outcome};
use super::place::Url;

/// The proxies there are. What holds their passwords is never shown.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    /// For `http:` addresses.
    pub(super) plain: Option<Proxy>,
    /// For `https:` addresses.
    pub(super) tunnel: Option<Proxy>,
    without: Vec<Without>,
}

/// One proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Its address, as it was given.
    pub(super) text: String,
    /// Where it is.
    uri: Uri,
    /// What it is told of the asker.
    credentials: Option<HeaderValue>,
}

/// What no proxy is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Without {
    Everything,
    /// This host, and with it those below.
    Host(String, Option<u16>),
    /// Addresses whose first bits are these.
    Network(IpAddr, u8),
}

impl Proxies {
    /// Those of the environment.
    ///
    /// # Errors
    /// `Failed` for an address that cannot be a proxy's: requests must not silently go another way.
    pub(super) fn of_environment() -> Outcome<Proxies> {
        let named = |name: &str| {
            let small = std::env::var(name.to_ascii_lowercase()).ok();
            small.or_else(|| std::env::var(name).ok()).filter(|value| !value.trim().is_empty())
        };
        Proxies::new(named("HTTP_PROXY"), named("HTTPS_PROXY"), named("NO_PROXY"))
    }

    fn new(plain: Option<String>, tunnel: Option<String>, without: Option<String>) -> Outcome<Proxies> {
        let read = |name: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => match Proxy::read(text.trim()) {
                Some(proxy) => Ok(Some(proxy)),
                None => Err(Failure::Failed(format!("{name} is not the http:// address of a proxy"))),
            },
        };
        let without = without.unwrap_or_default();
        Ok(Proxies {
            plain: read("HTTP_PROXY", plain)?,
            tunnel: read("HTTPS_PROXY", tunnel)?,
            without: without.split([',', ' ']).filter_map(Without::read).collect(),
        })
    }

    /// The proxy for an address; none for this machine itself and for what is excepted.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.secure { &self.tunnel } else { &self.plain }.as_ref()?;
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = host.parse().ok();
        let itself = host == "localhost"
            || host.ends_with(".localhost")
            || address.is_some_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified());
        let port = url.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or(if url.secure { 443 } else { 80 });
        let excepted = self.without.iter().any(|without| without.fits(host, address, port));
        (!itself && !excepted).then_some(proxy)
    }
}

impl Proxy {
    fn read(text: &str) -> Option<Proxy> {
        let address = text.strip_prefix("http://").or_else(|| (!text.contains("://")).then_some(text))?;
        let address = address.trim_end_matches('/');
        let (user, place) = match address.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, address),
        };
        let uri: Uri = format!("http://{place}/").parse().ok()?;
        uri.authority().filter(|authority| !authority.host().is_empty() && authority.as_str() == place)?;
        let credentials = match user {
            None => None,
            Some(user) => {
                let decoded = percent_encoding::percent_decode_str(user).decode_utf8().ok()?;
                let value = base64::engine::general_purpose::STANDARD.encode(decoded.as_bytes());
                let mut value = HeaderValue::try_from(format!("Basic {value}")).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Some(Proxy { text: format!("http://{address}"), uri, credentials })
    }

    /// What plain requests carry for it.
    pub(super) fn credentials(&self) -> Option<&HeaderValue> {
        self.credentials.as_ref()
    }
}

impl Without {
    fn read(text: &str) -> Option<Without> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() || text == "*" {
            return (text == "*").then_some(Without::Everything);
        }
        if let Some((network, bits)) = text.split_once('/') {
            let (network, bits): (IpAddr, u8) = (network.parse().ok()?, bits.parse().ok()?);
            return Some(Without::Network(network, bits));
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Without::Network(address, 128));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let host = host.trim_start_matches('*').trim_start_matches('.');
        (!host.is_empty()).then(|| Without::Host(host.to_owned(), port))
    }

    fn fits(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Without::Everything => true,
            Without::Host(name, only) => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                below && only.is_none_or(|only| only == port)
            }
            Without::Network(network, bits) => match (network, address) {
                (IpAddr::V4(network), Some(IpAddr::V4(ip))) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from((*bits).min(32))).unwrap_or(0);
                    network.to_bits() & mask == ip.to_bits() & mask
                }
                (IpAddr::V6(network), Some(IpAddr::V6(ip))) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from((*bits).min(128))).unwrap_or(0);
                    network.to_bits() & mask == ip.to_bits() & mask
                }
                _ => false,
            },
        }
    }
}

/// Leads every connection to one proxy, whatever it is for.
pub(super) struct ToProxy(pub(super) Proxy);

impl fmt::Debug for ToProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToProxy")
    }
}

impl Resolver for ToProxy {
    fn resolve(
        &self,
        _: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(&self.0.uri, config, timeout)
    }
}

/// Writes the whole address into the first line of each request of a plain connection.
#[derive(Debug)]
pub(super) struct Absolute;

impl<In: Transport> Connector<In> for Absolute {
    type Out = Either<AbsoluteForm<In>, In>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let authority = details.uri.authority().map(|authority| authority.as_str().to_owned());
        Ok(match (chained, authority) {
            (Some(inner), Some(authority)) => {
                Some(Either::A(AbsoluteForm { inner, prefix: format!("http://{authority}"), first: true }))
            }
            (chained, _) => chained.map(Either::B),
        })
    }
}

/// A connection to a proxy that belongs to one server behind it.
#[derive(Debug)]
pub(super) struct AbsoluteForm<In> {
    inner: In,
    prefix: String,
    /// Whether what is sent next begins a request.
    first: bool,
}

impl<In: Transport> Transport for AbsoluteForm<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if amount == 0 || !std::mem::take(&mut self.first) {
            return self.inner.transmit_output(amount, timeout);
        }
        let written = self.inner.buffers().output().get(..amount).unwrap_or_default().to_vec();
        // `GET /path`: the address goes before the slash.
        let at = written.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
        let (verb, rest) = written.split_at(at);
        let whole = [verb, self.prefix.as_bytes(), rest].concat();
        let mut left = whole.as_slice();
        while !left.is_empty() {
            let output = self.inner.buffers().output();
            let count = left.len().min(output.len());
            let (now, later) = left.split_at(count);
            match output.get_mut(..count) {
                Some(place) if count > 0 => place.copy_from_slice(now),
                _ => return Err(ureq::Error::ConnectionFailed),
            }
            self.inner.transmit_output(count, timeout)?;
            left = later;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.first = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_by_proxy() {
        let text = |text: &str| Some(text.to_owned());
        let without = "internal.example, .corp, 10.0.0.0/8,192.0.2.7,other:8080,fd00::/8";
        let proxies = Proxies::new(text("http://u:p%40@p:3128/"), text("q"), text(without)).ok().unwrap();
        let by = |url: &str| proxies.of(&Url::read(url).unwrap()).map(|proxy| proxy.text.clone());
        assert_eq!(by("http://deb.example.org/x").as_deref(), Some("http://u:p%40@p:3128"));
        assert_eq!(by("https://deb.example.org/x").as_deref(), Some("http://q"));
        assert_eq!(proxies.plain.as_ref().unwrap().credentials().unwrap(), "Basic dTpwQA==");
        assert!(proxies.tunnel.as_ref().unwrap().credentials().is_none());
        let direct = [
            "http://localhost/",
            "http://127.0.0.1:8080/",
            "http://[::1]/",
            "http://internal.example/",
            "https://a.internal.example/",
            "http://x.corp/",
            "http://10.1.2.3/",
            "http://192.0.2.7/",
            "http://other:8080/",
            "http://[fd00::5]:81/",
        ];
        for url in direct {
            assert_eq!(by(url), None, "{url}");
        }
        for url in ["http://notinternal.example/", "http://11.0.0.1/", "http://192.0.2.8/", "http://other/"] {
            assert!(by(url).is_some(), "{url}");
        }
        for bad in ["socks5://p", "https://p", "http://", "http://a b"] {
            assert!(Proxies::new(text(bad), None, None).is_err(), "{bad}");
        }
        let none = Proxies::new(text("p:1"), None, text("*")).ok().unwrap();
        assert!(none.of(&Url::read("http://x/").unwrap()).is_none());
    }
}
