//! The heat map: how busy server, generator and every CPU of the host were, second by second, all rounds side by side.
//!
//! ```text
//!                      round 1        round 2        round 3
//!                        ───────        ───────        ───────    measured
//!  nginx   server      ░▓█████████    ░▓█████████    ░▓█████████
//!          CPU 0       ░▓█████████    …              (others use it too)
//!          generator   ░▒▒▒▒▒▒▒▒▒▒                   at work, not spinning
//! ```
//!
//! **Not** judging: seconds of runs that were not valid are shown like all others.
//!
//! **Invariants**: rows and columns are bounded, and what is left out is said; a cell that is not known is not drawn.

use super::axes::{begin, end};
use super::markup::Html;
use super::section::{Run, Section, Server};
use crate::run::outcome::{Outcome, TimelineSample};

/// Seconds that are shown at most, all rounds of a server together.
const SECONDS_MAX: usize = 300;

/// CPUs of a server that are shown at most.
const CPUS_MAX: usize = 16;

/// A CPU that is neither the server's nor the generator's is shown if it was ever this busy.
const BUSY_MIN: f64 = 0.1;

/// Where cells begin and end.
const LEFT: f64 = 220.0;
const RIGHT: f64 = 872.0;
/// Between rounds, and from row to row.
const GAP: f64 = 8.0;
const ROW: f64 = 17.0;
/// Above the rows: the names of the rounds.
const HEAD: f64 = 30.0;

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeatRow {
    Server,
    Generator,
    Cpu(usize),
}

impl HeatRow {
    /// From 0 to 1.
    fn busy(self, sample: &TimelineSample) -> Option<f64> {
        match self {
            Self::Server => server_busy(sample),
            Self::Generator => sample.generator_busy,
            Self::Cpu(cpu) => *sample.cpu_busy.get(cpu)?,
        }
    }

    fn name(self, outcome: &Outcome) -> String {
        let cpu = match self {
            Self::Server => return "server".to_owned(),
            Self::Generator => return "generator, at work".to_owned(),
            Self::Cpu(cpu) => cpu,
        };
        match (outcome.server_cpus.contains(&cpu), outcome.generator_cpus.contains(&cpu)) {
            (true, _) => format!("CPU {cpu} (server's)"),
            (_, true) => format!("CPU {cpu} (generator's)"),
            _ => format!("CPU {cpu}"),
        }
    }

    /// What stands at a cell when one points at it.
    fn words(self, sample: &TimelineSample, busy: f64) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let parts = [sample.server_busy_user, sample.server_busy_system, sample.server_busy_softirq];
        match (self, parts) {
            (Self::Server, [Some(user), Some(system), Some(softirq)]) => format!(
                "{} of a CPU: {} user, {} system; soft interrupts on its CPUs {}",
                percent(busy),
                percent(user),
                percent(system),
                percent(softirq)
            ),
            (Self::Server, _) => format!("{} of a CPU", percent(busy)),
            _ => format!("{} busy", percent(busy)),
        }
    }
}

/// CPUs that the server used in a second.
fn server_busy(sample: &TimelineSample) -> Option<f64> {
    let parts = sample.server_busy_user.zip(sample.server_busy_system).map(|(user, system)| user + system);
    // Results from before the parts were known.
    parts.or_else(|| Some(sample.server_cpu_us_per_request? * sample.answered.max(1) as f64 / 1e6))
}

/// The rows of a server, and how many CPUs are left out.
fn lanes(server: &Server) -> (Vec<HeatRow>, usize) {
    let samples = || server.runs.iter().flat_map(|run| &run.outcome.timeline);
    let is_known = |lane: &HeatRow| samples().any(|sample| lane.busy(sample).is_some());
    let outcome = &server.runs[0].outcome;
    let count = samples().map(|sample| sample.cpu_busy.len()).max().unwrap_or(0);
    let is_busy = |lane: &HeatRow| samples().any(|sample| lane.busy(sample).is_some_and(|busy| busy >= BUSY_MIN));
    let own = |cpu: &usize| outcome.server_cpus.contains(cpu);
    let generators = |cpu: &usize| !own(cpu) && outcome.generator_cpus.contains(cpu);
    let others = |cpu: &usize| !own(cpu) && !generators(cpu) && is_busy(&HeatRow::Cpu(*cpu));
    let mut lanes = vec![HeatRow::Server];
    lanes.extend((0..count).filter(own).map(HeatRow::Cpu));
    lanes.push(HeatRow::Generator);
    lanes.extend((0..count).filter(generators).map(HeatRow::Cpu));
    lanes.extend((0..count).filter(others).map(HeatRow::Cpu));
    lanes.retain(is_known);
    let is_cpu = |lane: &&HeatRow| matches!(lane, HeatRow::Cpu(_));
    let shown = CPUS_MAX.min(lanes.iter().filter(is_cpu).count());
    let mut left = shown;
    lanes.retain(|lane| {
        let stays = !is_cpu(&lane) || left > 0;
        left -= usize::from(is_cpu(&lane) && left > 0);
        stays
    });
    (lanes, count - shown)
}

