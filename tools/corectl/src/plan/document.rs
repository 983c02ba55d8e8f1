//! Files that corectl writes, from the layout.
//!
//! **Invariants**: pure. The numbers of interrupts in the map are those of the facts; `apply` and every boot write the present ones.
//!
//! **Source**: docs/config.md, "The map of cores"; systemd.resource-control(5).

use control::core_map::{CoreMap, MappedCore, VERSION};

use crate::cpu_list::CpuList;
use crate::facts::Facts;
use crate::knobs::Document;
use crate::layout::Layout;

/// The text; `None` where there is nothing to say.
pub(super) fn text(document: Document, facts: &Facts, layout: &Layout) -> Option<String> {
    match document {
        Document::CoreMap => core_map(facts, layout).map(|map| map.to_toml()),
        Document::SliceCpus => {
            let control = layout.housekeeping.first().copied();
            let cpus: Vec<u32> = layout.workers.iter().chain(&layout.interrupts).copied().chain(control).collect();
            let head = "# Written by corectl tune; corectl tune rollback takes it back.";
            Some(format!("{head}\n[Slice]\nAllowedCPUs={}\n", CpuList::of(&cpus)))
        }
    }
}

fn core_map(facts: &Facts, layout: &Layout) -> Option<CoreMap> {
    // Where every CPU works, the control thread is beside the last worker.
    let control = layout.housekeeping.first().or(layout.workers.last())?;
    let cores = layout.workers.iter().map(|cpu| mapped(facts, layout, *cpu)).collect::<Option<Vec<_>>>()?;
    Some(CoreMap { version: VERSION, control_cpu: u16::try_from(*control).ok()?, cores })
}

fn mapped(facts: &Facts, layout: &Layout, cpu: u32) -> Option<MappedCore> {
    let place = layout.nics.iter().find_map(|nic| {
        let place = nic.queues.iter().find(|place| place.cpu == cpu)?;
        Some((nic.nic.clone(), place.queue))
    });
    let irqs = place.as_ref().map(|(name, queue)| {
        let nic = facts.nics.iter().find(|nic| nic.name == *name);
        let vectors = nic.into_iter().flat_map(|nic| &nic.vectors);
        vectors.filter(|vector| vector.queue == *queue).map(|vector| vector.irq).collect()
    });
    let (interface, queue) = place.unzip();
    let numa_node = u16::try_from(facts.cpus.cpu(cpu).map_or(0, |cpu| cpu.node)).ok()?;
    Some(MappedCore { cpu: u16::try_from(cpu).ok()?, numa_node, interface, queue, irqs: irqs.unwrap_or_default() })
}
