//! Absolute links: installers, signed where the tenant asks for tokens, and logos (`winget.md` B7).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::app::App;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::ids::Digest;
use crate::winget::gate::{Caller, Visit};
use crate::winget::model::{self, Logo, Package, Row};
use crate::winget::{memory, rules};

/// Seconds a signed link is good for, at most.
const LIFETIME: i64 = 24 * 3600;
/// Links end on full periods, so that one asked for twice reads the same for a while.
const PERIOD: i64 = 600;
/// Seconds by which clocks may differ.
const TOLERANCE: i64 = 60;
/// Stands in a link made for somebody who is no client.
const NOBODY: &str = "-";

/// What absolute links begin with: the configured public address, else the host the request named.
///
/// # Errors
/// `Invalid` when it named none that could be one.
pub fn base(app: &App, request: &Request) -> Result<String> {
    if let Some(base) = &app.settings.public_url {
        return Ok(base.clone());
    }
    let scheme = if request.secure { "https" } else { "http" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
    match request.head.headers.text("host") {
        Some(host) if !host.is_empty() && host.len() <= 270 && host.bytes().all(plain) => {
            Ok(format!("{scheme}://{host}"))
        }
        // HTTP/1.0 clients may name none.
        None if request.head.headers.get("host").is_none() => Ok(format!("{scheme}://localhost")),
        _ => Err(Error::invalid("invalid Host header")),
    }
}

/// Signs links with a key of the installation.
pub struct Signer {
    key: [u8; 32],
}

impl Signer {
    /// With this key.
    pub fn new(key: [u8; 32]) -> Self {
        Signer { key }
    }

    fn mac(&self, tenant: Uuid, uid: Uuid, client: &str, expires: i64) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|e| Error::internal(e.to_string()))?;
        mac.update(b"installer\0");
        mac.update(tenant.as_bytes());
        mac.update(uid.as_bytes());
        mac.update(&expires.to_be_bytes());
        mac.update(client.as_bytes());
        Ok(mac)
    }

    /// The query of a link to `uid`, made for `client`.
    fn sign(&self, tenant: Uuid, uid: Uuid, client: Option<Uuid>, expires: i64) -> Result<String> {
        let client = client.map_or(NOBODY.to_owned(), |client| client.to_string());
        let signature = Digest(self.mac(tenant, uid, &client, expires)?.finalize().into_bytes().into());
        Ok(format!("?e={expires}&c={client}&s={signature}"))
    }

    /// For whom a link was made: a client, or nobody in particular; none when it was not made here, is over, or is for
    /// something else. Compares in constant time.
    pub fn made_for(&self, link: &Signed<'_>, tenant: Uuid, uid: Uuid, now: Time) -> Result<Option<Option<Uuid>>> {
        let parsed =
            (link.expires.and_then(|text| text.parse::<i64>().ok()), link.signature.and_then(Digest::from_hex));
        let (Some(expires), Some(signature), Some(client)) = (parsed.0, parsed.1, link.client) else { return Ok(None) };
        let right = self.mac(tenant, uid, client, expires)?.verify_slice(&signature.0).is_ok();
        if !right || now.seconds() > expires.saturating_add(TOLERANCE) {
            return Ok(None);
        }
        Ok(match client {
            NOBODY => Some(None),
            client => client.parse().ok().map(Some),
        })
    }
}

/// What a signed link brings along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signed<'q> {
    /// `e`: when it ends, in seconds since 1970.
    pub expires: Option<&'q str>,
    /// `c`: for whom it was made.
    pub client: Option<&'q str>,
    /// `s`: the signature.
    pub signature: Option<&'q str>,
}

/// Makes the links one caller is shown.
pub struct Links<'a> {
    signer: &'a Signer,
    base: String,
    tenant: Uuid,
    client: Option<Uuid>,
    signed: bool,
    expires: i64,
}

