//! Names in the forms they are compared in: folded, and normalized as winget does it (`winget.md` §0, B4).

use std::ops::Range;

/// Words of a firm's legal form.
#[rustfmt::skip]
const LEGAL: [&str; 44] = [
    "ab", "ad", "ag", "aps", "as", "asa", "bv", "co", "company", "corp", "corporation", "cv", "doo", "ev", "ges",
    "gesmbh", "gmbh", "holding", "holdings", "inc", "incorporated", "kg", "ks", "limited", "llc", "lp", "ltd", "ltda",
    "mbh", "nv", "plc", "ps", "pty", "pvt", "sa", "sarl", "sc", "sca", "sl", "sp", "spa", "srl", "sro", "subsidiary",
];

/// Languages with the regions the client knows them for, some with a script: only these make a language tag, so that
/// `Wi-Fi` stays a name.
#[rustfmt::skip]
const LANGUAGES: [(&str, &str); 123] = [
    ("af", "za"), ("am", "et"), ("ar", "ae bh dz eg iq jo kw lb ly ma om qa sa sd sy tn ye"), ("arn", "cl"),
    ("as", "in"), ("az", "cyrl-az latn-az"), ("ba", "ru"), ("be", "by"), ("bg", "bg"), ("bn", "bd in"), ("bo", "cn"), ("br", "fr"),
    ("bs", "cyrl-ba latn-ba"), ("ca", "es es-valencia"), ("co", "fr"), ("cs", "cz"), ("cy", "gb"), ("da", "dk"), ("de", "at ch de li lu"),
    ("dsb", "de"), ("dv", "mv"), ("el", "gr"), ("en", "au bz ca gb ie in jm my nz ph sg tt us za zw"),
    ("es", "ar bo cl co cr do ec es gt hn mx ni pa pe pr py sv us uy ve"), ("et", "ee"), ("eu", "es"), ("fa", "ir"),
    ("fi", "fi"), ("fil", "ph"), ("fo", "fo"), ("fr", "be ca ch fr lu mc"), ("fy", "nl"), ("ga", "ie"), ("gd", "db"),
    ("gl", "es"), ("gsw", "fr"), ("gu", "in"), ("ha", "latn-ng"), ("he", "il"), ("hi", "in"), ("hr", "ba hr"),
    ("hsb", "de"), ("hu", "hu"), ("hy", "am"), ("id", "id"), ("ig", "ng"), ("ii", "cn"), ("is", "is"),
    ("it", "ch it"), ("iu", "cans-ca latn-ca"), ("ja", "jp"), ("ka", "ge"), ("kk", "kz"), ("kl", "gl"), ("km", "kh"), ("kn", "in"),
    ("ko", "kr"), ("kok", "in"), ("ky", "kg"), ("lb", "lu"), ("lo", "la"), ("lt", "lt"), ("lv", "lv"), ("mi", "nz"),
    ("mk", "mk"), ("ml", "in"), ("mn", "mn mong-cn"), ("moh", "ca"), ("mr", "in"), ("ms", "bn my"), ("mt", "mt"),
    ("nb", "no"), ("ne", "np"), ("nl", "be nl"), ("nn", "no"), ("nso", "za"), ("oc", "fr"), ("or", "in"),
    ("pa", "in"), ("pl", "pl"), ("prs", "af"), ("ps", "af"), ("pt", "br pt"), ("qut", "gt"), ("quz", "bo ec pe"), ("rm", "ch"),
    ("ro", "ro"), ("ru", "ru"), ("rw", "rw"), ("sa", "in"), ("sah", "ru"), ("se", "fi no se"), ("si", "lk"),
    ("sk", "sk"), ("sl", "si"), ("sma", "no se"), ("smj", "no se"), ("smn", "fi"), ("sms", "fi"), ("sq", "al"),
    ("sr", "cyrl-ba cyrl-cs cyrl-me cyrl-rs latn-ba latn-cs latn-me latn-rs"), ("sv", "fi se"), ("sw", "ke"), ("syr", "sy"), ("ta", "in lk"), ("te", "in"), ("tg", "cyrl-tj"),
    ("th", "th"), ("tk", "tm"), ("tn", "za"), ("tr", "tr"), ("tt", "ru"), ("tzm", "latn-dz"), ("ug", "cn"), ("uk", "ua"),
    ("ur", "pk"), ("uz", "cyrl-uz latn-uz"), ("vi", "vn"), ("wo", "sn"), ("xh", "za"), ("yo", "ng"), ("zh", "cn hk mo sg tw"),
    ("zu", "za"),
];
/// Scripts that stand between the two.
const SCRIPTS: [&str; 4] = ["cans", "cyrl", "latn", "mong"];

/// Words before a version.
const VERSION_WORDS: [&str; 11] =
    ["version", "versión", "versão", "versie", "wersja", "ver", "v", "build", "release", "rc", "sp"];

