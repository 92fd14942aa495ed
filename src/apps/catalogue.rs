//! Apps and their logos (`faynosync.md` §5).

use serde_json::json;

use crate::app::{App, BlobSource};
use crate::apps::actor::{Actor, Errand};
use crate::apps::downloads::no_file;
use crate::apps::form::{self, Description, Fields, Form};
use crate::apps::links::{self, Links};
use crate::apps::model::{self, Logo, Object};
use crate::apps::records;
use crate::apps::{refused_deletion, rules};
use crate::catalog::{self, Holder};
use crate::error::{Error, Result};
use crate::http::{FileAnswer, Request, Response, serve_file};
use crate::identity::{Principal, accounts};
use crate::ids::ObjectId;
use crate::store::Staged;
use crate::store::table::{Read, WriteTx};

/// The largest logo, in bytes.
const LOGO_LIMIT: u64 = 16 << 20;

/// What `data` says of an app.
struct Wanted {
    name: String,
    description: Option<String>,
}

impl Wanted {
    fn read(data: &Fields) -> Result<Wanted> {
        let description = data.text("description")?.map(str::to_owned);
        let name = data.filled("app")?.ok_or_else(|| Error::invalid("app is required"))?;
        Object::App.check_name(name)?;
        Ok(Wanted { name: name.to_owned(), description })
    }
}

/// A logo that came with a form: what is stored of it, and what the catalog is told.
type Picture = (Logo, Description);

fn logo(form: Form) -> Result<(Fields, Option<Picture>, Vec<Staged>)> {
    if form.files.len() > 1 {
        return Err(Error::invalid("an app has one logo"));
    }
    let picture = form.files.first().map(|file| {
        let image = rules::image_type(&file.head(16)).map(str::to_owned);
        let description = file.description();
        (Logo { digest: file.staged.digest, file_name: file.name.clone(), image }, description)
    });
    Ok((form.data, picture, form.files.into_iter().map(|file| file.staged).collect()))
}

/// Gives an app its logo: the new one is held, the old one let go.
fn hold_logo(errand: &Errand, tx: &WriteTx<'_>, id: ObjectId, old: Option<&Logo>, picture: &Picture) -> Result<()> {
    let (logo, file) = picture;
    let holder = Holder::logo(id);
    catalog::admit(tx, &file.digest, file.size, &file.facts, &file.name, errand.now)?;
    catalog::hold(tx, &logo.digest, &logo.file_name, &holder, false, &errand.actor.label, errand.now)?;
    match old.filter(|old| old.digest != logo.digest) {
        Some(old) => catalog::release(errand.store(), tx, &old.digest, &holder),
        None => Ok(()),
    }
}

/// `POST /app/create`.
pub fn create(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.create)?;
    let form = Form::read(app, request, Some(LOGO_LIMIT), |data| Wanted::read(data).map(drop))?;
    let (data, picture, staged) = logo(form)?;
    let private = data.flag("private")?.unwrap_or(false);
    let wanted = Wanted::read(&data)?;
    let id = ObjectId::random()?;
    let errand = Errand::new(app, &actor, request);
    app.store.shelve(staged, move |tx| {
        errand.run(tx, "app.create", &mut |errand, tx| {
            let record = model::App {
                tenant: errand.actor.tenant,
                name: wanted.name.clone(),
                description: wanted.description.clone().unwrap_or_default(),
                private,
                logo: picture.as_ref().map(|(logo, _)| logo.clone()),
                created: errand.now,
                updated: errand.now,
            };
            model::create_app(tx, id, &record)?;
            if let Some(picture) = &picture {
                hold_logo(errand, tx, id, None, picture)?;
            }
            if let Some(creator) = errand.actor.creator() {
                accounts::allow(tx, creator, |permissions| Object::App.rights_mut(permissions), id)?;
            }
            Ok(((), format!("app {}", wanted.name)))
        })
    })?;
    Ok(Response::json(200, &json!({ "createAppResult.Created": id })))
}

