//! The three routes of the client: information, search, and one package with its versions (`winget.md` B3 to B5).

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::{Head, Request, Response};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::table::Read;
use crate::winget::gate::segment;
use crate::winget::keys::Key;
use crate::winget::links::Links;
use crate::winget::memory;
use crate::winget::model::{self, Package, Whole};
use crate::winget::names::fold;
use crate::winget::source::matching::{Field, Search};
use crate::winget::source::prepared::{self, Ready};
use crate::winget::source::shown::{self, Channels, Contract, Lens};
use crate::winget::source::visitor::{Known, Visitor};
use crate::winget::source::{BAD_CONTINUATION, UNKNOWN_CONTRACT, manifest, refused};
use crate::winget::tenant::Hidden;

/// The longest body of a search, in bytes.
const BODY_LIMIT: u64 = 1 << 20;
/// How many packages are looked up at once by one value.
const CHUNK: usize = 256;
/// Packages of one page of manifests.
const MANIFEST_PAGE: usize = 20;
/// The longest continuation token, in bytes.
const TOKEN_LIMIT: usize = 4096;

/// The version of the protocol that the header asks for; the newest without one.
fn contract(head: &Head) -> Result<Contract, Response> {
    let unknown = || refused(400, UNKNOWN_CONTRACT, "the header Version names no version this server supports");
    match head.headers.get("version") {
        None => Ok(Contract::NEWEST),
        Some(_) => head.headers.text("version").and_then(Contract::read).ok_or_else(unknown),
    }
}

/// `GET /winget/{tenant}/information`: what this source is and speaks.
pub fn information(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let visitor = Visitor::open(app, request, true)?;
    if let Err(refusal) = contract(&request.head) {
        return Ok(refusal);
    }
    let none: [&str; 0] = [];
    let known = visitor.known();
    let mut data = json!({
        "SourceIdentifier": format!("Packhouse.{}", known.visit.tenant),
        "ServerSupportedVersions": Contract::SUPPORTED,
        "UnsupportedPackageMatchFields": none,
        "RequiredPackageMatchFields": none,
        "UnsupportedQueryParameters": none,
        "RequiredQueryParameters": none,
    });
    let settings = &known.visit.settings;
    if settings.tos {
        let mut agreement = json!({ "AgreementLabel": "Terms of Use" });
        for (member, text) in [("Agreement", &settings.tos_text), ("AgreementUrl", &settings.tos_url)] {
            if !text.is_empty() {
                agreement[member] = text.as_str().into();
            }
        }
        let words = format!("{}\0{}", settings.tos_text, settings.tos_url);
        let id: String = Digest::of(words.as_bytes()).to_hex().chars().take(32).collect();
        data["SourceAgreements"] = json!({ "AgreementsIdentifier": id, "Agreements": [agreement] });
    }
    Ok(Response::json(200, &json!({ "Data": data })).header("Cache-Control", "private, max-age=60"))
}

/// `POST /winget/{tenant}/manifestSearch`.
pub fn search(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let visitor = Visitor::open(app, request, false)?;
    let contract = match contract(&request.head) {
        Ok(contract) => contract,
        Err(refusal) => return Ok(refusal),
    };
    let search = Search::read(&request.json(BODY_LIMIT)?).map_err(Error::invalid)?;
    let Some(after) = continuation(&request.head) else {
        return Ok(refused(400, BAD_CONTINUATION, "the ContinuationToken cannot be read"));
    };
    let looking = Looking { lens: Lens::with(visitor.channels(), contract), search };
    let known = visitor.known();
    let page = app.store.read(|tx| looking.page(app, tx, known.visit.tenant, &known.hidden, after.as_deref()))?;
    Ok(page.response())
}

/// Where a walk through pages goes on: after this folded id, or at the beginning; `None` when that cannot be read.
pub(super) fn continuation(head: &Head) -> Option<Option<String>> {
    let mut given = head.headers.all("continuationtoken").map(<[u8]>::trim_ascii);
    let (first, None) = (given.next(), given.next()) else { return None };
    match first.filter(|token| !token.is_empty()) {
        Some(token) => read_token(token).map(Some),
        None => Some(None),
    }
}

/// The folded id that a token holds.
pub(super) fn read_token(token: &[u8]) -> Option<String> {
    if token.len() > TOKEN_LIMIT {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("after:").map(str::to_owned)
}

/// The token of a walk that goes on after this folded id.
pub(super) fn continuation_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{last}"))
}

/// A page of packages and where the next one begins.
struct Page {
    entries: Vec<Value>,
    next: Option<String>,
}