/// How names are compared where case does not count.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A package's name without what changes from release to release: processors, languages, versions, brackets, legal
/// forms; folded, letters and digits only. The client does the same to the names of installed programs and asks for
/// what is left, so it has to come out the same here: the order of the steps, and that some look only when others
/// found nothing, are its own. Left out: what it takes from names with paths in them and from those of three vendors.
pub fn normalized(name: &str) -> String {
    let mut text = Vec::with_capacity(name.len());
    fold(name.trim()).chars().for_each(|c| put_plain(&mut text, c));
    if let Some(end) = (3..text.len()).find(|at| text.get(*at..at + 2) == Some(&['@', '@'])) {
        text.truncate(end);
    }
    while let [open, inner @ .., close] = text.as_slice() {
        match (open, close) {
            ('"', '"') | ('(', ')') => text = inner.to_vec(),
            _ => break,
        }
    }
    let steps: [&[Rule]; 3] = [
        &[both_bits],
        &[|t, at| processor(t, at, true), |t, at| bits(t, at, &["64"])],
        &[|t, at| processor(t, at, false), |t, at| bits(t, at, &["32"])],
    ];
    // Only the first of these that is found is taken out.
    let _ = steps.into_iter().flatten().any(|rule| remove(&mut text, *rule));
    text = without_languages(&text);
    bare_updates(&mut text);
    const RULES: [Rule; 9] = [
        leading_bracket,
        empty_bracket,
        lettered_version,
        delimited_version,
        plain_version,
        english,
        innermost_bracket,
        bracketed,
        protocol,
    ];
    loop {
        let before = text.len();
        for rule in RULES {
            remove(&mut text, rule);
        }
        let start = text.iter().position(|c| c.is_alphanumeric()).unwrap_or(text.len());
        let end = text.iter().rposition(|c| c.is_alphanumeric()).map_or(start, |last| last + 1);
        text = text.get(start..end).unwrap_or_default().to_vec();
        if text.len() == before {
            break;
        }
    }
    let words = text.split(|c| !c.is_alphanumeric() && *c != '+' && *c != '&').filter(|word| !word.is_empty());
    let said = words.enumerate().filter(|(at, word)| *at == 0 || !LEGAL.contains(&&*word.iter().collect::<String>()));
    said.flat_map(|(_, word)| word).filter(|c| c.is_alphanumeric()).collect()
}

/// Adds a character as plain as it can be written: the usual ones of those that Unicode counts as the same.
fn put_plain(text: &mut Vec<char>, c: char) {
    let same = match c {
        '™' => "tm",
        '℠' => "sm",
        '№' => "no",
        '…' => "...",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        '¹' => "1",
        '²' => "2",
        '³' => "3",
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{3000}' => " ",
        _ => {
            let wide = ('\u{FF01}'..='\u{FF5E}').contains(&c).then(|| char::from_u32(u32::from(c) - 0xFEE0));
            return text.push(wide.flatten().unwrap_or(c));
        }
    };
    text.extend(same.chars());
}

/// Where something ends that begins at a place in folded text; none when it does not.
type Rule = fn(&[char], usize) -> Option<usize>;

/// Takes out every place that the rule finds, from the left; whether there was any.
fn remove(text: &mut Vec<char>, rule: Rule) -> bool {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text.get(at) {
        match rule(text, at).filter(|end| *end > at) {
            Some(end) => at = end,
            None => {
                kept.push(*c);
                at += 1;
            }
        }
    }
    let any = kept.len() < text.len();
    *text = kept;
    any
}

/// Behind a word, when it stands here.
fn word(text: &[char], at: usize, word: &str) -> Option<usize> {
    let mut end = at;
    for c in word.chars() {
        if text.get(end) != Some(&c) {
            return None;
        }
        end += 1;
    }
    Some(end)
}

fn any_word(text: &[char], at: usize, words: &[&str]) -> Option<usize> {
    words.iter().find_map(|known| word(text, at, known))
}

fn is(text: &[char], at: usize, what: fn(char) -> bool) -> bool {
    text.get(at).is_some_and(|c| what(*c))
}

/// Whether the character before is none of these; at the beginning there is none.
fn behind(text: &[char], at: usize, what: fn(char) -> bool) -> bool {
    at.checked_sub(1).is_none_or(|before| !is(text, before, what))
}

/// Behind all that is of this kind from here on; none when nothing is.
fn run(text: &[char], at: usize, what: fn(char) -> bool) -> Option<usize> {
    let length = text.get(at..)?.iter().take_while(|c| what(**c)).count();
    (length > 0).then_some(at + length)
}

fn is_dash(c: char) -> bool {
    c == '-' || c == '_' || ('\u{2010}'..='\u{2015}').contains(&c) || c == '\u{203F}'
}

