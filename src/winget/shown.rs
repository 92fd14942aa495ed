//! Packages, versions and clients as Part A shows them (`winget.md` A8, A9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::identity::clients::Client;
use crate::winget::links::Links;
use crate::winget::model::{Logo, Package, Row};
use crate::winget::notes::Line;
use crate::winget::versions::newest_first;

/// A package; exactly these keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct PackageShown<'p> {
    package_id: &'p str,
    package_name: &'p str,
    package_publisher: &'p str,
    package_description: &'p str,
    package_logo: String,
    package_active: &'static str,
    versions: Vec<&'p str>,
    versions_uid: Vec<Uuid>,
}

impl<'p> PackageShown<'p> {
    /// With its rows from the newest on, one entry each.
    ///
    /// # Errors
    /// When the logo cannot be read.
    pub fn new(app: &App, package: &'p Package, rows: &'p mut [Row]) -> Result<Self> {
        newest_first(rows, |row| row.version.as_str());
        let package_logo = package.logo.as_ref().map(|logo| data_url(app, logo)).transpose()?.unwrap_or_default();
        Ok(PackageShown {
            package_id: &package.id,
            package_name: &package.name,
            package_publisher: &package.publisher,
            package_description: &package.description,
            package_logo,
            package_active: if package.active { "1" } else { "0" },
            versions: rows.iter().map(|row| row.version.as_str()).collect(),
            versions_uid: rows.iter().map(|row| row.uid).collect(),
        })
    }
}

/// `data:image/png;base64,…`
fn data_url(app: &App, logo: &Logo) -> Result<String> {
    let mut blob = app.store.blob(&logo.digest)?;
    let mut bytes = vec![0; usize::try_from(logo.size).map_err(Error::internal)?];
    let mut read = 0;
    while read < bytes.len() {
        let room = bytes.get_mut(read..).unwrap_or_default();
        match blob.read_at(read as u64, room).map_err(Error::internal)? {
            0 => return Err(Error::internal("a logo is shorter than its record says")),
            count => read += count,
        }
    }
    Ok(format!("data:{};base64,{}", logo.picture.media_type(), STANDARD.encode(bytes)))
}

/// A Package_Version; exactly these keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct VersionShown<'r> {
    package_id: &'r str,
    version: &'r str,
    locale: &'r str,
    architecture: &'r str,
    installer_type: &'r str,
    installer_url: String,
    installer_sha256: String,
    installer_scope: &'r str,
    uid: Uuid,
    installer_nested_type: &'r str,
    productcode: &'r str,
    upgradecode: &'r str,
    package_family_name: &'r str,
    channel: &'r str,
    nested_package_installer_paths: Vec<NestedShown<'r>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NestedShown<'r> {
    relative_file_path: &'r str,
}

impl<'r> VersionShown<'r> {
    /// A row of `package`.
    ///
    /// # Errors
    /// When no link can be signed.
    pub fn new(links: &Links<'_>, package: &'r Package, row: &'r Row) -> Result<Self> {
        let digest = row.file.as_ref().map(|file| file.digest).or(row.url_sha256);
        let nested = row.nested_paths.iter().map(|path| NestedShown { relative_file_path: path });
        Ok(VersionShown {
            package_id: &package.id,
            version: &row.version,
            locale: &row.locale,
            architecture: &row.architecture,
            installer_type: &row.kind,
            installer_url: links.installer(package, row)?,
            installer_sha256: digest.map(|digest| digest.to_hex()).unwrap_or_default(),
            installer_scope: &row.scope,
            uid: row.uid,
            installer_nested_type: &row.nested,
            productcode: &row.product_code,
            upgradecode: &row.upgrade_code,
            package_family_name: &row.family_name,
            channel: &row.channel,
            nested_package_installer_paths: nested.collect(),
        })
    }
}

/// A client; exactly these keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct ClientShown {
    uid: Uuid,
    name: String,
    ip: String,
    lastseen: String,
    client: i64,
    token: String,
    enabled: u8,
    b_groups: String,
    blocked_ips: String,
}

impl ClientShown {
    /// A client with its token and the names of its groups.
    ///
    /// # Errors
    /// When its token cannot be made again.
    pub fn new(app: &App, client: &Client, groups: &[String]) -> Result<Self> {
        Ok(ClientShown {
            uid: client.id,
            name: client.name.clone(),
            ip: client.address.map(|address| address.to_string()).unwrap_or_default(),
            lastseen: client.seen.map(|seen| seen.rfc3339()).unwrap_or_default(),
            client: client.program,
            token: app.identity.client_token(client)?.as_str().to_owned(),
            enabled: client.enabled.into(),
            b_groups: groups.join(", "),
            blocked_ips: client.blocked.to_string(),
        })
    }
}

/// A line of a client's log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct LineShown<'l> {
    client_id: &'l str,
    log_type: &'l str,
    log_message: &'l str,
    timestamp: String,
}

impl<'l> LineShown<'l> {
    /// A line of this client.
    pub fn new(client: &'l str, line: &'l Line) -> Self {
        let timestamp = line.at.rfc3339();
        LineShown { client_id: client, log_type: &line.kind, log_message: &line.message, timestamp }
    }
}
