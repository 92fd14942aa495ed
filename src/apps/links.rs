//! Absolute links, made when answering: plain download links, logo links, and signed links of private apps.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::app::App;
use crate::apps::model::Logo;
use crate::apps::records::Artifact;
use crate::apps::rules::{self, encode, encode_path};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::ids::ObjectId;

/// Seconds a signed link is good for.
const LIFETIME: i64 = 15 * 60;
/// Seconds by which clocks may differ (`reliability.md` §10).
const TOLERANCE: i64 = 60;

/// What absolute links begin with: the configured public address, else the host the request named.
///
/// # Errors
/// `Invalid` when it named none that could be one.
pub fn base(app: &App, request: &Request) -> Result<String> {
    if let Some(base) = &app.settings.public_url {
        return Ok(base.clone());
    }
    let scheme = if request.secure { "https" } else { "http" };
    match request.head.headers.text("host") {
        Some(host) if rules::is_host(host) => Ok(format!("{scheme}://{host}")),
        // HTTP/1.0 clients may name none.
        None if request.head.headers.get("host").is_none() => Ok(format!("{scheme}://localhost")),
        _ => Err(Error::invalid("invalid Host header")),
    }
}

/// Makes the links of one tenant.
#[derive(Clone, Debug)]
pub struct Links {
    base: String,
    /// The owner's name where links must say it: everywhere but at the first owner's.
    owner: Option<String>,
}

impl Links {
    /// For the artifacts of `owner`.
    pub fn new(base: String, owner: &str, first: bool) -> Self {
        Links { base, owner: (!first).then(|| owner.to_owned()) }
    }

    /// What links begin with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where an artifact is downloaded: updaters' files by path, so that names inside a feed resolve beside it.
    pub fn artifact(&self, artifact: &Artifact) -> String {
        match artifact.updater {
            Some(_) => format!("{}/download/{}", self.base, encode_path(&artifact.key)),
            None => format!("{}{}", self.by_query(&artifact.key), self.owner_suffix()),
        }
    }

    fn by_query(&self, key: &str) -> String {
        format!("{}/download?key={}", self.base, encode_path(key))
    }

    fn owner_suffix(&self) -> String {
        self.owner.as_ref().map(|owner| format!("&owner={}", encode(owner))).unwrap_or_default()
    }

    /// Where a logo is shown; empty without one. A new picture has a new link.
    pub fn logo(&self, app: ObjectId, logo: Option<&Logo>) -> String {
        let version = |logo: &Logo| logo.digest.to_hex().chars().take(16).collect::<String>();
        logo.map(|logo| format!("{}/app/logo/{app}?v={}", self.base, version(logo))).unwrap_or_default()
    }

    /// A link to a private artifact that is good for 15 minutes for anybody.
    pub fn signed(&self, signer: &Signer, tenant: Uuid, artifact: &Artifact, now: Time) -> Result<String> {
        let expires = now.seconds().saturating_add(LIFETIME);
        let signature = hex(&signer.mac(tenant, &artifact.key, expires)?.finalize().into_bytes());
        let owner = if artifact.updater.is_some() { String::new() } else { self.owner_suffix() };
        Ok(format!("{}{owner}&expires={expires}&signature={signature}", self.by_query(&artifact.key)))
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

    fn mac(&self, tenant: Uuid, key: &str, expires: i64) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|e| Error::internal(e.to_string()))?;
        mac.update(b"download\0");
        mac.update(tenant.as_bytes());
        mac.update(&expires.to_be_bytes());
        mac.update(key.as_bytes());
        Ok(mac)
    }

    /// Whether a link was signed here for this artifact and has not ended. Compares in constant time.
    ///
    /// # Errors
    /// `Forbidden` `link expired or invalid`.
    pub fn check(
        &self,
        tenant: Uuid,
        key: &str,
        expires: Option<&str>,
        signature: Option<&str>,
        now: Time,
    ) -> Result<()> {
        let invalid = || Error::forbidden("link expired or invalid");
        let expires: i64 = expires.and_then(|text| text.parse().ok()).ok_or_else(invalid)?;
        let signature = signature.and_then(crate::ids::Digest::from_hex).ok_or_else(invalid)?;
        self.mac(tenant, key, expires)?.verify_slice(&signature.0).map_err(|_| invalid())?;
        if now.seconds() > expires.saturating_add(TOLERANCE) {
            return Err(invalid());
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::rules::Updater;
    use crate::ids::Digest;

    fn artifact(key: &str, updater: Option<Updater>) -> Artifact {
        Artifact {
            key: key.into(),
            platform: None,
            arch: None,
            extension: ".deb".into(),
            file_name: "x.deb".into(),
            digest: Digest::of(b"x"),
            size: 1,
            updater,
            signature: None,
            package: None,
            added: Time(0),
        }
    }

    #[test]
    fn links_name_the_owner_where_they_must() {
        let first = Links::new("http://h".into(), "admin", true);
        let other = Links::new("http://h".into(), "b@c", false);
        let plain = artifact("My App/stable/My App-1.deb", None);
        assert_eq!(first.artifact(&plain), "http://h/download?key=My%20App/stable/My%20App-1.deb");
        assert_eq!(other.artifact(&plain), "http://h/download?key=My%20App/stable/My%20App-1.deb&owner=b%40c");
        let named = artifact("squirrel_windows/b@c/a/1/RELEASES", Some(Updater::SquirrelWindows));
        assert_eq!(other.artifact(&named), "http://h/download/squirrel_windows/b%40c/a/1/RELEASES");
    }

    #[test]
    fn signatures_hold_for_what_they_were_made_for() {
        let (signer, tenant, now) = (Signer::new([1; 32]), Uuid::from_bytes([7; 16]), Time(1_000_000_000_000_000));
        let links = Links::new("http://h".into(), "admin", true);
        let link = links.signed(&signer, tenant, &artifact("k", None), now).unwrap();
        let value = |name: &str| link.split_once(&format!("{name}=")).unwrap().1.split('&').next().unwrap().to_owned();
        let (expires, signature) = (value("expires"), value("signature"));
        let check = |tenant, key: &str, expires: &str, signature: &str, seconds| {
            signer.check(tenant, key, Some(expires), Some(signature), now.plus_seconds(seconds)).is_ok()
        };
        assert!(check(tenant, "k", &expires, &signature, 0));
        assert!(check(tenant, "k", &expires, &signature, LIFETIME + TOLERANCE));
        assert!(!check(tenant, "k", &expires, &signature, LIFETIME + TOLERANCE + 1));
        assert!(!check(tenant, "other", &expires, &signature, 0));
        assert!(!check(Uuid::nil(), "k", &expires, &signature, 0));
        assert!(!check(tenant, "k", "9999999999", &signature, 0));
        assert!(!check(tenant, "k", &expires, &"0".repeat(64), 0));
        for (expires, signature) in [("", ""), ("x", "y"), ("99999999999999999999999", "é")] {
            assert!(!check(tenant, "k", expires, signature, 0));
        }
        assert!(signer.check(tenant, "k", None, Some(&signature), now).is_err());
        let other = Signer::new([2; 32]);
        assert!(other.check(tenant, "k", Some(&expires), Some(&signature), now).is_err());
    }
}
