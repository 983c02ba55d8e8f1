//! A host described in TOML, as the files that its kernel would show.
//!
//! CPUs are numbered as the firmware of servers does: first threads of all cores, socket by socket, then their siblings.

use std::collections::BTreeMap;

use corectl::cpu_list::CpuList;
use corectl::host::{FakeFiles, FakeHost, HostAccess, MemoryTree};
use serde::Deserialize;

use super::drivers::{Card, driver};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    pub(crate) hostname: String,
    pub(crate) kernel: String,
    #[serde(default = "one")]
    pub(crate) sockets: u32,
    pub(crate) cores_per_socket: u32,
    #[serde(default)]
    pub(crate) smt: bool,
    /// CPUs that are off.
    #[serde(default)]
    pub(crate) offline: String,
    /// Nodes of each socket.
    #[serde(default = "one")]
    pub(crate) nodes_per_socket: u32,
    #[serde(default = "memory")]
    pub(crate) memory_mib_per_node: u64,
    #[serde(default)]
    pub(crate) command_line: String,
    #[serde(default)]
    pub(crate) nics: BTreeMap<String, Card>,
    /// Whether CPUs change their frequency and have idle states, as those of virtual machines do not.
    #[serde(default)]
    pub(crate) is_metal: bool,
    /// Files besides those of every kernel: they replace, or with an empty text remove.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

fn memory() -> u64 {
    16384
}

