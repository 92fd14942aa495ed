//! Importing winget's own manifests: one file or several, with or without the installers' bytes (`winget.md` B10).

use std::collections::BTreeSet;
use std::io::Read as _;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::formats::{Facts, yaml};
use crate::http::{Part, Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::Staged;
use crate::winget::gate::Visit;
use crate::winget::model::{self, File, Row};
use crate::winget::source::documents::{self, Document};
use crate::winget::source::filing::{self, Filed};
use crate::winget::uploads;
use crate::{audit, catalog};

/// The most manifests of one request.
const MANIFEST_LIMIT: usize = 128;
/// The most installers of one request.
const FILE_LIMIT: usize = 64;

/// Members that say what a file is, not what it describes.
const HEAD: [&str; 2] = ["ManifestType", "ManifestVersion"];
/// Members of locale documents.
const LOCALE: [&str; 22] = [
    "PackageLocale",
    "Publisher",
    "PublisherUrl",
    "PublisherSupportUrl",
    "PrivacyUrl",
    "Author",
    "PackageName",
    "PackageUrl",
    "License",
    "LicenseUrl",
    "Copyright",
    "CopyrightUrl",
    "ShortDescription",
    "Description",
    "Moniker",
    "Tags",
    "Agreements",
    "ReleaseNotes",
    "ReleaseNotesUrl",
    "PurchaseUrl",
    "InstallationNotes",
    "Documentations",
];
/// The one of them that has no room above.
const ICONS: &str = "Icons";
/// Members whose values are numbers or flags; every other scalar is text.
const NUMBERS: [&str; 2] = ["InstallerReturnCode", "InstallerSuccessCodes"];
const FLAGS: [&str; 8] = [
    "InstallerAbortsTerminal",
    "InstallLocationRequired",
    "RequireExplicitUpgrade",
    "DisplayInstallWarnings",
    "DownloadCommandProhibited",
    "ArchiveBinariesDependOnPath",
    "AgreementsRequired",
    "IsPrerelease",
];

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(message)
}

/// What a set of manifests describes.
#[derive(Debug)]
pub struct Imported {
    /// The package's id.
    pub id: String,
    /// The version, as a version document.
    pub version: Document,
}

/// Puts parsed manifests together.
///
/// # Errors
/// `Invalid` when they are no set, or do not agree.
pub fn gather(manifests: Vec<Value>) -> Result<Imported> {
    let mut set = Set::default();
    for manifest in manifests {
        let mut document = documents::object(manifest, "a manifest")?;
        settle(&mut document);
        set.take(document)?;
    }
    set.done()
}

/// Brings scalars to the type their member has: YAML does not tell `1` from `"1"` when a person writes it.
fn settle(document: &mut Document) {
    fn walk(name: &str, value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| walk(name, value)),
            Value::Array(list) => list.iter_mut().for_each(|value| walk(name, value)),
            Value::Number(number) if !NUMBERS.contains(&name) => *value = number.to_string().into(),
            Value::Bool(flag) if !FLAGS.contains(&name) => *value = flag.to_string().into(),
            _ => {}
        }
    }
    document.iter_mut().for_each(|(name, value)| walk(name, value));
    document.retain(|_, value| !value.is_null());
}

/// The files of one package version, by what they are.
#[derive(Default)]
struct Set {
    id: Option<String>,
    version: Option<String>,
    /// What the version file names as the default language.
    declared: Option<String>,
    default: Option<Document>,
    locales: Vec<Document>,
    installer: Option<Document>,
    whole: bool,
    files: usize,
}

