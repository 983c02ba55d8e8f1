//! Interrupts that CPUs have taken, of all kinds: devices, timers, and other CPUs that wake them.
//!
//! **Source**: proc_interrupts(5), whose first line names the CPUs of the columns.

use std::collections::BTreeSet;
use std::fs;

/// How many these CPUs have taken since the host started; 0 where the kernel does not say.
pub(crate) fn taken_by(cpus: &BTreeSet<usize>) -> u64 {
    if cpus.is_empty() {
        return 0;
    }
    sum(&fs::read_to_string("/proc/interrupts").unwrap_or_default(), cpus)
}

fn sum(text: &str, cpus: &BTreeSet<usize>) -> u64 {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default().split_whitespace();
    let wanted: Vec<bool> = header
        .map(|name| {
            name.strip_prefix("CPU").and_then(|number| number.parse().ok()).is_some_and(|cpu| cpus.contains(&cpu))
        })
        .collect();
    let of_line = |line: &str| -> u64 {
        let counts = line.split_once(':').map_or("", |(_, counts)| counts).split_whitespace();
        // Behind the counts stands what the interrupt is; lines that are no CPU's (ERR, MIS) have one count.
        let counts: Vec<u64> = counts.map_while(|count| count.parse().ok()).take(wanted.len()).collect();
        if counts.len() < wanted.len() {
            return 0;
        }
        counts.iter().zip(&wanted).filter(|(_, is_wanted)| **is_wanted).map(|(count, _)| count).sum()
    };
    lines.map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_cpus() {
        // CPU 1 is offline.
        let text = "            CPU0       CPU2\n  0:         10         20   IO-APIC   2-edge      timer\n\
            LOC:        100        200   Local timer interrupts\nERR:          7\n";
        for (cpus, expected) in [(&[0][..], 110), (&[2], 220), (&[0, 2], 330), (&[1], 0), (&[], 0)] {
            assert_eq!(sum(text, &cpus.iter().copied().collect()), expected, "{cpus:?}");
        }
        assert_eq!(sum("", &[0].into()), 0);
    }

    #[test]
    fn this_host_counts_its_own() {
        let cpus: BTreeSet<usize> = (0..4096).collect();
        assert!(taken_by(&cpus) > 0, "a host that runs has taken timer interrupts");
    }
}
