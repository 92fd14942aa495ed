//! Lists of addresses as administrators write them: single ones, ranges, networks (`winget.md` A2).

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most entries in one list.
const MAX_ENTRIES: usize = 1000;

/// Addresses, as they were written and ready to compare. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressList {
    text: String,
    /// First and last address of each entry, both of one family.
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl AddressList {
    /// From entries separated by `,` or `;`: `a`, `a - b`, or `a/prefix`. `Invalid` names the entry that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let entries = text.split([',', ';']).map(str::trim).filter(|entry| !entry.is_empty());
        let ranges = entries.take(MAX_ENTRIES + 1).map(range).collect::<Result<Vec<_>>>()?;
        if ranges.len() > MAX_ENTRIES {
            return Err(Error::invalid("too many addresses in a list"));
        }
        Ok(AddressList { text: text.trim().to_owned(), ranges })
    }

    /// Whether `address` is in one of the entries.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|(first, last)| *first <= address && address <= *last)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for AddressList {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        AddressList::parse(&text)
    }
}

impl From<AddressList> for String {
    fn from(list: AddressList) -> String {
        list.text
    }
}

fn range(entry: &str) -> Result<(IpAddr, IpAddr)> {
    let bad = || Error::invalid(format!("not an address, a range or a network: {}", entry.escape_debug()));
    let one = |text: &str| text.trim().parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| bad());
    if let Some((first, last)) = entry.split_once('-') {
        let (first, last) = (one(first)?, one(last)?);
        return if first.is_ipv4() == last.is_ipv4() && first <= last { Ok((first, last)) } else { Err(bad()) };
    }
    let Some((address, prefix)) = entry.split_once('/') else {
        return one(entry).map(|address| (address, address));
    };
    let prefix: u32 = Some(prefix.trim())
        .filter(|p| p.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(bad)?
        .parse()
        .map_err(|_| bad())?;
    match address.trim().parse::<IpAddr>().map_err(|_| bad())? {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let first = v4.to_bits() & !host;
            (prefix <= 32).then(|| (IpAddr::V4(first.into()), IpAddr::V4((first | host).into()))).ok_or_else(bad)
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let first = v6.to_bits() & !host;
            let ends = (IpAddr::V6(first.into()), IpAddr::V6((first | host).into()));
            let ends = match (ends.0.to_canonical(), ends.1.to_canonical()) {
                // A network of mapped addresses is one of IPv4 addresses.
                both @ (IpAddr::V4(_), IpAddr::V4(_)) => both,
                _ => ends,
            };
            (prefix <= 128).then_some(ends).ok_or_else(bad)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_all_forms() {
        let list = "192.0.2.1; 10.0.0.5 - 10.0.1.2,172.16.0.0/12 , 2001:db8::/32;fe80::1-fe80::5,198.51.100.7/24,";
        let list = AddressList::parse(list).unwrap();
        let cases = [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("10.0.0.4", false),
            ("10.0.0.5", true),
            ("10.0.0.255", true),
            ("10.0.1.2", true),
            ("10.0.1.3", false),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("fe80::5", true),
            ("fe80::6", false),
            ("198.51.100.255", true),
            ("::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.2", false),
        ];
        for (address, inside) in cases {
            assert_eq!(list.contains(address.parse().unwrap()), inside, "{address}");
        }
    }

    #[test]
    fn edges_of_networks() {
        let cases = [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "ffff::", true),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.0", false),
            ("::1/128", "::1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.77", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
        ];
        for (list, address, inside) in cases {
            let list = AddressList::parse(list).unwrap();
            assert_eq!(list.contains(address.parse().unwrap()), inside, "{list} {address}");
        }
    }

    #[test]
    fn what_is_no_entry() {
        let long = "10.0.0.1,".repeat(MAX_ENTRIES + 1);
        let bad = [
            "x",
            "10.0.0",
            "10.0.0.1-",
            "10.0.0.2-10.0.0.1",
            "10.0.0.1-::1",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "/8",
            "10.0.0.1 10.0.0.2",
            "10.0.0.0/99999999999",
            long.as_str(),
        ];
        for text in bad {
            assert!(AddressList::parse(text).is_err(), "{text}");
        }
        let kept = AddressList::parse(" 10.0.0.1 ;10.0.0.2 ").unwrap();
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(json, "\"10.0.0.1 ;10.0.0.2\"");
        assert_eq!(serde_json::from_str::<AddressList>(&json).unwrap(), kept);
        assert!(AddressList::parse("").unwrap().is_empty());
    }
}
