//! A program that is run with a deadline, and ended early when somebody asks corectl to stop.
//!
//! **Invariants**: what was started is ended and waited for before this lets go of it: asked first, then killed.
//!
//! **Source**: pidfd_open(2), signal(7): a signal with a handler ends poll(2).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::AbError;

/// Between looks at what is waited for besides the program's end.
const LOOK_MILLIS: i64 = 20;

/// A program that was asked to end and has not by then is killed.
const END_SECONDS_MAX: u64 = 10;

/// Bytes of a program's words that are kept.
const SAID_BYTES_MAX: usize = 400;

/// Whether SIGINT, SIGTERM or SIGHUP has arrived.
#[derive(Clone)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Takes these signals over for the rest of the process, so that values are put back before it ends.
    ///
    /// # Errors
    /// Handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(StopFlag(flag))
    }

    pub(super) fn check(&self) -> Result<(), AbError> {
        if self.0.load(Ordering::Relaxed) { Err(AbError::Stopped) } else { Ok(()) }
    }
}

/// Milliseconds since some moment in the past, sleep of the machine not counted.
fn now_millis() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1_000_000
}

/// A program that runs; what it writes goes to a file.
pub(super) struct BoundedProgram {
    name: String,
    child: Child,
    said: std::path::PathBuf,
}

impl BoundedProgram {
    /// Starts it.
    pub(super) fn start(command: &mut Command, said: &Path) -> Result<Self, AbError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = std::fs::File::create(said).map_err(|error| AbError::run(&said.to_string_lossy(), &error))?;
        let other = file.try_clone().map_err(|error| AbError::run(&name, &error))?;
        command.stdin(Stdio::null()).stdout(file).stderr(other);
        let child = command.spawn().map_err(|error| AbError::run(&name, &error))?;
        Ok(BoundedProgram { name, child, said: said.to_owned() })
    }

    /// Waits for its end; its exit status, -1 for a signal.
    pub(super) fn wait(mut self, seconds_max: u64, stop: &StopFlag) -> Result<i32, AbError> {
        let has_ended = self.wait_until(seconds_max * 1000, stop, || false)?;
        if !has_ended {
            return Err(AbError::run(&self.name, &format!("it has not ended after {seconds_max} s")));
        }
        let status = self.child.wait().map_err(|error| AbError::run(&self.name, &error))?;
        Ok(status.code().unwrap_or(-1))
    }

    /// Waits until something is so, while it runs.
    pub(super) fn wait_ready(
        &mut self,
        seconds_max: u64,
        stop: &StopFlag,
        is_ready: impl FnMut() -> bool,
    ) -> Result<(), AbError> {
        let mut was_ready = false;
        let mut is_ready = is_ready;
        let has_ended = self.wait_until(seconds_max * 1000, stop, || {
            was_ready = is_ready();
            was_ready
        })?;
        match (was_ready, has_ended) {
            (_, true) => Err(AbError::run(&self.name, &format!("it has ended: {}", self.last_words()))),
            (true, false) => Ok(()),
            (false, false) => Err(AbError::run(&self.name, &format!("it is not ready after {seconds_max} s"))),
        }
    }

    /// Waits for its end, for what is asked for, or until the time is over. Whether it has ended.
    fn wait_until(&mut self, millis_max: u64, stop: &StopFlag, mut or: impl FnMut() -> bool) -> Result<bool, AbError> {
        let deadline = now_millis() + millis_max;
        loop {
            stop.check()?;
            if self.has_ended_within(LOOK_MILLIS)? {
                return Ok(true);
            }
            if or() || now_millis() >= deadline {
                return Ok(false);
            }
        }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    fn has_ended_within(&mut self, millis: i64) -> Result<bool, AbError> {
        let failed = |error: rustix::io::Errno| AbError::run("waiting", &error);
        let Some(pid) = self.pid() else { return Ok(true) };
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
        let limit = Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)) {
            Ok(ended) => Ok(ended > 0),
            // A signal: the next look at the flag sees it.
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// The end of what it wrote.
    pub(super) fn last_words(&self) -> String {
        last_words(&self.said)
    }
}

/// The end of what a program wrote to a file, in one line.
pub(super) fn last_words(said: &Path) -> String {
    let text = std::fs::read_to_string(said).unwrap_or_default();
    let line = text.trim().replace('\n', "; ");
    let from = line.len().saturating_sub(SAID_BYTES_MAX);
    let from = (from..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    line[from..].to_owned()
}

impl Drop for BoundedProgram {
    fn drop(&mut self) {
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), self.pid()) {
            // Not waited for yet, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
            let deadline = now_millis() + END_SECONDS_MAX * 1000;
            while now_millis() < deadline && !self.has_ended_within(LOOK_MILLIS).unwrap_or(true) {}
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, name: &str) -> (BoundedProgram, std::path::PathBuf) {
        let said = std::env::temp_dir().join(format!("corectl-program-{}-{name}", std::process::id()));
        (BoundedProgram::start(Command::new("sh").args(["-c", script]), &said).unwrap(), said)
    }

    fn never() -> StopFlag {
        StopFlag(Arc::new(AtomicBool::new(false)))
    }

    #[test]
    fn ends_and_last_words_are_told() {
        let (program, said) = shell("echo one; echo two >&2; exit 3", "ends");
        assert_eq!(program.wait(60, &never()).unwrap(), 3);
        assert_eq!(last_words(&said), "one; two");
        let (mut program, _) = shell("echo no; exit 1", "dies");
        let error = program.wait_ready(60, &never(), || false).unwrap_err();
        assert_eq!(error.to_string(), "sh: it has ended: no");
        for name in ["ends", "dies"] {
            let _ = std::fs::remove_file(said.with_file_name(format!("corectl-program-{}-{name}", std::process::id())));
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let (program, said) = shell("exec sleep 600", "long");
        let pid = program.pid().unwrap();
        let error = program.wait(0, &never()).unwrap_err();
        assert_eq!(error.to_string(), "sh: it has not ended after 0 s");
        assert!(pidfd_open(pid, PidfdFlags::empty()).is_err(), "it was ended and waited for");
        let (mut program, _) = shell("exec sleep 600", "long");
        program.wait_ready(60, &never(), || true).unwrap();
        let stopped = StopFlag(Arc::new(AtomicBool::new(true)));
        assert!(matches!(program.wait(60, &stopped), Err(AbError::Stopped)));
        let _ = std::fs::remove_file(said);
    }
}
