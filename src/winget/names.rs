//! Names in the forms they are compared in: folded, and normalized as winget does it (`winget.md` §0, B4).

/// Words that say for which processor.
const PROCESSORS: [&str; 17] = [
    "x64", "x86", "amd64", "x86_64", "x86-64", "x64-86", "arm", "arm64", "i386", "i686", "ia64", "win32", "win64",
    "64bit", "32bit", "64-bit", "32-bit",
];

/// Words of a firm's legal form.
const LEGAL: [&str; 24] = [
    "ab",
    "ag",
    "aps",
    "as",
    "asa",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "holding",
    "holdings",
    "inc",
    "incorporated",
    "kg",
    "limited",
    "llc",
    "llp",
    "ltd",
    "ou",
    "pty",
    "sarl",
    "srl",
];

/// Languages with the regions Windows has them for: only these make a language tag, so that `Wi-Fi` stays a name.
#[rustfmt::skip]
const LANGUAGES: [(&str, &str); 122] = [
    ("af", "za"), ("am", "et"), ("ar", "ae bh dz eg iq jo kw lb ly ma om qa sa sd sy tn ye"), ("arn", "cl"),
    ("as", "in"), ("az", "az"), ("ba", "ru"), ("be", "by"), ("bg", "bg"), ("bn", "bd in"), ("bo", "cn"), ("br", "fr"),
    ("bs", "ba"), ("ca", "es"), ("co", "fr"), ("cs", "cz"), ("cy", "gb"), ("da", "dk"), ("de", "at ch de li lu"),
    ("dsb", "de"), ("dv", "mv"), ("el", "gr"), ("en", "au bz ca gb ie in jm my nz ph sg tt us za zw"),
    ("es", "ar bo cl co cr do ec es gt hn mx ni pa pe pr py sv us uy ve"), ("et", "ee"), ("eu", "es"), ("fa", "ir"),
    ("fi", "fi"), ("fil", "ph"), ("fo", "fo"), ("fr", "be ca ch fr lu mc"), ("fy", "nl"), ("ga", "ie"), ("gd", "gb"),
    ("gl", "es"), ("gsw", "fr"), ("gu", "in"), ("ha", "ng"), ("he", "il"), ("hi", "in"), ("hr", "ba hr"),
    ("hsb", "de"), ("hu", "hu"), ("hy", "am"), ("id", "id"), ("ig", "ng"), ("ii", "cn"), ("is", "is"),
    ("it", "ch it"), ("iu", "ca"), ("ja", "jp"), ("ka", "ge"), ("kk", "kz"), ("kl", "gl"), ("km", "kh"), ("kn", "in"),
    ("ko", "kr"), ("kok", "in"), ("ky", "kg"), ("lb", "lu"), ("lo", "la"), ("lt", "lt"), ("lv", "lv"), ("mi", "nz"),
    ("mk", "mk"), ("ml", "in"), ("mn", "cn mn"), ("moh", "ca"), ("mr", "in"), ("ms", "bn my"), ("mt", "mt"),
    ("nb", "no"), ("ne", "np"), ("nl", "be nl"), ("nn", "no"), ("nso", "za"), ("oc", "fr"), ("or", "in"),
    ("pa", "in"), ("pl", "pl"), ("prs", "af"), ("ps", "af"), ("pt", "br pt"), ("quz", "bo ec pe"), ("rm", "ch"),
    ("ro", "ro"), ("ru", "ru"), ("rw", "rw"), ("sa", "in"), ("sah", "ru"), ("se", "fi no se"), ("si", "lk"),
    ("sk", "sk"), ("sl", "si"), ("sma", "no se"), ("smj", "no se"), ("smn", "fi"), ("sms", "fi"), ("sq", "al"),
    ("sr", "ba cs me rs"), ("sv", "fi se"), ("sw", "ke"), ("syr", "sy"), ("ta", "in lk"), ("te", "in"), ("tg", "tj"),
    ("th", "th"), ("tk", "tm"), ("tn", "za"), ("tr", "tr"), ("tt", "ru"), ("tzm", "dz"), ("ug", "cn"), ("uk", "ua"),
    ("ur", "pk"), ("uz", "uz"), ("vi", "vn"), ("wo", "sn"), ("xh", "za"), ("yo", "ng"), ("zh", "cn hk mo sg tw"),
    ("zu", "za"),
];
/// Scripts that stand between the two.
const SCRIPTS: [&str; 6] = ["cans", "cyrl", "hans", "hant", "latn", "mong"];

