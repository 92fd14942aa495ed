//! The page a browser shows for a tree: how to set up a machine, and what lies in it. No scripts (`repos.md` §19.10).

use crate::app::App;
use crate::error::Result;
use crate::feeds::clients;
use crate::feeds::links::{self, Base, segment};
use crate::feeds::model::Type;
use crate::feeds::model::trees;
use crate::feeds::serve::Tree;
use crate::formats::xml::xml_text;
use crate::http::{Request, Response};
use crate::store::human;

/// The most files listed.
const MOST: usize = 2000;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}p{margin:.25rem 0 1.5rem;opacity:.75}\
pre{background:rgba(127,127,127,.12);padding:.8rem 1rem;border-radius:.5rem;overflow:auto;font-size:.875rem}\
table{border-collapse:collapse;width:100%;font-size:.9rem}td{padding:.25rem .5rem;border-top:1px solid rgba(127,127,127,.25)}\
td:last-child{text-align:right;white-space:nowrap;opacity:.75}a{text-decoration:none}a:hover{text-decoration:underline}";

/// The page of a tree.
pub(super) fn page(app: &App, request: &Request, tree: &Tree) -> Result<Response> {
    let base = Base::of(app, request)?;
    let at = match tree.name.split_once('@') {
        Some((repo, snapshot)) => format!("{}/repo/{}@{}", base.as_str(), segment(repo), segment(snapshot)),
        None => base.repo(&tree.name),
    };
    let files = app.store.read(|tx| {
        let all = trees::files(tx, &tree.name, None, 4 * MOST)?;
        let shown = |path: &str| !path.contains("/by-hash/") && !path.starts_with("by-hash/");
        Ok(all.into_iter().filter(|(path, file)| file.retired.is_none() && shown(path)).collect::<Vec<_>>())
    })?;
    let name = xml_text(&tree.name);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title><style>{STYLE}</style></head>\n\
         <body><h1>{name}</h1><p>{} repository, {} packages, {}, published {}</p>\n<pre>{}</pre>\n<table>\n",
        tree.repo.kind.word(),
        tree.repo.packages,
        human(tree.repo.size),
        crate::clock::Time(tree.repo.published.saturating_mul(1_000_000)).rfc3339(),
        xml_text(&clients::text(&at, base.as_str(), &tree.name, &tree.repo)),
    );
    let own: &[&str] = match tree.repo.kind {
        Type::Yum => &["key.asc", "packhouse.repo"],
        Type::Apt => &["key.asc", "packhouse.list", "packhouse.sources"],
        Type::Dir => &["key.asc"],
    };
    for path in own {
        html.push_str(&format!("<tr><td><a href=\"{path}\">{path}</a></td><td></td></tr>\n"));
    }
    for (path, file) in files.iter().take(MOST) {
        let (link, shown) = (links::path(path), xml_text(path));
        html.push_str(&format!("<tr><td><a href=\"{link}\">{shown}</a></td><td>{}</td></tr>\n", human(file.size)));
    }
    if files.len() > MOST {
        html.push_str("<tr><td>and more</td><td></td></tr>\n");
    }
    html.push_str("</table></body></html>\n");
    Ok(Response::bytes(200, "text/html; charset=utf-8", html).header("Cache-Control", "no-cache").header(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ))
}
