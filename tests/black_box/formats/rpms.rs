//! Rpms: facts as `rpm` tells them, digests, and what is refused.

use std::path::Path;
use std::process::Command;

use packhouse::formats::rpm::{self, Entry, FileKind, Rpm};

use crate::packages::{
    Dependency, EQUAL, GREATER, LESS, MAIN_REGION, PRE, RpmFile, SIGNATURE_REGION, Value, output, rpm_header, rpmbuild,
};

fn verify(bytes: &[u8]) -> Result<Rpm, String> {
    rpm::verify(&mut &bytes[..]).map_err(|fault| fault.to_string())
}

/// A whole query over a package: what rpm itself says.
fn ask(path: &Path, format: &str) -> String {
    output(Command::new("rpm").args(["--nosignature", "--nodigest", "-qp", "--qf", format]).arg(path))
}

/// An entry as `rpm -q --requires` prints it.
fn line(entry: &Entry) -> String {
    let Some(flags) = entry.flags else { return entry.name.clone() };
    let sign = match flags.word() {
        "LT" => "<",
        "GT" => ">",
        "EQ" => "=",
        "LE" => "<=",
        _ => ">=",
    };
    let epoch = if entry.epoch == "0" { String::new() } else { format!("{}:", entry.epoch) };
    let release = entry.rel.as_ref().map(|rel| format!("-{rel}")).unwrap_or_default();
    format!("{} {sign} {epoch}{}{release}", entry.name, entry.ver)
}

fn assert_as_rpm_tells(path: &Path) -> Rpm {
    let bytes = std::fs::read(path).unwrap();
    let found = verify(&bytes).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let epoch = found.epoch.map_or("(none)".to_owned(), |epoch| epoch.to_string());
    let texts = [
        ("%{NAME}", &found.name),
        ("%{EPOCH}", &epoch),
        ("%{VERSION}", &found.version),
        ("%{RELEASE}", &found.release),
        ("%{SUMMARY}", &found.summary),
        ("%{DESCRIPTION}", &found.description),
        ("%{LICENSE}", &found.license),
        ("%{BUILDHOST}", &found.buildhost),
        ("%{BUILDTIME}", &found.build_time.to_string()),
        ("%{SIZE}", &found.sizes.installed.to_string()),
    ];
    for (format, own) in texts {
        let told = ask(path, format);
        // rpm prints bytes as they are; what is no UTF-8 comes with replacement characters from here on.
        if !told.contains('\u{FFFD}') {
            assert_eq!(&told, own, "{} {format}", path.display());
        }
    }
    for (format, own) in [("%{PACKAGER}", &found.packager), ("%{URL}", &found.url), ("%{VENDOR}", &found.vendor)] {
        let told = ask(path, format);
        assert_eq!(if told == "(none)" { "" } else { &told }, own, "{format}");
    }
    if !found.is_source() {
        assert_eq!(&ask(path, "%{SOURCERPM}"), &found.sourcerpm);
        assert_eq!(&ask(path, "%{ARCH}"), &found.arch);
    }
    let lists = [
        ("--provides", &found.provides),
        ("--requires", &found.requires),
        ("--conflicts", &found.conflicts),
        ("--obsoletes", &found.obsoletes),
        ("--recommends", &found.recommends),
        ("--suggests", &found.suggests),
        ("--supplements", &found.supplements),
        ("--enhances", &found.enhances),
    ];
    for (option, own) in lists {
        let told = output(Command::new("rpm").args(["--nosignature", "-qp", option]).arg(path));
        let mut told: Vec<String> =
            told.lines().map(str::trim).filter(|line| !line.starts_with("rpmlib(")).map(str::to_owned).collect();
        let mut own: Vec<String> = own.iter().map(line).collect();
        for list in [&mut told, &mut own] {
            list.sort();
            list.dedup();
        }
        assert_eq!(told, own, "{} {option}", path.display());
    }
    let told = ask(path, "[%{FILENAMES}\t%{FILEMODES:perms}\t%{FILEFLAGS:fflags}\n]");
    let own: Vec<String> =
        found.files.iter().map(|file| format!("{}|{}", file.path, file.kind.word().unwrap_or(""))).collect();
    let told: Vec<String> = told
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('\t');
            let (path, mode, flags) = (parts.next()?, parts.next()?, parts.next()?);
            let kind = if mode.starts_with('d') {
                "dir"
            } else if flags.contains('g') {
                "ghost"
            } else {
                ""
            };
            Some(format!("{path}|{kind}"))
        })
        .collect();
    assert_eq!(told, own, "{}", path.display());
    // The header lies where we say: its digest is the one the signature header tells.
    let (start, end) = found.header_range;
    assert_eq!(&bytes[start as usize..start as usize + 3], &[0x8E, 0xAD, 0xE8]);
    let told = ask(path, "%{SHA256HEADER}");
    let own = crate::files::sha256(&bytes[start as usize..end as usize]);
    assert_eq!(told, own, "{}", path.display());
    found
}

