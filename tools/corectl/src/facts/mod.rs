//! What a host is and how it is set: everything that a plan is made from.
//!
//! **Not**: decisions. **Invariants**: gathering changes nothing. A plan needs no other source, so a file of facts from another host
//! is planned for as well as the host itself.
//!
//! **Source**: Documentation/ABI/stable/sysfs-devices-node, testing/sysfs-devices-system-cpu, testing/sysfs-class-net of Linux.

mod cpus;
mod kernel;
mod nics;
mod render;
mod reports;

use serde::{Deserialize, Serialize};

pub use cpus::{CacheDomain, CpuFacts, IdleState, LogicalCpu, NumaNode};
pub(crate) use kernel::boot_id;
pub use kernel::{KernelFacts, NetworkNamespace};
pub use nics::NicFacts;
pub use render::render;
pub use reports::ReportFact;

use crate::host::HostAccess;
use crate::knobs::{self, Setting};
use crate::setting::{SettingAddress, SettingReading, read};

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its kernel.
    pub kernel: KernelFacts,
    /// Its CPUs and memory.
    pub cpus: CpuFacts,
    /// Its network cards, by name.
    pub nics: Vec<NicFacts>,
    /// Where the map of cores is, or would be.
    pub cores_map: String,
    /// What is only looked at.
    pub reports: Vec<ReportFact>,
    /// The values of all settings that a profile may name.
    pub settings: Vec<SettingFact>,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingFact {
    /// The knob it belongs to.
    pub knob: String,
    /// Of what: an interface, a queue, a CPU; empty for the whole host.
    pub target: String,
    /// Where it is.
    pub address: SettingAddress,
    /// What was found there.
    pub reading: SettingReading,
}

impl Facts {
    /// Looks at a host whose map of cores is where it is by default.
    #[must_use]
    pub fn gather(host: &dyn HostAccess) -> Self {
        Self::gather_with(host, control::core_map::DEFAULT_PATH)
    }

    /// Looks at a host.
    #[must_use]
    pub fn gather_with(host: &dyn HostAccess, cores_map: &str) -> Self {
        let kernel = kernel::gather(host);
        let nics = nics::gather(host, kernel.network_namespace);
        let reports = reports::gather(host, &nics);
        let cpus = cpus::gather(host);
        let mut facts = Facts { kernel, cpus, nics, cores_map: cores_map.into(), reports, settings: Vec::new() };
        facts.settings = knobs::settings(&facts).into_iter().map(|setting| fact(host, setting)).collect();
        facts
    }

    /// What was found at an address; absent for one that nobody looked at.
    #[must_use]
    pub fn reading(&self, address: &SettingAddress) -> SettingReading {
        let found = self.settings.iter().find(|setting| setting.address == *address);
        found.map_or(SettingReading::Absent, |setting| setting.reading.clone())
    }
}

fn fact(host: &dyn HostAccess, setting: Setting) -> SettingFact {
    let reading = read(host, &setting.address);
    SettingFact { knob: setting.knob.name.into(), target: setting.target, address: setting.address, reading }
}
