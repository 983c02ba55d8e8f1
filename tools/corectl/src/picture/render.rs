//! The picture as text, for a terminal and for a pipe: no colour, no width that is asked for.

use std::fmt::Write as _;

use super::groups::rows;
use super::{CpuRole, HostPicture, PictureCpu, PictureNic, PictureQueue};
use crate::cpu_list::CpuList;

/// Loads from idle to busy, an eighth each.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const TITLES: [&str; 8] = ["CPU", "SIBLING", "ROLE", "QUEUE", "IRQ", "RUNS", "IRQ/s", "LOAD"];

/// Columns whose cells are numbers.
const RIGHT: &[usize] = &[6];

/// The text.
#[must_use]
pub fn render(picture: &HostPicture) -> String {
    let mut text = head(picture);
    let nodes: Vec<(u32, u64)> = if picture.nodes.is_empty() { vec![(0, 0)] } else { picture.nodes.clone() };
    let blocks: Vec<Vec<[String; 8]>> = nodes.iter().map(|(node, _)| cells_of_node(picture, *node)).collect();
    let widths: Vec<usize> = (0..TITLES.len())
        .map(|at| {
            let cells = blocks.iter().flatten().map(|row| row[at].chars().count());
            cells.chain([TITLES[at].len()]).max().unwrap_or_default()
        })
        .collect();
    for ((node, memory_kib), block) in nodes.iter().zip(blocks) {
        text += &node_line(picture, *node, *memory_kib);
        push_row(&mut text, &TITLES.map(str::to_owned), &widths);
        for row in block {
            push_row(&mut text, &row, &widths);
        }
    }
    if !picture.drift.is_empty() {
        text += "\nnot as confirmed\n";
        for words in &picture.drift {
            let _ = writeln!(text, "  {words}");
        }
    }
    text
}

fn head(picture: &HostPicture) -> String {
    let sockets = CpuList::of(&picture.cpus.iter().map(|cpu| cpu.socket).collect::<Vec<_>>()).cpus().len();
    let smt = if picture.cpus.iter().any(|cpu| !cpu.siblings.is_empty()) { "with SMT" } else { "without SMT" };
    let (hostname, kernel, count) = (&picture.hostname, &picture.kernel, picture.cpus.len());
    let mut text = format!("{hostname}  Linux {kernel}, {sockets} socket(s), {count} CPUs {smt}\n");
    let _ = match (&picture.profile, picture.drift.len()) {
        (None, _) => writeln!(text, "tuning  untouched"),
        (Some(profile), 0) => writeln!(text, "tuning  profile {profile}, {}", picture.state),
        (Some(profile), count) => {
            writeln!(text, "tuning  profile {profile}, {}: {count} settings are not as they should be", picture.state)
        }
    };
    text
}

fn node_line(picture: &HostPicture, node: u32, memory_kib: u64) -> String {
    let of_node: Vec<&PictureCpu> = picture.cpus.iter().filter(|cpu| cpu.node == node).collect();
    let sockets = CpuList::of(&of_node.iter().map(|cpu| cpu.socket).collect::<Vec<_>>());
    let numbers = CpuList::of(&of_node.iter().map(|cpu| cpu.cpu).collect::<Vec<_>>());
    let memory = if memory_kib == 0 { String::new() } else { format!(", {} MiB", memory_kib / 1024) };
    let mut text = format!("\nnode {node}  socket {sockets}, CPUs {numbers}{memory}\n");
    // A card of no node is drawn with the first.
    let first = picture.nodes.first().map_or(0, |(node, _)| *node);
    for nic in picture.nics.iter().filter(|nic| nic.node.unwrap_or(first) == node) {
        let _ = writeln!(text, "  {}", card(nic));
    }
    text
}

fn card(nic: &PictureNic) -> String {
    let speed = nic.speed_mbps.map(|speed| format!(", {} Gbit/s", f64::from(speed) / 1000.0)).unwrap_or_default();
    let mut text = format!("{}  {}{speed}, {}, {} receive queues", nic.nic, nic.driver, nic.state, nic.rx_queues);
    if let Some(first) = nic.unpinned.first() {
        let queues = list(nic.unpinned.iter().map(|queue| queue.queue));
        let cpus = if first.effective.is_empty() { &first.wanted } else { &first.effective };
        let _ = write!(text, "; the interrupts of queues {queues} go to any of CPUs {cpus}");
    }
    text
}

