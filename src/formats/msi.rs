//! Windows Installer packages: the properties and the summary that say which product a package installs.

use std::collections::HashMap;
use std::io::{Read, Seek};

use encoding_rs::Encoding;

use super::compound::{Compound, Stream};
use super::magic::{u16_at, u32_at};
use super::windows::{self, Installer, Scope, text};
use super::{Facts, Kind};

/// The most bytes of the `Property` table and of the summary.
const TABLE_LIMIT: usize = 1 << 20;
/// The most bytes of the table of strings' lengths: a million strings.
const POOL_LIMIT: usize = 4 << 20;
/// The most properties looked at.
const ROW_LIMIT: usize = 10_000;
/// The longest value that is read.
const VALUE_LIMIT: usize = 1024;

const WANTED: [&str; 8] = [
    "ProductCode",
    "UpgradeCode",
    "ProductName",
    "ProductVersion",
    "Manufacturer",
    "ALLUSERS",
    "MSIINSTALLPERUSER",
    "ProductLanguage",
];

/// What the package says of itself; `None` when it cannot be read.
pub(super) fn facts(reader: &mut (impl Read + Seek)) -> Option<Facts> {
    let mut file = Compound::open(reader)?;
    let names = [table_name("Property"), table_name("_StringPool"), table_name("_StringData"), summary_name()];
    let [properties, pool, data, summary] = file.find(std::array::from_fn::<_, 4, _>(|i| names[i].as_slice()))?;
    let summary = summary.and_then(|stream| file.read(&stream, 0, TABLE_LIMIT)).and_then(|bytes| Summary::read(&bytes));
    let summary = summary.unwrap_or_default();
    let found = values(&mut file, &properties?, &pool?, &data?)?;
    let value = |name: &str| found.get(name).and_then(|value| text(value));
    let (platform, language) = summary.template.split_once(';').unwrap_or((&summary.template, ""));
    let scope = match value("ALLUSERS").as_deref() {
        Some("1") => Scope::Machine,
        Some("2") if value("MSIINSTALLPERUSER").is_none() => Scope::Machine,
        _ => Scope::User,
    };
    let spoken = value("ProductLanguage").or_else(|| text(language.split(',').next()?));
    let maker = summary.application.to_ascii_lowercase();
    let made_by_wix = maker.contains("windows installer xml") || maker.contains("wix toolset");
    let installer = Installer {
        installer_type: Some(if made_by_wix { "WIX" } else { "MSI" }.to_owned()),
        publisher: value("Manufacturer"),
        scope: Some(scope),
        locale: spoken.and_then(|number| windows::locale(number.parse().ok()?)).map(str::to_owned),
        product_code: value("ProductCode").filter(|code| is_guid(code)),
        upgrade_code: value("UpgradeCode").filter(|code| is_guid(code)),
        ..Installer::default()
    };
    Some(Facts {
        kind: Kind::Msi,
        name: value("ProductName"),
        version: value("ProductVersion"),
        arch: architecture(platform).map(str::to_owned),
        installer: Some(Box::new(installer)),
    })
}

fn architecture(platform: &str) -> Option<&'static str> {
    match platform.trim().to_ascii_lowercase().as_str() {
        "" | "intel" => Some("x86"),
        "x64" | "amd64" => Some("x64"),
        "arm" => Some("arm"),
        "arm64" => Some("arm64"),
        _ => None,
    }
}

fn is_guid(code: &str) -> bool {
    let inner = code.strip_prefix('{').and_then(|code| code.strip_suffix('}'));
    inner.is_some_and(|inner| inner.len() == 36 && uuid::Uuid::try_parse(inner).is_ok())
}

