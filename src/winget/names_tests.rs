//! What is left of names, in a table.

use super::*;

#[test]
fn what_stays_of_a_name() {
    let rows = [
        ("Contoso Reader 7.2 (x64)", "contosoreader"),
        ("Contoso Reader", "contosoreader"),
        ("7-Zip 21.07 (x64 edition)", "7zip"),
        ("7-Zip 20.02 alpha (x64)", "7zipalpha"),
        ("Notepad++ (64-bit x64)", "notepad"),
        ("Git version 2.40.1", "git"),
        ("Tool v7", "tool"),
        ("Tool Version 7", "tool"),
        ("Tool v. 6.21.2", "toolv"),
        ("Tool V2.0.2.11", "tool"),
        ("Tool version v2020", "tool"),
        ("Tool version r1.6", "tool"),
        ("Tool version nightly", "toolversionnightly"),
        ("Tool R2", "tool"),
        ("Tool SP1 for build 12a", "tool"),
        ("Tool for v3", "tool"),
        ("Tool R Open 3.5.3", "toolropen"),
        ("Tool 8_8_2 Blue Edition", "toolblueedition"),
        ("Tool 5.0.100-preview.5.20279.10 (x64)", "tool"),
        ("Tool 2.1.0-6299 Community", "toolcommunity"),
        ("Tool 8975-master-8d77da3", "tool8975master8d77da3"),
        ("Tool 9-2020-q2-update 9 2020 (remove only)", "tool92020"),
        ("Tool_beta_1.1.6 version beta_1.1.6", "toolbetaversionbeta"),
        ("Toolkit go1.13.12", "toolkitgo"),
        ("Tool 4.0 beta 2", "toolbeta2"),
        ("Tool amd64 1.15beta1", "tool"),
        ("Tool 201011.x64", "tool201011"),
        ("Tool x86_64", "tool"),
        ("Tool64 Fox86", "tool64fox86"),
        ("Tool 3.0, 32\\64 bit edition", "tool"),
        ("Tool 3.3, 32/64 bit", "tool"),
        ("Tool ARM64", "toolarm64"),
        ("Tool Win64", "toolwin64"),
        ("Tool (build: 2020 (x) y) z", "toolz"),
        ("(beta) Tool [a] {b} c", "toolc"),
        ("\"Tool\"", "tool"),
        ("Fix for (KB42)", "fixforkb42"),
        ("Tool 8 Update 251 (64-bit)", "tool8update251"),
        ("Tool | Update", "toolupdate"),
        ("360 工具 2.0", "360工具"),
        ("Tool EN", "tool"),
        ("Tool@@secret", "tool"),
        ("https://tool.example", "toolexample"),
        ("Mozilla Firefox (x64 en-US)", "mozillafirefox"),
        ("Mozilla Firefox 64-bit en-US", "mozillafirefox"),
        ("Acme 64 bit", "acme"),
        ("Acme Tools, Inc.", "acmetools"),
        ("Acme PS & CO GmbH", "acme"),
        ("AT&T Tool", "atttool"),
        ("Inc", "inc"),
        ("Größe 2.0 [x86]", "größe"),
        ("Studio 2022", "studio2022"),
        ("Acme® Writer™ 2.0", "acmewritertm"),
        ("Ｗｒｉｔｅｒ\u{A0}２．０", "writer"),
        ("Area in m²", "areainm2"),
        ("Wi-Fi Tool", "wifitool"),
        ("Hi-Fi Player 3.1", "hifiplayer"),
        ("E-Mail X-Ray 2.0", "emailxray"),
        ("Cli-Tool-Up", "clitoolup"),
        ("Names-mx", "namesmx"),
        ("Office de-DE", "office"),
        ("Office (es-mx)", "office"),
        ("Office zh-Hant-TW", "officezhhanttw"),
        ("Office sr-Latn-RS 16.0", "office"),
        ("Office ca-ES-valencia", "office"),
        ("Office fil-PH", "office"),
        // A tag that is none goes on to the next word.
        ("Office xb-de-at", "officexbdeat"),
        ("en-US", ""),
        ("x64", ""),
        ("1.2.3", ""),
        ("", ""),
        ("(((", ""),
        ("@@@@@", ""),
        ("v", "v"),
        ("r2", ""),
    ];
    for (name, normal) in rows {
        assert_eq!(normalized(name), normal, "{name}");
    }
}

#[test]
fn whatever_comes_ends() {
    for part in ["(", ")", "[1.", "v1.", "for ", "\"", "@@", "64-bit", "en-us ", "(kb1", "-", ".", "ß", "İ"] {
        let _ = normalized(&part.repeat(300));
    }
}