/// Where each round's columns lie: the number of the round, its first column's left edge, and its columns.
struct Columns {
    width: f64,
    rounds: Vec<(u32, f64, usize)>,
}

impl Columns {
    fn of(section: &Section) -> Self {
        let mut numbers: Vec<u32> = section.runs().map(|run| run.round).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(SECONDS_MAX);
        let most = SECONDS_MAX / numbers.len().max(1);
        let length = |round: u32| {
            let runs = section.runs().filter(|run| run.round == round);
            runs.map(|run| run.outcome.timeline.len()).max().unwrap_or(0).clamp(1, most.max(1))
        };
        let lengths: Vec<usize> = numbers.iter().map(|round| length(*round)).collect();
        let gaps = GAP * numbers.len().saturating_sub(1) as f64;
        let width = (RIGHT - LEFT - gaps) / lengths.iter().sum::<usize>().max(1) as f64;
        let mut left = LEFT;
        let place = |(round, length): (u32, usize)| {
            let begin = left;
            left += width * length as f64 + GAP;
            (round, begin, length)
        };
        Self { width, rounds: numbers.into_iter().zip(lengths).map(place).collect() }
    }
}

/// Draws it; nothing of results without a timeline of this host.
pub(super) fn draw(html: &mut Html, id: &str, section: &Section) {
    let rows: Vec<(&Server, Vec<HeatRow>)> = section.servers.iter().map(|server| (server, lanes(server).0)).collect();
    let count: usize = rows.iter().map(|(_, lanes)| lanes.len()).sum();
    if count == 0 {
        return;
    }
    let columns = Columns::of(section);
    let height = HEAD + ROW * count as f64 + 10.0 * rows.len() as f64 + 34.0;
    let about = "For each server a row for itself, the generator and each CPU, a cell for each second; the stronger, the busier.";
    begin(html, id, height, ("Who was busy, second by second", about));
    head(html, section, &columns);
    let mut top = HEAD;
    for (server, lanes) in rows.iter().filter(|(_, lanes)| !lanes.is_empty()) {
        html.element("text", format_args!("x=\"4\" y=\"{:.1}\"", top + 12.0), &server.name);
        measured(html, server, (top - 4.0, &columns));
        for lane in lanes {
            row(html, server, *lane, (top, &columns));
            top += ROW;
        }
        top += 10.0;
    }
    legend(html, top + 4.0);
    end(html, &caption(section));
}

/// The names of the rounds.
fn head(html: &mut Html, section: &Section, columns: &Columns) {
    for (round, left, _) in &columns.rounds {
        let name = if section.has_rounds { format!("round {round}") } else { "seconds".to_owned() };
        html.element("text", format_args!("class=\"soft\" x=\"{left:.1}\" y=\"14\""), name);
    }
}

/// A line over the seconds that were measured: warm-ups are not all of one length.
fn measured(html: &mut Html, server: &Server, (y, columns): (f64, &Columns)) {
    for (round, left, length) in &columns.rounds {
        for run in server.runs.iter().filter(|run| run.round == *round) {
            let samples = || run.outcome.timeline.iter().take(*length);
            let warm_up = samples().take_while(|sample| !sample.measured).count();
            let (from, until) =
                (left + columns.width * warm_up as f64, left + columns.width * samples().count() as f64);
            if from < until {
                html.leaf("path", format_args!("class=\"whisker\" d=\"M{from:.1} {y:.1}H{:.1}\"", until - 1.0));
            }
        }
    }
}

fn row(html: &mut Html, server: &Server, lane: HeatRow, (top, columns): (f64, &Columns)) {
    let name = lane.name(&server.runs[0].outcome);
    let y = top + 12.0;
    html.element("text", format_args!("class=\"soft\" x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\"", LEFT - 8.0), name);
    for (round, left, length) in &columns.rounds {
        for run in server.runs.iter().filter(|run| run.round == *round) {
            cells(html, (server, run, lane), (*left, top), (columns.width, *length));
        }
    }
}

