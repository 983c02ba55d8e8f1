//! Child processes: started in their own group, watched, and always stopped as a group.
//!
//! **Not**: shells. Arguments are passed as they are.
//!
//! **Invariants**: dropping a [`ChildProcess`] kills its whole group. A step that passes its time limit is killed, with
//! everything it started.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::poll::{self, Stop};
use crate::steps::{Outcome, TestCount};

/// What a process gets to leave by itself after SIGTERM, before SIGKILL: longer than the servers' own cut-off of idle
/// work, shorter than anyone's patience.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);

/// How long the output of a process that has ended may still be read: a grandchild may hold the pipe open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// A running process and its group.
pub(crate) struct ChildProcess {
    process: std::process::Child,
    exited: Option<ExitStatus>,
}

impl ChildProcess {
    /// Starts `command` in a new process group with no standard input.
    ///
    /// # Errors
    /// The program is missing or may not be run.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let process = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        Ok(Self { process, exited: None })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, once the process has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.process.try_wait().ok().flatten();
        }
        self.exited
    }

    /// Sends SIGTERM to the group.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end within the grace, then kills the group. Returns whether the process left by itself.
    pub(crate) fn finish(&mut self, stop: &Stop) -> bool {
        let deadline = Instant::now() + TERMINATION_GRACE;
        let left = poll::until(deadline, stop, || self.exited()).is_some();
        self.kill();
        left
    }

    fn kill(&mut self) {
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

/// Runs `command` to its end, at most for `limit`, passing its output through and counting test results in it.
///
/// # Errors
/// The program is missing or may not be run.
pub(crate) fn run_step(command: &mut Command, limit: Duration, stop: &Stop) -> Result<(Outcome, TestCount)> {
    let mut child = ChildProcess::start(command.stdout(Stdio::piped()))?;
    let output = child.process.stdout.take().expect("standard output was asked to be piped");
    let (sender, counted) = mpsc::channel();
    thread::spawn(move || sender.send(pass_through(output, std::io::stdout())));

    let status = poll::until(Instant::now() + limit, stop, || child.exited());
    child.kill();
    let tests = counted.recv_timeout(OUTPUT_GRACE).unwrap_or_default();
    let outcome = match status {
        Some(status) if status.success() => Outcome::Passed,
        Some(status) => Outcome::Failed(status.to_string()),
        None if stop.requested() => Outcome::Failed("stopped by a signal".into()),
        None => Outcome::Failed(format!("killed at its time limit of {} s", limit.as_secs())),
    };
    Ok((outcome, tests))
}

/// Copies a child's output to ours line by line and adds up its `test result:` lines.
fn pass_through(output: impl Read, mut ours: impl Write) -> TestCount {
    let mut total = TestCount::default();
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // Whoever reads our output may have gone away; the step still has to be run to its end.
        let _ = ours.write_all(&line);
        total.add(TestCount::in_line(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_step_reports_success_and_failure() {
        let limit = Duration::from_secs(60);
        for (script, expected) in [("exit 0", Outcome::Passed), ("exit 3", Outcome::Failed("exit status: 3".into()))] {
            let (outcome, _) = run_step(&mut shell(script), limit, &Stop::never()).expect("sh exists");
            assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn output_is_copied_and_its_tests_are_counted() {
        let output = "running\ntest result: ok. 3 passed; 0 failed\ntest result: FAILED. 1 passed; 2 failed";
        let mut copy = Vec::new();
        assert_eq!(pass_through(output.as_bytes(), &mut copy), TestCount { passed: 4, failed: 2 });
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn a_step_that_passes_its_limit_is_killed_with_its_group() {
        let began = Instant::now();
        let (outcome, _) =
            run_step(&mut shell("sleep 600 & wait"), Duration::from_millis(50), &Stop::never()).expect("sh exists");
        assert!(matches!(outcome, Outcome::Failed(why) if why.contains("time limit")));
        assert!(began.elapsed() < Duration::from_secs(60), "the group outlived its limit");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = ChildProcess::start(&mut Command::new("no-such-program-here")).err().expect("it does not exist");
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
