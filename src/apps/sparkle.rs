//! The appcast that Sparkle and WinSparkle read: RSS 2.0, generated from what is published (`faynosync.md` §11).

use std::fmt::Write as _;

use crate::apps::links::Links;
use crate::apps::pick::{self, Client};
use crate::apps::records::{self, Artifact, Release, Slot};
use crate::apps::rules::Updater;
use crate::clock::Time;
use crate::error::Result;
use crate::http::http_date;
use crate::store::table::Read;

/// What may be installed, most wanted first; `.tar` stands for every kind of tar archive.
const ARCHIVES: [&str; 6] = [".zip", ".dmg", ".pkg", ".tar", ".exe", ".msi"];

/// Bytes of a feed beyond which items come without their changelogs: every version stays listed, the newest with its
/// text, and nobody makes the server hold all texts of an app at once.
const TEXTS: usize = 4 << 20;

/// The appcast for one client: every published version it may install, newest first. Says too whether it depends on
/// the device.
pub fn appcast(tx: &impl Read, slot: Slot, title: &str, client: Client<'_>, links: &Links) -> Result<(String, bool)> {
    let (cap, mut by_device) = pick::cap(tx, slot, client)?;
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <rss version=\"2.0\" xmlns:sparkle=\"http://www.andymatuschak.org/xml-namespaces/sparkle\">\n\
         <channel>\n",
    );
    element(&mut text, "title", title);
    element(&mut text, "link", links.base());
    element(&mut text, "description", &format!("Updates of {title}"));
    records::newest_offer(tx, slot, |_, release| {
        by_device |= release.rollout < 100;
        let below = cap.as_ref().map_or(Ok(true), |cap| Ok(release.order()? <= *cap))?;
        if below
            && client.takes(&release)
            && let Some(archive) = archive(&release, slot)
        {
            item(&mut text, &release, archive, links);
        }
        Ok(None::<()>)
    })?;
    text.push_str("</channel>\n</rss>\n");
    Ok((text, by_device))
}

/// The file of a release that is installed.
fn archive(release: &Release, slot: Slot) -> Option<&Artifact> {
    ARCHIVES.iter().find_map(|kind| {
        let fits = |artifact: &&Artifact| {
            let extension = artifact.extension.to_ascii_lowercase();
            extension == *kind || (*kind == ".tar" && extension.starts_with(".tar."))
        };
        let own = release.artifacts_for(slot).filter(fits).find(|artifact| artifact.updater == Some(Updater::Sparkle));
        own.or_else(|| release.artifacts_for(slot).find(fits))
    })
}

fn item(text: &mut String, release: &Release, archive: &Artifact, links: &Links) {
    text.push_str("<item>\n");
    element(text, "title", &release.version);
    element(text, "pubDate", &rfc2822(release.created));
    element(text, "sparkle:version", &release.version);
    element(text, "sparkle:shortVersionString", &release.version);
    if !release.changelog.is_empty() && text.len() + release.changelog.len() <= TEXTS {
        // The end of a CDATA section inside the text is split over two sections.
        let inner = plain(&release.changelog).replace("]]>", "]]]]><![CDATA[>");
        _ = writeln!(text, "<description><![CDATA[{inner}]]></description>");
    }
    if release.critical {
        text.push_str("<sparkle:criticalUpdate/>\n");
    }
    let url = escape(&links.artifact(archive));
    _ = write!(text, "<enclosure url=\"{url}\" length=\"{}\" type=\"application/octet-stream\"", archive.size);
    if let Some(signature) = &archive.signature {
        _ = write!(text, " sparkle:edSignature=\"{}\"", escape(signature));
    }
    text.push_str("/>\n</item>\n");
}

fn element(text: &mut String, name: &str, value: &str) {
    _ = writeln!(text, "<{name}>{}</{name}>", escape(value));
}

/// `Wed, 20 May 2026 10:00:00 +0000`.
fn rfc2822(time: Time) -> String {
    http_date(time.system()).replace("GMT", "+0000")
}

/// Text without what XML 1.0 cannot hold at all.
fn plain(text: &str) -> String {
    let good = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().filter(good).collect()
}

/// Text as XML holds it, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\r' | '\t' => _ = write!(escaped, "&#{};", u32::from(c)),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b>&\"'\u{0}\u{FFFE}ö\n"), "a&lt;b&gt;&amp;&quot;&apos;ö&#10;");
        assert_eq!(plain("a\u{1b}b\u{10FFFF}"), "ab\u{10FFFF}");
        assert_eq!(rfc2822(Time(1_779_271_200_000_000)), "Wed, 20 May 2026 10:00:00 +0000");
    }
}