fn cells(
    html: &mut Html,
    (server, run, lane): (&Server, &Run, HeatRow),
    (left, top): (f64, f64),
    (width, count): (f64, usize),
) {
    for (second, sample) in run.outcome.timeline.iter().take(count).enumerate() {
        let Some(busy) = lane.busy(sample) else { continue };
        let (x, mark, opacity) = (left + width * second as f64, server.mark % 8, busy.clamp(0.0, 1.0));
        let attributes = format!(
            "class=\"cell s{mark}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"14\" fill-opacity=\"{opacity:.2}\" \
             stroke-opacity=\"0.25\"",
            (width - 1.0).max(0.5)
        );
        html.open("rect", attributes);
        let words = format!("round {}, second {}: {}", run.round, second + 1, lane.words(sample, busy));
        html.element("title", "", words).close();
    }
}

/// How strong which share is.
fn legend(html: &mut Html, top: f64) {
    let y = top + 11.0;
    html.element("text", format_args!("class=\"soft\" x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\"", LEFT - 8.0), "idle");
    for step in 0..=10 {
        let (x, opacity) = (LEFT + 22.0 * f64::from(step), f64::from(step) / 10.0);
        html.leaf("rect", format_args!("class=\"cell s7\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"21\" height=\"14\" fill-opacity=\"{opacity:.1}\" stroke-opacity=\"0.25\""));
    }
    html.element("text", format_args!("class=\"soft\" x=\"{}\" y=\"{y:.1}\"", LEFT + 250.0), "busy all the time");
}

fn caption(section: &Section) -> String {
    let mut text = "Rounds side by side, a cell for each second; the line above a server marks what was measured, before it is the warm-up. server: its \
        processes alone, full colour at one whole CPU. generator, at work: it looks for answers all the time, so that its CPU is always \
        busy; this row is the share in which it found some. CPU: everything that ran there, of whomever."
        .to_owned();
    if section.servers.iter().all(|server| lanes(server).0.iter().all(|lane| !matches!(lane, HeatRow::Cpu(_)))) {
        text.push_str(" These results do not tell of single CPUs.");
    }
    let left_out = section.servers.iter().map(|server| lanes(server).1).max().unwrap_or(0);
    if left_out > 0 {
        text.push_str(&format!(" Not shown: {left_out} CPUs that were idle, or beyond the first {CPUS_MAX}."));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::result;

    fn server(cpus: usize, busy: &[(usize, f64)]) -> Server {
        let mut outcome: Outcome = serde_json::from_value(result("t", 1.0, &[])).expect("it is a result");
        (outcome.server_cpus, outcome.generator_cpus) = (vec![2], vec![1]);
        for sample in &mut outcome.timeline {
            sample.cpu_busy = vec![Some(0.0); cpus];
            busy.iter().for_each(|(cpu, share)| sample.cpu_busy[*cpu] = Some(*share));
        }
        outcome.timeline[0].generator_busy = Some(0.5);
        Server { name: "a".to_owned(), mark: 0, runs: vec![Run { round: 1, outcome }], latencies: None }
    }

    #[test]
    fn rows_are_those_that_matter() {
        let (rows, left_out) = lanes(&server(8, &[(5, 0.4), (6, 0.05)]));
        let expected = [HeatRow::Server, HeatRow::Cpu(2), HeatRow::Generator, HeatRow::Cpu(1), HeatRow::Cpu(5)];
        assert_eq!((rows.as_slice(), left_out), (&expected[..], 5), "an idle CPU of nobody's is left out");
        let all: Vec<_> = (0..64).map(|cpu| (cpu, 1.0)).collect();
        let (rows, left_out) = lanes(&server(64, &all));
        assert_eq!((rows.len(), left_out), (CPUS_MAX + 2, 64 - CPUS_MAX), "bounded");
        let mut old = server(0, &[]);
        old.runs[0].outcome.timeline.iter_mut().for_each(|sample| sample.generator_busy = None);
        assert_eq!(lanes(&old).0, [HeatRow::Server], "results from before there were CPUs");
    }

    #[test]
    fn columns_stay_in_the_frame() {
        for (rounds, seconds) in [(1, 3), (5, 13), (40, 100), (1, 5_000), (1_000, 3)] {
            let mut one = server(1, &[]);
            let sample = one.runs[0].outcome.timeline[1].clone();
            one.runs[0].outcome.timeline = vec![sample; seconds];
            let outcome = one.runs[0].outcome.clone();
            one.runs = (1..=rounds).map(|round| Run { round, outcome: outcome.clone() }).collect();
            let section = Section { name: String::new(), has_rounds: true, servers: vec![one] };
            let columns = Columns::of(&section);
            let (_, left, length) = columns.rounds.last().expect("there is a round");
            let end = left + columns.width * *length as f64;
            assert!(end <= RIGHT + 0.01, "{rounds} of {seconds}: {end}");
            let all: usize = columns.rounds.iter().map(|(.., length)| length).sum();
            assert!(all <= SECONDS_MAX && columns.rounds.len() <= SECONDS_MAX, "{rounds} of {seconds}: {all}");
        }
    }
}
