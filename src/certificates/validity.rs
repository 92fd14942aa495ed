//! Until when a certificate is good, read out of its DER form (RFC 5280 §4.1). Pure.

/// One element of DER: its tag and content, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The end of a certificate's validity, in seconds since 1970; none when it cannot be read.
pub(super) fn ends(der: &[u8]) -> Option<i64> {
    let (0x30, certificate, _) = element(der)? else { return None };
    let (0x30, mut rest, _) = element(certificate)? else { return None };
    // An optional version, then serial number, algorithm and issuer stand before the validity.
    if rest.first() == Some(&0xa0) {
        (_, _, rest) = element(rest)?;
    }
    for tag in [0x02, 0x30, 0x30] {
        let (found, _, after) = element(rest)?;
        if found != tag {
            return None;
        }
        rest = after;
    }
    let (0x30, validity, _) = element(rest)? else { return None };
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    seconds(tag, std::str::from_utf8(text).ok()?)
}

/// `YYMMDDHHMMSSZ` (years 1950 to 2049) or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let text = match tag {
        0x17 if text.get(..2)? < "50" => format!("20{text}"),
        0x17 => format!("19{text}"),
        0x18 => text.to_owned(),
        _ => return None,
    };
    if text.len() != 15 || !text.ends_with('Z') || !text.bytes().take(14).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to);
    let spoken = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    spoken.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "261121160000Z", Some(1_795_276_800)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x17, "500101000000Z", Some(-631_152_000)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "20501301000000Z", None),
            (0x17, "2611211600Z", None),
            (0x17, "é", None),
            (0x04, "700101000000Z", None),
        ] {
            assert_eq!(seconds(tag, text), expected, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_real_certificate_and_of_every_part_of_it() {
        let mut parameters = rcgen::CertificateParams::new(vec!["packages.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 5, 20);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let der = certificate.der();
        let expected = "2031-05-20T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(ends(der), Some(expected));
        for length in 0..der.len() {
            assert_eq!(ends(&der[..length]), None, "{length}");
        }
    }
}
