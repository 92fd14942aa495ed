//! Text from the wire: percent-decoding done exactly once, path parameters, query and form pairs.

use crate::error::{Error, Result};

/// What a `+` stands for while pairs are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A plus sign: paths always, queries unless their dialect says otherwise.
    Literal,
    /// A blank: `application/x-www-form-urlencoded` bodies, and queries of dialects that say so.
    Blank,
}

/// The most pairs one query or form may have.
const MAX_PAIRS: usize = 4096;

/// Decodes percent escapes exactly once.
///
/// Errors: `Invalid` when an escape is malformed, the result is not UTF-8, or it holds a NUL (`reliability.md` §14).
pub fn percent_decode(raw: &str) -> Result<String> {
    decode(raw.as_bytes(), Plus::Literal)
}

fn decode(raw: &[u8], plus: Plus) -> Result<String> {
    let bytes = decode_bytes(raw, plus).ok_or_else(|| Error::invalid("malformed percent-escape"))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid("text is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Error::invalid("text holds a NUL"));
    }
    Ok(text)
}

/// The bytes behind percent escapes; `None` when an escape is malformed.
pub(super) fn decode_bytes(raw: &[u8], plus: Plus) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            b'+' if plus == Plus::Blank => b' ',
            other => other,
        });
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What stands before and behind the first `separator`.
pub(super) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, behind) = text.split_at_checked(memchr::memchr(separator, text)?)?;
    Some((before, behind.get(1..)?))
}

/// Splits `a=b&c=d` and decodes names and values; empty pieces are skipped, a piece without `=` has an empty value.
///
/// Errors: `Invalid` as for [`percent_decode`], or when there are more than 4,096 pairs.
pub(super) fn pairs(raw: &[u8], plus: Plus) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for piece in raw.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()) {
        if pairs.len() == MAX_PAIRS {
            return Err(Error::invalid("too many fields"));
        }
        let (name, value) = split_once(piece, b'=').unwrap_or((piece, &[]));
        pairs.push((decode(name, plus)?, decode(value, plus)?));
    }
    Ok(pairs)
}

/// What the route's pattern caught from the path, kept raw until asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    caught: Vec<(&'static str, String)>,
}

impl Params {
    /// Parameters by name, values raw as they stand in the path.
    pub fn new(caught: Vec<(&'static str, String)>) -> Self {
        Params { caught }
    }

    /// The value percent-decoded exactly once.
    ///
    /// Errors: `Invalid` when an escape is malformed, the text is not UTF-8 or holds a NUL; `Internal` when the route's
    /// pattern has no such parameter.
    pub fn get(&self, name: &str) -> Result<String> {
        match self.caught.iter().find(|(known, _)| *known == name) {
            Some((_, raw)) => percent_decode(raw),
            None => Err(Error::internal(format!("the route has no parameter {name}"))),
        }
    }

    /// The value as it stands in the path; empty when the pattern has no such parameter.
    pub fn raw(&self, name: &str) -> &str {
        self.caught.iter().find(|(known, _)| *known == name).map_or("", |(_, raw)| raw)
    }
}

/// The decoded pairs of a query, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes the part of the target behind `?`. Errors: `Invalid`, see [`percent_decode`].
    pub fn parse(raw: &str, plus: Plus) -> Result<Self> {
        Ok(Query { pairs: pairs(raw.as_bytes(), plus)? })
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn decodes_exactly_once_or_refuses() {
        let good = [
            ("", ""),
            ("plain-1.0_~", "plain-1.0_~"),
            ("a%2Fb", "a/b"),
            ("a%2fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("c++", "c++"),
            ("%2B", "+"),
            ("100%25", "100%"),
            ("gr%C3%B6%C3%9Fe", "größe"),
            ("größe", "größe"),
            ("%F0%9F%93%A6", "📦"),
            ("%2e%2E", ".."),
            ("%0d%0a", "\r\n"),
            ("%5C", "\\"),
        ];
        for (raw, text) in good {
            assert_eq!(percent_decode(raw).unwrap(), text, "{raw}");
        }
        let bad = [
            "%",
            "%2",
            "a%",
            "%zz",
            "%2g",
            "%g2",
            "%%41",
            "%+1",
            "% 1",
            "%é1",
            "%ff",
            "%C3",
            "%C3%",
            "%C0%AF",
            "%ED%A0%80",
            "%00",
            "a%00b",
            "%F5%80%80%80",
        ];
        for raw in bad {
            assert_eq!(percent_decode(raw).unwrap_err().kind, Kind::Invalid, "{raw}");
        }
    }

    #[test]
    fn params_are_raw_until_asked_for() {
        let params = Params::new(vec![("product", "a%252Fb".into()), ("version", "%zz".into())]);
        assert_eq!(params.raw("product"), "a%252Fb");
        assert_eq!(params.get("product").unwrap(), "a%2Fb");
        assert_eq!(params.get("version").unwrap_err().kind, Kind::Invalid);
        assert_eq!(params.raw("other"), "");
        assert_eq!(params.get("other").unwrap_err().kind, Kind::Internal);
    }

    #[test]
    fn queries_keep_order_repeats_and_pluses() {
        let query = Query::parse("a=1&b=&&c&a=2=3&d%26=%3D&v=1+2&tags[]=x", Plus::Literal).unwrap();
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", ""), ("a", "2=3"), ("d&", "="), ("v", "1+2"), ("tags[]", "x")]);
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2=3"]);
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get("z"), None);
        assert_eq!(Query::parse("v=1+2%2B3", Plus::Blank).unwrap().get("v"), Some("1 2+3"));
        assert_eq!(Query::parse("=x", Plus::Literal).unwrap().get(""), Some("x"));
        for raw in ["a=%", "%2=1", "a=%ff", "a=%00", "ok=1&bad=%x1"] {
            assert_eq!(Query::parse(raw, Plus::Literal).unwrap_err().kind, Kind::Invalid, "{raw}");
        }
        let many = "a&".repeat(MAX_PAIRS);
        assert!(Query::parse(&many, Plus::Literal).is_ok());
        assert!(Query::parse(&(many + "a"), Plus::Literal).is_err());
    }
}
