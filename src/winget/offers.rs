//! What an uploaded installer says of itself, offered as defaults for the form that adds it (`winget.md` A6).

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::catalog;
use crate::error::{Error, Result};
use crate::formats::{Facts, Kind};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::winget::gate::Visit;
use crate::winget::{chunking, rules};

/// `GET installer_facts?server_filename=…`: what a finished upload says of itself, in the words of the form.
pub fn installer_facts(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    visit.owner(app, request)?;
    let query = request.query()?;
    let name = query.get("server_filename").map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::invalid("server_filename is required"))?;
    let upload = chunking::claimable(app, visit.tenant, name)?;
    let artifact = app.store.read(|tx| catalog::get(tx, &upload.digest))?;
    let facts = artifact.map(|artifact| artifact.facts).unwrap_or_default();
    let mut shown = offered(&facts);
    shown.insert("server_filename".to_owned(), name.into());
    shown.insert("sha256".to_owned(), upload.digest.to_hex().into());
    shown.insert("size".to_owned(), upload.size.into());
    Ok(Response::json(200, &shown))
}

/// Facts as values of the form's fields; what the form would not take is left out.
pub fn offered(facts: &Facts) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |field: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.insert(field.to_owned(), value.into());
        }
    };
    let listed =
        |value: &Option<String>, words| value.as_deref().and_then(|value| rules::listed("", value, words).ok());
    put("kind", Some(facts.kind.word()));
    put("package_name", facts.name.as_deref());
    put("package_version", facts.version.as_deref().and_then(|version| rules::version(version).ok()));
    put("file_architect", listed(&facts.arch, &rules::ARCHITECTURES));
    let Some(installer) = facts.installer.as_deref() else { return out };
    put("package_publisher", installer.publisher.as_deref());
    put("file_type", listed(&installer.installer_type, &rules::FILE_TYPES));
    // Programs do not say for whom they install; the others that do not are for their user.
    let scope = installer.scope.map(|scope| scope.word()).or((facts.kind == Kind::Msix).then_some("user"));
    put("file_scope", scope);
    put("package_locale", listed(&installer.locale, &rules::LOCALES));
    put("productcode", installer.product_code.as_deref());
    put("upgradecode", installer.upgrade_code.as_deref());
    put("package_family_name", installer.package_family_name.as_deref());
    put("signature_sha256", installer.signature_sha256.as_deref());
    if let Some(first) = installer.nested.first() {
        put("file_type_nested", Some(&first.installer_type));
        put("file_nested_path", Some(&first.path));
        let all = installer.nested.iter().map(|nested| json!({ "path": nested.path, "type": nested.installer_type }));
        out.insert("nested".to_owned(), all.collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::windows::{Installer, Nested, Scope};

    #[test]
    fn facts_in_the_words_of_the_form() {
        let installer = Installer {
            installer_type: Some("MSI".into()),
            scope: Some(Scope::Machine),
            locale: Some("ko-KR".into()),
            product_code: Some("{A}".into()),
            nested: vec![Nested { path: "a/b.exe".into(), installer_type: "EXE".into() }],
            ..Installer::default()
        };
        let facts = Facts {
            kind: Kind::Msi,
            name: Some("Tool".into()),
            version: Some("1/2".into()),
            arch: Some("neutral".into()),
            installer: Some(Box::new(installer)),
        };
        let expected = json!({
            "kind": "msi", "package_name": "Tool", "file_type": "MSI", "file_scope": "machine", "package_locale": "ko_KR",
            "productcode": "{A}", "file_type_nested": "EXE", "file_nested_path": "a/b.exe",
            "nested": [{ "path": "a/b.exe", "type": "EXE" }],
        });
        assert_eq!(Value::Object(offered(&facts)), expected);
        assert_eq!(Value::Object(offered(&Facts::default())), json!({ "kind": "file" }));
    }
}
