//! Adding, changing and deleting packages (`winget.md` A5).

use serde_json::json;

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::formats::Facts;
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::store::table::WriteTx;
use crate::winget::form::{Form, Wanted};
use crate::winget::gate::{Visit, segment};
use crate::winget::model::{self, By, Logo, Package};
use crate::winget::rules::{self, Picture};
use crate::winget::{tenant, uploads};
use crate::{audit, catalog};

/// A logo: at most 5 MiB.
const LOGO: Wanted = Wanted { name: "Logo", limit: Some(5 << 20) };

/// A logo on its way in, and what the catalog is told of it.
type Arriving = Option<(Logo, Facts)>;

fn logo(form: &Form) -> Result<Arriving> {
    let Some(file) = form.file(LOGO.name) else { return Ok(None) };
    let picture = Picture::of(&file.head(16)).ok_or_else(|| Error::invalid("Logo must be a PNG or JPEG picture"))?;
    let logo = Logo { digest: file.staged.digest, size: file.staged.size, picture };
    Ok(Some((logo, file.facts())))
}

/// Has the logo in the catalog, if it fits the quota.
fn admit(tx: &WriteTx<'_>, visit: &Visit, arriving: &Arriving, by: &By) -> Result<()> {
    let Some((logo, facts)) = arriving else { return Ok(()) };
    if !model::has_file(tx, visit.tenant, logo.digest)? {
        uploads::judge_quota(tx, visit.tenant, visit.settings.storage_quota, logo.size)?;
    }
    let name = format!("logo.{}", logo.picture.extension());
    catalog::admit(tx, &logo.digest, logo.size, facts, &name, by.now)
}

/// `POST add_package`.
pub fn add(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let form = Form::read(app, request, &[LOGO])?;
    let package = Package {
        id: rules::package_id(form.required(&["package_id"])?)?.to_owned(),
        name: rules::label("package_name", form.required(&["package_name"])?)?.to_owned(),
        publisher: rules::label("package_publisher", form.required(&["package_publisher"])?)?.to_owned(),
        description: rules::description(form.required(&["package_description"])?)?.to_owned(),
        active: true,
        ..Package::empty(by.now)
    };
    let arriving = logo(&form)?;
    let package = Package { logo: arriving.as_ref().map(|(logo, _)| *logo), ..package };
    app.store.shelve(form.into_staged(), move |tx| {
        if model::package(tx, visit.tenant, &package.id)?.is_some() {
            // The dialect says 401 here, not 409.
            return Err(Error::new(Kind::Unauthenticated, "Package ID already available!"));
        }
        admit(tx, &visit, &arriving, &by)?;
        model::add_package(tx, visit.tenant, &package, &by)?;
        audit::note(tx, by.now, &by.who, "winget.add_package", &package.id, Some(visit.address))
    })?;
    Ok(Response::json(200, &json!({ "Message": "Package was added successfully!" })))
}

/// What an edit changes; what is absent stays.
struct Edit {
    name: Option<String>,
    publisher: Option<String>,
    description: Option<String>,
    active: Option<bool>,
    logo: Option<Logo>,
}

impl Edit {
    fn read(form: &Form, logo: Option<Logo>) -> Result<Edit> {
        let label = |field: &str| form.get(field).map(|text| rules::label(field, text).map(str::to_owned)).transpose();
        let description = form.get("package_description").map(rules::description).transpose()?;
        Ok(Edit {
            name: label("package_name")?,
            publisher: label("package_publisher")?,
            description: description.map(str::to_owned),
            active: form.get("package_active").map(|text| rules::flag("package_active", text)).transpose()?,
            logo,
        })
    }

    fn apply(&self, package: Package, by: &By) -> Package {
        Package {
            name: self.name.clone().unwrap_or(package.name),
            publisher: self.publisher.clone().unwrap_or(package.publisher),
            description: self.description.clone().unwrap_or(package.description),
            active: self.active.unwrap_or(package.active),
            logo: self.logo.or(package.logo),
            updated: by.now,
            ..package
        }
    }
}

/// `PATCH edit_package/{package_id}`.
pub fn edit(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = segment(request, "package_id")?;
    let form = Form::read(app, request, &[LOGO])?;
    let arriving = logo(&form)?;
    let edit = Edit::read(&form, arriving.as_ref().map(|(logo, _)| *logo))?;
    let store = app.store.clone();
    app.store.shelve(form.into_staged(), move |tx| {
        let package = model::known_package(tx, visit.tenant, &id)?;
        admit(tx, &visit, &arriving, &by)?;
        model::update_package(&store, tx, visit.tenant, &edit.apply(package, &by), &by)?;
        audit::note(tx, by.now, &by.who, "winget.edit_package", &id, Some(visit.address))
    })?;
    Ok(Response::json(200, &json!({ "Message": "Package was updated successfully!" })))
}

/// `DELETE delete_package/{package_id}`.
pub fn delete(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let visit = Visit::open(app, request)?;
    let by = visit.owner(app, request)?.by(app);
    let id = segment(request, "package_id")?;
    let store = app.store.clone();
    app.store.commit(move |tx| {
        model::known_package(tx, visit.tenant, &id)?;
        model::remove_package(&store, tx, visit.tenant, &id)?;
        tenant::forget_package(tx, visit.tenant, &id)?;
        audit::note(tx, by.now, &by.who, "winget.delete_package", &id, Some(visit.address))
    })?;
    Ok(Response::json(200, &json!({ "Message": "Package was deleted successfully!" })))
}
