//! A process that outlives the one that started it.
//!
//! **Invariants**: a process is ended only if it is still the one that was started: number and start time agree, and the signal goes
//! to the descriptor, not to the number.
//!
//! **Source**: setsid(2), pidfd_open(2), proc_pid_stat(5) field 22.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::HostError;

/// What a process says on standard output when it is in a session of its own and waits.
pub const DETACHED: &str = "detached";

/// A process that was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachedProcess {
    /// Its number.
    pub pid: u32,
    /// When it started, in the kernel's ticks since the boot: with the number, it is one process.
    pub started_ticks: u64,
}

impl DetachedProcess {
    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }

    /// Ends it, if it is still that process.
    pub fn end(&self) {
        let number = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(Ok(descriptor)) = number.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
        if self.is_alive() {
            // It may end by itself at this very moment, which is as good.
            let _ = pidfd_send_signal(descriptor, Signal::TERM);
        }
    }
}

fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces: fields are counted behind it, from the state, which is field 3.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// Starts this program again; returns when it says that it is in a session of its own.
///
/// # Errors
/// It could not be started, or ended without a word.
pub(super) fn detach(arguments: &[String]) -> Result<DetachedProcess, HostError> {
    let what = "the process that takes changes back";
    let program = std::env::current_exe().map_err(|error| HostError::refused(what, &error))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| HostError::refused(what, &error))?;
    let mut line = String::new();
    let output = child.stdout.take().map(BufReader::new);
    let read = output.map(|mut output| output.read_line(&mut line));
    let started_ticks = started_ticks(child.id());
    match (read, started_ticks) {
        (Some(Ok(_)), Some(started_ticks)) if line.trim() == DETACHED => {
            Ok(DetachedProcess { pid: child.id(), started_ticks })
        }
        _ => Err(HostError::refused(what, &"it ended before it was ready")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let started_ticks = started_ticks(child.id()).unwrap();
        let other = DetachedProcess { pid: child.id(), started_ticks: started_ticks + 1 };
        other.end();
        let process = DetachedProcess { pid: child.id(), started_ticks };
        assert!(process.is_alive() && !other.is_alive());
        process.end();
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
