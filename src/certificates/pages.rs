//! What `/tls` offers: the root of the server's own authority, and how each system is told to trust it.

use std::sync::Arc;

use serde_json::json;

use crate::app::App;
use crate::certificates::Certificates;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;

/// `GET /tls/ca.crt`: the root in PEM.
///
/// # Errors
/// `NotFound` when there is no authority of our own.
pub fn root_pem(app: &App, _who: &Principal, _request: &mut Request) -> Result<Response> {
    let (pem, _) = root(app)?;
    Ok(Response::bytes(200, "application/x-pem-file", pem.as_bytes().to_vec()).header("Cache-Control", "no-cache"))
}

/// `GET /tls/ca.cer`, `GET /winget/ca.cer`: the root in DER.
///
/// # Errors
/// `NotFound` when there is no authority of our own.
pub fn root_der(app: &App, _who: &Principal, _request: &mut Request) -> Result<Response> {
    let (_, der) = root(app)?;
    Ok(Response::bytes(200, "application/pkix-cert", der.to_vec()).header("Cache-Control", "no-cache"))
}

/// `GET /tls`: where the root is, its fingerprint, and the lines that make a system trust it; JSON for who asks for it.
///
/// # Errors
/// `NotFound` when there is no authority of our own.
pub fn instructions(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (_, der) = root(app)?;
    let scheme = if request.secure { "https" } else { "http" };
    let here = format!("{scheme}://{}", host(request));
    // Whoever asks over HTTPS before the root is known cannot check it; the fingerprint is for that.
    let unchecked = request.secure;
    let fingerprint = fingerprint(der);
    let systems = systems(&here, unchecked);
    let wants_json = request.head.headers.text("accept").unwrap_or_default().contains("application/json");
    if wants_json {
        let lines = systems.iter().map(|(system, lines)| json!({ "system": system, "lines": lines }));
        let body = json!({
            "pem": format!("{here}/tls/ca.crt"),
            "der": format!("{here}/tls/ca.cer"),
            "sha256": fingerprint,
            "install": lines.collect::<Vec<_>>(),
        });
        return Ok(Response::json(200, &body).header("Vary", "Accept"));
    }
    let mut text = format!(
        "This server signs its certificate itself. Systems that trust its root speak HTTPS with it.\n\n\
         Root (PEM)  {here}/tls/ca.crt\nRoot (DER)  {here}/tls/ca.cer\nSHA-256     {fingerprint}\n\n\
         The root can sign for names and addresses of this server and of private networks only.\n"
    );
    for (system, lines) in &systems {
        text.push_str(&format!("\n{system}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    Ok(Response::text(200, text).header("Vary", "Accept"))
}

fn root(app: &App) -> Result<(&str, &[u8])> {
    let none = || Error::not_found("this server has no certificate authority of its own");
    let certificates = app.rooms.get::<Option<Arc<Certificates>>>()?.as_ref().ok_or_else(none)?;
    certificates.root().ok_or_else(none)
}

/// The host as the client knows it; a placeholder when it could mean something to a shell.
fn host(request: &Request) -> &str {
    let harmless = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    request.head.headers.text("host").filter(|host| !host.is_empty()).filter(harmless).unwrap_or("SERVER")
}

/// `AB:CD:…`, as systems show it.
fn fingerprint(der: &[u8]) -> String {
    let hex = Digest::of(der).to_hex().to_ascii_uppercase();
    let pairs: Vec<&str> = hex.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    pairs.join(":")
}

/// For each system the lines to enter, as an administrator.
fn systems(here: &str, unchecked: bool) -> Vec<(&'static str, Vec<String>)> {
    let curl = if unchecked { "curl -kfsS" } else { "curl -fsS" };
    vec![
        (
            "Windows (PowerShell as administrator)",
            vec![
                match unchecked {
                    false => format!("Invoke-WebRequest -UseBasicParsing {here}/tls/ca.cer -OutFile packhouse-ca.cer"),
                    true => format!("curl.exe -kfsS -o packhouse-ca.cer {here}/tls/ca.cer"),
                },
                r"Import-Certificate -FilePath packhouse-ca.cer -CertStoreLocation Cert:\LocalMachine\Root".to_owned(),
            ],
        ),
        ("Windows (command prompt as administrator)", vec!["certutil -addstore -f Root packhouse-ca.cer".to_owned()]),
        (
            "Windows (Group Policy, for a whole domain)",
            vec![
                "Computer Configuration > Policies > Windows Settings > Security Settings >".to_owned(),
                "Public Key Policies > Trusted Root Certification Authorities > Import: packhouse-ca.cer".to_owned(),
            ],
        ),
        (
            "Debian, Ubuntu, Alpine",
            vec![
                format!("{curl} -o /usr/local/share/ca-certificates/packhouse.crt {here}/tls/ca.crt"),
                "update-ca-certificates".to_owned(),
            ],
        ),
        (
            "Fedora, RHEL, Rocky, Alma",
            vec![
                format!("{curl} -o /etc/pki/ca-trust/source/anchors/packhouse.crt {here}/tls/ca.crt"),
                "update-ca-trust".to_owned(),
            ],
        ),
        (
            "openSUSE",
            vec![
                format!("{curl} -o /etc/pki/trust/anchors/packhouse.crt {here}/tls/ca.crt"),
                "update-ca-certificates".to_owned(),
            ],
        ),
        (
            "macOS",
            vec![
                format!("{curl} -o packhouse-ca.crt {here}/tls/ca.crt"),
                "security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain packhouse-ca.crt"
                    .to_owned(),
            ],
        ),
    ]
}
