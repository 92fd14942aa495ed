//! Every address this server can be reached by, for whoever sets it up or looks for the right one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::App;
use crate::certificates::{Certificates, Name, of_this_machine};
use crate::console::{Console, fresh, owner};
use crate::error::Result;
use crate::http::{Request, Response};
use crate::identity::Principal;

/// Addresses shown at most; a machine may have very many.
const MAX_ADDRESSES: usize = 24;

/// One address this server answers at.
#[derive(Debug, PartialEq, Eq)]
struct Reach {
    /// `http://192.0.2.1:8080`
    url: String,
    /// Whether it is spoken to by HTTPS.
    secure: bool,
    /// Its place in the list: the most useful for other machines first.
    rank: u8,
}

impl Reach {
    /// Whose address it is: `network`, `name` or `local` (good on this machine only).
    fn sort(&self) -> &'static str {
        match self.rank {
            0 | 1 | 3 => "network",
            2 => "name",
            _ => "local",
        }
    }
}

/// What the machine's names make of the addresses listened on. A listener on every address answers to every name, another
/// one to its own address, and to `localhost` where that is it.
fn reach(scheme: &str, listened: &[SocketAddr], names: &[Name]) -> Vec<Reach> {
    let mut found: Vec<Reach> = Vec::new();
    for listener in listened {
        let ip = listener.ip();
        let hears = |name: &Name| match name {
            Name::Address(address) if ip.is_unspecified() => ip.is_ipv6() || address.is_ipv4(),
            Name::Address(address) => *address == ip.to_canonical(),
            Name::Host(host) if host == "localhost" => ip.is_unspecified() || ip.is_loopback(),
            Name::Host(_) => ip.is_unspecified(),
        };
        let own = Name::Address(ip.to_canonical());
        let own = (!ip.is_unspecified() && !names.contains(&own)).then_some(&own);
        for name in names.iter().filter(|name| hears(name)).chain(own) {
            let rank = match name {
                Name::Address(address) if address.is_loopback() => 5,
                Name::Address(IpAddr::V4(address)) => u8::from(!address.is_private()),
                Name::Address(IpAddr::V6(_)) => 3,
                Name::Host(host) if host == "localhost" => 4,
                Name::Host(_) => 2,
            };
            let host = match name {
                Name::Address(IpAddr::V6(address)) => format!("[{address}]"),
                Name::Address(address) => address.to_string(),
                Name::Host(host) => host.clone(),
            };
            let usual = matches!((scheme, listener.port()), ("http", 80) | ("https", 443));
            let port = if usual { String::new() } else { format!(":{}", listener.port()) };
            let one = Reach { url: format!("{scheme}://{host}{port}"), secure: scheme == "https", rank };
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// `GET /ui/api/addresses`: the public address and what the machine's own names and addresses make of the listeners, the
/// ones other machines can use first. For owners, and for everybody while the setup is open.
pub fn addresses(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    if !app.rooms.get::<Console>()?.setup_is_open(app.clock.now()) {
        owner(&app.login(&request.head)?)?;
    }
    let nobody: (Vec<SocketAddr>, Vec<SocketAddr>) = Default::default();
    let (plain, secure) = app.settings.listening.get().unwrap_or(&nobody);
    let names = of_this_machine();
    let mut found: Vec<Reach> = Vec::new();
    for (scheme, listened) in [("https", secure), ("http", plain)] {
        found.extend(reach(scheme, listened, &names));
    }
    found.sort_by_key(|one| one.rank);
    found.truncate(MAX_ADDRESSES);
    let rows: Vec<Value> =
        found.iter().map(|one| json!({ "url": one.url, "secure": one.secure, "sort": one.sort() })).collect();
    let certificates = app.rooms.get::<Option<Arc<Certificates>>>()?;
    Ok(fresh(&json!({
        "public": app.settings.public_url,
        "rows": rows,
        "https": !secure.is_empty(),
        // Whether machines must be told to trust our own authority first.
        "ownRoot": certificates.as_ref().is_some_and(|certificates| certificates.root().is_some()),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_server_is_reached() {
        let names: Vec<Name> = ["localhost", "nas", "127.0.0.1", "::1", "192.168.1.9", "203.0.113.4", "2001:db8::5"]
            .iter()
            .map(|text| Name::parse(text).unwrap())
            .collect();
        let shown = |scheme: &str, listened: &[&str]| {
            let listened: Vec<SocketAddr> = listened.iter().map(|text| text.parse().unwrap()).collect();
            let mut found = reach(scheme, &listened, &names);
            found.sort_by_key(|one| one.rank);
            found.into_iter().map(|one| format!("{} {}", one.url, one.sort())).collect::<Vec<_>>()
        };
        let v4 = [
            "http://192.168.1.9:8080 network",
            "http://203.0.113.4:8080 network",
            "http://nas:8080 name",
            "http://localhost:8080 local",
            "http://127.0.0.1:8080 local",
        ];
        assert_eq!(shown("http", &["0.0.0.0:8080"]), v4);
        assert_eq!(shown("http", &["0.0.0.0:8080", "0.0.0.0:8080"]), v4);
        assert_eq!(shown("http", &["[::]:80"]).len(), 7);
        assert!(shown("http", &["[::]:80"]).contains(&"http://[2001:db8::5] network".to_owned()));
        assert_eq!(shown("https", &["192.168.1.9:443"]), ["https://192.168.1.9 network"]);
        assert_eq!(shown("https", &["198.51.100.7:8443"]), ["https://198.51.100.7:8443 network"]);
        assert_eq!(shown("http", &["127.0.0.1:5"]), ["http://localhost:5 local", "http://127.0.0.1:5 local"]);
        assert!(shown("http", &[]).is_empty());
    }
}
