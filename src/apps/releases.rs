//! `POST /upload` and `POST /apps/update`: versions and their artifacts come in and change (`faynosync.md` §6).

use serde_json::json;

use crate::app::App;
use crate::apps::actor::{Actor, Errand};
use crate::apps::form::{self, Description, Fields, Form};
use crate::apps::model::{self, Object};
use crate::apps::offers::{self, Source};
use crate::apps::pick::{self, Axes, Names, no_app};
use crate::apps::records::{self, Artifact, Package, Release};
use crate::apps::rules::{self, KeyNames, Updater, Wish};
use crate::apps::velopack;
use crate::apps::versions::Version;
use crate::catalog;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::ids::{ObjectId, random};
use crate::store::Staged;
use crate::store::table::{Read, WriteTx};

/// What `data` says of a version.
struct Upload {
    app: String,
    version: Version,
    names: Names,
    publish: Option<bool>,
    critical: Option<bool>,
    intermediate: Option<bool>,
    rollout: Option<u8>,
    changelog: Option<String>,
    updater: Option<String>,
    signature: Option<String>,
}

impl Upload {
    fn read(data: &Fields) -> Result<Upload> {
        let owned = |key: &str| Ok(data.filled(key)?.map(str::to_owned));
        // Types come before meanings.
        let (app, version) = (data.text("app_name")?, data.text("version")?);
        let names = Names { channel: owned("channel")?, platform: owned("platform")?, arch: owned("arch")? };
        let upload = Upload {
            version: Version::parse("0").ok_or_else(|| data.wrong())?,
            app: app.unwrap_or_default().to_owned(),
            names,
            publish: data.flag("publish")?,
            critical: data.flag("critical")?,
            intermediate: data.flag("intermediate")?,
            rollout: None,
            changelog: owned("changelog")?,
            updater: owned("updater")?,
            signature: owned("signature")?,
        };
        if !rules::is_app_name(&upload.app) {
            return Err(Error::invalid("invalid app_name parameter"));
        }
        let version = rules::version(version.unwrap_or_default())?;
        upload.names.check()?;
        Ok(Upload { version, rollout: data.percent("rollout")?, ..upload })
    }

    /// The updater named; none for `manual` and where none is.
    fn updater(&self) -> Result<Option<Updater>> {
        let Some(word) = &self.updater else { return Ok(None) };
        match Updater::from_word(word) {
            Some(Updater::Manual) => Ok(None),
            Some(updater) => Ok(Some(updater)),
            None => Err(Error::invalid(format!("invalid updater type: {word}"))),
        }
    }

    /// Finds app, channel, platform and architecture of a new upload, and whether the actor may use them.
    fn find(&self, tx: &impl Read, actor: &Actor) -> Result<(ObjectId, model::App, Axes)> {
        self.names.require(tx, actor.tenant)?;
        let axes = self.names.find(tx, actor.tenant)?;
        let (id, app) = pick::app(tx, actor.tenant, &self.app)?.ok_or_else(|| {
            Error::not_found("app_name not found in apps_meta collection or you don't have permission to access it")
        })?;
        self.access(actor, id, axes)?;
        Ok((id, app, axes))
    }

    fn access(&self, actor: &Actor, app: ObjectId, axes: Axes) -> Result<()> {
        actor.access(Object::App, app)?;
        let named = [(Object::Channel, axes.channel), (Object::Platform, axes.platform), (Object::Arch, axes.arch)];
        for (object, id) in named {
            if let Some(id) = id {
                actor.access(object, id)?;
            }
        }
        Ok(())
    }

    /// Whether the files are what the updater needs.
    fn check_files(&self, sources: &[Source]) -> Result<()> {
        let names: Vec<&str> = sources.iter().map(Source::name).collect();
        let updater = self.updater()?.unwrap_or(Updater::Manual);
        rules::check_files(updater, &self.version, self.signature.as_deref(), &names)
    }

    /// What the files are once their bytes are out of hand; the bytes themselves follow.
    fn unpack(&self, app: &App, sources: Vec<Source>) -> Result<(Vec<New>, Vec<Staged>)> {
        let packages = match self.updater()? {
            Some(Updater::Velopack) => velopack::packages(app, &sources)?,
            _ => sources.iter().map(|_| None).collect(),
        };
        let (mut news, mut staged) = (Vec::new(), Vec::new());
        for (source, package) in sources.into_iter().zip(packages) {
            match source {
                Source::File(file) => {
                    news.push(New { file: file.description(), offer: None, package });
                    staged.push(file.staged);
                }
                Source::Offer(wish, known) => news.push(New { file: known, offer: Some(wish), package }),
            }
        }
        Ok((news, staged))
    }
}

