//! Who acts in a tenant: an owner, a team user within given rights, or a build pipeline's token (`faynosync.md` §9).

use std::net::IpAddr;

use uuid::Uuid;

use crate::app::App;
use crate::apps::memory;
use crate::apps::model::Object;
use crate::apps::records::Change;
use crate::audit;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::http::Request;
use crate::identity::permissions::Rights;
use crate::identity::{AccountRef, Permissions, Principal, Role, accounts, tokens::Scope};
use crate::ids::ObjectId;
use crate::store::Store;
use crate::store::table::{Read, WriteTx};

/// Somebody who passed the gate, in the tenant they act in.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The tenant.
    pub tenant: Uuid,
    /// Its owner's account.
    pub owner: ObjectId,
    /// Its owner's name.
    pub owner_name: String,
    /// Whether that is the first owner of the installation, whose links carry no `owner`.
    pub first: bool,
    /// The acting account.
    pub account: ObjectId,
    /// Its name.
    pub username: String,
    /// Within what.
    pub reach: Reach,
    /// What the audit trail calls them.
    pub label: String,
}

/// What an actor may do.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Everything in the tenant.
    Owner,
    /// What a team user was given.
    Team(Box<Permissions>),
    /// Uploads to some apps.
    Upload(Scope),
}

impl Actor {
    /// Whoever logged in. Tokens of build pipelines are turned away.
    ///
    /// # Errors
    /// `Unauthenticated` for principals that are nobody here; `Forbidden` for such tokens.
    pub fn of(app: &App, who: &Principal) -> Result<Actor> {
        let actor = app.store.read(|tx| Actor::read(tx, who))?;
        match actor.reach {
            Reach::Upload(_) => Err(Error::forbidden("API tokens are restricted to app upload")),
            _ => Ok(actor),
        }
    }

    /// The same for the upload route, which takes those tokens.
    pub fn uploader(app: &App, who: &Principal) -> Result<Actor> {
        app.store.read(|tx| Actor::read(tx, who))
    }

    /// The same for routes of owners only.
    ///
    /// # Errors
    /// `Forbidden` for team users and for tokens of build pipelines.
    pub fn owner(app: &App, who: &Principal) -> Result<Actor> {
        let actor = app.store.read(|tx| Actor::read(tx, who))?;
        match actor.reach {
            Reach::Owner => Ok(actor),
            Reach::Team(_) => Err(Error::forbidden("Admin access required")),
            Reach::Upload(_) => Err(Error::forbidden("Admin JWT is required")),
        }
    }

    fn read(tx: &impl Read, who: &Principal) -> Result<Actor> {
        let nobody = || Error::new(Kind::Unauthenticated, "invalid or expired token");
        let (account, reach) = match who {
            Principal::Account(AccountRef { id, role: Role::Owner, .. }) => (Some(*id), Reach::Owner),
            Principal::Account(AccountRef { id, permissions, .. }) => {
                (Some(*id), Reach::Team(Box::new(permissions.clone())))
            }
            Principal::Token(token) => match &token.scope {
                Some(scope) => (token.account, Reach::Upload(scope.clone())),
                // The installation's admin token acts for its account, or for the first owner.
                None if token.admin => (token.account, Reach::Owner),
                None => return Err(nobody()),
            },
            Principal::Anonymous | Principal::Client(_) => return Err(nobody()),
        };
        let operator = accounts::operator(tx)?.ok_or_else(nobody)?;
        let account = match account {
            Some(id) => accounts::get(tx, id)?.ok_or_else(nobody)?,
            None => operator.clone(),
        };
        let owner = match account.role {
            Role::Owner => account.clone(),
            Role::Team { owner } => accounts::get(tx, owner)?.ok_or_else(nobody)?,
        };
        Ok(Actor {
            tenant: account.tenant,
            owner: owner.id,
            first: owner.id == operator.id,
            owner_name: owner.username,
            account: account.id,
            username: account.username,
            reach,
            label: who.label(),
        })
    }

