//! Programs that are run to their end, what they print, and waiting with words.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use corelane_lab::capture::capture;
use corelane_lab::poll::{self, Stop};

/// What a program printed, standard output first, and its exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) text: String,
    /// None where a signal or the time limit ended it.
    pub(crate) status: Option<i32>,
}

impl Printed {
    /// The text, where the status is 0.
    ///
    /// # Errors
    /// It is not; the error has the text.
    pub(crate) fn success(self, what: &str) -> Result<String> {
        ensure!(self.status == Some(0), "{what}: status {:?}\n{}", self.status, self.text.trim_end());
        Ok(self.text)
    }
}

/// Runs a program.
///
/// # Errors
/// It cannot be started, or a stop was requested; it is killed at `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration, stop: &Stop) -> Result<Printed> {
    let captured = capture(command, limit, stop)?;
    Ok(Printed { text: captured.stdout + &captured.stderr, status: captured.status })
}

/// Calls `probe` until it returns a value.
///
/// # Errors
/// `what` did not happen within `limit`, or a stop was requested.
pub(crate) fn wait<T>(stop: &Stop, limit: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> Result<T> {
    match poll::until(Instant::now() + limit, stop, probe) {
        Some(value) => Ok(value),
        None if stop.requested() => bail!("stopped by a signal while waiting for {what}"),
        None => None.with_context(|| format!("{what}: not within {} s", limit.as_secs())),
    }
}
