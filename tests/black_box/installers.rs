//! Installers as real builders make them: what is read from them is what the builders' own tools say. The reader is
//! called as a library here; the doors that show its facts are tested elsewhere.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use packhouse::formats::windows::Scope;
use packhouse::formats::{Facts, Kind, inspect};

fn run(program: &str, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|e| panic!("{program} (see tests/run): {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn look(path: &Path) -> Facts {
    inspect(&mut File::open(path).unwrap(), path.file_name().unwrap().to_str().unwrap())
}

/// Sources of a package of `count` files.
fn sources(name: &str, scope: &str, count: usize) -> String {
    let files: String = (0..count)
        .map(|i| {
            format!(
                r#"<Component Id="C{i}" Guid="BBBBBBBB-7777-4888-9999-{i:012}"><File Id="F{i}" Name="file{i}.txt" Source="payload" KeyPath="yes"/></Component>"#
            )
        })
        .collect();
    let references: String = (0..count).map(|i| format!(r#"<ComponentRef Id="C{i}"/>"#)).collect();
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="11111111-2222-4333-8444-555555555555" UpgradeCode="66666666-7777-4888-9999-AAAAAAAAAAAA" Name="{name}"
           Version="1.2.3" Manufacturer="Contoso" Language="1031" Codepage="65001">
    <Package InstallerVersion="200" Compressed="yes" InstallScope="{scope}"/>
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="D" Name="Contoso">
    {files}
    </Directory></Directory></Directory>
    <Feature Id="Main" Level="1">{references}</Feature>
  </Product>
</Wix>"#
    )
}

#[test]
fn msi_packages_agree_with_their_tools() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("payload"), vec![7; 30_000]).unwrap();
    let cases =
        [("Contoso Tool", "perMachine", "x64", 1, Scope::Machine), ("Tool", "perUser", "x86", 400, Scope::User)];
    for (name, scope, arch, count, expected) in cases {
        fs::write(at.join("a.wxs"), sources(name, scope, count)).unwrap();
        run("wixl", at, &["-a", arch, "-o", "a.msi", "a.wxs"]);
        let facts = look(&at.join("a.msi"));
        let installer = facts.installer.expect("the package is read");
        let table = run("msiinfo", at, &["export", "a.msi", "Property"]);
        let value = |key: &str| {
            let row = table.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'));
            row.map(|value| value.trim_end_matches('\r').to_owned())
        };
        assert_eq!((facts.kind, facts.arch.as_deref()), (Kind::Msi, Some(arch)));
        assert_eq!((facts.name, facts.version), (value("ProductName"), value("ProductVersion")));
        assert_eq!((installer.publisher, installer.product_code), (value("Manufacturer"), value("ProductCode")));
        assert_eq!((installer.upgrade_code, installer.scope), (value("UpgradeCode"), Some(expected)));
        assert_eq!((installer.locale.as_deref(), installer.installer_type.as_deref()), (Some("de-DE"), Some("MSI")));
    }
}

#[test]
fn setups_of_nsis_are_known() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let script = r#"
Unicode true
Name "Contoso"
OutFile "setup.exe"
RequestExecutionLevel user
VIProductVersion "1.2.3.4"
VIAddVersionKey "ProductName" "Größe & Co"
VIAddVersionKey "CompanyName" "Contoso Ltd"
VIAddVersionKey "FileVersion" "1.2.3.4"
VIAddVersionKey "FileDescription" "setup"
VIAddVersionKey "LegalCopyright" "nobody"
Section
SectionEnd
"#;
    fs::write(at.join("setup.nsi"), script).unwrap();
    run("makensis", at, &["-V1", "-INPUTCHARSET", "UTF8", "setup.nsi"]);
    let facts = look(&at.join("setup.exe"));
    let installer = facts.installer.expect("the setup is read");
    assert_eq!((facts.kind, facts.name.as_deref()), (Kind::Exe, Some("Größe & Co")));
    assert_eq!((facts.version.as_deref(), facts.arch.as_deref()), (Some("1.2.3.4"), Some("x86")));
    assert_eq!(installer.publisher.as_deref(), Some("Contoso Ltd"));
    assert_eq!(installer.installer_type.as_deref(), Some("NULLSOFT"));
}