/// `GET /app/list`.
pub fn list(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    let links = Links::new(links::base(app, request)?, &actor.owner_name, actor.first);
    let shown = app.store.read(|tx| {
        let mut shown = Vec::new();
        for (_, id) in model::names(tx, actor.tenant, Object::App)? {
            let Some(record) = model::app(tx, id)?.filter(|_| actor.sees(Object::App, id)) else { continue };
            shown.push(json!({
                "ID": id,
                "AppName": record.name,
                "Logo": links.logo(id, record.logo.as_ref()),
                "Description": record.description,
                "Private": record.private,
                "Owner": actor.owner_name,
                "Tuf": false,
                "Reports": false,
                "CdnEdge": false,
                "Updated_at": record.updated.rfc3339_millis(),
            }));
        }
        Ok(shown)
    })?;
    Ok(Response::json(200, &json!({ "apps": shown })))
}

/// `POST /app/update`: another name, description or logo; what is absent stays.
pub fn update(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.edit)?;
    let form = Form::read(app, request, Some(LOGO_LIMIT), |_| Ok(()))?;
    let (data, picture, staged) = logo(form)?;
    let id = data.filled("id")?.map(str::to_owned).ok_or_else(|| Error::invalid("id is required"))?;
    let wanted = Wanted::read(&data)?;
    let id = form::id(&id)?;
    let errand = Errand::new(app, &actor, request);
    app.store.shelve(staged, move |tx| {
        errand.run(tx, "app.rename", &mut |errand, tx| {
            let old = model::app(tx, id)?.filter(|old| old.tenant == errand.actor.tenant);
            let old = old.ok_or_else(|| Error::not_found("app not found"))?;
            errand.actor.allowed(Object::App, id, "update")?;
            let new = model::App {
                name: wanted.name.clone(),
                description: wanted.description.clone().unwrap_or_else(|| old.description.clone()),
                logo: picture.as_ref().map(|(logo, _)| logo.clone()).or_else(|| old.logo.clone()),
                updated: errand.now,
                ..old.clone()
            };
            model::update_app(tx, id, &old, &new)?;
            if let Some(picture) = &picture {
                hold_logo(errand, tx, id, old.logo.as_ref(), picture)?;
            }
            Ok(((), format!("app {} to {}", old.name, new.name)))
        })
    })?;
    Ok(Response::json(200, &json!({ "updateAppResult.Updated": true })))
}

/// `DELETE /app/delete?id=`: an app without versions.
pub fn delete(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.delete)?;
    let id = form::id(request.query()?.get("id").unwrap_or_default())?;
    let done = Errand::new(app, &actor, request).commit("app.delete", move |errand, tx| {
        let record = model::app(tx, id)?.ok_or_else(|| Error::not_found("app not found"))?;
        if record.tenant != errand.actor.tenant {
            return Err(Error::forbidden("you don't have permission to delete this app"));
        }
        errand.actor.allowed(Object::App, id, "delete")?;
        if records::any_of(tx, id)? {
            return Err(Error::conflict("you can't delete this item because it is related to other items"));
        }
        model::remove_app(tx, id, &record)?;
        catalog::release_all(errand.store(), tx, &Holder::logo(id))?;
        accounts::forget_object(tx, errand.actor.owner, id)?;
        Ok(((), format!("app {}", record.name)))
    });
    match done {
        Ok(()) => Ok(Response::json(200, &json!({ "deleteAppResult.DeletedCount": 1 }))),
        Err(error) => refused_deletion("app", error),
    }
}

/// `GET /app/logo/{id}`: the picture, for anyone.
pub fn picture(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let id = form::id(&request.params.get("id")?).map_err(|_| no_file())?;
    let read = |tx: &_| -> Result<_> { Ok(model::app(tx, id)?.and_then(|app| Some((app.logo?, app.updated)))) };
    let (logo, updated) = app.store.read(read)?.ok_or_else(no_file)?;
    let blob = match app.store.blob(&logo.digest) {
        // Replaced or deleted meanwhile.
        Err(_) if app.store.read(|tx| has_other_logo(tx, id, &logo)).unwrap_or(false) => return Err(no_file()),
        blob => blob?,
    };
    Ok(serve_file(
        &request.head,
        FileAnswer {
            source: Box::new(BlobSource(blob)),
            etag: format!("\"{}\"", logo.digest),
            last_modified: updated.system(),
            download_name: logo.image.is_none().then_some(logo.file_name),
            content_type: logo.image.unwrap_or_else(|| "application/octet-stream".to_owned()),
            cache_control: "no-cache",
            extra: Vec::new(),
        },
    ))
}

fn has_other_logo(tx: &impl Read, id: ObjectId, logo: &Logo) -> Result<bool> {
    Ok(model::app(tx, id)?.is_none_or(|app| app.logo.as_ref() != Some(logo)))
}
