//! Proxies in front of the server: which peers are believed when they say for whom they ask (`reliability.md` §11).

use std::net::{IpAddr, SocketAddr};

use super::head::{Head, is_authority};

/// Addresses and networks whose `X-Forwarded-For`, `-Proto` and `-Host` count; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

/// An address with the number of bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// The longest host name with a port.
const MAX_HOST: usize = 262;

impl Proxies {
    /// Adds addresses (`10.0.0.1`) and networks (`10.0.0.0/8`, `fd00::/8`), separated by commas.
    ///
    /// # Errors
    /// A sentence naming the one that cannot be understood.
    pub fn add(&mut self, list: &str) -> Result<(), String> {
        for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let network = Network::parse(text).ok_or_else(|| format!("'{text}' is no address and no network"))?;
            self.0.push(network);
        }
        Ok(())
    }

    /// Whether `address` is a proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// For whom a request really comes, and whether over TLS; the host the client named takes the place of `Host`.
    ///
    /// Every field is read from its end: what stands before the words of the last proxy we know may be made up.
    pub(super) fn look_through(&self, peer: SocketAddr, secure: bool, head: &mut Head) -> (SocketAddr, bool) {
        if self.0.is_empty() || !self.contains(peer.ip()) {
            return (peer, secure);
        }
        let client = self.client(peer, head);
        let last = |name: &str| {
            let field = head.headers.all(name).last()?;
            let text = std::str::from_utf8(field).ok()?;
            text.rsplit(',').next().map(|value| value.trim().to_owned())
        };
        let secure = match last("x-forwarded-proto") {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => secure,
        };
        let host = last("x-forwarded-host");
        if let Some(host) = host.filter(|host| (1..=MAX_HOST).contains(&host.len()) && is_authority(host.as_bytes())) {
            head.headers.set("host", host.as_bytes());
        }
        (client, secure)
    }

    /// The last address in `X-Forwarded-For` that is not a proxy of ours.
    fn client(&self, peer: SocketAddr, head: &Head) -> SocketAddr {
        let fields: Vec<&[u8]> = head.headers.all("x-forwarded-for").collect();
        let named = fields.iter().rev().flat_map(|field| field.rsplit(|byte| *byte == b','));
        let mut client = peer;
        for name in named {
            let Some(found) = std::str::from_utf8(name).ok().and_then(|name| address(name.trim())) else { break };
            client = found;
            if !self.contains(found.ip()) {
                break;
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)).or_else(|_| text.parse());
    parsed.ok().map(|found| SocketAddr::new(found.ip().to_canonical(), found.port()))
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Network { address, bits })
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                (ours.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                (ours.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &str) -> Proxies {
        let mut proxies = Proxies::default();
        proxies.add(list).unwrap();
        proxies
    }

    #[test]
    fn networks() {
        let ours = proxies("10.0.0.0/8, 192.0.2.7,fd00::/8");
        let cases = [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("fdff::1", true),
            ("fc00::1", false),
        ];
        for (address, expected) in cases {
            assert_eq!(ours.contains(address.parse().unwrap()), expected, "{address}");
        }
        let all = proxies("0.0.0.0/0");
        assert!(all.contains("203.0.113.9".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        for bad in ["10.0.0.0/33", "x", "10.0.0", "::/129", "10.0.0.1/", "1.2.3.4,y"] {
            assert!(Proxies::default().add(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_proxies_are_believed_and_only_their_own_words() {
        let look = |list: &str, peer: &str, fields: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: inner:8090\r\n{fields}\r\n");
            let (mut head, _) = Head::parse(text.as_bytes()).unwrap().unwrap();
            let peer = SocketAddr::new(peer.parse().unwrap(), 5);
            let (client, secure) = proxies(list).look_through(peer, false, &mut head);
            (client.ip().to_string(), secure, head.headers.text("host").unwrap().to_owned())
        };
        let told =
            "X-Forwarded-For: 203.0.113.1, 198.51.100.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n";
        let plain = |ip: &str| (ip.to_owned(), false, "inner:8090".to_owned());
        assert_eq!(look("", "10.0.0.1", told), plain("10.0.0.1"));
        assert_eq!(look("10.0.0.2", "10.0.0.1", told), plain("10.0.0.1"));
        let seen = look("10.0.0.0/8", "10.0.0.1", told);
        assert_eq!(seen, ("198.51.100.4".to_owned(), true, "a.example".to_owned()));
        let through_two = look("10.0.0.0/8,198.51.100.4", "10.0.0.1", told);
        assert_eq!(through_two.0, "203.0.113.1");
        for (fields, client) in [
            ("X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 198.51.100.4:77\r\n", "198.51.100.4"),
            ("X-Forwarded-For: 203.0.113.1, nonsense\r\n", "10.0.0.1"),
            ("X-Forwarded-For: nonsense, 10.0.0.9\r\n", "10.0.0.9"),
            ("X-Forwarded-For: [2001:db8::1]:99\r\n", "2001:db8::1"),
            ("X-Forwarded-Host: bad/host\r\nX-Forwarded-Proto: gopher\r\n", "10.0.0.1"),
        ] {
            assert_eq!(look("10.0.0.0/8", "10.0.0.1", fields), plain(client), "{fields}");
        }
    }
}
