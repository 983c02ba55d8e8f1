//! Whether what arrives for a queue comes to the CPU that was given to it: interrupts and packets between two looks.
//!
//! ```text
//!  /proc/interrupts, ethtool -S ──▶ TrafficSample ── time ──▶ TrafficSample ──▶ a QueueTraffic for each queue with a wanted CPU
//! ```
//!
//! **Not** making traffic: a queue that nothing came to is said to be one, and is no fault.
//!
//! **Invariants**: changes nothing. One interrupt elsewhere is none: an interrupt moves when it is next raised.
//!
//! **Source**: `/proc/interrupts` (a column for each CPU that is online); Documentation/core-api/irq/irq-affinity.rst of Linux; names of
//! queues' counters as the drivers of [`crate::setting::vectors`] have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::cpu_list::CpuList;
use crate::ethtool;
use crate::host::HostAccess;
use crate::setting::vectors::queue_vectors;
use crate::setting::{SettingAddress, VectorSide};
use crate::transaction::SavedSetting;

/// Interrupts elsewhere that are none: the one that a move waits for.
const STRAYS_MAX: u64 = 1;

/// Counters of the queues of some cards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficSample {
    /// By interrupt and CPU.
    interrupts: BTreeMap<u32, BTreeMap<u32, u64>>,
    /// Packets that arrived, by card and queue, where the driver counts them.
    packets: BTreeMap<String, BTreeMap<u32, u64>>,
}

impl TrafficSample {
    /// Looks at the cards whose interrupts a change has placed.
    #[must_use]
    pub fn take(host: &dyn HostAccess, settings: &[SavedSetting]) -> Self {
        let nics: BTreeSet<&str> = placed(settings).map(|placed| placed.nic).collect();
        let packets = nics.into_iter().filter_map(|nic| {
            let text = ethtool::show(host, &["-S", nic]).ok()??;
            Some((nic.to_owned(), queue_packets(&text)))
        });
        let packets = packets.collect();
        TrafficSample { interrupts: interrupts(&host.read("/proc/interrupts").unwrap_or_default()), packets }
    }
}

/// What came to a queue's interrupt between two looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueTraffic {
    /// The interface.
    pub nic: String,
    /// The queue, from 0.
    pub queue: u32,
    /// Which of its interrupts.
    pub side: VectorSide,
    /// The CPUs it was given to, as a list.
    pub wanted: String,
    /// Interrupts there.
    pub interrupts: u64,
    /// Interrupts on other CPUs, by CPU.
    pub elsewhere: BTreeMap<u32, u64>,
    /// Packets that arrived in the queue; none where the driver does not count them, or for what is sent.
    pub packets: Option<u64>,
}

impl QueueTraffic {
    /// Whether its interrupts came where they should, or none came.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.elsewhere.values().sum::<u64>() <= STRAYS_MAX
    }
}

impl fmt::Display for QueueTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueueTraffic { nic, queue, side, wanted, interrupts, elsewhere, packets } = self;
        let send = if *side == VectorSide::Tx { ", send" } else { "" };
        write!(f, "{nic} queue {queue}{send}: ")?;
        match (interrupts, self.is_right()) {
            (0, true) => write!(f, "no traffic")?,
            (_, true) => write!(f, "{interrupts} interrupts on CPU {wanted}")?,
            (_, false) => {
                let others: Vec<String> =
                    elsewhere.iter().map(|(cpu, count)| format!("{count} on CPU {cpu}")).collect();
                write!(f, "{interrupts} interrupts on CPU {wanted}, and {}", others.join(", "))?;
            }
        }
        packets.map_or(Ok(()), |packets| write!(f, ", {packets} packets"))
    }
}

/// What came to each queue whose interrupt a change has placed. One whose driver has no such interrupt any more is left out.
#[must_use]
pub fn traffic(
    host: &dyn HostAccess,
    settings: &[SavedSetting],
    [before, after]: [&TrafficSample; 2],
) -> Vec<QueueTraffic> {
    placed(settings).filter_map(|placed| placed.traffic(host, before, after)).collect()
}

/// A queue's interrupt that a change has given to CPUs.
struct PlacedInterrupt<'s> {
    nic: &'s str,
    queue: u32,
    side: VectorSide,
    wanted: &'s str,
}

fn placed(settings: &[SavedSetting]) -> impl Iterator<Item = PlacedInterrupt<'_>> {
    settings.iter().filter_map(|setting| match &setting.address {
        SettingAddress::Irq { nic, queue, side } => {
            Some(PlacedInterrupt { nic, queue: *queue, side: *side, wanted: setting.wanted.as_deref()? })
        }
        _ => None,
    })
}

