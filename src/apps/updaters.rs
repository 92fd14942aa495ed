//! The answers client frameworks expect of a check: Squirrel, electron-builder, Sparkle, Tauri, Velopack
//! (`faynosync.md` §11, §14).

use serde_json::json;

use crate::apps::links::Links;
use crate::apps::model;
use crate::apps::pick::{Choice, Client, Owner};
use crate::apps::prepared::Answer;
use crate::apps::records::{self, Artifact, Slot};
use crate::apps::rules::{Updater, encode};
use crate::apps::sparkle;
use crate::apps::updates::Check;
use crate::error::{Error, Result};
use crate::store::table::Read;

/// A check and what it was found to be about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The check.
    pub check: &'a Check,
    /// The tenant.
    pub owner: &'a Owner,
    /// The app.
    pub app: &'a model::App,
    /// App, channel, platform and architecture.
    pub slot: Slot,
    /// The device's id, when it sends one.
    pub device: Option<&'a str>,
}

/// Names that electron-builder gives its lists, most wanted first.
const ELECTRON_LISTS: [&str; 3] = ["latest.yml", "latest-mac.yml", "latest-linux.yml"];

/// Answers a check in the words of `updater`; says too whether the answer depends on the device.
///
/// # Errors
/// `NotFound` where the framework's client cannot read an empty answer.
pub fn answer(
    tx: &impl Read,
    updater: Updater,
    asked: &Asked<'_>,
    choice: Option<&Choice>,
    links: &Links,
) -> Result<(Answer, bool)> {
    let nothing = || Answer::empty(204);
    let not_found = || Error::not_found("Not found");
    let version = &asked.check.version;
    let moves = |choice: &&Choice| choice.version > *version || (asked.check.rollback && choice.version < *version);
    let update = choice.filter(moves);
    let answer = match updater {
        Updater::Manual => nothing(),
        Updater::SquirrelDarwin => {
            update.and_then(|choice| squirrel_darwin(asked, choice, links)).unwrap_or_else(nothing)
        }
        Updater::SquirrelWindows => {
            choice.ok_or_else(not_found)?;
            let listed = records::newest_file(tx, asked.slot, "RELEASES", |_| Ok(Some(())))?;
            listed.ok_or_else(not_found)?;
            Answer::redirect(format!("{}/RELEASES", folder(asked, links)))
        }
        Updater::ElectronBuilder => match update.and_then(|choice| electron_list(asked.slot, choice)) {
            Some(list) => Answer::redirect(links.artifact(list)),
            None => nothing(),
        },
        Updater::Sparkle => {
            choice.ok_or_else(not_found)?;
            let client = Client { version, device: asked.device, native: true };
            let (text, by_device) = sparkle::appcast(tx, asked.slot, &asked.app.name, client, links)?;
            return Ok((Answer::xml(text), by_device));
        }
        Updater::Tauri => update.and_then(|choice| tauri(asked.slot, choice, links)).unwrap_or_else(nothing),
        Updater::Velopack => {
            choice.ok_or_else(not_found)?;
            Answer::redirect(velopack_list(asked, links))
        }
    };
    Ok((answer, false))
}

/// The folder a framework's client reads its list and files from.
fn folder(asked: &Asked<'_>, links: &Links) -> String {
    let names = &asked.check.names;
    let or_dash = |name: &Option<String>| name.as_deref().map_or_else(|| "-".to_owned(), encode);
    format!(
        "{}/update/{}/{}/{}/{}/{}/{}",
        links.base(),
        encode(&asked.owner.name),
        encode(&asked.app.name),
        or_dash(&names.channel),
        or_dash(&names.platform),
        or_dash(&names.arch),
        encode(asked.check.version.text()),
    )
}

fn velopack_list(asked: &Asked<'_>, links: &Links) -> String {
    let names = &asked.check.names;
    let or_dash = |name: &Option<String>| name.as_deref().map_or_else(|| "-".to_owned(), encode);
    format!(
        "{}/velopack/{}/{}/{}/{}/releases.{}.json",
        links.base(),
        encode(&asked.owner.name),
        encode(&asked.app.name),
        or_dash(&names.platform),
        or_dash(&names.arch),
        or_dash(&names.channel),
    )
}

/// What Squirrel.Mac installs: the archive uploaded for it, else any.
fn squirrel_darwin(asked: &Asked<'_>, choice: &Choice, links: &Links) -> Option<Answer> {
    let release = &choice.release;
    let zips = || release.artifacts_for(asked.slot).filter(|artifact| artifact.extension.eq_ignore_ascii_case(".zip"));
    let own = zips().find(|artifact| artifact.updater == Some(Updater::SquirrelDarwin));
    let zip = own.or_else(|| zips().next())?;
    Some(Answer::json(&json!({
        "url": links.artifact(zip),
        "name": release.version,
        "notes": release.changelog,
        "pub_date": release.created.rfc3339_millis(),
        "update_available": true,
        "critical": release.critical,
    })))
}

/// The list electron-updater reads, by its usual name, else the first.
fn electron_list(slot: Slot, choice: &Choice) -> Option<&Artifact> {
    let is_list = |artifact: &&Artifact| {
        [".yml", ".yaml"].iter().any(|extension| artifact.extension.eq_ignore_ascii_case(extension))
    };
    let lists = || choice.release.artifacts_for(slot).filter(is_list);
    let usual = |name: &&str| lists().find(|artifact| artifact.file_name == **name);
    ELECTRON_LISTS.iter().find_map(usual).or_else(|| lists().next())
}

fn tauri(slot: Slot, choice: &Choice, links: &Links) -> Option<Answer> {
    let release = &choice.release;
    let signed = || release.artifacts_for(slot).filter(|artifact| artifact.signature.is_some());
    let own = signed().find(|artifact| artifact.updater == Some(Updater::Tauri));
    let artifact = own.or_else(|| signed().next())?;
    Some(Answer::json(&json!({
        "version": release.version,
        "url": links.artifact(artifact),
        "signature": artifact.signature,
        "notes": release.changelog,
        "pub_date": release.created.rfc3339_millis(),
    })))
}
