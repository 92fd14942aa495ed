//! Runs the Velopack client library against a feed: checks, downloads, and prints what happened as one line of JSON.
//!
//! `velopack-client FEED CHANNEL DIRECTORY`, where DIRECTORY holds the manifest of the installed version, `sq.version`.

use std::path::PathBuf;

use serde_json::{Value, json};
use velopack::locator::VelopackLocatorConfig;
use velopack::{Error, UpdateCheck, UpdateManager, UpdateOptions, sources::HttpSource};

fn run(feed: &str, channel: &str, home: PathBuf) -> Result<Value, Error> {
    let update = home.join("UpdateNix");
    std::fs::write(&update, "")?;
    let packages = home.join("packages");
    std::fs::create_dir_all(&packages)?;
    let place = VelopackLocatorConfig {
        RootAppDir: home.join("App.AppImage"),
        UpdateExePath: update,
        PackagesDir: packages.clone(),
        ManifestPath: home.join("sq.version"),
        CurrentBinaryDir: home,
        IsPortable: true,
    };
    let options = UpdateOptions { ExplicitChannel: Some(channel.to_owned()), ..UpdateOptions::default() };
    let manager = UpdateManager::new(HttpSource::new(feed), Some(options), Some(place))?;
    match manager.check_for_updates()? {
        UpdateCheck::RemoteIsEmpty => Ok(json!({ "check": "empty" })),
        UpdateCheck::NoUpdateAvailable => Ok(json!({ "check": "none" })),
        UpdateCheck::UpdateAvailable(update) => {
            manager.download_updates(&update, None)?;
            let asset = &update.TargetFullRelease;
            let file = packages.join(&asset.FileName);
            Ok(json!({ "check": "update", "version": asset.Version, "file": file }))
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [feed, channel, home] = words.as_slice() else {
        eprintln!("velopack-client FEED CHANNEL DIRECTORY");
        std::process::exit(2);
    };
    match run(feed, channel, PathBuf::from(home)) {
        Ok(told) => println!("{told}"),
        Err(error) => println!("{}", json!({ "error": error.to_string() })),
    }
}
