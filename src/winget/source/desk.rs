//! What the write routes share: who may write, the transaction with its line in the trail, and failures with their codes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::error::{Error, Kind, Result};
use crate::http::{Head, Method, Request, Response};
use crate::identity::Credentials;
use crate::store::table::{Read, WriteTx};
use crate::winget::gate::{Admin, Visit};
use crate::winget::model::{self, By, Whole};
use crate::winget::names::fold;
use crate::winget::source::documents::{self, Document};
use crate::winget::source::filing::coded;
use crate::winget::{source, uploads};

/// The longest document, in bytes.
const BODY_LIMIT: u64 = 4 << 20;
/// The ids in path and document differ.
const IDS_DIFFER: u32 = 2;

/// A failure and the code it is answered with, when the kind alone does not say it.
pub(super) struct Failure {
    error: Error,
    code: Option<u32>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, code: None }
    }
}

impl Failure {
    pub(super) fn of(error: Error) -> Failure {
        let (code, message) = match error.message.split_once('\u{1}') {
            Some((code, message)) => (code.parse().ok(), message.to_owned()),
            None => return error.into(),
        };
        Failure { error: Error { message: message.into(), ..error }, code }
    }

    pub(super) fn response(self) -> Result<Response> {
        match (self.code, self.error.kind) {
            (Some(code), Kind::Conflict) => Ok(source::refused(409, code, &self.error.message)),
            (Some(code), Kind::Invalid) => Ok(source::refused(400, code, &self.error.message)),
            _ => Err(self.error),
        }
    }
}

/// A request that found its tenant and may write there.
pub(super) struct Desk {
    pub(super) visit: Visit,
    pub(super) admin: Admin,
}

impl Desk {
    /// Looks at tenant, address and credentials, in this order.
    pub(super) fn open(app: &App, request: &mut Request) -> Result<Desk> {
        let visit = Visit::open(app, request)?;
        let admin = credentials(app, &visit, request)?;
        request.set_note(admin.label.clone());
        let reads = matches!(request.head.method, Method::Get | Method::Head);
        match admin.writes || reads {
            true => Ok(Desk { visit, admin }),
            false => Err(Error::forbidden("Permission denied")),
        }
    }
}

/// A login or API token, wherever this dialect's clients put it.
fn credentials(app: &App, visit: &Visit, request: &Request) -> Result<Admin> {
    let head: &Head = &request.head;
    let query = request.query()?;
    let header = |name: &str| head.headers.text(name);
    let keys = [header("x-functions-key"), header("Ocp-Apim-Subscription-Key"), query.get("code")];
    let mut found = visit.bearer(app, head)?.or(visit.api_token(app, head)?);
    for key in keys.into_iter().flatten() {
        if found.is_none() {
            found = visit.admin(app, &Credentials { api_token: Some(key), ..Credentials::default() })?;
        }
    }
    found.ok_or_else(|| Error::new(Kind::Unauthenticated, "a login or an API token is needed"))
}

pub(super) fn data(status: u16, document: impl Into<Value>) -> Response {
    Response::json(status, &json!({ "Data": document.into() })).header("Cache-Control", "no-store")
}

pub(super) fn body(request: &mut Request) -> Result<Document> {
    documents::object(request.json(BODY_LIMIT)?, "the body")
}

pub(super) fn unknown(what: &str) -> Error {
    Error::not_found(format!("{what} not found"))
}

pub(super) fn known(tx: &impl Read, tenant: Uuid, id: &str) -> Result<Whole> {
    model::whole(tx, tenant, id)?.ok_or_else(|| unknown("package"))
}

/// The id in a document has to be the one in the path.
pub(super) fn agree(given: &str, path: &str, member: &str) -> Result<()> {
    match fold(given) == fold(path) {
        true => Ok(()),
        false => Err(coded(Error::invalid(format!("{member} is not the one in the address")), IDS_DIFFER)),
    }
}

impl Desk {
    /// Changes something in one transaction, with a line in the trail.
    pub(super) fn change<T: Send + 'static>(
        &self,
        app: &App,
        request: &Request,
        what: &'static str,
        subject: String,
        work: impl Fn(&App, &WriteTx, Uuid, &Admin, &By) -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (inside, tenant, admin, by) = (app.clone(), self.visit.tenant, self.admin.clone(), self.admin.by(app));
        let (address, quota) = (request.peer.ip(), self.visit.settings.storage_quota);
        let done = app.store.commit(move |tx| {
            let before = model::used(tx, tenant)?;
            let done = work(&inside, tx, tenant, &admin, &by)?;
            uploads::judge_growth(tx, tenant, quota, before)?;
            audit::note(tx, by.now, &by.who, what, &subject, Some(address))?;
            Ok(done)
        });
        done.map_err(Failure::of)
    }

    pub(super) fn read<T>(&self, app: &App, id: &str, work: impl FnOnce(&Whole) -> Result<T>) -> Result<T> {
        work(&app.store.read(|tx| known(tx, self.visit.tenant, id))?)
    }
}

/// Answers what a change gave, or its failure in the words of this door.
pub(super) fn answer(done: Result<Response, Failure>) -> Result<Response> {
    done.or_else(Failure::response)
}
