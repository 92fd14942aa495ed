//! Whether a bundle may become the state of a repo here. Pure.

use super::manifest::Manifest;
use crate::error::Error;
use crate::feeds::model::repos::{Import, Repo};
use crate::ids::Digest;

/// The repo a bundle meets.
pub(super) struct Here<'a> {
    /// Its row.
    pub(super) repo: &'a Repo,
    /// What stands for its packages.
    pub(super) digest: Digest,
}

/// Judges a bundle by what is here of its repo. `digest` stands for the packages the bundle names; `replace` means that
/// its owner knows that it takes the place of something else.
///
/// # Errors
/// `Conflict`, with what to do about it.
pub(super) fn judge(here: Option<&Here>, bundle: &Manifest, digest: &Digest, replace: bool) -> Result<(), Error> {
    let name = &bundle.repo;
    if let Some(here) = here.filter(|here| here.repo.kind != bundle.kind) {
        let (ours, theirs) = (here.repo.kind.word(), bundle.kind.word());
        return Err(Error::conflict(format!("repo {name} is of type {ours} here, in the bundle of type {theirs}")));
    }
    check_base(here, bundle)?;
    let Some(here) = here.filter(|_| !replace) else { return Ok(()) };
    if here.digest == *digest && here.repo.imports.last().is_none_or(|last| last.generation == bundle.generation) {
        return Ok(());
    }
    match here.repo.imports.last() {
        Some(last) => check_order(name, last, bundle.generation, digest),
        None if here.repo.packages == 0 => Ok(()),
        None => Err(Error::conflict(format!(
            "repo {name} was made here and has packages of its own; replace=1 puts what the bundle has in their place"
        ))),
    }
}

fn check_order(name: &str, last: &Import, generation: u64, digest: &Digest) -> Result<(), Error> {
    if generation > last.generation || (generation == last.generation && last.digest == *digest) {
        return Ok(());
    }
    let sentence = if generation == last.generation {
        format!("generation {generation} of repo {name} was imported already, with other packages")
    } else {
        format!("repo {name} has generation {} already, the bundle is generation {generation}", last.generation)
    };
    Err(Error::conflict(format!("{sentence}; replace=1 imports it all the same")))
}

/// Whether the state a bundle goes on from was ever here.
fn check_base(here: Option<&Here>, bundle: &Manifest) -> Result<(), Error> {
    let Some(base) = &bundle.base else { return Ok(()) };
    let name = &bundle.repo;
    let had = here.is_some_and(|here| {
        let imports = &here.repo.imports;
        here.digest == base.digest
            || imports.iter().any(|known| (known.generation, known.digest) == (base.generation, base.digest))
    });
    if had {
        return Ok(());
    }
    let sentence = match here.and_then(|here| here.repo.imports.last()) {
        Some(last) => format!("the latest one here is {0}: export since={0}, or all of it", last.generation),
        None => "export all of it".to_owned(),
    };
    let generation = base.generation;
    Err(Error::conflict(format!(
        "the bundle goes on from generation {generation} of repo {name}, which is not here; {sentence}"
    )))
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{Base, time};
    use super::*;
    use crate::clock::Time;
    use crate::feeds::model::Type;
    use crate::feeds::model::repos::Options;

    fn repo(packages: u64, imports: &[(u64, &str)]) -> Repo {
        let import = |(generation, state): &(u64, &str)| Import {
            generation: *generation,
            digest: Digest::of(state.as_bytes()),
            created: Time(0),
            imported: Time(0),
            signer: None,
        };
        Repo {
            kind: Type::Dir,
            created: Time(0),
            updated: Time(0),
            generation: 9,
            published: 0,
            packages,
            size: 0,
            options: Options::default(),
            shelves: Default::default(),
            imports: imports.iter().map(import).collect(),
        }
    }

    fn bundle(kind: Type, generation: u64, base: Option<(u64, &str)>) -> Manifest {
        let base = base.map(|(generation, state)| Base { generation, digest: Digest::of(state.as_bytes()) });
        Manifest {
            format: 1,
            repo: "r".to_owned(),
            kind,
            options: Default::default(),
            generation,
            created_at: time(0),
            base,
            packages: Vec::new(),
            extra: Vec::new(),
        }
    }

    #[test]
    fn bundles_are_judged_by_what_is_here() {
        let dir = Type::Dir;
        let taken: &[(u64, &str)] = &[(2, "two"), (4, "four")];
        // What is here (packages, imports, state), the bundle (type, generation, base, state), and whether it is taken:
        // always, only as a replacement, or never.
        type Case<'a> =
            (Option<(u64, &'a [(u64, &'a str)], &'a str)>, (Type, u64, Option<(u64, &'a str)>, &'a str), [bool; 2]);
        let cases: [Case; 16] = [
            (None, (dir, 3, None, "three"), [true, true]),
            (None, (dir, 3, Some((2, "two")), "three"), [false, false]),
            (Some((0, &[], "")), (dir, 3, None, "three"), [true, true]),
            (Some((0, &[], "")), (Type::Apt, 3, None, "three"), [false, false]),
            (Some((1, &[], "own")), (dir, 3, None, "three"), [false, true]),
            (Some((1, &[], "own")), (dir, 3, None, "own"), [true, true]),
            (Some((1, &[], "two")), (dir, 3, Some((2, "two")), "three"), [false, true]),
            (Some((1, taken, "four")), (dir, 4, None, "four"), [true, true]),
            (Some((1, taken, "changed")), (dir, 4, None, "four"), [true, true]),
            (Some((1, taken, "four")), (dir, 5, None, "five"), [true, true]),
            (Some((1, taken, "four")), (dir, 5, Some((4, "four")), "five"), [true, true]),
            (Some((1, taken, "four")), (dir, 5, Some((2, "two")), "five"), [true, true]),
            (Some((1, taken, "four")), (dir, 5, Some((3, "three")), "five"), [false, false]),
            (Some((1, taken, "four")), (dir, 5, Some((2, "other")), "five"), [false, false]),
            (Some((1, taken, "four")), (dir, 3, None, "three"), [false, true]),
            (Some((1, taken, "four")), (dir, 4, None, "other"), [false, true]),
        ];
        for (here, (kind, generation, base, state), taken) in cases {
            let row = here.map(|(packages, imports, state)| (repo(packages, imports), Digest::of(state.as_bytes())));
            let here_now = row.as_ref().map(|(repo, digest)| Here { repo, digest: *digest });
            let bundle = bundle(kind, generation, base);
            let judged = [false, true]
                .map(|replace| judge(here_now.as_ref(), &bundle, &Digest::of(state.as_bytes()), replace).is_ok());
            assert_eq!(judged, taken, "{here:?} {generation} {base:?} {state}");
        }
    }
}
