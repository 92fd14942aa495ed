//! The server's own certificate authority: made once, bound to names of this machine and of private networks, and the
//! short-lived certificates it signs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
    date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::certificates::names::{Name, is_below};
use crate::clock::Time;
use crate::error::{Error, Result};

/// Seconds of a day.
const DAY: i64 = 24 * 3600;
/// How long the authority serves, days.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a certificate serves, days; clients refuse more than 398.
const LEAF_DAYS: i64 = 396;
/// A certificate with fewer days left is replaced.
const RENEW_DAYS: i64 = LEAF_DAYS / 3;
/// A clock that shows less has never been set; an authority made under it would have ended long ago. 2026-01-01.
const EARLIEST: i64 = 1_767_225_600;

/// Endings that no public name has, so that machines may be renamed under the same authority.
const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "lan", "internal", "home.arpa", "localdomain"];

/// Addresses that no public network has: the address and how many of its bits count.
const PRIVATE_NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// A certificate authority as it is stored; holds its private key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Authority {
    /// PKCS #8 in PEM.
    key: String,
    /// The root certificate in PEM.
    pub(super) certificate: String,
    /// Its name, for people.
    name: String,
    /// Names beyond the private ones that it may sign for.
    names: Vec<String>,
    /// The same for addresses.
    addresses: Vec<IpAddr>,
    /// When it ends, in seconds since 1970.
    ends: i64,
}

/// A certificate that listeners show.
pub(super) struct Leaf {
    /// In PEM. The root is not part of it: whoever trusts it has it.
    pub(super) chain: String,
    /// Its private key, PKCS #8 in PEM; it is never stored.
    pub(super) key: String,
    /// What it is good for.
    pub(super) names: Vec<Name>,
    begins: i64,
    ends: i64,
}

impl Leaf {
    /// Whether it is time for another one; a clock that was set back counts too.
    pub(super) fn is_due(&self, now: Time) -> bool {
        now.seconds() < self.begins || now.seconds() + RENEW_DAYS * DAY > self.ends
    }
}

impl Authority {
    /// A new authority that may sign for `names`, their subdomains, and everything private.
    ///
    /// # Errors
    /// `Internal` when the system gives no randomness.
    pub(super) fn create(names: &[Name], machine: &str, now: Time) -> Result<Authority> {
        let now = now.seconds().max(EARLIEST);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::internal)?;
        let mut authority = Authority {
            key: key.serialize_pem(),
            certificate: String::new(),
            name: format!("Packhouse of {machine}, {}", Time(now * 1_000_000).date()),
            names: names.iter().filter_map(|name| name.host().map(str::to_owned)).collect(),
            addresses: names.iter().filter_map(Name::address).collect(),
            ends: now + AUTHORITY_DAYS * DAY,
        };
        authority.names.retain(|name| !PRIVATE_NAMES.iter().any(|private| is_below(name, private)));
        authority.addresses.retain(|address| !PRIVATE_NETWORKS.iter().any(|network| is_within(*address, *network)));
        let certificate = authority.parameters()?.self_signed(&key).map_err(Error::internal)?;
        authority.certificate = certificate.pem();
        Ok(authority)
    }

    /// Whether it ends before a certificate signed now would.
    pub(super) fn is_over(&self, now: Time) -> bool {
        now.seconds() + LEAF_DAYS * DAY > self.ends
    }

    /// Whether it may sign for `name`.
    pub(super) fn covers(&self, name: &Name) -> bool {
        match name {
            Name::Host(host) => {
                let private = PRIVATE_NAMES.iter().copied();
                private.chain(self.names.iter().map(String::as_str)).any(|above| is_below(host, above))
            }
            Name::Address(address) => {
                self.addresses.contains(address) || PRIVATE_NETWORKS.iter().any(|network| is_within(*address, *network))
            }
        }
    }

    /// Signs a certificate for those of `names` that it may sign for.
    ///
    /// # Errors
    /// `Internal` when the stored key cannot be used.
    pub(super) fn issue(&self, names: &[Name], now: Time) -> Result<Leaf> {
        let names: Vec<Name> = names.iter().filter(|name| self.covers(name)).cloned().collect();
        let begins = now.seconds() - DAY;
        let ends = begins + LEAF_DAYS * DAY;
        let mut parameters = CertificateParams::default();
        for name in &names {
            parameters.subject_alt_names.push(match name {
                Name::Host(host) => SanType::DnsName(host.as_str().try_into().map_err(Error::internal)?),
                Name::Address(address) => SanType::IpAddress(*address),
            });
        }
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "Packhouse");
        let midnight = |(year, month, day)| date_time_ymd(year, month, day);
        (parameters.not_before, parameters.not_after) = (midnight(day(begins)?), midnight(day(ends)?));
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let authority_key = KeyPair::from_pem(&self.key).map_err(Error::internal)?;
        let issuer = Issuer::new(self.parameters()?, authority_key);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::internal)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(Error::internal)?;
        Ok(Leaf { chain: certificate.pem(), key: key.serialize_pem(), names, begins, ends })
    }

    fn parameters(&self) -> Result<CertificateParams> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, self.name.as_str());
        parameters.distinguished_name.push(DnType::OrganizationName, "Packhouse");
        let midnight = |(year, month, day)| date_time_ymd(year, month, day);
        (parameters.not_before, parameters.not_after) = (midnight(day(EARLIEST)?), midnight(day(self.ends)?));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let hosts = PRIVATE_NAMES.iter().copied().chain(self.names.iter().map(String::as_str));
        let subnets = PRIVATE_NETWORKS.iter().map(|(address, bits)| CidrSubnet::from_addr_prefix(*address, *bits));
        let single = self
            .addresses
            .iter()
            .map(|address| CidrSubnet::from_addr_prefix(*address, if address.is_ipv4() { 32 } else { 128 }));
        parameters.name_constraints = Some(NameConstraints {
            permitted_subtrees: hosts
                .map(|host| GeneralSubtree::DnsName(host.to_owned()))
                .chain(subnets.chain(single).map(GeneralSubtree::IpAddress))
                .collect(),
            excluded_subtrees: Vec::new(),
        });
        Ok(parameters)
    }
}