/// A file on its way into a release.
struct New {
    file: Description,
    /// Set where the bytes are on the shelf already.
    offer: Option<Wish>,
    package: Option<Package>,
}

/// What happens when a release has such a file already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    /// The upload is refused.
    Refuse,
    /// Its bytes are replaced under the same link.
    Replace,
}

/// `POST /upload`: all files of the request become artifacts of one version, or none does.
pub fn upload(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::uploader(app, who)?;
    actor.may(Object::App, |rights| rights.upload)?;
    let judge = |data: &Fields| {
        let upload = Upload::read(data)?;
        app.store.read(|tx| upload.find(tx, &actor)).map(drop)
    };
    let form = Form::read(app, request, app.settings.max_upload, judge)?;
    let upload = Upload::read(&form.data)?;
    if form.is_bare() {
        return Err(Error::invalid("no file provided"));
    }
    let sources = app.store.read(|tx| {
        let (app, ..) = upload.find(tx, &actor)?;
        offers::gather(tx, &actor, app, form.files, form.wishes)
    })?;
    upload.check_files(&sources)?;
    let (files, staged) = upload.unpack(app, sources)?;
    let (fresh, seed) = (ObjectId::random()?, seed()?);
    let errand = Errand::new(app, &actor, request);
    let id = app.store.shelve(staged, move |tx| {
        errand.run(tx, "app.upload", &mut |errand, tx| {
            let (app_id, app, axes) = upload.find(tx, &errand.actor)?;
            let known = records::by_version(tx, app_id, axes.channel, &upload.version)?;
            let old = known.map(|id| records::get(tx, id)).transpose()?.flatten();
            let mut new = match &old {
                Some(old) => Release { updated: errand.now, ..old.clone() },
                None => first_of(&upload, errand, app_id, axes, &seed),
            };
            let id = known.unwrap_or(fresh);
            put_files(errand, tx, &mut new, &upload, &app.name, axes, &files, Existing::Refuse)?;
            errand.change().put(tx, id, old.as_ref(), &new)?;
            Ok((id, format!("{} {}", app.name, new.version)))
        })
    })?;
    Ok(Response::json(200, &json!({ "uploadResult.Uploaded": id })))
}

/// A new version record without artifacts.
fn first_of(upload: &Upload, errand: &Errand, app: ObjectId, axes: Axes, seed: &str) -> Release {
    Release {
        tenant: errand.actor.tenant,
        app,
        channel: axes.channel,
        version: upload.version.text().to_owned(),
        published: upload.publish.unwrap_or(false),
        critical: upload.critical.unwrap_or(false),
        intermediate: upload.intermediate.unwrap_or(false),
        rollout: upload.rollout.unwrap_or(100),
        seed: seed.to_owned(),
        changelog: upload.changelog.clone().unwrap_or_default(),
        artifacts: Vec::new(),
        created: errand.now,
        updated: errand.now,
    }
}

