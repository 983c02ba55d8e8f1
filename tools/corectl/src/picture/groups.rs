//! CPUs that are alike, drawn in one row: so that 128 of them fit on a screen.
//!
//! ```text
//!  1   65  worker  eth0 0  64        1-31  65-95  worker  eth0 0-30  64-94
//!  2   66  worker  eth0 1  65   ─▶
//!  …
//! ```
//!
//! **Invariants**: pure. CPUs of a row follow each other in number, in sibling, in queue, in interrupt and in data core. What differs
//! from what was confirmed has a row of its own.

use super::PictureCpu;

/// Hosts with at most so many CPUs have a row for each.
const ROWS_PLAIN: usize = 24;

/// CPUs of a row at most: the loads of all of them stand in it.
const ROW_CPUS_MAX: usize = 32;

/// The rows of a node's CPUs, in order.
pub(super) fn rows(cpus: &[&PictureCpu], count_all: usize) -> Vec<Vec<PictureCpu>> {
    let mut rows: Vec<Vec<PictureCpu>> = Vec::new();
    for cpu in cpus {
        match rows.last_mut() {
            Some(row) if count_all > ROWS_PLAIN && row.len() < ROW_CPUS_MAX && follows(row, cpu) => {
                row.push((*cpu).clone());
            }
            _ => rows.push(vec![(*cpu).clone()]),
        }
    }
    rows
}

fn follows(row: &[PictureCpu], next: &PictureCpu) -> bool {
    let Some(last) = row.last() else { return false };
    next.cpu == last.cpu + 1
        && next.role == last.role
        && are_right(last)
        && are_right(next)
        && numbers_follow(&last.siblings, &next.siblings)
        && queues_follow(last, next)
        && threads_follow(last, next)
}

fn are_right(cpu: &PictureCpu) -> bool {
    cpu.queues.iter().all(super::PictureQueue::is_right)
}

fn numbers_follow(last: &[u32], next: &[u32]) -> bool {
    last.len() == next.len() && last.iter().zip(next).all(|(last, next)| *next == last + 1)
}

fn queues_follow(last: &PictureCpu, next: &PictureCpu) -> bool {
    let follows = |(last, next): (&super::PictureQueue, &super::PictureQueue)| {
        last.nic == next.nic && next.queue == last.queue + 1
    };
    last.queues.len() == next.queues.len() && last.queues.iter().zip(&next.queues).all(follows)
}

fn threads_follow(last: &PictureCpu, next: &PictureCpu) -> bool {
    let follows = |(last, next): (&super::CoreThread, &super::CoreThread)| {
        let number = |name: &str| name.rsplit_once('-').and_then(|(_, number)| number.parse::<u32>().ok());
        last.pid == next.pid && number(&last.name).is_some_and(|at| number(&next.name) == Some(at + 1))
    };
    last.threads.len() == next.threads.len() && last.threads.iter().zip(&next.threads).all(follows)
}
