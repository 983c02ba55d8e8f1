//! Network cards: driver, NUMA node, queues and their interrupts.
//!
//! **Not** bridges, bonds and VLANs: they have no queues of their own to place. In a network namespace, where there may be no cards,
//! every interface but `lo` counts.
//!
//! **Source**: Documentation/ABI/testing/sysfs-class-net, sysfs-class-net-queues, sysfs-bus-pci of Linux.

use serde::{Deserialize, Serialize};

use super::kernel::NetworkNamespace;
use crate::ethtool::{self, Channels, Rings};
use crate::host::HostAccess;
use crate::setting::vectors::{QueueVector, queue_vectors};

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicFacts {
    /// The interface's name.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// The firmware's version, where there is one.
    pub firmware: Option<String>,
    /// The NUMA node it is attached to, where the machine says one.
    pub node: Option<u32>,
    /// `up`, `down` or `unknown`.
    pub state: String,
    /// Mbit/s, where there is a link that says so.
    pub speed_mbps: Option<u32>,
    /// Bytes.
    pub mtu: u32,
    /// Receive queues that have files.
    pub rx_queues: u32,
    /// Send queues that have files.
    pub tx_queues: u32,
    /// Queues there are and could be, where the driver says so.
    pub channels: Option<Channels>,
    /// Descriptors there are and could be, where the driver says so.
    pub rings: Option<Rings>,
    /// Interrupts of the queues.
    pub vectors: Vec<QueueVector>,
    /// The link to the bus as it is and as it could be, where they are known: `8.0 GT/s x4` and `16.0 GT/s x8`.
    pub pcie: Option<(String, String)>,
}

impl NicFacts {
    /// Queue pairs it can have: what the driver says, else what there is.
    #[must_use]
    pub fn pairs_max(&self) -> u32 {
        self.channels.map_or(self.rx_queues.min(self.tx_queues), |channels| channels.pairs_max())
    }

    /// Whether traffic can come through it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state != "down"
    }
}

pub(super) fn gather(host: &dyn HostAccess, namespace: NetworkNamespace) -> Vec<NicFacts> {
    let names = host.list("/sys/class/net").unwrap_or_default();
    let is_card = |name: &String| {
        let has_device = host.read(&format!("/sys/class/net/{name}/device/uevent")).is_ok();
        let has_folder = host.list(&format!("/sys/class/net/{name}/queues")).is_ok();
        has_device || (namespace == NetworkNamespace::Own && name != "lo" && has_folder)
    };
    names.into_iter().filter(is_card).map(|name| nic(host, name)).collect()
}

fn nic(host: &dyn HostAccess, name: String) -> NicFacts {
    let file = |file: &str| host.read(&format!("/sys/class/net/{name}/{file}")).map(|text| text.trim().to_owned());
    let number = |path: &str| file(path).ok()?.parse::<u32>().ok();
    let show = |option: &str| ethtool::show(host, &[option, &name]).ok().flatten();
    let queues = host.list(&format!("/sys/class/net/{name}/queues")).unwrap_or_default();
    let count = |side: &str| u32::try_from(queues.iter().filter(|queue| queue.starts_with(side)).count()).unwrap_or(0);
    let info = show("-i").unwrap_or_default();
    NicFacts {
        driver: ethtool::driver_line(&info, "driver")
            .or_else(|| driver_of(&file("device/uevent").ok()?))
            .unwrap_or_default(),
        firmware: ethtool::driver_line(&info, "firmware-version"),
        // -1 where the machine has no nodes; a virtio device leaves it to its PCI device.
        node: number("device/numa_node").or_else(|| number("device/../numa_node")),
        state: file("operstate").unwrap_or_else(|_| "unknown".into()),
        speed_mbps: number("speed"),
        mtu: number("mtu").unwrap_or_default(),
        rx_queues: count("rx-"),
        tx_queues: count("tx-"),
        channels: show("-l").and_then(|text| ethtool::channels(&text)),
        rings: show("-g").and_then(|text| ethtool::rings(&text)),
        vectors: queue_vectors(host, &name),
        pcie: pcie(file),
        name,
    }
}

fn driver_of(uevent: &str) -> Option<String> {
    uevent.lines().find_map(|line| line.strip_prefix("DRIVER=")).map(str::to_owned)
}

fn pcie(file: impl Fn(&str) -> Result<String, crate::host::HostError>) -> Option<(String, String)> {
    let link = |which: &str| {
        let speed = file(&format!("device/{which}_link_speed")).ok()?;
        let width = file(&format!("device/{which}_link_width")).ok()?;
        Some(format!("{} x{width}", speed.trim_end_matches(" PCIe")))
    };
    Some((link("current")?, link("max")?))
}
