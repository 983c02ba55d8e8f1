//! The whole host while a run goes on: how busy each CPU was, and what its network stack dropped.
//!
//! **Not** of a process; that is `cpu` and `listening`.
//!
//! **Invariants**: differences never go below zero; a CPU that came or went in between does not shift the others.
//!
//! **Source**: proc_stat(5) (ticks of each CPU), net/core/net-procfs.c (`/proc/net/softnet_stat`: packets, dropped, squeezed, in
//! hexadecimal, a line for each CPU).

use std::collections::BTreeMap;
use std::fs;

/// CPUs told apart at most, by their numbers: what a timeline of an hour still holds.
pub(crate) const CPUS_MAX: usize = 256;

/// What the host has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostCounters {
    /// Busy ticks and all ticks of each CPU, by its number.
    cpus: BTreeMap<usize, (u64, u64)>,
    pub(crate) softnet: Softnet,
}

/// Packets that the network stack took, all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Softnet {
    /// Dropped because a CPU's queue was full.
    pub(crate) dropped: u64,
    /// Times a CPU had to stop taking packets although there were more.
    pub(crate) squeezed: u64,
}

impl Softnet {
    /// What was counted since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            dropped: self.dropped.saturating_sub(earlier.dropped),
            squeezed: self.squeezed.saturating_sub(earlier.squeezed),
        }
    }
}

impl HostCounters {
    /// Now. What cannot be read is left out.
    pub(crate) fn take() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self { cpus: parse_cpus(&read("/proc/stat")), softnet: parse_softnet(&read("/proc/net/softnet_stat")) }
    }

    /// Share of the time that each CPU was busy since an earlier look, from 0 to 1, by its number; none of a CPU that was not
    /// there, or whose clock has not moved.
    pub(crate) fn busy_since(&self, earlier: &Self) -> Vec<Option<f64>> {
        let count = self.cpus.last_key_value().map_or(0, |(cpu, _)| cpu + 1);
        let share = |cpu: usize| {
            let ((busy, all), (busy_before, all_before)) = (self.cpus.get(&cpu)?, earlier.cpus.get(&cpu)?);
            let all = all.saturating_sub(*all_before);
            (all > 0).then(|| (busy.saturating_sub(*busy_before) as f64 / all as f64).min(1.0))
        };
        (0..count).map(share).collect()
    }
}

fn parse_cpus(stat: &str) -> BTreeMap<usize, (u64, u64)> {
    let of_line = |line: &str| {
        let (cpu, ticks) = line.strip_prefix("cpu")?.split_once(' ')?;
        // Guest time, the last two, is in user time already.
        let ticks: Vec<u64> = ticks.split_whitespace().take(8).filter_map(|tick| tick.parse().ok()).collect();
        let all: u64 = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Some((cpu.parse().ok()?, (all - idle, all)))
    };
    stat.lines().filter_map(of_line).filter(|(cpu, _)| *cpu < CPUS_MAX).collect()
}

fn parse_softnet(table: &str) -> Softnet {
    let mut sum = Softnet::default();
    for line in table.lines() {
        let mut columns = line.split_whitespace().skip(1).map(|column| u64::from_str_radix(column, 16).unwrap_or(0));
        sum.dropped += columns.next().unwrap_or(0);
        sum.squeezed += columns.next().unwrap_or(0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 1 20 100 5 2 3 4 7 0\ncpu3 1 0 1 8 0 0 0 0 0 0\nintr 5\ncpu999 1 1 1 1\n";
        // Busy: user, nice, system, irq, softirq, steal; idle and waiting for disks are not.
        assert_eq!(parse_cpus(stat), BTreeMap::from([(0, (40, 145)), (3, (2, 10))]));
        assert!(parse_cpus("nonsense\ncpu\ncpux 1\n").is_empty());
        let table = "0001e240 0000000a 00000002 0 0\n00000001 00000001 00000001 0 0\nodd\n";
        assert_eq!(parse_softnet(table), Softnet { dropped: 11, squeezed: 3 });
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let at = |cpus: &[(usize, (u64, u64))]| HostCounters {
            cpus: cpus.iter().copied().collect(),
            ..HostCounters::default()
        };
        let (early, late) = (at(&[(0, (40, 100)), (2, (5, 5))]), at(&[(0, (65, 200)), (2, (5, 5)), (3, (1, 1))]));
        // CPU 1 is not there, the clock of CPU 2 has stopped, and CPU 3 has come.
        assert_eq!(late.busy_since(&early), [Some(0.25), None, None, None]);
        assert_eq!(early.busy_since(&late), [None, None, None], "nothing goes below zero");
    }

    #[test]
    fn this_host_has_a_cpu() {
        let now = HostCounters::take();
        assert!(!now.cpus.is_empty() && now.busy_since(&now).iter().all(Option::is_none));
    }
}
