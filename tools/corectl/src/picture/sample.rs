//! What CPUs did since the boot: time worked and interrupts taken, of which two looks make a rate.
//!
//! **Source**: proc_stat(5) (`cpuN`: user nice system idle iowait irq softirq steal), `/proc/interrupts` (a column for each CPU that is
//! online).

use std::collections::BTreeMap;

use crate::host::HostAccess;

/// A look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuSample {
    /// Ticks worked, and ticks in all, by CPU.
    ticks: BTreeMap<u32, (u64, u64)>,
    interrupts: BTreeMap<u32, u64>,
}

/// Fields of a `cpuN` line that count; guests are part of user already.
const FIELDS: usize = 8;

/// Of these, the two in which a CPU had nothing to do.
const IDLE: std::ops::Range<usize> = 3..5;

impl CpuSample {
    /// Looks now.
    #[must_use]
    pub fn take(host: &dyn HostAccess) -> Self {
        let read = |path: &str| host.read(path).unwrap_or_default();
        CpuSample { ticks: ticks(&read("/proc/stat")), interrupts: interrupts(&read("/proc/interrupts")) }
    }

    /// The share of the time that a CPU worked since an earlier look; none where no time has passed or is known.
    #[must_use]
    pub fn load_since(&self, before: &Self, cpu: u32) -> Option<f64> {
        let ((worked, all), (worked_before, all_before)) = (self.ticks.get(&cpu)?, before.ticks.get(&cpu)?);
        let (worked, all) = (worked.saturating_sub(*worked_before), all.saturating_sub(*all_before));
        (all > 0).then(|| worked as f64 / all as f64)
    }

    /// Interrupts that a CPU took since an earlier look.
    #[must_use]
    pub fn interrupts_since(&self, before: &Self, cpu: u32) -> Option<u64> {
        Some(self.interrupts.get(&cpu)?.saturating_sub(*before.interrupts.get(&cpu)?))
    }
}

fn ticks(text: &str) -> BTreeMap<u32, (u64, u64)> {
    let of_line = |line: &str| {
        let mut words = line.strip_prefix("cpu")?.split_whitespace();
        // The line of all CPUs together begins with a space instead.
        let cpu = line[3..].starts_with(|first: char| first.is_ascii_digit()).then(|| words.next()?.parse().ok())??;
        let fields: Vec<u64> = words.take(FIELDS).filter_map(|word| word.parse().ok()).collect();
        let all: u64 = fields.iter().sum();
        let idle: u64 = fields.get(IDLE)?.iter().sum();
        Some((cpu, (all - idle, all)))
    };
    text.lines().filter_map(of_line).collect()
}

fn interrupts(text: &str) -> BTreeMap<u32, u64> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let cpus: Vec<u32> = head.split_whitespace().filter_map(|word| word.strip_prefix("CPU")?.parse().ok()).collect();
    let mut counts: BTreeMap<u32, u64> = cpus.iter().map(|cpu| (*cpu, 0)).collect();
    for line in lines {
        // Lines of the whole machine, such as ERR, have one number and no column.
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).take(cpus.len()).map_while(|word| word.parse().ok()).collect();
        if numbers.len() < cpus.len() {
            continue;
        }
        for (cpu, count) in cpus.iter().zip(numbers) {
            *counts.entry(*cpu).or_default() += count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_counts_are_of_the_time_between() {
        let sample = |stat: &str, table: &str| CpuSample { ticks: ticks(stat), interrupts: interrupts(table) };
        let before = sample(
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 10 70 10 0 0 0 0 0\ncpu3 0 0 0 100 0 0 0 0 0 0\nintr 1\n",
            "           CPU0       CPU3\n  0:         10         20   IO-APIC   2-edge      timer\nERR:          5\n",
        );
        let after = sample(
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 20 0 20 140 20 10 5 5 0 0\ncpu3 0 0 0 200 0 0 0 0 0 0\n",
            "           CPU0       CPU3\n  0:         15         20   IO-APIC   2-edge      timer\nLOC:        100          7   Local timer\n",
        );
        // 40 of 120 ticks.
        assert!((after.load_since(&before, 0).unwrap() - 40.0 / 120.0).abs() < 1e-9);
        assert_eq!(after.load_since(&before, 3), Some(0.0));
        assert_eq!(after.load_since(&after, 3), None, "no time has passed");
        assert_eq!(after.load_since(&before, 1), None);
        assert_eq!([0, 3].map(|cpu| after.interrupts_since(&before, cpu)), [Some(105), Some(7)]);
    }
}