/// The wanted properties that the package has.
fn values<R: Read + Seek>(
    file: &mut Compound<'_, R>,
    properties: &Stream,
    pool: &Stream,
    data: &Stream,
) -> Option<HashMap<&'static str, String>> {
    let pool = file.read(pool, 0, POOL_LIMIT)?;
    let code_page = u16_at(&pool, 0)?;
    // The highest bit says that numbers of strings take three bytes.
    let width = if u16_at(&pool, 2)? & 0x8000 == 0 { 2 } else { 3 };
    let strings = places(pool.get(4..)?);
    let table = file.read(properties, 0, TABLE_LIMIT)?;
    // Tables are stored column by column.
    let rows = table.len() / (2 * width);
    let number = |column: usize, row: usize| {
        let bytes = table.get((column * rows + row) * width..)?.get(..width)?;
        bytes.iter().rev().try_fold(0_usize, |sum, &byte| Some(sum << 8 | usize::from(byte)))
    };
    let mut read = |number: usize| {
        let &(at, length) = strings.get(number.checked_sub(1)?)?;
        (length <= VALUE_LIMIT).then_some(())?;
        decode(&file.read(data, at, length)?, code_page)
    };
    let longest = WANTED.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut found = HashMap::new();
    for row in 0..rows.min(ROW_LIMIT) {
        let Some(key) = number(0, row) else { continue };
        // Most keys can be told by their length alone.
        let length = strings.get(key.wrapping_sub(1)).map_or(0, |&(_, length)| length);
        if length == 0 || length > longest {
            continue;
        }
        let Some(name) = read(key) else { continue };
        let Some(wanted) = WANTED.into_iter().find(|wanted| *wanted == name) else { continue };
        if let Some(value) = number(1, row).and_then(&mut read) {
            found.insert(wanted, value);
        }
        if found.len() == WANTED.len() {
            break;
        }
    }
    Some(found)
}

/// Where each string lies among the strings' bytes, and how long it is.
fn places(pool: &[u8]) -> Vec<(u64, usize)> {
    let mut found = Vec::with_capacity(pool.len() / 4);
    let (mut at, mut place) = (0, 0_u64);
    while let (Some(length), Some(uses)) = (u16_at(pool, at), u16_at(pool, at + 2)) {
        at += 4;
        let mut length = usize::from(length);
        if length == 0 && uses > 0 {
            // Longer than 65,535: the upper half stands where the uses are, the lower half follows.
            let Some(lower) = u16_at(pool, at) else { break };
            length = usize::from(uses) << 16 | usize::from(lower);
            at += 4;
        }
        found.push((place, length));
        place += length as u64;
    }
    found
}

/// Text in the package's code page; none when the page is unknown or the bytes are no text in it. Plain ASCII is the
/// same in all of them.
fn decode(bytes: &[u8], code_page: u16) -> Option<String> {
    if bytes.is_ascii() {
        return String::from_utf8(bytes.to_vec()).ok();
    }
    let text = encoding(code_page)?.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// How Windows writes text in a code page. A neutral package ought to have plain ASCII; where it has not, it was made on
/// a western system more often than not.
fn encoding(code_page: u16) -> Option<&'static Encoding> {
    use encoding_rs as pages;
    Some(match code_page {
        65001 => pages::UTF_8,
        0 | 1252 => pages::WINDOWS_1252,
        874 => pages::WINDOWS_874,
        932 => pages::SHIFT_JIS,
        936 => pages::GBK,
        949 => pages::EUC_KR,
        950 => pages::BIG5,
        1250 => pages::WINDOWS_1250,
        1251 => pages::WINDOWS_1251,
        1253 => pages::WINDOWS_1253,
        1254 => pages::WINDOWS_1254,
        1255 => pages::WINDOWS_1255,
        1256 => pages::WINDOWS_1256,
        1257 => pages::WINDOWS_1257,
        1258 => pages::WINDOWS_1258,
        10000 => pages::MACINTOSH,
        20866 => pages::KOI8_R,
        21866 => pages::KOI8_U,
        28592 => pages::ISO_8859_2,
        28595 => pages::ISO_8859_5,
        28597 => pages::ISO_8859_7,
        28605 => pages::ISO_8859_15,
        51932 => pages::EUC_JP,
        54936 => pages::GB18030,
        _ => return None,
    })
}