/// Sysctls as a kernel starts with them.
const SYSCTLS: &[(&str, &str)] = &[
    ("net/core/somaxconn", "4096"),
    ("net/core/optmem_max", "20480"),
    ("net/ipv4/tcp_max_syn_backlog", "1024"),
    ("net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
    ("net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
    ("net/ipv4/tcp_notsent_lowat", "4294967295"),
    ("net/ipv4/tcp_slow_start_after_idle", "1"),
    ("net/ipv4/ip_local_port_range", "32768\t60999"),
    ("net/ipv4/tcp_mem", "188703\t251606\t377406"),
    ("net/core/netdev_budget", "300"),
    ("net/core/netdev_budget_usecs", "2000"),
    ("vm/swappiness", "60"),
    ("vm/zone_reclaim_mode", "0"),
    ("vm/stat_interval", "1"),
    ("kernel/numa_balancing", "1"),
    ("kernel/timer_migration", "1"),
];

/// Other files of a kernel, as it starts with them.
const FILES: &[(&str, &str)] = &[
    ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never"),
    ("/sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise [madvise] never"),
    ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
    ("/proc/net/packet", "sk               RefCnt Type Proto  Iface R Rmem   User   Inode"),
    ("/usr/sbin/update-grub", "#!/bin/sh"),
    ("/fake/nft", ""),
    ("/proc/sys/net/netfilter/nf_conntrack_max", "262144"),
    ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\""),
];

impl Machine {
    /// The machine of `tests/hosts/NAME.toml`.
    pub(crate) fn named(name: &str) -> Self {
        let text = std::fs::read_to_string(super::file(&format!("hosts/{name}.toml"))).unwrap();
        toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// In memory.
    pub(crate) fn in_memory(&self) -> FakeHost<MemoryTree> {
        let host = FakeHost::new(MemoryTree::default());
        self.build(&host);
        host
    }

    /// Makes the files.
    pub(crate) fn build<T: FakeFiles>(&self, host: &FakeHost<T>) {
        let put = |path: &str, text: &str| host.store(path, &format!("{text}\n")).unwrap();
        put("/proc/sys/kernel/hostname", &self.hostname);
        put("/proc/sys/kernel/osrelease", &self.kernel);
        put("/proc/sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555");
        put("/proc/cmdline", &self.command_line);
        for (path, value) in SYSCTLS {
            put(&format!("/proc/sys/{path}"), value);
        }
        for (path, text) in FILES {
            put(path, text);
        }
        self.build_cpus(&put);
        self.build_power(&put);
        self.build_nodes(&put);
        for (at, (name, card)) in self.nics.iter().enumerate() {
            self.build_nic(host, name, card, u32::try_from(at).unwrap());
        }
        for (path, text) in &self.files {
            match text.as_str() {
                "" => host.remove(path).unwrap(),
                text => put(path, text),
            }
        }
    }

    fn cores(&self) -> u32 {
        self.sockets * self.cores_per_socket
    }

    fn threads(&self) -> u32 {
        if self.smt { 2 } else { 1 }
    }

    fn online(&self) -> Vec<u32> {
        let offline = CpuList::from_list(&self.offline).unwrap();
        (0..self.cores() * self.threads()).filter(|cpu| !offline.cpus().contains(cpu)).collect()
    }

    fn node_of(&self, cpu: u32) -> u32 {
        let nodes = self.sockets * self.nodes_per_socket;
        (cpu % self.cores() / (self.cores() / nodes)).min(nodes - 1)
    }

    fn build_cpus(&self, put: &dyn Fn(&str, &str)) {
        let online = self.online();
        put("/sys/devices/system/cpu/online", &CpuList::of(&online).to_string());
        for &cpu in &online {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
            let core = cpu % self.cores();
            put(&format!("{folder}/topology/core_id"), &(core % self.cores_per_socket).to_string());
            put(&format!("{folder}/topology/physical_package_id"), &(core / self.cores_per_socket).to_string());
            let siblings: Vec<u32> = (0..self.threads()).map(|thread| thread * self.cores() + core).collect();
            put(&format!("{folder}/topology/thread_siblings_list"), &CpuList::of(&siblings).to_string());
            let shared: Vec<u32> =
                online.iter().copied().filter(|other| self.node_of(*other) == self.node_of(cpu)).collect();
            put(&format!("{folder}/cache/index3/level"), "3");
            put(&format!("{folder}/cache/index3/size"), "32768K");
            put(&format!("{folder}/cache/index3/shared_cpu_list"), &CpuList::of(&shared).to_string());
        }
    }

    fn build_power(&self, put: &dyn Fn(&str, &str)) {
        let all = CpuList::of(&(0..self.cores() * self.threads()).collect::<Vec<_>>()).to_mask();
        for path in ["/proc/irq/default_smp_affinity", "/sys/devices/virtual/workqueue/cpumask"] {
            put(path, &all);
        }
        put("/sys/bus/workqueue/devices/writeback/cpumask", &all);
        put("/sys/devices/system/cpu/smt/control", if self.smt { "on" } else { "notsupported" });
        for cpu in self.online().into_iter().filter(|_| self.is_metal) {
            let folder = format!("/sys/devices/system/cpu/cpufreq/policy{cpu}");
            put(&format!("{folder}/scaling_governor"), "powersave");
            put(&format!("{folder}/energy_performance_preference"), "balance_performance");
            for (state, latency) in [0, 2, 10, 85, 133].into_iter().enumerate() {
                let folder = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle/state{state}");
                put(&format!("{folder}/latency"), &latency.to_string());
                put(&format!("{folder}/disable"), "0");
            }
        }
        if self.is_metal {
            put("/fake/unit/irqbalance.service", "active");
        }
    }

    fn build_nodes(&self, put: &dyn Fn(&str, &str)) {
        let nodes = self.sockets * self.nodes_per_socket;
        put("/sys/devices/system/node/online", &CpuList::of(&(0..nodes).collect::<Vec<_>>()).to_string());
        for node in 0..nodes {
            let folder = format!("/sys/devices/system/node/node{node}");
            let cpus: Vec<u32> = self.online().into_iter().filter(|cpu| self.node_of(*cpu) == node).collect();
            put(&format!("{folder}/cpulist"), &CpuList::of(&cpus).to_string());
            put(&format!("{folder}/meminfo"), &format!("Node {node} MemTotal: {} kB", self.memory_mib_per_node * 1024));
            let distance = |other: u32| match other {
                other if other == node => "10",
                other if other / self.nodes_per_socket == node / self.nodes_per_socket => "12",
                _ => "21",
            };
            put(&format!("{folder}/distance"), &(0..nodes).map(distance).collect::<Vec<_>>().join(" "));
        }
        let memory_kib = self.memory_mib_per_node * 1024 * u64::from(nodes);
        put("/proc/meminfo", &format!("MemTotal:       {memory_kib} kB"));
    }

    fn build_nic<T: FakeFiles>(&self, host: &FakeHost<T>, name: &str, card: &Card, at: u32) {
        let put = |file: &str, text: &str| {
            host.store(&format!("/sys/class/net/{name}/{file}"), &format!("{text}\n")).unwrap();
        };
        put("device/uevent", &format!("DRIVER={}", card.driver));
        put("operstate", &card.state);
        put("mtu", "1500");
        put("gro_flush_timeout", "0");
        put("napi_defer_hard_irqs", "0");
        if let Some(node) = card.node {
            put("device/numa_node", &node.to_string());
        }
        if let Some(speed) = card.speed {
            put("speed", &speed.to_string());
        }
        let cpus: Vec<u32> = (0..self.cores() * self.threads()).collect();
        let mut nic = driver(&card.driver, card);
        nic.bus = format!("0000:{:02x}:00.0", 0x3b + at);
        nic.irq_first = 64 + at * 200;
        nic.ethtool_major = card.ethtool_major;
        nic.default_affinity = CpuList::of(&cpus).to_string();
        nic.refuses.extend(card.refuses.iter().cloned());
        nic.lies.extend(card.lies.iter().cloned());
        host.insert_nic(name, &nic).unwrap();
    }
}
