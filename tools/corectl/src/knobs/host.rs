//! Settings of the whole host: stack, CPUs, memory, kernel, boot, and the files that the service reads.
//!
//! **Source**: each row names its own.

use super::{Access, Document, Group, Knob, Risk, Rule};
use crate::setting::Form;

const IP_SYSCTL: &str = "Linux, Documentation/networking/ip-sysctl.rst";
const NET_SYSCTL: &str = "Linux, Documentation/admin-guide/sysctl/net.rst";
const VM_SYSCTL: &str = "Linux, Documentation/admin-guide/sysctl/vm.rst";
const KERNEL_SYSCTL: &str = "Linux, Documentation/admin-guide/sysctl/kernel.rst";
const CPUFREQ: &str = "Linux, Documentation/admin-guide/pm/cpufreq.rst";
const PARAMETERS: &str = "Linux, Documentation/admin-guide/kernel-parameters.txt";

const fn stack(name: &'static str, reason: &'static str, source: &'static str) -> Knob {
    Knob::new(name, Group::Stack, Risk::Safe, Access::Sysctl, (reason, source)).ruled(Rule::AtLeast)
}

const fn boot(name: &'static str, parameter: &'static str, reason: &'static str) -> Knob {
    Knob::new(name, Group::Boot, Risk::Reboot, Access::Boot(parameter), (reason, PARAMETERS))
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "filter.notrack",
        Group::Filter,
        Risk::Security,
        Access::Untracked,
        (
            "Ports whose connections are not tracked: no entry is looked up or made for each of them. Rules that ask for a connection's \
         state no longer match there, so they must let the ports in by number.",
            "nft(8), \"notrack\"",
        ),
    ),
    stack(
        "net.ipv4.tcp_mem",
        "Memory of all sockets together, in pages: beyond the last number packets are dropped. A share such as 25% is of the host's memory.",
        IP_SYSCTL,
    ),
    stack(
        "net.core.netdev_budget",
        "Packets that one softirq takes from the cards before others get the CPU.",
        NET_SYSCTL,
    ),
    stack("net.core.netdev_budget_usecs", "Microseconds that one softirq takes packets from the cards.", NET_SYSCTL),
    Knob::new(
        "irq.irqbalance",
        Group::Irq,
        Risk::Perf,
        Access::Unit("irqbalance.service"),
        (
            "It moves interrupts every ten seconds, those of queues among them; while corectl gives them their places it must rest.",
            "irqbalance(1)",
        ),
    ),
    Knob::new(
        "irq.default",
        Group::Irq,
        Risk::Perf,
        Access::HostFile("/proc/irq/default_smp_affinity", Form::CpuMask),
        (
            "Interrupts that are made from now on go to housekeeping CPUs, until somebody says otherwise.",
            "Linux, Documentation/core-api/irq/irq-affinity.rst",
        ),
    ),
    Knob::new(
        "cpu.smt",
        Group::Cpu,
        Risk::Perf,
        Access::HostFile("/sys/devices/system/cpu/smt/control", Form::Words),
        (
            "Without a second thread nothing slows a core's worker down; the host has half the CPUs then. Programs that were bound to the \
         second threads are moved by the kernel, and stay moved.",
            "Linux, Documentation/admin-guide/hw-vuln/l1tf.rst, \"SMT control\"",
        ),
    ),
    Knob::new(
        "cpu.governor",
        Group::Cpu,
        Risk::Perf,
        Access::PolicyFile("scaling_governor"),
        (
            "`performance` keeps the frequency up between requests, instead of raising it when they wait already. Costs power.",
            CPUFREQ,
        ),
    ),
    Knob::new(
        "cpu.energy_preference",
        Group::Cpu,
        Risk::Perf,
        Access::PolicyFile("energy_performance_preference"),
        (
            "Where the CPU chooses its frequency itself, how it weighs power against speed.",
            "Linux, Documentation/admin-guide/pm/intel_pstate.rst",
        ),
    ),
    Knob::new(
        "cpu.idle_latency_max",
        Group::Cpu,
        Risk::Perf,
        Access::IdleStates,
        (
            "Idle states that take more microseconds to leave are not entered: a packet that wakes a CPU does not wait for it. Costs power, \
         and may cost the other cores their turbo.",
            "Linux, Documentation/admin-guide/pm/cpuidle.rst",
        ),
    ),
    Knob::new(
            "vm.swappiness",
            Group::Memory,
            Risk::Perf,
            Access::Sysctl,
            (
                "Memory of processes is swapped out only when there is no page cache left to drop: a swapped page of the cache costs milliseconds.",
                VM_SYSCTL,
            ),
        ).ruled(Rule::AtMost),
    Knob::new(
        "vm.zone_reclaim_mode",
        Group::Memory,
        Risk::Perf,
        Access::Sysctl,
        ("0: memory of another node is used before pages of the own node are written out for it.", VM_SYSCTL),
    ),
    Knob::new(
        "kernel.numa_balancing",
        Group::Memory,
        Risk::Perf,
        Access::Sysctl,
        (
            "It unmaps pages to see who uses them; workers are pinned and their memory is on their node already, so each fault is for nothing.",
            KERNEL_SYSCTL,
        ),
    ),
    Knob::new(
        "memory.thp",
        Group::Memory,
        Risk::Perf,
        Access::HostFile("/sys/kernel/mm/transparent_hugepage/enabled", Form::Choice),
        (
            "`madvise`: huge pages for programs that ask for them, as the cache does, and no surprises for the others.",
            "Linux, Documentation/admin-guide/mm/transhuge.rst",
        ),
    ),
    Knob::new(
        "memory.thp_defrag",
        Group::Memory,
        Risk::Perf,
        Access::HostFile("/sys/kernel/mm/transparent_hugepage/defrag", Form::Choice),
        (
            "`madvise`: only programs that ask for huge pages wait until memory is moved together for one.",
            "Linux, Documentation/admin-guide/mm/transhuge.rst",
        ),
    ),
    Knob::new(
            "memory.hugepages_2m",
            Group::Memory,
            Risk::Perf,
            Access::NodeFile("hugepages/hugepages-2048kB/nr_hugepages"),
            (
                "Huge pages of 2 MiB on each node, kept aside for programs that map them. Taken from everybody else's memory.",
                "Linux, Documentation/admin-guide/mm/hugetlbpage.rst",
            ),
        ).ruled(Rule::AtLeast),
    Knob::new(
            "vm.stat_interval",
            Group::Kernel,
            Risk::Safe,
            Access::Sysctl,
            (
                "Seconds between updates of memory statistics, each of which interrupts every CPU for a moment.",
                VM_SYSCTL,
            ),
        ).ruled(Rule::AtLeast),
    Knob::new(
        "kernel.timer_migration",
        Group::Kernel,
        Risk::Perf,
        Access::Sysctl,
        ("0: timers stay on the CPU that set them, instead of moving to a busy one: a worker's.", KERNEL_SYSCTL),
    ),
    Knob::new(
        "kernel.workqueue_cpus",
        Group::Kernel,
        Risk::Perf,
        Access::HostFile("/sys/devices/virtual/workqueue/cpumask", Form::CpuMask),
        ("The kernel's own unbound work runs on housekeeping CPUs.", "Linux, Documentation/core-api/workqueue.rst"),
    ),
    Knob::new(
        "kernel.writeback_cpus",
        Group::Kernel,
        Risk::Perf,
        Access::HostFile("/sys/bus/workqueue/devices/writeback/cpumask", Form::CpuMask),
        ("Writing dirty pages out runs on housekeeping CPUs.", "Linux, Documentation/core-api/workqueue.rst"),
    ),
    Knob::new(
            "kernel.io_uring_disabled",
            Group::Kernel,
            Risk::Security,
            Access::Sysctl,
            (
                "2 forbids io_uring, which the servers are built on; 1 allows it to the group of kernel.io_uring_group.",
                KERNEL_SYSCTL,
            ),
        ).ruled(Rule::AtMost),
    Knob::new(
        "kernel.io_uring_group",
        Group::Kernel,
        Risk::Security,
        Access::Sysctl,
        (
            "The group that may use io_uring where kernel.io_uring_disabled is 1: less than allowing it to everybody.",
            KERNEL_SYSCTL,
        ),
    ),
    Knob::new(
        "service.slice_cpus",
        Group::Service,
        Risk::Perf,
        Access::Document(Document::SliceCpus),
        (
            "The slice of the services may use the workers' CPUs and that of the control thread; what the cpuset partition needs.",
            "systemd.resource-control(5), AllowedCPUs=",
        ),
    ),
    Knob::new(
        "service.cpu_partition",
        Group::Service,
        Risk::Perf,
        Access::HostFile("/sys/fs/cgroup/corelane.slice/cpuset.cpus.partition", Form::Words),
        (
            "`isolated`: no other program of the host runs on the services' CPUs, and the scheduler does not balance them. Needs no reboot.",
            "Linux, Documentation/admin-guide/cgroup-v2.rst, \"cpuset.cpus.partition\"",
        ),
    ),
    Knob::new(
        "service.core_map",
        Group::Service,
        Risk::Safe,
        Access::Document(Document::CoreMap),
        (
            "The map of cores, queues and interrupts: with `cores = \"profile\"` worker i is on the CPU of queue i.",
            "docs/config.md, \"The map of cores\"",
        ),
    ),
    boot("boot.nohz_full", "nohz_full", "No timer tick on a worker's CPU while only the worker runs there."),
    boot("boot.rcu_nocbs", "rcu_nocbs", "Deferred frees of the kernel run on other CPUs than the workers'."),
    boot(
        "boot.isolcpus",
        "isolcpus",
        "The scheduler puts nothing on workers' CPUs, from the start on. Without the map, `cores = auto` then takes the CPUs that are not \
         isolated.",
    ),
    boot(
        "boot.mitigations",
        "mitigations",
        "`off` gives up the protection against Spectre and its kin, which costs each system call.",
    ),
    boot("boot.audit", "audit", "`0` turns the audit of system calls off, which looks at each of them."),
];