impl<'a> Links<'a> {
    /// For what `caller` is shown in answer to `request`.
    ///
    /// # Errors
    /// As [`base`].
    pub fn new(app: &'a App, request: &Request, visit: &Visit, caller: &Caller) -> Result<Links<'a>> {
        let now = app.clock.now().seconds();
        let client = caller.client();
        Ok(Links {
            signer: &memory(app)?.signer,
            base: base(app, request)?,
            tenant: visit.tenant,
            client,
            signed: visit.settings.client_authentication || client.is_some(),
            expires: now.saturating_sub(now.rem_euclid(PERIOD)).saturating_add(LIFETIME),
        })
    }

    /// What they begin with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What a link to an installer that is here ends with: its signature, where one is needed.
    ///
    /// # Errors
    /// `Internal` when it cannot be signed.
    pub fn query(&self, uid: Uuid) -> Result<String> {
        match self.signed {
            true => self.signer.sign(self.tenant, uid, self.client, self.expires),
            false => Ok(String::new()),
        }
    }

    /// Where an installer is: here, or where its manifest says.
    pub fn installer(&self, package: &Package, row: &Row) -> Result<String> {
        match row.file {
            Some(_) => {
                Ok(format!("{}{}{}", self.base, installer_path(self.tenant, package, row), self.query(row.uid)?))
            }
            None => Ok(row.url.clone()),
        }
    }

    /// Where a logo is.
    pub fn logo(&self, logo: &Logo) -> String {
        format!("{}{}", self.base, logo_path(self.tenant, logo))
    }
}

/// The path of an installer that is here.
pub fn installer_path(tenant: Uuid, package: &Package, row: &Row) -> String {
    format!("/winget/{tenant}/files/{}/{}", row.uid, model::file_name(package, row))
}

/// The path of a logo.
pub fn logo_path(tenant: Uuid, logo: &Logo) -> String {
    format!("/winget/{tenant}/logo/{}.{}", logo.digest, logo.picture.extension())
}

/// Splits `SHA256.EXTENSION` of a logo's link.
pub fn logo_name(name: &str) -> Option<(Digest, &str)> {
    let (digest, extension) = name.split_once('.')?;
    let known = [rules::Picture::Png, rules::Picture::Jpeg].map(rules::Picture::extension);
    Some((Digest::from_hex(digest)?, extension)).filter(|(_, extension)| known.contains(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_for_what_they_were_made_for() {
        let (signer, tenant, uid, client) =
            (Signer::new([1; 32]), Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]), Uuid::from_bytes([3; 16]));
        let now = Time(1_000_000_000_000_000);
        let end = now.seconds() + LIFETIME;
        let query = signer.sign(tenant, uid, Some(client), end).unwrap();
        let value = |name: &str| query.split_once(&format!("{name}=")).unwrap().1.split('&').next().unwrap().to_owned();
        let (e, c, s) = (value("e"), value("c"), value("s"));
        let link = |e, c, s| Signed { expires: Some(e), client: Some(c), signature: Some(s) };
        let check = |link: &Signed<'_>, tenant, uid, seconds| {
            signer.made_for(link, tenant, uid, now.plus_seconds(seconds)).unwrap()
        };
        let good = link(&e, &c, &s);
        assert_eq!(check(&good, tenant, uid, 0), Some(Some(client)));
        assert_eq!(check(&good, tenant, uid, LIFETIME + TOLERANCE), Some(Some(client)));
        assert_eq!(check(&good, tenant, uid, LIFETIME + TOLERANCE + 1), None);
        assert_eq!(check(&good, client, uid, 0), None);
        assert_eq!(check(&good, tenant, client, 0), None);
        for bad in [
            link("9999999999", &c, &s),
            link(&e, "-", &s),
            link(&e, &tenant.to_string(), &s),
            link(&e, &c, &"0".repeat(64)),
            link("x", &c, "é"),
            Signed::default(),
        ] {
            assert_eq!(check(&bad, tenant, uid, 0), None);
        }
        let open = signer.sign(tenant, uid, None, end).unwrap();
        assert!(open.contains("&c=-&s="));
    }

    #[test]
    fn names_of_logos() {
        let digest = Digest::of(b"x");
        assert_eq!(logo_name(&format!("{digest}.png")), Some((digest, "png")));
        for bad in ["x.png".to_owned(), format!("{digest}.gif"), digest.to_hex(), format!("{digest}.png.png")] {
            assert_eq!(logo_name(&bad), None, "{bad}");
        }
    }
}
