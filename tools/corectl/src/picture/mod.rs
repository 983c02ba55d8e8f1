//! A picture of a host: what each CPU is for, which queues and interrupts it takes, how busy it is, which of Corelane's threads runs there,
//! and what is no longer as it was confirmed.
//!
//! ```text
//!  facts ─┬─▶ HostPicture ─▶ render (text) or JSON
//!  threads│
//!  two CpuSamples, a second apart
//!  TuneStatus (drift)
//! ```
//!
//! **Invariants**: changes nothing. A role is what a thread or a profile in force says, never a guess of what might be planned.
//!
//! **Source**: proc(5); Documentation/core-api/irq/irq-affinity.rst of Linux.

mod groups;
mod render;
mod sample;
mod threads;

use serde::Serialize;

pub use render::render;
pub use sample::CpuSample;
pub use threads::{CoreThread, core_threads};

use crate::cpu_list::CpuList;
use crate::facts::{Facts, LogicalCpu, NicFacts};
use crate::host::HostAccess;
use crate::layout::Layout;
use crate::setting::{SettingAddress, VectorSide};
use crate::status::TuneStatus;

/// What a CPU is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuRole {
    /// The control thread, and everything else that is no data core.
    Control,
    /// A data core.
    Worker,
    /// Interrupts alone.
    Interrupts,
    /// Everything that is not Corelane.
    Housekeeping,
    /// Nobody says.
    None,
}

/// A queue whose interrupt one CPU takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PictureQueue {
    /// The card.
    pub nic: String,
    /// The queue, from 0.
    pub queue: u32,
    /// Its interrupt.
    pub irq: u32,
    /// CPUs it was asked to go to, as a list: what was confirmed, else what the kernel was told.
    pub wanted: String,
    /// CPUs that it goes to, as a list.
    pub effective: String,
}

impl PictureQueue {
    /// Whether it goes where it should; a kernel picks one CPU of several.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let list = |text: &str| CpuList::from_list(text).unwrap_or_default();
        let (wanted, effective) = (list(&self.wanted), list(&self.effective));
        effective.cpus().iter().all(|cpu| wanted.cpus().contains(cpu))
    }
}

/// A CPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureCpu {
    /// Its number.
    pub cpu: u32,
    /// Its core within the socket.
    pub core: u32,
    /// Its socket.
    pub socket: u32,
    /// Its NUMA node.
    pub node: u32,
    /// The other CPUs of its core.
    pub siblings: Vec<u32>,
    /// What it is for.
    pub role: CpuRole,
    /// Queues whose interrupts it takes alone.
    pub queues: Vec<PictureQueue>,
    /// Share of the time in which it worked, 0 to 1.
    pub load: Option<f64>,
    /// Interrupts a second, of all kinds.
    pub interrupts_per_second: Option<f64>,
    /// Corelane's threads that run there.
    pub threads: Vec<CoreThread>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostPicture {
    /// Its name.
    pub hostname: String,
    /// Its kernel.
    pub kernel: String,
    /// `untouched`, `pending`, `confirmed` or `drifted`.
    pub state: String,
    /// The profile that waits or was confirmed.
    pub profile: Option<String>,
    /// What is not as confirmed, in words.
    pub drift: Vec<String>,
    /// NUMA nodes: number, memory in KiB.
    pub nodes: Vec<(u32, u64)>,
    /// The CPUs that are online, by number.
    pub cpus: Vec<PictureCpu>,
    /// The cards: name, driver, NUMA node, queues.
    pub nics: Vec<PictureNic>,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PictureNic {
    /// Its name.
    pub nic: String,
    /// The driver.
    pub driver: String,
    /// The NUMA node it is attached to.
    pub node: Option<u32>,
    /// `up`, `down` or `unknown`.
    pub state: String,
    /// Mbit/s.
    pub speed_mbps: Option<u32>,
    /// Receive queues.
    pub rx_queues: u32,
    /// Queues whose interrupts may go to several CPUs.
    pub unpinned: Vec<PictureQueue>,
}

/// What a picture is made of, besides the host's facts.
pub struct PictureParts<'p> {
    /// What corectl has changed.
    pub status: &'p TuneStatus,
    /// Which CPU does what, of the profile in force; none where none is.
    pub layout: Option<&'p Layout>,
    /// Two looks at what CPUs did, and the seconds between them.
    pub samples: (&'p CpuSample, &'p CpuSample, f64),
}

