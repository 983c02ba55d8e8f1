//! CPU time of a process and its children, as the kernel accounts for them.
//!
//! **Not**: sampling. Both figures are exact counters of the scheduler, in nanoseconds.
//!
//! **Source**: clock_getcpuclockid(3) (time on a CPU, of threads that have ended too), Documentation/scheduler/sched-stats.rst
//! (`schedstat`: time waiting for a CPU), proc_pid_stat(5) (parent).

use std::fs;
use std::ops::{Add, Sub};

use anyhow::{Context, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Time of a set of processes since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// On a CPU, user and system together, in nanoseconds.
    pub(crate) used_ns: u64,
    /// Runnable but kept waiting by others on the same CPU, in nanoseconds; of the threads that live.
    pub(crate) waited_ns: u64,
}

impl Add for CpuTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { used_ns: self.used_ns + other.used_ns, waited_ns: self.waited_ns + other.waited_ns }
    }
}

impl Sub for CpuTime {
    type Output = Self;

    /// Saturates: a process that has ended in between takes its time with it, and a thread what it waited.
    fn sub(self, earlier: Self) -> Self {
        Self {
            used_ns: self.used_ns.saturating_sub(earlier.used_ns),
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
        }
    }
}

impl CpuTime {
    /// The time of all threads of `process` and of its descendants.
    pub(crate) fn of_tree(process: u32) -> Result<Self> {
        let parents = parents()?;
        let mut members = vec![process];
        let mut total = Self::default();
        while let Some(member) = members.pop() {
            members.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(child, _)| *child));
            match Self::of_process(member) {
                Ok(time) => total = total + time,
                Err(error) if member == process => return Err(error),
                // A descendant that ended since the list was made takes its time with it, and is not worth a failure.
                Err(_) => {}
            }
        }
        Ok(total)
    }

    /// The time of `process` alone: cheap enough to be read while a load runs.
    pub(crate) fn of_process(process: u32) -> Result<Self> {
        let used_ns = used_ns(process).with_context(|| format!("process {process} has ended"))?;
        let folder = format!("/proc/{process}/task");
        let threads = fs::read_dir(&folder).with_context(|| format!("process {process} has ended"))?;
        // Threads that end between the listing and the reading are left out; a living process has one at least.
        let waits = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            parse_waited_ns(&text)
        });
        let waited_ns = waits.reduce(u64::add).with_context(|| {
            format!("{folder}/*/schedstat could not be read: process {process} has ended, or the kernel has no CONFIG_SCHED_INFO")
        })?;
        Ok(Self { used_ns, waited_ns })
    }
}

/// Time on a CPU of all threads that `process` has and had, in nanoseconds.
fn used_ns(process: u32) -> Result<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.try_into()?))?;
    let time = clock_gettime(clock)?;
    Ok(u64::try_from(time.tv_sec())? * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
}

/// All processes with their parents; those that end while the list is made are left out.
fn parents() -> Result<Vec<(u32, u32)>> {
    let entries = fs::read_dir("/proc").context("/proc could not be listed")?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids.filter_map(|id| Some((id, parse_parent(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?))).collect())
}

fn parse_waited_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

/// The parent in a `stat` line: the second field after the name, which may itself hold blanks and parentheses.
fn parse_parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read() {
        assert_eq!(parse_waited_ns("123 45 6\n"), Some(45));
        assert_eq!(parse_waited_ns(""), None);
        assert_eq!(parse_parent("17 (a) b) S) R 4 17 17"), Some(4));
        assert_eq!(parse_parent("nonsense"), None);
    }

    #[test]
    fn differences_never_go_below_zero() {
        let early = CpuTime { used_ns: 10, waited_ns: 7 };
        let late = CpuTime { used_ns: 15, waited_ns: 5 };
        assert_eq!(late - early, CpuTime { used_ns: 5, waited_ns: 0 });
    }

    #[test]
    fn a_thread_that_has_ended_is_counted() {
        let own = std::process::id();
        let before = CpuTime::of_process(own).expect("we run");
        let thread = std::thread::spawn(|| {
            let clock = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_nsec;
            while clock() < 5_000_000 {}
        });
        thread.join().expect("it only counts");
        let used = CpuTime::of_process(own).expect("we run") - before;
        assert!(used.used_ns >= 5_000_000, "{used:?}");
    }

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let own = std::process::id();
        assert!(CpuTime::of_tree(own).expect("we run").used_ns > 0);
        assert!(CpuTime::of_tree(u32::MAX).is_err(), "no process has this id");
        assert!(parents().expect("/proc is mounted").iter().any(|(id, _)| *id == own));
    }
}