fn cells_of_node(picture: &HostPicture, node: u32) -> Vec<[String; 8]> {
    let of_node: Vec<&PictureCpu> = picture.cpus.iter().filter(|cpu| cpu.node == node).collect();
    rows(&of_node, picture.cpus.len()).iter().map(|row| cells(row)).collect()
}

fn cells(row: &[PictureCpu]) -> [String; 8] {
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        list(row.iter().map(|cpu| cpu.cpu)),
        dash(list(row.iter().flat_map(|cpu| cpu.siblings.iter().copied()))),
        role(row[0].role).to_owned(),
        dash(queues(row)),
        dash(interrupts(row)),
        dash(threads(row)),
        rates(row),
        loads(row),
    ]
}

const fn role(role: CpuRole) -> &'static str {
    match role {
        CpuRole::Control => "control",
        CpuRole::Worker => "worker",
        CpuRole::Interrupts => "interrupts",
        CpuRole::Housekeeping => "housekeeping",
        CpuRole::None => "-",
    }
}

fn list(numbers: impl Iterator<Item = u32>) -> String {
    CpuList::of(&numbers.collect::<Vec<_>>()).to_string()
}

/// Cards of a row, in the order in which they are met.
fn nics(row: &[PictureCpu]) -> Vec<&str> {
    let mut nics: Vec<&str> = Vec::new();
    for queue in row.iter().flat_map(|cpu| &cpu.queues) {
        if !nics.contains(&queue.nic.as_str()) {
            nics.push(&queue.nic);
        }
    }
    nics
}

fn queues(row: &[PictureCpu]) -> String {
    let of_nic = |nic: &str| {
        let queues = row.iter().flat_map(|cpu| &cpu.queues).filter(|queue| queue.nic == nic);
        format!("{nic} {}", list(queues.map(|queue| queue.queue)))
    };
    nics(row).into_iter().map(of_nic).collect::<Vec<_>>().join(" + ")
}

fn interrupts(row: &[PictureCpu]) -> String {
    let queues = || row.iter().flat_map(|cpu| &cpu.queues);
    let mut text = list(queues().map(|queue| queue.irq));
    let wrong: Vec<&PictureQueue> = queues().filter(|queue| !queue.is_right()).collect();
    if let Some(first) = wrong.first() {
        let _ = write!(text, " WANTED ON {}", first.wanted);
    }
    text
}

/// Programs of a row, each with its data cores, or its control thread.
fn threads(row: &[PictureCpu]) -> String {
    let mut processes: Vec<(u32, &str)> = Vec::new();
    for thread in row.iter().flat_map(|cpu| &cpu.threads) {
        if !processes.contains(&(thread.pid, &thread.program)) {
            processes.push((thread.pid, &thread.program));
        }
    }
    let of_process = |(pid, program): &(u32, &str)| {
        let threads = || row.iter().flat_map(|cpu| &cpu.threads).filter(|thread| thread.pid == *pid);
        let numbers = threads().filter_map(|thread| thread.name.strip_prefix("core-")?.parse::<u32>().ok());
        let cores = list(numbers);
        if cores.is_empty() { format!("{program} control") } else { format!("{program} core {cores}") }
    };
    processes.iter().map(of_process).collect::<Vec<_>>().join(" + ")
}

fn rates(row: &[PictureCpu]) -> String {
    let known: Vec<f64> = row.iter().filter_map(|cpu| cpu.interrupts_per_second).collect();
    if known.is_empty() { "-".into() } else { format!("{:.0}", known.iter().sum::<f64>()) }
}

/// A bar for each CPU, and the least and the largest of them.
fn loads(row: &[PictureCpu]) -> String {
    let known: Vec<f64> = row.iter().filter_map(|cpu| cpu.load).collect();
    let (Some(least), Some(most)) = (known.iter().copied().reduce(f64::min), known.iter().copied().reduce(f64::max))
    else {
        return "-".into();
    };
    let bars: String = known.iter().map(|load| BARS[((load * 8.0) as usize).min(7)]).collect();
    let percent = |load: f64| format!("{:.0} %", load * 100.0);
    if percent(least) == percent(most) {
        format!("{bars} {}", percent(most))
    } else {
        format!("{bars} {} to {}", percent(least), percent(most))
    }
}

fn push_row(text: &mut String, cells: &[String; 8], widths: &[usize]) {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _ = if RIGHT.contains(&at) { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:<width$}") };
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
