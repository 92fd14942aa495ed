//! How the system's allocator is to behave: freed memory is shared between threads instead of kept by each.

/// The fewest and the most arenas.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: std::ops::RangeInclusive<usize> = 2..=8;

/// To be called before there is a second thread. The allocator of GNU systems gives threads arenas of their own, up to
/// eight a processor, and what a thread frees stays in its arena: a server whose threads come and go for large work
/// (indexes of a repository, uploads) keeps several times of what it uses. An arena a processor is enough.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn share_between_threads() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = processors.clamp(*ARENAS.start(), *ARENAS.end());
    let arenas = libc::c_int::try_from(arenas).unwrap_or(libc::c_int::MAX);
    // SAFETY: `mallopt` takes two numbers and sets a limit of the allocator, which looks at it when a thread first asks
    // for memory; no memory that is in use is touched.
    let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    if set == 0 {
        log::debug!("the allocator keeps its number of arenas");
    }
}

/// Other systems' allocators share what is freed by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_between_threads() {}