/// What parts of a version are set apart with.
fn is_separator(c: char) -> bool {
    is_dash(c) || "!\"#%&'*,./:;?@\\¡§¶·¿\u{2020}\u{2021}\u{2022}\u{2026}\u{3001}\u{3002}".contains(c)
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase()
}

fn edition(text: &[char], at: usize) -> usize {
    let said = is(text, at, char::is_whitespace).then(|| word(text, at + 1, "edition")).flatten();
    said.unwrap_or(at)
}

/// `64-bit`, `32 bits edition`.
fn bits(text: &[char], at: usize, numbers: &[&str]) -> Option<usize> {
    if !behind(text, at, char::is_alphanumeric) {
        return None;
    }
    let end = any_word(text, at, numbers)?;
    let apart = is(text, end, |c| is_dash(c) || c.is_whitespace() && !c.is_control());
    let end = word(text, end + usize::from(apart), "bit")?;
    Some(edition(text, word(text, end, "s").unwrap_or(end)))
}

/// `32/64 bit`.
fn both_bits(text: &[char], at: usize) -> Option<usize> {
    bits(text, at, &["64\\32", "64/32", "32\\64", "32/64"])
}

/// `x64`, `amd64`, `x86_64`; or `x86`, `x32`.
fn processor(text: &[char], at: usize, wide: bool) -> Option<usize> {
    if !behind(text, at, char::is_alphanumeric) {
        return None;
    }
    let end = match wide {
        true => any_word(text, at, &["x64", "amd64"]).or_else(|| {
            let end = word(text, at, "x86").filter(|end| is(text, *end, is_dash))?;
            word(text, end + 1, "64")
        })?,
        false => any_word(text, at, &["x32", "x86"])?,
    };
    (!is(text, end, char::is_numeric)).then(|| edition(text, end))
}

/// `en-us`, `sr-latn-rs`: where it ends, and whether it is a known one.
fn language(text: &[char], at: usize) -> Option<(usize, bool)> {
    let letter = |c: char| c.is_ascii_alphabetic();
    let letters =
        |at: usize, count: usize| text.get(at..at + count).is_some_and(|part| part.iter().all(|c| is_cased(*c)));
    if !behind(text, at, letter) {
        return None;
    }
    let dash = [3, 2].into_iter().find(|count| letters(at, *count) && text.get(at + count) == Some(&'-'))? + at;
    let region = |dash: usize| {
        let end = dash + 3;
        (text.get(dash) == Some(&'-') && letters(dash + 1, 2) && !is(text, end, letter)).then_some(end)
    };
    let end = any_word(text, dash + 1, &SCRIPTS).and_then(region).or_else(|| region(dash))?;
    let end = word(text, end, "-valencia").unwrap_or(end);
    let said = |range: Range<usize>| text.get(range).unwrap_or_default().iter().collect::<String>();
    let (name, rest) = (said(at..dash), said(dash + 1..end));
    let known = LANGUAGES.iter().any(|(known, regions)| *known == name && regions.split(' ').any(|one| one == rest));
    Some((end, known))
}

fn without_languages(text: &[char]) -> Vec<char> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text.get(at) {
        match language(text, at) {
            Some((end, true)) => at = end,
            Some((end, false)) => {
                kept.extend_from_slice(text.get(at..end).unwrap_or_default());
                at = end;
            }
            None => {
                kept.push(*c);
                at += 1;
            }
        }
    }
    kept
}

/// Takes the brackets off the numbers of updates, `(KB123456)`, which stay.
fn bare_updates(text: &mut Vec<char>) {
    let number = |text: &[char], at: usize| run(text, word(text, at, "(kb")?, char::is_numeric);
    let mut at = 0;
    while at < text.len() {
        if let Some(end) = number(text, at).filter(|end| text.get(*end) == Some(&')')) {
            text.remove(end);
            text.remove(at);
        }
        at += 1;
    }
}

fn close_of(open: char) -> Option<char> {
    match open {
        '(' => Some(')'),
        '[' => Some(']'),
        '"' => Some('"'),
        _ => None,
    }
}

/// What stands in brackets before the name.
fn leading_bracket(text: &[char], at: usize) -> Option<usize> {
    let opens = at == 0 && text.first() == Some(&'(');
    opens.then(|| text.iter().position(|c| *c == ')')).flatten().map(|close| close + 1)
}

/// Brackets and quotes around nothing.
fn empty_bracket(text: &[char], at: usize) -> Option<usize> {
    let close = close_of(*text.get(at)?)?;
    let end = run(text, at + 1, char::is_whitespace).unwrap_or(at + 1);
    (text.get(end) == Some(&close)).then_some(end + 1)
}

