//! Names and addresses a server answers to: what certificates are made for.

use std::net::IpAddr;

/// Longest host name, bytes.
const MAX_HOST: usize = 253;
/// Most names of one certificate.
const MAX_NAMES: usize = 100;

/// A host name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `packages.example`
    Host(String),
    /// `192.0.2.1`
    Address(IpAddr),
}

impl Name {
    /// From text; `None` when it can be neither.
    pub fn parse(text: &str) -> Option<Name> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Name::Address(address.to_canonical()));
        }
        let host = text.trim_end_matches('.').to_ascii_lowercase();
        let label = |label: &str| {
            let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            fits && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        // A last label of digits would be read as an address by some and not by others.
        let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        (host.len() <= MAX_HOST && host.split('.').all(label) && !numeric).then_some(Name::Host(host))
    }

    /// The host in an address like `https://packages.example:8443/x`.
    pub fn of_url(url: &str) -> Option<Name> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next()?;
        Name::parse(without_port(authority))
    }

    /// The host name, when it is one.
    pub fn host(&self) -> Option<&str> {
        if let Name::Host(host) = self { Some(host) } else { None }
    }

    /// The address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        if let Name::Address(address) = self { Some(*address) } else { None }
    }
}

/// `host:80` without the port; brackets of IPv6 addresses stay.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

/// Whether `name` is `above` or a subdomain of it.
pub(super) fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What this machine calls itself.
pub(super) fn machine() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    match Name::parse(&name) {
        Some(Name::Host(host)) => host,
        _ => "localhost".to_owned(),
    }
}

/// Everything this machine can be reached by, and `extra`: sorted, each once.
pub(super) fn all(extra: &[Name]) -> Vec<Name> {
    let machine = machine();
    let mut names: Vec<Name> = vec![Name::Host("localhost".to_owned()), Name::Host(machine.clone())];
    if let Some((short, _)) = machine.split_once('.') {
        names.push(Name::Host(short.to_owned()));
    } else if machine != "localhost" {
        names.push(Name::Host(format!("{machine}.local")));
    }
    names.extend_from_slice(extra);
    let loopback = ["127.0.0.1", "::1"].iter().filter_map(|text| text.parse().ok());
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        log::warn!("the addresses of this machine are not known: {error}");
        Vec::new()
    });
    let found = found.iter().map(if_addrs::Interface::ip).filter(|address| !is_link_local(*address));
    names.extend(loopback.chain(found).map(|address: IpAddr| Name::Address(address.to_canonical())));
    // Of a machine with very many addresses the first ones must do; what was asked for stays.
    let mut kept: Vec<Name> = Vec::new();
    for name in names {
        if kept.len() < MAX_NAMES && !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept.sort();
    kept
}

/// Such an IPv6 address means nothing without the name of an interface.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (text, expected) in [
            ("Packages.Example.", Some("packages.example")),
            ("nas", Some("nas")),
            ("a_b.c-d", Some("a_b.c-d")),
            ("", None),
            ("-a", None),
            ("a..b", None),
            ("a b", None),
            ("1.2.3", None),
            ("*.example", None),
            ("größe", None),
        ] {
            let expected = expected.map(|host| Name::Host(host.to_owned()));
            assert_eq!(Name::parse(text), expected, "{text}");
        }
        for (text, expected) in
            [("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1"), ("::ffff:10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(Name::parse(text), Some(Name::Address(expected.parse().unwrap())), "{text}");
        }
        for (url, expected) in [
            ("https://packages.example:8443/x", "packages.example"),
            ("http://[2001:db8::1]:80", "2001:db8::1"),
            ("https://10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(Name::of_url(url), Name::parse(expected), "{url}");
        }
        for (authority, expected) in
            [("a:80", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("::1", "::1"), ("a", "a")]
        {
            assert_eq!(without_port(authority), expected);
        }
        assert!(is_below("a.nas", "nas") && is_below("nas", "nas") && !is_below("xnas", "nas"));
    }

    #[test]
    fn this_machine_has_at_least_loopback() {
        let names = all(&[Name::Host("packages.example".to_owned())]);
        for expected in ["localhost", "127.0.0.1", "::1", "packages.example"] {
            assert!(names.contains(&Name::parse(expected).unwrap()), "{expected} is not in {names:?}");
        }
    }
}
