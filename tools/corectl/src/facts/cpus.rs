//! CPUs, their cores, sockets and caches, and the NUMA nodes.
//!
//! **Invariants**: CPUs that are not online are not there. A host without NUMA is one node.
//!
//! **Source**: Documentation/admin-guide/cputopology.rst of Linux.

use serde::{Deserialize, Serialize};

use super::kernel::memory_kib;
use crate::cpu_list::CpuList;
use crate::host::HostAccess;

/// A logical CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalCpu {
    /// Its number.
    pub cpu: u32,
    /// The number of its core within the socket.
    pub core: u32,
    /// Its socket.
    pub socket: u32,
    /// Its NUMA node.
    pub node: u32,
    /// All CPUs of its core, itself among them.
    pub siblings: Vec<u32>,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Its number.
    pub node: u32,
    /// Its CPUs, as a list.
    pub cpus: String,
    /// Its memory, KiB.
    pub memory_kib: u64,
    /// Distances to all nodes; 10 is its own.
    pub distances: Vec<u32>,
}

/// CPUs that share a last-level cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheDomain {
    /// Its level: 3, or the highest there is.
    pub level: u32,
    /// Its size, as the kernel writes it: `32768K`.
    pub size: String,
    /// The CPUs, as a list.
    pub cpus: String,
}

/// The CPUs of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFacts {
    /// Those that are online, by number.
    pub online: Vec<LogicalCpu>,
    /// The NUMA nodes.
    pub nodes: Vec<NumaNode>,
    /// Last-level caches.
    pub caches: Vec<CacheDomain>,
    /// Frequency policies, by number; none in most virtual machines.
    pub frequency_policies: Vec<u32>,
    /// Idle states, by state, then CPU.
    pub idle_states: Vec<IdleState>,
}

/// An idle state of a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleState {
    /// The CPU.
    pub cpu: u32,
    /// The state's number, from 0.
    pub state: u32,
    /// Microseconds until the CPU has left it.
    pub latency_us: u32,
}

impl CpuFacts {
    /// A CPU by its number.
    #[must_use]
    pub fn cpu(&self, number: u32) -> Option<&LogicalCpu> {
        self.online.iter().find(|cpu| cpu.cpu == number)
    }

    /// The sockets, by number.
    #[must_use]
    pub fn sockets(&self) -> Vec<u32> {
        CpuList::of(&self.online.iter().map(|cpu| cpu.socket).collect::<Vec<_>>()).cpus().to_vec()
    }

    /// The CPUs when SMT is off: the first of each core.
    #[must_use]
    pub fn without_siblings(&self) -> Self {
        let firsts = self.online.iter().filter(|cpu| cpu.siblings.first() == Some(&cpu.cpu));
        let online: Vec<LogicalCpu> = firsts.map(|cpu| LogicalCpu { siblings: vec![cpu.cpu], ..cpu.clone() }).collect();
        let stays = |number: u32| online.iter().any(|cpu| cpu.cpu == number);
        let list = |text: &str| {
            let cpus = CpuList::from_list(text).unwrap_or_default();
            CpuList::of(&cpus.cpus().iter().copied().filter(|cpu| stays(*cpu)).collect::<Vec<_>>()).to_string()
        };
        let nodes = self.nodes.iter().map(|node| NumaNode { cpus: list(&node.cpus), ..node.clone() });
        let caches = self.caches.iter().map(|cache| CacheDomain { cpus: list(&cache.cpus), ..cache.clone() });
        CpuFacts {
            nodes: nodes.collect(),
            caches: caches.collect(),
            frequency_policies: self.frequency_policies.iter().copied().filter(|policy| stays(*policy)).collect(),
            idle_states: self.idle_states.iter().filter(|state| stays(state.cpu)).cloned().collect(),
            online,
        }
    }

    /// Whether cores have more than one CPU.
    #[must_use]
    pub fn has_smt(&self) -> bool {
        self.online.iter().any(|cpu| cpu.siblings.len() > 1)
    }
}

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

