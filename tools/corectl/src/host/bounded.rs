//! A program that is run to its end, or killed when that does not come in time.
//!
//! ```text
//!  poll(stdout, stderr, pidfd) until the deadline ──▶ it has ended: what its pipes hold is its output
//!                                                └──▶ it has not: SIGKILL to its group ──▶ a moment for its end ──▶ Late
//! ```
//!
//! **Invariants**: returns at most `LIMIT` and a moment after it began, also when the kernel holds the program in a driver, where no
//! signal reaches it. What it started is killed with it. Output is bounded.
//!
//! **Source**: poll(2), pidfd_open(2); Linux, Documentation/admin-guide/sysctl/kernel.rst, "hung_task_timeout_secs" (tasks in state D).

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

use super::{CommandOutput, HostError};

/// How long a program may take. They take milliseconds; a driver that resets a card takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// What takes longer, and for how long: it looks for other systems on all disks.
const SLOW: &[(&str, Duration)] = &[("update-grub", Duration::from_secs(300))];

/// From the kill to the end: more is a program that the kernel does not let go of.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Bytes of each of its outputs; the longest, the spreading of a card with many queues, has some kilobytes.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Runs a program to its end.
///
/// # Errors
/// It is not installed, could not be started, did not end in time, or wrote too much.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
    let slow = SLOW.iter().find(|(name, _)| *name == program).map(|(_, limit)| *limit);
    run_within(program, arguments, slow.unwrap_or(LIMIT))
}

fn run_within(program: &str, arguments: &[&str], limit: Duration) -> Result<CommandOutput, HostError> {
    let what = || format!("{program} {}", arguments.join(" ")).trim_end().to_owned();
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => HostError::NoProgram { program: program.into() },
        _ => HostError::refused(program, &error),
    })?;
    let mut running = Running { child, outputs: Default::default() };
    match running.finish(limit) {
        Ok(()) => running.output(),
        Err(fault) => {
            let is_gone = running.kill();
            Err(fault.words(what(), limit, is_gone))
        }
    }
}

/// Why a program was killed.
enum RunFault {
    Late,
    TooMuch,
    Io(std::io::Error),
}

impl RunFault {
    fn words(self, what: String, limit: Duration, is_gone: bool) -> HostError {
        let end = if is_gone {
            "it was killed"
        } else {
            "it was killed and does not end: the kernel holds it, see dmesg and /proc/PID/stack"
        };
        let why = match self {
            RunFault::Late => format!("it had not ended after {} s; {end}", limit.as_secs()),
            RunFault::TooMuch => format!("it wrote more than {OUTPUT_BYTES_MAX} bytes; {end}"),
            RunFault::Io(error) => format!("{error}; {end}"),
        };
        HostError::Refused { what, why }
    }
}

impl From<std::io::Error> for RunFault {
    fn from(error: std::io::Error) -> Self {
        RunFault::Io(error)
    }
}

impl From<Errno> for RunFault {
    fn from(error: Errno) -> Self {
        RunFault::Io(error.into())
    }
}

