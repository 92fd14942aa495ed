//! The fields of a version as the form of `add_package_version` gives them (`winget.md` A6).

use crate::error::{Error, Result};
use crate::winget::form::Form;
use crate::winget::model::{Dependencies, Row};
use crate::winget::rules;

/// Most entries of one list of dependencies.
const MAX_DEPENDENCIES: usize = 64;

/// The row a form describes, without its UID and its file.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn row(form: &Form) -> Result<Row> {
    let version = form.required(&["package_version", "version"])?;
    let architecture = form.required(&["file_architect", "architecture", "file_architecture"])?;
    let kind = form.required(&["file_type", "installer_type"])?;
    let scope = form.required(&["file_scope", "scope"])?;
    let locale = form.any(&["package_locale", "package_local", "locale"]).filter(|text| !text.trim().is_empty());
    let text = |field: &str| rules::optional(field, form.get(field).unwrap_or_default(), 255).map(str::to_owned);
    let mut row = Row {
        version: rules::version(version)?.to_owned(),
        architecture: rules::listed("file_architect", architecture, &rules::ARCHITECTURES)?.to_owned(),
        kind: rules::listed("file_type", kind, &rules::FILE_TYPES)?.to_owned(),
        scope: rules::listed("file_scope", scope, &rules::SCOPES)?.to_owned(),
        locale: rules::listed("package_locale", locale.unwrap_or(rules::DEFAULT_LOCALE), &rules::LOCALES)?.to_owned(),
        channel: rules::channel(form.get("channel").filter(|text| !text.trim().is_empty()))?,
        product_code: text("productcode")?,
        upgrade_code: text("upgradecode")?,
        family_name: text("package_family_name")?,
        upgrades: upgrades(form)?,
        dependencies: dependencies(form)?,
        ..Row::default()
    };
    for switch in rules::SWITCHES {
        let field = format!("switch_{switch}");
        let value = rules::optional(&field, form.get(&field).unwrap_or_default(), rules::switch_limit(switch))?;
        if !value.is_empty() {
            row.switches.insert(switch.to_owned(), value.to_owned());
        }
    }
    if row.kind == "ZIP" {
        (row.nested, row.nested_paths) = nested(form)?;
    }
    Ok(row)
}

/// The type inside an archive and its one path.
fn nested(form: &Form) -> Result<(String, Vec<String>)> {
    let kind = form.get("file_type_nested").unwrap_or_default();
    let kind = rules::listed("file_type_nested", kind, &rules::FILE_TYPES)?;
    if kind == "ZIP" {
        return Err(Error::invalid("file_type_nested must not be ZIP"));
    }
    let paths: Vec<&str> = form.all("file_nested_path").filter(|path| !path.trim().is_empty()).collect();
    match paths.as_slice() {
        [path] => Ok((kind.to_owned(), vec![rules::nested_path(path)?.to_owned()])),
        [] => Err(Error::invalid("file_nested_path is required for ZIP")),
        _ => Err(Error::invalid("file_nested_path must be one path for this type")),
    }
}

/// Empty for the default.
fn upgrades(form: &Form) -> Result<String> {
    let given = form.get("upgrades").filter(|text| !text.trim().is_empty()).unwrap_or("install");
    let known = rules::listed("upgrades", given, &rules::UPGRADES)?;
    Ok(if known == "install" { String::new() } else { known.to_owned() })
}

fn dependencies(form: &Form) -> Result<Dependencies> {
    let list = |field: &str| -> Result<Vec<String>> {
        let entries = form.entries(field);
        judge_list(field, &entries)?;
        Ok(entries)
    };
    let ids = list("dep_pkg_identifier")?;
    // An empty lowest version keeps its place, so that each stands beside its package.
    let versions: Vec<&str> =
        form.all("dep_pkg_min_version").flat_map(|value| value.split(',')).map(str::trim).collect();
    if versions.iter().filter(|version| !version.is_empty()).count() > ids.len() {
        return Err(Error::invalid("dep_pkg_min_version has more entries than dep_pkg_identifier"));
    }
    let mut packages = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let version = versions.get(at).copied().unwrap_or_default();
        let version = if version.is_empty() { "" } else { rules::version(version)? };
        packages.push((rules::package_id(id)?.to_owned(), version.to_owned()));
    }
    Ok(Dependencies {
        features: list("dep_windows_features")?,
        libraries: list("dep_windows_libraries")?,
        packages,
        external: list("dep_external")?,
    })
}

fn judge_list(field: &str, entries: &[String]) -> Result<()> {
    if entries.len() > MAX_DEPENDENCIES {
        return Err(Error::invalid(format!("{field} may have at most {MAX_DEPENDENCIES} entries")));
    }
    entries.iter().try_for_each(|entry| rules::optional(field, entry, 128).map(drop))
}
