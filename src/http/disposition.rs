//! What the head of a multipart part says: field name, file name, type; and the boundary in a `Content-Type`.

use crate::error::{Error, Result};
use crate::http::params::{Plus, decode_bytes, split_once};

/// The most lines in a part head.
const MAX_LINES: usize = 64;

/// The head of one part, as far as anybody asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    pub(super) name: Option<String>,
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<String>,
}

impl PartHead {
    /// Parses the lines of a part head, the empty line left out. Errors: `Invalid` for lines that are not `name: value` in
    /// CRLF form, for a name or file name that is not UTF-8 or is given twice, and for an encoded part.
    pub(super) fn parse(block: &[u8]) -> Result<PartHead> {
        let mut head = PartHead::default();
        let mut seen = false;
        for (index, line) in lines(block).enumerate() {
            if index >= MAX_LINES {
                return Err(Error::invalid("a part head has too many lines"));
            }
            let (name, value) = field(line?)?;
            if name.eq_ignore_ascii_case(b"content-disposition") {
                if seen {
                    return Err(Error::invalid("a part has two Content-Disposition fields"));
                }
                seen = true;
                disposition(value, &mut head)?;
            } else if name.eq_ignore_ascii_case(b"content-type") {
                head.content_type = std::str::from_utf8(value).ok().map(str::to_owned);
            } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                // Long gone from forms (RFC 7578 §4.7); taking such a part as it is would store other bytes than meant.
                if ![&b"binary"[..], b"8bit", b"7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                    return Err(Error::invalid("a part with Content-Transfer-Encoding is not understood"));
                }
            }
        }
        Ok(head)
    }
}

/// The lines of a block, which must end in CRLF all but the last; a lone CR or LF is an error.
fn lines(block: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    let mut rest = Some(block).filter(|block| !block.is_empty());
    std::iter::from_fn(move || {
        let block = rest.take()?;
        let Some(at) = memchr::memchr2(b'\r', b'\n', block) else { return Some(Ok(block)) };
        let cut = block.split_at_checked(at).and_then(|(line, behind)| Some((line, behind.strip_prefix(b"\r\n")?)));
        let Some((line, behind)) = cut else { return Some(Err(malformed())) };
        rest = Some(behind);
        Some(Ok(line))
    })
}

/// `name: value`, the value without blanks around it. Folded lines begin with a blank and so have no good name.
fn field(line: &[u8]) -> Result<(&[u8], &[u8])> {
    let (name, value) = split_once(line, b':').ok_or_else(malformed)?;
    if name.is_empty() || !name.iter().all(|&byte| byte.is_ascii_graphic()) {
        return Err(malformed());
    }
    Ok((name, value.trim_ascii()))
}

fn malformed() -> Error {
    Error::invalid("malformed part head")
}

/// `form-data; name="…"; filename="…"; filename*=UTF-8''…`
fn disposition(value: &[u8], head: &mut PartHead) -> Result<()> {
    let mut plain = None;
    let mut extended = None;
    for parameter in parameters(value) {
        let (name, value) = parameter?;
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"name" => &mut head.name,
            b"filename" => &mut plain,
            b"filename*" => {
                let Some(value) = extended_value(&value)? else { continue };
                set(&mut extended, value)?;
                continue;
            }
            _ => continue,
        };
        set(slot, String::from_utf8(value).map_err(|_| Error::invalid("a part's name is not UTF-8"))?)?;
    }
    head.file_name = extended.or(plain);
    Ok(())
}

fn set(slot: &mut Option<String>, value: String) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid("a part's name is given twice")),
    }
}

/// `UTF-8'language'percent-encoded` (RFC 8187); `None` for another character set, which leaves the plain form to count.
fn extended_value(value: &[u8]) -> Result<Option<String>> {
    let broken = || Error::invalid("malformed filename*");
    let mut pieces = value.splitn(3, |&byte| byte == b'\'');
    let (Some(charset), Some(_language), Some(text)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err(broken());
    };
    if !charset.eq_ignore_ascii_case(b"utf-8") {
        return Ok(None);
    }
    let bytes = decode_bytes(text, Plus::Literal).ok_or_else(broken)?;
    String::from_utf8(bytes).map(Some).map_err(|_| broken())
}

/// The parameters behind the first `;` of a field value, quoted ones unescaped: `\"` and `\\` become `"` and `\`, any
/// other backslash stands for itself, since some clients send whole Windows paths.
fn parameters(value: &[u8]) -> impl Iterator<Item = Result<(&[u8], Vec<u8>)>> {
    let mut rest = split_once(value, b';').map_or(&[][..], |(_, behind)| behind).trim_ascii_start();
    std::iter::from_fn(move || {
        while let Some(behind) = rest.strip_prefix(b";") {
            rest = behind.trim_ascii_start();
        }
        if rest.is_empty() {
            return None;
        }
        match parameter(rest) {
            Some((name, value, behind)) => {
                rest = behind;
                Some(Ok((name, value)))
            }
            None => {
                rest = &[];
                Some(Err(malformed()))
            }
        }
    })
}

