//! Named points at which the process dies on request, for the crash tests; nothing at all in a release.
//!
//! Compiled in with the cargo feature `crash-points` only. `PACKHOUSE_CRASH_AT=name` dies at the first passage,
//! `name:3` at the third: at once, without unwinding, flushing or closing anything, as in a power cut of the process.
//!
//! | name | reliability §5 | dies when |
//! |---|---|---|
//! | `stage-created` | 1 | the stage file exists and is empty |
//! | `body-half` | 2 | half the expected body (or its first block, when the length is unknown) is written |
//! | `body-complete` | 3 | the last byte is written, nothing is flushed |
//! | `stage-flushed` | 4 | the stage file is flushed and closed |
//! | `renamed` | 5 | the blob has its name, its directory is not flushed |
//! | `directory-flushed` | 6 | the directory is flushed, the transaction is not durable |
//! | `commit-begun` | 7 | the transaction's closures have run, the commit starts |
//! | `commit-half` | 7 | between the two flushes of the commit, all directories flushed |
//! | `committed` | 8 | the commit is durable, nobody is answered |
//! | `row-deleted` | 10 | the row of an unheld blob is gone, the blob is not |
//! | `sweep` | 12 | in the middle of the start-up sweep |
//!
//! Points 9 (answered) and 11 (repository generations) belong to others, who call [`point`] with their own names.

/// Dies here when this point was asked for.
#[cfg(feature = "crash-points")]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static CHOSEN: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("PACKHOUSE_CRASH_AT").ok()?;
        let (name, passage) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicI64::new(passage.parse().unwrap_or(1))))
    });
    if let Some((chosen, left)) = chosen
        && chosen == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

/// Dies here when this point was asked for: never, in this build.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &str) {}
