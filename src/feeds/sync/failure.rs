//! How a sync can fail, as its parts need to tell apart.

use crate::error::{Error, Kind};
use crate::formats::index::Problem;

/// What a part of a sync answers.
pub(super) type Outcome<T> = Result<T, Failure>;

/// Why a part of a sync did not work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The upstream has no such file.
    Missing(String),
    /// A connection broke or the upstream has a bad moment: worth another try.
    Broken(String),
    /// A file is not what the metadata said: it may have been replaced meanwhile.
    Changed(String),
    /// It will not work.
    Failed(String),
    /// Called off.
    Cancelled,
    /// Our own trouble: no room, a broken disk.
    Ours(Error),
}

impl Failure {
    /// The sentence for people.
    pub(super) fn words(&self) -> String {
        match self {
            Failure::Missing(words) | Failure::Broken(words) | Failure::Changed(words) | Failure::Failed(words) => {
                words.clone()
            }
            Failure::Cancelled => "cancelled".to_owned(),
            Failure::Ours(error) if error.kind == Kind::Internal => {
                log::error!("sync: {error:?}");
                "internal error, see the log".to_owned()
            }
            Failure::Ours(error) => error.message.clone().into_owned(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind {
            // Refused input is the upstream's.
            Kind::Invalid => Failure::Failed(error.message.into_owned()),
            _ => Failure::Ours(error),
        }
    }
}

/// A problem in the file called `name`.
pub(super) fn in_file(name: &str) -> impl Fn(Problem) -> Failure + '_ {
    move |problem| Failure::Failed(format!("{name}: {problem}"))
}
