//! A plan as people read it.
//!
//! **Invariants**: every line of the plan is in the text; settings that differ in their queue only stand in one line of it.

use std::fmt::Write as _;

use super::{LineAction, PlanLine, TunePlan};
use crate::cpu_list::CpuList;
use crate::layout::{Layout, NicLayout};
use crate::setting;

/// The text.
#[must_use]
pub fn render(plan: &TunePlan) -> String {
    let mut text = format!("profile {} for {}, risk at most {}\n\n", plan.profile, plan.hostname, plan.max_risk);
    text += &layout(&plan.layout);
    for note in &plan.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for action in [LineAction::Change, LineAction::Keep, LineAction::HeldBack, LineAction::NotHere] {
        let lines: Vec<&PlanLine> = plan.lines.iter().filter(|line| line.action == action).collect();
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{}", heading(action));
            text += &rows(&lines);
        }
    }
    if !plan.reports.is_empty() {
        text += "\nSEEN, and not changed\n";
    }
    for report in &plan.reports {
        let _ = writeln!(text, "  {:<37} {}", report.knob, report.found);
        if !report.advice.is_empty() {
            let _ = writeln!(text, "           {}", report.advice);
        }
    }
    for problem in &plan.problems {
        let _ = writeln!(text, "\nproblem: {problem}");
    }
    text
}

fn heading(action: LineAction) -> &'static str {
    match action {
        LineAction::Change => "CHANGE, in this order",
        LineAction::Keep => "KEEP, right already",
        LineAction::HeldBack => "HELD BACK, of more risk than is allowed",
        LineAction::NotHere => "NOT HERE",
    }
}

fn layout(layout: &Layout) -> String {
    let list = |cpus: &[u32]| CpuList::of(cpus).to_string();
    let mut text = String::from("LAYOUT\n");
    let mut row = |name: &str, cpus: &[u32]| {
        let cpus = if cpus.is_empty() { "none".into() } else { list(cpus) };
        let _ = writeln!(text, "  {name:<14} {cpus}");
    };
    row("housekeeping", &layout.housekeeping);
    if !layout.interrupts.is_empty() {
        row("interrupts", &layout.interrupts);
    }
    row("workers", &layout.workers);
    for nic in &layout.nics {
        text += &queues(nic);
    }
    text
}

/// Runs of queues whose CPUs follow each other stand in one line.
fn queues(layout: &NicLayout) -> String {
    let mut text = String::new();
    let mut rest = layout.queues.as_slice();
    while let Some(first) = rest.first() {
        let has_own = |at: usize| rest[at].senders == [rest[at].cpu];
        let is_next =
            |at: usize| has_own(at) && has_own(0) && rest[at].cpu == first.cpu + (rest[at].queue - first.queue);
        let run = if has_own(0) { (0..rest.len()).take_while(|at| is_next(*at)).count() } else { 1 };
        let last = &rest[run - 1];
        let senders = if has_own(0) { String::new() } else { format!(", sends for {}", CpuList::of(&first.senders)) };
        let _ = match run {
            1 => writeln!(text, "  {:<14} queue {} on CPU {}{senders}", layout.nic, first.queue, first.cpu),
            _ => writeln!(
                text,
                "  {:<14} queues {}-{} on CPUs {}-{}",
                layout.nic, first.queue, last.queue, first.cpu, last.cpu
            ),
        };
        rest = &rest[run..];
    }
    text
}

fn rows(lines: &[&PlanLine]) -> String {
    let mut text = String::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let like = |line: &&&PlanLine| {
            line.knob == first.knob && line.address.nic() == first.address.nic() && line.note == first.note
        };
        let count = rest.iter().take_while(like).count();
        let group = &rest[..count];
        let _ = writeln!(text, "  {:<9}{:<28} {:<20} {}", first.risk, first.knob, target(group), difference(group));
        let _ = writeln!(text, "           {}", first.reason);
        if !first.note.is_empty() {
            let _ = writeln!(text, "           ({})", first.note);
        }
        rest = &rest[count..];
    }
    text
}

fn target(lines: &[&PlanLine]) -> String {
    match lines {
        [one] => one.target.clone(),
        [first, .., last] => match (first.target.rsplit_once('-'), last.target.rsplit_once('-')) {
            (Some((left, _)), Some((right, number))) if left == right => format!("{}..{number}", first.target),
            _ => format!("{} to {}", first.target, last.target),
        },
        [] => String::new(),
    }
}

fn difference(lines: &[&PlanLine]) -> String {
    let shown = |values: Vec<String>| {
        let mut distinct: Vec<String> = Vec::new();
        for value in values {
            if distinct.last() != Some(&value) {
                distinct.push(value);
            }
        }
        match distinct.as_slice() {
            [one] => one.clone(),
            [first, second] => format!("{first}; {second}"),
            [first, .., last] => format!("{first} … {last}"),
            [] => String::new(),
        }
    };
    let current = shown(lines.iter().map(|line| line.current.to_string()).collect());
    let wanted = shown(lines.iter().map(|line| setting::shown(&line.wanted)).collect());
    let is_kept = lines.iter().all(|line| line.action == LineAction::Keep);
    if is_kept { current } else { format!("{current} -> {wanted}") }
}
