//! Changes of a repo that come while another is being published: all that wait become one generation, and each is
//! answered when its own is served (`performance.md` §3.5).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::app::App;
use crate::error::{Error, Result};
use crate::feeds::body::Wish;
use crate::feeds::contents::{self, check_types};
use crate::feeds::model::packages::Prepared;
use crate::feeds::model::repos::{self, Repo};
use crate::feeds::model::{Change, Counts, Member, Package, Set, Type, sets};
use crate::feeds::publish::{self, Outcome, Wanted};
use crate::feeds::{desk, rules};
use crate::identity::Principal;
use crate::ids::Digest;
use crate::store::Staged;
use crate::store::table::Read;

/// A change that may be published together with others.
pub(super) struct Entrant {
    /// Who asks.
    pub(super) who: Principal,
    /// From where.
    pub(super) address: IpAddr,
    /// What for.
    pub(super) asks: Asks,
}

/// What an entrant asks for.
pub(super) enum Asks {
    /// These to be in the repo or not; the others stay as they are.
    List(BTreeMap<String, Wish>),
    /// An upload, to be in it too.
    Upload(Box<Upload>),
}

/// A package that was uploaded and judged, and is not committed yet.
pub(super) struct Upload {
    /// Its bytes.
    pub(super) staged: Staged,
    /// What was read in them.
    pub(super) prepared: Prepared,
    /// The package as it is known, or will be.
    pub(super) package: Package,
}

/// What an entrant is told.
pub(super) enum Told {
    /// It is being served.
    Served(Box<Served>),
    /// The repo had the uploaded package before; nothing was done about it.
    There(Box<Upload>),
}

/// What came of a change.
pub(super) struct Served {
    /// The repo as it is now.
    pub(super) repo: Repo,
    /// What this change did.
    pub(super) counts: Counts,
    /// Whether it did anything.
    pub(super) changed: bool,
}

/// Carries out a change, with those that wait or by one that does.
///
/// # Errors
/// What is wrong with this change; what the store answers.
pub(super) fn publish(app: &App, name: &str, entrant: Entrant) -> Result<Told> {
    let repo = app.store.read(|tx| repos::get(tx, name))?.ok_or_else(|| rules::unknown_repo(name))?;
    // In a dir repo the names of one change may stand against those of another: each is judged alone.
    let joins = repo.kind != Type::Dir;
    let fits = |own: &Entrant, other: &Entrant| joins && own.who.label() == other.who.label();
    let told = desk(app)?.join(name, entrant, fits, |entrants| all(app, name, entrants));
    told.unwrap_or_else(|| Err(Error::internal("a publication that had taken this change along went down")))
}

/// Publishes what all of them ask for.
fn all(app: &App, name: &str, entrants: Vec<Entrant>) -> Vec<Result<Told>> {
    let mut round = match begin(app, name, &entrants) {
        Ok(round) => round,
        Err(error) => return entrants.iter().map(|_| Err(again(&error))).collect(),
    };
    let judged: Vec<_> = entrants.into_iter().map(|entrant| round.judge(app, entrant)).collect();
    let going = judged.iter().filter(|judged| matches!(judged, Ok(Judged::Goes(_)))).count();
    let outcome = if going == 0 { Err(lost()) } else { round.publish(app) };
    judged.into_iter().map(|judged| tell(judged, &outcome, going == 1)).collect()
}

fn lost() -> Error {
    Error::internal("a change was not published with the others")
}

/// A failure once more, for one of several it struck.
fn again(error: &Error) -> Error {
    Error {
        cause: error.cause.as_ref().map(|cause| cause.to_string().into()),
        retry_after: error.retry_after,
        about: error.about.clone(),
        ..Error::new(error.kind, error.message.clone())
    }
}

/// What an entrant is told. One that was alone is told all that the publication did, what retention took away too.
fn tell(judged: Result<Judged>, outcome: &Result<Outcome>, alone: bool) -> Result<Told> {
    match judged? {
        Judged::There(upload) => Ok(Told::There(upload)),
        Judged::Goes(counts) => {
            let outcome = outcome.as_ref().map_err(again)?;
            let own = counts.added + counts.removed + counts.packages > 0;
            let counts = Counts { packages: outcome.repo.packages, ..if alone { outcome.counts } else { counts } };
            let changed = outcome.changed && (alone || own);
            Ok(Told::Served(Box::new(Served { repo: outcome.repo.clone(), counts, changed })))
        }
    }
}

enum Judged {
    /// It is part of the publication and changes so much; `packages` counts members that only change their names.
    Goes(Counts),
    There(Box<Upload>),
}

/// A publication while it is put together.
struct Round {
    set: Set,
    repo: Repo,
    wanted: Wanted,
    pending: Pending,
}

fn begin(app: &App, name: &str, entrants: &[Entrant]) -> Result<Round> {
    let set = Set::Repo(name.to_owned());
    let first = entrants.first().ok_or_else(lost)?;
    let (repo, extras) = app.store.read(|tx| Ok((repos::get(tx, name)?, sets::extras(tx, &set)?)))?;
    let repo = repo.ok_or_else(|| rules::unknown_repo(name))?;
    let (kind, options) = (repo.kind, repo.options.clone());
    let mut wanted = Wanted::new(name, Some(repo.clone()), kind, options, &first.who.label(), Some(first.address));
    wanted.extras = extras;
    wanted.beside = entrants.iter().map(|entrant| entrant.address).filter(|other| *other != first.address).collect();
    Ok(Round { set, repo, wanted, pending: Pending::default() })
}