fn text(document: &Document, member: &str) -> Option<String> {
    document.get(member).and_then(Value::as_str).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Takes the members with these names out.
fn part(document: &mut Document, names: &[&str]) -> Document {
    names.iter().filter_map(|name| Some(((*name).to_owned(), document.remove(*name)?))).collect()
}

fn locale_part(document: &mut Document) -> Document {
    let mut locale = part(document, &LOCALE);
    locale.extend(part(document, &[ICONS]));
    locale
}

impl Set {
    fn take(&mut self, mut document: Document) -> Result<()> {
        self.files += 1;
        let id = documents::take_identifier(&mut document)?;
        let version = documents::take_version(&mut document)?;
        for (known, given, member) in
            [(&mut self.id, id, "PackageIdentifier"), (&mut self.version, version, "PackageVersion")]
        {
            match known {
                Some(known) if *known != given => return Err(wrong(format!("the manifests differ in {member}"))),
                _ => *known = Some(given),
            }
        }
        let kind = text(&document, "ManifestType").ok_or_else(|| wrong("ManifestType is missing"))?;
        part(&mut document, &HEAD);
        self.take_kind(&kind, document)
    }

    /// Puts a document of this type where it belongs.
    fn take_kind(&mut self, kind: &str, mut document: Document) -> Result<()> {
        let once = |there: bool| match there {
            true => Err(wrong(format!("there is more than one manifest of the type {kind}"))),
            false => Ok(()),
        };
        match kind.to_ascii_lowercase().as_str() {
            "singleton" | "merged" => {
                once(self.whole)?;
                self.whole = true;
                self.default = Some(locale_part(&mut document));
                for locale in match document.remove("Localization") {
                    Some(Value::Array(list)) => list,
                    _ => Vec::new(),
                } {
                    self.locales.push(documents::object(locale, "Localization")?);
                }
                self.installer = Some(document);
            }
            "version" => {
                once(self.declared.is_some())?;
                self.declared =
                    Some(text(&document, "DefaultLocale").ok_or_else(|| wrong("DefaultLocale is missing"))?);
            }
            "defaultlocale" => {
                once(self.default.is_some())?;
                self.default = Some(document);
            }
            "locale" => self.locales.push(document),
            "installer" => {
                once(self.installer.is_some())?;
                self.installer = Some(document);
            }
            _ => {
                return Err(wrong(
                    "ManifestType must be singleton, merged, version, installer, defaultLocale or locale",
                ));
            }
        }
        Ok(())
    }

    fn done(self) -> Result<Imported> {
        let missing = |what: &str| wrong(format!("the {what} manifest is missing"));
        if self.whole && self.files > 1 {
            return Err(wrong("a singleton manifest stands alone"));
        }
        let default = self.default.ok_or_else(|| missing("defaultLocale"))?;
        let installer = self.installer.ok_or_else(|| missing("installer"))?;
        if !self.whole {
            let declared = self.declared.ok_or_else(|| missing("version"))?;
            if !declared.eq_ignore_ascii_case(&documents::tag_of(&default)) {
                return Err(wrong("DefaultLocale of the version manifest is not PackageLocale of the default one"));
            }
        }
        let installers = installers(installer)?;
        let version = self.version.unwrap_or_default();
        let locales: Vec<Value> = self.locales.into_iter().map(Value::Object).collect();
        let version = json!({
            "PackageVersion": version,
            "DefaultLocale": default,
            "Locales": locales,
            "Installers": installers,
        });
        let id = self.id.ok_or_else(|| wrong("there is no manifest"))?;
        Ok(Imported { id, version: documents::object(version, "the version")? })
    }
}

/// The installers of an installer manifest, each with the root's values where it has none of its own.
fn installers(mut root: Document) -> Result<Vec<Value>> {
    let list = match root.remove("Installers") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => return Err(wrong("Installers is missing")),
    };
    part(&mut root, &["Channel", "InstallerIdentifier"]);
    let one = |installer: Value| {
        let mut own = documents::object(installer, "Installers")?;
        let named =
            |member: &str| text(&own, member).or_else(|| text(&root, member)).unwrap_or_default().to_lowercase();
        let kind = named("InstallerType");
        let effective = if kind == "zip" { named("NestedInstallerType") } else { kind.clone() };
        for (member, value) in &root {
            let fits = match member.as_str() {
                "ProductCode" | "AppsAndFeaturesEntries" => documents::is_coded(&effective),
                "PackageFamilyName" => matches!(effective.as_str(), "msix" | "appx"),
                "NestedInstallerType" | "NestedInstallerFiles" => kind == "zip",
                _ => true,
            };
            if !fits {
                continue;
            }
            match (own.get_mut(member), value) {
                (None, _) => _ = own.insert(member.clone(), value.clone()),
                // Switches are taken over one by one.
                (Some(Value::Object(own)), Value::Object(root)) if member == "InstallerSwitches" => {
                    for (switch, text) in root {
                        own.entry(switch.clone()).or_insert_with(|| text.clone());
                    }
                }
                _ => {}
            }
        }
        Ok(Value::Object(own))
    };
    list.into_iter().map(one).collect()
}

