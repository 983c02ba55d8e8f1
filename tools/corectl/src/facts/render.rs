//! Facts as people read them.

use std::fmt::Write as _;

use super::{Facts, NetworkNamespace, NicFacts};
use crate::cpu_list::CpuList;

/// The text.
#[must_use]
pub fn render(facts: &Facts) -> String {
    let kernel = &facts.kernel;
    let mut text =
        format!("host      {}, Linux {}, {} MiB\n", kernel.hostname, kernel.release, kernel.memory_kib / 1024);
    let _ = writeln!(text, "boot      {}", kernel.command_line);
    if kernel.network_namespace == NetworkNamespace::Own {
        let _ = writeln!(text, "network   a namespace of its own");
    }
    let cpus = &facts.cpus;
    let numbers: Vec<u32> = cpus.online.iter().map(|cpu| cpu.cpu).collect();
    let smt = if cpus.has_smt() { "with SMT" } else { "without SMT" };
    let _ = writeln!(text, "CPUs      {}, {} socket(s), {smt}", CpuList::of(&numbers), cpus.sockets().len());
    for node in &cpus.nodes {
        let distances: Vec<String> = node.distances.iter().map(u32::to_string).collect();
        let (number, memory, cpus) = (node.node, node.memory_kib / 1024, &node.cpus);
        let _ = writeln!(text, "  node {number}  CPUs {cpus}, {memory} MiB, distances {}", distances.join(" "));
    }
    for cache in &cpus.caches {
        let _ = writeln!(text, "  L{}      {} of CPUs {}", cache.level, cache.size, cache.cpus);
    }
    for nic in &facts.nics {
        text += &card(nic);
    }
    text += "\nSETTINGS\n";
    for setting in &facts.settings {
        let _ = writeln!(text, "  {:<30} {:<14} {}", setting.knob, setting.target, setting.reading);
    }
    text
}

fn card(nic: &NicFacts) -> String {
    let node = nic.node.map_or_else(|| "no NUMA node".into(), |node| format!("node {node}"));
    let speed = nic.speed_mbps.map(|speed| format!(", {speed} Mbit/s")).unwrap_or_default();
    let firmware = nic.firmware.as_ref().map(|version| format!(", firmware {version}")).unwrap_or_default();
    let mut text =
        format!("card      {}: {}{firmware}, {node}, {}{speed}, MTU {}\n", nic.name, nic.driver, nic.state, nic.mtu);
    let (rx, tx, most) = (nic.rx_queues, nic.tx_queues, nic.pairs_max());
    let _ = writeln!(text, "  queues  {rx} receive, {tx} send; at most {most} pairs");
    for vector in &nic.vectors {
        let _ = writeln!(text, "  IRQ     {} {} (queue {})", vector.irq, vector.name, vector.queue);
    }
    if let Some((now, most)) = &nic.pcie {
        let _ = writeln!(text, "  PCIe    {now}, could be {most}");
    }
    text
}
