//! What a failing disk or database means to the caller: full, away for the moment, or our own fault.

use std::io;

use crate::error::{Error, Kind};

/// Translates an error of the database. The original stays as the cause, so that [`is_broken`] can see it.
pub(super) fn database(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    match &error {
        redb::Error::Io(cause) if is_disk_full(cause) => full().because(error),
        redb::Error::Io(_)
        | redb::Error::PreviousIo
        | redb::Error::DatabaseClosed
        | redb::Error::LockPoisoned(_)
        | redb::Error::TransactionPoisoned => away().because(error),
        _ => Error::internal(error),
    }
}

/// Translates an error of a file in the data directory.
pub(super) fn disk(error: io::Error) -> Error {
    if is_disk_full(&error) { full().because(error) } else { away().because(error) }
}

/// Whether this error means that the database must be closed and opened again before it can be written to.
pub(super) fn is_broken(error: &Error) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<redb::Error>());
    matches!(
        cause,
        Some(
            redb::Error::Io(_)
                | redb::Error::PreviousIo
                | redb::Error::DatabaseClosed
                | redb::Error::LockPoisoned(_)
                | redb::Error::TransactionPoisoned
        )
    )
}

/// Whether this error means that the disk has no room left.
pub(super) fn is_full(error: &Error) -> bool {
    error.kind == Kind::Quota
}

/// Whether the system says that the disk, or what this user may have of it, is full.
pub(super) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The disk is full.
pub(super) fn full() -> Error {
    Error::new(Kind::Quota, "the disk is full")
}

/// The disk does not answer as it should; a later try may find it well again.
pub(super) fn away() -> Error {
    Error::busy("the storage does not answer at the moment", 5)
}

/// The same words for another caller; the cause stays with the first.
pub(super) fn copy(error: &Error) -> Error {
    Error { retry_after: error.retry_after, ..Error::new(error.kind, error.message.clone()) }
}
