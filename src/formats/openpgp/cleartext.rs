//! The cleartext signature framework: text that stays readable between its first line and its signature.

use crate::formats::fault::Fault;

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A clear-signed text in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleartext {
    /// What the signature is over: lines without blanks at their ends, between them CR LF, none after the last.
    pub(super) signed: Vec<u8>,
    /// The same for readers: every line ended by a line feed.
    pub(super) text: String,
    /// The armored signatures.
    pub(super) signature: Vec<u8>,
}

/// Takes a clear-signed text apart. Anything but empty lines before its first line or after its last is refused, for
/// nobody signed it.
pub(super) fn read(bytes: &[u8]) -> Result<Cleartext, Fault> {
    let whole = std::str::from_utf8(bytes).map_err(|_| Fault::bad("the signed text is not UTF-8"))?;
    let mut lines = whole.split('\n').map(trim);
    let first = lines.find(|line| !line.is_empty());
    if first != Some(BEGIN) {
        let message =
            if whole.contains(BEGIN) { "there is text before the signed part" } else { "the text is not signed" };
        return Err(Fault::bad(message));
    }
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
        if !line.starts_with("Hash:") {
            return Err(Fault::bad(format!("a line is not allowed at the head of a signed text: {line:?}")));
        }
    }
    let mut signed = Vec::with_capacity(whole.len());
    let mut text = String::with_capacity(whole.len());
    loop {
        let line = lines.next().ok_or_else(|| Fault::bad("the signed text ends without a signature"))?;
        if line == SIGNATURE {
            break;
        }
        let line = match line.strip_prefix("- ") {
            Some(line) => line,
            // A lone dash lost the blank of its escape to the trimming.
            None if line == "-" => "",
            None if line.starts_with('-') => {
                return Err(Fault::bad("a line of the signed text begins with an unescaped dash"));
            }
            None => line,
        };
        if !text.is_empty() {
            signed.extend_from_slice(b"\r\n");
        }
        signed.extend_from_slice(line.as_bytes());
        text.push_str(line);
        text.push('\n');
    }
    let mut signature = format!("{SIGNATURE}\n");
    for line in lines.by_ref() {
        signature.push_str(line);
        signature.push('\n');
        if line == END {
            break;
        }
    }
    if !signature.ends_with(&format!("{END}\n")) {
        return Err(Fault::bad("the signature below the text has no end"));
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(Fault::bad("there is text after the signed part"));
    }
    Ok(Cleartext { signed, text, signature: signature.into_bytes() })
}

/// What a signature over `text` must cover; `text` itself loses the blanks at the ends of its lines, which no signature
/// protects.
pub(super) fn canonical(text: &str) -> Vec<u8> {
    let lines: Vec<&str> = lines(text).collect();
    lines.join("\r\n").into_bytes()
}

/// `text` with its armored `signature`.
pub(super) fn write(text: &str, hash: &str, signature: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 64 + signature.len() + 128);
    out.push_str(BEGIN);
    out.push_str("\nHash: ");
    out.push_str(hash);
    out.push_str("\n\n");
    for line in lines(text) {
        if line.starts_with('-') {
            out.push_str("- ");
        }
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(signature);
    out
}

/// The lines of a text without blanks at their ends; the line feed after the last ends it and begins no further line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(trim)
}

fn trim(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r'])
}