/// How a table's name is written in the directory: two characters in one unit, after a mark.
fn table_name(name: &str) -> Vec<u16> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
    let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte).and_then(|at| u16::try_from(at).ok());
    let mut units = vec![0x4840];
    for pair in name.as_bytes().chunks(2) {
        match pair.iter().map(digit).collect::<Option<Vec<u16>>>().as_deref() {
            Some(&[low, high]) => units.push(0x3800 + (high << 6) + low),
            Some(&[low]) => units.push(0x4800 + low),
            _ => units.extend(pair.iter().map(|&byte| u16::from(byte))),
        }
    }
    units
}

fn summary_name() -> Vec<u16> {
    "\u{5}SummaryInformation".encode_utf16().collect()
}

/// The two properties of the summary that matter.
#[derive(Default)]
struct Summary {
    /// `platform;languages`.
    template: String,
    application: String,
}

impl Summary {
    fn read(bytes: &[u8]) -> Option<Summary> {
        const TEMPLATE: u32 = 7;
        const APPLICATION: u32 = 18;
        let section = bytes.get(usize::try_from(u32_at(bytes, 44)?).ok()?..)?;
        let mut summary = Summary::default();
        for i in 0..usize::try_from(u32_at(section, 4)?).ok()?.min(64) {
            let (id, at) = (u32_at(section, 8 + i * 8)?, u32_at(section, 12 + i * 8)?);
            let Some(value) = usize::try_from(at).ok().and_then(|at| string(section.get(at..)?)) else { continue };
            match id {
                TEMPLATE => summary.template = value,
                APPLICATION => summary.application = value,
                _ => {}
            }
        }
        Some(summary)
    }
}