impl PlacedInterrupt<'_> {
    fn traffic(&self, host: &dyn HostAccess, before: &TrafficSample, after: &TrafficSample) -> Option<QueueTraffic> {
        let vectors = queue_vectors(host, self.nic);
        let vector = vectors.iter().find(|vector| vector.queue == self.queue && vector.is_side(self.side))?;
        let cpus = CpuList::from_list(self.wanted)?;
        let earlier = before.interrupts.get(&vector.irq);
        let mut counted = QueueTraffic {
            nic: self.nic.to_owned(),
            queue: self.queue,
            side: self.side,
            wanted: self.wanted.to_owned(),
            interrupts: 0,
            elsewhere: BTreeMap::new(),
            packets: self.packets(before, after),
        };
        for (cpu, count) in after.interrupts.get(&vector.irq)? {
            let count = count.saturating_sub(earlier.and_then(|earlier| earlier.get(cpu)).copied().unwrap_or_default());
            if cpus.cpus().contains(cpu) {
                counted.interrupts += count;
            } else if count > 0 {
                counted.elsewhere.insert(*cpu, count);
            }
        }
        Some(counted)
    }

    fn packets(&self, before: &TrafficSample, after: &TrafficSample) -> Option<u64> {
        let of = |sample: &TrafficSample| sample.packets.get(self.nic)?.get(&self.queue).copied();
        let counted = of(after)?.saturating_sub(of(before)?);
        (self.side == VectorSide::Rx).then_some(counted)
    }
}

fn interrupts(text: &str) -> BTreeMap<u32, BTreeMap<u32, u64>> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let cpus: Vec<u32> = head.split_whitespace().filter_map(|word| word.strip_prefix("CPU")?.parse().ok()).collect();
    let of_line = |line: &str| {
        // Lines of the whole machine, such as ERR and LOC, have no number.
        let (irq, rest) = line.split_once(':')?;
        let counts: Vec<u64> = rest.split_whitespace().map_while(|word| word.parse().ok()).take(cpus.len()).collect();
        (counts.len() == cpus.len()).then_some(())?;
        Some((irq.trim().parse().ok()?, cpus.iter().copied().zip(counts).collect()))
    };
    lines.filter_map(of_line).collect()
}

/// Packets that arrived, by queue, of the text of `ethtool -S`.
fn queue_packets(text: &str) -> BTreeMap<u32, u64> {
    let of_line = |line: &str| {
        let (name, count) = line.trim().split_once(':')?;
        Some((queue_of(name)?, count.trim().parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

/// The queue whose packets a counter counts: `rx_queue_0_packets`, `rx-0.packets`, `rx0_packets`, `queue_0_rx_cnt`.
fn queue_of(name: &str) -> Option<u32> {
    let rest = match name.strip_prefix("rx") {
        Some(rest) => {
            let rest = rest.strip_suffix("_packets").or_else(|| rest.strip_suffix(".packets"))?;
            rest.strip_prefix("_queue_").or_else(|| rest.strip_prefix(['-', '_'])).unwrap_or(rest)
        }
        None => name.strip_prefix("queue_")?.strip_suffix("_rx_cnt")?,
    };
    rest.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_drivers_say_their_queue() {
        for (name, expected) in [
            ("rx_queue_0_packets", Some(0)),
            ("rx_queue_12_packets", Some(12)),
            ("rx-3.packets", Some(3)),
            ("rx-3.bytes", None),
            ("rx7_packets", Some(7)),
            ("rx_7_packets", Some(7)),
            ("queue_2_rx_cnt", Some(2)),
            ("queue_2_tx_cnt", None),
            ("rx_packets", None),
            ("rx_queue_0_xdp_packets", None),
            ("tx_queue_0_packets", None),
        ] {
            assert_eq!(queue_of(name), expected, "{name}");
        }
        let text = "NIC statistics:\n     rx_packets: 9\n     rx_queue_0_packets: 5\n     rx_queue_1_packets: 4\n";
        assert_eq!(queue_packets(text), BTreeMap::from([(0, 5), (1, 4)]));
    }

    #[test]
    fn lines_of_interrupts_have_a_number_and_a_column_for_each_cpu() {
        let text = "            CPU0       CPU3\n 24:          1          2   PCI-MSI 1-edge   eth0-TxRx-0\n\
                    \u{20}25:          7\nNMI:          3          4   Non-maskable interrupts\nERR:          0\n";
        assert_eq!(interrupts(text), BTreeMap::from([(24, BTreeMap::from([(0, 1), (3, 2)]))]));
        assert!(interrupts("").is_empty());
    }
}
