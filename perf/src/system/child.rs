//! Child processes: servers and the load generator, each in its own process group, always ended.
//!
//! **Invariants**: dropping a [`Child`] ends its group: SIGTERM, then SIGKILL after [`TERMINATION_LIMIT`]. Nothing is
//! ended that was not started here.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::system::stop::StopSignal;

/// What a process gets to leave by itself after SIGTERM: its load is over by then, so that it has nothing to drain.
const TERMINATION_LIMIT: Duration = Duration::from_secs(5);

/// Lines of a log in an error message: enough for an error with its remedy.
const LOG_LINES: usize = 15;

/// A running process with its output in a file.
pub(crate) struct Child {
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command`, its standard output and error going to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let file = File::create(log).with_context(|| format!("{} could not be written", log.display()))?;
        let errors = file.try_clone().context("a file handle could not be duplicated")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(errors))
            .process_group(0)
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        Ok(Self { process, log: log.to_path_buf() })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, once the process has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Everything the process has written so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines the process has written, for an error message.
    pub(crate) fn output_end(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            // The only failure possible is that the group is already gone.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        // A second Ctrl-C must not cut this short, or a server would be killed that would have left.
        let left = StopSignal::never().until(TERMINATION_LIMIT, || self.exited());
        // Members of the group may outlive its leader (nginx's worker), so the group is signalled in either case.
        self.signal(Signal::KILL);
        if left.is_none() {
            // It has been killed; waiting only collects its status.
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::scratch::ScratchFolder;

    fn shell(script: &str, log: &Path) -> Child {
        let mut command = Command::new("sh");
        Child::start(command.args(["-c", script]), log).expect("sh exists")
    }

    #[test]
    fn output_and_status_are_seen() {
        let scratch = ScratchFolder::new("child-output").expect("the temporary folder is writable");
        let mut child = shell("echo out; echo err >&2; exit 3", &scratch.path("log"));
        let status = StopSignal::never().until(Duration::from_secs(60), || child.exited()).expect("it ends by itself");
        assert_eq!((status.code(), child.output().as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn dropping_ends_the_process() {
        let scratch = ScratchFolder::new("child-drop").expect("the temporary folder is writable");
        let child = shell("exec sleep 600", &scratch.path("log"));
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        assert!(process.exists());
        drop(child);
        assert!(!process.exists(), "the process outlived its handle");
    }
}