/// How names are compared where case does not count.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A package's name without what changes from release to release: brackets, processors, languages, versions, legal
/// forms; letters and digits only.
pub fn normalized(name: &str) -> String {
    let bare = without_brackets(&fold(name));
    let words: Vec<&str> = bare.split(|c: char| c.is_whitespace() || ",;:|".contains(c)).filter(is_word).collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
        let skip = match trimmed {
            "64" | "32" if matches!(next, "bit" | "bits") => 2,
            "v" | "ver" | "version" if next.starts_with(|c: char| c.is_ascii_digit()) => 2,
            _ if PROCESSORS.contains(&trimmed) || is_language(trimmed) || is_version(trimmed) => 1,
            _ if !out.is_empty() && LEGAL.contains(&trimmed) => 1,
            _ => 0,
        };
        if skip == 0 {
            out.extend(word.chars().filter(|c| c.is_alphanumeric()));
        }
        at += skip.max(1);
    }
    match out.is_empty() {
        // A name made of nothing else is kept: it has to be found somehow.
        true => fold(name).chars().filter(|c| c.is_alphanumeric()).collect(),
        false => out,
    }
}

fn is_word(word: &&str) -> bool {
    word.chars().any(char::is_alphanumeric)
}

fn without_brackets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::new();
    for c in text.chars() {
        match c {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            _ if open.last() == Some(&c) => {
                open.pop();
                out.push(' ');
            }
            _ if open.is_empty() => out.push(c),
            _ => {}
        }
    }
    out
}

/// `en-us`, `zh-hant-tw`.
fn is_language(word: &str) -> bool {
    let mut parts = word.split('-');
    let (language, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let region = match (second, third) {
        (Some(script), Some(region)) if SCRIPTS.contains(&script) => region,
        (Some(region), None) => region,
        _ => return false,
    };
    let known = LANGUAGES.iter().find(|(known, _)| *known == language);
    parts.next().is_none() && known.is_some_and(|(_, regions)| regions.split(' ').any(|known| known == region))
}

/// `7.2`, `v7`, `ver.7`, `version7.2.1-beta`: a number with dots, or any with a word for version before it.
fn is_version(word: &str) -> bool {
    let (named, rest) = ["version", "ver", "v"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix).map(|rest| (true, rest.trim_start_matches(['.', '-', '_']))))
        .unwrap_or((false, word));
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits.chars().next() {
        None => named,
        Some('.' | '_') => digits.get(1..).is_some_and(|more| more.starts_with(|c: char| c.is_ascii_digit())),
        Some(_) => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_of_a_name() {
        let rows = [
            ("Contoso Reader 7.2 (x64)", "contosoreader"),
            ("Contoso Reader", "contosoreader"),
            ("7-Zip 21.07 (x64 edition)", "7zip"),
            ("Notepad++ (64-bit x64)", "notepad"),
            ("Git version 2.40.1", "git"),
            ("Tool v7", "tool"),
            ("Tool Version 7", "tool"),
            ("Mozilla Firefox (x64 en-US)", "mozillafirefox"),
            ("Mozilla Firefox 64-bit en-US", "mozillafirefox"),
            ("Acme 64 bit", "acme"),
            ("Acme Tools, Inc.", "acmetools"),
            ("Inc", "inc"),
            ("Größe 2.0 [x86]", "größe"),
            ("Studio 2022", "studio2022"),
            ("Wi-Fi Tool", "wifitool"),
            ("Hi-Fi Player 3.1", "hifiplayer"),
            ("No-Go Area", "nogoarea"),
            ("E-Mail X-Ray 2.0", "emailxray"),
            ("Cli-Tool-Up", "clitoolup"),
            ("Office de-DE", "office"),
            ("Office zh-Hant-TW", "office"),
            ("Office zh-Hokk-TW", "officezhhokktw"),
            ("Office sr-Latn-RS 16.0", "office"),
            ("Office fil-PH", "office"),
            ("Office de-DE-1996", "officedede1996"),
            ("en-US", "enus"),
            ("x64", "x64"),
            ("1.2.3", "123"),
            ("", ""),
            ("(((", ""),
        ];
        for (name, normal) in rows {
            assert_eq!(normalized(name), normal, "{name}");
        }
    }
}
