//! The rule by which CPUs and queues get their places.
//!
//! **Invariants**: pure. The nearest NUMA node comes first, and first threads of all cores before their siblings, so that few
//! queues are on as many cores as possible.

use super::{Layout, LayoutMode, LayoutOptions, NicLayout, QueueCount, QueuePlace, WorkerNodes, WorkerThreads};
use crate::cpu_list::CpuList;
use crate::facts::{Facts, LogicalCpu, NicFacts};

/// With fewer cores than this, keeping one of each socket free costs more than it gives.
const CORES_FOR_HOUSEKEEPING: usize = 4;

/// Workers whose packets one CPU can take from the card (split).
const WORKERS_PER_INTERRUPT_CPU: usize = 16;

/// Gives every CPU and queue its place.
#[must_use]
pub fn lay_out(facts: &Facts, options: &LayoutOptions, count: QueueCount) -> Layout {
    let mut layout = Layout {
        mode: options.mode.unwrap_or_default(),
        housekeeping: Vec::new(),
        interrupts: Vec::new(),
        workers: Vec::new(),
        nics: Vec::new(),
        notes: Vec::new(),
        problems: Vec::new(),
    };
    let cards = chosen_cards(facts, options, &mut layout);
    housekeeping(facts, options, &mut layout);
    workers(facts, options, &cards, &mut layout);
    if layout.workers.is_empty() && layout.problems.is_empty() {
        layout.problems.push(
            "no CPU is left to work: layout.workers names none, or layout.housekeeping all; give it at least one"
                .into(),
        );
    }
    if layout.mode == LayoutMode::Split && layout.workers.len() > 1 {
        let count = layout.workers.len().div_ceil(WORKERS_PER_INTERRUPT_CPU);
        layout.interrupts = layout.workers.drain(..count).collect();
    }
    let order = QueueOrder { facts, cards: &cards, is_given: options.workers.is_some() };
    for nic in &cards {
        let queues = queues(&order, nic, count, &mut layout);
        layout.nics.push(NicLayout { nic: nic.name.clone(), queues });
    }
    layout
}

fn chosen_cards<'f>(facts: &'f Facts, options: &LayoutOptions, layout: &mut Layout) -> Vec<&'f NicFacts> {
    let Some(names) = &options.interfaces else {
        let cards: Vec<&NicFacts> = facts.nics.iter().filter(|nic| nic.is_up()).collect();
        if cards.is_empty() {
            layout.notes.push("no network card is up: no queue has a place".into());
        }
        return cards;
    };
    let missing = names.iter().filter(|name| !facts.nics.iter().any(|nic| nic.name == **name));
    layout.problems.extend(missing.map(|name| format!("layout.interfaces: this host has no network card {name}")));
    facts.nics.iter().filter(|nic| names.contains(&nic.name)).collect()
}

fn housekeeping(facts: &Facts, options: &LayoutOptions, layout: &mut Layout) {
    if let Some(text) = &options.housekeeping {
        match CpuList::from_list(text) {
            Some(list) => layout.housekeeping = list.cpus().to_vec(),
            None => layout.problems.push(format!("layout.housekeeping: `{text}` is no list of CPUs, such as 0,32")),
        }
        return;
    }
    let cores = facts.cpus.online.iter().filter(|cpu| is_first_thread(cpu)).count();
    if options.workers.is_some() {
        let taken = options.workers.iter().flatten().collect::<Vec<_>>();
        let free = facts.cpus.online.iter().map(|cpu| cpu.cpu).filter(|cpu| !taken.contains(&cpu));
        layout.housekeeping = free.collect();
    } else if cores < CORES_FOR_HOUSEKEEPING {
        layout.notes.push(format!("{cores} cores: all of them work, none is kept for housekeeping"));
    } else {
        let first_of = |socket: u32| facts.cpus.online.iter().find(|cpu| cpu.socket == socket);
        let firsts = facts.cpus.sockets().into_iter().filter_map(first_of);
        layout.housekeeping = firsts.flat_map(|cpu| cpu.siblings.clone()).collect();
        layout.housekeeping.sort_unstable();
    }
}

fn is_first_thread(cpu: &LogicalCpu) -> bool {
    cpu.siblings.first() == Some(&cpu.cpu)
}

fn workers(facts: &Facts, options: &LayoutOptions, cards: &[&NicFacts], layout: &mut Layout) {
    if let Some(explicit) = &options.workers {
        for cpu in explicit.iter().filter(|cpu| facts.cpus.cpu(**cpu).is_none()) {
            layout.problems.push(format!("layout.workers: CPU {cpu} is not online"));
        }
        for cpu in explicit.iter().filter(|cpu| layout.housekeeping.contains(cpu)) {
            layout.problems.push(format!("layout.workers: CPU {cpu} keeps house; take it out of one of the two"));
        }
        layout.workers.clone_from(explicit);
        return;
    }
    layout.problems.extend(asymmetry(facts));
    let card_nodes: Vec<u32> = cards.iter().filter_map(|nic| nic.node).collect();
    let threads = options.threads.unwrap_or_default();
    let is_near = |cpu: &LogicalCpu| card_nodes.is_empty() || card_nodes.contains(&cpu.node);
    let everywhere = options.nodes.unwrap_or_default() == WorkerNodes::All;
    let mut chosen: Vec<&LogicalCpu> = facts
        .cpus
        .online
        .iter()
        .filter(|cpu| !layout.housekeeping.contains(&cpu.cpu))
        .filter(|cpu| threads == WorkerThreads::All || is_first_thread(cpu))
        .filter(|cpu| everywhere || is_near(cpu))
        .collect();
    let first_node = card_nodes.first().copied();
    chosen.sort_by_key(|cpu| nearness(facts, first_node, cpu));
    layout.workers = chosen.iter().map(|cpu| cpu.cpu).collect();
}

