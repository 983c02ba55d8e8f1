//! A network card of a fake host: what its driver has, refuses, forgets and lies about.
//!
//! **Source**: what drivers were seen to do; see [`super::queues`] for what new queues mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FakeFiles;
use crate::ethtool::Channels;
use crate::host::HostError;

/// A card, as its file says. Options are those of ethtool: `-L`, `-G`, `-N`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeNic {
    /// The driver, such as `ice`.
    pub driver: String,
    /// Version of the firmware.
    pub firmware: String,
    /// Address on the PCI bus.
    pub bus: String,
    /// The version of ethtool whose texts are shown: 4 prints 0 for what there is not, 6 `n/a`.
    pub ethtool_major: u32,
    /// Names of a queue's interrupts, `{nic}` and `{queue}` in them; none for a device without.
    pub vectors: Vec<String>,
    /// The number of the first queue's interrupt.
    pub irq_first: u32,
    /// Descriptors of a ring: of rx, of tx, most of rx, most of tx. None where rings cannot be shown.
    pub rings: Option<[u32; 4]>,
    /// CPUs that interrupts may go to before anybody says otherwise, as a list.
    pub default_affinity: String,
    /// Options that are refused.
    pub refuses: Vec<String>,
    /// Options that succeed and change nothing.
    pub lies: Vec<String>,
    /// What new queues make the driver forget: `irq`, `irq-numbers`, `xps`, `rss`, `coalesce`.
    pub forgets: Vec<String>,
    /// Buckets of the hash, each with its queue; empty without RSS.
    pub indirection: Vec<u32>,
    /// Whether somebody has set them: the kernel then refuses fewer queues than they name.
    pub is_spread_set: bool,
    /// Queues.
    pub channels: Option<Channels>,
    /// `-c`: values by name, `adaptive-rx` among them.
    pub coalesce: BTreeMap<String, String>,
    /// `-c` as the driver begins with, where new queues make it forget.
    pub coalesce_default: BTreeMap<String, String>,
    /// `-k`: `on`, `off` or `off [fixed]` by name.
    pub features: BTreeMap<String, String>,
    /// `-a`: `on` or `off` for `autoneg`, `rx`, `tx`; empty without pause frames.
    pub pause: BTreeMap<String, String>,
    /// Private flags.
    pub private_flags: BTreeMap<String, String>,
    /// Letters of `-N … rx-flow-hash` by kind of traffic.
    pub flow_hash: BTreeMap<String, String>,
}

fn path(name: &str) -> String {
    format!("/fake/nic/{name}.toml")
}

impl FakeNic {
    pub(super) fn load(files: &dyn FakeFiles, name: &str) -> Result<Self, HostError> {
        let text = files.read(&path(name))?;
        toml::from_str(&text).map_err(|error| HostError::refused(path(name), &error))
    }

    pub(super) fn store(&self, files: &dyn FakeFiles, name: &str) -> Result<(), HostError> {
        let text = toml::to_string(self).map_err(|error| HostError::refused(path(name), &error))?;
        files.store(&path(name), &text)
    }

    /// Queues that have files and interrupts: those that receive, and those that send.
    pub(super) fn queues(&self) -> (u32, u32) {
        let current = self.channels.unwrap_or_default().current;
        (current.combined + current.rx, current.combined + current.tx)
    }

    pub(super) fn forgets(&self, what: &str) -> bool {
        self.forgets.iter().any(|forgotten| forgotten == what)
    }
}
