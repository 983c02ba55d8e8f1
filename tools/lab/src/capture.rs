//! Programs run to their end within a time limit: their output kept, or written to a log file.
//!
//! **Invariants**: a program that passes its limit, or is under way when a stop is requested, is killed with its group.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::child::ChildProcess;
use crate::poll::{self, Stop};
use crate::progress::{HEARTBEAT, ProgressLog};

/// How long the output of a program that has ended may still be read: a grandchild may hold the pipe open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its exit status; `None` when a signal or its time limit ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Captured {
    /// Standard output of a program that succeeded.
    ///
    /// # Errors
    /// It did not; the error has what it wrote.
    pub fn success(self, what: &str) -> Result<String> {
        let status = self
            .status
            .map_or_else(|| "ended by a signal or its time limit".into(), |code| format!("exit status {code}"));
        ensure!(self.status == Some(0), "{what}: {status}\n{}{}", self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

/// Runs a program to its end, at most for `limit`.
///
/// # Errors
/// The program is missing or may not be run, or a stop was requested. An exit status other than 0 is no error here.
pub fn capture(command: &mut Command, limit: Duration, stop: &Stop) -> Result<Captured> {
    capture_with_input(command, Stdio::null(), limit, stop)
}

/// As [`capture`], with a standard input.
///
/// # Errors
/// As [`capture`].
pub fn capture_with_input(command: &mut Command, input: Stdio, limit: Duration, stop: &Stop) -> Result<Captured> {
    let mut child = ChildProcess::start_with_input(command.stdout(Stdio::piped()).stderr(Stdio::piped()), input)?;
    let stdout = reader(child.take_stdout().context("standard output was asked to be piped")?);
    let stderr = reader(child.take_stderr().context("standard error was asked to be piped")?);
    let status = poll::until(Instant::now() + limit, stop, || child.exited());
    child.kill();
    ensure!(!stop.requested(), "stopped by a signal");
    let text = |receiver: Receiver<String>| receiver.recv_timeout(OUTPUT_GRACE).unwrap_or_default();
    Ok(Captured { status: status.and_then(|status| status.code()), stdout: text(stdout), stderr: text(stderr) })
}

fn reader(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until a failure is all there is to show.
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// Long work: its output goes to a file, and while it runs its last line is shown now and then.
#[derive(Debug)]
pub struct LoggedWork<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    /// The file its output is written to.
    pub log: &'a Path,
    /// The most time it may take.
    pub limit: Duration,
}

impl LoggedWork<'_> {
    /// Runs the program.
    ///
    /// # Errors
    /// It could not be started, failed, passed its limit or was stopped; the error has the last lines of the log.
    pub fn run(&self, command: &mut Command, progress: &ProgressLog, stop: &Stop) -> Result<()> {
        progress.say(self.name);
        let began = Instant::now();
        let log = File::create(self.log).with_context(|| self.log.display().to_string())?;
        let mut child = ChildProcess::start(command.stdout(log.try_clone()?).stderr(log))?;
        let mut shown = Instant::now();
        let status = poll::until(began + self.limit, stop, || {
            if shown.elapsed() >= HEARTBEAT {
                shown = Instant::now();
                progress.say(&format!("{}: {} s, {}", self.name, began.elapsed().as_secs(), self.last_lines(1)));
            }
            child.exited()
        });
        child.kill();
        let why = match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) => status.to_string(),
            None if stop.requested() => bail!("stopped by a signal"),
            None => format!("killed at its time limit of {} s", self.limit.as_secs()),
        };
        bail!("{}: {why}; the end of {}:\n{}", self.name, self.log.display(), self.last_lines(20))
    }

    fn last_lines(&self, count: usize) -> String {
        let text = std::fs::read(self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
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
    fn both_outputs_and_the_status_are_kept() {
        let limit = Duration::from_secs(60);
        let captured = capture(&mut shell("echo out; echo err >&2; exit 3"), limit, &Stop::never()).unwrap();
        assert_eq!(captured, Captured { status: Some(3), stdout: "out\n".into(), stderr: "err\n".into() });
        let error = captured.success("the script").unwrap_err().to_string();
        assert!(error.starts_with("the script: exit status 3") && error.contains("err"), "{error}");
    }

    #[test]
    fn input_is_passed_on() {
        let file = std::env::temp_dir().join(format!("corelane-lab-input-{}", std::process::id()));
        std::fs::write(&file, "given").unwrap();
        let input = Stdio::from(File::open(&file).unwrap());
        let captured =
            capture_with_input(&mut Command::new("cat"), input, Duration::from_secs(60), &Stop::never()).unwrap();
        std::fs::remove_file(file).unwrap();
        assert_eq!(captured.success("cat").unwrap(), "given");
    }

    #[test]
    fn a_program_that_passes_its_limit_has_no_status() {
        let captured = capture(&mut shell("sleep 600 & wait"), Duration::from_millis(50), &Stop::never()).unwrap();
        assert_eq!(captured.status, None);
    }

    #[test]
    fn long_work_that_fails_shows_the_end_of_its_log() {
        let log = std::env::temp_dir().join(format!("corelane-lab-log-{}", std::process::id()));
        let work = LoggedWork { name: "work", log: &log, limit: Duration::from_secs(60) };
        let run = |script: &str| work.run(&mut shell(script), &ProgressLog::begin(), &Stop::never());
        assert!(run("echo fine").is_ok());
        let error = run("echo first; echo it broke; exit 1").unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(error.ends_with("first\nit broke"), "{error}");
    }
}