impl Page {
    fn response(self) -> Response {
        if self.entries.is_empty() {
            return Response::empty(204).header("Cache-Control", "no-store");
        }
        let none: [&str; 0] = [];
        let mut shown = json!({
            "Data": self.entries,
            "UnsupportedPackageMatchFields": none,
            "RequiredPackageMatchFields": none,
        });
        if let Some(next) = self.next {
            shown["ContinuationToken"] = next.into();
        }
        Response::json(200, &shown).header("Cache-Control", "no-store")
    }
}

/// A search and through what its caller looks.
struct Looking {
    lens: Lens,
    search: Search,
}

impl Looking {
    /// The first page after the folded id `after`.
    fn page(&self, app: &App, tx: &impl Read, tenant: Uuid, hidden: &Hidden, after: Option<&str>) -> Result<Page> {
        let mut page = Page { entries: Vec::new(), next: None };
        let mut last = String::new();
        let visit = |id: &str| {
            let Some(entry) = self.entry(tx, tenant, hidden, id)? else { return Ok(true) };
            if page.entries.len() == self.search.page {
                page.next = Some(continuation_token(&last));
                return Ok(false);
            }
            page.entries.push(entry);
            id.clone_into(&mut last);
            Ok(true)
        };
        match self.search.values() {
            Some(values) => look_up(tx, tenant, &values, after, visit)?,
            None => memory(app)?.index.text(tx, tenant)?.search(&self.search, after, visit)?,
        }
        Ok(page)
    }

    /// The package as the answer shows it, when it fits and is there for this caller.
    fn entry(&self, tx: &impl Read, tenant: Uuid, hidden: &Hidden, id: &str) -> Result<Option<Value>> {
        let Some(whole) = visible(tx, tenant, hidden, id)? else { return Ok(None) };
        let versions = shown::versions(&whole, &self.lens);
        let fits = !versions.is_empty() && self.search.fits(&shown::terms(&whole.package, &versions));
        Ok(fits.then(|| manifest::entry(&whole.package, &versions)))
    }
}

/// The package with everything in it, unless this caller does not see it.
fn visible(tx: &impl Read, tenant: Uuid, hidden: &Hidden, id: &str) -> Result<Option<Whole>> {
    if hidden.has(id) {
        return Ok(None);
    }
    Ok(model::whole(tx, tenant, id)?.filter(|whole| whole.package.active))
}

/// Shows the folded ids of packages that have one of `values`, in order after `after`, to `visit` until it answers
/// `false`.
fn look_up(
    tx: &impl Read,
    tenant: Uuid,
    values: &[(Field, &str)],
    after: Option<&str>,
    mut visit: impl FnMut(&str) -> Result<bool>,
) -> Result<()> {
    let mut after = after.map(str::to_owned);
    loop {
        let mut found = BTreeSet::new();
        // Beyond the last id of a list that was cut there may be others that come first.
        let mut horizon: Option<String> = None;
        for (field, value) in values {
            let ids = having(tx, tenant, *field, value, after.as_deref())?;
            if ids.len() >= CHUNK
                && let Some(last) = ids.last()
                && horizon.as_ref().is_none_or(|known| last < known)
            {
                horizon = Some(last.clone());
            }
            found.extend(ids);
        }
        for id in &found {
            if horizon.as_ref().is_some_and(|horizon| id > horizon) {
                break;
            }
            if !visit(id)? {
                return Ok(());
            }
        }
        match horizon {
            Some(horizon) => after = Some(horizon),
            None => return Ok(()),
        }
    }
}

/// Folded ids of packages that may have a value, at most [`CHUNK`], in order after `after`.
fn having(tx: &impl Read, tenant: Uuid, field: Field, value: &str, after: Option<&str>) -> Result<Vec<String>> {
    let key = match field {
        Field::PackageIdentifier => {
            let id = fold(value);
            return Ok(if after.is_none_or(|after| id.as_str() > after) { vec![id] } else { Vec::new() });
        }
        Field::PackageName => Key::Name,
        Field::Publisher => Key::Publisher,
        Field::Moniker => Key::Moniker,
        Field::Command => Key::Command,
        Field::Tag => Key::Tag,
        Field::PackageFamilyName => Key::FamilyName,
        Field::ProductCode => Key::ProductCode,
        Field::UpgradeCode => Key::UpgradeCode,
        Field::NormalizedPackageNameAndPublisher => Key::NormalizedName,
        // Nobody is found by these alone.
        Field::Market | Field::HasInstallerType => return Ok(Vec::new()),
    };
    model::find(tx, tenant, key, value, after, CHUNK)
}