/// By which CPUs are sorted: the distance of their node, first threads before siblings, their number.
fn nearness(facts: &Facts, node: Option<u32>, cpu: &LogicalCpu) -> (u32, u32, bool, u32) {
    let distances = facts.cpus.nodes.iter().find(|found| Some(found.node) == node).map(|found| &found.distances);
    // Distances are listed in the order of the nodes.
    let at = facts.cpus.nodes.iter().position(|found| found.node == cpu.node);
    let distance = distances.zip(at).and_then(|(distances, at)| distances.get(at).copied()).unwrap_or_default();
    (distance, cpu.node, !is_first_thread(cpu), cpu.cpu)
}

/// Why NUMA nodes are not alike: a rule that treats them alike would be wrong.
fn asymmetry(facts: &Facts) -> Option<String> {
    let nodes = &facts.cpus.nodes;
    let counts = || nodes.iter().map(|node| CpuList::from_list(&node.cpus).unwrap_or_default().cpus().len());
    let has_memory = |node: &crate::facts::NumaNode| node.memory_kib > 0;
    let alike = counts().max() == counts().min() && nodes.iter().all(has_memory) == nodes.iter().any(has_memory);
    if alike {
        return None;
    }
    let described = nodes.iter().map(|node| {
        format!(
            "node {}: CPUs {}, {} MiB",
            node.node,
            if node.cpus.is_empty() { "none" } else { &node.cpus },
            node.memory_kib / 1024
        )
    });
    let described: Vec<String> = described.collect();
    Some(format!(
        "the NUMA nodes are not alike ({}): say which CPUs work, in the order of the queues, with layout.workers",
        described.join("; ")
    ))
}

fn queues(order: &QueueOrder<'_>, nic: &NicFacts, count: QueueCount, layout: &mut Layout) -> Vec<QueuePlace> {
    let takers = if layout.mode == LayoutMode::Split && !layout.interrupts.is_empty() {
        &layout.interrupts
    } else {
        &layout.workers
    };
    let takers = order.of(nic, takers);
    let present = nic.rx_queues.min(nic.tx_queues);
    let wanted = u32::try_from(takers.len()).unwrap_or(u32::MAX);
    let count = match count {
        QueueCount::AsIs => present,
        QueueCount::ByLayout => wanted.min(nic.pairs_max()),
        QueueCount::Exactly(count) => count.min(nic.pairs_max()),
    };
    if takers.is_empty() || count == 0 {
        return Vec::new();
    }
    layout.notes.extend(shortage(nic, wanted, count));
    let mut queues: Vec<QueuePlace> = (0..count)
        .zip(takers.iter().cycle())
        .map(|(queue, &cpu)| QueuePlace { queue, cpu, senders: Vec::new() })
        .collect();
    let senders = order.of(nic, &layout.workers);
    for (at, cpu) in senders.into_iter().enumerate() {
        queues[at % count as usize].senders.push(cpu);
    }
    // More queues than workers: each sends through the first of its queues, and the others are for what arrives.
    queues
}

fn shortage(nic: &NicFacts, wanted: u32, count: u32) -> Option<String> {
    let name = &nic.name;
    if count < wanted {
        return Some(format!(
            "{name} has {count} of the {wanted} queues that there is a CPU for: the other CPUs share them for sending, and receive \
             through their CPUs"
        ));
    }
    (count > wanted).then(|| format!("{name} has {count} queues for {wanted} CPUs: some CPUs take more than one"))
}

/// In which order CPUs take the queues of a card.
struct QueueOrder<'f> {
    facts: &'f Facts,
    cards: &'f [&'f NicFacts],
    /// Whether the operator has named the CPUs: their order is his.
    is_given: bool,
}

impl QueueOrder<'_> {
    /// Where every node with CPUs has a card of its own, a card keeps to its node; else the nearest come first.
    fn of(&self, nic: &NicFacts, cpus: &[u32]) -> Vec<u32> {
        let node_of = |cpu: u32| self.facts.cpus.cpu(cpu).map(|cpu| cpu.node);
        let nodes = CpuList::of(&cpus.iter().filter_map(|cpu| node_of(*cpu)).collect::<Vec<_>>());
        let has_card = |node: &u32| self.cards.iter().any(|card| card.node == Some(*node));
        if nic.node.is_some() && nodes.cpus().len() > 1 && nodes.cpus().iter().all(has_card) {
            return cpus.iter().copied().filter(|cpu| node_of(*cpu) == nic.node).collect();
        }
        let mut sorted = cpus.to_vec();
        if !self.is_given && nic.node.is_some() {
            sorted.sort_by_key(|cpu| self.facts.cpus.cpu(*cpu).map(|cpu| nearness(self.facts, nic.node, cpu)));
        }
        sorted
    }
}
