//! The interrupts of a network card and the queues they are for, by the names that drivers give them.
//!
//! | driver | names |
//! |---|---|
//! | virtio_net | `virtio2-input.0`, `virtio2-output.0` |
//! | igb, ixgbe, ena, bnxt_en | `eth0-TxRx-0`, or `eth0-rx-0` and `eth0-tx-0`; `eth0-Tx-Rx-0` |
//! | i40e, ice | `i40e-eth0-TxRx-0`, `ice-eth0-TxRx-0` |
//! | mlx5_core | `mlx5_comp0@pci:0000:3b:00.0` |
//!
//! **Invariants**: an interrupt whose name does not say a queue belongs to none.
//!
//! **Source**: the drivers' `request_irq` names; Documentation/ABI/testing/sysfs-kernel-irq of Linux.

use serde::{Deserialize, Serialize};

use super::VectorSide;
use crate::host::HostAccess;

/// An interrupt of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueVector {
    /// The interrupt's number, which a driver may change whenever its queues change.
    pub irq: u32,
    /// Its name.
    pub name: String,
    /// The queue, from 0.
    pub queue: u32,
    /// Whether it is raised for what arrives.
    pub receives: bool,
    /// Whether it is raised for what was sent.
    pub sends: bool,
}

impl QueueVector {
    /// Whether it is the one that is meant by a side of its queue.
    #[must_use]
    pub fn is_side(&self, side: VectorSide) -> bool {
        match side {
            VectorSide::Rx => self.receives,
            VectorSide::Tx => self.sends && !self.receives,
        }
    }
}

/// Words in names of interrupts that are for no queue, though they end in a number.
const NO_QUEUE: &[&str] = &["fdir", "config", "control", "async", "misc", "mailbox", "ptp", "sriov", "ctrl", "xsk"];

/// The queue and directions that a name says.
fn meaning(name: &str) -> Option<(u32, bool, bool)> {
    let lower = name.to_ascii_lowercase();
    if NO_QUEUE.iter().any(|word| lower.contains(word)) {
        return None;
    }
    if let Some(rest) = lower.strip_prefix("mlx5_comp") {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return Some((digits.parse().ok()?, true, true));
    }
    let (before, queue) = lower.rsplit_once(['-', '.'])?;
    let queue = queue.parse().ok()?;
    let kind = before.rsplit('-').next().unwrap_or_default();
    match kind {
        "txrx" | "rxtx" => Some((queue, true, true)),
        "rx" if before.ends_with("tx-rx") => Some((queue, true, true)),
        "rx" | "input" => Some((queue, true, false)),
        "tx" | "output" => Some((queue, false, true)),
        _ => None,
    }
}

/// The interrupts of a card's queues, by number.
#[must_use]
pub fn queue_vectors(host: &dyn HostAccess, nic: &str) -> Vec<QueueVector> {
    // A virtio device has them at its PCI device, one folder up.
    let folders = ["device/msi_irqs", "device/../msi_irqs"];
    let names = folders.iter().find_map(|folder| host.list(&format!("/sys/class/net/{nic}/{folder}")).ok());
    let numbers = names.unwrap_or_default().into_iter().filter_map(|name| name.parse().ok());
    let mut vectors: Vec<QueueVector> = numbers.filter_map(|irq| queue_vector(host, irq)).collect();
    vectors.sort_unstable_by_key(|vector| (vector.queue, vector.irq));
    vectors
}

fn queue_vector(host: &dyn HostAccess, irq: u32) -> Option<QueueVector> {
    let name = host.read(&format!("/sys/kernel/irq/{irq}/actions")).ok()?.trim().to_owned();
    let (queue, receives, sends) = meaning(&name)?;
    Some(QueueVector { irq, name, queue, receives, sends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_drivers_say_their_queue() {
        for (name, expected) in [
            ("virtio2-input.0", Some((0, true, false))),
            ("virtio2-output.13", Some((13, false, true))),
            ("virtio2-config", None),
            ("eth0-TxRx-3", Some((3, true, true))),
            ("eth0-rx-1", Some((1, true, false))),
            ("eth0-tx-1", Some((1, false, true))),
            ("eth0", None),
            ("i40e-enp59s0f0-TxRx-62", Some((62, true, true))),
            ("i40e-0000:3b:00.0:fdir-TxRx-0", None),
            ("i40e-0000:3b:00.0:misc", None),
            ("ice-ens1f0np0-TxRx-7", Some((7, true, true))),
            ("ice-ens1f0-ctrl", None),
            ("mlx5_comp12@pci:0000:3b:00.1", Some((12, true, true))),
            ("mlx5_async0@pci:0000:3b:00.1", None),
            ("ens5-Tx-Rx-4", Some((4, true, true))),
            ("ena-mgmnt@pci:0000:00:05.0", None),
        ] {
            assert_eq!(meaning(name), expected, "{name}");
        }
    }
}