/// 16 hex digits.
fn seed() -> Result<String> {
    Ok(random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Puts files into a release. Two files of one request that would be the same artifact are refused in any case.
#[allow(clippy::too_many_arguments)] // One call, one meaning each.
fn put_files(
    errand: &Errand,
    tx: &WriteTx<'_>,
    release: &mut Release,
    upload: &Upload,
    app_name: &str,
    axes: Axes,
    files: &[New],
    existing: Existing,
) -> Result<()> {
    let updater = upload.updater()?;
    let channel = model::name_of(tx, Object::Channel, release.channel)?;
    let version = release.version.clone();
    let names = KeyNames {
        owner: &errand.actor.owner_name,
        app: app_name,
        channel: &channel,
        platform: upload.names.platform.as_deref().unwrap_or_default(),
        arch: upload.names.arch.as_deref().unwrap_or_default(),
        version: &version,
    };
    let mut touched = Vec::new();
    for New { file, offer, package } in files {
        let extension = rules::extension(&file.name);
        let same = release.artifacts.iter().position(|other| {
            let key = if updater.is_some() { other.file_name == file.name } else { other.extension == extension };
            key && other.platform == axes.platform && other.arch == axes.arch
        });
        let mut artifact = Artifact {
            key: String::new(),
            platform: axes.platform,
            arch: axes.arch,
            extension: extension.to_owned(),
            file_name: file.name.clone(),
            digest: file.digest,
            size: file.size,
            updater,
            signature: upload.signature.clone(),
            package: package.clone(),
            added: errand.now,
        };
        match offer {
            // Judged again: it may have gone, or the right to it, since the request came in.
            Some(wish) => drop(offers::find(tx, &errand.actor, release.app, wish)?),
            None => catalog::admit(tx, &file.digest, file.size, &file.facts, &file.name, errand.now)?,
        }
        let place = same.and_then(|at| release.artifacts.get_mut(at).map(|old| (at, old)));
        match place {
            Some((at, old)) if existing == Existing::Replace && !touched.contains(&at) => {
                artifact.key.clone_from(&old.key);
                artifact.updater = old.updater;
                *old = artifact;
                touched.push(at);
            }
            Some(_) => {
                return Err(Error::conflict(
                    "app with this name, version, platform, architecture and extension already exists",
                ));
            }
            None => {
                let key = match updater {
                    Some(updater) => names.named(updater, &file.name),
                    None => names.plain(extension),
                };
                artifact.key = records::free_key(tx, release.tenant, release, key, extension)?;
                touched.push(release.artifacts.len());
                release.artifacts.push(artifact);
            }
        }
    }
    Ok(())
}

/// `POST /apps/update`: flags and changelog of a version; files are replaced or added.
pub fn update(app: &App, who: &Principal, request: &mut Request) -> Result<Response> {
    let actor = Actor::of(app, who)?;
    actor.may(Object::App, |rights| rights.edit)?;
    let judge = |data: &Fields| {
        let (id, upload) = (record_id(data)?, Upload::read(data)?);
        app.store.read(|tx| upload.find_record(tx, &actor, id, true)).map(drop)
    };
    let form = Form::read(app, request, app.settings.max_upload, judge)?;
    let (id, upload) = (record_id(&form.data)?, Upload::read(&form.data)?);
    let with_files = !form.is_bare();
    let sources = app.store.read(|tx| {
        let (release, ..) = upload.find_record(tx, &actor, id, with_files)?;
        offers::gather(tx, &actor, release.app, form.files, form.wishes)
    })?;
    if with_files {
        upload.check_files(&sources)?;
    }
    let (files, staged) = upload.unpack(app, sources)?;
    let errand = Errand::new(app, &actor, request);
    app.store.shelve(staged, move |tx| {
        errand.run(tx, "app.update", &mut |errand, tx| {
            let (old, app_name, axes) = upload.find_record(tx, &errand.actor, id, with_files)?;
            let mut new = Release {
                published: upload.publish.unwrap_or(old.published),
                critical: upload.critical.unwrap_or(old.critical),
                intermediate: upload.intermediate.unwrap_or(old.intermediate),
                rollout: upload.rollout.unwrap_or(old.rollout),
                changelog: upload.changelog.clone().unwrap_or_else(|| old.changelog.clone()),
                updated: errand.now,
                ..old.clone()
            };
            put_files(errand, tx, &mut new, &upload, &app_name, axes, &files, Existing::Replace)?;
            errand.change().put(tx, id, Some(&old), &new)?;
            Ok(((), format!("{app_name} {}", new.version)))
        })
    })?;
    Ok(Response::json(200, &json!({ "updatedResult.Updated": true })))
}

/// The `id` of a version record in `data`.
pub fn record_id(data: &Fields) -> Result<ObjectId> {
    form::id(data.text("id")?.unwrap_or_default())
}

impl Upload {
    /// Finds the record an update names; with files also what they are for.
    fn find_record(
        &self,
        tx: &impl Read,
        actor: &Actor,
        id: ObjectId,
        with_files: bool,
    ) -> Result<(Release, String, Axes)> {
        let (app_id, release, app_name) = record(tx, actor, id, &self.app, &self.version)?;
        if let Some(name) = &self.names.channel {
            let named = model::find(tx, actor.tenant, Object::Channel, name)?;
            if named.is_none() || named != release.channel {
                return Err(Error::invalid("updating the channel is not allowed"));
            }
        }
        if with_files {
            self.names.require(tx, actor.tenant)?;
        }
        let axes = self.names.find(tx, actor.tenant)?;
        self.access(actor, app_id, axes)?;
        Ok((release, app_name, axes))
    }
}

/// A version record by id, app and version, which must belong together; with the app's id and name.
///
/// # Errors
/// `NotFound`, in the dialect's words.
pub fn record(
    tx: &impl Read,
    actor: &Actor,
    id: ObjectId,
    app_name: &str,
    version: &Version,
) -> Result<(ObjectId, Release, String)> {
    let (app_id, app) = pick::app(tx, actor.tenant, app_name)?.ok_or_else(no_app)?;
    let release = records::get(tx, id)?.filter(|release| release.tenant == actor.tenant && release.app == app_id);
    match release {
        Some(release) if release.order()? == *version => Ok((app_id, release, app.name)),
        _ => Err(Error::not_found("app with this parameters doesn't exist")),
    }
}