/// One `name=value` and what follows it, which is nothing or begins with `;`.
fn parameter(text: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let (name, text) = split_once(text, b'=')?;
    let name = name.trim_ascii();
    if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic() && !b"\";".contains(byte)) {
        return None;
    }
    let text = text.trim_ascii_start();
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (value, behind) = text.split_at_checked(end)?;
        return Some((name, value.trim_ascii_end().to_vec(), behind));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => {
                let behind = quoted.get(at + 1..)?.trim_ascii_start();
                return (behind.is_empty() || behind.starts_with(b";")).then_some((name, value, behind));
            }
            b'\\' if matches!(quoted.get(at + 1), Some(b'"' | b'\\')) => {
                value.extend(bytes.next().map(|(_, &escaped)| escaped));
            }
            other => value.push(other),
        }
    }
    None
}

/// The boundary of a `multipart/form-data` type. Errors: `Invalid` for another type and for a boundary that is missing,
/// longer than 70 bytes, not printable ASCII, or ends in a blank (RFC 2046 §5.1.1).
pub(super) fn boundary(content_type: &[u8]) -> Result<Vec<u8>> {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err(Error::invalid("the request body is not multipart/form-data"));
    }
    let mut found = None;
    for parameter in parameters(content_type) {
        let (name, value) = parameter.map_err(|_| Error::invalid("malformed Content-Type"))?;
        if name.eq_ignore_ascii_case(b"boundary") && found.replace(value).is_some() {
            return Err(Error::invalid("multipart/form-data with two boundaries"));
        }
    }
    let boundary = found.ok_or_else(|| Error::invalid("multipart/form-data without a boundary"))?;
    let printable = boundary.iter().all(|byte| (0x20..0x7f).contains(byte));
    if boundary.is_empty() || boundary.len() > 70 || !printable || boundary.ends_with(b" ") {
        return Err(Error::invalid("multipart/form-data with a bad boundary"));
    }
    Ok(boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: Option<&str>, file: Option<&str>) -> PartHead {
        PartHead { name: name.map(Into::into), file_name: file.map(Into::into), content_type: None }
    }

    #[test]
    fn reads_names_and_file_names() {
        let cases: &[(&[u8], Option<&str>, Option<&str>)] = &[
            (br#"form-data; name="product""#, Some("product"), None),
            (br#"form-data; name=product"#, Some("product"), None),
            (br#"form-data;name="a";filename="b""#, Some("a"), Some("b")),
            (br#"FORM-DATA ; NAME = "a" ; FileName = "b" ;"#, Some("a"), Some("b")),
            (br#"form-data; filename="b"; name="a""#, Some("a"), Some("b")),
            (br#"form-data; name="file"; filename="""#, Some("file"), Some("")),
            (br#"form-data; name="file"; filename=app.exe"#, Some("file"), Some("app.exe")),
            (br#"form-data; name="file"; filename=my app.exe ; x=y"#, Some("file"), Some("my app.exe")),
            (br#"form-data; name="f"; filename="a\"b\\c.txt""#, Some("f"), Some(r#"a"b\c.txt"#)),
            (br#"form-data; name="f"; filename="C:\build\app.exe""#, Some("f"), Some(r"C:\build\app.exe")),
            (br#"form-data; name="f"; filename="C:\\build\\app.exe""#, Some("f"), Some(r"C:\build\app.exe")),
            (br#"form-data; name="f"; filename="..\..\x.sh""#, Some("f"), Some(r"..\..\x.sh")),
            (br#"form-data; name="f"; filename="a;b=c.txt""#, Some("f"), Some("a;b=c.txt")),
            (br#"form-data; name="f"; filename="a%22b.txt""#, Some("f"), Some("a%22b.txt")),
            ("form-data; name=\"f\"; filename=\"größe 📦.zip\"".as_bytes(), Some("f"), Some("größe 📦.zip")),
            (
                br#"form-data; name="f"; filename="x"; filename*=UTF-8''gr%C3%B6%C3%9Fe.zip"#,
                Some("f"),
                Some("größe.zip"),
            ),
            (br#"form-data; name="f"; filename*=utf-8'de'a%20b; filename="x""#, Some("f"), Some("a b")),
            (br#"form-data; name="f"; filename*="UTF-8''q%2Fr""#, Some("f"), Some("q/r")),
            (br#"form-data; name="f"; filename="x"; filename*=ISO-8859-1''%E4"#, Some("f"), Some("x")),
            (br#"form-data; name="f"; filename*=ISO-8859-1''%E4"#, Some("f"), None),
            (b"form-data; name=\"f\"; filename=\"a\x01\0\tb\"", Some("f"), Some("a\u{1}\0\tb")),
            (br#"attachment; name="f""#, Some("f"), None),
            (b"form-data", None, None),
            (b"form-data;;", None, None),
            (b"", None, None),
        ];
        for (value, name, file) in cases {
            let block = [b"Content-Disposition: ", *value].concat();
            let shown = String::from_utf8_lossy(value);
            assert_eq!(PartHead::parse(&block).unwrap(), self::head(*name, *file), "{shown}");
        }
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        let cases: &[&[u8]] = &[
            b"no colon",
            b": empty name",
            b" Content-Disposition: form-data",
            b"Content-Disposition : form-data; name=a",
            b"Content-Disposition: form-data;\r\n name=\"folded\"",
            b"Content-Disposition: form-data; name=a\nX: y",
            b"Content-Disposition: form-data; name=a\rX: y",
            b"Content-Disposition: form-data; name=a\r",
            b"Content-Disposition: form-data; name=a\r\n\r\nX: y",
            b"Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
            b"Content-Disposition: form-data; name=a; name=b",
            b"Content-Disposition: form-data; name=a; filename=b; filename=c",
            b"Content-Disposition: form-data; name=a; filename*=UTF-8''b; filename*=UTF-8''c",
            b"Content-Disposition: form-data; name=\"a",
            b"Content-Disposition: form-data; name=\"a\"b",
            b"Content-Disposition: form-data; name=\"a\\\"",
            b"Content-Disposition: form-data; name",
            b"Content-Disposition: form-data; =a",
            b"Content-Disposition: form-data; name=\"\xff\"",
            b"Content-Disposition: form-data; name=a; filename=\"\xe4.txt\"",
            b"Content-Disposition: form-data; name=a; filename*=UTF-8''%FF",
            b"Content-Disposition: form-data; name=a; filename*=UTF-8''%zz",
            b"Content-Disposition: form-data; name=a; filename*=plain",
            b"Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64",
            b"Content-Transfer-Encoding: quoted-printable",
        ];
        for block in cases {
            assert!(PartHead::parse(block).is_err(), "{}", String::from_utf8_lossy(block));
        }
        assert!(PartHead::parse("X: y\r\n".repeat(MAX_LINES).trim_end().as_bytes()).is_ok());
        assert!(PartHead::parse("X: y\r\n".repeat(MAX_LINES + 1).trim_end().as_bytes()).is_err());
    }

    #[test]
    fn other_fields_are_passed_over() {
        let block = b"X-Odd: \xff\xfe\r\ncontent-type:  text/plain; charset=utf-8 \r\n\
            Content-Transfer-Encoding: Binary\r\nCONTENT-DISPOSITION: form-data; name=\"data\"";
        let head = PartHead::parse(block).unwrap();
        assert_eq!(head.name.as_deref(), Some("data"));
        assert_eq!(head.content_type.as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(PartHead::parse(b"").unwrap(), PartHead::default());
    }

    #[test]
    fn any_bytes_are_judged_without_panic() {
        const PIECES: [&[u8]; 16] = [
            b"Content-Disposition",
            b":",
            b" ",
            b";",
            b"=",
            b"\"",
            b"\\",
            b"\r\n",
            b"\r",
            b"\n",
            b"filename*",
            b"name",
            b"UTF-8''%4",
            b"multipart/form-data",
            b"boundary",
            b"\xff",
        ];
        let mut dice = 1u64;
        for _ in 0..100_000 {
            let mut block = Vec::new();
            for _ in 0..dice >> 60 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                block.extend_from_slice(PIECES[usize::try_from(dice >> 59).unwrap_or(0) % PIECES.len()]);
            }
            _ = PartHead::parse(&block);
            _ = PartHead::parse(&[b"Content-Disposition: ", &block[..]].concat());
            _ = boundary(&block);
            _ = boundary(&[b"multipart/form-data;", &block[..]].concat());
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
    }

    #[test]
    fn finds_the_boundary() {
        let good: &[(&str, &str)] = &[
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data;BOUNDARY=\"a b\"", "a b"),
            ("multipart/form-data; charset=utf-8; boundary=----WebKitFormBoundary7MA4", "----WebKitFormBoundary7MA4"),
            ("multipart/form-data; boundary=a:/=?_.-'()+,b; x=y", "a:/=?_.-'()+,b"),
            ("multipart/form-data; boundary=\"=_q\\\"x\"", "=_q\"x"),
        ];
        for (text, expected) in good {
            assert_eq!(boundary(text.as_bytes()).unwrap(), expected.as_bytes(), "{text}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        let bad = [
            "",
            "application/json",
            "multipart/mixed; boundary=abc",
            "multipart/form-data",
            "multipart/form-data;",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"abc",
            "multipart/form-data; boundary=\"abc \"",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=gr\u{f6}\u{df}e",
            &long,
        ];
        for text in bad {
            assert!(boundary(text.as_bytes()).is_err(), "{text}");
        }
    }
}