/// Year, month and day of `seconds`: certificates begin and end at midnight.
fn day(seconds: i64) -> Result<(i32, u8, u8)> {
    let date = Time(seconds.saturating_mul(1_000_000)).date();
    let mut parts = date.splitn(3, '-').map(str::parse::<u16>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::internal(format!("the clock shows {date}")));
    };
    let (month, day) = (u8::try_from(month).map_err(Error::internal)?, u8::try_from(day).map_err(Error::internal)?);
    Ok((i32::from(year), month, day))
}

fn is_within(address: IpAddr, (network, bits): (IpAddr, u8)) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<Name> {
        list.iter().map(|text| Name::parse(text).unwrap()).collect()
    }

    #[test]
    fn signs_for_its_own_and_for_private_names_only() {
        let authority =
            Authority::create(&names(&["nas", "packages.example", "203.0.113.9", "10.1.2.3"]), "nas", Time(0)).unwrap();
        assert_eq!(authority.addresses, ["203.0.113.9".parse::<IpAddr>().unwrap()]);
        for (name, expected) in [
            ("nas", true),
            ("a.nas", true),
            ("bnas", false),
            ("packages.example", true),
            ("example", false),
            ("other.local", true),
            ("localhost", true),
            ("203.0.113.9", true),
            ("203.0.113.10", false),
            ("192.168.77.1", true),
            ("172.32.0.1", false),
            ("::1", true),
            ("fd12::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(authority.covers(&Name::parse(name).unwrap()), expected, "{name}");
        }
    }

    #[test]
    fn certificates_are_renewed_before_they_end() {
        let start = Time(EARLIEST * 1_000_000);
        let authority = Authority::create(&names(&["nas"]), "nas", start).unwrap();
        let leaf = authority.issue(&names(&["nas", "elsewhere.example", "10.0.0.1"]), start).unwrap();
        assert_eq!(leaf.names, names(&["nas", "10.0.0.1"]));
        assert!(crate::http::Tls::from_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).is_ok());
        let after = |days: i64| start.plus_seconds(days * DAY);
        for (days, due) in [(-3, true), (0, false), (200, false), (262, false), (265, true), (1000, true)] {
            assert_eq!(leaf.is_due(after(days)), due, "{days}");
        }
        assert!(!authority.is_over(after(3000)) && authority.is_over(after(3300)));
    }

    #[test]
    fn a_clock_that_was_never_set_does_no_harm() {
        let authority = Authority::create(&names(&["nas"]), "nas", Time(0)).unwrap();
        assert!(!authority.is_over(Time(EARLIEST * 1_000_000)));
        let leaf = authority.issue(&names(&["nas"]), Time(0)).unwrap();
        assert!(leaf.is_due(Time(EARLIEST * 1_000_000)));
    }
}