impl Round {
    /// Takes one change in, or refuses it and leaves the others as they are.
    fn judge(&mut self, app: &App, entrant: Entrant) -> Result<Judged> {
        match entrant.asks {
            Asks::List(list) => {
                let coming: BTreeSet<Digest> = self.wanted.prepared.keys().copied().collect();
                let listed = contents::judge(app, &entrant.who, &self.wanted.name, &self.repo, list, &coming)?;
                app.store.read(|tx| self.pending.look(tx, &self.set, listed.wishes.keys()))?;
                let will = listed.will(&self.repo, &self.pending.target)?;
                self.wanted.prepared.extend(listed.prepared);
                Ok(Judged::Goes(self.pending.apply(will)))
            }
            Asks::Upload(upload) => {
                let (digest, package) = (upload.staged.digest, &upload.package);
                check_types(&self.wanted.name, self.repo.kind, std::iter::once((digest, package.kind)))?;
                app.store.read(|tx| self.pending.look(tx, &self.set, [&digest]))?;
                if self.pending.held.contains_key(&digest) && self.pending.target.contains_key(&digest) {
                    return Ok(Judged::There(upload));
                }
                let Upload { staged, prepared, package } = *upload;
                self.wanted.uploaded.push((digest, package.filename));
                self.wanted.staged.push(staged);
                self.wanted.prepared.entry(digest).or_insert(prepared);
                Ok(Judged::Goes(self.pending.apply(vec![(digest, Some(Member::default()))])))
            }
        }
    }

    fn publish(mut self, app: &App) -> Result<Outcome> {
        self.wanted.change = self.pending.change();
        let (put, uploaded) = (&self.wanted.change.put, &self.wanted.uploaded);
        let stays = |digest: &Digest| put.contains_key(digest) || uploaded.iter().any(|(known, _)| known == digest);
        self.wanted.prepared.retain(|digest, _| stays(digest));
        publish::publish(desk(app)?, self.wanted)
    }
}

/// The part of a set that changes, before and after.
#[derive(Debug, Default)]
pub(super) struct Pending {
    seen: BTreeSet<Digest>,
    held: BTreeMap<Digest, Member>,
    target: BTreeMap<Digest, Member>,
}

impl Pending {
    /// Looks up what the set has of these.
    fn look<'a>(&mut self, tx: &impl Read, set: &Set, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        for digest in digests {
            if self.seen.insert(*digest)
                && let Some(member) = sets::member(tx, set, digest)?
            {
                self.held.insert(*digest, member.clone());
                self.target.insert(*digest, member);
            }
        }
        Ok(())
    }

    /// Changes the set; answers what that changes in what it was to become before.
    fn apply(&mut self, will: Vec<(Digest, Option<Member>)>) -> Counts {
        let mut counts = Counts::default();
        for (digest, will) in will {
            let was = self.target.remove(&digest);
            match (&was, &will) {
                (None, Some(_)) => counts.added += 1,
                (Some(_), None) => counts.removed += 1,
                (was, will) if was != will => counts.packages += 1,
                _ => {}
            }
            self.target.extend(will.map(|member| (digest, member)));
        }
        counts
    }

    fn change(&self) -> Change {
        sets::difference(&self.held, &self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up() {
        let sum = |n: u8| Digest([n; 32]);
        let named = |name: &str| Some(Member::named(vec![name.to_owned()]));
        let mut pending = Pending {
            seen: BTreeSet::from([sum(1), sum(2), sum(3)]),
            held: BTreeMap::from([(sum(1), Member::default()), (sum(2), Member::default())]),
            ..Pending::default()
        };
        pending.target = pending.held.clone();
        let counts = pending.apply(vec![(sum(1), None), (sum(2), named("x")), (sum(3), named("y"))]);
        assert_eq!((counts.added, counts.removed, counts.packages), (1, 1, 1));
        // What another takes back is no change in the end.
        let counts = pending.apply(vec![(sum(1), Some(Member::default())), (sum(3), None), (sum(4), None)]);
        assert_eq!((counts.added, counts.removed, counts.packages), (1, 1, 0));
        let change = pending.change();
        assert_eq!(change.put.keys().copied().collect::<Vec<_>>(), [sum(2)]);
        assert!(change.removed.is_empty());
        assert_eq!(pending.apply(vec![(sum(2), named("x"))]), Counts::default());
    }

    #[test]
    fn a_failure_is_told_to_all() {
        let error = again(&Error::conflict("no").about("used_by", vec!["x".to_owned()]).because("why"));
        assert_eq!((error.kind, &*error.message), (crate::error::Kind::Conflict, "no"));
        assert_eq!(
            (error.about.unwrap().1, error.cause.unwrap().to_string()),
            (vec!["x".to_owned()], "why".to_owned())
        );
    }
}
