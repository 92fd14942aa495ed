//! What clients ask: the newest client, and the list of packages, written as it is sent (`winget.md` A4).

use std::collections::VecDeque;
use std::io::{self, Read};

use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::identity::Principal;
use crate::winget::form::Form;
use crate::winget::gate::{Caller, Visit};
use crate::winget::model::{self, Package, Row};
use crate::winget::shown::PackageShown;
use crate::winget::tenant::Hidden;
use crate::winget::{memory, rules};

/// Packages read in one transaction.
const PAGE: usize = 64;
/// A list up to this many bytes is sent whole; a longer one is written while it is sent.
const WHOLE: usize = 256 << 10;

/// The caller of a route for clients, noted when it is one.
fn enter(app: &App, request: &mut Request) -> Result<(Visit, Caller)> {
    let visit = Visit::open(app, request)?;
    let form = Form::fields(app, request)?;
    let caller = visit.caller(app, request, form.any(&["auth_token", "Auth-Token"]))?;
    let program = form.any(&["client", "Client"]).map(str::trim).filter(|text| !text.is_empty());
    let program = program.map(str::parse::<i64>).transpose().map_err(|_| Error::invalid("client must be a number"))?;
    if let Some(client) = caller.client() {
        memory(app)?.notes.seen(visit.tenant, client, visit.address, program, app.clock.now());
    }
    Ok((visit, caller))
}

/// `POST client_version`.
pub fn client_version(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (visit, _) = enter(app, request)?;
    Ok(Response::json(200, &json!({ "Version": visit.settings.client_latest_version })))
}

/// `POST get_packages`.
pub fn packages(app: &App, _who: &Principal, request: &mut Request) -> Result<Response> {
    let (visit, caller) = enter(app, request)?;
    let query = request.query()?;
    let disabled = query.get("include_disabled").map(|text| rules::flag("include_disabled", text)).transpose()?;
    let hidden = app.store.read(|tx| caller.hidden(tx, &visit))?;
    let mut list = List {
        app: app.clone(),
        tenant: visit.tenant,
        hidden,
        disabled: disabled.unwrap_or(false),
        after: None,
        read: VecDeque::new(),
        out: vec![b'['],
        sent: 0,
        first: true,
        done: false,
    };
    while !list.done && list.out.len() < WHOLE {
        list.write_one()?;
    }
    match list.done {
        true => Ok(Response::bytes(200, "application/json", list.out)),
        false => Ok(Response::stream(200, "application/json", Box::new(list), None)),
    }
}

/// A JSON array of packages that is being written.
struct List {
    app: App,
    tenant: Uuid,
    hidden: Hidden,
    disabled: bool,
    /// The last package read.
    after: Option<String>,
    read: VecDeque<(Package, Vec<Row>)>,
    out: Vec<u8>,
    sent: usize,
    first: bool,
    done: bool,
}

impl List {
    /// Writes the next package, or the end.
    fn write_one(&mut self) -> Result<()> {
        if self.read.is_empty() && !self.read_page()? {
            self.out.push(b']');
            self.done = true;
            return Ok(());
        }
        let Some((package, mut rows)) = self.read.pop_front() else { return Ok(()) };
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        let shown = PackageShown::new(&self.app, &package, &mut rows)?;
        serde_json::to_writer(&mut self.out, &shown).map_err(Error::internal)
    }

    /// Reads some more packages that are to be shown; no at the end.
    fn read_page(&mut self) -> Result<bool> {
        let tenant = self.tenant;
        while self.read.is_empty() {
            let after = self.after.as_deref();
            let (page, last) = self.app.store.read(|tx| {
                let page = model::page(tx, tenant, after, PAGE)?;
                let last = page.last().map(|(id, _)| id.clone());
                let mut shown = VecDeque::new();
                for (id, package) in page {
                    if (package.active || self.disabled) && !self.hidden.has(&package.id) {
                        let rows = model::rows(tx, tenant, &id)?;
                        shown.push_back((package, rows));
                    }
                }
                Ok((shown, last))
            })?;
            let Some(last) = last else { return Ok(false) };
            (self.read, self.after) = (page, Some(last));
        }
        Ok(true)
    }
}

impl Read for List {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.sent == self.out.len() {
            if self.done {
                return Ok(0);
            }
            (self.sent, self.out) = (0, std::mem::take(&mut self.out));
            self.out.clear();
            self.write_one().map_err(io::Error::other)?;
        }
        let rest = self.out.get(self.sent..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.sent += count;
        Ok(count)
    }
}