const SPEC: &str = r#"
Name: odd
Epoch: 7
Version: 1.0~rc1^git2
Release: 3%{?dist}
Summary: Odd & strange <things> "quoted"
License: MIT and GPLv2+
URL: https://example.org/?a=1&b=2
Vendor: Tests & Co
Packager: Andre <a@example.org>
Requires: (foo if bar)
Requires: /bin/sh
Requires: a >= 1:2.0-3
Requires: a >= 1:2.0-3
Requires: b < 3
Requires(post): c
Provides: odd(virtual) = 2:5
Conflicts: d <= 4-1
Obsoletes: e < 9
Recommends: (g or h)
Suggests: i
Supplements: j = 1
Enhances: k
%global _build_id_links none
%define debug_package %{nil}
%description
Ünïcode & <markup> in the description.

LONG
%package sub
Summary: A part
BuildArch: noarch
%description sub
A part.
%triggerin -- trigger-target >= 2
echo triggered
%post
echo installed
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/odd %{buildroot}/usr/share/odd
echo x > %{buildroot}/usr/bin/odd
echo x > "%{buildroot}/usr/share/odd/a b & c"
%files
/usr/bin/odd
%dir /etc/odd
%ghost /etc/odd/made-later
"/usr/share/odd/a b & c"
%files sub
%dir /usr/share/odd
%changelog
CHANGES
"#;

#[test]
fn facts_are_those_rpm_tells() {
    let dir = tempfile::tempdir().unwrap();
    let changes: String = (0..14)
        .map(|day| format!("* Mon Jan 0{} 2024 Someone {day} <s@example.org> - 1.0-{day}\n- change {day}\n", 1))
        .collect();
    let spec = SPEC.replace("LONG", &"A very long description. ".repeat(3_000)).replace("CHANGES", &changes);
    let built = rpmbuild(dir.path(), spec.as_bytes());
    assert_eq!(built.len(), 3, "{built:?}");
    let mut arches = Vec::new();
    for path in &built {
        let found = assert_as_rpm_tells(path);
        assert_eq!(found.file_name(), path.file_name().unwrap().to_string_lossy());
        assert_eq!(found.changelogs.len(), 10);
        assert_eq!(found.changelogs[9].text, "- change 0");
        assert_eq!(found.changelogs[0].text, "- change 9");
        assert_eq!(found.epoch, Some(7));
        arches.push(found.arch.clone());
        if found.is_source() {
            assert_eq!(found.sourcerpm, "");
        } else {
            assert_eq!(
                found.sourcerpm,
                built
                    .iter()
                    .find(|path| path.to_string_lossy().ends_with(".src.rpm"))
                    .unwrap()
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
            );
        }
        if found.name == "odd" && !found.is_source() {
            assert!(found.requires.iter().any(|entry| entry.name == "c" && entry.pre));
            assert!(found.requires.iter().any(|entry| entry.name == "(foo if bar)" && entry.flags.is_none()));
            let primary: Vec<&str> =
                found.files.iter().filter(|file| file.is_primary()).map(|file| &file.path[..]).collect();
            assert_eq!(primary, ["/etc/odd", "/etc/odd/made-later", "/usr/bin/odd"]);
        }
    }
    arches.sort();
    assert_eq!(arches, ["noarch", "src", "x86_64"]);
}

#[test]
fn what_is_built_here_is_a_package_for_rpm_too() {
    let dir = tempfile::tempdir().unwrap();
    let rpm = RpmFile::new("tool", "1.4", "1")
        .epoch(2)
        .dependency(Dependency::Require, "libc.so.6()(64bit)", 0, "")
        .dependency(Dependency::Require, "setup", PRE, "")
        .dependency(Dependency::Require, "other", GREATER | EQUAL, "1:2.0-3")
        .dependency(Dependency::Conflict, "old", LESS, "5")
        .dependency(Dependency::Recommend, "(a if b)", 0, "")
        .dir("/usr/share/tool")
        .ghost("/var/log/tool.log")
        .file("/etc/tool.conf")
        .change(1_700_000_000, "A <a@example.org> - 1.4-1", "- newer")
        .change(1_600_000_000, "A <a@example.org> - 1.3-1", "- older");
    let path = dir.path().join("tool.rpm");
    std::fs::write(&path, rpm.build()).unwrap();
    let found = assert_as_rpm_tells(&path);
    assert_eq!(found.changelogs.iter().map(|change| change.text.as_str()).collect::<Vec<_>>(), ["- older", "- newer"]);
    assert_eq!(found.files[1].kind, FileKind::Dir);
    output(Command::new("rpm").args(["-K", "--nosignature"]).arg(&path));
    let source = verify(&rpm.source().build()).unwrap();
    assert_eq!((source.arch.as_str(), source.sourcerpm.as_str()), ("src", ""));
}