/// A file that came along.
struct Given {
    name: String,
    staged: Staged,
}

/// `POST /cloud/client/api/{tenant}/import_manifest`.
pub fn import(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let admin = visit.owner(app, request)?;
    let (manifests, files) = receive(app, request)?;
    let Imported { id, version } = gather(manifests)?;
    let filed = filing::filed(version)?;
    let stored = stored(&filed, &files)?;
    let kept: Vec<(Digest, u64, Facts, String)> = files.iter().map(described).collect();
    let staged = files.into_iter().map(|file| file.staged).collect();
    let answer = json!({
        "Message": "Manifest was imported successfully!",
        "PackageIdentifier": id,
        "PackageVersion": filed.release.version,
        "UIDS": filed.rows.iter().map(|row| row.uid).collect::<Vec<_>>(),
    });
    let (inside, by) = (app.clone(), admin.by(app));
    app.store.shelve(staged, move |tx| {
        let before = model::used(tx, visit.tenant)?;
        for (digest, size, facts, name) in &kept {
            catalog::admit(tx, digest, *size, facts, name, by.now)?;
        }
        if model::package(tx, visit.tenant, &id)?.is_none() {
            model::add_package(tx, visit.tenant, &filing::new_package(&id, Map::new(), &by), &by)?;
        }
        for (row, file) in filed.rows.iter().zip(&stored) {
            let file = match file {
                Some(file) => Some(file.clone()),
                None => filing::held(tx, visit.tenant, &admin, row)?,
            };
            model::add_row(tx, visit.tenant, &id, &Row { file, ..row.clone() }, &by)?;
        }
        uploads::judge_growth(tx, visit.tenant, visit.settings.storage_quota, before)?;
        model::put_release(tx, visit.tenant, &id, &filed.release)?;
        filing::name_package(&inside, tx, visit.tenant, &id, &filed.release, &by)?;
        let subject = format!("{id} {}", filed.release.version);
        audit::note(tx, by.now, &by.who, "winget.import", &subject, Some(visit.address))
    })?;
    Ok(Response::json(201, &answer))
}

/// The bytes of each installer that came along; every file must belong to one.
fn stored(filed: &Filed, files: &[Given]) -> Result<Vec<Option<File>>> {
    let mut used = BTreeSet::new();
    let stored = filed.rows.iter().map(|row| {
        let given = files.iter().find(|file| Some(file.staged.digest) == row.url_sha256)?;
        used.insert(given.staged.digest);
        let extension = filing::extension(&row.kind, &[&given.name, &row.url]);
        Some(File { digest: given.staged.digest, size: given.staged.size, extension })
    });
    let stored: Vec<Option<File>> = stored.collect();
    match files.iter().find(|file| !used.contains(&file.staged.digest)) {
        Some(stray) => Err(wrong(format!("no installer has the SHA-256 {} of a file", stray.staged.digest))),
        None => Ok(stored),
    }
}

fn described(file: &Given) -> (Digest, u64, Facts, String) {
    let facts = catalog::inspect(&file.staged, &file.name);
    (file.staged.digest, file.staged.size, facts, file.name.clone())
}

/// Reads the form: manifests, and files as they come.
fn receive(app: &App, request: &mut Request) -> Result<(Vec<Value>, Vec<Given>)> {
    if request.media_type() != "multipart/form-data" {
        return Err(wrong("the form must be multipart/form-data with a part manifest"));
    }
    let length = request.body().length();
    let (mut manifests, mut files) = (Vec::new(), Vec::new());
    let mut parts = request.multipart()?;
    while let Some(mut part) = parts.next_part()? {
        match part.name() {
            Some("manifest") => {
                if manifests.len() >= MANIFEST_LIMIT {
                    return Err(wrong(format!("a form has at most {MANIFEST_LIMIT} manifests")));
                }
                manifests.push(manifest(&mut part)?);
            }
            Some("file") => {
                if files.len() >= FILE_LIMIT {
                    return Err(wrong(format!("a form has at most {FILE_LIMIT} files")));
                }
                let name = shown_name(part.file_name().unwrap_or_default());
                let mut stage = app.store.stage(length)?;
                stage.copy_from(&mut part, app.settings.max_upload)?;
                files.push(Given { name, staged: stage.finish()? });
            }
            _ => {}
        }
    }
    match manifests.is_empty() {
        true => Err(wrong("a part manifest is required")),
        false => Ok((manifests, files)),
    }
}

