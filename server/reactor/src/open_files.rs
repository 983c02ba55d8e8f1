//! How many files this process may have open, and raising that.
//!
//! **Source**: getrlimit(2), `RLIMIT_NOFILE`: any process may raise its soft limit to its hard one.

use std::io;

/// The limit on open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// The soft limit that the process was started with.
    pub found: u64,
    /// The limit now.
    pub limit: u64,
}

/// Raises the soft limit of this process to its hard one.
///
/// # Errors
/// The operator's: a security policy refuses it.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let found = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit to read.
    if found < limit.rlim_max && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(OpenFiles { found, limit: limit.rlim_max })
}
