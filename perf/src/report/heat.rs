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

use maud::{Markup, html};

use super::section::{ReportSection, ReportServer};
use crate::run::outcome::{Outcome, TimelineSample};

/// Seconds that are shown at most, all rounds of a server together.
const SECONDS_MAX: usize = 300;

/// CPUs of a server that are shown at most.
const CPUS_MAX: usize = 16;

/// A CPU that is neither the server's nor the generator's is shown if it was ever this busy.
const BUSY_MIN: f64 = 0.1;

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
fn lanes(server: &ReportServer) -> (Vec<HeatRow>, usize) {
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

/// The rounds that are shown, each with how many of its seconds.
fn rounds(section: &ReportSection) -> Vec<(u32, usize)> {
    let mut numbers: Vec<u32> = section.runs().map(|run| run.round).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(SECONDS_MAX);
    let most = (SECONDS_MAX / numbers.len().max(1)).max(1);
    let longest = |round: u32| {
        let runs = section.runs().filter(|run| run.round == round);
        runs.map(|run| run.outcome.timeline.len()).max().unwrap_or(0).clamp(1, most)
    };
    numbers.into_iter().map(|round| (round, longest(round))).collect()
}

/// Draws it; nothing of results without a timeline of this host.
pub(super) fn draw(section: &ReportSection) -> Markup {
    let rows: Vec<(&ReportServer, Vec<HeatRow>)> =
        section.servers.iter().map(|server| (server, lanes(server).0)).collect();
    if rows.iter().all(|(_, lanes)| lanes.is_empty()) {
        return html! {};
    }
    let rounds = rounds(section);
    html! {
        h3 { "Who was busy, second by second" }
        div.wide {
            table.heat {
                thead {
                    tr {
                        th.l { "server" }
                        th.l { "" }
                        @for (round, seconds) in &rounds {
                            th.l colspan=(seconds) { @if section.has_rounds { "round " (round) } @else { "seconds" } }
                        }
                    }
                }
                @for (server, lanes) in rows {
                    tbody {
                        @for (index, lane) in lanes.iter().enumerate() {
                            tr {
                                th.l scope="row" { @if index == 0 { (server.name) } }
                                td.l { (lane.name(&server.runs[0].outcome)) }
                                @for (round, seconds) in &rounds { (cells(server, *lane, *round, *seconds)) }
                            }
                        }
                    }
                }
            }
        }
        p.soft { (caption(section)) }
    }
}

/// The seconds of a round; those that are not known stay empty.
fn cells(server: &ReportServer, lane: HeatRow, round: u32, seconds: usize) -> Markup {
    let run = server.runs.iter().find(|run| run.round == round);
    let sample = |second: usize| run?.outcome.timeline.get(second);
    html! {
        @for second in 0..seconds {
            @match sample(second).and_then(|sample| Some((sample, lane.busy(sample)?))) {
                Some((sample, busy)) => td class={ "cell s" (server.mark % 8) } data-measured=(sample.measured)
                    style={ "--busy:" (format!("{:.0}%", busy.clamp(0.0, 1.0) * 100.0)) }
                    title={ "round " (round) ", second " (second + 1) ": " (lane.words(sample, busy)) } {},
                None => td {},
            }
        }
    }
}

fn caption(section: &ReportSection) -> String {
    let mut text = "Rounds side by side, a cell for each second, the stronger the busier; underlined cells were measured, those before them are the \
        warm-up. server: its \
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
    use super::super::section::ServerRun;
    use super::*;
    use crate::report::tests::result;

    fn server(cpus: usize, busy: &[(usize, f64)]) -> ReportServer {
        let mut outcome: Outcome = serde_json::from_value(result("t", 1.0, &[])).expect("it is a result");
        (outcome.server_cpus, outcome.generator_cpus) = (vec![2], vec![1]);
        for sample in &mut outcome.timeline {
            sample.cpu_busy = vec![Some(0.0); cpus];
            busy.iter().for_each(|(cpu, share)| sample.cpu_busy[*cpu] = Some(*share));
        }
        outcome.timeline[0].generator_busy = Some(0.5);
        ReportServer { name: "a".to_owned(), mark: 0, runs: vec![ServerRun { round: 1, outcome }], latencies: None }
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
    fn seconds_are_bounded() {
        for (count, seconds) in [(1, 3), (5, 13), (40, 100), (1, 5_000), (1_000, 3)] {
            let mut one = server(1, &[]);
            let sample = one.runs[0].outcome.timeline[1].clone();
            one.runs[0].outcome.timeline = vec![sample; seconds];
            let outcome = one.runs[0].outcome.clone();
            one.runs = (1..=count).map(|round| ServerRun { round, outcome: outcome.clone() }).collect();
            let section = ReportSection { name: String::new(), has_rounds: true, servers: vec![one] };
            let all: usize = rounds(&section).iter().map(|(_, seconds)| seconds).sum();
            assert!((1..=SECONDS_MAX).contains(&all), "{count} of {seconds}: {all}");
        }
    }
}
