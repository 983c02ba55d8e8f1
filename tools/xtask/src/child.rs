//! Steps: programs run to their end within a time limit, their output passed through and their tests counted.
//!
//! **Invariants**: a step that passes its time limit is killed, with everything it started.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
pub(crate) use corelane_lab::child::ChildProcess;

use crate::poll::{self, Stop};
use crate::steps::{Outcome, TestCount};

/// How long the output of a process that has ended may still be read: a grandchild may hold the pipe open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// Runs `command` to its end, at most for `limit`, passing its output through and counting test results in it.
///
/// # Errors
/// The program is missing or may not be run.
pub(crate) fn run_step(command: &mut Command, limit: Duration, stop: &Stop) -> Result<(Outcome, TestCount)> {
    let mut child = ChildProcess::start(command.stdout(Stdio::piped()))?;
    let output = child.take_stdout().expect("standard output was asked to be piped");
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
}
