//! What a profile or a host may say about the layout.

use serde::{Deserialize, Serialize};

/// How workers and interrupts share CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutMode {
    /// A worker's CPU takes its queue's interrupt.
    #[default]
    Colocated,
    /// Interrupts have CPUs of their own.
    Split,
}

/// On which NUMA nodes workers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerNodes {
    /// On all, the card's first.
    #[default]
    All,
    /// On those that have a card.
    Nic,
}

/// Which CPUs of a core work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerThreads {
    /// All of them.
    #[default]
    All,
    /// The first: its sibling stays idle, so that nothing else uses the core.
    First,
}

/// The table `layout` of a profile or of a host's own file. What is not said is taken from the profile below.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayoutOptions {
    /// How workers and interrupts share CPUs.
    pub mode: Option<LayoutMode>,
    /// On which NUMA nodes workers are.
    pub nodes: Option<WorkerNodes>,
    /// Which CPUs of a core work.
    pub threads: Option<WorkerThreads>,
    /// CPUs for everything else, as a list; instead of the first core of each socket.
    pub housekeeping: Option<String>,
    /// CPUs of data cores in the order of their queues; instead of all others.
    pub workers: Option<Vec<u32>>,
    /// The cards to set; instead of all that are up.
    pub interfaces: Option<Vec<String>>,
}

impl LayoutOptions {
    /// What the other says, and what it does not say as here.
    #[must_use]
    pub fn overridden_by(self, other: &LayoutOptions) -> Self {
        LayoutOptions {
            mode: other.mode.or(self.mode),
            nodes: other.nodes.or(self.nodes),
            threads: other.threads.or(self.threads),
            housekeeping: other.housekeeping.clone().or(self.housekeeping),
            workers: other.workers.clone().or(self.workers),
            interfaces: other.interfaces.clone().or(self.interfaces),
        }
    }
}