/// Time since some moment in the past.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Waits until one of these can be read or has ended, for so long at most. Which have, none when the time is over.
fn ready<const COUNT: usize>(files: [Option<BorrowedFd<'_>>; COUNT], limit: Duration) -> Result<[bool; COUNT], Errno> {
    let mut at = Vec::with_capacity(COUNT);
    let mut polled = Vec::with_capacity(COUNT);
    for (index, file) in files.into_iter().enumerate() {
        if let Some(file) = file {
            at.push(index);
            polled.push(PollFd::from_borrowed_fd(file, PollFlags::IN));
        }
    }
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    match poll(&mut polled, Some(&limit)) {
        // A signal with a handler: whoever calls looks again.
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    let mut found = [false; COUNT];
    for (index, file) in at.into_iter().zip(&polled) {
        found[index] = !file.revents().is_empty();
    }
    Ok(found)
}

struct Running {
    child: Child,
    /// Of standard output and standard error.
    outputs: [Vec<u8>; 2],
}

impl Running {
    /// Reads what it writes until it has ended.
    fn finish(&mut self, limit: Duration) -> Result<(), RunFault> {
        let deadline = now() + limit;
        let ended = self.descriptor()?;
        loop {
            let left = deadline.saturating_sub(now());
            if left.is_zero() {
                return Err(RunFault::Late);
            }
            let (stdout, stderr) = (self.child.stdout.as_ref(), self.child.stderr.as_ref());
            let files = [stdout.map(AsFd::as_fd), stderr.map(AsFd::as_fd), Some(ended.as_fd())];
            let found = ready(files, left)?;
            self.read(&found)?;
            if found[2] {
                return self.drain();
            }
        }
    }

    /// Reads what the pipes still hold. Others may have them open, and those are not waited for.
    fn drain(&mut self) -> Result<(), RunFault> {
        loop {
            let (stdout, stderr) = (self.child.stdout.as_ref(), self.child.stderr.as_ref());
            let found = ready([stdout.map(AsFd::as_fd), stderr.map(AsFd::as_fd)], Duration::ZERO)?;
            if found == [false; 2] {
                return Ok(());
            }
            self.read(&found)?;
        }
    }

    /// Reads a piece of each pipe that has one, and lets go of one that has ended.
    fn read(&mut self, found: &[bool]) -> Result<(), RunFault> {
        let mut piece = [0; PIECE_BYTES];
        if found[0] && read_piece(self.child.stdout.as_mut(), &mut piece, &mut self.outputs[0])? {
            self.child.stdout = None;
        }
        if found[1] && read_piece(self.child.stderr.as_mut(), &mut piece, &mut self.outputs[1])? {
            self.child.stderr = None;
        }
        Ok(())
    }

    fn descriptor(&self) -> Result<std::os::fd::OwnedFd, Errno> {
        pidfd_open(self.pid(), PidfdFlags::empty())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills it and what it started. Whether it is gone.
    fn kill(&mut self) -> bool {
        // It may have ended by itself meanwhile, which is as good.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let ended = self.descriptor().and_then(|ended| ready([Some(ended.as_fd())], KILL_LIMIT));
        let is_gone = ended.is_ok_and(|[ended]| ended);
        if is_gone {
            let _ = self.child.wait();
        }
        is_gone
    }

    fn output(mut self) -> Result<CommandOutput, HostError> {
        let status = self.child.wait().map_err(|error| HostError::refused("waiting", &error))?;
        let [stdout, stderr] = self.outputs.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(CommandOutput { status: status.code().unwrap_or(-1), stdout, stderr })
    }
}

/// Reads once; whether that was the end.
fn read_piece(from: Option<&mut impl Read>, piece: &mut [u8], into: &mut Vec<u8>) -> Result<bool, RunFault> {
    let Some(from) = from else { return Ok(true) };
    let count = match from.read(piece) {
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
        read => read?,
    };
    into.extend_from_slice(&piece[..count]);
    if into.len() > OUTPUT_BYTES_MAX { Err(RunFault::TooMuch) } else { Ok(count == 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<CommandOutput, HostError> {
        run_within("sh", &["-c", script], limit)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let missing = run("no-such-program-here", &[]);
        assert_eq!(missing, Err(HostError::NoProgram { program: "no-such-program-here".into() }));
        let failed = run("sh", &["-c", "echo no >&2; exit 3"]).unwrap();
        assert_eq!(failed.status, 3);
        assert_eq!(failed.success("sh").unwrap_err().to_string(), "sh: no");
    }

    #[test]
    fn both_outputs_are_whole_also_when_they_are_longer_than_a_pipe() {
        let said = shell("seq 1 60000; seq 1 60000 >&2; exit 4", LONG).unwrap();
        let expected: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
        assert!(said.stdout == expected && said.stderr == expected, "{} {}", said.stdout.len(), said.stderr.len());
        assert_eq!(said.status, 4);
        assert_eq!(shell("kill -9 $$", LONG).unwrap().status, -1, "a signal");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_what_it_started_and_that_is_said() {
        let folder = std::env::temp_dir().join(format!("corectl-bounded-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let began = now();
        let error = shell(&script, Duration::from_secs(2)).unwrap_err();
        assert!(now() - began < LONG);
        assert_eq!(error.to_string(), format!("sh -c {script}: it had not ended after 2 s; it was killed"));
        let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // Killed at once; whoever adopts it may take a moment to take note.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        while !matches!(state().rsplit_once(')').map(|(_, rest)| rest.trim().chars().next()), None | Some(Some('Z'))) {
            std::thread::yield_now();
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_who_keeps_a_pipe_open_is_not_waited_for() {
        let said = shell("sleep 600 & echo $!", LONG).unwrap();
        let child = Pid::from_raw(said.stdout.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(child, Signal::KILL).unwrap();
    }

    #[test]
    fn output_without_end_is_cut_and_that_is_said() {
        let error = shell("yes", LONG).unwrap_err();
        assert_eq!(error.to_string(), "sh -c yes: it wrote more than 4194304 bytes; it was killed");
    }
}