    /// The rights of a team user over a kind of object; none for somebody who may do everything.
    fn rights(&self, object: Object) -> Option<&Rights> {
        match &self.reach {
            Reach::Team(permissions) => Some(object.rights(permissions)),
            Reach::Owner | Reach::Upload(_) => None,
        }
    }

    /// Asks for a flag of a team user.
    ///
    /// # Errors
    /// `Forbidden` `Permission denied`.
    pub fn may(&self, object: Object, flag: fn(&Rights) -> bool) -> Result<()> {
        match self.rights(object) {
            Some(rights) if !flag(rights) => Err(Error::forbidden("Permission denied")),
            _ => Ok(()),
        }
    }

    /// Whether an object of the own tenant is theirs to see and touch.
    pub fn sees(&self, object: Object, id: ObjectId) -> bool {
        match (&self.reach, self.rights(object)) {
            (Reach::Upload(scope), _) if object == Object::App => scope.apps.contains(&id),
            (_, Some(rights)) => rights.allowed.contains(&id),
            _ => true,
        }
    }

    /// Asks that an object may be changed or deleted (`verb`).
    ///
    /// # Errors
    /// `Forbidden`, naming the allowed list.
    pub fn allowed(&self, object: Object, id: ObjectId, verb: &str) -> Result<()> {
        if self.sees(object, id) {
            return Ok(());
        }
        let word = object.word();
        Err(Error::forbidden(format!(
            "you don't have permission to {verb} this {word} as it's not in your allowed {word}s list"
        )))
    }

    /// Asks that what an upload names may be used.
    ///
    /// # Errors
    /// `Forbidden` `you don't have access to this …`.
    pub fn access(&self, object: Object, id: ObjectId) -> Result<()> {
        if self.sees(object, id) {
            return Ok(());
        }
        let word = if object == Object::Arch { "architecture" } else { object.word() };
        Err(Error::forbidden(format!("you don't have access to this {word}")))
    }

    /// The account whose allowed list a new object joins; none for owners, who see everything.
    pub fn creator(&self) -> Option<ObjectId> {
        matches!(self.reach, Reach::Team(_)).then_some(self.account)
    }
}

/// What a closure that changes records takes along: who, from where, when.
#[derive(Clone)]
pub struct Errand {
    /// The application, for the store.
    pub app: App,
    /// Who.
    pub actor: Actor,
    /// When.
    pub now: Time,
    address: IpAddr,
}

impl Errand {
    /// Of one request.
    pub fn new(app: &App, actor: &Actor, request: &Request) -> Self {
        Errand { app: app.clone(), actor: actor.clone(), now: app.clock.now(), address: request.peer.ip() }
    }

    /// Runs `f` in one transaction, notes it in the audit trail, and makes every prepared answer of the tenant stale.
    pub fn commit<T: Send + 'static>(
        self,
        what: &'static str,
        mut f: impl FnMut(&Errand, &WriteTx<'_>) -> Result<(T, String)> + Send + 'static,
    ) -> Result<T> {
        let store = self.app.store.clone();
        store.commit(move |tx| self.run(tx, what, &mut f))
    }

    /// The same for a transaction that gives files their place.
    pub fn run<T>(
        &self,
        tx: &WriteTx<'_>,
        what: &'static str,
        f: &mut impl FnMut(&Errand, &WriteTx<'_>) -> Result<(T, String)>,
    ) -> Result<T> {
        let (answer, subject) = f(self, tx)?;
        audit::note(tx, self.now, &self.actor.label, what, &subject, Some(self.address))?;
        memory(&self.app)?.prepared.stale_after(tx, self.actor.tenant);
        Ok(answer)
    }

    /// The store, for letting go of bytes.
    pub fn store(&self) -> &Store {
        &self.app.store
    }

    /// For changes of releases.
    pub fn change(&self) -> Change<'_> {
        Change { store: &self.app.store, who: &self.actor.label, now: self.now }
    }
}