#[test]
fn ugly_text_is_read() {
    let ugly = RpmFile::new("ugly", "1", "1")
        .summary(b"Andr\xE9 \x01 & <b>")
        .description("ünï\u{b}code".as_bytes())
        .change(1, "Andre", "- \u{8}");
    let found = verify(&ugly.build()).unwrap();
    assert_eq!(found.summary, "André \u{1} & <b>");
    assert_eq!(packhouse::formats::xml::xml_text(&found.summary), "André ? &amp; &lt;b&gt;");
    assert_eq!(found.description, "ünï\u{b}code");
}

#[test]
fn entries_are_split_as_the_metadata_wants_them() {
    let entry = |flags: u32, version: &str| {
        let rpm = RpmFile::new("a", "1", "1").dependency(Dependency::Require, "x", flags, version);
        let entry = verify(&rpm.build()).unwrap().requires.remove(0);
        (entry.flags.map(|flags| flags.word()), entry.epoch, entry.ver, entry.rel)
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(entry(0, "1"), (None, text("0"), text(""), None));
    assert_eq!(entry(EQUAL, ""), (None, text("0"), text(""), None));
    assert_eq!(entry(EQUAL, "1"), (Some("EQ"), text("0"), text("1"), None));
    assert_eq!(entry(LESS, "3:1-2-4"), (Some("LT"), text("3"), text("1-2"), Some(text("4"))));
    assert_eq!(entry(LESS | EQUAL, "a:1"), (Some("LE"), text("0"), text("a:1"), None));
    assert_eq!(entry(GREATER | PRE, "1-1"), (Some("GT"), text("0"), text("1"), Some(text("1"))));
    assert_eq!(entry(LESS | GREATER, "1"), (None, text("0"), text(""), None));
    let twice = RpmFile::new("a", "1", "1").require("x").require("x").require("rpmlib(Foo)").dependency(
        Dependency::Require,
        "x",
        PRE,
        "",
    );
    assert_eq!(verify(&twice.build()).unwrap().requires.len(), 2);
}

#[test]
fn digests_and_lengths_are_checked() {
    let rpm = RpmFile::new("tool", "1.4", "1");
    let good = rpm.build();
    verify(&good).unwrap();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(verify(&changed).unwrap_err().contains("digest of the payload"));
    let header = memchr::memmem::find(&good, b"builder.example.org").unwrap();
    let mut changed = good.clone();
    changed[header] ^= 1;
    assert!(verify(&changed).unwrap_err().contains("SHA-256 of the header"));
    assert!(verify(&good[..good.len() - 1]).unwrap_err().contains("bytes long"));
    assert!(verify(&[&good[..], b"x"].concat()).unwrap_err().contains("bytes long"));

    // Old packages: MD5 over everything, SHA-1 over the header.
    let main = rpm.main_header();
    let sign = |tag, value| rpm.assemble(&rpm_header(SIGNATURE_REGION, &[(tag, value)]), &main);
    let payload = &good[good.len() - "payload of tool 1.4 1".len()..];
    let md5 = <md5::Md5 as md5::Digest>::digest([&main[..], payload].concat()).to_vec();
    verify(&sign(1004, Value::Bytes(md5))).unwrap();
    assert!(verify(&sign(1004, Value::Bytes(vec![0; 16]))).unwrap_err().contains("MD5"));
    let sha1: String = <sha1::Sha1 as sha1::Digest>::digest(&main).iter().map(|byte| format!("{byte:02x}")).collect();
    verify(&sign(269, Value::Text(sha1.into_bytes()))).unwrap();
    assert!(verify(&sign(269, "00".into())).unwrap_err().contains("SHA-1"));
}

#[test]
fn broken_packages_are_refused_with_the_reason() {
    let good = RpmFile::new("tool", "1.4", "1");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "this is no rpm"),
        (vec![0xED, 0xAB, 0xEE, 0xDB, 3, 0], "the middle of the lead"),
        (good.build()[..100].to_vec(), "the middle of a header"),
        (good.clone().without(1000).build(), "NAME is missing"),
        (good.clone().tag(1000, "../../etc".into()).build(), "NAME is malformed"),
        (good.clone().tag(1001, "1 2".into()).build(), "VERSION is malformed"),
        (good.clone().tag(1002, "1\n".into()).build(), "RELEASE is malformed"),
        (good.clone().tag(1022, "".into()).build(), "ARCH is missing"),
        (good.clone().tag(1000, Value::U32(vec![1])).build(), "holds no text"),
        (good.clone().tag(1006, "x".into()).build(), "holds no numbers"),
        (good.assemble(&rpm_header(SIGNATURE_REGION, &[]), b"no header at all, only text"), "there is none"),
        (good.assemble(&rpm_header(SIGNATURE_REGION, &[]), &rpm_header(MAIN_REGION, &[])), "NAME is missing"),
    ];
    for (bytes, reason) in cases {
        let told = verify(&bytes).unwrap_err();
        assert!(told.contains(reason), "{told:?} does not say {reason:?}");
    }
}