/// Brackets without brackets inside.
fn innermost_bracket(text: &[char], at: usize) -> Option<usize> {
    let open = *text.get(at)?;
    let close = close_of(open).filter(|_| open != '"')?;
    let next = text.get(at + 1..)?.iter().position(|c| *c == open || *c == close)? + at + 1;
    (text.get(next) == Some(&close)).then_some(next + 1)
}

/// From the first bracket that opens to the last that closes, of whatever kind; or from the first quote to the last.
fn bracketed(text: &[char], at: usize) -> Option<usize> {
    let last = |closes: fn(char) -> bool| Some(text.get(at + 1..)?.iter().rposition(|c| closes(*c))? + at + 2);
    match text.get(at)? {
        '(' | '[' | '{' => last(|c| matches!(c, ')' | ']' | '}')),
        '"' => last(|c| c == '"'),
        _ => None,
    }
}

/// `version r1.6`: a letter with numbers behind it.
fn lettered_version(text: &[char], at: usize) -> Option<usize> {
    let numbers = |at: usize| {
        let mut end = run(text, at + 1, char::is_numeric).filter(|_| is(text, at, is_cased))?;
        let mut parts = 0;
        while let Some(next) = run(text, end + 1, char::is_numeric).filter(|_| is(text, end, is_separator)) {
            (end, parts) = (next, parts + 1);
        }
        (parts > 0).then_some(end)
    };
    if !behind(text, at, char::is_alphabetic) {
        return None;
    }
    let apart = |end: usize| !is(text, end, char::is_alphabetic) && end < text.len();
    let named = VERSION_WORDS.iter().filter_map(|known| word(text, at, known)).filter(|end| apart(*end));
    named.filter_map(|end| numbers(end + 1)).next().or_else(|| numbers(at))
}

/// `v1.2.3-beta`, `8_8_2`, `2020.07a`: numbers set apart, and all that hangs on them.
fn delimited_version(text: &[char], at: usize) -> Option<usize> {
    let numbers = |at: usize| {
        let end = run(text, at, char::is_numeric).filter(|end| is(text, *end, is_separator))?;
        let second = any_word(text, end + 1, &["rc", "b", "a", "r", "sp", "k"]).unwrap_or(end + 1);
        if !is(text, end + 1, char::is_numeric) && !is(text, second, char::is_numeric) {
            return None;
        }
        let mut end = run(text, end + 1, char::is_alphanumeric)?;
        while let Some(next) = run(text, end + 1, char::is_alphanumeric).filter(|_| is(text, end, is_separator)) {
            end = next;
        }
        Some(end)
    };
    let named = || {
        let ends = VERSION_WORDS.iter().filter_map(|known| word(text, at, known));
        ends.filter_map(|end| {
            let apart = (!is(text, end, char::is_alphabetic)).then(|| numbers(end + 1)).flatten();
            apart.or_else(|| numbers(end))
        })
        .next()
    };
    behind(text, at, char::is_alphabetic).then(named).flatten().or_else(|| numbers(at))
}

/// `version 7`, `for v2020`, `R2`, `SP 1a`: a number with a word for version before it.
fn plain_version(text: &[char], at: usize) -> Option<usize> {
    let number = |at: usize| {
        let mut end = at;
        loop {
            let dot = usize::from(text.get(end) == Some(&'.'));
            match run(text, end + dot, char::is_numeric) {
                Some(next) => end = next,
                None => return (end > at).then_some(end),
            }
        }
    };
    let said = |at: usize| {
        let ends = ["p", "r"].iter().chain(&VERSION_WORDS).filter_map(|known| word(text, at, known));
        ends.filter_map(|end| {
            let apart = !is(text, end, char::is_alphabetic) && end < text.len();
            let letter = apart && is(text, end + 1, char::is_alphabetic);
            let gaps = [apart.then_some(1), letter.then_some(2), Some(0)];
            gaps.into_iter().flatten().find_map(|gap| number(end + gap))
        })
        .next()
    };
    let start = word(text, at, "for").filter(|end| is(text, *end, char::is_whitespace)).map(|end| end + 1);
    let begin = |at: &usize| behind(text, *at, char::is_alphabetic);
    let end = start.filter(begin).and_then(said).or_else(|| Some(at).filter(begin).and_then(said))?;
    let end = any_word(text, end, &["rc", "b", "a", "r", "v", "sp"]).unwrap_or(end);
    Some(end + usize::from(is(text, end, char::is_numeric)))
}

/// The word for English at the end.
fn english(text: &[char], at: usize) -> Option<usize> {
    let end = is(text, at, char::is_whitespace).then(|| word(text, at + 1, "en")).flatten()?;
    let rest = text.get(end..)?;
    rest.iter().all(|c| c.is_whitespace()).then_some(text.len())
}

fn protocol(text: &[char], at: usize) -> Option<usize> {
    let here = behind(text, at, char::is_alphabetic);
    here.then(|| any_word(text, at, &["https://", "http://", "ftp://"])).flatten()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
