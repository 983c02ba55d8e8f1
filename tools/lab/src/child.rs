//! Child processes: started in their own group, watched, and always stopped as a group.
//!
//! **Not**: shells. Arguments are passed as they are.
//!
//! **Invariants**: dropping a [`ChildProcess`] kills its whole group.

use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::poll::{self, Stop};

/// What a process gets to leave by itself after SIGTERM, before SIGKILL: longer than the servers' own cut-off of idle
/// work, shorter than anyone's patience.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);

/// A running process and its group.
pub struct ChildProcess {
    process: std::process::Child,
    exited: Option<ExitStatus>,
}

impl ChildProcess {
    /// Starts `command` in a new process group with no standard input.
    ///
    /// # Errors
    /// The program is missing or may not be run.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_with_input(command, Stdio::null())
    }

    /// As [`ChildProcess::start`], with a standard input.
    ///
    /// # Errors
    /// As [`ChildProcess::start`].
    pub fn start_with_input(command: &mut Command, input: Stdio) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let process =
            command.stdin(input).process_group(0).spawn().with_context(|| format!("{program} could not be started"))?;
        Ok(Self { process, exited: None })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its standard output, if it was asked to be piped and nobody has taken it.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Its standard error, likewise.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.process.stderr.take()
    }

    /// The exit status, once the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.process.try_wait().ok().flatten();
        }
        self.exited
    }

    /// Sends SIGTERM to the group.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end within the grace, then kills the group. Returns whether the process left by itself.
    pub fn finish(&mut self, stop: &Stop) -> bool {
        let deadline = Instant::now() + TERMINATION_GRACE;
        let left = poll::until(deadline, stop, || self.exited()).is_some();
        self.kill();
        left
    }

    /// Kills the group, and waits for the process to be gone.
    pub fn kill(&mut self) {
        // Members of the group may outlive its leader, so the group is signalled in either case; that nobody is left
        // to receive the signal is the normal end.
        self.signal(Signal::KILL);
        if self.exited.is_none() {
            self.exited = self.process.wait().ok();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            // The only failure possible is that the group is already gone.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = ChildProcess::start(&mut Command::new("no-such-program-here")).err().expect("it does not exist");
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