/// A property of the type "string" (30).
fn string(value: &[u8]) -> Option<String> {
    (u32_at(value, 0)? == 30).then_some(())?;
    let length = usize::try_from(u32_at(value, 4)?).ok()?.min(VALUE_LIMIT);
    let bytes = value.get(8..8 + length)?;
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::compound::tests::compound;
    use std::io::Cursor;

    /// A package with these properties, template and creating application.
    fn package(properties: &[(&str, &str)], template: &str, application: &str, code_page: u16) -> Vec<u8> {
        let mut strings: Vec<Vec<u8>> = vec![b"unused".to_vec(), vec![b'x'; 70_000]];
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in properties {
            strings.push(key.as_bytes().to_vec());
            keys.extend((strings.len() as u16).to_le_bytes());
            strings.push(encoding(code_page).unwrap_or(encoding_rs::UTF_8).encode(value).0.into_owned());
            values.extend((strings.len() as u16).to_le_bytes());
        }
        let mut pool = code_page.to_le_bytes().to_vec();
        pool.extend([0, 0]);
        for string in &strings {
            if string.len() > 0xFFFF {
                pool.extend([0, 0]);
                pool.extend(((string.len() >> 16) as u16).to_le_bytes());
            }
            pool.extend((string.len() as u16).to_le_bytes());
            pool.extend([1, 0]);
        }
        keys.extend(values);
        let mut summary = vec![0; 44];
        summary.extend(48_u32.to_le_bytes());
        let mut section = vec![0; 8];
        section[4] = 2;
        let mut texts: Vec<u8> = Vec::new();
        for (id, value) in [(7_u32, template), (18, application)] {
            section.extend(id.to_le_bytes());
            section.extend((24 + texts.len() as u32).to_le_bytes());
            texts.extend(30_u32.to_le_bytes());
            texts.extend((value.len() as u32 + 1).to_le_bytes());
            texts.extend(value.as_bytes());
            texts.push(0);
        }
        summary.extend(section);
        summary.extend(texts);
        compound(&[
            (table_name("Property"), keys),
            (table_name("_StringPool"), pool),
            (table_name("_StringData"), strings.concat()),
            (summary_name(), summary),
        ])
    }

    const CODE: &str = "{12345678-ABCD-4321-9876-0123456789AB}";

    #[test]
    fn a_package_says_what_it_installs() {
        let properties = [
            ("ProductCode", CODE),
            ("UpgradeCode", "no guid"),
            ("ProductName", "Größe"),
            ("ProductVersion", "1.2.3"),
            ("Manufacturer", "Contoso"),
            ("ALLUSERS", "1"),
            ("ProductLanguage", "1031"),
        ];
        for code_page in [1252, 65001] {
            let file = package(&properties, "x64;1033", "Windows Installer XML Toolset (3.11)", code_page);
            let found = facts(&mut Cursor::new(&file)).unwrap();
            assert_eq!(found.name.as_deref(), Some("Größe"));
            assert_eq!((found.version.as_deref(), found.arch.as_deref()), (Some("1.2.3"), Some("x64")));
            let installer = *found.installer.unwrap();
            let expected = Installer {
                installer_type: Some("WIX".into()),
                publisher: Some("Contoso".into()),
                scope: Some(Scope::Machine),
                locale: Some("de-DE".into()),
                product_code: Some(CODE.into()),
                ..Installer::default()
            };
            assert_eq!(installer, expected);
        }
    }

    #[test]
    fn text_in_every_code_page() {
        let rows = [
            (0, "Größe"),
            (874, "โปรแกรม"),
            (932, "表計算ソフト"),
            (936, "办公软件"),
            (949, "한국어 도구"),
            (950, "辦公軟體"),
            (1250, "Příliš žluťoučký"),
            (1251, "Редактор"),
            (1252, "Größe €"),
            (1253, "Επεξεργαστής"),
            (1254, "İstanbul Şehir"),
            (1255, "עורך"),
            (1256, "محرر"),
            (1257, "Ąžuolas"),
            (20866, "Редактор"),
            (54936, "办公软件€"),
            (65001, "表計算 Größe 🙂"),
        ];
        for (page, name) in rows {
            let file = package(&[("ProductName", name), ("ProductVersion", "1.0")], "x64;0", "", page);
            let found = facts(&mut Cursor::new(&file)).unwrap();
            assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some(name), Some("1.0")), "{page}");
        }
        // A page nobody knows, and bytes that are no text in theirs: the value is missing, the rest is there.
        for (page, bytes) in [(37, &b"\xC3\xA9"[..]), (65001, b"\xFF\xFE"), (932, b"\x81\xFF")] {
            assert_eq!(decode(bytes, page), None, "{page}");
            assert_eq!(decode(b"plain", page).as_deref(), Some("plain"));
        }
    }

    #[test]
    fn scope_and_platform() {
        let of = |properties: &[(&str, &str)], template: &str| {
            let facts = facts(&mut Cursor::new(package(properties, template, "", 0))).unwrap();
            (facts.arch.clone(), facts.installer.unwrap().scope.unwrap(), facts.name)
        };
        type Properties<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Properties<'_>, &str, Option<&str>, Scope); 5] = [
            (&[], "Intel;1033", Some("x86"), Scope::User),
            (&[("ALLUSERS", "1")], "Arm64;0", Some("arm64"), Scope::Machine),
            (&[("ALLUSERS", "2")], "x64", Some("x64"), Scope::Machine),
            (&[("ALLUSERS", "2"), ("MSIINSTALLPERUSER", "1")], ";1033", Some("x86"), Scope::User),
            (&[("ALLUSERS", "")], "Intel64;1033", None, Scope::User),
        ];
        for (properties, template, arch, scope) in cases {
            assert_eq!(of(properties, template), (arch.map(str::to_owned), scope, None), "{properties:?} {template}");
        }
    }

    #[test]
    fn nothing_in_a_package_makes_it_panic() {
        let file = package(&[("ProductCode", CODE), ("ProductName", "x")], "x64;1033", "", 65001);
        for at in (0..512).chain(71_000..file.len()) {
            facts(&mut Cursor::new(&file[..at]));
            for value in [0, 1, 0x80, 0xFF] {
                let mut changed = file.clone();
                changed[at] = value;
                facts(&mut Cursor::new(&changed));
            }
        }
    }
}
