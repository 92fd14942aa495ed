//! The tables of who follows whom, and what of a source a follower last copied (`repos.md` §19.6).

use serde::{Deserialize, Serialize};

use crate::audit;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::feeds::model::repos::{self, Follow, Repo};
use crate::feeds::model::sets::Hand;
use crate::feeds::model::{Set, Type};
use crate::feeds::{rules, upstream};
use crate::store::table::{Read, Table, WriteTx};

/// (label of the source, repo that follows it) → –.
const FOLLOWERS: Table<(String, String), ()> = Table::new("feeds.follower");
/// Repo that follows → how its last copy went.
const COPIES: Table<String, Copy> = Table::new("feeds.copy");

/// Most sets in a chain of followers.
const LONGEST_CHAIN: usize = 16;

/// How a follower's last copy went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The mark of the source when it was last copied well; none before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Why the last try failed; none when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The number that grows with every change of a set; none when there is no such set, or nothing of it to copy yet.
pub fn mark(tx: &impl Read, source: &Set) -> Result<Option<u64>> {
    match source {
        Set::Upstream(name) => {
            let upstream = upstream::get(tx, name)?.filter(|upstream| upstream.synced.is_some());
            Ok(upstream.map(|upstream| upstream.changes))
        }
        Set::Repo(name) => Ok(repos::get(tx, name)?.map(|repo| repo.generation)),
        Set::Snapshot(..) => Ok(None),
    }
}

/// The repos that follow a set, by name.
pub fn followers(tx: &impl Read, source: &Set) -> Result<Vec<String>> {
    let rows = FOLLOWERS.all(tx, (source.label().as_str(),))?;
    Ok(rows.into_iter().map(|((_, repo), ())| repo).collect())
}

/// Every repo that follows a set.
pub fn all(tx: &impl Read) -> Result<Vec<String>> {
    Ok(FOLLOWERS.all(tx, ())?.into_iter().map(|((_, repo), ())| repo).collect())
}

/// How a follower's last copy went.
pub fn last(tx: &impl Read, repo: &str) -> Result<Copy> {
    Ok(COPIES.get(tx, repo)?.unwrap_or_default())
}

/// Notes how a copy went, unless the repo follows something else by now.
pub fn note(tx: &WriteTx, repo: &str, follow: &Follow, copy: &Copy) -> Result<()> {
    let still = repos::get(tx, repo)?.is_some_and(|repo| repo.options.follow.as_ref() == Some(follow));
    if still { COPIES.put(tx, repo, copy) } else { Ok(()) }
}

/// Whether a repo of this type may follow that source.
///
/// # Errors
/// `NotFound` for an unknown source, `Invalid` for itself and for one of another type, `Conflict` when the source
/// follows the repo, directly or through others.
pub fn check(tx: &impl Read, name: &str, kind: Type, follow: &Follow) -> Result<()> {
    let source = follow.set().ok_or_else(|| Error::invalid("a repo follows an upstream or a repo"))?;
    if source == Set::Repo(name.to_owned()) {
        return Err(Error::invalid("a repo cannot follow itself"));
    }
    let unknown = || Error::not_found(format!("there is no {} {}", follow.kind, rules::shown(&follow.name)));
    let from = match &source {
        Set::Upstream(upstream) => upstream::get(tx, upstream)?.ok_or_else(unknown)?.definition.kind,
        Set::Repo(repo) => repos::get(tx, repo)?.ok_or_else(unknown)?.kind,
        Set::Snapshot(..) => return Err(Error::invalid("a snapshot never changes; sync from it once instead")),
    };
    if matches!((from, kind), (Type::Yum, Type::Apt) | (Type::Apt, Type::Yum)) {
        let (name, follow) = (rules::shown(name), rules::shown(&follow.name));
        let sentence = format!("{follow} is of type {}, repo {name} of type {}", from.word(), kind.word());
        return Err(Error::invalid(sentence));
    }
    let mut at = source;
    for _ in 0..LONGEST_CHAIN {
        let Set::Repo(repo) = &at else { return Ok(()) };
        if repo == name {
            let sentence = format!("{} follows repo {} already", rules::shown(&follow.name), rules::shown(name));
            return Err(Error::conflict(sentence));
        }
        match repos::get(tx, repo)?.and_then(|repo| repo.options.follow).and_then(|follow| follow.set()) {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
    Err(Error::conflict(format!("more than {LONGEST_CHAIN} repos would follow one another")))
}

/// Part of a publication: keeps the index of followers right. `old` is the repo as the publication found it, `there`
/// as it is now; who did not mean to change what it follows leaves that as it is now.
///
/// # Errors
/// As [`check`].
pub fn settle(tx: &WriteTx, name: &str, old: Option<&Repo>, there: Option<&Repo>, repo: &mut Repo) -> Result<()> {
    let followed = |repo: Option<&Repo>| repo.and_then(|repo| repo.options.follow.clone());
    let (before, now) = (followed(old), followed(there));
    if repo.options.follow == before {
        repo.options.follow.clone_from(&now);
    }
    if repo.options.follow == now {
        return Ok(());
    }
    if let Some(follow) = &repo.options.follow {
        check(tx, name, repo.kind, follow)?;
    }
    forget(tx, name, now.as_ref())?;
    match repo.options.follow.as_ref().and_then(Follow::set) {
        Some(source) => FOLLOWERS.put(tx, (source.label().as_str(), name), &()),
        None => Ok(()),
    }
}

/// A repo follows nothing any more.
pub fn forget(tx: &WriteTx, name: &str, follow: Option<&Follow>) -> Result<()> {
    COPIES.remove(tx, name)?;
    if let Some(source) = follow.and_then(Follow::set) {
        FOLLOWERS.remove(tx, (source.label().as_str(), name))?;
    }
    Ok(())
}

/// A set goes: who followed it keeps its packages and follows nothing any more.
pub fn end(tx: &WriteTx, hand: Hand, source: &Set) -> Result<()> {
    for name in followers(tx, source)? {
        if let Some(mut repo) = repos::get(tx, &name)? {
            forget(tx, &name, repo.options.follow.as_ref())?;
            repo.options.follow = None;
            repos::put(tx, &name, &repo)?;
            audit::note(tx, hand.now, hand.who, "repo.unfollow", &format!("{name} {}", source.label()), None)?;
        }
    }
    Ok(())
}