/// `GET /winget/{tenant}/packageManifests/{id}`: one package with its versions.
pub fn manifest(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let visitor = Visitor::open(app, request, false)?;
    let contract = match contract(&request.head) {
        Ok(contract) => contract,
        Err(refusal) => return Ok(refusal),
    };
    let lens = asked(&visitor, request, contract)?;
    let id = segment(request, "id")?;
    let known = visitor.known();
    let response = match ready(app, known, &lens, &id)? {
        None => Response::empty(204),
        Some(ready) => {
            let links = Links::new(app, request, &known.visit, &known.caller)?;
            Response::bytes(200, "application/json", ready.with(&links)?)
        }
    };
    Ok(response.header("Cache-Control", "no-store"))
}

/// The manifest for this caller, prepared before or now; none when there is none for them.
fn ready(app: &App, known: &Known, lens: &Lens, id: &str) -> Result<Option<Arc<Ready>>> {
    let (tenant, manifests) = (known.visit.tenant, &memory(app)?.manifests);
    if known.hidden.has(id) {
        return Ok(None);
    }
    let question = prepared::question(tenant, lens, id);
    let kept = question.as_ref().and_then(|question| manifests.get(question));
    if let Some(kept) = kept.filter(|kept| kept.generation == known.generation) {
        return Ok(Some(kept));
    }
    let ready = app.store.read(|tx| {
        let Some(whole) = visible(tx, tenant, &known.hidden, id)? else { return Ok(None) };
        let versions = shown::versions(&whole, lens);
        if versions.is_empty() {
            return Ok(None);
        }
        let generation = model::generation(tx, tenant)?;
        Ready::write(tenant, generation, &whole.package, &versions, lens.contract).map(|ready| Some(Arc::new(ready)))
    })?;
    if let (Some(question), Some(ready)) = (question, &ready) {
        manifests.put(question, ready.clone());
    }
    Ok(ready)
}

/// `GET /winget/{tenant}/packageManifests`: all of them, page by page.
pub fn manifests(app: &App, _: &Principal, request: &mut Request) -> Result<Response> {
    let visitor = Visitor::open(app, request, false)?;
    let contract = match contract(&request.head) {
        Ok(contract) => contract,
        Err(refusal) => return Ok(refusal),
    };
    let lens = asked(&visitor, request, contract)?;
    let Some(after) = continuation(&request.head) else {
        return Ok(refused(400, BAD_CONTINUATION, "the ContinuationToken cannot be read"));
    };
    let known = visitor.known();
    let links = OfAnswer(Links::new(app, request, &known.visit, &known.caller)?);
    let (mut data, mut next, mut after) = (Vec::new(), None, after);
    app.store.read(|tx| {
        let mut last = String::new();
        loop {
            let rows = model::page(tx, known.visit.tenant, after.as_deref(), CHUNK)?;
            for (id, _) in &rows {
                let Some(whole) = visible(tx, known.visit.tenant, &known.hidden, id)? else { continue };
                let versions = shown::versions(&whole, &lens);
                if versions.is_empty() {
                    continue;
                }
                if data.len() == MANIFEST_PAGE {
                    next = Some(continuation_token(&last));
                    return Ok(());
                }
                data.push(manifest::manifest(&whole.package, &versions, contract, &links)?);
                last.clone_from(id);
            }
            match rows.into_iter().last() {
                Some((id, _)) => after = Some(id),
                None => return Ok(()),
            }
        }
    })?;
    if data.is_empty() {
        return Ok(Response::empty(204).header("Cache-Control", "no-store"));
    }
    let mut shown = json!({ "Data": data });
    if let Some(next) = next {
        shown["ContinuationToken"] = next.into();
    }
    Ok(Response::json(200, &shown).header("Cache-Control", "no-store"))
}

/// The lens that the query asks for.
fn asked(visitor: &Visitor, request: &Request, contract: Contract) -> Result<Lens> {
    let query = request.query()?;
    let value = |name: &str| query.get(name).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
    let channels = match value("Channel") {
        Some(channel) => Channels::Only(fold(&channel)),
        None => visitor.channels(),
    };
    Ok(Lens { contract, channels, market: value("Market"), version: value("Version") })
}

/// The links of one answer. What cannot be signed is our own fault and ends the request.
struct OfAnswer<'a>(Links<'a>);

impl manifest::Links for OfAnswer<'_> {
    fn installer(&self, package: &Package, row: &model::Row) -> Result<String> {
        self.0.installer(package, row)
    }

    fn logo(&self, logo: &model::Logo) -> String {
        self.0.logo(logo)
    }
}
