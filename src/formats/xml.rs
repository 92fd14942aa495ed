//! Text for XML 1.0: escaped, and without the characters XML forbids.

/// Adds `text` to `out` as the content of an element or of an attribute in double quotes. Characters that XML 1.0 has no
/// way to write become `?`; in content, line feeds and tabs stay as they are.
pub fn push_text(out: &mut String, text: &str) {
    push(out, text, false);
}

/// The same for the value of an attribute in double quotes: line feeds and tabs are written so that readers keep them.
pub fn push_attribute(out: &mut String, text: &str) {
    push(out, text, true);
}

/// `text` as `push_text` writes it.
pub fn xml_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    push_text(&mut out, text);
    out
}

fn push(out: &mut String, text: &str, attribute: bool) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' | '\t' => out.push(character),
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => out.push('?'),
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_forbidden_characters_are_replaced() {
        let cases = [
            ("plain ä €", "plain ä €"),
            ("a & b < c > d \"e\" 'f'", "a &amp; b &lt; c &gt; d &quot;e&quot; &apos;f&apos;"),
            ("tab\tline\nreturn\r", "tab\tline\nreturn&#13;"),
            ("\0\u{1}\u{1b}\u{fffe}\u{ffff}", "?????"),
            ("\u{7f}\u{85}\u{1F600}", "\u{7f}\u{85}\u{1F600}"),
        ];
        for (text, expected) in cases {
            assert_eq!(xml_text(text), expected, "{text:?}");
        }
        let mut attribute = String::new();
        push_attribute(&mut attribute, "a\n\t\"b\u{2}");
        assert_eq!(attribute, "a&#10;&#9;&quot;b?");
    }
}
