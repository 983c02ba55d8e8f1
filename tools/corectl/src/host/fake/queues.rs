//! The files of a card's queues and interrupts, and what follows from a write to one of them.
//!
//! **Source**: Documentation/networking/scaling.rst and Documentation/core-api/irq/irq-affinity.rst of Linux. New queues come without
//! XPS, and interrupts may get other numbers and go to every CPU again.

use super::{FakeFiles, FakeNic};
use crate::cpu_list::CpuList;
use crate::host::HostError;
use crate::host::tree::FileTree;

/// How far numbers of interrupts move when a driver asks for new ones.
const RENUMBERED_BY: u32 = 500;

fn queue_folder(nic: &str, side: &str, queue: u32) -> String {
    format!("/sys/class/net/{nic}/queues/{side}-{queue}")
}

/// Makes the files of the queues that are there now, and removes those of queues that are not.
pub(super) fn lay_out(files: &dyn FakeFiles, name: &str, nic: &FakeNic) -> Result<(), HostError> {
    let (rx, tx) = nic.queues();
    for (side, count, own) in [("rx", rx, &["rps_cpus", "rps_flow_cnt"][..]), ("tx", tx, &["xps_cpus"])] {
        let folder = format!("/sys/class/net/{name}/queues");
        let prefix = format!("{side}-");
        let found = files.list(&folder).unwrap_or_default();
        for queue in found.iter().filter_map(|entry| entry.strip_prefix(&prefix)?.parse::<u32>().ok()) {
            if queue >= count {
                files.remove(&queue_folder(name, side, queue))?;
            }
        }
        for queue in 0..count {
            for file in own {
                let path = format!("{}/{file}", queue_folder(name, side, queue));
                if files.read(&path).is_err() || (*file == "xps_cpus" && nic.forgets("xps")) {
                    files.store(&path, "0\n")?;
                }
            }
        }
    }
    lay_out_vectors(files, name, nic)
}

fn lay_out_vectors(files: &dyn FakeFiles, name: &str, nic: &FakeNic) -> Result<(), HostError> {
    let (rx, tx) = nic.queues();
    let per_queue = u32::try_from(nic.vectors.len()).unwrap_or_default();
    let wanted = (0..rx.max(tx)).flat_map(|queue| (0..).zip(&nic.vectors).map(move |(at, text)| (queue, at, text)));
    let folder = format!("/sys/class/net/{name}/device/msi_irqs");
    let mut gone = files.list(&folder).unwrap_or_default();
    for (queue, at, text) in wanted {
        let irq = nic.irq_first + queue * per_queue + at;
        let number = irq.to_string();
        let is_new = !gone.contains(&number);
        gone.retain(|found| *found != number);
        files.store(&format!("{folder}/{irq}"), "msix\n")?;
        let action = text.replace("{nic}", name).replace("{queue}", &queue.to_string());
        files.store(&format!("/sys/kernel/irq/{irq}/actions"), &format!("{action}\n"))?;
        if is_new || nic.forgets("irq") {
            set_affinity(files, irq, &nic.default_affinity)?;
        }
    }
    for irq in gone {
        files.remove(&format!("{folder}/{irq}"))?;
        files.remove(&format!("/sys/kernel/irq/{irq}"))?;
        files.remove(&format!("/proc/irq/{irq}"))?;
    }
    Ok(())
}

fn set_affinity(files: &dyn FakeFiles, irq: u32, list: &str) -> Result<(), HostError> {
    files.store(&format!("/proc/irq/{irq}/smp_affinity_list"), &format!("{list}\n"))?;
    files.store(&format!("/proc/irq/{irq}/effective_affinity_list"), &format!("{list}\n"))
}

/// The card's queues are made anew, with all that its driver forgets then.
pub(super) fn make_anew(files: &dyn FakeFiles, name: &str, nic: &mut FakeNic) -> Result<(), HostError> {
    if nic.forgets("irq-numbers") {
        let is_moved = nic.irq_first >= RENUMBERED_BY;
        nic.irq_first = if is_moved { nic.irq_first - RENUMBERED_BY } else { nic.irq_first + RENUMBERED_BY };
    }
    if nic.forgets("rss") {
        let (rx, _) = nic.queues();
        for (bucket, queue) in nic.indirection.iter_mut().zip((0..rx.max(1)).cycle()) {
            *bucket = queue;
        }
    }
    if nic.forgets("coalesce") {
        nic.coalesce.clone_from(&nic.coalesce_default);
    }
    nic.store(files, name)?;
    lay_out(files, name, nic)
}

/// What a file shows after a write to it: lists of choices keep their form.
pub(super) fn as_shown(files: &dyn FileTree, path: &str, text: &str) -> String {
    let before = files.read(path).unwrap_or_default();
    if !before.contains('[') || !before.contains(' ') {
        return format!("{}\n", text.trim_end());
    }
    let bare = |word: &str| word.trim_start_matches('[').trim_end_matches(']').to_owned();
    let words = before.split_whitespace().map(bare);
    let shown = words.map(|word| if word == text.trim() { format!("[{word}]") } else { word });
    shown.collect::<Vec<_>>().join(" ") + "\n"
}

/// What follows from a write: the interrupt's effective affinity is one of the CPUs that were asked for.
pub(super) fn follow(files: &dyn FileTree, path: &str, text: &str) -> Result<(), HostError> {
    let Some(folder) = path.strip_suffix("/smp_affinity_list") else { return Ok(()) };
    let list = CpuList::from_list(text).unwrap_or_default();
    let effective = list.cpus().first().map(u32::to_string).unwrap_or_default();
    files.store(&format!("{folder}/effective_affinity_list"), &format!("{effective}\n"))
}