fn manifest(part: &mut Part<'_>) -> Result<Value> {
    let mut bytes = Vec::new();
    let limit = yaml::TEXT_LIMIT as u64 + 1;
    part.take(limit).read_to_end(&mut bytes).map_err(crate::http::body_error)?;
    yaml::read(&bytes).map_err(|message| Error::new(Kind::Invalid, format!("a manifest cannot be read: {message}")))
}

/// The client's file name without directories and control characters, at most 255 bytes.
fn shown_name(given: &str) -> String {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = base.chars().filter(|c| !c.is_control()).collect();
    while name.len() > 255 {
        name.pop();
    }
    if name.is_empty() { "installer".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<Imported> {
        gather(texts.iter().map(|text| yaml::read(text.as_bytes()).unwrap()).collect())
    }

    const SINGLETON: &str = "PackageIdentifier: Contoso.App\nPackageVersion: 1.10\nPackageLocale: en-US\nPublisher: Contoso\n\
        PackageName: App\nLicense: MIT\nShortDescription: An app\nTags: [2024, true]\nInstallerType: exe\nProductCode: App\n\
        InstallerSwitches: {Silent: /S, Custom: /X}\nInstallers:\n- Architecture: x64\n  InstallerUrl: https://x/a.exe\n\
        \x20 InstallerSha256: A\n- Architecture: x86\n  InstallerType: msix\n  InstallerSwitches: {Silent: /Q}\n\
        ManifestType: singleton\nManifestVersion: 1.6.0\n";

    #[test]
    fn one_file_says_everything() {
        let found = of(&[SINGLETON]).unwrap();
        assert_eq!(found.id, "Contoso.App");
        let expected = json!({
            "PackageVersion": "1.10",
            "DefaultLocale": {
                "PackageLocale": "en-US", "Publisher": "Contoso", "PackageName": "App", "License": "MIT",
                "ShortDescription": "An app", "Tags": ["2024", "true"],
            },
            "Locales": [],
            "Installers": [
                {
                    "Architecture": "x64", "InstallerType": "exe", "ProductCode": "App", "InstallerSha256": "A",
                    "InstallerUrl": "https://x/a.exe", "InstallerSwitches": {"Silent": "/S", "Custom": "/X"},
                },
                {"Architecture": "x86", "InstallerType": "msix", "InstallerSwitches": {"Silent": "/Q", "Custom": "/X"}},
            ],
        });
        assert_eq!(Value::Object(found.version), expected);
    }

    #[test]
    fn several_files_have_to_agree() {
        let head = "PackageIdentifier: A.B\nPackageVersion: '1'\n";
        let file = |kind: &str, rest: &str| format!("{head}ManifestType: {kind}\n{rest}\n");
        let version = file("version", "DefaultLocale: en-us");
        let installer = file("installer", "Installers: [{Architecture: x64}]");
        let default = file("defaultLocale", "PackageLocale: en-US");
        let locale = file("locale", "PackageLocale: de-DE");
        let found = of(&[&locale, &version, &default, &installer]).unwrap();
        assert_eq!(found.version["Locales"], json!([{"PackageLocale": "de-DE"}]));
        let other = default.replace("A.B", "A.C");
        let german = default.replace("en-US", "de-DE");
        for bad in [
            vec![version.as_str(), &default],
            vec![&version, &installer],
            vec![&default, &installer],
            vec![&version, &other, &installer],
            vec![&version, &german, &installer],
            vec![&version, &version, &default, &installer],
            vec![SINGLETON, &version],
            vec![&file("nonsense", "")],
            vec![head],
            vec!["PackageVersion: '1'\nManifestType: version\n"],
            vec![],
        ] {
            assert!(of(&bad).is_err(), "{bad:?}");
        }
    }
}