fn list(host: &dyn HostAccess, path: &str) -> Vec<u32> {
    let text = host.read(path).unwrap_or_default();
    CpuList::from_list(&text).unwrap_or_default().cpus().to_vec()
}

fn number(host: &dyn HostAccess, path: &str) -> Option<u32> {
    host.read(path).ok()?.trim().parse().ok()
}

pub(super) fn gather(host: &dyn HostAccess) -> CpuFacts {
    let nodes = nodes(host);
    let online = list(host, &format!("{CPUS}/online"));
    let node_of = |cpu: u32| {
        let holds = |node: &&NumaNode| CpuList::from_list(&node.cpus).is_some_and(|list| list.cpus().contains(&cpu));
        nodes.iter().find(holds).map_or(0, |node| node.node)
    };
    let cpus = online.iter().map(|&cpu| {
        let topology = format!("{CPUS}/cpu{cpu}/topology");
        let mut siblings = list(host, &format!("{topology}/thread_siblings_list"));
        siblings.retain(|sibling| online.contains(sibling));
        LogicalCpu {
            cpu,
            core: number(host, &format!("{topology}/core_id")).unwrap_or(cpu),
            // A virtual machine may say -1.
            socket: number(host, &format!("{topology}/physical_package_id")).unwrap_or_default(),
            node: node_of(cpu),
            siblings: if siblings.is_empty() { vec![cpu] } else { siblings },
        }
    });
    let online_cpus = cpus.collect();
    CpuFacts {
        caches: caches(host, &online),
        frequency_policies: numbered(host, &format!("{CPUS}/cpufreq"), "policy"),
        idle_states: idle_states(host, &online),
        online: online_cpus,
        nodes,
    }
}

/// The numbers of a folder's entries that have them behind a word.
fn numbered(host: &dyn HostAccess, folder: &str, word: &str) -> Vec<u32> {
    let names = host.list(folder).unwrap_or_default();
    let numbers = names.iter().filter_map(|name| name.strip_prefix(word)?.parse().ok());
    CpuList::of(&numbers.collect::<Vec<_>>()).cpus().to_vec()
}

fn idle_states(host: &dyn HostAccess, online: &[u32]) -> Vec<IdleState> {
    let mut found = Vec::new();
    for &cpu in online {
        let folder = format!("{CPUS}/cpu{cpu}/cpuidle");
        for state in numbered(host, &folder, "state") {
            let latency_us = number(host, &format!("{folder}/state{state}/latency"));
            found.extend(latency_us.map(|latency_us| IdleState { cpu, state, latency_us }));
        }
    }
    found.sort_by_key(|state| (state.state, state.cpu));
    found
}

fn nodes(host: &dyn HostAccess) -> Vec<NumaNode> {
    let numbers = list(host, &format!("{NODES}/online"));
    let node = |node: u32| {
        let folder = format!("{NODES}/node{node}");
        let distances = host.read(&format!("{folder}/distance")).unwrap_or_default();
        NumaNode {
            node,
            cpus: CpuList::of(&list(host, &format!("{folder}/cpulist"))).to_string(),
            memory_kib: memory_kib(&host.read(&format!("{folder}/meminfo")).unwrap_or_default()),
            distances: distances.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        }
    };
    numbers.into_iter().map(node).collect()
}

fn caches(host: &dyn HostAccess, online: &[u32]) -> Vec<CacheDomain> {
    let mut found: Vec<CacheDomain> = Vec::new();
    for cpu in online {
        let folder = format!("{CPUS}/cpu{cpu}/cache");
        let indexes = host.list(&folder).unwrap_or_default();
        let domains = indexes.iter().filter(|name| name.starts_with("index")).filter_map(|name| {
            let read = |file: &str| host.read(&format!("{folder}/{name}/{file}")).map(|text| text.trim().to_owned());
            let level = read("level").ok()?.parse().ok()?;
            Some(CacheDomain { level, size: read("size").unwrap_or_default(), cpus: read("shared_cpu_list").ok()? })
        });
        let last = domains.max_by_key(|domain| domain.level);
        found.extend(last.filter(|domain| !found.contains(domain)));
    }
    found
}