impl HostPicture {
    /// Looks at a host.
    #[must_use]
    pub fn of(host: &dyn HostAccess, facts: &Facts, parts: &PictureParts<'_>) -> Self {
        let threads = core_threads(host);
        let queues: Vec<PictureQueue> = facts.nics.iter().flat_map(|nic| queues(host, nic, parts.status)).collect();
        let cpus = facts.cpus.online.iter().map(|cpu| picture_cpu(cpu, parts, (&queues, &threads))).collect();
        let status = parts.status;
        let pending = status.pending.as_ref().map(|pending| pending.profile.clone());
        HostPicture {
            hostname: facts.kernel.hostname.clone(),
            kernel: facts.kernel.release.clone(),
            state: status.state().word().into(),
            profile: pending.or_else(|| status.confirmed.as_ref().map(|confirmed| confirmed.profile.clone())),
            drift: status.drifted().map(crate::verify::VerifiedSetting::words).collect(),
            nodes: facts.cpus.nodes.iter().map(|node| (node.node, node.memory_kib)).collect(),
            cpus,
            nics: facts.nics.iter().map(|nic| picture_nic(nic, &queues)).collect(),
        }
    }
}

fn picture_cpu(
    cpu: &LogicalCpu,
    parts: &PictureParts<'_>,
    (queues, threads): (&[PictureQueue], &[CoreThread]),
) -> PictureCpu {
    let number = cpu.cpu;
    let (before, after, seconds) = parts.samples;
    let threads: Vec<CoreThread> = threads.iter().filter(|thread| thread.cpu == number).cloned().collect();
    PictureCpu {
        cpu: number,
        core: cpu.core,
        socket: cpu.socket,
        node: cpu.node,
        siblings: cpu.siblings.iter().copied().filter(|sibling| *sibling != number).collect(),
        role: role(number, parts.layout, &threads),
        queues: queues.iter().filter(|queue| queue.effective == number.to_string()).cloned().collect(),
        load: after.load_since(before, number),
        interrupts_per_second: after.interrupts_since(before, number).map(|count| count as f64 / seconds.max(0.001)),
        threads,
    }
}

fn role(cpu: u32, layout: Option<&Layout>, threads: &[CoreThread]) -> CpuRole {
    if threads.iter().any(CoreThread::is_data_core) {
        return CpuRole::Worker;
    }
    let Some(layout) = layout else {
        return if threads.is_empty() { CpuRole::None } else { CpuRole::Control };
    };
    match cpu {
        cpu if !threads.is_empty() || layout.housekeeping.first() == Some(&cpu) => CpuRole::Control,
        cpu if layout.housekeeping.contains(&cpu) => CpuRole::Housekeeping,
        cpu if layout.interrupts.contains(&cpu) => CpuRole::Interrupts,
        cpu if layout.workers.contains(&cpu) => CpuRole::Worker,
        _ => CpuRole::None,
    }
}

fn queues(host: &dyn HostAccess, nic: &NicFacts, status: &TuneStatus) -> Vec<PictureQueue> {
    let list = |irq: u32, file: &str| {
        let text = host.read(&format!("/proc/irq/{irq}/{file}")).unwrap_or_default();
        CpuList::from_list(&text).unwrap_or_default().to_string()
    };
    let confirmed = |queue: u32| {
        let address = SettingAddress::Irq { nic: nic.name.clone(), queue, side: VectorSide::Rx };
        let confirmed = status.confirmed.as_ref()?;
        confirmed.settings.iter().find(|setting| setting.address == address)?.wanted.clone()
    };
    // Where a queue sends by another interrupt, that one goes where it receives; one row says enough.
    let receiving = nic.vectors.iter().filter(|vector| vector.receives);
    let queue = |vector: &crate::setting::vectors::QueueVector| PictureQueue {
        nic: nic.name.clone(),
        queue: vector.queue,
        irq: vector.irq,
        wanted: confirmed(vector.queue).unwrap_or_else(|| list(vector.irq, "smp_affinity_list")),
        effective: list(vector.irq, "effective_affinity_list"),
    };
    receiving.map(queue).collect()
}

fn picture_nic(nic: &NicFacts, queues: &[PictureQueue]) -> PictureNic {
    let is_unpinned = |queue: &&PictureQueue| queue.nic == nic.name && queue.effective.parse::<u32>().is_err();
    PictureNic {
        nic: nic.name.clone(),
        driver: nic.driver.clone(),
        node: nic.node,
        state: nic.state.clone(),
        speed_mbps: nic.speed_mbps,
        rx_queues: nic.rx_queues,
        unpinned: queues.iter().filter(is_unpinned).cloned().collect(),
    }
}
