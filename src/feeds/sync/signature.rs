//! Whether metadata is signed by whom the upstream's owner trusts (`repos.md` §3.4).

use super::failure::{Failure, Outcome};
use crate::error::{Error, Result};
use crate::formats::openpgp::Certificates;

/// Reads the armored certificates somebody wants to trust.
///
/// # Errors
/// `Invalid` when there are none.
pub(in crate::feeds) fn certificates(key: &str) -> Result<Certificates> {
    Certificates::parse(key.as_bytes())
        .map_err(|fault| Error::invalid(format!("key must be armored OpenPGP public certificates: {fault}")))
}

/// Checks a detached signature over `data`, which is the file `name`.
pub(super) fn verify_detached(key: &str, data: &[u8], signature: &[u8], now: i64, name: &str) -> Outcome<()> {
    let checked = certificates(key)?.verify_detached(data, signature, now);
    checked.map(drop).map_err(|fault| Failure::Failed(format!("{name}: {fault}")))
}

/// The signed text of a clear-signed file, and nothing around it.
pub(super) fn verify_inline(key: &str, text: &str, now: i64, name: &str) -> Outcome<String> {
    let checked = certificates(key)?.verify_inline(text.as_bytes(), now);
    checked.map(|(signed, _)| signed).map_err(|fault| Failure::Failed(format!("{name}: {fault}")))
}

/// The text inside a clear-signed file whose signature nobody asked to check; any other text as it is.
pub(super) fn unsigned_text(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "-----BEGIN PGP SIGNED MESSAGE-----");
    if lines.next().is_none() {
        return text.to_owned();
    }
    let mut inside = String::new();
    for line in lines.skip_while(|line| !line.trim().is_empty()).skip(1) {
        if line.trim_end() == "-----BEGIN PGP SIGNATURE-----" {
            break;
        }
        inside.push_str(line.strip_prefix("- ").unwrap_or(line));
        inside.push('\n');
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_inside_counts() {
        let text = "Evil: yes\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x\n- -----a\n\n\
                    -----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\nEvil: too\n";
        assert_eq!(unsigned_text(text), "Origin: x\n-----a\n\n");
        assert_eq!(unsigned_text("Origin: x\n"), "Origin: x\n");
        assert_eq!(unsigned_text("-----BEGIN PGP SIGNED MESSAGE-----\nHash: x"), "");
    }
}
